//! What an opening shows of hidden cells: nothing.
//!
//! With fixed challenges, an opening of one witness and other cells of which the same relation is true:
//! there is randomness with which the prover of the other cells sends the very same messages, all but
//! roots, siblings and proofs of work. It is solved for ([`explain`]), message by message; if one of them were
//! not hidden, nothing would be found.

use super::attacks::{FORMS, MIDDLE, cases};
use super::*;
use crate::frozen::{Frozen, FrozenData, Kind, Record, Script, deal, explain, play};
use crate::joint::frozen::explain::{cells, missed, weights};
use zkstrata_mle::{BasedVectorSpace, Field};

/// The challenges of these tests.
const SALT: Option<u64> = Some(20);

/// Commits and opens; a verifier with the same challenges accepts it.
fn open(case: &Case, script: &Script) -> Record {
    let (_, record) = play(script, || {
        deal(SALT);
        let mut tape = ProverTape::new(&STATEMENT);
        let committed = case.sources.iter().map(|source| {
            let (layout, columns) = (&source.layout, source.columns.clone());
            let committed = match &source.seed {
                None => Frozen::commit(layout, columns),
                Some(seed) => Frozen::commit_hidden(layout, columns, seed),
            };
            let (commitment, data) = committed.expect("commits");
            if layout.word() == Word::Committed {
                Frozen::send_commitment(&commitment, &mut tape);
            }
            (commitment, data)
        });
        let (keys, data): (Vec<Commitment>, Vec<FrozenData>) = committed.unzip();
        let data: Vec<&FrozenData> = data.iter().collect();
        Frozen::open(&data, &case.relation, &[], &mut tape).expect("a true relation");
        verify(case, &keys, &tape.finish()).expect("an honest opening")
    });
    record
}

fn base(x: E) -> [F; 2] {
    let c: &[F] = x.as_basis_coefficients_slice();
    [c[0], c[1]]
}

/// Other cells of hidden sources of which the relation is true.
fn other_witness(case: &Case, rng: &mut Rng) -> Case {
    let mut other = case.clone();
    let mut first = None;
    for (k, source) in other.sources.iter_mut().enumerate() {
        if source.layout.is_hidden() {
            first = first.or(Some(k));
            for column in &mut source.columns {
                let cells = (0..column.len()).map(|_| F::from_u64(rng.next()));
                *column = Column::Field(cells.collect());
            }
        }
    }
    let first = first.expect("something is hidden");
    let mut missing = E::ZERO;
    let pairs = case.sources.iter().zip(&other.sources);
    for ((a, b), terms) in pairs.zip(&case.relation.terms) {
        let [own, other] = [a, b].map(|source| cells(&source.layout, &source.columns, None));
        let rows = own.iter().zip(&other);
        let difference = rows.map(|(a, b)| a.iter().zip(b).map(|(&a, &b)| b - a).collect());
        missing -= missed(&a.layout, terms, &difference.collect());
    }
    // Two cells make up for two coordinates.
    let of_cells = weights(&case.sources[first].layout, &case.relation.terms[first]);
    let [g, a, b] = [missing, of_cells[0][0], of_cells[0][1]].map(base);
    let det = (a[0] * b[1] - a[1] * b[0]).inverse();
    let Column::Field(column) = &mut other.sources[first].columns[0] else {
        unreachable!("it was made one");
    };
    column[0] += (g[0] * b[1] - g[1] * b[0]) * det;
    column[1] += (a[0] * g[1] - a[1] * g[0]) * det;
    other
}

/// A case with a key that has wider rows than the witness.
fn beside_a_wide_key(parameters: Parameters) -> Case {
    let mut rng = Rng(21);
    let witness = [table(7, 100, 1), table(3, 5, 2)];
    let word = (Word::Committed, 1);
    let witness = Source::hidden(word, parameters, &witness, rows(200), &mut rng);
    let key = Source::random(Word::Codeword, parameters, &[table(10, 1000, 1)], &mut rng);
    let fold = |source: &Source| source.layout.code().expect("encoded").fold;
    assert!(fold(&key) > fold(&witness));
    Case::random(vec![witness, key], 2, &mut rng)
}

fn any_witness_explains(case: &Case, rng: &mut Rng) {
    let first = open(case, &Script::default());
    let other = other_witness(case, rng);
    let script = explain(&first, |script| open(&other, script));
    let [shown, again] = [first, open(&other, &script)].map(|record| record.shown().remove(0));
    assert_eq!(shown.len(), again.len());
    for ((label, a), (_, b)) in shown.iter().zip(&again) {
        assert!(a == b, "{label}");
    }
    simulator_is_believed(case);
}

