//! What an opening will cost, from the layouts alone: before there are columns.

use super::layout::{End, Layout, Plan};
use super::parameters::Code;
use super::tree::{DIGEST, PART};
use super::{Joint, tail};
use crate::claim::Error;

/// Bytes on the tape of an element of `E`, of one of `F`, and of a proof of work.
const SCALAR: f64 = 16.0;
const BASE: f64 = 8.0;
const WORK: f64 = 8.0;

/// A source as part of an opening.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SourceCost {
    /// Its live cells.
    pub cells: usize,
    /// Cells of its word; nothing if its cells are in the clear.
    pub word: Option<usize>,
    /// Elements of the word and its tree that a prover has in memory at once.
    pub held: usize,
    /// Products with cells that the rows of a word take which is not kept.
    pub products: usize,
}

/// What an opening of several sources takes.
#[derive(Clone, Debug, PartialEq)]
pub struct OpeningCost {
    /// The sources.
    pub sources: Vec<SourceCost>,
    /// Folded rows of all of them, elements of `E`.
    pub folded: usize,
    /// Expected number of hashes of all proofs of work.
    pub hashes: f64,
    /// Expected length on the tape, without the commitments to the sources.
    pub bytes: f64,
}

impl Joint {
    /// Bytes of a commitment that is not the cells.
    pub const ROOT_BYTES: usize = DIGEST;

    /// The cost of an opening of sources of these layouts. Everything but the number of opened rows
    /// that fall together and of Merkle siblings is exact.
    ///
    /// # Errors
    /// No parameters reach the security level.
    pub fn cost(layouts: &[&Layout]) -> Result<OpeningCost, Error> {
        let plan = Plan::new(layouts)?;
        let source = |layout: &&Layout| SourceCost {
            cells: layout.cells(),
            word: layout.word_cells(),
            held: layout.word_cells().unwrap_or(0),
            products: 0,
        };
        let mut sources: Vec<SourceCost> = layouts.iter().map(source).collect();
        for part in &plan.parts {
            let (layout, source) = (layouts[part.source], &mut sources[part.source]);
            if source.held > layout.longest_kept() {
                // A part of it, and all digests, of which there are two a row.
                let row = PART.min(part.width()) + 2 * DIGEST.div_ceil(BASE as usize);
                source.held = row << part.code.log_points;
                source.products = source.cells.saturating_mul(part.queries);
            }
        }
        let mut cost = OpeningCost {
            sources,
            folded: plan.folded,
            hashes: 0.0,
            bytes: 0.0,
        };
        if plan.parts.is_empty() {
            return Ok(cost);
        }
        cost.rounds(plan.fold);
        cost.work(plan.work);
        if plan.holder.is_some() {
            // A mask and a veil.
            let scalars = if plan.middle.is_some() { 3.0 } else { 2.0 };
            cost.bytes += scalars * SCALAR;
        }
        for part in &plan.parts {
            cost.rows(part.code, part.queries, part.width());
        }
        if let Some(middle) = &plan.middle {
            cost.bytes += DIGEST as f64;
            cost.rounds(middle.code.fold);
            cost.work(plan.work);
            cost.rows(middle.code, middle.queries, middle.width());
        }
        cost.end(&plan.end)?;
        cost.rounds(plan.end.num_vars);
        Ok(cost)
    }
}

impl OpeningCost {
    /// Rounds of a sumcheck of products of two polynomials.
    fn rounds(&mut self, n: usize) {
        self.bytes += 2.0 * SCALAR * n as f64;
    }

    fn work(&mut self, bits: usize) {
        self.bytes += WORK;
        self.hashes += (bits as f64).exp2();
    }

    /// Opened rows of so many elements of `F`, and their paths.
    fn rows(&mut self, code: Code, queries: usize, width: usize) {
        let points = (code.log_points as f64).exp2();
        let different = points * (1.0 - (1.0 - 1.0 / points).powf(queries as f64));
        self.bytes += different * BASE * width as f64;
        self.bytes += DIGEST as f64 * siblings(queries, code.log_points as u32);
    }

    fn end(&mut self, end: &End) -> Result<(), Error> {
        if end.clear {
            self.bytes += SCALAR * end.rows as f64;
            return Ok(());
        }
        self.bytes += 2.0 * SCALAR;
        let tail = tail::cost(end.num_vars, end.decoding)?;
        self.bytes += tail.bytes;
        self.hashes += tail.hashes;
        Ok(())
    }
}

/// The expected number of siblings in the pruned paths of `n` random leaves of a tree of depth `D`.
/// A node of depth `d` is on no path with probability `(1 - 2^-d)^n`, and neither is its sibling
/// with probability `(1 - 2^(1-d))^n`. It is in the proof if it is on no path and its sibling is:
///
/// ```text
/// sum_{d=1}^D 2^d ((1 - 2^-d)^n - (1 - 2^(1-d))^n)
/// ```
pub(super) fn siblings(n: usize, depth: u32) -> f64 {
    let missed = |d: u32| (1.0 - (-f64::from(d)).exp2()).powf(n as f64);
    let at = |d: u32| f64::from(d).exp2() * (missed(d) - missed(d - 1));
    (1..=depth).map(at).sum()
}
