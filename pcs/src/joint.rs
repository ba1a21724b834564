//! One opening of several commitments: the inner product of committed cells and public weights.
//!
//! A *source* `j` is a commitment: a matrix `P_j` over `F` of `L_j` rows and `2^f_j` columns
//! ([`Layout`]), column `b` of which is encoded as the values of `sum_R P_j(R, b) X^R` on the
//! subgroup `D_j` of order `n_j`; a leaf of a Merkle tree holds the `2^f_j` values at one point, in the
//! order that encoding leaves them in (`encode.rs`).
//! A *relation* is
//!
//! ```text
//! sum_j <P_j, W_j> = tau,         W_j = sum_terms coef eq(z, .) on the cells of a column,
//!                                 or any weights of its live cells
//! ```
//!
//! which for any number `C` of claims "column `c` is `v` at `z`", batched by powers of one
//! challenge, says that they hold, up to `(C - 1) / |E|`, which is the caller's to count. `L_j` is
//! any number, nothing is rounded up to a power of two of cells, and nothing but the relation ties
//! the sources together: a claim costs neither bytes nor a round.
//!
//! # Protocol
//!
//! With `f = max f_j`; a source of fewer variables does not depend on the `f - f_j` leading ones, over
//! which it is summed as well, with `2^-(f - f_j)` times its weights. `f' = 4`.
//!
//! 1. Both sides absorb the plan, the layouts, the roots and the relation.
//! 2. Sumcheck of `sum_j <P_j, W_j> = tau` over the `f` column variables, from the highest; it ends
//!    at `rho` with a claim `v_1` on the folded rows `F_j(R) = sum_b eq(rho_j, b) P_j(R, b)`, where
//!    `rho_j` are the last `f_j` challenges.
//! 3. `F`, the `F_j` one after another, is the matrix `D` of `2^f'` columns, row `R'` of which is
//!    `F(16 R'), .., F(16 R' + 15)`. The prover sends the root of its word over `E`, on `n'`
//!    points, at a rate of at most 0.3.
//! 4. A proof of work; `t_j` positions of every source; their rows and pruned paths. A row at `x`
//!    folds to `y = sum_b eq(rho_j, b) row_b`, which is `sum_R F_j(R) x^R`. A challenge `gamma`;
//!    the claim becomes `v_1 + sum_k gamma^k y_k` and the weights `A = W(rho, .) + sum_k gamma^k
//!    x_k^R`, on the rows of the source of the query.
//! 5. Sumcheck of `<D, A>` over the `f'` column variables of `D`. It ends at `rho'` with a claim on
//!    `h(R') = sum_x eq(rho', x) D(R', x)`.
//! 6. `h`: sent if it is short, else committed to with WHIR (`joint/tail.rs`).
//! 7. A proof of work; `t'` positions of `D`; their rows and pruned paths; a challenge `gamma'`.
//!    Claim and weights are extended as in 4, by `sum_R' h(R') x'^R' = sum_x eq(rho', x) row_x`.
//! 8. Sumcheck over the variables of `h`. It ends at `r`, where the verifier evaluates the weights
//!    in closed form and has `h(r)` from the vector or from WHIR. The product must be the claim.
//!
//! If `F` is short, it is sent in the place of 3 and is `h`; then 5 and 7 are void. Sources in the
//! clear are evaluated by the verifier, and their part subtracted from `tau`, before 2.
//!
//! Of *hidden* sources ([`Layout::hidden`]) an opening shows nothing but the relation. Then the
//! sumchecks of 2 and 5 are masked, `h` is veiled before it is sent or committed to, and the rows that
//! are opened are blinded: `joint/hiding.rs` has the messages, the reasons, and what they add to the
//! error.
//!
//! # Soundness
//!
//! `|E| > 2^127.99`, `rho_j = L_j / n_j`. *Close* means: equal to a matrix of codewords on all but
//! a part `delta = (1 - rho_j) / 2` of the rows, at most; such a matrix is unique, and committed by
//! it.
//!
//! **Lemma 0** (Ben-Sasson, Carmon, Ishai, Kopparty, Saraf, "Proximity Gaps for Reed-Solomon
//! Codes", 2020/654, theorem 4.1). If for more than `n` of the `z` in `E` the word `u_0 + z u_1` of
//! `m` columns is close in rows, then `u_0` and `u_1` are, on one set of rows. (A row of `m` values
//! is an element of the extension `K` of degree `m` of `E`; the matrices of codewords are the
//! Reed-Solomon code over `K` of the same dimension and the same points; `z` is in `K`. The
//! dimension is arbitrary.)
//!
//! **Lemma 1** (queries of a codeword). Let the word of a source be the codeword of `P`, of `L`
//! rows on `n` points, let `G` be its fold and `F != G` a polynomial of degree below `L` that was
//! fixed before `t` independent uniform positions. All of them agree, `F(x) = sum_b eq_b row_b`,
//! with probability at most `((L - 1) / n)^t`. *Proof.* A codeword folds to a codeword: for every
//! point `x`, `sum_b eq_b row_b(x) = G(x)`, a polynomial of degree below `L`. `F - G` is not zero
//! and has at most `L - 1` roots. [] The word is a codeword if whoever made it is trusted or if the
//! verifier has recomputed it: that is what [`Word::Codeword`] asserts, and nothing in a proof can
//! show it. No proximity gap is needed either: there is nothing to decode.
//!
//! **Lemma 2** (queries of a committed word). Let the word be anything, `F` as above. If the word
//! is not close, or is close to `P` and `F` is not the fold of `P`, then but for `f_j n_j / |E|` in
//! the choice of `rho` all positions agree with probability at most `(1 - delta)^t = ((1 + rho_j) /
//! 2)^t`. *Proof.* By lemma 0, variable by variable, the fold of a word that is not close is not
//! close to any codeword, so it differs from `F` on more than `delta n`. If it is close to `P`, its fold differs from that of `P` on at most `delta n` points, and two codewords differ on
//! more than `(1 - rho_j) n = 2 delta n` of them, hence the fold from `F` on more than `delta n`.
//! []
//!
//! **Lemma 3** (queries of a certified word). Let the word of a source differ from the codeword of `P`
//! on at most a part `delta = 1/16` of the points, `G` the fold of `P` and `F != G` as in lemma 1. All
//! positions agree with probability at most `((L - 1) / n + delta)^t`. *Proof.* Where the word is the
//! codeword's, it folds to `G(x)`, and `F` agrees with it on at most `L - 1` points; it is another on
//! at most `delta n`. [] As `delta < (1 - rho) / 2` for every rate of a key, there is one such `P`.
//!
//! **Certificates.** That a word is that close is what an opening of it shows in which it is
//! [`Word::Uncertified`] ([`RelationScheme::verify_certificate`]): if it is not, then by lemma 0 but for
//! `f n / |E|` no vector agrees with its fold on more than a part `1 - delta`, and all of `t`
//! positions agree with probability at most `(1 - delta)^t`, of which some 1,000 make `2^-90`. The
//! certificate is made and verified once; the openings of a [`Word::Certified`] word rest on it.
//! Whoever has neither a reason to trust a word nor its certificate opens it as [`Word::Committed`], or
//! as [`Word::Shared`] if it was committed to before the proof and its root is part of what is proven.
//!
//! **Theorem.** A prover whose relation is false, or one of whose words is not close to anything,
//! is accepted with probability at most the sum of
//!
//! | term | error |
//! |---|---|
//! | rounds over columns | `2 f / abs(E)` |
//! | folding of a committed source | `f n_j / abs(E)` |
//! | queries of a source | `((1 + rho_j) / 2)^t_j 2^-work`, `rho_j^t_j 2^-work` of a codeword, `(rho_j + 1/16)^t_j 2^-work` of a certified word |
//! | batching of rows | `(sum_j t_j) / abs(E)` |
//! | folding of folded rows | `f' (2 + n') / abs(E)` |
//! | queries of folded rows | `((1 + rho') / 2)^t' 2^-work` |
//! | batching of folded rows | `t' / abs(E)` |
//! | last rounds | `2 N / abs(E)`, `N` the variables of `h` |
//! | tail | WHIR's bound for two claims on `2^(N+1)` cells, if `h` is not sent |
//! | masks and veil, if a source is hidden | `3 / abs(E)`, and `(f + 1) n_j` and `(f' + 1) n'` in the place of `f n_j` and `f' n'` of the word with the veil |
//!
//! With [`Parameters::SMALL`] the tail's words are decoded as lists of at most `l = 40`
//! (`joint/tail/list.rs` has the bound and what it rests on). Its root then stands for one of `l`
//! vectors until it is opened, and the queries of folded rows, their batching and the last rounds
//! count `l` times; the queries have 6 bits more for it. All other words are decoded uniquely.
//!
//! *Proof.* The relation is false of what the sources are committed to, or lemma 2 applies to a
//! source that is close to nothing, whatever `F` is. (2) The sumcheck's end `v_1` is false of the
//! folds of the sources, but for two roots a round. (3, 4) Suppose the word of `D` is close, which
//! fixes `F`. If `F` is not made of the folds, some source's queries see it by lemma 1 or 2, unless
//! they miss: then one of the claims that `gamma` batches is false, and their sum is but for `sum
//! t_j` roots. If `F` is made of the folds, the claim `v_1` on it is false, and again the sum. (5)
//! As (2), and by lemma 0 if the word of `D` is not close then its fold is not. (6, 7) `h` is fixed
//! by what was sent, or by WHIR's root. If it is not the fold of `D`, or `D` was not close, lemma 2
//! applies to `D` and `h`. (8) A sumcheck whose end is false, or a false claim that WHIR proves. A
//! proof of work of `w` bits before positions multiplies what a prover must try by `2^w`. []
//!
//! Each query term has 106 bits, and all together have more than 102 for up to `2^24` cells: the
//! tail's, 102.1 or more, are the largest. [`Joint::soundness`](RelationScheme::soundness) lists them.
//!
//! # What is absorbed where
//!
//! The caller absorbs, before it draws anything the relation's weights depend on, what determines
//! the sources: a commitment in a key by the statement's digest, one of the prover by receiving it
//! ([`RelationScheme::recv_commitment`]). Everything else is absorbed here: the plan with all its
//! numbers, the layouts, the roots once more, and the relation with its target and all terms.

