//! Masks: real numbers of which some are so low that their exponential is 0, negative infinity or
//! a number that stands for it.
//!
//! A *masked* value has the numbers `x` where its mask is *open*, `o = 1`, and a low number
//! elsewhere, `o = 0`. It arises where such a constant meets an activation: `x + c`,
//! `c ? x : -1e9`, `(1 - m) -1e4`. Softmax, comparisons and the like read `x` and `o`, so that the
//! low number takes part in no arithmetic; operators that move cells move both; an elementwise
//! function has its value at the low number where the mask is closed. What knows nothing of masks
//! reads the numbers as ONNX has them, unless they are beyond all arithmetic: that is refused.

mod arise;
mod frame;
mod shares;

use ndarray::ArrayD;
use zkstrata_model_ir::float::ValueId;

pub(super) use self::arise::{chosen, concatenated, difference, negated, padded, scaled, sum};
pub(super) use self::frame::open_box;
pub(super) use self::shares::{Whole, shares};
use super::arithmetic::folded;
use super::formula::Formula;
use super::pair;
use crate::Error;
use crate::import::Importer;
use crate::masks::{Mask, beyond};
use crate::node::Node;
use crate::tensor::{Cells, Tensor};
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

/// A constant of numbers.
pub(super) fn array(cells: ArrayD<f32>) -> Value {
    let shape = cells.shape().to_vec();
    folded(Tensor::new(
        shape,
        Cells::Float(cells.into_iter().collect()),
    ))
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
