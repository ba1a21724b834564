//! Models: `NAME/model.onnx`, `NAME/io.npz` with an input and onnxruntime's answer, and for some
//! `NAME/calib.npz` and `NAME/test.npz` with labels. Small ones are in the repository, large ones in
//! the suites that the environment variable `ZKSTRATA_SUITES` names (CONTRIBUTING.md).

use ndarray_npy::{NpzReader, ReadableElement};
use std::fs::File;
use std::path::{Path, PathBuf};
use zkstrata::model_ir::float::Graph;
use zkstrata::model_ir::quantise::{Calibration, unstack};
use zkstrata::ndarray::{ArrayD, IxDyn, OwnedRepr};
use zkstrata::onnx_import;

/// Test inputs that calibrate a model without calibration data.
const CALIBRATION: usize = 32;

/// Arrays by model input.
pub(crate) type Sample = Vec<ArrayD<f32>>;

/// A model and what is stored beside it.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) folder: PathBuf,
    pub(crate) graph: Graph,
    /// The input that has an answer.
    pub(crate) input: Sample,
    pub(crate) calibration: Calibration,
    /// Test inputs; none without a test set.
    pub(crate) tests: Vec<Sample>,
}

/// The folder of a model of the repository.
pub(crate) fn stored(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = ["tests/models", "examples/models"].map(|folder| root.join(folder).join(name));
    let found = folders.into_iter().find(|folder| folder.is_dir());
    found.unwrap_or_else(|| panic!("{name} is no model of the repository"))
}

/// The models of the suites.
pub(crate) fn suite() -> PathBuf {
    let suites = std::env::var_os("ZKSTRATA_SUITES");
    let suites = suites.expect("ZKSTRATA_SUITES is the folder of the suites, see CONTRIBUTING.md");
    PathBuf::from(suites).join("models")
}

impl Case {
    pub(crate) fn read(folder: PathBuf) -> Self {
        let name = folder.file_name().expect("a name").to_string_lossy();
        let name = name.into_owned();
        let graph = onnx_import::import_file(&folder.join("model.onnx"))
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let input = graph.inputs().map(|value| {
            let input = format!("in_{}", graph.nodes()[value.0].name);
            array(&folder.join("io.npz"), &input)
        });
        let input = input.collect();
        let stacked = |file: &str| {
            let path = folder.join(file);
            path.exists().then(|| vec![array(&path, "x")])
        };
        let tests = stacked("test.npz").map_or(vec![], |x| unstack(&graph, &x).expect("fits"));
        let calibration = match stacked("calib.npz") {
            Some(x) => Calibration::from_stacked(&graph, &x).expect("fits"),
            None if tests.is_empty() => Calibration::from_samples(vec![Sample::clone(&input)]),
            None => Calibration::from_samples(tests[..CALIBRATION.min(tests.len())].to_vec()),
        };
        Self {
            name,
            folder,
            graph,
            input,
            calibration,
            tests,
        }
    }

    /// The stored answer of the output.
    pub(crate) fn answer(&self, output: &str) -> ArrayD<f32> {
        array(&self.folder.join("io.npz"), &format!("out_{output}"))
    }

    /// The labels of the test inputs, in order.
    pub(crate) fn labels(&self) -> Vec<usize> {
        let labels = array(&self.folder.join("test.npz"), "y");
        labels.iter().map(|&label| label as usize).collect()
    }
}

/// An array of floats or integers.
fn array(path: &Path, name: &str) -> ArrayD<f32> {
    fn read<T: ReadableElement>(path: &Path, name: &str) -> Option<ArrayD<T>> {
        let file = File::open(path).expect("the file exists");
        let mut npz = NpzReader::new(file).expect("an npz file");
        npz.by_name::<OwnedRepr<T>, IxDyn>(name).ok()
    }
    let integers = || Some(read::<i64>(path, name)?.mapv(|x| x as f32));
    read(path, name)
        .or_else(integers)
        .unwrap_or_else(|| panic!("{}: no array {name} of f32 or i64", path.display()))
}
