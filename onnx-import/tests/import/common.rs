//! What the import tests share: models of the repository, suites, arrays of tensor files, and
//! small edits of models.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use candle_onnx::onnx::tensor_proto::DataType;
use candle_onnx::onnx::{ModelProto, TensorProto, ValueInfoProto, type_proto};
use ndarray::ArrayD;
use ndarray_npy::{NpzReader, ReadNpyExt, ReadableElement};
use prost::Message;
use zkstrata_model_ir::float::Graph;

use crate::build;

/// A suite of the environment variable `ZKSTRATA_SUITES`, see CONTRIBUTING.md.
pub(crate) fn suite(name: &str) -> PathBuf {
    let suites = std::env::var_os("ZKSTRATA_SUITES");
    let suites = suites.expect("ZKSTRATA_SUITES is the folder of the suites, see CONTRIBUTING.md");
    PathBuf::from(suites).join(name)
}

/// The folder of a model of the repository.
pub(crate) fn stored(name: &str) -> PathBuf {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let folders = ["tests/models", "examples/models"].map(|folder| root.join(folder).join(name));
    let found = folders.into_iter().find(|folder| folder.is_dir());
    found.unwrap_or_else(|| panic!("{name} is no model of the repository"))
}

/// A tensor of a test case.
#[derive(Clone, Debug)]
pub(crate) enum Array {
    Float(ArrayD<f32>),
    Int(ArrayD<i64>),
    Bool(ArrayD<bool>),
}

impl Array {
    /// Reads an `.npy` file of numbers or truth values; `None` for other element types.
    pub(crate) fn read(path: &Path) -> Option<Self> {
        fn read<T: ReadableElement + Copy, U>(path: &Path, to: fn(T) -> U) -> Option<ArrayD<U>> {
            let file = std::fs::File::open(path).ok()?;
            Some(ArrayD::<T>::read_npy(file).ok()?.mapv(to))
        }
        let float = || {
            let single = read::<f32, f32>(path, |x| x);
            single.or_else(|| read::<f64, f32>(path, |x| x as f32))
        };
        let signed = || {
            let wide = read::<i64, i64>(path, |x| x).or_else(|| read::<i32, i64>(path, i64::from));
            wide.or_else(|| read::<i16, i64>(path, i64::from))
                .or_else(|| read::<i8, i64>(path, i64::from))
        };
        let unsigned = || {
            let wide = read::<u64, i64>(path, |x| x as i64);
            wide.or_else(|| read::<u32, i64>(path, i64::from))
                .or_else(|| read::<u16, i64>(path, i64::from))
                .or_else(|| read::<u8, i64>(path, i64::from))
        };
        let float = float().map(Self::Float);
        float
            .or_else(|| signed().or_else(unsigned).map(Self::Int))
            .or_else(|| read::<bool, bool>(path, |x| x).map(Self::Bool))
    }

    /// The cells as a model takes them.
    pub(crate) fn numbers(&self) -> ArrayD<f32> {
        match self {
            Self::Float(a) => a.clone(),
            Self::Int(a) => a.mapv(|x| x as f32),
            Self::Bool(a) => a.mapv(f32::from),
        }
    }

    /// The tensor as an initializer of the given type; `None` if it has other elements.
    pub(crate) fn initializer(&self, name: &str, data_type: DataType) -> Option<TensorProto> {
        let shape = match self {
            Self::Float(a) => a.shape(),
            Self::Int(a) => a.shape(),
            Self::Bool(a) => a.shape(),
        };
        let mut tensor = TensorProto {
            name: name.into(),
            dims: shape.iter().map(|&d| d as i64).collect(),
            data_type: data_type as i32,
            ..TensorProto::default()
        };
        match (self, data_type) {
            (Self::Float(a), DataType::Float) => tensor.float_data = a.iter().copied().collect(),
            (Self::Float(a), DataType::Double) => {
                tensor.double_data = a.iter().map(|&x| x.into()).collect();
            }
            (Self::Int(a), DataType::Int64) => tensor.int64_data = a.iter().copied().collect(),
            (Self::Int(a), DataType::Uint64 | DataType::Uint32) => {
                tensor.uint64_data = a.iter().map(|&x| x as u64).collect();
            }
            (
                Self::Int(a),
                DataType::Int32
                | DataType::Int16
                | DataType::Int8
                | DataType::Uint16
                | DataType::Uint8,
            ) => tensor.int32_data = a.iter().map(|&x| x as i32).collect(),
            (Self::Bool(a), DataType::Bool) => {
                tensor.int32_data = a.iter().map(|&x| x.into()).collect();
            }
            _ => return None,
        }
        Some(tensor)
    }
}

