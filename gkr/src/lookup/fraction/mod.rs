//! Sums of fractions by GKR (Papini, Haböck, "Improving logarithmic derivative lookups using
//! GKR", ePrint 2023/1284, section 3).
//!
//! The leaves `p_i / q_i`, `i < 2^n`, are added in a binary tree that pairs on the lowest bit.
//! Layer `k` has `2^k` projective fractions, and with the children `2x + b` of node `x` written as
//! `p_b(x)`, `q_b(x)`
//!
//! ```text
//! p(x) = p_0(x) q_1(x) + p_1(x) q_0(x),     q(x) = q_0(x) q_1(x).
//! ```
//!
//! The layer of `2^c` fractions, `c = min(n, 4)`, is sent in the clear. The root follows from it,
//! and so do claims `p(r)`, `q(r)` on its multilinear extensions at a random point `r`. One
//! sumcheck a layer takes them to the children: for a random `lambda`,
//!
//! ```text
//! p(r) + lambda q(r) = sum_x eq(r, x) g(x),   g = p_0 q_1 + q_0 (p_1 + lambda q_1).
//! ```
//!
//! With `x_{k-1}, ..., x_0` bound to `s_{k-1}, ..., s_0` in this order, least significant first, the
//! sum before `x_j` is bound is `S_j = sum_x eq(r_0 .. r_j, x) g(x, s_{j+1} .. s_{k-1})`: the factor of
//! `eq` that is already bound is left out, so that what is left in the end is `g(s)`. Let
//! `t(X) = sum_x' eq(r_0 .. r_{j-1}, x') g(x', X, s_{j+1} ..)`, of degree 2. Then
//! `S_j = (1 - r_j) t(0) + r_j t(1)`, and the prover sends the slope `u = t(1) - t(0)` and the
//! leading coefficient `v`, because
//!
//! ```text
//! S_{j-1} = t(s_j) = S_j + (s_j - r_j) u + s_j (s_j - 1) v.
//! ```
//!
//! After the last round `p_0, p_1, q_0, q_1` at `s` are sent, `g(s)` is compared with what is left, and
//! a random `s_k` makes the four values into claims on the layer below at `(s_0, ..., s_k)`.
//!
//! The order is the prover's gain: tensors are padded in aligned parts of all sizes, so that a binding of
//! neighbours halves what is stored, and one of halves of the cube does not.

#[cfg(feature = "prover")]
mod cube;
#[cfg(feature = "prover")]
mod leaves;
#[cfg(feature = "prover")]
mod lowest;
#[cfg(feature = "prover")]
mod prove;
#[cfg(feature = "prover")]
mod tree;
#[cfg(feature = "prover")]
mod upper;
#[cfg(feature = "prover")]
mod weights;

use zkstrata_mle::{E, Point, PrimeCharacteristicRing, eq_table};
use zkstrata_pcs::{Channel, TapeError};

#[cfg(feature = "prover")]
pub(crate) use cube::Fraction;
#[cfg(feature = "prover")]
pub(crate) use leaves::{CHUNK_LEAVES, Chunk, Leaves, Source};
#[cfg(feature = "prover")]
pub(crate) use prove::prove;
#[cfg(feature = "prover")]
pub(crate) use tree::Tree;

/// The same quantity of the two children of the nodes in a register.
#[cfg(feature = "prover")]
type Pair = [zkstrata_mle::PackedE; 2];

/// Layers of up to `2^CLEAR_VARS` fractions are in the clear: the sumchecks that this saves would
/// be as long.
pub(crate) const CLEAR_VARS: usize = 4;

/// What a tree of fractions comes down to.
#[must_use = "the leaves at the point and the root have to be checked"]
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FractionClaim<S> {
    /// Numerator of the sum.
    pub root_p: S,
    /// Denominator of the sum: the product of the leaves' denominators.
    pub root_q: S,
    /// A point of the leaves' cube.
    pub point: Point,
    /// The numerators' extension at the point.
    pub p: S,
    /// The denominators' extension at the point.
    pub q: S,
}

