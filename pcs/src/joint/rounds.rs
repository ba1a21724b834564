//! Rounds of the sumcheck of `<a, b>` over the leading variables of an index, for vectors over `E`
//! of any length that is divisible by two as often as there are variables.

use crate::sumcheck::ROUND;
use crate::transcript::ProverTape;
use rayon::prelude::*;
use zkstrata_mle::packed::{LANES, mul_add, sum_lanes};
use zkstrata_mle::{E, PackedE, PackedFieldExtension, Point, PrimeCharacteristicRing, bind};

/// Elements of a half that are worth a task.
const GRAIN: usize = 1 << 12;

/// The polynomial `s_0 + s_1 X + s_top X^2` of a round whose values at 0 and 1 sum to `claim`, at
/// `r`.
pub(super) fn at(claim: E, [s0, top]: [E; 2], r: E) -> E {
    let s1 = claim - s0.double() - top;
    s0 + r * (s1 + r * top)
}

/// Proves that the inner product of two vectors is `claim`, over the `vars` leading variables;
/// returns the challenges and what is left of the claim. The vectors are bound.
pub(super) fn prove(
    vectors: [&mut Vec<E>; 2],
    vars: usize,
    mut claim: E,
    tape: &mut ProverTape,
) -> (Point, E) {
    let [a, b] = vectors;
    let mut point = Vec::with_capacity(vars);
    for _ in 0..vars {
        let message = sums(a, b);
        tape.send(ROUND, &message);
        let r = tape.sample();
        claim = at(claim, message, r);
        point.push(r);
        bind(a, r);
        bind(b, r);
    }
    (Point::new(point), claim)
}

/// `sum_i a_i b_i` over the first halves, and of the products of the differences of both halves.
pub(super) fn sums(a: &[E], b: &[E]) -> [E; 2] {
    let half = a.len() / 2;
    let (a0, a1) = a.split_at(half);
    let (b0, b1) = b.split_at(half);
    let chunks = a0.par_chunks(GRAIN).zip(a1.par_chunks(GRAIN));
    let chunks = chunks.zip(b0.par_chunks(GRAIN).zip(b1.par_chunks(GRAIN)));
    let sums = chunks.map(|((a0, a1), (b0, b1))| chunk_sums(a0, a1, b0, b1));
    sums.reduce(|| [E::ZERO; 2], |[a, b], [c, d]| [a + c, b + d])
}

fn chunk_sums(a0: &[E], a1: &[E], b0: &[E], b1: &[E]) -> [E; 2] {
    let [whole_a0, whole_a1, whole_b0, whole_b1] =
        [a0, a1, b0, b1].map(|x| x.as_chunks::<{ 2 * LANES }>());
    let load = |x: &[E; 2 * LANES]| {
        let (low, high) = x.split_at(LANES);
        [PackedE::from_ext_slice(low), PackedE::from_ext_slice(high)]
    };
    let (mut zero, mut top) = (PackedE::ZERO, PackedE::ZERO);
    let pairs = whole_a0.0.iter().zip(whole_a1.0);
    for ((a0, a1), (b0, b1)) in pairs.zip(whole_b0.0.iter().zip(whole_b1.0)) {
        let [[a0, a2], [a1, a3], [b0, b2], [b1, b3]] = [load(a0), load(a1), load(b0), load(b1)];
        zero += mul_add(a0, b0, a2, b2);
        top += mul_add(a1 - a0, b1 - b0, a3 - a2, b3 - b2);
    }
    let mut sums = [sum_lanes(zero), sum_lanes(top)];
    let pairs = whole_a0.1.iter().zip(whole_a1.1);
    for ((&a0, &a1), (&b0, &b1)) in pairs.zip(whole_b0.1.iter().zip(whole_b1.1)) {
        sums[0] += a0 * b0;
        sums[1] += (a1 - a0) * (b1 - b0);
    }
    sums
}
