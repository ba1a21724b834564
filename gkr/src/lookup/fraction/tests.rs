//! Trees against direct sums, and every scalar of every message altered.

use super::leaves::Leaves as Stored;
use super::{
    CHUNK_LEAVES, CLEAR_VARS, Chunk, Fraction, FractionClaim, Source, Tree, prove, verify,
};
use proptest::prelude::*;
use zkstrata_mle::{BasedVectorSpace, E, F, PrimeCharacteristicRing, eq_table};
use zkstrata_pcs::{ProverTape, TapeError, VerifierTape};

const STATEMENT: [u8; 32] = [7; 32];

#[derive(Clone)]
struct Leaves {
    p: Vec<E>,
    q: Vec<E>,
    rest: Fraction,
}

impl Leaves {
    fn stored(&self) -> Stored<'_, E> {
        Stored {
            p: &self.p,
            q: &self.q,
            rest: self.rest,
        }
    }
}

/// `live` leaves with arbitrary denominators and numerators.
fn leaves(live: usize, seed: u64) -> Leaves {
    let mut x = E::from_u64(seed + 3);
    let mut next = || {
        x = x * x + E::from_basis(seed, 12_345);
        x
    };
    let rest = if live.is_multiple_of(3) {
        Fraction::ONE
    } else {
        let p = if live.is_multiple_of(2) {
            E::ZERO
        } else {
            next()
        };
        Fraction { p, q: next() }
    };
    Leaves {
        p: (0..live)
            .map(|i| match (i >> 9) % 7 {
                0 => E::ONE,
                1 => E::from_u64([1, 1, 0, 1, 77][(i + i / 9) % 5]),
                2 => E::from_usize(3 + i % 2),
                _ => E::ZERO,
            })
            .collect(),
        q: (0..live).map(|_| next()).collect(),
        rest,
    }
}

/// `live` leaves with numerator 1, and runs of dead ones of all lengths.
fn with_numerator_one(live: usize, seed: u64) -> Leaves {
    let mut leaves = leaves(live, seed);
    leaves.rest = Fraction::ONE;
    leaves.p.fill(E::ONE);
    for (i, q) in leaves.q.iter_mut().enumerate() {
        if (i >> 8) % 5 == 2 || (i >> 10) % 3 == 1 || i % 64 > 50 {
            *q = E::ONE;
        }
    }
    leaves
}

/// Leaves with numerator 1 that are made.
struct Made {
    rows: Vec<[F; 2]>,
}

impl Made {
    fn new(leaves: &Leaves) -> Self {
        let rows = leaves.q.iter().chain([&E::ONE]).map(|q| {
            let c: &[F] = q.as_basis_coefficients_slice();
            [c[0], c[1]]
        });
        Self {
            rows: rows.collect(),
        }
    }
}

impl Source for Made {
    fn len(&self) -> usize {
        self.rows.len() - 1
    }

    fn is_dead(&self, index: usize) -> bool {
        let first = index * CHUNK_LEAVES;
        let end = self.len().min(first + CHUNK_LEAVES);
        self.rows[first..end]
            .iter()
            .all(|row| row == &[F::ONE, F::ZERO])
    }

    fn shift(&mut self, mu: E) {
        let mu: &[F] = mu.as_basis_coefficients_slice();
        for row in &mut self.rows {
            *row = [row[0] + mu[0], row[1] + mu[1]];
        }
    }

    fn fill(&self, index: usize, chunk: &mut Chunk) {
        let first = index * CHUNK_LEAVES;
        let row = |i: usize| (first + i).min(self.len()) as u32;
        chunk.fill(&self.rows, &std::array::from_fn(row));
    }
}

trait FromBasis {
    fn from_basis(a: u64, b: u64) -> Self;
}

impl FromBasis for E {
    fn from_basis(a: u64, b: u64) -> Self {
        E::from_basis_coefficients_fn(|k| F::from_u64(if k == 0 { a } else { b }))
    }
}

/// The projective sum of all leaves.
fn sum(num_vars: usize, leaves: &Leaves) -> (E, E) {
    let fractions = leaves.p.iter().zip(&leaves.q);
    let sum = |(p, q), (&a, &b)| (p * b + q * a, q * b);
    let (p, q) = fractions.fold((E::ZERO, E::ONE), sum);
    let Fraction { p: p0, q: q0 } = leaves.rest;
    let count = (1 << num_vars) - leaves.p.len() as u64;
    let (others, less) = (q0.exp_u64(count), q0.exp_u64(count.saturating_sub(1)));
    (p * others + q * p0 * less * E::from_u64(count), q * others)
}

/// Whether the claim holds of the leaves.
fn holds(claim: &FractionClaim<E>, leaves: &Leaves) -> bool {
    let n = claim.point.len();
    let weights = eq_table(&claim.point, 1 << n, E::ONE);
    let sum = |of: &[E], rest: E| -> E {
        let values = of.iter().copied().chain(std::iter::repeat(rest));
        weights.iter().zip(values).map(|(&w, v)| w * v).sum()
    };
    let Fraction { p, q } = leaves.rest;
    (sum(&leaves.p, p), sum(&leaves.q, q)) == (claim.p, claim.q)
}

