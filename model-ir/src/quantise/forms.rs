//! Forms: what integers stand for a value.
//!
//! A value is either *small* (cells of `b` bits at its scale `s`) or an *accumulator*: an exact
//! integer at scale `s * 2^-k` that a table node of shift `k` makes small. Linear layers give
//! accumulators of shift `S`; a sum of small values is one of shift 0; a sum pool over `D` cells
//! one of shift `k = ceil(log2 D)` at scale `s_in / D`. Products and weighted sums of activations
//! are *raw*: their scale is the product of their operands' and is tied to nothing; they are made
//! small with a multiplier. Activations, sums and model outputs take accumulators as they are;
//! layers need small values.
//!
//! Forms follow from the facts and from the set of *rescaled* values, whose ties would contradict
//! others: their scale is that of their operands, raw.

use super::calibration::Range;
use super::facts::Facts;
use super::{Error, deep, policy};
use crate::float::{Activation, Op, PoolKind, ValueId};
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

/// The form of every value, and what follows from it alone.
#[derive(Debug)]
pub(super) struct Forms {
    of: Vec<Form>,
    rescaled: BTreeSet<usize>,
    pure_scale: Vec<Option<f64>>,
    feeds_curve: Vec<bool>,
    deep_bits: Vec<u32>,
    wanted: Vec<f64>,
}

impl Forms {
    /// The forms with this set of rescaled values.
    pub(super) fn new(facts: &Facts, rescaled: BTreeSet<usize>) -> Result<Self, Error> {
        let n = facts.len();
        let mut forms = Self {
            of: Vec::with_capacity(n),
            pure_scale: (0..n).map(|v| pure_scale(facts, &rescaled, v)).collect(),
            rescaled,
            feeds_curve: vec![],
            deep_bits: vec![],
            wanted: vec![],
        };
        for v in 0..n {
            let form = forms.form(facts, v)?;
            forms.of.push(form);
        }
        forms.feeds_curve = (0..n).map(|v| forms.is_curved(facts, v)).collect();
        forms.deep_bits = (0..n).map(|v| deep::bits(facts, forms.of[v], v)).collect();
        for v in 0..n {
            let wanted = forms.largest(facts, v);
            forms.wanted.push(wanted);
        }
        Ok(forms)
    }

    /// The form of `v`.
    pub(super) fn of(&self, v: usize) -> Form {
        self.of[v]
    }

    /// Whether `v` has the scale of its operands, with no tie.
    pub(super) fn is_rescaled(&self, v: usize) -> bool {
        self.rescaled.contains(&v)
    }

    /// The rescaled values.
    pub(super) fn into_rescaled(self) -> BTreeSet<usize> {
        self.rescaled
    }

    /// The single factor of an affine map that only changes the scale. A multiple of integers keeps
    /// their scale, so that its cells are integers too.
    pub(super) fn pure_scale(&self, v: usize) -> Option<f64> {
        self.pure_scale[v]
    }

    /// Whether `v` is an accumulator that a curve takes.
    pub(super) fn feeds_curve(&self, v: usize) -> bool {
        self.feeds_curve[v]
    }

    /// Bits of a deep value, which is made small only where it is squared or given; 0 of others.
    pub(super) fn deep_bits(&self, v: usize) -> u32 {
        self.deep_bits[v]
    }

    /// Largest absolute value that the small form of `v` must hold.
    pub(super) fn wanted(&self, v: usize) -> f64 {
        self.wanted[v]
    }

    /// The form of `v`, where those of its operands are known.
    fn form(&self, facts: &Facts, v: usize) -> Result<Form, Error> {
        let node = facts.node(v);
        let operand = |k: usize| self.of[node.inputs[k].0];
        let raw = || node.inputs.iter().any(|u| self.of[u.0] == Form::Raw);
        Ok(match &node.op {
            Op::Dense { .. } | Op::Conv { .. } if facts.deep[v] && raw() => Form::Raw,
            Op::Dense { .. } if facts.scores[v] => Form::Raw,
            Op::Affine { .. } if facts.dequantised[v].is_some() => Form::Small,
            Op::Affine { .. } if self.pure_scale[v].is_some() => operand(0),
            Op::Affine { .. } if raw() => Form::Raw,
            Op::Affine { .. } if node.op.uniform().is_some() && operand(0) != Form::Linear => {
                Form::Raw
            }
            Op::Dense { .. } | Op::Conv { .. } | Op::Affine { .. } => Form::Linear,
            Op::Concat { .. } | Op::Pad { .. } | Op::Max if self.is_rescaled(v) => Form::Raw,
            Op::Max | Op::Maximum { .. } if raw() => Form::Raw,
            Op::Input { .. }
            | Op::Constant { .. }
            | Op::Activation(_)
            | Op::Missing(_)
            | Op::Concat { .. }
            | Op::Pad { .. }
            | Op::Max
            | Op::Maximum { .. } => Form::Small,
            Op::Pool { kind, .. } => match kind {
                PoolKind::Max => Form::Small,
                PoolKind::AverageInside | PoolKind::AveragePadded => {
                    if self.is_rescaled(v) || raw() {
                        Form::Raw
                    } else {
                        Form::Exact(facts.average(v)?.shift())
                    }
                }
            },
            Op::Add | Op::Sub => self.sum(facts, v),
            Op::Contract(_) => Form::Raw,
            Op::Map(_) if node.op.adds_cells() => Form::Raw,
            Op::Map(_) | Op::Reshape { .. } | Op::Transpose { .. } | Op::Take { .. } => operand(0),
        })
    }

