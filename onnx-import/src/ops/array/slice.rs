//! Parts of a tensor along its axes: Slice, Split, Compress.

use crate::Error;
use crate::decode::tensor::Cells;
use crate::ops::one;
use crate::scope::node::Node;
use crate::scope::value::Value;
use crate::write::Writer;
use crate::write::index::{self, select, select_axis};

/// `Y[i] = X[start + step i]` along some axes; bounds are attributes before opset 10 and inputs
/// since.
pub(crate) fn slice(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    let x = node.value(0)?;
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
    let shape = writer.shape_of(&x).to_vec();
    node.axes(&axes, shape.len())?;
    let mut lists: Vec<index::Axis> = vec![None; shape.len()];
    for (((&axis, &start), &end), &step) in axes.iter().zip(&starts).zip(&ends).zip(&steps) {
        let axis = node.axis(axis, shape.len())?;
        let (first, length) = bounds(shape[axis], start, end, step)
            .ok_or_else(|| node.shape_error(format!("Slice with step {step}")))?;
        let length = writer.allow(node, Some(length))?;
        // The products stay inside the axis, as bounds() made the length from the step.
        let position = |i: usize| (first as i64 + step.saturating_mul(i as i64)) as usize;
        lists[axis] = Some((0..length).map(position).collect());
    }
    one(select(node, writer, x, lists)?)
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

/// Consecutive parts along an axis: of given lengths (an attribute before opset 13, an input
/// since), or one for each output, of equal lengths up to the last.
pub(crate) fn split(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    let x = node.value(0)?;
    let shape = writer.shape_of(&x);
    let axis = node.axis(node.int("axis")?.unwrap_or(0), shape.len())?;
    let n = shape[axis];
    let (listed, parts) = if node.opset() < 13 {
        node.at_most(1)?;
        (node.ints("split")?.map(<[i64]>::to_vec), None)
    } else {
        node.at_most(2)?;
        let parts = if node.opset() >= 18 {
            node.int("num_outputs")?
        } else {
            None
        };
        (node.optional_indices(1)?, parts)
    };
    let lengths = if let Some(listed) = listed {
        lengths_of(&listed, n)
            .ok_or_else(|| node.shape_error(format!("parts {listed:?} of an axis of length {n}")))?
    } else {
        let parts = parts.unwrap_or(node.output_count() as i64);
        let uneven = node.opset() >= 18;
        let fits = |p: &usize| (1..=n).contains(p) && (uneven || n.is_multiple_of(*p));
        let parts = usize::try_from(parts).ok().filter(fits);
        let parts = parts.ok_or_else(|| {
            let parts = node.output_count();
            node.shape_error(format!(
                "an axis of length {n} does not make {parts} equal parts"
            ))
        })?;
        writer.budget.imported(node.name(), parts)?;
        let length = n.div_ceil(parts);
        (0..parts)
            .map(|i| length.min(n.saturating_sub(i * length)))
            .collect::<Vec<_>>()
    };
    let (parts, outputs) = (lengths.len(), node.output_count());
    if parts != outputs {
        return Err(node.shape_error(format!("it makes {parts} parts for {outputs} outputs")));
    }
    split_at(node, writer, &x, axis, lengths)
}

/// Consecutive parts of an axis whose lengths add up to its own.
fn split_at(
    node: &Node,
    writer: &mut Writer,
    x: &Value,
    axis: usize,
    lengths: Vec<usize>,
) -> Result<Vec<Value>, Error> {
    let mut start = 0;
    let mut parts = Vec::with_capacity(lengths.len());
    for length in lengths {
        let list = (start..start + length).collect();
        parts.push(select_axis(node, writer, x.clone(), axis, list)?);
        start += length;
    }
    Ok(parts)
}

/// Consecutive parts of given lengths along an axis.
pub(crate) fn parts(
    node: &Node,
    writer: &mut Writer,
    x: &Value,
    axis: i64,
    listed: &[i64],
) -> Result<Vec<Value>, Error> {
    let shape = writer.shape_of(x);
    let axis = node.axis(axis, shape.len())?;
    let n = shape[axis];
    let lengths = lengths_of(listed, n)
        .ok_or_else(|| node.shape_error(format!("parts {listed:?} of an axis of length {n}")))?;
    split_at(node, writer, x, axis, lengths)
}

/// Listed lengths, if they add up to `n`.
fn lengths_of(listed: &[i64], n: usize) -> Option<Vec<usize>> {
    let lengths = listed.iter().map(|&d| usize::try_from(d).ok());
    let lengths = lengths.collect::<Option<Vec<usize>>>()?;
    let total = lengths.iter().try_fold(0_usize, |n, &d| n.checked_add(d));
    (total == Some(n)).then_some(lengths)
}

/// The positions of an axis, or of the flattened input, where a constant condition is true.
pub(crate) fn compress(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    node.at_most(2)?;
    let mut x = node.value(0)?;
    let condition = node.constant(1)?;
    let Cells::Bool(condition) = condition.tensor.cells() else {
        return Err(node.shape_error("Compress needs a condition of truth values"));
    };
    let axis = if let Some(axis) = node.int("axis")? {
        node.axis(axis, writer.shape_of(&x).len())?
    } else {
        let cells = writer.shape_of(&x).iter().product();
        x = crate::ops::array::view::viewed(node, writer, x, vec![cells])?;
        0
    };
    let n = writer.shape_of(&x)[axis];
    let list: Vec<usize> = (0..condition.len()).filter(|&i| condition[i]).collect();
    if list.last().is_some_and(|&last| last >= n) {
        return Err(node.shape_error(format!("the condition selects behind an axis of {n}")));
    }
    one(select_axis(node, writer, x, axis, list)?)
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
}
