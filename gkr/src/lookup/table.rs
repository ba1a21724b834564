//! The table hypercube: all lookup tables, stacked largest first as aligned blocks.
//!
//! Row `j` of table `t` is the tuple `(id_t, start + j, T[start + j])`, `id_t = t + 1`. A table is
//! padded to a power of two, at least `2^6`, **by repeating its last row**, and the gap
//! behind the last block repeats the last row of the last block: every row is a valid tuple, so a
//! multiplicity put anywhere proves nothing false.
//!
//! Clamp and range tables are evaluated in `O(log n)` through `sum_{j<n} eq(x,j)` and
//! `sum_{j<n} j eq(x,j)`; tables of arbitrary values densely.

use crate::plan::TableBlock;
use zkstrata_mle::{
    E, F, PrimeCharacteristicRing, eq_table, less_than, less_than_weighted, selector, signed,
};
use zkstrata_model_ir::int::{Function, Table, TableId};

/// The identifier that a table's rows carry.
pub(crate) fn identifier(table: TableId) -> E {
    E::from_usize(table.0 + 1)
}

/// A tuple `(id, argument, value)` of multilinear extensions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Row {
    /// The table's identifier.
    pub(crate) id: E,
    /// The argument.
    pub(crate) argument: E,
    /// The value.
    pub(crate) value: E,
}

impl Row {
    /// `alpha - id - beta * argument - beta^2 * value`
    pub(crate) fn denominator(&self, alpha: E, beta: E) -> E {
        alpha - self.id - beta * (self.argument + beta * self.value)
    }

    fn add_scaled(&mut self, other: Self, factor: E) {
        self.id += factor * other.id;
        self.argument += factor * other.argument;
        self.value += factor * other.value;
    }
}

/// The row at argument number `j` of a table.
pub(crate) fn row(table: &Table, id: TableId, j: usize) -> Row {
    let x = i64::try_from(j).map_or(i64::MAX, |j| table.start.saturating_add(j));
    Row {
        id: identifier(id),
        argument: signed(x),
        value: signed(table.get(x).unwrap_or(0)),
    }
}

/// The multilinear extension of one padded table at `r`.
fn eval_table(table: &Table, id: TableId, r: &[E]) -> Row {
    let last = row(table, id, table.len.saturating_sub(1));
    let (count, weighted) = less_than_weighted(table.len, r);
    let beyond = E::ONE - count;
    let argument = signed(table.start) * count + weighted + beyond * last.argument;
    let value = match &table.function {
        Function::Range => E::ZERO,
        Function::Clamp { lo, hi } => {
            // Rows below `rise` have value lo, rows from `fall` on have value hi, rows between
            // them their own argument.
            let rise = rows_below(table, *lo);
            let fall = rows_below(table, hi.saturating_add(1)).max(rise);
            let (count_rise, weighted_rise) = less_than_weighted(rise, r);
            let (count_fall, weighted_fall) = less_than_weighted(fall, r);
            signed(*lo) * count_rise
                + signed(table.start) * (count_fall - count_rise)
                + (weighted_fall - weighted_rise)
                + signed(*hi) * (count - count_fall)
                + beyond * last.value
        }
        Function::Values(values) => {
            let eq = eq_table(r, table.len, E::ONE);
            let sum: E = eq
                .iter()
                .zip(values)
                .map(|(&e, &v)| e * F::from_i64(v.into()))
                .sum();
            sum + beyond * last.value
        }
    };
    Row {
        id: last.id,
        argument,
        value,
    }
}

/// Number of rows of the domain whose argument is below `bound`.
fn rows_below(table: &Table, bound: i64) -> usize {
    let rows = i128::from(bound) - i128::from(table.start);
    usize::try_from(rows.max(0)).map_or(table.len, |n| n.min(table.len))
}

/// The multilinear extension of the whole table hypercube at `r`, `vars` coordinates.
pub(crate) fn eval_all(tables: &[Table], blocks: &[TableBlock], r: &[E]) -> Option<Row> {
    let mut sum = Row {
        id: E::ZERO,
        argument: E::ZERO,
        value: E::ZERO,
    };
    for block in blocks {
        let table = tables.get(block.table.0)?;
        let (prefix, low) = r.split_at_checked(r.len().checked_sub(block.vars)?)?;
        let sel = selector(prefix, block.offset >> block.vars);
        sum.add_scaled(eval_table(table, block.table, low), sel);
    }
    // The gap behind the last block: vertices from the total on.
    if let Some(last) = blocks.last() {
        let table = tables.get(last.table.0)?;
        let total = last.offset + (1 << last.vars);
        let gap = E::ONE - less_than(total, r);
        sum.add_scaled(row(table, last.table, table.len.saturating_sub(1)), gap);
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dense(tables: &[Table], blocks: &[TableBlock], vars: usize) -> Vec<Row> {
        let mut rows = Vec::new();
        for b in blocks {
            let t = &tables[b.table.0];
            rows.extend((0..1 << b.vars).map(|j| row(t, b.table, j.min(t.len - 1))));
        }
        let last = *rows.last().expect("a table");
        rows.resize(1 << vars, last);
        rows
    }

    #[test]
    fn evaluation_matches_the_dense_hypercube() {
        let clamp = |lo, hi, start, len| Table {
            function: Function::Clamp { lo, hi },
            start,
            len,
        };
        let tables = vec![
            clamp(0, 255, -300, 900),
            Table {
                function: Function::Range,
                start: 0,
                len: 256,
            },
            clamp(-7, 7, -3, 5),
            clamp(0, 1000, 5, 70),
            clamp(0, 6, -50, 40),
            clamp(3, 6, 7, 66),
            Table {
                function: Function::Values((0..77).map(|i| i * i - 500).collect()),
                start: -40,
                len: 77,
            },
        ];
        let (blocks, vars) = TableBlock::stack(&tables);
        let rows = dense(&tables, &blocks, vars);
        let mut x = E::from_u64(3_141_592_653);
        let r: Vec<E> = (0..vars)
            .map(|_| {
                x = x * x + E::from_u64(99);
                x
            })
            .collect();
        let eq = eq_table(&r, 1 << vars, E::ONE);
        let mut expected = Row {
            id: E::ZERO,
            argument: E::ZERO,
            value: E::ZERO,
        };
        for (e, row) in eq.iter().zip(&rows) {
            expected.add_scaled(*row, *e);
        }
        assert_eq!(eval_all(&tables, &blocks, &r), Some(expected));
    }
}
