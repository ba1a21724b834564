//! Where the columns of a source lie, and what an opening of several sources consists of.
//!
//! A source is a matrix of `2^f` columns. A committed column of `2^v` cells takes whole rows of it:
//! cell `R 2^f + b` of the committed column is row `R`, column `b`, counted from the committed
//! column's first row. The rows of one follow those of the other; only the rows that hold its first
//! `live` cells are there, and cells beyond them are zero. A column of fewer than `f` variables
//! takes one row.
//!
//! The rest of the last row of a column is committed with it. An honest prover writes zeros there,
//! and a claim is about what is there: whoever needs zeros chooses `live` so that there is no rest,
//! or has a codeword whose maker is trusted.
//!
//! A hidden source has further rows, of [`super::hiding`], behind those of its columns.

use super::hiding::{self, Hiding};
use super::parameters::{Code, LEVEL, MIDDLE_FOLD, MIN_FOLD, Parameters, Word, work};
use super::tail::{self, Decoding};
use crate::claim::{ColumnId, Error};
use zkstrata_mle::{E, PrimeCharacteristicRing};

/// Elements of the longest word of a key that is kept: 2 GiB.
#[cfg(feature = "prover")]
const KEPT: usize = 1 << 28;

/// Largest number of cells of a commitment: the field has no larger evaluation domains.
const MAX_LOG_CELLS: usize = 30;

/// Largest number of columns of a commitment: each is at least one claim of 16 bytes in a proof, and
/// few bytes of a key name many of them.
const MAX_COLUMNS: usize = 1 << 17;

/// Columns of equal length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Table {
    /// Base-2 logarithm of the length.
    pub num_vars: usize,
    /// How many cells may be other than zero, the first ones of a column; at least 1.
    pub live: usize,
    /// Number of columns, at least 1.
    pub width: usize,
}

/// What matters of the sources that another one is opened with.
#[derive(Clone, Copy, Debug, Default)]
pub struct Others {
    /// Their rows.
    pub(super) rows: usize,
    /// The most column variables of a hidden one, if one is hidden.
    pub(super) hidden: Option<usize>,
}

impl Others {
    /// Sources of these layouts.
    pub fn new(layouts: &[&Layout]) -> Self {
        let mut others = Self::default();
        for layout in layouts {
            let Some(code) = layout.code else { continue };
            others.rows = others.rows.saturating_add(code.rows);
            if layout.is_hidden() {
                others.hidden = others.hidden.max(Some(code.fold));
            }
        }
        others
    }
}

/// Where the columns of a commitment lie: a function of its shape, which both sides compute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    word: Word,
    parameters: Parameters,
    tables: Vec<Table>,
    /// The first row of each table; all zero in the clear.
    first: Vec<usize>,
    /// The number of live cells.
    cells: usize,
    /// How the cells are encoded; nothing if they are in the clear.
    code: Option<Code>,
    /// What hides them, if something does: only cells that are encoded are hidden.
    hiding: Option<Hiding>,
}

/// Where a column lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    /// `log2` of its length.
    pub(super) num_vars: usize,
    /// Its live cells.
    pub(super) live: usize,
    /// Its first row.
    pub(super) first: usize,
    /// How many rows it takes.
    pub(super) rows: usize,
}

impl Layout {
    /// The layout of tables.
    ///
    /// # Errors
    /// A table is empty or there are too many cells or columns.
    pub fn new(word: Word, parameters: Parameters, tables: &[Table]) -> Result<Self, Error> {
        Self::beside(word, parameters, tables, 0)
    }

