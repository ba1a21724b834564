//! What making keys, proving and verifying have to do, in units that one rate each fits.

use super::tally::{self, Tally};
use crate::claim::{Claim, count};
use crate::dry;
use crate::error::VerifyError;
use crate::form::Form;
use crate::options::SetupOptions;
use crate::plan::{Block, Plan};
use zkstrata_model_ir::int::{MapAxis, Model, Op, SmallInts};
use zkstrata_pcs::Counts;
use zkstrata_pcs::joint::{Joint, SourceCost};

/// All counts, as real numbers: they are multiplied by rates.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Work {
    /// Multiplications of weights and activations in layers that sum over channels.
    pub(super) products: f64,
    /// The same in depthwise layers, and products of activations.
    pub(super) depthwise: f64,
    /// Cells of all tensors of a run.
    pub(super) cells: f64,
    /// Cells of the public tensors.
    pub(super) public: f64,
    /// Weights and biases.
    pub(super) weights: f64,
    /// Lookups of live cells.
    pub(super) lookups: f64,
    /// Leaves of the lookup tree without the gap at its end.
    pub(super) leaves: f64,
    /// Rows of the table hypercube.
    pub(super) rows: f64,
    /// Rounds of all sumchecks of both trees.
    pub(super) rounds: f64,
    /// The linear part.
    pub(super) linear: Tally,
    /// The commitment to the witness.
    pub(super) witness: Commitment,
    /// The same of the weights, if they are committed.
    pub(super) key: Commitment,
    /// Elements that are left when the first rounds of the opening have folded.
    pub(super) folded: f64,
    /// Hashes of the proofs of work of the opening.
    pub(super) hashes: f64,
    /// What a verifier does with messages.
    pub(super) counts: Counts,
    /// Weights that a verifier evaluates itself.
    pub(super) evaluated: f64,
    /// The proof's bytes.
    pub(super) proof: f64,
}

/// A commitment and the claims on it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Commitment {
    /// Cells of the committed word.
    pub(super) word: f64,
    /// Elements of it and its tree that are in memory.
    pub(super) held: f64,
    /// Products with cells that opened rows take.
    pub(super) products: f64,
    /// Claims.
    pub(super) claims: f64,
}

impl Commitment {
    fn new<S>(source: SourceCost, claims: &[Claim<S>]) -> Self {
        let Some(word) = source.word else {
            return Self::default();
        };
        Self {
            word: word as f64,
            held: source.held as f64,
            products: source.products as f64,
            claims: count(claims) as f64,
        }
    }
}

impl Work {
    /// Counts everything that a batch takes.
    pub(super) fn new(
        model: &Model,
        form: &Form,
        options: &SetupOptions,
    ) -> Result<Self, VerifyError> {
        let (plan, weights) = (&form.plan, &form.weights);
        let (counts, ends) = dry::verification(plan, weights, options)?;
        let opening = Joint::cost(&form.sources())?;
        let len = |n: usize| n as f64;
        let constants_len = model.weights.iter().map(SmallInts::len).sum::<usize>()
            + model.biases.iter().map(Vec::len).sum::<usize>();
        let (products, depthwise) = multiplications(plan);
        let rounds = |vars: usize| (0..vars).sum::<usize>();
        let ports = plan.graph.inputs.iter().chain(&plan.graph.outputs);
        let mut work = Self {
            products,
            depthwise,
            cells: len(plan
                .graph
                .nodes
                .iter()
                .map(|n| plan.batch * n.cells())
                .sum()),
            public: len(ports
                .map(|p| plan.batch * plan.graph.node(p.tensor).cells())
                .sum()),
            weights: len(constants_len),
            linear: tally::linear(plan, weights)?,
            folded: len(opening.folded),
            hashes: opening.hashes,
            counts,
            ..Work::default()
        };
        if !plan.blocks.is_empty() {
            work.lookups = len(plan.lookups());
            let leaves = plan.blocks.iter().flat_map(Block::leaf_blocks);
            work.leaves = len(leaves.map(|(vars, _)| 1usize << vars).sum());
            work.rows = len(1 << plan.table_vars);
            work.rounds = len(rounds(plan.leaf_vars) + rounds(plan.table_vars));
        }
        let mut costs = opening.sources.iter().copied();
        if let Some(source) = form.witness.as_ref().and_then(|_| costs.next()) {
            work.witness = Commitment::new(source, &ends.witness);
        }
        let key = form.key.as_ref().and_then(|_| costs.next());
        match key {
            Some(source) => work.key = Commitment::new(source, &ends.weights),
            None => work.evaluated = work.weights,
        }
        // Committed inputs and outputs are committed to beside the witness.
        for (source, claims) in costs.zip(ends.ports.values()) {
            let port = Commitment::new(source, claims);
            work.witness.word += port.word;
            work.witness.claims += port.claims;
        }
        work.proof = super::size::proof(form, counts, &opening);
        Ok(work)
    }
}

/// Multiplications of a batch: in layers that sum over channels, and in all other nodes.
fn multiplications(plan: &Plan) -> (f64, f64) {
    let mut sums = (0.0, 0.0);
    for node in &plan.graph.nodes {
        let layer = match &node.op {
            Op::Affine(layer) => layer,
            Op::Contract(contract) => {
                sums.1 += (plan.batch * node.cells()) as f64 * contract.terms() as f64;
                continue;
            }
            Op::Input
            | Op::Constant { .. }
            | Op::Table { .. }
            | Op::Sum { .. }
            | Op::Permute { .. }
            | Op::Map(_)
            | Op::Gather { .. } => continue,
        };
        let taps: usize = layer.windows.iter().map(MapAxis::taps).product();
        let inputs: usize = layer.inputs.iter().product();
        let count = (plan.batch * node.cells()) as f64 * (inputs * taps) as f64;
        if inputs > 1 {
            sums.0 += count;
        } else {
            sums.1 += count;
        }
    }
    sums
}
