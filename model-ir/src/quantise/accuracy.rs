//! How far an integer model is from its float graph on given samples.

use super::Error;
use super::ports::Inputs;
use crate::float::Graph;
use crate::int::{Executor, Function, Interval, Model, Op, Trace};
use ndarray::ArrayD;
use rayon::prelude::*;

/// Samples that run at once.
const BATCH: usize = 16;

/// Differences between the float and the integer model over samples.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Accuracy {
    /// Number of samples.
    pub samples: usize,
    /// Input cells that were clamped to the calibrated range.
    pub saturated_inputs: usize,
    /// One per model output.
    pub outputs: Vec<OutputAccuracy>,
    /// One per table node.
    pub tables: Vec<TableUse>,
}

/// One output's error against float.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct OutputAccuracy {
    /// Name of the output.
    pub name: String,
    /// Largest absolute difference.
    pub max_error: f64,
    /// Root of the mean square difference.
    pub rms_error: f64,
    /// Root of the mean square of the float output.
    pub rms: f64,
    /// Fraction of the samples whose largest cell (the first one if several) is the same.
    pub argmax_agreement: f64,
}

/// What a table node saw.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TableUse {
    /// Name of the node.
    pub node: String,
    /// Arguments seen.
    pub used: Interval,
    /// Arguments that the table has.
    pub domain: Interval,
    /// Cells seen.
    pub cells: usize,
    /// Arguments above the largest value of a clamp, or below its smallest if that is negative:
    /// activations beyond their scale's range.
    pub saturated: usize,
}

#[derive(Default)]
struct Sums {
    max: f64,
    square_error: f64,
    square: f64,
    cells: usize,
    agree: usize,
}

impl Accuracy {
    /// Runs both models on every sample; `samples[i]` has one array per model input.
    pub fn measure(
        graph: &Graph,
        model: &Model,
        samples: &[Vec<ArrayD<f32>>],
    ) -> Result<Self, Error> {
        let executor = Executor::new(model)?;
        let mut tables = table_uses(model);
        let mut sums: Vec<Sums> = model
            .graph
            .outputs
            .iter()
            .map(|_| Sums::default())
            .collect();
        let mut saturated_inputs = 0;
        for batch in samples.chunks(BATCH) {
            let expected = batch.par_iter().map(|sample| graph.run(sample));
            let expected: Vec<Vec<ArrayD<f32>>> = expected.collect::<Result<_, _>>()?;
            let Inputs { cells, saturated } = model.graph.quantise_inputs(batch)?;
            saturated_inputs += saturated;
            let trace = executor.run(&cells)?;
            for (table, (x, shift, offset)) in tables.iter_mut().zip(lookups(model)) {
                table.see(&trace, x, |x| (x + offset) >> shift);
            }
            let outputs = model.graph.dequantise_outputs(&trace);
            for (values, outputs) in expected.iter().zip(&outputs) {
                for (((_, value), y), sums) in graph.outputs().iter().zip(outputs).zip(&mut sums) {
                    sums.add(&values[value.0], y);
                }
            }
        }
        let named = model.graph.outputs.iter().zip(sums);
        let outputs = named.map(|(port, sums)| sums.finish(&port.name, samples.len()));
        Ok(Self {
            samples: samples.len(),
            saturated_inputs,
            outputs: outputs.collect(),
            tables: tables.into_iter().map(|t| t.table).collect(),
        })
    }
}

impl Sums {
    fn add(&mut self, float: &ArrayD<f32>, integer: &ArrayD<f32>) {
        for (&x, &y) in float.iter().zip(integer) {
            let (x, error) = (f64::from(x), f64::from(x) - f64::from(y));
            self.max = self.max.max(error.abs());
            self.square_error += error * error;
            self.square += x * x;
        }
        self.cells += float.len();
        self.agree += usize::from(argmax(float) == argmax(integer));
    }

    fn finish(self, name: &str, samples: usize) -> OutputAccuracy {
        let mean = |sum: f64| (sum / self.cells.max(1) as f64).sqrt();
        OutputAccuracy {
            name: name.into(),
            max_error: self.max,
            rms_error: mean(self.square_error),
            rms: mean(self.square),
            argmax_agreement: self.agree as f64 / samples.max(1) as f64,
        }
    }
}

/// Row-major index of the first largest cell.
pub fn argmax(x: &ArrayD<f32>) -> usize {
    let mut best = (0, f32::NEG_INFINITY);
    for (i, &x) in x.iter().enumerate() {
        if x > best.1 {
            best = (i, x);
        }
    }
    best.0
}

struct Seen {
    table: TableUse,
    /// The clamp's bounds that count as saturation.
    bounds: Interval,
}

impl Seen {
    /// The arguments `hi(x)` of a run.
    fn see(&mut self, trace: &Trace, x: usize, hi: impl Fn(i64) -> i64) {
        let tensor = &trace.tensors[x];
        for i in 0..tensor.len() {
            let hi = hi(tensor.get(i));
            let Interval { lo, hi: most } = &mut self.table.used;
            (*lo, *most) = ((*lo).min(hi), (*most).max(hi));
            self.table.saturated += usize::from(!self.bounds.contains(hi));
        }
        self.table.cells += tensor.len();
    }
}

/// Argument tensor, shift and offset of every table node.
fn lookups(model: &Model) -> impl Iterator<Item = (usize, u32, i64)> + '_ {
    let nodes = model.graph.nodes.iter();
    nodes.filter_map(|node| match node.op {
        Op::Table { shift, offset, .. } => Some((node.inputs[0].0, shift, offset)),
        _ => None,
    })
}

fn table_uses(model: &Model) -> Vec<Seen> {
    let all = Interval {
        lo: i64::MIN,
        hi: i64::MAX,
    };
    let nodes = model.graph.nodes.iter();
    let uses = nodes.filter_map(|node| match node.op {
        Op::Table { table, .. } => {
            let table = &model.graph.tables[table.0];
            Some(Seen {
                table: TableUse {
                    node: node.name.clone(),
                    used: Interval {
                        lo: i64::MAX,
                        hi: i64::MIN,
                    },
                    domain: table.domain(),
                    cells: 0,
                    saturated: 0,
                },
                bounds: match table.function {
                    Function::Clamp { lo: 0, hi } => Interval { hi, ..all },
                    Function::Clamp { lo, hi } => Interval { lo, hi },
                    _ => all,
                },
            })
        }
        _ => None,
    });
    uses.collect()
}
