//! Operators that move cells.

use super::{Maker, lengths};
use crate::random::graph::{Attribute, Node};
use crate::random::tensor::{Tensor, Type};

pub(super) fn any(m: &mut Maker, op: &'static str) -> Option<Node> {
    let x = m.value(|_| true)?;
    Some(Node::new(op, &[&x], "?"))
}

pub(super) fn concat(m: &mut Maker, op: &'static str) -> Option<Node> {
    let x = m.value(|t| t.rank() > 0)?;
    let (kind, shape) = (m.of(&x).kind, m.of(&x).shape.clone());
    let (a, axis) = m.axis(shape.len())?;
    let mut parts = vec![x];
    for _ in 0..m.random.int(1, 2) {
        let fits = |t: &Tensor| {
            t.kind == kind
                && t.rank() == shape.len()
                && (0..shape.len()).all(|b| b == a || t.shape[b] == shape[b])
        };
        let other = m.value(fits)?;
        if m.random.chance(0.3) {
            let mut shape = shape.clone();
            shape[a] = m.random.pick(&[1, 2, 3]);
            let constant = m.weights(kind, &shape);
            parts.push(constant);
        } else {
            parts.push(other);
        }
    }
    let parts: Vec<&str> = parts.iter().map(|x| &**x).collect();
    Some(Node::new(op, &parts, "?").with("axis", Attribute::Int(axis)))
}

pub(super) fn blocks(m: &mut Maker, op: &'static str) -> Option<Node> {
    let b = 2;
    let x = m.value(|t| match (op, &t.shape[..]) {
        ("DepthToSpace", [_, c, _, _]) => c % (b * b) == 0,
        (_, [_, _, h, w]) => h % b == 0 && w % b == 0,
        _ => false,
    })?;
    let node = Node::new(op, &[&x], "?").with("blocksize", Attribute::Int(b as i64));
    if op == "DepthToSpace" {
        let mode = m.random.pick(&["DCR", "CRD"]);
        return Some(node.with("mode", Attribute::Text(mode.into())));
    }
    Some(node)
}

pub(super) fn expand(m: &mut Maker, op: &'static str) -> Option<Node> {
    let x = m.value(|t| t.len() <= 32)?;
    let shape = m.of(&x).shape.clone();
    let mut wanted: Vec<i64> = shape.iter().map(|&n| n as i64).collect();
    for n in &mut wanted {
        if *n == 1 {
            *n = m.random.int(1, 3);
        } else if m.random.chance(0.3) {
            *n = 1;
        }
    }
    if m.random.chance(0.3) {
        wanted.insert(0, m.random.int(1, 3));
    }
    let wanted = m.list(&wanted);
    Some(Node::new(op, &[&x, &wanted], "?"))
}

pub(super) fn flatten(m: &mut Maker, op: &'static str) -> Option<Node> {
    let x = m.value(|_| true)?;
    let rank = m.of(&x).rank() as i64;
    let axis = m.random.int(-rank, rank);
    Some(Node::new(op, &[&x], "?").with("axis", Attribute::Int(axis)))
}

/// Indices of an axis, constant or a value that has such.
fn places(m: &mut Maker, n: usize, shape: &[usize]) -> String {
    let names: Vec<String> = m
        .names
        .iter()
        .filter(|name| {
            let (lo, hi) = m.range(name);
            let t = m.of(name);
            matches!(t.kind, Type::Int64 | Type::Int32)
                && t.shape == shape
                && lo >= -(n as f64)
                && hi < n as f64
        })
        .cloned()
        .collect();
    if !names.is_empty() && m.random.chance(0.7) {
        return m.random.pick(&names);
    }
    let (negative, n) = (m.random.chance(0.3), n as i64);
    let cells = (0..shape.iter().product::<usize>())
        .map(|_| if negative { m.random.int(-n, n - 1) } else { m.random.int(0, n - 1) } as f64)
        .collect();
    m.constant(Tensor::new(Type::Int64, shape, cells))
}

