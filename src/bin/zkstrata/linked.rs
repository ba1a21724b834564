//! What a proof is made with beside a key: inputs from a file, inputs that were committed to before, and where
//! commitments to outputs go.

use crate::args;
use crate::failure::{Context, Failure};
use crate::files;
use crate::input::{self, Port, Sample, Side, Wanted};
use crate::output::{Output, spent, take_use};
use crate::session;
use std::path::{Path, PathBuf};
use zkstrata::model_ir::quantise;
use zkstrata::{
    FileKind, Given, ProveError, Proven, ProvingKey, ProvingSession, TensorSecret, Visibility,
};

/// The inputs of a proof.
pub(crate) struct Inputs<'a> {
    integers: quantise::Inputs,
    /// What opens the commitments that are given, and its files.
    secrets: Vec<(&'a Path, TensorSecret)>,
    /// What the proof is bound to.
    context: [u8; 32],
    /// Where the inputs come from.
    name: String,
}

impl<'a> Inputs<'a> {
    /// Reads them.
    pub(crate) fn read(args: &'a args::Prove, pk: &ProvingKey) -> Result<Self, Failure> {
        let paths = args.input.iter().chain(&args.input_secret);
        let names: Vec<String> = paths.map(|path| path.display().to_string()).collect();
        let name = names.join(", ");
        let context = args.context.map_or([0; 32], |context| context.0);
        if args.input_secret.is_empty() {
            let ports: Vec<_> = (0..pk.model().graph.inputs.len()).collect();
            let samples = samples(args, pk, &ports)?;
            let integers = pk.model().quantise_inputs(&samples).context(&name)?;
            let secrets = vec![];
            return Ok(Self {
                integers,
                secrets,
                context,
                name,
            });
        }
        let (graph, visibilities) = (&pk.model().graph, pk.verifying_key().visibilities());
        let is_committed = |k: &usize| matches!(visibilities.of(*k), Visibility::Committed { .. });
        let (committed, others): (Vec<_>, Vec<_>) = (0..graph.inputs.len()).partition(is_committed);
        if committed.len() != args.input_secret.len() {
            let (found, expected) = (args.input_secret.len(), committed.len());
            let what =
                format!("--input-secret: {found} are given, {expected} inputs are committed");
            return Err(Failure::new(what).remedy("give one for each, in their order, or none"));
        }
        let mut cells = vec![vec![]; graph.inputs.len()];
        let mut secrets = vec![];
        for (&port, path) in committed.iter().zip(&args.input_secret) {
            let secret = files::secret(path)?;
            cells[port] = secret.cells().to_vec();
            secrets.push((path.as_path(), secret));
        }
        let mut saturated = 0;
        if !others.is_empty() {
            let samples = samples(args, pk, &others)?;
            for (at, &port) in others.iter().enumerate() {
                let arrays = samples.iter().map(|sample| &sample[at]);
                let quantised = graph.quantise_input(&graph.inputs[port], arrays);
                let (quantised, clamped) = quantised.context(&name)?;
                cells[port] = quantised;
                saturated += clamped;
            }
        }
        let mut integers = quantise::Inputs::new(graph, &cells).context(&name)?;
        integers.saturated = saturated;
        Ok(Self {
            integers,
            secrets,
            context,
            name,
        })
    }

    /// A file of a commitment that hides nothing, if one is given.
    pub(crate) fn hash(&self) -> Option<&Path> {
        let hash = self.secrets.iter().find(|(_, secret)| secret.is_hash());
        hash.map(|(path, _)| *path)
    }

    /// How many cells were clamped to the calibrated range.
    pub(crate) fn clamped(&self) -> usize {
        self.integers.saturated
    }

