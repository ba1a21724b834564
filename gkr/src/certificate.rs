//! Certificates of keys: that a key's commitment is one to weights, for verifiers who do not trust
//! its maker.
//!
//! A proof about committed weights holds if two things hold of the key that nothing in the proof
//! shows: its word is a codeword, or close to one, and the weights are zero where an input axis of a
//! layer is padded to a power of two. The second is what cuts a layer's sum to its real length (the
//! padding rule): whoever made a key with anything there would choose outputs at will through the
//! padding of activations, which provers are free to fill.
//!
//! The certificate is one opening of the weights in which nothing is known of the word, of a relation
//! that says that the padding is zero. On an axis of length `n` the padding is a few aligned
//! blocks; with `x` of the block's leading bits fixed, the extension of a column on the block at a
//! random point is its extension at those bits and the point's other coordinates. For a random `z` and
//! every layer, column, input axis and block
//!
//! ```text
//! W(z, with the block's bits for the leading coordinates of the axis) = 0
//! ```
//!
//! # Soundness
//! `z` is drawn after the digest of the key, which covers the commitment, was absorbed. If a block of
//! `v` variables is not zero, its claim is true for at most a part `v / |E|` of all `z`; `C` claims are
//! batched by powers of a challenge, `(C - 1) / |E|`. The opening proves the relation and that the word
//! is close to the codeword of one matrix, with the terms that
//! [`VerifyingKey::certificate_security`] lists.
//!
//! Nothing is said about the size of weights, unless they are hidden ([`crate::registration`]): the model of a certified key computes in the field, with
//! whichever elements the key commits to. It is one function of its inputs all the same, because
//! lookups and the intervals of inputs and outputs do not depend on weights.

use crate::claim::{self, Claim};
use crate::constants::Constants;
use crate::error::{FileError, VerifyError};
use crate::file::{self, CERTIFICATE};
use crate::key::VerifyingKey;
use crate::options::Trust;
use crate::plan::WeightPlan;
use crate::registration::Registration;
use crate::security::{FIELD_BITS, Security, float};
use serde::{Deserialize, Serialize};
use std::ops::Range;
use zkstrata_mle::{E, Point, PrimeCharacteristicRing, axis_vars};
use zkstrata_model_ir::Digest;
use zkstrata_model_ir::int::{Graph, Op};
use zkstrata_pcs::joint::{Layout, Relation, RelationScheme, SourceRef};
use zkstrata_pcs::{Channel, ColumnId, SoundnessTerm, VerifierTape};

#[cfg(feature = "prover")]
use crate::error::ProveError;
#[cfg(feature = "prover")]
use crate::prove::ProvingKey;
#[cfg(feature = "prover")]
use zkstrata_pcs::ProverTape;
#[cfg(feature = "prover")]
use zkstrata_pcs::joint::RelationProver;

/// Most claims of a certificate, some 500 bytes each in memory: a hostile key cannot ask for more.
const MAX_CLAIMS: usize = 1 << 16;

/// What a file holds.
#[derive(Serialize, Deserialize)]
struct Body {
    model: Digest,
    tape: Vec<u8>,
}

/// The digest that the tape starts from.
pub(crate) fn start(model: Digest) -> [u8; 32] {
    Digest::of("zkstrata 2026 certificate", &model).0
}

/// The model that a `.zkct` file claims to certify. Nothing in it is trusted until
/// [`VerifyingKey::certify`] accepts it.
///
/// # Errors
/// The bytes are no certificate.
pub fn certified_model(bytes: &[u8]) -> Result<Digest, FileError> {
    Ok(file::decode::<Body>(CERTIFICATE, bytes)?.model)
}

