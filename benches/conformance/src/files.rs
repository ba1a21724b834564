//! The input of a case and the outputs that it should give.

use crate::compare::Reference;
use crate::message;
use crate::npy::{self, Kind};
use crate::suite::{Entry, Layout};
use ndarray::{ArrayD, IxDyn};
use serde::Deserialize;
use std::fs;
use std::path::Path;

/// Most arrays of a case.
const ARRAYS: usize = 1024;

/// An array for a model input.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Given {
    pub(crate) kind: Kind,
    pub(crate) cells: ArrayD<f64>,
}

/// What the files of a case hold.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Files {
    /// One per model input, in order. `None` if there is no array.
    pub(crate) inputs: Vec<Option<Given>>,
    pub(crate) references: Vec<Reference>,
}

/// EZKL's input file: one flat row per model input.
#[derive(Deserialize)]
struct Input {
    input_data: Vec<Vec<Cell>>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(untagged)]
enum Cell {
    Number(f64),
    Truth(bool),
}

#[derive(Deserialize)]
struct Outputs {
    outputs: Vec<Output>,
}

#[derive(Deserialize)]
struct Output {
    name: String,
    dtype: String,
    shape: Vec<usize>,
    data: Vec<Cell>,
}

impl Files {
    /// Reads the files of a case whose model has these outputs.
    pub(crate) fn read(entry: &Entry, outputs: &[String]) -> Result<Self, String> {
        let folder = &entry.folder;
        match entry.layout {
            Layout::Arrays => {
                let file = |start: &str, k| folder.join(format!("{start}_{k}.npy"));
                from_arrays(outputs, |k| file("in", k), |k| file("out", k), npy::read)
            }
            Layout::Messages => {
                let folder = folder.join("test_data_set_0");
                let file = |start: &str, k| folder.join(format!("{start}_{k}.pb"));
                let (inputs, results) = (|k| file("input", k), |k| file("output", k));
                from_arrays(outputs, inputs, results, message::read)
            }
            Layout::Json => from_json(folder),
        }
    }
}

/// Reads the array of a file of one format.
type Read = fn(&[u8]) -> Result<(Kind, ArrayD<f64>), String>;

fn from_arrays<P: AsRef<Path>>(
    outputs: &[String],
    input: impl Fn(usize) -> P,
    output: impl Fn(usize) -> P,
    read: Read,
) -> Result<Files, String> {
    let array = |path: P| {
        let path = path.as_ref();
        if !path.exists() {
            return Ok(None);
        }
        let bytes = fs::read(path).map_err(|error| cannot(path, error))?;
        read(&bytes).map(Some).map_err(|error| cannot(path, error))
    };
    // An optional input may have no array.
    let count = (0..ARRAYS).rev().find(|&k| input(k).as_ref().exists());
    let inputs = (0..count.map_or(0, |k| k + 1)).map(|k| {
        let array = array(input(k))?;
        Ok(array.map(|(kind, cells)| Given { kind, cells }))
    });
    let inputs = inputs.collect::<Result<_, String>>()?;
    let references = outputs.iter().enumerate().filter_map(|(k, name)| {
        let array = array(output(k)).transpose()?;
        Some(array.map(|(kind, cells)| Reference {
            name: name.clone(),
            kind,
            cells,
        }))
    });
    Ok(Files {
        inputs,
        references: references.collect::<Result<_, String>>()?,
    })
}

fn from_json(folder: &Path) -> Result<Files, String> {
    let input: Input = parse(&folder.join("input.json"))?;
    let inputs = input.input_data.into_iter().map(|row| {
        let truth = |cell: &Cell| matches!(cell, Cell::Truth(_));
        let kind = if row.iter().any(truth) {
            Kind::Bool
        } else {
            Kind::Float
        };
        let cells: Vec<f64> = row.into_iter().map(Cell::real).collect();
        let cells = ndarray::Array1::from(cells).into_dyn();
        Some(Given { kind, cells })
    });
    let inputs = inputs.collect();
    let outputs: Outputs = parse(&folder.join("ref_output.json"))?;
    let references = outputs.outputs.into_iter().map(|output| {
        let Output {
            name,
            dtype,
            shape,
            data,
        } = output;
        let kind = match dtype.as_str() {
            "bool" => Kind::Bool,
            dtype if dtype.starts_with("float") => Kind::Float,
            dtype if dtype.contains("int") => Kind::Integer,
            dtype => return Err(format!("reference `{name}` is of type {dtype}")),
        };
        let cells = data.into_iter().map(Cell::real).collect();
        let cells = ArrayD::from_shape_vec(IxDyn(&shape), cells)
            .map_err(|error| format!("reference `{name}`: {error}"))?;
        Ok(Reference { name, kind, cells })
    });
    let references = references.collect::<Result<_, String>>()?;
    Ok(Files { inputs, references })
}

fn parse<T: for<'a> Deserialize<'a>>(path: &Path) -> Result<T, String> {
    let bytes = fs::read(path).map_err(|error| cannot(path, error))?;
    serde_json::from_slice(&bytes).map_err(|error| cannot(path, error))
}

fn cannot(path: &Path, error: impl std::fmt::Display) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    format!("cannot read {name}: {error}")
}

impl Cell {
    fn real(self) -> f64 {
        match self {
            Self::Number(x) => x,
            Self::Truth(x) => f64::from(u8::from(x)),
        }
    }
}
