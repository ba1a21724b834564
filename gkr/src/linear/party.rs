//! The two ends of the walk: it asks either for values, challenges and sumchecks.

use super::op::Instance;
use crate::error::VerifyError;
use zkstrata_mle::{E, Point};
use zkstrata_model_ir::int::{BiasId, TensorId};
use zkstrata_pcs::Scalar;

/// A value that the prover sends in the course of the walk.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(feature = "prover"), allow(dead_code))] // only a prover looks inside
pub(crate) enum Wanted<'a> {
    /// A tensor at a point.
    Tensor(TensorId, &'a Point),
    /// A bias at a point of its groups and outputs.
    Bias(BiasId, &'a [E]),
}

/// Where an instance's sumcheck ended, and the values the prover sends for its factors.
pub(crate) type InstanceEnd<V> = (Point, Vec<V>);

/// One end of the protocol. The walk asks it for values and sumchecks in a fixed order.
pub(crate) trait Party {
    /// What values look like.
    type V: Scalar;

    /// A public value.
    fn constant(&mut self, value: E) -> Self::V;

    /// A public value that takes work to compute; a dry run does without.
    fn computed(&mut self, value: impl FnOnce() -> Option<E>) -> Option<Self::V>;

    /// Told before every step how many cells its public vectors have; a dry run refuses too many.
    fn spend(&mut self, _work: usize) -> Result<(), VerifyError> {
        Ok(())
    }

    /// Told of every claim on a bias how many entries that has: a verifier who holds the weights
    /// visits them.
    fn visit(&mut self, _entries: usize) {}

    /// The next value that the prover sends.
    fn value(&mut self, wanted: Wanted<'_>) -> Result<Self::V, VerifyError>;

    /// A challenge.
    fn challenge(&mut self) -> E;

    /// One batched sumcheck of all instances with their claims. Returns for each instance its
    /// point and the values the prover sends for its factors.
    fn sumcheck(
        &mut self,
        instances: &[Instance<'_>],
        claims: &[Self::V],
    ) -> Result<Vec<InstanceEnd<Self::V>>, VerifyError>;
}
