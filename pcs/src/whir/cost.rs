//! What a commitment and its opening will cost, from the shape alone: before there are columns.

use super::config::Config;
use super::plan::{first_fold, plan};
use super::{Whir, config, wire};
use crate::scheme::{ColumnId, Error, Place, TableShape};
use p3_whir::RoundConfig;

/// Columns that are committed together.
#[derive(Clone, Debug, PartialEq)]
pub struct PartCost {
    /// The columns.
    pub columns: Vec<ColumnId>,
    /// What the part costs, unless it is in the clear.
    pub tree: Option<TreeCost>,
}

/// A part that is committed by a Merkle tree and opened with WHIR.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TreeCost {
    /// Cells, padding included.
    pub cells: usize,
    /// Cells of the committed word.
    pub word: usize,
    /// Cells that are left when the first round has folded.
    pub folded: usize,
    /// Expected number of hashes of all proofs of work.
    pub work: f64,
    /// Expected length of the opening proof on the tape.
    pub proof_bytes: f64,
}

impl Whir {
    /// The parts of a commitment to tables of this shape.
    ///
    /// # Errors
    /// The shape is too large.
    pub fn cost(place: Place, shape: &[TableShape]) -> Result<Vec<PartCost>, Error> {
        let parts = plan(place, shape)?.into_iter().map(|part| {
            let tree = part.log_cells.map(|log_cells| tree(place, log_cells));
            Ok(PartCost {
                columns: part.columns.iter().map(|column| column.id).collect(),
                tree: tree.transpose()?,
            })
        });
        parts.collect()
    }
}

fn tree(place: Place, log_cells: usize) -> Result<TreeCost, Error> {
    let config = config::config(place, log_cells)?;
    let length = expected_length(&config);
    let cells = 1usize << log_cells;
    Ok(TreeCost {
        cells,
        word: cells << config.starting_log_inv_rate,
        folded: cells >> first_fold(place),
        work: length.work,
        // The blob is preceded by its length.
        proof_bytes: length.bytes + 4.0,
    })
}

/// What a proof with given parameters is expected to take.
#[derive(Clone, Copy, Debug, Default)]
struct Length {
    /// Bytes of its encoding.
    bytes: f64,
    /// Hashes of its proofs of work.
    work: f64,
}

/// The expected length of a proof with these parameters, in the order of [`wire::decode`]. Everything but
/// the number of Merkle siblings is exact.
fn expected_length(config: &Config) -> Length {
    let (rounds, last) = wire::rounds(config);
    let folds = config.folding_schedule();
    let mut length = Length::default();
    length.scalars(config.commitment_ood_samples());
    length.sumcheck(
        folds.first().copied().unwrap_or(0),
        config.starting_folding_pow_bits(),
    );
    for (k, (round, &fold)) in rounds.iter().zip(folds.iter().skip(1)).enumerate() {
        length.bytes += 32.0;
        length.scalars(round.ood_samples);
        length.works(1, round.pow_bits);
        length.openings(round, k == 0);
        length.sumcheck(fold, round.folding_pow_bits);
    }
    length.scalars(1 << last.num_variables);
    length.works(1, last.pow_bits);
    length.openings(&last, rounds.is_empty());
    length.sumcheck(
        config.final_sumcheck_rounds(),
        config.final_folding_pow_bits(),
    );
    length
}

impl Length {
    fn scalars(&mut self, n: usize) {
        self.bytes += (16 * n) as f64;
    }

    fn works(&mut self, n: usize, bits: usize) {
        if bits > 0 {
            self.bytes += (8 * n) as f64;
            self.work += n as f64 * (bits as f64).exp2();
        }
    }

    fn sumcheck(&mut self, rounds: usize, work: usize) {
        self.scalars(2 * rounds);
        self.works(rounds, work);
    }

    fn openings(&mut self, round: &RoundConfig, base: bool) {
        let leaves = round.domain_size >> round.folding_factor;
        let cell = if base { 8 } else { 16 };
        self.bytes += (wire::rows(round) * (cell << round.folding_factor)) as f64;
        self.bytes += 4.0;
        if wire::rows(round) < leaves {
            self.bytes += 32.0 * siblings(wire::rows(round), leaves.trailing_zeros());
        }
    }
}

/// The expected number of siblings in the pruned paths of `n` random leaves of a tree of depth `D`.
/// A node of depth `d` is on no path with probability `(1 - 2^-d)^n`, and neither is its sibling
/// with probability `(1 - 2^(1-d))^n`. It is in the proof if it is on no path and its sibling is:
///
/// ```text
/// sum_{d=1}^D 2^d ((1 - 2^-d)^n - (1 - 2^(1-d))^n)
/// ```
pub(crate) fn siblings(n: usize, depth: u32) -> f64 {
    let missed = |d: u32| (1.0 - (-f64::from(d)).exp2()).powf(n as f64);
    let at = |d: u32| f64::from(d).exp2() * (missed(d) - missed(d - 1));
    (1..=depth).map(at).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scheme::{Claim, ProverOpening, ProverScheme};
    use crate::transcript::ProverTape;
    use zkstrata_mle::{E, F, Point, PrimeCharacteristicRing};

    #[test]
    fn opening_proofs_are_as_long_as_expected() {
        for (place, num_vars) in [
            (Place::Proof, 14),
            (Place::Proof, 17),
            (Place::Proof, 20),
            (Place::Key, 16),
            (Place::Key, 19),
        ] {
            let shape = [TableShape { num_vars, width: 1 }];
            let column: Vec<F> = (0..1u64 << num_vars).map(|i| F::from_u64(i * i)).collect();
            let point = Point::new((0..num_vars).map(|k| E::from_usize(k * k + 3)).collect());
            let claim = Claim {
                column: ColumnId {
                    table: 0,
                    column: 0,
                },
                value: crate::clear::evaluate(&column, &point),
                point,
            };
            let (_, data) = Whir::commit(place, &shape, vec![vec![column]]).expect("commits");
            let mut tape = ProverTape::new(&[7; 32]);
            let opening = ProverOpening {
                data: &data,
                claims: std::slice::from_ref(&claim),
            };
            Whir::open(&[opening], &mut tape).expect("opens");
            let found = tape.finish().len() as f64;
            let cost = Whir::cost(place, &shape).expect("a valid shape");
            let expected = cost[0].tree.expect("a large column").proof_bytes;
            let ratio = expected / found;
            assert!((0.97..1.03).contains(&ratio), "{num_vars}: {ratio}");
        }
    }
}
