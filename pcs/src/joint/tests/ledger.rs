//! What is shown is counted before it is, whatever comes of it, and is never more than what was drawn hides.

use super::attacks::{FORMS, MIDDLE, WHIR, cases, rejected};
use super::*;
use crate::frozen::{Frozen, FrozenData, Record, Script, play};
use crate::joint::layout::Plan;
use std::collections::BTreeSet;
use zkstrata_mle::PrimeField64;

/// Whoever gives a source openings that it has had is refused when its rows no longer hide.
#[test]
fn rows_that_are_shown_are_counted() {
    let mut rng = Rng(71);
    for word in [Word::Codeword, Word::Certified, Word::Shared] {
        let key = Source::hidden((word, 3), MIDDLE, &[table(9, 400, 1)], rows(0), &mut rng);
        let (_, data) = key.commit();
        let hiding = key.layout.hiding().expect("hidden");
        let witness = |rng: &mut Rng| {
            let (word, others) = ((Word::Committed, 1), Others::new(&[&key.layout]));
            Source::hidden(word, MIDDLE, &[table(3, 5, 1)], others, rng)
        };
        let mut shown = 0;
        let mut open = || {
            let witness = witness(&mut rng);
            let case = Case::random(vec![witness.clone(), key.clone()], 1, &mut rng);
            let mut tape = ProverTape::new(&STATEMENT);
            let (root, witness) = witness.commit();
            Joint::send_commitment(&root, &mut tape);
            Joint::open(&[&witness, &data], &case.relation, &[], &mut tape)?;
            let rows = tape.messages().iter().filter(|m| m.label == "joint rows");
            let rows = rows.map(|m| m.range.len()).nth(1).expect("rows of the key");
            shown += rows / (8 * key.layout.code().expect("encoded").width());
            assert!(shown < hiding.blinding, "one row to spare");
            Ok(())
        };
        for _ in 0..3 {
            open().expect("a use");
        }
        assert_eq!(open(), Err(Error::Spent));
        let more = Joint::restore(&data, hiding.uses + 1);
        assert_eq!(more, Err(Error::Spent), "more than the layout has rows for");
        // Positions that fall together leave some rows, and so does a certificate that was not made.
        let refused = loop {
            Joint::restore(&data, 3).expect("a number of uses");
            if let Err(refused) = open() {
                break refused;
            }
        };
        assert_eq!(refused, Error::Spent);
        let queries = Plan::new(&[&witness(&mut Rng(1)).layout, &key.layout]);
        let most = queries.expect("a plan").parts[1].queries;
        assert!(shown + most >= hiding.blinding, "{shown}");
    }
}

/// An opening is spent when it starts: here it stops where the challenge of the veil would lift it, and a
/// verifier does not go on either.
#[test]
fn an_opening_that_stops_is_spent() {
    for parameters in FORMS {
        let [_, _, case] = cases(parameters);
        let layouts: Vec<&Layout> = case.sources.iter().map(|s| &s.layout).collect();
        let plan = Plan::new(&layouts).expect("a plan");
        let middle = plan.middle.expect("two hidden sources");
        // eps, rho; gamma; eps, rho; c.
        let at = 1 + plan.fold + 1 + 1 + middle.code.fold;
        let mut rng = Rng(72);
        let honest: Vec<E> = (0..at + 40).map(|_| rng.scalar()).collect();
        let mut lifted = honest.clone();
        lifted[at] = E::ZERO;
        let mut tape = ProverTape::new(&STATEMENT);
        tape.freeze(lifted.clone());
        let (_, data) = commit(&case, &mut tape);
        let sources: Vec<&SourceData> = data.iter().collect();
        let stopped = Joint::open(&sources, &case.relation, &[], &mut tape);
        assert!(matches!(stopped, Err(Error::Opening { .. })), "{stopped:?}");
        assert_eq!(Joint::left(&data[0]), Some(0));
        assert_eq!(Joint::left(&data[1]), Some(2));

        let mut tape = ProverTape::new(&STATEMENT);
        tape.freeze(honest);
        let (keys, data) = commit(&case, &mut tape);
        let sources: Vec<&SourceData> = data.iter().collect();
        Joint::open(&sources, &case.relation, &[], &mut tape).expect("opens");
        let bytes = tape.finish();
        let mut tape = VerifierTape::new(&STATEMENT, &bytes);
        tape.freeze(lifted);
        let verdict = verify_on(&case, &keys, &mut tape);
        assert_eq!(rejected(&verdict), "joint veil lifted");
    }
}

