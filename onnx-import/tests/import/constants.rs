//! Element types, constants and what is made of shapes.

use candle_onnx::onnx::tensor_proto::DataType;
use candle_onnx::onnx::{ModelProto, NodeProto, TensorProto};

use crate::build::{float, floats, int, ints, list, model, node, number, numbers, string, tensor};
use crate::case::{Case, Cells, cells, fill, scalar, spread, vector};
use crate::control::{answers, check};
use crate::refusals::{assert_error, refuse};

const FLOATS: [DataType; 2] = [DataType::Float, DataType::Double];
const INTEGERS: [DataType; 6] = [
    DataType::Int64,
    DataType::Int32,
    DataType::Int16,
    DataType::Int8,
    DataType::Uint8,
    DataType::Uint16,
];

#[test]
fn numbers_of_other_types() {
    let real = vector(&[-2.75, -1.0, -0.5, 0.0, 0.25, 1.0, 2.5, 100.0]);
    let whole = vector(&[-2.0, 0.0, 1.0, 7.0]);
    let truth = vector(&[0.0, 1.0]);
    for opset in [9, 13, 19, 25] {
        let case = |from: DataType, x: &Cells, to: DataType| {
            Case::new("Cast", opset)
                .of(from, x)
                .with(int("to", to as i64))
                .within(0.0)
        };
        for to in INTEGERS {
            let least = if [DataType::Uint8, DataType::Uint16].contains(&to) {
                0.0
            } else {
                -9.0
            };
            let real = real.mapv(|x| x.max(least));
            case(DataType::Float, &real, to).is(&real.mapv(f64::trunc));
            case(DataType::Int32, &whole.mapv(|x| x.max(least)), to)
                .is(&whole.mapv(|x| x.max(least)));
            case(DataType::Bool, &truth, to).is(&truth);
        }
        for to in FLOATS {
            case(DataType::Float, &real, to).is(&real);
            case(DataType::Int64, &whole, to).is(&whole);
            case(DataType::Bool, &truth, to).is(&truth);
        }
        case(DataType::Float, &real, DataType::Bool).is(&real.mapv(|x| f64::from(x != 0.0)));
        case(DataType::Int8, &whole, DataType::Bool).is(&whole.mapv(|x| f64::from(x != 0.0)));
        case(DataType::Float, &real, DataType::String).refused("UnsupportedOperator", "string");
    }
    Case::new("Cast", 13).x(&real).refused("BadAttribute", "to");
    Case::new("Cast", 13)
        .x(&real)
        .with(int("to", 99))
        .refused("UnsupportedOperator", "");
    let like = |from: DataType, x: &Cells, to: DataType| {
        Case::new("CastLike", 19)
            .of(from, x)
            .of(to, &scalar(1.0))
            .within(0.0)
    };
    like(DataType::Float, &real, DataType::Int64).is(&real.mapv(f64::trunc));
    like(DataType::Float, &real, DataType::Bool).is(&real.mapv(|x| f64::from(x != 0.0)));
    like(DataType::Int64, &whole, DataType::Float).is(&whole);
    like(DataType::Bool, &truth, DataType::Float).is(&truth);
}

