//! Squares that are weighed before they are added up, such as distances from a mean in parts of a
//! variance, are squares of weighed values: `k x^2 = (sqrt(k) x)^2` for `k >= 0`.
//!
//! Features of unlike sizes have still less like squares, which a sum of one unit cannot serve, and
//! weights that make up for that. What is weighed before it is squared has like sizes.

use super::calibration::Ranges;
use super::facts::{consumers, outputs};
use super::prepare::{copied, rewritten};
use super::{Error, Profile, policy, whole};
use crate::float::{Graph, Op};
use ndarray::{ArrayD, IxDyn, arr0};

/// The graph with weighed values squared, if there are squares of unlike weights.
pub(super) fn weighed(graph: &Graph, seen: &Ranges, _: Profile) -> Result<Option<Graph>, Error> {
    let nodes = graph.nodes();
    // Roots of factors of integers are none.
    let integers = whole::find(graph, &seen.values);
    let (consumers, outputs) = (consumers(graph), outputs(graph));
    let alone = |v: usize| consumers[v].len() == 1 && !outputs[v];
    // What is squared and then weighed by unlike factors, reshaped at most, and their roots.
    let square = |v: usize| -> Option<(usize, ArrayD<f32>)> {
        let (scale, shift) = nodes[v].op.affine()?;
        let sizes = scale.iter().copied().filter(|&k| k > 0.0);
        let (least, most) = sizes.fold((f32::INFINITY, 0.0_f32), |(a, b), k| (a.min(k), b.max(k)));
        let weights = shift.iter().all(|&t| t == 0.0) && scale.iter().all(|&k| k >= 0.0);
        if !weights || most < policy::UNLIKE_FEATURES * least {
            return None;
        }
        let product = reshaped(graph, nodes[v].inputs[0].0, alone);
        let [left, right] = nodes[product].inputs[..] else {
            return None;
        };
        let cellwise = nodes[product]
            .op
            .contract()
            .is_some_and(|labels| labels.left == labels.output && labels.right == labels.output);
        let from = reshaped(graph, left.0, |_| true);
        let same = reshaped(graph, right.0, |_| true) == from;
        if !is_added_up(graph, &consumers, v)
            || !cellwise
            || !alone(product)
            || !same
            || !squared(graph, &consumers, from, product)
        {
            return None;
        }
        let every = scale.broadcast(IxDyn(&nodes[v].shape))?;
        let roots = every.iter().map(|k| k.sqrt()).collect();
        let roots = ArrayD::from_shape_vec(IxDyn(&nodes[from].shape), roots).ok()?;
        (!outputs[v] && !outputs[from] && integers[from].is_none()).then_some((from, roots))
    };
    let squares: Vec<Option<(usize, ArrayD<f32>)>> = (0..nodes.len()).map(square).collect();
    if squares.iter().all(Option::is_none) {
        return Ok(None);
    }
    rewritten(graph, |b, v, inputs| {
        let node = &nodes[v];
        if squares[v].is_some() {
            return Ok(inputs[0]);
        }
        let roots = squares.iter().flatten().find(|(from, _)| *from == v);
        let Some((_, roots)) = roots else {
            return copied(b, node, inputs);
        };
        if let Some((scale, shift)) = node.op.affine() {
            let (scale, shift) = (roots * scale, roots * shift);
            return b.add(&node.name, Op::Affine { scale, shift }, inputs);
        }
        let value = copied(b, node, inputs)?;
        let (scale, shift) = (roots.clone(), arr0(0.0).into_dyn());
        b.add(&node.name, Op::Affine { scale, shift }, &[value])
    })
    .map(Some)
}

