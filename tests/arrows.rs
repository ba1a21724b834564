//! The arrows between the workspace's crates: `mle <- pcs <- gkr -> model-ir <- onnx-import`, with
//! the facade and the benchmarks on top, and nothing else; between the floors of the importer, and
//! between the parts of the protocol.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The crates of the workspace that a crate may name in its manifest, but for its tests.
const ARROWS: [(&str, &[&str]); 10] = [
    ("zkstrata-mle", &[]),
    ("zkstrata-pcs", &["zkstrata-mle"]),
    ("zkstrata-model-ir", &[]),
    (
        "zkstrata-gkr",
        &["zkstrata-mle", "zkstrata-pcs", "zkstrata-model-ir"],
    ),
    ("zkstrata-onnx-import", &["zkstrata-model-ir"]),
    ("zkstrata-zoo", &["zkstrata-onnx-import"]),
    (
        "zkstrata-conformance",
        &["zkstrata-gkr", "zkstrata-model-ir", "zkstrata-onnx-import"],
    ),
    (
        "zkstrata",
        &[
            "zkstrata-conformance",
            "zkstrata-gkr",
            "zkstrata-model-ir",
            "zkstrata-onnx-import",
            "zkstrata-pcs",
        ],
    ),
    (
        "zkstrata-benches",
        &[
            "zkstrata",
            "zkstrata-conformance",
            "zkstrata-mle",
            "zkstrata-pcs",
            "zkstrata-gkr",
            "zkstrata-model-ir",
            "zkstrata-onnx-import",
            "zkstrata-zoo",
        ],
    ),
    ("zkstrata-mutants", &[]),
];

/// Only these crates may name a crate of Plonky3.
const PLONKY3: [&str; 2] = ["zkstrata-mle", "zkstrata-pcs"];

/// The folders of the importer; each may use those before it.
const FLOORS: [&str; 5] = ["decode", "scope", "write", "ops", "import"];

/// What the parts of the protocol in `gkr` may use of each other: plans know no protocol, and
/// lookups and the linear part meet in claims.
const PROTOCOL: [(&str, &[&str]); 10] = [
    ("port", &[]),
    ("error", &[]),
    ("plan", &[]),
    ("claim", &["port"]),
    ("tensor", &[]),
    ("linear", &["claim", "error", "plan", "tensor"]),
    ("publics", &["plan"]),
    (
        "lookup",
        &["claim", "error", "plan", "publics", "tensor", "witness"],
    ),
    (
        "form",
        &[
            "claim",
            "commitment",
            "constants",
            "dry",
            "error",
            "linear",
            "options",
            "plan",
            "port",
        ],
    ),
    ("prepared", &["error", "form", "options", "security"]),
];

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .args(["--locked", "--manifest-path"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .output()
        .expect("cargo runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8(output.stdout).expect("cargo prints UTF-8")
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().expect("a list").iter()
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a string")
}

#[test]
fn crates_depend_only_along_the_arrows() {
    let metadata = cargo(&["metadata", "--format-version", "1", "--no-deps"]);
    let metadata: Value = serde_json::from_str(&metadata).expect("JSON");
    let allowed: BTreeMap<&str, &[&str]> = ARROWS.into();
    let mut seen = BTreeSet::new();
    for package in list(&metadata["packages"]) {
        let name = text(&package["name"]);
        seen.insert(name.to_owned());
        let allowed = allowed
            .get(name)
            .unwrap_or_else(|| panic!("{name} has no arrows yet: add it to this test"));
        for dependency in list(&package["dependencies"]) {
            let other = text(&dependency["name"]);
            // Tests may name any crate.
            let ours = other.starts_with("zkstrata") && dependency["kind"] != "dev";
            assert!(!ours || allowed.contains(&other), "{name} -> {other}");
            let plonky3 = other.starts_with("p3-");
            assert!(!plonky3 || PLONKY3.contains(&name), "{name} -> {other}");
        }
    }
    let expected: BTreeSet<String> = allowed.keys().map(|&name| name.to_owned()).collect();
    assert_eq!(seen, expected);
}

/// Plonky3 brings threads only through its `parallel` features, which the verifier leaves off.
#[test]
fn the_verifier_has_no_threads_and_no_arrays() {
    for package in ["zkstrata-gkr", "zkstrata"] {
        let tree = cargo(&[
            "tree",
            "--package",
            package,
            "--no-default-features",
            "--edges",
            "normal",
            "--prefix",
            "none",
        ]);
        let found: BTreeSet<&str> = tree.lines().filter_map(|l| l.split(' ').next()).collect();
        assert!(found.contains("zkstrata-pcs"), "{tree}");
        for banned in [
            "rayon",
            "ndarray",
            "clap",
            "prost",
            "zkstrata-onnx-import",
            "zkstrata-conformance",
        ] {
            assert!(!found.contains(banned), "{package} needs {banned}:\n{tree}");
        }
    }
}

/// The source files below a folder.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let files = paths.flat_map(|path| {
        if path.is_dir() {
            sources(&path)
        } else {
            vec![path]
        }
    });
    files.collect()
}

#[test]
fn the_importer_stands_on_its_floors() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("onnx-import/src");
    for (height, floor) in FLOORS.iter().enumerate() {
        let files = sources(&root.join(floor));
        assert!(!files.is_empty(), "{floor} has files");
        for file in files {
            let text = std::fs::read_to_string(&file).expect("a text");
            for above in &FLOORS[height + 1..] {
                let used = text.contains(&format!("crate::{above}"));
                assert!(!used, "{} uses {above}", file.display());
            }
        }
    }
}

/// The modules of its crate that a file names, but for its tests.
fn named(file: &Path) -> BTreeSet<String> {
    let text = std::fs::read_to_string(file).expect("a text");
    let code = text.split("#[cfg(test)]").next().expect("a part");
    let code = code.split("#[cfg(all(test").next().expect("a part");
    let name = |rest: &str| -> String {
        let letters = rest.chars();
        letters
            .take_while(|c| c.is_ascii_lowercase() || *c == '_')
            .collect()
    };
    code.split("crate::").skip(1).map(name).collect()
}

#[test]
fn the_protocol_stands_on_plans_and_claims() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("gkr/src");
    for (module, allowed) in PROTOCOL {
        let (file, folder) = (root.join(format!("{module}.rs")), root.join(module));
        let files = if file.exists() {
            vec![file]
        } else {
            sources(&folder)
        };
        for file in files {
            for other in named(&file) {
                let own = other == module;
                let allowed = own || allowed.contains(&other.as_str());
                assert!(allowed, "{} uses `{other}`", file.display());
            }
        }
    }
}
