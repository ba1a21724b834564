//! What values every elementwise function has: their sign, bounds and kind.
//!
//! Every fact is one exhaustive match, so that a new function does not compile before each of them
//! has been stated of it.

use super::{Activation, Steep};

impl Activation {
    /// Whether no value is negative.
    pub fn is_nonnegative(self) -> bool {
        match self {
            Self::Relu
            | Self::Sigmoid
            | Self::HardSigmoid { .. }
            | Self::Softplus
            | Self::Exp
            | Self::Sqrt
            | Self::Abs
            | Self::Step
            | Self::IsZero
            | Self::Acos
            | Self::Cosh
            | Self::Acosh => true,
            Self::Clip { lo, .. } => lo >= 0.0,
            Self::ThresholdedRelu { alpha } => alpha >= 0.0,
            Self::Power { exponent } | Self::Inverse { exponent } => {
                exponent % 2.0 == 0.0 || exponent.fract() != 0.0
            }
            Self::Quantize { lo, .. } => lo >= 0,
            Self::Within { function, .. } => match function {
                Steep::Log => false,
                Steep::Sqrt | Steep::Reciprocal | Steep::Power { .. } => true,
            },
            Self::LeakyRelu { .. }
            | Self::Shrink { .. }
            | Self::Tanh
            | Self::Elu { .. }
            | Self::HardSwish
            | Self::Softsign
            | Self::Mish
            | Self::Gelu
            | Self::GeluTanh
            | Self::Swish { .. }
            | Self::Log
            | Self::Reciprocal
            | Self::Erf
            | Self::Floor
            | Self::Ceil
            | Self::Round
            | Self::Truncate
            | Self::FloorDiv { .. }
            | Self::Index { .. }
            | Self::Sin
            | Self::Cos
            | Self::Tan
            | Self::Asin
            | Self::Atan
            | Self::Sinh
            | Self::Asinh
            | Self::Atanh => false,
        }
    }

    /// The magnitude other than 0 of a value that the function has, or nearly has, on a whole side of
    /// its arguments, if it is not its largest.
    pub fn level(self) -> Option<f64> {
        let level = match self {
            Self::Elu { alpha, gamma, .. } => f64::from(alpha * gamma).abs(),
            Self::Clip { lo, .. } => f64::from(lo).abs(),
            Self::Relu
            | Self::LeakyRelu { .. }
            | Self::ThresholdedRelu { .. }
            | Self::Shrink { .. }
            | Self::Sigmoid
            | Self::Tanh
            | Self::HardSigmoid { .. }
            | Self::HardSwish
            | Self::Softplus
            | Self::Softsign
            | Self::Mish
            | Self::Gelu
            | Self::GeluTanh
            | Self::Swish { .. }
            | Self::Exp
            | Self::Log
            | Self::Sqrt
            | Self::Reciprocal
            | Self::Power { .. }
            | Self::Inverse { .. }
            | Self::Within { .. }
            | Self::Erf
            | Self::Abs
            | Self::Floor
            | Self::Ceil
            | Self::Round
            | Self::Truncate
            | Self::FloorDiv { .. }
            | Self::Index { .. }
            | Self::Step
            | Self::IsZero
            | Self::Sin
            | Self::Cos
            | Self::Tan
            | Self::Asin
            | Self::Acos
            | Self::Atan
            | Self::Sinh
            | Self::Cosh
            | Self::Asinh
            | Self::Acosh
            | Self::Atanh
            | Self::Quantize { .. } => 0.0,
        };
        (level > 0.0 && level.is_finite()).then_some(level)
    }

