//! Sealed proofs of the whole protocol up to the opening: the provers as they are over a sealed tape,
//! the verifier as it is over a sealed channel. The one relation that is left is checked in the clear, on
//! the committed columns and on the cells that the pads would be committed in.

use super::build::inputs;
use super::suite::{self, models};
use crate::claim::{self, Claim};
use crate::constants::Constants;
use crate::error::VerifyError;
use crate::form::Form;
use crate::linear::Contracted;
use crate::prepared::Prepared;
use crate::verify::reduce_statement;
use crate::witness::{Witness, columns};
use crate::{ProvingKey, SetupOptions, Statement, VerifyingKey, Weights, dry, setup_scheme};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use std::sync::Arc;
use zkstrata_mle::{BasedVectorSpace, E, F, PrimeCharacteristicRing};
use zkstrata_model_ir::int::{Model, Port};
use zkstrata_pcs::joint::{Layout, Relation, RelationProver, RelationScheme, SourceRef};
use zkstrata_pcs::seal::{Book, Known, Pads, Replay, SealPlan, Sealed, SealedTape, Settled};
use zkstrata_pcs::{Channel, Clear, Message, ProverTape, VerifierTape};

/// A model with its keys, a run, and what a sealed proof of it seals.
struct Case {
    pk: ProvingKey<Clear>,
    vk: VerifyingKey<Clear>,
    statement: Statement,
    witness: Witness,
    prepared: Arc<Prepared>,
    plan: SealPlan,
}

/// A sealed proof up to the opening, and the cells that its pads were committed to.
struct Proven {
    tape: Vec<u8>,
    messages: Vec<Message>,
    settled: Settled,
    pads: Vec<F>,
}

impl Case {
    fn new(model: Model, weights: Weights) -> Self {
        let batch = 2;
        let inputs = inputs(&model, batch, 7);
        let options = SetupOptions {
            weights,
            ..SetupOptions::default()
        };
        let (pk, vk) = setup_scheme::<Clear>(model, &options).expect("a test model sets up");
        let trace = pk.run(&inputs).expect("an honest run");
        let cells = |port: &Port| trace.tensors[port.tensor.0].to_vec();
        let statement = Statement {
            model: vk.digest(),
            inputs: vk.graph().inputs.iter().map(cells).collect(),
            outputs: vk.graph().outputs.iter().map(cells).collect(),
        };
        let prepared = vk.at(batch).expect("a batch of two");
        let Form { plan, weights, .. } = &prepared.form;
        let (counts, _) = dry::verification(plan, weights).expect("a validated graph");
        let witness = Witness::new(plan, trace);
        let plan = SealPlan::new(&counts);
        Self {
            pk,
            vk,
            statement,
            witness,
            prepared,
            plan,
        }
    }

    fn layout(&self) -> Option<&Layout> {
        self.prepared.form.witness.as_ref()
    }

    /// The prover: what is sealed is what [`ProvingKey::reduce`] sends.
    fn prove(&self, statement: &Statement, seed: u64) -> Proven {
        let plan = &self.prepared.form.plan;
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut word = || F::from_u64(rng.next_u64());
        let pads = Pads::new(self.plan, || E::from_basis_coefficients_fn(|_| word()));
        let cells = pads.cells();
        let mut tape = ProverTape::new(&statement.digest(plan.batch).0);
        if let Some(layout) = self.layout() {
            let committed = Clear::commit(layout, columns(plan, &self.witness));
            Clear::send_commitment(&committed.expect("commits").0, &mut tape);
        }
        tape.seal(pads);
        let contracted = &mut Contracted::default();
        let _ = self
            .pk
            .reduce(plan, statement, &self.witness, contracted, &mut tape);
        let book = Book::new(self.plan);
        let mut replay = Replay::new(&tape, &book);
        let claims = self.verification(statement, &mut replay);
        let claims = claims.expect("a tape of the right form");
        let products = replay.finish().expect("all is read");
        let assertions = products.prove(&mut tape).expect("as planned");
        let values = values(&claims).map(Known::sealed);
        Proven {
            settled: assertions.settle(values, tape.sample()),
            messages: tape.messages().to_vec(),
            tape: tape.finish(),
            pads: cells,
        }
    }

    /// The verifier's code up to the opening: the claims on each source.
    fn verification<C: Channel>(
        &self,
        statement: &Statement,
        channel: &mut C,
    ) -> Result<Vec<Vec<Claim<C::S>>>, VerifyError> {
        let Form { plan, weights, .. } = &self.prepared.form;
        let ends = reduce_statement(plan, weights, statement, channel)?;
        let mut claims = vec![];
        if self.layout().is_some() {
            claims.push(ends.witness);
        }
        match &self.vk.constants {
            Constants::None => (),
            Constants::Committed(_) => claims.push(ends.weights),
            Constants::Public(constants) => {
                constants.check(&self.vk.graph, weights, &ends.weights, channel)?;
            }
        }
        Ok(claims)
    }

    /// Whether a verifier accepts: the tape has the right form, and the relation is true of the
    /// columns and of these pads.
    fn accepts(&self, statement: &Statement, tape: &[u8], pads: &[F]) -> bool {
        let reduced = self.reduced(statement, tape);
        reduced.is_some_and(|(relation, settled)| self.holds(relation, &settled, pads))
    }

