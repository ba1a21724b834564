//! Gathers: every output cell reads one input cell.
//!
//! A claim on the output is one on a functional of the input ([`super::functional`]) with
//! `A[x] = sum_{i: map(i) = x} eq(r, i)` over all axes but the batch.

use super::functional::{Coefs, Functional, Part, fixed};
use crate::claim::TensorClaim;
use crate::error::VerifyError;
use crate::linear::party::Party;
use crate::linear::walk::{Walk, malformed};
use zkstrata_mle::{E, Point, PrimeCharacteristicRing, axis_vars, tensor_eq};
use zkstrata_model_ir::int::{Graph, Node, TensorId};

/// Moves a claim on a gather's output to a functional of the input.
pub(in crate::linear) fn step<'a, P: Party>(
    walk: &mut Walk<'a, P>,
    node: &'a Node,
    map: &'a [u32],
    claim: TensorClaim<P::V>,
) -> Result<(), VerifyError> {
    let plan = walk.plan;
    let functional = node.inputs.first().and_then(|&input| {
        let input = (input, plan.graph.node(input).axes.as_slice());
        of_gather(map, plan.batch, input, &node.axes, &claim.point)
    });
    let functional = functional.ok_or_else(|| malformed(node))?;
    functional.reduce(claim.value, walk);
    Ok(())
}

/// The functional of a claim on a gather's output.
fn of_gather<'a>(
    map: &'a [u32],
    batch: usize,
    (tensor, input_axes): (TensorId, &[usize]),
    output_axes: &'a [usize],
    point: &Point,
) -> Option<Functional<'a>> {
    let (r_batch, r) = point.split_at_checked(axis_vars(batch))?;
    let summed = Part::Summed {
        axes: input_axes.to_vec(),
        coefs: Coefs::Gather {
            map,
            outputs: output_axes,
            inputs: input_axes.iter().product(),
            r: r.to_vec(),
        },
    };
    Some(Functional {
        tensor,
        parts: vec![fixed(r_batch), summed],
    })
}

/// `A`, one coefficient per live cell of the input.
pub(super) fn vector(map: &[u32], outputs: &[usize], inputs: usize, r: &[E]) -> Option<Vec<E>> {
    let mut coefs = vec![E::ZERO; inputs];
    for (&x, e) in map.iter().zip(tensor_eq(outputs, r)) {
        *coefs.get_mut(usize::try_from(x).ok()?)? += e;
    }
    Some(coefs)
}

/// Cells that a step visits.
pub(super) fn visits(graph: &Graph, node: &Node, map: &[u32]) -> usize {
    let inputs = node.inputs.iter().map(|&x| graph.node(x).cells());
    inputs.fold(map.len(), usize::saturating_add)
}
