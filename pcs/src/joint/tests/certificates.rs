//! Certificates of words in keys, and makers of keys who commit to something else.
//!
//! | check left out | fails |
//! |---|---|
//! | rows are part of the claim | `a_word_far_from_the_code`, `one_bad_column`, `a_wrong_fold` |
//! | paths of rows | `a_certificate_of_another_word` |
//! | the relation | `a_false_relation` |
//! | what is known of the word is absorbed | `a_proof_is_no_certificate` |
//! | as many rows as 15/16 asks for | `a_word_off_on_an_eighth` |

use super::super::prove::{Conduct, certify_as};
use super::attacks::{FORMS, MIDDLE, WHIR, rejected};
use super::*;
use crate::claim::SoundnessTerm;
use p3_matrix::dense::RowMajorMatrix;

/// A source of a key that has a certificate.
fn key(parameters: Parameters, tables: &[Table]) -> Source {
    Source::random(Word::Certified, parameters, tables, &mut Rng(21))
}

fn small(parameters: Parameters) -> Source {
    key(parameters, &[table(9, 400, 1), table(5, 30, 2)])
}

/// A word of so many points that a certificate opens only some of them.
fn large(parameters: Parameters) -> Source {
    key(parameters, &[table(16, 50_000, 1)])
}

/// A relation with a term for each column of a source.
fn relation(source: &Source) -> Relation {
    let case = Case::random(vec![source.clone()], 1, &mut Rng(22));
    case.relation
}

/// Commits to a word that is spoilt.
fn commit(source: &Source, spoil: impl FnOnce(&mut RowMajorMatrix<F>)) -> (Commitment, SourceData) {
    SourceData::commit_to(&source.layout, source.columns.clone(), None, spoil)
}

fn certify(conduct: &mut impl Conduct, data: &SourceData, relation: &Relation) -> Vec<u8> {
    let mut tape = ProverTape::new(&STATEMENT);
    certify_as(conduct, &[data], 0, relation, &mut tape).expect("goes on");
    tape.finish()
}

fn check(
    source: &Source,
    commitment: &Commitment,
    relation: &Relation,
    bytes: &[u8],
) -> Result<(), Error> {
    let mut tape = VerifierTape::new(&STATEMENT, bytes);
    let source = SourceRef {
        layout: &source.layout,
        commitment,
    };
    Joint::verify_certificate(&[source], 0, relation, &mut tape)?;
    Ok(tape.finish()?)
}

struct Liar;

impl Conduct for Liar {
    fn lies(&self) -> bool {
        true
    }
}

#[test]
fn certified_keys_are_opened() {
    for parameters in FORMS {
        for source in [small(parameters), large(parameters)] {
            let (commitment, data) = commit(&source, |_| ());
            let relation = relation(&source);
            let mut tape = ProverTape::new(&STATEMENT);
            Joint::certify(&[&data], 0, &relation, &mut tape).expect("a true relation");
            let bytes = tape.finish();
            check(&source, &commitment, &relation, &bytes).expect("a certificate");
            let case = Case::random(vec![source], 2, &mut Rng(23));
            let proven = super::prove(&case).expect("a true relation");
            let after = verify(&case, &proven.commitments, &proven.bytes).expect("a proof");
            assert_eq!(after, proven.after);
        }
    }
}

#[test]
fn a_false_relation() {
    for parameters in FORMS {
        let source = small(parameters);
        let (commitment, data) = commit(&source, |_| ());
        let mut relation = relation(&source);
        relation.target += E::ONE;
        let mut tape = ProverTape::new(&STATEMENT);
        Joint::certify(&[&data], 0, &relation, &mut tape).expect_err("a false relation");
        let bytes = certify(&mut Liar, &data, &relation);
        let verdict = check(&source, &commitment, &relation, &bytes);
        assert_eq!(rejected(&verdict), "end of the joint opening");
    }
}

#[test]
fn a_word_far_from_the_code() {
    for parameters in FORMS {
        let source = large(parameters);
        let (commitment, data) = commit(&source, |word| {
            let width = word.width;
            for (x, row) in word.values.chunks_mut(width).enumerate() {
                row[0] += F::from_usize(x * x % 5);
            }
        });
        let relation = relation(&source);
        let bytes = certify(&mut Liar, &data, &relation);
        let verdict = check(&source, &commitment, &relation, &bytes);
        assert_eq!(rejected(&verdict), "end of the joint opening");
    }
}

