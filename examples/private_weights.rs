//! Whoever owns a model of boosted trees keeps its numbers, and proves what it says of a thousand people.
//!
//! `cargo run --release --example private_weights`

use ndarray_npy::NpzReader;
use std::{error::Error, fs::File, path::Path};
use zkstrata::model_ir::quantise::{Calibration, Options, quantise, unstack};
use zkstrata::ndarray::ArrayD;
use zkstrata::{SetupOptions, Trust, Uses, VerifyingKey, Weights, onnx_import};

fn main() -> Result<(), Box<dyn Error>> {
    // The owner makes the keys. Nobody who trusts the owner needs the certificate of the key.
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/models/skl_gbt_cancer");
    let graph = onnx_import::import_file(&folder.join("model.onnx"))?;
    let people: ArrayD<f32> = NpzReader::new(File::open(folder.join("test.npz"))?)?.by_name("x")?;
    let calibration = Calibration::from_stacked(&graph, std::slice::from_ref(&people))?;
    let quantised = quantise(&graph, &calibration, &Options::default())?;
    let options = SetupOptions {
        weights: Weights::Hidden(Uses::default()),
        trust: Trust::Certificate,
        ..SetupOptions::default()
    };
    let (pk, vk) = zkstrata::setup_with(quantised.model, &options)?;
    let published = (vk.to_bytes(), pk.certificate()?.ok_or("weights")?);

    // The owner's server makes a session whenever it starts, and a proof for a thousand at once.
    let (session, certificate) = pk.session()?;
    let people = unstack(&graph, &[people])?;
    let thousand: Vec<_> = people.iter().cycle().take(1000).cloned().collect();
    let proven = session.prove(&thousand)?;
    println!("{:?} proofs are left of the session", session.left());

    // A verifier has the key and its certificate, and that of the session, once.
    let mut vk: VerifyingKey = VerifyingKey::from_bytes(&published.0)?;
    vk.certify(&published.1)?;
    let vk = vk.accept(&certificate)?;
    vk.verify(&proven.statement, &proven.proof)?;
    let scores = proven.statement.real_outputs(vk.graph());
    let benign = scores.iter().filter(|outputs| outputs[0][0] > 0.5).count();
    println!(
        "{benign} of {} are classified as benign, by thresholds that nobody sees",
        scores.len()
    );
    let kib = |bytes: usize| bytes as f64 / 1024.0;
    println!(
        "proof: {:.1} KiB, certificate of the session: {:.1} KiB, of the key: {:.1} KiB",
        kib(proven.proof.len()),
        kib(certificate.len()),
        kib(published.1.len())
    );
    Ok(())
}
