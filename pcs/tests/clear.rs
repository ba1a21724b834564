//! The scheme without cryptography.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Case, Rng, STATEMENT, accepts, claim, prove, refuses, table, verify};
use zkstrata_mle::{E, Point, PrimeCharacteristicRing};
use zkstrata_pcs::{Clear, ColumnId, CommitmentScheme, Error, Place, TapeError, VerifierTape};

fn cases() -> Vec<Case> {
    let mut rng = Rng(1);
    let shape = [table(3, 2), table(0, 1), table(5, 3), table(0, 2)];
    vec![
        Case::random(Place::Key, &shape, 2, &mut rng),
        Case::random(Place::Proof, &shape[1..], 3, &mut rng),
    ]
}

#[test]
fn true_claims_are_accepted() {
    accepts::<Clear>(&cases());
}

#[test]
fn false_claims_are_refused() {
    refuses::<Clear>(cases(), |cases| cases[0].claims[0].value += E::ONE);
    refuses::<Clear>(cases(), |cases| cases[1].claims[1].value += E::ONE);
    refuses::<Clear>(cases(), |cases| {
        let point: Vec<E> = cases[0].claims[0]
            .point
            .iter()
            .map(|&x| x + E::ONE)
            .collect();
        cases[0].claims[0].point = Point::new(point);
    });
    refuses::<Clear>(cases(), |cases| {
        let value = cases[0].claims[0].value;
        cases[0].claims[0].value = cases[0].claims[1].value;
        cases[0].claims[1].value = value;
    });
}

#[test]
fn another_commitment_is_refused() {
    let cases = cases();
    let mut proven = prove::<Clear>(&cases).unwrap();
    proven.bytes[0] ^= 1;
    assert!(verify::<Clear>(&cases, &proven.keys, &proven.bytes).is_err());
}

#[test]
fn errors_say_what_is_wrong() {
    let claim_error = |change: fn(&mut Case), reason| {
        let mut cases = cases();
        let proven = prove::<Clear>(&cases).unwrap();
        change(&mut cases[0]);
        match verify::<Clear>(&cases, &proven.keys, &proven.bytes) {
            Err(Error::Claim { reason: r, .. }) => assert_eq!(r, reason),
            other => panic!("{other:?}"),
        }
    };
    claim_error(
        |case| {
            case.claims[0].column = ColumnId {
                table: 4,
                column: 0,
            }
        },
        "no such column",
    );
    claim_error(|case| case.claims[0].column.column = 2, "no such column");
    claim_error(
        |case| case.claims[0].point = Point::new(vec![E::ONE]),
        "the point has another number of variables",
    );
    claim_error(
        |case| case.claims.push(case.claims[0].clone()),
        "two claims at one point",
    );

    let (cases, proven) = (cases(), prove::<Clear>(&cases()).unwrap());
    let key = proven.keys[0].as_ref().unwrap();
    assert!(matches!(
        Clear::check_commitment(key, &cases[0].shape[1..]),
        Err(Error::Commitment { .. })
    ));
    for shape in [table(31, 1), table(70, 1), table(3, 0), table(29, 3)] {
        assert!(matches!(
            Clear::recv_commitment(&[shape], &mut VerifierTape::new(&STATEMENT, &[])),
            Err(Error::Parameters { .. })
        ));
    }
    assert_eq!(
        Clear::recv_commitment(&[table(2, 1)], &mut VerifierTape::new(&STATEMENT, &[0; 3])),
        Err(Error::Tape(TapeError::Truncated { label: "cells" }))
    );
    assert_eq!(
        Clear::recv_commitment(
            &[table(0, 1)],
            &mut VerifierTape::new(&STATEMENT, &[128, 0])
        ),
        Err(Error::Tape(TapeError::NonCanonical { label: "cells" }))
    );
}

#[test]
fn a_key_survives_storage() {
    let proven = prove::<Clear>(&cases()).unwrap();
    let key = proven.keys[0].clone().unwrap();
    let bytes = postcard::to_allocvec(&key).unwrap();
    assert_eq!(
        postcard::from_bytes::<<Clear as CommitmentScheme>::Commitment>(&bytes).unwrap(),
        key
    );
}

#[test]
fn a_vertex_is_a_cell() {
    let mut rng = Rng(2);
    let shape = [table(4, 2)];
    let mut case = Case::random(Place::Proof, &shape, 0, &mut rng);
    for k in 0..16 {
        let c = claim(&case.columns, 0, 1, Point::vertex(k, 4));
        assert_eq!(c.value, E::from(case.columns[0][1][k]));
        case.claims.push(c);
    }
    accepts::<Clear>(&[case]);
}
