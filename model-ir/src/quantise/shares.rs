//! Shares of logistic functions, as one classifier against all others has them:
//! `p_k = s(z_k) / sum_j s(z_j)`, `s(z) = 1 / (1 + e^-z)`.
//!
//! Where no class is likely, all `s(z_k)` are small beside 1, which is what they are rounded beside,
//! and their shares are lost. But shares do not change if all parts are divided by one number: the
//! parts become `exp(w_k - max w)` with `w = log s(z) = -softplus(-z)`, the largest of which is 1.

use super::calibration::Ranges;
use super::facts::{consumers, outputs};
use super::prepare::{copied, rewritten};
use super::{Error, Profile};
use crate::float::{Activation, AxisMap, AxisMatrix, Graph, Node, Op, ValueId};
use ndarray::arr0;

/// The graph with parts of which the largest is 1, if there are such shares.
pub(super) fn scaled(graph: &Graph, _: &Ranges, _: Profile) -> Result<Option<Graph>, Error> {
    let readers = Readers {
        graph,
        consumers: consumers(graph),
        outputs: outputs(graph),
    };
    let axes: Vec<Option<usize>> = (0..graph.nodes().len()).map(|v| readers.parts(v)).collect();
    if axes.iter().all(Option::is_none) {
        return Ok(None);
    }
    rewritten(graph, |b, v, inputs| {
        let node = &graph.nodes()[v];
        let Some(axis) = axes[v] else {
            return copied(b, node, inputs);
        };
        let negated = || Op::Affine {
            scale: arr0(-1.0).into_dyn(),
            shift: arr0(0.0).into_dyn(),
        };
        let mut add = |op: Op, inputs: &[ValueId]| b.add(&node.name, op, inputs);
        let minus = add(negated(), inputs)?;
        let minus = add(Op::Activation(Activation::Softplus), &[minus])?;
        let logarithms = add(negated(), &[minus])?;
        let most = add(Op::Maximum { axis }, &[logarithms])?;
        let mut axes = vec![AxisMap::Keep; node.shape.len()];
        axes[axis] = AxisMap::Matrix(AxisMatrix::select(1, &vec![0; node.shape[axis]]));
        let most = add(Op::Map(axes), &[most])?;
        let below = add(Op::Sub, &[logarithms, most])?;
        add(Op::Activation(Activation::Exp), &[below])
    })
    .map(Some)
}

/// A graph and what reads its values.
struct Readers<'a> {
    graph: &'a Graph,
    consumers: Vec<Vec<usize>>,
    outputs: Vec<bool>,
}

impl Readers<'_> {
    /// The axis along which the logistic functions `v` are summed, if nothing is made of them but their
    /// shares. There is one sum: shares of several rows would each need their own largest part.
    fn parts(&self, v: usize) -> Option<usize> {
        let nodes = self.graph.nodes();
        if nodes[v].op.activation() != Some(Activation::Sigmoid) {
            return None;
        }
        let own = self.of(v)?;
        let (sums, products): (Vec<usize>, Vec<usize>) =
            own.iter().partition(|&&c| summed(&nodes[c]).is_some());
        let (&[sum], &[product]) = (sums.as_slice(), products.as_slice()) else {
            return None;
        };
        let &[inverse] = self.of(sum)?.as_slice() else {
            return None;
        };
        let inverts = nodes[inverse].op.activation() == Some(Activation::Reciprocal);
        let shares = nodes[product].op.multiplies() && self.of(inverse)? == [product];
        let axis = summed(&nodes[sum]).filter(|_| inverts && shares)?;
        // Of the value as it is, and of all of it.
        let length = nodes[v].shape.get(axis)?;
        let all = nodes[v].shape.iter().product::<usize>() == *length;
        (nodes[sum].inputs[0].0 == v && all).then_some(axis)
    }

    /// The nodes that read a value, however it is arranged; none of an output.
    fn of(&self, u: usize) -> Option<Vec<usize>> {
        let (mut found, mut rest) = (vec![], vec![u]);
        while let Some(u) = rest.pop() {
            if self.outputs[u] {
                return None;
            }
            for &c in &self.consumers[u] {
                if self.graph.nodes()[c].op.selects() {
                    rest.push(c);
                } else {
                    found.push(c);
                }
            }
        }
        Some(found)
    }
}

