//! Models to compare on, each with its inputs.
//!
//! A model is given by its name in the zoo, by the path of an ONNX file, or by a directory that
//! holds `model.onnx` and inputs: `input.npz` or `io.npz` with an array `in_NAME` for every input
//! NAME, or `test.npz` with an array `x` of many; `calib.npz` fixes the ranges of the activations.

use crate::arrays::{self, Sample};
use crate::failure::{Context, Failure};
use crate::record::Model;
use ndarray::{ArrayD, Axis};
use std::fs;
use std::path::{Path, PathBuf};
use zkstrata::model_ir::float::Graph;
use zkstrata::model_ir::quantise::{Calibration, unstack};
use zkstrata::onnx_import;

/// Seed of made-up inputs; calibration takes [`CALIBRATION_SEED`].
const SEED: u64 = 2;
const CALIBRATION_SEED: u64 = 1;
/// Samples that fix the ranges of a model of the zoo.
const CALIBRATION: usize = 32;

/// A model and its inputs.
#[derive(Debug)]
pub(crate) struct Case {
    /// What records say of it.
    pub(crate) model: Model,
    /// The ONNX file.
    pub(crate) path: PathBuf,
    /// Inputs that fix the ranges of the activations.
    pub(crate) calibration: Vec<Sample>,
    /// Inputs to run on. The first ones are proven.
    pub(crate) samples: Vec<Sample>,
}

/// Inputs and where they come from.
struct Data {
    calibration: Vec<Sample>,
    samples: Vec<Sample>,
    source: &'static str,
}

impl Case {
    /// Loads a model with at most `count` samples. A model without a file gets one in `work`.
    pub(crate) fn load(name: &str, count: usize, work: &Path) -> Result<Self, Failure> {
        if let Some(case) = zoo(name, count, work)? {
            return Ok(case);
        }
        let given = Path::new(name);
        let (path, folder) = if given.is_dir() {
            (given.join("model.onnx"), Some(given))
        } else {
            (given.to_owned(), None)
        };
        if !path.is_file() {
            return Err(Failure::new(format!("no model `{name}`")).remedy(
                "give a name of the zoo, an ONNX file or a directory with a model.onnx in it",
            ));
        }
        // Many models are called `model.onnx`: their directory tells them apart.
        let absolute = path.canonicalize().context(path.display())?;
        let parent = absolute.parent().and_then(Path::file_name);
        let stem = absolute.file_stem().filter(|stem| *stem != "model");
        let title = stem.filter(|_| folder.is_none()).or(parent);
        let title = title.unwrap_or(given.as_os_str()).to_string_lossy();
        let bytes = fs::read(&path).context(format!("cannot read {}", path.display()))?;
        let graph = onnx_import::import(&bytes);
        let data = match (folder, &graph) {
            (Some(folder), graph) => from_folder(folder, graph.as_ref().ok(), count)?,
            (None, Ok(graph)) => made_up(graph, count),
            // Without the shapes of its inputs, other systems cannot run it either.
            (None, Err(error)) => {
                return Err(Failure::new(format!("{}: {error}", path.display()))
                    .remedy("put it into a directory with an input.npz to measure other systems"));
            }
        };
        Ok(Self::new(
            title.into_owned(),
            absolute.clone(),
            &bytes,
            data,
        ))
    }

    fn new(name: String, path: PathBuf, bytes: &[u8], data: Data) -> Self {
        let summary = onnx_import::summary(bytes).ok();
        let inputs = data.samples.first().into_iter().flatten();
        Self {
            model: Model {
                name,
                digest: blake3::hash(bytes).to_hex().to_string(),
                bytes: bytes.len() as u64,
                parameters: summary.map(|summary| summary.parameters),
                inputs: inputs.map(|x| x.shape().to_vec()).collect(),
                data: data.source.into(),
            },
            path,
            calibration: data.calibration,
            samples: data.samples,
        }
    }
}

