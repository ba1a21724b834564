//! Constants made of other constants' cells: Gather, Slice, Expand, and the strided reading that
//! broadcasting and transposition share.

use super::arithmetic::{broadcast, folded};
use super::one;
use crate::Error;
use crate::import::Importer;
use crate::node::Node;
use crate::tensor::{Cells, MAX_RANK, Tensor, count};
use crate::value::Value;

/// Row-major flat indices of a strided reading: cell `i` of a tensor of shape `shape` is cell
/// `offset + sum_a i_a strides_a` of the source.
pub(super) fn strided(
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
pub(super) fn strides(shape: &[usize]) -> Vec<isize> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis] as isize;
    }
    strides
}

/// The cells of a tensor of shape `from`, read as if broadcast to `to`.
pub(super) fn broadcast_indices(
    from: &[usize],
    to: &[usize],
) -> impl Iterator<Item = usize> + use<> {
    let mut read = vec![0; to.len() - from.len()];
    for (&n, stride) in from.iter().zip(strides(from)) {
        read.push(if n == 1 { 0 } else { stride });
    }
    strided(to, read, 0)
}

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
    match x {
        Value::Constant(x) => {
            importer.allow(node, count(&shape))?;
            let indices = broadcast_indices(x.tensor.shape(), &shape);
            let cells = x.tensor.cells().pick(indices);
            one(folded(Tensor::new(shape, cells)))
        }
        Value::Activation(x) if importer.shape(x) == shape => one(Value::Activation(x)),
        Value::Activation(_) => {
            Err(node.unsupported("it repeats an activation: it is supported on constants only"))
        }
    }
}

/// `Y[i.., j.., k..] = X[i.., indices[j..], k..]`
pub(super) fn gather(node: &mut Node, importer: &mut Importer) -> Result<Vec<Value>, Error> {
    node.at_most(2)?;
    let x = node.constant(0)?;
    let indices = node.constant(1)?;
    let shape = x.tensor.shape();
    let axis = node.axis(node.int("axis")?.unwrap_or(0), shape.len())?;
    let Cells::Int(list) = indices.tensor.cells() else {
        return Err(node.shape_error("Gather's indices must be integers"));
    };
    let list = list
        .iter()
        .map(|&i| node.axis(i, shape[axis]))
        .collect::<Result<Vec<_>, _>>()?;
    let (outer, inner) = (&shape[..axis], &shape[axis + 1..]);
    let result = [outer, indices.tensor.shape(), inner].concat();
    if result.len() > MAX_RANK {
        return Err(node.shape_error(format!("Gather makes {} axes", result.len())));
    }
    importer.allow(node, count(&result))?;
    let (rows, width) = (outer.iter().product(), inner.iter().product::<usize>());
    let row = |o: usize| {
        let source = move |i: usize| (o * shape[axis] + i) * width;
        list.iter().flat_map(move |&i| source(i)..source(i) + width)
    };
    let cells = x.tensor.cells().pick((0..rows).flat_map(row));
    one(folded(Tensor::new(result, cells)))
}

/// `Y[i] = X[start + step i]` along some axes; bounds are attributes before opset 10 and inputs
/// since.
pub(super) fn slice(node: &mut Node, importer: &mut Importer) -> Result<Vec<Value>, Error> {
    let x = node.constant(0)?;
    let (starts, ends, axes, steps) = if node.opset() < 10 {
        node.at_most(1)?;
        let list = |name| Ok::<_, Error>(node.ints(name)?.map(<[i64]>::to_vec));
        (list("starts")?, list("ends")?, list("axes")?, None)
    } else {
        node.at_most(5)?;
        let mut list = |i| node.optional_indices(i);
        (list(1)?, list(2)?, list(3)?, list(4)?)
    };
    let (Some(starts), Some(ends)) = (starts, ends) else {
        return Err(node.shape_error("Slice needs starts and ends"));
    };
    let axes = axes.unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = steps.unwrap_or_else(|| vec![1; starts.len()]);
    if [ends.len(), axes.len(), steps.len()] != [starts.len(); 3] {
        return Err(node.shape_error("Slice's starts, ends, axes and steps differ in length"));
    }
    let mut shape = x.tensor.shape().to_vec();
    let mut read = strides(&shape);
    node.axes(&axes, shape.len())?;
    let mut offset = 0;
    for (((&axis, &start), &end), &step) in axes.iter().zip(&starts).zip(&ends).zip(&steps) {
        let axis = node.axis(axis, shape.len())?;
        let (first, length) = bounds(shape[axis], start, end, step)
            .ok_or_else(|| node.shape_error(format!("Slice with step {step}")))?;
        shape[axis] = length;
        if length > 0 {
            offset += first * read[axis].unsigned_abs();
            // An axis of one element is never stepped along; longer ones stay inside the source.
            read[axis] *= if length > 1 { step as isize } else { 0 };
        }
    }
    importer.allow(node, count(&shape))?;
    let cells = x.tensor.cells().pick(strided(&shape, read, offset));
    one(folded(Tensor::new(shape, cells)))
}

/// First element and number of elements of a slice of an axis of `n`; `None` for step 0.
fn bounds(n: usize, start: i64, end: i64, step: i64) -> Option<(usize, usize)> {
    let n = i64::try_from(n).ok()?;
    let from_end = |i: i64| if i < 0 { i.saturating_add(n) } else { i };
    let (start, end) = (from_end(start), from_end(end));
    let (start, span) = match step {
        0 => return None,
        1.. => {
            let start = start.clamp(0, n);
            (start, end.clamp(0, n) - start)
        }
        _ => {
            let start = start.clamp(-1, n - 1);
            (start, start - end.clamp(-1, n - 1))
        }
    };
    let length = (span.max(0) as u64).div_ceil(step.unsigned_abs());
    Some((start.max(0) as usize, length as usize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_follow_numpy() {
        assert_eq!(bounds(5, 1, 4, 2), Some((1, 2)));
        assert_eq!(bounds(5, -3, i64::MAX, 1), Some((2, 3)));
        assert_eq!(bounds(5, i64::MAX, i64::MIN, -1), Some((4, 5)));
        assert_eq!(bounds(5, 3, 0, -2), Some((3, 2)));
        assert_eq!(bounds(5, 4, 1, 1), Some((4, 0)));
        assert_eq!(bounds(5, i64::MIN, 2, i64::MAX), Some((0, 1)));
        assert_eq!(bounds(0, 0, 1, -1).map(|b| b.1), Some(0));
        assert_eq!(bounds(5, 0, 1, 0), None);
    }

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
