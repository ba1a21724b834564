//! Elementwise functions of one real argument.
//!
//! Each is evaluated in `f64` with `libm`'s functions: the values, and with them the tables of a
//! quantised model, do not depend on the machine.

mod shape;
mod values;

/// An elementwise function. Parameters are those of the ONNX operator of the name.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Activation {
    /// `max(x, 0)`
    Relu,
    /// `x` if `x >= 0`, else `alpha * x`
    LeakyRelu {
        /// Slope on the negative side.
        alpha: f32,
    },
    /// `min(max(x, lo), hi)`; the bounds may be infinite.
    Clip {
        /// Lower bound.
        lo: f32,
        /// Upper bound.
        hi: f32,
    },
    /// `x` if `x > alpha`, else 0
    ThresholdedRelu {
        /// The threshold.
        alpha: f32,
    },
    /// `x + bias` below `-lambda`, else `x - bias` above `lambda`, else 0
    Shrink {
        /// The threshold.
        lambda: f32,
        /// Subtracted from the magnitude.
        bias: f32,
    },
    /// `1 / (1 + exp(-x))`
    Sigmoid,
    /// `tanh(x)`
    Tanh,
    /// `x` if `x >= 0`, else `alpha * (exp(x / beta) - 1)`; Elu, Selu (with a factor) and Celu.
    Elu {
        /// Factor on the negative side.
        alpha: f32,
        /// Divisor of the exponent.
        beta: f32,
        /// Factor on both sides.
        gamma: f32,
    },
    /// `max(0, min(1, alpha * x + beta))`
    HardSigmoid {
        /// Slope.
        alpha: f32,
        /// Value at 0.
        beta: f32,
    },
    /// `x * max(0, min(1, x / 6 + 1 / 2))`
    HardSwish,
    /// `log(1 + exp(x))`
    Softplus,
    /// `x / (1 + |x|)`
    Softsign,
    /// `x * tanh(softplus(x))`
    Mish,
    /// `x * Phi(x)`, with the cumulative normal distribution
    Gelu,
    /// `x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3)))`
    GeluTanh,
    /// `x * sigmoid(alpha * x)`
    Swish {
        /// Factor of the sigmoid's argument.
        alpha: f32,
    },
    /// `exp(x)`
    Exp,
    /// `log(x)`
    Log,
    /// `sqrt(x)`
    Sqrt,
    /// `1 / x`
    Reciprocal,
    /// `x^exponent`
    Power {
        /// The exponent.
        exponent: f32,
    },
    /// `x^exponent`, and 0 at 0: what is divided by nothing is nothing.
    Inverse {
        /// The exponent, negative.
        exponent: f32,
    },
    /// A steep function of `min(max(x, lo), hi)`, away from its pole.
    Within {
        /// The function.
        function: Steep,
        /// Lower bound, positive.
        lo: f32,
        /// Upper bound; may be infinite.
        hi: f32,
    },
    /// The error function.
    Erf,
    /// `|x|`
    Abs,
    /// The largest integer that is at most `x`
    Floor,
    /// The smallest integer that is at least `x`
    Ceil,
    /// The nearest integer, the even one of two
    Round,
    /// `x` without its fraction
    Truncate,
    /// The largest integer that is at most `x / divisor`, for integers `x`
    FloorDiv {
        /// The divisor, positive.
        divisor: u32,
    },
    /// `x`, or `x + length` below 0: an index of an axis, for integers `x`
    Index {
        /// Length of the axis, positive.
        length: u32,
    },
    /// 1 if `x >= 0`, else 0; exact, whatever the range of `x`
    Step,
    /// 1 if `x == 0`, else 0; for integers of a small range
    IsZero,
    /// `sin(x)`
    Sin,
    /// `cos(x)`
    Cos,
    /// `tan(x)`
    Tan,
    /// The inverse of `sin`
    Asin,
    /// The inverse of `cos`
    Acos,
    /// The inverse of `tan`
    Atan,
    /// `sinh(x)`
    Sinh,
    /// `cosh(x)`
    Cosh,
    /// The inverse of `sinh`
    Asinh,
    /// The inverse of `cosh`
    Acosh,
    /// The inverse of `tanh`
    Atanh,
    /// `scale * clamp(round(x / scale), lo, hi)`: what `QuantizeLinear` and `DequantizeLinear` make of `x`, the zero point subtracted from the
    /// bounds.
    Quantize {
        /// Real value of the integer 1, positive.
        scale: f32,
        /// Smallest integer.
        lo: i32,
        /// Largest integer.
        hi: i32,
        /// Which of two nearest integers it is.
        ties: Ties,
    },
}

