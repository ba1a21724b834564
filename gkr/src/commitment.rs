//! Commitments to the tensors of ports: what links proofs without being shown.
//!
//! A committed tensor is a source of the opening of its own, hidden in a fixed number of openings. Its
//! layout is a function of shape, uses and profile alone, so that it is the same for every model: an
//! output of one proof is the input of another if both statements hold the same commitment.
//!
//! A committed input *is* the column of its commitment: every claim on the input is one on that column,
//! and its guard, a table node that is the identity on the port's interval, shows that its cells lie
//! there. So nothing has to be shown equal to anything. What stands in cells beyond the tensor's last one
//! and where an axis is padded is whatever the committer likes, as in every committed column: by the
//! padding rule no live cell of a model depends on it.
//!
//! Of a committed output the verifier has no value at the random point: it receives one, which is a claim
//! on the tensor and one on the commitment's column. Both were fixed before the point was drawn, as the
//! commitment is part of the statement. If they differ in any cell, padding included, then the two
//! claims are not both true but for `variables / |E|`, the term of [`Security`](crate::Security) that
//! public outputs have as well.

use crate::error::FileError;
use crate::file::{self, COMMITMENT};
use serde::{Deserialize, Serialize};
use std::num::NonZeroU16;
use zkstrata_mle::{axis_vars, live_cells};
use zkstrata_model_ir::int::{Graph, Port};
use zkstrata_model_ir::{Digest, bounded};
use zkstrata_pcs::joint::{Layout, Others, ProofProfile, RelationScheme, Table, Word};
use zkstrata_pcs::{ColumnId, Error};

/// In how many proofs a tensor stays hidden by default: where it is made, where it is used, and two in
/// reserve, since a proof that fails costs a use too. Each more takes some 400 bytes of a proof about a
/// small tensor.
pub const DEFAULT_USES: NonZeroU16 = NonZeroU16::MIN.saturating_add(3);

/// Most axes of a tensor, the batch not counted.
const MAX_AXES: usize = 64;

/// Largest `log2` of the number of cells.
const MAX_VARS: usize = 30;

/// Longest encoding of a commitment. Those that proofs are made with have 26 bytes.
const MAX_ROOT: usize = 1 << 20;

/// The column of a commitment.
pub(crate) const COLUMN: ColumnId = ColumnId {
    table: 0,
    column: 0,
};

/// All that the layout of a commitment depends on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TensorForm {
    /// Number of inferences.
    pub(crate) batch: usize,
    /// The axes of one, in the one form of all that are laid out alike.
    #[serde(deserialize_with = "bounded::<_, _, MAX_AXES>")]
    axes: Vec<usize>,
    /// How many openings it stays hidden in.
    pub(crate) uses: NonZeroU16,
    /// The profile of the proofs that open it.
    pub(crate) profile: ProofProfile,
}

impl TensorForm {
    /// The form of the tensor of a port. Models may have cut one shape into axes in different ways, which
    /// does not matter where it does not for the order of cells: an axis whose length is a power of two
    /// is joined to the one before it, and one of length 1 is none.
    pub(crate) fn new(
        graph: &Graph,
        port: &Port,
        batch: usize,
        uses: NonZeroU16,
        profile: ProofProfile,
    ) -> Self {
        let mut axes: Vec<usize> = vec![];
        for &n in graph.node(port.tensor).axes.iter().filter(|&&n| n > 1) {
            match axes.last_mut() {
                Some(last) if n.is_power_of_two() => *last = last.saturating_mul(n),
                _ => axes.push(n),
            }
        }
        Self {
            batch,
            axes,
            uses,
            profile,
        }
    }

    /// The axes, the batch first.
    pub(crate) fn axes(&self) -> Vec<usize> {
        let batch = std::iter::once(self.batch);
        batch.chain(self.axes.iter().copied()).collect()
    }

