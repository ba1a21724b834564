//! The nodes of a layer in SIMD registers, and the rounds of the layer's sumcheck over them.
//!
//! A node holds its children `p_0, p_1, q_0, q_1`, and from the first binding on
//! `d = p_1 + lambda q_1` in the place of `p_1`, so that `g = p_0 q_1 + q_0 d`. Nodes of which both
//! children are `0/rest` are *dead*: their `g` is `lambda rest^2` whatever is bound, and so they add
//! that times their weights to `t(0)` and nothing to the leading coefficient. Chunks of dead nodes lie
//! wherever a tensor is padded, and are not stored.
//!
//! A round binds a variable and computes the next message, a chunk at a time: what is bound is
//! still in the first-level cache when the message is computed from it.

// The arguments are registers: a call that is not inlined would store and load them.
#![allow(clippy::inline_always)]

use super::numerators::one_lane;
use super::passes::{Quarters, Sums, over_halves, over_quarters};
use super::sparse::Sparse;
use super::weights::{CHUNK, Weights};
use zkstrata_mle::packed::{Factor, mul_add, sum_lanes};
use zkstrata_mle::{E, PackedE, PrimeCharacteristicRing};

/// `p_0, p_1, q_0, q_1`, one node per lane.
pub(super) type Node = [PackedE; 4];

/// A chunk of nodes.
pub(super) type NodeChunk = [Node; CHUNK];

/// A node of two fractions `0/rest`.
pub(super) fn dead(rest: E) -> Node {
    let rest = PackedE::from(rest);
    [PackedE::ZERO, PackedE::ZERO, rest, rest]
}

/// What a round sends is made of these.
pub(super) struct Message {
    /// `t(0)`.
    pub(super) at_zero: E,
    /// The coefficient of `X^2` in `t`.
    pub(super) leading: E,
}

/// The chunks of a cube while their sumcheck is running.
pub(super) trait Chunks {
    /// Number of chunks of the cube.
    fn full(&self) -> usize;

    /// The first round's message, of at least two chunks.
    fn message(&self, weights: &Weights) -> Message;

    /// Binds the first of at least two variables of the chunks' index to `s` and computes the next
    /// round's message.
    fn bind(&mut self, s: E, weights: &Weights) -> Message;

    /// Binds the last variable of the chunks' index to `s`: the nodes of one chunk.
    fn last(self, s: E) -> Few;

    /// The nodes of a cube of one chunk.
    fn few(self) -> Few;
}

/// The node with `d` in the place of `p_1`.
#[inline(always)]
pub(super) fn merged(mut node: Node, lambda: &Factor) -> Node {
    node[1] += lambda.times(node[3]);
    node
}

/// An inner layer.
pub(super) struct Nodes<'a> {
    /// The first chunks, as far as they are not dead; the others are.
    table: Vec<Option<&'a mut NodeChunk>>,
    /// Number of chunks of the cube.
    full: usize,
    /// `g` of a dead node.
    dead_g: E,
    /// A dead chunk.
    dead: NodeChunk,
    /// Makes `d` of `p_1`, until that is done.
    merge: Option<Factor>,
}

impl<'a> Nodes<'a> {
    /// The nodes of a cube of `full` chunks, of which the first are given.
    pub(super) fn new(chunks: &'a mut Sparse<NodeChunk>, full: usize, lambda: E, rest: E) -> Self {
        Self {
            table: chunks.table_mut(),
            full,
            dead_g: lambda * rest.square(),
            dead: [dead(rest); CHUNK],
            merge: Some(Factor::broadcast(lambda)),
        }
    }

    /// The same with `d` in the place of `p_1`.
    pub(super) fn merged(
        chunks: &'a mut Sparse<NodeChunk>,
        full: usize,
        lambda: E,
        rest: E,
    ) -> Self {
        let mut nodes = Self::new(chunks, full, lambda, rest);
        let _ = nodes.start_binding(E::ZERO);
        nodes
    }

