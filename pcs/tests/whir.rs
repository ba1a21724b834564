//! The scheme of Merkle trees and WHIR, against the one in the clear.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Case, Rng, accepts, prove, refuses, table, verify};
use zkstrata_mle::{E, Point, PrimeCharacteristicRing};
use zkstrata_pcs::{Clear, Error, Place, TableShape, Whir};

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
    let (key, _) = <Whir as zkstrata_pcs::ProverScheme>::commit(
        Place::Key,
        &others[0].shape,
        others[0].columns.clone(),
    )
    .unwrap();
    assert!(verify::<Whir>(&cases, &[Some(key), None], &proven.bytes).is_err());
}
