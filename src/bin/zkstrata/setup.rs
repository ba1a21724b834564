//! `zkstrata setup`: keys from a model.

use crate::args;
use crate::failure::{Context, Failure};
use crate::output::{self, Output};
use crate::progress::Progress;
use crate::quantised::{self, Judged, describe_accuracy, judge};
use crate::report::{Bytes, Count, Report, Seconds};
use crate::{security, session};
use std::time::Instant;
use zkstrata::model_ir::int::{Graph, Port};
use zkstrata::{FileKind, ProofProfile, SetupOptions, Trust, VerifyingKey, Visibility, Weights};

pub(crate) fn run(args: &args::Setup, progress: &Progress) -> Result<Report, Failure> {
    progress.expect(&["import", "quantise", "accuracy", "setup", "write"], 1);
    args.keys.check()?;
    let what = format!("cannot create directory {}", args.out.display());
    let found = args.out.exists();
    std::fs::create_dir_all(&args.out).context(what)?;
    let pk_file = Output::new(args.out.join("model.zkpk"), FileKind::ProvingKey)?;
    let vk_file = Output::new(args.out.join("model.zkvk"), FileKind::VerifyingKey)?;
    let pk_file = pk_file.kept_secret(args.keys.hides_weights());
    // Refuses to replace keys with hidden weights, whatever the new ones are.
    let count_file = Output::new(session::count_of(pk_file.path()), FileKind::Sessions)?;
    let count_file = args.keys.hides_weights().then_some(count_file);
    let certificate_file = args.out.join("model.zkct");
    let certificate_file = match args.keys.trust() {
        Trust::Maker => None,
        Trust::Certificate => Some(Output::new(certificate_file, FileKind::Certificate)?),
    };

    let imported = quantised::import(&args.model, None, progress)?;
    let quantised = imported.quantise(&args.model, None, progress)?;
    let accuracy = quantised.accuracy(quantised.calibration.samples())?;
    let mut report = Report::new();
    quantised.describe(&mut report);
    describe_accuracy(&accuracy, &mut report);
    let judged = judge(
        &accuracy,
        &args.model,
        &args.closeness,
        progress,
        &mut report,
    );
    if judged == Judged::Refused {
        if !found {
            // Empty, but for what somebody else put there meanwhile.
            let _ = std::fs::remove_dir(&args.out);
        }
        return Ok(report);
    }

    let options = args.keys.options(&quantised.model.graph)?;
    let start = Instant::now();
    let keys =
        tracing::info_span!("setup").in_scope(|| zkstrata::setup_with(quantised.model, &options));
    let (pk, vk) = keys.context(args.model.path.display())?;
    let certificate = pk.certificate().context(args.model.path.display())?;
    let setup_s = start.elapsed().as_secs_f64();
    let hidden = matches!(vk.weights(), Weights::Hidden(_));
    let count = hidden.then(|| pk.sessions_to_bytes(0)).transpose();
    let count = count.context(args.model.path.display())?;
    let (pk, vk_bytes) = (pk.to_bytes(), vk.to_bytes());
    let mut written = vec![(&pk_file, pk.as_slice())];
    match (&count_file, &count) {
        (Some(file), Some(bytes)) => written.push((file, bytes)),
        (Some(_), None) => {
            progress.note("the model has no weights: there is nothing of it to hide");
        }
        (None, _) => {}
    }
    match (&certificate_file, &certificate) {
        (Some(file), Some(bytes)) => written.push((file, bytes)),
        (Some(_), None) => progress.note("the model has no weights: its key needs no certificate"),
        (None, _) => {}
    }
    let warning = tracing::info_span!("write")
        .in_scope(|| output::write_keys(&written, (&vk_file, &vk_bytes)))?;
    if let Some(warning) = warning {
        progress.warn(warning);
    }

    let security = security::of(&vk, vk.max_batch())?;
    report.field(
        "soundness",
        format_args!(
            "{:.1} bits at the largest batch of {}",
            security.total_bits, security.batch
        ),
    );
    report.field("setup", Seconds(setup_s));
    written.push((&vk_file, &vk_bytes));
    for (file, bytes) in &written {
        let size = Bytes(bytes.len() as u64);
        report.field(
            "written",
            format_args!("{} ({size})", file.path().display()),
        );
    }
    report.field("model", vk.digest());
    advise(&vk, progress, &mut report);
    report.line(
        "Give verifiers the .zkvk file, or this digest, over a channel that they trust: a key \
         that comes with a proof proves nothing.",
    );
    report.set("model", vk.digest().to_string());
    report.set("soundness_bits", security.total_bits);
    report.set("max_batch", vk.max_batch());
    describe_key(&vk, &mut report);
    if let (Some(file), Some(bytes)) = (&certificate_file, &certificate) {
        report.set("certificate", file.path().display().to_string());
        report.set("certificate_bytes", bytes.len());
    }
    report.set("setup_s", setup_s);
    report.set("pk", pk_file.path().display().to_string());
    report.set("pk_bytes", pk.len());
    report.set("vk", vk_file.path().display().to_string());
    report.set("vk_bytes", vk_bytes.len());
    Ok(report)
}

