//! Cells that are no number because a function is not defined where its argument lies: a logarithm or
//! a root of a negative number, replaced behind it by an Imputer.

use std::collections::{BTreeMap, BTreeSet};

use ndarray::ArrayD;
use zkstrata_model_ir::float::{Activation, Op, ValueId};

use crate::Error;
use crate::write::formula::Formula;

/// What becomes of a value that may have cells without a number.
#[derive(Clone, Copy)]
struct Part {
    /// The value, with any number in the place of those.
    value: ValueId,
    /// 1 where there is none, else 0; nothing if there are numbers everywhere.
    undefined: Option<ValueId>,
}

impl Formula<'_, '_> {
    /// `x` with these numbers where functions of a bounded domain, cell by cell before it, are not
    /// defined; nothing if there are no such functions.
    pub(crate) fn defined(
        &mut self,
        x: ValueId,
        by: ArrayD<f32>,
    ) -> Result<Option<ValueId>, Error> {
        let mut parts: BTreeMap<ValueId, Part> = BTreeMap::new();
        for v in self.cellwise_before(x) {
            let part = self.part(v, &parts)?;
            parts.insert(v, part);
        }
        let part = parts[&x];
        let Some(undefined) = part.undefined else {
            return Ok(None);
        };
        let defined = self.affine(undefined, -1.0, 1.0)?;
        let kept = self.product(part.value, defined)?;
        let filled = self.affine_by(undefined, by, ndarray::arr0(0.0).into_dyn())?;
        self.add(kept, filled).map(Some)
    }

    /// The values of which `x` is made cell by cell, in order, and `x`.
    fn cellwise_before(&self, x: ValueId) -> BTreeSet<ValueId> {
        let (mut seen, mut waiting) = (BTreeSet::new(), vec![x]);
        while let Some(v) = waiting.pop() {
            let node = &self.writer.builder.nodes()[v.0];
            if seen.insert(v) && node.op.is_cellwise() {
                waiting.extend(&node.inputs);
            }
        }
        seen
    }

    /// What becomes of `v`, behind its operands.
    fn part(&mut self, v: ValueId, parts: &BTreeMap<ValueId, Part>) -> Result<Part, Error> {
        let node = self.writer.builder.nodes()[v.0].clone();
        let whole = Part {
            value: v,
            undefined: None,
        };
        if !node.op.is_cellwise() {
            return Ok(whole);
        }
        let operands: Vec<Part> = node.inputs.iter().map(|u| parts[u]).collect();
        let mut undefined = self.moved(&node.op, &operands)?;
        let mut values: Vec<ValueId> = operands.iter().map(|part| part.value).collect();
        if let Op::Activation(f) = node.op
            && let Some((lo, hi)) = bounds(f)
        {
            let outside = self.outside(values[0], lo, hi)?;
            let inside = self.affine(outside, -1.0, 1.0)?;
            let kept = self.product(values[0], inside)?;
            let anywhere = self.affine(outside, within(lo, hi), 0.0)?;
            values[0] = self.add(kept, anywhere)?;
            undefined = self.either(undefined, Some(outside))?;
        }
        Ok(match undefined {
            None => whole,
            undefined => Part {
                value: self.put(node.op, &values)?,
                undefined,
            },
        })
    }

    /// Where a cell of an operand that `op` reads has no number.
    fn moved(&mut self, op: &Op, operands: &[Part]) -> Result<Option<ValueId>, Error> {
        if operands.iter().all(|part| part.undefined.is_none()) {
            return Ok(None);
        }
        if !op.carries() {
            let mut any = None;
            for part in operands {
                any = self.either(any, part.undefined)?;
            }
            return Ok(any);
        }
        let mut masks = Vec::with_capacity(operands.len());
        for part in operands {
            masks.push(match part.undefined {
                Some(mask) => mask,
                None => self.affine(part.value, 0.0, 0.0)?,
            });
        }
        self.put(op.clone(), &masks).map(Some)
    }

    /// `a or b` of truth values that may be nowhere true.
    fn either(&mut self, a: Option<ValueId>, b: Option<ValueId>) -> Result<Option<ValueId>, Error> {
        match (a, b) {
            (Some(a), Some(b)) if a != b => self.max(a, b).map(Some),
            (a, b) => Ok(a.or(b)),
        }
    }

    /// 1 where `x` lies outside of an interval, else 0.
    fn outside(&mut self, x: ValueId, lo: f32, hi: f32) -> Result<ValueId, Error> {
        let mut outside = None;
        for (sign, end) in [(1.0, lo), (-1.0, hi)] {
            if end.is_finite() {
                let beyond = self.affine(x, sign, -sign * end)?;
                let inside = self.apply(Activation::Step, beyond)?;
                let mask = self.affine(inside, -1.0, 1.0)?;
                outside = self.either(outside, Some(mask))?;
            }
        }
        Ok(outside.expect("an interval with an end"))
    }
}

/// The domain of a function that is not defined everywhere.
fn bounds(f: Activation) -> Option<(f32, f32)> {
    let (lo, hi) = f.domain();
    (lo.is_finite() || hi.is_finite()).then_some((lo as f32, hi as f32))
}

/// A number inside of the domain of a function, at which it is finite.
fn within(lo: f32, hi: f32) -> f32 {
    if lo < 0.0 && 0.0 < hi {
        0.0
    } else {
        lo.max(1.0)
    }
}
