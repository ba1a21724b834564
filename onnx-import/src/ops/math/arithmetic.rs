//! Arithmetic with ONNX's broadcasting: sums, differences, products, quotients, extrema.
//!
//! An activation and a constant make `X * scale + shift`. A quotient of real numbers is the product
//! with the reciprocal. Two constants are evaluated in their own type.

use std::collections::BTreeSet;

use ndarray::{ArrayD, arr0};
use zkstrata_model_ir::float::{Activation, ValueId};

use crate::Error;
use crate::decode::tensor::{Cells, Tensor};
use crate::ops::one;
use crate::scope::node::Node;
use crate::scope::value::{Constant, EXACT, Element, Value, finite};
use crate::write::broadcast::{broadcast, folded};
use crate::write::formula::Formula;
use crate::write::masked::{self, Operand};
use crate::write::{Writer, pair};

/// `X * scale + shift`, of the shape to which all three broadcast.
pub(crate) fn affine(
    node: &Node,
    writer: &mut Writer,
    x: ValueId,
    scale: ArrayD<f32>,
    shift: ArrayD<f32>,
) -> Result<ValueId, Error> {
    Formula::new(node, writer).affine_by(x, scale, shift)
}

/// The two operands of a binary operator, of one kind of elements.
pub(crate) fn operands(node: &mut Node) -> Result<(Value, Value), Error> {
    node.at_most(2)?;
    let operands = (node.value(0)?, node.value(1)?);
    let (a, b) = (node.element(0).unmasked(), node.element(1).unmasked());
    if a != b {
        let (op, a, b) = (node.op(), a.name(), b.name());
        return Err(node.shape_error(format!("{op} of {a} and {b} operands: cast one of them")));
    }
    Ok(operands)
}

/// `A + B`
pub(crate) fn add(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    match operands(node)? {
        (Value::Constant(a), Value::Constant(b)) => {
            pair::fold(node, writer, a, b, |a, b| a + b, i64::checked_add)
        }
        (x, y) => {
            let x = Operand::new(writer, x, node.element(0));
            let y = Operand::new(writer, y, node.element(1));
            if x.is_masked() || y.is_masked() {
                let (sum, element) = masked::sum(&mut Formula::new(node, writer), x, y)?;
                node.gives(0, element);
                return one(sum);
            }
            match (x.into_plain(), y.into_plain()) {
                (Value::Activation(x), y) | (y, Value::Activation(x)) => {
                    one(Value::Activation(Formula::new(node, writer).plus(x, y)?))
                }
                _ => Err(node.shape_error("constants are folded")),
            }
        }
    }
}

/// `A - B`
pub(crate) fn sub(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    let y = match operands(node)? {
        (Value::Constant(a), Value::Constant(b)) => {
            return pair::fold(node, writer, a, b, |a, b| a - b, i64::checked_sub);
        }
        (Value::Constant(c), Value::Activation(x)) => {
            let x = masked::exact(node, writer, x, node.element(1))?;
            let (scale, shift) = (arr0(-1.0).into_dyn(), c.into_weight()?);
            affine(node, writer, x, scale, shift)?
        }
        (x, Value::Constant(c)) => {
            let x = Operand::new(writer, x, node.element(0));
            let y = Operand::new(writer, masked::negated(&c), node.element(1));
            if x.is_masked() || y.is_masked() {
                let (sum, element) = masked::sum(&mut Formula::new(node, writer), x, y)?;
                node.gives(0, element);
                return one(sum);
            }
            let x = writer.lift(node, x.into_plain())?;
            let (scale, shift) = (arr0(1.0).into_dyn(), -c.into_weight()?);
            affine(node, writer, x, scale, shift)?
        }
        (x, Value::Activation(y)) => {
            let x = Operand::new(writer, x, node.element(0));
            let b = Operand::new(writer, Value::Activation(y), node.element(1));
            let mut f = Formula::new(node, writer);
            if x.is_masked() || b.is_masked() {
                let (d, element) = masked::difference(&mut f, x, b)?;
                node.gives(0, element);
                return one(d);
            }
            let x = f.writer.lift(node, x.into_plain())?;
            f.sub(x, y)?
        }
    };
    node.gives(0, node.element(0).unmasked());
    one(Value::Activation(y))
}

