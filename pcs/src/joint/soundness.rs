//! The error of an opening, term by term: see the module.

use super::HiddenLeaves;
use super::layout::{Layout, Plan};
use super::parameters::{Code, Word};
use super::tail;
use crate::claim::{Error, SoundnessTerm};

/// `log2 |E|`, rounded down far below any term's last digit.
pub(super) const FIELD_BITS: f64 = 127.999_999;

/// A probability of `count / |E|`.
fn of_field(name: impl Into<String>, count: f64) -> SoundnessTerm {
    SoundnessTerm {
        name: name.into(),
        bits: FIELD_BITS - count.log2(),
    }
}

/// That all queries of a word miss.
fn of_queries(name: String, word: Word, code: Code, queries: usize, work: usize) -> SoundnessTerm {
    let (a, b) = word.agreement(code.rows, 1 << code.log_points);
    SoundnessTerm {
        name,
        bits: real(work) - real(queries) * (real(a) / real(b)).log2(),
    }
}

/// A number as a real: all are below `2^53`.
#[allow(clippy::as_conversions)]
pub(super) fn real(n: usize) -> f64 {
    n as f64
}

/// The error terms of one opening.
pub(super) fn soundness(layouts: &[&Layout]) -> Result<Vec<SoundnessTerm>, Error> {
    let plan = Plan::new(layouts)?;
    let mut terms = vec![];
    if plan.parts.is_empty() {
        return Ok(terms);
    }
    let fold = real(plan.fold);
    terms.push(of_field("opening: rounds over columns", 2.0 * fold));
    // Each mask has a factor, each veil a challenge.
    let masked = plan.holder.is_some();
    if masked {
        let count = if plan.middle.is_some() { 3.0 } else { 2.0 };
        terms.push(of_field("opening: masks and veil", count));
    }
    for part in &plan.parts {
        let (code, source) = (part.code, part.source);
        let points = real(1 << code.log_points);
        if matches!(
            part.word,
            Word::Committed | Word::Uncertified | Word::Shared
        ) {
            let name = format!("opening: folding of source {source}");
            let veil = part.hiding.is_some_and(|hiding| hiding.veil);
            let lines = if veil { fold + 1.0 } else { fold };
            terms.push(of_field(name, lines * points));
        }
        let name = format!("opening: {} queries of source {source}", part.queries);
        terms.push(of_queries(name, part.word, code, part.queries, plan.work));
    }
    let candidates = plan.end.decoding.candidates();
    let queries = plan.parts.iter().map(|part| part.queries).sum();
    terms.push(of_field("opening: batching of rows", real(queries)));
    if let Some(middle) = &plan.middle {
        let (code, queries) = (middle.code, middle.queries);
        let points = real(1 << code.log_points);
        let lines = if masked { code.fold + 1 } else { code.fold };
        let count = 2.0 * real(code.fold) + real(lines) * points;
        terms.push(of_field("opening: folding of folded rows", count));
        let name = format!("opening: {queries} queries of folded rows");
        let mut missed = of_queries(name, Word::Committed, code, queries, plan.work);
        missed.bits -= candidates.log2();
        terms.push(missed);
        let count = candidates * real(queries);
        terms.push(of_field("opening: batching of folded rows", count));
    }
    let rounds = plan.end.num_vars.max(1);
    let count = candidates * 2.0 * real(rounds);
    terms.push(of_field("opening: last rounds", count));
    if !plan.end.clear {
        terms.push(tail::soundness(plan.end.num_vars, plan.end.decoding)?);
    }
    Ok(terms)
}

/// The leaves of hidden words of one opening, the word of folded rows included.
pub(super) fn leaves(layouts: &[&Layout]) -> Result<Option<HiddenLeaves>, Error> {
    let plan = Plan::new(layouts)?;
    let parts = plan.parts.iter().filter(|part| part.hiding.is_some());
    let words = parts.map(|part| (part.code, part.code.width()));
    let middle = plan.middle.filter(|middle| middle.hidden);
    let middle = middle.map(|middle| (middle.code, 2 * middle.code.width()));
    let leaves = words.chain(middle).map(|(code, cells)| HiddenLeaves {
        count: real(1 << code.log_points),
        cells,
    });
    Ok(leaves.reduce(|a, b| HiddenLeaves {
        count: a.count + b.count,
        cells: a.cells.min(b.cells),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::joint::{Parameters, Table};

    fn bits(layouts: &[&Layout]) -> f64 {
        let terms = soundness(layouts).expect("parameters");
        -terms.iter().map(|t| (-t.bits).exp2()).sum::<f64>().log2()
    }

    fn layout(word: Word, parameters: Parameters, num_vars: usize) -> Layout {
        let table = |num_vars: usize| Table {
            num_vars,
            live: 1 << num_vars,
            width: 1,
        };
        // All sizes but the largest are no power of two.
        let rest = (num_vars < 30).then(|| table(num_vars - 2));
        let tables: Vec<Table> = [Some(table(num_vars)), rest]
            .into_iter()
            .flatten()
            .collect();
        Layout::new(word, parameters, &tables).expect("a valid shape")
    }

    #[test]
    fn every_size_reaches_the_level() {
        for parameters in [Parameters::FAST, Parameters::SMALL] {
            for witness in 12..=30 {
                for key in [10, 15, 16, 20, 24, 27, 30] {
                    let witness = layout(Word::Committed, parameters, witness);
                    let key = layout(Word::Codeword, parameters, key);
                    let total = bits(&[&witness, &key]);
                    let large = witness.cells() > 1 << 24 || key.cells() > 1 << 24;
                    let least = if large { 100.0 } else { 102.0 };
                    assert!(
                        total >= least,
                        "{} {}: {total}",
                        witness.cells(),
                        key.cells()
                    );
                    // A key that nobody vouches for.
                    let key = layout(Word::Committed, parameters, 20);
                    assert!(bits(&[&witness, &key]) >= least);
                }
            }
        }
    }
}
