//! `zkstrata check`: the float model against the integer model and expected outputs.

use crate::args;
use crate::failure::{Context, Failure};
use crate::input::{self, Port, Sample, Side, Wanted};
use crate::progress::Progress;
use crate::quantised::{self, Quantised, describe_accuracy, judge};
use crate::report::Report;
use serde_json::json;
use std::path::Path;
use zkstrata::model_ir::quantise::Accuracy;

pub(crate) fn run(args: &args::Check, progress: &Progress) -> Result<Report, Failure> {
    progress.expect(&["import", "quantise", "accuracy"], 1);
    let imported = quantised::import(&args.model, Some(&args.input), progress)?;
    let samples = imported.samples(&args.input)?;
    let quantised = imported.quantise(&args.model, Some(&samples), progress)?;
    let accuracy = quantised.accuracy(&samples)?;
    let mut report = Report::new();
    quantised.describe(&mut report);
    describe_accuracy(&accuracy, &mut report);
    report.set("accepted", true);
    judge(
        &accuracy,
        &args.model,
        &args.closeness,
        progress,
        &mut report,
    );
    if let Some(path) = &args.expected {
        let expected = expected(&quantised, &samples, path)?;
        let against = Accuracy::against(&quantised.model, &samples, &expected);
        let against = against.context("comparing the integer model with expected outputs")?;
        compare(
            &quantised,
            &samples,
            (&expected, &against),
            args.tolerance,
            &mut report,
        )?;
        integers(&against, args, progress, &mut report);
    }
    Ok(report)
}

/// The outputs of a file, of every sample.
fn expected(
    quantised: &Quantised,
    samples: &[Sample],
    path: &Path,
) -> Result<Vec<Sample>, Failure> {
    let ports = Port::outputs(quantised.graph());
    let expected = input::samples(path, &ports, Side::Output, Wanted::All)?;
    if expected.len() != samples.len() {
        let (found, inputs) = (expected.len(), samples.len());
        let path = path.display();
        return Err(Failure::new(format!(
            "{path}: {found} expected outputs for {inputs} inputs"
        )));
    }
    Ok(expected)
}

/// Compares the float model's outputs with expected ones. Where these are integers that the model rounds itself,
/// floats may be rounded the other way: then it is the integer model that has them right.
fn compare(
    quantised: &Quantised,
    samples: &[Sample],
    (expected, against): (&[Sample], &Accuracy),
    tolerance: f64,
    report: &mut Report,
) -> Result<(), Failure> {
    let graph = quantised.graph();
    let ports = Port::outputs(graph);
    let mut largest = vec![(0.0_f64, 0.0_f64); ports.len()];
    for (sample, expected) in samples.iter().zip(expected) {
        let values = graph.run(sample).context("running the float model")?;
        let outputs = graph.outputs().iter().map(|(_, v)| &values[v.0]);
        for ((found, expected), (error, size)) in outputs.zip(expected).zip(&mut largest) {
            for (&x, &y) in found.iter().zip(expected) {
                let (x, y) = (f64::from(x), f64::from(y));
                let difference = (x - y).abs();
                *error = if difference.is_nan() {
                    difference
                } else {
                    error.max(difference)
                };
                *size = size.max(y.abs());
            }
        }
    }
    let mut json = Vec::new();
    let proven = against.outputs.iter().map(|output| output.max_error);
    for ((port, (error, size)), proven) in ports.iter().zip(largest).zip(proven) {
        let limit = tolerance * size.max(1.0);
        report.line(format_args!(
            "output `{}`, float against expected: max error {error:.3e} (largest value {size:.3e})",
            port.name
        ));
        json.push(json!({ "name": port.name, "max_error": error, "largest": size }));
        let off = |error: f64| error.is_nan() || error > limit;
        if off(error) && off(proven) {
            let named = format!("`{}`", port.name);
            let own = graph.notes().iter().find(|note| note.contains(&named));
            let note = own.or(graph.notes().first());
            let note = note.map_or(String::new(), |note| format!(" ({note})"));
            report.reject(format_args!(
                "output {named} of the float model differs from the expected one by {error:.3e}{note}; \
                 --tolerance allows more than {limit:.1e}"
            ));
        }
    }
    report.set("expected", json);
    Ok(())
}

/// Reports how close the integer model is to expected outputs.
fn integers(against: &Accuracy, args: &args::Check, progress: &Progress, report: &mut Report) {
    for output in &against.outputs {
        report.line(format_args!(
            "output `{}`, integer model against expected: max error {:.3e}, rms error {:.3e} (of \
             rms {:.3e}), argmax agrees on {:.2}%",
            output.name,
            output.max_error,
            output.rms_error,
            output.rms,
            100.0 * output.argmax_agreement
        ));
    }
    report.set("accuracy_expected", quantised::to_json(against));
    judge(against, &args.model, &args.closeness, progress, report);
}
