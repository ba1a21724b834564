//! How a commitment's columns are divided: a function of the shape and the place alone, which
//! prover and verifier compute alike.
//!
//! The library commits to `2^k` cells. Columns are powers of two, so in decreasing order they fill
//! the aligned blocks of the binary decomposition `T = 2^b_1 + 2^b_2 + ...` of their total without
//! gaps. The candidates are: the first `j` blocks as parts of their own, and the remainder either
//! rounded up to one more part or, if it is small enough, in the clear. The cheapest wins, where the
//! cost is the product of what the prover's time and the proof's size are made of: `n` parts of
//! together `2^a + 2^b + ...` cells and `c` cells in the clear cost
//!
//! ```text
//! (2^a + 2^b + ... + n PART_CELLS + c) (1 + n + c / PART_CLEAR)
//! ```
//!
//! (the 1 stands for the rest of the proof), so that a second part must save a third of the cells.

use crate::scheme::{ColumnId, Error, MAX_LOG_CELLS, Place, TableShape, cells_of};
use p3_sumcheck::TableShape as LibraryTable;
use std::cmp::Reverse;

/// Variables that the first round folds; a smaller column is padded to this many.
pub(super) fn first_fold(place: Place) -> usize {
    match place {
        Place::Key => 7,
        Place::Proof => 6,
        Place::Tail => 5,
    }
}

/// Smallest part, `log2` of its cells.
fn min_part(place: Place) -> usize {
    match place {
        Place::Key | Place::Proof => 14,
        // All that it is made of has been compressed already.
        Place::Tail => 6,
    }
}

/// Largest number of cells that a commitment on the tape holds in the clear: 64 KiB at most, less
/// than an opening proof of as many cells.
pub(super) const CLEAR_IN_PROOF: usize = 1 << 13;

/// Largest number of cells that a key holds in the clear: they are stored once, not in each proof,
/// and evaluated by the verifier in a fraction of a millisecond.
pub(super) const CLEAR_IN_KEY: usize = 1 << 15;

/// Cells that take as long to commit to and open as a part without any: 2 ms.
const PART_CELLS: usize = 1 << 16;

/// Cells in the clear that are as long as the proof of a part: 250 KB.
const PART_CLEAR: usize = 1 << 15;

/// Columns that are committed together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// Where the commitment lives.
    pub(super) place: Place,
    /// `log2` of the number of cells of a part for the library, `None` for one in the clear.
    pub(super) log_cells: Option<usize>,
    /// Its columns, in decreasing order of length, then by table and index.
    pub(super) columns: Vec<PartColumn>,
}

/// A column and its number of variables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PartColumn {
    /// Which column of the commitment.
    pub(super) id: ColumnId,
    /// `log2` of its length.
    pub(super) num_vars: usize,
}

impl Part {
    /// Number of variables of a column with padding.
    pub(super) fn padded_vars(&self, column: &PartColumn) -> usize {
        column.num_vars.max(first_fold(self.place))
    }

    /// The position of a column of `num_vars` variables among the part's.
    pub(super) fn position(&self, id: ColumnId, num_vars: usize) -> Option<usize> {
        let key = (Reverse(num_vars), id);
        self.columns
            .binary_search_by_key(&key, |column| (Reverse(column.num_vars), column.id))
            .ok()
    }

    /// Number of cells without padding.
    pub(super) fn cells(&self) -> usize {
        self.columns.iter().map(|column| 1 << column.num_vars).sum()
    }

    /// The library's tables: the numbers of columns of equal length.
    pub(super) fn tables(&self) -> Vec<LibraryTable> {
        self.columns
            .chunk_by(|a, b| self.padded_vars(a) == self.padded_vars(b))
            .filter_map(|class| {
                let vars = self.padded_vars(class.first()?);
                Some(LibraryTable::new(vars, class.len()))
            })
            .collect()
    }
}

