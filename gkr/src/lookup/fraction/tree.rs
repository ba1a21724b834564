//! The tree, from the leaves up.

// The arguments are registers: a call that is not inlined would store and load them.
#![allow(clippy::inline_always)]

use super::CLEAR_VARS;
use super::leaves::{CHUNK_LEAVES, Source, live_chunks};
use super::nodes::{DEAD, Node, stored};
use super::passes::collect;
use super::weights::CHUNK;
use zkstrata_mle::packed::{LANES, deinterleave, mul_add, unpack};
use zkstrata_mle::{E, PackedE, PackedFieldExtension};

/// Registers that a thread takes at least.
const TASK: usize = 128;

/// Coordinates of a register's lanes. A layer below the clear one fills two registers.
pub(super) const LANE_VARS: usize = LANES.ilog2() as usize;
const _: () = assert!(LANE_VARS < CLEAR_VARS);

/// The fractions of a tree.
pub(crate) struct Tree {
    /// Numerators of the layer in the clear.
    pub(crate) numerators: Vec<E>,
    /// Its denominators.
    pub(crate) denominators: Vec<E>,
    /// The layers below, the leaves' parents first.
    pub(super) layers: Vec<Layer>,
}

impl Tree {
    /// The tree over `2^num_vars` leaves.
    ///
    /// # Panics
    /// If the leaves exceed the cube.
    pub(crate) fn new(num_vars: usize, leaves: &dyn Source) -> Self {
        assert!(leaves.len() <= 1 << num_vars, "the leaves exceed the cube");
        let clear = num_vars.min(CLEAR_VARS);
        let mut layers = vec![];
        let (numerators, denominators) = if num_vars == clear {
            all_leaves(leaves, num_vars)
        } else {
            let mut layer = Layer::of_leaves(leaves, num_vars);
            for vars in (clear..num_vars - 1).rev() {
                let parents = layer.parents(leaves, 1 << (vars - LANE_VARS));
                layers.push(layer);
                layer = parents;
            }
            let fractions = layer.all_fractions(leaves, 1 << (clear - LANE_VARS));
            layers.push(layer);
            fractions
        };
        Self {
            numerators,
            denominators,
            layers,
        }
    }
}

/// The parents of a layer of fractions.
pub(super) enum Layer {
    /// Of the leaves, if they fill at least two chunks of the cube.
    Leaves,
    /// Of inner nodes, or of few leaves.
    Inner(Vec<Node>),
}

/// All leaves of a cube of at most one chunk: numerators and denominators.
fn all_leaves(source: &dyn Source, num_vars: usize) -> (Vec<E>, Vec<E>) {
    let nodes = source.chunk(0).nodes();
    let part = |k: usize| -> Vec<E> {
        let children = nodes.iter().map(|node| [node[k], node[k + 1]]);
        children
            .flat_map(|[a, b]| (0..LANES).flat_map(move |l| [a.extract(l), b.extract(l)]))
            .take(1 << num_vars)
            .collect()
    };
    (part(0), part(2))
}

impl Layer {
    /// The parents of the leaves of a cube of `2^num_vars`.
    fn of_leaves(source: &dyn Source, num_vars: usize) -> Self {
        if 1 << num_vars >= 2 * CHUNK_LEAVES {
            return Self::Leaves;
        }
        let full = (1 << (num_vars - 1)) / LANES;
        let live = source.len().div_ceil(2 * LANES);
        Self::Inner(source.chunk(0).nodes()[..stored(live, full)].to_vec())
    }

    /// The layer above, of a cube of `full` registers.
    fn parents(&self, source: &dyn Source, full: usize) -> Self {
        Self::Inner(match self {
            Self::Leaves => {
                const HALF: usize = CHUNK / 2;
                let live = live_chunks(source);
                let parents = |c: usize| {
                    let mut out = [DEAD; HALF];
                    if c < live {
                        let chunk = source.chunk(c);
                        if !chunk.is_dead() {
                            for (out, pair) in out.iter_mut().zip(chunk.fractions().as_chunks().0) {
                                *out = parent(pair);
                            }
                        }
                    }
                    out
                };
                let stored = stored(live * HALF, full);
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
    fn all_fractions(&self, source: &dyn Source, full: usize) -> (Vec<E>, Vec<E>) {
        let mut all: Vec<[PackedE; 2]> = match self {
            Self::Leaves => (0..live_chunks(source))
                .flat_map(|c| source.chunk(c).fractions())
                .collect(),
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
