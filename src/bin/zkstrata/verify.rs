//! `zkstrata verify`: accept or reject a proof.

use crate::args;
use crate::failure::{Context, Failure};
use crate::input::{self, Port, Side, Wanted};
use crate::progress::Progress;
use crate::report::{Bytes, Report, Seconds};
use crate::{files, keys, outputs, session};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Instant;
use zkstrata::model_ir::int::{self, Graph, Ints};
use zkstrata::{
    Digest, FileKind, PortValue, Statement, Trust, VerifyError, VerifyingKey, decode_proof,
};

pub(crate) fn run(args: &args::Verify, progress: &Progress) -> Result<Report, Failure> {
    progress.expect(&["load", "verify"], 1);
    let mut vk = keys::verifying_key(&args.vk)?;
    if let Some(path) = &args.certificate {
        let certificate = files::read_kind(path, FileKind::Certificate)?;
        if let Err(error) = vk.certify(&certificate) {
            return Ok(Report::rejected(error));
        }
    }
    if !vk.is_certified() {
        let failure = Failure::because(args.vk.display(), &VerifyError::Uncertified);
        return Err(failure.remedy(
            "give --certificate FILE, the model.zkct that `zkstrata setup --certificate` wrote \
             beside the key",
        ));
    }
    session::check(args.session.as_ref(), &vk, &args.vk)?;
    if let Some(path) = &args.session {
        let certificate = files::read_kind(path, FileKind::SessionCertificate)?;
        match vk.accept(&certificate) {
            Ok(accepted) => vk = accepted,
            Err(error) => return Ok(Report::rejected(error)),
        }
    }
    let bytes = files::read_kind(&args.proof, FileKind::Proof)?;
    let expected = match &args.input {
        Some(path) => Some(integers(path, args.batch, &vk, progress)?),
        None => None,
    };

    let start = Instant::now();
    let (statement, proof) = match decode_proof(&bytes) {
        Ok(decoded) => decoded,
        Err(error) => return Ok(Report::rejected(format_args!("malformed proof: {error}"))),
    };
    let verified = tracing::info_span!("verify").in_scope(|| vk.verify(&statement, &proof));
    let verify_s = start.elapsed().as_secs_f64();
    if let Err(error) = verified {
        return Ok(Report::rejected(error));
    }
    let (shown, hidden) = keys::visibility(&vk);
    if let (Some(path), true) = (&args.input, shown.is_empty()) {
        let what = format!(
            "{}: the proof hides input {hidden}, so there is nothing to compare with",
            path.display()
        );
        return Err(Failure::new(what).remedy("leave out --input"));
    }
    let other = expected.and_then(|inputs| difference(&statement, &inputs, vk.graph()));
    if let Some(difference) = other {
        return Ok(Report::rejected(format_args!(
            "the proof is valid, but for another input: {difference}"
        )));
    }

    if let Some(context) = args
        .context
        .filter(|context| context.0 != statement.context)
    {
        return Ok(Report::rejected(format_args!(
            "the proof is valid, but bound to {} and not to {context}",
            Digest(statement.context)
        )));
    }

    if let Some(other) = other_commitments(args, &statement, vk.graph())? {
        return Ok(Report::rejected(format_args!(
            "the proof is valid, but {other}"
        )));
    }

    let mut report = Report::new();
    report.set("accepted", true);
    report.line(accepted(
        args.input.is_some(),
        !hidden.is_empty(),
        &statement,
    ));
    outputs::describe(&statement, vk.graph(), &mut report);
    describe_inputs(&statement, &hidden, &mut report);
    report.set("hides_inputs", shown.is_empty());
    describe_session(&statement, &vk, &mut report);
    if statement.context != [0; 32] {
        report.field("context", Digest(statement.context));
    }
    report.set("context", Digest(statement.context).to_string());
    report.field("model", vk.digest());
    report.field("verified in", Seconds(verify_s));
    report.field("proof", Bytes(proof.len() as u64));
    report.line(match args.certificate {
        Some(_) => {
            "The model is the one of the key, whose certificate holds: it commits to one set of \
             weights. Which these are, and whether the key is the one you mean, is not shown: compare \
             its digest."
        }
        None => "The model is the one of the key: use a key, or compare a digest, that you trust.",
    });
    report.set("certificate", args.certificate.is_some());
    report.set("model", vk.digest().to_string());
    report.set("input_compared", args.input.is_some());
    report.set("verify_s", verify_s);
    report.set("proof_bytes", proof.len());
    Ok(report)
}

/// What is known of hidden inputs. Nobody sees of a commitment whether it is a hash.
fn describe_inputs(statement: &Statement, hidden: &str, report: &mut Report) {
    if hidden.is_empty() {
        return;
    }
    let committed = |value: &PortValue| matches!(value, PortValue::Committed(_));
    let unless = if statement.inputs.iter().any(committed) {
        ", unless it was committed to with --hashed"
    } else {
        ""
    };
    report.field("hidden", format_args!("input {hidden}{unless}"));
}

