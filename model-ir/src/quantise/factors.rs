//! Factors of zero: what a factor of a product is where the other factor is 0 does not matter.
//!
//! `x * (1 / max(|x|, e))` is how vectors are normalised, and a row of zeros has the factor `1 / e`:
//! were the range of the factor to reach it, those of all other rows would be lost in one step. So
//! the range of a function that is only multiplied is that of its cells that meet another factor
//! than 0; the others are clamped.

use super::calibration::{Range, Usual, range};
use super::facts::{consumers, outputs};
use super::policy;
use crate::float::Graph;
use ndarray::{ArrayD, IxDyn};

/// A function, the values with its cells up to the product, the product's other factor, and for
/// each axis of the last such value the one of the other factor with the same label.
pub(super) struct Factor {
    moved: Vec<usize>,
    other: usize,
    axes: Vec<usize>,
}

/// The functions that are factors of one product each, and nothing else.
pub(super) fn find(graph: &Graph) -> Vec<Factor> {
    let nodes = graph.nodes();
    let (consumers, outputs) = (consumers(graph), outputs(graph));
    let only_consumer = |v: usize| match consumers[v].as_slice() {
        &[consumer] if !outputs[v] => Some(consumer),
        _ => None,
    };
    let factor = |v: usize| {
        let function = nodes[v].op.activation().is_some();
        let mut moved = vec![v];
        let mut consumer = only_consumer(v).filter(|_| function)?;
        while nodes[consumer].op.selects() {
            moved.push(consumer);
            consumer = only_consumer(consumer)?;
        }
        let labels = nodes[consumer].op.contract()?;
        let [left, right] = [nodes[consumer].inputs[0].0, nodes[consumer].inputs[1].0];
        let (own, others, other) = match moved.last()? {
            last if *last == left && left != right => (&labels.left, &labels.right, right),
            last if *last == right && left != right => (&labels.right, &labels.left, left),
            _ => return None,
        };
        let axis = |label: &usize| others.iter().position(|other| other == label);
        let axes = own.iter().map(axis).collect::<Option<_>>()?;
        Some(Factor { moved, other, axes })
    };
    (0..nodes.len()).filter_map(factor).collect()
}

impl Factor {
    /// Restricts what was seen of the function in one run to the cells that matter, if there are
    /// any others.
    pub(super) fn restrict(
        &self,
        graph: &Graph,
        values: &[ArrayD<f32>],
        ranges: &mut [Range],
        usual: &mut [Usual],
    ) {
        let v = self.moved[0];
        let matters = |x: &f32| *x != 0.0;
        if values[v].len() > policy::COUNTED_CELLS || values[self.other].iter().all(matters) {
            return;
        }
        let shape = IxDyn(values[v].shape());
        let mut count = 0.0;
        let mut places = ArrayD::from_shape_simple_fn(shape, || {
            count += 1.0;
            count - 1.0
        });
        for &u in &self.moved[1..] {
            places = graph.nodes()[u].evaluate(&[&places]);
        }
        let mut used = vec![false; values[v].len()];
        let mut own = vec![0; self.axes.len()];
        for (at, other) in values[self.other].indexed_iter() {
            let axes = own.iter_mut().zip(&self.axes);
            axes.for_each(|(own, &axis)| *own = at[axis]);
            used[places[IxDyn(&own)] as usize] |= matters(other);
        }
        let cells = || values[v].iter().zip(&used).filter(|(_, used)| **used);
        let Some(seen) = range(cells().map(|(x, _)| x)) else {
            return;
        };
        if seen.lo > seen.hi {
            return;
        }
        for &u in &self.moved {
            ranges[u] = seen;
            usual[u] = Usual::of(cells().map(|(x, _)| x));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::float::{Activation, AxisMap, AxisMatrix, Contract, GraphBuilder, Op};
    use crate::quantise::{Accuracy, Calibration, Options, Profile, quantise};
    use ndarray::{ArrayD, IxDyn};

    /// `x / max(|x|_1, 1e-12)` of rows, one of them 0.
    #[test]
    fn a_row_of_zeros_is_normalised_beside_others() {
        normalised(true);
        normalised(false);
    }

    fn normalised(spread: bool) {
        let mut b = GraphBuilder::new();
        let x = b.input("x", &[3, 4]).expect("a shape");
        let mut add = |op: Op, inputs: &[_]| b.add("node", op, inputs).expect("shapes agree");
        let size = add(Op::Activation(Activation::Abs), &[x]);
        let along = |m| Op::Map(vec![AxisMap::Keep, AxisMap::Matrix(m)]);
        let size = add(along(AxisMatrix::sum(4, 1)), &[size]);
        let (lo, hi) = (1e-12, f32::INFINITY);
        let size = add(Op::Activation(Activation::Clip { lo, hi }), &[size]);
        let size = add(Op::Activation(Activation::Reciprocal), &[size]);
        let y = if spread {
            let size = add(along(AxisMatrix::select(1, &[0; 4])), &[size]);
            add(Op::Contract(Contract::elementwise(2)), &[x, size])
        } else {
            let size = add(Op::Reshape { shape: vec![3] }, &[size]);
            let labels = Contract {
                left: vec![0, 1],
                right: vec![0],
                output: vec![0, 1],
            };
            add(Op::Contract(labels), &[x, size])
        };
        let graph = b.finish(vec![("y".into(), y)]).expect("valid");
        let rows = [1.0, -2.0, 0.5, 3.0, 0.0, 0.0, 0.0, 0.0, -0.5, 0.7, 0.1, 0.2];
        let sample = ArrayD::from_shape_vec(IxDyn(&[3, 4]), rows.to_vec()).expect("12 cells");
        let samples = vec![vec![sample]];
        let calibration = Calibration::from_samples(samples.clone());
        for (profile, limit) in [(Profile::Fast, 5e-3), (Profile::Accurate, 5e-4)] {
            let model = quantise(&graph, &calibration, &Options::new(profile)).expect("quantises");
            let accuracy = Accuracy::measure(&graph, &model.model, &samples).expect("runs");
            let error = accuracy.outputs[0].max_error;
            assert!(error < limit, "{profile:?}: {error}");
        }
    }
}
