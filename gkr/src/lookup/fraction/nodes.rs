//! The nodes of a layer in SIMD registers, and the rounds of the layer's sumcheck over them.
//!
//! A node holds its children `p_0, p_1, q_0, q_1`, and from the first binding on
//! `d = p_1 + lambda q_1` in the place of `p_1`, so that `g = p_0 q_1 + q_0 d`. Nodes of which both
//! children are 0/1 are *dead*: their `g` is `lambda` whatever is bound, and so they add `lambda` times
//! their weights to `t(0)` and nothing to the leading coefficient. Chunks of dead nodes lie wherever a
//! tensor is padded; what they hold is never looked at.
//!
//! A round binds a variable and computes the next message, a chunk at a time: what is bound is
//! still in the first-level cache when the message is computed from it.

// The arguments are registers: a call that is not inlined would store and load them.
#![allow(clippy::inline_always)]

use super::numerators::one_lane;
use super::passes::{Quarters, Sums, over_halves, over_quarters};
use super::weights::{CHUNK, Weights};
use zkstrata_mle::packed::{Factor, mul_add, sum_lanes};
use zkstrata_mle::{E, PackedE, PrimeCharacteristicRing};

/// `p_0, p_1, q_0, q_1`, one node per lane.
pub(super) type Node = [PackedE; 4];

/// A node of two fractions 0/1.
pub(super) const DEAD: Node = [PackedE::ZERO, PackedE::ZERO, PackedE::ONE, PackedE::ONE];

/// A chunk of nodes.
pub(super) struct NodeChunk {
    pub(super) nodes: [Node; CHUNK],
    /// Whether all of them are dead.
    pub(super) dead: bool,
}

impl NodeChunk {
    /// A chunk of dead nodes.
    pub(super) const DEAD: Self = Self {
        nodes: [DEAD; CHUNK],
        dead: true,
    };
}

/// What a round sends is made of these.
pub(super) struct Message {
    /// `t(0)`.
    pub(super) at_zero: E,
    /// The coefficient of `X^2` in `t`.
    pub(super) leading: E,
}

/// The chunks of a cube of at least two while their sumcheck is running.
pub(super) trait Chunks {
    /// The first round's message.
    fn message(&self, weights: &Weights) -> Message;

    /// Binds the first of at least two variables of the chunks' index to `s` and computes the next
    /// round's message.
    fn bind(&mut self, s: E, weights: &Weights) -> Message;

    /// Whether one variable of the chunks' index is left.
    fn is_last(&self) -> bool;

    /// Binds the last variable of the chunks' index to `s`: the nodes of one chunk.
    fn last(self, s: E) -> Few;
}

/// The node with `d` in the place of `p_1`.
#[inline(always)]
fn merged(mut node: Node, lambda: &Factor) -> Node {
    node[1] += lambda.times(node[3]);
    node
}

/// An inner layer.
pub(super) struct Nodes {
    /// The first chunks; the others are dead.
    live: Vec<NodeChunk>,
    /// Number of chunks of the cube.
    full: usize,
    lambda: E,
    /// A dead chunk.
    dead: [Node; CHUNK],
    /// Makes `d` of `p_1`, until that is done.
    merge: Option<Factor>,
}

impl Nodes {
    /// The nodes of a cube of `full` chunks, of which the first are given.
    pub(super) fn new(live: Vec<NodeChunk>, full: usize, lambda: E) -> Self {
        Self {
            live,
            full,
            lambda,
            dead: [DEAD; CHUNK],
            merge: Some(Factor::broadcast(lambda)),
        }
    }

    /// How to bind a variable.
    fn start_binding(&mut self, s: E) -> Bind {
        let bind = Bind {
            s: Factor::broadcast(s),
            merge: self.merge.take(),
            dead: self.dead,
        };
        if let Some(lambda) = &bind.merge {
            self.dead = [merged(self.dead[0], lambda); CHUNK];
        }
        bind
    }

    /// The nodes of a chunk.
    #[inline(always)]
    fn nodes<'a>(&'a self, chunk: &'a NodeChunk) -> &'a [Node; CHUNK] {
        if chunk.dead { &self.dead } else { &chunk.nodes }
    }

