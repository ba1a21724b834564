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
//! costs nothing: a node is two elements instead of four. Nodes from the live length on have
//! `P_b = 0`, `Q_b = 1` and `g = lambda`.

use super::nodes::{Message, Node, Nodes};
use super::passes::{Quarters, Sums, over_halves, over_quarters};
use super::weights::{CHUNK, Weights};
use zkstrata_mle::packed::{Factor, LANES, mul_add, sum_lanes};
use zkstrata_mle::{
    E, F, Field, PackedE, PackedF, PackedFieldExtension, PackedValue, PrimeCharacteristicRing,
};

/// The same quantity of the two children.
type Pair = [PackedE; 2];

/// Leaves below a chunk.
pub(super) const CHUNK_LEAVES: usize = 2 * LANES * CHUNK;

/// A chunk of nodes.
#[derive(Clone)]
pub(super) struct Chunk {
    /// `q_b`, and `Q_b` from the first binding on.
    q: [Pair; CHUNK],
    p: Numerators,
}

/// `p_b`, and `P_b` from the first binding on.
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

    fn scale(&mut self, mu: E) {
        match self {
            Self::Constant(p) => p.iter_mut().for_each(|p| *p *= mu),
            Self::Dense(p) => {
                let mu = Factor::broadcast(mu);
                for p in p.as_flattened_mut() {
                    *p = mu.times(*p);
                }
            }
        }
    }
}

fn bind_pairs(low: &mut [Pair; CHUNK], high: &[Pair; CHUNK], s: &Factor) {
    for (a, &b) in low.as_flattened_mut().iter_mut().zip(high.as_flattened()) {
        *a += s.times(b - *a);
    }
}

impl Chunk {
    /// The parents of at most [`CHUNK_LEAVES`] leaves; those that are missing are 0/1.
    pub(super) fn new(p: &[F], q: &[E]) -> Self {
        let numerator = |i: usize| p.get(i).copied().unwrap_or(F::ZERO);
        let denominator = |i: usize| q.get(i).copied().unwrap_or(E::ONE);
        let mut registers = [[PackedE::ONE; 2]; CHUNK];
        for (r, pair) in registers.iter_mut().enumerate() {
            let at = 2 * LANES * r;
            if let Some(q) = q.get(at..at + 2 * LANES) {
                pair[0] = PackedE::from_ext_fn(|lane| q[2 * lane]);
                pair[1] = PackedE::from_ext_fn(|lane| q[2 * lane + 1]);
            } else {
                pair[0] = PackedE::from_ext_fn(|lane| denominator(at + 2 * lane));
                pair[1] = PackedE::from_ext_fn(|lane| denominator(at + 2 * lane + 1));
            }
        }
        let first = [numerator(0), numerator(1)];
        let agree = (p.len() == CHUNK_LEAVES || first == [F::ZERO; 2])
            && p.chunks(2).all(|p| p == &first[..p.len()]);
        let p = if agree {
            Numerators::Constant(first.map(E::from))
        } else {
            let mut dense = Box::new([[PackedE::ZERO; 2]; CHUNK]);
            for (r, pair) in dense.iter_mut().enumerate() {
                let at = 2 * LANES * r;
                pair[0] = PackedF::from_fn(|lane| numerator(at + 2 * lane)).into();
                pair[1] = PackedF::from_fn(|lane| numerator(at + 2 * lane + 1)).into();
            }
            Numerators::Dense(dense)
        };
        Self { q: registers, p }
    }

