//! The tape of real proofs, altered in every way that keeps or breaks its form: all rejected, none
//! panics. Keys and statements of another model likewise.

use super::build::{inputs, plan_of};
use super::suite::public;
use super::suite::{self, models};
use crate::PortValue;
use crate::constants::{Constants, PublicWeights};
use crate::file;
use crate::key::file_of;
use crate::proof::Proof;
use crate::witness::Witness;
use crate::{
    FileError, FileKind, MAX_BATCH, ProvingKey, SetupOptions, Statement, VerifyError, VerifyingKey,
    Weights, decode_proof, encode_proof, setup_scheme,
};
use std::ops::Range;
use zkstrata_model_ir::Digest;
use zkstrata_model_ir::int::{
    Entry, Graph, Interval, Map, MapAxis, Model, Node, Op, Tap, TensorId,
};
use zkstrata_pcs::Clear;
use zkstrata_pcs::joint::{Joint, RelationProver};

struct Real<C: RelationProver> {
    vk: VerifyingKey<C>,
    pk: ProvingKey<C>,
    statement: Statement,
    tape: Vec<u8>,
    messages: Vec<(&'static str, Range<usize>)>,
}

impl<C: RelationProver> Real<C> {
    fn new(model: Model, batch: usize) -> Self {
        Self::with(model, batch, Weights::Compact)
    }

    fn with(model: Model, batch: usize, weights: Weights) -> Self {
        let inputs = inputs(&model, batch, 5);
        let (pk, vk) = setup_scheme::<C>(
            model,
            &SetupOptions {
                weights,
                ..SetupOptions::default()
            },
        )
        .expect("sets up");
        let (statement, proof) = pk.prove_integers(&inputs).expect("proves");
        vk.verify(&statement, &proof).expect("verifies");
        let plan = plan_of(vk.graph(), batch);
        let witness = Witness::new(&plan, pk.run(&inputs).expect("runs"));
        let (tape, messages) = pk
            .prove_witness(&plan, &statement, &witness, None)
            .expect("proves");
        let messages = messages.into_iter().map(|m| (m.label, m.range)).collect();
        Self {
            vk,
            pk,
            statement,
            tape,
            messages,
        }
    }

