//! The linear models of `ai.onnx.ml`, as scikit-learn's exporter writes them.

use std::collections::BTreeSet;

use ndarray::{Array2, ArrayD, arr1};
use zkstrata_model_ir::float::{Activation, Op, ValueId};

use super::arithmetic::affine;
use super::extreme::{Tie, one_hot, position};
use super::formula::Formula;
use super::one;
use super::softmax::shares;
use crate::Error;
use crate::import::Importer;
use crate::node::Node;
use crate::tensor::Tensor;
use crate::value::{Constant, Element, Value, finite};

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
    let x = importer.activation(node, 0)?;
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

/// The label and the scores of each class. A label is the class's integer or, where classes have
/// names, its position.
pub(super) fn linear_classifier(
    node: &mut Node,
    importer: &mut Importer,
) -> Result<Vec<Value>, Error> {
    let integers = node.ints("classlabels_ints")?.unwrap_or_default();
    let names = node.strings("classlabels_strings")?.unwrap_or(0);
    let classes = integers.len().max(names);
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
    let logits = linear(node, importer, classes)?;
    node.gives(0, Element::Int);
    node.gives(1, Element::Float);
    let mut f = Formula::new(node, importer);
    let axis = f.shape(logits).len() - 1;
    let scores = match post {
        "NONE" => logits,
        "LOGISTIC" => f.apply(Activation::Sigmoid, logits)?,
        "SOFTMAX" => shares(&mut f, logits, &BTreeSet::from([axis]))?,
        other => return Err(node.bad_attribute("post_transform", format!("is `{other}`"))),
    };
    let label = label(&mut f, logits, integers)?;
    Ok(vec![Value::Activation(label), Value::Activation(scores)])
}

/// The class of the largest of `scores[N, C]`: `labels[c]`, or `c` if there are no labels.
fn label(f: &mut Formula, scores: ValueId, labels: &[i64]) -> Result<ValueId, Error> {
    let shape = f.shape(scores);
    let axis = shape.len() - 1;
    let place = position(f, scores, axis, Tie::First)?;
    let counted = (0..).zip(labels).all(|(i, &label)| i == label);
    let label = if counted {
        if labels.is_empty() {
            let name = f.node.name();
            f.importer.note(format!(
                "node `{name}`: a label is the position of the class in classlabels_strings"
            ));
        }
        place
    } else {
        let chosen = one_hot(f, place, axis, labels.len())?;
        let weights = Tensor::list(labels.to_vec());
        let weights = Constant::new("classlabels_ints", weights);
        let chosen = f.times(chosen, Value::Constant(weights))?;
        f.sum(chosen, &BTreeSet::from([axis]))?
    };
    f.reshape(label, shape[..axis].to_vec())
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
    let x = importer.activation(node, 0)?;
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

/// Each row divided by its largest magnitude, the sum of its magnitudes, or its length.
pub(super) fn normalizer(node: &mut Node, importer: &mut Importer) -> Result<Vec<Value>, Error> {
    node.at_most(1)?;
    let norm = node.string("norm")?.unwrap_or("MAX");
    let x = importer.activation(node, 0)?;
    let mut f = Formula::new(node, importer);
    let axes = BTreeSet::from([f.shape(x).len().saturating_sub(1)]);
    let factor = match norm {
        "L2" => {
            let squares = f.dot(x, x, &axes)?;
            f.apply(Activation::Power { exponent: -0.5 }, squares)?
        }
        "MAX" | "L1" => {
            let size = f.apply(Activation::Abs, x)?;
            let size = match norm {
                "L1" => f.sum(size, &axes)?,
                _ => f.maximum(size, &axes)?,
            };
            f.apply(Activation::Reciprocal, size)?
        }
        other => return Err(node.bad_attribute("norm", format!("is `{other}`"))),
    };
    one(Value::Activation(f.product(x, factor)?))
}

/// The scores, in the order of the classes: a map from class to score says no more.
pub(super) fn zip_map(node: &mut Node, importer: &mut Importer) -> Result<Vec<Value>, Error> {
    node.at_most(1)?;
    let _ = (
        node.ints("classlabels_int64s")?,
        node.strings("classlabels_strings")?,
    );
    importer.note(format!(
        "node `{}`: the map from class to score is the list of scores",
        node.name()
    ));
    one(node.value(0)?)
}

/// `Y[0, i] = X[indices[i]]` of a list of constants.
pub(super) fn feature(node: &mut Node, importer: &mut Importer) -> Result<Vec<Value>, Error> {
    node.at_most(2)?;
    let list = node.constant(0)?;
    let indices = importer.activation(node, 1)?;
    let n = list.tensor.len();
    if list.tensor.shape().last() != Some(&n) {
        return Err(node.unsupported(format!(
            "its input of shape {:?} is not a list",
            list.tensor.shape()
        )));
    }
    let name = list.name.clone();
    let list = Tensor::new(vec![n], list.into_tensor().into_cells());
    let list = Constant::new(&name, list);
    let mut f = Formula::new(node, importer);
    let count = f.shape(indices).iter().product();
    let indices = f.reshape(indices, vec![count, 1])?;
    let chosen = one_hot(&mut f, indices, 1, n)?;
    let chosen = f.times(chosen, Value::Constant(list))?;
    let chosen = f.sum(chosen, &BTreeSet::from([1]))?;
    one(Value::Activation(f.reshape(chosen, vec![1, count])?))
}
