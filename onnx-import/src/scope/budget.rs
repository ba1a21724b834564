//! How many cells an import may allocate: a fixed amount and a multiple of what the file holds.
//!
//! A small file must not make the importer allocate much: constant folding can expand, and a
//! weight that many nodes share is copied into each of them.

use crate::Error;

/// Most cells of stored tensors and of weights placed in the graph.
const MODEL: usize = 1 << 31;
/// Most cells of one folded constant that is larger than everything stored.
const FOLDED: usize = 1 << 26;
/// Cells that folding and sharing may use in all, whatever the file holds.
const FREE: usize = 1 << 27;
/// Cells that folding and sharing may use in all for each stored one.
const FACTOR: usize = 16;
/// Most nodes and names of graphs inside of nodes, as often as they are imported, and parts of
/// tensors that nodes make.
const UNROLLED: usize = 1 << 18;

/// Cells used so far.
#[derive(Default)]
pub(crate) struct Budget {
    stored: usize,
    folded: usize,
    placed: usize,
    imported: usize,
}

impl Budget {
    /// Counts a tensor decoded from the model's bytes.
    pub(crate) fn stored(&mut self, name: &str, cells: usize) -> Result<(), Error> {
        self.stored = self.stored.saturating_add(cells);
        check(
            || format!("parameters up to tensor `{name}`"),
            self.stored,
            MODEL,
        )
    }

    /// Counts a constant of `cells` cells (`None`: more than can be counted) that folding is
    /// about to allocate, and gives the count.
    pub(crate) fn folded(&mut self, node: &str, cells: Option<usize>) -> Result<usize, Error> {
        let cells = cells.unwrap_or(usize::MAX);
        let what = || format!("cells of the constant that node `{node}` makes");
        check(what, cells, self.stored.max(FOLDED))?;
        self.folded = self.folded.saturating_add(cells);
        let what = || format!("cells of all folded constants up to node `{node}`");
        check(what, self.folded, self.scaled())?;
        Ok(cells)
    }

    /// Counts weights placed in the graph.
    pub(crate) fn placed(&mut self, node: &str, cells: usize) -> Result<(), Error> {
        self.placed = self.placed.saturating_add(cells);
        let what = || format!("weights, repeated where shared, up to node `{node}`");
        check(what, self.placed, self.scaled().min(MODEL))
    }

    /// Counts the nodes of a graph inside of node `node` that is imported, perhaps again, or the
    /// parts that the node makes of a tensor or a sequence.
    pub(crate) fn imported(&mut self, node: &str, nodes: usize) -> Result<(), Error> {
        self.imported = self.imported.saturating_add(nodes.max(1));
        let what = || format!("nodes of unrolled loops and parts of tensors up to node `{node}`");
        check(what, self.imported, UNROLLED)
    }

    fn scaled(&self) -> usize {
        self.stored.saturating_mul(FACTOR).saturating_add(FREE)
    }
}

fn check(what: impl Fn() -> String, size: usize, limit: usize) -> Result<(), Error> {
    if size <= limit {
        return Ok(());
    }
    Err(Error::TooLarge {
        what: what(),
        size,
        limit,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits() {
        let mut budget = Budget::default();
        assert!(budget.stored("a", MODEL).is_ok());
        assert!(budget.stored("a", 1).is_err());
        let mut budget = Budget::default();
        assert!(budget.folded("n", None).is_err());
        assert!(budget.folded("n", Some(FOLDED + 1)).is_err());
        assert!((0..FREE / FOLDED).all(|_| budget.folded("n", Some(FOLDED)).is_ok()));
        assert!(budget.folded("n", Some(1)).is_err());
        assert!(budget.placed("n", FREE + 1).is_err());
        assert!(budget.imported("n", UNROLLED).is_ok());
        assert!(budget.imported("n", 0).is_err());
    }
}
