//! Small models written for the purpose, run in this process: each outcome, and the JSON form.

use clap::Parser;
use ndarray::{ArrayD, arr2};
use ndarray_npy::WriteNpyExt;
use prost::Message;
use std::fs;
use std::path::{Path, PathBuf};
use zkstrata_conformance::{Case, Conformance, Outcome, Report, Stage, run};
use zkstrata_onnx_import::proto::{
    GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TensorShapeProto,
    TypeProto, ValueInfoProto, tensor_proto::DataType, tensor_shape_proto::Dimension,
    tensor_shape_proto::dimension::Value as DimensionValue, type_proto,
};

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    conformance: Conformance,
}

/// An empty folder of this test's own.
fn folder(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    if path.exists() {
        fs::remove_dir_all(&path).expect("removes what an earlier run left");
    }
    fs::create_dir_all(&path).expect("creates a folder");
    path
}

fn report(folder: &Path, options: &[&str]) -> Report {
    let path = folder.to_str().expect("UTF-8");
    let arguments = [&["", "--in-process", path], options].concat();
    let arguments = Arguments::try_parse_from(arguments).expect("usage");
    run(&arguments.conformance, None).expect("cases")
}

/// The only case of a report.
fn only(report: &Report) -> &Case {
    let [case] = report.cases() else {
        panic!("{report}");
    };
    case
}

/// A float tensor of rows of two cells, whose number is free.
fn declare(name: &str) -> ValueInfoProto {
    let axis = |value| Dimension {
        value: Some(value),
        ..Dimension::default()
    };
    let count = axis(DimensionValue::DimParam("n".into()));
    let cells = axis(DimensionValue::DimValue(2));
    let tensor = type_proto::Tensor {
        elem_type: DataType::Float as i32,
        shape: Some(TensorShapeProto {
            dim: vec![count, cells],
        }),
    };
    ValueInfoProto {
        name: name.into(),
        r#type: Some(TypeProto {
            value: Some(type_proto::Value::TensorType(tensor)),
            ..TypeProto::default()
        }),
        ..ValueInfoProto::default()
    }
}

/// A model `y = operator(x)`.
fn model(operator: &str) -> Vec<u8> {
    let node = NodeProto {
        input: vec!["x".into()],
        output: vec!["y".into()],
        op_type: operator.into(),
        ..NodeProto::default()
    };
    let graph = GraphProto {
        name: operator.into(),
        node: vec![node],
        input: vec![declare("x")],
        output: vec![declare("y")],
        ..GraphProto::default()
    };
    let model = ModelProto {
        ir_version: 8,
        opset_import: vec![OperatorSetIdProto {
            domain: String::new(),
            version: 13,
        }],
        graph: Some(graph),
        ..ModelProto::default()
    };
    model.encode_to_vec()
}

/// A case of ONNX's operator tests with its arrays in `.npy` files.
fn arrays(folder: &Path, model: &[u8], input: &ArrayD<f32>, output: &ArrayD<f32>) {
    fs::create_dir_all(folder).expect("creates a folder");
    fs::write(folder.join("model.onnx"), model).expect("writes");
    for (name, array) in [("in_0.npy", input), ("out_0.npy", output)] {
        let mut bytes = Vec::new();
        array.write_npy(&mut bytes).expect("memory takes all");
        fs::write(folder.join(name), bytes).expect("writes");
    }
}

fn x() -> ArrayD<f32> {
    arr2(&[[0.5, -1.0], [0.25, 1.0], [-0.5, 0.0]]).into_dyn()
}

fn relu() -> ArrayD<f32> {
    x().mapv(|x| x.max(0.0))
}

