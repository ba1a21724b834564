//! Functions of cells, and reductions.

use super::Maker;
use crate::random::graph::{Attribute, Node};
use crate::random::tensor::{Tensor, Type};

pub(super) fn unary(m: &mut Maker, op: &'static str) -> Option<Node> {
    let x = m.float()?;
    Some(Node::new(op, &[&x], "?"))
}

/// Of an argument between two bounds.
fn bounded(m: &mut Maker, op: &'static str, lo: f64, hi: f64) -> Option<Node> {
    let x = m.inside(lo, hi)?;
    Some(Node::new(op, &[&x], "?"))
}

pub(super) fn of_unit(m: &mut Maker, op: &'static str) -> Option<Node> {
    bounded(m, op, -1.0, 1.0)
}

pub(super) fn of_open_unit(m: &mut Maker, op: &'static str) -> Option<Node> {
    bounded(m, op, -0.98, 0.98)
}

pub(super) fn of_positive(m: &mut Maker, op: &'static str) -> Option<Node> {
    let lo = m.random.pick(&[0.01, 0.3, 1.0]);
    bounded(m, op, lo, 1e4)
}

pub(super) fn of_more_than_one(m: &mut Maker, op: &'static str) -> Option<Node> {
    bounded(m, op, 1.0, 1e3)
}

pub(super) fn of_nonnegative(m: &mut Maker, op: &'static str) -> Option<Node> {
    bounded(m, op, 0.0, 1e4)
}

pub(super) fn of_moderate(m: &mut Maker, op: &'static str) -> Option<Node> {
    bounded(m, op, -6.0, 6.0)
}

pub(super) fn of_tangent(m: &mut Maker, op: &'static str) -> Option<Node> {
    bounded(m, op, -1.4, 1.4)
}

pub(super) fn negation(m: &mut Maker, op: &'static str) -> Option<Node> {
    let x = m.value(|t| t.kind != Type::Bool)?;
    Some(Node::new(op, &[&x], "?"))
}

pub(super) fn parametrised(m: &mut Maker, op: &'static str) -> Option<Node> {
    let mut node = unary(m, op)?;
    let names: &[&str] = match op {
        "HardSigmoid" => &["alpha", "beta"],
        "Selu" => &["alpha", "gamma"],
        "Shrink" => &["lambd", "bias"],
        _ => &["alpha"],
    };
    for name in names {
        if m.random.chance(0.6) {
            let value = m.random.real(0.05, 1.5) as f32;
            node = node.with(name, Attribute::Float(value));
        }
    }
    Some(node)
}

pub(super) fn gelu(m: &mut Maker, op: &'static str) -> Option<Node> {
    let node = unary(m, op)?;
    let way = m.random.pick(&["none", "tanh"]);
    Some(node.with("approximate", Attribute::Text(way.into())))
}

pub(super) fn clip(m: &mut Maker, op: &'static str) -> Option<Node> {
    let x = m.value(|t| t.kind != Type::Bool)?;
    let kind = m.of(&x).kind;
    let (lo, hi) = m.range(&x);
    let bound = |m: &mut Maker, at: f64| {
        if m.random.chance(0.25) {
            return String::new();
        }
        let value = if kind.is_float() {
            f64::from(at as f32)
        } else {
            at.round()
        };
        m.constant(Tensor::scalar(kind, value))
    };
    let part = m.random.real(-0.1, 0.5);
    let low = bound(m, lo + part * (hi - lo));
    let part = m.random.real(0.5, 1.1);
    let high = bound(m, lo + part * (hi - lo));
    Some(Node::new(op, &[&x, &low, &high], "?"))
}

pub(super) fn prelu(m: &mut Maker, op: &'static str) -> Option<Node> {
    let x = m.float()?;
    let mut shape = m.of(&x).shape.clone();
    for n in &mut shape {
        if m.random.chance(0.5) {
            *n = 1;
        }
    }
    let slope = m.weights(Type::Float, &shape);
    Some(Node::new(op, &[&x, &slope], "?"))
}

/// Arithmetic of numbers.
pub(super) fn binary(m: &mut Maker, op: &'static str) -> Option<Node> {
    let x = m.value(|t| t.kind != Type::Bool)?;
    let y = m.beside(&x)?;
    let (a, b) = if m.random.chance(0.3) { (y, x) } else { (x, y) };
    Some(Node::new(op, &[&a, &b], "?"))
}

pub(super) fn several(m: &mut Maker, op: &'static str) -> Option<Node> {
    let x = if matches!(op, "Mean" | "Sum") {
        m.float()
    } else {
        m.value(|t| t.kind != Type::Bool)
    }?;
    let mut operands = vec![x.clone()];
    for _ in 0..m.random.below(3) {
        operands.push(m.beside(&x)?);
    }
    let operands: Vec<&str> = operands.iter().map(|x| &**x).collect();
    Some(Node::new(op, &operands, "?"))
}

