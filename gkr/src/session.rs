//! Sessions: hidden weights under a commitment that serves in a bounded number of proofs.
//!
//! Every opening of a commitment shows rows of it, and rows are hidden by as many random ones that were
//! committed with them. So a key with hidden weights, which is to last, is not opened in proofs. Its prover
//! commits to the same weights once more, in a *session*, shows that they are the same in one opening of
//! both, the session's *certificate*, and proves about the session's commitment. A key has as many
//! sessions, and a session as many proofs, as were chosen at setup ([`Uses`](crate::Uses)).
//!
//! # Soundness
//! For a point `z`, drawn after the digest of the key, which covers its commitment, and the session's
//! commitment were absorbed, the certificate's relation says of every column, batched by powers of one
//! challenge,
//!
//! ```text
//! C(z) - Q(z) = 0        of the session, and of the key; each at the last coordinates of z
//! ```
//!
//! Columns that differ agree at a part `v / |E|` of all `z` at most. So all cells are the same, padding
//! included, and whatever holds of the key's columns holds of the session's. The opening shows that the
//! session's word is close to a codeword as well: proofs open it as a certified one.
//! [`VerifyingKey::session_security`] lists the terms.
//!
//! # Zero knowledge
//! A certificate is an opening of two hidden words, of which the session's has the masks: it shows uniform
//! numbers. The key's rows for it are one of its uses, and the session's were counted when its layout was made.
//! Whoever has two copies of a session, of a machine that was copied or of a file that was restored, opens
//! its word more often than it is hidden.

use crate::certificate::{longest, opening};
use crate::claim::{self, Claim};
use crate::constants::{Constants, HiddenWeights, Uses};
use crate::error::{FileError, VerifyError};
use crate::file::{self, SESSION_CERTIFICATE};
use crate::key::VerifyingKey;
use crate::plan::WeightPlan;
use crate::security::{FIELD_BITS, Security, float};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use zkstrata_mle::{E, Point, PrimeCharacteristicRing};
use zkstrata_model_ir::Digest;
use zkstrata_pcs::joint::{Joint, Layout, Relation, RelationScheme, SourceRef, Word};
use zkstrata_pcs::{Channel, ColumnId, SoundnessTerm, VerifierTape};

#[cfg(feature = "prover")]
pub use prover::{ProvingSession, session_left, sessions_used};

/// Most columns of hidden weights, each of which is two claims of a certificate, some 500 bytes in memory.
const MAX_COLUMNS: usize = 1 << 15;

/// A session as a verifier knows it.
#[derive(Debug)]
pub(crate) struct Session<C> {
    commitment: C,
    digest: Digest,
}

/// What the certificate of a session holds.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
struct Body<C: RelationScheme> {
    model: Digest,
    commitment: C::Commitment,
    tape: Vec<u8>,
}

/// What names a session: the key, and the session's commitment to its weights.
pub(crate) fn digest<C: RelationScheme>(model: Digest, commitment: &C::Commitment) -> Digest {
    Digest::of("zkstrata 2026 session", &(model, commitment))
}

/// The commitment of a key, its uses, where its columns lie, and where they lie in a session.
struct Hidden<'a, C> {
    root: &'a C,
    plan: WeightPlan,
    layouts: [Layout; 2],
}

/// The model and the session that a `.zksc` file claims to certify. Nothing in it is trusted until
/// [`VerifyingKey::accept`] accepts it.
///
/// # Errors
/// The bytes are no certificate of a session.
pub fn certified_session(bytes: &[u8]) -> Result<(Digest, Digest), FileError> {
    let body: Body<Joint> = file::decode(SESSION_CERTIFICATE, bytes)?;
    Ok((body.model, digest::<Joint>(body.model, &body.commitment)))
}

impl<C: RelationScheme> VerifyingKey<C> {
    /// The key for the proofs of one session of hidden weights, whose certificate, the bytes of a `.zksc`
    /// file, is verified here, once.
    ///
    /// # Soundness
    /// Accepting establishes, up to the error of [`session_security`](Self::session_security), that the
    /// session's proofs are about the weights that the key is a commitment to.
    ///
    /// # Errors
    /// The certificate is malformed, about another key or false, the key hides no weights, or it asks for
    /// its own certificate first ([`certify`](Self::certify)).
    pub fn accept(&self, certificate: &[u8]) -> Result<Self, VerifyError> {
        let hidden = self.hidden()?.ok_or(VerifyError::Sessionless)?;
        if !self.is_certified() {
            return Err(VerifyError::Uncertified);
        }
        let body: Body<C> = file::decode(SESSION_CERTIFICATE, certificate)?;
        if body.model != self.digest() {
            return Err(VerifyError::Certificate {
                expected: self.digest(),
                found: body.model,
            });
        }
        let [layout, root] = &hidden.layouts;
        C::check_commitment(&body.commitment, layout)?;
        let start = digest::<C>(body.model, &body.commitment);
        let mut tape = VerifierTape::new(&start.0, &body.tape);
        let (z, gamma) = (tape.sample_vec(longest(&hidden.plan)), tape.sample());
        let relation = equal(&hidden.plan, &z, gamma);
        let sources = [(layout, &body.commitment), (root, hidden.root)];
        let sources = sources.map(|(layout, commitment)| SourceRef { layout, commitment });
        C::verify_certificate(&sources, 0, &relation, &mut tape)?;
        tape.finish()?;
        Ok(self.with_session(body.commitment))
    }

