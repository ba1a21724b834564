//! Convolution over any number of spatial axes.

use ndarray::ArrayD;
use zkstrata_model_ir::float::{AxisMap, AxisMatrix, Op, ValueId, Window};

use crate::Error;
use crate::ops::one;
use crate::scope::node::Node;
use crate::scope::value::Value;
use crate::write::{Writer, window};

/// `Y[o,i,j] = b[o] + sum_{c,a,b} W[o,c,a,b] X[c, s i + d a - p, s j + d b - p]`, per group
pub(crate) fn conv(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    node.at_most(3)?;
    let x = node.value(0)?;
    let x = writer.lift(node, x)?;
    let weight = node.weight(1)?;
    let bias = node.optional_weight(2)?;
    one(Value::Activation(convolved(node, writer, x, weight, bias)?))
}

/// The convolution that the node's attributes describe.
pub(crate) fn convolved(
    node: &Node,
    writer: &mut Writer,
    x: ValueId,
    weight: ArrayD<f32>,
    bias: Option<ArrayD<f32>>,
) -> Result<ValueId, Error> {
    let kernel = check_weight(node, writer.shape(x), &weight)?;
    let groups = groups(node)?;
    let spatial = &writer.shape(x)[2..];
    let placed = window::windows(node, spatial, &kernel, window::Rounding::Floor)?;
    let windows = placed.into_iter().map(|p| p.window).collect();
    convolution(node, writer, x, weight, bias, groups, windows)
}

/// The lengths of a kernel's spatial axes.
pub(crate) fn check_weight(
    node: &Node,
    x: &[usize],
    weight: &ArrayD<f32>,
) -> Result<Vec<usize>, Error> {
    let rank = x.len();
    if rank < 3 || weight.ndim() != rank || weight.is_empty() {
        return Err(node.shape_error(format!(
            "the input of shape {x:?} and the weight of shape {:?} must have one rank, and that \
             a spatial axis at least",
            weight.shape()
        )));
    }
    let kernel = weight.shape()[2..].to_vec();
    if window::kernel_shape(node)?.is_some_and(|declared| declared != kernel) {
        return Err(node.bad_attribute("kernel_shape", format!("the weight has {kernel:?}")));
    }
    Ok(kernel)
}

/// The number of channel groups.
pub(crate) fn groups(node: &Node) -> Result<usize, Error> {
    let groups = node.int("group")?.unwrap_or(1);
    match usize::try_from(groups) {
        Ok(groups @ 1..) => Ok(groups),
        _ => Err(node.bad_attribute("group", format!("is {groups}"))),
    }
}

/// A convolution by placed windows. Of three or more spatial axes the first is unrolled: its
/// taps become channels and its outputs inferences:
/// `X'[n D + d, c K + a, ..] = X[n, c, s d + e a - p, ..]`.
pub(crate) fn convolution(
    node: &Node,
    writer: &mut Writer,
    x: ValueId,
    weight: ArrayD<f32>,
    bias: Option<ArrayD<f32>>,
    groups: usize,
    mut windows: Vec<Window>,
) -> Result<ValueId, Error> {
    if windows.len() <= 2 {
        let op = Op::Conv {
            weight,
            bias,
            groups,
            windows,
        };
        return writer.add(node, op, &[x]);
    }
    let first = windows.remove(0);
    let shape = writer.shape(x).to_vec();
    let (n, c, depth, rest) = (shape[0], shape[1], shape[2], &shape[3..]);
    let outputs = first
        .output(depth)
        .map_err(|reason| node.shape_error(reason))?;
    let taps = writer.allow(node, outputs.checked_mul(first.kernel))?;
    let source = |i: usize| {
        let (tap, output) = (i / outputs, i % outputs);
        let at = (first.stride * output + first.dilation * tap).checked_sub(first.pad_begin)?;
        (at < depth).then_some((i as u32, at as u32, 1))
    };
    let unrolled = AxisMatrix {
        input: depth,
        output: taps,
        entries: (0..taps).filter_map(source).collect(),
        divisor: 1,
    };
    let mut maps = vec![AxisMap::Keep; shape.len()];
    maps[2] = AxisMap::Matrix(unrolled);
    let x = writer.add(node, Op::Map(maps), &[x])?;
    let x = writer.reshape(node, x, [&[n, c, first.kernel, outputs], rest].concat())?;
    let axes = 4..4 + rest.len();
    let x = writer.transpose(
        node,
        x,
        [0, 3, 1, 2].into_iter().chain(axes.clone()).collect(),
    )?;
    let x = writer.reshape(node, x, [&[n * outputs, c * first.kernel], rest].concat())?;
    let kernel = weight.shape();
    let merged = [&[kernel[0], kernel[1] * kernel[2]], &kernel[3..]].concat();
    let weight = weight.into_shape_with_order(merged);
    let weight = weight.map_err(|e| node.shape_error(format!("the weight: {e}")))?;
    let y = convolution(node, writer, x, weight, bias, groups, windows)?;
    let made = writer.shape(y).to_vec();
    let y = writer.reshape(node, y, [&[n, outputs], &made[1..]].concat())?;
    let axes = 3..made.len() + 1;
    writer.transpose(node, y, [0, 2, 1].into_iter().chain(axes).collect())
}
