//! Where cells lie: Transpose, Concat.

use zkstrata_model_ir::float::Op;

use super::arithmetic::folded;
use super::formula::Formula;
use super::index::{strided, strides};
use super::{masked, one};
use crate::Error;
use crate::import::Importer;
use crate::node::Node;
use crate::tensor::{Tensor, count};
use crate::value::{Constant, Element, Value};

/// Output axis `i` is input axis `perm[i]`; by default the axes are reversed.
pub(super) fn transpose(node: &mut Node, importer: &mut Importer) -> Result<Vec<Value>, Error> {
    node.at_most(1)?;
    let x = node.value(0)?;
    let rank = importer.shape_of(&x).len();
    let perm: Vec<usize> = match node.ints("perm")? {
        None => (0..rank).rev().collect(),
        Some(perm) => {
            let valid = |&p: &i64| usize::try_from(p).ok().filter(|&p| p < rank);
            let axes: Option<Vec<usize>> = perm.iter().map(valid).collect();
            axes.filter(|axes| (0..rank).all(|i| axes.contains(&i)) && axes.len() == rank)
                .ok_or_else(|| {
                    node.bad_attribute("perm", format!("{perm:?} does not permute {rank} axes"))
                })?
        }
    };
    one(permuted(node, importer, x, &perm)?)
}

/// A value with its axes permuted.
pub(super) fn permuted(
    node: &Node,
    importer: &mut Importer,
    x: Value,
    perm: &[usize],
) -> Result<Value, Error> {
    match x {
        Value::Activation(x) => {
            let y = importer.transpose(node, x, perm.to_vec())?;
            Ok(Value::Activation(y))
        }
        Value::Constant(x) => {
            let (shape, old) = (x.tensor.shape(), strides(x.tensor.shape()));
            importer.allow(node, count(shape))?;
            let read = perm.iter().map(|&p| old[p]).collect();
            let shape: Vec<usize> = perm.iter().map(|&p| shape[p]).collect();
            let cells = x.tensor.cells().pick(strided(&shape, read, 0));
            Ok(folded(Tensor::new(shape, cells)))
        }
    }
}

/// Concatenation along an axis, of activations or of constants.
pub(super) fn concat(node: &mut Node, importer: &mut Importer) -> Result<Vec<Value>, Error> {
    let parts = (0..node.input_count())
        .map(|i| node.value(i))
        .collect::<Result<Vec<_>, _>>()?;
    let Some(first) = parts.first() else {
        return Err(node.shape_error("Concat without inputs"));
    };
    let Some(axis) = node.int("axis")? else {
        return Err(node.bad_attribute("axis", "is missing"));
    };
    let axis = node.axis(axis, importer.shape_of(first).len())?;
    let masked = |i| matches!(node.element(i), Element::Masked(_));
    if (0..parts.len()).any(masked) {
        let parts = parts.into_iter().enumerate();
        let parts = parts.map(|(i, part)| (part, node.element(i))).collect();
        let (y, element) = masked::concatenated(&mut Formula::new(node, importer), parts, axis)?;
        node.gives(0, element);
        return one(y);
    }
    one(concatenated(node, importer, parts, axis)?)
}

/// One behind the other along an axis; of one kind of elements.
pub(super) fn concatenated(
    node: &Node,
    importer: &mut Importer,
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
        return Ok(folded(joined(node, importer, &constants, axis)?));
    }
    let mut activations = Vec::with_capacity(parts.len());
    for part in parts {
        // Empty parts add nothing.
        if importer.shape_of(&part).get(axis) != Some(&0) {
            activations.push(importer.lift(node, part)?);
        }
    }
    if let [x] = activations[..] {
        return Ok(Value::Activation(x));
    }
    let y = importer.add(node, Op::Concat { axis }, &activations)?;
    Ok(Value::Activation(y))
}

/// The concatenation of constants.
fn joined(
    node: &Node,
    importer: &mut Importer,
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
    importer.allow(node, count(&shape))?;
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