    /// How to bind a variable.
    fn start_binding(&mut self, s: E) -> Bind {
        let bind = Bind {
            s: Factor::broadcast(s),
            merge: self.merge.take(),
            dead: self.dead[0],
        };
        if let Some(lambda) = &bind.merge {
            self.dead = [merged(self.dead[0], lambda); CHUNK];
        }
        bind
    }

    /// A chunk's part of the sums, of what `merge` makes of nodes.
    #[inline(always)]
    fn sums(
        &self,
        low: Option<&NodeChunk>,
        high: Option<&NodeChunk>,
        merge: impl Fn(&Node) -> Node,
        weights: &Weights,
        c: usize,
    ) -> Sums {
        if low.is_none() && high.is_none() {
            // The weights within the chunk add up to one.
            return [one_lane(self.dead_g * weights.outer[c]), PackedE::ZERO];
        }
        let [low, high] = [low, high].map(|chunk| chunk.unwrap_or(&self.dead));
        chunk_sums(low, high, merge, weights, c)
    }

    fn finish(&self, sums: Sums, chunks: usize, weights: &Weights) -> Message {
        Message {
            at_zero: sum_lanes(sums[0]) + self.dead_g * weights.after(chunks),
            leading: sum_lanes(sums[1]),
        }
    }
}

impl Chunks for Nodes<'_> {
    fn full(&self) -> usize {
        self.full
    }

    fn message(&self, weights: &Weights) -> Message {
        let lambda = self.merge.unwrap_or(Factor::broadcast(E::ZERO));
        let merge = |&node: &Node| merged(node, &lambda);
        let (sums, chunks) = over_halves(&self.table, self.full / 2, |c, low, high| {
            let high = high.and_then(|high| high.as_deref());
            self.sums(low.as_deref(), high, merge, weights, c)
        });
        self.finish(sums, chunks, weights)
    }

    fn bind(&mut self, s: E, weights: &Weights) -> Message {
        let bind = self.start_binding(s);
        let quarter = self.full / 4;
        let mut table = std::mem::take(&mut self.table);
        let kernel = |c: usize, mut chunk: Quarters<'_, Option<&mut NodeChunk>>| {
            bind.chunk(chunk.low, chunk.low_with);
            if let Some(high) = &mut chunk.high {
                bind.chunk(high, chunk.high_with);
            }
            let (low, high) = (chunk.low.as_deref(), chunk.high);
            let high = high.and_then(|high| high.as_deref());
            self.sums(low, high, |&node| node, weights, c)
        };
        let (sums, chunks) = over_quarters(&mut table, quarter, kernel);
        self.table = table;
        self.full = 2 * quarter;
        self.finish(sums, chunks, weights)
    }

    fn last(mut self, s: E) -> Few {
        let bind = self.start_binding(s);
        let mut chunks = std::mem::take(&mut self.table).into_iter();
        let mut low = chunks.next().flatten();
        bind.chunk(&mut low, chunks.next().as_mut());
        self.table = vec![low];
        self.few()
    }

    fn few(self) -> Few {
        let nodes = self.table.into_iter().next().flatten();
        Few::merged(nodes.map_or(self.dead, |nodes| *nodes).to_vec())
    }
}

/// How a variable is bound.
pub(super) struct Bind {
    s: Factor,
    merge: Option<Factor>,
    /// A dead node.
    dead: Node,
}

impl Bind {
    /// Binds nodes that have `p_1` still to `s`.
    pub(super) fn merging(s: E, lambda: E, rest: E) -> Self {
        Self {
            s: Factor::broadcast(s),
            merge: Some(Factor::broadcast(lambda)),
            dead: dead(rest),
        }
    }