mod clear;
mod closed;
mod dft;
#[cfg(feature = "prover")]
mod encode;
mod end;
#[cfg(any(test, feature = "frozen"))]
pub(crate) mod frozen;
mod hiding;
mod layout;
mod parameters;
mod soundness;
mod tail;
mod tree;
mod verify;
mod weights;

#[cfg(feature = "prover")]
mod cost;
#[cfg(feature = "prover")]
mod dense;
#[cfg(feature = "prover")]
mod prove;
#[cfg(feature = "prover")]
mod rounds;
#[cfg(feature = "prover")]
mod source;
#[cfg(all(test, feature = "prover"))]
mod tests;

use crate::cells::Cells;
use crate::claim::{ColumnId, Error, SoundnessTerm};
use crate::transcript::VerifierTape;
use clear::CELLS;
use layout::Plan;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::collections::BTreeMap;
use tree::Digest;
use zkstrata_mle::{BasedVectorSpace, E, F, Point, PrimeField64};

pub use clear::Clear;
#[cfg(feature = "prover")]
pub use cost::{OpeningCost, SourceCost};
pub use layout::{Layout, Others, Table};
pub use parameters::{Parameters, ProofProfile, Word};
#[cfg(feature = "prover")]
pub use source::{Column, SourceData};

#[cfg(feature = "prover")]
use crate::random::Seed;
#[cfg(feature = "prover")]
use crate::transcript::ProverTape;