/// All columns but the last are codewords.
#[test]
fn one_bad_column() {
    let source = large(WHIR);
    let (commitment, data) = commit(&source, |word| {
        let width = word.width;
        for (x, row) in word.values.chunks_mut(width).enumerate() {
            row[width - 1] += F::from_usize(x).square();
        }
    });
    // Nothing is claimed of the column.
    let relation = Relation {
        target: E::ZERO,
        terms: vec![vec![]],
    };
    let bytes = certify(&mut Liar, &data, &relation);
    let verdict = check(&source, &commitment, &relation, &bytes);
    assert_eq!(rejected(&verdict), "end of the joint opening");
}

/// Every eighth row is wrong: as many rows as a proof opens of a certified word would miss them with
/// a chance of one in 500.
#[test]
fn a_word_off_on_an_eighth() {
    let source = large(MIDDLE);
    let (commitment, data) = commit(&source, |word| {
        let width = word.width;
        for row in word.values.chunks_mut(width).step_by(8) {
            row[0] += F::ONE;
        }
    });
    let relation = relation(&source);
    let bytes = certify(&mut Liar, &data, &relation);
    let verdict = check(&source, &commitment, &relation, &bytes);
    assert_eq!(rejected(&verdict), "end of the joint opening");
    let layout = source.layout.uncertified();
    let terms = Joint::soundness(&[&layout]).expect("parameters");
    let queries = |term: &&SoundnessTerm| term.name.ends_with("queries of source 0");
    let term = terms.iter().find(queries).expect("queries");
    assert!(term.bits >= 106.0, "{term:?}");
    let t: f64 = term
        .name
        .split(' ')
        .nth(1)
        .and_then(|t| t.parse().ok())
        .expect("a number");
    assert!(t * (16f64 / 15.0).log2() >= 90.0, "{term:?}");
}

/// The folded rows are others.
struct Other;

impl Conduct for Other {
    fn folded(&mut self, folded: &mut [E], _: &[E], _: E) {
        folded[1] += E::ONE;
    }
}

#[test]
fn a_wrong_fold() {
    for parameters in FORMS {
        let source = small(parameters);
        let (commitment, data) = commit(&source, |_| ());
        let nothing = Relation {
            target: E::ZERO,
            terms: vec![vec![]],
        };
        let bytes = certify(&mut Other, &data, &nothing);
        let verdict = check(&source, &commitment, &nothing, &bytes);
        assert_eq!(rejected(&verdict), "end of the joint opening");
    }
}

#[test]
fn a_certificate_of_another_word() {
    for parameters in FORMS {
        let source = small(parameters);
        let other = Source::random(
            Word::Certified,
            parameters,
            source.layout.tables(),
            &mut Rng(24),
        );
        let (commitment, _) = commit(&source, |_| ());
        let (_, data) = commit(&other, |_| ());
        let nothing = Relation {
            target: E::ZERO,
            terms: vec![vec![]],
        };
        let bytes = certify(&mut Liar, &data, &nothing);
        assert!(check(&source, &commitment, &nothing, &bytes).is_err());
    }
}

/// A proof about a certified word is not its certificate, and a certificate is no proof.
#[test]
fn a_proof_is_no_certificate() {
    for parameters in FORMS {
        let source = large(parameters);
        let case = Case::random(vec![source.clone()], 1, &mut Rng(22));
        let proven = super::prove(&case).expect("a true relation");
        let [commitment] = &proven.commitments[..] else {
            panic!("one source");
        };
        assert!(check(&source, commitment, &case.relation, &proven.bytes).is_err());
        let (_, data) = commit(&source, |_| ());
        let bytes = certify(&mut Liar, &data, &case.relation);
        assert!(check(&source, commitment, &case.relation, &bytes).is_ok());
        assert!(verify(&case, &proven.commitments, &bytes).is_err());
    }
}

#[test]
fn a_doctored_certificate() {
    let source = small(MIDDLE);
    let (commitment, data) = commit(&source, |_| ());
    let relation = relation(&source);
    let bytes = certify(&mut Liar, &data, &relation);
    for at in (0..bytes.len()).step_by(bytes.len() / 61) {
        let mut wrong = bytes.clone();
        wrong[at] ^= 1;
        assert!(
            check(&source, &commitment, &relation, &wrong).is_err(),
            "{at}"
        );
    }
    assert!(check(&source, &commitment, &relation, &bytes[..bytes.len() - 1]).is_err());
}

