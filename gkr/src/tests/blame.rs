//! A prover that lies once and then makes every later message fit, so that its lie ends where its
//! [`Blame`] says: in one check of the verifier, or in claims on committed columns.

use super::leaves::{self, Leaves};
use crate::error::VerifyError;
use crate::linear::{Instance, InstanceEnd, LinearProver, Party, Wanted};
use crate::lookup::LeafEquation;
use crate::lookup::fraction::{self, FractionClaim};
use crate::plan::{Block, Plan};
use crate::tensor::Tensor;
use crate::witness::Evidence;
use std::sync::{Mutex, MutexGuard};
use zkstrata_mle::{E, F, Field, PrimeCharacteristicRing};
use zkstrata_model_ir::int::TensorId;
use zkstrata_pcs::ProverTape;
use zkstrata_pcs::sumcheck::Bound;

/// A tree of fractions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tree {
    Leaves,
    Tables,
}

/// What of a tree is false.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum False {
    /// The layer in the clear, of which those below know nothing.
    Root,
    /// The numerator of a leaf.
    Numerator,
    /// The denominator of a leaf.
    Denominator,
}

/// How far a prover goes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Blame {
    /// Picks what takes the blame where there is a choice.
    pub(super) seed: usize,
    /// Makes the sum of this tree equal that of the other one.
    pub(super) tree: Option<(Tree, False)>,
    /// Makes the leaf equation hold by a false value.
    pub(super) values: bool,
    /// Two values that are off so that the leaf equation holds.
    pub(super) pair: Option<(usize, usize)>,
    /// The operand of this number is off by one.
    pub(super) operand: Option<usize>,
    /// Makes the end of every sumcheck fit by a false end value.
    pub(super) factors: bool,
}

impl Blame {
    /// The blame for a false cell goes through all of the protocol.
    pub(super) fn all(seed: usize) -> Self {
        Self {
            seed,
            tree: Some((Tree::Leaves, False::Denominator)),
            values: true,
            factors: true,
            ..Self::default()
        }
    }
}

/// A prover that lies about what this evidence gives.
pub(super) struct Liar<'a, W> {
    evidence: &'a W,
    blame: Blame,
    state: Mutex<State>,
}

struct State {
    seed: usize,
    /// Alpha and beta.
    challenges: (E, E),
    log: Vec<String>,
}

impl State {
    /// Below `n`.
    fn next(&mut self, n: usize) -> usize {
        self.seed = self
            .seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.seed >> 33) % n.max(1)
    }
}

impl<'a, W: Evidence> Liar<'a, W> {
    pub(super) fn new(evidence: &'a W, blame: Blame) -> Self {
        let state = State {
            seed: blame.seed,
            challenges: (E::ZERO, E::ZERO),
            log: vec![],
        };
        Self {
            evidence,
            blame,
            state: Mutex::new(state),
        }
    }

    /// What it lied about, in order.
    pub(super) fn lies(&self) -> Vec<String> {
        self.state().log.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic before")
    }
}

/// The sum of all fractions.
fn sum(leaves: &Leaves) -> E {
    let fractions = leaves.p.iter().zip(&leaves.q);
    fractions.map(|(&p, &q)| p * q.inverse()).sum()
}

/// Makes the sum `rest` more by another denominator. A fraction that is to be zero has none.
fn add_to_denominator(leaves: &mut Leaves, rest: E) {
    let mut fractions = leaves.p.iter().zip(&mut leaves.q);
    let other = fractions.find_map(|(&p, q)| {
        let fraction = p * q.inverse() + rest;
        (p != E::ZERO && fraction != E::ZERO).then(|| (q, p * fraction.inverse()))
    });
    let (q, other) = other.expect("two fractions that are not zero");
    *q = other;
}

