//! Every length and shape of a proof, derived from the graph and the batch size alone.
//!
//! The tensor of node `i` for a batch of `B` has axes `[B, axes..]`; an axis of length `n` has
//! `ceil(log2 n)` variables, most significant first, and the tensor's multilinear extension the
//! variables of all its axes in order.

mod lookups;
mod merging;
mod weights;

pub(crate) use lookups::{Block, Limb, TableBlock};
pub(crate) use weights::WeightPlan;

use zkstrata_mle::{axis_vars, live_cells, tensor_vars};
use zkstrata_model_ir::int::{Port, TensorId, ValidGraph};
use zkstrata_pcs::joint::{Layout, Others, ProofProfile, Table as Columns, Word};
use zkstrata_pcs::{ColumnId, Error};

/// Leaves of the lookup tree and cells of a commitment stay below `2^MAX_LOG_LEAVES`.
pub(crate) const MAX_LOG_LEAVES: usize = 30;

/// The committed columns and lookups of a proof.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The model.
    pub(crate) graph: ValidGraph,
    /// Number of inferences.
    pub(crate) batch: usize,
    /// Lookup blocks, one per table node, those with the most leaves first.
    pub(crate) blocks: Vec<Block>,
    /// Variables of the lookup tree over the leaves.
    pub(crate) leaf_vars: usize,
    /// Tables in the table hypercube, largest first.
    pub(crate) tables: Vec<TableBlock>,
    /// Variables of the table hypercube.
    pub(crate) table_vars: usize,
    /// Shape of the witness commitment: one table per block in order, with the output and the
    /// limbs, then the multiplicities.
    /// Empty if the model has no lookups.
    pub(crate) witness: Vec<Columns>,
    /// Which block belongs to a node.
    block_of: Vec<Option<usize>>,
    /// The level of every tensor whose claims are merged.
    merge_levels: Vec<Option<usize>>,
}

impl Plan {
    /// The plan of a batch of `batch` inferences, or which limit is exceeded.
    pub(crate) fn new(graph: ValidGraph, batch: usize) -> Result<Self, String> {
        let (blocks, leaves) = lookups::blocks(&graph, batch)?;
        let mut block_of = vec![None; graph.nodes.len()];
        for (index, block) in blocks.iter().enumerate() {
            if let Some(slot) = block_of.get_mut(block.node) {
                *slot = Some(index);
            }
        }
        let leaf_vars = axis_vars(leaves.max(1));
        let (tables, table_vars) = TableBlock::stack(&graph.tables);
        if leaf_vars >= MAX_LOG_LEAVES || table_vars >= MAX_LOG_LEAVES {
            return Err(format!(
                "a batch of {batch} has 2^{leaf_vars} lookups; fewer than 2^{MAX_LOG_LEAVES} are allowed"
            ));
        }
        let merge_levels = merging::levels(&graph);
        let mut plan = Self {
            graph,
            batch,
            blocks,
            leaf_vars,
            tables,
            table_vars,
            witness: vec![],
            block_of,
            merge_levels,
        };
        plan.witness = plan.committed();
        Ok(plan)
    }

    /// The columns of the witness commitment, cut behind their last live cells.
    fn committed(&self) -> Vec<Columns> {
        let Some(last) = self.tables.last() else {
            return vec![];
        };
        let table = self.graph.tables.get(last.table.0);
        let multiplicities = Columns {
            num_vars: self.table_vars,
            live: last.offset + table.map_or(1, |table| table.len),
            width: 1,
        };
        let blocks = self.blocks.iter().map(|block| Columns {
            num_vars: block.vars,
            live: live_cells(&self.axes(TensorId(block.node))),
            width: 1 + block.limbs.len(),
        });
        let multiplicities = (!self.blocks.is_empty()).then_some(multiplicities);
        blocks.chain(multiplicities).collect()
    }

    /// Where the columns of the witness lie, unless it has none.
    pub(crate) fn layout(&self, profile: ProofProfile) -> Result<Option<Layout>, Error> {
        let layout = || Layout::new(Word::Committed, profile.parameters(), &self.witness);
        (!self.witness.is_empty()).then(layout).transpose()
    }

    /// The same for a proof that hides the witness behind so many pads, the cells of which are one more
    /// column; it is opened beside others.
    pub(crate) fn hidden_layout(
        &self,
        profile: ProofProfile,
        pads: usize,
        others: Others,
    ) -> Result<Layout, Error> {
        let live = pads.saturating_mul(2).max(1);
        let pads = Columns {
            num_vars: axis_vars(live),
            live,
            width: 1,
        };
        let tables = [self.witness.as_slice(), &[pads]].concat();
        Layout::hidden(Word::Committed, profile.parameters(), &tables, others, 1)
    }

    /// The committed column of the pads of a proof that hides the witness.
    pub(crate) fn pad_column(&self) -> ColumnId {
        ColumnId {
            table: self.witness.len(),
            column: 0,
        }
    }

    /// Axes of a tensor, the batch first.
    pub(crate) fn axes(&self, tensor: TensorId) -> Vec<usize> {
        let mut axes = vec![self.batch];
        axes.extend_from_slice(&self.graph.node(tensor).axes);
        axes
    }

    /// Number of variables of a tensor.
    pub(crate) fn num_vars(&self, tensor: TensorId) -> usize {
        axis_vars(self.batch) + tensor_vars(&self.graph.node(tensor).axes)
    }

    /// The level at which claims on a tensor are merged, if they are.
    pub(crate) fn merge_level(&self, tensor: TensorId) -> Option<usize> {
        self.merge_levels.get(tensor.0).copied().flatten()
    }

    /// Number of lookups of live cells: leaves of the lookup tree that are not 1/1.
    pub(crate) fn lookups(&self) -> usize {
        let cells = |b: &Block| self.batch * self.graph.node(TensorId(b.node)).cells();
        let blocks = self.blocks.iter();
        blocks.map(|b| cells(b) * (1 + b.limbs.len())).sum()
    }

    /// Number of the others.
    pub(crate) fn dead_leaves(&self) -> usize {
        (1 << self.leaf_vars) - self.lookups()
    }

    /// The committed column of a table node's output.
    pub(crate) fn output_column(&self, tensor: TensorId) -> Option<ColumnId> {
        let table = self.block_of.get(tensor.0).copied().flatten()?;
        Some(ColumnId { table, column: 0 })
    }

    /// The committed column that holds the cells of an input that has a guard.
    pub(crate) fn guard_column(&self, port: &Port) -> Option<ColumnId> {
        self.output_column(self.graph.guard(port)?)
    }

    /// The committed column of the multiplicities.
    pub(crate) fn multiplicity_column(&self) -> ColumnId {
        ColumnId {
            table: self.blocks.len(),
            column: 0,
        }
    }
}