/// Whether nothing becomes of `v`, reshaped, but sums of its cells: the product of a root with itself is
/// the factor but for rounding, which one cell would show where it is an integer.
fn is_added_up(graph: &Graph, consumers: &[Vec<usize>], v: usize) -> bool {
    let op = |c: usize| &graph.nodes()[c].op;
    let adds = |&c: &usize| match op(c) {
        Op::Reshape { .. } => is_added_up(graph, consumers, c),
        op => op.adds_cells(),
    };
    !consumers[v].is_empty() && consumers[v].iter().all(adds)
}

/// Whether nothing becomes of `from`, reshaped, but `product`.
fn squared(graph: &Graph, consumers: &[Vec<usize>], from: usize, product: usize) -> bool {
    let reshapes = |c: usize| matches!(graph.nodes()[c].op, Op::Reshape { .. });
    let leads = |&c: &usize| c == product || reshapes(c) && squared(graph, consumers, c, product);
    consumers[from].iter().all(leads)
}

/// What `v` is reshaped from, past values of which this holds.
fn reshaped(graph: &Graph, mut v: usize, so: impl Fn(usize) -> bool) -> usize {
    while matches!(graph.nodes()[v].op, Op::Reshape { .. }) && so(v) {
        v = graph.nodes()[v].inputs[0].0;
    }
    v
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::float::{AxisMap, AxisMatrix, Contract, GraphBuilder};
    use crate::quantise::{Accuracy, Calibration, Options, Profile, quantise};

    /// Distances of three features of deviations 100, 1 and 0.001 from two means, as naive Bayes has
    /// them.
    #[test]
    fn distances_in_parts_of_variances() {
        let array = |shape: &[usize], cells: &[f32]| {
            ArrayD::from_shape_vec(IxDyn(shape), cells.to_vec()).expect("as many cells")
        };
        let mut b = GraphBuilder::new();
        let x = b.input("x", &[1, 3]).expect("a shape");
        let mut add = |op: Op, inputs: &[crate::float::ValueId]| {
            b.add("node", op, inputs).expect("shapes agree")
        };
        let both = AxisMap::Matrix(AxisMatrix::select(1, &[0, 0]));
        let x = add(Op::Map(vec![both, AxisMap::Keep]), &[x]);
        let means = [1000.0, 0.0, 0.05, 1200.0, 1.5, 0.053];
        let shift = array(&[2, 3], &means.map(|mean: f32| -mean));
        let scale = arr0(1.0).into_dyn();
        let from = add(Op::Affine { scale, shift }, &[x]);
        let square = Op::Contract(Contract::elementwise(2));
        let square = add(square, &[from, from]);
        let scale = array(&[2, 3], &[1e-4, 1.0, 1e6, 2e-4, 0.5, 4e5]);
        let shift = arr0(0.0).into_dyn();
        let parts = add(Op::Affine { scale, shift }, &[square]);
        let entries = (0..3).map(|i| (0, i, 1)).collect();
        let sum = AxisMap::Matrix(AxisMatrix {
            input: 3,
            output: 1,
            entries,
            divisor: 1,
        });
        let sums = add(Op::Map(vec![AxisMap::Keep, sum]), &[parts]);
        let graph = b.finish(vec![("y".into(), sums)]).expect("valid");
        let row = |i: usize| {
            let t = |k: usize| ((i * k) % 11) as f32 / 5.0 - 1.0;
            let x = [1100.0 + 150.0 * t(3), 0.75 + t(5), 0.0515 + 2e-3 * t(7)];
            vec![array(&[1, 3], &x)]
        };
        let samples: Vec<_> = (0..40).map(row).collect();
        let calibration = Calibration::from_samples(samples.clone());
        for (profile, limit) in [(Profile::Fast, 0.02), (Profile::Accurate, 2e-3)] {
            let model = quantise(&graph, &calibration, &Options::new(profile));
            let model = model.expect("quantises").model;
            let accuracy = Accuracy::measure(&graph, &model, &samples).expect("runs");
            let error = accuracy.outputs[0].range_error();
            assert!(error < limit, "{profile:?}: {error}");
        }
    }
}
