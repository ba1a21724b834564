//! Raw accumulators: what they are read as, and their small forms.
//!
//! A raw accumulator's scale is what its operands' scales make it. The small form at scale `t` of a
//! raw accumulator `X` of scale `r` is `(m X + 2^(S-1)) >> S` with `m = r / t 2^S` rounded.

use super::calibration::Range;
use super::forms::Form;
use super::function::Curve;
use super::lower::{Handle, Lowered};
use super::{Error, policy};
use crate::exact::{exp2, log2_ceil, log2_floor, log2_round};
use crate::float::ValueId;
use crate::int::{Interval, MAX_SHIFT, Op, TensorId};

/// `S` with a ratio of `2^-S`, nearly.
fn power_of_two(ratio: f64) -> Option<i32> {
    let power = -log2_round(ratio);
    let nearly = (ratio * exp2(power) - 1.0).abs() < policy::NEARLY_POWER;
    (nearly && power >= 0).then_some(power)
}

impl Lowered<'_> {
    /// Bits that a multiplier must have for its rounding not to be felt.
    pub(super) fn multiplier_bits(&self) -> i32 {
        self.plan.facts.profile.bits() as i32 + policy::MULTIPLIER_BITS
    }

    /// A raw accumulator.
    pub(super) fn raw(tensor: TensorId, scale: f64) -> Handle {
        Handle {
            tensor,
            shift: 0,
            small: false,
            scale,
        }
    }

    /// The operand as it is if its magnitude is at most `limit`, or small.
    pub(super) fn operand(&mut self, value: ValueId, limit: u64) -> Result<Handle, Error> {
        let handle = self.values[value.0];
        let fits = self.interval(handle.tensor).max_abs() <= limit;
        let linear = self.plan.forms.of(value.0) == Form::Linear;
        // A sum that is read often is committed: each reader makes a claim on all its terms.
        let sum = self.plan.node(value.0).op.adds() && self.plan.forms.of(value.0) == Form::Raw;
        let fits = fits && !(sum && self.plan.facts.consumers[value.0].len() >= policy::READERS);
        if fits && !(linear && self.plan.needs.small(value.0)) {
            return Ok(handle);
        }
        self.small(value)
    }

    /// `m X` and `S` with `m 2^-S` the ratio of its scale to `unit`, `m` of `bits` bits; for value
    /// `v`.
    pub(super) fn multiplied(
        &mut self,
        v: usize,
        x: Handle,
        unit: f64,
        bits: i32,
    ) -> Result<(TensorId, u32), Error> {
        let name = &self.plan.node(v).name;
        let x = self.roomy(v, x, unit, bits)?;
        let ratio = x.scale / unit;
        if let Some(power) = power_of_two(ratio) {
            return Ok((x.tensor, power as u32));
        }
        // As many bits as there is room for.
        let room = self.multiplier_room(x, unit);
        let bits = bits.min(room.max(1));
        let shift = (bits - log2_floor(ratio)).max(1);
        let shift = if bits < room {
            shift.max(self.shift as i32)
        } else {
            shift
        };
        let multiplier = (ratio * exp2(shift)).round();
        if multiplier > policy::MOST_COEFFICIENT {
            return Err(Error::Scale {
                node: name.clone(),
                scale: ratio,
            });
        }
        let tensor = self.weighted_sum(name, &[(multiplier as i64, x.tensor)])?;
        Ok((tensor, shift as u32))
    }

    /// The accumulator `x` without the lowest digits that are no part of a `unit`, if they leave too
    /// little room for a multiplier.
    fn roomy(&mut self, v: usize, x: Handle, unit: f64, bits: i32) -> Result<Handle, Error> {
        let enough = policy::ENOUGH_MULTIPLIER_BITS;
        let lacking = bits.min(enough) - self.multiplier_room(x, unit);
        let spare = log2_floor(unit / x.scale) - enough;
        let digits = lacking.min(spare);
        if digits <= 0 || x.shift > 0 {
            return Ok(x);
        }
        let tensor = self.digits(v, x.tensor, digits as u32)?;
        let scale = x.scale * exp2(digits);
        Ok(Handle { tensor, scale, ..x })
    }

    /// Bits of the largest multiplier that brings an accumulator to `unit`: products have bounds, and so
    /// do shifts. A ratio that is a power of two needs no multiplier.
    fn multiplier_room(&self, x: Handle, unit: f64) -> i32 {
        let products = self.interval(x.tensor).max_abs().leading_zeros() as i32 - 4;
        let (ratio, most) = (x.scale / unit, MAX_SHIFT as i32);
        match power_of_two(ratio) {
            Some(power) if power <= most => products,
            _ => products.min(most + log2_floor(ratio)),
        }
    }

    /// The factor by which [`multiplied`](Self::multiplied) made `product` of `x`.
    pub(super) fn coefficient(&self, product: TensorId, x: TensorId) -> i64 {
        match &self.nodes[product.0].op {
            Op::Sum { coefs } if product != x => coefs[0],
            _ => 1,
        }
    }

    /// The small form of a raw accumulator of value `v`.
    pub(super) fn requantised(&mut self, v: usize, mut x: Handle) -> Result<Handle, Error> {
        let name = &self.plan.node(v).name;
        let (lo, hi) = self.plan.bits.interval(v);
        let bounds = self.interval(x.tensor);
        let loose = self.plan.ties.is_loose(v) && !self.plan.ties.is_whole(v);
        // What was always 0 and is tied to nothing has the scale at which all of it fits.
        let wanted = if loose && self.plan.facts.ranges[v].size() <= 0.0 {
            x.scale * (bounds.max_abs() as f64 / hi.max(1) as f64).max(1.0)
        } else {
            self.plan.scales.of(v)
        };
        // A value of which integers are asked is rounded on their grid.
        let gridded = self.plan.scales.is_dyadic(v);
        let wanted = if loose && gridded {
            exp2(log2_ceil(wanted))
        } else {
            wanted
        };
        let shift = log2_ceil(wanted / x.scale);
        let (scale, shift) = if loose && !gridded {
            let shift = shift.max(0);
            (x.scale * exp2(shift), shift)
        } else {
            let (tensor, shift) = self.multiplied(v, x, wanted, self.multiplier_bits())?;
            x.tensor = tensor;
            (wanted, shift as i32)
        };
        let within = Interval { lo, hi }.covers(bounds);
        let small = |tensor| Handle {
            tensor,
            shift: 0,
            small: true,
            scale,
        };
        if shift == 0 && within {
            return Ok(small(x.tensor));
        }
        let tensor = x.tensor;
        let Range {
            lo: least,
            hi: most,
        } = self.plan.facts.ranges[v];
        let range = Range {
            lo: least / scale,
            hi: most / scale,
        };
        let shift = u32::try_from(shift).map_err(|_| Error::overflow(name))?;
        let curve = Curve::Clamp { lo, hi };
        Ok(small(self.lookup_seen(v, tensor, curve, shift, range)?))
    }
}
