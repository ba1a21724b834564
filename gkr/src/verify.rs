//! Verification: from a statement and a tape to accept or reject.

use crate::claim::{self, Claim, Ends, Merged, TensorClaim};
use crate::constants::Constants;
use crate::error::{StatementError, VerifyError};
use crate::key::VerifyingKey;
use crate::linear::{LinearVerifier, reduce};
use crate::lookup;
use crate::plan::{Plan, WeightPlan};
use crate::prepared::Prepared;
use crate::proof::Proof;
use crate::statement::{Statement, eval_public};
use std::sync::Arc;
use zkstrata_mle::{E, Point};
use zkstrata_pcs::joint::{RelationScheme, SourceRef};
use zkstrata_pcs::{Channel, TapeError, VerifierTape};

impl<C: RelationScheme> VerifyingKey<C> {
    /// Accepts if `proof` shows that the model maps the statement's inputs to its outputs.
    ///
    /// # Soundness
    /// Accepting establishes the statement, except with the probability that
    /// [`security`](Self::security) reports per hash that a forger computes. It says nothing about where this key comes from, nor whether the inputs
    /// are the ones the caller has in mind: compare [`Statement::inputs`].
    ///
    /// # Errors
    /// The statement or the proof is refused, or the key asks for its certificate first
    /// ([`certify`](Self::certify)).
    pub fn verify(&self, statement: &Statement, proof: &Proof) -> Result<(), VerifyError> {
        let prepared = self.check_statement(statement)?;
        let form = &prepared.form;
        let mut tape = VerifierTape::new(&statement.digest(form.plan.batch).0, &proof.tape);
        let witness = match &form.witness {
            None => None,
            Some(layout) => Some((layout, C::recv_commitment(layout, &mut tape)?)),
        };
        let ends = reduce_statement(&form.plan, &form.weights, statement, &mut tape)?;
        let (mut sources, mut claims) = (vec![], vec![]);
        match &witness {
            None => nothing_claimed(&ends.witness)?,
            Some((layout, commitment)) => {
                sources.push(SourceRef { layout, commitment });
                claims.push(ends.witness);
            }
        }
        match (&self.constants, &form.key) {
            (Constants::Committed(commitment), Some(layout)) => {
                sources.push(SourceRef { layout, commitment });
                claims.push(ends.weights);
            }
            (Constants::Public(constants), _) => {
                constants.check(&self.graph, &form.weights, &ends.weights, &mut tape)?;
            }
            (Constants::None | Constants::Committed(_), _) => nothing_claimed(&ends.weights)?,
        }
        let relation = claim::relation(&claims, tape.sample());
        C::verify(&sources, &relation, &mut tape)?;
        Ok(tape.finish()?)
    }

    /// Checks everything about a statement that needs no proof, and returns what its proofs
    /// consist of.
    fn check_statement(&self, statement: &Statement) -> Result<Arc<Prepared>, VerifyError> {
        if statement.model != self.digest() {
            return Err(VerifyError::Statement(StatementError::Model {
                expected: self.digest(),
                found: statement.model,
            }));
        }
        let batch = statement.batch(&self.graph);
        if batch == 0 || batch > self.max_batch {
            return Err(VerifyError::Statement(StatementError::Batch {
                batch,
                max: self.max_batch,
            }));
        }
        statement.check(&self.graph, batch)?;
        if !self.is_certified() {
            return Err(VerifyError::Uncertified);
        }
        let prepared = self.at(batch)?;
        if !prepared.security.is_enough() {
            let bits = prepared.security.total_bits;
            return Err(VerifyError::Key(format!("{bits:.1} bits of security")));
        }
        Ok(prepared)
    }
}

/// Refuses claims on columns that the key has no commitment to: nothing would prove them.
fn nothing_claimed(claims: &[Claim<E>]) -> Result<(), VerifyError> {
    if claims.is_empty() {
        return Ok(());
    }
    Err(VerifyError::Key(
        "columns that nobody has committed to".into(),
    ))
}

/// Reduces the statement to claims on committed columns; everything between the witness
/// commitment and the openings. Generic over the channel: this is the verifier as a circuit.
///
/// # Soundness
/// Accepting establishes the statement if the returned claims hold, up to the lookup, GKR, linear
/// and output terms of [`crate::Security`].
pub(crate) fn reduce_statement<C: Channel>(
    plan: &Plan,
    weights: &WeightPlan,
    statement: &Statement,
    channel: &mut C,
) -> Result<Ends<C::S>, VerifyError> {
    let (mut committed, mut claims) = (Vec::new(), Vec::new());
    if !plan.blocks.is_empty() {
        let lookups = lookup::verify(plan, channel)?;
        committed = lookups.witness;
        claims = lookups.arguments;
    }
    for (port, cells) in plan.graph.outputs.iter().zip(&statement.outputs) {
        let point = Point::new(channel.sample_vec(plan.num_vars(port.tensor)));
        let value = channel.constant(eval_public(plan, port.tensor, cells, &point));
        claims.push(TensorClaim {
            tensor: port.tensor,
            point,
            value,
        });
    }
    let mut ends = reduce(plan, weights, claims, &mut LinearVerifier { channel })?;
    for claim in std::mem::take(&mut ends.inputs) {
        let expected = input_at(plan, statement, &claim)?;
        let expected = channel.constant(expected);
        channel.assert_zero(claim.value - expected, "public input")?;
    }
    committed.append(&mut ends.witness);
    ends.witness = merge(committed, channel)?;
    ends.weights = merge(ends.weights, channel)?;
    Ok(ends)
}

/// The public input that a claim is about, at the claim's point.
fn input_at<S>(
    plan: &Plan,
    statement: &Statement,
    claim: &TensorClaim<S>,
) -> Result<E, VerifyError> {
    let mut ports = plan.graph.inputs.iter().zip(&statement.inputs);
    let (_, cells) = ports
        .find(|(port, _)| port.tensor == claim.tensor)
        .ok_or_else(|| VerifyError::Key("an input without a port".into()))?;
    Ok(eval_public(plan, claim.tensor, cells, &claim.point))
}

/// Merges claims on one column at one point, asserting that their values are equal.
fn merge<C: Channel>(
    claims: Vec<Claim<C::S>>,
    channel: &mut C,
) -> Result<Vec<Claim<C::S>>, TapeError> {
    let Merged { claims, equal } = claim::merge(claims);
    for (first, other) in equal {
        channel.assert_zero(first - other, "two claims at one point")?;
    }
    Ok(claims)
}
