//! The bytes of an opening proof.
//!
//! Every length but one follows from the parameters, so there are no length prefixes, and field
//! elements are 8 canonical bytes a coefficient: a proof has one encoding. The exception is the
//! number of Merkle siblings, which depends on how the queries' paths overlap; it is a `u32`, and
//! the library checks it against the queries. The claimed values are not in the proof at all.

use super::super::tree::{DIGEST, Trees};
use super::Config;
use p3_merkle_tree::{MerkleCap, PrunedMerklePaths};
use p3_multilinear_util::poly::Poly;
use p3_sumcheck::SumcheckData;
use p3_whir::{QueryOpenings, RoundConfig, SharedProofOpening, WhirProof, WhirRoundProof};
use zkstrata_mle::{BasedVectorSpace, E, F, PrimeCharacteristicRing, PrimeField64};

/// A proof as the library knows it, without the claimed values.
pub(super) type Proof = WhirProof<F, E, Trees>;

type Paths = PrunedMerklePaths<u8, DIGEST>;

type Openings = QueryOpenings<F, E, Paths>;

/// Rows that a round opens: every row of a small domain, or one for each query.
pub(super) fn rows(round: &RoundConfig) -> usize {
    round
        .num_queries
        .min(round.domain_size >> round.folding_factor)
}

/// The rounds of the proof in order, the last one included.
pub(super) fn rounds(config: &Config) -> (&[RoundConfig], RoundConfig) {
    (config.round_parameters(), config.final_round_config())
}

/// Decodes a proof. `None` if the bytes are not the encoding of a proof with these parameters.
pub(super) fn decode(config: &Config, bytes: &[u8]) -> Option<Proof> {
    let (rounds, last) = rounds(config);
    let folds = config.folding_schedule();
    let reader = &mut Reader(bytes);
    let initial_ood_answers = reader.scalars(config.commitment_ood_samples())?;
    let initial_sumcheck = reader.sumcheck(*folds.first()?, config.starting_folding_pow_bits())?;
    let mut round_proofs = Vec::with_capacity(rounds.len());
    for (k, (round, &fold)) in rounds.iter().zip(folds.iter().skip(1)).enumerate() {
        round_proofs.push(WhirRoundProof {
            commitment: Some(MerkleCap::new(vec![reader.array()?])),
            ood_answers: reader.scalars(round.ood_samples)?,
            pow_witness: reader.work(round.pow_bits)?,
            openings: reader.openings(round, k == 0)?,
            sumcheck: reader.sumcheck(fold, round.folding_pow_bits)?,
        });
    }
    let final_poly = reader.scalars(1usize.checked_shl(last.num_variables.try_into().ok()?)?)?;
    let final_pow_witness = reader.work(last.pow_bits)?;
    let final_openings = reader.openings(&last, rounds.is_empty())?;
    let final_sumcheck = match config.final_sumcheck_rounds() {
        0 => None,
        n => Some(reader.sumcheck(n, config.final_folding_pow_bits())?),
    };
    reader.0.is_empty().then_some(WhirProof {
        initial_ood_answers,
        initial_sumcheck,
        rounds: round_proofs,
        final_poly: Some(Poly::new(final_poly)),
        final_pow_witness,
        final_openings,
        final_sumcheck,
    })
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*head)
    }

    fn element(&mut self) -> Option<F> {
        let value = u64::from_le_bytes(self.array()?);
        (value < F::ORDER_U64).then(|| F::from_u64(value))
    }

    fn scalar(&mut self) -> Option<E> {
        let coefficients = [self.element()?, self.element()?];
        E::from_basis_coefficients_slice(&coefficients)
    }

    /// `n` items of `size` bytes; nothing is allocated unless there are as many bytes.
    fn list<T>(
        &mut self,
        n: usize,
        size: usize,
        mut item: impl FnMut(&mut Self) -> Option<T>,
    ) -> Option<Vec<T>> {
        if self.0.len() < n.checked_mul(size)? {
            return None;
        }
        (0..n).map(|_| item(self)).collect()
    }

    fn scalars(&mut self, n: usize) -> Option<Vec<E>> {
        self.list(n, 16, Self::scalar)
    }

    fn work(&mut self, bits: usize) -> Option<F> {
        if bits == 0 {
            Some(F::ZERO)
        } else {
            self.element()
        }
    }

    fn sumcheck(&mut self, rounds: usize, work: usize) -> Option<SumcheckData<F, E>> {
        let works = if work == 0 { 0 } else { rounds };
        Some(SumcheckData {
            polynomial_evaluations: self.list(rounds, 32, |reader| {
                Some([reader.scalar()?, reader.scalar()?])
            })?,
            pow_witnesses: self.list(works, 8, Self::element)?,
        })
    }

    fn openings(&mut self, round: &RoundConfig, base: bool) -> Option<Openings> {
        let width = 1usize.checked_shl(round.folding_factor.try_into().ok()?)?;
        let count = rows(round);
        Some(if base {
            QueryOpenings::Base(SharedProofOpening {
                rows: self.list(count, 8 * width, |reader| {
                    reader.list(width, 8, Self::element)
                })?,
                proof: self.siblings()?,
            })
        } else {
            QueryOpenings::Extension(SharedProofOpening {
                rows: self.list(count, 16 * width, |reader| reader.scalars(width))?,
                proof: self.siblings()?,
            })
        })
    }

    fn siblings(&mut self) -> Option<Paths> {
        let count = u32::from_le_bytes(self.array()?);
        Some(PrunedMerklePaths {
            sibling_hashes: self.list(count.try_into().ok()?, DIGEST, Self::array)?,
        })
    }
}

