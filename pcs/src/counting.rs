//! A channel that counts what a verification costs.
//!
//! It wraps another channel and its scalars wrap the other's, so a verifier that runs over it has
//! done nothing to the prover's messages but the operations of [`Scalar`] and [`Channel`]: the
//! numbers are those of the constraint system or circuit that another channel would make of it.

use crate::channel::{Channel, Scalar};
use crate::transcript::TapeError;
use std::ops::{Add, Mul, Sub};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use zkstrata_mle::E;

/// Numbers of operations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Scalars received.
    pub scalars: usize,
    /// Bytes received as such.
    pub bytes: usize,
    /// Challenges drawn.
    pub challenges: usize,
    /// Public values turned into scalars.
    pub constants: usize,
    /// Additions and subtractions of scalars.
    pub additions: usize,
    /// Multiplications of a scalar by a public value.
    pub public_multiplications: usize,
    /// Multiplications of two scalars.
    pub multiplications: usize,
    /// Assertions that a scalar is zero.
    pub assertions: usize,
    /// Assertions that a scalar is not zero: that it has an inverse.
    pub inverses: usize,
    /// Proofs of work.
    pub works: usize,
}

/// The operations that scalars do without their channel.
#[derive(Debug, Default)]
struct Linear {
    additions: AtomicUsize,
    public_multiplications: AtomicUsize,
}

/// A scalar that reports what is done with it.
#[derive(Clone, Debug)]
pub struct Counted<S> {
    scalar: S,
    linear: Arc<Linear>,
}

impl<S: Scalar> Add for Counted<S> {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        self.linear.additions.fetch_add(1, Ordering::Relaxed);
        Self {
            scalar: self.scalar + other.scalar,
            linear: self.linear,
        }
    }
}

impl<S: Scalar> Sub for Counted<S> {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self.linear.additions.fetch_add(1, Ordering::Relaxed);
        Self {
            scalar: self.scalar - other.scalar,
            linear: self.linear,
        }
    }
}

impl<S: Scalar> Mul<E> for Counted<S> {
    type Output = Self;

    fn mul(self, factor: E) -> Self {
        self.linear
            .public_multiplications
            .fetch_add(1, Ordering::Relaxed);
        Self {
            scalar: self.scalar * factor,
            linear: self.linear,
        }
    }
}

impl<S: Scalar> Scalar for Counted<S> {}

impl<S> Counted<S> {
    /// The scalar of the wrapped channel.
    pub fn into_inner(self) -> S {
        self.scalar
    }
}

/// A channel around another one.
#[derive(Debug)]
pub struct Counting<C> {
    channel: C,
    counts: Counts,
    linear: Arc<Linear>,
}

impl<C: Channel> Counting<C> {
    /// A channel that counts what is done with `channel`.
    pub fn new(channel: C) -> Self {
        Self {
            channel,
            counts: Counts::default(),
            linear: Arc::default(),
        }
    }

    /// What has been done so far.
    pub fn counts(&self) -> Counts {
        Counts {
            additions: self.linear.additions.load(Ordering::Relaxed),
            public_multiplications: self.linear.public_multiplications.load(Ordering::Relaxed),
            ..self.counts
        }
    }

    /// The wrapped channel; what is done with it directly is not counted.
    pub fn inner_mut(&mut self) -> &mut C {
        &mut self.channel
    }

    /// The wrapped channel.
    pub fn into_inner(self) -> C {
        self.channel
    }

    fn wrap(&self, scalar: C::S) -> Counted<C::S> {
        Counted {
            scalar,
            linear: Arc::clone(&self.linear),
        }
    }
}

impl<C: Channel> Channel for Counting<C> {
    type S = Counted<C::S>;

    fn recv(&mut self, label: &'static str, n: usize) -> Result<Vec<Self::S>, TapeError> {
        let values = self.channel.recv(label, n)?;
        self.counts.scalars += n;
        Ok(values.into_iter().map(|value| self.wrap(value)).collect())
    }

    fn recv_bytes(&mut self, label: &'static str, len: usize) -> Result<Vec<u8>, TapeError> {
        self.counts.bytes += len;
        self.channel.recv_bytes(label, len)
    }

    fn constant(&mut self, value: E) -> Self::S {
        self.counts.constants += 1;
        let scalar = self.channel.constant(value);
        self.wrap(scalar)
    }

    fn mul(&mut self, a: &Self::S, b: &Self::S) -> Self::S {
        self.counts.multiplications += 1;
        let scalar = self.channel.mul(&a.scalar, &b.scalar);
        self.wrap(scalar)
    }

    fn assert_zero(&mut self, value: Self::S, what: &'static str) -> Result<(), TapeError> {
        self.counts.assertions += 1;
        self.channel.assert_zero(value.scalar, what)
    }

    fn assert_nonzero(&mut self, value: Self::S, what: &'static str) -> Result<(), TapeError> {
        self.counts.inverses += 1;
        self.channel.assert_nonzero(value.scalar, what)
    }

    fn sample(&mut self) -> E {
        self.counts.challenges += 1;
        self.channel.sample()
    }

    fn check_work(&mut self, label: &'static str, bits: usize) -> Result<(), TapeError> {
        self.counts.works += 1;
        self.channel.check_work(label, bits)
    }
}
