//! Masks: real numbers of which some are so low that their exponential is 0, negative infinity or
//! a number that stands for it.
//!
//! A *masked* value has the numbers `x` where its mask is *open*, `o = 1`, and a low number
//! elsewhere, `o = 0`. It arises where such a constant meets an activation: `x + c`,
//! `c ? x : -1e9`, `(1 - m) -1e4`. Softmax, comparisons and the like read `x` and `o`, so that the
//! low number takes part in no arithmetic; operators that move cells move both; an elementwise
//! function has its value at the low number where the mask is closed. What knows nothing of masks
//! reads the numbers as ONNX has them, unless they are beyond all arithmetic: that is refused.

use std::collections::BTreeSet;

use ndarray::{ArrayD, Axis, IxDyn, arr0};
use zkstrata_model_ir::float::{Activation, AxisMap, Node as Made, Op, ValueId};

use super::arithmetic::{broadcast, folded};
use super::formula::{Formula, without};
use super::pair;
use crate::Error;
use crate::import::Importer;
use crate::masks::{Mask, beyond};
use crate::node::Node;
use crate::tensor::{Cells, Tensor, count};
use crate::value::{Constant, Element, Value};

/// Cells at most this may be masked.
pub(crate) const LOW: f32 = -9e3;
/// Beside numbers that are not 0, masked cells are at most this: a number less is lost in it.
const FAR: f32 = -1e8;
/// No arithmetic is done with numbers at most this.
pub(crate) const BEYOND: f32 = -1e30;

/// An operand, masked or not.
#[derive(Clone)]
pub(super) struct Operand {
    /// The activation or constant itself.
    plain: Value,
    /// Its numbers where it is open; `None` if they are 0.
    finite: Option<Value>,
    /// Which cells are open; `None` if all are.
    open: Option<Value>,
    fill: f32,
    exact: bool,
}

impl Operand {
    /// An operand that an operator has taken.
    pub(super) fn new(importer: &Importer, value: Value, element: Element) -> Self {
        match (&value, element) {
            (Value::Activation(_), Element::Masked(id)) => {
                let mask = importer.mask(id).clone();
                Self {
                    plain: value,
                    finite: mask.finite.map(Value::Activation),
                    open: Some(mask.open),
                    fill: mask.fill,
                    exact: mask.exact,
                }
            }
            (Value::Constant(constant), Element::Float) => {
                let split = split(constant);
                split.unwrap_or_else(|| Self::unmasked(value))
            }
            _ => Self::unmasked(value),
        }
    }

    fn unmasked(value: Value) -> Self {
        Self {
            finite: Some(value.clone()),
            plain: value,
            open: None,
            fill: 0.0,
            exact: true,
        }
    }

    /// A constant all of whose cells are one low number: masked whole.
    fn hidden(value: &Value) -> Option<f32> {
        let Value::Constant(constant) = value else {
            return None;
        };
        let Cells::Float(cells) = constant.tensor.cells() else {
            return None;
        };
        let first = *cells.first().filter(|&&x| x <= LOW)?;
        cells
            .iter()
            .all(|&x| x.total_cmp(&first).is_eq())
            .then_some(first)
    }

    /// Whether some cells are masked.
    pub(super) fn is_masked(&self) -> bool {
        self.open.is_some()
    }

    /// The value without its mask.
    pub(super) fn into_plain(self) -> Value {
        self.plain
    }

    /// The numbers of the open cells, and which those are.
    pub(super) fn into_parts(self) -> (Option<Value>, Option<Value>) {
        (self.finite, self.open)
    }

    /// The numbers of the open cells, of a given shape.
    fn numbers(&self, f: &mut Formula, shape: &[usize]) -> Result<ValueId, Error> {
        let zero = || Tensor::new(vec![], Cells::Float(vec![0.0]));
        let finite = self.finite.clone().unwrap_or_else(|| folded(zero()));
        let finite = f.importer.lift(f.node, finite)?;
        f.broadcast_to(finite, shape)
    }
}

