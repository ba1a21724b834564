//! Masked scores are lifted to where they still count for nothing.
//!
//! A softmax reads `x - max x`, and what lies far below every maximum has the weight 0 wherever it
//! lies. A mask of `-10^4` that is added to some scores would stretch their scale until the others
//! are lost; so the scores are clipped from below, further under the least maximum that calibration
//! saw than an exponential tells from 0.

use super::calibration::{Range, Ranges};
use super::facts::{consumers, outputs};
use super::prepare::{copied, rewritten};
use super::{Error, Profile, policy};
use crate::float::{Activation, Graph, Op};

/// The graph with clipped scores, if there are any to clip.
pub(super) fn lifted(graph: &Graph, seen: &Ranges, _: Profile) -> Result<Option<Graph>, Error> {
    let floors = floors(graph, &seen.values);
    if floors.iter().all(Option::is_none) {
        return Ok(None);
    }
    rewritten(graph, |b, v, inputs| {
        let node = &graph.nodes()[v];
        let value = copied(b, node, inputs)?;
        let Some(lo) = floors[v] else {
            return Ok(value);
        };
        let hi = f32::INFINITY;
        let clip = Op::Activation(Activation::Clip { lo, hi });
        b.add(&node.name, clip, &[value])
    })
    .map(Some)
}

/// By value: from where on the scores of a softmax are lifted.
fn floors(graph: &Graph, ranges: &[Range]) -> Vec<Option<f32>> {
    let nodes = graph.nodes();
    let (consumers, outputs) = (consumers(graph), outputs(graph));
    let exponentials = |v: usize| {
        let exponential = |&c: &usize| nodes[c].op.activation() == Some(Activation::Exp);
        !outputs[v] && consumers[v].iter().all(exponential)
    };
    let floor = |u: usize| {
        // The maximum, and differences of which only exponentials are taken.
        let maximum = |c: &&usize| nodes[**c].op.reduces_to_maximum();
        let (maxima, others): (Vec<usize>, Vec<usize>) = consumers[u].iter().partition(maximum);
        let difference =
            |&s: &usize| nodes[s].op.subtracts() && nodes[s].inputs[0].0 == u && exponentials(s);
        let &[most] = maxima.as_slice() else {
            return None;
        };
        if outputs[u] || others.is_empty() || !others.iter().all(difference) {
            return None;
        }
        let maxima = ranges[most];
        let room = policy::LIFT_ROOM * (maxima.hi - maxima.lo);
        let floor = maxima.lo - policy::FAR_BELOW.max(room);
        let Range { lo, hi } = ranges[u];
        let shorter = hi - floor.min(hi);
        let worth = lo < floor && (hi - lo) > policy::LIFT_WORTH * shorter;
        let integral = |x: f64| x.floor() as f32;
        worth.then(|| integral(floor))
    };
    (0..nodes.len()).map(floor).collect()
}

#[cfg(test)]
mod tests {
    use crate::float::random::Random;
    use crate::float::{Activation, AxisMap, AxisMatrix, Contract, GraphBuilder, Op};
    use crate::quantise::{Accuracy, Calibration, Options, Profile, quantise};
    use ndarray::{ArrayD, IxDyn};

    /// Softmax of the products of two inputs to which a third adds 0 or -10000.
    #[test]
    fn a_finite_mask_does_not_coarsen_the_scores() {
        let n = 24;
        let mut b = GraphBuilder::new();
        let inputs = [0, 1, 2].map(|_| b.input("x", &[2, n]).expect("a shape"));
        let mut add = |op: Op, inputs: &[_]| b.add("node", op, inputs).expect("shapes agree");
        let along = |m| Op::Map(vec![AxisMap::Keep, AxisMap::Matrix(m)]);
        let spread = || along(AxisMatrix::select(1, &vec![0; n]));
        let scores = add(Op::Contract(Contract::elementwise(2)), &inputs[..2]);
        let scores = add(Op::Add, &[scores, inputs[2]]);
        let most = add(Op::Maximum { axis: 1 }, &[scores]);
        let most = add(spread(), &[most]);
        let over = add(Op::Sub, &[scores, most]);
        let e = add(Op::Activation(Activation::Exp), &[over]);
        let sum = add(along(AxisMatrix::sum(n, 1)), &[e]);
        let factor = add(Op::Activation(Activation::Reciprocal), &[sum]);
        let factor = add(spread(), &[factor]);
        let y = add(Op::Contract(Contract::elementwise(2)), &[e, factor]);
        let graph = b.finish(vec![("y".into(), y)]).expect("valid");
        let mut random = Random::new(1);
        let mut samples = |count: usize| -> Vec<Vec<ArrayD<f32>>> {
            let mut sample = || {
                let mask = |i: ndarray::IxDyn| if i[1] % 3 == 1 { -10_000.0 } else { 0.0 };
                let mask = ArrayD::from_shape_fn(IxDyn(&[2, n]), mask);
                vec![random.array(&[2, n]), random.array(&[2, n]), mask]
            };
            (0..count).map(|_| sample()).collect()
        };
        let calibration = Calibration::from_samples(samples(16));
        let samples = samples(16);
        for (profile, limit) in [(Profile::Fast, 0.01), (Profile::Accurate, 0.002)] {
            let model = quantise(&graph, &calibration, &Options::new(profile)).expect("quantises");
            let accuracy = Accuracy::measure(&graph, &model.model, &samples).expect("runs");
            let error = accuracy.outputs[0].max_error;
            assert!(error < limit, "{profile:?}: {error}");
        }
    }
}
