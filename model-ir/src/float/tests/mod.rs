//! Tests of the float graph, and every elementwise function for them.

mod executor;
mod facts;
mod functions;
mod shapes;

use super::activation::{Activation, Steep, Ties};

/// Every function, those with parameters with several.
fn functions() -> Vec<Activation> {
    use Activation as A;
    let inf = f32::INFINITY;
    let mut all = vec![
        A::Relu,
        A::Sigmoid,
        A::Tanh,
        A::HardSwish,
        A::Softplus,
        A::Softsign,
        A::Mish,
        A::Gelu,
        A::GeluTanh,
        A::Exp,
        A::Log,
        A::Sqrt,
        A::Reciprocal,
        A::Erf,
        A::Abs,
        A::Floor,
        A::Ceil,
        A::Round,
        A::Truncate,
        A::Step,
        A::IsZero,
        A::Sin,
        A::Cos,
        A::Tan,
        A::Asin,
        A::Acos,
        A::Atan,
        A::Sinh,
        A::Cosh,
        A::Asinh,
        A::Acosh,
        A::Atanh,
    ];
    all.extend([0.0, 0.25, -0.5, 1.5].map(|alpha| A::LeakyRelu { alpha }));
    let bounds = [
        (-1.0, 2.5),
        (0.0, 6.0),
        (0.5, 0.75),
        (-3.0, -1.0),
        (-inf, 0.5),
        (-0.25, inf),
        (-inf, inf),
    ];
    all.extend(bounds.map(|(lo, hi)| A::Clip { lo, hi }));
    all.extend([0.5, -1.0].map(|alpha| A::ThresholdedRelu { alpha }));
    let shrinks = [(0.5, 0.0), (1.0, 0.25), (0.25, 1.0)];
    all.extend(shrinks.map(|(lambda, bias)| A::Shrink { lambda, bias }));
    let elus = [
        (1.0, 1.0, 1.0),
        (2.0, 0.5, 1.0),
        (1.673_263_2, 1.0, 1.050_701),
        (0.5, 2.0, 3.0),
    ];
    all.extend(elus.map(|(alpha, beta, gamma)| A::Elu { alpha, beta, gamma }));
    let slopes = [(0.2, 0.5), (1.0, 0.0), (-0.5, 0.25)];
    all.extend(slopes.map(|(alpha, beta)| A::HardSigmoid { alpha, beta }));
    all.extend([1.0, 1.702, -2.0].map(|alpha| A::Swish { alpha }));
    let powers = [2.0, 3.0, 0.5, 1.5, -1.0, -2.0, -0.5];
    all.extend(powers.map(|exponent| A::Power { exponent }));
    all.extend([-1.0, -2.0, -0.5].map(|exponent| A::Inverse { exponent }));
    let steep = [
        Steep::Log,
        Steep::Sqrt,
        Steep::Reciprocal,
        Steep::Power { exponent: -0.5 },
        Steep::Power { exponent: 0.25 },
    ];
    let within = [(0.125, 4.0), (2.0, inf)];
    all.extend(within.into_iter().flat_map(|(lo, hi)| {
        let of = move |function| A::Within { function, lo, hi };
        steep.map(of)
    }));
    all.extend([1, 2, 7].map(|divisor| A::FloorDiv { divisor }));
    all.extend([1, 5].map(|length| A::Index { length }));
    let quantisers = [
        (0.25, -8, 7, Ties::Even),
        (0.5, -3, 12, Ties::Odd),
        (2.0, 0, 15, Ties::Even),
        (0.125, 1, 9, Ties::Odd),
    ];
    all.extend(quantisers.map(|(scale, lo, hi, ties)| A::Quantize {
        scale,
        lo,
        hi,
        ties,
    }));
    all
}

/// Arguments of a function: sixteenths, integers, tiny and large ones, and the ends of its domain;
/// ascending, all inside the domain.
fn arguments(f: Activation) -> Vec<f64> {
    let (lo, hi) = match f {
        // The function itself is defined everywhere.
        Activation::Within { .. } => (f64::NEG_INFINITY, f64::INFINITY),
        _ => f.domain(),
    };
    let mut grid: Vec<f64> = (-160..=160).map(|i| f64::from(i) / 16.0).collect();
    grid.extend((-40..=40).map(|i| f64::from(i) * 0.731 / 4.0));
    for size in [1e-300, 1e-12, 1e-5, 0.01, 20.0, 33.25, 50.0] {
        grid.extend([-size, size]);
    }
    grid.extend([lo, hi].into_iter().filter(|x| x.is_finite()));
    if matches!(f, Activation::Index { .. } | Activation::FloorDiv { .. }) {
        grid.retain(|x| x.fract() == 0.0);
    }
    grid.retain(|&x| lo <= x && x <= hi);
    grid.sort_by(f64::total_cmp);
    grid
}

/// Whether the numbers are equal but for the last digits of a value of magnitude 1.
fn close(a: f64, b: f64) -> bool {
    let both_nan = a.is_nan() && b.is_nan();
    let same = a.total_cmp(&b).is_eq() || both_nan;
    same || b.is_finite() && (a - b).abs() <= 1e-11 * (1.0 + b.abs())
}
