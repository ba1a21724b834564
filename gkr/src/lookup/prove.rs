//! The prover of the lookup argument.
//!
//! An honest leaf's denominator equals that of its table row, so the rows' denominators are
//! computed once and leaves are copies of them.
#![allow(
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::expect_used,
    clippy::unreachable
)] // prover code asserts its preconditions

use super::fraction::{self, Leaves};
use super::table::{identifier, row};
use super::{Block, LookupClaims, VALUES, WORK, WORK_BITS, block_claims};
use crate::plan::Plan;
use crate::tensor::{Cells, Tensor, for_each_live};
use crate::witness::Witness;
use rayon::prelude::*;
use zkstrata_mle::{E, F, Field, Point, PrimeCharacteristicRing, axis_vars, tensor_vars};
use zkstrata_model_ir::int::{Ints, TableId, TensorId};
use zkstrata_pcs::{Claim, ProverTape};

/// Leaves below which a block is written by one thread.
const PARALLEL_LEAVES: usize = 1 << 14;

/// Proves the lookups; the witness commitment must have been sent.
pub(crate) fn prove(plan: &Plan<'_>, witness: &Witness, tape: &mut ProverTape) -> LookupClaims<E> {
    tape.work(WORK, WORK_BITS);
    let alpha = tape.sample();
    let beta = tape.sample();
    let denominators = table_denominators(plan, alpha, beta);
    let leaves = tracing::debug_span!("leaves")
        .in_scope(|| leaves(plan, witness, &denominators, (alpha, beta)));
    let leaves = tracing::debug_span!("leaf tree")
        .in_scope(|| fraction::prove(plan.leaf_vars, leaves, tape));
    let rows = Leaves {
        p: witness.multiplicities.clone(),
        q: denominators.rows,
    };
    let tables = tracing::debug_span!("table tree")
        .in_scope(|| fraction::prove(plan.table_vars, rows, tape));

    let _span = tracing::debug_span!("lookup values").entered();
    let values: Vec<(E, E, Option<E>)> = plan
        .blocks
        .par_iter()
        .map(|block| {
            let (_, cell, _) = block.split(&leaves.point).expect("the leaf point");
            let at = |t: &Tensor| t.eval(cell);
            let rem = witness.remainders[block.node].as_ref().map(at);
            let tensors = &witness.tensors;
            (at(&tensors[block.input.0]), at(&tensors[block.node]), rem)
        })
        .collect();
    let message: Vec<E> = values
        .iter()
        .flat_map(|&(acc, out, rem)| [Some(acc), Some(out), rem])
        .flatten()
        .collect();
    tape.send(VALUES, &message);
    let mut claims = LookupClaims {
        witness: Vec::new(),
        arguments: Vec::new(),
    };
    for (index, (block, values)) in plan.blocks.iter().zip(values).enumerate() {
        let (_, cell, _) = block.split(&leaves.point).expect("the leaf point");
        block_claims(index, block, &Point::from(cell), values, &mut claims);
    }
    claims.witness.push(Claim {
        column: plan.multiplicity_column(),
        point: tables.point,
        value: tables.p,
    });
    claims
}

/// The denominators of all rows of the table hypercube.
struct Denominators {
    rows: Vec<E>,
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
    /// The rows of a table, starting with its first.
    fn of(&self, table: TableId) -> &[E] {
        &self.rows[self.offsets[table.0]..]
    }
}

/// All leaves in order.
fn leaves(
    plan: &Plan<'_>,
    witness: &Witness,
    denominators: &Denominators,
    challenges: (E, E),
) -> Leaves {
    let live = plan
        .blocks
        .last()
        .map_or(0, |b| b.offset + (1 << b.leaf_vars()));
    let mut p = vec![F::ZERO; live];
    let mut q = vec![E::ZERO; live];
    let (mut rest_p, mut rest_q) = (p.as_mut_slice(), q.as_mut_slice());
    for block in &plan.blocks {
        let (p, tail_p) = rest_p.split_at_mut(1 << block.leaf_vars());
        let (q, tail_q) = rest_q.split_at_mut(1 << block.leaf_vars());
        (rest_p, rest_q) = (tail_p, tail_q);
        match &witness.tensors[block.node].cells {
            Cells::Ints(_) => integer_block(plan, block, witness, denominators, (p, q), challenges),
            Cells::Field(_) => field_block(plan, block, witness, (p, q), challenges),
        }
    }
    Leaves { p, q }
}

/// One block's rows of a run of cells.
#[derive(Clone, Copy)]
struct Gather<'a> {
    argument: &'a Ints,
    remainder: Option<&'a Ints>,
    shift: u32,
    start: i64,
    function: &'a [E],
    range: &'a [E],
}

impl Gather<'_> {
    /// The row of the function's table that cell `i` looks up.
    fn row(&self, i: usize) -> usize {
        (quotient(self.argument.get(i), self.shift) - self.start) as usize
    }
}

/// `(x + 2^(S-1)) >> S`, rounding half up.
fn quotient(x: i64, shift: u32) -> i64 {
    if shift == 0 {
        x
    } else {
        (x + (1 << (shift - 1))) >> shift
    }
}

fn ints(tensor: &Tensor) -> &Ints {
    match &tensor.cells {
        Cells::Ints(x) => x,
        Cells::Field(_) => unreachable!("a witness is integers or field elements throughout"),
    }
}

