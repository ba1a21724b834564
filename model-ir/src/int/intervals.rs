//! What a well-formed model is: a well-formed graph whose constants have its lengths and keep
//! every tensor inside its declared interval.

use super::bounds::{affine_bounds, map_bounds};
use super::fault::GraphError;
use super::graph::{Interval, Node};
use super::model::Model;
use super::op::Op;
use super::sums::dependent_sum_bounds;

/// Why a model is malformed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// The graph itself is malformed.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// The wrong number of weight tensors or bias vectors.
    #[error("got {got} weight tensors or bias vectors, the graph names {expected}")]
    ConstantCount {
        /// In the model.
        got: usize,
        /// In the graph.
        expected: usize,
    },
    /// A weight tensor or bias vector of the wrong length.
    #[error("node `{node}`: a constant has {got} entries, expected {expected}")]
    ConstantLength {
        /// The node that uses it.
        node: String,
        /// In the model.
        got: usize,
        /// By the graph.
        expected: usize,
    },
    /// Cells of a node may leave the interval that it declares, or `(-2^62, 2^62)`.
    #[error("node `{node}`: cells may leave the declared interval {declared}: {found:?}")]
    Interval {
        /// The node.
        node: String,
        /// What it declares.
        declared: Interval,
        /// What its operands allow; `None` outside `(-2^62, 2^62)`.
        found: Option<Interval>,
    },
}

impl Model {
    /// Checks the graph, the lengths of the constants, and by interval analysis that every cell
    /// of every tensor lies in its node's interval whenever the inputs lie in theirs.
    pub fn validate(&self) -> Result<(), ModelError> {
        self.graph.validate()?;
        let graph = &self.graph;
        let counts = [
            (self.weights.len(), graph.weights),
            (self.biases.len(), graph.biases.len()),
        ];
        for (got, expected) in counts {
            if got != expected {
                return Err(ModelError::ConstantCount { got, expected });
            }
        }
        for node in &graph.nodes {
            self.check_constants(node)?;
            let found = self.bounds(node);
            if !found.is_some_and(|found| node.interval.covers(found)) {
                return Err(ModelError::Interval {
                    node: node.name.clone(),
                    declared: node.interval,
                    found,
                });
            }
        }
        Ok(())
    }

    fn check_constants(&self, node: &Node) -> Result<(), ModelError> {
        let Op::Affine(affine) = &node.op else {
            return Ok(());
        };
        let weights = self.weights[affine.weight.0].len();
        let bias = affine.bias.map(|b| (self.biases[b.0].len(), affine.rows()));
        let lengths = [Some((weights, affine.weight_shape().len())), bias];
        for (got, expected) in lengths.into_iter().flatten() {
            if got != expected {
                return Err(ModelError::ConstantLength {
                    node: node.name.clone(),
                    got,
                    expected,
                });
            }
        }
        Ok(())
    }

    /// The interval of a node's cells, given its operands' intervals.
    fn bounds(&self, node: &Node) -> Option<Interval> {
        let operand = |k: usize| self.graph.node(node.inputs[k]).interval;
        match &node.op {
            Op::Input => Some(node.interval),
            Op::Affine(affine) => {
                let weights = &self.weights[affine.weight.0];
                let bias = affine.bias.map(|b| self.biases[b.0].as_slice());
                let rows = affine_bounds(affine, weights, bias, operand(0))?;
                rows.into_iter().reduce(Interval::hull)
            }
            Op::Map(map) => map_bounds(map, operand(0)),
            Op::Sum { coefs } => {
                let relu = |op: &Op| match op {
                    Op::Table {
                        table, shift: 0, ..
                    } => self.graph.tables[table.0].is_relu(),
                    _ => false,
                };
                dependent_sum_bounds(&self.graph.nodes, &relu, coefs, &node.inputs)
            }
            Op::Permute { .. } | Op::Gather { .. } => Some(operand(0)),
            Op::Table { table, .. } => Some(self.graph.tables[table.0].image()),
        }
    }
}
