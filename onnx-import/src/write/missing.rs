//! Missing cells, which are NaN: those of an input of real numbers, as it is or moved. Whatever is
//! computed is finite.

use std::collections::BTreeSet;

use ndarray::ArrayD;
use zkstrata_model_ir::float::{Missing, Op, ValueId};

use crate::Error;
use crate::write::Writer;
use crate::write::formula::Formula;

/// What a truth value says of a cell of another value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Says {
    Missing,
    Present,
}

impl Writer {
    /// Whether cells of `x` may be missing.
    pub(crate) fn may_be_missing(&self, x: ValueId) -> bool {
        let nodes = self.builder.nodes();
        let (mut seen, mut waiting) = (BTreeSet::new(), vec![x]);
        while let Some(v) = waiting.pop() {
            let node = &nodes[v.0];
            match &node.op {
                Op::Input { integral: false } => return true,
                op if op.carries() && seen.insert(v) => waiting.extend(&node.inputs),
                _ => {}
            }
        }
        false
    }

    /// The value of whose cells `c` says that they are missing, or that they are not.
    pub(crate) fn told(&self, c: ValueId) -> Option<(ValueId, Says)> {
        let node = |v: ValueId| &self.builder.nodes()[v.0];
        let missing = |v: ValueId| match &node(v).op {
            Op::Missing(Missing::Is) => Some(node(v).inputs[0]),
            _ => None,
        };
        let is = |a: &ArrayD<f32>, x: f32| a.iter().all(|&a| a.to_bits() == x.to_bits());
        match &node(c).op {
            Op::Affine { scale, shift } if is(scale, -1.0) && is(shift, 1.0) => {
                Some((missing(node(c).inputs[0])?, Says::Present))
            }
            _ => Some((missing(c)?, Says::Missing)),
        }
    }
}

impl Formula<'_, '_> {
    /// 1 where a cell is missing, else 0.
    pub(crate) fn is_missing(&mut self, x: ValueId) -> Result<ValueId, Error> {
        self.put(Op::Missing(Missing::Is), &[x])
    }

    /// `x` with these numbers in place of missing cells.
    pub(crate) fn replaced(&mut self, x: ValueId, by: ArrayD<f32>) -> Result<ValueId, Error> {
        self.put(Op::Missing(Missing::Replaced { by }), &[x])
    }
}
