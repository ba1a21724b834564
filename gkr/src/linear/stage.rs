//! The batched sumcheck of a stage, and the values that are sent in the course of the walk: the
//! verifier's end and the prover's, in the same order of statements.
//!
//! The verifier compares what the rounds came down to with the summands of all instances, which it
//! makes of the values that the prover sends for their factors.

use super::op::Instance;
#[cfg(feature = "prover")]
use super::op::affine::Contracted;
#[cfg(feature = "prover")]
use super::op::{Factors, Run};
use super::party::{InstanceEnd, Party, Wanted};
use crate::error::VerifyError;
#[cfg(feature = "prover")]
use crate::tensor::{Cells, Tensor};
#[cfg(feature = "prover")]
use rayon::prelude::*;
use zkstrata_mle::E;
#[cfg(feature = "prover")]
use zkstrata_model_ir::int::Model;
#[cfg(feature = "prover")]
use zkstrata_pcs::ProverTape;
#[cfg(feature = "prover")]
use zkstrata_pcs::sumcheck::{Bound, Factor};
use zkstrata_pcs::{Channel, sumcheck};

/// Label of a value sent in the course of the walk.
const OPERAND: &str = "linear operand";
/// Label of the end values of a stage's factors.
const FACTORS: &str = "linear factors";

/// Reads the prover's values from a channel.
pub(crate) struct LinearVerifier<'a, C: Channel> {
    /// The channel.
    pub(crate) channel: &'a mut C,
}

impl<C: Channel> Party for LinearVerifier<'_, C> {
    type V = C::S;

    fn constant(&mut self, value: E) -> C::S {
        self.channel.constant(value)
    }

    fn computed(&mut self, value: impl FnOnce() -> Option<E>) -> Option<C::S> {
        value().map(|value| self.channel.constant(value))
    }

    fn value(&mut self, _: Wanted<'_>) -> Result<C::S, VerifyError> {
        Ok(self.channel.recv_one(OPERAND)?)
    }

    fn challenge(&mut self) -> E {
        self.channel.sample()
    }

    fn sumcheck(
        &mut self,
        instances: &[Instance<'_>],
        claims: &[C::S],
    ) -> Result<Vec<InstanceEnd<C::S>>, VerifyError> {
        let shapes: Vec<_> = instances.iter().map(Instance::shape).collect();
        let reduced = sumcheck::verify(&shapes, claims, self.channel)?;
        let count = instances.iter().map(Instance::sent).sum();
        let mut values = self.channel.recv(FACTORS, count)?.into_iter();
        let mut rest = reduced.value.clone();
        let mut ends = Vec::with_capacity(instances.len());
        for (instance, &gamma) in instances.iter().zip(&reduced.gammas) {
            let point = reduced.tail(instance.vars());
            let own: Vec<C::S> = values.by_ref().take(instance.sent()).collect();
            rest = rest - instance.summand(&point, &own, self.channel)? * gamma;
            ends.push((point, own));
        }
        self.channel.assert_zero(rest, "linear factors")?;
        Ok(ends)
    }
}

/// Answers the walk from the trace and the model.
#[cfg(feature = "prover")]
pub(crate) struct LinearProver<'a, C> {
    /// The model with its weights.
    pub(crate) model: &'a Model,
    /// Axes of each bias.
    pub(crate) bias_axes: Vec<&'a [usize]>,
    /// Every tensor of the run.
    pub(crate) tensors: &'a [Tensor<C>],
    /// The tape.
    pub(crate) tape: &'a mut ProverTape,
    /// What of the weights has been contracted, for the opening.
    pub(crate) contracted: &'a mut Contracted,
}

#[cfg(feature = "prover")]
impl<C: Cells> Party for LinearProver<'_, C> {
    type V = E;

    fn constant(&mut self, value: E) -> E {
        value
    }

    fn computed(&mut self, value: impl FnOnce() -> Option<E>) -> Option<E> {
        value()
    }

    fn value(&mut self, wanted: Wanted<'_>) -> Result<E, VerifyError> {
        let value = self.evaluate(wanted);
        self.send_operand(value);
        Ok(value)
    }

    fn challenge(&mut self) -> E {
        self.tape.sample()
    }

    fn sumcheck(
        &mut self,
        instances: &[Instance<'_>],
        claims: &[E],
    ) -> Result<Vec<InstanceEnd<E>>, VerifyError> {
        let _span = tracing::debug_span!("linear stage", instances = instances.len()).entered();
        let (_, ends) = self.bind(instances, claims);
        self.send_factors(&ends);
        Ok(ends)
    }
}

#[cfg(feature = "prover")]
impl<C: Cells> LinearProver<'_, C> {
    /// A value of the run.
    pub(crate) fn evaluate(&self, wanted: Wanted<'_>) -> E {
        match wanted {
            Wanted::Tensor(tensor, point) => self.tensors[tensor.0].eval(point),
            Wanted::Bias(bias, point) => {
                let axes = self.bias_axes[bias.0];
                zkstrata_mle::eval_dense(&self.model.biases[bias.0], axes, point)
            }
        }
    }

    /// Sends a value that the walk asked for.
    pub(crate) fn send_operand(&mut self, value: E) {
        self.tape.send(OPERAND, &[value]);
    }

    /// The rounds of a stage's sumcheck, and its ends, which are still to be sent.
    pub(crate) fn bind(
        &mut self,
        instances: &[Instance<'_>],
        claims: &[E],
    ) -> (Bound, Vec<InstanceEnd<E>>) {
        let run = Run {
            model: self.model,
            tensors: self.tensors,
        };
        let factors = |instance: &Instance<'_>| {
            let Factors { tables, weights } = instance.factors(&run);
            let factors = tables.into_iter().map(Factor::Ext).collect();
            (sumcheck::Instance { factors }, weights)
        };
        let (factors, weights): (Vec<_>, Vec<_>) = instances.par_iter().map(factors).unzip();
        let bound = sumcheck::prove(factors, claims, self.tape);
        let mut ends = Vec::with_capacity(instances.len());
        for ((instance, w), values) in instances.iter().zip(weights).zip(&bound.ends) {
            let point = bound.tail(instance.vars());
            let own = instance.values(values, &w, &point, self.contracted);
            ends.push((point, own));
        }
        (bound, ends)
    }

    /// Sends the values at a stage's ends.
    pub(crate) fn send_factors(&mut self, ends: &[InstanceEnd<E>]) {
        let message: Vec<E> = ends.iter().flat_map(|(_, own)| own).copied().collect();
        self.tape.send(FACTORS, &message);
    }
}
