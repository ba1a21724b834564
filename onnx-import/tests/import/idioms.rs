//! What exporters write: old and new forms of an operator import to the same graph, and shape
//! computations disappear.

use candle_onnx::onnx::tensor_proto::DataType;
use candle_onnx::onnx::{ModelProto, NodeProto, TensorProto};
use ndarray::ArrayD;
use zkstrata_model_ir::float::{Activation, Graph, Op, PoolKind};
use zkstrata_onnx_import::import;

use crate::build::{
    declare, dim, encode, float, floats, int, integer, ints, list, model, node, number, numbers,
    string, tensor, weights,
};
use crate::common;

fn graph(model: &ModelProto) -> Graph {
    import(&encode(model)).unwrap_or_else(|e| panic!("{e}"))
}

/// Checks that two models import to the same graph.
fn same(a: &ModelProto, b: &ModelProto) {
    assert_eq!(format!("{:?}", graph(a)), format!("{:?}", graph(b)));
}

/// A model of one node.
fn single(opset: i64, x: &[i64], constants: Vec<TensorProto>, node: NodeProto) -> ModelProto {
    model(opset, x, constants, vec![node])
}

#[test]
fn attributes_that_became_inputs() {
    let x = [1, 3, 1, 5];
    let lo_hi = || vec![floats("lo", &[], &[0.0]), floats("hi", &[], &[6.0])];
    let old = node(
        "Clip",
        &["x"],
        "y",
        vec![number("min", 0.0), number("max", 6.0)],
    );
    let new = node("Clip", &["x", "lo", "hi"], "y", vec![]);
    same(&single(10, &x, vec![], old), &single(11, &x, lo_hi(), new));
    let half = node("Clip", &["x", "", "hi"], "y", vec![]);
    let half = graph(&single(13, &x, lo_hi(), half));
    let (lo, hi) = (f32::NEG_INFINITY, 6.0);
    assert_eq!(
        half.nodes()[1].op,
        Op::Activation(Activation::Clip { lo, hi })
    );

    for (op, axes) in [("Squeeze", [2]), ("Unsqueeze", [-1])] {
        let old = node(op, &["x"], "y", vec![ints("axes", &axes)]);
        let new = node(op, &["x", "a"], "y", vec![]);
        let new = single(13, &x, vec![list("a", &axes)], new);
        same(&single(11, &x, vec![], old), &new);
    }
    let pads = [0, 1, 0, -2, 0, 0, 3, 0];
    let old = vec![
        ints("pads", &pads),
        number("value", 2.0),
        string("mode", "constant"),
    ];
    let old = node("Pad", &["x"], "y", old);
    let new = node("Pad", &["x", "p", "v"], "y", vec![]);
    let constants = || vec![list("p", &pads), floats("v", &[], &[2.0])];
    same(
        &single(9, &x, vec![], old),
        &single(11, &x, constants(), new.clone()),
    );
    let some = node("Pad", &["x", "p", "v", "a"], "y", vec![]);
    let mut fewer = vec![list("a", &[1, -2, 3]), floats("v", &[], &[2.0])];
    fewer.push(list("p", &[1, 0, -2, 0, 3, 0]));
    same(
        &single(18, &x, fewer, some),
        &single(13, &x, constants(), new),
    );

    for keep in [0, 1] {
        let keep = int("keepdims", keep);
        let old = node(
            "ReduceMean",
            &["x"],
            "y",
            vec![ints("axes", &[2, 3]), keep.clone()],
        );
        let new = node("ReduceMean", &["x", "a"], "y", vec![keep]);
        let new = single(18, &x, vec![list("a", &[-1, 2])], new);
        same(&single(13, &x, vec![], old), &new);
    }
    let old = node("Dropout", &["x"], "y", vec![number("ratio", 0.5)]);
    let new = node("Dropout", &["x", "r"], "y", vec![]);
    let new = single(13, &x, vec![floats("r", &[], &[0.5])], new);
    same(&single(7, &x, vec![], old), &new);
}

