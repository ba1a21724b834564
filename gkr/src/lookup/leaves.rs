//! The leaves of an honest run: made from the run's integers, chunk by chunk, as often as the tree
//! needs them, and never stored.
//!
//! An honest leaf's denominator equals that of its table row, so the rows' denominators are
//! computed once and leaves are copies of them.

use super::denominators::Denominators;
use super::fraction::{CHUNK_LEAVES, Chunk, Source};
use crate::plan::Plan;
use crate::witness::Witness;
use rayon::prelude::*;
use std::ops::Range;
use std::slice::SliceIndex;
use zkstrata_mle::{BasedVectorSpace, E, F, PrimeCharacteristicRing, axis_vars};
use zkstrata_model_ir::int::Ints;

/// All leaves of a run.
pub(super) struct RunLeaves<'a> {
    /// The blocks in order, without gaps.
    blocks: Vec<BlockLeaves<'a>>,
    len: usize,
    /// The coefficients of the rows' denominators, then of 1, of the leaves that are not live; with `mu`
    /// added from the shift on.
    rows: Vec<[F; 2]>,
}

/// The coefficients of an element of E.
fn coefficients(x: E) -> [F; 2] {
    let c: &[F] = x.as_basis_coefficients_slice();
    [c[0], c[1]]
}

/// The leaves of a table node, or of one limb of it.
struct BlockLeaves<'a> {
    /// First leaf.
    first: usize,
    /// Number of leaves, padding included.
    len: usize,
    /// Axes of the cells.
    axes: &'a [usize],
    argument: &'a Ints,
    shift: u32,
    offset: i64,
    /// First argument in the domain of the function's table, and its row.
    start: i64,
    function: usize,
    /// The last limbs of the remainders, and the first row of their table.
    remainder: Option<(&'a Ints, usize)>,
}

impl<'a> RunLeaves<'a> {
    pub(super) fn new(
        plan: &'a Plan,
        witness: &'a Witness,
        denominators: &'a Denominators,
    ) -> Self {
        let mut blocks = Vec::with_capacity(plan.blocks.len());
        for block in &plan.blocks {
            let axes = &witness.tensors[block.node].axes;
            let mut limbs = block.limbs.iter().zip(&witness.remainders[block.node]);
            let last = limbs.next_back();
            blocks.push(BlockLeaves {
                first: block.first,
                len: 1 << block.leaf_vars(),
                axes,
                argument: &witness.tensors[block.input.0].cells,
                shift: block.shift,
                offset: block.offset,
                start: plan.graph.tables[block.table.0].start,
                function: denominators.offset(block.table),
                remainder: last.map(|(limb, x)| (&x.cells, denominators.offset(limb.range))),
            });
            blocks.extend(limbs.map(|(limb, x)| BlockLeaves {
                first: limb.first,
                len: 1 << block.vars,
                axes,
                argument: &x.cells,
                shift: 0,
                offset: 0,
                start: 0,
                function: denominators.offset(limb.range),
                remainder: None,
            }));
        }
        blocks.sort_by_key(|b| b.first);
        Self {
            len: blocks.last().map_or(0, |b| b.first + b.len),
            blocks,
            rows: denominators
                .rows
                .iter()
                .copied()
                .chain([E::ONE])
                .map(coefficients)
                .collect(),
        }
    }
}

impl Source for RunLeaves<'_> {
    fn len(&self) -> usize {
        self.len
    }

    fn is_dead(&self, index: usize) -> bool {
        let start = index * CHUNK_LEAVES;
        let block = self.blocks.iter().rfind(|b| b.first <= start);
        // The first leaf of an aligned part of a block is live if any is, and so is a block's.
        block.is_some_and(|b| {
            b.len >= CHUNK_LEAVES && dense_index(b.axes, (start - b.first) >> b.slots()).is_none()
        })
    }

    fn shift(&mut self, mu: E) {
        let mu = coefficients(mu);
        let rows = self.rows.par_iter_mut().with_min_len(1 << 12);
        rows.for_each(|row| *row = [row[0] + mu[0], row[1] + mu[1]]);
    }

    fn fill(&self, index: usize, chunk: &mut Chunk) {
        let start = index * CHUNK_LEAVES;
        let mut leaves = Window {
            start,
            index: [(self.rows.len() - 1) as u32; CHUNK_LEAVES],
        };
        let first = self.blocks.partition_point(|b| b.first + b.len <= start);
        for block in &self.blocks[first..] {
            if block.first >= start + CHUNK_LEAVES {
                break;
            }
            block.write(&mut leaves);
        }
        chunk.fill(&self.rows, &leaves.index);
    }
}

/// The rows of the leaves of one chunk.
struct Window {
    start: usize,
    index: [u32; CHUNK_LEAVES],
}

