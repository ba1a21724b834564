//! Commitments by Merkle trees over Reed-Solomon words, opened with WHIR (Arnon, Chiesa, Fenzi,
//! Yogev, "WHIR: Reed-Solomon proximity testing with super-fast verification", 2024/1586) as
//! p3-whir implements it.
//!
//! A commitment is a list of parts ([`plan`]): each is one polynomial for the library, whose
//! columns are stacked in decreasing order, or a few columns in the clear. A part is opened by one
//! proof of the library for all claims on it; the parts of all commitments follow each other on
//! one tape. Of a proof the tape holds everything but the claimed values, which the verifier fills
//! in: there is no other value that could be compared with them.
//!
//! Many claims on a column are opened as they are. A claim costs one pass over its column, 64
//! inner products with the same weights, and the verifier microseconds; reducing the claims to one
//! point by a sumcheck would first build a table of `E` as long as the column for each of them.
//!
//! Before a proof starts, both sides absorb the roots of its commitment and each claim: column,
//! point and value. What the library draws first is the challenge that batches the claims.

mod batches;
mod config;
#[cfg(feature = "prover")]
mod cost;
mod plan;
mod trees;
mod wire;

use crate::cells::Cells;
use crate::clear::{CELLS, verify_cells};
use crate::scheme::{
    Claim, CommitmentScheme, Error, Opening, OpeningShape, Place, SoundnessTerm, TableShape,
    check_claims,
};
use crate::transcript::VerifierTape;
use batches::{Batches, Located, locate};
use p3_sumcheck::PrescribedPointPcs;
use p3_whir::PcsProof;
use plan::{Part, plan};
use serde::{Deserialize, Serialize};
use zkstrata_mle::{E, PrimeCharacteristicRing};

#[cfg(feature = "prover")]
mod prover;
#[cfg(feature = "prover")]
mod stack;
#[cfg(feature = "prover")]
pub(crate) use config::dft;
#[cfg(feature = "prover")]
pub(crate) use cost::siblings;
#[cfg(feature = "prover")]
pub use cost::{PartCost, TreeCost};
#[cfg(feature = "prover")]
pub use prover::WhirData;

/// Message of a root.
const ROOT: &str = "root";

/// Message of an opening proof.
const PROOF: &str = "opening proof";

/// What is absorbed of the claims.
const CLAIMS: &str = "claims";

/// Merkle trees and WHIR.
#[derive(Clone, Copy, Debug)]
pub struct Whir;

/// A commitment: the roots of its parts and the columns that are in the clear.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhirCommitment {
    roots: Vec<[u8; 32]>,
    clear: Option<Cells>,
}

impl Whir {
    /// Reads a commitment made for a place from the tape.
    pub(crate) fn recv_at(
        place: Place,
        shape: &[TableShape],
        tape: &mut VerifierTape<'_>,
    ) -> Result<WhirCommitment, Error> {
        let mut commitment = WhirCommitment {
            roots: vec![],
            clear: None,
        };
        for part in plan(place, shape)? {
            if part.log_cells.is_some() {
                commitment.roots.push(tape.recv_array(ROOT)?);
            } else {
                commitment.clear = Some(tape.recv_cells(CELLS, part.cells())?);
            }
        }
        Ok(commitment)
    }
}

impl CommitmentScheme for Whir {
    type Commitment = WhirCommitment;

    const NAME: &'static str = "whir";

    const PARAMETERS: u32 = 2;

    fn recv_commitment(
        shape: &[TableShape],
        tape: &mut VerifierTape<'_>,
    ) -> Result<WhirCommitment, Error> {
        Self::recv_at(Place::Proof, shape, tape)
    }

    fn check_commitment(commitment: &WhirCommitment, shape: &[TableShape]) -> Result<(), Error> {
        check_form(commitment, &plan(Place::Key, shape)?)
    }

