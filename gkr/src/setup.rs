//! Setup: a model becomes a pair of keys.

use crate::constants::{Constants, PublicWeights, Weights};
use crate::error::{SetupError, VerifyError};
use crate::key::{MAX_BATCH, VerifyingKey};
use crate::options::SetupOptions;
use crate::plan::{Plan, WeightPlan};
use crate::prepared::Prepared;
use crate::prove::ProvingKey;
use crate::security::REQUIRED_BITS;
use crate::weights;
use std::sync::Arc;
use zkstrata_model_ir::int::{Executor, Graph, Model};
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
    mut model: Model,
    options: &SetupOptions,
) -> Result<(ProvingKey<C>, VerifyingKey<C>), SetupError> {
    options.guard(&mut model.graph)?;
    let executor = Executor::new(&model).map_err(|e| SetupError::Model(e.to_string()))?;
    let graph = executor.graph();
    let max_batch = largest_batch::<C>(graph, options)?;
    let plan = WeightPlan::new(&model.graph);
    let (constants, data) = match options.weights {
        _ if plan.shape.is_empty() => (Constants::None, None),
        Weights::Public => {
            let weights = Arc::new(PublicWeights::new(&model));
            (Constants::Public(weights), None)
        }
        Weights::Committed => {
            let columns = weights::columns(&model, &plan);
            let layout = plan.layout(graph, options.trust.word(), options.proof)?;
            let (commitment, data) = C::commit(&layout, columns)?;
            (Constants::Committed(commitment), Some(data))
        }
    };
    let vk = VerifyingKey::new(Arc::clone(graph), constants, options.clone(), max_batch);
    let certificate = vk.certificate_security();
    let certificate = certificate.map_err(|e| SetupError::Limit(e.to_string()))?;
    if let Some(security) = certificate.filter(|security| !security.is_enough()) {
        return Err(SetupError::Security {
            bits: security.total_bits,
            required: REQUIRED_BITS,
            batch: security.batch,
        });
    }
    let pk = ProvingKey::new(model, executor, vk.clone(), data);
    Ok((pk, vk))
}

/// The largest power of two, at most [`MAX_BATCH`], whose proofs are within the limits and secure.
pub(crate) fn largest_batch<C: RelationProver>(
    graph: &Arc<Graph>,
    options: &SetupOptions,
) -> Result<usize, SetupError> {
    let bits = |batch| -> Result<f64, SetupError> {
        Plan::new(Arc::clone(graph), batch).map_err(SetupError::Limit)?;
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
