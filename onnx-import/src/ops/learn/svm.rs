//! Support vector machines: a linear function of the kernel's values `K(x, v)`.

use std::collections::BTreeSet;

use ndarray::{Array1, Array2, Axis};
use zkstrata_model_ir::float::{Activation, Op, ValueId};

use super::classes::{Labels, Post, Single, decided, finished};
use super::floats;
use crate::Error;
use crate::ops::one;
use crate::scope::node::Node;
use crate::scope::value::{Element, Value, finite};
use crate::write::Writer;
use crate::write::formula::Formula;

/// The kernel `K(x, v)`.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kernel {
    /// `x v`
    Linear,
    /// `(gamma x v + c)^degree`
    Poly { gamma: f32, c: f32, degree: f32 },
    /// `exp(-gamma |x - v|^2)`
    Rbf { gamma: f32 },
    /// `tanh(gamma x v + c)`
    Sigmoid { gamma: f32, c: f32 },
}

impl Kernel {
    fn read(node: &Node) -> Result<Self, Error> {
        let parameters = floats(node, "kernel_params")?.unwrap_or_default();
        let (gamma, c, degree) = match parameters[..] {
            [] => (0.0, 0.0, 0.0),
            [gamma, c, degree] => (gamma, c, degree),
            _ => return Err(node.bad_attribute("kernel_params", "must be three numbers")),
        };
        Ok(match node.string("kernel_type")?.unwrap_or("LINEAR") {
            "LINEAR" => Self::Linear,
            "POLY" => Self::Poly { gamma, c, degree },
            "RBF" => Self::Rbf { gamma },
            "SIGMOID" => Self::Sigmoid { gamma, c },
            other => return Err(node.bad_attribute("kernel_type", format!("is `{other}`"))),
        })
    }

    /// `K(x_n, v_s)` for the features `[N, F]` and the vectors `[S, F]`.
    fn values(self, f: &mut Formula, x: ValueId, vectors: &Array2<f32>) -> Result<ValueId, Error> {
        let products = |f: &mut Formula, factor: f32, bias: Option<Array1<f32>>| {
            let weight = (vectors * factor).reversed_axes();
            let weight = finite(
                f.node.name(),
                weight.as_standard_layout().into_owned().into_dyn(),
            )?;
            let bias = bias.map(Array1::into_dyn);
            f.writer.add(f.node, Op::Dense { weight, bias }, &[x])
        };
        let constant = |c: f32| Some(Array1::from_elem(vectors.nrows(), c));
        match self {
            Self::Linear => products(f, 1.0, None),
            Self::Poly { gamma, c, degree } => {
                let y = products(f, gamma, constant(c))?;
                match degree {
                    1.0 => Ok(y),
                    2.0 => f.square(y),
                    exponent => f.apply(Activation::Power { exponent }, y),
                }
            }
            Self::Sigmoid { gamma, c } => {
                let y = products(f, gamma, constant(c))?;
                f.apply(Activation::Tanh, y)
            }
            Self::Rbf { gamma } => {
                let sizes = vectors.map_axis(Axis(1), |v| -gamma * v.dot(&v));
                let y = products(f, 2.0 * gamma, Some(sizes))?;
                let size = f.dot(x, x, &BTreeSet::from([1]))?;
                let size = f.affine(size, gamma, 0.0)?;
                let y = f.sub(y, size)?;
                f.apply(Activation::Exp, y)
            }
        }
    }
}

/// The features `[N, F]`, and the support vectors, if there are any.
fn operands(node: &mut Node, writer: &mut Writer) -> Result<(ValueId, Option<Array2<f32>>), Error> {
    let x = super::tree::features(node, writer)?;
    let features = writer.shape(x)[1];
    let vectors = floats(node, "support_vectors")?.unwrap_or_default();
    if vectors.is_empty() {
        return Ok((x, None));
    }
    let rows = vectors.len() / features;
    let vectors = Array2::from_shape_vec((rows, features), vectors);
    let vectors = vectors.map_err(|_| {
        node.bad_attribute("support_vectors", format!("do not make rows of {features}"))
    })?;
    Ok((x, Some(vectors)))
}

/// `Y = K W + b`
fn combined(
    f: &mut Formula,
    values: ValueId,
    weight: Array2<f32>,
    bias: &[f32],
) -> Result<ValueId, Error> {
    let bias = Some(Array1::from(bias.to_vec()).into_dyn());
    let weight = weight.into_dyn();
    f.writer.add(f.node, Op::Dense { weight, bias }, &[values])
}

/// `sum_s c_s K(x, v_s) + rho`, or its sign.
pub(crate) fn regressor(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    let (x, vectors) = operands(node, writer)?;
    let kernel = Kernel::read(node)?;
    let coefficients = floats(node, "coefficients")?.unwrap_or_default();
    let rho = floats(node, "rho")?.unwrap_or_default();
    let declared = node.int("n_supports")?;
    let found = vectors.as_ref().map_or(0, Array2::nrows);
    if declared.is_some_and(|n| n != found as i64) || rho.len() != 1 {
        return Err(node.bad_attribute("n_supports", format!("there are {found} vectors")));
    }
    let one_class = node.int("one_class")?.unwrap_or(0) != 0;
    if Post::read(node)? != Post::None {
        return Err(node.bad_attribute("post_transform", "must be NONE"));
    }
    node.gives(0, Element::Float);
    let mut f = Formula::new(node, writer);
    // Without support vectors the coefficients are one vector.
    let (values, rows) = match vectors {
        Some(vectors) => (kernel.values(&mut f, x, &vectors)?, vectors.nrows()),
        None => (x, f.shape(x)[1]),
    };
    let weight = Array2::from_shape_vec((rows, 1), coefficients);
    let weight = weight.map_err(|_| {
        f.node
            .bad_attribute("coefficients", format!("are not {rows}"))
    })?;
    let mut y = combined(&mut f, values, weight, &rho)?;
    if one_class {
        // 1 if y > 0, else -1.
        let margin = f.affine(y, -1.0, 0.0)?;
        let outside = f.apply(Activation::Step, margin)?;
        y = f.affine(outside, -2.0, 1.0)?;
    }
    one(Value::Activation(y))
}

