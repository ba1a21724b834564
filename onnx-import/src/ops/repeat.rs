//! Repetition along axes: Expand, Tile.

use super::arithmetic::broadcast;
use super::index::{self, select};
use super::{one, view};
use crate::Error;
use crate::import::Importer;
use crate::node::Node;
use crate::tensor::MAX_RANK;
use crate::value::Value;

/// The input repeated along axes of length 1.
pub(super) fn expand(node: &mut Node, importer: &mut Importer) -> Result<Vec<Value>, Error> {
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
    let shape = broadcast(node, importer.shape_of(&x), &target)?;
    one(expanded(node, importer, x, &shape)?)
}

/// A value broadcast to `shape`.
pub(super) fn expanded(
    node: &Node,
    importer: &mut Importer,
    x: Value,
    shape: &[usize],
) -> Result<Value, Error> {
    let from = importer.shape_of(&x);
    let mut wide = vec![1; shape.len() - from.len()];
    wide.extend(from);
    let mut axes: Vec<index::Axis> = Vec::with_capacity(shape.len());
    for (&n, &m) in wide.iter().zip(shape) {
        let repeated = n == 1 && m != 1;
        axes.push(if repeated {
            Some(vec![0; importer.allow(node, Some(m))?])
        } else {
            None
        });
    }
    let x = view::viewed(node, importer, x, wide)?;
    select(node, importer, x, axes)
}

/// The input repeated as a whole, a number of times along each axis.
pub(super) fn tile(node: &mut Node, importer: &mut Importer) -> Result<Vec<Value>, Error> {
    node.at_most(2)?;
    let x = node.value(0)?;
    let repeats = node.indices(1)?;
    let shape = importer.shape_of(&x).to_vec();
    if repeats.len() != shape.len() {
        return Err(node.shape_error(format!(
            "repeats {repeats:?} of a tensor of shape {shape:?}"
        )));
    }
    let mut axes: Vec<index::Axis> = Vec::with_capacity(shape.len());
    for (&n, &times) in shape.iter().zip(&repeats) {
        let length = usize::try_from(times).ok().and_then(|t| t.checked_mul(n));
        let length = importer.allow(node, length)?;
        axes.push(Some((0..length).map(|i| i % n).collect()));
    }
    one(select(node, importer, x, axes)?)
}
