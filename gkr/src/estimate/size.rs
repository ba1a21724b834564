//! Lengths of proofs and keys.
//!
//! Of a proof everything but two things follows from the plan: the number of Merkle siblings, which
//! is replaced by its expectation, and the encoding of witness cells in the clear, whose length
//! depends on their values.

use crate::constants::Weights;
use crate::plan::{Plan, WeightPlan};
use serde::Serialize;
use zkstrata_model_ir::int::{Interval, Model};
use zkstrata_pcs::{Cells, ColumnId, Counts, PartCost};

/// Bytes of a scalar, of a proof of work and of a root on the tape.
const SCALAR: f64 = 16.0;
const WORK: f64 = 8.0;
const ROOT: f64 = 32.0;

/// Bytes of a key besides its model and its commitment: header, checksum, names, lengths.
const FRAME: usize = 56;

/// The expected length of a proof; `key` are the parts that it opens of the weights.
pub(super) fn proof(
    plan: &Plan<'_>,
    counts: Counts,
    witness: &[PartCost],
    key: &[PartCost],
) -> f64 {
    let messages =
        SCALAR * counts.scalars as f64 + WORK * counts.works as f64 + counts.bytes as f64;
    let committed = witness.iter().map(|part| match part.tree {
        Some(tree) => ROOT + tree.proof_bytes,
        None => part.columns.iter().map(|&id| column(plan, id)).sum(),
    });
    let opened: f64 = key
        .iter()
        .filter_map(|part| part.tree)
        .map(|tree| tree.proof_bytes)
        .sum();
    messages + committed.sum::<f64>() + opened
}

/// The expected length of a column in the clear. Padding is zero.
fn column(plan: &Plan<'_>, id: ColumnId) -> f64 {
    let Some(block) = plan.blocks.get(id.table) else {
        return multiplicities(plan);
    };
    let live = plan.batch * plan.graph.nodes[block.node].cells();
    let padding = (1usize << block.vars) - live;
    let limb = id.column.checked_sub(1);
    let cell = match limb.and_then(|column| block.limb_columns().nth(column)) {
        None => output(plan.graph.nodes[block.node].interval),
        Some(limb) => remainder(plan.graph.tables[block.limbs[limb].range.0].len),
    };
    padding as f64 + live as f64 * cell
}

/// A limb is distributed evenly over the rows of its table.
fn remainder(rows: usize) -> f64 {
    let bytes: u32 = (0..rows as i64).map(Cells::bytes_of).sum();
    f64::from(bytes) / rows as f64
}

/// An output is mostly far below the largest one: half of a rectifier's are zero, and the range
/// holds the extremes of all samples with a margin.
fn output(interval: Interval) -> f64 {
    let typical = [0, interval.hi / 16, interval.hi / 8, interval.hi / 4];
    typical
        .map(|x| f64::from(Cells::bytes_of(x)))
        .iter()
        .sum::<f64>()
        / 4.0
}

/// Every row has its share of the lookups.
fn multiplicities(plan: &Plan<'_>) -> f64 {
    let rows = 1usize << plan.table_vars;
    let share = super::work::lookups(plan) / rows;
    rows as f64 * f64::from(Cells::bytes_of(i64::try_from(share).unwrap_or(i64::MAX)))
}

/// Lengths of the proving and the verifying key.
pub(super) fn keys(
    model: &Model,
    weights: Weights,
    plan: &WeightPlan,
    key: &[PartCost],
) -> (usize, usize) {
    let graph = encoded(&model.graph);
    let constants = encoded(&(&model.weights, &model.biases));
    let committed = || {
        let parts = key.iter().map(|part| match part.tree {
            Some(_) => ROOT as usize,
            None => clear(model, plan, part),
        });
        parts.sum::<usize>()
    };
    let vk = match weights {
        Weights::Public => constants,
        Weights::Committed => committed(),
    };
    (FRAME + graph + constants, FRAME + graph + vk)
}

/// Columns of the weights in the clear. Padding is zero.
fn clear(model: &Model, plan: &WeightPlan, part: &PartCost) -> usize {
    let extra = |x: i64| Cells::bytes_of(x) as usize - 1;
    let column = |id: &ColumnId| {
        let shape = &plan.shape[id.table];
        let extra: usize = match model.weights.get(id.table) {
            Some(weights) => {
                let taps = weights.iter().skip(id.column).step_by(shape.width);
                taps.map(|&w| extra(w.into())).sum()
            }
            None => model.biases.iter().flatten().map(|&b| extra(b)).sum(),
        };
        (1 << shape.num_vars) + extra
    };
    part.columns.iter().map(column).sum()
}

/// Bytes of the encoding of a value in a file.
fn encoded(value: &impl Serialize) -> usize {
    postcard::serialize_with_flavor(value, postcard::ser_flavors::Size::default()).unwrap_or(0)
}