    fn verdict(&self, tape: Vec<u8>) -> Result<(), VerifyError> {
        self.vk.verify(&self.statement, &Proof { tape })
    }
}

/// Alters, removes and duplicates every message, and cuts and extends the tape.
fn attack_tape<C: RelationProver>(model: Model, weights: Weights) {
    let real = Real::<C>::with(model, 2, weights);
    let covered: usize = real.messages.iter().map(|(_, r)| r.len()).sum();
    assert_eq!(covered, real.tape.len(), "every byte belongs to a message");
    for (label, range) in &real.messages {
        for position in [0, range.len() / 3, range.len() / 2, range.len() - 1] {
            for mask in [1u8, 0x80] {
                let mut tape = real.tape.clone();
                tape[range.start + position] ^= mask;
                assert!(
                    real.verdict(tape).is_err(),
                    "`{label}` altered at {position}"
                );
            }
        }
        let removed = [&real.tape[..range.start], &real.tape[range.end..]].concat();
        assert!(real.verdict(removed).is_err(), "`{label}` removed");
        let doubled = [&real.tape[..range.end], &real.tape[range.start..]].concat();
        assert!(real.verdict(doubled).is_err(), "`{label}` duplicated");
        let zeroed = [
            &real.tape[..range.start],
            &vec![0; range.len()],
            &real.tape[range.end..],
        ]
        .concat();
        if zeroed != real.tape {
            assert!(real.verdict(zeroed).is_err(), "`{label}` zeroed");
        }
        assert!(real.verdict(real.tape[..range.start].to_vec()).is_err());
    }
    assert!(real.verdict(vec![]).is_err(), "an empty tape");
    for extra in [vec![0u8], vec![0; 16], vec![0xff; 40]] {
        let tape = [real.tape.as_slice(), &extra].concat();
        assert!(real.verdict(tape).is_err(), "an extended tape");
    }
}

#[test]
fn every_altered_tape_is_rejected_in_the_clear() {
    for (_, model) in models() {
        attack_tape::<Clear>(model.clone(), Weights::Compact);
        attack_tape::<Clear>(model, Weights::Public);
    }
}

#[test]
fn every_altered_tape_is_rejected_when_committed() {
    attack_tape::<Joint>(suite::mlp(), Weights::Compact);
    attack_tape::<Joint>(suite::wide(), Weights::Compact);
    attack_tape::<Joint>(suite::wide(), Weights::Public);
}

#[test]
fn statements_that_differ_are_rejected() {
    let real = Real::<Joint>::new(suite::conv(), 2);
    let proof = Proof {
        tape: real.tape.clone(),
    };
    let rejects = |edit: &dyn Fn(&mut Statement)| {
        let mut statement = real.statement.clone();
        edit(&mut statement);
        assert_ne!(statement, real.statement);
        real.vk
            .verify(&statement, &proof)
            .expect_err("a changed statement")
    };
    let error = rejects(&|s| s.model = Digest([7; 32]));
    assert!(matches!(error, VerifyError::Statement(_)), "{error}");
    rejects(&|s| public(&mut s.inputs[0])[3] ^= 1);
    rejects(&|s| public(&mut s.outputs[0])[0] += 1);
    rejects(&|s| public(&mut s.outputs[0]).swap(0, 1));
    for (what, error) in [
        (
            "cell beyond its interval",
            rejects(&|s| public(&mut s.inputs[0])[3] = 1000),
        ),
        (
            "output beyond its interval",
            rejects(&|s| public(&mut s.outputs[0])[0] = i64::MIN),
        ),
        ("missing input", rejects(&|s| s.inputs.clear())),
        ("missing output", rejects(&|s| s.outputs.clear())),
        (
            "short output",
            rejects(&|s| public(&mut s.outputs[0]).truncate(3)),
        ),
        (
            "short input",
            rejects(&|s| public(&mut s.inputs[0]).truncate(17)),
        ),
        (
            "empty batch",
            rejects(&|s| public(&mut s.inputs[0]).clear()),
        ),
        (
            "huge batch",
            rejects(&|s| {
                for tensor in s.inputs.iter_mut().chain(&mut s.outputs).map(public) {
                    *tensor = tensor.repeat(4096);
                }
            }),
        ),
    ] {
        assert!(
            matches!(error, VerifyError::Statement(_)),
            "{what}: {error}"
        );
    }
    // One inference of the two.
    rejects(&|s| {
        for tensor in s.inputs.iter_mut().chain(&mut s.outputs).map(public) {
            tensor.truncate(tensor.len() / 2);
        }
    });
}

#[test]
fn a_proof_under_another_models_key_is_rejected() {
    let real = Real::<Joint>::new(suite::mlp(), 1);
    let mut other = suite::mlp();
    other.weights[2].update(|w| w[0] += 1);
    let (_, vk) = setup_scheme::<Joint>(other, &SetupOptions::default()).expect("sets up");
    assert_ne!(vk.digest(), real.vk.digest());
    let proof = Proof {
        tape: real.tape.clone(),
    };
    assert!(vk.verify(&real.statement, &proof).is_err());
    // Even if the statement is made to name the other key.
    let mut statement = real.statement.clone();
    statement.model = vk.digest();
    assert!(vk.verify(&statement, &proof).is_err());
}

#[test]
fn clear_and_joint_agree() {
    for (name, model) in models() {
        let clear = Real::<Clear>::new(model.clone(), 3);
        let joint = Real::<Joint>::new(model, 3);
        assert_eq!(clear.statement.outputs, joint.statement.outputs, "{name}");
        let mut statement = joint.statement.clone();
        let interval = {
            let port = &joint.vk.graph().outputs[0];
            joint.vk.graph().node(port.tensor).interval
        };
        let cell = &mut public(&mut statement.outputs[0])[0];
        *cell = if *cell < interval.hi {
            *cell + 1
        } else {
            *cell - 1
        };
        let proof = Proof { tape: joint.tape };
        assert!(joint.vk.verify(&statement, &proof).is_err(), "{name}");
        statement.model = clear.vk.digest();
        let proof = Proof { tape: clear.tape };
        assert!(clear.vk.verify(&statement, &proof).is_err(), "{name}");
    }
}

#[test]
fn public_weights_must_fit_the_graph() {
    let real = Real::<Joint>::with(suite::conv(), 1, Weights::Public);
    let model = real.pk.model();
    let key = |edit: &dyn Fn(&mut Model)| {
        let mut other = model.clone();
        edit(&mut other);
        let constants = Constants::Public(PublicWeights::new(&other).into());
        let graph = model.graph.clone();
        let key = file_of::<Joint>(graph, constants, &SetupOptions::default(), 1);
        VerifyingKey::<Joint>::from_bytes(&key)
    };
    key(&|_| {}).expect("an honest key");
    for edit in [
        &(|m: &mut Model| m.weights[0].update(|w| w.truncate(3))) as &dyn Fn(&mut Model),
        &|m| m.weights[0].update(|w| w.push(0)),
        // A weight that takes cells out of their interval.
        &|m| m.weights[0].update(|w| w[0] = i32::MAX),
        &|m| drop(m.weights.pop()),
        &|m| drop(m.biases.pop()),
        &|m| m.biases[0].clear(),
    ] {
        assert!(matches!(key(edit), Err(FileError::Malformed(_))));
    }
}

fn files_round_trip_and_reject_what_is_not_canonical(weights: Weights) {
    let real = Real::<Joint>::with(suite::mlp(), 1, weights);
    let proof = Proof {
        tape: real.tape.clone(),
    };
    let file = encode_proof(&real.statement, &proof);
    assert_eq!(decode_proof(&file), Ok((real.statement.clone(), proof)));
    let vk = real.vk.to_bytes();
    assert_eq!(VerifyingKey::<Joint>::from_bytes(&vk), Ok(real.vk.clone()));
    let pk = ProvingKey::<Joint>::from_bytes(&real.pk.to_bytes()).expect("a proving key");
    assert_eq!(pk.verifying_key().digest(), real.vk.digest());

    let trailing = [file.as_slice(), &[0]].concat();
    assert_eq!(decode_proof(&trailing), Err(FileError::NotCanonical));
    assert!(matches!(
        decode_proof(&file[..file.len() - 1]),
        Err(FileError::Malformed(_))
    ));
    assert!(matches!(decode_proof(&vk), Err(FileError::Magic { .. })));
    assert!(matches!(decode_proof(&[]), Err(FileError::Magic { .. })));
    let mut version = file.clone();
    version[8] = 99;
    assert!(matches!(
        decode_proof(&version),
        Err(FileError::Version { found: 99, .. })
    ));
    assert!(matches!(
        VerifyingKey::<Clear>::from_bytes(&vk),
        Err(FileError::Scheme { .. } | FileError::Malformed(_))
    ));
    for cut in 0..vk.len().min(400) {
        assert!(VerifyingKey::<Joint>::from_bytes(&vk[..cut]).is_err());
    }
    // A checksum that fits does not make an encoding canonical.
    let trailing = file::edited(file::VERIFYING_KEY, &vk, |body| body.push(0));
    assert_eq!(
        VerifyingKey::<Joint>::from_bytes(&trailing),
        Err(FileError::NotCanonical)
    );
    let body = [&vk[44..], &[0]].concat();
    let checksum = blake3::hash(&body);
    let longer = [&vk[..12], checksum.as_bytes(), &body].concat();
    assert!(VerifyingKey::<Joint>::from_bytes(&longer).is_err());
    damaged_keys_are_refused(&vk, |key| VerifyingKey::<Joint>::from_bytes(key).map(drop));
    damaged_keys_are_refused(&real.pk.to_bytes(), |key| {
        ProvingKey::<Joint>::from_bytes(key).map(drop)
    });
}

/// A flipped bit after magic and version is damage, whether in the checksum or in the body.
fn damaged_keys_are_refused(key: &[u8], decode: impl Fn(&[u8]) -> Result<(), FileError>) {
    for position in (0..12).chain((12..key.len()).step_by(key.len() / 200 + 1)) {
        let mut bytes = key.to_vec();
        bytes[position] ^= 4;
        let error = decode(&bytes).expect_err("a damaged key");
        let as_expected = match position {
            0..8 => matches!(error, FileError::Magic { .. }),
            8..12 => matches!(error, FileError::Version { .. }),
            _ => error == FileError::Damaged,
        };
        assert!(as_expected, "byte {position}: {error}");
    }
    for length in [12, 43] {
        let error = decode(&key[..length]).expect_err("no checksum");
        assert!(matches!(error, FileError::Malformed(_)), "{error}");
    }
}

#[test]
fn files_of_both_kinds_of_weights() {
    files_round_trip_and_reject_what_is_not_canonical(Weights::Compact);
    files_round_trip_and_reject_what_is_not_canonical(Weights::Public);
}

#[test]
fn oversized_files_are_refused() {
    let tensors = |count| Statement {
        model: Digest([0; 32]),
        context: [0; 32],
        session: None,
        inputs: vec![PortValue::Private; count],
        outputs: vec![],
    };
    let proof = Proof { tape: vec![] };
    decode_proof(&encode_proof(&tensors(4096), &proof)).expect("4096 tensors");
    assert!(matches!(
        decode_proof(&encode_proof(&tensors(4097), &proof)),
        Err(FileError::Malformed(_))
    ));
    let large = vec![0; FileKind::Proof.limit() + 1];
    assert!(matches!(
        decode_proof(&large),
        Err(FileError::TooLarge { .. })
    ));
}

/// A key with another `max_batch` field, or with another graph.
fn hostile_key(
    edit: impl FnOnce(&mut Graph, &mut usize),
) -> Result<VerifyingKey<Clear>, FileError> {
    let (_, vk) =
        setup_scheme::<Clear>(suite::linear_only(), &SetupOptions::default()).expect("sets up");
    let (mut graph, mut max_batch) = (vk.graph().clone(), vk.max_batch());
    edit(&mut graph, &mut max_batch);
    let constants = match &vk.constants {
        constants if graph.weights > 0 => constants.clone(),
        _ => Constants::None,
    };
    let key = file_of::<Clear>(graph, constants, &SetupOptions::default(), max_batch);
    VerifyingKey::from_bytes(&key)
}

#[test]
fn hostile_keys_are_refused_without_work() {
    hostile_key(|_, _| {}).expect("an honest key");
    for batch in [0, MAX_BATCH + 1, usize::MAX / 2 + 2, usize::MAX] {
        assert!(hostile_key(|_, max| *max = batch).is_err(), "batch {batch}");
    }
    let window = |input| MapAxis::Window {
        input,
        output: 1,
        stride: 0,
        taps: vec![Tap {
            offset: 0,
            weight: 1,
        }],
        coefs: vec![],
    };
    let matrix = |input: usize| {
        let entry = |from| Entry {
            to: 0,
            from,
            weight: 1,
        };
        MapAxis::Matrix {
            input,
            output: 1,
            entries: (0..input as u32).map(entry).collect(),
        }
    };
    let huge = |axis: MapAxis, copies: usize| {
        hostile_key(|graph, _| {
            let input = axis.input();
            let map = Map {
                axes: vec![axis],
                fill: 0,
            };
            let zero = Interval { lo: 0, hi: 0 };
            let node = |op, inputs: &[usize], axes: Vec<usize>| Node {
                name: "hostile".into(),
                op,
                inputs: inputs.iter().map(|&i| TensorId(i)).collect(),
                axes,
                interval: zero,
            };
            let maps: Vec<usize> = (1..=copies).collect();
            let coefs = vec![1; copies];
            graph.nodes = vec![node(Op::Input, &[], vec![input])];
            graph
                .nodes
                .resize(1 + copies, node(Op::Map(map), &[0], vec![]));
            graph.nodes.push(node(Op::Sum { coefs }, &maps, vec![]));
            (graph.weights, graph.biases) = (0, vec![]);
            graph.inputs[0].shape = vec![input];
            graph.outputs[0].tensor = TensorId(1 + copies);
            graph.outputs[0].shape = vec![1];
        })
    };
    // Over 2^30 cells, which would be a vector of 16 GiB.
    assert!(huge(window(1 << 30), 1).is_err());
    let error = huge(matrix((1 << 22) + 1), 1).expect_err("too many entries");
    assert!(matches!(error, FileError::Malformed(_)), "{error}");
    let error = huge(window(1 << 20), 64).expect_err("too much work");
    assert!(error.to_string().contains("visits more than"), "{error}");
    for axis in [window(1 << 4), matrix(1 << 4)] {
        huge(axis, 2).expect("the same graph, small, is a key");
    }
}

/// The bytes of small proofs, all in the clear, with commitments, and with public weights. A
/// difference means that the protocol has changed: raise `FORMAT_VERSION`, or the scheme's
/// `PARAMETERS`.
#[test]
fn golden_proofs() {
    let cases = [
        ("mlp", suite::mlp(), Weights::Compact),
        ("wide", suite::wide(), Weights::Compact),
        ("wide", suite::wide(), Weights::Public),
    ];
    let digests = cases.map(|(name, model, weights)| {
        let real = Real::<Joint>::with(model, 1, weights);
        let proof = Proof { tape: real.tape };
        let digest = Digest::of("golden", &encode_proof(&real.statement, &proof));
        format!(
            "{name} {weights:?}\n  key {}\n  proof {digest}",
            real.vk.digest()
        )
    });
    insta::assert_snapshot!(digests.join("\n"), @r"
    mlp Compact
      key 2c158f07dee13f5973a16eee82e54eac98cd4270e8e78a18bbce5661d9f4977b
      proof cb295e81b78fbcd809517a3e223ec0bebfbbacc823c6ae6efd4b31ddcd939f51
    wide Compact
      key 36e6f8ac0179c360b78a387e091ebfe01e66c196dcb2f5751f1c006afe654138
      proof f3d063fed60ad3f43f449e0c2a79ad9b8ffd87363ea8ea92359b8886e533d650
    wide Public
      key fc8645ce2d6492be817bd9529fcf283067e5b25123ef76bb97f28a0c29fe36ed
      proof 319869c69bed484e252b0ab193ec3df37040360baa28adc842fa0ecb238946e1
    ");
}

#[test]
fn keys_are_shared_between_threads() {
    fn assert_shareable<T: Send + Sync + Clone + 'static>() {}
    assert_shareable::<ProvingKey<Joint>>();
    assert_shareable::<VerifyingKey<Joint>>();
    let real = Real::<Joint>::new(suite::mlp(), 1);
    let model = real.pk.model().clone();
    let threads: Vec<_> = (0..3)
        .map(|seed| {
            let (pk, vk) = (real.pk.clone(), real.vk.clone());
            let inputs = inputs(&model, 1, seed);
            std::thread::spawn(move || {
                let (statement, proof) = pk.prove_integers(&inputs).expect("proves");
                vk.verify(&statement, &proof).expect("verifies");
            })
        })
        .collect();
    for thread in threads {
        thread.join().expect("no panic");
    }
}
