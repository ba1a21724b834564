//! Layers.

use super::{Maker, lengths};
use crate::random::graph::{Attribute, Node};
use crate::random::tensor::{Tensor, Type};

pub(super) fn gemm(m: &mut Maker, op: &'static str) -> Option<Node> {
    let x = m.float_of(2..=2)?;
    let shape = m.of(&x).shape.clone();
    let (ta, tb) = (m.random.below(2), m.random.below(2));
    let (rows, k) = if ta == 1 {
        (shape[1], shape[0])
    } else {
        (shape[0], shape[1])
    };
    let n = m.random.pick(&[1, 2, 3, 5]);
    let of_b = if tb == 1 { [n, k] } else { [k, n] };
    let b = if m.random.chance(0.3) {
        m.value(|t| t.kind.is_float() && t.rank() == 2 && t.shape[usize::from(tb == 1)] == k)?
    } else {
        m.weights(Type::Float, &of_b)
    };
    let n = m.of(&b).shape[usize::from(tb != 1)];
    let mut node = Node::new(op, &[&x, &b], "?")
        .with("transA", Attribute::Int(ta as i64))
        .with("transB", Attribute::Int(tb as i64));
    if m.random.chance(0.6) {
        let shape = m
            .random
            .pick(&[vec![n], vec![1, n], vec![rows, n], vec![1], vec![]]);
        let c = m.weights(Type::Float, &shape);
        node.inputs.push(c);
    }
    for name in ["alpha", "beta"] {
        if m.random.chance(0.3) {
            let value = m.random.pick(&[0.5_f32, 2.0, -1.0, 0.0]);
            node = node.with(name, Attribute::Float(value));
        }
    }
    Some(node)
}

pub(super) fn matmul(m: &mut Maker, op: &'static str) -> Option<Node> {
    let x = m.value(|t| t.kind.is_float() && t.rank() > 0)?;
    let shape = m.of(&x).shape.clone();
    let k = *shape.last()?;
    if m.random.chance(0.4) {
        let fits = |t: &Tensor| {
            t.kind.is_float() && t.rank() >= 1 && t.shape[t.rank().saturating_sub(2)] == k
        };
        if let Some(y) = m.value(fits) {
            return Some(Node::new(op, &[&x, &y], "?"));
        }
        // The product with its own transpose.
        if shape.len() == 2 {
            let y = m.apply("Transpose", &[&x])?;
            return Some(Node::new(op, &[&x, &y], "?"));
        }
    }
    let n = m.random.pick(&[1, 2, 3, 5]);
    let mut of_b = vec![k, n];
    if shape.len() > 2 && m.random.chance(0.3) {
        of_b.insert(0, shape[shape.len() - 3]);
    }
    if m.random.chance(0.15) {
        of_b = vec![k];
    }
    if m.random.chance(0.15) && shape.len() >= 2 {
        let rows = shape[shape.len() - 2];
        let a = m.weights(Type::Float, &[n, rows]);
        return Some(Node::new(op, &[&a, &x], "?"));
    }
    let b = m.weights(Type::Float, &of_b);
    Some(Node::new(op, &[&x, &b], "?"))
}

pub(super) fn einsum(m: &mut Maker, op: &'static str) -> Option<Node> {
    let x = m.float_of(1..=3)?;
    let shape = m.of(&x).shape.clone();
    let equations: &[(&str, &[usize])] = match shape.len() {
        1 => &[
            ("i,i->", &[0]),
            ("i,j->ij", &[9]),
            ("i,j->ji", &[9]),
            ("i,ij->j", &[0, 9]),
        ],
        2 => &[
            ("ij,jk->ik", &[1, 9]),
            ("ij,kj->ki", &[9, 1]),
            ("ij,ij->", &[0, 1]),
            ("ij,ij->i", &[0, 1]),
            ("ij,j->ij", &[1]),
        ],
        _ => &[
            ("bij,bjk->bik", &[0, 2, 9]),
            ("bij,bkj->bik", &[0, 9, 2]),
            ("bij,jk->bki", &[2, 9]),
            ("bij,bij->b", &[0, 1, 2]),
        ],
    };
    let (equation, axes) = m.random.pick(equations);
    let of_y: Vec<usize> = axes
        .iter()
        .map(|&a| if a == 9 { 3 } else { shape[a] })
        .collect();
    let found = m.value(|t| t.kind.is_float() && t.shape == of_y);
    let y = match found {
        Some(y) if m.random.chance(0.5) => y,
        _ => m.weights(Type::Float, &of_y),
    };
    Some(Node::new(op, &[&x, &y], "?").with("equation", Attribute::Text(equation.into())))
}

