//! Proofs without a witness.
//!
//! Whoever knows the challenges beforehand writes proofs, and certificates of sessions, that are accepted, of
//! any statement, without knowing inputs, outputs or weights: what is sealed is random, words are trees over
//! random rows, and the opening is made to fit. So nothing that a verifier sees depends on a witness. With real
//! challenges none of them is accepted.

use super::equivocation::{COMMITTED, PRIVATE, PUBLIC, hidden, options};
use super::suite::{self, models};
use crate::certificate::longest;
use crate::claim;
use crate::commitment::TensorCommitment;
use crate::constants::{Constants, HiddenWeights};
use crate::file::{self, SESSION_CERTIFICATE};
use crate::plan::WeightPlan;
use crate::port::PortId;
use crate::session;
use crate::verify::{reduce_statement, sealed_relation};
use crate::{
    PortValue, Proof, SetupOptions, Statement, VerifyingKey, Visibility, Weights, setup_scheme,
};
use zkstrata_mle::{BasedVectorSpace, E, F, PrimeCharacteristicRing};
use zkstrata_model_ir::int::Port;
use zkstrata_pcs::frozen::{Frozen, FrozenData, Kind, Script, deal, play};
use zkstrata_pcs::joint::{RelationProver, Word};
use zkstrata_pcs::seal::{Book, SealedTape};
use zkstrata_pcs::{Channel, ProverTape, TapeError};

/// What a verifier reads, made up as it asks for it.
struct Writer {
    tape: ProverTape,
    state: u64,
}

impl Writer {
    fn next(&mut self) -> F {
        let state = self.state.wrapping_mul(6_364_136_223_846_793_005);
        self.state = state.wrapping_add(1_442_695_040_888_963_407);
        F::from_u64(self.state)
    }
}

impl Channel for Writer {
    type S = E;

    fn recv(&mut self, label: &'static str, n: usize) -> Result<Vec<E>, TapeError> {
        let scalars = (0..n).map(|_| E::from_basis_coefficients_fn(|_| self.next()));
        let scalars: Vec<E> = scalars.collect();
        self.tape.send(label, &scalars);
        Ok(scalars)
    }

    fn recv_bytes(&mut self, label: &'static str, _: usize) -> Result<Vec<u8>, TapeError> {
        panic!("no bytes are sealed: {label}")
    }

    fn constant(&mut self, value: E) -> E {
        value
    }

    fn mul(&mut self, a: &E, b: &E) -> E {
        *a * *b
    }

    fn assert_zero(&mut self, _: E, _: &'static str) -> Result<(), TapeError> {
        Ok(())
    }

    fn assert_nonzero(&mut self, _: E, _: &'static str) -> Result<(), TapeError> {
        Ok(())
    }

    fn sample(&mut self) -> E {
        self.tape.sample()
    }

    fn check_work(&mut self, label: &'static str, bits: usize) -> Result<(), TapeError> {
        self.tape.work(label, bits);
        Ok(())
    }
}

/// A proof of any inputs and outputs.
fn simulate(
    vk: &VerifyingKey<Frozen>,
    weights: Option<&FrozenData>,
    batch: usize,
) -> (Statement, Proof) {
    let prepared = vk.at(batch).expect("a batch that the key allows");
    let form = &prepared.form;
    let plan = &form.plan;
    let ports = form.ports.iter().zip(10..);
    let ports = ports.map(|(port, salt)| Frozen::simulate_commitment(&port.layout, salt));
    let (roots, data): (Vec<_>, Vec<_>) = ports.unzip();
    let value = |id: PortId, port: &Port, visibility| match visibility {
        Visibility::Public => {
            let node = vk.graph().node(port.tensor);
            let length = batch * node.axes.iter().product::<usize>();
            let (lo, hi) = (node.interval.lo, node.interval.hi);
            PortValue::Public(
                (0..length as i64)
                    .map(|k| lo + k * k % (hi - lo + 1))
                    .collect(),
            )
        }
        Visibility::Private => PortValue::Private,
        Visibility::Committed { .. } => {
            let at = form.ports.iter().position(|port| port.id == id);
            let at = at.expect("a form has all committed ports");
            PortValue::Committed(TensorCommitment {
                form: form.ports[at].form.clone(),
                root: postcard::to_allocvec(&roots[at]).expect("encodes"),
            })
        }
    };
    let graph = vk.graph();
    let input = |(k, port)| value(PortId::Input(k), port, vk.visibilities().of(k));
    let output = |(k, port)| value(PortId::Output(k), port, vk.output_visibilities().of(k));
    let statement = Statement {
        model: vk.digest(),
        context: [0; 32],
        session: vk.session_digest(),
        inputs: graph.inputs.iter().enumerate().map(input).collect(),
        outputs: graph.outputs.iter().enumerate().map(output).collect(),
    };

    let mut tape = ProverTape::new(&statement.digest(batch).0);
    let layout = form.witness.as_ref().expect("a hidden witness");
    let (root, witness) = Frozen::simulate_commitment(layout, 9);
    Frozen::send_commitment(&root, &mut tape);
    let book = Book::new(form.seal.as_ref().expect("a sealed proof").plan);
    let mut sealed = SealedTape::new(Writer { tape, state: 8 }, &book);
    let ends = reduce_statement(plan, &form.weights, &statement, &mut sealed);
    let ends = ends.expect("a verifier's code");
    let values = |constants: &crate::constants::PublicWeights, claims: &[_]| {
        constants.values(vk.graph(), &form.weights, claims)
    };
    let claims = vk.claims(form, ends, values, &mut sealed).expect("claims");
    let (Writer { mut tape, .. }, assertions) = sealed.check().expect("as many as planned");
    let values = claims.iter().flat_map(|claims| claim::values(claims));
    let settled = assertions.settle(values, tape.sample());
    let relation = sealed_relation(plan, &claims, &settled);
    let sources: Vec<&FrozenData> = std::iter::once(&witness)
        .chain(weights)
        .chain(&data)
        .collect();
    Frozen::simulate(Kind::Proof, &sources, &relation, &mut tape).expect("an opening");
    let tape = tape.finish();
    (statement, Proof { tape })
}

