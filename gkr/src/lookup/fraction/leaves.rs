//! Leaves, and chunks of them.

// The arguments are registers: a call that is not inlined would store and load them.
#![allow(clippy::inline_always)]

use super::Pair;
use super::cube::{CHUNK, Fraction, Node};
use zkstrata_mle::packed::LANES;
use zkstrata_mle::{
    BasedVectorSpace, E, F, PackedE, PackedF, PackedFieldExtension, PackedValue,
    PrimeCharacteristicRing,
};

/// Leaves below a chunk.
pub(crate) const CHUNK_LEAVES: usize = 2 * LANES * CHUNK;

/// The leaf of a chunk that is child `b` of the node in a lane of a register.
const fn leaf(r: usize, lane: usize, b: usize) -> usize {
    2 * (lane * CHUNK + r) + b
}

/// The leaves of a tree whose numerators are all 1; the denominators are 1 from some length on. They
/// are made whenever they are wanted.
pub(crate) trait Source: Sync {
    /// That length.
    fn len(&self) -> usize;

    /// Whether the [`CHUNK_LEAVES`] leaves from `index * CHUNK_LEAVES` on are all 1/1. It is no mistake
    /// to say that they are not.
    fn is_dead(&self, index: usize) -> bool;

    /// Adds `mu` to every denominator.
    fn shift(&mut self, mu: E);

    /// Makes those leaves. A chunk is long: it is filled where it is and not handed about.
    fn fill(&self, index: usize, chunk: &mut Chunk);
}

/// Stored leaves: `p[i] / q[i]`, and the same fraction from some length on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Leaves<'a, P> {
    /// Numerators.
    pub(crate) p: &'a [P],
    /// Denominators.
    pub(crate) q: &'a [E],
    /// The fraction that follows.
    pub(crate) rest: Fraction,
}

impl<P: Copy + Into<E>> Leaves<'_, P> {
    fn get(&self, i: usize) -> (E, E) {
        let (p, q) = (self.p.get(i), self.q.get(i));
        let Fraction { p: p0, q: q0 } = self.rest;
        (p.map_or(p0, |&p| p.into()), q.copied().unwrap_or(q0))
    }

    /// The first leaves of a cube: numerators and denominators.
    pub(super) fn all(&self, count: usize) -> (Vec<E>, Vec<E>) {
        (0..count).map(|i| self.get(i)).unzip()
    }

    /// Register `r` of a chunk of the nodes above.
    #[inline(always)]
    pub(super) fn node(&self, index: usize, r: usize) -> Node {
        let part = |b: usize, of: fn((E, E)) -> E| {
            PackedE::from_ext_fn(|lane| of(self.get(index * CHUNK_LEAVES + leaf(r, lane, b))))
        };
        [
            part(0, |leaf| leaf.0),
            part(1, |leaf| leaf.0),
            part(0, |leaf| leaf.1),
            part(1, |leaf| leaf.1),
        ]
    }
}

/// The coefficients of a [`Pair`], whose lanes are written one by one.
type Lanes = [[PackedF; 2]; 2];

#[inline(always)]
fn element(lanes: &[PackedF; 2]) -> PackedE {
    PackedE::from_basis_coefficients_fn(|k| lanes[k])
}

/// The denominators of a chunk of leaves.
#[derive(Clone)]
pub(crate) struct Chunk {
    q: [Lanes; CHUNK],
}

impl Chunk {
    /// Leaves 1/1.
    pub(super) fn dead() -> Self {
        let one = [PackedF::ONE, PackedF::ZERO];
        Self {
            q: [[one; 2]; CHUNK],
        }
    }

    /// Makes of the chunk leaves whose denominators are rows of a table.
    pub(crate) fn fill(&mut self, rows: &[[F; 2]], index: &[u32; CHUNK_LEAVES]) {
        for (r, children) in self.q.iter_mut().enumerate() {
            for lane in 0..LANES {
                for (b, child) in children.iter_mut().enumerate() {
                    let row = rows[index[leaf(r, lane, b)] as usize];
                    child[0].as_slice_mut()[lane] = row[0];
                    child[1].as_slice_mut()[lane] = row[1];
                }
            }
        }
    }

    /// The denominators of the children of the nodes of register `r`.
    #[inline(always)]
    pub(super) fn pair(&self, r: usize) -> Pair {
        let [q0, q1] = &self.q[r];
        [element(q0), element(q1)]
    }

    /// The fractions of those nodes.
    #[inline(always)]
    pub(super) fn fraction(&self, r: usize) -> Pair {
        let [q0, q1] = self.pair(r);
        [q0 + q1, q0 * q1]
    }

    /// The denominators of the first leaves, in order.
    pub(super) fn first(&self, count: usize) -> Vec<E> {
        let get = |i: usize| {
            let node = i / 2;
            self.pair(node % CHUNK)[i % 2].extract(node / CHUNK)
        };
        (0..count).map(get).collect()
    }
}
