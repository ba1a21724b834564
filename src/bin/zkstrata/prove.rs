//! `zkstrata prove`: a proof from a proving key and inputs.

use crate::args;
use crate::failure::{Context, Failure};
use crate::output::Output;
use crate::progress::Progress;
use crate::report::{Bytes, Count, Report, Seconds};
use crate::{keys, linked, outputs, session};
use std::time::Instant;
use zkstrata::{FileKind, encode_proof};

/// The spans of the prover.
pub(crate) const STAGES: [&str; 7] = [
    "run", "witness", "commit", "lookup", "linear", "seal", "open",
];

pub(crate) fn run(args: &args::Prove, progress: &Progress) -> Result<Report, Failure> {
    progress.expect(
        &[&["load"], STAGES.as_slice(), &["verify", "write"]].concat(),
        1,
    );
    let out = Output::new(args.out.clone(), FileKind::Proof)?;
    let pk = keys::proving_key(&args.pk)?;
    let (shown, hidden) = keys::visibility(pk.verifying_key());
    if args.zk && !shown.is_empty() {
        let what = format!("{}: the proof would show input {shown}", args.pk.display());
        return Err(Failure::new(what).remedy("set up with --zk"));
    }
    session::check(args.session.as_ref(), pk.verifying_key(), &args.pk)?;
    let outs = linked::Outputs::new(args, &pk)?;
    let inputs = linked::Inputs::read(args, &pk)?;
    if let (true, Some(hash)) = (args.zk, inputs.hash()) {
        let what = format!(
            "{}: it is a hash, which does not hide the input",
            hash.display()
        );
        return Err(Failure::new(what).remedy("make a commitment without --hashed"));
    }
    let clamped = inputs.clamped();
    if clamped > 0 {
        let what = format!(
            "{}: {} input cells lie beyond the calibrated range",
            inputs.name(),
            Count(clamped)
        );
        if args.strict_input {
            return Err(Failure::new(what).remedy(
                "set up with calibration samples that reach them, or leave out --strict-input to \
                 prove the run on clamped ones",
            ));
        }
        progress.warn(format!("{what} and were clamped to it"));
    }
    let start = Instant::now();
    let (proven, session) = inputs.prove(&pk, args.session.as_deref())?;
    let pk = session.as_deref().unwrap_or(&pk);
    let (statement, proof) = (&proven.statement, &proven.proof);
    let prove_s = start.elapsed().as_secs_f64();
    let vk = pk.verifying_key();
    // Costs milliseconds, and a broken machine or build never hands out a bad proof.
    let verified = tracing::info_span!("verify").in_scope(|| vk.verify(statement, proof));
    verified.context("the proof was made but does not verify; this is a bug, please report it")?;
    let bytes = encode_proof(statement, proof);
    // Without what opens its commitments the proof could link nothing.
    let span = tracing::info_span!("write");
    span.in_scope(|| outs.write(&proven.outputs).and_then(|()| out.write(&bytes)))?;
    if let Some(note) = outs.note(&proven.outputs) {
        progress.note(note);
    }

    let mut report = Report::new();
    report.field("model", vk.digest());
    report.set("model", vk.digest().to_string());
    outputs::describe(statement, vk.graph(), &mut report);
    match inputs.hash() {
        Some(hash) => report.field(
            "not hidden",
            format_args!("the input of {}: its commitment is a hash", hash.display()),
        ),
        None if hidden.is_empty() => {}
        None => report.field("hidden", format_args!("input {hidden}")),
    }
    if !shown.is_empty() {
        report.field("shown", format_args!("input {shown}"));
    }
    report.set("hides_inputs", shown.is_empty() && inputs.hash().is_none());
    if let Some(left) = session.as_ref().and_then(|session| session.left()) {
        report.field("hidden", "the weights");
        if let Some(digest) = statement.session {
            report.field("session", digest);
            report.set("session", digest.to_string());
        }
        report.field("proofs left", left);
        report.set("proofs_left", left);
    }
    report.field("clamped", format_args!("{} input cells", Count(clamped)));
    report.set("clamped_inputs", clamped);
    report.field("proving time", Seconds(prove_s));
    report.field("proof", Bytes(proof.len() as u64));
    report.field(
        "written",
        format_args!("{} ({})", args.out.display(), Bytes(bytes.len() as u64)),
    );
    report.set("prove_s", prove_s);
    report.set("proof_bytes", proof.len());
    report.set("proof", args.out.display().to_string());
    report.set("file_bytes", bytes.len());
    Ok(report)
}
