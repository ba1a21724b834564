//! The integer model: exactly what is proven.
//!
//! A [`Graph`] is a DAG of integer tensors. Node `i` produces tensor `i`; inputs come before
//! their consumers. A tensor of a batch of `B` inferences is stored densely in row-major order as
//! `[B, axes..]` with no padding; its multilinear extension has one group of variables for the
//! batch and one per axis, each axis of length `n` padded to `2^ceil(log2 n)`.
//!
//! **Axes.** [`Node::axes`] are *physical* axes: an ordered factorisation of the logical shape
//! without axes of length 1. Reshaping and flattening are therefore no nodes at all; operators
//! carry their own view of their operands, which must agree with the operands' axes once axes
//! of length 1 are dropped.

mod bounds;
mod contract;
mod differences;
mod fault;
mod graph;
mod guard;
mod intervals;
mod model;
mod op;
#[cfg(feature = "executor")]
mod run;
mod size;
mod small;
mod stored;
mod sums;
mod table;
mod valid;
mod validate;

pub use bounds::{affine_bounds, contract_bounds, map_bounds, sum_bounds};
pub use contract::{Contract, Role};
pub use fault::{GraphError, NodeFault, PortFault, TableFault};
pub use graph::{
    Features, Graph, Interval, MAX_FEATURES, MAX_NODES, MAX_PORTS, Node, Port, PortKind, TensorId,
};
pub use guard::GuardError;
pub use intervals::ModelError;
pub use model::{Ints, Model, Trace};
pub use op::{
    Affine, Axes, BiasId, Entry, MAX_ENTRIES, MAX_LIMBS, Map, MapAxis, Op, Tap, WeightId,
    WeightShape,
};
#[cfg(feature = "executor")]
pub use run::{Executor, RunError, run};
pub use size::{WeightBits, integers_of};
pub use small::{SmallInts, SmallSlice};
pub use sums::{Known, Steps, dependent_sum_bounds};
pub use table::{Function, Table, TableId};
pub use valid::ValidGraph;
pub use validate::{
    MAX_CELLS, MAX_FACTOR, MAX_GATHER, MAX_SHIFT, MAX_TABLE, MAX_TOTAL_CELLS, MAX_WINDOW_INPUT,
    MAX_WINDOW_WORK,
};
