//! Products of matrices: Gemm and `MatMul`.
//!
//! A product with one constant matrix is a dense layer; a constant on the left is brought to the
//! right by `W X = (X^T W^T)^T`. Any other product is a contraction.

use ndarray::{Array2, ArrayD, Ix2, arr0};
use zkstrata_model_ir::float::{Op, ValueId};

use crate::Error;
use crate::ops::math::arithmetic::affine;
use crate::ops::one;
use crate::scope::node::Node;
use crate::scope::value::{Constant, Value, finite};
use crate::write::Writer;
use crate::write::formula::Formula;

/// `Y = alpha A' B' + beta C`, with `A'` and `B'` optionally transposed.
pub(crate) fn gemm(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    node.at_most(3)?;
    let (a, b) = (node.value(0)?, node.value(1)?);
    let bias = node.take(2);
    let alpha = node.float("alpha")?.unwrap_or(1.0);
    let beta = node.float("beta")?.unwrap_or(1.0);
    let transposed = |name| Ok::<_, Error>(node.flag(name)? == Some(true));
    let (trans_a, trans_b) = (transposed("transA")?, transposed("transB")?);

    let (bias, addend) = match bias {
        None => (None, None),
        Some(Value::Constant(c)) => (Some(scaled(node, c.into_weight()?, beta)?), None),
        Some(Value::Activation(c)) => (None, Some(c)),
    };
    let (y, bias) = match (a, b) {
        (Value::Activation(x), Value::Constant(w)) => {
            let x = if trans_a { swap(node, writer, x)? } else { x };
            let w = matrix(node, w, trans_b)?;
            let w = scaled(node, w.into_dyn(), alpha)?;
            let (columns, rest) = split_bias(bias, w.shape()[1]);
            (dense(node, writer, x, w, columns)?, rest)
        }
        (Value::Constant(w), Value::Activation(x)) => {
            let x = if trans_b { x } else { swap(node, writer, x)? };
            let w = matrix(node, w, !trans_a)?;
            let w = scaled(node, w.into_dyn(), alpha)?;
            let y = dense(node, writer, x, w, None)?;
            (swap(node, writer, y)?, bias)
        }
        (a, b) => {
            let (a, b) = (writer.lift(node, a)?, writer.lift(node, b)?);
            let left = if trans_a { [1, 0] } else { [0, 1] };
            let right = if trans_b { [2, 1] } else { [1, 2] };
            let mut f = Formula::new(node, writer);
            let k = f.shape(a).get(usize::from(!trans_a)).copied();
            let matrices = f.shape(a).len() == 2 && f.shape(b).len() == 2;
            if !matrices || k != f.shape(b).get(usize::from(trans_b)).copied() {
                let (a, b) = (f.shape(a), f.shape(b));
                return Err(node.shape_error(format!("Gemm of the shapes {a:?} and {b:?}")));
            }
            let y = f.contract((a, &left), (b, &right), &[0, 2])?;
            (f.affine(y, alpha, 0.0)?, bias)
        }
    };
    let y = match bias {
        None => y,
        Some(bias) => {
            let rank = writer.shape(y).len();
            if bias.ndim() > rank {
                return Err(node.shape_error(format!("the bias has shape {:?}", bias.shape())));
            }
            affine(node, writer, y, arr0(1.0).into_dyn(), bias)?
        }
    };
    let y = match addend {
        None => y,
        Some(addend) => {
            let mut f = Formula::new(node, writer);
            let addend = f.affine(addend, beta, 0.0)?;
            let shape = f.shape(y);
            let addend = f.broadcast_to(addend, &shape)?;
            f.add(y, addend)?
        }
    };
    one(Value::Activation(y))
}

/// `Y = A B` over the last two axes; those before are broadcast.
pub(crate) fn matmul(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    node.at_most(2)?;
    let (a, b) = (node.value(0)?, node.value(1)?);
    let target = product_shape(node, writer.shape_of(&a), writer.shape_of(&b))?;
    let y = match (a, b) {
        (Value::Activation(x), Value::Constant(w)) if single(&w) => {
            let w = if w.tensor.shape().len() == 1 {
                column(w)?
            } else {
                matrix(node, w, false)?
            };
            let x = at_least_matrix(node, writer, x)?;
            dense(node, writer, x, w.into_dyn(), None)?
        }
        (Value::Constant(w), Value::Activation(x)) if single(&w) => {
            let w = if w.tensor.shape().len() == 1 {
                column(w)?
            } else {
                matrix(node, w, true)?
            };
            if writer.shape(x).len() == 1 {
                let x = at_least_matrix(node, writer, x)?;
                dense(node, writer, x, w.into_dyn(), None)?
            } else {
                let x = swap(node, writer, x)?;
                let y = dense(node, writer, x, w.into_dyn(), None)?;
                swap(node, writer, y)?
            }
        }
        (a, b) => {
            let (a, b) = (writer.lift(node, a)?, writer.lift(node, b)?);
            batched(&mut Formula::new(node, writer), a, b, target.len())?
        }
    };
    one(Value::Activation(writer.reshape(node, y, target)?))
}

/// Whether a constant is one matrix or vector.
fn single(w: &Constant) -> bool {
    let shape = w.tensor.shape();
    let (outer, _) = shape.split_at(shape.len().saturating_sub(2));
    outer.iter().all(|&d| d == 1)
}

