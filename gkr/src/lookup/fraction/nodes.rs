//! The nodes of a layer in SIMD registers, and the passes of the layer's sumcheck over them.
//!
//! A node holds its children `p_0, p_1, q_0, q_1`, and from the first binding on
//! `d = p_1 + lambda q_1` in the place of `p_1`, so that `g = p_0 q_1 + q_0 d`. Nodes from the
//! live length on are the constant [`DEAD`], children 0/1: they are not stored, their `g` is
//! `lambda` whatever is bound, and so they add `lambda` times their weights to `t(0)` and nothing to
//! the leading coefficient.
//!
//! A pass binds a variable and computes the next round's message, a chunk at a time: what is bound
//! is still in the first-level cache when the message is computed from it.

// The arguments are registers: a call that is not inlined would store and load them.
#![allow(clippy::inline_always)]

use super::weights::{CHUNK, Weights};
use rayon::prelude::*;
use zkstrata_mle::packed::{Factor, mul_add, sum_lanes};
use zkstrata_mle::{E, PackedE, PrimeCharacteristicRing};

/// `p_0, p_1, q_0, q_1`, one node per lane.
pub(super) type Node = [PackedE; 4];

/// A node of two fractions 0/1.
pub(super) const DEAD: Node = [PackedE::ZERO, PackedE::ZERO, PackedE::ONE, PackedE::ONE];

/// Chunks that a task takes at least: below that, handing it to a thread costs more.
const TASK: usize = 8;

/// What a round sends is made of these.
pub(super) struct Message {
    /// `t(0)`.
    pub(super) at_zero: E,
    /// The coefficient of `X^2` in `t`.
    pub(super) leading: E,
}

/// The nodes of a layer whose sumcheck is running.
pub(super) struct Nodes {
    /// The live nodes, whole chunks.
    live: Vec<Node>,
    /// Number of registers of the cube.
    full: usize,
    /// A node that is not stored.
    dead: Node,
    lambda: E,
    /// Whether the nodes hold `d` rather than `p_1`.
    merged: bool,
}

/// Number of registers to store of `live` ones in a cube of `full`: whole chunks.
pub(super) fn stored(live: usize, full: usize) -> usize {
    live.max(1).next_multiple_of(CHUNK.min((full / 2).max(1)))
}

impl Nodes {
    /// The nodes of a cube of `full` registers, [`stored`] of them given.
    pub(super) fn new(live: Vec<Node>, full: usize, lambda: E) -> Self {
        Self {
            live,
            full,
            dead: DEAD,
            lambda,
            merged: false,
        }
    }

    /// The first round's message.
    pub(super) fn message(&self, weights: &Weights) -> Message {
        let (half, chunk) = (self.full / 2, weights.inner.len());
        let low = &self.live[..self.live.len().min(half)];
        let high = self.live.get(half..).unwrap_or_default();
        let lambda = Factor::broadcast(self.lambda);
        let merge = |node: &Node| {
            let mut node = *node;
            node[1] += lambda.times(node[3]);
            node
        };
        let dead = [merge(&self.dead); CHUNK];
        let sums = |c: usize| {
            let at = c * chunk;
            let mut lows = dead;
            let mut highs = dead;
            for (to, from) in lows.iter_mut().zip(&low[at..at + chunk]) {
                *to = merge(from);
            }
            for (to, from) in highs
                .iter_mut()
                .zip(high.get(at..at + chunk).unwrap_or_default())
            {
                *to = merge(from);
            }
            chunk_sums(&lows[..chunk], &highs, weights, c)
        };
        let chunks = low.len() / chunk;
        let sums = if chunks < 2 * TASK {
            (0..chunks).map(sums).fold(ZEROS, add)
        } else {
            let chunks = (0..chunks).into_par_iter().with_min_len(TASK);
            chunks.map(sums).reduce(|| ZEROS, add)
        };
        self.finish(sums, chunks, weights)
    }

