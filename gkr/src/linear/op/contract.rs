//! Contractions: products of two activations, summed over some of their axes.
//!
//! Labels in both operands are shared, the batch first; each is kept in the output or summed. A
//! claim on the output is `y = Y(r_A, r_B, r_K)`, with `r_A` of the labels that only `A` has, `r_B`
//! of those that only `B` has and `r_K` of the kept ones, and
//!
//! ```text
//! y = sum_{x_K, x_S} C(x) A(r_A, x) B(r_B, x)
//! C(x) = eq(r_K, x_K) prod_{a in S} LT_{n_a}(x_a)
//! ```
//!
//! One sumcheck over all variables of shared labels, degree 3, or 2 if `C` is 1, ends in the two
//! claims `A(r_A, s)` and `B(r_B, s)`; the verifier evaluates `C(s)`. Kept axes carry padding
//! through, and `LT` cuts a summed axis to its length, which needs none if that is a power of two
//! (the padding rule). Soundness error: `degree * vars / |E|`.

use super::{Cost, Instance, Sumcheck, unfit};
#[cfg(feature = "prover")]
use super::{Factors, Run, affine::Contracted, product_table};
use crate::claim::TensorClaim;
use crate::error::VerifyError;
use crate::linear::party::Party;
use crate::linear::walk::{Walk, malformed};
#[cfg(feature = "prover")]
use crate::tensor::{Action, Cells, pad_axes, place_axes};
use zkstrata_mle::{E, Point, axis_vars, eq_eval, mask};
#[cfg(feature = "prover")]
use zkstrata_mle::{PrimeCharacteristicRing, eq_table};
use zkstrata_model_ir::int::{Contract, Node, Role, TensorId};
use zkstrata_pcs::Channel;

/// A label of both operands.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    /// Its length.
    pub(crate) length: usize,
    /// The claim's coordinates if the output has it, too; else it is summed over.
    pub(crate) kept: Option<Vec<E>>,
}

impl Shared {
    /// Number of variables.
    pub(crate) fn vars(&self) -> usize {
        axis_vars(self.length)
    }

    /// Whether the label's share of `C` is 1.
    fn is_trivial(&self) -> bool {
        match &self.kept {
            Some(r) => r.is_empty(),
            None => self.length.is_power_of_two(),
        }
    }
}

/// What an axis of an operand is.
#[derive(Clone, Debug)]
pub(crate) enum Axis {
    /// The shared label of this index.
    Shared(usize),
    /// Fixed at these coordinates of the claim.
    Fixed(Vec<E>),
}

/// `A` or `B`.
#[derive(Clone, Debug)]
pub(crate) struct Operand {
    /// The tensor.
    pub(crate) tensor: TensorId,
    /// Its axes in order, the batch first.
    pub(crate) axes: Vec<Axis>,
}

/// A claim on a contraction's output, cut into the coordinates of its labels.
#[derive(Clone, Debug)]
pub(crate) struct ContractInstance {
    /// `A` and `B`, or only `A` if `B` is the same tensor with the same labels.
    pub(crate) operands: Vec<Operand>,
    /// The shared labels, the batch first.
    pub(crate) shared: Vec<Shared>,
}

impl ContractInstance {
    /// The instance of a claim at `point`, or `None` if the point does not fit.
    pub(crate) fn new(
        contract: &Contract,
        batch: usize,
        inputs: &[TensorId],
        point: &Point,
    ) -> Option<Self> {
        let (r_batch, mut rest) = point.split_at_checked(axis_vars(batch))?;
        let mut coordinates: Vec<&[E]> = vec![&[]; contract.lengths.len()];
        for &label in &contract.output {
            let vars = axis_vars(*contract.lengths.get(label)?);
            let (r, tail) = rest.split_at_checked(vars)?;
            *coordinates.get_mut(label)? = r;
            rest = tail;
        }
        if !rest.is_empty() {
            return None;
        }
        let mut shared = vec![Shared {
            length: batch,
            kept: Some(r_batch.to_vec()),
        }];
        let mut axes = Vec::with_capacity(contract.lengths.len());
        for (label, (&length, r)) in contract.lengths.iter().zip(coordinates).enumerate() {
            let kept = match contract.role(label)? {
                Role::Left | Role::Right => {
                    axes.push(Axis::Fixed(r.to_vec()));
                    continue;
                }
                Role::Kept => Some(r.to_vec()),
                Role::Summed => None,
            };
            axes.push(Axis::Shared(shared.len()));
            shared.push(Shared { length, kept });
        }
        let operand = |tensor: TensorId, labels: &[usize]| {
            let axes = labels.iter().map(|&label| axes.get(label).cloned());
            let axes = std::iter::once(Some(Axis::Shared(0))).chain(axes);
            let axes = axes.collect::<Option<_>>()?;
            Some(Operand { tensor, axes })
        };
        let &[a, b] = inputs else { return None };
        let mut operands = vec![operand(a, &contract.left)?];
        if a != b || contract.left != contract.right {
            operands.push(operand(b, &contract.right)?);
        }
        Some(Self { operands, shared })
    }

