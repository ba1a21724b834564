//! Sequences, loops and scans against what they are when they are written out; and the kinds of
//! elements that operators give.

use candle_onnx::onnx::tensor_proto::DataType;
use candle_onnx::onnx::{AttributeProto, ModelProto, NodeProto, TensorProto};
use zkstrata_onnx_import::import;

use crate::build::{
    encode, floats, giving, graph, int, integer, ints, list, model, node, numbers, several, taking,
    truth,
};
use crate::control::{answers, check, close};
use crate::refusals::{assert_error, refuse};

/// The rows 0 to 2 of a matrix.
const ROWS: (&[usize], &[f32]) = (&[3, 2], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);

fn scalar(name: &str, cell: i64) -> TensorProto {
    TensorProto {
        dims: vec![],
        ..integer(name, cell)
    }
}

/// A model on the rows, which are made a sequence `s` first.
fn on_rows(constants: Vec<TensorProto>, nodes: Vec<NodeProto>) -> ModelProto {
    let split = node("SplitToSequence", &["x"], "s", vec![]);
    model(17, &[3, 2], constants, [vec![split], nodes].concat())
}

/// A row is inserted before the position, which counts from the end if it is negative.
#[test]
fn places_in_a_sequence() {
    let joined = |at: i64| {
        let nodes = vec![
            node("SequenceInsert", &["s", "z", "p"], "t", vec![]),
            node("ConcatFromSequence", &["t"], "y", vec![int("axis", 0)]),
        ];
        on_rows(
            vec![floats("z", &[1, 2], &[8.0, 9.0]), scalar("p", at)],
            nodes,
        )
    };
    let rows = [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]];
    for (at, before) in [(-3, 0), (-1, 2), (0, 0), (1, 1), (2, 2), (3, 3)] {
        let mut expected: Vec<f32> = rows[..before].concat();
        expected.extend([8.0, 9.0]);
        expected.extend(rows[before..].concat());
        check(&joined(at), &[ROWS], &expected);
    }
    for at in [-4, 4] {
        assert_error(&refuse(&joined(at)), "", "");
    }
    let erased = |at: Option<i64>| {
        let operands: &[&str] = if at.is_some() { &["s", "p"] } else { &["s"] };
        let nodes = vec![
            node("SequenceErase", operands, "t", vec![]),
            node("ConcatFromSequence", &["t"], "y", vec![int("axis", -2)]),
        ];
        on_rows(vec![scalar("p", at.unwrap_or(0))], nodes)
    };
    for (at, gone) in [
        (None, 2),
        (Some(0), 0),
        (Some(-1), 2),
        (Some(-3), 0),
        (Some(1), 1),
    ] {
        let kept = (0..3).filter(|&i| i != gone).flat_map(|i| rows[i]);
        check(&erased(at), &[ROWS], &kept.collect::<Vec<_>>());
    }
    assert_error(&refuse(&erased(Some(3))), "", "3");
    let read = |at: i64| {
        let nodes = vec![node("SequenceAt", &["s", "p"], "y", vec![])];
        on_rows(vec![scalar("p", at)], nodes)
    };
    for at in -3..3_i64 {
        check(&read(at), &[ROWS], &rows[at.rem_euclid(3) as usize]);
    }
    assert_error(&refuse(&read(-4)), "", "-4");
}

