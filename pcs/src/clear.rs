//! The scheme without cryptography: the commitment is the columns, and the verifier evaluates
//! `f(r) = sum_x eq(r, x) f(x)` itself. Nothing is sent to open it and the soundness error is 0.
//! It is the oracle against which everything above a commitment scheme is tested, and the best
//! scheme for few cells.

use crate::cells::Cells;
use crate::scheme::{
    Claim, CommitmentScheme, Error, Opening, OpeningShape, SoundnessTerm, TableShape, cells_of,
    check_claims,
};
use crate::transcript::{TapeError, VerifierTape};
use zkstrata_mle::{E, F, PrimeCharacteristicRing, eq_table};

#[cfg(feature = "prover")]
use crate::scheme::{Columns, Place, ProverOpening, ProverScheme};
#[cfg(feature = "prover")]
use crate::transcript::ProverTape;

/// Message of a commitment in the clear.
pub(crate) const CELLS: &str = "cells";

/// Check that a claimed value is the value.
const VALUE: &str = "value of a column in the clear";

/// Columns in the clear.
#[derive(Clone, Copy, Debug)]
pub struct Clear;

impl CommitmentScheme for Clear {
    type Commitment = Cells;

    const NAME: &'static str = "clear";

    const PARAMETERS: u32 = 1;

    fn recv_commitment(shape: &[TableShape], tape: &mut VerifierTape<'_>) -> Result<Cells, Error> {
        Ok(tape.recv_cells(CELLS, cells_of(shape)?)?)
    }

    fn check_commitment(commitment: &Cells, shape: &[TableShape]) -> Result<(), Error> {
        if commitment.len() == cells_of(shape)? {
            Ok(())
        } else {
            Err(Error::Commitment {
                reason: "the number of cells is not the shape's",
            })
        }
    }

    fn verify(openings: &[Opening<'_, Cells>], _tape: &mut VerifierTape<'_>) -> Result<(), Error> {
        for opening in openings {
            Self::check_commitment(opening.commitment, opening.shape)?;
            check_claims(opening.shape, opening.claims)?;
            let shape = opening.shape;
            let num_vars = shape
                .iter()
                .flat_map(|table| std::iter::repeat_n(table.num_vars, table.width));
            let claims: Vec<_> = opening
                .claims
                .iter()
                .map(|claim| {
                    let tables = shape.iter().take(claim.column.table);
                    let first: usize = tables.map(|table| table.width).sum();
                    (first + claim.column.column, claim)
                })
                .collect();
            verify_cells(opening.commitment, num_vars, &claims)?;
        }
        Ok(())
    }

    fn soundness(_openings: &[OpeningShape<'_>]) -> Result<Vec<SoundnessTerm>, Error> {
        Ok(vec![])
    }
}

/// Checks claims on columns of these numbers of variables, which lie one after another; a claim
/// comes with the position of its column.
///
/// # Soundness
/// Accepts if and only if every claim is true.
pub(crate) fn verify_cells(
    cells: &Cells,
    num_vars: impl IntoIterator<Item = usize>,
    claims: &[(usize, &Claim<E>)],
) -> Result<(), Error> {
    let mut columns: Vec<&[F]> = vec![];
    let mut rest = cells.as_slice();
    for num_vars in num_vars {
        let (head, tail) = rest
            .split_at_checked(1 << num_vars)
            .ok_or(Error::Commitment {
                reason: "fewer cells than the shape has",
            })?;
        columns.push(head);
        rest = tail;
    }
    for (position, claim) in claims {
        let column = columns
            .get(*position)
            .ok_or_else(|| claim.unfit("no such column"))?;
        if evaluate(column, &claim.point) != claim.value {
            return Err(TapeError::Rejected { check: VALUE }.into());
        }
    }
    Ok(())
}

/// `sum_x eq(r, x) f(x)` over the cells that there are, as `sum_h eq(r_h, h) sum_l eq(r_l, l) f(h, l)` with `r = (r_h, r_l)`
/// cut in the middle: one multiplication of `E` by `F` a cell.
pub(crate) fn evaluate(column: &[F], point: &[E]) -> E {
    let (high, low) = point.split_at(point.len() / 2);
    let low = eq_table(low, 1 << low.len(), E::ONE);
    let high = eq_table(high, 1 << high.len(), E::ONE);
    column
        .chunks(low.len())
        .zip(high)
        .map(|(row, weight)| {
            let inner: E = row.iter().zip(&low).map(|(&cell, &eq)| eq * cell).sum();
            inner * weight
        })
        .sum()
}

#[cfg(feature = "prover")]
impl ProverScheme for Clear {
    type ProverData = ();

    fn commit(_place: Place, shape: &[TableShape], columns: Columns) -> Result<(Cells, ()), Error> {
        crate::scheme::assert_columns(shape, &columns);
        Ok((
            Cells::new(columns.into_iter().flatten().flatten().collect()),
            (),
        ))
    }

    fn send_commitment(commitment: &Cells, _shape: &[TableShape], tape: &mut ProverTape) {
        tape.send_cells(CELLS, commitment);
    }

    fn open(_openings: &[ProverOpening<'_, ()>], _tape: &mut ProverTape) -> Result<(), Error> {
        Ok(())
    }
}
