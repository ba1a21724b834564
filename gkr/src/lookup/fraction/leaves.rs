//! The lowest layer, whose numerators mostly agree.
//!
//! With `mu = 1 / lambda`, `P_b = mu p_b` and `Q_b = q_b + P_b`,
//!
//! ```text
//! g = p_0 q_1 + p_1 q_0 + lambda q_0 q_1 = lambda (Q_0 Q_1 - P_0 P_1).
//! ```
//!
//! Where the numerators of a chunk agree (the mask of a lookup is one, but at the borders of a
//! tensor), they are two constants, stay constant when bound with other constants, and `P_0 P_1`
//! costs nothing: a node is two elements instead of four. Nodes without live leaves have
//! `P_b = 0`, `Q_b = 1` and `g = lambda`, and chunks of them cost next to nothing.
//!
//! The leaves come from a [`Source`], which makes a chunk of them whenever it is wanted: to build
//! the layer above, for the first message and for the first binding, from which on there are half
//! as many and they are stored.

use super::nodes::{Message, Node, Nodes};
use super::passes::{Quarters, Sums, add_up, collect, over_halves, over_quarters};
use super::weights::{CHUNK, Weights};
use zkstrata_mle::packed::{Factor, LANES, mul_add, sum_lanes};
use zkstrata_mle::{E, Field, PackedE, PackedFieldExtension, PrimeCharacteristicRing};

/// The same quantity of the two children.
type Pair = [PackedE; 2];

/// Leaves below a chunk.
pub(crate) const CHUNK_LEAVES: usize = 2 * LANES * CHUNK;

/// The leaves of a tree: fractions, and 0/1 from some length on.
pub(crate) trait Source: Sync {
    /// That length.
    fn len(&self) -> usize;

    /// Makes `mu p` of every numerator and `q + mu p` of every denominator.
    fn shift(&mut self, mu: E);

    /// The nodes above the [`CHUNK_LEAVES`] leaves from `index * CHUNK_LEAVES` on.
    fn chunk(&self, index: usize) -> Chunk;
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

