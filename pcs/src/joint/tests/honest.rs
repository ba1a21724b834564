//! Provers who follow the protocol, and relations that are false.

use super::attacks::FORMS;
use super::*;
use crate::Clear;
use proptest::prelude::{ProptestConfig, any, prop_assert, prop_assert_eq, proptest};

pub(super) fn accepts(case: &Case) -> Proven {
    let proven = prove(case).expect("a true relation");
    let after = verify(case, &proven.commitments, &proven.bytes);
    let layouts: Vec<&Layout> = case.sources.iter().map(|s| &s.layout).collect();
    assert_eq!(after, Ok(proven.after), "{layouts:?}");
    proven
}

/// What the scheme in the clear says.
fn in_the_clear(case: &Case) -> Result<(), Error> {
    let committed: Vec<_> = case
        .sources
        .iter()
        .map(|source| {
            let columns = source.columns.clone();
            Clear::commit(&source.layout, columns).expect("commits")
        })
        .collect();
    let sources = case.sources.iter().zip(&committed);
    let sources: Vec<_> = sources
        .map(|(source, (commitment, ()))| SourceRef {
            layout: &source.layout,
            commitment,
        })
        .collect();
    let mut tape = VerifierTape::new(&STATEMENT, &[]);
    Clear::verify(&sources, &case.relation, &mut tape)
}

fn case(parameters: Parameters, rng: &mut Rng) -> Case {
    let word = [Word::Committed, Word::Codeword][rng.below(2)];
    let count = 1 + rng.below(4);
    let sources = (0..count).map(|k| {
        let tables: Vec<Table> = (0..=rng.below(3))
            .map(|_| {
                let num_vars = rng.below(10);
                let live = 1 + rng.below(1 << num_vars);
                table(num_vars, live, 1 + rng.below(3))
            })
            .collect();
        let word = if k == 0 { Word::Committed } else { word };
        Source::random(word, parameters, &tables, rng)
    });
    let sources = sources.collect();
    Case::random(sources, 1 + rng.below(2), rng)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn both_schemes_judge_alike(seed in any::<u64>(), form in 0usize..3) {
        let mut rng = Rng(seed);
        let mut case = case(FORMS[form], &mut rng);
        accepts(&case);
        prop_assert_eq!(in_the_clear(&case), Ok(()));
        let honest = prove(&case).expect("a true relation");
        case.relation.target += rng.scalar();
        prop_assert!(in_the_clear(&case).is_err());
        prop_assert!(prove(&case).is_err());
        prop_assert!(verify(&case, &honest.commitments, &honest.bytes).is_err());
    }
}

#[test]
fn sizes_at_the_edges() {
    let mut rng = Rng(1);
    for parameters in FORMS {
        for tables in [
            vec![table(0, 1, 30)],
            vec![table(5, 32, 1)],
            vec![table(5, 21, 1)],
            vec![table(12, 1, 25)],
            vec![table(9, 512, 2), table(9, 511, 1), table(9, 1, 1)],
            vec![table(1, 2, 1), table(8, 130, 1), table(0, 1, 3)],
        ] {
            for word in [Word::Committed, Word::Codeword] {
                let source = Source::random(word, parameters, &tables, &mut rng);
                accepts(&Case::random(vec![source], 2, &mut rng));
            }
        }
    }
}

#[test]
fn nothing_to_open() {
    let mut rng = Rng(2);
    let small = |rng: &mut Rng| Source::random(Word::Committed, FORMS[2], &[table(3, 8, 2)], rng);
    let case = Case::random(vec![small(&mut rng), small(&mut rng)], 2, &mut rng);
    let proven = accepts(&case);
    // Cells alone are on the tape.
    let bytes = proven.bytes.len();
    assert!(bytes <= 32 * 10, "{bytes}");
    let mut wrong = case.clone();
    wrong.relation.target += E::ONE;
    assert!(prove(&wrong).is_err());
    assert!(verify(&wrong, &proven.commitments, &proven.bytes).is_err());
    let none = Case::random(vec![], 1, &mut rng);
    accepts(&none);
    // A source that nobody claims anything about.
    let source = Source::random(Word::Committed, FORMS[2], &[table(8, 200, 1)], &mut rng);
    accepts(&Case::random(vec![source], 0, &mut rng));
}

#[test]
fn many_claims_on_one_column() {
    let mut rng = Rng(3);
    for parameters in FORMS {
        let tables = [table(8, 200, 2), table(2, 3, 1)];
        let source = Source::random(Word::Committed, parameters, &tables, &mut rng);
        accepts(&Case::random(vec![source], 50, &mut rng));
    }
}

#[test]
fn a_claim_at_a_vertex_is_a_cell() {
    let mut rng = Rng(4);
    let tables = [table(8, 201, 1), table(7, 128, 1)];
    let source = Source::random(Word::Committed, FORMS[1], &tables, &mut rng);
    let (mut target, mut terms) = (E::ZERO, vec![]);
    for (t, k, n) in [(0, 0, 8), (0, 200, 8), (0, 255, 8), (1, 127, 7)] {
        let (term, value) = source.term(t, 0, Point::vertex(k, n), E::TWO);
        let mut cells = vec![];
        source.columns[t].append_to(&mut cells);
        let cell = cells.get(k).copied().unwrap_or(F::ZERO);
        assert_eq!(value, E::TWO * cell);
        terms.push(term);
        target += value;
    }
    let relation = Relation {
        target,
        terms: vec![terms],
    };
    accepts(&Case {
        sources: vec![source],
        relation,
    });
}

