//! Cells chosen by indices: Gather, `GatherElements`, `GatherND`, `ArrayFeatureExtractor`.
//!
//! Constant indices choose positions. An index `i` that depends on the model's inputs becomes the
//! vector `[i == 0, i == 1, ..]`, which is contracted with the axis it reads; an index outside of
//! the axis cannot be proven.
//!
//! Every comparison is a lookup, and the rows of an embedding are tens of thousands. So an index of a
//! long axis is compared by its two digits to a base `m` of about the square root of the length `n`,
//!
//! ```text
//! [i == m h + l] = [floor(i / m) == h] [i mod m == l]
//! ```
//!
//! which takes `n / m + m` comparisons instead of `n`, and their products, which are proven by one
//! sumcheck and committed nowhere.

use ndarray::{ArrayD, Axis};
use zkstrata_model_ir::float::{Activation, Contract, Op, ValueId};

use crate::Error;
use crate::decode::tensor::{Cells, MAX_RANK, count};
use crate::ops::array::view;
use crate::ops::math::extreme;
use crate::ops::one;
use crate::scope::node::Node;
use crate::scope::value::{Constant, Value};
use crate::write::Writer;
use crate::write::formula::Formula;
use crate::write::index::{select_axis, strides, take};
use crate::write::layout::permuted;

/// Most cells of the comparisons of an index with all positions.
const ONE_HOT: usize = 1 << 24;

/// Comparisons from which on indices are compared by digits, if these are fewer by [`WORTH`]: measured, a
/// proof with half as many is a quarter longer with them, since the quotient and the product are nodes
/// more.
const DIGITS: usize = 1 << 13;

/// How many times the digits' comparisons all comparisons are at least.
const WORTH: usize = 4;

/// `Y[i.., j.., k..] = X[i.., indices[j..], k..]`
pub(crate) fn gather(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    node.at_most(2)?;
    let (x, indices) = (node.value(0)?, node.value(1)?);
    let rank = writer.shape_of(&x).len();
    let axis = node.axis(node.int("axis")?.unwrap_or(0), rank)?;
    one(gathered(node, writer, x, indices, axis)?)
}

/// `Y[.., j..] = X[.., indices[j..]]`, of a matrix at least
pub(crate) fn array_feature_extractor(
    node: &mut Node,
    writer: &mut Writer,
) -> Result<Vec<Value>, Error> {
    node.at_most(2)?;
    let (x, indices) = (node.value(0)?, node.value(1)?);
    let n = writer.shape_of(&indices).iter().product();
    let indices = view::viewed(node, writer, indices, vec![n])?;
    let shape = writer.shape_of(&x).to_vec();
    let x = match shape[..] {
        [n] => view::viewed(node, writer, x, vec![1, n])?,
        _ => x,
    };
    let Some(axis) = writer.shape_of(&x).len().checked_sub(1) else {
        return Err(node.shape_error("ArrayFeatureExtractor of a scalar"));
    };
    one(gathered(node, writer, x, indices, axis)?)
}

