//! Quantises, makes the keys, and runs the integer and the float model on the samples.

use super::{Job, Outputs, Prepared, answer, keys, profile, timed};
use crate::arrays::{self, Sample};
use crate::failure::{Context, Failure};
use crate::machine;
use std::fs;
use zkstrata::ProvingKey;
use zkstrata::model_ir::float::Graph;
use zkstrata::model_ir::int::{Ints, Model};
use zkstrata::model_ir::quantise::{Calibration, Options, quantise};
use zkstrata::onnx_import;

/// Setup is repeated for no longer than this.
const PATIENCE_S: f64 = 20.0;

pub(super) fn run(job: &Job) -> Result<(), Failure> {
    let (graph, import_s) = timed(|| onnx_import::import_file(&job.model));
    let graph = graph.context("import")?;
    let calibration = Calibration::from_samples(arrays::read_samples(&job.calibration)?);
    let options = Options::new(profile(job.profile));
    let (quantised, quantise_s) = timed(|| quantise(&graph, &calibration, &options));
    let mut model = quantised.context("quantisation")?.model;

    let mut setup_s: Vec<f64> = Vec::new();
    let integers = model.graph.clone();
    let (pk, vk) = loop {
        let (made, seconds) = timed(|| keys(model, job));
        let (pk, vk) = made?;
        setup_s.push(seconds);
        if setup_s.len() >= job.runs || setup_s.iter().sum::<f64>() > PATIENCE_S {
            break (pk, vk);
        }
        model = Model {
            graph: integers.clone(),
            ..pk.into_model().expect("no one else has the key")
        };
    };
    let (pk_file, vk_file) = (pk.to_bytes(), vk.to_bytes());
    fs::write(job.pk(), &pk_file).context("writing the proving key")?;
    fs::write(job.vk(), &vk_file).context("writing the verifying key")?;
    let peak_bytes = machine::peak_bytes(None);

    let samples = arrays::read_samples(&job.samples)?;
    let outputs = pk.model().graph.outputs.iter();
    answer(&Prepared {
        import_s,
        quantise_s,
        setup_s,
        pk_bytes: pk_file.len() as u64,
        vk_bytes: vk_file.len() as u64,
        peak_bytes,
        integer: integer(&pk, &samples)?,
        float: float(&graph, &samples)?,
        row: outputs
            .map(|port| port.shape.last().copied().unwrap_or(1))
            .collect(),
    })
}

/// Outputs of the integer model.
fn integer(pk: &ProvingKey, samples: &[Sample]) -> Result<Outputs, Failure> {
    let graph = &pk.model().graph;
    let run = |sample: &Sample| {
        let inputs = graph.quantise_inputs(std::slice::from_ref(sample));
        let cells = inputs.context("quantising a sample")?.cells;
        let cells: Vec<Vec<i64>> = cells.iter().map(Ints::to_vec).collect();
        let trace = pk.run(&cells).context("running the integer model")?;
        let outputs = graph.outputs.iter().map(|port| {
            let cells = trace.tensors[port.tensor.0].to_vec();
            cells.into_iter().map(|x| x as f64 * port.scale).collect()
        });
        Ok(outputs.collect())
    };
    samples.iter().map(run).collect()
}

/// Outputs of the float model.
fn float(graph: &Graph, samples: &[Sample]) -> Result<Outputs, Failure> {
    let run = |sample: &Sample| {
        let values = graph.run(sample).context("running the float model")?;
        let outputs = graph.outputs().iter();
        Ok(outputs
            .map(|(_, v)| values[v.0].iter().map(|&x| f64::from(x)).collect())
            .collect())
    };
    samples.iter().map(run).collect()
}
