//! Where the weights and biases lie that a key commits to.

use super::Plan;
use std::num::NonZeroU16;
use zkstrata_mle::{axis_vars, live_cells, tensor_vars};
use zkstrata_model_ir::int::{Affine, Graph, Op, ValidGraph};
use zkstrata_pcs::joint::{Layout, Others, ProofProfile, Table as Columns, Word};
use zkstrata_pcs::{ColumnId, Error};

/// Shape of the commitment to a model's constants: one table per weight tensor with one column
/// per tap over `(groups, outputs, inputs)`, then one column with all biases.
#[derive(Debug)]
pub(crate) struct WeightPlan {
    /// The commitment's tables. Empty if the model has no weights.
    pub(crate) shape: Vec<Columns>,
    /// The node of each weight tensor.
    pub(crate) nodes: Vec<usize>,
    /// Where each bias lies in the bias column.
    pub(crate) biases: Vec<BiasBlock>,
    /// Variables of the bias column.
    pub(crate) bias_vars: usize,
}

/// An aligned block of the bias column: over `(groups, outputs)` of a layer, or a constant.
#[derive(Clone, Debug, Default)]
pub(crate) struct BiasBlock {
    /// Axes of the bias: groups, then outputs; those of a constant.
    pub(crate) axes: Vec<usize>,
    /// First cell.
    pub(crate) offset: usize,
}

impl BiasBlock {
    /// Number of variables.
    pub(crate) fn vars(&self) -> usize {
        tensor_vars(&self.axes)
    }
}

impl WeightPlan {
    /// The plan of a graph's constants.
    pub(crate) fn new(graph: &Graph) -> Self {
        let mut nodes = vec![0; graph.weights];
        let none = Columns {
            num_vars: 0,
            live: 1,
            width: 1,
        };
        let mut shape = vec![none; graph.weights];
        let mut biases = vec![BiasBlock::default(); graph.biases.len()];
        for (index, node) in graph.nodes.iter().enumerate() {
            if let Op::Constant { bias } = &node.op
                && let Some(block) = biases.get_mut(bias.0)
            {
                block.axes.clone_from(&node.axes);
            }
            let Op::Affine(affine) = &node.op else {
                continue;
            };
            let w = affine.weight_shape();
            if let (Some(node), Some(table)) = (
                nodes.get_mut(affine.weight.0),
                shape.get_mut(affine.weight.0),
            ) {
                *node = index;
                let axes = [w.groups, w.outputs, w.inputs].concat();
                *table = Columns {
                    num_vars: tensor_vars(&axes),
                    live: live_cells(&axes),
                    width: w.taps.iter().product(),
                };
            }
            if let Some(block) = affine.bias.and_then(|b| biases.get_mut(b.0)) {
                block.axes = bias_axes(affine);
            }
        }
        let mut order: Vec<usize> = (0..biases.len()).collect();
        order.sort_by_key(|&b| std::cmp::Reverse(biases.get(b).map_or(0, BiasBlock::vars)));
        let (mut cells, mut live) = (0usize, 1);
        for b in order {
            if let Some(block) = biases.get_mut(b) {
                block.offset = cells;
                live = cells + live_cells(&block.axes);
                cells += 1 << block.vars();
            }
        }
        let bias_vars = axis_vars(cells.max(1));
        if !biases.is_empty() {
            shape.push(Columns {
                num_vars: bias_vars,
                live,
                width: 1,
            });
        }
        Self {
            shape,
            nodes,
            biases,
            bias_vars,
        }
    }

    /// Where the columns lie in the key of a graph, of whose word so much is known, beside the
    /// witness of one inference.
    pub(crate) fn layout(
        &self,
        graph: &ValidGraph,
        word: Word,
        profile: ProofProfile,
    ) -> Result<Layout, Error> {
        let one = Plan::new(graph.clone(), 1).ok();
        let witness = one.map(|plan| plan.layout(profile)).transpose()?.flatten();
        let rows = witness.and_then(|layout| layout.rows()).unwrap_or(0);
        Layout::beside(word, profile.parameters(), &self.shape, rows)
    }

    /// Where the columns lie in a word that hides them in so many openings.
    pub(crate) fn hidden_layout(
        &self,
        word: Word,
        profile: ProofProfile,
        uses: NonZeroU16,
    ) -> Result<Layout, Error> {
        let (parameters, uses) = (profile.parameters(), usize::from(uses.get()));
        Layout::hidden(word, parameters, &self.shape, Others::default(), uses)
    }

    /// The committed column of the biases.
    pub(crate) fn bias_column(&self) -> ColumnId {
        ColumnId {
            table: self.nodes.len(),
            column: 0,
        }
    }
}

/// Axes of an affine layer's bias.
pub(crate) fn bias_axes(affine: &Affine) -> Vec<usize> {
    [affine.groups.as_slice(), &affine.outputs].concat()
}
