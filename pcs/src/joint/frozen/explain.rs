//! The noise with which other cells show the same in openings.
//!
//! Of a sumcheck the masks make up for the differences of all messages, by the bijection of
//! [`super::super::hiding`]; of the rows of a word its blinding rows, which interpolate the differences at all
//! points where any opening shows the word; of the last vector the veil. They are taken in this order, since
//! each adds to the differences of what comes after it.

use super::super::Term;
use super::super::hiding::Noise;
use super::super::layout::{Layout, Middle, Plan};
use super::super::source::Column;
use super::super::weights::points;
use super::{Matrix, Noises, Opening};
use crate::frozen::Record;
use std::ops::Mul;
use zkstrata_mle::{BasedVectorSpace, E, F, Field, PrimeCharacteristicRing, eq_table};

fn minus(a: &Matrix, b: &Matrix) -> Matrix {
    let row = |(a, b): (&Vec<E>, &Vec<E>)| a.iter().zip(b).map(|(&a, &b)| a - b).collect();
    a.iter().zip(b).map(row).collect()
}

fn inner(a: &Matrix, b: &Matrix) -> E {
    let products = a.iter().flatten().zip(b.iter().flatten());
    products.map(|(&a, &b)| a * b).sum()
}

/// The rounds of the sumcheck of the product over the column variables.
fn rounds(cells: &Matrix, weights: &Matrix, rho: &[E]) -> Vec<[E; 2]> {
    let (mut cells, mut weights) = (cells.clone(), weights.clone());
    let mut messages = vec![];
    for &r in rho {
        let mut message = [E::ZERO; 2];
        for (p, w) in cells.iter_mut().zip(&mut weights) {
            let half = p.len() / 2;
            for k in 0..half {
                message[0] += p[k] * w[k];
                message[1] += (p[half + k] - p[k]) * (w[half + k] - w[k]);
            }
            for row in [p, w] {
                *row = (0..half)
                    .map(|k| row[k] + r * (row[half + k] - row[k]))
                    .collect();
            }
        }
        messages.push(message);
    }
    messages
}

/// `m_0, .., m_f` over the cube, such that the sumcheck of the mask has these rounds and the sum 0.
fn mask(messages: &[[E; 2]], rho: &[E]) -> Matrix {
    let f = messages.len();
    let power = |n: usize| E::TWO.exp_u64(n as u64);
    let (mut claim, mut sum) = (E::ZERO, E::ZERO);
    let mut masks = vec![vec![E::ZERO; 1 << f]; f + 1];
    for (i, (&[zero, top], &r)) in (1..).zip(messages.iter().zip(rho)) {
        let b = top * power(f - i).inverse();
        let a = (claim - zero.double()) * power(f - i).inverse() - b;
        sum += a + b;
        claim = zero + r * (claim - zero.double() - top + r * top);
        for x in (0..1 << f).filter(|x| x >> (f - i) & 1 == 1) {
            masks[0][x] += a;
            masks[i][x] += b;
        }
    }
    let constant = -sum * E::TWO.inverse();
    masks[0].iter_mut().for_each(|m| *m += constant);
    masks
}

/// The product of all `X - x`.
pub(super) fn vanishing(points: &[F]) -> Vec<F> {
    let mut product = vec![F::ONE];
    for &x in points {
        product.insert(0, F::ZERO);
        for k in 1..product.len() {
            let next = product[k];
            product[k - 1] -= next * x;
        }
    }
    product
}

/// Elements that are multiplied by those of `F`.
pub(in super::super) trait Over:
    PrimeCharacteristicRing + Copy + Mul<F, Output = Self>
{
}

impl Over for F {}

impl Over for E {}

