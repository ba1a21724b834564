//! The command line.

use crate::choices::Keys;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use zkstrata::model_ir::quantise;
use zkstrata::{Digest, MAX_BATCH, onnx_import};
use zkstrata_conformance::Conformance;

/// Most threads.
const MAX_THREADS: usize = 1024;

/// Proves that an ONNX model, run on an input, gave an output.
///
/// Exit status: 0 accepted, 1 rejected, 2 usage or input error, 3 the integer model is too far from
/// the float model.
#[derive(Debug, Parser)]
#[command(name = "zkstrata", version, arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Print one JSON object instead of text
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Threads to use; all cores by default
    #[arg(long, global = true, value_name = "N", value_parser = threads)]
    pub(crate) threads: Option<NonZeroUsize>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Quantise a model and make its proving and verifying keys
    ///
    /// Verifiers must get the verifying key, or the digest that is printed, from someone they
    /// trust, or recompute it from the model and the calibration file: setup is deterministic, but
    /// for hidden weights.
    ///
    /// No keys are made, and the exit status is 3, if on the calibration samples an output of the
    /// integer model is off by more than 5 % of its range (root mean square), has its largest cell
    /// where float has it in less than 90 % of them, or is constant where float's is not.
    Setup(Setup),
    /// Run the model on inputs and prove the run
    ///
    /// All samples of the input file are proven at once. Inputs and outputs are public unless the keys were
    /// set up to hide them: the proof file holds what is public, and commitments.
    Prove(Prove),
    /// Start a session of a key with hidden weights: what proofs about them are made with
    ///
    /// Writes the session (.zkses), a secret that is good for a number of proofs, and its certificate (.zksc),
    /// which every verifier of these proofs needs once. The sessions of a key are counted in the .zkuse file
    /// beside it.
    Session(Session),
    /// Commit to an input, without proving anything
    ///
    /// For an input that the key has committed. The commitment (.zkc) shows nothing of the input and is what
    /// proofs with it are recognised by; whoever has the secret (.zko) knows the input and can prove with it.
    Commit(Commit),
    /// Verify a proof and print the proven outputs
    ///
    /// The key must come from someone you trust: a key that came with the proof proves nothing.
    Verify(Verify),
    /// Compare the integer model with the float model, without a proof
    ///
    /// Without --calibration the input itself fixes the ranges: the errors are then optimistic. The
    /// exit status is 3 if the integer model is as far from float's outputs, or from those of
    /// --expected, as `zkstrata setup` does not allow.
    Check(Check),
    /// Run models with reference outputs, and say which pass
    ///
    /// Every case is calibrated on its own input. A float output may be off by 1e-2 (fast) or 1e-3
    /// (accurate) of its reference's range, integers and truth values must be exact. Exit status 0 if
    /// nothing is wrong or crashed; refused cases do not count.
    Conformance(Conformance),
    /// Measure setup, proving and verification
    ///
    /// Times are medians in seconds. `setup_s` makes the keys of the quantised model; `import_s` and
    /// `quantise_s` come before it. `witness_s` runs the integer model. `prove_s` is everything from
    /// integer inputs to the proof, `witness_s` included; `stages` are its parts. `verify_s`
    /// decodes and verifies the proof. `proof_bytes` is the proof without the statement.
    /// `max_abs_err` and `argmax_agrees` compare the outputs with the float model's. Without
    /// --calibration the input itself fixes the ranges. Nothing is measured, and the exit status is 3,
    /// if the integer model is as far from the float model on the calibration samples as `zkstrata setup`
    /// does not allow.
    Bench(Bench),
    /// Predict the time, memory and sizes of proofs of a model, without making keys or a proof
    ///
    /// Counts what the protocol will do for this model and multiplies by rates that were measured
    /// on a reference machine, scaled by the speed of this one. Times and memory may be off by a factor
    /// of up to 2, lengths of proofs by a few percent. Without --calibration one made-up input fixes
    /// the ranges, which is enough for an estimate.
    Estimate(Estimate),
    /// Say what a model, key or proof file holds
    Inspect(Inspect),
    /// List the ONNX operators that are imported
    Operators(Operators),
    /// Print every term of the soundness error of a key
    Security(Security),
}

