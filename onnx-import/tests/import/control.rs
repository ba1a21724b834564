//! Control flow, sequences, and constants out of constants.

use candle_onnx::onnx::tensor_proto::DataType;
use candle_onnx::onnx::{ModelProto, NodeProto, TensorProto};
use ndarray::ArrayD;
use zkstrata_onnx_import::import;

use crate::build::{
    encode, floats, giving, graph, int, integer, ints, list, model, node, number, several, string,
    taking, truth,
};
use crate::common;
use crate::refusals::{assert_error, refuse};

/// The outputs on several inputs, each with its shape.
pub(crate) fn answers(model: &ModelProto, inputs: &[(&[usize], &[f32])]) -> Vec<Vec<f32>> {
    let graph = import(&encode(model)).unwrap_or_else(|e| panic!("{e}"));
    let array = |(shape, cells): &(&[usize], &[f32])| {
        ArrayD::from_shape_vec(*shape, cells.to_vec()).expect("as many cells")
    };
    let inputs: Vec<_> = inputs.iter().map(array).collect();
    let outputs = common::run(&graph, &inputs);
    outputs
        .iter()
        .map(|y| y.iter().copied().collect())
        .collect()
}

#[track_caller]
pub(crate) fn check(model: &ModelProto, inputs: &[(&[usize], &[f32])], expected: &[f32]) {
    close(&answers(model, inputs)[0], expected);
}

#[track_caller]
pub(crate) fn close(got: &[f32], expected: &[f32]) {
    assert_eq!(got.len(), expected.len(), "{got:?}");
    for (g, e) in got.iter().zip(expected) {
        let near = (g - e).abs() <= 1e-5 * e.abs().max(1.0);
        assert!(near, "{got:?}, expected {expected:?}");
    }
}

/// `If` on `c`: twice the input, or what an operator that is not imported makes of it.
fn branches(condition: &[NodeProto], constants: Vec<TensorProto>) -> ModelProto {
    let twice = vec![node("Add", &["x", "x"], "t", vec![])];
    let unknown = vec![node("NonMaxSuppression", &["x"], "e", vec![])];
    let taken = node(
        "If",
        &["c"],
        "y",
        vec![
            graph("then_branch", &[], &["t"], vec![], twice),
            graph("else_branch", &[], &["e"], vec![], unknown),
        ],
    );
    let nodes = [condition, &[taken]].concat();
    model(17, &[3], constants, nodes)
}

#[test]
fn a_constant_condition_takes_its_branch() {
    let x: (&[usize], &[f32]) = (&[3], &[1.0, -2.0, 3.0]);
    check(
        &branches(&[], vec![truth("c", true)]),
        &[x],
        &[2.0, -4.0, 6.0],
    );
    // The condition is folded from the input's shape.
    let condition = [
        node("Shape", &["x"], "s", vec![]),
        node("Equal", &["s", "three"], "c", vec![]),
    ];
    check(
        &branches(&condition, vec![list("three", &[3])]),
        &[x],
        &[2.0, -4.0, 6.0],
    );
    let other = branches(&[], vec![truth("c", false)]);
    assert_error(&refuse(&other), "UnsupportedOperator", "NonMaxSuppression");
}

/// What only a branch that is not taken reads need not be importable either; names of a branch
/// hide those around it, and constants of a branch are its own.
#[test]
fn branches_have_scopes() {
    let then = vec![
        node("Mul", &["v", "k"], "w", vec![]),
        node("Identity", &["w"], "out", vec![]),
    ];
    let otherwise = vec![node("Identity", &["lost"], "out", vec![])];
    let nodes = vec![
        node("NonMaxSuppression", &["x"], "lost", vec![]),
        node("Neg", &["x"], "v", vec![]),
        node(
            "If",
            &["c"],
            "z",
            vec![
                graph(
                    "then_branch",
                    &[],
                    &["out"],
                    vec![floats("k", &[1], &[3.0])],
                    then,
                ),
                graph("else_branch", &[], &["out"], vec![], otherwise),
            ],
        ),
        node("Add", &["z", "k"], "y", vec![]),
    ];
    let constants = vec![truth("c", true), floats("k", &[1], &[10.0])];
    let scoped = model(17, &[2], constants, nodes);
    check(&scoped, &[(&[2], &[1.0, 2.0])], &[7.0, 4.0]);
    let mut missing = scoped;
    if let Some(graph) = &mut missing.graph {
        graph.node.remove(1);
    }
    assert_error(&refuse(&missing), "MissingInitializer", "`v`");
}

