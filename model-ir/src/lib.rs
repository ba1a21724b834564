//! The two forms of a model and the way from one to the other.
//!
//! * [`float`]: the graph an importer builds, with real weights; it can be run and calibrated;
//! * [`mod@quantise`]: calibration, and the lowering of the one to the other;
//! * [`int`]: the integer model that is proven: a DAG of integer tensors whose nodes are either
//!   linear maps or table lookups, with every length, interval and shift fixed at compile time.
//!
//! This crate knows no field and no protocol. Without the `executor` feature it holds only what
//! a verifier reads: [`int::Graph`] and its parts.

#[cfg(feature = "executor")]
pub mod float;
pub mod int;

mod bounded;
mod digest;
#[cfg(feature = "executor")]
mod exact;
#[cfg(feature = "executor")]
pub mod quantise;
pub use bounded::bounded;
pub use digest::{Digest, ParseDigestError};
#[cfg(feature = "executor")]
pub use quantise::quantise;
