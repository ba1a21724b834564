//! That the random rows of layouts do what the theorem of `joint/hiding.rs` asks of them: ranks of matrices that
//! come from the encoder and the prover themselves, so that whoever moves rows is found out.

use super::attacks::{FORMS, MIDDLE, WHIR, cases};
use super::*;
use crate::frozen::{Frozen, FrozenData, Script, deal, play};
use crate::joint::frozen::Noises;
use crate::joint::hiding::Noise;
use crate::joint::layout::Plan;
use crate::joint::parameters::Code;
use crate::joint::prove::{Conduct, open_as};
use crate::joint::weights::points;
use p3_matrix::dense::RowMajorMatrix;
use std::collections::{BTreeMap, BTreeSet};
use zkstrata_mle::{Field, PrimeField64};

/// By elimination.
fn rank(mut rows: Vec<Vec<F>>) -> usize {
    let width = rows.first().map_or(0, Vec::len);
    let mut rank = 0;
    for column in 0..width {
        let Some(pivot) = (rank..rows.len()).find(|&row| rows[row][column] != F::ZERO) else {
            continue;
        };
        rows.swap(rank, pivot);
        let (head, tail) = rows.split_at_mut(rank + 1);
        let pivot = &head[rank];
        let inverse = pivot[column].inverse();
        for row in tail {
            let factor = row[column] * inverse;
            if factor != F::ZERO {
                for (x, &p) in row[column..].iter_mut().zip(&pivot[column..]) {
                    *x -= factor * p;
                }
            }
        }
        rank += 1;
    }
    rank
}

/// So many points of a domain, distinct.
fn distinct(code: Code, n: usize, rng: &mut Rng) -> Vec<F> {
    let mut positions = BTreeSet::new();
    while positions.len() < n {
        positions.insert(rng.below(1 << code.log_points));
    }
    points(code, &positions.into_iter().collect::<Vec<_>>())
}

/// The exponents of all powers of a domain's generator.
fn logarithms(code: Code) -> BTreeMap<u64, usize> {
    let generator = points(code, &[code.exponent(1)])[0];
    let powers = generator.powers().take(1 << code.log_points);
    powers.map(|x| x.as_canonical_u64()).zip(0..).collect()
}

/// Where the encoder writes the blinding rows of a source: the exponents of `x` that they have in the word's
/// row at `x`.
fn exponents(source: &Source) -> Vec<usize> {
    let layout = &source.layout;
    let code = layout.code().expect("encoded");
    let blinding = layout.hiding().expect("hidden").blinding;
    let (width, logarithms) = (code.width(), logarithms(code));
    let zeros = layout
        .slots()
        .map(|(_, slot)| Column::I8(vec![0; slot.live]));
    let zeros: Vec<Column> = zeros.collect();
    let mut exponents = vec![];
    let all: Vec<usize> = (0..blinding).collect();
    for rows in all.chunks(width) {
        let mut hidden = source.hiding().expect("hidden");
        let Noise { rows: noise, veil } = &mut hidden.noise;
        veil.fill(E::ZERO);
        noise.fill(F::ZERO);
        let first = noise.len() / width - blinding;
        // A row of each column.
        for (column, row) in rows.iter().enumerate() {
            noise[(first + row) * width + column] = F::ONE;
        }
        let mut at = vec![];
        let capture = |word: &mut RowMajorMatrix<F>| {
            let all = word.values.len() >> code.log_points;
            at = word.values[code.exponent(1) * all..][..all].to_vec();
        };
        SourceData::commit_to(layout, zeros.clone(), Some(hidden), capture);
        assert!(at[rows.len()..].iter().all(|&x| x == F::ZERO));
        let own = at[..rows.len()].iter();
        exponents.extend(own.map(|x| logarithms[&x.as_canonical_u64()]));
    }
    exponents
}

/// The rows of a word at some points, as functions of blinding rows.
fn vandermonde(exponents: &[usize], points: &[F]) -> Vec<Vec<F>> {
    let row = |x: &F| exponents.iter().map(|&e| x.exp_u64(e as u64)).collect();
    points.iter().map(row).collect()
}

