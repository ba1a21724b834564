//! Operators that become several of the float graph: values worked out by hand where ONNX's own
//! tests do not reach, element types, and refusals.

use candle_onnx::onnx::tensor_proto::DataType;
use candle_onnx::onnx::tensor_shape_proto::dimension;
use candle_onnx::onnx::{AttributeProto, ModelProto, NodeProto, TensorProto};
use ndarray::ArrayD;
use zkstrata_model_ir::float::{Activation, Graph, Op};
use zkstrata_onnx_import::import;

use crate::build::{
    declare, dim, encode, float, floats, int, integer, ints, list, model, node, number, string,
};
use crate::common;
use crate::refusals::{assert_error, refuse};

/// The outputs `y`, and `z` if a node makes it, of a model on `x`.
fn outputs(model: &ModelProto, shape: &[usize], x: &[f32]) -> Vec<Vec<f32>> {
    let graph = graph(model);
    let x = ArrayD::from_shape_vec(shape, x.to_vec()).expect("as many cells");
    let values = common::run(&graph, &[x]);
    values.iter().map(|v| v.iter().copied().collect()).collect()
}

fn graph(model: &ModelProto) -> Graph {
    import(&encode(model)).unwrap_or_else(|e| panic!("{e}"))
}

/// A model of one node on a vector.
fn vector(opset: i64, n: usize, constants: Vec<TensorProto>, node: NodeProto) -> ModelProto {
    model(opset, &[n as i64], constants, vec![node])
}

/// The model with an input of the given type.
fn of_type(mut model: ModelProto, data_type: DataType) -> ModelProto {
    let graph = model.graph.as_mut().expect("has a graph");
    let shape = match &graph.input[0].r#type.as_ref().expect("typed").value {
        Some(candle_onnx::onnx::type_proto::Value::TensorType(t)) => t.shape.clone(),
        _ => None,
    };
    let axes = shape.expect("a shape").dim.into_iter();
    let axes = axes.map(|d| match d.value {
        Some(dimension::Value::DimValue(n)) => dim(Some(dimension::Value::DimValue(n))),
        _ => dim(None),
    });
    graph.input[0] = declare("x", data_type, axes.collect());
    model
}

#[track_caller]
fn check(model: &ModelProto, x: &[f32], expected: &[f32]) {
    let got = &outputs(model, &[x.len()], x)[0];
    assert_eq!(got.len(), expected.len(), "{got:?}");
    for (g, e) in got.iter().zip(expected) {
        assert!(
            (g - e).abs() <= 1e-5 * e.abs().max(1.0),
            "{got:?}, expected {expected:?}"
        );
    }
}

/// One node with the constant `c` and its answer on `x`.
#[track_caller]
fn check_integers(op: &str, c: i64, attributes: Vec<AttributeProto>, x: &[f32], expected: &[f32]) {
    let node = node(op, &["x", "c"], "y", attributes);
    let constants = vec![integer("c", c)];
    let mut model = vector(18, x.len(), constants, node);
    if let Some(graph) = &mut model.graph {
        graph.initializer[0].dims = vec![];
    }
    check(&of_type(model, DataType::Int64), x, expected);
}

/// The largest of integers is an integer, which meets others without a cast.
#[test]
fn the_largest_integer_is_one() {
    let mut model = vector(18, 3, vec![], node("ReduceMax", &["x"], "m", vec![]));
    if let Some(graph) = &mut model.graph {
        graph.node.push(node("Add", &["x", "m"], "y", vec![]));
    }
    let model = of_type(model, DataType::Int64);
    check(&model, &[-2.0, 5.0, 1.0], &[3.0, 10.0, 6.0]);
}

