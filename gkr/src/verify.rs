//! Verification: from a statement and a tape to accept or reject.

use crate::claim::{self, Claim, Ends, Merged, TensorClaim};
use crate::commitment::COLUMN;
use crate::constants::{Constants, PublicWeights, assert_values};
use crate::error::{StatementError, VerifyError};
use crate::form::{Form, PortForm};
use crate::key::VerifyingKey;
use crate::linear::{LinearVerifier, reduce};
use crate::lookup;
use crate::lookup::table::eval_all;
use crate::plan::{Plan, WeightPlan};
use crate::port::PortId;
use crate::prepared::Prepared;
use crate::proof::Proof;
use crate::publics::{InputAt, OutputAt, Publics};
use crate::statement::{PortValue, Statement, eval_public};
use std::collections::BTreeMap;
use std::sync::Arc;
use zkstrata_mle::{E, Point};
use zkstrata_model_ir::Digest;
use zkstrata_model_ir::int::Port;
use zkstrata_pcs::joint::{Relation, RelationScheme, SourceRef, Term};
use zkstrata_pcs::seal::{Book, SealedTape, Settled};
use zkstrata_pcs::{Channel, TapeError, VerifierTape};

/// Message of the value of a committed output at its point.
pub(crate) const OUTPUT: &str = "committed output";

impl<C: RelationScheme> VerifyingKey<C> {
    /// Accepts if `proof` shows that the model maps the statement's inputs to its outputs.
    ///
    /// # Soundness
    /// Accepting establishes the statement, except with the probability that
    /// [`security`](Self::security) reports per hash that a forger computes. It says nothing about where this key comes from, nor whether the inputs
    /// are the ones the caller has in mind: compare [`Statement::inputs`], commitments among inputs and
    /// outputs with those that they should be, and [`Statement::context`] with the nonce that the proof
    /// should answer.
    ///
    /// # Errors
    /// The statement or the proof is refused, or the key asks for its certificate first
    /// ([`certify`](Self::certify)).
    pub fn verify(&self, statement: &Statement, proof: &Proof) -> Result<(), VerifyError> {
        let prepared = self.check_statement(statement)?;
        let form = &prepared.form;
        let (plan, weights) = (&form.plan, &form.weights);
        let ports = statement.commitments::<C>(form)?;
        let mut tape = VerifierTape::new(&statement.digest(plan.batch).0, &proof.tape);
        let witness = match &form.witness {
            None => None,
            Some(layout) => Some((layout, C::recv_commitment(layout, &mut tape)?)),
        };
        let mut sources = vec![];
        if let Some((layout, commitment)) = &witness {
            sources.push(SourceRef { layout, commitment });
        }
        if let (Some(commitment), Some(layout)) = (self.commitment()?, &form.key) {
            sources.push(SourceRef { layout, commitment });
        }
        for (PortForm { layout, .. }, commitment) in form.ports.iter().zip(&ports) {
            sources.push(SourceRef { layout, commitment });
        }
        let evaluated = |constants: &PublicWeights, claims: &[_]| {
            constants.values(&self.graph, weights, claims)
        };
        let relation = match &form.seal {
            None => {
                let ends = reduce_statement(plan, weights, statement, &mut tape)?;
                let claims = self.claims(form, ends, evaluated, &mut tape)?;
                claim::relation(&claims, tape.sample())
            }
            Some(seal) => {
                let book = Book::new(seal.plan);
                let mut sealed = SealedTape::new(tape, &book);
                let ends = reduce_statement(plan, weights, statement, &mut sealed)?;
                let evaluated = |constants: &PublicWeights, claims: &[_]| {
                    constants.values(&self.graph, weights, claims)
                };
                let claims = self.claims(form, ends, evaluated, &mut sealed)?;
                let assertions;
                (tape, assertions) = sealed.check()?;
                let values = claims.iter().flat_map(|claims| claim::values(claims));
                let settled = assertions.settle(values, tape.sample());
                sealed_relation(plan, &claims, &settled)
            }
        };
        C::verify(&sources, &relation, &mut tape)?;
        Ok(tape.finish()?)
    }

