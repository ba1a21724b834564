//! The tree's layers, from the leaves up.

// The arguments are registers: a call that is not inlined would store and load them.
#![allow(clippy::inline_always)]

use super::leaves::{CHUNK_LEAVES, Chunk};
use super::nodes::{DEAD, Node, stored};
use super::weights::CHUNK;
use rayon::prelude::*;
use zkstrata_mle::packed::{LANES, deinterleave, mul_add, unpack};
use zkstrata_mle::{
    E, F, PackedE, PackedF, PackedFieldExtension, PackedValue, PrimeCharacteristicRing,
};

/// Registers that a thread takes at least.
const TASK: usize = 128;

/// The leaves of a tree: `p[i] / q[i]`, and 0/1 from their common length to the end of the cube.
#[derive(Clone, Debug)]
pub(crate) struct Leaves {
    /// Numerators.
    pub p: Vec<F>,
    /// Denominators.
    pub q: Vec<E>,
}

/// The parents of a layer of fractions.
pub(super) enum Layer {
    /// Of the leaves, if they fill at least two chunks of the cube.
    Leaves(Vec<Chunk>),
    /// Of inner nodes, or of few leaves.
    Inner(Vec<Node>),
}

impl Leaves {
    /// All fractions of a cube of `2^num_vars`.
    pub(super) fn fractions(&self, num_vars: usize) -> (Vec<E>, Vec<E>) {
        let mut p: Vec<E> = self.p.iter().map(|&p| E::from(p)).collect();
        let mut q = self.q.clone();
        p.resize(1 << num_vars, E::ZERO);
        q.resize(1 << num_vars, E::ONE);
        (p, q)
    }

    /// The parents of the leaves of a cube of `2^num_vars`.
    pub(super) fn layer(&self, num_vars: usize) -> Layer {
        if 1 << num_vars < 2 * CHUNK_LEAVES {
            let full = (1 << (num_vars - 1)) / LANES;
            let live = self.p.len().div_ceil(2 * LANES);
            return Layer::Inner((0..stored(live, full)).map(|v| self.node(v)).collect());
        }
        let chunks = self.p.len().div_ceil(CHUNK_LEAVES).max(1);
        Layer::Leaves(collect(chunks, TASK / CHUNK, |c| {
            let at = (c * CHUNK_LEAVES).min(self.p.len());
            let end = (at + CHUNK_LEAVES).min(self.p.len());
            Chunk::new(&self.p[at..end], &self.q[at..end])
        }))
    }

    /// The parents in register `v`.
    fn node(&self, v: usize) -> Node {
        let at = 2 * LANES * v;
        let p = |i: usize| self.p.get(at + i).copied().unwrap_or(F::ZERO);
        let q = |i: usize| self.q.get(at + i).copied().unwrap_or(E::ONE);
        [
            PackedE::from(PackedF::from_fn(|lane| p(2 * lane))),
            PackedE::from(PackedF::from_fn(|lane| p(2 * lane + 1))),
            PackedE::from_ext_fn(|lane| q(2 * lane)),
            PackedE::from_ext_fn(|lane| q(2 * lane + 1)),
        ]
    }
}

impl Layer {
    /// The layer above, of a cube of `full` registers.
    pub(super) fn parents(&self, full: usize) -> Self {
        Self::Inner(match self {
            Self::Leaves(chunks) => {
                const HALF: usize = CHUNK / 2;
                let stored = stored(chunks.len() * HALF, full);
                let parents = |c: usize| {
                    let mut out = [DEAD; HALF];
                    if let Some(chunk) = chunks.get(c) {
                        for (out, pair) in out.iter_mut().zip(chunk.fractions().as_chunks().0) {
                            *out = parent(pair);
                        }
                    }
                    out
                };
                collect(stored / HALF, TASK / HALF, parents).into_flattened()
            }
            Self::Inner(nodes) => {
                let live = nodes.len().div_ceil(2);
                collect(stored(live, full), TASK, |v| {
                    match nodes[(2 * v).min(nodes.len())..] {
                        [ref a, ref b, ..] => parent(&[fractions(a), fractions(b)]),
                        [ref a] => parent(&[fractions(a), fractions(&DEAD)]),
                        [] => DEAD,
                    }
                })
            }
        })
    }

    /// The fractions of all nodes of a cube of `full` registers.
    pub(super) fn all_fractions(&self, full: usize) -> (Vec<E>, Vec<E>) {
        let mut all: Vec<[PackedE; 2]> = match self {
            Self::Leaves(chunks) => chunks.iter().flat_map(Chunk::fractions).collect(),
            Self::Inner(nodes) => nodes.iter().map(fractions).collect(),
        };
        all.resize(full, fractions(&DEAD));
        let part = |k: usize| unpack(&all.iter().map(|f| f[k]).collect::<Vec<_>>());
        (part(0), part(1))
    }
}

/// The fractions of the nodes.
#[inline(always)]
fn fractions(&[p0, p1, q0, q1]: &Node) -> [PackedE; 2] {
    [mul_add(p0, q1, p1, q0), q0 * q1]
}

/// The parents of two registers of fractions.
#[inline(always)]
fn parent(&[[pa, qa], [pb, qb]]: &[[PackedE; 2]; 2]) -> Node {
    let ([p0, p1], [q0, q1]) = (deinterleave(pa, pb), deinterleave(qa, qb));
    [p0, p1, q0, q1]
}

/// The values of `make` at `0..len`, on several threads if there is work for them.
fn collect<T: Send>(len: usize, grain: usize, make: impl Fn(usize) -> T + Sync + Send) -> Vec<T> {
    if len < 2 * grain {
        (0..len).map(make).collect()
    } else {
        (0..len)
            .into_par_iter()
            .with_min_len(grain)
            .map(make)
            .collect()
    }
}
