//! Table nodes under construction: what they read, and how it is rounded.

use super::Error;
use super::calibration::Range;
use super::function::Curve;
use super::lower::Lowered;
use crate::int::{Interval, MAX_SHIFT, Op, TableId, TensorId};

/// How the argument of a lookup is rounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rounding {
    /// To the nearest integer, half up.
    Nearest,
    /// To the largest integer below.
    Down,
    /// To the largest integer below what is this much more.
    Above(i64),
}

/// How a table node reads its operand.
#[derive(Clone, Copy)]
struct Argument {
    shift: u32,
    rounding: Rounding,
    /// Arguments outside have no row.
    within: Interval,
    /// Their calibrated range, for float values.
    calibrated: Option<Range>,
}

const EVERYWHERE: Interval = Interval {
    lo: i64::MIN,
    hi: i64::MAX,
};

/// A table node whose domain is not yet known.
#[derive(Clone, Debug)]
pub(super) struct Lookup {
    /// The node.
    pub(super) node: TensorId,
    /// Index of the curve; the node's [`TableId`] until tables exist.
    pub(super) curve: usize,
    /// Static interval of `hi`.
    pub(super) argument: Interval,
    /// Calibrated real range of the argument in units of `hi`, for lookups of float values.
    pub(super) calibrated: Option<Range>,
}

impl Lowered<'_> {
    /// A table node.
    pub(super) fn lookup(
        &mut self,
        name: &str,
        x: TensorId,
        curve: Curve,
        shift: u32,
        rounding: Rounding,
        calibrated: Option<Range>,
    ) -> Result<TensorId, Error> {
        let read = Argument {
            shift,
            rounding,
            within: EVERYWHERE,
            calibrated,
        };
        self.table(name, x, curve, read)
    }

    /// The table node of value `v` on the accumulator `x`, rounded to the nearest multiple of
    /// `2^shift`, whose argument was seen in `range`.
    pub(super) fn lookup_seen(
        &mut self,
        v: usize,
        x: TensorId,
        curve: Curve,
        shift: u32,
        range: Range,
    ) -> Result<TensorId, Error> {
        let x = self.saturated_argument(v, x, curve, shift, range)?;
        let name = &self.plan.node(v).name;
        self.lookup(name, x, curve, shift, Rounding::Nearest, Some(range))
    }

    /// A table node that has no arguments but those `within` an interval.
    pub(super) fn lookup_within(
        &mut self,
        name: &str,
        x: TensorId,
        curve: Curve,
        shift: u32,
        rounding: Rounding,
        within: Interval,
    ) -> Result<TensorId, Error> {
        let read = Argument {
            shift,
            rounding,
            within,
            calibrated: None,
        };
        self.table(name, x, curve, read)
    }

    /// A table node; one that exists already is shared.
    fn table(
        &mut self,
        name: &str,
        x: TensorId,
        curve: Curve,
        argument: Argument,
    ) -> Result<TensorId, Error> {
        let Argument {
            shift,
            rounding,
            within,
            calibrated,
        } = argument;
        if shift > MAX_SHIFT {
            return Err(Error::overflow(name));
        }
        let known = self.curves.iter().position(|&c| c == curve);
        let curve_id = known.unwrap_or_else(|| {
            self.curves.push(curve);
            self.curves.len() - 1
        });
        let offset = match rounding {
            Rounding::Nearest => (1_i64 << shift) >> 1,
            Rounding::Down => 0,
            Rounding::Above(more) => more,
        };
        let op = Op::Table {
            table: TableId(curve_id),
            shift,
            ranges: vec![],
            offset,
        };
        let same = |l: &&Lookup| {
            let node = &self.nodes[l.node.0];
            node.op == op && node.inputs == [x]
        };
        if let Some(lookup) = self.lookups.iter().find(same) {
            return Ok(lookup.node);
        }
        let Interval { lo, hi } = self.interval(x);
        let argument = Interval {
            lo: ((lo + offset) >> shift).clamp(within.lo, within.hi),
            hi: ((hi + offset) >> shift).clamp(within.lo, within.hi),
        };
        let node = self.push(name, op, vec![x], self.cells(x), curve.image());
        self.lookups.push(Lookup {
            node,
            curve: curve_id,
            argument,
            calibrated,
        });
        Ok(node)
    }
}