/// By rows, the coefficients of the polynomials of least degree with these rows of values.
fn interpolate_rows<V: Over>(points: &[F], values: &[Vec<V>]) -> Vec<Vec<V>> {
    let width = values.first().map_or(0, Vec::len);
    let mut coefs = vec![vec![V::ZERO; width]; points.len()];
    let vanishing = vanishing(points);
    for (&x, values) in points.iter().zip(values) {
        // The quotient by `X - x`, from the highest coefficient, and its value at `x`.
        let mut quotient = vec![F::ZERO; points.len()];
        let mut next = F::ZERO;
        for (q, &c) in quotient.iter_mut().zip(&vanishing[1..]).rev() {
            next = c + x * next;
            *q = next;
        }
        let value = quotient.iter().rev().fold(F::ZERO, |v, &q| v * x + q);
        let scale = value.inverse();
        let values: Vec<V> = values.iter().map(|&value| value * scale).collect();
        for (coefs, q) in coefs.iter_mut().zip(quotient) {
            for (c, &value) in coefs.iter_mut().zip(&values) {
                *c += value * q;
            }
        }
    }
    coefs
}

/// The coefficients of the polynomial of least degree with these values.
pub(in super::super) fn interpolate(points: &[F], values: &[E]) -> Vec<E> {
    let values: Matrix = values.iter().map(|&value| vec![value]).collect();
    interpolate_rows(points, &values).concat()
}

/// Writes to rows from `first` on, which are zero, what makes every column of a difference vanish at these
/// points.
pub(in super::super) fn cancel<V: Over>(difference: &mut [Vec<V>], first: usize, at: &[F]) {
    let values = at.iter().map(|&x| {
        let mut value = vec![V::ZERO; difference[0].len()];
        for row in difference[..first].iter().rev() {
            value
                .iter_mut()
                .zip(row)
                .for_each(|(v, &c)| *v = *v * x + c);
        }
        let scale = -x.exp_u64(first as u64).inverse();
        value.iter().map(|&v| v * scale).collect()
    });
    let values: Vec<Vec<V>> = values.collect();
    let rows = difference[first..].iter_mut();
    for (row, coefs) in rows.zip(interpolate_rows(at, &values)) {
        *row = coefs;
    }
}

fn base(x: E) -> [F; 2] {
    let c: &[F] = x.as_basis_coefficients_slice();
    [c[0], c[1]]
}

fn fold_of(rows: &Matrix, eq: &[E]) -> Vec<E> {
    let row = |row: &Vec<E>| row.iter().zip(eq).map(|(&x, &eq)| eq * x).sum();
    rows.iter().map(row).collect()
}

/// Makes up in a veil for a difference of what it veils.
fn lift(veil: &mut [E], difference: &[E], c: E) {
    let inverse = c.inverse();
    for (g, &d) in veil.iter_mut().zip(difference) {
        *g -= d * inverse;
    }
}

/// The cells of a source by rows, noise included.
pub(in super::super) fn cells(
    layout: &Layout,
    columns: &[Column],
    noise: Option<&Noise>,
) -> Matrix {
    let code = layout.code().expect("encoded");
    let mut rows = vec![vec![E::ZERO; code.width()]; code.rows];
    let write = |rows: &mut [Vec<E>], cells: &[F]| {
        for (row, cells) in rows.iter_mut().zip(cells.chunks(code.width())) {
            row.iter_mut()
                .zip(cells)
                .for_each(|(x, &cell)| *x = cell.into());
        }
    };
    for (column, (_, slot)) in columns.iter().zip(layout.slots()) {
        let mut cells = vec![];
        column.append_to(&mut cells);
        write(&mut rows[slot.first..slot.first + slot.rows], &cells);
    }
    if let (Some(hiding), Some(noise)) = (layout.hiding(), noise) {
        write(&mut rows[hiding.masks..], &noise.rows);
    }
    rows
}

/// The weights of the relation by rows.
pub(in super::super) fn weights(layout: &Layout, terms: &[Term]) -> Matrix {
    let code = layout.code().expect("encoded");
    let mut rows = vec![vec![E::ZERO; code.width()]; code.rows];
    for term in terms {
        let slot = layout.slot(term.column()).expect("a column");
        let own = match term {
            Term::Column { point, coef, .. } => eq_table(point, 1 << point.len(), *coef),
            Term::Cells { coefs, .. } => coefs.clone(),
        };
        let rows = rows[slot.first..slot.first + slot.rows].iter_mut();
        for (row, own) in rows.zip(own.chunks(code.width())) {
            row.iter_mut()
                .zip(own)
                .for_each(|(x, &weight)| *x += weight);
        }
    }
    rows
}

