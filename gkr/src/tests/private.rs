//! Proofs that hide their inputs: honest ones, and provers who hide a lie.

use super::build::{inputs, valid};
use super::field_run::run;
use super::suite::{self, models, public};
use crate::options::{SetupOptions, Visibilities, Visibility};
use crate::proof::Proof;
use crate::witness::Witness;
use crate::{
    PortValue, ProveError, ProvingKey, SetupError, Statement, VerifyError, VerifyingKey, Weights,
    decode_proof, encode_proof, setup_scheme,
};
use zkstrata_mle::{F, PrimeCharacteristicRing};
use zkstrata_model_ir::int::{Model, Op};
use zkstrata_pcs::joint::{Joint, ProofProfile, RelationProver};
use zkstrata_pcs::{Clear, Seed};

fn private(weights: Weights) -> SetupOptions {
    SetupOptions {
        weights,
        inputs: Visibilities::all(Visibility::Private),
        ..SetupOptions::default()
    }
}

/// A model whose inputs are private, its keys and the inputs of a batch.
struct Case<C: RelationProver> {
    pk: ProvingKey<C>,
    vk: VerifyingKey<C>,
    inputs: Vec<Vec<i64>>,
    batch: usize,
}

impl<C: RelationProver> Case<C> {
    fn new(model: Model, batch: usize, options: &SetupOptions) -> Self {
        let inputs = inputs(&model, batch, 31);
        let (pk, vk) = setup_scheme(model, options).expect("a test model sets up");
        Self {
            pk,
            vk,
            inputs,
            batch,
        }
    }

    /// A proof of a run on any inputs, in which the first cell of a table node may be changed.
    fn forged(
        &self,
        inputs: &[Vec<i64>],
        changed: Option<(usize, F)>,
    ) -> Result<(Statement, Proof), ProveError> {
        let prepared = self.vk.at(self.batch).expect("a batch that the key allows");
        let plan = &prepared.form.plan;
        let model = self.pk.model();
        let (mut statement, witness) = run(
            plan,
            model,
            self.vk.digest(),
            inputs,
            &mut |node, cells, _, _| {
                if let Some((changed, value)) = changed
                    && changed == node
                {
                    cells[0] = value;
                }
            },
        );
        for (port, value) in statement.inputs.iter_mut().enumerate() {
            if self.vk.visibilities().of(port) == Visibility::Private {
                *value = PortValue::Private;
            }
        }
        let seed = Seed::new([9; 32]);
        let proven = self
            .pk
            .prove_witness(plan, &statement, &witness, Some(&seed));
        Ok((statement, Proof { tape: proven?.0 }))
    }
}

/// Every model, with both kinds of weights, and a proof is of the outputs that the executor gives.
fn accepts<C: RelationProver>(weights: Weights) {
    for (name, model) in models() {
        let case = Case::<C>::new(model, 2, &private(weights));
        let (statement, proof) = case.pk.prove_integers(&case.inputs).expect(name);
        case.vk.verify(&statement, &proof).expect(name);
        assert!(statement.inputs.iter().all(|x| *x == PortValue::Private));
        let trace = case.pk.run(&case.inputs).expect(name);
        for (port, cells) in case.vk.graph().outputs.iter().zip(&statement.outputs) {
            let cells = cells.public().expect("public");
            assert_eq!(trace.tensors[port.tensor.0].to_vec(), cells, "{name}");
        }
        let bytes = encode_proof(&statement, &proof);
        let decoded = decode_proof(&bytes).expect("a proof file");
        assert_eq!(decoded, (statement, proof), "{name}");
        let keys = (case.pk.to_bytes(), case.vk.to_bytes());
        let read = VerifyingKey::<C>::from_bytes(&keys.1).expect("a key file");
        assert_eq!(read.digest(), case.vk.digest(), "{name}");
        let again = ProvingKey::<C>::from_bytes(&keys.0).expect("a key file");
        assert_eq!(again.verifying_key().digest(), case.vk.digest(), "{name}");
    }
}

