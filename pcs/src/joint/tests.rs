//! The opening against the scheme in the clear, and provers who depart from it.

mod attacks;
mod bound;
mod certificates;
mod equivocation;
mod fuzz;
mod hidden;
mod honest;
mod ledger;
mod rank;
mod recovery;

use super::source::{Hidden, SourceData};
use super::{
    Column, Commitment, Joint, Layout, Others, Parameters, Partial, Relation, RelationProver,
    RelationScheme, SourceRef, Table, Term, Word,
};
use crate::claim::{ColumnId, Error};
use crate::random::Seed;
use crate::transcript::{ProverTape, VerifierTape};
use zkstrata_mle::{E, F, Point, PrimeCharacteristicRing};

const STATEMENT: [u8; 32] = [3; 32];

/// splitmix64
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    fn seed(&mut self) -> Seed {
        let mut bytes = [0; 32];
        let words = bytes.as_chunks_mut::<8>().0;
        for word in words {
            *word = self.next().to_le_bytes();
        }
        Seed::new(bytes)
    }

    fn scalar(&mut self) -> E {
        super::element(F::from_u64(self.next()), F::from_u64(self.next()))
    }

    fn point(&mut self, n: usize) -> Point {
        Point::new((0..n).map(|_| self.scalar()).collect())
    }

    fn column(&mut self, len: usize) -> Column {
        match self.below(5) {
            0 => Column::I8((0..len).map(|_| self.next() as i8).collect()),
            1 => Column::I16((0..len).map(|_| self.next() as i16).collect()),
            2 => Column::I32((0..len).map(|_| self.next() as i32).collect()),
            3 => Column::I64((0..len).map(|_| self.next() as i64).collect()),
            _ => Column::Field((0..len).map(|_| F::from_u64(self.next())).collect()),
        }
    }
}

/// What tests change of terms.
impl Term {
    fn column_mut(&mut self) -> &mut ColumnId {
        match self {
            Self::Column { column, .. } | Self::Cells { column, .. } => column,
        }
    }

    fn coefs_mut(&mut self) -> &mut [E] {
        match self {
            Self::Column { coef, .. } => std::slice::from_mut(coef),
            Self::Cells { coefs, .. } => coefs,
        }
    }
}

/// The first point of some terms.
fn first_point(terms: &mut [Term]) -> &mut Point {
    let points = terms.iter_mut().find_map(|term| match term {
        Term::Column { point, .. } => Some(point),
        Term::Cells { .. } => None,
    });
    points.expect("a claim at a point")
}

/// So many rows of sources that are not hidden.
fn rows(rows: usize) -> Others {
    Others {
        rows,
        ..Others::default()
    }
}

/// A source of a test.
#[derive(Clone)]
struct Source {
    layout: Layout,
    columns: Vec<Column>,
    seed: Option<Seed>,
}

impl Source {
    fn random(word: Word, parameters: Parameters, tables: &[Table], rng: &mut Rng) -> Self {
        let layout = Layout::new(word, parameters, tables).expect("a valid shape");
        Self::of(layout, rng)
    }

    /// The same, hidden in `uses` openings beside others.
    fn hidden(
        (word, uses): (Word, usize),
        parameters: Parameters,
        tables: &[Table],
        others: Others,
        rng: &mut Rng,
    ) -> Self {
        let layout = Layout::hidden(word, parameters, tables, others, uses);
        Self::of(layout.expect("a valid shape"), rng)
    }

    fn of(layout: Layout, rng: &mut Rng) -> Self {
        let columns = layout.slots().map(|(_, slot)| rng.column(slot.live));
        Self {
            columns: columns.collect(),
            seed: layout.is_hidden().then(|| rng.seed()),
            layout,
        }
    }

    fn hiding(&self) -> Option<Hidden> {
        Hidden::new(&self.layout, self.seed.as_ref()?)
    }

    fn commit(&self) -> (Commitment, SourceData) {
        let columns = self.columns.clone();
        let committed = match &self.seed {
            None => Joint::commit(&self.layout, columns),
            Some(seed) => Joint::commit_hidden(&self.layout, columns, seed),
        };
        committed.expect("commits")
    }

    /// A column at the first coordinates of a point of `num_vars` coordinates, over the cube of the
    /// others.
    fn bound(&self, id: ColumnId, num_vars: usize, first: &[E]) -> Vec<E> {
        let index = self.layout.slots().position(|(other, _)| other == id);
        let mut cells = vec![];
        self.columns[index.expect("a column")].append_to(&mut cells);
        let mut values: Vec<E> = cells.into_iter().map(E::from).collect();
        values.resize(1 << num_vars, E::ZERO);
        for &x in first {
            let (low, high) = values.split_at(values.len() / 2);
            let bound = low.iter().zip(high).map(|(&a, &b)| a + x * (b - a));
            values = bound.collect();
        }
        values
    }

