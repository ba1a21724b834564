//! Blocks of spatial cells to channels and back: `DepthToSpace`, `SpaceToDepth`.

use crate::Error;
use crate::ops::array::view;
use crate::ops::one;
use crate::scope::node::Node;
use crate::scope::value::Value;
use crate::write::Writer;
use crate::write::layout::permuted;

/// The input's shape `[N, C, H, W]` and the block size.
fn operands(node: &mut Node, writer: &Writer) -> Result<(Value, [usize; 4], usize), Error> {
    node.at_most(1)?;
    let x = node.value(0)?;
    let &[n, c, h, w] = writer.shape_of(&x) else {
        return Err(node.shape_error(format!("{} needs an input of rank 4", node.op())));
    };
    let size = node.int("blocksize")?.unwrap_or(0);
    match usize::try_from(size) {
        Ok(size @ 1..=0x10000) => Ok((x, [n, c, h, w], size)),
        _ => Err(node.bad_attribute("blocksize", format!("is {size}"))),
    }
}

/// `Y[n, c, b h + i, b w + j] = X[n, (i b + j) C + c, h, w]`, or of channel `c b^2 + i b + j`
pub(crate) fn depth_to_space(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    let (x, [n, c, h, w], b) = operands(node, writer)?;
    if c % (b * b) != 0 {
        return Err(node.shape_error(format!("{c} channels do not make blocks of {b} by {b}")));
    }
    let depth = c / (b * b);
    let mode = match node.opset() {
        ..11 => "DCR",
        _ => node.string("mode")?.unwrap_or("DCR"),
    };
    let (split, perm) = match mode {
        "DCR" => (vec![n, b, b, depth, h, w], vec![0, 3, 4, 1, 5, 2]),
        "CRD" => (vec![n, depth, b, b, h, w], vec![0, 1, 4, 2, 5, 3]),
        other => return Err(node.bad_attribute("mode", format!("is `{other}`"))),
    };
    let x = view::viewed(node, writer, x, split)?;
    let x = permuted(node, writer, x, &perm)?;
    one(view::viewed(node, writer, x, vec![n, depth, h * b, w * b])?)
}

/// `Y[n, (i b + j) C + c, h, w] = X[n, c, b h + i, b w + j]`, or channel `c b^2 + i b + j`
pub(crate) fn space_to_depth(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    let (x, [n, c, h, w], b) = operands(node, writer)?;
    if h % b != 0 || w % b != 0 {
        return Err(node.shape_error(format!("{h} by {w} cells do not make blocks of {b} by {b}")));
    }
    let (h, w) = (h / b, w / b);
    let x = view::viewed(node, writer, x, vec![n, c, h, b, w, b])?;
    let mode = match node.opset() {
        ..26 => "DCR",
        _ => node.string("mode")?.unwrap_or("DCR"),
    };
    let perm = match mode {
        "DCR" => [0, 3, 5, 1, 2, 4],
        "CRD" => [0, 1, 3, 5, 2, 4],
        other => return Err(node.bad_attribute("mode", format!("is `{other}`"))),
    };
    let x = permuted(node, writer, x, &perm)?;
    let Some(channels) = b.checked_mul(b).and_then(|n| n.checked_mul(c)) else {
        return Err(node.bad_attribute("blocksize", format!("is {b}")));
    };
    one(view::viewed(node, writer, x, vec![n, channels, h, w])?)
}
