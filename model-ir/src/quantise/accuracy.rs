//! How far an integer model is from its float graph on given samples.

use super::policy;
use super::ports::Inputs;
use super::{Error, Origin, origin};
use crate::float::Graph;
use crate::int::{Executor, Function, Interval, Model, Node, Op, Port, PortKind, Trace};
use ndarray::ArrayD;
use rayon::prelude::*;

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
    /// What its values are.
    pub kind: PortKind,
    /// Cells of one inference.
    pub cells: usize,
    /// Largest absolute difference.
    pub max_error: f64,
    /// Root of the mean square difference.
    pub rms_error: f64,
    /// Root of the mean square of the float output.
    pub rms: f64,
    /// Largest less smallest value of the float output. Where it has fewer than 10 cells in all
    /// samples together, or is constant, its magnitude if that is larger.
    pub range: f64,
    /// Standard deviation of the float output; 0 where it has fewer than 10 cells.
    pub deviation: f64,
    /// Fraction of the samples whose largest cell (the first one if several) is the same.
    pub argmax_agreement: f64,
    /// Fraction of the samples whose largest cell is float's, or within
    /// [`NEAR_TIE`](super::NEAR_TIE) of the range of it.
    pub near_agreement: f64,
    /// Fraction of the cells that are the same.
    pub equal_cells: f64,
    /// Whether this output is constant where float's is not, in 10 cells or more.
    pub constant: bool,
    /// Where the error arises, for outputs with a [fault](Self::fault).
    pub origin: Option<Origin>,
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

/// The values of an output, and how far they are off.
struct Differences {
    float: Extent,
    integer: Extent,
    max: f64,
    square_error: f64,
    sum: f64,
    square: f64,
    cells: usize,
    equal: usize,
    /// For every sample, how much larger float's largest cell is than the one that is the largest
    /// in integers.
    gaps: Vec<f64>,
    agree: usize,
}

/// Smallest and largest value.
struct Extent {
    lo: f64,
    hi: f64,
}

impl Accuracy {
    /// Runs both models on every sample; `samples[i]` has one array per model input.
    pub fn measure(
        graph: &Graph,
        model: &Model,
        samples: &[Vec<ArrayD<f32>>],
    ) -> Result<Self, Error> {
        let executor = Executor::new(model)?;
        let mut accuracy = compare(model, &executor, samples, |_, batch| {
            let outputs = |sample: &Vec<ArrayD<f32>>| -> Result<_, Error> {
                let values = graph.run(sample)?;
                let outputs = graph.outputs().iter();
                Ok(outputs.map(|(_, v)| values[v.0].clone()).collect())
            };
            batch.par_iter().map(outputs).collect()
        })?;
        let outputs = accuracy.outputs.iter();
        let faulty: Vec<usize> = outputs
            .enumerate()
            .filter_map(|(k, output)| output.fault().map(|_| k))
            .collect();
        if !faulty.is_empty() {
            let origins = origin::origins(graph, &model.graph, &executor, samples, &faulty)?;
            for (k, origin) in faulty.into_iter().zip(origins) {
                accuracy.outputs[k].origin = Some(origin);
            }
        }
        Ok(accuracy)
    }

    /// Runs the integer model on every sample and compares it with outputs from elsewhere:
    /// `expected[i]` has one array per model output.
    ///
    /// # Panics
    /// If there are not as many of them as samples.
    pub fn against(
        model: &Model,
        samples: &[Vec<ArrayD<f32>>],
        expected: &[Vec<ArrayD<f32>>],
    ) -> Result<Self, Error> {
        assert_eq!(samples.len(), expected.len(), "outputs of every sample");
        let executor = Executor::new(model)?;
        compare(model, &executor, samples, |first, batch| {
            Ok(expected[first..first + batch.len()].to_vec())
        })
    }
}

