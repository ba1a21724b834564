//! Committing and opening.

use super::batches::{Batches, Located, locate};
use super::plan::{Part, first_fold, plan};
use super::stack::{Columns as Stacked, Stack, absorb};
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
use p3_sumcheck::layout::Layout;
use zkstrata_mle::{E, F};

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
    place: Place,
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
        let config = config::config(part.place, log_cells)?;
        let columns = Stacked::new(part, log_cells, values);
        let (root, merkle) = commit_base(
            &config::dft(),
            &Trees::new(),
            log_cells,
            first_fold(part.place),
            config.starting_log_inv_rate,
            |message| columns.write(message),
        );
        let tree = Self {
            place: part.place,
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
        let stack = Stack::new(&self.columns, &batches);
        if !stack.is_true() {
            return Err(Error::Opening {
                reason: "a claim is false".into(),
            });
        }
        self.prove(stack, &batches, tape)
    }

    /// Proves the claims, whether they are true or not.
    fn prove<L: Layout<F, E>>(
        &self,
        mut stack: L,
        batches: &Batches,
        tape: &mut ProverTape,
    ) -> Result<(), Error> {
        let pcs = config::pcs::<L>(self.place, self.log_cells)?;
        tape.blob(PROOF, |sponge| {
            absorb(&mut stack, batches, sponge);
            let merkle = self.merkle.clone();
            pcs.prove(vec![], sponge, stack, merkle, batches.points.len())
                .map(|proof| wire::encode(&pcs, &proof))
                .map_err(|error| Error::Parameters {
                    reason: error.to_string(),
                })
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::scheme::{Claim, ColumnId};
    use crate::transcript::VerifierTape;
    use crate::whir::verify_part;
    use p3_challenger::fs::TranscriptField;
    use p3_challenger::{FieldChallenger, GrindingChallenger};
    use p3_multilinear_util::point::Point as LibraryPoint;
    use p3_sumcheck::layout::{LayoutStrategy, StackedClaims, Table, Witness};
    use p3_sumcheck::strategy::SumcheckProver;
    use p3_sumcheck::{OpeningEvals, OpeningRequest, SumcheckData, TableShape as LibraryShape};
    use zkstrata_mle::{Point, PrimeCharacteristicRing};

    /// An opening by a prover who does not care whether its claims are true: after the first round it
    /// proves what the product sums to.
    struct Indifferent<'a>(Stack<'a>);

    impl Layout<F, E> for Indifferent<'_> {
        fn strategy() -> LayoutStrategy {
            Stack::strategy()
        }
        fn folding(&self) -> usize {
            self.0.folding()
        }
        fn num_variables(&self) -> usize {
            self.0.num_variables()
        }
        fn num_variables_table(&self, table: usize) -> usize {
            self.0.num_variables_table(table)
        }
        fn table_shapes(&self) -> Vec<LibraryShape> {
            self.0.table_shapes()
        }
        fn num_claims(&self) -> usize {
            self.0.num_claims()
        }
        fn num_virtual_claims(&self) -> usize {
            self.0.num_virtual_claims()
        }
        fn record_opening_known(
            &mut self,
            table: usize,
            batch: &OpeningRequest,
            point: &LibraryPoint<E>,
            values: &OpeningEvals<E>,
        ) {
            self.0.record_opening_known(table, batch, point, values);
        }
        fn into_sumcheck<Challenger>(
            self,
            data: &mut SumcheckData<F, E>,
            work: usize,
            challenger: &mut Challenger,
        ) -> (SumcheckProver<F, E>, LibraryPoint<E>)
        where
            F: TranscriptField,
            Challenger: FieldChallenger<F> + GrindingChallenger<Witness = F>,
        {
            let (product, _, rho) = self.0.first_round(data, work, challenger);
            let sum = product.dot_product();
            (SumcheckProver::new(product, sum), rho)
        }
        fn from_witness(_: Witness<F>) -> Self {
            unreachable!("as in the layout")
        }
        fn new_witness(tables: Vec<Table<F>>, folding: usize) -> Witness<F> {
            Stack::new_witness(tables, folding)
        }
        fn write_message(witness: &Witness<F>, folding: usize, message: &mut [F]) {
            Stack::write_message(witness, folding, message);
        }
        fn claims(&self) -> &StackedClaims<F, E> {
            self.0.claims()
        }
        fn record_opening(
            &mut self,
            table: usize,
            batch: &OpeningRequest,
            point: &LibraryPoint<E>,
        ) -> OpeningEvals<E> {
            self.0.record_opening(table, batch, point)
        }
        fn record_virtual(&mut self, point: &LibraryPoint<E>) -> E {
            self.0.record_virtual(point)
        }
    }

    const SHAPE: [TableShape; 2] = [
        TableShape {
            num_vars: 13,
            width: 1,
        },
        TableShape {
            num_vars: 3,
            width: 2,
        },
    ];

    /// A proof of one claim on each table, true or not, by a prover that does not look; the bytes
    /// of the blob; and the verdict on it, its proof having been changed.
    fn judge(false_by: [E; 2], change: impl FnOnce(&mut Vec<u8>)) -> Result<(), Error> {
        let columns: Vec<Vec<F>> = [13, 3, 3]
            .iter()
            .map(|&n| (0..1u64 << n).map(|i| F::from_u64(i * i + 5)).collect())
            .collect();
        let part = plan(Place::Proof, &SHAPE).unwrap().remove(0);
        let log_cells = part.log_cells.unwrap();
        let point = |n: u64| Point::new((0..n).map(|k| E::from_u64(k * k + 9)).collect());
        let claims: Vec<Claim<E>> = [(0, 0, 0, 13), (1, 1, 2, 3)]
            .iter()
            .zip(false_by)
            .map(|(&(table, column, k, n), false_by)| Claim {
                column: ColumnId { table, column },
                point: point(n),
                value: crate::clear::evaluate(&columns[k], &point(n)) + false_by,
            })
            .collect();
        let claims = locate(&part, &SHAPE, &claims);
        let (root, tree) = Tree::commit(&part, log_cells, columns.clone()).unwrap();
        let batches = Batches::new(&part, &claims);
        let stack = Stack::new(&tree.columns, &batches);
        let all_true = false_by == [E::ZERO; 2];
        assert_eq!(stack.is_true(), all_true);
        if !all_true {
            let mut tape = ProverTape::new(&[0; 32]);
            assert!(tree.open(&part, &claims, &mut tape).is_err());
        }
        let mut tape = ProverTape::new(&[0; 32]);
        tree.prove(Indifferent(stack), &batches, &mut tape).unwrap();
        let mut bytes = tape.finish();
        change(&mut bytes);
        let mut tape = VerifierTape::new(&[0; 32], &bytes);
        verify_part(&part, root, &claims, &mut tape)?;
        tape.finish()?;
        Ok(())
    }

    #[test]
    fn a_proof_of_a_false_claim_is_refused_at_its_end() {
        assert_eq!(judge([E::ZERO; 2], |_| ()), Ok(()));
        for false_by in [[E::ONE, E::ZERO], [E::ZERO, E::ONE], [E::ONE, -E::ONE]] {
            match judge(false_by, |_| ()) {
                Err(Error::Opening { .. }) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// Proofs of work that one thread finds are small numbers: with the modulus added they still fit
    /// 8 bytes.
    #[test]
    fn elements_beyond_the_modulus_are_refused() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build();
        pool.unwrap().install(refuse_elements_beyond_the_modulus);
    }

    fn refuse_elements_beyond_the_modulus() {
        use zkstrata_mle::PrimeField64;
        let small = |bytes: &[u8], k: usize| {
            let element = bytes.get(4 + 8 * k..)?.first_chunk()?;
            u64::from_le_bytes(*element).checked_add(F::ORDER_U64)
        };
        let mut refused = 0;
        let mut k = 0;
        loop {
            let (mut elements, mut changed) = (0, false);
            let verdict = judge([E::ZERO; 2], |bytes| {
                elements = (bytes.len() - 4) / 8;
                while k < elements && small(bytes, k).is_none() {
                    k += 1;
                }
                if let Some(other) = small(bytes, k) {
                    bytes[4 + 8 * k..][..8].copy_from_slice(&other.to_le_bytes());
                    changed = true;
                }
            });
            if !changed {
                break;
            }
            match verdict {
                // Or 8 bytes across two elements.
                Err(Error::Opening { reason }) => {
                    refused += usize::from(reason.contains("not a proof"));
                }
                other => panic!("element {k}: {other:?}"),
            }
            k += 1;
        }
        assert!(refused > 0, "a proof holds proofs of work");
    }

    #[test]
    fn a_proof_has_one_encoding() {
        let lengths = |delta: i64| {
            judge([E::ZERO; 2], |bytes| {
                let len = (bytes.len() as i64 + delta) as usize;
                bytes.resize(len, 0);
                bytes[..4].copy_from_slice(&(len as u32 - 4).to_le_bytes());
            })
        };
        assert_eq!(lengths(0), Ok(()));
        for delta in [-1, -16, -4000, 1, 8, 16, 32] {
            assert!(matches!(lengths(delta), Err(Error::Opening { .. })));
        }
    }
}
