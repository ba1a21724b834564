//! Comparisons by the sign of a difference, and tests for what is infinite or no number.
//!
//! Activations are finite but where they are masked: what is compared with infinity is known there
//! and elsewhere.

use zkstrata_model_ir::float::{Activation, ValueId};

use crate::Error;
use crate::decode::tensor::{Cells, Tensor, count};
use crate::ops::logic::truth::{difference, is_zero, not};
use crate::ops::math::arithmetic::operands;
use crate::ops::one;
use crate::scope::node::Node;
use crate::scope::value::{Constant, Element, Value};
use crate::write::broadcast::{broadcast, folded};
use crate::write::formula::Formula;
use crate::write::masked::{self, BEYOND};
use crate::write::{Writer, pair};

/// How a comparison reads off the difference `a - b`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
}

impl Order {
    /// Whether the comparison is true.
    #[allow(clippy::float_cmp, reason = "this is what the operators mean")]
    fn holds(self, a: f32, b: f32) -> bool {
        match self {
            Self::Less => a < b,
            Self::LessOrEqual => a <= b,
            Self::Greater => a > b,
            Self::GreaterOrEqual => a >= b,
            Self::Equal => a == b,
        }
    }

    /// The comparison of the operands in the other order.
    fn exchanged(self) -> Self {
        match self {
            Self::Less => Self::Greater,
            Self::LessOrEqual => Self::GreaterOrEqual,
            Self::Greater => Self::Less,
            Self::GreaterOrEqual => Self::LessOrEqual,
            Self::Equal => Self::Equal,
        }
    }
}

fn compare(node: &mut Node, writer: &mut Writer, order: Order) -> Result<Vec<Value>, Error> {
    let (a, b) = operands(node)?;
    let (of_a, of_b) = (node.element(0), node.element(1));
    node.gives(0, Element::Bool);
    if let (Value::Constant(a), Value::Constant(b)) = (&a, &b) {
        return constants(node, writer, a.clone(), b.clone(), order);
    }
    let mut f = Formula::new(node, writer);
    let masked = |f: &Formula, element| match element {
        Element::Masked(id) => !f.writer.mask(id).exact,
        _ => false,
    };
    if masked(&f, of_b) || matches!(a, Value::Constant(_)) {
        let (mut a, mut b) = ((a, of_a), (b, of_b));
        if !masked(&f, a.1) {
            std::mem::swap(&mut a, &mut b);
            return one(known_or(&mut f, a, b, order.exchanged())?);
        }
        return one(known_or(&mut f, a, b, order)?);
    }
    one(known_or(&mut f, (a, of_a), (b, of_b), order)?)
}

/// The comparison of an activation, which is finite but where it is masked, with another value.
fn known_or(
    f: &mut Formula,
    (a, of_a): (Value, Element),
    (b, of_b): (Value, Element),
    order: Order,
) -> Result<Value, Error> {
    let shape = broadcast(f.node, f.writer.shape_of(&a), f.writer.shape_of(&b))?;
    let mask = match of_a {
        Element::Masked(id) => Some(f.writer.mask(id).clone()).filter(|mask| !mask.exact),
        _ => None,
    };
    if let Value::Activation(b) = b {
        masked::exact(f.node, f.writer, b, of_b)?;
    }
    let boolean = of_a == Element::Bool;
    let infinity = match &b {
        Value::Constant(c) => infinite(c),
        Value::Activation(_) => None,
    };
    let truth = |f: &mut Formula, holds: bool| {
        let cells = f.writer.allow(f.node, count(&shape))?;
        Ok::<_, Error>(folded(Tensor::new(
            shape.clone(),
            Cells::Bool(vec![holds; cells]),
        )))
    };
    let Some(mask) = mask else {
        return match infinity {
            Some(infinity) => truth(f, order.holds(0.0, infinity)),
            None => Ok(Value::Activation(compared(f, a, b, order, boolean)?)),
        };
    };
    let closed = match (&b, infinity) {
        (_, Some(infinity)) => order.holds(mask.closed.low(), infinity),
        (Value::Activation(_), None) => order.holds(f32::NEG_INFINITY, 0.0),
        (Value::Constant(c), None) => {
            let Cells::Float(cells) = c.tensor.cells() else {
                return Err(f.node.shape_error("a comparison of a mask with integers"));
            };
            let holds = cells
                .iter()
                .filter(|&&c| order.holds(mask.closed.low(), c))
                .count();
            if holds != 0 && holds != cells.len() {
                return Err(f.node.unsupported(masked::beyond(mask.closed.low())));
            }
            holds > 0
        }
    };
    let open = match (infinity, mask.finite) {
        (Some(infinity), _) => Err(order.holds(0.0, infinity)),
        (None, Some(finite)) => Ok(compared(f, Value::Activation(finite), b, order, boolean)?),
        (None, None) => {
            let zero = folded(Tensor::new(vec![], Cells::Float(vec![0.0])));
            let zero = Value::Activation(f.writer.lift(f.node, zero)?);
            Ok(compared(f, zero, b, order, boolean)?)
        }
    };
    let y = match open {
        Err(open) if open == closed => return truth(f, open),
        Err(open) => {
            let one = folded(Tensor::new(vec![], Cells::Float(vec![f32::from(open)])));
            f.writer.lift(f.node, one)?
        }
        Ok(y) => y,
    };
    let y = masked::blend(f, &mask.open, y, f32::from(closed))?;
    Ok(Value::Activation(f.broadcast_to(y, &shape)?))
}

