//! Decision trees as two sparse linear maps around comparisons.
//!
//! Every test of a branch is a sum of comparisons `[x_f <= v]` and `[x_f >= v]`: `x = v` is their
//! sum minus 1, a set is a sum of such. A leaf is reached if all tests on its path come out as
//! the path says: the number of those that do not is a linear function of the comparisons, and
//! the leaf's indicator is whether it is 0.
//!
//! In place of a missing value the comparisons get a number that is above all thresholds of its
//! feature, so that they come out in a known way; where a test comes out otherwise for missing values,
//! the difference times whether the value is missing is added.
//!
//! The maps are part of the public structure; thresholds and the leaves' values are weights.

use std::collections::{BTreeMap, BTreeSet};

use ndarray::arr1;
use zkstrata_model_ir::float::{Activation, AxisMatrix, ValueId};

use crate::Error;
use crate::write::formula::Formula;

/// Most comparisons on the paths of all leaves.
const STEPS: usize = 1 << 24;

/// A missing value is farther above the thresholds of its feature than the largest of their
/// magnitudes divided by this.
const GAP: f32 = 16.0;

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
    /// How the test comes out for a missing value.
    pub(super) missing: bool,
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

/// `constant + sum of comparisons + missing m`, 1 or 0, with `m = 1` where the feature is missing and
/// else 0.
struct Outcome {
    constant: i64,
    comparisons: Vec<usize>,
    feature: usize,
    missing: i64,
}

/// Whether features may be missing.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cells {
    Present,
    Any,
}

/// The number of tests that come out otherwise: of every path a row of each matrix, and a constant.
struct Failures {
    /// Of the comparisons.
    compared: AxisMatrix,
    /// Of the features, whether they are missing.
    missing: AxisMatrix,
    required: Vec<f32>,
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

    /// How the test comes out for `x`.
    fn of(&self, x: f32) -> bool {
        match self {
            Self::AtMost(v) => x <= *v,
            Self::AtLeast(v) => x >= *v,
            Self::Among(set) => set.contains(&x),
        }
    }

    /// The finite thresholds.
    fn thresholds(&self) -> impl Iterator<Item = f32> + '_ {
        let all = match self {
            Self::AtMost(v) | Self::AtLeast(v) => std::slice::from_ref(v),
            Self::Among(set) => set,
        };
        all.iter().copied().filter(|v| v.is_finite())
    }
}

impl Forest {
    /// The paths to all leaves, or what is wrong with the trees.
    fn paths(&self, cells: Cells) -> Result<Vec<Path>, String> {
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
                        let decided = branch.test.decided();
                        let always =
                            |&outcome: &bool| cells == Cells::Present || outcome == branch.missing;
                        if let Some(outcome) = decided.filter(always) {
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
        if let Some(bad) = self.branches.iter().find(|b| b.feature >= features) {
            return Err(f
                .node
                .shape_error(format!("feature {} of {features}", bad.feature)));
        }
        let cells = if f.writer.may_be_missing(x) {
            Cells::Any
        } else {
            Cells::Present
        };
        let paths = self.paths(cells);
        let paths = paths.map_err(|reason| f.node.shape_error(reason))?;
        let fillings = self.fillings(features);
        let (comparisons, outcomes) = self.outcomes(&fillings);
        let found = paths
            .iter()
            .map(|path| (path.tree, &*self.leaves[path.leaf]));
        let found = found.collect();
        f.writer.allow(f.node, Some(comparisons.len()))?;
        let failures = Failures::of(&paths, &outcomes, comparisons.len(), features);
        let entries = failures.compared.entries.len() + failures.missing.entries.len();
        f.writer.allow(f.node, Some(entries))?;
        let required = arr1(&failures.required).into_dyn();
        let filled = match cells {
            Cells::Present => x,
            Cells::Any => f.replaced(x, arr1(&fillings).into_dyn())?,
        };
        let Some(failed) = failures.counted(f, (x, cells), filled, &comparisons)? else {
            // Trees without branches: their leaves are always reached.
            let any = f.select(filled, 1, &vec![0; paths.len()])?;
            return Ok((f.affine(any, 0.0, 1.0)?, found));
        };
        let failed = f.affine_by(failed, ndarray::arr0(1.0).into_dyn(), required)?;
        Ok((f.apply(Activation::IsZero, failed)?, found))
    }

    /// For every feature a number that is clearly above all its thresholds.
    fn fillings(&self, features: usize) -> Vec<f32> {
        let mut ends: Vec<Option<(f32, f32)>> = vec![None; features];
        for branch in &self.branches {
            for v in branch.test.thresholds() {
                let (most, size) = ends[branch.feature].unwrap_or((v, 0.0));
                ends[branch.feature] = Some((most.max(v), size.max(v.abs())));
            }
        }
        let above = |(most, size): (f32, f32)| {
            let gap = if size > 0.0 { size / GAP } else { 1.0 };
            (most + gap).min(f32::MAX)
        };
        ends.into_iter()
            .map(|ends| ends.map_or(0.0, above))
            .collect()
    }

    /// All comparisons, each once, and every branch's test by them.
    fn outcomes(&self, fillings: &[f32]) -> (Vec<Comparison>, Vec<Outcome>) {
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
            let decided = branch.test.decided();
            let filled = decided.unwrap_or_else(|| branch.test.of(fillings[branch.feature]));
            Outcome {
                constant: match (decided, &branch.test) {
                    (Some(outcome), _) => outcome.into(),
                    (None, Test::Among(_)) => -(used.len() as i64 / 2),
                    (None, Test::AtMost(_) | Test::AtLeast(_)) => 0,
                },
                comparisons: used.iter().map(|c| index[c]).collect(),
                feature: branch.feature,
                missing: i64::from(branch.missing) - i64::from(filled),
            }
        };
        let outcomes = self.branches.iter().map(outcome).collect();
        (all, outcomes)
    }
}