#[test]
fn spatial_mean_is_a_global_pool() {
    let x = [1, 3, 4, 5];
    let keep = node("ReduceMean", &["x"], "y", vec![ints("axes", &[2, 3])]);
    let global = node("GlobalAveragePool", &["x"], "y", vec![]);
    same(
        &single(13, &x, vec![], keep),
        &single(13, &x, vec![], global),
    );
    let drop = node(
        "ReduceMean",
        &["x"],
        "y",
        vec![ints("axes", &[-1, -2]), int("keepdims", 0)],
    );
    let graph = graph(&single(13, &x, vec![], drop));
    let ops: Vec<&Op> = graph.nodes().iter().map(|n| &n.op).collect();
    let [
        Op::Input { .. },
        Op::Pool { kind, .. },
        Op::Reshape { shape },
    ] = &ops[..]
    else {
        panic!("{ops:?}");
    };
    assert_eq!((*kind, &shape[..]), (PoolKind::AverageInside, &[1, 3][..]));
}

/// `x.view(x.size(0), -1)` and its relatives, as `TorchScript` exports write them, with a
/// dynamic batch axis.
#[test]
fn shape_computations_are_folded() {
    let constant = |name: &str, cell: i64| {
        node(
            "Constant",
            &[],
            name,
            vec![tensor("value", integer("", cell))],
        )
    };
    let nodes = vec![
        node("Shape", &["x"], "shape", vec![]),
        constant("zero", 0),
        node("Gather", &["shape", "zero"], "n", vec![int("axis", 0)]),
        node("Slice", &["shape", "one", "three"], "chw", vec![]),
        node("Gather", &["chw", "zero"], "c", vec![]),
        node("Gather", &["chw", "minus"], "w", vec![]),
        node("Mul", &["c", "w"], "cw", vec![]),
        node("Unsqueeze", &["n", "axis"], "n1", vec![]),
        node("Unsqueeze", &["cw", "axis"], "cw1", vec![]),
        node(
            "Concat",
            &["n1", "minus1", "cw1"],
            "target",
            vec![int("axis", 0)],
        ),
        node("Cast", &["target"], "target64", vec![int("to", 7)]),
        node("Reshape", &["x", "target64"], "y", vec![]),
    ];
    let constants = vec![
        list("one", &[1]),
        list("three", &[i64::MAX]),
        integer("minus", -1),
        list("minus1", &[-1]),
        list("axis", &[0]),
    ];
    let mut dynamic = model(13, &[1, 3, 4, 5], constants, nodes);
    if let Some(input) = dynamic.graph.as_mut().and_then(|g| g.input.first_mut()) {
        use candle_onnx::onnx::tensor_shape_proto::dimension::Value;
        let mut dims = vec![dim(Some(Value::DimParam("batch".into())))];
        dims.extend([3, 4, 5].map(|n| dim(Some(Value::DimValue(n)))));
        *input = declare("x", DataType::Float, dims);
    }
    let graph = graph(&dynamic);
    let shapes: Vec<&[usize]> = graph.nodes().iter().map(|n| &n.shape[..]).collect();
    assert_eq!(shapes, [&[1, 3, 4, 5][..], &[1, 4, 15][..]]);
}

