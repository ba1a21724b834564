//! Constants out of nothing: Constant, `ConstantOfShape`, Range, and the shapes of values.

use crate::Error;
use crate::decode::tensor::{Cells, MAX_RANK, Tensor, count};
use crate::ops::one;
use crate::scope::node::Node;
use crate::scope::value::{Element, Value};
use crate::write::Writer;
use crate::write::broadcast::folded;

/// The value of whichever `value` attribute the node has.
pub(crate) fn constant(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    node.at_most(0)?;
    let mut values = Vec::new();
    if let Some(tensor) = node.tensor("value")? {
        values.push(writer.decode(tensor, node.name())?);
    }
    if let Some(x) = node.float("value_float")? {
        values.push(Tensor::new(vec![], Cells::Float(vec![x])));
    }
    if let Some(list) = node.floats("value_floats")? {
        values.push(Tensor::new(vec![list.len()], Cells::Float(list.to_vec())));
    }
    if let Some(n) = node.int("value_int")? {
        values.push(Tensor::new(vec![], Cells::Int(vec![n])));
    }
    if let Some(list) = node.ints("value_ints")? {
        values.push(Tensor::list(list.to_vec()));
    }
    match (values.pop(), values.is_empty()) {
        (Some(value), true) => one(folded(value)),
        _ => Err(node.unsupported("it must have one numeric, dense value")),
    }
}

/// A tensor of the given shape that repeats one value.
pub(crate) fn fill(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    node.at_most(1)?;
    let dims = node.indices(0)?;
    let value = match node.tensor("value")? {
        Some(tensor) => writer.decode(tensor, node.name())?.into_cells(),
        None => Cells::Float(vec![0.0]),
    };
    let shape = dims
        .iter()
        .map(|&d| usize::try_from(d))
        .collect::<Result<Vec<_>, _>>()
        .ok()
        .filter(|shape| shape.len() <= MAX_RANK)
        .ok_or_else(|| node.shape_error(format!("a constant of shape {dims:?}")))?;
    let cells = writer.allow(node, count(&shape))?;
    let one_value = match &value {
        Cells::Float(v) => v.len() == 1,
        Cells::Int(v) => v.len() == 1,
        Cells::Bool(v) => v.len() == 1,
    };
    if !one_value {
        return Err(node.bad_attribute("value", "must have one element"));
    }
    let cells = value.pick(std::iter::repeat_n(0, cells));
    one(folded(Tensor::new(shape, cells)))
}

/// `start, start + delta, ...` below (or above) `limit`.
pub(crate) fn range(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    node.at_most(3)?;
    if node.element(0) == Element::Float {
        return real_range(node, writer);
    }
    let mut operand = |index| match &*node.indices(index)? {
        [n] => Ok(*n),
        other => Err(node.shape_error(format!("Range needs scalars, got {other:?}"))),
    };
    let (start, limit, delta) = (operand(0)?, operand(1)?, operand(2)?);
    let span = i128::from(limit) - i128::from(start);
    let length = match i128::from(delta) {
        0 => return Err(node.shape_error("Range with delta 0")),
        delta if (span > 0) == (delta > 0) => span.unsigned_abs().div_ceil(delta.unsigned_abs()),
        _ => 0,
    };
    let length = writer.allow(node, usize::try_from(length).ok())?;
    let list = (0..length as i64).map(|i| start + i * delta).collect();
    one(folded(Tensor::list(list)))
}

/// A range of real numbers.
fn real_range(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    let mut operand = |index| match node.constant(index)?.tensor.cells() {
        Cells::Float(cells) if cells.len() == 1 && cells[0].is_finite() => Ok(f64::from(cells[0])),
        _ => Err(node.shape_error(format!("input {index} of Range must be one finite number"))),
    };
    let (start, limit, delta) = (operand(0)?, operand(1)?, operand(2)?);
    if delta == 0.0 {
        return Err(node.shape_error("Range with delta 0"));
    }
    let length = ((limit - start) / delta).ceil().max(0.0);
    let length = writer.allow(node, (length < 1e18).then_some(length as usize))?;
    let cell = |i: usize| (start + i as f64 * delta) as f32;
    let cells = Cells::Float((0..length).map(cell).collect());
    one(folded(Tensor::new(vec![length], cells)))
}

/// The shape of a value, or part of it.
pub(crate) fn shape(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    node.at_most(1)?;
    let x = node.value(0)?;
    let shape = writer.shape_of(&x);
    let rank = shape.len() as i64;
    let (start, end) = if node.opset() < 15 {
        (None, None)
    } else {
        (node.int("start")?, node.int("end")?)
    };
    let position = |i: Option<i64>, default: i64| match i.unwrap_or(default) {
        i @ ..0 => i.saturating_add(rank).max(0) as usize,
        i => i.min(rank) as usize,
    };
    let (start, end) = (position(start, 0), position(end, rank));
    let part = shape.get(start..end).unwrap_or(&[]);
    one(folded(Tensor::list(
        part.iter().map(|&d| d as i64).collect(),
    )))
}

/// The number of cells of a value.
pub(crate) fn size(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    node.at_most(1)?;
    let x = node.value(0)?;
    let cells = writer.shape_of(&x).iter().product::<usize>() as i64;
    one(folded(Tensor::new(vec![], Cells::Int(vec![cells]))))
}
