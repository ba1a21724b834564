//! The same cells under another shape: Reshape, Flatten, Squeeze, Unsqueeze; and operators that
//! do nothing at inference: Identity, Dropout, Cast between float types.

use super::arithmetic::folded;
use super::one;
use crate::Error;
use crate::decode::type_name;
use crate::import::Importer;
use crate::node::Node;
use crate::proto::DataType;
use crate::tensor::{Cells, MAX_RANK, Tensor, count};
use crate::value::Value;

/// A value with another shape of as many cells.
fn viewed(
    node: &Node,
    importer: &mut Importer,
    x: Value,
    shape: Vec<usize>,
) -> Result<Vec<Value>, Error> {
    if shape.len() > MAX_RANK {
        return Err(node.shape_error(format!("{} makes {} axes", node.op(), shape.len())));
    }
    let from = importer.shape_of(&x);
    if count(from) != count(&shape) || count(from).is_none() {
        return Err(node.shape_error(format!("{from:?} cannot become {shape:?}")));
    }
    one(match x {
        Value::Constant(x) => {
            importer.allow(node, count(&shape))?;
            folded(Tensor::new(shape, x.into_tensor().into_cells()))
        }
        Value::Activation(x) => Value::Activation(importer.reshape(node, x, shape)?),
        readout @ Value::Readout(_) => readout,
    })
}

