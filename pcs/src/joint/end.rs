//! The last vector: sent as it is, or committed to with WHIR and opened at one point.
//!
//! Its elements `h = h_0 + theta h_1` are in `E = F[theta]`. WHIR commits to the columns `h_0, h_1`
//! over `F`, and the two claims on them are the only ones: decoding is unique, so the root
//! determines `h`.

use super::layout::End;
use crate::channel::Channel;
use crate::scheme::{Claim, ColumnId, CommitmentScheme, Error, Opening, Place, TableShape};
use crate::transcript::VerifierTape;
use crate::whir::{Whir, WhirCommitment};
use zkstrata_mle::{BasedVectorSpace, E, F, Point, PrimeCharacteristicRing, eq_table};

#[cfg(feature = "prover")]
use crate::scheme::{ProverOpening, ProverScheme};
#[cfg(feature = "prover")]
use crate::transcript::ProverTape;
#[cfg(feature = "prover")]
use crate::whir::WhirData;

/// Message of the vector itself.
const VECTOR: &str = "joint vector";

/// Message of the values of its coordinates.
const VALUES: &str = "joint end";

/// What the verifier has received of the vector.
pub(super) enum Received {
    /// The vector.
    Clear(Vec<E>),
    /// A commitment to its coordinates.
    Whir(WhirCommitment),
}

/// The coordinates as columns of one table.
pub(super) fn shape(end: &End) -> [TableShape; 1] {
    [TableShape {
        num_vars: end.num_vars,
        width: 2,
    }]
}

/// `theta`.
fn theta() -> E {
    E::from_basis_coefficients_fn(|k| if k == 1 { F::ONE } else { F::ZERO })
}

fn claims(values: &[E], point: &Point) -> Vec<Claim<E>> {
    let claim = |(column, &value)| Claim {
        column: ColumnId { table: 0, column },
        point: point.clone(),
        value,
    };
    values.iter().enumerate().map(claim).collect()
}

impl Received {
    /// Reads the vector or its commitment.
    pub(super) fn recv(end: &End, tape: &mut VerifierTape<'_>) -> Result<Self, Error> {
        if end.clear {
            return Ok(Received::Clear(tape.recv(VECTOR, end.rows)?));
        }
        let commitment = Whir::recv_at(Place::Tail, &shape(end), tape)?;
        Ok(Received::Whir(commitment))
    }

    /// The value of the vector's extension at a point.
    ///
    /// # Soundness
    /// If the vector was received before the point was drawn, it is the value, up to the error of
    /// WHIR with two claims.
    pub(super) fn evaluate(
        &self,
        end: &End,
        point: &Point,
        tape: &mut VerifierTape<'_>,
    ) -> Result<E, Error> {
        match self {
            Received::Clear(vector) => {
                let eq = eq_table(point, vector.len(), E::ONE);
                Ok(eq.into_iter().zip(vector).map(|(eq, &h)| eq * h).sum())
            }
            Received::Whir(commitment) => {
                let values = tape.recv(VALUES, 2)?;
                let opening = Opening {
                    commitment,
                    place: Place::Tail,
                    shape: &shape(end),
                    claims: &claims(&values, point),
                };
                Whir::verify(&[opening], tape)?;
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
    Whir(Box<([Vec<F>; 2], WhirData)>),
}

#[cfg(feature = "prover")]
impl Sent {
    /// Sends the vector or its commitment.
    pub(super) fn send(end: &End, vector: &[E], tape: &mut ProverTape) -> Result<Self, Error> {
        if end.clear {
            tape.send(VECTOR, vector);
            return Ok(Sent::Clear);
        }
        let coordinates = [0, 1].map(|k| {
            let coordinate = |h: &E| {
                let c: &[F] = h.as_basis_coefficients_slice();
                c[k]
            };
            let mut column: Vec<F> = vector.iter().map(coordinate).collect();
            column.resize(1 << end.num_vars, F::ZERO);
            column
        });
        let shape = shape(end);
        let columns = vec![coordinates.to_vec()];
        let (commitment, data) = Whir::commit(Place::Tail, &shape, columns)?;
        Whir::send_commitment(&commitment, &shape, tape);
        Ok(Sent::Whir(Box::new((coordinates, data))))
    }

    /// Sends the values of the coordinates at a point, or what is made of them, and proves the
    /// values.
    pub(super) fn open(
        &self,
        point: &Point,
        change: impl FnOnce(&mut [E; 2]),
        tape: &mut ProverTape,
    ) -> Result<(), Error> {
        let Sent::Whir(committed) = self else {
            return Ok(());
        };
        let (coordinates, data) = &**committed;
        let values = coordinates
            .each_ref()
            .map(|column| crate::clear::evaluate(column, point));
        let mut sent = values;
        change(&mut sent);
        tape.send(VALUES, &sent);
        let claims = claims(&values, point);
        Whir::open(
            &[ProverOpening {
                data,
                claims: &claims,
            }],
            tape,
        )
    }
}
