//! Bits of integers: by a constant, bits `a..b` of `x` are
//! `2^a floor(x / 2^a) - 2^b floor(x / 2^b)`; and `x or c = x + c - (x and c)`,
//! `x xor c = x + c - 2 (x and c)`.

use ndarray::arr0;
use zkstrata_model_ir::float::{Activation, ValueId};

use super::arithmetic::operands;
use super::formula::Formula;
use super::{one, pair};
use crate::Error;
use crate::import::Importer;
use crate::node::Node;
use crate::value::{Constant, EXACT, Element, Value};

/// An integer and a constant, or the two folded.
enum Operands {
    Folded(Vec<Value>),
    Mixed(ValueId, Constant),
}

fn read(
    node: &mut Node,
    importer: &mut Importer,
    commutes: bool,
    integer: impl Fn(i64, i64) -> Option<i64>,
) -> Result<Operands, Error> {
    let operands = operands(node)?;
    if node.element(0) != Element::Int {
        return Err(node.shape_error(format!("{} of {}s", node.op(), node.element(0).name())));
    }
    match operands {
        (Value::Constant(a), Value::Constant(b)) => {
            let folded = pair::fold(node, importer, a, b, |a, _| a, integer)?;
            Ok(Operands::Folded(folded))
        }
        (Value::Activation(x), Value::Constant(c)) => Ok(Operands::Mixed(x, c)),
        (Value::Constant(c), Value::Activation(x)) if commutes => Ok(Operands::Mixed(x, c)),
        _ => Err(node.unsupported(
            "it combines bits of two integers that depend on the model's inputs: use truth values \
             and And, Or, Xor, or a constant",
        )),
    }
}

/// The one integer that a constant holds, not negative.
fn mask(node: &Node, constant: &Constant) -> Result<u64, Error> {
    let weight = constant.clone().into_weight()?;
    let first = weight.first().copied().unwrap_or(0.0);
    if first < 0.0 || weight.iter().any(|c| c.to_bits() != first.to_bits()) {
        return Err(node.unsupported(
            "its constant must be one and the same non-negative integer in all cells",
        ));
    }
    Ok(first as u64)
}

/// `2^n floor(x / 2^n)` for integers
fn cleared(f: &mut Formula, x: ValueId, n: u32) -> Result<ValueId, Error> {
    if n == 0 {
        return Ok(x);
    }
    let size = (1_u64 << n) as f32;
    let quotient = f.affine(x, 1.0 / size, 0.5 / size)?;
    let quotient = f.apply(Activation::Floor, quotient)?;
    f.affine(quotient, size, 0.0)
}

/// `x and mask`
fn selected(f: &mut Formula, x: ValueId, mask: u64) -> Result<ValueId, Error> {
    let mut sum = None;
    let mut rest = mask;
    while rest != 0 {
        let from = rest.trailing_zeros();
        let to = from + (rest >> from).trailing_ones();
        rest = if to < 64 { rest >> to << to } else { 0 };
        let (low, high) = (cleared(f, x, from)?, cleared(f, x, to)?);
        let bits = f.sub(low, high)?;
        sum = Some(match sum {
            None => bits,
            Some(sum) => f.add(sum, bits)?,
        });
    }
    match sum {
        Some(sum) => Ok(sum),
        None => f.affine(x, 0.0, 0.0),
    }
}

/// `x and c`, or with a factor `x + c + factor (x and c)`
fn combined(
    node: &mut Node,
    importer: &mut Importer,
    operands: Operands,
    factor: Option<f32>,
) -> Result<Vec<Value>, Error> {
    let (x, c) = match operands {
        Operands::Folded(folded) => return Ok(folded),
        Operands::Mixed(x, c) => (x, c),
    };
    let mask = mask(node, &c)?;
    let mut f = Formula::new(node, importer);
    let shape = super::arithmetic::broadcast(node, &f.shape(x), c.tensor.shape())?;
    let x = f.broadcast_to(x, &shape)?;
    let both = selected(&mut f, x, mask)?;
    let y = match factor {
        None => both,
        Some(factor) => {
            let x = f.affine(x, 1.0, mask as f32)?;
            let both = f.affine(both, factor, 0.0)?;
            f.add(x, both)?
        }
    };
    one(Value::Activation(y))
}

/// `x and c`
pub(super) fn and(node: &mut Node, importer: &mut Importer) -> Result<Vec<Value>, Error> {
    let operands = read(node, importer, true, |a, b| Some(a & b))?;
    combined(node, importer, operands, None)
}

/// `x or c`
pub(super) fn or(node: &mut Node, importer: &mut Importer) -> Result<Vec<Value>, Error> {
    let operands = read(node, importer, true, |a, b| Some(a | b))?;
    combined(node, importer, operands, Some(-1.0))
}

/// `x xor c`
pub(super) fn xor(node: &mut Node, importer: &mut Importer) -> Result<Vec<Value>, Error> {
    let operands = read(node, importer, true, |a, b| Some(a ^ b))?;
    combined(node, importer, operands, Some(-2.0))
}

/// `x 2^n` or `floor(x / 2^n)`
pub(super) fn shift(node: &mut Node, importer: &mut Importer) -> Result<Vec<Value>, Error> {
    let right = match node.string("direction")? {
        Some("LEFT") => false,
        Some("RIGHT") => true,
        other => return Err(node.bad_attribute("direction", format!("is {other:?}"))),
    };
    let integer = |a: i64, n: i64| {
        let n = u32::try_from(n).ok().filter(|&n| n < 64)?;
        if right {
            return Some(a >> n);
        }
        a.checked_mul(1_i64.checked_shl(n).filter(|&p| p > 0)?)
    };
    let (x, c) = match read(node, importer, false, integer)? {
        Operands::Folded(folded) => return Ok(folded),
        Operands::Mixed(x, c) => (x, c),
    };
    let amounts = c.into_weight()?;
    let most = EXACT.ilog2() as f32;
    if let Some(n) = amounts.iter().find(|n| !(0.0..=most).contains(*n)) {
        return Err(node.unsupported(format!("it shifts by {n} bits: 0 to {most} are supported")));
    }
    let powers = amounts.mapv(|n| (1_u64 << n as u32) as f32);
    let mut f = Formula::new(node, importer);
    let y = if right {
        let reciprocal = powers.mapv(f32::recip);
        let half = reciprocal.mapv(|r| 0.5 * r);
        let y = f.affine_by(x, reciprocal, half)?;
        f.apply(Activation::Floor, y)?
    } else {
        f.affine_by(x, powers, arr0(0.0).into_dyn())?
    };
    one(Value::Activation(y))
}
