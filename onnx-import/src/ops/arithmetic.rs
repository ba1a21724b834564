//! Arithmetic of activations and constants, with ONNX's broadcasting.
//!
//! An activation and a constant make `X * scale + shift`; two activations can be added and
//! subtracted; two constants are folded.

use ndarray::{ArrayD, arr0};
use zkstrata_model_ir::float::{Op, ValueId};

use super::index::broadcast_indices;
use super::one;
use crate::Error;
use crate::import::Importer;
use crate::node::Node;
use crate::tensor::{Cells, Tensor, count};
use crate::value::{Constant, Element, Value, finite};

/// The shape to which both operands are broadcast.
pub(super) fn broadcast(node: &Node, a: &[usize], b: &[usize]) -> Result<Vec<usize>, Error> {
    let rank = a.len().max(b.len());
    let dim = |shape: &[usize], i: usize| match (i + shape.len()).checked_sub(rank) {
        Some(i) => shape[i],
        None => 1,
    };
    (0..rank)
        .map(|i| match (dim(a, i), dim(b, i)) {
            (m, n) if m == n || n == 1 => Ok(m),
            (1, n) => Ok(n),
            _ => Err(node.shape_error(format!("the shapes {a:?} and {b:?} do not broadcast"))),
        })
        .collect()
}

/// `X * scale + shift`. The constants may give the result leading axes of length 1, but may not
/// repeat the activation.
pub(super) fn affine(
    node: &Node,
    importer: &mut Importer,
    x: ValueId,
    scale: ArrayD<f32>,
    shift: ArrayD<f32>,
) -> Result<ValueId, Error> {
    let shape = broadcast(node, scale.shape(), shift.shape())?;
    let shape = broadcast(node, importer.shape(x), &shape)?;
    let x = widened(node, importer, x, shape)?;
    importer.add(node, Op::Affine { scale, shift }, &[x])
}

/// `x` with the broadcast shape `shape`, which may only add axes of length 1.
fn widened(
    node: &Node,
    importer: &mut Importer,
    x: ValueId,
    shape: Vec<usize>,
) -> Result<ValueId, Error> {
    let from = importer.shape(x);
    if count(from) != count(&shape) {
        return Err(node.shape_error(format!(
            "an activation of shape {from:?} would be repeated to shape {shape:?}: broadcasting \
             activations is not supported, only constants"
        )));
    }
    importer.reshape(node, x, shape)
}

/// The two operands of a binary operator.
fn operands(node: &mut Node) -> Result<(Value, Value), Error> {
    node.at_most(2)?;
    Ok((node.value(0)?, node.value(1)?))
}

/// The sum or difference of two activations.
fn combine(
    node: &Node,
    importer: &mut Importer,
    op: Op,
    x: ValueId,
    y: ValueId,
) -> Result<Vec<Value>, Error> {
    let shape = broadcast(node, importer.shape(x), importer.shape(y))?;
    let x = widened(node, importer, x, shape.clone())?;
    let y = widened(node, importer, y, shape)?;
    let z = importer.add(node, op, &[x, y])?;
    one(Value::Activation(z))
}

/// `X * scale + shift` with one number for `scale` and a weight for `shift`.
fn shifted(
    node: &Node,
    importer: &mut Importer,
    x: ValueId,
    scale: f32,
    shift: ArrayD<f32>,
) -> Result<Vec<Value>, Error> {
    let y = affine(node, importer, x, arr0(scale).into_dyn(), shift)?;
    one(Value::Activation(y))
}

/// `A + B`
pub(super) fn add(node: &mut Node, importer: &mut Importer) -> Result<Vec<Value>, Error> {
    match operands(node)? {
        (Value::Activation(x), Value::Activation(y)) => combine(node, importer, Op::Add, x, y),
        (Value::Activation(x), Value::Constant(c)) | (Value::Constant(c), Value::Activation(x)) => {
            shifted(node, importer, x, 1.0, c.into_weight()?)
        }
        (a, b) => fold(node, importer, a, b, |a, b| a + b, i64::checked_add),
    }
}

/// `A - B`
pub(super) fn sub(node: &mut Node, importer: &mut Importer) -> Result<Vec<Value>, Error> {
    match operands(node)? {
        (Value::Activation(x), Value::Activation(y)) => combine(node, importer, Op::Sub, x, y),
        (Value::Activation(x), Value::Constant(c)) => {
            shifted(node, importer, x, 1.0, -c.into_weight()?)
        }
        (Value::Constant(c), Value::Activation(x)) => {
            shifted(node, importer, x, -1.0, c.into_weight()?)
        }
        (a, b) => fold(node, importer, a, b, |a, b| a - b, i64::checked_sub),
    }
}