/// Splits a constant some of whose cells are masks.
fn split(constant: &Constant) -> Option<Operand> {
    let Cells::Float(cells) = constant.tensor.cells() else {
        return None;
    };
    let lowest = cells
        .iter()
        .copied()
        .filter(|x| *x <= LOW)
        .min_by(f32::total_cmp)?;
    let fill = cells
        .iter()
        .copied()
        .filter(|x| *x <= LOW)
        .max_by(f32::total_cmp)?;
    let mut others = cells.iter().filter(|x| **x > LOW);
    let zeros = others.clone().all(|&x| x == 0.0);
    let mask =
        lowest <= BEYOND || others.next().is_some() && (lowest <= FAR || zeros && lowest >= fill);
    if !mask {
        return None;
    }
    let tensor = |cell: &dyn Fn(f32) -> f32| {
        let cells = cells.iter().map(|&x| cell(x)).collect();
        let tensor = Tensor::new(constant.tensor.shape().to_vec(), Cells::Float(cells));
        Value::Constant(Constant::new(&constant.name, tensor))
    };
    Some(Operand {
        plain: Value::Constant(constant.clone()),
        finite: (!zeros).then(|| tensor(&|x| if x > LOW { x } else { 0.0 })),
        open: Some(tensor(&|x| f32::from(x > LOW))),
        fill,
        exact: lowest > BEYOND,
    })
}

/// A masked activation. `finite` and `open` broadcast to `shape`; `plain` makes ONNX's numbers if
/// `exact`.
fn result(
    f: &mut Formula,
    shape: &[usize],
    finite: Option<ValueId>,
    (open, fill): (Value, f32),
    plain: Option<ValueId>,
) -> Result<(Value, Element), Error> {
    let exact = plain.is_some();
    let plain = match (plain, finite) {
        (Some(plain), _) => plain,
        (None, Some(finite)) => f.broadcast_to(finite, shape)?,
        (None, None) => {
            let open = f.importer.lift(f.node, open.clone())?;
            f.broadcast_to(open, shape)?
        }
    };
    let mask = Mask {
        finite,
        open,
        fill,
        exact,
    };
    let element = Element::Masked(f.importer.add_mask(mask));
    Ok((Value::Activation(plain), element))
}

/// Tells the user that cells are masked.
fn note(f: &mut Formula, fill: f32) {
    let text = format!(
        "node `{}`: cells that {fill:e} masks have no share in a Softmax, however low the others \
         are",
        f.node.name()
    );
    f.importer.note(text);
}

/// What is open in both; the values broadcast.
pub(super) fn both(
    f: &mut Formula,
    a: Option<Value>,
    b: Option<Value>,
) -> Result<Option<Value>, Error> {
    Ok(match (a, b) {
        (None, other) | (other, None) => other,
        (Some(Value::Constant(a)), Some(Value::Constant(b))) => {
            Some(constants(f, a, b, |a, b| a * b)?)
        }
        (Some(Value::Activation(a)), Some(b)) | (Some(b), Some(Value::Activation(a))) => {
            Some(Value::Activation(f.times(a, b)?))
        }
    })
}

/// An elementwise operator of two constants.
fn constants(
    f: &mut Formula,
    a: Constant,
    b: Constant,
    float: impl Fn(f32, f32) -> f32,
) -> Result<Value, Error> {
    let folded = pair::fold(f.node, f.importer, a, b, float, |_, _| None)?;
    let first = folded.into_iter().next();
    first.ok_or_else(|| f.node.shape_error("an operator of constants gives nothing"))
}

/// `1 - o`
fn closed(f: &mut Formula, open: Value) -> Result<Value, Error> {
    match open {
        Value::Activation(open) => Ok(Value::Activation(f.affine(open, -1.0, 1.0)?)),
        Value::Constant(open) => {
            let one = Constant::new("", Tensor::new(vec![], Cells::Float(vec![1.0])));
            constants(f, one, open, |a, b| a - b)
        }
    }
}

