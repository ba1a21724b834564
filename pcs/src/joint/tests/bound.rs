//! What a proof is bound to: its sources, its relation and its work, each in one form only.

use super::attacks::{MIDDLE, WHIR, all_cases, case, rejected};
use super::*;
use crate::transcript::TapeError;
use zkstrata_mle::Field;

#[test]
fn everything_is_absorbed() {
    let case = case(WHIR);
    let layouts: Vec<&Layout> = case.sources.iter().map(|s| &s.layout).collect();
    let absorbed = |layouts: &[&Layout], roots: [u8; 2], relation: &Relation| {
        let plan = super::super::layout::Plan::new(layouts).expect("valid layouts");
        super::super::transcribe(&plan, layouts, &roots.map(|r| [r; 25]), relation)
    };
    let honest = absorbed(&layouts, [1, 2], &case.relation);
    assert_ne!(absorbed(&layouts, [1, 3], &case.relation), honest);
    assert_ne!(absorbed(&layouts, [2, 1], &case.relation), honest);
    let source = Source::random(
        Word::Committed,
        WHIR,
        case.sources[1].layout.tables(),
        &mut Rng(1),
    );
    let other = [layouts[0], &source.layout];
    assert_ne!(absorbed(&other, [1, 2], &case.relation), honest);
    let mut relations: Vec<Relation> = vec![case.relation.clone(); 5];
    relations[0].target += E::ONE;
    relations[1].terms[0][0].coefs_mut()[0] += E::ONE;
    let point = first_point(&mut relations[2].terms[0]);
    *point = Point::new(point.iter().map(|&x| x + E::ONE).collect());
    relations[3].terms[0][0].column_mut().column ^= 1;
    let moved = relations[4].terms[0].pop().expect("a term");
    relations[4].terms[1].insert(0, moved);
    for relation in &relations {
        assert_ne!(absorbed(&layouts, [1, 2], relation), honest);
    }
}

#[test]
fn a_source_of_another_proof() {
    for case in all_cases() {
        let honest = prove(&case).expect("a true relation");
        let mut other = case.clone();
        other.sources[1].columns[0] = Column::I8(vec![1; 400]);
        let mut tape = ProverTape::new(&STATEMENT);
        let (keys, _) = commit(&other, &mut tape);
        assert!(
            verify(
                &case,
                &[honest.commitments[0].clone(), keys[1].clone()],
                &honest.bytes
            )
            .is_err()
        );
        // The root of the witness is the first message.
        let root = tape.finish();
        let mut bytes = honest.bytes.clone();
        bytes[..root.len()].copy_from_slice(&root);
        let same = verify(&case, &honest.commitments, &bytes);
        assert_eq!(same, Ok(honest.after), "the same witness has the same root");
        bytes[0] ^= 1;
        assert!(verify(&case, &honest.commitments, &bytes).is_err());
    }
}

#[test]
fn a_proof_is_of_its_relation() {
    for case in all_cases() {
        let honest = prove(&case).expect("a true relation");
        let refused = |change: &dyn Fn(&mut Relation)| {
            let mut other = case.clone();
            change(&mut other.relation);
            assert!(verify(&other, &honest.commitments, &honest.bytes).is_err());
        };
        refused(&|relation| relation.target += E::ONE);
        refused(&|relation| drop(relation.terms[0].pop()));
        refused(&|relation| relation.terms.swap(0, 1));
        // The same weights in another order, and a claim twice with half the factor each.
        refused(&|relation| relation.terms[0].swap(0, 1));
        refused(&|relation| {
            let coefs = relation.terms[1][0].coefs_mut();
            for coef in coefs {
                *coef *= E::from_u64(2).inverse();
            }
            let half = relation.terms[1][0].clone();
            relation.terms[1].push(half);
        });
    }
}

#[test]
fn a_false_cell_in_the_clear() {
    let mut rng = Rng(14);
    let small = Source::random(Word::Codeword, MIDDLE, &[table(3, 7, 1)], &mut rng);
    let large = Source::random(Word::Committed, MIDDLE, &[table(8, 200, 1)], &mut rng);
    let case = Case::random(vec![small, large], 1, &mut rng);
    let honest = prove(&case).expect("a true relation");
    assert_eq!(
        verify(&case, &honest.commitments, &honest.bytes),
        Ok(honest.after)
    );
    let mut other = case.clone();
    other.sources[0].columns[0] = Column::I8(vec![3; 7]);
    let (keys, _) = commit(&other, &mut ProverTape::new(&STATEMENT));
    assert!(verify(&case, &keys, &honest.bytes).is_err());
}