/// `A * B`, elementwise; one of them constant.
pub(super) fn mul(node: &mut Node, importer: &mut Importer) -> Result<Vec<Value>, Error> {
    match operands(node)? {
        (Value::Activation(_), Value::Activation(_)) => Err(node.unsupported(
            "both factors depend on the model's inputs: only multiplication by a constant is \
             supported",
        )),
        (Value::Activation(x), Value::Constant(c)) | (Value::Constant(c), Value::Activation(x)) => {
            let y = affine(node, importer, x, c.into_weight()?, arr0(0.0).into_dyn())?;
            one(Value::Activation(y))
        }
        (a, b) => fold(node, importer, a, b, |a, b| a * b, i64::checked_mul),
    }
}

/// `A / B`, elementwise; `B` constant. Integers round towards zero.
pub(super) fn div(node: &mut Node, importer: &mut Importer) -> Result<Vec<Value>, Error> {
    match operands(node)? {
        (_, Value::Activation(_)) => Err(node.unsupported(
            "its divisor depends on the model's inputs: only division by a constant is supported",
        )),
        (Value::Activation(_), Value::Constant(_)) if node.element(0) != Element::Float => {
            Err(node.unsupported("it divides integers: convert them to float before"))
        }
        (Value::Activation(x), Value::Constant(c)) => {
            let name = c.name.clone();
            let scale = c.into_weight()?.mapv(f32::recip);
            let scale = finite(&format!("1 / {name}"), scale)?;
            let y = affine(node, importer, x, scale, arr0(0.0).into_dyn())?;
            one(Value::Activation(y))
        }
        (a, b) => fold(node, importer, a, b, |a, b| a / b, i64::checked_div),
    }
}

/// The smaller of two constants.
pub(super) fn min(node: &mut Node, importer: &mut Importer) -> Result<Vec<Value>, Error> {
    let (a, b) = operands(node)?;
    fold(node, importer, a, b, f32::min, |a, b| Some(a.min(b)))
}

/// The larger of two constants.
pub(super) fn max(node: &mut Node, importer: &mut Importer) -> Result<Vec<Value>, Error> {
    let (a, b) = operands(node)?;
    fold(node, importer, a, b, f32::max, |a, b| Some(a.max(b)))
}

/// The remainder of two constants: with the sign of the divisor, or of the dividend (`fmod`).
pub(super) fn modulo(node: &mut Node, importer: &mut Importer) -> Result<Vec<Value>, Error> {
    let fmod = node.flag("fmod")? == Some(true);
    let (a, b) = operands(node)?;
    fold(
        node,
        importer,
        a,
        b,
        |a, b| a % b,
        |a, b| {
            let r = a.checked_rem(b)?;
            let wrong = !fmod && r != 0 && (r < 0) != (b < 0);
            Some(if wrong { r + b } else { r })
        },
    )
}

/// Whether two constants are equal.
#[allow(clippy::float_cmp, reason = "this is what the operator means")]
pub(super) fn equal(node: &mut Node, importer: &mut Importer) -> Result<Vec<Value>, Error> {
    compare(node, importer, |a, b| a == b, |a, b| a == b)
}

/// Whether one constant is less than the other.
pub(super) fn less(node: &mut Node, importer: &mut Importer) -> Result<Vec<Value>, Error> {
    compare(node, importer, |a, b| a < b, |a, b| a < b)
}

/// Whether one constant is greater than the other.
pub(super) fn greater(node: &mut Node, importer: &mut Importer) -> Result<Vec<Value>, Error> {
    compare(node, importer, |a, b| a > b, |a, b| a > b)
}