/// The comparison of two finite values, one of which depends on the inputs.
fn compared(
    f: &mut Formula,
    a: Value,
    b: Value,
    order: Order,
    boolean: bool,
) -> Result<ValueId, Error> {
    let (a, b) = match order {
        // The difference of the smaller from the larger, or the other way round.
        Order::Less | Order::GreaterOrEqual | Order::Equal => (a, b),
        Order::Greater | Order::LessOrEqual => (b, a),
    };
    let d = difference(f, a, b)?;
    match order {
        Order::Equal if boolean => {
            let unequal = f.square(d)?;
            not(f, unequal)
        }
        Order::Equal => is_zero(f, d),
        Order::LessOrEqual | Order::GreaterOrEqual => f.apply(Activation::Step, d),
        Order::Less | Order::Greater => {
            let y = f.apply(Activation::Step, d)?;
            not(f, y)
        }
    }
}

/// What a constant is everywhere, if that is infinite, as good as infinite, or no number.
fn infinite(c: &Constant) -> Option<f32> {
    let Cells::Float(cells) = c.tensor.cells() else {
        return None;
    };
    let first = *cells.first().filter(|x| x.is_nan() || x.abs() >= -BEYOND)?;
    let same = cells.iter().all(|x| x.to_bits() == first.to_bits());
    same.then_some(first)
}

fn constants(
    node: &Node,
    writer: &mut Writer,
    a: Constant,
    b: Constant,
    order: Order,
) -> Result<Vec<Value>, Error> {
    let float = move |a: f32, b: f32| order.holds(a, b);
    let int = move |a: i64, b: i64| match order {
        Order::Less => a < b,
        Order::LessOrEqual => a <= b,
        Order::Greater => a > b,
        Order::GreaterOrEqual => a >= b,
        Order::Equal => a == b,
    };
    pair::compare(node, writer, a, b, float, int)
}

/// Whether `a = b`.
pub(crate) fn equal(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    compare(node, writer, Order::Equal)
}

/// Whether `a < b`.
pub(crate) fn less(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    compare(node, writer, Order::Less)
}

/// Whether `a <= b`.
pub(crate) fn less_or_equal(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    compare(node, writer, Order::LessOrEqual)
}

/// Whether `a > b`.
pub(crate) fn greater(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    compare(node, writer, Order::Greater)
}

/// Whether `a >= b`.
pub(crate) fn greater_or_equal(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    compare(node, writer, Order::GreaterOrEqual)
}

/// Whether cells of `x` have a property that no finite number has.
fn never(
    node: &mut Node,
    writer: &mut Writer,
    x: &Value,
    property: impl Fn(f32) -> bool,
) -> Result<Vec<Value>, Error> {
    let shape = writer.shape_of(x).to_vec();
    node.gives(0, Element::Bool);
    if let Element::Masked(id) = node.element(0) {
        let mask = writer.mask(id).clone();
        if !mask.exact && property(mask.closed.low()) {
            let mut f = Formula::new(node, writer);
            let open = f.writer.lift(f.node, mask.open)?;
            let closed = not(&mut f, open)?;
            return one(Value::Activation(f.broadcast_to(closed, &shape)?));
        }
    }
    let cells = writer.allow(node, count(&shape))?;
    let cells = match x {
        Value::Constant(x) => match x.tensor.cells() {
            Cells::Float(x) => x.iter().map(|&x| property(x)).collect(),
            _ => vec![false; cells],
        },
        Value::Activation(_) => vec![false; cells],
    };
    one(folded(Tensor::new(shape, Cells::Bool(cells))))
}

/// Whether a cell is NaN: of what is computed none is, of an input those that are missing.
pub(crate) fn is_nan(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    node.at_most(1)?;
    let x = node.value(0)?;
    if let (&Value::Activation(x), Element::Float) = (&x, node.element(0))
        && writer.may_be_missing(x)
    {
        node.gives(0, Element::Bool);
        return one(Value::Activation(Formula::new(node, writer).is_missing(x)?));
    }
    never(node, writer, &x, f32::is_nan)
}

/// Whether a cell is infinite.
pub(crate) fn is_inf(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    let negative = node.flag("detect_negative")? != Some(false);
    let positive = node.flag("detect_positive")? != Some(false);
    node.at_most(1)?;
    let x = node.value(0)?;
    never(node, writer, &x, |x| {
        x == f32::INFINITY && positive || x == f32::NEG_INFINITY && negative
    })
}
