//! Where masks arise and meet: sums, products with low numbers, choices, padding, concatenation.

use ndarray::{ArrayD, IxDyn};
use zkstrata_model_ir::float::{Activation, Op, ValueId};

use super::shares::opened;
use super::{BEYOND, Closed, FAR, Operand, array, beyond, both, complement, number, result};
use crate::Error;
use crate::decode::tensor::{Cells, Tensor, count};
use crate::scope::value::{Constant, Element, Value};
use crate::write::broadcast::{broadcast, folded};
use crate::write::formula::Formula;
use crate::write::layout;

/// Tells the user that cells are masked.
fn note(f: &mut Formula, fill: f32) {
    let text = format!(
        "node `{}`: cells that {fill:e} masks have no share in a Softmax, however low the others \
         are; where several masks leave a row nothing, its shares are not defined",
        f.node.name()
    );
    f.writer.note(text);
}

/// `a + b` where one of them is masked.
pub(crate) fn sum(f: &mut Formula, a: Operand, b: Operand) -> Result<(Value, Element), Error> {
    let (x, y) = (f.writer.shape_of(&a.plain), f.writer.shape_of(&b.plain));
    let shape = broadcast(f.node, x, y)?;
    let fill = match (&a.open, &b.open) {
        (None, _) => b.closed,
        (_, None) => a.closed,
        _ => a.closed.or(b.closed),
    };
    if is_constant(&a.plain) || is_constant(&b.plain) {
        note(f, fill.low());
    }
    let joined = |f: &mut Formula, x: Value, y: Value| match (x, y) {
        (Value::Activation(x), y) | (y, Value::Activation(x)) => f.plus(x, y),
        (x, y) => {
            let x = f.writer.lift(f.node, x)?;
            f.plus(x, y)
        }
    };
    let finite = match (a.finite, b.finite) {
        (Some(x), Some(y)) => Some(joined(f, x, y)?),
        (Some(x), None) | (None, Some(x)) => Some(f.writer.lift(f.node, x)?),
        (None, None) => None,
    };
    let plain = if a.exact && b.exact {
        Some(joined(f, a.plain, b.plain)?)
    } else {
        None
    };
    let open = both(f, a.open, b.open)?;
    let open = open.ok_or_else(|| f.node.shape_error("neither of its operands is masked"))?;
    result(f, &shape, finite, (open, fill), plain)
}

/// `a - b` where one of them is masked.
pub(crate) fn difference(
    f: &mut Formula,
    a: Operand,
    b: Operand,
) -> Result<(Value, Element), Error> {
    if b.most_of.is_some() && b.most_of == a.id {
        return below_maximum(f, a, b);
    }
    if !b.exact {
        return Err(f.node.unsupported(beyond(b.closed.low())));
    }
    let y = f.writer.lift(f.node, b.plain)?;
    let shape = broadcast(f.node, f.writer.shape_of(&a.plain), f.writer.shape(y))?;
    let minus = |f: &mut Formula, x: Option<Value>| match x {
        None => f.negated(y),
        Some(x) => {
            let x = f.writer.lift(f.node, x)?;
            f.sub(x, y)
        }
    };
    let plain = if a.exact {
        Some(minus(f, Some(a.plain))?)
    } else {
        None
    };
    let Some(open) = a.open else {
        let plain = plain.ok_or_else(|| f.node.shape_error("its operand is not masked"))?;
        return Ok((Value::Activation(plain), Element::Float));
    };
    let finite = minus(f, a.finite)?;
    result(f, &shape, Some(finite), (open, a.closed), plain)
}

/// `a - b` for the maximum `b` of rows of `a`. A row that is closed whole becomes open: what its
/// cells hold is equal, or the same number is added to all, unless that is infinite.
fn below_maximum(f: &mut Formula, a: Operand, b: Operand) -> Result<(Value, Element), Error> {
    let shape = f.writer.shape_of(&a.plain).to_vec();
    let low = a.closed.low();
    let most = b.numbers(f, f.writer.shape_of(&b.plain).to_vec().as_slice())?;
    let x = a.numbers(f, &shape)?;
    let below = f.sub(x, most)?;
    let plain = match (&a.plain, &b.plain) {
        (Value::Activation(x), Value::Activation(y)) if a.exact && b.exact => Some(f.sub(*x, *y)?),
        _ => None,
    };
    let (Some(open), Some(some)) = (a.open, b.open) else {
        return Err(f.node.shape_error("its operands are not masked"));
    };
    if low == f32::NEG_INFINITY {
        return result(f, &shape, Some(below), (open, a.closed), plain);
    }
    let below = match a.closed.absorbing() {
        Closed::Hold(_) => f.times(below, some.clone())?,
        Closed::Add(_) => below,
    };
    let none = complement(f, some)?;
    let open = opened(f, &open, none)?;
    result(f, &shape, Some(below), (open, Closed::Hold(low)), plain)
}

/// A constant with its signs changed.
pub(crate) fn negated(c: &Constant) -> Value {
    let shape = c.tensor.shape().to_vec();
    let cells = match c.tensor.cells() {
        Cells::Float(cells) => Cells::Float(cells.iter().map(|x| -x).collect()),
        Cells::Int(cells) => Cells::Int(cells.iter().map(|x| x.wrapping_neg()).collect()),
        Cells::Bool(cells) => Cells::Bool(cells.clone()),
    };
    Value::Constant(Constant::new(&c.name, Tensor::new(shape, cells)))
}