impl BlockLeaves<'_> {
    /// Base-2 logarithm of the leaves of a cell.
    fn slots(&self) -> usize {
        usize::from(self.remainder.is_some())
    }

    /// Writes the rows of the block's live leaves that lie in the window.
    fn write(&self, window: &mut Window) {
        let slots = self.slots();
        let first = window.start.max(self.first);
        let end = (window.start + CHUNK_LEAVES).min(self.first + self.len);
        // Where the block's first leaf would lie in the window.
        let origin = self.first.wrapping_sub(window.start);
        let cells = (first - self.first) >> slots..(end - self.first) >> slots;
        runs(self.axes, cells, |padded, dense| {
            let at = origin.wrapping_add(padded << slots);
            let leaves = at..at + (dense.len() << slots);
            let index = &mut window.index[leaves];
            let (shift, offset) = (self.shift, self.offset);
            let function = self.function as i64 - self.start;
            let row = |x: i64| (function + ((x + offset) >> shift)) as u32;
            if let Some((remainder, range)) = self.remainder {
                let pairs = index.as_chunks_mut::<2>().0;
                let range = range as i64;
                for_each(remainder, dense.clone(), |i, x| {
                    pairs[i][0] = (range + x) as u32;
                });
                for_each(self.argument, dense, |i, x| pairs[i][1] = row(x));
            } else {
                for_each(self.argument, dense, |i, x| index[i] = row(x));
            }
        });
    }
}

/// Calls `f` with the number and the value of every cell of a range.
pub(super) fn for_each<R>(cells: &Ints, range: R, mut f: impl FnMut(usize, i64))
where
    R: SliceIndex<[i16], Output = [i16]>
        + SliceIndex<[i32], Output = [i32]>
        + SliceIndex<[i64], Output = [i64]>,
{
    match cells {
        Ints::I16(x) => (x[range].iter().enumerate()).for_each(|(i, &x)| f(i, x.into())),
        Ints::I32(x) => (x[range].iter().enumerate()).for_each(|(i, &x)| f(i, x.into())),
        Ints::I64(x) => (x[range].iter().enumerate()).for_each(|(i, &x)| f(i, x)),
    }
}

/// Calls `f` with the first padded index and the dense indices of every run of live cells among
/// the given padded ones.
fn runs(axes: &[usize], cells: Range<usize>, mut f: impl FnMut(usize, Range<usize>)) {
    let (&n, outer) = axes.split_last().unwrap_or((&1, &[]));
    let bits = axis_vars(n);
    let mut at = cells.start;
    while at < cells.end {
        let (row, column) = (at >> bits, at & ((1 << bits) - 1));
        let end = cells.end.min((row + 1) << bits);
        let width = (end - at).min(n.saturating_sub(column));
        if width > 0
            && let Some(row) = dense_index(outer, row)
        {
            let first = row * n + column;
            f(at, first..first + width);
        }
        at = end;
    }
}

/// The dense index of a padded one, if that is live.
fn dense_index(axes: &[usize], mut padded: usize) -> Option<usize> {
    let (mut dense, mut stride) = (0, 1);
    for &n in axes.iter().rev() {
        let bits = axis_vars(n);
        let i = padded & ((1 << bits) - 1);
        if i >= n {
            return None;
        }
        dense += i * stride;
        stride *= n;
        padded >>= bits;
    }
    Some(dense)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every live cell is in one run, whatever part of the cube is asked for.
    #[test]
    fn runs_cover_the_live_cells() {
        for axes in [&[][..], &[5], &[3, 4], &[2, 3, 5], &[4, 1, 7], &[1, 1]] {
            let padded: usize = axes.iter().map(|&n| 1 << axis_vars(n)).product();
            let mut expected = vec![];
            crate::tensor::for_each_live(axes, |dense, at| expected.push((at, dense)));
            for width in [1, 2, 4, 8, padded] {
                let mut found = vec![];
                for start in (0..padded).step_by(width) {
                    runs(axes, start..padded.min(start + width), |at, dense| {
                        found.extend((at..).zip(dense));
                    });
                }
                assert_eq!(found, expected, "{axes:?} by {width}");
            }
        }
    }

    /// An aligned part of a block has live cells only if its first one is.
    #[test]
    fn dead_parts_begin_with_a_dead_cell() {
        for axes in [&[][..], &[5], &[3, 4], &[2, 3, 5], &[4, 1, 7], &[5, 9, 3]] {
            let padded: usize = axes.iter().map(|&n| 1 << axis_vars(n)).product();
            for width in [1, 2, 4, 8, 16, padded] {
                for start in (0..padded).step_by(width) {
                    let mut live = 0;
                    let part = start..padded.min(start + width);
                    runs(axes, part, |_, dense| live += dense.len());
                    assert_eq!(dense_index(axes, start).is_none(), live == 0, "{axes:?}");
                }
            }
        }
    }
}
