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

pub(crate) use self::arise::{chosen, concatenated, difference, negated, padded, scaled, sum};
pub(crate) use self::frame::open_box;
pub(crate) use self::shares::{Whole, shares};
use crate::Error;
use crate::decode::tensor::{Cells, Tensor};
use crate::scope::node::Node;
use crate::scope::value::{Constant, Element, MaskId, Value};
use crate::write::broadcast::folded;
use crate::write::formula::Formula;
use crate::write::{Writer, pair};

/// Cells at most this may be masked.
pub(crate) const LOW: f32 = -9e3;

/// Beside numbers that are not 0, masked cells are at most this: a number less is lost in it.
const FAR: f32 = -1e8;

/// No arithmetic is done with numbers at most this.
pub(crate) const BEYOND: f32 = -1e30;

/// An operand, masked or not.
#[derive(Clone)]
pub(crate) struct Operand {
    /// The activation or constant itself.
    plain: Value,
    /// Its numbers where it is open; `None` if they are 0.
    finite: Option<Value>,
    /// Which cells are open; `None` if all are.
    open: Option<Value>,
    closed: Closed,
    exact: bool,
    /// Its own mask, and that of which it is the maximum.
    id: Option<MaskId>,
    most_of: Option<MaskId>,
}

impl Operand {
    /// An operand that an operator has taken.
    pub(crate) fn new(writer: &Writer, value: Value, element: Element) -> Self {
        match (&value, element) {
            (Value::Activation(_), Element::Masked(id)) => {
                let mask = writer.mask(id).clone();
                Self {
                    plain: value,
                    finite: mask.finite.map(Value::Activation),
                    open: Some(mask.open),
                    closed: mask.closed,
                    exact: mask.exact,
                    id: Some(id),
                    most_of: mask.most_of,
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
            closed: Closed::Add(0.0),
            exact: true,
            id: None,
            most_of: None,
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
    pub(crate) fn is_masked(&self) -> bool {
        self.open.is_some()
    }

    /// The value without its mask.
    pub(crate) fn into_plain(self) -> Value {
        self.plain
    }

    /// The numbers of the open cells, and which those are.
    pub(crate) fn into_parts(self) -> (Option<Value>, Option<Value>) {
        (self.finite, self.open)
    }

    /// The numbers of the open cells, of a given shape.
    fn numbers(&self, f: &mut Formula, shape: &[usize]) -> Result<ValueId, Error> {
        let zero = || Tensor::new(vec![], Cells::Float(vec![0.0]));
        let finite = self.finite.clone().unwrap_or_else(|| folded(zero()));
        let finite = f.writer.lift(f.node, finite)?;
        f.broadcast_to(finite, shape)
    }
}

/// What is open in both; the values broadcast.
pub(crate) fn both(
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
    let folded = pair::fold(f.node, f.writer, a, b, float, |_, _| None)?;
    let first = folded.into_iter().next();
    first.ok_or_else(|| f.node.shape_error("an operator of constants gives nothing"))
}

/// An operand of an operator that computes with what masked cells hold.
pub(crate) fn exact(
    node: &Node,
    writer: &Writer,
    x: ValueId,
    element: Element,
) -> Result<ValueId, Error> {
    match element {
        Element::Masked(id) if !writer.mask(id).exact => {
            Err(node.unsupported(beyond(writer.mask(id).closed.low())))
        }
        _ => Ok(x),
    }
}

/// Truth values as numbers.
pub(crate) fn number(c: &Value) -> Value {
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
pub(crate) fn array(cells: ArrayD<f32>) -> Value {
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
        closed: Closed::Add(fill),
        exact: lowest > BEYOND,
        id: None,
        most_of: None,
    })
}

/// A masked activation. `finite` and `open` broadcast to `shape`; `plain` makes ONNX's numbers if
/// `exact`.
fn result(
    f: &mut Formula,
    shape: &[usize],
    finite: Option<ValueId>,
    (open, closed): (Value, Closed),
    plain: Option<ValueId>,
) -> Result<(Value, Element), Error> {
    let exact = plain.is_some();
    let plain = match (plain, finite) {
        (Some(plain), _) => plain,
        (None, Some(finite)) => f.broadcast_to(finite, shape)?,
        (None, None) => {
            let open = f.writer.lift(f.node, open.clone())?;
            f.broadcast_to(open, shape)?
        }
    };
    let mask = Mask {
        finite,
        open,
        closed,
        exact,
        most_of: None,
    };
    let element = Element::Masked(f.writer.add_mask(mask));
    Ok((Value::Activation(plain), element))
}

/// `1 - o`
fn complement(f: &mut Formula, open: Value) -> Result<Value, Error> {
    match open {
        Value::Activation(open) => Ok(Value::Activation(f.affine(open, -1.0, 1.0)?)),
        Value::Constant(open) => {
            let one = Constant::new("", Tensor::new(vec![], Cells::Float(vec![1.0])));
            constants(f, one, open, |a, b| a - b)
        }
    }
}

/// What the closed cells of a mask hold, about.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Closed {
    /// A low number.
    Hold(f32),
    /// Their own number and a low one.
    Add(f32),
}

impl Closed {
    /// The low number.
    pub(crate) fn low(self) -> f32 {
        match self {
            Self::Hold(low) | Self::Add(low) => low,
        }
    }

    /// The same with another low number.
    pub(crate) fn with(self, low: f32) -> Self {
        match self {
            Self::Hold(_) => Self::Hold(low),
            Self::Add(_) => Self::Add(low),
        }
    }

    /// The same, as single precision has it: a number is lost in a much larger one.
    fn absorbing(self) -> Self {
        match self {
            Self::Add(low) if low <= FAR => Self::Hold(low),
            other => other,
        }
    }

    /// What cells hold that are closed in one of two masks: the lower number.
    fn or(self, other: Self) -> Self {
        let low = self.low().min(other.low());
        match (self, other) {
            (Self::Add(_), Self::Add(_)) => Self::Add(low),
            _ => Self::Hold(low),
        }
    }
}

/// The mask of an activation.
#[derive(Clone, Debug)]
pub(crate) struct Mask {
    /// The numbers of the open cells; `None` if they are 0. Broadcasts to the activation's shape.
    pub(crate) finite: Option<ValueId>,
    /// 1 for open cells, 0 for others; broadcasts to the activation's shape.
    pub(crate) open: Value,
    /// What the others hold.
    pub(crate) closed: Closed,
    /// Whether the activation itself has ONNX's numbers; if not it has only their shape.
    pub(crate) exact: bool,
    /// The mask over some of whose axes this is the maximum.
    pub(crate) most_of: Option<MaskId>,
}

impl Writer {
    /// A mask of an earlier value.
    pub(crate) fn mask(&self, id: MaskId) -> &Mask {
        &self.masks[id.0]
    }

    /// Remembers a mask.
    pub(crate) fn add_mask(&mut self, mask: Mask) -> MaskId {
        self.masks.push(mask);
        MaskId(self.masks.len() - 1)
    }
}

/// What to do about an operator that would compute with what masked cells hold.
pub(crate) fn beyond(fill: f32) -> String {
    format!(
        "some cells of its operand are masked by {fill:e}, with which it would compute; Softmax, \
         Add, Sub, Where, Max, Min, ReduceMax, comparisons, elementwise functions and operators \
         that move cells may read such cells: mask by -1e4, or mask what Softmax reads"
    )
}
