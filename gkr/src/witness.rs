//! What a run leaves to be proven: every tensor, remainders and multiplicities; and what a prover
//! makes of them.

use crate::linear::{LinearProver, Party};
use crate::lookup::fraction::FractionClaim;
use crate::lookup::{multiplicities, trees, values};
use crate::plan::{Block, Plan};
use crate::tensor::{Cells, Tensor};
use rayon::prelude::*;
use zkstrata_mle::{E, F};
use zkstrata_model_ir::int::{Ints, TensorId, Trace};
use zkstrata_pcs::ProverTape;
use zkstrata_pcs::joint::{Column, Table};

/// What a prover shows: an honest one, a [`Witness`]. The verifier must refuse what else may be shown,
/// and tests show it. The body of a method is what an honest prover does.
pub(crate) trait Evidence: Sized + Sync {
    /// The cells of tensors.
    type Cells: Cells;

    /// The tensor of every node.
    fn tensors(&self) -> &[Tensor<Self::Cells>];

    /// The limbs of a node's remainders, the least significant first, in its own block.
    fn limbs(&self, node: usize) -> &[Tensor<Self::Cells>];

    /// Those in the commitment.
    fn committed_limbs(&self, node: usize) -> &[Tensor<Self::Cells>] {
        self.limbs(node)
    }

    /// Those in the blocks of single limbs.
    fn own_limbs(&self, node: usize) -> &[Tensor<Self::Cells>] {
        self.limbs(node)
    }

    /// One per row of the table hypercube; empty without lookups.
    fn multiplicities(&self) -> &[F];

    /// Proves the fraction trees of the leaves and of the tables, of alpha and beta.
    fn trees(
        &self,
        plan: &Plan,
        challenges: (E, E),
        tape: &mut ProverTape,
    ) -> (FractionClaim<E>, FractionClaim<E>);

    /// The values of all blocks at the end of the leaf tree.
    fn values(&self, plan: &Plan, leaves: &FractionClaim<E>) -> Vec<Vec<E>> {
        values(plan, self, &leaves.point)
    }

    /// The prover's end of the linear part.
    fn party<'a>(&'a self, prover: LinearProver<'a, Self::Cells>) -> impl Party<V = E> {
        prover
    }
}

/// The columns of the witness commitment.
pub(crate) fn columns<W: Evidence>(plan: &Plan, witness: &W) -> Vec<Column> {
    let of_block = |(block, table): (&Block, &Table)| -> Vec<Column> {
        let limbs = witness.committed_limbs(block.node);
        let limbs = block.limb_columns().map(|j| &limbs[j]);
        let out = std::iter::once(&witness.tensors()[block.node]);
        let column = |tensor: &Tensor<W::Cells>| tensor.column(table.live);
        out.chain(limbs).map(column).collect()
    };
    let blocks = plan.blocks.par_iter().zip(&plan.witness);
    let mut columns: Vec<Column> = blocks.flat_map(of_block).collect();
    if let Some(table) = plan.witness.last() {
        let live = &witness.multiplicities()[..table.live];
        columns.push(Column::Field(live.to_vec()));
    }
    columns
}

/// The witness of an honest run.
#[derive(Debug)]
pub(crate) struct Witness {
    /// The tensor of every node.
    pub(crate) tensors: Vec<Tensor>,
    /// The limbs of the remainders of table nodes, the least significant first.
    pub(crate) remainders: Vec<Vec<Tensor>>,
    /// One per row of the table hypercube; empty without lookups.
    pub(crate) multiplicities: Vec<F>,
}

impl Witness {
    /// The witness of a batch.
    pub(crate) fn new(plan: &Plan, trace: Trace) -> Self {
        let tensor = |(node, x)| Tensor::new(&plan.axes(TensorId(node)), x);
        let tensors: Vec<Tensor> = trace.tensors.into_iter().enumerate().map(tensor).collect();
        let remainders: Vec<Vec<Tensor>> = trace
            .remainders
            .into_iter()
            .enumerate()
            .map(|(node, limbs)| limbs.into_iter().map(|x| tensor((node, x))).collect())
            .collect();
        let multiplicities = if plan.blocks.is_empty() {
            vec![]
        } else {
            multiplicities(plan, &tensors, &remainders)
        };
        Self {
            tensors,
            remainders,
            multiplicities,
        }
    }
}

impl Evidence for Witness {
    type Cells = Ints;

    fn tensors(&self) -> &[Tensor] {
        &self.tensors
    }

    fn limbs(&self, node: usize) -> &[Tensor] {
        &self.remainders[node]
    }

    fn multiplicities(&self) -> &[F] {
        &self.multiplicities
    }

    fn trees(
        &self,
        plan: &Plan,
        challenges: (E, E),
        tape: &mut ProverTape,
    ) -> (FractionClaim<E>, FractionClaim<E>) {
        trees(plan, self, challenges, tape)
    }
}
