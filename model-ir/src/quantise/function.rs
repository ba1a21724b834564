//! The integer functions of table nodes.
//!
//! A real function `f`, an argument scale `s` and a result scale `t` give
//! `T[x] = clamp(round(f(s x) / t), lo, hi)`, rounding half away from zero. Exponentials are
//! `libm`'s in `f64`: the values do not depend on the machine.

use crate::int::{Function, Interval, Table};

/// A function on all integers, before its domain is known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Curve {
    /// `clamp(x, lo, hi)`
    Clamp { lo: i64, hi: i64 },
    /// `clamp(x >= 0 ? x : round(alpha x), lo, hi)`
    Leaky { alpha: f64, lo: i64, hi: i64 },
    /// `round(sigmoid(s x) / t)`
    Sigmoid { s: f64, t: f64 },
    /// `round(tanh(s x) / t)`
    Tanh { s: f64, t: f64 },
}

impl Curve {
    /// The value at `x`.
    pub(super) fn at(self, x: i64) -> i64 {
        let real = x as f64;
        match self {
            Self::Clamp { lo, hi } => x.clamp(lo, hi),
            Self::Leaky { lo, hi, .. } if x >= 0 => x.clamp(lo, hi),
            Self::Leaky { alpha, lo, hi } => ((alpha * real).round() as i64).clamp(lo, hi),
            Self::Sigmoid { s, t } => (1.0 / (1.0 + libm::exp(-s * real)) / t).round() as i64,
            Self::Tanh { s, t } => (libm::tanh(s * real) / t).round() as i64,
        }
    }

    /// Bounds of the values on all integers.
    pub(super) fn image(self) -> Interval {
        self.range(Interval {
            lo: -(1 << 62),
            hi: 1 << 62,
        })
    }

    /// Bounds of the values on `domain`: every curve is monotone on each side of 0.
    pub(super) fn range(self, domain: Interval) -> Interval {
        let zero = 0_i64.clamp(domain.lo, domain.hi);
        let ends = [domain.lo, zero, domain.hi].map(|x| self.at(x));
        Interval {
            lo: ends.into_iter().min().expect("three values"),
            hi: ends.into_iter().max().expect("three values"),
        }
    }

    /// The table on `domain`.
    pub(super) fn table(self, domain: Interval) -> Table {
        let function = match self {
            Self::Clamp { lo, hi } => Function::Clamp { lo, hi },
            _ => Function::Values((domain.lo..=domain.hi).map(|x| self.at(x) as i32).collect()),
        };
        Table {
            function,
            start: domain.lo,
            len: (domain.hi - domain.lo + 1) as usize,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_hold_the_rounded_curve() {
        let domain = Interval { lo: -1000, hi: 900 };
        let curves = [
            Curve::Clamp { lo: 0, hi: 255 },
            Curve::Leaky {
                alpha: 0.1,
                lo: -127,
                hi: 127,
            },
            Curve::Leaky {
                alpha: -0.5,
                lo: -127,
                hi: 127,
            },
            Curve::Sigmoid {
                s: 0.01,
                t: 1.0 / 255.0,
            },
            Curve::Tanh {
                s: 0.01,
                t: 1.0 / 127.0,
            },
        ];
        for curve in curves {
            let table = curve.table(domain);
            let range = curve.range(domain);
            for x in domain.lo..=domain.hi {
                let y = curve.at(x);
                assert_eq!(table.get(x), Some(y));
                assert!(range.lo <= y && y <= range.hi);
            }
        }
        assert_eq!(
            Curve::Leaky {
                alpha: 0.5,
                lo: -9,
                hi: 9
            }
            .at(-3),
            -2
        );
        assert_eq!(
            Curve::Sigmoid {
                s: 0.01,
                t: 1.0 / 255.0
            }
            .at(0),
            128
        );
        assert_eq!(
            Curve::Tanh {
                s: 0.01,
                t: 1.0 / 127.0
            }
            .at(-1000),
            -127
        );
    }
}
