//! How close outputs are to the float model's.

use crate::record::Accuracy;
use crate::worker::Outputs;

/// Two float runs that agree to this, relative to the largest magnitude or 1, compute the same.
const SAME: f64 = 1e-3;

/// Compares the integer model with onnxruntime if that computes the same outputs as the float
/// executor, and with the float executor otherwise: where an import changes what is computed (its
/// notes say so), onnxruntime's outputs are not what is proven. `rows[k]` is the length of output `k`'s
/// last axis.
pub(crate) fn against_float(
    found: &Outputs,
    float: &Outputs,
    onnxruntime: Option<&Outputs>,
    rows: &[usize],
) -> Option<Accuracy> {
    let same = |other: &&Outputs| {
        compare("", float, other, rows)
            .is_some_and(|close| close.max_abs_err <= SAME * close.max_abs.max(1.0))
    };
    match onnxruntime.filter(same) {
        Some(reference) => compare("onnxruntime", found, reference, rows),
        None => compare("float executor", found, float, rows),
    }
}

/// Compares outputs of the same shape.
pub(crate) fn compare(
    name: &str,
    found: &Outputs,
    reference: &Outputs,
    rows: &[usize],
) -> Option<Accuracy> {
    let (mut error, mut size) = (0.0_f64, 0.0_f64);
    let (mut agree, mut all) = (0_usize, 0_usize);
    if found.len() != reference.len() || found.is_empty() {
        return None;
    }
    for (found, reference) in found.iter().zip(reference) {
        if found.len() != reference.len() {
            return None;
        }
        for (k, (found, reference)) in found.iter().zip(reference).enumerate() {
            if found.len() != reference.len() || found.is_empty() {
                return None;
            }
            for (x, y) in found.iter().zip(reference) {
                error = error.max((x - y).abs());
                size = size.max(y.abs());
            }
            let row = rows.get(k).copied().unwrap_or(found.len()).max(1);
            for (found, reference) in found.chunks(row).zip(reference.chunks(row)) {
                agree += usize::from(largest(found) == largest(reference));
                all += 1;
            }
        }
    }
    Some(Accuracy {
        reference: name.into(),
        samples: found.len(),
        max_abs_err: error,
        max_abs: size,
        argmax: agree as f64 / all.max(1) as f64,
    })
}

/// Index of the first largest cell.
fn largest(cells: &[f64]) -> usize {
    let larger = |best: usize, i: usize| if cells[i] > cells[best] { i } else { best };
    (0..cells.len()).fold(0, larger)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_compared_with_what_computes_the_same() {
        let outputs = |cells: [f64; 4]| vec![vec![cells.to_vec()]];
        let found = outputs([1.0, 2.0, 3.5, 3.0]);
        let float = outputs([1.0, 2.5, 3.0, 4.0]);
        let of = |other: Option<&Outputs>| {
            against_float(&found, &float, other, &[2]).expect("the shapes agree")
        };
        let own = of(None);
        assert_eq!(own.reference, "float executor");
        assert_eq!((own.max_abs_err, own.max_abs, own.argmax), (1.0, 4.0, 0.5));
        assert_eq!(of(Some(&float)).reference, "onnxruntime");
        let softmax = outputs([0.1, 0.2, 0.3, 0.4]);
        assert_eq!(of(Some(&softmax)).reference, "float executor");
        assert_eq!(of(Some(&vec![])).reference, "float executor");
        assert_eq!(compare("", &found, &vec![vec![vec![1.0]]], &[1]), None);
    }
}