/// Message of the root of a source.
const ROOT: &str = "joint root";

/// Message of the root of the word of folded rows.
const MIDDLE: &str = "joint folded root";

/// Message of a proof of work.
const WORK: &str = "joint work";

/// What is absorbed of an opening before it starts.
const RELATION: &str = "joint relation";

/// Check of a relation whose sources are all in the clear.
const SUM: &str = "sum of the relation";

/// Check of the last claim.
const END: &str = "end of the joint opening";

/// A part of the weights of a source.
#[derive(Clone, Debug, PartialEq)]
pub enum Term {
    /// `coef eq(point, .)` on the cells of a column: `coef` times its extension at `point`.
    Column {
        /// The column.
        column: ColumnId,
        /// The point, as many coordinates as the column has variables.
        point: Point,
        /// The factor.
        coef: E,
    },
    /// A weight of its own for every live cell of a column.
    Cells {
        /// The column.
        column: ColumnId,
        /// The weights, as many as there are live cells.
        coefs: Vec<E>,
    },
}

impl Term {
    /// The column that it is about.
    pub fn column(&self) -> ColumnId {
        match self {
            Self::Column { column, .. } | Self::Cells { column, .. } => *column,
        }
    }
}

/// "The cells of all sources, weighted by their terms, sum to `target`."
#[must_use = "a relation that nobody proves is an assertion that nobody checks"]
#[derive(Clone, Debug, PartialEq)]
pub struct Relation {
    /// What they sum to.
    pub target: E,
    /// The weights of each source.
    pub terms: Vec<Vec<Term>>,
}

