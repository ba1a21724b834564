//! The verifying key: everything the verifier knows of a model.

use crate::constants::{Constants, Weights};
use crate::error::{FileError, VerifyError};
use crate::file::{self, FORMAT_VERSION, VERIFYING_KEY};
use crate::lookup::WORK_BITS;
use crate::plan::WeightPlan;
use crate::security::Security;
use serde::{Deserialize, Serialize};
use zkstrata_model_ir::Digest;
use zkstrata_model_ir::int::Graph;
use zkstrata_pcs::joint::{Joint, ProofProfile, RelationScheme};

/// The largest batch that any key allows.
pub const MAX_BATCH: usize = 1 << 10;

/// Verifies proofs about one model.
///
/// The key is a deterministic function of the ONNX file, the calibration data, the options and
/// the version of this library: whoever has them can recompute [`VerifyingKey::digest`]. **A
/// verifier must get the key, or its digest, from someone it trusts, or recompute it**; a key that
/// comes with the proof proves nothing.
#[derive(Debug)]
pub struct VerifyingKey<C: RelationScheme = Joint> {
    pub(crate) graph: Graph,
    pub(crate) constants: Constants<C::Commitment>,
    pub(crate) profile: ProofProfile,
    pub(crate) max_batch: usize,
    digest: Digest,
}

impl<C: RelationScheme> Clone for VerifyingKey<C> {
    fn clone(&self) -> Self {
        Self {
            graph: self.graph.clone(),
            constants: self.constants.clone(),
            profile: self.profile,
            max_batch: self.max_batch,
            digest: self.digest,
        }
    }
}

impl<C: RelationScheme> PartialEq for VerifyingKey<C> {
    fn eq(&self, other: &Self) -> bool {
        self.graph == other.graph
            && self.constants == other.constants
            && self.profile == other.profile
            && self.max_batch == other.max_batch
    }
}

/// The fields of a key file; the digest is recomputed.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
struct Body<C: RelationScheme> {
    scheme: String,
    graph: Graph,
    constants: Constants<C::Commitment>,
    profile: ProofProfile,
    max_batch: usize,
}

impl<C: RelationScheme> VerifyingKey<C> {
    /// The key of a valid graph.
    pub(crate) fn new(
        graph: Graph,
        constants: Constants<C::Commitment>,
        profile: ProofProfile,
        max_batch: usize,
    ) -> Self {
        let parameters = (FORMAT_VERSION, C::NAME, C::PARAMETERS, WORK_BITS, max_batch);
        let digest = Digest::of(
            "zkstrata 2026 verifying key",
            &(parameters, profile, &graph, &constants),
        );
        Self {
            graph,
            constants,
            profile,
            max_batch,
            digest,
        }
    }

    /// Names the model: graph, shapes, shifts, tables, scales, weights and protocol parameters.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// How the key knows the model's weights. A model without weights has them committed.
    pub fn weights(&self) -> Weights {
        match self.constants {
            Constants::None | Constants::Committed(_) => Weights::Committed,
            Constants::Public(_) => Weights::Public,
        }
    }

    /// Whether the key's proofs are made fast or small.
    pub fn profile(&self) -> ProofProfile {
        self.profile
    }

    /// The integer model without its weights.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The largest batch that the key accepts.
    pub fn max_batch(&self) -> usize {
        self.max_batch
    }

    /// Every term of the soundness error for a batch of `batch` inferences.
    pub fn security(&self, batch: usize) -> Result<Security, VerifyError> {
        Security::new::<C>(&self.graph, self.weights(), self.profile, batch)
    }

    /// The bytes of a `.zkvk` file.
    pub fn to_bytes(&self) -> Vec<u8> {
        file::encode_key(
            VERIFYING_KEY,
            &Body::<C> {
                scheme: C::NAME.into(),
                graph: self.graph.clone(),
                constants: self.constants.clone(),
                profile: self.profile,
                max_batch: self.max_batch,
            },
        )
    }

    /// Reads a `.zkvk` file and checks that it is undamaged and that its parts fit together.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FileError> {
        let body: Body<C> = file::decode_key::<C, _>(VERIFYING_KEY, bytes)?;
        let malformed = |e: String| FileError::Malformed(e);
        if !(1..=MAX_BATCH).contains(&body.max_batch) {
            return Err(malformed(format!("a largest batch of {}", body.max_batch)));
        }
        body.graph
            .validate_intervals()
            .map_err(|e| malformed(e.to_string()))?;
        let plan = WeightPlan::new(&body.graph);
        match (&body.constants, plan.shape.is_empty()) {
            (Constants::None, true) => {}
            (Constants::Committed(commitment), false) => {
                plan.layout(&body.graph, body.profile)
                    .and_then(|layout| C::check_commitment(commitment, &layout))
                    .map_err(|e| malformed(e.to_string()))?;
            }
            (Constants::Public(weights), false) => weights
                .check_model(&body.graph, &plan)
                .map_err(|e| malformed(e.to_string()))?,
            _ => return Err(malformed("weights do not fit the graph".into())),
        }
        let key = Self::new(body.graph, body.constants, body.profile, body.max_batch);
        let security = key
            .security(key.max_batch)
            .map_err(|e| malformed(e.to_string()))?;
        if !security.is_enough() {
            return Err(malformed(format!(
                "{:.1} bits of security at batch {}",
                security.total_bits, key.max_batch
            )));
        }
        Ok(key)
    }
}

/// What kind of file bytes are, by their first bytes.
pub fn file_kind(bytes: &[u8]) -> Option<FileKind> {
    let kinds = [
        (FileKind::VerifyingKey, VERIFYING_KEY),
        (FileKind::Proof, file::PROOF),
        #[cfg(feature = "prover")]
        (FileKind::ProvingKey, file::PROVING_KEY),
    ];
    kinds
        .into_iter()
        .find_map(|(kind, magic)| file::is(magic, bytes).then_some(kind))
}

/// The files of this library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileKind {
    /// `.zkpk`
    ProvingKey,
    /// `.zkvk`
    VerifyingKey,
    /// `.zkp`
    Proof,
}

impl FileKind {
    /// Bytes of the largest file of this kind that is decoded.
    pub fn limit(self) -> usize {
        match self {
            Self::ProvingKey => file::PROVING_KEY_LIMIT,
            Self::VerifyingKey => VERIFYING_KEY.limit,
            Self::Proof => file::PROOF.limit,
        }
    }
}
