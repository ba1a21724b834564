//! Functions of one value that a model spells out with products: `x (1 + erf(x / sqrt 2)) / 2` and
//! the like become one activation, that is one lookup instead of a product and its operands'.
//!
//! What lies between a product and the value that both of its operands come from, scalar by scalar,
//! is a function of one number. It is known by its values: the functions that exporters write in
//! many ways differ from each other everywhere. And `1 / (1 + e^x)` is a logistic function, whose
//! power may be too large for single precision.

use super::activation::Activation;
use super::graph::{Node, ValueId};
use super::op::Op;
use ndarray::{ArrayD, IxDyn};

/// Functions `x g(x)` that have an activation of their own.
const KNOWN: [Activation; 6] = [
    Activation::Gelu,
    Activation::GeluTanh,
    Activation::Swish { alpha: 1.0 },
    Activation::Swish { alpha: 1.702 },
    Activation::Mish,
    Activation::HardSwish,
];
/// Most nodes between the value and the product.
const NODES: usize = 32;
/// Most nodes that are visited for a value of the product, on all paths.
const VISITS: usize = 256;
/// Relative difference that rounding the constants to single precision makes, and more.
const ROUNDING: f64 = 2e-6;

/// Replaces every product that is a multiple of a known function.
pub(super) fn fused(nodes: &[Node], outputs: &mut [(String, ValueId)]) -> Vec<Node> {
    let mut fused: Vec<Node> = Vec::with_capacity(nodes.len());
    let mut renamed: Vec<ValueId> = Vec::with_capacity(nodes.len());
    for (i, node) in nodes.iter().enumerate() {
        if let Some(source) = logistic(nodes, i) {
            let scalar = |x: f32| ArrayD::from_elem(IxDyn(&[]), x);
            let minus = Op::Affine {
                scale: scalar(-1.0),
                shift: scalar(0.0),
            };
            let mut value = renamed[source];
            for op in [minus, Op::Activation(Activation::Sigmoid)] {
                fused.push(Node {
                    name: node.name.clone(),
                    op,
                    inputs: vec![value],
                    shape: node.shape.clone(),
                });
                value = ValueId(fused.len() - 1);
            }
        } else if let Some((source, function, factor)) = recognise(nodes, i) {
            let mut value = renamed[source];
            let mut push = |op: Op, shape: &[usize]| {
                fused.push(Node {
                    name: node.name.clone(),
                    op,
                    inputs: vec![value],
                    shape: shape.to_vec(),
                });
                value = ValueId(fused.len() - 1);
            };
            push(Op::Activation(function), &nodes[source].shape);
            let shape = node.shape.clone();
            push(Op::Reshape { shape }, &node.shape);
            // Last: an affine that follows absorbs it.
            let scalar = |x: f32| ArrayD::from_elem(IxDyn(&[]), x);
            let (scale, shift) = (scalar(factor), scalar(0.0));
            push(Op::Affine { scale, shift }, &node.shape);
        } else {
            let mut node = node.clone();
            node.inputs.iter_mut().for_each(|v| *v = renamed[v.0]);
            fused.push(node);
        }
        renamed.push(ValueId(fused.len() - 1));
    }
    for (_, value) in outputs {
        *value = renamed[value.0];
    }
    fused
}

/// The value `x` of which node `i` is `1 / (1 + e^x)`, the logistic function of `-x`.
fn logistic(nodes: &[Node], i: usize) -> Option<usize> {
    let node = &nodes[i];
    let inverse = match node.op {
        Op::Activation(Activation::Reciprocal) => true,
        Op::Activation(Activation::Power { exponent } | Activation::Inverse { exponent }) => {
            exponent.to_bits() == (-1.0_f32).to_bits()
        }
        _ => false,
    };
    let sum = &nodes[node.inputs.first().filter(|_| inverse)?.0];
    let Op::Affine { scale, shift } = &sum.op else {
        return None;
    };
    let one = |x: &ArrayD<f32>| x.iter().all(|y| y.to_bits() == 1.0_f32.to_bits());
    let power = &nodes[sum.inputs[0].0];
    let exponential = matches!(power.op, Op::Activation(Activation::Exp));
    let spelled = one(scale) && one(shift) && exponential;
    (spelled && power.shape == node.shape).then(|| power.inputs[0].0)
}

