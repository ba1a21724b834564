//! Every elementwise function against a formula of its own, and the check of its parameters.

use super::super::activation::{Activation, Steep, Ties};
use super::{arguments, close, functions};

/// Simpson's rule for the integral of `exp(-t^2)`.
fn erf(x: f64) -> f64 {
    if x.abs() > 6.0 {
        return x.signum();
    }
    let n = 2000;
    let h = x / f64::from(n);
    let term = |i: i32| {
        let weight = match i {
            0 => 1.0,
            _ if i == n => 1.0,
            _ if i % 2 == 1 => 4.0,
            _ => 2.0,
        };
        let t = f64::from(i) * h;
        weight * (-t * t).exp()
    };
    let sum: f64 = (0..=n).map(term).sum();
    sum * h / 3.0 * 2.0 / std::f64::consts::PI.sqrt()
}

/// The nearest integer, by comparison of both.
fn nearest(x: f64, odd: bool) -> f64 {
    let (below, above) = (x.floor(), x.floor() + 1.0);
    let wanted = |integer: f64| (integer.rem_euclid(2.0) > 0.5) == odd;
    match (x - below).total_cmp(&(above - x)) {
        std::cmp::Ordering::Less => below,
        std::cmp::Ordering::Equal if wanted(below) => below,
        std::cmp::Ordering::Equal | std::cmp::Ordering::Greater => above,
    }
}

fn steep(function: Steep, x: f64) -> f64 {
    match function {
        Steep::Log => x.ln(),
        Steep::Sqrt => x.powf(0.5),
        Steep::Reciprocal => x.powi(-1),
        Steep::Power { exponent } => x.powf(exponent.into()),
    }
}

fn between(x: f64, lo: f64, hi: f64) -> f64 {
    if x < lo {
        lo
    } else if x > hi {
        hi
    } else {
        x
    }
}

/// The definition of every function, with the standard library's functions.
fn formula(f: Activation, x: f64) -> f64 {
    use Activation as A;
    let sign = |x: f64| if x < 0.0 { -1.0 } else { 1.0 };
    let logistic = |x: f64| f64::midpoint((x / 2.0).tanh(), 1.0);
    match f {
        A::Relu => f64::midpoint(x, x.abs()),
        A::LeakyRelu { alpha } => x.max(0.0) + f64::from(alpha) * x.min(0.0),
        A::Clip { lo, hi } => between(x, lo.into(), hi.into()),
        A::ThresholdedRelu { alpha } => f64::from(u8::from(x > alpha.into())) * x,
        A::Shrink { lambda, bias } if x.abs() > lambda.into() => {
            sign(x) * (x.abs() - f64::from(bias))
        }
        A::Shrink { .. } => 0.0,
        A::Sigmoid => logistic(x),
        A::Tanh => x.sinh() / x.cosh(),
        A::Elu { alpha, beta, gamma } => {
            let [alpha, beta, gamma] = [alpha, beta, gamma].map(f64::from);
            let below = alpha * ((x.min(0.0) / beta).exp() - 1.0);
            gamma * (x.max(0.0) + below)
        }
        A::HardSigmoid { alpha, beta } => between(f64::from(alpha) * x + f64::from(beta), 0.0, 1.0),
        A::HardSwish => x * between(x + 3.0, 0.0, 6.0) / 6.0,
        A::Softplus => (1.0 + x.exp()).ln(),
        A::Softsign => sign(x) * (1.0 - 1.0 / (1.0 + x.abs())),
        A::Mish => {
            let square = (1.0 + x.exp()).powi(2);
            x * (square - 1.0) / (square + 1.0)
        }
        A::Gelu => x * f64::midpoint(1.0, erf(x / 2.0_f64.sqrt())),
        A::GeluTanh => {
            let t = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x.powi(3));
            x * logistic(2.0 * t)
        }
        A::Swish { alpha } => x * logistic(f64::from(alpha) * x),
        A::Exp => x.exp(),
        A::Log => steep(Steep::Log, x),
        A::Sqrt => steep(Steep::Sqrt, x),
        A::Reciprocal => steep(Steep::Reciprocal, x),
        A::Inverse { .. } if x.abs() <= 0.0 => 0.0,
        A::Power { exponent } | A::Inverse { exponent } => x.powf(exponent.into()),
        A::Within { function, lo, hi } => steep(function, between(x, lo.into(), hi.into())),
        A::Erf => erf(x),
        A::Abs => x.max(-x),
        A::Floor => x - x.rem_euclid(1.0),
        A::Ceil => -(-x).floor(),
        A::Round => nearest(x, false),
        A::Truncate => sign(x) * x.abs().floor(),
        A::FloorDiv { divisor } => (x as i64).div_euclid(divisor.into()) as f64,
        A::Index { length } => (x as i64 + i64::from(length) * i64::from(x < 0.0)) as f64,
        A::Step => f64::midpoint(1.0, sign(x)),
        A::IsZero => f64::from(u8::from(x.abs() <= 0.0)),
        A::Sin => (x - std::f64::consts::FRAC_PI_2).cos(),
        A::Cos => (x + std::f64::consts::FRAC_PI_2).sin(),
        A::Tan => x.sin() / x.cos(),
        A::Asin => x.atan2((1.0 - x * x).sqrt()),
        A::Acos => (1.0 - x * x).sqrt().atan2(x),
        A::Atan => x.atan2(1.0),
        A::Sinh => (x.exp() - (-x).exp()) / 2.0,
        A::Cosh => f64::midpoint(x.exp(), (-x).exp()),
        A::Asinh => sign(x) * (x.abs() + (x * x + 1.0).sqrt()).ln(),
        A::Acosh => (x + (x * x - 1.0).sqrt()).ln(),
        A::Atanh => 0.5 * ((1.0 + x) / (1.0 - x)).ln(),
        A::Quantize {
            scale,
            lo,
            hi,
            ties,
        } => {
            let scale = f64::from(scale);
            let integer = nearest(x / scale, ties == Ties::Odd);
            scale * between(integer, lo.into(), hi.into())
        }
    }
}

