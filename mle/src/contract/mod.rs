//! Contractions of dense integer arrays with vectors over E.
//!
//! The primitive is the contraction of the middle index of a row-major array `x[a][m][i]`:
//! `out[a][i] = sum_m e[m] x[a][m][i]`.
//!
//! **Delayed reduction.** A coefficient `c` of `e[m]`, taken from `[-(p+1)/2, (p-3)/2]`, is
//! `l_0 + 2^32 l_1` with limbs in `[-2^31, 2^31)`. A cell `x` is `d_0 + 2^21 d_1 + 2^42 d_2`: with
//! `y_0 = x`, `y_{k+1} = floor((y_k + 2^20) / 2^21)` and `d_k = y_k - 2^21 y_{k+1}` for `k < 2`,
//! `|d_0|, |d_1| <= 2^20`, and `d_2 = y_2`, `|d_2| <= 2^21` because `|x| <= 2^63`. Products of a
//! digit and a limb are below `2^52` in absolute value, or equal to it, so that 1024 of them fit
//! 64 signed bits. Only as many digits are used as the cells at hand need: one for cells of
//! 20 bits and a sign.

mod cell;
mod cols;
mod rows;

pub use cell::Cell;

use crate::field::{BasedVectorSpace, E, F, PrimeCharacteristicRing, PrimeField64};
use crate::parallel::join;

/// Cells that are not worth another task.
const GRAIN: usize = 1 << 15;

/// Tasks that a large contraction is cut into, enough for any number of threads.
const TASKS: usize = 64;

/// Columns that are not worth another task.
const COLUMNS: usize = 256;

/// Rows that are not worth another task: it has sums for every column, and to reduce one takes as long
/// as some dozens of products.
const ROWS: usize = 128;

/// Products of a digit and a limb that fit an accumulator.
const PRODUCTS: usize = 1024;

/// The limbs of a weight: low and high of its first coefficient, low and high of its second.
type Limbs = [i32; 4];

/// `out[a * inner + i] = sum_m e[m] * x[(a * mid + m) * inner + i]`.
///
/// # Panics
/// If `x` does not have `outer * mid * inner` cells, or `e` not `mid` weights.
pub fn contract_middle<T: Cell>(
    x: &[T],
    outer: usize,
    mid: usize,
    inner: usize,
    e: &[E],
) -> Vec<E> {
    assert_eq!(x.len(), outer * mid * inner, "cells of the array");
    assert_eq!(e.len(), mid, "weights of the contracted index");
    let mut out = vec![E::ZERO; outer * inner];
    if !x.is_empty() {
        let task = Task {
            x,
            outer,
            mid,
            inner,
            stride: inner,
            e,
        };
        task.split(GRAIN.max(x.len() / TASKS), &mut out);
    }
    out
}

/// `out[j] = sum_i e[i] * x[i * cols + j]`.
pub fn contract_rows<T: Cell>(x: &[T], rows: usize, cols: usize, e: &[E]) -> Vec<E> {
    contract_middle(x, 1, rows, cols, e)
}

/// `out[j] += sum_i e[i] * x[i * cols + j]`, on this thread alone: for callers who have tasks of their own, of many
/// rows, as sums are reduced at the end.
///
/// # Panics
/// If `x` does not have `e.len()` rows of as many cells as `out`.
pub fn add_rows<T: Cell>(x: &[T], e: &[E], out: &mut [E]) {
    assert_eq!(x.len(), e.len() * out.len(), "rows of cells");
    rows::contract(x, out.len(), e, out);
}

/// `out[i] = sum_j x[i * cols + j] * e[j]`.
pub fn contract_cols<T: Cell>(x: &[T], rows: usize, cols: usize, e: &[E]) -> Vec<E> {
    contract_middle(x, rows, cols, 1, e)
}

/// `sum_i x[i] * e[i]`.
pub fn dot<T: Cell>(x: &[T], e: &[E]) -> E {
    assert_eq!(x.len(), e.len(), "a dot product needs equal lengths");
    contract_middle(x, 1, x.len(), 1, e)[0]
}

/// Part of a contraction.
struct Task<'a, T> {
    /// From its first cell on.
    x: &'a [T],
    outer: usize,
    mid: usize,
    inner: usize,
    /// Cells from one contracted index to the next; `inner`, unless `outer` is 1.
    stride: usize,
    e: &'a [E],
}

