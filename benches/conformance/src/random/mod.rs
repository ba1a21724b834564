//! A search for graphs that go wrong: random graphs of the imported operators, each run by a
//! reference that follows the text of the ONNX standard, by the float executor and as an integer
//! model of either profile.
//!
//! Graph `i` of a search is a function of the seed and of `i` alone. `judge` says what is right; a
//! graph that is wrong is shrunk to a minimal one (`shrink`), which can be written as a folder
//! that `conformance` and `check` read.
#![allow(
    clippy::float_cmp,
    clippy::needless_range_loop,
    clippy::single_match_else,
    clippy::too_many_lines,
    clippy::type_complexity,
    clippy::unnecessary_wraps,
    clippy::unused_self,
    reason = "one arm an operator, in the words of the standard; cells are compared exactly"
)]

mod agreement;
#[cfg(test)]
mod candle;
mod generate;
mod graph;
mod judge;
mod noise;
mod number;
mod panics;
mod reference;
mod runtime;
mod save;
mod search;
mod shrink;
mod tensor;
#[cfg(test)]
mod tests;

pub use search::{Finding, Search, Settings, search};
