//! Fixing the first variable of a multilinear extension.

use crate::field::E;

/// `t[i] <- t[i] + r (t[i + h] - t[i])` for `i < h`, half the length: the extension of `table`
/// with its most significant variable set to `r`.
///
/// # Panics
/// If the length is odd.
pub fn bind(table: &mut Vec<E>, r: E) {
    assert!(
        table.len().is_multiple_of(2),
        "a table to bind has two halves"
    );
    let half = table.len() / 2;
    let (low, high) = table.split_at_mut(half);
    for (a, &b) in low.iter_mut().zip(&*high) {
        *a += r * (b - *a);
    }
    table.truncate(half);
}
