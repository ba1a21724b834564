//! Runs the built tool in a folder of its own.

use ndarray_npy::WriteNpyExt;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use zkstrata::ndarray::Array1;

/// An empty folder for one test.
pub(crate) struct Folder(PathBuf);

/// What a run printed, and its exit status.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    status: Option<i32>,
}

/// A file of a checked-in model.
pub(crate) fn model(name: &str, file: &str) -> String {
    let models = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/models");
    format!("{models}/{name}/{file}")
}

/// A `.npy` file of one row.
pub(crate) fn npy(cells: &[f32]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let array = Array1::from(cells.to_vec());
    array.write_npy(&mut bytes).expect("memory takes all");
    bytes
}

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        if path.exists() {
            fs::remove_dir_all(&path).expect("removes what an earlier run left");
        }
        fs::create_dir_all(&path).expect("creates a folder");
        Self(path)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("writes");
    }

    /// The exit status of a run with other streams.
    pub(crate) fn run_with(
        &self,
        arguments: &[&str],
        streams: impl FnOnce(&mut Command) -> &mut Command,
    ) -> Option<i32> {
        let mut command = self.command(arguments);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let status = streams(&mut command).status().expect("the tool starts");
        status.code()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_zkstrata"));
        command.args(arguments).current_dir(&self.0);
        command
    }

    /// Makes keys of the calibrated digit classifier in a folder.
    pub(crate) fn setup(&self, out: &str, options: &[&str]) -> Run {
        let [onnx, calibration] = ["model.onnx", "calib.npz"].map(|f| model("digits_mlp", f));
        let setup = ["setup", &onnx, "--calibration", &calibration, "--out", out];
        self.run(&[&setup[..], options].concat())
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        let output = self.command(arguments).output().expect("the tool starts");
        Run {
            stdout: String::from_utf8(output.stdout).expect("UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("UTF-8"),
            status: output.status.code(),
        }
    }
}

impl Run {
    /// Asserts the exit status.
    pub(crate) fn expect(&self, status: i32) -> &Self {
        assert_eq!(self.status, Some(status), "{self:?}");
        self
    }

    /// The one JSON object that was printed.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}
