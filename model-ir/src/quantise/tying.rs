//! The classes of tied scales for given forms.
//!
//! Ties are made in the order of the graph. The first that contradicts earlier ones names a culprit,
//! the value to rescale, and nothing else is kept of the attempt.

use super::Error;
use super::classes::Classes;
use super::facts::Facts;
use super::forms::{Form, Forms};
use super::ties::Tied;
use crate::float::{Activation, Op, ValueId};

/// The classes under construction.
struct Tying<'a> {
    facts: &'a Facts<'a>,
    forms: &'a Forms,
    classes: Classes,
}

/// Ties every value to its operands as its operator asks.
pub(super) fn classes(facts: &Facts, forms: &Forms) -> Result<Tied, Error> {
    let mut tying = Tying {
        facts,
        forms,
        classes: Classes::new(facts.len()),
    };
    for v in 0..facts.len() {
        if let Some(culprit) = tying.tie(v)? {
            return Ok(Tied::Contradiction(culprit));
        }
    }
    Ok(Tied::Consistent(tying.classes))
}

impl Tying<'_> {
    /// Ties `v` to its operands; the value to rescale if that contradicts earlier ties.
    fn tie(&mut self, v: usize) -> Result<Option<usize>, Error> {
        let node = self.facts.node(v);
        if let Some(Activation::Quantize { scale, .. }) = node.op.activation() {
            self.classes.fix(v, scale.into());
        }
        if let Some((scale, _)) = self.facts.dequantised[v] {
            self.classes.fix(v, scale);
        }
        let Some(ratio) = self.ratio(v)? else {
            return Ok(None);
        };
        if self.is_coarsened(v) || self.mixes(v) {
            return Ok(Some(v));
        }
        let mut inputs = node.inputs.iter();
        if inputs.all(|input| self.classes.tie(v, input.0, ratio)) {
            return Ok(None);
        }
        let unlike = Error::Unsupported {
            node: node.name.clone(),
            reason: "its operands are quantised with different scales: quantise them alike".into(),
        };
        self.culprit(v).map(Some).ok_or(unlike)
    }

    /// The last value up to `v` whose ratio to its operand contradicts a tie of `v`, or else `v`, if
    /// it can be rescaled.
    fn culprit(&self, v: usize) -> Option<usize> {
        let root = |u: usize| self.classes.root(u).0;
        let inputs = self.facts.node(v).inputs.iter().map(|input| root(input.0));
        let roots: Vec<usize> = inputs.chain([root(v)]).collect();
        let has_ratio = |&u: &usize| {
            let exact = matches!(self.forms.of(u), Form::Exact(_)) && self.facts.op(u).averages();
            exact || self.forms.pure_scale(u).is_some()
        };
        let ties =
            |u: &usize| has_ratio(u) && roots.contains(&root(*u)) && !self.forms.is_rescaled(*u);
        let own = match self.facts.op(v) {
            Op::Add | Op::Sub | Op::Concat { .. } => true,
            Op::Activation(f) => f.quantises(),
            Op::Input { .. }
            | Op::Constant { .. }
            | Op::Dense { .. }
            | Op::Conv { .. }
            | Op::Affine { .. }
            | Op::Pool { .. }
            | Op::Reshape { .. }
            | Op::Transpose { .. }
            | Op::Pad { .. }
            | Op::Contract(_)
            | Op::Map(_)
            | Op::Take { .. }
            | Op::Missing(_)
            | Op::Max
            | Op::Maximum { .. } => false,
        };
        (0..=v).rev().find(ties).or(own.then_some(v))
    }

    /// Scale of `v` relative to its operands' if they are tied.
    fn ratio(&self, v: usize) -> Result<Option<f64>, Error> {
        let node = self.facts.node(v);
        let raw = |u: usize| self.forms.of(u) == Form::Raw;
        Ok(match &node.op {
            Op::Input { .. }
            | Op::Constant { .. }
            | Op::Dense { .. }
            | Op::Conv { .. }
            | Op::Contract(_)
            | Op::Missing(_) => None,
            Op::Activation(f) => {
                let tied = f.keeps_scale() && !raw(node.inputs[0].0) && !self.forms.is_rescaled(v);
                tied.then_some(1.0)
            }
            Op::Affine { .. } => self.forms.pure_scale(v).map(f64::abs),
            Op::Pool { .. } if node.op.averages() => match self.forms.of(v) {
                Form::Exact(_) => Some(self.facts.average(v)?.ratio()),
                Form::Small | Form::Linear | Form::Raw => None,
            },
            Op::Map(_) => (!node.op.adds_cells()).then_some(1.0),
            Op::Add | Op::Sub | Op::Concat { .. } | Op::Pad { .. } | Op::Max => {
                (!raw(v)).then_some(1.0)
            }
            Op::Pool { .. }
            | Op::Reshape { .. }
            | Op::Transpose { .. }
            | Op::Take { .. }
            | Op::Maximum { .. } => Some(1.0),
        })
    }

    /// Whether a tie would give `v` or an operand a scale that the model prescribes for another: of
    /// averages, which have finer values, and of what is joined to other values.
    fn is_coarsened(&self, v: usize) -> bool {
        let node = self.facts.node(v);
        let fixed = |u: &ValueId| self.classes.fixed(u.0);
        if node.op.averages() {
            return node.inputs.iter().any(|u| fixed(u).is_some());
        }
        match node.op.activation() {
            Some(Activation::Clip { lo, hi }) => {
                return self.is_between(v, lo) || self.is_between(v, hi);
            }
            Some(Activation::LeakyRelu { alpha }) if alpha.fract() != 0.0 => {
                return self.leaves_integers(v);
            }
            _ => {}
        }
        if !node.op.joins() {
            return false;
        }
        let Some(scale) = node.inputs.iter().find_map(fixed) else {
            return false;
        };
        let fits = |u: &ValueId| fixed(u).is_some() || self.is_multiple(u.0, scale);
        !node.inputs.iter().all(fits)
    }

    /// Whether a tie would give integers a scale other than 1, in which they are not exact: that of
    /// real numbers beside them, or of a part of themselves.
    fn mixes(&self, v: usize) -> bool {
        let node = self.facts.node(v);
        let ties = match &node.op {
            Op::Add | Op::Sub | Op::Concat { .. } | Op::Pad { .. } | Op::Max => true,
            Op::Pool { .. } => node.op.averages(),
            Op::Affine { .. } => self.facts.dequantised[v].is_none(),
            Op::Activation(f) => f.keeps_scale(),
            Op::Input { .. }
            | Op::Constant { .. }
            | Op::Dense { .. }
            | Op::Conv { .. }
            | Op::Reshape { .. }
            | Op::Transpose { .. }
            | Op::Contract(_)
            | Op::Map(_)
            | Op::Take { .. }
            | Op::Missing(_)
            | Op::Maximum { .. } => false,
        };
        let constant = |u: usize| self.facts.op(u).constant().is_some();
        let integers = |u: &ValueId| self.facts.is_integral(u.0) && !constant(u.0);
        let real = !self.forms.is_rescaled(v) && !self.facts.is_integral(v);
        ties && real && node.inputs.iter().any(integers)
    }

    /// Whether a bound of `v` lies between integers of the operand, whose scale is prescribed, and is
    /// not rounded to such integers anyway.
    fn is_between(&self, v: usize, bound: f32) -> bool {
        let fixed = self.classes.fixed(self.facts.node(v).inputs[0].0);
        let between = fixed.is_some_and(|scale| !multiple(bound, scale));
        bound.is_finite() && between && self.leaves_integers(v)
    }

    /// Whether `v` is a function of integers whose scale is prescribed, and its values are not rounded
    /// to such integers anyway.
    fn leaves_integers(&self, v: usize) -> bool {
        let fixed = self.classes.fixed(self.facts.node(v).inputs[0].0);
        let kept = self.facts.outputs[v] || self.facts.is_read_by(v, |op| !op.quantises());
        fixed.is_some() && kept && !self.forms.is_rescaled(v)
    }

    /// Whether `v` is a constant of multiples of `scale`.
    fn is_multiple(&self, v: usize, scale: f64) -> bool {
        let constant = self.facts.op(v).constant();
        constant.is_some_and(|value| value.iter().all(|&x| multiple(x, scale)))
    }
}

/// Whether `x` is a multiple of `scale`, but for rounding in single precision.
fn multiple(x: f32, scale: f64) -> bool {
    let n = f64::from(x) / scale;
    (n - n.round()).abs() <= f64::from(f32::EPSILON) * n.abs()
}
