//! What the two columns will cost, from their length alone: before there are columns.

use super::super::cost::siblings;
use super::super::tree::DIGEST;
use super::{Config, Decoding, config, wire};
use crate::claim::Error;
use p3_whir::RoundConfig;

/// What a root and an opening proof are expected to take.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::joint) struct Cost {
    /// Bytes on the tape.
    pub(in crate::joint) bytes: f64,
    /// Hashes of the proofs of work.
    pub(in crate::joint) hashes: f64,
}

/// The cost of two columns of `2^num_vars` cells. Everything but the number of Merkle siblings is
/// exact.
pub(in crate::joint) fn cost(num_vars: usize, decoding: Decoding) -> Result<Cost, Error> {
    let config = config(num_vars, decoding)?;
    let mut cost = Cost::default();
    cost.root();
    // The blob is preceded by its length.
    cost.bytes += 4.0;
    cost.proof(&config);
    Ok(cost)
}

impl Cost {
    /// A proof with these parameters, in the order of [`wire::decode`].
    fn proof(&mut self, config: &Config) {
        let (rounds, last) = wire::rounds(config);
        let folds = config.folding_schedule();
        self.scalars(config.commitment_ood_samples());
        self.sumcheck(
            folds.first().copied().unwrap_or(0),
            config.starting_folding_pow_bits(),
        );
        for (k, (round, &fold)) in rounds.iter().zip(folds.iter().skip(1)).enumerate() {
            self.root();
            self.scalars(round.ood_samples);
            self.works(1, round.pow_bits);
            self.openings(round, k == 0);
            self.sumcheck(fold, round.folding_pow_bits);
        }
        self.scalars(1 << last.num_variables);
        self.works(1, last.pow_bits);
        self.openings(&last, rounds.is_empty());
        self.sumcheck(
            config.final_sumcheck_rounds(),
            config.final_folding_pow_bits(),
        );
    }

    fn root(&mut self) {
        self.bytes += DIGEST as f64;
    }

    fn scalars(&mut self, n: usize) {
        self.bytes += (16 * n) as f64;
    }

    fn works(&mut self, n: usize, bits: usize) {
        if bits > 0 {
            self.bytes += (8 * n) as f64;
            self.hashes += n as f64 * (bits as f64).exp2();
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
            self.bytes += DIGEST as f64 * siblings(wire::rows(round), leaves.trailing_zeros());
        }
    }
}
