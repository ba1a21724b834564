//! Where cells lie: Transpose, Concat, Pad.

use zkstrata_model_ir::float::Op;

use super::arithmetic::folded;
use super::index::{strided, strides};
use super::one;
use crate::Error;
use crate::import::Importer;
use crate::node::Node;
use crate::tensor::{Tensor, count};
use crate::value::{Constant, Value};

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
    match x {
        Value::Activation(x) => one(Value::Activation(importer.transpose(node, x, perm)?)),
        Value::Constant(x) => {
            let (shape, old) = (x.tensor.shape(), strides(x.tensor.shape()));
            importer.allow(node, count(shape))?;
            let read = perm.iter().map(|&p| old[p]).collect();
            let shape: Vec<usize> = perm.iter().map(|&p| shape[p]).collect();
            let cells = x.tensor.cells().pick(strided(&shape, read, 0));
            one(folded(Tensor::new(shape, cells)))
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
    let (mut activations, mut constants) = (Vec::new(), Vec::new());
    for part in parts {
        match part {
            Value::Activation(v) => activations.push(v),
            Value::Constant(c) => constants.push(c),
        }
    }
    match (activations.as_slice(), constants.as_slice()) {
        ([], constants) => one(folded(joined(node, importer, constants, axis)?)),
        ([x], []) => one(Value::Activation(*x)),
        (activations, []) => {
            let y = importer.add(node, Op::Concat { axis }, activations)?;
            one(Value::Activation(y))
        }
        _ => Err(node.unsupported(
            "it joins activations with a constant: feed the constant as a model input",
        )),
    }
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

/// Constant padding; negative amounts crop. Amounts are attributes before opset 11 and inputs
/// since, and concern all axes unless opset 18's `axes` names some.
pub(super) fn pad(node: &mut Node, importer: &mut Importer) -> Result<Vec<Value>, Error> {
    let mode = node.string("mode")?.unwrap_or("constant");
    if mode != "constant" {
        return Err(node.unsupported(format!(
            "padding mode `{mode}` reads the input twice: use mode `constant`"
        )));
    }
    let x = importer.activation(node, 0)?;
    let rank = importer.shape(x).len();
    let mut axes: Vec<usize> = (0..rank).collect();
    let (amounts, value) = if node.opset() < 11 {
        node.at_most(1)?;
        let pads = node.ints("pads")?;
        (pads.map(<[i64]>::to_vec), node.float("value")?)
    } else {
        node.at_most(if node.opset() < 18 { 3 } else { 4 })?;
        let amounts = node.optional_indices(1)?;
        let value = node.optional_scalar(2)?;
        if let Some(list) = node.optional_indices(3)? {
            node.axes(&list, rank)?;
            let axis = |&axis| node.axis(axis, rank);
            axes = list.iter().map(axis).collect::<Result<_, _>>()?;
        }
        (amounts, value)
    };
    let Some(amounts) = amounts.filter(|amounts| amounts.len() == 2 * axes.len()) else {
        return Err(node.shape_error(format!("Pad needs two amounts for each of {axes:?}")));
    };
    let value = value.unwrap_or(0.0);
    if !value.is_finite() {
        return Err(Error::NonFinite {
            name: node.name().into(),
            index: 0,
            value: value.into(),
        });
    }
    let mut pads = vec![(0, 0); rank];
    for (i, &axis) in axes.iter().enumerate() {
        pads[axis] = (amounts[i], amounts[axes.len() + i]);
    }
    let y = importer.add(node, Op::Pad { pads, value }, &[x])?;
    one(Value::Activation(y))
}
