//! Estimated lengths of proofs and keys against real ones, on networks whose witness and weights
//! are committed by trees.

use zkstrata::estimate::{Machine, estimate};
use zkstrata::model_ir::quantise::{Calibration, Options, quantise};
use zkstrata::{SetupOptions, Weights, onnx_import, setup_with};

/// Relative error that is allowed.
const MARGIN: f64 = 0.05;

#[test]
fn proofs_of_the_zoo_are_as_long_as_estimated() {
    for name in ["lenet5", "cnn_cifar_264k", "tiny_resnet8", "tiny_dscnn_kws"] {
        let architecture = zkstrata_zoo::find(name).expect("an architecture of the zoo");
        let graph = onnx_import::import(&architecture.onnx()).expect("imports");
        let samples = architecture.samples(8, 1).into_iter().map(|x| vec![x]);
        let samples: Vec<_> = samples.collect();
        let calibration = Calibration::from_samples(samples.clone());
        let quantised = quantise(&graph, &calibration, &Options::default()).expect("quantises");
        for weights in [Weights::Compact, Weights::Public] {
            let options = SetupOptions {
                weights,
                ..SetupOptions::default()
            };
            let (pk, vk) = setup_with(quantised.model.clone(), &options).expect("keys");
            for batch in [1, 4] {
                let machine = Machine::reference(1);
                let expected = estimate(&quantised.model, &options, batch, machine);
                let expected = expected.expect("within the limits");
                let proof = pk.prove(&samples[..batch]).expect("proves").proof;
                for (what, expected, found) in [
                    ("proof", expected.proof_bytes, proof.len()),
                    ("proving key", expected.pk_bytes, pk.to_bytes().len()),
                    ("verifying key", expected.vk_bytes, vk.to_bytes().len()),
                ] {
                    let ratio = expected as f64 / found as f64;
                    assert!(
                        (ratio - 1.0).abs() <= MARGIN,
                        "{name}, {weights:?}, batch {batch}: {what} of {found} bytes, \
                         {expected} expected"
                    );
                }
            }
        }
    }
}
