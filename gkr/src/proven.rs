//! Proofs of runs, and the commitments that they are made with: some are given, the others are made for
//! the proof.

use crate::error::ProveError;
use crate::form::{Form, PortForm};
use crate::options::Visibility;
use crate::port::PortId;
use crate::proof::Proof;
use crate::prove::ProvingKey;
use crate::secret::TensorSecret;
use crate::statement::{PortValue, Statement};
use crate::witness::Witness;
use zkstrata_model_ir::int::{Port, Trace};
use zkstrata_pcs::Seed;
use zkstrata_pcs::joint::RelationProver;

/// What a proof of a run is made with.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// What the proof is bound to: see [`Statement::context`].
    pub context: [u8; 32],
    /// The openings of the commitments to the committed inputs, one for each in order; or none, and then
    /// the prover commits to the inputs itself.
    pub inputs: Vec<TensorSecret>,
}

/// A proof of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Proven {
    /// What is proven.
    pub statement: Statement,
    /// Its proof.
    pub proof: Proof,
    /// How many input cells lay beyond the calibrated range and were clamped to it: the proof is
    /// about the clamped ones. 0 of a run on integers.
    pub clamped: usize,
    /// The openings of the commitments to committed inputs, those that were given included.
    pub inputs: Vec<TensorSecret>,
    /// The openings of the commitments to committed outputs, each of which has been used once.
    pub outputs: Vec<TensorSecret>,
}

impl<C: RelationProver> ProvingKey<C> {
    /// Proves a run that [`run`](Self::run) made. The statement is the trace's. A use of every
    /// commitment is spent as soon as nothing else refuses, even if the proof then fails.
    ///
    /// # Errors
    /// A batch that is too large; openings that are not of the run's inputs, or are spent.
    pub fn prove_run(&self, trace: Trace, given: &Given) -> Result<Proven, ProveError> {
        let vk = self.verifying_key();
        self.check_batch(trace.batch)?;
        self.check_session()?;
        let prepared = vk.at(trace.batch);
        let prepared = prepared.map_err(|e| self.unprepared(trace.batch, e))?;
        let form = &prepared.form;
        self.check_secrets(form, &trace, &given.inputs)?;
        let system = vk.hides().then(Seed::from_system).transpose();
        let system = system.map_err(|e| ProveError::Randomness(e.to_string()))?;
        let ports = match &system {
            None => vec![],
            Some(system) => self.commit(form, &trace, given, system)?,
        };
        let statement = self.statement(given.context, form, &trace, &ports);
        // Fresh randomness of the system, and of everything that the proof is about, so that no two
        // proofs share it even if the system repeats itself.
        let seed = system.map(|system| {
            system.hedged(|hasher| {
                hasher.update(&statement.digest(trace.batch).0);
                self.absorb_inputs(&trace, hasher);
            })
        });
        let plan = &form.plan;
        let witness = tracing::info_span!("witness").in_scope(|| Witness::new(plan, trace));
        for (port, (secret, _)) in form.ports.iter().zip(&ports) {
            if !secret.is_of_this_process() {
                return Err(ProveError::Forked);
            }
            if !secret.spend() {
                let port = port.id.name(&plan.graph);
                return Err(ProveError::Spent { port });
            }
        }
        let (secrets, data): (Vec<_>, Vec<_>) = ports.into_iter().unzip();
        let (tape, _) = self.prove_hidden(plan, &statement, &witness, seed.as_ref(), &data)?;
        let mut inputs = secrets;
        let outputs = inputs.split_off(committed_inputs(form));
        Ok(Proven {
            statement,
            proof: Proof { tape },
            clamped: 0,
            inputs,
            outputs,
        })
    }

    /// Checks that given openings are of the committed inputs of a run, without spending a use.
    ///
    /// # Errors
    /// As for [`prove_run`](Self::prove_run), but that they are spent.
    pub fn check_given(&self, trace: &Trace, given: &Given) -> Result<(), ProveError> {
        let prepared = self.verifying_key().at(trace.batch);
        let prepared = prepared.map_err(|e| self.unprepared(trace.batch, e))?;
        self.check_secrets(&prepared.form, trace, &given.inputs)
    }

