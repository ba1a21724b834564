//! The batched sumcheck of products.
//!
//! Instance `l` claims `c_l = sum_{x in {0,1}^mu_l} g_l(x)`, where `g_l` is the product of one to
//! three multilinear polynomials, `d_l` of them. With `mu = max mu_l` and one challenge `gamma`
//! the claims become
//!
//! ```text
//! sum_l gamma^l 2^(mu - mu_l) c_l = sum_{y in {0,1}^mu} sum_l gamma^l g_l(last mu_l coordinates of y)
//! ```
//!
//! which is what an instance with `mu - mu_l` variables in front, on which it does not depend,
//! sums to: it joins in the last `mu_l` rounds. Round `j` binds coordinate `j`, the highest bit of
//! an index. Its polynomial `s(X) = sum_k s_k X^k` has the largest degree `d` of the instances
//! that have joined; the prover sends `s_0, s_2, ..., s_d`, and `s_1` is *defined* by
//! `s(0) + s(1) = claim`, so that there is nothing to check before the end:
//!
//! ```text
//! s(r) = r claim + (1 - 2r) s_0 + sum_{k >= 2} (r^k - r) s_k.
//! ```
//!
//! Error: `(L - 1) / |E|` for `gamma` over `L` instances, and `d / |E|` a round.

mod rounds;

use crate::channel::Channel;
use crate::transcript::TapeError;
use zkstrata_mle::{E, Point, PrimeCharacteristicRing};

#[cfg(feature = "prover")]
use crate::transcript::ProverTape;
#[cfg(feature = "prover")]
use rounds::Rounds;
#[cfg(feature = "prover")]
use zkstrata_mle::F;

/// Message of a round.
pub(crate) const ROUND: &str = "sumcheck round";

/// What a verifier knows of one instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InstanceShape {
    /// Number of variables summed over, `mu_l`.
    pub num_vars: usize,
    /// Number of factors, `d_l`: 1 to 3.
    pub degree: usize,
}

/// What is left of the claims.
#[must_use = "the value is a claim that the caller must check"]
#[derive(Clone, Debug)]
pub struct Reduced<S> {
    /// The point `r` of `E^mu`.
    pub point: Point,
    /// The claimed value of `sum_l gammas[l] g_l(last mu_l coordinates of r)`.
    pub value: S,
    /// `gamma^l`.
    pub gammas: Vec<E>,
}

impl<S> Reduced<S> {
    /// The last `n` coordinates of the point: where an instance of `n` variables ends.
    ///
    /// # Panics
    /// If no instance has that many variables.
    pub fn tail(&self, n: usize) -> Point {
        tail(&self.point, n)
    }
}

/// One factor of an instance: a multilinear polynomial given by its values.
#[cfg(feature = "prover")]
#[derive(Clone, Debug)]
pub enum Factor<'a> {
    /// Values in `F`: a committed column.
    Base(&'a [F]),
    /// Values in `E`.
    Ext(Vec<E>),
}

#[cfg(feature = "prover")]
impl Factor<'_> {
    fn len(&self) -> usize {
        match self {
            Factor::Base(values) => values.len(),
            Factor::Ext(values) => values.len(),
        }
    }
}

/// One instance: the sum of the product of its factors, which have one and the same length.
#[cfg(feature = "prover")]
#[derive(Clone, Debug)]
pub struct Instance<'a> {
    /// One to three factors of length `2^mu_l`.
    pub factors: Vec<Factor<'a>>,
}

#[cfg(feature = "prover")]
impl Instance<'_> {
    /// What the verifier knows of it.
    pub fn shape(&self) -> InstanceShape {
        let len = self.factors.first().map_or(0, Factor::len);
        assert!(len.is_power_of_two(), "a factor's length is a power of two");
        InstanceShape {
            num_vars: len.trailing_zeros() as usize,
            degree: self.factors.len(),
        }
    }
}

/// Where the prover ends.
#[cfg(feature = "prover")]
#[derive(Clone, Debug)]
pub struct Bound {
    /// The point `r`.
    pub point: Point,
    /// `ends[l][k]` is the value of factor `k` of instance `l` at the last `mu_l` coordinates.
    pub ends: Vec<Vec<E>>,
    /// `gamma^l`.
    pub gammas: Vec<E>,
    /// What the claim of every instance has become: the product of its `ends`, if it was true.
    pub claims: Vec<E>,
}

#[cfg(feature = "prover")]
impl Bound {
    /// The last `n` coordinates of the point.
    ///
    /// # Panics
    /// If no instance has that many variables.
    pub fn tail(&self, n: usize) -> Point {
        tail(&self.point, n)
    }
}

