//! Truth values, 1 and 0, as polynomials: `a and b = a b`, `a or b = a + b - a b`,
//! `a xor b = a + b - 2 a b`, `not a = 1 - a`; comparisons by the sign of a difference; and Where.

use ndarray::{ArrayD, arr0};
use zkstrata_model_ir::float::{Activation, ValueId};

use super::arithmetic::{broadcast, folded, operands};
use super::formula::Formula;
use super::masked;
use super::{one, pair};
use crate::Error;
use crate::import::Importer;
use crate::masks;
use crate::node::Node;
use crate::tensor::{Cells, Tensor, count};
use crate::value::{Constant, Element, Value};

/// `1 - x`
pub(super) fn not(f: &mut Formula, x: ValueId) -> Result<ValueId, Error> {
    f.affine(x, -1.0, 1.0)
}

/// `[x = 0] = [x >= 0] + [-x >= 0] - 1`, whatever the range of `x`
pub(super) fn is_zero(f: &mut Formula, x: ValueId) -> Result<ValueId, Error> {
    let minus = f.negated(x)?;
    let above = f.apply(Activation::Step, x)?;
    let below = f.apply(Activation::Step, minus)?;
    let both = f.add(above, below)?;
    f.affine(both, 1.0, -1.0)
}

/// `a - b` for two operands of which one depends on the inputs.
fn difference(f: &mut Formula, a: Value, b: Value) -> Result<ValueId, Error> {
    match (a, b) {
        (Value::Activation(a), Value::Activation(b)) => f.sub(a, b),
        (Value::Activation(a), Value::Constant(c)) => {
            f.affine_by(a, arr0(1.0).into_dyn(), -c.into_weight()?)
        }
        (a, b) => {
            let (c, b) = (f.importer.lift(f.node, a)?, f.importer.lift(f.node, b)?);
            f.sub(c, b)
        }
    }
}

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