/// Gather along `axis`.
fn gathered(
    node: &Node,
    writer: &mut Writer,
    x: Value,
    indices: Value,
    axis: usize,
) -> Result<Value, Error> {
    let shape = writer.shape_of(&x).to_vec();
    let chosen = writer.shape_of(&indices).to_vec();
    let (outer, inner) = (&shape[..axis], &shape[axis + 1..]);
    let result = [outer, &chosen, inner].concat();
    if result.len() > MAX_RANK {
        return Err(node.shape_error(format!("Gather makes {} axes", result.len())));
    }
    let index = match indices {
        Value::Constant(indices) => {
            let list = integers(node, &indices)?.iter();
            let list = list.map(|&i| {
                node.axis(i, shape[axis])
                    .map_err(|_| outside(node, i, shape[axis]))
            });
            let list = list.collect::<Result<_, _>>()?;
            let y = select_axis(node, writer, x, axis, list)?;
            return view::viewed(node, writer, y, result);
        }
        Value::Activation(index) => index,
    };
    let (hot, positions) = one_hot_of_digits(node, writer, index, shape[axis])?;
    if let Value::Constant(x) = x {
        // The row of a table: W[n, rest] with the axis first, and the axes put back in order.
        let first = std::iter::once(axis).chain((0..shape.len()).filter(|&a| a != axis));
        let x = permuted(node, writer, Value::Constant(x), &first.collect::<Vec<_>>())?;
        let rest = outer.iter().chain(inner).product();
        let table = view::viewed(node, writer, x, vec![shape[axis], rest])?;
        let Value::Constant(table) = table else {
            return Err(node.shape_error("a constant's view is constant"));
        };
        let mut weight = table.into_weight()?;
        let beyond = ArrayD::zeros(vec![positions - shape[axis], rest]);
        let appended = weight.append(Axis(0), beyond.view());
        appended.map_err(|e| node.shape_error(e.to_string()))?;
        let y = writer.add(node, Op::Dense { weight, bias: None }, &[hot])?;
        let y = writer.reshape(node, y, [&chosen, outer, inner].concat())?;
        let perm = (0..outer.len()).map(|a| chosen.len() + a);
        let perm = perm.chain(0..chosen.len());
        let perm = perm.chain(chosen.len() + outer.len()..result.len());
        return Ok(Value::Activation(writer.transpose(
            node,
            y,
            perm.collect(),
        )?));
    }
    let x = writer.lift(node, x)?;
    let x = lengthened(node, writer, x, axis, positions)?;
    let rank = shape.len();
    let made: Vec<usize> = (rank..rank + chosen.len()).collect();
    let labels = Contract {
        left: [&made[..], &[axis]].concat(),
        right: (0..rank).collect(),
        output: (0..axis).chain(made).chain(axis + 1..rank).collect(),
    };
    let y = writer.add(node, Op::Contract(labels), &[hot, x])?;
    Ok(Value::Activation(y))
}

/// `Y[i, j, ..] = X[i, indices[i, j, ..], ..]` with the index on `axis`
pub(crate) fn gather_elements(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    node.at_most(2)?;
    let (x, indices) = (node.value(0)?, node.value(1)?);
    let shape = writer.shape_of(&x).to_vec();
    let axis = node.axis(node.int("axis")?.unwrap_or(0), shape.len())?;
    let wanted = writer.shape_of(&indices).to_vec();
    check_elements(node, &shape, &wanted, axis)?;
    let index = match indices {
        Value::Constant(indices) => {
            writer.allow(node, count(&wanted))?;
            let list = element_positions(node, &shape, &indices, axis)?;
            return one(take(node, writer, x, list, wanted)?);
        }
        Value::Activation(index) => index,
    };
    let mut x = writer.lift(node, x)?;
    if (0..shape.len()).any(|a| a != axis && wanted[a] < shape[a]) {
        let pads = (0..shape.len()).map(|a| {
            if a == axis {
                (0, 0)
            } else {
                (0, wanted[a] as i64 - shape[a] as i64)
            }
        });
        let op = Op::Pad {
            pads: pads.collect(),
            value: 0.0,
        };
        x = writer.add(node, op, &[x])?;
    }
    let (hot, positions) = one_hot_of_digits(node, writer, index, shape[axis])?;
    let x = lengthened(node, writer, x, axis, positions)?;
    let rank = shape.len();
    let mut right: Vec<usize> = (0..rank).collect();
    right[axis] = rank;
    let labels = Contract {
        left: (0..=rank).collect(),
        right,
        output: (0..rank).collect(),
    };
    let y = writer.add(node, Op::Contract(labels), &[hot, x])?;
    one(Value::Activation(y))
}