/// Whether each comparison of the features `x[N, F]` holds.
fn met(f: &mut Formula, x: ValueId, comparisons: &[Comparison]) -> Result<ValueId, Error> {
    let columns: Vec<usize> = comparisons.iter().map(|c| c.0).collect();
    let chosen = f.select(x, 1, &columns)?;
    let sign = |&(_, least, _): &Comparison| if least { 1.0 } else { -1.0 };
    let scale: Vec<f32> = comparisons.iter().map(sign).collect();
    let shift = comparisons.iter().zip(&scale);
    let shift: Vec<f32> = shift.map(|(c, s)| -s * f32::from_bits(c.2)).collect();
    let margin = f.affine_by(chosen, arr1(&scale).into_dyn(), arr1(&shift).into_dyn())?;
    f.apply(Activation::Step, margin)
}

impl Failures {
    /// The numbers but for the constants, `[N, paths]`, of features `x[N, F]` whose missing cells are
    /// `filled`; `None` without tests.
    fn counted(
        self,
        f: &mut Formula,
        (x, cells): (ValueId, Cells),
        filled: ValueId,
        comparisons: &[Comparison],
    ) -> Result<Option<ValueId>, Error> {
        let mut counted = None;
        if !comparisons.is_empty() {
            let met = met(f, filled, comparisons)?;
            counted = Some(f.map(met, 1, self.compared)?);
        }
        if cells == Cells::Any && !self.missing.entries.is_empty() {
            let missing = f.is_missing(x)?;
            let missing = f.map(missing, 1, self.missing)?;
            counted = Some(match counted {
                Some(counted) => f.add(counted, missing)?,
                None => missing,
            });
        }
        Ok(counted)
    }

    fn of(paths: &[Path], outcomes: &[Outcome], comparisons: usize, features: usize) -> Self {
        let (mut compared, mut missing) = (Vec::new(), Vec::new());
        let mut required = Vec::with_capacity(paths.len());
        for (row, path) in paths.iter().enumerate() {
            let mut weights: BTreeMap<usize, i64> = BTreeMap::new();
            let mut of_missing: BTreeMap<usize, i64> = BTreeMap::new();
            let mut constant = 0;
            for &(branch, wanted) in &path.steps {
                let outcome = &outcomes[branch];
                let sign = if wanted { -1 } else { 1 };
                constant += i64::from(wanted) + sign * outcome.constant;
                *of_missing.entry(outcome.feature).or_default() += sign * outcome.missing;
                for &comparison in &outcome.comparisons {
                    *weights.entry(comparison).or_default() += sign;
                }
            }
            for (entries, weights) in [(&mut compared, weights), (&mut missing, of_missing)] {
                let kept = weights.into_iter().filter(|&(_, w)| w != 0);
                entries.extend(kept.map(|(x, w)| (row as u32, x as u32, w)));
            }
            required.push(constant as f32);
        }
        let matrix = |input: usize, entries| AxisMatrix {
            input,
            output: paths.len(),
            entries,
            divisor: 1,
        };
        Self {
            compared: matrix(comparisons, compared),
            missing: matrix(features, missing),
            required,
        }
    }
}
