//! The prover of a tree of fractions.

use super::leaves::LeafNodes;
use super::nodes::{Message, Node, Nodes};
use super::tree::{Layer, Leaves};
use super::weights::{CHUNK, Weights};
use super::{CLEAR_VARS, FractionClaim, LayerClaim};
use zkstrata_mle::packed::{LANES, unpack};
use zkstrata_mle::{E, Field, Point, PrimeCharacteristicRing, bind, eq_table};
use zkstrata_pcs::ProverTape;

/// Coordinates of a register's lanes. A node of every layer below the clear one fills a register.
const LANE_VARS: usize = LANES.ilog2() as usize;
const _: () = assert!(LANE_VARS <= CLEAR_VARS);

/// Proves a tree over `2^num_vars` leaves, as [`super::verify`] reads it.
///
/// # Panics
/// If the leaves exceed the cube, or a challenge is zero, which happens with probability
/// `n^2 / |E|`.
pub(crate) fn prove(num_vars: usize, leaves: Leaves, tape: &mut ProverTape) -> FractionClaim<E> {
    assert_eq!(leaves.p.len(), leaves.q.len(), "each leaf is a fraction");
    assert!(
        leaves.p.len() <= 1 << num_vars,
        "the leaves exceed the cube"
    );
    let clear = num_vars.min(CLEAR_VARS);
    let mut layers = vec![];
    let (numerators, denominators) = if num_vars == clear {
        leaves.fractions(num_vars)
    } else {
        let mut layer = leaves.layer(num_vars);
        drop(leaves);
        for vars in (clear..num_vars - 1).rev() {
            let parents = layer.parents(1 << (vars - LANE_VARS));
            layers.push(layer);
            layer = parents;
        }
        let fractions = layer.all_fractions(1 << (clear - LANE_VARS));
        layers.push(layer);
        fractions
    };
    tape.send("fraction numerators", &numerators);
    tape.send("fraction denominators", &denominators);
    let point = tape.sample_vec(clear);
    let weights = eq_table(&point, 1 << clear, E::ONE);
    let evaluate = |values: &[E]| values.iter().zip(&weights).map(|(&v, &w)| v * w).sum();
    let mut claim = LayerClaim {
        p: evaluate(&numerators),
        q: evaluate(&denominators),
        point,
    };
    while let Some(nodes) = layers.pop() {
        claim = prove_layer(nodes, claim, tape);
    }
    let mut fractions = numerators.into_iter().zip(denominators);
    let first = fractions.next().expect("at least one fraction");
    let (root_p, root_q) = fractions.fold(first, |(p0, q0), (p1, q1)| (p0 * q1 + p1 * q0, q0 * q1));
    FractionClaim {
        root_p,
        root_q,
        point: Point::new(claim.point),
        p: claim.p,
        q: claim.q,
    }
}

/// Takes claims on one layer to claims on its children.
fn prove_layer(
    layer: Layer,
    LayerClaim { point: r, p, q }: LayerClaim<E>,
    tape: &mut ProverTape,
) -> LayerClaim<E> {
    let lambda = tape.sample();
    let mut rounds = Rounds {
        sum: p + q * lambda,
        point: Vec::with_capacity(r.len() + 1),
        tape,
    };
    let registers = r.len() - LANE_VARS;
    let mut nodes = match layer {
        Layer::Leaves(live) => {
            Running::Leaves(LeafNodes::new(live, (1 << registers) / CHUNK, lambda))
        }
        Layer::Inner(live) => Running::Inner(Nodes::new(live, 1 << registers, lambda)),
    };
    let node = if registers == 0 {
        nodes.last(None)
    } else {
        let mut weights = Weights::new(&r[1..]);
        let mut s = rounds.round(r[0], &nodes.message(&weights));
        for &r in &r[1..registers] {
            weights.drop_first();
            let message;
            (nodes, message) = nodes.bind(s, &weights);
            s = rounds.round(r, &message);
        }
        nodes.last(Some(s))
    };
    let [p0, d, q0, q1] = rounds.lanes(&r[registers..], &node);
    let p1 = d - lambda * q1;
    let Rounds {
        mut point, tape, ..
    } = rounds;
    tape.send("fraction children", &[p0, p1, q0, q1]);
    let s = tape.sample();
    point.push(s);
    LayerClaim {
        p: p0 + (p1 - p0) * s,
        q: q0 + (q1 - q0) * s,
        point,
    }
}

/// A layer whose sumcheck is running.
enum Running {
    Leaves(LeafNodes),
    Inner(Nodes),
}

impl Running {
    fn message(&self, weights: &Weights) -> Message {
        match self {
            Self::Leaves(nodes) => nodes.message(weights),
            Self::Inner(nodes) => nodes.message(weights),
        }
    }

    fn bind(self, s: E, weights: &Weights) -> (Self, Message) {
        match self {
            Self::Leaves(nodes) if nodes.is_last() => {
                let nodes = nodes.last(s);
                let message = nodes.message(weights);
                (Self::Inner(nodes), message)
            }
            Self::Leaves(mut nodes) => {
                let message = nodes.bind(s, weights);
                (Self::Leaves(nodes), message)
            }
            Self::Inner(mut nodes) => {
                let message = nodes.bind(s, weights);
                (Self::Inner(nodes), message)
            }
        }
    }

    fn last(self, s: Option<E>) -> Node {
        match self {
            Self::Leaves(_) => unreachable!("chunks are taken apart before their registers"),
            Self::Inner(nodes) => nodes.last(s),
        }
    }
}

/// The transcript of a layer's sumcheck.
struct Rounds<'a> {
    sum: E,
    point: Vec<E>,
    tape: &'a mut ProverTape,
}

impl Rounds<'_> {
    /// Sends a round's message; returns its challenge.
    fn round(&mut self, r: E, message: &Message) -> E {
        let inverse = r
            .try_inverse()
            .expect("a challenge is zero with probability 2^-128");
        let slope = (self.sum - message.at_zero) * inverse;
        self.tape.send("fraction round", &[slope, message.leading]);
        let s = self.tape.sample();
        self.sum += slope * (s - r) + message.leading * (s * (s - E::ONE));
        self.point.push(s);
        s
    }

    /// The rounds of the lanes.
    fn lanes(&mut self, r: &[E], node: &Node) -> [E; 4] {
        let mut tables = node.map(|table| unpack(&[table]));
        for (j, &r_j) in r.iter().enumerate() {
            let half = tables[0].len() / 2;
            let weights = eq_table(&r[j + 1..], half, E::ONE);
            let mut message = Message {
                at_zero: E::ZERO,
                leading: E::ZERO,
            };
            for (i, &weight) in weights.iter().enumerate() {
                let g = |[p0, d, q0, q1]: [E; 4]| p0 * q1 + q0 * d;
                message.at_zero += weight * g([0, 1, 2, 3].map(|t| tables[t][i]));
                let slope = [0, 1, 2, 3].map(|t| tables[t][half + i] - tables[t][i]);
                message.leading += weight * g(slope);
            }
            let s = self.round(r_j, &message);
            for table in &mut tables {
                bind(table, s);
            }
        }
        tables.map(|table| table[0])
    }
}
