//! Every kind of error, from a model that has just that fault.

use std::path::Path;

use candle_onnx::onnx::tensor_proto::DataType;
use candle_onnx::onnx::tensor_shape_proto::dimension::Value;
use candle_onnx::onnx::{
    AttributeProto, GraphProto, ModelProto, NodeProto, SparseTensorProto, TensorProto,
};
use zkstrata_onnx_import::{Error, import, import_file};

use crate::build::{
    declare, dim, encode, float, floats, int, integer, ints, list, model, node, number, string,
    tensor, weights,
};

/// A model of one operator on `x[1, 4]` and `w[4, 4]`.
pub(crate) fn one(op: &str, inputs: &[&str], attributes: Vec<AttributeProto>) -> ModelProto {
    let node = node(op, inputs, "y", attributes);
    model(17, &[1, 4], vec![weights("w", &[4, 4])], vec![node])
}

pub(crate) fn refuse(model: &ModelProto) -> Error {
    import(&encode(model)).expect_err("the model is at fault")
}

/// Edits the graph of a model that imports.
fn edited(edit: impl Fn(&mut GraphProto)) -> Error {
    let mut model = one("MatMul", &["x", "w"], vec![]);
    assert!(import(&encode(&model)).is_ok());
    edit(model.graph.as_mut().expect("has a graph"));
    refuse(&model)
}

/// Checks the error's variant and that its message contains `expected`.
#[track_caller]
pub(crate) fn assert_error(error: &Error, variant: &str, expected: &str) {
    assert!(format!("{error:?}").starts_with(variant), "{error:?}");
    assert!(error.to_string().contains(expected), "{error}");
}

#[test]
fn bytes_that_are_no_model() {
    assert_error(
        &import(&[0xff; 9]).expect_err("noise"),
        "Decode",
        "not an ONNX model",
    );
    assert_error(
        &import(&[]).expect_err("nothing"),
        "Incomplete",
        "operator set",
    );
    let mut model = one("Relu", &["x"], vec![]);
    model.graph = None;
    assert_error(&refuse(&model), "Incomplete", "graph");
    let mut deep = GraphProto::default();
    for _ in 0..200 {
        let attribute = AttributeProto {
            g: Some(deep),
            ..AttributeProto::default()
        };
        let node = NodeProto {
            attribute: vec![attribute],
            ..NodeProto::default()
        };
        deep = GraphProto {
            node: vec![node],
            ..GraphProto::default()
        };
    }
    model.graph = Some(deep);
    assert_error(&refuse(&model), "Decode", "recursion");
    let error = import_file(Path::new("no/such/model.onnx")).expect_err("no file");
    assert_error(&error, "Read", "model.onnx");
}

#[test]
fn operator_sets() {
    for version in [-1, 6, 29] {
        let mut model = one("Relu", &["x"], vec![]);
        model.opset_import[0].version = version;
        assert_error(&refuse(&model), "UnsupportedOpset", "7 to 28");
    }
    let mut model = one("Relu", &["x"], vec![]);
    let mut other = model.opset_import[0].clone();
    other.version += 1;
    model.opset_import.push(other);
    assert_error(&refuse(&model), "DuplicateName", "ai.onnx");
}

