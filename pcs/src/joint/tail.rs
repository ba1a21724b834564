//! Two columns over `F`, committed to together and opened at one point, with WHIR (Arnon, Chiesa,
//! Fenzi, Yogev, "WHIR: Reed-Solomon proximity testing with super-fast verification", 2024/1586) as
//! p3-whir implements it.
//!
//! Two columns of `2^n` cells are one table of the library, which makes of them one polynomial of
//! `n + 1` variables, encoded at a rate of 1/8 as a Reed-Solomon word. It is committed to by a
//! Merkle tree of `joint/tree.rs`, 25 bytes a digest, whose leaves hold the 32 values that the first
//! round folds. Later rounds fold at most 4 variables and halve the rate, until 6 variables are left
//! and the polynomial is sent: a faster fall of the rate costs more in longer Merkle paths than it
//! saves in queries. Decoding is unique ([`Decoding::Unique`]), so that the root determines the columns,
//! or there is a list of vectors that the root may stand for until it is opened
//! ([`Decoding::List`], `tail/list.rs`): fewer rows are opened, after more work.
//!
//! The tape holds the root, later one blob ([`wire`]): everything of the library's proof but the
//! claimed values, which the verifier fills in: there is no other value that could be compared with
//! them. Before it both sides absorb the root once more, the point and the values. What the library
//! draws first is the challenge that batches the two claims.

#[cfg(feature = "prover")]
mod cost;
mod list;
#[cfg(all(test, feature = "prover"))]
mod tests;
mod wire;

use super::dft::{Dft, dft};
use super::tree::{Digest, Trees, trees};
use crate::claim::{Error, SoundnessTerm};
use crate::sponge::Sponge;
use crate::transcript::{TapeError, VerifierTape};
use p3_merkle_tree::MerkleCap;
use p3_multilinear_util::point::Point as LibraryPoint;
use p3_sumcheck::layout::{Layout, PrefixProver};
use p3_sumcheck::{OpeningBatch, OpeningProtocol, PrescribedPointPcs, TableShape, TableSpec};
use p3_whir::{
    FoldingFactor, PcsProof, ProtocolParameters, SecurityAssumption, WhirConfig, WhirProver,
};
use zkstrata_mle::{E, F, Point};

#[cfg(feature = "prover")]
pub(super) use cost::cost;

#[cfg(feature = "prover")]
use crate::transcript::ProverTape;
#[cfg(feature = "prover")]
use p3_commit::Mmcs;
#[cfg(feature = "prover")]
use p3_matrix::dense::{DenseMatrix, RowMajorMatrix};
#[cfg(feature = "prover")]
use p3_sumcheck::layout::Table;

/// Columns.
pub(super) const WIDTH: usize = 2;

/// Least number of variables of a column: more than a register is left when the first round has
/// folded.
pub(super) const MIN_VARS: usize = 8;

/// Variables that the first round folds.
const FIRST_FOLD: usize = 5;

/// Variables that a later round folds at most.
const LATER_FOLD: usize = 4;

/// Variables of a polynomial that is sent rather than folded.
const SENT: usize = 6;

/// `log2` of the inverse rate of the committed word.
const LOG_INV_RATE: usize = 3;

/// Message of the root.
const ROOT: &str = "joint tail root";

/// What is absorbed of the claims.
const CLAIMS: &str = "joint tail claims";

/// Message of the opening proof.
pub(super) const PROOF: &str = "joint tail";

/// The library's layout of the columns: first variables are bound first.
type Prefix = PrefixProver<F, E>;

/// The library's scheme for one size and layout.
type Pcs<L> = WhirProver<E, F, Dft, Trees, Sponge, L>;

/// The library's parameters for one size.
type Config = WhirConfig<E, F, Sponge>;

/// How far from a codeword a word may be that a proof speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decoding {
    /// Within half the distance of the code: the word determines the codeword.
    Unique,
    /// Almost to the Johnson bound: there are at most [`Decoding::candidates`] codewords.
    List,
}

impl Decoding {
    /// How many vectors a root stands for, at most.
    pub(super) fn candidates(self) -> f64 {
        match self {
            Self::Unique => 1.0,
            Self::List => list::candidates(),
        }
    }

    /// Bits that what happens between root and opening has more: `log2` of the candidates.
    pub(super) const fn further_bits(self) -> usize {
        match self {
            Self::Unique => 0,
            Self::List => 6,
        }
    }
}

