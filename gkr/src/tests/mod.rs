//! Completeness on honest runs, soundness against cheating provers, and the tape.

mod attacks;
mod build;
mod channel;
mod field_run;
mod limbs;
mod merging;
mod operators;
mod padding;
mod products;
mod random;
pub(crate) mod suite;
mod tape;
