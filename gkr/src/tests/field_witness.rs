//! What an adversary shows: any field elements, padding included, and limbs that are not the same
//! wherever they are looked at.

use super::leaves;
use crate::lookup::fraction::{FractionClaim, Tree, prove};
use crate::plan::Plan;
use crate::tensor::{Cells, Tensor};
use crate::witness::Evidence;
use zkstrata_mle::{E, F, axis_vars, contract_middle, eval_dense};
use zkstrata_model_ir::int::TensorId;
use zkstrata_pcs::ProverTape;
use zkstrata_pcs::joint::Column;

/// The cells of the padded cube, over padded axes.
#[derive(Clone, Debug)]
pub(super) struct Padded(pub(super) Vec<F>);

impl Cells for Padded {
    fn eval(&self, axes: &[usize], point: &[E]) -> E {
        eval_dense(&self.0, axes, point)
    }

    fn contract_middle(&self, outer: usize, mid: usize, inner: usize, e: &[E]) -> Vec<E> {
        contract_middle(&self.0, outer, mid, inner, e)
    }

    fn column(&self, _: &[usize], live: usize) -> Column {
        Column::Field(self.0[..live].to_vec())
    }
}

/// The tensor of a node, of the padded cube's cells.
pub(super) fn padded_tensor(plan: &Plan, node: usize, cells: Vec<F>) -> Tensor<Padded> {
    let axes = plan.axes(TensorId(node));
    let axes: Vec<usize> = axes.iter().map(|&n| 1 << axis_vars(n)).collect();
    Tensor::new(&axes, Padded(cells))
}

/// The witness of a run over padded field elements.
#[derive(Debug)]
pub(super) struct FieldWitness {
    pub(super) tensors: Vec<Tensor<Padded>>,
    pub(super) remainders: Vec<Vec<Tensor<Padded>>>,
    pub(super) multiplicities: Vec<F>,
    pub(super) faces: Faces,
}

/// Other limbs than [`FieldWitness::remainders`], node and limbs, in some of their places.
#[derive(Debug, Default)]
pub(super) struct Faces {
    /// In the commitment.
    pub(super) committed: Option<(usize, Vec<Tensor<Padded>>)>,
    /// In the blocks of single limbs.
    pub(super) own: Option<(usize, Vec<Tensor<Padded>>)>,
}

impl FieldWitness {
    /// The limbs of a node where they have this face.
    fn shown<'a>(
        &'a self,
        face: Option<&'a (usize, Vec<Tensor<Padded>>)>,
        node: usize,
    ) -> &'a [Tensor<Padded>] {
        match face {
            Some((other, limbs)) if *other == node => limbs,
            _ => self.limbs(node),
        }
    }
}

impl Evidence for FieldWitness {
    type Cells = Padded;

    fn tensors(&self) -> &[Tensor<Padded>] {
        &self.tensors
    }

    fn limbs(&self, node: usize) -> &[Tensor<Padded>] {
        &self.remainders[node]
    }

    fn committed_limbs(&self, node: usize) -> &[Tensor<Padded>] {
        self.shown(self.faces.committed.as_ref(), node)
    }

    fn own_limbs(&self, node: usize) -> &[Tensor<Padded>] {
        self.shown(self.faces.own.as_ref(), node)
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
        let lookups = leaves::of_lookups(plan, self, challenges);
        let rows = leaves::of_tables(plan, self, challenges);
        let lookups = Tree::of_leaves(plan.leaf_vars, &lookups.stored());
        let rows = Tree::of_leaves(plan.table_vars, &rows.stored());
        (prove(lookups, tape), prove(rows, tape))
    }
}