/// A source as a verifier knows it.
#[derive(Clone, Copy, Debug)]
pub struct SourceRef<'a, C> {
    /// Where its columns lie.
    pub layout: &'a Layout,
    /// The commitment, from the key or from the tape.
    pub commitment: &'a C,
}

/// The verifier's side of a scheme that proves relations.
pub trait RelationScheme: Send + Sync {
    /// A commitment as keys hold it.
    type Commitment: Clone
        + std::fmt::Debug
        + PartialEq
        + Serialize
        + DeserializeOwned
        + Send
        + Sync;

    /// A name that keys record.
    const NAME: &'static str;

    /// Names the parameters and the encoding of proofs; another one whenever they change. Keys'
    /// digests cover it.
    const PARAMETERS: u32;

    /// Reads a commitment from the tape.
    fn recv_commitment(
        layout: &Layout,
        tape: &mut VerifierTape<'_>,
    ) -> Result<Self::Commitment, Error>;

    /// Checks that a commitment from a key has the form that the layout calls for. It does not
    /// check what is committed: see [`Word::Codeword`].
    fn check_commitment(commitment: &Self::Commitment, layout: &Layout) -> Result<(), Error>;

    /// Verifies a relation on sources, whose terms are in the sources' order.
    ///
    /// # Soundness
    /// Accepting establishes the relation, up to the error of [`Self::soundness`], if every
    /// commitment was absorbed before anything that the terms depend on was drawn, the relation is
    /// fixed by what is on the tape, and every [`Word::Codeword`] is one.
    fn verify(
        sources: &[SourceRef<'_, Self::Commitment>],
        relation: &Relation,
        tape: &mut VerifierTape<'_>,
    ) -> Result<(), Error>;

    /// Verifies a relation on sources in the opening that certifies the word of one of them.
    ///
    /// # Soundness
    /// Accepting establishes, up to the error of [`Self::soundness`] with the layout of that one
    /// [`uncertified`](Layout::uncertified), that its word differs from a codeword on a part of 1/16
    /// of its points at most, and the relation of that codeword; under the conditions of
    /// [`Self::verify`].
    fn verify_certificate(
        sources: &[SourceRef<'_, Self::Commitment>],
        certified: usize,
        relation: &Relation,
        tape: &mut VerifierTape<'_>,
    ) -> Result<(), Error> {
        let layouts: Vec<&Layout> = sources.iter().map(|source| source.layout).collect();
        let layouts = Layout::certifying(&layouts, certified);
        let sources = sources.iter().zip(&layouts);
        let sources: Vec<SourceRef<'_, Self::Commitment>> = sources
            .map(|(source, layout)| SourceRef { layout, ..*source })
            .collect();
        Self::verify(&sources, relation, tape)
    }

    /// The error terms of one call of [`Self::verify`] with sources of these layouts, whatever the
    /// relation.
    fn soundness(sources: &[&Layout]) -> Result<Vec<SoundnessTerm>, Error>;

    /// The leaves of words that hide something in one opening of such sources, if one does.
    fn hidden_leaves(sources: &[&Layout]) -> Result<Option<HiddenLeaves>, Error>;
}

/// Leaves of Merkle trees over words that hide something. Of a leaf that has not been opened nobody knows
/// the cells, which are uniform; whoever guesses them sees it by the leaf's hash.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HiddenLeaves {
    /// How many there are.
    pub count: f64,
    /// Elements of `F` of the narrowest, 64 bits each.
    pub cells: usize,
}

/// The prover's side.
#[cfg(feature = "prover")]
pub trait RelationProver: RelationScheme {
    /// What the prover keeps to open a commitment.
    type Data: Send + Sync;

