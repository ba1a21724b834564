//! Whole models through the quantiser and the integer executor, against float.

mod common;
mod ends;
mod faults;
mod integers;
mod models;
mod operators;
mod sizes;
