//! The lowest layer, whose numerators mostly agree.
//!
//! With `mu = 1 / lambda`, `P_b = mu p_b` and `Q_b = q_b + P_b`,
//!
//! ```text
//! g = p_0 q_1 + p_1 q_0 + lambda q_0 q_1 = lambda (Q_0 Q_1 - P_0 P_1).
//! ```
//!
//! `P_0 P_1` costs next to nothing, for what the numerators are: a node is two elements instead of
//! four. Nodes without live leaves have `P_b = 0`, `Q_b = rest` and `g = lambda rest^2`, and chunks of
//! them cost nothing.
//!
//! The leaves are made for the first message and once more for the first binding, from which on there
//! are half as many and they are stored.

use super::leaves::{Chunk, Source};
use super::nodes::{Chunks, Few, Message, Node};
use super::numerators::one_lane;
use super::passes::{Quarters, Sums, add_up, over_halves, over_quarters};
use super::sparse::{Sparse, live_bound};
use super::weights::Weights;
use zkstrata_mle::packed::{Factor, sum_lanes};
use zkstrata_mle::{E, Field, PackedE, PrimeCharacteristicRing};

/// A chunk, made unless it is dead.
pub(super) fn made<'a>(
    source: &dyn Source,
    live: &[bool],
    index: usize,
    chunk: &'a mut Chunk,
) -> Option<&'a mut Chunk> {
    let live = live.get(index).is_some_and(|&live| live);
    live.then(|| {
        source.fill(index, chunk);
        chunk
    })
}

/// The layer before its first round.
pub(super) struct Lowest<'a> {
    source: &'a dyn Source,
    /// Which chunks are live.
    live: &'a [bool],
    /// Number of chunks of the cube, at least two.
    full: usize,
    dead: Dead,
}

/// Chunks of leaves `0/rest`.
struct Dead {
    chunk: Chunk,
    rest: E,
    lambda: E,
}

impl Dead {
    fn new(rest: E, lambda: E) -> Self {
        Self {
            chunk: Chunk::dead(rest),
            rest,
            lambda,
        }
    }

    /// A chunk's part of `t(0) / lambda` and of the leading coefficient over `lambda`.
    fn sums(&self, low: Option<&Chunk>, high: Option<&Chunk>, weights: &Weights, c: usize) -> Sums {
        if low.is_none() && high.is_none() {
            return [
                one_lane(weights.outer[c] * self.rest.square()),
                PackedE::ZERO,
            ];
        }
        let [low, high] = [low, high].map(|chunk| chunk.unwrap_or(&self.chunk));
        low.sums(high, weights, c)
    }

    fn finish(&self, sums: Sums, chunks: usize, weights: &Weights) -> Message {
        let after = weights.after(chunks) * self.rest.square();
        Message {
            at_zero: self.lambda * (sum_lanes(sums[0]) + after),
            leading: self.lambda * sum_lanes(sums[1]),
        }
    }
}

impl<'a> Lowest<'a> {
    /// The nodes of a cube of `full` chunks.
    pub(super) fn new(
        source: &'a mut dyn Source,
        live: &'a [bool],
        full: usize,
        lambda: E,
    ) -> Self {
        let mu = lambda.try_inverse();
        source.shift(mu.expect("a challenge is zero with probability 2^-128"));
        Self {
            dead: Dead::new(source.rest(), lambda),
            source,
            live,
            full,
        }
    }

    /// The first round's message.
    pub(super) fn message(&self, weights: &Weights) -> Message {
        let half = self.full / 2;
        let chunks = self.live.len().min(half);
        let scratch = || [self.dead.chunk.clone(), self.dead.chunk.clone()];
        let sums = add_up(chunks, scratch, |[low, high], c| {
            let low = made(self.source, self.live, c, low);
            let high = made(self.source, self.live, c + half, high);
            self.dead.sums(low.as_deref(), high.as_deref(), weights, c)
        });
        self.dead.finish(sums, chunks, weights)
    }

