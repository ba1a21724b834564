//! Committing to a source, and the passes over its cells that an opening makes.
//!
//! Cells stay as small as they come: a pass reads them as they are and reduces once for many of
//! them, and the encoder widens them on their way into the word. There is no other copy of them.

use super::Commitment;
use super::encode::encode;
use super::hiding::{Noise, VEIL};
use super::layout::Layout;
use super::parameters::{Code, Word};
use super::tree::{Opened, Tree};
use super::weights::points;
use crate::cells::Cells;
use crate::claim::Error;
use crate::random::Seed;
use p3_matrix::dense::RowMajorMatrix;
use rayon::prelude::*;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use zkstrata_mle::{
    BasedVectorSpace, Cell, E, F, PrimeCharacteristicRing, add_rows, contract_cols, contract_rows,
    dot,
};

/// The live cells of a column.
#[derive(Clone, Debug, PartialEq)]
pub enum Column {
    /// Integers of a byte.
    I8(Vec<i8>),
    /// Integers of two bytes.
    I16(Vec<i16>),
    /// Integers of four bytes.
    I32(Vec<i32>),
    /// Integers of eight bytes.
    I64(Vec<i64>),
    /// Field elements.
    Field(Vec<F>),
}

impl Column {
    /// Number of cells.
    pub fn len(&self) -> usize {
        match self {
            Self::I8(cells) => cells.len(),
            Self::I16(cells) => cells.len(),
            Self::I32(cells) => cells.len(),
            Self::I64(cells) => cells.len(),
            Self::Field(cells) => cells.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends the cells in the field.
    pub(super) fn append_to(&self, out: &mut Vec<F>) {
        let start = out.len();
        out.resize(start + self.len(), F::ZERO);
        self.read(0, &mut out[start..]);
    }

    /// The cells in the field from one on; zeros behind the last one.
    fn read(&self, from: usize, out: &mut [F]) {
        match self {
            Self::I8(cells) => widen(cells, from, out),
            Self::I16(cells) => widen(cells, from, out),
            Self::I32(cells) => widen(cells, from, out),
            Self::I64(cells) => widen(cells, from, out),
            Self::Field(cells) => widen(cells, from, out),
        }
    }

    /// `sum_R eq_R P(R, b)` for every `b < 2^fold`, over the column's rows.
    pub(super) fn sum_rows(&self, fold: usize, eq: &[E]) -> Vec<E> {
        match self {
            Self::I8(cells) => sum_rows(cells, fold, eq),
            Self::I16(cells) => sum_rows(cells, fold, eq),
            Self::I32(cells) => sum_rows(cells, fold, eq),
            Self::I64(cells) => sum_rows(cells, fold, eq),
            Self::Field(cells) => sum_rows(cells, fold, eq),
        }
    }

    /// Adds the same over as many of the column's rows from one on as there are weights, on this thread.
    fn add_rows(&self, first: usize, eq: &[E], sums: &mut [E]) {
        match self {
            Self::I8(cells) => add_rows_from(cells, first, eq, sums),
            Self::I16(cells) => add_rows_from(cells, first, eq, sums),
            Self::I32(cells) => add_rows_from(cells, first, eq, sums),
            Self::I64(cells) => add_rows_from(cells, first, eq, sums),
            Self::Field(cells) => add_rows_from(cells, first, eq, sums),
        }
    }

    /// `out_R = sum_b eq_b P(R, b)` for every row of the column.
    pub(super) fn fold(&self, eq: &[E], out: &mut [E]) {
        match self {
            Self::I8(cells) => fold(cells, eq, out),
            Self::I16(cells) => fold(cells, eq, out),
            Self::I32(cells) => fold(cells, eq, out),
            Self::I64(cells) => fold(cells, eq, out),
            Self::Field(cells) => fold(cells, eq, out),
        }
    }
}

fn widen<T: Cell>(cells: &[T], from: usize, out: &mut [F]) {
    let cells = cells.get(from..).unwrap_or(&[]);
    let (live, rest) = out.split_at_mut(cells.len().min(out.len()));
    for (out, &cell) in live.iter_mut().zip(cells) {
        *out = cell.embed();
    }
    rest.fill(F::ZERO);
}

/// The rows of a source: the cells of its columns, each from a row of its own on, and then the rows of noise that
/// hide them.
struct Rows<'a> {
    columns: &'a [Column],
    /// The first cell of each column, and that of the noise.
    starts: Vec<usize>,
    noise: &'a [F],
}

impl<'a> Rows<'a> {
    fn new(layout: &Layout, fold: usize, columns: &'a [Column], noise: &'a [F]) -> Self {
        let mut starts = vec![0];
        starts.extend(
            layout
                .slots()
                .map(|(_, slot)| (slot.first + slot.rows) << fold),
        );
        Self {
            columns,
            starts,
            noise,
        }
    }

