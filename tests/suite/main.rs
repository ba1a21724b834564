//! Models, each through every stage: the float executor against the answer stored beside the model,
//! the integer model against float, proofs accepted, and changed statements and proofs rejected.

mod data;
mod trained;

use data::{Case, Sample, stored, suite};
use std::path::PathBuf;
use zkstrata::model_ir::quantise::{Accuracy, Options, Profile, quantise};
use zkstrata::ndarray::ArrayD;
use zkstrata::{
    PortValue, ProvingKey, Statement, VerifyingKey, decode_proof, encode_proof, onnx_import,
};

/// Models of the repository.
const MODELS: [&str; 19] = [
    "activation_zoo",
    "conv_autoencoder",
    "digits_cnn",
    "digits_cnn_bn",
    "digits_cnn_dynamo18",
    "digits_cnn_opset11",
    "digits_cnn_opset13",
    "digits_cnn_qdq_perchannel",
    "digits_cnn_qoperator",
    "digits_dscnn",
    "digits_mlp",
    "digits_mlp_qdq",
    "digits_vit",
    "lenet5",
    "lstm_small",
    "skl_gbt_cancer",
    "skl_logreg_digits",
    "skl_mlp_iris",
    "tiny_dscnn_kws",
];

/// Larger models.
const LARGE: [&str; 6] = [
    "cnn_cifar_264k",
    "cnn_cifar_62k",
    "mlp_4m",
    "nanogpt",
    "tiny_ad_autoencoder",
    "tiny_resnet8",
];

/// Largest error against the stored answer, relative to its largest magnitude or 1.
const FLOAT_ERROR: f32 = 1e-4;
/// Test inputs whose outputs are compared with float.
const TESTS: usize = 64;

/// A profile's bounds.
struct Bounds {
    profile: Profile,
    /// Largest error against float, relative to the largest cell of the output.
    max: f64,
    /// Root mean square of the error, relative to that of the output, on test inputs.
    rms: f64,
}

const BOUNDS: [Bounds; 2] = [
    Bounds {
        profile: Profile::Fast,
        max: 0.06,
        rms: 0.04,
    },
    Bounds {
        profile: Profile::Accurate,
        max: 0.01,
        rms: 0.005,
    },
];

#[test]
fn every_model_through_every_stage() {
    every_stage(MODELS.map(stored));
}

#[test]
#[ignore = "needs the suites of ZKSTRATA_SUITES"]
fn large_models_through_every_stage() {
    every_stage(LARGE.map(|name| suite().join(name)));
}

fn every_stage<const N: usize>(folders: [PathBuf; N]) {
    for folder in folders {
        let case = Case::read(folder);
        let name = &case.name;
        let sizes = float_answers(&case);
        let one = std::slice::from_ref(&case.input);
        let tests = &case.tests[..TESTS.min(case.tests.len())];
        for bounds in BOUNDS {
            let options = Options::new(bounds.profile);
            let quantised = quantise(&case.graph, &case.calibration, &options)
                .unwrap_or_else(|error| panic!("{name}: {error}"));
            let measure = |samples| {
                let accuracy = Accuracy::measure(&case.graph, &quantised.model, samples);
                let accuracy = accuracy.unwrap_or_else(|error| panic!("{name}: {error}"));
                assert_eq!(accuracy.verdict(), Ok(()), "{name} {:?}", bounds.profile);
                accuracy
            };
            for (close, size) in measure(one).outputs.iter().zip(&sizes) {
                assert!(
                    close.max_error <= bounds.max * size,
                    "{name} {:?}: {close:?} of {size}",
                    bounds.profile
                );
            }
            let tested = if tests.is_empty() {
                vec![]
            } else {
                measure(tests).outputs
            };
            for close in tested {
                assert!(
                    close.rms_error <= bounds.rms * close.rms,
                    "{name} {:?}: {close:?}",
                    bounds.profile
                );
            }
            let keys = zkstrata::setup(quantised.model);
            let (pk, vk) = keys.unwrap_or_else(|error| panic!("{name}: {error}"));
            prove(name, &pk, &vk, one);
        }
    }
}

/// Compares the float executor with the stored answers; the outputs' largest magnitudes.
fn float_answers(case: &Case) -> Vec<f64> {
    let name = &case.name;
    let values = case.graph.run(&case.input).expect("runs");
    let outputs = case.graph.outputs().iter().map(|(output, value)| {
        let (found, expected) = (&values[value.0], case.answer(output));
        let size = |x: &ArrayD<f32>| x.iter().fold(0.0_f32, |size, x| size.max(x.abs()));
        assert_eq!(found.len(), expected.len(), "{name}");
        for (x, y) in found.iter().zip(&expected) {
            let error = (x - y).abs();
            assert!(
                error <= FLOAT_ERROR * size(&expected).max(1.0),
                "{name}: {x} {y}"
            );
        }
        size(found).into()
    });
    outputs.collect()
}

/// Proves, verifies, and changes the statement and the proof.
fn prove(name: &str, pk: &ProvingKey, vk: &VerifyingKey, batch: &[Sample]) {
    let proven = pk.prove(batch);
    let proven = proven.unwrap_or_else(|error| panic!("{name}: {error}"));
    let (statement, proof) = (proven.statement, proven.proof);
    vk.verify(&statement, &proof)
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    let accepted = |changed: &Statement| vk.verify(changed, &proof).is_ok();
    for cells in 0..statement.outputs.len() {
        let mut changed = statement.clone();
        let last = changed.outputs[cells]
            .public_mut()
            .and_then(|cells| cells.last_mut());
        let last = last.expect("has cells");
        *last += if *last > 0 { -1 } else { 1 };
        assert!(!accepted(&changed), "{name}: output {cells}");
    }
    for cells in 0..statement.inputs.len() {
        let mut changed = statement.clone();
        let PortValue::Public(input) = &mut changed.inputs[cells] else {
            panic!("{name}: a public input");
        };
        input[0] += if input[0] > 0 { -1 } else { 1 };
        assert!(!accepted(&changed), "{name}: input {cells}");
    }
    let bytes = encode_proof(&statement, &proof);
    let accepted = |bytes: &[u8]| {
        let decoded = decode_proof(bytes);
        decoded.is_ok_and(|(statement, proof)| vk.verify(&statement, &proof).is_ok())
    };
    assert!(accepted(&bytes), "{name}");
    assert!(!accepted(&bytes[..bytes.len() - 1]), "{name}: truncated");
    assert!(!accepted(&[&bytes[..], &[0]].concat()), "{name}: longer");
    // The head of the file is its version and the statement, the rest the proof.
    for place in [
        bytes.len() - 1,
        bytes.len() - proof.len() / 2,
        bytes.len() - proof.len(),
    ] {
        let mut changed = bytes.clone();
        changed[place] ^= 1;
        assert!(!accepted(&changed), "{name}: byte {place}");
    }
}

/// Whatever else is in the suites is imported or refused.
#[test]
#[ignore = "needs the suites of ZKSTRATA_SUITES"]
fn no_model_makes_the_importer_panic() {
    for entry in suite().read_dir().expect("a directory") {
        let folder = entry.expect("an entry").path();
        let name = folder.file_name().expect("a name").to_string_lossy();
        let imported = onnx_import::import_file(&folder.join("model.onnx"));
        let listed = MODELS.contains(&&*name) || LARGE.contains(&&*name);
        match imported {
            Ok(_) if !listed => eprintln!("{name} can be imported: add it to the suite"),
            Ok(_) => {}
            Err(error) => assert!(!listed, "{name}: {error}"),
        }
    }
}
