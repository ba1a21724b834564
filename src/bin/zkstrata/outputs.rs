//! The outputs of a statement as the user sees them.

use crate::report::Report;
use serde_json::{Value, json};
use zkstrata::Statement;
use zkstrata::model_ir::int::Graph;

/// Cells of an output, and inferences of a batch, that the text form shows.
const SHOWN: usize = 10;

/// Reports the real outputs of every inference. The statement must have been accepted by the key
/// of `graph`, or made by the prover.
pub(crate) fn describe(statement: &Statement, graph: &Graph, report: &mut Report) {
    let inferences = statement.real_outputs(graph);
    for (index, outputs) in inferences.iter().enumerate().take(SHOWN) {
        for ((port, cells), value) in graph.outputs.iter().zip(outputs).zip(&statement.outputs) {
            if value.public().is_none() {
                continue;
            }
            let shown = cells.iter().take(SHOWN).map(|x| format!("{x:.4}"));
            let shown: Vec<String> = shown.collect();
            let more = if cells.len() > SHOWN { ", ..." } else { "" };
            report.line(format_args!(
                "inference {index}, `{}`: [{}{more}], largest: {}",
                port.name,
                shown.join(", "),
                argmax(cells)
            ));
        }
    }
    let shown = statement
        .outputs
        .iter()
        .any(|value| value.public().is_some());
    if shown && inferences.len() > SHOWN {
        let more = inferences.len() - SHOWN;
        report.line(format_args!("... and {more} more inferences"));
    }
    report.set("batch", inferences.len());
    commitments(statement, graph, report);
    let ports = graph.outputs.iter().enumerate();
    let outputs = ports.map(|(k, port)| {
        let shown = statement.outputs[k].public().is_some();
        let values: Vec<&Vec<f64>> = inferences.iter().map(|outputs| &outputs[k]).collect();
        let largest: Vec<usize> = values.iter().map(|cells| argmax(cells)).collect();
        json!({
            "name": port.name,
            "shape": port.shape,
            "scale": port.scale,
            "values": shown.then_some(values),
            "argmax": shown.then_some(largest),
        })
    });
    report.set("outputs", outputs.collect::<Vec<Value>>());
}

/// Reports the commitments to inputs and outputs.
fn commitments(statement: &Statement, graph: &Graph, report: &mut Report) {
    for (kind, plural, ports, values) in [
        (
            "input",
            "input_commitments",
            &graph.inputs,
            &statement.inputs,
        ),
        (
            "output",
            "output_commitments",
            &graph.outputs,
            &statement.outputs,
        ),
    ] {
        let committed = ports.iter().zip(values);
        let committed = committed.filter_map(|(port, value)| Some((port, value.commitment()?)));
        let mut names = serde_json::Map::new();
        for (port, commitment) in committed {
            let digest = commitment.digest().to_string();
            report.field(
                "committed",
                format_args!("{kind} `{}`, {digest}", port.name),
            );
            names.insert(port.name.clone(), digest.into());
        }
        report.set(plural, Value::Object(names));
    }
}

/// Index of the first largest cell.
fn argmax(cells: &[f64]) -> usize {
    let larger = |best: usize, i: usize| if cells[i] > cells[best] { i } else { best };
    (0..cells.len()).fold(0, larger)
}
