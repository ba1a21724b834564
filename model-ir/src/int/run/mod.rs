//! The executor: the specification of every operator on integers.
//!
//! All arithmetic is exact; shifts are arithmetic: they round down. The formulas are those of
//! [`Op`] and its parts.

mod affine;
mod cell;
mod contract;
mod conv;
mod dense;
mod depthwise;
mod direct;
mod grid;
mod kernel;
mod lookup;
mod map;
mod matrix;
mod packed;
mod rearrange;
mod window;

use super::{Interval, Ints, Model, ModelError, Node, Op, TableId, TensorId, Trace, ValidGraph};
use affine::Layer;
use cell::{Cell, each_type};
use contract::ContractPlan;
use lookup::{LookupPlan, Rounding};
use map::MapPlan;
use rearrange::PermutePlan;

/// Cells per parallel task of an elementwise pass.
const GRAIN: usize = 1 << 14;

/// Multiplications that are worth a parallel task.
const TASK: usize = 1 << 18;

/// How many parallel tasks a product of `work` multiplications is worth.
fn tasks_for(work: usize) -> usize {
    (work / TASK).clamp(1, 4 * rayon::current_num_threads())
}

/// A model made ready to run: weights are in the order in which the kernels read them.
///
/// Shared between threads; one executor serves any number of runs.
#[derive(Debug)]
pub struct Executor {
    graph: ValidGraph,
    steps: Vec<Step>,
    /// Multiplications of the most expensive step of one inference.
    work: usize,
}

#[derive(Debug)]
enum Step {
    Input,
    Affine(Box<dyn Layer>),
    Map(MapPlan),
    Sum(Vec<i64>),
    Permute(PermutePlan),
    Gather(Vec<u32>),
    Lookup(LookupPlan, TableId),
    Contract(Box<ContractPlan>),
    Constant(Vec<i64>),
}

/// Runs `model` once; see [`Executor::run`].
pub fn run(model: &Model, inputs: &[Ints]) -> Result<Trace, RunError> {
    Executor::new(model)?.run(inputs)
}

impl Executor {
    /// Validates `model` and prepares it.
    pub fn new(model: &Model) -> Result<Self, ModelError> {
        let graph = ValidGraph::of_model(model)?;
        let interval = |t: TensorId| graph.node(t).interval;
        let steps = graph.nodes.iter().map(|node| match &node.op {
            Op::Input => Step::Input,
            Op::Affine(affine) => {
                let bias = affine.bias.map(|b| model.biases[b.0].as_slice());
                let weights = model.weights[affine.weight.0].widened();
                let input = interval(node.inputs[0]);
                Step::Affine(affine::layer(affine, &weights, bias, input, node.interval))
            }
            Op::Map(map) => Step::Map(MapPlan::new(map)),
            Op::Sum { coefs } => Step::Sum(coefs.clone()),
            Op::Permute { axes, perm } => Step::Permute(PermutePlan::new(axes, perm)),
            Op::Gather { map } => Step::Gather(map.clone()),
            Op::Table {
                table,
                ranges,
                offset,
                ..
            } => {
                let plan = LookupPlan::new(
                    &graph.tables[table.0],
                    Rounding::new(&graph.tables, ranges, *offset),
                    interval(node.inputs[0]),
                    node.interval,
                );
                Step::Lookup(plan, *table)
            }
            Op::Contract(contract) => {
                let intervals = [0, 1].map(|k| interval(node.inputs[k]));
                Step::Contract(Box::new(ContractPlan::new(contract, intervals, node)))
            }
            Op::Constant { bias } => Step::Constant(model.biases[bias.0].clone()),
        });
        let steps = steps.collect();
        let work = graph.nodes.iter().map(work).max().unwrap_or(0);
        Ok(Self { graph, steps, work })
    }

    /// The model's graph, which is valid.
    pub fn graph(&self) -> &ValidGraph {
        &self.graph
    }

    /// Every tensor of a batch of inferences. `inputs[k]` holds graph input `k` of every
    /// inference, dense `[B, axes..]`; `B` follows from its length.
    pub fn run(&self, inputs: &[Ints]) -> Result<Trace, RunError> {
        let batch = self.batch(inputs)?;
        if batch.saturating_mul(self.work) < 2 * TASK {
            return self.run_batch(inputs, batch);
        }
        // One change of threads for the whole run instead of one per parallel loop.
        rayon::scope(|_| self.run_batch(inputs, batch))
    }

