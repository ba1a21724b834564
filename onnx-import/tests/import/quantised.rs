//! Quantised operators: the real numbers that integers stand for, and the integers of the result,
//! rounded as the standard says.

use candle_onnx::onnx::tensor_proto::DataType;

use crate::build::{int, ints, number};
use crate::case::{Case, Cells, cells, combined, fill, scalar, spread, vector};

const TYPES: [(DataType, f64, f64); 4] = [
    (DataType::Uint8, 0.0, 255.0),
    (DataType::Int8, -128.0, 127.0),
    (DataType::Uint16, 0.0, 65_535.0),
    (DataType::Int16, -32_768.0, 32_767.0),
];

/// Scale, zero point and range of integers.
#[derive(Clone, Copy)]
struct Steps {
    scale: f64,
    zero: f64,
    data_type: DataType,
}

impl Steps {
    fn new(scale: f64, zero: f64, data_type: DataType) -> Self {
        Self {
            scale,
            zero,
            data_type,
        }
    }

    fn range(self) -> (f64, f64) {
        let of = TYPES
            .iter()
            .find(|t| t.0 == self.data_type)
            .expect("one of the types");
        (of.1, of.2)
    }

    /// The nearest integer, of two the even one before the zero point is added.
    fn round(self, x: f64) -> f64 {
        let (lo, hi) = self.range();
        ((x / self.scale).round_ties_even() + self.zero).clamp(lo, hi)
    }

    fn real(self, q: f64) -> f64 {
        self.scale * (q - self.zero)
    }

    /// Integers of the range that differ.
    fn integers(self, shape: &[usize]) -> Cells {
        let (lo, _) = self.range();
        spread(shape).mapv(|x| ((x + 3.0) * 16.0) + lo.max(-50.0))
    }

    /// Adds scale and zero point to a case.
    fn given(self, case: Case) -> Case {
        case.w(&scalar(self.scale))
            .constant(self.data_type, &scalar(self.zero))
    }
}

/// Real numbers between and on the steps, and beyond the range.
fn line() -> Cells {
    vector(&[
        -9000.0, -40.0, -1.3, -0.75, -0.25, 0.0, 0.125, 0.25, 0.375, 0.75, 1.25, 31.4, 70.0, 9000.0,
    ])
}

#[test]
fn numbers_become_integers_and_back() {
    for (data_type, lo, hi) in TYPES {
        for (scale, zero) in [
            (0.5, 0.0),
            (0.25, 3.0),
            (1.0, hi),
            (0.125, lo),
            (2.0, 100.0),
        ] {
            let steps = Steps::new(scale, zero, data_type);
            let q = line().mapv(|x| steps.round(x));
            for opset in [10, 13, 19, 21] {
                if opset < 21 && hi > 255.0 {
                    continue;
                }
                steps
                    .given(Case::new("QuantizeLinear", opset).x(&line()))
                    .within(0.0)
                    .is(&q);
                let back = Case::new("DequantizeLinear", opset).of(data_type, &q);
                steps.given(back).within(0.0).is(&q.mapv(|q| steps.real(q)));
            }
            steps
                .given(Case::microsoft("QuantizeLinear").x(&line()))
                .is(&q);
            let back = Case::microsoft("DequantizeLinear").of(data_type, &q);
            steps.given(back).is(&q.mapv(|q| steps.real(q)));
        }
    }
}