#[test]
fn integers_divide_and_shift_as_integers() {
    let x = [-7.0, -6.0, -1.0, 0.0, 5.0, 6.0, 8.0];
    check_integers("Div", 3, vec![], &x, &[-2.0, -2.0, 0.0, 0.0, 1.0, 2.0, 2.0]);
    check_integers(
        "Div",
        -3,
        vec![],
        &x,
        &[2.0, 2.0, 0.0, 0.0, -1.0, -2.0, -2.0],
    );
    check_integers("Mod", 3, vec![], &x, &[2.0, 0.0, 2.0, 0.0, 2.0, 0.0, 2.0]);
    let y = [-1.0, 0.0, -1.0, 0.0, -1.0, 0.0, -1.0];
    check_integers("Mod", -3, vec![], &x, &y);
    let fmod = || vec![int("fmod", 1)];
    check_integers("Mod", 3, fmod(), &x, &[-1.0, 0.0, -1.0, 0.0, 2.0, 0.0, 2.0]);
    check_integers(
        "Mod",
        -3,
        fmod(),
        &x,
        &[-1.0, 0.0, -1.0, 0.0, 2.0, 0.0, 2.0],
    );
    let bits = [0.0, 5.0, 12.0, 255.0];
    check_integers("BitwiseAnd", 0b1101, vec![], &bits, &[0.0, 5.0, 12.0, 13.0]);
    check_integers(
        "BitwiseOr",
        0b1001,
        vec![],
        &bits,
        &[9.0, 13.0, 13.0, 255.0],
    );
    check_integers(
        "BitwiseXor",
        0b1001,
        vec![],
        &bits,
        &[9.0, 12.0, 5.0, 246.0],
    );
    let direction = |d| vec![string("direction", d)];
    check_integers(
        "BitShift",
        2,
        direction("RIGHT"),
        &bits,
        &[0.0, 1.0, 3.0, 63.0],
    );
    check_integers(
        "BitShift",
        2,
        direction("LEFT"),
        &bits,
        &[0.0, 20.0, 48.0, 1020.0],
    );
    check_integers("Pow", 3, vec![], &x[..2], &[-343.0, -216.0]);
}

#[test]
fn shifts_drop_the_bits_beyond_the_width() {
    let shifted = |data_type: DataType, direction: &str, n: &[i32], x: &[f32], expected: &[f32]| {
        let amounts = TensorProto {
            name: "n".into(),
            dims: vec![n.len() as i64],
            data_type: data_type as i32,
            int32_data: n.to_vec(),
            ..TensorProto::default()
        };
        let direction = vec![string("direction", direction)];
        let node = node("BitShift", &["x", "n"], "y", direction);
        let model = vector(18, x.len(), vec![amounts], node);
        check(&of_type(model, data_type), x, expected);
    };
    let (int8, uint8) = (DataType::Int8, DataType::Uint8);
    let x = [64.0, 1.0, -64.0, -1.0, 100.0, 5.0];
    let y = [-128.0, -128.0, -128.0, -16.0, 0.0, 0.0];
    shifted(int8, "LEFT", &[1, 7, 1, 4, 8, -1], &x, &y);
    let y = [32.0, 0.0, -16.0, -1.0, 0.0, 0.0];
    shifted(int8, "RIGHT", &[1, 7, 2, 8, 9, -1], &x, &y);
    shifted(int8, "RIGHT", &[8], &x[2..4], &[-1.0, -1.0]);
    shifted(uint8, "LEFT", &[4], &[255.0, 3.0], &[240.0, 48.0]);
    let (int32, x) = (DataType::Int32, [3.0, -3.0]);
    shifted(int32, "LEFT", &[20], &x, &[3_145_728.0, -3_145_728.0]);
    shifted(int32, "LEFT", &[32], &x, &[0.0, 0.0]);
    shifted(int32, "RIGHT", &[-1], &x, &[0.0, -1.0]);
}

#[test]
fn products_of_any_length() {
    for n in [1_usize, 2, 3, 7, 12] {
        let node = node("ReduceProd", &["x"], "y", vec![int("keepdims", 0)]);
        let x: Vec<f32> = (0..n).map(|i| 0.5 + i as f32 / 4.0).collect();
        check(&vector(18, n, vec![], node), &x, &[x.iter().product()]);
    }
}

