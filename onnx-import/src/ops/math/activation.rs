//! Elementwise functions of one argument. Those without parameters are named in the table alone.

use ndarray::arr0;
use zkstrata_model_ir::float::{Activation, ValueId};

use crate::Error;
use crate::decode::tensor::Cells;
use crate::ops::one;
use crate::scope::node::Node;
use crate::scope::value::{Element, Value};
use crate::write::Writer;
use crate::write::formula::Formula;

/// `activation(x)`
pub(crate) fn apply(
    node: &mut Node,
    writer: &mut Writer,
    activation: Activation,
) -> Result<Vec<Value>, Error> {
    node.at_most(1)?;
    let whole =
        matches!(activation, Activation::Relu | Activation::Abs) || activation.is_integral();
    if node.element(0) != Element::Float && !whole {
        let (op, element) = (node.op(), node.element(0).name());
        return Err(node.unsupported(format!("{op} of {element}s: cast them to float before")));
    }
    let x = writer.activation(node, 0)?;
    let y = Formula::new(node, writer).apply(activation, x)?;
    one(Value::Activation(y))
}

/// The float attribute `name`, finite.
fn parameter(node: &Node, name: &str, default: f32) -> Result<f32, Error> {
    let x = node.float(name)?.unwrap_or(default);
    if x.is_finite() {
        return Ok(x);
    }
    Err(node.bad_attribute(name, format!("is {x}")))
}

/// `x` if `x >= 0`, else `alpha x`
pub(crate) fn leaky_relu(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    let alpha = parameter(node, "alpha", 0.01)?;
    apply(node, writer, Activation::LeakyRelu { alpha })
}

/// `x` if `x >= 0`, else `alpha (exp(x) - 1)`
pub(crate) fn elu(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    let alpha = parameter(node, "alpha", 1.0)?;
    let (beta, gamma) = (1.0, 1.0);
    apply(node, writer, Activation::Elu { alpha, beta, gamma })
}

/// `gamma x` if `x > 0`, else `gamma alpha (exp(x) - 1)`
pub(crate) fn selu(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    let alpha = parameter(node, "alpha", 1.673_263_2)?;
    let gamma = parameter(node, "gamma", 1.050_701)?;
    let beta = 1.0;
    apply(node, writer, Activation::Elu { alpha, beta, gamma })
}

/// `max(0, x) + min(0, alpha (exp(x / alpha) - 1))`
pub(crate) fn celu(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    let alpha = parameter(node, "alpha", 1.0)?;
    let (beta, gamma) = (alpha, 1.0);
    apply(node, writer, Activation::Elu { alpha, beta, gamma })
}

/// `max(0, min(1, alpha x + beta))`
pub(crate) fn hard_sigmoid(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    let alpha = parameter(node, "alpha", 0.2)?;
    let beta = parameter(node, "beta", 0.5)?;
    apply(node, writer, Activation::HardSigmoid { alpha, beta })
}

/// `x Phi(x)`, or its approximation by tanh.
pub(crate) fn gelu(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    match node.string("approximate")?.unwrap_or("none") {
        "none" => apply(node, writer, Activation::Gelu),
        "tanh" => apply(node, writer, Activation::GeluTanh),
        other => Err(node.bad_attribute("approximate", format!("is `{other}`"))),
    }
}

/// `x sigmoid(alpha x)`
pub(crate) fn swish(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    let alpha = parameter(node, "alpha", 1.0)?;
    apply(node, writer, Activation::Swish { alpha })
}

/// `a sigmoid(alpha a) b`, of equal shapes
pub(crate) fn swiglu(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    let alpha = parameter(node, "alpha", 1.0)?;
    node.at_most(2)?;
    let a = writer.activation(node, 0)?;
    let b = node.value(1)?;
    if writer.shape(a) != writer.shape_of(&b) {
        return Err(node.shape_error("its operands differ in shape"));
    }
    let mut f = Formula::new(node, writer);
    let gate = f.apply(Activation::Swish { alpha }, a)?;
    one(Value::Activation(f.times(gate, b)?))
}

/// `x` if `x > alpha`, else 0
pub(crate) fn thresholded_relu(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    let alpha = parameter(node, "alpha", 1.0)?;
    apply(node, writer, Activation::ThresholdedRelu { alpha })
}

/// `x` moved towards 0 by `bias` where its magnitude exceeds `lambd`, 0 elsewhere
pub(crate) fn shrink(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    let lambda = parameter(node, "lambd", 0.5)?;
    let bias = parameter(node, "bias", 0.0)?;
    if node.element(0) != Element::Float {
        return Err(node.unsupported("it shrinks integers: cast them to float before"));
    }
    apply(node, writer, Activation::Shrink { lambda, bias })
}