#[test]
fn zero_points_that_are_left_out() {
    let unsigned = Steps::new(0.5, 0.0, DataType::Uint8);
    let case = || Case::new("QuantizeLinear", 21).x(&line()).w(&scalar(0.5));
    case().is(&line().mapv(|x| unsigned.round(x)));
    let signed = Steps::new(0.5, 0.0, DataType::Int8);
    case()
        .with(int("output_dtype", DataType::Int8 as i64))
        .is(&line().mapv(|x| signed.round(x)));
    let q = vector(&[-100_000.0, 0.0, 7.0, 65_000.0]);
    let wide = Case::new("DequantizeLinear", 13)
        .of(DataType::Int32, &q)
        .w(&scalar(0.25));
    wide.is(&q.mapv(|q| q * 0.25));
    let other = case()
        .constant(DataType::Uint8, &scalar(1.0))
        .with(int("output_dtype", 3));
    other.refused("BadAttribute", "not the zero point's type");
    case()
        .with(int("output_dtype", DataType::Int32 as i64))
        .refused("UnsupportedOperator", "8 or 16 bits");
    case()
        .with(int("block_size", 2))
        .refused("UnsupportedOperator", "per channel");
    let case = |scale: f64| Case::new("QuantizeLinear", 13).x(&line()).w(&scalar(scale));
    case(0.0).refused("Shape", "positive");
    case(-1.0).refused("Shape", "positive");
}

#[test]
fn scales_along_an_axis() {
    let steps = [
        Steps::new(0.5, 3.0, DataType::Uint8),
        Steps::new(0.25, 10.0, DataType::Uint8),
        Steps::new(2.0, 0.0, DataType::Uint8),
    ];
    let (scale, zero) = (
        vector(&steps.map(|s| s.scale)),
        vector(&steps.map(|s| s.zero)),
    );
    for (shape, axis) in [
        (&[2, 3][..], None),
        (&[2, 3], Some(1)),
        (&[2, 3], Some(-1)),
        (&[3, 2], Some(0)),
        (&[2, 2, 3, 2], Some(2)),
        (&[3], Some(0)),
    ] {
        let own = axis.unwrap_or(1_i64).rem_euclid(shape.len() as i64) as usize;
        let q = fill(shape, |at| steps[at[own]].round(spread(shape)[at]));
        let attribute: Vec<_> = axis.iter().map(|&axis| int("axis", axis)).collect();
        let case = |case: Case| {
            case.w(&scale)
                .constant(DataType::Uint8, &zero)
                .all(&attribute)
        };
        case(Case::new("QuantizeLinear", 13).w(&spread(shape))).is(&q);
        let real = fill(shape, |at| steps[at[own]].real(q[at]));
        case(Case::new("DequantizeLinear", 13).of(DataType::Uint8, &q)).is(&real);
        let moving = case(Case::new("QuantizeLinear", 13).input(DataType::Float, &spread(shape)));
        moving.refused("UnsupportedOperator", "per tensor");
    }
    let wrong = Case::new("DequantizeLinear", 13).of(DataType::Uint8, &cells(&[2, 2], &[0.0; 4]));
    wrong
        .w(&scale)
        .constant(DataType::Uint8, &zero)
        .refused("Shape", "3 scales on axis 1");
    let lists = Case::new("DequantizeLinear", 13).of(DataType::Uint8, &cells(&[2, 3], &[0.0; 6]));
    lists
        .w(&scale)
        .constant(DataType::Uint8, &vector(&[0.0, 0.0]))
        .refused("Shape", "zero points");
}

fn product(a: &Cells, b: &Cells) -> Cells {
    let k = a.shape()[1];
    fill(&[a.shape()[0], b.shape()[1]], |at| {
        (0..k).map(|l| a[[at[0], l]] * b[[l, at[1]]]).sum()
    })
}