/// What the maker of a key should know of it.
fn advise(vk: &VerifyingKey, progress: &Progress, report: &mut Report) {
    let hidden = matches!(vk.weights(), Weights::Hidden(_));
    if hidden {
        report.line(
            "The .zkpk file is a secret; the .zkuse file beside it counts its sessions: keep them together, and \
             restore neither from a copy. The numbers of the weights are hidden, not the structure that the graph \
             has: of trees, which features they compare, in which order, and how they branch.",
        );
    }
    for (input, output) in vk.exposed() {
        progress.warn(format!(
            "output `{}` is a linear function of the hidden input `{}`: each of its {} numbers is an equation on \
             it, which a proof cannot hide",
            output.name,
            input.name,
            Count(vk.graph().node(output.tensor).cells())
        ));
    }
    let options = vk.options();
    let graph = vk.graph();
    let all_public = (0..graph.inputs.len()).all(|k| options.inputs.of(k) == Visibility::Public);
    let committed = (0..graph.outputs.len()).any(|k| options.outputs.of(k) != Visibility::Public);
    if committed && all_public && !hidden {
        progress.warn(
            "all inputs and the weights are public, so anybody can compute the committed outputs",
        );
    }
}

/// What was chosen when a key was made, and how large its weights are if they are hidden.
pub(crate) fn describe_key(vk: &VerifyingKey, report: &mut Report) {
    describe_options(&vk.options(), vk.graph(), report);
    let Some(bits) = vk.weight_bits() else {
        return;
    };
    let who = match vk.trust() {
        Trust::Maker => "as its maker says",
        Trust::Certificate => "which its certificate has to prove",
    };
    let (weights, biases) = (bits.weights, bits.biases);
    report.field(
        "sizes",
        format_args!("weights of {weights} bits, biases of {biases}, {who}"),
    );
    report.set("weight_bits", weights);
    report.set("bias_bits", biases);
}

/// What was chosen when a key was made.
pub(crate) fn describe_options(options: &SetupOptions, graph: &Graph, report: &mut Report) {
    let weights = match options.weights {
        Weights::Compact => "compact",
        Weights::Public => "public",
        Weights::Hidden(uses) => {
            report.field(
                "sessions",
                format_args!("{}, of {} proofs each", uses.sessions, uses.proofs),
            );
            report.set("sessions", uses.sessions.get());
            report.set("proofs_of_a_session", uses.proofs.get());
            "hidden"
        }
    };
    let proofs = match options.proof {
        ProofProfile::Fast => "fast",
        ProofProfile::Small => "small",
    };
    let trust = match options.trust {
        Trust::Maker => "the maker of the key",
        Trust::Certificate => "the certificate of the key",
    };
    for (name, value) in [("weights", weights), ("proofs", proofs), ("trust", trust)] {
        report.field(name, value);
        report.set(name, value);
    }
    let inputs =
        |wanted: fn(Visibility) -> bool| names(&graph.inputs, |k| wanted(options.inputs.of(k)));
    let private = inputs(|who| who == Visibility::Private);
    let committed = inputs(|who| matches!(who, Visibility::Committed { .. }));
    let outputs = names(&graph.outputs, |k| {
        options.outputs.of(k) != Visibility::Public
    });
    let mut hidden = vec![];
    if weights == "hidden" {
        hidden.push("the weights".to_owned());
    }
    for (kind, names) in [
        ("input", &private),
        ("committed input", &committed),
        ("committed output", &outputs),
    ] {
        let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
        if !names.is_empty() {
            hidden.push(format!("{kind} {}", names.join(", ")));
        }
    }
    if !hidden.is_empty() {
        let shown = match (outputs.is_empty(), weights) {
            (true, "hidden") => "not the outputs",
            (false, "hidden") => "not other outputs",
            (true, _) => "not the outputs, nor the weights",
            (false, _) => "not other outputs, nor the weights",
        };
        let what = hidden.join(", ");
        report.field("hidden", format_args!("{what}, all activations; {shown}"));
    }
    report.set("private_inputs", private);
    report.set("committed_inputs", committed);
    report.set("committed_outputs", outputs);
}

/// The names of the ports at the positions that are wanted.
fn names(ports: &[Port], wanted: impl Fn(usize) -> bool) -> Vec<String> {
    let ports = ports.iter().enumerate();
    let ports = ports.filter(|(k, _)| wanted(*k));
    ports.map(|(_, port)| port.name.clone()).collect()
}