fn compare(node: &mut Node, importer: &mut Importer, order: Order) -> Result<Vec<Value>, Error> {
    let (a, b) = operands(node)?;
    let (of_a, of_b) = (node.element(0), node.element(1));
    node.gives(0, Element::Bool);
    if let (Value::Constant(a), Value::Constant(b)) = (&a, &b) {
        return constants(node, importer, a.clone(), b.clone(), order);
    }
    let mut f = Formula::new(node, importer);
    let masked = |f: &Formula, element| match element {
        Element::Masked(id) => !f.importer.mask(id).exact,
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
    let shape = broadcast(f.node, f.importer.shape_of(&a), f.importer.shape_of(&b))?;
    let mask = match of_a {
        Element::Masked(id) => Some(f.importer.mask(id).clone()).filter(|mask| !mask.exact),
        _ => None,
    };
    if let Value::Activation(b) = b {
        masked::exact(f.node, f.importer, b, of_b)?;
    }
    let boolean = of_a == Element::Bool;
    let infinity = match &b {
        Value::Constant(c) => infinite(c),
        Value::Activation(_) => None,
    };
    let truth = |f: &mut Formula, holds: bool| {
        let cells = f.importer.allow(f.node, count(&shape))?;
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
        (_, Some(infinity)) => order.holds(mask.fill, infinity),
        (Value::Activation(_), None) => order.holds(f32::NEG_INFINITY, 0.0),
        (Value::Constant(c), None) => {
            let Cells::Float(cells) = c.tensor.cells() else {
                return Err(f.node.shape_error("a comparison of a mask with integers"));
            };
            let holds = cells.iter().filter(|&&c| order.holds(mask.fill, c)).count();
            if holds != 0 && holds != cells.len() {
                return Err(f.node.unsupported(masks::beyond(mask.fill)));
            }
            holds > 0
        }
    };
    let open = match (infinity, mask.finite) {
        (Some(infinity), _) => Err(order.holds(0.0, infinity)),
        (None, Some(finite)) => Ok(compared(f, Value::Activation(finite), b, order, boolean)?),
        (None, None) => {
            let zero = folded(Tensor::new(vec![], Cells::Float(vec![0.0])));
            let zero = Value::Activation(f.importer.lift(f.node, zero)?);
            Ok(compared(f, zero, b, order, boolean)?)
        }
    };
    let y = match open {
        Err(open) if open == closed => return truth(f, open),
        Err(open) => {
            let one = folded(Tensor::new(vec![], Cells::Float(vec![f32::from(open)])));
            f.importer.lift(f.node, one)?
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

/// What a constant is everywhere, if that is infinite or no number.
fn infinite(c: &Constant) -> Option<f32> {
    let Cells::Float(cells) = c.tensor.cells() else {
        return None;
    };
    let first = *cells.first().filter(|x| !x.is_finite())?;
    let same = cells.iter().all(|x| x.to_bits() == first.to_bits());
    same.then_some(first)
}

fn constants(
    node: &Node,
    importer: &mut Importer,
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
    pair::compare(node, importer, a, b, float, int)
}

/// Whether `a = b`.
pub(super) fn equal(node: &mut Node, importer: &mut Importer) -> Result<Vec<Value>, Error> {
    compare(node, importer, Order::Equal)
}

/// Whether `a < b`.
pub(super) fn less(node: &mut Node, importer: &mut Importer) -> Result<Vec<Value>, Error> {
    compare(node, importer, Order::Less)
}

/// Whether `a <= b`.
pub(super) fn less_or_equal(node: &mut Node, importer: &mut Importer) -> Result<Vec<Value>, Error> {
    compare(node, importer, Order::LessOrEqual)
}

/// Whether `a > b`.
pub(super) fn greater(node: &mut Node, importer: &mut Importer) -> Result<Vec<Value>, Error> {
    compare(node, importer, Order::Greater)
}

/// Whether `a >= b`.
pub(super) fn greater_or_equal(
    node: &mut Node,
    importer: &mut Importer,
) -> Result<Vec<Value>, Error> {
    compare(node, importer, Order::GreaterOrEqual)
}

/// `a + b + factor a b` of truth values.
fn joined(node: &mut Node, importer: &mut Importer, factor: f32) -> Result<Vec<Value>, Error> {
    let y = match truths(node, importer)? {
        (x, Value::Constant(c)) => {
            let c = c.into_weight()?;
            let scale = c.mapv(|b| 1.0 + factor * b);
            Formula::new(node, importer).affine_by(x, scale, c)?
        }
        (x, Value::Activation(y)) => {
            let mut f = Formula::new(node, importer);
            let both = f.product(x, y)?;
            let both = f.affine(both, factor, 0.0)?;
            let sum = f.add(x, y)?;
            f.add(sum, both)?
        }
    };
    one(Value::Activation(y))
}

/// Two truth values, a constant one last.
fn truths(node: &mut Node, importer: &mut Importer) -> Result<(ValueId, Value), Error> {
    let (a, b) = operands(node)?;
    if node.element(0) != Element::Bool {
        return Err(node.shape_error(format!("{} of {}s", node.op(), node.element(0).name())));
    }
    Ok(match (a, b) {
        (Value::Activation(x), y) | (y, Value::Activation(x)) => (x, y),
        (x, y) => (importer.lift(node, x)?, y),
    })
}

/// `a and b`
pub(super) fn and(node: &mut Node, importer: &mut Importer) -> Result<Vec<Value>, Error> {
    let (x, y) = truths(node, importer)?;
    one(Value::Activation(Formula::new(node, importer).times(x, y)?))
}

/// `a or b`
pub(super) fn or(node: &mut Node, importer: &mut Importer) -> Result<Vec<Value>, Error> {
    joined(node, importer, -1.0)
}

/// `a xor b`
pub(super) fn xor(node: &mut Node, importer: &mut Importer) -> Result<Vec<Value>, Error> {
    joined(node, importer, -2.0)
}

/// `not a`
pub(super) fn negation(node: &mut Node, importer: &mut Importer) -> Result<Vec<Value>, Error> {
    node.at_most(1)?;
    if node.element(0) != Element::Bool {
        return Err(node.shape_error(format!("Not of {}s", node.element(0).name())));
    }
    let x = importer.activation(node, 0)?;
    one(Value::Activation(not(
        &mut Formula::new(node, importer),
        x,
    )?))
}

/// `c ? a : b = b + c (a - b)`
pub(super) fn select(node: &mut Node, importer: &mut Importer) -> Result<Vec<Value>, Error> {
    node.at_most(3)?;
    let values = (node.value(0)?, node.value(1)?, node.value(2)?);
    let (of_a, of_b) = (node.element(1), node.element(2));
    if node.element(0) != Element::Bool || of_a.unmasked() != of_b.unmasked() {
        let name = |i| node.element(i).name();
        let (c, a, b) = (name(0), name(1), name(2));
        return Err(node.shape_error(format!("Where by {c}s of {a}s and {b}s")));
    }
    let (c, a, b) = values;
    let mut f = Formula::new(node, importer);
    let sides = [(a.clone(), of_a), (b.clone(), of_b)];
    let plainly = |f: &mut Formula, c, a, b| chosen(f.node, f.importer, c, a, b);
    if let Some((y, element)) = masked::chosen(&mut f, &c, sides, plainly)? {
        node.gives(0, element);
        return one(y);
    }
    node.gives(0, of_a.unmasked());
    one(chosen(node, importer, c, a, b)?)
}

/// `c ? a : b`, for `a` and `b` of one kind of elements.
pub(super) fn chosen(
    node: &Node,
    importer: &mut Importer,
    c: Value,
    a: Value,
    b: Value,
) -> Result<Value, Error> {
    let (c, a, b) = match (c, a, b) {
        (Value::Constant(c), Value::Constant(a), Value::Constant(b)) => {
            return pair::select(node, importer, &c, a, b);
        }
        values => values,
    };
    let mut f = Formula::new(node, importer);
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
                f.importer.allow(node, count(&shape))?;
                let (Some(a), Some(b)) = (a.broadcast(shape.clone()), b.broadcast(shape)) else {
                    return Err(node.shape_error("its constants do not broadcast"));
                };
                f.affine_by(c, &a - &b, b.to_owned())?
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
            f.importer.allow(f.node, count(&shape))?;
            Err(&x * c)
        }
    })
}

/// Whether cells have a property that no finite number has.
fn never(
    node: &mut Node,
    importer: &mut Importer,
    property: impl Fn(f32) -> bool,
) -> Result<Vec<Value>, Error> {
    node.at_most(1)?;
    let x = node.value(0)?;
    let shape = importer.shape_of(&x).to_vec();
    node.gives(0, Element::Bool);
    if let Element::Masked(id) = node.element(0) {
        let mask = importer.mask(id).clone();
        if !mask.exact && property(mask.fill) {
            let mut f = Formula::new(node, importer);
            let open = f.importer.lift(f.node, mask.open)?;
            let closed = not(&mut f, open)?;
            return one(Value::Activation(f.broadcast_to(closed, &shape)?));
        }
    }
    let cells = importer.allow(node, count(&shape))?;
    let cells = match &x {
        Value::Constant(x) => match x.tensor.cells() {
            Cells::Float(x) => x.iter().map(|&x| property(x)).collect(),
            _ => vec![false; cells],
        },
        Value::Activation(_) => vec![false; cells],
    };
    one(folded(Tensor::new(shape, Cells::Bool(cells))))
}

/// Whether a cell is NaN.
pub(super) fn is_nan(node: &mut Node, importer: &mut Importer) -> Result<Vec<Value>, Error> {
    never(node, importer, f32::is_nan)
}

/// Whether a cell is infinite.
pub(super) fn is_inf(node: &mut Node, importer: &mut Importer) -> Result<Vec<Value>, Error> {
    let negative = node.flag("detect_negative")? != Some(false);
    let positive = node.flag("detect_positive")? != Some(false);
    never(node, importer, |x| {
        x == f32::INFINITY && positive || x == f32::NEG_INFINITY && negative
    })
}
