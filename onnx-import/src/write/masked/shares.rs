//! Softmax and maxima of masked numbers, in which what a closed cell holds appears nowhere.

use std::collections::BTreeSet;

use ndarray::{ArrayD, Axis, IxDyn, arr0};
use zkstrata_model_ir::float::{Activation, ValueId};

use super::{Closed, Operand, array, complement, constants, result};
use crate::Error;
use crate::decode::tensor::{Cells, count};
use crate::scope::value::{Element, Value};
use crate::write::formula::{Formula, without};
use crate::write::shares as softmax;

/// What a row of closed cells becomes in a Softmax.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whole {
    /// Nothing has a share.
    Nothing,
    /// All have the same share: what they hold is as good as equal.
    Equal,
    /// The shares of their numbers: all have the same number added.
    Numbers,
}

impl Operand {
    /// What a Softmax makes of rows that are masked whole.
    fn whole(&self) -> Whole {
        match self.closed.absorbing() {
            Closed::Hold(f32::NEG_INFINITY) => Whole::Nothing,
            Closed::Hold(_) => Whole::Equal,
            Closed::Add(_) => Whole::Numbers,
        }
    }

    /// The shares of a Softmax over `axes`.
    pub(crate) fn shares(self, f: &mut Formula, axes: &BTreeSet<usize>) -> Result<ValueId, Error> {
        let shape = f.writer.shape_of(&self.plain).to_vec();
        let x = self.numbers(f, &shape)?;
        let whole = self.whole();
        match self.open {
            None => softmax::shares(f, x, axes),
            Some(open) => shares(f, x, &open, axes, whole),
        }
    }

    /// The largest open number over `axes`, which stay with length 1; masked where all are closed.
    pub(crate) fn maximum(
        self,
        f: &mut Formula,
        axes: &BTreeSet<usize>,
    ) -> Result<(ValueId, Element), Error> {
        let shape = f.writer.shape_of(&self.plain).to_vec();
        let x = self.numbers(f, &shape)?;
        let Some(open) = self.open else {
            return Ok((f.maximum(x, axes)?, Element::Float));
        };
        let open = along(f, &open, &shape, axes)?;
        let mut centre = Centre::new(f, x, &open, axes)?;
        if opens_every_row(&centre.count) {
            let above = f.maximum(centre.above, axes)?;
            return Ok((f.add(above, centre.mean)?, Element::Float));
        }
        let none = closed_rows(f, &centre.count)?;
        if let Closed::Add(_) = self.closed.absorbing() {
            let open = opened(f, &open, none.clone())?;
            centre = Centre::new(f, x, &open, axes)?;
        }
        let above = f.maximum(centre.above, axes)?;
        let most = f.add(above, centre.mean)?;
        let plain = if self.exact {
            let low = scaled(f, none.clone(), self.closed.low())?;
            Some(f.plus(most, low)?)
        } else {
            None
        };
        let some = complement(f, none)?;
        let shape = without(&shape, axes);
        let (value, element) = result(f, &shape, Some(most), (some, self.closed), plain)?;
        if let (Element::Masked(_), Some(mask)) = (element, f.writer.masks.last_mut()) {
            mask.most_of = self.id;
        }
        Ok((f.writer.lift(f.node, value)?, element))
    }

    /// The logarithms of the shares, masked as the operand is.
    pub(crate) fn log_shares(
        self,
        f: &mut Formula,
        axes: &BTreeSet<usize>,
    ) -> Result<(Value, Element), Error> {
        let shape = f.writer.shape_of(&self.plain).to_vec();
        let x = self.numbers(f, &shape)?;
        let plain = match (&self.plain, self.exact) {
            (Value::Activation(x), true) => Some(softmax::log_shares(f, *x, axes)?),
            _ => None,
        };
        let Some(open) = self.open else {
            let y = softmax::log_shares(f, x, axes)?;
            return Ok((Value::Activation(y), Element::Float));
        };
        let spread = along(f, &open, &shape, axes)?;
        let centre = Centre::new(f, x, &spread, axes)?;
        let most = f.maximum(centre.above, axes)?;
        let below = f.sub(centre.above, most)?;
        let powers = f.apply(Activation::Exp, below)?;
        let powers = f.times(powers, spread)?;
        let sum = f.sum(powers, axes)?;
        let (lo, hi) = (1.0, f32::INFINITY);
        let sum = f.apply(Activation::Clip { lo, hi }, sum)?;
        let log = f.apply(Activation::Log, sum)?;
        let y = f.sub(below, log)?;
        result(
            f,
            &shape,
            Some(y),
            (open, Closed::Hold(self.closed.low())),
            plain,
        )
    }
}