    /// The cells from one on.
    fn read(&self, mut at: usize, mut out: &mut [F]) {
        while !out.is_empty() {
            let next = self.starts.partition_point(|&start| start <= at);
            let from = at - self.starts[next - 1];
            let len = self.starts.get(next).map_or(out.len(), |&end| end - at);
            let (own, after) = out.split_at_mut(len.min(out.len()));
            match self.columns.get(next - 1) {
                Some(column) => column.read(from, own),
                None => own.copy_from_slice(&self.noise[from..][..own.len()]),
            }
            at += own.len();
            out = after;
        }
    }
}

fn add_rows_from<T: Cell>(cells: &[T], first: usize, eq: &[E], sums: &mut [E]) {
    let width = sums.len();
    let cells = &cells[first * width..];
    let cells = &cells[..cells.len().min(eq.len() * width)];
    let whole = cells.len() / width;
    let (rows, rest) = cells.split_at(whole * width);
    add_rows(rows, &eq[..whole], sums);
    for (sum, cell) in sums.iter_mut().zip(rest) {
        *sum += eq[whole] * cell.embed();
    }
}

fn sum_rows<T: Cell>(cells: &[T], fold: usize, eq: &[E]) -> Vec<E> {
    let width = 1 << fold;
    let whole = cells.len() >> fold;
    let (rows, rest) = cells.split_at(whole << fold);
    let mut sums = contract_rows(rows, whole, width, &eq[..whole]);
    for (sum, cell) in sums.iter_mut().zip(rest) {
        *sum += eq[whole] * cell.embed();
    }
    sums
}

/// `out_R = sum_b eq_b P(R, b)` for every row of some cells.
pub(super) fn fold<T: Cell>(cells: &[T], eq: &[E], out: &mut [E]) {
    let whole = cells.len() / eq.len();
    let (rows, rest) = cells.split_at(whole * eq.len());
    let (out, last) = out.split_at_mut(whole);
    out.copy_from_slice(&contract_cols(rows, whole, eq.len(), eq));
    if !rest.is_empty() {
        last[0] = dot(rest, &eq[..rest.len()]);
    }
}

/// What the prover keeps of a commitment.
pub struct SourceData {
    layout: Layout,
    kept: Kept,
}

enum Kept {
    Clear(Cells),
    Tree(Box<Coded>),
}

/// A source that is encoded.
pub(super) struct Coded {
    pub(super) tree: Tree,
    pub(super) columns: Vec<Column>,
    /// What hides it, if it is hidden.
    pub(super) hidden: Option<Hidden>,
}

/// Cells whose part of opened rows is computed for all points before others are read: of a byte each, they stay in
/// the second-level cache.
const READ: usize = 1 << 19;

impl Coded {
    /// Opens rows, in increasing order and each once: those of a word that is not kept are sums over all cells.
    pub(super) fn open(&self, layout: &Layout, positions: &[usize]) -> Opened {
        self.tree.open(positions, || {
            let code = layout.code().expect("a source with a tree is encoded");
            self.rows(layout, code, &points(code, positions))
        })
    }