#[test]
fn operators() {
    match refuse(&one("Bernoulli", &["x"], vec![])) {
        Error::UnsupportedOperator {
            node,
            op,
            domain,
            opset,
            remedy,
        } => {
            assert_eq!(
                (&*node, &*op, &*domain, opset),
                ("y", "Bernoulli", "ai.onnx", 17)
            );
            assert!(!remedy.is_empty());
        }
        other => panic!("{other:?}"),
    }
    let unsupported = |model: &ModelProto, expected: &str| {
        assert_error(&refuse(model), "UnsupportedOperator", expected);
    };
    let mut custom = one("Relu", &["x"], vec![]);
    if let Some(graph) = &mut custom.graph {
        graph.node[0].domain = "com.microsoft".into();
    }
    unsupported(&custom, "ORT_ENABLE_BASIC");
    if let Some(graph) = &mut custom.graph {
        graph.node[0].domain = "elsewhere".into();
    }
    unsupported(&custom, "onnx.inliner");
    let loops = one("Loop", &["x"], vec![]);
    assert_error(&refuse(&loops), "BadAttribute", "body");
    let steps = one("DynamicQuantizeLinear", &["x"], vec![]);
    assert_error(&refuse(&steps), "Shape", "depends on the input");
    unsupported(&one("Cast", &["x"], vec![int("to", 8)]), "string");
    let flat = one("Conv", &["x", "w"], vec![]);
    assert_error(&refuse(&flat), "Shape", "one rank");
    let flat = one("MaxPool", &["x"], vec![ints("kernel_shape", &[1])]);
    assert_error(&refuse(&flat), "Shape", "rank 3");
    let shape = [1, 2, 3, 4];
    let parameters = ["x", "p", "p", "p", "p"];
    let training = vec![int("training_mode", 1)];
    let training = node("BatchNormalization", &parameters, "y", training);
    let training = model(15, &shape, vec![weights("p", &[2])], vec![training]);
    unsupported(&training, "training mode");
    let mut relu = one("Relu", &["x"], vec![]);
    if let Some(graph) = &mut relu.graph {
        graph.node[0].output.push("signs".into());
        graph.output.push(float("signs", &[]));
    }
    unsupported(&relu, "`signs` is not computed");
}

#[test]
fn attributes() {
    let bad = |op: &str, attributes: Vec<AttributeProto>, expected: &str| {
        let inputs: &[&str] = if op == "Gemm" { &["x", "w"] } else { &["x"] };
        let error = refuse(&one(op, inputs, attributes));
        assert_error(&error, "BadAttribute", expected);
    };
    bad("Relu", vec![int("speed", 9)], "not an attribute");
    bad("Gemm", vec![int("alpha", 1)], "FLOAT");
    bad("Gemm", vec![number("beta", 1.0); 2], "twice");
    bad("Gemm", vec![int("transA", 2)], "expected 0 or 1");
    bad("LeakyRelu", vec![number("alpha", f32::NAN)], "NaN");
    bad("Transpose", vec![ints("perm", &[0, 0])], "permute");
    bad("Cast", vec![], "missing");
    let mut reference = number("alpha", 1.0);
    reference.ref_attr_name = "a".into();
    bad("Gemm", vec![reference], "inline");
    let pool = |attributes: Vec<AttributeProto>, expected: &str| {
        let all = [vec![ints("kernel_shape", &[2, 2])], attributes].concat();
        let node = node("AveragePool", &["x"], "y", all);
        let error = refuse(&model(17, &[1, 1, 4, 4], vec![], vec![node]));
        assert_error(&error, "BadAttribute", expected);
    };
    pool(vec![ints("strides", &[1])], "2 integers");
    pool(vec![ints("strides", &[0, 1])], "from 1");
    pool(vec![ints("pads", &[-1, 0, 0, 0])], "from 0");
    pool(vec![ints("dilations", &[i64::MAX, 1])], "from 1");
    pool(vec![string("auto_pad", "MAYBE")], "MAYBE");
    let same = string("auto_pad", "SAME_UPPER");
    pool(
        vec![same.clone(), ints("pads", &[1, 1, 1, 1])],
        "contradicts",
    );
    let ambiguous = |attributes: Vec<AttributeProto>| {
        let all = [vec![ints("kernel_shape", &[3])], attributes].concat();
        let node = node("MaxPool", &["x"], "y", all);
        let error = refuse(&model(17, &[1, 1, 6], vec![], vec![node]));
        assert_error(&error, "UnsupportedOperator", "ambiguous");
    };
    ambiguous(vec![same, ints("dilations", &[2])]);
    let valid = string("auto_pad", "VALID");
    ambiguous(vec![valid, int("ceil_mode", 1), ints("strides", &[2])]);
}