#[test]
fn honest_runs_are_accepted() {
    accepts::<Clear>(Weights::Compact);
    accepts::<Clear>(Weights::Public);
    accepts::<Joint>(Weights::Compact);
}

#[test]
fn small_proofs_and_public_weights_hide_as_well() {
    for options in [
        private(Weights::Public),
        SetupOptions {
            proof: ProofProfile::Small,
            ..private(Weights::Compact)
        },
    ] {
        let case = Case::<Joint>::new(suite::wide(), 3, &options);
        let (statement, proof) = case.pk.prove_integers(&case.inputs).expect("proves");
        case.vk.verify(&statement, &proof).expect("verifies");
        let security = case.vk.security(3).expect("terms");
        assert!(security.is_enough(), "{security:?}");
        let hides = security.zero_knowledge.expect("the input is hidden");
        assert!(
            hides.proof_bits > 100.0 && hides.hash_bits > 500.0,
            "{hides:?}"
        );
        let sealing = security
            .terms
            .iter()
            .filter(|t| t.name.starts_with("sealing"));
        assert_eq!(sealing.count(), 2);
    }
}

/// No byte of a proof may be changed.
#[test]
fn altered_proofs_are_rejected() {
    let case = Case::<Joint>::new(suite::mlp(), 1, &private(Weights::Compact));
    let prepared = case.vk.at(1).expect("prepared");
    let plan = &prepared.form.plan;
    let (statement, _) = case.pk.prove_integers(&case.inputs).expect("proves");
    let witness = Witness::new(plan, case.pk.run(&case.inputs).expect("runs"));
    let seed = Seed::new([3; 32]);
    let proven = case
        .pk
        .prove_witness(plan, &statement, &witness, Some(&seed));
    let (tape, messages) = proven.expect("proves");
    let verdict = |tape: Vec<u8>| case.vk.verify(&statement, &Proof { tape });
    verdict(tape.clone()).expect("an honest proof");
    for message in messages {
        let mut changed = tape.clone();
        changed[message.range.start] ^= 1;
        assert!(verdict(changed).is_err(), "{}", message.label);
        assert!(verdict(tape[..message.range.start].to_vec()).is_err());
    }
    let mut longer = tape.clone();
    longer.push(0);
    assert!(verdict(longer).is_err());
}

/// A proof is of one statement: its outputs, its context, and what it shows of the inputs.
#[test]
fn a_proof_of_another_statement() {
    let case = Case::<Clear>::new(suite::two_ports(), 1, &private(Weights::Compact));
    let (statement, proof) = case.pk.prove_integers(&case.inputs).expect("proves");
    let refused = |change: &dyn Fn(&mut Statement)| {
        let mut other = statement.clone();
        change(&mut other);
        case.vk
            .verify(&other, &proof)
            .expect_err("another statement")
    };
    refused(&|s| public(&mut s.outputs[0])[0] ^= 1);
    refused(&|s| s.context[31] ^= 1);
    // Nobody can pass a public input for a private one, or the other way round.
    let inputs = case.inputs.clone();
    let shown = refused(&|s| s.inputs[0] = PortValue::Public(inputs[0].clone()));
    assert!(
        shown.to_string().contains("public in the statement"),
        "{shown}"
    );
    let open = Case::<Clear>::new(suite::two_ports(), 1, &SetupOptions::default());
    let (mut clear, proof) = open.pk.prove_integers(&open.inputs).expect("proves");
    assert_eq!(public(&mut clear.inputs[0]), &open.inputs[0]);
    clear.inputs[0] = PortValue::Private;
    let hidden = open.vk.verify(&clear, &proof).expect_err("hidden");
    assert!(
        hidden.to_string().contains("private in the statement"),
        "{hidden}"
    );
    // The keys are different ones, and so are their proofs.
    assert_ne!(open.vk.digest(), case.vk.digest());
}