    /// The layout of tables that are opened together with `rows` rows of others: narrower, and so
    /// shorter to open, if there are no more rows of them nevertheless.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn beside(
        word: Word,
        parameters: Parameters,
        tables: &[Table],
        rows: usize,
    ) -> Result<Self, Error> {
        let others = Others {
            rows,
            ..Others::default()
        };
        Self::with(word, parameters, tables, others, None)
    }

    /// The layout of tables that stay hidden in `uses` openings, together with other sources. A word that
    /// is [`Word::Certified`] stays so in the opening that certifies it as well.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn hidden(
        word: Word,
        parameters: Parameters,
        tables: &[Table],
        others: Others,
        uses: usize,
    ) -> Result<Self, Error> {
        Self::with(word, parameters, tables, others, Some(uses))
    }

    fn with(
        word: Word,
        parameters: Parameters,
        tables: &[Table],
        others: Others,
        uses: Option<usize>,
    ) -> Result<Self, Error> {
        let columns = tables.iter().map(|table| table.width);
        if columns.fold(0, usize::saturating_add) > MAX_COLUMNS {
            return Err(Error::Parameters {
                reason: format!("more than {MAX_COLUMNS} columns"),
            });
        }
        let cells = sum(tables, |table| {
            let length = (table.num_vars <= MAX_LOG_CELLS).then(|| 1usize << table.num_vars)?;
            ((1..=length).contains(&table.live) && table.width > 0).then_some(table.live)
        })?;
        let mut layout = Self {
            word,
            parameters,
            tables: tables.to_vec(),
            first: vec![0; tables.len()],
            cells,
            code: None,
            hiding: None,
        };
        if uses.is_some() || !parameters.in_clear(word, cells) {
            let count = |fold: usize| sum(tables, |table| Some(table.live.div_ceil(1 << fold)));
            let widest = parameters.fold(word, cells);
            let mut narrower = MIN_FOLD..widest;
            let fold = narrower.find(|&fold| count(fold).is_ok_and(|n| n <= others.rows));
            let fold = if uses.is_some() {
                widest
            } else {
                fold.unwrap_or(widest)
            };
            let rows_of = |table: &Table| table.live.div_ceil(1 << fold);
            let rows = count(fold)?;
            let mut next = 0;
            for (table, first) in tables.iter().zip(&mut layout.first) {
                *first = next;
                next += rows_of(table) * table.width;
            }
            layout.code = Some(match uses {
                None => Code {
                    fold,
                    rows,
                    log_points: parameters.log_points(word, rows)?,
                },
                Some(uses) => {
                    let (code, hiding) = Hiding::new(
                        (word, parameters),
                        (fold, rows),
                        (uses, work(cells)),
                        others,
                    )?;
                    layout.hiding = Some(hiding);
                    code
                }
            });
        }
        Ok(layout)
    }

    /// The layout of the opening that certifies a word of this one.
    #[must_use]
    pub fn uncertified(&self) -> Self {
        Self {
            word: Word::Uncertified,
            ..self.clone()
        }
    }

    /// The layouts of the opening that certifies one of some words.
    pub(super) fn certifying(layouts: &[&Self], certified: usize) -> Vec<Self> {
        let mut layouts: Vec<Self> = layouts.iter().copied().cloned().collect();
        if let Some(layout) = layouts.get_mut(certified) {
            *layout = layout.uncertified();
        }
        layouts
    }

    /// What is known of the word.
    pub fn word(&self) -> Word {
        self.word
    }

    /// The tables.
    pub fn tables(&self) -> &[Table] {
        &self.tables
    }

    /// The number of live cells.
    pub fn cells(&self) -> usize {
        self.cells
    }

    /// The number of rows, if the cells are encoded.
    pub fn rows(&self) -> Option<usize> {
        self.code.map(|code| code.rows)
    }

    /// How the cells are encoded.
    pub(super) fn code(&self) -> Option<Code> {
        self.code
    }

    /// Elements of `F` of the word, if the cells are encoded.
    #[cfg(feature = "prover")]
    pub(super) fn word_cells(&self) -> Option<usize> {
        let width = |code: Code| code.width() + self.hiding.map_or(0, |hiding| hiding.veil_width());
        self.code.map(|code| width(code) << code.log_points)
    }

    /// Elements of the longest word like this that a prover keeps. What it has committed to itself is opened at
    /// a hundred rows, and is kept; a key is opened at some 30, which are computed from the cells if its word is
    /// longer: that takes a second and a half for 1.6 10^8 of them, and 8 GiB less.
    #[cfg(feature = "prover")]
    pub(super) fn longest_kept(&self) -> usize {
        if self.word == Word::Committed {
            usize::MAX
        } else {
            KEPT
        }
    }

    /// What hides the cells, if something does.
    #[cfg(feature = "prover")]
    pub(super) fn hiding(&self) -> Option<Hiding> {
        self.hiding
    }

    /// Whether openings show nothing of the cells but the relation.
    pub fn is_hidden(&self) -> bool {
        self.hiding.is_some()
    }

    /// Where a column lies.
    pub(super) fn slot(&self, id: ColumnId) -> Option<Slot> {
        let table = self.tables.get(id.table)?;
        let first = self.first.get(id.table)?;
        let rows = self
            .code
            .map_or(0, |code| table.live.div_ceil(code.width()));
        (id.column < table.width).then(|| Slot {
            num_vars: table.num_vars,
            live: table.live,
            first: first + id.column * rows,
            rows,
        })
    }

    /// All columns in order.
    pub(super) fn slots(&self) -> impl Iterator<Item = (ColumnId, Slot)> {
        let ids = self.tables.iter().enumerate().flat_map(|(table, shape)| {
            (0..shape.width).map(move |column| ColumnId { table, column })
        });
        ids.filter_map(|id| Some((id, self.slot(id)?)))
    }

    /// Everything that the layout depends on and consists of.
    pub(super) fn transcribe(&self, numbers: &mut Vec<usize>) {
        let word = match self.word {
            Word::Committed => 0,
            Word::Codeword => 1,
            Word::Certified => 2,
            Word::Uncertified => 3,
            // What is hidden has 4 more.
            Word::Shared => 8,
        };
        if let Some(hiding) = self.hiding {
            numbers.push(word + 4);
            hiding.transcribe(numbers);
        } else {
            numbers.push(word);
        }
        let code = self.code.map_or([0; 3], |c| [c.fold, c.rows, c.log_points]);
        numbers.extend(code);
        numbers.push(self.tables.len());
        for table in &self.tables {
            numbers.extend([table.num_vars, table.live, table.width]);
        }
    }
}

