//! Truth values, 1 and 0, as polynomials: `a and b = a b`, `a or b = a + b - a b`,
//! `a xor b = a + b - 2 a b`, `not a = 1 - a`; comparisons by the sign of a difference; and Where.

use ndarray::{ArrayD, arr0};
use zkstrata_model_ir::float::{Activation, ValueId};

use crate::Error;
use crate::decode::tensor::{Cells, Tensor, count};
use crate::ops::math::arithmetic::operands;
use crate::ops::one;
use crate::scope::node::Node;
use crate::scope::value::{Constant, Element, Value};
use crate::write::broadcast::broadcast;
use crate::write::formula::Formula;
use crate::write::missing::Says;
use crate::write::{Writer, masked, pair};

/// `1 - x`
pub(crate) fn not(f: &mut Formula, x: ValueId) -> Result<ValueId, Error> {
    f.affine(x, -1.0, 1.0)
}

/// `[x = 0] = [x >= 0] + [-x >= 0] - 1`, whatever the range of `x`
pub(crate) fn is_zero(f: &mut Formula, x: ValueId) -> Result<ValueId, Error> {
    let minus = f.negated(x)?;
    let above = f.apply(Activation::Step, x)?;
    let below = f.apply(Activation::Step, minus)?;
    let both = f.add(above, below)?;
    f.affine(both, 1.0, -1.0)
}

/// `a - b` for two operands of which one depends on the inputs.
pub(crate) fn difference(f: &mut Formula, a: Value, b: Value) -> Result<ValueId, Error> {
    match (a, b) {
        (Value::Activation(a), Value::Activation(b)) => f.sub(a, b),
        (Value::Activation(a), Value::Constant(c)) => {
            f.affine_by(a, arr0(1.0).into_dyn(), -c.into_weight()?)
        }
        (a, b) => {
            let (c, b) = (f.writer.lift(f.node, a)?, f.writer.lift(f.node, b)?);
            f.sub(c, b)
        }
    }
}

/// `a + b + factor a b` of truth values.
fn joined(node: &mut Node, writer: &mut Writer, factor: f32) -> Result<Vec<Value>, Error> {
    let y = match truths(node, writer)? {
        (x, Value::Constant(c)) => {
            let c = c.into_weight()?;
            let scale = c.mapv(|b| 1.0 + factor * b);
            Formula::new(node, writer).affine_by(x, scale, c)?
        }
        (x, Value::Activation(y)) => {
            let mut f = Formula::new(node, writer);
            let both = f.product(x, y)?;
            let both = f.affine(both, factor, 0.0)?;
            let sum = f.add(x, y)?;
            f.add(sum, both)?
        }
    };
    one(Value::Activation(y))
}

/// Two truth values, a constant one last.
fn truths(node: &mut Node, writer: &mut Writer) -> Result<(ValueId, Value), Error> {
    let (a, b) = operands(node)?;
    if node.element(0) != Element::Bool {
        return Err(node.shape_error(format!("{} of {}s", node.op(), node.element(0).name())));
    }
    Ok(match (a, b) {
        (Value::Activation(x), y) | (y, Value::Activation(x)) => (x, y),
        (x, y) => (writer.lift(node, x)?, y),
    })
}

/// `a and b`
pub(crate) fn and(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    let (x, y) = truths(node, writer)?;
    one(Value::Activation(Formula::new(node, writer).times(x, y)?))
}

/// `a or b`
pub(crate) fn or(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    joined(node, writer, -1.0)
}

/// `a xor b`
pub(crate) fn xor(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    joined(node, writer, -2.0)
}

/// `not a`
pub(crate) fn negation(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    node.at_most(1)?;
    if node.element(0) != Element::Bool {
        return Err(node.shape_error(format!("Not of {}s", node.element(0).name())));
    }
    let x = writer.activation(node, 0)?;
    one(Value::Activation(not(&mut Formula::new(node, writer), x)?))
}

/// `c ? a : b = b + c (a - b)`
pub(crate) fn select(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    node.at_most(3)?;
    let values = (node.value(0)?, node.value(1)?, node.value(2)?);
    let (of_a, of_b) = (node.element(1), node.element(2));
    if node.element(0) != Element::Bool || of_a.unmasked() != of_b.unmasked() {
        let name = |i| node.element(i).name();
        let (c, a, b) = (name(0), name(1), name(2));
        return Err(node.shape_error(format!("Where by {c}s of {a}s and {b}s")));
    }
    let (c, a, b) = values;
    let mut f = Formula::new(node, writer);
    if of_a == Element::Float
        && of_b == Element::Float
        && let Some(y) = filled(&mut f, &c, &a, &b)?
    {
        node.gives(0, Element::Float);
        return one(Value::Activation(y));
    }
    let sides = [(a.clone(), of_a), (b.clone(), of_b)];
    let plainly = |f: &mut Formula, c, a, b| chosen(f.node, f.writer, c, a, b);
    if let Some((y, element)) = masked::chosen(&mut f, &c, sides, plainly)? {
        node.gives(0, element);
        return one(y);
    }
    node.gives(0, of_a.unmasked());
    one(chosen(node, writer, c, a, b)?)
}

