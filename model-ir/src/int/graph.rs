//! The integer graph.

use super::op::Op;
use super::table::Table;
use serde::{Deserialize, Serialize};

/// The tensor that node `TensorId.0` produces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TensorId(pub usize);

/// A closed interval of integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interval {
    /// Smallest element.
    pub lo: i64,
    /// Largest element.
    pub hi: i64,
}

/// One operator applied to earlier tensors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Node {
    /// The source model's name, for messages.
    pub name: String,
    /// The operator.
    pub op: Op,
    /// Earlier tensors.
    pub inputs: Vec<TensorId>,
    /// Physical axes of the tensor of one inference, none of length 1.
    pub axes: Vec<usize>,
    /// Static bounds of every cell, given model inputs in their intervals and table arguments
    /// in their tables' domains. |bounds| < 2^62.
    pub interval: Interval,
}

/// A model input or output as the user sees it: `real = scale * integer`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Port {
    /// Name in the source model.
    pub name: String,
    /// The tensor.
    pub tensor: TensorId,
    /// Shape in the source model (with a dynamic batch axis fixed to 1).
    pub shape: Vec<usize>,
    /// Real value of the integer 1.
    pub scale: f64,
}

/// The integer model without its weights: all that a verifier needs to know of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Graph {
    /// Nodes in topological order; node `i` produces `TensorId(i)`.
    pub nodes: Vec<Node>,
    /// Lookup tables.
    pub tables: Vec<Table>,
    /// Lengths of the bias vectors.
    pub biases: Vec<usize>,
    /// Number of weight tensors; their shapes are those of the [`Affine`](super::Affine) nodes.
    pub weights: usize,
    /// Model inputs.
    pub inputs: Vec<Port>,
    /// Model outputs.
    pub outputs: Vec<Port>,
}

impl Graph {
    /// The node that produces `tensor`.
    pub fn node(&self, tensor: TensorId) -> &Node {
        &self.nodes[tensor.0]
    }
}
