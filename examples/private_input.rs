//! A client proves what a model says of its image, and keeps the image.
//!
//! `cargo run --release --example private_input`

use ndarray_npy::NpzReader;
use std::{error::Error, fs::File, path::Path};
use zkstrata::model_ir::quantise::{Calibration, Options, quantise, unstack};
use zkstrata::ndarray::ArrayD;
use zkstrata::{PortValue, SetupOptions, Visibilities, Visibility, onnx_import};

fn main() -> Result<(), Box<dyn Error>> {
    // Anybody makes the keys: who sees the input is part of them.
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/models/digits_cnn");
    let graph = onnx_import::import_file(&folder.join("model.onnx"))?;
    let images: ArrayD<f32> =
        NpzReader::new(File::open(folder.join("calib.npz"))?)?.by_name("x")?;
    let calibration = Calibration::from_stacked(&graph, &[images])?;
    let quantised = quantise(&graph, &calibration, &Options::default())?;
    let options = SetupOptions {
        inputs: Visibilities::all(Visibility::Private),
        ..SetupOptions::default()
    };
    let (pk, vk) = zkstrata::setup_with(quantised.model, &options)?;

    // The client, who has an image, answers the nonce of whoever asks.
    let nonce = *b"what is it that you have drawn? ";
    let images: ArrayD<f32> = NpzReader::new(File::open(folder.join("test.npz"))?)?.by_name("x")?;
    let images = unstack(&graph, &[images])?;
    let inputs = pk.model().quantise_inputs(&images[..1])?;
    let (statement, proof) = pk.prove_trace_for(nonce, pk.run_inputs(&inputs)?)?;

    // The verifier learns the outputs, and that there is such an image.
    vk.verify(&statement, &proof)?;
    assert_eq!(statement.context, nonce);
    assert_eq!(statement.inputs, [PortValue::Private]);
    let outputs = statement.real_outputs(vk.graph());
    let logit = |&class: &usize| (outputs[0][0][class] * 1e6) as i64;
    let class = (0..outputs[0][0].len()).max_by_key(logit);
    println!(
        "proven class {} of an image that nobody sees",
        class.expect("ten")
    );
    println!("proof: {:.1} KiB", proof.len() as f64 / 1024.0);

    // Proofs of one image have nothing in common.
    let (_, again) = pk.prove_trace_for(nonce, pk.run_inputs(&inputs)?)?;
    assert_ne!(proof, again);
    Ok(())
}