impl<C: RelationScheme> VerifyingKey<C> {
    /// Verifies the key's certificate, the bytes of a `.zkct` file, once: a key of
    /// [`Trust::Certificate`] verifies proofs afterwards.
    ///
    /// # Soundness
    /// Accepting establishes, up to the error of [`certificate_security`](Self::certificate_security),
    /// that the key's proofs are about one matrix of weights that are zero where they must be. Which
    /// weights these are it does not say, nor who chose them.
    ///
    /// # Errors
    /// The certificate is malformed, about another key or false, or the key is of [`Trust::Maker`]:
    /// its proofs open too little for any certificate.
    pub fn certify(&mut self, bytes: &[u8]) -> Result<(), VerifyError> {
        let Some((plan, layout)) = self.certified_layout()? else {
            return Err(VerifyError::Uncertifiable);
        };
        let body: Body = file::decode(CERTIFICATE, bytes)?;
        if body.model != self.digest() {
            return Err(VerifyError::Certificate {
                expected: self.digest(),
                found: body.model,
            });
        }
        let mut tape = VerifierTape::new(&start(body.model), &body.tape);
        match &self.constants {
            Constants::Committed(commitment) => {
                let (z, gamma) = (tape.sample_vec(longest(&plan)), tape.sample());
                let relation = relation(&self.graph, &plan, &z, gamma)?;
                let layout = &layout;
                let source = SourceRef { layout, commitment };
                C::verify_certificate(&[source], 0, &relation, &mut tape)?;
                tape.finish()?;
            }
            Constants::Hidden(hidden) => {
                let registration = Registration::new(self, hidden.bits, &plan, &layout)?;
                registration.verify::<C>(&hidden.commitment, tape)?;
            }
            Constants::None | Constants::Public(_) => return Err(VerifyError::Uncertifiable),
        }
        self.set_certified();
        Ok(())
    }

    /// Every term of the soundness error of the key's certificate, if it needs one.
    ///
    /// # Errors
    /// The key has too much padding.
    pub fn certificate_security(&self) -> Result<Option<Security>, VerifyError> {
        let Some((plan, layout)) = self.certified_layout()? else {
            return Ok(None);
        };
        if let Some(bits) = self.weight_bits() {
            let registration = Registration::new(self, bits, &plan, &layout)?;
            return Ok(Some(registration.security::<C>()?));
        }
        let claims = float(count(&self.graph, &plan)?.max(1));
        let vars = float(longest(&plan).max(1));
        let mut terms = vec![SoundnessTerm {
            name: "certificate: padding of weights".into(),
            bits: FIELD_BITS - (vars + claims).log2(),
        }];
        terms.extend(opening::<C>(&[&layout.uncertified()])?);
        Ok(Some(Security::sum(0, terms)))
    }

    /// Those of all certificates that its proofs rest on.
    pub(crate) fn certificates_security(&self) -> Result<Vec<Security>, VerifyError> {
        let all = [self.certificate_security()?, self.session_security()?];
        Ok(all.into_iter().flatten().collect())
    }

    /// The plan of the weights and their layout, if the key needs a certificate.
    fn certified_layout(&self) -> Result<Option<(WeightPlan, Layout)>, VerifyError> {
        if self.trust() == Trust::Maker {
            return Ok(None);
        }
        let plan = WeightPlan::new(&self.graph);
        let layout = self.key_layout(&plan)?;
        Ok(Some((plan, layout)))
    }
}

/// The terms of the opening that is a certificate.
pub(crate) fn opening<C: RelationScheme>(
    layouts: &[&Layout],
) -> Result<Vec<SoundnessTerm>, VerifyError> {
    let mut terms = C::soundness(layouts)?;
    for term in &mut terms {
        term.name = term.name.replacen("opening", "certificate", 1);
    }
    Ok(terms)
}

#[cfg(feature = "prover")]
impl<C: RelationProver> ProvingKey<C> {
    /// Makes the certificate of the key, the bytes of a `.zkct` file; nothing if the key needs none.
    ///
    /// # Errors
    /// The weights have more padding than a certificate can speak of, or they are hidden and the certificate
    /// has been made in this process: keep it.
    pub fn certificate(&self) -> Result<Option<Vec<u8>>, ProveError> {
        let vk = self.verifying_key();
        self.check_root()?;
        let refused = |e| match e {
            VerifyError::Opening(e) => ProveError::Commit(e),
            other => ProveError::Key(other.to_string()),
        };
        let Some((plan, layout)) = vk.certified_layout().map_err(refused)? else {
            return Ok(None);
        };
        let model = vk.digest();
        let mut tape = ProverTape::new(&start(model));
        if let Some(bits) = vk.weight_bits() {
            let (Some(data), Some(seed)) = (self.data(), self.seed()) else {
                return Err(ProveError::InSession);
            };
            let registration = Registration::new(vk, bits, &plan, &layout).map_err(refused)?;
            let own = seed.hedged(|hasher| {
                hasher.update(&start(model));
            });
            registration.prove::<C>(self.model(), data, &own, &mut tape)?;
            let tape = tape.finish();
            return Ok(Some(file::encode(CERTIFICATE, &Body { model, tape })));
        }
        let (z, gamma) = (tape.sample_vec(longest(&plan)), tape.sample());
        let relation = relation(&vk.graph, &plan, &z, gamma).map_err(refused)?;
        if let Some(data) = self.data() {
            C::certify(&[data], 0, &relation, &mut tape)?;
        }
        let tape = tape.finish();
        Ok(Some(file::encode(CERTIFICATE, &Body { model, tape })))
    }
}

