//! The tree, from the leaves up.

// The arguments are registers: a call that is not inlined would store and load them.
#![allow(clippy::inline_always)]

use super::leaves::{CHUNK_LEAVES, Chunk, Source, fill_live, live_chunks};
use super::nodes::{Node, NodeChunk};
use super::passes::collect;
use super::weights::CHUNK;
use super::{CLEAR_VARS, Pair};
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
            let fractions = layer.all_fractions();
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
    /// Of inner nodes that do: the chunks up to the last one that is not dead.
    Chunks(Vec<NodeChunk>),
    /// Of fewer nodes: all of the cube.
    Few(Vec<Node>),
}

/// All leaves of a cube of at most one chunk: numerators and denominators.
fn all_leaves(source: &dyn Source, num_vars: usize) -> (Vec<E>, Vec<E>) {
    let nodes = first_chunk(source);
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
fn first_chunk(source: &dyn Source) -> [Node; CHUNK] {
    let mut chunk = Chunk::dead();
    source.fill(0, &mut chunk);
    chunk.nodes()
}

impl Layer {
    /// The parents of the leaves of a cube of `2^num_vars`.
    fn of_leaves(source: &dyn Source, num_vars: usize) -> Self {
        if 1 << num_vars >= 2 * CHUNK_LEAVES {
            return Self::Leaves;
        }
        let full = (1 << (num_vars - 1)) / LANES;
        Self::Few(first_chunk(source)[..full].to_vec())
    }

    /// The layer above, of a cube of `full` registers.
    fn parents(&self, source: &dyn Source, full: usize) -> Self {
        let chunks = match self {
            Self::Leaves => {
                let live = live_chunks(source);
                collect(live.div_ceil(2), TASK / CHUNK, Chunk::dead, |chunk, c| {
                    let mut parents = NodeChunk::DEAD;
                    for (c, out) in (2 * c..).zip(parents.nodes.chunks_mut(CHUNK / 2)) {
                        fill_live(source, live, c, chunk);
                        if !chunk.is_dead() {
                            parents.dead = false;
                            parents_of(out, |r| chunk.fraction(r));
                        }
                    }
                    parents
                })
            }
            Self::Chunks(nodes) => collect(
                nodes.len().div_ceil(2),
                TASK / CHUNK,
                || (),
                |(), c| {
                    let mut parents = NodeChunk::DEAD;
                    for (chunk, out) in nodes[2 * c..]
                        .iter()
                        .zip(parents.nodes.chunks_mut(CHUNK / 2))
                    {
                        if !chunk.dead {
                            parents.dead = false;
                            parents_of(out, |r| fractions(&chunk.nodes[r]));
                        }
                    }
                    parents
                },
            ),
            Self::Few(nodes) => {
                let (pairs, _) = nodes.as_chunks::<2>();
                let parents = pairs
                    .iter()
                    .map(|[a, b]| parent(&[fractions(a), fractions(b)]));
                return Self::Few(parents.collect());
            }
        };
        if full >= 2 * CHUNK {
            return Self::Chunks(chunks);
        }
        let nodes = chunks.first().unwrap_or(&NodeChunk::DEAD).nodes;
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

/// The parents of the registers of a chunk of fractions.
#[inline(always)]
fn parents_of(out: &mut [Node], fractions: impl Fn(usize) -> Pair) {
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
