//! The scheme without cryptography: cells in the clear, and a relation is checked by summing. It is
//! the oracle of everything that is tested above this module.

use super::layout::Layout;
use super::{
    Relation, RelationScheme, SUM, SourceRef, Term, check_terms, columns_in_clear, form, unfit,
};
use crate::cells::Cells;
use crate::channel::Channel;
use crate::clear::{CELLS, Clear, evaluate};
use crate::scheme::{Error, SoundnessTerm};
use crate::transcript::VerifierTape;
use zkstrata_mle::{E, PrimeCharacteristicRing};

#[cfg(feature = "prover")]
use super::{Column, Partial, RelationProver};
#[cfg(feature = "prover")]
use crate::transcript::ProverTape;

/// What the terms on a source in the clear sum to.
pub(super) fn sum(cells: &Cells, layout: &Layout, terms: &[Term]) -> Result<E, Error> {
    let columns = columns_in_clear(cells, layout)?;
    let mut sum = E::ZERO;
    for Term::Column {
        column,
        point,
        coef,
    } in terms
    {
        let cells = columns.get(column);
        let cells = cells.ok_or_else(|| unfit(*column, "no such column"))?;
        sum += *coef * evaluate(cells, point);
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
            <Self as RelationScheme>::check_commitment(source.commitment, source.layout)?;
            sum += self::sum(source.commitment, source.layout, terms)?;
        }
        Ok(tape.assert_zero(sum - relation.target, SUM)?)
    }

    fn soundness(_sources: &[&Layout]) -> Result<Vec<SoundnessTerm>, Error> {
        Ok(vec![])
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
}
