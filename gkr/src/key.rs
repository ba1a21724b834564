//! The verifying key: everything the verifier knows of a model.

use crate::constants::{Constants, HiddenWeights, Weights};
use crate::error::{FileError, VerifyError};
use crate::file::{self, FORMAT_VERSION, VERIFYING_KEY};
use crate::lookup::WORK_BITS;
use crate::options::{SetupOptions, Trust, Visibilities, Visibility};
use crate::plan::WeightPlan;
use crate::prepared::{Latest, Prepared};
use crate::security::Security;
use crate::session::Session;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use zkstrata_model_ir::Digest;
use zkstrata_model_ir::int::{Graph, ValidGraph, WeightBits};
use zkstrata_pcs::joint::{Joint, Layout, ProofProfile, RelationScheme};

/// The largest batch that any key allows.
pub const MAX_BATCH: usize = 1 << 10;

/// Verifies proofs about one model.
///
/// The key is a deterministic function of the ONNX file, the calibration data, the options and
/// the version of this library: whoever has them can recompute [`VerifyingKey::digest`], but that of a key
/// with hidden weights. **A
/// verifier must get the key, or its digest, from someone it trusts, or recompute it**; a key that
/// comes with the proof proves nothing.
#[derive(Debug)]
pub struct VerifyingKey<C: RelationScheme = Joint> {
    pub(crate) graph: ValidGraph,
    pub(crate) constants: Constants<C::Commitment>,
    pub(crate) profile: ProofProfile,
    trust: Trust,
    pub(crate) inputs: Visibilities,
    pub(crate) outputs: Visibilities,
    pub(crate) max_batch: usize,
    digest: Digest,
    /// Whether nothing more must be known of the commitment.
    certified: bool,
    /// The session whose proofs it verifies, if the weights are hidden.
    pub(crate) session: Option<Arc<Session<C::Commitment>>>,
    /// What was worked out for batch sizes; clones share it.
    pub(crate) prepared: Arc<Latest>,
}

impl<C: RelationScheme> Clone for VerifyingKey<C> {
    fn clone(&self) -> Self {
        Self {
            graph: self.graph.clone(),
            constants: self.constants.clone(),
            profile: self.profile,
            trust: self.trust,
            inputs: self.inputs.clone(),
            outputs: self.outputs.clone(),
            max_batch: self.max_batch,
            digest: self.digest,
            certified: self.certified,
            session: self.session.clone(),
            prepared: Arc::clone(&self.prepared),
        }
    }
}

impl<C: RelationScheme> PartialEq for VerifyingKey<C> {
    fn eq(&self, other: &Self) -> bool {
        self.graph == other.graph
            && self.constants == other.constants
            && self.profile == other.profile
            && self.trust == other.trust
            && self.session_digest() == other.session_digest()
            && self.inputs == other.inputs
            && self.outputs == other.outputs
            && self.max_batch == other.max_batch
    }
}

/// The fields of a key file; the digest is recomputed.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
struct Body<C: RelationScheme> {
    scheme: String,
    graph: Arc<Graph>,
    constants: Constants<C::Commitment>,
    profile: ProofProfile,
    trust: Trust,
    inputs: Visibilities,
    outputs: Visibilities,
    max_batch: usize,
}

/// Whom weights like these leave to be trusted.
fn trust_in<T>(constants: &Constants<T>, trust: Trust) -> Trust {
    match constants {
        Constants::Committed(_) | Constants::Hidden(..) => trust,
        Constants::None | Constants::Public(_) => Trust::Maker,
    }
}

/// The file of a key of any graph, also of one that is not valid.
#[cfg(test)]
pub(crate) fn file_of<C: RelationScheme>(
    graph: Graph,
    constants: Constants<C::Commitment>,
    options: &SetupOptions,
    max_batch: usize,
) -> Vec<u8> {
    let body = Body::<C> {
        scheme: C::NAME.into(),
        inputs: options.inputs.cut(graph.inputs.len()),
        outputs: options.outputs.cut(graph.outputs.len()),
        profile: options.proof,
        trust: trust_in(&constants, options.trust),
        graph: graph.into(),
        constants,
        max_batch,
    };
    file::encode_key(VERIFYING_KEY, &body)
}

