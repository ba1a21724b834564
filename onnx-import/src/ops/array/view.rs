//! The same cells under another shape: Reshape, Flatten, Squeeze, Unsqueeze; and operators that
//! do nothing at inference: Identity, Dropout.

use crate::Error;
use crate::decode::tensor::{Cells, MAX_RANK, Tensor, count};
use crate::ops::one;
use crate::scope::node::Node;
use crate::scope::value::Value;
use crate::write::Writer;
use crate::write::broadcast::folded;

/// A value with another shape of as many cells.
pub(crate) fn viewed(
    node: &Node,
    writer: &mut Writer,
    x: Value,
    shape: Vec<usize>,
) -> Result<Value, Error> {
    if shape.len() > MAX_RANK {
        return Err(node.shape_error(format!("{} makes {} axes", node.op(), shape.len())));
    }
    let from = writer.shape_of(&x);
    if count(from) != count(&shape) || count(from).is_none() {
        return Err(node.shape_error(format!("{from:?} cannot become {shape:?}")));
    }
    Ok(match x {
        Value::Constant(x) => {
            writer.allow(node, count(&shape))?;
            folded(Tensor::new(shape, x.into_tensor().into_cells()))
        }
        Value::Activation(x) => Value::Activation(writer.reshape(node, x, shape)?),
    })
}

/// The input in a given shape, in which 0 copies an axis (unless `allowzero`) and one -1 is
/// inferred.
pub(crate) fn reshape(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    node.at_most(2)?;
    let x = node.value(0)?;
    let target = node.indices(1)?;
    let allowzero = node.opset() >= 14 && node.flag("allowzero")? == Some(true);
    let shape = target_shape(writer.shape_of(&x), &target, allowzero).ok_or_else(|| {
        let from = writer.shape_of(&x);
        node.shape_error(format!("{from:?} cannot be reshaped to {target:?}"))
    })?;
    one(viewed(node, writer, x, shape)?)
}

fn target_shape(from: &[usize], target: &[i64], allowzero: bool) -> Option<Vec<usize>> {
    let mut shape = Vec::with_capacity(target.len());
    for (i, &d) in target.iter().enumerate() {
        shape.push(match d {
            -1 => 1,
            0 if !allowzero => *from.get(i)?,
            d => usize::try_from(d).ok()?,
        });
    }
    let mut inferred = target.iter().enumerate().filter(|(_, d)| **d == -1);
    if let Some((i, _)) = inferred.next() {
        let (cells, rest) = (count(from)?, count(&shape)?);
        shape[i] = cells.checked_div(rest).filter(|&n| n * rest == cells)?;
    }
    inferred.next().is_none().then_some(shape)
}

/// A matrix: the axes before `axis`, and those from there on.
pub(crate) fn flatten(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    node.at_most(1)?;
    let x = node.value(0)?;
    let shape = writer.shape_of(&x);
    let axis = node.int("axis")?.unwrap_or(1);
    let axis = if axis == shape.len() as i64 {
        shape.len()
    } else {
        node.axis(axis, shape.len())?
    };
    let (outer, inner) = shape.split_at(axis);
    let shape = vec![outer.iter().product(), inner.iter().product()];
    one(viewed(node, writer, x, shape)?)
}

/// The axes of Squeeze and Unsqueeze: an attribute before opset 13, an input since.
fn axes(node: &mut Node) -> Result<Option<Vec<i64>>, Error> {
    if node.opset() < 13 {
        node.at_most(1)?;
        Ok(node.ints("axes")?.map(<[i64]>::to_vec))
    } else {
        node.at_most(2)?;
        node.optional_indices(1)
    }
}

/// The input without the given axes of length 1, by default all of them.
pub(crate) fn squeeze(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    let axes = axes(node)?;
    let x = node.value(0)?;
    let shape = writer.shape_of(&x);
    let shape = match axes {
        None => shape.iter().copied().filter(|&d| d != 1).collect(),
        Some(axes) => {
            let axes = node.axes(&axes, shape.len())?;
            if let Some(&axis) = axes.iter().find(|&&axis| shape[axis] != 1) {
                let n = shape[axis];
                return Err(node.shape_error(format!("axis {axis} has length {n}, not 1")));
            }
            let kept = (0..shape.len()).filter(|axis| !axes.contains(axis));
            kept.map(|axis| shape[axis]).collect()
        }
    };
    one(viewed(node, writer, x, shape)?)
}

/// The input with axes of length 1 at the given places of the result.
pub(crate) fn unsqueeze(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    let Some(axes) = axes(node)? else {
        return Err(node.shape_error("Unsqueeze without axes"));
    };
    let x = node.value(0)?;
    let shape = writer.shape_of(&x);
    let axes = node.axes(&axes, shape.len() + axes.len())?;
    let mut old = shape.iter();
    let shape = (0..shape.len() + axes.len())
        .map(|axis| {
            if axes.contains(&axis) {
                1
            } else {
                old.next().copied().unwrap_or(1)
            }
        })
        .collect();
    one(viewed(node, writer, x, shape)?)
}

/// The input.
pub(crate) fn identity(node: &mut Node, _: &mut Writer) -> Result<Vec<Value>, Error> {
    node.at_most(1)?;
    let x = node.meaning(0)?;
    node.means(0, x);
    Ok(vec![])
}

/// The input, as nothing is dropped at inference; and a mask that is true everywhere.
pub(crate) fn dropout(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    let x = node.value(0)?;
    if node.opset() < 12 {
        node.at_most(1)?;
        let _ = node.float("ratio")?;
    } else {
        node.at_most(3)?;
        // Ratio and seed matter in training only.
        let _ = (node.optional_constant(1)?, node.int("seed")?);
        let training = node.optional_constant(2)?.is_some_and(
            |flag| !matches!(flag.tensor.cells(), Cells::Bool(cells) if cells[..] == [false]),
        );
        if training {
            return Err(
                node.unsupported("it is in training mode: export the model in inference mode")
            );
        }
    }
    if !node.has_output(1) {
        return one(x);
    }
    let shape = writer.shape_of(&x).to_vec();
    let cells = writer.allow(node, count(&shape))?;
    let mask = Tensor::new(shape, Cells::Bool(vec![true; cells]));
    Ok(vec![x, folded(mask)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reshape_targets() {
        let from = [2, 3, 4];
        assert_eq!(target_shape(&from, &[0, -1], false), Some(vec![2, 12]));
        assert_eq!(target_shape(&from, &[4, 6], false), Some(vec![4, 6]));
        assert_eq!(target_shape(&from, &[5, -1], false), None);
        assert_eq!(target_shape(&from, &[-1, -1], false), None);
        assert_eq!(target_shape(&from, &[0, -1], true), None);
        assert_eq!(target_shape(&from, &[-2, 3], false), None);
        assert_eq!(target_shape(&from, &[24, 1, 1, 0], false), None);
        assert_eq!(target_shape(&from, &[i64::MAX, i64::MAX, -1], false), None);
    }
}
