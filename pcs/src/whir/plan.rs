//! How a commitment's columns are divided: a function of the shape and the place alone, which
//! prover and verifier compute alike.
//!
//! The library commits to `2^k` cells. Columns are powers of two, so in decreasing order they fill
//! the aligned blocks of the binary decomposition `T = 2^b_1 + 2^b_2 + ...` of their total without
//! gaps. The candidates are: the first `j` blocks as parts of their own, and the remainder either
//! rounded up to one more part or, if it is small enough, in the clear. The cheapest wins, counted
//! in cells: a part of `2^k` cells costs `2^k + PART` and a cell in the clear costs `CLEAR_CELL`.

use crate::scheme::{ColumnId, Error, MAX_LOG_CELLS, Place, TableShape, cells_of};

/// Variables that the first round folds; a smaller column is padded to this many.
pub(super) const FIRST_FOLD: usize = 6;

/// Smallest part, `log2` of its cells.
const MIN_PART: usize = 14;

/// Largest number of cells that a commitment on the tape holds in the clear: 64 KiB at most, less
/// than an opening proof of as many cells.
pub(super) const CLEAR_IN_PROOF: usize = 1 << 13;

/// Largest number of cells that a key holds in the clear: they are stored once, not in each proof,
/// and evaluated by the verifier in a fraction of a millisecond.
pub(super) const CLEAR_IN_KEY: usize = 1 << 15;

/// What one more part costs, in cells of padding: committing and opening a cell takes about 40 ns,
/// a part about 10 ms and 250 KB of proof.
const PART: usize = 3 << 18;

/// What a cell in the clear costs, in cells of padding: up to 8 bytes of proof.
const CLEAR_CELL: usize = 8;

/// Columns that are committed together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// `log2` of the number of cells of a part for the library, `None` for one in the clear.
    pub(super) log_cells: Option<usize>,
    /// Its columns, table by table in the order of the shape.
    pub(super) tables: Vec<PartTable>,
}

/// The columns of one table that lie in one part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PartTable {
    /// Index of the table in the commitment's shape.
    pub(super) table: usize,
    /// Number of variables of its columns.
    pub(super) num_vars: usize,
    /// Columns `first .. first + width`.
    pub(super) first: usize,
    /// How many.
    pub(super) width: usize,
}

impl PartTable {
    /// Number of variables with padding.
    pub(super) fn padded_vars(&self) -> usize {
        self.num_vars.max(FIRST_FOLD)
    }
}

impl Part {
    /// The position of a column: its table within the part and its index there.
    pub(super) fn position(&self, column: ColumnId) -> Option<(usize, usize)> {
        self.tables.iter().enumerate().find_map(|(k, t)| {
            let offset = column.column.checked_sub(t.first)?;
            (t.table == column.table && offset < t.width).then_some((k, offset))
        })
    }

    /// The shape of the part as tables of its own.
    pub(super) fn shape(&self) -> Vec<TableShape> {
        self.tables
            .iter()
            .map(|t| TableShape {
                num_vars: t.num_vars,
                width: t.width,
            })
            .collect()
    }

    fn push(&mut self, table: usize, num_vars: usize, first: usize, width: usize) {
        self.tables.push(PartTable {
            table,
            num_vars,
            first,
            width,
        });
    }
}

/// Divides the columns.
pub(super) fn plan(place: Place, shape: &[TableShape]) -> Result<Vec<Part>, Error> {
    let clear = match place {
        Place::Key => CLEAR_IN_KEY,
        Place::Proof => CLEAR_IN_PROOF,
    };
    if cells_of(shape)? <= clear {
        return Ok(divide(shape, &[]));
    }
    let padded: Vec<TableShape> = shape
        .iter()
        .map(|table| TableShape {
            num_vars: table.num_vars.max(FIRST_FOLD),
            width: table.width,
        })
        .collect();
    let total = cells_of(&padded)?;
    let blocks: Vec<usize> = (0..=MAX_LOG_CELLS)
        .rev()
        .filter(|&b| total >> b & 1 == 1)
        .collect();
    let mut best: Option<(usize, Vec<usize>)> = None;
    for j in 0..=blocks.len() {
        let mut sizes: Vec<usize> = blocks.iter().take(j).copied().collect();
        let rest: usize = total - sizes.iter().map(|&b| 1usize << b).sum::<usize>();
        let mut candidates = vec![];
        if rest <= clear {
            candidates.push((sizes.clone(), rest));
        }
        if rest > 0 {
            sizes.extend((0..=MAX_LOG_CELLS).find(|&b| 1 << b >= rest));
            candidates.push((sizes, 0));
        }
        for (sizes, in_clear) in candidates {
            if sizes.is_empty() || sizes.iter().any(|&b| b < MIN_PART) {
                continue;
            }
            let parts: usize = sizes.iter().map(|&b| (1 << b) + PART).sum();
            let cost = parts + CLEAR_CELL * in_clear;
            if best.as_ref().is_none_or(|(least, _)| cost < *least) {
                best = Some((cost, sizes));
            }
        }
    }
    // One part of the whole total rounded up is always a candidate.
    let sizes = best.map(|(_, sizes)| sizes).unwrap_or_default();
    Ok(divide(shape, &sizes))
}

