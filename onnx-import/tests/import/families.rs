//! Families of operators in small: ensembles, quantised models, recurrent layers, indices; and
//! what of them is refused.

use candle_onnx::onnx::tensor_proto::DataType;
use candle_onnx::onnx::{AttributeProto, ModelProto, OperatorSetIdProto, TensorProto};
use ndarray::{ArrayD, arr2};
use zkstrata_onnx_import::{Error, import};

use crate::build::{
    encode, float, floats, int, ints, list, model, node, number, numbers, string, strings, weights,
};
use crate::common;

/// The outputs of a model for the input `x`.
fn outputs(model: &ModelProto, x: &ArrayD<f32>) -> Vec<Vec<f32>> {
    let graph = import(&encode(model)).unwrap_or_else(|e| panic!("{e}"));
    let outputs = common::run(&graph, std::slice::from_ref(x));
    let cells = outputs.into_iter().map(|y| y.iter().copied().collect());
    cells.collect()
}

fn refused(model: &ModelProto, expected: &str) {
    let error = import(&encode(model)).expect_err("refused");
    assert!(!matches!(error, Error::Decode(_)), "{error}");
    let text = error.to_string();
    assert!(text.contains(expected), "{text}");
}

/// A model of one operator of `ai.onnx.ml` with two outputs.
fn learned(op: &str, x: &[i64], attributes: Vec<AttributeProto>) -> ModelProto {
    let mut made = node(op, &["x"], "y", attributes);
    made.domain = "ai.onnx.ml".into();
    if op.ends_with("Classifier") {
        made.output.push("scores".into());
    }
    let mut model = model(17, x, vec![], vec![made]);
    model.opset_import.push(OperatorSetIdProto {
        domain: "ai.onnx.ml".into(),
        version: 3,
    });
    if let Some(graph) = model.graph.as_mut().filter(|_| op.ends_with("Classifier")) {
        graph.output.push(float("scores", &[]));
    }
    model
}

/// A stump on feature 1 with the threshold 1/2 and leaves of -2 and 3, and what `extra` says.
fn stump(of: &str, on_true: i64, extra: Vec<AttributeProto>) -> Vec<AttributeProto> {
    let mut attributes = vec![
        ints("nodes_treeids", &[0, 0, 0]),
        ints("nodes_nodeids", &[0, 1, 2]),
        ints("nodes_featureids", &[1, 0, 0]),
        strings("nodes_modes", &["BRANCH_LEQ", "LEAF", "LEAF"]),
        numbers("nodes_values", &[0.5, 0.0, 0.0]),
        ints("nodes_truenodeids", &[on_true, 0, 0]),
        ints("nodes_falsenodeids", &[2, 0, 0]),
        ints(&format!("{of}_treeids"), &[0, 0]),
        ints(&format!("{of}_nodeids"), &[1, 2]),
        ints(&format!("{of}_ids"), &[0, 0]),
        numbers(&format!("{of}_weights"), &[-2.0, 3.0]),
    ];
    attributes.extend(extra);
    attributes
}

#[test]
fn trees() {
    let x = arr2(&[[9.0, 0.5], [9.0, 0.75]]).into_dyn();
    let regressor = |extra| learned("TreeEnsembleRegressor", &[2, 2], stump("target", 1, extra));
    let base = numbers("base_values", &[0.25]);
    assert_eq!(outputs(&regressor(vec![base]), &x), [[-1.75, 3.25]]);
    let labels = vec![ints("classlabels_int64s", &[7, 4])];
    let classifier = learned("TreeEnsembleClassifier", &[2, 2], stump("class", 1, labels));
    let expected = [vec![7.0, 4.0], vec![2.0, -2.0, -3.0, 3.0]];
    assert_eq!(outputs(&classifier, &x), expected);
    let names = vec![strings("classlabels_strings", &["a", "b"])];
    let classifier = learned("TreeEnsembleClassifier", &[2, 2], stump("class", 1, names));
    assert_eq!(outputs(&classifier, &x)[0], [0.0, 1.0]);

    let post = string("post_transform", "LOGISTIC");
    refused(&regressor(vec![post]), "onnxruntime does not");
    let cycle = stump("target", 0, vec![]);
    refused(
        &learned("TreeEnsembleRegressor", &[2, 2], cycle),
        "reached twice",
    );
    let missing = stump("target", 9, vec![]);
    refused(
        &learned("TreeEnsembleRegressor", &[2, 2], missing),
        "no node 9",
    );
    let narrow = learned("TreeEnsembleRegressor", &[2, 1], stump("target", 1, vec![]));
    refused(&narrow, "feature 1 of 1");
}

