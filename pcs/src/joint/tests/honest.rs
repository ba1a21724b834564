//! Provers who follow the protocol, and relations that are false.

use super::*;
use crate::Clear;
use proptest::prelude::{ProptestConfig, any, prop_assert, prop_assert_eq, proptest};

/// Every form that an opening can have: folded rows sent, the last vector sent, the last vector
/// committed to.
const FORMS: [Parameters; 3] = [
    Parameters::tiny(1 << 20, 0),
    Parameters::tiny(0, 1 << 20),
    Parameters::tiny(0, 0),
];

fn accepts(case: &Case) -> Proven {
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
