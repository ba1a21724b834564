//! The prover of an opening, in the order of [`super::verify`].

use super::dense::{add_claims, add_powers};
use super::end::Sent;
use super::hiding::{Noise, mask_weights, send_mask, send_veil, theta};
use super::layout::{Layout, Middle, Part, Plan};
use super::source::{self, Coded, Column, Hidden, SourceData, encode_extension};
use super::tree::{Opened, Tree};
use super::verify::{batch, fold_row, fold_row_extension};
use super::weights::{last, split};
use super::{MIDDLE, Partial, RELATION, Relation, Term, WORK, check_terms, rounds};
use crate::claim::{ColumnId, Error};
use crate::random::Seed;
use crate::sumcheck::{self, Factor, Instance, ROUND};
use crate::transcript::ProverTape;
use p3_matrix::dense::RowMajorMatrix;
use rayon::prelude::*;
use zkstrata_mle::{E, F, Point, PrimeCharacteristicRing, bind, eq_table};

/// Where a prover may depart from the protocol. The honest one does so nowhere; the tests' cheaters
/// show that each departure is seen.
pub(super) trait Conduct {
    /// Whether the prover goes on when the relation is false.
    fn lies(&self) -> bool {
        false
    }

    /// The folded rows, their weights so far and the claim on them.
    fn folded(&mut self, _folded: &mut [E], _weights: &[E], _claim: E) {}

    /// What hides the word of the folded rows.
    fn noise(&mut self, _noise: &mut Noise) {}

    /// The word of the folded rows.
    fn word(&mut self, _word: &mut RowMajorMatrix<F>) {}

    /// The positions of a word.
    fn positions(&mut self, _positions: &mut Vec<usize>) {}

    /// The opened rows of a source, their positions, what their cells and their veil are folded
    /// with, and the folded rows of the source.
    fn rows(&mut self, _: &mut Opened, _positions: &[usize], _eq: (&[E], E), _folded: &[E]) {}

    /// The last vector, its weights so far and the claim on it.
    fn end(&mut self, _end: &mut [E], _weights: &[E], _claim: E) {}

    /// The opened rows of the word of folded rows, their positions, what their cells and their veil
    /// are folded with, and the last vector.
    fn middle_rows(&mut self, _: &mut Opened, _at: &[usize], _eq: (&[E], E), _end: &[E]) {}

    /// The last vector as it enters the last sumcheck, its weights and the claim.
    fn last(&mut self, _end: &mut [E], _weights: &[E], _claim: E) {}

    /// The values of the last vector's coordinates at the last point, and what that sumcheck took
    /// for its value.
    fn opened(&mut self, _values: &mut [E; 2], _end: E) {}
}

/// The prover that follows the protocol.
struct Honest;

impl Conduct for Honest {}

/// Proves the relation on the sources.
pub(super) fn open(
    sources: &[&SourceData],
    relation: &Relation,
    known: &[Vec<Option<Partial>>],
    tape: &mut ProverTape,
) -> Result<(), Error> {
    open_as(&mut Honest, sources, relation, known, tape)
}

/// Proves the relation on sources in the opening that certifies one of them.
pub(super) fn certify(
    sources: &[&SourceData],
    certified: usize,
    relation: &Relation,
    tape: &mut ProverTape,
) -> Result<(), Error> {
    certify_as(&mut Honest, sources, certified, relation, tape)
}

/// The same as somebody conducts it.
pub(super) fn certify_as(
    conduct: &mut impl Conduct,
    sources: &[&SourceData],
    certified: usize,
    relation: &Relation,
    tape: &mut ProverTape,
) -> Result<(), Error> {
    let layouts: Vec<&Layout> = sources.iter().map(|source| source.layout()).collect();
    let certified = Layout::certifying(&layouts, certified);
    let layouts: Vec<&Layout> = certified.iter().collect();
    open_at(conduct, sources, &layouts, relation, &[], tape)
}

/// Opens as somebody conducts it.
pub(super) fn open_as(
    conduct: &mut impl Conduct,
    sources: &[&SourceData],
    relation: &Relation,
    known: &[Vec<Option<Partial>>],
    tape: &mut ProverTape,
) -> Result<(), Error> {
    let layouts: Vec<&Layout> = sources.iter().map(|source| source.layout()).collect();
    open_at(conduct, sources, &layouts, relation, known, tape)
}

