//! Claims about committed columns, and what a commitment scheme must do with them.
//!
//! A commitment holds tables; a table holds columns of `2^num_vars` field elements; a claim says
//! that the multilinear extension of a column takes a value at a point. An opening proves all the
//! claims on all the commitments of a proof at once.

use crate::transcript::{TapeError, VerifierTape};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use zkstrata_mle::{E, Point};

/// Columns of equal length that are often opened at the same point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableShape {
    /// Base-2 logarithm of the columns' length.
    pub num_vars: usize,
    /// Number of columns, at least 1.
    pub width: usize,
}

impl TableShape {
    /// Number of cells.
    pub fn cells(&self) -> usize {
        self.width << self.num_vars
    }
}

/// A column of a commitment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ColumnId {
    /// Index of its table.
    pub table: usize,
    /// Index within the table.
    pub column: usize,
}

/// "The multilinear extension of `column` is `value` at `point`."
#[must_use = "a claim that nobody proves is an assertion that nobody checks"]
#[derive(Clone, Debug)]
pub struct Claim<S> {
    /// The column.
    pub column: ColumnId,
    /// The point, `num_vars` coordinates.
    pub point: Point,
    /// The claimed value.
    pub value: S,
}

/// What a verifier knows of one commitment to be opened.
#[derive(Clone, Copy)]
pub struct Opening<'a, C> {
    /// The commitment, from the key or from the tape.
    pub commitment: &'a C,
    /// Its tables, from the key.
    pub shape: &'a [TableShape],
    /// The claims on it. No two have the same column and point.
    pub claims: &'a [Claim<E>],
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
    /// No parameters reach the security level for this shape.
    #[error("parameters: {reason}")]
    Parameters {
        /// What is wrong.
        reason: String,
    },
}

/// The verifier's side of a commitment scheme.
pub trait CommitmentScheme: Send + Sync {
    /// A commitment as keys hold it.
    type Commitment: Clone
        + std::fmt::Debug
        + PartialEq
        + Serialize
        + DeserializeOwned
        + Send
        + Sync;

    /// A name that keys record.
    const NAME: &'static str;

    /// Reads a commitment to tables of this shape from the tape.
    fn recv_commitment(
        shape: &[TableShape],
        tape: &mut VerifierTape<'_>,
    ) -> Result<Self::Commitment, Error>;

    /// Checks that a commitment from a key has the form that the shape calls for.
    fn check_commitment(commitment: &Self::Commitment, shape: &[TableShape]) -> Result<(), Error>;

    /// Verifies the openings of all commitments.
    ///
    /// # Soundness
    /// Accepting establishes every claim, up to the error of [`Self::soundness`], if every
    /// commitment was absorbed before its claims' points were drawn and the claims' values are
    /// fixed by what is on the tape.
    fn verify(
        openings: &[Opening<'_, Self::Commitment>],
        tape: &mut VerifierTape<'_>,
    ) -> Result<(), Error>;

    /// The error terms of opening commitments of these shapes with this many claims each.
    fn soundness(openings: &[(&[TableShape], usize)]) -> Result<Vec<SoundnessTerm>, Error>;
}

/// The columns of a commitment: `columns[t][c]` is column `c` of table `t`.
#[cfg(feature = "prover")]
pub type Columns = Vec<Vec<Vec<zkstrata_mle::F>>>;

/// What a prover knows of one commitment to be opened.
#[cfg(feature = "prover")]
#[derive(Clone, Copy)]
pub struct ProverOpening<'a, D> {
    /// What committing returned.
    pub data: &'a D,
    /// The commitment's tables.
    pub shape: &'a [TableShape],
    /// The claims on it. No two have the same column and point.
    pub claims: &'a [Claim<E>],
}

/// The prover's side of a commitment scheme.
#[cfg(feature = "prover")]
pub trait ProverScheme: CommitmentScheme {
    /// What the prover keeps to open a commitment.
    type ProverData: Send + Sync;

    /// Commits to columns of this shape.
    fn commit(
        shape: &[TableShape],
        columns: Columns,
    ) -> Result<(Self::Commitment, Self::ProverData), Error>;

    /// Puts a commitment on the tape, as [`CommitmentScheme::recv_commitment`] reads it.
    fn send_commitment(
        commitment: &Self::Commitment,
        shape: &[TableShape],
        tape: &mut crate::transcript::ProverTape,
    );

    /// Opens all commitments.
    fn open(
        openings: &[ProverOpening<'_, Self::ProverData>],
        tape: &mut crate::transcript::ProverTape,
    ) -> Result<(), Error>;
}