/// The relation that says that the padding is zero. What it claims is fixed by `z`, so that `gamma` may
/// be drawn with it.
fn relation(graph: &Graph, plan: &WeightPlan, z: &[E], gamma: E) -> Result<Relation, VerifyError> {
    Ok(claim::relation(&[padding(graph, plan, z)?], gamma))
}

/// The most variables of a table.
pub(crate) fn longest(plan: &WeightPlan) -> usize {
    let vars = plan.shape.iter().map(|table| table.num_vars);
    vars.max().unwrap_or(0)
}

/// A block of padding of a table: the coordinates of its axis, and the block's leading bits.
struct Block {
    table: usize,
    columns: usize,
    num_vars: usize,
    axis: Range<usize>,
    bits: Vec<bool>,
}

/// The blocks of padding of all layers' input axes.
fn blocks(graph: &Graph, plan: &WeightPlan) -> impl Iterator<Item = Block> {
    let tables = plan.nodes.iter().zip(&plan.shape).enumerate();
    tables.flat_map(|(table, (&node, shape))| {
        let mut found = vec![];
        if let Some(Op::Affine(affine)) = graph.nodes.get(node).map(|node| &node.op) {
            let weight = affine.weight_shape();
            let kept = [weight.groups, weight.outputs].concat();
            let mut first: usize = kept.iter().copied().map(axis_vars).sum();
            for n in weight.inputs {
                let axis = first..first + axis_vars(n);
                first = axis.end;
                found.extend(cut(n).into_iter().map(|bits| Block {
                    table,
                    columns: shape.width,
                    num_vars: shape.num_vars,
                    axis: axis.clone(),
                    bits,
                }));
            }
        }
        found
    })
}

/// The leading bits of the aligned blocks that indices from `n` on, of `axis_vars(n)` bits, consist of:
/// one for each zero among the bits of `n - 1`.
fn cut(n: usize) -> Vec<Vec<bool>> {
    let vars = axis_vars(n);
    let last = n.saturating_sub(1);
    let bit = |place: usize| last >> (vars - 1 - place) & 1 == 1;
    let zeros = (0..vars).filter(|&place| !bit(place));
    zeros
        .map(|place| (0..place).map(bit).chain([true]).collect())
        .collect()
}

/// How many claims there are.
pub(crate) fn count(graph: &Graph, plan: &WeightPlan) -> Result<usize, VerifyError> {
    let claims = blocks(graph, plan).map(|block| block.columns);
    let claims = claims.fold(0, usize::saturating_add);
    if claims > MAX_CLAIMS {
        return Err(VerifyError::Key(format!(
            "its weights have {claims} columns and blocks of padding, a certificate at most \
             {MAX_CLAIMS}: make the key without one, or with public weights"
        )));
    }
    Ok(claims)
}

/// "Every block of padding is zero at `z`", on every column.
pub(crate) fn padding(
    graph: &Graph,
    plan: &WeightPlan,
    z: &[E],
) -> Result<Vec<Claim<E>>, VerifyError> {
    count(graph, plan)?;
    let claims = blocks(graph, plan).map(|block| {
        let fixed = block.axis.clone().zip(&block.bits);
        let mut point: Vec<E> = z.iter().copied().take(block.num_vars).collect();
        for (place, &bit) in fixed {
            if let Some(x) = point.get_mut(place) {
                *x = E::from_bool(bit);
            }
        }
        let table = block.table;
        let zero = |column| (ColumnId { table, column }, E::ZERO);
        Claim {
            at: Point::new(point),
            columns: (0..block.columns).map(zero).collect(),
        }
    });
    Ok(claims.collect())
}