#[test]
fn real_parameters() {
    let mut rng = Rng(5);
    for parameters in [Parameters::FAST, Parameters::SMALL] {
        let witness = [table(13, 5000, 9), table(12, 4096, 2), table(2, 4, 1)];
        let witness = Source::random(Word::Committed, parameters, &witness, &mut rng);
        let key = [table(16, 40_000, 1), table(10, 1000, 3)];
        let key = Source::random(Word::Codeword, parameters, &key, &mut rng);
        let case = Case::random(vec![witness, key], 1, &mut rng);
        accepts(&case);
        let layouts: Vec<&Layout> = case.sources.iter().map(|s| &s.layout).collect();
        let terms = Joint::soundness(&layouts).expect("parameters");
        let bits = -terms.iter().map(|t| (-t.bits).exp2()).sum::<f64>().log2();
        assert!(bits > 102.0, "{bits}: {terms:?}");
    }
}

#[test]
fn a_proof_in_one_thread_is_determined() {
    let mut rng = Rng(6);
    let case = case(FORMS[2], &mut rng);
    let prove = || {
        rayon::ThreadPoolBuilder::new()
            .num_threads(1)
            .build()
            .expect("a pool")
            .install(|| prove(&case).expect("a true relation").bytes)
    };
    assert_eq!(prove(), prove());
}

/// A prover that has partial evaluations sends what it would send without, and a wrong one is found.
#[test]
fn what_is_known_changes_no_byte() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build();
    let pool = pool.expect("a pool of one thread");
    for parameters in FORMS {
        let case = super::attacks::case(parameters);
        // The columns at all coordinates but the last `left` of each point.
        let known = |left: usize| -> Vec<Vec<Option<Partial>>> {
            let of_source = |(source, terms): (&Source, &Vec<Term>)| {
                let of_term = |term: &Term| source.partial(term, left);
                terms.iter().map(of_term).collect()
            };
            let sources = case.sources.iter().zip(&case.relation.terms);
            sources.map(of_source).collect()
        };
        let open = |known: &[Vec<Option<Partial>>]| {
            let mut tape = ProverTape::new(&STATEMENT);
            let (_, data) = commit(&case, &mut tape);
            let data: Vec<&SourceData> = data.iter().collect();
            Joint::open(&data, &case.relation, known, &mut tape)?;
            Ok::<_, Error>(tape.finish())
        };
        let honest = pool.install(|| open(&[])).expect("a true relation");
        for left in 0..=9 {
            let known = known(left);
            let sent = pool.install(|| open(&known)).expect("a true relation");
            assert!(sent == honest, "{left} variables left");
        }
        let mut wrong = known(5);
        let partial = wrong[0][0].as_mut().expect("a column of 8 variables");
        partial.values[3] += E::ONE;
        assert!(open(&wrong).is_err());
    }
}

/// A layout beside others has the narrowest rows of which there are no more.
#[test]
fn rows_are_as_narrow_as_others_allow() {
    let tables = [table(22, 3 << 20, 1), table(5, 20, 3)];
    let of = |rows| Layout::beside(Word::Codeword, Parameters::FAST, &tables, rows);
    let rows = |beside: usize| of(beside).expect("a layout").rows().expect("encoded");
    let all = |fold: usize| (3 << (20 - fold)) + 3;
    let alone = Layout::new(Word::Codeword, Parameters::FAST, &tables).expect("a layout");
    assert_eq!(alone.rows(), Some(all(7)));
    for fold in 5..7 {
        assert_eq!(rows(all(fold)), all(fold));
        assert_eq!(rows(all(fold) - 1), all(fold + 1));
    }
    assert_eq!(rows(0), all(7));
    assert_eq!(rows(usize::MAX), all(5));
}

/// A word that is too long to be kept has the root and the rows of one that is, whatever hides it.
#[test]
fn words_that_are_not_kept_are_opened_alike() {
    let mut rng = Rng(91);
    let tables = [table(13, 5000, 2), table(4, 9, 1)];
    let long = [table(21, (1 << 21) - 77, 1), table(12, 3000, 1)];
    let fast = Parameters::FAST;
    let witness = (Word::Committed, 1);
    let mut widths = vec![];
    for source in [
        Source::random(Word::Codeword, fast, &long, &mut rng),
        Source::random(Word::Committed, fast, &tables, &mut rng),
        Source::hidden(witness, fast, &tables, rows(0), &mut rng),
        Source::hidden(witness, fast, &tables, rows(5000), &mut rng),
    ] {
        let code = source.layout.code().expect("encoded");
        let commit = |longest| {
            let columns = source.columns.clone();
            let hidden = source.hiding();
            SourceData::commit_within(&source.layout, columns, hidden, longest, |_| ())
        };
        let (kept, not) = (commit(usize::MAX), commit(0));
        assert!(kept.0 == not.0, "one root");
        for count in [1, 2, 7] {
            let mut positions: Vec<usize> = (0..count)
                .map(|_| rng.below(1 << code.log_points))
                .collect();
            positions.sort_unstable();
            positions.dedup();
            let [a, b] = [&kept.1, &not.1].map(|data| {
                let coded = data.coded().expect("encoded");
                coded.open(&source.layout, &positions)
            });
            assert_eq!((a.rows, a.paths), (b.rows, b.paths));
        }
        let veil = source.layout.hiding().is_some_and(|hiding| hiding.veil);
        widths.push((code.width(), veil));
    }
    assert_eq!(widths[0].0, 128, "several parts");
    assert!(widths[2].1 && !widths[3].1, "{widths:?}");
}
