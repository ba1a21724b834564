//! Outputs against a reference.
//!
//! The error of an output `x` against its reference `y` is `max |x - y| / r` with the range
//! `r = max(max y - min y, max |y|)`; a constant reference has `r = max(|y|, 1)`.

use crate::npy::Kind;
use ndarray::ArrayD;

/// An output as it should be.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Reference {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) cells: ArrayD<f64>,
}

/// An output as it is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Found {
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
    pub(crate) cells: Vec<f64>,
}

/// How all outputs compare.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Verdict {
    /// The largest error of an output that has the reference's shape.
    pub(crate) error: Option<f64>,
    /// What is wrong.
    pub(crate) faults: Vec<String>,
}

/// Compares every reference with the output of its name. Float outputs may have errors up to
/// `tolerance`; integers and truth values must be exact once the output is rounded.
pub(crate) fn compare(references: &[Reference], found: &[Found], tolerance: f64) -> Verdict {
    let mut verdict = Verdict::default();
    for reference in references {
        let name = &reference.name;
        let Some(output) = found.iter().find(|output| output.name == *name) else {
            verdict.faults.push(format!("output `{name}` is missing"));
            continue;
        };
        if output.shape != reference.cells.shape() {
            verdict.faults.push(format!(
                "output `{name}` has shape {:?}, expected {:?}",
                output.shape,
                reference.cells.shape()
            ));
            continue;
        }
        let fault = match reference.kind {
            Kind::Float => {
                let error = error(&output.cells, &reference.cells);
                verdict.see(error);
                let wrong = error.is_nan() || error > tolerance;
                wrong.then(|| format!("output `{name}` has a relative error of {error:.2e}"))
            }
            Kind::Integer | Kind::Bool => {
                verdict.see(error(&output.cells, &reference.cells));
                let mut pairs = output.cells.iter().zip(&reference.cells).enumerate();
                // The sum makes a negative zero positive.
                let other = pairs.find(|(_, (x, y))| (x.round() + 0.0).total_cmp(y).is_ne());
                other.map(|(i, (x, y))| {
                    format!("output `{name}`: cell {i} is {x:.3}, expected exactly {y}")
                })
            }
        };
        verdict.faults.extend(fault);
    }
    verdict
}

impl Verdict {
    fn see(&mut self, error: f64) {
        let largest = self.error.unwrap_or(0.0);
        self.error = Some(if largest.is_nan() || error.is_nan() {
            f64::NAN
        } else {
            largest.max(error)
        });
    }
}

/// The error as defined above; NaN if a cell of the reference is not finite, which no integer is.
fn error(found: &[f64], reference: &ArrayD<f64>) -> f64 {
    let (mut lo, mut hi, mut difference) = (f64::INFINITY, f64::NEG_INFINITY, 0.0_f64);
    for (x, &y) in found.iter().zip(reference) {
        if !y.is_finite() || !x.is_finite() {
            return f64::NAN;
        }
        (lo, hi) = (lo.min(y), hi.max(y));
        difference = difference.max((x - y).abs());
    }
    if found.is_empty() {
        return 0.0;
    }
    let size = hi.max(-lo);
    let range = if hi > lo {
        size.max(hi - lo)
    } else {
        size.max(1.0)
    };
    difference / range
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference(kind: Kind, cells: &[f64]) -> [Reference; 1] {
        [Reference {
            name: "y".into(),
            kind,
            cells: ndarray::arr1(cells).into_dyn(),
        }]
    }

    fn output(cells: &[f64]) -> Found {
        Found {
            name: "y".into(),
            shape: vec![cells.len()],
            cells: cells.to_vec(),
        }
    }

    fn against(kind: Kind, expected: &[f64], found: &[f64]) -> Verdict {
        compare(&reference(kind, expected), &[output(found)], 1e-2)
    }

    #[test]
    fn errors_are_relative_to_the_range() {
        let error = |expected: &[f64], found: &[f64]| {
            let verdict = against(Kind::Float, expected, found);
            verdict.error.map(|error| (100.0 * error).round() as i64)
        };
        assert_eq!(error(&[-2.0, 2.0], &[-2.0, 1.0]), Some(25));
        assert_eq!(error(&[7.0, 8.0], &[7.0, 10.0]), Some(25));
        assert_eq!(error(&[0.0, 0.0], &[0.5, 0.0]), Some(50));
        assert_eq!(error(&[4.0, 4.0], &[4.0, 5.0]), Some(25));
        assert_eq!(error(&[], &[]), Some(0));
        for wild in [f64::NAN, f64::INFINITY] {
            let verdict = against(Kind::Float, &[wild, 1.0], &[0.0, 1.0]);
            assert!(verdict.error.is_some_and(f64::is_nan));
        }
    }

    #[test]
    fn what_is_wrong() {
        let faults =
            |kind, expected: &[f64], found: &[f64]| against(kind, expected, found).faults.len();
        assert_eq!(faults(Kind::Float, &[1.0, 0.0], &[1.009, 0.0]), 0);
        assert_eq!(faults(Kind::Float, &[1.0, 0.0], &[1.011, 0.0]), 1);
        assert_eq!(faults(Kind::Float, &[f64::NAN], &[0.0]), 1);
        assert_eq!(faults(Kind::Integer, &[1000.0, 0.0], &[1000.4, -0.2]), 0);
        assert_eq!(faults(Kind::Integer, &[1000.0, 0.0], &[1000.6, 0.0]), 1);
        assert_eq!(faults(Kind::Bool, &[1.0], &[0.0]), 1);
        // The same cells in another shape, or by another name.
        let mut found = output(&[1.0, 2.0]);
        found.shape = vec![1, 2];
        let expected = reference(Kind::Float, &[1.0, 2.0]);
        let verdict = compare(&expected, &[found], 1.0);
        assert!(verdict.faults[0].contains("[1, 2]"), "{verdict:?}");
        let mut found = output(&[1.0, 2.0]);
        found.name = "logits".into();
        let verdict = compare(&expected, &[found], 1.0);
        assert!(verdict.faults[0].contains("missing"), "{verdict:?}");
    }
}
