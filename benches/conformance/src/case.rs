//! One case: import, quantise, run, compare, and prove.

use crate::args::Profile;
use crate::compare::{self, Found};
use crate::constants;
use crate::described;
use crate::files::Files;
use crate::model::Names;
use crate::npy::Kind;
use crate::proof;
use crate::sample;
use crate::suite::Entry;
use ndarray::ArrayD;
use serde::{Deserialize, Serialize};
use std::error::Error;
use std::time::Instant;
use zkstrata_model_ir::int::{Executor, Graph, Model, Trace};
use zkstrata_model_ir::quantise::{Calibration, Options, quantise};

/// What became of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Every output is the reference's, and the proof, if one was asked for, does what it should.
    Passed,
    /// Something came out, but not what should.
    Wrong,
    /// The case was turned down before anything came out.
    Refused,
    /// A panic, a signal or no end in time.
    Crashed,
}

/// Where a case ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the names of the steps")]
pub enum Stage {
    Read,
    Import,
    Quantise,
    Run,
    Compare,
    Setup,
    Prove,
    Verify,
}

/// What was measured: wall-clock seconds, and bytes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names of the steps")]
pub struct Figures {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub import_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantise_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub setup_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prove_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verify_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proof_bytes: Option<usize>,
}

/// A case and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Case {
    /// Its folder, relative to the suite.
    pub name: String,
    /// The row of the table that counts it: its operator, or the model.
    pub row: String,
    /// Every operator of the model once, sorted; empty if it was not learnt.
    pub operators: Vec<String>,
    /// Inputs that became constants.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub constants: Vec<String>,
    /// How it was quantised.
    pub profile: Profile,
    /// What became of it.
    pub outcome: Outcome,
    /// Where it ended, if it did not pass.
    pub stage: Option<Stage>,
    /// Why, if it did not pass.
    pub reason: Option<String>,
    /// The largest error of an output relative to its reference's range.
    pub max_relative_error: Option<f64>,
    /// Whether all references are floats, if that was learnt.
    pub float_outputs: Option<bool>,
    /// What was measured.
    #[serde(flatten)]
    pub figures: Figures,
}

/// Why a case went no further.
pub(crate) struct Stop {
    outcome: Outcome,
    stage: Stage,
    reason: String,
}

impl Stop {
    pub(crate) fn refused(stage: Stage, error: &dyn Error) -> Self {
        Self {
            outcome: Outcome::Refused,
            stage,
            reason: described(error),
        }
    }

    pub(crate) fn wrong(stage: Stage, error: &dyn Error) -> Self {
        Self::said(stage, described(error))
    }

    /// A wrong result in words.
    pub(crate) fn said(stage: Stage, reason: String) -> Self {
        Self {
            outcome: Outcome::Wrong,
            stage,
            reason,
        }
    }

    fn unreadable(reason: String) -> Self {
        Self {
            outcome: Outcome::Refused,
            stage: Stage::Read,
            reason,
        }
    }
}

impl Case {
    /// A case of which nothing is known yet but that it did not end.
    pub(crate) fn crashed(entry: &Entry, profile: Profile, reason: String) -> Self {
        Self {
            name: entry.name.clone(),
            row: entry.row(&[]),
            operators: Vec::new(),
            constants: Vec::new(),
            profile,
            outcome: Outcome::Crashed,
            stage: None,
            reason: Some(reason),
            max_relative_error: None,
            float_outputs: None,
            figures: Figures::default(),
        }
    }
}

/// How a case is run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct How {
    pub(crate) depth: Depth,
    pub(crate) constants: Constants,
}

/// Whether a case is also proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Depth {
    Run,
    Prove,
}

/// Which inputs may become constants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Constants {
    None,
    Fewest,
}

/// Runs a case in this process.
pub(crate) fn run(entry: &Entry, profile: Profile, how: How) -> Case {
    let mut case = Case::crashed(entry, profile, String::new());
    match attempt(entry, how, &mut case) {
        Ok(()) => (case.outcome, case.reason) = (Outcome::Passed, None),
        Err(stop) => {
            case.outcome = stop.outcome;
            case.stage = Some(stop.stage);
            case.reason = Some(stop.reason);
        }
    }
    case
}

