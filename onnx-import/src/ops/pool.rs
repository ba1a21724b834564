//! Maximum and average pools, windowed and global.

use zkstrata_model_ir::float::{Op, PoolKind, ValueId, Window};

use super::one;
use super::window::{self, Placed, Rounding};
use crate::Error;
use crate::import::Importer;
use crate::node::Node;
use crate::value::Value;

/// The input, its spatial shape checked to have one or two axes.
fn input(node: &mut Node, importer: &mut Importer) -> Result<(ValueId, Vec<usize>), Error> {
    node.at_most(1)?;
    let x = importer.activation(node, 0)?;
    let shape = importer.shape(x);
    if !matches!(shape.len(), 3 | 4) {
        return Err(node.unsupported(format!(
            "its input has rank {}: pools over one or two spatial axes are supported",
            shape.len()
        )));
    }
    Ok((x, shape[2..].to_vec()))
}

/// The windows of a pool.
fn windows(node: &Node, spatial: &[usize]) -> Result<Vec<Placed>, Error> {
    let Some(kernel) = window::kernel_shape(node)? else {
        return Err(node.bad_attribute("kernel_shape", "is missing"));
    };
    let rounding = match node.flag("ceil_mode")? {
        Some(true) => Rounding::Ceil,
        _ => Rounding::Floor,
    };
    let placed = window::windows(node, spatial, &kernel, rounding)?;
    // The standard and onnxruntime count the outputs of these two differently.
    let same = node
        .string("auto_pad")?
        .is_some_and(|pad| pad.starts_with("SAME"));
    if same && placed.iter().any(|p| p.window.dilation > 1) {
        return Err(node.unsupported("auto_pad SAME with dilations is ambiguous: give the pads"));
    }
    let valid = node.string("auto_pad")? == Some("VALID");
    if valid && placed.iter().any(|p| p.ceil_extra > 0) {
        return Err(node.unsupported("auto_pad VALID with ceil_mode is ambiguous: give the pads"));
    }
    Ok(placed)
}

fn pool(
    node: &Node,
    importer: &mut Importer,
    x: ValueId,
    kind: PoolKind,
    windows: Vec<Window>,
) -> Result<Vec<Value>, Error> {
    let y = importer.add(node, Op::Pool { kind, windows }, &[x])?;
    one(Value::Activation(y))
}

/// The maximum over the taps inside the input.
pub(super) fn max(node: &mut Node, importer: &mut Importer) -> Result<Vec<Value>, Error> {
    let (x, spatial) = input(node, importer)?;
    // Concerns the second output only, which is not computed.
    let _ = node.flag("storage_order")?;
    let placed = windows(node, &spatial)?;
    let windows = placed.into_iter().map(|p| p.window).collect();
    pool(node, importer, x, PoolKind::Max, windows)
}

/// The mean over the taps inside the input, or inside the declared padding too
/// (`count_include_pad`); never over what `ceil_mode` adds.
pub(super) fn average(node: &mut Node, importer: &mut Importer) -> Result<Vec<Value>, Error> {
    let (x, spatial) = input(node, importer)?;
    let include = node.flag("count_include_pad")? == Some(true);
    let placed = windows(node, &spatial)?;
    let mut windows: Vec<Window> = placed.iter().map(|p| p.window).collect();
    let padded = windows.iter().any(|w| w.pad_begin + w.pad_end > 0);
    if !include || !padded {
        return pool(node, importer, x, PoolKind::AverageInside, windows);
    }
    if placed.iter().all(|p| p.ceil_extra == 0) {
        return pool(node, importer, x, PoolKind::AveragePadded, windows);
    }
    // The declared padding becomes input, so that only what ceil_mode adds is left out.
    let mut pads = vec![(0, 0); 2];
    for (window, placed) in windows.iter_mut().zip(&placed) {
        let declared = window.pad_end - placed.ceil_extra;
        pads.push((window.pad_begin as i64, declared as i64));
        window.pad_begin = 0;
        window.pad_end = placed.ceil_extra;
    }
    let pad = Op::Pad { pads, value: 0.0 };
    let x = importer.add(node, pad, &[x])?;
    pool(node, importer, x, PoolKind::AverageInside, windows)
}

/// The windows that cover `spatial`, one output each.
pub(super) fn global(spatial: &[usize]) -> Vec<Window> {
    let window = |&n: &usize| Window {
        kernel: n,
        stride: 1,
        dilation: 1,
        pad_begin: 0,
        pad_end: 0,
    };
    spatial.iter().map(window).collect()
}

/// The mean over all spatial axes.
pub(super) fn global_average(
    node: &mut Node,
    importer: &mut Importer,
) -> Result<Vec<Value>, Error> {
    let (x, spatial) = input(node, importer)?;
    pool(node, importer, x, PoolKind::AverageInside, global(&spatial))
}

/// The maximum over all spatial axes.
pub(super) fn global_max(node: &mut Node, importer: &mut Importer) -> Result<Vec<Value>, Error> {
    let (x, spatial) = input(node, importer)?;
    pool(node, importer, x, PoolKind::Max, global(&spatial))
}