/// Checks the indices' shape of an operator on elements: the data's, but on `axis`, or less.
pub(crate) fn check_elements(
    node: &Node,
    data: &[usize],
    indices: &[usize],
    axis: usize,
) -> Result<(), Error> {
    let fits = |a: usize| a == axis || indices[a] <= data[a];
    if indices.len() == data.len() && (0..data.len()).all(fits) {
        return Ok(());
    }
    Err(node.shape_error(format!(
        "indices of shape {indices:?} into data of shape {data:?}"
    )))
}

/// Row-major positions that the indices on `axis` name in a tensor of shape `shape`.
pub(crate) fn element_positions(
    node: &Node,
    shape: &[usize],
    indices: &Constant,
    axis: usize,
) -> Result<Vec<usize>, Error> {
    let steps = strides(shape);
    let mut at = steps.clone();
    at[axis] = 0;
    let bases = crate::write::index::strided(indices.tensor.shape(), at, 0);
    let (n, step) = (shape[axis], steps[axis] as usize);
    let position = |(base, &i): (usize, &i64)| {
        let i = node.axis(i, n).map_err(|_| outside(node, i, n))?;
        Ok(base + i * step)
    };
    bases.zip(integers(node, indices)?).map(position).collect()
}

/// `Y[b.., j.., k..] = X[b.., indices[b.., j..].., k..]`: the last axis of the indices holds
/// indices of as many axes behind the `batch_dims` first ones.
pub(crate) fn gather_nd(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    node.at_most(2)?;
    let (x, indices) = (node.value(0)?, node.value(1)?);
    let batch = match node.opset() {
        ..12 => 0,
        _ => node.int("batch_dims")?.unwrap_or(0),
    };
    let batch = usize::try_from(batch);
    let batch = batch.map_err(|_| node.bad_attribute("batch_dims", "is negative"))?;
    let places = Places::new(node, writer.shape_of(&x), writer.shape_of(&indices), batch)?;
    let result = [&places.batch[..], &places.chosen, &places.inner].concat();
    let index = match indices {
        Value::Constant(indices) => {
            writer.allow(node, count(&result))?;
            let list = places.positions(node, &indices)?;
            return one(take(node, writer, x, list, result)?);
        }
        Value::Activation(index) => index,
    };
    let index = places.flat(node, writer, index)?;
    let x = writer.lift(node, x)?;
    let (b, n) = (places.batch.len(), places.cells());
    let (hot, positions) = one_hot_of_digits(node, writer, index, n)?;
    let x = writer.reshape(node, x, [&places.batch[..], &[n], &places.inner].concat())?;
    let x = lengthened(node, writer, x, b, positions)?;
    // Labels: the batch axes, those chosen, the position, the inner axes.
    let position = b + places.chosen.len();
    let inner = position + 1..position + 1 + places.inner.len();
    let labels = Contract {
        left: (0..=position).collect(),
        right: (0..b).chain([position]).chain(inner.clone()).collect(),
        output: (0..position).chain(inner).collect(),
    };
    let y = writer.add(node, Op::Contract(labels), &[hot, x])?;
    one(Value::Activation(y))
}

/// How tuples of indices name slices of a tensor of shape `batch, indexed, inner`.
pub(crate) struct Places {
    pub(crate) batch: Vec<usize>,
    pub(crate) indexed: Vec<usize>,
    pub(crate) inner: Vec<usize>,
    /// Shape of the indices without batch axes and the last one.
    pub(crate) chosen: Vec<usize>,
}

impl Places {
    pub(crate) fn new(
        node: &Node,
        data: &[usize],
        indices: &[usize],
        batch: usize,
    ) -> Result<Self, Error> {
        let fail = || {
            node.shape_error(format!(
                "indices of shape {indices:?} into data of shape {data:?} with {batch} batch axes"
            ))
        };
        let (&k, outer) = indices.split_last().ok_or_else(fail)?;
        let agree = batch <= outer.len() && batch <= data.len() && outer[..batch] == data[..batch];
        if !agree || k == 0 || k > data.len() - batch {
            return Err(fail());
        }
        Ok(Self {
            batch: data[..batch].to_vec(),
            indexed: data[batch..batch + k].to_vec(),
            inner: data[batch + k..].to_vec(),
            chosen: outer[batch..].to_vec(),
        })
    }

