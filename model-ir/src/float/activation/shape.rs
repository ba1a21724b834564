//! How every elementwise function runs: where it is defined, steep, monotone, or what it does to
//! scales.
//!
//! Every fact is one exhaustive match, so that a new function does not compile before each of them
//! has been stated of it.

use super::{Activation, Steep};

impl Activation {
    /// The function if it is ever steeper towards 0.
    pub fn steep(self) -> Option<Steep> {
        match self {
            Self::Log => Some(Steep::Log),
            Self::Sqrt => Some(Steep::Sqrt),
            Self::Reciprocal => Some(Steep::Reciprocal),
            Self::Power { exponent } | Self::Inverse { exponent } => {
                (exponent < 1.0).then_some(Steep::Power { exponent })
            }
            Self::Within { function, .. } => Some(function),
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
            | Self::Quantize { .. } => None,
        }
    }

    /// Whether `x <= y` implies `f(x) <= f(y)`.
    pub fn is_monotone(self) -> bool {
        match self {
            Self::LeakyRelu { alpha } => alpha >= 0.0,
            Self::Within { function, .. } => match function {
                Steep::Log | Steep::Sqrt => true,
                Steep::Reciprocal => false,
                Steep::Power { exponent } => exponent >= 0.0,
            },
            Self::Relu
            | Self::Clip { .. }
            | Self::Sigmoid
            | Self::Tanh
            | Self::Softplus
            | Self::Softsign
            | Self::Exp
            | Self::Erf
            | Self::Step
            | Self::Quantize { .. } => true,
            Self::ThresholdedRelu { .. }
            | Self::Shrink { .. }
            | Self::Elu { .. }
            | Self::HardSigmoid { .. }
            | Self::HardSwish
            | Self::Mish
            | Self::Gelu
            | Self::GeluTanh
            | Self::Swish { .. }
            | Self::Log
            | Self::Sqrt
            | Self::Reciprocal
            | Self::Power { .. }
            | Self::Inverse { .. }
            | Self::Abs
            | Self::Floor
            | Self::Ceil
            | Self::Round
            | Self::Truncate
            | Self::FloorDiv { .. }
            | Self::Index { .. }
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
            | Self::Atanh => false,
        }
    }

    /// Whether a function of real values jumps at its threshold.
    pub fn jumps(self) -> bool {
        match self {
            Self::ThresholdedRelu { .. } | Self::Shrink { .. } => true,
            Self::Relu
            | Self::LeakyRelu { .. }
            | Self::Clip { .. }
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

    /// Whether its domain ends at -1 or 1 and it is infinitely steep there.
    pub fn has_edges(self) -> bool {
        match self {
            Self::Asin | Self::Acos | Self::Acosh | Self::Atanh => true,
            Self::Tan
            | Self::Relu
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
            | Self::Atan
            | Self::Sinh
            | Self::Cosh
            | Self::Asinh
            | Self::Quantize { .. } => false,
        }
    }

    /// Its period, if it has one.
    pub fn period(self) -> Option<f32> {
        match self {
            Self::Sin | Self::Cos => Some(std::f32::consts::TAU),
            Self::Tan => Some(std::f32::consts::PI),
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
            | Self::Floor
            | Self::Ceil
            | Self::Round
            | Self::Truncate
            | Self::FloorDiv { .. }
            | Self::Index { .. }
            | Self::Step
            | Self::IsZero
            | Self::Asin
            | Self::Acos
            | Self::Atan
            | Self::Sinh
            | Self::Cosh
            | Self::Asinh
            | Self::Acosh
            | Self::Atanh
            | Self::Quantize { .. } => None,
        }
    }

    /// Whether there are poles inside its domain.
    pub fn has_poles(self) -> bool {
        match self {
            Self::Tan => true,
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

    /// Whether it says on which side of 0 its argument is.
    pub fn compares_with_zero(self) -> bool {
        match self {
            Self::Step | Self::IsZero => true,
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

    /// The bounds between which the function keeps its argument, if that is all it does; they may be
    /// infinite.
    pub fn clamps(self) -> Option<(f32, f32)> {
        match self {
            Self::Relu => Some((0.0, f32::INFINITY)),
            Self::Clip { lo, hi } => Some((lo, hi)),
            Self::LeakyRelu { .. }
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
            | Self::Quantize { .. } => None,
        }
    }

    /// Whether it rounds to integers of a scale that it prescribes.
    pub fn quantises(self) -> bool {
        match self {
            Self::Quantize { .. } => true,
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
            | Self::Atanh => false,
        }
    }

    /// Whether the function commutes with positive factors, so that it acts on integers of any
    /// scale alike; for [`Self::Clip`] with its bounds in the same scale. [`Self::Quantize`] is a
    /// clip of integers of the scale that it prescribes.
    pub fn keeps_scale(self) -> bool {
        match self {
            Self::Relu | Self::LeakyRelu { .. } | Self::Clip { .. } | Self::Quantize { .. } => true,
            Self::ThresholdedRelu { .. }
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
            | Self::Atanh => false,
        }
    }

    /// Where the function has real values; the ends may be poles.
    pub fn domain(self) -> (f64, f64) {
        let everywhere = (f64::NEG_INFINITY, f64::INFINITY);
        match self {
            Self::Log | Self::Sqrt => (0.0, f64::INFINITY),
            Self::Power { exponent } | Self::Inverse { exponent } if exponent.fract() != 0.0 => {
                (0.0, f64::INFINITY)
            }
            Self::Asin | Self::Acos | Self::Atanh => (-1.0, 1.0),
            Self::Acosh => (1.0, f64::INFINITY),
            Self::Within { lo, hi, .. } => (lo.into(), hi.into()),
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
            | Self::Reciprocal
            | Self::Power { .. }
            | Self::Inverse { .. }
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
            | Self::Atan
            | Self::Sinh
            | Self::Cosh
            | Self::Asinh
            | Self::Quantize { .. } => everywhere,
        }
    }
}