    /// What is known of a term at all but the last `left` coordinates of its point, if it has as many.
    fn partial(&self, term: &Term, left: usize) -> Option<Partial> {
        let Term::Column { column, point, .. } = term else {
            return None;
        };
        let (first, _) = point.split_at_checked(point.len().checked_sub(left)?)?;
        Some(Partial {
            num_vars: left,
            values: self.bound(*column, point.len(), first),
        })
    }

    /// A term with a weight for every cell of a column and what it comes to.
    fn cells(&self, table: usize, column: usize, rng: &mut Rng) -> (Term, E) {
        let id = ColumnId { table, column };
        let num_vars = self.layout.tables()[table].num_vars;
        let values = self.bound(id, num_vars, &[]);
        let live = self.layout.tables()[table].live;
        let coefs: Vec<E> = (0..live).map(|_| rng.scalar()).collect();
        let value = coefs.iter().zip(&values).map(|(&a, &b)| a * b).sum();
        (Term::Cells { column: id, coefs }, value)
    }

    /// A term of the relation on a column and what it comes to.
    fn term(&self, table: usize, column: usize, point: Point, coef: E) -> (Term, E) {
        let id = ColumnId { table, column };
        let values = self.bound(id, point.len(), &point);
        let term = Term::Column {
            column: id,
            point,
            coef,
        };
        (term, coef * values[0])
    }
}

/// Sources and a relation on them.
#[derive(Clone)]
struct Case {
    sources: Vec<Source>,
    relation: Relation,
}

impl Case {
    /// Up to `most` claims on each column, most of those on columns of a table at one point.
    fn random(sources: Vec<Source>, most: usize, rng: &mut Rng) -> Self {
        let (mut target, mut terms) = (E::ZERO, vec![]);
        for source in &sources {
            let mut own = vec![];
            for (t, table) in source.layout.tables().iter().enumerate() {
                for _ in 0..most {
                    let point = rng.point(table.num_vars);
                    for c in 0..table.width {
                        let point = if rng.below(5) == 0 {
                            rng.point(table.num_vars)
                        } else {
                            point.clone()
                        };
                        let (term, value) = if rng.below(6) == 0 {
                            source.cells(t, c, rng)
                        } else {
                            source.term(t, c, point, rng.scalar())
                        };
                        own.push(term);
                        target += value;
                    }
                }
            }
            terms.push(own);
        }
        Self {
            sources,
            relation: Relation { target, terms },
        }
    }
}

/// What a verifier has.
struct Proven {
    commitments: Vec<Commitment>,
    messages: Vec<crate::Message>,
    bytes: Vec<u8>,
    after: E,
}

/// Commits: sources that are known to be codewords stand in a key, the others on the tape.
fn commit(case: &Case, tape: &mut ProverTape) -> (Vec<Commitment>, Vec<SourceData>) {
    let committed = case.sources.iter().map(|source| {
        let (commitment, data) = source.commit();
        if source.layout.word() == Word::Committed {
            Joint::send_commitment(&commitment, tape);
        }
        (commitment, data)
    });
    committed.unzip()
}

fn prove(case: &Case) -> Result<Proven, Error> {
    let mut tape = ProverTape::new(&STATEMENT);
    let (commitments, data) = commit(case, &mut tape);
    let data: Vec<&SourceData> = data.iter().collect();
    Joint::open(&data, &case.relation, &[], &mut tape)?;
    let after = tape.sample();
    Ok(Proven {
        commitments,
        messages: tape.messages().to_vec(),
        bytes: tape.finish(),
        after,
    })
}

/// Verifies and returns a challenge drawn afterwards.
fn verify(case: &Case, keys: &[Commitment], bytes: &[u8]) -> Result<E, Error> {
    let mut tape = VerifierTape::new(&STATEMENT, bytes);
    verify_on(case, keys, &mut tape)?;
    let after = crate::channel::Channel::sample(&mut tape);
    tape.finish()?;
    Ok(after)
}

fn verify_on(case: &Case, keys: &[Commitment], tape: &mut VerifierTape<'_>) -> Result<(), Error> {
    let mut commitments = vec![];
    for (source, key) in case.sources.iter().zip(keys) {
        commitments.push(if source.layout.word() == Word::Committed {
            Joint::recv_commitment(&source.layout, tape)?
        } else {
            Joint::check_commitment(key, &source.layout)?;
            key.clone()
        });
    }
    let sources = case.sources.iter().zip(&commitments);
    let sources: Vec<_> = sources
        .map(|(source, commitment)| SourceRef {
            layout: &source.layout,
            commitment,
        })
        .collect();
    Joint::verify(&sources, &case.relation, tape)
}

const fn table(num_vars: usize, live: usize, width: usize) -> Table {
    Table {
        num_vars,
        live,
        width,
    }
}