#[test]
fn every_function_is_its_formula() {
    for f in functions() {
        assert_eq!(f.check(), Ok(()), "{f:?}");
        let grid = arguments(f);
        assert!(grid.len() > 25, "{f:?}");
        for x in grid {
            let (y, expected) = (f.at(x), formula(f, x));
            assert!(close(y, expected), "{f:?}({x}) = {y}, not {expected}");
        }
    }
}

/// Single precision is the rounded value of the double, but for the last digit.
#[test]
fn single_precision_follows_double() {
    for f in functions() {
        for x in arguments(f) {
            let x = x as f32;
            let (y, expected) = (f64::from(f.apply(x)), f.at(x.into()));
            let same = y.total_cmp(&expected).is_eq() || y.is_nan() && expected.is_nan();
            let nearly = (y - expected).abs() <= 2.5e-7 * expected.abs() + 1e-37;
            // What is beyond the largest number of single precision.
            let beyond = y.is_infinite() && expected.abs() > f32::MAX.into();
            assert!(same || nearly || beyond, "{f:?}({x}) = {y}, not {expected}");
        }
    }
}

/// Tails, where a sum of terms of magnitude 1 would have lost all digits.
#[test]
fn small_values_keep_their_digits() {
    use Activation as A;
    let elu = A::Elu {
        alpha: 1.0,
        beta: 1.0,
        gamma: 1.0,
    };
    let table = [
        (A::Sigmoid, -40.0, 4.248_354_255_291_589e-18),
        (A::Softplus, -40.0, 4.248_354_255_291_589e-18),
        (A::Mish, -40.0, -1.699_341_702_116_635_6e-16),
        (A::Swish { alpha: 1.0 }, -40.0, -1.699_341_702_116_635_6e-16),
        (A::Gelu, -10.0, -7.619_853_024_160_527e-23),
        (elu, -1e-12, -9.999_999_999_995e-13),
        (A::Tanh, 1e-12, 1e-12),
        (A::Sinh, -1e-12, -1e-12),
        (A::Asinh, 1e-12, 1e-12),
        (A::Atanh, -1e-12, -1e-12),
        (A::Erf, 1e-12, 1.128_379_167_095_512_6e-12),
        (A::Exp, -700.0, 9.859_676_543_759_77e-305),
        (A::Power { exponent: 3.0 }, 1e-5, 1e-15),
        (A::Softsign, 1e-12, 9.999_999_999_99e-13),
    ];
    for (f, x, expected) in table {
        let y = f.at(x);
        let error = ((y - expected) / expected).abs();
        assert!(error < 1e-12, "{f:?}({x}) = {y}, not {expected}");
    }
}

