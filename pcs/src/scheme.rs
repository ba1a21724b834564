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

/// Where a commitment lives, which decides how large it may be before it is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Place {
    /// In a key, once for all proofs: the weights.
    Key,
    /// On the tape, in every proof: the witness.
    Proof,
    /// On the tape, late in a proof: the vector that an opening has folded its words to. It is
    /// small, so its rate is low, and never in the clear.
    Tail,
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

impl<S> Claim<S> {
    /// The error that this claim does not fit the commitment's shape.
    pub(crate) fn unfit(&self, reason: &'static str) -> Error {
        Error::Claim {
            table: self.column.table,
            column: self.column.column,
            reason,
        }
    }
}

/// What a verifier knows of one commitment to be opened.
#[derive(Clone, Copy)]
pub struct Opening<'a, C> {
    /// The commitment, from the key or from the tape.
    pub commitment: &'a C,
    /// Where it lives.
    pub place: Place,
    /// Its tables, from the key.
    pub shape: &'a [TableShape],
    /// The claims on it. No two have the same column and point.
    pub claims: &'a [Claim<E>],
}

/// The part of an opening that its soundness error depends on.
#[derive(Clone, Copy, Debug)]
pub struct OpeningShape<'a> {
    /// Where the commitment lives.
    pub place: Place,
    /// Its tables.
    pub shape: &'a [TableShape],
    /// An upper bound on the number of claims on it.
    pub claims: usize,
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

/// Largest number of cells of a commitment: the field has no larger evaluation domains.
pub(crate) const MAX_LOG_CELLS: usize = 30;

/// Largest number of columns of a commitment: each is at least one claim of 16 bytes in a proof, and
/// few bytes of a key name many of them.
pub(crate) const MAX_COLUMNS: usize = 1 << 17;

/// Number of cells of tables of this shape.
pub(crate) fn cells_of(shape: &[TableShape]) -> Result<usize, Error> {
    let too_large = || Error::Parameters {
        reason: format!("more than 2^{MAX_LOG_CELLS} cells or an empty table"),
    };
    let columns = shape.iter().map(|table| table.width);
    if columns.fold(0, usize::saturating_add) > MAX_COLUMNS {
        return Err(Error::Parameters {
            reason: format!("more than {MAX_COLUMNS} columns"),
        });
    }
    shape
        .iter()
        .try_fold(0usize, |sum, table| {
            let length = (table.num_vars <= MAX_LOG_CELLS).then(|| 1usize << table.num_vars)?;
            let cells = table.width.checked_mul(length)?;
            let sum = sum.checked_add(cells)?;
            (table.width > 0 && sum <= 1 << MAX_LOG_CELLS).then_some(sum)
        })
        .ok_or_else(too_large)
}

/// Checks that each claim's column exists, that its point has the column's number of variables
/// and that no (column, point) occurs twice.
pub(crate) fn check_claims(shape: &[TableShape], claims: &[Claim<E>]) -> Result<(), Error> {
    let mut seen: Vec<&Claim<E>> = claims.iter().collect();
    for claim in claims {
        let table = shape
            .get(claim.column.table)
            .filter(|table| claim.column.column < table.width)
            .ok_or_else(|| claim.unfit("no such column"))?;
        if claim.point.len() != table.num_vars {
            return Err(claim.unfit("the point has another number of variables"));
        }
    }
    seen.sort_by_key(|claim| claim.column);
    for group in seen.chunk_by(|a, b| a.column == b.column) {
        for (k, claim) in group.iter().enumerate() {
            if group.iter().take(k).any(|other| other.point == claim.point) {
                return Err(claim.unfit("two claims at one point"));
            }
        }
    }
    Ok(())
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

    /// Names the parameters and the encoding of proofs; another one whenever they change. Keys'
    /// digests cover it.
    const PARAMETERS: u32;

    /// Reads a commitment to tables of this shape, made for [`Place::Proof`], from the tape.
    fn recv_commitment(
        shape: &[TableShape],
        tape: &mut VerifierTape<'_>,
    ) -> Result<Self::Commitment, Error>;

    /// Checks that a commitment from a key, made for [`Place::Key`], has the form that the shape
    /// calls for. It does not check what is committed: a key is trusted or recomputed.
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

    /// The error terms of one call of [`Self::verify`] with openings of these shapes.
    fn soundness(openings: &[OpeningShape<'_>]) -> Result<Vec<SoundnessTerm>, Error>;
}

/// The columns of a commitment: `columns[t][c]` is column `c` of table `t`.
#[cfg(feature = "prover")]
pub type Columns = Vec<Vec<Vec<zkstrata_mle::F>>>;

/// Panics unless the columns have the shape.
#[cfg(feature = "prover")]
pub(crate) fn assert_columns(shape: &[TableShape], columns: &Columns) {
    assert_eq!(columns.len(), shape.len(), "number of tables");
    for (table, columns) in shape.iter().zip(columns) {
        assert_eq!(columns.len(), table.width, "number of columns");
        for column in columns {
            assert_eq!(column.len(), 1 << table.num_vars, "length of a column");
        }
    }
}

/// What a prover knows of one commitment to be opened.
#[cfg(feature = "prover")]
#[derive(Clone, Copy)]
pub struct ProverOpening<'a, D> {
    /// What committing returned; it knows the commitment's place and shape.
    pub data: &'a D,
    /// The claims on it. No two have the same column and point.
    pub claims: &'a [Claim<E>],
}

/// The prover's side of a commitment scheme.
#[cfg(feature = "prover")]
pub trait ProverScheme: CommitmentScheme {
    /// What the prover keeps to open a commitment.
    type ProverData: Send + Sync;

    /// Commits to columns of this shape.
    ///
    /// # Panics
    /// If the columns do not have the shape.
    fn commit(
        place: Place,
        shape: &[TableShape],
        columns: Columns,
    ) -> Result<(Self::Commitment, Self::ProverData), Error>;

    /// Puts a commitment made for [`Place::Proof`] on the tape, as
    /// [`CommitmentScheme::recv_commitment`] reads it.
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
