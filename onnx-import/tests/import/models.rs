//! Whole models: the float graph's answer equals onnxruntime's stored answer and candle's, and
//! models out of scope are refused with an error that names the culprit.

use std::path::{Path, PathBuf};

use ndarray::{ArrayD, arr1};
use serde_json::Value;
use zkstrata_model_ir::float::Graph;
use zkstrata_onnx_import::{Error, import, import_file, summary};

use crate::common;

/// Models of the repository.
const STORED: &[&str] = &[
    "digits_cnn",
    "digits_cnn_bn",
    "digits_cnn_dynamo18",
    "digits_cnn_opset11",
    "digits_cnn_opset13",
    "digits_dscnn",
    "digits_mlp",
    "lenet5",
    "tiny_dscnn_kws",
];

/// Models of the repository that use operators that candle lacks.
const STORED_WITHOUT_CANDLE: &[&str] = &[
    "activation_zoo",
    "conv_autoencoder",
    "digits_cnn_qdq_perchannel",
    "digits_cnn_qoperator",
    "digits_mlp_qdq",
    "digits_vit",
    "lstm_small",
    "skl_gbt_cancer",
];

/// Larger models.
const LARGE: &[&str] = &[
    "cnn_cifar_264k",
    "cnn_cifar_62k",
    "mlp_4m",
    "tiny_ad_autoencoder",
    "tiny_resnet8",
];

/// Whether candle has all operators of a model.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Candle {
    Runs,
    Lacks,
}

#[test]
fn answers_are_onnxruntimes_and_candles() {
    assert_answers(STORED, common::stored, Candle::Runs);
    assert_answers(STORED_WITHOUT_CANDLE, common::stored, Candle::Lacks);
}

#[test]
#[ignore = "needs the suites of ZKSTRATA_SUITES"]
fn answers_of_large_models_are_onnxruntimes_and_candles() {
    let folder = |name: &str| common::suite("models").join(name);
    assert_answers(LARGE, folder, Candle::Runs);
    assert_answers(&["nanogpt"], folder, Candle::Lacks);
}

fn assert_answers(names: &[&str], folder: impl Fn(&str) -> PathBuf, reference: Candle) {
    for name in names {
        let folder = folder(name);
        let path = folder.join("model.onnx");
        let graph = import_file(&path).unwrap_or_else(|e| panic!("{name}: {e}"));
        let io = folder.join("io.npz");
        let inputs = common::read_npz(&io, "in_");
        let expected = common::read_npz(&io, "out_");
        assert!(!inputs.is_empty() && !expected.is_empty(), "{name}");
        let arrays: Vec<ArrayD<f32>> = inputs.iter().map(|(_, a)| a.clone()).collect();
        let model = std::fs::read(&path).expect("a file");
        let candle =
            (reference == Candle::Runs).then(|| common::candle(&common::decode(&model), &inputs));
        for graph in [graph.simplified(), graph] {
            let outputs = common::run(&graph, &arrays);
            for ((output, _), got) in graph.outputs().iter().zip(&outputs) {
                let what = format!("{name}: {output}");
                let find = |of: &[(String, ArrayD<f32>)]| {
                    of.iter().find(|(n, _)| n == output).map(|(_, a)| a.clone())
                };
                let stored = find(&expected).unwrap_or_else(|| panic!("{what} is not stored"));
                common::assert_close(&what, got, &stored, 1e-3, 1e-4);
                if let Some(candle) = &candle {
                    let candle = find(candle).unwrap_or_else(|| panic!("{what} is not candle's"));
                    common::assert_close(&what, got, &candle, 1e-3, 1e-4);
                }
            }
        }
    }
}

