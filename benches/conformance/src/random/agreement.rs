//! Whether an output of single precision is the reference's.

use super::graph::{Case, Values};
use super::noise::{self, Effort};

/// How exact an executor of single precision is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    /// Functions are exact to the last bits.
    Ours,
    /// Functions are approximated by polynomials, and what is not finite is anybody's.
    Runtime,
}

/// Whether an output of single precision is the reference's, on sample `i`.
pub(super) fn same(
    case: &Case,
    run: &Values,
    (i, name): (usize, &str),
    (shape, found): (&[usize], &[f64]),
    trust: Trust,
    noisy: &mut Option<Vec<Values>>,
) -> Result<(), String> {
    let expected = &run[name];
    if shape != expected.shape {
        let expected = &expected.shape;
        return Err(format!(
            "output {name}: shape {shape:?}, expected {expected:?}"
        ));
    }
    let range = size(&expected.cells);
    let (relative, absolute, noise) = match trust {
        Trust::Ours => (2e-6, 1e-18, 1.0),
        Trust::Runtime => (2e-4, 1e-6, 100.0),
    };
    let float = expected.kind.is_float();
    let slack = if float {
        relative * range + absolute
    } else {
        0.0
    };
    let silent = |x: f64| trust == Trust::Runtime && !x.is_finite();
    let close = |x: f64, y: f64| !y.is_finite() || silent(x) || (x - y).abs() <= slack;
    let pairs = || found.iter().zip(&expected.cells).enumerate();
    if pairs().all(|(_, (&x, &y))| close(x, y)) {
        return Ok(());
    }
    let compared = |noisy: &[Values]| {
        let cells = |k: usize| noisy.iter().map(move |run| run[name].cells[k]);
        let worst = |k: usize| {
            let off = cells(k).map(|x| (x - expected.cells[k]).abs());
            off.fold(0.0, most)
        };
        let pooled = (0..found.len()).map(worst).fold(0.0, f64::max);
        let allowed = |k: usize, x: f64, y: f64| {
            if float {
                (x - y).abs() <= slack + 10.0 * pooled || pooled == f64::INFINITY
            } else {
                between(x, y, cells(k))
            }
        };
        let off = pairs().find(|&(k, (&x, &y))| !close(x, y) && !allowed(k, x, y));
        off.map_or(Ok(()), |(k, (x, y))| {
            Err(format!(
                "output {name}: cell {k} is {x:e}, the reference has {y:e}"
            ))
        })
    };
    let runs = |effort: Effort| noise::of_single_precision(case, i, noise, effort);
    let some = noisy.get_or_insert_with(|| runs(Effort::Some));
    compared(some).or_else(|_| compared(&runs(Effort::Much)))
}

/// The larger one; infinite if either is not finite.
pub(super) fn most(a: f64, b: f64) -> f64 {
    if b.is_finite() {
        a.max(b)
    } else {
        f64::INFINITY
    }
}

/// Whether `x` lies where noise put a cell whose reference is `y`.
pub(super) fn between(x: f64, y: f64, noisy: impl Iterator<Item = f64>) -> bool {
    let (lo, hi) = noisy.fold((y, y), |(lo, hi), z| (lo.min(z), hi.max(z)));
    let room = hi - lo + 1e-6;
    lo - room <= x && x <= hi + room
}

/// The largest magnitude of finite cells.
pub(super) fn size(cells: &[f64]) -> f64 {
    let finite = cells.iter().filter(|x| x.is_finite());
    finite.fold(0.0, |m, x| m.max(x.abs()))
}