    fn check_secrets(
        &self,
        form: &Form,
        trace: &Trace,
        secrets: &[TensorSecret],
    ) -> Result<(), ProveError> {
        let (found, expected) = (secrets.len(), committed_inputs(form));
        if found != 0 && found != expected {
            return Err(ProveError::Secret {
                port: "inputs".into(),
                reason: format!(
                    "{found} openings of commitments are given, and the key has {expected} committed \
                     inputs: give one for each, or none"
                ),
            });
        }
        for (port, secret) in form.ports.iter().zip(secrets) {
            let refused = |reason: String| ProveError::Secret {
                port: port.id.name(&form.plan.graph),
                reason,
            };
            secret.commitment().check(&port.form).map_err(refused)?;
            if secret.cells() != self.cells(port, trace) {
                return Err(refused(
                    "the run has another input than the commitment: prove a run on its cells"
                        .into(),
                ));
            }
        }
        Ok(())
    }

    /// The cells of a committed port in a run.
    fn cells(&self, port: &PortForm, trace: &Trace) -> Vec<i64> {
        let port = port.id.of(&self.model().graph);
        let port = port.expect("a form has ports of the graph");
        trace.tensors[port.tensor.0].to_vec()
    }

    /// The commitments to all committed inputs and outputs: those that are given, or new ones.
    fn commit(
        &self,
        form: &Form,
        trace: &Trace,
        given: &Given,
        system: &Seed,
    ) -> Result<Vec<(TensorSecret, C::Data)>, ProveError> {
        let _span = tracing::info_span!("commit").entered();
        let commit = |(index, port): (usize, &PortForm)| {
            if let Some(secret) = given.inputs.get(index) {
                let data = secret.data::<C>()?.ok_or_else(|| ProveError::Secret {
                    port: port.id.name(&form.plan.graph),
                    reason: "the opening is not that of its commitment: commit anew".into(),
                })?;
                return Ok((secret.clone(), data));
            }
            // Commitments of one proof have different seeds, and so have those of other proofs even if
            // the system repeats itself.
            let seed = system.hedged(|hasher| {
                hasher.update(b"zkstrata port seed 1");
                hasher.update(
                    &[index as u64, trace.batch as u64]
                        .map(u64::to_le_bytes)
                        .concat(),
                );
                hasher.update(&self.verifying_key().digest().0);
                if let Some(session) = self.verifying_key().session_digest() {
                    hasher.update(&session.0);
                }
                hasher.update(&given.context);
                self.absorb_inputs(trace, hasher);
            });
            let cells = self.cells(port, trace);
            Ok(TensorSecret::new::<C>(port.form.clone(), cells, seed)?)
        };
        form.ports.iter().enumerate().map(commit).collect()
    }

    fn statement(
        &self,
        context: [u8; 32],
        form: &Form,
        trace: &Trace,
        ports: &[(TensorSecret, C::Data)],
    ) -> Statement {
        let (vk, graph) = (self.verifying_key(), &self.model().graph);
        let value = |id: PortId, port: &Port, visibility| match visibility {
            Visibility::Public => PortValue::Public(trace.tensors[port.tensor.0].to_vec()),
            Visibility::Private => PortValue::Private,
            Visibility::Committed { .. } => {
                let at = form.ports.iter().position(|port| port.id == id);
                let (secret, _) = &ports[at.expect("a form has all committed ports")];
                PortValue::Committed(secret.commitment().clone())
            }
        };
        let input = |(k, port)| value(PortId::Input(k), port, vk.visibilities().of(k));
        let output = |(k, port)| value(PortId::Output(k), port, vk.output_visibilities().of(k));
        Statement {
            model: vk.digest(),
            context,
            session: vk.session_digest(),
            inputs: graph.inputs.iter().enumerate().map(input).collect(),
            outputs: graph.outputs.iter().enumerate().map(output).collect(),
        }
    }

    /// Absorbs the inputs: of a trace that `run` made everything else is a function of these.
    fn absorb_inputs(&self, trace: &Trace, hasher: &mut blake3::Hasher) {
        for port in &self.model().graph.inputs {
            let cells = trace.tensors[port.tensor.0].to_vec().into_iter();
            let bytes: Vec<u8> = cells.flat_map(i64::to_le_bytes).collect();
            hasher.update(&bytes);
        }
    }
}

/// How many inputs are committed: the first ports of a form.
fn committed_inputs(form: &Form) -> usize {
    let inputs = form.ports.iter();
    inputs
        .filter(|port| matches!(port.id, PortId::Input(_)))
        .count()
}