/// The axis whose cells a node adds up to one, each once.
fn summed(node: &Node) -> Option<usize> {
    let Op::Map(axes) = &node.op else {
        return None;
    };
    let mut found = None;
    for (axis, map) in axes.iter().enumerate() {
        if let AxisMap::Matrix(m) = map {
            let all = m
                .entries
                .iter()
                .map(|&(to, from, weight)| (to, from, weight));
            let ones = (0..m.input as u32).map(|from| (0, from, 1));
            let sums = m.output == 1 && m.input > 1 && m.divisor == 1 && all.eq(ones);
            if !sums || found.is_some() {
                return None;
            }
            found = Some(axis);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::float::{Contract, GraphBuilder};
    use crate::quantise::{Accuracy, Calibration, Options, Profile, quantise};
    use ndarray::{ArrayD, arr1, arr2};

    /// The shares of `1 / (1 + e^-z)` of three scores, as exporters spell them: if they are 0 in
    /// single precision, all are alike.
    fn graph() -> Graph {
        let mut b = GraphBuilder::new();
        let x = b.input("x", &[1, 2]).expect("a shape");
        let mut add = |op: Op, inputs: &[ValueId]| b.add("node", op, inputs).expect("shapes");
        let apply = |f: Activation| Op::Activation(f);
        let affine = |scale: f32, shift: f32| Op::Affine {
            scale: arr0(scale).into_dyn(),
            shift: arr0(shift).into_dyn(),
        };
        let over = |axis: AxisMatrix| Op::Map(vec![AxisMap::Keep, AxisMap::Matrix(axis)]);
        let weight = arr2(&[[1.5, -9.0, 12.0], [-4.0, 30.0, -18.0]]).into_dyn();
        let bias = Some(arr1(&[6.0, 12.0, 25.0]).into_dyn());
        let z = add(Op::Dense { weight, bias }, &[x]);
        let power = add(apply(Activation::Exp), &[z]);
        let one_more = add(affine(1.0, 1.0), &[power]);
        let part = add(apply(Activation::Reciprocal), &[one_more]);
        let entries = (0..3).map(|from| (0, from, 1)).collect();
        let sum = AxisMatrix {
            input: 3,
            output: 1,
            entries,
            divisor: 1,
        };
        let sum = add(over(sum), &[part]);
        let minus = add(affine(-1.0, 0.0), &[sum]);
        let (above, below) = (
            add(apply(Activation::Step), &[sum]),
            add(apply(Activation::Step), &[minus]),
        );
        let both = add(Op::Add, &[above, below]);
        let none = add(affine(1.0, -1.0), &[both]);
        let all = add(over(AxisMatrix::select(1, &[0; 3])), &[none]);
        let part = add(Op::Add, &[part, all]);
        let more = add(affine(3.0, 0.0), &[none]);
        let sum = add(Op::Add, &[sum, more]);
        let inverse = add(apply(Activation::Reciprocal), &[sum]);
        let inverse = add(over(AxisMatrix::select(1, &[0; 3])), &[inverse]);
        let shares = Op::Contract(Contract::elementwise(2));
        let shares = add(shares, &[part, inverse]);
        b.finish(vec![("y".into(), shares)]).expect("valid")
    }

    #[test]
    fn shares_of_unlikely_classes_are_right() {
        let graph = graph();
        let cell = |i: usize| ((i * 29) % 17) as f32 / 4.0 - 2.0;
        let sample = |i: usize| {
            let cells = [cell(i), cell(i + 7)];
            vec![ArrayD::from_shape_vec(vec![1, 2], cells.to_vec()).expect("two cells")]
        };
        let samples: Vec<_> = (0..17).map(sample).collect();
        let calibration = Calibration::from_samples(samples.clone());
        let ranges = calibration.ranges(
            &graph.simplified(),
            &vec![None; graph.simplified().nodes().len()],
        );
        let rewritten = scaled(&graph.simplified(), &ranges.expect("runs"), Profile::Fast);
        assert!(rewritten.expect("a graph").is_some());
        for (profile, most) in [(Profile::Fast, 0.2), (Profile::Accurate, 0.04)] {
            let model = quantise(&graph, &calibration, &Options::new(profile));
            let model = model.expect("quantises").model;
            let accuracy = Accuracy::measure(&graph, &model, &samples).expect("runs");
            let error = accuracy.outputs[0].max_error;
            assert!(error < most, "{profile:?}: {error}");
        }
    }
}
