//! What the linear part makes its prover contract: a party of the walk around another one.

use crate::claim::TensorClaim;
use crate::dry::Dry;
use crate::error::VerifyError;
use crate::linear::{Instance, InstanceEnd, LinearVerifier, Party, Wanted, reduce};
use crate::plan::{Plan, WeightPlan};
use zkstrata_mle::{E, Point};
use zkstrata_model_ir::int::TensorId;
use zkstrata_pcs::{Channel, Scalar};

/// Counts of the linear part.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    /// Weights that are contracted with challenges.
    pub(super) weights: usize,
    /// Cells of tensors that are contracted, once for each tap of the innermost window.
    pub(super) cells: usize,
    /// Entries of the tables of all sumchecks.
    pub(super) entries: usize,
    /// Sumchecks of single operators.
    pub(super) instances: usize,
    /// Cells of the public vectors that prover and verifier build.
    pub(super) visited: usize,
}

struct Tallying<'a, P> {
    plan: &'a Plan,
    party: P,
    tally: Tally,
}

impl<P> Tallying<'_, P> {
    fn cells(&self, tensor: TensorId) -> usize {
        self.plan.batch * self.plan.graph.node(tensor).cells()
    }
}

impl<P: Party> Party for Tallying<'_, P> {
    type V = P::V;

    fn constant(&mut self, value: E) -> P::V {
        self.party.constant(value)
    }

    fn computed(&mut self, value: impl FnOnce() -> Option<E>) -> Option<P::V> {
        self.party.computed(value)
    }

    fn spend(&mut self, work: usize) -> Result<(), VerifyError> {
        self.tally.visited += work;
        self.party.spend(work)
    }

    fn value(&mut self, wanted: Wanted<'_>) -> Result<P::V, VerifyError> {
        if let Wanted::Tensor(tensor, _) = wanted {
            self.tally.cells += self.cells(tensor);
        }
        self.party.value(wanted)
    }

    fn challenge(&mut self) -> E {
        self.party.challenge()
    }

    fn sumcheck(
        &mut self,
        instances: &[Instance<'_>],
        claims: &[P::V],
    ) -> Result<Vec<InstanceEnd<P::V>>, VerifyError> {
        for instance in instances {
            let cost = instance.cost();
            self.tally.weights += cost.weights;
            for (tensor, passes) in cost.tensors {
                self.tally.cells += passes * self.cells(tensor);
            }
            self.tally.entries += (instance.degree() + cost.points) << instance.vars();
        }
        self.tally.instances += instances.len();
        self.party.sumcheck(instances, claims)
    }
}

/// Walks the linear part of a batch.
pub(super) fn linear(plan: &Plan, weights: &WeightPlan) -> Result<Tally, VerifyError> {
    let channel = &mut Dry::default();
    let lookups = plan.blocks.iter().map(|block| block.input);
    let outputs = plan.graph.outputs.iter().map(|port| port.tensor);
    let claims: Vec<_> = lookups
        .chain(outputs)
        .map(|tensor| claim(plan, tensor, channel))
        .collect();
    let mut tallying = Tallying {
        plan,
        party: LinearVerifier { channel },
        tally: Tally::default(),
    };
    let _ = reduce(plan, weights, claims, &mut tallying)?;
    Ok(tallying.tally)
}

fn claim<S: Scalar, C: Channel<S = S>>(
    plan: &Plan,
    tensor: TensorId,
    channel: &mut C,
) -> TensorClaim<S> {
    TensorClaim {
        tensor,
        point: Point::new(channel.sample_vec(plan.num_vars(tensor))),
        value: channel.constant(E::default()),
    }
}