    /// The same without a proof.
    fn with_session(&self, commitment: C::Commitment) -> Self {
        let digest = digest::<C>(self.digest(), &commitment);
        let mut key = self.clone();
        key.session = Some(Arc::new(Session { commitment, digest }));
        key
    }

    /// The name of the session whose proofs it verifies, if it has accepted one.
    pub fn session_digest(&self) -> Option<Digest> {
        self.session.as_ref().map(|session| session.digest)
    }

    /// The commitment to the weights that proofs open, if they open one.
    pub(crate) fn commitment(&self) -> Result<Option<&C::Commitment>, VerifyError> {
        match (&self.constants, &self.session) {
            (Constants::None | Constants::Public(_), _) => Ok(None),
            (Constants::Committed(commitment), _) => Ok(Some(commitment)),
            (Constants::Hidden(..), None) => Err(VerifyError::NoSession),
            (Constants::Hidden(..), Some(session)) => Ok(Some(&session.commitment)),
        }
    }

    /// Every term of the soundness error of a session's certificate, if the key hides its weights.
    ///
    /// # Errors
    /// The weights are too many to be hidden.
    pub fn session_security(&self) -> Result<Option<Security>, VerifyError> {
        let Some(hidden) = self.hidden()? else {
            return Ok(None);
        };
        let columns: usize = hidden.plan.shape.iter().map(|table| table.width).sum();
        let count = float(columns.saturating_add(longest(&hidden.plan)).max(1));
        let mut terms = vec![SoundnessTerm {
            name: "certificate: weights of a session".into(),
            bits: FIELD_BITS - count.log2(),
        }];
        let [session, key] = &hidden.layouts;
        terms.extend(opening::<C>(&[&session.uncertified(), key])?);
        Ok(Some(Security::sum(0, terms)))
    }

    /// How many proofs a session of the key makes; none if it hides no weights.
    pub fn proofs_of_a_session(&self) -> u16 {
        self.uses().map_or(0, |uses| uses.proofs.get())
    }

    /// How many sessions the key has over all its life; none if it hides no weights.
    pub fn sessions(&self) -> u16 {
        self.uses().map_or(0, |uses| uses.sessions.get())
    }

    fn uses(&self) -> Option<Uses> {
        match self.constants {
            Constants::Hidden(HiddenWeights { uses, .. }) => Some(uses),
            _ => None,
        }
    }

    /// What the key hides of its weights, if it hides them.
    fn hidden(&self) -> Result<Option<Hidden<'_, C::Commitment>>, VerifyError> {
        let Constants::Hidden(HiddenWeights {
            commitment: root,
            uses,
            ..
        }) = &self.constants
        else {
            return Ok(None);
        };
        let plan = WeightPlan::new(&self.graph);
        check_columns(&plan)?;
        let session = plan.hidden_layout(Word::Certified, self.profile, uses.proofs)?;
        let layouts = [session, self.key_layout(&plan)?];
        Ok(Some(Hidden {
            root,
            plan,
            layouts,
        }))
    }
}

/// Refuses hidden weights of too many columns.
pub(crate) fn check_columns(plan: &WeightPlan) -> Result<(), VerifyError> {
    let columns = plan.shape.iter().map(|table| table.width);
    let columns = columns.fold(0, usize::saturating_add);
    if columns > MAX_COLUMNS {
        return Err(VerifyError::Key(format!(
            "its weights have {columns} columns, a session's at most {MAX_COLUMNS}: make the key with \
             compact or public weights"
        )));
    }
    Ok(())
}

/// "The columns of the session are those of the key", each at the last coordinates of `z`.
pub(crate) fn equal(plan: &WeightPlan, z: &[E], gamma: E) -> Relation {
    let claims = plan.shape.iter().enumerate().map(|(table, shape)| {
        let (_, own) = z.split_at(z.len().saturating_sub(shape.num_vars));
        let zero = |column| (ColumnId { table, column }, ());
        Claim {
            at: Point::new(own.to_vec()),
            columns: (0..shape.width).map(zero).collect(),
        }
    });
    let claims: Vec<Claim<()>> = claims.collect();
    let claims = [claims];
    let negated = gamma.powers().map(|power| -power);
    let terms = [
        claim::terms(&claims, gamma.powers()),
        claim::terms(&claims, negated),
    ];
    Relation {
        target: E::ZERO,
        terms: terms.concat(),
    }
}

