//! onnxruntime: plain inference of the same file on the same inputs.

use super::{Peer, Peers};
use crate::child::{Limits, Worker};
use crate::record::{Fault, Yardstick};
use crate::worker::Outputs;
use serde::Deserialize;
use serde_json::json;
use std::path::Path;

/// A session that lives as long as a model is measured, taking turns with the systems.
#[derive(Debug)]
pub(crate) struct Session {
    worker: Worker,
    /// Version of onnxruntime.
    pub(crate) version: String,
    /// Its outputs on the samples.
    pub(crate) outputs: Outputs,
    /// Length of the last axis of every output.
    pub(crate) rows: Vec<usize>,
}

#[derive(Deserialize)]
struct Started {
    version: String,
}

#[derive(Deserialize)]
struct Answered {
    outputs: Vec<Vec<Output>>,
}

#[derive(Deserialize)]
struct Output {
    shape: Vec<usize>,
    cells: Vec<f64>,
}

#[derive(Deserialize)]
struct Turn {
    one_thread_s: f64,
    same_threads_s: f64,
    peak_bytes: Option<u64>,
}

impl Session {
    /// Loads a model and runs it on a file of samples.
    pub(crate) fn start(
        peers: &Peers,
        model: &Path,
        samples: &Path,
        (threads, batch): (usize, usize),
        limits: Limits,
    ) -> Result<Self, Fault> {
        let mut command = peers.command(Peer::Onnxruntime, threads)?;
        let job = json!({
            "model": model, "samples": samples, "threads": threads, "batch": batch,
        });
        let path = samples.with_file_name("onnxruntime.json");
        std::fs::write(&path, job.to_string()).map_err(|error| Fault::own("start", error))?;
        let mut worker = Worker::start(
            {
                command.arg(&path);
                command
            },
            "inference",
            limits,
        )?;
        let started: Started = worker.answer()?;
        let answered: Answered = worker.ask(&"outputs")?;
        let first = answered.outputs.first().into_iter().flatten();
        let rows = first.map(|output| output.shape.last().copied().unwrap_or(1));
        let rows = rows.collect();
        let cells = |sample: Vec<Output>| sample.into_iter().map(|output| output.cells).collect();
        Ok(Self {
            worker,
            version: started.version,
            outputs: answered.outputs.into_iter().map(cells).collect(),
            rows,
        })
    }

    /// Runs a batch a few times.
    pub(crate) fn turn(&mut self) -> Result<(Yardstick, Option<u64>), Fault> {
        let turn: Turn = self.worker.ask(&"turn")?;
        let yardstick = Yardstick {
            one_thread_s: turn.one_thread_s,
            same_threads_s: turn.same_threads_s,
        };
        Ok((yardstick, turn.peak_bytes))
    }
}
