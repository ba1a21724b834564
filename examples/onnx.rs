//! Any ONNX model: load, prove, verify, print.
//!
//! `cargo run --release --example onnx -- [MODEL.onnx [INPUT.json]]`, the input as EZKL takes it.

use std::{env, error::Error, fs, time::Instant};
use zkstrata::model_ir::quantise::{Calibration, Options, quantise};
use zkstrata::ndarray::ArrayD;
use zkstrata::onnx_import;

#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const HERE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples");

fn main() -> Result<(), Box<dyn Error>> {
    // Load: the float model, an input, keys. Without an input, made-up ones.
    let mut args = env::args().skip(1);
    let model = args
        .next()
        .unwrap_or(format!("{HERE}/models/digits_cnn/model.onnx"));
    let graph = onnx_import::import_file(model.as_ref())?;
    let calibration = if let Some(path) = args.next() {
        let file: serde_json::Value = serde_json::from_slice(&fs::read(path)?)?;
        let lists: Vec<Vec<f32>> = serde_json::from_value(file["input_data"].clone())?;
        let ports = graph.inputs().map(|v| &*graph.nodes()[v.0].shape);
        let arrays = ports.zip(lists).map(|(s, x)| ArrayD::from_shape_vec(s, x));
        Calibration::from_samples(vec![arrays.collect::<Result<_, _>>()?])
    } else {
        Calibration::synthetic(&graph, 1)
    };
    let quantised = quantise(&graph, &calibration, &Options::default())?;
    let (pk, vk) = zkstrata::setup(quantised.model)?;

    // Prove.
    let start = Instant::now();
    let proven = pk.prove(&calibration.samples()[..1])?;
    let (statement, proof) = (proven.statement, proven.proof);
    let proving = start.elapsed();

    // Verify: needs only the verifying key, the statement and the proof.
    let start = Instant::now();
    vk.verify(&statement, &proof)?;
    let verifying = start.elapsed();

    // Print: what is proven.
    let outputs = &statement.real_outputs(vk.graph())[0];
    for (port, cells) in vk.graph().outputs.iter().zip(outputs) {
        println!("proven `{}`: {:.4?}", port.name, cells);
    }
    println!("one inference proven in {proving:.1?}, verified in {verifying:.1?}");
    println!("proof: {:.1} KiB", proof.len() as f64 / 1024.0);

    // A changed output is rejected.
    let mut forged = statement;
    forged.outputs[0].public_mut().expect("public")[0] += 1;
    let refusal = vk.verify(&forged, &proof).expect_err("forged");
    println!("a changed output is rejected: {refusal}");
    Ok(())
}
