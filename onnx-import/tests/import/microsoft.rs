//! Operators of onnxruntime's own: each gives what the standard operators that it stands for give.

use candle_onnx::onnx::tensor_proto::DataType;
use candle_onnx::onnx::{AttributeProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto};
use ndarray::ArrayD;
use zkstrata_onnx_import::import;

use crate::build::{
    encode, floats, giving, int, ints, list, microsoft, model, node, number, numbers, several,
    string, taking, weights,
};
use crate::common;
use crate::control::{check, close};
use crate::refusals::{assert_error, refuse};

/// A model with operators of both domains.
fn mixed(x: &[i64], constants: Vec<TensorProto>, nodes: Vec<NodeProto>) -> ModelProto {
    let mut model = model(23, x, constants, nodes);
    model.opset_import.push(OperatorSetIdProto {
        domain: "com.microsoft".into(),
        version: 1,
    });
    model
}

/// The outputs for inputs whose cells differ.
fn answers(model: &ModelProto) -> Vec<Vec<f32>> {
    let graph = import(&encode(model)).unwrap_or_else(|e| panic!("{e}"));
    let shapes = graph.inputs().map(|v| graph.nodes()[v.0].shape.clone());
    let inputs: Vec<ArrayD<f32>> = shapes
        .map(|shape| {
            let mut i = 0;
            ArrayD::from_shape_simple_fn(shape, || {
                i += 1;
                ((i * 29 + 7) % 17) as f32 / 8.0 - 1.0
            })
        })
        .collect();
    let outputs = common::run(&graph, &inputs);
    outputs
        .iter()
        .map(|y| y.iter().copied().collect())
        .collect()
}

/// Checks that a joined operator gives what several standard ones give.
#[track_caller]
fn same(x: &[i64], constants: &[TensorProto], joined: NodeProto, spelled: Vec<NodeProto>) {
    let joined = answers(&mixed(x, constants.to_vec(), vec![joined]));
    let spelled = answers(&mixed(x, constants.to_vec(), spelled));
    close(&joined[0], &spelled[0]);
}

#[test]
fn layers_with_their_activations() {
    let window = || vec![ints("pads", &[1, 1, 1, 1])];
    let constants = [
        weights("w", &[2, 1, 3, 3]),
        weights("b", &[2]),
        weights("z", &[1, 2, 4, 4]),
    ];
    let clip = [
        window(),
        vec![
            string("activation", "Clip"),
            numbers("activation_params", &[-0.5, 0.25]),
        ],
    ];
    let bounds = [floats("lo", &[], &[-0.5]), floats("hi", &[], &[0.25])];
    same(
        &[1, 1, 4, 4],
        &[&constants[..], &bounds].concat(),
        microsoft("FusedConv", &["x", "w", "b", "z"], "y", clip.concat()),
        vec![
            node("Conv", &["x", "w", "b"], "c", window()),
            node("Add", &["c", "z"], "s", vec![]),
            node("Clip", &["s", "lo", "hi"], "y", vec![]),
        ],
    );
    let leaky = vec![
        int("transB", 1),
        string("activation", "LeakyRelu"),
        number("activation_alpha", 0.25),
    ];
    same(
        &[3, 4],
        &[weights("w", &[5, 4]), weights("b", &[5])],
        microsoft("FusedGemm", &["x", "w", "b"], "y", leaky),
        vec![
            node("Gemm", &["x", "w", "b"], "g", vec![int("transB", 1)]),
            node("LeakyRelu", &["g"], "y", vec![number("alpha", 0.25)]),
        ],
    );
    let scaled = vec![int("transB", 1), number("alpha", 0.5)];
    same(
        &[2, 3, 4],
        &[floats("half", &[], &[0.5])],
        microsoft("FusedMatMul", &["x", "x"], "y", scaled),
        vec![
            node("Transpose", &["x"], "t", vec![ints("perm", &[0, 2, 1])]),
            node("MatMul", &["x", "t"], "m", vec![]),
            node("Mul", &["m", "half"], "y", vec![]),
        ],
    );
    let unknown = vec![string("activation", "Swirl")];
    let unknown = microsoft("FusedConv", &["x", "w", "b"], "y", unknown);
    let unknown = mixed(&[1, 1, 4, 4], constants.to_vec(), vec![unknown]);
    assert_error(&refuse(&unknown), "UnsupportedOperator", "Swirl");
}

