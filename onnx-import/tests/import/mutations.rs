//! Damaged models: the importer returns, without a panic, and soon.

use std::time::{Duration, Instant};

use candle_onnx::onnx::{ModelProto, OperatorSetIdProto};
use rand::{Rng, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;
use zkstrata_model_ir::float::Graph;
use zkstrata_onnx_import::{Error, import, summary};

use crate::build::{
    encode, floats, graph, int, integer, ints, list, microsoft, model, node, number, several,
    string, truth, weights,
};
use crate::common;

/// Numbers that break careless arithmetic.
const EXTREME: [i64; 10] = [
    0,
    -1,
    1,
    2,
    1 << 20,
    1 << 31,
    1 << 40,
    i64::MAX,
    i64::MIN,
    i64::MIN + 1,
];

/// No import may take longer, even on a busy machine.
const SOON: Duration = Duration::from_secs(20);

/// A model with an operator of every family.
fn sample() -> ModelProto {
    let pool = vec![
        ints("kernel_shape", &[2, 2]),
        ints("strides", &[2, 1]),
        int("ceil_mode", 1),
        ints("pads", &[1, 0, 0, 1]),
    ];
    let conv = vec![
        ints("pads", &[1, 1, 1, 1]),
        ints("dilations", &[1, 1]),
        int("group", 1),
        string("auto_pad", "NOTSET"),
    ];
    let nodes = vec![
        node("Conv", &["x", "k", "b"], "a0", conv),
        node(
            "BatchNormalization",
            &["a0", "b", "b", "b", "v"],
            "a1",
            vec![],
        ),
        node("Clip", &["a1", "lo"], "a2", vec![]),
        node("Add", &["a0", "a2"], "a3", vec![]),
        node("MaxPool", &["a3"], "a4", pool.clone()),
        node(
            "AveragePool",
            &["a4"],
            "a5",
            [pool, vec![int("count_include_pad", 1)]].concat(),
        ),
        node("Pad", &["a5", "pads"], "a6", vec![]),
        node("ReduceMean", &["a6"], "a7", vec![ints("axes", &[2])]),
        node("Shape", &["a7"], "s", vec![]),
        node("Slice", &["s", "from", "to", "axis", "step"], "t", vec![]),
        node("Gather", &["t", "axis"], "u", vec![]),
        node("ConstantOfShape", &["u"], "ones", vec![]),
        node("Range", &["minus", "zero", "one"], "r", vec![]),
        node("Concat", &["u", "r"], "target", vec![int("axis", 0)]),
        node("Reshape", &["a7", "target"], "a8", vec![]),
        node("Transpose", &["w"], "wt", vec![ints("perm", &[1, 0])]),
        node("Gemm", &["a8", "wt", "c"], "a9", vec![int("transB", 0)]),
        node("Unsqueeze", &["a9", "axis"], "a10", vec![]),
        node("Expand", &["c", "four1"], "e", vec![]),
        node("Sub", &["e", "ones"], "e1", vec![]),
        node("Mul", &["a10", "e1"], "a11", vec![]),
        node("Concat", &["a11", "a10"], "a12", vec![int("axis", -1)]),
        node("Softmax", &["a12"], "y", vec![int("axis", -1)]),
    ];
    let scalar = |name: &str, cell: i64| list(name, &[cell]);
    let constants = vec![
        weights("k", &[3, 2, 3, 3]),
        floats("b", &[3], &[0.5, 1.0, 2.0]),
        floats("v", &[3], &[0.5, 1.0, 2.0]),
        floats("lo", &[], &[0.0]),
        list("pads", &[0, 0, 1, 1, 0, 0, 1, 0]),
        scalar("from", 0),
        scalar("to", 1),
        scalar("axis", 0),
        scalar("step", 1),
        scalar("zero", 0),
        scalar("one", 1),
        scalar("minus", -1),
        list("four1", &[1, 4]),
        weights("w", &[4, 21]),
        weights("c", &[4]),
    ];
    model(13, &[1, 2, 6, 6], constants, nodes)
}

/// A model of the operators that become several, and of integers.
fn decomposed() -> ModelProto {
    let heads = vec![
        int("q_num_heads", 2),
        int("kv_num_heads", 1),
        int("is_causal", 1),
    ];
    let nodes = vec![
        node(
            "LayerNormalization",
            &["x", "v"],
            "a0",
            vec![int("axis", -1)],
        ),
        node("MatMul", &["a0", "w"], "a1", vec![]),
        node("Slice", &["s", "from", "to"], "t", vec![]),
        node(
            "RotaryEmbedding",
            &["a1", "angles", "angles"],
            "a2",
            vec![int("num_heads", 2)],
        ),
        node("Attention", &["a2", "k", "k", "mask"], "a3", heads),
        node(
            "Einsum",
            &["a3", "w"],
            "a4",
            vec![string("equation", "...j,jk->...k")],
        ),
        node("Pow", &["a4", "v"], "a5", vec![]),
        node(
            "TopK",
            &["a5", "t"],
            "a6",
            vec![int("axis", 1), int("largest", 0)],
        ),
        node(
            "ReduceProd",
            &["a6", "from"],
            "a7",
            vec![int("keepdims", 1)],
        ),
        node("ArgMax", &["a7"], "a8", vec![int("axis", 2)]),
        node("Mod", &["a8", "to"], "a9", vec![int("fmod", 0)]),
        node(
            "BitShift",
            &["a9", "from"],
            "a10",
            vec![string("direction", "RIGHT")],
        ),
        node("CumSum", &["a10", "from"], "a11", vec![]),
        node("Equal", &["a11", "to"], "a12", vec![]),
        node("Where", &["a12", "v", "x"], "a13", vec![]),
        node("LRN", &["a13"], "a14", vec![int("size", 3)]),
        node("Softmax", &["a14"], "y", vec![int("axis", 1)]),
    ];
    let constants = vec![
        floats("v", &[4], &[0.5, 1.0, 2.0, 3.0]),
        weights("w", &[4, 4]),
        weights("k", &[1, 3, 2]),
        weights("angles", &[1, 3, 1]),
        floats("mask", &[3, 3], &[0.0; 9]),
        list("s", &[3, 2]),
        list("from", &[0]),
        list("to", &[1]),
    ];
    model(23, &[1, 3, 4], constants, nodes)
}

/// A model of control flow, sequences, masks, and of operators of other domains.
fn branched() -> ModelProto {
    let step = vec![
        node("Add", &["state", "row"], "next", vec![]),
        node("Mul", &["next", "v"], "shown", vec![]),
    ];
    let scan = vec![
        graph("body", &["state", "row"], &["next", "shown"], vec![], step),
        int("num_scan_inputs", 1),
        ints("scan_input_axes", &[0]),
    ];
    let twice = vec![node("Add", &["x", "k"], "t", vec![])];
    let choice = vec![
        graph(
            "then_branch",
            &[],
            &["t"],
            vec![floats("k", &[1], &[2.0])],
            twice,
        ),
        graph("else_branch", &[], &["x"], vec![], vec![]),
    ];
    let again = vec![
        node("Add", &["state", "b0"], "next", vec![]),
        node("Identity", &["go"], "goes", vec![]),
    ];
    let again = graph(
        "body",
        &["i", "go", "state"],
        &["goes", "next"],
        vec![],
        again,
    );
    let nodes = vec![
        node("If", &["yes"], "b0", choice),
        several("Scan", &["v", "b0"], &["last", "b1"], scan),
        several("Loop", &["n", "", "b1"], &["b2"], vec![again]),
        node("SplitToSequence", &["b2", "n"], "s", vec![int("axis", 0)]),
        node("SequenceAt", &["s", "zero"], "b3", vec![]),
        node("SequenceInsert", &["s", "b3", "zero"], "more", vec![]),
        node("ConcatFromSequence", &["more"], "b4", vec![int("axis", 0)]),
        node("Greater", &["b4", "v"], "c", vec![]),
        node("Where", &["c", "b4", "low"], "b5", vec![]),
        node("Transpose", &["b5"], "b6", vec![ints("perm", &[1, 0])]),
        node("Concat", &["b6", "b6"], "b7", vec![int("axis", 1)]),
        node("Softmax", &["b7"], "b8", vec![int("axis", 0)]),
        several(
            "DynamicQuantizeLinear",
            &["b8"],
            &["q", "scale", "z"],
            vec![],
        ),
        node("DequantizeLinear", &["q", "scale", "z"], "b9", vec![]),
        microsoft("QuickGelu", &["b9"], "b10", vec![number("alpha", 1.5)]),
        node("Unsqueeze", &["b10", "axes"], "b11", vec![]),
        node(
            "GridSample",
            &["b11", "grid"],
            "b12",
            vec![string("mode", "bilinear")],
        ),
        node("Pad", &["b12", "pads", "low"], "b13", vec![]),
        node(
            "MaxPool",
            &["b13"],
            "y",
            vec![ints("kernel_shape", &[2, 2])],
        ),
    ];
    let constants = vec![
        truth("yes", true),
        integer("n", 2),
        integer("zero", 0),
        floats("v", &[3], &[0.5, 1.0, -1.0]),
        floats("low", &[], &[f32::NEG_INFINITY]),
        list("axes", &[0, 1]),
        list("pads", &[0, 0, 1, 0, 0, 0, 0, 1]),
        floats(
            "grid",
            &[1, 2, 2, 2],
            &[0.0, 0.5, -0.5, 1.0, -1.0, 0.25, 0.0, 0.0],
        ),
    ];
    let mut model = model(17, &[4, 3], constants, nodes);
    model.opset_import.push(OperatorSetIdProto {
        domain: "com.microsoft".into(),
        version: 1,
    });
    model
}

fn attempt(bytes: &[u8]) -> Result<Graph, Error> {
    let start = Instant::now();
    let _ = summary(bytes);
    let imported = import(bytes);
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    imported
}

/// The sample and small models of the repository.
fn subjects() -> Vec<Vec<u8>> {
    let mut subjects = [sample(), decomposed(), branched()]
        .iter()
        .map(encode)
        .collect::<Vec<_>>();
    for name in ["digits_dscnn", "skl_mlp_iris", "digits_cnn_dynamo18"] {
        subjects.push(std::fs::read(common::stored(name).join("model.onnx")).expect("a file"));
    }
    subjects
}

#[test]
fn damaged_bytes() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for bytes in subjects() {
        assert!(attempt(&bytes).is_ok(), "{:?}", attempt(&bytes));
        for round in 0..600 {
            let mut damaged = bytes.clone();
            match round % 4 {
                0 => damaged.truncate(rng.random_range(0..bytes.len())),
                1 => {
                    let (from, to) = (rng.random_range(0..bytes.len()), bytes.len());
                    let part: Vec<u8> = bytes[from..to.min(from + 64)].to_vec();
                    let at = rng.random_range(0..bytes.len());
                    damaged.splice(at..at, part);
                }
                _ => {
                    for _ in 0..rng.random_range(1..8) {
                        // The structure is at the start and the end, weights in between.
                        let at = match rng.random_range(0..3) {
                            0 => rng.random_range(0..bytes.len()),
                            1 => rng.random_range(0..bytes.len().min(4096)),
                            _ => bytes.len() - 1 - rng.random_range(0..bytes.len().min(4096)),
                        };
                        damaged[at] = rng.random();
                    }
                }
            }
            let _ = attempt(&damaged);
        }
    }
}