/// Kernel, strides, dilations and padding for spatial axes of these lengths.
fn windows(
    m: &mut Maker,
    mut node: Node,
    spatial: &[usize],
    dilated: bool,
) -> Option<(Node, Vec<usize>)> {
    let n = spatial.len();
    let kernel: Vec<usize> = spatial
        .iter()
        .map(|&n| m.random.below(n.min(3)) + 1)
        .collect();
    let strides: Vec<usize> = (0..n).map(|_| m.random.pick(&[1, 1, 2, 3])).collect();
    node = node.with("strides", lengths(&strides));
    if m.random.chance(0.5) {
        let pads: Vec<usize> = (0..2 * n).map(|k| m.random.below(kernel[k % n])).collect();
        node = node.with("pads", lengths(&pads));
    }
    if dilated && m.random.chance(0.3) {
        let dilations: Vec<usize> = (0..n).map(|_| m.random.pick(&[1, 2])).collect();
        node = node.with("dilations", lengths(&dilations));
    }
    Some((node, kernel))
}

pub(super) fn conv(m: &mut Maker, op: &'static str) -> Option<Node> {
    let x = m.float_of(3..=4)?;
    let shape = m.of(&x).shape.clone();
    let (node, kernel) = windows(m, Node::new(op, &[&x], "?"), &shape[2..], true)?;
    let c = shape[1];
    let groups = if m.random.chance(0.3) {
        m.random.pick(&[c, if c.is_multiple_of(2) { 2 } else { 1 }])
    } else {
        1
    };
    let each = m.random.pick(&[1, 2, 3]);
    let (of_w, outputs) = if op == "Conv" {
        (
            [&[groups * each, c / groups][..], &kernel].concat(),
            groups * each,
        )
    } else {
        ([&[c, each][..], &kernel].concat(), groups * each)
    };
    let w = m.weights(Type::Float, &of_w);
    let mut node = node
        .with("group", Attribute::Int(groups as i64))
        .with("kernel_shape", lengths(&kernel));
    node.inputs.push(w);
    if m.random.chance(0.5) {
        let b = m.weights(Type::Float, &[outputs]);
        node.inputs.push(b);
    }
    Some(node)
}

pub(super) fn pool(m: &mut Maker, op: &'static str) -> Option<Node> {
    let x = m.float_of(3..=4)?;
    let shape = m.of(&x).shape.clone();
    let (mut node, kernel) = windows(m, Node::new(op, &[&x], "?"), &shape[2..], op == "MaxPool")?;
    node = node.with("kernel_shape", lengths(&kernel));
    if m.random.chance(0.3) {
        node = node.with("ceil_mode", Attribute::Int(1));
    }
    if op == "AveragePool" {
        let padded = m.random.below(2) as i64;
        node = node.with("count_include_pad", Attribute::Int(padded));
    }
    if op == "LpPool" {
        let p = m.random.int(1, 3);
        node = node.with("p", Attribute::Int(p));
    }
    Some(node)
}

pub(super) fn global(m: &mut Maker, op: &'static str) -> Option<Node> {
    let x = m.float_of(3..=4)?;
    let node = Node::new(op, &[&x], "?");
    if op == "GlobalLpPool" {
        let p = m.random.int(1, 3);
        return Some(node.with("p", Attribute::Int(p)));
    }
    Some(node)
}

/// A value of channels with a constant for each.
fn channelled(m: &mut Maker, op: &'static str, constants: usize) -> Option<Node> {
    let x = m.float_of(2..=4)?;
    let c = m.of(&x).shape[1];
    let mut node = Node::new(op, &[&x], "?");
    for k in 0..constants {
        let name = if k == 3 {
            let cells = (0..c).map(|_| m.random.real(0.1, 2.0)).collect();
            m.constant(Tensor::new(Type::Float, &[c], cells))
        } else {
            m.weights(Type::Float, &[c])
        };
        node.inputs.push(name);
    }
    let e = m.random.pick(&[1e-5_f32, 1e-3, 1e-2]);
    Some(node.with("epsilon", Attribute::Float(e)))
}

pub(super) fn batch_norm(m: &mut Maker, op: &'static str) -> Option<Node> {
    channelled(m, op, 4)
}

pub(super) fn instance_norm(m: &mut Maker, op: &'static str) -> Option<Node> {
    let node = channelled(m, op, 2)?;
    (m.of(&node.inputs[0]).rank() > 2).then_some(node)
}

pub(super) fn group_norm(m: &mut Maker, op: &'static str) -> Option<Node> {
    let node = channelled(m, op, 2)?;
    let shape = m.of(&node.inputs[0]).shape.clone();
    if shape.len() < 3 {
        return None;
    }
    let groups: Vec<usize> = (1..=shape[1])
        .filter(|g| shape[1].is_multiple_of(*g))
        .collect();
    let groups = m.random.pick(&groups);
    Some(node.with("num_groups", Attribute::Int(groups as i64)))
}

