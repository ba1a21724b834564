//! What is measured: one record per run of one system on one model, a line of JSON each.
//!
//! Times are wall-clock seconds, sizes are bytes. A figure that a run did not take, or that the
//! operating system does not tell, is absent. Records of a failed run hold what was measured
//! before it failed, and the [`Fault`].

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Version of the schema; a line of another version is refused.
pub(crate) const SCHEMA: u32 = 1;

/// One run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// [`SCHEMA`].
    pub(crate) schema: u32,
    /// When the run was recorded, in UTC: `2026-01-31T12:00:00Z`.
    pub(crate) time: String,
    /// What ran.
    pub(crate) system: System,
    /// Where it ran.
    pub(crate) machine: Machine,
    /// What it ran on.
    pub(crate) model: Model,
    /// Bits of zkstrata's activations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) profile: Option<Profile>,
    /// Whether zkstrata's verifier holds the weights or a commitment to them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) weights: Option<Weights>,
    /// What zkstrata's proofs are made for; nothing where they are fast.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) proofs: Option<Proofs>,
    /// Inferences per proof.
    pub(crate) batch: usize,
    /// Threads that the system was given.
    pub(crate) threads: usize,
    /// Number of the run, from 1.
    pub(crate) run: usize,
    /// What was measured.
    #[serde(flatten)]
    pub(crate) figures: Figures,
    /// Why there is no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) failure: Option<Fault>,
}

/// A system under test.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct System {
    /// `zkstrata`, `ezkl` or `onnxruntime`.
    pub(crate) name: String,
    /// Its version, where it could be asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) version: Option<String>,
    /// The commit that zkstrata was built from; `-dirty` if with changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) commit: Option<String>,
    /// Architecture and vector extensions that zkstrata was built for, and the compiler.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) build: Option<String>,
}

/// A machine and its state.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Machine {
    /// Model of the processor.
    pub(crate) cpu: String,
    /// Logical processors that this process may use.
    pub(crate) cores: usize,
    /// Physical memory.
    pub(crate) memory_bytes: Option<u64>,
    /// Operating system and architecture.
    pub(crate) os: String,
    /// Load average over a minute, before the run.
    pub(crate) load: Option<f64>,
}

/// A model and its input.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Model {
    /// Its name in tables.
    pub(crate) name: String,
    /// BLAKE3 of the ONNX file, hexadecimal.
    pub(crate) digest: String,
    /// Length of the ONNX file.
    pub(crate) bytes: u64,
    /// Number of its weights.
    pub(crate) parameters: Option<u64>,
    /// Shape of every input.
    pub(crate) inputs: Vec<Vec<usize>>,
    /// Where the input comes from.
    pub(crate) data: String,
}

/// Bits of the activations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Profile {
    /// 8-bit activations
    Fast,
    /// 12-bit activations
    Accurate,
}

/// What the verifier knows of the weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Weights {
    /// A commitment
    Committed,
    /// The weights
    Public,
}

/// What proofs are made for.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Proofs {
    /// Their time
    #[default]
    Fast,
    /// Their size
    Small,
}

impl Profile {
    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Fast => "fast",
            Self::Accurate => "accurate",
        }
    }
}

impl Weights {
    /// Their name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Committed => "committed",
            Self::Public => "public",
        }
    }
}

/// What was measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Figures {
    /// Times.
    #[serde(default)]
    pub(crate) seconds: Seconds,
    /// Sizes of files.
    #[serde(default)]
    pub(crate) bytes: Bytes,
    /// Largest resident set of the process of each stage.
    #[serde(default)]
    pub(crate) peak_bytes: BTreeMap<String, u64>,
    /// Plain inference of the same file and input, in turns with this run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) yardstick: Option<Yardstick>,
    /// How close the outputs are to the float model's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) accuracy: Option<Accuracy>,
    /// Logarithm of the rows of EZKL's circuit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) logrows: Option<u32>,
}

/// Times of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Seconds {
    /// From the ONNX file to what setup takes: zkstrata imports and quantises, EZKL makes
    /// settings, calibrates and compiles.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) prepare: Option<f64>,
    /// The structured reference string, which EZKL shares between models: not part of setup.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) srs: Option<f64>,
    /// The keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) setup: Option<f64>,
    /// Running the quantised model, a part of `prove`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) witness: Option<f64>,
    /// From the input to the proof.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) prove: Option<f64>,
    /// Of a decoded key; EZKL reads key, reference string and proof from files within.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) verify: Option<f64>,
    /// Plain inference, of onnxruntime.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) inference: Option<f64>,
    /// The parts of the above that the system tells apart.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) parts: BTreeMap<String, f64>,
}

/// Sizes of a run's files.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Bytes {
    /// The proof without its statement.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) proof: Option<u64>,
    /// The proving key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pk: Option<u64>,
    /// The verifying key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) vk: Option<u64>,
}

/// Median times of onnxruntime for a whole batch, one inference after the other.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Yardstick {
    /// With one thread.
    pub(crate) one_thread_s: f64,
    /// With the threads of the run.
    pub(crate) same_threads_s: f64,
}

/// Distance from the float model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Accuracy {
    /// Whose float outputs: `onnxruntime`, or `float executor`, which is zkstrata's own, where
    /// onnxruntime did not run or computes something else than the imported model.
    pub(crate) reference: String,
    /// Number of inputs.
    pub(crate) samples: usize,
    /// Largest absolute difference.
    pub(crate) max_abs_err: f64,
    /// Largest magnitude of the float outputs.
    pub(crate) max_abs: f64,
    /// Fraction of the outputs' rows whose largest cell is the same.
    pub(crate) argmax: f64,
}

/// How a run failed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Fault {
    /// The stage that failed.
    pub(crate) stage: String,
    /// The kind of failure.
    pub(crate) kind: FaultKind,
    /// The limit that was exceeded, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) limit: Option<String>,
    /// How long the stage had run.
    pub(crate) seconds: f64,
    /// The last lines that it printed.
    pub(crate) log: Vec<String>,
}

/// Kinds of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum FaultKind {
    /// Stopped at the limit of time.
    Timeout,
    /// Stopped at the limit of memory, or by the operating system for want of memory.
    Memory,
    /// An error of its own.
    Error,
    /// Could not be installed or started.
    Unavailable,
}

impl Fault {
    /// A fault of the harness itself.
    pub(crate) fn own(stage: &str, error: impl std::fmt::Display) -> Self {
        Self {
            stage: stage.into(),
            kind: FaultKind::Error,
            limit: None,
            seconds: 0.0,
            log: vec![error.to_string()],
        }
    }
}
