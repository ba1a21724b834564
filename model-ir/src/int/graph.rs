//! The integer graph.

use super::op::Op;
use super::table::Table;
use crate::bounded;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Most nodes, or tables, of a graph that is read from a file.
pub const MAX_NODES: usize = 1 << 16;

/// Most inputs, or outputs, of a model.
pub const MAX_PORTS: usize = 1 << 12;

/// Most features of an input, each with two numbers in a key: as many as a table of a tabular model
/// has columns, and far fewer than an image has cells.
pub const MAX_FEATURES: usize = 1 << 12;

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

impl Interval {
    /// Every bound of a model lies strictly between `-LIMIT` and `LIMIT`, so that no cell wraps
    /// in a 64-bit field.
    pub const LIMIT: i64 = 1 << 62;

    /// Whether the interval is not empty and lies inside `(-2^62, 2^62)`.
    pub fn is_bounded(self) -> bool {
        -Self::LIMIT < self.lo && self.lo <= self.hi && self.hi < Self::LIMIT
    }

    /// Whether `x` is an element.
    pub fn contains(self, x: i64) -> bool {
        self.lo <= x && x <= self.hi
    }

    /// Whether `other` is a subset.
    pub fn covers(self, other: Self) -> bool {
        self.lo <= other.lo && other.hi <= self.hi
    }

    /// The smallest interval with `self` and `x` in it.
    #[must_use]
    pub fn with(self, x: i64) -> Self {
        Self {
            lo: self.lo.min(x),
            hi: self.hi.max(x),
        }
    }

    /// The smallest interval that covers `self` and `other`.
    #[must_use]
    pub fn hull(self, other: Self) -> Self {
        self.with(other.lo).with(other.hi)
    }

    /// The largest magnitude of an element.
    pub fn max_abs(self) -> u64 {
        self.lo.unsigned_abs().max(self.hi.unsigned_abs())
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}, {}]", self.lo, self.hi)
    }
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

impl Node {
    /// Number of cells of the tensor of one inference.
    pub fn cells(&self) -> usize {
        self.axes.iter().product()
    }
}

/// A model input or output as the user sees it: `real = scale * integer`, of an input with
/// [`Features`] what they make of the real number.
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
    /// What the real values are.
    pub kind: PortKind,
    /// What becomes of an input's real numbers before they are rounded.
    pub features: Option<Features>,
}

/// An affine map of each feature of an input: features of unlike sizes are brought to one size, and
/// what a model itself begins with is a part of how its input is read.
///
/// Cell `i` is of feature `i / inner % scale.len()`, and `x * scale + shift` is rounded, a product and
/// a sum of single precision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Features {
    /// Of every feature, finite and not 0.
    #[serde(deserialize_with = "bounded::<_, _, MAX_FEATURES>")]
    pub scale: Vec<f32>,
    /// As many, finite.
    #[serde(deserialize_with = "bounded::<_, _, MAX_FEATURES>")]
    pub shift: Vec<f32>,
    /// Cells of one feature that lie side by side.
    pub inner: usize,
}

impl Features {
    /// What is rounded of cell `i`.
    pub fn of(&self, i: usize, x: f32) -> f32 {
        let feature = i / self.inner % self.scale.len();
        x * self.scale[feature] + self.shift[feature]
    }

    /// Whether these are the features of a tensor of so many cells.
    pub(super) fn fit(&self, cells: usize) -> bool {
        let count = self.scale.len();
        let period = count.checked_mul(self.inner).filter(|&period| period > 0);
        period.is_some_and(|period| cells.is_multiple_of(period))
            && self.shift.len() == count
            && self.scale.iter().all(|s| s.is_finite() && *s != 0.0)
            && self.shift.iter().all(|s| s.is_finite())
    }
}

/// What the real values of a port are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PortKind {
    /// Real numbers. Inputs are rounded, and clamped to the tensor's interval.
    Real,
    /// Integers or truth values. Inputs must be integers inside the tensor's interval.
    Integer,
    /// Real numbers, of which some may be missing, which is NaN: the smallest integer of the tensor's
    /// interval stands for those. Others are rounded, and clamped to the rest of the interval.
    RealOrMissing,
}

/// The integer model without its weights: all that a verifier needs to know of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Graph {
    /// Nodes in topological order; node `i` produces `TensorId(i)`.
    #[serde(deserialize_with = "bounded::<_, _, MAX_NODES>")]
    pub nodes: Vec<Node>,
    /// Lookup tables.
    #[serde(with = "super::stored")]
    pub tables: Vec<Table>,
    /// Lengths of the bias vectors.
    pub biases: Vec<usize>,
    /// Number of weight tensors; their shapes are those of the [`Affine`](super::Affine) nodes.
    pub weights: usize,
    /// Model inputs.
    #[serde(deserialize_with = "bounded::<_, _, MAX_PORTS>")]
    pub inputs: Vec<Port>,
    /// Model outputs.
    #[serde(deserialize_with = "bounded::<_, _, MAX_PORTS>")]
    pub outputs: Vec<Port>,
}

impl Graph {
    /// The node that produces `tensor`.
    pub fn node(&self, tensor: TensorId) -> &Node {
        &self.nodes[tensor.0]
    }

    /// The integer that stands for a missing cell of a port, if some may be missing.
    pub fn missing(&self, port: &Port) -> Option<i64> {
        match port.kind {
            PortKind::Real | PortKind::Integer => None,
            PortKind::RealOrMissing => Some(self.node(port.tensor).interval.lo),
        }
    }
}