/// How much the target of a relation is missed by cells that differ from those of which it is true.
#[cfg(test)]
pub(in super::super) fn missed(layout: &Layout, terms: &[Term], difference: &Matrix) -> E {
    inner(difference, &weights(layout, terms))
}

impl Opening {
    /// The difference of the source of a part.
    fn of<'a>(&self, source: usize, differences: &'a [Matrix]) -> Option<&'a Matrix> {
        differences.get(self.words[source]?)
    }

    /// Adds to the holder's differences those of its masks.
    fn mask(&self, differences: &mut [Matrix]) {
        let plan = self.plan();
        let Some(holder) = plan.holder.map(|holder| &plan.parts[holder]) else {
            return;
        };
        let (eps, rho, _) = self.challenges(&plan);
        let hiding = holder.hiding.expect("the holder is hidden");
        let mut needed = vec![[E::ZERO; 2]; hiding.vars];
        for part in plan.parts.iter().filter(|part| part.hiding.is_some()) {
            let Some(difference) = self.of(part.source, differences) else {
                continue;
            };
            let of_cells = weights(
                &self.layouts[part.source],
                &self.relation.terms[part.source],
            );
            let rho = &rho[plan.fold - part.code.fold..];
            // Where the masks have more variables, the part does not depend on them.
            let missing = hiding.vars - part.code.fold;
            let half = E::TWO.inverse();
            let scale = half.exp_u64(missing as u64);
            let messages = rounds(difference, &of_cells, rho);
            let total = inner(difference, &of_cells);
            let mut factor = E::ONE;
            for (k, needed) in needed.iter_mut().enumerate() {
                if k < missing {
                    factor *= half;
                    needed[0] -= eps * factor * total;
                } else {
                    let message = messages[k - missing];
                    needed[0] -= eps * scale * message[0];
                    needed[1] -= eps * scale * message[1];
                }
            }
        }
        let masks = mask(&needed, &rho[plan.fold - hiding.vars..]);
        let Some(own) = self.words[holder.source] else {
            return;
        };
        let mut cells = differences[own][hiding.masks..].iter_mut().flatten();
        for mask in &masks {
            for e in 0..2 {
                for &m in mask {
                    *cells.next().expect("a cell of the masks") += E::from(base(m)[e]);
                }
            }
        }
    }

    /// Where a word is shown.
    fn shows(&self, word: usize) -> Vec<usize> {
        let plan = self.plan();
        let parts = plan.parts.iter().zip(&self.noted.positions);
        let own = parts.filter(|(part, _)| self.words[part.source] == Some(word));
        own.flat_map(|(_, positions)| positions.iter().copied())
            .collect()
    }

    /// The other noise of the word of folded rows. If there is none, the veil of the holder's word makes up
    /// for what folded rows differ by.
    fn fold(&self, differences: &[Matrix], words: &mut [Noise]) -> Option<Noise> {
        let plan = self.plan();
        let holder = &plan.parts[plan.holder?];
        let (_, rho, rest) = self.challenges(&plan);
        let mut folded = vec![];
        for part in &plan.parts {
            let fold = part.code.fold;
            let eq = eq_table(&rho[plan.fold - fold..], 1 << fold, E::ONE);
            match self.of(part.source, differences) {
                Some(difference) => folded.extend(fold_of(difference, &eq)),
                None => folded.resize(folded.len() + part.code.rows, E::ZERO),
            }
        }
        let Some(middle) = &plan.middle else {
            let own = &folded[holder.first..holder.first + holder.code.rows];
            lift(&mut words[self.words[holder.source]?].veil, own, rest[0]);
            return None;
        };
        Some(self.of_folded(&plan, middle, &folded, &rest))
    }

    /// The noise of the word of folded rows, which differ by this.
    fn of_folded(&self, plan: &Plan, middle: &Middle, folded: &[E], rest: &[E]) -> Noise {
        let width = middle.code.width();
        let gamma = rest[0];
        let mut power = E::ONE;
        let mut of_rows = self.noted.weights.clone();
        for (part, positions) in plan.parts.iter().zip(&self.noted.positions) {
            for x in points(part.code, positions) {
                power *= gamma;
                let own = of_rows[part.first..].iter_mut().take(part.code.rows);
                own.zip(x.powers())
                    .for_each(|(weight, x)| *weight += power * x);
            }
        }
        let by_rows = |values: &[E]| -> Matrix {
            let mut rows: Matrix = values.chunks(width).map(<[E]>::to_vec).collect();
            for row in &mut rows {
                row.resize(width, E::ZERO);
            }
            rows.resize(middle.code.rows, vec![E::ZERO; width]);
            rows
        };
        let (mut difference, of_rows) = (by_rows(folded), by_rows(&of_rows));
        assert_eq!(inner(&difference, &of_rows), E::ZERO, "both are witnesses");
        let eps = rest[1];
        let rho = &rest[2..2 + middle.code.fold];
        let c = rest[2 + middle.code.fold];
        let needed = rounds(&difference, &of_rows, rho);
        let needed: Vec<[E; 2]> = needed.iter().map(|&[a, b]| [-eps * a, -eps * b]).collect();
        let masks = mask(&needed, rho).into_iter();
        for (row, mask) in difference[middle.folded..].iter_mut().zip(masks) {
            *row = mask;
        }
        let positions = &self.noted.positions[plan.parts.len()];
        let blinding = middle.folded + middle.code.fold + 1;
        assert!(
            positions.len() < middle.code.rows - blinding,
            "one row is to spare"
        );
        cancel(&mut difference, blinding, &points(middle.code, positions));
        let mut noise = self.noted.noise.clone().expect("folded rows are hidden");
        let rows = difference[middle.folded..].iter().flatten();
        let rows = rows.copied().flat_map(base);
        noise.rows.iter_mut().zip(rows).for_each(|(x, d)| *x += d);
        let end = fold_of(&difference, &eq_table(rho, width, E::ONE));
        lift(&mut noise.veil, &end, c);
        noise
    }
}

