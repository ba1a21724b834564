//! A prover that lies once and then makes every later message fit, so that its lie ends where its
//! [`Blame`] says: in one check of the verifier, or in claims on committed columns.
//!
//! The provers call these functions in tests, on the thread of the proof, right before they send;
//! without a blame they change nothing.

use crate::linear::{Instance, InstanceEnd};
use crate::lookup::LeafEquation;
use crate::lookup::fraction::FractionClaim;
use crate::plan::Plan;
use std::cell::RefCell;
use zkstrata_mle::{E, F, Field, PrimeCharacteristicRing};
use zkstrata_model_ir::int::TensorId;
use zkstrata_pcs::sumcheck::Bound;

/// A tree of fractions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tree {
    Leaves,
    Tables,
}

/// What of a layer's children takes the blame for a false sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Child {
    Numerator,
    Denominator,
}

/// How far a prover goes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Blame {
    /// Picks what takes the blame where there is a choice.
    pub(super) seed: usize,
    /// Makes the root of this tree equal that of the other one.
    pub(super) root: Option<Tree>,
    /// Makes the children of that tree's layers give their sums.
    pub(super) children: Option<Child>,
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
            root: Some(Tree::Leaves),
            children: Some(Child::Denominator),
            values: true,
            factors: true,
            ..Self::default()
        }
    }
}

#[derive(Default)]
struct State {
    blame: Blame,
    on: bool,
    /// The tree that is being proven.
    tree: Option<Tree>,
    /// The sum of the other tree.
    target: Option<E>,
    operands: usize,
    log: Vec<String>,
}

thread_local!(static STATE: RefCell<State> = RefCell::new(State::default()));

/// Runs a prover with this blame; also returns what it lied about, in order.
pub(super) fn with<T>(blame: Blame, prove: impl FnOnce() -> T) -> (T, Vec<String>) {
    let state = State {
        blame,
        on: true,
        ..State::default()
    };
    STATE.with(|s| *s.borrow_mut() = state);
    let result = prove();
    let state = STATE.with(|s| std::mem::take(&mut *s.borrow_mut()));
    (result, state.log)
}

/// Calls `lie` if there is a blame.
fn blamed<T>(honest: T, lie: impl FnOnce(&mut State, T) -> T) -> T {
    STATE.with(|s| {
        let mut state = s.borrow_mut();
        if state.on {
            lie(&mut state, honest)
        } else {
            honest
        }
    })
}

fn next(seed: &mut usize, n: usize) -> usize {
    *seed = seed
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    (*seed >> 33) % n.max(1)
}

/// Told of the tables before the trees are proven.
pub(crate) fn tables(multiplicities: &[F], rows: &[E]) {
    blamed((), |state, ()| {
        let terms = multiplicities.iter().zip(rows);
        let sum = || terms.map(|(&m, &q)| q.inverse() * m).sum();
        state.target = (state.blame.root == Some(Tree::Leaves)).then(sum);
    });
}

/// The numerators of a tree's layer in the clear: the leaf tree's first, then the table tree's.
pub(crate) fn root(numerators: Vec<E>, denominators: &[E]) -> Vec<E> {
    blamed(numerators, |state, mut numerators| {
        let tree = match state.tree {
            None => Tree::Leaves,
            Some(_) => Tree::Tables,
        };
        state.tree = Some(tree);
        let fractions = numerators.iter().zip(denominators);
        let sum: E = fractions.map(|(&p, &q)| p * q.inverse()).sum();
        if state.blame.root == Some(tree) {
            let target = state.target.expect("the other tree's sum");
            if sum != target {
                numerators[0] += (target - sum) * denominators[0];
                state.log.push("root".into());
            }
        } else {
            state.target = Some(sum);
        }
        numerators
    })
}

/// The children of a layer.
pub(crate) fn children(honest: [E; 4], lambda: E, sum: E) -> [E; 4] {
    blamed(honest, |state, [p0, p1, q0, q1]| {
        let d = p1 + lambda * q1;
        let rest = sum - (p0 * q1 + q0 * d);
        if state.blame.root != state.tree || rest == E::ZERO {
            return [p0, p1, q0, q1];
        }
        let Some(child) = state.blame.children else {
            return [p0, p1, q0, q1];
        };
        state.log.push("children".into());
        match child {
            Child::Numerator => [p0 + rest * q1.inverse(), p1, q0, q1],
            Child::Denominator => [p0, p1, q0 + rest * d.inverse(), q1],
        }
    })
}

/// The values of all blocks at the end of the leaf tree.
pub(crate) fn values(
    plan: &Plan<'_>,
    leaves: &FractionClaim<E>,
    (alpha, beta): (E, E),
    honest: Vec<Vec<E>>,
) -> Vec<Vec<E>> {
    blamed(honest, |state, mut values| {
        let equation = |block: &crate::lookup::Block| {
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
        if let Some((i, j)) = state.blame.pair {
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
        if state.blame.values && rest != E::ZERO {
            let (b, k) = places[next(&mut state.blame.seed, places.len())];
            values[b][k] += rest * equations[b].coefs[k].inverse();
            state.log.push(format!("value {b}.{k}"));
        }
        values
    })
}

/// What is added to the next operand that is sent.
pub(crate) fn operand() -> E {
    blamed(E::ZERO, |state, _| {
        let number = state.operands;
        state.operands += 1;
        if state.blame.operand != Some(number) {
            return E::ZERO;
        }
        state.log.push(format!("operand {number}"));
        E::ONE
    })
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

/// The end values of a stage.
pub(crate) fn factors(instances: &[Instance<'_>], bound: &Bound, ends: &mut [InstanceEnd<E>]) {
    blamed((), |state, ()| {
        let rest = |(l, instance): (usize, &Instance<'_>)| {
            let (point, own) = &ends[l];
            bound.gammas[l] * (bound.claims[l] - product(instance, point, own, 0).0)
        };
        let rest: E = instances.iter().enumerate().map(rest).sum();
        if !state.blame.factors || rest == E::ZERO {
            return;
        }
        for _ in 0..50 {
            let l = next(&mut state.blame.seed, instances.len());
            let k = next(&mut state.blame.seed, ends[l].1.len());
            let slope = product(&instances[l], &ends[l].0, &ends[l].1, k).1;
            if slope != E::ZERO {
                ends[l].1[k] += rest * (bound.gammas[l] * slope).inverse();
                state.log.push(format!("factor {l}.{k}"));
                return;
            }
        }
    });
}
