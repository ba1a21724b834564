//! Proving: a run of the integer model becomes a statement and a tape.

use crate::claim::{self, Claim, Ends, TensorClaim};
use crate::constants::Weights;
use crate::error::{FileError, ProveError, StatementError, VerifyError};
use crate::file::{self, PROVING_KEY};
use crate::form::{Form, Seal};
use crate::key::VerifyingKey;
use crate::linear::{Contracted, LinearProver, reduce};
use crate::lookup;
use crate::options::{SetupOptions, Trust, Visibilities};
use crate::plan::{Plan, WeightPlan};
use crate::proof::Proof;
use crate::proven::{Given, Proven};
use crate::publics::{InputAt, OutputAt, Publics};
use crate::statement::{PortValue, Statement, eval_public};
use crate::verify::{OUTPUT, reduce_statement, sealed_relation};
use crate::witness::{Evidence, columns};
use ndarray::ArrayD;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use zkstrata_mle::{E, Point};
use zkstrata_model_ir::int::{Executor, Model, Trace};
use zkstrata_model_ir::quantise::Inputs;
use zkstrata_pcs::joint::{Column, Joint, ProofProfile, Relation, RelationProver};
use zkstrata_pcs::seal::{Book, Known, Pads, Replay};
use zkstrata_pcs::{Message, ProverTape, Seed};

/// Proves runs of one model. Cheap to clone and to share between threads.
pub struct ProvingKey<C: RelationProver = Joint> {
    inner: Arc<Inner<C>>,
}

struct Inner<C: RelationProver> {
    base: Arc<Base>,
    vk: VerifyingKey<C>,
    /// The source of the weights, if they are committed: of hidden ones the session's, in a session.
    data: Option<C::Data>,
    /// What the weights of a key are hidden by, if they are hidden and it is not a session.
    seed: Option<Seed>,
    /// The process that counts how often its commitment is opened.
    process: u32,
}

/// What a key and its sessions have in common.
struct Base {
    model: Model,
    executor: Executor,
    weights: WeightPlan,
}

impl<C: RelationProver> Clone for ProvingKey<C> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
        }
    }
}

/// What lookups and the linear part leave, and what they have evaluated of public numbers.
struct Reduced {
    ends: Ends<E>,
    /// The denominators of the tables' rows, if there are lookups.
    denominator: Option<E>,
    /// Of every output.
    outputs: Vec<E>,
}

/// What is left of a sealed verification.
struct Left {
    /// The claims on each source, without their values.
    claims: Vec<Vec<Claim<()>>>,
    relation: Relation,
}

/// What a prover has computed of them.
struct Recalled<'a> {
    statement: &'a Statement,
    /// The denominator of the tables' rows, if there are lookups.
    denominator: Option<E>,
    /// Of every output, in order.
    outputs: Vec<E>,
    /// Of every claim on an input, in order.
    inputs: std::vec::IntoIter<E>,
}

impl Publics for Recalled<'_> {
    fn denominator(&mut self, _: &Plan, _: &[E], _: [E; 2]) -> Option<E> {
        self.denominator
    }

    fn output(&mut self, _: &Plan, port: usize, _: &[E]) -> Option<OutputAt> {
        let value = *self.outputs.get(port)?;
        Some(match self.statement.outputs.get(port)? {
            PortValue::Public(_) | PortValue::Private => OutputAt::Public(value),
            PortValue::Committed(_) => OutputAt::Committed,
        })
    }

    fn input(&mut self, _: &Plan, port: usize, _: &[E]) -> Option<InputAt> {
        let value = self.inputs.next()?;
        Some(match self.statement.inputs.get(port)? {
            PortValue::Public(_) => InputAt::Public(value),
            PortValue::Private => InputAt::Private,
            PortValue::Committed(_) => InputAt::Committed,
        })
    }
}

/// The fields of a key file; everything else is recomputed.
#[derive(Serialize, Deserialize)]
struct Body {
    scheme: String,
    model: Model,
    weights: Weights,
    proof: ProofProfile,
    trust: Trust,
    inputs: Visibilities,
    outputs: Visibilities,
    seed: Option<Seed>,
}