    /// Where they come from.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Proves the run on them, in a session if one is given. A use of it and of every commitment that is given
    /// is gone from its file before.
    pub(crate) fn prove(
        &self,
        pk: &ProvingKey,
        session: Option<&Path>,
    ) -> Result<(Proven, Option<ProvingSession>), Failure> {
        let mut given = Given {
            inputs: self
                .secrets
                .iter()
                .map(|(_, secret)| secret.clone())
                .collect(),
            context: self.context,
        };
        if given.inputs.is_empty() && session.is_none() {
            let proven = pk.prove_with(&self.integers, &given);
            return Ok((proven.context(&self.name)?, None));
        }
        // Whatever refuses does so before a use is spent.
        let run = || pk.run_inputs(&self.integers);
        let trace = tracing::info_span!("run").in_scope(run);
        let trace = trace.map_err(|_| ProveError::Hidden).context(&self.name)?;
        pk.check_given(&trace, &given).context(&self.name)?;
        if let Some((path, _)) = self
            .secrets
            .iter()
            .find(|(_, secret)| secret.uses_left() == 0)
        {
            return Err(spent(path));
        }
        let session = session.map(|path| session::take(path, pk)).transpose()?;
        given.inputs.clear();
        for (path, secret) in &self.secrets {
            given.inputs.push(take_use(path, secret.commitment())?);
        }
        let prover = session.as_deref().unwrap_or(pk);
        let proven = prover.prove_run(trace, &given).context(&self.name)?;
        Ok((proven, session))
    }
}

/// Samples of these inputs.
fn samples(args: &args::Prove, pk: &ProvingKey, ports: &[usize]) -> Result<Vec<Sample>, Failure> {
    let inputs = &pk.model().graph.inputs;
    let ports: Vec<_> = ports.iter().map(|&port| inputs[port].clone()).collect();
    let Some(path) = &args.input else {
        let names: Vec<_> = ports
            .iter()
            .map(|port| format!("`{}`", port.name))
            .collect();
        let what = format!("no file has input {}", names.join(", "));
        return Err(Failure::new(what).remedy("give it with --input"));
    };
    let wanted = Wanted::of_batch(args.batch, pk.verifying_key().max_batch());
    input::samples(path, &Port::of(&ports), Side::Input, wanted)
}

/// Where commitments to outputs go, and what opens them.
pub(crate) struct Outputs {
    commitments: Vec<Output>,
    secrets: Vec<Output>,
}

impl Outputs {
    /// Fails unless there is a file for each committed output, or none.
    pub(crate) fn new(args: &args::Prove, pk: &ProvingKey) -> Result<Self, Failure> {
        let visibilities = pk.verifying_key().output_visibilities();
        let outputs = 0..pk.model().graph.outputs.len();
        let committed =
            outputs.filter(|&k| matches!(visibilities.of(k), Visibility::Committed { .. }));
        let expected = committed.count();
        let open = |option: &str, paths: &[PathBuf], kind| {
            if !paths.is_empty() && paths.len() != expected {
                let found = paths.len();
                let what =
                    format!("--{option}: {found} are given, {expected} outputs are committed");
                return Err(Failure::new(what).remedy("give one for each, in their order, or none"));
            }
            let paths = paths.iter().cloned();
            paths.map(|path| Output::new(path, kind)).collect()
        };
        Ok(Self {
            commitments: open(
                "output-commitment",
                &args.output_commitment,
                FileKind::Commitment,
            )?,
            secrets: open("output-secret", &args.output_secret, FileKind::Secret)?,
        })
    }

    /// Writes them.
    pub(crate) fn write(&self, outputs: &[TensorSecret]) -> Result<(), Failure> {
        for (file, secret) in self.secrets.iter().zip(outputs) {
            file.write(&secret.to_bytes_after(0).unwrap_or_default())?;
        }
        for (file, secret) in self.commitments.iter().zip(outputs) {
            file.write(&secret.commitment().to_bytes())?;
        }
        Ok(())
    }

    /// What is lost, if something is.
    pub(crate) fn note(&self, outputs: &[TensorSecret]) -> Option<&'static str> {
        (self.secrets.is_empty() && !outputs.is_empty()).then_some(
            "without --output-secret nobody can prove with the committed outputs as inputs of another model",
        )
    }
}
