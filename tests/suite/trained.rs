//! Trained models on their whole test sets: the integer models are as often right as float.
//!
//! With `--nocapture`, this prints the README's table of accuracies.

use crate::data::{Case, stored, suite};
use std::path::PathBuf;
use zkstrata::model_ir::int::Executor;
use zkstrata::model_ir::quantise::{Options, Profile, quantise};
use zkstrata::ndarray::ArrayD;

const MODELS: [&str; 11] = [
    "digits_cnn",
    "digits_cnn_bn",
    "digits_cnn_qdq_perchannel",
    "digits_cnn_qoperator",
    "digits_dscnn",
    "digits_mlp",
    "digits_mlp_qdq",
    "digits_vit",
    "skl_gbt_cancer",
    "skl_logreg_digits",
    "skl_mlp_iris",
];

/// Inputs that run at once.
const BATCH: usize = 64;

/// Most points of top-1 accuracy that a profile may lose.
const LOSSES: [(Profile, f64); 2] = [(Profile::Fast, 0.5), (Profile::Accurate, 0.1)];

#[test]
fn trained_models_keep_their_accuracy() {
    keep(MODELS.map(stored));
}

#[test]
#[ignore = "needs the suites of ZKSTRATA_SUITES"]
fn a_language_model_keeps_its_accuracy() {
    keep([suite().join("nanogpt")]);
}

fn keep<const N: usize>(folders: [PathBuf; N]) {
    println!("| model | test inputs | float | fast | accurate |\n|---|---:|---:|---:|---:|");
    for folder in folders {
        let case = Case::read(folder);
        let name = &case.name;
        let labels = case.labels();
        let graph = &case.graph;
        // Probabilities come after the label where a model gives both.
        let (_, value) = graph.outputs().last().expect("an output");
        let float = |x: &Vec<ArrayD<f32>>| graph.run(x).expect("runs").swap_remove(value.0);
        let float = top_1(case.tests.iter().map(float), &labels);
        assert!(float > 30.0, "{name}: {float} %");
        let mut row = vec![
            name.clone(),
            labels.len().to_string(),
            format!("{float:.2} %"),
        ];
        for (profile, most) in LOSSES {
            let quantised = quantise(graph, &case.calibration, &Options::new(profile));
            let model = quantised.expect("quantises").model;
            let executor = Executor::new(&model).expect("valid");
            let outputs = case.tests.chunks(BATCH).flat_map(|batch| {
                let inputs = model.graph.quantise_inputs(batch).expect("fits");
                let trace = executor.run(&inputs.cells).expect("in range");
                model.graph.dequantise_outputs(&trace)
            });
            let last = |mut outputs: Vec<ArrayD<f32>>| outputs.pop().expect("an output");
            let found = top_1(outputs.map(last), &labels);
            assert!(
                float - found <= most,
                "{name} {profile:?}: {found} % instead of {float} %"
            );
            row.push(format!("{found:.2} %"));
        }
        println!("| {} |", row.join(" | "));
    }
}

/// How many rows of the last axis are largest at the label, in percent.
fn top_1(outputs: impl Iterator<Item = ArrayD<f32>>, labels: &[usize]) -> f64 {
    let classes = outputs.flat_map(|y| {
        let rows = y.rows().into_iter().map(|row| {
            let row = row.iter().copied().enumerate();
            row.reduce(|a, b| if b.1 > a.1 { b } else { a })
        });
        let rows: Vec<_> = rows.map(|best| best.expect("a class").0).collect();
        rows
    });
    let classes: Vec<usize> = classes.collect();
    assert_eq!(classes.len(), labels.len());
    let right = classes.iter().zip(labels).filter(|(a, b)| a == b).count();
    100.0 * right as f64 / labels.len() as f64
}