#[test]
fn a_condition_on_data_chooses_between_both_branches() {
    let chosen = |otherwise: Vec<NodeProto>| {
        let then = vec![node("Neg", &["x"], "t", vec![])];
        let nodes = vec![
            node("ReduceSum", &["x"], "s", vec![int("keepdims", 0)]),
            node("Greater", &["s", "zero"], "c", vec![]),
            node(
                "If",
                &["c"],
                "y",
                vec![
                    graph("then_branch", &[], &["t"], vec![], then),
                    graph("else_branch", &[], &["e"], vec![], otherwise),
                ],
            ),
        ];
        model(13, &[2], vec![floats("zero", &[], &[0.0])], nodes)
    };
    let same = chosen(vec![node("Add", &["x", "x"], "e", vec![])]);
    check(&same, &[(&[2], &[1.0, 2.0])], &[-1.0, -2.0]);
    check(&same, &[(&[2], &[1.0, -2.0])], &[2.0, -4.0]);
    let other = chosen(vec![node("ReduceSum", &["x"], "e", vec![])]);
    assert_error(&refuse(&other), "UnsupportedOperator", "--constant");
}

#[test]
fn loops_are_unrolled() {
    let body = vec![
        node("Add", &["s", "x"], "next", vec![]),
        node("Identity", &["go"], "goes", vec![]),
        node("Cast", &["i"], "f", vec![int("to", 1)]),
        node("Mul", &["next", "f"], "shown", vec![]),
    ];
    let body = graph(
        "body",
        &["i", "go", "s"],
        &["goes", "next", "shown"],
        vec![],
        body,
    );
    let repeat = several("Loop", &["n", "", "start"], &["last", "all"], vec![body]);
    let constants = vec![integer("n", 3), floats("start", &[2], &[10.0, 20.0])];
    let repeated = giving(model(17, &[2], constants, vec![repeat]), &["last", "all"]);
    let got = answers(&repeated, &[(&[2], &[1.0, 2.0])]);
    close(&got[0], &[13.0, 26.0]);
    close(&got[1], &[0.0, 0.0, 12.0, 24.0, 26.0, 52.0]);
}

/// Running sums of the rows, backwards, stacked along the last axis.
#[test]
fn scans_are_unrolled() {
    let body = vec![
        node("Add", &["s", "row"], "next", vec![]),
        node("Identity", &["next"], "shown", vec![]),
    ];
    let body = graph("body", &["s", "row"], &["next", "shown"], vec![], body);
    let attributes = vec![
        body,
        int("num_scan_inputs", 1),
        ints("scan_input_directions", &[1]),
        ints("scan_output_axes", &[1]),
    ];
    let scan = several("Scan", &["zero", "x"], &["last", "all"], attributes);
    let constants = vec![floats("zero", &[2], &[0.0, 0.0])];
    let scanned = giving(model(11, &[3, 2], constants, vec![scan]), &["last", "all"]);
    let got = answers(&scanned, &[(&[3, 2], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])]);
    close(&got[0], &[9.0, 12.0]);
    close(&got[1], &[5.0, 8.0, 9.0, 6.0, 10.0, 12.0]);
}

#[test]
fn unrolling_is_bounded() {
    let forever = |inner: Vec<NodeProto>| {
        let body = [inner, vec![node("Identity", &["s"], "next", vec![])]].concat();
        let body = graph("body", &["i", "go", "s"], &["go", "next"], vec![], body);
        several("Loop", &["", "", "x"], &["y"], vec![body])
    };
    let endless = model(17, &[2], vec![], vec![forever(vec![])]);
    assert_error(&refuse(&endless), "TooLarge", "unrolled loops");
    let parts = node("SplitToSequence", &["x"], "s", vec![]);
    let count = node("SequenceLength", &["s"], "y", vec![]);
    let many = model(17, &[1 << 30], vec![], vec![parts, count]);
    assert_error(&refuse(&many), "TooLarge", "parts of tensors");
    let condition = vec![
        node("ReduceMax", &["s"], "most", vec![int("keepdims", 0)]),
        node("Cast", &["most"], "goes", vec![int("to", 9)]),
        node("Identity", &["s"], "next", vec![]),
    ];
    let body = graph(
        "body",
        &["i", "go", "s"],
        &["goes", "next"],
        vec![],
        condition,
    );
    let data = several("Loop", &["", "", "x"], &["y"], vec![body]);
    let data = model(17, &[2], vec![], vec![data]);
    assert_error(&refuse(&data), "UnsupportedOperator", "number of steps");
}