/// Encodes a proof that the library made with these parameters.
#[cfg(feature = "prover")]
pub(super) fn encode(config: &Config, proof: &Proof) -> Vec<u8> {
    let (rounds, last) = rounds(config);
    let mut writer = Writer(vec![]);
    writer.scalars(&proof.initial_ood_answers);
    writer.sumcheck(&proof.initial_sumcheck);
    for (round, proof) in rounds.iter().zip(&proof.rounds) {
        if let Some(root) = &proof.commitment {
            writer.0.extend(root.roots().iter().flatten());
        }
        writer.scalars(&proof.ood_answers);
        writer.work(round.pow_bits, proof.pow_witness);
        writer.openings(&proof.openings);
        writer.sumcheck(&proof.sumcheck);
    }
    if let Some(poly) = &proof.final_poly {
        writer.scalars(poly.as_slice());
    }
    writer.work(last.pow_bits, proof.final_pow_witness);
    writer.openings(&proof.final_openings);
    if let Some(sumcheck) = &proof.final_sumcheck {
        writer.sumcheck(sumcheck);
    }
    writer.0
}

#[cfg(feature = "prover")]
struct Writer(Vec<u8>);

#[cfg(feature = "prover")]
impl Writer {
    fn elements(&mut self, values: &[F]) {
        for value in values {
            self.0
                .extend_from_slice(&value.as_canonical_u64().to_le_bytes());
        }
    }

    fn scalars(&mut self, values: &[E]) {
        for value in values {
            self.elements(value.as_basis_coefficients_slice());
        }
    }

    fn work(&mut self, bits: usize, witness: F) {
        if bits > 0 {
            self.elements(&[witness]);
        }
    }

    fn sumcheck(&mut self, data: &SumcheckData<F, E>) {
        for round in &data.polynomial_evaluations {
            self.scalars(round);
        }
        self.elements(&data.pow_witnesses);
    }

    fn openings(&mut self, openings: &Openings) {
        let proof = match openings {
            QueryOpenings::Base(opening) => {
                opening.rows.iter().for_each(|row| self.elements(row));
                &opening.proof
            }
            QueryOpenings::Extension(opening) => {
                opening.rows.iter().for_each(|row| self.scalars(row));
                &opening.proof
            }
        };
        let count = u32::try_from(proof.sibling_hashes.len()).expect("far fewer than 2^32");
        self.0.extend_from_slice(&count.to_le_bytes());
        self.0.extend(proof.sibling_hashes.iter().flatten());
    }
}