    /// Number of slices per batch.
    pub(crate) fn cells(&self) -> usize {
        self.indexed.iter().product()
    }

    /// Row-major positions of the data's cells that constant indices name.
    pub(crate) fn positions(&self, node: &Node, indices: &Constant) -> Result<Vec<usize>, Error> {
        let list = integers(node, indices)?;
        let width: usize = self.inner.iter().product();
        let per_batch = self.chosen.iter().product::<usize>();
        let mut positions = Vec::with_capacity(list.len() / self.indexed.len() * width);
        for (row, tuple) in list.chunks_exact(self.indexed.len()).enumerate() {
            let mut slice = row / per_batch;
            for (&i, &n) in tuple.iter().zip(&self.indexed) {
                let i = node.axis(i, n).map_err(|_| outside(node, i, n))?;
                slice = slice * n + i;
            }
            positions.extend(slice * width..(slice + 1) * width);
        }
        Ok(positions)
    }

    /// The named slices as vectors of truth values: shape `batch, chosen, cells`.
    pub(crate) fn one_hot(
        &self,
        node: &Node,
        writer: &mut Writer,
        index: ValueId,
    ) -> Result<ValueId, Error> {
        let flat = self.flat(node, writer, index)?;
        one_hot(node, writer, flat, self.cells())
    }

    /// The positions of the named slices: shape `batch, chosen`.
    fn flat(&self, node: &Node, writer: &mut Writer, index: ValueId) -> Result<ValueId, Error> {
        let shape = [&self.batch[..], &self.chosen].concat();
        let mut flat = None;
        // Each component is one of its own axis: elsewhere the sum might be a position all the same.
        for (place, (&n, &step)) in self.indexed.iter().zip(&strides(&self.indexed)).enumerate() {
            let own = Value::Activation(index);
            let own = select_axis(node, writer, own, shape.len(), vec![place])?;
            let own = writer.lift(node, own)?;
            let own = writer.reshape(node, own, shape.clone())?;
            let own = indexing(node, writer, own, n)?;
            let mut f = Formula::new(node, writer);
            let own = f.affine(own, step as f32, 0.0)?;
            flat = Some(match flat {
                None => own,
                Some(sum) => f.add(sum, own)?,
            });
        }
        flat.ok_or_else(|| node.shape_error("indices of no axis"))
    }
}

/// `Y[.., i] = [index == i]` for the `n` positions of an axis; negative indices count from its
/// end.
pub(crate) fn one_hot(
    node: &Node,
    writer: &mut Writer,
    index: ValueId,
    n: usize,
) -> Result<ValueId, Error> {
    let index = indexing(node, writer, index, n)?;
    compared(node, writer, index, n)
}

/// The same, by digits if the axis is long. The vector may go on beyond the axis, with zeros; its length is
/// returned with it.
fn one_hot_of_digits(
    node: &Node,
    writer: &mut Writer,
    index: ValueId,
    n: usize,
) -> Result<(ValueId, usize), Error> {
    let shape = writer.shape(index).to_vec();
    let cells = shape.iter().fold(n, |n, &d| n.saturating_mul(d));
    let base = n.isqrt().next_power_of_two();
    let highs = n.div_ceil(base);
    let product = cells / n.max(1) * highs * base;
    if cells < DIGITS || WORTH * (highs + base) > n || product > ONE_HOT && cells <= ONE_HOT {
        return Ok((one_hot(node, writer, index, n)?, n));
    }
    let index = indexing(node, writer, index, n)?;
    check_cells(node, &shape, highs * base)?;
    let divisor = u32::try_from(base).map_err(|_| node.shape_error("an axis of 2^32 cells"))?;
    let mut f = Formula::new(node, writer);
    let high = f.apply(Activation::FloorDiv { divisor }, index)?;
    let below = f.affine(high, -(base as f32), 0.0)?;
    let low = f.add(index, below)?;
    let high = compared(node, f.writer, high, highs)?;
    let low = compared(node, f.writer, low, base)?;
    // Labels: the axes of the index, then a digit each.
    let kept: Vec<usize> = (0..shape.len()).collect();
    let digits = [shape.len(), shape.len() + 1];
    let labels = [[&kept[..], &digits[..1]], [&kept[..], &digits[1..]]].map(|l| l.concat());
    let output = [&kept[..], &digits].concat();
    let hot = f.contract((high, &labels[0]), (low, &labels[1]), &output)?;
    let hot = f.reshape(hot, [&shape[..], &[highs * base]].concat())?;
    Ok((hot, highs * base))
}

