//! Certificates of keys, and makers of keys who commit to more than weights.

use super::build::{Builder, inputs, valid, window};
use super::field_witness::{Faces, FieldWitness, padded_tensor};
use super::suite::{self, models};
use crate::Visibilities;
use crate::certificate::start;
use crate::constants::{Constants, HiddenWeights};
use crate::file;
use crate::key::FileKind;
use crate::plan::WeightPlan;
use crate::registration::Registration;
use crate::tensor::Tensor;
use crate::tensor::for_each_live;
use crate::weights;
use crate::{
    FileError, ProveError, ProvingKey, SetupError, SetupOptions, Trust, Uses, VerifyError,
    VerifyingKey, Weights, certified_model, file_kind, setup_scheme,
};
use zkstrata_mle::{F, PrimeCharacteristicRing};
use zkstrata_model_ir::int::{Model, Op, TensorId, WeightBits};
use zkstrata_pcs::joint::{Column, Joint, RelationProver};
use zkstrata_pcs::{Clear, Error, ProverTape, Seed, TapeError};

const OPTIONS: SetupOptions = SetupOptions {
    weights: Weights::Compact,
    proof: crate::ProofProfile::Fast,
    trust: Trust::Certificate,
    inputs: Visibilities::PUBLIC,
    outputs: Visibilities::PUBLIC,
};

/// The keys of a model, the verifying one as it comes out of a file, and the certificate.
fn keys<C: RelationProver>(model: Model) -> (ProvingKey<C>, VerifyingKey<C>, Option<Vec<u8>>) {
    let (pk, vk) = setup_scheme::<C>(model, &OPTIONS).expect("sets up");
    let read = VerifyingKey::from_bytes(&vk.to_bytes()).expect("reads");
    let certificate = pk.certificate().expect("a certificate");
    (pk, read, certificate)
}

fn proves<C: RelationProver>(model: Model) {
    let x = inputs(&model, 2, 5);
    let (pk, mut vk, certificate) = keys::<C>(model);
    let (statement, proof) = pk.prove_integers(&x).expect("proves");
    match certificate {
        Some(bytes) => {
            assert_eq!(file_kind(&bytes), Some(FileKind::Certificate));
            assert_eq!(certified_model(&bytes), Ok(vk.digest()));
            let early = vk.verify(&statement, &proof);
            assert!(matches!(early, Err(VerifyError::Uncertified)), "{early:?}");
            assert!(!vk.is_certified());
            vk.certify(&bytes).expect("the certificate is right");
            let security = vk.certificate_security().expect("terms").expect("a term");
            assert!(security.is_enough(), "{security:?}");
        }
        None => assert_eq!(vk.trust(), Trust::Maker),
    }
    assert!(vk.is_certified());
    vk.verify(&statement, &proof).expect("verifies");
    let again = ProvingKey::<C>::from_bytes(&pk.to_bytes()).expect("reads");
    assert_eq!(again.verifying_key().digest(), vk.digest());
    assert_eq!(again.verifying_key().trust(), vk.trust());
}

#[test]
fn certified_keys_verify_proofs() {
    let mut certified = 0;
    for (name, model) in models() {
        println!("{name}");
        certified += usize::from(!WeightPlan::new(&model.graph).shape.is_empty());
        proves::<Clear>(model);
    }
    assert!(certified > 10);
    proves::<Joint>(suite::mlp());
    proves::<Joint>(suite::wide());
}

#[test]
fn only_committed_weights_have_a_certificate() {
    let options = SetupOptions {
        weights: Weights::Public,
        ..OPTIONS
    };
    let (pk, vk) = setup_scheme::<Joint>(suite::mlp(), &options).expect("sets up");
    assert_eq!(vk.trust(), Trust::Maker);
    assert_eq!(pk.certificate().expect("none"), None);
    assert_eq!(vk.certificate_security().expect("none"), None);
}

