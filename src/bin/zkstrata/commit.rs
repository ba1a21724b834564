//! `zkstrata commit`: a commitment to an input, and what opens it.

use crate::args;
use crate::failure::{Context, Failure};
use crate::input::{self, Port, Side, Wanted};
use crate::keys;
use crate::output::Output;
use crate::progress::Progress;
use crate::report::{Count, Report};
use zkstrata::{FileKind, VerifyingKey, Visibility};

pub(crate) fn run(args: &args::Commit, progress: &Progress) -> Result<Report, Failure> {
    progress.expect(&["load", "write"], 1);
    if args.out == args.secret {
        return Err(
            Failure::new("--out and --secret are one file").remedy("give each a name of its own")
        );
    }
    let out = Output::new(args.out.clone(), FileKind::Commitment)?;
    let secret_out = Output::new(args.secret.clone(), FileKind::Secret)?;
    let vk = keys::verifying_key(&args.vk)?;
    let index = port(args, &vk)?;
    let port = &vk.graph().inputs[index];
    let wanted = Wanted::of_batch(args.batch, vk.max_batch());
    let ports = Port::of(std::slice::from_ref(port));
    let samples = input::samples(&args.input, &ports, Side::Input, wanted)?;
    let arrays = samples.iter().flatten();
    let integers = vk.graph().quantise_input(port, arrays);
    let (cells, clamped) = integers.context(args.input.display())?;
    if clamped > 0 {
        progress.warn(format!(
            "{}: {} input cells lie beyond the calibrated range and were clamped to it",
            args.input.display(),
            Count(clamped)
        ));
    }
    let secret = if args.hashed {
        vk.hash_input(index, &cells)
    } else {
        vk.commit_input(index, &cells)
    };
    let secret = secret.context(args.input.display())?;
    let bytes = secret.to_bytes_after(0).unwrap_or_default();
    // What nobody can open is of no use to anybody, so that comes last.
    secret_out.write(&bytes)?;
    out.write(&secret.commitment().to_bytes())?;

    let mut report = Report::new();
    let digest = secret.commitment().digest();
    report.field("commitment", digest);
    report.field(
        "input",
        format_args!("`{}`, {} samples", port.name, samples.len()),
    );
    report.field("uses", secret.uses_left());
    for file in [&out, &secret_out] {
        report.field("written", file.path().display());
    }
    report.line(if args.hashed {
        "This is a hash, which does NOT hide the input: guesses can be checked, and proofs show parts of it."
    } else {
        "Whoever has the .zko file knows the input. Use no copy of it: each counts its uses for itself."
    });
    report.set("commitment", digest.to_string());
    report.set("input", port.name.clone());
    report.set("batch", samples.len());
    report.set("uses", secret.uses_left());
    report.set("clamped_inputs", clamped);
    report.set("hides", !args.hashed);
    Ok(report)
}

/// The committed input that is meant.
fn port(args: &args::Commit, vk: &VerifyingKey) -> Result<usize, Failure> {
    let inputs = vk.graph().inputs.iter().enumerate();
    let committed =
        inputs.filter(|(k, _)| matches!(vk.visibilities().of(*k), Visibility::Committed { .. }));
    let committed: Vec<_> = committed.collect();
    let names: Vec<_> = committed
        .iter()
        .map(|(_, port)| format!("`{}`", port.name))
        .collect();
    let names = names.join(", ");
    if committed.is_empty() {
        let what = format!("{}: no input of the model is committed", args.vk.display());
        return Err(Failure::new(what).remedy("set up with --input-visibility committed"));
    }
    match (&args.name, committed.as_slice()) {
        (None, &[(index, _)]) => Ok(index),
        (None, _) => Err(
            Failure::new(format!("several inputs are committed: {names}"))
                .remedy("say which one with --name"),
        ),
        (Some(name), committed) => {
            let found = committed.iter().find(|(_, port)| port.name == *name);
            let unknown = || {
                Failure::new(format!("--name: no committed input `{name}`"))
                    .remedy(format!("the key has {names}"))
            };
            found.map(|&(index, _)| index).ok_or_else(unknown)
        }
    }
}
