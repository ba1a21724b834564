//! `eq(r, x)` as a product of two short tables.

// The arguments are registers: a call that is not inlined would store and load them.
#![allow(clippy::inline_always)]

use zkstrata_mle::packed::{Factor, LANES, times_both};
use zkstrata_mle::{E, PackedE, PackedFieldExtension, PrimeCharacteristicRing, eq_table};

/// Coordinates of a register's lanes.
pub(super) const LANE_VARS: usize = LANES.ilog2() as usize;

/// The weights `eq(r, x)` of the nodes of a cube without the last coordinate of `r` and `x`, which is
/// that of the round: `outer` of the chunk times `inner` of the pair of registers and the lane.
pub(super) struct Weights {
    /// One weight a chunk.
    outer: Vec<E>,
    /// One weight for every lane of a pair of registers; none when a chunk is one register.
    inner: Vec<Factor>,
}

impl Weights {
    /// The weights of chunks of `2^registers` registers, at least two.
    pub(super) fn new(r: &[E], registers: usize) -> Self {
        let (outer, inner) = r.split_at(r.len() - registers - LANE_VARS);
        let inner = &inner[..inner.len() - 1];
        let pairs = 1 << (registers - 1);
        let weights = eq_table(inner, 1 << inner.len(), E::ONE);
        let of_pair = |i| PackedE::from_ext_fn(|lane| weights[lane * pairs + i]);
        Self {
            outer: eq_table(outer, 1 << outer.len(), E::ONE),
            inner: (0..pairs).map(|i| Factor::new(of_pair(i))).collect(),
        }
    }

    /// The weight of a chunk.
    pub(super) fn outer(&self, chunk: usize) -> E {
        self.outer[chunk]
    }

    /// Adds up two terms of every pair of registers of a chunk, by its inner weights.
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

    /// Sums over the last coordinate that is left, `eq(r, 0) + eq(r, 1) = 1`: the weights of the next
    /// round of the same chunks, none after their last one.
    pub(super) fn drop_last(&mut self) {
        let (pairs, _) = self.inner.as_chunks::<2>();
        let sums = pairs.iter().map(|[a, b]| Factor::new(a.get() + b.get()));
        self.inner = sums.collect();
    }
}