/// Constants that a type has no room for are not made, by casts or by arithmetic.
#[test]
fn constants_that_do_not_fit() {
    let case = |from: DataType, x: f64, to: DataType| {
        Case::new("Cast", 13)
            .constant(from, &scalar(x))
            .with(int("to", to as i64))
    };
    case(DataType::Int64, 300.0, DataType::Uint8).refused("Shape", "does not fit");
    case(DataType::Int64, -1.0, DataType::Uint16).refused("Shape", "does not fit");
    case(DataType::Float, 3e9, DataType::Int32).refused("Shape", "does not fit");
    case(DataType::Float, 1e30, DataType::Int64).refused("Shape", "does not fit");
    case(DataType::Float, 254.9, DataType::Uint8).is(&scalar(254.0));
    let (int8, uint8, int32) = (DataType::Int8, DataType::Uint8, DataType::Int32);
    for (op, data_type, a, b, result) in [
        ("Add", uint8, 200.0, 100.0, None),
        ("Add", uint8, 200.0, 55.0, Some(255.0)),
        ("Sub", uint8, 1.0, 2.0, None),
        ("Mul", int8, 64.0, -2.0, Some(-128.0)),
        ("Mul", int8, 64.0, 2.0, None),
        ("Div", int8, -128.0, -1.0, None),
        ("Add", int32, 2_147_483_647.0, 1.0, None),
        ("Sub", int32, -2_147_483_648.0, 1.0, None),
    ] {
        let case = Case::new(op, 14).constant(data_type, &scalar(a));
        let case = case.constant(data_type, &scalar(b));
        match result {
            Some(y) => case.is(&scalar(y)),
            None => case.refused("Shape", "overflows"),
        }
    }
    // What comes of it has the type, too.
    let nodes = vec![
        node("Add", &["a", "a"], "s", vec![]),
        node("Add", &["s", "a"], "t", vec![]),
        node("Cast", &["t"], "f", vec![int("to", 1)]),
        node("Mul", &["x", "f"], "y", vec![]),
    ];
    let byte = |cell: i32| TensorProto {
        name: "a".into(),
        data_type: uint8 as i32,
        int32_data: vec![cell],
        ..TensorProto::default()
    };
    check(
        &model(14, &[1], vec![byte(85)], nodes.clone()),
        &[(&[1], &[1.0])],
        &[255.0],
    );
    assert_error(
        &refuse(&model(14, &[1], vec![byte(86)], nodes)),
        "Shape",
        "`t`",
    );
}

