//! `TreeEnsemble`, the trees of opset 5: leaves are listed apart from branches.

use super::classes::Post;
use super::forest::{Branch, Child, Forest, Test};
use super::tree::{Aggregate, aggregated, features, indices, missing, test, tracks};
use crate::Error;
use crate::decode::tensor::Cells;
use crate::ops::one;
use crate::scope::node::Node;
use crate::scope::value::{Element, Value};
use crate::write::Writer;
use crate::write::formula::Formula;

/// A tensor attribute's cells.
fn tensor(node: &Node, writer: &mut Writer, name: &str) -> Result<Option<Cells>, Error> {
    let tensor = node.tensor(name)?;
    let decoded = tensor.map(|t| writer.decode(t, node.name())).transpose()?;
    Ok(decoded.map(crate::decode::tensor::Tensor::into_cells))
}

/// What `TreeEnsemble` lists as integers: whether a child is a leaf, and which.
fn children(node: &Node, side: &str) -> Result<Vec<Child>, Error> {
    let ids = indices(node, &format!("nodes_{side}nodeids"))?;
    let leafs = indices(node, &format!("nodes_{side}leafs"))?;
    if ids.len() != leafs.len() {
        return Err(node.bad_attribute("nodes_trueleafs", "differs in length from other lists"));
    }
    let child = |(&id, &leaf): (&usize, &usize)| match leaf {
        0 => Child::Branch(id),
        _ => Child::Leaf(id),
    };
    Ok(ids.iter().zip(&leafs).map(child).collect())
}

/// The trees of opset 5.
pub(crate) fn ensemble(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    let x = features(node, writer)?;
    let features = indices(node, "nodes_featureids")?;
    let (on_true, on_false) = (children(node, "true")?, children(node, "false")?);
    let Some(Cells::Int(modes)) = tensor(node, writer, "nodes_modes")? else {
        return Err(node.bad_attribute("nodes_modes", "must be a tensor of integers"));
    };
    let Some(Cells::Float(splits)) = tensor(node, writer, "nodes_splits")? else {
        return Err(node.bad_attribute("nodes_splits", "must be a tensor of floats"));
    };
    let Some(Cells::Float(weights)) = tensor(node, writer, "leaf_weights")? else {
        return Err(node.bad_attribute("leaf_weights", "must be a tensor of floats"));
    };
    let members = match tensor(node, writer, "membership_values")? {
        Some(Cells::Float(members)) => members,
        _ => vec![],
    };
    tensor(node, writer, "nodes_hitrates")?;
    let targets = indices(node, "leaf_targetids")?;
    let n = features.len();
    if [on_true.len(), on_false.len(), modes.len(), splits.len()] != [n; 4]
        || targets.len() != weights.len()
    {
        return Err(node.bad_attribute("nodes_featureids", "differs in length from other lists"));
    }
    let tracks = tracks(node, n)?;
    // Set memberships have no split value, but NaN in its place.
    let mut used = splits.iter().zip(&modes).filter(|(_, mode)| **mode != 6);
    if used.any(|(split, _)| split.is_nan()) {
        return Err(node.bad_attribute("nodes_splits", "has NaN"));
    }
    let mut sets = members.split(|m| m.is_nan());
    let mut branches = Vec::with_capacity(n);
    for i in 0..n {
        const MODES: [&str; 6] = [
            "BRANCH_LEQ",
            "BRANCH_LT",
            "BRANCH_GTE",
            "BRANCH_GT",
            "BRANCH_EQ",
            "BRANCH_NEQ",
        ];
        let mode = usize::try_from(modes[i]).unwrap_or(usize::MAX);
        let missing = missing(MODES.get(mode).unwrap_or(&""), tracks[i]);
        let (test, exchanged) = match MODES.get(mode) {
            Some(mode) => test(node, mode, splits[i])?,
            None if mode == MODES.len() => {
                let set = sets.next().unwrap_or(&[]).to_vec();
                (Test::Among(set), false)
            }
            None => return Err(node.bad_attribute("nodes_modes", format!("has {mode}"))),
        };
        let (if_true, if_false) = if exchanged {
            (on_false[i], on_true[i])
        } else {
            (on_true[i], on_false[i])
        };
        branches.push(Branch {
            feature: features[i],
            test,
            missing: missing != exchanged,
            if_true,
            if_false,
        });
    }
    // A tree of a single leaf is a branch both of whose children are that leaf.
    let root = |i: usize| match branches.get(i) {
        Some(b) if b.if_true == b.if_false => b.if_true,
        _ => Child::Branch(i),
    };
    let roots = indices(node, "tree_roots")?.into_iter().map(root).collect();
    let leaves = targets
        .into_iter()
        .zip(weights)
        .map(|leaf| vec![leaf])
        .collect();
    let forest = Forest {
        branches,
        leaves,
        roots,
    };
    let targets = node.int("n_targets")?.unwrap_or(1);
    let targets = usize::try_from(targets).ok().filter(|&n| n > 0);
    let targets = targets.ok_or_else(|| node.bad_attribute("n_targets", "must be positive"))?;
    let aggregate = match node.int("aggregate_function")?.unwrap_or(1) {
        0 => Aggregate::Average,
        1 => Aggregate::Sum,
        2 => Aggregate::Min,
        3 => Aggregate::Max,
        other => return Err(node.bad_attribute("aggregate_function", format!("is {other}"))),
    };
    let post = Post::numbered(node)?;
    node.gives(0, Element::Float);
    let mut f = Formula::new(node, writer);
    let y = aggregated(&mut f, x, &forest, targets, aggregate, &[])?;
    let y = post.apply(&mut f, y)?;
    one(Value::Activation(y))
}
