//! Functions of cells, alone and with broadcasting, against their formulas in double precision.

use candle_onnx::onnx::AttributeProto;
use candle_onnx::onnx::tensor_proto::DataType;

use crate::build::{int, number, string};
use crate::case::{Case, Cells, cells, combined, fill, scalar, spread, vector};

/// Numbers of both signs, small and large, and around the bends of functions.
fn line() -> Cells {
    vector(&[
        -20.0, -8.0, -3.5, -3.0, -2.5, -1.5, -1.0, -0.75, -0.5, -0.25, -0.001, 0.0, 0.001, 0.25,
        0.5, 0.75, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 6.0, 8.0, 20.0,
    ])
}

/// The error function by its series, and by its continued fraction beyond.
fn erf(x: f64) -> f64 {
    if x.abs() > 3.0 {
        let fraction = (1..60)
            .rev()
            .fold(0.0, |tail, k| f64::from(k) / 2.0 / (x.abs() + tail));
        let rest = (-x * x).exp() / ((x.abs() + fraction) * std::f64::consts::PI.sqrt());
        return x.signum() * (1.0 - rest);
    }
    let (mut term, mut sum) = (x, x);
    for n in 1..80 {
        term *= -x * x / f64::from(n);
        sum += term / f64::from(2 * n + 1);
    }
    sum * 2.0 / std::f64::consts::PI.sqrt()
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn even(x: f64) -> f64 {
    x.round_ties_even()
}

/// An operator, the part of the line on which it is defined, and its formula.
type Function = (&'static str, i64, fn(f64) -> bool, fn(f64) -> f64);

const FUNCTIONS: [Function; 33] = [
    ("Abs", 13, |_| true, f64::abs),
    ("Acos", 7, |x| x.abs() <= 1.0, f64::acos),
    ("Acosh", 9, |x| x >= 1.0, f64::acosh),
    ("Asin", 7, |x| x.abs() <= 1.0, f64::asin),
    ("Asinh", 9, |_| true, f64::asinh),
    ("Atan", 7, |_| true, f64::atan),
    ("Atanh", 9, |x| x.abs() < 1.0, f64::atanh),
    ("Ceil", 13, |_| true, f64::ceil),
    ("Cos", 7, |_| true, f64::cos),
    ("Cosh", 9, |x| x.abs() < 10.0, f64::cosh),
    ("Erf", 13, |_| true, erf),
    ("Exp", 13, |x| x < 10.0, f64::exp),
    ("Floor", 13, |_| true, f64::floor),
    (
        "HardSwish",
        14,
        |_| true,
        |x| x * (x / 6.0 + 0.5).clamp(0.0, 1.0),
    ),
    ("Identity", 13, |_| true, |x| x),
    ("Log", 13, |x| x > 0.0, f64::ln),
    ("Mish", 18, |_| true, |x| x * (1.0 + x.exp()).ln().tanh()),
    ("Neg", 13, |_| true, |x| -x),
    ("Reciprocal", 13, |x| x != 0.0, f64::recip),
    ("Relu", 14, |_| true, |x| x.max(0.0)),
    ("Round", 11, |_| true, even),
    ("Sigmoid", 13, |_| true, sigmoid),
    (
        "Sign",
        13,
        |_| true,
        |x| if x == 0.0 { 0.0 } else { x.signum() },
    ),
    ("Sin", 7, |_| true, f64::sin),
    ("Sinh", 9, |x| x.abs() < 10.0, f64::sinh),
    ("Softplus", 22, |_| true, |x| (1.0 + x.exp()).ln()),
    ("Softsign", 22, |_| true, |x| x / (1.0 + x.abs())),
    ("Sqrt", 13, |x| x >= 0.0, f64::sqrt),
    ("Tan", 7, |x| x.abs() < 1.5, f64::tan),
    ("Tanh", 13, |_| true, f64::tanh),
    (
        "Gelu",
        20,
        |_| true,
        |x| 0.5 * x * (1.0 + erf(x / std::f64::consts::SQRT_2)),
    ),
    ("Swish", 24, |_| true, |x| x * sigmoid(x)),
    ("Dropout", 13, |_| true, |x| x),
];

#[test]
fn functions_without_parameters() {
    for (op, opset, defined, f) in FUNCTIONS {
        let list: Vec<f64> = line().into_iter().filter(|&x| defined(x)).collect();
        let case = |x: &Cells| Case::new(op, opset).x(x).is(&x.mapv(f));
        case(&vector(&list));
        case(&scalar(list[list.len() / 2]));
        case(&cells(&[1, 1, 1], &list[..1]));
        if op != "Dropout" {
            Case::new(op, opset)
                .x(&scalar(0.5))
                .x(&scalar(0.5))
                .refused("", "");
            Case::new(op, opset).refused("", "");
        }
    }
}

#[test]
fn functions_of_integers() {
    let x = vector(&[-5.0, -1.0, 0.0, 1.0, 7.0]);
    let exact = ["Abs", "Neg", "Relu", "Sign", "Identity"];
    for (op, opset, _, f) in FUNCTIONS {
        let case = Case::new(op, opset).of(DataType::Int32, &x).within(0.0);
        if exact.contains(&op) {
            case.is(&x.mapv(f));
        } else if [
            "Exp",
            "Sqrt",
            "Tanh",
            "Sigmoid",
            "Gelu",
            "Erf",
            "Reciprocal",
        ]
        .contains(&op)
        {
            case.refused("UnsupportedOperator", "cast them to float");
        }
    }
}

#[test]
fn functions_with_parameters() {
    type Curve = (
        &'static str,
        i64,
        &'static [(&'static str, f64)],
        fn(f64, &[f64]) -> f64,
    );
    let curves: [Curve; 9] = [
        ("LeakyRelu", 16, &[("alpha", 0.01)], |x, p| {
            if x >= 0.0 { x } else { p[0] * x }
        }),
        ("Elu", 6, &[("alpha", 1.0)], |x, p| {
            if x > 0.0 { x } else { p[0] * x.exp_m1() }
        }),
        (
            "Selu",
            6,
            &[
                ("alpha", 1.673_263_192_176_818_8),
                ("gamma", 1.050_700_902_938_842_8),
            ],
            |x, p| p[1] * if x > 0.0 { x } else { p[0] * x.exp_m1() },
        ),
        ("Celu", 12, &[("alpha", 1.0)], |x, p| {
            x.max(0.0) + (p[0] * (x / p[0]).exp_m1()).min(0.0)
        }),
        (
            "HardSigmoid",
            6,
            &[("alpha", 0.2), ("beta", 0.5)],
            |x, p| (p[0] * x + p[1]).clamp(0.0, 1.0),
        ),
        ("ThresholdedRelu", 10, &[("alpha", 1.0)], |x, p| {
            if x > p[0] { x } else { 0.0 }
        }),
        (
            "Shrink",
            9,
            &[("lambd", 0.5), ("bias", 0.0)],
            |x, p| match x {
                x if x < -p[0] => x + p[1],
                x if x > p[0] => x - p[1],
                _ => 0.0,
            },
        ),
        ("Swish", 24, &[("alpha", 1.0)], |x, p| x * sigmoid(p[0] * x)),
        (
            "Clip",
            6,
            &[("min", f64::MIN), ("max", f64::MAX)],
            |x, p| x.max(p[0]).min(p[1]),
        ),
    ];
    let x = line();
    for (op, opset, parameters, f) in curves {
        let defaults: Vec<f64> = parameters.iter().map(|p| p.1).collect();
        Case::new(op, opset).x(&x).is(&x.mapv(|x| f(x, &defaults)));
        for values in [[0.5, 0.25], [2.0, 3.0], [0.75, -1.0], [1.5, 0.125]] {
            let given: Vec<f64> = values[..parameters.len()].to_vec();
            let named = parameters.iter().zip(&given);
            let attributes: Vec<AttributeProto> = named
                .map(|((name, _), &v)| number(name, v as f32))
                .collect();
            let case = Case::new(op, opset).x(&x).all(&attributes);
            case.is(&x.mapv(|x| f(x, &given)));
        }
        if op != "Clip" {
            let name = parameters[0].0;
            let case = Case::new(op, opset).x(&x).with(number(name, f32::NAN));
            case.refused("BadAttribute", "NaN");
            let case = Case::new(op, opset).x(&x).with(int(name, 1));
            case.refused("BadAttribute", name);
        }
    }
    let c = (2.0 / std::f64::consts::PI).sqrt();
    let y = x.mapv(|x| 0.5 * x * (1.0 + (c * (x + 0.044_715 * x.powi(3))).tanh()));
    Case::new("Gelu", 20)
        .x(&x)
        .with(string("approximate", "tanh"))
        .is(&y);
    Case::microsoft("FastGelu").x(&x).is(&y);
    let quick = Case::microsoft("QuickGelu").x(&x);
    quick.is(&x.mapv(|x| x * sigmoid(f64::from(1.702_f32) * x)));
    let unknown = Case::new("Gelu", 20)
        .x(&x)
        .with(string("approximate", "erf"));
    unknown.refused("BadAttribute", "erf");
}