#[test]
fn what_has_no_length_stays_0() {
    let normalised = |op: &str, attributes: Vec<AttributeProto>, x: &[f32], expected: &[f32]| {
        let n = x.len() as i64 / 2;
        let model = model(18, &[2, n], vec![], vec![node(op, &["x"], "y", attributes)]);
        let got = &outputs(&model, &[2, x.len() / 2], x)[0];
        for (g, e) in got.iter().zip(expected) {
            assert!(
                (g - e).abs() <= 1e-5,
                "{op}: {got:?}, expected {expected:?}"
            );
        }
        // No value is far beyond the others.
        let graph = graph(&model);
        let x = ArrayD::from_shape_vec(vec![2, x.len() / 2], x.to_vec()).expect("as many cells");
        let values = graph.run(&[x]).expect("runs");
        assert!(values.iter().flatten().all(|x| x.abs() < 100.0));
    };
    let x = [3.0, 4.0, 0.0, 0.0];
    normalised("LpNormalization", vec![], &x, &[0.6, 0.8, 0.0, 0.0]);
    let one = vec![int("p", 1)];
    let y = [3.0 / 7.0, 4.0 / 7.0, 0.0, 0.0];
    normalised("LpNormalization", one, &x, &y);
    let axes = vec![ints("axes", &[1])];
    let y = [-1.0, 1.0, 0.0, 0.0];
    normalised("MeanVarianceNormalization", axes, &[3.0, 4.0, 5.0, 5.0], &y);
}

#[test]
fn pools_by_norm() {
    let x = [-3.0, 4.0, 0.0, 1.0];
    for p in 1..=4 {
        let attributes = vec![ints("kernel_shape", &[2]), int("p", p)];
        let nodes = vec![node("LpPool", &["x"], "y", attributes)];
        let got = &outputs(&model(18, &[1, 1, 4], vec![], nodes), &[1, 1, 4], &x)[0];
        let norm = |pair: &[f32]| {
            let sum: f32 = pair.iter().map(|x| x.abs().powi(p as i32)).sum();
            sum.powf(1.0 / p as f32)
        };
        for (g, pair) in got.iter().zip(x.windows(2)) {
            assert!((g - norm(pair)).abs() <= 1e-5, "{p}: {got:?}");
        }
    }
}

#[test]
fn powers_take_each_exponent_once() {
    let node = || node("Pow", &["x", "c"], "y", vec![]);
    let exponents = [2.0, 0.5, 2.0, 0.0, -1.0];
    let c = vec![floats("c", &[5], &exponents)];
    let model = vector(15, 5, c, node());
    check(
        &model,
        &[3.0, 9.0, -2.0, 7.0, 4.0],
        &[9.0, 3.0, 4.0, 1.0, 0.25],
    );
    let squares = graph(&vector(15, 2, vec![floats("c", &[], &[2.0])], node()));
    assert!(matches!(squares.nodes()[1].op, Op::Contract(_)));
}

#[test]
fn ties_go_to_the_first_unless_asked() {
    let x = [1.0, 4.0, 2.0, 4.0, 1.0];
    let arg = |op: &str, last: i64| {
        let attributes = vec![
            int("axis", 0),
            int("select_last_index", last),
            int("keepdims", 0),
        ];
        vector(13, 5, vec![], node(op, &["x"], "y", attributes))
    };
    check(&arg("ArgMax", 0), &x, &[1.0]);
    check(&arg("ArgMax", 1), &x, &[3.0]);
    check(&arg("ArgMin", 0), &x, &[0.0]);
    check(&arg("ArgMin", 1), &x, &[4.0]);
    let hard = node("Hardmax", &["x"], "y", vec![int("axis", 0)]);
    check(&vector(13, 5, vec![], hard), &x, &[0.0, 1.0, 0.0, 0.0, 0.0]);
    let top = |largest: i64, k: i64| {
        let mut node = node("TopK", &["x", "k"], "y", vec![int("largest", largest)]);
        node.output.push("z".into());
        let mut model = vector(11, 5, vec![list("k", &[k])], node);
        if let Some(graph) = &mut model.graph {
            graph.output.push(float("z", &[]));
        }
        outputs(&model, &[5], &x)
    };
    assert_eq!(top(1, 3), [[4.0, 4.0, 2.0], [1.0, 3.0, 2.0]]);
    assert_eq!(top(0, 4), [[1.0, 1.0, 2.0, 4.0], [0.0, 4.0, 2.0, 1.0]]);
    assert_eq!(top(0, 1), [[1.0], [0.0]]);
}