impl<W: Evidence> Evidence for Liar<'_, W> {
    type Cells = W::Cells;

    fn tensors(&self) -> &[Tensor<W::Cells>] {
        self.evidence.tensors()
    }

    fn limbs(&self, node: usize) -> &[Tensor<W::Cells>] {
        self.evidence.limbs(node)
    }

    fn committed_limbs(&self, node: usize) -> &[Tensor<W::Cells>] {
        self.evidence.committed_limbs(node)
    }

    fn own_limbs(&self, node: usize) -> &[Tensor<W::Cells>] {
        self.evidence.own_limbs(node)
    }

    fn multiplicities(&self) -> &[F] {
        self.evidence.multiplicities()
    }

    fn trees(
        &self,
        plan: &Plan,
        challenges: (E, E),
        tape: &mut ProverTape,
    ) -> (FractionClaim<E>, FractionClaim<E>) {
        self.state().challenges = challenges;
        let mut leaves = [
            leaves::of_lookups(plan, self, challenges),
            leaves::of_tables(plan, self, challenges),
        ];
        // What is added to the sums of the layers in the clear.
        let mut roots = [E::ZERO; 2];
        if let Some((tree, lie)) = self.blame.tree {
            let k = tree as usize;
            let dead = leaves[0].q.len() - plan.lookups();
            let sums = [sum(&leaves[0]) - E::from_usize(dead), sum(&leaves[1])];
            let rest = sums[1 - k] - sums[k];
            if rest != E::ZERO {
                self.state().log.push(format!("{tree:?} {lie:?}"));
                match lie {
                    False::Root => roots[k] = rest,
                    False::Numerator => leaves[k].p[0] += rest * leaves[k].q[0],
                    False::Denominator => add_to_denominator(&mut leaves[k], rest),
                }
            }
        }
        let vars = [plan.leaf_vars, plan.table_vars];
        let mut prove = |k: usize| {
            let mut tree = fraction::Tree::of_leaves(vars[k], &leaves[k].stored());
            tree.numerators[0] += roots[k] * tree.denominators[0];
            fraction::prove(tree, tape)
        };
        (prove(0), prove(1))
    }

    fn values(&self, plan: &Plan, leaves: &FractionClaim<E>) -> Vec<Vec<E>> {
        let mut values = self.evidence.values(plan, leaves);
        let mut state = self.state();
        let (alpha, beta) = state.challenges;
        let equation = |block: &Block| {
            let axes = plan.axes(TensorId(block.node));
            LeafEquation::of(block, &axes, &leaves.point, alpha, beta).expect("a leaf point")
        };
        let equations: Vec<LeafEquation> = plan.blocks.iter().map(equation).collect();
        let all = values.iter().enumerate();
        let all = all.flat_map(|(b, v)| (0..v.len()).map(move |k| (b, k)));
        let places: Vec<(usize, usize)> = all
            .filter(|&(b, k)| equations[b].coefs[k] != E::ZERO)
            .collect();
        let mut add = |(b, k): (usize, usize), rest: E| {
            values[b][k] += rest * equations[b].coefs[k].inverse();
        };
        if let Some((i, j)) = self.blame.pair {
            let (i, j) = (places[i % places.len()], places[j % places.len()]);
            if i != j {
                add(i, E::ONE);
                add(j, -E::ONE);
                state.log.push(format!("values {i:?} {j:?}"));
            }
        }
        let terms = equations.iter().zip(&values).map(|(equation, values)| {
            let terms = equation.coefs.iter().zip(values);
            equation.constant + terms.map(|(&c, &v)| c * v).sum::<E>()
        });
        let rest = leaves.q - E::ONE - terms.sum::<E>();
        if self.blame.values && rest != E::ZERO {
            let (b, k) = places[state.next(places.len())];
            values[b][k] += rest * equations[b].coefs[k].inverse();
            state.log.push(format!("value {b}.{k}"));
        }
        values
    }

    fn party<'a>(&'a self, prover: LinearProver<'a, W::Cells>) -> impl Party<V = E> {
        LyingParty {
            honest: prover,
            liar: self,
            operands: 0,
        }
    }
}

/// The liar's end of the linear part.
struct LyingParty<'a, W: Evidence> {
    honest: LinearProver<'a, W::Cells>,
    liar: &'a Liar<'a, W>,
    /// Number of operands that were sent.
    operands: usize,
}

impl<W: Evidence> Party for LyingParty<'_, W> {
    type V = E;

    fn constant(&mut self, value: E) -> E {
        value
    }

    fn computed(&mut self, value: impl FnOnce() -> Option<E>) -> Option<E> {
        value()
    }

    fn value(&mut self, wanted: Wanted<'_>) -> Result<E, VerifyError> {
        let mut value = self.honest.evaluate(wanted);
        if self.liar.blame.operand == Some(self.operands) {
            value += E::ONE;
            let lie = format!("operand {}", self.operands);
            self.liar.state().log.push(lie);
        }
        self.operands += 1;
        self.honest.send_operand(value);
        Ok(value)
    }

    fn challenge(&mut self) -> E {
        self.honest.challenge()
    }

    fn sumcheck(
        &mut self,
        instances: &[Instance<'_>],
        claims: &[E],
    ) -> Result<Vec<InstanceEnd<E>>, VerifyError> {
        let (bound, mut ends) = self.honest.bind(instances, claims);
        if self.liar.blame.factors {
            make_fit(instances, &bound, &mut ends, &mut self.liar.state());
        }
        self.honest.send_factors(&ends);
        Ok(ends)
    }
}

/// The product of an instance from its end values, and how much it grows with value `k`.
fn product(instance: &Instance<'_>, point: &[E], v: &[E], k: usize) -> (E, E) {
    let fits = "the sumcheck's point";
    match instance {
        Instance::Functional(f) => {
            let c = f.coefficient_at(point).expect(fits);
            (c * v[0], c)
        }
        Instance::Merge(m) => {
            let c = m.coefficient_at(point).expect(fits);
            (c * v[0], c)
        }
        Instance::Contract(c) => {
            let coef = c.coefficient_at(point).expect(fits);
            let (a, b) = (v[0], v[v.len() - 1]);
            // The square of a false value is off by more than a slope.
            let slope = if v.len() == 1 {
                E::ZERO
            } else {
                coef * [b, a][k]
            };
            (coef * a * b, slope)
        }
        Instance::Affine(a) => {
            let (g, taps) = a.coefficients_at(point).expect(fits);
            let (&z, columns) = v.split_last().expect("the input");
            let w: E = columns.iter().zip(&taps).map(|(&c, &t)| c * t).sum();
            let slope = if k + 1 == v.len() {
                g * w
            } else {
                g * taps[k] * z
            };
            (g * w * z, slope)
        }
    }
}

/// Makes the end values of a stage give what its rounds came down to.
fn make_fit(
    instances: &[Instance<'_>],
    bound: &Bound,
    ends: &mut [InstanceEnd<E>],
    state: &mut State,
) {
    let rest = |(l, instance): (usize, &Instance<'_>)| {
        let (point, own) = &ends[l];
        bound.gammas[l] * (bound.claims[l] - product(instance, point, own, 0).0)
    };
    let rest: E = instances.iter().enumerate().map(rest).sum();
    if rest == E::ZERO {
        return;
    }
    for _ in 0..50 {
        let l = state.next(instances.len());
        let k = state.next(ends[l].1.len());
        let slope = product(&instances[l], &ends[l].0, &ends[l].1, k).1;
        if slope != E::ZERO {
            ends[l].1[k] += rest * (bound.gammas[l] * slope).inverse();
            state.log.push(format!("factor {l}.{k}"));
            return;
        }
    }
}