pub(super) fn division(m: &mut Maker, op: &'static str) -> Option<Node> {
    if m.random.chance(0.25) {
        let x = m.value(|t| t.kind.is_integer())?;
        let by = m.random.pick(&[1, 2, 3, 4, 7, 10]);
        let by = m.constant(Tensor::scalar(m.of(&x).kind, f64::from(by)));
        return Some(Node::new(op, &[&x, &by], "?"));
    }
    let x = m.float()?;
    let y = if m.random.chance(0.5) {
        let shape = m.of(&x).shape.clone();
        let shape = m.broadcastable(&shape);
        m.weights(Type::Float, &shape)
    } else {
        let lo = m.random.pick(&[0.05, 0.5, 1.0]);
        m.inside(lo, 1e4)?
    };
    Some(Node::new(op, &[&x, &y], "?"))
}

pub(super) fn modulo(m: &mut Maker, op: &'static str) -> Option<Node> {
    let x = m.value(|t| t.kind != Type::Bool)?;
    let kind = m.of(&x).kind;
    let by = if kind.is_float() {
        m.random.pick(&[0.7, 1.0, 2.0, 2.5])
    } else if kind == Type::Uint8 {
        m.random.pick(&[1.0, 2.0, 3.0, 5.0])
    } else {
        m.random.pick(&[1.0, 2.0, 3.0, 5.0, -3.0])
    };
    let by = m.constant(Tensor::scalar(kind, f64::from(by as f32)));
    let node = Node::new(op, &[&x, &by], "?");
    let float = kind.is_float() || m.random.chance(0.2);
    Some(if float {
        node.with("fmod", Attribute::Int(1))
    } else {
        node
    })
}

pub(super) fn power(m: &mut Maker, op: &'static str) -> Option<Node> {
    let exponent = m.random.pick(&[0.5, 1.0, 2.0, 3.0, -1.0, -0.5, 1.5, 2.0]);
    let whole = f64::fract(exponent) == 0.0;
    let x = if whole && exponent > 0.0 {
        m.float()?
    } else {
        m.inside(0.1, 1e3)?
    };
    let y = if m.random.chance(0.2) {
        let y = m.inside(-3.0, 3.0)?;
        let x = m.inside(0.1, 100.0)?;
        return Some(Node::new(op, &[&x, &y], "?"));
    } else {
        m.constant(Tensor::scalar(Type::Float, exponent))
    };
    Some(Node::new(op, &[&x, &y], "?"))
}

pub(super) fn comparison(m: &mut Maker, op: &'static str) -> Option<Node> {
    if op == "Equal" {
        let x = m.value(|t| !t.kind.is_float())?;
        let y = m.beside(&x)?;
        return Some(Node::new(op, &[&x, &y], "?"));
    }
    binary(m, op)
}

/// A value of truth values, made by a comparison if there is none.
pub(super) fn truth(m: &mut Maker) -> Option<String> {
    if m.random.chance(0.7)
        && let Some(x) = m.value(|t| t.kind == Type::Bool)
    {
        return Some(x);
    }
    let op = m
        .random
        .pick(&["Less", "Greater", "GreaterOrEqual", "LessOrEqual"]);
    let node = comparison(m, op)?;
    m.add(node)
}

pub(super) fn logic(m: &mut Maker, op: &'static str) -> Option<Node> {
    let x = truth(m)?;
    if op == "Not" {
        return Some(Node::new(op, &[&x], "?"));
    }
    let y = m.beside(&x)?;
    Some(Node::new(op, &[&x, &y], "?"))
}

pub(super) fn select(m: &mut Maker, op: &'static str) -> Option<Node> {
    let condition = truth(m)?;
    let shape = m.of(&condition).shape.clone();
    let x = m.value(|t| crate::random::tensor::broadcast(&[&t.shape, &shape]).is_some())?;
    let y = m.beside(&x)?;
    Some(Node::new(op, &[&condition, &x, &y], "?"))
}

pub(super) fn cast(m: &mut Maker, op: &'static str) -> Option<Node> {
    let x = m.value(|_| true)?;
    let (lo, hi) = m.range(&x);
    let mut kinds = vec![Type::Float, Type::Float, Type::Bool];
    if lo > -1e4 && hi < 1e4 {
        kinds.extend([Type::Int64, Type::Int32]);
    }
    if (-128.0..128.0).contains(&lo) && hi < 127.9 {
        kinds.push(Type::Int8);
    }
    if lo >= 0.0 && hi < 255.9 {
        kinds.push(Type::Uint8);
    }
    let kind = m.random.pick(&kinds);
    if op == "CastLike" {
        let like = m.weights(kind, &[1]);
        return Some(Node::new(op, &[&x, &like], "?"));
    }
    Some(Node::new(op, &[&x], "?").with("to", Attribute::Int(kind.code().into())))
}

