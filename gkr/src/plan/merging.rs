//! Which tensors' claims are merged, and in which order: those that many claims lead to.

use zkstrata_model_ir::int::{Graph, Op, TensorId};

/// Most claims on a virtual tensor that are moved on one by one.
const MOST_CLAIMS: usize = 8;

/// How many claims reach a tensor, and how many levels of merged tensors they came through.
#[derive(Clone, Copy, Debug, Default)]
struct Reach {
    claims: usize,
    level: usize,
}

/// For every node whose claims are merged, its level: the most merged tensors on a path of virtual
/// nodes to it. A claim that comes out of one level can only reach later ones.
pub(crate) fn levels(graph: &Graph) -> Vec<Option<usize>> {
    let mut reached = vec![Reach::default(); graph.nodes.len()];
    let root = Reach {
        claims: 1,
        level: 0,
    };
    for port in &graph.outputs {
        reach(&mut reached, port.tensor, root);
    }
    for node in graph
        .nodes
        .iter()
        .filter(|n| matches!(n.op, Op::Table { .. }))
    {
        for &input in &node.inputs {
            reach(&mut reached, input, root);
        }
    }
    let mut levels = vec![None; graph.nodes.len()];
    for ((index, node), slot) in graph.nodes.iter().enumerate().zip(&mut levels).rev() {
        if matches!(node.op, Op::Table { .. } | Op::Input | Op::Constant { .. }) {
            continue;
        }
        let mut from = reached.get(index).copied().unwrap_or_default();
        if from.claims > MOST_CLAIMS {
            *slot = Some(from.level);
            from = Reach {
                claims: 1,
                level: from.level.saturating_add(1),
            };
        }
        for &input in &node.inputs {
            reach(&mut reached, input, from);
        }
    }
    levels
}

fn reach(reached: &mut [Reach], tensor: TensorId, from: Reach) {
    if let Some(to) = reached.get_mut(tensor.0) {
        to.claims = to.claims.saturating_add(from.claims);
        to.level = to.level.max(from.level);
    }
}