#[test]
fn inputs_are_hidden_one_by_one() {
    let each = |visibilities: [Visibility; 2]| SetupOptions {
        inputs: Visibilities::each(visibilities),
        ..SetupOptions::default()
    };
    let (shown, hidden) = (Visibility::Public, Visibility::Private);
    let mut digests = vec![];
    for visibilities in [
        [shown, hidden],
        [hidden, shown],
        [hidden, hidden],
        [shown, shown],
    ] {
        let case = Case::<Clear>::new(suite::two_ports(), 2, &each(visibilities));
        let (statement, proof) = case.pk.prove_integers(&case.inputs).expect("proves");
        case.vk.verify(&statement, &proof).expect("verifies");
        digests.push(case.vk.digest());
        for (k, (value, visibility)) in statement.inputs.iter().zip(visibilities).enumerate() {
            let expected = match visibility {
                Visibility::Public => PortValue::Public(case.inputs[k].clone()),
                Visibility::Private => PortValue::Private,
                Visibility::Committed { .. } => unreachable!("nothing is committed"),
            };
            assert_eq!(*value, expected);
        }
        // What is shown is proven.
        for k in 0..2 {
            if let PortValue::Public(cells) = &statement.inputs[k] {
                let mut other = statement.clone();
                let mut cells = cells.clone();
                cells[0] = if cells[0] > 0 {
                    cells[0] - 1
                } else {
                    cells[0] + 1
                };
                other.inputs[k] = PortValue::Public(cells);
                assert!(case.vk.verify(&other, &proof).is_err());
            }
        }
    }
    digests.sort_unstable_by_key(|digest| digest.0);
    digests.dedup();
    assert_eq!(digests.len(), 4, "the visibility is part of the digest");
}

/// Two proofs of one run share no message but what both are about.
#[test]
fn proofs_are_fresh() {
    let case = Case::<Joint>::new(suite::mlp(), 1, &private(Weights::Compact));
    let prove = || case.pk.prove_integers(&case.inputs).expect("proves").1.tape;
    let (a, b) = (prove(), prove());
    let words = |tape: &[u8]| -> std::collections::BTreeSet<[u8; 8]> {
        tape.windows(8)
            .map(|w| w.try_into().expect("8 bytes"))
            .collect()
    };
    let common = words(&a).intersection(&words(&b)).count();
    // Proofs of work are small numbers: windows of seven zeros and a byte.
    assert!(common < 40, "{common}");
}

/// Cells of a private input beyond its interval are found out, and so is any other lie.
#[test]
fn lies_about_hidden_inputs() {
    let mut lies = 0;
    for (name, model) in models() {
        let case = Case::<Clear>::new(model, 2, &private(Weights::Compact));
        let graph = case.vk.graph();
        let outputs = case.pk.prove_integers(&case.inputs).expect(name).0.outputs;
        for port in &graph.inputs {
            let input = graph.node(port.tensor);
            assert!(matches!(input.op, Op::Input));
            let guard = graph.guard(port).expect("a guard");
            let index = graph
                .inputs
                .iter()
                .position(|p| p == port)
                .expect("its port");
            for beyond in [input.interval.hi + 1, input.interval.lo - 1] {
                let mut inputs = case.inputs.clone();
                inputs[index][0] = beyond;
                let everywhere = case.forged(&inputs, None);
                let only_there = case.forged(&case.inputs, Some((guard.0, F::from_i64(beyond))));
                let other = F::from_i64(case.inputs[index][0] ^ 1);
                let not_the_same = case.forged(&case.inputs, Some((guard.0, other)));
                for forged in [everywhere, only_there, not_the_same] {
                    if let Ok((statement, proof)) = forged {
                        let verdict = case.vk.verify(&statement, &proof);
                        assert!(verdict.is_err(), "{name}: {}", port.name);
                    }
                    lies += 1;
                }
            }
        }
        // An output that another input would have.
        let (mut statement, proof) = case.pk.prove_integers(&case.inputs).expect(name);
        public(&mut statement.outputs[0])[0] += 1;
        assert!(case.vk.verify(&statement, &proof).is_err());
        assert_ne!(outputs, statement.outputs);
    }
    assert!(lies > 50, "{lies}");
}

