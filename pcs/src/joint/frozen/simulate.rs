//! Openings without cells: words of random rows, and messages that make up for it because challenges are known
//! beforehand.
//!
//! Rows of hidden words are uniform, each by itself, so the words are not even near codewords. Whatever the
//! relation, the rounds are those of nothing in particular; the vector that is shown last is chosen such that
//! it agrees with the rows that will be opened, and with the claim. So what an accepted opening shows does not
//! depend on any witness.

use super::super::hiding::Noise;
use super::super::layout::Plan;
use super::super::prove::{Conduct, certify_as, open_as};
use super::super::source::{Column, Hidden, SourceData};
use super::super::verify::{fold_row, fold_row_extension};
use super::super::weights::{last, points};
use super::super::{Commitment, Layout, Relation};
use super::explain::{interpolate, vanishing};
use super::{Frozen, FrozenData};
use crate::claim::Error;
use crate::frozen::{Challenges, mix};
use crate::random::Seed;
use crate::transcript::ProverTape;
use p3_matrix::dense::RowMajorMatrix;
use zkstrata_mle::{E, F, Field, PrimeCharacteristicRing, eq_table};

/// Which opening is simulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// That of a proof.
    Proof,
    /// That which certifies the source at this place.
    Certificate(usize),
}

/// Fills a word with uniform elements.
fn scatter(word: &mut RowMajorMatrix<F>, salt: u64) {
    let salt = mix(salt);
    for (x, k) in word.values.iter_mut().zip(0..) {
        *x = F::from_u64(mix(salt.wrapping_add(k)));
    }
}

/// The value of a polynomial.
fn at(polynomial: &[E], x: F) -> E {
    let coefs = polynomial.iter().rev();
    coefs.fold(E::ZERO, |value, &c| value * x + c)
}

fn dot(a: &[E], b: &[E]) -> E {
    a.iter().zip(b).map(|(&a, &b)| a * b).sum()
}

/// Changes the coefficients from `first` on, such that the polynomial has these values and its product with the
/// weights grows by what is missing.
fn fit(
    polynomial: &mut [E],
    first: usize,
    (points, values): (&[F], &[E]),
    weights: &[E],
    missing: E,
) {
    let before = dot(polynomial, weights);
    let shifted = |&x: &F| E::from(x.exp_u64(first as u64).inverse());
    let wanted = points.iter().zip(values);
    let wanted: Vec<E> = wanted
        .map(|(x, &value)| (value - at(polynomial, *x)) * shifted(x))
        .collect();
    let own = &mut polynomial[first..];
    for (x, c) in own.iter_mut().zip(interpolate(points, &wanted)) {
        *x += c;
    }
    // This changes no value. From `first` on there are no weights.
    let zero = vanishing(points);
    let zero: Vec<E> = zero.into_iter().map(E::from).collect();
    assert!(zero.len() <= own.len(), "a row to spare");
    let missing = missing - (dot(polynomial, weights) - before);
    let scale = missing * dot(&zero, weights).inverse();
    for (x, c) in polynomial.iter_mut().zip(zero) {
        *x += scale * c;
    }
}

/// A prover who knows nothing but challenges.
struct Simulator<'a> {
    plan: Plan,
    sources: Vec<&'a SourceData>,
    rho: Vec<E>,
    rest: Vec<E>,
    positions: Vec<Vec<usize>>,
    folded: Option<RowMajorMatrix<F>>,
}

impl<'a> Simulator<'a> {
    fn new(plan: Plan, sources: Vec<&'a SourceData>, challenges: &Challenges) -> Self {
        let mut challenges = challenges.clone();
        let codes = plan.parts.iter().map(|part| (part.code, part.queries));
        let codes = codes.chain(plan.middle.map(|middle| (middle.code, middle.queries)));
        let positions = codes.map(|(code, n)| challenges.positions(code.log_points, n));
        let positions = positions.collect();
        let mut draw = |n: usize| (0..n).map(|_| challenges.next()).collect::<Vec<E>>();
        let _eps = draw(usize::from(plan.holder.is_some()));
        let rho = draw(plan.fold);
        Self {
            positions,
            rest: draw(32),
            folded: None,
            plan,
            sources,
            rho,
        }
    }
}

