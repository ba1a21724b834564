//! What is joined and then quantised is quantised and then joined: constants become integers, and
//! integers of the model's own are read from a table instead of being brought to a common unit.

use super::calibration::Ranges;
use super::facts::{consumers, outputs};
use super::prepare::{copied, rewritten};
use super::{Error, Profile};
use crate::float::{Graph, Node, Op, ValueId};

/// The graph with its operands quantised first, if there are joined ones that are quantised.
pub(super) fn quantised(graph: &Graph, _: &Ranges, _: Profile) -> Result<Option<Graph>, Error> {
    let nodes = graph.nodes();
    let (consumers, outputs) = (consumers(graph), outputs(graph));
    // Only where nothing else reads what is joined.
    let joint = |node: &Node| -> Option<usize> {
        let source = node.inputs.first()?.0;
        let joins = matches!(nodes[source].op, Op::Concat { .. });
        let alone = consumers[source].len() == 1 && !outputs[source];
        (node.op.quantises() && joins && alone).then_some(source)
    };
    if nodes.iter().all(|node| joint(node).is_none()) {
        return Ok(None);
    }
    // The operands of what is joined, as values of the new graph.
    let known = std::cell::RefCell::new(vec![Vec::<ValueId>::new(); nodes.len()]);
    rewritten(graph, |b, v, inputs| {
        let node = &nodes[v];
        known.borrow_mut()[v] = inputs.to_vec();
        let Some(source) = joint(node) else {
            return copied(b, node, inputs);
        };
        let parts = known.borrow()[source].clone();
        let mut quantised = Vec::with_capacity(parts.len());
        for part in parts {
            quantised.push(b.add(&node.name, node.op.clone(), &[part])?);
        }
        b.add(&node.name, nodes[source].op.clone(), &quantised)
    })
    .map(Some)
}
