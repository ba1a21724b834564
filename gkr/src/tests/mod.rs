//! Completeness on honest runs, soundness against cheating provers, and the tape.

mod attacks;
mod blame;
mod bounds;
mod build;
mod certificates;
mod channel;
mod checks;
mod equivocation;
mod field_run;
mod field_witness;
mod forgeries;
mod hostile;
pub(crate) mod leaves;
mod limbs;
mod linked;
mod merging;
mod missing;
mod operators;
mod padding;
mod ports;
mod private;
mod products;
mod random;
mod sessions;
mod simulator;
pub(crate) mod suite;
mod tape;
