//! What rounding may cost: runs with noise of one step at every node.

use super::graph::{Case, Values};
use super::number::Random;
use super::tensor::Tensor;
use crate::args::Profile;
use ndarray::{ArrayD, IxDyn};
use std::collections::BTreeMap;
use zkstrata_model_ir::float::{Activation, AxisMap, Graph, GraphBuilder, Op, Ties, ValueId};

/// Runs of each kind of noise.
const RUNS: usize = 8;

/// How often the graph is run with noise.
#[derive(Clone, Copy, Debug)]
pub(super) enum Effort {
    /// For a first look.
    Some,
    /// Before something is called wrong: which of several cells decides may be rare.
    Much,
}

impl Effort {
    fn runs(self) -> usize {
        match self {
            Self::Some => 4 * RUNS,
            Self::Much => 64 * RUNS,
        }
    }
}

/// The reference on a sample, with noise as from single precision at every operator. In every other
/// run cells are rounded to multiples instead, so that what differs by less is equal. `factor` is how
/// often that noise.
pub(super) fn of_single_precision(
    case: &Case,
    sample: usize,
    factor: f64,
    effort: Effort,
) -> Vec<Values> {
    let runs = (0..effort.runs() as u64 / 2).filter_map(|seed| {
        let mut random = Random::new(seed, 1);
        let run = case.run_with(sample, &mut |node, operands, tensor| {
            if !tensor.kind.is_float() {
                return;
            }
            let mut most = size(tensor);
            if node.is_some_and(|node| CANCELLING.contains(&&*node.op)) {
                most = operands
                    .iter()
                    .map(|t| size(t))
                    .fold(most.max(1.0), f64::max);
            }
            if node.is_some_and(|node| NORMALISING.contains(&&*node.op)) {
                most *= steepness(operands[0], tensor);
            }
            // Rows are divided by their deviations, which may be small beside their cells.
            if node.is_some_and(|node| node.op == "MeanVarianceNormalization") {
                most = 1e4;
            }
            let unit = 6e-8 * factor * most;
            for x in &mut tensor.cells {
                if seed % 2 == 0 {
                    *x += (2.0 * random.unit() - 1.0) * (2e-7 * factor * x.abs() + unit);
                } else if unit > 0.0 {
                    let unit = unit * [1.0, 3.0, 7.0, 20.0][seed as usize / 2 % 4];
                    *x = (*x / unit).round() * unit;
                }
            }
        });
        run.ok()
    });
    runs.collect()
}

/// Operators that are sums of larger terms, whose rounding shows in small results.
const CANCELLING: &[&str] = &[
    "BatchNormalization",
    "GRU",
    "GroupNormalization",
    "InstanceNormalization",
    "LSTM",
    "LayerNormalization",
    "LogSoftmax",
    "MeanVarianceNormalization",
    "Mod",
    "RNN",
    "ReduceLogSumExp",
    "Where",
];

/// Operators that divide what is left of their operand by its deviation.
const NORMALISING: &[&str] = &[
    "GroupNormalization",
    "InstanceNormalization",
    "LayerNormalization",
];

/// By how much a normalisation makes differences of neighbours larger, at least 1.
fn steepness(x: &Tensor, y: &Tensor) -> f64 {
    // The deviation is at least the root of the usual epsilon.
    const STEEPEST: f64 = 316.0;
    if x.shape != y.shape {
        return 1.0;
    }
    let pairs = x.cells.windows(2).zip(y.cells.windows(2));
    let ratios = pairs.map(|(x, y)| (y[0] - y[1]).abs() / (x[0] - x[1]).abs());
    let most = ratios.filter(|r| r.is_finite()).fold(1.0, f64::max);
    most.min(STEEPEST)
}

fn size(x: &Tensor) -> f64 {
    let float = x.kind.is_float();
    x.cells
        .iter()
        .filter(|_| float)
        .fold(0.0, |m, c| m.max(c.abs()))
}

/// By value: whether it is only compared with 0.
fn compared(graph: &Graph) -> Vec<bool> {
    let mut compared = vec![false; graph.nodes().len()];
    let mut other = vec![false; graph.nodes().len()];
    for node in graph.nodes() {
        let compares = matches!(
            node.op,
            Op::Activation(Activation::Step | Activation::IsZero)
        );
        let uses = if compares { &mut compared } else { &mut other };
        node.inputs.iter().for_each(|x| uses[x.0] = true);
    }
    let differs = |v: usize| matches!(graph.nodes()[v].op, Op::Sub | Op::Add | Op::Affine { .. });
    (0..compared.len())
        .map(|v| compared[v] && !other[v] && differs(v))
        .collect()
}

/// A float graph with noise of the size of a profile's steps.
pub(super) struct Noisy<'a> {
    graph: &'a Graph,
    /// By node: one step, 0 where nothing is rounded.
    steps: Vec<f64>,
    /// What was run, by sample.
    runs: BTreeMap<usize, Vec<Option<Vec<ArrayD<f32>>>>>,
}

/// One step in parts of a range: `2^-(bits - 1)` times the margin.
fn step(profile: Profile) -> f64 {
    match profile {
        Profile::Fast => 1.25 / 127.0,
        Profile::Accurate => 2.0 / 2047.0,
    }
}

/// One step of values that are summed or compared, in parts of the range of all that are tied to
/// them.
fn fine_step(profile: Profile) -> f64 {
    match profile {
        Profile::Fast => 1.0 / 2048.0,
        Profile::Accurate => 1.0 / 16384.0,
    }
}

