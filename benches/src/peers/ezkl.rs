//! EZKL: every stage a process of its own.
//!
//! Private input, fixed parameters, public output; calibrated on the input that is proven, for few
//! resources. The reference string is made offline and kept; it is not part of setup.

use super::{Peer, Peers};
use crate::accuracy;
use crate::arrays::Sample;
use crate::case::Case;
use crate::child::{Limits, Worker};
use crate::record::{Fault, Figures};
use crate::worker::Outputs;
use serde::Deserialize;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// What a stage says.
#[derive(Deserialize)]
struct Answer {
    version: String,
    seconds: f64,
    peak_bytes: Option<u64>,
    took: Vec<String>,
    logrows: Option<u32>,
    vk_bytes: Option<u64>,
    pk_bytes: Option<u64>,
    proof_bytes: Option<u64>,
    outputs: Option<Vec<Vec<f64>>>,
}

/// A pipeline at work.
struct Pipeline<'a> {
    peers: &'a Peers,
    directory: &'a Path,
    job: Value,
    threads: usize,
    limits: Limits,
    version: Option<String>,
    figures: Figures,
}

/// Float outputs of the first sample, to compare with.
pub(crate) struct Reference<'a> {
    pub(crate) name: &'a str,
    pub(crate) outputs: &'a Outputs,
    pub(crate) rows: &'a [usize],
}

/// Runs the whole pipeline once. The figures hold what was measured before a fault.
pub(crate) fn run(
    peers: &Peers,
    case: &Case,
    directory: &Path,
    threads: usize,
    limits: Limits,
    reference: Option<&Reference<'_>>,
) -> (Option<String>, Figures, Option<Fault>) {
    let file = |name: &str| directory.join(name);
    let mut pipeline = Pipeline {
        peers,
        directory,
        job: json!({
            "model": case.path, "input": file("input.json"), "settings": file("settings.json"),
            "circuit": file("circuit.bin"), "vk": file("vk.bin"), "pk": file("pk.bin"),
            "witness": file("witness.json"), "proof": file("proof.json"),
        }),
        threads,
        limits,
        version: None,
        figures: Figures::default(),
    };
    let fault = pipeline.run(&case.samples[0], reference).err();
    (pipeline.version, pipeline.figures, fault)
}

impl Pipeline<'_> {
    fn run(&mut self, sample: &Sample, reference: Option<&Reference<'_>>) -> Result<(), Fault> {
        let cells: Vec<Vec<f32>> = sample.iter().map(|x| x.iter().copied().collect()).collect();
        let input = json!({ "input_data": cells }).to_string();
        let written = fs::write(self.directory.join("input.json"), input);
        written.map_err(|error| Fault::own("start", error))?;

        let mut prepare = 0.0;
        for stage in ["settings", "calibrate", "compile"] {
            let answer = self.stage(stage)?;
            prepare += answer.seconds;
            self.figures.logrows = answer.logrows.or(self.figures.logrows);
        }
        self.figures.seconds.prepare = Some(prepare);
        self.reference_string()?;

        let setup = self.stage("setup")?;
        self.figures.seconds.setup = Some(setup.seconds);
        self.figures.bytes.vk = setup.vk_bytes;
        self.figures.bytes.pk = setup.pk_bytes;

        let witness = self.stage("witness")?;
        self.figures.seconds.witness = Some(witness.seconds);
        self.figures.accuracy = reference
            .zip(witness.outputs)
            .and_then(|(reference, found)| {
                let first = reference.outputs[..1].to_vec();
                accuracy::compare(reference.name, &vec![found], &first, reference.rows)
            });

        let prove = self.stage("prove")?;
        let seconds = own_time(&prove.took, "proof").unwrap_or(prove.seconds);
        self.figures.seconds.prove = Some(witness.seconds + seconds);
        self.figures.bytes.proof = prove.proof_bytes;

        let verify = self.stage("verify")?;
        let seconds = own_time(&verify.took, "verify").unwrap_or(verify.seconds);
        self.figures.seconds.verify = Some(seconds);
        Ok(())
    }

    /// The reference string of the circuit's size, made once for all models.
    fn reference_string(&mut self) -> Result<(), Fault> {
        let rows = self.figures.logrows.unwrap_or_default();
        let path = self.peers.program.with_file_name(format!("kzg{rows}.srs"));
        if !path.exists() {
            let partial = path.with_extension("partial");
            self.job["srs"] = json!(partial);
            self.job["logrows"] = json!(rows);
            // The limit of time is about the rest; this may take as long again.
            let start = Instant::now();
            let before = self.limits.deadline;
            self.limits.deadline = before.map(|(_, limit)| (start + limit, limit));
            let made = self.stage("srs")?;
            self.limits.deadline = before.map(|(at, limit)| (at + start.elapsed(), limit));
            self.figures.seconds.srs = Some(made.seconds);
            fs::rename(&partial, &path).map_err(|error| Fault::own("srs", error))?;
        }
        self.job["srs"] = json!(path);
        Ok(())
    }

    /// One stage.
    fn stage(&mut self, stage: &str) -> Result<Answer, Fault> {
        let path = self.directory.join("job.json");
        fs::write(&path, self.job.to_string()).map_err(|error| Fault::own(stage, error))?;
        let mut command = self.peers.command(Peer::Ezkl, self.threads)?;
        command.arg(stage).arg(&path);
        let mut worker = Worker::start(command, stage, self.limits)?;
        let answer: Result<Answer, Fault> = worker.answer();
        let answer = answer.inspect_err(|_| {
            let peak = worker.peak_bytes();
            self.figures
                .peak_bytes
                .extend(peak.map(|peak| (stage.into(), peak)));
        })?;
        let peak = answer.peak_bytes;
        let peaks = &mut self.figures.peak_bytes;
        peaks.extend(peak.map(|peak| (stage.into(), peak)));
        let parts = &mut self.figures.seconds.parts;
        parts.insert(stage.into(), answer.seconds);
        self.version = Some(answer.version.clone());
        Ok(answer)
    }
}

/// What EZKL's own timer says, which leaves out reading keys and reference string. It prints
/// seconds, a point, and milliseconds without leading zeros: `1.50` is 1.05 s.
fn own_time(took: &[String], what: &str) -> Option<f64> {
    let line = took.iter().find_map(|line| line.strip_prefix(what))?;
    let (seconds, millis) = line.trim().strip_prefix("took ")?.split_once('.')?;
    let millis: u64 = millis.parse().ok().filter(|&n| n < 1000)?;
    let time = Duration::from_secs(seconds.parse().ok()?) + Duration::from_millis(millis);
    Some(time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_have_no_leading_zeros() {
        let took = ["VK took 1.50", "proof took 2.626", "verify took 0.3"].map(String::from);
        assert_eq!(own_time(&took, "VK"), Some(1.05));
        assert_eq!(own_time(&took, "proof"), Some(2.626));
        assert_eq!(own_time(&took, "verify"), Some(0.003));
        assert_eq!(own_time(&took, "setup"), None);
        assert_eq!(own_time(&["x took 1.2345".into()], "x"), None);
    }
}