#[test]
fn comparisons_and_choices() {
    let c = || vec![floats("c", &[], &[1.0]), floats("d", &[], &[9.0])];
    let x = [0.0, 1.0, 2.0];
    let compare = |op: &str, inputs: &[&str], expected: [f32; 3]| {
        check(
            &vector(16, 3, c(), node(op, inputs, "y", vec![])),
            &x,
            &expected,
        );
    };
    compare("Less", &["x", "c"], [1.0, 0.0, 0.0]);
    compare("Less", &["c", "x"], [0.0, 0.0, 1.0]);
    compare("GreaterOrEqual", &["x", "c"], [0.0, 1.0, 1.0]);
    compare("LessOrEqual", &["x", "c"], [1.0, 1.0, 0.0]);
    compare("Equal", &["c", "x"], [0.0, 1.0, 0.0]);
    compare("Max", &["c", "x"], [1.0, 1.0, 2.0]);
    compare("Min", &["x", "c", "d"], [0.0, 1.0, 1.0]);
    compare("Sign", &["x"], [0.0, 1.0, 1.0]);
    let choose = |a: &str, b: &str, expected: [f32; 3]| {
        let nodes = vec![
            node("Greater", &["x", "c"], "above", vec![]),
            node("Where", &["above", a, b], "y", vec![]),
        ];
        check(&model(16, &[3], c(), nodes), &x, &expected);
    };
    choose("x", "d", [9.0, 9.0, 2.0]);
    choose("d", "x", [0.0, 1.0, 9.0]);
    choose("c", "d", [9.0, 9.0, 1.0]);
}

#[test]
fn casts_and_logic() {
    let nodes = vec![
        node("Cast", &["x"], "b", vec![int("to", 9)]),
        node("Not", &["b"], "n", vec![]),
        node("Cast", &["x"], "i", vec![int("to", 7)]),
        node("Cast", &["n"], "m", vec![int("to", 7)]),
        node("Add", &["i", "m"], "y", vec![]),
    ];
    let x = [-1.5, 0.0, 0.5, 2.7];
    check(&model(16, &[4], vec![], nodes), &x, &[-1.0, 1.0, 0.0, 2.0]);
    let or = node("Or", &["x", "c"], "y", vec![]);
    let bools = TensorProto {
        name: "c".into(),
        dims: vec![2],
        data_type: DataType::Bool as i32,
        int32_data: vec![0, 1],
        ..TensorProto::default()
    };
    let or = of_type(vector(16, 2, vec![bools], or), DataType::Bool);
    assert!(matches!(
        graph(&or).nodes()[0].op,
        Op::Input { integral: true }
    ));
    check(&or, &[0.0, 0.0], &[0.0, 1.0]);
}

#[test]
fn masks_stay_finite() {
    let masked = |op: &str, inputs: &[&str]| {
        let c = vec![floats("c", &[3], &[0.0, f32::NEG_INFINITY, 0.0])];
        let nodes = vec![
            node(op, inputs, "masked", vec![]),
            node("Softmax", &["masked"], "y", vec![]),
        ];
        model(13, &[3], c, nodes)
    };
    let half = [0.5, 0.0, 0.5];
    check(&masked("Add", &["x", "c"]), &[2.0, 70.0, 2.0], &half);
    let graph = graph(&masked("Add", &["c", "x"]));
    assert!(graph.notes()[0].contains("mask"), "{:?}", graph.notes());
}

