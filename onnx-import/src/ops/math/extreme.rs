//! The largest cells of an axis and where they are: `ArgMax`, `ArgMin`, Hardmax.
//!
//! With `e = [x = max x]` the first maximum is at `n - max(e_j (n - j))` and the last one at
//! `max(e_j j)`.

use std::collections::BTreeSet;

use ndarray::{Array1, ArrayD, arr0};
use zkstrata_model_ir::float::{Activation, ValueId};

use crate::Error;
use crate::ops::one;
use crate::scope::node::Node;
use crate::scope::value::{Element, Value};
use crate::write::Writer;
use crate::write::formula::{Formula, without};

/// Which of several equal cells counts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tie {
    /// The one of the smallest index.
    First,
    /// The one of the largest index.
    Last,
}

/// The numbers `cell(0), .., cell(n - 1)` along `axis` of a tensor of `rank` axes.
pub(crate) fn along(
    rank: usize,
    axis: usize,
    n: usize,
    cell: impl Fn(usize) -> f32,
) -> ArrayD<f32> {
    let mut shape = vec![1; rank];
    shape[axis] = n;
    let cells = Array1::from_iter((0..n).map(cell)).into_dyn();
    cells.into_shape_with_order(shape).expect("as many cells")
}

/// The position of the maximum along `axis`, which stays with length 1.
pub(crate) fn position(
    f: &mut Formula,
    x: ValueId,
    axis: usize,
    tie: Tie,
) -> Result<ValueId, Error> {
    let shape = f.shape(x);
    let (rank, n) = (shape.len(), shape[axis]);
    f.writer.allow(f.node, Some(n))?;
    let axes = BTreeSet::from([axis]);
    let most = f.maximum(x, &axes)?;
    let over = f.sub(x, most)?;
    let equal = f.apply(Activation::Step, over)?;
    let zero = arr0(0.0).into_dyn();
    match tie {
        Tie::First => {
            let weights = along(rank, axis, n, |j| (n - j) as f32);
            let left = f.affine_by(equal, weights, zero)?;
            let left = f.maximum(left, &axes)?;
            f.affine(left, -1.0, n as f32)
        }
        Tie::Last => {
            let weights = along(rank, axis, n, |j| j as f32);
            let place = f.affine_by(equal, weights, zero)?;
            f.maximum(place, &axes)
        }
    }
}

/// `[j = position]` along `axis`, for `j` below `n` and a `position` of length 1 there.
pub(crate) fn one_hot(
    f: &mut Formula,
    position: ValueId,
    axis: usize,
    n: usize,
) -> Result<ValueId, Error> {
    let rank = f.shape(position).len();
    f.writer.allow(f.node, Some(n))?;
    let indices = along(rank, axis, n, |j| -(j as f32));
    let distance = f.affine_by(position, arr0(1.0).into_dyn(), indices)?;
    f.apply(Activation::IsZero, distance)
}

fn arg(node: &mut Node, writer: &mut Writer, sign: f32) -> Result<Vec<Value>, Error> {
    node.at_most(1)?;
    let x = writer.activation(node, 0)?;
    let shape = writer.shape(x).to_vec();
    let axis = node.axis(node.int("axis")?.unwrap_or(0), shape.len())?;
    let keep = node.flag("keepdims")? != Some(false);
    let last = node.opset() >= 12 && node.flag("select_last_index")? == Some(true);
    let tie = if last { Tie::Last } else { Tie::First };
    node.gives(0, Element::Int);
    let mut f = Formula::new(node, writer);
    let x = if sign < 0.0 { f.negated(x)? } else { x };
    let mut y = position(&mut f, x, axis, tie)?;
    if !keep {
        let mut kept = without(&shape, &BTreeSet::from([axis]));
        kept.remove(axis);
        y = f.reshape(y, kept)?;
    }
    one(Value::Activation(y))
}

/// The position of the maximum.
pub(crate) fn arg_max(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    arg(node, writer, 1.0)
}

/// The position of the minimum.
pub(crate) fn arg_min(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    arg(node, writer, -1.0)
}

/// 1 at the first maximum, 0 elsewhere.
pub(crate) fn hardmax(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    let (x, axes) = crate::ops::nn::softmax::operand(node, writer)?;
    let shape = writer.shape(x).to_vec();
    let mut f = Formula::new(node, writer);
    // The axes are the last ones, or a single one: as one axis, `first` of them.
    let first = axes.first().copied().unwrap_or(shape.len());
    let n: usize = axes.iter().map(|&axis| shape[axis]).product();
    let mut merged = shape[..first].to_vec();
    merged.push(n);
    merged.extend(shape.iter().skip(first + axes.len()));
    let x = f.reshape(x, merged)?;
    let place = position(&mut f, x, first, Tie::First)?;
    let y = one_hot(&mut f, place, first, n)?;
    let y = f.reshape(y, shape)?;
    one(Value::Activation(y))
}
