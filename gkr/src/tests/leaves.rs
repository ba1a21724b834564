//! The lookups of a witness as their formulas: the leaves of both trees and the multiplicities of
//! field elements, independent of the prover's.

use super::field_witness::Padded;
use crate::lookup::fraction::{self, Fraction};
use crate::lookup::table::identifier;
use crate::plan::Plan;
use crate::tensor::{Cells, Tensor, for_each_live};
use crate::witness::Evidence;
use std::collections::HashMap;
use zkstrata_mle::{E, F, Field, PrimeCharacteristicRing, PrimeField64, tensor_vars};
use zkstrata_model_ir::int::TensorId;
use zkstrata_pcs::joint::Column;

/// The cells of a tensor in the field, over its padded axes.
fn padded<C: Cells>(tensor: &Tensor<C>, vars: usize) -> Vec<F> {
    in_field(tensor.column(1 << vars), vars)
}

/// The cells of a column in the field, with those that are not committed.
pub(crate) fn in_field(column: Column, vars: usize) -> Vec<F> {
    let mut cells: Vec<F> = match column {
        Column::I8(x) => x.iter().map(|&x| F::from_i8(x)).collect(),
        Column::I16(x) => x.iter().map(|&x| F::from_i16(x)).collect(),
        Column::I32(x) => x.iter().map(|&x| F::from_i32(x)).collect(),
        Column::I64(x) => x.iter().map(|&x| F::from_i64(x)).collect(),
        Column::Field(x) => x,
    };
    cells.resize(1 << vars, F::ZERO);
    cells
}

/// Numerators, denominators, and the fraction that follows.
pub(super) struct Leaves {
    pub(super) p: Vec<E>,
    pub(super) q: Vec<E>,
    pub(super) rest: Fraction,
}

impl Leaves {
    pub(super) fn stored(&self) -> fraction::Leaves<'_, E> {
        fraction::Leaves {
            p: &self.p,
            q: &self.q,
            rest: self.rest,
        }
    }
}

/// The leaves of the lookups.
pub(super) fn of_lookups<W: Evidence>(plan: &Plan, witness: &W, (alpha, beta): (E, E)) -> Leaves {
    // The leaves of every block with its first one.
    let mut parts: Vec<(usize, Vec<E>)> = vec![];
    for block in &plan.blocks {
        let acc = padded(&witness.tensors()[block.input.0], block.vars);
        let out = padded(&witness.tensors()[block.node], block.vars);
        let axes = plan.axes(TensorId(block.node));
        let mut mask = vec![F::ZERO; 1 << tensor_vars(&axes)];
        for_each_live(&axes, |_, at| mask[at] = F::ONE);
        let denominator =
            |mask: F, table, row: E| E::ONE + (alpha - identifier(table) - E::ONE) * mask - row;
        let limbs = witness.limbs(block.node).iter();
        let limbs = limbs.map(|tensor| padded(tensor, block.vars));
        let limbs: Vec<_> = block.limbs.iter().zip(limbs).collect();
        let scale = F::TWO.exp_u64(block.shift.into()).inverse();
        let mut main = vec![];
        for (i, &mask) in mask.iter().enumerate() {
            if let Some((last, x)) = limbs.last() {
                main.push(denominator(mask, last.range, beta * x[i]));
            }
            let mut rest = acc[i] + F::from_i64(block.offset) * mask;
            for (limb, x) in &limbs {
                rest -= F::TWO.exp_u64(limb.low.into()) * x[i];
            }
            let row = beta * (rest * scale) + beta * beta * out[i];
            main.push(denominator(mask, block.table, row));
        }
        parts.push((block.first, main));
        for (limb, x) in block.own_limbs().iter().zip(witness.own_limbs(block.node)) {
            let x = padded(x, block.vars);
            let leaf = |(&mask, &x)| denominator(mask, limb.range, beta * x);
            parts.push((limb.first, mask.iter().zip(x.iter()).map(leaf).collect()));
        }
    }
    parts.sort_by_key(|&(first, _)| first);
    let q: Vec<E> = parts.into_iter().flat_map(|(_, leaves)| leaves).collect();
    Leaves {
        p: vec![E::ONE; q.len()],
        q,
        rest: Fraction::ONE,
    }
}

/// The leaves of the tables: every table's last row fills its block, and the last table's the cube.
pub(super) fn of_tables<W: Evidence>(plan: &Plan, witness: &W, (alpha, beta): (E, E)) -> Leaves {
    let mut q = vec![E::ZERO; 1 << plan.table_vars];
    for block in &plan.tables {
        let table = &plan.graph.tables[block.table.0];
        for (j, q) in q[block.offset..].iter_mut().enumerate() {
            let x = table.start + j.min(table.len - 1) as i64;
            let value = table.get(x).expect("a row of the domain");
            let [x, value] = [x, value].map(F::from_i64);
            *q = alpha - identifier(block.table) - beta * x - beta * beta * value;
        }
    }
    let p = witness.multiplicities().iter().map(|&m| m.into()).collect();
    Leaves {
        p,
        q,
        rest: Fraction::ONE,
    }
}

/// The multiplicities of a witness of field elements; tuples in no table are not counted.
pub(super) fn field_multiplicities(
    plan: &Plan,
    tensors: &[Tensor<Padded>],
    remainders: &[Vec<Tensor<Padded>>],
) -> Vec<F> {
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
        let acc = &tensors[block.input.0].cells.0;
        let out = &tensors[block.node].cells.0;
        let limbs = remainders[block.node].iter().map(|limb| &limb.cells.0);
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