    /// Cuts the sumcheck's point into the coordinates of the shared labels.
    fn split<'a>(&self, s: &'a [E]) -> Option<Vec<&'a [E]>> {
        let mut rest = s;
        let mut parts = Vec::with_capacity(self.shared.len());
        for label in &self.shared {
            let (part, tail) = rest.split_at_checked(label.vars())?;
            parts.push(part);
            rest = tail;
        }
        rest.is_empty().then_some(parts)
    }

    /// `C(s)`
    pub(crate) fn coefficient_at(&self, s: &[E]) -> Option<E> {
        let parts = self.split(s)?;
        let factor = |(label, s): (&Shared, _)| match &label.kept {
            Some(r) => eq_eval(r, s),
            None => mask(&[label.length], s),
        };
        Some(self.shared.iter().zip(parts).map(factor).product())
    }

    /// The point of an operand when the sumcheck ended at `s`.
    pub(crate) fn end_point(&self, operand: &Operand, s: &[E]) -> Option<Point> {
        let parts = self.split(s)?;
        let mut coordinates = Vec::new();
        for axis in &operand.axes {
            coordinates.extend_from_slice(match axis {
                Axis::Shared(label) => parts.get(*label)?,
                Axis::Fixed(r) => r,
            });
        }
        Some(Point::new(coordinates))
    }
}

/// Adds a claim on a contraction's output to the stage.
pub(in crate::linear) fn step<P: Party>(
    walk: &mut Walk<'_, P>,
    node: &Node,
    contract: &Contract,
    claim: TensorClaim<P::V>,
) -> Result<(), VerifyError> {
    let batch = walk.plan.batch;
    let instance = ContractInstance::new(contract, batch, &node.inputs, &claim.point)
        .ok_or_else(|| malformed(node))?;
    walk.add(Instance::Contract(instance), claim.value);
    Ok(())
}

impl<'a> Sumcheck<'a> for ContractInstance {
    /// Variables of the shared labels.
    fn vars(&self) -> usize {
        self.shared.iter().map(Shared::vars).sum()
    }

    /// 2, or 3 with `C`.
    fn degree(&self) -> usize {
        2 + usize::from(!self.shared.iter().all(Shared::is_trivial))
    }

    /// `A` and `B`, or the one that both are.
    fn sent(&self) -> usize {
        self.operands.len()
    }

    /// `C(s) A B`
    fn summand<C: Channel>(&self, s: &Point, values: &[C::S], channel: &mut C) -> Option<C::S> {
        let coefficient = self.coefficient_at(s)?;
        let (a, b) = values.first().zip(values.last())?;
        Some(channel.mul(a, b) * coefficient)
    }

    fn end<P: Party>(
        &self,
        s: &Point,
        values: Vec<P::V>,
        walk: &mut Walk<'a, P>,
    ) -> Result<(), VerifyError> {
        let mut values = values.into_iter();
        for operand in &self.operands {
            let point = self.end_point(operand, s).ok_or_else(unfit)?;
            let value = values.next().ok_or_else(unfit)?;
            walk.queue(operand.tensor, point, value);
        }
        Ok(())
    }

    /// `C` unless it is 1, `A` and `B` over the padded shared labels.
    #[cfg(feature = "prover")]
    fn factors<C: Cells>(&self, run: &Run<'_, C>) -> Factors {
        let mut factors = Vec::with_capacity(3);
        if self.degree() == 3 {
            factors.push(product_table(self.shared.iter().map(
                |label| match &label.kept {
                    Some(r) => eq_table(r, 1 << r.len(), E::ONE),
                    None => pad_axes(&[label.length], &vec![E::ONE; label.length]),
                },
            )));
        }
        factors.extend(
            self.operands
                .iter()
                .map(|operand| self.operand(operand, run)),
        );
        if self.operands.len() == 1 {
            factors.extend(factors.last().cloned());
        }
        Factors::of(factors)
    }

    #[cfg(feature = "prover")]
    fn values(&self, factors: &[E], _: &[E], _: &Point, _: &mut Contracted) -> Vec<E> {
        factors[factors.len() - self.operands.len()..].to_vec()
    }

    fn cost(&self) -> Cost {
        let tensors = self.operands.iter().map(|operand| (operand.tensor, 1));
        Cost {
            weights: 0,
            tensors: tensors.collect(),
            points: 0,
        }
    }
}

#[cfg(feature = "prover")]
impl ContractInstance {
    /// An operand with its own labels fixed, its shared ones in their order.
    fn operand<C: Cells>(&self, operand: &Operand, run: &Run<'_, C>) -> Vec<E> {
        let mut actions: Vec<Action<'_>> = Vec::with_capacity(operand.axes.len());
        let mut strides = Vec::with_capacity(operand.axes.len());
        for axis in &operand.axes {
            actions.push(match axis {
                Axis::Fixed(r) => Action::Fix(r),
                Axis::Shared(label) => {
                    let length = self.shared[*label].length;
                    if length > 1 {
                        let inner = self.shared[label + 1..].iter().map(Shared::vars);
                        strides.push(1 << inner.sum::<usize>());
                    }
                    Action::Keep(vec![length])
                }
            });
        }
        let (axes, values) = run.tensors[operand.tensor.0].apply(&actions);
        let axes: Vec<usize> = axes.into_iter().filter(|&n| n > 1).collect();
        place_axes(&axes, &strides, 1 << self.vars(), &values)
    }
}
