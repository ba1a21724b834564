//! Openings of hidden sources: honest ones, and layouts that would not hide.

use super::super::hiding::{Noise, send_mask, send_veil};
use super::super::layout::Plan;
use super::attacks::{FORMS, WHIR, cases};
use super::honest::accepts;
use super::*;
use proptest::prelude::{ProptestConfig, any, prop_assert, proptest};
use zkstrata_mle::{BasedVectorSpace, PrimeField64};

fn tables(rng: &mut Rng, most: usize) -> Vec<Table> {
    let count = rng.below(most + 1);
    let shapes = (0..count).map(|_| {
        let num_vars = rng.below(11);
        let live = 1 + rng.below(1 << num_vars);
        table(num_vars, live, 1 + rng.below(3))
    });
    shapes.collect()
}

/// A hidden witness, of no cells now and then, with keys in the clear, wider and narrower ones, and
/// hidden ones.
fn random(parameters: Parameters, rng: &mut Rng) -> Case {
    let mut keys = vec![];
    for _ in 0..rng.below(3) {
        let mut tables = tables(rng, 2);
        tables.push(table(3, 5, 1));
        let word = [
            Word::Committed,
            Word::Codeword,
            Word::Certified,
            Word::Shared,
        ][rng.below(4)];
        let uses = 1 + rng.below(3);
        keys.push(if rng.below(2) == 0 {
            Source::hidden((word, uses), parameters, &tables, rows(0), rng)
        } else {
            Source::random(word, parameters, &tables, rng)
        });
    }
    let layouts: Vec<&Layout> = keys.iter().map(|key| &key.layout).collect();
    let mut others = Others::new(&layouts);
    others.rows += [0, 100, 1 << 20][rng.below(3)];
    let witness = tables(rng, 3);
    let word = (Word::Committed, 1);
    let witness = Source::hidden(word, parameters, &witness, others, rng);
    let sources = std::iter::once(witness).chain(keys);
    Case::random(sources.collect(), 1 + rng.below(2), rng)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(30))]

    #[test]
    fn true_relations_are_accepted_and_no_others(seed in any::<u64>(), form in 0usize..3) {
        let mut rng = Rng(seed);
        let mut case = random(FORMS[form], &mut rng);
        let honest = accepts(&case);
        case.relation.target += rng.scalar();
        prop_assert!(prove(&case).is_err());
        prop_assert!(verify(&case, &honest.commitments, &honest.bytes).is_err());
    }

}

/// The expected length is that of proofs on average: how many rows fall together and which siblings
/// they have is a matter of chance.
#[test]
fn lengths_are_known() {
    let [mut all, mut expected] = [0.0; 2];
    for (seed, &form) in (0..90).zip(FORMS.iter().cycle()) {
        let mut rng = Rng(seed);
        let case = random(form, &mut rng);
        let layouts: Vec<&Layout> = case.sources.iter().map(|s| &s.layout).collect();
        let cost = Joint::cost(&layouts).expect("parameters");
        let proven = prove(&case).expect("a true relation");
        let messages = proven.messages.iter().filter(|m| {
            m.label.starts_with("joint ")
                || m.label == "sumcheck round"
                || m.label.starts_with("whir")
        });
        let roots = messages
            .clone()
            .filter(|m| m.label == super::super::ROOT || m.label == "cells");
        let bytes = |range: &std::ops::Range<usize>| range.len() as f64;
        let roots: f64 = roots.map(|m| bytes(&m.range)).sum();
        let bytes = messages.map(|m| bytes(&m.range)).sum::<f64>() - roots;
        assert!(
            (bytes / cost.bytes - 1.0).abs() < 0.1,
            "{bytes} {}",
            cost.bytes
        );
        all += bytes;
        expected += cost.bytes;
        let lengths = proven.messages.iter().map(|m| m.range.len());
        assert_eq!(proven.bytes.len(), lengths.sum::<usize>());
    }
    assert!((all / expected - 1.0).abs() < 0.005, "{all} {expected}");
}

#[test]
fn real_parameters() {
    let mut rng = Rng(5);
    for parameters in [Parameters::FAST, Parameters::SMALL] {
        for (columns, beside) in [(1, rows(300)), (9, rows(0))] {
            let witness = [table(13, 5000, columns), table(12, 4096, 2), table(2, 4, 1)];
            let word = (Word::Committed, 1);
            let witness = Source::hidden(word, parameters, &witness, beside, &mut rng);
            let key = [table(16, 40_000, 1), table(10, 1000, 3)];
            let key = Source::random(Word::Codeword, parameters, &key, &mut rng);
            let case = Case::random(vec![witness, key], 1, &mut rng);
            let proven = accepts(&case);
            let clear = case.sources.iter().map(|source| {
                let tables = source.layout.tables();
                Source::random(source.layout.word(), parameters, tables, &mut rng)
            });
            let clear = Case::random(clear.collect(), 1, &mut Rng(6));
            let longer = proven.bytes.len() - accepts(&clear).bytes.len();
            assert!(longer < 24_000, "{longer}");
            let layouts: Vec<&Layout> = case.sources.iter().map(|s| &s.layout).collect();
            let terms = Joint::soundness(&layouts).expect("parameters");
            let bits = -terms.iter().map(|t| (-t.bits).exp2()).sum::<f64>().log2();
            assert!(bits > 102.0, "{bits}: {terms:?}");
        }
    }
}

