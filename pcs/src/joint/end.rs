//! The last vector: sent as it is, or committed to with WHIR and opened at one point.
//!
//! Its elements `h = h_0 + theta h_1` are in `E = F[theta]`. WHIR commits to the columns `h_0, h_1`
//! over `F`, and the two claims on them are the only ones: the root determines `h`, or the few vectors
//! that it may be.

use super::hiding::theta;
use super::layout::End;
use super::tail::{self, Decoding};
use super::tree::Digest;
use crate::channel::Channel;
use crate::claim::Error;
use crate::transcript::VerifierTape;
#[cfg(feature = "prover")]
use zkstrata_mle::{BasedVectorSpace, F};
use zkstrata_mle::{E, Point, PrimeCharacteristicRing, eq_table};

#[cfg(feature = "prover")]
use crate::transcript::ProverTape;

/// Message of the vector itself.
const VECTOR: &str = "joint vector";

/// Message of the values of its coordinates.
const VALUES: &str = "joint end";

/// What the verifier has received of the vector.
pub(super) enum Received {
    /// The vector.
    Clear(Vec<E>),
    /// A commitment to its coordinates.
    Whir(Digest, Decoding),
}

impl Received {
    /// Reads the vector or its commitment.
    pub(super) fn recv(end: &End, tape: &mut VerifierTape<'_>) -> Result<Self, Error> {
        if end.clear {
            return Ok(Received::Clear(tape.recv(VECTOR, end.rows)?));
        }
        Ok(Received::Whir(tail::recv_root(tape)?, end.decoding))
    }

    /// The value of the vector's extension at a point.
    ///
    /// # Soundness
    /// If the vector was received before the point was drawn, it is the value, up to the error of
    /// [`tail::soundness`].
    pub(super) fn evaluate(&self, point: &Point, tape: &mut VerifierTape<'_>) -> Result<E, Error> {
        match self {
            Received::Clear(vector) => {
                let eq = eq_table(point, vector.len(), E::ONE);
                Ok(eq.into_iter().zip(vector).map(|(eq, &h)| eq * h).sum())
            }
            &Received::Whir(ref root, decoding) => {
                let values = tape.recv(VALUES, tail::WIDTH)?;
                tail::verify((root, decoding), point, &values, tape)?;
                let basis = [E::ONE, theta()];
                Ok(values.into_iter().zip(basis).map(|(v, b)| v * b).sum())
            }
        }
    }
}

/// What the prover keeps of the vector.
#[cfg(feature = "prover")]
pub(super) enum Sent {
    /// Nothing is left to do.
    Clear,
    /// The coordinates and their commitment.
    Whir(Box<tail::Committed>),
}

#[cfg(feature = "prover")]
impl Sent {
    /// Sends the vector or its commitment.
    pub(super) fn send(end: &End, vector: &[E], tape: &mut ProverTape) -> Result<Self, Error> {
        if end.clear {
            tape.send(VECTOR, vector);
            return Ok(Sent::Clear);
        }
        let columns = [0, 1].map(|k| {
            let coordinate = |h: &E| {
                let c: &[F] = h.as_basis_coefficients_slice();
                c[k]
            };
            let mut column: Vec<F> = vector.iter().map(coordinate).collect();
            column.resize(1 << end.num_vars, F::ZERO);
            column
        });
        let committed = tail::Committed::new(&columns, end.decoding)?;
        committed.send(tape);
        Ok(Sent::Whir(Box::new(committed)))
    }

    /// Sends the values of the coordinates at a point, or what is made of them, and proves the
    /// values.
    pub(super) fn open(
        self,
        point: &Point,
        change: impl FnOnce(&mut [E; tail::WIDTH]),
        tape: &mut ProverTape,
    ) -> Result<(), Error> {
        let Sent::Whir(committed) = self else {
            return Ok(());
        };
        let values = committed.evaluate(point);
        let mut sent = values;
        change(&mut sent);
        tape.send(VALUES, &sent);
        committed.open(point, values, tape)
    }
}
