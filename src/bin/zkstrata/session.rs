//! `zkstrata session`: a session of a key with hidden weights, and its files.

use crate::args;
use crate::failure::{Context, Failure};
use crate::output::{Output, alone};
use crate::progress::Progress;
use crate::report::{Bytes, Report, Seconds};
use crate::{files, keys};
use std::path::{Path, PathBuf};
use std::time::Instant;
use zkstrata::{FileKind, ProvingKey, ProvingSession, VerifyingKey, Weights};

/// The file that counts the sessions of a proving key.
pub(crate) fn count_of(pk: &Path) -> PathBuf {
    pk.with_extension("zkuse")
}

pub(crate) fn run(args: &args::Session, progress: &Progress) -> Result<Report, Failure> {
    progress.expect(&["load", "session", "write"], 1);
    if args.out == args.certificate {
        let what = "--out and --session-certificate are one file";
        return Err(Failure::new(what).remedy("give each a name of its own"));
    }
    let out = Output::new(args.out.clone(), FileKind::Session)?;
    let certificate_out = Output::new(args.certificate.clone(), FileKind::SessionCertificate)?;
    let pk = keys::proving_key(&args.pk)?;
    let vk = pk.verifying_key();
    if !matches!(vk.weights(), Weights::Hidden(_)) {
        let what = format!("{}: the key does not hide its weights", args.pk.display());
        return Err(
            Failure::new(what).remedy("set up with --weights hidden, or prove without a session")
        );
    }
    let start = Instant::now();
    let (session, certificate) = start_session(&args.pk, &pk)?;
    let session_s = start.elapsed().as_secs_f64();
    let bytes = session.to_bytes(0);
    tracing::info_span!("write").in_scope(|| {
        certificate_out
            .write(&certificate)
            .and_then(|()| out.write(&bytes))
    })?;

    let mut report = Report::new();
    let digest = session.verifying_key().session_digest();
    let digest = digest.map(|digest| digest.to_string()).unwrap_or_default();
    report.field("model", vk.digest());
    report.field("session", &digest);
    report.field("proofs", session.left().unwrap_or(0));
    report.field("sessions left", pk.left().unwrap_or(0));
    report.field("made in", Seconds(session_s));
    report.field(
        "written",
        format_args!("{}, a secret", out.path().display()),
    );
    report.field(
        "written",
        format_args!(
            "{} ({})",
            certificate_out.path().display(),
            Bytes(certificate.len() as u64)
        ),
    );
    report.line(
        "Verifiers need the .zksc file once. Keep the .zkses file from others, use no copy of it and restore \
         none: each counts for itself, and too many proofs show the weights.",
    );
    report.set("model", vk.digest().to_string());
    report.set("session", digest);
    report.set("proofs", session.left());
    report.set("sessions_left", pk.left());
    report.set("certificate_bytes", certificate.len());
    report.set("session_s", session_s);
    Ok(report)
}

/// Makes a session, which is counted before.
fn start_session(path: &Path, pk: &ProvingKey) -> Result<(ProvingSession, Vec<u8>), Failure> {
    let count = Output::replacing(count_of(path), FileKind::Sessions)?;
    let counted = alone(&count, || {
        let found = count.path().display();
        let bytes = files::read_kind(count.path(), FileKind::Sessions).map_err(|failure| {
            failure.remedy(
                "it counts the key's sessions and stands beside the key under the same name; if it is lost, make \
                 new keys",
            )
        })?;
        pk.resume(&bytes).context(found)?;
        if pk.left() == Some(0) {
            let what = format!("{}: all sessions of the key have been made", path.display());
            return Err(Failure::new(what).remedy("make new keys, with more --sessions"));
        }
        let next = pk.sessions_to_bytes(1).context(path.display())?;
        count.write(&next)
    });
    counted?;
    let span = tracing::info_span!("session");
    span.in_scope(|| pk.session()).context(path.display())
}

/// Takes a proof of a session from its file: it has one less before anything is proven, and no two
/// processes take the same.
pub(crate) fn take(path: &Path, pk: &ProvingKey) -> Result<ProvingSession, Failure> {
    // Says what else the file is, if it is no session.
    files::read_kind(path, FileKind::Session)?;
    let output = Output::replacing(path.into(), FileKind::Session)?;
    alone(&output, || {
        let bytes = files::read_kind(path, FileKind::Session)?;
        let session = ProvingSession::from_bytes(pk, &bytes).context(path.display())?;
        if session.left() == Some(0) {
            let what = format!("{}: the session has made all its proofs", path.display());
            return Err(Failure::new(what).remedy("start another with `zkstrata session`"));
        }
        output.write(&session.to_bytes(1))?;
        Ok(session)
    })
}

/// Fails unless a session is given if and only if the weights are hidden.
pub(crate) fn check(given: Option<&PathBuf>, vk: &VerifyingKey, key: &Path) -> Result<(), Failure> {
    let hidden = matches!(vk.weights(), Weights::Hidden(_));
    let key = key.display();
    match given {
        None if hidden => Err(Failure::new(format!("{key}: the key hides its weights")).remedy(
            "give --session FILE: `zkstrata session` makes the .zkses file of the prover and the .zksc \
             file of verifiers",
        )),
        Some(_) if !hidden => {
            let what = format!("--session: {key} does not hide its weights and has no sessions");
            Err(Failure::new(what).remedy("leave it out"))
        }
        _ => Ok(()),
    }
}
