//! The tree, from the leaves up.

// The arguments are registers: a call that is not inlined would store and load them.
#![allow(clippy::inline_always)]

use super::cube::{CHUNK, Fraction, Node, NodeChunk, Part, Sums, make, table};
use super::leaves::{CHUNK_LEAVES, Chunk, Leaves, Source};
use super::upper::Upper;
use super::weights::LANE_VARS;
use super::{CLEAR_VARS, Pair};
use zkstrata_mle::packed::{LANES, deinterleave, mul_add};
use zkstrata_mle::{E, PackedE, PackedFieldExtension, PrimeCharacteristicRing};

/// Live chunks above the leaves from which on they are not stored but made when they are wanted: what
/// is shorter stays in a cache.
const MADE: usize = 1 << 11;

// A layer below the clear one fills two registers.
const _: () = assert!(LANE_VARS < CLEAR_VARS);

/// The fractions of a tree.
pub(crate) struct Tree<'a> {
    /// Numerators of the layer in the clear.
    pub(crate) numerators: Vec<E>,
    /// Its denominators.
    pub(crate) denominators: Vec<E>,
    /// The leaves, where the layers are made of them.
    pub(super) made: Option<Made<'a>>,
    /// The layers below, the leaves' parents first.
    pub(super) layers: Vec<Layer>,
}

/// Leaves of which layers are made.
pub(super) struct Made<'a> {
    pub(super) source: &'a mut dyn Source,
    /// The live chunks.
    pub(super) live: Vec<u32>,
}

/// The parents of a layer of fractions.
pub(super) enum Layer {
    /// Of the leaves, if they fill at least two chunks of the cube and are made.
    Leaves,
    /// Of the leaves' parents, if they do and are not stored: the live chunks.
    Made(Vec<u32>),
    /// Of fractions that fill at least two chunks.
    Chunks {
        parts: Vec<Part<4>>,
        /// Number of chunks of the cube.
        full: usize,
        /// The fraction that fills the gaps.
        dead: Fraction,
    },
    /// Of fewer fractions: all of the cube.
    Few(Vec<Node>),
}

impl<'a> Tree<'a> {
    /// The tree over `2^num_vars` leaves with numerator 1.
    ///
    /// # Panics
    /// If the leaves exceed the cube.
    pub(crate) fn of_source(num_vars: usize, source: &'a mut dyn Source) -> Self {
        Self::making(num_vars, source, MADE)
    }

    /// The same, where the layer above the lowest is not stored if it has so many live chunks.
    pub(super) fn making(num_vars: usize, source: &'a mut dyn Source, least: usize) -> Self {
        assert!(source.len() <= 1 << num_vars, "the leaves exceed the cube");
        if 1 << num_vars < 2 * CHUNK_LEAVES {
            let mut chunk = Chunk::dead();
            source.fill(0, &mut chunk);
            let q = chunk.first(source.len());
            let leaves = Leaves {
                p: &vec![E::ONE; q.len()],
                q: &q,
                rest: Fraction::ONE,
            };
            return Self::of_leaves(num_vars, &leaves);
        }
        let chunks = source.len().div_ceil(CHUNK_LEAVES);
        let live = (0..chunks).filter(|&c| !source.is_dead(c));
        let live: Vec<u32> = live.map(|c| c as u32).collect();
        let upper = Upper::new(source, &live);
        let mut nodes = live.clone();
        for c in &mut nodes {
            *c /= 2;
        }
        nodes.dedup();
        let full = (1 << (num_vars - 1)) / CHUNK_LEAVES;
        let mut layers = vec![Layer::Leaves];
        if full > 1 && nodes.len() >= least {
            let parents: Vec<&[u32]> = nodes.chunk_by(|a, b| a / 2 == b / 2).collect();
            let dead = Fraction::ONE.parent();
            let scratch = || (Upper::leaves(), [dead.node(); 2 * CHUNK]);
            let (parts, _) = make(&parents, CHUNK, scratch, |(leaves, nodes), chunks, out| {
                nodes.fill(dead.node());
                let halves = nodes.as_chunks_mut::<CHUNK>().0;
                for &c in *chunks {
                    upper.fill(c as usize, leaves, &mut halves[c as usize % 2]);
                }
                push_parents([Some(&halves[0]), Some(&halves[1])], dead, out);
                (chunks[0] as usize / 2, Sums::NONE)
            });
            layers.push(Layer::Made(nodes));
            layers.push(Layer::of_parts(parts, full / 2, dead.parent()));
        } else {
            let (parts, _) = make(&nodes, CHUNK, Upper::leaves, |leaves, &c, out| {
                upper.fill(c as usize, leaves, push_chunk(out));
                (c as usize, Sums::NONE)
            });
            layers.push(Layer::of_parts(parts, full, Fraction::ONE.parent()));
        }
        Self::grown(layers, Some(Made { source, live }))
    }

