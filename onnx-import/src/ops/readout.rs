//! Final operators that only read off the logits: Softmax, `LogSoftmax`, `ArgMax`, and what
//! scikit-learn's exporter appends to select and name the class.
//!
//! They preserve the order of the logits or select by it, so that the logits say as much; proving
//! them would cost more than the verifier's computing them. They are dropped if nothing but the
//! model's outputs depends on them, and refused otherwise.

use super::one;
use crate::Error;
use crate::import::Importer;
use crate::node::Node;
use crate::value::{Readout, ReadoutKind, Value};

/// Operators that may follow a readout: they rename, reshape or select.
const FOLLOWERS: &[&str] = &[
    "ArgMax",
    "ArrayFeatureExtractor",
    "Cast",
    "Flatten",
    "Gather",
    "Identity",
    "LabelEncoder",
    "Normalizer",
    "Reshape",
    "Squeeze",
    "Unsqueeze",
    "ZipMap",
];

/// The outputs of a node that reads a readout.
pub(crate) fn forward(node: &Node) -> Result<Vec<Value>, Error> {
    let mut readouts = node.inputs().filter_map(|value| match value {
        Value::Readout(readout) => Some(readout.clone()),
        _ => None,
    });
    let mut readout = readouts.next().expect("the caller has seen one");
    let mixed = node.inputs().any(|value| match value {
        Value::Constant(_) => false,
        Value::Activation(_) => true,
        Value::Readout(other) => other.logits != readout.logits,
    });
    let known = matches!(node.domain(), "ai.onnx" | "ai.onnx.ml");
    if mixed || !known || !FOLLOWERS.contains(&node.op()) {
        return Err(Error::UnsupportedOperator {
            node: readout.node.to_string(),
            op: readout.op.to_string(),
            domain: readout.domain.to_string(),
            opset: readout.opset,
            remedy: format!(
                "node `{}` ({}) computes with its result: it is supported only where it leads \
                 to a model output",
                node.name(),
                node.op()
            ),
        });
    }
    if matches!(
        node.op(),
        "ArgMax" | "ArrayFeatureExtractor" | "Gather" | "LabelEncoder"
    ) {
        readout.kind = ReadoutKind::Label;
    }
    one(Value::Readout(readout))
}

fn read(node: &mut Node, kind: ReadoutKind) -> Result<Vec<Value>, Error> {
    node.at_most(1)?;
    let logits = node.activation(0)?;
    one(Value::Readout(Readout::new(node, logits, kind)))
}

/// Softmax and `LogSoftmax`.
pub(super) fn scores(node: &mut Node, _: &mut Importer) -> Result<Vec<Value>, Error> {
    let _ = node.int("axis")?;
    read(node, ReadoutKind::Scores)
}

/// `ArgMax`.
pub(super) fn label(node: &mut Node, _: &mut Importer) -> Result<Vec<Value>, Error> {
    let _ = (node.int("axis")?, node.flag("keepdims")?);
    let _ = node.flag("select_last_index")?;
    read(node, ReadoutKind::Label)
}

/// Division of each row by its norm.
pub(super) fn normalizer(node: &mut Node, _: &mut Importer) -> Result<Vec<Value>, Error> {
    let _ = node.string("norm")?;
    read(node, ReadoutKind::Scores)
}

/// A map from class to score.
pub(super) fn zip_map(node: &mut Node, _: &mut Importer) -> Result<Vec<Value>, Error> {
    let _ = (
        node.ints("classlabels_int64s")?,
        node.strings("classlabels_strings")?,
    );
    read(node, ReadoutKind::Scores)
}
