//! The prover of a tree of fractions.

use super::leaves::Source;
use super::lowest::{LeafNodes, Lowest};
use super::nodes::{Chunks, Few, Message, Node, Nodes};
use super::tree::{LANE_VARS, Layer, Tree};
use super::upper::Upper;
use super::weights::{CHUNK, Weights};
use super::{FractionClaim, LayerClaim};
use zkstrata_mle::packed::unpack;
use zkstrata_mle::{E, Field, Point, PrimeCharacteristicRing, bind, eq_table};
use zkstrata_pcs::ProverTape;

/// Proves the tree over these leaves, as [`super::verify`] reads it.
///
/// # Panics
/// If a challenge is zero, which happens with probability `n^2 / |E|`.
pub(crate) fn prove(
    tree: Tree,
    leaves: &mut dyn Source,
    tape: &mut ProverTape,
) -> FractionClaim<E> {
    let Tree {
        numerators,
        denominators,
        live,
        mut layers,
    } = tree;
    tape.send("fraction numerators", &numerators);
    tape.send("fraction denominators", &denominators);
    let point = tape.sample_vec(numerators.len().ilog2() as usize);
    let weights = eq_table(&point, numerators.len(), E::ONE);
    let evaluate = |values: &[E]| values.iter().zip(&weights).map(|(&v, &w)| v * w).sum();
    let mut claim = LayerClaim {
        p: evaluate(&numerators),
        q: evaluate(&denominators),
        point,
    };
    while let Some(nodes) = layers.pop() {
        claim = prove_layer(nodes, leaves, &live, claim, tape);
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
    leaves: &mut dyn Source,
    live: &[bool],
    LayerClaim { point: r, p, q }: LayerClaim<E>,
    tape: &mut ProverTape,
) -> LayerClaim<E> {
    let lambda = tape.sample();
    let registers = r.len() - LANE_VARS;
    let mut rounds = Rounds {
        sum: p + q * lambda,
        point: Vec::with_capacity(r.len() + 1),
        r: &r,
        tape,
    };
    let mut weights = Weights::new(&r[1..]);
    let chunks = (1 << registers) / CHUNK;
    let mut nodes = match layer {
        Layer::Few(nodes) => Few::new(nodes, lambda),
        Layer::Chunks(mut nodes, rest) => {
            let nodes = Nodes::new(&mut nodes, chunks, lambda, rest);
            rounds.chunks(nodes, &mut weights)
        }
        Layer::Made(nodes) => {
            let upper = Upper::new(leaves, live, &nodes);
            let s = rounds.round(&upper.message(chunks, lambda, &weights));
            weights.drop_first();
            let mut nodes = upper.bound(chunks, lambda, s);
            let nodes = Nodes::merged(&mut nodes, chunks / 2, lambda, leaves.rest().square());
            rounds.chunks(nodes, &mut weights)
        }
        Layer::Leaves => {
            let rest = leaves.rest();
            let lowest = Lowest::new(leaves, live, chunks, lambda);
            let s = rounds.round(&lowest.message(&weights));
            weights.drop_first();
            let mut nodes = lowest.bound(s);
            let nodes = LeafNodes::new(&mut nodes, chunks / 2, lambda, rest);
            rounds.chunks(nodes, &mut weights)
        }
    };
    while rounds.point.len() + 1 < registers {
        let s = rounds.round(&nodes.message(&weights));
        weights.drop_first();
        nodes.bind(s);
    }
    let s = rounds.round(&nodes.message(&weights));
    let node = nodes.last(s);
    let [p0, d, q0, q1] = rounds.lanes(&node);
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

/// The transcript of a layer's sumcheck.
struct Rounds<'a> {
    sum: E,
    point: Vec<E>,
    /// The point of the claim.
    r: &'a [E],
    tape: &'a mut ProverTape,
}

impl Rounds<'_> {
    /// Sends a round's message; returns its challenge.
    fn round(&mut self, message: &Message) -> E {
        let r = self.r[self.point.len()];
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

    /// The rounds of the chunks' index: the nodes of one chunk.
    fn chunks(&mut self, mut chunks: impl Chunks, weights: &mut Weights) -> Few {
        if chunks.full() == 1 {
            return chunks.few();
        }
        let mut message = chunks.message(weights);
        while chunks.full() > 2 {
            let s = self.round(&message);
            weights.drop_first();
            message = chunks.bind(s, weights);
        }
        let s = self.round(&message);
        weights.drop_first();
        chunks.last(s)
    }

    /// The rounds of the lanes.
    fn lanes(&mut self, node: &Node) -> [E; 4] {
        let mut tables = node.map(|table| unpack(&[table]));
        while tables[0].len() > 1 {
            let half = tables[0].len() / 2;
            let weights = eq_table(&self.r[self.point.len() + 1..], half, E::ONE);
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
            let s = self.round(&message);
            for table in &mut tables {
                bind(table, s);
            }
        }
        tables.map(|table| table[0])
    }
}