#[test]
fn a_batch_passes_and_is_proven() {
    let folder = folder("passes");
    arrays(
        &folder.join("node/test_relu"),
        &model("Relu"),
        &x(),
        &relu(),
    );
    let report = report(&folder, &["--prove", "--profile", "both"]);
    assert_eq!(report.fault(), None, "{report}");
    assert_eq!(report.cases().len(), 2);
    for case in report.cases() {
        assert_eq!(case.outcome, Outcome::Passed, "{report}");
        assert_eq!((&*case.name, &*case.row), ("node/test_relu", "Relu"));
        assert_eq!(case.float_outputs, Some(true));
        assert!(case.max_relative_error.is_some_and(|error| error < 1e-2));
        assert!(case.figures.proof_bytes.is_some_and(|bytes| bytes > 0));
        assert!(case.figures.verify_s.is_some());
    }
    let json = report.json();
    assert_eq!(json["profiles"]["fast"]["counts"]["passed"], 1);
    assert_eq!(json["profiles"]["accurate"]["float"]["percent"], 100.0);
    assert_eq!(json["profiles"]["fast"]["rows"]["Relu"]["passed"], 1);
    assert_eq!(json["cases"][0]["outcome"], "passed");
    assert_eq!(json["cases"][1]["profile"], "accurate");
}

#[test]
fn other_values_names_and_shapes_are_wrong() {
    let folder = folder("wrong");
    let relu_model = model("Relu");
    let off = relu().mapv(|y| y + 0.02);
    arrays(&folder.join("value"), &relu_model, &x(), &off);
    let flat = relu().into_shape_with_order(vec![6]).expect("six cells");
    arrays(&folder.join("shape"), &relu_model, &x(), &flat);
    let wild = relu().mapv(|_| f32::NAN);
    arrays(&folder.join("wild"), &relu_model, &x(), &wild);
    fs::create_dir_all(folder.join("name")).expect("creates a folder");
    let write = |name: &str, bytes: &[u8]| {
        fs::write(folder.join("name").join(name), bytes).expect("writes");
    };
    write("network.onnx", &relu_model);
    write("input.json", br#"{"input_data": [[0.5, -1.0]]}"#);
    write(
        "ref_output.json",
        br#"{"outputs": [{"name": "z", "dtype": "float32", "shape": [1, 2], "data": [0.5, 0]}]}"#,
    );
    let report = report(&folder, &[]);
    assert_eq!(report.cases().len(), 4);
    for case in report.cases() {
        let ended = (case.outcome, case.stage);
        assert_eq!(ended, (Outcome::Wrong, Some(Stage::Compare)), "{report}");
    }
    assert_eq!(
        report.fault().as_deref(),
        Some("4 wrong and 0 crashed cases")
    );
    for text in [
        "shape [3, 2], expected [6]",
        "`z` is missing",
        "relative error of 1.9",
    ] {
        assert!(report.to_string().contains(text), "{text}: {report}");
    }
}

#[test]
fn what_cannot_be_run_is_refused_with_its_reason() {
    let folder = folder("refused");
    arrays(&folder.join("Loop/test"), &model("Loop"), &x(), &relu());
    arrays(&folder.join("junk/test"), b"no model", &x(), &relu());
    let column = arr2(&[[0.5_f32], [1.0]]).into_dyn();
    arrays(
        &folder.join("column/test"),
        &model("Relu"),
        &column,
        &column,
    );
    let missing = folder.join("missing/test");
    arrays(&missing, &model("Relu"), &x(), &relu());
    fs::remove_file(missing.join("in_0.npy")).expect("removes");
    let refused = report(&folder, &["--prove"]);
    assert_eq!(refused.fault(), None, "{refused}");
    let stages: Vec<_> = refused.cases().iter().map(|case| case.stage).collect();
    let read = Some(Stage::Read);
    assert_eq!(stages, [Some(Stage::Import), read, read, read], "{refused}");
    for case in refused.cases() {
        assert_eq!(case.outcome, Outcome::Refused, "{refused}");
        assert!(
            case.reason
                .as_ref()
                .is_some_and(|reason| !reason.is_empty())
        );
    }
    let some = report(&folder, &["--only", "Loop/", "--only", "junk"]);
    assert_eq!(some.cases().len(), 2);
}

#[test]
fn all_three_layouts_are_found() {
    let folder = folder("layouts");
    let relu_model = model("Relu");
    let messages = folder.join("test_relu");
    fs::create_dir_all(messages.join("test_data_set_0")).expect("creates a folder");
    fs::write(messages.join("model.onnx"), &relu_model).expect("writes");
    for (name, array) in [("input_0.pb", x()), ("output_0.pb", relu())] {
        let tensor = TensorProto {
            dims: vec![3, 2],
            data_type: DataType::Float as i32,
            float_data: array.into_iter().collect(),
            ..TensorProto::default()
        };
        let path = messages.join("test_data_set_0").join(name);
        fs::write(path, tensor.encode_to_vec()).expect("writes");
    }
    let network = folder.join("network");
    fs::create_dir_all(&network).expect("creates a folder");
    fs::write(network.join("network.onnx"), &relu_model).expect("writes");
    let input = r#"{"input_data": [[0.5, -1.0, 0.25, 1.0]], "input_shapes": [[2]]}"#;
    fs::write(network.join("input.json"), input).expect("writes");
    let output = r#"{"outputs": [{"name": "y", "dtype": "float32", "shape": [2, 2],
                     "data": [0.5, 0, 0.25, 1]}]}"#;
    fs::write(network.join("ref_output.json"), output).expect("writes");
    arrays(&folder.join("plain"), &relu_model, &x(), &relu());
    let report = report(&folder, &[]);
    let names: Vec<_> = report.cases().iter().map(|c| (&*c.name, &*c.row)).collect();
    let rows = [
        ("network", "network"),
        ("plain", "Relu"),
        ("test_relu", "Relu"),
    ];
    assert_eq!(names, rows);
    assert_eq!(report.fault(), None, "{report}");
    // A case is a suite of one.
    let alone = only(&self::report(&network, &[])).clone();
    assert_eq!((&*alone.name, alone.outcome), ("", Outcome::Passed));
}

