//! A dry run of the walk: how many stages, rounds and claims a model needs. It depends on the
//! graph and the batch size only.

use super::op::Instance;
use super::party::{InstanceEnd, Party, Wanted};
use super::walk::reduce;
use crate::claim::{TensorClaim, count};
use crate::error::VerifyError;
use crate::plan::{Plan, WeightPlan};
use zkstrata_mle::{E, Point, PrimeCharacteristicRing};
use zkstrata_model_ir::int::TensorId;

/// Most values that the prover sends in the walk, each of which becomes a claim: a proof of a MiB.
const MAX_CLAIMS: usize = 1 << 16;

/// Most cells of public vectors that a verification may visit: it takes milliseconds, and a hostile
/// key cannot make it take hours.
const MAX_WORK: usize = 1 << 26;

/// One batched sumcheck.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stage {
    /// Number of instances.
    pub(crate) instances: usize,
    /// Claims that are merged into others.
    pub(crate) merged: usize,
    /// Rounds.
    pub(crate) rounds: usize,
    /// Largest degree.
    pub(crate) degree: usize,
}

/// What the linear part of a model costs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Analysis {
    /// The stages in order.
    pub(crate) stages: Vec<Stage>,
    /// Claims on activations and multiplicities, those of the lookups included.
    pub(crate) witness_claims: usize,
    /// Claims on weights and biases.
    pub(crate) weight_claims: usize,
    /// Weights and biases that a verifier visits who evaluates the claims on them itself.
    pub(crate) weight_cells: usize,
    values: usize,
    work: usize,
}

impl Party for Analysis {
    type V = E;

    fn constant(&mut self, _: E) -> E {
        E::ZERO
    }

    fn computed(&mut self, _: impl FnOnce() -> Option<E>) -> Option<E> {
        Some(E::ZERO)
    }

    fn spend(&mut self, work: usize) -> Result<(), VerifyError> {
        self.work = self.work.saturating_add(work);
        if self.work > MAX_WORK {
            return Err(VerifyError::Key(format!(
                "the linear part visits more than {MAX_WORK} cells"
            )));
        }
        Ok(())
    }

    fn visit(&mut self, entries: usize) {
        self.weight_cells = self.weight_cells.saturating_add(entries);
    }

    fn value(&mut self, _: Wanted<'_>) -> Result<E, VerifyError> {
        self.values += 1;
        if self.values > MAX_CLAIMS {
            return Err(too_many());
        }
        Ok(E::ZERO)
    }

    fn challenge(&mut self) -> E {
        E::ZERO
    }

    fn sumcheck(
        &mut self,
        instances: &[Instance<'_>],
        _: &[E],
    ) -> Result<Vec<InstanceEnd<E>>, VerifyError> {
        self.values += instances.iter().map(Instance::sent).sum::<usize>();
        if self.values > MAX_CLAIMS {
            return Err(too_many());
        }
        let mut stage = Stage {
            instances: instances.len(),
            ..Stage::default()
        };
        for instance in instances {
            let cost = instance.cost();
            self.weight_cells = self.weight_cells.saturating_add(cost.weights);
            stage.merged += cost.points.saturating_sub(1);
            stage.rounds = stage.rounds.max(instance.vars());
            stage.degree = stage.degree.max(instance.degree());
        }
        self.stages.push(stage);
        Ok(instances
            .iter()
            .map(|i| {
                let point = Point::new(vec![E::ZERO; i.vars()]);
                (point, vec![E::ZERO; i.sent()])
            })
            .collect())
    }
}

fn too_many() -> VerifyError {
    VerifyError::Key(format!(
        "the linear part needs more than {MAX_CLAIMS} claims: split the model"
    ))
}

/// Walks the graph with empty values.
pub(crate) fn analyse(plan: &Plan, weights: &WeightPlan) -> Result<Analysis, VerifyError> {
    let zero = |tensor: TensorId| TensorClaim {
        tensor,
        point: Point::new(vec![E::ZERO; plan.num_vars(tensor)]),
        value: E::ZERO,
    };
    let arguments = plan.blocks.iter().map(|b| zero(b.input));
    let outputs = plan.graph.outputs.iter().map(|o| zero(o.tensor));
    let mut analysis = Analysis::default();
    let ends = reduce(
        plan,
        weights,
        arguments.chain(outputs).collect(),
        &mut analysis,
    )?;
    // Every column at one point, and limbs with blocks of their own at a second one.
    let columns: usize = plan.witness.iter().map(|t| t.width).sum();
    let own: usize = plan.blocks.iter().map(|b| b.own_limbs().len()).sum();
    let lookups = columns + own;
    analysis.witness_claims = count(&ends.witness) + lookups;
    analysis.weight_claims = count(&ends.weights);
    Ok(analysis)
}