/// The input in a given shape, in which 0 copies an axis (unless `allowzero`) and one -1 is
/// inferred.
pub(super) fn reshape(node: &mut Node, importer: &mut Importer) -> Result<Vec<Value>, Error> {
    node.at_most(2)?;
    let x = node.value(0)?;
    let target = node.indices(1)?;
    let allowzero = node.opset() >= 14 && node.flag("allowzero")? == Some(true);
    let shape = target_shape(importer.shape_of(&x), &target, allowzero).ok_or_else(|| {
        let from = importer.shape_of(&x);
        node.shape_error(format!("{from:?} cannot be reshaped to {target:?}"))
    })?;
    viewed(node, importer, x, shape)
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
pub(super) fn flatten(node: &mut Node, importer: &mut Importer) -> Result<Vec<Value>, Error> {
    node.at_most(1)?;
    let x = node.value(0)?;
    let shape = importer.shape_of(&x);
    let axis = node.int("axis")?.unwrap_or(1);
    let axis = if axis == shape.len() as i64 {
        shape.len()
    } else {
        node.axis(axis, shape.len())?
    };
    let (outer, inner) = shape.split_at(axis);
    let shape = vec![outer.iter().product(), inner.iter().product()];
    viewed(node, importer, x, shape)
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
pub(super) fn squeeze(node: &mut Node, importer: &mut Importer) -> Result<Vec<Value>, Error> {
    let axes = axes(node)?;
    let x = node.value(0)?;
    let shape = importer.shape_of(&x);
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
    viewed(node, importer, x, shape)
}

/// The input with axes of length 1 at the given places of the result.
pub(super) fn unsqueeze(node: &mut Node, importer: &mut Importer) -> Result<Vec<Value>, Error> {
    let Some(axes) = axes(node)? else {
        return Err(node.shape_error("Unsqueeze without axes"));
    };
    let x = node.value(0)?;
    let shape = importer.shape_of(&x);
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
    viewed(node, importer, x, shape)
}

/// The input.
pub(super) fn identity(node: &mut Node, _: &mut Importer) -> Result<Vec<Value>, Error> {
    node.at_most(1)?;
    one(node.value(0)?)
}

/// The input: nothing is dropped at inference.
pub(super) fn dropout(node: &mut Node, _: &mut Importer) -> Result<Vec<Value>, Error> {
    let x = node.value(0)?;
    if node.opset() < 12 {
        node.at_most(1)?;
        let _ = node.float("ratio")?;
        return one(x);
    }
    node.at_most(3)?;
    // Ratio and seed matter in training only.
    let _ = (node.optional_constant(1)?, node.int("seed")?);
    let training = node.optional_constant(2)?.is_some_and(
        |flag| !matches!(flag.tensor.cells(), Cells::Bool(cells) if cells[..] == [false]),
    );
    if training {
        return Err(node.unsupported("it is in training mode: export the model in inference mode"));
    }
    one(x)
}

/// The input in another element type. All float types are one here, and all integer types.
pub(super) fn cast(node: &mut Node, importer: &mut Importer) -> Result<Vec<Value>, Error> {
    node.at_most(1)?;
    let x = node.value(0)?;
    let Some(to) = node.int("to")? else {
        return Err(node.bad_attribute("to", "is missing"));
    };
    // Both concern 8-bit float types only, which are not supported.
    if node.opset() >= 19 {
        let _ = node.int("saturate")?;
    }
    let to = i32::try_from(to).unwrap_or(-1);
    let data_type = DataType::try_from(to).unwrap_or(DataType::Undefined);
    let is_float = matches!(
        data_type,
        DataType::Float | DataType::Double | DataType::Float16 | DataType::Bfloat16
    );
    let x = match x {
        Value::Constant(x) => x,
        Value::Activation(x) if is_float => {
            if data_type == DataType::Float16 || data_type == DataType::Bfloat16 {
                let (name, to) = (node.name(), type_name(to));
                importer.note(format!("node `{name}`: the rounding to {to} is dropped"));
            }
            return one(Value::Activation(x));
        }
        _ => {
            return Err(node.unsupported(format!(
                "it rounds an activation to {}: only casts between float types are supported",
                type_name(to)
            )));
        }
    };
    importer.allow(node, Some(x.tensor.len()))?;
    let shape = x.tensor.shape().to_vec();
    let cells = converted(x.into_tensor().into_cells(), data_type, is_float)
        .ok_or_else(|| node.shape_error(format!("a constant does not fit {}", type_name(to))))?;
    one(folded(Tensor::new(shape, cells)))
}

/// Constant cells in another type; `None` if one does not fit.
fn converted(cells: Cells, to: DataType, is_float: bool) -> Option<Cells> {
    let (lo, hi): (i64, i64) = match to {
        DataType::Int64 | DataType::Bool => (i64::MIN, i64::MAX),
        DataType::Uint64 => (0, i64::MAX),
        DataType::Int32 => (i32::MIN.into(), i32::MAX.into()),
        DataType::Uint32 => (0, u32::MAX.into()),
        DataType::Int16 => (i16::MIN.into(), i16::MAX.into()),
        DataType::Uint16 => (0, u16::MAX.into()),
        DataType::Int8 => (i8::MIN.into(), i8::MAX.into()),
        DataType::Uint8 => (0, u8::MAX.into()),
        _ if is_float => (0, 0),
        _ => return None,
    };
    let fits = |n: i64| (lo..=hi).contains(&n).then_some(n);
    Some(match (cells, to) {
        (cells @ Cells::Float(_), _) if is_float => cells,
        (Cells::Int(cells), _) if is_float => {
            Cells::Float(cells.into_iter().map(|n| n as f32).collect())
        }
        (Cells::Bool(cells), _) if is_float => {
            Cells::Float(cells.into_iter().map(f32::from).collect())
        }
        (Cells::Float(cells), DataType::Bool) => {
            Cells::Bool(cells.into_iter().map(|x| x != 0.0).collect())
        }
        (Cells::Int(cells), DataType::Bool) => {
            Cells::Bool(cells.into_iter().map(|n| n != 0).collect())
        }
        (cells @ Cells::Bool(_), DataType::Bool) => cells,
        (Cells::Float(cells), _) => {
            // 2^63 is the first float beyond i64.
            let whole = |x: f32| (x.abs() < 9.223_372e18).then_some(x as i64);
            let cells = cells.into_iter().map(|x| fits(whole(x)?));
            Cells::Int(cells.collect::<Option<_>>()?)
        }
        (Cells::Int(cells), _) => Cells::Int(cells.into_iter().map(fits).collect::<Option<_>>()?),
        (Cells::Bool(cells), _) => Cells::Int(cells.into_iter().map(i64::from).collect()),
    })
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

    #[test]
    fn casts_of_constants() {
        let floats = || Cells::Float(vec![-1.9, 300.0]);
        assert_eq!(
            converted(floats(), DataType::Int64, false),
            Some(Cells::Int(vec![-1, 300]))
        );
        assert_eq!(converted(floats(), DataType::Uint8, false), None);
        assert_eq!(converted(floats(), DataType::String, false), None);
        let nan = Cells::Float(vec![f32::NAN]);
        assert_eq!(converted(nan, DataType::Int32, false), None);
        assert_eq!(
            converted(Cells::Int(vec![2, 0]), DataType::Bool, false),
            Some(Cells::Bool(vec![true, false]))
        );
        assert_eq!(
            converted(Cells::Bool(vec![true]), DataType::Float16, true),
            Some(Cells::Float(vec![1.0]))
        );
    }
}
