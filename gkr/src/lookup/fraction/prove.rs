//! The prover of a tree of fractions.

use super::cube::{CHUNK_VARS, Cube, Message, Node, Register, Sums};
use super::lowest::Lowest;
use super::tree::{Layer, Made, Tree};
use super::upper::Upper;
use super::weights::{LANE_VARS, Weights};
use super::{FractionClaim, LayerClaim};
use zkstrata_mle::packed::unpack;
use zkstrata_mle::{E, Field, PackedE, Point, PrimeCharacteristicRing, eq_table};
use zkstrata_pcs::ProverTape;

/// Proves the tree, as [`super::verify`] reads it.
///
/// # Panics
/// If a challenge is zero, which happens with probability `n^2 / |E|`.
pub(crate) fn prove(tree: Tree, tape: &mut ProverTape) -> FractionClaim<E> {
    let Tree {
        numerators,
        denominators,
        mut made,
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
    while let Some(layer) = layers.pop() {
        claim = prove_layer(layer, made.as_mut(), claim, tape);
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
    made: Option<&mut Made>,
    LayerClaim { point: r, p, q }: LayerClaim<E>,
    tape: &mut ProverTape,
) -> LayerClaim<E> {
    let lambda = tape.sample();
    let mut rounds = Rounds {
        sum: p + q * lambda,
        point: Vec::with_capacity(r.len() + 1),
        r: &r,
        tape,
    };
    let node = match (layer, made) {
        (Layer::Few(nodes), _) => {
            let cube = Cube::few(nodes, lambda);
            rounds.stored(cube, |sums| sums.message(E::ZERO))
        }
        (Layer::Chunks { parts, full, dead }, _) => {
            let cube = Cube::stored(parts, full, dead, lambda);
            rounds.stored(cube, |sums| sums.message(dead.g(lambda)))
        }
        (
            Layer::Made(live),
            Some(Made {
                source,
                live: leaves,
            }),
        ) => {
            let upper = Upper::new(&**source, leaves);
            let mut weights = rounds.weights(CHUNK_VARS);
            let full = 1 << (r.len() - CHUNK_VARS - LANE_VARS);
            let s = rounds.round(&Upper::message(
                &upper.sums(&live, lambda, &weights),
                lambda,
            ));
            weights.drop_last();
            let (cube, sums) = upper.bound(&live, full, (lambda, s), &weights);
            rounds.cube(cube, sums, weights, |sums| Upper::message(sums, lambda))
        }
        (Layer::Leaves, Some(Made { source, live })) => {
            let lowest = Lowest::new(&mut **source, live, lambda);
            let mut weights = rounds.weights(CHUNK_VARS);
            let full = 1 << (r.len() - CHUNK_VARS - LANE_VARS);
            let s = rounds.round(&lowest.message(&lowest.sums(&weights)));
            weights.drop_last();
            let (cube, sums) = lowest.bound(full, s, &weights);
            let last = rounds.cube(cube, sums, weights, |sums| lowest.message(sums));
            lowest.node(last)
        }
        (Layer::Made(_) | Layer::Leaves, None) => unreachable!("made of leaves"),
    };
    let [p0, d, q0, q1] = rounds.lanes(&node);
    let p1 = d - lambda * q1;
    let Rounds {
        mut point, tape, ..
    } = rounds;
    point.reverse();
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
    /// The challenges, in the order in which they are drawn: that of the last variable first.
    point: Vec<E>,
    /// The point of the claim.
    r: &'a [E],
    tape: &'a mut ProverTape,
}

impl Rounds<'_> {
    /// The coordinates of the claim's point that are not bound.
    fn left(&self) -> &[E] {
        &self.r[..self.r.len() - self.point.len()]
    }

    /// The weights of a cube of chunks of `2^registers` registers.
    fn weights(&self, registers: usize) -> Weights {
        Weights::new(self.left(), registers)
    }

    /// Sends a round's message; returns its challenge.
    fn round(&mut self, message: &Message) -> E {
        let r = self.left()[self.left().len() - 1];
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

    /// The rounds of a cube that is stored, to the lanes'.
    fn stored(&mut self, cube: Cube<4>, message: impl Fn(&Sums) -> Message) -> Node {
        let weights = self.weights(cube.vars());
        let sums = cube.sums(&weights);
        self.cube(cube, sums, weights, message)
    }

    /// The rounds of a cube to the lanes', of which the first one's sums and weights are given.
    fn cube<const N: usize>(
        &mut self,
        mut cube: Cube<N>,
        mut sums: Sums,
        mut weights: Weights,
        message: impl Fn(&Sums) -> Message,
    ) -> [PackedE; N]
    where
        [PackedE; N]: Register,
    {
        loop {
            while cube.vars() > 0 {
                let s = self.round(&message(&sums));
                weights.drop_last();
                sums = cube.bind(s, &weights);
            }
            if let Some(last) = cube.last() {
                return last;
            }
            weights = self.weights(cube.vars());
            sums = cube.sums(&weights);
        }
    }

    /// The rounds of the lanes.
    fn lanes(&mut self, node: &Node) -> [E; 4] {
        let mut tables = node.map(|table| unpack(&[table]));
        while tables[0].len() > 1 {
            let half = tables[0].len() / 2;
            let (_, others) = self.left().split_last().expect("a variable a round");
            let weights = eq_table(others, half, E::ONE);
            let mut message = Message {
                at_zero: E::ZERO,
                leading: E::ZERO,
            };
            for (i, &weight) in weights.iter().enumerate() {
                let g = |[p0, d, q0, q1]: [E; 4]| p0 * q1 + q0 * d;
                message.at_zero += weight * g([0, 1, 2, 3].map(|t| tables[t][2 * i]));
                let slope = [0, 1, 2, 3].map(|t| tables[t][2 * i + 1] - tables[t][2 * i]);
                message.leading += weight * g(slope);
            }
            let s = self.round(&message);
            for table in &mut tables {
                let pairs = table.as_chunks::<2>().0.iter();
                *table = pairs.map(|&[low, high]| low + s * (high - low)).collect();
            }
        }
        tables.map(|table| table[0])
    }
}