/// A tensor that goes on with zeros along an axis.
fn lengthened(
    node: &Node,
    writer: &mut Writer,
    x: ValueId,
    axis: usize,
    length: usize,
) -> Result<ValueId, Error> {
    let shape = writer.shape(x);
    let missing = length.saturating_sub(shape[axis]);
    if missing == 0 {
        return Ok(x);
    }
    let mut pads = vec![(0, 0); shape.len()];
    pads[axis].1 = missing as i64;
    writer.add(node, Op::Pad { pads, value: 0.0 }, &[x])
}

/// The same for integers that need not be indices: 0 everywhere if they are none.
pub(super) fn one_hot_or_none(
    node: &Node,
    writer: &mut Writer,
    integer: ValueId,
    n: usize,
) -> Result<ValueId, Error> {
    let integer = wrapped(node, writer, integer, ndarray::arr0(n as f32).into_dyn())?;
    compared(node, writer, integer, n)
}

/// An index of an axis of length `n`: `index + n [index < 0]`.
fn indexing(node: &Node, writer: &mut Writer, index: ValueId, n: usize) -> Result<ValueId, Error> {
    let length = u32::try_from(n).map_err(|_| node.shape_error("an axis of 2^32 cells"))?;
    writer.add(node, Op::Activation(Activation::Index { length }), &[index])
}

/// `index + n [index < 0]`, whatever the index.
fn wrapped(
    node: &Node,
    writer: &mut Writer,
    index: ValueId,
    n: ArrayD<f32>,
) -> Result<ValueId, Error> {
    let mut f = Formula::new(node, writer);
    let sign = f.apply(Activation::Step, index)?;
    let shift = f.affine_by(sign, -&n, n)?;
    f.add(index, shift)
}

/// `Y[.., i] = [index == i]` for `i` below `n`.
fn compared(node: &Node, writer: &mut Writer, index: ValueId, n: usize) -> Result<ValueId, Error> {
    let mut shape = writer.shape(index).to_vec();
    check_cells(node, &shape, n)?;
    let axis = shape.len();
    shape.push(1);
    let mut f = Formula::new(node, writer);
    let index = f.reshape(index, shape)?;
    extreme::one_hot(&mut f, index, axis, n)
}

/// Refuses to compare too many indices with too many positions.
fn check_cells(node: &Node, shape: &[usize], n: usize) -> Result<(), Error> {
    let cells = shape.iter().try_fold(n, |n, &d| n.checked_mul(d));
    if cells.is_none_or(|cells| cells > ONE_HOT) {
        return Err(node.unsupported(format!(
            "it compares indices of shape {shape:?} with {n} positions, more than {ONE_HOT} \
             comparisons: use constant indices or a smaller axis"
        )));
    }
    Ok(())
}

/// The cells of constant indices.
fn integers<'a>(node: &Node, indices: &'a Constant) -> Result<&'a [i64], Error> {
    match indices.tensor.cells() {
        Cells::Int(list) => Ok(list),
        other => Err(node.shape_error(format!(
            "{} needs integers as indices, got {}",
            node.op(),
            other.kind()
        ))),
    }
}

fn outside(node: &Node, index: i64, n: usize) -> Error {
    node.shape_error(format!("index {index} of an axis of length {n}"))
}
