//! The contraction of the outer index: `out[j] += sum_i e[i] x[i][j]`.
//!
//! Columns are taken in strips whose accumulators fit the second-level cache, a strip in blocks of
//! rows that are read as that many streams, and a block in tiles whose accumulators are registers.

// The arguments are registers: a call that is not inlined would store and load them.
#![allow(clippy::inline_always)]

use super::cell::{Cell, DIGITS, Place, digit};
use super::{Limbs, PRODUCTS, limbs, reduce};
use crate::field::E;

/// Columns of a tile.
pub(super) const TILE: usize = 16;

/// Rows of a block. It divides [`PRODUCTS`].
const BLOCK: usize = 16;

/// Tiles of a strip.
const STRIP: usize = 64;

/// Sums of products of a digit and each limb, for the columns of a tile.
type Accumulators = [[i64; TILE]; 4];

/// Adds the contraction of the first columns of `x`, `e.len()` rows of `cols`, to `out`, which has as
/// many. The last row may end behind these.
pub(super) fn contract<T: Cell>(x: &[T], cols: usize, e: &[E], out: &mut [E]) {
    let width = STRIP * TILE;
    for (s, out) in out.chunks_mut(width).enumerate() {
        strip(&x[s * width..], cols, e, out);
    }
}

/// The columns that start at `x` and go to `out`.
fn strip<T: Cell>(x: &[T], cols: usize, e: &[E], out: &mut [E]) {
    let tiles = out.len().div_ceil(TILE);
    let mut sums = vec![[[[0i64; TILE]; 4]; DIGITS]; tiles];
    for (b, e) in e.chunks(PRODUCTS).enumerate() {
        let mut digits = 1;
        for (c, e) in e.chunks(BLOCK).enumerate() {
            let mut weights = [[0; 4]; BLOCK];
            weights
                .iter_mut()
                .zip(e)
                .for_each(|(to, &e)| *to = limbs(e));
            let limbs = &weights[..e.len()];
            let rows = &x[(b * PRODUCTS + c * BLOCK) * cols..];
            let row = |i: usize| &rows[i * cols..i * cols + out.len()];
            let needed = (0..limbs.len()).map(|i| {
                fetch(row(i));
                T::digits(row(i))
            });
            let needed = needed.max().unwrap_or(1);
            digits = digits.max(needed);
            for (t, sums) in sums.iter_mut().enumerate() {
                let at = t * TILE;
                let width = TILE.min(out.len() - at);
                let mut padded = [T::default(); BLOCK * TILE];
                let (cells, stride) = if width == TILE {
                    (&rows[at..], cols)
                } else {
                    for (i, padded) in padded.chunks_mut(TILE).take(limbs.len()).enumerate() {
                        padded[..width].copy_from_slice(&row(i)[at..]);
                    }
                    (&padded[..], TILE)
                };
                for (&place, sums) in Place::of(needed).iter().zip(sums) {
                    tile(cells, stride, limbs, place, sums);
                }
            }
        }
        for (out, sums) in out.chunks_mut(TILE).zip(&mut sums) {
            for (j, out) in out.iter_mut().enumerate() {
                let sum = |d: usize| [sums[d][0][j], sums[d][1][j], sums[d][2][j], sums[d][3][j]];
                *out += reduce(&[sum(0), sum(1), sum(2)][..digits]);
            }
            *sums = [[[0; TILE]; 4]; DIGITS];
        }
    }
}

/// Reads a row in order, so that the processor fetches ahead, before tiles read it in pieces of a cache line
/// and less, at as many places as a block has rows. Measured, weights take half the time with it.
fn fetch<T: Cell>(row: &[T]) {
    /// Bytes of a cache line.
    const LINE: usize = 64;
    let lines = row.iter().step_by(LINE / size_of::<T>());
    let read = lines.fold(0, |read, x| read ^ x.integer());
    std::hint::black_box(read);
}

/// Adds a block's products to the accumulators of a tile.
fn tile<T: Cell>(x: &[T], stride: usize, limbs: &[Limbs], place: Place, sums: &mut Accumulators) {
    match place {
        Place::Whole => tile_at(x, stride, limbs, sums, |x| digit(x, Place::Whole)),
        Place::Low => tile_at(x, stride, limbs, sums, |x| digit(x, Place::Low)),
        Place::Middle => tile_at(x, stride, limbs, sums, |x| digit(x, Place::Middle)),
        Place::High => tile_at(x, stride, limbs, sums, |x| digit(x, Place::High)),
    }
}

#[inline(always)]
fn tile_at<T: Cell>(
    x: &[T],
    stride: usize,
    limbs: &[Limbs],
    sums: &mut Accumulators,
    digit: impl Fn(T) -> i32,
) {
    let mut acc = *sums;
    for (i, limbs) in limbs.iter().enumerate() {
        let row = x[i * stride..].first_chunk::<TILE>();
        let row = row.expect("a tile lies within its row");
        for j in 0..TILE {
            let d = i64::from(digit(row[j]));
            for k in 0..4 {
                acc[k][j] += d * i64::from(limbs[k]);
            }
        }
    }
    *sums = acc;
}
