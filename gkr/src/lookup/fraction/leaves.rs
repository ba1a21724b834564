//! Leaves, and chunks of the nodes above them.
//!
//! Numerators are known by their masks ([`numerators`]). A [`Source`] makes a chunk of leaves whenever
//! it is wanted.

// The arguments are registers: a call that is not inlined would store and load them.
#![allow(clippy::inline_always)]

use super::Pair;
use super::nodes::NodeChunk;
use super::numerators::{Bits, FULL, Mask, Numerators};
use super::passes::Sums;
use super::weights::{CHUNK, Weights};
use zkstrata_mle::packed::{Factor, LANES, mul_add};
use zkstrata_mle::{
    BasedVectorSpace, E, F, PackedE, PackedF, PackedFieldExtension, PackedValue,
    PrimeCharacteristicRing,
};

/// Leaves below a chunk.
pub(crate) const CHUNK_LEAVES: usize = 2 * LANES * CHUNK;

/// The leaves of a tree: fractions, and `0/rest` from some length on.
pub(crate) trait Source: Sync {
    /// That length.
    fn len(&self) -> usize;

    /// That denominator.
    fn rest(&self) -> E;

    /// Whether the [`CHUNK_LEAVES`] leaves from `index * CHUNK_LEAVES` on are all `0/rest`. It is no
    /// mistake to say that they are not.
    fn is_dead(&self, index: usize) -> bool;

    /// Makes `mu p` of every numerator and `q + mu p` of every denominator.
    fn shift(&mut self, mu: E);

    /// Makes of a chunk the nodes above those leaves. A chunk is long: it is filled where it is and not
    /// handed about.
    fn fill(&self, index: usize, chunk: &mut Chunk);
}

/// Stored leaves: `p[i] / q[i]`.
#[derive(Clone, Debug)]
pub(crate) struct Leaves {
    /// Numerators.
    pub p: Vec<E>,
    /// Denominators.
    pub q: Vec<E>,
    /// The denominator of what follows.
    pub rest: E,
}

impl Leaves {
    /// The stored ones of a chunk.
    fn range(&self, index: usize) -> std::ops::Range<usize> {
        let start = (index * CHUNK_LEAVES).min(self.p.len());
        start..(start + CHUNK_LEAVES).min(self.p.len())
    }
}

impl Source for Leaves {
    fn len(&self) -> usize {
        self.p.len()
    }

    fn rest(&self) -> E {
        self.rest
    }

    fn is_dead(&self, index: usize) -> bool {
        let mut leaves = self.range(index).map(|i| (self.p[i], self.q[i]));
        leaves.all(|leaf| leaf == (E::ZERO, self.rest))
    }

    fn shift(&mut self, mu: E) {
        for (p, q) in self.p.iter_mut().zip(&mut self.q) {
            *p *= mu;
            *q += *p;
        }
    }

    fn fill(&self, index: usize, chunk: &mut Chunk) {
        let range = self.range(index);
        let (mut p, mut q) = ([E::ZERO; CHUNK_LEAVES], [self.rest; CHUNK_LEAVES]);
        p[..range.len()].copy_from_slice(&self.p[range.clone()]);
        q[..range.len()].copy_from_slice(&self.q[range]);
        *chunk = Chunk::new(&p, &q);
    }
}

/// The coefficients of a [`Pair`], whose lanes are written one by one.
type Lanes = [[PackedF; 2]; 2];

#[inline(always)]
fn element(lanes: &[PackedF; 2]) -> PackedE {
    PackedE::from_basis_coefficients_fn(|k| lanes[k])
}

#[inline(always)]
fn pair(lanes: &Lanes) -> Pair {
    [element(&lanes[0]), element(&lanes[1])]
}

#[inline(always)]
fn lanes(q: &PackedE) -> [PackedF; 2] {
    let c: &[PackedF] = q.as_basis_coefficients_slice();
    [c[0], c[1]]
}

/// A chunk of nodes.
#[derive(Clone)]
pub(crate) struct Chunk {
    /// `q_b`, and `Q_b` from the shift on.
    q: [Lanes; CHUNK],
    p: Numerators,
}

impl Chunk {
    /// The nodes above some leaves.
    pub(crate) fn new(p: &[E; CHUNK_LEAVES], q: &[E; CHUNK_LEAVES]) -> Self {
        let of_leaves = |leaves: &[E; CHUNK_LEAVES]| pairs(|i| leaves[i]);
        let value = p.iter().copied().find(|&p| p != E::ZERO);
        let value = value.unwrap_or(E::ZERO);
        let numerators = if p.iter().all(|&p| p == value || p == E::ZERO) {
            Numerators::Masked(value, mask(|i| p[i] != E::ZERO))
        } else {
            Numerators::Dense(Box::new(of_leaves(p)))
        };
        Self {
            q: of_leaves(q).map(|[q0, q1]| [lanes(&q0), lanes(&q1)]),
            p: numerators,
        }
    }

