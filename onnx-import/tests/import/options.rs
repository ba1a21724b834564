//! What a user says beside the file: shapes of dynamic inputs, and inputs that are constants.

use candle_onnx::onnx::ModelProto;
use candle_onnx::onnx::tensor_proto::DataType;
use candle_onnx::onnx::tensor_shape_proto::dimension::Value;
use zkstrata_model_ir::float::Graph;
use zkstrata_onnx_import::{Error, Options, import_with};

use crate::build::{declare, dim, encode, integer, model, node, taking, truth};
use crate::common;
use crate::refusals::assert_error;

/// A sum of two inputs, whose axes are given by their symbols; -1 and numbers are lengths.
fn sum(axes: [&[&str]; 2]) -> ModelProto {
    let mut model = model(
        17,
        &[1],
        vec![],
        vec![node("Add", &["x", "w"], "y", vec![])],
    );
    let axis = |axis: &&str| match (axis.parse(), *axis) {
        (Ok(n), _) => dim(Some(Value::DimValue(n))),
        (_, "") => dim(None),
        (_, symbol) => dim(Some(Value::DimParam(symbol.into()))),
    };
    if let Some(graph) = &mut model.graph {
        let inputs = ["x", "w"].iter().zip(axes);
        let inputs = inputs
            .map(|(name, axes)| declare(name, DataType::Float, axes.iter().map(axis).collect()));
        graph.input = inputs.collect();
    }
    model
}

fn shapes(model: &ModelProto, options: &Options) -> Result<Vec<Vec<usize>>, Error> {
    let graph = import_with(&encode(model), options)?;
    let inputs = graph.inputs();
    Ok(inputs.map(|v| graph.nodes()[v.0].shape.clone()).collect())
}

#[test]
fn dynamic_axes_take_the_lengths_that_are_given() {
    let model = sum([&["N", "", "-1"], &["1", "5", "?"]]);
    let none = shapes(&model, &Options::new()).expect_err("dynamic");
    assert_error(
        &none,
        "DynamicShape",
        "its axes are N,?,?; say how long yours are, in numbers, such as --shape x=1,64,64",
    );
    let options = Options::new()
        .shape("x", vec![4, 5, 6])
        .shape("w", vec![1, 5, 6]);
    let both = vec![vec![4, 5, 6], vec![1, 5, 6]];
    assert_eq!(shapes(&model, &options).expect("fixed"), both);
    // Axes of one symbol have one length, and a symbol can be given by itself.
    let model = sum([&["N", "L"], &["1", "L"]]);
    let same = vec![vec![2, 7], vec![1, 7]];
    let options = Options::new().shape("x", vec![2, 7]);
    assert_eq!(shapes(&model, &options).expect("fixed"), same);
    let options = Options::new().shape("L", vec![7]);
    let same = vec![vec![1, 7], vec![1, 7]];
    assert_eq!(shapes(&model, &options).expect("fixed"), same);
    // What contradicts itself says nothing about other inputs.
    let model = sum([&["L", "L"], &["1", "L"]]);
    let options = Options::new().shape("x", vec![2, 7]);
    let error = shapes(&model, &options).expect_err("ambiguous");
    assert_error(&error, "DynamicShape", "`w`");
}

#[test]
fn shapes_that_do_not_fit() {
    let model = sum([&["N", "5"], &["1", "5"]]);
    let error = |options: &Options, expected: &str| {
        let error = shapes(&model, options).expect_err("at fault");
        assert_error(&error, "Option", expected);
    };
    error(&Options::new().shape("x", vec![2, 6]), "declared form N,5");
    error(&Options::new().shape("x", vec![2]), "declared form N,5");
    error(&Options::new().shape("v", vec![2, 5]), "it has `x`, `w`");
    error(&Options::new().shape("N", vec![2, 5]), "no such input");
    error(&Options::new().constant("N", vec![2.0]), "--constant N");
}

/// The input, or twice it if the setting is 16000.
fn setting() -> ModelProto {
    let nodes = vec![
        node("Equal", &["rate", "high"], "c", vec![]),
        node("Where", &["c", "t", "x"], "y", vec![]),
    ];
    let twice = node("Add", &["x", "x"], "t", vec![]);
    let nodes = [vec![twice], nodes].concat();
    let model = model(17, &[2], vec![integer("high", 16_000)], nodes);
    taking(model, "rate", DataType::Int64, &[])
}

fn with(name: &str, cells: Vec<f64>) -> Result<Graph, Error> {
    import_with(&encode(&setting()), &Options::new().constant(name, cells))
}

#[test]
fn settings_become_constants() {
    let x = ndarray::arr1(&[1.0, 2.0]).into_dyn();
    for (rate, expected) in [(16_000.0, [2.0, 4.0]), (8000.0, [1.0, 2.0])] {
        let graph = with("rate", vec![rate]).expect("a model");
        assert_eq!(graph.inputs().count(), 1);
        assert!(graph.notes().iter().any(|note| note.contains("`rate`")));
        let y = &common::run(&graph, std::slice::from_ref(&x))[0];
        assert_eq!(y.iter().copied().collect::<Vec<_>>(), expected);
    }
    let error = |cells: Vec<f64>, expected: &str| {
        let error = with("rate", cells).expect_err("at fault");
        assert_error(&error, "Option", expected);
    };
    error(vec![0.5], "integers");
    error(vec![1.0, 2.0], "2 numbers for the shape []");
    let flag = node("Where", &["f", "x", "t"], "y", vec![]);
    let twice = node("Add", &["x", "x"], "t", vec![]);
    let flag = model(17, &[2], vec![truth("unused", true)], vec![twice, flag]);
    let flag = taking(flag, "f", DataType::Bool, &[2]);
    let options = Options::new().constant("f", vec![1.0, 0.0]);
    let graph = import_with(&encode(&flag), &options).expect("a model");
    let y = &common::run(&graph, &[x])[0];
    assert_eq!(y.iter().copied().collect::<Vec<_>>(), [1.0, 4.0]);
    let options = Options::new().constant("f", vec![2.0]);
    let error = import_with(&encode(&flag), &options).expect_err("no truth value");
    assert_error(&error, "Option", "1 or 0");
}