fn open_at(
    conduct: &mut impl Conduct,
    sources: &[&SourceData],
    layouts: &[&Layout],
    relation: &Relation,
    known: &[Vec<Option<Partial>>],
    tape: &mut ProverTape,
) -> Result<(), Error> {
    let plan = Plan::new(layouts)?;
    check_terms(layouts, relation)?;
    let target = start(&plan, layouts, sources, relation, tape)?;
    let mut sums = ColumnSums::new(&plan, sources, relation, known);
    if sums.total() != target && !conduct.lies() {
        return Err(Error::Opening {
            reason: "the relation is false".into(),
        });
    }
    if plan.parts.is_empty() {
        return Ok(());
    }

    // The columns of the sources: P becomes F.
    let mut claim = target;
    let holder = spend(&plan, sources)?;
    let mut scale = E::ONE;
    if let Some((k, hidden, _)) = holder {
        scale = sums.mask(plan.parts[k].vars(), &hidden.noise, &mut claim, tape);
    }
    let rho: Point;
    (rho, claim) = sums.prove(&plan, claim, tape);
    let mut folded = fold(&plan, sources, &rho);
    let mut weights = weigh(&plan, layouts, relation, (&rho, scale));
    weights.resize(folded.len(), E::ZERO);
    conduct.folded(&mut folded, &weights, claim);

    // What F is.
    let (mut end, mut tree, mut veil) = (None, None, E::ZERO);
    if let Some(middle) = &plan.middle {
        let noise = holder.map(|(_, _, seed)| {
            let seed = seed.hedged(|hasher| _ = hasher.update(&tape.fingerprint()));
            let mut noise = Noise::of_folded(middle, &seed);
            conduct.noise(&mut noise);
            folded.extend(noise.elements());
            weights.resize(folded.len(), E::ZERO);
            noise
        });
        let veil = noise.as_ref().map_or(&[][..], |noise| &noise.veil);
        let mut word = encode_extension(middle.code, veil, &folded);
        conduct.word(&mut word);
        let committed = Tree::new(word);
        tape.send_bytes(MIDDLE, &committed.root());
        tree = Some((middle, committed, noise));
    } else {
        if let Some((k, hidden, _)) = holder {
            let own = plan.parts[k].rows();
            let vectors = (&mut folded[own.clone()], &weights[own]);
            veil = send_veil(&hidden.noise.veil, vectors, &mut claim, tape)?;
        }
        end = Some(Sent::send(&plan.end, &folded, tape)?);
    }

    // F is the fold of the sources.
    let vectors = (&folded[..], &mut weights[..]);
    query(
        conduct,
        &plan,
        sources,
        (&rho, veil),
        vectors,
        &mut claim,
        tape,
    )?;

    // The columns of the word of F: F becomes h.
    let mut vector = folded;
    if let Some((middle, tree, noise)) = tree {
        let code = middle.code;
        if noise.is_some() {
            mask_folded(middle, &vector, &mut weights, &mut claim, tape);
        }
        [&mut vector, &mut weights]
            .into_par_iter()
            .for_each(|values| *values = transpose(values, code.width()));
        let rho_middle: Point;
        (rho_middle, claim) = rounds::prove([&mut vector, &mut weights], code.fold, claim, tape);
        if let Some(noise) = &noise {
            let vectors = (&mut vector[..], &weights[..]);
            veil = send_veil(&noise.veil, vectors, &mut claim, tape)?;
        }
        conduct.end(&mut vector, &weights, claim);
        end = Some(Sent::send(&plan.end, &vector, tape)?);
        tape.work(WORK, plan.work);
        let positions = middle_positions(conduct, middle, tape);
        let eq = eq_table(&rho_middle, code.width(), E::ONE);
        let mut opened = tree.open(&positions, || unreachable!("words of folded rows are kept"));
        conduct.middle_rows(&mut opened, &positions, (&eq, veil), &vector);
        opened.send(tape);
        let rows = opened.rows.chunks(middle.width());
        let folds = rows.map(|row| fold_row_extension(&eq, row, veil)).collect();
        let queried = batch([(code, &positions)], &[folds], &mut claim, tape.sample());
        add_powers(code, &positions, &queried[0], &mut weights);
    }

    // The last vector.
    vector.resize(1 << plan.end.num_vars, E::ZERO);
    weights.resize(1 << plan.end.num_vars, E::ZERO);
    conduct.last(&mut vector, &weights, claim);
    let factors = vec![Factor::Ext(vector), Factor::Ext(weights)];
    let bound = sumcheck::prove(vec![Instance { factors }], &[claim], tape);
    let end = end.expect("an opening has a last vector");
    end.open(
        &bound.point,
        |values| conduct.opened(values, bound.ends[0][0]),
        tape,
    )
}