    /// Commits to columns, the live cells of each, in the order of the layout's tables.
    ///
    /// # Panics
    /// If the columns are not those of the layout, or the layout is hidden.
    fn commit(
        layout: &Layout,
        columns: Vec<Column>,
    ) -> Result<(Self::Commitment, Self::Data), Error>;

    /// The same for a layout that is hidden, with a seed that is a secret and serves this commitment
    /// alone.
    ///
    /// # Panics
    /// As [`Self::commit`].
    fn commit_hidden(
        layout: &Layout,
        columns: Vec<Column>,
        seed: &Seed,
    ) -> Result<(Self::Commitment, Self::Data), Error>;

    /// Puts a commitment on the tape, as [`RelationScheme::recv_commitment`] reads it.
    fn send_commitment(commitment: &Self::Commitment, tape: &mut ProverTape);

    /// Proves a relation on sources. `known[j][k]` is what is known of term `k` of source `j`; lists
    /// may be short.
    ///
    /// # Errors
    /// The relation is false or does not fit the sources.
    fn open(
        sources: &[&Self::Data],
        relation: &Relation,
        known: &[Vec<Option<Partial>>],
        tape: &mut ProverTape,
    ) -> Result<(), Error>;

    /// Notes that a hidden source has been opened so many times more, elsewhere.
    ///
    /// # Errors
    /// It may not be opened as often.
    fn spend(data: &Self::Data, uses: usize) -> Result<(), Error>;

    /// Notes how many openings of a hidden source are left, which nobody has opened here.
    ///
    /// # Errors
    /// It may not be opened as often.
    fn restore(data: &Self::Data, left: usize) -> Result<(), Error>;

    /// How many openings of a source are left, but for its certificate; nothing if it is not hidden.
    fn left(data: &Self::Data) -> Option<usize>;

    /// Certifies the word of one source, together with a relation on all, as
    /// [`RelationScheme::verify_certificate`] verifies it.
    ///
    /// # Errors
    /// As [`Self::open`].
    fn certify(
        sources: &[&Self::Data],
        certified: usize,
        relation: &Relation,
        tape: &mut ProverTape,
    ) -> Result<(), Error>;
}

/// What a prover has already computed of a term: the extension of its column at the leading
/// coordinates of its point, over the cube of the others. With it the first pass over the column is
/// none, if no fewer variables are left than a row has.
#[cfg(feature = "prover")]
#[derive(Clone, Debug)]
pub struct Partial {
    /// Variables that are left.
    pub num_vars: usize,
    /// The first values over their cube; the others are zero.
    pub values: Vec<E>,
}

/// The joint opening.
#[derive(Clone, Copy, Debug)]
pub struct Joint;

/// A commitment of [`Joint`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Commitment {
    /// The root of a tree over the word.
    Root([u8; tree::DIGEST]),
    /// The live cells of all columns: there are few.
    Clear(Cells),
}