    /// The rows of the word at some points, two at a time: an element of `E` is two of `F`.
    fn rows(&self, layout: &Layout, code: Code, points: &[F]) -> Vec<F> {
        let pairs: Vec<[F; 2]> = points
            .chunks(2)
            .map(|pair| [pair[0], pair.get(1).copied().unwrap_or_default()])
            .collect();
        let powers = |&[a, b]: &[F; 2], first: usize, rows: usize| -> Vec<E> {
            let powers = |x: F| x.shifted_powers(x.exp_u64(first as u64));
            let powers = powers(a).zip(powers(b)).take(rows);
            powers.map(|(a, b)| super::element(a, b)).collect()
        };
        let width = code.width();
        let zeros = || vec![E::ZERO; pairs.len() * width];
        let add = |mut sums: Vec<E>, own: &[E]| {
            sums.iter_mut().zip(own).for_each(|(sum, &own)| *sum += own);
            sums
        };
        let read = READ >> code.fold;
        let tasks = self.columns.iter().zip(layout.slots());
        let tasks = tasks.flat_map(|(column, (_, slot))| {
            let starts = (0..slot.rows).step_by(read);
            starts.map(move |first| (column, slot, first..slot.rows.min(first + read)))
        });
        let tasks: Vec<_> = tasks.collect();
        let sums = tasks
            .into_par_iter()
            .fold(zeros, |mut sums, (column, slot, rows)| {
                for (pair, sums) in pairs.iter().zip(sums.chunks_mut(width)) {
                    let powers = powers(pair, slot.first + rows.start, rows.len());
                    column.add_rows(rows.start, &powers, sums);
                }
                sums
            });
        let mut sums = sums.reduce(zeros, |a, b| add(a, &b));
        let mut veils = vec![];
        if let Some(Hidden { noise, .. }) = &self.hidden {
            let rows = noise.rows.len() >> code.fold;
            let of_pair = |pair| {
                let powers = powers(pair, code.rows - rows, rows);
                sum_rows(&noise.rows, code.fold, &powers)
            };
            let own: Vec<E> = pairs.iter().flat_map(of_pair).collect();
            sums = add(sums, &own);
            if !noise.veil.is_empty() {
                veils.extend(pairs.iter().map(|pair| {
                    let powers = powers(pair, 0, noise.veil.len());
                    [0, 1].map(|k| -> E {
                        let veil = noise.veil.iter().zip(&powers);
                        veil.map(|(veil, &x)| x * coefficient(veil, k)).sum()
                    })
                }));
            }
        }
        let row = |at: usize| {
            let veil = veils.get(at / 2).into_iter().flatten();
            let cells = sums[at / 2 * width..][..width].iter().chain(veil);
            cells.map(move |x| coefficient(x, at % 2))
        };
        (0..points.len()).flat_map(row).collect()
    }
}

fn coefficient(x: &E, k: usize) -> F {
    let c: &[F] = x.as_basis_coefficients_slice();
    c[k]
}

/// What a hidden source is hidden by.
pub(super) struct Hidden {
    pub(super) noise: Noise,
    seed: Seed,
    /// Openings that are left, each of at most the rows that the layout counts for one.
    left: AtomicUsize,
    /// Whether the opening that certifies it is left.
    uncertified: AtomicBool,
    /// Rows that openings have shown.
    shown: AtomicUsize,
}

impl Hidden {
    /// What a hidden layout takes.
    pub(super) fn new(layout: &Layout, seed: &Seed) -> Option<Self> {
        Some(Self {
            noise: Noise::of_source(layout, seed)?,
            seed: seed.clone(),
            left: AtomicUsize::new(layout.hiding()?.uses),
            uncertified: AtomicBool::new(layout.word().has_certificate()),
            shown: AtomicUsize::new(0),
        })
    }

    /// Spends an opening of a word; gives what else it is hidden by.
    pub(super) fn spend(&self, word: Word) -> Result<&Seed, Error> {
        let order = Ordering::SeqCst;
        if word != Word::Uncertified {
            self.spend_uses(1)?;
        } else if !self.uncertified.swap(false, order) {
            return Err(Error::Spent);
        }
        Ok(&self.seed)
    }

