//! The linear models of `ai.onnx.ml`, scaling and normalising; the other models in files of their
//! own.

mod classes;
mod ensemble;
mod features;
mod forest;
mod svm;
mod tree;

use std::collections::BTreeSet;

use ndarray::{Array2, ArrayD, arr1};
use zkstrata_model_ir::float::{Activation, Op, ValueId};

use crate::Error;
use crate::ops::logic::truth;
use crate::ops::math::arithmetic::affine;
use crate::ops::one;
use crate::scope::node::Node;
use crate::scope::value::{Element, Value, finite};
use crate::write::Writer;
use crate::write::formula::Formula;

use self::classes::{Labels, Post, Single, decided, finished};
pub(crate) use self::ensemble::ensemble as tree_ensemble;
pub(crate) use self::features::{
    binarizer, feature_vectorizer, imputer, label_encoder, one_hot_encoder,
};
pub(crate) use self::svm::{classifier as svm_classifier, regressor as svm_regressor};
pub(crate) use self::tree::{classifier as tree_classifier, regressor as tree_regressor};

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
fn linear(node: &Node, writer: &mut Writer, x: ValueId, outputs: usize) -> Result<ValueId, Error> {
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
    writer.add(node, Op::Dense { weight, bias }, &[x])
}

/// The label of the class of the largest score, and the scores.
pub(crate) fn linear_classifier(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    let labels = Labels::read(node, "classlabels_ints", "classlabels_strings")?;
    let classes = labels.len();
    let _ = node.flag("multi_class")?;
    node.at_most(1)?;
    let x = writer.activation(node, 0)?;
    // One row of coefficients per class, or a single one for two classes.
    let features = writer.shape(x).last().copied().unwrap_or(0);
    let coefficients = node.floats("coefficients")?.map_or(0, <[f32]>::len);
    let rows = match node.floats("intercepts")? {
        Some(intercepts) => intercepts.len(),
        None => coefficients.checked_div(features).unwrap_or(0),
    };
    let post = Post::read(node)?;
    let scores = linear(node, writer, x, rows)?;
    match rows {
        _ if rows == classes => finished(node, writer, &labels, scores, post),
        1 => decided(node, writer, &labels, scores, post, Single::Linear),
        _ => Err(node.shape_error(format!("{rows} rows of coefficients for {classes} classes"))),
    }
}

/// `X W^T + b`
pub(crate) fn linear_regressor(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    let targets = node.int("targets")?.unwrap_or(1);
    let post = node.string("post_transform")?.unwrap_or("NONE");
    if post != "NONE" {
        return Err(node.bad_attribute("post_transform", format!("is `{post}`")));
    }
    let Ok(targets) = usize::try_from(targets) else {
        return Err(node.bad_attribute("targets", format!("is {targets}")));
    };
    node.at_most(1)?;
    let x = writer.activation(node, 0)?;
    node.gives(0, Element::Float);
    one(Value::Activation(linear(node, writer, x, targets)?))
}

/// `(X - offset) scale` along the last axis
pub(crate) fn scaler(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    node.at_most(1)?;
    node.gives(0, Element::Float);
    let x = writer.activation(node, 0)?;
    let scale = floats(node, "scale")?.unwrap_or_else(|| vec![1.0]);
    let offset = floats(node, "offset")?.unwrap_or_else(|| vec![0.0]);
    if scale.len() != offset.len() && scale.len() != 1 && offset.len() != 1 {
        return Err(node.bad_attribute("offset", "differs in length from scale"));
    }
    let n = scale.len().max(offset.len());
    let shift = |i: usize| -offset[i % offset.len()] * scale[i % scale.len()];
    let shift: ArrayD<f32> = arr1(&(0..n).map(shift).collect::<Vec<_>>()).into_dyn();
    let shift = finite(node.name(), shift)?;
    let y = affine(node, writer, x, arr1(&scale).into_dyn(), shift)?;
    one(Value::Activation(y))
}

/// Each row divided by its largest number, the sum of its magnitudes, or its length.
pub(crate) fn normalizer(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    node.at_most(1)?;
    let norm = node.string("norm")?.unwrap_or("MAX");
    node.gives(0, Element::Float);
    let x = writer.activation(node, 0)?;
    let mut f = Formula::new(node, writer);
    let axes = BTreeSet::from([f.shape(x).len().saturating_sub(1)]);
    let factor = match norm {
        "L2" => {
            let squares = f.dot(x, x, &axes)?;
            f.apply(Activation::Inverse { exponent: -0.5 }, squares)?
        }
        "L1" => {
            let size = f.apply(Activation::Abs, x)?;
            let size = f.sum(size, &axes)?;
            f.apply(Activation::Inverse { exponent: -1.0 }, size)?
        }
        "MAX" => {
            // A row whose largest number is 0 stays, whatever else is in it.
            let most = f.maximum(x, &axes)?;
            let zero = truth::is_zero(&mut f, most)?;
            let most = f.add(most, zero)?;
            f.apply(Activation::Reciprocal, most)?
        }
        other => return Err(node.bad_attribute("norm", format!("is `{other}`"))),
    };
    one(Value::Activation(f.product(x, factor)?))
}

/// The scores, in the order of the classes: a map from class to score says no more.
pub(crate) fn zip_map(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    node.at_most(1)?;
    let _ = (
        node.ints("classlabels_int64s")?,
        node.names("classlabels_strings")?,
    );
    writer.note(format!(
        "node `{}`: the map from class to score is the list of scores",
        node.name()
    ));
    one(node.value(0)?)
}