/// The shape of a value of indices that are inside of an axis of this length, if there is one.
fn placed(m: &mut Maker, n: usize) -> Option<Vec<usize>> {
    let names: Vec<String> = m.names.clone();
    let fit = names.iter().rev().find(|name| {
        let (lo, hi) = m.range(name);
        matches!(m.of(name).kind, Type::Int64) && lo >= -(n as f64) && hi < n as f64
    })?;
    Some(m.of(fit).shape.clone())
}

pub(super) fn gather(m: &mut Maker, op: &'static str) -> Option<Node> {
    let x = m.value(|t| t.rank() > 0)?;
    let (a, axis) = m.axis(m.of(&x).rank())?;
    let n = m.of(&x).shape[a];
    let rank = m.random.below(3);
    let mut shape = m.shape(rank);
    if let Some(of_value) = placed(m, n)
        && m.random.chance(0.8)
    {
        shape = of_value;
    }
    let at = places(m, n, &shape);
    Some(Node::new(op, &[&x, &at], "?").with("axis", Attribute::Int(axis)))
}

pub(super) fn gather_elements(m: &mut Maker, op: &'static str) -> Option<Node> {
    let x = m.value(|t| t.rank() > 0)?;
    let shape = m.of(&x).shape.clone();
    let (a, axis) = m.axis(shape.len())?;
    let mut of_places = shape.clone();
    of_places[a] = m.random.int(1, 3) as usize;
    let at = places(m, shape[a], &of_places);
    Some(Node::new(op, &[&x, &at], "?").with("axis", Attribute::Int(axis)))
}

pub(super) fn gather_nd(m: &mut Maker, op: &'static str) -> Option<Node> {
    let x = m.value(|t| t.rank() > 0)?;
    let shape = m.of(&x).shape.clone();
    let last = m.random.below(shape.len()) + 1;
    let count = m.random.int(1, 4) as usize;
    let cells = (0..count * last).map(|k| m.random.below(shape[k % last]) as f64);
    let at = Tensor::new(Type::Int64, &[count, last], cells.collect());
    let at = m.constant(at);
    Some(Node::new(op, &[&x, &at], "?"))
}

pub(super) fn one_hot(m: &mut Maker, op: &'static str) -> Option<Node> {
    let x = m.value(|t| t.kind.is_integer() && t.len() <= 24)?;
    let depth = m.random.int(1, 6) as f64;
    let (_, axis) = m.axis(m.of(&x).rank() + 1)?;
    let depth = m.constant(Tensor::scalar(Type::Int64, depth));
    let values = m.random.pick(&[[0.0, 1.0], [1.0, 0.0], [-0.5, 2.25]]);
    let values = m.constant(Tensor::new(Type::Float, &[2], values.to_vec()));
    Some(Node::new(op, &[&x, &depth, &values], "?").with("axis", Attribute::Int(axis)))
}

pub(super) fn pad(m: &mut Maker, op: &'static str) -> Option<Node> {
    let x = m.value(|t| t.rank() > 0 && t.kind != Type::Bool)?;
    let (kind, shape) = (m.of(&x).kind, m.of(&x).shape.clone());
    let mode = m
        .random
        .pick(&["constant", "constant", "edge", "reflect", "wrap"]);
    let mut pads = Vec::new();
    for _ in 0..2 {
        for &n in &shape {
            let most = if mode == "reflect" {
                n as i64 - 1
            } else {
                2.min(n as i64)
            };
            let least = if mode == "constant" && m.random.chance(0.1) {
                -1
            } else {
                0
            };
            pads.push(if m.random.chance(0.5) {
                0
            } else {
                m.random.int(least, most)
            });
        }
    }
    let pads = m.list(&pads);
    let value = if mode == "constant" && m.random.chance(0.5) {
        m.weights(kind, &[])
    } else {
        String::new()
    };
    Some(Node::new(op, &[&x, &pads, &value], "?").with("mode", Attribute::Text(mode.into())))
}

