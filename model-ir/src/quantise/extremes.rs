//! Values that are compared with their own largest cells: `ArgMax` and whatever else asks
//! `x >= max x` or `x >= max(x, y)`.
//!
//! A maximum over a long axis is taken of small values. Were the comparison to read the
//! accumulator that was rounded for it, no cell would reach a maximum that was rounded up. So such
//! a value is made small where it is made: the maximum and the comparison read the same integers,
//! and some cell equals the maximum whatever the input.

use super::policy;
use crate::float::{Activation, Graph, Op};

/// Which values are compared with their own maximum.
pub(super) fn find(graph: &Graph, consumers: &[Vec<usize>]) -> Vec<bool> {
    let mut extremes = vec![false; graph.nodes().len()];
    for (v, node) in graph.nodes().iter().enumerate() {
        if !node.op.adds() || !decides(graph, consumers, v) {
            continue;
        }
        let origins = [0, 1].map(|k| origin(graph, node.inputs[k].0));
        for (x, most) in [(origins[0], origins[1]), (origins[1], origins[0])] {
            if x != most && chooses(graph, most, x) {
                extremes[x] = true;
            }
        }
    }
    extremes
}

/// Whether `v` has the few scores of a layer, one for each class: they are compared as they are, so
/// that their rounding decides nothing.
pub(super) fn is_score(graph: &Graph, v: usize) -> bool {
    let node = &graph.nodes()[v];
    let few = node.shape.iter().product::<usize>() <= policy::SHALLOW;
    matches!(node.op, Op::Dense { .. }) && few
}

/// Whether `v` is compared with 0.
fn decides(graph: &Graph, consumers: &[Vec<usize>], v: usize) -> bool {
    consumers[v].iter().any(|&c| match &graph.nodes()[c].op {
        Op::Activation(f) => f.compares_with_zero(),
        Op::Affine { .. } => decides(graph, consumers, c),
        op @ (Op::Reshape { .. } | Op::Transpose { .. } | Op::Take { .. } | Op::Map(_)) => {
            op.moves() && decides(graph, consumers, c)
        }
        Op::Input { .. }
        | Op::Constant { .. }
        | Op::Dense { .. }
        | Op::Conv { .. }
        | Op::Pool { .. }
        | Op::Add
        | Op::Sub
        | Op::Concat { .. }
        | Op::Pad { .. }
        | Op::Contract(_)
        | Op::Max
        | Op::Maximum { .. }
        | Op::Missing(_) => false,
    })
}

/// The value whose cells `v` has but for their places and a common factor.
pub(super) fn origin(graph: &Graph, mut v: usize) -> usize {
    let nodes = graph.nodes();
    while nodes[v].op.moves() || nodes[v].op.factor().is_some() {
        v = nodes[v].inputs[0].0;
    }
    v
}