/// Parts of one length up to the last, or of listed lengths; each is weighted by its position.
#[test]
fn parts_of_a_tensor() {
    let weighted = |lengths: TensorProto, axis: i64, count: usize| {
        let mut nodes = vec![node(
            "SplitToSequence",
            &["x", "n"],
            "s",
            vec![int("axis", axis)],
        )];
        let mut constants = vec![lengths];
        let mut names = vec![];
        for i in 0..count {
            let (at, part, times) = (format!("i{i}"), format!("p{i}"), format!("t{i}"));
            constants.push(scalar(&at, i as i64));
            constants.push(floats(&format!("w{i}"), &[], &[i as f32 + 1.0]));
            nodes.push(node("SequenceAt", &["s", &at], &part, vec![]));
            nodes.push(node("Mul", &[&part, &format!("w{i}")], &times, vec![]));
            names.push(times);
        }
        let names: Vec<&str> = names.iter().map(|name| &**name).collect();
        nodes.push(node("Concat", &names, "y", vec![int("axis", axis)]));
        model(17, &[5], constants, nodes)
    };
    let x: (&[usize], &[f32]) = (&[5], &[1.0; 5]);
    check(
        &weighted(scalar("n", 2), 0, 3),
        &[x],
        &[1.0, 1.0, 2.0, 2.0, 3.0],
    );
    check(&weighted(scalar("n", 5), -1, 1), &[x], &[1.0; 5]);
    check(
        &weighted(list("n", &[1, 3, 1]), 0, 3),
        &[x],
        &[1.0, 2.0, 2.0, 2.0, 3.0],
    );
    for wrong in [scalar("n", 0), list("n", &[2, 2]), list("n", &[7, -2])] {
        assert_error(&refuse(&weighted(wrong, 0, 1)), "Shape", "lengths");
    }
    let length = |keeps: i64| {
        let nodes = vec![
            node(
                "SplitToSequence",
                &["x"],
                "s",
                vec![int("axis", 1), int("keepdims", keeps)],
            ),
            node("ConcatFromSequence", &["s"], "y", vec![int("axis", 0)]),
        ];
        model(17, &[3, 2], vec![], nodes)
    };
    check(&length(0), &[ROWS], &[1.0, 3.0, 5.0, 2.0, 4.0, 6.0]);
    check(&length(1), &[ROWS], &[1.0, 3.0, 5.0, 2.0, 4.0, 6.0]);
    let stacked = |axis: i64| {
        let attributes = vec![int("axis", axis), int("new_axis", 1)];
        let nodes = vec![
            node("SequenceConstruct", &["x", "x"], "t", vec![]),
            node("ConcatFromSequence", &["t"], "y", attributes),
        ];
        model(17, &[2], vec![], nodes)
    };
    let x: (&[usize], &[f32]) = (&[2], &[1.0, 2.0]);
    check(&stacked(0), &[x], &[1.0, 2.0, 1.0, 2.0]);
    check(&stacked(-1), &[x], &[1.0, 1.0, 2.0, 2.0]);
    assert_error(&refuse(&stacked(3)), "", "axis 3");
    let nothing = vec![
        node("SequenceEmpty", &[], "t", vec![]),
        node("ConcatFromSequence", &["t"], "y", vec![int("axis", 0)]),
    ];
    assert_error(
        &refuse(&model(17, &[2], vec![], nothing)),
        "Shape",
        "empty sequence",
    );
}

/// A loop that adds its input, with an upper bound and a condition of its counter.
fn counted(most: Option<i64>, start: Option<bool>, below: i64) -> ModelProto {
    let body = vec![
        node("Add", &["state", "x"], "next", vec![]),
        node("Less", &["i", "bound"], "more", vec![]),
        node("Neg", &["next"], "shown", vec![]),
    ];
    let body = graph(
        "body",
        &["i", "go", "state"],
        &["more", "next", "shown"],
        vec![scalar("bound", below)],
        body,
    );
    let operands = [
        if most.is_some() { "n" } else { "" },
        if start.is_some() { "c" } else { "" },
        "zero",
    ];
    let constants = vec![
        scalar("n", most.unwrap_or(0)),
        truth("c", start.unwrap_or(true)),
        floats("zero", &[2], &[0.0, 10.0]),
    ];
    let made = several("Loop", &operands, &["last", "all"], vec![body]);
    giving(model(17, &[2], constants, vec![made]), &["last", "all"])
}

