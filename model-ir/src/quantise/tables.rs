//! The last pass: domains of the tables, layouts, and the finished model.
//!
//! A table covers the static interval of every argument that reads it when that has at most
//! `2^16` rows (`2^18` for models of more than `2^20` lookups): then every input in range can be
//! proven. Otherwise it covers the calibrated range four times over, and an input that leaves it
//! cannot be proven, which the report says.

use super::Error;
use super::layout;
use super::lower::{Lookup, Lowered};
use crate::int::{Function, Graph, Interval, Model, Op, Table, TableId};

const MAX_ROWS: u64 = 1 << 16;
const MANY_LOOKUPS: usize = 1 << 20;
const MANY_ROWS: u64 = 1 << 18;

impl Lowered<'_> {
    /// Cells of all table nodes in one inference.
    pub(super) fn lookup_cells(&self) -> usize {
        self.lookups.iter().map(|l| self.cells(l.node)).sum()
    }
}

/// Gives tables their domains and tensors their axes.
pub(super) fn finish(mut lowered: Lowered, warnings: &mut Vec<String>) -> Result<Model, Error> {
    let limit = if lowered.lookup_cells() > MANY_LOOKUPS {
        MANY_ROWS
    } else {
        MAX_ROWS
    };
    let mut domains: Vec<Option<Interval>> = vec![None; lowered.curves.len()];
    for lookup in &lowered.lookups {
        let name = &lowered.nodes[lookup.node.0].name;
        let domain = domain(lookup, name, limit, warnings)?;
        let union = &mut domains[lookup.curve];
        *union = Some(union.map_or(domain, |u| Interval {
            lo: u.lo.min(domain.lo),
            hi: u.hi.max(domain.hi),
        }));
    }
    let curves = lowered.curves.iter().zip(domains);
    let mut tables: Vec<Table> = curves
        .map(|(curve, domain)| curve.table(domain.expect("every curve has a lookup")))
        .collect();
    for node in &mut lowered.nodes {
        if let Op::Table { shift, range, .. } = &mut node.op {
            *range = (*shift > 0).then(|| range_table(&mut tables, *shift));
        }
    }
    let mut ports = [lowered.inputs, lowered.outputs].concat();
    let inputs = lowered
        .nodes
        .iter()
        .filter(|n| matches!(n.op, Op::Input))
        .count();
    let nodes = layout::assign(lowered.nodes, &mut ports).map_err(|e| Error::Layout {
        node: e.node,
        cells: e.cells,
    })?;
    let outputs = ports.split_off(inputs);
    Ok(Model {
        graph: Graph {
            nodes,
            tables,
            biases: lowered.biases.iter().map(Vec::len).collect(),
            weights: lowered.weights.len(),
            inputs: ports,
            outputs,
        },
        weights: lowered.weights,
        biases: lowered.biases,
    })
}

/// The range table `0 .. 2^shift`, added when it is the first.
fn range_table(tables: &mut Vec<Table>, shift: u32) -> TableId {
    let table = Table {
        function: Function::Range,
        start: 0,
        len: 1 << shift,
    };
    let known = tables.iter().position(|t| *t == table);
    TableId(known.unwrap_or_else(|| {
        tables.push(table);
        tables.len() - 1
    }))
}

fn rows(interval: Interval) -> u64 {
    interval.hi.abs_diff(interval.lo).saturating_add(1)
}

/// The arguments that a lookup's table covers.
fn domain(
    lookup: &Lookup,
    name: &str,
    limit: u64,
    warnings: &mut Vec<String>,
) -> Result<Interval, Error> {
    let whole = lookup.argument;
    if rows(whole) <= limit {
        return Ok(whole);
    }
    let widened = |factor: f64| {
        let range = lookup.calibrated?;
        let lo = ((range.lo.min(0.0) * factor).floor() as i64).clamp(whole.lo, whole.hi);
        let hi = ((range.hi.max(0.0) * factor).ceil() as i64).clamp(lo, whole.hi);
        Some(Interval { lo, hi })
    };
    let fitting = [4.0, 2.0, 1.0]
        .into_iter()
        .filter_map(widened)
        .find(|&i| rows(i) <= limit);
    let domain = fitting.ok_or_else(|| Error::Table {
        node: name.into(),
        rows: rows(widened(1.0).unwrap_or(whole)),
        limit,
    })?;
    warnings.push(format!(
        "node `{name}`: its argument may lie in {}..={}, its table covers {}..={} (calibrated \
         range {:.0}..{:.0}): an input that leaves it cannot be proven",
        whole.lo,
        whole.hi,
        domain.lo,
        domain.hi,
        lookup.calibrated.map_or(0.0, |r| r.lo),
        lookup.calibrated.map_or(0.0, |r| r.hi),
    ));
    Ok(domain)
}
