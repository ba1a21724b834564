//! The lowest layer, whose numerators mostly agree.
//!
//! With `mu = 1 / lambda`, `P_b = mu p_b` and `Q_b = q_b + P_b`,
//!
//! ```text
//! g = p_0 q_1 + p_1 q_0 + lambda q_0 q_1 = lambda (Q_0 Q_1 - P_0 P_1).
//! ```
//!
//! Numerators are known by their masks ([`numerators`]), so that `P_0 P_1` costs next to nothing: a
//! node is two elements instead of four. Nodes without live leaves have `P_b = 0`, `Q_b = 1` and `g =
//! lambda`, and chunks of them cost nothing.
//!
//! The leaves come from a [`Source`], which makes a chunk of them whenever it is wanted: to build
//! the layer above, for the first message and for the first binding, from which on there are half
//! as many and they are stored.

// The arguments are registers: a call that is not inlined would store and load them.
#![allow(clippy::inline_always)]

use super::Pair;
use super::nodes::{Chunks, Few, Message, Node};
use super::numerators::{self, Bits, FULL, Mask, Numerators, one_lane};
use super::passes::{Quarters, Sums, add_up, collect, over_halves, over_quarters};
use super::weights::{CHUNK, Weights};
use zkstrata_mle::packed::{Factor, LANES, mul_add, sum_lanes};
use zkstrata_mle::{E, Field, PackedE, PackedFieldExtension, PrimeCharacteristicRing};

/// Leaves below a chunk.
pub(crate) const CHUNK_LEAVES: usize = 2 * LANES * CHUNK;

/// The leaves of a tree: fractions, and 0/1 from some length on.
pub(crate) trait Source: Sync {
    /// That length.
    fn len(&self) -> usize;

    /// Makes `mu p` of every numerator and `q + mu p` of every denominator.
    fn shift(&mut self, mu: E);

    /// Makes of a chunk the nodes above the [`CHUNK_LEAVES`] leaves from `index * CHUNK_LEAVES` on. A
    /// chunk is long: it is filled where it is and not handed about.
    fn fill(&self, index: usize, chunk: &mut Chunk);
}

/// Stored leaves: `p[i] / q[i]`.
#[derive(Clone, Debug)]
pub(crate) struct Leaves {
    /// Numerators.
    pub p: Vec<E>,
    /// Denominators.
    pub q: Vec<E>,
}

impl Source for Leaves {
    fn len(&self) -> usize {
        self.p.len()
    }

    fn shift(&mut self, mu: E) {
        for (p, q) in self.p.iter_mut().zip(&mut self.q) {
            *p *= mu;
            *q += *p;
        }
    }

    fn fill(&self, index: usize, chunk: &mut Chunk) {
        let start = (index * CHUNK_LEAVES).min(self.p.len());
        let end = (start + CHUNK_LEAVES).min(self.p.len());
        let (mut p, mut q) = ([E::ZERO; CHUNK_LEAVES], [E::ONE; CHUNK_LEAVES]);
        p[..end - start].copy_from_slice(&self.p[start..end]);
        q[..end - start].copy_from_slice(&self.q[start..end]);
        if p == [E::ZERO; CHUNK_LEAVES] && q == [E::ONE; CHUNK_LEAVES] {
            return chunk.die();
        }
        *chunk = Chunk::new(&p, &q);
    }
}

