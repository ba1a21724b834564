//! Values made of another value's cells: [`select`] picks positions of each axis, [`take`] cells
//! by their row-major position; and the strided reading that broadcasting and transposition share.

use zkstrata_model_ir::float::{AxisMap, AxisMatrix, Op};

use crate::Error;
use crate::decode::tensor::{MAX_RANK, Tensor, count};
use crate::scope::node::Node;
use crate::scope::value::Value;
use crate::write::Writer;
use crate::write::broadcast::folded;

/// Row-major flat indices of a strided reading: cell `i` of a tensor of shape `shape` is cell
/// `offset + sum_a i_a strides_a` of the source.
pub(crate) fn strided(
    shape: &[usize],
    strides: Vec<isize>,
    offset: usize,
) -> impl Iterator<Item = usize> + use<> {
    let shape = shape.to_vec();
    let mut index = vec![0; shape.len()];
    let mut at = offset as isize;
    let cells = count(&shape).unwrap_or(0);
    (0..cells).map(move |_| {
        let current = at;
        for axis in (0..shape.len()).rev() {
            index[axis] += 1;
            at += strides[axis];
            if index[axis] < shape[axis] {
                break;
            }
            at -= strides[axis] * shape[axis] as isize;
            index[axis] = 0;
        }
        current as usize
    })
}

/// Row-major strides of a shape.
pub(crate) fn strides(shape: &[usize]) -> Vec<isize> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis] as isize;
    }
    strides
}

/// The cells of a tensor of shape `from`, read as if broadcast to `to`.
pub(crate) fn broadcast_indices(
    from: &[usize],
    to: &[usize],
) -> impl Iterator<Item = usize> + use<> {
    let mut read = vec![0; to.len() - from.len()];
    for (&n, stride) in from.iter().zip(strides(from)) {
        read.push(if n == 1 { 0 } else { stride });
    }
    strided(to, read, 0)
}

/// Which positions of an axis are read, in order; `None` keeps the axis.
pub(crate) type Axis = Option<Vec<usize>>;

/// `Y[i, j, ..] = X[axes_0[i], axes_1[j], ..]`, with positions that exist.
pub(crate) fn select(
    node: &Node,
    writer: &mut Writer,
    x: Value,
    axes: Vec<Axis>,
) -> Result<Value, Error> {
    let from = writer.shape_of(&x).to_vec();
    let kept =
        |(axis, &n): (&Axis, &usize)| axis.as_ref().is_none_or(|a| a.iter().copied().eq(0..n));
    if axes.iter().zip(&from).all(kept) {
        return Ok(x);
    }
    match x {
        Value::Constant(x) => {
            let length = |(axis, &n): (&Axis, &usize)| axis.as_ref().map_or(n, Vec::len);
            let shape: Vec<usize> = axes.iter().zip(&from).map(length).collect();
            writer.allow(node, count(&shape))?;
            let cells = x.tensor.cells().pick(positions(&from, &axes).into_iter());
            Ok(folded(Tensor::new(shape, cells)))
        }
        // A tensor without cells depends on nothing.
        Value::Activation(_) if axes.iter().flatten().any(Vec::is_empty) => {
            let length = |(axis, &n): (&Axis, &usize)| axis.as_ref().map_or(n, Vec::len);
            let shape = axes.iter().zip(&from).map(length).collect();
            Ok(folded(Tensor::new(shape, node.element(0).no_cells())))
        }
        Value::Activation(x) => {
            let map = |(axis, &n): (Axis, &usize)| match axis {
                Some(list) if !list.iter().copied().eq(0..n) => {
                    AxisMap::Matrix(AxisMatrix::select(n, &list))
                }
                _ => AxisMap::Keep,
            };
            let maps = axes.into_iter().zip(&from).map(map).collect();
            Ok(Value::Activation(writer.add(node, Op::Map(maps), &[x])?))
        }
    }
}

/// [`select`] along one axis.
pub(crate) fn select_axis(
    node: &Node,
    writer: &mut Writer,
    x: Value,
    axis: usize,
    list: Vec<usize>,
) -> Result<Value, Error> {
    let mut axes = vec![None; writer.shape_of(&x).len()];
    axes[axis] = Some(list);
    select(node, writer, x, axes)
}

/// Row-major positions of the cells that [`select`] reads.
fn positions(from: &[usize], axes: &[Axis]) -> Vec<usize> {
    let mut all = vec![0];
    for (axis, &n) in axes.iter().zip(from) {
        let along = |&base: &usize| -> Vec<usize> {
            match axis {
                None => (0..n).map(|i| base * n + i).collect(),
                Some(list) => list.iter().map(|i| base * n + i).collect(),
            }
        };
        all = all.iter().flat_map(along).collect();
    }
    all
}

/// `Y[i] = X[indices[i]]` on row-major positions, which exist.
pub(crate) fn take(
    node: &Node,
    writer: &mut Writer,
    x: Value,
    indices: Vec<usize>,
    shape: Vec<usize>,
) -> Result<Value, Error> {
    if shape.len() > MAX_RANK {
        return Err(node.shape_error(format!("{} makes {} axes", node.op(), shape.len())));
    }
    match x {
        Value::Constant(x) => {
            let cells = x.tensor.cells().pick(indices.into_iter());
            Ok(folded(Tensor::new(shape, cells)))
        }
        Value::Activation(x) => {
            let n = writer.shape(x).iter().product::<usize>();
            if indices.iter().copied().eq(0..n) {
                return Ok(Value::Activation(writer.reshape(node, x, shape)?));
            }
            let indices = indices.into_iter().map(|i| i as u32).collect();
            let op = Op::Take { indices, shape };
            Ok(Value::Activation(writer.add(node, op, &[x])?))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strided_reading() {
        let transposed: Vec<usize> = strided(&[3, 2], vec![1, 3], 0).collect();
        assert_eq!(transposed, [0, 3, 1, 4, 2, 5]);
        let backwards: Vec<usize> = strided(&[3], vec![-2], 4).collect();
        assert_eq!(backwards, [4, 2, 0]);
        let repeated: Vec<usize> = broadcast_indices(&[2, 1], &[2, 2, 2]).collect();
        assert_eq!(repeated, [0, 0, 1, 1, 0, 0, 1, 1]);
        assert_eq!(strided(&[], vec![], 0).collect::<Vec<_>>(), [0]);
        assert_eq!(strided(&[0, 2], vec![2, 1], 0).count(), 0);
    }
}
