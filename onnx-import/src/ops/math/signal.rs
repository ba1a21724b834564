//! Constants of signal processing: windows of cosines and mel filters. They are evaluated in `f64`
//! by functions that give the same bits on every machine.

use std::f64::consts::TAU;

use zkstrata_model_ir::float::Activation;

use crate::Error;
use crate::decode::tensor::{Cells, Tensor, range};
use crate::ops::one;
use crate::proto::DataType;
use crate::scope::node::Node;
use crate::scope::value::Value;
use crate::write::Writer;
use crate::write::broadcast::folded;

/// `sum_k a_k cos(2 pi k n / N)` for each `n` below the size; `N` is the size, or one less if the
/// window is not periodic.
fn window(node: &mut Node, writer: &mut Writer, a: &[f64]) -> Result<Vec<Value>, Error> {
    node.at_most(1)?;
    let periodic = node.flag("periodic")? != Some(false);
    let size = match node.indices(0)?[..] {
        [n] => usize::try_from(n).ok(),
        _ => None,
    };
    let size = writer.allow(node, size)?;
    let period = if periodic {
        size
    } else {
        size.saturating_sub(1)
    };
    if period == 0 && size > 0 {
        return Err(node.shape_error("a symmetric window of one cell is not defined"));
    }
    let cell = |n: usize| {
        let angle = |k: usize| TAU * (k * n % period) as f64 / period as f64;
        let terms = a.iter().enumerate();
        let sum: f64 = terms.map(|(k, a)| a * Activation::Cos.at(angle(k))).sum();
        sum as f32
    };
    one(folded(typed(
        node,
        vec![size],
        (0..size).map(cell).collect(),
    )?))
}

/// Cells in the type that the node names; integers lose their fraction.
fn typed(node: &Node, shape: Vec<usize>, cells: Vec<f32>) -> Result<Tensor, Error> {
    let to = node.int("output_datatype")?.unwrap_or(1);
    let to = i32::try_from(to)
        .ok()
        .and_then(|to| DataType::try_from(to).ok());
    match to {
        Some(DataType::Float | DataType::Double | DataType::Float16 | DataType::Bfloat16) => {
            Ok(Tensor::new(shape, Cells::Float(cells)))
        }
        Some(to) if range(to).is_some() => {
            let cells = cells.into_iter().map(|x| x as i64).collect();
            Ok(Tensor::new(shape, Cells::Int(cells)).of_type(to))
        }
        _ => Err(node.bad_attribute("output_datatype", "is no type of numbers")),
    }
}

/// `1/2 - 1/2 cos`
pub(crate) fn hann(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    window(node, writer, &[0.5, -0.5])
}

/// `25/46 - 21/46 cos`
pub(crate) fn hamming(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    window(node, writer, &[25.0 / 46.0, -21.0 / 46.0])
}

/// `0.42 - 0.5 cos + 0.08 cos 2`
pub(crate) fn blackman(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    window(node, writer, &[0.42, -0.5, 0.08])
}

/// Triangular filters between frequencies that are equally far apart in mel,
/// `m = 2595 log10(1 + f / 700)`: shape `[bins of the spectrum, filters]`.
pub(crate) fn mel_weights(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    node.at_most(5)?;
    let mut number = |index| {
        let tensor = node.constant(index)?.tensor;
        let cell = match tensor.cells() {
            Cells::Float(cells) if cells.len() == 1 => Some(f64::from(cells[0])),
            Cells::Int(cells) if cells.len() == 1 => Some(cells[0] as f64),
            _ => None,
        };
        let cell = cell.filter(|x| (0.0..1e9).contains(x));
        cell.ok_or_else(|| node.shape_error(format!("input {index} must be one number from 0 on")))
    };
    let (filters, length, rate) = (number(0)?, number(1)?, number(2)?);
    let (lowest, highest) = (number(3)?, number(4)?);
    let (filters, bins) = (filters as usize, length as usize / 2 + 1);
    writer.allow(node, filters.checked_mul(bins))?;
    writer.allow(node, filters.checked_add(2))?;
    let scale = 2595.0 / std::f64::consts::LN_10;
    let mel = |f: f64| scale * Activation::Log.at(1.0 + f / 700.0);
    let hertz = |m: f64| 700.0 * (Activation::Exp.at(m / scale) - 1.0);
    let (low, high) = (mel(lowest), mel(highest));
    let step = (high - low) / (filters + 2) as f64;
    let edge = |i: usize| ((length + 1.0) * hertz(low + i as f64 * step) / rate).floor() as usize;
    let edges: Vec<usize> = (0..filters + 2).map(edge).collect();
    if edges.iter().any(|&edge| edge >= bins) {
        return Err(node.shape_error(format!("its filters reach beyond {bins} frequencies")));
    }
    let mut cells = vec![0.0_f32; bins * filters];
    for (i, edge) in edges.windows(3).enumerate() {
        let [from, centre, to] = [edge[0], edge[1], edge[2]];
        for bin in from..=centre {
            let rise = (bin - from) as f64 / (centre - from).max(1) as f64;
            cells[bin * filters + i] = if from == centre { 1.0 } else { rise as f32 };
        }
        for bin in centre..to {
            cells[bin * filters + i] = ((to - bin) as f64 / (to - centre) as f64) as f32;
        }
    }
    one(folded(typed(node, vec![bins, filters], cells)?))
}