/// `sum_t width_t size(t)`, if all is valid and it is not too large.
fn sum(tables: &[Table], size: impl Fn(&Table) -> Option<usize>) -> Result<usize, Error> {
    tables
        .iter()
        .try_fold(0usize, |sum, table| {
            let sum = sum.checked_add(size(table)?.checked_mul(table.width)?)?;
            (sum <= 1 << MAX_LOG_CELLS).then_some(sum)
        })
        .ok_or_else(|| Error::Parameters {
            reason: format!("more than 2^{MAX_LOG_CELLS} cells, an empty table or a wrong length"),
        })
}

/// A source that is encoded, as part of an opening.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    /// Which of the opening's sources.
    pub(super) source: usize,
    /// What is known of its word.
    pub(super) word: Word,
    /// Its matrix.
    pub(super) code: Code,
    /// Where its folded rows begin among those of all sources.
    pub(super) first: usize,
    /// How many queries are drawn.
    pub(super) queries: usize,
    /// What hides its cells.
    pub(super) hiding: Option<Hiding>,
}

impl Part {
    /// Its folded rows among those of all sources.
    #[cfg(feature = "prover")]
    pub(super) fn rows(&self) -> std::ops::Range<usize> {
        self.first..self.first + self.code.rows
    }

    /// The most column variables of it and of its masks.
    pub(super) fn vars(&self) -> usize {
        self.hiding.map_or(self.code.fold, |hiding| hiding.vars)
    }

    /// Elements of `F` in a row of its word.
    pub(super) fn width(&self) -> usize {
        self.code.width() + self.hiding.map_or(0, |hiding| hiding.veil_width())
    }
}

