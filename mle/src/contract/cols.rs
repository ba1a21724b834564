//! The contraction of the inner index: `out[i] += sum_j x[i][j] e[j]`.
//!
//! Columns are taken in blocks whose limbs fit the first-level cache; a register's lanes are summed
//! at the end of a row's block.

// The arguments are registers: a call that is not inlined would store and load them.
#![allow(clippy::inline_always)]

use super::cell::{Cell, DIGITS, Place, digit};
use super::{PRODUCTS, limbs, reduce};
use crate::field::E;

/// Columns that are multiplied at once.
const LANES: usize = 8;

/// Columns of a block: the sum over all lanes fits an accumulator.
const BLOCK: usize = PRODUCTS;

/// Adds the contraction of `x`, rows of `e.len()` cells, to `out`.
pub(super) fn contract<T: Cell>(x: &[T], e: &[E], out: &mut [E]) {
    let mut planes = [[0; BLOCK]; 4];
    for (b, block) in e.chunks(BLOCK).enumerate() {
        for (j, &e) in block.iter().enumerate() {
            let limbs = limbs(e);
            for k in 0..4 {
                planes[k][j] = limbs[k];
            }
        }
        for (row, out) in x.chunks(e.len()).zip(&mut *out) {
            let row = &row[b * BLOCK..][..block.len()];
            let digits = T::digits(row);
            let mut sums = [[0; 4]; DIGITS];
            for (sums, &place) in sums.iter_mut().zip(Place::of(digits)) {
                *sums = products(row, &planes, place);
            }
            *out += reduce(&sums[..digits]);
        }
    }
}

/// The sums of the products of one digit with each limb.
fn products<T: Cell>(row: &[T], limbs: &[[i32; BLOCK]; 4], place: Place) -> [i64; 4] {
    match place {
        Place::Whole => products_at(row, limbs, |x| digit(x, Place::Whole)),
        Place::Low => products_at(row, limbs, |x| digit(x, Place::Low)),
        Place::Middle => products_at(row, limbs, |x| digit(x, Place::Middle)),
        Place::High => products_at(row, limbs, |x| digit(x, Place::High)),
    }
}

#[inline(always)]
fn products_at<T: Cell>(
    row: &[T],
    limbs: &[[i32; BLOCK]; 4],
    digit: impl Fn(T) -> i32,
) -> [i64; 4] {
    let limbs = [0, 1, 2, 3].map(|k| &limbs[k][..row.len()]);
    let mut acc = [[0i64; LANES]; 4];
    let (registers, rest) = row.as_chunks::<LANES>();
    for (i, x) in registers.iter().enumerate() {
        for k in 0..4 {
            let limbs = &limbs[k][i * LANES..(i + 1) * LANES];
            for j in 0..LANES {
                acc[k][j] += i64::from(digit(x[j])) * i64::from(limbs[j]);
            }
        }
    }
    let mut sums = acc.map(|lanes| lanes.iter().sum::<i64>());
    for (j, &x) in (row.len() - rest.len()..).zip(rest) {
        for k in 0..4 {
            sums[k] += i64::from(digit(x)) * i64::from(limbs[k][j]);
        }
    }
    sums
}