/// `A * B`, elementwise.
pub(crate) fn mul(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    match operands(node)? {
        (Value::Constant(a), Value::Constant(b)) => {
            pair::fold(node, writer, a, b, |a, b| a * b, i64::checked_mul)
        }
        (Value::Activation(x), y) | (y, Value::Activation(x)) => {
            let mut f = Formula::new(node, writer);
            let masked = masked::scaled(&mut f, x, &y, |f| f.times(x, y.clone()))?;
            if let Some((value, element)) = masked {
                node.gives(0, element);
                return one(value);
            }
            one(Value::Activation(f.times(x, y)?))
        }
    }
}

/// `1 / c`, finite.
fn reciprocal(c: Constant) -> Result<ArrayD<f32>, Error> {
    let name = c.name.clone();
    let scale = c.into_weight()?.mapv(f32::recip);
    finite(&format!("1 / {name}"), scale)
}

/// `A / B`, elementwise. Integers round towards zero.
pub(crate) fn div(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    let operands = operands(node)?;
    let whole = node.element(0) != Element::Float;
    let y = match operands {
        (Value::Constant(a), Value::Constant(b)) => {
            return pair::fold(node, writer, a, b, |a, b| a / b, i64::checked_div);
        }
        (_, Value::Activation(_)) if whole => return Err(dynamic_integers(node)),
        (Value::Activation(x), Value::Constant(c)) if whole => {
            let divisor = c.into_weight()?;
            truncated_quotient(&mut Formula::new(node, writer), x, &divisor)?
        }
        (Value::Activation(x), Value::Constant(c)) => {
            affine(node, writer, x, reciprocal(c)?, arr0(0.0).into_dyn())?
        }
        (Value::Activation(x), Value::Activation(y)) if x == y => {
            writer.note(format!(
                "node `{}` divides a value by itself: it is 1, also of 0, of which ONNX makes NaN",
                node.name()
            ));
            let shape = writer.shape(x).to_vec();
            let cells = Cells::Float(vec![1.0; shape.iter().product()]);
            return one(folded(Tensor::new(shape, cells)));
        }
        (x, Value::Activation(y)) => {
            let mut f = Formula::new(node, writer);
            let y = f.apply(Activation::Reciprocal, y)?;
            f.times(y, x)?
        }
    };
    one(Value::Activation(y))
}

fn dynamic_integers(node: &Node) -> Error {
    node.unsupported(
        "its integer divisor depends on the model's inputs: divide by a constant, or convert both \
         operands to float and round the quotient",
    )
}

/// Most different divisors of one node: each is a quotient of its own.
const DIVISORS: usize = 64;

/// `floor(n / d)` for integers `n` and constants `d`.
fn floored_quotient(f: &mut Formula, n: ValueId, d: &ArrayD<f32>) -> Result<ValueId, Error> {
    let mut n = n;
    if d.iter().any(|&d| d < 0.0) {
        n = f.affine_by(n, d.mapv(f32::signum), arr0(0.0).into_dyn())?;
    }
    quotient_by_size(f, n, &d.mapv(f32::abs))
}

/// The quotient of integers, rounded towards zero: `floor(n / d)` for positive `d`, and below zero
/// `floor((n + d - 1) / d)`.
fn truncated_quotient(f: &mut Formula, n: ValueId, d: &ArrayD<f32>) -> Result<ValueId, Error> {
    let signed = f.affine_by(n, d.mapv(f32::signum), arr0(0.0).into_dyn())?;
    let size = d.mapv(f32::abs);
    let given = f.apply(Activation::Step, signed)?;
    let more = f.affine_by(given, size.mapv(|d| 1.0 - d), size.mapv(|d| d - 1.0))?;
    let n = f.add(signed, more)?;
    quotient_by_size(f, n, &size)
}