    /// Makes of the chunk the nodes above leaves whose denominators are rows of a table, the last of
    /// which is that of leaves 0/1; the others' numerator is `p`. `live` of them are not the last row.
    pub(crate) fn fill(&mut self, rows: &[[F; 2]], index: &[u32; CHUNK_LEAVES], live: usize, p: E) {
        let (registers, _) = index.as_chunks::<{ 2 * LANES }>();
        for (children, index) in self.q.iter_mut().zip(registers) {
            for (lane, pair) in index.as_chunks::<2>().0.iter().enumerate() {
                for (child, &row) in children.iter_mut().zip(pair) {
                    let row = rows[row as usize];
                    child[0].as_slice_mut()[lane] = row[0];
                    child[1].as_slice_mut()[lane] = row[1];
                }
            }
        }
        let live = if live == CHUNK_LEAVES {
            FULL
        } else {
            let last = (rows.len() - 1) as u32;
            std::array::from_fn(|r| live_lanes(&registers[r], last))
        };
        self.p = Numerators::Masked(p, live);
    }

    /// The nodes above leaves `0/rest`.
    pub(crate) fn dead(rest: E) -> Self {
        Self {
            q: [[lanes(&PackedE::from(rest)); 2]; CHUNK],
            p: Numerators::NONE,
        }
    }

    /// The children of the nodes: numerators and denominators.
    pub(super) fn nodes(&self) -> NodeChunk {
        let p = self.p.expand();
        std::array::from_fn(|r| {
            let ([p0, p1], [q0, q1]) = (p[r], pair(&self.q[r]));
            [p0, p1, q0, q1]
        })
    }

    /// The fractions of the nodes of a register.
    #[inline(always)]
    pub(super) fn fraction(&self, r: usize) -> Pair {
        self.p.add_up(r, pair(&self.q[r]))
    }

    /// The chunk; what is left is to be filled.
    pub(super) fn take(&mut self) -> Self {
        let p = std::mem::replace(&mut self.p, Numerators::NONE);
        Self { q: self.q, p }
    }

    /// `self + s (high - self)`.
    pub(super) fn bind(&mut self, high: &Self, s: E, factor: &Factor) {
        let low = self.q.as_flattened_mut();
        for (low, high) in low.iter_mut().zip(high.q.as_flattened()) {
            let (a, b) = (element(low), element(high));
            *low = lanes(&(a + factor.times(b - a)));
        }
        self.p.bind(&high.p, s);
    }

    /// `low + s (self - low)`, where `low` is the chunk of leaves `0/rest`.
    pub(super) fn bind_high(&mut self, rest: PackedE, s: E, factor: &Factor) {
        for high in self.q.as_flattened_mut() {
            *high = lanes(&(rest + factor.times(element(high) - rest)));
        }
        self.p.bind_high(s);
    }

    /// The chunk's part of `t(0) / lambda` and of the leading coefficient over `lambda`.
    pub(super) fn sums(&self, high: &Self, weights: &Weights, c: usize) -> Sums {
        let slope = |r: usize| {
            let (low, high) = (pair(&self.q[r]), pair(&high.q[r]));
            [high[0] - low[0], high[1] - low[1]]
        };
        let low_q = |r: usize| pair(&self.q[r]);
        let sums = if let Some(products) = self.p.products(&high.p, &weights.inner) {
            let terms = |r: usize| {
                let ([q0, q1], [d0, d1]) = (low_q(r), slope(r));
                [q0 * q1, d0 * d1]
            };
            let [at_zero, leading] = weights.sum(terms);
            [at_zero - products[0], leading - products[1]]
        } else if let (Some(low_p), Some(high_p)) = (self.p.shared(), high.p.shared()) {
            weights.sum(|r| {
                let ([q0, q1], [d0, d1]) = (low_q(r), slope(r));
                let (p, dp) = (low_p[r], high_p[r] - low_p[r]);
                [mul_add(q0, q1, -p, p), mul_add(d0, d1, -dp, dp)]
            })
        } else {
            let (low_p, high_p) = (self.p.expand(), high.p.expand());
            weights.sum(|r| {
                let ([q0, q1], [d0, d1]) = (low_q(r), slope(r));
                let ([p0, p1], [r0, r1]) = (low_p[r], high_p[r]);
                [mul_add(q0, q1, -p0, p1), mul_add(d0, d1, p0 - r0, r1 - p1)]
            })
        };
        let outer = Factor::broadcast(weights.outer[c]);
        [outer.times(sums[0]), outer.times(sums[1])]
    }
}

/// The two children of each node.
fn pairs(leaf: impl Fn(usize) -> E) -> [Pair; CHUNK] {
    std::array::from_fn(|r| pair_of(r, &leaf))
}

/// Those of the nodes of a register.
#[inline(always)]
fn pair_of(r: usize, leaf: impl Fn(usize) -> E) -> Pair {
    let first = 2 * LANES * r;
    [0, 1].map(|b| PackedE::from_ext_fn(|lane| leaf(first + 2 * lane + b)))
}

/// Which leaves of a register are other rows than the last one.
fn live_lanes(index: &[u32; 2 * LANES], last: u32) -> [Bits; 2] {
    let mut live = [0; 2];
    for (lane, pair) in index.as_chunks::<2>().0.iter().enumerate() {
        for (live, &row) in live.iter_mut().zip(pair) {
            *live |= Bits::from(row != last) << lane;
        }
    }
    live
}

/// Which of the leaves are live.
fn mask(is_live: impl Fn(usize) -> bool) -> Mask {
    std::array::from_fn(|r| {
        let bit = |lane: usize, b: usize| Bits::from(is_live(2 * (LANES * r + lane) + b)) << lane;
        [0, 1].map(|b| (0..LANES).fold(0, |bits, lane| bits | bit(lane, b)))
    })
}