/// A source is opened as often as it stays hidden, whoever opens it and whatever comes of it.
#[test]
fn openings_are_counted() {
    for parameters in FORMS {
        let [_, _, case] = cases(parameters);
        let (_, key) = case.sources[1].commit();
        let open = |relation: &Relation| {
            let (_, witness) = case.sources[0].commit();
            let open = || {
                Joint::open(
                    &[&witness, &key],
                    relation,
                    &[],
                    &mut ProverTape::new(&STATEMENT),
                )
            };
            let first = open();
            if first.is_ok() {
                assert_eq!(open(), Err(Error::Spent), "the witness is opened once");
            }
            first
        };
        let mut wrong = case.relation.clone();
        wrong.target += E::ONE;
        assert_eq!(open(&case.relation), Ok(()));
        assert!(matches!(open(&wrong), Err(Error::Opening { .. })));
        // Whoever opens a false relation has shown nothing: that is no use.
        let left: Vec<_> = (0..4).map(|_| open(&case.relation)).collect();
        assert_eq!(left.iter().filter(|l| l.is_ok()).count(), 2, "{left:?}");
        assert_eq!(left.last(), Some(&Err(Error::Spent)));
    }
}

/// Two threads never spend one opening twice.
#[test]
fn openings_are_counted_across_threads() {
    let [_, _, case] = cases(WHIR);
    let (_, key) = case.sources[1].commit();
    let opened: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..6)
            .map(|_| {
                scope.spawn(|| {
                    let (_, witness) = case.sources[0].commit();
                    let mut tape = ProverTape::new(&STATEMENT);
                    let opened = Joint::open(&[&witness, &key], &case.relation, &[], &mut tape);
                    assert!(matches!(opened, Ok(()) | Err(Error::Spent)));
                    usize::from(opened.is_ok())
                })
            })
            .collect();
        let joined = threads
            .into_iter()
            .map(|thread| thread.join().expect("no panic"));
        joined.sum()
    });
    assert_eq!(opened, 3);
}

/// What cannot be hidden is refused, by prover and verifier alike.
#[test]
fn openings_that_would_not_hide() {
    let mut rng = Rng(8);
    let hidden = |uses: usize, live: usize, rng: &mut Rng| {
        let word = (Word::Committed, uses);
        Source::hidden(word, FORMS[1], &[table(9, live, 1)], rows(0), rng)
    };
    let refused = |sources: Vec<Source>, reason: &str| {
        let case = Case::random(sources, 1, &mut Rng(9));
        let Err(Error::Parameters { reason: found }) = prove(&case).map(|proven| proven.bytes)
        else {
            panic!("{reason}");
        };
        assert!(found.contains(reason), "{found}");
        let layouts: Vec<&Layout> = case.sources.iter().map(|s| &s.layout).collect();
        assert!(Joint::soundness(&layouts).is_err());
        assert!(Joint::cost(&layouts).is_err());
    };
    // The masks of an opening would serve twice.
    refused(vec![hidden(2, 400, &mut rng)], "opened once");
    // The masks would be of too few variables.
    let narrow = hidden(1, 10, &mut rng);
    let wide = hidden(1, 400, &mut rng);
    refused(vec![narrow, wide], "more column variables than the masks");
    // A certified word's masks were those of its certificate.
    let word = (Word::Certified, 1);
    let certified = Source::hidden(word, FORMS[1], &[table(9, 400, 1)], rows(0), &mut rng);
    refused(vec![certified], "opened once");
    // Rows beyond any number of uses.
    let word = (Word::Committed, usize::MAX);
    let none = Layout::hidden(word.0, FORMS[1], &[table(3, 5, 1)], rows(0), word.1);
    assert!(matches!(none, Err(Error::Parameters { .. })));
}