impl<'a, T: Cell> Task<'a, T> {
    /// Runs the contraction in tasks of about `grain` cells, halving first the outer, then the inner
    /// and then the contracted index.
    fn split(self, grain: usize, out: &mut [E]) {
        let Self {
            x,
            outer,
            mid,
            inner,
            stride,
            e,
        } = self;
        let part = |x, outer, inner, e: &'a [E]| Task {
            x,
            outer,
            mid: e.len(),
            inner,
            stride,
            e,
        };
        let is_block = inner > 1 && inner < 2 * COLUMNS && mid < 2 * ROWS;
        let is_whole = outer == 1 && (mid < 2 || is_block);
        if is_whole || outer * mid * inner <= grain {
            self.run(out);
        } else if outer > 1 {
            let half = outer / 2;
            let (low, high) = x.split_at(half * mid * inner);
            let (out_low, out_high) = out.split_at_mut(half * inner);
            join(
                || part(low, half, inner, e).split(grain, out_low),
                || part(high, outer - half, inner, e).split(grain, out_high),
            );
        } else if inner >= 2 * COLUMNS {
            let half = (inner / 2).next_multiple_of(rows::TILE);
            let (out_low, out_high) = out.split_at_mut(half);
            join(
                || part(x, 1, half, e).split(grain, out_low),
                || part(&x[half..], 1, inner - half, e).split(grain, out_high),
            );
        } else {
            let half = mid / 2;
            let (low, high) = x.split_at(half * stride);
            let (e_low, e_high) = e.split_at(half);
            let mut other = vec![E::ZERO; inner];
            join(
                || part(low, 1, inner, e_low).split(grain, out),
                || part(high, 1, inner, e_high).split(grain, &mut other),
            );
            out.iter_mut().zip(other).for_each(|(a, b)| *a += b);
        }
    }

    fn run(self, out: &mut [E]) {
        if self.stride == 1 {
            cols::contract(self.x, self.e, out);
        } else {
            let slices = self.x.chunks(self.mid * self.stride);
            for (x, out) in slices.zip(out.chunks_mut(self.inner)) {
                rows::contract(x, self.stride, self.e, out);
            }
        }
    }
}

fn limbs(e: E) -> Limbs {
    let c: &[F] = e.as_basis_coefficients_slice();
    let (a, b) = (balanced(c[0]), balanced(c[1]));
    [a as i32, high_limb(a), b as i32, high_limb(b)]
}

/// The representative in `[-(p+1)/2, (p-3)/2]`: both ends have a high limb of 32 bits.
fn balanced(c: F) -> i64 {
    const CUT: u64 = (F::ORDER_U64 - 1) / 2;
    let c = c.as_canonical_u64();
    if c < CUT {
        c as i64
    } else {
        c.wrapping_sub(F::ORDER_U64) as i64
    }
}

/// `(c - l) / 2^32` with `l` the low 32 bits as a signed number.
fn high_limb(c: i64) -> i32 {
    (c.wrapping_sub(i64::from(c as i32)) >> 32) as i32
}

/// `sum_k 2^21k (l_0 + 2^32 l_1, h_0 + 2^32 h_1)` over the sums `[l_0, l_1, h_0, h_1]` of the
/// digits' places `k`.
fn reduce(sums: &[[i64; 4]]) -> E {
    /// A multiple of `p` that makes numbers below `2^96` positive.
    const SHIFT: i128 = (F::ORDER_U64 as i128) << 33;
    let coefficient = |low, high| {
        let number = i128::from(low) + (i128::from(high) << 32);
        F::from_u128((SHIFT + number) as u128)
    };
    let element = |s: &[i64; 4]| {
        let c = [coefficient(s[0], s[1]), coefficient(s[2], s[3])];
        E::from_basis_coefficients_fn(|k| c[k])
    };
    let place = F::from_u64(1 << cell::DIGIT_BITS);
    let (last, rest) = sums.split_last().expect("at least one digit");
    let sums = rest.iter().rev();
    sums.fold(element(last), |acc, s| acc * place + element(s))
}

#[cfg(test)]
mod tests;
