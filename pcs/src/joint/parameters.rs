//! The numbers of the opening, each with its unit and reason, and how many queries a rate takes.
//!
//! Everything here is integer arithmetic: prover and verifier must come to the same numbers on
//! every machine.

use super::tail::Decoding;
use crate::claim::Error;
use serde::{Deserialize, Serialize};

/// Bits of each query term of the soundness error. The number of sources is small, so the sum of
/// all terms stays above 102 bits.
pub(super) const LEVEL: usize = 106;

/// Variables that the word of the folded rows is folded by: its rows are 16 elements of `E`, 256
/// bytes. With 3 its queries' paths are as long as its rows and the end has twice the rows; with 5
/// its opened rows alone are 50 KB longer.
pub(super) const MIDDLE_FOLD: usize = 4;

/// Least `log2` of the columns of a word beside others that have more rows: paths are as long as
/// its rows then.
pub(super) const MIN_FOLD: usize = 5;

/// Largest `log2` of the number of points of a word: the order of the largest two-adic subgroup.
const MAX_LOG_POINTS: u32 = 32;

/// More queries than any rate needs that a layout can have.
const MAX_QUERIES: usize = 1 << 12;

/// `(a, b)`: rows of a hidden word count `a / b` where the length of the word is chosen. What hides it is
/// 3 to 12 percent of its rows, for which the word had better not be twice as long: its rate may be higher
/// by a seventh, which takes up to 30 % more queries.
const HIDDEN: (usize, usize) = (7, 8);

/// Rate and fold of a word that was committed to before. By [`super::OpeningCost`], an opening of 784
/// cells that stay hidden in four takes 21 KB, of 150,000 cells 34 KB: rows of 4 elements instead of 8 save
/// 2 KB and double the rows that are left to fold, rows of 16 take 6 KB more; half of the rate saves
/// nothing before a million cells, twice as much takes a KB more from there on.
const SHARED: (Rate, usize) = (Rate { rows: 1, points: 8 }, 3);

/// What proofs are made for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ProofProfile {
    /// The prover's time: [`Parameters::FAST`].
    #[default]
    Fast,
    /// Their size: [`Parameters::SMALL`].
    Small,
}

impl ProofProfile {
    /// The parameters of its layouts.
    pub fn parameters(self) -> Parameters {
        match self {
            Self::Fast => Parameters::FAST,
            Self::Small => Parameters::SMALL,
        }
    }
}

/// A rate `rows / points`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rate {
    rows: usize,
    points: usize,
}

/// The choices between size and time. Layouts of one opening have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameters {
    /// Largest rate of a word that the prover has committed to.
    committed_rate: Rate,
    /// Largest rate of a word that is known to be a codeword.
    codeword_rate: Rate,
    /// Largest rate of a word that was committed to before, by whoever.
    shared_rate: Rate,
    /// `(cells, fold)`: `log2` of the columns of a word that the prover has committed to, from so
    /// many cells on. Wide rows are longer to open, narrow ones leave more folded rows to encode
    /// and to open; the largest commitments need wide ones, because proximity costs `f n / |E|`.
    committed_folds: &'static [(usize, usize)],
    /// The same for a word that is known to be a codeword.
    codeword_folds: &'static [(usize, usize)],
    /// The same for a word that was committed to before. Every opening takes a hundred of its rows, so they
    /// are short, and never wider than those of a witness, whose masks serve them.
    shared_folds: &'static [(usize, usize)],
    /// Largest rate of the word of the folded rows. It is small beside the sources' words, so that a
    /// low rate costs little time and saves a third of the queries that 1/2 would take.
    middle_rate: Rate,
    /// How the words of the tail are decoded.
    decoding: Decoding,
    /// Cells of a commitment on the tape that are sent instead.
    clear_committed: usize,
    /// Cells of a commitment in a key that are stored instead.
    clear_codeword: usize,
    /// Folded rows of all sources that are sent, 16 bytes each, instead of the word made of them,
    /// whose queries alone take 50 to 60 KB.
    clear_folded: usize,
    /// Rows of the last vector that are sent, 16 bytes each, instead of being committed to and
    /// opened with WHIR, which takes 53 KB and more.
    clear_end: usize,
}