/// `a + b` where one of them is masked.
pub(super) fn sum(f: &mut Formula, a: Operand, b: Operand) -> Result<(Value, Element), Error> {
    let (x, y) = (f.importer.shape_of(&a.plain), f.importer.shape_of(&b.plain));
    let shape = broadcast(f.node, x, y)?;
    let fill = a.fill.min(b.fill);
    if is_constant(&a.plain) || is_constant(&b.plain) {
        note(f, fill);
    }
    let joined = |f: &mut Formula, x: Value, y: Value| match (x, y) {
        (Value::Activation(x), y) | (y, Value::Activation(x)) => f.plus(x, y),
        (x, y) => {
            let x = f.importer.lift(f.node, x)?;
            f.plus(x, y)
        }
    };
    let finite = match (a.finite, b.finite) {
        (Some(x), Some(y)) => Some(joined(f, x, y)?),
        (Some(x), None) | (None, Some(x)) => Some(f.importer.lift(f.node, x)?),
        (None, None) => None,
    };
    let plain = match a.exact && b.exact {
        true => Some(joined(f, a.plain, b.plain)?),
        false => None,
    };
    let open = both(f, a.open, b.open)?;
    let open = open.ok_or_else(|| f.node.shape_error("neither of its operands is masked"))?;
    result(f, &shape, finite, (open, fill), plain)
}

/// `a - y` for a masked `a`.
pub(super) fn difference(
    f: &mut Formula,
    a: Operand,
    y: ValueId,
) -> Result<(Value, Element), Error> {
    let shape = broadcast(f.node, f.importer.shape_of(&a.plain), f.importer.shape(y))?;
    let finite = match a.finite {
        None => f.negated(y)?,
        Some(x) => {
            let x = f.importer.lift(f.node, x)?;
            f.sub(x, y)?
        }
    };
    let plain = match (a.plain, a.exact) {
        (Value::Activation(x), true) => Some(f.sub(x, y)?),
        _ => None,
    };
    let open = a
        .open
        .ok_or_else(|| f.node.shape_error("its operand is not masked"))?;
    result(f, &shape, Some(finite), (open, a.fill), plain)
}

/// An operand of an operator that computes with what masked cells hold.
pub(super) fn exact(
    node: &Node,
    importer: &Importer,
    x: ValueId,
    element: Element,
) -> Result<ValueId, Error> {
    match element {
        Element::Masked(id) if !importer.mask(id).exact => {
            Err(node.unsupported(beyond(importer.mask(id).fill)))
        }
        _ => Ok(x),
    }
}

/// A constant with its signs changed.
pub(super) fn negated(c: &Constant) -> Value {
    let shape = c.tensor.shape().to_vec();
    let cells = match c.tensor.cells() {
        Cells::Float(cells) => Cells::Float(cells.iter().map(|x| -x).collect()),
        Cells::Int(cells) => Cells::Int(cells.iter().map(|x| x.wrapping_neg()).collect()),
        Cells::Bool(cells) => Cells::Bool(cells.clone()),
    };
    Value::Constant(Constant::new(&c.name, Tensor::new(shape, cells)))
}

/// `x` with a low number around it, or some of its cells left out where amounts are negative.
pub(super) fn padded(
    f: &mut Formula,
    x: ValueId,
    pads: Vec<(i64, i64)>,
    fill: f32,
) -> Result<(Value, Element), Error> {
    let zeros = Op::Pad {
        pads: pads.clone(),
        value: 0.0,
    };
    let finite = f.put(zeros, &[x])?;
    let shape = f.shape(finite);
    let axis = |(&n, &(before, after)): (&usize, &(i64, i64))| match (before, after) {
        (..=0, ..=0) => 1,
        _ => n,
    };
    let own: Vec<usize> = shape.iter().zip(&pads).map(axis).collect();
    f.importer.allow(f.node, count(&own))?;
    let inside = ArrayD::from_shape_fn(IxDyn(&own), |at| {
        let axes = own.iter().zip(&pads).enumerate();
        let mut axes = axes.filter(|(_, (n, _))| **n > 1);
        f32::from(axes.all(|(axis, (&n, &(before, after)))| {
            let i = at[axis] as i64;
            i >= before && i < n as i64 - after
        }))
    });
    let plain = match fill > BEYOND {
        true => Some(f.put(Op::Pad { pads, value: fill }, &[x])?),
        false => None,
    };
    result(f, &shape, Some(finite), (array(inside), fill), plain)
}

