//! Exact rewritings that leave less to prove. Each replaces a subgraph by one that computes the
//! same real function; only `f32` rounding differs.
//!
//! | pattern | becomes |
//! |---|---|
//! | identity (`Clip(-inf, inf)`, trivial transpose, pad, reshape, pool, affine, concat, `x + 0`) | nothing |
//! | affine or layer of factors 0, `x - x`, function of constants, `sum e^x >= 0` | constant |
//! | linear, then affine per output channel | linear |
//! | affine per input channel, then linear (a shift only without padding) | linear |
//! | affine, then affine | affine |
//! | layer of one output, then affine maps and layers | a layer each |
//! | zero pad, then convolution or padded average | wider window |
//! | convolution with taps that read padding only | those of weight 0 |
//! | linear or sum, then max pool, then monotone activation | activation before the pool |
//! | products that spell a function of one value ([`cones`]) | activation |
//! | Relu, then quantisation | quantisation without negative integers |
//! | clip from above 0 on, then a function that is steep at 0 | that function within the bounds |

use super::activation::Activation;
use super::cones;
use super::fold;
use super::graph::{Graph, Node, ValueId};
use super::known;
use super::op::{AxisMap, Op, PoolKind, Window};
use ndarray::{ArrayD, Axis};

/// One step of rewriting node `i`.
enum Edit {
    /// Consumers of `i` read another value instead.
    Alias(ValueId),
    /// Producer `p` of `i` gets this operator and stands for `i` too.
    IntoProducer(Op),
    /// `i` gets this operator and reads what its producer read.
    FromProducer(Op),
    /// `i` gets this operator and reads what its producer reads, which others read as well.
    PastProducer(Op),
    /// `i` and its producer change places.
    Swap,
    /// `i` has these cells whatever it reads.
    Fixed(ArrayD<f32>),
    /// `i` gets this operator.
    Becomes(Op),
}

impl Graph {
    /// The graph after every rewriting of this module, to a fixpoint.
    #[must_use]
    pub fn simplified(&self) -> Self {
        let mut outputs = self.outputs().to_vec();
        let mut nodes = cones::fused(self.nodes(), &mut outputs);
        let mut i = 0;
        while i < nodes.len() {
            let Some(edit) = edit(&nodes, &outputs, i) else {
                i += 1;
                continue;
            };
            let producer = nodes[i].inputs[0];
            let mut replace = |nodes: &mut [Node], by: ValueId| {
                let uses = nodes.iter_mut().flat_map(|node| &mut node.inputs);
                let uses = uses.chain(outputs.iter_mut().map(|(_, v)| v));
                uses.filter(|v| v.0 == i).for_each(|v| *v = by);
                // A node without consumers is pruned at the end; it must not keep others alive.
                nodes[i].inputs.clear();
            };
            match edit {
                Edit::Fixed(value) => {
                    nodes[i].op = Op::Constant { value };
                    nodes[i].inputs.clear();
                }
                Edit::Becomes(op) => nodes[i].op = op,
                Edit::Alias(value) => replace(&mut nodes, value),
                Edit::IntoProducer(op) => {
                    nodes[producer.0].op = op;
                    replace(&mut nodes, producer);
                }
                Edit::FromProducer(op) => {
                    nodes[i].op = op;
                    nodes[i].inputs = std::mem::take(&mut nodes[producer.0].inputs);
                }
                Edit::PastProducer(op) => {
                    nodes[i].op = op;
                    let (before, after) = nodes.split_at_mut(i);
                    after[0].inputs.clone_from(&before[producer.0].inputs);
                }
                Edit::Swap => {
                    let (before, after) = nodes.split_at_mut(i);
                    let (p, node) = (&mut before[producer.0], &mut after[0]);
                    std::mem::swap(&mut p.op, &mut node.op);
                    std::mem::swap(&mut p.name, &mut node.name);
                    let source = p.inputs[0];
                    let shape = before[source.0].shape.clone();
                    before[producer.0].shape = shape;
                }
            }
            // An edit can enable another at any earlier consumer of the producer.
            i = producer.0;
        }
        Self::pruned(nodes, outputs, self.notes().to_vec())
    }
}

