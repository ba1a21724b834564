//! The forms of values, and which scales are tied to each other.

use super::Error;
use super::average::Average;
use super::plan::{Form, Plan};
use super::policy;
use super::scales::Scales;
use crate::float::{Activation, Op, PoolKind, ValueId};

impl Plan<'_> {
    /// The form of every value.
    pub(super) fn find_forms(&self) -> Result<Vec<Form>, Error> {
        let mut forms: Vec<Form> = Vec::new();
        for (v, node) in self.graph.nodes().iter().enumerate() {
            let operand = |k: usize| forms[node.inputs[k].0];
            let form = match &node.op {
                Op::Affine { .. } if self.dequantised(v).is_some() => Form::Small,
                Op::Affine { .. } if self.pure_scale(v).is_some() => operand(0),
                Op::Affine { .. } if operand(0) == Form::Raw => Form::Raw,
                Op::Affine { .. } if self.uniform(v).is_some() && operand(0) != Form::Linear => {
                    Form::Raw
                }
                Op::Dense { .. } | Op::Conv { .. } if self.deep[v] && operand(0) == Form::Raw => {
                    Form::Raw
                }
                Op::Dense { .. } | Op::Conv { .. } | Op::Affine { .. } => Form::Linear,
                Op::Concat { .. } | Op::Pad { .. } | Op::Max if self.is_rescaled(v) => Form::Raw,
                Op::Max | Op::Maximum { .. }
                    if node.inputs.iter().any(|u| forms[u.0] == Form::Raw) =>
                {
                    Form::Raw
                }
                Op::Input { .. }
                | Op::Constant { .. }
                | Op::Activation(_)
                | Op::Concat { .. }
                | Op::Pad { .. }
                | Op::Max
                | Op::Maximum { .. } => Form::Small,
                Op::Pool { kind, windows } => match kind {
                    PoolKind::Max => Form::Small,
                    _ if self.is_rescaled(v) || operand(0) == Form::Raw => Form::Raw,
                    _ => {
                        let input = &self.node(node.inputs[0].0).shape;
                        Form::Exact(Average::new(*kind, windows, input, &node.name)?.shift())
                    }
                },
                Op::Add | Op::Sub => self.sum_form(v, &forms),
                Op::Contract(_) => Form::Raw,
                Op::Map(_) if self.adds_cells(v) => Form::Raw,
                Op::Reshape { .. } | Op::Transpose { .. } | Op::Take { .. } | Op::Map(_) => {
                    operand(0)
                }
            };
            forms.push(form);
        }
        Ok(forms)
    }

    fn sum_form(&self, v: usize, forms: &[Form]) -> Form {
        let inputs = &self.node(v).inputs;
        if self.is_rescaled(v) || inputs.iter().any(|u| forms[u.0] == Form::Raw) {
            return Form::Raw;
        }
        let term = |u: &ValueId| match forms[u.0] {
            form if self.adds_directly(v, u.0) => form,
            _ => Form::Small,
        };
        let terms: Vec<Form> = inputs.iter().map(term).collect();
        if terms.contains(&Form::Linear) {
            return Form::Linear;
        }
        // A common unit would be coarse for one of them.
        let sizes: Vec<f64> = inputs.iter().map(|u| self.ranges[u.0].size()).collect();
        let most = sizes.iter().copied().fold(0.0, f64::max);
        let unlike = sizes
            .iter()
            .any(|&size| size > 0.0 && size * policy::UNLIKE < most);
        // A difference is smaller than what it is tied to.
        let difference = |u: &ValueId| {
            matches!(self.node(u.0).op, Op::Add | Op::Sub) && matches!(forms[u.0], Form::Exact(_))
        };
        if unlike || inputs.iter().any(difference) {
            return Form::Raw;
        }
        let shift = |form: &Form| match form {
            Form::Exact(k) => *k,
            _ => 0,
        };
        Form::Exact(terms.iter().map(shift).max().unwrap_or(0))
    }

    /// Builds the classes; the value to rescale if its tie contradicts others.
    pub(super) fn tie(&mut self) -> Result<Option<usize>, Error> {
        self.classes = Scales::new(self.forms.len());
        for (v, node) in self.graph.nodes().iter().enumerate() {
            if let Op::Activation(Activation::Quantize { scale, .. }) = node.op {
                self.classes.fix(v, scale.into());
            }
            if let Some((scale, _)) = self.dequantised(v) {
                self.classes.fix(v, scale);
            }
            let Some(ratio) = self.ratio(v)? else {
                continue;
            };
            if self.is_coarsened(v) || self.mixes(v) {
                return Ok(Some(v));
            }
            let mut inputs = node.inputs.iter();
            if inputs.all(|input| self.classes.tie(v, input.0, ratio)) {
                continue;
            }
            let root = self.classes.root(v).0;
            let ratio_tie = |&u: &usize| {
                let averages =
                    matches!(&self.node(u).op, Op::Pool { kind, .. } if *kind != PoolKind::Max);
                let factor = self.pure_scale(u).is_some();
                let exact = matches!(self.forms[u], Form::Exact(_)) && averages;
                exact || factor
            };
            let inputs = node.inputs.iter().map(|input| self.classes.root(input.0).0);
            let roots: Vec<usize> = inputs.chain([root]).collect();
            let ratio_tie = |&u: &usize| {
                ratio_tie(&u) && roots.contains(&self.classes.root(u).0) && !self.is_rescaled(u)
            };
            let own = matches!(
                node.op,
                Op::Add | Op::Sub | Op::Concat { .. } | Op::Activation(Activation::Quantize { .. })
            );
            let culprit = (0..=v).rev().find(ratio_tie).or(own.then_some(v));
            return match culprit {
                Some(culprit) => Ok(Some(culprit)),
                None => Err(Error::Unsupported {
                    node: node.name.clone(),
                    reason: "its operands are quantised with different scales: quantise them \
                             alike"
                        .into(),
                }),
            };
        }
        Ok(None)
    }

    /// Whether a tie would give `v` or an operand a scale that the model prescribes for another: of
    /// averages, which have finer values, and of what is joined to other values.
    fn is_coarsened(&self, v: usize) -> bool {
        let node = self.node(v);
        let fixed = |u: &ValueId| self.classes.fixed(u.0).is_some();
        match &node.op {
            Op::Pool { kind, .. } => *kind != PoolKind::Max && node.inputs.iter().any(fixed),
            Op::Add | Op::Sub | Op::Max | Op::Concat { .. } => {
                let mut scales = node.inputs.iter().map(|u| self.classes.fixed(u.0));
                let Some(scale) = scales.find_map(|scale| scale) else {
                    return false;
                };
                let fits = |u: &ValueId| fixed(u) || self.is_multiple(u.0, scale);
                !node.inputs.iter().all(fits)
            }
            _ => false,
        }
    }

    /// Whether a tie would give integers a scale other than 1, in which they are not exact: that of
    /// real numbers beside them, or of a part of themselves.
    fn mixes(&self, v: usize) -> bool {
        let node = self.node(v);
        let ties = match &node.op {
            Op::Add | Op::Sub | Op::Concat { .. } | Op::Max => true,
            Op::Pool { kind, .. } => *kind != PoolKind::Max,
            Op::Affine { .. } => self.dequantised(v).is_none(),
            Op::Activation(f) => f.keeps_scale(),
            _ => false,
        };
        let given = |u: &ValueId| matches!(self.node(u.0).op, Op::Constant { .. });
        let integers = |u: &ValueId| self.is_integral(u.0) && !given(u);
        ties && !self.is_rescaled(v) && !self.is_integral(v) && node.inputs.iter().any(integers)
    }

    /// Whether `v` is a constant of multiples of `scale`.
    fn is_multiple(&self, v: usize, scale: f64) -> bool {
        let multiple = |x: &f32| {
            let n = f64::from(*x) / scale;
            (n - n.round()).abs() <= f64::from(f32::EPSILON) * n.abs()
        };
        matches!(&self.node(v).op, Op::Constant { value } if value.iter().all(multiple))
    }

    /// Scale of `v` relative to its operands' if they are tied.
    fn ratio(&self, v: usize) -> Result<Option<f64>, Error> {
        let node = self.node(v);
        let raw = |k: usize| self.forms[node.inputs[k].0] == Form::Raw;
        Ok(match &node.op {
            Op::Input { .. }
            | Op::Constant { .. }
            | Op::Dense { .. }
            | Op::Conv { .. }
            | Op::Contract(_) => None,
            Op::Activation(f) => {
                (f.keeps_scale() && !raw(0) && !self.is_rescaled(v)).then_some(1.0)
            }
            Op::Affine { .. } => self.pure_scale(v).map(f64::abs),
            Op::Pool { kind, .. } if *kind != PoolKind::Max => match self.forms[v] {
                Form::Exact(_) => Some(self.average(v)?.ratio()),
                _ => None,
            },
            Op::Map(_) => (!self.adds_cells(v)).then_some(1.0),
            Op::Add
            | Op::Sub
            | Op::Concat { .. }
            | Op::Pad { .. }
            | Op::Max
            | Op::Maximum { .. } => (self.forms[v] != Form::Raw).then_some(1.0),
            _ => Some(1.0),
        })
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
}
