//! The proof of a case: keys, a proof, its verification, and statements that must be rejected.

use crate::case::{Figures, Stage, Stop};
use crate::sample::Sample;
use std::time::Instant;
use zkstrata_gkr::{PortValue, Statement, VerifyingKey, setup};
use zkstrata_model_ir::int::{Ints, Model, Trace};

/// Proves the run of a model on samples, whose trace is given.
pub(crate) fn prove(
    model: Model,
    samples: &[Sample],
    trace: &Trace,
    figures: &mut Figures,
) -> Result<(), Stop> {
    let start = Instant::now();
    let keys = setup(model);
    figures.setup_s = Some(start.elapsed().as_secs_f64());
    let (pk, vk) = keys.map_err(|error| Stop::refused(Stage::Setup, &error))?;

    let start = Instant::now();
    let proven = pk.prove(samples);
    figures.prove_s = Some(start.elapsed().as_secs_f64());
    let proven = proven.map_err(|error| Stop::wrong(Stage::Prove, &error))?;
    let (statement, proof) = (proven.statement, proven.proof);
    figures.proof_bytes = Some(proof.len());

    let start = Instant::now();
    let verified = vk.verify(&statement, &proof);
    figures.verify_s = Some(start.elapsed().as_secs_f64());
    verified.map_err(|error| Stop::wrong(Stage::Verify, &error))?;

    let wrong = |reason: String| Err(Stop::said(Stage::Verify, reason));
    if let Some(name) = differs(&statement, &vk, trace) {
        return wrong(format!(
            "output `{name}` is proven to be another than was run"
        ));
    }
    for (k, port) in vk.graph().outputs.iter().enumerate() {
        let altered = altered(&statement, &vk, k);
        if vk.verify(&altered, &proof).is_ok() {
            let name = &port.name;
            return wrong(format!("ACCEPTED with an altered cell of output `{name}`"));
        }
    }
    Ok(())
}

/// The first output of the statement that is not the run's.
fn differs<'a>(statement: &Statement, vk: &'a VerifyingKey, trace: &Trace) -> Option<&'a str> {
    let same = |ints: &Ints, value: &PortValue| {
        let cells = value.public().unwrap_or_default();
        ints.len() == cells.len() && cells.iter().enumerate().all(|(i, &x)| ints.get(i) == x)
    };
    let mut pairs = vk.graph().outputs.iter().zip(&statement.outputs);
    let other = pairs.find(|(port, cells)| !same(&trace.tensors[port.tensor.0], cells));
    other.map(|(port, _)| &*port.name)
}

/// The statement with the last cell of output `k` changed by one, inside the output's interval if
/// there is room, so that only the proof can tell.
fn altered(statement: &Statement, vk: &VerifyingKey, k: usize) -> Statement {
    let mut statement = statement.clone();
    let interval = vk.graph().node(vk.graph().outputs[k].tensor).interval;
    if let Some(x) = statement.outputs[k]
        .public_mut()
        .and_then(|cells| cells.last_mut())
    {
        *x += if interval.contains(*x + 1) || !interval.contains(*x - 1) {
            1
        } else {
            -1
        };
    }
    statement
}