/// A case's model and what it is run on.
pub(crate) struct Prepared {
    pub(crate) notes: Vec<String>,
    pub(crate) model: Model,
    pub(crate) samples: Vec<Vec<ArrayD<f32>>>,
    references: Vec<compare::Reference>,
}

/// Reads, imports and quantises a case.
pub(crate) fn prepare(entry: &Entry, how: How, case: &mut Case) -> Result<Prepared, Stop> {
    let path = entry.model();
    let bytes = std::fs::read(&path).map_err(|error| Stop::refused(Stage::Read, &error))?;
    let names = Names::read(&bytes).map_err(Stop::unreadable)?;
    case.row = entry.row(&names.operators);
    case.operators.clone_from(&names.operators);
    let files = Files::read(entry, &names.outputs).map_err(Stop::unreadable)?;
    if files.references.is_empty() {
        return Err(Stop::unreadable("there is no reference output".into()));
    }
    let float = |reference: &compare::Reference| reference.kind == Kind::Float;
    case.float_outputs = Some(files.references.iter().all(float));

    let start = Instant::now();
    let graph = zkstrata_onnx_import::import_file(&path);
    case.figures.import_s = Some(start.elapsed().as_secs_f64());
    let graph = match (graph, how.constants) {
        (Err(error), Constants::Fewest) => {
            let again = constants::import(&bytes, &files.inputs);
            let (graph, names) = again.ok_or_else(|| Stop::refused(Stage::Import, &error))?;
            case.constants = names;
            graph
        }
        (graph, _) => graph.map_err(|error| Stop::refused(Stage::Import, &error))?,
    };
    drop(bytes);
    let samples = sample::samples(&graph, &names.inputs, &files.inputs);
    let samples = samples.map_err(Stop::unreadable)?;

    let start = Instant::now();
    let calibration = Calibration::from_samples(samples.clone());
    let quantised = quantise(&graph, &calibration, &Options::new(case.profile.into()));
    case.figures.quantise_s = Some(start.elapsed().as_secs_f64());
    Ok(Prepared {
        notes: graph.notes().to_vec(),
        model: quantised
            .map_err(|error| Stop::refused(Stage::Quantise, &error))?
            .model,
        samples,
        references: files.references,
    })
}

fn attempt(entry: &Entry, how: How, case: &mut Case) -> Result<(), Stop> {
    let Prepared {
        notes,
        model,
        samples,
        references,
    } = prepare(entry, how, case)?;
    let failed = |error: &dyn Error| Stop::wrong(Stage::Run, error);
    let executor = Executor::new(&model).map_err(|error| failed(&error))?;
    let start = Instant::now();
    let inputs = model.graph.quantise_inputs(&samples);
    let trace = executor.run(&inputs.map_err(|error| failed(&error))?.cells);
    case.figures.run_s = Some(start.elapsed().as_secs_f64());
    let trace = trace.map_err(|error| failed(&error))?;
    drop(executor);

    let found = outputs(&model.graph, &trace);
    let verdict = compare::compare(&references, &found, case.profile.tolerance());
    case.max_relative_error = verdict.error;
    if !verdict.faults.is_empty() {
        let mut reason = verdict.faults.join("; ");
        for note in notes {
            reason = format!("{reason} ({note})");
        }
        return Err(Stop::said(Stage::Compare, reason));
    }
    match how.depth {
        Depth::Run => Ok(()),
        Depth::Prove => proof::prove(model, &samples, &trace, &mut case.figures),
    }
}

/// The real outputs of a run; those of several samples are joined along their first axis.
fn outputs(graph: &Graph, trace: &Trace) -> Vec<Found> {
    let ports = graph.outputs.iter().map(|port| {
        let tensor = &trace.tensors[port.tensor.0];
        let shape = match (&*port.shape, trace.batch) {
            (shape, 1) => shape.to_vec(),
            ([1, rest @ ..], batch) => [&[batch], rest].concat(),
            // No axis of the output counts the samples.
            (shape, batch) => [&[batch], shape].concat(),
        };
        Found {
            name: port.name.clone(),
            shape,
            cells: (0..tensor.len())
                .map(|i| tensor.get(i) as f64 * port.scale)
                .collect(),
        }
    });
    ports.collect()
}
