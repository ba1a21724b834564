//! Rates from measurements: for each figure the `c >= 0` that minimise
//!
//! ```text
//! sum_i (sum_j a_ij c_j / y_i - 1)^2
//! ```
//!
//! over the observations `i` of `y_i` with `a_ij` units of `j`, by descent along one coordinate
//! after the other. Few units and relative errors: small models count as much as large ones.

use crate::estimate::{fastest, median};
use crate::record::Figures;
use std::fmt::Write;
use zkstrata::estimate::{Estimate, Machine, Term};

/// Sweeps over the coordinates.
const SWEEPS: usize = 20_000;

/// The terms of a prediction, and what was measured.
pub(crate) struct Observation {
    terms: Vec<Term>,
    runs: Vec<Figures>,
    machine: Machine,
}

impl Observation {
    pub(crate) fn new(predicted: &Estimate, runs: &[Figures], machine: Machine) -> Self {
        Self {
            terms: predicted.terms.clone(),
            runs: runs.to_vec(),
            machine,
        }
    }

    /// What was measured of a figure, in nanoseconds of a core of the reference machine or in
    /// bytes.
    fn measured(&self, figure: &str) -> f64 {
        let nanoseconds = |seconds: f64| seconds * 1e9 * self.machine.speed;
        let seconds = |of: &dyn Fn(&Figures) -> Option<f64>| nanoseconds(fastest(&self.runs, of));
        match figure {
            "setup" => seconds(&|f| f.seconds.setup),
            "verify" => seconds(&|f| f.seconds.verify),
            "memory" => median(&self.runs, |f| f.peak_bytes.get("prove").map(|&b| b as f64)),
            stage => seconds(&|f| f.seconds.parts.get(stage).copied()),
        }
    }

    /// Units of a term, as often as the time of one thread contains them.
    fn units(&self, term: &Term) -> f64 {
        let threads = if term.shared { self.machine.threads } else { 1 };
        term.count / threads as f64
    }
}

/// The table of rates as the library has it, and the largest error of each figure.
pub(crate) fn rates(observations: &[Observation]) -> String {
    let mut text = String::new();
    let Some(first) = observations.first() else {
        return text;
    };
    for group in first.terms.chunk_by(|a, b| a.figure == b.figure) {
        let figure = group[0].figure;
        let start = first.terms.iter().position(|t| t.figure == figure);
        let range = start.map_or(0..0, |start| start..start + group.len());
        let rows: Vec<Vec<f64>> = observations
            .iter()
            .map(|o| {
                let measured = o.measured(figure);
                let terms = &o.terms[range.clone()];
                terms.iter().map(|t| o.units(t) / measured).collect()
            })
            .filter(|row: &Vec<f64>| row.iter().all(|x| x.is_finite()))
            .collect();
        let rates = least_squares(&rows, group.len());
        let ratios = rows.iter().map(|row| product(row, &rates));
        let (low, high) = ratios.fold((f64::INFINITY, 0.0), |(low, high), x| {
            (x.min(low), x.max(high))
        });
        let _ = writeln!(text, "{figure}: predicted / measured {low:.2} to {high:.2}");
        for (term, rate) in group.iter().zip(rates) {
            let _ = writeln!(text, "    {:<28} {rate:.4}", term.unit);
        }
    }
    text
}

fn product(row: &[f64], rates: &[f64]) -> f64 {
    row.iter().zip(rates).map(|(a, c)| a * c).sum()
}

/// The non-negative `c` that brings `sum_j row_j c_j` closest to 1 over the rows.
fn least_squares(rows: &[Vec<f64>], units: usize) -> Vec<f64> {
    let mut c = vec![0.0; units];
    for _ in 0..SWEEPS {
        for j in 0..units {
            let square: f64 = rows.iter().map(|row| row[j] * row[j]).sum();
            let gradient: f64 = rows
                .iter()
                .map(|row| row[j] * (1.0 - product(row, &c)))
                .sum();
            if square > 0.0 {
                c[j] = (c[j] + gradient / square).max(0.0);
            }
        }
    }
    c
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_recovered_and_never_negative() {
        let units = [
            [1.0, 5.0, 2.0],
            [3.0, 1.0, 7.0],
            [2.0, 8.0, 1.0],
            [9.0, 2.0, 4.0],
        ];
        let rates = [0.5, 0.0, 3.0];
        let row = |units: &[f64; 3]| {
            let measured = product(units, &rates);
            units.iter().map(|x| x / measured).collect::<Vec<_>>()
        };
        let rows: Vec<_> = units.iter().map(row).collect();
        for (found, rate) in least_squares(&rows, 3).iter().zip(rates) {
            assert!((found - rate).abs() < 1e-6, "{found} {rate}");
        }
    }
}