    fn run_batch(&self, inputs: &[Ints], batch: usize) -> Result<Trace, RunError> {
        let nodes = self.graph.nodes.len();
        let mut trace = Trace {
            batch,
            tensors: Vec::with_capacity(nodes),
            remainders: Vec::with_capacity(nodes),
        };
        for (id, step) in self.steps.iter().enumerate() {
            let node = &self.graph.nodes[id];
            let x = |k: usize| &trace.tensors[node.inputs[k].0];
            let (tensor, limbs) = match step {
                Step::Input => {
                    let port = self.graph.inputs.iter().position(|p| p.tensor.0 == id);
                    let k = port.expect("validation gives every input node a port");
                    (self.input(k, &inputs[k])?, vec![])
                }
                Step::Affine(layer) => {
                    let mut y = Ints::zeros(node.interval, batch * node.cells());
                    layer.run(x(0), &mut y);
                    (y, vec![])
                }
                Step::Map(plan) => (plan.run(x(0), node.interval, batch), vec![]),
                Step::Sum(coefs) => {
                    let terms: Vec<&Ints> = (0..coefs.len()).map(x).collect();
                    (
                        rearrange::sum(coefs, &terms, node.interval, x(0).len()),
                        vec![],
                    )
                }
                Step::Permute(plan) => (plan.run(x(0), node.interval, batch), vec![]),
                Step::Gather(map) => (rearrange::gather(map, x(0), node.interval, batch), vec![]),
                Step::Contract(plan) => (plan.run([x(0), x(1)], batch), vec![]),
                Step::Constant(cells) => (rearrange::constant(cells, node.interval, batch), vec![]),
                Step::Lookup(plan, table) => {
                    plan.run(x(0), node.interval)
                        .map_err(|outside| RunError::OutsideDomain {
                            node: node.name.clone(),
                            table: *table,
                            value: outside.0,
                            domain: plan.domain(),
                        })?
                }
            };
            trace.tensors.push(tensor);
            trace.remainders.push(limbs);
        }
        Ok(trace)
    }

    /// The number of inferences on which all inputs agree.
    fn batch(&self, inputs: &[Ints]) -> Result<usize, RunError> {
        let ports = &self.graph.inputs;
        if inputs.len() != ports.len() {
            return Err(RunError::InputCount {
                got: inputs.len(),
                expected: ports.len(),
            });
        }
        let mut batch = None;
        for (port, x) in ports.iter().zip(inputs) {
            let cells = self.graph.node(port.tensor).cells();
            if x.is_empty() || !x.len().is_multiple_of(cells) {
                return Err(RunError::InputLength {
                    input: port.name.clone(),
                    got: x.len(),
                    cells,
                });
            }
            let got = x.len() / cells;
            let expected = *batch.get_or_insert(got);
            if got != expected {
                return Err(RunError::BatchSize {
                    input: port.name.clone(),
                    got,
                    expected,
                });
            }
        }
        batch.ok_or(RunError::InputCount {
            got: 0,
            expected: 0,
        })
    }

    /// Input `k` in the type of its interval, every cell checked.
    fn input(&self, k: usize, x: &Ints) -> Result<Ints, RunError> {
        let port = &self.graph.inputs[k];
        let interval = self.graph.node(port.tensor).interval;
        let mut y = Ints::zeros(interval, x.len());
        each_type!(x, x => {
            if let Some(index) = x.iter().position(|x| !interval.contains(x.widen())) {
                return Err(RunError::InputCell {
                    input: port.name.clone(),
                    index,
                    value: x[index].widen(),
                    interval,
                });
            }
            each_type!(&mut y, y => {
                for (y, &x) in y.iter_mut().zip(x) {
                    *y = x.cast();
                }
            });
        });
        Ok(y)
    }
}

/// About how many multiplications a node costs; a cell that is only moved counts as a few.
fn work(node: &Node) -> usize {
    let terms = match &node.op {
        Op::Affine(affine) => affine.weight_shape().len() / affine.rows(),
        Op::Contract(contract) => contract.terms().max(TASK / GRAIN),
        _ => TASK / GRAIN,
    };
    node.cells().saturating_mul(terms)
}

/// Why a model did not run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The model itself is malformed.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The wrong number of input tensors.
    #[error("got {got} input tensors, the model has {expected}")]
    InputCount {
        /// Given.
        got: usize,
        /// The model's.
        expected: usize,
    },
    /// An input is empty or not a whole number of inferences.
    #[error("input `{input}` has {got} cells, which is not a positive multiple of {cells}")]
    InputLength {
        /// Name of the input.
        input: String,
        /// Cells given.
        got: usize,
        /// Cells of one inference.
        cells: usize,
    },
    /// Two inputs hold different numbers of inferences.
    #[error("input `{input}` holds {got} inferences, the inputs before it {expected}")]
    BatchSize {
        /// Name of the input.
        input: String,
        /// Inferences in this input.
        got: usize,
        /// Inferences in the inputs before it.
        expected: usize,
    },
    /// An input cell is outside the interval that the model declares.
    #[error("cell {index} of input `{input}` is {value}, outside the declared {interval}")]
    InputCell {
        /// Name of the input.
        input: String,
        /// Index in the dense batch.
        index: usize,
        /// The cell.
        value: i64,
        /// What the model declares.
        interval: Interval,
    },
    /// A table's argument is not in its domain: the calibration saw no such value.
    #[error(
        "node `{node}`: the value {value} is outside the calibrated range {domain}; set up again with \
         calibration samples like this input"
    )]
    OutsideDomain {
        /// The table node.
        node: String,
        /// Its table.
        table: TableId,
        /// The argument.
        value: i64,
        /// The table's domain.
        domain: Interval,
    },
}