/// Large arguments neither overflow on the way nor leave what the function tends to.
#[test]
fn large_arguments() {
    use Activation as A;
    let large = 1e30;
    let same = [
        A::Relu,
        A::HardSwish,
        A::Softplus,
        A::Mish,
        A::Gelu,
        A::GeluTanh,
        A::Swish { alpha: 1.702 },
        A::Abs,
        A::Floor,
        A::Ceil,
        A::Round,
        A::Truncate,
        A::ThresholdedRelu { alpha: 1.0 },
    ];
    for f in same {
        assert!(close(f.at(large), large), "{f:?}");
    }
    for f in [A::Sigmoid, A::Tanh, A::Softsign, A::Erf, A::Step] {
        assert!(close(f.at(large), 1.0), "{f:?}");
    }
    for f in [A::Tanh, A::Softsign, A::Erf] {
        assert!(close(f.at(-large), -1.0), "{f:?}");
    }
    let nothing = [
        A::Relu,
        A::Sigmoid,
        A::HardSwish,
        A::Softplus,
        A::Mish,
        A::Gelu,
        A::GeluTanh,
        A::Swish { alpha: 1.0 },
        A::Exp,
        A::Step,
        A::IsZero,
    ];
    for f in nothing {
        assert!(f.at(-large).abs() < 1e-300, "{f:?}: {}", f.at(-large));
    }
}

/// Every parameter that must be finite, positive or ordered.
#[test]
fn bad_parameters_are_refused_by_name() {
    use Activation as A;
    let refuse = |f: Activation, expected: &str| {
        let reason = f.check().expect_err(expected);
        assert!(reason.contains(expected), "{f:?}: {reason}");
    };
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let elu = |alpha, beta, gamma| A::Elu { alpha, beta, gamma };
        let shrink = |lambda, bias| A::Shrink { lambda, bias };
        let hard = |alpha, beta| A::HardSigmoid { alpha, beta };
        refuse(A::LeakyRelu { alpha: bad }, "alpha");
        refuse(A::ThresholdedRelu { alpha: bad }, "alpha");
        refuse(A::Swish { alpha: bad }, "alpha");
        refuse(shrink(bad, 0.0), "lambda");
        refuse(shrink(0.5, bad), "bias");
        refuse(elu(bad, 1.0, 1.0), "alpha");
        refuse(elu(1.0, bad, 1.0), "beta");
        refuse(elu(1.0, 1.0, bad), "gamma");
        refuse(hard(bad, 0.0), "alpha");
        refuse(hard(1.0, bad), "beta");
        refuse(A::Power { exponent: bad }, "exponent");
        refuse(A::Inverse { exponent: bad }, "exponent");
        let function = Steep::Power { exponent: bad };
        let (lo, hi) = (1.0, 2.0);
        refuse(A::Within { function, lo, hi }, "exponent");
        let (lo, hi, ties) = (-1, 1, Ties::Even);
        let scale = bad;
        refuse(
            A::Quantize {
                scale,
                lo,
                hi,
                ties,
            },
            "scale",
        );
    }
    let nan = f32::NAN;
    for (lo, hi) in [(nan, 1.0), (0.0, nan), (1.0, 0.5), (0.0, -1.0)] {
        refuse(A::Clip { lo, hi }, "interval");
    }
    let function = Steep::Sqrt;
    for (lo, hi) in [(0.0, 1.0), (-1.0, 1.0), (nan, 1.0), (1.0, nan), (2.0, 1.0)] {
        refuse(A::Within { function, lo, hi }, "positive interval");
    }
    for scale in [0.0, -0.5] {
        let (lo, hi, ties) = (0, 1, Ties::Odd);
        refuse(
            A::Quantize {
                scale,
                lo,
                hi,
                ties,
            },
            "scale",
        );
    }
    refuse(A::FloorDiv { divisor: 0 }, "divides by 0");
    refuse(A::Index { length: 0 }, "length 0");
}

/// Below the one threshold first, as ONNX has it, where a negative one makes both hold.
#[test]
fn shrinking_by_a_negative_threshold() {
    let (lambda, bias) = (-0.5, 0.25);
    let f = Activation::Shrink { lambda, bias };
    for (x, y) in [(-1.0, -0.75), (0.25, 0.5), (0.5, 0.25), (2.0, 1.75)] {
        assert!(close(f.at(x), y), "{x}: {}", f.at(x));
    }
}
