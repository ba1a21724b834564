//! Where cells lie: axes in another order, and values one behind the other.

use zkstrata_model_ir::float::Op;

use crate::Error;
use crate::decode::tensor::{Tensor, count};
use crate::scope::node::Node;
use crate::scope::value::{Constant, Value};
use crate::write::Writer;
use crate::write::broadcast::folded;
use crate::write::index::{strided, strides};

/// A value with its axes permuted.
pub(crate) fn permuted(
    node: &Node,
    writer: &mut Writer,
    x: Value,
    perm: &[usize],
) -> Result<Value, Error> {
    match x {
        Value::Activation(x) => {
            let y = writer.transpose(node, x, perm.to_vec())?;
            Ok(Value::Activation(y))
        }
        Value::Constant(x) => {
            let (shape, old) = (x.tensor.shape(), strides(x.tensor.shape()));
            writer.allow(node, count(shape))?;
            let read = perm.iter().map(|&p| old[p]).collect();
            let shape: Vec<usize> = perm.iter().map(|&p| shape[p]).collect();
            let cells = x.tensor.cells().pick(strided(&shape, read, 0));
            Ok(folded(Tensor::new(shape, cells)))
        }
    }
}

/// One behind the other along an axis; of one kind of elements.
pub(crate) fn concatenated(
    node: &Node,
    writer: &mut Writer,
    parts: Vec<Value>,
    axis: usize,
) -> Result<Value, Error> {
    let constants: Option<Vec<Constant>> = parts
        .iter()
        .map(|part| match part {
            Value::Constant(c) => Some(c.clone()),
            Value::Activation(_) => None,
        })
        .collect();
    if let Some(constants) = constants {
        return Ok(folded(joined(node, writer, &constants, axis)?));
    }
    let mut activations = Vec::with_capacity(parts.len());
    for part in parts {
        // Empty parts add nothing.
        if writer.shape_of(&part).get(axis) != Some(&0) {
            activations.push(writer.lift(node, part)?);
        }
    }
    if let [x] = activations[..] {
        return Ok(Value::Activation(x));
    }
    let y = writer.add(node, Op::Concat { axis }, &activations)?;
    Ok(Value::Activation(y))
}

/// The concatenation of constants.
fn joined(
    node: &Node,
    writer: &mut Writer,
    parts: &[Constant],
    axis: usize,
) -> Result<Tensor, Error> {
    let mut shape = parts[0].tensor.shape().to_vec();
    shape[axis] = 0;
    for part in parts {
        let other = part.tensor.shape();
        let agree = other.len() == shape.len()
            && (0..shape.len()).all(|i| i == axis || shape[i] == other[i]);
        if !agree {
            return Err(node.shape_error(format!(
                "constants of shapes {:?} and {other:?} cannot be joined along axis {axis}",
                parts[0].tensor.shape()
            )));
        }
        shape[axis] = shape[axis].saturating_add(other[axis]);
    }
    writer.allow(node, count(&shape))?;
    let mut all = parts[0].tensor.cells().clone();
    for part in &parts[1..] {
        if !all.append(part.tensor.cells()) {
            return Err(node.shape_error("Concat of constants of different types"));
        }
    }
    let rows: usize = shape[..axis].iter().product();
    let blocks = (0..rows).flat_map(|row| {
        let mut offset = 0;
        parts.iter().flat_map(move |part| {
            let width: usize = part.tensor.shape()[axis..].iter().product();
            let start = offset + row * width;
            offset += part.tensor.len();
            start..start + width
        })
    });
    Ok(Tensor::new(shape, all.pick(blocks)))
}
