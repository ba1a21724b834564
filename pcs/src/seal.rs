//! Sealing: a proof whose every scalar is hidden by a pad, and what is left of its verification.
//!
//! A prover commits to uniform elements of `E`, the *pads* `rho_i`, before the first challenge: two
//! cells of `F` each, `rho_i = c_(2i) + theta c_(2i+1)`. From then on it sends `m_i + rho_i` in the
//! place of `m_i`. The verifier's code is as before. What it does with a message is to combine it
//! linearly, to multiply it with another, and to assert that it is zero or that it is not
//! ([`Channel`](crate::Channel)); on a [`SealedTape`] its scalars are affine forms in the pads,
//! since the message is what was received less the pad. What is linear stays so. Products are
//! proven by one sumcheck; whatever was asserted, and all claims on committed columns, become one
//! linear relation between committed cells, which the opening of the commitments proves.
//!
//! # Protocol
//!
//! A [`SealPlan`] says how many scalars a proof has, `n`, and how many products, `K`, and inverses,
//! `I`, its verifier wants; it follows from a dry run, since a verification does the same for every
//! proof. Let `R = K + I + 1`, and `2^v` the power of two not below. There are
//!
//! ```text
//! n + (K + I) + 1 + 3 v + 3
//! ```
//!
//! pads: for all that is sealed, in the order of the tape, and the *random triple* `alpha`, `beta`,
//! `alpha beta`.
//!
//! 1. The `n` scalars, sealed. For a product `a b` the verifier takes the next *answer* `c`, an
//!    unknown, and records the row `(a, b, c)`. To assert that `a` is not zero it takes the next
//!    answer `i` and records the row `(a, i, 1)`. `a` and `b` are affine forms in pads and in
//!    answers that were taken before.
//! 2. `sealed answers`: the answers in their order, sealed; so they are forms in pads as well.
//!    The last row is the random triple, three bare pads. `a(x)`, `b(x)`, `c(x)` are the multilinear
//!    extensions of the columns of rows, with zeros after the last row.
//! 3. A point `tau` of `E^v`. `product sum`, sealed: `y = sum_x eq(tau, x) a(x) b(x)`.
//! 4. The batched sumcheck ([`crate::sumcheck`]) of two instances, `eq(tau, .) a b` and `eq(tau, .)
//!    c`, which are both claimed to be `y`. Its `3 v` scalars are sealed. It ends at a point `s` with
//!    a claim `e`, for the powers `1` and `gamma`.
//! 5. `product ends`, **in the clear**: `a = a(s)` and `b = b(s)`. The prover gives up before if
//!    `eq(s, R - 1) = 0`.
//! 6. Three assertions more, which are linear: `sum_k eq(s, k) a_k - a = 0`, the same for `b`, and
//!    `e - eq(tau, s) a b - gamma eq(tau, s) sum_k eq(s, k) c_k = 0`.
//! 7. A challenge `delta`. With `C` claims that the value `w_i` is column `P_i` at `z_i`, and `A`
//!    assertions that `d_k` is zero, the relation
//!
//! ```text
//! sum_(i < C) delta^i (P_i(z_i) - w_i) + sum_(k < A) delta^(C + k) d_k = 0
//! ```
//!
//! is, as `w_i` and `d_k` are affine in the pads, `sum_i delta^i P_i(z_i) + sum_i u_i rho_i = t` for
//! numbers `u_i` and `t` that the verifier knows: [`Settled`]. On cells, pad `i` has the weights
//! `u_i` and `theta u_i`.
//!
//! The prover runs the verifier's code itself, over what it has sent and drawn, knowing the pads
//! ([`Replay`]): so it learns its rows, and nothing of a verification is written twice.
//!
//! # Soundness
//!
//! **Lemma 1.** Let the pads be fixed before the first challenge. If the relation holds, then the
//! plain verifier accepts the messages `m_i`, the received scalars less their pads, and the claims
//! it is left with are true, except with probability
//!
//! ```text
//! (4 v + 1) / |E|  +  (C + A - 1) / |E|,
//! ```
//!
//! where `A` counts the three of step 6. So a proof is as sound as the plain one, and these terms.
//!
//! *Proof.* `m_i` is fixed when `m_i + rho_i` is received: whoever sends sealed messages is a prover
//! of the plain protocol, to the same challenges. Answers, like messages, are fixed when step 2 is
//! received, and so are the rows; `w_i` and `d_k` are fixed before `delta`. If one of the `C + A`
//! summands is not zero, their sum is a polynomial in `delta` that is not zero, of degree `C + A - 1`
//! at most: the second term. Let all of them be zero. (a) If `a_k b_k = c_k` in all rows, then by
//! induction over the rows the answer of every product is the product, so the forms have the values
//! that the plain verifier computes; what it asserts to be zero is, what it asserts not to be has
//! an inverse, and the claims are true. (b) Else `a(x) b(x) - c(x)` is not zero on the cube, and its
//! multilinear extension at `tau` is not, but for `v / |E|`: so `sum eq(tau, .) a b` and `sum
//! eq(tau, .) c` differ, and `y` is not both. But for `1 / |E|` in `gamma` and `3 v / |E|` in the
//! rounds, `e` is not `eq(tau, s) (a(s) b(s) + gamma c(s))`. The assertions of step 6 say that it is.
//! A triple that is not one is a false row like any other, so it helps nobody. []
//!
//! # Zero knowledge
//!
//! **Lemma 2.** For all challenges with `eq(s, R - 1) != 0`, and for every witness for which the
//! plain prover's messages to these challenges are accepted, the `n + K + I + 1 + 3 v` sealed scalars
//! and `a`, `b` are independent and uniform. In particular for any two such witnesses of one statement,
//! and any sealed scalars and `a`, `b`, there is exactly one choice of pads for each witness with
//! which it gives these.
//!
//! *Proof.* The challenges and the witness determine the plain messages, hence the answers (inverses
//! exist, as the plain verifier accepts) and all rows but the last: none of them depends on a pad.
//! `alpha` and `beta` are independent and uniform, and `a = sum_(k < R - 1) eq(s, k) a_k + eq(s, R - 1)
//! alpha`, so `(alpha, beta) -> (a, b)` is a bijection. The plain values of steps 3 and 4 depend on
//! the witness, the challenges, `alpha` and `beta` alone. Every sealed scalar has a pad of its own,
//! uniform and independent of `alpha`, `beta` and all other pads: given `(a, b)`, they are uniform.
//! The number of values is that of free pads, so the map from pads to values is a bijection. []
//!
//! The relation is computed from what was sent and drawn, and is true of every such witness and its
//! pads. So if the proof of the relation shows no more than that it is true, whatever the cells are,
//! then the whole proof shows no more than what uniform scalars and it do. In particular the third cell
//! of the triple is never sent; its weight `gamma eq(tau, s) eq(s, R - 1)` is public, and `c(s)` is hidden
//! only because the relation does not show it. Rows of public constants need no care: the pad of
//! their answer is used for nothing else.
//!
//! What is excepted: `eq(s, R - 1) = 0`, of probability `v / |E|` at most, whereupon the prover
//! stops ([`SealError::Challenge`]); this depends on challenges alone. And challenges for which a true
//! statement is not accepted in the plain protocol because a value is zero that must not be: then the
//! replay fails, which *does* depend on the witness. Its probability is the plain protocol's
//! completeness error, for fractions (leaves + rows) / |E|, and a term of the error of zero
//! knowledge. In both cases nothing has been published, and a new proof has new pads.