impl<C: RelationScheme> VerifyingKey<C> {
    /// The key as its maker has it: the constants are what they should be.
    pub(crate) fn new(
        graph: ValidGraph,
        constants: Constants<C::Commitment>,
        options: SetupOptions,
        max_batch: usize,
    ) -> Self {
        let SetupOptions {
            weights: _,
            proof: profile,
            trust,
            inputs,
            outputs,
        } = options;
        let trust = trust_in(&constants, trust);
        let inputs = inputs.cut(graph.inputs.len());
        let outputs = outputs.cut(graph.outputs.len());
        let parameters = (FORMAT_VERSION, C::NAME, C::PARAMETERS, WORK_BITS, max_batch);
        let digest = Digest::of(
            "zkstrata 2026 verifying key",
            &(
                parameters, profile, trust, &inputs, &outputs, &graph, &constants,
            ),
        );
        Self {
            graph,
            constants,
            profile,
            trust,
            inputs,
            outputs,
            max_batch,
            digest,
            certified: true,
            session: None,
            prepared: Arc::default(),
        }
    }

    /// Names the model: graph, shapes, shifts, tables, scales, weights and protocol parameters.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// How the key knows the model's weights. A model without weights has them committed.
    pub fn weights(&self) -> Weights {
        match self.constants {
            Constants::None | Constants::Committed(_) => Weights::Compact,
            Constants::Public(_) => Weights::Public,
            Constants::Hidden(HiddenWeights { uses, .. }) => Weights::Hidden(uses),
        }
    }

    /// The sizes of weights and biases, if the key hides them: its certificate proves them
    /// ([`certify`](Self::certify)), and else its maker is trusted to tell them.
    pub fn weight_bits(&self) -> Option<WeightBits> {
        match &self.constants {
            Constants::Hidden(hidden) => Some(hidden.bits),
            _ => None,
        }
    }

    /// Where the columns of the weights lie in the key's own commitment.
    pub(crate) fn key_layout(&self, plan: &WeightPlan) -> Result<Layout, VerifyError> {
        let (word, profile) = (self.trust.word(), self.profile);
        Ok(match self.constants {
            Constants::Hidden(HiddenWeights { uses, .. }) => {
                plan.hidden_layout(word, profile, uses.sessions)
            }
            _ => plan.layout(&self.graph, word, profile),
        }?)
    }

    /// Why the key's proofs may be believed.
    pub fn trust(&self) -> Trust {
        self.trust
    }

    /// Whether the key verifies proofs: it needs no certificate, or has been shown it. Every key that
    /// *says* that its maker is trusted ([`trust`](Self::trust)) does; who does not trust the maker
    /// calls [`certify`](Self::certify), which refuses such keys.
    pub fn is_certified(&self) -> bool {
        self.certified
    }

    /// Notes that the certificate has been verified.
    pub(crate) fn set_certified(&mut self) {
        self.certified = true;
    }

    /// What was chosen when the key was made.
    pub fn options(&self) -> SetupOptions {
        SetupOptions {
            weights: self.weights(),
            proof: self.profile,
            trust: self.trust,
            inputs: self.inputs.clone(),
            outputs: self.outputs.clone(),
        }
    }

    /// Whether its proofs hide something: an input, an output or the weights, and with it all activations.
    pub fn hides(&self) -> bool {
        self.options().hide(&self.graph)
    }

    /// Who sees the inputs.
    pub fn visibilities(&self) -> &Visibilities {
        &self.inputs
    }

    /// Who sees the outputs.
    pub fn output_visibilities(&self) -> &Visibilities {
        &self.outputs
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
        Ok(self.at(batch)?.security.clone())
    }

    /// What proofs of a batch of `batch` inferences consist of.
    pub(crate) fn at(&self, batch: usize) -> Result<Arc<Prepared>, VerifyError> {
        let make = || Prepared::new::<C>(&self.graph, &self.options(), batch);
        self.prepared.get(batch, make)
    }

    /// The bytes of a `.zkvk` file.
    pub fn to_bytes(&self) -> Vec<u8> {
        file::encode_key(
            VERIFYING_KEY,
            &Body::<C> {
                scheme: C::NAME.into(),
                graph: Arc::clone(self.graph.shared()),
                constants: self.constants.clone(),
                profile: self.profile,
                trust: self.trust,
                inputs: self.inputs.clone(),
                outputs: self.outputs.clone(),
                max_batch: self.max_batch,
            },
        )
    }

