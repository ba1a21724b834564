//! The options of the command, for the tools that have it.

use crate::random::Settings;
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;
use zkstrata_model_ir::quantise;

/// `conformance`
#[derive(Clone, Debug, Args)]
pub struct Conformance {
    /// Folder of cases, searched recursively
    #[arg(value_name = "DIR", required_unless_present = "random")]
    pub directory: Option<PathBuf>,
    /// Instead of cases: a search by random graphs
    #[command(flatten)]
    pub search: RandomGraphs,
    /// Precision of the activations
    #[arg(long, value_enum, default_value = "fast")]
    pub profile: Profiles,
    /// Also make keys and a proof of each case, verify it, and see altered outputs rejected
    #[arg(long)]
    pub prove: bool,
    /// Refuse a model that needs some of its inputs as constants
    ///
    /// Operator tests feed weights, axes and shapes as inputs; models have them as initializers.
    /// Otherwise the fewest inputs that will do become constants, and such cases are counted.
    #[arg(long)]
    pub no_constants: bool,
    /// Run only cases whose path contains this; may be given several times
    #[arg(long, value_name = "SUBSTRING")]
    pub only: Vec<String>,
    /// Cases that run at once, each in a process of its own
    #[arg(long, value_name = "N", default_value = "1")]
    pub jobs: NonZeroUsize,
    /// Limit of time for one case
    #[arg(long, value_name = "SECONDS", default_value = "120", value_parser = seconds)]
    pub timeout: Duration,
    /// Run the cases in this process, where a crash ends them all
    #[arg(long, hide = true)]
    pub in_process: bool,
}

/// `conformance --random`
#[derive(Clone, Debug, Args)]
pub struct RandomGraphs {
    /// Run this many random graphs instead of cases
    ///
    /// Each is compared with an independent reference, as floats and as integers of both profiles.
    /// Exit status 0 if none is wrong; a refusal that says of what is not.
    #[arg(long, value_name = "N", conflicts_with_all = ["directory", "prove", "only"])]
    pub random: Option<u64>,
    /// Which random graphs: the same seed gives the same ones
    #[arg(long, value_name = "S", default_value = "1", requires = "random")]
    pub seed: u64,
    /// The first random graph; those before it are left out
    #[arg(long, value_name = "I", default_value = "0", requires = "random")]
    pub first: u64,
    /// Start no random graph after this time
    #[arg(long, value_name = "SECONDS", requires = "random", value_parser = seconds)]
    pub seconds: Option<Duration>,
    /// Write the minimal form of each wrong random graph into a folder below this one
    #[arg(long, value_name = "DIR", requires = "random")]
    pub found: Option<PathBuf>,
    /// A Python with onnxruntime, one more reference for random graphs
    #[arg(long, value_name = "PYTHON", requires = "random")]
    pub onnxruntime: Option<PathBuf>,
}

impl RandomGraphs {
    /// The search, if one is asked for. Both profiles are searched.
    pub fn settings(&self, threads: Option<NonZeroUsize>) -> Option<Settings> {
        Some(Settings {
            graphs: self.random?,
            seed: self.seed,
            first: self.first,
            limit: self.seconds,
            threads,
            profiles: Profiles::Both.list(),
            python: self.onnxruntime.clone(),
            folder: self.found.clone(),
        })
    }
}

/// The profiles to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Profiles {
    /// 8-bit activations, errors up to 1e-2
    Fast,
    /// 12-bit activations, errors up to 1e-3
    Accurate,
    /// One after the other
    Both,
}

impl Profiles {
    /// One by one.
    pub fn list(self) -> &'static [Profile] {
        match self {
            Self::Fast => &[Profile::Fast],
            Self::Accurate => &[Profile::Accurate],
            Self::Both => &[Profile::Fast, Profile::Accurate],
        }
    }
}

/// How a case is quantised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// 8-bit activations.
    Fast,
    /// 12-bit activations.
    Accurate,
}

impl Profile {
    /// The largest error of a float output, relative to the reference's range.
    pub fn tolerance(self) -> f64 {
        match self {
            Self::Fast => 1e-2,
            Self::Accurate => 1e-3,
        }
    }
}

impl From<Profile> for quantise::Profile {
    fn from(profile: Profile) -> Self {
        match profile {
            Profile::Fast => Self::Fast,
            Profile::Accurate => Self::Accurate,
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Fast => "fast",
            Self::Accurate => "accurate",
        })
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let value: f64 = text.parse().map_err(|error| format!("{error}"))?;
    match Duration::try_from_secs_f64(value) {
        Ok(limit) if !limit.is_zero() => Ok(limit),
        _ => Err("not a positive number of seconds".into()),
    }
}
