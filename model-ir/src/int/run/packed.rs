//! Weights in the order in which the kernel reads them.
//!
//! A group's weights are a matrix `[rows, depth]` of integers. With lane type `L` it is a sum of
//! *passes* `sum_p 2^(s_p) W_p`: each `W_p` fits `L`, covers a range of the depth, and its sums
//! are exact in `L::Sum`. Results no wider than `L::Sum` need no cut in depth, since everything
//! is then modulo its width.

use super::kernel::Lane;
use rayon::prelude::*;
use std::ops::Range;

/// One pass.
#[derive(Debug)]
pub(super) struct Pass<L> {
    /// Pairs of the depth.
    pub(super) depth: Range<usize>,
    /// `s_p`.
    pub(super) shift: u32,
    /// `[row panel][depth][width][PAIR]`, zero beyond the last row.
    panels: Vec<L>,
    /// Cells of a panel.
    panel: usize,
}

impl<L> Pass<L> {
    /// Panel `i`.
    pub(super) fn panel(&self, i: usize) -> &[L] {
        &self.panels[i * self.panel..(i + 1) * self.panel]
    }
}

/// A matrix `[rows, depth pairs, PAIR]`.
pub(super) struct Matrix<W> {
    pub(super) rows: usize,
    pub(super) depth: usize,
    /// The largest magnitude of a cell.
    pub(super) most: u64,
    /// The cell at (row, pair, member).
    pub(super) cell: W,
}

/// What the passes must be exact for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Exactness {
    /// The largest magnitude of the other factor.
    pub(super) input: u64,
    /// Bits of the result's cells.
    pub(super) bits: u32,
}

/// The shortest useful pass: below it sums are stored more often than they are added to.
const SHORTEST: usize = 16;

fn bits<T>() -> u32 {
    8 * size_of::<T>() as u32
}

impl<W: Fn(usize, usize, usize) -> i64 + Sync> Matrix<W> {
    /// The passes of the matrix in panels of `width` rows; `None` if the depth would have to be
    /// cut into very short pieces.
    pub(super) fn passes<L: Lane>(&self, width: usize, exact: Exactness) -> Option<Vec<Pass<L>>> {
        // One bit less than the lane's magnitude: two products of two minima would overflow.
        let size = u64::BITS - self.most.leading_zeros();
        let limbs = if size < bits::<L>() || bits::<L>() >= i32::BITS {
            1
        } else {
            size.div_ceil(bits::<L>() - 2)
        };
        let base = size.div_ceil(limbs);
        let mut passes = Vec::new();
        for limb in 0..limbs {
            let part = |w: i64| {
                let rest = (0..limb).fold(w, |w, _| (w - low(w, base)) >> base);
                if limb + 1 == limbs {
                    rest
                } else {
                    low(rest, base)
                }
            };
            let ranges = self.cut::<L>(part, exact);
            if ranges.len() > 1 && self.depth < SHORTEST * ranges.len() {
                return None;
            }
            passes.extend(ranges.into_iter().map(|depth| Pass {
                panels: self.panels(&depth, width, part),
                panel: depth.len() * width * L::PAIR,
                depth,
                shift: limb * base,
            }));
        }
        Some(passes)
    }

    /// Ranges of the depth over which no row's sum of magnitudes overflows `L::Sum`.
    fn cut<L: Lane>(&self, part: impl Fn(i64) -> i64, exact: Exactness) -> Vec<Range<usize>> {
        let mut ranges = Vec::new();
        let mut start = 0;
        if exact.bits > bits::<L::Sum>() {
            let limit = ((1u64 << (bits::<L::Sum>() - 1)) - 1) / exact.input.max(1);
            let mut sums = vec![0u64; self.rows];
            for d in 0..self.depth {
                let pair = |row: usize| -> u64 {
                    let members = (0..L::PAIR).map(|p| (self.cell)(row, d, p));
                    members.map(|w| part(w).unsigned_abs()).sum()
                };
                if sums
                    .iter()
                    .enumerate()
                    .any(|(row, sum)| sum + pair(row) > limit)
                {
                    ranges.push(start..d);
                    start = d;
                    sums.fill(0);
                }
                for (row, sum) in sums.iter_mut().enumerate() {
                    *sum += pair(row);
                }
            }
        }
        ranges.push(start..self.depth);
        ranges.retain(|range| !range.is_empty());
        ranges
    }

    fn panels<L: Lane>(
        &self,
        depth: &Range<usize>,
        width: usize,
        part: impl Fn(i64) -> i64 + Sync,
    ) -> Vec<L> {
        let panel = depth.len() * width * L::PAIR;
        let mut cells = vec![L::default(); self.rows.div_ceil(width) * panel];
        cells
            .par_chunks_mut(panel)
            .enumerate()
            .for_each(|(i, cells)| {
                for (d, cells) in depth.clone().zip(cells.chunks_mut(width * L::PAIR)) {
                    let rows = i * width..self.rows.min((i + 1) * width);
                    for (row, pair) in rows.zip(cells.chunks_mut(L::PAIR)) {
                        for (p, cell) in pair.iter_mut().enumerate() {
                            *cell = L::wrap(part((self.cell)(row, d, p)));
                        }
                    }
                }
            });
        cells
    }
}

/// The representative of `w` modulo `2^bits` in `[-2^(bits-1), 2^(bits-1))`.
fn low(w: i64, bits: u32) -> i64 {
    let unused = i64::BITS - bits;
    (w << unused) >> unused
}
