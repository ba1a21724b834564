//! `zkstrata inspect`: what a file holds.

use crate::args;
use crate::failure::{Context, Failure};
use crate::input::Port;
use crate::progress::Progress;
use crate::report::{Bytes, Count, Report};
use crate::{files, keys, security, setup};
use serde_json::{Value, json};
use std::path::Path;
use zkstrata::model_ir::int::{Graph, SmallInts};
use zkstrata::{
    FileKind, PortValue, ProvingKey, TensorCommitment, TensorSecret, VerifyingKey, certified_model,
    certified_session, decode_proof, file_kind, onnx_import, session_left, sessions_used,
};

pub(crate) fn run(args: &args::Inspect, progress: &Progress) -> Result<Report, Failure> {
    progress.expect(&["load"], 1);
    let path = &args.file;
    let bytes = files::read_any(path)?;
    let mut report = Report::new();
    report.field("size", Bytes(bytes.len() as u64));
    report.set("bytes", bytes.len());
    match file_kind(&bytes) {
        Some(FileKind::VerifyingKey) => {
            report.set("kind", "verifying key");
            let vk = keys::decoded(path, &bytes, VerifyingKey::from_bytes)?;
            key(&vk, &mut report)?;
        }
        Some(FileKind::ProvingKey) => {
            report.set("kind", "proving key");
            let pk = keys::decoded(path, &bytes, ProvingKey::from_bytes)?;
            report.field(
                "parameters",
                Count(pk.model().weights.iter().map(SmallInts::len).sum()),
            );
            key(pk.verifying_key(), &mut report)?;
        }
        Some(FileKind::Proof) => {
            report.set("kind", "proof");
            proof(path, &bytes, &mut report)?;
        }
        Some(FileKind::Certificate) => {
            report.set("kind", "certificate");
            let model = certified_model(&bytes).context(path.display())?;
            report.field("model", model);
            report.set("model", model.to_string());
            report.line(
                "This is what the file claims; `zkstrata verify --certificate` says whether it holds.",
            );
        }
        Some(FileKind::SessionCertificate) => {
            report.set("kind", "certificate of a session");
            let (model, session) = certified_session(&bytes).context(path.display())?;
            report.field("model", model);
            report.field("session", session);
            report.set("model", model.to_string());
            report.set("session", session.to_string());
            report.line(
                "This is what the file claims; `zkstrata verify --session` says whether it holds.",
            );
        }
        Some(FileKind::Session) => {
            report.set("kind", "session");
            let (model, left) = session_left(&bytes).context(path.display())?;
            report.field("model", model);
            report.field("proofs left", left);
            report.set("model", model.to_string());
            report.set("proofs_left", left);
            report.line("Whoever has this file and proofs of the session may find the weights.");
        }
        Some(FileKind::Sessions) => {
            report.set("kind", "count of sessions");
            let (model, used) = sessions_used(&bytes).context(path.display())?;
            report.field("model", model);
            report.field("sessions used", used);
            report.set("model", model.to_string());
            report.set("sessions_used", used);
        }
        Some(FileKind::Commitment) => {
            report.set("kind", "commitment");
            let commitment = TensorCommitment::from_bytes(&bytes).context(path.display())?;
            tensor(&commitment, &mut report);
        }
        Some(FileKind::Secret) => {
            report.set("kind", "opening of a commitment");
            let secret = TensorSecret::from_bytes(&bytes).context(path.display())?;
            tensor(secret.commitment(), &mut report);
            report.field("uses left", secret.uses_left());
            report.set("uses_left", secret.uses_left());
            report.set("hides", !secret.is_hash());
            report.line(if secret.is_hash() {
                "The commitment is a hash: it does NOT hide the tensor, and neither do its proofs."
            } else {
                "Whoever has this file knows the tensor: keep it as you keep that."
            });
        }
        _ => {
            report.set("kind", "model");
            model(args, &bytes, progress, &mut report)?;
        }
    }
    Ok(report)
}

/// What a commitment says of itself.
fn tensor(commitment: &TensorCommitment, report: &mut Report) {
    let (digest, shape, uses) = (commitment.digest(), commitment.shape(), commitment.uses());
    report.field("commitment", digest);
    report.field("shape", format_args!("{shape:?}, the batch first"));
    report.field("uses", uses);
    report.set("commitment", digest.to_string());
    report.set("shape", shape);
    report.set("uses", uses.get());
}

fn key(vk: &VerifyingKey, report: &mut Report) -> Result<(), Failure> {
    let graph = vk.graph();
    report.field("model", vk.digest());
    setup::describe_key(vk, report);
    report.field("largest batch", vk.max_batch());
    report.field("nodes", graph.nodes.len());
    let rows: usize = graph.tables.iter().map(|table| table.len).sum();
    report.field(
        "tables",
        format_args!("{} of {} rows", graph.tables.len(), Count(rows)),
    );
    report.set("model", vk.digest().to_string());
    report.set("max_batch", vk.max_batch());
    report.set("nodes", graph.nodes.len());
    report.set("tables", graph.tables.len());
    report.set("table_rows", rows);
    ports(graph, report);
    security::describe_key(vk, vk.max_batch(), report)
}

