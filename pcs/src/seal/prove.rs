//! The prover of a sealed proof: it runs the verifier's code on what it has sent, knowing the
//! pads, and so learns what the products are that it must prove.

use super::form::{Book, Sealed};
use super::pads::Pads;
use super::verify::{Assertions, Ledger, SealedTape};
use super::{ANSWERS, ENDS, Row, SUM, SealError, expect};
use crate::channel::{Channel, Scalar};
use crate::sumcheck::{self, Factor, Instance};
use crate::transcript::{ProverTape, Reader, TapeError};
use std::ops::{Add, Mul, Sub};
use std::sync::Arc;
use zkstrata_mle::{E, Field, PrimeCharacteristicRing, eq_table, selector};

/// What a prover has sent and drawn, as a channel: nothing is hashed twice, and its own proofs of
/// work are right.
pub(crate) struct Recorded<'r> {
    reader: Reader<'r>,
    challenges: std::slice::Iter<'r, E>,
}

impl<'r> Recorded<'r> {
    pub(crate) fn new(reader: Reader<'r>, challenges: &'r [E]) -> Self {
        Self {
            reader,
            challenges: challenges.iter(),
        }
    }

    /// What is left over is an error: the verifier does not read it.
    fn finish(self) -> Result<(), SealError> {
        self.reader.finish()?;
        expect("challenges", 0, self.challenges.len())
    }
}

impl Channel for Recorded<'_> {
    type S = E;

    fn recv(&mut self, label: &'static str, n: usize) -> Result<Vec<E>, TapeError> {
        self.reader.take_scalars(label, n)
    }

    fn recv_bytes(&mut self, label: &'static str, len: usize) -> Result<Vec<u8>, TapeError> {
        Ok(self.reader.take(label, len)?.to_vec())
    }

    fn constant(&mut self, value: E) -> E {
        value
    }

    fn mul(&mut self, a: &E, b: &E) -> E {
        *a * *b
    }

    fn assert_zero(&mut self, _: E, _: &'static str) -> Result<(), TapeError> {
        Ok(())
    }

    fn assert_nonzero(&mut self, _: E, _: &'static str) -> Result<(), TapeError> {
        Ok(())
    }

    fn sample(&mut self) -> E {
        let next = self.challenges.next();
        *next.expect("a verifier draws what the prover has drawn")
    }

    fn check_work(&mut self, label: &'static str, bits: usize) -> Result<(), TapeError> {
        if bits > 0 {
            let _witness = self.reader.take_element(label)?;
        }
        Ok(())
    }
}

/// A scalar of a sealed verification, and its value.
#[derive(Clone, Copy)]
pub struct Known<'b> {
    sealed: Sealed<'b>,
    pub(super) value: E,
}

impl<'b> Known<'b> {
    /// What the verifier has.
    pub fn sealed(self) -> Sealed<'b> {
        self.sealed
    }
}

impl Add for Known<'_> {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            sealed: self.sealed + other.sealed,
            value: self.value + other.value,
        }
    }
}

impl Sub for Known<'_> {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self {
            sealed: self.sealed - other.sealed,
            value: self.value - other.value,
        }
    }
}

impl Mul<E> for Known<'_> {
    type Output = Self;

    fn mul(self, factor: E) -> Self {
        Self {
            sealed: self.sealed * factor,
            value: self.value * factor,
        }
    }
}

impl Scalar for Known<'_> {}

/// The verifier's channel as the prover runs it: on its own messages, whose pads it knows.
pub struct Replay<'r, 'b> {
    pub(super) sealed: SealedTape<'b, Recorded<'r>>,
    pub(super) values: Values,
}

/// What the verifier does not know: the values of all products and inverses.
pub(super) struct Values {
    pads: Arc<Pads>,
    pub(super) answers: Vec<E>,
    pub(super) rows: Vec<Row<E>>,
}

/// The products of a replay, still to be proven.
#[must_use = "a sealed proof without its products is none"]
pub struct Products<'b> {
    ledger: Ledger<'b>,
    pub(super) values: Values,
}

impl<'r, 'b> Replay<'r, 'b> {
    /// What a verifier does with what the sealed tape holds.
    ///
    /// # Panics
    /// If the tape is not sealed.
    pub fn new(tape: &'r ProverTape, book: &'b Book) -> Self {
        let (pads, recorded) = tape.sealed();
        Self {
            sealed: SealedTape::new(recorded, book),
            values: Values {
                pads,
                answers: vec![],
                rows: vec![],
            },
        }
    }

