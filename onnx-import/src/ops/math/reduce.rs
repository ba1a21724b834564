//! Reductions: the axes that vanish, or stay with length 1, and what becomes of their cells.

use std::collections::BTreeSet;

use zkstrata_model_ir::float::{Activation, AxisMatrix, Op, PoolKind, ValueId};

use crate::Error;
use crate::ops::nn::{pool, softmax};
use crate::ops::one;
use crate::scope::node::Node;
use crate::scope::value::{Element, Value};
use crate::write::Writer;
use crate::write::formula::{Formula, without};
use crate::write::masked::{self, Operand};

/// The operand and the axes of a reduction.
struct Reduction {
    x: ValueId,
    axes: BTreeSet<usize>,
    /// The result's shape.
    target: Vec<usize>,
}

/// Reads a reduction whose axes are an attribute before opset `since` and an input since.
fn operand(node: &mut Node, writer: &mut Writer, since: i64) -> Result<Reduction, Error> {
    let x = writer.activation(node, 0)?;
    let shape = writer.shape(x);
    let (listed, none_means_none) = if node.opset() < since {
        node.at_most(1)?;
        (node.ints("axes")?.map(<[i64]>::to_vec), false)
    } else {
        node.at_most(2)?;
        let empty = node.flag("noop_with_empty_axes")? == Some(true);
        (node.optional_indices(1)?, empty)
    };
    let keep = node.flag("keepdims")? != Some(false);
    let listed = listed.unwrap_or_default();
    let axes: BTreeSet<usize> = if listed.is_empty() && !none_means_none {
        (0..shape.len()).collect()
    } else {
        node.axes(&listed, shape.len())?
    };
    let target = if keep {
        without(shape, &axes)
    } else {
        let kept = (0..shape.len()).filter(|axis| !axes.contains(axis));
        kept.map(|axis| shape[axis]).collect()
    };
    Ok(Reduction { x, axes, target })
}

fn reduce(
    node: &mut Node,
    writer: &mut Writer,
    since: i64,
    formula: impl Fn(&mut Formula, ValueId, &BTreeSet<usize>) -> Result<ValueId, Error>,
) -> Result<Vec<Value>, Error> {
    let Reduction { x, axes, target } = operand(node, writer, since)?;
    let mut f = Formula::new(node, writer);
    let y = formula(&mut f, x, &axes)?;
    one(Value::Activation(f.reshape(y, target)?))
}

fn total(f: &mut Formula, x: ValueId, axes: &BTreeSet<usize>) -> Result<ValueId, Error> {
    f.sum(x, axes)
}

/// The sum.
pub(crate) fn sum(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    reduce(node, writer, 13, total)
}

/// The largest cell.
pub(crate) fn max(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    let element = node.element(0);
    let Reduction { x, axes, target } = operand(node, writer, 18)?;
    let x = Operand::new(writer, Value::Activation(x), element);
    let (most, mut of_most) = x.maximum(&mut Formula::new(node, writer), &axes)?;
    if of_most == Element::Float {
        of_most = element.unmasked();
    }
    // A mask stays where the axes do.
    if writer.shape(most) != target {
        masked::exact(node, writer, most, of_most)?;
        of_most = of_most.unmasked();
    }
    node.gives(0, of_most);
    one(Value::Activation(writer.reshape(node, most, target)?))
}

/// The smallest cell, `-max(-x)`.
pub(crate) fn min(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    reduce(node, writer, 18, |f, x, axes| {
        let x = f.negated(x)?;
        let y = f.maximum(x, axes)?;
        f.negated(y)
    })
}

/// The sum of the magnitudes.
pub(crate) fn l1(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    reduce(node, writer, 18, |f, x, axes| {
        let x = f.apply(Activation::Abs, x)?;
        f.sum(x, axes)
    })
}

/// The root of the sum of squares.
pub(crate) fn l2(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    floats(node)?;
    reduce(node, writer, 18, |f, x, axes| {
        let squares = f.dot(x, x, axes)?;
        f.apply(Activation::Sqrt, squares)
    })
}

/// The sum of squares.
pub(crate) fn sum_square(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    reduce(node, writer, 18, |f, x, axes| f.dot(x, x, axes))
}

/// Refuses operands that are not real numbers, whose results would be rounded.
fn floats(node: &Node) -> Result<(), Error> {
    match node.element(0) {
        Element::Float => Ok(()),
        other => Err(node.unsupported(format!(
            "it rounds a function of {}s: cast them to float before",
            other.name()
        ))),
    }
}

