//! Where `MaxPool` finds its maxima, and `MaxUnpool`, which puts them back.

use std::collections::BTreeSet;

use ndarray::{ArrayD, Dimension, arr0};
use zkstrata_model_ir::float::{Activation, Op, ValueId, Window};

use crate::Error;
use crate::decode::tensor::{Cells, Tensor};
use crate::ops::array::view::viewed;
use crate::ops::{inner, one};
use crate::scope::names::Meaning;
use crate::scope::node::Node;
use crate::scope::value::{Constant, EXACT, Element, Value};
use crate::write::formula::Formula;
use crate::write::{Writer, window};

/// Cells put back where `MaxPool` found them, by their indices, and 0 elsewhere.
///
/// Windows that overlap may name a cell several times, always with its value. Where the indices
/// depend on the inputs, that is the sum of the values divided by their number.
pub(crate) fn unpool(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    node.at_most(3)?;
    let (x, indices) = (node.value(0)?, node.value(1)?);
    let shape = writer.shape_of(&x).to_vec();
    let spatial = shape.get(2..).filter(|spatial| !spatial.is_empty());
    let spatial = spatial.ok_or_else(|| node.shape_error("MaxUnpool needs an input of rank 3"))?;
    let rank = spatial.len();
    let kernel = window::kernel_shape(node)?.filter(|kernel| kernel.len() == rank);
    let kernel = kernel.ok_or_else(|| node.bad_attribute("kernel_shape", "does not fit"))?;
    let strides = window::list(node, "strides", rank, 1, 1)?;
    let pads = window::list(node, "pads", 2 * rank, 0, 0)?;
    let outputs = if let Some(listed) = node.optional_indices(2)? {
        listed.iter().map(|&n| usize::try_from(n).ok()).collect()
    } else {
        let length = |i: usize| {
            let reach = (spatial[i].checked_sub(1)?).checked_mul(strides[i])?;
            (reach.checked_add(kernel[i])?).checked_sub(pads[i] + pads[rank + i])
        };
        let lengths = (0..rank).map(length).collect::<Option<Vec<usize>>>();
        lengths.map(|lengths| [&shape[..2], &lengths].concat())
    };
    let outputs: Vec<usize> = outputs.ok_or_else(|| node.shape_error("its output has no shape"))?;
    let cells = writer.allow(node, crate::decode::tensor::count(&outputs))?;
    let n: usize = shape.iter().product();
    let zeros = Tensor::new(vec![cells], Cells::Float(vec![0.0; cells]));
    let indices = viewed(node, writer, indices, vec![n])?;
    let x = viewed(node, writer, x, vec![n])?;
    let known = matches!(indices, Value::Constant(_));
    let put = |writer: &mut Writer, x: Value, reduction: &str| {
        let operands = vec![
            inner::float(Value::Constant(Constant::new("", zeros.clone()))),
            Some(Meaning::Tensor(indices.clone(), Element::Int)),
            inner::float(x),
        ];
        let reduction = vec![inner::text("reduction", reduction)];
        let form = ("ScatterElements", 18);
        let (y, _) = inner::inner(node, writer, form, reduction, operands)?;
        Ok::<_, Error>(y)
    };
    let mut y = put(writer, x, if known { "none" } else { "add" })?;
    if !known && (0..rank).any(|i| strides[i] < kernel[i]) {
        let ones = Tensor::new(vec![n], Cells::Float(vec![1.0; n]));
        let count = put(writer, Value::Constant(Constant::new("", ones)), "add")?;
        let (sum, count) = (writer.lift(node, y)?, writer.lift(node, count)?);
        let mut f = Formula::new(node, writer);
        let (lo, hi) = (1.0, f32::INFINITY);
        let count = f.apply(Activation::Clip { lo, hi }, count)?;
        let share = f.apply(Activation::Reciprocal, count)?;
        y = Value::Activation(f.product(sum, share)?);
    }
    one(viewed(node, writer, y, outputs)?)
}