fn ports(graph: &Graph, report: &mut Report) {
    for (kind, plural, ports) in [
        ("input", "inputs", &graph.inputs),
        ("output", "outputs", &graph.outputs),
    ] {
        for port in ports {
            let interval = graph.node(port.tensor).interval;
            let missing = graph.missing(port);
            let missing = missing.map(|code| format!(", missing values (NaN) as {code}"));
            let features = port.features.as_ref().map(|features| {
                let count = features.scale.len();
                format!(", after an affine map of each of {count} features")
            });
            report.field(
                kind,
                format_args!(
                    "`{}` {:?}, integers in {interval} times {:.6e}{}{}",
                    port.name,
                    port.shape,
                    port.scale,
                    missing.unwrap_or_default(),
                    features.unwrap_or_default()
                ),
            );
        }
        let ports = ports.iter().map(|port| {
            let interval = graph.node(port.tensor).interval;
            json!({
                "name": port.name,
                "shape": port.shape,
                "scale": port.scale,
                "interval": [interval.lo, interval.hi],
                "missing": graph.missing(port),
                "features": port.features,
            })
        });
        report.set(plural, ports.collect::<Vec<Value>>());
    }
}

fn proof(path: &Path, bytes: &[u8], report: &mut Report) -> Result<(), Failure> {
    let (statement, proof) = decode_proof(bytes).context(path.display())?;
    report.field("model", statement.model);
    let inputs = statement.inputs.iter();
    let inputs: Vec<Option<usize>> = inputs.map(|x| x.public().map(<[i64]>::len)).collect();
    let outputs = statement.outputs.iter();
    let outputs: Vec<Option<usize>> = outputs.map(|x| x.public().map(<[i64]>::len)).collect();
    for (kind, values) in [("input", &statement.inputs), ("output", &statement.outputs)] {
        let shown = |value: &PortValue| match value {
            PortValue::Public(cells) => cells.len().to_string(),
            PortValue::Private => "private".into(),
            PortValue::Committed(commitment) => format!("committed {}", commitment.digest()),
        };
        let shown: Vec<String> = values.iter().map(shown).collect();
        report.field(
            &format!("{kind} cells"),
            format_args!("[{}]", shown.join(", ")),
        );
    }
    if let Some(session) = statement.session {
        report.field("session", session);
        report.set("session", session.to_string());
    }
    report.field("proof", Bytes(proof.len() as u64));
    report.line("This is what the file claims; only `zkstrata verify` says whether it holds.");
    report.set("model", statement.model.to_string());
    report.set("input_cells", json!(inputs));
    report.set("output_cells", json!(outputs));
    report.set("proof_bytes", proof.len());
    Ok(())
}

fn model(
    args: &args::Inspect,
    bytes: &[u8],
    progress: &Progress,
    report: &mut Report,
) -> Result<(), Failure> {
    let path = &args.file;
    let summary = onnx_import::summary(bytes).context(path.display())?;
    report.field("producer", &summary.producer);
    let opsets = summary.opsets.iter().map(|(d, v)| format!("{d} {v}"));
    report.field("opsets", opsets.collect::<Vec<_>>().join(", "));
    report.field("parameters", Count(summary.parameters as usize));
    let operators = summary.operators.iter();
    let operators = operators.map(|(name, count)| format!("{name} x{count}"));
    report.field("operators", operators.collect::<Vec<_>>().join(", "));
    report.set("producer", summary.producer);
    report.set("opsets", json!(summary.opsets));
    report.set("parameters", summary.parameters);
    report.set("operators", json!(summary.operators));
    let graph = match onnx_import::import_file_with(path, &args.import.options()) {
        Ok(graph) => graph,
        Err(error) => {
            let failure = Failure::because("not supported", &error);
            report.line(&failure);
            report.set("supported", false);
            report.set("reason", failure.to_string());
            return Ok(());
        }
    };
    report.set("supported", true);
    for (kind, plural, ports) in [
        ("input", "inputs", Port::inputs(&graph)),
        ("output", "outputs", Port::outputs(&graph)),
    ] {
        for port in &ports {
            report.field(kind, format_args!("`{}` {:?}", port.name, port.shape));
        }
        let ports = ports.iter();
        let ports = ports.map(|port| json!({ "name": port.name, "shape": port.shape }));
        report.set(plural, ports.collect::<Vec<Value>>());
    }
    for note in graph.notes() {
        progress.note(note);
    }
    Ok(())
}
