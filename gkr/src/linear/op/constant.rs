//! Constants: a public or committed tensor, the same for every inference.
//!
//! The extension is `c(r) LT_B(r_batch)`, zero at padding inferences: so is the prover's. A claim
//! ends in one on the bias that holds `c`.

use crate::claim::TensorClaim;
use crate::error::VerifyError;
use crate::linear::party::Party;
use crate::linear::walk::{Walk, malformed};
use zkstrata_mle::{Field, axis_vars, mask};
use zkstrata_model_ir::int::{BiasId, Node};

/// Ends a claim on a constant.
pub(in crate::linear) fn step<P: Party>(
    walk: &mut Walk<'_, P>,
    node: &Node,
    bias: BiasId,
    claim: &TensorClaim<P::V>,
) -> Result<(), VerifyError> {
    let batch = walk.plan.batch;
    let split = claim.point.split_at_checked(axis_vars(batch));
    let (r_batch, r) = split.ok_or_else(|| malformed(node))?;
    let inverse = mask(&[batch], r_batch).try_inverse();
    let inverse = inverse.ok_or_else(|| malformed(node))?;
    walk.end_bias(bias, r, claim.value.clone() * inverse)
}