/// Folds an operator of two constants of one type.
fn fold(
    node: &Node,
    importer: &mut Importer,
    a: Value,
    b: Value,
    float: impl Fn(f32, f32) -> f32,
    int: impl Fn(i64, i64) -> Option<i64>,
) -> Result<Vec<Value>, Error> {
    let pair = Pair::new(node, importer, a, b)?;
    let cells =
        match (pair.a.tensor.cells(), pair.b.tensor.cells()) {
            (Cells::Float(a), Cells::Float(b)) => {
                Cells::Float(pair.indices().map(|(i, j)| float(a[i], b[j])).collect())
            }
            (Cells::Int(a), Cells::Int(b)) => {
                let cells = pair.indices().map(|(i, j)| int(a[i], b[j])).collect();
                let cells: Option<Vec<i64>> = cells;
                Cells::Int(cells.ok_or_else(|| {
                    node.shape_error(format!("{} of constants overflows", node.op()))
                })?)
            }
            _ => return Err(pair.mismatch(node)),
        };
    one(folded(Tensor::new(pair.shape, cells)))
}

/// Folds a comparison of two constants of one type.
fn compare(
    node: &mut Node,
    importer: &mut Importer,
    float: impl Fn(f32, f32) -> bool,
    int: impl Fn(i64, i64) -> bool,
) -> Result<Vec<Value>, Error> {
    let (a, b) = operands(node)?;
    let pair = Pair::new(node, importer, a, b)?;
    let cells = match (pair.a.tensor.cells(), pair.b.tensor.cells()) {
        (Cells::Float(a), Cells::Float(b)) => {
            pair.indices().map(|(i, j)| float(a[i], b[j])).collect()
        }
        (Cells::Int(a), Cells::Int(b)) => pair.indices().map(|(i, j)| int(a[i], b[j])).collect(),
        (Cells::Bool(a), Cells::Bool(b)) => pair
            .indices()
            .map(|(i, j)| int(a[i].into(), b[j].into()))
            .collect(),
        _ => return Err(pair.mismatch(node)),
    };
    one(folded(Tensor::new(pair.shape, Cells::Bool(cells))))
}

/// `C ? A : B` for constants.
pub(super) fn select(node: &mut Node, importer: &mut Importer) -> Result<Vec<Value>, Error> {
    node.at_most(3)?;
    let condition = node.constant(0)?;
    let (a, b) = (node.value(1)?, node.value(2)?);
    let pair = Pair::new(node, importer, a, b)?;
    let Cells::Bool(choices) = condition.tensor.cells() else {
        return Err(pair.mismatch(node));
    };
    let shape = broadcast(node, condition.tensor.shape(), &pair.shape)?;
    importer.allow(node, count(&shape))?;
    let of = |constant: &Constant| broadcast_indices(constant.tensor.shape(), &shape);
    let both = of(&pair.a).zip(of(&pair.b));
    let chosen = of(&condition)
        .zip(both)
        .map(|(c, (i, j))| (choices[c], i, j));
    let cells = match (pair.a.tensor.cells(), pair.b.tensor.cells()) {
        (Cells::Float(a), Cells::Float(b)) => Cells::Float(
            chosen
                .map(|(c, i, j)| if c { a[i] } else { b[j] })
                .collect(),
        ),
        (Cells::Int(a), Cells::Int(b)) => Cells::Int(
            chosen
                .map(|(c, i, j)| if c { a[i] } else { b[j] })
                .collect(),
        ),
        _ => return Err(pair.mismatch(node)),
    };
    one(folded(Tensor::new(shape, cells)))
}

/// A folded constant; it is named after the value that it defines.
pub(super) fn folded(tensor: Tensor) -> Value {
    Value::Constant(Constant::new("", tensor))
}

/// Two constants and the shape to which they broadcast.
struct Pair {
    a: Constant,
    b: Constant,
    shape: Vec<usize>,
}

impl Pair {
    fn new(node: &Node, importer: &mut Importer, a: Value, b: Value) -> Result<Self, Error> {
        let (Value::Constant(a), Value::Constant(b)) = (a, b) else {
            return Err(node.unsupported("it is supported on constants only"));
        };
        let shape = broadcast(node, a.tensor.shape(), b.tensor.shape())?;
        importer.allow(node, count(&shape))?;
        Ok(Self { a, b, shape })
    }

    /// The cells of the operands that make each cell of the result.
    fn indices(&self) -> impl Iterator<Item = (usize, usize)> {
        let a = broadcast_indices(self.a.tensor.shape(), &self.shape);
        a.zip(broadcast_indices(self.b.tensor.shape(), &self.shape))
    }

    fn mismatch(&self, node: &Node) -> Error {
        node.shape_error(format!(
            "{} of {} and {} constants is not supported",
            node.op(),
            self.a.tensor.cells().kind(),
            self.b.tensor.cells().kind()
        ))
    }
}
