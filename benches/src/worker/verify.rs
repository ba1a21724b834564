//! Verifies the proof again and again, from its bytes, with a key that is decoded already.

use super::{Job, Verified, answer, timed};
use crate::failure::{Context, Failure};
use crate::machine;
use std::fs;
use zkstrata::{VerifyingKey, decode_proof};

pub(super) fn run(job: &Job) -> Result<(), Failure> {
    let key = fs::read(job.vk()).context("reading the verifying key")?;
    let vk = <VerifyingKey>::from_bytes(&key).context("reading the verifying key")?;
    let file = fs::read(job.proof()).context("reading the proof")?;
    let verify = || {
        let (statement, proof) = decode_proof(&file).context("decoding the proof")?;
        vk.verify(&statement, &proof).context("verifying the proof")
    };
    verify()?;
    let mut seconds = Vec::new();
    for _ in 0..job.runs {
        let (verified, time) = timed(verify);
        verified?;
        seconds.push(time);
    }
    answer(&Verified {
        seconds,
        peak_bytes: machine::peak_bytes(None),
    })
}
