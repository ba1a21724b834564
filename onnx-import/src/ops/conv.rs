//! Convolution over one or two spatial axes.

use zkstrata_model_ir::float::Op;

use super::{one, window};
use crate::Error;
use crate::import::Importer;
use crate::node::Node;
use crate::value::Value;

/// `Y[o,i,j] = b[o] + sum_{c,a,b} W[o,c,a,b] X[c, s i + d a - p, s j + d b - p]`, per group
pub(super) fn conv(node: &mut Node, importer: &mut Importer) -> Result<Vec<Value>, Error> {
    node.at_most(3)?;
    let x = importer.activation(node, 0)?;
    let weight = node.weight(1)?;
    let bias = node.optional_weight(2)?;
    let rank = importer.shape(x).len();
    if !matches!(rank, 3 | 4) {
        return Err(node.unsupported(format!(
            "its input has rank {rank}: convolutions over one or two spatial axes are supported"
        )));
    }
    if weight.ndim() != rank {
        return Err(node.shape_error(format!(
            "the weight of shape {:?} must have the input's rank {rank}",
            weight.shape()
        )));
    }
    let kernel = weight.shape()[2..].to_vec();
    if kernel.contains(&0) {
        return Err(node.shape_error(format!("the weight has shape {:?}", weight.shape())));
    }
    if window::kernel_shape(node)?.is_some_and(|declared| declared != kernel) {
        return Err(node.bad_attribute("kernel_shape", format!("the weight has {kernel:?}")));
    }
    let groups = node.int("group")?.unwrap_or(1);
    let Ok(groups) = usize::try_from(groups) else {
        return Err(node.bad_attribute("group", format!("is {groups}")));
    };
    let spatial = &importer.shape(x)[2..];
    let placed = window::windows(node, spatial, &kernel, window::Rounding::Floor)?;
    let op = Op::Conv {
        weight,
        bias,
        groups,
        windows: placed.into_iter().map(|p| p.window).collect(),
    };
    let y = importer.add(node, op, &[x])?;
    one(Value::Activation(y))
}