/// The value that product `i` is a function of, and the function with its factor.
fn recognise(nodes: &[Node], i: usize) -> Option<(usize, Activation, f32)> {
    if !is_cellwise_product(nodes, i) {
        return None;
    }
    let product = |source: usize, x: f64| at(nodes, i, source, x, &mut { VISITS });
    // The last value that every path to the product leads through.
    let mut sources = (i.saturating_sub(NODES)..i).rev();
    let source = sources.find(|&source| product(source, 1.0).is_some())?;
    let same = |f: &Activation, factor: f64| {
        arguments().all(|x| {
            let (found, y) = (product(source, x), factor * f.at(x));
            found
                .is_some_and(|found| (found - y).abs() <= ROUNDING * factor.abs() * (1.0 + x.abs()))
        })
    };
    KNOWN.into_iter().find_map(|f| {
        let factor = product(source, 1.0)? / f.at(1.0);
        let factor = f64::from(factor as f32);
        (factor != 0.0 && same(&f, factor)).then_some((source, f, factor as f32))
    })
}

/// Where functions are compared: densely where they bend, and far outside.
fn arguments() -> impl Iterator<Item = f64> {
    let far = [-300.0, -60.0, -17.0, 17.0, 60.0, 300.0];
    (-80..=80).map(|k| 0.1003 * f64::from(k)).chain(far)
}

/// A cell of node `i`, given the same cell `x` of node `source`; `None` if it depends on more than
/// that, or on too much.
fn at(nodes: &[Node], i: usize, source: usize, x: f64, visits: &mut usize) -> Option<f64> {
    if i == source {
        return Some(x);
    }
    *visits = visits.checked_sub(1)?;
    if i < source {
        return None;
    }
    let node = &nodes[i];
    let mut operand = |k: usize| at(nodes, node.inputs.get(k)?.0, source, x, visits);
    match &node.op {
        Op::Activation(f) => Some(f.at(operand(0)?)),
        Op::Affine { scale, shift } => {
            let one = |x: &ArrayD<f32>| {
                let first = *x.first()?;
                x.iter()
                    .all(|&y| y.to_bits() == first.to_bits())
                    .then_some(f64::from(first))
            };
            Some(one(scale)? * operand(0)? + one(shift)?)
        }
        Op::Reshape { .. } => operand(0),
        Op::Add => Some(operand(0)? + operand(1)?),
        Op::Sub => Some(operand(0)? - operand(1)?),
        Op::Contract(_) if is_cellwise_product(nodes, i) => Some(operand(0)? * operand(1)?),
        _ => None,
    }
}

