//! What keeps the cells of sources hidden in an opening: rows, masks and a veil.
//!
//! Messages of an opening are the rounds of its sumchecks, rows of words and the last vector. In an
//! opening with hidden sources each is uniform whatever the cells are, because of randomness that is
//! committed with them:
//!
//! * **Blinding rows.** The last `T` rows of a hidden source are uniform. Where its word is opened, at
//!   `t` points an opening, `uses` openings, `T = uses t + 1`, and the points of its certificate more if
//!   it has one, the opened rows are what the other rows contribute plus a Vandermonde matrix of the points times the blinding rows: uniform and independent,
//!   and so is one row more. The rows must be *consecutive*: of rows a stride `s` apart, `x^s` takes
//!   only `n / s` values. The one to spare keeps the hashes of rows that are not opened silent:
//!   whoever guesses what a row is has `2^f` elements to guess.
//! * **Masks.** `2 (v + 1)` further rows, before those, of `2^v` cells each, hold the coefficients of a
//!   polynomial over `E`
//!   ```text
//!   m(X) = m_0(X) + sum_i X_i m_i(X),       m_i = sum_b eq(X, b) (M(2i, b) + theta M(2i + 1, b))
//!   ```
//!   in as many column variables `v` as any hidden source of the opening has; if they are more than the
//!   `f` of the source, `2^(v - f)` of its rows, one after another, are one of the masks. The prover sends its sum `S` over the cube, and for a challenge
//!   `eps` the sumcheck is that of `eps <P, W> + <P, Lambda> = eps tau + S`, where `<P, Lambda>` is
//!   that sum: `Lambda(b)` is `theta^e` on mask row `e` and `theta^e b_i` on mask row `2i + e`.
//!   The cells are over `F` and messages over `E`, hence two rows for each. `S` and the two elements
//!   of each round are a bijective image of `m_0` and of the constant and linear coefficient of one
//!   cell of each `m_i`: they are uniform. One source has the masks of an opening, the *holder*, the
//!   first that is hidden, and they are used once: it is opened once, or is certified in this opening.
//!   Where a source that is not hidden has more variables, the rounds over them show of hidden sources
//!   their part of the claim, which follows from the claim and the cells that everybody knows.
//! * **The veil.** The last vector is `h = F + c g`: the prover has committed to `g`, uniform over `E`
//!   in every row, in two further elements of each row of the word that `F` is the fold of, sends
//!   `a = <g, A>`, where `A` are the weights of the claim on `F`, and is given `c`. The claim becomes one
//!   on `h`, and a row of the word folds to `sum_b eq_b row_b + c row_g`. `h` is uniform, and may be
//!   sent or committed to without care.
//!
//! If folded rows are sent instead of a word made of them, the holder's word has the veil; other
//! hidden sources would need one of their own in every opening, so then the word of folded rows is
//! made, however few they are. That word has blinding rows, masks and a veil of its own; it is over
//! `E`, so `f' + 1` rows are its masks.
//!
//! `a` follows from `h`, the claim and `c`, unless `c` is 0: then the prover gives up.
//!
//! **Soundness.** `eps`: if `<P, W> = tau` is false, at most one `eps` makes the masked relation true.
//! `c`: the claim on `h` is linear in it, so at most one makes a false claim on `F` true; and `F + c g` is
//! one more variable that a word is folded by, by lemma 0 of the module.

use super::layout::{Middle, Others, Part};
use super::parameters::{Code, LEVEL, MIDDLE_FOLD, Parameters, Word};
use super::weights::last;
use crate::channel::Channel;
use crate::claim::Error;
use crate::transcript::{TapeError, VerifierTape};
use zkstrata_mle::{BasedVectorSpace, E, F, PrimeCharacteristicRing, eq_table, selector};

#[cfg(feature = "prover")]
use super::Layout;
#[cfg(feature = "prover")]
use crate::random::{Purpose, Seed};
#[cfg(feature = "prover")]
use crate::transcript::ProverTape;

/// Message of the sum of a mask.
pub(super) const MASK: &str = "joint mask";

/// Message of the veil's value.
pub(super) const VEILED: &str = "joint veil";

/// Check that the veil's challenge is not 0.
const LIFTED: &str = "joint veil lifted";

/// Elements of `F` of the veil in a row.
pub(super) const VEIL: usize = 2;

/// Rounds after which the number of rows that hide each other has been found, or there is none.
const ATTEMPTS: usize = 64;

