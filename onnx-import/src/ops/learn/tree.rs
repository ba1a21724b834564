//! Tree ensembles of `ai.onnx.ml`: what their attributes say, and the sums of their leaves.

use std::collections::{BTreeMap, BTreeSet};

use ndarray::{Array2, arr1};
use zkstrata_model_ir::float::{Op, ValueId};

use super::classes::{Labels, Post, Single, decided, finished, second};
use super::forest::{Branch, Child, Forest, Test};
use crate::Error;
use crate::decode::tensor::Cells;
use crate::ops::one;
use crate::scope::node::Node;
use crate::scope::value::{Element, Value, finite};
use crate::write::Writer;
use crate::write::formula::Formula;

/// How the values of several trees are combined.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Aggregate {
    Sum,
    Average,
    Min,
    Max,
}

/// Numbers from the attribute `name`, or from `name_as_tensor`, in single precision.
fn listed(node: &Node, writer: &mut Writer, name: &str) -> Result<Vec<f32>, Error> {
    let stored = node.floats(name)?.map(<[f32]>::to_vec);
    let list = match node.tensor(&format!("{name}_as_tensor"))? {
        Some(tensor) if stored.is_none() => {
            match writer.decode(tensor, node.name())?.into_cells() {
                Cells::Float(list) => list,
                _ => return Err(node.bad_attribute(name, "must have floats")),
            }
        }
        _ => stored.unwrap_or_default(),
    };
    Ok(list)
}

/// Finite numbers from an attribute.
fn numbers(node: &Node, writer: &mut Writer, name: &str) -> Result<Vec<f32>, Error> {
    let list = listed(node, writer, name)?;
    let label = format!("{}.{name}", node.name());
    finite(&label, arr1(&list).into_dyn())?;
    Ok(list)
}

/// Indices from the attribute `name`.
pub(super) fn indices(node: &Node, name: &str) -> Result<Vec<usize>, Error> {
    let list = node.ints(name)?.unwrap_or(&[]).iter();
    let list = list.map(|&i| usize::try_from(i)).collect::<Result<_, _>>();
    list.map_err(|_| node.bad_attribute(name, "has a negative index"))
}

/// The test of a mode, and whether its outcomes are exchanged.
pub(super) fn test(node: &Node, mode: &str, value: f32) -> Result<(Test, bool), Error> {
    Ok(match mode {
        "BRANCH_LEQ" => (Test::AtMost(value), false),
        "BRANCH_GT" => (Test::AtMost(value), true),
        "BRANCH_GTE" => (Test::AtLeast(value), false),
        "BRANCH_LT" => (Test::AtLeast(value), true),
        "BRANCH_EQ" => (Test::Among(vec![value]), false),
        "BRANCH_NEQ" => (Test::Among(vec![value]), true),
        other => return Err(node.bad_attribute("nodes_modes", format!("has `{other}`"))),
    })
}

/// For each of `n` nodes whether missing values go where the test is true, however it comes out.
pub(super) fn tracks(node: &Node, n: usize) -> Result<Vec<bool>, Error> {
    const NAME: &str = "nodes_missing_value_tracks_true";
    match node.ints(NAME)?.unwrap_or(&[]) {
        [] => Ok(vec![false; n]),
        list if list.len() == n => Ok(list.iter().map(|&track| track != 0).collect()),
        _ => Err(node.bad_attribute(NAME, "differs in length from other lists")),
    }
}

/// How the comparison of a mode comes out for a missing value: NaN differs from all numbers.
pub(super) fn missing(mode: &str, tracks: bool) -> bool {
    tracks || mode == "BRANCH_NEQ"
}