/// The word of the folded rows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Middle {
    /// Its matrix, over `E`.
    pub(super) code: Code,
    /// How many queries are drawn.
    pub(super) queries: usize,
    /// Rows that hold folded rows.
    pub(super) folded: usize,
    /// Whether there are rows behind them, and a veil, that hide these.
    pub(super) hidden: bool,
}

/// The last vector.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    /// Its length.
    pub(super) rows: usize,
    /// Variables of the cube that it is the beginning of.
    pub(super) num_vars: usize,
    /// Whether it is sent.
    pub(super) clear: bool,
    /// How the words of its proof are decoded, if it is not.
    pub(super) decoding: Decoding,
}

/// What an opening consists of: a function of the layouts.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// Bits of each proof of work.
    pub(super) work: usize,
    /// Variables that the first sumcheck binds: the most that a source folds.
    pub(super) fold: usize,
    /// The sources that are encoded.
    pub(super) parts: Vec<Part>,
    /// Folded rows of all of them.
    pub(super) folded: usize,
    /// The word made of them, unless they are few.
    pub(super) middle: Option<Middle>,
    /// The last vector.
    pub(super) end: End,
    /// Which part has the masks of the first sumcheck, if something is hidden.
    pub(super) holder: Option<usize>,
}

impl Plan {
    /// `2^-(f - vars)`: what the weights of a source of fewer variables than the first sumcheck has are
    /// multiplied by, as it is summed over the missing ones too.
    pub(super) fn share(&self, vars: usize) -> E {
        let missing = self.fold.saturating_sub(vars);
        E::ONE.div_2exp_u64(u64::try_from(missing).unwrap_or(0))
    }

    /// The plan of an opening of these sources.
    pub(super) fn new(layouts: &[&Layout]) -> Result<Self, Error> {
        let mut parameters = layouts.iter().map(|layout| layout.parameters);
        let first = parameters.next().unwrap_or(Parameters::FAST);
        if parameters.any(|other| other != first) {
            return Err(Error::Parameters {
                reason: "the layouts have different parameters".into(),
            });
        }
        let coded = || {
            let sources = layouts.iter().enumerate();
            sources.filter_map(|(k, layout)| Some((k, *layout, layout.code?)))
        };
        let cells = coded().fold(0, |sum: usize, (_, layout, _)| {
            sum.saturating_add(layout.cells)
        });
        let work = work(cells);
        let mut folded = 0usize;
        let mut parts = vec![];
        for (source, layout, code) in coded() {
            parts.push(Part {
                source,
                word: layout.word,
                code,
                first: folded,
                queries: layout.word.queries(code, LEVEL, work)?,
                hiding: layout.hiding,
            });
            folded = folded.saturating_add(code.rows);
        }
        if folded > 1 << MAX_LOG_CELLS {
            return Err(Error::Parameters {
                reason: format!("more than 2^{MAX_LOG_CELLS} rows"),
            });
        }
        let holder = hiding::holder(&parts)?;
        let fold = parts.iter().map(Part::vars).max().unwrap_or(0);
        let middle = if hiding::needs_middle(&parts) || !first.folded_in_clear(folded) {
            let rows = folded.div_ceil(1 << MIDDLE_FOLD);
            Some(Middle::new(first, rows, holder.is_some(), work)?)
        } else {
            None
        };
        let rows = middle.map_or(folded, |middle| middle.code.rows);
        let clear = middle.is_none() || first.end_in_clear(rows);
        let decoding = if clear {
            Decoding::Unique
        } else {
            first.decoding()
        };
        let least = if clear { 0 } else { tail::MIN_VARS };
        let cube = (least..MAX_LOG_CELLS).find(|&v| 1 << v >= rows);
        Ok(Self {
            work,
            fold,
            parts,
            folded,
            middle,
            end: End {
                rows,
                num_vars: cube.unwrap_or(MAX_LOG_CELLS),
                clear,
                decoding,
            },
            holder,
        })
    }
}