/// Bits of each term of the union bound as the library counts them, and of each proof of work, if
/// words are decoded as lists: the terms of `tail/list.rs` sum to more than 102 then. Folding the first
/// variable asks for three or four bits of work more than there are variables.
fn list_level(log_cells: usize) -> (usize, usize) {
    let level = if log_cells <= 20 { 111 } else { 112 };
    (level, log_cells.saturating_add(level - 108).max(18))
}

/// Bits of each term of the union bound, whose sum is then at least 102.8 bits: the number of
/// terms grows with the number of rounds.
fn level(log_cells: usize) -> usize {
    if log_cells <= 24 { 107 } else { 108 }
}

/// Bits of each proof of work. There are some ten of them in a proof: 16 bits take it several
/// milliseconds and save 2 % of its size.
fn work(log_cells: usize) -> usize {
    if log_cells < 20 { 14 } else { 16 }
}

/// The parameters for two columns of `2^num_vars` cells.
fn config(num_vars: usize, decoding: Decoding) -> Result<Config, Error> {
    let log_cells = num_vars.saturating_add(1);
    let rest = log_cells.saturating_sub(FIRST_FOLD + SENT);
    let rounds = rest.div_ceil(LATER_FOLD);
    // As few variables a round as will do.
    let folds = (0..rounds).map(|round| (rest + rounds - 1 - round) / rounds);
    let (level, work) = match decoding {
        Decoding::Unique => (level(log_cells), work(log_cells)),
        Decoding::List => list_level(log_cells),
    };
    let parameters = ProtocolParameters {
        security_level: level,
        pow_bits: work,
        folding_factor: FoldingFactor::PerRound(std::iter::once(FIRST_FOLD).chain(folds).collect()),
        soundness_type: match decoding {
            Decoding::Unique => SecurityAssumption::UniqueDecoding,
            Decoding::List => SecurityAssumption::JohnsonBound,
        },
        starting_log_inv_rate: LOG_INV_RATE,
        round_log_inv_rates: (1..=rounds).map(|round| LOG_INV_RATE + round).collect(),
    };
    WhirConfig::new(log_cells, parameters).map_err(|error| Error::Parameters {
        reason: error.to_string(),
    })
}

fn pcs<L: Layout<F, E>>(num_vars: usize, decoding: Decoding) -> Result<Pcs<L>, Error> {
    Ok(Pcs::new(config(num_vars, decoding)?, dft(), trees()))
}

/// All columns.
fn columns() -> OpeningBatch<usize> {
    OpeningBatch::new((0..WIDTH).collect(), vec![])
}

/// One table whose columns are opened at one point.
fn protocol(num_vars: usize) -> OpeningProtocol {
    let shape = TableShape::new(num_vars, WIDTH);
    OpeningProtocol::new(vec![TableSpec::new(shape, vec![columns()])])
}

/// The union bound on the error of the two claims: the library's, or that of `tail/list.rs`.
pub(super) fn soundness(num_vars: usize, decoding: Decoding) -> Result<SoundnessTerm, Error> {
    let log_cells = num_vars.saturating_add(1);
    let bits = match decoding {
        Decoding::Unique => pcs::<Prefix>(num_vars, decoding)?
            .prescribed_security(&protocol(num_vars))
            .map(|security| security.error().bits()),
        Decoding::List => Some(list::bits(&config(num_vars, decoding)?, WIDTH)),
    };
    let bits = bits.ok_or_else(|| Error::Parameters {
        reason: format!("no bound for {WIDTH} claims on 2^{log_cells} cells"),
    })?;
    Ok(SoundnessTerm {
        name: format!("opening: tail of {WIDTH} claims on 2^{log_cells} cells"),
        bits,
    })
}

/// Reads a root.
pub(super) fn recv_root(tape: &mut VerifierTape<'_>) -> Result<Digest, TapeError> {
    tape.recv_array(ROOT)
}

/// What both sides absorb of the claims.
fn transcribe(point: &Point, values: &[E]) -> Vec<E> {
    point.iter().chain(values).copied().collect()
}

