//! The tree, from the leaves up.

// The arguments are registers: a call that is not inlined would store and load them.
#![allow(clippy::inline_always)]

use super::leaves::{CHUNK_LEAVES, Chunk, Source};
use super::lowest::made;
use super::nodes::{Node, NodeChunk, dead};
use super::sparse::{Sparse, live_parents};
use super::upper::Upper;
use super::weights::CHUNK;
use super::{CLEAR_VARS, Pair};
use zkstrata_mle::packed::{LANES, deinterleave, mul_add, unpack};
use zkstrata_mle::{E, PackedE, PackedFieldExtension, PrimeCharacteristicRing};

/// Registers that a thread takes at least.
const TASK: usize = 128;

/// Chunks above the leaves from which on they are not stored but made when they are wanted: what is
/// shorter stays in a cache.
const MADE: usize = 1 << 11;

/// Coordinates of a register's lanes. A layer below the clear one fills two registers.
pub(super) const LANE_VARS: usize = LANES.ilog2() as usize;
const _: () = assert!(LANE_VARS < CLEAR_VARS);

/// The fractions of a tree.
pub(crate) struct Tree {
    /// Numerators of the layer in the clear.
    pub(crate) numerators: Vec<E>,
    /// Its denominators.
    pub(crate) denominators: Vec<E>,
    /// Which chunks of leaves are live.
    pub(super) live: Vec<bool>,
    /// The layers below, the leaves' parents first.
    pub(super) layers: Vec<Layer>,
}

impl Tree {
    /// The tree over `2^num_vars` leaves.
    ///
    /// # Panics
    /// If the leaves exceed the cube.
    pub(crate) fn new(num_vars: usize, leaves: &dyn Source) -> Self {
        Self::making(num_vars, leaves, MADE)
    }

    /// The same, where the layer above the lowest is not stored if it has so many chunks.
    pub(super) fn making(num_vars: usize, leaves: &dyn Source, least: usize) -> Self {
        assert!(leaves.len() <= 1 << num_vars, "the leaves exceed the cube");
        let chunks = leaves.len().div_ceil(CHUNK_LEAVES);
        let live: Vec<bool> = (0..chunks).map(|c| !leaves.is_dead(c)).collect();
        let clear = num_vars.min(CLEAR_VARS);
        let mut layers = vec![];
        let (numerators, denominators) = if num_vars == clear {
            all_leaves(leaves, &live, num_vars)
        } else {
            let mut rest = leaves.rest();
            let mut layer = Layer::of_leaves(leaves, &live, num_vars);
            for vars in (clear..num_vars - 1).rev() {
                rest = rest.square();
                let parents = layer.parents(leaves, &live, 1 << (vars - LANE_VARS), rest, least);
                layers.push(layer);
                layer = parents;
            }
            let fractions = layer.all_fractions();
            layers.push(layer);
            fractions
        };
        Self {
            numerators,
            denominators,
            live,
            layers,
        }
    }
}

/// The parents of a layer of fractions.
pub(super) enum Layer {
    /// Of the leaves, if they fill at least two chunks of the cube.
    Leaves,
    /// Of the leaves' parents, if they do and are not stored: which chunks are live.
    Made(Vec<bool>),
    /// Of inner nodes that do, and the denominator of dead ones.
    Chunks(Sparse<NodeChunk>, E),
    /// Of fewer nodes: all of the cube.
    Few(Vec<Node>),
}

/// All leaves of a cube of at most one chunk: numerators and denominators.
fn all_leaves(source: &dyn Source, live: &[bool], num_vars: usize) -> (Vec<E>, Vec<E>) {
    let nodes = first_chunk(source, live);
    let part = |k: usize| -> Vec<E> {
        let children = nodes.iter().map(|node| [node[k], node[k + 1]]);
        children
            .flat_map(|[a, b]| (0..LANES).flat_map(move |l| [a.extract(l), b.extract(l)]))
            .take(1 << num_vars)
            .collect()
    };
    (part(0), part(2))
}

