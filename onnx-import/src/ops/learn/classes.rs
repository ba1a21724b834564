//! From scores to classes: post-transforms, and labels as the position of the largest score.

use std::collections::BTreeSet;

use ndarray::{arr1, arr2};
use zkstrata_model_ir::float::{Activation, Op, ValueId};

use crate::Error;
use crate::decode::tensor::Tensor;
use crate::ops::math::extreme::{Tie, one_hot, position};
use crate::scope::node::Node;
use crate::scope::value::{Constant, Element, Value};
use crate::write::Writer;
use crate::write::formula::Formula;
use crate::write::shares::shares;

/// What becomes of the scores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Post {
    None,
    Logistic,
    Softmax,
}

impl Post {
    /// Reads the attribute.
    pub(super) fn read(node: &Node) -> Result<Self, Error> {
        match node.string("post_transform")?.unwrap_or("NONE") {
            "NONE" => Ok(Self::None),
            "LOGISTIC" => Ok(Self::Logistic),
            "SOFTMAX" => Ok(Self::Softmax),
            other => Err(Self::refused(node, other)),
        }
    }

    /// Reads the attribute where it is a number.
    pub(super) fn numbered(node: &Node) -> Result<Self, Error> {
        match node.int("post_transform")?.unwrap_or(0) {
            0 => Ok(Self::None),
            1 => Ok(Self::Softmax),
            2 => Ok(Self::Logistic),
            other => Err(Self::refused(node, &other.to_string())),
        }
    }

    fn refused(node: &Node, other: &str) -> Error {
        let reason = format!("is `{other}`: use NONE, LOGISTIC or SOFTMAX");
        node.bad_attribute("post_transform", reason)
    }

    /// The transformed scores `[N, C]`.
    pub(super) fn apply(self, f: &mut Formula, scores: ValueId) -> Result<ValueId, Error> {
        match self {
            Self::None => Ok(scores),
            Self::Logistic => f.apply(Activation::Sigmoid, scores),
            Self::Softmax => {
                let axis = f.shape(scores).len() - 1;
                shares(f, scores, &BTreeSet::from([axis]))
            }
        }
    }
}

/// The classes' labels: integers, or as many names.
pub(super) enum Labels {
    Integers(Vec<i64>),
    Names(usize),
}

impl Labels {
    /// Reads the two attributes, of which one is given.
    pub(super) fn read(node: &Node, integers: &str, names: &str) -> Result<Self, Error> {
        let integers = node.ints(integers)?.unwrap_or(&[]);
        let names = node.names(names)?.unwrap_or_default();
        match (integers, names.len()) {
            ([], n) => Ok(Self::Names(n)),
            (list, 0) => Ok(Self::Integers(list.to_vec())),
            _ => Err(node.shape_error("labels are given both as integers and as strings")),
        }
    }

    /// Number of classes.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Integers(list) => list.len(),
            Self::Names(n) => *n,
        }
    }

    /// The second label where the score `[N, 1]` is above a threshold, the first elsewhere.
    fn above(&self, f: &mut Formula, score: ValueId, threshold: f32) -> Result<ValueId, Error> {
        let margin = f.affine(score, -1.0, threshold)?;
        let first = f.apply(Activation::Step, margin)?;
        let place = f.affine(first, -1.0, 1.0)?;
        self.at(f, place)
    }

    /// The labels at positions `[N, 1]`, as a vector. Named classes are called by their position.
    fn at(&self, f: &mut Formula, place: ValueId) -> Result<ValueId, Error> {
        let n = f.shape(place)[0];
        let label = match self {
            Self::Names(_) => {
                let name = f.node.name();
                f.writer.note(format!(
                    "node `{name}`: a label is the position of the class in the list of names"
                ));
                place
            }
            Self::Integers(list) if (0..).zip(list).all(|(i, &label)| i == label) => place,
            Self::Integers(list) => {
                let chosen = one_hot(f, place, 1, list.len())?;
                let weights = Constant::new("class labels", Tensor::list(list.clone()));
                let chosen = f.times(chosen, Value::Constant(weights))?;
                f.sum(chosen, &BTreeSet::from([1]))?
            }
        };
        f.reshape(label, vec![n])
    }
}

/// The label of the largest of the scores `[N, C]`, and the transformed scores.
pub(super) fn finished(
    node: &mut Node,
    writer: &mut Writer,
    labels: &Labels,
    scores: ValueId,
    post: Post,
) -> Result<Vec<Value>, Error> {
    node.gives(0, Element::Int);
    node.gives(1, Element::Float);
    let mut f = Formula::new(node, writer);
    let place = position(&mut f, scores, 1, Tie::First)?;
    let label = labels.at(&mut f, place)?;
    let scores = post.apply(&mut f, scores)?;
    Ok(vec![Value::Activation(label), Value::Activation(scores)])
}

/// The second of two labels if its score is positive, and the transformed scores `[N, 2]`: what
/// onnxruntime makes of trees that score both classes.
pub(super) fn second(
    node: &mut Node,
    writer: &mut Writer,
    labels: &Labels,
    scores: ValueId,
    post: Post,
) -> Result<Vec<Value>, Error> {
    node.gives(0, Element::Int);
    node.gives(1, Element::Float);
    let mut f = Formula::new(node, writer);
    let score = f.select(scores, 1, &[1])?;
    let label = labels.above(&mut f, score, 0.0)?;
    let scores = post.apply(&mut f, scores)?;
    Ok(vec![Value::Activation(label), Value::Activation(scores)])
}

/// What one score `[N, 1]` says about two classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Single {
    /// A probability `s`: the second class if `s > 1/2`; the scores are `1 - s` and `s`.
    Probability,
    /// A margin `s`: the second class if `s > 0`; the scores are `-s` and `s`.
    Margin,
    /// A linear model's margin: the second class if `s > 0`; the scores are `1 - s` and `s`.
    Linear,
}

/// The label of two classes between which one score decides, and both scores, which are the
/// logistic functions of `-s` and `s` if that is the post-transform.
pub(super) fn decided(
    node: &mut Node,
    writer: &mut Writer,
    labels: &Labels,
    score: ValueId,
    post: Post,
    single: Single,
) -> Result<Vec<Value>, Error> {
    if labels.len() != 2 {
        let n = labels.len();
        return Err(node.shape_error(format!("one score for {n} classes")));
    }
    node.gives(0, Element::Int);
    node.gives(1, Element::Float);
    let (threshold, one) = match single {
        Single::Probability => (0.5, 1.0),
        Single::Margin => (0.0, 0.0),
        Single::Linear => (0.0, 1.0),
    };
    let logistic = post == Post::Logistic;
    let one = if logistic { 0.0 } else { one };
    let mut f = Formula::new(node, writer);
    let label = labels.above(&mut f, score, threshold)?;
    let (weight, bias) = (
        arr2(&[[-1.0, 1.0]]).into_dyn(),
        arr1(&[one, 0.0]).into_dyn(),
    );
    let bias = Some(bias);
    let mut scores = f.writer.add(node, Op::Dense { weight, bias }, &[score])?;
    if logistic {
        scores = post.apply(&mut f, scores)?;
    }
    Ok(vec![Value::Activation(label), Value::Activation(scores)])
}
