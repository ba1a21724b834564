//! Every length and shape of a proof, derived from the graph and the batch size alone.
//!
//! The tensor of node `i` for a batch of `B` has axes `[B, axes..]`; an axis of length `n` has
//! `ceil(log2 n)` variables, most significant first, and the tensor's multilinear extension the
//! variables of all its axes in order.

use crate::linear::merge;
use crate::lookup::{Block, Limb, TableBlock};
use crate::options::SetupOptions;
use zkstrata_mle::{E, PrimeCharacteristicRing, axis_vars, less_than, tensor_vars};
use zkstrata_model_ir::int::{Affine, Graph, Op, Table, TableId, TensorId};
use zkstrata_pcs::joint::{Layout, ProofProfile, Table as Columns, Word};
use zkstrata_pcs::{ColumnId, Error};

/// Leaves of the lookup tree and cells of a commitment stay below `2^MAX_LOG_LEAVES`.
pub(crate) const MAX_LOG_LEAVES: usize = 30;

/// `prod_a LT_{n_a}(r_a)`: the multilinear extension of "every index is below its axis' length".
///
/// `point` must have exactly the variables of `axes`.
pub(crate) fn mask(axes: &[usize], point: &[E]) -> E {
    let mut rest = point;
    let mut product = E::ONE;
    for &n in axes {
        let (axis, tail) = rest.split_at(axis_vars(n));
        if !n.is_power_of_two() {
            product *= less_than(n, axis);
        }
        rest = tail;
    }
    product
}

/// One more than the place of the last cell of a tensor of these axes, padded.
pub(crate) fn live_cells(axes: &[usize]) -> usize {
    let last = axes.iter().fold(0usize, |last, &n| {
        let padded = n.checked_next_power_of_two().unwrap_or(usize::MAX);
        last.saturating_mul(padded)
            .saturating_add(n.saturating_sub(1))
    });
    last.saturating_add(1)
}

/// The committed columns and lookups of a proof.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    /// The model.
    pub(crate) graph: &'a Graph,
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

impl<'a> Plan<'a> {
    /// The plan of a batch of `batch` inferences, or which limit is exceeded.
    pub(crate) fn new(graph: &'a Graph, batch: usize) -> Result<Self, String> {
        let mut blocks: Vec<Block> = Vec::new();
        for (node, n) in graph.nodes.iter().enumerate() {
            if let Op::Table {
                table,
                shift,
                ranges,
                offset,
            } = &n.op
            {
                let vars = axis_vars(batch) + tensor_vars(&n.axes);
                if vars >= MAX_LOG_LEAVES {
                    return Err(format!("node `{}` has 2^{vars} cells", n.name));
                }
                let input = n
                    .inputs
                    .first()
                    .copied()
                    .ok_or("table node without input")?;
                blocks.push(Block {
                    node,
                    input,
                    table: *table,
                    shift: *shift,
                    offset: *offset,
                    limbs: limbs(graph, ranges)?,
                    vars,
                    first: 0,
                });
            }
        }
        blocks.sort_by_key(|b| std::cmp::Reverse(b.leaf_vars()));
        let mut block_of = vec![None; graph.nodes.len()];
        for (index, block) in blocks.iter().enumerate() {
            if let Some(slot) = block_of.get_mut(block.node) {
                *slot = Some(index);
            }
        }
        let leaves = stack(&mut blocks);
        let leaf_vars = axis_vars(leaves.max(1));
        let (tables, table_vars) = TableBlock::stack(&graph.tables);
        if leaf_vars >= MAX_LOG_LEAVES || table_vars >= MAX_LOG_LEAVES {
            return Err(format!(
                "a batch of {batch} has 2^{leaf_vars} lookups; fewer than 2^{MAX_LOG_LEAVES} are allowed"
            ));
        }
        let mut plan = Self {
            graph,
            batch,
            blocks,
            leaf_vars,
            tables,
            table_vars,
            witness: vec![],
            block_of,
            merge_levels: merge::levels(graph),
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

    /// The committed column of a table node's output.
    pub(crate) fn output_column(&self, tensor: TensorId) -> Option<ColumnId> {
        let table = self.block_of.get(tensor.0).copied().flatten()?;
        Some(ColumnId { table, column: 0 })
    }

    /// The committed column of the multiplicities.
    pub(crate) fn multiplicity_column(&self) -> ColumnId {
        ColumnId {
            table: self.blocks.len(),
            column: 0,
        }
    }
}

/// The limbs of a remainder, least significant first, before their blocks have places.
fn limbs(graph: &Graph, ranges: &[TableId]) -> Result<Vec<Limb>, String> {
    let mut low = 0;
    let limb = |&range: &TableId| {
        let table = graph.tables.get(range.0);
        let bits = table.and_then(Table::limb_bits).ok_or("no range table")?;
        let limb = Limb {
            range,
            low,
            first: 0,
        };
        low += bits;
        Ok(limb)
    };
    ranges.iter().map(limb).collect()
}

/// Places the leaves of all blocks, and those of the limbs with blocks of their own, largest
/// first, so that each is aligned. Returns the number of leaves.
fn stack(blocks: &mut [Block]) -> usize {
    let mut places: Vec<(usize, &mut usize)> = Vec::new();
    let mut own: Vec<(usize, &mut usize)> = Vec::new();
    for block in blocks {
        let (vars, leaf_vars) = (block.vars, block.leaf_vars());
        places.push((leaf_vars, &mut block.first));
        if let Some((_, others)) = block.limbs.split_last_mut() {
            own.extend(others.iter_mut().map(|limb| (vars, &mut limb.first)));
        }
    }
    places.append(&mut own);
    places.sort_by_key(|&(vars, _)| std::cmp::Reverse(vars));
    let mut leaves = 0;
    for (vars, first) in places {
        *first = leaves;
        leaves += 1 << vars;
    }
    leaves
}

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

    /// Where the columns lie in the key of a graph, beside the witness of one inference.
    pub(crate) fn layout(&self, graph: &Graph, options: SetupOptions) -> Result<Layout, Error> {
        let profile = options.proof;
        let one = Plan::new(graph, 1).ok();
        let witness = one.map(|plan| plan.layout(profile)).transpose()?.flatten();
        let rows = witness.and_then(|layout| layout.rows()).unwrap_or(0);
        let word = options.trust.word();
        Layout::beside(word, profile.parameters(), &self.shape, rows)
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
