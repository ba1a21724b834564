//! Proves the first samples whenever it is told to.

use super::{Command, Job, Loaded, Proven, Written, answer, timed};
use crate::arrays;
use crate::failure::{Context, Failure};
use crate::machine;
use crate::stages::Stages;
use std::fs;
use std::io::BufRead;
use zkstrata::{ProvingKey, encode_proof};

/// Proofs that take less than this are preceded by one that is not measured.
const SHORT_S: f64 = 0.25;

pub(super) fn run(job: &Job) -> Result<(), Failure> {
    let stages = Stages::start();
    let (pk, load_s) = timed(|| {
        let bytes = fs::read(job.pk()).context("reading the proving key")?;
        <ProvingKey>::from_bytes(&bytes).context("reading the proving key")
    });
    let pk = pk?;
    let samples = arrays::read_samples(&job.samples)?;
    let samples = samples.iter().cycle().take(job.batch);
    let samples: Vec<_> = samples.cloned().collect();

    // From real inputs to bytes.
    let prove = || {
        let proven = pk.prove(&samples).context("proving")?;
        let file = encode_proof(&proven.statement, &proven.proof);
        Ok((proven.proof.len() as u64, file))
    };
    let (last, mut seconds) = timed(prove);
    let mut last: (u64, Vec<u8>) = last?;
    answer(&Loaded { load_s })?;
    for line in std::io::stdin().lock().lines() {
        let line = line.context("reading a command")?;
        match serde_json::from_str(&line).context("reading a command")? {
            Command::Prove => {
                // The first proof after another system's turn finds cold caches, as the first
                // inference of a turn does.
                if seconds < SHORT_S {
                    prove()?;
                }
                stages.take();
                let proven;
                (proven, seconds) = timed(prove);
                last = proven?;
                let mut parts = stages.take();
                parts.remove("prove");
                answer(&Proven {
                    seconds,
                    parts,
                    peak_bytes: machine::peak_bytes(None),
                })?;
            }
            Command::Finish => {
                let (proof_bytes, file) = &last;
                fs::write(job.proof(), file).context("writing the proof")?;
                return answer(&Written {
                    proof_bytes: *proof_bytes,
                });
            }
        }
    }
    Ok(())
}
