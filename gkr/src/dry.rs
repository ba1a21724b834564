//! A verification without a proof: what it reads and does depends on the plan alone, so a channel
//! whose messages are unknown and whose checks pass tells the number of messages, and the columns
//! and points of the claims that are left.

use crate::claim::Ends;
use crate::error::VerifyError;
use crate::options::{SetupOptions, Visibility};
use crate::plan::{Plan, WeightPlan};
use crate::publics::{InputAt, OutputAt, Publics};
use crate::verify::reduce_statement;
use std::ops::{Add, Mul, Sub};
use zkstrata_mle::{E, PrimeCharacteristicRing};
use zkstrata_pcs::{Channel, Counted, Counting, Counts, Scalar, TapeError};

/// A message that nobody has sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unknown;

impl Add for Unknown {
    type Output = Self;

    fn add(self, _: Self) -> Self {
        self
    }
}

impl Sub for Unknown {
    type Output = Self;

    fn sub(self, _: Self) -> Self {
        self
    }
}

impl Mul<E> for Unknown {
    type Output = Self;

    fn mul(self, _: E) -> Self {
        self
    }
}

impl Scalar for Unknown {}

/// A channel without a prover. Its challenges are different from each other, as random ones are.
#[derive(Debug, Default)]
pub(crate) struct Dry {
    challenges: u64,
}

impl Channel for Dry {
    type S = Unknown;

    fn recv(&mut self, _: &'static str, n: usize) -> Result<Vec<Unknown>, TapeError> {
        Ok(vec![Unknown; n])
    }

    fn recv_bytes(&mut self, _: &'static str, len: usize) -> Result<Vec<u8>, TapeError> {
        Ok(vec![0; len])
    }

    fn constant(&mut self, _: E) -> Unknown {
        Unknown
    }

    fn mul(&mut self, _: &Unknown, _: &Unknown) -> Unknown {
        Unknown
    }

    fn assert_zero(&mut self, _: Unknown, _: &'static str) -> Result<(), TapeError> {
        Ok(())
    }

    fn assert_nonzero(&mut self, _: Unknown, _: &'static str) -> Result<(), TapeError> {
        Ok(())
    }

    fn sample(&mut self) -> E {
        // Neither 0 nor 1: a vertex would be a special point.
        self.challenges += 1;
        E::from_u64(self.challenges + 1)
    }

    fn check_work(&mut self, _: &'static str, _: usize) -> Result<(), TapeError> {
        Ok(())
    }
}

/// Numbers that do not matter: only who sees them does.
struct Whatever<'a>(&'a SetupOptions);

impl Publics for Whatever<'_> {
    fn denominator(&mut self, _: &Plan, _: &[E], _: [E; 2]) -> Option<E> {
        Some(E::ZERO)
    }

    fn output(&mut self, _: &Plan, port: usize, _: &[E]) -> Option<OutputAt> {
        Some(match self.0.outputs.of(port) {
            Visibility::Public | Visibility::Private => OutputAt::Public(E::ZERO),
            Visibility::Committed { .. } => OutputAt::Committed,
        })
    }

    fn input(&mut self, _: &Plan, port: usize, _: &[E]) -> Option<InputAt> {
        Some(match self.0.inputs.of(port) {
            Visibility::Public => InputAt::Public(E::ZERO),
            Visibility::Private => InputAt::Private,
            Visibility::Committed { .. } => InputAt::Committed,
        })
    }
}

/// What a verification up to the openings does, and the claims that are then left.
pub(crate) fn verification(
    plan: &Plan,
    weights: &WeightPlan,
    options: &SetupOptions,
) -> Result<(Counts, Ends<Counted<Unknown>>), VerifyError> {
    let mut channel = Counting::new(Dry::default());
    let ends = reduce_statement(plan, weights, Whatever(options), &mut channel)?;
    Ok((channel.counts(), ends))
}
