//! The proof system: a quantised model, its keys, proofs and their verification.
//!
//! The protocol is *flat* (it does not walk the network layer by layer):
//!
//! 1. **commit**: outputs and remainders of all table nodes and the multiplicities;
//! 2. **lookup**: one logup-GKR over every lookup (`lookup`);
//! 3. **linear**: a few batched sumchecks (`linear`) reduce what is left to claims on committed
//!    columns and public tensors;
//! 4. **open**: all claims are one relation, and one opening of the witness and the weights proves
//!    it; public weights ([`Weights`]) the verifier evaluates itself.
//!
//! Without the `prover` feature this crate is the verifier alone, and that build denies whatever may
//! panic.
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

mod certificate;
mod claim;
mod commitment;
mod constants;
mod dry;
mod error;
#[cfg(feature = "prover")]
pub mod estimate;
mod exposure;
mod file;
mod form;
mod key;
mod linear;
mod lookup;
mod options;
mod packed;
mod plan;
mod port;
mod prepared;
mod proof;
#[cfg(feature = "prover")]
mod prove;
#[cfg(feature = "prover")]
mod proven;
mod publics;
mod registration;
#[cfg(feature = "prover")]
mod secret;
mod security;
mod session;
#[cfg(feature = "prover")]
mod setup;
mod statement;
#[cfg(feature = "prover")]
mod tensor;
mod verify;
#[cfg(feature = "prover")]
mod weights;
#[cfg(feature = "prover")]
mod witness;

pub use certificate::certified_model;
pub use commitment::{DEFAULT_USES, TensorCommitment};
pub use constants::{Uses, Weights};
#[cfg(feature = "prover")]
pub use error::ProveError;
pub use error::{FileError, SetupError, StatementError, VerifyError};
pub use file::FORMAT_VERSION;
pub use key::{FileKind, MAX_BATCH, VerifyingKey, file_kind};
pub use options::{SetupOptions, Trust, Visibilities, Visibility};
pub use proof::{Proof, decode_proof, encode_proof};
#[cfg(feature = "prover")]
pub use prove::ProvingKey;
#[cfg(feature = "prover")]
pub use proven::{Given, Proven};
#[cfg(feature = "prover")]
pub use secret::TensorSecret;
pub use security::{REQUIRED_BITS, Security, ZeroKnowledge};
pub use session::certified_session;
#[cfg(feature = "prover")]
pub use session::{ProvingSession, session_left, sessions_used};
#[cfg(feature = "prover")]
pub use setup::{setup, setup_scheme, setup_with};
pub use statement::{PortValue, Statement};
pub use zkstrata_pcs::joint::ProofProfile;

#[cfg(all(test, feature = "prover"))]
mod tests;
