//! The nodes of a layer in SIMD registers, and the rounds of the layer's sumcheck over them.
//!
//! A layer's cube is cut into chunks of [`CHUNK`] registers, or is a single chunk of fewer. Within a
//! chunk the lanes are the most significant bits of a node's index and the registers the least
//! significant ones: neighbours are in the same lane of neighbouring registers. A round binds the least
//! significant variable that is left, so that chunks halve where they lie, whatever is around them.
//! When a register is left of each, the registers of [`CHUNK`] chunks become the next cube's chunk.
//!
//! A node holds its children `p_0, p_1, q_0, q_1`, and from the first binding on
//! `d = p_1 + lambda q_1` in the place of `p_1`, so that `g = p_0 q_1 + q_0 d`; in the lowest layer it
//! is two elements ([`super::lowest`]). Nodes of which both children are the fraction that fills the
//! gaps are *dead*. They stay what they are whatever is bound, and so they add their `g` times their
//! weights to `t(0)` and nothing to the leading coefficient. Chunks of dead nodes lie wherever a tensor
//! is padded, and are not stored.
//!
//! A round binds a variable and computes the next message, a chunk at a time: what is bound is
//! still in the first-level cache when the message is computed from it.

// The arguments are registers: a call that is not inlined would store and load them.
#![allow(clippy::inline_always)]

use super::weights::Weights;
use rayon::prelude::*;
use std::ops::Add;
use zkstrata_mle::packed::{Factor, LANES, mul_add, sum_lanes};
use zkstrata_mle::{E, PackedE, PackedFieldExtension, PrimeCharacteristicRing};

/// Base-2 logarithm of [`CHUNK`].
pub(super) const CHUNK_VARS: usize = 4;

/// Registers of a chunk. A chunk of nodes fits the first-level cache.
pub(super) const CHUNK: usize = 1 << CHUNK_VARS;

/// Chunks that a thread takes at least: with fewer, handing them to one costs more.
const TASK: usize = 8;

/// Parts that a thread makes at least, if they are not too short.
const SHARE: usize = 4;

/// Bytes of a part at most, those of a large page: what a layer leaves free then serves the next one,
/// whatever their lengths.
const PART: usize = 1 << 21;

/// `p_0, p_1, q_0, q_1`, one node per lane.
pub(super) type Node = [PackedE; 4];

/// A chunk of nodes.
pub(super) type NodeChunk = [Node; CHUNK];

/// The nodes of a register.
pub(super) trait Register: Copy + Send + Sync {
    /// What is summed.
    fn g(&self) -> PackedE;

    /// `d` in the place of `p_1`.
    fn merge(&mut self, lambda: &Factor);
}

impl Register for Node {
    #[inline(always)]
    fn g(&self) -> PackedE {
        let [p0, d, q0, q1] = *self;
        mul_add(p0, q1, q0, d)
    }

    #[inline(always)]
    fn merge(&mut self, lambda: &Factor) {
        self[1] += lambda.times(self[3]);
    }
}

/// `low + s (high - low)`.
#[inline(always)]
fn bound<const N: usize>(low: &[PackedE; N], high: &[PackedE; N], s: &Factor) -> [PackedE; N] {
    let mut out = *low;
    for (out, &high) in out.iter_mut().zip(high) {
        *out += s.times(high - *out);
    }
    out
}

/// `high - low`.
#[inline(always)]
fn slope<const N: usize>(low: &[PackedE; N], high: &[PackedE; N]) -> [PackedE; N] {
    let mut out = *high;
    for (out, &low) in out.iter_mut().zip(low) {
        *out -= low;
    }
    out
}

/// What the chunks that are stored add to a round's message.
#[derive(Clone, Copy)]
pub(super) struct Sums {
    /// Of `g` and of the leading coefficient.
    terms: [PackedE; 2],
    /// The chunks' weights.
    live: E,
}

impl Sums {
    pub(super) const NONE: Self = Self {
        terms: [PackedE::ZERO; 2],
        live: E::ZERO,
    };

