//! Softmax and `LogSoftmax`, by `exp(x - max x)`, which is at most 1.

use std::collections::BTreeSet;

use zkstrata_model_ir::float::{Activation, ValueId};

use crate::Error;
use crate::ops::one;
use crate::scope::node::Node;
use crate::scope::value::{Element, Value};
use crate::write::Writer;
use crate::write::formula::Formula;
use crate::write::masked::Operand;

/// `log(sum exp(x))` over `axes`
pub(crate) fn log_sum(
    f: &mut Formula,
    x: ValueId,
    axes: &BTreeSet<usize>,
) -> Result<ValueId, Error> {
    let most = f.maximum(x, axes)?;
    let below = f.sub(x, most)?;
    let powers = f.apply(Activation::Exp, below)?;
    let sum = f.sum(powers, axes)?;
    let log = f.apply(Activation::Log, sum)?;
    f.add(log, most)
}

/// The axes over which an operand of `rank` axes is normalised: before opset 13 all from `axis` on,
/// by default 1; one since, by default the last.
fn axes(node: &Node, rank: usize) -> Result<BTreeSet<usize>, Error> {
    let flattens = node.opset() < 13;
    let axis = node.int("axis")?.unwrap_or(if flattens { 1 } else { -1 });
    // Everything before the end is kept: each cell for itself.
    if flattens && axis == rank as i64 {
        return Ok(BTreeSet::new());
    }
    let axis = node.axis(axis, rank)?;
    let axes = if flattens { axis..rank } else { axis..axis + 1 };
    Ok(axes.collect())
}

/// The operand and the axes over which it is normalised.
pub(crate) fn operand(
    node: &mut Node,
    writer: &mut Writer,
) -> Result<(ValueId, BTreeSet<usize>), Error> {
    node.at_most(1)?;
    let x = writer.activation(node, 0)?;
    let axes = axes(node, writer.shape(x).len())?;
    Ok((x, axes))
}

/// The operand with its mask, and the axes over which it is normalised.
fn masked(node: &mut Node, writer: &Writer) -> Result<(Operand, BTreeSet<usize>), Error> {
    node.at_most(1)?;
    let x = node.value(0)?;
    let axes = axes(node, writer.shape_of(&x).len())?;
    Ok((Operand::new(writer, x, node.element(0)), axes))
}

/// `exp(x) / sum exp(x)`
pub(crate) fn softmax(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    let (x, axes) = masked(node, writer)?;
    node.gives(0, Element::Float);
    let y = x.shares(&mut Formula::new(node, writer), &axes)?;
    one(Value::Activation(y))
}

/// `x - log(sum exp(x))`
pub(crate) fn log_softmax(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    let (x, axes) = masked(node, writer)?;
    let (y, element) = x.log_shares(&mut Formula::new(node, writer), &axes)?;
    node.gives(0, element);
    one(y)
}
