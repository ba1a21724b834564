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

#[cfg(test)]
mod tests {
    use super::*;

    /// `sum_p 2^(s_p) W_p` is the matrix, and no row of a pass overflows.
    fn check<L: Lane>(most: i64, exact: Exactness) -> Option<usize> {
        let (rows, depth, width) = (11, 100, 8);
        let cell = |row: usize, d: usize, p: usize| match (row + d + p) % 4 {
            0 => -most - 1,
            1 => most,
            2 => most / 3,
            _ => 5 - most / 7,
        };
        let matrix = Matrix {
            rows,
            depth,
            most: most.unsigned_abs() + 1,
            cell,
        };
        let passes = matrix.passes::<L>(width, exact)?;
        let mut sums = vec![0i64; rows * depth * L::PAIR];
        for pass in &passes {
            let mut totals = vec![0u128; rows];
            for (row, total) in totals.iter_mut().enumerate() {
                for (i, d) in pass.depth.clone().enumerate() {
                    for p in 0..L::PAIR {
                        let at = (i * width + row % width) * L::PAIR + p;
                        let w = pass.panel(row / width)[at].widen();
                        sums[(row * depth + d) * L::PAIR + p] += w << pass.shift;
                        *total += u128::from(w.unsigned_abs()) * u128::from(exact.input);
                    }
                }
            }
            let limit = 1u128 << (bits::<L::Sum>() - 1);
            let modular = exact.bits <= bits::<L::Sum>();
            assert!(modular || totals.iter().all(|&total| total < limit));
        }
        for (i, sum) in sums.into_iter().enumerate() {
            let row = i / L::PAIR / depth;
            assert_eq!(sum, cell(row, i / L::PAIR % depth, i % L::PAIR));
        }
        Some(passes.len())
    }

    #[test]
    fn passes_add_up_to_the_weights() {
        let exact = |input, bits| Exactness { input, bits };
        let max = i64::from(i32::MAX);
        // Modulo 2^32 only the weights' own size matters.
        assert_eq!(check::<i16>((1 << 15) - 2, exact(1 << 15, 32)), Some(1));
        assert_eq!(check::<i16>((1 << 15) - 1, exact(1 << 15, 32)), Some(2));
        assert_eq!(check::<i16>(max, exact(1 << 15, 32)), Some(3));
        // A wide result cuts the depth.
        assert_eq!(check::<i16>(1 << 10, exact(255, 64)), Some(1));
        assert_eq!(check::<i16>(1 << 13, exact(1 << 12, 64)), Some(2));
        assert_eq!(check::<i16>(1 << 14, exact(1 << 15, 64)), None);
        assert_eq!(check::<i32>(max, exact(u64::from(u32::MAX), 64)), Some(1));
        assert_eq!(check::<i64>(max, exact(1 << 40, 64)), Some(1));
    }
}