/// The nodes above the first leaves.
fn first_chunk(source: &dyn Source, live: &[bool]) -> NodeChunk {
    let mut chunk = Chunk::dead(source.rest());
    made(source, live, 0, &mut chunk);
    chunk.nodes()
}

impl Layer {
    /// The parents of the leaves of a cube of `2^num_vars`.
    fn of_leaves(source: &dyn Source, live: &[bool], num_vars: usize) -> Self {
        if 1 << num_vars >= 2 * CHUNK_LEAVES {
            return Self::Leaves;
        }
        let full = (1 << (num_vars - 1)) / LANES;
        Self::Few(first_chunk(source, live)[..full].to_vec())
    }

    /// The layer above, of a cube of `full` registers, in which `rest` is the denominator of dead
    /// fractions; it is not stored if it lies above the lowest one and has `least` chunks.
    fn parents(
        &self,
        source: &dyn Source,
        leaves: &[bool],
        full: usize,
        rest: E,
        least: usize,
    ) -> Self {
        let chunks = match self {
            Self::Leaves => {
                let live = live_parents(leaves);
                if full >= 2 * CHUNK && live.len() >= least {
                    return Self::Made(live);
                }
                let upper = Upper::new(source, leaves, &live);
                Sparse::make(
                    live.clone(),
                    TASK / CHUNK,
                    || upper.scratch(),
                    |(leaves, nodes), c| {
                        upper.made(c, leaves, nodes);
                        *nodes
                    },
                )
            }
            Self::Made(live) => {
                let upper = Upper::new(source, leaves, live);
                let scratch = || (upper.scratch(), [dead(rest); CHUNK]);
                Sparse::make(
                    live_parents(live),
                    TASK / CHUNK,
                    scratch,
                    |((leaves, nodes), parents), c| {
                        for (c, out) in (2 * c..).zip(parents.chunks_mut(CHUNK / 2)) {
                            above(upper.made(c, leaves, nodes).as_deref(), rest, out);
                        }
                        *parents
                    },
                )
            }
            Self::Chunks(nodes, _) => {
                let table = nodes.table();
                Sparse::make(
                    live_parents(nodes.live()),
                    TASK / CHUNK,
                    || [dead(rest); CHUNK],
                    |parents, c| {
                        for (c, out) in (2 * c..).zip(parents.chunks_mut(CHUNK / 2)) {
                            above(table.get(c).copied().flatten(), rest, out);
                        }
                        *parents
                    },
                )
            }
            Self::Few(nodes) => {
                let (pairs, _) = nodes.as_chunks::<2>();
                let parents = pairs
                    .iter()
                    .map(|[a, b]| parent(&[fractions(a), fractions(b)]));
                return Self::Few(parents.collect());
            }
        };
        if full >= 2 * CHUNK {
            return Self::Chunks(chunks, rest);
        }
        let first = chunks.table().into_iter().next().flatten();
        let nodes = first.copied().unwrap_or([dead(rest); CHUNK]);
        Self::Few(nodes[..full].to_vec())
    }

    /// The fractions of all nodes of the layer below the one in the clear, which are few.
    fn all_fractions(&self) -> (Vec<E>, Vec<E>) {
        let Self::Few(nodes) = self else {
            unreachable!("the layer in the clear is shorter than a chunk")
        };
        let all: Vec<[PackedE; 2]> = nodes.iter().map(fractions).collect();
        let part = |k: usize| unpack(&all.iter().map(|f| f[k]).collect::<Vec<_>>());
        (part(0), part(1))
    }
}

/// The parents of the nodes of a chunk; without one it is dead, and so are they.
#[inline(always)]
fn above(chunk: Option<&NodeChunk>, rest: E, out: &mut [Node]) {
    if let Some(chunk) = chunk {
        parents_of(out, |r| fractions(&chunk[r]));
    } else {
        out.fill(dead(rest));
    }
}

/// The parents of the registers of a chunk of fractions.
#[inline(always)]
pub(super) fn parents_of(out: &mut [Node], fractions: impl Fn(usize) -> Pair) {
    for (i, out) in out.iter_mut().enumerate() {
        *out = parent(&[fractions(2 * i), fractions(2 * i + 1)]);
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