    /// Those of chunk `c`.
    #[inline(always)]
    pub(super) fn of<const N: usize>(
        weights: &Weights,
        c: usize,
        register: impl Fn(usize) -> [PackedE; N],
    ) -> Self
    where
        [PackedE; N]: Register,
    {
        let sums = weights.sum(|i| {
            let (low, high) = (register(2 * i), register(2 * i + 1));
            [low.g(), slope(&low, &high).g()]
        });
        let outer = weights.outer(c);
        let factor = Factor::broadcast(outer);
        Self {
            terms: [factor.times(sums[0]), factor.times(sums[1])],
            live: outer,
        }
    }

    /// `t(0)` and the leading coefficient, where dead nodes have this `g`.
    pub(super) fn message(&self, dead: E) -> Message {
        Message {
            at_zero: sum_lanes(self.terms[0]) + dead * (E::ONE - self.live),
            leading: sum_lanes(self.terms[1]),
        }
    }
}

impl Add for Sums {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        let ([a, b], [c, d]) = (self.terms, other.terms);
        Self {
            terms: [a + c, b + d],
            live: self.live + other.live,
        }
    }
}

/// What a round sends is made of these.
pub(super) struct Message {
    /// `t(0)`.
    pub(super) at_zero: E,
    /// The coefficient of `X^2` in `t`.
    pub(super) leading: E,
}

/// Some of the chunks of a cube that are not dead: their registers, one chunk's after the other's.
pub(super) struct Part<const N: usize> {
    chunks: Vec<u32>,
    registers: Vec<[PackedE; N]>,
}

/// Makes chunks of `width` registers of some items, on several threads if there are many, each task
/// with a scratch of its own: `make` appends a chunk's registers and returns its number and what it
/// adds to a message.
pub(super) fn make<const N: usize, I: Sync, S>(
    items: &[I],
    width: usize,
    scratch: impl Fn() -> S + Sync + Send,
    make: impl Fn(&mut S, &I, &mut Vec<[PackedE; N]>) -> (usize, Sums) + Sync + Send,
) -> (Vec<Part<N>>, Sums) {
    let part = |own: &mut S, items: &[I]| {
        let mut part = Part {
            chunks: Vec::with_capacity(items.len()),
            registers: Vec::with_capacity(items.len() * width),
        };
        let mut sums = Sums::NONE;
        for item in items {
            let (chunk, own) = make(own, item, &mut part.registers);
            part.chunks.push(chunk as u32);
            sums = sums + own;
        }
        (part, sums)
    };
    if items.len() < 2 * TASK {
        let (part, sums) = part(&mut scratch(), items);
        return (vec![part], sums);
    }
    let share = items.len() / (SHARE * rayon::current_num_threads());
    let length = share.clamp(TASK, PART / (width * size_of::<[PackedE; N]>()));
    let parts = items.par_chunks(length).map_init(scratch, part);
    let (parts, sums): (Vec<_>, Vec<_>) = parts.collect::<Vec<_>>().into_iter().unzip();
    (parts, sums.into_iter().fold(Sums::NONE, Add::add))
}

/// Adds up what some items add to a message, each task with a scratch of its own.
pub(super) fn add_up<I: Sync, S>(
    items: &[I],
    scratch: impl Fn() -> S + Sync + Send,
    part: impl Fn(&mut S, &I) -> Sums + Sync + Send,
) -> Sums {
    if items.len() < 2 * TASK {
        let mut own = scratch();
        let sums = items.iter().map(|item| part(&mut own, item));
        return sums.fold(Sums::NONE, Add::add);
    }
    let items = items.par_iter().with_min_len(TASK);
    let sums = items.map_init(scratch, part);
    sums.reduce(|| Sums::NONE, Add::add)
}

