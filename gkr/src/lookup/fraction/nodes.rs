//! The nodes of a layer in SIMD registers, and the rounds of the layer's sumcheck over them.
//!
//! A node holds its children `p_0, p_1, q_0, q_1`, and from the first binding on
//! `d = p_1 + lambda q_1` in the place of `p_1`, so that `g = p_0 q_1 + q_0 d`. Nodes from the
//! live length on are the constant [`DEAD`], children 0/1: they are not stored, their `g` is
//! `lambda` whatever is bound, and so they add `lambda` times their weights to `t(0)` and nothing to
//! the leading coefficient.
//!
//! A round binds a variable and computes the next message, a chunk at a time: what is bound is
//! still in the first-level cache when the message is computed from it.

// The arguments are registers: a call that is not inlined would store and load them.
#![allow(clippy::inline_always)]

use super::passes::{Quarters, Sums, over_halves, over_quarters};
use super::weights::{CHUNK, Weights};
use zkstrata_mle::packed::{Factor, mul_add, sum_lanes};
use zkstrata_mle::{E, PackedE, PrimeCharacteristicRing};

/// `p_0, p_1, q_0, q_1`, one node per lane.
pub(super) type Node = [PackedE; 4];

/// A node of two fractions 0/1.
pub(super) const DEAD: Node = [PackedE::ZERO, PackedE::ZERO, PackedE::ONE, PackedE::ONE];

/// What a round sends is made of these.
pub(super) struct Message {
    /// `t(0)`.
    pub(super) at_zero: E,
    /// The coefficient of `X^2` in `t`.
    pub(super) leading: E,
}

/// The nodes of a layer whose sumcheck is running.
pub(super) struct Nodes {
    /// The live nodes, whole chunks.
    live: Vec<Node>,
    /// Number of registers of the cube.
    full: usize,
    /// A node that is not stored.
    dead: Node,
    lambda: E,
    /// Makes `d` of `p_1`, until that is done.
    merge: Option<Factor>,
}

/// Number of registers to store of `live` ones in a cube of `full`: whole chunks.
pub(super) fn stored(live: usize, full: usize) -> usize {
    live.max(1).next_multiple_of(CHUNK.min((full / 2).max(1)))
}

/// The node with `d` in the place of `p_1`.
#[inline(always)]
fn merged(mut node: Node, lambda: &Factor) -> Node {
    node[1] += lambda.times(node[3]);
    node
}

impl Nodes {
    /// The nodes of a cube of `full` registers, [`stored`] of them given.
    pub(super) fn new(live: Vec<Node>, full: usize, lambda: E) -> Self {
        Self {
            live,
            full,
            dead: DEAD,
            lambda,
            merge: Some(Factor::broadcast(lambda)),
        }
    }

    /// The nodes of a full cube, with `d` in the place of `p_1`.
    pub(super) fn merged(live: Vec<Node>, lambda: E) -> Self {
        Self {
            full: live.len(),
            live,
            dead: merged(DEAD, &Factor::broadcast(lambda)),
            lambda,
            merge: None,
        }
    }

    /// The first round's message.
    pub(super) fn message(&self, weights: &Weights) -> Message {
        let lambda = self.merge.unwrap_or(Factor::broadcast(E::ZERO));
        let dead = [merged(self.dead, &lambda); CHUNK];
        let merge = |nodes: &[Node]| {
            let mut out = [DEAD; CHUNK];
            for (out, node) in out.iter_mut().zip(nodes) {
                *out = merged(*node, &lambda);
            }
            out
        };
        let unit = weights.inner.len();
        let (sums, chunks) = over_halves(&self.live, self.full / 2, unit, |c, low, high| {
            let low = merge(low);
            let high = high.map_or(dead, merge);
            chunk_sums(&low[..unit], &high, weights, c)
        });
        self.finish(sums, chunks, weights)
    }

    /// Binds the first variable to `s` and computes the next round's message.
    pub(super) fn bind(&mut self, s: E, weights: &Weights) -> Message {
        let (bind, bound_dead) = self.start_binding(s);
        let bound_dead = [bound_dead; CHUNK];
        let quarter = self.full / 4;
        let kernel = |c: usize, chunk: Quarters<'_, Node>| {
            bind.chunk(chunk.low, chunk.low_with);
            let high = match chunk.high {
                Some(high) => {
                    bind.chunk(high, chunk.high_with);
                    &*high
                }
                None => &bound_dead,
            };
            chunk_sums(chunk.low, high, weights, c)
        };
        let (sums, chunks) = over_quarters(&mut self.live, quarter, weights.inner.len(), kernel);
        self.full = 2 * quarter;
        self.finish(sums, chunks, weights)
    }

    /// Binds the last variable that is not a lane to `s`: `p_0, d, q_0, q_1`.
    pub(super) fn last(mut self, s: E) -> Node {
        let (bind, _) = self.start_binding(s);
        let (low, high) = self.live.split_at_mut(1);
        bind.chunk(low, (!high.is_empty()).then_some(high));
        low[0]
    }

    /// How to bind a variable, and what becomes of a dead node.
    fn start_binding(&mut self, s: E) -> (Bind, Node) {
        let bind = Bind {
            s: Factor::broadcast(s),
            merge: self.merge.take(),
            dead: self.dead,
        };
        if let Some(lambda) = &bind.merge {
            self.dead = merged(self.dead, lambda);
        }
        (bind, self.dead)
    }

    fn finish(&self, sums: Sums, chunks: usize, weights: &Weights) -> Message {
        Message {
            at_zero: sum_lanes(sums[0]) + self.lambda * weights.after(chunks),
            leading: sum_lanes(sums[1]),
        }
    }
}

/// How a variable is bound.
struct Bind {
    s: Factor,
    merge: Option<Factor>,
    dead: Node,
}

impl Bind {
    /// `low + s (high - low)`, in place; without `high`, that half is dead.
    #[inline(always)]
    fn chunk(&self, low: &mut [Node], high: Option<&[Node]>) {
        if let Some(high) = high {
            for (a, b) in low.iter_mut().zip(high) {
                self.node(a, b);
            }
        } else {
            for a in low.iter_mut() {
                self.node(a, &self.dead);
            }
        }
        if let Some(lambda) = &self.merge {
            for a in low {
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

/// Chunk `c`'s part of `t(0)` and of the leading coefficient.
#[inline(always)]
fn chunk_sums(low: &[Node], high: &[Node], weights: &Weights, c: usize) -> Sums {
    let g = |&[p0, d, q0, q1]: &Node| mul_add(p0, q1, q0, d);
    let mut sums = [PackedE::ZERO; 2];
    for ((low, high), weight) in low.iter().zip(high).zip(&weights.inner) {
        let slope = [0, 1, 2, 3].map(|k| high[k] - low[k]);
        sums[0] += weight.times(g(low));
        sums[1] += weight.times(g(&slope));
    }
    let outer = Factor::broadcast(weights.outer[c]);
    [outer.times(sums[0]), outer.times(sums[1])]
}