/// A key whose private input has no guard says nothing about it and is refused.
#[test]
fn keys_without_guards() {
    let model = suite::mlp();
    let open = Case::<Clear>::new(model.clone(), 1, &SetupOptions::default());
    for who in [Visibility::Private, Visibility::COMMITTED] {
        let options = SetupOptions {
            inputs: Visibilities::all(who),
            ..SetupOptions::default()
        };
        let constants = open.vk.constants.clone();
        let vk = VerifyingKey::<Clear>::new(valid(&model.graph), constants, options, 1);
        let refused = VerifyingKey::<Clear>::from_bytes(&vk.to_bytes());
        let refused = refused.expect_err("no guard").to_string();
        assert!(
            refused.contains("no lookup of the hidden input"),
            "{refused}"
        );
    }
    // Setup makes one, once.
    let mut guarded = model.clone();
    guarded.graph.add_guard(0).expect("a small interval");
    let nodes = guarded.graph.nodes.len();
    assert_eq!(nodes, model.graph.nodes.len() + 1);
    guarded.graph.add_guard(0).expect("a small interval");
    assert_eq!(guarded.graph.nodes.len(), nodes);
    let [a, b] = [model, guarded].map(|model| {
        let case = Case::<Clear>::new(model, 1, &private(Weights::Compact));
        case.vk.digest()
    });
    assert_eq!(a, b);
}

#[test]
fn visibilities_of_another_model() {
    for count in [0, 1, 3] {
        let options = SetupOptions {
            inputs: Visibilities::each(vec![Visibility::Private; count]),
            ..SetupOptions::default()
        };
        let refused = setup_scheme::<Clear>(suite::two_ports(), &options).map(|_| ());
        let Err(SetupError::Visibilities { found, ports, .. }) = refused else {
            panic!("{count} visibilities of two inputs");
        };
        assert_eq!((found, ports), (count, 2));
    }
}

/// An input that cannot be proven is not told apart from others by the error; a run tells.
#[test]
fn failures_say_nothing_of_hidden_inputs() {
    for (options, told) in [
        (private(Weights::Compact), false),
        (SetupOptions::default(), true),
    ] {
        let case = Case::<Clear>::new(suite::mlp(), 1, &options);
        let mut inputs = case.inputs.clone();
        inputs[0][2] = 7_777;
        let error = case
            .pk
            .prove_integers(&inputs)
            .expect_err("beyond the interval");
        assert_eq!(error.to_string().contains("7777"), told, "{error}");
        assert_eq!(matches!(error, ProveError::Hidden), !told);
        let run = case.pk.run(&inputs).map(|_| ());
        assert!(
            run.expect_err("beyond the interval")
                .to_string()
                .contains("7777")
        );
    }
}

#[test]
fn inputs_that_are_too_long_to_look_up() {
    let mut model = suite::linear_only();
    let port = model.graph.inputs[0].tensor.0;
    model.graph.nodes[port].interval.hi = 1 << 21;
    model.graph.nodes[port + 1].interval.hi = 1 << 40;
    model.graph.nodes[port + 1].interval.lo = -(1 << 40);
    let refused = setup_scheme::<Clear>(model.clone(), &private(Weights::Compact));
    let Err(SetupError::Guard(refused)) = refused.map(|_| ()) else {
        panic!("2^21 values are not looked up");
    };
    let text = refused.to_string();
    assert!(
        text.contains("2097152") && text.contains("1048576"),
        "{text}"
    );
    setup_scheme::<Clear>(model, &SetupOptions::default()).expect("a public input");
}

/// The verifier's verdict does not depend on which check of a sealed proof failed.
#[test]
fn sealed_proofs_fail_without_detail() {
    let case = Case::<Clear>::new(suite::mlp(), 1, &private(Weights::Compact));
    let (mut statement, proof) = case.pk.prove_integers(&case.inputs).expect("proves");
    public(&mut statement.outputs[0])[1] += 1;
    let refused = case.vk.verify(&statement, &proof);
    assert!(
        matches!(refused, Err(VerifyError::Opening(_) | VerifyError::Tape(_))),
        "{refused:?}"
    );
}
