//! Lengths of proofs and keys.
//!
//! Of a proof everything but two things follows from the plan: the number of Merkle siblings, which
//! is replaced by its expectation, and the encoding of witness cells in the clear, whose length
//! depends on their values.

use crate::constants::Weights;
use crate::form::Form;
use crate::packed::pack;
use crate::plan::{Plan, WeightPlan};
use crate::weights::columns;
use serde::Serialize;
use zkstrata_model_ir::int::{Interval, Model};
use zkstrata_pcs::joint::{Joint, Layout, OpeningCost, RelationProver};
use zkstrata_pcs::{Cells, ColumnId, Counts};

/// Bytes of a scalar and of a proof of work on the tape.
const SCALAR: f64 = 16.0;
const WORK: f64 = 8.0;

/// Bytes of a key besides its model and its commitment: header, checksum, names, lengths.
const FRAME: usize = 56;

/// The expected length of a proof.
pub(super) fn proof(form: &Form, counts: Counts, opening: &OpeningCost) -> f64 {
    let plan = &form.plan;
    let sealed = form.seal.as_ref().map(|seal| seal.plan.scalars());
    let scalars = sealed.unwrap_or(counts.scalars);
    let messages = SCALAR * scalars as f64 + WORK * counts.works as f64 + counts.bytes as f64;
    let columns = || {
        let tables = plan.witness.iter().enumerate();
        tables.flat_map(|(table, shape)| {
            (0..shape.width).map(move |column| ColumnId { table, column })
        })
    };
    let witness = opening.sources.first().filter(|_| !plan.witness.is_empty());
    let witness = witness.map_or(0.0, |source| match source.word {
        Some(_) => Joint::ROOT_BYTES as f64,
        None => columns().map(|id| column(plan, id)).sum(),
    });
    messages + witness + opening.bytes
}

/// The expected length of a column in the clear. Padding is zero.
fn column(plan: &Plan, id: ColumnId) -> f64 {
    let Some(block) = plan.blocks.get(id.table) else {
        return multiplicities(plan);
    };
    let live = plan.batch * plan.graph.nodes[block.node].cells();
    let padding = plan.witness[id.table].live - live;
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
fn multiplicities(plan: &Plan) -> f64 {
    let rows = plan.witness.last().map_or(1, |table| table.live);
    let share = plan.lookups() / rows;
    rows as f64 * f64::from(Cells::bytes_of(i64::try_from(share).unwrap_or(i64::MAX)))
}

/// Lengths of the proving and the verifying key, whose commitment to the weights has this layout.
pub(super) fn keys(
    model: &Model,
    weights: Weights,
    plan: &WeightPlan,
    key: Option<&Layout>,
) -> (usize, usize) {
    let graph = &model.graph;
    let constants = (&model.weights, &model.biases);
    let vk = match (weights, key) {
        (Weights::Public, _) => packed(&(graph, constants)),
        (_, None) => packed(graph),
        (_, Some(key)) if key.rows().is_some() => packed(graph) + Joint::ROOT_BYTES,
        (_, Some(key)) => {
            // Few weights, which stand in the key.
            let commitment = Joint::commit(key, columns(model, plan));
            packed(&(graph, commitment.map(|(commitment, _)| commitment).ok()))
        }
    };
    (FRAME + encoded(graph) + encoded(&constants), FRAME + vk)
}

/// Bytes of the encoding of a value in a verifying key.
fn packed(value: &impl Serialize) -> usize {
    pack(&postcard::to_allocvec(value).unwrap_or_default()).len()
}

/// Bytes of the encoding of a value in a file.
fn encoded(value: &impl Serialize) -> usize {
    postcard::serialize_with_flavor(value, postcard::ser_flavors::Size::default()).unwrap_or(0)
}