/// Where each maximum lies: its index in the whole tensor, row-major or with the first spatial axis
/// varying fastest. Of equal cells the one of the smallest index counts.
///
/// The cells of a window lie side by side, one outside the input in place of one inside. With
/// `e = [x = max x]` and indices `i` relative to the window's smallest, it is `n - max(e (n - i))`.
pub(crate) fn places(
    f: &mut Formula,
    (x, pooled): (ValueId, ValueId),
    windows: &[Window],
    columns: bool,
) -> Result<ValueId, Error> {
    let shape = f.shape(x);
    let (outer, spatial) = shape.split_at(2);
    let (planes, plane) = (
        outer.iter().product::<usize>(),
        spatial.iter().product::<usize>(),
    );
    if planes * plane >= EXACT as usize {
        return Err(f
            .node
            .unsupported("its input has more cells than indices are exact"));
    }
    let outputs = f.shape(pooled).split_off(2);
    let taps: Vec<usize> = windows.iter().map(|w| w.kernel).collect();
    let count = outputs.iter().product::<usize>();
    let cells = taps
        .iter()
        .try_fold(planes * count, |n, &k| n.checked_mul(k));
    let size = f.writer.allow(f.node, cells)? / (planes * count);
    // Row-major and other index of every cell of a window.
    let number = |at: &[usize]| {
        let step = |i: usize, (&c, &n): (&usize, &usize)| i * n + c;
        let rows = at.iter().zip(spatial).fold(0, step);
        let other = at.iter().zip(spatial).rev().fold(0, step);
        (rows, if columns { other } else { rows })
    };
    let mut cells: Vec<(usize, usize)> = Vec::with_capacity(count * size);
    for output in indices(&outputs) {
        let start = cells.len();
        for tap in indices(&taps) {
            let axes = windows.iter().zip(output.iter().zip(&tap)).zip(spatial);
            let at = axes.map(|((w, (&i, &t)), &n)| {
                let x = (w.stride * i + w.dilation * t).checked_sub(w.pad_begin)?;
                (x < n).then_some(x)
            });
            cells.extend(at.collect::<Option<Vec<usize>>>().map(|at| number(&at)));
        }
        let first = *cells.get(start).ok_or_else(|| {
            f.node
                .unsupported("a window lies outside of the input: give smaller pads")
        })?;
        cells.resize(start + size, first);
    }
    let least = |window: &[(usize, usize)]| window.iter().map(|c| c.1).min().unwrap_or(0);
    let least: Vec<usize> = cells.chunks(size).map(least).collect();
    let relative = |k: usize| cells[k].1 - least[k / size];
    let n = 1 + (0..cells.len()).map(relative).max().unwrap_or(0);
    let array = |shape: &[usize], of: &dyn Fn(usize) -> usize| {
        let cells = (0..shape.iter().product()).map(|k| of(k) as f32);
        ArrayD::from_shape_vec(shape, cells.collect()).expect("as many cells")
    };
    let weights = array(&[1, count, size], &|k| n - relative(k));
    let origins = array(&[planes, count, 1], &|k| {
        k / count * plane + least[k % count] + n
    });

    let sources = (0..planes).flat_map(|p| cells.iter().map(move |c| (p * plane + c.0) as u32));
    let gathered = Op::Take {
        indices: sources.collect(),
        shape: vec![planes, count, size],
    };
    let x = f.put(gathered, &[x])?;
    let axis = BTreeSet::from([2]);
    let most = f.maximum(x, &axis)?;
    let over = f.sub(x, most)?;
    let equal = f.apply(Activation::Step, over)?;
    let left = f.affine_by(equal, weights, arr0(0.0).into_dyn())?;
    let left = f.maximum(left, &axis)?;
    let place = f.affine_by(left, arr0(-1.0).into_dyn(), origins)?;
    f.reshape(place, [outer, &outputs].concat())
}

/// The indices of all cells of a shape, row-major.
fn indices(shape: &[usize]) -> impl Iterator<Item = Vec<usize>> {
    ndarray::indices(shape)
        .into_iter()
        .map(|at| Dimension::slice(&at).to_vec())
}