/// Most rows that ranks are computed of.
const MOST: usize = 700;

/// All rows that a source ever shows, and one more, are independent.
fn hides(code: Code, exponents: &[usize], shown: usize, rng: &mut Rng) {
    assert!(exponents.len() > shown, "one row to spare");
    let pairs = exponents.iter().zip(&exponents[1..]);
    assert!(pairs.clone().all(|(a, b)| a + 1 == *b), "consecutive rows");
    assert_eq!(exponents.last(), Some(&(code.rows - 1)));
    if shown < MOST {
        let points = distinct(code, shown + 1, rng);
        assert_eq!(rank(vandermonde(exponents, &points)), shown + 1);
    }
}

#[test]
fn blinding_rows_hide_all_that_is_shown() {
    let mut rng = Rng(61);
    let mut ranks = 0;
    for parameters in [FORMS[0], FORMS[2], Parameters::FAST, Parameters::SMALL] {
        for (word, uses) in [
            (Word::Committed, 1),
            (Word::Codeword, 3),
            (Word::Certified, 2),
            (Word::Shared, 4),
            (Word::Shared, 1),
        ] {
            for tables in [
                vec![table(0, 1, 1)],
                vec![table(6, 50, 1)],
                vec![table(8, 200, 3), table(6, 64, 1), table(0, 1, 1)],
            ] {
                let source = Source::hidden((word, uses), parameters, &tables, rows(0), &mut rng);
                let code = source.layout.code().expect("encoded");
                // What plans of openings show, as they count it.
                let queries = |layout: &Layout| {
                    let first = Source::hidden(
                        (Word::Committed, 1),
                        parameters,
                        &[table(3, 5, 1)],
                        Others::new(&[layout]),
                        &mut Rng(1),
                    );
                    let plan = Plan::new(&[&first.layout, layout]).expect("a plan");
                    plan.parts[1].queries
                };
                let mut shown = uses * queries(&source.layout);
                if word == Word::Certified {
                    let certified = source.layout.uncertified();
                    shown += Plan::new(&[&certified]).expect("a plan").parts[0].queries;
                }
                ranks += usize::from(shown < MOST);
                hides(code, &exponents(&source), shown, &mut rng);
            }
        }
    }
    assert!(ranks > 20, "{ranks}");
}

/// Rows a stride apart hide less than they are, which is what this test is for.
#[test]
fn scattered_rows_do_not_hide() {
    let code = Code {
        fold: 3,
        rows: 500,
        log_points: 10,
    };
    let at = distinct(code, 100, &mut Rng(62));
    let consecutive: Vec<usize> = (400..500).collect();
    assert_eq!(rank(vandermonde(&consecutive, &at)), 100);
    // There are 64 values of `x^16`.
    let scattered: Vec<usize> = (0..100).map(|k| 5 + 16 * k).collect();
    assert!(rank(vandermonde(&scattered, &at)) <= 64);
    let short: Vec<usize> = (401..500).collect();
    assert_eq!(rank(vandermonde(&short, &at)), 99);
}

/// Opens with one element of the noise of the word of folded rows being one, or none, and notes the word.
#[derive(Default)]
struct Probe {
    ones: Vec<usize>,
    word: Vec<F>,
}

impl Conduct for Probe {
    fn noise(&mut self, noise: &mut Noise) {
        noise.rows.fill(F::ZERO);
        noise.veil.fill(E::ZERO);
        for &at in &self.ones {
            noise.rows[at] = F::ONE;
        }
    }

    fn word(&mut self, word: &mut RowMajorMatrix<F>) {
        self.word.clone_from(&word.values);
    }
}

