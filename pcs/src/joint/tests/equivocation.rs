//! What an opening shows of hidden cells: nothing.
//!
//! With fixed challenges, an opening of one witness and other cells of which the same relation is true:
//! there is randomness with which the prover of the other cells sends the very same messages, all but
//! roots, siblings and proofs of work. It is solved for here, message by message; if one of them were
//! not hidden, nothing would be found.

use super::attacks::{FORMS, MIDDLE, cases};
use super::*;
use crate::joint::hiding::Noise;
use crate::joint::layout::{Middle, Plan};
use crate::joint::prove::{Conduct, open_as};
use crate::joint::weights::points;
use crate::joint::{MIDDLE as ROOT_OF_FOLDED, ROOT, WORK};
use zkstrata_mle::{BasedVectorSpace, Field, eq_table};

/// Message of the proof of the last vector.
const TAIL: &str = "joint tail";

/// Cells or weights by rows; each row of `2^f` elements.
pub(super) type Matrix = Vec<Vec<E>>;

/// Opens honestly, and notes what it is asked for.
#[derive(Default)]
struct Noted {
    positions: Vec<Vec<usize>>,
    weights: Vec<E>,
    noise: Option<Noise>,
    /// What takes the place of the noise of the word of folded rows.
    other: Option<Noise>,
}

fn copy(noise: &Noise) -> Noise {
    Noise {
        rows: noise.rows.clone(),
        veil: noise.veil.clone(),
    }
}

impl Conduct for Noted {
    fn folded(&mut self, _: &mut [E], weights: &[E], _: E) {
        self.weights = weights.to_vec();
    }

    fn noise(&mut self, noise: &mut Noise) {
        if let Some(other) = self.other.take() {
            *noise = other;
        }
        self.noise = Some(copy(noise));
    }

    fn positions(&mut self, positions: &mut Vec<usize>) {
        self.positions.push(positions.clone());
    }
}

