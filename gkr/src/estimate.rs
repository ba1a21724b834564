//! What a proof will take, before any key is made: time, memory, sizes.
//!
//! An estimate reads the plan of the protocol and runs its verifier without a proof (`dry`), so it
//! counts what the prover will do and cannot drift from it. Sizes follow from the counts. Times
//! and memory are sums of counts times rates (`rate`) that were measured on a reference machine;
//! times are divided by this machine's speed (`speed`).

mod rate;
mod size;
mod speed;
mod tally;
mod work;

pub use rate::Term;

use crate::error::{SetupError, VerifyError};
use crate::form::Form;
use crate::options::SetupOptions;
use crate::setup::largest_batch;
use work::Work;
use zkstrata_model_ir::int::{Model, ValidGraph};
use zkstrata_pcs::joint::Joint;

/// Where a proof is made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Machine {
    /// Threads of the prover.
    pub threads: usize,
    /// Speed of one core as a multiple of the reference machine's.
    pub speed: f64,
}

impl Machine {
    /// This machine with the threads of the current pool. Measures its speed, which takes some
    /// 40 ms.
    pub fn here() -> Self {
        Self {
            threads: rayon::current_num_threads(),
            speed: speed::speed(),
        }
    }

    /// The machine on which the rates were measured, with this many threads.
    pub fn reference(threads: usize) -> Self {
        Self {
            threads,
            speed: 1.0,
        }
    }
}

/// What a proof will take.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Estimate {
    /// Seconds to prove a batch.
    pub prove_s: f64,
    /// Seconds to make the keys of the quantised model.
    pub setup_s: f64,
    /// Seconds to verify a proof.
    pub verify_s: f64,
    /// Peak memory of a process that loads the proving key and proves.
    pub peak_bytes: u64,
    /// Length of the proof, without the statement.
    pub proof_bytes: u64,
    /// Length of the proving key's file.
    pub pk_bytes: u64,
    /// Length of the verifying key's file.
    pub vk_bytes: u64,
    /// What the times and the memory are made of.
    pub terms: Vec<Term>,
    machine: Machine,
}

/// The stages of proving.
const STAGES: [&str; 6] = ["run", "witness", "commit", "lookup", "linear", "open"];

impl Estimate {
    /// Seconds of each stage of proving, by the name of its span.
    pub fn stages(&self) -> impl Iterator<Item = (&'static str, f64)> {
        STAGES.into_iter().map(|stage| (stage, self.seconds(stage)))
    }

    /// Seconds of all terms of a figure.
    fn seconds(&self, figure: &str) -> f64 {
        let Machine { threads, speed } = self.machine;
        let of = |term: &&Term| term.figure == figure;
        let nanoseconds = self.terms.iter().filter(of).map(|term| {
            let threads = if term.shared { threads } else { 1 };
            term.count * term.rate / threads as f64
        });
        nanoseconds.sum::<f64>() * 1e-9 / speed
    }
}

/// Estimates proofs of `batch` inferences of a model.
///
/// # Errors
/// The model or the batch exceeds a limit, as setup or proving would say.
pub fn estimate(
    model: &Model,
    options: &SetupOptions,
    batch: usize,
    machine: Machine,
) -> Result<Estimate, SetupError> {
    let mut model = model.clone();
    let options = &options.fit(&mut model)?;
    let model = &model;
    let graph = ValidGraph::new(model.graph.clone());
    let graph = graph.map_err(|e| SetupError::Model(e.to_string()))?;
    let largest = largest_batch::<Joint>(&graph, options)?;
    if !(1..=largest).contains(&batch) {
        return Err(SetupError::Limit(format!(
            "a batch of {batch}, where a proof takes 1 to {largest} inferences"
        )));
    }
    let refused = |e| match e {
        VerifyError::Opening(e) => SetupError::Commit(e),
        other => SetupError::Limit(other.to_string()),
    };
    let form = Form::new(&graph, options, batch).map_err(refused)?;
    let work = Work::new(model, &form, options).map_err(refused)?;
    let (pk, vk) = size::keys(model, options.weights, &form.weights, form.key.as_ref());
    let mut estimate = Estimate {
        prove_s: 0.0,
        setup_s: 0.0,
        verify_s: 0.0,
        peak_bytes: 0,
        proof_bytes: work.proof as u64,
        pk_bytes: pk as u64,
        vk_bytes: vk as u64,
        terms: rate::terms(&work),
        machine,
    };
    estimate.prove_s = estimate.stages().map(|(_, seconds)| seconds).sum();
    estimate.setup_s = estimate.seconds("setup");
    estimate.verify_s = estimate.seconds("verify");
    let memory = estimate.terms.iter().filter(|term| term.figure == "memory");
    estimate.peak_bytes = memory.map(|term| term.count * term.rate).sum::<f64>() as u64;
    Ok(estimate)
}