/// Functions that are ever steeper towards 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Steep {
    /// `log(x)`
    Log,
    /// `sqrt(x)`
    Sqrt,
    /// `1 / x`
    Reciprocal,
    /// `x^exponent`, the exponent below 1
    Power {
        /// The exponent.
        exponent: f32,
    },
}

impl Steep {
    pub(super) fn activation(self) -> Activation {
        match self {
            Self::Log => Activation::Log,
            Self::Sqrt => Activation::Sqrt,
            Self::Reciprocal => Activation::Reciprocal,
            Self::Power { exponent } => Activation::Power { exponent },
        }
    }
}

/// Which of the two nearest integers a half is rounded to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ties {
    /// The even one.
    #[default]
    Even,
    /// The odd one: even once an odd zero point is added, where the model rounds after that.
    Odd,
}

impl Ties {
    fn round(self, x: f64) -> f64 {
        match self {
            Self::Even => x.round_ties_even(),
            Self::Odd => (x + 1.0).round_ties_even() - 1.0,
        }
    }
}

impl Activation {
    /// The function's value.
    pub fn apply(self, x: f32) -> f32 {
        match self {
            Self::Relu => x.max(0.0),
            Self::LeakyRelu { alpha } if x < 0.0 => alpha * x,
            Self::LeakyRelu { .. } => x,
            Self::Clip { lo, hi } => x.clamp(lo, hi),
            // In single precision, as the models that are quantised already compute it.
            Self::Quantize {
                scale,
                lo,
                hi,
                ties,
            } => {
                let integer = ties.round((x / scale).into()) as f32;
                integer.clamp(lo as f32, hi as f32) * scale
            }
            _ => self.at(x.into()) as f32,
        }
    }