fn tail(point: &Point, n: usize) -> Point {
    let (_, tail) = point.split_at(point.len() - n);
    Point::from(tail)
}

/// `1, gamma, gamma^2, ...` with one draw, or none for fewer than two.
fn powers(count: usize, sample: impl FnOnce() -> E) -> Vec<E> {
    let gamma = if count > 1 { sample() } else { E::ONE };
    gamma.powers().take(count).collect()
}

/// The degree of the round in which `left` variables are unbound: the largest of those joined.
fn round_degree(shapes: &[InstanceShape], left: usize) -> usize {
    shapes
        .iter()
        .filter(|shape| shape.num_vars >= left)
        .map(|shape| shape.degree)
        .max()
        .unwrap_or(1)
}

/// Proves that the instances sum to the claims.
///
/// The caller has put the claims, or what determines them, on the tape, and sends of the end
/// values what the verifier cannot compute.
///
/// # Panics
/// If an instance does not have 1 to 3 factors of one length, or the number of claims differs.
#[cfg(feature = "prover")]
pub fn prove(instances: Vec<Instance<'_>>, claims: &[E], tape: &mut ProverTape) -> Bound {
    assert_eq!(instances.len(), claims.len(), "one claim an instance");
    let shapes: Vec<_> = instances.iter().map(Instance::shape).collect();
    let mu = shapes.iter().map(|s| s.num_vars).max().unwrap_or(0);
    let gammas = powers(shapes.len(), || tape.sample());
    let mut claims = claims.to_vec();
    let mut rounds: Vec<_> = instances.into_iter().map(Rounds::new).collect();
    let mut point = Vec::with_capacity(mu);
    for left in (1..=mu).rev() {
        let mut message = vec![E::ZERO; round_degree(&shapes, left) + 1];
        let mut own: Vec<Option<[E; 4]>> = vec![None; rounds.len()];
        for (l, shape) in shapes.iter().enumerate() {
            if shape.num_vars >= left {
                let s = rounds[l].polynomial(claims[l]);
                for (sum, s_k) in message.iter_mut().zip(s) {
                    *sum += gammas[l] * s_k;
                }
                own[l] = Some(s);
            } else {
                let scale = E::from_u64(1 << (left - 1 - shape.num_vars));
                message[0] += gammas[l] * scale * claims[l];
            }
        }
        let [s0, _, rest @ ..] = &message[..] else {
            unreachable!("a round polynomial has degree 1 at least")
        };
        tape.send(ROUND, &[&[*s0], rest].concat());
        let r = tape.sample();
        point.push(r);
        for (l, s) in own.into_iter().enumerate() {
            if let Some([s0, s1, s2, s3]) = s {
                claims[l] = s0 + r * (s1 + r * (s2 + r * s3));
                rounds[l].bind(r);
            }
        }
    }
    Bound {
        point: Point::new(point),
        ends: rounds.into_iter().map(Rounds::ends).collect(),
        gammas,
        claims,
    }
}

/// Reduces the claims to one at a random point.
///
/// # Soundness
/// If a claim is false, then with probability at least `1 - error` (see the module) the returned
/// value is not `sum_l gammas[l] g_l(tail of the point)`, which the caller must check. The claims
/// and the factors must be fixed by what was received before the call.
pub fn verify<C: Channel>(
    shapes: &[InstanceShape],
    claims: &[C::S],
    channel: &mut C,
) -> Result<Reduced<C::S>, TapeError> {
    if shapes.len() != claims.len() {
        return Err(TapeError::Rejected {
            check: "one sumcheck claim an instance",
        });
    }
    let mu = shapes.iter().map(|s| s.num_vars).max().unwrap_or(0);
    let gammas = powers(shapes.len(), || channel.sample());
    let mut value = channel.constant(E::ZERO);
    for ((shape, claim), &gamma) in shapes.iter().zip(claims).zip(&gammas) {
        let doublings = shape.num_vars..mu;
        let weight = doublings.fold(gamma, |weight, _| weight.double());
        value = value + claim.clone() * weight;
    }
    let mut point = Vec::with_capacity(mu);
    for left in (1..=mu).rev() {
        let message = channel.recv(ROUND, round_degree(shapes, left))?;
        let r = channel.sample();
        point.push(r);
        value = value * r;
        let mut power = r;
        for (k, s_k) in message.into_iter().enumerate() {
            if k == 0 {
                value = value + s_k * (E::ONE - r.double());
            } else {
                power *= r;
                value = value + s_k * (power - r);
            }
        }
    }
    Ok(Reduced {
        point: Point::new(point),
        value,
        gammas,
    })
}
