//! The verifier's weights of the last vector.
//!
//! The last vector `h` comes from the folded rows `F` of all sources by `h(R') = sum_x eq(rho', x)
//! F(16 R' + x)`, or is `F`. A weight of `F` at index `i` is one of `h` at the point `(r, rho')` of
//! index variables `q`. So at a point `r` the weights of `h` are, with `O_s` where the rows of
//! source `s` begin, `o` the first row of a column and `rho_s` the challenges of the variables that
//! `s` folds,
//!
//! ```text
//! 2^-(f - f_s) sum_terms coef eq(z_low, rho_s) sum_{R < rows} eq(z_high, R) eq(q, O_s + o + R)
//!   + sum_k gamma^k sum_{R < L_s} x_k^R eq(q, O_s + R)          rows opened of the sources
//!   + sum_i gamma'^i sum_{R' < L'} x'_i^R' eq(r, R')            rows opened of the word of F
//! ```
//!
//! each inner sum being one of [`super::closed`]. With hidden sources the terms are multiplied by `eps`
//! and the masks' weights added, and the same once more for the word of `F` ([`super::hiding`]).

use super::closed::{powers, shifted};
use super::layout::{Layout, Part, Plan};
use super::parameters::Code;
use super::{Relation, Term};
use crate::claim::Error;
use p3_field::TwoAdicField;
use zkstrata_mle::{E, F, PrimeCharacteristicRing, eq_eval, eq_table, selector};

/// The points of a domain at these positions.
pub(super) fn points(code: Code, positions: &[usize]) -> Vec<F> {
    let generator = F::two_adic_generator(code.log_points);
    let power = |&k: &usize| generator.exp_u64(u64::try_from(code.exponent(k)).unwrap_or(0));
    positions.iter().map(power).collect()
}

/// `(z_high, z_low)` of a claim's point, for rows of `2^fold` cells: a column that is shorter than
/// a row is zero where the row's leading variables are not.
pub(super) fn split(point: &[E], fold: usize) -> (&[E], Vec<E>) {
    let (high, low) = point.split_at(point.len().saturating_sub(fold));
    let mut padded = vec![E::ZERO; fold.saturating_sub(low.len())];
    padded.extend(low);
    (high, padded)
}

/// The last `n` of some coordinates.
pub(super) fn last(coordinates: &[E], n: usize) -> &[E] {
    coordinates.split_at(coordinates.len().saturating_sub(n)).1
}

/// `sum_b coefs_b eq_b`: the weight of a folded row, whose cells have these weights.
pub(super) fn row_sum(coefs: &[E], eq: &[E]) -> E {
    coefs.iter().zip(eq).map(|(&coef, &eq)| coef * eq).sum()
}

/// Rows that have been opened.
pub(super) struct Queried {
    /// Their points.
    pub(super) points: Vec<F>,
    /// The power of the challenge that each has been batched with.
    pub(super) coefs: Vec<E>,
}

/// Everything that the weights depend on.
pub(super) struct Weights<'a> {
    pub(super) plan: &'a Plan,
    pub(super) layouts: &'a [&'a Layout],
    pub(super) relation: &'a Relation,
    /// The challenges of the first sumcheck.
    pub(super) rho: &'a [E],
    /// Rows opened of each part.
    pub(super) parts: &'a [Queried],
    /// The challenges of the second sumcheck, none without a word of folded rows.
    pub(super) rho_middle: &'a [E],
    /// Rows opened of the word of folded rows.
    pub(super) middle: Option<&'a Queried>,
    /// What the masked sumchecks multiply the weights by: over the columns of the sources, and over
    /// those of the word of folded rows.
    pub(super) scales: [E; 2],
}

impl Weights<'_> {
    /// The weights at a point.
    pub(super) fn at(&self, r: &[E]) -> Result<E, Error> {
        let q = [r, self.rho_middle].concat();
        let [scale, scale_middle] = self.scales;
        let mut sum = E::ZERO;
        for (k, (part, queried)) in self.plan.parts.iter().zip(self.parts).enumerate() {
            sum += scale * self.plan.share(part.code.fold) * self.claims(part, &q)?;
            if let (true, Some(hiding)) = (self.plan.holder == Some(k), part.hiding) {
                sum += self.plan.share(hiding.vars) * part.masks_at(self.rho, &q);
            }
            let code = part.code;
            for (&x, &coef) in queried.points.iter().zip(&queried.coefs) {
                sum += coef * powers(x, code.log_points, part.first, code.rows, &q);
            }
        }
        if let (Some(middle), Some(queried)) = (&self.plan.middle, self.middle) {
            let code = middle.code;
            sum = scale_middle * sum + middle.masks_at(self.rho_middle, r);
            for (&x, &coef) in queried.points.iter().zip(&queried.coefs) {
                sum += coef * powers(x, code.log_points, 0, code.rows, r);
            }
        }
        Ok(sum)
    }

    /// The terms of the relation on one source.
    fn claims(&self, part: &Part, q: &[E]) -> Result<E, Error> {
        let fold = part.code.fold;
        let rho = last(self.rho, fold);
        let (Some(layout), Some(terms)) = (
            self.layouts.get(part.source),
            self.relation.terms.get(part.source),
        ) else {
            return Err(super::form("fewer sources than the plan has"));
        };
        let eq = eq_table(rho, part.code.width(), E::ONE);
        let mut sum = E::ZERO;
        for term in terms {
            let slot = layout.slot(term.column());
            let slot = slot.ok_or_else(|| super::unfit(term.column(), "no such column"))?;
            let first = part.first.saturating_add(slot.first);
            sum += match term {
                Term::Column { point, coef, .. } => {
                    let (high, low) = split(point, fold);
                    *coef * eq_eval(&low, rho) * shifted(high, slot.rows, first, q)
                }
                Term::Cells { coefs, .. } => {
                    let rows = coefs.chunks(eq.len()).zip(first..);
                    let row = |(coefs, row)| row_sum(coefs, &eq) * selector(q, row);
                    rows.map(row).sum()
                }
            };
        }
        Ok(sum)
    }
}