/// `[x >= 0] - [-x >= 0]`
pub(crate) fn sign(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    node.at_most(1)?;
    let x = writer.activation(node, 0)?;
    let mut f = Formula::new(node, writer);
    let minus = f.negated(x)?;
    let above = f.apply(Activation::Step, x)?;
    let below = f.apply(Activation::Step, minus)?;
    one(Value::Activation(f.sub(above, below)?))
}

/// `max(x, 0) - slope max(-x, 0)`, the slope broadcast to `x`
pub(crate) fn prelu(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    node.at_most(2)?;
    let x = writer.activation(node, 0)?;
    let slope = node.value(1)?;
    let mut f = Formula::new(node, writer);
    let minus = f.negated(x)?;
    let above = f.apply(Activation::Relu, x)?;
    let below = f.apply(Activation::Relu, minus)?;
    let y = match slope {
        Value::Constant(slope) => {
            let slope = slope.into_weight()?;
            let below = f.affine_by(below, -slope, arr0(0.0).into_dyn())?;
            f.add(above, below)?
        }
        Value::Activation(slope) => {
            let below = f.product(below, slope)?;
            f.sub(above, below)?
        }
    };
    if f.shape(y) != f.shape(x) {
        return Err(node.shape_error("its slope does not broadcast to its input"));
    }
    one(Value::Activation(y))
}

/// A bound of Clip.
enum Bound {
    /// A number, perhaps infinite.
    Number(f32),
    /// A scalar that depends on the inputs.
    Activation(ValueId),
}

/// The bound in operand `index`, of one cell.
fn bound(node: &mut Node, index: usize, absent: f32) -> Result<Bound, Error> {
    match node.take(index) {
        None => Ok(Bound::Number(absent)),
        Some(Value::Activation(x)) => Ok(Bound::Activation(x)),
        Some(Value::Constant(c)) => match c.tensor.cells() {
            Cells::Float(cells) if cells.len() == 1 => Ok(Bound::Number(cells[0])),
            Cells::Int(cells) if cells.len() == 1 => Ok(Bound::Number(cells[0] as f32)),
            other => Err(node.shape_error(format!(
                "input {index} of Clip must be one number, got {} of shape {:?}",
                other.kind(),
                c.tensor.shape()
            ))),
        },
    }
}

/// `min(max(x, lo), hi)`; the bounds are attributes before opset 11 and inputs since.
pub(crate) fn clip(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    let x = writer.activation(node, 0)?;
    let (lo, hi) = if node.opset() < 11 {
        node.at_most(1)?;
        let lo = node.float("min")?.unwrap_or(f32::NEG_INFINITY);
        let hi = node.float("max")?.unwrap_or(f32::INFINITY);
        (Bound::Number(lo), Bound::Number(hi))
    } else {
        node.at_most(3)?;
        let lo = bound(node, 1, f32::NEG_INFINITY)?;
        (lo, bound(node, 2, f32::INFINITY)?)
    };
    if let (Bound::Number(lo), Bound::Number(hi)) = (&lo, &hi)
        && (lo.is_nan() || hi.is_nan())
    {
        return Err(node.shape_error(format!("Clip has the bounds {lo} and {hi}")));
    }
    let mut f = Formula::new(node, writer);
    let y = match (lo, hi) {
        // ONNX gives `hi` everywhere when the bounds are reversed.
        (Bound::Number(lo), Bound::Number(hi)) => {
            // Every finite number is inside of infinite bounds, and of the largest ones.
            let lo = if lo <= f32::MIN {
                f32::NEG_INFINITY
            } else {
                lo
            };
            let hi = if hi >= f32::MAX { f32::INFINITY } else { hi };
            match (lo.min(hi), hi) {
                (f32::NEG_INFINITY, f32::INFINITY) => x,
                (lo, hi) if lo >= hi => f.affine(x, 0.0, hi)?,
                (lo, hi) => f.apply(Activation::Clip { lo, hi }, x)?,
            }
        }
        (lo, hi) => {
            let x = match lo {
                Bound::Number(f32::NEG_INFINITY) => x,
                Bound::Number(lo) => {
                    let hi = f32::INFINITY;
                    f.apply(Activation::Clip { lo, hi }, x)?
                }
                Bound::Activation(lo) => f.max(x, lo)?,
            };
            match hi {
                Bound::Number(f32::INFINITY) => x,
                Bound::Number(hi) => {
                    let lo = f32::NEG_INFINITY;
                    f.apply(Activation::Clip { lo, hi }, x)?
                }
                Bound::Activation(hi) => f.min(x, hi)?,
            }
        }
    };
    one(Value::Activation(y))
}
