//! The verifier of an opening.

use super::end::Received;
use super::layout::{Layout, Plan};
use super::parameters::Code;
use super::tree::recv_rows;
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
    let folded = sumcheck::verify(&[product(plan.fold)], &[target], tape)?;
    let (rho, mut claim) = (folded.point, folded.value);

    // What F is.
    let (mut end, mut middle_root) = (None, None);
    match &plan.middle {
        Some(_) => middle_root = Some(tape.recv_array(MIDDLE)?),
        None => end = Some(Received::recv(&plan.end, tape)?),
    }

    // F is the fold of the sources.
    tape.check_work(WORK, plan.work)?;
    let mut positions = Vec::with_capacity(plan.parts.len());
    for part in &plan.parts {
        positions.push(tape.positions(part.code.log_points, part.queries));
    }
    let mut folds = vec![];
    for ((part, root), positions) in plan.parts.iter().zip(&roots).zip(&positions) {
        let cells = recv_rows(
            root,
            part.code.width(),
            part.code.log_points,
            positions,
            tape,
        )?;
        let eq = eq_table(
            last(&rho, part.code.fold),
            part.code.width(),
            lead(&rho, part.code.fold),
        );
        folds.push(
            cells
                .chunks(eq.len())
                .map(|row| fold_row(&eq, row))
                .collect(),
        );
    }
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
        let reduced = sumcheck::verify(&[product(middle.code.fold)], &[claim], tape)?;
        (rho_middle, claim) = (reduced.point, reduced.value);
        end = Some(Received::recv(&plan.end, tape)?);
        tape.check_work(WORK, plan.work)?;
        let code = middle.code;
        let positions = tape.positions(code.log_points, middle.queries);
        let cells = recv_rows(root, 2 * code.width(), code.log_points, &positions, tape)?;
        let eq = eq_table(&rho_middle, code.width(), E::ONE);
        let folds = cells.chunks(2 * eq.len());
        let folds = folds.map(|row| fold_row_extension(&eq, row)).collect();
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
    };
    let end = end.ok_or_else(|| form("an opening has a last vector"))?;
    let value = end.evaluate(&reduced.point, tape)?;
    let value = value * weights.at(&reduced.point)?;
    Ok(tape.assert_zero(value - reduced.value, END)?)
}

/// A sum of products of two polynomials.
fn product(num_vars: usize) -> InstanceShape {
    InstanceShape {
        num_vars,
        degree: 2,
    }
}

/// `prod (1 - rho_i)` over the challenges before the last `fold`: the missing columns of a narrow
/// source are zero.
pub(super) fn lead(rho: &[E], fold: usize) -> E {
    let (lead, _) = rho.split_at(rho.len().saturating_sub(fold));
    lead.iter().map(|&r| E::ONE - r).product()
}

/// `sum_b eq_b row_b`.
pub(super) fn fold_row(eq: &[E], row: &[F]) -> E {
    eq.iter().zip(row).map(|(&eq, &cell)| eq * cell).sum()
}

/// The same for a row over `E`, whose elements are two cells each.
pub(super) fn fold_row_extension(eq: &[E], row: &[F]) -> E {
    let (elements, _) = row.as_chunks::<2>();
    let element = |&[c0, c1]: &[F; 2]| super::element(c0, c1);
    let terms = eq.iter().zip(elements.iter().map(element));
    terms.map(|(&eq, element)| eq * element).sum()
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