    /// Counts rows that are about to be shown. Where openings are counted well, there are always as many as
    /// are hidden; this is what hiding rests on, so it is counted once more.
    ///
    /// # Errors
    /// So many blinding rows do not hide all that would have been shown and one row more.
    pub(super) fn show(&self, rows: usize, blinding: usize) -> Result<(), Error> {
        let order = Ordering::SeqCst;
        let all = |shown: usize| shown.checked_add(rows).filter(|&all| all < blinding);
        let counted = self.shown.fetch_update(order, order, all);
        counted.map(|_| ()).map_err(|_| Error::Spent)
    }

    /// Spends so many openings, all or none.
    pub(super) fn spend_uses(&self, uses: usize) -> Result<(), Error> {
        let less = |left: usize| left.checked_sub(uses);
        let order = Ordering::SeqCst;
        let spent = self.left.fetch_update(order, order, less);
        spent.map(|_| ()).map_err(|_| Error::Spent)
    }

    /// Notes how many openings are left.
    pub(super) fn restore(&self, layout: &Layout, left: usize) -> Result<(), Error> {
        if layout.hiding().is_none_or(|hiding| left > hiding.uses) {
            return Err(Error::Spent);
        }
        self.left.store(left, Ordering::SeqCst);
        Ok(())
    }

    /// Openings that are left.
    pub(super) fn left(&self) -> usize {
        self.left.load(Ordering::SeqCst)
    }
}

/// Panics unless the columns are those of the layout.
pub(super) fn assert_columns(layout: &Layout, columns: &[Column]) {
    assert!(
        columns
            .iter()
            .map(Column::len)
            .eq(layout.slots().map(|(_, slot)| slot.live)),
        "the columns have the lengths of the layout"
    );
}

impl SourceData {
    /// Commits to columns; those of a hidden layout with a seed, which must be a secret and serve
    /// this commitment alone.
    pub(super) fn commit(
        layout: &Layout,
        columns: Vec<Column>,
        seed: Option<&Seed>,
    ) -> (Commitment, Self) {
        let hidden = seed.and_then(|seed| Hidden::new(layout, seed));
        let longest = layout.longest_kept();
        Self::commit_within(layout, columns, hidden, longest, |_| ())
    }

    /// Commits to what is made of the columns' codeword, and hides it by this.
    #[cfg(any(test, feature = "frozen"))]
    pub(super) fn commit_to(
        layout: &Layout,
        columns: Vec<Column>,
        hidden: Option<Hidden>,
        change: impl FnOnce(&mut RowMajorMatrix<F>),
    ) -> (Commitment, Self) {
        Self::commit_within(layout, columns, hidden, usize::MAX, change)
    }

    /// The same where a word of more elements than the `longest` is not kept, and not changed either.
    pub(super) fn commit_within(
        layout: &Layout,
        columns: Vec<Column>,
        hidden: Option<Hidden>,
        longest: usize,
        change: impl FnOnce(&mut RowMajorMatrix<F>),
    ) -> (Commitment, Self) {
        assert_columns(layout, &columns);
        assert_eq!(
            layout.is_hidden(),
            hidden.is_some(),
            "a hidden source has a seed, and no other has one"
        );
        let (commitment, kept) = match layout.code() {
            None => {
                let mut cells = Vec::with_capacity(layout.cells());
                for column in &columns {
                    column.append_to(&mut cells);
                }
                let cells = Cells::new(cells);
                (Commitment::Clear(cells.clone()), Kept::Clear(cells))
            }
            Some(code) => {
                let veil = hidden.as_ref().map_or(&[][..], |h| &h.noise.veil);
                let noise = hidden.as_ref().map_or(&[][..], |h| &h.noise.rows);
                let rows = Rows::new(layout, code.fold, &columns, noise);
                let read = |at, out: &mut [F]| rows.read(at, out);
                let width = code.width() + if veil.is_empty() { 0 } else { VEIL };
                let tree = if width << code.log_points > longest {
                    Tree::of_parts(1 << code.log_points, width, |columns| {
                        let (first, len) = (columns.start, columns.len());
                        encode(code, len, |at, out| {
                            for_each_row((at, out), len, |row, column, out| {
                                let at = (code.width(), row * width + first + column);
                                read_beside(veil, at, out, read);
                            });
                        })
                    })
                } else {
                    let mut word = encode_wide(code, code.width(), veil, read);
                    change(&mut word);
                    Tree::new(word)
                };
                let root = tree.root();
                let coded = Coded {
                    tree,
                    columns,
                    hidden,
                };
                (Commitment::Root(root), Kept::Tree(Box::new(coded)))
            }
        };
        let layout = layout.clone();
        (commitment, Self { layout, kept })
    }

