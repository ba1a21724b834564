//! `zkstrata prove`: a proof from a proving key and inputs.

use crate::args;
use crate::failure::{Context, Failure};
use crate::input::{self, Port, Side, Wanted};
use crate::output::Output;
use crate::progress::Progress;
use crate::report::{Bytes, Report, Seconds};
use crate::{keys, outputs};
use std::time::Instant;
use zkstrata::{FileKind, encode_proof};

/// The spans of the prover.
pub(crate) const STAGES: [&str; 6] = ["run", "witness", "commit", "lookup", "linear", "open"];

pub(crate) fn run(args: &args::Prove, progress: &Progress) -> Result<Report, Failure> {
    progress.expect(
        &[&["load"], STAGES.as_slice(), &["verify", "write"]].concat(),
        1,
    );
    let out = Output::new(args.out.clone(), FileKind::Proof)?;
    let pk = keys::proving_key(&args.pk)?;
    let ports = Port::of(&pk.model().graph.inputs);
    let wanted = Wanted::of_batch(args.batch, pk.verifying_key().max_batch());
    let samples = input::samples(&args.input, &ports, Side::Input, wanted)?;

    let start = Instant::now();
    let (statement, proof) = pk.prove(&samples).context(args.input.display())?;
    let prove_s = start.elapsed().as_secs_f64();
    let vk = pk.verifying_key();
    // Costs milliseconds, and a broken machine or build never hands out a bad proof.
    let verified = tracing::info_span!("verify").in_scope(|| vk.verify(&statement, &proof));
    verified.context("the proof was made but does not verify; this is a bug, please report it")?;
    let bytes = encode_proof(&statement, &proof);
    let span = tracing::info_span!("write");
    span.in_scope(|| out.write(&bytes))?;

    let mut report = Report::new();
    report.field("model", vk.digest());
    report.set("model", vk.digest().to_string());
    outputs::describe(&statement, vk.graph(), &mut report);
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