#[test]
fn sequences_are_lists() {
    let x: (&[usize], &[f32]) = (&[3, 2], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let one = |nodes: Vec<NodeProto>| model(17, &[3, 2], vec![integer("i", -2)], nodes);
    let parts = || node("SplitToSequence", &["x"], "s", vec![int("keepdims", 0)]);
    let at = one(vec![parts(), node("SequenceAt", &["s", "i"], "y", vec![])]);
    check(&at, &[x], &[3.0, 4.0]);
    let stacked = vec![int("axis", 1), int("new_axis", 1)];
    let joined = one(vec![
        parts(),
        node("SequenceErase", &["s", "i"], "fewer", vec![]),
        node("SequenceAt", &["s", "i"], "middle", vec![]),
        node("SequenceInsert", &["fewer", "middle"], "again", vec![]),
        node("Identity", &["again"], "same", vec![]),
        node("ConcatFromSequence", &["same"], "y", stacked),
    ]);
    check(&joined, &[x], &[1.0, 5.0, 3.0, 2.0, 6.0, 4.0]);
    let counted = one(vec![
        node("SequenceConstruct", &["x", "x"], "s", vec![]),
        node("SequenceLength", &["s"], "n", vec![]),
        node("Cast", &["n"], "f", vec![int("to", 1)]),
        node("Mul", &["x", "f"], "y", vec![]),
    ]);
    check(&counted, &[x], &[2.0, 4.0, 6.0, 8.0, 10.0, 12.0]);
    let read = one(vec![parts(), node("Relu", &["s"], "y", vec![])]);
    assert_error(&refuse(&read), "UnsupportedOperator", "ConcatFromSequence");
    assert_error(
        &refuse(&giving(one(vec![parts()]), &["s"])),
        "Shape",
        "sequence",
    );
}

#[test]
fn constants_of_signal_processing() {
    let times = |op: &str, attributes: Vec<_>| {
        let nodes = vec![
            node(op, &["n"], "w", attributes),
            node("Mul", &["x", "w"], "y", vec![]),
        ];
        model(17, &[4], vec![integer("n", 4)], nodes)
    };
    let ones: (&[usize], &[f32]) = (&[4], &[1.0; 4]);
    check(&times("HannWindow", vec![]), &[ones], &[0.0, 0.5, 1.0, 0.5]);
    let symmetric = times("HannWindow", vec![int("periodic", 0)]);
    check(&symmetric, &[ones], &[0.0, 0.75, 0.75, 0.0]);
    let (low, half) = (4.0 / 46.0, 25.0 / 46.0);
    check(
        &times("HammingWindow", vec![]),
        &[ones],
        &[low, half, 1.0, half],
    );
    check(
        &times("BlackmanWindow", vec![]),
        &[ones],
        &[0.0, 0.34, 1.0, 0.34],
    );
    let range = vec![
        node("Range", &["a", "b", "d"], "r", vec![]),
        node("Add", &["x", "r"], "y", vec![]),
    ];
    let ends = vec![
        floats("a", &[], &[0.5]),
        floats("b", &[], &[2.1]),
        floats("d", &[], &[0.5]),
    ];
    let range = model(17, &[4], ends, range);
    check(&range, &[(&[4], &[0.0; 4])], &[0.5, 1.0, 1.5, 2.0]);
    let mel = vec![
        node(
            "MelWeightMatrix",
            &["n", "length", "rate", "lo", "hi"],
            "m",
            vec![],
        ),
        node("MatMul", &["x", "m"], "y", vec![]),
    ];
    let constants = vec![
        integer("n", 2),
        integer("length", 6),
        integer("rate", 700),
        floats("lo", &[], &[0.0]),
        floats("hi", &[], &[350.0]),
    ];
    // Edges at 0, 0, 1 and 2 of the 4 frequencies.
    let mel = model(17, &[4, 4], constants, mel);
    let identity: Vec<f32> = (0..16).map(|i| f32::from(i % 5 == 0)).collect();
    let got = &answers(&mel, &[(&[4, 4], &identity)])[0];
    close(got, &[1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
}

#[test]
fn what_is_empty_disappears() {
    let nodes = vec![
        node("Slice", &["x", "two", "two", "one"], "none", vec![]),
        node("Concat", &["x", "none"], "y", vec![int("axis", 1)]),
    ];
    let constants = vec![list("two", &[2]), list("one", &[1])];
    let joined = model(13, &[1, 3], constants, nodes);
    check(&joined, &[(&[1, 3], &[1.0, 2.0, 3.0])], &[1.0, 2.0, 3.0]);
}

#[test]
fn grids_and_old_operators() {
    let grid = |mode: &str, padding: &str, cells: &[f32]| {
        let attributes = vec![string("mode", mode), string("padding_mode", padding)];
        let made = node("GridSample", &["x", "g"], "y", attributes);
        let n = cells.len() as i64 / 2;
        model(
            16,
            &[1, 1, 2, 2],
            vec![floats("g", &[1, 1, n, 2], cells)],
            vec![made],
        )
    };
    let x: (&[usize], &[f32]) = (&[1, 1, 2, 2], &[1.0, 2.0, 3.0, 4.0]);
    // The centre, a corner, and outside of the image.
    let cells = [0.0, 0.0, -1.0, -1.0, 0.5, -3.0];
    check(&grid("bilinear", "zeros", &cells), &[x], &[2.5, 0.25, 0.0]);
    check(&grid("bilinear", "border", &cells), &[x], &[2.5, 1.0, 2.0]);
    check(
        &grid("nearest", "reflection", &cells[2..]),
        &[x],
        &[1.0, 4.0],
    );
    let moving = node("GridSample", &["x", "x"], "y", vec![]);
    let moving = model(16, &[1, 1, 2, 2], vec![], vec![moving]);
    assert_error(
        &refuse(&moving),
        "UnsupportedOperator",
        "outside of the model",
    );

    let scatter = node("Scatter", &["x", "i", "u"], "y", vec![int("axis", 0)]);
    let constants = vec![list("i", &[2, 0]), floats("u", &[2], &[7.0, 8.0])];
    let scatter = model(9, &[3], constants, vec![scatter]);
    check(&scatter, &[(&[3], &[1.0, 2.0, 3.0])], &[8.0, 2.0, 7.0]);

    let statistics = |cells: &[f32]| floats("p", &[2, 1], cells);
    let each = node(
        "BatchNormalization",
        &["x", "p", "p", "p", "p"],
        "y",
        vec![int("spatial", 0), number("epsilon", 0.0)],
    );
    let each = model(7, &[1, 2, 1], vec![statistics(&[1.0, 4.0])], vec![each]);
    check(&each, &[(&[1, 2, 1], &[3.0, 5.0])], &[3.0, 6.0]);

    let window = vec![ints("kernel_shape", &[2, 2]), ints("strides", &[2, 2])];
    let pooled = several("MaxPool", &["x"], &["p", "i"], window.clone());
    let back = node("MaxUnpool", &["p", "i"], "y", window);
    let unpooled = model(17, &[1, 1, 2, 4], vec![], vec![pooled, back]);
    let x: (&[usize], &[f32]) = (&[1, 1, 2, 4], &[1.0, 5.0, 2.0, 3.0, 4.0, 0.0, 9.0, 8.0]);
    check(&unpooled, &[x], &[0.0, 5.0, 0.0, 0.0, 0.0, 0.0, 9.0, 0.0]);
}

/// The coordinates of ONNX's reference are not everybody's.
#[test]
fn disputed_coordinates_are_noted() {
    let resized = |scale: f32| {
        let attributes = vec![
            string("coordinate_transformation_mode", "align_corners"),
            string("mode", "linear"),
        ];
        let made = node("Resize", &["x", "", "s"], "y", attributes);
        let model = model(
            13,
            &[1, 4],
            vec![floats("s", &[2], &[1.0, scale])],
            vec![made],
        );
        import(&encode(&model)).expect("a model").notes().join("")
    };
    assert!(resized(1.7).contains("onnxruntime"), "{}", resized(1.7));
    assert_eq!(resized(1.5), "");
}

/// Windows of more taps than are compared at once, with padding and strides.
#[test]
fn pools_of_any_size() {
    let n = 100_usize;
    let cells: Vec<f32> = (0..n).map(|i| ((i * 37) % 101) as f32).collect();
    let most = |range: std::ops::Range<usize>| cells[range].iter().copied().fold(0.0, f32::max);
    let x: (&[usize], &[f32]) = (&[1, 1, 100], &cells);
    let shape = [1, 1, n as i64];
    let all = model(
        17,
        &shape,
        vec![],
        vec![node("GlobalMaxPool", &["x"], "y", vec![])],
    );
    check(&all, &[x], &[most(0..n)]);
    let attributes = vec![
        ints("kernel_shape", &[80]),
        ints("strides", &[30]),
        ints("pads", &[10, 20]),
    ];
    let some = model(
        17,
        &shape,
        vec![],
        vec![node("MaxPool", &["x"], "y", attributes)],
    );
    check(&some, &[x], &[most(0..70), most(20..n)]);
}

/// A sequence that ends early keeps its state and shows nothing more.
#[test]
fn sequences_of_different_lengths() {
    let rnn = |direction: &str| {
        let attributes = vec![
            int("hidden_size", 1),
            string("direction", direction),
            crate::build::strings("activations", &["Affine"]),
            crate::build::numbers("activation_alpha", &[1.0]),
            crate::build::numbers("activation_beta", &[0.0]),
        ];
        let made = several(
            "RNN",
            &["x", "w", "r", "", "n"],
            &["all", "last"],
            attributes,
        );
        let lengths = TensorProto {
            data_type: DataType::Int32 as i32,
            int32_data: vec![3, 1],
            int64_data: vec![],
            ..list("n", &[3, 1])
        };
        let one = |name: &str| floats(name, &[1, 1, 1], &[1.0]);
        let constants = vec![one("w"), one("r"), lengths];
        giving(
            model(14, &[3, 2, 1], constants, vec![made]),
            &["all", "last"],
        )
    };
    let x: (&[usize], &[f32]) = (&[3, 2, 1], &[1.0, 10.0, 2.0, 20.0, 3.0, 30.0]);
    let got = answers(&rnn("forward"), &[x]);
    close(&got[0], &[1.0, 10.0, 3.0, 0.0, 6.0, 0.0]);
    close(&got[1], &[6.0, 10.0]);
    let got = answers(&rnn("reverse"), &[x]);
    close(&got[0], &[6.0, 10.0, 5.0, 0.0, 3.0, 0.0]);
    close(&got[1], &[6.0, 10.0]);
}

#[test]
fn nested_graphs_read_all_scopes() {
    let inner = vec![node("Add", &["x", "k"], "t", vec![])];
    let other = vec![node("Identity", &["x"], "e", vec![])];
    let both = vec![
        graph("then_branch", &[], &["t"], vec![], inner),
        graph("else_branch", &[], &["e"], vec![], other),
    ];
    let outer = vec![node("If", &["c"], "u", both)];
    let otherwise = vec![node("Identity", &["x"], "e", vec![])];
    let attributes = vec![
        graph(
            "then_branch",
            &[],
            &["u"],
            vec![floats("k", &[1], &[5.0])],
            outer,
        ),
        graph("else_branch", &[], &["e"], vec![], otherwise),
    ];
    let nested = model(
        17,
        &[1],
        vec![truth("c", true)],
        vec![node("If", &["c"], "y", attributes)],
    );
    check(&nested, &[(&[1], &[1.0])], &[6.0]);
    let free = taking(nested, "unused", DataType::Float, &[1]);
    assert_eq!(answers(&free, &[(&[1], &[1.0]), (&[1], &[0.0])])[0], [6.0]);
}
