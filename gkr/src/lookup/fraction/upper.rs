//! The layer above the lowest, when it is not stored.
//!
//! Stored, it would take as much as all layers above it together. Its nodes are made of the leaves
//! instead, whenever they are wanted: for the layer above, for the first message and for the first
//! binding, from which on there are half as many and they are stored. Making a node costs one product
//! for each of its two fractions, and the leaves are read instead of the nodes.

use super::leaves::{Chunk, Source};
use super::lowest::made;
use super::nodes::{Bind, Message, NodeChunk, chunk_sums, dead, merged};
use super::numerators::one_lane;
use super::passes::add_up;
use super::sparse::{Sparse, live_bound};
use super::tree::parents_of;
use super::weights::{CHUNK, Weights};
use zkstrata_mle::packed::{Factor, sum_lanes};
use zkstrata_mle::{E, PackedE, PrimeCharacteristicRing};

/// The nodes above the fractions of the leaves' parents.
pub(super) struct Upper<'a> {
    source: &'a dyn Source,
    /// Which chunks of leaves are live.
    leaves: &'a [bool],
    /// Which chunks of nodes are.
    live: &'a [bool],
    dead: NodeChunk,
}

impl<'a> Upper<'a> {
    pub(super) fn new(source: &'a dyn Source, leaves: &'a [bool], live: &'a [bool]) -> Self {
        Self {
            source,
            leaves,
            live,
            dead: [dead(source.rest().square()); CHUNK],
        }
    }

    /// What a task needs to make nodes.
    pub(super) fn scratch(&self) -> (Chunk, NodeChunk) {
        (Chunk::dead(self.source.rest()), self.dead)
    }

    /// A chunk, made unless it is dead.
    pub(super) fn made<'c>(
        &self,
        index: usize,
        leaves: &mut Chunk,
        nodes: &'c mut NodeChunk,
    ) -> Option<&'c mut NodeChunk> {
        if !self.live.get(index).is_some_and(|&live| live) {
            return None;
        }
        for (c, out) in (2 * index..).zip(nodes.chunks_mut(CHUNK / 2)) {
            if let Some(leaves) = made(self.source, self.leaves, c, leaves) {
                parents_of(out, |r| leaves.fraction(r));
            } else {
                out.copy_from_slice(&self.dead[..CHUNK / 2]);
            }
        }
        Some(nodes)
    }

    /// The first round's message, of a cube of `full` chunks.
    pub(super) fn message(&self, full: usize, lambda: E, weights: &Weights) -> Message {
        let (half, dead_g) = (full / 2, lambda * self.source.rest().exp_power_of_2(2));
        let chunks = self.live.len().min(half);
        let factor = Factor::broadcast(lambda);
        let scratch = || (self.scratch(), self.dead);
        let sums = add_up(chunks, scratch, |((leaves, low), high), c| {
            let low = self.made(c, leaves, low);
            let high = self.made(c + half, leaves, high);
            if low.is_none() && high.is_none() {
                return [one_lane(dead_g * weights.outer[c]), PackedE::ZERO];
            }
            let [low, high] = [low, high].map(|chunk| chunk.map_or(&self.dead, |chunk| &*chunk));
            chunk_sums(low, high, |&node| merged(node, &factor), weights, c)
        });
        Message {
            at_zero: sum_lanes(sums[0]) + dead_g * weights.after(chunks),
            leading: sum_lanes(sums[1]),
        }
    }

    /// The chunks with the first variable of their index bound to `s`, and `d` in the place of `p_1`.
    pub(super) fn bound(&self, full: usize, lambda: E, s: E) -> Sparse<NodeChunk> {
        let half = full / 2;
        let bind = Bind::merging(s, lambda, self.source.rest().square());
        let scratch = || (self.scratch(), self.dead);
        let live = live_bound(self.live, half);
        Sparse::make(live, 1, scratch, |((leaves, low), high), c| {
            let low = self.made(c, leaves, low);
            let high = self.made(c + half, leaves, high);
            match (low, high) {
                (Some(low), high) => {
                    bind.low(low, high.as_deref());
                    *low
                }
                (None, Some(high)) => {
                    bind.high(high);
                    *high
                }
                (None, None) => self.dead,
            }
        })
    }
}