/// Fills parts of these sizes with the columns in decreasing order, and one in the clear with what
/// does not fit.
fn divide(shape: &[TableShape], sizes: &[usize]) -> Vec<Part> {
    let mut order: Vec<(usize, &TableShape)> = shape.iter().enumerate().collect();
    order.sort_by_key(|(_, table)| std::cmp::Reverse(table.num_vars));
    let mut columns = order
        .into_iter()
        .flat_map(|(t, table)| (0..table.width).map(move |c| (t, table.num_vars, c)))
        .peekable();
    let mut parts = Vec::with_capacity(sizes.len() + 1);
    let bounds = sizes.iter().map(|&b| Some(b)).chain([None]);
    for log_cells in bounds {
        let mut part = Part {
            log_cells,
            tables: vec![],
        };
        let mut room = log_cells.map_or(usize::MAX, |b| 1 << b);
        while let Some((t, num_vars, c)) =
            columns.next_if(|&(_, n, _)| log_cells.is_none() || 1 << n.max(FIRST_FOLD) <= room)
        {
            if log_cells.is_some() {
                room -= 1 << num_vars.max(FIRST_FOLD);
            }
            match part.tables.last_mut() {
                Some(last) if last.table == t => last.width += 1,
                _ => part.push(t, num_vars, c, 1),
            }
        }
        part.tables.sort_by_key(|table| table.table);
        if !part.tables.is_empty() {
            parts.push(part);
        }
    }
    parts
}

#[cfg(test)]
#[allow(clippy::expect_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn table(num_vars: usize, width: usize) -> TableShape {
        TableShape { num_vars, width }
    }

    fn sizes(place: Place, shape: &[TableShape]) -> Vec<Option<usize>> {
        let parts = plan(place, shape).expect("a valid shape");
        parts.iter().map(|part| part.log_cells).collect()
    }

    #[test]
    fn small_commitments_stay_in_the_clear() {
        assert_eq!(sizes(Place::Proof, &[table(13, 1)]), [None]);
        assert_eq!(
            sizes(Place::Proof, &[table(13, 1), table(0, 1)]),
            [Some(14)]
        );
        assert_eq!(sizes(Place::Key, &[table(15, 1)]), [None]);
        assert_eq!(
            sizes(Place::Key, &[table(15, 1), table(0, 1)]),
            [Some(15), None]
        );
        assert_eq!(sizes(Place::Proof, &[]), []);
    }

    #[test]
    fn a_small_excess_does_not_double_a_commitment() {
        let weights = [table(20, 4), table(12, 3), table(10, 2)];
        assert_eq!(sizes(Place::Key, &weights), [Some(22), None]);
        assert_eq!(sizes(Place::Proof, &weights), [Some(22), Some(14)]);
        // Here one more part would cost more than the padding.
        let witness = [table(17, 1), table(13, 2)];
        assert_eq!(sizes(Place::Proof, &witness), [Some(18)]);
        // Five quarters and a half: large enough to split twice.
        let large = [table(22, 1), table(20, 1), table(18, 1)];
        assert_eq!(sizes(Place::Proof, &large), [Some(22), Some(21)]);
        let huge = [table(24, 1), table(22, 1), table(20, 1)];
        assert_eq!(sizes(Place::Proof, &huge), [Some(24), Some(22), Some(20)]);
    }

    proptest! {
        #[test]
        fn every_column_lies_in_one_part_and_parts_are_not_overfull(
            shape in proptest::collection::vec((0usize..22, 1usize..9), 0..12),
            key in any::<bool>(),
        ) {
            let shape: Vec<TableShape> = shape.iter().map(|&(n, w)| table(n, w)).collect();
            let place = if key { Place::Key } else { Place::Proof };
            let parts = plan(place, &shape).expect("a valid shape");
            for (t, s) in shape.iter().enumerate() {
                for c in 0..s.width {
                    let id = ColumnId { table: t, column: c };
                    let homes = parts.iter().filter(|part| part.position(id).is_some());
                    prop_assert_eq!(homes.count(), 1);
                }
            }
            let total = cells_of(&shape).expect("a valid shape");
            let mut padded = 0;
            for part in &parts {
                let cells: usize = part.tables.iter().map(|t| t.width << t.padded_vars()).sum();
                if let Some(b) = part.log_cells {
                    // The library derives the size from the columns: it must be the planned one.
                    prop_assert!(cells <= 1 << b && cells > 1 << (b - 1));
                    padded += 1 << b;
                } else {
                    let cells = cells_of(&part.shape()).expect("a valid shape");
                    let most = if key { CLEAR_IN_KEY } else { CLEAR_IN_PROOF };
                    prop_assert!(cells <= most);
                    padded += cells;
                }
            }
            // Padding of large commitments: a third at most, for want of a cheap split.
            if total >= 1 << 22 {
                prop_assert!(padded <= total + total / 3 + (1 << 19));
            }
        }
    }
}