#[test]
fn products_of_integers() {
    let (a, b) = (
        Steps::new(0.5, 7.0, DataType::Uint8),
        Steps::new(0.25, -3.0, DataType::Int8),
    );
    let (qa, qb) = (a.integers(&[2, 3]), b.integers(&[3, 4]));
    let shifted = |q: &Cells, zero: f64| q.mapv(|q| q - zero);
    let case = || {
        Case::new("MatMulInteger", 10)
            .of(DataType::Uint8, &qa)
            .constant(DataType::Int8, &qb)
            .within(0.0)
    };
    case().is(&product(&qa, &qb));
    let zeros = case()
        .constant(DataType::Uint8, &scalar(7.0))
        .constant(DataType::Int8, &scalar(-3.0));
    zeros.is(&product(&shifted(&qa, 7.0), &shifted(&qb, -3.0)));
    let list = vector(&[1.0, -2.0, 3.0, 0.0]);
    let columns = case()
        .constant(DataType::Uint8, &scalar(7.0))
        .constant(DataType::Int8, &list);
    columns.is(&product(
        &shifted(&qa, 7.0),
        &combined(&qb, &list, |q, z| q - z),
    ));

    let y = Steps::new(16.0, 100.0, DataType::Uint8);
    let real = product(&qa.mapv(|q| a.real(q)), &qb.mapv(|q| b.real(q)));
    let case = a.given(Case::new("QLinearMatMul", 10).of(DataType::Uint8, &qa));
    let case = y.given(b.given(case.constant(DataType::Int8, &qb)));
    case.within(0.0).is(&real.mapv(|x| y.round(x)));

    // Gemm of onnxruntime, with a bias in products of steps.
    let bias = vector(&[80.0, -40.0, 0.0, 1000.0]);
    for (turned, alpha) in [(0, 1.0), (1, 1.0), (0, 0.5)] {
        let w = if turned == 1 {
            qb.t().as_standard_layout().to_owned()
        } else {
            qb.clone()
        };
        let sum = combined(
            &product(&shifted(&qa, 7.0), &shifted(&qb, -3.0)),
            &bias,
            |p, b| p + b,
        );
        let real = sum.mapv(|s| alpha * s * a.scale * b.scale);
        let case = a.given(Case::microsoft("QGemm").of(DataType::Uint8, &qa));
        let case = b
            .given(case.constant(DataType::Int8, &w))
            .constant(DataType::Int32, &bias);
        let case = case
            .with(int("transB", turned))
            .with(number("alpha", alpha as f32));
        y.given(case.clone())
            .within(0.0)
            .is(&real.mapv(|x| y.round(x)));
        case.within(1e-6).is(&real);
    }
}

/// A convolution of images without padding, stride 1.
fn convolved(x: &Cells, w: &Cells) -> Cells {
    let (k, c) = (w.shape()[2], w.shape()[1]);
    fill(&[x.shape()[0], w.shape()[0], x.shape()[2] - k + 1], |at| {
        let tap = |i: usize| x[[at[0], i / k, at[2] + i % k]] * w[[at[1], i / k, i % k]];
        (0..c * k).map(tap).sum()
    })
}

#[test]
fn convolutions_of_integers() {
    let (x, w) = (
        Steps::new(0.25, 5.0, DataType::Uint8),
        Steps::new(0.5, 0.0, DataType::Int8),
    );
    let (qx, qw) = (x.integers(&[1, 2, 5]), w.integers(&[3, 2, 2]));
    let case = Case::new("ConvInteger", 10)
        .of(DataType::Uint8, &qx)
        .constant(DataType::Int8, &qw)
        .within(0.0);
    case.clone().is(&convolved(&qx, &qw));
    let zeros = case
        .constant(DataType::Uint8, &scalar(5.0))
        .constant(DataType::Int8, &vector(&[1.0, 0.0, -2.0]));
    let rows = fill(qw.shape(), |at| qw[at] - [1.0, 0.0, -2.0][at[0]]);
    zeros.is(&convolved(&qx.mapv(|q| q - 5.0), &rows));

    // A scale for each channel, and a bias in products of steps.
    let (scales, bias, y) = (
        [0.5, 0.25, 2.0],
        [100.0, -50.0, 8.0],
        Steps::new(32.0, -20.0, DataType::Int8),
    );
    let real = |with: bool| {
        let sums = convolved(&qx.mapv(|q| q - 5.0), &qw);
        fill(sums.shape(), |at| {
            let bias = if with { bias[at[1]] } else { 0.0 };
            y.round((sums[at] + bias) * x.scale * scales[at[1]])
        })
    };
    let case = x
        .given(Case::new("QLinearConv", 10).of(DataType::Uint8, &qx))
        .constant(DataType::Int8, &qw);
    let case = case
        .w(&vector(&scales))
        .constant(DataType::Int8, &vector(&[0.0; 3]));
    let case = y.given(case).within(0.0);
    case.clone().is(&real(false));
    case.constant(DataType::Int32, &vector(&bias))
        .is(&real(true));
    // What pads is the zero point, which stands for 0.
    let case = x
        .given(Case::new("QLinearConv", 10).of(DataType::Uint8, &qx))
        .constant(DataType::Int8, &qw);
    let case = y.given(w.given(case)).with(ints("pads", &[1, 0]));
    let padded = fill(&[1, 2, 6], |at| {
        if at[2] == 0 {
            5.0
        } else {
            qx[[0, at[1], at[2] - 1]]
        }
    });
    let sums = convolved(&padded.mapv(|q| q - 5.0), &qw);
    case.within(0.0)
        .is(&sums.mapv(|s| y.round(s * x.scale * w.scale)));
}