#[cfg(feature = "prover")]
mod prover {
    use super::{Body, digest, equal};
    use crate::certificate::longest;
    use crate::error::{FileError, ProveError, VerifyError};
    use crate::file::{self, SESSION, SESSION_CERTIFICATE, SESSIONS};
    use crate::prove::ProvingKey;
    use crate::setup::hash_weights;
    use crate::weights;
    use serde::{Deserialize, Serialize};
    use std::ops::Deref;
    use zkstrata_model_ir::Digest;
    use zkstrata_pcs::joint::{Joint, RelationProver};
    use zkstrata_pcs::{ProverTape, Seed};

    /// Proves about hidden weights, a bounded number of times: a [`ProvingKey`] for one session. Clones
    /// share what is left of it. A process that was forked is refused; a copy of a machine cannot be told
    /// from it, and both together would show more than is hidden.
    #[derive(Clone)]
    pub struct ProvingSession<C: RelationProver = Joint> {
        key: ProvingKey<C>,
        seed: Seed,
    }

    impl<C: RelationProver> Deref for ProvingSession<C> {
        type Target = ProvingKey<C>;

        fn deref(&self) -> &ProvingKey<C> {
            &self.key
        }
    }

    /// What a file holds of a session.
    #[derive(Serialize, Deserialize)]
    struct Secret {
        model: Digest,
        /// Proofs that it may make.
        left: usize,
        seed: Seed,
    }

    /// What a file holds of the sessions that a key has had.
    #[derive(Serialize, Deserialize)]
    struct Count {
        model: Digest,
        used: usize,
    }

    /// The model that a `.zkses` file is about, and how many proofs are left of the session.
    ///
    /// # Errors
    /// The bytes are no session.
    pub fn session_left(bytes: &[u8]) -> Result<(Digest, usize), FileError> {
        let secret: Secret = file::decode_checked(SESSION, bytes)?;
        Ok((secret.model, secret.left))
    }

    /// The model that a `.zkuse` file is about, and how many sessions its key has had.
    ///
    /// # Errors
    /// The bytes are no such file.
    pub fn sessions_used(bytes: &[u8]) -> Result<(Digest, usize), FileError> {
        let count: Count = file::decode_checked(SESSIONS, bytes)?;
        Ok((count.model, count.used))
    }

    impl<C: RelationProver> ProvingKey<C> {
        /// Starts a session of hidden weights: commits to them with fresh randomness, and certifies that
        /// commitment. The certificate, the bytes of a `.zksc` file, is for
        /// [`VerifyingKey::accept`](crate::VerifyingKey::accept), once for all proofs of the session.
        ///
        /// It costs one of the key's sessions, [`left`](Self::left) of which there are in this process:
        /// whoever reads the key from a file keeps count of them, see [`spend`](Self::spend).
        ///
        /// # Errors
        /// The key hides no weights, has no session left, or the system gives no randomness.
        pub fn session(&self) -> Result<(ProvingSession<C>, Vec<u8>), ProveError> {
            let system = Seed::from_system();
            let system = system.map_err(|e| ProveError::Randomness(e.to_string()))?;
            self.session_of(&system.hedged(|hasher| {
                hasher.update(&self.verifying_key().digest().0);
                hasher.update(&std::process::id().to_le_bytes());
            }))
        }

        /// The session with this seed.
        pub(crate) fn session_of(
            &self,
            seed: &Seed,
        ) -> Result<(ProvingSession<C>, Vec<u8>), ProveError> {
            self.check_root()?;
            self.check_process()?;
            let (commitment, data) = self.commit_session(seed)?;
            let vk = self.verifying_key();
            let root = self.data().ok_or(ProveError::Sessionless)?;
            let mut tape = ProverTape::new(&digest::<C>(vk.digest(), &commitment).0);
            let plan = self.weight_plan();
            let (z, gamma) = (tape.sample_vec(longest(plan)), tape.sample());
            C::certify(&[&data, root], 0, &equal(plan, &z, gamma), &mut tape)?;
            let body = Body::<C> {
                model: vk.digest(),
                commitment,
                tape: tape.finish(),
            };
            let certificate = file::encode(SESSION_CERTIFICATE, &body);
            let vk = vk.with_session(body.commitment);
            let key = self.in_session(vk, data);
            let seed = seed.clone();
            Ok((ProvingSession { key, seed }, certificate))
        }