/// The logarithm of the sum.
pub(crate) fn log_sum(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    floats(node)?;
    reduce(node, writer, 18, |f, x, axes| {
        let sum = f.sum(x, axes)?;
        f.apply(Activation::Log, sum)
    })
}

/// The logarithm of the sum of exponentials.
pub(crate) fn log_sum_exp(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    floats(node)?;
    reduce(node, writer, 18, softmax::log_sum)
}

/// The product: the reduced axes become one, which is cut into blocks whose lengths are the powers of
/// two in its own, and the products of the blocks are multiplied.
pub(crate) fn prod(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    reduce(node, writer, 18, |f, x, axes| {
        let shape = f.shape(x);
        let kept = (0..shape.len()).filter(|axis| !axes.contains(axis));
        let perm: Vec<usize> = kept.chain(axes.iter().copied()).collect();
        let n: usize = axes.iter().map(|&axis| shape[axis]).product();
        let rows = shape.iter().product::<usize>() / n;
        let x = f.transpose(x, perm)?;
        let x = f.reshape(x, vec![rows, n])?;
        f.reserve(n)?;
        let mut product = None;
        let mut from = 0;
        for bit in (0..=n.ilog2()).rev().filter(|bit| n >> bit & 1 == 1) {
            let length = 1 << bit;
            let block = if length == n {
                x
            } else {
                let cells: Vec<usize> = (from..from + length).collect();
                f.select(x, 1, &cells)?
            };
            from += length;
            let block = halved(f, block)?;
            product = Some(match product {
                None => block,
                Some(product) => f.product(product, block)?,
            });
        }
        f.reshape(product.unwrap_or(x), without(&shape, axes))
    })
}

/// The product of the cells of each row, whose number is a power of two: two halves are multiplied
/// until one cell is left.
fn halved(f: &mut Formula, mut x: ValueId) -> Result<ValueId, Error> {
    let shape = f.shape(x);
    let (rows, mut n) = (shape[0], shape[1]);
    while n > 1 {
        n /= 2;
        let halves = f.reshape(x, vec![rows, 2, n])?;
        let (first, second) = (f.select(halves, 1, &[0])?, f.select(halves, 1, &[1])?);
        x = f.product(first, second)?;
        x = f.reshape(x, vec![rows, n])?;
    }
    Ok(x)
}

/// The mean: the axes are brought to the end and pooled globally, as `GlobalAveragePool` does with
/// the spatial axes of `X[N, C, H, W]`.
pub(crate) fn mean(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    floats(node)?;
    let Reduction {
        x,
        axes: reduced,
        target,
    } = operand(node, writer, 18)?;
    let shape = writer.shape(x).to_vec();
    if reduced.is_empty() {
        return one(Value::Activation(x));
    }
    let kept: Vec<usize> = (0..shape.len())
        .filter(|axis| !reduced.contains(axis))
        .collect();
    // Two axes and one or two spatial ones are pooled; anything else is a matrix per axis.
    let spatial = kept == [0, 1] && matches!(reduced.len(), 1 | 2);
    let y = if spatial {
        let windows = pool::global(&shape[2..]);
        let kind = PoolKind::AverageInside;
        writer.add(node, Op::Pool { kind, windows }, &[x])?
    } else {
        Formula::new(node, writer).mean(x, &reduced)?
    };
    one(Value::Activation(writer.reshape(node, y, target)?))
}

/// `Y[i] = sum of X[j]` over `j <= i`, or `j < i`, or from the end.
pub(crate) fn cumulative(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    node.at_most(2)?;
    let x = writer.activation(node, 0)?;
    let shape = writer.shape(x).to_vec();
    let axis = match node.indices(1)?[..] {
        [axis] => node.axis(axis, shape.len())?,
        _ => return Err(node.shape_error("CumSum needs one axis")),
    };
    let exclusive = node.flag("exclusive")? == Some(true);
    let reverse = node.flag("reverse")? == Some(true);
    let n = shape[axis];
    let entries = n.saturating_mul(n);
    Formula::new(node, writer).reserve(entries.div_ceil(2))?;
    let summed = |i: usize, j: usize| {
        let (i, j) = if reverse { (j, i) } else { (i, j) };
        j < i || j == i && !exclusive
    };
    let entry = |i| {
        (0..n)
            .filter(move |&j| summed(i, j))
            .map(move |j| (i as u32, j as u32, 1))
    };
    let matrix = AxisMatrix {
        input: n,
        output: n,
        entries: (0..n).flat_map(entry).collect(),
        divisor: 1,
    };
    let y = Formula::new(node, writer).map(x, axis, matrix)?;
    one(Value::Activation(y))
}
