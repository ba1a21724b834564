//! The float graph: what an importer builds and calibration runs.
//!
//! A [`Graph`] is a list of nodes in topological order; node `i` produces value `i`. Shapes are
//! static: a dynamic batch axis of the source model is imported as 1, and a batch of inferences
//! is a batch of runs of this graph.

mod activation;
mod cones;
mod contract;
mod fold;
mod gemm;
mod graph;
mod known;
mod op;
#[cfg(test)]
pub(crate) mod random;
mod rewrite;
mod run;
mod shape;
#[cfg(test)]
mod tests;

pub use activation::{Activation, Steep, Ties};
pub use graph::{Error, Graph, GraphBuilder, Node, ValueId};
pub use op::{AxisMap, AxisMatrix, Contract, Missing, Op, PoolKind, Window};
pub use shape::MAX_CELLS;