/// Copies of one prover that prove other relations take other noise for what they commit to on the way.
#[test]
fn folded_rows_are_hidden_anew() {
    for parameters in [MIDDLE, WHIR] {
        let [_, case, _] = cases(parameters);
        let folded = |case: &Case| -> BTreeSet<u64> {
            let open = || {
                let mut tape = ProverTape::new(&STATEMENT);
                let data = case.sources.iter().map(|source| {
                    let (layout, columns) = (&source.layout, source.columns.clone());
                    let committed = match &source.seed {
                        None => Frozen::commit(layout, columns),
                        Some(seed) => Frozen::commit_hidden(layout, columns, seed),
                    };
                    committed.expect("commits").1
                });
                let data: Vec<FrozenData> = data.collect();
                let data: Vec<&FrozenData> = data.iter().collect();
                Frozen::open(&data, &case.relation, &[], &mut tape).expect("opens");
            };
            let ((), record): ((), Record) = play(&Script::default(), open);
            let noise = record.openings[0].randomness().into_iter();
            noise.map(|x| x.as_canonical_u64()).collect()
        };
        let mut other = case.clone();
        other.relation.target = other.relation.target.double();
        for terms in &mut other.relation.terms {
            let coefs = terms.iter_mut().flat_map(Term::coefs_mut);
            coefs.for_each(|coef| *coef = coef.double());
        }
        let (own, other) = (folded(&case), folded(&other));
        assert!(own.len() > 1000);
        assert_eq!(own, folded(&case));
        assert_eq!(own.intersection(&other).count(), 0);
    }
}

/// The same secrets prove the same by the same bytes: whoever had two would know rows at two sets of positions
/// under one noise. The proof of the last vector does its own work, about what everybody has seen.
#[test]
fn openings_are_functions_of_their_secrets() {
    for parameters in FORMS {
        let [_, one, both] = cases(parameters);
        for case in [one, both] {
            let open = || {
                let Proven {
                    messages, bytes, ..
                } = prove(&case).expect("a true relation");
                let messages = messages.into_iter();
                let before = messages.take_while(|message| message.label != "joint tail");
                let before = before.map(|m| (m.label, bytes[m.range].to_vec()));
                before.collect::<Vec<_>>()
            };
            let first = open();
            for _ in 0..10 {
                // Threads look for proofs of work: whichever finds one first.
                for ((label, a), (_, b)) in first.iter().zip(open()) {
                    assert!(*a == b, "{label}");
                }
            }
        }
    }
}

/// Of two hidden sources that were each made to be opened alone, one veil does not hide both.
#[test]
fn one_veil_is_for_one_source() {
    let mut rng = Rng(73);
    let word = (Word::Committed, 1);
    let tables = [table(6, 50, 1)];
    let [a, b] = [(); 2].map(|()| Source::hidden(word, FORMS[0], &tables, rows(0), &mut rng));
    assert!(a.layout.hiding().expect("hidden").veil);
    let alone = Plan::new(&[&a.layout]).expect("a plan");
    let both = Plan::new(&[&a.layout, &b.layout]).expect("a plan");
    assert!(alone.middle.is_none() && both.middle.is_some());
}

/// A word that was not made to be certified has no rows for it.
#[test]
fn words_without_certificates_are_not_certified() {
    let mut rng = Rng(74);
    for (word, certified) in [
        (Word::Codeword, false),
        (Word::Shared, false),
        (Word::Committed, false),
        (Word::Certified, true),
    ] {
        let tables = [table(6, 50, 1)];
        let key = Source::hidden((word, 3), MIDDLE, &tables, rows(0), &mut rng);
        let plan = Plan::new(&[&key.layout.uncertified()]);
        match plan {
            Ok(_) => assert!(certified),
            Err(error) => {
                assert!(!certified, "{error}");
                assert!(
                    error
                        .to_string()
                        .contains("more rows are opened than hidden")
                );
            }
        }
    }
}

/// A word is certified once, even where rows would be left: its masks would serve twice.
#[test]
fn words_are_certified_once() {
    let word = (Word::Certified, 20);
    let key = Source::hidden(word, MIDDLE, &[table(6, 50, 1)], rows(0), &mut Rng(75));
    let case = Case::random(vec![key], 1, &mut Rng(76));
    let (_, data) = case.sources[0].commit();
    let certify = || {
        let mut tape = ProverTape::new(&STATEMENT);
        Joint::certify(&[&data], 0, &case.relation, &mut tape)
    };
    assert_eq!(certify(), Ok(()));
    assert_eq!(certify(), Err(Error::Spent));
}