impl Conduct for Simulator<'_> {
    fn lies(&self) -> bool {
        true
    }

    /// Folded rows that will be sent under a veil.
    fn folded(&mut self, folded: &mut [E], weights: &[E], claim: E) {
        let holder = self.plan.holder.filter(|_| self.plan.middle.is_none());
        let Some(part) = holder.map(|holder| self.plan.parts[holder]) else {
            return;
        };
        let coded = self.sources[part.source].coded().expect("encoded");
        let Noise { veil, .. } = &coded.hidden.as_ref().expect("hidden").noise;
        let positions = &self.positions[self.plan.holder.unwrap_or(0)];
        let (points, c) = (points(part.code, positions), self.rest[0]);
        let eq = eq_table(last(&self.rho, part.code.fold), part.code.width(), E::ONE);
        let rows = coded
            .open(self.sources[part.source].layout(), positions)
            .rows;
        let rows = rows.chunks(part.width()).zip(&points);
        let values: Vec<E> = rows
            .map(|(row, &x)| fold_row(&eq, row, c) - c * at(veil, x))
            .collect();
        let blinding = part.code.rows - part.hiding.expect("hidden").blinding;
        let missing = claim - dot(folded, weights);
        let own = &mut folded[part.rows()];
        let weights = &weights[part.rows()];
        fit(own, blinding, (&points, &values), weights, missing);
    }

    fn word(&mut self, word: &mut RowMajorMatrix<F>) {
        scatter(word, self.positions.len() as u64);
        self.folded = Some(word.clone());
    }

    fn end(&mut self, end: &mut [E], weights: &[E], claim: E) {
        let (Some(middle), Some(word)) = (&self.plan.middle, &self.folded) else {
            return;
        };
        let code = middle.code;
        let rho = &self.rest[2..2 + code.fold];
        let (eq, c) = (
            eq_table(rho, code.width(), E::ONE),
            self.rest[2 + code.fold],
        );
        let positions = self.positions.last().expect("those of the word");
        let row = |&k: &usize| &word.values[k * middle.width()..][..middle.width()];
        let rows = positions.iter().map(row);
        let values: Vec<E> = rows.map(|row| fold_row_extension(&eq, row, c)).collect();
        let points = points(code, positions);
        let missing = claim - dot(end, weights);
        let first = middle.folded + code.fold + 1;
        fit(end, first, (&points, &values), weights, missing);
    }
}

impl Frozen {
    /// A commitment to nothing.
    ///
    /// # Panics
    /// If the layout is not hidden.
    pub fn simulate_commitment(layout: &Layout, salt: u64) -> (Commitment, FrozenData) {
        let [salt, seed] = [salt, !salt].map(mix);
        let seed = seed.to_le_bytes().repeat(4).try_into();
        let seed = Seed::new(seed.expect("32 bytes"));
        let hidden = Hidden::new(layout, &seed).expect("a hidden layout");
        let zeros = layout
            .slots()
            .map(|(_, slot)| Column::I8(vec![0; slot.live]));
        let zeros = zeros.collect();
        let scatter = |word: &mut RowMajorMatrix<F>| scatter(word, salt);
        let (commitment, data) = SourceData::commit_to(layout, zeros, Some(hidden), scatter);
        (commitment, FrozenData { data, word: None })
    }

    /// Writes an opening of any relation on simulated commitments, and on others that are not hidden. The
    /// tape's challenges are fixed, and of those that are drawn for positions none has been.
    ///
    /// # Errors
    /// As for an honest one.
    ///
    /// # Panics
    /// If the tape draws real challenges.
    pub fn simulate(
        kind: Kind,
        sources: &[&FrozenData],
        relation: &Relation,
        tape: &mut ProverTape,
    ) -> Result<(), Error> {
        let sources: Vec<&SourceData> = sources.iter().map(|source| &source.data).collect();
        let layouts: Vec<&Layout> = sources.iter().map(|source| source.layout()).collect();
        let certifying;
        let layouts = match kind {
            Kind::Proof => layouts,
            Kind::Certificate(certified) => {
                certifying = Layout::certifying(&layouts, certified);
                certifying.iter().collect()
            }
        };
        let challenges = tape.frozen().expect("challenges are fixed");
        let mut simulator = Simulator::new(Plan::new(&layouts)?, sources.clone(), challenges);
        match kind {
            Kind::Proof => open_as(&mut simulator, &sources, relation, &[], tape),
            Kind::Certificate(certified) => {
                certify_as(&mut simulator, &sources, certified, relation, tape)
            }
        }
    }
}