    /// What a verifier is left with.
    fn reduced(&self, statement: &Statement, tape: &[u8]) -> Option<(Relation, Settled)> {
        let digest = statement.digest(self.prepared.form.plan.batch);
        let mut tape = VerifierTape::new(&digest.0, tape);
        if let Some(layout) = self.layout() {
            Clear::recv_commitment(layout, &mut tape).ok()?;
        }
        let book = Book::new(self.plan);
        let mut channel = SealedTape::new(tape, &book);
        let claims = self.verification(statement, &mut channel).ok()?;
        let (mut tape, assertions) = channel.check().ok()?;
        let challenge = tape.sample();
        tape.finish().ok()?;
        let settled = assertions.settle(values(&claims), challenge);
        // The terms of the columns; what they sum to is not known from the claims.
        let public = |claim: &Claim<Sealed<'_>>| Claim {
            at: claim.at.clone(),
            columns: claim.columns.iter().map(|&(c, _)| (c, E::ZERO)).collect(),
        };
        let claims: Vec<Vec<Claim<E>>> = claims
            .iter()
            .map(|claims| claims.iter().map(public).collect())
            .collect();
        Some((claim::relation(&claims, challenge), settled))
    }

    fn holds(&self, mut relation: Relation, settled: &Settled, pads: &[F]) -> bool {
        let of_pads = settled.cells().into_iter().zip(pads);
        relation.target = settled.target - of_pads.map(|(w, &cell)| w * cell).sum::<E>();
        let form = &self.prepared.form;
        let own = form.witness.as_ref().map(|layout| {
            let committed = Clear::commit(layout, columns(&form.plan, &self.witness));
            (layout, committed.expect("commits").0)
        });
        let key = match (&form.key, &self.vk.constants) {
            (Some(layout), Constants::Committed(commitment)) => Some((layout, commitment.clone())),
            _ => None,
        };
        let sources = own.iter().chain(&key);
        let sources = sources.map(|(layout, commitment)| SourceRef { layout, commitment });
        let sources: Vec<_> = sources.collect();
        let mut tape = VerifierTape::new(&[0; 32], &[]);
        Clear::verify(&sources, &relation, &mut tape).is_ok()
    }
}

/// The values of all claims in the order of the relation's powers.
fn values<S: Copy>(claims: &[Vec<Claim<S>>]) -> impl Iterator<Item = S> {
    let claims = claims.iter().flatten();
    claims.flat_map(|claim| claim.columns.iter().map(|&(_, value)| value))
}

fn cases() -> impl Iterator<Item = (String, Case)> {
    let modes = [Weights::Committed, Weights::Public];
    models().into_iter().flat_map(move |(name, model)| {
        modes.map(|weights| {
            let case = Case::new(model.clone(), weights);
            (format!("{name}, {weights:?} weights"), case)
        })
    })
}

#[test]
fn sealed_runs_of_every_model_are_accepted_and_no_others() {
    for (name, case) in cases() {
        let proven = case.prove(&case.statement, 1);
        let reduced = case.reduced(&case.statement, &proven.tape);
        let (relation, settled) = reduced.expect("an honest proof");
        assert_eq!(
            settled, proven.settled,
            "{name}: both ends have one relation"
        );
        let pads = &proven.pads;
        assert!(case.holds(relation.clone(), &settled, pads), "{name}");
        // With other pads it is false, and so is that of another statement.
        for k in [0, pads.len() / 2, pads.len() - 1] {
            let mut other = pads.clone();
            other[k] += F::ONE;
            assert!(!case.holds(relation.clone(), &settled, &other), "{name}");
        }
        let mut statement = case.statement.clone();
        statement.outputs[0][0] += 1;
        let forged = case.prove(&statement, 1);
        let accepted = case.accepts(&statement, &forged.tape, &forged.pads);
        assert!(!accepted, "{name}: a false statement");
        // Other pads, other scalars: none is sent without one.
        let again = case.prove(&case.statement, 2);
        let sealed = proven.messages.iter().filter(|m| m.range.len() % 16 == 0);
        for Message { label, range } in sealed.skip(usize::from(case.layout().is_some())) {
            let scalars = |tape: &Proven| tape.tape[range.clone()].as_chunks::<16>().0.to_vec();
            for (a, b) in scalars(&proven).iter().zip(&scalars(&again)) {
                assert_ne!(a, b, "{name}: `{label}`");
            }
        }
    }
}

#[test]
fn every_altered_sealed_message_is_rejected() {
    for model in [suite::mlp(), suite::limbs()] {
        let case = Case::new(model, Weights::Committed);
        let Proven {
            tape,
            messages,
            pads,
            ..
        } = case.prove(&case.statement, 1);
        for Message { label, range } in &messages {
            for position in [0, range.len() / 2, range.len() - 1] {
                let mut altered = tape.clone();
                altered[range.start + position] ^= 1;
                let accepted = case.accepts(&case.statement, &altered, &pads);
                assert!(!accepted, "`{label}` altered at {position}");
            }
        }
    }
}
