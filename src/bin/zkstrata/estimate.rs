//! `zkstrata estimate`: what proofs of a model will take.

use crate::args;
use crate::failure::{Context, Failure};
use crate::progress::Progress;
use crate::quantised;
use crate::report::{Bytes, Report, Seconds};
use crate::setup::describe_options;
use serde_json::{Map, Value};
use zkstrata::estimate::{Estimate, Machine, estimate};

pub(crate) fn run(args: &args::Estimate, progress: &Progress) -> Result<Report, Failure> {
    progress.expect(&["import", "quantise", "estimate"], 1);
    let imported = quantised::import(&args.model, None, progress)?;
    // One sample tells the shapes and, nearly enough, the sizes of the tables.
    let samples = quantised::made_up(&imported.graph, 1);
    let quantised = imported.quantise(&args.model, Some(&samples), progress)?;

    let graph = &quantised.model.graph;
    let options = args.keys.options(graph)?;
    let machine = Machine::here();
    let estimated = tracing::info_span!("estimate")
        .in_scope(|| estimate(&quantised.model, &options, args.batch.get(), machine));
    let estimated = estimated.context(args.model.path.display())?;

    if args.keys.hides_weights() {
        progress.note(
            "the commitment of a key with hidden weights, and sessions, are not estimated: setup takes longer and \
             needs more memory than is said",
        );
    }
    let mut report = Report::new();
    report.field("file", args.model.path.display());
    report.set("model", args.model.path.display().to_string());
    quantised.describe(&mut report);
    describe_options(&options, graph, &mut report);
    report.field("batch", args.batch);
    report.set("batch", args.batch.get());
    report.field("threads", machine.threads);
    report.set("threads", machine.threads);
    report.set("speed", machine.speed);
    times(&estimated, &mut report);
    sizes(&estimated, &mut report);
    let calibration = args.model.calibration.as_ref();
    report.set("calibration", calibration.map_or("synthetic", |_| "file"));
    memory(estimated.peak_bytes, &mut report, progress);
    Ok(report)
}

fn times(estimated: &Estimate, report: &mut Report) {
    for (key, seconds) in [
        ("setup_s", estimated.setup_s),
        ("verify_s", estimated.verify_s),
        ("prove_s", estimated.prove_s),
    ] {
        report.field(key.trim_end_matches("_s"), Seconds(seconds));
        report.set(key, seconds);
    }
    let mut stages = Map::new();
    for (name, seconds) in estimated.stages() {
        report.field(&format!("  {name}"), Seconds(seconds));
        stages.insert(name.into(), seconds.into());
    }
    report.set("stages", stages);
}

fn sizes(estimated: &Estimate, report: &mut Report) {
    for (name, key, bytes) in [
        ("proof", "proof_bytes", estimated.proof_bytes),
        ("proving key", "pk_bytes", estimated.pk_bytes),
        ("verifying key", "vk_bytes", estimated.vk_bytes),
        ("peak memory", "peak_bytes", estimated.peak_bytes),
    ] {
        report.field(name, Bytes(bytes));
        report.set(key, bytes);
    }
}

/// Warns if a proof is likely to take more memory than there is.
fn memory(peak: u64, report: &mut Report, progress: &Progress) {
    let available = available_memory();
    report.set(
        "available_bytes",
        available.map_or(Value::Null, Value::from),
    );
    if let Some(available) = available.filter(|&available| available < peak) {
        progress.warn(format!(
            "a proof is estimated to take {} of memory, and {} are available here; \
             a smaller --batch takes less",
            Bytes(peak),
            Bytes(available)
        ));
    }
}

/// Memory that a new process can take, where the system tells.
fn available_memory() -> Option<u64> {
    let info = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = info
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}
