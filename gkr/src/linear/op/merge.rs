//! Merging: many claims on one virtual tensor become one.
//!
//! Without it the claims on a tensor are the paths that lead to it, which a chain of sums that
//! read each other doubles at every node. For claims `Y(r_j) = c_j`, drawn `gamma`:
//!
//! ```text
//! sum_j gamma^j c_j = sum_x (sum_j gamma^j eq(r_j, x)) Y(x)
//! ```
//!
//! One sumcheck of degree 2 over all variables of `Y` ends in `Y(s)`. `Y` is the multilinear
//! polynomial that its operator's formula defines, padding included, so the sum needs no mask.
//! Soundness error: `(claims - 1 + 2 * vars) / |E|`.

use super::{Cost, Sumcheck, unfit};
#[cfg(feature = "prover")]
use super::{Factors, Run, affine::Contracted};
use crate::claim::TensorClaim;
use crate::error::VerifyError;
use crate::linear::party::Party;
use crate::linear::walk::Walk;
#[cfg(feature = "prover")]
use crate::tensor::{Action, Cells, pad_axes};
#[cfg(feature = "prover")]
use rayon::prelude::*;
use zkstrata_mle::{E, Point, eq_eval};
#[cfg(feature = "prover")]
use zkstrata_mle::{PrimeCharacteristicRing, eq_table};
use zkstrata_model_ir::int::TensorId;
use zkstrata_pcs::Channel;

/// Cells that one task of the prover adds.
#[cfg(feature = "prover")]
const GRAIN: usize = 1 << 14;

/// Claims on one tensor.
#[derive(Clone, Debug)]
pub(crate) struct MergeInstance {
    /// `Y`.
    pub(crate) tensor: TensorId,
    /// Every `r_j` with `gamma^j`.
    pub(crate) points: Vec<(Point, E)>,
}

impl MergeInstance {
    /// `sum_j gamma^j eq(r_j, s)`
    pub(crate) fn coefficient_at(&self, s: &[E]) -> Option<E> {
        let fits = self.points.iter().all(|(r, _)| r.len() == s.len());
        let term = |(r, power): &(Point, E)| eq_eval(r, s) * *power;
        fits.then(|| self.points.iter().map(term).sum())
    }
}

impl<'a> Sumcheck<'a> for MergeInstance {
    /// Variables of `Y`.
    fn vars(&self) -> usize {
        self.points.first().map_or(0, |(point, _)| point.len())
    }

    fn degree(&self) -> usize {
        2
    }

    /// `Y`
    fn sent(&self) -> usize {
        1
    }

    /// `(sum_j gamma^j eq(r_j, s)) Y`
    fn summand<C: Channel>(&self, s: &Point, values: &[C::S], _: &mut C) -> Option<C::S> {
        Some(values.first()?.clone() * self.coefficient_at(s)?)
    }

    /// Goes on with the one claim at once: its tensor holds no claims back.
    fn end<P: Party>(
        &self,
        s: &Point,
        values: Vec<P::V>,
        walk: &mut Walk<'a, P>,
    ) -> Result<(), VerifyError> {
        walk.advance(TensorClaim {
            tensor: self.tensor,
            point: s.clone(),
            value: values.into_iter().next().ok_or_else(unfit)?,
        })
    }

    /// `sum_j gamma^j eq(r_j, x)` and `Y(x)`.
    #[cfg(feature = "prover")]
    fn factors<C: Cells>(&self, run: &Run<'_, C>) -> Factors {
        let cells = 1 << self.vars();
        let mut coefficients = vec![E::ZERO; cells];
        for (r, power) in &self.points {
            let eq = eq_table(r, cells, *power);
            let sums = coefficients.par_iter_mut().with_min_len(GRAIN);
            sums.zip(eq).for_each(|(sum, e)| *sum += e);
        }
        let tensor = &run.tensors[self.tensor.0];
        let (axes, values) = tensor.apply(&[Action::Keep(tensor.axes.clone())]);
        Factors::of(vec![coefficients, pad_axes(&axes, &values)])
    }

    #[cfg(feature = "prover")]
    fn values(&self, factors: &[E], _: &[E], _: &Point, _: &mut Contracted) -> Vec<E> {
        factors.last().copied().into_iter().collect()
    }

    fn cost(&self) -> Cost {
        Cost {
            weights: 0,
            tensors: vec![(self.tensor, 1)],
            points: self.points.len(),
        }
    }
}