/// "The columns of both sources are the same", at a random point of each.
fn equal(source: &Source, rng: &mut Rng) -> Relation {
    let mut terms = [vec![], vec![]];
    for (column, slot) in source.layout.slots() {
        let point = Point::new((0..slot.num_vars).map(|_| rng.scalar()).collect());
        let coef = rng.scalar();
        for (terms, coef) in terms.iter_mut().zip([coef, -coef]) {
            let point = point.clone();
            terms.push(Term::Column {
                column,
                point,
                coef,
            });
        }
    }
    Relation {
        target: E::ZERO,
        terms: terms.to_vec(),
    }
}

/// A hidden word, certified against another hidden word of the same cells, which serves in as many
/// openings as its layout says; and one of other cells, which does not.
#[test]
fn hidden_words_are_certified() {
    let mut rng = Rng(31);
    let tables = [table(9, 400, 1), table(5, 30, 2)];
    for parameters in FORMS {
        for parent in [Word::Codeword, Word::Certified] {
            let parent = Source::hidden((parent, 3), parameters, &tables, rows(0), &mut rng);
            let word = (Word::Certified, 2);
            let mut child = Source::hidden(word, parameters, &tables, rows(0), &mut rng);
            child.columns.clone_from(&parent.columns);
            let mut other = child.clone();
            let mut cells = vec![];
            other.columns[0].append_to(&mut cells);
            cells[17] += F::ONE;
            other.columns[0] = Column::Field(cells);
            let relation = equal(&parent, &mut rng);
            let (root, parent_data) = parent.commit();
            let certify = |child: &Source| {
                let (commitment, data) = child.commit();
                let mut tape = ProverTape::new(&STATEMENT);
                let honest = Joint::certify(&[&data, &parent_data], 0, &relation, &mut tape);
                let mut tape = ProverTape::new(&STATEMENT);
                let sources = [&data, &parent_data];
                let again = certify_as(&mut Liar, &sources, 0, &relation, &mut tape);
                let bytes = tape.finish();
                (commitment, data, honest, again, bytes)
            };
            let refs = |commitment| {
                [(&child, commitment), (&parent, &root)].map(|(source, commitment)| SourceRef {
                    layout: &source.layout,
                    commitment,
                })
            };
            let (commitment, _, honest, _, bytes) = certify(&other);
            assert!(matches!(honest, Err(Error::Opening { .. })));
            let mut tape = VerifierTape::new(&STATEMENT, &bytes);
            let verdict = Joint::verify_certificate(&refs(&commitment), 0, &relation, &mut tape);
            assert_eq!(rejected(&verdict), "end of the joint opening");

            let (commitment, data, honest, again, _) = certify(&child);
            assert_eq!(honest, Ok(()));
            assert_eq!(again, Err(Error::Spent), "there is one certificate");
            let mut tape = ProverTape::new(&STATEMENT);
            let fresh = child.commit().1;
            let sources = [&fresh, &parent_data];
            certify_as(&mut Liar, &sources, 0, &relation, &mut tape).expect("the last use");
            let bytes = tape.finish();
            let mut tape = VerifierTape::new(&STATEMENT, &bytes);
            Joint::verify_certificate(&refs(&commitment), 0, &relation, &mut tape)
                .expect("certified");
            let mut tape = ProverTape::new(&STATEMENT);
            let sources = [&child.commit().1, &parent_data];
            let spent = certify_as(&mut Liar, &sources, 0, &relation, &mut tape);
            assert_eq!(spent, Err(Error::Spent), "the parent is opened three times");

            // Two proofs about the child.
            for left in [true, true, false] {
                let others = Others::new(&[&child.layout]);
                let word = (Word::Committed, 1);
                let tables = [table(6, 50, 1)];
                let witness = Source::hidden(word, parameters, &tables, others, &mut rng);
                let case = Case::random(vec![witness.clone(), child.clone()], 1, &mut rng);
                let mut tape = ProverTape::new(&STATEMENT);
                let (own, witness_data) = witness.commit();
                Joint::send_commitment(&own, &mut tape);
                let opened = Joint::open(&[&witness_data, &data], &case.relation, &[], &mut tape);
                assert_eq!(opened, if left { Ok(()) } else { Err(Error::Spent) });
                if left {
                    let keys = [own, commitment.clone()];
                    let bytes = tape.finish();
                    let mut tape = VerifierTape::new(&STATEMENT, &bytes);
                    verify_on(&case, &keys, &mut tape).expect("a proof");
                }
            }
        }
    }
}