/// `theta`.
pub(super) fn theta() -> E {
    E::from_basis_coefficients_fn(|k| if k == 1 { F::ONE } else { F::ZERO })
}

/// What hides a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hiding {
    /// How many openings it stays hidden in, but for its certificate.
    pub(super) uses: usize,
    /// Rows that one of them may show.
    queries: usize,
    /// Rows that the certificate may show, if it has one.
    certificate: usize,
    /// The first mask row: the number of rows that hold cells.
    pub(super) masks: usize,
    /// Column variables that the masks speak of: those of its own matrix at least.
    pub(super) vars: usize,
    /// Rows that are uniform, behind the masks.
    pub(super) blinding: usize,
    /// Whether rows of the word have a veil.
    pub(super) veil: bool,
}

/// A word of `rows` rows and enough blinding rows for the rows that it shows, and their number: more
/// rows take more queries, which take more rows.
fn blinded<T>(
    rows: usize,
    word: impl Fn(usize) -> Result<(T, usize), Error>,
) -> Result<(T, usize), Error> {
    let mut blinding = 1usize;
    for _ in 0..ATTEMPTS {
        let (code, shown) = word(rows.saturating_add(blinding))?;
        let needed = shown.saturating_add(1);
        if needed <= blinding {
            return Ok((code, blinding));
        }
        blinding = needed;
    }
    Err(Error::Parameters {
        reason: format!("no number of rows hides {rows} others in so many openings"),
    })
}

impl Hiding {
    /// The matrix of a hidden source of `rows` rows of cells that is opened beside `others` rows, with
    /// `work` bits of work at least.
    pub(super) fn new(
        (word, parameters): (Word, Parameters),
        (fold, rows): (usize, usize),
        (uses, work): (usize, usize),
        others: Others,
    ) -> Result<(Code, Self), Error> {
        let vars = fold.max(others.hidden.unwrap_or(0));
        let masked = rows.saturating_add(mask_rows(vars) << (vars - fold));
        let code = |rows: usize| {
            let log_points = parameters.hidden_log_points(word, rows)?;
            let code = Code {
                fold,
                rows,
                log_points,
            };
            let queries = word.queries(code, LEVEL, work)?;
            let certificate = if word.has_certificate() {
                Word::Uncertified.queries(code, LEVEL, work)?
            } else {
                0
            };
            let shown = queries.saturating_mul(uses).saturating_add(certificate);
            Ok(((code, queries, certificate), shown))
        };
        let ((code, queries, certificate), blinding) = blinded(masked, code)?;
        let folded = code.rows.saturating_add(others.rows);
        let alone = uses == 1 && word == Word::Committed && others.hidden.is_none();
        let hiding = Self {
            uses,
            queries,
            certificate,
            masks: rows,
            vars,
            blinding,
            veil: alone && parameters.folded_in_clear(folded),
        };
        Ok((code, hiding))
    }

    /// Elements of `F` of the veil in a row.
    pub(super) fn veil_width(&self) -> usize {
        if self.veil { VEIL } else { 0 }
    }

    pub(super) fn transcribe(&self, numbers: &mut Vec<usize>) {
        let Self {
            uses,
            queries,
            certificate,
            masks,
            vars,
            blinding,
            veil,
        } = *self;
        let veil = usize::from(veil);
        numbers.extend([uses, queries, certificate, masks, vars, blinding, veil]);
    }

    /// Rows that an opening of a word may show.
    fn may_show(&self, word: Word) -> usize {
        match word {
            Word::Uncertified => self.certificate,
            Word::Committed | Word::Shared | Word::Codeword | Word::Certified => self.queries,
        }
    }

    /// Whether the masks serve in an opening of a word: they do once.
    fn masks_serve(&self, word: Word) -> bool {
        match word {
            Word::Uncertified => true,
            Word::Certified => false,
            Word::Committed | Word::Shared | Word::Codeword => self.uses == 1,
        }
    }
}

/// Mask rows of a source over `F`.
fn mask_rows(vars: usize) -> usize {
    2 * (vars + 1)
}

impl Middle {
    /// The word of folded rows that take `folded` rows, hidden or not.
    pub(super) fn new(
        parameters: Parameters,
        folded: usize,
        hidden: bool,
        work: usize,
    ) -> Result<Self, Error> {
        let word = |rows: usize| {
            let code = Code {
                fold: MIDDLE_FOLD,
                rows,
                log_points: parameters.middle_points(rows, hidden)?,
            };
            Ok((code, parameters.middle_queries(code, work)?))
        };
        let (code, queries) = if hidden {
            let masked = folded.saturating_add(MIDDLE_FOLD + 1);
            let word = |rows: usize| word(rows).map(|word| (word, word.1));
            blinded(masked, word)?.0
        } else {
            word(folded)?
        };
        Ok(Self {
            code,
            queries,
            folded,
            hidden,
        })
    }

