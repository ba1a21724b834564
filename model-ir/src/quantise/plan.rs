//! What becomes of every float value: its form, its scale and its bits.
//!
//! A value is either *small* (cells of `b` bits at its scale `s`) or an *accumulator*: an exact
//! integer at scale `s * 2^-k` that a table node of shift `k` makes small. Linear layers give
//! accumulators of shift `S`; a sum of small values is one of shift 0; a sum pool over `D` cells
//! one of shift `k = ceil(log2 D)` at scale `s_in / D`. Activations, sums and model outputs take
//! accumulators as they are; everything else needs small values.
//!
//! Scales are tied where integers are moved or added and each class of tied values takes the
//! largest scale a member demands: its calibrated range, with the profile's margin, must fit its
//! bits. A class without demands holds only accumulators that leave the model: its scale is free
//! and chosen so that the weights have 16 bits.

use super::average::Average;
use super::calibration::Range;
use super::scales::Scales;
use super::{Error, Profile};
use crate::float::{Activation, Graph, Node, Op, PoolKind};
use std::collections::BTreeSet;

/// Least bits of a small value that is a model output.
const OUTPUT_BITS: u32 = 12;
/// An exact accumulator of at most this shift feeds a linear layer as it is.
const DIRECT_SHIFT: u32 = 2;

/// The form of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Cells of `b` bits.
    Small,
    /// A linear layer's accumulator, perhaps with other values added: shift `S`, or 0 when its
    /// scale is free.
    Linear,
    /// An accumulator whose scale follows from its operands, of this shift.
    Exact(u32),
}

/// How a graph is quantised.
#[derive(Clone, Debug)]
pub(super) struct Plan<'a> {
    pub(super) graph: &'a Graph,
    pub(super) ranges: &'a [Range],
    pub(super) profile: Profile,
    pub(super) forms: Vec<Form>,
    pub(super) consumers: Vec<Vec<usize>>,
    outputs: Vec<bool>,
    pub(super) needs_small: Vec<bool>,
    pub(super) nonnegative: Vec<bool>,
    /// Values whose operator is computed as a linear layer with one weight because a tie would
    /// contradict others.
    rescaled: BTreeSet<usize>,
    pub(super) classes: Scales,
    pub(super) bits: Vec<u32>,
    pub(super) free: Vec<bool>,
    pub(super) scales: Vec<f64>,
}

impl<'a> Plan<'a> {
    /// Plans `graph`, whose values have these calibrated `ranges`.
    pub(super) fn new(
        graph: &'a Graph,
        ranges: &'a [Range],
        profile: Profile,
    ) -> Result<Self, Error> {
        let n = graph.nodes().len();
        let mut plan = Self {
            graph,
            ranges,
            profile,
            forms: vec![],
            consumers: vec![vec![]; n],
            outputs: vec![false; n],
            needs_small: vec![],
            nonnegative: vec![],
            rescaled: BTreeSet::new(),
            classes: Scales::new(n),
            bits: vec![],
            free: vec![],
            scales: vec![],
        };
        for (i, node) in graph.nodes().iter().enumerate() {
            node.inputs.iter().for_each(|v| plan.consumers[v.0].push(i));
        }
        for (_, value) in graph.outputs() {
            plan.outputs[value.0] = true;
        }
        loop {
            plan.forms = plan.find_forms()?;
            match plan.tie()? {
                None => break,
                Some(culprit) => plan.rescaled.insert(culprit),
            };
        }
        plan.nonnegative = plan.find_nonnegative();
        plan.bits = plan.find_bits();
        plan.find_needs();
        plan.find_scales()?;
        Ok(plan)
    }

