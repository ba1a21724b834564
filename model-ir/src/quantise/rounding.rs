//! Functions onto integers: rounding down, up and towards zero, quotients of integers, indices.
//!
//! The largest integer below `x` is a shift: with `x = h X` and `m = h 2^S` rounded it is
//! `(m X + m / 2) >> S`, where the half unit keeps multiples that are integers on their side of
//! the step; it is exact when `h` is a power of two. Above is `-floor(-x)`, and towards zero
//! `floor(max(x, 0)) - floor(max(-x, 0))`. The nearest integer, the even one of two, is
//! `floor(x / 2 + 1 / 4) - floor(1 / 4 - x / 2)`.
//!
//! A quotient of integers is `floor(n / d) = (m n + c) >> S` with `m = ceil(2^S / d)`: with
//! `e = m d - 2^S` it is exact if `0 <= e n + c d < 2^S` for every `n` (Granlund and Montgomery,
//! Division by Invariant Integers using Multiplication, PLDI 1994, theorem 4.2). A quotient of
//! more values than a table has rows is found in two digits: its remainder modulo `2^k` is the
//! quotient of `n - 2^k d floor(n / (2^k d))`.

use super::Error;
use super::function::Curve;
use super::lookup::Rounding;
use super::lower::{Handle, Lowered};
use super::whole::indices;
use super::{extremes, policy};
use crate::exact::{exp2, log2_floor};
use crate::float::Activation;
use crate::int::{Interval, MAX_FACTOR, MAX_SHIFT, TensorId};

/// What is counted when a value is rounded down: steps of this length, from some quarters of a
/// step below 0 on, and between which bounds the count is kept.
#[derive(Clone, Copy)]
struct Step {
    length: f64,
    quarters: i64,
    bounds: (i64, i64),
}

/// Where a real number is rounded to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Way {
    Down,
    Up,
    /// The even one of two nearest integers.
    Nearest,
    TowardsZero,
}

