//! `zkstrata estimate`.

use crate::tool::{Folder, model};
use prost::Message;
use zkstrata::onnx_import::proto::tensor_shape_proto::dimension;
use zkstrata::onnx_import::proto::{ModelProto, type_proto::Value};

const KEYS: [&str; 10] = [
    "prove_s",
    "setup_s",
    "verify_s",
    "stages",
    "peak_bytes",
    "proof_bytes",
    "pk_bytes",
    "vk_bytes",
    "batch",
    "threads",
];

#[test]
fn an_estimate_says_everything() {
    let folder = Folder::new("estimate");
    let [onnx, calibration] = ["model.onnx", "calib.npz"].map(|f| model("digits_cnn", f));
    let json = folder.run(&["estimate", &onnx, "--json"]).expect(0).json();
    for key in KEYS {
        assert!(!json[key].is_null(), "{key}: {json}");
    }
    assert_eq!(json["calibration"], "synthetic");
    assert!(json.get("available_bytes").is_some());
    for stage in ["run", "witness", "commit", "lookup", "linear", "open"] {
        let seconds = json["stages"][stage].as_f64();
        assert!(seconds.is_some_and(|s| s > 0.0), "{stage}: {json}");
    }

    let options = [
        "estimate",
        &onnx,
        "--calibration",
        &calibration,
        "--profile",
        "accurate",
        "--weights",
        "public",
        "--batch",
        "4",
        "--threads",
        "1",
    ];
    let json = [&options[..], &["--json"]].concat();
    let json = folder.run(&json).expect(0).json();
    assert_eq!(
        (&json["calibration"], &json["weights"]),
        (&"file".into(), &"public".into())
    );
    assert_eq!((&json["batch"], &json["bits"]), (&4.into(), &12.into()));
    assert_eq!(json["threads"], 1);
    let text = folder.run(&options);
    text.expect(0);
    for name in ["prove ", "peak memory", "proof ", "verifying key"] {
        assert!(text.stdout.contains(name), "{name}: {text:?}");
    }
}

#[test]
fn bad_models_are_refused() {
    let folder = Folder::new("estimate_bad");
    let missing = folder.run(&["estimate", "nothing.onnx", "--json"]);
    assert!(missing.expect(2).json()["error"].is_string());
    std::fs::write(folder.path("text.onnx"), "not a model").expect("writes");
    folder.run(&["estimate", "text.onnx"]).expect(2);
    let onnx = model("digits_mlp", "model.onnx");
    folder
        .run(&["estimate", &onnx, "--batch", "1000000000"])
        .expect(2);
    folder.run(&["estimate", &onnx, "--batch", "0"]).expect(2);
}

#[test]
fn the_importer_says_what_it_does_not_support() {
    let folder = Folder::new("estimate_unsupported");
    let mut bytes = std::fs::read(model("digits_mlp", "model.onnx")).expect("reads");
    let at: Vec<usize> = (0..bytes.len() - 4)
        .filter(|&i| &bytes[i..i + 4] == b"Relu")
        .collect();
    for i in at {
        bytes[i..i + 4].copy_from_slice(b"Rope");
    }
    std::fs::write(folder.path("rope.onnx"), bytes).expect("writes");
    let estimated = folder.run(&["estimate", "rope.onnx", "--json"]);
    let error = estimated.expect(2).json()["error"].to_string();
    assert!(error.contains("zkstrata operators"), "{error}");
    let set_up = folder.run(&["setup", "rope.onnx", "--out", "keys", "--json"]);
    assert_eq!(error, set_up.expect(2).json()["error"].to_string());
}

/// An input with a second axis of symbolic length, and how to say what it is.
#[test]
fn dynamic_axes_and_settings_are_options() {
    let folder = Folder::new("estimate_options");
    let bytes = std::fs::read(model("digits_mlp", "model.onnx")).expect("reads");
    let mut dynamic = ModelProto::decode(&*bytes).expect("a model");
    let graph = dynamic.graph.as_mut().expect("has a graph");
    let input = graph.input[0].name.clone();
    let Some(Value::TensorType(tensor)) = graph.input[0]
        .r#type
        .as_mut()
        .and_then(|t| t.value.as_mut())
    else {
        panic!("the input is a tensor");
    };
    let axes = &mut tensor.shape.as_mut().expect("has a shape").dim;
    let last = axes.len() - 1;
    let Some(dimension::Value::DimValue(n)) = axes[last].value else {
        panic!("the last axis is fixed");
    };
    axes[last].value = Some(dimension::Value::DimParam("pixels".into()));
    std::fs::write(folder.path("dynamic.onnx"), dynamic.encode_to_vec()).expect("writes");
    let refused = folder.run(&["estimate", "dynamic.onnx", "--json"]);
    let error = refused.expect(2).json()["error"].to_string();
    assert!(error.contains(&format!("--shape {input}=")), "{error}");
    let pixels = format!("pixels={n}");
    let whole = format!("{input}=1,{n}");
    for command in ["estimate", "inspect"] {
        for shape in [&pixels, &whole] {
            folder
                .run(&[command, "dynamic.onnx", "--shape", shape])
                .expect(0);
        }
    }
    let samples = model("digits_mlp", "io.npz");
    let taken = folder.run(&["check", "dynamic.onnx", "--input", &samples, "--json"]);
    let notes = taken.expect(0).json()["notes"].to_string();
    assert!(notes.contains(&format!("the shape [1, {n}]")), "{notes}");
    for wrong in [
        ["--shape", "other=3"],
        ["--shape", "pixels"],
        ["--constant", "rate=1"],
    ] {
        folder
            .run(&[&["estimate", "dynamic.onnx"], &wrong[..]].concat())
            .expect(2);
    }
    // Made a constant, the only input leaves nothing to prove.
    let constant = format!("{input}=0.5");
    let options = ["--shape", &pixels, "--constant", &constant];
    let inspected = folder.run(&[&["inspect", "dynamic.onnx", "--json"], &options[..]].concat());
    assert_eq!(inspected.expect(0).json()["inputs"], serde_json::json!([]));
}
