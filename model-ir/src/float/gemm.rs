//! `Y[i, j] = Y0[i, j] + sum_k A[i, k] B[k, j]` in `f32`, summed in the order of `k`.
//!
//! Vectorisation is over `j` only and nothing is fused or reordered, so the answer has the same
//! bits on every machine: calibration, and with it the digest of a quantised model, does not
//! depend on the width of the machine's registers.

/// Rows of `A` that are taken at once.
const ROWS: usize = 4;
/// Columns of `B` that are taken at once.
const COLUMNS: usize = 16;

/// Adds `A B` to `y`, all dense and row-major: `a` is `[m, k]`, `b` is `[k, n]`, `y` is `[m, n]`.
pub(super) fn accumulate(a: &[f32], b: &[f32], y: &mut [f32], k: usize) {
    if k == 0 || y.is_empty() {
        return;
    }
    let (m, n) = (a.len() / k, b.len() / k);
    assert!(a.len() == m * k && b.len() == k * n && y.len() == m * n);
    if m < ROWS {
        for (a, y) in a.chunks_exact(k).zip(y.chunks_exact_mut(n)) {
            for (&a, b) in a.iter().zip(b.chunks_exact(n)) {
                y.iter_mut().zip(b).for_each(|(y, &b)| *y += a * b);
            }
        }
        return;
    }
    let mut panel = vec![[0.0; COLUMNS]; k];
    for start in (0..n).step_by(COLUMNS) {
        let width = COLUMNS.min(n - start);
        for (row, b) in panel.iter_mut().zip(b.chunks_exact(n)) {
            row[..width].copy_from_slice(&b[start..start + width]);
        }
        let rows = a.chunks(ROWS * k).zip(y.chunks_mut(ROWS * n));
        for (a, y) in rows {
            let height = a.len() / k;
            let mut sums = [[0.0; COLUMNS]; ROWS];
            for (sums, y) in sums.iter_mut().zip(y.chunks_exact(n)) {
                sums[..width].copy_from_slice(&y[start..start + width]);
            }
            if height == ROWS {
                tile(a, &panel, &mut sums);
            } else {
                for (sums, a) in sums.iter_mut().zip(a.chunks_exact(k)) {
                    axpy(a, &panel, sums);
                }
            }
            for (sums, y) in sums.iter().zip(y.chunks_exact_mut(n)) {
                y[start..start + width].copy_from_slice(&sums[..width]);
            }
        }
    }
}

fn tile(a: &[f32], panel: &[[f32; COLUMNS]], sums: &mut [[f32; COLUMNS]; ROWS]) {
    let k = panel.len();
    let (a0, a) = a.split_at(k);
    let (a1, a) = a.split_at(k);
    let (a2, a3) = a.split_at(k);
    let [s0, s1, s2, s3] = sums;
    for ((((b, &a0), &a1), &a2), &a3) in panel.iter().zip(a0).zip(a1).zip(a2).zip(a3) {
        for j in 0..COLUMNS {
            s0[j] += a0 * b[j];
            s1[j] += a1 * b[j];
            s2[j] += a2 * b[j];
            s3[j] += a3 * b[j];
        }
    }
}

fn axpy(a: &[f32], panel: &[[f32; COLUMNS]], sums: &mut [f32; COLUMNS]) {
    for (b, &a) in panel.iter().zip(a) {
        sums.iter_mut().zip(b).for_each(|(s, &b)| *s += a * b);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_has_the_bits_of_the_plain_loop() {
        let value = |i: usize| ((i * 2_654_435_761) % 1000) as f32 / 313.0 - 1.5;
        for (m, k, n) in [(1, 7, 33), (3, 2, 5), (4, 9, 16), (6, 5, 17), (9, 3, 40)] {
            let a: Vec<f32> = (0..m * k).map(value).collect();
            let b: Vec<f32> = (0..k * n).map(|i| value(i + 77)).collect();
            let mut y: Vec<f32> = (0..m * n).map(|i| value(i + 5)).collect();
            let mut expected = y.clone();
            for i in 0..m {
                for j in 0..n {
                    for l in 0..k {
                        expected[i * n + j] += a[i * k + l] * b[l * n + j];
                    }
                }
            }
            accumulate(&a, &b, &mut y, k);
            assert_eq!(y, expected, "{m} {k} {n}");
        }
    }
}