#[test]
fn einsum_forms() {
    let weights = || vec![floats("c", &[2, 2], &[1.0, 2.0, 3.0, 4.0])];
    let einsum = |inputs: &[&str], equation: &str| {
        let node = node("Einsum", inputs, "y", vec![string("equation", equation)]);
        let model = model(12, &[2, 2], weights(), vec![node]);
        outputs(&model, &[2, 2], &[5.0, 6.0, 7.0, 8.0]).remove(0)
    };
    assert_eq!(
        einsum(&["x", "c"], "ij, jk -> ki"),
        [23.0, 31.0, 34.0, 46.0]
    );
    assert_eq!(einsum(&["x"], "ii"), [13.0]);
    assert_eq!(einsum(&["x"], "ba"), [5.0, 7.0, 6.0, 8.0]);
    assert_eq!(einsum(&["x", "c"], "i...,...j->..."), [36.0, 98.0]);
    assert_eq!(einsum(&["x", "c", "x"], "ij,jk,kl->"), [1794.0]);
    let refuse_equation = |equation: &str, expected: &str| {
        let node = node("Einsum", &["x"], "y", vec![string("equation", equation)]);
        let error = refuse(&model(12, &[2, 2], vec![], vec![node]));
        assert_error(&error, "BadAttribute", expected);
    };
    refuse_equation("ij->k", "no operand");
    refuse_equation("ij->ii", "twice");
    refuse_equation("ijk", "2 axes");
    refuse_equation("ij,jk", "2 terms for 1");
    refuse_equation("i+", "2 axes");
}

#[test]
fn constants_are_evaluated_by_their_formulas() {
    let nodes = vec![
        node("Softmax", &["c"], "s", vec![]),
        node("ArgMax", &["s"], "a", vec![int("axis", 0)]),
        node("Gather", &["c", "a"], "g", vec![]),
        node("Exp", &["g"], "e", vec![]),
        node("Mul", &["x", "e"], "y", vec![]),
    ];
    let c = vec![floats("c", &[3], &[0.0, 2.0, 1.0])];
    let model = model(13, &[1], c, nodes);
    assert!(matches!(graph(&model).nodes(), [_, n] if matches!(n.op, Op::Affine { .. })));
    check(&model, &[1.0], &[2.0_f32.exp()]);
}

#[test]
fn functions_with_parameters() {
    let function = |op: &str, attributes: Vec<AttributeProto>| {
        let graph = graph(&vector(18, 2, vec![], node(op, &["x"], "y", attributes)));
        match graph.nodes()[1].op {
            Op::Activation(f) => f,
            ref other => panic!("{other:?}"),
        }
    };
    let elu = |alpha, beta, gamma| Activation::Elu { alpha, beta, gamma };
    assert_eq!(
        function("Celu", vec![number("alpha", 2.0)]),
        elu(2.0, 2.0, 1.0)
    );
    let selu = vec![number("alpha", 2.0), number("gamma", 3.0)];
    assert_eq!(function("Selu", selu), elu(2.0, 1.0, 3.0));
    let (lambda, bias) = (1.5, 0.5);
    let shrink = vec![number("lambd", lambda), number("bias", bias)];
    assert_eq!(
        function("Shrink", shrink),
        Activation::Shrink { lambda, bias }
    );
}