fn edit(nodes: &[Node], outputs: &[(String, ValueId)], i: usize) -> Option<Edit> {
    let node = &nodes[i];
    let &p = node.inputs.first()?;
    let producer = &nodes[p.0];
    if is_identity(node, &producer.shape) {
        return Some(Edit::Alias(p));
    }
    if let Some(value) = known::unchanged(nodes, node) {
        return Some(Edit::Alias(value));
    }
    if let Some(cells) = known::fixed(nodes, node).or_else(|| known::decided(nodes, i)) {
        return Some(Edit::Fixed(cells));
    }
    if let Some(op) = without_idle_taps(node, &producer.shape) {
        return Some(Edit::Becomes(op));
    }
    let uses = nodes.iter().flat_map(|n| &n.inputs);
    let uses = uses.chain(outputs.iter().map(|(_, v)| v));
    let sole = uses.filter(|&&v| v == p).count() == 1;
    if producer.inputs.is_empty() {
        return None;
    }
    if !sole {
        return composed(nodes, outputs, i).map(Edit::PastProducer);
    }
    let source = &nodes[producer.inputs[0].0];
    match (&producer.op, &node.op) {
        (Op::Dense { .. } | Op::Conv { .. }, Op::Affine { scale, shift }) => {
            fold::affine_after(producer, scale, shift).map(Edit::IntoProducer)
        }
        (Op::Dense { .. }, Op::Dense { .. }) => composed(nodes, outputs, i).map(Edit::FromProducer),
        (Op::Affine { scale, shift }, Op::Dense { .. } | Op::Conv { .. }) => {
            fold::affine_before(node, &producer.shape, scale, shift).map(Edit::FromProducer)
        }
        (Op::Affine { .. }, Op::Affine { .. }) => {
            fold::affines(&producer.op, &node.op).map(Edit::IntoProducer)
        }
        (
            Op::Activation(Activation::Relu),
            Op::Activation(Activation::Quantize {
                scale,
                lo,
                hi,
                ties,
            }),
        ) if *hi >= 0 => Some(Edit::FromProducer(Op::Activation(Activation::Quantize {
            scale: *scale,
            lo: (*lo).max(0),
            hi: *hi,
            ties: *ties,
        }))),
        (Op::Activation(Activation::Clip { lo, hi }), Op::Activation(f)) if *lo > 0.0 => {
            let (function, lo, hi) = (f.steep()?, *lo, *hi);
            let within = Activation::Within { function, lo, hi };
            let bare = !matches!(f, Activation::Within { .. });
            bare.then_some(Edit::FromProducer(Op::Activation(within)))
        }
        (Op::Pad { pads, value: 0.0 }, _) => {
            widen(node, &source.shape, pads).map(Edit::FromProducer)
        }
        (
            Op::Pool {
                kind: PoolKind::Max,
                ..
            },
            Op::Activation(activation),
        ) => {
            let fuses = matches!(
                source.op,
                Op::Dense { .. } | Op::Conv { .. } | Op::Affine { .. } | Op::Add | Op::Sub
            );
            (fuses && activation.is_monotone()).then_some(Edit::Swap)
        }
        _ => None,
    }
}

/// Most weights of the layers that stand for one and those behind it.
const COMPOSED: usize = 1 << 16;

