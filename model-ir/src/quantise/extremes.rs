//! Values that are compared with their own largest cells: `ArgMax` and whatever else asks
//! `x >= max x`.
//!
//! A maximum over a long axis is taken of small values. Were the comparison to read the
//! accumulator that was rounded for it, no cell would reach a maximum that was rounded up. So such
//! a value is made small where it is made: the maximum and the comparison read the same integers,
//! and some cell equals the maximum whatever the input.

use super::plan::Plan;
use crate::float::{Activation, Op};

impl Plan<'_> {
    /// Which values are compared with their own maximum.
    pub(super) fn find_extremes(&self) -> Vec<bool> {
        let mut extremes = vec![false; self.graph.nodes().len()];
        for (v, node) in self.graph.nodes().iter().enumerate() {
            if !matches!(node.op, Op::Sub | Op::Add) || !self.decides(v) {
                continue;
            }
            let origins = [0, 1].map(|k| self.origin(node.inputs[k].0));
            for (x, most) in [(origins[0], origins[1]), (origins[1], origins[0])] {
                if x != most && self.maximised(most) == x {
                    extremes[x] = true;
                }
            }
        }
        extremes
    }

    /// Whether `v` is compared with 0.
    fn decides(&self, v: usize) -> bool {
        self.consumers[v].iter().any(|&c| match &self.node(c).op {
            Op::Activation(f) => matches!(f, Activation::Step | Activation::IsZero),
            Op::Affine { .. } => self.decides(c),
            _ => self.moves(c) && self.decides(c),
        })
    }

    /// Whether `v` has the cells of its only operand, rearranged or some of them.
    pub(super) fn moves(&self, v: usize) -> bool {
        match &self.node(v).op {
            Op::Reshape { .. } | Op::Transpose { .. } | Op::Take { .. } => true,
            Op::Map(_) => !self.adds_cells(v),
            _ => false,
        }
    }

    /// The value whose cells `v` has but for their places and a common factor.
    fn origin(&self, mut v: usize) -> usize {
        while self.moves(v) || self.factor(v).is_some() {
            v = self.node(v).inputs[0].0;
        }
        v
    }

    /// The value whose maximum over some axes `v` is, or `v`.
    fn maximised(&self, mut v: usize) -> usize {
        while matches!(self.node(v).op, Op::Maximum { .. }) {
            v = self.origin(self.node(v).inputs[0].0);
        }
        v
    }
}
