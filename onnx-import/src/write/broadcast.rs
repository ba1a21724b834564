//! The shapes to which operands are broadcast, and constants that operators make.

use crate::Error;
use crate::decode::tensor::Tensor;
use crate::scope::node::Node;
use crate::scope::value::{Constant, Value};

/// The shape to which both operands are broadcast.
pub(crate) fn broadcast(node: &Node, a: &[usize], b: &[usize]) -> Result<Vec<usize>, Error> {
    let rank = a.len().max(b.len());
    let dim = |shape: &[usize], i: usize| match (i + shape.len()).checked_sub(rank) {
        Some(i) => shape[i],
        None => 1,
    };
    (0..rank)
        .map(|i| match (dim(a, i), dim(b, i)) {
            (m, n) if m == n || n == 1 => Ok(m),
            (1, n) => Ok(n),
            _ => Err(node.shape_error(format!("the shapes {a:?} and {b:?} do not broadcast"))),
        })
        .collect()
}

/// A folded constant; it is named after the value that it defines.
pub(crate) fn folded(tensor: Tensor) -> Value {
    Value::Constant(Constant::new("", tensor))
}