#[test]
fn functions_of_integers() {
    let (x, y) = (
        Steps::new(0.0625, 30.0, DataType::Uint8),
        Steps::new(1.0 / 256.0, 0.0, DataType::Uint8),
    );
    let q = x.integers(&[2, 3, 4]);
    let real = q.mapv(|q| x.real(q));
    let case = |op: &str, y: Steps| {
        y.given(x.given(Case::microsoft(op).of(DataType::Uint8, &q)))
            .within(0.0)
    };
    case("QLinearSigmoid", y).is(&real.mapv(|x| y.round(1.0 / (1.0 + (-x).exp()))));
    let wide = Steps::new(0.125, 12.0, DataType::Uint8);
    let leaky = |alpha: f64| real.mapv(|x| wide.round(if x < 0.0 { alpha * x } else { x }));
    case("QLinearLeakyRelu", wide).is(&leaky(f64::from(0.01_f32)));
    case("QLinearLeakyRelu", wide)
        .with(number("alpha", 0.5))
        .is(&leaky(0.5));
    let mean = fill(&[2, 3, 1], |at| {
        (0..4).map(|i| real[[at[0], at[1], i]]).sum::<f64>() / 4.0
    });
    case("QLinearGlobalAveragePool", wide).is(&mean.mapv(|x| wide.round(x)));
    let pairs = fill(&[2, 3, 3], |at| {
        wide.round(f64::midpoint(real[at], real[[at[0], at[1], at[2] + 1]]))
    });
    case("QLinearAveragePool", wide)
        .with(ints("kernel_shape", &[2]))
        .is(&pairs);
}

/// The operator set says which axes share: one since 13, all from `axis` on before.
#[test]
fn shares_of_integers() {
    let (x, y) = (
        Steps::new(0.0625, 30.0, DataType::Uint8),
        Steps::new(1.0 / 256.0, 0.0, DataType::Uint8),
    );
    let q = x.integers(&[2, 3, 4]);
    let power = q.mapv(|q| x.real(q).exp());
    for (opset, axis, axes) in [
        (13, 2, &[2][..]),
        (13, 1, &[1]),
        (13, -1, &[2]),
        (12, 1, &[1, 2]),
        (11, 2, &[2]),
        (12, 0, &[0, 1, 2]),
    ] {
        let sum = |at: &[usize]| {
            let cells = crate::case::indices(&[2, 3, 4]).into_iter();
            let alike =
                cells.filter(|other| (0..3).all(|a| axes.contains(&a) || other[a] == at[a]));
            alike.map(|at| power[&*at]).sum::<f64>()
        };
        let shares = fill(&[2, 3, 4], |at| y.round(power[at] / sum(at)));
        let case = x.given(Case::microsoft("QLinearSoftmax").of(DataType::Uint8, &q));
        let case = y
            .given(case)
            .with(int("axis", axis))
            .with(int("opset", opset));
        case.within(0.0).is(&shares);
    }
}