/// `floor(n / d)` for positive `d`: the sum over the different divisors of the quotients by each
/// where it is the divisor.
fn quotient_by_size(f: &mut Formula, n: ValueId, d: &ArrayD<f32>) -> Result<ValueId, Error> {
    let fits = |d: &f32| d.fract() == 0.0 && (1.0..=EXACT as f32).contains(d);
    if let Some(d) = d.iter().find(|d| !fits(d)) {
        return Err(f
            .node
            .unsupported(format!("its divisor {d} is not in 1 ..= {EXACT}")));
    }
    let divisors: BTreeSet<u32> = d.iter().map(|&d| d as u32).collect();
    if divisors.len() > DIVISORS {
        return Err(f.node.unsupported(format!(
            "it divides integers by {} different constants: at most {DIVISORS} are supported",
            divisors.len()
        )));
    }
    let mut sum = None;
    for &divisor in &divisors {
        let quotient = f.apply(Activation::FloorDiv { divisor }, n)?;
        let here = d.mapv(|d| f32::from(u8::from(d as u32 == divisor)));
        let term = f.affine_by(quotient, here, arr0(0.0).into_dyn())?;
        sum = Some(match sum {
            None => term,
            Some(sum) => f.add(sum, term)?,
        });
    }
    sum.ok_or_else(|| f.node.shape_error("it has no divisor"))
}

/// The remainder: with the sign of the divisor, or of the dividend (`fmod`).
pub(crate) fn modulo(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    let fmod = node.flag("fmod")? == Some(true);
    let operands = operands(node)?;
    let whole = node.element(0) != Element::Float;
    let (x, divisor) = match operands {
        (Value::Constant(a), Value::Constant(b)) => {
            let integer = |a: i64, b: i64| {
                let r = a.checked_rem(b)?;
                let wrong = !fmod && r != 0 && (r < 0) != (b < 0);
                Some(if wrong { r + b } else { r })
            };
            let float = |a: f32, b: f32| {
                let r = a % b;
                let wrong = !fmod && r != 0.0 && (r < 0.0) != (b < 0.0);
                if wrong { r + b } else { r }
            };
            return pair::fold(node, writer, a, b, float, integer);
        }
        (Value::Activation(x), Value::Constant(c)) => (x, c),
        (_, Value::Activation(_)) if whole => return Err(dynamic_integers(node)),
        (_, Value::Activation(_)) => {
            return Err(node.unsupported("its divisor depends on the model's inputs"));
        }
    };
    let weight = divisor.clone().into_weight()?;
    let reciprocal = reciprocal(divisor);
    let mut f = Formula::new(node, writer);
    let quotient = match (whole, fmod) {
        (true, false) => floored_quotient(&mut f, x, &weight)?,
        (true, true) => truncated_quotient(&mut f, x, &weight)?,
        (false, _) => {
            let reciprocal = reciprocal?;
            let y = f.affine_by(x, reciprocal, arr0(0.0).into_dyn())?;
            let rounding = if fmod {
                Activation::Truncate
            } else {
                Activation::Floor
            };
            f.apply(rounding, y)?
        }
    };
    let whole_part = f.affine_by(quotient, weight, arr0(0.0).into_dyn())?;
    one(Value::Activation(f.sub(x, whole_part)?))
}

/// Joins all operands from the left.
fn accumulated(
    node: &mut Node,
    writer: &mut Writer,
    join: impl Fn(&mut Formula, ValueId, Value) -> Result<ValueId, Error>,
) -> Result<ValueId, Error> {
    let operands = (0..node.input_count())
        .map(|i| node.value(i))
        .collect::<Result<Vec<_>, _>>()?;
    // Constants come last: they fold into what is there.
    let (activations, constants): (Vec<Value>, Vec<Value>) = operands
        .into_iter()
        .partition(|value| matches!(value, Value::Activation(_)));
    let mut all = activations.into_iter().chain(constants);
    let Some(first) = all.next() else {
        return Err(node.shape_error(format!("{} without inputs", node.op())));
    };
    let mut y = writer.lift(node, first)?;
    let mut f = Formula::new(node, writer);
    for value in all {
        y = join(&mut f, y, value)?;
    }
    Ok(y)
}

