//! The prover of a tree of fractions.

use super::{CLEAR_VARS, FractionClaim};
use zkstrata_mle::{E, F, Field, Point, PrimeCharacteristicRing, bind, eq_table};
use zkstrata_pcs::ProverTape;

/// The leaves of a tree: `p[i] / q[i]`, and 0/1 from their common length to the end of the cube.
#[derive(Clone, Debug)]
pub(crate) struct Leaves {
    /// Numerators.
    pub p: Vec<F>,
    /// Denominators.
    pub q: Vec<E>,
}

/// Proves a tree over `2^num_vars` leaves, as [`super::verify`] reads it.
pub(crate) fn prove(num_vars: usize, leaves: Leaves, tape: &mut ProverTape) -> FractionClaim<E> {
    let live = leaves.p.len();
    assert_eq!(live, leaves.q.len(), "each leaf is a fraction");
    assert!(live <= 1 << num_vars, "the leaves exceed the cube");
    let mut p: Vec<E> = leaves.p.into_iter().map(E::from).collect();
    let mut q = leaves.q;
    p.resize(1 << num_vars, E::ZERO);
    q.resize(1 << num_vars, E::ONE);
    let mut layers = vec![(p, q)];
    while layers.len() <= num_vars {
        let (p, q) = layers.last().expect("the leaves are a layer");
        let parents = p
            .chunks_exact(2)
            .zip(q.chunks_exact(2))
            .map(|(p, q)| (p[0] * q[1] + p[1] * q[0], q[0] * q[1]))
            .unzip();
        layers.push(parents);
    }
    let (root_p, root_q) = layers[num_vars].clone();
    let clear = num_vars.min(CLEAR_VARS);
    layers.truncate(num_vars + 1 - clear);
    let (numerators, denominators) = layers.pop().expect("the clear layer");
    tape.send("fraction numerators", &numerators);
    tape.send("fraction denominators", &denominators);
    let mut point = tape.sample_vec(clear);
    let weights = eq_table(&point, 1 << clear, E::ONE);
    let evaluate = |values: &[E]| values.iter().zip(&weights).map(|(&v, &w)| v * w).sum();
    let mut claims: [E; 2] = [evaluate(&numerators), evaluate(&denominators)];
    while let Some((p, q)) = layers.pop() {
        (point, claims) = prove_layer(&p, &q, &point, claims, tape);
    }
    FractionClaim {
        root_p: root_p[0],
        root_q: root_q[0],
        point: Point::new(point),
        p: claims[0],
        q: claims[1],
    }
}

fn prove_layer(
    p: &[E],
    q: &[E],
    r: &[E],
    [claim_p, claim_q]: [E; 2],
    tape: &mut ProverTape,
) -> (Vec<E>, [E; 2]) {
    let lambda = tape.sample();
    let mut sum = claim_p + claim_q * lambda;
    let split = |v: &[E], b: usize| -> Vec<E> { v.iter().copied().skip(b).step_by(2).collect() };
    let mut tables = [split(p, 0), split(p, 1), split(q, 0), split(q, 1)];
    let mut point = vec![];
    for (j, &r_j) in r.iter().enumerate() {
        let half = tables[0].len() / 2;
        let weights = eq_table(&r[j + 1..], half, E::ONE);
        let (mut at_zero, mut leading) = (E::ZERO, E::ZERO);
        for (i, &w) in weights.iter().enumerate() {
            let g = |[p0, p1, q0, q1]: [E; 4]| p0 * q1 + q0 * (p1 + lambda * q1);
            at_zero += w * g([0, 1, 2, 3].map(|t| tables[t][i]));
            leading += w * g([0, 1, 2, 3].map(|t| tables[t][half + i] - tables[t][i]));
        }
        let slope = (sum - at_zero) * r_j.inverse();
        tape.send("fraction slope", &[slope]);
        tape.send("fraction leading coefficient", &[leading]);
        let s = tape.sample();
        sum += (s - r_j) * slope + s * (s - E::ONE) * leading;
        for table in &mut tables {
            bind(table, s);
        }
        point.push(s);
    }
    let [p0, p1, q0, q1] = tables.map(|t| t[0]);
    tape.send("fraction left numerator", &[p0]);
    tape.send("fraction right numerator", &[p1]);
    tape.send("fraction left denominator", &[q0]);
    tape.send("fraction right denominator", &[q1]);
    let s = tape.sample();
    point.push(s);
    (point, [p0 + (p1 - p0) * s, q0 + (q1 - q0) * s])
}
