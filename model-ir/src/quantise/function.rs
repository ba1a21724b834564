//! The integer functions of table nodes.
//!
//! A real function `f`, an argument step `s` and a result unit `t` give
//! `T[x] = clamp(round(f(s x) / t), lo, hi)`, rounding half away from zero. Arguments outside the
//! function's domain are those of its ends, and a pole has the value a quarter of a step beside it:
//! the rounding of the argument may have moved it there.

use super::policy;
use crate::float::Activation;
use crate::int::{Function, Interval, Table};

/// A function on all integers, before its domain is known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Curve {
    /// `clamp(x, lo, hi)`
    Clamp { lo: i64, hi: i64 },
    /// `clamp(round(function(step * x) / unit), lo, hi)`
    Real {
        function: Activation,
        step: f64,
        unit: f64,
        lo: i64,
        hi: i64,
    },
}

impl Curve {
    /// `[x >= 0]`
    pub(super) const STEP: Self = Self::Real {
        function: Activation::Step,
        step: 1.0,
        unit: 1.0,
        lo: 0,
        hi: 1,
    };

    /// The value at `x`.
    pub(super) fn at(self, x: i64) -> i64 {
        match self {
            Self::Clamp { lo, hi } => x.clamp(lo, hi),
            Self::Real {
                function,
                step,
                unit,
                lo,
                hi,
            } => {
                let y = value(function, step * x as f64, step / 4.0);
                ((y / unit).round() as i64).clamp(lo, hi)
            }
        }
    }

    /// Whether the values at `lo`, `hi` and points between are the same.
    pub(super) fn is_constant(self, lo: i64, hi: i64) -> bool {
        let (y, mut steps) = (self.at(lo), (0..=policy::CONSTANT_POINTS).rev());
        // At both ends, and the denser the nearer to 0.
        let point = |k: u32| {
            if lo < 0 {
                hi - ((hi - lo) >> k)
            } else {
                lo + ((hi - lo) >> k)
            }
        };
        self.at(hi) == y && steps.all(|k| self.at(point(k)) == y)
    }

    /// Bounds of the values on all integers.
    pub(super) fn image(self) -> Interval {
        let (Self::Clamp { lo, hi } | Self::Real { lo, hi, .. }) = self;
        Interval { lo, hi }
    }

    /// The table on `domain`.
    pub(super) fn table(self, domain: Interval) -> Table {
        let function = match self {
            Self::Clamp { lo, hi } => Function::Clamp { lo, hi },
            Self::Real { .. } => {
                Function::Values((domain.lo..=domain.hi).map(|x| self.at(x) as i32).collect())
            }
        };
        Table {
            function,
            start: domain.lo,
            len: (domain.hi - domain.lo + 1) as usize,
        }
    }
}

/// `f(x)`, `inside` beside its poles.
fn value(function: Activation, x: f64, inside: f64) -> f64 {
    if let Activation::Quantize { .. } = function {
        // In single precision, where ties are those of the model.
        return function.apply(x as f32).into();
    }
    let (lo, hi) = function.domain();
    let x = x.clamp(lo, hi);
    let y = function.at(x);
    if y.is_finite() {
        y
    } else if x >= hi {
        function.at(x - inside)
    } else {
        function.at(x + inside)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn real(function: Activation, step: f64, unit: f64, (lo, hi): (i64, i64)) -> Curve {
        Curve::Real {
            function,
            step,
            unit,
            lo,
            hi,
        }
    }

    #[test]
    fn tables_hold_the_rounded_curve() {
        let domain = Interval { lo: -1000, hi: 900 };
        let symmetric = (-127, 127);
        let curves = [
            Curve::Clamp { lo: 0, hi: 255 },
            real(Activation::LeakyRelu { alpha: 0.1 }, 1.0, 1.0, symmetric),
            real(Activation::LeakyRelu { alpha: -0.5 }, 1.0, 1.0, symmetric),
            real(Activation::Sigmoid, 0.01, 1.0 / 255.0, (0, 255)),
            real(Activation::Tanh, 0.01, 1.0 / 127.0, symmetric),
            real(Activation::Reciprocal, 0.1, 0.1, (-1000, 1000)),
            real(Activation::Log, 0.1, 0.01, (-1000, 1000)),
        ];
        for curve in curves {
            let (table, image) = (curve.table(domain), curve.image());
            for x in domain.lo..=domain.hi {
                let y = curve.at(x);
                assert_eq!(table.get(x), Some(y));
                assert!(image.contains(y));
            }
        }
        let leaky = real(Activation::LeakyRelu { alpha: 0.5 }, 1.0, 1.0, (-9, 9));
        assert_eq!(leaky.at(-3), -2);
        assert_eq!(curves[3].at(0), 128);
        assert_eq!(curves[4].at(-1000), -127);
    }

    #[test]
    fn poles_and_the_outside_of_the_domain() {
        let wide = (-1_000_000, 1_000_000);
        let reciprocal = real(Activation::Reciprocal, 0.1, 1.0, wide);
        assert_eq!(reciprocal.at(0), 40);
        assert_eq!(reciprocal.at(-1), -10);
        let log = real(Activation::Log, 0.1, 0.01, wide);
        assert_eq!(log.at(0), (0.025_f64.ln() * 100.0).round() as i64);
        assert_eq!(log.at(-5), log.at(0));
        assert_eq!(real(Activation::Acos, 0.3, 0.01, wide).at(4), 0);
    }
}
