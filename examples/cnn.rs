//! A convolutional digit classifier: load, prove, verify, print.
//!
//! `cargo run --release --example cnn`

use ndarray_npy::NpzReader;
use std::{error::Error, fs::File, path::Path, time::Instant};
use zkstrata::model_ir::quantise::{Calibration, Options, quantise, unstack};
use zkstrata::ndarray::{Array1, ArrayD};
use zkstrata::onnx_import;

#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Test images that one proof covers.
const IMAGES: usize = 8;

fn main() -> Result<(), Box<dyn Error>> {
    // Load: the float model, images that fix the ranges of its activations, keys.
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/models/digits_cnn");
    let graph = onnx_import::import_file(&folder.join("model.onnx"))?;
    let images: ArrayD<f32> =
        NpzReader::new(File::open(folder.join("calib.npz"))?)?.by_name("x")?;
    let calibration = Calibration::from_stacked(&graph, &[images])?;
    let quantised = quantise(&graph, &calibration, &Options::default())?;
    let (pk, vk) = zkstrata::setup(quantised.model)?;
    let mut test = NpzReader::new(File::open(folder.join("test.npz"))?)?;
    let images: ArrayD<f32> = test.by_name("x")?;
    let labels: Array1<i64> = test.by_name("y")?;
    let images = unstack(&graph, &[images])?;

    // Prove: a batch of images at once.
    let start = Instant::now();
    let proven = pk.prove(&images[..IMAGES])?;
    let (statement, proof) = (proven.statement, proven.proof);
    let proving = start.elapsed();

    // Verify: needs only the verifying key, the statement and the proof.
    let start = Instant::now();
    vk.verify(&statement, &proof)?;
    let verifying = start.elapsed();

    // Print: what is proven.
    for (outputs, label) in statement.real_outputs(vk.graph()).iter().zip(labels) {
        let logit = |&class: &usize| (outputs[0][class] * 1e6) as i64;
        let class = (0..outputs[0].len()).max_by_key(logit);
        println!("proven class {}, label {label}", class.expect("ten"));
    }
    println!("{IMAGES} images proven in {proving:.1?}, verified in {verifying:.1?}");
    println!("proof: {:.1} KiB", proof.len() as f64 / 1024.0);

    // A changed output is rejected.
    let mut forged = statement;
    forged.outputs[0].public_mut().expect("public")[0] += 1;
    let refusal = vk.verify(&forged, &proof).expect_err("forged");
    println!("a changed output is rejected: {refusal}");
    Ok(())
}