/// `x` with a low number around it, or some of its cells left out where amounts are negative.
pub(crate) fn padded(
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
    f.writer.allow(f.node, count(&own))?;
    let inside = ArrayD::from_shape_fn(IxDyn(&own), |at| {
        let axes = own.iter().zip(&pads).enumerate();
        let mut axes = axes.filter(|(_, (_, (before, after)))| *before > 0 || *after > 0);
        f32::from(axes.all(|(axis, (&n, &(before, after)))| {
            let i = at[axis] as i64;
            i >= before && i < n as i64 - after
        }))
    });
    let plain = if fill > BEYOND {
        Some(f.put(Op::Pad { pads, value: fill }, &[x])?)
    } else {
        None
    };
    result(
        f,
        &shape,
        Some(finite),
        (array(inside), Closed::Hold(fill)),
        plain,
    )
}

/// `m c` for a number `c` so low that `m` is taken for 0 or 1: a mask that is open where `m` is 0. A
/// larger `c` is a factor like any other, since `m` may be any number.
pub(crate) fn scaled(
    f: &mut Formula,
    m: ValueId,
    factor: &Value,
    product: impl FnOnce(&mut Formula) -> Result<ValueId, Error>,
) -> Result<Option<(Value, Element)>, Error> {
    let Some(fill) = Operand::hidden(factor).filter(|c| c.is_finite()) else {
        return Ok(None);
    };
    let single = f.writer.shape_of(factor).iter().product::<usize>() == 1;
    if !single || fill > FAR {
        return Ok(None);
    }
    note(f, fill);
    let shape = broadcast(f.node, f.writer.shape(m), f.writer.shape_of(factor))?;
    let below = f.affine(m, -1.0, 0.5)?;
    let open = Value::Activation(f.apply(Activation::Step, below)?);
    let plain = if fill > BEYOND {
        Some(product(f)?)
    } else {
        None
    };
    result(f, &shape, None, (open, Closed::Add(fill)), plain).map(Some)
}

/// `c ? a : b` if one of `a` and `b` is masked; `plainly` writes it without masks.
pub(crate) fn chosen(
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
        .map(|(value, element)| Operand::new(f.writer, value.clone(), element));
    let masked = (0..2).any(|i| hidden[i].is_some() || operands[i].is_masked());
    if !masked || hidden.iter().all(Option::is_some) {
        return Ok(None);
    }
    let ab = broadcast(f.node, f.writer.shape_of(&a), f.writer.shape_of(&b))?;
    let shape = broadcast(f.node, f.writer.shape_of(c), &ab)?;
    let low = |i: usize| match (hidden[i], &operands[i].open) {
        (Some(low), _) => Some(Closed::Hold(low)),
        (None, Some(_)) => Some(operands[i].closed),
        (None, None) => None,
    };
    let lows = [low(0), low(1)].into_iter().flatten();
    let closed = lows.reduce(Closed::or).unwrap_or(Closed::Add(0.0));
    if hidden.iter().any(Option::is_some) {
        note(f, closed.low());
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
            .map_or_else(|| f.writer.lift(f.node, finite).map(Some), |()| Ok(None))?,
    };
    let condition = number(c);
    let open = match hidden {
        [Some(_), _] => {
            let other = complement(f, condition)?;
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
    let plain = if exact {
        Some(plainly(f, c.clone(), a, b)?)
    } else {
        None
    };
    let plain = plain
        .map(|plain| f.writer.lift(f.node, plain))
        .transpose()?;
    // Where the numbers are 0, holding and adding are one.
    let closed = finite.map_or(Closed::Add(closed.low()), |_| closed);
    result(f, &shape, finite, (open, closed), plain).map(Some)
}

fn is_constant(value: &Value) -> bool {
    matches!(value, Value::Constant(_))
}

/// Values one behind the other, of which some are masked.
pub(crate) fn concatenated(
    f: &mut Formula,
    parts: Vec<(Value, Element)>,
    axis: usize,
) -> Result<(Value, Element), Error> {
    let (mut plain, mut finite, mut open) = (vec![], vec![], vec![]);
    let (mut closed, mut exact): (Option<Closed>, bool) = (None, true);
    for (value, element) in parts {
        let shape = f.writer.shape_of(&value).to_vec();
        let operand = Operand::new(f.writer, value.clone(), element);
        if operand.is_masked() {
            closed = Some(closed.map_or(operand.closed, |closed| closed.or(operand.closed)));
        }
        exact &= operand.exact;
        finite.push(Value::Activation(operand.numbers(f, &shape)?));
        let one = || folded(Tensor::new(vec![], Cells::Float(vec![1.0])));
        open.push(f.spread(operand.open.unwrap_or_else(one), &shape)?);
        plain.push(value);
    }
    let joined = |f: &mut Formula, parts| layout::concatenated(f.node, f.writer, parts, axis);
    let (finite, open) = (joined(f, finite)?, joined(f, open)?);
    let plain = if exact {
        let plain = joined(f, plain)?;
        Some(f.writer.lift(f.node, plain)?)
    } else {
        None
    };
    let shape = f.writer.shape_of(&finite).to_vec();
    let finite = Some(f.writer.lift(f.node, finite)?);
    let closed = closed.unwrap_or(Closed::Add(0.0));
    result(f, &shape, finite, (open, closed), plain)
}

/// Whether a constant is 0 everywhere.
fn zeroes(value: &Value) -> bool {
    let Value::Constant(c) = value else {
        return false;
    };
    matches!(c.tensor.cells(), Cells::Float(cells) if cells.iter().all(|&x| x == 0.0))
}
