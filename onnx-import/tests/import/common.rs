//! What the import tests share: the suites beside the workspace, arrays of tensor files, and
//! small edits of models.

use std::collections::HashMap;
use std::path::PathBuf;

use candle_core::{Device, Tensor};
use candle_onnx::onnx::tensor_proto::DataType;
use candle_onnx::onnx::{ModelProto, TensorProto};
use ndarray::ArrayD;
use ndarray_npy::{NpzReader, ReadNpyExt};
use prost::Message;
use zkstrata_model_ir::float::Graph;

use crate::build;

/// A folder of the shared suites, or `None`, said on stderr, where they are absent.
pub(crate) fn suite(name: &str) -> Option<PathBuf> {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared")).join(name);
    if path.is_dir() {
        return Some(path);
    }
    eprintln!("skipped: {} is absent", path.display());
    None
}

/// A tensor of a test case.
#[derive(Clone, Debug)]
pub(crate) enum Array {
    Float(ArrayD<f32>),
    Int(ArrayD<i64>),
    Bool(ArrayD<bool>),
}

impl Array {
    /// Reads an `.npy` file; `None` for other element types.
    pub(crate) fn read(path: &std::path::Path) -> Option<Self> {
        let open = || std::fs::File::open(path).ok();
        let float = ArrayD::<f32>::read_npy(open()?).map(Self::Float);
        let int = ArrayD::<i64>::read_npy(open()?).map(Self::Int);
        let bool = ArrayD::<bool>::read_npy(open()?).map(Self::Bool);
        float.or(int).or(bool).ok()
    }

    /// The tensor as an initializer.
    pub(crate) fn initializer(&self, name: &str) -> TensorProto {
        fn make<T: Copy>(
            name: &str,
            array: &ArrayD<T>,
            data_type: DataType,
            bytes: impl Fn(T) -> Vec<u8>,
        ) -> TensorProto {
            TensorProto {
                name: name.into(),
                dims: array.shape().iter().map(|&d| d as i64).collect(),
                data_type: data_type as i32,
                raw_data: array.iter().flat_map(|&x| bytes(x)).collect(),
                ..TensorProto::default()
            }
        }
        match self {
            Self::Float(a) => make(name, a, DataType::Float, |x| x.to_le_bytes().to_vec()),
            Self::Int(a) => make(name, a, DataType::Int64, |x| x.to_le_bytes().to_vec()),
            Self::Bool(a) => make(name, a, DataType::Bool, |x| vec![u8::from(x)]),
        }
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
        Some((short.to_owned(), npz.by_name(name).ok()?))
    });
    arrays.collect()
}

/// Runs a graph; one array per output.
pub(crate) fn run(graph: &Graph, inputs: &[ArrayD<f32>]) -> Vec<ArrayD<f32>> {
    let values = graph.run(inputs).expect("inputs of the right shapes");
    let outputs = graph.outputs().iter();
    outputs.map(|(_, value)| values[value.0].clone()).collect()
}

/// Panics unless `got` is within `atol + rtol |expected|` of `expected`.
pub(crate) fn assert_close(
    what: &str,
    got: &ArrayD<f32>,
    expected: &ArrayD<f32>,
    rtol: f32,
    atol: f32,
) {
    assert_eq!(got.shape(), expected.shape(), "{what}");
    for (i, (g, e)) in got.iter().zip(expected).enumerate() {
        let close = (g - e).abs() <= atol + rtol * e.abs();
        assert!(close, "{what}: cell {i} is {g}, expected {e}");
    }
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
