//! Sparse matrices made ready to run.

use super::cell::Cell;
use crate::int::Entry;

/// Entries by row.
#[derive(Debug)]
pub(super) struct Matrix {
    pub(super) input: usize,
    pub(super) output: usize,
    /// Row `i` has the entries `starts[i] .. starts[i + 1]`.
    starts: Vec<usize>,
    /// Inputs and weights.
    entries: Vec<(usize, i64)>,
}

impl Matrix {
    /// Of entries sorted by row.
    pub(super) fn new(input: usize, output: usize, entries: &[Entry]) -> Self {
        let mut starts = vec![0; output + 1];
        for entry in entries {
            starts[entry.to as usize + 1] += 1;
        }
        for i in 0..output {
            starts[i + 1] += starts[i];
        }
        let pair = |e: &Entry| (e.from as usize, e.weight);
        Self {
            input,
            output,
            starts,
            entries: entries.iter().map(pair).collect(),
        }
    }

    /// Inputs and weights of row `i`.
    pub(super) fn row(&self, i: usize) -> &[(usize, i64)] {
        &self.entries[self.starts[i]..self.starts[i + 1]]
    }

    /// The sum of the weights of every row.
    pub(super) fn totals(&self) -> Vec<i64> {
        let total = |i| self.row(i).iter().map(|&(_, weight)| weight).sum();
        (0..self.output).map(total).collect()
    }

    /// `y = M x` on consecutive cells.
    pub(super) fn run_line<X: Cell, Y: Cell>(&self, x: &[X], y: &mut [Y], load: impl Fn(X) -> Y) {
        for (i, y) in y.iter_mut().enumerate() {
            let terms = self.row(i).iter();
            *y = terms.fold(Y::default(), |sum, &(from, weight)| {
                sum.plus(load(x[from]).times(Y::wrap(weight)))
            });
        }
    }
}