pub(super) fn layer_norm(m: &mut Maker, op: &'static str) -> Option<Node> {
    let x = m.value(|t| t.kind.is_float() && t.rank() > 0)?;
    let shape = m.of(&x).shape.clone();
    let (a, axis) = m.axis(shape.len())?;
    let s = m.weights(Type::Float, &shape[a..]);
    let mut node = Node::new(op, &[&x, &s], "?").with("axis", Attribute::Int(axis));
    if op == "LayerNormalization" && m.random.chance(0.6) {
        let b = m.weights(Type::Float, &shape[a..]);
        node.inputs.push(b);
    }
    let e = m.random.pick(&[1e-5_f32, 1e-3, 1e-2]);
    Some(node.with("epsilon", Attribute::Float(e)))
}

pub(super) fn mean_variance(m: &mut Maker, op: &'static str) -> Option<Node> {
    let x = m.float_of(4..=4)?;
    let axes = m
        .random
        .pick(&[vec![0, 2, 3], vec![2, 3], vec![1, 2, 3], vec![3]]);
    Some(Node::new(op, &[&x], "?").with("axes", Attribute::Ints(axes)))
}

pub(super) fn lrn(m: &mut Maker, op: &'static str) -> Option<Node> {
    let x = m.float_of(3..=4)?;
    let size = m.random.pick(&[1, 3, 5]);
    let alpha = m.random.pick(&[1e-4_f32, 0.1, 1.0]);
    Some(
        Node::new(op, &[&x], "?")
            .with("size", Attribute::Int(size))
            .with("alpha", Attribute::Float(alpha)),
    )
}

/// Quantised and restored, or quantised alone.
pub(super) fn quantise(m: &mut Maker, op: &'static str) -> Option<Node> {
    let x = m.float()?;
    let (lo, hi) = m.range(&x);
    let signed = m.random.chance(0.5);
    let kind = if signed { Type::Int8 } else { Type::Uint8 };
    let size = hi.max(-lo).max(1e-3);
    let scale = f64::from((size / if signed { 127.0 } else { 200.0 }) as f32);
    let zero = match (signed, lo < 0.0) {
        (true, _) => m.random.pick(&[0.0, 0.0, 3.0, -5.0]),
        (false, true) => 128.0,
        (false, false) => 0.0,
    };
    let s = m.constant(Tensor::scalar(Type::Float, scale));
    let z = m.constant(Tensor::scalar(kind, zero));
    let node = Node::new("QuantizeLinear", &[&x, &s, &z], "?");
    if op == "QuantizeLinear" {
        return Some(node);
    }
    let q = m.add(node)?;
    Some(Node::new(op, &[&q, &s, &z], "?"))
}

/// An operator of onnxruntime.
pub(super) fn fused_gelu(m: &mut Maker, op: &'static str) -> Option<Node> {
    let x = m.value(|t| t.kind.is_float() && t.rank() > 0)?;
    let mut node = Node::new(op, &[&x], "?").of("com.microsoft");
    if op == "BiasGelu" || (op == "FastGelu" && m.random.chance(0.5)) {
        let n = *m.of(&x).shape.last()?;
        let bias = m.weights(Type::Float, &[n]);
        node.inputs.push(bias);
    }
    Some(node)
}

/// An operator of scikit-learn's models, on rows of features.
pub(super) fn learn(m: &mut Maker, op: &'static str) -> Option<Node> {
    let x = m.float_of(2..=2)?;
    let n = m.of(&x).shape[1];
    let node = Node::new(op, &[&x], "?").of("ai.onnx.ml");
    let mut list = |len: usize| {
        let cells = (0..len).map(|_| m.random.real(-2.0, 2.0) as f32);
        Attribute::Floats(cells.collect())
    };
    Some(match op {
        "Scaler" => node.with("offset", list(n)).with("scale", list(n)),
        "LinearRegressor" => node
            .with("coefficients", list(2 * n))
            .with("intercepts", list(2))
            .with("targets", Attribute::Int(2)),
        "Normalizer" => {
            let norm = m.random.pick(&["MAX", "L1", "L2"]);
            node.with("norm", Attribute::Text(norm.into()))
        }
        _ => node.with(
            "threshold",
            Attribute::Float(m.random.real(-1.0, 1.0) as f32),
        ),
    })
}