#[test]
fn curves() {
    let bias = [weights("b", &[4])];
    let sum = || node("Add", &["x", "b"], "s", vec![]);
    let tanh = || vec![string("approximate", "tanh")];
    for (joined, spelled) in [
        ("BiasGelu", node("Gelu", &["s"], "y", vec![])),
        ("FastGelu", node("Gelu", &["s"], "y", tanh())),
    ] {
        let joined = microsoft(joined, &["x", "b"], "y", vec![]);
        same(&[3, 4], &bias, joined, vec![sum(), spelled]);
    }
    let gelu = microsoft("Gelu", &["x"], "y", vec![]);
    same(&[3, 4], &[], gelu, vec![node("Gelu", &["x"], "y", vec![])]);
    let quick = microsoft("QuickGelu", &["x"], "y", vec![number("alpha", 2.0)]);
    let factor = [floats("two", &[], &[2.0])];
    same(
        &[3, 4],
        &factor,
        quick,
        vec![
            node("Mul", &["x", "two"], "t", vec![]),
            node("Sigmoid", &["t"], "s", vec![]),
            node("Mul", &["x", "s"], "y", vec![]),
        ],
    );
}

#[test]
fn residual_sums_and_their_normalisation() {
    let constants = [
        weights("k", &[2, 3, 4]),
        weights("g", &[4]),
        weights("b", &[4]),
        weights("c", &[4]),
    ];
    let sums = || {
        vec![
            node("Add", &["x", "k"], "s", vec![]),
            node("Add", &["s", "c"], "t", vec![]),
        ]
    };
    let small = || vec![number("epsilon", 1e-3)];
    let joined = microsoft(
        "SkipLayerNormalization",
        &["x", "k", "g", "b", "c"],
        "y",
        small(),
    );
    let layer = node("LayerNormalization", &["t", "g", "b"], "y", small());
    same(
        &[2, 3, 4],
        &constants,
        joined,
        [sums(), vec![layer]].concat(),
    );
    let root = || node("RMSNormalization", &["t", "g"], "y", small());
    let operands = ["x", "k", "g", "c"];
    let joined = microsoft("SkipSimplifiedLayerNormalization", &operands, "y", small());
    same(
        &[2, 3, 4],
        &constants,
        joined.clone(),
        [sums(), vec![root()]].concat(),
    );
    let mut shown = joined;
    shown.output = ["y", "", "", "t"].map(String::from).to_vec();
    let joined = giving(mixed(&[2, 3, 4], constants.to_vec(), vec![shown]), &["t"]);
    let spelled = giving(mixed(&[2, 3, 4], constants.to_vec(), sums()), &["t"]);
    close(&answers(&joined)[0], &answers(&spelled)[0]);
    let simplified = node("SimplifiedLayerNormalization", &["x", "g"], "y", small());
    let root = node("RMSNormalization", &["x", "g"], "y", small());
    same(&[2, 3, 4], &constants, simplified, vec![root]);
    let tables = [
        list("ids", &[2, 0, 1]),
        weights("words", &[4, 4]),
        weights("places", &[5, 4]),
        weights("g", &[4]),
        weights("b", &[4]),
        list("row", &[1, 3]),
        list("first", &[0, 1, 2]),
    ];
    let embedded = |made: Vec<NodeProto>| {
        let nodes = [
            vec![node("Reshape", &["ids", "row"], "i", vec![])],
            made,
            vec![node("Add", &["x", "e"], "y", vec![])],
        ];
        answers(&mixed(&[1, 3, 4], tables.to_vec(), nodes.concat()))
    };
    let operands = ["i", "", "words", "places", "", "g", "b"];
    let joined = microsoft("EmbedLayerNormalization", &operands, "e", small());
    let spelled = vec![
        node("Gather", &["words", "i"], "w", vec![]),
        node("Gather", &["places", "first"], "p", vec![]),
        node("Add", &["w", "p"], "s", vec![]),
        node("LayerNormalization", &["s", "g", "b"], "e", small()),
    ];
    close(&embedded(vec![joined])[0], &embedded(spelled)[0]);
}

