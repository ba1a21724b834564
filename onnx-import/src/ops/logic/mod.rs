//! Truth values and comparisons.

pub(crate) mod compare;
pub(crate) mod truth;