/// The inputs in a directory.
fn from_folder(folder: &Path, graph: Option<&Graph>, count: usize) -> Result<Data, Failure> {
    let file = |name: &str| Some(folder.join(name)).filter(|path| path.is_file());
    let one = file("input.npz").or_else(|| file("io.npz"));
    let mut samples = Vec::new();
    if let Some(path) = one {
        samples.push(one_sample(&path, graph)?);
    }
    if let Some(path) = file("test.npz") {
        let shape = samples.first().map(|sample: &Sample| sample[0].shape());
        let shape = shape.map(<[usize]>::to_vec);
        samples.extend(many(&path, graph, shape.as_deref(), count)?);
    }
    samples.truncate(count);
    if samples.is_empty() {
        return Err(
            Failure::new(format!("{} holds no input", folder.display())).remedy(
                "add an input.npz with an array in_NAME for every input, or name the ONNX file \
                 itself to measure with made-up inputs",
            ),
        );
    }
    let calibration = match file("calib.npz") {
        Some(path) => many(&path, graph, Some(samples[0][0].shape()), usize::MAX)?,
        None => samples.clone(),
    };
    Ok(Data {
        calibration,
        samples,
        source: "file",
    })
}

/// The arrays `in_NAME`, in the order of the model's inputs.
fn one_sample(path: &Path, graph: Option<&Graph>) -> Result<Sample, Failure> {
    let mut arrays = arrays::read(path)?;
    arrays.retain(|(name, _)| name.starts_with("in_"));
    let Some(graph) = graph else {
        return Ok(arrays.into_iter().map(|(_, array)| array).collect());
    };
    let ports = graph.inputs().map(|v| &graph.nodes()[v.0]);
    let array = |name: &str, shape: &[usize]| {
        let found = arrays.iter().find(|(other, _)| other[3..] == *name);
        let (_, array) = found
            .ok_or_else(|| Failure::new(format!("{} has no array `in_{name}`", path.display())))?;
        let shaped = array.clone().into_shape_with_order(shape);
        shaped.context(format!("{}: `in_{name}`", path.display()))
    };
    ports.map(|port| array(&port.name, &port.shape)).collect()
}

/// The samples of an array `x` of a model of one input; none if there is no such array.
fn many(
    path: &Path,
    graph: Option<&Graph>,
    shape: Option<&[usize]>,
    count: usize,
) -> Result<Vec<Sample>, Failure> {
    let arrays = arrays::read(path)?;
    let Some((_, x)) = arrays.into_iter().find(|(name, _)| name == "x") else {
        return Ok(Vec::new());
    };
    let samples = match (graph, shape) {
        (Some(graph), _) => unstack(graph, &[x]).context(path.display())?,
        (None, shape) => {
            let sample = |x: ndarray::ArrayViewD<'_, f32>| {
                let shape = shape.unwrap_or(x.shape()).to_vec();
                let cells = x.iter().copied().collect();
                ArrayD::from_shape_vec(shape, cells).context(path.display())
            };
            let samples = x.axis_iter(Axis(0)).map(|x| Ok(vec![sample(x)?]));
            samples.collect::<Result<_, Failure>>()?
        }
    };
    Ok(samples.into_iter().take(count).collect())
}

/// Standard normal inputs, others than those of the calibration.
fn made_up(graph: &Graph, count: usize) -> Data {
    let synthetic = |seed| Calibration::synthetic(graph, seed).samples().to_vec();
    let samples = (SEED..).flat_map(synthetic);
    Data {
        samples: samples.take(count).collect(),
        calibration: synthetic(CALIBRATION_SEED),
        source: "made up",
    }
}

/// A model of the zoo, if it has one of this name.
fn zoo(name: &str, count: usize, work: &Path) -> Result<Option<Case>, Failure> {
    let Some(architecture) = zkstrata_zoo::find(name) else {
        return Ok(None);
    };
    let bytes = architecture.onnx();
    let path = work.join(format!("{name}.onnx"));
    fs::write(&path, &bytes).context(format!("cannot write {}", path.display()))?;
    let samples = |count, seed| {
        let samples = architecture.samples(count, seed).into_iter();
        samples.map(|x| vec![x]).collect()
    };
    let data = Data {
        calibration: samples(CALIBRATION, CALIBRATION_SEED),
        samples: samples(count, SEED),
        source: "made up",
    };
    Ok(Some(Case::new(name.into(), path, &bytes, data)))
}
