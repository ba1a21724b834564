//! Who is at fault: the model, the input, the statement, the proof or a file.

use zkstrata_model_ir::Digest;
use zkstrata_pcs as pcs;

/// Why a model cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The integer model is not well formed.
    #[error("the model is not well formed: {0}")]
    Model(String),
    /// The model needs more claims, cells or stages than the protocol allows.
    #[error("the model exceeds a limit: {0}")]
    Limit(String),
    /// The union bound on a forgery's success is too weak.
    #[error(
        "the soundness error sums to 2^-{bits:.1} at batch {batch}, above 2^-{required}: the model \
         has too many lookups or weights for this field"
    )]
    Security {
        /// Minus the logarithm of the sum.
        bits: f64,
        /// Minus the logarithm of the largest allowed sum.
        required: f64,
        /// Number of inferences.
        batch: usize,
    },
    /// An input cannot be hidden.
    #[error("{0}; leave this input public, or calibrate with smaller values")]
    Guard(#[from] zkstrata_model_ir::int::GuardError),
    /// Visibilities are given for another number of inputs or outputs.
    #[error("{found} visibilities for a model of {ports} {kind}")]
    Visibilities {
        /// What they are given for.
        kind: &'static str,
        /// How many are given.
        found: usize,
        /// How many there are.
        ports: usize,
    },
    /// An output is to be seen by nobody.
    #[error(
        "output `{port}` cannot be private: a proof would say nothing of it; commit to it instead, or \
         leave it public"
    )]
    PrivateOutput {
        /// The output.
        port: String,
    },
    /// The intervals that hidden weights are given are too wide.
    #[error(
        "the model's numbers are too large for its weights to be hidden: calibrate with smaller values"
    )]
    Wraps,
    /// Whoever knows of hidden weights only how many bits they have cannot know that no number wraps.
    #[error(
        "{0}, for weights of the size of this model's, and a certificate shows no more of hidden weights: \
         make the key without one, or with weights of fewer bits (`fast`)"
    )]
    AnyWeights(String),
    /// The system gives no randomness to hide weights with.
    #[error("no randomness: {0}")]
    Randomness(String),
    /// The commitment scheme refuses the weights.
    #[error("committing to the weights: {0}")]
    Commit(#[from] pcs::Error),
}

/// Why an input cannot be proven.
#[cfg(feature = "prover")]
#[derive(Debug, thiserror::Error)]
pub enum ProveError {
    /// The inputs do not fit the model, or an activation leaves its table's domain.
    #[error(transparent)]
    Run(#[from] zkstrata_model_ir::int::RunError),
    /// The arrays do not fit the model's inputs.
    #[error(transparent)]
    Input(#[from] zkstrata_model_ir::quantise::InputError),
    /// The statement is outside what the key allows.
    #[error(transparent)]
    Statement(#[from] StatementError),
    /// The commitment scheme fails.
    #[error("committing to the witness: {0}")]
    Commit(#[from] pcs::Error),
    /// The weights have more padding than a certificate can speak of.
    #[error("the key: {0}")]
    Key(String),
    /// The run fails, and the key hides what it is about.
    #[error(
        "this input cannot be proven; the key hides it, and so the reason is not told: \
         `ProvingKey::run` tells it to whoever may know"
    )]
    Hidden,
    /// The weights are hidden, and only a session proves about them.
    #[error("the key hides its weights: prove with a session of it, see `ProvingKey::session`")]
    NoSession,
    /// A session is asked for of a key that hides no weights.
    #[error("the key does not hide its weights, and has no sessions: prove with the key itself")]
    Sessionless,
    /// Something is asked of a session that its key does.
    #[error("this is a session, and its key does that: keep the key beside it")]
    InSession,
    /// A process that was forked goes on with a session of the other.
    #[error(
        "this session was made by another process, whose copy of it shows the same random rows: \
         make a session after forking"
    )]
    Forked,
    /// A session, or a count of sessions, is of another key.
    #[error(
        "it belongs to model {found}, and the key is of model {expected}: use the file of this key"
    )]
    OtherKey {
        /// The key's model.
        expected: Digest,
        /// The file's model.
        found: Digest,
    },
    /// The bytes of a session, or of a count of sessions, are none.
    #[error(transparent)]
    Session(FileError),
    /// The opening of a commitment does not fit what is proven.
    #[error("{port}: {reason}")]
    Secret {
        /// The input or output.
        port: String,
        /// What does not fit, and what would.
        reason: String,
    },
    /// A commitment has been used as often as it hides its tensor.
    #[error(
        "{port}: the commitment has been used in all the proofs that it hides the tensor in; commit \
         anew, or set up with more uses"
    )]
    Spent {
        /// The input or output.
        port: String,
    },
    /// The system gives no randomness to hide with.
    #[error("no randomness: {0}")]
    Randomness(String),
    /// A proof that hides something could not be made.
    #[error("sealing the proof: {0}")]
    Seal(#[from] pcs::seal::SealError),
}

