//! `ReduceMean` as an average pool.

use std::collections::BTreeSet;

use zkstrata_model_ir::float::{Op, PoolKind};

use super::{one, pool};
use crate::Error;
use crate::import::Importer;
use crate::node::Node;
use crate::value::Value;

/// The mean over some axes: those axes are brought to the end and pooled globally. Over the
/// spatial axes of `X[N, C, H, W]` this is `GlobalAveragePool`.
pub(super) fn mean(node: &mut Node, importer: &mut Importer) -> Result<Vec<Value>, Error> {
    let x = importer.activation(node, 0)?;
    let shape = importer.shape(x).to_vec();
    let rank = shape.len();
    // Axes are an attribute before opset 18 and an input since.
    let (listed, none_means_none) = if node.opset() < 18 {
        node.at_most(1)?;
        (node.ints("axes")?.map(<[i64]>::to_vec), false)
    } else {
        node.at_most(2)?;
        let empty = node.flag("noop_with_empty_axes")? == Some(true);
        (node.optional_indices(1)?, empty)
    };
    let keep = node.flag("keepdims")? != Some(false);
    let listed = listed.unwrap_or_default();
    let reduced: BTreeSet<usize> = if listed.is_empty() && !none_means_none {
        (0..rank).collect()
    } else {
        node.axes(&listed, rank)?
    };
    let kept: Vec<usize> = (0..rank).filter(|axis| !reduced.contains(axis)).collect();
    let target = if keep {
        let dim = |axis| {
            if reduced.contains(&axis) {
                1
            } else {
                shape[axis]
            }
        };
        (0..rank).map(dim).collect()
    } else {
        kept.iter().map(|&axis| shape[axis]).collect()
    };
    if reduced.is_empty() {
        return one(Value::Activation(x));
    }
    let perm = kept.iter().chain(&reduced).copied().collect();
    let x = importer.transpose(node, x, perm)?;
    // Batch, channel and one or two spatial axes are pooled as they are.
    let x = if kept.len() == 2 && reduced.len() <= 2 {
        x
    } else {
        let cells = |axes: &mut dyn Iterator<Item = &usize>| axes.map(|&a| shape[a]).product();
        let merged = vec![1, cells(&mut kept.iter()), cells(&mut reduced.iter())];
        importer.reshape(node, x, merged)?
    };
    let windows = pool::global(&importer.shape(x)[2..]);
    let kind = PoolKind::AverageInside;
    let y = importer.add(node, Op::Pool { kind, windows }, &[x])?;
    one(Value::Activation(importer.reshape(node, y, target)?))
}
