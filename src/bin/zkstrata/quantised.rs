//! From an ONNX file and calibration samples to an integer model, and how close it is.

use crate::args;
use crate::failure::{Context, Failure};
use crate::input::{self, Port, Sample, Side, Wanted};
use crate::progress::Progress;
use crate::report::{Count, Report};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Instant;
use zkstrata::model_ir::float::Graph;
use zkstrata::model_ir::int;
use zkstrata::model_ir::quantise::{self, Accuracy, Calibration, Options};
use zkstrata::onnx_import;

/// Seed of made-up samples.
const SEED: u64 = 1;

/// An imported model.
pub(crate) struct Imported {
    pub(crate) graph: Graph,
    pub(crate) seconds: f64,
}

/// A model in both forms.
pub(crate) struct Quantised {
    pub(crate) imported: Imported,
    pub(crate) calibration: Calibration,
    pub(crate) model: int::Model,
    pub(crate) facts: quantise::Report,
    pub(crate) seconds: f64,
}

/// Imports a model. Lengths that neither the file nor an option says are those of the calibration
/// samples, or of `inputs`.
pub(crate) fn import(
    args: &args::Model,
    inputs: Option<&Path>,
    progress: &Progress,
) -> Result<Imported, Failure> {
    let start = Instant::now();
    let mut options = args.import.options();
    let span = tracing::info_span!("import");
    // An input whose shape is known is not asked for again.
    let graph = loop {
        let graph = span.in_scope(|| onnx_import::import_file_with(&args.path, &options));
        let (Err(onnx_import::Error::DynamicShape { input, lengths, .. }), Some(path)) =
            (&graph, args.calibration.as_deref().or(inputs))
        else {
            break graph;
        };
        let Some(shape) = input::shape(path, input, lengths)? else {
            break graph;
        };
        progress.note(format!(
            "input `{input}` has the shape {shape:?} of its array in {}",
            path.display()
        ));
        options = options.shape(input, shape);
    };
    let graph = graph.context(args.path.display())?;
    for note in graph.notes() {
        progress.note(note);
    }
    let seconds = start.elapsed().as_secs_f64();
    Ok(Imported { graph, seconds })
}

impl Imported {
    /// Reads inputs of this model.
    pub(crate) fn samples(&self, path: &Path) -> Result<Vec<Sample>, Failure> {
        input::samples(path, &Port::inputs(&self.graph), Side::Input, Wanted::All)
    }

    /// Quantises the model. Without a calibration file, `samples` fix the ranges; without either,
    /// made-up ones do.
    pub(crate) fn quantise(
        self,
        args: &args::Model,
        samples: Option<&[Sample]>,
        progress: &Progress,
    ) -> Result<Quantised, Failure> {
        let calibration = match (&args.calibration, samples) {
            (Some(path), _) => Calibration::from_samples(self.samples(path)?),
            (None, Some(samples)) => Calibration::from_samples(samples.to_vec()),
            (None, None) => {
                progress.warn(
                    "NO CALIBRATION DATA: the ranges of the activations come from made-up, \
                     standard normal inputs; real inputs may be clamped or impossible to prove; \
                     give representative inputs with --calibration FILE",
                );
                Calibration::synthetic(&self.graph, SEED)
            }
        };
        let start = Instant::now();
        let options = Options::new(args.profile.into());
        let span = tracing::info_span!("quantise");
        let quantised = span.in_scope(|| quantise::quantise(&self.graph, &calibration, &options));
        let quantised = quantised.context(args.path.display())?;
        // That was said above, louder.
        let said = |warning: &&String| calibration.is_synthetic() && warning.contains("synthetic");
        let warnings = quantised.report.warnings.iter();
        let warnings: Vec<&String> = warnings.filter(|warning| !said(warning)).collect();
        progress.warn_all(&warnings);
        Ok(Quantised {
            imported: self,
            calibration,
            model: quantised.model,
            facts: quantised.report,
            seconds: start.elapsed().as_secs_f64(),
        })
    }
}

/// Made-up inputs that differ from the made-up calibration samples.
pub(crate) fn made_up(graph: &Graph, count: usize) -> Vec<Sample> {
    let seeds = SEED + 1..;
    let samples = seeds.flat_map(|seed| Calibration::synthetic(graph, seed).samples().to_vec());
    samples.take(count).collect()
}

impl Quantised {
    /// The float form.
    pub(crate) fn graph(&self) -> &Graph {
        &self.imported.graph
    }

