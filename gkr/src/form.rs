//! What a proof consists of: a function of the graph, of what was chosen when the key was made, and of
//! the batch size.

use crate::constants::Weights;
use crate::error::VerifyError;
use crate::options::SetupOptions;
use crate::plan::{Plan, WeightPlan};
use std::sync::Arc;
use zkstrata_model_ir::int::Graph;
use zkstrata_pcs::joint::Layout;

/// The plans of a proof, and where its committed columns lie.
#[derive(Debug)]
pub(crate) struct Form {
    /// The plan of the batch.
    pub(crate) plan: Plan,
    /// The plan of the weights, however the verifier knows them.
    pub(crate) weights: WeightPlan,
    /// The witness, unless it has no columns.
    pub(crate) witness: Option<Layout>,
    /// The weights, if there are some and they are committed.
    pub(crate) key: Option<Layout>,
}

impl Form {
    /// The form of proofs of `batch` inferences.
    pub(crate) fn new(
        graph: &Arc<Graph>,
        options: SetupOptions,
        batch: usize,
    ) -> Result<Self, VerifyError> {
        let plan = Plan::new(Arc::clone(graph), batch).map_err(VerifyError::Key)?;
        let constants = WeightPlan::new(graph);
        let committed = options.weights == Weights::Committed && !constants.shape.is_empty();
        let key = committed.then(|| constants.layout(graph, options.trust.word(), options.proof));
        Ok(Self {
            witness: plan.layout(options.proof)?,
            key: key.transpose()?,
            weights: constants,
            plan,
        })
    }

    /// The sources of the opening, in its order.
    pub(crate) fn sources(&self) -> Vec<&Layout> {
        self.witness.iter().chain(&self.key).collect()
    }
}