#[test]
fn damaged_structure() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let mut imported = 0;
    for bytes in subjects() {
        let original = common::decode(&bytes);
        for _ in 0..800 {
            let mut damaged = original.clone();
            for _ in 0..rng.random_range(1..4) {
                damage(&mut damaged, &mut rng);
            }
            imported += usize::from(attempt(&encode(&damaged)).is_ok());
        }
    }
    // Some damage is harmless, so the walk gets behind the first checks.
    assert!(imported > 50, "{imported}");
}

/// One change that keeps the protobuf message well-formed.
fn damage(model: &mut ModelProto, rng: &mut ChaCha8Rng) {
    let Some(graph) = &mut model.graph else {
        return;
    };
    let extreme = *EXTREME.choose(rng).expect("not empty");
    let names: Vec<String> = graph.node.iter().flat_map(|n| &n.output).cloned().collect();
    let ops: Vec<String> = graph.node.iter().map(|n| n.op_type.clone()).collect();
    let i = rng.random_range(0..graph.node.len());
    let node = &mut graph.node[i];
    match rng.random_range(0..9) {
        0 => {
            if let Some(name) = node.input.last_mut() {
                name.clone_from(names.choose(rng).expect("not empty"));
            }
        }
        1 => node.op_type.clone_from(ops.choose(rng).expect("not empty")),
        2 => drop(node.input.pop()),
        3 => {
            let count = node.attribute.len();
            if count > 0 {
                node.attribute.remove(rng.random_range(0..count));
            }
        }
        4 | 5 => {
            for attribute in &mut node.attribute {
                if rng.random() {
                    attribute.i = extreme;
                }
                let count = attribute.ints.len();
                if count > 0 {
                    attribute.ints[rng.random_range(0..count)] = extreme;
                }
            }
        }
        6 => {
            let count = graph.initializer.len();
            if count > 0 {
                let tensor = &mut graph.initializer[rng.random_range(0..count)];
                let axes = tensor.dims.len();
                if axes > 0 {
                    tensor.dims[rng.random_range(0..axes)] = extreme;
                }
            }
        }
        7 => {
            for tensor in &mut graph.initializer {
                let count = tensor.int64_data.len();
                if count > 0 && rng.random() {
                    tensor.int64_data[rng.random_range(0..count)] = extreme;
                }
            }
        }
        _ => {
            if let Some(set) = model.opset_import.first_mut() {
                set.version = rng.random_range(7..29);
            }
        }
    }
}
