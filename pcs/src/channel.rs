//! The verifier's channel: how protocol code sees the prover's messages.
//!
//! Protocol code never holds a value that the prover sent, only a scalar `S` of its channel. It
//! can be combined linearly with public field elements, multiplied, and asserted to be zero or
//! not; it cannot be compared, branched on or hashed, and the number of operations depends on
//! public data only. In the clear `S` is a field element; a zero-knowledge channel takes linear
//! forms in committed pads, a recursive one emits a circuit.

use crate::transcript::TapeError;
use std::ops::{Add, Mul, Sub};
use zkstrata_mle::E;

/// A value only the prover knows for sure.
pub trait Scalar: Clone + Add<Output = Self> + Sub<Output = Self> + Mul<E, Output = Self> {}

impl Scalar for E {}

/// A source of the prover's messages and of challenges.
pub trait Channel {
    /// What the prover's messages look like to the protocol.
    type S: Scalar;

    /// The next `n` scalars of the message `label`.
    fn recv(&mut self, label: &'static str, n: usize) -> Result<Vec<Self::S>, TapeError>;

    /// The next message of exactly `len` bytes (a commitment).
    fn recv_bytes(&mut self, label: &'static str, len: usize) -> Result<Vec<u8>, TapeError>;

    /// A public value.
    fn constant(&mut self, value: E) -> Self::S;

    /// The product of two scalars.
    fn mul(&mut self, a: &Self::S, b: &Self::S) -> Self::S;

    /// Rejects unless the scalar is zero. `what` names the check.
    fn assert_zero(&mut self, value: Self::S, what: &'static str) -> Result<(), TapeError>;

    /// Rejects if the scalar is zero. `what` names the check.
    fn assert_nonzero(&mut self, value: Self::S, what: &'static str) -> Result<(), TapeError>;

    /// A challenge that depends on everything received so far.
    fn sample(&mut self) -> E;

    /// Checks a proof of work of `bits` bits.
    fn check_work(&mut self, label: &'static str, bits: usize) -> Result<(), TapeError>;

    /// `n` challenges.
    fn sample_vec(&mut self, n: usize) -> Vec<E> {
        (0..n).map(|_| self.sample()).collect()
    }

    /// The next single scalar.
    fn recv_one(&mut self, label: &'static str) -> Result<Self::S, TapeError> {
        let mut values = self.recv(label, 1)?;
        values.pop().ok_or(TapeError::Truncated { label })
    }
}
