//! Lookup tables: functions on an interval of integers.

use super::graph::Interval;
use serde::{Deserialize, Serialize};

/// Index of a table in its graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TableId(pub usize);

/// An integer function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Function {
    /// `0` everywhere: the table only says that its argument lies in the domain.
    Range,
    /// `min(max(x, lo), hi)`: identity with saturation, `ReLU` and `ReLU6` included.
    Clamp {
        /// Smallest value.
        lo: i64,
        /// Largest value.
        hi: i64,
    },
    /// One value per row of the domain.
    Values(Vec<i32>),
}

/// A function on the domain `start .. start + len`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// The function.
    pub function: Function,
    /// First argument.
    pub start: i64,
    /// Number of arguments, at least 1.
    pub len: usize,
}

impl Table {
    /// The arguments, `start ..= start + len - 1`.
    pub fn domain(&self) -> Interval {
        Interval {
            lo: self.start,
            hi: self.start.saturating_add(self.len as i64 - 1),
        }
    }

    /// The smallest interval that holds every value.
    pub fn image(&self) -> Interval {
        match &self.function {
            Function::Range => Interval { lo: 0, hi: 0 },
            Function::Clamp { lo, hi } => Interval {
                lo: self.domain().lo.clamp(*lo, *hi),
                hi: self.domain().hi.clamp(*lo, *hi),
            },
            Function::Values(values) => Interval {
                lo: values.iter().copied().min().unwrap_or(0).into(),
                hi: values.iter().copied().max().unwrap_or(0).into(),
            },
        }
    }

    /// Whether the function is `min(max(x, 0), h)` for some `h >= 0`.
    pub fn is_relu(&self) -> bool {
        matches!(self.function, Function::Clamp { lo: 0, hi } if hi >= 0)
    }

    /// Whether the function is 1 for `x >= 0` and 0 below.
    pub fn is_step(&self) -> bool {
        let Function::Values(values) = &self.function else {
            return false;
        };
        let rows = (self.start..).zip(values);
        rows.into_iter().all(|(x, &y)| y == i32::from(x >= 0))
    }

    /// Whether the domain is this interval and every value its argument.
    pub fn is_identity_on(&self, interval: Interval) -> bool {
        let identity = matches!(
            self.function,
            Function::Clamp { lo, hi } if lo <= interval.lo && interval.hi <= hi
        );
        identity && self.domain() == interval
    }

    /// `k` if this is the range table `0 .. 2^k`.
    pub fn limb_bits(&self) -> Option<u32> {
        let is_range = self.function == Function::Range && self.start == 0;
        (is_range && self.len.is_power_of_two()).then(|| self.len.trailing_zeros())
    }

    /// The value at `x`, or `None` outside the domain.
    pub fn get(&self, x: i64) -> Option<i64> {
        let row = usize::try_from(x.checked_sub(self.start)?).ok()?;
        if row >= self.len {
            return None;
        }
        match &self.function {
            Function::Range => Some(0),
            Function::Clamp { lo, hi } => Some(x.clamp(*lo, *hi)),
            Function::Values(values) => values.get(row).map(|&v| i64::from(v)),
        }
    }
}