    /// The node that produces value `v`.
    pub(super) fn node(&self, v: usize) -> &'a Node {
        &self.graph.nodes()[v]
    }

    /// Real value of the integer 1 of the small form of `v`; of the accumulator, if it is free.
    pub(super) fn scale(&self, v: usize) -> f64 {
        self.scales[v]
    }

    /// The form of `v`.
    pub(super) fn form(&self, v: usize) -> Form {
        self.forms[v]
    }

    /// Whether the scale of `v`'s accumulator is free.
    pub(super) fn is_free(&self, v: usize) -> bool {
        self.free[self.classes.root(v).0]
    }

    /// Whether a consumer of `v` takes its small form, when it is an accumulator.
    pub(super) fn needs_small(&self, v: usize) -> bool {
        self.needs_small[v]
    }

    /// Whether a sum takes its operand `v` as an accumulator.
    pub(super) fn adds_directly(&self, v: usize) -> bool {
        self.consumers[v].len() == 1 && !self.outputs[v]
    }

    /// Whether `v` is no tie but a linear layer of one weight.
    pub(super) fn is_rescaled(&self, v: usize) -> bool {
        self.rescaled.contains(&v)
    }

    /// Smallest and largest integer of the small form of `v`.
    pub(super) fn interval(&self, v: usize) -> (i64, i64) {
        let most = self.most(v, false);
        if self.nonnegative[v] {
            (0, self.most(v, true))
        } else {
            (-most, most)
        }
    }

    /// Largest integer of `v`'s bits, unsigned or symmetric.
    pub(super) fn most(&self, v: usize, unsigned: bool) -> i64 {
        let bits = self.bits[self.classes.root(v).0];
        (1 << if unsigned { bits } else { bits - 1 }) - 1
    }

    /// The single factor of an affine map that only changes the scale.
    pub(super) fn pure_scale(&self, v: usize) -> Option<f64> {
        match &self.node(v).op {
            Op::Affine { scale, shift } if !self.is_rescaled(v) => {
                let first = *scale.iter().next()?;
                let same = scale.iter().all(|s| s.to_bits() == first.to_bits());
                let pure = same && first != 0.0 && shift.iter().all(|&t| t == 0.0);
                pure.then_some(f64::from(first))
            }
            _ => None,
        }
    }

    fn find_forms(&self) -> Result<Vec<Form>, Error> {
        let mut forms: Vec<Form> = Vec::new();
        for (v, node) in self.graph.nodes().iter().enumerate() {
            let operand = |k: usize| forms[node.inputs[k].0];
            let form = match &node.op {
                Op::Affine { .. } if self.pure_scale(v).is_some() => operand(0),
                Op::Dense { .. } | Op::Conv { .. } | Op::Affine { .. } => Form::Linear,
                Op::Input { .. } | Op::Activation(_) | Op::Concat { .. } | Op::Pad { .. } => {
                    Form::Small
                }
                Op::Pool { kind, windows } => match kind {
                    PoolKind::Max => Form::Small,
                    _ if self.is_rescaled(v) => Form::Linear,
                    _ => {
                        let input = &self.node(node.inputs[0].0).shape;
                        Form::Exact(Average::new(*kind, windows, input, &node.name)?.shift())
                    }
                },
                Op::Add | Op::Sub => {
                    let term = |v: &crate::float::ValueId| match forms[v.0] {
                        form if self.adds_directly(v.0) => form,
                        _ => Form::Small,
                    };
                    let terms: Vec<Form> = node.inputs.iter().map(term).collect();
                    let shift = |form: &Form| match form {
                        Form::Exact(k) => *k,
                        _ => 0,
                    };
                    if terms.contains(&Form::Linear) {
                        Form::Linear
                    } else {
                        Form::Exact(terms.iter().map(shift).max().unwrap_or(0))
                    }
                }
                Op::Reshape { .. } | Op::Transpose { .. } => operand(0),
                _ => {
                    return Err(Error::Unsupported {
                        node: node.name.clone(),
                        reason: "it has no integer form yet".into(),
                    });
                }
            };
            forms.push(form);
        }
        Ok(forms)
    }

    /// Builds the classes; the value to rescale if its tie contradicts others.
    fn tie(&mut self) -> Result<Option<usize>, Error> {
        self.classes = Scales::new(self.forms.len());
        for (v, node) in self.graph.nodes().iter().enumerate() {
            let ratio = match &node.op {
                Op::Input { .. }
                | Op::Dense { .. }
                | Op::Conv { .. }
                | Op::Activation(Activation::Sigmoid | Activation::Tanh) => continue,
                Op::Affine { .. } => match self.pure_scale(v) {
                    Some(factor) => factor.abs(),
                    None => continue,
                },
                Op::Pool { kind, .. } if *kind != PoolKind::Max => match self.forms[v] {
                    Form::Exact(_) => self.average(v)?.ratio(),
                    _ => continue,
                },
                _ => 1.0,
            };
            let consistent =
                |v2: &crate::float::ValueId, classes: &mut Scales| classes.tie(v, v2.0, ratio);
            let mut inputs = node.inputs.iter();
            if inputs.all(|input| consistent(input, &mut self.classes)) {
                continue;
            }
            let root = self.classes.root(v).0;
            let ratio_tie = |&u: &usize| {
                let averages =
                    matches!(&self.node(u).op, Op::Pool { kind, .. } if *kind != PoolKind::Max);
                let factor = self.pure_scale(u).is_some();
                let exact = matches!(self.forms[u], Form::Exact(_)) && averages;
                (exact || factor) && self.classes.root(u).0 == root
            };
            let culprit = (0..=v).rev().find(ratio_tie);
            return Ok(Some(culprit.expect("only ratios other than 1 contradict")));
        }
        Ok(None)
    }

    /// The division of average pool `v`.
    pub(super) fn average(&self, v: usize) -> Result<Average, Error> {
        let node = self.node(v);
        let Op::Pool { kind, windows } = &node.op else {
            unreachable!("asked of pools only");
        };
        Average::new(
            *kind,
            windows,
            &self.node(node.inputs[0].0).shape,
            &node.name,
        )
    }

    fn find_nonnegative(&self) -> Vec<bool> {
        let mut known: Vec<bool> = Vec::new();
        for (v, node) in self.graph.nodes().iter().enumerate() {
            let all = || node.inputs.iter().all(|i| known[i.0]);
            known.push(match &node.op {
                Op::Input { .. } => self.ranges[v].lo >= 0.0,
                Op::Activation(Activation::Relu | Activation::Sigmoid) => true,
                Op::Activation(Activation::Clip { lo, .. }) => *lo >= 0.0,
                Op::Affine { .. } => self.pure_scale(v).is_some_and(|f| f > 0.0) && all(),
                Op::Pad { value, .. } => *value >= 0.0 && all(),
                Op::Dense { .. } | Op::Conv { .. } | Op::Sub => false,
                _ => all(),
            });
        }
        known
    }

    fn find_bits(&self) -> Vec<u32> {
        let mut bits = vec![self.profile.bits(); self.forms.len()];
        for v in 0..self.forms.len() {
            if self.outputs[v] && self.forms[v] == Form::Small {
                let root = self.classes.root(v).0;
                bits[root] = bits[root].max(OUTPUT_BITS);
            }
        }
        bits
    }

    /// Which accumulators must be made small, and which classes are free.
    fn find_needs(&mut self) {
        let n = self.forms.len();
        let is_linear = |v: usize| {
            let node = self.node(v);
            matches!(node.op, Op::Dense { .. } | Op::Conv { .. })
                || matches!(node.op, Op::Affine { .. }) && self.pure_scale(v).is_none()
        };
        let mut needs = vec![false; n];
        for v in (0..n).filter(|&v| self.forms[v] != Form::Small) {
            needs[v] = self.consumers[v].iter().any(|&c| match &self.node(c).op {
                Op::Activation(_) | Op::Reshape { .. } | Op::Transpose { .. } => false,
                Op::Add | Op::Sub => !self.adds_directly(v),
                Op::Affine { .. } if !is_linear(c) => false,
                Op::Pool { .. } | Op::Concat { .. } | Op::Pad { .. } => true,
                _ => !matches!(self.forms[v], Form::Exact(_)),
            });
        }
        let mut free = vec![true; n];
        for (v, &needed) in needs.iter().enumerate() {
            if needed || self.is_source(v) || self.feeds_curve(v) {
                free[self.classes.root(v).0] = false;
            }
        }
        for (v, needed) in needs.iter_mut().enumerate() {
            let Form::Exact(shift) = self.forms[v] else {
                continue;
            };
            let coarse = |&c: &usize| {
                let free = free[self.classes.root(c).0];
                is_linear(c) && !free && shift > DIRECT_SHIFT
            };
            *needed |= self.consumers[v].iter().any(coarse);
        }
        (self.needs_small, self.free) = (needs, free);
    }

    /// Whether `v` is made small where it is produced.
    pub(super) fn is_source(&self, v: usize) -> bool {
        matches!(
            self.node(v).op,
            Op::Input { .. } | Op::Activation(_) | Op::Pad { .. }
        )
    }

    /// Whether `v` is an accumulator that a sigmoid or tanh takes.
    pub(super) fn feeds_curve(&self, v: usize) -> bool {
        let curve = |&c: &usize| {
            let op = &self.node(c).op;
            matches!(op, Op::Activation(Activation::Sigmoid | Activation::Tanh))
        };
        self.forms[v] != Form::Small && self.consumers[v].iter().any(curve)
    }
}
