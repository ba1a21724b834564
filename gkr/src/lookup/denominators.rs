//! The denominators of all rows of the table hypercube: a live leaf's is that of its row.

use super::table::row;
use crate::plan::Plan;
use rayon::prelude::*;
use zkstrata_mle::E;
use zkstrata_model_ir::int::TableId;

/// The denominators of all rows.
pub(super) struct Denominators {
    pub(super) rows: Vec<E>,
    /// First row of each table.
    offsets: Vec<usize>,
}

/// First row of each table in the hypercube.
pub(super) fn table_offsets(plan: &Plan) -> Vec<usize> {
    let mut offsets = vec![0; plan.tables.len()];
    for block in &plan.tables {
        offsets[block.table.0] = block.offset;
    }
    offsets
}

impl Denominators {
    /// The denominators for challenges.
    pub(super) fn new(plan: &Plan, alpha: E, beta: E) -> Self {
        let mut rows = Vec::with_capacity(1 << plan.table_vars);
        for block in &plan.tables {
            let table = &plan.graph.tables[block.table.0];
            let live = rows.len() + table.len;
            rows.par_extend(
                (0..table.len)
                    .into_par_iter()
                    .with_min_len(1 << 10)
                    .map(|j| row(table, block.table, j).denominator(alpha, beta)),
            );
            let last = rows[live - 1];
            rows.resize(block.offset + (1 << block.vars), last);
        }
        let last = *rows.last().expect("a model with lookups has tables");
        rows.resize(1 << plan.table_vars, last);
        Self {
            rows,
            offsets: table_offsets(plan),
        }
    }

    /// The first row of a table.
    pub(super) fn offset(&self, table: TableId) -> usize {
        self.offsets[table.0]
    }
}