fn proof(num_vars: usize, leaves: &Leaves) -> (FractionClaim<E>, ProverTape) {
    prove_tree(Tree::of_leaves(num_vars, &leaves.stored()))
}

fn prove_tree(tree: Tree) -> (FractionClaim<E>, ProverTape) {
    let mut tape = ProverTape::new(&STATEMENT);
    let claim = prove(tree, &mut tape);
    (claim, tape)
}

fn check(num_vars: usize, bytes: &[u8]) -> Result<FractionClaim<E>, TapeError> {
    let mut tape = VerifierTape::new(&STATEMENT, bytes);
    let claim = verify(num_vars, &mut tape)?;
    tape.finish()?;
    Ok(claim)
}

fn complete(num_vars: usize, live: usize) {
    let leaves = leaves(live, live as u64);
    let (claim, tape) = proof(num_vars, &leaves);
    assert_eq!((claim.root_p, claim.root_q), sum(num_vars, &leaves));
    assert!(holds(&claim, &leaves), "{live} of 2^{num_vars} leaves");
    assert_eq!(check(num_vars, &tape.finish()), Ok(claim));

    let leaves = with_numerator_one(live, live as u64);
    let (claim, tape) = proof(num_vars, &leaves);
    assert_eq!((claim.root_p, claim.root_q), sum(num_vars, &leaves));
    assert!(holds(&claim, &leaves), "{live} of 2^{num_vars} leaves");
    let bytes = tape.finish();
    for least in [0, usize::MAX] {
        let mut source = Made::new(&leaves);
        let (made, tape) = prove_tree(Tree::making(num_vars, &mut source, least));
        assert_eq!(made, claim);
        assert_eq!(tape.finish(), bytes, "of leaves that are not stored");
    }
}

#[test]
fn small_trees_are_complete() {
    for num_vars in 0..=6 {
        for live in 0..=1 << num_vars {
            complete(num_vars, live);
        }
    }
}

#[test]
fn larger_trees_are_complete() {
    for num_vars in 7..=14 {
        let full = 1usize << num_vars;
        for live in [
            0,
            1,
            full / 2 - 1,
            full / 2,
            full / 2 + 1,
            full * 3 / 4 + 5,
            full - 1,
            full,
        ] {
            complete(num_vars, live);
        }
    }
}

#[test]
fn every_altered_scalar_is_rejected() {
    for (num_vars, live) in [(0, 1), (2, 3), (CLEAR_VARS, 9), (7, 101)] {
        let leaves = leaves(live, 5);
        let (_, tape) = proof(num_vars, &leaves);
        let bytes = tape.finish();
        for at in (0..bytes.len()).step_by(8) {
            let mut altered = bytes.clone();
            altered[at] ^= 1;
            let accepted = check(num_vars, &altered).is_ok_and(|claim| holds(&claim, &leaves));
            assert!(!accepted, "2^{num_vars} leaves, byte {at}");
        }
    }
}

#[test]
fn a_tree_over_other_leaves_is_refuted_by_the_leaf_claim() {
    for (num_vars, live) in [(3, 6), (8, 200), (11, 1500)] {
        let honest = leaves(live, 9);
        for at in [0, live / 2, live - 1] {
            let mut other = honest.clone();
            other.q[at] += E::ONE;
            let (_, tape) = proof(num_vars, &other);
            let claim = check(num_vars, &tape.finish()).expect("a sound tree over other leaves");
            assert_ne!(
                (claim.root_p, claim.root_q),
                sum(num_vars, &honest),
                "another root"
            );
            assert!(holds(&claim, &other) && !holds(&claim, &honest));
        }
    }
}

#[test]
fn a_challenge_is_drawn_after_the_values_it_combines() {
    // The children's denominators of the last layer, exchanged with a change of the numerators
    // that keeps `g` for the true `lambda`: the next challenge must depend on them.
    let leaves = leaves(40, 2);
    let (claim, tape) = proof(6, &leaves);
    let children = tape.messages().last().expect("a message").range.clone();
    let mut bytes = tape.finish();
    let (p0, rest) = bytes[children].split_at_mut(16);
    p0.swap_with_slice(&mut rest[..16]);
    let (q0, q1) = rest[16..].split_at_mut(16);
    q0.swap_with_slice(q1);
    // g = p0 q1 + p1 q0 + lambda q0 q1 is symmetric, so the layer's check passes.
    let swapped = check(6, &bytes).expect("the same g");
    assert_ne!(swapped.point, claim.point);
    assert!(!holds(&swapped, &leaves));
}

#[test]
fn truncated_and_extended_proofs_are_rejected() {
    let (_, tape) = proof(6, &leaves(50, 1));
    let mut bytes = tape.finish();
    let cut = &bytes[..bytes.len() - 1];
    let label = "fraction children";
    assert_eq!(check(6, cut), Err(TapeError::Truncated { label }));
    bytes.push(0);
    assert_eq!(check(6, &bytes), Err(TapeError::TrailingBytes { bytes: 1 }));
}

proptest! {
    #[test]
    fn random_trees_are_complete(num_vars in 0usize..11, part in 0.0f64..=1.0) {
        complete(num_vars, ((1 << num_vars) as f64 * part) as usize);
    }
}