fn integer_block(
    plan: &Plan<'_>,
    block: &Block,
    witness: &Witness,
    denominators: &Denominators,
    (p, q): (&mut [F], &mut [E]),
    (alpha, _): (E, E),
) {
    let gather = Gather {
        argument: ints(&witness.tensors[block.input.0]),
        remainder: witness.remainders[block.node].as_ref().map(ints),
        shift: block.shift,
        start: plan.graph.tables[block.table.0].start,
        function: denominators.of(block.table),
        range: block.range.map_or(&[], |range| denominators.of(range)),
    };
    // Padding cells hold zeros: their denominators are alpha - id.
    let function = alpha - identifier(block.table);
    if let Some(range) = block.range {
        let range = alpha - identifier(range);
        q.par_chunks_mut(2)
            .with_min_len(PARALLEL_LEAVES)
            .for_each(|pair| {
                pair[0] = range;
                pair[1] = function;
            });
    } else {
        q.fill(function);
    }
    let slots = block.leaf_vars() - block.vars;
    fill(&witness.tensors[block.node].axes, slots, 0, gather, p, q);
}

/// Writes the live leaves of the subtensor that starts at dense cell `first`.
fn fill(axes: &[usize], slots: usize, first: usize, g: Gather<'_>, p: &mut [F], q: &mut [E]) {
    match axes {
        [] | [_] => {
            let n = axes.first().copied().unwrap_or(1);
            p[..n << slots].fill(F::ONE);
            if let Some(remainder) = g.remainder {
                for (i, pair) in q.chunks_exact_mut(2).take(n).enumerate() {
                    pair[0] = g.range[remainder.get(first + i) as usize];
                    pair[1] = g.function[g.row(first + i)];
                }
            } else {
                for (i, leaf) in q.iter_mut().take(n).enumerate() {
                    *leaf = g.function[g.row(first + i)];
                }
            }
        }
        [n, rest @ ..] => {
            let stride: usize = rest.iter().product();
            let padded = p.len() >> axis_vars(*n);
            let part = |(k, (p, q)): (usize, (&mut [F], &mut [E]))| {
                fill(rest, slots, first + k * stride, g, p, q);
            };
            if p.len() >= PARALLEL_LEAVES {
                let chunks = p.par_chunks_mut(padded).zip(q.par_chunks_mut(padded));
                chunks.enumerate().take(*n).for_each(part);
            } else {
                let chunks = p.chunks_mut(padded).zip(q.chunks_mut(padded));
                chunks.enumerate().take(*n).for_each(part);
            }
        }
    }
}

/// The leaves as their formulas, from padded field elements.
fn field_block(
    plan: &Plan<'_>,
    block: &Block,
    witness: &Witness,
    (p, q): (&mut [F], &mut [E]),
    (alpha, beta): (E, E),
) {
    let acc = witness.tensors[block.input.0].padded_cells();
    let out = witness.tensors[block.node].padded_cells();
    let axes = plan.axes(TensorId(block.node));
    let mut mask = vec![F::ZERO; 1 << tensor_vars(&axes)];
    for_each_live(&axes, |_, at| mask[at] = F::ONE);
    let function = |hi: F, out: F| alpha - identifier(block.table) - beta * hi - beta * beta * out;
    let Some(range) = block.range else {
        p.copy_from_slice(&mask);
        for (q, (&acc, &out)) in q.iter_mut().zip(acc.iter().zip(&out)) {
            *q = function(acc, out);
        }
        return;
    };
    let rem = witness.remainders[block.node]
        .as_ref()
        .expect("a shift has remainders")
        .padded_cells();
    let scale = F::TWO.exp_u64(block.shift.into()).inverse();
    let half = F::TWO.exp_u64(u64::from(block.shift) - 1);
    for i in 0..mask.len() {
        p[2 * i] = mask[i];
        p[2 * i + 1] = mask[i];
        q[2 * i] = alpha - identifier(range) - beta * rem[i];
        q[2 * i + 1] = function((acc[i] + half * mask[i] - rem[i]) * scale, out[i]);
    }
}

/// How often each row of the table hypercube is looked up.
pub(crate) fn multiplicities(
    plan: &Plan<'_>,
    tensors: &[Tensor],
    remainders: &[Option<Tensor>],
) -> Vec<F> {
    let offsets = table_offsets(plan);
    let mut counts = vec![0u32; 1 << plan.table_vars];
    for block in &plan.blocks {
        let start = plan.graph.tables[block.table.0].start;
        let argument = ints(&tensors[block.input.0]);
        let rows = &mut counts[offsets[block.table.0]..];
        for i in 0..argument.len() {
            rows[(quotient(argument.get(i), block.shift) - start) as usize] += 1;
        }
        if let (Some(range), Some(remainder)) = (block.range, &remainders[block.node]) {
            let remainder = ints(remainder);
            let rows = &mut counts[offsets[range.0]..];
            for i in 0..remainder.len() {
                rows[remainder.get(i) as usize] += 1;
            }
        }
    }
    counts.into_iter().map(F::from_u32).collect()
}

/// The multiplicities of a witness of field elements; tuples in no table are not counted.
#[cfg(test)]
pub(crate) fn field_multiplicities(
    plan: &Plan<'_>,
    tensors: &[Tensor],
    remainders: &[Option<Tensor>],
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
        let rem = remainders[block.node].as_ref().map(Tensor::padded_cells);
        let scale = F::TWO.exp_u64(block.shift.into()).inverse();
        for_each_live(&plan.axes(TensorId(block.node)), |_, at| {
            let hi = match (&rem, block.range) {
                (Some(rem), Some(range)) => {
                    count(range, rem[at], F::ZERO);
                    let half = F::TWO.exp_u64(u64::from(block.shift) - 1);
                    (acc[at] + half - rem[at]) * scale
                }
                _ => acc[at],
            };
            count(block.table, hi, out[at]);
        });
    }
    counts.into_iter().map(F::from_u32).collect()
}
