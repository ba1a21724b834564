//! Estimated lengths of proofs against real ones, on the checked-in digit classifiers.

use ndarray_npy::NpzReader;
use std::fs::File;
use std::path::Path;
use zkstrata::estimate::{Estimate, Machine, estimate};
use zkstrata::model_ir::float::Graph;
use zkstrata::model_ir::int::Model;
use zkstrata::model_ir::quantise::{Calibration, Options, quantise, unstack};
use zkstrata::ndarray::ArrayD;
use zkstrata::{SetupOptions, Weights, onnx_import, setup_with};

const MODELS: [&str; 2] = ["digits_mlp", "digits_cnn"];
const WEIGHTS: [Weights; 2] = [Weights::Compact, Weights::Public];

fn array(folder: &Path, name: &str) -> Vec<ArrayD<f32>> {
    let file = File::open(folder.join(name)).expect("opens");
    let mut npz = NpzReader::new(file).expect("an npz file");
    vec![npz.by_name("x").expect("an array of f32")]
}

/// A quantised model and test images.
fn quantised(name: &str) -> (Model, Vec<Vec<ArrayD<f32>>>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/models");
    let folder = folder.join(name);
    let graph: Graph = onnx_import::import_file(&folder.join("model.onnx")).expect("imports");
    let calibration = array(&folder, "calib.npz");
    let calibration = Calibration::from_stacked(&graph, &calibration).expect("fits");
    let images = unstack(&graph, &array(&folder, "test.npz")).expect("fits");
    let quantised = quantise(&graph, &calibration, &Options::default());
    (quantised.expect("quantises").model, images)
}

fn options(weights: Weights) -> SetupOptions {
    SetupOptions {
        weights,
        ..SetupOptions::default()
    }
}

fn estimated(model: &Model, weights: Weights, batch: usize) -> Estimate {
    estimate(model, &options(weights), batch, Machine::reference(2)).expect("within the limits")
}

#[test]
fn proofs_are_as_long_as_estimated() {
    for name in MODELS {
        let (model, images) = quantised(name);
        for weights in WEIGHTS {
            let (pk, vk) = setup_with(model.clone(), &options(weights)).expect("keys");
            for batch in [1, 4] {
                let proof = pk.prove(&images[..batch]).expect("proves").proof;
                let found = proof.len() as f64;
                let expected = estimated(&model, weights, batch);
                let ratio = expected.proof_bytes as f64 / found;
                let margin = if found < 20e3 { 0.1 } else { 0.05 };
                assert!(
                    (ratio - 1.0).abs() <= margin,
                    "{name}, {weights:?}, {batch}: {ratio} of {found}"
                );

                for (expected, found) in [
                    (expected.pk_bytes, pk.to_bytes().len()),
                    (expected.vk_bytes, vk.to_bytes().len()),
                ] {
                    let ratio = expected as f64 / found as f64;
                    assert!((0.98..1.02).contains(&ratio), "{name}: a key, {ratio}");
                }
            }
        }
    }
}

#[test]
fn larger_batches_take_more() {
    for name in MODELS {
        let (model, _) = quantised(name);
        for weights in WEIGHTS {
            let batches = (0..8).map(|log| estimated(&model, weights, 1 << log));
            let batches: Vec<_> = batches.collect();
            for pair in batches.windows(2) {
                let [less, more] = pair else { continue };
                assert!(less.prove_s < more.prove_s, "{name}: {less:?} {more:?}");
                assert!(less.peak_bytes < more.peak_bytes, "{name}");
                assert!(less.proof_bytes < more.proof_bytes, "{name}");
                assert!(less.verify_s < more.verify_s, "{name}");
            }
        }
    }
}

#[test]
fn impossible_batches_are_refused() {
    let (model, _) = quantised(MODELS[0]);
    for batch in [0, zkstrata::MAX_BATCH + 1] {
        let refused = estimate(
            &model,
            &options(Weights::Public),
            batch,
            Machine::reference(1),
        );
        assert!(refused.is_err(), "{batch}");
    }
}