/// The product of two operands of any batch axes.
fn batched(f: &mut Formula, a: ValueId, b: ValueId, rank: usize) -> Result<ValueId, Error> {
    // Rows, inner axis and columns; the batch axes, counted from the last, follow.
    let labels = |rank: usize, matrix: [usize; 2], vector: usize| -> Vec<usize> {
        let outer = (0..rank.saturating_sub(2)).rev().map(|i| 3 + i);
        match rank {
            1 => vec![vector],
            _ => outer.chain(matrix).collect(),
        }
    };
    let left = labels(f.shape(a).len(), [0, 1], 1);
    let right = labels(f.shape(b).len(), [1, 2], 1);
    let sides = [(0, &left), (2, &right)];
    let sides = sides.into_iter().filter(|(label, of)| of.contains(label));
    let sides: Vec<usize> = sides.map(|(label, _)| label).collect();
    let outer = (0..rank - sides.len()).rev().map(|i| 3 + i);
    let output: Vec<usize> = outer.chain(sides.iter().copied()).collect();
    f.contract((a, &left), (b, &right), &output)
}

/// The shape of a product.
fn product_shape(node: &Node, a: &[usize], b: &[usize]) -> Result<Vec<usize>, Error> {
    let (Some(&k), false) = (a.last(), b.is_empty()) else {
        return Err(node.shape_error("MatMul of a scalar"));
    };
    let inner = b[b.len().saturating_sub(2)];
    if k != inner {
        return Err(node.shape_error(format!(
            "the shapes {a:?} and {b:?} cannot be multiplied: {k} columns, {inner} rows"
        )));
    }
    let outer = |shape: &[usize]| shape[..shape.len().saturating_sub(2)].to_vec();
    let mut shape = crate::write::broadcast::broadcast(node, &outer(a), &outer(b))?;
    if a.len() > 1 {
        shape.push(a[a.len() - 2]);
    }
    if b.len() > 1 {
        shape.push(b[b.len() - 1]);
    }
    Ok(shape)
}

/// A constant of shape `[1.., R, C]` as a matrix, optionally transposed.
fn matrix(node: &Node, w: Constant, transposed: bool) -> Result<Array2<f32>, Error> {
    let shape = w.tensor.shape();
    let Some((&[rows, columns], outer)) = shape.split_last_chunk().map(|(o, m)| (m, o)) else {
        return Err(node.shape_error(format!("the weight of shape {shape:?} is not a matrix")));
    };
    if outer.iter().any(|&d| d != 1) {
        return Err(node.unsupported(format!(
            "the weight of shape {shape:?} is a batch of matrices: use one matrix per node"
        )));
    }
    let name = w.name.clone();
    let w = w.into_weight()?.into_shape_with_order((rows, columns));
    let w = w.map_err(|e| node.shape_error(format!("weight `{name}`: {e}")))?;
    Ok(if transposed {
        w.reversed_axes().as_standard_layout().into_owned()
    } else {
        w
    })
}

/// A constant vector as a matrix of one column.
fn column(w: Constant) -> Result<Array2<f32>, Error> {
    let w = w.into_weight()?;
    let n = w.len();
    Ok(w.into_shape_with_order((n, 1)).expect("as many cells"))
}

fn dense(
    node: &Node,
    writer: &mut Writer,
    x: ValueId,
    weight: ArrayD<f32>,
    bias: Option<ArrayD<f32>>,
) -> Result<ValueId, Error> {
    writer.add(node, Op::Dense { weight, bias }, &[x])
}

/// `x` with its last two axes exchanged.
fn swap(node: &Node, writer: &mut Writer, x: ValueId) -> Result<ValueId, Error> {
    let shape = writer.shape(x);
    let rank = shape.len();
    if rank < 2 {
        return Err(node.shape_error(format!("an operand has shape {shape:?}, not a matrix")));
    }
    let mut perm: Vec<usize> = (0..rank).collect();
    perm.swap(rank - 2, rank - 1);
    writer.transpose(node, x, perm)
}

/// A vector as a matrix of one row; everything else as it is.
fn at_least_matrix(node: &Node, writer: &mut Writer, x: ValueId) -> Result<ValueId, Error> {
    match *writer.shape(x) {
        [n] => writer.reshape(node, x, vec![1, n]),
        _ => Ok(x),
    }
}

/// `factor * weight`, finite.
fn scaled(node: &Node, weight: ArrayD<f32>, factor: f32) -> Result<ArrayD<f32>, Error> {
    finite(node.name(), weight * factor)
}

/// A bias that is the same in every row as the vector of its `n` columns; any other is left.
fn split_bias(bias: Option<ArrayD<f32>>, n: usize) -> (Option<ArrayD<f32>>, Option<ArrayD<f32>>) {
    let Some(bias) = bias else {
        return (None, None);
    };
    let one_row = match bias.shape() {
        [] | [_] => true,
        [rows, _] => *rows == 1,
        _ => false,
    };
    match bias.broadcast((1, n)).filter(|_| one_row) {
        Some(row) => {
            let row = row
                .into_dimensionality::<Ix2>()
                .map(|r| r.row(0).to_owned());
            (row.ok().map(ndarray::Array1::into_dyn), None)
        }
        None => (None, Some(bias)),
    }
}