/// The chunks of whole chunks by their numbers, up to the last one that is stored.
pub(super) fn table(parts: &[Part<4>]) -> Vec<Option<&NodeChunk>> {
    let mut table = vec![];
    for part in parts {
        let (chunks, _) = part.registers.as_chunks::<CHUNK>();
        for (&c, chunk) in part.chunks.iter().zip(chunks) {
            table.resize(c as usize, None);
            table.push(Some(chunk));
        }
    }
    table
}

/// A cube while its sumcheck is running.
pub(super) struct Cube<const N: usize> {
    parts: Vec<Part<N>>,
    /// Registers of a chunk.
    width: usize,
    /// Number of chunks of the cube.
    full: usize,
    /// Dead nodes.
    dead: [PackedE; N],
    /// Makes `d` of `p_1`, until that is done.
    merge: Option<Factor>,
}

impl Cube<4> {
    /// A cube of `full` chunks of inner nodes; `dead` is the fraction that fills the gaps.
    pub(super) fn stored(parts: Vec<Part<4>>, full: usize, dead: Fraction, lambda: E) -> Self {
        Self {
            merge: Some(Factor::broadcast(lambda)),
            ..Self::new(parts, CHUNK, full, dead.merged(lambda))
        }
    }

    /// A cube of one chunk of all its nodes.
    pub(super) fn few(registers: Vec<Node>, lambda: E) -> Self {
        let (chunks, width) = (vec![0], registers.len());
        let part = Part { chunks, registers };
        Self {
            merge: Some(Factor::broadcast(lambda)),
            ..Self::new(vec![part], width, 1, [PackedE::ZERO; 4])
        }
    }
}

impl<const N: usize> Cube<N>
where
    [PackedE; N]: Register,
{
    /// A cube of `full` chunks of `width` registers.
    pub(super) fn new(parts: Vec<Part<N>>, width: usize, full: usize, dead: [PackedE; N]) -> Self {
        Self {
            parts,
            width,
            full,
            dead,
            merge: None,
        }
    }

    /// Base-2 logarithm of the registers of a chunk.
    pub(super) fn vars(&self) -> usize {
        self.width.ilog2() as usize
    }

    /// What the chunks add to the next message.
    pub(super) fn sums(&self, weights: &Weights) -> Sums {
        let width = self.width;
        if let Some(lambda) = &self.merge {
            self.add_up(|part, k| {
                Sums::of(weights, part.chunks[k] as usize, |i| {
                    let mut register = part.registers[k * width + i];
                    register.merge(lambda);
                    register
                })
            })
        } else {
            self.add_up(|part, k| {
                let chunk = part.chunks[k] as usize;
                Sums::of(weights, chunk, |i| part.registers[k * width + i])
            })
        }
    }

    fn add_up(&self, chunk: impl Fn(&Part<N>, usize) -> Sums + Sync) -> Sums {
        let part = |part: &Part<N>| {
            let chunks = 0..part.chunks.len();
            chunks.fold(Sums::NONE, |sums, k| sums + chunk(part, k))
        };
        match &self.parts[..] {
            [only] => part(only),
            parts => (parts.par_iter().map(part)).reduce(|| Sums::NONE, Add::add),
        }
    }

    /// Binds a variable of the chunks to `s`; returns what they add to the next message, if their
    /// variables are not all bound.
    pub(super) fn bind(&mut self, s: E, weights: &Weights) -> Sums {
        let s = Factor::broadcast(s);
        let (width, merge) = (self.width, self.merge.take());
        self.width /= 2;
        let part = |part: &mut Part<N>| bind_part(part, width, &s, merge.as_ref(), weights);
        match &mut self.parts[..] {
            [only] => part(only),
            parts => (parts.par_iter_mut().map(part)).reduce(|| Sums::NONE, Add::add),
        }
    }

    /// The register that is left, if all chunks are one register; otherwise makes chunks of them.
    pub(super) fn last(&mut self) -> Option<[PackedE; N]> {
        if self.full == 1 {
            let registers = self.parts.iter().flat_map(|part| &part.registers);
            return Some(registers.copied().next().unwrap_or(self.dead));
        }
        let width = self.full.min(CHUNK);
        let parts = self.parts.iter();
        let registers = parts.flat_map(|part| part.chunks.iter().zip(&part.registers));
        let registers: Vec<(usize, &[PackedE; N])> = registers
            .map(|(&c, register)| (c as usize, register))
            .collect();
        let groups = registers.chunk_by(|(a, _), (b, _)| a / width == b / width);
        let groups: Vec<_> = groups.collect();
        let dead = || [self.dead; CHUNK];
        let (parts, _) = make(&groups, width, dead, |own, group, out| {
            own.fill(self.dead);
            for &(c, register) in *group {
                own[c % width] = *register;
            }
            transpose(&own[..width], out);
            (group[0].0 / width, Sums::NONE)
        });
        self.parts = parts;
        self.full /= width;
        self.width = width;
        None
    }
}

