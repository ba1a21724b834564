//! Values whose small cells decide: powers before a logarithm.
//!
//! A logarithm, a root or a quotient of a sum of squares asks for the same relative precision in
//! its quiet cells as in its loud ones, which may be `10^10` times as large: no number of steps of
//! one table has both. The squares, their sums and linear maps are exact in wide integers; so the
//! layer that is squared is rounded to [`policy::DEEP_BITS`] bits in two digits, the maps read accumulators, and
//! the function at the end is bent into tables of its own for every part of its range.

use super::plan::{Form, Plan};
use super::policy;
use crate::float::Op;

impl Plan<'_> {
    /// What steep functions of values of unlike sizes follow from, up to inputs and tables.
    pub(super) fn find_deep(&self) -> Vec<bool> {
        let mut deep = vec![false; self.graph.nodes().len()];
        let mut pending: Vec<usize> = vec![];
        for node in self.graph.nodes() {
            let Op::Activation(f) = node.op else { continue };
            if f.steep().is_none() {
                continue;
            }
            let u = node.inputs[0].0;
            let lo = self.ranges[u].lo.max(f.domain().0);
            if lo > 0.0 && self.ranges[u].hi > policy::STEEP_RATIO * lo {
                pending.push(u);
            }
        }
        while let Some(v) = pending.pop() {
            if std::mem::replace(&mut deep[v], true) {
                continue;
            }
            let node = self.node(v);
            let follows = match &node.op {
                Op::Dense { .. }
                | Op::Conv { .. }
                | Op::Affine { .. }
                | Op::Add
                | Op::Map(_)
                | Op::Reshape { .. }
                | Op::Transpose { .. }
                | Op::Take { .. } => true,
                Op::Contract(_) => node.inputs[0] == node.inputs[1],
                Op::Input { .. }
                | Op::Constant { .. }
                | Op::Activation(_)
                | Op::Pool { .. }
                | Op::Sub
                | Op::Concat { .. }
                | Op::Pad { .. }
                | Op::Max
                | Op::Maximum { .. } => false,
            };
            if follows {
                pending.extend(node.inputs.iter().map(|u| u.0));
            }
        }
        deep
    }

    /// Bits of a deep value, which is made small only where it is squared or given.
    pub(super) fn deep_bits(&self, v: usize) -> u32 {
        match (&self.node(v).op, self.forms[v]) {
            _ if !self.deep[v] => 0,
            (Op::Input { .. }, _) => policy::DEEP_GIVEN_BITS,
            (_, Form::Linear) => policy::DEEP_BITS,
            _ => 0,
        }
    }
}
