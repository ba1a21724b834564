//! The linear models of `ai.onnx.ml`, as scikit-learn's exporter writes them.

use ndarray::{Array2, ArrayD, arr1};
use zkstrata_model_ir::float::{Activation, Op, ValueId};

use super::arithmetic::affine;
use super::one;
use crate::Error;
use crate::import::Importer;
use crate::node::Node;
use crate::value::{Readout, ReadoutKind, Value, finite};

/// A weight from a float attribute.
fn floats(node: &Node, name: &str) -> Result<Option<Vec<f32>>, Error> {
    let Some(list) = node.floats(name)? else {
        return Ok(None);
    };
    let label = format!("{}.{name}", node.name());
    let checked = finite(&label, arr1(list).into_dyn())?;
    Ok(Some(checked.into_iter().collect()))
}

/// `X W^T + b` with `coefficients` as `W`, one row per output.
fn linear(node: &mut Node, importer: &mut Importer, outputs: usize) -> Result<ValueId, Error> {
    node.at_most(1)?;
    let x = node.activation(0)?;
    let coefficients = floats(node, "coefficients")?.unwrap_or_default();
    let features = coefficients.len().checked_div(outputs).unwrap_or(0);
    let weight = Array2::from_shape_vec((outputs, features), coefficients);
    let weight = weight
        .map_err(|_| node.bad_attribute("coefficients", format!("do not make {outputs} rows")))?;
    let weight = weight
        .reversed_axes()
        .as_standard_layout()
        .into_owned()
        .into_dyn();
    let bias = floats(node, "intercepts")?.map(|b| arr1(&b).into_dyn());
    importer.add(node, Op::Dense { weight, bias }, &[x])
}

/// The label and the scores of each class.
pub(super) fn linear_classifier(
    node: &mut Node,
    importer: &mut Importer,
) -> Result<Vec<Value>, Error> {
    let classes = node.ints("classlabels_ints")?.map_or(0, <[i64]>::len);
    let classes = classes.max(node.strings("classlabels_strings")?.unwrap_or(0));
    // One row of coefficients per class, or a single one for two classes, which is refused.
    let _ = node.flag("multi_class")?;
    let intercepts = node.floats("intercepts")?.map_or(classes, <[f32]>::len);
    if classes != intercepts {
        return Err(node.unsupported(format!(
            "it has {intercepts} rows of coefficients for {classes} classes: export one row per \
             class"
        )));
    }
    let post = node.string("post_transform")?.unwrap_or("NONE");
    let mut logits = linear(node, importer, classes)?;
    if post == "LOGISTIC" {
        let op = Op::Activation(Activation::Sigmoid);
        logits = importer.add(node, op, &[logits])?;
    }
    let read = |kind| Value::Readout(Readout::new(node, logits, kind));
    let scores = match post {
        "NONE" | "LOGISTIC" => Value::Activation(logits),
        "SOFTMAX" => read(ReadoutKind::Scores),
        other => return Err(node.bad_attribute("post_transform", format!("is `{other}`"))),
    };
    Ok(vec![read(ReadoutKind::Label), scores])
}

/// `X W^T + b`
pub(super) fn linear_regressor(
    node: &mut Node,
    importer: &mut Importer,
) -> Result<Vec<Value>, Error> {
    let targets = node.int("targets")?.unwrap_or(1);
    let post = node.string("post_transform")?.unwrap_or("NONE");
    if post != "NONE" {
        return Err(node.bad_attribute("post_transform", format!("is `{post}`")));
    }
    let Ok(targets) = usize::try_from(targets) else {
        return Err(node.bad_attribute("targets", format!("is {targets}")));
    };
    one(Value::Activation(linear(node, importer, targets)?))
}

/// `(X - offset) scale` along the last axis
pub(super) fn scaler(node: &mut Node, importer: &mut Importer) -> Result<Vec<Value>, Error> {
    node.at_most(1)?;
    let x = node.activation(0)?;
    let scale = floats(node, "scale")?.unwrap_or_else(|| vec![1.0]);
    let offset = floats(node, "offset")?.unwrap_or_else(|| vec![0.0]);
    if scale.len() != offset.len() && scale.len() != 1 && offset.len() != 1 {
        return Err(node.bad_attribute("offset", "differs in length from scale"));
    }
    let n = scale.len().max(offset.len());
    let shift = |i: usize| -offset[i % offset.len()] * scale[i % scale.len()];
    let shift: ArrayD<f32> = arr1(&(0..n).map(shift).collect::<Vec<_>>()).into_dyn();
    let shift = finite(node.name(), shift)?;
    let y = affine(node, importer, x, arr1(&scale).into_dyn(), shift)?;
    one(Value::Activation(y))
}
