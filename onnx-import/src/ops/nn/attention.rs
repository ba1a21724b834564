//! Attention: `Y = softmax(scale Q K^T + bias) V` for each head, of which several may share keys
//! and values.
//!
//! Masked scores never reach the exponential; the weights of a row that is masked whole are 0.

use std::collections::BTreeSet;

use zkstrata_model_ir::float::{Activation, Op, ValueId};

use crate::Error;
use crate::scope::node::Node;
use crate::scope::value::{Element, Value};
use crate::write::formula::Formula;
use crate::write::mask::{self, Window};
use crate::write::masked::{self, Whole};
use crate::write::{Writer, shares};

/// Labels of the axes: image, group of heads, head in its group, query, key, feature of queries and
/// keys, feature of values.
const B: usize = 0;
const G: usize = 1;
const H: usize = 2;
const Q: usize = 3;
const K: usize = 4;
const D: usize = 5;
const E: usize = 6;

/// A tensor with its axes' labels.
struct Labelled {
    value: ValueId,
    labels: Vec<usize>,
}

/// The number of heads of an operand and its features, from a shape `[b, h, s, d]`, or `[b, s, h d]`
/// with the number in an attribute.
fn heads(node: &Node, shape: &[usize], attribute: &str) -> Result<(usize, usize), Error> {
    let given = node.int(attribute)?;
    match *shape {
        [_, heads, _, features] => Ok((heads, features)),
        [_, _, hidden] => {
            let heads = given.and_then(|n| usize::try_from(n).ok());
            let heads = heads
                .filter(|&n| n > 0 && hidden.is_multiple_of(n))
                .ok_or_else(|| {
                    node.bad_attribute(attribute, format!("does not divide {hidden} features"))
                })?;
            Ok((heads, hidden / heads))
        }
        _ => Err(node.shape_error(format!("an operand of Attention has shape {shape:?}"))),
    }
}

/// Keys or values, with those of the past before them. Label `features` is that of the last axis.
fn cached(
    f: &mut Formula,
    x: ValueId,
    (groups, width): (usize, usize),
    past: Option<Value>,
    four: bool,
    features: usize,
) -> Result<Labelled, Error> {
    let shape = f.shape(x);
    let mut value = x;
    let mut labels = vec![B, G, K, features];
    if shape.len() == 3 {
        value = f.reshape(x, vec![shape[0], shape[1], groups, width])?;
        if four || past.is_some() {
            value = f.transpose(value, vec![0, 2, 1, 3])?;
        } else {
            labels = vec![B, K, G, features];
        }
    }
    if let Some(past) = past {
        let past = f.writer.lift(f.node, past)?;
        value = f.put(Op::Concat { axis: 2 }, &[past, value])?;
    }
    Ok(Labelled { value, labels })
}

/// The sizes of the heads.
struct Heads {
    batch: usize,
    /// Heads of keys and values.
    groups: usize,
    /// Heads of queries for each of those.
    per_group: usize,
    /// Features of queries and keys.
    width: usize,
    /// Features of values.
    width_v: usize,
    /// Number of queries.
    rows: usize,
    /// Whether heads and features share an axis of the operands.
    joined: bool,
}

impl Heads {
    /// Checks that queries, keys and values fit each other.
    fn new(node: &Node, writer: &Writer, [q, k, v]: [ValueId; 3]) -> Result<Self, Error> {
        let [q, k, v] = [q, k, v].map(|x| writer.shape(x));
        let (count, width) = heads(node, q, "q_num_heads")?;
        let (groups, width_k) = heads(node, k, "kv_num_heads")?;
        let (groups_v, width_v) = heads(node, v, "kv_num_heads")?;
        let agree = width == width_k && groups == groups_v && count.is_multiple_of(groups);
        if !agree || [k, v].iter().any(|x| x[0] != q[0] || x.len() != q.len()) {
            return Err(node.shape_error(format!(
                "queries {q:?}, keys {k:?} and values {v:?} do not fit each other"
            )));
        }
        Ok(Self {
            batch: q[0],
            groups,
            per_group: count / groups,
            width,
            width_v,
            rows: q[q.len() - 2],
            joined: q.len() == 3,
        })
    }

    /// The queries with their heads in groups.
    fn queries(&self, f: &mut Formula, q: ValueId) -> Result<Labelled, Error> {
        let (shape, labels) = if self.joined {
            let shape = [
                self.batch,
                self.rows,
                self.groups,
                self.per_group,
                self.width,
            ];
            (shape, [B, Q, G, H, D])
        } else {
            let shape = [
                self.batch,
                self.groups,
                self.per_group,
                self.rows,
                self.width,
            ];
            (shape, [B, G, H, Q, D])
        };
        Ok(Labelled {
            value: f.reshape(q, shape.to_vec())?,
            labels: labels.to_vec(),
        })
    }