    /// Binds the first variable to `s` and computes the next round's message.
    pub(super) fn bind(&mut self, s: E, weights: &Weights) -> Message {
        let (quarter, chunk) = (self.full / 4, weights.inner.len());
        let dead = self.dead;
        let lambda = self.start_binding();
        let bind = Bind {
            s: Factor::broadcast(s),
            lambda: lambda.as_ref(),
            dead: &dead,
        };
        let bound_dead = [self.dead; CHUNK];
        let mut rest = &mut self.live[..];
        let [a, b, c, d] = [0; 4].map(|_| take(&mut rest, quarter));
        let chunks = a.len() / chunk;
        let run = |task: Task<'_>| {
            let mut sums = ZEROS;
            let mut b = task.b.chunks_exact_mut(chunk);
            let mut c = task.c.chunks_exact(chunk);
            let mut d = task.d.chunks_exact(chunk);
            for (i, low) in task.a.chunks_exact_mut(chunk).enumerate() {
                bind.chunk(low, c.next());
                let high = match b.next() {
                    Some(high) => {
                        bind.chunk(high, d.next());
                        &*high
                    }
                    None => &bound_dead,
                };
                sums = add(sums, chunk_sums(low, high, weights, task.first + i));
            }
            sums
        };
        let whole = Task {
            first: 0,
            a,
            b,
            c,
            d,
        };
        let sums = if chunks < 2 * TASK {
            run(whole)
        } else {
            let tasks = whole.split(chunk);
            tasks.into_par_iter().map(run).reduce(|| ZEROS, add)
        };
        self.live.truncate(2 * quarter);
        self.full = 2 * quarter;
        self.finish(sums, chunks, weights)
    }

    /// Binds the last variable that is not a lane, to `s` if there is one, and takes the lanes
    /// apart: `p_0, d, q_0, q_1`.
    pub(super) fn last(mut self, s: Option<E>) -> [PackedE; 4] {
        let dead = self.dead;
        let lambda = self.start_binding();
        let (low, high) = self.live.split_at_mut(1);
        if let Some(s) = s {
            let bind = Bind {
                s: Factor::broadcast(s),
                lambda: lambda.as_ref(),
                dead: &dead,
            };
            bind.chunk(low, (!high.is_empty()).then_some(high));
        } else if let Some(lambda) = lambda {
            low[0][1] += lambda.times(low[0][3]);
        }
        low[0]
    }

    /// The factor that makes `d` of `p_1`, unless this is done.
    fn start_binding(&mut self) -> Option<Factor> {
        (!std::mem::replace(&mut self.merged, true)).then(|| {
            self.dead[1] += PackedE::from(self.lambda);
            Factor::broadcast(self.lambda)
        })
    }

    fn finish(&self, sums: [PackedE; 2], chunks: usize, weights: &Weights) -> Message {
        Message {
            at_zero: sum_lanes(sums[0]) + self.lambda * weights.after(chunks),
            leading: sum_lanes(sums[1]),
        }
    }
}

/// Sums of nothing.
const ZEROS: [PackedE; 2] = [PackedE::ZERO; 2];

fn add(a: [PackedE; 2], b: [PackedE; 2]) -> [PackedE; 2] {
    [a[0] + b[0], a[1] + b[1]]
}

/// The nodes of the four quarters of a cube, for a range of chunks: `a`, `b` are bound with `c`,
/// `d`, and become the two halves of the next cube.
struct Task<'a> {
    first: usize,
    a: &'a mut [Node],
    b: &'a mut [Node],
    c: &'a [Node],
    d: &'a [Node],
}

impl Task<'_> {
    /// Cuts the range into pieces of [`TASK`] chunks.
    fn split(mut self, chunk: usize) -> Vec<Self> {
        let mut tasks = vec![];
        while !self.a.is_empty() {
            tasks.push(Task {
                first: self.first,
                a: take(&mut self.a, TASK * chunk),
                b: take(&mut self.b, TASK * chunk),
                c: take_shared(&mut self.c, TASK * chunk),
                d: take_shared(&mut self.d, TASK * chunk),
            });
            self.first += TASK;
        }
        tasks
    }
}

/// The first `n` elements, or as many as there are, of `rest`, which keeps the others.
#[allow(clippy::mut_mut)] // it advances the slice
fn take<'a>(rest: &mut &'a mut [Node], n: usize) -> &'a mut [Node] {
    let all = std::mem::take(rest);
    let (head, tail) = all.split_at_mut(n.min(all.len()));
    *rest = tail;
    head
}

fn take_shared<'a>(rest: &mut &'a [Node], n: usize) -> &'a [Node] {
    let (head, tail) = rest.split_at(n.min(rest.len()));
    *rest = tail;
    head
}

/// How a variable is bound.
struct Bind<'a> {
    s: Factor,
    lambda: Option<&'a Factor>,
    dead: &'a Node,
}

impl Bind<'_> {
    /// `low + s (high - low)`, in place; without `high`, that half is dead.
    #[inline(always)]
    fn chunk(&self, low: &mut [Node], high: Option<&[Node]>) {
        match high {
            Some(high) => low.iter_mut().zip(high).for_each(|(a, b)| self.node(a, b)),
            None => low.iter_mut().for_each(|a| self.node(a, self.dead)),
        }
        if let Some(lambda) = self.lambda {
            low.iter_mut().for_each(|a| a[1] += lambda.times(a[3]));
        }
    }

    #[inline(always)]
    fn node(&self, low: &mut Node, high: &Node) {
        for (a, &b) in low.iter_mut().zip(high) {
            *a += self.s.times(b - *a);
        }
    }
}

/// Chunk `c`'s part of `t(0)` and of the leading coefficient.
#[inline(always)]
fn chunk_sums(low: &[Node], high: &[Node], weights: &Weights, c: usize) -> [PackedE; 2] {
    let g = |&[p0, d, q0, q1]: &Node| mul_add(p0, q1, q0, d);
    let mut sums = ZEROS;
    for ((low, high), weight) in low.iter().zip(high).zip(&weights.inner) {
        let slope = [0, 1, 2, 3].map(|k| high[k] - low[k]);
        sums[0] += weight.times(g(low));
        sums[1] += weight.times(g(&slope));
    }
    let outer = Factor::broadcast(weights.outer[c]);
    sums.map(|sum| outer.times(sum))
}
