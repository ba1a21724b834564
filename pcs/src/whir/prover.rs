//! Committing and opening.
#![allow(clippy::indexing_slicing, clippy::expect_used)]

use super::batches::Batches;
use super::config::{self, Pcs};
use super::plan::{Part, plan};
use super::{CLAIMS, Layout, PROOF, ROOT, Whir, WhirCommitment, transcribe, wire};
use crate::cells::Cells;
use crate::clear::{CELLS, verify_cells};
use crate::scheme::{
    Columns, Error, Place, ProverOpening, ProverScheme, TableShape, assert_columns, check_claims,
};
use crate::transcript::{ProverTape, Sponge};
use p3_commit::MultilinearPcs;
use p3_matrix::dense::RowMajorMatrix;
use p3_sumcheck::PrescribedPointPcs;
use p3_sumcheck::layout::{Layout as _, Table};
use zkstrata_mle::{E, F, PrimeCharacteristicRing};

/// What the prover keeps of a commitment.
pub struct WhirData {
    shape: Vec<TableShape>,
    roots: Vec<[u8; 32]>,
    parts: Vec<(Part, PartData)>,
}

enum PartData {
    Clear(Cells),
    Tree(
        Box<Pcs<Layout>>,
        Box<<Pcs<Layout> as MultilinearPcs<E, Sponge>>::ProverData>,
    ),
}

impl ProverScheme for Whir {
    type ProverData = WhirData;

    fn commit(
        place: Place,
        shape: &[TableShape],
        mut columns: Columns,
    ) -> Result<(WhirCommitment, WhirData), Error> {
        assert_columns(shape, &columns);
        let mut commitment = WhirCommitment {
            roots: vec![],
            clear: None,
        };
        let mut parts = vec![];
        for part in plan(place, shape)? {
            let mut tables: Vec<Vec<Vec<F>>> = part
                .tables
                .iter()
                .map(|t| {
                    columns[t.table][t.first..t.first + t.width]
                        .iter_mut()
                        .map(std::mem::take)
                        .collect()
                })
                .collect();
            let data = if let Some(log_cells) = part.log_cells {
                for (table, t) in tables.iter_mut().zip(&part.tables) {
                    for column in table {
                        column.resize(1 << t.padded_vars(), F::ZERO);
                    }
                }
                let tables = tables
                    .into_iter()
                    .zip(&part.tables)
                    .map(|(t, p)| Table::new(RowMajorMatrix::new(t.concat(), 1 << p.padded_vars())))
                    .collect();
                let pcs = config::pcs::<Layout>(log_cells)?;
                let witness = Layout::new_witness(tables, super::plan::FIRST_FOLD);
                let mut sponge = crate::transcript::scratch_sponge();
                let (root, data) = MultilinearPcs::<E, Sponge>::commit(&pcs, witness, &mut sponge)
                    .map_err(|error| Error::Parameters {
                        reason: error.to_string(),
                    })?;
                commitment.roots.push(root.roots()[0]);
                PartData::Tree(Box::new(pcs), Box::new(data))
            } else {
                let cells = Cells::new(tables.into_iter().flatten().flatten().collect());
                commitment.clear = Some(cells.clone());
                PartData::Clear(cells)
            };
            parts.push((part, data));
        }
        let data = WhirData {
            shape: shape.to_vec(),
            roots: commitment.roots.clone(),
            parts,
        };
        Ok((commitment, data))
    }

    fn send_commitment(commitment: &WhirCommitment, _shape: &[TableShape], tape: &mut ProverTape) {
        for root in &commitment.roots {
            tape.send_bytes(ROOT, root);
        }
        if let Some(cells) = &commitment.clear {
            tape.send_cells(CELLS, cells);
        }
    }

    fn open(openings: &[ProverOpening<'_, WhirData>], tape: &mut ProverTape) -> Result<(), Error> {
        for opening in openings {
            let data = opening.data;
            check_claims(&data.shape, opening.claims)?;
            tape.bind_bytes(ROOT, &data.roots.concat());
            tape.bind(CLAIMS, &transcribe(opening.claims));
            for (part, data) in &data.parts {
                let claims = part.select(opening.claims);
                let (pcs, data) = match data {
                    PartData::Clear(cells) => {
                        verify_cells(cells, &part.shape(), &claims)?;
                        continue;
                    }
                    PartData::Tree(pcs, data) => (pcs, data),
                };
                if claims.is_empty() {
                    continue;
                }
                let batches = Batches::new(part, &claims);
                tape.blob(PROOF, |sponge| {
                    let proof = pcs
                        .open_at((**data).clone(), &batches.protocol, &batches.points, sponge)
                        .map_err(|error| Error::Parameters {
                            reason: error.to_string(),
                        })?;
                    if proof.evals != batches.values {
                        return Err(Error::Opening {
                            reason: "a claim is false".into(),
                        });
                    }
                    Ok(wire::encode(pcs, &proof.whir))
                })?;
            }
        }
        Ok(())
    }
}