mod form;
#[cfg(feature = "prover")]
mod pads;
#[cfg(feature = "prover")]
mod prove;
#[cfg(all(test, feature = "prover"))]
mod tests;
mod verify;

use crate::claim::SoundnessTerm;
use crate::counting::Counts;
use crate::transcript::TapeError;
use zkstrata_mle::axis_vars;

pub use form::{Book, Sealed};
#[cfg(feature = "prover")]
pub use pads::Pads;
#[cfg(feature = "prover")]
pub(crate) use prove::Recorded;
#[cfg(feature = "prover")]
pub use prove::{Known, Products, Replay};
pub use verify::{Assertions, SealedTape, Settled};

/// Message of the values of products and inverses.
const ANSWERS: &str = "sealed answers";
/// Message of what the products sum to.
const SUM: &str = "product sum";
/// Message of the values of the factors, in the clear.
pub(crate) const ENDS: &str = "product ends";

/// `log2 |E|`, rounded down.
const FIELD_BITS: f64 = 127.999_999;
/// Scalars of a round of the sumcheck of products: its degree.
const ROUND: usize = 3;
/// Assertions that are made of products.
const CHECKS: usize = 3;
/// Pads of the random triple.
const TRIPLE: usize = 3;

/// `a`, `b` and `c` of a product `a b = c`.
type Row<T> = [T; 3];

