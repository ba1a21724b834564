//! Scales that the model prescribes: what it quantises itself.
//!
//! A value that is quantised next and is used for nothing else may be stored as the integers that
//! it becomes: what lies between, selections and maxima, commutes with rounding and clamping. Then
//! the layer that makes it rounds for both. Every other value keeps its own scale and range, and
//! the quantisation is a function of it like any other.

use super::plan::{Form, Plan};
use super::policy;
use crate::float::{Activation, Op, PoolKind};

impl Plan<'_> {
    /// Quantisations of values that must keep their own scale.
    pub(super) fn find_untied(&self) -> Vec<usize> {
        let nodes = self.graph.nodes().iter().enumerate();
        let quantised = nodes
            .filter(|(_, node)| matches!(node.op, Op::Activation(Activation::Quantize { .. })));
        let operand = |v: usize| self.node(v).inputs[0].0;
        let untied = quantised.filter(|&(v, _)| !self.is_only_quantised(operand(v)));
        untied.map(|(v, _)| v).collect()
    }

    /// Whether `u`, which is quantised next, and all that it selects from can be stored as what
    /// they become.
    fn is_only_quantised(&self, u: usize) -> bool {
        let mut pending = vec![u];
        let mut seen = std::collections::BTreeSet::new();
        while let Some(u) = pending.pop() {
            if !seen.insert(u) {
                continue;
            }
            if self.outputs[u] || self.consumers[u].len() != 1 {
                return false;
            }
            let node = self.node(u);
            if self.selects(u) {
                pending.extend(node.inputs.iter().map(|v| v.0));
                continue;
            }
            let made = match &node.op {
                Op::Input { integral } => !integral,
                Op::Constant { .. } | Op::Dense { .. } | Op::Conv { .. } => true,
                Op::Affine { .. } => self.pure_scale(u).is_none() && self.forms[u] == Form::Linear,
                Op::Activation(f) => !f.keeps_scale() && !f.is_integral(),
                _ => false,
            };
            if !made {
                return false;
            }
        }
        true
    }

    /// Whether every cell of `v` is a cell of an operand, a maximum of cells, or a constant, so
    /// that rounding and clamping the operands is rounding and clamping `v`.
    fn selects(&self, v: usize) -> bool {
        match &self.node(v).op {
            Op::Pool { kind, .. } => *kind == PoolKind::Max,
            Op::Activation(f) => matches!(f, Activation::Relu | Activation::Clip { .. }),
            Op::Concat { .. } | Op::Pad { .. } | Op::Max | Op::Maximum { .. } => true,
            _ => self.moves(v),
        }
    }

    /// Scale and zero point of an affine map of an integer input that is `scale (q - zero)`.
    pub(super) fn dequantised(&self, v: usize) -> Option<(f64, i64)> {
        let node = self.node(v);
        let Op::Affine { shift, .. } = &node.op else {
            return None;
        };
        let scale = self.uniform(v).filter(|&scale| scale > 0.0)?;
        let mut source = node.inputs[0].0;
        while self.moves(source) {
            source = self.node(source).inputs[0].0;
        }
        if !matches!(self.node(source).op, Op::Input { integral: true }) {
            return None;
        }
        let first = *shift.iter().next()?;
        let same = shift.iter().all(|t| t.to_bits() == first.to_bits());
        let zero = -f64::from(first) / scale;
        let near = zero.round();
        let exact = (zero - near).abs() <= f64::from(f32::EPSILON) * near.abs();
        (same && exact && near != 0.0 && near.abs() < policy::ZERO_POINT)
            .then_some((scale, near as i64))
    }

    /// By value: the integers of what the model quantises itself.
    pub(super) fn find_quantised(&self) -> Vec<Option<(i64, i64)>> {
        let n = self.graph.nodes().len();
        let mut bounds: Vec<Option<(i64, i64)>> = vec![None; n];
        let hull = |a: (i64, i64), b: (i64, i64)| (a.0.min(b.0), a.1.max(b.1));
        for (v, node) in self.graph.nodes().iter().enumerate() {
            bounds[v] = match node.op {
                Op::Activation(Activation::Quantize { lo, hi, .. }) => {
                    Some((i64::from(lo).min(0), i64::from(hi).max(0)))
                }
                Op::Affine { .. } => {
                    let integers = self.integers[node.inputs[0].0];
                    let zero = self.dequantised(v).map(|(_, zero)| zero);
                    integers.zip(zero).map(|(q, z)| (q.lo - z, q.hi - z))
                }
                _ if self.selects(v) => self.classes.fixed(v).and_then(|scale| {
                    let parts = node.inputs.iter().map(|u| bounds[u.0]);
                    let (lo, hi) = parts.reduce(|a, b| Some(hull(a?, b?)))??;
                    let bound = |end: f32| (f64::from(end) / scale).round() as i64;
                    Some(match node.op {
                        Op::Activation(Activation::Relu) => (lo.max(0), hi.max(0)),
                        Op::Activation(Activation::Clip {
                            lo: least,
                            hi: most,
                        }) => {
                            let reached = |x: i64| x.max(bound(least)).min(bound(most));
                            (reached(lo), reached(hi))
                        }
                        Op::Pad { value, .. } => hull((lo, hi), (bound(value), bound(value))),
                        _ => (lo, hi),
                    })
                }),
                _ => None,
            };
        }
        // What is quantised next and was stored as that.
        for v in (0..n).rev() {
            let node = self.node(v);
            let quantises = matches!(node.op, Op::Activation(Activation::Quantize { .. }));
            let passes = quantises || self.selects(v);
            let Some(own) = bounds[v].filter(|_| passes && !self.is_rescaled(v)) else {
                continue;
            };
            for u in &node.inputs {
                bounds[u.0] = bounds[u.0].or(Some(own));
            }
        }
        bounds
    }
}