/// A layer of one output and node `i` behind it in one, if all that reads the layer can be: one number,
/// such as a forest's vote, is not rounded between.
fn composed(nodes: &[Node], outputs: &[(String, ValueId)], i: usize) -> Option<Op> {
    let p = nodes[i].inputs[0];
    let layer = &nodes[p.0];
    let Op::Dense { weight, .. } = &layer.op else {
        return None;
    };
    let readers = || nodes.iter().filter(|node| node.inputs.contains(&p));
    let linear = |node: &Node| matches!(node.op, Op::Dense { .. } | Op::Affine { .. });
    let shown = outputs.iter().any(|(_, v)| *v == p);
    let outputs_of = |node: &Node| node.shape.last().copied().unwrap_or(1);
    let all: usize = readers().map(outputs_of).sum();
    let one = weight.shape()[1] == 1 && weight.len() * all <= COMPOSED;
    if !one || shown || !readers().all(linear) {
        return None;
    }
    match &nodes[i].op {
        Op::Affine { scale, shift } => fold::affine_after(layer, scale, shift),
        op => fold::layers(&layer.op, op),
    }
}

/// A convolution with weights of 0 where a tap reads nothing but padding: they would be the largest
/// weights, beside which the others are rounded.
fn without_idle_taps(node: &Node, input: &[usize]) -> Option<Op> {
    let Op::Conv {
        weight,
        bias,
        groups,
        windows,
    } = &node.op
    else {
        return None;
    };
    let idle = |axis: usize, tap: usize| {
        let (w, outputs, n) = (&windows[axis], node.shape[axis + 2], input[axis + 2]);
        let place = |i: usize| (i * w.stride + tap * w.dilation).checked_sub(w.pad_begin);
        !(0..outputs).any(|i| place(i).is_some_and(|x| x < n))
    };
    let idle: Vec<(usize, usize)> = (0..windows.len())
        .flat_map(|axis| (0..windows[axis].kernel).map(move |tap| (axis, tap)))
        .filter(|&(axis, tap)| idle(axis, tap))
        .collect();
    let read = |&(axis, tap): &(usize, usize)| {
        let mut weights = weight.index_axis(Axis(axis + 2), tap).into_iter();
        weights.any(|&w| w != 0.0)
    };
    if !idle.iter().any(read) {
        return None;
    }
    let mut weight = weight.clone();
    for (axis, tap) in idle {
        weight.index_axis_mut(Axis(axis + 2), tap).fill(0.0);
    }
    Some(Op::Conv {
        weight,
        bias: bias.clone(),
        groups: *groups,
        windows: windows.clone(),
    })
}

#[allow(clippy::float_cmp, reason = "only the exact constants are identities")]
fn is_identity(node: &Node, input: &[usize]) -> bool {
    match &node.op {
        Op::Activation(Activation::Clip { lo, hi }) => {
            *lo == f32::NEG_INFINITY && *hi == f32::INFINITY
        }
        Op::Activation(Activation::LeakyRelu { alpha }) => *alpha == 1.0,
        Op::Pool { windows, .. } => windows
            .iter()
            .all(|w| (w.kernel, w.stride, w.pad_begin, w.pad_end) == (1, 1, 0, 0)),
        Op::Reshape { shape } => shape == input,
        Op::Map(axes) => axes.iter().all(|axis| match axis {
            AxisMap::Keep => true,
            AxisMap::Matrix(m) => {
                m.selects() && m.entries.iter().all(|&(i, x, _)| i == x) && m.input == m.output
            }
        }),
        Op::Maximum { axis } => input[*axis] == 1,
        Op::Transpose { perm } => perm.iter().copied().eq(0..perm.len()),
        Op::Concat { .. } => node.inputs.len() == 1,
        Op::Pad { pads, .. } => pads.iter().all(|&pad| pad == (0, 0)),
        Op::Affine { scale, shift } => {
            scale.iter().all(|&s| s == 1.0) && shift.iter().all(|&s| s == 0.0)
        }
        _ => false,
    }
}