#[test]
fn sums_and_products_of_two() {
    let (a, b) = (
        Steps::new(0.5, 30.0, DataType::Uint8),
        Steps::new(0.25, 10.0, DataType::Uint8),
    );
    for (shape_a, shape_b) in [
        (&[2, 3][..], &[2, 3][..]),
        (&[2, 3], &[3]),
        (&[2, 1], &[1, 3]),
    ] {
        let (qa, qb) = (a.integers(shape_a), b.integers(shape_b).mapv(|q| q + 3.0));
        let (ra, rb) = (qa.mapv(|q| a.real(q)), qb.mapv(|q| b.real(q)));
        let y = Steps::new(0.375, 40.0, DataType::Uint8);
        let case = |op: &str, y: Steps| {
            let case = a.given(Case::microsoft(op).of(DataType::Uint8, &qa));
            y.given(b.given(case.of(DataType::Uint8, &qb))).within(0.0)
        };
        case("QLinearAdd", y).is(&combined(&ra, &rb, |a, b| y.round(a + b)));
        let y = Steps::new(3.0, 120.0, DataType::Uint8);
        case("QLinearMul", y).is(&combined(&ra, &rb, |a, b| y.round(a * b)));
    }
    // Of two nearest integers the even one behind the zero point, as onnxruntime rounds.
    let y = Steps::new(0.5, 41.0, DataType::Uint8);
    let (qa, qb) = (a.integers(&[2, 3]), b.integers(&[2, 3]));
    let sums = combined(&qa, &qb, |p, q| a.real(p) + b.real(q));
    let last = sums.mapv(|x| (x / y.scale + y.zero).round_ties_even().clamp(0.0, 255.0));
    assert_ne!(last, sums.mapv(|x| y.round(x)));
    let case = a.given(Case::microsoft("QLinearAdd").of(DataType::Uint8, &qa));
    let case = y.given(b.given(case.of(DataType::Uint8, &qb)));
    case.within(0.0).is(&last);
    // Each part in its own steps.
    let (qa, qb, y) = (
        a.integers(&[2, 2]),
        b.integers(&[2, 1]),
        Steps::new(0.75, 25.0, DataType::Uint8),
    );
    let case = y.given(Case::microsoft("QLinearConcat"));
    let case = a.given(case.of(DataType::Uint8, &qa));
    let case = b
        .given(case.of(DataType::Uint8, &qb))
        .with(int("axis", 1))
        .within(0.0);
    case.is(&fill(&[2, 3], |at| {
        y.round(if at[1] < 2 {
            a.real(qa[at])
        } else {
            b.real(qb[[at[0], 0]])
        })
    }));
}

/// What is quantised by its own range is imported as the numbers that it approximates.
#[test]
fn products_of_a_dynamic_range() {
    let (x, w) = (spread(&[2, 3]), Steps::new(0.5, 4.0, DataType::Int8));
    let (q, bias) = (w.integers(&[3, 4]), vector(&[0.5, -1.0, 2.0, 0.0]));
    let y = product(&x, &q.mapv(|q| w.real(q)));
    let case = Case::microsoft("DynamicQuantizeMatMul")
        .x(&x)
        .constant(DataType::Int8, &q);
    let case = w.given(case);
    case.clone().is(&y);
    case.w(&bias).is(&combined(&y, &bias, |y, b| y + b));
    let scales = vector(&[0.5, 0.25, 1.0, 2.0]);
    let case = Case::microsoft("DynamicQuantizeMatMul")
        .x(&x)
        .constant(DataType::Int8, &q);
    case.w(&scales)
        .is(&product(&x, &combined(&q, &scales, |q, s| q * s)));
    let whole = Steps::new(0.25, 9.0, DataType::Uint8);
    let qx = whole.integers(&[2, 3]);
    let case = Case::microsoft("MatMulIntegerToFloat")
        .of(DataType::Uint8, &qx)
        .constant(DataType::Int8, &q);
    let case = case
        .w(&scalar(0.25))
        .w(&scalar(0.5))
        .constant(DataType::Uint8, &scalar(9.0));
    let case = case.constant(DataType::Int8, &scalar(4.0)).w(&bias);
    let y = product(&qx.mapv(|q| whole.real(q)), &q.mapv(|q| w.real(q)));
    case.is(&combined(&y, &bias, |y, b| y + b));
}