/// Whether node `i` multiplies the cells of two tensors one by one, in their row-major order.
fn is_cellwise_product(nodes: &[Node], i: usize) -> bool {
    match &nodes[i].op {
        Op::Contract(c) => c.left == c.output && c.right == c.output,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::random::Random;
    use super::super::{Contract, Graph, GraphBuilder};
    use super::*;

    /// Builds on a value `x` of shape `[2, 3]`.
    struct Spelling {
        builder: GraphBuilder,
        x: ValueId,
    }

    impl Spelling {
        fn new() -> Self {
            let mut builder = GraphBuilder::new();
            let x = builder.input("x", &[2, 3]).expect("a shape");
            Self { builder, x }
        }

        fn add(&mut self, op: Op, inputs: &[ValueId]) -> ValueId {
            self.builder.add("n", op, inputs).expect("shapes")
        }

        fn apply(&mut self, f: Activation, x: ValueId) -> ValueId {
            self.add(Op::Activation(f), &[x])
        }

        /// `scale x + shift`
        fn affine(&mut self, scale: f32, x: ValueId, shift: f32) -> ValueId {
            let [scale, shift] = [scale, shift].map(|x| ArrayD::from_elem(IxDyn(&[1]), x));
            self.add(Op::Affine { scale, shift }, &[x])
        }

        fn times(&mut self, x: ValueId, y: ValueId) -> ValueId {
            let labels: Vec<usize> = (0..self.builder.shape(x).len()).collect();
            let product = Contract {
                left: labels.clone(),
                right: labels.clone(),
                output: labels,
            };
            self.add(Op::Contract(product), &[x, y])
        }

        fn finish(self, y: ValueId) -> (Graph, Graph) {
            let graph = self.builder.finish(vec![("y".into(), y)]).expect("valid");
            let simplified = graph.simplified();
            let x = Random::new(7).array(&[2, 3]);
            let run = |graph: &Graph| {
                let values = graph.run(std::slice::from_ref(&x)).expect("runs");
                values[graph.outputs()[0].1.0].clone()
            };
            for (a, b) in run(&graph).iter().zip(&run(&simplified)) {
                assert!((a - b).abs() < 1e-5, "{a} {b}");
            }
            (graph, simplified)
        }
    }

    fn activations(graph: &Graph) -> Vec<Activation> {
        let activation = |node: &Node| match node.op {
            Op::Activation(f) => Some(f),
            _ => None,
        };
        graph.nodes().iter().filter_map(activation).collect()
    }

    fn products(graph: &Graph) -> usize {
        let nodes = graph.nodes().iter();
        nodes
            .filter(|node| matches!(node.op, Op::Contract(_)))
            .count()
    }

    /// `x * (1 + erf(x / sqrt 2)) * 0.5`, the product on other shapes than `x`.
    #[test]
    fn gelu_by_the_error_function() {
        let mut s = Spelling::new();
        let x = s.x;
        let e = s.affine(std::f32::consts::FRAC_1_SQRT_2, x, 0.0);
        let e = s.apply(Activation::Erf, e);
        let e = s.affine(1.0, e, 1.0);
        let [x, e] = [x, e].map(|v| s.add(Op::Reshape { shape: vec![6] }, &[v]));
        let y = s.times(x, e);
        let y = s.affine(0.5, y, 0.0);
        let (graph, simplified) = s.finish(y);
        assert_eq!(products(&graph), 1);
        assert_eq!(activations(&simplified), [Activation::Gelu]);
        assert_eq!(products(&simplified), 0);
        // Input, activation, reshape.
        assert_eq!(simplified.nodes().len(), 3);
    }

    /// `0.5 x * (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))`, the cube as products.
    #[test]
    fn gelu_by_the_hyperbolic_tangent() {
        let mut s = Spelling::new();
        let x = s.x;
        let square = s.times(x, x);
        let cube = s.times(square, x);
        let t = s.affine(0.044_715, cube, 0.0);
        let t = s.add(Op::Add, &[x, t]);
        let t = s.affine(0.797_884_6, t, 0.0);
        let t = s.apply(Activation::Tanh, t);
        let t = s.affine(1.0, t, 1.0);
        let half = s.affine(0.5, x, 0.0);
        let y = s.times(half, t);
        let (_, simplified) = s.finish(y);
        assert_eq!(activations(&simplified), [Activation::GeluTanh]);
        assert_eq!(products(&simplified), 0);
    }

    #[test]
    fn products_with_a_gate_of_the_same_value() {
        let gates = [
            (Activation::Sigmoid, 1.0, Activation::Swish { alpha: 1.0 }),
            (
                Activation::Sigmoid,
                1.702,
                Activation::Swish { alpha: 1.702 },
            ),
        ];
        for (gate, alpha, function) in gates {
            let mut s = Spelling::new();
            let x = s.x;
            let g = s.affine(alpha, x, 0.0);
            let g = s.apply(gate, g);
            let y = s.times(g, x);
            let y = s.affine(-3.0, y, 0.0);
            let (_, simplified) = s.finish(y);
            assert_eq!(activations(&simplified), [function]);
        }
    }

    /// Another value, another function, a factor per column, a transposed operand.
    #[test]
    fn other_products_stay() {
        let mut s = Spelling::new();
        let x = s.x;
        let other = s.builder.input("z", &[2, 3]).expect("a shape");
        let gate = s.apply(Activation::Sigmoid, x);
        let y = s.times(other, gate);
        let graph = s.builder.finish(vec![("y".into(), y)]).expect("valid");
        assert_eq!(products(&graph.simplified()), 1);

        let mut s = Spelling::new();
        let gate = s.affine(1.1, s.x, 0.0);
        let gate = s.apply(Activation::Sigmoid, gate);
        let y = s.times(s.x, gate);
        assert_eq!(products(&s.finish(y).1), 1);

        let mut s = Spelling::new();
        let (mut random, shift) = (Random::new(1), ArrayD::zeros(IxDyn(&[1])));
        let scale = random.array(&[3]);
        let gate = s.add(Op::Affine { scale, shift }, &[s.x]);
        let gate = s.apply(Activation::Sigmoid, gate);
        let y = s.times(s.x, gate);
        assert_eq!(products(&s.finish(y).1), 1);

        let mut s = Spelling::new();
        let x = s.add(Op::Reshape { shape: vec![3, 2] }, &[s.x]);
        let turned = s.add(Op::Transpose { perm: vec![1, 0] }, &[s.x]);
        let gate = s.apply(Activation::Sigmoid, turned);
        let y = s.times(x, gate);
        assert_eq!(products(&s.finish(y).1), 1);
    }
}
