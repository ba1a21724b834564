//! The verifier of a sealed proof: the channel, the check of its products, the one relation.

use super::form::{Book, Sealed};
use super::{ANSWERS, ENDS, Row, SUM, SealError, expect};
use crate::channel::Channel;
use crate::sumcheck::{self, InstanceShape};
use crate::transcript::TapeError;
use zkstrata_mle::{BasedVectorSpace, E, F, PrimeCharacteristicRing, eq_eval, eq_table};

/// What a sealed verification has recorded.
pub(super) struct Ledger<'b> {
    pub(super) book: &'b Book,
    /// What was received for messages, answers and messages again, in the order of their pads.
    pub(super) received: Vec<E>,
    /// How many products and inverses there are.
    answers: usize,
    /// `a b = c`.
    rows: Vec<Row<Sealed<'b>>>,
    /// What must be zero.
    zeros: Vec<Sealed<'b>>,
}

/// The channel of a sealed proof, over one in the clear.
pub struct SealedTape<'b, C> {
    pub(super) tape: C,
    pub(super) ledger: Ledger<'b>,
}

impl<'b> Ledger<'b> {
    fn new(book: &'b Book) -> Self {
        Self {
            book,
            received: vec![],
            answers: 0,
            rows: vec![],
            zeros: vec![],
        }
    }

    fn answer(&mut self) -> Sealed<'b> {
        let answer = self
            .book
            .unknown(self.book.plan().messages() + self.answers);
        self.answers += 1;
        answer
    }
}

impl<'b, C: Channel<S = E>> SealedTape<'b, C> {
    /// Reads from here on what the prover has sealed. The book is for this proof alone.
    pub fn new(tape: C, book: &'b Book) -> Self {
        let ledger = Ledger::new(book);
        Self { tape, ledger }
    }

    /// Reads the proof of all products. Returns the tape, and what is left: assertions that are
    /// linear in the pads.
    ///
    /// # Soundness
    /// If the returned assertions hold of the pads that the prover is committed to, so do all
    /// products, and with them all that was asserted on this channel, but for the first term of
    /// [`SealPlan::soundness`](super::SealPlan::soundness). The caller must draw a challenge and
    /// prove the relation of [`Assertions::settle`].
    ///
    /// # Errors
    /// The tape is malformed, or the verification was another one than planned.
    pub fn check(mut self) -> Result<(C, Assertions<'b>), SealError> {
        let book = self.ledger.book;
        let plan = book.plan();
        expect("messages", plan.messages(), self.ledger.received.len())?;
        expect("answers", plan.answers(), self.ledger.answers)?;
        let _answers = self.recv(ANSWERS, plan.answers())?;
        let triple = plan.triple().map(|i| book.unknown(i));
        self.ledger.rows.push(triple);

        let tau = self.tape.sample_vec(plan.vars());
        let sum = self.recv_one(SUM)?;
        let shapes = [3, 2].map(|degree| InstanceShape {
            num_vars: plan.vars(),
            degree,
        });
        let reduced = sumcheck::verify(&shapes, &[sum, sum], &mut self)?;
        expect("pads", plan.sent(), self.ledger.received.len())?;
        let ends = self.tape.recv(ENDS, 2)?;
        let (&[a, b], &[_, gamma]) = (ends.as_slice(), reduced.gammas.as_slice()) else {
            return Err(TapeError::Truncated { label: ENDS }.into());
        };

        let mut at_s = [self.constant(E::ZERO); 3];
        let eq_s = eq_table(&reduced.point, plan.rows(), E::ONE);
        for (row, &eq) in self.ledger.rows.iter().zip(&eq_s) {
            for (sum, &cell) in at_s.iter_mut().zip(row) {
                *sum = *sum + cell * eq;
            }
        }
        let [a_s, b_s, c_s] = at_s;
        let eq = eq_eval(&tau, &reduced.point);
        let product = self.constant(eq * a * b) + c_s * (eq * gamma);
        let (a, b) = (self.constant(a), self.constant(b));
        for zero in [a_s - a, b_s - b, reduced.value - product] {
            self.ledger.zeros.push(zero);
        }
        let assertions = Assertions {
            book,
            received: self.ledger.received,
            zeros: self.ledger.zeros,
        };
        Ok((self.tape, assertions))
    }
}