impl Parameters {
    /// The default: the prover's time comes first, and the size where it costs no time. A witness
    /// is encoded once a proof, so its word is short; a key once for all, but the prover holds its
    /// word in memory, 4 to 8 elements of 8 bytes for each weight: at half of this rate it would hold
    /// twice as many, for proofs that are 10 KB shorter.
    pub const FAST: Self = Self {
        committed_rate: Rate { rows: 3, points: 5 },
        codeword_rate: Rate { rows: 1, points: 4 },
        shared_rate: SHARED.0,
        // Half of it would save 5 KB and, measured, make a proof a quarter slower.
        middle_rate: Rate {
            rows: 3,
            points: 10,
        },
        decoding: Decoding::Unique,
        committed_folds: &[(0, 4), (1 << 19, 5), (1 << 25, 6), (1 << 27, 7)],
        codeword_folds: &[(0, 5), (1 << 18, 6), (1 << 21, 7), (1 << 26, 8)],
        shared_folds: &[(0, SHARED.1)],
        clear_committed: 1 << 12,
        clear_codeword: 1 << 15,
        clear_folded: 15 << 8,
        clear_end: 13 << 8,
    };

    /// Proofs that are smaller by a tenth to a third: words are longer, so that fewer of their rows are
    /// opened, and those of the tail are decoded as lists, at up to a second of work. Measured,
    /// committing to a witness takes two to five times as long, to a large key two to four times; a
    /// key's word has 11 to 32 elements for each weight.
    pub const SMALL: Self = Self {
        committed_rate: Rate { rows: 1, points: 4 },
        codeword_rate: Rate {
            rows: 1,
            points: 16,
        },
        middle_rate: Rate { rows: 1, points: 6 },
        decoding: Decoding::List,
        committed_folds: &[
            (0, 4),
            (1 << 20, 5),
            (1 << 25, 6),
            (1 << 27, 7),
            (1 << 28, 8),
        ],
        codeword_folds: &[(0, 4), (1 << 18, 6), (1 << 21, 7), (1 << 26, 8)],
        ..Self::FAST
    };

    /// Whether so many cells are not encoded at all.
    pub(super) fn in_clear(&self, word: Word, cells: usize) -> bool {
        cells
            <= match word {
                Word::Committed => self.clear_committed,
                Word::Codeword | Word::Certified | Word::Uncertified => self.clear_codeword,
                Word::Shared => return false,
            }
    }

    /// `log2` of the columns of a word of so many cells.
    pub(super) fn fold(&self, word: Word, cells: usize) -> usize {
        let folds = match word {
            Word::Committed => self.committed_folds,
            Word::Codeword | Word::Certified | Word::Uncertified => self.codeword_folds,
            Word::Shared => self.shared_folds,
        };
        let reached = folds.iter().take_while(|&&(from, _)| from <= cells);
        reached.last().map_or(0, |&(_, fold)| fold)
    }

    /// `log2` of the points of a word of so many rows.
    pub(super) fn log_points(&self, word: Word, rows: usize) -> Result<usize, Error> {
        let rate = match word {
            Word::Committed => self.committed_rate,
            Word::Codeword | Word::Certified | Word::Uncertified => self.codeword_rate,
            Word::Shared => self.shared_rate,
        };
        log_points(rate, rows)
    }

    /// The same for a hidden word.
    pub(super) fn hidden_log_points(&self, word: Word, rows: usize) -> Result<usize, Error> {
        self.log_points(word, counted(rows, true))
    }

    /// Whether so many folded rows are sent.
    pub(super) fn folded_in_clear(&self, folded: usize) -> bool {
        folded <= self.clear_folded
    }

    /// `log2` of the points of the word of folded rows, of so many rows, hidden or not.
    pub(super) fn middle_points(&self, rows: usize, hidden: bool) -> Result<usize, Error> {
        log_points(self.middle_rate, counted(rows, hidden))
    }

