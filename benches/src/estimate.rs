//! `estimate`: predictions against measurements, and rates that fit the measurements.
//!
//! A prediction is made as the command-line tool makes it: from ranges of one made-up input. The
//! measurement is that of `compare`: setup, proofs and verification in processes of their own. Of the
//! times of several runs the shortest counts.

use crate::args;
use crate::case::Case;
use crate::child::Limits;
use crate::failure::{Context, Failure};
use crate::figure::{Bytes, Seconds};
use crate::fit::{self, Observation};
use crate::machine;
use crate::record::Figures;
use crate::strata::{self, Setting};
use crate::worker::{options, profile};
use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;
use std::process::ExitCode;
use zkstrata::estimate::{Estimate, Machine, estimate};
use zkstrata::model_ir::quantise::{Calibration, Options, quantise};
use zkstrata::onnx_import;

/// A prediction and its measurement.
struct Pair {
    name: &'static str,
    predicted: f64,
    measured: f64,
    /// Whether a prediction that is off is a failure.
    promised: bool,
}

impl Pair {
    fn ratio(&self) -> f64 {
        self.predicted / self.measured
    }

    fn is_off(&self) -> bool {
        self.promised && !(0.5..=2.0).contains(&self.ratio())
    }

    /// `predicted / measured = ratio`
    fn text(&self) -> String {
        let number = |x: f64| {
            if self.name.ends_with("_s") {
                Seconds(x).to_string()
            } else {
                Bytes(x).to_string()
            }
        };
        let (predicted, measured) = (number(self.predicted), number(self.measured));
        format!("{predicted} / {measured} = {:.2}", self.ratio())
    }
}

pub(crate) fn run(args: &args::Estimate) -> Result<ExitCode, Failure> {
    let work = std::env::temp_dir().join(format!("zkstrata-estimate-{}", std::process::id()));
    fs::create_dir_all(&work).context(format!("cannot create {}", work.display()))?;
    let result = all(args, &work);
    fs::remove_dir_all(&work).context("removing the work directory")?;
    result
}

fn all(args: &args::Estimate, work: &Path) -> Result<ExitCode, Failure> {
    let zoo = || {
        zkstrata_zoo::ARCHITECTURES
            .iter()
            .map(|a| a.name.to_owned())
    };
    let models = if args.models.is_empty() {
        zoo().collect()
    } else {
        args.models.clone()
    };
    let here = Machine::here();
    let machine = Machine {
        threads: args
            .proving
            .threads
            .map_or_else(machine::cores, NonZeroUsize::get),
        ..here
    };
    println!("speed {:.3}, {} threads", machine.speed, machine.threads);
    println!("predicted / measured = ratio");
    let (mut observations, mut off) = (Vec::new(), 0);
    for name in &models {
        let case = Case::load(name, args.proving.batch.get(), work)?;
        for &profile in &args.profiles {
            for (weights, proofs) in args.proving.kinds() {
                let setting = Setting {
                    profile,
                    weights,
                    proofs,
                    threads: machine.threads,
                    runs: args.proving.runs.get(),
                    batch: args.proving.batch.get(),
                };
                let predicted = predict(&case, setting, machine)?;
                let figures = measure(&case, setting, work)?;
                println!("{name}, {}, {} weights", profile.name(), weights.name());
                for pair in pairs(&predicted, &figures) {
                    let mark = if pair.is_off() { "  OFF" } else { "" };
                    println!("  {:<12} {}{mark}", pair.name, pair.text());
                    off += usize::from(pair.is_off());
                }
                observations.push(Observation::new(&predicted, &figures, machine));
            }
        }
    }
    if args.fit {
        println!("{}", fit::rates(&observations));
    }
    println!("{off} predictions are off by more than a factor of 2");
    Ok(ExitCode::from(u8::from(off > 0)))
}

/// What the command-line tool predicts without calibration samples.
fn predict(case: &Case, setting: Setting, machine: Machine) -> Result<Estimate, Failure> {
    let graph = onnx_import::import_file(&case.path).context(case.path.display())?;
    let calibration = Calibration::synthetic(&graph, 2).truncated(1);
    let rules = Options::new(profile(setting.profile));
    let quantised = quantise(&graph, &calibration, &rules).context("quantisation")?;
    let options = options(setting.weights, setting.proofs);
    estimate(&quantised.model, &options, setting.batch, machine).context("estimate")
}

/// All runs.
fn measure(case: &Case, setting: Setting, work: &Path) -> Result<Vec<Figures>, Failure> {
    let outcome = strata::run(case, setting, work, Limits::default(), None);
    match outcome.fault {
        Some(fault) => Err(Failure::new(format!(
            "{}: {}: {}",
            case.model.name,
            fault.stage,
            fault.log.join("; ")
        ))),
        None => Ok(outcome.runs),
    }
}

/// The least of what the runs measured: of times, as other programs only add to them.
pub(crate) fn fastest(runs: &[Figures], of: impl Fn(&Figures) -> Option<f64>) -> f64 {
    runs.iter()
        .filter_map(of)
        .reduce(f64::min)
        .unwrap_or(f64::NAN)
}

/// The middle one of what the runs measured.
pub(crate) fn median(runs: &[Figures], of: impl Fn(&Figures) -> Option<f64>) -> f64 {
    let mut values: Vec<f64> = runs.iter().filter_map(of).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn pairs(predicted: &Estimate, runs: &[Figures]) -> Vec<Pair> {
    let seconds = |name, predicted, of: fn(&Figures) -> Option<f64>| Pair {
        name,
        predicted,
        measured: fastest(runs, of),
        promised: name == "prove_s",
    };
    let bytes = |name, predicted: u64, of: fn(&Figures) -> Option<u64>| Pair {
        name,
        predicted: predicted as f64,
        measured: median(runs, |figures| of(figures).map(|bytes| bytes as f64)),
        promised: true,
    };
    vec![
        seconds("prove_s", predicted.prove_s, |f| f.seconds.prove),
        bytes("peak_bytes", predicted.peak_bytes, |f| {
            f.peak_bytes.get("prove").copied()
        }),
        bytes("proof_bytes", predicted.proof_bytes, |f| f.bytes.proof),
        bytes("pk_bytes", predicted.pk_bytes, |f| f.bytes.pk),
        bytes("vk_bytes", predicted.vk_bytes, |f| f.bytes.vk),
        seconds("setup_s", predicted.setup_s, |f| f.seconds.setup),
        seconds("verify_s", predicted.verify_s, |f| f.seconds.verify),
    ]
}
