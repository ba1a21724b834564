//! The harness as a program, without network and without Python: a shell script plays the peers.
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const RECORDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/records.jsonl");
const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/models/digits_mlp");

/// Plays `python3`, its venv and pip, and the program that runs the peers. EZKL's setup is killed.
const PYTHON: &str = r#"#!/bin/sh
case "$1 $2" in
    "-m venv") mkdir -p "$3/bin" && exec cp "$0" "$3/bin/python" ;;
    "-m pip") exit 0 ;;
esac
case "$2 $3" in
    "ezkl setup") echo "making keys" >&2; kill -9 $$ ;;
    "ezkl srs") : > "$(dirname "$1")/kzg7.partial" ;;
esac
case "$2" in
    ezkl) echo '{"version":"1.2.3","seconds":0.5,"peak_bytes":1048576,"took":[],"logrows":7}' ;;
    onnxruntime)
        echo '{"version":"4.5.6"}'
        while read -r command; do
            case "$command" in
                '"outputs"') echo '{"outputs":[]}' ;;
                *) echo '{"one_thread_s":0.001,"same_threads_s":0.002,"peak_bytes":1048576}' ;;
            esac
        done ;;
esac
"#;

/// A directory that is removed with its owner.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("zkstrata-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("a directory for temporary files");
        Self(path)
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        fs::write(&path, text).expect("the directory can be written to");
        path.display().to_string()
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.0.join(name)).expect("the file was written")
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zkstrata-benches"));
    command.args(arguments).output().expect("the program runs")
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn wrong_arguments_end_with_status_2() {
    let out = Directory::new("arguments");
    let path = out.0.to_str().expect("UTF-8");
    let bad = out.file("bad.jsonl", "{\"schema\":1}\n");
    for (arguments, reason) in [
        (&["compare", "--out", path][..], "--models"),
        (
            &[
                "compare", "--models", "no-such", "--peers", "none", "--out", path,
            ],
            "no model `no-such`",
        ),
        (
            &[
                "compare", "--models", MODEL, "--peers", "jolt", "--out", path,
            ],
            "jolt",
        ),
        (
            &["compare", "--models", MODEL, "--runs", "0", "--out", path],
            "--runs",
        ),
        (
            &[
                "compare",
                "--models",
                MODEL,
                "--peer-timeout=-1",
                "--out",
                path,
            ],
            "positive",
        ),
        (&["compare", "--models", path, "--out", path], "no model"),
        (
            &["report", "--records", "no-such", "--out", path],
            "no-such",
        ),
        (
            &["report", "--records", &bad, "--out", path],
            "bad.jsonl:1: not a record",
        ),
        (&["report", "--records", RECORDS], "--out"),
        (
            &["report", "--records", RECORDS, "--out", path, "--check"],
            "--readme",
        ),
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let errors = errors(&output);
        assert!(errors.contains(reason), "{arguments:?}: {errors}");
    }
}

#[test]
fn a_readme_is_kept_in_step_with_its_records() {
    let out = Directory::new("readme");
    let readme = out.file(
        "README.md",
        "before\n<!-- measured:begin -->\nold\n<!-- measured:end -->\nafter\n",
    );
    let arguments = ["report", "--records", RECORDS, "--readme", &readme];
    let check = [&arguments[..], &["--check"]].concat();
    assert_eq!(run(&check).status.code(), Some(1));
    assert!(out.read("README.md").contains("old"));
    assert_eq!(run(&arguments).status.code(), Some(0));
    assert_eq!(run(&check).status.code(), Some(0));
    let text = out.read("README.md");
    assert!(text.starts_with("before\n") && text.ends_with("\nafter\n"));
    assert!(
        !text.contains("old") && text.contains("out of memory"),
        "{text}"
    );
    out.file("README.md", "no block\n");
    assert_eq!(run(&arguments).status.code(), Some(2));
}

#[test]
fn peers_are_installed_measured_and_may_fail() {
    let out = Directory::new("compare");
    let python = out.file("python", PYTHON);
    fs::set_permissions(&python, fs::Permissions::from_mode(0o755)).expect("it is ours");
    compare(&out.0, &python, "fast", "committed,public");
    let report = out.read("report.md");
    for text in [
        "zkstrata fast, committed weights",
        "zkstrata fast, public weights",
        "out of memory in setup (limit: the machine's memory)",
        "ezkl 1.2.3; onnxruntime 4.5.6",
        "| 1.50 s |",
    ] {
        assert!(report.contains(text), "no `{text}` in {report}");
    }
    assert!(out.read("report.html").contains("out of memory in setup"));
    let lines = out.read("records.jsonl").lines().count();
    // Two runs of two settings, of plain inference with one and two threads, and a failure.
    assert_eq!(lines, 2 * 2 + 2 * 2 + 1);

    // A second time, nothing is installed, and records are added. No Python at all is a failure of
    // each peer and stops nothing.
    compare(&out.0, "/no/such/python", "fast", "committed");
    assert_eq!(out.read("records.jsonl").lines().count(), lines + 2 + 4 + 1);
    let other = Directory::new("without");
    compare(&other.0, "/no/such/python", "accurate", "committed");
    let records = other.read("records.jsonl");
    assert_eq!(records.lines().count(), 1 + 2 + 1, "{records}");
    assert!(records.contains("--python names another interpreter"));
    assert!(other.read("report.md").contains("not available in install"));
}

fn compare(out: &Path, python: &str, profiles: &str, weights: &str) {
    let output = run(&[
        "compare",
        "--models",
        MODEL,
        "--runs",
        "2",
        "--threads",
        "2",
        "--python",
        python,
        "--profiles",
        profiles,
        "--weights",
        weights,
        "--out",
        out.to_str().expect("UTF-8"),
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
}