#[test]
fn loops_end_by_count_and_by_condition() {
    let x: (&[usize], &[f32]) = (&[2], &[1.0, 2.0]);
    for (most, start, below, steps) in [
        (Some(3), None, 100, 3),
        (Some(3), Some(true), 1, 2),
        (None, None, 2, 3),
        (None, Some(true), 0, 1),
        (Some(1), Some(true), 9, 1),
    ] {
        let got = answers(&counted(most, start, below), &[x]);
        let state = |step: i32| [step as f32, 10.0 + 2.0 * step as f32];
        close(&got[0], &state(steps));
        let shown: Vec<f32> = (1..=steps).flat_map(state).map(|x| -x).collect();
        close(&got[1], &shown);
    }
    for none in [counted(Some(0), None, 9), counted(None, Some(false), 9)] {
        assert_error(&refuse(&none), "UnsupportedOperator", "takes no step");
        // The states alone are those at the start.
        let last = giving(none, &["last"]);
        assert_error(&refuse(&last), "UnsupportedOperator", "takes no step");
    }
}

/// A scan of two operands along given axes, forwards and backwards.
#[test]
fn scans_read_any_axis() {
    let scan = |attributes: Vec<AttributeProto>| {
        let body = vec![
            node("Add", &["state", "row"], "next", vec![]),
            node("Mul", &["row", "other"], "product", vec![]),
        ];
        let body = graph(
            "body",
            &["state", "row", "other"],
            &["next", "product"],
            vec![],
            body,
        );
        let attributes = [vec![body, int("num_scan_inputs", 2)], attributes].concat();
        let made = several("Scan", &["zero", "x", "w"], &["last", "all"], attributes);
        let constants = vec![
            floats("zero", &[2], &[0.0, 0.0]),
            floats("w", &[3, 2], &[1.0, 10.0, 2.0, 20.0, 3.0, 30.0]),
        ];
        giving(model(17, &[3, 2], constants, vec![made]), &["last", "all"])
    };
    let got = answers(&scan(vec![]), &[ROWS]);
    close(&got[0], &[9.0, 12.0]);
    close(&got[1], &[1.0, 20.0, 6.0, 80.0, 15.0, 180.0]);
    let turned = scan(vec![ints("scan_input_directions", &[0, 1])]);
    close(
        &answers(&turned, &[ROWS])[1],
        &[3.0, 60.0, 6.0, 80.0, 5.0, 60.0],
    );
    let backwards = scan(vec![ints("scan_output_directions", &[1])]);
    close(
        &answers(&backwards, &[ROWS])[1],
        &[15.0, 180.0, 6.0, 80.0, 1.0, 20.0],
    );
    for axis in [1, -1] {
        let columns = scan(vec![ints("scan_output_axes", &[axis])]);
        close(
            &answers(&columns, &[ROWS])[1],
            &[1.0, 6.0, 15.0, 20.0, 80.0, 180.0],
        );
    }
    for (attribute, expected) in [
        (ints("scan_input_axes", &[0]), "expected 2"),
        (ints("scan_input_axes", &[0, 1]), "differ in length"),
        (ints("scan_input_axes", &[0, 2]), "axis 2"),
        (ints("scan_output_axes", &[3]), "axis 3"),
    ] {
        assert_error(&refuse(&scan(vec![attribute])), "", expected);
    }
}

