//! The scheme without cryptography: the commitment is the cells, and the verifier sums a relation
//! itself. Nothing is sent to open it and the soundness error is 0. It is the oracle of everything
//! that is tested above this module, and the best scheme for few cells.

use super::layout::Layout;
use super::{
    HiddenLeaves, Relation, RelationScheme, SUM, SourceRef, Term, check_terms, columns_in_clear,
    form, unfit,
};
use crate::cells::Cells;
use crate::channel::Channel;
use crate::claim::{Error, SoundnessTerm};
use crate::transcript::VerifierTape;
use zkstrata_mle::{E, F, PrimeCharacteristicRing, eq_table};

#[cfg(feature = "prover")]
use super::{Column, Partial, RelationProver};
#[cfg(feature = "prover")]
use crate::random::Seed;
#[cfg(feature = "prover")]
use crate::transcript::ProverTape;

/// Message of cells in the clear.
pub(super) const CELLS: &str = "cells";

/// Cells in the clear.
#[derive(Clone, Copy, Debug)]
pub struct Clear;

/// `sum_x eq(r, x) f(x)` over the cells that there are, as `sum_h eq(r_h, h) sum_l eq(r_l, l)
/// f(h, l)` with `r = (r_h, r_l)` cut in the middle: one multiplication of `E` by `F` a cell.
pub(super) fn evaluate(column: &[F], point: &[E]) -> E {
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

/// What the terms on a source in the clear sum to.
pub(super) fn sum(cells: &Cells, layout: &Layout, terms: &[Term]) -> Result<E, Error> {
    let columns = columns_in_clear(cells, layout)?;
    let mut sum = E::ZERO;
    for term in terms {
        let cells = columns.get(&term.column());
        let cells = cells.ok_or_else(|| unfit(term.column(), "no such column"))?;
        sum += match term {
            Term::Column { point, coef, .. } => *coef * evaluate(cells, point),
            Term::Cells { coefs, .. } => {
                let products = coefs.iter().zip(*cells);
                products.map(|(&coef, &cell)| coef * cell).sum()
            }
        };
    }
    Ok(sum)
}

impl RelationScheme for Clear {
    type Commitment = Cells;

    const NAME: &'static str = "clear";

    const PARAMETERS: u32 = 1;

    fn recv_commitment(layout: &Layout, tape: &mut VerifierTape<'_>) -> Result<Cells, Error> {
        Ok(tape.recv_cells(CELLS, layout.cells())?)
    }

    fn check_commitment(commitment: &Cells, layout: &Layout) -> Result<(), Error> {
        if commitment.len() == layout.cells() {
            Ok(())
        } else {
            Err(form("the number of cells is not the layout's"))
        }
    }

    fn verify(
        sources: &[SourceRef<'_, Cells>],
        relation: &Relation,
        tape: &mut VerifierTape<'_>,
    ) -> Result<(), Error> {
        let layouts: Vec<&Layout> = sources.iter().map(|source| source.layout).collect();
        check_terms(&layouts, relation)?;
        let mut sum = E::ZERO;
        for (source, terms) in sources.iter().zip(&relation.terms) {
            Self::check_commitment(source.commitment, source.layout)?;
            sum += self::sum(source.commitment, source.layout, terms)?;
        }
        Ok(tape.assert_zero(sum - relation.target, SUM)?)
    }

    fn soundness(_sources: &[&Layout]) -> Result<Vec<SoundnessTerm>, Error> {
        Ok(vec![])
    }

    fn hidden_leaves(_sources: &[&Layout]) -> Result<Option<HiddenLeaves>, Error> {
        Ok(None)
    }
}

#[cfg(feature = "prover")]
impl RelationProver for Clear {
    type Data = ();

    fn commit(layout: &Layout, columns: Vec<Column>) -> Result<(Cells, ()), Error> {
        super::source::assert_columns(layout, &columns);
        let mut cells = Vec::with_capacity(layout.cells());
        for column in &columns {
            column.append_to(&mut cells);
        }
        Ok((Cells::new(cells), ()))
    }

    fn commit_hidden(
        layout: &Layout,
        columns: Vec<Column>,
        _seed: &Seed,
    ) -> Result<(Cells, ()), Error> {
        Self::commit(layout, columns)
    }

    fn send_commitment(commitment: &Cells, tape: &mut ProverTape) {
        tape.send_cells(CELLS, commitment);
    }

    fn open(
        _sources: &[&()],
        _relation: &Relation,
        _known: &[Vec<Option<Partial>>],
        _tape: &mut ProverTape,
    ) -> Result<(), Error> {
        Ok(())
    }

    fn spend(_data: &(), _uses: usize) -> Result<(), Error> {
        Ok(())
    }

    fn restore(_data: &(), _left: usize) -> Result<(), Error> {
        Ok(())
    }

    fn left(_data: &()) -> Option<usize> {
        None
    }

    fn certify(
        _sources: &[&()],
        _certified: usize,
        _relation: &Relation,
        _tape: &mut ProverTape,
    ) -> Result<(), Error> {
        Ok(())
    }
}