/// Verifies a tree over `2^num_vars` leaves.
///
/// # Soundness
/// If the numerators' and denominators' extensions at `point` are `p` and `q`, then
/// `root_p / root_q` is the leaves' projective sum, up to an error of `(n^2 + n) / |E|`
/// (layer `k` costs 1 for `lambda`, `2 k` for its rounds and 1 for its last challenge, the clear
/// layer `c`). The leaves must be fixed before the first challenge drawn here. The caller checks `p` and `q`, that
/// `root_q` is not zero (then no denominator is), and what it wants of `root_p / root_q`.
pub(crate) fn verify<C: Channel>(
    num_vars: usize,
    channel: &mut C,
) -> Result<FractionClaim<C::S>, TapeError> {
    let clear = num_vars.min(CLEAR_VARS);
    let numerators = channel.recv("fraction numerators", 1 << clear)?;
    let denominators = channel.recv("fraction denominators", 1 << clear)?;
    let point = channel.sample_vec(clear);
    let mut layer = LayerClaim {
        p: evaluate(&numerators, &point, channel),
        q: evaluate(&denominators, &point, channel),
        point,
    };
    for _ in clear..num_vars {
        layer = verify_layer(layer, channel)?;
    }
    let (root_p, root_q) = add_up(numerators, denominators, channel);
    Ok(FractionClaim {
        root_p,
        root_q,
        point: Point::new(layer.point),
        p: layer.p,
        q: layer.q,
    })
}

/// Claims on the extensions of one layer.
struct LayerClaim<S> {
    point: Vec<E>,
    p: S,
    q: S,
}

/// Takes claims on one layer to claims on its children.
fn verify_layer<C: Channel>(
    LayerClaim { point: r, p, q }: LayerClaim<C::S>,
    channel: &mut C,
) -> Result<LayerClaim<C::S>, TapeError> {
    let lambda = channel.sample();
    let mut sum = p + q * lambda;
    let mut point = Vec::with_capacity(r.len() + 1);
    for r in r.into_iter().rev() {
        let [slope, leading] = recv(channel, "fraction round")?;
        let s = channel.sample();
        sum = sum + slope * (s - r) + leading * (s * (s - E::ONE));
        point.push(s);
    }
    point.reverse();
    let [p0, p1, q0, q1] = recv(channel, "fraction children")?;
    let g = channel.mul(&p0, &q1) + channel.mul(&q0, &(p1.clone() + q1.clone() * lambda));
    channel.assert_zero(sum - g, "fraction layer")?;
    let s = channel.sample();
    point.push(s);
    Ok(LayerClaim {
        p: p0.clone() + (p1 - p0) * s,
        q: q0.clone() + (q1 - q0) * s,
        point,
    })
}

fn recv<C: Channel, const N: usize>(
    channel: &mut C,
    label: &'static str,
) -> Result<[C::S; N], TapeError> {
    let scalars = channel.recv(label, N)?;
    <[C::S; N]>::try_from(scalars).map_err(|_| TapeError::Truncated { label })
}

/// The extension of the values at a point.
fn evaluate<C: Channel>(values: &[C::S], point: &[E], channel: &mut C) -> C::S {
    let weights = eq_table(point, values.len(), E::ONE);
    let zero = channel.constant(E::ZERO);
    values
        .iter()
        .zip(weights)
        .fold(zero, |sum, (value, weight)| sum + value.clone() * weight)
}

/// The projective sum of fractions, the same in any order.
fn add_up<C: Channel>(p: Vec<C::S>, q: Vec<C::S>, channel: &mut C) -> (C::S, C::S) {
    let none = (channel.constant(E::ZERO), channel.constant(E::ONE));
    let mut fractions = p.into_iter().zip(q);
    let first = fractions.next().unwrap_or(none);
    fractions.fold(first, |(p0, q0), (p1, q1)| {
        let p = channel.mul(&p0, &q1) + channel.mul(&p1, &q0);
        (p, channel.mul(&q0, &q1))
    })
}

#[cfg(all(test, feature = "prover"))]
mod tests;
