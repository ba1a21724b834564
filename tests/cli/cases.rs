//! Small models with their inputs, and command lines for them.

use crate::tool::Folder;

// A string literal that is joined at compile time, which no function does.
macro_rules! file {
    ($file:literal) => {
        concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/cases/", $file)
    };
}

/// Two dense layers, of five features each.
pub(crate) const DENSE: &str = file!("dense.onnx");
pub(crate) const DENSE_CALIBRATION: &str = file!("dense_calibration.npy");
/// Four samples.
pub(crate) const DENSE_INPUT: &str = file!("dense_input.npy");
/// Four samples, and an array of texts.
pub(crate) const LABELS: &str = file!("labels.npz");
/// Three ids of a table of 100 rows; calibration has 0 to 49.
pub(crate) const IDS: &str = file!("ids.onnx");
pub(crate) const IDS_CALIBRATION: &str = file!("ids_calibration.npy");
/// `y = sin(1e6 x) / 2` of 16 cells, which no table of 2^16 rows has; the sine is named `wave`.
pub(crate) const WAVE: &str = file!("wave.onnx");
/// A layer with 6400 bytes of weights in `weights.bin`.
pub(crate) const EXTERNAL: &str = file!("external.onnx");

/// An average pool of integers that the model rounds itself, its input, and what onnxruntime makes of it.
pub(crate) const ROUNDED: &str = file!("rounded.onnx");
pub(crate) const ROUNDED_INPUT: &str = file!("rounded_input.npy");
pub(crate) const ROUNDED_OUTPUT: &str = file!("rounded_output.npy");

/// A folder of this name with keys of [`DENSE`] in `k`.
pub(crate) fn with_keys(name: &str) -> Folder {
    let folder = Folder::new(name);
    folder.run(&setup("k")).expect(0);
    folder
}

/// Arguments that make keys of [`DENSE`].
pub(crate) fn setup(out: &str) -> [&str; 6] {
    [
        "setup",
        DENSE,
        "--calibration",
        DENSE_CALIBRATION,
        "--out",
        out,
    ]
}

/// Arguments that prove a run with the keys in `k`.
pub(crate) fn prove<'a>(input: &'a str, out: &'a str) -> [&'a str; 7] {
    [
        "prove",
        "--pk",
        "k/model.zkpk",
        "--input",
        input,
        "--out",
        out,
    ]
}