#[test]
fn shapes() {
    let shape = |model: &ModelProto, expected: &str| {
        assert_error(&refuse(model), "Shape", expected);
    };
    let with = |op: &str, second: TensorProto| {
        let node = node(op, &["x", &second.name], "y", vec![]);
        model(17, &[2, 3], vec![second.clone()], vec![node])
    };
    shape(
        &with("MatMul", weights("w", &[4, 5])),
        "cannot be multiplied",
    );
    shape(&with("Add", weights("w", &[4])), "do not broadcast");
    shape(&with("Reshape", list("s", &[4, -1])), "cannot be reshaped");
    shape(
        &with("Reshape", list("s", &[i64::MAX, i64::MAX])),
        "cannot become",
    );
    shape(&with("Squeeze", list("s", &[0])), "not 1");
    shape(&with("Squeeze", list("s", &[2])), "axis 2");
    shape(&with("Unsqueeze", list("s", &[0, 0])), "twice");
    shape(&with("Relu", weights("w", &[1])), "at most 1");
    shape(&one("MatMul", &["x", ""], vec![]), "missing");
    let huge = model(
        17,
        &[1, i64::MAX],
        vec![],
        vec![node("Relu", &["x"], "y", vec![])],
    );
    shape(&huge, "cells");
    let negative = model(
        17,
        &[1, -5],
        vec![],
        vec![node("Relu", &["x"], "y", vec![])],
    );
    shape(&negative, "length -5");
    let error = edited(|graph| graph.input[0].r#type = None);
    assert_error(&error, "Shape", "not a tensor");
}

#[test]
fn names() {
    let missing = edited(|graph| graph.initializer.clear());
    assert_error(&missing, "MissingInitializer", "`w`");
    let missing = edited(|graph| graph.output[0].name = "z".into());
    assert_error(&missing, "MissingInitializer", "`z`");
    let cycle = edited(|graph| {
        graph.node[0].input[0] = "loop".into();
        graph.node.push(node("Relu", &["y"], "loop", vec![]));
    });
    assert_error(&cycle, "Cycle", "own output");
    let twice = |edit: fn(&mut GraphProto)| {
        assert_error(&edited(edit), "DuplicateName", "twice");
    };
    twice(|graph| graph.initializer.push(weights("w", &[1])));
    twice(|graph| graph.input.push(float("x", &[1])));
    twice(|graph| {
        graph
            .input
            .extend([float("w", &[4, 4]), float("w", &[4, 4])]);
    });
    twice(|graph| graph.node.push(node("Relu", &["x"], "y", vec![])));
    twice(|graph| graph.node.push(node("Relu", &["x"], "w", vec![])));
}

#[test]
fn weights_and_tensors() {
    let with = |w: TensorProto| edited(move |graph| graph.initializer[0] = w.clone());
    let mut cells = [0.5; 16];
    cells[6] = f32::NAN;
    match with(floats("w", &[4, 4], &cells)) {
        Error::NonFinite {
            name, index, value, ..
        } => {
            assert!(value.is_nan());
            assert_eq!((&*name, index), ("w", 6));
        }
        other => panic!("{other:?}"),
    }
    cells[6] = f32::NEG_INFINITY;
    assert_error(&with(floats("w", &[4, 4], &cells)), "NonFinite", "-inf");
    let divided = node("Div", &["x", "zero"], "y", vec![]);
    let divided = model(
        17,
        &[1, 4],
        vec![floats("zero", &[], &[0.0])],
        vec![divided],
    );
    assert_error(&refuse(&divided), "NonFinite", "1 / zero");
    let bad = with(floats("w", &[4, 5], &cells));
    assert_error(&bad, "BadTensor", "got 64 bytes");
    assert_error(
        &with(floats("w", &[-4, 4], &cells)),
        "BadTensor",
        "length -4",
    );
    assert_error(&with(list("w", &[1 << 25; 4])), "BadTensor", "exact up to");
    let huge = with(floats("w", &[1 << 40, 4], &cells));
    assert_error(&huge, "TooLarge", "limit");
    let mut text = floats("w", &[4, 4], &[]);
    text.data_type = DataType::String as i32;
    assert_error(&with(text), "UnsupportedType", "string");
    let sparse = edited(|graph| graph.sparse_initializer.push(SparseTensorProto::default()));
    assert_error(&sparse, "UnsupportedType", "sparse");
    let ids = edited(|graph| graph.input[0] = declare("x", DataType::String, vec![]));
    assert_error(&ids, "UnsupportedType", "string");
}

#[test]
fn folding_is_bounded() {
    let fold = |nodes: Vec<NodeProto>, constants: Vec<TensorProto>| {
        let add = node("Add", &["x", "c"], "y", vec![]);
        let error = refuse(&model(17, &[1, 4], constants, [nodes, vec![add]].concat()));
        assert_error(&error, "TooLarge", "limit");
    };
    let fill = |name: &str| node("ConstantOfShape", &["s"], name, vec![]);
    fold(vec![fill("c")], vec![list("s", &[1 << 27])]);
    fold(vec![fill("c")], vec![list("s", &[1 << 40, 1 << 40])]);
    fold(vec![fill("c")], vec![list("s", &[0, 1 << 40, 1 << 40])]);
    let expand = node("Expand", &["e", "s"], "c", vec![]);
    fold(
        vec![expand],
        vec![floats("e", &[1], &[1.0]), list("s", &[1 << 30])],
    );
    let range = node("Range", &["a", "b", "d"], "c", vec![]);
    let ends = vec![
        integer("a", i64::MIN),
        integer("b", i64::MAX),
        integer("d", 1),
    ];
    fold(vec![range], ends);
    // Each doubles the one before.
    let mut nodes = vec![fill("c0")];
    for i in 0..40 {
        let (from, to) = (format!("c{i}"), format!("c{}", i + 1));
        nodes.push(node("Concat", &[&from, &from], &to, vec![int("axis", 0)]));
    }
    nodes.push(node("Identity", &["c40"], "c", vec![]));
    fold(nodes, vec![list("s", &[1 << 10])]);
    let value = tensor("value", floats("v", &[2], &[1.0, 2.0]));
    let fill = node("ConstantOfShape", &["s"], "c", vec![value]);
    let add = node("Add", &["x", "c"], "y", vec![]);
    let error = refuse(&model(17, &[1, 4], vec![list("s", &[2])], vec![fill, add]));
    assert_error(&error, "BadAttribute", "one element");
}

#[test]
fn dynamic_axes() {
    let with = |axes: Vec<Option<Value>>| {
        let axes: Vec<_> = axes.into_iter().map(dim).collect();
        let mut model = one("Relu", &["x"], vec![]);
        if let Some(graph) = &mut model.graph {
            graph.input[0] = declare("x", DataType::Float, axes);
        }
        import(&encode(&model))
    };
    let named = || Some(Value::DimParam("n".into()));
    let fixed = || Some(Value::DimValue(4));
    for batch in [named(), None, Some(Value::DimValue(0))] {
        let graph = with(vec![batch, fixed()]).expect("a dynamic batch");
        assert_eq!(graph.nodes()[0].shape, [1, 4]);
        assert!(
            graph.notes()[0].contains("`x` is imported as 1"),
            "{:?}",
            graph.notes()
        );
    }
    for axis in [named(), None, Some(Value::DimValue(0))] {
        let error = with(vec![fixed(), axis]).expect_err("a dynamic feature axis");
        assert_error(&error, "DynamicShape", "axis 1 of input `x`");
    }
}
