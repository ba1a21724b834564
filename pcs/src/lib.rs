//! The proof's tape, the verifier's channel, claims about committed columns and the commitments
//! that open them. This crate knows no model.
//!
//! Without the `prover` feature it is the verifier alone, and that build denies whatever may panic.
#![cfg_attr(
    not(feature = "prover"),
    deny(
        clippy::as_conversions,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::todo,
        clippy::unimplemented,
        clippy::unreachable,
        clippy::unwrap_used
    )
)]

mod cells;
mod channel;
mod claim;
mod counting;
#[cfg(any(test, feature = "frozen"))]
#[doc(hidden)]
pub mod frozen;
pub mod joint;
#[cfg(feature = "prover")]
mod random;
pub mod seal;
mod sponge;
pub mod sumcheck;
mod transcript;

pub use cells::Cells;
pub use channel::{Channel, Scalar};
pub use claim::{ColumnId, Error, SoundnessTerm};
pub use counting::{Counted, Counting, Counts};
pub use joint::Clear;
#[cfg(feature = "prover")]
pub use random::Seed;
#[cfg(feature = "prover")]
pub use transcript::ProverTape;
pub use transcript::{Message, TapeError, VerifierTape};
