//! zkstrata proves that an ONNX model, quantised to integers, maps an input to an output.
//!
#![cfg_attr(feature = "prover", doc = "```")]
#![cfg_attr(not(feature = "prover"), doc = "```ignore")]
//! # use zkstrata::ndarray::{ArrayD, arr2};
//! use zkstrata::model_ir::float::{Activation, GraphBuilder, Op};
//! use zkstrata::model_ir::quantise::{Accuracy, Calibration, Options, quantise};
//!
//! // A float graph: `zkstrata::onnx_import::import(&bytes)?`, or built by hand.
//! let mut builder = GraphBuilder::new();
//! let x = builder.input("x", &[2])?;
//! let weight = arr2(&[[0.5, -1.0, 0.25], [1.0, 0.75, -0.5]]).into_dyn();
//! let y = builder.add("dense", Op::Dense { weight, bias: None }, &[x])?;
//! let y = builder.add("relu", Op::Activation(Activation::Relu), &[y])?;
//! let graph = builder.finish(vec![("y".into(), y)])?;
//!
//! let calibration = Calibration::synthetic(&graph, 1); // real samples are better
//! let quantised = quantise(&graph, &calibration, &Options::default())?;
//! Accuracy::measure(&graph, &quantised.model, calibration.samples())?.verdict()?;
//! let (pk, vk) = zkstrata::setup(quantised.model)?;
//!
//! let input = ArrayD::from_shape_vec(vec![2], vec![0.3, -0.7])?;
//! let proven = pk.prove(&[vec![input]])?; // a batch of one inference
//! let (statement, proof) = (proven.statement, proven.proof);
//! vk.verify(&statement, &proof)?;
//!
//! let outputs = statement.real_outputs(vk.graph());
//! assert!((outputs[0][0][2] - 0.425).abs() < 0.05); // inference 0, output 0, cell 2
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What is proven
//! That the *integer* model named by the key's [digest](VerifyingKey::digest) maps
//! [`Statement::inputs`] to [`Statement::outputs`], exactly, cell by cell. The chance of a
//! forgery, per hash that a forger computes, is at most `2^-100` ([`VerifyingKey::security`] lists
//! every term); it rests on no conjecture beyond the random oracle.
//!
//! # What is not
//! * **Where the key comes from.** A key is a deterministic function of the ONNX bytes, the
//!   calibration data, the options and the version of this crate. A verifier must get the key, or
//!   its digest, from someone it trusts, or recompute it. A key that travels with a proof proves
//!   nothing.
//! * **Which input was meant.** Public inputs are part of the statement: compare
//!   [`Statement::inputs`] with the input you have in mind. A [private](Visibility::Private) one stays
//!   with the prover, and with it all activations. Of a [committed](Visibility::Committed) input or
//!   output the statement holds a [commitment](TensorCommitment), which links it to other proofs. Other
//!   outputs are public unless they are [committed](Visibility::Committed), and weights are hidden by
//!   [`Weights::Hidden`] alone.
//! * **That the integers are close to the floats.** Quantisation rounds;
//!   [`Accuracy`](model_ir::quantise::Accuracy) measures by how much on samples, and its
//!   [`verdict`](model_ir::quantise::Accuracy::verdict) is whether that is too much.
//! * **What the model is good for.** A model that its prover supplied must be reviewed like any
//!   other code from a stranger.
//!
//! # Features
//! * `prover`: import, quantisation, setup and proving. Without it the crate is the verifier
//!   alone: no threads, no weights, no clock.
//! * `cli` (default): the `zkstrata` tool. Libraries that depend on this crate turn it off.

pub use zkstrata_gkr::{
    DEFAULT_USES, FORMAT_VERSION, FileError, FileKind, PortValue, Proof, ProofProfile,
    REQUIRED_BITS, Security, SetupError, SetupOptions, Statement, StatementError, TensorCommitment,
    Trust, Uses, VerifyError, VerifyingKey, Visibilities, Visibility, Weights, ZeroKnowledge,
    certified_model, certified_session, decode_proof, encode_proof, file_kind,
};
#[cfg(feature = "prover")]
pub use zkstrata_gkr::{
    Given, MAX_BATCH, ProveError, Proven, ProvingKey, ProvingSession, TensorSecret, estimate,
    session_left, sessions_used, setup, setup_with,
};
pub use zkstrata_model_ir as model_ir;
pub use zkstrata_model_ir::Digest;
#[cfg(feature = "prover")]
pub use zkstrata_onnx_import as onnx_import;
pub use zkstrata_pcs::SoundnessTerm;

#[cfg(feature = "prover")]
pub use ndarray;
