//! The library's types and parameters.
//!
//! A part of `2^k` cells is one multilinear polynomial, encoded as a Reed-Solomon word and committed
//! by a BLAKE3 Merkle tree whose leaves hold the values that the first round folds. Later rounds
//! fold at most 4 variables and halve the rate, until 6 variables are left and the polynomial is
//! sent: a faster fall of the rate costs more in longer Merkle paths than it saves in queries.
//! Decoding is unique, so that a commitment determines the columns before the first challenge.
//!
//! A witness has rate 1/2 and folds 6 variables first. A key is committed once and opened by every
//! proof: it has rate 1/4, which takes 135 queries instead of 220, so that with the same size of
//! proof the first round may fold 7 variables, and everything after the passes over the cells
//! costs half. Measured at `2^22` cells, one thread, 16 columns and 24 claims: opening takes 23 ms
//! instead of 32, 294 KiB instead of 299; committing twice the time.

use super::plan::first_fold;
use super::trees::Trees;
use crate::scheme::{Error, Place, SoundnessTerm};
use crate::transcript::Sponge;
use p3_dft::Radix2DFTSmallBatch;
use p3_sumcheck::{OpeningBatch, OpeningProtocol, PrescribedPointPcs, TableShape, TableSpec};
use p3_whir::{FoldingFactor, ProtocolParameters, SecurityAssumption, WhirConfig, WhirProver};
use std::sync::LazyLock;
use zkstrata_mle::{E, F};

/// Bits of each term of the union bound, whose sum is then at least 102.8 bits: the number of
/// terms grows with the number of rounds.
fn level(log_cells: usize) -> usize {
    if log_cells <= 24 { 107 } else { 108 }
}

/// Bits of each proof of work. There are some ten of them in a proof: the 16 bits take it several
/// milliseconds and save 2 % of its size.
fn work(log_cells: usize) -> usize {
    if log_cells < 20 { 14 } else { 16 }
}

/// Variables that a later round folds at most.
const LATER_FOLD: usize = 4;

/// Variables of a polynomial that is sent rather than folded.
const SENT: usize = 6;

/// Fourier transforms with remembered twiddles.
pub(crate) type Dft = Radix2DFTSmallBatch<F>;

/// The library's scheme, for one size and one way to lay out columns.
pub(super) type Pcs<Layout> = WhirProver<E, F, Dft, Trees, Sponge, Layout>;

/// The library's parameters for one size.
pub(super) type Config = WhirConfig<E, F, Sponge>;

/// Shared by all proofs of the process, so that twiddles are computed once. The verifier asks it
/// for evaluation points only and computes none.
static DFT: LazyLock<Dft> = LazyLock::new(Dft::default);

/// The Fourier transforms of the process.
pub(crate) fn dft() -> Dft {
    DFT.clone()
}

/// `log2` of the inverse rate of the committed word.
fn log_inv_rate(place: Place) -> usize {
    match place {
        Place::Key => 2,
        Place::Proof => 1,
        Place::Tail => 3,
    }
}

/// The parameters for `2^log_cells` cells.
pub(super) fn config(place: Place, log_cells: usize) -> Result<Config, Error> {
    let first_fold = first_fold(place);
    let rate = log_inv_rate(place);
    let rest = log_cells.saturating_sub(first_fold + SENT);
    let rounds = rest.div_ceil(LATER_FOLD);
    // As few variables a round as will do.
    let folds = (0..rounds).map(|round| (rest + rounds - 1 - round) / rounds);
    let parameters = ProtocolParameters {
        security_level: level(log_cells),
        pow_bits: work(log_cells),
        folding_factor: FoldingFactor::PerRound(std::iter::once(first_fold).chain(folds).collect()),
        soundness_type: SecurityAssumption::UniqueDecoding,
        starting_log_inv_rate: rate,
        round_log_inv_rates: (1..=rounds).map(|round| rate + round).collect(),
    };
    WhirConfig::new(log_cells, parameters).map_err(|error| Error::Parameters {
        reason: error.to_string(),
    })
}

/// How the verifier names the library's layout: first variables are bound first.
pub(super) type Prefix = p3_sumcheck::layout::PrefixProver<F, E>;

/// The library's scheme for `2^log_cells` cells.
pub(super) fn pcs<Layout>(place: Place, log_cells: usize) -> Result<Pcs<Layout>, Error>
where
    Layout: p3_sumcheck::layout::Layout<F, E>,
{
    Ok(Pcs::new(config(place, log_cells)?, dft(), Trees::new()))
}

/// The union bound of the library on the error of opening `claims` claims.
pub(super) fn soundness(
    place: Place,
    log_cells: usize,
    claims: usize,
) -> Result<SoundnessTerm, Error> {
    let batches = vec![OpeningBatch::new(vec![0], vec![]); claims];
    let table = TableSpec::new(TableShape::new(log_cells, 1), batches);
    pcs::<Prefix>(place, log_cells)?
        .prescribed_security(&OpeningProtocol::new(vec![table]))
        .map(|security| SoundnessTerm {
            name: format!("opening of {claims} claims on 2^{log_cells} cells"),
            bits: security.error().bits(),
        })
        .ok_or_else(|| Error::Parameters {
            reason: format!("no bound for {claims} claims on 2^{log_cells} cells"),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_has_parameters_and_reaches_the_level() {
        for log_cells in 14..=30 {
            for claims in [1, 50, 2000] {
                for place in [Place::Key, Place::Proof] {
                    let term = soundness(place, log_cells, claims).expect("parameters");
                    assert!(term.bits >= 102.8, "{term:?}");
                }
            }
        }
    }
}
