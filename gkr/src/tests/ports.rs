//! Committed inputs and outputs: proofs that they link, and provers who link what does not belong
//! together.

use super::build::inputs;
use super::field_run::run;
use super::suite::{self, models};
use crate::commitment::DEFAULT_USES;
use crate::secret::TensorSecret;
use crate::{
    Given, PortValue, Proof, ProveError, Proven, ProvingKey, SetupOptions, Statement, VerifyingKey,
    Visibilities, Visibility, Weights, decode_proof, encode_proof, setup_scheme,
};
use zkstrata_mle::{F, PrimeCharacteristicRing};
use zkstrata_model_ir::int::Model;
use zkstrata_pcs::joint::{Joint, RelationProver};
use zkstrata_pcs::{Clear, Seed};

pub(super) const COMMITTED: Visibility = Visibility::COMMITTED;
pub(super) const PUBLIC: Visibility = Visibility::Public;

pub(super) fn options(inputs: Visibility, outputs: Visibility) -> SetupOptions {
    SetupOptions {
        inputs: Visibilities::all(inputs),
        outputs: Visibilities::all(outputs),
        ..SetupOptions::default()
    }
}

/// Keys of a model and the inputs of a batch.
pub(super) struct Case<C: RelationProver> {
    pub(super) pk: ProvingKey<C>,
    pub(super) vk: VerifyingKey<C>,
    pub(super) inputs: Vec<Vec<i64>>,
    batch: usize,
}

impl<C: RelationProver> Case<C> {
    pub(super) fn new(model: Model, batch: usize, options: &SetupOptions) -> Self {
        let inputs = inputs(&model, batch, 33);
        let (pk, vk) = setup_scheme(model, options).expect("a test model sets up");
        Self {
            pk,
            vk,
            inputs,
            batch,
        }
    }

    pub(super) fn prove(
        &self,
        inputs: &[Vec<i64>],
        secrets: &[TensorSecret],
    ) -> Result<Proven, ProveError> {
        let given = Given {
            inputs: secrets.to_vec(),
            ..Given::default()
        };
        self.pk.prove_run(self.pk.run(inputs)?, &given)
    }

    pub(super) fn honest(&self) -> Proven {
        self.prove(&self.inputs, &[]).expect("proves")
    }

    /// A proof of a run on any inputs under commitments to any tensors, in which the first cell of a table
    /// node may be changed.
    fn forged(
        &self,
        inputs: &[Vec<i64>],
        committed: &[Vec<i64>],
        changed: Option<(usize, F)>,
    ) -> Result<(Statement, Proof), ProveError> {
        let prepared = self.vk.at(self.batch).expect("a batch that the key allows");
        let form = &prepared.form;
        let (mut statement, witness) = run(
            &form.plan,
            self.pk.model(),
            self.vk.digest(),
            inputs,
            &mut |node, cells, _, _| {
                if let Some((_, value)) = changed.filter(|&(changed, _)| changed == node) {
                    cells[0] = value;
                }
            },
        );
        let mut data = vec![];
        let all = statement.inputs.iter_mut().chain(&mut statement.outputs);
        let visibilities = (0..inputs.len()).map(|k| self.vk.visibilities().of(k));
        let outputs = (0..).map(|k| self.vk.output_visibilities().of(k));
        let hidden = all.zip(visibilities.chain(outputs));
        let hidden = hidden.filter(|(_, visibility)| *visibility != PUBLIC);
        for (((value, _), port), cells) in hidden.zip(&form.ports).zip(committed) {
            let seed = Seed::new([data.len() as u8; 32]);
            let made = TensorSecret::new::<C>(port.form.clone(), cells.clone(), seed);
            let (secret, opening) = made.expect("commits");
            *value = PortValue::Committed(secret.commitment().clone());
            data.push(opening);
        }
        let seed = Seed::new([9; 32]);
        let proven = self
            .pk
            .prove_hidden(&form.plan, &statement, &witness, Some(&seed), &data);
        Ok((statement, Proof { tape: proven?.0 }))
    }

    pub(super) fn accepts(&self, proven: &Proven) {
        self.vk
            .verify(&proven.statement, &proven.proof)
            .expect("verifies");
    }
}

/// Whether what a cheating prover has made, if anything, is refused.
fn refused<C: RelationProver>(
    case: &Case<C>,
    forged: Result<(Statement, Proof), ProveError>,
) -> bool {
    forged.map_or(true, |(statement, proof)| {
        case.vk.verify(&statement, &proof).is_err()
    })
}

/// Every model, with everything committed, also its weights or not.
fn accepts<C: RelationProver>(weights: Weights) {
    for (name, model) in models() {
        let options = SetupOptions {
            weights,
            ..options(COMMITTED, COMMITTED)
        };
        let case = Case::<C>::new(model, 2, &options);
        let proven = case.honest();
        case.accepts(&proven);
        let Proven {
            statement,
            proof,
            inputs,
            outputs,
            ..
        } = proven;
        let trace = case.pk.run(&case.inputs).expect(name);
        let graph = case.vk.graph();
        let ports = graph.inputs.iter().chain(&graph.outputs);
        let values = statement.inputs.iter().chain(&statement.outputs);
        for ((port, value), secret) in ports.zip(values).zip(inputs.iter().chain(&outputs)) {
            assert_eq!(value.commitment(), Some(secret.commitment()), "{name}");
            let cells = trace.tensors[port.tensor.0].to_vec();
            assert_eq!(secret.cells(), cells, "{name}");
            assert_eq!(secret.uses_left(), DEFAULT_USES.get() - 1, "{name}");
        }
        let decoded = decode_proof(&encode_proof(&statement, &proof)).expect("a proof file");
        assert_eq!(decoded, (statement, proof), "{name}");
        let read = VerifyingKey::<C>::from_bytes(&case.vk.to_bytes()).expect("a key file");
        assert_eq!(read.digest(), case.vk.digest(), "{name}");
        let read = ProvingKey::<C>::from_bytes(&case.pk.to_bytes()).expect("a key file");
        assert_eq!(read.verifying_key().digest(), case.vk.digest(), "{name}");
    }
}

