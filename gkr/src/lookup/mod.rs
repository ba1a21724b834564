//! Lookups: all of a model's in one tree of fractions.

pub mod fraction;