/// The numbers of the open cells and how far they are from the ends of each axis, if they are all
/// cells of a box, known at import.
pub(super) fn open_box(
    f: &mut Formula,
    x: ValueId,
    element: Element,
) -> Result<Option<(ValueId, Vec<(usize, usize)>)>, Error> {
    let Element::Masked(id) = element else {
        return Ok(None);
    };
    let mask = f.importer.mask(id).clone();
    let shape = f.shape(x);
    let operand = Operand::new(f.importer, Value::Activation(x), element);
    let ends = match f.spread(mask.open, &shape)? {
        Value::Constant(open) => box_of(&open, &shape),
        Value::Activation(_) => None,
    };
    match ends {
        Some(ends) => Ok(Some((operand.numbers(f, &shape)?, ends))),
        None if mask.exact => Ok(None),
        None => Err(f.node.unsupported(beyond(mask.fill))),
    }
}

/// How far the ends of a box of ones in a tensor of zeros are from the ends of each axis.
fn box_of(open: &Constant, shape: &[usize]) -> Option<Vec<(usize, usize)>> {
    let Cells::Float(cells) = open.tensor.cells() else {
        return None;
    };
    let cells = ArrayD::from_shape_vec(IxDyn(shape), cells.clone()).ok()?;
    let mut ends = Vec::with_capacity(shape.len());
    for (axis, &n) in shape.iter().enumerate() {
        let any = |i: usize| cells.index_axis(Axis(axis), i).iter().any(|&o| o > 0.0);
        let first = (0..n).find(|&i| any(i))?;
        let last = (0..n).rev().find(|&i| any(i))?;
        ends.push((first, n - 1 - last));
    }
    let inside = shape.iter().zip(&ends).map(|(n, (a, b))| n - a - b);
    let ones = cells.iter().filter(|&&o| o > 0.0).count();
    (inside.product::<usize>() == ones).then_some(ends)
}

/// `m c` for a low number `c` and an activation `m`: a mask that is open where `m` is 0, if `m` is
/// known to be an integer, or if `c` is beyond all arithmetic.
pub(super) fn scaled(
    f: &mut Formula,
    m: ValueId,
    factor: &Value,
    product: impl FnOnce(&mut Formula) -> Result<ValueId, Error>,
) -> Result<Option<(Value, Element)>, Error> {
    let Some(fill) = Operand::hidden(factor).filter(|c| c.is_finite()) else {
        return Ok(None);
    };
    let single = f.importer.shape_of(factor).iter().product::<usize>() == 1;
    if !single || !(fill <= BEYOND || whole(f.importer.builder.nodes(), m)) {
        return Ok(None);
    }
    note(f, fill);
    let shape = broadcast(f.node, f.importer.shape(m), f.importer.shape_of(factor))?;
    let below = f.affine(m, -1.0, 0.5)?;
    let open = Value::Activation(f.apply(Activation::Step, below)?);
    let plain = match fill > BEYOND {
        true => Some(product(f)?),
        false => None,
    };
    result(f, &shape, None, (open, fill), plain).map(Some)
}

