//! The prover of the lookup argument.
#![allow(
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::expect_used,
    clippy::unreachable
)] // prover code asserts its preconditions

use super::fraction::{self, Leaves};
use super::leaves::{RunLeaves, for_each, ints, of_field_elements};
use super::table::row;
use super::{Block, LookupClaims, VALUES, WORK, WORK_BITS, block_claims};
use crate::plan::Plan;
use crate::tensor::Tensor;
#[cfg(test)]
use crate::tensor::for_each_live;
use crate::witness::Witness;
use rayon::prelude::*;
#[cfg(test)]
use zkstrata_mle::Field;
use zkstrata_mle::{E, F, Point, PrimeCharacteristicRing};
use zkstrata_model_ir::int::TableId;
#[cfg(test)]
use zkstrata_model_ir::int::TensorId;
use zkstrata_pcs::{Claim, ProverTape};

/// Variables of a tree whose leaves are worth counting on several threads.
const PARALLEL_VARS: usize = 20;

/// Proves the lookups; the witness commitment must have been sent.
pub(crate) fn prove(plan: &Plan<'_>, witness: &Witness, tape: &mut ProverTape) -> LookupClaims<E> {
    tape.work(WORK, WORK_BITS);
    let alpha = tape.sample();
    let beta = tape.sample();
    let denominators = table_denominators(plan, alpha, beta);
    let leaves = tracing::debug_span!("leaf tree").in_scope(|| {
        if witness.is_integers() {
            let mut leaves = RunLeaves::new(plan, witness, &denominators);
            fraction::prove(plan.leaf_vars, &mut leaves, tape)
        } else {
            let mut leaves = of_field_elements(plan, witness, alpha, beta);
            fraction::prove(plan.leaf_vars, &mut leaves, tape)
        }
    });
    let mut rows = Leaves {
        p: witness.multiplicities.iter().map(|&m| m.into()).collect(),
        q: denominators.rows,
    };
    let tables = tracing::debug_span!("table tree")
        .in_scope(|| fraction::prove(plan.table_vars, &mut rows, tape));

    let _span = tracing::debug_span!("lookup values").entered();
    let values: Vec<Vec<E>> = plan
        .blocks
        .par_iter()
        .map(|block| values(block, &leaves.point, witness))
        .collect();
    tape.send(VALUES, &values.concat());
    let mut claims = LookupClaims {
        witness: Vec::new(),
        arguments: Vec::new(),
    };
    for (index, (block, values)) in plan.blocks.iter().zip(values).enumerate() {
        block_claims(index, block, &leaves.point, values, &mut claims).expect("the leaf point");
    }
    claims.witness.push(Claim {
        column: plan.multiplicity_column(),
        point: tables.point,
        value: tables.p,
    });
    claims
}

/// The values of one block in the order in which they are sent.
fn values(block: &Block, leaf: &Point, witness: &Witness) -> Vec<E> {
    let (cell, _) = block.cell(leaf).expect("the leaf point");
    let own_cell = block.own_cell(leaf).expect("the leaf point");
    let limbs = &witness.remainders[block.node];
    let main = [block.input.0, block.node].map(|t| &witness.tensors[t]);
    let main = main
        .into_iter()
        .chain(block.limb_columns().map(|j| &limbs[j]));
    let own = &witness.own_limbs(block.node)[..block.own_limbs().len()];
    let values = main.map(|t| t.eval(cell));
    values.chain(own.iter().map(|t| t.eval(own_cell))).collect()
}

/// The denominators of all rows of the table hypercube.
pub(super) struct Denominators {
    pub(super) rows: Vec<E>,
    /// First row of each table.
    offsets: Vec<usize>,
}

/// First row of each table in the hypercube.
fn table_offsets(plan: &Plan<'_>) -> Vec<usize> {
    let mut offsets = vec![0; plan.tables.len()];
    for block in &plan.tables {
        offsets[block.table.0] = block.offset;
    }
    offsets
}

fn table_denominators(plan: &Plan<'_>, alpha: E, beta: E) -> Denominators {
    let mut rows = Vec::with_capacity(1 << plan.table_vars);
    for block in &plan.tables {
        let table = &plan.graph.tables[block.table.0];
        let live = rows.len() + table.len;
        rows.par_extend(
            (0..table.len)
                .into_par_iter()
                .with_min_len(1 << 10)
                .map(|j| row(table, block.table, j).denominator(alpha, beta)),
        );
        let last = rows[live - 1];
        rows.resize(block.offset + (1 << block.vars), last);
    }
    let last = *rows.last().expect("a model with lookups has tables");
    rows.resize(1 << plan.table_vars, last);
    Denominators {
        rows,
        offsets: table_offsets(plan),
    }
}

impl Denominators {
    /// The first row of a table.
    pub(super) fn offset(&self, table: TableId) -> usize {
        self.offsets[table.0]
    }
}

/// How often each row of the table hypercube is looked up.
pub(crate) fn multiplicities(
    plan: &Plan<'_>,
    tensors: &[Tensor],
    remainders: &[Vec<Tensor>],
) -> Vec<F> {
    let offsets = table_offsets(plan);
    let none = || vec![0u32; 1 << plan.table_vars];
    let count = |mut counts: Vec<u32>, block: &Block| {
        let start = plan.graph.tables[block.table.0].start;
        let rows = &mut counts[offsets[block.table.0]..];
        for_each(ints(&tensors[block.input.0]), .., |_, x| {
            rows[(((x + block.offset) >> block.shift) - start) as usize] += 1;
        });
        for (limb, cells) in block.limbs.iter().zip(&remainders[block.node]) {
            let rows = &mut counts[offsets[limb.range.0]..];
            for_each(ints(cells), .., |_, x| rows[x as usize] += 1);
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

/// The multiplicities of a witness of field elements; tuples in no table are not counted.
#[cfg(test)]
pub(crate) fn field_multiplicities(
    plan: &Plan<'_>,
    tensors: &[Tensor],
    remainders: &[Vec<Tensor>],
) -> Vec<F> {
    use std::collections::HashMap;
    use zkstrata_mle::PrimeField64;
    let mut index = HashMap::new();
    for block in &plan.tables {
        let table = &plan.graph.tables[block.table.0];
        for j in 0..table.len {
            let x = table.start + j as i64;
            let value = table.get(x).expect("a row of the domain");
            let key = (
                block.table,
                F::from_i64(x).as_canonical_u64(),
                F::from_i64(value).as_canonical_u64(),
            );
            index.entry(key).or_insert(block.offset + j);
        }
    }
    let mut counts = vec![0u32; 1 << plan.table_vars];
    let mut count = |table, x: F, value: F| {
        let key = (table, x.as_canonical_u64(), value.as_canonical_u64());
        if let Some(&row) = index.get(&key) {
            counts[row] += 1;
        }
    };
    for block in &plan.blocks {
        let acc = tensors[block.input.0].padded_cells();
        let out = tensors[block.node].padded_cells();
        let limbs = remainders[block.node].iter().map(Tensor::padded_cells);
        let limbs: Vec<_> = block.limbs.iter().zip(limbs).collect();
        let scale = F::TWO.exp_u64(block.shift.into()).inverse();
        for_each_live(&plan.axes(TensorId(block.node)), |_, at| {
            let mut rest = acc[at] + F::from_i64(block.offset);
            for (limb, cells) in &limbs {
                count(limb.range, cells[at], F::ZERO);
                rest -= F::TWO.exp_u64(limb.low.into()) * cells[at];
            }
            count(block.table, rest * scale, out[at]);
        });
    }
    counts.into_iter().map(F::from_u32).collect()
}