/// Spends an opening of every hidden source. Gives the part that has the masks, what hides it, and
/// what its randomness is drawn from.
fn spend<'a>(
    plan: &Plan,
    sources: &[&'a SourceData],
) -> Result<Option<(usize, &'a Hidden, &'a Seed)>, Error> {
    let mut holder = None;
    for (k, part) in plan.parts.iter().enumerate() {
        if let Some(hidden) = &coded(sources, part).hidden {
            let seed = hidden.spend(part.word)?;
            if plan.holder == Some(k) {
                holder = Some((k, hidden, seed));
            }
        }
    }
    Ok(holder)
}

/// The weights of the folded rows: those of the relation, `scale` times, and the masks'.
fn weigh(plan: &Plan, layouts: &[&Layout], relation: &Relation, (rho, scale): (&[E], E)) -> Vec<E> {
    let mut weights = vec![E::ZERO; plan.folded];
    for (k, part) in plan.parts.iter().enumerate() {
        let own = &mut weights[part.rows()];
        let terms = &relation.terms[part.source];
        let fold = part.code.fold;
        add_claims(part, layouts[part.source], terms, last(rho, fold), own);
        let scale = scale * plan.share(fold);
        if scale != E::ONE {
            own.par_iter_mut().for_each(|weight| *weight *= scale);
        }
        if plan.holder == Some(k) {
            add_masks(plan, part, rho, own);
        }
    }
    weights
}

/// Opens rows of the sources; what they fold to becomes a part of the claim.
fn query(
    conduct: &mut impl Conduct,
    plan: &Plan,
    sources: &[&SourceData],
    (rho, veil): (&[E], E),
    (folded, weights): (&[E], &mut [E]),
    claim: &mut E,
    tape: &mut ProverTape,
) -> Result<(), Error> {
    tape.work(WORK, plan.work);
    let mut positions = Vec::with_capacity(plan.parts.len());
    for part in &plan.parts {
        let mut own = tape.positions(part.code.log_points, part.queries);
        conduct.positions(&mut own);
        positions.push(own);
    }
    let mut folds = vec![];
    for (part, positions) in plan.parts.iter().zip(&positions) {
        let fold = part.code.fold;
        let eq = eq_table(last(rho, fold), 1 << fold, E::ONE);
        let coded = coded(sources, part);
        if let (Some(hidden), Some(hiding)) = (&coded.hidden, part.hiding) {
            hidden.show(positions.len(), hiding.blinding)?;
        }
        let mut opened = coded.open(sources[part.source].layout(), positions);
        conduct.rows(&mut opened, positions, (&eq, veil), &folded[part.rows()]);
        opened.send(tape);
        folds.push(fold_rows(&eq, &opened.rows, part.width(), veil));
    }
    let words = plan.parts.iter().map(|part| part.code).zip(&positions);
    let queried = batch(words, &folds, claim, tape.sample());
    for ((part, positions), queried) in plan.parts.iter().zip(&positions).zip(&queried) {
        add_powers(part.code, positions, queried, &mut weights[part.rows()]);
    }
    Ok(())
}

/// Where the word of folded rows is shown.
fn middle_positions(
    conduct: &mut impl Conduct,
    middle: &Middle,
    tape: &mut ProverTape,
) -> Vec<usize> {
    let mut positions = tape.positions(middle.code.log_points, middle.queries);
    conduct.positions(&mut positions);
    let hides = !middle.hidden || positions.len() < middle.blinding();
    assert!(hides, "a blinding row to spare");
    positions
}

/// Sends the sum of the masks of the word of folded rows; the weights become those of the masked
/// relation.
fn mask_folded(
    middle: &Middle,
    folded: &[E],
    weights: &mut [E],
    claim: &mut E,
    tape: &mut ProverTape,
) {
    let fold = middle.code.fold;
    let masks = middle.folded << fold..(middle.folded + fold + 1) << fold;
    let own: Vec<E> = (0..=fold).flat_map(|i| mask_weights(fold, i)).collect();
    let scale = send_mask(products(&own, &folded[masks.clone()]), claim, tape);
    weights.par_iter_mut().for_each(|weight| *weight *= scale);
    weights[masks].copy_from_slice(&own);
}

/// Absorbs what an opening is about; returns what the sources that are encoded must sum to.
fn start(
    plan: &Plan,
    layouts: &[&Layout],
    sources: &[&SourceData],
    relation: &Relation,
    tape: &mut ProverTape,
) -> Result<E, Error> {
    let mut roots = Vec::with_capacity(plan.parts.len());
    let mut clear = E::ZERO;
    for (source, terms) in sources.iter().zip(&relation.terms) {
        if let Some(cells) = source.clear() {
            clear += super::clear::sum(cells, source.layout(), terms)?;
        }
        roots.extend(source.coded().map(|coded| coded.tree.root()));
    }
    tape.bind_bytes(
        RELATION,
        &super::transcribe(plan, layouts, &roots, relation),
    );
    Ok(relation.target - clear)
}

