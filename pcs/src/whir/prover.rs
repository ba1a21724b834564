//! Committing and opening.
#![allow(clippy::indexing_slicing)]

use super::batches::{Batches, Located, locate};
use super::plan::{FIRST_FOLD, Part, plan};
use super::stack::{Columns as Stacked, Stack};
use super::trees::Trees;
use super::{CLAIMS, PROOF, ROOT, Whir, WhirCommitment, config, transcribe, wire};
use crate::cells::Cells;
use crate::clear::{CELLS, verify_cells};
use crate::scheme::{
    Columns, Error, Place, ProverOpening, ProverScheme, TableShape, assert_columns, check_claims,
};
use crate::transcript::ProverTape;
use p3_commit::Mmcs;
use p3_matrix::dense::DenseMatrix;
use p3_sumcheck::commit::commit_base;
use zkstrata_mle::F;

/// What the prover keeps of a commitment.
pub struct WhirData {
    shape: Vec<TableShape>,
    roots: Vec<[u8; 32]>,
    parts: Vec<(Part, PartData)>,
}

enum PartData {
    Clear(Cells),
    Tree(Tree),
}

/// A part that the library opens.
struct Tree {
    log_cells: usize,
    columns: Stacked,
    merkle: <Trees as Mmcs<F>>::ProverData<DenseMatrix<F>>,
}

impl Tree {
    fn commit(
        part: &Part,
        log_cells: usize,
        values: Vec<Vec<F>>,
    ) -> Result<([u8; 32], Self), Error> {
        let config = config::config(log_cells)?;
        let columns = Stacked::new(part, log_cells, values);
        let (root, merkle) = commit_base(
            &config::dft(),
            &Trees::new(),
            log_cells,
            FIRST_FOLD,
            config.starting_log_inv_rate,
            |message| columns.write(message),
        );
        let tree = Self {
            log_cells,
            columns,
            merkle,
        };
        Ok((root.roots()[0], tree))
    }

    fn open(
        &self,
        part: &Part,
        claims: &[Located<'_>],
        tape: &mut ProverTape,
    ) -> Result<(), Error> {
        let batches = Batches::new(part, claims);
        let pcs = config::pcs::<Stack<'_>>(self.log_cells)?;
        let parameters = |error: p3_whir::WhirConfigError| Error::Parameters {
            reason: error.to_string(),
        };
        pcs.validate_initial_claims(claims.len())
            .map_err(parameters)?;
        let mut stack = Stack::new(&self.columns, &batches).ok_or_else(|| Error::Opening {
            reason: "a claim is false".into(),
        })?;
        tape.blob(PROOF, |sponge| {
            stack.absorb(&batches, sponge);
            let merkle = self.merkle.clone();
            pcs.prove(vec![], sponge, stack, merkle, batches.points.len())
                .map(|proof| wire::encode(&pcs, &proof))
                .map_err(parameters)
        })
    }
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
            let values: Vec<Vec<F>> = part
                .columns
                .iter()
                .map(|c| std::mem::take(&mut columns[c.id.table][c.id.column]))
                .collect();
            let data = if let Some(log_cells) = part.log_cells {
                let (root, tree) = rayon::scope(|_| Tree::commit(&part, log_cells, values))?;
                commitment.roots.push(root);
                PartData::Tree(tree)
            } else {
                let cells = Cells::new(values.concat());
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
            for (part, part_data) in &data.parts {
                let claims = locate(part, &data.shape, opening.claims);
                match part_data {
                    PartData::Clear(cells) => {
                        verify_cells(cells, part.columns.iter().map(|c| c.num_vars), &claims)?;
                    }
                    PartData::Tree(_) if claims.is_empty() => {}
                    // One switch to the pool's threads instead of one a parallel loop.
                    PartData::Tree(tree) => rayon::scope(|_| tree.open(part, &claims, tape))?,
                }
            }
        }
        Ok(())
    }
}