impl<C: RelationProver> ProvingKey<C> {
    pub(crate) fn new(
        model: Model,
        executor: Executor,
        vk: VerifyingKey<C>,
        (data, seed): (Option<C::Data>, Option<Seed>),
    ) -> Self {
        let base = Base {
            executor,
            weights: WeightPlan::new(&model.graph),
            model,
        };
        let inner = Inner {
            base: Arc::new(base),
            vk,
            data,
            seed,
            process: std::process::id(),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// The same key as a session of it, which this process has made.
    pub(crate) fn in_session(&self, vk: VerifyingKey<C>, data: C::Data) -> Self {
        let inner = Inner {
            base: Arc::clone(&self.inner.base),
            vk,
            data: Some(data),
            seed: None,
            process: std::process::id(),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// The bytes of a key file, of a session as well.
    #[cfg(test)]
    pub(crate) fn to_bytes_of_key(&self) -> Vec<u8> {
        self.to_bytes()
    }

    /// As a fork of the process would find it.
    #[cfg(test)]
    pub(crate) fn fork(&mut self) {
        let inner = Arc::get_mut(&mut self.inner).expect("no clone");
        inner.process = 0;
    }

    /// Refuses a key of hidden weights without a session, and a session in a process that was forked.
    pub(crate) fn check_session(&self) -> Result<(), ProveError> {
        let commitment = self.inner.vk.commitment();
        commitment.map_err(|_| ProveError::NoSession)?;
        match self.left() {
            Some(_) => self.check_process(),
            None => Ok(()),
        }
    }

    /// Refuses to open a hidden commitment in a process that was forked from the one that counts.
    pub(crate) fn check_process(&self) -> Result<(), ProveError> {
        if self.inner.process == std::process::id() {
            Ok(())
        } else {
            Err(ProveError::Forked)
        }
    }

    /// The plan of the weights.
    pub(crate) fn weight_plan(&self) -> &WeightPlan {
        &self.inner.base.weights
    }

    /// The key that verifies this key's proofs.
    pub fn verifying_key(&self) -> &VerifyingKey<C> {
        &self.inner.vk
    }

    /// The integer model.
    pub fn model(&self) -> &Model {
        &self.inner.base.model
    }

    /// The integer model back, unless there are other copies of the key.
    pub fn into_model(self) -> Option<Model> {
        let base = Arc::into_inner(self.inner)?.base;
        Arc::into_inner(base).map(|base| base.model)
    }

    /// Runs the model on a batch of integer inputs: one dense tensor `[B, axes..]` per model
    /// input, scaled by the input's port.
    ///
    /// # Errors
    /// As for [`prove_integers`](Self::prove_integers), but for the size of the batch.
    pub fn run(&self, inputs: &[Vec<i64>]) -> Result<Trace, ProveError> {
        self.run_inputs(&Inputs::new(&self.inner.base.model.graph, inputs)?)
    }

    /// The same for inputs that were checked, or quantised, before.
    ///
    /// # Errors
    /// As for [`run`](Self::run).
    pub fn run_inputs(&self, inputs: &Inputs) -> Result<Trace, ProveError> {
        Ok(self.inner.base.executor.run(&inputs.cells)?)
    }

    /// Runs the model on a batch of real inputs and proves the run. `batch[i]` is inference `i`,
    /// one array per model input, of the input's shape; at most [`VerifyingKey::max_batch`].
    ///
    /// Cells beyond the calibrated range are clamped to it: [`Proven::clamped`] counts them.
    ///
    /// # Errors
    /// Arrays of the wrong number or shape, infinities, NaN where no cell may be missing, an activation outside its table's
    /// domain (calibrate with samples that include such inputs), or a batch that is too large.
    pub fn prove(&self, batch: &[Vec<ArrayD<f32>>]) -> Result<Proven, ProveError> {
        let inputs = self.inner.base.model.quantise_inputs(batch);
        let inputs = inputs.map_err(|e| self.told(e.into()))?;
        self.prove_with(&inputs, &Given::default())
    }

    /// Runs the model on integer inputs and proves the run: one dense tensor `[B, axes..]` per
    /// model input, scaled by the input's port. The batch size is that of the inputs, 1 to
    /// [`VerifyingKey::max_batch`].
    ///
    /// # Errors
    /// An input outside its interval, an activation outside its table's domain, or a batch that
    /// is too large.
    pub fn prove_integers(&self, inputs: &[Vec<i64>]) -> Result<(Statement, Proof), ProveError> {
        let inputs = Inputs::new(&self.inner.base.model.graph, inputs);
        self.prove_inputs(&inputs.map_err(|e| self.told(e.into()))?)
    }

    /// The same for inputs that were checked, or quantised, before.
    ///
    /// # Errors
    /// As for [`prove_integers`](Self::prove_integers); inputs of another model may not fit.
    pub fn prove_inputs(&self, inputs: &Inputs) -> Result<(Statement, Proof), ProveError> {
        let proven = self.prove_with(inputs, &Given::default())?;
        Ok((proven.statement, proven.proof))
    }

    /// The same with a context and commitments that were made before; gives the openings of those that
    /// were made for this proof.
    ///
    /// # Errors
    /// As for [`prove_inputs`](Self::prove_inputs) and [`prove_run`](Self::prove_run).
    pub fn prove_with(&self, inputs: &Inputs, given: &Given) -> Result<Proven, ProveError> {
        let _span = tracing::info_span!("prove").entered();
        let graph = &self.inner.base.model.graph;
        if let (Some(port), Some(cells)) = (graph.inputs.first(), inputs.cells.first()) {
            self.check_batch(cells.len() / graph.node(port.tensor).cells())?;
        }
        // Inside the pool from the start: entering it anew for every loop costs milliseconds.
        rayon::scope(|_| {
            let run = || self.inner.base.executor.run(&inputs.cells);
            let trace = tracing::info_span!("run").in_scope(run);
            let proven = self.prove_run(trace.map_err(|e| self.told(e.into()))?, given)?;
            Ok(Proven {
                clamped: inputs.saturated,
                ..proven
            })
        })
    }

    /// Proves a run that [`run`](Self::run) made. The statement is the trace's.
    ///
    /// # Errors
    /// A batch that is too large.
    ///
    /// What opens commitments to the run's inputs and outputs is dropped: [`prove_run`](Self::prove_run) gives
    /// it.
    pub fn prove_trace(&self, trace: Trace) -> Result<(Statement, Proof), ProveError> {
        self.prove_trace_for([0; 32], trace)
    }

    /// The same for a context, which the proof is then bound to: see [`Statement::context`].
    ///
    /// # Errors
    /// A batch that is too large.
    pub fn prove_trace_for(
        &self,
        context: [u8; 32],
        trace: Trace,
    ) -> Result<(Statement, Proof), ProveError> {
        let given = Given {
            context,
            inputs: vec![],
        };
        let proven = self.prove_run(trace, &given)?;
        Ok((proven.statement, proven.proof))
    }

    /// Proves any witness, honest or not, and also tells where the messages lie. What hides it, if
    /// the key hides something, is drawn from `seed`. No input or output is committed.
    #[cfg(test)]
    pub(crate) fn prove_witness<W: Evidence>(
        &self,
        plan: &Plan,
        statement: &Statement,
        witness: &W,
        seed: Option<&Seed>,
    ) -> Result<(Vec<u8>, Vec<Message>), ProveError> {
        self.prove_hidden(plan, statement, witness, seed, &[])
    }

    /// The same with what opens the commitments of the statement.
    pub(crate) fn prove_hidden<W: Evidence>(
        &self,
        plan: &Plan,
        statement: &Statement,
        witness: &W,
        seed: Option<&Seed>,
        ports: &[C::Data],
    ) -> Result<(Vec<u8>, Vec<Message>), ProveError> {
        let vk = &self.inner.vk;
        let prepared = vk
            .at(plan.batch)
            .map_err(|e| self.unprepared(plan.batch, e))?;
        let form = &prepared.form;
        let mut tape = ProverTape::new(&statement.digest(plan.batch).0);
        let mut contracted = Contracted::default();
        let (mut sources, mut known) = (vec![], vec![]);
        let data;
        let (claims, relation);
        match (&form.seal, seed) {
            (None, None) => {
                data = match plan.layout(vk.profile())? {
                    None => None,
                    Some(layout) => {
                        let _span = tracing::info_span!("commit").entered();
                        let (commitment, data) = C::commit(&layout, columns(plan, witness))?;
                        C::send_commitment(&commitment, &mut tape);
                        Some(data)
                    }
                };
                let reduced = self.reduce(plan, statement, witness, &mut contracted, &mut tape);
                let mut own = vec![];
                if data.is_some() {
                    own.push(claim::merge(reduced.ends.witness).claims);
                }
                if self.inner.data.is_some() {
                    own.push(claim::merge(reduced.ends.weights).claims);
                }
                relation = claim::relation(&own, tape.sample());
                claims = own.iter().map(|claims| claim::bare(claims)).collect();
            }
            (Some(seal), Some(seed)) => {
                let pads = Pads::drawn(seal.plan, seed);
                let layout = form
                    .witness
                    .as_ref()
                    .expect("a hidden witness has a layout");
                data = {
                    let _span = tracing::info_span!("commit").entered();
                    let mut columns = columns(plan, witness);
                    columns.push(Column::Field(pads.cells()));
                    let (commitment, data) = C::commit_hidden(layout, columns, seed)?;
                    C::send_commitment(&commitment, &mut tape);
                    Some(data)
                };
                tape.seal(pads);
                let reduced = self.reduce(plan, statement, witness, &mut contracted, &mut tape);
                let _span = tracing::info_span!("seal").entered();
                let left = self.settle(form, statement, reduced, seal, &mut tape)?;
                (claims, relation) = (left.claims, left.relation);
            }
            (None, Some(_)) | (Some(_), None) => {
                unreachable!("a proof has a seed if and only if it hides something")
            }
        }
        let _span = tracing::info_span!("open").entered();
        let mut claims = claims.iter();
        if let Some(data) = &data {
            sources.push(data);
            claims.next();
            known.push(vec![]);
        }
        if let Some(data) = &self.inner.data {
            sources.push(data);
            let own = claims.next().into_iter().flatten();
            known.push(own.flat_map(|c| contracted.take(c)).collect());
        }
        sources.extend(ports);
        C::open(&sources, &relation, &known, &mut tape)?;
        let messages = tape.messages().to_vec();
        Ok((tape.finish(), messages))
    }

    /// Runs the verifier on what has been sent and sealed, proves its products, and ends the sealing.
    fn settle(
        &self,
        form: &Form,
        statement: &Statement,
        reduced: Reduced,
        seal: &Seal,
        tape: &mut ProverTape,
    ) -> Result<Left, ProveError> {
        let plan = &form.plan;
        let ends = reduced.ends;
        let inputs: Vec<E> = ends.inputs.iter().map(|claim| claim.value).collect();
        let weights: Vec<E> = claim::values(&claim::merge(ends.weights).claims).collect();
        let recalled = Recalled {
            statement,
            denominator: reduced.denominator,
            outputs: reduced.outputs,
            inputs: inputs.into_iter(),
        };
        let unexpected = |e: VerifyError| match e {
            VerifyError::Tape(e) => ProveError::Seal(e.into()),
            VerifyError::Seal(e) => ProveError::Seal(e),
            other => ProveError::Key(other.to_string()),
        };
        let book = Book::new(seal.plan);
        let mut replay = Replay::new(tape, &book);
        let ends = reduce_statement(plan, &form.weights, recalled, &mut replay);
        let ends = ends.map_err(unexpected)?;
        let vk = &self.inner.vk;
        let claims = vk.claims(form, ends, |_, _| Ok(weights), &mut replay);
        let claims = claims.map_err(unexpected)?;
        let assertions = replay.finish()?.prove(tape)?;
        let values = claims.iter().flat_map(|claims| claim::values(claims));
        let settled = assertions.settle(values.map(Known::sealed), tape.sample());
        let relation = sealed_relation(plan, &claims, &settled);
        let claims = claims.iter().map(|claims| claim::bare(claims)).collect();
        Ok(Left { claims, relation })
    }

    /// Lookups and the linear part: everything between the commitment and the openings.
    fn reduce<W: Evidence>(
        &self,
        plan: &Plan,
        statement: &Statement,
        witness: &W,
        contracted: &mut Contracted,
        tape: &mut ProverTape,
    ) -> Reduced {
        let (mut committed, mut claims) = (Vec::new(), Vec::new());
        let (mut denominator, mut outputs) = (None, Vec::new());
        if !plan.blocks.is_empty() {
            let _span = tracing::info_span!("lookup").entered();
            let lookups = lookup::prove(plan, witness, tape);
            committed = lookups.witness;
            claims = lookups.arguments;
            denominator = Some(lookups.denominator);
        }
        let _span = tracing::info_span!("linear").entered();
        for (port, value) in plan.graph.outputs.iter().zip(&statement.outputs) {
            let point = Point::new(tape.sample_vec(plan.num_vars(port.tensor)));
            let value = if let PortValue::Public(cells) = value {
                eval_public(plan, port.tensor, cells, &point)
            } else {
                let value = witness.tensors()[port.tensor.0].eval(&point);
                tape.send(OUTPUT, &[value]);
                value
            };
            outputs.push(value);
            claims.push(TensorClaim {
                tensor: port.tensor,
                point,
                value,
            });
        }
        let weights = &self.inner.base.weights;
        let mut prover = witness.party(LinearProver {
            model: &self.inner.base.model,
            bias_axes: weights.biases.iter().map(|b| b.axes.as_slice()).collect(),
            tensors: witness.tensors(),
            tape,
            contracted,
        });
        let mut ends =
            reduce(plan, weights, claims, &mut prover).expect("a validated graph can be walked");
        committed.append(&mut ends.witness);
        ends.witness = committed;
        Reduced {
            ends,
            denominator,
            outputs,
        }
    }

    /// What hides the weights of a key, if they are hidden and it is not a session.
    pub(crate) fn seed(&self) -> Option<&Seed> {
        self.inner.seed.as_ref()
    }

    /// The source of the weights' commitment, if the key has one.
    pub(crate) fn data(&self) -> Option<&C::Data> {
        self.inner.data.as_ref()
    }

    pub(crate) fn check_batch(&self, batch: usize) -> Result<(), ProveError> {
        if batch == 0 || batch > self.inner.vk.max_batch() {
            return Err(self.too_large(batch));
        }
        Ok(())
    }

    /// What is told of an error that data has caused.
    fn told(&self, error: ProveError) -> ProveError {
        if self.inner.vk.hides() {
            ProveError::Hidden
        } else {
            error
        }
    }

    pub(crate) fn unprepared(&self, batch: usize, error: VerifyError) -> ProveError {
        match error {
            VerifyError::Opening(e) => ProveError::Commit(e),
            _ => self.too_large(batch),
        }
    }

    fn too_large(&self, batch: usize) -> ProveError {
        ProveError::Statement(StatementError::Batch {
            batch,
            max: self.inner.vk.max_batch(),
        })
    }

    /// The bytes of a `.zkpk` file: the integer model, how its weights are known, and what hides them, if
    /// they are hidden. The commitment is recomputed on loading. A session has another file.
    pub fn to_bytes(&self) -> Vec<u8> {
        file::encode_key(
            PROVING_KEY,
            &Body {
                scheme: C::NAME.into(),
                model: self.inner.base.model.clone(),
                weights: self.inner.vk.weights(),
                proof: self.inner.vk.profile(),
                trust: self.inner.vk.trust(),
                inputs: self.inner.vk.visibilities().clone(),
                outputs: self.inner.vk.output_visibilities().clone(),
                seed: self.inner.seed.clone(),
            },
        )
    }

    /// Reads a `.zkpk` file, checks that it is undamaged and makes the key anew. A key of hidden weights
    /// has no session left until [`resume`](Self::resume) says how many it has had.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FileError> {
        let body: Body = file::decode_key::<C, _>(PROVING_KEY, bytes)?;
        let options = SetupOptions {
            weights: body.weights,
            proof: body.proof,
            trust: body.trust,
            inputs: body.inputs,
            outputs: body.outputs,
        };
        let malformed = |e: String| FileError::Malformed(e);
        if matches!(options.weights, Weights::Hidden(_)) && body.seed.is_none() {
            return Err(malformed("a session of a key was written as one".into()));
        }
        let (pk, _) = crate::setup::setup_seeded(body.model, &options, body.seed)
            .map_err(|e| malformed(e.to_string()))?;
        // The file does not say how many sessions the key has had.
        pk.spend(pk.left().unwrap_or(0))
            .map_err(|e| malformed(e.to_string()))?;
        Ok(pk)
    }
}