const PAIRS: [(&[usize], &[usize]); 9] = [
    (&[3], &[3]),
    (&[], &[2, 2]),
    (&[2, 3], &[]),
    (&[2, 3], &[3]),
    (&[2, 3], &[2, 1]),
    (&[2, 1], &[1, 3]),
    (&[1], &[2, 2, 2]),
    (&[3, 1, 2], &[2, 1]),
    (&[2, 1, 2], &[1, 3, 1]),
];

#[test]
fn two_operands() {
    type Pair = (&'static str, i64, fn(f64, f64) -> f64);
    let pairs: [Pair; 11] = [
        ("Add", 14, |a, b| a + b),
        ("Sub", 14, |a, b| a - b),
        ("Mul", 14, |a, b| a * b),
        ("Div", 14, |a, b| a / b),
        ("Max", 13, f64::max),
        ("Min", 13, f64::min),
        ("Equal", 13, |a, b| f64::from(a == b)),
        ("Less", 13, |a, b| f64::from(a < b)),
        ("Greater", 13, |a, b| f64::from(a > b)),
        ("LessOrEqual", 16, |a, b| f64::from(a <= b)),
        ("GreaterOrEqual", 16, |a, b| f64::from(a >= b)),
    ];
    for (a, b) in PAIRS {
        // Quarters, so that some cells are equal, and none is 0.
        let quarters = |x: Cells| x.mapv(|x| (x * 2.0).floor() / 2.0 + 0.25);
        let (a, b) = (quarters(spread(a)), quarters(spread(b)));
        for (op, opset, f) in pairs {
            Case::new(op, opset).x(&a).x(&b).is(&combined(&a, &b, f));
            Case::new(op, opset).x(&b).x(&a).is(&combined(&b, &a, f));
        }
    }
    for (op, opset, _) in pairs {
        let case = |a: &[usize], b: &[usize]| Case::new(op, opset).x(&spread(a)).x(&spread(b));
        case(&[2], &[3]).refused("Shape", "broadcast");
        case(&[2, 3], &[2]).refused("Shape", "broadcast");
        let mixed = Case::new(op, opset)
            .x(&spread(&[2]))
            .input(DataType::Int64, &spread(&[2]));
        if op != "Max" && op != "Min" {
            mixed.refused("Shape", "cast one of them");
        }
    }
}

#[test]
fn a_bound_of_more_axes_than_what_it_bounds() {
    for (op, x, y) in [("Min", 3.0, 1.0), ("Max", 0.5, 1.0), ("Min", 0.5, 0.5)] {
        let case = Case::new(op, 13)
            .x(&scalar(x))
            .constant(DataType::Float, &vector(&[1.0]));
        case.is(&vector(&[y]));
    }
}

type Whole = (&'static str, fn(f64, f64) -> f64);

#[test]
fn two_integers() {
    let (a, b) = (
        vector(&[-7.0, -6.0, 5.0, 6.0, 0.0]),
        vector(&[2.0, -3.0, -4.0, 6.0, 5.0]),
    );
    let pairs: [Whole; 8] = [
        ("Add", |a, b| a + b),
        ("Sub", |a, b| a - b),
        ("Mul", |a, b| a * b),
        ("Max", f64::max),
        ("Min", f64::min),
        ("Equal", |a, b| f64::from(a == b)),
        ("Less", |a, b| f64::from(a < b)),
        ("GreaterOrEqual", |a, b| f64::from(a >= b)),
    ];
    for data_type in [DataType::Int64, DataType::Int32] {
        for (op, f) in pairs {
            let case = Case::new(op, 16)
                .of(data_type, &a)
                .of(data_type, &b)
                .within(0.0);
            case.is(&combined(&a, &b, f));
        }
        let by = |op: &str| {
            Case::new(op, 13)
                .of(data_type, &a)
                .constant(data_type, &b)
                .within(0.0)
        };
        by("Div").is(&combined(&a, &b, |a, b| (a / b).trunc()));
        by("Mod").is(&combined(&a, &b, |a, b| a - b * (a / b).floor()));
        by("Mod")
            .with(int("fmod", 1))
            .is(&combined(&a, &b, |a, b| a % b));
        let zero = Case::new("Div", 13)
            .of(data_type, &a)
            .constant(data_type, &scalar(0.0));
        zero.refused("UnsupportedOperator", "divisor 0");
        let zero = Case::new("Mod", 13)
            .of(data_type, &a)
            .constant(data_type, &scalar(0.0));
        zero.refused("UnsupportedOperator", "divisor 0");
    }
    let fmod = |a: &Cells| {
        Case::new("Mod", 13)
            .x(a)
            .w(&scalar(0.75))
            .with(int("fmod", 1))
    };
    fmod(&line()).is(&line().mapv(|x| x % 0.75));
    let zero = Case::new("Div", 14).x(&a).w(&scalar(0.0));
    zero.refused("NonFinite", "");
}

type Fold = (&'static str, fn(f64, f64) -> f64);

#[test]
fn any_number_of_operands() {
    let all: Vec<Cells> = [&[2, 3][..], &[3], &[2, 1], &[]].map(spread).to_vec();
    let folds: [Fold; 4] = [
        ("Sum", |a, b| a + b),
        ("Mean", |a, b| a + b),
        ("Max", f64::max),
        ("Min", f64::min),
    ];
    for (op, f) in folds {
        for n in 1..=all.len() {
            let case = all[..n].iter().fold(Case::new(op, 13), Case::x);
            let mut y = all[0].clone();
            for x in &all[1..n] {
                y = combined(&y, x, f);
            }
            let divisor = if op == "Mean" { n as f64 } else { 1.0 };
            case.is(&(y / divisor));
        }
        Case::new(op, 13).refused("Shape", "without inputs");
    }
}

type Gate = (&'static str, fn(f64, f64) -> f64);

#[test]
fn truth_values() {
    let bits = |list: &[u8]| list.iter().map(|&b| f64::from(b)).collect::<Vec<_>>();
    let (a, b) = (
        cells(&[2, 2], &bits(&[0, 1, 0, 1])),
        cells(&[2, 1], &bits(&[0, 1])),
    );
    let gates: [Gate; 3] = [
        ("And", f64::min),
        ("Or", f64::max),
        ("Xor", |a, b| (a - b).abs()),
    ];
    for (op, f) in gates {
        let case = Case::new(op, 7)
            .of(DataType::Bool, &a)
            .of(DataType::Bool, &b);
        case.is(&combined(&a, &b, f));
        let floats = Case::new(op, 7).x(&a).x(&b);
        floats.refused("Shape", "float");
    }
    Case::new("Not", 1)
        .of(DataType::Bool, &a)
        .is(&a.mapv(|a| 1.0 - a));
    let equal = Case::new("Equal", 13)
        .of(DataType::Bool, &a)
        .of(DataType::Bool, &b);
    equal.is(&combined(&a, &b, |a, b| f64::from(a == b)));
    let (x, y) = (spread(&[2, 2]), spread(&[1, 2]).mapv(|x| x + 9.0));
    let case = Case::new("Where", 16).of(DataType::Bool, &b).x(&x).x(&y);
    case.is(&fill(&[2, 2], |at| {
        if b[[at[0], 0]] == 1.0 {
            x[at]
        } else {
            y[[0, at[1]]]
        }
    }));
    // A large constant takes no digits from the number beside it.
    let large = scalar(3e8);
    let chosen = |which: f64| {
        fill(&[2, 2], |at| {
            if b[[at[0], 0]] == which {
                f64::from(x[at] as f32)
            } else {
                3e8
            }
        })
    };
    let case = || Case::new("Where", 16).input(DataType::Bool, &b).within(0.0);
    let (float, left) = (DataType::Float, case());
    left.input(float, &x)
        .constant(float, &large)
        .is(&chosen(1.0));
    let right = case().constant(float, &large);
    right.input(float, &x).is(&chosen(0.0));
    let case = Case::new("Where", 16)
        .of(DataType::Bool, &a)
        .x(&scalar(1.0))
        .x(&scalar(-2.0));
    case.is(&a.mapv(|a| if a == 1.0 { 1.0 } else { -2.0 }));
    let case = Case::new("Where", 16).x(&a).x(&x).x(&y);
    case.refused("Shape", "");
}

#[test]
fn bounds() {
    let x = line();
    let case = || Case::new("Clip", 13).x(&x);
    case()
        .w(&scalar(-1.0))
        .w(&scalar(2.0))
        .is(&x.mapv(|x| x.clamp(-1.0, 2.0)));
    case().w(&scalar(-1.0)).is(&x.mapv(|x| x.max(-1.0)));
    case().none().w(&scalar(2.0)).is(&x.mapv(|x| x.min(2.0)));
    case().is(&x);
    // The upper bound holds where it is below the lower one.
    case().w(&scalar(3.0)).w(&scalar(1.0)).is(&x.mapv(|_| 1.0));
    case()
        .w(&scalar(f64::NEG_INFINITY))
        .w(&scalar(1.0))
        .is(&x.mapv(|x| x.min(1.0)));
    let moving = case()
        .input(DataType::Float, &scalar(-1.0))
        .input(DataType::Float, &scalar(2.0));
    moving.is(&x.mapv(|x| x.clamp(-1.0, 2.0)));
    let whole = Case::new("Clip", 13).of(DataType::Int64, &vector(&[-5.0, 0.0, 9.0]));
    let whole = whole
        .constant(DataType::Int64, &scalar(-2.0))
        .constant(DataType::Int64, &scalar(3.0));
    whole.is(&vector(&[-2.0, 0.0, 3.0]));
    case()
        .w(&vector(&[1.0, 2.0]))
        .refused("Shape", "one number");
    case().w(&scalar(f64::NAN)).refused("Shape", "NaN");
}

#[test]
fn powers() {
    let x = vector(&[0.25, 1.0, 2.0, 3.5]);
    for e in [0.0, 1.0, 2.0, 3.0, -1.0, -2.0, 0.5, 1.5, -0.5] {
        Case::new("Pow", 15)
            .x(&x)
            .w(&scalar(e))
            .is(&x.mapv(|x| x.powf(e)));
    }
    let y = vector(&[1.5, -1.0, 0.5, 2.0]);
    let case = Case::new("Pow", 15).x(&x).x(&y).within(1e-4);
    case.is(&combined(&x, &y, f64::powf));
    let column = cells(&[2, 1], &[2.0, 3.0]);
    let signed = vector(&[-2.0, -0.5, 0.0, 1.5]);
    let case = Case::new("Pow", 15).x(&signed).w(&column);
    case.is(&combined(&signed, &column, f64::powf));
    let whole = vector(&[-3.0, 0.0, 2.0]);
    let case = Case::new("Pow", 15).of(DataType::Int64, &whole);
    let case = case.constant(DataType::Int64, &scalar(3.0)).within(0.0);
    case.is(&whole.mapv(|x| x.powi(3)));
    let root = Case::new("Pow", 15)
        .input(DataType::Int64, &whole)
        .w(&scalar(0.5));
    root.refused("UnsupportedOperator", "cast");
    let negative = Case::new("Pow", 15)
        .w(&scalar(-2.0))
        .input(DataType::Float, &x);
    negative.refused("UnsupportedOperator", "not positive");
}

/// Powers of constant integers are exact.
#[test]
fn large_constant_powers() {
    let case = |base: f64, exponent: f64| {
        let case = Case::new("Pow", 15).constant(DataType::Int64, &vector(&[base]));
        case.constant(DataType::Int64, &vector(&[exponent]))
    };
    case(3.0, 15.0).within(0.0).is(&vector(&[14_348_907.0]));
    case(-2.0, 23.0).within(0.0).is(&vector(&[-8_388_608.0]));
    case(2.0, 0.0).within(0.0).is(&vector(&[1.0]));
}

/// Each cell has its own slope, each channel, or all the same.
#[test]
fn slopes() {
    let x = spread(&[2, 3, 2]);
    for slope in [&[][..], &[1], &[3, 1], &[2], &[2, 3, 2], &[1, 3, 1]] {
        let slope = spread(slope);
        let y = combined(&x, &slope, |x, s| if x < 0.0 { s * x } else { x });
        Case::new("PRelu", 16).x(&x).x(&slope).is(&y);
    }
    Case::new("PRelu", 16)
        .x(&spread(&[2]))
        .x(&spread(&[3, 2]))
        .refused("Shape", "slope");
    Case::new("PRelu", 16)
        .x(&x)
        .x(&spread(&[3]))
        .refused("Shape", "");
    let (a, b) = (spread(&[2, 3]), spread(&[2, 3]).mapv(|x| x * 0.5 + 1.0));
    let y = combined(&a, &b, |a, b| a * sigmoid(a) * b);
    Case::new("SwiGLU", 27).x(&a).x(&b).is(&y);
}