/// Whoever knows the challenges beforehand proves any relation without cells, and nobody else does.
fn simulator_is_believed(case: &Case) {
    let mut case = case.clone();
    case.relation.target += E::ONE;
    let simulate = |verifier: Option<u64>| {
        let (verdict, _) = play(&Script::default(), || {
            deal(SALT);
            let mut tape = ProverTape::new(&STATEMENT);
            let committed = case.sources.iter().zip(0..).map(|(source, salt)| {
                let (commitment, data) = if source.layout.is_hidden() {
                    Frozen::simulate_commitment(&source.layout, salt)
                } else {
                    let columns = source.columns.clone();
                    Frozen::commit(&source.layout, columns).expect("commits")
                };
                if source.layout.word() == Word::Committed {
                    Frozen::send_commitment(&commitment, &mut tape);
                }
                (commitment, data)
            });
            let (keys, data): (Vec<Commitment>, Vec<FrozenData>) = committed.unzip();
            let data: Vec<&FrozenData> = data.iter().collect();
            let written = Frozen::simulate(Kind::Proof, &data, &case.relation, &mut tape);
            written.expect("an opening");
            deal(verifier);
            verify(&case, &keys, &tape.finish())
        });
        verdict
    };
    let _after = simulate(SALT).expect("a simulated opening");
    for other in [Some(21), None] {
        assert!(simulate(other).is_err());
    }
}

#[test]
fn any_witness_explains_an_opening() {
    let mut rng = Rng(20);
    for parameters in FORMS {
        let [_, one, both] = cases(parameters);
        for case in [one, both, beside_a_wide_key(parameters)] {
            any_witness_explains(&case, &mut rng);
        }
    }
}

/// A hidden source beside a wider one and beside a narrower one, and beside both with another in the clear
/// that is wider still.
#[test]
fn any_witness_explains_an_opening_of_unlike_sources() {
    let mut rng = Rng(22);
    let wide = [table(8, 200, 2)];
    let narrow = [table(5, 30, 1)];
    let clear = Source::random(Word::Codeword, MIDDLE, &[table(10, 1000, 1)], &mut rng);
    for (witness, keys) in [(wide, [narrow, narrow]), ([narrow[0]], [wide, narrow])] {
        let word = (Word::Codeword, 2);
        let mut key = |tables: [Table; 1]| Source::hidden(word, MIDDLE, &tables, rows(0), &mut rng);
        let keys = keys.map(&mut key);
        let word = (Word::Committed, 1);
        for keys in [
            vec![keys[0].clone()],
            [&keys[..], std::slice::from_ref(&clear)].concat(),
        ] {
            let layouts: Vec<&Layout> = keys.iter().map(|key| &key.layout).collect();
            let others = Others::new(&layouts);
            let witness = Source::hidden(word, MIDDLE, &witness, others, &mut rng);
            let folds = |source: &Source| source.layout.code().expect("encoded").fold;
            assert_eq!(
                folds(&witness) > folds(&keys[0]),
                witness.columns.len() == 2
            );
            let sources = std::iter::once(witness).chain(keys).collect();
            any_witness_explains(&Case::random(sources, 1, &mut rng), &mut rng);
        }
    }
}

/// A certificate of a hidden word, by itself and beside another with the same cells.
#[test]
fn any_witness_explains_a_certificate() {
    let mut rng = Rng(23);
    let tables = [table(7, 100, 1), table(3, 5, 2)];
    let word = (Word::Certified, 2);
    for parent in [None, Some(Word::Codeword), Some(Word::Certified)] {
        let mut child = Source::hidden(word, MIDDLE, &tables, rows(0), &mut rng);
        child.layout = child.layout.uncertified();
        let mut sources = vec![child];
        if let Some(word) = parent {
            sources.push(Source::hidden(
                (word, 3),
                MIDDLE,
                &tables,
                rows(0),
                &mut rng,
            ));
        }
        any_witness_explains(&Case::random(sources, 1, &mut rng), &mut rng);
    }
}

/// A certificate beside a witness of its own, which has the masks.
#[test]
fn any_witness_explains_a_certificate_with_a_witness() {
    let mut rng = Rng(24);
    for (own, tables) in [
        (table(7, 100, 1), table(5, 30, 1)),
        (table(5, 30, 1), table(8, 200, 2)),
    ] {
        let word = (Word::Certified, 2);
        let mut key = Source::hidden(word, MIDDLE, &[tables], rows(0), &mut rng);
        key.layout = key.layout.uncertified();
        let others = Others::new(&[&key.layout]);
        let word = (Word::Committed, 1);
        let witness = Source::hidden(word, MIDDLE, &[own], others, &mut rng);
        let case = Case::random(vec![witness, key], 1, &mut rng);
        any_witness_explains(&case, &mut rng);
    }
}