impl RelationScheme for Joint {
    type Commitment = Commitment;

    const NAME: &'static str = "joint";

    const PARAMETERS: u32 = 7;

    fn recv_commitment(layout: &Layout, tape: &mut VerifierTape<'_>) -> Result<Commitment, Error> {
        Ok(match layout.code() {
            Some(_) => Commitment::Root(tape.recv_array(ROOT)?),
            None => Commitment::Clear(tape.recv_cells(CELLS, layout.cells())?),
        })
    }

    fn check_commitment(commitment: &Commitment, layout: &Layout) -> Result<(), Error> {
        check_form(commitment, layout)
    }

    fn verify(
        sources: &[SourceRef<'_, Commitment>],
        relation: &Relation,
        tape: &mut VerifierTape<'_>,
    ) -> Result<(), Error> {
        verify::verify(sources, relation, tape)
    }

    fn soundness(sources: &[&Layout]) -> Result<Vec<SoundnessTerm>, Error> {
        soundness::soundness(sources)
    }

    fn hidden_leaves(sources: &[&Layout]) -> Result<Option<HiddenLeaves>, Error> {
        soundness::leaves(sources)
    }
}

#[cfg(feature = "prover")]
impl RelationProver for Joint {
    type Data = SourceData;

    fn commit(layout: &Layout, columns: Vec<Column>) -> Result<(Commitment, SourceData), Error> {
        Ok(rayon::scope(|_| SourceData::commit(layout, columns, None)))
    }

    fn commit_hidden(
        layout: &Layout,
        columns: Vec<Column>,
        seed: &Seed,
    ) -> Result<(Commitment, SourceData), Error> {
        Ok(rayon::scope(|_| {
            SourceData::commit(layout, columns, Some(seed))
        }))
    }

    fn send_commitment(commitment: &Commitment, tape: &mut ProverTape) {
        match commitment {
            Commitment::Root(root) => tape.send_bytes(ROOT, root),
            Commitment::Clear(cells) => tape.send_cells(CELLS, cells),
        }
    }

    fn open(
        sources: &[&SourceData],
        relation: &Relation,
        known: &[Vec<Option<Partial>>],
        tape: &mut ProverTape,
    ) -> Result<(), Error> {
        // One switch to the pool's threads instead of one a parallel loop.
        rayon::scope(|_| prove::open(sources, relation, known, tape))
    }

    fn spend(data: &SourceData, uses: usize) -> Result<(), Error> {
        data.hidden()
            .map_or(Ok(()), |hidden| hidden.spend_uses(uses))
    }

    fn restore(data: &SourceData, left: usize) -> Result<(), Error> {
        data.hidden()
            .map_or(Ok(()), |hidden| hidden.restore(data.layout(), left))
    }

    fn left(data: &SourceData) -> Option<usize> {
        data.hidden().map(source::Hidden::left)
    }