    /// The function's value in double precision; not finite where the function is not.
    pub fn at(self, x: f64) -> f64 {
        let sigmoid = |x: f64| 1.0 / (1.0 + libm::exp(-x));
        let softplus = |x: f64| x.max(0.0) + libm::log1p(libm::exp(-x.abs()));
        match self {
            Self::Relu => x.max(0.0),
            Self::LeakyRelu { alpha } if x < 0.0 => f64::from(alpha) * x,
            Self::Index { length } if x < 0.0 => x + f64::from(length),
            Self::LeakyRelu { .. } | Self::Index { .. } => x,
            Self::Clip { lo, hi } => x.clamp(lo.into(), hi.into()),
            Self::ThresholdedRelu { alpha } if x > alpha.into() => x,
            Self::Shrink { lambda, bias } if x < (-lambda).into() => x + f64::from(bias),
            Self::Shrink { lambda, bias } if x > lambda.into() => x - f64::from(bias),
            Self::ThresholdedRelu { .. } | Self::Shrink { .. } => 0.0,
            Self::Sigmoid => sigmoid(x),
            Self::Tanh => libm::tanh(x),
            Self::Elu { gamma, .. } if x >= 0.0 => f64::from(gamma) * x,
            Self::Elu { alpha, beta, gamma } => {
                f64::from(gamma) * f64::from(alpha) * libm::expm1(x / f64::from(beta))
            }
            Self::HardSigmoid { alpha, beta } => {
                (f64::from(alpha) * x + f64::from(beta)).clamp(0.0, 1.0)
            }
            Self::HardSwish => x * (x / 6.0 + 0.5).clamp(0.0, 1.0),
            Self::Softplus => softplus(x),
            Self::Softsign => x / (1.0 + x.abs()),
            Self::Mish => x * libm::tanh(softplus(x)),
            Self::Gelu => 0.5 * x * libm::erfc(-x * std::f64::consts::FRAC_1_SQRT_2),
            Self::GeluTanh => {
                let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x * x * x);
                0.5 * x * (1.0 + libm::tanh(inner))
            }
            Self::Swish { alpha } => x * sigmoid(f64::from(alpha) * x),
            Self::Exp => libm::exp(x),
            Self::Log => libm::log(x),
            Self::Sqrt => x.sqrt(),
            Self::Reciprocal => 1.0 / x,
            Self::Inverse { .. } if x == 0.0 => 0.0,
            Self::Power { exponent } | Self::Inverse { exponent } => libm::pow(x, exponent.into()),
            Self::Within { function, lo, hi } => {
                function.activation().at(x.clamp(lo.into(), hi.into()))
            }
            Self::Erf => libm::erf(x),
            Self::Abs => x.abs(),
            Self::Floor => x.floor(),
            Self::Ceil => x.ceil(),
            Self::Round => x.round_ties_even(),
            Self::Truncate => x.trunc(),
            Self::FloorDiv { divisor } => (x / f64::from(divisor)).floor(),
            Self::Step => f64::from(u8::from(x >= 0.0)),
            Self::IsZero => f64::from(u8::from(x == 0.0)),
            Self::Sin => libm::sin(x),
            Self::Cos => libm::cos(x),
            Self::Tan => libm::tan(x),
            Self::Asin => libm::asin(x),
            Self::Acos => libm::acos(x),
            Self::Atan => libm::atan(x),
            Self::Sinh => libm::sinh(x),
            Self::Cosh => libm::cosh(x),
            Self::Asinh => libm::asinh(x),
            Self::Acosh => libm::acosh(x),
            Self::Atanh => libm::atanh(x),
            Self::Quantize {
                scale,
                lo,
                hi,
                ties,
            } => {
                let scale = f64::from(scale);
                ties.round(x / scale).clamp(lo.into(), hi.into()) * scale
            }
        }
    }

    /// What is wrong with the parameters, if anything.
    pub(super) fn check(self) -> Result<(), String> {
        let parameters: &[(&str, f32)] = &match self {
            Self::LeakyRelu { alpha } | Self::ThresholdedRelu { alpha } | Self::Swish { alpha } => {
                vec![("alpha", alpha)]
            }
            Self::Shrink { lambda, bias } => vec![("lambda", lambda), ("bias", bias)],
            Self::Elu { alpha, beta, gamma } => {
                vec![("alpha", alpha), ("beta", beta), ("gamma", gamma)]
            }
            Self::HardSigmoid { alpha, beta } => vec![("alpha", alpha), ("beta", beta)],
            Self::Power { exponent }
            | Self::Inverse { exponent }
            | Self::Within {
                function: Steep::Power { exponent },
                ..
            } => {
                vec![("exponent", exponent)]
            }
            Self::Quantize { scale, .. } => vec![("scale", scale)],
            _ => vec![],
        };
        if let Some((name, x)) = parameters.iter().find(|(_, x)| !x.is_finite()) {
            return Err(format!("{name} {x} is not finite"));
        }
        match self {
            Self::Clip { lo, hi } if lo.is_nan() || hi.is_nan() || lo > hi => {
                Err(format!("bounds {lo} and {hi} are not an interval"))
            }
            Self::Within { lo, hi, .. } if !(lo > 0.0 && lo <= hi) => {
                Err(format!("bounds {lo} and {hi} are no positive interval"))
            }
            Self::FloorDiv { divisor: 0 } => Err("it divides by 0".into()),
            Self::Index { length: 0 } => Err("it indexes an axis of length 0".into()),
            Self::Elu { beta: 0.0, .. } => Err("its exponent is divided by 0".into()),
            Self::Quantize { scale, lo, hi, .. } if scale <= 0.0 || lo > hi => {
                Err(format!("scale {scale} with integers {lo} to {hi}"))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_close(f: Activation, x: f64, y: f64) {
        assert!((f.at(x) - y).abs() < 1e-9, "{f:?}({x}) = {}", f.at(x));
        assert!((f64::from(f.apply(x as f32)) - y).abs() < 1e-5, "{f:?}");
    }

    #[test]
    fn values_of_the_onnx_definitions() {
        use Activation as A;
        let elu = |alpha, beta, gamma| A::Elu { alpha, beta, gamma };
        assert_close(elu(2.0, 1.0, 1.0), -1.0, 2.0 * ((-1.0_f64).exp() - 1.0));
        assert_close(elu(2.0, 2.0, 1.0), -1.0, 2.0 * ((-0.5_f64).exp() - 1.0));
        assert_close(elu(2.0, 1.0, 3.0), 1.5, 4.5);
        assert_close(A::Softplus, 0.0, std::f64::consts::LN_2);
        assert_close(A::Softplus, 800.0, 800.0);
        assert_close(A::Softsign, -3.0, -0.75);
        assert_close(A::Mish, 1.0, 0.865_098_388_267);
        assert_close(A::Gelu, 1.0, 0.841_344_746_068_543);
        assert_close(A::GeluTanh, 1.0, 0.841_191_990_608_276_7);
        assert_close(A::Swish { alpha: 1.0 }, 1.0, 0.731_058_578_630_004_9);
        assert_close(A::HardSwish, 1.5, 1.125);
        assert_close(
            A::HardSigmoid {
                alpha: 0.5,
                beta: 0.5,
            },
            0.5,
            0.75,
        );
        assert_close(A::ThresholdedRelu { alpha: 1.0 }, 1.0, 0.0);
        assert_close(
            A::Shrink {
                lambda: 1.0,
                bias: 0.5,
            },
            -2.0,
            -1.5,
        );
        assert_close(A::Power { exponent: 3.0 }, -2.0, -8.0);
        assert_close(A::Round, 2.5, 2.0);
        assert_close(A::Round, -1.5, -2.0);
        assert_close(A::Truncate, -1.5, -1.0);
        assert_close(A::Step, 0.0, 1.0);
        let quantize = A::Quantize {
            scale: 0.5,
            lo: -2,
            hi: 3,
            ties: Ties::Even,
        };
        assert_close(quantize, 0.75, 1.0);
        assert_close(quantize, 9.0, 1.5);
        let odd = A::Quantize {
            scale: 1.0,
            lo: -9,
            hi: 9,
            ties: Ties::Odd,
        };
        for (x, y) in [
            (0.5, 1.0),
            (1.5, 1.0),
            (-0.5, -1.0),
            (2.25, 2.0),
            (-2.5, -3.0),
        ] {
            assert_close(odd, x, y);
        }
        assert!(A::Log.at(-1.0).is_nan());
    }

    #[test]
    fn properties_hold_on_samples() {
        use Activation as A;
        let functions = [
            A::Relu,
            A::LeakyRelu { alpha: 0.1 },
            A::Sigmoid,
            A::Tanh,
            A::HardSigmoid {
                alpha: 0.2,
                beta: 0.5,
            },
            A::Softplus,
            A::Softsign,
            A::Exp,
            A::Erf,
            A::Step,
            A::IsZero,
            A::Abs,
            A::Cosh,
            A::Sin,
            A::Atan,
            A::Power { exponent: 2.0 },
            A::Quantize {
                scale: 0.3,
                lo: -7,
                hi: 9,
                ties: Ties::Even,
            },
        ];
        for f in functions {
            let mut last = f64::NEG_INFINITY;
            for i in -400..400 {
                let y = f.at(f64::from(i) * 0.02);
                assert!(!f.is_nonnegative() || y >= 0.0, "{f:?}");
                assert!(!f.is_monotone() || y >= last, "{f:?}");
                assert!(f.bound().is_none_or(|b| y.abs() <= b), "{f:?}");
                assert!(!f.is_integral() || y.fract() == 0.0, "{f:?}");
                last = y;
            }
        }
    }

    #[test]
    fn parameters_are_checked() {
        use Activation as A;
        let bad = [
            A::LeakyRelu { alpha: f32::NAN },
            A::Clip { lo: 1.0, hi: 0.0 },
            A::Elu {
                alpha: 1.0,
                beta: 0.0,
                gamma: 1.0,
            },
            A::Power {
                exponent: f32::INFINITY,
            },
            A::Quantize {
                scale: 0.0,
                lo: 0,
                hi: 1,
                ties: Ties::Even,
            },
            A::Quantize {
                scale: 1.0,
                lo: 1,
                hi: 0,
                ties: Ties::Even,
            },
        ];
        for f in bad {
            assert!(f.check().is_err(), "{f:?}");
        }
        let open = A::Clip {
            lo: f32::NEG_INFINITY,
            hi: f32::INFINITY,
        };
        assert_eq!(open.check(), Ok(()));
    }
}