#[test]
fn constants_are_evaluated() {
    let value = |nodes: Vec<NodeProto>, constants: Vec<TensorProto>| {
        let add = node("Add", &["x", "c"], "y", vec![]);
        let graph = graph(&model(15, &[2, 3], constants, [nodes, vec![add]].concat()));
        let Op::Affine { shift, .. } = &graph.nodes()[1].op else {
            panic!("{:?}", graph.nodes());
        };
        (
            shift.shape().to_vec(),
            shift.iter().copied().collect::<Vec<f32>>(),
        )
    };
    let f = |shape: &[usize], cells: &[f32]| (shape.to_vec(), cells.to_vec());
    let form = |attribute| value(vec![node("Constant", &[], "c", vec![attribute])], vec![]);
    assert_eq!(form(number("value_float", 2.0)), f(&[], &[2.0]));
    assert_eq!(
        form(numbers("value_floats", &[1.0, 2.0, 3.0])),
        f(&[3], &[1.0, 2.0, 3.0])
    );
    let t = floats("", &[2, 1], &[1.0, 2.0]);
    assert_eq!(form(tensor("value", t)), f(&[2, 1], &[1.0, 2.0]));
    let range = vec![
        node("Range", &["a", "b", "d"], "r", vec![]),
        node("Cast", &["r"], "c", vec![int("to", 1)]),
    ];
    let ends = vec![integer("a", 5), integer("b", 0), integer("d", -2)];
    assert_eq!(value(range, ends), f(&[3], &[5.0, 3.0, 1.0]));
    let chosen = vec![
        node("Constant", &[], "l", vec![ints("value_ints", &[1, 2, 3])]),
        node("Constant", &[], "two", vec![int("value_int", 2)]),
        node("Greater", &["l", "two"], "more", vec![]),
        node("Where", &["more", "l", "two"], "m", vec![]),
        node("Sub", &["m", "two"], "d", vec![]),
        node("Max", &["d", "l"], "e", vec![]),
        node("Mod", &["e", "two"], "r", vec![]),
        node("Cast", &["r"], "c", vec![int("to", 1)]),
    ];
    assert_eq!(value(chosen, vec![]), f(&[3], &[1.0, 0.0, 1.0]));
    let moved = vec![
        node("Transpose", &["w"], "t", vec![]),
        node("Slice", &["t", "s", "e", "a", "step"], "r", vec![]),
        node("Concat", &["r", "r"], "d", vec![int("axis", 1)]),
        node("Gather", &["d", "i"], "g", vec![int("axis", 1)]),
        node("Expand", &["g", "shape"], "c", vec![]),
    ];
    let constants = vec![
        floats("w", &[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
        list("s", &[-1]),
        list("e", &[i64::MIN]),
        list("a", &[0]),
        list("step", &[-2]),
        list("i", &[3, 0, -4]),
        list("shape", &[2, 3]),
    ];
    // Transposed: rows (1, 4), (2, 5), (3, 6); every other row from the end: (3, 6), (1, 4).
    assert_eq!(
        value(moved, constants),
        f(&[2, 3], &[6.0, 3.0, 3.0, 4.0, 1.0, 1.0])
    );
}

#[test]
fn initializers_listed_as_inputs_and_dead_nodes() {
    let dense = node("Gemm", &["x", "w", "b"], "y", vec![int("transB", 1)]);
    let constants = vec![weights("w", &[3, 4]), weights("b", &[3])];
    let plain = single(13, &[1, 4], constants, dense);
    let mut listed = plain.clone();
    if let Some(graph) = &mut listed.graph {
        graph.input.insert(0, float("w", &[3, 4]));
        graph.node.insert(0, node("Erf", &["y"], "unused", vec![]));
    }
    same(&plain, &listed);
    let no_bias = node("Gemm", &["x", "w", ""], "y", vec![int("transB", 1)]);
    let graph = graph(&single(13, &[1, 4], vec![weights("w", &[3, 4])], no_bias));
    assert!(matches!(graph.nodes()[1].op, Op::Dense { bias: None, .. }));
}

#[test]
fn matmul_and_add_simplify_to_one_dense_layer() {
    let nodes = vec![
        node("MatMul", &["x", "w"], "p", vec![]),
        node("Add", &["b", "p"], "y", vec![]),
    ];
    let constants = vec![weights("w", &[4, 3]), weights("b", &[1, 3])];
    let graph = graph(&model(13, &[1, 4], constants, nodes)).simplified();
    let ops: Vec<&Op> = graph.nodes().iter().map(|n| &n.op).collect();
    assert!(
        matches!(ops[..], [Op::Input { .. }, Op::Dense { bias: Some(_), .. }]),
        "{ops:?}"
    );
}

#[test]
fn final_selections_are_computed() {
    let nodes = vec![
        node("MatMul", &["x", "w"], "logits", vec![]),
        node("LogSoftmax", &["logits"], "scores", vec![int("axis", -1)]),
        node("ArgMax", &["scores"], "index", vec![int("axis", 1)]),
        node("Cast", &["index"], "label", vec![int("to", 6)]),
        NodeProto {
            domain: "ai.onnx.ml".into(),
            ..node(
                "ArrayFeatureExtractor",
                &["classes", "index"],
                "class",
                vec![],
            )
        },
    ];
    let classes = list("classes", &[7, -3, 40]);
    let mut model = model(13, &[1, 4], vec![weights("w", &[4, 3]), classes], nodes);
    if let Some(graph) = &mut model.graph {
        graph.output = ["logits", "scores", "label", "class"]
            .iter()
            .map(|name| float(name, &[]))
            .collect();
    }
    let graph = graph(&model);
    let x = ArrayD::from_shape_vec(vec![1, 4], vec![0.3, -1.0, 0.2, 0.9]).expect("4 cells");
    let [logits, scores, label, class] = &common::run(&graph, &[x])[..] else {
        panic!("four outputs");
    };
    let sum: f32 = logits.iter().map(|x| x.exp()).sum();
    common::assert_close("scores", scores, &logits.mapv(|x| x - sum.ln()), 1e-5, 1e-6);
    let best = common::largest(logits);
    assert_eq!((label.shape(), label.sum()), (&[1, 1][..], best as f32));
    assert_eq!(
        (class.shape(), class.sum()),
        (&[1, 1][..], [7.0, -3.0, 40.0][best])
    );
}

/// Runs a model on distinct numbers, here and in candle.
fn agrees_with_candle(what: &str, shape: &[i64], model: &ModelProto) {
    let cells = weights("x", shape).raw_data;
    let cells = cells.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b));
    let dims: Vec<usize> = shape.iter().map(|&n| n as usize).collect();
    let x = ArrayD::from_shape_vec(dims, cells.collect()).expect("counted");
    let candle = common::candle(model, &[("x".into(), x.clone())]);
    let got = common::run(&graph(model), &[x]);
    common::assert_close(what, &got[0], &candle[0].1, 1e-5, 1e-5);
}