    /// `low + s (high - low)`, in the place of one that is not dead.
    #[inline(always)]
    fn chunk<'a>(
        &self,
        low: &mut Option<&'a mut NodeChunk>,
        high: Option<&mut Option<&'a mut NodeChunk>>,
    ) {
        match (low.as_deref_mut(), high.and_then(Option::take)) {
            (Some(low), high) => self.low(low, high.as_deref()),
            (None, Some(high)) => {
                self.high(high);
                *low = Some(high);
            }
            (None, None) => {}
        }
    }

    /// `low + s (high - low)` in the place of `low`; without `high`, that is dead.
    #[inline(always)]
    pub(super) fn low(&self, low: &mut NodeChunk, high: Option<&NodeChunk>) {
        if let Some(high) = high {
            for (a, b) in low.iter_mut().zip(high) {
                self.node(a, b);
            }
        } else {
            for a in low.iter_mut() {
                self.node(a, &self.dead);
            }
        }
        self.merge(low);
    }

    /// The same in the place of `high`, where `low` is dead.
    #[inline(always)]
    pub(super) fn high(&self, high: &mut NodeChunk) {
        for b in high.iter_mut() {
            let mut a = self.dead;
            self.node(&mut a, b);
            *b = a;
        }
        self.merge(high);
    }

    #[inline(always)]
    fn merge(&self, chunk: &mut NodeChunk) {
        if let Some(lambda) = &self.merge {
            for a in chunk {
                *a = merged(*a, lambda);
            }
        }
    }

    #[inline(always)]
    fn node(&self, low: &mut Node, high: &Node) {
        for (a, &b) in low.iter_mut().zip(high) {
            *a += self.s.times(b - *a);
        }
    }
}

/// The nodes of at most one chunk, with `d` in the place of `p_1`: all of a cube.
pub(super) struct Few {
    nodes: Vec<Node>,
}

impl Few {
    /// The nodes of a cube.
    pub(super) fn new(nodes: Vec<Node>, lambda: E) -> Self {
        let lambda = Factor::broadcast(lambda);
        let nodes = nodes.into_iter().map(|node| merged(node, &lambda));
        Self::merged(nodes.collect())
    }

    /// The same with `d` in the place of `p_1`.
    pub(super) fn merged(nodes: Vec<Node>) -> Self {
        Self { nodes }
    }

    /// The next round's message.
    pub(super) fn message(&self, weights: &Weights) -> Message {
        let (low, high) = self.nodes.split_at(self.nodes.len() / 2);
        let sums = chunk_sums(low, high, |&node| node, weights, 0);
        Message {
            at_zero: sum_lanes(sums[0]),
            leading: sum_lanes(sums[1]),
        }
    }

    /// Binds the first variable to `s`.
    pub(super) fn bind(&mut self, s: E) {
        let s = Factor::broadcast(s);
        let half = self.nodes.len() / 2;
        let (low, high) = self.nodes.split_at_mut(half);
        for (low, high) in low.iter_mut().zip(high) {
            for (a, &mut b) in low.iter_mut().zip(high) {
                *a += s.times(b - *a);
            }
        }
        self.nodes.truncate(half);
    }

    /// Binds the last variable that is not a lane to `s`: `p_0, d, q_0, q_1`.
    pub(super) fn last(mut self, s: E) -> Node {
        self.bind(s);
        self.nodes[0]
    }
}

/// Chunk `c`'s part of `t(0)` and of the leading coefficient, of what `merge` makes of nodes.
#[inline(always)]
pub(super) fn chunk_sums(
    low: &[Node],
    high: &[Node],
    merge: impl Fn(&Node) -> Node,
    weights: &Weights,
    c: usize,
) -> Sums {
    let g = |[p0, d, q0, q1]: Node| mul_add(p0, q1, q0, d);
    let terms = |low: &Node, high: &Node| {
        let (low, high) = (merge(low), merge(high));
        let slope = [
            high[0] - low[0],
            high[1] - low[1],
            high[2] - low[2],
            high[3] - low[3],
        ];
        [g(low), g(slope)]
    };
    let sums = weights.sum(|r| terms(&low[r], &high[r]));
    let outer = Factor::broadcast(weights.outer[c]);
    [outer.times(sums[0]), outer.times(sums[1])]
}