/// The class that wins most comparisons of two classes, and the comparisons' margins.
pub(crate) fn classifier(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    let (x, vectors) = operands(node, writer)?;
    let kernel = Kernel::read(node)?;
    let coefficients = floats(node, "coefficients")?.unwrap_or_default();
    let rho = floats(node, "rho")?.unwrap_or_default();
    let labels = Labels::read(node, "classlabels_ints", "classlabels_strings")?;
    let per_class = node.ints("vectors_per_class")?.unwrap_or(&[]);
    let post = Post::read(node)?;
    if node.floats("prob_a")?.is_some_and(|p| !p.is_empty())
        || node.floats("prob_b")?.is_some_and(|p| !p.is_empty())
    {
        return Err(node.unsupported(
            "it estimates probabilities by an iteration: export the model with probability=False",
        ));
    }
    let Some(vectors) = vectors else {
        return linear(node, writer, x, &labels, coefficients, &rho, post);
    };
    let (n, supports) = (labels.len(), vectors.nrows());
    let pairs: Vec<(usize, usize)> = (0..n)
        .flat_map(|i| (i + 1..n).map(move |j| (i, j)))
        .collect();
    let mut owners = Vec::with_capacity(supports);
    for (class, &count) in per_class.iter().enumerate() {
        let count = usize::try_from(count)
            .unwrap_or(0)
            .min(supports - owners.len());
        owners.extend(std::iter::repeat_n(class, count));
    }
    let rows = Array2::from_shape_vec((n.saturating_sub(1), supports), coefficients).ok();
    let Some(rows) = rows.filter(|_| {
        n >= 2 && per_class.len() == n && owners.len() == supports && rho.len() == pairs.len()
    }) else {
        return Err(node.shape_error(format!(
            "{supports} vectors of {n} classes do not fit the coefficients, rho or \
             vectors_per_class"
        )));
    };
    writer.allow(node, supports.checked_mul(pairs.len()))?;
    let weight = Array2::from_shape_fn((supports, pairs.len()), |(s, p)| match pairs[p] {
        (i, j) if owners[s] == i => rows[[j - 1, s]],
        (i, j) if owners[s] == j => rows[[i, s]],
        _ => 0.0,
    });
    let mut f = Formula::new(node, writer);
    let values = kernel.values(&mut f, x, &vectors)?;
    let margins = combined(&mut f, values, weight, &rho)?;
    // The first of a pair wins if its margin is positive.
    let lost = f.affine(margins, -1.0, 0.0)?;
    let lost = f.apply(Activation::Step, lost)?;
    let vote = |(p, i): (usize, usize)| match pairs[p] {
        (first, _) if first == i => -1.0,
        (_, second) if second == i => 1.0,
        _ => 0.0,
    };
    let votes = Array2::from_shape_fn((pairs.len(), n), vote);
    let base: Vec<f32> = (0..n).map(|i| (n - 1 - i) as f32).collect();
    let votes = combined(&mut f, lost, votes, &base)?;
    let mut results = finished(node, writer, &labels, votes, Post::None)?;
    results[1] = Value::Activation(scores(node, writer, margins, n, post)?);
    Ok(results)
}

/// The margins as scores: both signs of a single one.
fn scores(
    node: &Node,
    writer: &mut Writer,
    margins: ValueId,
    classes: usize,
    post: Post,
) -> Result<ValueId, Error> {
    let mut f = Formula::new(node, writer);
    let margins = match classes {
        2 if post == Post::Softmax => {
            return Err(node.unsupported("two classes have a margin, not scores: use NONE"));
        }
        2 => combined(&mut f, margins, ndarray::arr2(&[[-1.0, 1.0]]), &[0.0, 0.0])?,
        _ => margins,
    };
    post.apply(&mut f, margins)
}

/// A linear machine: one vector of coefficients per class.
fn linear(
    node: &mut Node,
    writer: &mut Writer,
    x: ValueId,
    labels: &Labels,
    coefficients: Vec<f32>,
    rho: &[f32],
    post: Post,
) -> Result<Vec<Value>, Error> {
    let features = writer.shape(x)[1];
    let rows = coefficients.len() / features;
    let weight = Array2::from_shape_vec((rows, features), coefficients).ok();
    let Some((weight, &[rho])) = weight.zip(rho.first_chunk()) else {
        return Err(node.bad_attribute("coefficients", format!("do not make rows of {features}")));
    };
    let weight = weight.reversed_axes().as_standard_layout().into_owned();
    let mut f = Formula::new(node, writer);
    let scores = combined(&mut f, x, weight, &vec![rho; rows])?;
    if rows == 1 {
        return decided(node, writer, labels, scores, post, Single::Margin);
    }
    if rows != labels.len() {
        let n = labels.len();
        return Err(node.shape_error(format!("{rows} rows of coefficients for {n} classes")));
    }
    finished(node, writer, labels, scores, post)
}