/// Nobody can pass one kind of key for the other: a digest is of one of them, and a file that says of
/// public weights that they have a certificate is none.
#[test]
fn keys_say_whether_they_need_a_certificate() {
    let digest = |trust| {
        let options = SetupOptions { trust, ..OPTIONS };
        let keys = setup_scheme::<Joint>(suite::wide(), &options);
        keys.expect("sets up").1.digest()
    };
    assert_ne!(digest(Trust::Maker), digest(Trust::Certificate));
    let options = SetupOptions {
        weights: Weights::Public,
        ..OPTIONS
    };
    let (_, vk) = setup_scheme::<Joint>(suite::mlp(), &options).expect("sets up");
    let file = file::edited(file::VERIFYING_KEY, &vk.to_bytes(), |bytes| {
        // The trust, who sees each of one input and of one output, and the largest batch, two bytes here,
        // come last.
        assert_eq!(bytes[bytes.len() - 9..], [0, 1, 1, 0, 1, 1, 0, 0x80, 0x08]);
        let trust = bytes.len() - 9;
        bytes[trust] = 1;
    });
    let error = VerifyingKey::<Joint>::from_bytes(&file).expect_err("public weights");
    assert!(
        error
            .to_string()
            .contains("only weights that are committed to"),
        "{error}"
    );
}

/// A key that says that its maker is trusted cannot be passed off as a certified one: not even by a
/// certificate with nothing in it.
#[test]
fn no_certificate_vouches_for_a_trusted_maker() {
    let options = SetupOptions {
        trust: Trust::Maker,
        ..OPTIONS
    };
    for weights in [Weights::Compact, Weights::Public] {
        let options = SetupOptions {
            weights,
            ..options.clone()
        };
        let (pk, vk) = setup_scheme::<Joint>(suite::wide(), &options).expect("sets up");
        assert_eq!(pk.certificate().expect("none"), None);
        let mut vk = VerifyingKey::<Joint>::from_bytes(&vk.to_bytes()).expect("reads");
        let (_, _, some) = keys::<Joint>(suite::wide());
        let some = some.expect("some");
        let of_this_key = [&some[..12], &vk.digest().0].concat();
        let empty = [&of_this_key[..], &[0]].concat();
        let others = [&of_this_key[..], &some[44..]].concat();
        for bytes in [empty, others, some] {
            let error = vk.certify(&bytes);
            assert!(
                matches!(error, Err(VerifyError::Uncertifiable)),
                "{error:?}"
            );
        }
    }
}

/// A key with one cell of its weights changed, and its verdict on its certificate.
fn spoilt(weights: Weights, model: &Model, column: usize, cell: usize) -> Result<(), VerifyError> {
    let (pk, mut vk) = spoilt_keys(weights, model, column, cell);
    let certificate = pk.certificate().expect("made").expect("some");
    vk.certify(&certificate)
}

/// Keys of weights of which one cell is changed, and whose maker does not know it.
fn spoilt_keys(
    weights: Weights,
    model: &Model,
    column: usize,
    cell: usize,
) -> (ProvingKey<Clear>, VerifyingKey<Clear>) {
    let plan = WeightPlan::new(&model.graph);
    let (word, profile) = (OPTIONS.trust.word(), OPTIONS.proof);
    let layout = match weights {
        Weights::Hidden(uses) => plan.hidden_layout(word, profile, uses.sessions),
        _ => plan.layout(&valid(&model.graph), word, profile),
    };
    let layout = layout.expect("a layout");
    let mut columns = weights::columns(model, &plan);
    let changed = &mut columns[column];
    let mut cells: Vec<F> = match changed {
        Column::I8(cells) => cells.iter().map(|&x| F::from_i8(x)).collect(),
        Column::I16(cells) => cells.iter().map(|&x| F::from_i16(x)).collect(),
        Column::I32(cells) => cells.iter().map(|&x| F::from_i32(x)).collect(),
        Column::I64(cells) => cells.iter().map(|&x| F::from_i64(x)).collect(),
        Column::Field(cells) => cells.clone(),
    };
    cells[cell] += F::ONE;
    *changed = Column::Field(cells);
    let (commitment, ()) = Clear::commit(&layout, columns).expect("commits");
    let (constants, seed) = match weights {
        Weights::Hidden(uses) => {
            let hidden = HiddenWeights {
                commitment,
                uses,
                bits: model.weight_bits(),
            };
            (Constants::Hidden(hidden), Some(Seed::new([7; 32])))
        }
        _ => (Constants::Committed(commitment), None),
    };
    let vk = VerifyingKey::<Clear>::new(valid(&model.graph), constants, OPTIONS, 1);
    let vk = VerifyingKey::<Clear>::from_bytes(&vk.to_bytes()).expect("reads");
    let executor = zkstrata_model_ir::int::Executor::new(model).expect("a valid model");
    let pk = ProvingKey::new(model.clone(), executor, vk.clone(), (Some(()), seed));
    (pk, vk)
}