    /// The claims on each source of the opening. Those on public weights, whose values `values` knows,
    /// are asserted.
    pub(crate) fn claims<H: Channel>(
        &self,
        form: &Form,
        mut ends: Ends<H::S>,
        values: impl FnOnce(&PublicWeights, &[Claim<H::S>]) -> Result<Vec<E>, VerifyError>,
        channel: &mut H,
    ) -> Result<Vec<Vec<Claim<H::S>>>, VerifyError> {
        let mut claims = vec![];
        match &form.witness {
            None => nothing_claimed(&ends.witness)?,
            Some(_) => claims.push(ends.witness),
        }
        match (&self.constants, &form.key) {
            (Constants::Committed(_) | Constants::Hidden(..), Some(_)) => claims.push(ends.weights),
            (Constants::Public(constants), _) => {
                let values = values(constants, &ends.weights)?;
                assert_values(&ends.weights, &values, channel)?;
            }
            (Constants::None | Constants::Committed(_) | Constants::Hidden(..), _) => {
                nothing_claimed(&ends.weights)?;
            }
        }
        for port in &form.ports {
            claims.push(ends.ports.remove(&port.id).unwrap_or_default());
        }
        ends.ports
            .values()
            .try_for_each(|claims| nothing_claimed(claims))?;
        Ok(claims)
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
        statement.check(&self.graph, &self.options(), batch)?;
        if !self.is_certified() {
            return Err(VerifyError::Uncertified);
        }
        self.commitment()?;
        if statement.session != self.session_digest() {
            let name = |session: Option<Digest>| session.map_or("none".into(), |s| s.to_string());
            return Err(VerifyError::Statement(StatementError::Session {
                expected: name(self.session_digest()),
                found: name(statement.session),
            }));
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
fn nothing_claimed<V>(claims: &[Claim<V>]) -> Result<(), VerifyError> {
    if claims.is_empty() {
        return Ok(());
    }
    Err(VerifyError::Key(
        "columns that nobody has committed to".into(),
    ))
}

/// The tables of the key, and the cells of the statement.
impl Publics for &Statement {
    fn denominator(&mut self, plan: &Plan, at: &[E], [alpha, beta]: [E; 2]) -> Option<E> {
        let row = eval_all(&plan.graph.tables, &plan.tables, at)?;
        Some(row.denominator(alpha, beta))
    }

    fn output(&mut self, plan: &Plan, port: usize, at: &[E]) -> Option<OutputAt> {
        let tensor = plan.graph.outputs.get(port)?.tensor;
        match self.outputs.get(port)? {
            PortValue::Public(cells) => {
                Some(OutputAt::Public(eval_public(plan, tensor, cells, at)))
            }
            PortValue::Private => None,
            PortValue::Committed(_) => Some(OutputAt::Committed),
        }
    }

    fn input(&mut self, plan: &Plan, port: usize, at: &[E]) -> Option<InputAt> {
        let tensor = plan.graph.inputs.get(port)?.tensor;
        Some(match self.inputs.get(port)? {
            PortValue::Public(cells) => InputAt::Public(eval_public(plan, tensor, cells, at)),
            PortValue::Private => InputAt::Private,
            PortValue::Committed(_) => InputAt::Committed,
        })
    }
}

/// The relation that is left of a sealed verification: claims on columns, and the pads.
pub(crate) fn sealed_relation<V>(
    plan: &Plan,
    claims: &[Vec<Claim<V>>],
    settled: &Settled,
) -> Relation {
    let mut terms = claim::terms(claims, settled.claims.iter().copied());
    if let Some(of_witness) = terms.first_mut() {
        of_witness.push(Term::Cells {
            column: plan.pad_column(),
            coefs: settled.cells(),
        });
    }
    Relation {
        target: settled.target,
        terms,
    }
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
    mut publics: impl Publics,
    channel: &mut C,
) -> Result<Ends<C::S>, VerifyError> {
    let malformed = |what: &str| VerifyError::Key(format!("{what} without a port"));
    let (mut committed, mut claims) = (Vec::new(), Vec::new());
    let mut of_ports: BTreeMap<PortId, Vec<Claim<C::S>>> = BTreeMap::new();
    if !plan.blocks.is_empty() {
        let lookups = lookup::verify(plan, &mut publics, channel)?;
        committed = lookups.witness;
        claims = lookups.arguments;
    }
    for (index, port) in plan.graph.outputs.iter().enumerate() {
        let point = Point::new(channel.sample_vec(plan.num_vars(port.tensor)));
        let value = match publics.output(plan, index, &point) {
            None => return Err(malformed("an output")),
            Some(OutputAt::Public(value)) => channel.constant(value),
            Some(OutputAt::Committed) => {
                let value = channel.recv_one(OUTPUT)?;
                let claim = Claim::of(COLUMN, point.clone(), value.clone());
                of_ports.insert(PortId::Output(index), vec![claim]);
                value
            }
        };
        claims.push(TensorClaim {
            tensor: port.tensor,
            point,
            value,
        });
    }
    let mut ends = reduce(plan, weights, claims, &mut LinearVerifier { channel })?;
    for TensorClaim {
        tensor,
        point,
        value,
    } in std::mem::take(&mut ends.inputs)
    {
        let mut ports = plan.graph.inputs.iter().enumerate();
        let port = ports.find(|(_, port)| port.tensor == tensor);
        let (index, port) = port.ok_or_else(|| malformed("an input"))?;
        match publics.input(plan, index, &point) {
            None => return Err(malformed("an input")),
            Some(InputAt::Public(expected)) => {
                let expected = channel.constant(expected);
                channel.assert_zero(value - expected, "public input")?;
            }
            Some(InputAt::Private) => {
                let column = plan.guard_column(port);
                let column = column.ok_or_else(|| unguarded(port))?;
                committed.push(Claim::of(column, point, value));
            }
            Some(InputAt::Committed) => {
                if plan.guard_column(port).is_none() {
                    return Err(unguarded(port));
                }
                let claims = of_ports.entry(PortId::Input(index)).or_default();
                claims.push(Claim::of(COLUMN, point, value));
            }
        }
    }
    committed.append(&mut ends.witness);
    ends.witness = merge(committed, channel)?;
    ends.weights = merge(ends.weights, channel)?;
    for (port, claims) in of_ports {
        ends.ports.insert(port, merge(claims, channel)?);
    }
    Ok(ends)
}

/// A hidden input whose cells may lie anywhere; keys are validated, so this is not reached.
fn unguarded(port: &Port) -> VerifyError {
    VerifyError::Key(format!("no lookup of the hidden input `{}`", port.name))
}

/// Merges claims on one column at one point, asserting that their values are equal.
pub(crate) fn merge<C: Channel>(
    claims: Vec<Claim<C::S>>,
    channel: &mut C,
) -> Result<Vec<Claim<C::S>>, TapeError> {
    let Merged { claims, equal } = claim::merge(claims);
    for (first, other) in equal {
        channel.assert_zero(first - other, "two claims at one point")?;
    }
    Ok(claims)
}