/// A loop inside of a loop inside of a branch, which all read the outermost names.
#[test]
fn graphs_inside_of_graphs() {
    let inner = vec![
        node("Mul", &["t", "x"], "u", vec![]),
        node("Identity", &["go2"], "go3", vec![]),
    ];
    let inner = graph("body", &["j", "go2", "t"], &["go3", "u"], vec![], inner);
    let outer = vec![
        several("Loop", &["two", "", "state"], &["v"], vec![inner]),
        node("Add", &["v", "x"], "next", vec![]),
        node("Identity", &["go"], "goes", vec![]),
    ];
    let outer = graph(
        "body",
        &["i", "go", "state"],
        &["goes", "next"],
        vec![],
        outer,
    );
    let then = vec![several("Loop", &["two", "", "x"], &["r"], vec![outer])];
    let otherwise = vec![node("Neg", &["x"], "e", vec![])];
    let nodes = vec![node(
        "If",
        &["c"],
        "y",
        vec![
            graph("then_branch", &[], &["r"], vec![scalar("two", 2)], then),
            graph("else_branch", &[], &["e"], vec![], otherwise),
        ],
    )];
    let of = |c: bool| model(17, &[2], vec![truth("c", c)], nodes.clone());
    let x: (&[usize], &[f32]) = (&[2], &[2.0, -1.0]);
    // s -> s x^2 + x, twice, from x.
    let twice = |x: f32| (x * x * x + x) * x * x + x;
    check(&of(true), &[x], &[twice(2.0), twice(-1.0)]);
    check(&of(false), &[x], &[-2.0, 1.0]);
}

/// What a node gives, added to floats or to integers: only one of them is of its kind.
#[test]
fn results_have_a_kind() {
    let learned = |op: &str, attributes: Vec<AttributeProto>| {
        let mut made = node(op, &["n"], "r", attributes);
        made.domain = "ai.onnx.ml".into();
        made
    };
    let topk = |outputs: [&str; 2]| several("TopK", &["x", "one"], &outputs, vec![]);
    let pool = several(
        "MaxPool",
        &["cube"],
        &["m", "r"],
        vec![ints("kernel_shape", &[1])],
    );
    let floats_of = [
        learned("Scaler", vec![numbers("scale", &[0.5])]),
        learned("Normalizer", vec![]),
        learned(
            "LinearRegressor",
            vec![numbers("coefficients", &[1.0, 1.0])],
        ),
        node("Cast", &["n"], "r", vec![int("to", 1)]),
        node("Relu", &["x"], "r", vec![]),
        topk(["r", "i"]),
        node("Softmax", &["x"], "r", vec![]),
        node("DequantizeLinear", &["n", "half"], "r", vec![]),
    ];
    let integers_of = [
        node("ArgMax", &["x"], "r", vec![]),
        node("OneHot", &["n", "one", "pair"], "r", vec![]),
        node("ArgMin", &["x"], "r", vec![]),
        node("Cast", &["x"], "r", vec![int("to", 7)]),
        node("Relu", &["n"], "r", vec![]),
        node("Abs", &["n"], "r", vec![]),
        node("ReduceSum", &["n"], "r", vec![]),
        node("Shape", &["n"], "r", vec![]),
        node("Size", &["n"], "r", vec![]),
        node("Gather", &["n", "one"], "r", vec![int("axis", 1)]),
        topk(["m", "r"]),
        pool,
    ];
    for (made, whole) in floats_of
        .iter()
        .map(|made| (made, false))
        .chain(integers_of.iter().map(|made| (made, true)))
    {
        for other in ["real", "whole"] {
            let nodes = vec![
                node("Unsqueeze", &["x", "last"], "cube", vec![]),
                made.clone(),
                node("Add", &["r", other], "y", vec![]),
            ];
            let constants = vec![
                list("one", &[1]),
                list("last", &[2]),
                list("pair", &[0, 1]),
                floats("half", &[], &[0.5]),
                floats("real", &[], &[0.5]),
                scalar("whole", 1),
            ];
            let mut model = taking(
                model(17, &[1, 2], constants, nodes),
                "n",
                DataType::Int64,
                &[1, 2],
            );
            model
                .opset_import
                .push(candle_onnx::onnx::OperatorSetIdProto {
                    domain: "ai.onnx.ml".into(),
                    version: 3,
                });
            let result = import(&encode(&model));
            let what = format!("{} plus {other}", made.op_type);
            if whole == (other == "whole") {
                assert!(result.is_ok(), "{what}: {result:?}");
            } else {
                assert_error(&result.expect_err(&what), "Shape", "cast one of them");
            }
        }
    }
}