    /// The form of a sum.
    fn sum(&self, facts: &Facts, v: usize) -> Form {
        let inputs = &facts.node(v).inputs;
        if self.is_rescaled(v) || inputs.iter().any(|u| self.of[u.0] == Form::Raw) {
            return Form::Raw;
        }
        let term = |u: &ValueId| match self.of[u.0] {
            form if facts.adds_directly(v, u.0) => form,
            _ => Form::Small,
        };
        let terms: Vec<Form> = inputs.iter().map(term).collect();
        if terms.contains(&Form::Linear) {
            return Form::Linear;
        }
        // A common unit would be coarse for one of them.
        let sizes: Vec<f64> = inputs.iter().map(|u| facts.ranges[u.0].size()).collect();
        let most = sizes.iter().copied().fold(0.0, f64::max);
        let unlike = sizes
            .iter()
            .any(|&size| size > 0.0 && size * policy::UNLIKE < most);
        // A difference is smaller than what it is tied to.
        let difference =
            |u: &ValueId| facts.op(u.0).adds() && matches!(self.of[u.0], Form::Exact(_));
        if unlike || inputs.iter().any(difference) {
            return Form::Raw;
        }
        let shift = |form: &Form| match form {
            Form::Exact(k) => *k,
            Form::Small | Form::Linear | Form::Raw => 0,
        };
        Form::Exact(terms.iter().map(shift).max().unwrap_or(0))
    }

    fn is_curved(&self, facts: &Facts, v: usize) -> bool {
        let curve = |op: &Op| op.activation().is_some_and(|f| !f.keeps_scale());
        self.of[v] != Form::Small && facts.is_read_by(v, curve)
    }

    /// The largest value to hold of `v`, where those of its operands are known.
    fn largest(&self, facts: &Facts, v: usize) -> f64 {
        let size = facts.ranges[v].size();
        let with_margin = size * facts.profile.margin();
        match facts.op(v) {
            Op::Input { .. } if facts.unlike[v] => with_margin * policy::FEATURE_ROOM,
            // A nonnegative input is taken to be bounded (pixels, counts).
            Op::Input { .. } if facts.nonnegative[v] => size,
            Op::Constant { .. } => size,
            Op::Activation(f) if f.saturates() => self.reached(facts, v),
            Op::Activation(f) => {
                let most = with_margin.max(of_neighbours(facts, v));
                f.bound().map_or(most, |bound| most.min(bound))
            }
            Op::Input { .. }
            | Op::Dense { .. }
            | Op::Conv { .. }
            | Op::Affine { .. }
            | Op::Pool { .. }
            | Op::Add
            | Op::Sub
            | Op::Reshape { .. }
            | Op::Transpose { .. }
            | Op::Concat { .. }
            | Op::Pad { .. }
            | Op::Contract(_)
            | Op::Map(_)
            | Op::Take { .. }
            | Op::Missing(_)
            | Op::Max
            | Op::Maximum { .. } => with_margin,
        }
    }

    /// The largest magnitude that the saturating function of `v` reaches on what its operand holds.
    fn reached(&self, facts: &Facts, v: usize) -> f64 {
        let operand = facts.node(v).inputs[0].0;
        let function = facts.op(v).activation();
        let Some(f) = function.filter(|_| !facts.is_integral(operand)) else {
            return 1.0;
        };
        f.reached(match self.of[operand] {
            Form::Small => self.wanted[operand],
            // As far as tables have room.
            Form::Linear | Form::Exact(_) | Form::Raw => {
                policy::RANGE_ROOM * facts.ranges[operand].size()
            }
        })
    }
}

/// The largest value of the function of `v` beside the ends of its calibrated range, if its
/// operand is a real number that was rounded to an integer: rounding may give the next one.
fn of_neighbours(facts: &Facts, v: usize) -> f64 {
    let operand = facts.node(v).inputs[0].0;
    let rounds = |f: Activation| f.is_integral() && !f.compares_with_zero();
    let (Some(f), Some(true)) = (
        facts.op(v).activation(),
        facts.op(operand).activation().map(rounds),
    ) else {
        return 0.0;
    };
    let Range { lo, hi } = facts.ranges[operand];
    let beside = [lo - 1.0, lo + 1.0, hi - 1.0, hi + 1.0].into_iter();
    let values = beside.filter(|&x| x != 0.0).map(|x| f.at(x).abs());
    let far = policy::RANGE_ROOM * facts.ranges[v].size();
    values.filter(|&y| y <= far).fold(0.0, f64::max)
}

fn pure_scale(facts: &Facts, rescaled: &BTreeSet<usize>, v: usize) -> Option<f64> {
    let node = facts.node(v);
    let factor = node.op.factor().filter(|_| !rescaled.contains(&v))?;
    let multiple = facts.is_integral(v) && facts.is_integral(node.inputs[0].0);
    (!multiple || factor.abs() <= 1.0).then_some(factor)
}