    /// Nodes without live leaves.
    fn dead() -> Self {
        Self {
            q: [[PackedE::ONE; 2]; CHUNK],
            p: Numerators::Constant([E::ZERO; 2]),
        }
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

    /// Makes `P_b` of `p_b` and `Q_b` of `q_b`.
    fn shift(&mut self, mu: E) {
        self.p.scale(mu);
        match &self.p {
            Numerators::Constant([p0, p1]) => {
                let (p0, p1) = (PackedE::from(*p0), PackedE::from(*p1));
                for q in &mut self.q {
                    q[0] += p0;
                    q[1] += p1;
                }
            }
            Numerators::Dense(p) => {
                for (q, p) in self.q.iter_mut().zip(p.iter()) {
                    q[0] += p[0];
                    q[1] += p[1];
                }
            }
        }
    }

    /// `self + s (high - self)`.
    fn bind(&mut self, high: &Self, s: E, factor: &Factor) {
        bind_pairs(&mut self.q, &high.q, factor);
        self.p.bind(&high.p, s);
    }

    /// The chunk's part of `t(0) / lambda` and of the leading coefficient over `lambda`.
    fn sums(&self, high: &Self, weights: &Weights, c: usize) -> Sums {
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
                let one_lane = |lane| if lane == 0 { product } else { E::ZERO };
                *sum -= PackedE::from_ext_fn(one_lane);
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

/// The lowest layer while its sumcheck is running, over at least two chunks.
pub(super) struct LeafNodes {
    live: Vec<Chunk>,
    /// Number of chunks of the cube.
    full: usize,
    lambda: E,
    mu: E,
    shifted: bool,
}

impl LeafNodes {
    /// The nodes of a cube of `full` chunks.
    pub(super) fn new(live: Vec<Chunk>, full: usize, lambda: E) -> Self {
        let mu = lambda.try_inverse();
        Self {
            live,
            full,
            lambda,
            mu: mu.expect("a challenge is zero with probability 2^-128"),
            shifted: false,
        }
    }

    /// The first round's message.
    pub(super) fn message(&self, weights: &Weights) -> Message {
        let dead = Chunk::dead();
        let shift = |chunk: &Chunk| {
            let mut chunk = chunk.clone();
            chunk.shift(self.mu);
            chunk
        };
        let (sums, chunks) = over_halves(&self.live, self.full / 2, 1, |c, low, high| {
            let high = shift(high.map_or(&dead, |high| &high[0]));
            shift(&low[0]).sums(&high, weights, c)
        });
        self.finish(sums, chunks, weights)
    }

    /// Binds the first of at least two variables of the chunks' index to `s` and computes the next
    /// round's message.
    pub(super) fn bind(&mut self, s: E, weights: &Weights) -> Message {
        let dead = Chunk::dead();
        let factor = Factor::broadcast(s);
        let mu = self.start_binding();
        let bind = |low: &mut Chunk, high: Option<&[Chunk]>| {
            low.bind(high.map_or(&dead, |high| &high[0]), s, &factor);
            if let Some(mu) = mu {
                low.shift(mu);
            }
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
        let mu = self.start_binding();
        let mut chunks = self.live.into_iter();
        let mut chunk = chunks.next().expect("a live chunk");
        let high = chunks.next().unwrap_or_else(Chunk::dead);
        chunk.bind(&high, s, &Factor::broadcast(s));
        if let Some(mu) = mu {
            chunk.shift(mu);
        }
        let (p, lambda) = (chunk.p.expand(), Factor::broadcast(self.lambda));
        let node = |r: usize| -> Node {
            let ([p0, p1], [q0, q1]) = (p[r], chunk.q[r]);
            [lambda.times(p0), lambda.times(q1), q0 - p0, q1 - p1]
        };
        Nodes::merged((0..CHUNK).map(node).collect(), self.lambda)
    }

    fn start_binding(&mut self) -> Option<E> {
        (!std::mem::replace(&mut self.shifted, true)).then_some(self.mu)
    }

    fn finish(&self, sums: Sums, chunks: usize, weights: &Weights) -> Message {
        Message {
            at_zero: self.lambda * (sum_lanes(sums[0]) + weights.after(chunks)),
            leading: self.lambda * sum_lanes(sums[1]),
        }
    }
}
