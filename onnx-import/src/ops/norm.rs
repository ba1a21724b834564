//! Batch normalisation in inference mode.

use ndarray::ArrayD;
use zkstrata_model_ir::float::Op;

use super::one;
use crate::Error;
use crate::import::Importer;
use crate::node::Node;
use crate::value::{Value, finite};

/// `Y = (X - mean) scale / sqrt(var + epsilon) + B` for each channel, axis 1
pub(super) fn batch(node: &mut Node, importer: &mut Importer) -> Result<Vec<Value>, Error> {
    node.at_most(5)?;
    let x = importer.activation(node, 0)?;
    let parameters = (1..5)
        .map(|i| node.weight(i))
        .collect::<Result<Vec<_>, _>>()?;
    let epsilon = f64::from(node.float("epsilon")?.unwrap_or(1e-5));
    // The running averages' inertia matters in training only.
    let _ = node.float("momentum")?;
    let training = if node.opset() < 14 {
        false
    } else {
        node.flag("training_mode")? == Some(true)
    };
    if training || (1..5).any(|i| node.has_output(i)) {
        return Err(node.unsupported("it is in training mode: export the model in inference mode"));
    }
    if node.opset() < 9 && node.int("spatial")?.is_some_and(|spatial| spatial != 1) {
        return Err(node.unsupported("it normalises every element for itself (spatial = 0)"));
    }
    let shape = importer.shape(x);
    let Some(&channels) = shape.get(1) else {
        return Err(node.shape_error(format!("the input of shape {shape:?} has no channels")));
    };
    if let Some(bad) = parameters.iter().find(|p| p.shape() != [channels]) {
        return Err(node.shape_error(format!(
            "a parameter has shape {:?}, expected [{channels}]",
            bad.shape()
        )));
    }
    let mut broadcast = vec![1; shape.len() - 1];
    broadcast[0] = channels;
    let parameter = |i: usize, c: usize| f64::from(parameters[i][[c]]);
    let scale = |c| parameter(0, c) / (parameter(3, c) + epsilon).sqrt();
    let shift = |c| parameter(1, c) - parameter(2, c) * scale(c);
    let array = |cell: &dyn Fn(usize) -> f64| {
        let cells = (0..channels).map(|c| cell(c) as f32).collect();
        let array = ArrayD::from_shape_vec(broadcast.clone(), cells);
        finite(node.name(), array.expect("one cell per channel"))
    };
    let op = Op::Affine {
        scale: array(&scale)?,
        shift: array(&shift)?,
    };
    let y = importer.add(node, op, &[x])?;
    one(Value::Activation(y))
}
