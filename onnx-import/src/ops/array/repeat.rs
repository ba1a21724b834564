//! Repetition along axes: Expand, Tile.

use crate::Error;
use crate::decode::tensor::MAX_RANK;
use crate::ops::array::view;
use crate::ops::one;
use crate::scope::node::Node;
use crate::scope::value::Value;
use crate::write::Writer;
use crate::write::broadcast::broadcast;
use crate::write::index::{self, select};

/// The input repeated along axes of length 1.
pub(crate) fn expand(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    node.at_most(2)?;
    let x = node.value(0)?;
    let target = node.indices(1)?;
    let target = target
        .iter()
        .map(|&d| usize::try_from(d).map_err(|_| node.shape_error(format!("Expand to {target:?}"))))
        .collect::<Result<Vec<_>, _>>()?;
    if target.len() > MAX_RANK {
        return Err(node.shape_error(format!("Expand to {} axes", target.len())));
    }
    let shape = broadcast(node, writer.shape_of(&x), &target)?;
    one(expanded(node, writer, x, &shape)?)
}

/// A value broadcast to `shape`.
pub(crate) fn expanded(
    node: &Node,
    writer: &mut Writer,
    x: Value,
    shape: &[usize],
) -> Result<Value, Error> {
    let from = writer.shape_of(&x);
    let mut wide = vec![1; shape.len() - from.len()];
    wide.extend(from);
    let mut axes: Vec<index::Axis> = Vec::with_capacity(shape.len());
    for (&n, &m) in wide.iter().zip(shape) {
        let repeated = n == 1 && m != 1;
        axes.push(if repeated {
            Some(vec![0; writer.allow(node, Some(m))?])
        } else {
            None
        });
    }
    let x = view::viewed(node, writer, x, wide)?;
    select(node, writer, x, axes)
}

/// The input repeated as a whole, a number of times along each axis.
pub(crate) fn tile(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    node.at_most(2)?;
    let x = node.value(0)?;
    let repeats = node.indices(1)?;
    let shape = writer.shape_of(&x).to_vec();
    if repeats.len() != shape.len() {
        return Err(node.shape_error(format!(
            "repeats {repeats:?} of a tensor of shape {shape:?}"
        )));
    }
    let mut axes: Vec<index::Axis> = Vec::with_capacity(shape.len());
    for (&n, &times) in shape.iter().zip(&repeats) {
        let length = usize::try_from(times).ok().and_then(|t| t.checked_mul(n));
        let length = writer.allow(node, length)?;
        axes.push(Some((0..length).map(|i| i % n).collect()));
    }
    one(select(node, writer, x, axes)?)
}