    /// The number of cells, if it is not too large.
    #[cfg(feature = "prover")]
    pub(crate) fn cells(&self) -> Option<usize> {
        let mut axes = self.axes().into_iter();
        axes.try_fold(1usize, |product, n| {
            product.checked_mul(n).filter(|&n| n > 0)
        })
    }

    /// Where the column of the commitment lies.
    pub(crate) fn layout(&self) -> Result<Layout, Error> {
        let axes = self.axes();
        let num_vars = axes.iter().fold(0usize, |sum, &n| {
            sum.saturating_add(if n == 0 { MAX_VARS + 1 } else { axis_vars(n) })
        });
        if num_vars > MAX_VARS {
            return Err(Error::Parameters {
                reason: format!("a tensor of more than 2^{MAX_VARS} cells, or of none"),
            });
        }
        let table = Table {
            num_vars,
            live: live_cells(&axes),
            width: 1,
        };
        let uses = usize::from(self.uses.get());
        let parameters = self.profile.parameters();
        Layout::hidden(Word::Shared, parameters, &[table], Others::default(), uses)
    }
}

/// A commitment to the tensor of an input or an output. It shows nothing of the tensor, in as many proofs
/// as it says, and proofs are about the same tensor if their statements hold the same commitment; unless it
/// was made without a secret ([`hash_input`](crate::VerifyingKey::hash_input)), when it is a hash of the
/// tensor, which hides nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TensorCommitment {
    pub(crate) form: TensorForm,
    /// The encoding of the scheme's commitment.
    #[serde(deserialize_with = "bounded::<_, _, MAX_ROOT>")]
    pub(crate) root: Vec<u8>,
}

impl TensorCommitment {
    /// Names the commitment, whole.
    pub fn digest(&self) -> Digest {
        Digest::of("zkstrata 2026 tensor commitment", self)
    }

    /// Number of inferences.
    pub fn batch(&self) -> usize {
        self.form.batch
    }

    /// The shape of the tensor, the batch first. Axes that are powers of two are joined to those before them.
    pub fn shape(&self) -> Vec<usize> {
        self.form.axes()
    }

    /// In how many proofs it hides the tensor.
    pub fn uses(&self) -> NonZeroU16 {
        self.form.uses
    }

    /// What the proofs are made for that open it.
    pub fn profile(&self) -> ProofProfile {
        self.form.profile
    }

    /// The bytes of a `.zkc` file.
    pub fn to_bytes(&self) -> Vec<u8> {
        file::encode(COMMITMENT, self)
    }

    /// Reads a `.zkc` file. It is compared with those of statements, and proves nothing by itself.
    ///
    /// # Errors
    /// The bytes are no commitment.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FileError> {
        file::decode(COMMITMENT, bytes)
    }

    /// Checks that it is one to a tensor of this form; else says what is other, and how that is mended.
    pub(crate) fn check(&self, expected: &TensorForm) -> Result<(), String> {
        let found = &self.form;
        if found == expected {
            return Ok(());
        }
        Err(if found.axes() != expected.axes() {
            format!(
                "a commitment to a tensor of shape {:?} where {:?} is needed (batch first, axes of powers of \
                 two joined)",
                found.axes(),
                expected.axes()
            )
        } else if found.uses != expected.uses {
            format!(
                "a commitment for {} uses where the key has {}: set up with the same number, or commit anew",
                found.uses, expected.uses
            )
        } else {
            "a commitment for proofs of another profile: set up both models with the same one"
                .into()
        })
    }

    /// The commitment of a scheme, if it is one of this layout.
    pub(crate) fn decode<C: RelationScheme>(&self, layout: &Layout) -> Option<C::Commitment> {
        let commitment: C::Commitment = postcard::from_bytes(&self.root).ok()?;
        let canonical = postcard::to_allocvec(&commitment).ok()?;
        C::check_commitment(&commitment, layout).ok()?;
        (canonical == self.root).then_some(commitment)
    }
}