impl<'a> Noisy<'a> {
    /// The graph with the ranges of these runs.
    pub(super) fn new(graph: &'a Graph, floats: &[Vec<ArrayD<f32>>], profile: Profile) -> Self {
        let mut exact: Vec<bool> = Vec::new();
        let (mut steps, mut sizes, mut moved) = (Vec::new(), Vec::new(), Vec::new());
        for (v, node) in graph.nodes().iter().enumerate() {
            let cells = || floats.iter().flat_map(|run| run[v].iter());
            let whole = cells().all(|x| x.fract() == 0.0);
            let of_integers = match &node.op {
                Op::Input { integral } => *integral,
                Op::Activation(f) => f.is_integral() || exact[node.inputs[0].0],
                _ => node.inputs.iter().all(|x| exact[x.0]),
            };
            exact.push(whole && of_integers);
            let moves = match &node.op {
                Op::Reshape { .. } | Op::Transpose { .. } | Op::Take { .. } => true,
                Op::Map(axes) => axes.iter().all(|axis| match axis {
                    AxisMap::Keep => true,
                    AxisMap::Matrix(m) => m.selects(),
                }),
                _ => false,
            };
            let size = f64::from(cells().fold(0.0_f32, |m, x| m.max(x.abs())));
            // Results far below what a function reaches are small beside it, not by themselves.
            let least = match &node.op {
                Op::Activation(f) => f.bound().unwrap_or(0.0) / 1024.0,
                _ => 0.0,
            };
            sizes.push(size.max(least));
            moved.push(moves);
        }
        // Values that are tied have the scale of the largest.
        let whole = exact.iter().zip(&sizes);
        let mut tied: Vec<f64> = whole
            .map(|(&w, &size)| if w { size.max(1.0) } else { size })
            .collect();
        for _ in 0..2 {
            for (v, node) in graph.nodes().iter().enumerate().rev() {
                let ties = matches!(
                    node.op,
                    Op::Concat { .. }
                        | Op::Max
                        | Op::Maximum { .. }
                        | Op::Pad { .. }
                        | Op::Add
                        | Op::Sub
                );
                let keeps = matches!(&node.op, Op::Activation(f) if f.keeps_scale());
                if ties || keeps || moved[v] {
                    let all = || node.inputs.iter().map(|x| x.0);
                    let most = all().map(|x| tied[x]).fold(tied[v], f64::max);
                    tied[v] = most;
                    all().for_each(|x| tied[x] = most);
                }
            }
        }
        let compared = compared(graph);
        for v in 0..sizes.len() {
            // The largest of cells is one of them, and differences are compared as they are.
            let chooses = matches!(graph.nodes()[v].op, Op::Max | Op::Maximum { .. });
            let quiet = exact[v] || chooses || compared[v] || moved[v];
            let size = step(profile) * sizes[v] + fine_step(profile) * tied[v];
            steps.push(if quiet { 0.0 } else { size });
        }
        Self {
            graph,
            steps,
            runs: BTreeMap::new(),
        }
    }

    /// Value `v` on a sample, once per run; the runs are of one step of noise, and of three.
    pub(super) fn values(
        &mut self,
        sample: &[ArrayD<f32>],
        (i, v): (usize, usize),
        effort: Effort,
    ) -> Vec<Vec<f64>> {
        let done = self.runs.get(&i).map_or(0, Vec::len);
        let runs = (done..effort.runs()).map(|k| {
            let steps = if k % 2 == 0 { 1.0 } else { 3.0 };
            self.run(sample, steps, k as u64)
        });
        let runs: Vec<_> = runs.collect();
        let known = self.runs.entry(i).or_default();
        known.extend(runs);
        let cells = |run: &Vec<ArrayD<f32>>| run[v].iter().map(|&x| x.into()).collect();
        known.iter().flatten().map(cells).collect()
    }

    /// One value per node: the sum of it and its noise.
    fn run(&self, sample: &[ArrayD<f32>], steps: f64, seed: u64) -> Option<Vec<ArrayD<f32>>> {
        let mut random = Random::new(seed, 2);
        let mut builder = GraphBuilder::new();
        let mut places: Vec<ValueId> = Vec::new();
        for (v, node) in self.graph.nodes().iter().enumerate() {
            let inputs: Vec<ValueId> = node.inputs.iter().map(|x| places[x.0]).collect();
            let value = match &node.op {
                Op::Input { integral: true } => builder.integral_input(&node.name, &node.shape),
                Op::Input { integral: false } => builder.input(&node.name, &node.shape),
                op => builder.add(&node.name, op.clone(), &inputs),
            };
            let mut value = value.ok()?;
            if self.steps[v] > 0.0 {
                let size = steps * self.steps[v];
                let op = if seed % 4 < 2 {
                    let mut cell = || random.real(-size, size) as f32;
                    Op::Affine {
                        scale: ArrayD::from_elem(IxDyn(&vec![1; node.shape.len()]), 1.0),
                        shift: ArrayD::from_shape_simple_fn(IxDyn(&node.shape), &mut cell),
                    }
                } else {
                    // Rounded to multiples, so that what differs by less is equal; every other time
                    // integers are multiples.
                    let size = if seed % 4 == 2 {
                        size * random.real(0.3, 1.0)
                    } else {
                        size.log2().floor().exp2()
                    };
                    Op::Activation(Activation::Quantize {
                        scale: size as f32,
                        lo: -(1 << 23),
                        hi: 1 << 23,
                        ties: Ties::Even,
                    })
                };
                value = builder.add("noise", op, &[value]).ok()?;
            }
            places.push(value);
        }
        // Every value is an output, so that none is dropped and each keeps its place.
        let outputs = places.iter().map(|&v| (String::new(), v)).collect();
        let graph = builder.finish(outputs).ok()?;
        let values = graph.run(sample).ok()?;
        Some(
            graph
                .outputs()
                .iter()
                .map(|(_, v)| values[v.0].clone())
                .collect(),
        )
    }
}
