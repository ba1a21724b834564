//! The second layer of a long tree whose leaves are made.
//!
//! It would take more memory than all layers above it together. Its nodes are made of the leaves
//! instead, whenever they are wanted: for the layer above, for the first message and for the first
//! binding, from which on there are half as many and they are stored. Making a node costs one product
//! for each of its two fractions, and the leaves are read instead of the nodes.

use super::cube::{
    CHUNK, Cube, Fraction, Message, NodeChunk, Register, Sums, add_up, make, push_bound,
};
use super::leaves::{Chunk, Source};
use super::tree::parents_of;
use super::weights::Weights;
use zkstrata_mle::packed::Factor;
use zkstrata_mle::{E, PackedE, PrimeCharacteristicRing};

/// The nodes above the fractions of the leaves' parents.
pub(super) struct Upper<'a> {
    source: &'a dyn Source,
    /// The live chunks of leaves.
    leaves: &'a [u32],
}

impl<'a> Upper<'a> {
    pub(super) fn new(source: &'a dyn Source, leaves: &'a [u32]) -> Self {
        Self { source, leaves }
    }

    /// What a task needs to make nodes: two chunks of leaves.
    pub(super) fn leaves() -> [Chunk; 2] {
        [Chunk::dead(), Chunk::dead()]
    }

    /// The same, and the nodes.
    fn scratch() -> ([Chunk; 2], NodeChunk) {
        (Self::leaves(), [[PackedE::ZERO; 4]; CHUNK])
    }

    /// Makes a chunk of nodes.
    pub(super) fn fill(&self, index: usize, leaves: &mut [Chunk; 2], nodes: &mut NodeChunk) {
        for (c, chunk) in (2 * index..).zip(leaves.iter_mut()) {
            if self.leaves.binary_search(&(c as u32)).is_ok() {
                self.source.fill(c, chunk);
            } else {
                *chunk = Chunk::dead();
            }
        }
        let [a, b] = &*leaves;
        parents_of(nodes, |r| a.fraction(r), |r| b.fraction(r));
    }

    /// What the live chunks of nodes add to the first round's message.
    pub(super) fn sums(&self, live: &[u32], lambda: E, weights: &Weights) -> Sums {
        let lambda = Factor::broadcast(lambda);
        add_up(live, Self::scratch, |(leaves, nodes), &c| {
            self.fill(c as usize, leaves, nodes);
            Sums::of(weights, c as usize, |r| {
                let mut node = nodes[r];
                node.merge(&lambda);
                node
            })
        })
    }

    /// A cube of `full` chunks with the first variable bound to `s`, and what the chunks add to the next
    /// message.
    pub(super) fn bound(
        &self,
        live: &[u32],
        full: usize,
        (lambda, s): (E, E),
        weights: &Weights,
    ) -> (Cube<4>, Sums) {
        let factors = (&Factor::broadcast(s), &Factor::broadcast(lambda));
        let (parts, sums) = make(
            live,
            CHUNK / 2,
            Self::scratch,
            |(leaves, nodes), &c, out| {
                let c = c as usize;
                self.fill(c, leaves, nodes);
                (c, push_bound((c, |r| nodes[r]), factors, weights, out))
            },
        );
        let dead = Fraction::ONE.parent().merged(lambda);
        (Cube::new(parts, CHUNK / 2, full, dead), sums)
    }

    /// A round's message.
    pub(super) fn message(sums: &Sums, lambda: E) -> Message {
        sums.message(Fraction::ONE.parent().g(lambda))
    }
}