#[test]
fn elements_are_canonical() {
    use zkstrata_mle::PrimeField64;
    let mut tape = ProverTape::new(&STATEMENT);
    tape.send_bytes("cells", &F::ORDER_U64.to_le_bytes());
    let bytes = tape.finish();
    let mut tape = VerifierTape::new(&STATEMENT, &bytes);
    assert_eq!(
        tape.recv_base("cells", 1),
        Err(TapeError::NonCanonical { label: "cells" })
    );
    let mut tape = VerifierTape::new(&STATEMENT, &bytes);
    let huge = tape.recv_base("cells", usize::MAX);
    assert_eq!(huge, Err(TapeError::Truncated { label: "cells" }));
}

#[test]
fn no_work() {
    let case = case(MIDDLE);
    let mut tape = ProverTape::new(&STATEMENT);
    let (commitments, data) = commit(&case, &mut tape);
    let data: Vec<&SourceData> = data.iter().collect();
    Joint::open(&data, &case.relation, &[], &mut tape).expect("a true relation");
    let works: Vec<_> = tape
        .messages()
        .iter()
        .filter(|m| m.label == "joint work")
        .cloned()
        .collect();
    assert_eq!(works.len(), 2);
    let honest = tape.finish();
    for work in works {
        let mut bytes = honest.clone();
        bytes[work.range].copy_from_slice(&1234u64.to_le_bytes());
        let verdict = verify(&case, &commitments, &bytes);
        assert_eq!(rejected(&verdict), "joint work");
    }
}

#[test]
fn commitments_of_another_form() {
    let case = case(WHIR);
    let honest = prove(&case).expect("a true relation");
    let layout = &case.sources[0].layout;
    let clear = Commitment::Clear(crate::Cells::new(vec![F::ONE; 4]));
    assert!(Joint::check_commitment(&clear, layout).is_err());
    assert_eq!(
        Joint::check_commitment(&honest.commitments[0], layout),
        Ok(())
    );
    let small = Layout::new(Word::Codeword, WHIR, &[table(3, 5, 1)]).expect("valid");
    assert!(Joint::check_commitment(&honest.commitments[0], &small).is_err());
    assert!(Joint::check_commitment(&clear, &small).is_err());
    let keys = [honest.commitments[0].clone(), clear];
    assert!(matches!(
        verify(&case, &keys, &honest.bytes),
        Err(Error::Commitment { .. })
    ));
    // The verifier does not rely on the key having been checked, here one with as many cells as it
    // has.
    let cells = vec![F::ONE; case.sources[1].layout.cells()];
    let clear = Commitment::Clear(crate::Cells::new(cells));
    let witness = &honest.commitments[0];
    let mut tape = VerifierTape::new(&STATEMENT, &honest.bytes);
    let sources = [0, 1].map(|k| SourceRef {
        layout: &case.sources[k].layout,
        commitment: [witness, &clear][k],
    });
    let verdict = Joint::verify(&sources, &case.relation, &mut tape);
    assert!(
        matches!(verdict, Err(Error::Commitment { .. })),
        "{verdict:?}"
    );
    for tables in [
        table(31, 1, 1),
        table(3, 9, 1),
        table(3, 0, 1),
        table(3, 8, 0),
        table(30, 1 << 30, 2),
        table(0, 1, 1 << 18),
    ] {
        assert!(matches!(
            Layout::new(Word::Committed, WHIR, &[tables]),
            Err(Error::Parameters { .. })
        ));
    }
    let mut unfit = case.clone();
    unfit.relation.terms[0][0].column_mut().column = 3;
    assert!(matches!(
        verify(&unfit, &honest.commitments, &honest.bytes),
        Err(Error::Claim { column: 3, .. })
    ));
    let fast =
        Layout::new(Word::Committed, Parameters::FAST, &[table(14, 1 << 14, 1)]).expect("valid");
    let slow =
        Layout::new(Word::Committed, Parameters::SMALL, &[table(14, 1 << 14, 1)]).expect("valid");
    assert!(matches!(
        Joint::soundness(&[&fast, &slow]),
        Err(Error::Parameters { .. })
    ));
}
