//! What a run leaves to be proven: every tensor, remainders and multiplicities.

use crate::lookup::multiplicities;
use crate::plan::Plan;
use crate::tensor::{Cells, Tensor};
use rayon::prelude::*;
use zkstrata_mle::F;
use zkstrata_model_ir::int::{TensorId, Trace};
use zkstrata_pcs::Columns;

/// The witness of a batch.
#[derive(Debug)]
pub(crate) struct Witness {
    /// The tensor of every node.
    pub(crate) tensors: Vec<Tensor>,
    /// The remainders of table nodes with a shift.
    pub(crate) remainders: Vec<Option<Tensor>>,
    /// One per row of the table hypercube; empty without lookups.
    pub(crate) multiplicities: Vec<F>,
}

impl Witness {
    /// Whether it is that of a run, and not of field elements as tests make them.
    pub(crate) fn is_integers(&self) -> bool {
        let is_field = |tensor: &Tensor| matches!(tensor.cells, Cells::Field(_));
        !self.tensors.iter().any(is_field)
    }

    /// The witness of an honest run.
    pub(crate) fn new(plan: &Plan<'_>, trace: Trace) -> Self {
        let tensor = |(node, x)| Tensor::new(&plan.axes(TensorId(node)), Cells::Ints(x));
        let tensors: Vec<Tensor> = trace.tensors.into_iter().enumerate().map(tensor).collect();
        let remainders: Vec<Option<Tensor>> = trace
            .remainders
            .into_iter()
            .enumerate()
            .map(|(node, x)| x.map(|x| tensor((node, x))))
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

    /// The columns of the witness commitment.
    pub(crate) fn columns(&self, plan: &Plan<'_>) -> Columns {
        let mut columns: Columns = plan
            .blocks
            .par_iter()
            .map(|block| {
                let rem = self.remainders[block.node].as_ref();
                let out = std::iter::once(&self.tensors[block.node]);
                out.chain(rem).map(Tensor::padded).collect()
            })
            .collect();
        columns.push(vec![self.multiplicities.clone()]);
        columns
    }
}