/// Whether a cell of `v` may be one of `x`: `v` is a maximum over axes of it, or the larger of it and
/// something else, or it within bounds.
fn chooses(graph: &Graph, v: usize, x: usize) -> bool {
    let mut left = vec![v];
    let mut seen = std::collections::BTreeSet::new();
    while let Some(v) = left.pop() {
        let node = &graph.nodes()[v];
        if v == x {
            return true;
        }
        let keeps = node.op.activation().is_some_and(Activation::keeps_scale);
        if v > x && seen.insert(v) && (node.op.takes_larger() || keeps) {
            left.extend(node.inputs.iter().map(|u| origin(graph, u.0)));
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::float::random::Random;
    use crate::float::{AxisMap, AxisMatrix, Contract, GraphBuilder, ValueId};
    use crate::int;
    use crate::quantise::{Calibration, Options, Profile, quantise};
    use ndarray::{ArrayD, IxDyn};

    fn scalar(x: f32) -> ArrayD<f32> {
        ArrayD::from_elem(IxDyn(&[]), x)
    }

    fn add(b: &mut GraphBuilder, op: Op, inputs: &[ValueId]) -> ValueId {
        b.add("node", op, inputs).expect("shapes agree")
    }

    fn last(matrix: AxisMatrix) -> Op {
        Op::Map(vec![AxisMap::Keep, AxisMap::Matrix(matrix)])
    }

    /// The position of the first largest cell of every row.
    fn position(b: &mut GraphBuilder, x: ValueId, n: usize) -> ValueId {
        let most = add(b, Op::Maximum { axis: 1 }, &[x]);
        let most = add(b, last(AxisMatrix::select(1, &vec![0; n])), &[most]);
        let over = add(b, Op::Sub, &[x, most]);
        let equal = add(b, Op::Activation(Activation::Step), &[over]);
        let scale = ArrayD::from_shape_fn(IxDyn(&[1, n]), |i| (n - i[1]) as f32);
        let shift = scalar(0.0);
        let left = add(b, Op::Affine { scale, shift }, &[equal]);
        let left = add(b, Op::Maximum { axis: 1 }, &[left]);
        let (scale, shift) = (scalar(-1.0), scalar(n as f32));
        add(b, Op::Affine { scale, shift }, &[left])
    }

    /// What gives the values whose largest is looked for.
    type Source = fn(&mut GraphBuilder, [ValueId; 2]) -> ValueId;

    const SOURCES: [(&str, Source); 5] = [
        ("product", |b, x| {
            add(b, Op::Contract(Contract::elementwise(2)), &x)
        }),
        ("sum", |b, x| add(b, Op::Add, &x)),
        ("negative", |b, x| {
            let y = add(b, Op::Contract(Contract::elementwise(2)), &x);
            let (scale, shift) = (scalar(-1.0), scalar(0.0));
            add(b, Op::Affine { scale, shift }, &[y])
        }),
        ("running sum", |b, x| {
            let n = b.shape(x[0])[1];
            let y = add(b, Op::Contract(Contract::elementwise(2)), &x);
            let entries = (0..n as u32).flat_map(|i| (0..=i).map(move |j| (i, j, 1)));
            let (input, output, divisor) = (n, n, 1);
            let entries = entries.collect();
            let matrix = AxisMatrix {
                input,
                output,
                entries,
                divisor,
            };
            add(b, last(matrix), &[y])
        }),
        ("function", |b, x| {
            let y = add(b, Op::Sub, &x);
            add(b, Op::Activation(Activation::Tanh), &[y])
        }),
    ];

    fn graph(source: Source, n: usize) -> Graph {
        let mut b = GraphBuilder::new();
        let inputs = [0, 1].map(|_| b.input("x", &[2, n]).expect("a shape"));
        let y = source(&mut b, inputs);
        let place = position(&mut b, y, n);
        b.finish(vec![("place".into(), place), ("y".into(), y)])
            .expect("valid")
    }

    /// Positions exist, and the cells there are largest ones but for rounding, whatever the input.
    #[test]
    fn positions_of_maxima_are_in_range_and_largest() {
        for (name, source) in SOURCES {
            for n in [2, 7, 8, 9, 16, 33, 100, 600] {
                let graph = graph(source, n);
                let mut random = Random::new(n as u64);
                let mut sample = |size: f32| -> Vec<ArrayD<f32>> {
                    (0..2).map(|_| random.array(&[2, n]) * size).collect()
                };
                let calibration = Calibration::from_samples((0..32).map(|_| sample(1.0)).collect());
                let samples: Vec<_> = (0..20).map(|i| sample(0.2 + 0.04 * i as f32)).collect();
                for (profile, limit) in [(Profile::Fast, 0.02), (Profile::Accurate, 0.003)] {
                    let model = quantise(&graph, &calibration, &Options::new(profile));
                    let model = model.expect("quantises").model;
                    let inputs = model.graph.quantise_inputs(&samples).expect("inputs");
                    let trace = int::run(&model, &inputs.cells).expect("runs");
                    let found = model.graph.dequantise_outputs(&trace);
                    for outputs in found {
                        let (places, values) = (&outputs[0], &outputs[1]);
                        let size = values.iter().fold(0.0_f32, |m, x| m.max(x.abs()));
                        for (&place, row) in places.iter().zip(values.rows()) {
                            let most = row.iter().fold(f32::MIN, |m, &x| m.max(x));
                            assert!((0.0..n as f32).contains(&place), "{name} {n}: {place}");
                            let chosen = row[place as usize];
                            assert!(most - chosen <= limit * size, "{name} {n}: {chosen} {most}");
                        }
                    }
                }
            }
        }
    }
}