/// The open numbers of each row about a number `c` that is at most the largest of them: their mean
/// `sum o x / max(sum o, 1)`, or one of them where all rows have the same open. `o (x - c)` is 0 where
/// the mask is closed, and its maximum is not negative.
struct Centre {
    mean: ValueId,
    above: ValueId,
    /// `sum o`
    count: Value,
}

impl Centre {
    fn new(
        f: &mut Formula,
        x: ValueId,
        open: &Value,
        axes: &BTreeSet<usize>,
    ) -> Result<Self, Error> {
        let (lo, hi) = (1.0, f32::INFINITY);
        let (mean, count) = match open {
            Value::Constant(o) => {
                let o = o.clone().into_weight()?;
                let mut count = o.clone();
                let first = f.shape(x).len() - o.ndim();
                for axis in axes.iter().filter_map(|axis| axis.checked_sub(first)) {
                    count = count.sum_axis(Axis(axis)).insert_axis(Axis(axis));
                }
                let mean = if let Some((axis, open)) = column(&o, first, axes) {
                    f.select(x, axis, &[open])?
                } else {
                    let share = count.mapv(|n| 1.0 / n.max(1.0));
                    let kept = f.affine_by(x, o, arr0(0.0).into_dyn())?;
                    let sum = f.sum(kept, axes)?;
                    f.affine_by(sum, share, arr0(0.0).into_dyn())?
                };
                (mean, array(count))
            }
            Value::Activation(o) => {
                let sum = sum_of_products(f, x, *o, axes)?;
                let first = f.shape(x).len() - f.shape(*o).len();
                let axes = axes.iter().filter_map(|axis| axis.checked_sub(first));
                let count = f.sum(*o, &axes.collect())?;
                let least = f.apply(Activation::Clip { lo, hi }, count)?;
                let share = f.apply(Activation::Reciprocal, least)?;
                (f.product(sum, share)?, Value::Activation(count))
            }
        };
        let above = f.sub(x, mean)?;
        let above = f.times(above, open.clone())?;
        Ok(Self { mean, above, count })
    }
}

/// The only one of `axes` and a position on it that is open in all rows of a constant mask, whose
/// axes are those from `first` on.
fn column(o: &ArrayD<f32>, first: usize, axes: &BTreeSet<usize>) -> Option<(usize, usize)> {
    let axis = *axes.first().filter(|_| axes.len() == 1)?;
    let own = axis.checked_sub(first)?;
    let open = |i: &usize| o.index_axis(Axis(own), *i).iter().all(|&o| o > 0.0);
    (0..o.shape()[own]).find(open).map(|i| (axis, i))
}

/// `sum x o` over `axes` of `x`, along which `o` is not repeated; they stay with length 1.
fn sum_of_products(
    f: &mut Formula,
    x: ValueId,
    o: ValueId,
    axes: &BTreeSet<usize>,
) -> Result<ValueId, Error> {
    let shape = f.shape(x);
    let all: Vec<usize> = (0..shape.len()).collect();
    let labels = &all[shape.len() - f.shape(o).len()..];
    let kept: Vec<usize> = all
        .iter()
        .copied()
        .filter(|axis| !axes.contains(axis))
        .collect();
    let sum = f.contract((x, &all), (o, labels), &kept)?;
    f.reshape(sum, without(&shape, axes))
}