/// A maker who knows of the garbage in the padding of an input axis makes lookups that hold of the key: they
/// speak of live cells.
#[test]
fn garbage_in_the_padding_of_hidden_weights() {
    let weights = Weights::Hidden(Uses::default());
    let model = suite::mlp();
    // The first layer has five inputs, and so the cells behind the fifth are padding.
    let cell = 5;
    let (_, mut vk) = spoilt_keys(weights, &model, 0, cell);
    let key = vk.clone();
    let plan = WeightPlan::new(&model.graph);
    let layout = key.key_layout(&plan).expect("a layout");
    let bits = key.weight_bits().expect("hidden weights");
    let registration = Registration::new(&key, bits, &plan, &layout).expect("a registration");
    let honest = registration.witness(&model).expect("looked up");
    let ranges = registration.plan();
    let field = |node: usize, tensor: &Tensor| {
        let mut cells: Vec<F> = match tensor.column(0) {
            Column::I16(cells) => cells.iter().map(|&x| F::from_i16(x)).collect(),
            Column::I32(cells) => cells.iter().map(|&x| F::from_i32(x)).collect(),
            Column::I64(cells) => cells.iter().map(|&x| F::from_i64(x)).collect(),
            other => panic!("integers, not {other:?}"),
        };
        cells.resize(1 << ranges.num_vars(TensorId(node)), F::ZERO);
        if node == 0 {
            cells[cell] += F::ONE;
        }
        padded_tensor(ranges, node, cells)
    };
    let tensors = honest.tensors.iter().enumerate();
    let remainders = honest.remainders.iter().enumerate();
    let witness = FieldWitness {
        tensors: tensors.map(|(node, x)| field(node, x)).collect(),
        remainders: remainders
            .map(|(node, limbs)| limbs.iter().map(|x| field(node, x)).collect())
            .collect(),
        multiplicities: honest.multiplicities,
        faces: Faces::default(),
    };
    let mut tape = ProverTape::new(&start(key.digest()));
    let seed = Seed::new([8; 32]);
    let made = registration.prove_witness::<Clear, _>(witness, &(), &seed, &mut tape);
    made.expect("made");
    let certificate = file::encode(file::CERTIFICATE, &(key.digest(), tape.finish()));
    let error = vk
        .certify(&certificate)
        .expect_err("garbage in the padding");
    let rejected = matches!(
        error,
        VerifyError::Opening(Error::Tape(TapeError::Rejected { .. }))
    );
    assert!(rejected, "{error:?}");
}

/// Of all cells of all weights just those are refused to be anything that lie at the padding of an
/// input axis.
#[test]
fn padding_is_zero() {
    cells_are_bound(Weights::Compact);
}

/// Of hidden weights all are: the key commits to what was looked up.
#[test]
fn hidden_weights_are_those_that_are_looked_up() {
    cells_are_bound(Weights::Hidden(Uses::default()));
}