/// Somebody who knows the challenges beforehand is believed, and nobody else is.
fn believed(
    name: &str,
    options: &SetupOptions,
    model: zkstrata_model_ir::int::Model,
    batch: usize,
) {
    let (pk, vk) = setup_scheme::<Frozen>(model, options).expect(name);
    let ((), _) = play(&Script::default(), || {
        let (vk, session) = match vk.constants {
            Constants::Hidden(..) => {
                let (vk, session) = session_of_nothing(&vk);
                (vk, Some(session))
            }
            _ => (vk, None),
        };
        deal(Some(5));
        let weights = session.as_ref().or(pk.data());
        let (statement, proof) = simulate(&vk, weights, batch);
        vk.verify(&statement, &proof).expect(name);
        for real in [Some(6), None] {
            deal(real);
            assert!(vk.verify(&statement, &proof).is_err(), "{name}");
        }
    });
}

/// A key that is a commitment to nothing, and a session of it.
fn session_of_nothing(vk: &VerifyingKey<Frozen>) -> (VerifyingKey<Frozen>, FrozenData) {
    let plan = WeightPlan::new(vk.graph());
    let Constants::Hidden(HiddenWeights { uses, bits, .. }) = vk.constants else {
        panic!("hidden weights");
    };
    let layout = |word, uses| {
        plan.hidden_layout(word, vk.profile(), uses)
            .expect("a layout")
    };
    let (key, session) = (
        layout(vk.trust().word(), uses.sessions),
        layout(Word::Certified, uses.proofs),
    );
    let (root, key) = Frozen::simulate_commitment(&key, 11);
    let constants = Constants::Hidden(HiddenWeights {
        commitment: root,
        uses,
        bits,
    });
    let vk = VerifyingKey::<Frozen>::new(vk.graph.clone(), constants, vk.options(), vk.max_batch());
    let (commitment, session) = Frozen::simulate_commitment(&session, 12);
    deal(Some(7));
    let mut tape = ProverTape::new(&session::digest::<Frozen>(vk.digest(), &commitment).0);
    let (z, gamma) = (tape.sample_vec(longest(&plan)), tape.sample());
    let relation = session::equal(&plan, &z, gamma);
    let sources = [&session, &key];
    let written = Frozen::simulate(Kind::Certificate(0), &sources, &relation, &mut tape);
    written.expect("a certificate");
    let certificate = file::encode(
        SESSION_CERTIFICATE,
        &(vk.digest(), commitment, tape.finish()),
    );
    let accepted = vk.accept(&certificate).expect("a simulated certificate");
    for real in [Some(6), None] {
        deal(real);
        assert!(vk.accept(&certificate).is_err());
    }
    (accepted, session)
}

#[test]
fn proofs_are_written_without_inputs() {
    for options in [
        options(Weights::Public, PRIVATE, PUBLIC),
        options(Weights::Compact, PRIVATE, COMMITTED),
        options(Weights::Compact, COMMITTED, PUBLIC),
        options(Weights::Public, COMMITTED, COMMITTED),
    ] {
        for (name, model) in models() {
            believed(name, &options, model, 2);
        }
        believed("wide", &options, suite::wide(), 3);
    }
}

#[test]
fn proofs_are_written_without_weights() {
    for (inputs, outputs) in [(PUBLIC, PUBLIC), (PRIVATE, COMMITTED)] {
        let options = options(hidden(2, 2), inputs, outputs);
        for (name, model) in models() {
            if !model.weights.is_empty() {
                believed(name, &options, model, 2);
            }
        }
    }
}