/// A prover with given noise of the hidden sources.
fn open(
    case: &Case,
    noise: &[Option<Noise>],
    other: Option<Noise>,
    challenges: &[E],
) -> (Noted, Vec<(&'static str, Vec<u8>)>) {
    let mut tape = ProverTape::new(&STATEMENT);
    tape.freeze(challenges.to_vec());
    let sources = case.sources.iter().zip(noise).map(|(source, noise)| {
        let mut hidden = source.hiding();
        if let (Some(hidden), Some(noise)) = (&mut hidden, noise) {
            hidden.noise = copy(noise);
        }
        let columns = source.columns.clone();
        let (commitment, data) = SourceData::commit_to(&source.layout, columns, hidden, |_| ());
        if source.layout.word() == Word::Committed {
            Joint::send_commitment(&commitment, &mut tape);
        }
        (commitment, data)
    });
    let (keys, data): (Vec<_>, Vec<_>) = sources.unzip();
    let data: Vec<&SourceData> = data.iter().collect();
    let mut noted = Noted {
        other,
        ..Noted::default()
    };
    open_as(&mut noted, &data, &case.relation, &[], &mut tape).expect("a true relation");
    let shown = shown(case, &keys, tape, challenges);
    (noted, shown)
}

/// What is sent that is not a hash of hidden data, or found by trying. A verifier with these challenges
/// accepts it, but for the last vector's proof, which draws its own and is about what has been shown.
fn shown(
    case: &Case,
    keys: &[Commitment],
    prover: ProverTape,
    challenges: &[E],
) -> Vec<(&'static str, Vec<u8>)> {
    let messages = prover.messages().to_vec();
    let bytes = prover.finish();
    if messages.iter().all(|m| m.label != TAIL) {
        let mut tape = VerifierTape::new(&STATEMENT, &bytes);
        tape.freeze(challenges.to_vec());
        verify_on(case, keys, &mut tape).expect("an honest opening");
    }
    let unlike = [ROOT, ROOT_OF_FOLDED, WORK, "joint paths"];
    let shown = messages.iter().filter(|m| !unlike.contains(&m.label));
    let shown = shown.take_while(|m| m.label != TAIL);
    shown
        .map(|m| (m.label, bytes[m.range.clone()].to_vec()))
        .collect()
}

/// The cells of a source by rows, noise included.
pub(super) fn cells(source: &Source, noise: Option<&Noise>) -> Matrix {
    let code = source.layout.code().expect("encoded");
    let mut rows = vec![vec![E::ZERO; code.width()]; code.rows];
    for (column, (_, slot)) in source.columns.iter().zip(source.layout.slots()) {
        let mut cells = vec![];
        column.append_to(&mut cells);
        for (row, cells) in rows[slot.first..slot.first + slot.rows]
            .iter_mut()
            .zip(cells.chunks(code.width()))
        {
            row.iter_mut()
                .zip(cells)
                .for_each(|(x, &cell)| *x = cell.into());
        }
    }
    if let (Some(hiding), Some(noise)) = (source.layout.hiding(), noise) {
        let noise = noise.rows.chunks(code.width());
        for (row, noise) in rows[hiding.masks..].iter_mut().zip(noise) {
            row.iter_mut()
                .zip(noise)
                .for_each(|(x, &cell)| *x = cell.into());
        }
    }
    rows
}

/// The weights of the relation by rows.
fn weights(source: &Source, terms: &[Term]) -> Matrix {
    let code = source.layout.code().expect("encoded");
    let mut rows = vec![vec![E::ZERO; code.width()]; code.rows];
    for term in terms {
        let slot = source.layout.slot(term.column()).expect("a column");
        let own = match term {
            Term::Column { point, coef, .. } => eq_table(point, 1 << point.len(), *coef),
            Term::Cells { coefs, .. } => coefs.clone(),
        };
        for (row, own) in rows[slot.first..slot.first + slot.rows]
            .iter_mut()
            .zip(own.chunks(code.width()))
        {
            row.iter_mut()
                .zip(own)
                .for_each(|(x, &weight)| *x += weight);
        }
    }
    rows
}

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

/// The coefficients of the polynomial of least degree with these values, by divided differences.
pub(super) fn interpolate(points: &[F], values: &[E]) -> Vec<E> {
    let mut newton = values.to_vec();
    for level in 1..points.len() {
        for k in (level..points.len()).rev() {
            let gap = points[k] - points[k - level];
            newton[k] = (newton[k] - newton[k - 1]) * E::from(gap.inverse());
        }
    }
    let mut coefs = vec![];
    for (&x, &c) in points.iter().zip(&newton).rev() {
        // coefs X - coefs x + c
        coefs.insert(0, E::ZERO);
        for k in 1..coefs.len() {
            let next: E = coefs[k];
            coefs[k - 1] -= next * x;
        }
        coefs[0] += c;
    }
    coefs
}

/// Adds to rows from `first` on what makes every column of a difference vanish at these points.
pub(super) fn cancel(difference: &mut Matrix, first: usize, at: &[F]) {
    let width = difference[0].len();
    for column in 0..width {
        let value = |&x: &F| {
            let rows = difference.iter().rev();
            let value = rows.fold(E::ZERO, |sum, row| sum * x + row[column]);
            -value * E::from(x.exp_u64(first as u64).inverse())
        };
        let values: Vec<E> = at.iter().map(value).collect();
        for (row, c) in difference[first..].iter_mut().zip(interpolate(at, &values)) {
            row[column] += c;
        }
    }
}

fn base(x: E) -> [F; 2] {
    let c: &[F] = x.as_basis_coefficients_slice();
    [c[0], c[1]]
}

/// Other cells of hidden sources of which the relation is true.
fn other_witness(case: &Case, rng: &mut Rng) -> Case {
    let mut other = case.clone();
    let mut first = None;
    for (k, source) in other.sources.iter_mut().enumerate() {
        if source.layout.is_hidden() {
            first = first.or(Some(k));
            for column in &mut source.columns {
                let cells = (0..column.len()).map(|_| F::from_u64(rng.next()));
                *column = Column::Field(cells.collect());
            }
        }
    }
    let first = first.expect("something is hidden");
    let mut missing = E::ZERO;
    for ((a, b), terms) in case
        .sources
        .iter()
        .zip(&other.sources)
        .zip(&case.relation.terms)
    {
        let difference = minus(&cells(b, None), &cells(a, None));
        missing -= inner(&difference, &weights(a, terms));
    }
    // Two cells make up for two coordinates.
    let of_cells = weights(&case.sources[first], &case.relation.terms[first]);
    let [g, a, b] = [missing, of_cells[0][0], of_cells[0][1]].map(base);
    let det = (a[0] * b[1] - a[1] * b[0]).inverse();
    let Column::Field(column) = &mut other.sources[first].columns[0] else {
        unreachable!("it was made one");
    };
    column[0] += (g[0] * b[1] - g[1] * b[0]) * det;
    column[1] += (a[0] * g[1] - a[1] * g[0]) * det;
    other
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

/// By how much all rows of the sources differ, noise included, for an opening to be the same.
fn differences(
    (case, other): (&Case, &Case),
    plan: &Plan,
    positions: &[Vec<usize>],
    (eps, rho): (E, &[E]),
) -> Vec<Matrix> {
    let holder = &plan.parts[plan.holder.expect("something is hidden")];
    // Masks of the first sumcheck.
    let hiding = holder.hiding.expect("the holder is hidden");
    let own_rho = &rho[plan.fold - hiding.vars..];
    let mut needed = vec![[E::ZERO; 2]; hiding.vars];
    let mut differences: Vec<Matrix> = vec![];
    for (a, b) in case.sources.iter().zip(&other.sources) {
        differences.push(minus(&cells(b, None), &cells(a, None)));
    }
    for part in plan.parts.iter().filter(|part| part.hiding.is_some()) {
        let of_cells = weights(
            &case.sources[part.source],
            &case.relation.terms[part.source],
        );
        let rho = &rho[plan.fold - part.code.fold..];
        // Where the masks have more variables, the part does not depend on them.
        let missing = hiding.vars - part.code.fold;
        let half = E::TWO.inverse();
        let scale = half.exp_u64(missing as u64);
        let difference = &differences[part.source];
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
    let masks = mask(&needed, own_rho);
    let width = holder.code.width();
    let cells = differences[holder.source][hiding.masks..].iter_mut();
    let mut cells = cells.flat_map(|row| {
        assert_eq!(row.len(), width);
        row
    });
    for mask in &masks {
        for e in 0..2 {
            for &m in mask {
                *cells.next().expect("a cell of the masks") += E::from(base(m)[e]);
            }
        }
    }
    drop(cells);

    // Blinding rows of the sources.
    for (part, positions) in plan.parts.iter().zip(positions) {
        if let Some(hiding) = part.hiding {
            let blinding = part.code.rows - hiding.blinding;
            assert!(positions.len() < hiding.blinding, "one row is to spare");
            cancel(
                &mut differences[part.source],
                blinding,
                &points(part.code, positions),
            );
        }
    }
    differences
}

/// The same for the word of folded rows, which differ by this.
fn of_folded(
    plan: &Plan,
    middle: &Middle,
    first: &Noted,
    (noise, folded): (&Noise, &[E]),
    rest: &[E],
) -> Noise {
    let width = middle.code.width();
    let gamma = rest[0];
    let mut power = E::ONE;
    let mut of_rows = first.weights.clone();
    for (part, positions) in plan.parts.iter().zip(&first.positions) {
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
    assert_eq!(inner(&difference, &of_rows), E::ZERO);
    let eps = rest[1];
    let rho = &rest[2..2 + middle.code.fold];
    let c = rest[2 + middle.code.fold];
    let needed = rounds(&difference, &of_rows, rho);
    let needed: Vec<[E; 2]> = needed.iter().map(|&[a, b]| [-eps * a, -eps * b]).collect();
    for (row, mask) in difference[middle.folded..]
        .iter_mut()
        .zip(mask(&needed, rho))
    {
        *row = mask;
    }
    let positions = &first.positions[plan.parts.len()];
    let blinding = middle.folded + middle.code.fold + 1;
    assert!(
        positions.len() < middle.code.rows - blinding,
        "one row is to spare"
    );
    cancel(&mut difference, blinding, &points(middle.code, positions));
    let mut noise = copy(noise);
    let rows = difference[middle.folded..]
        .iter()
        .flatten()
        .copied()
        .flat_map(base);
    noise.rows.iter_mut().zip(rows).for_each(|(x, d)| *x += d);
    let end = fold_of(&difference, &eq_table(rho, width, E::ONE));
    lift(&mut noise.veil, &end, c);
    noise
}

/// The noise of the other witness with which it sends the same.
fn equivocate(
    case: &Case,
    other: &Case,
    first: &Noted,
    noise: &[Option<Noise>],
    challenges: &[E],
) -> (Vec<Option<Noise>>, Option<Noise>) {
    let layouts: Vec<&Layout> = case.sources.iter().map(|s| &s.layout).collect();
    let plan = Plan::new(&layouts).expect("a plan");
    let (eps, rest) = (challenges[0], &challenges[1..]);
    let (rho, rest) = rest.split_at(plan.fold);
    let holder = &plan.parts[plan.holder.expect("something is hidden")];
    let differences = differences((case, other), &plan, &first.positions, (eps, rho));

    // What the folded rows differ by.
    let mut folded = vec![];
    for part in &plan.parts {
        let fold = part.code.fold;
        let eq = eq_table(&rho[plan.fold - fold..], 1 << fold, E::ONE);
        folded.extend(fold_of(&differences[part.source], &eq));
    }
    let mut noises: Vec<Option<Noise>> = noise.iter().map(|n| n.as_ref().map(copy)).collect();
    for part in plan.parts.iter().filter(|part| part.hiding.is_some()) {
        let masks = part.hiding.expect("hidden").masks;
        let own = noises[part.source].as_mut().expect("hidden");
        let rows = differences[part.source][masks..].iter().flatten();
        own.rows
            .iter_mut()
            .zip(rows)
            .for_each(|(x, &d)| *x += base(d)[0]);
    }
    let Some(middle) = &plan.middle else {
        let own = &folded[holder.first..holder.first + holder.code.rows];
        let noise = noises[holder.source].as_mut().expect("hidden");
        lift(&mut noise.veil, own, rest[0]);
        return (noises, None);
    };
    let noise = first.noise.as_ref().expect("the folded rows are hidden");
    let noise = of_folded(&plan, middle, first, (noise, &folded), rest);
    (noises, Some(noise))
}

fn noise_of(case: &Case) -> Vec<Option<Noise>> {
    let of = |source: &Source| source.hiding().map(|hidden| hidden.noise);
    case.sources.iter().map(of).collect()
}

/// A case with a key that has wider rows than the witness.
fn beside_a_wide_key(parameters: Parameters) -> Case {
    let mut rng = Rng(21);
    let witness = [table(7, 100, 1), table(3, 5, 2)];
    let word = (Word::Committed, 1);
    let witness = Source::hidden(word, parameters, &witness, rows(200), &mut rng);
    let key = Source::random(Word::Codeword, parameters, &[table(10, 1000, 1)], &mut rng);
    let fold = |source: &Source| source.layout.code().expect("encoded").fold;
    assert!(fold(&key) > fold(&witness));
    Case::random(vec![witness, key], 2, &mut rng)
}

fn any_witness_explains(case: &Case, rng: &mut Rng) {
    let challenges: Vec<E> = (0..100).map(|_| rng.scalar()).collect();
    let noise = noise_of(case);
    let (first, shown) = open(case, &noise, None, &challenges);
    let other = other_witness(case, rng);
    let (noise, folded) = equivocate(case, &other, &first, &noise, &challenges);
    let (_, again) = open(&other, &noise, folded, &challenges);
    assert_eq!(shown.len(), again.len());
    for ((label, a), (_, b)) in shown.iter().zip(&again) {
        assert!(a == b, "{label}");
    }
}

#[test]
fn any_witness_explains_an_opening() {
    let mut rng = Rng(20);
    for parameters in FORMS {
        let [_, one, both] = cases(parameters);
        for case in [one, both, beside_a_wide_key(parameters)] {
            any_witness_explains(&case, &mut rng);
        }
    }
}

/// A hidden source beside a wider one and beside a narrower one, and beside both with another in the clear
/// that is wider still.
#[test]
fn any_witness_explains_an_opening_of_unlike_sources() {
    let mut rng = Rng(22);
    let wide = [table(8, 200, 2)];
    let narrow = [table(5, 30, 1)];
    let clear = Source::random(Word::Codeword, MIDDLE, &[table(10, 1000, 1)], &mut rng);
    for (witness, keys) in [(wide, [narrow, narrow]), ([narrow[0]], [wide, narrow])] {
        let word = (Word::Codeword, 2);
        let mut key = |tables: [Table; 1]| Source::hidden(word, MIDDLE, &tables, rows(0), &mut rng);
        let keys = keys.map(&mut key);
        let word = (Word::Committed, 1);
        for keys in [
            vec![keys[0].clone()],
            [&keys[..], std::slice::from_ref(&clear)].concat(),
        ] {
            let layouts: Vec<&Layout> = keys.iter().map(|key| &key.layout).collect();
            let others = Others::new(&layouts);
            let witness = Source::hidden(word, MIDDLE, &witness, others, &mut rng);
            let folds = |source: &Source| source.layout.code().expect("encoded").fold;
            assert_eq!(
                folds(&witness) > folds(&keys[0]),
                witness.columns.len() == 2
            );
            let sources = std::iter::once(witness).chain(keys).collect();
            any_witness_explains(&Case::random(sources, 1, &mut rng), &mut rng);
        }
    }
}

/// A certificate of a hidden word, by itself and beside another with the same cells.
#[test]
fn any_witness_explains_a_certificate() {
    let mut rng = Rng(23);
    let tables = [table(7, 100, 1), table(3, 5, 2)];
    let word = (Word::Certified, 2);
    for parent in [None, Some(Word::Codeword), Some(Word::Certified)] {
        let mut child = Source::hidden(word, MIDDLE, &tables, rows(0), &mut rng);
        child.layout = child.layout.uncertified();
        let mut sources = vec![child];
        if let Some(word) = parent {
            sources.push(Source::hidden(
                (word, 3),
                MIDDLE,
                &tables,
                rows(0),
                &mut rng,
            ));
        }
        any_witness_explains(&Case::random(sources, 1, &mut rng), &mut rng);
    }
}

/// A certificate beside a witness of its own, which has the masks.
#[test]
fn any_witness_explains_a_certificate_with_a_witness() {
    let mut rng = Rng(24);
    for (own, tables) in [
        (table(7, 100, 1), table(5, 30, 1)),
        (table(5, 30, 1), table(8, 200, 2)),
    ] {
        let word = (Word::Certified, 2);
        let mut key = Source::hidden(word, MIDDLE, &[tables], rows(0), &mut rng);
        key.layout = key.layout.uncertified();
        let others = Others::new(&[&key.layout]);
        let word = (Word::Committed, 1);
        let witness = Source::hidden(word, MIDDLE, &[own], others, &mut rng);
        let case = Case::random(vec![witness, key], 1, &mut rng);
        any_witness_explains(&case, &mut rng);
    }
}