fn cells_are_bound(weights: Weights) {
    let hidden = weights != Weights::Compact;
    let (mut refused, mut accepted) = (0, 0);
    for (name, model) in models() {
        let plan = WeightPlan::new(&model.graph);
        let mut column = 0;
        for (&node, table) in plan.nodes.iter().zip(&plan.shape) {
            let Op::Affine(affine) = &model.graph.nodes[node].op else {
                panic!("a layer");
            };
            let shape = affine.weight_shape();
            // Whether a place lies at padding of the inputs, whose axes are the last ones.
            let padding = |mut place: usize| {
                shape.inputs.iter().rev().any(|&n| {
                    let padded = n.next_power_of_two();
                    let index = place % padded;
                    place /= padded;
                    index >= n
                })
            };
            // The first and the last tap, some of the cells of large layers.
            for tap in [0, table.width - 1] {
                for cell in (0..table.live).step_by(1 + table.live / 50) {
                    let verdict = spoilt(weights, &model, column + tap, cell);
                    if padding(cell) || hidden {
                        let error = verdict.expect_err("garbage in the padding");
                        let rejected = matches!(
                            error,
                            VerifyError::Opening(Error::Tape(TapeError::Rejected { .. }))
                        );
                        assert!(rejected, "{name}: {error:?}");
                        refused += 1;
                    } else {
                        verdict.unwrap_or_else(|e| panic!("{name}, cell {cell}: {e}"));
                        accepted += 1;
                    }
                }
            }
            column += table.width;
        }
        let biases = plan.biases.iter().filter(|_| hidden);
        for block in biases {
            for_each_live(&block.axes, |_, at| {
                let verdict = spoilt(weights, &model, column, block.offset + at);
                verdict.expect_err("another bias");
            });
        }
    }
    assert!(refused > 100, "{refused}");
    assert!(hidden || accepted > 100, "{accepted}");
}

#[test]
fn other_bytes_are_no_certificate() {
    let (_, mut vk, certificate) = keys::<Joint>(suite::wide());
    let certificate = certificate.expect("some");
    let (_, _, other) = keys::<Joint>(suite::mlp());
    let error = vk.certify(&other.expect("some"));
    assert!(matches!(error, Err(VerifyError::Certificate { .. })));
    let error = vk.certify(&vk.to_bytes());
    let magic = FileError::Magic {
        expected: "certificate (.zkct)",
    };
    assert!(matches!(error, Err(VerifyError::File(e)) if e == magic));
    for cut in [0, 8, 12, 40, certificate.len() - 1] {
        assert!(vk.certify(&certificate[..cut]).is_err(), "{cut}");
    }
    for at in (0..certificate.len()).step_by(certificate.len() / 97) {
        let mut wrong = certificate.clone();
        wrong[at] ^= 1;
        assert!(vk.certify(&wrong).is_err(), "{at}");
        assert!(!vk.is_certified());
    }
    let mut long = certificate.clone();
    long.push(0);
    assert!(vk.certify(&long).is_err());
    vk.certify(&certificate).expect("the certificate");
}

/// What a certificate is about is the key with everything in it: weights that differ in one place
/// have another.
#[test]
fn a_certificate_of_other_weights() {
    let model = suite::wide();
    let mut other = model.clone();
    other.weights[0].update(|w| w[0] ^= 1);
    let (_, mut vk, _) = keys::<Joint>(model);
    let (_, _, certificate) = keys::<Joint>(other);
    // As if it were about this key.
    let mut bytes = certificate.expect("some");
    let at = 12..12 + 32;
    bytes[at].copy_from_slice(&vk.digest().0);
    let error = vk.certify(&bytes).expect_err("of other weights");
    assert!(
        !matches!(error, VerifyError::Certificate { .. }),
        "{error:?}"
    );
}

