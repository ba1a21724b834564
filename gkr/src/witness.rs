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
    /// The limbs of the remainders of table nodes, the least significant first.
    pub(crate) remainders: Vec<Vec<Tensor>>,
    /// One per row of the table hypercube; empty without lookups.
    pub(crate) multiplicities: Vec<F>,
    /// What a cheating prover shows instead of the limbs.
    #[cfg(test)]
    pub(crate) faces: Faces,
}

/// Other limbs than [`Witness::remainders`], node and limbs, in some of their places.
#[cfg(test)]
#[derive(Debug, Default)]
pub(crate) struct Faces {
    /// In the commitment.
    pub(crate) committed: Option<(usize, Vec<Tensor>)>,
    /// In the blocks of single limbs.
    pub(crate) own: Option<(usize, Vec<Tensor>)>,
}

#[cfg(test)]
fn face(face: Option<&(usize, Vec<Tensor>)>, node: usize) -> Option<&[Tensor]> {
    let other = face.filter(|(other, _)| *other == node);
    other.map(|(_, limbs)| limbs.as_slice())
}

impl Witness {
    /// The witness of an honest run.
    pub(crate) fn new(plan: &Plan<'_>, trace: Trace) -> Self {
        let tensor = |(node, x)| Tensor::new(&plan.axes(TensorId(node)), Cells::Ints(x));
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
            #[cfg(test)]
            faces: Faces::default(),
        }
    }

    /// The limbs of a node in the commitment.
    fn committed_limbs(&self, node: usize) -> &[Tensor] {
        #[cfg(test)]
        if let Some(limbs) = face(self.faces.committed.as_ref(), node) {
            return limbs;
        }
        &self.remainders[node]
    }

    /// The limbs of a node in the blocks of single limbs.
    pub(crate) fn own_limbs(&self, node: usize) -> &[Tensor] {
        #[cfg(test)]
        if let Some(limbs) = face(self.faces.own.as_ref(), node) {
            return limbs;
        }
        &self.remainders[node]
    }

    /// The columns of the witness commitment.
    pub(crate) fn columns(&self, plan: &Plan<'_>) -> Columns {
        let mut columns: Columns = plan
            .blocks
            .par_iter()
            .map(|block| {
                let limbs = self.committed_limbs(block.node);
                let limbs = block.limb_columns().map(|j| &limbs[j]);
                let out = std::iter::once(&self.tensors[block.node]);
                out.chain(limbs).map(Tensor::padded).collect()
            })
            .collect();
        columns.push(vec![self.multiplicities.clone()]);
        columns
    }
}