/// Runs the integer model on every sample, and compares it with the outputs that `expected` gives
/// for the first index of a batch and its samples.
fn compare<F>(
    model: &Model,
    executor: &Executor,
    samples: &[Vec<ArrayD<f32>>],
    expected: F,
) -> Result<Accuracy, Error>
where
    F: Fn(usize, &[Vec<ArrayD<f32>>]) -> Result<Vec<Vec<ArrayD<f32>>>, Error>,
{
    let mut tables = table_uses(model);
    let ports = &model.graph.outputs;
    let mut differences: Vec<Differences> = ports.iter().map(|_| Differences::new()).collect();
    let mut saturated_inputs = 0;
    let size = batch(model);
    for (i, batch) in samples.chunks(size).enumerate() {
        let expected = expected(i * size, batch)?;
        let Inputs { cells, saturated } = model.quantise_inputs(batch)?;
        saturated_inputs += saturated;
        let trace = executor.run(&cells)?;
        for (table, (x, shift, offset)) in tables.iter_mut().zip(lookups(model)) {
            table.see(&trace, x, |x| (x + offset) >> shift);
        }
        let outputs = model.graph.dequantise_outputs(&trace);
        for (expected, outputs) in expected.iter().zip(&outputs) {
            for ((x, y), differences) in expected.iter().zip(outputs).zip(&mut differences) {
                differences.add(x, y);
            }
        }
    }
    let named = ports.iter().zip(differences);
    Ok(Accuracy {
        samples: samples.len(),
        saturated_inputs,
        outputs: named.map(|(port, d)| d.finish(port)).collect(),
        tables: tables.into_iter().map(|t| t.table).collect(),
    })
}

/// How many samples run at once. Nothing but time and memory depends on it.
fn batch(model: &Model) -> usize {
    let cells: usize = model.graph.nodes.iter().map(Node::cells).sum();
    let most = policy::BATCH_CELLS / cells.max(1);
    most.max(rayon::current_num_threads()).min(policy::BATCH)
}

impl Extent {
    const EMPTY: Self = Self {
        lo: f64::INFINITY,
        hi: f64::NEG_INFINITY,
    };

    fn see(&mut self, x: f64) {
        (self.lo, self.hi) = (self.lo.min(x), self.hi.max(x));
    }

    fn length(&self) -> f64 {
        (self.hi - self.lo).max(0.0)
    }

    fn magnitude(&self) -> f64 {
        self.hi.max(-self.lo).max(0.0)
    }

    fn is_constant(&self) -> bool {
        self.length() <= policy::ROUNDING * self.magnitude()
    }
}

impl Differences {
    fn new() -> Self {
        Self {
            float: Extent::EMPTY,
            integer: Extent::EMPTY,
            max: 0.0,
            square_error: 0.0,
            sum: 0.0,
            square: 0.0,
            cells: 0,
            equal: 0,
            gaps: vec![],
            agree: 0,
        }
    }

    fn add(&mut self, float: &ArrayD<f32>, integer: &ArrayD<f32>) {
        for (&x, &y) in float.iter().zip(integer) {
            let (x, y) = (f64::from(x), f64::from(y));
            let error = x - y;
            self.max = self.max.max(error.abs());
            self.square_error += error * error;
            self.sum += x;
            self.square += x * x;
            self.equal += usize::from(error == 0.0);
            self.float.see(x);
            self.integer.see(y);
        }
        self.cells += float.len();
        let (best, found) = (argmax(float), argmax(integer));
        let cell = |i| f64::from(float.iter().nth(i).copied().unwrap_or(0.0));
        self.gaps.push(cell(best) - cell(found));
        self.agree += usize::from(best == found);
    }

    fn finish(self, port: &Port) -> OutputAccuracy {
        let cells = self.cells.max(1) as f64;
        let samples = self.gaps.len().max(1);
        let few = self.cells < policy::FEW_CELLS;
        let range = if few || self.float.is_constant() {
            self.float.length().max(self.float.magnitude())
        } else {
            self.float.length()
        };
        let variance = self.square / cells - (self.sum / cells).powi(2);
        let near = self
            .gaps
            .iter()
            .filter(|&&gap| gap <= policy::NEAR_TIE * range);
        OutputAccuracy {
            name: port.name.clone(),
            kind: port.kind,
            cells: port.shape.iter().product(),
            max_error: self.max,
            rms_error: (self.square_error / cells).sqrt(),
            rms: (self.square / cells).sqrt(),
            range,
            deviation: if few || self.float.is_constant() {
                0.0
            } else {
                variance.max(0.0).sqrt()
            },
            argmax_agreement: self.agree as f64 / samples as f64,
            near_agreement: near.count() as f64 / samples as f64,
            equal_cells: self.equal as f64 / cells,
            constant: !few && self.integer.length() == 0.0 && !self.float.is_constant(),
            origin: None,
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
