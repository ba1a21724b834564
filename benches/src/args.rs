//! The command line.

use crate::peers::Peer;
use crate::record::{Profile, Proofs, Weights};
use crate::worker::Stage;
use clap::{Args, Parser, Subcommand};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use zkstrata_conformance::Conformance;

/// Measures zkstrata and other systems on the same models, and reports what was measured.
#[derive(Debug, Parser)]
#[command(name = "zkstrata-benches", version, arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Measure, append to DIR/records.jsonl, and write DIR/report.md and DIR/report.html
    Compare(Compare),
    /// Write the report of records that exist
    Report(Report),
    /// Compare what `zkstrata estimate` predicts with what is measured
    ///
    /// Exit status 1 if time, memory or length of a proof is off by more than a factor of 2.
    Estimate(Estimate),
    /// Run models with reference outputs, and say which pass; as `zkstrata conformance` does
    Conformance {
        #[command(flatten)]
        args: Conformance,
        /// Print one JSON object instead of text
        #[arg(long)]
        json: bool,
    },
    /// One measured process of zkstrata
    #[command(hide = true)]
    Worker {
        #[arg(value_enum)]
        stage: Stage,
        job: PathBuf,
    },
}

/// `compare`
#[derive(Debug, Args)]
pub(crate) struct Compare {
    /// Models: names of the zoo, ONNX files, or directories of a model.onnx and its inputs
    #[arg(long, value_name = "A,B,..", value_delimiter = ',', required = true)]
    pub(crate) models: Vec<String>,
    /// Systems to compare with
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "ezkl,onnxruntime"
    )]
    pub(crate) peers: Vec<Peer>,
    /// Profiles of zkstrata
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "fast,accurate"
    )]
    pub(crate) profiles: Vec<Profile>,
    #[command(flatten)]
    pub(crate) proving: Proving,
    /// Most inputs on which the outputs are compared with float
    #[arg(long, value_name = "N", default_value = "32")]
    pub(crate) samples: NonZeroUsize,
    /// Repetitions of EZKL's whole pipeline
    #[arg(long, value_name = "N", default_value = "1")]
    pub(crate) peer_runs: NonZeroUsize,
    /// Limit of memory of every process; 80 % of the machine's by default
    #[arg(long, value_name = "GIB", value_parser = positive)]
    pub(crate) peer_memory: Option<f64>,
    /// Limit of time for all stages of a system on a model
    #[arg(long, value_name = "SECONDS", default_value = "900", value_parser = positive)]
    pub(crate) peer_timeout: f64,
    /// The Python interpreter that makes the peers' environments
    #[arg(long, value_name = "PATH", default_value = "python3")]
    pub(crate) python: PathBuf,
    /// Where environments and reference strings are kept; DIR/cache by default
    #[arg(long, value_name = "DIR")]
    pub(crate) cache: Option<PathBuf>,
    /// Directory of records and reports
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
}

/// How zkstrata proves.
#[derive(Debug, Args)]
pub(crate) struct Proving {
    /// What zkstrata's verifier knows of the weights
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "committed,public"
    )]
    pub(crate) weights: Vec<Weights>,
    /// What zkstrata's proofs are made for
    #[arg(long, value_enum, value_delimiter = ',', default_value = "fast")]
    pub(crate) proof: Vec<Proofs>,
    /// Repetitions
    #[arg(long, value_name = "N", default_value = "5")]
    pub(crate) runs: NonZeroUsize,
    /// Inferences per proof of zkstrata
    #[arg(long, value_name = "N", default_value = "1")]
    pub(crate) batch: NonZeroUsize,
    /// Threads of every system; all cores by default
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<NonZeroUsize>,
}

impl Proving {
    /// The kinds of keys.
    pub(crate) fn kinds(&self) -> impl Iterator<Item = (Weights, Proofs)> {
        let proofs = |&weights| self.proof.iter().map(move |&proofs| (weights, proofs));
        self.weights.iter().flat_map(proofs)
    }
}

/// `report`
#[derive(Debug, Args)]
pub(crate) struct Report {
    /// Files of records
    #[arg(long, value_name = "FILE", num_args = 1.., required = true)]
    pub(crate) records: Vec<PathBuf>,
    /// Directory for report.md and report.html
    #[arg(long, value_name = "DIR", required_unless_present = "readme")]
    pub(crate) out: Option<PathBuf>,
    /// File whose block between `<!-- measured:begin -->` and `<!-- measured:end -->` is written
    #[arg(long, value_name = "README.md")]
    pub(crate) readme: Option<PathBuf>,
    /// Fail if that block is not what the records say, and write nothing to it
    #[arg(long, requires = "readme")]
    pub(crate) check: bool,
}

/// `estimate`
#[derive(Debug, Args)]
pub(crate) struct Estimate {
    /// Models, as `compare` takes them; the whole zoo by default
    #[arg(long, value_name = "A,B,..", value_delimiter = ',')]
    pub(crate) models: Vec<String>,
    /// Profiles
    #[arg(long, value_enum, value_delimiter = ',', default_value = "fast")]
    pub(crate) profiles: Vec<Profile>,
    #[command(flatten)]
    pub(crate) proving: Proving,
    /// Print rates that fit what was measured
    #[arg(long)]
    pub(crate) fit: bool,
}

fn positive(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|error| format!("{error}"))?;
    if value.is_finite() && value > 0.0 {
        return Ok(value);
    }
    Err("not a positive number".into())
}
