//! What becomes of every float value: its form, its scale and its bits.
//!
//! A value is either *small* (cells of `b` bits at its scale `s`) or an *accumulator*: an exact
//! integer at scale `s * 2^-k` that a table node of shift `k` makes small. Linear layers give
//! accumulators of shift `S`; a sum of small values is one of shift 0; a sum pool over `D` cells
//! one of shift `k = ceil(log2 D)` at scale `s_in / D`. Products and weighted sums of activations
//! are *raw*: their scale is the product of their operands' and is tied to nothing; they are made
//! small with a multiplier. Activations, sums and model outputs take accumulators as they are;
//! layers need small values.
//!
//! Scales are tied where integers are moved or added and each class of tied values takes the
//! largest scale a member demands: its calibrated range, with the profile's margin, must fit its
//! bits. A class without demands holds only accumulators that leave the model: its scale is free
//! and chosen so that the weights have 16 bits.

use super::calibration::{Range, Ranges, Usual};
use super::scales::Scales;
use super::{Error, Profile, whole};
use crate::float::{AxisMap, Graph, Node, Op};
use crate::int::{Interval, PortKind};
use std::collections::BTreeSet;

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
    /// An accumulator whose scale follows from its operands and has no relation to its small
    /// form's.
    Raw,
}

/// How a graph is quantised.
#[derive(Clone, Debug)]
pub(super) struct Plan<'a> {
    pub(super) graph: &'a Graph,
    pub(super) ranges: &'a [Range],
    pub(super) usual: &'a [Usual],
    pub(super) channels: &'a [Option<Vec<Range>>],
    pub(super) profile: Profile,
    pub(super) forms: Vec<Form>,
    pub(super) consumers: Vec<Vec<usize>>,
    pub(super) outputs: Vec<bool>,
    pub(super) needs_small: Vec<bool>,
    pub(super) nonnegative: Vec<bool>,
    /// The integers of values whose cells are integers.
    pub(super) integers: Vec<Option<Interval>>,
    /// Values that are compared with their own maximum.
    pub(super) extremes: Vec<bool>,
    /// Values whose small cells decide.
    pub(super) deep: Vec<bool>,
    /// Values whose tie would contradict others: their scale is that of their operands, raw.
    rescaled: BTreeSet<usize>,
    pub(super) classes: Scales,
    /// By root: classes of raw values only.
    pub(super) loose: Vec<bool>,
    /// Smallest and largest integer of values that the model quantises itself.
    pub(super) quantised: Vec<Option<(i64, i64)>>,
    /// By root: classes of integers, of scale 1.
    pub(super) whole: Vec<bool>,
    pub(super) bits: Vec<u32>,
    pub(super) free: Vec<bool>,
    pub(super) scales: Vec<f64>,
}

