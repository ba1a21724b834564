//! Decision trees as two sparse linear maps around comparisons.
//!
//! Every test of a branch is a sum of comparisons `[x_f <= v]` and `[x_f >= v]`: `x = v` is their
//! sum minus 1, a set is a sum of such. A leaf is reached if all tests on its path come out as
//! the path says: the number of those that do not is a linear function of the comparisons, and
//! the leaf's indicator is whether it is 0. The maps are part of the public structure; thresholds
//! and the leaves' values are weights.

use std::collections::{BTreeMap, BTreeSet};

use ndarray::arr1;
use zkstrata_model_ir::float::{Activation, AxisMatrix, ValueId};

use crate::Error;
use crate::write::formula::Formula;

/// Most comparisons on the paths of all leaves.
const STEPS: usize = 1 << 24;

/// Where a branch leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Child {
    Branch(usize),
    Leaf(usize),
}

/// The condition of a branch.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Test {
    AtMost(f32),
    AtLeast(f32),
    /// One of a set of values.
    Among(Vec<f32>),
}

/// A node that is no leaf.
#[derive(Clone, Debug)]
pub(super) struct Branch {
    pub(super) feature: usize,
    pub(super) test: Test,
    pub(super) if_true: Child,
    pub(super) if_false: Child,
}

/// Trees of branches and leaves.
#[derive(Clone, Debug, Default)]
pub(super) struct Forest {
    pub(super) branches: Vec<Branch>,
    /// For each leaf its targets and their values.
    pub(super) leaves: Vec<Vec<(usize, f32)>>,
    pub(super) roots: Vec<Child>,
}

/// A leaf, its tree, and the branches on its path with the outcome that leads on.
struct Path {
    leaf: usize,
    tree: usize,
    steps: Vec<(usize, bool)>,
}

/// A leaf's tree, and its targets and their values.
type Found<'a> = (usize, &'a [(usize, f32)]);

/// A comparison: the feature, whether its value must be at least the threshold (otherwise at
/// most), and the threshold's bits.
type Comparison = (usize, bool, u32);

/// `constant + sum of comparisons`, 1 or 0.
struct Outcome {
    constant: i64,
    comparisons: Vec<usize>,
}

impl Test {
    /// How the test comes out for every finite number, if it does not depend on it.
    fn decided(&self) -> Option<bool> {
        match self {
            Self::AtMost(v) | Self::AtLeast(v) if v.is_finite() => None,
            Self::AtMost(v) => Some(*v > 0.0),
            Self::AtLeast(v) => Some(*v < 0.0),
            Self::Among(set) => set.iter().all(|v| !v.is_finite()).then_some(false),
        }
    }
}

impl Forest {
    /// The paths to all leaves, or what is wrong with the trees.
    fn paths(&self) -> Result<Vec<Path>, String> {
        let mut paths = Vec::new();
        let mut total = 0_usize;
        let mut seen = vec![false; self.branches.len()];
        for (tree, &root) in self.roots.iter().enumerate() {
            let mut waiting = vec![(root, Vec::new())];
            while let Some((child, steps)) = waiting.pop() {
                match child {
                    Child::Leaf(leaf) if leaf < self.leaves.len() => {
                        total = total.saturating_add(steps.len() + 1);
                        paths.push(Path { leaf, tree, steps });
                    }
                    Child::Branch(i) if i < self.branches.len() => {
                        if std::mem::replace(&mut seen[i], true) {
                            return Err(format!("branch {i} is reached twice"));
                        }
                        let branch = &self.branches[i];
                        if let Some(outcome) = branch.test.decided() {
                            let next = if outcome {
                                branch.if_true
                            } else {
                                branch.if_false
                            };
                            waiting.push((next, steps));
                            continue;
                        }
                        total = total.saturating_add(steps.len());
                        let mut on_true = steps.clone();
                        let mut on_false = steps;
                        on_true.push((i, true));
                        on_false.push((i, false));
                        waiting.push((self.branches[i].if_false, on_false));
                        waiting.push((self.branches[i].if_true, on_true));
                    }
                    other => return Err(format!("{other:?} does not exist")),
                }
                if total > STEPS {
                    return Err(format!("the trees' paths have more than {STEPS} branches"));
                }
            }
        }
        Ok(paths)
    }