/// The operator of `node` reading the unpadded tensor of shape `input`.
fn widen(node: &Node, input: &[usize], pads: &[(i64, i64)]) -> Option<Op> {
    let mut op = node.op.clone();
    let (Op::Conv { windows, .. }
    | Op::Pool {
        kind: PoolKind::AveragePadded,
        windows,
    }) = &mut op
    else {
        return None;
    };
    let (channels, spatial) = pads.split_at_checked(2)?;
    if channels.iter().any(|&pad| pad != (0, 0)) {
        return None;
    }
    for (window, &(before, after)) in windows.iter_mut().zip(spatial) {
        *window = Window {
            pad_begin: window.pad_begin.checked_add(before.try_into().ok()?)?,
            pad_end: window.pad_end.checked_add(after.try_into().ok()?)?,
            ..*window
        };
    }
    (op.infer_shape(&[input]).as_ref() == Ok(&node.shape)).then_some(op)
}

#[cfg(test)]
mod tests {
    use super::super::GraphBuilder;
    use super::super::random::{Random, random_graph};
    use super::*;

    fn kinds(graph: &Graph) -> Vec<&'static str> {
        let kind = |node: &Node| match &node.op {
            Op::Input { .. } => "input",
            Op::Dense { .. } => "dense",
            Op::Conv { .. } => "conv",
            Op::Affine { .. } => "affine",
            Op::Activation(_) => "activation",
            Op::Pool { .. } => "pool",
            Op::Pad { .. } => "pad",
            _ => "other",
        };
        graph.nodes().iter().map(kind).collect()
    }

    fn assert_same_function(graph: &Graph, simplified: &Graph, random: &mut Random) {
        let inputs: Vec<_> = graph
            .inputs()
            .map(|v| random.array(&graph.nodes()[v.0].shape))
            .collect();
        let expected = graph.run(&inputs).expect("runs");
        let values = simplified.run(&inputs).expect("runs");
        for ((_, a), (_, b)) in graph.outputs().iter().zip(simplified.outputs()) {
            let (a, b) = (&expected[a.0], &values[b.0]);
            let size = a.iter().fold(1.0_f32, |m, x| m.max(x.abs()));
            assert_eq!(a.shape(), b.shape());
            for (a, b) in a.iter().zip(b) {
                assert!((a - b).abs() <= 1e-4 * size, "{a} {b}");
            }
        }
    }

    #[test]
    fn random_graphs_keep_their_answers() {
        let mut fewer = 0;
        for seed in 0..200 {
            let mut random = Random::new(seed);
            let graph = random_graph(&mut random);
            let simplified = graph.simplified();
            fewer += graph.nodes().len() - simplified.nodes().len();
            assert_same_function(&graph, &simplified, &mut random);
        }
        assert!(
            fewer > 100,
            "the random graphs exercise the rewritings: {fewer}"
        );
    }

    #[test]
    fn taps_that_read_padding_only_are_nothing() {
        let mut b = GraphBuilder::new();
        let x = b.input("x", &[1, 1, 1, 2]).expect("a shape");
        let window = |kernel: usize, pad: usize| Window {
            kernel,
            stride: 1,
            dilation: 1,
            pad_begin: pad,
            pad_end: pad,
        };
        let cells = vec![50.0, -50.0, 60.0, 0.5, 0.25, 0.125, 70.0, 80.0, 90.0];
        let weight = ArrayD::from_shape_vec(vec![1, 1, 3, 3], cells).expect("nine cells");
        let op = Op::Conv {
            weight,
            bias: None,
            groups: 1,
            windows: vec![window(3, 1), window(3, 1)],
        };
        let y = b.add("y", op, &[x]).expect("shapes");
        let graph = b.finish(vec![("y".into(), y)]).expect("valid");
        let simplified = graph.simplified();
        let (_, value) = simplified.outputs()[0];
        let Op::Conv { weight, .. } = &simplified.nodes()[value.0].op else {
            panic!("a convolution");
        };
        let cells: Vec<f32> = weight.iter().copied().collect();
        assert_eq!(cells, [0.0, 0.0, 0.0, 0.5, 0.25, 0.125, 0.0, 0.0, 0.0]);
        assert_same_function(&graph, &simplified, &mut Random::new(3));
    }

    #[test]
    fn what_is_subtracted_from_itself_is_nothing() {
        let mut b = GraphBuilder::new();
        let x = b.input("x", &[3]).expect("a shape");
        let zero = b.add("zero", Op::Sub, &[x, x]).expect("shapes");
        let graph = b.finish(vec![("y".into(), zero)]).expect("valid");
        let simplified = graph.simplified();
        let (_, value) = simplified.outputs()[0];
        let cells = simplified.nodes()[value.0].op.constant();
        assert_eq!(cells, Some(&ArrayD::zeros(vec![3])));
    }

    #[test]
    fn a_block_becomes_one_convolution_activation_and_pool() {
        let mut random = Random::new(1);
        let mut builder = GraphBuilder::new();
        let x = builder.input("x", &[1, 2, 6, 6]).expect("a shape");
        let window = |kernel, stride| Window {
            kernel,
            stride,
            dilation: 1,
            pad_begin: 0,
            pad_end: 0,
        };
        let affine = |random: &mut Random, shape: &[usize]| Op::Affine {
            scale: random.array(shape),
            shift: random.array(shape),
        };
        let ops = [
            Op::Affine {
                scale: random.array(&[2, 1, 1]),
                shift: ndarray::ArrayD::zeros(ndarray::IxDyn(&[])),
            },
            Op::Pad {
                pads: vec![(0, 0), (0, 0), (1, 1), (1, 1)],
                value: 0.0,
            },
            Op::Conv {
                weight: random.array(&[4, 2, 3, 3]),
                bias: None,
                groups: 1,
                windows: vec![window(3, 1); 2],
            },
            affine(&mut random, &[4, 1, 1]),
            affine(&mut random, &[1]),
            Op::Activation(Activation::Clip {
                lo: f32::NEG_INFINITY,
                hi: f32::INFINITY,
            }),
            Op::Pool {
                kind: PoolKind::Max,
                windows: vec![window(2, 2); 2],
            },
            Op::Activation(Activation::Relu),
        ];
        let last = ops
            .into_iter()
            .fold(x, |v, op| builder.add("op", op, &[v]).expect("shapes"));
        let graph = builder.finish(vec![("y".into(), last)]).expect("valid");
        let simplified = graph.simplified();
        assert_eq!(kinds(&simplified), ["input", "conv", "activation", "pool"]);
        assert_same_function(&graph, &simplified, &mut random);
    }

    #[test]
    fn a_relu_joins_the_quantisation_behind_it() {
        let mut random = Random::new(4);
        let mut builder = GraphBuilder::new();
        let x = builder.input("x", &[1, 9]).expect("a shape");
        let relu = Op::Activation(Activation::Relu);
        let relu = builder.add("relu", relu, &[x]).expect("shapes");
        let quantise = Op::Activation(Activation::Quantize {
            scale: 0.1,
            lo: -5,
            hi: 7,
            ties: super::super::Ties::Even,
        });
        let y = builder.add("quantise", quantise, &[relu]).expect("shapes");
        let graph = builder.finish(vec![("y".into(), y)]).expect("valid");
        let simplified = graph.simplified();
        assert_eq!(kinds(&simplified), ["input", "activation"]);
        assert_same_function(&graph, &simplified, &mut random);
    }

    #[test]
    fn shared_and_unfoldable_producers_stay() {
        let mut random = Random::new(2);
        let mut builder = GraphBuilder::new();
        let x = builder.input("x", &[1, 3]).expect("a shape");
        let dense = Op::Dense {
            weight: random.array(&[3, 4]),
            bias: None,
        };
        let y = builder.add("dense", dense, &[x]).expect("shapes");
        let affine = Op::Affine {
            scale: random.array(&[4]),
            shift: random.array(&[1]),
        };
        let z = builder.add("affine", affine, &[y]).expect("shapes");
        let outputs = vec![("y".into(), y), ("z".into(), z)];
        let graph = builder.finish(outputs).expect("valid");
        let simplified = graph.simplified();
        assert_eq!(kinds(&simplified), ["input", "dense", "affine"]);
        assert_same_function(&graph, &simplified, &mut random);
    }
}
