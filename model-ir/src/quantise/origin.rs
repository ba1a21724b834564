//! Where an output's error arises: the nodes of a float graph against the integers of a run.
//!
//! Integer nodes carry the name of the float node whose value they hold, in a scale and with a zero
//! point that are their own. The relative error of a value is therefore what no affine function of
//! its integers explains: `sqrt(1 - rho^2)` for their correlation `rho` over the cells of all
//! samples, 0 for a perfect copy and 1 for noise. Of several integer tensors under one name the one
//! that fits best counts, and values that no integers stand for (reshapes, what is fused with a
//! neighbour) are passed over. From the output, errors are followed to the operands as long as these
//! are wrong themselves; where none is, errors that are small add up, and the largest is named.

use super::Error;
use super::policy;
use crate::float::{Graph, ValueId};
use crate::int::{Executor, Graph as IntGraph, Ints, TensorId};
use ndarray::ArrayD;

/// The first node on the way to an output whose value is wrong.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Origin {
    /// The source model's name of the node.
    pub node: String,
    /// The relative error of its value: the share of its standard deviation that no affine function
    /// of its integers explains.
    pub error: f64,
}

/// Sums over the cells of a value `x` and of integers `y` that may stand for it.
#[derive(Clone, Copy, Default)]
struct Moments {
    n: f64,
    x: f64,
    y: f64,
    xx: f64,
    yy: f64,
    xy: f64,
}

impl Moments {
    fn add(&mut self, value: &ArrayD<f32>, integers: &Ints) {
        for (i, &x) in value.iter().enumerate() {
            let (x, y) = (f64::from(x), integers.get(i) as f64);
            self.n += 1.0;
            self.x += x;
            self.y += y;
            self.xx += x * x;
            self.yy += y * y;
            self.xy += x * y;
        }
    }

    /// `sqrt(1 - rho^2)`; nothing is wrong with a constant value.
    fn error(&self) -> f64 {
        let covariance = |ab: f64, a: f64, b: f64| ab * self.n - a * b;
        let x = covariance(self.xx, self.x, self.x);
        let y = covariance(self.yy, self.y, self.y);
        let xy = covariance(self.xy, self.x, self.y);
        let rounding = |square: f64| square * self.n * 1e-12;
        if x <= rounding(self.xx) {
            return 0.0;
        }
        if y <= rounding(self.yy) {
            return 1.0;
        }
        (1.0 - xy * xy / (x * y)).max(0.0).sqrt()
    }
}

/// Where the error of each of these outputs arises.
pub(super) fn origins(
    graph: &Graph,
    model: &IntGraph,
    executor: &Executor,
    samples: &[Vec<ArrayD<f32>>],
    outputs: &[usize],
) -> Result<Vec<Origin>, Error> {
    // Integer nodes have the names of the simplified graph.
    let graph = &graph.simplified();
    let errors = errors(
        graph,
        model,
        executor,
        &samples[..policy::ORIGIN_SAMPLES.min(samples.len())],
    )?;
    let origin = |&output: &usize| first(graph, &errors, graph.outputs()[output].1);
    Ok(outputs.iter().map(origin).collect())
}

/// The relative error of every value that integers stand for.
fn errors(
    graph: &Graph,
    model: &IntGraph,
    executor: &Executor,
    samples: &[Vec<ArrayD<f32>>],
) -> Result<Vec<Option<f64>>, Error> {
    // Each feature of those has a unit of its own.
    let featured = model.inputs.iter().filter(|port| port.features.is_some());
    let featured: Vec<TensorId> = featured.map(|port| port.tensor).collect();
    let mut pairs: Vec<(usize, usize, Moments)> = Vec::new();
    for (v, node) in graph.nodes().iter().enumerate() {
        let cells: usize = node.shape.iter().product();
        let tensors = model.nodes.iter().enumerate();
        let stand = tensors.filter(|(t, int)| {
            int.name == node.name && int.cells() == cells && !featured.contains(&TensorId(*t))
        });
        pairs.extend(stand.map(|(t, _)| (v, t, Moments::default())));
    }
    for sample in samples {
        let values = graph.run(sample)?;
        let inputs = model.quantise_inputs(std::slice::from_ref(sample))?;
        let trace = executor.run(&inputs.cells)?;
        for (v, t, moments) in &mut pairs {
            moments.add(&values[*v], &trace.tensors[*t]);
        }
    }
    let mut errors: Vec<Option<f64>> = vec![None; graph.nodes().len()];
    for (v, _, moments) in pairs {
        let error = moments.error();
        errors[v] = Some(errors[v].map_or(error, |least| least.min(error)));
    }
    Ok(errors)
}

/// The first wrong value from which wrong values lead to `output`, or else the least exact one.
fn first(graph: &Graph, errors: &[Option<f64>], output: ValueId) -> Origin {
    let nodes = graph.nodes();
    let mut needed = vec![false; nodes.len()];
    let mut wrong = vec![false; nodes.len()];
    (needed[output.0], wrong[output.0]) = (true, true);
    let mut least_exact = (output.0, 0.0);
    let mut first = None;
    for v in (0..=output.0).rev() {
        if !needed[v] {
            continue;
        }
        if let Some(error) = errors[v].filter(|&error| error > least_exact.1) {
            least_exact = (v, error);
        }
        let found = wrong[v] && errors[v].is_some_and(|error| error > policy::WRONG);
        first = found.then_some(v).or(first);
        // What is not known to be right may be wrong.
        let leads = wrong[v] && (v == output.0 || found || errors[v].is_none());
        for x in &nodes[v].inputs {
            needed[x.0] = true;
            wrong[x.0] |= leads;
        }
    }
    let v = first.unwrap_or(least_exact.0);
    Origin {
        node: nodes[v].name.clone(),
        error: errors[v].unwrap_or(0.0),
    }
}