    /// `weights values`, in the form of the queries.
    fn output(
        &self,
        f: &mut Formula,
        weights: ValueId,
        values: &Labelled,
        keys: usize,
    ) -> Result<ValueId, Error> {
        let split = vec![self.batch, self.groups, self.per_group, self.rows, keys];
        let weights = f.reshape(weights, split)?;
        let count = self.groups * self.per_group;
        let (labels, shape) = if self.joined {
            (
                [B, Q, G, H, E],
                vec![self.batch, self.rows, count * self.width_v],
            )
        } else {
            (
                [B, G, H, Q, E],
                vec![self.batch, count, self.rows, self.width_v],
            )
        };
        let weights = (weights, &[B, G, H, Q, K][..]);
        let y = f.contract(weights, (values.value, &values.labels), &labels)?;
        f.reshape(y, shape)
    }
}

/// `scale Q K^T`, or divided by the soft cap: the argument of its tanh.
fn scores(
    f: &mut Formula,
    heads: &Heads,
    q: ValueId,
    k: &Labelled,
    scale: f32,
) -> Result<ValueId, Error> {
    let q = heads.queries(f, q)?;
    let scores = f.contract((q.value, &q.labels), (k.value, &k.labels), &[B, G, H, Q, K])?;
    let keys = f.shape(scores)[4];
    let count = heads.groups * heads.per_group;
    let scores = f.reshape(scores, vec![heads.batch, count, heads.rows, keys])?;
    f.affine(scores, scale, 0.0)
}

/// The window of keys by the attributes.
fn window(node: &Node, past: usize) -> Result<Window, Error> {
    let side = |name| -> Result<Option<usize>, Error> {
        if node.opset() < 25 {
            return Ok(None);
        }
        Ok(node.int(name)?.and_then(|n| usize::try_from(n).ok()))
    };
    Ok(Window {
        causal: node.flag("is_causal")? == Some(true),
        left: side("left_window_size")?,
        right: side("right_window_size")?,
        past,
    })
}

/// Attention of opsets 23 to 28.
pub(crate) fn attention(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    node.at_most(if node.opset() < 24 { 6 } else { 7 })?;
    let [q, k, v] = [
        writer.activation(node, 0)?,
        writer.activation(node, 1)?,
        writer.activation(node, 2)?,
    ];
    let (bias, past_key, past_value) = (node.take(3), node.take(4), node.take(5));
    let lengths = node.take(6);
    let softcap = node.float("softcap")?.unwrap_or(0.0);
    // The precision of intermediate results.
    let _ = node.int("softmax_precision")?;
    let shown = node.int("qk_matmul_output_mode")?.unwrap_or(0);
    if past_key.is_some() != past_value.is_some() {
        return Err(node.shape_error("Attention needs both past_key and past_value, or neither"));
    }
    let past = past_key
        .as_ref()
        .map(|p| writer.shape_of(p).get(2).copied());
    let window = window(node, past.flatten().unwrap_or(0))?;
    let heads = Heads::new(node, writer, [q, k, v])?;
    let scale = node.float("scale")?;
    let scale = scale.unwrap_or(1.0 / (heads.width as f32).sqrt());
    for output in 1..4 {
        node.gives(output, Element::Float);
    }

    let mut f = Formula::new(node, writer);
    let four = node.has_output(1) || node.has_output(2);
    let k = cached(&mut f, k, (heads.groups, heads.width), past_key, four, D)?;
    let v = cached(
        &mut f,
        v,
        (heads.groups, heads.width_v),
        past_value,
        four,
        E,
    )?;
    let capped_at = if softcap > 0.0 { softcap } else { 1.0 };
    let raw = scores(&mut f, &heads, q, &k, scale / capped_at)?;
    let capped = if softcap > 0.0 {
        let y = f.apply(Activation::Tanh, raw)?;
        f.affine(y, softcap, 0.0)?
    } else {
        raw
    };
    let shape = f.shape(capped);
    let (allowed, term) = mask::split(&mut f, bias, node.element(3), lengths, &window, &shape)?;
    let biased = match term {
        None => capped,
        Some(term) => f.plus(capped, term)?,
    };
    let keys_of_a_query = BTreeSet::from([shape.len() - 1]);
    let weights = match &allowed {
        None => shares::shares(&mut f, biased, &keys_of_a_query)?,
        Some(open) => masked::shares(&mut f, biased, open, &keys_of_a_query, Whole::Nothing)?,
    };
    let y = heads.output(&mut f, weights, &v, shape[3])?;
    let mut outputs = vec![y, k.value, v.value];
    if node.has_output(3) {
        outputs.push(match shown {
            0 => f.affine(raw, capped_at, 0.0)?,
            1 => capped,
            2 if allowed.is_none() => biased,
            3 => weights,
            _ => {
                return Err(node.unsupported(
                    "its fourth output has infinite cells: use qk_matmul_output_mode 0, 1 or 3",
                ));
            }
        });
    }
    Ok(outputs.into_iter().map(Value::Activation).collect())
}
