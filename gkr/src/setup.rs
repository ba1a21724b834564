//! Setup: a model becomes a pair of keys.

use crate::constants::{Constants, HiddenWeights, PublicWeights, Weights};
use crate::error::{SetupError, VerifyError};
use crate::file::FORMAT_VERSION;
use crate::key::{MAX_BATCH, VerifyingKey};
use crate::lookup::WORK_BITS;
use crate::options::{SetupOptions, Trust};
use crate::plan::{Plan, WeightPlan};
use crate::prepared::Prepared;
use crate::prove::ProvingKey;
use crate::security::REQUIRED_BITS;
use crate::weights;
use std::sync::Arc;
use zkstrata_model_ir::Digest;
use zkstrata_model_ir::int::{Executor, Model, ValidGraph};
use zkstrata_pcs::Seed;
use zkstrata_pcs::joint::{Joint, RelationProver};

/// Makes the keys of a model, its weights committed.
pub fn setup(model: Model) -> Result<(ProvingKey<Joint>, VerifyingKey<Joint>), SetupError> {
    setup_with(model, &SetupOptions::default())
}

/// Makes the keys of a model.
pub fn setup_with(
    model: Model,
    options: &SetupOptions,
) -> Result<(ProvingKey<Joint>, VerifyingKey<Joint>), SetupError> {
    setup_scheme(model, options)
}

/// Makes the keys of a model for any commitment scheme.
pub fn setup_scheme<C: RelationProver>(
    model: Model,
    options: &SetupOptions,
) -> Result<(ProvingKey<C>, VerifyingKey<C>), SetupError> {
    setup_seeded(model, options, None)
}

/// The same with what hides the weights, if they are hidden and the key is not a new one.
pub(crate) fn setup_seeded<C: RelationProver>(
    mut model: Model,
    options: &SetupOptions,
    seed: Option<Seed>,
) -> Result<(ProvingKey<C>, VerifyingKey<C>), SetupError> {
    let options = &options.fit(&mut model)?;
    let plan = WeightPlan::new(&model.graph);
    let mut hidden_by = None;
    let executor = Executor::new(&model).map_err(|e| SetupError::Model(e.to_string()))?;
    let graph = executor.graph();
    let max_batch = largest_batch::<C>(graph, options)?;
    let (constants, data) = match options.weights {
        _ if plan.shape.is_empty() => (Constants::None, None),
        Weights::Public => {
            let weights = Arc::new(PublicWeights::new(&model));
            (Constants::Public(weights), None)
        }
        Weights::Compact => {
            let columns = weights::columns(&model, &plan);
            let layout = plan.layout(graph, options.trust.word(), options.proof)?;
            let (commitment, data) = C::commit(&layout, columns)?;
            (Constants::Committed(commitment), Some(data))
        }
        Weights::Hidden(uses) => {
            let bits = model.weight_bits();
            if options.trust == Trust::Certificate {
                let checked = graph.check_any_weights(bits);
                checked.map_err(|e| SetupError::AnyWeights(e.to_string()))?;
            }
            let seed = match seed {
                Some(seed) => seed,
                None => Seed::from_system().map_err(|e| SetupError::Randomness(e.to_string()))?,
            };
            // The same seed hides no two words alike: neither other weights, nor the same in another layout or
            // under another key.
            let protocol = (FORMAT_VERSION, C::NAME, C::PARAMETERS, WORK_BITS, max_batch);
            let SetupOptions {
                weights,
                proof,
                trust,
                inputs,
                outputs,
            } = options;
            let inputs = inputs.cut(graph.inputs.len());
            let outputs = outputs.cut(graph.outputs.len());
            let key = (
                protocol,
                (weights, proof, trust, inputs, outputs),
                bits,
                graph,
            );
            let key = Digest::of("zkstrata 2026 hidden weights", &key);
            let own = seed.hedged(|hasher| {
                hasher.update(&key.0);
                hash_weights(&model, hasher);
            });
            let columns = weights::columns(&model, &plan);
            let word = options.trust.word();
            let layout = plan.hidden_layout(word, options.proof, uses.sessions)?;
            let (commitment, data) = C::commit_hidden(&layout, columns, &own)?;
            hidden_by = Some(seed);
            let hidden = HiddenWeights {
                commitment,
                uses,
                bits,
            };
            (Constants::Hidden(hidden), Some(data))
        }
    };
    let vk = VerifyingKey::new(graph.clone(), constants, options.clone(), max_batch);
    let certificates = vk.certificates_security();
    for security in certificates.map_err(|e| SetupError::Limit(e.to_string()))? {
        if !security.is_enough() {
            return Err(SetupError::Security {
                bits: security.total_bits,
                required: REQUIRED_BITS,
                batch: security.batch,
            });
        }
    }
    let pk = ProvingKey::new(model, executor, vk.clone(), (data, hidden_by));
    Ok((pk, vk))
}

/// Everything that a seed hides, so that no two models have the same random rows.
pub(crate) fn hash_weights(model: &Model, hasher: &mut blake3::Hasher) {
    for weights in &model.weights {
        hasher.update(&weights.len().to_le_bytes());
        let bytes: Vec<u8> = weights.iter().flat_map(i32::to_le_bytes).collect();
        hasher.update(&bytes);
    }
    for biases in &model.biases {
        hasher.update(&biases.len().to_le_bytes());
        let bytes: Vec<u8> = biases.iter().flat_map(|b| b.to_le_bytes()).collect();
        hasher.update(&bytes);
    }
}

/// The largest power of two, at most [`MAX_BATCH`], whose proofs are within the limits and secure.
pub(crate) fn largest_batch<C: RelationProver>(
    graph: &ValidGraph,
    options: &SetupOptions,
) -> Result<usize, SetupError> {
    let bits = |batch| -> Result<f64, SetupError> {
        Plan::new(graph.clone(), batch).map_err(SetupError::Limit)?;
        let prepared = Prepared::new::<C>(graph, options, batch).map_err(|e| match e {
            VerifyError::Opening(e) => SetupError::Commit(e),
            other => SetupError::Limit(other.to_string()),
        })?;
        Ok(prepared.security.total_bits)
    };
    let one = bits(1)?;
    if one < REQUIRED_BITS {
        return Err(SetupError::Security {
            bits: one,
            required: REQUIRED_BITS,
            batch: 1,
        });
    }
    let mut batch = MAX_BATCH;
    while batch > 1 && !bits(batch).is_ok_and(|b| b >= REQUIRED_BITS) {
        batch /= 2;
    }
    Ok(batch)
}
