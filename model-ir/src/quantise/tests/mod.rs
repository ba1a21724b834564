//! Whole models through the quantiser and the integer executor, against float.

mod borders;
mod common;
mod degenerate;
mod ends;
mod exact;
mod faults;
mod inputs;
mod integers;
mod missing;
mod models;
mod operators;
mod plan;
mod rules;
mod sizes;
mod tabular;
mod unlike;
