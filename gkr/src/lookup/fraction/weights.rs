//! `eq(r, x)` as a product of two short tables.

// The arguments are registers: a call that is not inlined would store and load them.
#![allow(clippy::inline_always)]

use zkstrata_mle::packed::{Factor, LANES, pack, times_both};
use zkstrata_mle::{E, PackedE, PrimeCharacteristicRing, eq_table};

/// Base-2 logarithm of [`CHUNK`].
const CHUNK_VARS: usize = 4;

/// Registers that share a weight of the outer table. A chunk of two halves of nodes fits the
/// first-level cache.
pub(super) const CHUNK: usize = 1 << CHUNK_VARS;

/// The weights `eq(r, x) = outer[x_hi] * inner[x_lo]` of `x = (x_hi, x_lo)`, whose last
/// coordinates are the register's lanes.
pub(super) struct Weights {
    /// One weight a chunk.
    pub(super) outer: Vec<E>,
    /// The weights within a chunk, at most [`CHUNK`] registers.
    pub(super) inner: Vec<Factor>,
}

impl Weights {
    /// The weights of `r`, which has at least the lanes' coordinates.
    pub(super) fn new(r: &[E]) -> Self {
        let registers = r.len() - LANES.ilog2() as usize;
        let (outer, inner) = r.split_at(registers - registers.min(CHUNK_VARS));
        let inner = pack(&eq_table(inner, 1 << inner.len(), E::ONE));
        Self {
            outer: eq_table(outer, 1 << outer.len(), E::ONE),
            inner: inner.into_iter().map(Factor::new).collect(),
        }
    }

    /// Adds up two terms of every register of a chunk, by its inner weights.
    #[inline(always)]
    pub(super) fn sum(&self, terms: impl Fn(usize) -> [PackedE; 2]) -> [PackedE; 2] {
        let mut sums = [PackedE::ZERO; 2];
        let (pairs, rest) = self.inner.as_chunks::<2>();
        for (i, pair) in pairs.iter().enumerate() {
            let (a, b) = (terms(2 * i), terms(2 * i + 1));
            for (sum, (&a, &b)) in sums.iter_mut().zip(a.iter().zip(&b)) {
                *sum += times_both(pair, a, b);
            }
        }
        for (weight, r) in rest.iter().zip(2 * pairs.len()..) {
            for (sum, term) in sums.iter_mut().zip(terms(r)) {
                *sum += weight.times(term);
            }
        }
        sums
    }

    /// Sums over the first coordinate, `eq(r_0, 0) + eq(r_0, 1) = 1`: the weights of the others.
    pub(super) fn drop_first(&mut self) {
        if self.outer.len() > 1 {
            let half = self.outer.len() / 2;
            let (low, high) = self.outer.split_at_mut(half);
            low.iter_mut().zip(&*high).for_each(|(a, &b)| *a += b);
            self.outer.truncate(half);
        } else {
            let (low, high) = self.inner.split_at(self.inner.len() / 2);
            let sums = low.iter().zip(high);
            self.inner = sums.map(|(a, b)| Factor::new(a.get() + b.get())).collect();
        }
    }

    /// The sum of the weights that follow the first `chunks` chunks.
    pub(super) fn after(&self, chunks: usize) -> E {
        E::ONE - self.outer[..chunks].iter().copied().sum::<E>()
    }
}