#[test]
fn honest_runs_are_accepted() {
    accepts::<Clear>(Weights::Compact);
    accepts::<Clear>(Weights::Public);
    accepts::<Joint>(Weights::Compact);
}

/// What a prover commits to is what the model computes with, and what it computes.
#[test]
fn lies_about_committed_tensors() {
    let mut lies = 0;
    for (name, model) in models() {
        let case = Case::<Clear>::new(model, 2, &options(COMMITTED, COMMITTED));
        let honest = case.honest();
        let secrets = honest.inputs.iter().chain(&honest.outputs);
        let tensors: Vec<Vec<i64>> = secrets.map(|secret| secret.cells().to_vec()).collect();
        let true_one = case.forged(&case.inputs, &tensors, None).expect(name);
        case.vk.verify(&true_one.0, &true_one.1).expect(name);
        for port in 0..tensors.len() {
            for cell in [0, tensors[port].len() - 1] {
                let mut other = tensors.clone();
                other[port][cell] += 1;
                assert!(
                    refused(&case, case.forged(&case.inputs, &other, None)),
                    "{name}"
                );
                lies += 1;
            }
        }
        // A proof is of the commitments of its statement.
        let again = case.honest();
        for port in 0..honest.statement.inputs.len() {
            let mut other = honest.statement.clone();
            other.inputs[port] = again.statement.inputs[port].clone();
            // In the clear the same tensor has the same commitment.
            assert_eq!(other, honest.statement);
            let mut cells = case.inputs[port].clone();
            cells[0] = if cells[0] > 0 {
                cells[0] - 1
            } else {
                cells[0] + 1
            };
            let secret = case.vk.commit_input(port, &cells).expect("commits");
            other.inputs[port] = PortValue::Committed(secret.commitment().clone());
            assert!(case.vk.verify(&other, &honest.proof).is_err(), "{name}");
        }
    }
    assert!(lies > 80, "{lies}");
}

/// Cells of a committed input beyond the port's interval are found out.
#[test]
fn committed_cells_beyond_their_interval() {
    for (name, model) in models() {
        let case = Case::<Clear>::new(model, 2, &options(COMMITTED, PUBLIC));
        let graph = case.vk.graph();
        for (port, input) in graph.inputs.iter().enumerate() {
            let interval = graph.node(input.tensor).interval;
            let guard = graph.guard(input).expect("a guard").0;
            for beyond in [interval.hi + 1, interval.lo - 1] {
                let mut cells = case.inputs.clone();
                cells[port][0] = beyond;
                for guarded in [None, Some((guard, F::from_i64(beyond)))] {
                    assert!(
                        refused(&case, case.forged(&cells, &cells, guarded)),
                        "{name}"
                    );
                }
                let error = case.vk.commit_input(port, &cells[port]);
                let error = error.expect_err("beyond the interval").to_string();
                assert!(
                    error.contains(&input.name) && error.contains(&beyond.to_string()),
                    "{error}"
                );
            }
        }
    }
}

/// The same with a commitment that hides something: there is no proof of a false relation.
#[test]
fn another_input_than_the_committed_one() {
    let case = Case::<Joint>::new(suite::mlp(), 1, &options(COMMITTED, PUBLIC));
    let mut other = case.inputs.clone();
    other[0][0] ^= 1;
    assert!(refused(&case, case.forged(&case.inputs, &other, None)));
    assert!(!refused(&case, case.forged(&other, &other, None)));
    // An honest prover says what is wrong before it starts.
    let secret = case.vk.commit_input(0, &other[0]).expect("commits");
    let refused = case.prove(&case.inputs, std::slice::from_ref(&secret));
    let refused = refused.expect_err("another input").to_string();
    assert!(
        refused.contains("input `in0`") && refused.contains("another input"),
        "{refused}"
    );
    assert_eq!(secret.uses_left(), DEFAULT_USES.get());
    // Another commitment to the same tensor is another statement.
    let proven = case.prove(&other, &[secret]).expect("proves");
    case.accepts(&proven);
    let mut statement = proven.statement.clone();
    let again = case.vk.commit_input(0, &other[0]).expect("commits");
    statement.inputs[0] = PortValue::Committed(again.commitment().clone());
    assert!(case.vk.verify(&statement, &proven.proof).is_err());
}

/// No byte of a proof may be changed.
#[test]
fn altered_proofs_are_rejected() {
    let case = Case::<Joint>::new(suite::mlp(), 1, &options(COMMITTED, COMMITTED));
    let Proven {
        statement, proof, ..
    } = case.honest();
    let verdict = |tape: Vec<u8>| case.vk.verify(&statement, &Proof { tape });
    verdict(proof.tape.clone()).expect("an honest proof");
    for at in (0..proof.tape.len()).step_by(97) {
        let mut changed = proof.tape.clone();
        changed[at] ^= 1;
        assert!(verdict(changed).is_err(), "{at}");
    }
    assert!(verdict(proof.tape[..proof.tape.len() - 1].to_vec()).is_err());
    assert!(verdict([&proof.tape[..], &[0]].concat()).is_err());
}
