//! Names of committed columns, what may be wrong with an opening, and its error.
//!
//! A commitment holds tables; a table holds columns of `2^num_vars` field elements.

use crate::transcript::TapeError;
use serde::{Deserialize, Serialize};

/// A column of a commitment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ColumnId {
    /// Index of its table.
    pub table: usize,
    /// Index within the table.
    pub column: usize,
}

/// One term of the union bound on the soundness error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SoundnessTerm {
    /// What fails with this probability.
    pub name: String,
    /// Minus the base-2 logarithm of the probability.
    pub bits: f64,
}

/// Why an opening is rejected or impossible.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// The tape is malformed or a check fails.
    #[error(transparent)]
    Tape(#[from] TapeError),
    /// A claim does not fit its commitment's shape: a bug of the caller, not of the prover.
    #[error("claim on table {table}, column {column}: {reason}")]
    Claim {
        /// Index of the table.
        table: usize,
        /// Index of the column.
        column: usize,
        /// What does not fit.
        reason: &'static str,
    },
    /// A commitment does not have the form the shape calls for.
    #[error("commitment: {reason}")]
    Commitment {
        /// What is wrong.
        reason: &'static str,
    },
    /// The library's proof does not decode or does not verify.
    #[error("opening proof: {reason}")]
    Opening {
        /// What is wrong.
        reason: String,
    },
    /// A hidden commitment has been opened as often as it stays hidden.
    #[error("the commitment has been opened as often as it stays hidden: make another one")]
    Spent,
    /// No parameters reach the security level for this shape.
    #[error("parameters: {reason}")]
    Parameters {
        /// What is wrong.
        reason: String,
    },
}