/// `c ? a : b` where `c` says which cells of one of the two are missing, so that none of those are
/// chosen: the cells of the other fill them in.
fn filled(f: &mut Formula, c: &Value, a: &Value, b: &Value) -> Result<Option<ValueId>, Error> {
    let &Value::Activation(c) = c else {
        return Ok(None);
    };
    let (x, by) = match (f.writer.told(c), a, b) {
        (Some((told, Says::Missing)), by, &Value::Activation(x)) if told == x => (x, by),
        (Some((told, Says::Present)), &Value::Activation(x), by) if told == x => (x, by),
        _ => return Ok(None),
    };
    let shape = broadcast(f.node, f.writer.shape(x), f.writer.shape_of(by))?;
    let x = f.broadcast_to(x, &shape)?;
    match by {
        Value::Constant(by) => match by.clone().into_weight() {
            Ok(by) => f.replaced(x, by).map(Some),
            // Infinite cells are masks.
            Err(_) => Ok(None),
        },
        &Value::Activation(by) => {
            let missing = f.is_missing(x)?;
            let by = f.product(missing, by)?;
            let x = f.replaced(x, arr0(0.0).into_dyn())?;
            f.add(x, by).map(Some)
        }
    }
}

/// `c ? a : b`, for `a` and `b` of one kind of elements.
pub(crate) fn chosen(
    node: &Node,
    writer: &mut Writer,
    c: Value,
    a: Value,
    b: Value,
) -> Result<Value, Error> {
    let (c, a, b) = match (c, a, b) {
        (Value::Constant(c), Value::Constant(a), Value::Constant(b)) => {
            return pair::select(node, writer, &c, a, b);
        }
        values => values,
    };
    let mut f = Formula::new(node, writer);
    let y = match c {
        Value::Constant(c) => {
            let c = c.into_weight()?;
            // Cells that are never chosen need not be numbers.
            let (a, b) = (
                used(&mut f, a, |used| used, &c)?,
                used(&mut f, b, |used| !used, &c)?,
            );
            let not = c.mapv(|c| 1.0 - c);
            let (a, b) = (part(&mut f, a, &c)?, part(&mut f, b, &not)?);
            match (a, b) {
                (Ok(a), Ok(b)) => f.add(a, b)?,
                (Ok(a), Err(b)) | (Err(b), Ok(a)) => f.affine_by(a, arr0(1.0).into_dyn(), b)?,
                (Err(_), Err(_)) => return Err(node.shape_error("Where without activations")),
            }
        }
        Value::Activation(c) => match (a, b) {
            (Value::Constant(a), Value::Constant(b)) => {
                let (a, b) = (a.into_weight()?, b.into_weight()?);
                let shape = broadcast(node, a.shape(), b.shape())?;
                f.writer.allow(node, count(&shape))?;
                let (Some(a), Some(b)) = (a.broadcast(shape.clone()), b.broadcast(shape)) else {
                    return Err(node.shape_error("its constants do not broadcast"));
                };
                f.affine_by(c, &a - &b, b.to_owned())?
            }
            (Value::Activation(a), Value::Constant(b)) => {
                // A large constant would take its digits from what is chosen beside it.
                let b = b.into_weight()?;
                let rest = f.affine_by(c, b.mapv(|b| -b), b)?;
                let chosen = f.product(c, a)?;
                f.add(chosen, rest)?
            }
            (Value::Constant(a), Value::Activation(b)) => {
                let rest = f.affine_by(c, a.into_weight()?, arr0(0.0).into_dyn())?;
                let not = f.affine(c, -1.0, 1.0)?;
                let chosen = f.product(not, b)?;
                f.add(chosen, rest)?
            }
            (a, b) => {
                let d = difference(&mut f, a, b.clone())?;
                let chosen = f.product(c, d)?;
                f.plus(chosen, b)?
            }
        },
    };
    Ok(Value::Activation(y))
}

/// A constant with 0 in the cells that are used nowhere, if any is not finite.
fn used(
    f: &mut Formula,
    x: Value,
    when: impl Fn(bool) -> bool,
    c: &ArrayD<f32>,
) -> Result<Value, Error> {
    let Value::Constant(constant) = &x else {
        return Ok(x);
    };
    let Cells::Float(cells) = constant.tensor.cells() else {
        return Ok(x);
    };
    if cells.iter().all(|x| x.is_finite()) {
        return Ok(x);
    }
    let shape = broadcast(f.node, constant.tensor.shape(), c.shape())?;
    let Value::Constant(spread) = f.spread(x.clone(), &shape)? else {
        return Ok(x);
    };
    let (Cells::Float(cells), Some(c)) = (spread.tensor.cells(), c.broadcast(shape.clone())) else {
        return Ok(x);
    };
    let cells = cells.iter().zip(c.iter());
    let cells = cells.map(|(&x, &c)| if when(c > 0.0) { x } else { 0.0 });
    let tensor = Tensor::new(shape, Cells::Float(cells.collect()));
    Ok(Value::Constant(Constant::new(&constant.name, tensor)))
}

/// `c x`: an activation, or a constant.
fn part(f: &mut Formula, x: Value, c: &ArrayD<f32>) -> Result<Result<ValueId, ArrayD<f32>>, Error> {
    Ok(match x {
        Value::Activation(x) => Ok(f.affine_by(x, c.clone(), arr0(0.0).into_dyn())?),
        Value::Constant(x) => {
            let x = x.into_weight()?;
            let shape = broadcast(f.node, x.shape(), c.shape())?;
            f.writer.allow(f.node, count(&shape))?;
            Err(&x * c)
        }
    })
}
