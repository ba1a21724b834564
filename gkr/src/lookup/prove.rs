//! The prover of the lookup argument.

use super::denominators::{Denominators, table_offsets};
use super::fraction::{self, Fraction, FractionClaim, Leaves, Tree};
use super::leaves::{RunLeaves, for_each};
use super::{LookupClaims, VALUES, WORK, WORK_BITS, block_claims};
use crate::claim::Claim;
use crate::plan::{Block, Plan};
use crate::tensor::Tensor;
use crate::witness::{Evidence, Witness};
use rayon::prelude::*;
use zkstrata_mle::{E, F, Point, PrimeCharacteristicRing};
use zkstrata_pcs::ProverTape;

/// Variables of a tree whose leaves are worth counting on several threads.
const PARALLEL_VARS: usize = 20;

/// Proves the lookups; the witness commitment must have been sent.
pub(crate) fn prove<W: Evidence>(
    plan: &Plan,
    witness: &W,
    tape: &mut ProverTape,
) -> LookupClaims<E> {
    tape.work(WORK, WORK_BITS);
    let alpha = tape.sample();
    let beta = tape.sample();
    let (leaves, tables) = witness.trees(plan, (alpha, beta), tape);
    let _span = tracing::debug_span!("lookup values").entered();
    let values = witness.values(plan, &leaves);
    tape.send(VALUES, &values.concat());
    let mut claims = LookupClaims {
        witness: Vec::new(),
        arguments: Vec::new(),
        denominator: tables.q,
    };
    for (index, (block, values)) in plan.blocks.iter().zip(values).enumerate() {
        block_claims(index, block, &leaves.point, values, &mut claims).expect("the leaf point");
    }
    let multiplicities = plan.multiplicity_column();
    let claim = Claim::of(multiplicities, tables.point, tables.p);
    claims.witness.push(claim);
    claims
}

/// Proves the trees of the leaves and of the tables of an honest run.
pub(crate) fn trees(
    plan: &Plan,
    witness: &Witness,
    (alpha, beta): (E, E),
    tape: &mut ProverTape,
) -> (FractionClaim<E>, FractionClaim<E>) {
    let denominators = Denominators::new(plan, alpha, beta);
    let leaves = tracing::debug_span!("leaf tree").in_scope(|| {
        let mut leaves = RunLeaves::new(plan, witness, &denominators);
        fraction::prove(Tree::of_source(plan.leaf_vars, &mut leaves), tape)
    });
    // Behind the last table nothing is looked up.
    let last = plan.tables.last().expect("a model with lookups has tables");
    let counted = ..last.offset + (1 << last.vars);
    let (counts, rows) = (
        &witness.multiplicities[counted],
        &denominators.rows[counted],
    );
    let rows = Leaves {
        p: counts,
        q: rows,
        rest: Fraction {
            p: E::ZERO,
            q: rows[rows.len() - 1],
        },
    };
    let tables = tracing::debug_span!("table tree")
        .in_scope(|| fraction::prove(Tree::of_leaves(plan.table_vars, &rows), tape));
    (leaves, tables)
}

/// The values of all blocks at the end of the leaf tree, in the order in which they are sent.
pub(crate) fn values<W: Evidence>(plan: &Plan, witness: &W, leaf: &Point) -> Vec<Vec<E>> {
    let values = |block| block_values(block, leaf, witness);
    plan.blocks.par_iter().map(values).collect()
}

/// The values of one block.
fn block_values<W: Evidence>(block: &Block, leaf: &Point, witness: &W) -> Vec<E> {
    let (cell, _) = block.cell(leaf).expect("the leaf point");
    let own_cell = block.own_cell(leaf).expect("the leaf point");
    let limbs = witness.limbs(block.node);
    let main = [block.input.0, block.node].map(|t| &witness.tensors()[t]);
    let main = main
        .into_iter()
        .chain(block.limb_columns().map(|j| &limbs[j]));
    let own = &witness.own_limbs(block.node)[..block.own_limbs().len()];
    let values = main.map(|t| t.eval(cell));
    values.chain(own.iter().map(|t| t.eval(own_cell))).collect()
}

/// How often each row of the table hypercube is looked up.
pub(crate) fn multiplicities(
    plan: &Plan,
    tensors: &[Tensor],
    remainders: &[Vec<Tensor>],
) -> Vec<F> {
    let offsets = table_offsets(plan);
    let none = || vec![0u32; 1 << plan.table_vars];
    let count = |mut counts: Vec<u32>, block: &Block| {
        let start = plan.graph.tables[block.table.0].start;
        let rows = &mut counts[offsets[block.table.0]..];
        for_each(&tensors[block.input.0].cells, .., |_, x| {
            rows[(((x + block.offset) >> block.shift) - start) as usize] += 1;
        });
        for (limb, tensor) in block.limbs.iter().zip(&remainders[block.node]) {
            let rows = &mut counts[offsets[limb.range.0]..];
            for_each(&tensor.cells, .., |_, x| rows[x as usize] += 1);
        }
        counts
    };
    let counts = if plan.leaf_vars < PARALLEL_VARS {
        plan.blocks.iter().fold(none(), count)
    } else {
        let parts = plan.blocks.par_iter().fold(none, count);
        parts.reduce(none, |mut a, b| {
            a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
            a
        })
    };
    counts.into_iter().map(F::from_u32).collect()
}