impl Lowered<'_> {
    /// The function of value `v`, which rounds the accumulator `x`.
    pub(super) fn rounded(&mut self, v: usize, way: Way, x: Handle) -> Result<TensorId, Error> {
        let name = &self.plan.node(v).name;
        let x = match way {
            Way::Down | Way::Up if self.is_fraction(x) => x,
            _ => self.legible(v, x)?,
        };
        let minus = |lowered: &mut Self, x: TensorId| lowered.weighted_sum(name, &[(-1, x)]);
        let below = |lowered: &mut Self| {
            let tensor = minus(lowered, x.tensor)?;
            Ok::<_, Error>(Handle { tensor, ..x })
        };
        let (lo, hi) = self.plan.bits.interval(v);
        let units = |lo, hi| Step {
            length: 1.0,
            quarters: 0,
            bounds: (lo, hi),
        };
        match way {
            Way::Down => self.floor(v, x, Activation::Floor, units(lo, hi)),
            Way::Up => {
                let x = below(self)?;
                let floor = self.floor(v, x, Activation::Floor, units(-hi, -lo))?;
                minus(self, floor)
            }
            Way::Nearest => {
                let most = lo.abs().max(hi.abs());
                let halves = Step {
                    length: 2.0,
                    quarters: 1,
                    bounds: (-most, most),
                };
                let above = self.floor(v, x, Activation::Floor, halves)?;
                let x = below(self)?;
                let below = self.floor(v, x, Activation::Floor, halves)?;
                self.weighted_sum(name, &[(1, above), (-1, below)])
            }
            Way::TowardsZero => {
                let above = self.floor(v, x, Activation::Relu, units(0, hi.max(0)))?;
                if self.interval(x.tensor).lo >= 0 {
                    return Ok(above);
                }
                let x = below(self)?;
                let below = self.floor(v, x, Activation::Relu, units(0, (-lo).max(0)))?;
                self.weighted_sum(name, &[(1, above), (-1, below)])
            }
        }
    }

    /// Whether `x` is always between -1 and 1, so that its sign says what it is rounded down to.
    fn is_fraction(&self, x: Handle) -> bool {
        x.shift == 0 && self.interval(x.tensor).max_abs() as f64 * x.scale < 1.0
    }

    /// The accumulator `x` without the digits of a unit beyond those that single precision has: a
    /// product of fine numbers has so many that there is no room for its multiple.
    fn legible(&mut self, v: usize, x: Handle) -> Result<Handle, Error> {
        let beyond = -policy::UNIT_BITS - log2_floor(x.scale);
        let room = policy::ROUNDED_SHIFT + log2_floor(x.scale);
        let roomy = x.shift > 0 && room >= policy::ENOUGH_MULTIPLIER_BITS;
        if roomy || beyond <= policy::SPARE_DIGITS {
            return Ok(x);
        }
        let tensor = self.digits(v, x.tensor, beyond as u32)?;
        let scale = x.scale * exp2(beyond);
        let shift = x.shift.saturating_sub(beyond as u32);
        Ok(Handle {
            tensor,
            shift,
            scale,
            ..x
        })
    }

    /// `f(floor(x / length + quarters / 4))` for a function of integers.
    fn floor(&mut self, v: usize, x: Handle, f: Activation, step: Step) -> Result<TensorId, Error> {
        let Step {
            length,
            quarters,
            bounds: (lo, hi),
        } = step;
        let node = self.plan.node(v);
        if quarters == 0 && f == Activation::Floor && self.is_fraction(x) {
            let curve = Curve::Real {
                function: f,
                step: exp2(-1 - policy::STEP_BITS as i32),
                unit: self.plan.scales.of(v),
                lo,
                hi,
            };
            return self.step(&node.name, x.tensor, curve);
        }
        let room = policy::ROUNDED_SHIFT + log2_floor(x.scale / length);
        let bits = policy::UNIT_BITS.min(room);
        let (mut tensor, mut shift) = self.multiplied(v, x, length, bits)?;
        // What the multiplier rounds, and half a step of the value, but less than would be felt; of
        // integers that the model has itself what single precision rounds.
        let given = self.plan.ties.fixed(node.inputs[0].0).is_some();
        let [own, multiple] = [x.tensor, tensor].map(|x| self.interval(x).max_abs());
        let rounded = (own / 2 + 1) as i64;
        let unsure = match self.coefficient(tensor, x.tensor) {
            1 => 0,
            _ if given => rounded + (multiple >> policy::SINGLE_DIGITS) as i64,
            multiplier => rounded.max(multiplier / 2),
        };
        let mut more = unsure.min(self.most_unsure(v, length, shift));
        if quarters > 0 {
            if shift < 2 {
                tensor = self.weighted_sum(&node.name, &[(4, tensor)])?;
                (shift, more) = (shift + 2, 4 * more);
            }
            more += quarters << (shift - 2);
        }
        let size = self.plan.facts.ranges[node.inputs[0].0].size() / length + 1.0;
        let calibrated = super::calibration::Range {
            lo: -size,
            hi: size,
        };
        let curve = Curve::Real {
            function: f,
            step: 1.0,
            unit: self.plan.scales.of(v),
            lo,
            hi,
        };
        let rounding = Rounding::Above(more);
        self.lookup(&node.name, tensor, curve, shift, rounding, Some(calibrated))
    }

    /// By how much, in parts `2^-shift` of a step of this length, a multiple that is an integer may
    /// seem less than it: a small part of a step and of what is rounded, and by nothing where the
    /// integer is compared with that.
    fn most_unsure(&self, v: usize, length: f64, shift: u32) -> i64 {
        let facts = &self.plan.facts;
        let operand = facts.node(v).inputs[0].0;
        let source = extremes::origin(facts.graph, operand);
        let compared = |&c: &usize| {
            let inputs = &facts.node(c).inputs;
            let joins = facts.op(c).subtracts() || facts.op(c).takes_larger();
            joins
                && inputs
                    .iter()
                    .any(|u| extremes::origin(facts.graph, u.0) == source)
        };
        if facts.consumers[v].iter().any(compared) {
            return 0;
        }
        let most = exp2(shift as i32 - policy::UNSURE_DIGITS as i32);
        let size = facts.ranges[operand].size() / length;
        (most * if size > 0.0 { size.min(1.0) } else { 1.0 }) as i64
    }

    /// `floor(x / divisor)` of integers, for value `v`.
    pub(super) fn quotient(
        &mut self,
        v: usize,
        x: TensorId,
        divisor: i64,
    ) -> Result<TensorId, Error> {
        let bounds = self.interval(x);
        self.quotient_within(v, x, divisor, bounds)
    }

    /// The same, for a dividend that is known to lie within `bounds`.
    fn quotient_within(
        &mut self,
        v: usize,
        x: TensorId,
        divisor: i64,
        bounds: Interval,
    ) -> Result<TensorId, Error> {
        let name = &self.plan.node(v).name;
        let Interval { lo, hi } = bounds;
        let quotients = Interval {
            lo: lo.div_euclid(divisor),
            hi: hi.div_euclid(divisor),
        };
        if divisor == 1 {
            return Ok(x);
        }
        let down = Rounding::Down;
        if hi.abs_diff(lo) < policy::DIVIDENDS {
            let curve = Curve::Real {
                function: Activation::FloorDiv {
                    divisor: u32::try_from(divisor).map_err(|_| Error::overflow(name))?,
                },
                step: 1.0,
                unit: 1.0,
                lo: quotients.lo,
                hi: quotients.hi,
            };
            return self.lookup_within(name, x, curve, 0, down, bounds);
        }
        if quotients.hi.abs_diff(quotients.lo) < policy::QUOTIENTS {
            let (multiplier, more, shift) =
                reciprocal(divisor, bounds).ok_or_else(|| Error::overflow(name))?;
            let x = self.weighted_sum(name, &[(multiplier, x)])?;
            let curve = Curve::Clamp {
                lo: quotients.lo,
                hi: quotients.hi,
            };
            return self.lookup_within(name, x, curve, shift, Rounding::Above(more), quotients);
        }
        let whole = divisor << policy::QUOTIENT_DIGITS;
        let high = self.quotient_within(v, x, whole, bounds)?;
        let rest = self.weighted_sum(name, &[(1, x), (-whole, high)])?;
        let rests = Interval {
            lo: 0,
            hi: whole - 1,
        };
        let low = self.quotient_within(v, rest, divisor, rests)?;
        self.weighted_sum(name, &[(1 << policy::QUOTIENT_DIGITS, high), (1, low)])
    }

    /// `x 2^-shift` to the nearest integer, half up, whatever its size.
    pub(super) fn digits(&mut self, v: usize, x: TensorId, shift: u32) -> Result<TensorId, Error> {
        self.digits_of(v, x, shift, (1_i64 << shift) >> 1)
    }

    /// `(x + more) 2^-shift` rounded down, `0 <= more < 2^shift`: one digit, or two of which the upper
    /// one is `(x + more) 2^-(shift + k)` rounded down.
    fn digits_of(
        &mut self,
        v: usize,
        x: TensorId,
        shift: u32,
        more: i64,
    ) -> Result<TensorId, Error> {
        let name = &self.plan.node(v).name;
        let Interval { lo, hi } = self.interval(x);
        let whole = Interval {
            lo: (lo + more) >> shift,
            hi: (hi + more) >> shift,
        };
        let rounding = Rounding::Above(more);
        let identity = |Interval { lo, hi }| Curve::Clamp { lo, hi };
        if whole.hi.abs_diff(whole.lo) < policy::QUOTIENTS {
            return self.lookup_within(name, x, identity(whole), shift, rounding, whole);
        }
        // The last digit has what is left of the shifts.
        let digits = match MAX_SHIFT.saturating_sub(shift) {
            0 => return Err(Error::overflow(name)),
            left => left.min(policy::QUOTIENT_DIGITS),
        };
        let high = self.digits_of(v, x, shift + digits, more)?;
        let part = self.doubled(name, high, shift + digits)?;
        let rest = self.weighted_sum(name, &[(1, x), (-1, part)])?;
        let digit = Interval {
            lo: 0,
            hi: (1 << digits) - 1,
        };
        let low = self.lookup_within(name, rest, identity(digit), shift, rounding, digit)?;
        self.weighted_sum(name, &[(1 << digits, high), (1, low)])
    }

    /// `2^times x`, by factors that a sum may have.
    fn doubled(&mut self, name: &str, mut x: TensorId, times: u32) -> Result<TensorId, Error> {
        let mut left = times;
        while left > 0 {
            let some = left.min(MAX_FACTOR.ilog2());
            x = self.weighted_sum(name, &[(1 << some, x)])?;
            left -= some;
        }
        Ok(x)
    }

    /// `x`, or `x + length` below 0. What is no index of the axis has no row in the table, so that
    /// it cannot be proven.
    pub(super) fn index(&mut self, v: usize, x: TensorId, length: u32) -> Result<TensorId, Error> {
        let name = &self.plan.node(v).name;
        let bounds = self.interval(x);
        let allowed = indices(length);
        if bounds.lo >= 0 && allowed.covers(bounds) {
            return Ok(x);
        }
        if allowed.covers(bounds) {
            let given = self.step_of(name, x)?;
            let shape = &self.plan.node(v).shape;
            let n = i64::from(length);
            let length = self.broadcast_constant(name, vec![n], &[1], shape)?;
            return self.weighted_sum(name, &[(1, x), (-n, given), (1, length)]);
        }
        let curve = Curve::Real {
            function: Activation::Index { length },
            step: 1.0,
            unit: 1.0,
            lo: 0,
            hi: allowed.hi,
        };
        self.lookup_within(name, x, curve, 0, Rounding::Down, allowed)
    }
}