impl Partial {
    /// `sum_R eq_R P(R, b)` for every `b < 2^fold`, where `high` are the coordinates of the rows, those
    /// that are known first.
    fn sum_rows(&self, high: &[E], fold: usize) -> Vec<E> {
        let (_, left) = high.split_at(high.len() + fold - self.num_vars);
        let rows = self.values.chunks(1 << fold);
        let eq = eq_table(left, rows.len(), E::ONE);
        let mut sums = vec![E::ZERO; 1 << fold];
        for (row, eq) in rows.zip(eq) {
            sums.iter_mut()
                .zip(row)
                .for_each(|(sum, &x)| *sum += eq * x);
        }
        sums
    }
}

/// What is left of every term when the rows are summed: its weights of the column variables and the
/// column's sums.
struct ColumnSums {
    parts: Vec<PartSums>,
}

struct PartSums {
    /// Variables that the source folds.
    fold: usize,
    /// Weights and sums of each term.
    terms: Vec<[Vec<E>; 2]>,
}

impl PartSums {
    /// `<P, W>` of what is not bound.
    fn total(&self) -> E {
        let terms = self.terms.iter();
        terms.map(|[weights, sums]| products(weights, sums)).sum()
    }
}

impl ColumnSums {
    fn new(
        plan: &Plan,
        sources: &[&SourceData],
        relation: &Relation,
        known: &[Vec<Option<Partial>>],
    ) -> Self {
        let parts = plan.parts.par_iter().map(|part| {
            let source = sources[part.source];
            let columns = &coded(sources, part).columns;
            let fold = part.code.fold;
            let terms = relation.terms[part.source].par_iter().enumerate();
            let first = first_columns(source.layout());
            let column = |id: ColumnId| &columns[first[id.table] + id.column];
            let cells = relation.terms[part.source].iter().filter_map(|term| {
                let Term::Cells { column: id, coefs } = term else {
                    return None;
                };
                Some(cell_sums(column(*id), coefs, fold))
            });
            let cells: Vec<[Vec<E>; 2]> = cells.collect();
            let terms = terms.filter_map(|(k, term)| {
                let Term::Column {
                    column: id,
                    point,
                    coef,
                } = term
                else {
                    return None;
                };
                let column = column(*id);
                let (high, low) = split(point, fold);
                let weights = eq_table(&low, 1 << fold, *coef);
                let known = known.get(part.source).and_then(|terms| terms.get(k));
                let known = known.and_then(Option::as_ref);
                if let Some(partial) = known.filter(|partial| partial.num_vars >= fold) {
                    return Some([weights, partial.sum_rows(high, fold)]);
                }
                let rows = column.len().div_ceil(1 << fold);
                let eq = eq_table(high, rows, E::ONE);
                Some([weights, column.sum_rows(fold, &eq)])
            });
            PartSums {
                fold,
                terms: terms.chain(cells).collect(),
            }
        });
        Self {
            parts: parts.collect(),
        }
    }

    fn total(&self) -> E {
        self.parts.iter().map(PartSums::total).sum()
    }

    /// Sends the sum of masks in `vars` variables; all terms become those of the masked relation.
    fn mask(&mut self, vars: usize, noise: &Noise, claim: &mut E, tape: &mut ProverTape) -> E {
        let masks = noise.masks(vars).into_iter().enumerate();
        let masks = PartSums {
            fold: vars,
            terms: masks
                .map(|(i, mask)| [mask_weights(vars, i), mask])
                .collect(),
        };
        let scale = send_mask(masks.total(), claim, tape);
        let terms = self.parts.iter_mut().flat_map(|part| &mut part.terms);
        for weight in terms.flat_map(|[weights, _]| weights) {
            *weight *= scale;
        }
        self.parts.push(masks);
        scale
    }

    /// The rounds over the column variables.
    fn prove(&mut self, plan: &Plan, mut claim: E, tape: &mut ProverTape) -> (Point, E) {
        let mut point = Vec::with_capacity(plan.fold);
        for left in (1..=plan.fold).rev() {
            let mut message = [E::ZERO; 2];
            for part in &self.parts {
                if left > part.fold {
                    // The source does not depend on this variable, nor on those before.
                    message[0] += plan.share(left - 1) * part.total();
                } else {
                    let share = plan.share(part.fold);
                    for [weights, sums] in &part.terms {
                        let [zero, top] = rounds::sums(weights, sums);
                        message[0] += share * zero;
                        message[1] += share * top;
                    }
                }
            }
            tape.send(ROUND, &message);
            let r = tape.sample();
            claim = rounds::at(claim, message, r);
            point.push(r);
            let bound = self.parts.iter_mut().filter(|part| left <= part.fold);
            for vector in bound.flat_map(|part| part.terms.iter_mut().flatten()) {
                bind(vector, r);
            }
        }
        (Point::new(point), claim)
    }
}