pub(super) fn reshape(m: &mut Maker, op: &'static str) -> Option<Node> {
    let x = m.value(|_| true)?;
    let mut shape: Vec<i64> = m.of(&x).shape.iter().map(|&n| n as i64).collect();
    for _ in 0..m.random.int(1, 3) {
        match m.random.below(4) {
            0 if shape.len() > 1 => {
                let k = m.random.below(shape.len() - 1);
                let n = shape.remove(k);
                shape[k] *= n;
            }
            1 => {
                let k = m.random.below(shape.len() + 1);
                shape.insert(k, 1);
            }
            _ if !shape.is_empty() => {
                let k = m.random.below(shape.len());
                let n = shape[k];
                let factors: Vec<i64> = (2..n).filter(|f| n % f == 0).collect();
                if !factors.is_empty() {
                    let f = m.random.pick(&factors);
                    shape[k] = n / f;
                    shape.insert(k, f);
                }
            }
            _ => {}
        }
    }
    if !shape.is_empty() && m.random.chance(0.3) {
        let k = m.random.below(shape.len());
        shape[k] = -1;
    }
    let shape = m.list(&shape);
    Some(Node::new(op, &[&x, &shape], "?"))
}

pub(super) fn resize(m: &mut Maker, op: &'static str) -> Option<Node> {
    let x = m.float_of(3..=4)?;
    let shape = m.of(&x).shape.clone();
    let mut scales = vec![1.0; shape.len()];
    for scale in &mut scales[2..] {
        *scale = m.random.pick(&[1.0, 2.0, 1.5, 3.0, 0.5]);
    }
    let linear = m.random.chance(0.4);
    let transform = m.random.pick(&[
        "half_pixel",
        "asymmetric",
        "align_corners",
        "pytorch_half_pixel",
    ]);
    let rounding = m
        .random
        .pick(&["round_prefer_floor", "floor", "ceil", "round_prefer_ceil"]);
    let node = if transform == "align_corners" || m.random.chance(0.5) {
        let sizes: Vec<i64> = shape
            .iter()
            .zip(&scales)
            .map(|(&n, s)| ((n as f64 * s) as i64).max(1))
            .collect();
        let sizes = m.list(&sizes);
        Node::new(op, &[&x, "", "", &sizes], "?")
    } else {
        let scales = m.constant(Tensor::new(Type::Float, &[shape.len()], scales));
        Node::new(op, &[&x, "", &scales], "?")
    };
    let mode = if linear { "linear" } else { "nearest" };
    let node = node.with("mode", Attribute::Text(mode.into())).with(
        "coordinate_transformation_mode",
        Attribute::Text(transform.into()),
    );
    Some(if linear {
        node
    } else {
        node.with("nearest_mode", Attribute::Text(rounding.into()))
    })
}

pub(super) fn reverse(m: &mut Maker, op: &'static str) -> Option<Node> {
    let x = m.value(|t| t.rank() >= 2)?;
    let shape = m.of(&x).shape.clone();
    let (batch, time) = if m.random.chance(0.5) { (0, 1) } else { (1, 0) };
    let list: Vec<i64> = (0..shape[batch])
        .map(|_| m.random.int(1, shape[time] as i64))
        .collect();
    let list = m.list(&list);
    Some(
        Node::new(op, &[&x, &list], "?")
            .with("batch_axis", Attribute::Int(batch as i64))
            .with("time_axis", Attribute::Int(time as i64)),
    )
}

/// Updates: a value of this shape or a constant.
fn updates(m: &mut Maker, kind: Type, shape: &[usize]) -> String {
    if m.random.chance(0.7)
        && let Some(x) = m.value(|t| t.kind == kind && t.shape == shape)
    {
        return x;
    }
    m.weights(kind, shape)
}

