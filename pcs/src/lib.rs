//! The proof's tape, the verifier's channel, claims about committed columns and the commitment
//! schemes that open them. This crate knows no model.
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
mod clear;
mod counting;
pub mod joint;
mod scheme;
pub mod sumcheck;
mod transcript;
mod whir;

pub use cells::Cells;
pub use channel::{Channel, Scalar};
pub use clear::Clear;
pub use counting::{Counted, Counting, Counts};
pub use scheme::{
    Claim, ColumnId, CommitmentScheme, Error, Opening, OpeningShape, Place, SoundnessTerm,
    TableShape,
};
#[cfg(feature = "prover")]
pub use scheme::{Columns, ProverOpening, ProverScheme};
#[cfg(feature = "prover")]
pub use transcript::ProverTape;
pub use transcript::{Message, TapeError, VerifierTape};
#[cfg(feature = "prover")]
pub use whir::{PartCost, TreeCost, WhirData};
pub use whir::{Whir, WhirCommitment};
