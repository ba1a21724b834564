//! Table nodes of elementwise functions: the step of their arguments.
//!
//! An accumulator `X` of scale `h` is read as `hi = X >> q` with the step `h 2^q`. The larger `q`,
//! the smaller the table; `q` is chosen so that rounding the argument moves the result by half a
//! unit at most, as far as the table's rows allow.

use super::calibration::Range;
use super::forms::Form;
use super::function::Curve;
use super::lookup::Rounding;
use super::lower::{Handle, Lowered};
use super::policy;
use super::rounding::Way;
use super::{Error, bits};
use crate::exact::{exp2, log2_ceil, log2_floor};
use crate::float::Activation;
use crate::int::TensorId;

impl Lowered<'_> {
    /// The function of value `v`, small.
    pub(super) fn activation(&mut self, v: usize, f: Activation) -> Result<Handle, Error> {
        Ok(Handle {
            tensor: self.curve(v, f)?,
            shift: 0,
            small: true,
            scale: self.plan.scales.of(v),
        })
    }

    fn curve(&mut self, v: usize, f: Activation) -> Result<TensorId, Error> {
        let plan = self.plan;
        let node = plan.node(v);
        let value = node.inputs[0];
        let x = self.values[value.0];
        let tied = plan.forms.of(value.0) != Form::Raw && !plan.forms.is_rescaled(v);
        let whole = plan.ties.is_whole(v) && is_whole(x);
        let (least, most) = plan.bits.interval(v);
        match f {
            Activation::Relu if tied => self.scaled(v, x, Curve::Clamp { lo: 0, hi: most }),
            Activation::LeakyRelu { .. } if tied => {
                let curve = Curve::Real {
                    function: f,
                    step: 1.0,
                    unit: 1.0,
                    lo: least,
                    hi: most,
                };
                self.scaled(v, x, curve)
            }
            Activation::Clip { lo, hi } if tied => {
                let unit = plan.scales.of(v);
                let bound = |x: f32| ((f64::from(x) / unit).round() as i64).clamp(least, most);
                let (lo, hi) = (bound(lo), bound(hi));
                self.scaled(v, x, Curve::Clamp { lo, hi })
            }
            Activation::Quantize { lo, hi, .. } => self.quantised(v, x, f, (lo.into(), hi.into())),
            Activation::Step => self.step(&node.name, x.tensor, self.real(v, f, 1.0)),
            Activation::IsZero => self.is_zero(v, x),
            Activation::Floor => self.onto_integers(v, x, Way::Down),
            Activation::Ceil => self.onto_integers(v, x, Way::Up),
            Activation::Round => self.onto_integers(v, x, Way::Nearest),
            Activation::Truncate => self.onto_integers(v, x, Way::TowardsZero),
            Activation::Abs if whole => {
                let minus = self.weighted_sum(&node.name, &[(-1, x.tensor)])?;
                self.maximum_of(v, x.tensor, minus)
            }
            Activation::Relu if whole && self.is_wide(x.tensor) => self.at_least(v, x.tensor, 0),
            Activation::Clip { lo, hi } if whole => self.clipped(v, x.tensor, (lo, hi)),
            Activation::FloorDiv { divisor } => {
                let x = self.integers(v, x)?;
                let quotient = self.quotient(v, x, divisor.into())?;
                self.in_units(v, quotient)
            }
            Activation::Index { length } => {
                let x = self.integers(v, x)?;
                let index = self.index(v, x, length)?;
                self.in_units(v, index)
            }
            Activation::Relu
            | Activation::LeakyRelu { .. }
            | Activation::Clip { .. }
            | Activation::ThresholdedRelu { .. }
            | Activation::Shrink { .. }
            | Activation::Sigmoid
            | Activation::Tanh
            | Activation::Elu { .. }
            | Activation::HardSigmoid { .. }
            | Activation::HardSwish
            | Activation::Softplus
            | Activation::Softsign
            | Activation::Mish
            | Activation::Gelu
            | Activation::GeluTanh
            | Activation::Swish { .. }
            | Activation::Exp
            | Activation::Log
            | Activation::Sqrt
            | Activation::Reciprocal
            | Activation::Power { .. }
            | Activation::Inverse { .. }
            | Activation::Within { .. }
            | Activation::Erf
            | Activation::Abs
            | Activation::Sin
            | Activation::Cos
            | Activation::Tan
            | Activation::Asin
            | Activation::Acos
            | Activation::Atan
            | Activation::Sinh
            | Activation::Cosh
            | Activation::Asinh
            | Activation::Acosh
            | Activation::Atanh => {
                let (x, range) = self.saturated(v, f, x)?;
                self.pieces(v, x, range, f)
            }
        }
    }

    /// The table's function for value `v`, of arguments of this step.
    fn real(&self, v: usize, function: Activation, step: f64) -> Curve {
        let (lo, hi) = self.plan.bits.interval(v);
        Curve::Real {
            function,
            step,
            unit: self.plan.scales.of(v),
            lo,
            hi,
        }
    }

    /// A function that acts on integers of any scale alike, of an accumulator at the operand's.
    fn scaled(&mut self, v: usize, x: Handle, curve: Curve) -> Result<TensorId, Error> {
        let value = self.plan.node(v).inputs[0].0;
        let range = self.range_in(value, self.plan.scales.of(value));
        self.lookup_seen(v, x.tensor, curve, x.shift, range)
    }

    fn onto_integers(&mut self, v: usize, x: Handle, way: Way) -> Result<TensorId, Error> {
        if is_whole(x) {
            self.in_units(v, x.tensor)
        } else {
            self.rounded(v, way, x)
        }
    }

    /// `[x == 0]`
    fn is_zero(&mut self, v: usize, x: Handle) -> Result<TensorId, Error> {
        let name = &self.plan.node(v).name;
        if self.is_wide(x.tensor) && self.plan.ties.is_whole(v) {
            // [x >= 0] [-x >= 0]
            let negative = self.weighted_sum(name, &[(-1, x.tensor)])?;
            let a = self.step_of(name, x.tensor)?;
            let b = self.step_of(name, negative)?;
            return self.cellwise_product(name, a, b);
        }
        let curve = self.real(v, Activation::IsZero, x.scale);
        self.lookup(name, x.tensor, curve, 0, Rounding::Nearest, None)
    }

    /// The operand of value `v` if its cells are integers.
    fn integers(&self, v: usize, x: Handle) -> Result<TensorId, Error> {
        let node = self.plan.node(v);
        if self.plan.facts.is_integral(node.inputs[0].0) && is_whole(x) {
            return Ok(x.tensor);
        }
        Err(Error::Unsupported {
            node: node.name.clone(),
            reason: "its operand may have fractions: convert it to integers".into(),
        })
    }

    /// The integers of a value that the model quantises itself.
    fn quantised(
        &mut self,
        v: usize,
        x: Handle,
        f: Activation,
        (lo, hi): (i64, i64),
    ) -> Result<TensorId, Error> {
        let plan = self.plan;
        let node = plan.node(v);
        let value = node.inputs[0];
        let unit = plan.scales.of(v);
        let tied = plan.forms.of(value.0) != Form::Raw && !plan.forms.is_rescaled(v);
        let curve = Curve::Clamp { lo, hi };
        let range = self.range_in(value.0, unit);
        if tied {
            return self.lookup_seen(v, x.tensor, curve, x.shift, range);
        }
        let interval = self.interval(x.tensor);
        if interval.hi.abs_diff(interval.lo) < policy::QUANTISED_ROWS {
            // A table of its own: ties are rounded as the model does.
            let curve = Curve::Real {
                function: f,
                step: x.scale,
                unit,
                lo,
                hi,
            };
            return self.lookup(&node.name, x.tensor, curve, 0, Rounding::Nearest, None);
        }
        let (tensor, shift) = self.multiplied(v, x, unit, policy::QUANTISED_BITS)?;
        self.lookup_seen(v, tensor, curve, shift, range)
    }

    /// Integers between bounds that are integers or infinite.
    fn clipped(&mut self, v: usize, x: TensorId, (lo, hi): (f32, f32)) -> Result<TensorId, Error> {
        let bounds = self.interval(x);
        if !self.is_wide(x) {
            // What the bounds of the operand become.
            let reached = |end: i64| end.clamp(lo as i64, hi as i64);
            let curve = Curve::Clamp {
                lo: reached(bounds.lo),
                hi: reached(bounds.hi),
            };
            let name = &self.plan.node(v).name;
            return self.lookup(name, x, curve, 0, Rounding::Nearest, None);
        }
        let mut x = x;
        if lo as i64 > bounds.lo {
            x = self.at_least(v, x, lo as i64)?;
        }
        if (hi as i64) < bounds.hi {
            x = self.at_most(v, x, hi as i64)?;
        }
        Ok(x)
    }

    /// Integers in the units of value `v`, which is not always 1: others may be put beside them.
    fn in_units(&mut self, v: usize, x: TensorId) -> Result<TensorId, Error> {
        let unit = self.plan.scales.of(v);
        if unit.to_bits() == 1.0_f64.to_bits() {
            return Ok(x);
        }
        let curve = self.real(v, Activation::Floor, 1.0);
        let name = &self.plan.node(v).name;
        let Range { lo, hi } = self.plan.facts.ranges[v];
        let calibrated = Some(Range { lo, hi });
        self.lookup(name, x, curve, 0, Rounding::Nearest, calibrated)
    }

    /// Whether a table of all values of `x` would be large.
    fn is_wide(&self, x: TensorId) -> bool {
        self.interval(x).max_abs() > 1 << policy::STEP_BITS
    }

    /// `[x >= 0]`, as the integers 0 and 1.
    pub(super) fn step_of(&mut self, name: &str, x: TensorId) -> Result<TensorId, Error> {
        self.step(name, x, Curve::STEP)
    }

    /// A curve that depends on the sign of `x` only, which is that of `x` rounded down.
    pub(super) fn step(
        &mut self,
        name: &str,
        x: TensorId,
        curve: Curve,
    ) -> Result<TensorId, Error> {
        let bits = u64::BITS - self.interval(x).max_abs().leading_zeros();
        let shift = bits.saturating_sub(policy::STEP_BITS);
        self.lookup(name, x, curve, shift, Rounding::Down, None)
    }

    /// The argument of value `v` without the tails on which a monotone `f` is constant, if they are
    /// longer than the rest, and its range. Masks add large negative numbers to what an
    /// exponential takes.
    fn saturated(
        &mut self,
        v: usize,
        f: Activation,
        mut x: Handle,
    ) -> Result<(Handle, Range), Error> {
        let node = self.plan.node(v);
        let mut range = self.argument_range(node.inputs[0].0);
        if !f.is_monotone() {
            return Ok((x, range));
        }
        let tolerance = self.plan.scales.of(v) * policy::TAIL_TOLERANCE;
        // From where on, in powers of two on its side of 0, the function is as good as at the end.
        let tail = |end: f64| {
            let powers = policy::TAIL_POWERS.map(|k| end.signum() * exp2(k));
            let mut powers = powers.take_while(|t| policy::TAIL_WORTH * t.abs() < end.abs());
            powers.find(|&t| (f.at(t) - f.at(end)).abs() <= tolerance)
        };
        let (below, above) = (range.lo.min(0.0), range.hi.max(0.0));
        for end in [below, above] {
            let Some(limit) = tail(end) else { continue };
            // Away from 0: beyond the limit, the function is what it is there.
            let bound = end.signum() * (limit.abs() / x.scale).ceil();
            let limit = bound * x.scale;
            let bound = bound as i64;
            let constant = vec![bound];
            let constant = self.broadcast_constant(&node.name, constant, &[1], &node.shape)?;
            // max(x, bound) from below, -max(-x, -bound) from above.
            let sign = if end < 0.0 { 1 } else { -1 };
            let signed = |lowered: &mut Self, t| match sign {
                1 => Ok(t),
                _ => lowered.weighted_sum(&node.name, &[(-1, t)]),
            };
            let (a, b) = (signed(self, x.tensor)?, signed(self, constant)?);
            let most = self.maximum_of(v, a, b)?;
            x.tensor = signed(self, most)?;
            if end < 0.0 {
                range.lo = limit;
            } else {
                range.hi = limit;
            }
        }
        Ok((x, range))
    }

    /// The calibrated range of `u`, or that of its rounding if it is what is left of larger values
    /// that were always the same.
    fn argument_range(&self, u: usize) -> Range {
        let range = self.plan.facts.ranges[u];
        let largest = self.plan.facts.largest_part(u);
        let noise = largest * exp2(-(self.plan.facts.profile.bits() as i32));
        if range.size() >= noise {
            return range;
        }
        Range {
            lo: -noise,
            hi: noise,
        }
    }

    /// `f` of the accumulator `x` of this range, by as many tables as it takes.
    fn pieces(
        &mut self,
        v: usize,
        x: Handle,
        range: Range,
        f: Activation,
    ) -> Result<TensorId, Error> {
        match self.bend(v, f, x, range) {
            None => self.piece(v, x, range, f),
            Some(bend) => self.bent(v, x, range, f, bend),
        }
    }

    /// The table of `f` on the accumulator `x` of this range.
    fn piece(
        &mut self,
        v: usize,
        x: Handle,
        range: Range,
        f: Activation,
    ) -> Result<TensorId, Error> {
        let shift = self.argument_shift(v, f, x, range);
        let step = x.scale * exp2(shift as i32);
        let seen = Range {
            lo: range.lo / step,
            hi: range.hi / step,
        };
        self.lookup_seen(v, x.tensor, self.real(v, f, step), shift, seen)
    }

    /// `f(max(x, c)) + f(min(x, c)) - f(c)` with the bend `c`: the tables of the two parts have
    /// steps of their own.
    fn bent(
        &mut self,
        v: usize,
        x: Handle,
        range: Range,
        f: Activation,
        bend: f64,
    ) -> Result<TensorId, Error> {
        let node = self.plan.node(v);
        let name = &node.name;
        let above = Range { lo: bend, ..range };
        let below = Range { hi: bend, ..range };
        // On a step of both tables, the same value in both.
        let grid = exp2(self.argument_shift(v, f, x, above) as i32);
        // A pole at 0 has no value of its own.
        let bound = ((bend / x.scale / grid).round().max(1.0) * grid) as i64;
        let value = f.at(bound as f64 * x.scale) / self.plan.scales.of(v);
        let constant =
            |lowered: &mut Self, n| lowered.broadcast_constant(name, vec![n], &[1], &node.shape);
        let corner = constant(self, bound)?;
        let upper = self.maximum_of(v, x.tensor, corner)?;
        // min(x, c) = -max(-x, -c)
        let minus = self.weighted_sum(name, &[(-1, x.tensor)])?;
        let corner = constant(self, -bound)?;
        let lower = self.maximum_of(v, minus, corner)?;
        let lower = self.weighted_sum(name, &[(-1, lower)])?;
        let upper = self.piece(v, Handle { tensor: upper, ..x }, above, f)?;
        let lower = self.pieces(v, Handle { tensor: lower, ..x }, below, f)?;
        // Between the bounds of both tables.
        let (least, most) = self.plan.bits.interval(v);
        let value = constant(self, (value.round() as i64).clamp(least, most))?;
        self.weighted_sum(name, &[(1, upper), (1, lower), (-1, value)])
    }

    /// Where to bend a curve that is steep beside 0 and that one table does not hold: as far down as
    /// a table holds what is above.
    fn bend(&self, v: usize, f: Activation, x: Handle, range: Range) -> Option<f64> {
        f.steep()?;
        let range = Range {
            lo: range.lo.max(f.domain().0),
            ..range
        };
        if range.lo < 0.0 || range.lo >= range.hi {
            return None;
        }
        // By how much half a step moves the value at the lower end.
        let error = |range: Range| {
            let shift = self.coarsest(range.size() / x.scale);
            let half = x.scale * exp2(shift) / 2.0;
            // What is beyond the values that are kept is cut off.
            let most = self.plan.forms.wanted(v);
            let y = |x: f64| f.at(x).clamp(-most, most);
            let difference = (y(range.lo + half) - y(range.lo)).abs();
            if shift > 0 { difference } else { 0.0 }
        };
        let allowed =
            self.plan.facts.ranges[v].size() * exp2(1 - self.plan.facts.profile.bits() as i32);
        if error(range) <= allowed {
            return None;
        }
        let bends = policy::BENDS.rev().map(|k| range.hi * exp2(-k));
        let mut bends = bends.filter(|&bend| bend > range.lo);
        bends.find(|&lo| error(Range { lo, ..range }) <= allowed / 2.0)
    }

    /// The shift that leaves as many rows as a curve may have for a range of `size` integers.
    fn coarsest(&self, size: f64) -> i32 {
        let rows = self.plan.facts.profile.numbers().curve_rows;
        log2_ceil((2.0 * size / rows).max(1.0))
    }

    /// `q` for the function of value `v` on the accumulator `x`.
    fn argument_shift(&self, v: usize, f: Activation, x: Handle, range: Range) -> u32 {
        let slope = steepest(f, range);
        let wanted = self.plan.scales.of(v) / (2.0 * slope) / x.scale;
        // A least number of steps, whatever the slope.
        let most = log2_floor((range.size() / x.scale / policy::LEAST_STEPS).max(1.0));
        let wanted = log2_floor(wanted.max(1.0)).min(most);
        let further = bits::pole_bits(f) as i32;
        let coarsest = (self.coarsest(range.size() / x.scale) - further).max(0);
        coarsest.max(wanted) as u32
    }
}

/// Whether the integers of an accumulator are its cells.
fn is_whole(x: Handle) -> bool {
    (x.scale - 1.0).abs() < policy::NEARLY_ONE && x.shift == 0
}

/// The steepest slope of `f` between samples of a range and its surroundings.
fn steepest(f: Activation, range: Range) -> f64 {
    let (first, last) = f.domain();
    // Somewhat beyond what was seen, which may be a single value.
    let beyond = range.size() * policy::SLOPE_BEYOND;
    let (lo, hi) = (
        (range.lo - beyond).max(first),
        (range.hi + beyond).min(last),
    );
    let width = (hi - lo) / f64::from(policy::SLOPE_SAMPLES);
    if width <= 0.0 {
        return policy::LEAST_SLOPE;
    }
    let y = |i: i32| f.at(lo + width * f64::from(i));
    let slopes = (0..policy::SLOPE_SAMPLES).map(|i| (y(i + 1) - y(i)).abs() / width);
    slopes
        .filter(|s| s.is_finite())
        .fold(policy::LEAST_SLOPE, f64::max)
}
