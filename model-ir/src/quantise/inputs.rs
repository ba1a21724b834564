//! Inputs of the integer model, and what is read of missing cells.
//!
//! Of an input with missing cells the integer `lo` stands for those and `lo + 1..=hi` for numbers, so
//! that `p = [x >= lo + 1]` says whether a cell is there. The planned graph reads `p (x - c) + c`, the
//! cell or its filling `c`, and `1 - p`.

use super::Error;
use super::function::Curve;
use super::lookup::Rounding;
use super::lower::{Handle, Lowered};
use super::missing::View;
use super::policy;
use crate::int::{Interval, Op, Port, PortKind, TensorId};
use ndarray::ArrayD;

impl Lowered<'_> {
    /// An input of the planned graph: one of the model, or what is read of one with missing cells.
    pub(super) fn input(&mut self, v: usize) -> Result<Handle, Error> {
        let scale = self.plan.scales.of(v);
        let tensor = match self.plan.view(v) {
            View::Whole => self.port(v, self.plan.facts.kind(v)),
            View::Filled(filling) => {
                let x = self.port(v, PortKind::RealOrMissing);
                self.filled(v, x, filling)?
            }
            View::Mask => self.mask(v)?,
        };
        Ok(Handle {
            tensor,
            shift: 0,
            small: true,
            scale,
        })
    }

    /// An input of the model. One integer below the others is a missing cell.
    fn port(&mut self, v: usize, kind: PortKind) -> TensorId {
        let node = self.plan.node(v);
        let (lo, hi) = self.plan.bits.interval(v);
        let cells = node.shape.iter().product();
        let interval = match kind {
            PortKind::Real | PortKind::Integer => Interval { lo, hi },
            PortKind::RealOrMissing => Interval { lo: lo - 1, hi },
        };
        let tensor = self.push(&node.name, Op::Input, vec![], cells, interval);
        self.inputs.push(Port {
            name: node.name.clone(),
            tensor,
            shape: node.shape.clone(),
            scale: self.plan.scales.of(v),
            kind,
            features: self.plan.facts.features(v).cloned(),
        });
        tensor
    }

    /// 1 where a cell of an input is there, 0 where it is missing.
    fn present(&mut self, name: &str, x: TensorId) -> Result<TensorId, Error> {
        let Interval { lo, hi } = self.interval(x);
        // As small as a table of steps may be.
        let bits = u64::BITS - hi.abs_diff(lo).leading_zeros();
        let shift = bits.saturating_sub(policy::STEP_BITS);
        let rounding = Rounding::Above(-(lo + 1));
        self.lookup(name, x, Curve::STEP, shift, rounding, None)
    }

    /// `p (x - c) + c` with `p = 1` where `x` is there and 0 where it is missing.
    fn filled(&mut self, v: usize, x: TensorId, filling: &ArrayD<f32>) -> Result<TensorId, Error> {
        let (lo, hi) = self.plan.bits.interval(v);
        let scale = self.plan.scales.of(v);
        let name = &self.plan.node(v).name;
        let present = self.present(name, x)?;
        let features = self.plan.facts.features(v);
        let filling = features.map_or_else(|| filling.clone(), |features| features.of_all(filling));
        let integer = |&c: &f32| ((f64::from(c) / scale).round_ties_even() as i64).clamp(lo, hi);
        let filling: Vec<i64> = filling.iter().map(integer).collect();
        if filling.iter().all(|&c| c == 0) {
            return self.cellwise_product(name, present, x);
        }
        let filling = self.constant(name, filling)?;
        let above = self.weighted_sum(name, &[(1, x), (-1, filling)])?;
        let above = self.cellwise_product(name, present, above)?;
        self.weighted_sum(name, &[(1, filling), (1, above)])
    }

    /// `1 - p`, of the last input.
    fn mask(&mut self, v: usize) -> Result<TensorId, Error> {
        let node = self.plan.node(v);
        let x = self
            .inputs
            .last()
            .expect("a mask is of the input before")
            .tensor;
        let present = self.present(&node.name, x)?;
        let one = self.constant(&node.name, vec![1; self.cells(x)])?;
        self.weighted_sum(&node.name, &[(1, one), (-1, present)])
    }
}