/// The forest of a classifier or regressor, whose leaves are listed with the prefix `of`.
fn forest(node: &Node, writer: &mut Writer, of: &str) -> Result<Forest, Error> {
    let (trees, ids) = (
        indices(node, "nodes_treeids")?,
        indices(node, "nodes_nodeids")?,
    );
    let features = indices(node, "nodes_featureids")?;
    let modes = node.names("nodes_modes")?.unwrap_or_default();
    let values = listed(node, writer, "nodes_values")?;
    if let Some(i) = (0..values.len()).find(|&i| values[i].is_nan()) {
        return Err(node.bad_attribute("nodes_values", format!("is NaN at index {i}")));
    }
    let on_true = indices(node, "nodes_truenodeids")?;
    let on_false = indices(node, "nodes_falsenodeids")?;
    // Statistics of the training.
    numbers(node, writer, "nodes_hitrates")?;
    let n = trees.len();
    let tracks = tracks(node, n)?;
    if [
        ids.len(),
        features.len(),
        modes.len(),
        values.len(),
        on_true.len(),
        on_false.len(),
    ] != [n; 6]
    {
        return Err(node.bad_attribute("nodes_treeids", "differs in length from other lists"));
    }
    let mut forest = Forest::default();
    let mut places: BTreeMap<(usize, usize), Child> = BTreeMap::new();
    let mut begun = BTreeSet::new();
    let (mut branches, mut leaves) = (0, 0);
    for i in 0..n {
        let counter = if modes[i] == "LEAF" {
            &mut leaves
        } else {
            &mut branches
        };
        let child = match modes[i] {
            "LEAF" => Child::Leaf(*counter),
            _ => Child::Branch(*counter),
        };
        *counter += 1;
        if places.insert((trees[i], ids[i]), child).is_some() {
            let (tree, id) = (trees[i], ids[i]);
            return Err(node.shape_error(format!("node {id} of tree {tree} is given twice")));
        }
        // The first node of a tree is its root.
        if begun.insert(trees[i]) {
            forest.roots.push(child);
        }
    }
    forest.leaves = vec![Vec::new(); leaves];
    for i in (0..n).filter(|&i| modes[i] != "LEAF") {
        let find = |id: usize| {
            let found = places.get(&(trees[i], id)).copied();
            found.ok_or_else(|| node.shape_error(format!("tree {} has no node {id}", trees[i])))
        };
        let (test, exchanged) = test(node, modes[i], values[i])?;
        let missing = missing(modes[i], tracks[i]) != exchanged;
        let (mut if_true, mut if_false) = (find(on_true[i])?, find(on_false[i])?);
        if exchanged {
            (if_true, if_false) = (if_false, if_true);
        }
        let feature = features[i];
        forest.branches.push(Branch {
            feature,
            test,
            missing,
            if_true,
            if_false,
        });
    }
    let list = |name: &str| indices(node, &format!("{of}_{name}"));
    let (leaf_trees, leaf_ids, targets) = (list("treeids")?, list("nodeids")?, list("ids")?);
    let weights = numbers(node, writer, &format!("{of}_weights"))?;
    if [leaf_ids.len(), targets.len(), weights.len()] != [leaf_trees.len(); 3] {
        let name = format!("{of}_treeids");
        return Err(node.bad_attribute(&name, "differs in length from other lists"));
    }
    for i in 0..weights.len() {
        if let Some(&Child::Leaf(leaf)) = places.get(&(leaf_trees[i], leaf_ids[i])) {
            forest.leaves[leaf].push((targets[i], weights[i]));
        } else {
            let (tree, id) = (leaf_trees[i], leaf_ids[i]);
            return Err(node.shape_error(format!("node {id} of tree {tree} is no leaf")));
        }
    }
    Ok(forest)
}

/// The features `[N, F]`.
pub(super) fn features(node: &mut Node, writer: &mut Writer) -> Result<ValueId, Error> {
    node.at_most(1)?;
    let x = writer.activation(node, 0)?;
    match *writer.shape(x) {
        [n] => writer.reshape(node, x, vec![1, n]),
        [_, _] => Ok(x),
        ref shape => Err(node.shape_error(format!("features of shape {shape:?}"))),
    }
}

