//! Writes architectures of the zoo and inputs for them.
//!
//! `cargo run --release -p zkstrata-zoo --example write -- DIR [NAME[@SIDE]..]` writes, for every
//! name or for all architectures, the model `DIR/NAME.onnx`, samples to calibrate it with,
//! `DIR/NAME.npz`, and an input that is none of them, `DIR/NAME.json`, as EZKL takes it.

use ndarray::{ArrayD, Axis, concatenate};
use ndarray_npy::NpzWriter;
use serde_json::json;
use std::{env, error::Error, fs, path::Path, time::Instant};
use zkstrata_zoo::ARCHITECTURES;

/// How many samples are for calibration.
const CALIBRATION: usize = 8;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = env::args().skip(1);
    let directory = args.next().ok_or("usage: write DIR [NAME[@SIDE]..]")?;
    let directory = Path::new(&directory);
    fs::create_dir_all(directory)?;
    let mut names: Vec<String> = args.collect();
    if names.is_empty() {
        names = ARCHITECTURES.iter().map(|a| a.name.into()).collect();
    }
    for file in names {
        let (name, side) = file.split_once('@').unwrap_or((&file, ""));
        let architecture = zkstrata_zoo::find(name).ok_or(format!("no architecture {name}"))?;
        let side = match side {
            "" => architecture.side,
            side => side.parse()?,
        };
        let start = Instant::now();
        let model = architecture
            .onnx_at(side)
            .ok_or(format!("{name} cannot have side {side}"))?;
        let time = start.elapsed();
        fs::write(directory.join(format!("{file}.onnx")), &model)?;

        let samples = |count, seed| architecture.samples_at(side, count, seed);
        let calibration = samples(CALIBRATION, 0).expect("the same side");
        let views: Vec<_> = calibration.iter().map(ArrayD::view).collect();
        let npz = fs::File::create(directory.join(format!("{file}.npz")))?;
        let mut npz = NpzWriter::new(npz);
        npz.add_array("input", &concatenate(Axis(0), &views)?)?;
        npz.finish()?;

        let input = samples(1, 1).expect("the same side");
        let input: Vec<&[f32]> = input.iter().filter_map(|x| x.as_slice()).collect();
        let input = json!({ "input_data": input });
        fs::write(directory.join(format!("{file}.json")), input.to_string())?;
        println!("{file}: {} bytes, built in {time:.1?}", model.len());
    }
    Ok(())
}