    fn chunk(&self, index: usize) -> Chunk {
        let start = (index * CHUNK_LEAVES).min(self.p.len());
        let end = (start + CHUNK_LEAVES).min(self.p.len());
        let (mut p, mut q) = ([E::ZERO; CHUNK_LEAVES], [E::ONE; CHUNK_LEAVES]);
        p[..end - start].copy_from_slice(&self.p[start..end]);
        q[..end - start].copy_from_slice(&self.q[start..end]);
        if p == [E::ZERO; CHUNK_LEAVES] && q == [E::ONE; CHUNK_LEAVES] {
            return Chunk::dead();
        }
        Chunk::new(&p, &q)
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

/// `p_b`, and `P_b` from the shift on.
#[derive(Clone)]
enum Numerators {
    /// The same in all nodes.
    Constant([E; 2]),
    Dense(Box<[Pair; CHUNK]>),
}

impl Numerators {
    fn expand(&self) -> [Pair; CHUNK] {
        match self {
            Self::Constant(p) => [p.map(PackedE::from); CHUNK],
            Self::Dense(p) => **p,
        }
    }

    fn bind(&mut self, high: &Self, s: E) {
        if let (Self::Constant(low), Self::Constant(high)) = (&mut *self, high) {
            for (a, &b) in low.iter_mut().zip(high) {
                *a += s * (b - *a);
            }
            return;
        }
        if let Self::Constant(_) = self {
            *self = Self::Dense(Box::new(self.expand()));
        }
        if let Self::Dense(low) = self {
            bind_pairs(low, &high.expand(), &Factor::broadcast(s));
        }
    }
}

fn bind_pairs(low: &mut [Pair; CHUNK], high: &[Pair; CHUNK], s: &Factor) {
    for (a, &b) in low.as_flattened_mut().iter_mut().zip(high.as_flattened()) {
        *a += s.times(b - *a);
    }
}

impl Chunk {
    /// The nodes above some leaves.
    pub(crate) fn new(p: &[E; CHUNK_LEAVES], q: &[E; CHUNK_LEAVES]) -> Self {
        let first = [p[0], p[1]];
        let mut chunk = Self::uniform(E::ONE, q);
        chunk.p = if p.as_chunks().0.iter().all(|pair| *pair == first) {
            Numerators::Constant(first)
        } else {
            Numerators::Dense(Box::new(pairs(p)))
        };
        chunk
    }

    /// The nodes above leaves with the numerator `p`.
    pub(crate) fn uniform(p: E, q: &[E; CHUNK_LEAVES]) -> Self {
        Self {
            q: pairs(q),
            p: Numerators::Constant([p; 2]),
            dead: false,
        }
    }

    /// The nodes above leaves 0/1.
    pub(crate) fn dead() -> Self {
        Self {
            q: [[PackedE::ONE; 2]; CHUNK],
            p: Numerators::Constant([E::ZERO; 2]),
            dead: true,
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

    /// The fractions of the nodes.
    pub(super) fn fractions(&self) -> [Pair; CHUNK] {
        let mut out = self.q;
        match &self.p {
            Numerators::Constant(p) if *p == [E::ONE; 2] => {
                for pair in &mut out {
                    let [q0, q1] = *pair;
                    *pair = [q0 + q1, q0 * q1];
                }
            }
            p => {
                for (pair, [p0, p1]) in out.iter_mut().zip(p.expand()) {
                    let [q0, q1] = *pair;
                    *pair = [mul_add(p0, q1, p1, q0), q0 * q1];
                }
            }
        }
        out
    }

    /// `self + s (high - self)`.
    fn bind(&mut self, high: &Self, s: E, factor: &Factor) {
        if self.dead && high.dead {
            return;
        }
        self.dead = false;
        bind_pairs(&mut self.q, &high.q, factor);
        self.p.bind(&high.p, s);
    }

    /// The chunk's part of `t(0) / lambda` and of the leading coefficient over `lambda`.
    fn sums(&self, high: &Self, weights: &Weights, c: usize) -> Sums {
        if self.dead && high.dead {
            return [one_lane(weights.outer[c]), PackedE::ZERO];
        }
        let mut sums = [PackedE::ZERO; 2];
        let nodes = self.q.iter().zip(&high.q).zip(&weights.inner);
        if let (Numerators::Constant([a0, a1]), Numerators::Constant([b0, b1])) = (&self.p, &high.p)
        {
            for ((low, high), weight) in nodes {
                sums[0] += weight.times(low[0] * low[1]);
                sums[1] += weight.times((high[0] - low[0]) * (high[1] - low[1]));
            }
            // The weights of a chunk add up to one: their product with a constant is the constant.
            let products = [*a0 * *a1, (*b0 - *a0) * (*b1 - *a1)];
            for (sum, product) in sums.iter_mut().zip(products) {
                *sum -= one_lane(product);
            }
        } else {
            let (low_p, high_p) = (self.p.expand(), high.p.expand());
            for (((low, high), weight), (p, r)) in nodes.zip(low_p.iter().zip(&high_p)) {
                sums[0] += weight.times(mul_add(low[0], low[1], -p[0], p[1]));
                let (q0, q1) = (high[0] - low[0], high[1] - low[1]);
                sums[1] += weight.times(mul_add(q0, q1, p[0] - r[0], r[1] - p[1]));
            }
        }
        let outer = Factor::broadcast(weights.outer[c]);
        [outer.times(sums[0]), outer.times(sums[1])]
    }
}

/// `x` in the first lane, zero in the others.
fn one_lane(x: E) -> PackedE {
    PackedE::from_ext_fn(|lane| if lane == 0 { x } else { E::ZERO })
}

/// The two children of each node.
fn pairs(leaves: &[E; CHUNK_LEAVES]) -> [Pair; CHUNK] {
    std::array::from_fn(|r| {
        let leaves = &leaves[2 * LANES * r..][..2 * LANES];
        [0, 1].map(|b| PackedE::from_ext_fn(|lane| leaves[2 * lane + b]))
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

    /// The first round's message.
    pub(super) fn message(&self, weights: &Weights) -> Message {
        let source = self.source.expect("nothing is bound");
        let (half, live) = (self.full / 2, live_chunks(source));
        let chunks = live.min(half);
        let sums = add_up(chunks, |c| {
            let high = if c + half < live {
                source.chunk(c + half)
            } else {
                Chunk::dead()
            };
            source.chunk(c).sums(&high, weights, c)
        });
        self.finish(sums, chunks, weights)
    }

    /// Binds the first of at least two variables of the chunks' index to `s` and computes the next
    /// round's message.
    pub(super) fn bind(&mut self, s: E, weights: &Weights) -> Message {
        if let Some(source) = self.source.take() {
            self.live = bound(source, self.full / 2, s);
            self.full /= 2;
            let dead = Chunk::dead();
            let (sums, chunks) = over_halves(&self.live, self.full / 2, 1, |c, low, high| {
                low[0].sums(high.map_or(&dead, |high| &high[0]), weights, c)
            });
            return self.finish(sums, chunks, weights);
        }
        let dead = Chunk::dead();
        let factor = Factor::broadcast(s);
        let bind = |low: &mut Chunk, high: Option<&[Chunk]>| {
            low.bind(high.map_or(&dead, |high| &high[0]), s, &factor);
        };
        let quarter = self.full / 4;
        let kernel = |c: usize, chunk: Quarters<'_, Chunk>| {
            bind(&mut chunk.low[0], chunk.low_with);
            let high = match chunk.high {
                Some(high) => {
                    bind(&mut high[0], chunk.high_with);
                    &high[0]
                }
                None => &dead,
            };
            chunk.low[0].sums(high, weights, c)
        };
        let (sums, chunks) = over_quarters(&mut self.live, quarter, 1, kernel);
        self.full = 2 * quarter;
        self.finish(sums, chunks, weights)
    }

    /// Whether one variable of the chunks' index is left.
    pub(super) fn is_last(&self) -> bool {
        self.full == 2
    }

    /// Binds the last variable of the chunks' index to `s`: the nodes of one chunk.
    pub(super) fn last(mut self, s: E) -> Nodes {
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
        Nodes::merged(self.live[0].nodes().map(node).to_vec(), self.lambda)
    }

    fn finish(&self, sums: Sums, chunks: usize, weights: &Weights) -> Message {
        Message {
            at_zero: self.lambda * (sum_lanes(sums[0]) + weights.after(chunks)),
            leading: self.lambda * sum_lanes(sums[1]),
        }
    }
}

/// Number of chunks with leaves, at least one.
pub(super) fn live_chunks(source: &dyn Source) -> usize {
    source.len().div_ceil(CHUNK_LEAVES).max(1)
}

/// The chunks with the first variable of their index, of `2 half` values, bound to `s`.
fn bound(source: &dyn Source, half: usize, s: E) -> Vec<Chunk> {
    let (factor, live) = (Factor::broadcast(s), live_chunks(source));
    collect(live.min(half), 1, |c| {
        let mut low = source.chunk(c);
        let high = if c + half < live {
            source.chunk(c + half)
        } else {
            Chunk::dead()
        };
        low.bind(&high, s, &factor);
        low
    })
}