pub(super) fn scatter_elements(m: &mut Maker, op: &'static str) -> Option<Node> {
    let x = m.value(|t| t.rank() > 0 && t.kind != Type::Bool)?;
    let (kind, shape) = (m.of(&x).kind, m.of(&x).shape.clone());
    let (a, axis) = m.axis(shape.len())?;
    // With several updates of a cell only some reductions say what it is: each line has a place once.
    let reduction = m.random.pick(&["none", "none", "add", "mul", "max", "min"]);
    let mut of_places = shape.clone();
    of_places[a] = m.random.below(shape[a]) + 1;
    let start = m.random.below(shape[a]);
    let at = Tensor::build(Type::Int64, &of_places, |i| {
        let repeated = if reduction == "none" { i[a] } else { i[a] / 2 };
        ((start + repeated) % shape[a]) as f64
    });
    let at = m.constant(at);
    let new = updates(m, kind, &of_places);
    Some(
        Node::new(op, &[&x, &at, &new], "?")
            .with("axis", Attribute::Int(axis))
            .with("reduction", Attribute::Text(reduction.into())),
    )
}

pub(super) fn scatter_nd(m: &mut Maker, op: &'static str) -> Option<Node> {
    let x = m.value(|t| t.rank() > 0 && t.kind != Type::Bool)?;
    let (kind, shape) = (m.of(&x).kind, m.of(&x).shape.clone());
    let reduction = m.random.pick(&["none", "none", "add", "mul", "max", "min"]);
    let count = if reduction == "none" {
        m.random.below(shape[0]) + 1
    } else {
        3
    };
    let start = m.random.below(shape[0]);
    let cells = (0..count).map(|k| ((start + k) % shape[0]) as f64);
    let at = m.constant(Tensor::new(Type::Int64, &[count, 1], cells.collect()));
    let of_updates = [&[count], &shape[1..]].concat();
    let new = updates(m, kind, &of_updates);
    Some(Node::new(op, &[&x, &at, &new], "?").with("reduction", Attribute::Text(reduction.into())))
}

pub(super) fn slice(m: &mut Maker, op: &'static str) -> Option<Node> {
    let x = m.value(|t| t.rank() > 0)?;
    let shape = m.of(&x).shape.clone();
    let (mut starts, mut ends, mut axes, mut steps) = (vec![], vec![], vec![], vec![]);
    for (a, &n) in shape.iter().enumerate() {
        if m.random.chance(0.5) {
            continue;
        }
        let n = n as i64;
        let step = m.random.pick(&[1, 1, 1, 2, -1, -2, 3]);
        let (mut start, mut end) = (m.random.int(-n, n - 1), m.random.int(-n - 1, n + 1));
        if m.random.chance(0.3) {
            (start, end) = if step > 0 {
                (0, i64::from(i32::MAX))
            } else {
                (-1, i64::from(i32::MIN))
            };
        }
        starts.push(start);
        ends.push(end);
        axes.push(if m.random.chance(0.3) {
            a as i64 - shape.len() as i64
        } else {
            a as i64
        });
        steps.push(step);
    }
    if axes.is_empty() {
        return None;
    }
    let operands = [starts, ends, axes, steps].map(|list| m.list(&list));
    let [starts, ends, axes, steps] = &operands;
    Some(Node::new(op, &[&x, starts, ends, axes, steps], "?"))
}

pub(super) fn split(m: &mut Maker, op: &'static str) -> Option<Node> {
    let x = m.value(|t| t.shape.iter().any(|&n| n > 1))?;
    let shape = m.of(&x).shape.clone();
    let (a, axis) = m.axis(shape.len())?;
    let first = m.random.below(shape[a].checked_sub(1)?.max(1)) + 1;
    if first >= shape[a] {
        return None;
    }
    let list = m.list(&[first as i64, (shape[a] - first) as i64]);
    let mut node = Node::new(op, &[&x, &list], "?").with("axis", Attribute::Int(axis));
    node.outputs.push("?".into());
    Some(node)
}