/// A row of zeros has no length, and stays.
#[test]
fn rows_of_zeros_are_not_normalised() {
    let x = arr2(&[[0.0, 0.0], [-4.0, 0.0], [3.0, 4.0]]).into_dyn();
    let normalised = |norm: &str| {
        let model = learned("Normalizer", &[3, 2], vec![string("norm", norm)]);
        let y = outputs(&model, &x).remove(0);
        y.into_iter()
            .map(|y| (1e4 * y).round() / 1e4)
            .collect::<Vec<f32>>()
    };
    assert_eq!(normalised("L1"), [0.0, 0.0, -1.0, 0.0, 0.4286, 0.5714]);
    assert_eq!(normalised("L2"), [0.0, 0.0, -1.0, 0.0, 0.6, 0.8]);
    assert_eq!(normalised("MAX"), [0.0, 0.0, -4.0, 0.0, 0.75, 1.0]);
}

#[test]
fn support_vectors() {
    let x = arr2(&[[1.0, 2.0], [-3.0, 1.0]]).into_dyn();
    let machine = |extra: Vec<AttributeProto>| {
        let mut attributes = vec![
            numbers("coefficients", &[1.0, -2.0]),
            numbers("rho", &[0.125]),
            numbers("support_vectors", &[1.0, 0.0, 0.0, 1.0]),
            ints("vectors_per_class", &[1, 1]),
            ints("classlabels_ints", &[3, 5]),
        ];
        attributes.extend(extra);
        learned("SVMClassifier", &[2, 2], attributes)
    };
    let expected = [vec![5.0, 5.0], vec![2.875, -2.875, 4.875, -4.875]];
    assert_eq!(outputs(&machine(vec![]), &x), expected);
    refused(
        &machine(vec![numbers("prob_a", &[1.0])]),
        "probability=False",
    );
}

/// One integer of 8 bits as an initializer.
fn byte(name: &str, cell: u8) -> TensorProto {
    TensorProto {
        name: name.into(),
        data_type: DataType::Uint8 as i32,
        raw_data: vec![cell],
        ..TensorProto::default()
    }
}

#[test]
fn quantised_values() {
    let x = arr2(&[[-9.0, -0.6, 0.3, 1.1, 99.0, 0.25]]).into_dyn();
    let constants = || vec![floats("s", &[], &[0.5]), byte("z", 10)];
    let quantise = || node("QuantizeLinear", &["x", "s", "z"], "q", vec![]);
    let model = |nodes| model(17, &[1, 6], constants(), nodes);
    // The integers leave the model, are moved, and stand for real numbers.
    let turned = node("Transpose", &["q"], "y", vec![]);
    let integers = [vec![0.0, 9.0, 11.0, 12.0, 208.0, 10.0]];
    assert_eq!(
        outputs(&model(vec![quantise(), turned.clone()]), &x),
        integers
    );
    let mut turned = turned;
    turned.output = vec!["t".into()];
    let real = node("DequantizeLinear", &["t", "s", "z"], "y", vec![]);
    let reals = [vec![-5.0, -0.5, 0.5, 1.0, 99.0, 0.0]];
    assert_eq!(outputs(&model(vec![quantise(), turned, real]), &x), reals);
    // Arithmetic sees the integers.
    let doubled = node("Add", &["q", "q"], "y", vec![]);
    let twice = [vec![0.0, 18.0, 22.0, 24.0, 416.0, 20.0]];
    assert_eq!(outputs(&model(vec![quantise(), doubled]), &x), twice);
}

#[test]
fn refusals() {
    let lengths = |n: i64| {
        let layer = node("RNN", &["x", "w", "r", "", "n"], "y", vec![]);
        let constants = vec![
            weights("w", &[1, 2, 3]),
            weights("r", &[1, 2, 2]),
            list("n", &[n]),
        ];
        model(17, &[4, 1, 3], constants, vec![layer])
    };
    refused(&lengths(5), "lengths");
    assert!(import(&encode(&lengths(3))).is_ok());
    let one = |op: &str, operands: &[&str], constants, attributes| {
        let made = node(op, operands, "y", attributes);
        model(13, &[1, 1, 4, 4], constants, vec![made])
    };
    let tile = one(
        "Tile",
        &["x", "r"],
        vec![list("r", &[1, 1 << 40, 1, 1])],
        vec![],
    );
    refused(&tile, "limit");
    let sizes = vec![list("s", &[1, 1, 1 << 30, 4])];
    refused(&one("Resize", &["x", "", "", "s"], sizes, vec![]), "limit");
    let far = vec![ints("pads", &[1 << 23; 4])];
    let kernel = vec![weights("w", &[1, 1, 2, 2])];
    refused(
        &one("ConvTranspose", &["x", "w"], kernel.clone(), far),
        "leave nothing",
    );
    refused(
        &one("Conv", &["x", "x"], vec![], vec![]),
        "must be a constant",
    );
    refused(
        &one("Gather", &["x", "i"], vec![list("i", &[1])], vec![]),
        "index 1",
    );
    let pool = vec![ints("kernel_shape", &[2, 2]), int("p", 0)];
    refused(&one("LpPool", &["x"], vec![], pool), "expected 1 to 4");
    let cubic = vec![string("mode", "cubic"), number("cubic_coeff_a", f32::NAN)];
    let sizes = vec![list("s", &[1, 1, 8, 8])];
    refused(&one("Resize", &["x", "", "", "s"], sizes, cubic), "NaN");
}
