//! A graph as a folder: `model.onnx`, `in_k.npy` and `out_k.npy` of the sample that shows the fault,
//! and `calibration_k.npy`, the samples that calibrate it, stacked.

use super::graph::Case;
use super::judge::Fault;
use super::tensor::{Tensor, Type};
use std::fs;
use std::io;
use std::path::Path;

/// Writes a graph with the reference's outputs.
pub(super) fn save(folder: &Path, case: &Case, fault: &Fault, readme: &str) -> io::Result<()> {
    let Ok(run) = case.run(fault.sample) else {
        return Ok(());
    };
    fs::create_dir_all(folder)?;
    fs::write(folder.join("model.onnx"), case.encode(&run))?;
    for (k, tensor) in case.samples[fault.sample].iter().enumerate() {
        fs::write(folder.join(format!("in_{k}.npy")), array(tensor))?;
        let (_, calibration) = case.samples.split_last().expect("two samples at least");
        let mut shape = vec![calibration.len()];
        shape.extend(&tensor.shape);
        let cells = calibration
            .iter()
            .flat_map(|s| s[k].cells.clone())
            .collect();
        let stacked = Tensor::new(tensor.kind, &shape, cells);
        fs::write(folder.join(format!("calibration_{k}.npy")), array(&stacked))?;
    }
    for (k, name) in case.outputs.iter().enumerate() {
        fs::write(folder.join(format!("out_{k}.npy")), array(&run[name]))?;
    }
    fs::write(folder.join("README.md"), readme)
}

/// A tensor as the bytes of an `.npy` file.
pub(super) fn array(x: &Tensor) -> Vec<u8> {
    let kind = match x.kind {
        Type::Float => "<f4",
        Type::Int64 => "<i8",
        Type::Int32 => "<i4",
        Type::Int8 => "|i1",
        Type::Uint8 => "|u1",
        Type::Bool => "|b1",
    };
    let shape: Vec<String> = x.shape.iter().map(|n| format!("{n},")).collect();
    let shape = shape.join(" ");
    let mut header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({shape}), }}");
    // The cells start at a multiple of 64 bytes.
    while (header.len() + 11) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.bytes());
    for &c in &x.cells {
        match x.kind {
            Type::Float => bytes.extend((c as f32).to_le_bytes()),
            Type::Int64 => bytes.extend((c as i64).to_le_bytes()),
            Type::Int32 => bytes.extend((c as i32).to_le_bytes()),
            Type::Int8 => bytes.extend((c as i8).to_le_bytes()),
            Type::Uint8 | Type::Bool => bytes.push(c as u8),
        }
    }
    bytes
}
