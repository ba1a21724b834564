//! The walk from claims on tensors to claims on columns and inputs.

use super::op::merge::MergeInstance;
use super::op::{Instance, constant, permute, sum, visits};
use super::op::{affine, contract, gather, map};
use super::party::Party;
use crate::claim::{Claim, Ends, TensorClaim};
use crate::error::VerifyError;
use crate::plan::{Plan, WeightPlan};
use std::collections::{BTreeMap, VecDeque};
use zkstrata_mle::{E, Point, PrimeCharacteristicRing, tensor_vars};
use zkstrata_model_ir::int::{BiasId, Node, Op, TensorId};

/// The state of a walk.
pub(super) struct Walk<'a, P: Party> {
    pub(super) plan: &'a Plan,
    weights: &'a WeightPlan,
    pub(super) party: &'a mut P,
    ends: Ends<P::V>,
    queue: VecDeque<TensorClaim<P::V>>,
    /// Claims that wait to be merged, by level and tensor.
    held: BTreeMap<(usize, TensorId), Vec<TensorClaim<P::V>>>,
    instances: Vec<Instance<'a>>,
    claims: Vec<P::V>,
}

/// Reduces claims on tensors to claims on committed columns and inputs.
///
/// # Soundness
/// Accepting establishes the given claims if the returned ones hold, up to the error of the
/// batched sumchecks and of the merging before them: per stage
/// `(instances + merged + rounds * degree) / |E|`.
pub(crate) fn reduce<P: Party>(
    plan: &Plan,
    weights: &WeightPlan,
    claims: Vec<TensorClaim<P::V>>,
    party: &mut P,
) -> Result<Ends<P::V>, VerifyError> {
    let mut walk = Walk {
        plan,
        weights,
        party,
        ends: Ends {
            witness: Vec::new(),
            weights: Vec::new(),
            inputs: Vec::new(),
            ports: BTreeMap::new(),
        },
        queue: claims.into(),
        held: BTreeMap::new(),
        instances: Vec::new(),
        claims: Vec::new(),
    };
    loop {
        if let Some(claim) = walk.queue.pop_front() {
            walk.step(claim)?;
        } else if !walk.instances.is_empty() {
            walk.stage()?;
        } else if !walk.held.is_empty() {
            walk.merge()?;
        } else {
            return Ok(walk.ends);
        }
    }
}

/// A key whose parts do not fit together; keys are validated, so this is not reached.
pub(super) fn malformed(node: &Node) -> VerifyError {
    VerifyError::Key(format!("node `{}` does not fit its operands", node.name))
}

impl<'a, P: Party> Walk<'a, P> {
    /// Holds a claim that is to be merged, or moves it on.
    fn step(&mut self, claim: TensorClaim<P::V>) -> Result<(), VerifyError> {
        match self.plan.merge_level(claim.tensor) {
            Some(level) => {
                let held = self.held.entry((level, claim.tensor)).or_default();
                held.push(claim);
                Ok(())
            }
            None => self.advance(claim),
        }
    }

    /// Merges the claims of the first level that holds some: all of them are there, because nothing
    /// else is left that could lead to it.
    fn merge(&mut self) -> Result<(), VerifyError> {
        let Some((&(level, _), _)) = self.held.first_key_value() else {
            return Ok(());
        };
        let later = self.held.split_off(&(level + 1, TensorId(0)));
        for ((_, tensor), claims) in std::mem::replace(&mut self.held, later) {
            let gamma = self.party.challenge();
            let mut value = self.party.constant(E::ZERO);
            let mut points = Vec::with_capacity(claims.len());
            for (claim, power) in claims.into_iter().zip(gamma.powers()) {
                self.party.spend(claim.point.len())?;
                value = value + claim.value * power;
                points.push((claim.point, power));
            }
            self.add(Instance::Merge(MergeInstance { tensor, points }), value);
        }
        Ok(())
    }

    /// Moves one claim to its operands, ends it, or adds it to the stage.
    pub(super) fn advance(&mut self, claim: TensorClaim<P::V>) -> Result<(), VerifyError> {
        let graph = &self.plan.graph;
        let node = graph.node(claim.tensor);
        self.party.spend(visits(graph, node))?;
        match &node.op {
            Op::Input => self.ends.inputs.push(claim),
            Op::Table { .. } => {
                let column = self.plan.output_column(claim.tensor);
                let column = column.ok_or_else(|| malformed(node))?;
                let end = Claim::of(column, claim.point, claim.value);
                self.ends.witness.push(end);
            }
            Op::Sum { coefs } => sum::step(self, node, coefs, claim)?,
            Op::Permute { axes, perm } => permute::step(self, node, (axes, perm), claim)?,
            Op::Map(map) => map::step(self, node, map, claim)?,
            Op::Gather { map } => gather::step(self, node, map, claim)?,
            Op::Affine(layer) => affine::step(self, node, layer, claim)?,
            Op::Contract(contract) => contract::step(self, node, contract, claim)?,
            Op::Constant { bias } => constant::step(self, node, *bias, &claim)?,
        }
        Ok(())
    }

    /// Takes up a claim later.
    pub(super) fn queue(&mut self, tensor: TensorId, point: Point, value: P::V) {
        self.queue.push_back(TensorClaim {
            tensor,
            point,
            value,
        });
    }

    /// Adds a sumcheck to the stage, whose sum is claimed to be `value`.
    pub(super) fn add(&mut self, instance: Instance<'a>, value: P::V) {
        self.instances.push(instance);
        self.claims.push(value);
    }

    /// Ends in a claim on weights.
    pub(super) fn end_weights(&mut self, claim: Claim<P::V>) {
        self.ends.weights.push(claim);
    }

    /// Ends in a claim on a bias at the coordinates `low` of its axes.
    pub(super) fn end_bias(
        &mut self,
        bias: BiasId,
        low: &[E],
        value: P::V,
    ) -> Result<(), VerifyError> {
        let block = self
            .weights
            .biases
            .get(bias.0)
            .ok_or_else(|| VerifyError::Key(format!("bias {} is missing", bias.0)))?;
        self.party.visit(block.axes.iter().product());
        let vars = tensor_vars(&block.axes);
        let high = self.weights.bias_vars.saturating_sub(vars);
        let at = Point::vertex(block.offset >> vars, high).concat(low);
        self.end_weights(Claim::of(self.weights.bias_column(), at, value));
        Ok(())
    }

    /// Runs the batched sumcheck of a stage and distributes its end values.
    fn stage(&mut self) -> Result<(), VerifyError> {
        let instances = std::mem::take(&mut self.instances);
        let claims = std::mem::take(&mut self.claims);
        let ends = self.party.sumcheck(&instances, &claims)?;
        for (instance, (s, values)) in instances.into_iter().zip(ends) {
            instance.end(&s, values, self)?;
        }
        Ok(())
    }
}
