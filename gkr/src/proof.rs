//! A proof: the bytes of a tape.

use crate::error::FileError;
use crate::file::{self, PROOF};
use crate::statement::Statement;
use serde::{Deserialize, Serialize};

/// A proof of a [`Statement`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    pub(crate) tape: Vec<u8>,
}

impl Proof {
    /// Length in bytes, without the statement.
    pub fn len(&self) -> usize {
        self.tape.len()
    }

    /// Whether the proof has no bytes.
    pub fn is_empty(&self) -> bool {
        self.tape.is_empty()
    }
}

#[derive(Serialize, Deserialize)]
struct Body {
    statement: Statement,
    proof: Proof,
}

/// A `.zkp` file: the statement and its proof.
pub fn encode_proof(statement: &Statement, proof: &Proof) -> Vec<u8> {
    file::encode(
        PROOF,
        &Body {
            statement: statement.clone(),
            proof: proof.clone(),
        },
    )
}

/// Reads a `.zkp` file. Nothing in it is trusted until
/// [`VerifyingKey::verify`](crate::VerifyingKey::verify) accepts it.
pub fn decode_proof(bytes: &[u8]) -> Result<(Statement, Proof), FileError> {
    let body: Body = file::decode(PROOF, bytes)?;
    Ok((body.statement, body.proof))
}