type Bits = (&'static str, fn(u32, u32) -> u32);

#[test]
fn bits() {
    let x = vector(&[0.0, 1.0, 5.0, 12.0, 200.0, 255.0]);
    let operators: [Bits; 3] = [
        ("BitwiseAnd", |a, b| a & b),
        ("BitwiseOr", |a, b| a | b),
        ("BitwiseXor", |a, b| a ^ b),
    ];
    for (op, f) in operators {
        for c in [0_u32, 1, 6, 0b1010_0101, 255] {
            let y = x.mapv(|x| f64::from(f(x as u32, c)));
            let c = scalar(f64::from(c));
            for data_type in [DataType::Uint8, DataType::Int32] {
                Case::new(op, 18)
                    .of(data_type, &x)
                    .constant(data_type, &c)
                    .within(0.0)
                    .is(&y);
                Case::new(op, 18)
                    .constant(data_type, &c)
                    .of(data_type, &x)
                    .within(0.0)
                    .is(&y);
            }
        }
        Case::new(op, 18).x(&x).x(&x).refused("Shape", "float");
        let signed = Case::new(op, 18)
            .input(DataType::Int32, &x)
            .constant(DataType::Int32, &scalar(-2.0));
        signed.refused("UnsupportedOperator", "non-negative");
    }
    // Negative numbers have infinitely many bits.
    let x = vector(&[-1.0, -2.0, -100.0, -128.0, 77.0]);
    for c in [1_i64, 12, 127] {
        let y = x.mapv(|x| ((x as i64) & c) as f64);
        let case = Case::new("BitwiseAnd", 18).of(DataType::Int32, &x);
        case.constant(DataType::Int32, &scalar(c as f64))
            .within(0.0)
            .is(&y);
        let y = x.mapv(|x| ((x as i64) ^ c) as f64);
        let case = Case::new("BitwiseXor", 18).of(DataType::Int32, &x);
        case.constant(DataType::Int32, &scalar(c as f64))
            .within(0.0)
            .is(&y);
    }
    let x = vector(&[1.0, 3.0, 128.0, 255.0]);
    for n in 0..9 {
        let case = |direction: &str| {
            let case = Case::new("BitShift", 11)
                .of(DataType::Uint8, &x)
                .within(0.0);
            case.constant(DataType::Uint8, &scalar(f64::from(n)))
                .with(string("direction", direction))
        };
        case("LEFT").is(&x.mapv(|x| f64::from(((x as u32) << n) % 256)));
        case("RIGHT").is(&x.mapv(|x| f64::from((x as u32) >> n)));
    }
    let case = || {
        Case::new("BitShift", 11)
            .of(DataType::Uint8, &x)
            .constant(DataType::Uint8, &scalar(1.0))
    };
    case().refused("BadAttribute", "direction");
    case()
        .with(string("direction", "UP"))
        .refused("BadAttribute", "direction");
    let moving = Case::new("BitShift", 11)
        .of(DataType::Uint8, &x)
        .input(DataType::Uint8, &x);
    moving
        .with(string("direction", "LEFT"))
        .refused("UnsupportedOperator", "");
}

/// Values as attributes of each kind, times the input.
#[test]
fn constants_of_every_form() {
    let with = |constant: NodeProto, x: &[i64]| {
        let cast = node("Cast", &["c"], "f", vec![int("to", 1)]);
        model(
            13,
            x,
            vec![],
            vec![constant, cast, node("Mul", &["x", "f"], "y", vec![])],
        )
    };
    let constant = |attribute| node("Constant", &[], "c", vec![attribute]);
    let ones: (&[usize], &[f32]) = (&[3], &[1.0; 3]);
    check(
        &with(constant(number("value_float", 2.5)), &[3]),
        &[ones],
        &[2.5; 3],
    );
    check(
        &with(constant(int("value_int", -4)), &[3]),
        &[ones],
        &[-4.0; 3],
    );
    check(
        &with(constant(numbers("value_floats", &[1.0, 2.0, 0.5])), &[3]),
        &[ones],
        &[1.0, 2.0, 0.5],
    );
    check(
        &with(constant(ints("value_ints", &[3, 0, -1])), &[3]),
        &[ones],
        &[3.0, 0.0, -1.0],
    );
    let stored = tensor("value", floats("", &[3], &[0.25, -1.0, 8.0]));
    check(&with(constant(stored), &[3]), &[ones], &[0.25, -1.0, 8.0]);
    let two = node(
        "Constant",
        &[],
        "c",
        vec![int("value_int", 1), number("value_float", 1.0)],
    );
    assert_error(
        &refuse(&with(two, &[3])),
        "UnsupportedOperator",
        "one numeric",
    );
    let none = node("Constant", &[], "c", vec![]);
    assert_error(
        &refuse(&with(none, &[3])),
        "UnsupportedOperator",
        "one numeric",
    );
    let text = constant(string("value_string", "a"));
    assert_error(&refuse(&with(text, &[3])), "", "");
}

#[test]
fn tensors_of_one_value() {
    Case::new("ConstantOfShape", 9)
        .list(&[2, 3])
        .is(&Cells::zeros(vec![2, 3]));
    Case::new("ConstantOfShape", 9).list(&[]).is(&scalar(0.0));
    let half = tensor("value", floats("", &[1], &[0.5]));
    Case::new("ConstantOfShape", 9)
        .list(&[3])
        .with(half)
        .is(&vector(&[0.5; 3]));
    let seven = tensor("value", list("", &[7]));
    Case::new("ConstantOfShape", 9)
        .list(&[1, 2])
        .with(seven)
        .is(&cells(&[1, 2], &[7.0, 7.0]));
    let two = tensor("value", list("", &[7, 8]));
    Case::new("ConstantOfShape", 9)
        .list(&[2])
        .with(two)
        .refused("BadAttribute", "one element");
    Case::new("ConstantOfShape", 9)
        .list(&[2, -1])
        .refused("Shape", "-1");
    let moving = Case::new("ConstantOfShape", 9).input(DataType::Int64, &vector(&[2.0]));
    moving.refused("", "constant");
    Case::new("ConstantOfShape", 9)
        .list(&[1 << 40])
        .refused("TooLarge", "limit");
}

#[test]
fn ranges() {
    for (start, limit, delta) in [
        (0.0, 5.0, 1.0),
        (2.0, 11.0, 3.0),
        (10.0, 4.0, -2.0),
        (3.0, -4.0, -3.0),
        (5.0, 6.0, 7.0),
    ] {
        let n = f64::ceil((limit - start) / delta).max(0.0) as usize;
        let y = fill(&[n], |at| start + at[0] as f64 * delta);
        for data_type in [
            DataType::Int64,
            DataType::Int32,
            DataType::Float,
            DataType::Double,
        ] {
            let case = Case::new("Range", 11).constant(data_type, &scalar(start));
            case.constant(data_type, &scalar(limit))
                .constant(data_type, &scalar(delta))
                .is(&y);
        }
    }
    let fractions = Case::new("Range", 11)
        .w(&scalar(-0.5))
        .w(&scalar(1.0))
        .w(&scalar(0.625));
    fractions.is(&vector(&[-0.5, 0.125, 0.75]));
    let case = |delta: f64| {
        Case::new("Range", 11)
            .w(&scalar(0.0))
            .w(&scalar(1.0))
            .w(&scalar(delta))
    };
    case(0.0).refused("Shape", "delta 0");
    case(f64::NAN).refused("Shape", "finite");
    case(1e-30).refused("TooLarge", "limit");
    Case::new("Range", 11)
        .list(&[0, 1])
        .list(&[1])
        .list(&[1])
        .refused("Shape", "scalars");
    Case::new("Range", 11)
        .list(&[0])
        .list(&[1])
        .list(&[0])
        .refused("Shape", "delta 0");
}

#[test]
fn shapes_and_sizes() {
    let x = spread(&[2, 3, 4]);
    let case = || Case::new("Shape", 19).x(&x);
    case().is(&vector(&[2.0, 3.0, 4.0]));
    for (start, end, list) in [
        (Some(1), None, &[3.0, 4.0][..]),
        (None, Some(1), &[2.0]),
        (Some(-1), None, &[4.0]),
        (Some(-2), Some(-1), &[3.0]),
        (Some(0), Some(9), &[2.0, 3.0, 4.0]),
        (Some(-9), Some(2), &[2.0, 3.0]),
    ] {
        let start = start.map(|start| int("start", start));
        let end = end.map(|end| int("end", end));
        case()
            .all(start.as_slice())
            .all(end.as_slice())
            .is(&vector(list));
    }
    Case::new("Shape", 13)
        .x(&x)
        .with(int("start", 1))
        .refused("BadAttribute", "start");
    Case::new("Size", 13).x(&x).is(&scalar(24.0));
    Case::new("Size", 13).x(&scalar(3.0)).is(&scalar(1.0));
    Case::new("Shape", 13)
        .x(&vector(&[3.0]))
        .is(&vector(&[1.0]));
}

/// `Hann`, `Hamming` and Blackman windows, periodic and symmetric.
#[test]
fn windows_of_signals() {
    for n in [1_usize, 2, 5, 8] {
        for periodic in [0, 1] {
            let length = if periodic == 1 {
                n as f64
            } else {
                n as f64 - 1.0
            };
            let turn = |at: &[usize], k: f64| {
                (2.0 * std::f64::consts::PI * k * at[0] as f64 / length).cos()
            };
            if length < 1.0 {
                continue;
            }
            let case = |op: &str| {
                let n = scalar(n as f64);
                Case::new(op, 17)
                    .constant(DataType::Int64, &n)
                    .with(int("periodic", periodic))
                    .within(1e-6)
            };
            case("HannWindow").is(&fill(&[n], |at| 0.5 - 0.5 * turn(at, 1.0)));
            case("HammingWindow").is(&fill(&[n], |at| 25.0 / 46.0 - 21.0 / 46.0 * turn(at, 1.0)));
            case("BlackmanWindow").is(&fill(&[n], |at| {
                0.42 - 0.5 * turn(at, 1.0) + 0.08 * turn(at, 2.0)
            }));
        }
        let case = Case::new("HannWindow", 17).input(DataType::Int64, &scalar(n as f64));
        case.refused("", "constant");
    }
    let typed = |to: i64| {
        let case = Case::new("HannWindow", 17).constant(DataType::Int64, &scalar(4.0));
        case.with(int("output_datatype", to))
    };
    typed(1).is(&vector(&[0.0, 0.5, 1.0, 0.5]));
    typed(11).is(&vector(&[0.0, 0.5, 1.0, 0.5]));
    // Integers lose their fraction.
    typed(7).is(&vector(&[0.0, 0.0, 1.0, 0.0]));
    typed(8).refused("BadAttribute", "output_datatype");
}

/// Triangles between neighbouring frequencies, which are equally far apart on the mel scale.
#[test]
fn mel_filters() {
    for (bins, length, rate, low, high) in [
        (2, 16, 8192.0, 0.0, 4096.0),
        (5, 64, 16_000.0, 125.0, 7500.0),
        (8, 16, 8192.0, 0.0, 4096.0),
    ] {
        let mel = |f: f64| 2595.0 * (1.0 + f / 700.0).log10();
        let step = (mel(high) - mel(low)) / (f64::from(bins) + 2.0);
        let edge = |i: usize| {
            let f = 700.0 * (10_f64.powf((mel(low) + i as f64 * step) / 2595.0) - 1.0);
            (f64::from(length + 1) * f / rate).floor()
        };
        let y = fill(&[length as usize / 2 + 1, bins as usize], |at| {
            let (j, [lower, centre, upper]) = (at[0] as f64, [0, 1, 2].map(|k| edge(at[1] + k)));
            match j {
                j if j >= centre && j < upper => (upper - j) / (upper - centre),
                j if j == centre => 1.0,
                j if j >= lower && j < centre => (j - lower) / (centre - lower),
                _ => 0.0,
            }
        });
        let case = Case::new("MelWeightMatrix", 17);
        let case = case.constant(DataType::Int64, &scalar(f64::from(bins)));
        let case = case.constant(DataType::Int64, &scalar(f64::from(length)));
        let case = case.constant(DataType::Int64, &scalar(rate));
        case.w(&scalar(low)).w(&scalar(high)).is(&y);
    }
}

/// A model with an input of floats that only gives constants.
fn constant(op: &str, c: TensorProto) -> ModelProto {
    let nodes = vec![
        node(op, &["c"], "t", vec![]),
        node("Where", &["t", "x", "zero"], "y", vec![]),
    ];
    let mut model = model(13, &[3], vec![c, floats("zero", &[], &[0.0])], nodes);
    model.graph.as_mut().expect("has a graph").output = vec![float("y", &[])];
    model
}

/// What is infinite or no number is told of constants; no input is either.
#[test]
fn numbers_that_are_none() {
    let c = floats("c", &[3], &[f32::NAN, f32::INFINITY, 1.0]);
    let x: (&[usize], &[f32]) = (&[3], &[5.0, 6.0, 7.0]);
    assert_eq!(
        answers(&constant("IsNaN", c.clone()), &[x])[0],
        [5.0, 0.0, 0.0]
    );
    assert_eq!(answers(&constant("IsInf", c), &[x])[0], [0.0, 6.0, 0.0]);
    let x = spread(&[2, 3]);
    Case::new("IsNaN", 13).x(&x).is(&Cells::zeros(vec![2, 3]));
    Case::new("IsInf", 10).x(&x).is(&Cells::zeros(vec![2, 3]));
    let c = vector(&[f64::NEG_INFINITY, 1.0, f64::INFINITY, f64::NAN]);
    let case = |name: &str| Case::new("IsInf", 10).w(&c).with(int(name, 0));
    case("detect_negative").is(&vector(&[0.0, 0.0, 1.0, 0.0]));
    case("detect_positive").is(&vector(&[1.0, 0.0, 0.0, 0.0]));
    Case::new("IsNaN", 13)
        .w(&c)
        .is(&vector(&[0.0, 0.0, 0.0, 1.0]));
}

/// Integers of 64 bits are exact where they are only moved.
#[test]
fn constant_integers_are_exact() {
    let large = 9_007_199_254_740_993_i64;
    let nodes = vec![
        node("Add", &["a", "one"], "s", vec![]),
        node("Mod", &["s", "thousand"], "m", vec![]),
        node("Cast", &["m"], "f", vec![int("to", 1)]),
        node("Mul", &["x", "f"], "y", vec![]),
    ];
    let constants = vec![
        list("a", &[large]),
        list("one", &[1]),
        list("thousand", &[1000]),
    ];
    check(
        &model(13, &[1], constants, nodes),
        &[(&[1], &[1.0])],
        &[994.0],
    );
    let overflow = vec![
        node("Mul", &["a", "a"], "s", vec![]),
        node("Cast", &["s"], "f", vec![int("to", 1)]),
        node("Mul", &["x", "f"], "y", vec![]),
    ];
    let overflow = model(13, &[1], vec![list("a", &[large])], overflow);
    assert_error(&refuse(&overflow), "", "`s`");
}