    fn verify(
        openings: &[Opening<'_, WhirCommitment>],
        tape: &mut VerifierTape<'_>,
    ) -> Result<(), Error> {
        for opening in openings {
            let parts = plan(opening.place, opening.shape)?;
            check_form(opening.commitment, &parts)?;
            check_claims(opening.shape, opening.claims)?;
            tape.bind_bytes(ROOT, &opening.commitment.roots.concat());
            tape.bind(CLAIMS, &transcribe(opening.claims));
            let mut roots = opening.commitment.roots.iter();
            for part in &parts {
                let claims = locate(part, opening.shape, opening.claims);
                if part.log_cells.is_none() {
                    let cells = opening.commitment.clear.as_ref();
                    let cells = cells.ok_or_else(|| form("no columns in the clear"))?;
                    verify_cells(cells, part.columns.iter().map(|c| c.num_vars), &claims)?;
                    continue;
                }
                let root = roots.next().ok_or_else(|| form("too few roots"))?;
                verify_part(part, *root, &claims, tape)?;
            }
        }
        Ok(())
    }

    fn soundness(openings: &[OpeningShape<'_>]) -> Result<Vec<SoundnessTerm>, Error> {
        let mut terms = vec![];
        for opening in openings {
            for part in plan(opening.place, opening.shape)? {
                if let Some(log_cells) = part.log_cells {
                    terms.push(config::soundness(opening.place, log_cells, opening.claims)?);
                }
            }
        }
        Ok(terms)
    }
}

fn form(reason: &'static str) -> Error {
    Error::Commitment { reason }
}

/// Checks that a commitment has a root for each part, and its columns in the clear.
fn check_form(commitment: &WhirCommitment, parts: &[Part]) -> Result<(), Error> {
    let (mut roots, mut clear) = (0usize, None);
    for part in parts {
        match part.log_cells {
            Some(_) => roots += 1,
            None => clear = Some(part.cells()),
        }
    }
    if commitment.roots.len() != roots {
        return Err(form("the number of roots is not the shape's"));
    }
    if commitment.clear.as_ref().map(Cells::len) != clear {
        return Err(form("the cells in the clear are not those of the shape"));
    }
    Ok(())
}

/// What both sides absorb of the claims. The numbers of coordinates follow from the shape.
fn transcribe(claims: &[Claim<E>]) -> Vec<E> {
    let mut scalars = vec![];
    for claim in claims {
        scalars.push(E::from_usize(claim.column.table));
        scalars.push(E::from_usize(claim.column.column));
        scalars.extend(claim.point.iter());
        scalars.push(claim.value);
    }
    scalars
}

/// Verifies the claims on one part.
fn verify_part(
    part: &Part,
    root: [u8; 32],
    claims: &[Located<'_>],
    tape: &mut VerifierTape<'_>,
) -> Result<(), Error> {
    let (Some(log_cells), false) = (part.log_cells, claims.is_empty()) else {
        return Ok(());
    };
    let batches = Batches::new(part, claims);
    let pcs = config::pcs::<config::Prefix>(part.place, log_cells)?;
    tape.blob(PROOF, |bytes, sponge| {
        let whir = wire::decode(&pcs, bytes).ok_or_else(|| Error::Opening {
            reason: "the bytes are not a proof of the shape".into(),
        })?;
        let proof = PcsProof {
            whir,
            evals: batches.values,
        };
        let root = wire::root(root);
        pcs.verify_at(&root, &proof, &batches.protocol, &batches.points, sponge)
            .map(drop)
            .map_err(|error| Error::Opening {
                reason: error.to_string(),
            })
    })
}

#[cfg(all(test, feature = "prover"))]
mod tests {
    use super::*;
    use crate::ProverScheme;
    use crate::clear::evaluate;
    use crate::scheme::ColumnId;
    use crate::transcript::TapeError;
    use zkstrata_mle::{F, Point};

    fn shape(tables: &[(usize, usize)]) -> Vec<TableShape> {
        let table = |&(num_vars, width)| TableShape { num_vars, width };
        tables.iter().map(table).collect()
    }

    fn columns(shape: &[TableShape]) -> crate::Columns {
        let cell = |i: usize| F::from_usize(i * i + 3);
        let column = |table: &TableShape| (0..1 << table.num_vars).map(cell).collect();
        let table = |table| vec![column(table); table.width];
        shape.iter().map(table).collect()
    }

    /// With a part in a tree and one in the clear.
    #[test]
    fn a_commitment_has_the_roots_and_cells_of_its_shape() {
        let shape = shape(&[(15, 1), (0, 1)]);
        let committed = Whir::commit(Place::Key, &shape, columns(&shape));
        let (honest, _) = committed.expect("a valid shape");
        assert_eq!((honest.roots.len(), honest.clear.is_some()), (1, true));
        let judge = |commitment: &WhirCommitment| {
            let opening = Opening {
                commitment,
                place: Place::Key,
                shape: &shape,
                claims: &[],
            };
            let verdicts = [
                Whir::check_commitment(commitment, &shape),
                Whir::verify(&[opening], &mut VerifierTape::new(&[0; 32], &[])),
            ];
            let ok = verdicts.iter().filter(|verdict| verdict.is_ok()).count();
            let fault = |e| matches!(e, Err(Error::Commitment { .. }));
            assert_eq!(
                ok + verdicts
                    .into_iter()
                    .filter_map(|v| fault(v).then_some(()))
                    .count(),
                2
            );
            ok
        };
        assert_eq!(judge(&honest), 2);
        let changed = |change: &dyn Fn(&mut WhirCommitment)| {
            let mut commitment = honest.clone();
            change(&mut commitment);
            judge(&commitment)
        };
        assert_eq!(changed(&|c| c.roots.push([7; 32])), 0);
        assert_eq!(changed(&|c| c.roots.clear()), 0);
        assert_eq!(changed(&|c| c.clear = None), 0);
        assert_eq!(changed(&|c| c.clear = Some(Cells::new(vec![]))), 0);
        assert_eq!(changed(&|c| c.clear = Some(Cells::new(vec![F::ONE; 2]))), 0);
    }

    /// All in the clear: nothing else stands against a false claim.
    #[test]
    fn a_false_claim_on_a_column_in_the_clear_is_refused() {
        let shape = shape(&[(3, 2), (5, 1)]);
        let columns = columns(&shape);
        let committed = Whir::commit(Place::Proof, &shape, columns.clone());
        let (commitment, _) = committed.expect("a valid shape");
        let claim = |table: usize, column, off: E| {
            let vars = shape[table].num_vars;
            let point = Point::new((0..vars).map(|k| E::from_usize(k + 9)).collect());
            Claim {
                column: ColumnId { table, column },
                value: evaluate(&columns[table][column], &point) + off,
                point,
            }
        };
        let verdict = |off: [E; 3]| {
            let places = [(0, 0), (0, 1), (1, 0)];
            let claims = places.iter().zip(off);
            let claims: Vec<_> = claims.map(|(&(t, c), off)| claim(t, c, off)).collect();
            let opening = Opening {
                commitment: &commitment,
                place: Place::Proof,
                shape: &shape,
                claims: &claims,
            };
            Whir::verify(&[opening], &mut VerifierTape::new(&[0; 32], &[]))
        };
        assert_eq!(verdict([E::ZERO; 3]), Ok(()));
        for k in 0..3 {
            let mut off = [E::ZERO; 3];
            off[k] = E::ONE;
            let check = "value of a column in the clear";
            assert_eq!(verdict(off), Err(TapeError::Rejected { check }.into()));
        }
    }
}
