//! `zkstrata bench`: medians of setup, proving and verification.

use crate::args;
use crate::failure::{Context, Failure};
use crate::input::Sample;
use crate::progress::{Progress, Stages};
use crate::prove::STAGES;
use crate::quantised::{self, Judged, describe_accuracy, judge};
use crate::report::{Bytes, Report, Seconds};
use serde_json::{Map, Value};
use std::time::{Duration, Instant};
use zkstrata::model_ir::int::Model;
use zkstrata::model_ir::quantise::Inputs;
use zkstrata::{Proof, ProvingKey, Weights, decode_proof, encode_proof};

/// Calibration samples on which the integer model is judged.
const JUDGED: usize = 64;

/// What the repetitions took, and in seconds what came before them.
#[derive(Default)]
struct Times {
    import: f64,
    quantise: f64,
    setup: Vec<Duration>,
    /// Of hidden weights.
    session: Vec<Duration>,
    prove: Vec<Duration>,
    verify: Vec<Duration>,
    stages: Vec<Stages>,
}

pub(crate) fn run(args: &args::Bench, progress: &Progress) -> Result<Report, Failure> {
    let runs = args.runs.get();
    let parts = [&["setup"], STAGES.as_slice(), &["verify"]].concat();
    progress.expect(&parts, runs);
    let imported = quantised::import(&args.model, args.input.as_deref(), progress)?;
    let given = match &args.input {
        Some(path) => Some(imported.samples(path)?),
        None => None,
    };
    let quantised = imported.quantise(&args.model, given.as_deref(), progress)?;
    let samples = given.unwrap_or_else(|| match &quantised.calibration {
        made_up if made_up.is_synthetic() => {
            quantised::made_up(quantised.graph(), args.batch.get())
        }
        calibration => calibration.samples().to_vec(),
    });
    let samples: Vec<Sample> = samples
        .iter()
        .cycle()
        .take(args.batch.get())
        .cloned()
        .collect();

    let mut report = Report::new();
    report.field("file", args.model.path.display());
    report.set("model", args.model.path.display().to_string());
    quantised.describe(&mut report);
    let calibration = quantised.calibration.samples();
    let judged_on = quantised.accuracy(&calibration[..JUDGED.min(calibration.len())])?;
    let (model, closeness) = (&args.model, &args.closeness);
    if judge(&judged_on, model, closeness, progress, &mut report) == Judged::Refused {
        describe_accuracy(&judged_on, &mut report);
        return Ok(report);
    }
    let accuracy = quantised.accuracy(&samples)?;
    describe_accuracy(&accuracy, &mut report);
    let inputs = quantised.model.graph.quantise_inputs(&samples);
    let inputs = inputs.context("quantising the input")?;
    let mut times = Times {
        import: quantised.imported.seconds,
        quantise: quantised.seconds,
        ..Times::default()
    };
    // What is left of the float model is gone before the peak.
    let model = quantised.model;
    drop((quantised.imported, quantised.calibration, samples));
    measure(model, &inputs, args, &mut times, &mut report, progress)?;
    describe(args, &times, &mut report);
    let errors = accuracy.outputs.iter().map(|output| output.max_error);
    report.set("max_abs_err", errors.fold(0.0, f64::max));
    let agrees = accuracy
        .outputs
        .iter()
        .all(|output| output.argmax_agreement >= 1.0);
    report.set("argmax_agrees", agrees);
    Ok(report)
}