/// A model and how to quantise it.
#[derive(Debug, Args)]
pub(crate) struct Model {
    /// The ONNX file
    #[arg(value_name = "MODEL.onnx")]
    pub(crate) path: PathBuf,
    #[command(flatten)]
    pub(crate) import: Import,
    /// Representative inputs (.npz, .npy or .json) that fix the ranges of the activations
    #[arg(long, value_name = "FILE")]
    pub(crate) calibration: Option<PathBuf>,
    /// Precision of the activations
    #[arg(long, value_enum, default_value_t)]
    pub(crate) profile: Profile,
}

/// How close the integer model must be.
#[derive(Debug, Args)]
pub(crate) struct Closeness {
    /// Go on if the integer model is far from the float model, with a warning
    #[arg(long)]
    pub(crate) allow_inaccurate: bool,
}

/// What a model file leaves open.
#[derive(Debug, Args)]
pub(crate) struct Import {
    /// Shape of an input with dynamic axes, or length of a symbolic one; may be given several times
    ///
    /// `--shape image=1,3,48,192` fixes all axes of the input `image`, and axes of other inputs
    /// with the same symbolic lengths; `--shape tokens=128` the symbolic length `tokens`.
    #[arg(long, value_name = "NAME=N,..", value_parser = shape)]
    shape: Vec<(String, Vec<usize>)>,
    /// Make an input a constant of the model; may be given several times
    ///
    /// `--constant rate=16000` or `--constant mask=1,1,0,1`: one number for all cells, or one for
    /// each. The key is then one of the model with this setting.
    #[arg(long, value_name = "NAME=VALUE", value_parser = constant)]
    constant: Vec<(String, Vec<f64>)>,
}

impl Import {
    /// The importer's options.
    pub(crate) fn options(&self) -> onnx_import::Options {
        let mut options = onnx_import::Options::new();
        for (name, shape) in &self.shape {
            options = options.shape(name, shape.clone());
        }
        for (name, cells) in &self.constant {
            options = options.constant(name, cells.clone());
        }
        options
    }
}

/// A name and the list after its equals sign; names may have such signs themselves.
fn named<T>(text: &str, item: impl Fn(&str) -> Option<T>) -> Result<(String, Vec<T>), String> {
    let (name, list) = text.rsplit_once('=').ok_or("expected NAME=VALUE")?;
    let items = list.split(',').map(|text| {
        let text = text.trim();
        item(text).ok_or_else(|| format!("`{text}` is not a number"))
    });
    Ok((name.into(), items.collect::<Result<_, _>>()?))
}

fn shape(text: &str) -> Result<(String, Vec<usize>), String> {
    named(text, |n| n.parse().ok().filter(|&n| n > 0))
}

fn constant(text: &str) -> Result<(String, Vec<f64>), String> {
    named(text, |x| match x {
        "true" => Some(1.0),
        "false" => Some(0.0),
        x => x.parse().ok(),
    })
}

/// Bits of the activations.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum Profile {
    /// 8-bit activations
    #[default]
    Fast,
    /// 12-bit activations
    Accurate,
}

impl From<Profile> for quantise::Profile {
    fn from(profile: Profile) -> Self {
        match profile {
            Profile::Fast => Self::Fast,
            Profile::Accurate => Self::Accurate,
        }
    }
}

/// `zkstrata setup`
#[derive(Debug, Args)]
pub(crate) struct Setup {
    #[command(flatten)]
    pub(crate) model: Model,
    /// Directory for model.zkpk, model.zkvk and model.zkct; created if it does not exist
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    #[command(flatten)]
    pub(crate) keys: Keys,
    #[command(flatten)]
    pub(crate) closeness: Closeness,
}