    /// Compares the two forms on samples.
    pub(crate) fn accuracy(&self, samples: &[Sample]) -> Result<Accuracy, Failure> {
        let span = tracing::info_span!("accuracy");
        let accuracy = span.in_scope(|| Accuracy::measure(self.graph(), &self.model, samples));
        accuracy.context("comparing the integer with the float model")
    }

    /// Reports the facts of the quantisation.
    pub(crate) fn describe(&self, report: &mut Report) {
        let facts = &self.facts;
        report.field(
            "quantisation",
            format_args!("{}-bit activations, shift {}", facts.bits, facts.shift),
        );
        report.field("parameters", Count(facts.parameters));
        report.field("macs", Count(facts.macs));
        report.field(
            "lookups",
            format_args!(
                "{} in tables of {} rows",
                Count(facts.lookups),
                Count(facts.rows)
            ),
        );
        report.set("shift", facts.shift);
        report.set("bits", facts.bits);
        report.set("parameters", facts.parameters);
        report.set("macs", facts.macs);
        report.set("lookups", facts.lookups);
        report.set("table_rows", facts.rows);
    }
}

/// Whether a command goes on with an integer model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Judged {
    /// It is accurate, or may be inaccurate.
    GoOn,
    /// It is inaccurate, and the report says so.
    Refused,
}

/// Judges an accuracy that was measured.
pub(crate) fn judge(
    accuracy: &Accuracy,
    model: &args::Model,
    closeness: &args::Closeness,
    progress: &Progress,
    report: &mut Report,
) -> Judged {
    let Err(inaccurate) = accuracy.verdict() else {
        report.set_first("accurate", true);
        return Judged::GoOn;
    };
    report.set("accurate", false);
    if closeness.allow_inaccurate {
        progress.warn(format!("the integer model is inaccurate: {inaccurate}"));
        return Judged::GoOn;
    }
    let profile = match model.profile {
        args::Profile::Fast => "--profile accurate or ",
        args::Profile::Accurate => "",
    };
    report.refuse(format_args!(
        "{inaccurate}; try {profile}more --calibration samples, like the inputs to come, or go on \
         regardless with --allow-inaccurate"
    ));
    Judged::Refused
}

/// Reports how close the integer model is.
pub(crate) fn describe_accuracy(accuracy: &Accuracy, report: &mut Report) {
    for output in &accuracy.outputs {
        report.line(format_args!(
            "output `{}` against float, {} samples: max error {:.3e}, rms error {:.3e} \
             (of rms {:.3e}), argmax agrees on {:.2}%",
            output.name,
            accuracy.samples,
            output.max_error,
            output.rms_error,
            output.rms,
            100.0 * output.argmax_agreement
        ));
    }
    if accuracy.saturated_inputs > 0 {
        report.line(format_args!(
            "{} input cells were clamped to the calibrated range",
            Count(accuracy.saturated_inputs)
        ));
    }
    let saturated = accuracy.tables.iter().filter(|table| table.saturated > 0);
    for table in saturated {
        report.line(format_args!(
            "layer `{}`: {:.4}% of {} activations saturated",
            table.node,
            100.0 * table.saturated as f64 / table.cells.max(1) as f64,
            Count(table.cells)
        ));
    }
    report.set("accuracy", to_json(accuracy));
}

pub(crate) fn to_json(accuracy: &Accuracy) -> Value {
    let outputs = accuracy.outputs.iter().map(|output| {
        json!({
            "name": output.name,
            "max_error": output.max_error,
            "rms_error": output.rms_error,
            "rms": output.rms,
            "range": output.range,
            "argmax_agreement": output.argmax_agreement,
            "near_agreement": output.near_agreement,
            "equal_cells": output.equal_cells,
            "fault": output.fault().map(|fault| fault.to_string()),
            "origin": output.origin.as_ref().map(|origin| &origin.node),
        })
    });
    let layers = accuracy.tables.iter().map(|table| {
        json!({
            "name": table.node,
            "cells": table.cells,
            "saturated": table.saturated,
            "used": [table.used.lo, table.used.hi],
            "domain": [table.domain.lo, table.domain.hi],
        })
    });
    json!({
        "samples": accuracy.samples,
        "saturated_inputs": accuracy.saturated_inputs,
        "outputs": outputs.collect::<Vec<_>>(),
        "layers": layers.collect::<Vec<_>>(),
    })
}
