//! Triangles, diagonals and indicators: Trilu, `EyeLike`, `OneHot`, `NonZero`.

use ndarray::{Array2, arr0};
use zkstrata_model_ir::float::{Activation, Op};

use crate::Error;
use crate::decode::tensor::{Cells, Tensor, count};
use crate::ops::array::gather;
use crate::ops::one;
use crate::proto::DataType;
use crate::scope::node::Node;
use crate::scope::value::{Element, Value};
use crate::write::Writer;
use crate::write::broadcast::folded;

/// The cells on one side of a diagonal of the last two axes; the others become 0.
pub(crate) fn trilu(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    node.at_most(2)?;
    let x = node.value(0)?;
    let k = match node.optional_indices(1)?.as_deref() {
        None => 0,
        Some(&[k]) => k,
        Some(other) => return Err(node.shape_error(format!("Trilu's k is {other:?}"))),
    };
    let upper = node.flag("upper")? != Some(false);
    let shape = writer.shape_of(&x).to_vec();
    let &[.., rows, columns] = &shape[..] else {
        return Err(node.shape_error(format!("Trilu of a tensor of shape {shape:?}")));
    };
    let kept = |i: usize, j: usize| {
        let diagonal = (j as i64 - i as i64).cmp(&k);
        diagonal.is_eq() || diagonal.is_gt() == upper
    };
    match x {
        Value::Constant(x) => {
            let cells = writer.allow(node, count(&shape))?;
            let kept = (0..cells).map(|c| kept(c / columns % rows, c % columns));
            let cells = match x.tensor.cells() {
                Cells::Float(x) => Cells::Float(masked(x, kept)),
                Cells::Int(x) => Cells::Int(masked(x, kept)),
                Cells::Bool(x) => Cells::Bool(masked(x, kept)),
            };
            one(folded(Tensor::new(shape, cells)))
        }
        Value::Activation(x) => {
            writer.allow(node, rows.checked_mul(columns))?;
            let scale = Array2::from_shape_fn((rows, columns), |(i, j)| f32::from(kept(i, j)));
            let (scale, shift) = (scale.into_dyn(), arr0(0.0).into_dyn());
            let y = writer.add(node, Op::Affine { scale, shift }, &[x])?;
            one(Value::Activation(y))
        }
    }
}

/// The cells, those not kept as 0.
fn masked<T: Copy + Default>(cells: &[T], kept: impl Iterator<Item = bool>) -> Vec<T> {
    let cell = |(&x, keep)| if keep { x } else { T::default() };
    cells.iter().zip(kept).map(cell).collect()
}

/// The matrix of the input's shape with ones on a diagonal.
pub(crate) fn eye_like(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    node.at_most(1)?;
    let x = node.value(0)?;
    let shape = writer.shape_of(&x).to_vec();
    let &[rows, columns] = &shape[..] else {
        return Err(node.shape_error(format!("EyeLike of a tensor of shape {shape:?}")));
    };
    let k = node.int("k")?.unwrap_or(0);
    writer.allow(node, rows.checked_mul(columns))?;
    let on = |c: usize| (c % columns) as i64 - (c / columns) as i64 == k;
    let on = (0..rows * columns).map(on);
    let to = match node.int("dtype")? {
        None => Some(match node.element(0) {
            Element::Float | Element::Masked(_) | Element::Dynamic(_) => DataType::Float,
            Element::Bool => DataType::Bool,
            Element::Int | Element::Quantised(_) => DataType::Int64,
        }),
        Some(to) => i32::try_from(to)
            .ok()
            .and_then(|to| DataType::try_from(to).ok()),
    };
    let cells = match to {
        Some(DataType::Bool) => Cells::Bool(on.collect()),
        Some(DataType::Float | DataType::Double | DataType::Float16 | DataType::Bfloat16) => {
            Cells::Float(on.map(f32::from).collect())
        }
        Some(_) => Cells::Int(on.map(i64::from).collect()),
        None => return Err(node.bad_attribute("dtype", "is no element type")),
    };
    one(folded(Tensor::new(shape, cells)))
}