#[test]
fn refusals_name_the_remedy() {
    let integers = |op: &str, inputs: &[&str], expected: &str| {
        let model = vector(18, 2, vec![], node(op, inputs, "y", vec![]));
        let error = refuse(&of_type(model, DataType::Int32));
        assert_error(&error, "UnsupportedOperator", expected);
    };
    integers("Div", &["x", "x"], "integer divisor");
    integers("Mod", &["x", "x"], "integer divisor");
    integers("BitwiseAnd", &["x", "x"], "depend on the model's inputs");
    integers("Pow", &["x", "x"], "cast them to float");
    integers("Sqrt", &["x"], "cast them to float");
    integers("ReduceMean", &["x"], "cast them to float");
    let shape = |op: &str, attributes: Vec<AttributeProto>, expected: &str| {
        let constants = vec![integer("c", 1), list("k", &[9])];
        let second = if op == "TopK" { "k" } else { "c" };
        let inputs = ["x", second];
        let count = if op == "Not" || op == "ArgMax" { 1 } else { 2 };
        let node = node(op, &inputs[..count], "y", attributes);
        let error = refuse(&vector(18, 2, constants, node));
        assert_error(&error, "Shape", expected);
    };
    shape("Add", vec![], "float and integer");
    shape("And", vec![], "float and integer");
    shape("Not", vec![], "floats");
    shape("TopK", vec![], "1 to 2");
    shape("ArgMax", vec![int("axis", 1)], "axis 1");
    let long = node("TopK", &["x", "k"], "y", vec![]);
    let long = vector(18, 1000, vec![list("k", &[2])], long);
    assert_error(&refuse(&long), "UnsupportedOperator", "up to 512");
    let long = node("CumSum", &["x", "a"], "y", vec![]);
    let long = vector(18, 1 << 20, vec![list("a", &[0])], long);
    assert_error(&refuse(&long), "TooLarge", "limit");
    let wide = node("ReduceSum", &["x"], "y", vec![]);
    assert_error(
        &refuse(&vector(18, 1 << 29, vec![], wide)),
        "TooLarge",
        "limit",
    );
    let heads = vec![int("q_num_heads", 3), int("kv_num_heads", 2)];
    let heads = node("Attention", &["x", "x", "x"], "y", heads);
    let heads = model(23, &[1, 4, 8], vec![], vec![heads]);
    assert_error(&refuse(&heads), "BadAttribute", "does not divide 8");
    let work = vec![
        node("ConstantOfShape", &["k"], "c", vec![]),
        node("ReduceLogSumExp", &["c"], "r", vec![ints("axes", &[0])]),
        node(
            "Einsum",
            &["c", "c"],
            "e",
            vec![string("equation", "ij,jk->ik")],
        ),
        node("Add", &["x", "e"], "y", vec![]),
    ];
    let work = model(13, &[1], vec![list("k", &[2300, 2300])], work);
    assert_error(&refuse(&work), "TooLarge", "operations");
}

/// Indices of maxima over padded, dilated and overlapping windows; of equal cells the first.
#[test]
fn places_of_maxima() {
    #[rustfmt::skip]
    let x = [
        5.0, 1.0, 5.0,
        2.0, 7.0, 0.0,
        // Padding must not win.
        -3.0, -3.0, -1.0,
        -2.0, -9.0, -1.0,
    ];
    let pool = |attributes: Vec<AttributeProto>| {
        let mut node = node("MaxPool", &["x"], "y", attributes);
        node.output.push("z".into());
        let mut model = model(12, &[1, 2, 2, 3], vec![], vec![node]);
        let graph = model.graph.as_mut().expect("has a graph");
        graph.output.push(float("z", &[]));
        model
    };
    let shape = [1, 2, 2, 3];
    let padded = || vec![ints("kernel_shape", &[2, 2]), ints("pads", &[1, 0, 0, 1])];
    let y = outputs(&pool(padded()), &shape, &x);
    #[rustfmt::skip]
    let most = [5.0, 5.0, 5.0, 7.0, 7.0, 5.0, -3.0, -1.0, -1.0, -2.0, -1.0, -1.0];
    assert_eq!(y[0], most);
    assert_eq!(
        y[1],
        [0.0, 2.0, 2.0, 4.0, 4.0, 2.0, 6.0, 8.0, 8.0, 9.0, 8.0, 8.0]
    );
    // With the rows varying fastest: cell (h, w) of a plane is 2 w + h.
    let mut columns = padded();
    columns.push(int("storage_order", 1));
    let y = outputs(&pool(columns), &shape, &x);
    assert_eq!(
        y[1],
        [
            0.0, 4.0, 4.0, 3.0, 3.0, 4.0, 6.0, 10.0, 10.0, 7.0, 10.0, 10.0
        ]
    );
    let dilated = vec![ints("kernel_shape", &[1, 2]), ints("dilations", &[1, 2])];
    let y = outputs(&pool(dilated), &shape, &x);
    assert_eq!(y[0], [5.0, 2.0, -1.0, -1.0]);
    assert_eq!(y[1], [0.0, 3.0, 8.0, 11.0]);
}