/// All that hides is drawn anew: no element stands anywhere twice, for one seed or another.
#[test]
fn noise_is_drawn_once() {
    let mut rng = Rng(10);
    let mut seen = std::collections::BTreeSet::new();
    let mut count = 0;
    for parameters in [FORMS[0], WHIR] {
        let [_, case, _] = cases(parameters);
        let layouts: Vec<&Layout> = case.sources.iter().map(|s| &s.layout).collect();
        let plan = Plan::new(&layouts).expect("a plan");
        for _ in 0..2 {
            let seed = rng.seed();
            let source = Noise::of_source(layouts[0], &seed).expect("a hidden source");
            let middle = plan.middle.as_ref();
            let folded = middle.map(|middle| Noise::of_folded(middle, &seed));
            let code = layouts[0].code().expect("encoded");
            let hiding = layouts[0].hiding().expect("hidden");
            assert_eq!(source.rows.len(), (code.rows - hiding.masks) * code.width());
            assert_eq!(
                code.rows - hiding.masks,
                2 * (code.fold + 1) + hiding.blinding
            );
            assert_eq!(source.veil.len(), if hiding.veil { code.rows } else { 0 });
            for noise in [Some(source), folded].into_iter().flatten() {
                let veil = noise.veil.iter().flat_map(|x| {
                    let c: &[F] = x.as_basis_coefficients_slice();
                    c.to_vec()
                });
                for x in noise.rows.iter().copied().chain(veil) {
                    seen.insert(x.as_canonical_u64());
                    count += 1;
                }
            }
        }
    }
    assert!(count > 10_000);
    assert_eq!(seen.len(), count);
}

/// Hidden cells are encoded however few they are, and what hides them is absorbed.
#[test]
fn hidden_layouts() {
    for parameters in [Parameters::FAST, Parameters::SMALL] {
        for word in [Word::Committed, Word::Codeword, Word::Certified] {
            let tables = [table(0, 1, 1)];
            let layout = |uses| Layout::hidden(word, parameters, &tables, rows(0), uses);
            let [one, two] = [1, 2].map(|uses| layout(uses).expect("a layout"));
            assert!(one.code().is_some() && one.is_hidden());
            let clear = Layout::new(word, parameters, &tables).expect("a layout");
            assert!(clear.code().is_none() && !clear.is_hidden());
            let numbers = |layout: &Layout| {
                let mut numbers = vec![];
                layout.transcribe(&mut numbers);
                numbers
            };
            assert_ne!(numbers(&one), numbers(&two));
            assert_ne!(numbers(&one), numbers(&clear));
            // Beside many rows there is no veil.
            let beside = Layout::hidden(word, parameters, &tables, rows(1 << 20), 1);
            let beside = beside.expect("a layout");
            let veil = |layout: &Layout| layout.hiding().expect("hidden").veil;
            assert!(!veil(&beside));
            assert_eq!(veil(&one), word == Word::Committed);
        }
    }
}

/// A word that was committed to before is never in the clear, has no veil, is no wider than a witness, whose
/// masks serve it, and is told from others.
#[test]
fn layouts_of_shared_words() {
    for parameters in [Parameters::FAST, Parameters::SMALL] {
        for num_vars in [0, 10, 22] {
            let tables = [table(num_vars, 1 << num_vars, 1)];
            let layout = |word, uses| {
                let layout = Layout::hidden(word, parameters, &tables, rows(0), uses);
                layout.expect("a layout")
            };
            let clear = Layout::new(Word::Shared, parameters, &tables);
            assert!(clear.expect("a layout").code().is_some());
            let fold = |layout: &Layout| layout.code().expect("encoded").fold;
            let shared = layout(Word::Shared, 1);
            assert!(!shared.hiding().expect("hidden").veil);
            assert!(fold(&shared) <= fold(&layout(Word::Committed, 1)));
            let numbers = |word| {
                let mut numbers = vec![];
                layout(word, 2).transcribe(&mut numbers);
                numbers
            };
            let words = [Word::Committed, Word::Codeword, Word::Certified];
            assert!(
                words
                    .iter()
                    .all(|&word| numbers(word) != numbers(Word::Shared))
            );
        }
    }
}

/// A layout in the clear has no seed, and a hidden one has one.
#[test]
#[should_panic(expected = "a hidden source has a seed")]
fn a_hidden_source_without_a_seed() {
    let [_, case, _] = cases(WHIR);
    let source = &case.sources[0];
    let _ = Joint::commit(&source.layout, source.columns.clone());
}

/// Whoever chose the sum of a mask after its challenge, or the value of a veil after its, could prove anything.
#[test]
fn masks_and_veils_are_fixed_before_their_challenges() {
    let masked = |sum: E| {
        let (mut tape, mut claim) = (ProverTape::new(&STATEMENT), E::ZERO);
        send_mask(sum, &mut claim, &mut tape)
    };
    assert_ne!(masked(E::ONE), masked(E::TWO));
    let veiled = |g: E| {
        let (mut tape, mut claim) = (ProverTape::new(&STATEMENT), E::ZERO);
        let vectors = (&mut [E::ZERO][..], &[E::ONE][..]);
        send_veil(&[g], vectors, &mut claim, &mut tape)
    };
    assert_ne!(veiled(E::ONE), veiled(E::TWO));
}
