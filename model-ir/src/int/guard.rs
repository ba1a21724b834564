//! Inputs that nobody but the prover sees are looked up: that is how a verifier knows that their cells lie
//! in their interval, which everything behind them takes for granted.
//!
//! The guard of an input is a table node of its own, `Y = T[X]` with the identity on the input's
//! interval. Nothing reads it.

use super::graph::{Graph, Interval, MAX_NODES, Node, Port, TensorId};
use super::op::Op;
use super::table::{Function, Table, TableId};
use super::validate::MAX_TABLE;

/// Why an input cannot have a guard.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GuardError {
    /// Its interval is longer than a table.
    #[error(
        "input `{port}` has cells in {interval}, more values than the {MAX_TABLE} of a lookup table: a \
         hidden input is one whose cells are looked up"
    )]
    Interval {
        /// The input.
        port: String,
        /// Its interval.
        interval: Interval,
    },
    /// The model has as many nodes as it may have.
    #[error("a hidden input takes a node more than the {MAX_NODES} that a model may have")]
    Nodes,
}

impl Graph {
    /// The node that shows that the cells of an input lie in its interval, if there is one.
    pub fn guard(&self, port: &Port) -> Option<TensorId> {
        let interval = self.nodes.get(port.tensor.0)?.interval;
        let guards = |node: &Node| {
            let Op::Table {
                table,
                shift: 0,
                offset: 0,
                ..
            } = node.op
            else {
                return false;
            };
            let table = self.tables.get(table.0);
            node.inputs == [port.tensor] && table.is_some_and(|t| t.is_identity_on(interval))
        };
        self.nodes.iter().position(guards).map(TensorId)
    }

    /// Gives an input a guard if it has none.
    ///
    /// # Errors
    /// Its interval is longer than a table, or the graph has too many nodes.
    pub fn add_guard(&mut self, port: usize) -> Result<(), GuardError> {
        let Some(port) = self.inputs.get(port) else {
            return Ok(());
        };
        if self.guard(port).is_some() {
            return Ok(());
        }
        if self.nodes.len() >= MAX_NODES || self.tables.len() >= MAX_NODES {
            return Err(GuardError::Nodes);
        }
        let node = self.node(port.tensor);
        let interval = node.interval;
        let len = interval.hi.checked_sub(interval.lo);
        let len = len.and_then(|len| usize::try_from(len).ok());
        let len = len.and_then(|len| len.checked_add(1));
        let Some(len) = len.filter(|&len| len <= MAX_TABLE) else {
            return Err(GuardError::Interval {
                port: port.name.clone(),
                interval,
            });
        };
        let table = Table {
            function: Function::Clamp {
                lo: interval.lo,
                hi: interval.hi,
            },
            start: interval.lo,
            len,
        };
        let known = self.tables.iter().position(|other| *other == table);
        let table_id = TableId(known.unwrap_or(self.tables.len()));
        let guard = Node {
            name: format!("{}: range", port.name),
            op: Op::Table {
                table: table_id,
                shift: 0,
                ranges: vec![],
                offset: 0,
            },
            inputs: vec![port.tensor],
            axes: node.axes.clone(),
            interval,
        };
        if known.is_none() {
            self.tables.push(table);
        }
        self.nodes.push(guard);
        Ok(())
    }
}