#[test]
fn scikit_learn_models_give_labels_and_probabilities() {
    for name in ["skl_logreg_digits", "skl_mlp_iris"] {
        let folder = common::stored(name);
        let graph = import_file(&folder.join("model.onnx")).expect("in scope");
        let io = folder.join("io.npz");
        let inputs: Vec<ArrayD<f32>> = common::read_npz(&io, "in_")
            .into_iter()
            .map(|(_, a)| a)
            .collect();
        let got = common::run(&graph, &inputs);
        let names: Vec<&str> = graph.outputs().iter().map(|(name, _)| &**name).collect();
        assert_eq!(names, ["label", "probabilities"]);
        let expected = common::read_npz(&io, "out_probabilities");
        common::assert_close(name, &got[1], &expected[0].1, 1e-4, 1e-6);
        let best = common::largest(&got[1]);
        assert_eq!(got[0].sum() as usize, best, "{name}");
    }
}

#[test]
fn an_absent_file_is_an_error() {
    let error = import_file("no/such/model.onnx".as_ref()).expect_err("no such file");
    assert!(matches!(error, Error::Read { .. }), "{error}");
}

/// Examples of EZKL's suite that do not import.
const REFUSED: &[&str] = &[];

#[test]
#[ignore = "needs the suites of ZKSTRATA_SUITES"]
fn examples_agree_or_are_refused() {
    let suite = common::suite("onnx-examples");
    let mut refused = Vec::new();
    for entry in std::fs::read_dir(suite).expect("a folder") {
        let folder = entry.expect("an entry").path();
        let path = folder.join("network.onnx");
        if !path.is_file() {
            continue;
        }
        let name = folder.file_name().map(|n| n.to_string_lossy().into_owned());
        let name = name.expect("a named folder");
        match import_file(&path) {
            Ok(graph) => check_example(&name, &graph, &folder),
            Err(error) => {
                eprintln!("refused: {name}: {error}");
                refused.push(name);
            }
        }
    }
    refused.sort();
    assert_eq!(refused, REFUSED);
}

/// Runs an example on each of its samples. The importer sets a dynamic batch axis to 1.
fn check_example(name: &str, graph: &Graph, folder: &Path) {
    let json = |file| -> Value {
        let file = std::fs::File::open(folder.join(file)).expect("a file");
        serde_json::from_reader(file).expect("json")
    };
    let list = |value: &Value| -> Vec<f32> {
        let list = value.as_array().expect("a list").iter();
        let number = |x: &Value| match x {
            Value::Bool(x) => f32::from(*x),
            x => x.as_f64().expect("a number") as f32,
        };
        list.map(number).collect()
    };
    let input = json("input.json");
    let data: Vec<Vec<f32>> = input["input_data"]
        .as_array()
        .expect("lists")
        .iter()
        .map(list)
        .collect();
    let shapes: Vec<Vec<usize>> = graph
        .inputs()
        .map(|v| graph.nodes()[v.0].shape.clone())
        .collect();
    let samples = data[0].len() / shapes[0].iter().product::<usize>();
    let mut got = vec![Vec::new(); graph.outputs().len()];
    for sample in 0..samples {
        let inputs: Vec<ArrayD<f32>> = shapes
            .iter()
            .zip(&data)
            .map(|(shape, data)| {
                let n: usize = shape.iter().product();
                let cells = data[sample * n..][..n].to_vec();
                ArrayD::from_shape_vec(shape.clone(), cells).expect("as many cells")
            })
            .collect();
        for (got, output) in got.iter_mut().zip(common::run(graph, &inputs)) {
            got.extend(output);
        }
    }
    let expected = json("ref_output.json");
    for (i, got) in got.into_iter().enumerate() {
        let expected = arr1(&list(&expected["outputs"][i]["data"])).into_dyn();
        common::assert_close(name, &arr1(&got).into_dyn(), &expected, 1e-4, 1e-6);
    }
}

#[test]
fn import_is_deterministic_and_summarised() {
    let path = common::stored("digits_cnn_bn").join("model.onnx");
    let bytes = std::fs::read(path).expect("a file");
    let print = |bytes: &[u8]| format!("{:?}", import(bytes).expect("in scope"));
    assert_eq!(print(&bytes), print(&bytes));
    let summary = summary(&bytes).expect("a model");
    assert!(summary.producer.starts_with("pytorch"));
    assert_eq!(summary.opsets["ai.onnx"], 17);
    assert_eq!(summary.operators["BatchNormalization"], 2);
    assert!(summary.parameters > 13_706, "{}", summary.parameters);
}