pub(super) fn squeeze(m: &mut Maker, op: &'static str) -> Option<Node> {
    let x = m.value(|t| t.shape.contains(&1))?;
    let shape = m.of(&x).shape.clone();
    if m.random.chance(0.3) {
        return Some(Node::new(op, &[&x], "?"));
    }
    let a = shape.iter().position(|&n| n == 1)? as i64;
    let a = if m.random.chance(0.3) {
        a - shape.len() as i64
    } else {
        a
    };
    let axes = m.list(&[a]);
    Some(Node::new(op, &[&x, &axes], "?"))
}

pub(super) fn unsqueeze(m: &mut Maker, op: &'static str) -> Option<Node> {
    let x = m.value(|t| t.rank() < 5)?;
    let (_, axis) = m.axis(m.of(&x).rank() + 1)?;
    let axes = m.list(&[axis]);
    Some(Node::new(op, &[&x, &axes], "?"))
}

pub(super) fn tile(m: &mut Maker, op: &'static str) -> Option<Node> {
    let x = m.value(|t| t.rank() > 0 && t.len() <= 32)?;
    let times: Vec<i64> = (0..m.of(&x).rank())
        .map(|_| m.random.pick(&[1, 1, 2, 3]))
        .collect();
    let times = m.list(&times);
    Some(Node::new(op, &[&x, &times], "?"))
}

pub(super) fn transpose(m: &mut Maker, op: &'static str) -> Option<Node> {
    let x = m.value(|t| t.rank() > 1)?;
    let rank = m.of(&x).rank();
    if m.random.chance(0.2) {
        return Some(Node::new(op, &[&x], "?"));
    }
    let mut perm: Vec<usize> = (0..rank).collect();
    for i in (1..rank).rev() {
        let j = m.random.below(i + 1);
        perm.swap(i, j);
    }
    Some(Node::new(op, &[&x], "?").with("perm", lengths(&perm)))
}

pub(super) fn trilu(m: &mut Maker, op: &'static str) -> Option<Node> {
    let x = m.value(|t| t.rank() >= 2)?;
    let k = m.random.int(-2, 2) as f64;
    let k = m.constant(Tensor::scalar(Type::Int64, k));
    let upper = m.random.below(2) as i64;
    Some(Node::new(op, &[&x, &k], "?").with("upper", Attribute::Int(upper)))
}

pub(super) fn compress(m: &mut Maker, op: &'static str) -> Option<Node> {
    let x = m.value(|t| t.rank() > 0)?;
    let (a, axis) = m.axis(m.of(&x).rank())?;
    let n = m.of(&x).shape[a];
    let keep = m.weights(Type::Bool, &[n]);
    Some(Node::new(op, &[&x, &keep], "?").with("axis", Attribute::Int(axis)))
}

/// A tensor of one number, of the shape of a value.
pub(super) fn filled(m: &mut Maker, op: &'static str) -> Option<Node> {
    let x = m.value(|t| t.rank() > 0)?;
    let shape = m.apply("Shape", &[&x])?;
    let cell = m.random.pick(&[0.0, 1.0, -2.5]);
    let cell = Tensor::new(Type::Float, &[1], vec![cell]);
    Some(Node::new(op, &[&shape], "?").with("value", Attribute::Tensor(cell)))
}

/// Something of a value's shape alone, added to integers or floats.
pub(super) fn shape_of(m: &mut Maker, op: &'static str) -> Option<Node> {
    let x = m.value(|_| true)?;
    Some(Node::new(op, &[&x], "?"))
}

pub(super) fn eye(m: &mut Maker, op: &'static str) -> Option<Node> {
    let x = m.value(|t| t.rank() == 2 && t.kind != Type::Bool)?;
    let k = m.random.int(-1, 1);
    Some(Node::new(op, &[&x], "?").with("k", Attribute::Int(k)))
}