/// What is known of hidden weights.
fn describe_session(statement: &Statement, vk: &VerifyingKey, report: &mut Report) {
    if let Some(digest) = statement.session {
        report.field("hidden", "the weights");
        report.field("session", digest);
        report.line(match vk.trust() {
            Trust::Maker => {
                "The weights are those that the key commits to. That these are integers of the sizes that it \
                 tells, and zero where layers are padded, rests on trust in the maker of the key."
            }
            Trust::Certificate => {
                "The weights are those that the key commits to: one set of integers of the sizes that it \
                 tells, zero where layers are padded."
            }
        });
        report.set("session", digest.to_string());
    }
}

/// The integers of a file's inputs at the key's scales.
fn integers(
    path: &Path,
    batch: Option<NonZeroUsize>,
    vk: &VerifyingKey,
    progress: &Progress,
) -> Result<Vec<Vec<i64>>, Failure> {
    let graph = vk.graph();
    let wanted = Wanted::of_batch(batch, vk.max_batch());
    let samples = input::samples(path, &Port::of(&graph.inputs), Side::Input, wanted)?;
    let inputs = graph.quantise_inputs(&samples).context(path.display())?;
    if inputs.saturated > 0 {
        progress.warn(format!(
            "{}: {} cells were clamped to the calibrated range before the comparison",
            path.display(),
            inputs.saturated
        ));
    }
    Ok(inputs.cells.iter().map(Ints::to_vec).collect())
}

/// What a valid proof says.
fn accepted(compared: bool, hides: bool, statement: &Statement) -> String {
    let mut outputs = statement.outputs.iter();
    let outputs = if outputs.any(|value| value.public().is_some()) {
        "these outputs"
    } else {
        "outputs that are committed"
    };
    let inputs = match (compared, hides) {
        (true, false) => "on the given input",
        (true, true) => "with the given inputs and hidden ones",
        (false, false) => "on the statement's input",
        (false, true) => "on an input that the prover knows",
    };
    format!("ACCEPTED: {inputs}, the model has {outputs}")
}

/// The first committed input or output that has another commitment than is expected.
fn other_commitments(
    args: &args::Verify,
    statement: &Statement,
    graph: &Graph,
) -> Result<Option<String>, Failure> {
    let inputs = graph.inputs.iter().zip(&statement.inputs);
    let other = other_commitment("input", inputs, &args.input_commitment)?;
    if other.is_some() {
        return Ok(other);
    }
    let outputs = graph.outputs.iter().zip(&statement.outputs);
    other_commitment("output", outputs, &args.output_commitment)
}

/// The first committed port that has another commitment than that of its file.
fn other_commitment<'a>(
    kind: &str,
    ports: impl Iterator<Item = (&'a int::Port, &'a PortValue)>,
    paths: &[PathBuf],
) -> Result<Option<String>, Failure> {
    let committed = ports.filter_map(|(port, value)| Some((port, value.commitment()?)));
    let committed: Vec<_> = committed.collect();
    if paths.len() > committed.len() {
        let (found, most) = (paths.len(), committed.len());
        let what = format!("--{kind}-commitment: {found} are given, {most} {kind}s are committed");
        return Err(Failure::new(what).remedy("give at most one for each, in their order"));
    }
    for ((port, proven), path) in committed.into_iter().zip(paths) {
        let given = files::commitment(path)?;
        if given != *proven {
            return Ok(Some(format!(
                "{kind} `{}` has the commitment {}, not {} of {}",
                port.name,
                proven.digest(),
                given.digest(),
                path.display()
            )));
        }
    }
    Ok(None)
}

/// The first difference between a statement's inputs and the expected ones.
fn difference(statement: &Statement, inputs: &[Vec<i64>], graph: &Graph) -> Option<String> {
    let pairs = statement.inputs.iter().zip(inputs).zip(&graph.inputs);
    for ((proven, given), port) in pairs {
        let Some(proven) = proven.public() else {
            continue;
        };
        let cells: usize = port.shape.iter().product();
        if proven.len() != given.len() {
            return Some(format!(
                "it is about {} inferences, the input file has {} (see --batch)",
                proven.len() / cells.max(1),
                given.len() / cells.max(1)
            ));
        }
        if let Some(i) = (0..proven.len()).find(|&i| proven[i] != given[i]) {
            let (inference, cell) = (i / cells.max(1), i % cells.max(1));
            let shown = |x: i64| match graph.missing(port) {
                Some(code) if x == code => "missing".into(),
                _ => x.to_string(),
            };
            return Some(format!(
                "`{}` of inference {inference}, cell {cell}: {} in the proof, {} in the file \
                 (in units of {:.3e})",
                port.name,
                shown(proven[i]),
                shown(given[i]),
                port.scale
            ));
        }
    }
    None
}
