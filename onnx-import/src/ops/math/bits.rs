//! Bits of integers: by a constant, bits `a..b` of `x` are
//! `2^a floor(x / 2^a) - 2^b floor(x / 2^b)`; and `x or c = x + c - (x and c)`,
//! `x xor c = x + c - 2 (x and c)`. A shift drops the bits that its type has no room for.

use ndarray::arr0;
use zkstrata_model_ir::float::{Activation, ValueId};

use crate::Error;
use crate::ops::math::arithmetic::operands;
use crate::ops::one;
use crate::proto::DataType;
use crate::scope::node::Node;
use crate::scope::value::{Constant, EXACT, Element, Value};
use crate::write::formula::Formula;
use crate::write::{Writer, pair};

/// An integer and a constant, or the two folded.
enum Operands {
    Folded(Vec<Value>),
    Mixed(ValueId, Constant),
}

/// Two integers that are not both constant, of which none is, or not the one that must be.
fn dynamic(node: &Node) -> Error {
    node.unsupported(
        "it combines bits of two integers that depend on the model's inputs: use truth values and \
         And, Or, Xor, or a constant",
    )
}

/// The two operands, which must be integers.
fn integers(node: &mut Node) -> Result<(Value, Value), Error> {
    let operands = operands(node)?;
    if node.element(0) != Element::Int {
        return Err(node.shape_error(format!("{} of {}s", node.op(), node.element(0).name())));
    }
    Ok(operands)
}