#[test]
fn products_agree_with_candle() {
    let constants = || vec![weights("w", &[4, 4]), weights("b", &[1, 4])];
    for (operands, shape) in [(["x", "w"], &[2, 3, 4][..]), (["w", "x"], &[4, 5][..])] {
        let product = node("MatMul", &operands, "y", vec![]);
        let model = single(13, shape, constants(), product);
        agrees_with_candle(&format!("{operands:?}"), shape, &model);
    }
    for (trans_a, trans_b, operands) in [
        (0, 1, ["x", "w", "b"]),
        (1, 0, ["x", "w", "b"]),
        (0, 0, ["w", "x", "b"]),
        (1, 1, ["w", "x", "b"]),
    ] {
        let attributes = vec![
            number("alpha", 0.5),
            number("beta", 2.0),
            int("transA", trans_a),
            int("transB", trans_b),
        ];
        let product = node("Gemm", &operands, "y", attributes);
        let model = single(13, &[4, 4], constants(), product);
        agrees_with_candle(&format!("{operands:?} {trans_a}{trans_b}"), &[4, 4], &model);
    }
}

#[test]
fn convolutions_agree_with_candle() {
    // Spatial shape, weight shape, groups, strides, pads, dilations.
    type Case<'a> = (&'a [i64], &'a [i64], i64, &'a [i64], &'a [i64], &'a [i64]);
    let cases: &[Case] = &[
        (&[9], &[4, 2, 3], 2, &[1], &[1, 1], &[1]),
        (&[9], &[6, 4, 2], 1, &[2], &[0, 0], &[3]),
        (&[7, 6], &[4, 4, 3, 3], 1, &[2, 2], &[1, 1, 1, 1], &[1, 1]),
        (&[7, 6], &[8, 1, 3, 3], 4, &[1, 1], &[2, 2, 2, 2], &[2, 2]),
        (&[5, 5], &[2, 2, 1, 1], 2, &[1, 1], &[0, 0, 0, 0], &[1, 1]),
    ];
    for (spatial, weight, groups, strides, pads, dilations) in cases {
        let shape = [&[1, 4], *spatial].concat();
        let attributes = vec![
            int("group", *groups),
            ints("strides", strides),
            ints("pads", pads),
            ints("dilations", dilations),
        ];
        let conv = node("Conv", &["x", "w", "b"], "y", attributes);
        let constants = vec![weights("w", weight), weights("b", &weight[..1])];
        let model = single(13, &shape, constants, conv);
        agrees_with_candle(&format!("{spatial:?} {weight:?}"), &shape, &model);
    }
}
