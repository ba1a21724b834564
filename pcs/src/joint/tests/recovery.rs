//! What somebody learns who collects the rows that openings show: all cells of a key in the clear; nothing
//! of a hidden one while it is opened as often as its layout says; and all of it where it is copied and
//! opened more often.

use super::attacks::MIDDLE;
use super::*;
use crate::joint::frozen::explain::{cancel, cells, interpolate};
use crate::joint::prove::{Conduct, open_as};
use crate::joint::tree::Opened;
use crate::joint::weights::points;
use std::collections::BTreeMap;

const KEY: [Table; 2] = [table(9, 400, 1), table(5, 30, 2)];

/// Rows of a key, by their positions.
type Rows = BTreeMap<usize, Vec<F>>;

/// Opens honestly, and collects the rows of the second source.
struct Collector<'a> {
    rows: &'a mut Rows,
    first: bool,
}

impl Conduct for Collector<'_> {
    fn rows(&mut self, opened: &mut Opened, at: &[usize], (eq, _): (&[E], E), _: &[E]) {
        if !std::mem::replace(&mut self.first, false) {
            let rows = opened.rows.chunks(eq.len()).map(<[F]>::to_vec);
            self.rows.extend(at.iter().copied().zip(rows));
        }
    }
}

/// Opens a key beside a new witness.
fn collect(key: &Source, data: &SourceData, rows: &mut Rows, rng: &mut Rng) -> Result<(), Error> {
    let others = Others::new(&[&key.layout]);
    let word = (Word::Committed, 1);
    let witness = Source::hidden(word, MIDDLE, &[table(6, 50, 1)], others, rng);
    let case = Case::random(vec![witness.clone(), key.clone()], 1, rng);
    let (root, witness) = witness.commit();
    let mut tape = ProverTape::new(&STATEMENT);
    Joint::send_commitment(&root, &mut tape);
    let mut collector = Collector { rows, first: true };
    let sources = [&witness, data];
    open_as(&mut collector, &sources, &case.relation, &[], &mut tape)
}

/// The matrix of a key, if enough rows of its word are known.
fn recovered(key: &Source, rows: &Rows) -> Option<Vec<Vec<E>>> {
    let code = key.layout.code().expect("encoded");
    let known: Vec<(&usize, &Vec<F>)> = rows.iter().take(code.rows).collect();
    if known.len() < code.rows {
        return None;
    }
    let positions: Vec<usize> = known.iter().map(|(position, _)| **position).collect();
    let at = points(code, &positions);
    let columns = (0..code.width()).map(|b| {
        let values: Vec<E> = known.iter().map(|(_, row)| row[b].into()).collect();
        interpolate(&at, &values)
    });
    let columns: Vec<Vec<E>> = columns.collect();
    let row = |row: usize| columns.iter().map(|column| column[row]).collect();
    Some((0..code.rows).map(row).collect())
}

#[test]
fn a_key_in_the_clear_is_recovered_from_proofs() {
    let mut rng = Rng(51);
    let key = Source::random(Word::Codeword, MIDDLE, &KEY, &mut rng);
    let (_, data) = key.commit();
    let mut rows = Rows::new();
    let mut openings = 0;
    let found = loop {
        if let Some(found) = recovered(&key, &rows) {
            break found;
        }
        collect(&key, &data, &mut rows, &mut rng).expect("opens");
        openings += 1;
        assert!(openings < 20, "rows do not repeat that often");
    };
    assert_eq!(found, cells(&key.layout, &key.columns, None));
}

#[test]
fn a_hidden_key_is_not() {
    let mut rng = Rng(52);
    for word in [Word::Codeword, Word::Certified] {
        let key = Source::hidden((word, 5), MIDDLE, &KEY, rows(0), &mut rng);
        let (_, data) = key.commit();
        let mut shown = Rows::new();
        for _ in 0..5 {
            collect(&key, &data, &mut shown, &mut rng).expect("opens");
        }
        let again = collect(&key, &data, &mut shown, &mut rng);
        assert_eq!(again, Err(Error::Spent));
        assert!(recovered(&key, &shown).is_none());
        // Any other cells show the same rows with other noise.
        let code = key.layout.code().expect("encoded");
        let hiding = key.layout.hiding().expect("hidden");
        let at = points(code, &shown.keys().copied().collect::<Vec<_>>());
        assert!(at.len() < hiding.blinding);
        let noise = key.hiding().expect("hidden").noise;
        let own = cells(&key.layout, &key.columns, Some(&noise));
        let mut other = own.clone();
        for row in &mut other[..hiding.masks] {
            for x in row.iter_mut() {
                *x = F::from_u64(rng.next()).into();
            }
        }
        let mut difference: Vec<Vec<E>> = other
            .iter()
            .zip(&own)
            .map(|(a, b)| a.iter().zip(b).map(|(&a, &b)| a - b).collect())
            .collect();
        cancel(&mut difference, code.rows - hiding.blinding, &at);
        assert!(difference[0].iter().all(|&x| x != E::ZERO));
        for column in 0..code.width() {
            for &x in &at {
                let rows = difference.iter().rev();
                let value = rows.fold(E::ZERO, |sum, row| sum * x + row[column]);
                assert_eq!(value, E::ZERO);
            }
        }
    }
}

/// Whoever goes on with a copy of the prover's data, from a backup or of a machine, gives the cells away.
#[test]
fn a_hidden_key_that_is_copied_is_recovered() {
    let mut rng = Rng(53);
    let key = Source::hidden((Word::Codeword, 2), MIDDLE, &KEY, rows(0), &mut rng);
    let mut shown = Rows::new();
    for _ in 0..20 {
        let (_, data) = key.commit();
        collect(&key, &data, &mut shown, &mut rng).expect("opens");
    }
    let found = recovered(&key, &shown).expect("enough rows");
    let noise = key.hiding().expect("hidden").noise;
    assert_eq!(found, cells(&key.layout, &key.columns, Some(&noise)));
}
