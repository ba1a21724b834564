//! `zkstrata conformance`, on a checked-in digit classifier in EZKL's layout.

use crate::tool::{Folder, model};
use serde_json::{Value, json};
use std::fs;
use zkstrata::ndarray::{ArrayD, IxDyn};
use zkstrata::onnx_import::import;

/// Writes a case: the model, an input, and the float model's outputs, each cell changed by `off`.
fn case(folder: &Folder, name: &str, off: f32) {
    let path = folder.path(name);
    fs::create_dir_all(&path).expect("creates a folder");
    let bytes = fs::read(model("digits_mlp", "model.onnx")).expect("reads");
    let graph = import(&bytes).expect("a model");
    let inputs: Vec<ArrayD<f32>> = graph
        .inputs()
        .map(|value| {
            let shape = &graph.nodes()[value.0].shape;
            let cells = (0..shape.iter().product()).map(|i: usize| (i % 17) as f32 / 16.0);
            ArrayD::from_shape_vec(IxDyn(shape), cells.collect()).expect("as many cells")
        })
        .collect();
    let values = graph.run(&inputs).expect("runs");
    let outputs = graph.outputs().iter().map(|(name, value)| {
        let value = &values[value.0];
        json!({
            "name": name,
            "dtype": "float32",
            "shape": value.shape(),
            "data": value.iter().map(|x| x + off).collect::<Vec<_>>(),
        })
    });
    let outputs: Vec<Value> = outputs.collect();
    let rows: Vec<Vec<f32>> = inputs.iter().map(|x| x.iter().copied().collect()).collect();
    let write = |file: &str, value: Value| {
        fs::write(path.join(file), value.to_string()).expect("writes");
    };
    write("input.json", json!({ "input_data": rows }));
    write("ref_output.json", json!({ "outputs": outputs }));
    fs::write(path.join("network.onnx"), bytes).expect("writes");
}

#[test]
fn the_exit_status_says_whether_something_is_wrong() {
    let folder = Folder::new("conformance");
    case(&folder, "suite/good", 0.0);
    let good = folder.run(&["conformance", "suite", "--prove", "--json"]);
    let json = good.expect(0).json();
    assert_eq!(json["accepted"], true);
    assert_eq!(json["cases"][0]["outcome"], "passed");
    assert!(
        json["cases"][0]["prove_s"]
            .as_f64()
            .is_some_and(|s| s > 0.0)
    );
    assert_eq!(json["cases"][0]["name"], "good");
    assert_eq!(json["profiles"]["fast"]["float"]["passed"], 1);

    case(&folder, "suite/off", 1e3);
    let wrong = folder.run(&["conformance", "suite", "--jobs", "2", "--profile", "both"]);
    wrong.expect(1);
    for text in [
        "REJECTED: 2 wrong and 0 crashed cases",
        "wrong (accurate):\n  off: output",
    ] {
        assert!(wrong.stdout.contains(text), "{text}: {wrong:?}");
    }
    folder
        .run(&["conformance", "suite", "--only", "good"])
        .expect(0);
}

#[test]
fn a_case_that_never_ends_crashes_alone() {
    let folder = Folder::new("conformance_crash");
    case(&folder, "suite/a", 0.0);
    case(&folder, "suite/b", 0.0);
    let crashed = folder.run(&["conformance", "suite", "--timeout", "0.0001", "--json"]);
    let json = crashed.expect(1).json();
    assert_eq!(json["profiles"]["fast"]["counts"]["crashed"], 2);
    assert!(
        json["cases"][1]["reason"]
            .to_string()
            .contains("no end after")
    );
}

#[test]
fn refusals_are_no_rejection_and_bad_usage_is() {
    let folder = Folder::new("conformance_refused");
    case(&folder, "suite/a", 0.0);
    folder.write("suite/a/network.onnx", "not a model");
    let refused = folder.run(&["conformance", "suite"]);
    refused.expect(0);
    assert!(
        refused.stdout.contains("refused (fast):\n  a: "),
        "{refused:?}"
    );
    folder.run(&["conformance", "nothing"]).expect(2);
    folder
        .run(&["conformance", "suite", "--only", "b"])
        .expect(2);
    folder
        .run(&["conformance", "suite", "--profile", "slow"])
        .expect(2);
}
