//! The scheme of Merkle trees and WHIR, against the one in the clear.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Case, Rng, STATEMENT, accepts, prove, refuses, table, verify};
use proptest::prelude::*;
use zkstrata_mle::{E, Point, PrimeCharacteristicRing};
use zkstrata_pcs::{
    Clear, ColumnId, CommitmentScheme, Error, OpeningShape, Place, ProverScheme, TableShape,
    TapeError, VerifierTape, Whir,
};

/// Shapes on both sides of the thresholds, with tiny columns and several parts.
fn shapes() -> Vec<Vec<TableShape>> {
    vec![
        vec![table(3, 2)],
        vec![table(12, 2)],
        vec![table(13, 1), table(0, 1)],
        vec![
            table(0, 3),
            table(14, 1),
            table(5, 2),
            table(6, 1),
            table(3, 1),
        ],
        vec![
            table(11, 2),
            table(9, 1),
            table(11, 3),
            table(14, 2),
            table(1, 7),
        ],
        vec![table(12, 8), table(10, 1)],
        vec![],
    ]
}

fn cases() -> Vec<Case> {
    let mut rng = Rng(5);
    vec![
        Case::random(
            Place::Key,
            &[table(14, 2), table(13, 1), table(2, 1)],
            2,
            &mut rng,
        ),
        Case::random(
            Place::Proof,
            &[table(13, 2), table(4, 2), table(12, 1)],
            2,
            &mut rng,
        ),
    ]
}

#[test]
fn true_claims_are_accepted() {
    let mut rng = Rng(3);
    for shape in shapes() {
        for place in [Place::Key, Place::Proof] {
            let case = Case::random(place, &shape, 3, &mut rng);
            accepts::<Whir>(&[case]);
        }
    }
    accepts::<Whir>(&cases());
    accepts::<Clear>(&cases());
}

#[test]
fn false_claims_are_refused() {
    for k in 0..2 {
        refuses::<Whir>(cases(), |cases| cases[k].claims[0].value += E::ONE);
        refuses::<Whir>(cases(), |cases| {
            let last = cases[k].claims.last_mut().unwrap();
            last.value += E::ONE;
        });
        refuses::<Whir>(cases(), |cases| {
            let mut point: Vec<E> = cases[k].claims[0].point.to_vec();
            point[0] += E::ONE;
            cases[k].claims[0].point = Point::new(point);
        });
        refuses::<Whir>(cases(), |cases| {
            let value = cases[k].claims[0].value;
            cases[k].claims[0].value = cases[k].claims[1].value;
            cases[k].claims[1].value = value;
        });
    }
}

#[test]
fn a_proof_is_of_its_claims() {
    let honest = prove::<Whir>(&cases()).unwrap();
    let check = |change: &dyn Fn(&mut Case)| {
        for k in 0..2 {
            let mut cases = cases();
            change(&mut cases[k]);
            assert!(verify::<Whir>(&cases, &honest.keys, &honest.bytes).is_err());
        }
    };
    check(&|case| drop(case.claims.pop()));
    check(&|case| case.claims.swap(0, 1));
    check(&|case| {
        let point = Point::new(case.claims[0].point.iter().map(|x| *x + E::ONE).collect());
        let extra = common::claim(&case.columns, 0, 0, point);
        case.claims.push(extra);
    });
}

#[test]
fn another_commitment_is_refused() {
    let (cases, others) = (cases(), {
        let mut cases = cases();
        cases[0].columns[0][0][7] += zkstrata_mle::F::ONE;
        cases
    });
    let proven = prove::<Whir>(&cases).unwrap();
    let other = prove::<Whir>(&others);
    // The claim on the changed column is false now, so proving fails, but the key exists.
    assert!(matches!(other, Err(Error::Opening { .. })));
    let (key, _) = Whir::commit(Place::Key, &others[0].shape, others[0].columns.clone()).unwrap();
    assert!(verify::<Whir>(&cases, &[Some(key), None], &proven.bytes).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20))]

    #[test]
    fn both_schemes_judge_alike(
        first in proptest::collection::vec((0usize..14, 1usize..4), 0..7),
        second in proptest::collection::vec((6usize..14, 1usize..3), 1..5),
        most in 1usize..4,
        seed in any::<u64>(),
        wrong in any::<bool>(),
    ) {
        let mut rng = Rng(seed);
        let shape = |tables: &[(usize, usize)]| -> Vec<TableShape> {
            tables.iter().map(|&(n, w)| table(n, w)).collect()
        };
        let mut cases = vec![
            Case::random(Place::Key, &shape(&first), most, &mut rng),
            Case::random(Place::Proof, &shape(&second), most, &mut rng),
        ];
        if wrong {
            let case = &mut cases[1];
            let k = rng.below(case.claims.len());
            case.claims[k].value += rng.scalar();
            // Neither prover's program lends itself to it, or neither verifier accepts.
            let proven = prove::<Clear>(&cases).unwrap();
            prop_assert!(verify::<Clear>(&cases, &proven.keys, &proven.bytes).is_err());
            prop_assert!(prove::<Whir>(&cases).is_err());
        } else {
            accepts::<Clear>(&cases);
            accepts::<Whir>(&cases);
        }
    }
}