#[test]
fn inputs_become_constants_unless_forbidden() {
    let folder = folder("constants");
    let mut proto = ModelProto::decode(&*model("MatMul")).expect("a model");
    let graph = proto.graph.as_mut().expect("a graph");
    graph.node[0].input.push("w".into());
    graph.input.push(declare("w"));
    arrays(&folder, &proto.encode_to_vec(), &x(), &relu());
    let w = arr2(&[[1.0_f32, 0.0], [1.0, 1.0]]).into_dyn();
    let y = arr2(&[[-0.5_f32, -1.0], [1.25, 1.0], [-0.5, 0.0]]).into_dyn();
    for (name, array) in [("in_1.npy", &w), ("out_0.npy", &y)] {
        let mut bytes = Vec::new();
        array.write_npy(&mut bytes).expect("memory takes all");
        fs::write(folder.join(name), bytes).expect("writes");
    }
    let free = report(&folder, &["--no-constants"]);
    assert!(only(&free).constants.is_empty(), "{free}");
    let fixed = report(&folder, &[]);
    if only(&free).outcome == Outcome::Refused {
        assert_eq!(only(&fixed).constants, ["w"]);
    }
    assert_eq!(only(&fixed).outcome, Outcome::Passed, "{fixed}");
}

#[test]
fn integers_must_be_exact() {
    let folder = folder("integers");
    let integers = arr2(&[[3_i64, -7]]).into_dyn();
    let case = |name: &str, expected: &ArrayD<i64>| {
        let folder = folder.join(name);
        arrays(&folder, &model("Relu"), &x(), &relu());
        for (name, array) in [("in_0.npy", &integers), ("out_0.npy", expected)] {
            let mut bytes = Vec::new();
            array.write_npy(&mut bytes).expect("memory takes all");
            fs::write(folder.join(name), bytes).expect("writes");
        }
        only(&report(&folder, &[])).clone()
    };
    let exact = case("exact", &arr2(&[[3, 0]]).into_dyn());
    assert_eq!(
        (exact.outcome, exact.float_outputs),
        (Outcome::Passed, Some(false))
    );
    let off = case("off", &arr2(&[[3, 1]]).into_dyn());
    assert_eq!(off.outcome, Outcome::Wrong);
}

#[test]
fn a_folder_without_cases_is_an_error() {
    let folder = folder("empty");
    let path = folder.to_str().expect("UTF-8");
    for arguments in [["", path], ["", "/nowhere/at/all"]] {
        let arguments = Arguments::try_parse_from(arguments).expect("usage");
        assert!(run(&arguments.conformance, None).is_err());
    }
    for bad in [
        &["", path, "--timeout", "0"][..],
        &["", path, "--jobs", "0"],
        &[""],
    ] {
        assert!(Arguments::try_parse_from(bad).is_err(), "{bad:?}");
    }
}