/// Verifies the values of the columns at a point of as many coordinates as they have variables.
///
/// # Soundness
/// Accepting establishes that the root commits to columns that have these values there, up to the
/// error of [`soundness`], if it was received before the point was drawn and the values are fixed
/// by what is on the tape; or one of the vectors that it stands for.
pub(super) fn verify(
    (root, decoding): (&Digest, Decoding),
    point: &Point,
    values: &[E],
    tape: &mut VerifierTape<'_>,
) -> Result<(), Error> {
    let pcs = pcs::<Prefix>(point.len(), decoding)?;
    if values.len() != WIDTH {
        return Err(refused("a value for each column"));
    }
    tape.bind_bytes(ROOT, root);
    tape.bind(CLAIMS, &transcribe(point, values));
    tape.blob(PROOF, |bytes, sponge| {
        let whir = wire::decode(&pcs, bytes)
            .ok_or_else(|| refused("the bytes are not a proof of the shape"))?;
        let proof = PcsProof {
            whir,
            evals: vec![OpeningBatch::new(values.to_vec(), vec![])],
        };
        let root = MerkleCap::new(vec![*root]);
        let points = [LibraryPoint::new(point.to_vec())];
        pcs.verify_at(&root, &proof, &protocol(point.len()), &points, sponge)
            .map(drop)
            .map_err(|error| refused(error.to_string()))
    })
}

fn refused(reason: impl Into<String>) -> Error {
    Error::Opening {
        reason: reason.into(),
    }
}

/// What the library keeps of the committed word.
#[cfg(feature = "prover")]
type Word = <Trees as Mmcs<F>>::ProverData<DenseMatrix<F>>;

/// Columns that are committed to.
#[cfg(feature = "prover")]
pub(super) struct Committed {
    root: Digest,
    decoding: Decoding,
    layout: Prefix,
    word: Word,
}

#[cfg(feature = "prover")]
impl Committed {
    /// Commits to columns of `2^n` cells, `n` at least [`MIN_VARS`].
    pub(super) fn new(columns: &[Vec<F>; WIDTH], decoding: Decoding) -> Result<Self, Error> {
        let len = columns[0].len();
        let table = Table::new(RowMajorMatrix::new(columns.concat(), len));
        let config = config(table.num_variables(), decoding)?;
        let witness = Prefix::new_witness(vec![table], FIRST_FOLD);
        let rate = config.starting_log_inv_rate;
        let (layout, root, word) = Prefix::commit(&dft(), &trees(), witness, FIRST_FOLD, rate);
        Ok(Self {
            root: root.roots()[0],
            decoding,
            layout,
            word,
        })
    }

    /// Sends the root.
    pub(super) fn send(&self, tape: &mut ProverTape) {
        tape.send_bytes(ROOT, &self.root);
    }

    /// The values of the columns at a point.
    pub(super) fn evaluate(&self, point: &Point) -> [E; WIDTH] {
        let table = self.layout.table(0);
        std::array::from_fn(|k| super::clear::evaluate(table.poly(k).as_slice(), point))
    }

    /// Proves the values of the columns at a point.
    ///
    /// # Errors
    /// A value is not the column's.
    pub(super) fn open(
        mut self,
        point: &Point,
        values: [E; WIDTH],
        tape: &mut ProverTape,
    ) -> Result<(), Error> {
        tape.bind_bytes(ROOT, &self.root);
        tape.bind(CLAIMS, &transcribe(point, &values));
        tape.blob(PROOF, |sponge| {
            let point = LibraryPoint::new(point.to_vec());
            let samples = sample(&mut self.layout, self.decoding, sponge)?;
            let found = self.layout.eval_at(0, &columns(), &point, sponge);
            if found.current() != values {
                return Err(refused("a claim is false"));
            }
            prove(self.layout, self.word, self.decoding, samples, sponge)
        })
    }
}

/// Values at points out of the domain, which the verifier draws.
#[cfg(feature = "prover")]
fn sample<L: Layout<F, E>>(
    layout: &mut L,
    decoding: Decoding,
    sponge: &mut Sponge,
) -> Result<Vec<E>, Error> {
    let samples = config(layout.num_variables_table(0), decoding)?.commitment_ood_samples();
    let draw = |_| layout.add_virtual_eval(sponge);
    Ok((0..samples).map(draw).collect())
}

/// The library's proof of the claims that a layout has recorded, those of [`sample`] first.
#[cfg(feature = "prover")]
fn prove<L: Layout<F, E>>(
    layout: L,
    word: Word,
    decoding: Decoding,
    samples: Vec<E>,
    sponge: &mut Sponge,
) -> Result<Vec<u8>, Error> {
    let pcs = pcs::<L>(layout.num_variables_table(0), decoding)?;
    pcs.prove(samples, sponge, layout, word, 1)
        .map(|proof| wire::encode(&pcs, &proof))
        .map_err(|error| Error::Parameters {
            reason: error.to_string(),
        })
}