fn read(
    node: &mut Node,
    writer: &mut Writer,
    integer: impl Fn(i64, i64) -> Option<i64>,
) -> Result<Operands, Error> {
    match integers(node)? {
        (Value::Constant(a), Value::Constant(b)) => {
            let folded = pair::fold(node, writer, a, b, |a, _| a, integer)?;
            Ok(Operands::Folded(folded))
        }
        (Value::Activation(x), Value::Constant(c)) | (Value::Constant(c), Value::Activation(x)) => {
            Ok(Operands::Mixed(x, c))
        }
        _ => Err(dynamic(node)),
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
    let Ok(divisor) = u32::try_from(1_u64 << n) else {
        // Only the sign is left of integers that are exact.
        let given = f.apply(Activation::Step, x)?;
        let size = (1_u64 << n) as f32;
        return f.affine(given, size, -size);
    };
    let quotient = f.apply(Activation::FloorDiv { divisor }, x)?;
    f.affine(quotient, divisor as f32, 0.0)
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
    writer: &mut Writer,
    operands: Operands,
    factor: Option<f32>,
) -> Result<Vec<Value>, Error> {
    let (x, c) = match operands {
        Operands::Folded(folded) => return Ok(folded),
        Operands::Mixed(x, c) => (x, c),
    };
    let mask = mask(node, &c)?;
    let mut f = Formula::new(node, writer);
    let shape = crate::write::broadcast::broadcast(node, &f.shape(x), c.tensor.shape())?;
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
pub(crate) fn and(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    let operands = read(node, writer, |a, b| Some(a & b))?;
    combined(node, writer, operands, None)
}

/// `x or c`
pub(crate) fn or(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    let operands = read(node, writer, |a, b| Some(a | b))?;
    combined(node, writer, operands, Some(-1.0))
}

/// `x xor c`
pub(crate) fn xor(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    let operands = read(node, writer, |a, b| Some(a ^ b))?;
    combined(node, writer, operands, Some(-2.0))
}

/// An integer type.
#[derive(Clone, Copy)]
struct Width {
    bits: u32,
    signed: bool,
}

impl Width {
    fn of(data_type: DataType) -> Option<Self> {
        let (bits, signed) = match data_type {
            DataType::Int8 => (8, true),
            DataType::Uint8 => (8, false),
            DataType::Int16 => (16, true),
            DataType::Uint16 => (16, false),
            DataType::Int32 => (32, true),
            DataType::Uint32 => (32, false),
            DataType::Int64 => (64, true),
            DataType::Uint64 => (64, false),
            _ => return None,
        };
        Some(Self { bits, signed })
    }

    /// `x` without the bits that the type has no room for.
    fn wrapped(self, x: i128) -> i128 {
        let size = 1_i128 << self.bits;
        let half = if self.signed { size / 2 } else { 0 };
        (x + half).rem_euclid(size) - half
    }

    /// `x` moved by `n` bits; nothing but the sign is left of it if `n` is no smaller than the
    /// type's bits, or negative.
    fn shifted(self, x: i64, n: i64, right: bool) -> Option<i64> {
        let inside = u32::try_from(n).ok().filter(|&n| n < self.bits);
        let y = match (inside, right) {
            (Some(n), true) => i128::from(x >> n),
            (Some(n), false) => self.wrapped(i128::from(x) << n),
            (None, true) => i128::from(x.signum().min(0)),
            (None, false) => 0,
        };
        i64::try_from(y).ok()
    }

    /// The bits by which a shift to the right by `n` moves, at most as many as the writer's
    /// integers have.
    fn right(self, n: f32) -> u32 {
        let inside = (0.0..self.bits as f32).contains(&n);
        let n = if inside { n as u32 } else { self.bits };
        n.min(MOST_BITS)
    }
}

/// Bits of the integers that are exact, and of their signs.
const MOST_BITS: u32 = EXACT.ilog2() + 1;

/// `x 2^n` or `floor(x / 2^n)`, in the type of the amounts.
pub(crate) fn shift(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    let right = match node.string("direction")? {
        Some("LEFT") => false,
        Some("RIGHT") => true,
        other => return Err(node.bad_attribute("direction", format!("is {other:?}"))),
    };
    let operands = integers(node)?;
    let width = |c: &Constant| {
        let width = c.tensor.data_type().and_then(Width::of);
        let remedy = "the type of its amounts is unknown: store them in the model";
        width.ok_or_else(|| node.unsupported(remedy))
    };
    let (x, amounts, width) = match operands {
        (Value::Constant(a), Value::Constant(b)) => {
            let width = width(&b)?;
            let integer = |x, n| width.shifted(x, n, right);
            return pair::fold(node, writer, a, b, |a, _| a, integer);
        }
        (Value::Activation(x), Value::Constant(c)) => {
            let width = width(&c)?;
            (x, c.into_weight()?, width)
        }
        _ => return Err(dynamic(node)),
    };
    let mut f = Formula::new(node, writer);
    let none = || arr0(0.0).into_dyn();
    let power = |n: u32| (1_u64 << n) as f32;
    if right {
        let reciprocal = amounts.mapv(|n| power(width.right(n)).recip());
        let half = reciprocal.mapv(|r| 0.5 * r);
        let y = f.affine_by(x, reciprocal, half)?;
        return one(Value::Activation(f.apply(Activation::Floor, y)?));
    }
    let inside = |n: f32| (0.0..width.bits as f32).contains(&n);
    if let Some(n) = amounts
        .iter()
        .find(|&&n| inside(n) && n >= MOST_BITS as f32)
    {
        return Err(node.unsupported(format!(
            "it shifts to the left by {n} bits: at most {} are supported",
            MOST_BITS - 1
        )));
    }
    // The bits that stay: x - 2^k floor(x / 2^k + [signed] / 2) with k = width - n.
    let kept = |n: f32| width.bits - n as u32;
    let drops = |n: f32| inside(n) && n > 0.0 && kept(n) <= MOST_BITS;
    let mut stays = x;
    if amounts.iter().any(|&n| drops(n)) {
        let each = |of: &dyn Fn(f32) -> f32| amounts.mapv(|n| if drops(n) { of(n) } else { 0.0 });
        let reciprocal = each(&|n| power(kept(n)).recip());
        let middle = if width.signed { 0.5 } else { 0.0 };
        let shift = each(&|n| middle + 0.5 / power(kept(n)));
        let dropped = f.affine_by(x, reciprocal, shift)?;
        let dropped = f.apply(Activation::Floor, dropped)?;
        let dropped = f.affine_by(dropped, each(&|n| power(kept(n))), none())?;
        stays = f.sub(x, dropped)?;
    }
    let powers = amounts.mapv(|n| if inside(n) { power(n as u32) } else { 0.0 });
    let y = f.affine_by(stays, powers, none())?;
    one(Value::Activation(y))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shifts_keep_the_width() {
        let shifted = |data_type, x, n, right| {
            let width = Width::of(data_type).expect("an integer type");
            width.shifted(x, n, right)
        };
        let (int8, uint8) = (DataType::Int8, DataType::Uint8);
        for (x, n) in [(64, 1), (1, 7), (-64, 1), (-1, 7), (3, 8), (-3, -1)] {
            let moved = (x as i8).checked_shl(u32::try_from(n).unwrap_or(8));
            let moved = moved.unwrap_or(0);
            assert_eq!(shifted(int8, x, n, false), Some(moved.into()), "{x} << {n}");
        }
        assert_eq!(shifted(uint8, 255, 4, false), Some(240));
        assert_eq!(shifted(uint8, 255, 4, true), Some(15));
        assert_eq!(shifted(int8, -3, 1, true), Some(-2));
        assert_eq!(shifted(int8, -3, 8, true), Some(-1));
        assert_eq!(shifted(uint8, 3, -1, true), Some(0));
        assert_eq!(shifted(DataType::Int64, 1, 63, false), Some(i64::MIN));
    }
}
