//! Sums `y = sum_k c_k x_k` of tensors of one shape.
//!
//! The extensions at the claim's point satisfy the same equation. The prover sends all `x_k` but
//! the first, `x_0 = (y - sum_{k>0} c_k x_k) / c_0`, and each is a claim at that point. No
//! challenge, no error.

use crate::claim::TensorClaim;
use crate::error::VerifyError;
use crate::linear::party::{Party, Wanted};
use crate::linear::walk::{Walk, malformed};
use zkstrata_mle::{Field, signed};
use zkstrata_model_ir::int::Node;

/// Moves a claim on a sum to its operands.
pub(in crate::linear) fn step<P: Party>(
    walk: &mut Walk<'_, P>,
    node: &Node,
    coefs: &[i64],
    claim: TensorClaim<P::V>,
) -> Result<(), VerifyError> {
    let mut operands = coefs.iter().zip(&node.inputs);
    let (&c0, &x0) = operands.next().ok_or_else(|| malformed(node))?;
    let mut value = claim.value;
    for (&c, &tensor) in operands {
        let x = walk.party.value(Wanted::Tensor(tensor, &claim.point))?;
        value = value - x.clone() * signed(c);
        walk.queue(tensor, claim.point.clone(), x);
    }
    let inverse = signed(c0).try_inverse().ok_or_else(|| malformed(node))?;
    walk.queue(x0, claim.point, value * inverse);
    Ok(())
}

/// Cells that a step visits.
pub(super) fn visits(coefs: &[i64]) -> usize {
    coefs.len()
}