#[test]
fn attention_with_its_projections() {
    let constants = [
        weights("w", &[4, 12]),
        weights("b", &[12]),
        list("thirds", &[4, 4, 4]),
    ];
    let heads = || vec![int("q_num_heads", 2), int("kv_num_heads", 2)];
    let causal = |mut attributes: Vec<AttributeProto>| {
        attributes.push(int("is_causal", 1));
        attributes
    };
    let parts = vec![
        node("MatMul", &["x", "w"], "m", vec![]),
        node("Add", &["m", "b"], "all", vec![]),
        several(
            "Split",
            &["all", "thirds"],
            &["q", "k", "v"],
            vec![int("axis", -1)],
        ),
    ];
    let attributes = vec![int("num_heads", 2), int("unidirectional", 1)];
    let joined = microsoft("Attention", &["x", "w", "b"], "y", attributes);
    let spelled = node("Attention", &["q", "k", "v"], "y", causal(heads()));
    same(
        &[1, 3, 4],
        &constants,
        joined,
        [parts, vec![spelled]].concat(),
    );
    let mask = |made: NodeProto| {
        let model = mixed(&[1, 3, 4], constants.to_vec(), vec![made]);
        taking(model, "n", DataType::Int32, &[1, 3])
    };
    let operands = ["x", "w", "b", "n"];
    let padded = mask(microsoft(
        "Attention",
        &operands,
        "y",
        vec![int("num_heads", 2)],
    ));
    let graph = import(&encode(&padded)).expect("a model");
    let x = ArrayD::from_shape_fn(vec![1, 3, 4], |at| (at[1] * 4 + at[2]) as f32 / 8.0);
    let n = ArrayD::from_shape_vec(vec![1, 3], vec![1.0, 0.0, 0.0]).expect("three");
    let all = &common::run(&graph, &[x, n])[0];
    // Only the first key counts: each query gets its values.
    let rows: Vec<_> = all.rows().into_iter().collect();
    assert!(rows.iter().all(|row| row == rows[0]), "{all:?}");
    let biased = microsoft(
        "MultiHeadAttention",
        &["x", "x", "x", "b"],
        "y",
        vec![int("num_heads", 2)],
    );
    same(
        &[1, 3, 4],
        &constants,
        biased,
        vec![
            several(
                "Split",
                &["b", "thirds"],
                &["bq", "bk", "bv"],
                vec![int("axis", 0)],
            ),
            node("Add", &["x", "bq"], "q", vec![]),
            node("Add", &["x", "bk"], "k", vec![]),
            node("Add", &["x", "bv"], "v", vec![]),
            node("Attention", &["q", "k", "v"], "y", heads()),
        ],
    );
    let packed = microsoft("MultiHeadAttention", &["x"], "y", vec![int("num_heads", 2)]);
    let packed = mixed(&[1, 3, 4], vec![], vec![packed]);
    assert_error(&refuse(&packed), "UnsupportedOperator", "packed");
}

/// A tensor of bytes.
fn bytes(name: &str, shape: &[i64], cells: &[i32], data_type: DataType) -> TensorProto {
    TensorProto {
        name: name.into(),
        dims: shape.to_vec(),
        data_type: data_type as i32,
        int32_data: cells.to_vec(),
        ..TensorProto::default()
    }
}