/// The combined values of all trees, `[N, targets]`, plus the base values.
pub(super) fn aggregated(
    f: &mut Formula,
    x: ValueId,
    forest: &Forest,
    targets: usize,
    aggregate: Aggregate,
    base: &[f32],
) -> Result<ValueId, Error> {
    let node = f.node;
    if !base.is_empty() && base.len() != targets {
        let reason = format!("are {} for {targets} targets", base.len());
        return Err(node.bad_attribute("base_values", reason));
    }
    let all = forest.leaves.iter().flatten();
    if let Some((target, _)) = all.clone().find(|(target, _)| *target >= targets) {
        return Err(node.shape_error(format!("target {target} of {targets}")));
    }
    let trees = forest.roots.len();
    let (reached, leaves) = forest.reached(f, x)?;
    // One column per target, or per tree and target where trees are compared.
    let apart = matches!(aggregate, Aggregate::Min | Aggregate::Max);
    let columns = if apart {
        trees.checked_mul(targets)
    } else {
        Some(targets)
    };
    let cells = columns.and_then(|c| c.checked_mul(leaves.len()));
    f.writer.allow(node, cells)?;
    let columns = columns.unwrap_or(targets);
    let mut weight = Array2::<f32>::zeros((leaves.len(), columns));
    for (row, (tree, values)) in leaves.into_iter().enumerate() {
        for &(target, value) in values {
            let column = if apart {
                tree * targets + target
            } else {
                target
            };
            weight[[row, column]] += value;
        }
        if apart && values.len() != targets {
            return Err(node.unsupported(
                "it compares trees some of whose leaves lack a target: use the aggregate SUM",
            ));
        }
    }
    if aggregate == Aggregate::Average {
        weight /= trees as f32;
    }
    let weight = finite(node.name(), weight.into_dyn())?;
    let bias = (!apart && !base.is_empty()).then(|| arr1(base).into_dyn());
    let y = f.writer.add(node, Op::Dense { weight, bias }, &[reached])?;
    if !apart {
        return Ok(y);
    }
    let n = f.shape(y)[0];
    let y = f.reshape(y, vec![n, trees, targets])?;
    let sign = if aggregate == Aggregate::Min {
        -1.0
    } else {
        1.0
    };
    let y = f.affine(y, sign, 0.0)?;
    let y = f.maximum(y, &[1].into())?;
    let y = f.reshape(y, vec![n, targets])?;
    let shift = match base {
        [] => ndarray::arr0(0.0).into_dyn(),
        base => arr1(base).into_dyn(),
    };
    f.affine_by(y, ndarray::arr0(sign).into_dyn(), shift)
}

/// The sum, mean, minimum or maximum of the trees' values.
pub(crate) fn regressor(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    let x = features(node, writer)?;
    let forest = forest(node, writer, "target")?;
    let base = numbers(node, writer, "base_values")?;
    let targets = node.int("n_targets")?.unwrap_or(1);
    let targets = usize::try_from(targets).ok().filter(|&n| n > 0);
    let targets = targets.ok_or_else(|| node.bad_attribute("n_targets", "must be positive"))?;
    let aggregate = match node.string("aggregate_function")?.unwrap_or("SUM") {
        "SUM" => Aggregate::Sum,
        "AVERAGE" => Aggregate::Average,
        "MIN" => Aggregate::Min,
        "MAX" => Aggregate::Max,
        other => return Err(node.bad_attribute("aggregate_function", format!("is `{other}`"))),
    };
    let post = Post::read(node)?;
    if targets == 1 && post != Post::None {
        return Err(node.unsupported(
            "the standard transforms the values of a single target, onnxruntime does not: put \
             the post_transform into an operator of its own",
        ));
    }
    node.gives(0, Element::Float);
    let mut f = Formula::new(node, writer);
    let y = aggregated(&mut f, x, &forest, targets, aggregate, &base)?;
    let y = post.apply(&mut f, y)?;
    one(Value::Activation(y))
}

/// The class of the largest sum, and the sums.
pub(crate) fn classifier(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    let x = features(node, writer)?;
    let mut forest = forest(node, writer, "class")?;
    let base = numbers(node, writer, "base_values")?;
    let labels = Labels::read(node, "classlabels_int64s", "classlabels_strings")?;
    let post = Post::read(node)?;
    let leaves = || forest.leaves.iter().flatten();
    let first = leaves().next().map_or(0, |leaf| leaf.0);
    // Two classes and values of one: its score decides between them.
    let single = labels.len() <= 2 && leaves().all(|leaf| leaf.0 == first);
    let positive = leaves().all(|leaf| leaf.1 >= 0.0);
    if !single {
        if labels.len() == 2 && !base.is_empty() {
            return Err(node.unsupported(
                "of two classes with scores of their own, onnxruntime adds base values to one \
                 alone: add them to the leaves of a tree",
            ));
        }
        let mut f = Formula::new(node, writer);
        let y = aggregated(&mut f, x, &forest, labels.len(), Aggregate::Sum, &base)?;
        if labels.len() == 2 {
            return second(node, writer, &labels, y, post);
        }
        return finished(node, writer, &labels, y, post);
    }
    for leaf in forest.leaves.iter_mut().flatten() {
        leaf.0 = 0;
    }
    if base.len() > 1 || first != 0 {
        return Err(node.unsupported(
            "of two classes only one has scores, and it is the second or has two base values: \
             give it the class id 0 and one base value",
        ));
    }
    let mut f = Formula::new(node, writer);
    let score = aggregated(&mut f, x, &forest, 1, Aggregate::Sum, &base)?;
    let single = if positive {
        Single::Probability
    } else {
        Single::Margin
    };
    decided(node, writer, &labels, score, post, single)
}
