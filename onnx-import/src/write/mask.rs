//! Which keys a query of an attention may see: a mask, a causal or sliding window, and the number of
//! keys that are no padding.

use ndarray::{Array1, ArrayD, IxDyn, arr0};
use zkstrata_model_ir::float::{Activation, Op, ValueId};

use crate::Error;
use crate::decode::tensor::count;
use crate::scope::value::{Element, Value};
use crate::write::broadcast::broadcast;
use crate::write::formula::Formula;
use crate::write::masked::{Operand, array, both, number};

/// The keys that a query sees by its position `i + past`.
pub(crate) struct Window {
    /// Whether none after it are seen.
    pub(crate) causal: bool,
    /// How many before it are seen, if limited.
    pub(crate) left: Option<usize>,
    /// How many after it are seen, if limited.
    pub(crate) right: Option<usize>,
    /// Keys before the first query.
    pub(crate) past: usize,
}

impl Window {
    /// The bounds `from` and `to` of `j - i - past` for keys that are seen.
    fn bounds(&self) -> (Option<i64>, Option<i64>) {
        let right = self.right.map(|n| n as i64);
        let right = if self.causal {
            Some(right.unwrap_or(0).min(0))
        } else {
            right
        };
        (self.left.map(|n| -(n as i64)), right)
    }
}

/// The keys that are allowed, 1 for those and 0 for others, which broadcasts to
/// `[batch, heads, queries, keys]`; and the term of the mask that is added to the scores.
pub(crate) fn split(
    f: &mut Formula,
    mask: Option<Value>,
    element: Element,
    lengths: Option<Value>,
    window: &Window,
    shape: &[usize],
) -> Result<(Option<Value>, Option<Value>), Error> {
    let keys = shape[shape.len() - 1];
    let mut allowed = None;
    let mut term = None;
    if let Some(mask) = mask {
        let mask = lengthened(f, mask, keys, &mut allowed)?;
        let axes = f.writer.shape_of(&mask);
        let fits = axes.last() == Some(&keys) && axes.len() <= shape.len();
        if !fits || broadcast(f.node, axes, shape)? != shape {
            return Err(f.node.unsupported(format!(
                "its mask of shape {axes:?} is not one of scores of shape {shape:?}"
            )));
        }
        if element == Element::Bool {
            join(f, &mut allowed, number(&mask))?;
        } else {
            let (finite, open) = Operand::new(f.writer, mask, element).into_parts();
            if let Some(open) = open {
                join(f, &mut allowed, open)?;
            }
            term = finite;
        }
    }
    let (from, to) = window.bounds();
    match lengths {
        None => {
            if from.is_some() || to.is_some() {
                f.writer.allow(f.node, count(&shape[2..]))?;
                let seen = ArrayD::from_shape_fn(IxDyn(&shape[2..]), |at| {
                    let distance = at[1] as i64 - at[0] as i64 - window.past as i64;
                    let after = from.is_none_or(|from| distance >= from);
                    f32::from(after && to.is_none_or(|to| distance <= to))
                });
                if seen.iter().any(|&a| a < 1.0) {
                    join(f, &mut allowed, array(seen))?;
                }
            }
        }
        Some(lengths) => {
            let lengths = f.writer.lift(f.node, lengths)?;
            let lengths = f.reshape(lengths, vec![shape[0], 1, 1, 1])?;
            // Keys before the end: n - 1 - j >= 0.
            let left = compared(f, lengths, &[1, 1, 1, keys], |_, j| -1 - j)?;
            join(f, &mut allowed, Value::Activation(left))?;
            // The position of query i is i + n - queries.
            let all = [1, 1, shape[2], keys];
            let first = shape[2] as i64;
            if let Some(to) = to {
                let seen = compared(f, lengths, &all, |i, j| i - first - j + to)?;
                join(f, &mut allowed, Value::Activation(seen))?;
            }
            if let Some(from) = from {
                let minus = f.negated(lengths)?;
                let seen = compared(f, minus, &all, |i, j| j - i + first - from)?;
                join(f, &mut allowed, Value::Activation(seen))?;
            }
        }
    }
    Ok((allowed, term))
}

/// A mask of fewer than `keys` keys: none after those is allowed.
fn lengthened(
    f: &mut Formula,
    mask: Value,
    keys: usize,
    allowed: &mut Option<Value>,
) -> Result<Value, Error> {
    let axes = f.writer.shape_of(&mask);
    let (rank, n) = (axes.len(), axes.last().copied().unwrap_or(keys));
    if n >= keys {
        return Ok(mask);
    }
    let known = Array1::from_iter((0..keys).map(|j| f32::from(j < n)));
    join(f, allowed, array(known.into_dyn()))?;
    let mask = f.writer.lift(f.node, mask)?;
    let mut pads = vec![(0, 0); rank];
    pads[rank - 1].1 = (keys - n) as i64;
    let mask = f.put(Op::Pad { pads, value: 0.0 }, &[mask])?;
    Ok(Value::Activation(mask))
}

/// `[x + shift(i, j) >= 0]` for query `i` and key `j`
fn compared(
    f: &mut Formula,
    x: ValueId,
    shape: &[usize],
    shift: impl Fn(i64, i64) -> i64,
) -> Result<ValueId, Error> {
    f.writer.allow(f.node, count(shape))?;
    let shift = ArrayD::from_shape_fn(IxDyn(shape), |at| shift(at[2] as i64, at[3] as i64) as f32);
    let x = f.affine_by(x, arr0(1.0).into_dyn(), shift)?;
    f.apply(Activation::Step, x)
}

/// Allows what both allow.
fn join(f: &mut Formula, allowed: &mut Option<Value>, more: Value) -> Result<(), Error> {
    *allowed = both(f, allowed.take(), Some(more))?;
    Ok(())
}