/// `zkstrata prove`
#[derive(Debug, Args)]
pub(crate) struct Prove {
    /// The proving key
    #[arg(long, value_name = "FILE")]
    pub(crate) pk: PathBuf,
    /// Inputs (.npz, .npy, or .json as EZKL takes it); a leading axis is a batch, proven at once. Not
    /// needed if all inputs are those of --input-secret
    #[arg(long, value_name = "FILE", required_unless_present = "input_secret")]
    pub(crate) input: Option<PathBuf>,
    /// Prove only the first N samples of the input file
    #[arg(long, value_name = "N", value_parser = batch)]
    pub(crate) batch: Option<NonZeroUsize>,
    /// What opens the commitment to a committed input, which is then proven with; one for each committed
    /// input in order, or none, and then the commitments are made for this proof
    ///
    /// The file has one use less afterwards, whether there is a proof or not. A copy of it that is used as
    /// well shows the input in the end.
    #[arg(long, value_name = "X.zko")]
    pub(crate) input_secret: Vec<PathBuf>,
    /// Where to write what opens the commitment to a committed output; one for each, in order
    #[arg(long, value_name = "Y.zko")]
    pub(crate) output_secret: Vec<PathBuf>,
    /// Where to write the commitment to a committed output; one for each, in order
    #[arg(long, value_name = "Y.zkc")]
    pub(crate) output_commitment: Vec<PathBuf>,
    /// The session of a key with hidden weights
    ///
    /// The file has one proof less afterwards, whether there is a proof or not. A copy of it that is used as
    /// well shows the weights in the end.
    #[arg(long, value_name = "S.zkses")]
    pub(crate) session: Option<PathBuf>,
    /// 32 bytes that the proof is bound to, such as a verifier's nonce or a name of the audience
    #[arg(long, value_name = "HEX")]
    pub(crate) context: Option<Digest>,
    /// Refuse inputs beyond the calibrated range instead of clamping them to it
    #[arg(long)]
    pub(crate) strict_input: bool,
    /// Refuse keys that do not hide every input
    #[arg(long)]
    pub(crate) zk: bool,
    /// Where to write the statement and its proof
    #[arg(long, value_name = "P.zkp")]
    pub(crate) out: PathBuf,
}

/// `zkstrata session`
#[derive(Debug, Args)]
pub(crate) struct Session {
    /// The proving key; the .zkuse file beside it counts its sessions
    #[arg(long, value_name = "FILE")]
    pub(crate) pk: PathBuf,
    /// Where to write the session, a secret
    #[arg(long, value_name = "S.zkses")]
    pub(crate) out: PathBuf,
    /// Where to write its certificate
    #[arg(long = "session-certificate", value_name = "S.zksc")]
    pub(crate) certificate: PathBuf,
}

/// `zkstrata verify`
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// The verifying key
    #[arg(long, value_name = "FILE")]
    pub(crate) vk: PathBuf,
    /// The proof
    #[arg(long, value_name = "P.zkp")]
    pub(crate) proof: PathBuf,
    /// The certificate of a key that needs one
    #[arg(long, value_name = "FILE")]
    pub(crate) certificate: Option<PathBuf>,
    /// The certificate of the session that has made the proof, if the key hides its weights
    #[arg(long, value_name = "S.zksc")]
    pub(crate) session: Option<PathBuf>,
    /// Reject unless the proof is about these inputs
    #[arg(long, value_name = "FILE")]
    pub(crate) input: Option<PathBuf>,
    /// Compare with only the first N samples of the input file
    #[arg(long, value_name = "N", value_parser = batch, requires = "input")]
    pub(crate) batch: Option<NonZeroUsize>,
    /// Reject unless the proof is bound to these 32 bytes
    #[arg(long, value_name = "HEX")]
    pub(crate) context: Option<Digest>,
    /// Reject unless a committed input has this commitment; the first is of the first committed input
    #[arg(long, value_name = "X.zkc")]
    pub(crate) input_commitment: Vec<PathBuf>,
    /// Reject unless a committed output has this commitment; the first is of the first committed output
    #[arg(long, value_name = "Y.zkc")]
    pub(crate) output_commitment: Vec<PathBuf>,
}