    /// Where the columns lie.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The tree and the columns, unless they are in the clear.
    pub(super) fn coded(&self) -> Option<&Coded> {
        match &self.kept {
            Kept::Clear(_) => None,
            Kept::Tree(coded) => Some(coded),
        }
    }

    /// What hides it, if it is hidden.
    pub(super) fn hidden(&self) -> Option<&Hidden> {
        self.coded()?.hidden.as_ref()
    }

    /// The cells, if they are in the clear.
    pub(super) fn clear(&self) -> Option<&Cells> {
        match &self.kept {
            Kept::Clear(cells) => Some(cells),
            Kept::Tree(_) => None,
        }
    }
}

/// Calls `f` with the row, the first column and the cells of every row that has some of the cells from one on.
fn for_each_row(
    (mut at, mut out): (usize, &mut [F]),
    width: usize,
    mut f: impl FnMut(usize, usize, &mut [F]),
) {
    while !out.is_empty() {
        let (row, column) = (at / width, at % width);
        let (own, after) = out.split_at_mut((width - column).min(out.len()));
        at += own.len();
        f(row, column, own);
        out = after;
    }
}

/// Reads cells of rows of `width` from one on, which lie beside a veil in two more columns, if there is one.
fn read_beside(
    veil: &[E],
    (width, at): (usize, usize),
    out: &mut [F],
    read: impl Fn(usize, &mut [F]),
) {
    if veil.is_empty() {
        return read(at, out);
    }
    for_each_row((at, out), width + VEIL, |row, column, out| {
        let (cells, behind) = out.split_at_mut(width.saturating_sub(column).min(out.len()));
        if !cells.is_empty() {
            read(row * width + column, cells);
        }
        let veil = veil.get(row).copied().unwrap_or(E::ZERO);
        let veil: &[F] = veil.as_basis_coefficients_slice();
        let skipped = column.saturating_sub(width);
        behind.copy_from_slice(&veil[skipped..][..behind.len()]);
    });
}

/// The word of rows that `read` reads from a cell on, and of a veil in two more columns, if there is one.
fn encode_wide(
    code: Code,
    width: usize,
    veil: &[E],
    read: impl Fn(usize, &mut [F]) + Sync,
) -> RowMajorMatrix<F> {
    let all = width + if veil.is_empty() { 0 } else { VEIL };
    encode(code, all, |at, out| {
        read_beside(veil, (width, at), out, &read);
    })
}

/// The word of a matrix over `E`, whose rows lie one after another: an element is two elements of `F`.
pub(super) fn encode_extension(code: Code, veil: &[E], values: &[E]) -> RowMajorMatrix<F> {
    encode_wide(code, 2 * code.width(), veil, |at, out| {
        // Everything that is read begins and ends with an element: all widths are even.
        let values = values.get(at / 2..).unwrap_or(&[]).iter();
        let (out, _) = out.as_chunks_mut::<2>();
        for (out, value) in out
            .iter_mut()
            .zip(values.chain(std::iter::repeat(&E::ZERO)))
        {
            let c: &[F] = value.as_basis_coefficients_slice();
            *out = [c[0], c[1]];
        }
    })
}