    /// Whether the function goes from -1 or 0 to 1 and is nearly that where its argument is large, so
    /// that what it reaches follows from what its argument reaches.
    pub fn saturates(self) -> bool {
        match self {
            Self::Sigmoid | Self::Tanh => true,
            Self::Relu
            | Self::LeakyRelu { .. }
            | Self::Clip { .. }
            | Self::ThresholdedRelu { .. }
            | Self::Shrink { .. }
            | Self::Elu { .. }
            | Self::HardSigmoid { .. }
            | Self::HardSwish
            | Self::Softplus
            | Self::Softsign
            | Self::Mish
            | Self::Gelu
            | Self::GeluTanh
            | Self::Swish { .. }
            | Self::Exp
            | Self::Log
            | Self::Sqrt
            | Self::Reciprocal
            | Self::Power { .. }
            | Self::Inverse { .. }
            | Self::Within { .. }
            | Self::Erf
            | Self::Abs
            | Self::Floor
            | Self::Ceil
            | Self::Round
            | Self::Truncate
            | Self::FloorDiv { .. }
            | Self::Index { .. }
            | Self::Step
            | Self::IsZero
            | Self::Sin
            | Self::Cos
            | Self::Tan
            | Self::Asin
            | Self::Acos
            | Self::Atan
            | Self::Sinh
            | Self::Cosh
            | Self::Asinh
            | Self::Acosh
            | Self::Atanh
            | Self::Quantize { .. } => false,
        }
    }

    /// The largest magnitude of a function that [saturates](Self::saturates) for arguments of
    /// magnitudes up to `most`.
    pub fn reached(self, most: f64) -> f64 {
        self.at(most).abs().max(self.at(-most).abs()).min(1.0)
    }

    /// Whether every value is an integer.
    pub fn is_integral(self) -> bool {
        match self {
            Self::Floor
            | Self::Ceil
            | Self::Round
            | Self::Truncate
            | Self::FloorDiv { .. }
            | Self::Index { .. }
            | Self::Step
            | Self::IsZero => true,
            Self::Relu
            | Self::LeakyRelu { .. }
            | Self::Clip { .. }
            | Self::ThresholdedRelu { .. }
            | Self::Shrink { .. }
            | Self::Sigmoid
            | Self::Tanh
            | Self::Elu { .. }
            | Self::HardSigmoid { .. }
            | Self::HardSwish
            | Self::Softplus
            | Self::Softsign
            | Self::Mish
            | Self::Gelu
            | Self::GeluTanh
            | Self::Swish { .. }
            | Self::Exp
            | Self::Log
            | Self::Sqrt
            | Self::Reciprocal
            | Self::Power { .. }
            | Self::Inverse { .. }
            | Self::Within { .. }
            | Self::Erf
            | Self::Abs
            | Self::Sin
            | Self::Cos
            | Self::Tan
            | Self::Asin
            | Self::Acos
            | Self::Atan
            | Self::Sinh
            | Self::Cosh
            | Self::Asinh
            | Self::Acosh
            | Self::Atanh
            | Self::Quantize { .. } => false,
        }
    }

    /// The magnitude that no value exceeds, if there is one.
    pub fn bound(self) -> Option<f64> {
        match self {
            Self::Sigmoid
            | Self::Tanh
            | Self::HardSigmoid { .. }
            | Self::Softsign
            | Self::Erf
            | Self::Sin
            | Self::Cos
            | Self::Step
            | Self::IsZero => Some(1.0),
            Self::Asin | Self::Atan => Some(std::f64::consts::FRAC_PI_2),
            Self::Acos => Some(std::f64::consts::PI),
            Self::Clip { lo, hi } => {
                let bound = lo.abs().max(hi.abs());
                bound.is_finite().then(|| bound.into())
            }
            Self::Quantize { scale, lo, hi, .. } => {
                let most = lo.unsigned_abs().max(hi.unsigned_abs());
                Some(f64::from(most) * f64::from(scale))
            }
            Self::Relu
            | Self::LeakyRelu { .. }
            | Self::ThresholdedRelu { .. }
            | Self::Shrink { .. }
            | Self::Elu { .. }
            | Self::HardSwish
            | Self::Softplus
            | Self::Mish
            | Self::Gelu
            | Self::GeluTanh
            | Self::Swish { .. }
            | Self::Exp
            | Self::Log
            | Self::Sqrt
            | Self::Reciprocal
            | Self::Power { .. }
            | Self::Inverse { .. }
            | Self::Within { .. }
            | Self::Abs
            | Self::Floor
            | Self::Ceil
            | Self::Round
            | Self::Truncate
            | Self::FloorDiv { .. }
            | Self::Index { .. }
            | Self::Tan
            | Self::Sinh
            | Self::Cosh
            | Self::Asinh
            | Self::Acosh
            | Self::Atanh => None,
        }
    }
}