/// `c ? a : b` if one of `a` and `b` is masked; `plainly` writes it without masks.
pub(super) fn chosen(
    f: &mut Formula,
    c: &Value,
    [(a, of_a), (b, of_b)]: [(Value, Element); 2],
    plainly: impl Fn(&mut Formula, Value, Value, Value) -> Result<Value, Error>,
) -> Result<Option<(Value, Element)>, Error> {
    if matches!((&a, &b), (Value::Constant(_), Value::Constant(_))) && is_constant(c) {
        return Ok(None);
    }
    let hidden = [Operand::hidden(&a), Operand::hidden(&b)];
    let operands = [(&a, of_a), (&b, of_b)]
        .map(|(value, element)| Operand::new(f.importer, value.clone(), element));
    let masked = (0..2).any(|i| hidden[i].is_some() || operands[i].is_masked());
    if !masked || hidden.iter().all(Option::is_some) {
        return Ok(None);
    }
    let ab = broadcast(f.node, f.importer.shape_of(&a), f.importer.shape_of(&b))?;
    let shape = broadcast(f.node, f.importer.shape_of(c), &ab)?;
    let fills =
        (0..2).filter_map(|i| hidden[i].or(operands[i].open.as_ref().map(|_| operands[i].fill)));
    let fill = fills.fold(f32::INFINITY, f32::min);
    if hidden.iter().any(Option::is_some) {
        note(f, fill);
    }
    let exact = (0..2).all(|i| hidden[i].is_none_or(|fill| fill > BEYOND) && operands[i].exact);
    let [x, y] = operands;
    // Where the chosen one is masked whole, the numbers of the other do.
    let finite = match hidden {
        [Some(_), _] => y.finite,
        [_, Some(_)] => x.finite,
        _ => match (x.finite, y.finite) {
            (None, None) => None,
            (x, y) => {
                let zero = || folded(Tensor::new(vec![], Cells::Float(vec![0.0])));
                let (x, y) = (x.unwrap_or_else(zero), y.unwrap_or_else(zero));
                Some(plainly(f, c.clone(), x, y)?)
            }
        },
    };
    let finite = match finite {
        None => None,
        Some(finite) => zeroes(&finite)
            .then_some(())
            .map_or_else(|| f.importer.lift(f.node, finite).map(Some), |()| Ok(None))?,
    };
    let condition = number(c);
    let open = match hidden {
        [Some(_), _] => {
            let other = closed(f, condition)?;
            both(f, Some(other), y.open)?
        }
        [_, Some(_)] => both(f, Some(condition), x.open)?,
        _ => {
            let one = || folded(Tensor::new(vec![], Cells::Float(vec![1.0])));
            let (x, y) = (x.open.unwrap_or_else(one), y.open.unwrap_or_else(one));
            Some(plainly(f, c.clone(), x, y)?)
        }
    };
    let open = open.ok_or_else(|| f.node.shape_error("neither of its operands is masked"))?;
    let plain = match exact {
        true => Some(plainly(f, c.clone(), a, b)?),
        false => None,
    };
    let plain = plain
        .map(|plain| f.importer.lift(f.node, plain))
        .transpose()?;
    result(f, &shape, finite, (open, fill), plain).map(Some)
}

fn is_constant(value: &Value) -> bool {
    matches!(value, Value::Constant(_))
}

/// Whether a constant is 0 everywhere.
fn zeroes(value: &Value) -> bool {
    let Value::Constant(c) = value else {
        return false;
    };
    matches!(c.tensor.cells(), Cells::Float(cells) if cells.iter().all(|&x| x == 0.0))
}

/// Truth values as numbers.
pub(super) fn number(c: &Value) -> Value {
    match c {
        Value::Activation(c) => Value::Activation(*c),
        Value::Constant(c) => match c.tensor.cells() {
            Cells::Bool(cells) => {
                let cells = cells.iter().map(|&b| f32::from(b)).collect();
                folded(Tensor::new(c.tensor.shape().to_vec(), Cells::Float(cells)))
            }
            _ => Value::Constant(c.clone()),
        },
    }
}

/// `o y + (1 - o) g`: the cells of `y` where a mask is open, and `g` elsewhere.
pub(crate) fn blend(f: &mut Formula, open: &Value, y: ValueId, g: f32) -> Result<ValueId, Error> {
    let y = f.affine(y, 1.0, -g)?;
    let y = f.times(y, open.clone())?;
    f.affine(y, 1.0, g)
}

/// What a row of closed cells becomes in a Softmax.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whole {
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
        match self.fill {
            f32::NEG_INFINITY => Whole::Nothing,
            ..=FAR => Whole::Equal,
            _ => Whole::Numbers,
        }
    }

    /// The shares of a Softmax over `axes`.
    pub(super) fn shares(self, f: &mut Formula, axes: &BTreeSet<usize>) -> Result<ValueId, Error> {
        let shape = f.importer.shape_of(&self.plain).to_vec();
        let x = self.numbers(f, &shape)?;
        let whole = self.whole();
        match self.open {
            None => super::softmax::shares(f, x, axes),
            Some(open) => shares(f, x, &open, axes, whole),
        }
    }

    /// The largest open number over `axes`, which stay with length 1.
    pub(super) fn maximum(self, f: &mut Formula, axes: &BTreeSet<usize>) -> Result<ValueId, Error> {
        let shape = f.importer.shape_of(&self.plain).to_vec();
        let x = self.numbers(f, &shape)?;
        let Some(open) = self.open else {
            return f.maximum(x, axes);
        };
        let open = along(f, &open, &shape, axes)?;
        let centre = Centre::new(f, x, &open, axes)?;
        let above = f.maximum(centre.above, axes)?;
        f.add(above, centre.mean)
    }

    /// The logarithms of the shares, masked as the operand is.
    pub(super) fn log_shares(
        self,
        f: &mut Formula,
        axes: &BTreeSet<usize>,
    ) -> Result<(Value, Element), Error> {
        let shape = f.importer.shape_of(&self.plain).to_vec();
        let x = self.numbers(f, &shape)?;
        let plain = match (&self.plain, self.exact) {
            (Value::Activation(x), true) => Some(super::softmax::log_shares(f, *x, axes)?),
            _ => None,
        };
        let Some(open) = self.open else {
            let y = super::softmax::log_shares(f, x, axes)?;
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
        result(f, &shape, Some(y), (open, self.fill), plain)
    }
}