    fn certify(
        sources: &[&SourceData],
        certified: usize,
        relation: &Relation,
        tape: &mut ProverTape,
    ) -> Result<(), Error> {
        rayon::scope(|_| prove::certify(sources, certified, relation, tape))
    }
}

/// The error that a commitment does not have the form of its layout.
fn form(reason: &'static str) -> Error {
    Error::Commitment { reason }
}

/// The error that a term does not fit its source.
fn unfit(column: ColumnId, reason: &'static str) -> Error {
    Error::Claim {
        table: column.table,
        column: column.column,
        reason,
    }
}

/// Checks that a commitment is a root, or the cells, as the layout calls for.
fn check_form(commitment: &Commitment, layout: &Layout) -> Result<(), Error> {
    match (commitment, layout.code()) {
        (Commitment::Root(_), Some(_)) => Ok(()),
        (Commitment::Clear(cells), None) if cells.len() == layout.cells() => Ok(()),
        (Commitment::Clear(_), None) => Err(form("the number of cells is not the layout's")),
        (Commitment::Clear(_), Some(_)) => Err(form("cells where the layout has a root")),
        (Commitment::Root(_), None) => Err(form("a root where the layout has cells")),
    }
}

/// Checks that there are terms for each source, and that their columns and points exist.
fn check_terms(layouts: &[&Layout], relation: &Relation) -> Result<(), Error> {
    if relation.terms.len() != layouts.len() {
        return Err(form("a relation has terms for each source"));
    }
    for (layout, terms) in layouts.iter().zip(&relation.terms) {
        for term in terms {
            let column = term.column();
            let slot = layout.slot(column);
            let slot = slot.ok_or_else(|| unfit(column, "no such column"))?;
            match term {
                Term::Column { point, .. } if slot.num_vars != point.len() => {
                    return Err(unfit(column, "wrong number of coordinates"));
                }
                Term::Cells { coefs, .. } if slot.live != coefs.len() => {
                    return Err(unfit(column, "wrong number of weights"));
                }
                Term::Column { .. } | Term::Cells { .. } => {}
            }
        }
    }
    Ok(())
}

/// The columns of a source in the clear.
fn columns_in_clear<'a>(
    cells: &'a Cells,
    layout: &Layout,
) -> Result<BTreeMap<ColumnId, &'a [F]>, Error> {
    let mut rest = cells.as_slice();
    let mut columns = BTreeMap::new();
    for (id, slot) in layout.slots() {
        let (head, tail) = rest
            .split_at_checked(slot.live)
            .ok_or_else(|| form("fewer cells than the layout has"))?;
        columns.insert(id, head);
        rest = tail;
    }
    Ok(columns)
}

/// An element of `E` from its coordinates.
fn element(c0: F, c1: F) -> E {
    E::from_basis_coefficients_fn(|k| if k == 0 { c0 } else { c1 })
}

/// What both sides absorb before an opening. All numbers are 8 bytes, and each list is preceded by
/// its length or has one that follows from what precedes.
fn transcribe(plan: &Plan, layouts: &[&Layout], roots: &[Digest], relation: &Relation) -> Vec<u8> {
    let mut numbers = vec![plan.work, plan.fold, plan.folded, layouts.len()];
    for layout in layouts {
        layout.transcribe(&mut numbers);
    }
    numbers.extend(plan.parts.iter().map(|part| part.queries));
    let middle = plan.middle.map_or([0; 4], |middle| {
        let code = middle.code;
        [code.fold, code.rows, code.log_points, middle.queries]
    });
    numbers.extend(middle);
    let lists = plan.end.decoding == tail::Decoding::List;
    let flags = [plan.end.clear, lists].map(usize::from);
    numbers.push(plan.end.num_vars);
    numbers.extend(flags);
    let mut bytes = vec![];
    let mut number = |n: usize| bytes.extend(u64::try_from(n).unwrap_or(u64::MAX).to_le_bytes());
    numbers.into_iter().for_each(&mut number);
    bytes.extend(roots.iter().flatten());
    let scalar = |bytes: &mut Vec<u8>, value: &E| {
        for coefficient in BasedVectorSpace::<F>::as_basis_coefficients_slice(value) {
            bytes.extend(coefficient.as_canonical_u64().to_le_bytes());
        }
    };
    scalar(&mut bytes, &relation.target);
    for terms in &relation.terms {
        bytes.extend(u64::try_from(terms.len()).unwrap_or(u64::MAX).to_le_bytes());
        for term in terms {
            // No table has this number.
            let cells = matches!(term, Term::Cells { .. }).then_some(usize::MAX);
            let ColumnId { table, column } = term.column();
            for n in cells.into_iter().chain([table, column]) {
                bytes.extend(u64::try_from(n).unwrap_or(u64::MAX).to_le_bytes());
            }
            match term {
                Term::Column { point, coef, .. } => {
                    scalar(&mut bytes, coef);
                    point.iter().for_each(|x| scalar(&mut bytes, x));
                }
                Term::Cells { coefs, .. } => coefs.iter().for_each(|x| scalar(&mut bytes, x)),
            }
        }
    }
    bytes
}