    /// Rows that are uniform, behind the masks, if it is hidden.
    #[cfg(feature = "prover")]
    pub(super) fn blinding(&self) -> usize {
        let masked = self.folded + self.code.fold + 1;
        self.code.rows.saturating_sub(masked)
    }

    /// Elements of `F` in a row of the word.
    pub(super) fn width(&self) -> usize {
        let veil = if self.hidden { VEIL } else { 0 };
        2 * self.code.width() + veil
    }
}

/// Which part has the masks, if one is hidden; checks that all hidden ones can be opened.
pub(super) fn holder(parts: &[Part]) -> Result<Option<usize>, Error> {
    let hidden = || {
        let parts = parts.iter().enumerate();
        parts.filter_map(|(k, part)| Some((k, part, part.hiding?)))
    };
    let Some((index, holder, hiding)) = hidden().next() else {
        return Ok(None);
    };
    let refuse = |reason: &str| {
        Err(Error::Parameters {
            reason: reason.into(),
        })
    };
    if !hiding.masks_serve(holder.word) {
        return refuse("the first hidden source of an opening is opened once");
    }
    for (_, part, own) in hidden() {
        if part.code.fold > hiding.vars {
            return refuse("a hidden source has more column variables than the masks");
        }
        if part.queries > own.may_show(part.word) {
            return refuse("more rows are opened than hidden");
        }
    }
    Ok(Some(index))
}

/// Whether folded rows must not be sent, however few there are: the holder alone may have a veil.
pub(super) fn needs_middle(parts: &[Part]) -> bool {
    let mut hidden = parts.iter().filter_map(|part| part.hiding);
    hidden.next().is_some_and(|hiding| !hiding.veil) || hidden.next().is_some()
}

/// `sum_i (1 or x_i) value(i)`, where `x_0` is 1: what the masks' weights come to at a point.
fn masked(at: &[E], value: impl Fn(usize) -> E) -> E {
    let rest = at.iter().enumerate();
    value(0) + rest.map(|(i, &x)| x * value(i + 1)).sum::<E>()
}

impl Part {
    /// `Lambda(rho, q)`: the weights of the masks among the folded rows, at a point `q` of these.
    pub(super) fn masks_at(&self, rho: &[E], q: &[E]) -> E {
        let Some(hiding) = self.hiding else {
            return E::ZERO;
        };
        let first = self.first.saturating_add(hiding.masks);
        let (rho, lead) = hiding.challenges(rho, self.code.fold);
        masked(rho, |i| {
            let rows = lead.len().saturating_mul(2 * i);
            let half = |rows: usize| -> E {
                let rows = lead.iter().zip(first.saturating_add(rows)..);
                rows.map(|(&eq, row)| eq * selector(q, row)).sum()
            };
            half(rows) + theta() * half(rows.saturating_add(lead.len()))
        })
    }
}

impl Middle {
    /// The same for the word of folded rows, at a point of its rows.
    pub(super) fn masks_at(&self, rho: &[E], r: &[E]) -> E {
        if !self.hidden {
            return E::ZERO;
        }
        masked(rho, |i| selector(r, self.folded.saturating_add(i)))
    }
}

/// Reads the sum of a mask: the claim becomes one on the masked relation. Returns the factor of the
/// relation's weights.
pub(super) fn recv_mask(claim: &mut E, tape: &mut VerifierTape<'_>) -> Result<E, TapeError> {
    let sum = tape.recv_one(MASK)?;
    let eps = tape.sample();
    *claim = eps * *claim + sum;
    Ok(eps)
}

/// Reads the veil's value: the claim becomes one on the veiled vector. Returns the veil's factor.
pub(super) fn recv_veil(claim: &mut E, tape: &mut VerifierTape<'_>) -> Result<E, TapeError> {
    let value = tape.recv_one(VEILED)?;
    let c = tape.sample();
    tape.assert_nonzero(c, LIFTED)?;
    *claim += c * value;
    Ok(c)
}

