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

use zkstrata_mle::{E, Point, eq_eval};
use zkstrata_model_ir::int::TensorId;

/// Claims on one tensor.
#[derive(Clone, Debug)]
pub(crate) struct MergeInstance {
    /// `Y`.
    pub(crate) tensor: TensorId,
    /// Every `r_j` with `gamma^j`.
    pub(crate) points: Vec<(Point, E)>,
}

impl MergeInstance {
    /// Variables of `Y`.
    pub(crate) fn vars(&self) -> usize {
        self.points.first().map_or(0, |(point, _)| point.len())
    }

    /// `sum_j gamma^j eq(r_j, s)`
    pub(crate) fn coefficient_at(&self, s: &[E]) -> Option<E> {
        let fits = self.points.iter().all(|(r, _)| r.len() == s.len());
        let term = |(r, power): &(Point, E)| eq_eval(r, s) * *power;
        fits.then(|| self.points.iter().map(term).sum())
    }
}