/// Five input channels, whose padding is two blocks, and a window of 36,100 taps.
#[test]
fn a_key_asks_for_no_more_claims_than_allowed() {
    let mut b = Builder::new(3);
    let x = b.input(&[5, 190, 190], -1, 1);
    let full = || window(190, 190, 1, 0, 1);
    let y = b.conv(x, &[], &[5], &[1], vec![full(), full()]);
    b.output(y);
    let error = setup_scheme::<Clear>(b.finish(), &OPTIONS).err();
    let error = error.expect("72,200 claims").to_string();
    assert!(error.contains("72200 columns"), "{error}");
}

/// A maker cannot tell smaller weights than the key commits to, nor weights of a size with which numbers
/// may wrap.
#[test]
fn sizes_are_proven() {
    let options = SetupOptions {
        weights: Weights::Hidden(Uses::default()),
        ..OPTIONS
    };
    let mut model = suite::mlp();
    let (_, vk) = setup_scheme::<Clear>(model.clone(), &options).expect("sets up");
    let told = vk.weight_bits().expect("hidden weights");
    assert_eq!(told, model.weight_bits());
    let tell = |bits: WeightBits| {
        let Constants::Hidden(hidden) = &vk.constants else {
            panic!("hidden weights");
        };
        let hidden = HiddenWeights {
            bits,
            ..hidden.clone()
        };
        let constants = Constants::Hidden(hidden);
        let vk = VerifyingKey::<Clear>::new(vk.graph.clone(), constants, options.clone(), 1);
        VerifyingKey::<Clear>::from_bytes(&vk.to_bytes())
    };
    for bits in [
        WeightBits { weights: 9, ..told },
        WeightBits { biases: 0, ..told },
        WeightBits { biases: 64, ..told },
    ] {
        let error = tell(bits).expect_err("no size, or too large a one");
        assert!(matches!(error, FileError::Malformed(_)), "{error:?}");
    }
    // The honest maker's certificate of a model within what is told, for a key that has another weight.
    let vk = tell(told).expect("a key");
    let executor = zkstrata_model_ir::int::Executor::new(&model).expect("a valid model");
    let seed = || Some(Seed::new([7; 32]));
    let pk = ProvingKey::new(model.clone(), executor, vk.clone(), (Some(()), seed()));
    let certificate = pk.certificate().expect("made").expect("some");
    let mut certified = vk.clone();
    certified
        .certify(&certificate)
        .expect("the weights of the key");
    // A weight that is too large is not looked up.
    model.weights[0].update(|w| w[0] = 1 << (told.weights - 1));
    model.coarsen().expect("bounded");
    let executor = zkstrata_model_ir::int::Executor::new(&model).expect("a valid model");
    let pk = ProvingKey::new(model, executor, vk, (Some(()), seed()));
    let error = pk.certificate().expect_err("a weight beyond its bits");
    assert!(matches!(error, ProveError::Run(_)), "{error:?}");
}

/// Whoever trusts a maker of hidden weights makes a key of numbers as large as they are.
#[test]
fn numbers_that_might_wrap() {
    let mut b = Builder::new(5);
    let x = b.input(&[5], -(1 << 20), 1 << 20);
    let mut y = b.dense(x, &[5], &[6]);
    for _ in 0..4 {
        y = b.dense(y, &[6], &[6]);
    }
    b.output(y);
    let mut model = b.finish();
    for weights in &mut model.weights {
        *weights = weights.iter().map(i32::signum).collect();
    }
    let options = |trust| SetupOptions {
        weights: Weights::Hidden(Uses::default()),
        trust,
        ..OPTIONS
    };
    setup_scheme::<Clear>(model.clone(), &options(Trust::Maker)).expect("the numbers are small");
    let error = setup_scheme::<Clear>(model, &options(Trust::Certificate)).err();
    let error = error.expect("2^(20 + 5 * (7 + 2.6))");
    assert!(matches!(error, SetupError::AnyWeights(_)), "{error}");
}