/// Products in steps of an unknown scale are the products of the real numbers.
#[test]
fn products_quantised_by_their_own_range() {
    let constants = [
        bytes("w", &[2, 2], &[1, -2, 3, 4], DataType::Int8),
        bytes("wz", &[], &[1], DataType::Int8),
        floats("ws", &[], &[0.5]),
        floats("b", &[2], &[10.0, 20.0]),
    ];
    let steps = || several("DynamicQuantizeLinear", &["x"], &["q", "s", "z"], vec![]);
    let spelled = vec![
        steps(),
        node("MatMulInteger", &["q", "w", "z", "wz"], "m", vec![]),
        node("Cast", &["m"], "f", vec![int("to", 1)]),
        node("Mul", &["s", "ws"], "scale", vec![]),
        node("Mul", &["f", "scale"], "p", vec![]),
        node("Add", &["p", "b"], "y", vec![]),
    ];
    let x: (&[usize], &[f32]) = (&[1, 2], &[2.0, -1.0]);
    let expected = [9.0, 15.5];
    let of = |nodes: Vec<NodeProto>| mixed(&[1, 2], constants.to_vec(), nodes);
    let product = of(spelled);
    check(&product, &[x], &expected);
    let notes = import(&encode(&product))
        .expect("a model")
        .notes()
        .join("\n");
    assert!(notes.contains("8 bits"), "{notes}");
    let operands = ["q", "w", "s", "ws", "z", "wz", "b"];
    let joined = vec![
        steps(),
        microsoft("MatMulIntegerToFloat", &operands, "y", vec![]),
    ];
    check(&of(joined), &[x], &expected);
    let operands = ["x", "w", "ws", "wz", "b"];
    let joined = microsoft("DynamicQuantizeMatMul", &operands, "y", vec![]);
    check(&of(vec![joined]), &[x], &expected);
    let back = node("DequantizeLinear", &["q", "s", "z"], "y", vec![]);
    check(&of(vec![steps(), back]), &[x], x.1);
    for wrong in [
        vec![node("MatMulInteger", &["q", "w", "z", "wz"], "y", vec![])],
        vec![node("Mul", &["x", "s"], "y", vec![])],
    ] {
        let error = refuse(&of([vec![steps()], wrong].concat()));
        assert_error(&error, "Shape", "depends on the input");
    }
    let steps_alone = vec![steps(), node("Relu", &["q"], "y", vec![])];
    assert_error(
        &refuse(&of(steps_alone)),
        "UnsupportedOperator",
        "statically",
    );
}

#[test]
fn recurrent_layers_with_weights_of_bytes() {
    let cells: Vec<i32> = (0..16).map(|i| (i * 5 + 3) % 16 - 8).collect();
    let scaled = |transposed: bool, scale: f32| -> Vec<f32> {
        let at = |i: usize| if transposed { i % 2 * 8 + i / 2 } else { i };
        (0..16)
            .map(|i| (cells[at(i)] as f32 - 1.0) * scale)
            .collect()
    };
    let constants = [
        bytes("w", &[1, 2, 8], &cells, DataType::Int8),
        bytes("wz", &[1], &[1], DataType::Int8),
        floats("ws", &[1], &[0.125]),
        floats("rs", &[1], &[0.0625]),
        floats("fw", &[1, 8, 2], &scaled(true, 0.125)),
        floats("fr", &[1, 8, 2], &scaled(true, 0.0625)),
        weights("b", &[1, 16]),
    ];
    let operands = ["x", "w", "w", "b", "", "", "", "", "ws", "wz", "rs", "wz"];
    let hidden = || vec![int("hidden_size", 2)];
    same(
        &[3, 1, 2],
        &constants,
        microsoft("DynamicQuantizeLSTM", &operands, "y", hidden()),
        vec![node("LSTM", &["x", "fw", "fr", "b"], "y", hidden())],
    );
    let flat = [bytes("w", &[1, 1, 2, 8], &cells, DataType::Int8)];
    let constants = [&flat, &constants[1..]].concat();
    let flat = microsoft("DynamicQuantizeLSTM", &operands, "y", hidden());
    let flat = mixed(&[3, 1, 2], constants, vec![flat]);
    assert_error(&refuse(&flat), "Shape", "three axes");
}

#[test]
fn integers_of_16_bits() {
    let constants = vec![
        floats("s", &[], &[0.25]),
        bytes("z", &[], &[1000], DataType::Uint16),
    ];
    let nodes = vec![
        microsoft("QuantizeLinear", &["x", "s", "z"], "q", vec![]),
        microsoft("DequantizeLinear", &["q", "s", "z"], "y", vec![]),
    ];
    let quantised = mixed(&[3], constants, nodes);
    check(
        &quantised,
        &[(&[3], &[1.3, -2.0, -999.0])],
        &[1.25, -2.0, -250.0],
    );
}