/// `Y[.., i, ..] = on` if the index is `i`, else `off`; the new axis has `depth` positions.
pub(crate) fn one_hot(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    node.at_most(3)?;
    let indices = node.value(0)?;
    let depth = node.constant(1)?.into_weight()?;
    let values = node.constant(2)?;
    let (element, values) = (values.tensor.cells().element(), values.into_weight()?);
    let (Some(&depth), 1, Some(&[off, on])) = (depth.first(), depth.len(), values.as_slice())
    else {
        return Err(node.shape_error("OneHot needs one depth and two values"));
    };
    let rank = writer.shape_of(&indices).len();
    let axis = node.axis(node.int("axis")?.unwrap_or(-1), rank + 1)?;
    if !(1.0..=f32::from(u16::MAX)).contains(&depth) {
        return Err(node.shape_error(format!("OneHot of depth {depth}")));
    }
    node.gives(0, element);
    let mut index = writer.lift(node, indices)?;
    if node.element(0) == Element::Float {
        let truncate = Op::Activation(Activation::Truncate);
        index = writer.add(node, truncate, &[index])?;
    }
    let hot = gather::one_hot_or_none(node, writer, index, depth as usize)?;
    let mut perm: Vec<usize> = (0..rank).collect();
    perm.insert(axis, rank);
    let hot = writer.transpose(node, hot, perm)?;
    let (scale, shift) = (arr0(on - off).into_dyn(), arr0(off).into_dyn());
    let y = writer.add(node, Op::Affine { scale, shift }, &[hot])?;
    one(Value::Activation(y))
}

/// The indices of the cells that are not 0, of a constant.
pub(crate) fn non_zero(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    node.at_most(1)?;
    let Value::Constant(x) = node.value(0)? else {
        return Err(node.unsupported(
            "its result's shape depends on the model's inputs: multiply by a mask instead",
        ));
    };
    let shape = x.tensor.shape();
    let found: Vec<usize> = match x.tensor.cells() {
        Cells::Float(x) => (0..x.len()).filter(|&i| x[i] != 0.0).collect(),
        Cells::Int(x) => (0..x.len()).filter(|&i| x[i] != 0).collect(),
        Cells::Bool(x) => (0..x.len()).filter(|&i| x[i]).collect(),
    };
    writer.allow(node, found.len().checked_mul(shape.len()))?;
    let along = shape.iter().zip(crate::write::index::strides(shape));
    let index = |(&n, step): (&usize, isize)| {
        let index = move |&i: &usize| (i / step as usize % n) as i64;
        found.iter().map(index).collect::<Vec<_>>()
    };
    let indices = along.flat_map(index).collect();
    one(folded(Tensor::new(
        vec![shape.len(), found.len()],
        Cells::Int(indices),
    )))
}

/// The input with the first cells of an axis reversed, as many as a constant says for each batch.
pub(crate) fn reverse_sequence(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    node.at_most(2)?;
    let x = node.value(0)?;
    let lengths = node.indices(1)?;
    let shape = writer.shape_of(&x).to_vec();
    let axis = |name, default| node.axis(node.int(name)?.unwrap_or(default), shape.len());
    let (time, batch) = (axis("time_axis", 0)?, axis("batch_axis", 1)?);
    let fits = |&n: &i64| (0..=shape[time] as i64).contains(&n);
    if time == batch || lengths.len() != shape[batch] || !lengths.iter().all(fits) {
        return Err(node.shape_error(format!(
            "lengths {lengths:?} for axes {time} and {batch} of a tensor of shape {shape:?}"
        )));
    }
    let cells = writer.allow(node, count(&shape))?;
    let steps = crate::write::index::strides(&shape);
    let (time_step, batch_step) = (steps[time] as usize, steps[batch] as usize);
    let source = |cell: usize| {
        let t = cell / time_step % shape[time];
        let length = lengths[cell / batch_step % shape[batch]] as usize;
        if t < length {
            cell - t * time_step + (length - 1 - t) * time_step
        } else {
            cell
        }
    };
    let indices = (0..cells).map(source).collect();
    one(crate::write::index::take(node, writer, x, indices, shape)?)
}