/// The open numbers of each row about their mean, `o (x - c)` with `c = sum o x / max(sum o, 1)`:
/// 0 where the mask is closed, and their maximum is not negative.
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
                let share = count.mapv(|n| 1.0 / n.max(1.0));
                let kept = f.affine_by(x, o, arr0(0.0).into_dyn())?;
                let sum = f.sum(kept, axes)?;
                let mean = f.affine_by(sum, share, arr0(0.0).into_dyn())?;
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

/// A constant of numbers.
pub(super) fn array(cells: ArrayD<f32>) -> Value {
    let shape = cells.shape().to_vec();
    folded(Tensor::new(
        shape,
        Cells::Float(cells.into_iter().collect()),
    ))
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
    let own = f.importer.shape_of(open).to_vec();
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
            f.importer.allow(f.node, count(&target))?;
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
pub(super) fn shares(
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
        open = with_closed_rows(f, &open, &centre.count)?;
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

/// A mask that opens the rows that are closed whole, given the number of open cells of each row.
fn with_closed_rows(f: &mut Formula, open: &Value, count: &Value) -> Result<Value, Error> {
    let (lo, hi) = (0.0, 1.0);
    let none = match count {
        Value::Constant(c) => array(c.clone().into_weight()?.mapv(|n| f32::from(n < 1.0))),
        Value::Activation(n) => {
            let any = f.apply(Activation::Clip { lo, hi }, *n)?;
            Value::Activation(f.affine(any, -1.0, 1.0)?)
        }
    };
    match (open, none) {
        (Value::Constant(o), Value::Constant(none)) => constants(f, o.clone(), none, |a, b| a + b),
        (Value::Activation(o), none) => Ok(Value::Activation(f.plus(*o, none)?)),
        (o, Value::Activation(none)) => Ok(Value::Activation(f.plus(none, o.clone())?)),
    }
}

/// Whether an activation is known to be whole: by the operators that lead to it, up to a few.
fn whole(made: &[Made], x: ValueId) -> bool {
    let mut left = 64_usize;
    let mut open = vec![x];
    while let Some(x) = open.pop() {
        let Some(rest) = left.checked_sub(1) else {
            return false;
        };
        left = rest;
        let node = &made[x.0];
        let integers = |a: &ArrayD<f32>| a.iter().all(|x| x.fract() == 0.0);
        let known = match &node.op {
            Op::Input { integral } => *integral,
            Op::Constant { value } => integers(value),
            Op::Affine { scale, shift } => integers(scale) && integers(shift),
            Op::Activation(f) => f.is_integral() || matches!(f, Activation::Relu | Activation::Abs),
            Op::Map(axes) => axes.iter().all(|axis| match axis {
                AxisMap::Keep => true,
                AxisMap::Matrix(matrix) => matrix.selects(),
            }),
            Op::Pad { value, .. } => value.fract() == 0.0,
            Op::Add
            | Op::Sub
            | Op::Max
            | Op::Maximum { .. }
            | Op::Contract(_)
            | Op::Reshape { .. }
            | Op::Transpose { .. }
            | Op::Concat { .. }
            | Op::Take { .. } => true,
            Op::Dense { .. } | Op::Conv { .. } | Op::Pool { .. } => false,
        };
        let rounds = matches!(&node.op, Op::Activation(f) if f.is_integral());
        if !known {
            return false;
        }
        if !rounds {
            open.extend(&node.inputs);
        }
    }
    true
}
