//! The linear part: claims on tensors become claims on committed columns and public inputs.
//!
//! A claim "the multilinear extension of tensor `t` is `v` at `r`" is reduced through the operator
//! that produces `t`:
//!
//! * sums and permutations move it to the operands, with one value sent per further operand;
//! * affine layers ([`affine`]), index maps and gathers ([`functional`]) and contractions
//!   ([`contract`]) need a sumcheck;
//! * table nodes, constants and inputs end it: a committed column, a public tensor;
//! * many claims on one tensor are first merged into one ([`merge`]).
//!
//! The reduction runs in *stages*: all sumchecks whose claims are there run as one batched
//! sumcheck, whose end values are the claims of the next stage. The walk is the same for the
//! prover and the verifier and depends on public data only; they differ in where values come from
//! ([`Party`]).
//!
//! **The padding rule.** Padding cells of committed columns hold anything. Axes that an operator
//! keeps may carry garbage through; axes that it sums over are cut to their real length by
//! factors the verifier knows (index maps, contractions) or by weights that are zero at padding;
//! constants (bias, fill) are multiplied by the mask of the kept axes, a constant tensor by that
//! of the batch.

pub(crate) mod affine;
mod analysis;
pub(crate) mod contract;
pub(crate) mod functional;
pub(crate) mod merge;
#[cfg(feature = "prover")]
mod prove;
mod verify;

pub(crate) use analysis::{Stage, analyse};
#[cfg(feature = "prover")]
pub(crate) use prove::{Contracted, LinearProver};
pub(crate) use verify::LinearVerifier;

use crate::claim::{Claim, Ends, TensorClaim};
use crate::error::VerifyError;
use crate::plan::{Plan, WeightPlan};
use affine::AffineInstance;
use contract::ContractInstance;
use functional::{Functional, Part};
use merge::MergeInstance;
use std::collections::{BTreeMap, VecDeque};
use zkstrata_mle::{
    E, Field, Point, PrimeCharacteristicRing, axis_vars, mask, signed, tensor_vars,
};
use zkstrata_model_ir::int::{BiasId, Graph, MapAxis, Node, Op, TensorId};
use zkstrata_pcs::Scalar;
use zkstrata_pcs::sumcheck::InstanceShape;

