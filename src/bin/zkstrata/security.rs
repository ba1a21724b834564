//! `zkstrata security`: every term of a key's soundness error.

use crate::args;
use crate::failure::{Context, Failure};
use crate::keys;
use crate::report::Report;
use serde_json::json;
use zkstrata::{Security, VerifyingKey};

pub(crate) fn run(args: &args::Security) -> Result<Report, Failure> {
    let vk = keys::verifying_key(&args.vk)?;
    let batch = args
        .batch
        .map_or(vk.max_batch(), std::num::NonZeroUsize::get);
    if batch > vk.max_batch() {
        return Err(Failure::new(format!(
            "--batch {batch}: the key allows at most {}",
            vk.max_batch()
        )));
    }
    let mut report = Report::new();
    report.field("model", vk.digest());
    report.set("model", vk.digest().to_string());
    describe_key(&vk, batch, &mut report)?;
    Ok(report)
}

/// Reports every term of proofs of a batch, and of the key's certificate.
pub(crate) fn describe_key(
    vk: &VerifyingKey,
    batch: usize,
    report: &mut Report,
) -> Result<(), Failure> {
    let proofs = of(vk, batch)?;
    let what = format!("a proof of {} inferences", proofs.batch);
    describe("security", &what, &proofs, report);
    if let Some(hides) = proofs.zero_knowledge {
        report.set("zero_knowledge", json!(hides));
    }
    let certificate = vk.certificate_security();
    if let Some(certificate) = certificate.context("soundness of the certificate")? {
        describe(
            "certificate_security",
            "the certificate",
            &certificate,
            report,
        );
    }
    let session = vk.session_security();
    if let Some(session) = session.context("soundness of a session")? {
        let what = "the certificate of a session";
        describe("session_security", what, &session, report);
    }
    report.line(
        "Minus the logarithm of a forger's success per hash that it computes: the proof of work \
         before a challenge counts (SECURITY.md).",
    );
    Ok(())
}

/// The soundness error of a key's proofs.
pub(crate) fn of(vk: &VerifyingKey, batch: usize) -> Result<Security, Failure> {
    vk.security(batch).context("soundness of the key")
}

/// Reports every term of `what`.
fn describe(name: &str, what: &str, security: &Security, report: &mut Report) {
    report.line(format_args!("soundness error of {what}, in bits:"));
    for term in &security.terms {
        report.line(format_args!("  {:6.1}  {}", term.bits, term.name));
    }
    report.line(format_args!(
        "  {:6.1}  sum of all terms",
        security.total_bits
    ));
    if let Some(hides) = security.zero_knowledge {
        let [proof, hash] = [hides.proof_bits, hides.hash_bits];
        report.line(format_args!(
            "zero knowledge: whoever sees q of them and computes Q hashes learns of what is hidden with an \
             advantage of at most q 2^-{proof:.1} + Q q 2^-{hash:.0} (docs/zero-knowledge.md)"
        ));
    }
    let terms = security.terms.iter();
    let terms = terms.map(|term| json!({ "name": term.name, "bits": term.bits }));
    report.set(
        name,
        json!({
            "batch": security.batch,
            "total_bits": security.total_bits,
            "terms": terms.collect::<Vec<_>>(),
        }),
    );
}
