//! Elementwise nonlinearities: Relu, `LeakyRelu`, Clip, Sigmoid, Tanh.

use zkstrata_model_ir::float::{Activation, Op};

use super::one;
use crate::Error;
use crate::import::Importer;
use crate::node::Node;
use crate::value::Value;

fn apply(
    node: &mut Node,
    importer: &mut Importer,
    activation: Activation,
) -> Result<Vec<Value>, Error> {
    let x = importer.activation(node, 0)?;
    let y = importer.add(node, Op::Activation(activation), &[x])?;
    one(Value::Activation(y))
}

/// `max(x, 0)`
pub(super) fn relu(node: &mut Node, importer: &mut Importer) -> Result<Vec<Value>, Error> {
    node.at_most(1)?;
    apply(node, importer, Activation::Relu)
}

/// `x` if `x >= 0`, else `alpha x`
pub(super) fn leaky_relu(node: &mut Node, importer: &mut Importer) -> Result<Vec<Value>, Error> {
    node.at_most(1)?;
    let alpha = node.float("alpha")?.unwrap_or(0.01);
    if !alpha.is_finite() {
        return Err(node.bad_attribute("alpha", format!("is {alpha}")));
    }
    apply(node, importer, Activation::LeakyRelu { alpha })
}

/// `1 / (1 + exp(-x))`
pub(super) fn sigmoid(node: &mut Node, importer: &mut Importer) -> Result<Vec<Value>, Error> {
    node.at_most(1)?;
    apply(node, importer, Activation::Sigmoid)
}

/// `tanh(x)`
pub(super) fn tanh(node: &mut Node, importer: &mut Importer) -> Result<Vec<Value>, Error> {
    node.at_most(1)?;
    apply(node, importer, Activation::Tanh)
}

/// `min(max(x, lo), hi)`; the bounds are attributes before opset 11 and inputs since.
pub(super) fn clip(node: &mut Node, importer: &mut Importer) -> Result<Vec<Value>, Error> {
    let (lo, hi) = if node.opset() < 11 {
        node.at_most(1)?;
        (node.float("min")?, node.float("max")?)
    } else {
        node.at_most(3)?;
        (node.optional_scalar(1)?, node.optional_scalar(2)?)
    };
    let lo = lo.unwrap_or(f32::NEG_INFINITY);
    let hi = hi.unwrap_or(f32::INFINITY);
    if lo.is_nan() || hi.is_nan() {
        return Err(node.shape_error(format!("Clip has the bounds {lo} and {hi}")));
    }
    // ONNX gives `hi` everywhere when the bounds are reversed.
    let lo = lo.min(hi);
    apply(node, importer, Activation::Clip { lo, hi })
}
