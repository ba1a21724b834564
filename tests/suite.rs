//! The models of `../shared/models`, each through every stage: the float executor against the
//! answer stored beside the model, the integer model against float, proofs accepted, and changed
//! statements and proofs rejected.
//!
//! Skipped, with a message, where that directory does not exist.

use ndarray_npy::NpzReader;
use std::fs::File;
use std::path::{Path, PathBuf};
use zkstrata::model_ir::float::Graph;
use zkstrata::model_ir::quantise::{Accuracy, Calibration, Options, Profile, quantise, unstack};
use zkstrata::ndarray::ArrayD;
use zkstrata::{ProvingKey, Statement, VerifyingKey, decode_proof, encode_proof, onnx_import};

const MODELS: [&str; 19] = [
    "activation_zoo",
    "cnn_cifar_264k",
    "cnn_cifar_62k",
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
    "lenet5",
    "mlp_4m",
    "tiny_ad_autoencoder",
    "tiny_dscnn_kws",
    "tiny_resnet8",
];

/// Largest error against the stored answer, relative to its largest magnitude or 1.
const FLOAT_ERROR: f32 = 1e-4;
/// Test images that the models with calibration data classify.
const IMAGES: usize = 64;

/// A profile's bounds.
struct Bounds {
    profile: Profile,
    /// Largest error against float, relative to the largest output.
    max: f64,
    /// Root mean square of the error, relative to that of the output, on test images.
    rms: f64,
    /// Fraction of the test images with the same class.
    agreement: f64,
}

const BOUNDS: [Bounds; 2] = [
    Bounds {
        profile: Profile::Fast,
        max: 0.06,
        rms: 0.04,
        agreement: 0.95,
    },
    Bounds {
        profile: Profile::Accurate,
        max: 0.01,
        rms: 0.005,
        agreement: 0.98,
    },
];

fn models() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/models");
    if !path.is_dir() {
        eprintln!("skipped: {} does not exist", path.display());
        return None;
    }
    Some(path)
}

fn arrays(path: &Path, names: &[String]) -> Vec<ArrayD<f32>> {
    let file = File::open(path).expect("the file exists");
    let mut npz = NpzReader::new(file).expect("an npz file");
    let read = |name: &String| npz.by_name(name).expect("an array of f32");
    names.iter().map(read).collect()
}

/// Calibration samples, and test images where there are any.
fn samples(
    folder: &Path,
    graph: &Graph,
    input: &[ArrayD<f32>],
) -> (Calibration, Vec<Vec<ArrayD<f32>>>) {
    let calibration = folder.join("calib.npz");
    if !calibration.exists() {
        return (Calibration::from_samples(vec![input.to_vec()]), vec![]);
    }
    let stacked = arrays(&calibration, &["x".into()]);
    let calibration = Calibration::from_stacked(graph, &stacked).expect("fits");
    let images = arrays(&folder.join("test.npz"), &["x".into()]);
    let images = unstack(graph, &images).expect("fits");
    (calibration, images[..IMAGES].to_vec())
}

#[test]
fn every_model_through_every_stage() {
    let Some(models) = models() else { return };
    for name in MODELS {
        let folder = models.join(name);
        let graph = onnx_import::import_file(&folder.join("model.onnx"))
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let names = graph.inputs().map(|v| &graph.nodes()[v.0].name);
        let names: Vec<String> = names.map(|n| format!("in_{n}")).collect();
        let input = arrays(&folder.join("io.npz"), &names);
        let largest = float_answers(name, &folder, &graph, &input);
        let (calibration, images) = samples(&folder, &graph, &input);
        for bounds in BOUNDS {
            let options = Options::new(bounds.profile);
            let quantised = quantise(&graph, &calibration, &options)
                .unwrap_or_else(|error| panic!("{name}: {error}"));
            let one = std::slice::from_ref(&input);
            let measure = |samples| {
                Accuracy::measure(&graph, &quantised.model, samples)
                    .unwrap_or_else(|error| panic!("{name}: {error}"))
            };
            let close = &measure(one).outputs[0];
            let error = close.max_error;
            assert!(
                error <= bounds.max * largest,
                "{name} {:?}: {error} of {largest}",
                bounds.profile
            );
            if !images.is_empty() {
                let close = &measure(&images).outputs[0];
                assert!(
                    close.rms_error <= bounds.rms * close.rms,
                    "{name} {close:?}"
                );
                assert!(
                    close.argmax_agreement >= bounds.agreement,
                    "{name} {close:?}"
                );
            }
            let keys = zkstrata::setup(quantised.model);
            let (pk, vk) = keys.unwrap_or_else(|error| panic!("{name}: {error}"));
            prove(name, &pk, &vk, one);
        }
    }
}

/// Compares the float executor with the stored answer; the output's largest magnitude.
fn float_answers(name: &str, folder: &Path, graph: &Graph, input: &[ArrayD<f32>]) -> f64 {
    let values = graph.run(input).expect("runs");
    let mut largest = 0.0_f64;
    for (output, value) in graph.outputs() {
        let found = &values[value.0];
        let output = format!("out_{output}");
        let expected = &arrays(&folder.join("io.npz"), &[output])[0];
        let size = |x: &ArrayD<f32>| x.iter().fold(0.0_f32, |size, x| size.max(x.abs()));
        largest = largest.max(size(found).into());
        assert_eq!(found.len(), expected.len(), "{name}");
        for (x, y) in found.iter().zip(expected) {
            let error = (x - y).abs();
            assert!(
                error <= FLOAT_ERROR * size(expected).max(1.0),
                "{name}: {x} {y}"
            );
        }
    }
    largest
}

/// Proves, verifies, and changes the statement and the proof.
fn prove(name: &str, pk: &ProvingKey, vk: &VerifyingKey, batch: &[Vec<ArrayD<f32>>]) {
    let proven = pk.prove(batch);
    let (statement, proof) = proven.unwrap_or_else(|error| panic!("{name}: {error}"));
    vk.verify(&statement, &proof)
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    let accepted = |changed: &Statement| vk.verify(changed, &proof).is_ok();
    for cells in 0..statement.outputs.len() {
        let mut changed = statement.clone();
        let last = changed.outputs[cells].last_mut().expect("has cells");
        *last += if *last > 0 { -1 } else { 1 };
        assert!(!accepted(&changed), "{name}: output {cells}");
    }
    for cells in 0..statement.inputs.len() {
        let mut changed = statement.clone();
        let first = &mut changed.inputs[cells][0];
        *first += if *first > 0 { -1 } else { 1 };
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

#[test]
fn no_model_makes_the_importer_panic() {
    let Some(models) = models() else { return };
    for entry in models.read_dir().expect("a directory") {
        let folder = entry.expect("an entry").path();
        let name = folder.file_name().expect("a name").to_string_lossy();
        let imported = onnx_import::import_file(&folder.join("model.onnx"));
        let listed = MODELS.contains(&&*name);
        match imported {
            Ok(_) if !listed => eprintln!("{name} can be imported: add it to the suite"),
            Ok(_) => {}
            Err(error) => assert!(!listed, "{name}: {error}"),
        }
    }
}