pub(super) fn bits(m: &mut Maker, op: &'static str) -> Option<Node> {
    let mut x = m.value(|t| t.kind.is_integer())?;
    if op == "BitShift" && m.of(&x).kind != Type::Uint8 {
        let (lo, hi) = m.range(&x);
        if lo < 0.0 || hi > 255.0 {
            return None;
        }
        let cast = Node::new("Cast", &[&x], "?");
        x = m.add(cast.with("to", Attribute::Int(Type::Uint8.code().into())))?;
    }
    let (kind, shape) = (m.of(&x).kind, m.of(&x).shape.clone());
    let shape = m.broadcastable(&shape);
    if op == "BitShift" {
        let by = m.random.int(0, 3) as f64;
        let by = m.constant(Tensor::build(kind, &shape, |_| by));
        return Some(
            Node::new(op, &[&x, &by], "?").with("direction", Attribute::Text("RIGHT".into())),
        );
    }
    let mask = m.random.pick(&[0.0, 1.0, 3.0, 5.0, 7.0]);
    let mask = m.constant(Tensor::build(kind, &shape, |_| mask));
    Some(Node::new(op, &[&x, &mask], "?"))
}

pub(super) fn reduction(m: &mut Maker, op: &'static str) -> Option<Node> {
    let whole = matches!(
        op,
        "ReduceMax" | "ReduceMin" | "ReduceSum" | "ReduceProd" | "ReduceL1" | "ReduceSumSquare"
    );
    let x = match op {
        "ReduceLogSum" => m.inside(0.05, 1e4)?,
        "ReduceLogSumExp" => m.inside(-8.0, 8.0)?,
        _ => m.value(|t| t.kind.is_float() || (whole && t.kind.is_integer()))?,
    };
    let rank = m.of(&x).rank();
    let mut node = Node::new(op, &[&x], "?");
    if m.random.chance(0.8) && rank > 0 {
        let mut axes = Vec::new();
        for axis in 0..rank as i64 {
            if m.random.chance(0.5) {
                axes.push(if m.random.chance(0.3) {
                    axis - rank as i64
                } else {
                    axis
                });
            }
        }
        let axes = m.list(&axes);
        node.inputs.push(axes);
        if m.random.chance(0.1) {
            node = node.with("noop_with_empty_axes", Attribute::Int(1));
        }
    }
    let keep = m.random.below(2) as i64;
    Some(node.with("keepdims", Attribute::Int(keep)))
}

pub(super) fn extreme(m: &mut Maker, op: &'static str) -> Option<Node> {
    let x = m.value(|t| t.kind != Type::Bool && t.rank() > 0)?;
    let (_, axis) = m.axis(m.of(&x).rank())?;
    let node = Node::new(op, &[&x], "?").with("axis", Attribute::Int(axis));
    let (keep, last) = (m.random.below(2) as i64, m.random.below(2) as i64);
    Some(
        node.with("keepdims", Attribute::Int(keep))
            .with("select_last_index", Attribute::Int(last)),
    )
}

/// A function of every line along an axis.
pub(super) fn along(m: &mut Maker, op: &'static str) -> Option<Node> {
    let x = m.value(|t| t.kind.is_float() && t.rank() > 0)?;
    let (_, axis) = m.axis(m.of(&x).rank())?;
    let node = Node::new(op, &[&x], "?").with("axis", Attribute::Int(axis));
    if op == "LpNormalization" {
        let p = m.random.int(1, 2);
        return Some(node.with("p", Attribute::Int(p)));
    }
    Some(node)
}

pub(super) fn running(m: &mut Maker, op: &'static str) -> Option<Node> {
    let x = m.value(|t| t.kind != Type::Bool && t.rank() > 0)?;
    let (_, axis) = m.axis(m.of(&x).rank())?;
    let axis = m.constant(Tensor::scalar(Type::Int64, axis as f64));
    let (e, r) = (m.random.below(2) as i64, m.random.below(2) as i64);
    Some(
        Node::new(op, &[&x, &axis], "?")
            .with("exclusive", Attribute::Int(e))
            .with("reverse", Attribute::Int(r)),
    )
}

pub(super) fn largest(m: &mut Maker, op: &'static str) -> Option<Node> {
    let x = m.value(|t| t.kind != Type::Bool && t.rank() > 0)?;
    let (a, axis) = m.axis(m.of(&x).rank())?;
    let k = m.random.below(m.of(&x).shape[a]) as i64 + 1;
    let k = m.list(&[k]);
    let mut node = Node::new(op, &[&x, &k], "?").with("axis", Attribute::Int(axis));
    node.outputs.push("?".into());
    let largest = m.random.below(2) as i64;
    Some(node.with("largest", Attribute::Int(largest)))
}
