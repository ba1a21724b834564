//! zkstrata: setup, proofs that take turns with plain inference, and verification, each in a
//! process of its own.

use crate::accuracy;
use crate::arrays;
use crate::case::Case;
use crate::child::{Limits, Worker};
use crate::peers::onnxruntime::Session;
use crate::record::{Bytes, Fault, Figures, Profile, Proofs, Seconds, Weights, Yardstick};
use crate::worker::{self, Job, Loaded, Outputs, Prepared, Proven, Stage, Verified, Written};
use clap::ValueEnum;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

/// What is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting {
    pub(crate) profile: Profile,
    pub(crate) weights: Weights,
    pub(crate) proofs: Proofs,
    pub(crate) threads: usize,
    pub(crate) runs: usize,
    pub(crate) batch: usize,
}

/// All runs of a setting.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// One for every run. After a fault, one that holds what was measured before.
    pub(crate) runs: Vec<Figures>,
    /// What ended the runs early.
    pub(crate) fault: Option<Fault>,
    /// Outputs of the float executor, and the length of their rows.
    pub(crate) float: Option<(Outputs, Vec<usize>)>,
}

/// Measures a setting in a directory that exists.
pub(crate) fn run(
    case: &Case,
    setting: Setting,
    directory: &Path,
    limits: Limits,
    yardstick: Option<&mut Session>,
) -> Outcome {
    let mut outcome = Outcome::default();
    outcome.fault = measure(case, setting, directory, limits, yardstick, &mut outcome).err();
    if outcome.runs.is_empty() {
        outcome.runs.push(Figures::default());
    }
    outcome
}

fn measure(
    case: &Case,
    setting: Setting,
    directory: &Path,
    limits: Limits,
    mut yardstick: Option<&mut Session>,
    outcome: &mut Outcome,
) -> Result<(), Fault> {
    let job = directory.join("job.json");
    write_job(case, setting, directory, &job).map_err(|error| Fault::own("start", error))?;
    let start = |stage: Stage| start(stage, &job, limits);

    let prepared: Prepared = start(Stage::Setup)?.answer()?;
    let common = common(&prepared, yardstick.as_deref());
    outcome.float = Some((prepared.float, prepared.row));
    outcome.runs = vec![common.clone()];

    let mut prover = start(Stage::Prove)?;
    let loaded: Loaded = prover.answer()?;
    let mut runs = Vec::new();
    for run in 0..setting.runs {
        let proven: Proven = prover.ask(&worker::Command::Prove)?;
        let plain = turn(&mut yardstick);
        let mut figures = common.clone();
        figures.seconds.setup = prepared.setup_s.get(run).copied();
        figures.seconds.prove = Some(proven.seconds);
        figures.seconds.witness = proven.parts.get("run").copied();
        figures.seconds.parts.extend(proven.parts);
        figures.seconds.parts.insert("load".into(), loaded.load_s);
        figures.yardstick = plain;
        let peaks = &mut figures.peak_bytes;
        peaks.extend(proven.peak_bytes.map(|peak| ("prove".into(), peak)));
        runs.push(figures);
    }
    outcome.runs = runs;
    let written: Written = prover.ask(&worker::Command::Finish)?;
    drop(prover);

    let verified: Verified = start(Stage::Verify)?.answer()?;
    for (figures, seconds) in outcome.runs.iter_mut().zip(verified.seconds) {
        figures.bytes.proof = Some(written.proof_bytes);
        figures.seconds.verify = Some(seconds);
        let peaks = &mut figures.peak_bytes;
        peaks.extend(verified.peak_bytes.map(|peak| ("verify".into(), peak)));
    }
    Ok(())
}

/// A turn of plain inference. A session that fails loses its own figures only.
fn turn(session: &mut Option<&mut Session>) -> Option<Yardstick> {
    let turn = session.as_mut()?.turn();
    if turn.is_err() {
        *session = None;
    }
    turn.ok().map(|(yardstick, _)| yardstick)
}

/// What all runs share.
fn common(prepared: &Prepared, yardstick: Option<&Session>) -> Figures {
    let plain = yardstick.map(|session| &session.outputs);
    let parts = [
        ("import", prepared.import_s),
        ("quantise", prepared.quantise_s),
    ];
    let peak = prepared.peak_bytes.map(|peak| ("setup".into(), peak));
    Figures {
        seconds: Seconds {
            prepare: Some(prepared.import_s + prepared.quantise_s),
            setup: prepared.setup_s.first().copied(),
            parts: parts.map(|(name, time)| (name.into(), time)).into(),
            ..Seconds::default()
        },
        bytes: Bytes {
            proof: None,
            pk: Some(prepared.pk_bytes),
            vk: Some(prepared.vk_bytes),
        },
        peak_bytes: BTreeMap::from_iter(peak),
        accuracy: accuracy::against_float(&prepared.integer, &prepared.float, plain, &prepared.row),
        ..Figures::default()
    }
}

fn write_job(
    case: &Case,
    setting: Setting,
    directory: &Path,
    path: &Path,
) -> Result<(), crate::failure::Failure> {
    use crate::failure::Context;
    let job = Job {
        model: case.path.clone(),
        calibration: directory.join("calibration.npz"),
        samples: directory.join("samples.npz"),
        profile: setting.profile,
        weights: setting.weights,
        proofs: setting.proofs,
        threads: setting.threads,
        runs: setting.runs,
        batch: setting.batch,
        directory: directory.to_owned(),
    };
    arrays::write_samples(&job.calibration, &case.calibration)?;
    arrays::write_samples(&job.samples, &case.samples)?;
    let text = serde_json::to_string(&job).context("the job")?;
    fs::write(path, text).context(format!("cannot write {}", path.display()))
}

/// This program, as a worker.
fn start(stage: Stage, job: &Path, limits: Limits) -> Result<Worker, Fault> {
    let name = stage.to_possible_value().expect("no stage is skipped");
    let program = std::env::current_exe();
    let program = program.map_err(|error| Fault::own(name.get_name(), error))?;
    let mut command = Command::new(program);
    command.arg("worker").arg(name.get_name()).arg(job);
    Worker::start(command, name.get_name(), limits)
}