/// Binds the chunks of a part where they lie.
fn bind_part<const N: usize>(
    part: &mut Part<N>,
    width: usize,
    s: &Factor,
    merge: Option<&Factor>,
    weights: &Weights,
) -> Sums
where
    [PackedE; N]: Register,
{
    let half = width / 2;
    let mut sums = Sums::NONE;
    for (k, &c) in part.chunks.iter().enumerate() {
        let registers = &mut part.registers;
        for i in 0..half {
            let at = k * width + 2 * i;
            let mut node = bound(&registers[at], &registers[at + 1], s);
            if let Some(lambda) = merge {
                node.merge(lambda);
            }
            registers[k * half + i] = node;
        }
        if half > 1 {
            let own = Sums::of(weights, c as usize, |i| registers[k * half + i]);
            sums = sums + own;
        }
    }
    part.registers.truncate(half * part.chunks.len());
    sums
}

/// Binds a chunk that is not stored to `s`, appends it and returns what it adds to the next message.
#[inline(always)]
pub(super) fn push_bound<const N: usize>(
    (c, register): (usize, impl Fn(usize) -> [PackedE; N]),
    (s, lambda): (&Factor, &Factor),
    weights: &Weights,
    out: &mut Vec<[PackedE; N]>,
) -> Sums
where
    [PackedE; N]: Register,
{
    let first = out.len();
    for i in 0..CHUNK / 2 {
        let mut node = bound(&register(2 * i), &register(2 * i + 1), s);
        node.merge(lambda);
        out.push(node);
    }
    let own = &out[first..];
    Sums::of(weights, c, |i| own[i])
}

/// The registers of a chunk, of the only registers of those chunks.
fn transpose<const N: usize>(old: &[[PackedE; N]], out: &mut Vec<[PackedE; N]>) {
    let width = old.len();
    for r in 0..width {
        let lane = |k: usize, lane: usize| -> E {
            let node = lane * width + r;
            old[node / LANES][k].extract(node % LANES)
        };
        out.push(std::array::from_fn(|k| {
            PackedE::from_ext_fn(|l| lane(k, l))
        }));
    }
}

/// The fraction that fills the gaps of a layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Fraction {
    pub(crate) p: E,
    pub(crate) q: E,
}

impl Fraction {
    pub(crate) const ONE: Self = Self {
        p: E::ONE,
        q: E::ONE,
    };

    /// That of the layer above.
    pub(super) fn parent(self) -> Self {
        Self {
            p: (self.p * self.q).double(),
            q: self.q.square(),
        }
    }

    /// Nodes of two of them.
    pub(super) fn node(self) -> Node {
        let [p, q] = [self.p, self.q].map(PackedE::from);
        [p, p, q, q]
    }

    /// The same with `d` in the place of `p_1`.
    pub(super) fn merged(self, lambda: E) -> Node {
        let [p, d, q] = [self.p, self.p + lambda * self.q, self.q].map(PackedE::from);
        [p, d, q, q]
    }

    /// `g` of these nodes.
    pub(super) fn g(self, lambda: E) -> E {
        (self.p * self.q).double() + lambda * self.q.square()
    }
}