        /// The commitment of a session to the weights.
        fn commit_session(&self, seed: &Seed) -> Result<(C::Commitment, C::Data), ProveError> {
            let vk = self.verifying_key();
            let hidden = vk.hidden().map_err(|e| match e {
                VerifyError::Opening(e) => ProveError::Commit(e),
                other => ProveError::Key(other.to_string()),
            })?;
            let [layout, _] = hidden.ok_or(ProveError::Sessionless)?.layouts;
            let columns = weights::columns(self.model(), self.weight_plan());
            Ok(C::commit_hidden(&layout, columns, &self.hedged(seed))?)
        }

        /// What the rows that hide the weights in a session are drawn from: a seed that repeats hides other
        /// weights by other rows.
        pub(crate) fn hedged(&self, seed: &Seed) -> Seed {
            seed.hedged(|hasher| hash_weights(self.model(), hasher))
        }

        /// How often more hidden weights may be opened: by sessions of a key, or by proofs of a session.
        pub fn left(&self) -> Option<usize> {
            self.data().and_then(C::left)
        }

        /// Notes that so many sessions of a key have been made elsewhere.
        ///
        /// # Errors
        /// There are not as many left.
        pub fn spend(&self, uses: usize) -> Result<(), ProveError> {
            let spend = |data| C::spend(data, uses);
            Ok(self.data().map_or(Ok(()), spend)?)
        }

        /// The bytes of a `.zkuse` file: how many sessions the key has had, `more` that are to come
        /// included. Whoever keeps a key in a file keeps this beside it, and writes it *before* a session is
        /// made.
        ///
        /// # Errors
        /// It is a session and no key.
        pub fn sessions_to_bytes(&self, more: usize) -> Result<Vec<u8>, ProveError> {
            self.check_root()?;
            let vk = self.verifying_key();
            let left = self.left().unwrap_or(0).saturating_sub(more);
            let count = Count {
                model: vk.digest(),
                used: usize::from(vk.sessions()).saturating_sub(left),
            };
            Ok(file::encode_key(SESSIONS, &count))
        }

        /// Goes on with a key that was read from a file, of which a `.zkuse` file says how many sessions it
        /// has had. Whoever calls it with an old file, or in two processes, has sessions twice.
        ///
        /// # Errors
        /// The bytes are no such file, or another key's.
        pub fn resume(&self, bytes: &[u8]) -> Result<(), ProveError> {
            self.check_root()?;
            let count: Count =
                file::decode_checked(SESSIONS, bytes).map_err(ProveError::Session)?;
            self.check_model(count.model)?;
            let all = usize::from(self.verifying_key().sessions());
            let left = all.checked_sub(count.used);
            let more = || FileError::Malformed(format!("{} of {all} sessions", count.used));
            let left = left.ok_or_else(|| ProveError::Session(more()))?;
            self.data()
                .map_or(Ok(()), |data| Ok(C::restore(data, left)?))
        }

        /// Refuses a session where its key is needed: a session's word was certified when it was made, and
        /// is opened by proofs alone.
        pub(crate) fn check_root(&self) -> Result<(), ProveError> {
            match self.verifying_key().session_digest() {
                None => Ok(()),
                Some(_) => Err(ProveError::InSession),
            }
        }

        fn check_model(&self, found: Digest) -> Result<(), ProveError> {
            let expected = self.verifying_key().digest();
            if found == expected {
                Ok(())
            } else {
                Err(ProveError::OtherKey { expected, found })
            }
        }
    }

    impl<C: RelationProver> ProvingSession<C> {
        #[cfg(test)]
        pub(crate) fn fork(&mut self) {
            self.key.fork();
        }

        /// The bytes of a `.zkses` file that goes on with the session when `more` proofs have been made: a
        /// secret. Whoever keeps a session in a file writes what is left of it *before* a proof, never
        /// lets two processes have it, and never restores it from a copy.
        pub fn to_bytes(&self, more: usize) -> Vec<u8> {
            let secret = Secret {
                model: self.verifying_key().digest(),
                left: self.left().unwrap_or(0).saturating_sub(more),
                seed: self.seed.clone(),
            };
            file::encode_key(SESSION, &secret)
        }

        /// Goes on with a session of a key that was written to a file.
        ///
        /// # Errors
        /// The bytes are none of a session, or of another key's.
        pub fn from_bytes(key: &ProvingKey<C>, bytes: &[u8]) -> Result<Self, ProveError> {
            let Secret { model, left, seed } =
                file::decode_checked(SESSION, bytes).map_err(ProveError::Session)?;
            key.check_model(model)?;
            let (commitment, data) = key.commit_session(&seed)?;
            let vk = key.verifying_key().with_session(commitment);
            let all = usize::from(vk.proofs_of_a_session());
            let key = key.in_session(vk, data);
            let more = || FileError::Malformed(format!("{left} proofs of {all} are left"));
            let used = all.checked_sub(left);
            key.spend(used.ok_or_else(|| ProveError::Session(more()))?)?;
            Ok(Self { key, seed })
        }
    }
}