/// `m`, `c` and `S` with `floor(n / d) = (m n + c) >> S` for every `n` of an interval.
fn reciprocal(divisor: i64, n: Interval) -> Option<(i64, i64, u32)> {
    let d = i128::from(divisor);
    let (below, above) = (i128::from((-n.lo).max(0)), i128::from(n.hi.max(0)));
    (0..62).find_map(|shift| {
        let power = 1_i128 << shift;
        let multiplier = (power + d - 1) / d;
        let excess = multiplier * d - power;
        let more = (below * excess + d - 1) / d;
        let exact = above * excess + more * d < power;
        let fits = || {
            Some((
                i64::try_from(multiplier).ok()?,
                i64::try_from(more).ok()?,
                shift,
            ))
        };
        if exact { fits() } else { None }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn multiplying_divides_exactly() {
        for (lo, hi) in [(0, 5000), (-7000, 9000), (-3000, -10), (-1, 1)] {
            for d in [2, 3, 7, 10, 24, 100, 255, 4096, 9999] {
                let (m, c, s) = reciprocal(d, Interval { lo, hi }).expect("small numbers");
                for n in lo..=hi {
                    assert_eq!((m * n + c) >> s, n.div_euclid(d), "{n} / {d}");
                }
            }
        }
    }

    /// Dividends of up to 40 bits: at their ends, and around multiples of the divisor.
    #[test]
    fn wide_quotients_are_exact() {
        let mut random = crate::float::random::Random::new(5);
        for _ in 0..3000 {
            let (bits, more) = (4 + random.below(37), 1 + random.below(20));
            let mut end = |sign: i64| sign * (random.below(1 << bits) as i64);
            let ends = [end(1), end(-1), end(1)];
            let (lo, hi) = (ends[random.below(2)], ends[2]);
            let (lo, hi) = (lo.min(hi), lo.max(hi));
            let d = 1 + random.below(1 << more) as i64;
            let Some((m, c, s)) = reciprocal(d, Interval { lo, hi }) else {
                panic!("{lo} to {hi} by {d}");
            };
            let quotient = |n: i64| (i128::from(m) * i128::from(n) + i128::from(c)) >> s;
            let middle = lo + ((hi - lo) / 64).max(1) * random.below(64) as i64;
            let near = [lo, middle.min(hi), hi].map(|n| n.div_euclid(d) * d);
            let near = near.into_iter().flat_map(|n| [n - 1, n, n + 1, n + d - 1]);
            for n in near.chain([lo, hi]).filter(|n| (lo..=hi).contains(n)) {
                let expected = i128::from(n.div_euclid(d));
                assert_eq!(quotient(n), expected, "{n} / {d} in {lo} to {hi}");
            }
        }
    }
}