/// Divides the columns.
pub(super) fn plan(place: Place, shape: &[TableShape]) -> Result<Vec<Part>, Error> {
    let clear = match place {
        Place::Key => CLEAR_IN_KEY,
        Place::Proof => CLEAR_IN_PROOF,
        Place::Tail => 0,
    };
    if cells_of(shape)? <= clear {
        return Ok(divide(place, shape, &[]));
    }
    let padded: Vec<TableShape> = shape
        .iter()
        .map(|table| TableShape {
            num_vars: table.num_vars.max(first_fold(place)),
            width: table.width,
        })
        .collect();
    let total = cells_of(&padded)?;
    let blocks: Vec<usize> = (0..=MAX_LOG_CELLS)
        .rev()
        .filter(|&b| total >> b & 1 == 1)
        .collect();
    let mut best: Option<(u128, Vec<usize>)> = None;
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
            if sizes.is_empty() || sizes.iter().any(|&b| b < min_part(place)) {
                continue;
            }
            let cost = cost(&sizes, in_clear);
            if best.as_ref().is_none_or(|(least, _)| cost < *least) {
                best = Some((cost, sizes));
            }
        }
    }
    // One part of the whole total rounded up is always a candidate.
    let sizes = best.map(|(_, sizes)| sizes).unwrap_or_default();
    Ok(divide(place, shape, &sizes))
}

/// The prover's time times the proof's size, up to a constant.
fn cost(sizes: &[usize], in_clear: usize) -> u128 {
    let parts: usize = sizes.iter().map(|&b| (1 << b) + PART_CELLS).sum();
    let time = widen(parts + in_clear);
    let size = widen((1 + sizes.len()) * PART_CLEAR + in_clear);
    time * size
}

fn widen(n: usize) -> u128 {
    u128::try_from(n).unwrap_or(u128::MAX)
}

/// Fills parts of these sizes with the columns in decreasing order, and one in the clear with what
/// does not fit.
fn divide(place: Place, shape: &[TableShape], sizes: &[usize]) -> Vec<Part> {
    let mut columns: Vec<PartColumn> = shape
        .iter()
        .enumerate()
        .flat_map(|(table, s)| {
            (0..s.width).map(move |column| PartColumn {
                id: ColumnId { table, column },
                num_vars: s.num_vars,
            })
        })
        .collect();
    columns.sort_by_key(|column| (Reverse(column.num_vars), column.id));
    let mut columns = columns.into_iter().peekable();
    let mut parts = Vec::with_capacity(sizes.len() + 1);
    for &log_cells in sizes {
        let mut part = Part {
            place,
            log_cells: Some(log_cells),
            columns: vec![],
        };
        let mut room = 1usize << log_cells;
        while let Some(column) = columns.next_if(|column| 1 << part.padded_vars(column) <= room) {
            room -= 1 << part.padded_vars(&column);
            part.columns.push(column);
        }
        parts.push(part);
    }
    if columns.peek().is_some() {
        parts.push(Part {
            place,
            log_cells: None,
            columns: columns.collect(),
        });
    }
    parts
}

#[cfg(test)]
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
        // A quarter of the cells is not worth a part, three eighths are.
        let large = [table(22, 1), table(21, 1)];
        assert_eq!(sizes(Place::Proof, &large), [Some(23)]);
        let large = [table(22, 1), table(20, 1), table(18, 1)];
        assert_eq!(sizes(Place::Proof, &large), [Some(23)]);
        let large = [table(22, 1), table(20, 1)];
        assert_eq!(sizes(Place::Proof, &large), [Some(22), Some(20)]);
        assert_eq!(sizes(Place::Key, &large), [Some(22), Some(20)]);
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
                    let homes = parts.iter().filter(|p| p.position(id, s.num_vars).is_some());
                    prop_assert_eq!(homes.count(), 1);
                }
            }
            let total = cells_of(&shape).expect("a valid shape");
            let mut padded = 0;
            for part in &parts {
                let cells: usize = part.columns.iter().map(|c| 1 << part.padded_vars(c)).sum();
                if let Some(b) = part.log_cells {
                    // The library derives the size from the columns: it must be the planned one.
                    prop_assert!(cells <= 1 << b && cells > 1 << (b - 1));
                    padded += 1 << b;
                } else {
                    let most = if key { CLEAR_IN_KEY } else { CLEAR_IN_PROOF };
                    prop_assert!(part.cells() <= most);
                    padded += part.cells();
                }
            }
            // A second part would save a third of the cells.
            if total >= 1 << 22 {
                prop_assert!(padded <= total + total * 2 / 3);
            }
        }
    }
}