/// Why a statement is not one that the key can judge.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    /// The statement is about another model.
    #[error("the statement is about model {found}, the key about model {expected}")]
    Model {
        /// The key's model.
        expected: Digest,
        /// The statement's model.
        found: Digest,
    },
    /// An input or output is shown that the key hides, or hidden in another way than the key says.
    #[error(
        "{port} is {found} in the statement and not in the key: proof and key are of \
         different setups"
    )]
    Visibility {
        /// The input or output.
        port: String,
        /// What the statement says.
        found: &'static str,
    },
    /// The statement is of another session of hidden weights, or of none.
    #[error(
        "the proof is of session {found}, the certificate that was accepted is of {expected}: accept that of \
         the proof's session"
    )]
    Session {
        /// The session whose certificate was accepted.
        expected: String,
        /// The statement's session.
        found: String,
    },
    /// A commitment is not one to a tensor of the key's port.
    #[error("{port}: {reason}")]
    Commitment {
        /// The input or output.
        port: String,
        /// What does not fit, and what would.
        reason: String,
    },
    /// A number of tensors or cells is wrong.
    #[error("{what}: got {found}, expected {expected}")]
    Length {
        /// What is counted.
        what: String,
        /// The statement's number.
        found: usize,
        /// The key's number.
        expected: usize,
    },
    /// A cell lies outside its tensor's interval.
    #[error("{port}, cell {cell}: {value} lies outside [{lo}, {hi}]")]
    Interval {
        /// The input or output.
        port: String,
        /// Index of the cell.
        cell: usize,
        /// Its value.
        value: i64,
        /// Smallest allowed value.
        lo: i64,
        /// Largest allowed value.
        hi: i64,
    },
    /// The batch is empty or larger than the key allows.
    #[error("a batch of {batch} inferences; the key allows 1 to {max}")]
    Batch {
        /// The statement's batch.
        batch: usize,
        /// The key's bound.
        max: usize,
    },
}

/// Why a proof is rejected.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The statement is not one that the key can judge.
    #[error("statement: {0}")]
    Statement(#[from] StatementError),
    /// The proof is malformed or a check fails.
    #[error("proof: {0}")]
    Tape(#[from] pcs::TapeError),
    /// An opening is rejected.
    #[error("proof: {0}")]
    Opening(#[from] pcs::Error),
    /// A check of a proof that hides something fails.
    #[error("proof: {0}")]
    Seal(#[from] pcs::seal::SealError),
    /// The key is malformed; keys come from someone the verifier trusts.
    #[error("key: {0}")]
    Key(String),
    /// The key was made for verifiers who ask for its certificate, which this one has not been shown.
    #[error("key: its certificate has not been verified, and its proofs hold only with it")]
    Uncertified,
    /// A certificate is shown for a key whose proofs do not rest on one.
    #[error(
        "certificate: the key says that its maker is trusted, and nothing can vouch for such a key"
    )]
    Uncertifiable,
    /// The weights are hidden, and no session's certificate has been accepted.
    #[error(
        "key: its weights are hidden, and its proofs hold with the certificate of their session"
    )]
    NoSession,
    /// A session's certificate is shown for a key that hides no weights.
    #[error("certificate: the key does not hide its weights, and has no sessions")]
    Sessionless,
    /// The bytes of a certificate are none.
    #[error("certificate: {0}")]
    File(#[from] FileError),
    /// A certificate is about another key.
    #[error("certificate: it is about model {found}, the key is of model {expected}")]
    Certificate {
        /// The key's model.
        expected: Digest,
        /// The certificate's model.
        found: Digest,
    },
}

/// Why bytes are not a key or a proof file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// The first bytes are not those of this kind of file.
    #[error("not a {expected} file")]
    Magic {
        /// The kind that was asked for.
        expected: &'static str,
    },
    /// The file is of another version of the format.
    #[error("version {found} of the format; this build reads version {expected}")]
    Version {
        /// The file's version.
        found: u32,
        /// The version of this build.
        expected: u32,
    },
    /// The checksum of a key is not that of its contents.
    #[error("the file is damaged: its contents do not match its checksum")]
    Damaged,
    /// The file's commitment scheme is not the one asked for.
    #[error("the file is for commitment scheme `{found}`, not `{expected}`")]
    Scheme {
        /// The file's scheme.
        found: String,
        /// The scheme asked for.
        expected: &'static str,
    },
    /// The file is larger than any honest one.
    #[error("{found} bytes; at most {limit} are read")]
    TooLarge {
        /// Length of the file.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// The file ends early or holds an impossible value.
    #[error("the file is truncated or corrupt: {0}")]
    Malformed(String),
    /// The file decodes but is not the canonical encoding of what it holds.
    #[error("bytes are left over or not in canonical form")]
    NotCanonical,
}