impl Noises {
    /// The noise with which the other's cells show what the first has shown.
    ///
    /// # Panics
    /// If there is none.
    pub(crate) fn explaining(first: &Record, other: &Record) -> Self {
        assert_eq!(first.words.len(), other.words.len(), "the same words");
        assert_eq!(first.openings.len(), other.openings.len());
        for (a, b) in first.openings.iter().zip(&other.openings) {
            assert!(a.relation == b.relation, "the same relations");
        }
        let words = first.words.iter().zip(&other.words);
        let mut differences: Vec<Matrix> = words
            .map(|(a, b)| {
                assert_eq!(a.layout, b.layout);
                let [a, b] = [a, b].map(|word| cells(&word.layout, &word.columns, None));
                minus(&b, &a)
            })
            .collect();
        for opening in &first.openings {
            opening.mask(&mut differences);
        }
        for (word, (own, difference)) in first.words.iter().zip(&mut differences).enumerate() {
            let (code, hiding) = (own.layout.code(), own.layout.hiding());
            let (code, hiding) = code.zip(hiding).expect("hidden");
            let shows = first
                .openings
                .iter()
                .flat_map(|opening| opening.shows(word));
            let mut positions: Vec<usize> = shows.collect();
            positions.sort_unstable();
            positions.dedup();
            assert!(positions.len() < hiding.blinding, "one row is to spare");
            let blinding = code.rows - hiding.blinding;
            // Cells are over `F`.
            let rows = difference.iter().map(|row| row.iter().map(|&d| base(d)[0]));
            let mut rows: Vec<Vec<F>> = rows.map(Iterator::collect).collect();
            cancel(&mut rows, blinding, &points(code, &positions));
            let rows = rows.into_iter().map(|row| row.into_iter().map(E::from));
            *difference = rows.map(Iterator::collect).collect();
        }
        let words = first.words.iter().zip(&differences);
        let words = words.map(|(word, difference)| {
            let masks = word.layout.hiding().expect("hidden").masks;
            let mut noise = word.noise.clone();
            let rows = difference[masks..].iter().flatten();
            let rows = noise.rows.iter_mut().zip(rows);
            rows.for_each(|(x, &d)| *x += base(d)[0]);
            noise
        });
        let mut words: Vec<Noise> = words.collect();
        let fold = |opening: &Opening| opening.fold(&differences, &mut words);
        let folded = first.openings.iter().map(fold).collect();
        Self { words, folded }
    }
}
