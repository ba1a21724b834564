//! The integer model with its weights, and what running it leaves behind.

use super::graph::{Graph, Interval};
use super::small::SmallInts;
use crate::Digest;
use serde::{Deserialize, Serialize};

/// A graph and its constants.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Model {
    /// The graph.
    pub graph: Graph,
    /// `weights[w]` is dense and row-major in the [`WeightShape`](super::WeightShape) of the
    /// node that uses weight `w`.
    pub weights: Vec<SmallInts>,
    /// `biases[b]` is dense over `[groups.., outputs..]` of the layer that uses bias `b`, or over the
    /// axes of the constant.
    pub biases: Vec<Vec<i64>>,
}

impl Model {
    /// Names the graph and every constant.
    pub fn digest(&self) -> Digest {
        Digest::of("zkstrata 2026 integer model", self)
    }
}

/// The cells of a tensor in the smallest integer type that holds its interval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ints {
    /// 16-bit cells.
    I16(Vec<i16>),
    /// 32-bit cells.
    I32(Vec<i32>),
    /// 64-bit cells.
    I64(Vec<i64>),
}

impl Ints {
    /// `len` zeros in the type that holds `interval`.
    pub fn zeros(interval: Interval, len: usize) -> Self {
        let fits = |lo: i64, hi: i64| lo <= interval.lo && interval.hi <= hi;
        if fits(i16::MIN.into(), i16::MAX.into()) {
            Self::I16(vec![0; len])
        } else if fits(i32::MIN.into(), i32::MAX.into()) {
            Self::I32(vec![0; len])
        } else {
            Self::I64(vec![0; len])
        }
    }

    /// Number of cells.
    pub fn len(&self) -> usize {
        match self {
            Self::I16(v) => v.len(),
            Self::I32(v) => v.len(),
            Self::I64(v) => v.len(),
        }
    }

    /// Whether there are no cells.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All cells.
    pub fn to_vec(&self) -> Vec<i64> {
        (0..self.len()).map(|i| self.get(i)).collect()
    }

    /// Cell `i`.
    pub fn get(&self, i: usize) -> i64 {
        match self {
            Self::I16(v) => v[i].into(),
            Self::I32(v) => v[i].into(),
            Self::I64(v) => v[i],
        }
    }
}

/// Every tensor of a run of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// Number of inferences.
    pub batch: usize,
    /// `tensors[i]` is the tensor of node `i`, dense `[batch, axes..]`.
    pub tensors: Vec<Ints>,
    /// `remainders[i]` are the limbs of `X + offset - 2^S * hi` of table node `i`, the least
    /// significant first; none for other nodes and for `S = 0`.
    pub remainders: Vec<Vec<Ints>>,
}