/// `sum_i a_i b_i`.
fn products(a: &[E], b: &[E]) -> E {
    a.iter().zip(b).map(|(&a, &b)| a * b).sum()
}

/// The weights and the cells of a column, matrix column by matrix column: the column's number leads
/// the index.
fn cell_sums(column: &Column, coefs: &[E], fold: usize) -> [Vec<E>; 2] {
    let mut cells = vec![];
    column.append_to(&mut cells);
    let rows = coefs.len().div_ceil(1 << fold);
    let by_columns = |value: &dyn Fn(usize) -> Option<E>| -> Vec<E> {
        let index = (0..1 << fold).flat_map(|b| (0..rows).map(move |row| (row << fold) + b));
        index.map(|i| value(i).unwrap_or(E::ZERO)).collect()
    };
    [
        by_columns(&|i| coefs.get(i).copied()),
        by_columns(&|i| cells.get(i).map(|&cell| cell.into())),
    ]
}

/// Adds the masks' weights to those of a source's folded rows.
fn add_masks(plan: &Plan, part: &Part, rho: &[E], weights: &mut [E]) {
    let hiding = part.hiding.expect("the masks are those of a hidden source");
    let (rho, lead) = hiding.challenges(rho, part.code.fold);
    let share = plan.share(hiding.vars);
    let factors = std::iter::once(&E::ONE).chain(rho);
    let halves = factors.flat_map(|&factor| [share * factor, share * factor * theta()]);
    let masks = weights[hiding.masks..].chunks_mut(lead.len());
    for (rows, factor) in masks.zip(halves) {
        let rows = rows.iter_mut().zip(&lead);
        rows.for_each(|(weight, &eq)| *weight += factor * eq);
    }
}

/// A part's source, encoded.
fn coded<'a>(sources: &[&'a SourceData], part: &Part) -> &'a Coded {
    sources[part.source].coded().expect("parts are encoded")
}

/// The position of the first column of each table among all.
fn first_columns(layout: &Layout) -> Vec<usize> {
    let mut next = 0;
    let tables = layout.tables().iter();
    tables
        .map(|table| {
            let first = next;
            next += table.width;
            first
        })
        .collect()
}

/// The folded rows of all sources, and zeros up to whole rows of their own word.
fn fold(plan: &Plan, sources: &[&SourceData], rho: &[E]) -> Vec<E> {
    let length = plan
        .middle
        .map_or(plan.folded, |middle| middle.folded << middle.code.fold);
    let mut folded = vec![E::ZERO; length];
    let mut rest = &mut folded[..];
    let mut tasks: Vec<(&Column, Vec<E>, &mut [E])> = vec![];
    for part in &plan.parts {
        let Coded {
            columns, hidden, ..
        } = coded(sources, part);
        let fold = part.code.fold;
        let eq = eq_table(last(rho, fold), 1 << fold, E::ONE);
        for column in columns {
            let all = std::mem::take(&mut rest);
            let (own, after) = all.split_at_mut(column.len().div_ceil(1 << fold));
            rest = after;
            tasks.push((column, eq.clone(), own));
        }
        if let Some(Hidden { noise, .. }) = hidden {
            let all = std::mem::take(&mut rest);
            let (own, after) = all.split_at_mut(noise.rows.len() >> fold);
            rest = after;
            source::fold(&noise.rows, &eq, own);
        }
    }
    tasks
        .into_par_iter()
        .for_each(|(column, eq, own)| column.fold(&eq, own));
    folded
}

/// The columns of a matrix one after another.
fn transpose(values: &[E], width: usize) -> Vec<E> {
    let rows = values.len() / width;
    let mut out = vec![E::ZERO; values.len()];
    out.par_chunks_mut(rows).enumerate().for_each(|(x, out)| {
        for (out, row) in out.iter_mut().zip(values.chunks_exact(width)) {
            *out = row[x];
        }
    });
    out
}

/// What rows of a source fold to.
fn fold_rows(eq: &[E], rows: &[F], width: usize, veil: E) -> Vec<E> {
    let rows = rows.chunks(width);
    rows.map(|row| fold_row(eq, row, veil)).collect()
}
