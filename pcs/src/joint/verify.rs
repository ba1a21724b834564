//! The verifier of an opening.

use super::end::Received;
use super::hiding::{self, recv_mask, recv_veil};
use super::layout::{Layout, Plan};
use super::parameters::Code;
use super::tree::{Digest, recv_rows};
use super::weights::{Queried, Weights, last, points};
use super::{Commitment, END, MIDDLE, Relation, SourceRef, WORK, check_terms, form};
use crate::channel::Channel;
use crate::claim::Error;
use crate::sumcheck::{self, InstanceShape};
use crate::transcript::VerifierTape;
use zkstrata_mle::{E, F, Point, PrimeCharacteristicRing, eq_table};

/// Verifies the relation on the sources.
///
/// # Soundness
/// See the module: accepting establishes the relation, if the sources' commitments were absorbed
/// before anything that the relation depends on was drawn, up to [`super::soundness`].
pub(super) fn verify(
    sources: &[SourceRef<'_, Commitment>],
    relation: &Relation,
    tape: &mut VerifierTape<'_>,
) -> Result<(), Error> {
    let layouts: Vec<&Layout> = sources.iter().map(|source| source.layout).collect();
    let plan = Plan::new(&layouts)?;
    check_terms(&layouts, relation)?;
    let mut roots = Vec::with_capacity(plan.parts.len());
    let mut clear = E::ZERO;
    for (source, terms) in sources.iter().zip(&relation.terms) {
        super::check_form(source.commitment, source.layout)?;
        match source.commitment {
            Commitment::Root(root) => roots.push(*root),
            Commitment::Clear(cells) => clear += super::clear::sum(cells, source.layout, terms)?,
        }
    }
    tape.bind_bytes(
        super::RELATION,
        &super::transcribe(&plan, &layouts, &roots, relation),
    );
    let target = relation.target - clear;
    if plan.parts.is_empty() {
        return Ok(tape.assert_zero(target, super::SUM)?);
    }

    // The columns of the sources: P becomes F.
    let mut claim = target;
    let mut scales = [E::ONE; 2];
    let [scale, scale_middle] = &mut scales;
    if plan.holder.is_some() {
        *scale = recv_mask(&mut claim, tape)?;
    }
    let folded = sumcheck::verify(&[product(plan.fold)], &[claim], tape)?;
    let rho = folded.point;
    claim = folded.value;

    // What F is.
    let (mut end, mut middle_root) = (None, None);
    let mut veil = E::ZERO;
    if plan.middle.is_some() {
        middle_root = Some(tape.recv_array(MIDDLE)?);
    } else {
        if plan.holder.is_some() {
            veil = recv_veil(&mut claim, tape)?;
        }
        end = Some(Received::recv(&plan.end, tape)?);
    }

    // F is the fold of the sources.
    tape.check_work(WORK, plan.work)?;
    let mut positions = Vec::with_capacity(plan.parts.len());
    for part in &plan.parts {
        positions.push(tape.positions(part.code.log_points, part.queries));
    }
    let folds = recv_folds(&plan, &roots, &positions, (&rho, veil), tape)?;
    let parts = batch(
        plan.parts.iter().map(|part| part.code).zip(&positions),
        &folds,
        &mut claim,
        tape.sample(),
    );

    // The columns of the word of F: F becomes h.
    let mut rho_middle = Point::default();
    let mut queried = vec![];
    if let (Some(middle), Some(root)) = (&plan.middle, &middle_root) {
        if middle.hidden {
            *scale_middle = recv_mask(&mut claim, tape)?;
        }
        let reduced = sumcheck::verify(&[product(middle.code.fold)], &[claim], tape)?;
        (rho_middle, claim) = (reduced.point, reduced.value);
        if middle.hidden {
            veil = recv_veil(&mut claim, tape)?;
        }
        end = Some(Received::recv(&plan.end, tape)?);
        tape.check_work(WORK, plan.work)?;
        let code = middle.code;
        let positions = tape.positions(code.log_points, middle.queries);
        let cells = recv_rows(root, middle.width(), code.log_points, &positions, tape)?;
        let eq = eq_table(&rho_middle, code.width(), E::ONE);
        let folds = cells.chunks(middle.width());
        let folds = folds.map(|row| fold_row_extension(&eq, row, veil));
        let folds = folds.collect();
        queried = batch([(code, &positions)], &[folds], &mut claim, tape.sample());
    }

    // The last vector.
    let reduced = sumcheck::verify(&[product(plan.end.num_vars)], &[claim], tape)?;
    let weights = Weights {
        plan: &plan,
        layouts: &layouts,
        relation,
        rho: &rho,
        parts: &parts,
        rho_middle: &rho_middle,
        middle: queried.first(),
        scales,
    };
    let end = end.ok_or_else(|| form("an opening has a last vector"))?;
    let value = end.evaluate(&reduced.point, tape)?;
    let value = value * weights.at(&reduced.point)?;
    Ok(tape.assert_zero(value - reduced.value, END)?)
}

/// What the rows of the sources at these positions fold to.
fn recv_folds(
    plan: &Plan,
    roots: &[Digest],
    positions: &[Vec<usize>],
    (rho, veil): (&[E], E),
    tape: &mut VerifierTape<'_>,
) -> Result<Vec<Vec<E>>, Error> {
    let mut folds = Vec::with_capacity(plan.parts.len());
    for ((part, root), positions) in plan.parts.iter().zip(roots).zip(positions) {
        let (code, width) = (part.code, part.width());
        let cells = recv_rows(root, width, code.log_points, positions, tape)?;
        let eq = eq_table(last(rho, code.fold), code.width(), E::ONE);
        let rows = cells.chunks(width);
        folds.push(rows.map(|row| fold_row(&eq, row, veil)).collect());
    }
    Ok(folds)
}

/// A sum of products of two polynomials.
fn product(num_vars: usize) -> InstanceShape {
    InstanceShape {
        num_vars,
        degree: 2,
    }
}

/// `sum_b eq_b row_b`, and behind the row's cells its veil, `veil` times.
pub(super) fn fold_row(eq: &[E], row: &[F], veil: E) -> E {
    let (cells, behind) = row.split_at_checked(eq.len()).unwrap_or((row, &[]));
    let fold: E = eq.iter().zip(cells).map(|(&eq, &cell)| eq * cell).sum();
    fold + of_veil(behind, veil)
}

/// The same for a row over `E`, whose elements are two cells each.
pub(super) fn fold_row_extension(eq: &[E], row: &[F], veil: E) -> E {
    let (cells, behind) = row.split_at_checked(2 * eq.len()).unwrap_or((row, &[]));
    let (elements, _) = cells.as_chunks::<2>();
    let element = |&[c0, c1]: &[F; 2]| super::element(c0, c1);
    let terms = eq.iter().zip(elements.iter().map(element));
    let fold: E = terms.map(|(&eq, element)| eq * element).sum();
    fold + of_veil(behind, veil)
}

/// What the veil at the end of a row adds to its fold.
fn of_veil(behind: &[F], veil: E) -> E {
    match behind.as_chunks::<{ hiding::VEIL }>() {
        (&[[c0, c1], ..], _) => veil * super::element(c0, c1),
        ([], _) => E::ZERO,
    }
}

/// Adds what the opened rows of some words fold to, to the claim, with powers of one challenge from
/// the first on.
pub(super) fn batch<'a>(
    words: impl IntoIterator<Item = (Code, &'a Vec<usize>)>,
    folds: &[Vec<E>],
    claim: &mut E,
    gamma: E,
) -> Vec<Queried> {
    let mut power = E::ONE;
    let words = words.into_iter().zip(folds);
    words
        .map(|((code, positions), folds)| {
            let mut coefs = Vec::with_capacity(folds.len());
            for &fold in folds {
                power *= gamma;
                coefs.push(power);
                *claim += power * fold;
            }
            Queried {
                points: points(code, positions),
                coefs,
            }
        })
        .collect()
}
