//! Arguments of sines far from 0 are brought to one period.
//!
//! A table of a sine's argument has so many rows, and an argument of thousands, as positions are,
//! would have few of them in a period. So whole periods are taken off first:
//! `sin x = sin(x - p floor(x / p))`, where it does not matter if the count is off by one at its
//! borders.

use super::calibration::Ranges;
use super::prepare::{copied, rewritten};
use super::{Error, Profile, policy};
use crate::float::{Activation, Graph, Op, ValueId};
use ndarray::{ArrayD, arr0};

/// The graph with short arguments, if there are any to shorten.
pub(super) fn shortened(graph: &Graph, seen: &Ranges, _: Profile) -> Result<Option<Graph>, Error> {
    let periods = periods(graph, seen);
    if periods.iter().all(Option::is_none) {
        return Ok(None);
    }
    rewritten(graph, |b, v, inputs| {
        let node = &graph.nodes()[v];
        let Some(period) = periods[v] else {
            return copied(b, node, inputs);
        };
        let factor = |factor: f32| Op::Affine {
            scale: scalar(factor),
            shift: scalar(0.0),
        };
        let mut add = |op: Op, inputs: &[ValueId]| b.add(&node.name, op, inputs);
        let periods = add(factor(1.0 / period), inputs)?;
        let whole = add(Op::Activation(Activation::Floor), &[periods])?;
        let whole = add(factor(period), &[whole])?;
        let rest = add(Op::Sub, &[inputs[0], whole])?;
        add(node.op.clone(), &[rest])
    })
    .map(Some)
}

fn scalar(x: f32) -> ArrayD<f32> {
    arr0(x).into_dyn()
}

/// By value: the period of a function of which the argument has many.
fn periods(graph: &Graph, seen: &Ranges) -> Vec<Option<f32>> {
    let nodes = graph.nodes().iter();
    nodes
        .map(|node| {
            let period = node.op.activation()?.period()?;
            let argument = seen.values[node.inputs[0].0];
            let most = policy::MOST_PERIODS * f64::from(period);
            (argument.size() > policy::LONGEST_WAVE && argument.size() < most).then_some(period)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::float::GraphBuilder;
    use crate::quantise::{Accuracy, Calibration, Options, Profile, quantise};

    /// `f(x)` of arguments of up to 3000.
    fn graph(f: Activation) -> Graph {
        let mut b = GraphBuilder::new();
        let x = b.input("x", &[64]).expect("a shape");
        let y = b.add("y", Op::Activation(f), &[x]).expect("a shape");
        b.finish(vec![("y".into(), y)]).expect("valid")
    }

    #[test]
    fn far_arguments_are_as_good_as_near_ones() {
        let cell = |i: usize| (i * i % 67) as f32 * 90.0 - 3000.0 + i as f32 / 7.0;
        let sample = vec![ArrayD::from_shape_fn(vec![64], |i| cell(i[0]))];
        for f in [Activation::Sin, Activation::Cos] {
            let graph = graph(f);
            let calibration = Calibration::from_samples(vec![sample.clone()]);
            for (profile, most) in [(Profile::Fast, 0.01), (Profile::Accurate, 0.002)] {
                let model = quantise(&graph, &calibration, &Options::new(profile));
                let model = model.expect("quantises").model;
                let samples = std::slice::from_ref(&sample);
                let accuracy = Accuracy::measure(&graph, &model, samples).expect("runs");
                let error = accuracy.outputs[0].max_error;
                assert!(error < most, "{f:?} {profile:?}: {error}");
            }
        }
    }
}
