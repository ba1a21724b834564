//! The tree's layers, from the leaves up.

// The arguments are registers: a call that is not inlined would store and load them.
#![allow(clippy::inline_always)]

use super::nodes::{DEAD, Node, stored};
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
    pub(super) fn nodes(&self, num_vars: usize) -> Vec<Node> {
        let full = (1 << (num_vars - 1)) / LANES;
        let live = self.p.len().div_ceil(2 * LANES);
        collect(stored(live, full), |v| {
            let at = 2 * LANES * v;
            let (p, q) = (self.p.get(at..), self.q.get(at..));
            let (p, q) = (p.unwrap_or_default(), q.unwrap_or_default());
            if let (Some(p), Some(q)) = (p.get(..2 * LANES), q.get(..2 * LANES)) {
                node(|i| p[i], |i| q[i])
            } else {
                node(
                    |i| p.get(i).copied().unwrap_or(F::ZERO),
                    |i| q.get(i).copied().unwrap_or(E::ONE),
                )
            }
        })
    }
}

/// The nodes whose children's numerators and denominators are these, in the order of the leaves.
#[inline(always)]
fn node(p: impl Fn(usize) -> F, q: impl Fn(usize) -> E) -> Node {
    [
        PackedE::from(PackedF::from_fn(|lane| p(2 * lane))),
        PackedE::from(PackedF::from_fn(|lane| p(2 * lane + 1))),
        PackedE::from_ext_fn(|lane| q(2 * lane)),
        PackedE::from_ext_fn(|lane| q(2 * lane + 1)),
    ]
}

/// The fractions of the nodes.
#[inline(always)]
fn fractions(&[p0, p1, q0, q1]: &Node) -> [PackedE; 2] {
    [mul_add(p0, q1, p1, q0), q0 * q1]
}

/// The parents of the nodes of a cube of `2 * full` registers.
pub(super) fn parents(nodes: &[Node], full: usize) -> Vec<Node> {
    let live = nodes.len().div_ceil(2);
    collect(stored(live, full), |v| {
        if v >= live {
            return DEAD;
        }
        let [pa, qa] = fractions(&nodes[2 * v]);
        let [pb, qb] = fractions(nodes.get(2 * v + 1).unwrap_or(&DEAD));
        let ([p0, p1], [q0, q1]) = (deinterleave(pa, pb), deinterleave(qa, qb));
        [p0, p1, q0, q1]
    })
}

/// The fractions of all nodes of a cube of `full` registers.
pub(super) fn all_fractions(nodes: &[Node], full: usize) -> (Vec<E>, Vec<E>) {
    let fractions: Vec<[PackedE; 2]> = (0..full)
        .map(|i| fractions(nodes.get(i).unwrap_or(&DEAD)))
        .collect();
    let part = |k: usize| unpack(&fractions.iter().map(|f| f[k]).collect::<Vec<_>>());
    (part(0), part(1))
}

fn collect(len: usize, node: impl Fn(usize) -> Node + Sync + Send) -> Vec<Node> {
    if len < 2 * TASK {
        (0..len).map(node).collect()
    } else {
        (0..len)
            .into_par_iter()
            .with_min_len(TASK)
            .map(node)
            .collect()
    }
}
