//! Permutations of axes: a claim moves to the operand, the coordinates of its axes reordered.

use crate::claim::TensorClaim;
use crate::error::VerifyError;
use crate::linear::party::Party;
use crate::linear::walk::{Walk, malformed};
use zkstrata_mle::{E, Point, tensor_vars};
use zkstrata_model_ir::int::Node;

/// Moves a claim on a permutation `perm` of the operand's `axes`.
pub(in crate::linear) fn step<P: Party>(
    walk: &mut Walk<'_, P>,
    node: &Node,
    (axes, perm): (&[usize], &[usize]),
    claim: TensorClaim<P::V>,
) -> Result<(), VerifyError> {
    let point = permute(walk.plan.batch, axes, perm, &claim.point);
    let operand = node.inputs.first().zip(point);
    let (&tensor, point) = operand.ok_or_else(|| malformed(node))?;
    walk.queue(tensor, point, claim.value);
    Ok(())
}

/// The operand's point of a claim on a permutation of its axes.
fn permute(batch: usize, axes: &[usize], perm: &[usize], point: &Point) -> Option<Point> {
    let (batch, mut rest) = point.split_at_checked(tensor_vars(&[batch]))?;
    let mut pieces: Vec<&[E]> = vec![&[]; axes.len()];
    for &axis in perm {
        let (piece, tail) = rest.split_at_checked(tensor_vars(&[*axes.get(axis)?]))?;
        *pieces.get_mut(axis)? = piece;
        rest = tail;
    }
    rest.is_empty()
        .then(|| Point::from(batch).concat(&pieces.concat()))
}
