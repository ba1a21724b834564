//! Weights in files beside the model.

use candle_onnx::onnx::StringStringEntryProto;
use zkstrata_onnx_import::import_file;

use crate::build::encode;
use crate::common;
use crate::refusals::{assert_error, one, refuse};

#[test]
fn external_data() {
    let folder = std::env::temp_dir().join(format!("zkstrata-import-{}", std::process::id()));
    std::fs::create_dir_all(folder.join("inner")).expect("a temporary folder");
    let cells: Vec<u8> = (0..20).flat_map(|i| (i as f32).to_le_bytes()).collect();
    std::fs::write(folder.join("inner/weights.bin"), &cells).expect("written");
    let with = |entries: &[(&str, &str)]| {
        let mut model = one("MatMul", &["x", "w"], vec![]);
        let weight = &mut model.graph.as_mut().expect("has a graph").initializer[0];
        weight.raw_data.clear();
        weight.data_location = 1;
        weight.external_data = entries
            .iter()
            .map(|&(key, value)| StringStringEntryProto {
                key: key.into(),
                value: value.into(),
            })
            .collect();
        std::fs::write(folder.join("model.onnx"), encode(&model)).expect("written");
        (model, import_file(&folder.join("model.onnx")))
    };
    let location = ("location", "inner/weights.bin");
    let (model, imported) = with(&[location, ("offset", "16"), ("length", "64")]);
    let graph = imported.expect("inside the file");
    let inputs = [ndarray::arr2(&[[1.0, 0.0, 0.0, 0.0]]).into_dyn()];
    let output = common::run(&graph, &inputs).remove(0);
    assert_eq!(output.into_raw_vec_and_offset().0, [4.0, 5.0, 6.0, 7.0]);
    assert_error(&refuse(&model), "ExternalData", "import_file");

    let bad = |entries: &[(&str, &str)], expected: &str| {
        let error = with(entries).1.expect_err(expected);
        assert_error(&error, "ExternalData", expected);
    };
    bad(&[], "no location");
    bad(&[location, ("offset", "17")], "exceed");
    bad(&[location, ("offset", "18446744073709551615")], "exceed");
    bad(&[location, ("offset", "-1")], "not a number");
    bad(&[location, ("length", "60")], "declares 60");
    bad(&[location, location], "twice");
    bad(&[location, ("mode", "fast")], "unknown key");
    bad(&[("location", "absent.bin")], "cannot read");
    bad(&[("location", "inner")], "");
    bad(
        &[("location", "../weights.bin")],
        "inside the model's directory",
    );
    bad(
        &[("location", "inner/../inner/weights.bin")],
        "inside the model's directory",
    );
    bad(
        &[("location", "/etc/hostname")],
        "inside the model's directory",
    );
    #[cfg(unix)]
    {
        let link = folder.join("link.bin");
        std::os::unix::fs::symlink("/etc", link).expect("a link");
        bad(
            &[("location", "link.bin/hostname")],
            "copy the model and its data into one directory",
        );
    }
    std::fs::remove_dir_all(&folder).expect("removed");
}

/// Model and weights as links into one folder of files that are named by their hashes.
#[cfg(unix)]
#[test]
fn linked_external_data() {
    use std::os::unix::fs::symlink;
    let root = std::env::temp_dir().join(format!("zkstrata-links-{}", std::process::id()));
    for folder in ["blobs", "snapshots/one", "elsewhere"] {
        std::fs::create_dir_all(root.join(folder)).expect("a temporary folder");
    }
    let mut model = one("MatMul", &["x", "w"], vec![]);
    let weight = &mut model.graph.as_mut().expect("has a graph").initializer[0];
    weight.raw_data.clear();
    weight.data_location = 1;
    weight.external_data = vec![StringStringEntryProto {
        key: "location".into(),
        value: "weights.bin".into(),
    }];
    std::fs::write(root.join("blobs/aa"), encode(&model)).expect("written");
    let cells: Vec<u8> = (0..16).flat_map(|i| (i as f32).to_le_bytes()).collect();
    for file in ["blobs/bb", "elsewhere/bb"] {
        std::fs::write(root.join(file), &cells).expect("written");
    }
    let snapshot = root.join("snapshots/one");
    let (path, weights) = (snapshot.join("model.onnx"), snapshot.join("weights.bin"));
    let link = |target: &str, name: &std::path::Path| {
        // It may be there already.
        let _ = std::fs::remove_file(name);
        symlink(target, name).expect("a link");
    };
    let refused = |why: &str| {
        let error = import_file(&path).expect_err(why);
        assert_error(&error, "ExternalData", why);
    };

    link("../../blobs/aa", &path);
    refused("cannot read");
    link("../../blobs/bb", &weights);
    import_file(&path).expect("both are in the same folder");
    for target in [
        "../../elsewhere/bb",
        "/etc/hostname",
        "../../../../../../../etc/passwd",
    ] {
        link(target, &weights);
        refused("");
    }
    link("../../elsewhere/bb", &weights);
    refused("copy the model and its data into one directory");
    // The weights lie beside the file that the model links to.
    std::fs::remove_file(&weights).expect("removed");
    link("bb", &root.join("blobs/weights.bin"));
    import_file(&path).expect("beside the real file");

    // A model that is no link itself reads from its own directory only.
    std::fs::remove_file(&path).expect("removed");
    std::fs::copy(root.join("blobs/aa"), &path).expect("copied");
    refused("cannot read");
    link("../../blobs/bb", &weights);
    refused("copy the model and its data into one directory");
    std::fs::remove_dir_all(&root).expect("removed");
}