/// A chunk of nodes.
#[derive(Clone)]
pub(crate) struct Chunk {
    /// `q_b`, and `Q_b` from the shift on.
    q: [Pair; CHUNK],
    p: Numerators,
    /// Whether all leaves below are 0/1.
    dead: bool,
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
            q: of_leaves(q),
            p: numerators,
            dead: false,
        }
    }

    /// Makes of the chunk the nodes above leaves whose denominators are rows of a table, the last of
    /// which is that of leaves 0/1; the others' numerator is `p`. `live` of them are not the last row.
    pub(crate) fn fill(&mut self, rows: &[E], index: &[u32; CHUNK_LEAVES], live: usize, p: E) {
        if live == 0 {
            return self.die();
        }
        let last = rows.len() - 1;
        let at = |i: usize| index[i] as usize;
        let live = if live == CHUNK_LEAVES {
            FULL
        } else {
            mask(|i| at(i) != last)
        };
        for (r, pair) in self.q.iter_mut().enumerate() {
            *pair = pair_of(r, |i| rows[at(i)]);
        }
        self.p = Numerators::Masked(p, live);
        self.dead = false;
    }

    /// The nodes above leaves 0/1.
    pub(crate) fn dead() -> Self {
        Self {
            q: [[PackedE::ONE; 2]; CHUNK],
            p: Numerators::NONE,
            dead: true,
        }
    }

    /// Makes all leaves 0/1.
    pub(crate) fn die(&mut self) {
        if !self.dead {
            *self = Self::dead();
        }
    }

    /// The children of the nodes: numerators and denominators.
    pub(super) fn nodes(&self) -> [Node; CHUNK] {
        let p = self.p.expand();
        std::array::from_fn(|r| {
            let ([p0, p1], [q0, q1]) = (p[r], self.q[r]);
            [p0, p1, q0, q1]
        })
    }

    /// Whether all leaves below are 0/1.
    pub(super) fn is_dead(&self) -> bool {
        self.dead
    }

    /// The fractions of the nodes of a register.
    #[inline(always)]
    pub(super) fn fraction(&self, r: usize) -> Pair {
        self.p.add_up(r, self.q[r])
    }

    /// `self + s (high - self)`.
    fn bind(&mut self, high: &Self, s: E, factor: &Factor) {
        if self.dead && high.dead {
            return;
        }
        self.dead = false;
        let low = self.q.as_flattened_mut();
        numerators::bind(low, high.q.as_flattened(), factor);
        self.p.bind(&high.p, s);
    }

    /// The chunk's part of `t(0) / lambda` and of the leading coefficient over `lambda`.
    fn sums(&self, high: &Self, weights: &Weights, c: usize) -> Sums {
        if self.dead && high.dead {
            return [one_lane(weights.outer[c]), PackedE::ZERO];
        }
        let slope = |r: usize| {
            let (low, high) = (&self.q[r], &high.q[r]);
            [high[0] - low[0], high[1] - low[1]]
        };
        let low_q = |r: usize| self.q[r];
        let sums = if let Some(products) = self.p.products(&high.p, &weights.inner) {
            let terms = |r| [low_q(r), slope(r)].map(|[q0, q1]| q0 * q1);
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

/// Which of the leaves are live.
fn mask(is_live: impl Fn(usize) -> bool) -> Mask {
    std::array::from_fn(|r| {
        let bit = |lane: usize, b: usize| Bits::from(is_live(2 * (LANES * r + lane) + b)) << lane;
        [0, 1].map(|b| (0..LANES).fold(0, |bits, lane| bits | bit(lane, b)))
    })
}

/// The lowest layer while its sumcheck is running, over at least two chunks.
pub(super) struct LeafNodes<'a> {
    /// Until the first binding.
    source: Option<&'a dyn Source>,
    /// From the first binding on.
    live: Vec<Chunk>,
    /// Number of chunks of the cube.
    full: usize,
    lambda: E,
}

impl<'a> LeafNodes<'a> {
    /// The nodes of a cube of `full` chunks.
    pub(super) fn new(source: &'a mut dyn Source, full: usize, lambda: E) -> Self {
        let mu = lambda.try_inverse();
        source.shift(mu.expect("a challenge is zero with probability 2^-128"));
        Self {
            source: Some(source),
            live: vec![],
            full,
            lambda,
        }
    }

    fn finish(&self, sums: Sums, chunks: usize, weights: &Weights) -> Message {
        Message {
            at_zero: self.lambda * (sum_lanes(sums[0]) + weights.after(chunks)),
            leading: self.lambda * sum_lanes(sums[1]),
        }
    }
}

impl Chunks for LeafNodes<'_> {
    fn message(&self, weights: &Weights) -> Message {
        let source = self.source.expect("nothing is bound");
        let (half, live) = (self.full / 2, live_chunks(source));
        let chunks = live.min(half);
        let scratch = || [Chunk::dead(), Chunk::dead()];
        let sums = add_up(chunks, scratch, |[low, high], c| {
            source.fill(c, low);
            fill_live(source, live, c + half, high);
            low.sums(high, weights, c)
        });
        self.finish(sums, chunks, weights)
    }

    fn bind(&mut self, s: E, weights: &Weights) -> Message {
        if let Some(source) = self.source.take() {
            self.live = bound(source, self.full / 2, s);
            self.full /= 2;
            let dead = Chunk::dead();
            let (sums, chunks) = over_halves(&self.live, self.full / 2, |c, low, high| {
                low.sums(high.unwrap_or(&dead), weights, c)
            });
            return self.finish(sums, chunks, weights);
        }
        let dead = Chunk::dead();
        let factor = Factor::broadcast(s);
        let bind = |low: &mut Chunk, high: Option<&Chunk>| {
            low.bind(high.unwrap_or(&dead), s, &factor);
        };
        let quarter = self.full / 4;
        let kernel = |c: usize, chunk: Quarters<'_, Chunk>| {
            bind(chunk.low, chunk.low_with);
            let high = match chunk.high {
                Some(high) => {
                    bind(high, chunk.high_with);
                    &*high
                }
                None => &dead,
            };
            chunk.low.sums(high, weights, c)
        };
        let (sums, chunks) = over_quarters(&mut self.live, quarter, kernel);
        self.full = 2 * quarter;
        self.finish(sums, chunks, weights)
    }

    fn is_last(&self) -> bool {
        self.full == 2
    }

    fn last(mut self, s: E) -> Few {
        if let Some(source) = self.source {
            self.live = bound(source, 1, s);
        } else {
            let mut chunks = self.live.into_iter();
            let mut chunk = chunks.next().expect("a live chunk");
            let high = chunks.next().unwrap_or_else(Chunk::dead);
            chunk.bind(&high, s, &Factor::broadcast(s));
            self.live = vec![chunk];
        }
        let lambda = Factor::broadcast(self.lambda);
        let node = |[p0, p1, q0, q1]: Node| [lambda.times(p0), lambda.times(q1), q0 - p0, q1 - p1];
        Few::merged(self.live[0].nodes().map(node).to_vec())
    }
}

/// Number of chunks with leaves, at least one.
pub(super) fn live_chunks(source: &dyn Source) -> usize {
    source.len().div_ceil(CHUNK_LEAVES).max(1)
}

/// The chunks with the first variable of their index, of `2 half` values, bound to `s`.
fn bound(source: &dyn Source, half: usize, s: E) -> Vec<Chunk> {
    let (factor, live) = (Factor::broadcast(s), live_chunks(source));
    collect(live.min(half), 1, Chunk::dead, |high, c| {
        let mut low = Chunk::dead();
        source.fill(c, &mut low);
        fill_live(source, live, c + half, high);
        low.bind(high, s, &factor);
        low
    })
}

/// Fills a chunk that is one of `live` ones, or dead.
pub(super) fn fill_live(source: &dyn Source, live: usize, index: usize, chunk: &mut Chunk) {
    if index < live {
        source.fill(index, chunk);
    } else {
        chunk.die();
    }
}