    /// Ends the replay, when the verifier's code has run.
    ///
    /// # Errors
    /// The verifier does not read all that was sent: it is not the verifier of this proof.
    pub fn finish(self) -> Result<Products<'b>, SealError> {
        let SealedTape { tape, ledger } = self.sealed;
        tape.finish()?;
        Ok(Products {
            ledger,
            values: self.values,
        })
    }
}

impl<'b> Channel for Replay<'_, 'b> {
    type S = Known<'b>;

    fn recv(&mut self, label: &'static str, n: usize) -> Result<Vec<Known<'b>>, TapeError> {
        let first = self.sealed.ledger.received.len();
        let scalars = self.sealed.recv(label, n)?.into_iter();
        let received = self.sealed.ledger.received[first..].iter();
        let known = scalars.zip(received).zip(first..);
        let known = known.map(|((sealed, &received), i)| Known {
            sealed,
            value: received - self.values.pads.sent(i).unwrap_or(E::ZERO),
        });
        Ok(known.collect())
    }

    fn recv_bytes(&mut self, label: &'static str, len: usize) -> Result<Vec<u8>, TapeError> {
        self.sealed.recv_bytes(label, len)
    }

    fn constant(&mut self, value: E) -> Known<'b> {
        Known {
            sealed: self.sealed.constant(value),
            value,
        }
    }

    fn mul(&mut self, a: &Known<'b>, b: &Known<'b>) -> Known<'b> {
        let value = a.value * b.value;
        self.values.answers.push(value);
        self.values.rows.push([a.value, b.value, value]);
        Known {
            sealed: self.sealed.mul(&a.sealed, &b.sealed),
            value,
        }
    }

    fn assert_zero(&mut self, value: Known<'b>, what: &'static str) -> Result<(), TapeError> {
        self.sealed.assert_zero(value.sealed, what)
    }

    /// # Errors
    /// If it is zero: nothing could be sent in the place of its inverse.
    fn assert_nonzero(&mut self, value: Known<'b>, what: &'static str) -> Result<(), TapeError> {
        let inverse = value.value.try_inverse();
        let inverse = inverse.ok_or(TapeError::Rejected { check: what })?;
        self.values.answers.push(inverse);
        self.values.rows.push([value.value, inverse, E::ONE]);
        self.sealed.assert_nonzero(value.sealed, what)
    }

    fn sample(&mut self) -> E {
        self.sealed.sample()
    }

    fn check_work(&mut self, label: &'static str, bits: usize) -> Result<(), TapeError> {
        self.sealed.check_work(label, bits)
    }
}

impl<'b> Products<'b> {
    /// Proves the products and unseals the tape. The caller goes on as after
    /// [`SealedTape::check`].
    ///
    /// # Errors
    /// The verification was another one than planned, or ([`SealError::Challenge`]) the challenges
    /// are among the few that hide nothing.
    pub fn prove(self, tape: &mut ProverTape) -> Result<Assertions<'b>, SealError> {
        let Values {
            pads,
            answers,
            mut rows,
        } = self.values;
        let plan = pads.plan();
        expect("answers", plan.answers(), answers.len())?;
        rows.push(plan.triple().map(|i| pads.get(i)));
        rows.resize(1 << plan.vars(), [E::ZERO; 3]);
        let (start, drawn) = tape.position();

        tape.send(ANSWERS, &answers);
        let tau = tape.sample_vec(plan.vars());
        let eq = eq_table(&tau, rows.len(), E::ONE);
        let sum = rows.iter().zip(&eq).map(|(&[a, b, _], &eq)| eq * a * b);
        let sum: E = sum.sum();
        tape.send(SUM, &[sum]);
        let [a, b, c] = [0, 1, 2].map(|k| rows.iter().map(|row| row[k]).collect());
        let instances = [vec![eq.clone(), a, b], vec![eq, c]].map(|factors| Instance {
            factors: factors.into_iter().map(Factor::Ext).collect(),
        });
        let bound = sumcheck::prove(instances.into(), &[sum, sum], tape);
        let challenges = tape.unseal()?;
        if selector(&bound.point, plan.rows() - 1) == E::ZERO {
            return Err(SealError::Challenge);
        }
        tape.send(ENDS, &bound.ends[0][1..]);

        let sent = SealedTape {
            tape: tape.since(start, &challenges[drawn..]),
            ledger: self.ledger,
        };
        let (left, assertions) = sent.check()?;
        left.finish()?;
        Ok(assertions)
    }
}