impl<'b, C: Channel<S = E>> Channel for SealedTape<'b, C> {
    type S = Sealed<'b>;

    fn recv(&mut self, label: &'static str, n: usize) -> Result<Vec<Sealed<'b>>, TapeError> {
        let Ledger { book, received, .. } = &mut self.ledger;
        let first = received.len();
        received.extend(self.tape.recv(label, n)?);
        Ok((first..received.len()).map(|i| book.unknown(i)).collect())
    }

    fn recv_bytes(&mut self, label: &'static str, len: usize) -> Result<Vec<u8>, TapeError> {
        self.tape.recv_bytes(label, len)
    }

    fn constant(&mut self, value: E) -> Sealed<'b> {
        self.ledger.book.constant(value)
    }

    fn mul(&mut self, a: &Sealed<'b>, b: &Sealed<'b>) -> Sealed<'b> {
        let c = self.ledger.answer();
        self.ledger.rows.push([*a, *b, c]);
        c
    }

    /// Records it: whether it is zero shows at the end.
    fn assert_zero(&mut self, value: Sealed<'b>, _: &'static str) -> Result<(), TapeError> {
        self.ledger.zeros.push(value);
        Ok(())
    }

    /// Records that it has an inverse: whether it has shows at the end.
    fn assert_nonzero(&mut self, value: Sealed<'b>, _: &'static str) -> Result<(), TapeError> {
        let inverse = self.ledger.answer();
        let one = self.constant(E::ONE);
        self.ledger.rows.push([value, inverse, one]);
        Ok(())
    }

    fn sample(&mut self) -> E {
        self.tape.sample()
    }

    fn check_work(&mut self, label: &'static str, bits: usize) -> Result<(), TapeError> {
        self.tape.check_work(label, bits)
    }
}

/// What a sealed verification asserts, all of it linear in the pads.
#[must_use = "nothing that was asserted on a sealed channel holds unless these assertions do"]
pub struct Assertions<'b> {
    book: &'b Book,
    /// What was received for what pads hide.
    received: Vec<E>,
    zeros: Vec<Sealed<'b>>,
}

/// The one relation that is left of a sealed verification,
///
/// ```text
/// sum_i claims[i] column_i(z_i) + sum_i pads[i] rho_i = target
/// ```
#[must_use = "a relation that nobody proves is an assertion that nobody checks"]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// The weights of the columns that the claims are about.
    pub claims: Vec<E>,
    /// The weights of the pads.
    pub pads: Vec<E>,
    /// What they sum to.
    pub target: E,
}

impl<'b> Assertions<'b> {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.zeros.len()
    }

    /// The relation that "the column of claim `i` has this value at its point" and all assertions
    /// come down to with the powers of one challenge: claims first, in this order.
    ///
    /// # Soundness
    /// If the challenge was drawn after [`SealedTape::check`], and the claims were made before it,
    /// the relation is false if a claim or an assertion is, but for `(claims + assertions - 1) /
    /// |E|`.
    pub fn settle(&self, claims: impl IntoIterator<Item = Sealed<'b>>, challenge: E) -> Settled {
        let mut powers = challenge.powers();
        let mut weights = vec![];
        let mut forms = vec![];
        for (value, power) in claims.into_iter().zip(powers.by_ref()) {
            weights.push(power);
            forms.push((value, -power));
        }
        forms.extend(self.zeros.iter().copied().zip(powers));
        let (mut constant, mut pads) = self.book.combine(forms);
        for (weight, &received) in pads.iter_mut().zip(&self.received) {
            constant += *weight * received;
            *weight = -*weight;
        }
        Settled {
            claims: weights,
            pads,
            target: -constant,
        }
    }
}

impl Settled {
    /// The weights of the cells that hold the pads: pad `i` is `c_(2i) + theta c_(2i+1)`, where
    /// `theta` generates `E` over `F`.
    pub fn cells(&self) -> Vec<E> {
        let theta = E::from_basis_coefficients_fn(|k| F::from_bool(k == 1));
        let of_pad = |&weight: &E| [weight, weight * theta];
        self.pads.iter().flat_map(of_pad).collect()
    }
}