/// The element type of a declared tensor.
pub(crate) fn data_type(declared: &ValueInfoProto) -> Option<DataType> {
    match declared.r#type.as_ref()?.value.as_ref()? {
        type_proto::Value::TensorType(tensor) => DataType::try_from(tensor.elem_type).ok(),
        _ => None,
    }
}

/// The float arrays `prefix*` of an `.npz` file, by the rest of their name.
pub(crate) fn read_npz(path: &std::path::Path, prefix: &str) -> Vec<(String, ArrayD<f32>)> {
    let file = std::fs::File::open(path).expect("the suite is complete");
    let mut npz = NpzReader::new(file).expect("an npz file");
    let names = npz.names().expect("entry names");
    let arrays = names.iter().filter_map(|name| {
        let short = name
            .strip_suffix(".npy")
            .unwrap_or(name)
            .strip_prefix(prefix)?;
        let floats = npz.by_name(name).ok();
        let array = floats.or_else(|| {
            let integers: ArrayD<i64> = npz.by_name(name).ok()?;
            Some(integers.mapv(|n| n as f32))
        });
        Some((short.to_owned(), array?))
    });
    arrays.collect()
}

/// The index of the first largest cell.
pub(crate) fn largest(cells: &ArrayD<f32>) -> usize {
    let cells = cells.iter().enumerate();
    let most = cells.reduce(|best, next| if next.1 > best.1 { next } else { best });
    most.expect("no array is empty").0
}

/// Runs a graph; one array per output.
pub(crate) fn run(graph: &Graph, inputs: &[ArrayD<f32>]) -> Vec<ArrayD<f32>> {
    let values = graph.run(inputs).expect("inputs of the right shapes");
    let outputs = graph.outputs().iter();
    outputs.map(|(_, value)| values[value.0].clone()).collect()
}

/// Panics unless `got` is within `atol + rtol |expected|` of `expected`.
#[track_caller]
pub(crate) fn assert_close(
    what: &str,
    got: &ArrayD<f32>,
    expected: &ArrayD<f32>,
    rtol: f32,
    atol: f32,
) {
    if let Some(difference) = difference(got, expected, rtol, atol) {
        panic!("{what}: {difference}");
    }
}

/// The first cell of `got` that is not within `atol + rtol |expected|` of `expected`.
pub(crate) fn difference(
    got: &ArrayD<f32>,
    expected: &ArrayD<f32>,
    rtol: f32,
    atol: f32,
) -> Option<String> {
    if got.shape() != expected.shape() {
        let (got, expected) = (got.shape(), expected.shape());
        return Some(format!("has shape {got:?}, expected {expected:?}"));
    }
    let close = |g: f32, e: f32| {
        g.is_nan() && e.is_nan()
            || g.partial_cmp(&e) == Some(Ordering::Equal)
            || e.is_finite() && (g - e).abs() <= atol + rtol * e.abs()
    };
    let mut cells = got.iter().zip(expected).enumerate();
    let (i, (g, e)) = cells.find(|(_, (g, e))| !close(**g, **e))?;
    Some(format!("cell {i} is {g}, expected {e}"))
}

/// The decoded model.
pub(crate) fn decode(bytes: &[u8]) -> ModelProto {
    ModelProto::decode(bytes).expect("a model")
}

/// The model's outputs according to candle.
pub(crate) fn candle(
    model: &ModelProto,
    inputs: &[(String, ArrayD<f32>)],
) -> Vec<(String, ArrayD<f32>)> {
    let mut model = model.clone();
    for node in model.graph.iter_mut().flat_map(|g| &mut g.node) {
        // Candle lacks this operator, but has the mean over given axes.
        if node.op_type == "GlobalAveragePool" {
            node.op_type = "ReduceMean".into();
            node.attribute = vec![build::ints("axes", &[2, 3])];
        }
    }
    let inputs: HashMap<String, Tensor> = inputs
        .iter()
        .map(|(name, a)| {
            let cells = a.iter().copied().collect::<Vec<f32>>();
            let tensor = Tensor::from_vec(cells, a.shape(), &Device::Cpu);
            (name.clone(), tensor.expect("as many cells"))
        })
        .collect();
    let outputs = candle_onnx::simple_eval(&model, inputs);
    let outputs = outputs.unwrap_or_else(|e| panic!("candle: {e}"));
    let array = |(name, t): (String, Tensor)| {
        let shape = t.dims().to_vec();
        let cells = t.flatten_all().and_then(|t| t.to_vec1()).expect("floats");
        let array = ArrayD::from_shape_vec(shape, cells);
        (name, array.expect("as many cells"))
    };
    outputs.into_iter().map(array).collect()
}
