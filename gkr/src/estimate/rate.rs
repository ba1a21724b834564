//! The rates: what a unit of work costs on one core of the reference machine.
//!
//! `zkstrata-benches estimate --fit` measures the models of the zoo and prints new rates, by least
//! squares of the relative errors over non-negative rates, one stage at a time. Replace the
//! numbers in [`RATES`] by them whenever the prover's speed or memory changes. They are scaled
//! to the reference machine, whose speed is 1, on whatever machine they are measured. Fitted on an
//! Intel Xeon with AVX-512, two threads.

use super::work::Work;

/// Work of one kind in one figure of an estimate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Term {
    /// What it is part of: a stage of proving by the name of its span, `setup`, `verify` or
    /// `memory`.
    pub figure: &'static str,
    /// The unit.
    pub unit: &'static str,
    /// Number of units.
    pub count: f64,
    /// Nanoseconds of one core of the reference machine for a unit; bytes for `memory`.
    pub rate: f64,
    /// Whether all threads share it.
    pub shared: bool,
}

/// A row of [`RATES`].
struct Row {
    figure: &'static str,
    unit: &'static str,
    shared: bool,
    rate: f64,
    count: fn(&Work) -> f64,
}

/// What an amount is counted of.
type Count = fn(&Work) -> f64;

/// Work that all threads share.
const fn shared(figure: &'static str, unit: &'static str, rate: f64, count: Count) -> Row {
    let single = single(figure, unit, rate, count);
    Row {
        shared: true,
        ..single
    }
}

/// Work of one thread, and memory.
const fn single(figure: &'static str, unit: &'static str, rate: f64, count: Count) -> Row {
    Row {
        figure,
        unit,
        shared: false,
        rate,
        count,
    }
}

/// All rates.
#[rustfmt::skip]
const RATES: &[Row] = &[
    shared("run", "multiplications", 0.007, |w| w.products),
    shared("run", "depthwise multiplications", 0.095, |w| w.depthwise),
    shared("run", "cells", 1.5, |w| w.cells),
    single("witness", "lookups", 0.46, |w| w.lookups),
    single("witness", "rows", 0.5, |w| w.rows),
    shared("commit", "cells", 6.2, |w| w.witness.word),
    shared("lookup", "leaves", 40.0, |w| w.leaves),
    shared("lookup", "rows", 51.0, |w| w.rows),
    single("lookup", "rounds", 4.9e3, |w| w.rounds),
    shared("linear", "weights", 1.0, |w| w.linear.weights as f64),
    shared("linear", "cells", 0.17, |w| w.linear.cells as f64),
    shared("linear", "entries", 52.0, |w| w.linear.entries as f64),
    single("linear", "operators", 290.0, |w| w.linear.instances as f64),
    shared("open", "folded cells", 160.0, |w| w.folded),
    shared("open", "hashes", 9.8, |w| w.hashes),
    shared("open", "products of rows", 0.68, |w| w.key.products),
    single("open", "claims", 6.3e3, |w| w.witness.claims + w.key.claims),
    shared("setup", "weights", 13.5, |w| w.weights),
    shared("setup", "committed cells", 5.2, |w| w.key.word),
    single("setup", "keys", 6.3e4, |_| 1.0),
    single("verify", "operations", 23.0, |w| {
        (w.counts.additions + w.counts.public_multiplications + w.counts.challenges) as f64
    }),
    single("verify", "proof bytes", 5.2, |w| w.proof),
    single("verify", "public cells", 8.0, |w| w.linear.visited as f64 + w.public),
    single("verify", "public weights", 0.62, |w| w.evaluated),
    single("memory", "process", 2.25e7, |_| 1.0),
    single("memory", "weights", 13.1, |w| w.weights),
    single("memory", "committed weights", 8.2, |w| w.key.held),
    single("memory", "witness cells", 21.5, |w| w.witness.word),
    single("memory", "leaves", 7.8, |w| w.leaves),
    single("memory", "rows", 60.0, |w| w.rows),
];

/// The terms of all figures.
pub(super) fn terms(work: &Work) -> Vec<Term> {
    let term = |row: &Row| Term {
        figure: row.figure,
        unit: row.unit,
        count: (row.count)(work),
        rate: row.rate,
        shared: row.shared,
    };
    RATES.iter().map(term).collect()
}