    /// The indicators of the leaves, `[N, leaves]`, for the features `x[N, F]`; the leaves' trees
    /// and values are given beside.
    pub(super) fn reached(
        &self,
        f: &mut Formula,
        x: ValueId,
    ) -> Result<(ValueId, Vec<Found<'_>>), Error> {
        let features = f.shape(x)[1];
        let paths = self.paths().map_err(|reason| f.node.shape_error(reason))?;
        if let Some(bad) = self.branches.iter().find(|b| b.feature >= features) {
            return Err(f
                .node
                .shape_error(format!("feature {} of {features}", bad.feature)));
        }
        let (comparisons, outcomes) = self.outcomes();
        let found = paths
            .iter()
            .map(|path| (path.tree, &*self.leaves[path.leaf]));
        let found = found.collect();
        let columns: Vec<usize> = comparisons.iter().map(|c| c.0).collect();
        f.writer.allow(f.node, Some(comparisons.len()))?;
        if comparisons.is_empty() {
            // Trees without branches: their leaves are always reached.
            let any = f.select(x, 1, &vec![0; paths.len()])?;
            return Ok((f.affine(any, 0.0, 1.0)?, found));
        }
        let chosen = f.select(x, 1, &columns)?;
        let sign = |&(_, least, _): &Comparison| if least { 1.0 } else { -1.0 };
        let scale: Vec<f32> = comparisons.iter().map(sign).collect();
        let shift = comparisons.iter().zip(&scale);
        let shift: Vec<f32> = shift.map(|(c, s)| -s * f32::from_bits(c.2)).collect();
        let margin = f.affine_by(chosen, arr1(&scale).into_dyn(), arr1(&shift).into_dyn())?;
        let met = f.apply(Activation::Step, margin)?;
        let (matrix, required) = failures(&paths, &outcomes, comparisons.len());
        f.writer.allow(f.node, Some(matrix.entries.len()))?;
        let kept = f.map(met, 1, matrix)?;
        let missing = f.affine_by(
            kept,
            ndarray::arr0(1.0).into_dyn(),
            arr1(&required).into_dyn(),
        )?;
        Ok((f.apply(Activation::IsZero, missing)?, found))
    }

    /// All comparisons, each once, and every branch's test by them.
    fn outcomes(&self) -> (Vec<Comparison>, Vec<Outcome>) {
        let bits = |v: f32| (v + 0.0).to_bits();
        let comparisons = |branch: &Branch| -> Vec<Comparison> {
            let feature = branch.feature;
            if branch.test.decided().is_some() {
                return vec![];
            }
            match &branch.test {
                Test::AtMost(v) => vec![(feature, false, bits(*v))],
                Test::AtLeast(v) => vec![(feature, true, bits(*v))],
                Test::Among(set) => {
                    let finite = set.iter().filter(|v| v.is_finite());
                    let set: BTreeSet<u32> = finite.map(|&v| bits(v)).collect();
                    let both = set
                        .into_iter()
                        .flat_map(|v| [(feature, false, v), (feature, true, v)]);
                    both.collect()
                }
            }
        };
        let all: BTreeSet<Comparison> = self.branches.iter().flat_map(comparisons).collect();
        let all: Vec<Comparison> = all.into_iter().collect();
        let index: BTreeMap<Comparison, usize> =
            all.iter().enumerate().map(|(i, &c)| (c, i)).collect();
        let outcome = |branch: &Branch| {
            let used = comparisons(branch);
            Outcome {
                constant: match &branch.test {
                    Test::Among(_) => -(used.len() as i64 / 2),
                    _ => 0,
                },
                comparisons: used.iter().map(|c| index[c]).collect(),
            }
        };
        let outcomes = self.branches.iter().map(outcome).collect();
        (all, outcomes)
    }
}

/// For each path the number of its tests that come out otherwise, as a matrix of the comparisons
/// and constants.
fn failures(paths: &[Path], outcomes: &[Outcome], comparisons: usize) -> (AxisMatrix, Vec<f32>) {
    let mut entries = Vec::new();
    let mut constants = Vec::with_capacity(paths.len());
    for (row, path) in paths.iter().enumerate() {
        let mut weights: BTreeMap<usize, i64> = BTreeMap::new();
        let mut constant = 0;
        for &(branch, wanted) in &path.steps {
            let outcome = &outcomes[branch];
            let sign = if wanted { -1 } else { 1 };
            constant += i64::from(wanted) + sign * outcome.constant;
            for &comparison in &outcome.comparisons {
                *weights.entry(comparison).or_default() += sign;
            }
        }
        let kept = weights.into_iter().filter(|&(_, w)| w != 0);
        entries.extend(kept.map(|(x, w)| (row as u32, x as u32, w)));
        constants.push(constant as f32);
    }
    let matrix = AxisMatrix {
        input: comparisons,
        output: paths.len(),
        entries,
        divisor: 1,
    };
    (matrix, constants)
}