/// How much a sealed proof seals: the same for every proof of one form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealPlan {
    messages: usize,
    answers: usize,
}

/// Why a sealed proof is rejected, or cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The tape is malformed, or, for a prover, a check fails.
    #[error(transparent)]
    Tape(#[from] TapeError),
    /// A proof, or its verification, is another one than planned: a bug, not an attack.
    #[error("a sealed proof has {found} {what} where {planned} are planned")]
    Plan {
        /// What was counted.
        what: &'static str,
        /// How many there should be.
        planned: usize,
        /// How many there are.
        found: usize,
    },
    /// The prover drew challenges, one of `2^120`, that would hide nothing. A new proof has others.
    #[error("the challenges of this proof do not hide it; prove again")]
    Challenge,
}

/// Refuses another number than was planned.
pub(crate) fn expect(what: &'static str, planned: usize, found: usize) -> Result<(), SealError> {
    if planned == found {
        return Ok(());
    }
    Err(SealError::Plan {
        what,
        planned,
        found,
    })
}

impl SealPlan {
    /// The plan of a verification that does this between the commitment and the opening.
    pub fn new(counts: &Counts) -> Self {
        Self {
            messages: counts.scalars,
            answers: counts.multiplications + counts.inverses,
        }
    }

    /// How many pads there are.
    pub fn pads(&self) -> usize {
        self.sent() + TRIPLE
    }

    /// Scalars of the proof, up to its opening.
    pub fn scalars(&self) -> usize {
        self.sent() + 2
    }

    /// How many pads are for something that is sent: the first ones.
    pub(crate) fn sent(&self) -> usize {
        self.messages + self.answers + 1 + ROUND * self.vars()
    }

    /// Scalars that the verifier's code receives, `n`.
    fn messages(&self) -> usize {
        self.messages
    }

    /// Products and inverses that it wants, `K + I`.
    fn answers(&self) -> usize {
        self.answers
    }

    /// Rows of products, the triple included, `R`.
    fn rows(&self) -> usize {
        self.answers + 1
    }

    /// Variables of a row's number, `v`.
    fn vars(&self) -> usize {
        axis_vars(self.rows())
    }

    /// The pads of the random triple.
    fn triple(&self) -> Row<usize> {
        [0, 1, 2].map(|k| self.sent() + k)
    }

    /// The error of Lemma 1 for a verification of so many assertions that leaves so many claims.
    pub fn soundness(&self, claims: usize, assertions: usize) -> [SoundnessTerm; 2] {
        let (v, all) = (self.vars(), claims + assertions + CHECKS);
        let terms = [
            (format!("sealing: {} products", self.answers), 4 * v + 1),
            (format!("sealing: {all} claims and checks"), all - 1),
        ];
        terms.map(|(name, count)| SoundnessTerm {
            name,
            bits: FIELD_BITS - u32::try_from(count).map_or(f64::INFINITY, f64::from).log2(),
        })
    }
}