impl<'a> Plan<'a> {
    /// Plans `graph`, whose values have these calibrated ranges.
    pub(super) fn new(graph: &'a Graph, seen: &'a Ranges, profile: Profile) -> Result<Self, Error> {
        let n = graph.nodes().len();
        let ranges = &seen.values;
        let mut plan = Self {
            graph,
            ranges,
            usual: &seen.usual,
            channels: &seen.channels,
            profile,
            forms: vec![],
            consumers: vec![vec![]; n],
            outputs: vec![false; n],
            needs_small: vec![],
            nonnegative: vec![],
            integers: whole::find(graph, ranges),
            extremes: vec![],
            deep: vec![],
            rescaled: BTreeSet::new(),
            classes: Scales::new(n),
            loose: vec![],
            quantised: vec![],
            whole: vec![],
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
        whole::check(graph, ranges, &plan.integers)?;
        plan.extremes = plan.find_extremes();
        plan.deep = plan.find_deep();
        plan.forms = plan.find_forms()?;
        plan.rescaled.extend(plan.find_untied());
        loop {
            plan.forms = plan.find_forms()?;
            if let Some(culprit) = plan.tie()? {
                plan.rescaled.insert(culprit);
                continue;
            }
            plan.quantised = plan.find_quantised();
            plan.nonnegative = plan.find_nonnegative();
            plan.find_classes();
            match plan.leap() {
                None => break,
                Some(sum) => plan.rescaled.insert(sum),
            };
        }
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

    /// What a port that shows `v` says of its values.
    pub(super) fn kind(&self, v: usize) -> PortKind {
        if self.is_integral(v) {
            PortKind::Integer
        } else {
            PortKind::Real
        }
    }

    /// The form of `v`.
    pub(super) fn form(&self, v: usize) -> Form {
        self.forms[v]
    }

    /// Whether `v` is raw and tied to raw values only: its small form may have any scale.
    pub(super) fn is_loose(&self, v: usize) -> bool {
        self.loose[self.classes.root(v).0]
    }

    /// Whether the integers of `v` are its cells.
    pub(super) fn is_whole(&self, v: usize) -> bool {
        self.whole[self.classes.root(v).0]
    }

    /// Whether the scale of `v`'s accumulator is free.
    pub(super) fn is_free(&self, v: usize) -> bool {
        self.free[self.classes.root(v).0]
    }

    /// Whether a consumer of `v` takes its small form, when it is an accumulator.
    pub(super) fn needs_small(&self, v: usize) -> bool {
        self.needs_small[v]
    }

    /// Whether the sum `v` takes its operand `u` as an accumulator. Cells of one value are taken
    /// alike, so that equal ones have a difference of 0.
    pub(super) fn adds_directly(&self, v: usize, u: usize) -> bool {
        let alone = |u: usize| self.consumers[u].len() == 1 && !self.outputs[u];
        let inputs = &self.node(v).inputs;
        let origin = self.origin(u);
        let alike = inputs.iter().filter(|w| self.origin(w.0) == origin);
        alike.map(|w| w.0).all(alone)
    }

    /// Whether `v` has the scale of its operands, with no tie.
    pub(super) fn is_rescaled(&self, v: usize) -> bool {
        self.rescaled.contains(&v)
    }

    /// Whether the cells of `v` are integers.
    pub(super) fn is_integral(&self, v: usize) -> bool {
        self.integers[v].is_some()
    }

    /// Smallest and largest integer of the small form of `v`.
    pub(super) fn interval(&self, v: usize) -> (i64, i64) {
        if let Some(Interval { lo, hi }) = self.integers[v].filter(|_| self.is_whole(v)) {
            return (lo, hi);
        }
        if let Some(quantised) = self.quantised[v] {
            return quantised;
        }
        // At a prescribed scale the integers are as large as they must be.
        let most = match self.classes.fixed(v) {
            Some(scale) => (self.wanted(v) / scale).ceil().max(1.0) as i64,
            None => self.most(v, false),
        };
        if self.nonnegative[v] {
            let fixed = self.classes.fixed(v).map(|_| most);
            (0, fixed.unwrap_or_else(|| self.most(v, true)))
        } else {
            (-most, most)
        }
    }

    /// Bits of the small form of `v`.
    pub(super) fn bits_of(&self, v: usize) -> u32 {
        self.bits[self.classes.root(v).0]
    }

    /// Largest integer of `v`'s bits, unsigned or symmetric.
    pub(super) fn most(&self, v: usize, unsigned: bool) -> i64 {
        let bits = self.bits_of(v);
        (1 << if unsigned { bits } else { bits - 1 }) - 1
    }

    /// The single factor of an affine map that only changes the scale. A multiple of integers keeps
    /// their scale, so that its cells are integers too.
    pub(super) fn pure_scale(&self, v: usize) -> Option<f64> {
        let factor = self.factor(v).filter(|_| !self.is_rescaled(v))?;
        let multiple = self.is_integral(v) && self.is_integral(self.node(v).inputs[0].0);
        (!multiple || factor.abs() <= 1.0).then_some(factor)
    }

    /// The single factor of an affine map without a shift.
    pub(super) fn factor(&self, v: usize) -> Option<f64> {
        let Op::Affine { shift, .. } = &self.node(v).op else {
            return None;
        };
        self.uniform(v)
            .filter(|_| shift.iter().all(|&shift| shift == 0.0))
    }

    /// The single factor and the shift of an affine map without a factor per cell, of a value that
    /// is no layer's accumulator: a change of scale and a constant.
    pub(super) fn uniform(&self, v: usize) -> Option<f64> {
        match &self.node(v).op {
            Op::Affine { scale, .. } => {
                let first = *scale.iter().next()?;
                let same = scale.iter().all(|s| s.to_bits() == first.to_bits());
                (same && first != 0.0).then_some(f64::from(first))
            }
            _ => None,
        }
    }

    /// Largest magnitude of what `v` adds up, which may be far larger than the sum; 0 if it is no
    /// sum.
    pub(super) fn largest_part(&self, v: usize) -> f64 {
        let node = self.node(v);
        let sizes = node.inputs.iter().map(|u| self.ranges[u.0].size());
        match &node.op {
            Op::Add | Op::Sub => sizes.fold(0.0, f64::max),
            Op::Map(_) if self.adds_cells(v) => sizes.fold(0.0, f64::max),
            Op::Affine { shift, .. } => {
                let most = shift.iter().fold(0.0_f32, |most, t| most.max(t.abs()));
                f64::from(most)
            }
            Op::Map(_)
            | Op::Dense { .. }
            | Op::Conv { .. }
            | Op::Input { .. }
            | Op::Constant { .. }
            | Op::Activation(_)
            | Op::Pool { .. }
            | Op::Max
            | Op::Maximum { .. }
            | Op::Reshape { .. }
            | Op::Transpose { .. }
            | Op::Take { .. }
            | Op::Concat { .. }
            | Op::Pad { .. }
            | Op::Contract(_) => 0.0,
        }
    }

    /// Whether `v` is a linear map that adds cells; the others only move them.
    pub(super) fn adds_cells(&self, v: usize) -> bool {
        let moves = |axis: &AxisMap| match axis {
            AxisMap::Keep => true,
            AxisMap::Matrix(m) => {
                let ones = m.entries.iter().all(|&(_, _, w)| w == m.divisor);
                ones && m.entries.windows(2).all(|pair| pair[0].0 != pair[1].0)
            }
        };
        matches!(&self.node(v).op, Op::Map(axes) if !axes.iter().all(moves))
    }
}
