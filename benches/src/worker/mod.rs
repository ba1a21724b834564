//! The measured processes of zkstrata: this program, started anew for setup, proving and
//! verification, so that the memory of each is its own.

mod prove;
mod setup;
mod verify;

use crate::failure::{Context, Failure};
use crate::record::{Profile, Proofs, Weights};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;
use zkstrata::model_ir::{int, quantise};
use zkstrata::{ProofProfile, ProvingKey, SetupOptions, VerifyingKey};

/// What a worker measures.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Stage {
    /// Quantises the model, makes the keys and compares the outputs with float
    Setup,
    /// Proves when told to
    Prove,
    /// Verifies the proof
    Verify,
}

/// What all three are told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) model: PathBuf,
    /// Files of samples.
    pub(crate) calibration: PathBuf,
    pub(crate) samples: PathBuf,
    pub(crate) profile: Profile,
    pub(crate) weights: Weights,
    pub(crate) proofs: Proofs,
    pub(crate) threads: usize,
    pub(crate) runs: usize,
    pub(crate) batch: usize,
    /// Where keys and proof go.
    pub(crate) directory: PathBuf,
}

/// Answer of [`Stage::Setup`].
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Prepared {
    pub(crate) import_s: f64,
    pub(crate) quantise_s: f64,
    /// At most one for every run; fewer if setup is slow.
    pub(crate) setup_s: Vec<f64>,
    pub(crate) pk_bytes: u64,
    pub(crate) vk_bytes: u64,
    pub(crate) peak_bytes: Option<u64>,
    /// Outputs of the integer model, `[sample][output][cell]`.
    pub(crate) integer: Outputs,
    /// The same of the float executor.
    pub(crate) float: Outputs,
    /// Cells of the last axis of every output.
    pub(crate) row: Vec<usize>,
}

/// Real outputs, `[sample][output][cell]`.
pub(crate) type Outputs = Vec<Vec<Vec<f64>>>;

/// Commands to [`Stage::Prove`], which answers [`Loaded`] when it is ready.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Command {
    /// Prove once; answered by [`Proven`].
    Prove,
    /// Write the proof and end; answered by [`Written`].
    Finish,
}

/// The prover is ready.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Loaded {
    pub(crate) load_s: f64,
}

/// One proof.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Proven {
    pub(crate) seconds: f64,
    pub(crate) parts: BTreeMap<String, f64>,
    pub(crate) peak_bytes: Option<u64>,
}

/// The last proof is in its file.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Written {
    pub(crate) proof_bytes: u64,
}

/// Answer of [`Stage::Verify`].
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Verified {
    pub(crate) seconds: Vec<f64>,
    pub(crate) peak_bytes: Option<u64>,
}

/// Does one stage of the job in a file.
pub(crate) fn run(stage: Stage, job: &Path) -> Result<(), Failure> {
    let text = fs::read_to_string(job).context(job.display())?;
    let job: Job = serde_json::from_str(&text).context(job.display())?;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(job.threads);
    pool.build_global().context("starting threads")?;
    match stage {
        Stage::Setup => setup::run(&job),
        Stage::Prove => prove::run(&job),
        Stage::Verify => verify::run(&job),
    }
}

impl Job {
    fn pk(&self) -> PathBuf {
        self.directory.join("model.zkpk")
    }

    fn vk(&self) -> PathBuf {
        self.directory.join("model.zkvk")
    }

    fn proof(&self) -> PathBuf {
        self.directory.join("run.zkp")
    }
}

/// The keys of a model.
fn keys(model: int::Model, job: &Job) -> Result<(ProvingKey, VerifyingKey), Failure> {
    zkstrata::setup_with(model, &options(job.weights, job.proofs)).context("setup")
}

/// The library's options.
pub(crate) fn options(weights: Weights, proofs: Proofs) -> SetupOptions {
    SetupOptions {
        weights: constants(weights),
        proof: match proofs {
            Proofs::Fast => ProofProfile::Fast,
            Proofs::Small => ProofProfile::Small,
        },
        ..SetupOptions::default()
    }
}

/// The library's name for how the verifier knows the weights.
fn constants(weights: Weights) -> zkstrata::Weights {
    match weights {
        Weights::Committed => zkstrata::Weights::Compact,
        Weights::Public => zkstrata::Weights::Public,
    }
}

/// The library's name for a profile.
pub(crate) fn profile(profile: Profile) -> quantise::Profile {
    match profile {
        Profile::Fast => quantise::Profile::Fast,
        Profile::Accurate => quantise::Profile::Accurate,
    }
}

/// Writes an answer.
fn answer(answer: &impl Serialize) -> Result<(), Failure> {
    let line = serde_json::to_string(answer).context("answering")?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").context("answering")?;
    out.flush().context("answering")
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let start = Instant::now();
    let result = work();
    (result, start.elapsed().as_secs_f64())
}