    /// How many queries of that word are drawn.
    pub(super) fn middle_queries(&self, code: Code, work: usize) -> Result<usize, Error> {
        let further = if self.end_in_clear(code.rows) {
            0
        } else {
            self.decoding.further_bits()
        };
        Word::Committed.queries(code, LEVEL.saturating_add(further), work)
    }

    /// How the words of the tail are decoded.
    pub(super) fn decoding(&self) -> Decoding {
        self.decoding
    }

    /// Whether the last vector is sent.
    pub(super) fn end_in_clear(&self, rows: usize) -> bool {
        rows <= self.clear_end
    }

    /// The same with another decoding of the tail.
    #[cfg(test)]
    pub(super) const fn decoded(self, decoding: Decoding) -> Self {
        Self { decoding, ..self }
    }

    /// With short rows and little in the clear: every part of the protocol on a few hundred cells.
    #[cfg(test)]
    pub(super) const fn tiny(clear_folded: usize, clear_end: usize) -> Self {
        Self {
            committed_folds: &[(0, 2), (100, 3)],
            codeword_folds: &[(0, 1), (64, 2), (500, 4)],
            shared_folds: &[(0, 1), (100, 2)],
            clear_committed: 20,
            clear_codeword: 10,
            clear_folded,
            clear_end,
            ..Self::FAST
        }
    }
}

/// What the verifier knows of a word, which decides how many of its rows it must see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Word {
    /// The prover made it: it may be anything.
    Committed,
    /// It stands in a key and is a codeword: whoever made it is trusted, or the verifier has
    /// recomputed its root. A proof about a word that is none is worth nothing.
    Codeword,
    /// It stands in a key and is a codeword but for a sixteenth of its points: the verifier has
    /// seen its certificate.
    Certified,
    /// The same word in the opening that is its certificate: it may be anything.
    Uncertified,
    /// Somebody made it before the proof, to be opened in several: it may be anything, and is never in
    /// the clear.
    Shared,
}

/// `(a, b)`: a certified word differs from a codeword on a part `a / b` of its points, at most. Half
/// of it would take 2,000 rows and two megabytes to show and save five queries of sixty; twice as
/// much would cost ten.
const CERTIFIED: (usize, usize) = (1, 16);

impl Word {
    /// Whether it is certified, or will be.
    pub(super) fn has_certificate(self) -> bool {
        matches!(self, Self::Certified | Self::Uncertified)
    }

    /// `(a, b)`: a wrong fold of a word of `rows` of `points` agrees with the fold of the word on
    /// at most a part `a / b` of the points; of a word whose closeness is in question, the fold of one
    /// that is not close with any.
    pub(super) fn agreement(self, rows: usize, points: usize) -> (usize, usize) {
        match self {
            Word::Committed | Word::Shared => {
                (points.saturating_add(rows), points.saturating_mul(2))
            }
            Word::Codeword => (rows, points),
            Word::Certified => {
                let (a, b) = CERTIFIED;
                let wrong = points.saturating_mul(a);
                (
                    rows.saturating_mul(b).saturating_add(wrong),
                    points.saturating_mul(b),
                )
            }
            Word::Uncertified => {
                let (a, b) = CERTIFIED;
                (b - a, b)
            }
        }
    }

    /// The least number of queries whose error, work included, has so many bits.
    pub(super) fn queries(self, code: Code, level: usize, work: usize) -> Result<usize, Error> {
        let (a, b) = self.agreement(code.rows, 1usize << code.log_points);
        power_below(a, b, level.saturating_sub(work)).ok_or_else(|| Error::Parameters {
            reason: format!("no number of queries suffices for the rate {a} / {b}"),
        })
    }
}

/// A matrix of `rows` by `2^fold` encoded column by column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Code {
    /// `log2` of the columns.
    pub(super) fold: usize,
    /// Rows: one more than the largest degree of a column.
    pub(super) rows: usize,
    /// `log2` of the points of the domain.
    pub(super) log_points: usize,
}

