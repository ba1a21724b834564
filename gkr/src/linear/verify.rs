//! The verifier's end of the linear part: values come from the channel, and every sumcheck's end is
//! compared with the product of its factors.

use super::{Instance, InstanceEnd, Party, Wanted};
use crate::error::VerifyError;
use zkstrata_mle::{E, Point, PrimeCharacteristicRing};
use zkstrata_pcs::{Channel, sumcheck};

/// Label of a value sent in the course of the walk.
pub(super) const OPERAND: &str = "linear operand";
/// Label of the end values of a stage's factors.
pub(super) const FACTORS: &str = "linear factors";

/// Reads the prover's values from a channel.
pub(crate) struct LinearVerifier<'a, C: Channel> {
    /// The channel.
    pub(crate) channel: &'a mut C,
}

fn malformed() -> VerifyError {
    VerifyError::Key("a sumcheck's point does not fit its factors".into())
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
        let shapes: Vec<_> = instances.iter().map(super::shape).collect();
        let reduced = sumcheck::verify(&shapes, claims, self.channel)?;
        let count = instances.iter().map(Instance::end_values).sum();
        let mut values = self.channel.recv(FACTORS, count)?.into_iter();
        let mut rest = reduced.value.clone();
        let mut ends = Vec::with_capacity(instances.len());
        for (instance, &gamma) in instances.iter().zip(&reduced.gammas) {
            let point = reduced.tail(instance.vars());
            let own: Vec<C::S> = values.by_ref().take(instance.end_values()).collect();
            let product = self.product(instance, &point, &own)?;
            rest = rest - product * gamma;
            ends.push((point, own));
        }
        self.channel.assert_zero(rest, "linear factors")?;
        Ok(ends)
    }
}

impl<C: Channel> LinearVerifier<'_, C> {
    /// The summand of an instance at its point, from the factors that the prover sent.
    fn product(
        &mut self,
        instance: &Instance<'_>,
        point: &Point,
        values: &[C::S],
    ) -> Result<C::S, VerifyError> {
        match instance {
            Instance::Functional(f) => {
                let coefficient = f.coefficient_at(point).ok_or_else(malformed)?;
                let value = values.first().ok_or_else(malformed)?;
                Ok(value.clone() * coefficient)
            }
            Instance::Merge(m) => {
                let coefficient = m.coefficient_at(point).ok_or_else(malformed)?;
                let value = values.first().ok_or_else(malformed)?;
                Ok(value.clone() * coefficient)
            }
            Instance::Contract(c) => {
                let coefficient = c.coefficient_at(point).ok_or_else(malformed)?;
                let (a, b) = values.first().zip(values.last()).ok_or_else(malformed)?;
                Ok(self.channel.mul(a, b) * coefficient)
            }
            Instance::Affine(a) => {
                let (eq_groups, eq_taps) = a.coefficients_at(point).ok_or_else(malformed)?;
                let (z, columns) = values.split_last().ok_or_else(malformed)?;
                if columns.len() != eq_taps.len() {
                    return Err(malformed());
                }
                let mut w = self.channel.constant(E::ZERO);
                for (column, &eq) in columns.iter().zip(&eq_taps) {
                    w = w + column.clone() * eq;
                }
                Ok(self.channel.mul(&w, z) * eq_groups)
            }
        }
    }
}
