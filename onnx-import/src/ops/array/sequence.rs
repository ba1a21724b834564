//! Sequences of tensors, whose lengths and positions are known: they are lists of values, and no
//! operator of the graph.

use crate::Error;
use crate::decode::tensor::{Cells, Tensor};
use crate::ops::array::view::viewed;
use crate::ops::one;
use crate::scope::names::Meaning;
use crate::scope::node::Node;
use crate::scope::value::{Constant, Element, Value};
use crate::write::Writer;
use crate::write::index::select_axis;
use crate::write::layout::concatenated;

/// The result of an operator that gives a sequence.
#[allow(clippy::unnecessary_wraps, reason = "ends an import function")]
fn list(node: &mut Node, list: Vec<(Value, Element)>) -> Result<Vec<Value>, Error> {
    node.means(0, Meaning::Sequence(list));
    Ok(vec![])
}

/// The one integer in operand `index`, if it is given.
fn given(node: &mut Node, index: usize) -> Result<Option<i64>, Error> {
    match node.optional_indices(index)?.as_deref() {
        None => Ok(None),
        Some(&[i]) => Ok(Some(i)),
        Some(_) => Err(node.shape_error("a position in a sequence must be one integer")),
    }
}

/// The position in operand `index` among `n`, counted from the end if negative.
fn position(node: &mut Node, index: usize, n: usize) -> Result<Option<usize>, Error> {
    let position = given(node, index)?;
    position.map(|i| node.axis(i, n)).transpose()
}

/// The operands.
pub(crate) fn construct(node: &mut Node, _: &mut Writer) -> Result<Vec<Value>, Error> {
    let mut parts = Vec::with_capacity(node.input_count());
    for i in 0..node.input_count() {
        parts.push((node.value(i)?, node.element(i)));
    }
    list(node, parts)
}

/// No tensors.
pub(crate) fn empty(node: &mut Node, _: &mut Writer) -> Result<Vec<Value>, Error> {
    node.at_most(0)?;
    let _ = node.int("dtype")?;
    list(node, vec![])
}

/// One tensor of a sequence.
pub(crate) fn at(node: &mut Node, _: &mut Writer) -> Result<Vec<Value>, Error> {
    node.at_most(2)?;
    let mut parts = node.sequence(0)?;
    let position = position(node, 1, parts.len())?;
    let position = position.ok_or_else(|| node.shape_error("SequenceAt without a position"))?;
    let (value, element) = parts.swap_remove(position);
    node.gives(0, element);
    one(value)
}

/// A sequence with one more tensor, at the end or before a position.
pub(crate) fn insert(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    node.at_most(3)?;
    let mut parts = node.sequence(0)?;
    writer.budget.imported(node.name(), parts.len())?;
    let (value, element) = (node.value(1)?, node.element(1));
    // Behind the last is a position too, but is not counted from the end.
    let n = parts.len();
    let at = match given(node, 2)? {
        Some(i) if i != n as i64 => node.axis(i, n)?,
        _ => n,
    };
    parts.insert(at, (value, element));
    list(node, parts)
}

/// A sequence without one of its tensors, by default the last.
pub(crate) fn erase(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    node.at_most(2)?;
    let mut parts = node.sequence(0)?;
    writer.budget.imported(node.name(), parts.len())?;
    match position(node, 1, parts.len())? {
        Some(position) => drop(parts.remove(position)),
        None => drop(parts.pop()),
    }
    list(node, parts)
}

/// The number of tensors.
pub(crate) fn length(node: &mut Node, _: &mut Writer) -> Result<Vec<Value>, Error> {
    node.at_most(1)?;
    let n = node.sequence(0)?.len() as i64;
    let tensor = Tensor::new(vec![], Cells::Int(vec![n]));
    one(Value::Constant(Constant::new("", tensor)))
}

/// The parts of a tensor along an axis: of given lengths, of one length up to the last, or single
/// positions, whose axis goes unless `keepdims`.
pub(crate) fn split(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    node.at_most(2)?;
    let x = node.value(0)?;
    let shape = writer.shape_of(&x);
    let axis = node.axis(node.int("axis")?.unwrap_or(0), shape.len())?;
    let n = shape[axis];
    let keeps = node.flag("keepdims")? != Some(false);
    let given = node.optional_constant(1)?;
    let single = given.is_none();
    let lengths = match &given {
        None => {
            writer.budget.imported(node.name(), n)?;
            vec![1; n]
        }
        Some(c) => {
            let count = part_count(c, n).unwrap_or(0);
            writer.budget.imported(node.name(), count)?;
            lengths(c, n).ok_or_else(|| {
                node.shape_error(format!("its lengths do not divide an axis of length {n}"))
            })?
        }
    };
    let element = node.element(0);
    let mut start = 0;
    let mut parts = Vec::with_capacity(lengths.len());
    for length in lengths {
        let positions = (start..start + length).collect();
        start += length;
        let mut part = select_axis(node, writer, x.clone(), axis, positions)?;
        if single && !keeps {
            let mut shape = writer.shape_of(&part).to_vec();
            shape.remove(axis);
            part = viewed(node, writer, part, shape)?;
        }
        parts.push((part, element));
    }
    list(node, parts)
}

/// How many parts there are before their lengths are listed.
fn part_count(given: &Constant, n: usize) -> Option<usize> {
    match (given.tensor.cells(), given.tensor.shape()) {
        (Cells::Int(cells), []) => {
            let length = usize::try_from(*cells.first()?).ok().filter(|&c| c > 0)?;
            Some(n.div_ceil(length))
        }
        (Cells::Int(cells), _) => Some(cells.len()),
        _ => None,
    }
}

/// The lengths of the parts of an axis of `n`: listed, or one number for all up to the last.
fn lengths(given: &Constant, n: usize) -> Option<Vec<usize>> {
    let Cells::Int(cells) = given.tensor.cells() else {
        return None;
    };
    let cells = cells.iter().map(|&c| usize::try_from(c).ok());
    let cells = cells.collect::<Option<Vec<usize>>>()?;
    if !given.tensor.shape().is_empty() {
        let total = cells.iter().try_fold(0_usize, |n, &c| n.checked_add(c));
        return (total == Some(n)).then_some(cells);
    }
    let length = *cells.first().filter(|&&c| c > 0)?;
    let starts = (0..n).step_by(length);
    Some(starts.map(|start| length.min(n - start)).collect())
}

/// The tensors of a sequence one behind the other, along an axis or along a new one.
pub(crate) fn concat(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    node.at_most(1)?;
    let parts = node.sequence(0)?;
    let stacks = node.flag("new_axis")? == Some(true);
    let Some(axis) = node.int("axis")? else {
        return Err(node.bad_attribute("axis", "is missing"));
    };
    let Some((first, element)) = parts.first() else {
        return Err(node.shape_error("ConcatFromSequence of an empty sequence"));
    };
    let rank = writer.shape_of(first).len() + usize::from(stacks);
    let (axis, element) = (node.axis(axis, rank)?, *element);
    if parts.iter().any(|part| part.1 != element) {
        return Err(node.shape_error("its tensors have different kinds of elements"));
    }
    node.gives(0, element);
    let mut joined = Vec::with_capacity(parts.len());
    for (mut part, _) in parts {
        if stacks {
            let mut shape = writer.shape_of(&part).to_vec();
            shape.insert(axis.min(shape.len()), 1);
            part = viewed(node, writer, part, shape)?;
        }
        joined.push(part);
    }
    one(concatenated(node, writer, joined, axis)?)
}