    /// A dead chunk's part of `t(0)`: the weights within it add up to one.
    fn of_dead(&self, weights: &Weights, c: usize) -> Sums {
        [one_lane(self.lambda * weights.outer[c]), PackedE::ZERO]
    }

    fn finish(&self, sums: Sums, chunks: usize, weights: &Weights) -> Message {
        Message {
            at_zero: sum_lanes(sums[0]) + self.lambda * weights.after(chunks),
            leading: sum_lanes(sums[1]),
        }
    }
}

impl Chunks for Nodes {
    fn message(&self, weights: &Weights) -> Message {
        let lambda = self.merge.unwrap_or(Factor::broadcast(E::ZERO));
        let merge = |&node: &Node| merged(node, &lambda);
        let (sums, chunks) = over_halves(&self.live, self.full / 2, |c, low, high| {
            let high = high.unwrap_or(&NodeChunk::DEAD);
            if low.dead && high.dead {
                return self.of_dead(weights, c);
            }
            chunk_sums(self.nodes(low), self.nodes(high), merge, weights, c)
        });
        self.finish(sums, chunks, weights)
    }

    fn bind(&mut self, s: E, weights: &Weights) -> Message {
        let bind = self.start_binding(s);
        let quarter = self.full / 4;
        let mut live = std::mem::take(&mut self.live);
        let kernel = |c: usize, chunk: Quarters<'_, NodeChunk>| {
            bind.chunk(chunk.low, chunk.low_with);
            let high = match chunk.high {
                Some(high) => {
                    bind.chunk(high, chunk.high_with);
                    &*high
                }
                None => &NodeChunk::DEAD,
            };
            if chunk.low.dead && high.dead {
                return self.of_dead(weights, c);
            }
            let (low, high) = (self.nodes(chunk.low), self.nodes(high));
            chunk_sums(low, high, |&node| node, weights, c)
        };
        let (sums, chunks) = over_quarters(&mut live, quarter, kernel);
        self.live = live;
        self.full = 2 * quarter;
        self.finish(sums, chunks, weights)
    }

    fn is_last(&self) -> bool {
        self.full == 2
    }

    fn last(mut self, s: E) -> Few {
        let bind = self.start_binding(s);
        let mut chunks = std::mem::take(&mut self.live).into_iter();
        let mut low = chunks.next().unwrap_or(NodeChunk::DEAD);
        bind.chunk(&mut low, chunks.next().as_ref());
        Few::merged(self.nodes(&low).to_vec())
    }
}

/// How a variable is bound.
struct Bind {
    s: Factor,
    merge: Option<Factor>,
    dead: [Node; CHUNK],
}

impl Bind {
    /// `low + s (high - low)`, in place; without `high`, that half is dead.
    #[inline(always)]
    fn chunk(&self, low: &mut NodeChunk, high: Option<&NodeChunk>) {
        let high = high.filter(|high| !high.dead);
        if low.dead {
            if high.is_none() {
                return;
            }
            *low = NodeChunk {
                nodes: self.dead,
                dead: false,
            };
        }
        let high = high.map_or(&self.dead, |high| &high.nodes);
        for (a, b) in low.nodes.iter_mut().zip(high) {
            self.node(a, b);
        }
        if let Some(lambda) = &self.merge {
            for a in &mut low.nodes {
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
fn chunk_sums(
    low: &[Node],
    high: &[Node],
    merge: impl Fn(&Node) -> Node,
    weights: &Weights,
    c: usize,
) -> Sums {
    let g = |[p0, d, q0, q1]: Node| mul_add(p0, q1, q0, d);
    let terms = |low: &Node, high: &Node| {
        let (low, high) = (merge(low), merge(high));
        [g(low), g([0, 1, 2, 3].map(|k| high[k] - low[k]))]
    };
    let sums = weights.sum(|r| terms(&low[r], &high[r]));
    let outer = Factor::broadcast(weights.outer[c]);
    [outer.times(sums[0]), outer.times(sums[1])]
}