/// A mask repeated along `axes` of a shape, but not along others.
fn along(
    f: &mut Formula,
    open: &Value,
    shape: &[usize],
    axes: &BTreeSet<usize>,
) -> Result<Value, Error> {
    let own = f.writer.shape_of(open).to_vec();
    let missing = shape.len() - own.len();
    let reaches = axes.first().is_some_and(|&axis| axis < missing);
    let padded = if reaches {
        [vec![1; missing], own].concat()
    } else {
        own
    };
    let first = shape.len() - padded.len();
    let target = padded.iter().enumerate();
    let target: Vec<usize> = target
        .map(|(i, &n)| {
            if axes.contains(&(i + first)) {
                shape[i + first]
            } else {
                n
            }
        })
        .collect();
    match open {
        Value::Activation(open) => Ok(Value::Activation(f.broadcast_to(*open, &target)?)),
        Value::Constant(c) => {
            f.writer.allow(f.node, count(&target))?;
            let weight = c.clone().into_weight()?;
            let spread = weight.broadcast(IxDyn(&target)).map(|a| a.to_owned());
            spread
                .map(array)
                .ok_or_else(|| f.node.shape_error("a mask does not fit what it masks"))
        }
    }
}

/// Whether every row of a constant mask has an open cell.
fn opens_every_row(count: &Value) -> bool {
    let Value::Constant(c) = count else {
        return false;
    };
    matches!(c.tensor.cells(), Cells::Float(cells) if cells.iter().all(|&n| n >= 1.0))
}

/// The shares of the open cells, `p / sum p` with `p = o exp(t - max t)` and `t` the numbers about
/// the mean of the open ones, so that what a closed cell holds appears nowhere.
pub(crate) fn shares(
    f: &mut Formula,
    x: ValueId,
    open: &Value,
    axes: &BTreeSet<usize>,
    whole: Whole,
) -> Result<ValueId, Error> {
    let shape = f.shape(x);
    let mut open = along(f, open, &shape, axes)?;
    let mut centre = Centre::new(f, x, &open, axes)?;
    let complete = opens_every_row(&centre.count);
    if !complete && whole != Whole::Nothing {
        let none = closed_rows(f, &centre.count)?;
        open = opened(f, &open, none)?;
        if whole == Whole::Numbers {
            centre = Centre::new(f, x, &open, axes)?;
        }
    }
    let most = f.maximum(centre.above, axes)?;
    let below = f.sub(centre.above, most)?;
    let powers = f.apply(Activation::Exp, below)?;
    let powers = f.times(powers, open)?;
    let sum = f.sum(powers, axes)?;
    // The sum is at least 1 unless nothing is open, and then the shares are to be 0.
    let sum = if complete || whole != Whole::Nothing {
        sum
    } else {
        let (lo, hi) = (1.0, f32::INFINITY);
        f.apply(Activation::Clip { lo, hi }, sum)?
    };
    let factor = f.apply(Activation::Reciprocal, sum)?;
    f.product(powers, factor)
}

/// 1 for the rows that are closed whole, given the number of open cells of each row.
fn closed_rows(f: &mut Formula, count: &Value) -> Result<Value, Error> {
    Ok(match count {
        Value::Constant(c) => array(c.clone().into_weight()?.mapv(|n| f32::from(n < 1.0))),
        Value::Activation(n) => {
            let (lo, hi) = (0.0, 1.0);
            let any = f.apply(Activation::Clip { lo, hi }, *n)?;
            Value::Activation(f.affine(any, -1.0, 1.0)?)
        }
    })
}

/// A mask in which some rows that were closed whole are open.
pub(super) fn opened(f: &mut Formula, open: &Value, rows: Value) -> Result<Value, Error> {
    match (open, rows) {
        (Value::Constant(o), Value::Constant(rows)) => constants(f, o.clone(), rows, |a, b| a + b),
        (Value::Activation(o), rows) => Ok(Value::Activation(f.plus(*o, rows)?)),
        (o, Value::Activation(rows)) => Ok(Value::Activation(f.plus(rows, o.clone())?)),
    }
}

/// `factor x`
fn scaled(f: &mut Formula, x: Value, factor: f32) -> Result<Value, Error> {
    Ok(match x {
        Value::Constant(c) => array(c.into_weight()?.mapv(|x| factor * x)),
        Value::Activation(x) => Value::Activation(f.affine(x, factor, 0.0)?),
    })
}
