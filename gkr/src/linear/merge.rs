//! Merging: many claims on one virtual tensor become one.
//!
//! Without it the claims on a tensor are the paths that lead to it, which a chain of sums that
//! read each other doubles at every node. For claims `Y(r_j) = c_j`, drawn `gamma`:
//!
//! ```text
//! sum_j gamma^j c_j = sum_x (sum_j gamma^j eq(r_j, x)) Y(x)
//! ```
//!
//! One sumcheck of degree 2 over all variables of `Y` ends in `Y(s)`. `Y` is the multilinear
//! polynomial that its operator's formula defines, padding included, so the sum needs no mask.
//! Soundness error: `(claims - 1 + 2 * vars) / |E|`.

use zkstrata_mle::{E, Point, eq_eval};
use zkstrata_model_ir::int::{Graph, Op, TensorId};

/// Most claims on a virtual tensor that are moved on one by one.
const MOST_CLAIMS: usize = 8;

/// Claims on one tensor.
#[derive(Clone, Debug)]
pub(crate) struct MergeInstance {
    /// `Y`.
    pub(crate) tensor: TensorId,
    /// Every `r_j` with `gamma^j`.
    pub(crate) points: Vec<(Point, E)>,
}

impl MergeInstance {
    /// Variables of `Y`.
    pub(crate) fn vars(&self) -> usize {
        self.points.first().map_or(0, |(point, _)| point.len())
    }

    /// `sum_j gamma^j eq(r_j, s)`
    pub(crate) fn coefficient_at(&self, s: &[E]) -> Option<E> {
        let fits = self.points.iter().all(|(r, _)| r.len() == s.len());
        let term = |(r, power): &(Point, E)| eq_eval(r, s) * *power;
        fits.then(|| self.points.iter().map(term).sum())
    }
}

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
