//! Proving: a run of the integer model becomes a statement and a tape.

use crate::claim::{self, Ends, TensorClaim};
use crate::constants::Weights;
use crate::error::{FileError, ProveError, StatementError, VerifyError};
use crate::file::{self, PROVING_KEY};
use crate::key::VerifyingKey;
use crate::linear::{Contracted, LinearProver, reduce};
use crate::lookup;
use crate::options::{SetupOptions, Trust};
use crate::plan::{Plan, WeightPlan};
use crate::proof::Proof;
use crate::statement::{Statement, eval_public};
use crate::witness::{Evidence, Witness, columns};
use ndarray::ArrayD;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use zkstrata_mle::{E, Point};
use zkstrata_model_ir::int::{Executor, Model, Port, Trace};
use zkstrata_model_ir::quantise::Inputs;
use zkstrata_pcs::joint::{Joint, ProofProfile, RelationProver};
use zkstrata_pcs::{Message, ProverTape};

/// Proves runs of one model. Cheap to clone and to share between threads.
pub struct ProvingKey<C: RelationProver = Joint> {
    inner: Arc<Inner<C>>,
}

struct Inner<C: RelationProver> {
    model: Model,
    executor: Executor,
    vk: VerifyingKey<C>,
    weights: WeightPlan,
    data: Option<C::Data>,
}

impl<C: RelationProver> Clone for ProvingKey<C> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
        }
    }
}

/// A proof of a run on real inputs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Proven {
    /// What is proven.
    pub statement: Statement,
    /// Its proof.
    pub proof: Proof,
    /// How many input cells lay beyond the calibrated range and were clamped to it: the proof is
    /// about the clamped ones.
    pub clamped: usize,
}

/// The fields of a key file; everything else is recomputed.
#[derive(Serialize, Deserialize)]
struct Body {
    scheme: String,
    model: Model,
    weights: Weights,
    proof: ProofProfile,
    trust: Trust,
}

