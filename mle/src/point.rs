//! Points of `E^n` and the polynomials that a verifier evaluates at them in `O(n)`.

use crate::field::{E, PrimeCharacteristicRing};
use std::ops::Deref;
use std::sync::Arc;

/// A point, most significant coordinate first. Clones share the coordinates: many claims are made
/// at one point.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Point(Arc<[E]>);

impl Point {
    /// The point with these coordinates.
    pub fn new(coordinates: Vec<E>) -> Self {
        Self(coordinates.into())
    }

    /// The vertex of the `n`-cube whose bits are those of `index`.
    pub fn vertex(index: usize, n: usize) -> Self {
        Self(
            (0..n)
                .rev()
                .map(|k| E::from_bool(index >> k & 1 == 1))
                .collect(),
        )
    }

    /// The coordinates of `self` followed by those of `other`.
    #[must_use]
    pub fn concat(&self, other: &[E]) -> Self {
        Self([&self.0, other].concat().into())
    }
}

impl Deref for Point {
    type Target = [E];

    fn deref(&self) -> &[E] {
        &self.0
    }
}

impl From<&[E]> for Point {
    fn from(coordinates: &[E]) -> Self {
        Self(coordinates.into())
    }
}

/// `eq(x, y) = prod_k (x_k y_k + (1 - x_k)(1 - y_k))`.
///
/// # Panics
/// If the lengths differ.
pub fn eq_eval(x: &[E], y: &[E]) -> E {
    assert_eq!(x.len(), y.len(), "points of different dimensions");
    x.iter()
        .zip(y)
        .map(|(&a, &b)| {
            let ab = a * b;
            ab + ab - a - b + E::ONE
        })
        .product()
}

/// `eq(prefix, index)`: the selector of the aligned block number `index`.
pub fn selector(prefix: &[E], index: usize) -> E {
    let mut product = E::ONE;
    for (bit, &r) in prefix.iter().rev().enumerate() {
        product *= if index >> bit & 1 == 1 { r } else { E::ONE - r };
        if product == E::ZERO {
            break;
        }
    }
    product
}

/// `LT_n(r) = sum_{i < n} eq(r, i)`, in `O(log n)`.
///
/// # Panics
/// If `n > 2^r.len()`.
pub fn less_than(n: usize, r: &[E]) -> E {
    less_than_weighted(n, r).0
}

/// `(sum_{i < n} eq(r, i), sum_{i < n} i * eq(r, i))`, in `O(log n)`.
///
/// The interval `0..n` is the disjoint union of one aligned block per one-bit of `n`; on a block
/// with fixed high bits and free low bits the first sum is the high bits' `eq` factor, and the
/// second that factor times (block start + the multilinear extension of the low index).
pub fn less_than_weighted(n: usize, r: &[E]) -> (E, E) {
    let bits = r.len();
    assert!(n <= 1 << bits, "bound exceeds the cube");
    // index_tail[k] = MLE of the index formed by coordinates k.. .
    let mut index_tail = vec![E::ZERO; bits + 1];
    for k in (0..bits).rev() {
        index_tail[k] = index_tail[k + 1] + r[k] * E::from_u64(1 << (bits - 1 - k));
    }
    if n == 1 << bits {
        return (E::ONE, index_tail[0]);
    }
    let (mut count, mut weighted, mut prefix, mut start) = (E::ZERO, E::ZERO, E::ONE, 0u64);
    for k in 0..bits {
        let width = 1u64 << (bits - 1 - k);
        let high = prefix * r[k];
        if n as u64 & width == 0 {
            prefix -= high;
        } else {
            let block = prefix - high;
            count += block;
            weighted += block * (E::from_u64(start) + index_tail[k + 1]);
            start += width;
            prefix = high;
        }
    }
    (count, weighted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eq::eq_table;

    fn point(n: usize) -> Vec<E> {
        let mut x = E::from_u64(0x9e37_79b9_7f4a_7c15);
        (0..n)
            .map(|_| {
                x = x * x + E::from_u64(12_345);
                x
            })
            .collect()
    }

    #[test]
    fn prefix_sums_match_the_table() {
        let r = point(6);
        let table = eq_table(&r, 64, E::ONE);
        for n in [0, 1, 13, 37, 63, 64] {
            let (count, weighted) = less_than_weighted(n, &r);
            assert_eq!(count, table[..n].iter().copied().sum::<E>());
            let expected: E = (0..n).map(|i| table[i] * E::from_u64(i as u64)).sum();
            assert_eq!(weighted, expected);
        }
    }

    #[test]
    fn selectors_are_entries_of_the_table() {
        let r = point(4);
        let table = eq_table(&r, 16, E::ONE);
        for (index, &e) in table.iter().enumerate() {
            assert_eq!(selector(&r, index), e);
            assert_eq!(selector(&Point::vertex(index, 4), index), E::ONE);
            assert_eq!(selector(&Point::vertex(index, 4), index ^ 5), E::ZERO);
        }
    }
}
