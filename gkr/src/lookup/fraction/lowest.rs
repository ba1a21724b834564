//! The lowest layer of a tree whose numerators are all 1.
//!
//! With `mu = 1 / lambda` and `Q_b = q_b + mu`,
//!
//! ```text
//! g = q_1 + q_0 + lambda q_0 q_1 = lambda Q_0 Q_1 - mu.
//! ```
//!
//! A node is two elements instead of four, and `mu` stays what it is whatever is bound. Nodes without
//! live leaves have `Q_b = 1 + mu`.
//!
//! The leaves are made for the first message and once more for the first binding, from which on there
//! are half as many and they are stored.

// The arguments are registers: a call that is not inlined would store and load them.
#![allow(clippy::inline_always)]

use super::Pair;
use super::cube::{CHUNK, Cube, Message, Node, Register, Sums, add_up, make, push_bound};
use super::leaves::{Chunk, Source};
use super::weights::Weights;
use zkstrata_mle::packed::Factor;
use zkstrata_mle::{E, Field, PackedE, PrimeCharacteristicRing};

impl Register for Pair {
    #[inline(always)]
    fn g(&self) -> PackedE {
        self[0] * self[1]
    }

    #[inline(always)]
    fn merge(&mut self, _: &Factor) {}
}

/// The layer before its first binding.
pub(super) struct Lowest<'a> {
    source: &'a dyn Source,
    /// The live chunks.
    live: &'a [u32],
    lambda: E,
    mu: E,
}

impl<'a> Lowest<'a> {
    pub(super) fn new(source: &'a mut dyn Source, live: &'a [u32], lambda: E) -> Self {
        let mu = lambda.try_inverse();
        let mu = mu.expect("a challenge is zero with probability 2^-128");
        source.shift(mu);
        Self {
            source,
            live,
            lambda,
            mu,
        }
    }

    /// What the chunks add to the first round's message.
    pub(super) fn sums(&self, weights: &Weights) -> Sums {
        add_up(self.live, Chunk::dead, |chunk, &c| {
            self.source.fill(c as usize, chunk);
            Sums::of(weights, c as usize, |r| chunk.pair(r))
        })
    }

    /// A cube of `full` chunks with the first variable bound to `s`, and what the chunks add to the
    /// next message.
    pub(super) fn bound(&self, full: usize, s: E, weights: &Weights) -> (Cube<2>, Sums) {
        let s = Factor::broadcast(s);
        let (parts, sums) = make(self.live, CHUNK / 2, Chunk::dead, |chunk, &c, out| {
            let c = c as usize;
            self.source.fill(c, chunk);
            (
                c,
                push_bound((c, |r| chunk.pair(r)), (&s, &s), weights, out),
            )
        });
        let dead = PackedE::from(E::ONE + self.mu);
        (Cube::new(parts, CHUNK / 2, full, [dead; 2]), sums)
    }

    /// A round's message.
    pub(super) fn message(&self, sums: &Sums) -> Message {
        let Message { at_zero, leading } = sums.message((E::ONE + self.mu).square());
        Message {
            at_zero: self.lambda * at_zero - self.mu,
            leading: self.lambda * leading,
        }
    }

    /// The nodes of a register as those of other layers.
    pub(super) fn node(&self, [q0, q1]: Pair) -> Node {
        let mu = PackedE::from(self.mu);
        let d = Factor::broadcast(self.lambda).times(q1);
        [PackedE::ONE, d, q0 - mu, q1 - mu]
    }
}