#[test]
fn blinding_rows_hide_folded_rows() {
    let mut rng = Rng(63);
    for parameters in [MIDDLE, WHIR] {
        let [_, one, both] = cases(parameters);
        for case in [one, both] {
            let layouts: Vec<&Layout> = case.sources.iter().map(|s| &s.layout).collect();
            let middle = Plan::new(&layouts).expect("a plan").middle.expect("a word");
            let code = middle.code;
            let width = 2 * code.width();
            let word = |ones: Vec<usize>| {
                let mut probe = Probe { ones, word: vec![] };
                let mut tape = ProverTape::new(&STATEMENT);
                tape.freeze(vec![]);
                let (_, data) = commit(&case, &mut tape);
                let data: Vec<&SourceData> = data.iter().collect();
                open_as(&mut probe, &data, &case.relation, &[], &mut tape).expect("opens");
                probe.word.split_off(code.exponent(1) * middle.width())
            };
            let none = word(vec![]);
            let logarithms = logarithms(code);
            let masks = code.fold + 1;
            let blinding = code.rows - middle.folded - masks;
            let mut exponents = vec![];
            let all: Vec<usize> = (masks..masks + blinding).collect();
            for rows in all.chunks(width) {
                let ones = rows.iter().enumerate();
                let found = word(ones.map(|(column, row)| row * width + column).collect());
                let own = found.iter().zip(&none).take(rows.len());
                let own = own.map(|(&a, &b)| logarithms[&(a - b).as_canonical_u64()]);
                exponents.extend(own);
            }
            hides(code, &exponents, middle.queries, &mut rng);
        }
    }
}

/// The coefficients of the sum of a mask and of the rounds behind it, of the mask with this number.
fn masked(shown: &[(&'static str, Vec<u8>)], number: usize, rounds: usize) -> Vec<F> {
    let starts = shown.iter().enumerate();
    let mut starts = starts.filter(|(_, (label, _))| *label == "joint mask");
    let (start, _) = starts.nth(number).expect("a mask");
    let messages = shown[start..].iter().take(1 + rounds);
    let words = messages.flat_map(|(_, bytes)| bytes.as_chunks::<8>().0);
    words
        .map(|&word| F::from_u64(u64::from_le_bytes(word)))
        .collect()
}

/// What masks add to the messages of their sumcheck takes all values: as many dimensions as there are elements.
#[test]
fn masks_hide_all_rounds() {
    let mut rng = Rng(64);
    for parameters in FORMS {
        let [_, one, both] = cases(parameters);
        for case in [one, both] {
            let layouts: Vec<&Layout> = case.sources.iter().map(|s| &s.layout).collect();
            let plan = Plan::new(&layouts).expect("a plan");
            let holder = plan.parts[plan.holder.expect("something is hidden")];
            let hiding = holder.hiding.expect("hidden");
            let width = holder.code.width();
            let open = |noises: Noises| {
                let script = Script {
                    noises,
                    ..Script::default()
                };
                let ((), record) = play(&script, || {
                    deal(Some(65));
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
                });
                record
            };
            let first = open(Noises::default());
            let noises = Noises::of(&first);
            // Of the word: all rows before the blinding rows, and of folded rows the same.
            let of_word = width * (holder.code.rows - hiding.masks - hiding.blinding);
            let of_folded = plan
                .middle
                .map(|middle| 2 * (middle.code.fold + 1) * middle.code.width());
            // A leading round says of hidden sources what follows from the claim.
            let own = 2 * (1 + 2 * hiding.vars);
            let mut kinds = vec![(0, plan.fold, of_word, own)];
            if let Some((middle, masks)) = plan.middle.zip(of_folded) {
                kinds.push((1, middle.code.fold, masks, 2 * (1 + 2 * middle.code.fold)));
            }
            for (number, rounds, masks, dimensions) in kinds {
                let before = masked(&first.shown()[0], number, rounds);
                let differences = (0..dimensions + 3).map(|_| {
                    let mut noises = noises.clone();
                    let noise = if number == 0 {
                        &mut noises.words[0]
                    } else {
                        noises.folded[0].as_mut().expect("folded rows are hidden")
                    };
                    let masks = noise.rows[..masks].iter_mut();
                    masks.for_each(|x| *x = F::from_u64(rng.next()));
                    let after = masked(&open(noises).shown()[0], number, rounds);
                    let differences = after.iter().zip(&before).map(|(&a, &b)| a - b);
                    differences.collect::<Vec<F>>()
                });
                assert_eq!(rank(differences.collect()), dimensions);
            }
        }
    }
}