    /// The chunks with the first variable of their index bound to `s`.
    pub(super) fn bound(&self, s: E) -> Sparse<Chunk> {
        let (factor, half) = (Factor::broadcast(s), self.full / 2);
        let rest = PackedE::from(self.dead.rest);
        let live = live_bound(self.live, half);
        let scratch = || [self.dead.chunk.clone(), self.dead.chunk.clone()];
        Sparse::make(live, 1, scratch, |[low, high], c| {
            let low = made(self.source, self.live, c, low);
            let high = made(self.source, self.live, c + half, high);
            match (low, high) {
                (Some(low), high) => {
                    low.bind(high.as_deref().unwrap_or(&self.dead.chunk), s, &factor);
                    low.take()
                }
                (None, Some(high)) => {
                    high.bind_high(rest, s, &factor);
                    high.take()
                }
                (None, None) => self.dead.chunk.clone(),
            }
        })
    }
}

/// The layer from the first binding on.
pub(super) struct LeafNodes<'a> {
    table: Vec<Option<&'a mut Chunk>>,
    /// Number of chunks of the cube.
    full: usize,
    dead: Dead,
}

impl<'a> LeafNodes<'a> {
    /// The nodes of a cube of `full` chunks.
    pub(super) fn new(chunks: &'a mut Sparse<Chunk>, full: usize, lambda: E, rest: E) -> Self {
        Self {
            table: chunks.table_mut(),
            full,
            dead: Dead::new(rest, lambda),
        }
    }

    /// `low + s (high - low)`, in the place of one that is not dead.
    fn bind_chunk<'c>(
        dead: &Dead,
        low: &mut Option<&'c mut Chunk>,
        high: Option<&mut Option<&'c mut Chunk>>,
        (s, factor): (E, &Factor),
    ) {
        match (low.as_deref_mut(), high.and_then(Option::take)) {
            (Some(low), high) => low.bind(high.as_deref().unwrap_or(&dead.chunk), s, factor),
            (None, Some(high)) => {
                high.bind_high(PackedE::from(dead.rest), s, factor);
                *low = Some(high);
            }
            (None, None) => {}
        }
    }
}

impl Chunks for LeafNodes<'_> {
    fn full(&self) -> usize {
        self.full
    }

    fn message(&self, weights: &Weights) -> Message {
        let (sums, chunks) = over_halves(&self.table, self.full / 2, |c, low, high| {
            let high = high.and_then(|high| high.as_deref());
            self.dead.sums(low.as_deref(), high, weights, c)
        });
        self.dead.finish(sums, chunks, weights)
    }

    fn bind(&mut self, s: E, weights: &Weights) -> Message {
        let (dead, quarter) = (&self.dead, self.full / 4);
        let s = (s, &Factor::broadcast(s));
        let kernel = |c: usize, mut chunk: Quarters<'_, Option<&mut Chunk>>| {
            Self::bind_chunk(dead, chunk.low, chunk.low_with, s);
            if let Some(high) = &mut chunk.high {
                Self::bind_chunk(dead, high, chunk.high_with, s);
            }
            let high = chunk.high.and_then(|high| high.as_deref());
            dead.sums(chunk.low.as_deref(), high, weights, c)
        };
        let (sums, chunks) = over_quarters(&mut self.table, quarter, kernel);
        self.full = 2 * quarter;
        dead.finish(sums, chunks, weights)
    }

    fn last(mut self, s: E) -> Few {
        let mut chunks = std::mem::take(&mut self.table).into_iter();
        let mut low = chunks.next().flatten();
        let high = &mut chunks.next().flatten();
        Self::bind_chunk(&self.dead, &mut low, Some(high), (s, &Factor::broadcast(s)));
        self.table = vec![low];
        self.few()
    }

    fn few(self) -> Few {
        let chunk = self.table.into_iter().next().flatten();
        let nodes = chunk.map_or_else(|| self.dead.chunk.nodes(), |chunk| chunk.nodes());
        let lambda = Factor::broadcast(self.dead.lambda);
        let node = |[p0, p1, q0, q1]: Node| [lambda.times(p0), lambda.times(q1), q0 - p0, q1 - p1];
        Few::merged(nodes.map(node).to_vec())
    }
}