    /// Reads a `.zkvk` file and checks that it is undamaged and that its parts fit together. A key of
    /// [`Trust::Certificate`] verifies nothing before [`certify`](Self::certify).
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FileError> {
        let body: Body<C> = file::decode_key::<C, _>(VERIFYING_KEY, bytes)?;
        let malformed = |e: String| FileError::Malformed(e);
        if !(1..=MAX_BATCH).contains(&body.max_batch) {
            return Err(malformed(format!("a largest batch of {}", body.max_batch)));
        }
        let graph = ValidGraph::new(body.graph).map_err(|e| malformed(e.to_string()))?;
        let plan = WeightPlan::new(&graph);
        let options = SetupOptions {
            weights: Weights::Compact,
            proof: body.profile,
            trust: body.trust,
            inputs: body.inputs,
            outputs: body.outputs,
        };
        for (index, port) in graph.inputs.iter().enumerate() {
            let hidden = options.inputs.of(index) != Visibility::Public;
            if hidden && graph.guard(port).is_none() {
                let name = &port.name;
                return Err(malformed(format!("no lookup of the hidden input `{name}`")));
            }
        }
        if options.inputs != options.inputs.cut(graph.inputs.len()) {
            return Err(malformed("visibilities do not fit the inputs".into()));
        }
        if options.outputs != options.outputs.cut(graph.outputs.len()) {
            return Err(malformed("visibilities do not fit the outputs".into()));
        }
        if let Some(port) = options.private_output(&graph) {
            return Err(malformed(format!("output `{}` is private", port.name)));
        }
        match (&body.constants, plan.shape.is_empty()) {
            (Constants::None, true) => {}
            (Constants::Committed(commitment), false) => {
                plan.layout(&graph, options.trust.word(), options.proof)
                    .and_then(|layout| C::check_commitment(commitment, &layout))
                    .map_err(|e| malformed(e.to_string()))?;
            }
            (Constants::Hidden(hidden), false) => {
                let word = options.trust.word();
                plan.hidden_layout(word, options.proof, hidden.uses.sessions)
                    .and_then(|layout| C::check_commitment(&hidden.commitment, &layout))
                    .map_err(|e| malformed(e.to_string()))?;
                if !hidden.bits.is_valid() {
                    return Err(malformed("no size of weights".into()));
                }
                if options.trust == Trust::Certificate {
                    let checked = graph.check_any_weights(hidden.bits);
                    checked.map_err(|e| malformed(e.to_string()))?;
                }
            }
            (Constants::Public(weights), false) => weights
                .check_model(&graph, &plan)
                .map_err(|e| malformed(e.to_string()))?,
            _ => return Err(malformed("weights do not fit the graph".into())),
        }
        let mut key = Self::new(graph, body.constants, options, body.max_batch);
        if key.trust != body.trust {
            return Err(malformed(
                "only weights that are committed to have a certificate".into(),
            ));
        }
        key.certified = key.trust == Trust::Maker;
        let security = key
            .security(key.max_batch)
            .map_err(|e| malformed(e.to_string()))?;
        if !security.is_enough() {
            return Err(malformed(format!(
                "{:.1} bits of security at batch {}",
                security.total_bits, key.max_batch
            )));
        }
        let certificates = key.certificates_security();
        for security in certificates.map_err(|e| malformed(e.to_string()))? {
            if !security.is_enough() {
                let bits = security.total_bits;
                return Err(malformed(format!(
                    "{bits:.1} bits of security of its certificate"
                )));
            }
        }
        Ok(key)
    }
}

/// What kind of file bytes are, by their first bytes.
pub fn file_kind(bytes: &[u8]) -> Option<FileKind> {
    let kinds = [
        (FileKind::VerifyingKey, VERIFYING_KEY),
        (FileKind::Proof, file::PROOF),
        (FileKind::Certificate, file::CERTIFICATE),
        (FileKind::SessionCertificate, file::SESSION_CERTIFICATE),
        #[cfg(feature = "prover")]
        (FileKind::Session, file::SESSION),
        #[cfg(feature = "prover")]
        (FileKind::Sessions, file::SESSIONS),
        (FileKind::Commitment, file::COMMITMENT),
        #[cfg(feature = "prover")]
        (FileKind::Secret, file::SECRET),
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
    /// `.zkct`
    Certificate,
    /// `.zksc`
    SessionCertificate,
    /// `.zkses`, a secret
    Session,
    /// `.zkuse`
    Sessions,
    /// `.zkc`
    Commitment,
    /// `.zko`
    Secret,
}

impl FileKind {
    /// Bytes of the largest file of this kind that is decoded.
    pub fn limit(self) -> usize {
        match self {
            Self::ProvingKey => file::PROVING_KEY_LIMIT,
            Self::VerifyingKey => VERIFYING_KEY.limit,
            Self::Proof => file::PROOF.limit,
            Self::Certificate => file::CERTIFICATE.limit,
            Self::SessionCertificate => file::SESSION_CERTIFICATE.limit,
            Self::Session | Self::Sessions => file::SESSION_LIMIT,
            Self::Commitment => file::COMMITMENT.limit,
            Self::Secret => file::SECRET_LIMIT,
        }
    }
}