/// A value that the prover sends in the course of the walk.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(feature = "prover"), allow(dead_code))] // only a prover looks inside
pub(crate) enum Wanted<'a> {
    /// A tensor at a point.
    Tensor(TensorId, &'a Point),
    /// A bias at a point of its groups and outputs.
    Bias(BiasId, &'a [E]),
}

/// A sumcheck of one operator.
#[derive(Clone, Debug)]
pub(crate) enum Instance<'a> {
    /// Weights times gathered inputs.
    Affine(Box<AffineInstance<'a>>),
    /// A public functional of a tensor.
    Functional(Functional<'a>),
    /// A public factor times two tensors.
    Contract(ContractInstance),
    /// Several claims on a tensor.
    Merge(MergeInstance),
}

impl Instance<'_> {
    /// Number of variables.
    pub(crate) fn vars(&self) -> usize {
        match self {
            Self::Affine(a) => a.vars(),
            Self::Functional(f) => f.vars(),
            Self::Contract(c) => c.vars(),
            Self::Merge(m) => m.vars(),
        }
    }

    /// Degree of the round polynomials.
    pub(crate) fn degree(&self) -> usize {
        match self {
            Self::Affine(a) => a.degree(),
            Self::Functional(_) | Self::Merge(_) => 2,
            Self::Contract(c) => c.degree(),
        }
    }

    /// Number of values that the prover sends at the end.
    pub(crate) fn end_values(&self) -> usize {
        match self {
            Self::Affine(a) => a.taps() + 1,
            Self::Functional(_) | Self::Merge(_) => 1,
            Self::Contract(c) => c.operands.len(),
        }
    }
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

/// The state of a walk.
struct Walk<'a, P: Party> {
    plan: &'a Plan<'a>,
    weights: &'a WeightPlan,
    party: &'a mut P,
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
    plan: &Plan<'_>,
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

/// Cells that one step's public vectors and the loops over windows and entries visit, with one for the step itself.
fn work(graph: &Graph, node: &Node) -> usize {
    let vector = |axis: &MapAxis| {
        let visits = match axis {
            MapAxis::Matrix {
                output, entries, ..
            } => output.saturating_add(entries.len()),
            MapAxis::Keep(_) | MapAxis::Window { .. } => axis.output().saturating_mul(axis.taps()),
        };
        visits.saturating_add(axis.input())
    };
    let vectors = |axes: &[MapAxis]| axes.iter().map(vector).fold(0, usize::saturating_add);
    let cells = match &node.op {
        // The verifier evaluates the input; the batch is counted where it is known.
        Op::Input => node.cells(),
        Op::Table { .. } | Op::Permute { .. } | Op::Contract(_) | Op::Constant { .. } => 0,
        Op::Sum { coefs } => coefs.len(),
        Op::Map(map) => vectors(&map.axes),
        Op::Affine(layer) => vectors(&layer.windows),
        Op::Gather { map } => {
            let inputs = node.inputs.iter().map(|&x| graph.node(x).cells());
            inputs.fold(map.len(), usize::saturating_add)
        }
    };
    cells.saturating_add(1)
}

/// A key whose parts do not fit together; keys are validated, so this is not reached.
fn malformed(node: &Node) -> VerifyError {
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
            let instance = MergeInstance { tensor, points };
            self.instances.push(Instance::Merge(instance));
            self.claims.push(value);
        }
        Ok(())
    }

    /// Moves one claim to its operands, ends it, or adds it to the stage.
    fn advance(&mut self, claim: TensorClaim<P::V>) -> Result<(), VerifyError> {
        let node = self.plan.graph.node(claim.tensor);
        self.party.spend(work(self.plan.graph, node))?;
        let first = || node.inputs.first().copied().ok_or_else(|| malformed(node));
        match &node.op {
            Op::Input => self.ends.inputs.push(claim),
            Op::Table { .. } => {
                let column = self
                    .plan
                    .output_column(claim.tensor)
                    .ok_or_else(|| malformed(node))?;
                let end = Claim::of(column, claim.point, claim.value);
                self.ends.witness.push(end);
            }
            Op::Sum { coefs } => self.sum(node, coefs, claim)?,
            Op::Permute { axes, perm } => {
                let point = permute(self.plan.batch, axes, perm, &claim.point)
                    .ok_or_else(|| malformed(node))?;
                self.queue.push_back(TensorClaim {
                    tensor: first()?,
                    point,
                    value: claim.value,
                });
            }
            Op::Map(map) => {
                let batch = self.plan.batch;
                let functional = functional::of_map(map, batch, first()?, &claim.point)
                    .ok_or_else(|| malformed(node))?;
                let mut value = claim.value;
                if map.fill != 0 {
                    let fill = || functional::fill_at(map, batch, &claim.point);
                    let fill = self.party.computed(fill).ok_or_else(|| malformed(node))?;
                    value = value - fill;
                }
                self.functional(functional, value);
            }
            Op::Gather { map } => {
                let input = first()?;
                let axes = &self.plan.graph.node(input).axes;
                let functional = functional::of_gather(
                    map,
                    self.plan.batch,
                    (input, axes),
                    &node.axes,
                    &claim.point,
                )
                .ok_or_else(|| malformed(node))?;
                self.functional(functional, claim.value);
            }
            Op::Affine(layer) => {
                let instance = AffineInstance::new(layer, self.plan.batch, first()?, &claim.point)
                    .ok_or_else(|| malformed(node))?;
                let mut value = claim.value;
                if let Some(bias) = layer.bias {
                    value = self.subtract_bias(bias, &instance, value)?;
                }
                self.instances.push(Instance::Affine(Box::new(instance)));
                self.claims.push(value);
            }
            Op::Contract(contract) => {
                let batch = self.plan.batch;
                let instance = ContractInstance::new(contract, batch, &node.inputs, &claim.point)
                    .ok_or_else(|| malformed(node))?;
                self.instances.push(Instance::Contract(instance));
                self.claims.push(claim.value);
            }
            Op::Constant { bias } => self.constant(node, *bias, &claim)?,
        }
        Ok(())
    }

    /// `y = sum_k c_k x_k`: the prover sends all `x_k` but the first, which follows.
    fn sum(
        &mut self,
        node: &Node,
        coefs: &[i64],
        claim: TensorClaim<P::V>,
    ) -> Result<(), VerifyError> {
        let mut operands = coefs.iter().zip(&node.inputs);
        let (&c0, &x0) = operands.next().ok_or_else(|| malformed(node))?;
        let mut value = claim.value;
        for (&c, &tensor) in operands {
            let x = self.party.value(Wanted::Tensor(tensor, &claim.point))?;
            value = value - x.clone() * signed(c);
            self.queue.push_back(TensorClaim {
                tensor,
                point: claim.point.clone(),
                value: x,
            });
        }
        let inverse = signed(c0).try_inverse().ok_or_else(|| malformed(node))?;
        self.queue.push_back(TensorClaim {
            tensor: x0,
            point: claim.point,
            value: value * inverse,
        });
        Ok(())
    }

    /// `y - b(r_g, r_o) * mask(kept axes)`.
    fn subtract_bias(
        &mut self,
        bias: BiasId,
        instance: &AffineInstance<'_>,
        value: P::V,
    ) -> Result<P::V, VerifyError> {
        let low = [instance.groups.as_slice(), &instance.outputs].concat();
        let b = self.party.value(Wanted::Bias(bias, &low))?;
        self.claim_bias(bias, &low, b.clone())?;
        Ok(value - b * instance.kept_mask)
    }

    /// The tensor is `c(r) LT_B(r_batch)`, zero at padding inferences: so is the prover's.
    fn constant(
        &mut self,
        node: &Node,
        bias: BiasId,
        claim: &TensorClaim<P::V>,
    ) -> Result<(), VerifyError> {
        let batch = self.plan.batch;
        let (r_batch, r) = claim
            .point
            .split_at_checked(axis_vars(batch))
            .ok_or_else(|| malformed(node))?;
        let inverse = mask(&[batch], r_batch).try_inverse();
        let inverse = inverse.ok_or_else(|| malformed(node))?;
        self.claim_bias(bias, r, claim.value.clone() * inverse)
    }

    /// Ends in a claim on a bias at the coordinates `low` of its axes.
    fn claim_bias(&mut self, bias: BiasId, low: &[E], value: P::V) -> Result<(), VerifyError> {
        let block = self
            .weights
            .biases
            .get(bias.0)
            .ok_or_else(|| VerifyError::Key(format!("bias {} is missing", bias.0)))?;
        self.party.visit(block.axes.iter().product());
        let vars = tensor_vars(&block.axes);
        let high = self.weights.bias_vars.saturating_sub(vars);
        let at = Point::vertex(block.offset >> vars, high).concat(low);
        let claim = Claim::of(self.weights.bias_column(), at, value);
        self.ends.weights.push(claim);
        Ok(())
    }

    /// Adds a functional to the stage, or moves the claim if nothing is summed.
    fn functional(&mut self, functional: Functional<'a>, value: P::V) {
        if let Some(point) = functional.as_point() {
            self.queue.push_back(TensorClaim {
                tensor: functional.tensor,
                point,
                value,
            });
        } else {
            self.instances.push(Instance::Functional(functional));
            self.claims.push(value);
        }
    }

    /// Runs the batched sumcheck of a stage and distributes its end values.
    fn stage(&mut self) -> Result<(), VerifyError> {
        let instances = std::mem::take(&mut self.instances);
        let claims = std::mem::take(&mut self.claims);
        let ends = self.party.sumcheck(&instances, &claims)?;
        for (instance, (point, values)) in instances.into_iter().zip(ends) {
            let missing = || VerifyError::Key("a sumcheck's end values do not fit".into());
            let mut values = values.into_iter();
            match instance {
                Instance::Functional(f) => {
                    let value = values.next().ok_or_else(missing)?;
                    self.queue.push_back(TensorClaim {
                        tensor: f.tensor,
                        point: f.end_point(&point).ok_or_else(missing)?,
                        value,
                    });
                }
                Instance::Contract(c) => {
                    for operand in &c.operands {
                        self.queue.push_back(TensorClaim {
                            tensor: operand.tensor,
                            point: c.end_point(operand, &point).ok_or_else(missing)?,
                            value: values.next().ok_or_else(missing)?,
                        });
                    }
                }
                Instance::Merge(m) => {
                    self.advance(TensorClaim {
                        tensor: m.tensor,
                        point,
                        value: values.next().ok_or_else(missing)?,
                    })?;
                }
                Instance::Affine(a) => {
                    let (at, input) = a.end(&point).ok_or_else(missing)?;
                    let tap = |column| Some((column, values.next()?));
                    let columns = a.columns().map(tap).collect::<Option<_>>();
                    let columns = columns.ok_or_else(missing)?;
                    self.ends.weights.push(Claim { at, columns });
                    let z = values.next().ok_or_else(missing)?;
                    self.functional(input, z);
                }
            }
        }
        Ok(())
    }
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

/// Axes that are fixed at these coordinates.
fn fixed<'a>(coordinates: &[E]) -> Part<'a> {
    Part::Fixed(coordinates.to_vec())
}

/// What the batched sumcheck knows of an instance.
fn shape(instance: &Instance<'_>) -> InstanceShape {
    InstanceShape {
        num_vars: instance.vars(),
        degree: instance.degree(),
    }
}