    /// The tree over `2^num_vars` stored leaves.
    ///
    /// # Panics
    /// If the leaves exceed the cube.
    pub(crate) fn of_leaves<P>(num_vars: usize, leaves: &Leaves<'_, P>) -> Self
    where
        P: Copy + Into<E> + Sync,
    {
        assert!(
            leaves.q.len() <= 1 << num_vars,
            "the leaves exceed the cube"
        );
        if num_vars <= CLEAR_VARS {
            let (numerators, denominators) = leaves.all(1 << num_vars);
            return Self {
                numerators,
                denominators,
                made: None,
                layers: vec![],
            };
        }
        let registers = 1 << (num_vars - 1 - LANE_VARS);
        let layer = if registers < 2 * CHUNK {
            let (p, q) = leaves.all(1 << num_vars);
            let part = |r: usize, of: &[E], b: usize| {
                PackedE::from_ext_fn(|lane| of[2 * (lane * registers + r) + b])
            };
            let node = |r| {
                [
                    part(r, &p, 0),
                    part(r, &p, 1),
                    part(r, &q, 0),
                    part(r, &q, 1),
                ]
            };
            Layer::Few((0..registers).map(node).collect())
        } else {
            let chunks = leaves.q.len().div_ceil(CHUNK_LEAVES) as u32;
            let chunks: Vec<u32> = (0..chunks).collect();
            let (parts, _) = make(
                &chunks,
                CHUNK,
                || (),
                |(), &c, out| {
                    out.extend((0..CHUNK).map(|r| leaves.node(c as usize, r)));
                    (c as usize, Sums::NONE)
                },
            );
            Layer::of_parts(parts, registers / CHUNK, leaves.rest)
        };
        Self::grown(vec![layer], None)
    }

    /// The tree with these layers below the next one.
    fn grown(mut layers: Vec<Layer>, made: Option<Made<'a>>) -> Self {
        let (numerators, denominators) = loop {
            let layer = layers.last().expect("the leaves' parents");
            if let Layer::Few(nodes) = layer
                && nodes.len() == 1 << (CLEAR_VARS - LANE_VARS)
            {
                break all_fractions(nodes);
            }
            let parents = layer.parents();
            layers.push(parents);
        };
        Self {
            numerators,
            denominators,
            made,
            layers,
        }
    }
}

impl Layer {
    /// Parts of a cube of `full` chunks.
    fn of_parts(parts: Vec<Part<4>>, full: usize, dead: Fraction) -> Self {
        if full > 1 {
            return Self::Chunks { parts, full, dead };
        }
        let first = table(&parts).into_iter().next().flatten();
        Self::Few(first.copied().unwrap_or([dead.node(); CHUNK]).to_vec())
    }

    /// The layer above a stored one.
    fn parents(&self) -> Self {
        match self {
            Self::Chunks { parts, full, dead } => {
                let table = table(parts);
                let pairs: Vec<_> = (table.chunks(2).enumerate())
                    .map(|(c, pair)| (c, [pair[0], pair.get(1).copied().flatten()]))
                    .filter(|(_, pair)| pair.iter().any(Option::is_some))
                    .collect();
                let (parts, _) = make(
                    &pairs,
                    CHUNK,
                    || (),
                    |(), &(c, pair), out| {
                        push_parents(pair, *dead, out);
                        (c, Sums::NONE)
                    },
                );
                Self::of_parts(parts, full / 2, dead.parent())
            }
            Self::Few(nodes) => {
                let (pairs, _) = nodes.as_chunks::<2>();
                let parent = |[a, b]: &[Node; 2]| {
                    let ([p0, q0], [p1, q1]) = (fractions(a), fractions(b));
                    [p0, p1, q0, q1]
                };
                Self::Few(pairs.iter().map(parent).collect())
            }
            Self::Leaves | Self::Made(_) => unreachable!("what is made has a stored layer above"),
        }
    }
}

/// All fractions of the nodes of a cube, in order: numerators and denominators.
fn all_fractions(nodes: &[Node]) -> (Vec<E>, Vec<E>) {
    let fractions: Vec<Pair> = nodes.iter().map(fractions).collect();
    let get = |node: usize| -> (E, E) {
        let (r, lane) = (node % nodes.len(), node / nodes.len());
        let [p, q] = fractions[r];
        (p.extract(lane), q.extract(lane))
    };
    (0..LANES * nodes.len()).map(get).unzip()
}

/// Appends the parents of the nodes of two chunks; what is missing is dead.
#[inline(always)]
fn push_parents(chunks: [Option<&NodeChunk>; 2], dead: Fraction, out: &mut Vec<Node>) {
    let dead = [dead.node(); CHUNK];
    let [a, b] = chunks.map(|chunk| chunk.unwrap_or(&dead));
    parents_of(push_chunk(out), |r| fractions(&a[r]), |r| fractions(&b[r]));
}

/// Appends a chunk, to be overwritten.
#[inline(always)]
fn push_chunk(out: &mut Vec<Node>) -> &mut NodeChunk {
    let first = out.len();
    out.resize(first + CHUNK, [PackedE::ZERO; 4]);
    let (own, _) = out[first..].as_chunks_mut();
    &mut own[0]
}

/// The parents of the nodes of two chunks, by their fractions. Two registers of a chunk hold the children
/// of one; its first half is in every other lane of the first chunk's.
#[inline(always)]
pub(super) fn parents_of(
    out: &mut NodeChunk,
    a: impl Fn(usize) -> Pair,
    b: impl Fn(usize) -> Pair,
) {
    let (even, odd) = out.split_at_mut(CHUNK / 2);
    for (i, (even, odd)) in even.iter_mut().zip(odd).enumerate() {
        for child in 0..2 {
            let ([pa, qa], [pb, qb]) = (a(2 * i + child), b(2 * i + child));
            [even[child], odd[child]] = deinterleave(pa, pb);
            [even[2 + child], odd[2 + child]] = deinterleave(qa, qb);
        }
    }
}

/// The fractions of the nodes.
#[inline(always)]
fn fractions(&[p0, p1, q0, q1]: &Node) -> Pair {
    [mul_add(p0, q1, p1, q0), q0 * q1]
}