/// `zkstrata commit`
#[derive(Debug, Args)]
pub(crate) struct Commit {
    /// The verifying key of a model with a committed input
    #[arg(long, value_name = "FILE")]
    pub(crate) vk: PathBuf,
    /// Which input, if several are committed
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// The input (.npz, .npy or .json); a leading axis is a batch
    #[arg(long, value_name = "FILE")]
    pub(crate) input: PathBuf,
    /// Commit to only the first N samples of the input file
    #[arg(long, value_name = "N", value_parser = batch)]
    pub(crate) batch: Option<NonZeroUsize>,
    /// Hash the input instead: whoever has it can make the same commitment. DOES NOT HIDE IT
    ///
    /// A guess of the input can be checked, and proofs show parts of it.
    #[arg(long)]
    pub(crate) hashed: bool,
    /// Where to write the commitment
    #[arg(long, value_name = "X.zkc")]
    pub(crate) out: PathBuf,
    /// Where to write what opens it
    #[arg(long, value_name = "X.zko")]
    pub(crate) secret: PathBuf,
}

/// `zkstrata check`
#[derive(Debug, Args)]
pub(crate) struct Check {
    #[command(flatten)]
    pub(crate) model: Model,
    /// Inputs (.npz, .npy or .json)
    #[arg(long, value_name = "FILE")]
    pub(crate) input: PathBuf,
    /// Outputs that the float model must reproduce (.npz, .npy or .json); rejected otherwise. The
    /// integer model is compared with them too
    #[arg(long, value_name = "FILE")]
    pub(crate) expected: Option<PathBuf>,
    /// Largest difference from the expected outputs, relative to their largest magnitude
    #[arg(long, value_name = "X", default_value_t = 1e-4, requires = "expected")]
    pub(crate) tolerance: f64,
    #[command(flatten)]
    pub(crate) closeness: Closeness,
}

/// `zkstrata bench`
#[derive(Debug, Args)]
pub(crate) struct Bench {
    #[command(flatten)]
    pub(crate) model: Model,
    /// Inputs (.npz, .npy or .json); by default the calibration samples, or standard normal ones
    /// from a fixed seed
    #[arg(long, value_name = "FILE")]
    pub(crate) input: Option<PathBuf>,
    /// Inferences per proof; the samples of the input file are repeated as needed
    #[arg(long, value_name = "N", value_parser = batch, default_value = "1")]
    pub(crate) batch: NonZeroUsize,
    /// Repetitions
    #[arg(long, value_name = "N", default_value = "5")]
    pub(crate) runs: NonZeroUsize,
    #[command(flatten)]
    pub(crate) keys: Keys,
    #[command(flatten)]
    pub(crate) closeness: Closeness,
}

/// `zkstrata estimate`
#[derive(Debug, Args)]
pub(crate) struct Estimate {
    #[command(flatten)]
    pub(crate) model: Model,
    /// Inferences per proof
    #[arg(long, value_name = "N", value_parser = batch, default_value = "1")]
    pub(crate) batch: NonZeroUsize,
    #[command(flatten)]
    pub(crate) keys: Keys,
}

/// `zkstrata inspect`
#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// An ONNX model, a key, a proof, a commitment or what opens one
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) import: Import,
}

/// `zkstrata operators`
#[derive(Debug, Args)]
pub(crate) struct Operators {
    /// Print the table of the README
    #[arg(long)]
    pub(crate) markdown: bool,
}

/// `zkstrata security`
#[derive(Debug, Args)]
pub(crate) struct Security {
    /// The verifying key
    #[arg(long, value_name = "FILE")]
    pub(crate) vk: PathBuf,
    /// Inferences per proof; by default the largest batch that the key allows
    #[arg(long, value_name = "N", value_parser = batch)]
    pub(crate) batch: Option<NonZeroUsize>,
}

fn threads(text: &str) -> Result<NonZeroUsize, String> {
    bounded(text, MAX_THREADS, "threads")
}

fn batch(text: &str) -> Result<NonZeroUsize, String> {
    bounded(text, MAX_BATCH, "inferences")
}

/// A number from 1 to `most`.
fn bounded(text: &str, most: usize, what: &str) -> Result<NonZeroUsize, String> {
    let number = text
        .parse::<NonZeroUsize>()
        .ok()
        .filter(|n| n.get() <= most);
    number.ok_or_else(|| format!("at least 1 and at most {most} {what}"))
}
