//! Where the leaves of lookups and the rows of tables lie: aligned blocks, the largest first. What
//! is in them is the lookup argument's.

use super::MAX_LOG_LEAVES;
use zkstrata_mle::{axis_vars, tensor_vars};
use zkstrata_model_ir::int::{Graph, Op, Table, TableId, TensorId};

/// The leaves of one table node.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    /// The node.
    pub(crate) node: usize,
    /// Its argument.
    pub(crate) input: TensorId,
    /// Its table.
    pub(crate) table: TableId,
    /// `S`.
    pub(crate) shift: u32,
    /// What is added before the shift.
    pub(crate) offset: i64,
    /// The limbs of the remainder, the least significant first; none if `S = 0`.
    pub(crate) limbs: Vec<Limb>,
    /// Variables of the node's tensor.
    pub(crate) vars: usize,
    /// First leaf.
    pub(crate) first: usize,
}

/// A limb of the remainders of one table node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limb {
    /// Its range table `0 .. 2^k_j`.
    pub(crate) range: TableId,
    /// `k_0 + .. + k_(j-1)`
    pub(crate) low: u32,
    /// First leaf of its own block; the last limb has none.
    pub(crate) first: usize,
}

impl Block {
    /// Variables of the block of leaves.
    pub(crate) fn leaf_vars(&self) -> usize {
        self.vars + usize::from(self.shift > 0)
    }

    /// The limbs with blocks of their own: all but the last.
    pub(crate) fn own_limbs(&self) -> &[Limb] {
        self.limbs.split_last().map_or(&[], |(_, own)| own)
    }

    /// Variables and first leaf of every block of leaves, the main one first.
    pub(crate) fn leaf_blocks(&self) -> impl Iterator<Item = (usize, usize)> {
        let own = self.own_limbs().iter().map(|limb| (self.vars, limb.first));
        std::iter::once((self.leaf_vars(), self.first)).chain(own)
    }

    /// The limbs in the order of their columns, which follow the output's: the last one, then the
    /// others from the least significant.
    pub(crate) fn limb_columns(&self) -> impl Iterator<Item = usize> + use<> {
        let last = self.limbs.len().checked_sub(1);
        last.into_iter().chain(0..last.unwrap_or(0))
    }
}

/// Smallest number of variables of a table.
const MIN_LOG_ROWS: usize = 6;

/// A table's block of the hypercube.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TableBlock {
    /// The table.
    pub(crate) table: TableId,
    /// Variables of the block.
    pub(crate) vars: usize,
    /// First row.
    pub(crate) offset: usize,
}

impl TableBlock {
    /// The blocks of all tables, largest first, and the variables of the hypercube.
    pub(crate) fn stack(tables: &[Table]) -> (Vec<Self>, usize) {
        let mut blocks: Vec<Self> = tables
            .iter()
            .enumerate()
            .map(|(t, table)| Self {
                table: TableId(t),
                vars: axis_vars(table.len).max(MIN_LOG_ROWS),
                offset: 0,
            })
            .collect();
        blocks.sort_by_key(|b| std::cmp::Reverse(b.vars));
        let mut rows = 0;
        for block in &mut blocks {
            block.offset = rows;
            rows += 1 << block.vars;
        }
        (blocks, axis_vars(rows.max(1)))
    }
}

/// The blocks of all table nodes, placed, those with the most leaves first; and the number of
/// leaves.
pub(super) fn blocks(graph: &Graph, batch: usize) -> Result<(Vec<Block>, usize), String> {
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
    let leaves = stack(&mut blocks);
    Ok((blocks, leaves))
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
