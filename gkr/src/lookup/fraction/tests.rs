//! Trees against direct sums, and every scalar of every message altered.

use super::{CLEAR_VARS, FractionClaim, Leaves, Tree, prove, verify};
use proptest::prelude::*;
use zkstrata_mle::{E, F, PrimeCharacteristicRing, eq_table};
use zkstrata_pcs::{ProverTape, TapeError, VerifierTape};

const STATEMENT: [u8; 32] = [7; 32];

/// `live` leaves with arbitrary denominators, and runs of equal and of mixed numerators, of dead ones, and of
/// masks that the two children of a node share or do not.
fn leaves(live: usize, seed: u64) -> Leaves {
    let mut x = E::from_u64(seed + 3);
    let mut next = || {
        x = x * x + E::from_basis(seed, 12_345);
        x
    };
    let rest = if live.is_multiple_of(3) {
        E::ONE
    } else {
        next()
    };
    Leaves {
        p: (0..live)
            .map(|i| match (i >> 9) % 7 {
                0 => E::ONE,
                5 => E::from_bool(i / 2 % 7 < 5),
                6 => E::from_bool(i % 3 > 0),
                1 => E::from_u64([1, 1, 0, 1, 77][(i + i / 9) % 5]),
                2 => E::from_usize(3 + i % 2),
                _ => E::ZERO,
            })
            .collect(),
        q: (0..live)
            .map(|i| if (i >> 9) % 7 == 4 { rest } else { next() })
            .collect(),
        rest,
    }
}

trait FromBasis {
    fn from_basis(a: u64, b: u64) -> Self;
}

impl FromBasis for E {
    fn from_basis(a: u64, b: u64) -> Self {
        use zkstrata_mle::BasedVectorSpace;
        E::from_basis_coefficients_fn(|k| F::from_u64(if k == 0 { a } else { b }))
    }
}

/// The projective sum of all leaves.
fn sum(num_vars: usize, leaves: &Leaves) -> (E, E) {
    let fractions = leaves.p.iter().zip(&leaves.q);
    let sum = |(p, q), (&a, &b)| (p * b + q * a, q * b);
    let (p, q) = fractions.fold((E::ZERO, E::ONE), sum);
    let others = leaves.rest.exp_u64((1 << num_vars) - leaves.p.len() as u64);
    (p * others, q * others)
}

/// Whether the claim holds of the leaves.
fn holds(claim: &FractionClaim<E>, leaves: &Leaves) -> bool {
    let n = claim.point.len();
    let weights = eq_table(&claim.point, 1 << n, E::ONE);
    let p: E = weights.iter().zip(&leaves.p).map(|(&w, &p)| w * p).sum();
    let q: E = weights
        .iter()
        .enumerate()
        .map(|(i, &w)| w * leaves.q.get(i).copied().unwrap_or(leaves.rest))
        .sum();
    (p, q) == (claim.p, claim.q)
}

fn proof(num_vars: usize, leaves: &Leaves) -> (FractionClaim<E>, ProverTape) {
    prove_tree(Tree::new(num_vars, leaves), leaves)
}

fn prove_tree(tree: Tree, leaves: &Leaves) -> (FractionClaim<E>, ProverTape) {
    let mut tape = ProverTape::new(&STATEMENT);
    let claim = prove(tree, &mut leaves.clone(), &mut tape);
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
    let bytes = tape.finish();
    let made = prove_tree(Tree::making(num_vars, &leaves, 0), &leaves).1;
    assert_eq!(made.finish(), bytes, "of a layer that is not stored");
    assert_eq!(check(num_vars, &bytes), Ok(claim));
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