impl Code {
    /// Columns.
    pub(super) fn width(&self) -> usize {
        1 << self.fold
    }

    /// The row at this position of a word is its value at this power of the domain's generator: the bits of one
    /// are those of the other reversed, as encoding leaves them.
    pub(super) fn exponent(&self, position: usize) -> usize {
        let used = u32::try_from(self.log_points).unwrap_or(u32::MAX);
        let unused = usize::BITS.saturating_sub(used);
        position.reverse_bits().checked_shr(unused).unwrap_or(0)
    }
}

/// Bits of a proof of work before queries are drawn, of which there are two in an opening: below a
/// millisecond each, and less where the rest of the proof takes no longer.
pub(super) fn work(cells: usize) -> usize {
    if cells < 1 << 16 {
        12
    } else if cells < 1 << 20 {
        14
    } else {
        16
    }
}

/// What rows count where the length of their word is chosen.
fn counted(rows: usize, hidden: bool) -> usize {
    let (a, b) = if hidden { HIDDEN } else { (1, 1) };
    rows.saturating_mul(a).div_ceil(b)
}

fn log_points(rate: Rate, rows: usize) -> Result<usize, Error> {
    let needed = rows.saturating_mul(rate.points).div_ceil(rate.rows);
    (0..=MAX_LOG_POINTS)
        .find(|&log| {
            1usize
                .checked_shl(log)
                .is_some_and(|points| points >= needed)
        })
        .and_then(|log| usize::try_from(log).ok())
        .ok_or_else(|| Error::Parameters {
            reason: format!("no domain has {needed} points"),
        })
}

/// The least `t` with `(a / b)^t <= 2^-bits`, for `a < b`.
///
/// The power is `m 2^-e` with `2^63 <= m <= 2^64`, rounded up in every product.
fn power_below(a: usize, b: usize, bits: usize) -> Option<usize> {
    const ONE: u128 = 1 << 63;
    let (a, b) = (u128::try_from(a).ok()?, u128::try_from(b).ok()?);
    if a == 0 || a >= b || b >= ONE {
        return None;
    }
    let factor = (a << 64).div_ceil(b);
    let (mut m, mut e) = (ONE, 63);
    for t in 0..MAX_QUERIES {
        let reached = if m == ONE { e - 63 } else { e - 64 };
        if reached >= bits {
            return Some(t);
        }
        m = (m * factor).div_ceil(1 << 64);
        while m < ONE {
            m *= 2;
            e += 1;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_queries_are_the_least() {
        for (a, b, bits, t) in [
            (1, 8, 93, 31),
            (1, 16, 91, 23),
            (1, 16, 92, 23),
            (1, 16, 93, 24),
            (3, 4, 91, 220),
            (5, 8, 91, 135),
            (1, 2, 0, 0),
        ] {
            assert_eq!(power_below(a, b, bits), Some(t), "{a} / {b}");
        }
        for b in [7usize, 1000, 1 << 20] {
            for a in [1, b / 3, b / 2 + 1, b - b / 5] {
                let t = power_below(a, b, 95).expect("some number");
                let bits = |t: usize| -(t as f64) * (a as f64 / b as f64).log2();
                assert!(bits(t) >= 95.0 - 1e-9 && bits(t - 1) < 95.0, "{a} / {b}");
            }
        }
        assert_eq!(power_below(1, 1, 1), None);
        assert_eq!(power_below(0, 1, 1), None);
        assert_eq!(power_below((1 << 40) - 1, 1 << 40, 100), None);
    }

    #[test]
    fn domains_are_the_least() {
        let p = Parameters::FAST;
        assert_eq!(p.log_points(Word::Committed, 614), Ok(10));
        assert_eq!(p.log_points(Word::Committed, 615), Ok(11));
        assert_eq!(p.log_points(Word::Codeword, 256), Ok(10));
        assert_eq!(p.log_points(Word::Codeword, 257), Ok(11));
        assert!(p.log_points(Word::Codeword, usize::MAX).is_err());
    }
}