#[test]
fn many_claims_on_one_column() {
    let mut rng = Rng(6);
    let mut case = Case::random(Place::Proof, &[table(14, 1), table(6, 1)], 0, &mut rng);
    for table in [0, 1] {
        for _ in 0..70 {
            let point = rng.point([14, 6][table]);
            case.claims
                .push(common::claim(&case.columns, table, 0, point));
        }
    }
    accepts::<Whir>(&[case]);
}

#[test]
fn a_vertex_is_a_cell() {
    let mut rng = Rng(7);
    let shape = [table(14, 1), table(5, 1), table(0, 1)];
    let mut case = Case::random(Place::Proof, &shape, 0, &mut rng);
    for (t, k, n) in [(0, 0, 14), (0, 9999, 14), (1, 0, 5), (1, 31, 5), (2, 0, 0)] {
        let claim = common::claim(&case.columns, t, 0, Point::vertex(k, n));
        assert_eq!(claim.value, E::from(case.columns[t][0][k]));
        case.claims.push(claim);
    }
    accepts::<Whir>(&[case]);
}

#[test]
fn a_proof_in_one_thread_is_determined() {
    let prove = || {
        rayon::ThreadPoolBuilder::new()
            .num_threads(1)
            .build()
            .unwrap()
            .install(|| prove::<Whir>(&cases()).unwrap().bytes)
    };
    assert_eq!(prove(), prove());
}

#[test]
fn errors_say_what_is_wrong() {
    let cases = cases();
    let proven = prove::<Whir>(&cases).unwrap();
    let key = proven.keys[0].as_ref().unwrap();
    assert_eq!(Whir::check_commitment(key, &cases[0].shape), Ok(()));
    for shape in [&cases[0].shape[..1], &[table(3, 1)], &[]] {
        assert!(matches!(
            Whir::check_commitment(key, shape),
            Err(Error::Commitment { .. })
        ));
    }
    let mut unfit = cases;
    unfit[0].claims[0].column = ColumnId {
        table: 9,
        column: 0,
    };
    assert!(matches!(
        verify::<Whir>(&unfit, &proven.keys, &proven.bytes),
        Err(Error::Claim { table: 9, .. })
    ));
    assert_eq!(
        Whir::recv_commitment(
            &[table(14, 1)],
            &mut VerifierTape::new(&STATEMENT, &[0; 31])
        ),
        Err(Error::Tape(TapeError::Truncated { label: "root" }))
    );
    assert!(matches!(
        Whir::recv_commitment(&[table(31, 1)], &mut VerifierTape::new(&STATEMENT, &[])),
        Err(Error::Parameters { .. })
    ));
}

#[test]
fn a_key_survives_storage() {
    let proven = prove::<Whir>(&cases()).unwrap();
    let key = proven.keys[0].clone().unwrap();
    let bytes = postcard::to_allocvec(&key).unwrap();
    let back: <Whir as CommitmentScheme>::Commitment = postcard::from_bytes(&bytes).unwrap();
    assert_eq!(back, key);
}

#[test]
fn soundness_has_a_term_a_part() {
    let shape = [table(20, 4), table(12, 3)];
    let opening = |place| OpeningShape {
        place,
        shape: &shape,
        claims: 40,
    };
    let terms = Whir::soundness(&[opening(Place::Key), opening(Place::Proof)]).unwrap();
    let names: Vec<_> = terms.iter().map(|term| term.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "opening of 40 claims on 2^22 cells",
            "opening of 40 claims on 2^22 cells",
            "opening of 40 claims on 2^14 cells"
        ]
    );
    assert!(terms.iter().all(|term| term.bits >= 102.8));
    assert_eq!(Clear::soundness(&[opening(Place::Key)]).unwrap(), []);
}