impl<C: RelationProver> ProvingKey<C> {
    pub(crate) fn new(
        model: Model,
        executor: Executor,
        vk: VerifyingKey<C>,
        data: Option<C::Data>,
    ) -> Self {
        let inner = Inner {
            executor,
            weights: WeightPlan::new(&model.graph),
            model,
            vk,
            data,
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// The key that verifies this key's proofs.
    pub fn verifying_key(&self) -> &VerifyingKey<C> {
        &self.inner.vk
    }

    /// The integer model.
    pub fn model(&self) -> &Model {
        &self.inner.model
    }

    /// Runs the model on a batch of integer inputs: one dense tensor `[B, axes..]` per model
    /// input, scaled by the input's port.
    ///
    /// # Errors
    /// As for [`prove_integers`](Self::prove_integers), but for the size of the batch.
    pub fn run(&self, inputs: &[Vec<i64>]) -> Result<Trace, ProveError> {
        let inputs = Inputs::new(&self.inner.model.graph, inputs)?;
        Ok(self.inner.executor.run(&inputs.cells)?)
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
        let inputs = self.inner.model.quantise_inputs(batch)?;
        let (statement, proof) = self.prove_inputs(&inputs)?;
        Ok(Proven {
            statement,
            proof,
            clamped: inputs.saturated,
        })
    }

    /// Runs the model on integer inputs and proves the run: one dense tensor `[B, axes..]` per
    /// model input, scaled by the input's port. The batch size is that of the inputs, 1 to
    /// [`VerifyingKey::max_batch`].
    ///
    /// # Errors
    /// An input outside its interval, an activation outside its table's domain, or a batch that
    /// is too large.
    pub fn prove_integers(&self, inputs: &[Vec<i64>]) -> Result<(Statement, Proof), ProveError> {
        self.prove_inputs(&Inputs::new(&self.inner.model.graph, inputs)?)
    }

    /// The same for inputs that were checked, or quantised, before.
    ///
    /// # Errors
    /// As for [`prove_integers`](Self::prove_integers); inputs of another model may not fit.
    pub fn prove_inputs(&self, inputs: &Inputs) -> Result<(Statement, Proof), ProveError> {
        let _span = tracing::info_span!("prove").entered();
        let graph = &self.inner.model.graph;
        if let (Some(port), Some(cells)) = (graph.inputs.first(), inputs.cells.first()) {
            self.check_batch(cells.len() / graph.node(port.tensor).cells())?;
        }
        // Inside the pool from the start: entering it anew for every loop costs milliseconds.
        rayon::scope(|_| {
            let run = || self.inner.executor.run(&inputs.cells);
            self.prove_trace(tracing::info_span!("run").in_scope(run)?)
        })
    }

    /// Proves a run that [`run`](Self::run) made. The statement is the trace's.
    ///
    /// # Errors
    /// A batch that is too large.
    pub fn prove_trace(&self, trace: Trace) -> Result<(Statement, Proof), ProveError> {
        self.check_batch(trace.batch)?;
        let graph = &self.inner.model.graph;
        let cells = |port: &Port| trace.tensors[port.tensor.0].to_vec();
        let statement = Statement {
            model: self.inner.vk.digest(),
            inputs: graph.inputs.iter().map(cells).collect(),
            outputs: graph.outputs.iter().map(cells).collect(),
        };
        let prepared = self.inner.vk.at(trace.batch);
        let prepared = prepared.map_err(|e| match e {
            VerifyError::Opening(e) => ProveError::Commit(e),
            _ => self.too_large(trace.batch),
        })?;
        let plan = &prepared.form.plan;
        let witness = tracing::info_span!("witness").in_scope(|| Witness::new(plan, trace));
        let (tape, _) = self.prove_witness(plan, &statement, &witness)?;
        Ok((statement, Proof { tape }))
    }

    /// Proves any witness, honest or not, and also tells where the messages lie.
    pub(crate) fn prove_witness<W: Evidence>(
        &self,
        plan: &Plan,
        statement: &Statement,
        witness: &W,
    ) -> Result<(Vec<u8>, Vec<Message>), ProveError> {
        let mut tape = ProverTape::new(&statement.digest(plan.batch).0);
        let data = match plan.layout(self.inner.vk.profile())? {
            None => None,
            Some(layout) => {
                let _span = tracing::info_span!("commit").entered();
                let (commitment, data) = C::commit(&layout, columns(plan, witness))?;
                C::send_commitment(&commitment, &mut tape);
                Some(data)
            }
        };
        let mut contracted = Contracted::default();
        let ends = self.reduce(plan, statement, witness, &mut contracted, &mut tape);
        let _span = tracing::info_span!("open").entered();
        let (mut sources, mut claims, mut known) = (vec![], vec![], vec![]);
        if let Some(data) = &data {
            sources.push(data);
            claims.push(claim::merge(ends.witness).claims);
            known.push(vec![]);
        }
        if let Some(data) = &self.inner.data {
            sources.push(data);
            let own = claim::merge(ends.weights).claims;
            known.push(own.iter().flat_map(|c| contracted.take(c)).collect());
            claims.push(own);
        }
        let relation = claim::relation(&claims, tape.sample());
        C::open(&sources, &relation, &known, &mut tape)?;
        let messages = tape.messages().to_vec();
        Ok((tape.finish(), messages))
    }

    /// Lookups and the linear part: everything between the commitment and the openings.
    pub(crate) fn reduce<W: Evidence>(
        &self,
        plan: &Plan,
        statement: &Statement,
        witness: &W,
        contracted: &mut Contracted,
        tape: &mut ProverTape,
    ) -> Ends<E> {
        let (mut committed, mut claims) = (Vec::new(), Vec::new());
        if !plan.blocks.is_empty() {
            let _span = tracing::info_span!("lookup").entered();
            let lookups = lookup::prove(plan, witness, tape);
            committed = lookups.witness;
            claims = lookups.arguments;
        }
        let _span = tracing::info_span!("linear").entered();
        for (port, cells) in plan.graph.outputs.iter().zip(&statement.outputs) {
            let point = Point::new(tape.sample_vec(plan.num_vars(port.tensor)));
            let value = eval_public(plan, port.tensor, cells, &point);
            claims.push(TensorClaim {
                tensor: port.tensor,
                point,
                value,
            });
        }
        let weights = &self.inner.weights;
        let mut prover = witness.party(LinearProver {
            model: &self.inner.model,
            bias_axes: weights.biases.iter().map(|b| b.axes.as_slice()).collect(),
            tensors: witness.tensors(),
            tape,
            contracted,
        });
        let mut ends =
            reduce(plan, weights, claims, &mut prover).expect("a validated graph can be walked");
        committed.append(&mut ends.witness);
        ends.witness = committed;
        ends
    }

    /// The source of the weights' commitment, if the key has one.
    pub(crate) fn data(&self) -> Option<&C::Data> {
        self.inner.data.as_ref()
    }

    fn check_batch(&self, batch: usize) -> Result<(), ProveError> {
        if batch == 0 || batch > self.inner.vk.max_batch() {
            return Err(self.too_large(batch));
        }
        Ok(())
    }

    fn too_large(&self, batch: usize) -> ProveError {
        ProveError::Statement(StatementError::Batch {
            batch,
            max: self.inner.vk.max_batch(),
        })
    }

    /// The bytes of a `.zkpk` file: the integer model and how its weights are known. The
    /// commitment is recomputed on loading.
    pub fn to_bytes(&self) -> Vec<u8> {
        file::encode_key(
            PROVING_KEY,
            &Body {
                scheme: C::NAME.into(),
                model: self.inner.model.clone(),
                weights: self.inner.vk.weights(),
                proof: self.inner.vk.profile(),
                trust: self.inner.vk.trust(),
            },
        )
    }

    /// Reads a `.zkpk` file, checks that it is undamaged and makes the key anew.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FileError> {
        let body: Body = file::decode_key::<C, _>(PROVING_KEY, bytes)?;
        let options = SetupOptions {
            weights: body.weights,
            proof: body.proof,
            trust: body.trust,
        };
        let (pk, _) = crate::setup::setup_scheme(body.model, &options)
            .map_err(|e| FileError::Malformed(e.to_string()))?;
        Ok(pk)
    }
}