/// Repeats everything `runs` times.
fn measure(
    mut model: Model,
    inputs: &Inputs,
    args: &args::Bench,
    times: &mut Times,
    report: &mut Report,
    progress: &Progress,
) -> Result<(), Failure> {
    let graph = model.graph.clone();
    let options = &args.keys.options(&graph)?;
    for last in (0..args.runs.get()).rev().map(|left| left == 0) {
        let (keys, time) = timed(|| {
            tracing::info_span!("setup").in_scope(|| zkstrata::setup_with(model, options))
        });
        let (pk, vk) = keys.context("setup")?;
        times.setup.push(time);

        let (pk, vk) = match vk.weights() {
            Weights::Hidden(_) => {
                let (session, time) = timed(|| pk.session());
                let (session, certificate) = session.context("a session")?;
                times.session.push(time);
                let vk = vk.accept(&certificate).context("its certificate")?;
                drop(pk);
                (ProvingKey::clone(&session), vk)
            }
            _ => (pk, vk),
        };

        progress.take_stages();
        let (proven, time) = timed(|| pk.prove_inputs(inputs));
        let (statement, proof) = proven.context("proving")?;
        times.prove.push(time);
        times.stages.push(progress.take_stages());

        let bytes = encode_proof(&statement, &proof);
        let (verified, time) = timed(|| {
            let _span = tracing::info_span!("verify").entered();
            let (statement, proof) = decode_proof(&bytes).context("decoding the proof")?;
            vk.verify(&statement, &proof).context("verifying the proof")
        });
        verified?;
        times.verify.push(time);
        if last {
            crate::setup::describe_key(&vk, report);
            sizes(&proof, bytes.len(), vk.to_bytes().len(), report);
            report.set("digest", vk.digest().to_string());
        }
        model = Model {
            graph: graph.clone(),
            ..pk.into_model().expect("no one else has the key")
        };
    }
    Ok(())
}

fn sizes(proof: &Proof, file: usize, vk: usize, report: &mut Report) {
    let bytes = |n: usize| Bytes(n as u64);
    report.field(
        "proof",
        format_args!(
            "{} ({} with its statement)",
            bytes(proof.len()),
            bytes(file)
        ),
    );
    report.field("verifying key", bytes(vk));
    report.set("proof_bytes", proof.len());
    report.set("file_bytes", file);
    report.set("vk_bytes", vk);
}

fn describe(args: &args::Bench, times: &Times, report: &mut Report) {
    let threads = rayon::current_num_threads();
    report.field(
        "setting",
        format_args!(
            "batch {}, {threads} threads, median of {} runs",
            args.batch, args.runs
        ),
    );
    report.set("batch", args.batch.get());
    report.set("threads", threads);
    report.set("runs", args.runs.get());
    let stage = |name: &str| {
        let of_run = |stages: &Stages| {
            let found = stages.iter().find(|(stage, _)| *stage == name);
            found.map_or(Duration::ZERO, |(_, time)| *time)
        };
        median(times.stages.iter().map(of_run).collect())
    };
    for (key, seconds) in [
        ("import_s", times.import),
        ("quantise_s", times.quantise),
        ("setup_s", median(times.setup.clone())),
        ("witness_s", stage("run")),
        ("prove_s", median(times.prove.clone())),
        ("verify_s", median(times.verify.clone())),
    ] {
        report.field(key.trim_end_matches("_s"), Seconds(seconds));
        report.set(key, seconds);
    }
    if !times.session.is_empty() {
        let seconds = median(times.session.clone());
        report.field("session", Seconds(seconds));
        report.set("session_s", seconds);
    }
    let mut stages = Map::new();
    for name in STAGES {
        let seconds = stage(name);
        report.field(&format!("  {name}"), Seconds(seconds));
        stages.insert(name.into(), seconds.into());
    }
    report.set("stages", stages);
    let peak = peak_memory();
    if let Some(bytes) = peak {
        report.field("peak memory", Bytes(bytes));
    }
    report.set("peak_rss_bytes", peak.map_or(Value::Null, Value::from));
    let calibration = match (&args.model.calibration, &args.input) {
        (Some(_), _) => "file",
        (None, Some(_)) => "input",
        (None, None) => "synthetic",
    };
    report.set("calibration", calibration);
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let result = work();
    (result, start.elapsed())
}

/// The middle of the sorted times, in seconds.
fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    let middle = |i: usize| times.get(i).map_or(0.0, Duration::as_secs_f64);
    let half = times.len() / 2;
    if times.len() % 2 == 1 {
        middle(half)
    } else {
        f64::midpoint(middle(half.saturating_sub(1)), middle(half))
    }
}

/// The largest resident set of this process, where the system tells.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}
