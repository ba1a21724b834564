//! Fixing the first variable of a multilinear extension.

use crate::field::{E, PackedE, PackedFieldExtension};
use crate::packed::{Factor, LANES};
use crate::parallel;

/// Elements of a half that are worth a task.
const GRAIN: usize = 1 << 13;

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
    let factor = Factor::broadcast(r);
    parallel::for_each_chunk(low, GRAIN, |i, low| {
        let high = &high[i * GRAIN..][..low.len()];
        let (low, low_rest) = low.as_chunks_mut::<LANES>();
        let (high, high_rest) = high.as_chunks::<LANES>();
        for (a, b) in low.iter_mut().zip(high) {
            let (x, y) = (PackedE::from_ext_slice(a), PackedE::from_ext_slice(b));
            (x + factor.times(y - x)).to_ext_slice(a);
        }
        for (a, &b) in low_rest.iter_mut().zip(high_rest) {
            *a += r * (b - *a);
        }
    });
    table.truncate(half);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::PrimeCharacteristicRing;

    #[test]
    fn binding_interpolates_the_halves() {
        let r = E::from_u64(1 << 40) + E::from_bool(true);
        for half in [0, 1, 7, 8, 9, 1000, GRAIN + 3] {
            let table: Vec<E> = (0..2 * half).map(|i| E::from_usize(i * i + 1)).collect();
            let mut bound = table.clone();
            bind(&mut bound, r);
            let expected: Vec<E> = (0..half)
                .map(|i| (E::ONE - r) * table[i] + r * table[half + i])
                .collect();
            assert_eq!(bound, expected);
        }
    }
}
