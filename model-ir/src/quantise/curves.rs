//! Table nodes of elementwise functions: the step of their arguments.
//!
//! An accumulator `X` of scale `h` is read as `hi = X >> q` with the step `h 2^q`. The larger `q`,
//! the smaller the table; `q` is chosen so that rounding the argument moves the result by half a
//! unit at most, as far as the table's rows allow.

use super::calibration::Range;
use super::function::Curve;
use super::lower::{Handle, Lowered, Rounding};
use super::plan::Form;
use super::{Error, Profile};
use crate::float::Activation;
use crate::int::TensorId;

/// Steps across the calibrated range, twice over, that a curve may take.
const CURVE_ROWS: [f64; 2] = [8192.0, 32768.0];
/// Points at which a curve's slope is sampled.
const SAMPLES: i32 = 256;
/// Bits of the multipliers of values that the model quantises itself: as many as single precision
/// has.
pub(super) const QUANTISED_BITS: i32 = 24;
/// Rows of a table that quantises an accumulator without a multiplier.
const QUANTISED_ROWS: u64 = 1 << 14;
/// Binary digits of a comparison's table.
const STEP_BITS: u32 = 12;

impl Lowered<'_> {
    /// The function of value `v`, small.
    pub(super) fn activation(&mut self, v: usize, f: Activation) -> Result<Handle, Error> {
        Ok(Handle {
            tensor: self.curve(v, f)?,
            shift: 0,
            small: true,
            scale: self.plan.scale(v),
        })
    }

    fn curve(&mut self, v: usize, f: Activation) -> Result<TensorId, Error> {
        let plan = self.plan;
        let node = plan.node(v);
        let value = node.inputs[0];
        let x = self.values[value.0];
        let (least, most) = plan.interval(v);
        let unit = plan.scale(v);
        let real = |step: f64| Curve::Real {
            function: f,
            step,
            unit,
            lo: least,
            hi: most,
        };
        let raw = plan.form(value.0) == Form::Raw;
        let curve = match f {
            Activation::Relu if !raw => Curve::Clamp { lo: 0, hi: most },
            Activation::LeakyRelu { .. } if !raw => Curve::Real {
                function: f,
                step: 1.0,
                unit: 1.0,
                lo: least,
                hi: most,
            },
            Activation::Clip { lo, hi } if !raw => {
                let bound = |x: f32| ((f64::from(x) / unit).round() as i64).clamp(least, most);
                Curve::Clamp {
                    lo: bound(lo),
                    hi: bound(hi),
                }
            }
            Activation::Quantize { lo, hi, .. } => {
                return self.quantised(v, x, f, (lo.into(), hi.into()));
            }
            Activation::Step => return self.step(&node.name, x.tensor, real(1.0)),
            Activation::IsZero => {
                let curve = real(x.scale);
                return self.lookup(&node.name, x.tensor, curve, 0, Rounding::Nearest, None);
            }
            // What is rounded down is known exactly when the step divides 1.
            Activation::Floor | Activation::Truncate => {
                return self.rounded_down(v, x.tensor, x, real);
            }
            Activation::Ceil => {
                let negative = self.weighted_sum(&node.name, &[(-1, x.tensor)])?;
                let floor = |step: f64| Curve::Real {
                    function: f,
                    step: -step,
                    unit,
                    lo: least,
                    hi: most,
                };
                return self.rounded_down(v, negative, x, floor);
            }
            _ => {
                let shift = self.argument_shift(v, f, x);
                let step = x.scale * f64::from(shift).exp2();
                let calibrated = Some(self.range_in(value.0, step));
                let nearest = Rounding::Nearest;
                return self.lookup(&node.name, x.tensor, real(step), shift, nearest, calibrated);
            }
        };
        let calibrated = Some(self.range_in(value.0, plan.scale(value.0)));
        let nearest = Rounding::Nearest;
        self.lookup(&node.name, x.tensor, curve, x.shift, nearest, calibrated)
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
        let unit = plan.scale(v);
        let tied = plan.form(value.0) != Form::Raw && !plan.is_rescaled(v);
        let curve = Curve::Clamp { lo, hi };
        let calibrated = Some(self.range_in(value.0, unit));
        let nearest = Rounding::Nearest;
        if tied {
            let name = &node.name;
            return self.lookup(name, x.tensor, curve, x.shift, nearest, calibrated);
        }
        let interval = self.interval(x.tensor);
        if interval.hi.abs_diff(interval.lo) < QUANTISED_ROWS {
            // A table of its own: ties are rounded as the model does.
            let curve = Curve::Real {
                function: f,
                step: x.scale,
                unit,
                lo,
                hi,
            };
            return self.lookup(&node.name, x.tensor, curve, 0, nearest, None);
        }
        let (tensor, shift) = self.multiplied(&node.name, x, unit, QUANTISED_BITS)?;
        self.lookup(&node.name, tensor, curve, shift, nearest, calibrated)
    }

    /// `[x >= 0]`, as the integers 0 and 1.
    pub(super) fn step_of(&mut self, name: &str, x: TensorId) -> Result<TensorId, Error> {
        let curve = Curve::Real {
            function: Activation::Step,
            step: 1.0,
            unit: 1.0,
            lo: 0,
            hi: 1,
        };
        self.step(name, x, curve)
    }

    /// A curve that depends on the sign of `x` only, which is that of `x` rounded down.
    fn step(&mut self, name: &str, x: TensorId, curve: Curve) -> Result<TensorId, Error> {
        let bits = u64::BITS - self.interval(x).max_abs().leading_zeros();
        let shift = bits.saturating_sub(STEP_BITS);
        self.lookup(name, x, curve, shift, Rounding::Down, None)
    }

    /// A function that is constant from one multiple of a step to the next.
    fn rounded_down(
        &mut self,
        v: usize,
        tensor: TensorId,
        x: Handle,
        curve: impl Fn(f64) -> Curve,
    ) -> Result<TensorId, Error> {
        let node = self.plan.node(v);
        let size = self.plan.ranges[node.inputs[0].0].size();
        // From the accumulator's scale to quarters, or finer.
        let quarters = (0.25 / x.scale).log2().floor().max(0.0);
        let shift = self
            .coarsest(size / x.scale)
            .max(0.0)
            .max(quarters.min(40.0));
        let step = x.scale * shift.exp2();
        let mut calibrated = self.range_in(node.inputs[0].0, step);
        if matches!(curve(step), Curve::Real { step, .. } if step < 0.0) {
            calibrated = Range {
                lo: -calibrated.hi,
                hi: -calibrated.lo,
            };
        }
        let down = Rounding::Down;
        self.lookup(
            &node.name,
            tensor,
            curve(step),
            shift as u32,
            down,
            Some(calibrated),
        )
    }

    /// The shift that leaves as many rows as a curve may have for a range of `size` integers.
    fn coarsest(&self, size: f64) -> f64 {
        let rows = match self.plan.profile {
            Profile::Fast => CURVE_ROWS[0],
            Profile::Accurate => CURVE_ROWS[1],
        };
        (2.0 * size / rows).max(1.0).log2().ceil()
    }

    /// `q` for the function of value `v` on the accumulator `x`.
    fn argument_shift(&self, v: usize, f: Activation, x: Handle) -> u32 {
        let range = self.plan.ranges[self.plan.node(v).inputs[0].0];
        let slope = steepest(f, range);
        let wanted = self.plan.scale(v) / (2.0 * slope) / x.scale;
        // At least 256 steps, whatever the slope.
        let most = (range.size() / x.scale / 256.0).max(1.0).log2().floor();
        let wanted = wanted.max(1.0).log2().floor().min(most);
        self.coarsest(range.size() / x.scale).max(wanted) as u32
    }
}

/// The steepest slope of `f` between samples of a range.
fn steepest(f: Activation, range: Range) -> f64 {
    let (first, last) = f.domain();
    let (lo, hi) = (range.lo.max(first), range.hi.min(last));
    let width = (hi - lo) / f64::from(SAMPLES);
    if width <= 0.0 {
        return 1e-9;
    }
    let y = |i: i32| f.at(lo + width * f64::from(i));
    let slopes = (0..SAMPLES).map(|i| (y(i + 1) - y(i)).abs() / width);
    slopes.filter(|s| s.is_finite()).fold(1e-9, f64::max)
}