pub(super) fn attention(m: &mut Maker, op: &'static str) -> Option<Node> {
    let q = m.value(|t| t.kind.is_float() && t.rank() == 4 && t.len() <= 64)?;
    let shape = m.of(&q).shape.clone();
    let rows = m.random.pick(&[1, 2, 3]);
    let causal = m.random.chance(0.3);
    let rows = if causal { shape[2] } else { rows };
    let of_k = [shape[0], shape[1], rows, shape[3]];
    let mut other = || match m.value(|t| t.kind.is_float() && t.shape == of_k) {
        Some(x) if m.random.chance(0.6) => x,
        _ => m.weights(Type::Float, &of_k),
    };
    let (k, v) = (other(), other());
    let node = Node::new(op, &[&q, &k, &v], "?");
    Some(if causal {
        node.with("is_causal", Attribute::Int(1))
    } else {
        node
    })
}

pub(super) fn rotary(m: &mut Maker, op: &'static str) -> Option<Node> {
    let x = m.value(|t| t.kind.is_float() && t.rank() == 4 && t.shape[3] % 2 == 0)?;
    let shape = m.of(&x).shape.clone();
    let of_angles = [shape[0], shape[2], shape[3] / 2];
    let angles: Vec<f64> = (0..of_angles.iter().product())
        .map(|_| m.random.real(-3.0, 3.0))
        .collect();
    let table = |f: fn(f64) -> f64| {
        let cells = angles.iter().map(|&a| f64::from(f(a) as f32)).collect();
        Tensor::new(Type::Float, &of_angles, cells)
    };
    let (c, s) = (m.constant(table(f64::cos)), m.constant(table(f64::sin)));
    let interleaved = m.random.below(2) as i64;
    Some(Node::new(op, &[&x, &c, &s], "?").with("interleaved", Attribute::Int(interleaved)))
}

/// A value of 8 bits, quantised if there is none.
fn bytes(m: &mut Maker, ranks: std::ops::RangeInclusive<usize>) -> Option<String> {
    let fits = |t: &Tensor| matches!(t.kind, Type::Int8 | Type::Uint8) && ranks.contains(&t.rank());
    if let Some(x) = m.value(fits) {
        return Some(x);
    }
    let node = quantise(m, "QuantizeLinear")?;
    let x = m.add(node)?;
    fits(m.of(&x)).then_some(x)
}

pub(super) fn conv_integer(m: &mut Maker, op: &'static str) -> Option<Node> {
    let x = bytes(m, 3..=4)?;
    let shape = m.of(&x).shape.clone();
    let (mut node, kernel) = windows(m, Node::new(op, &[&x], "?"), &shape[2..], false)?;
    let of_w = [&[2, shape[1]][..], &kernel].concat();
    let kind = m.random.pick(&[Type::Int8, Type::Uint8]);
    let w = m.weights(kind, &of_w);
    node.inputs.push(w);
    if m.random.chance(0.5) {
        let zero = m.random.int(0, 5) as f64;
        let zero = m.constant(Tensor::scalar(m.of(&x).kind, zero));
        node.inputs.push(zero);
    }
    Some(node)
}

pub(super) fn matmul_integer(m: &mut Maker, op: &'static str) -> Option<Node> {
    let x = bytes(m, 2..=6)?;
    let k = *m.of(&x).shape.last()?;
    let kind = m.random.pick(&[Type::Int8, Type::Uint8]);
    let w = m.weights(kind, &[k, 3]);
    let mut node = Node::new(op, &[&x, &w], "?");
    if m.random.chance(0.5) {
        let zero = m.random.int(0, 5) as f64;
        let zero = m.constant(Tensor::scalar(m.of(&x).kind, zero));
        node.inputs.push(zero);
    }
    Some(node)
}

pub(super) fn recurrent(m: &mut Maker, op: &'static str) -> Option<Node> {
    let x = m.value(|t| t.kind.is_float() && t.rank() == 3 && t.len() <= 40)?;
    let shape = m.of(&x).shape.clone();
    let gates = match op {
        "LSTM" => 4,
        "GRU" => 3,
        _ => 1,
    };
    let hidden = m.random.pick(&[1, 2, 3]);
    let way = m.random.pick(&["forward", "reverse", "bidirectional"]);
    let d = if way == "bidirectional" { 2 } else { 1 };
    let w = m.weights(Type::Float, &[d, gates * hidden, shape[2]]);
    let r = m.weights(Type::Float, &[d, gates * hidden, hidden]);
    let mut node = Node::new(op, &[&x, &w, &r], "?")
        .with("hidden_size", Attribute::Int(hidden as i64))
        .with("direction", Attribute::Text(way.into()));
    node.outputs.push("?".into());
    if m.random.chance(0.5) {
        let b = m.weights(Type::Float, &[d, 2 * gates * hidden]);
        node.inputs.push(b);
    }
    if op == "GRU" && m.random.chance(0.5) {
        node = node.with("linear_before_reset", Attribute::Int(1));
    }
    Some(node)
}
