//! Values whose small cells decide: powers before a logarithm.
//!
//! A logarithm, a root or a quotient of a sum of squares asks for the same relative precision in
//! its quiet cells as in its loud ones, which may be `10^10` times as large: no number of steps of
//! one table has both. The squares, their sums and linear maps are exact in wide integers; so the
//! layer that is squared is rounded to [`policy::DEEP_BITS`] bits in two digits, the maps read
//! accumulators, and the function at the end is bent into tables of its own for every part of its
//! range.

use super::calibration::Range;
use super::facts::Facts;
use super::forms::Form;
use super::policy;
use crate::float::{Graph, Node, Op};

/// What steep functions of values of unlike sizes follow from, up to inputs and tables.
pub(super) fn find(graph: &Graph, ranges: &[Range]) -> Vec<bool> {
    let nodes = graph.nodes();
    let mut deep = vec![false; nodes.len()];
    let mut pending: Vec<usize> = vec![];
    for node in nodes {
        let Some(f) = node.op.activation().filter(|f| f.steep().is_some()) else {
            continue;
        };
        let u = node.inputs[0].0;
        let lo = ranges[u].lo.max(f.domain().0);
        if lo > 0.0 && ranges[u].hi > policy::STEEP_RATIO * lo {
            pending.push(u);
        }
    }
    while let Some(v) = pending.pop() {
        if !std::mem::replace(&mut deep[v], true) && follows(&nodes[v]) {
            pending.extend(nodes[v].inputs.iter().map(|u| u.0));
        }
    }
    deep
}

/// Whether the operands of a deep value are deep as well.
fn follows(node: &Node) -> bool {
    match &node.op {
        Op::Dense { .. }
        | Op::Conv { .. }
        | Op::Affine { .. }
        | Op::Add
        | Op::Map(_)
        | Op::Reshape { .. }
        | Op::Transpose { .. }
        | Op::Take { .. } => true,
        Op::Contract(_) => node.inputs[0] == node.inputs[1],
        Op::Input { .. }
        | Op::Constant { .. }
        | Op::Activation(_)
        | Op::Pool { .. }
        | Op::Sub
        | Op::Concat { .. }
        | Op::Pad { .. }
        | Op::Max
        | Op::Maximum { .. }
        | Op::Missing(_) => false,
    }
}

/// Bits of a deep value of this form, which is made small only where it is squared or given.
pub(super) fn bits(facts: &Facts, form: Form, v: usize) -> u32 {
    match form {
        _ if !facts.deep[v] => 0,
        _ if facts.op(v).is_input() => policy::DEEP_GIVEN_BITS,
        Form::Linear => policy::DEEP_BITS,
        Form::Small | Form::Exact(_) | Form::Raw => 0,
    }
}
