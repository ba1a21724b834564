//! Inputs that are compared with constants, as trees do.
//!
//! An input is clamped to the range that calibration saw. Were that range to end before a threshold,
//! every clamped cell would be on the same side of it; so the range is made to reach past it, and
//! clamping changes no comparison.

use super::calibration::Range;
use super::policy;
use crate::float::{Activation, Graph};

/// Extends the ranges of inputs past the thresholds that they are compared with.
pub(super) fn cover(graph: &Graph, ranges: &mut [Range]) {
    let nodes = graph.nodes();
    let felt = felt(graph);
    for node in nodes {
        let function = node.op.activation();
        if !function.is_some_and(Activation::compares_with_zero) {
            continue;
        }
        let difference = &nodes[node.inputs[0].0];
        let Some((scale, shift)) = difference.op.affine() else {
            continue;
        };
        let Some(input) = selected_from(graph, difference.inputs[0].0) else {
            continue;
        };
        let (Some(scale), Some(shift)) = (
            scale.broadcast(&*difference.shape),
            shift.broadcast(&*difference.shape),
        ) else {
            continue;
        };
        let range = &mut ranges[input];
        let size = range.size();
        // Integers have no fractions to lose, and of what was always 0 none are known.
        let any = nodes[input].op.is_integral_input() || size == 0.0;
        for (&scale, &shift) in scale.iter().zip(&shift) {
            let threshold = -f64::from(shift) / f64::from(scale);
            let farthest = if felt[input] {
                policy::FARTHEST_BESIDE
            } else {
                policy::FARTHEST_THRESHOLD
            };
            if any || threshold.abs() <= farthest * size {
                range.reach_past(threshold);
            }
        }
    }
}

/// By value: whether more is asked of its cells than whether they are negative, less a constant.
fn felt(graph: &Graph) -> Vec<bool> {
    let nodes = graph.nodes();
    let mut felt = vec![false; nodes.len()];
    for (_, value) in graph.outputs() {
        felt[value.0] = true;
    }
    for (v, node) in nodes.iter().enumerate().rev() {
        let through = node.op.selects() || node.op.affine().is_some();
        let function = node.op.activation();
        let tests = function.is_some_and(Activation::compares_with_zero);
        let felt_here = if through { felt[v] } else { !tests };
        for u in &node.inputs {
            felt[u.0] |= felt_here;
        }
    }
    felt
}

impl Range {
    fn reach_past(&mut self, threshold: f64) {
        let past = policy::PAST_THRESHOLD * self.size().max(threshold.abs());
        if threshold >= self.hi {
            self.hi = threshold + past;
        }
        // Inputs without a sign are clamped to 0, which is on the right side of what is not negative.
        if threshold <= self.lo && threshold < 0.0 {
            self.lo = threshold - past;
        }
    }
}

/// The input whose cells `v` has, rearranged or some of them.
fn selected_from(graph: &Graph, mut v: usize) -> Option<usize> {
    let nodes = graph.nodes();
    while nodes[v].op.selects() {
        v = nodes[v].inputs[0].0;
    }
    nodes[v].op.is_input().then_some(v)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::float::{AxisMap, AxisMatrix, GraphBuilder, Op};
    use crate::quantise::{Accuracy, Calibration, Options, Profile, quantise};
    use ndarray::{ArrayD, IxDyn};

    /// `x[k] >= thresholds[k]` with the features in another order, and the model's answer where the
    /// sample that calibrates it lies below all thresholds but the first.
    #[test]
    fn inputs_beyond_the_calibrated_range_are_compared_exactly() {
        let mut b = GraphBuilder::new();
        let x = b.input("x", &[1, 4]).expect("a shape");
        let order = AxisMap::Matrix(AxisMatrix::select(4, &[2, 0, 3, 1]));
        let picked = b.add("pick", Op::Map(vec![AxisMap::Keep, order]), &[x]);
        let array = |cells: &[f32]| {
            ArrayD::from_shape_vec(IxDyn(&[1, 4]), cells.to_vec()).expect("four cells")
        };
        let difference = Op::Affine {
            scale: array(&[1.0; 4]),
            shift: array(&[3.0, -2.0, -40.0, 0.0]),
        };
        let difference = b.add("less", difference, &[picked.expect("shapes")]);
        let step = Op::Activation(Activation::Step);
        let step = b.add("step", step, &[difference.expect("shapes")]);
        let graph = b.finish(vec![("y".into(), step.expect("shapes"))]);
        let graph = graph.expect("valid");
        let calibration = Calibration::from_samples(vec![vec![array(&[1.0, 0.5, 0.25, 0.75])]]);
        let samples = [
            [1.99, -0.5, -3.01, 39.9],
            [2.0, 0.0, -3.0, 40.0],
            [70.0, 9.0, -80.0, 3000.0],
            [-70.0, -9.0, 80.0, -3000.0],
        ];
        let samples: Vec<_> = samples.iter().map(|cells| vec![array(cells)]).collect();
        for profile in [Profile::Fast, Profile::Accurate] {
            let model = quantise(&graph, &calibration, &Options::new(profile));
            let model = model.expect("quantises").model;
            let accuracy = Accuracy::measure(&graph, &model, &samples).expect("runs");
            assert!(accuracy.saturated_inputs > 0, "{profile:?}");
            assert!(accuracy.outputs[0].max_error.abs() < 1e-9, "{profile:?}");
        }
    }
}