fn plus(f: &mut Formula, x: ValueId, y: Value) -> Result<ValueId, Error> {
    f.plus(x, y)
}

/// The sum of all operands.
pub(crate) fn sum(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    let y = accumulated(node, writer, plus)?;
    one(Value::Activation(y))
}

/// The mean of all operands.
pub(crate) fn mean(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    let count = node.input_count();
    let y = accumulated(node, writer, plus)?;
    let y = Formula::new(node, writer).affine(y, 1.0 / count as f32, 0.0)?;
    one(Value::Activation(y))
}

/// The smallest of the operands: `-max(-x, -y)`.
pub(crate) fn min(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    if let Some((a, b)) = constants(node)? {
        return pair::fold(node, writer, a, b, f32::min, |a, b| Some(a.min(b)));
    }
    let y = accumulated(node, writer, |f, x, y| {
        if all(&y, |c| c >= f32::MAX) {
            return repeated(f, x, &y);
        }
        if let Some(hi) = bound(&y) {
            let x = repeated(f, x, &y)?;
            return f.apply(clip(f32::NEG_INFINITY, hi), x);
        }
        let y = f.writer.lift(f.node, y)?;
        f.min(x, y)
    })?;
    one(Value::Activation(y))
}

/// The largest of the operands.
pub(crate) fn max(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    if let Some((a, b)) = constants(node)? {
        return pair::fold(node, writer, a, b, f32::max, |a, b| Some(a.max(b)));
    }
    let y = accumulated(node, writer, |f, x, y| {
        if all(&y, |c| c <= f32::MIN) {
            return repeated(f, x, &y);
        }
        if let Some(lo) = bound(&y) {
            let x = repeated(f, x, &y)?;
            return f.apply(clip(lo, f32::INFINITY), x);
        }
        let y = f.writer.lift(f.node, y)?;
        f.max(x, y)
    })?;
    one(Value::Activation(y))
}

/// Both operands if there are two and they are constant.
fn constants(node: &mut Node) -> Result<Option<(Constant, Constant)>, Error> {
    if node.input_count() != 2 || !node.is_constant() {
        return Ok(None);
    }
    Ok(Some((node.constant(0)?, node.constant(1)?)))
}

/// Whether all cells of a constant have a property.
fn all(value: &Value, property: impl Fn(f32) -> bool) -> bool {
    let Value::Constant(constant) = value else {
        return false;
    };
    matches!(constant.tensor.cells(), Cells::Float(cells) if cells.iter().all(|&c| property(c)))
}

/// `x`, of the shape to which it and another value broadcast.
fn repeated(f: &mut Formula, x: ValueId, other: &Value) -> Result<ValueId, Error> {
    let shape = broadcast(f.node, f.writer.shape(x), f.writer.shape_of(other))?;
    f.broadcast_to(x, &shape)
}

/// The number that a constant of one cell holds.
fn bound(value: &Value) -> Option<f32> {
    let Value::Constant(constant) = value else {
        return None;
    };
    let single = constant.tensor.shape().is_empty() || constant.tensor.shape() == [1];
    let weight = single.then(|| constant.clone().into_weight().ok());
    weight.flatten()?.first().copied()
}

/// `min(max(x, lo), hi)`
fn clip(lo: f32, hi: f32) -> Activation {
    match (lo, hi) {
        (0.0, f32::INFINITY) => Activation::Relu,
        _ => Activation::Clip { lo, hi },
    }
}

/// `-x`
pub(crate) fn neg(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    node.at_most(1)?;
    let x = writer.activation(node, 0)?;
    one(Value::Activation(Formula::new(node, writer).negated(x)?))
}