impl Hiding {
    /// The challenges of the variables of the masks of a source with `fold` of its own; and what the rows
    /// of the source that make a row of the masks are folded with.
    pub(super) fn challenges<'a>(&self, rho: &'a [E], fold: usize) -> (&'a [E], Vec<E>) {
        let rho = last(rho, self.vars);
        let (lead, _) = rho.split_at(rho.len().saturating_sub(fold));
        (rho, eq_table(lead, 1 << lead.len(), E::ONE))
    }
}

/// What hides a source or the word of folded rows, as its prover knows it.
#[cfg(feature = "prover")]
#[cfg_attr(any(test, feature = "frozen"), derive(Clone, Debug))]
pub(super) struct Noise {
    /// Mask rows and blinding rows, one after another.
    pub(super) rows: Vec<F>,
    /// The veil: an element for every row of the word, or none.
    pub(super) veil: Vec<E>,
}

#[cfg(feature = "prover")]
impl Noise {
    /// Draws it for a source.
    pub(super) fn of_source(layout: &Layout, seed: &Seed) -> Option<Self> {
        let (code, hiding) = (layout.code()?, layout.hiding()?);
        let rows = (code.rows - hiding.masks) * code.width();
        let veil = if hiding.veil { code.rows } else { 0 };
        Some(Self::draw(rows, veil, seed, Purpose::Source))
    }

    /// Draws it for the word of folded rows.
    pub(super) fn of_folded(middle: &Middle, seed: &Seed) -> Self {
        let code = middle.code;
        let rows = 2 * (code.rows - middle.folded) * code.width();
        Self::draw(rows, code.rows, seed, Purpose::Folded)
    }

    fn draw(rows: usize, veil: usize, seed: &Seed, purpose: Purpose) -> Self {
        let mut elements = seed.elements(purpose, rows + VEIL * veil);
        let pairs = elements.split_off(rows);
        let pairs = pairs.as_chunks::<VEIL>().0.iter();
        Self {
            rows: elements,
            veil: pairs.map(|&[c0, c1]| super::element(c0, c1)).collect(),
        }
    }

    /// The rows of the word of folded rows, as elements of `E`.
    pub(super) fn elements(&self) -> impl Iterator<Item = E> {
        let pairs = self.rows.as_chunks::<2>().0.iter();
        pairs.map(|&[c0, c1]| super::element(c0, c1))
    }

    /// `m_i(b)` for every `b < 2^vars`, one `i` after another.
    pub(super) fn masks(&self, vars: usize) -> Vec<Vec<E>> {
        let width = 1 << vars;
        let pairs = self.rows.chunks_exact(2 * width).take(vars + 1);
        let mask = |pair: &[F]| {
            let (c0, c1) = pair.split_at(width);
            let cells = c0.iter().zip(c1);
            cells.map(|(&c0, &c1)| super::element(c0, c1)).collect()
        };
        pairs.map(mask).collect()
    }
}

/// `1` for `i = 0`, else bit `i` of every column, the highest first: the weights of `m_i`.
#[cfg(feature = "prover")]
pub(super) fn mask_weights(fold: usize, i: usize) -> Vec<E> {
    let bit = |b: usize| i == 0 || b >> (fold - i) & 1 == 1;
    (0..1 << fold)
        .map(|b| if bit(b) { E::ONE } else { E::ZERO })
        .collect()
}

/// Sends the sum of a mask, as [`recv_mask`] reads it.
#[cfg(feature = "prover")]
pub(super) fn send_mask(sum: E, claim: &mut E, tape: &mut ProverTape) -> E {
    tape.send(MASK, &[sum]);
    let eps = tape.sample();
    *claim = eps * *claim + sum;
    eps
}

/// Veils a vector whose weighted sum is the claim, as [`recv_veil`] reads it.
#[cfg(feature = "prover")]
pub(super) fn send_veil(
    veil: &[E],
    (vector, weights): (&mut [E], &[E]),
    claim: &mut E,
    tape: &mut ProverTape,
) -> Result<E, Error> {
    let products = veil.iter().zip(weights);
    let value = products.map(|(&g, &weight)| g * weight).sum();
    tape.send(VEILED, &[value]);
    let c = tape.sample();
    if c == E::ZERO {
        // Once in 2^128 proofs; whoever tries again has other randomness.
        return Err(Error::Opening {
            reason: "the challenge of the veil is 0".into(),
        });
    }
    *claim += c * value;
    let veiled = vector.iter_mut().zip(veil);
    veiled.for_each(|(x, &g)| *x += c * g);
    Ok(c)
}
