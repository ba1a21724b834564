//! Weights in closed form: sums over an interval of a vector that a verifier evaluates without the
//! vector, in time proportional to the number of variables.
//!
//! Coordinates are most significant first, as everywhere. The sums run over bits from the lowest:
//! what has to be remembered of the lower bits of an index is whether they are below those of a
//! bound, and for a shifted index the carry. The second is a branching program of width 4, as in
//! Hemo, Jue, Rabinovich, Roh, Rothblum, "Jagged Polynomial Commitments" (2025/917).

use zkstrata_mle::{E, F, PrimeCharacteristicRing};

/// `sum_{first <= j < first + len} x^(j - first) eq(q, j)`, where `x^(2^log_order) = 1`.
///
/// With `all_k = sum_{j < 2^k} x^j eq(q, j)` over the lowest `k` coordinates, a product, and
/// `below_k` the same sum over `j < n mod 2^k`:
///
/// ```text
/// below_{k+1} = (1 - q_k) below_k                              if bit k of n is 0
///             = (1 - q_k) all_k + q_k x^(2^k) below_k          if it is 1
/// ```
pub(super) fn powers(x: F, log_order: usize, first: usize, len: usize, q: &[E]) -> E {
    let last = first.saturating_add(len);
    let (mut all, mut power) = (E::ONE, x);
    let (mut below_first, mut below_last) = (E::ZERO, E::ZERO);
    let mut bits = (first, last);
    for &q in q.iter().rev() {
        let (low, high) = (E::ONE - q, q * power);
        let low_all = low * all;
        let next = |below: E, bit: usize| {
            if bit == 0 {
                low * below
            } else {
                low_all + high * below
            }
        };
        below_first = next(below_first, bits.0 & 1);
        below_last = next(below_last, bits.1 & 1);
        bits = (bits.0 >> 1, bits.1 >> 1);
        all = low_all + high * all;
        power = power.square();
    }
    // A bound beyond the last index is that of the whole vector.
    if bits.0 > 0 {
        below_first = all;
    }
    if bits.1 > 0 {
        below_last = all;
    }
    let order = 1u64 << log_order;
    let back = u64::try_from(first).unwrap_or(0) % order;
    (below_last - below_first) * x.exp_u64(order - back)
}

/// `sum_{y < len} eq(z, y) eq(q, first + y)`, where `len <= 2^|z|` and `first + len <= 2^|q|`;
/// either may have more variables.
///
/// From the lowest bit on, `state[c][l]` is the sum over the lower bits of `y` whose sum with those
/// of `first` carries `c`, and that are below (`l = 1`) those of `len` or not. Bits of the shifted
/// index beyond `q` are zero, and there is one such bit at least: it takes the place of a carry.
pub(super) fn shifted(z: &[E], len: usize, first: usize, q: &[E]) -> E {
    let mut state = [[E::ONE, E::ZERO], [E::ZERO; 2]];
    let steps = z.len().max(q.len() + 1);
    let z = z.iter().rev().map(Some).chain(std::iter::repeat(None));
    let q = q.iter().rev().copied().chain(std::iter::repeat(E::ZERO));
    let mut bits = (len, first);
    for (z, q) in z.zip(q).take(steps) {
        let (len_bit, first_bit) = (bits.0 & 1 == 1, bits.1 & 1 == 1);
        bits = (bits.0 >> 1, bits.1 >> 1);
        // eq of y's bit a and the shifted index's bit j; beyond z, y's bit is 0.
        let zq = z.map_or(E::ZERO, |&z| z * q);
        let z = z.copied().unwrap_or(E::ZERO);
        let weight = |a: bool, j: bool| match (a, j) {
            (false, false) => E::ONE - z - q + zq,
            (false, true) => q - zq,
            (true, false) => z - zq,
            (true, true) => zq,
        };
        let mut next = [[E::ZERO; 2]; 2];
        for (carry, of_carry) in [false, true].into_iter().zip(state) {
            for (less, value) in [false, true].into_iter().zip(of_carry) {
                for a in [false, true] {
                    let j = a ^ first_bit ^ carry;
                    let carry = (a && first_bit) || (carry && (a || first_bit));
                    let less = (!a && len_bit) || (a == len_bit && less);
                    let [even, odd] = &mut next;
                    let [not, yes] = if carry { odd } else { even };
                    *(if less { yes } else { not }) += value * weight(a, j);
                }
            }
        }
        state = next;
    }
    let [[_, below], _] = state;
    below
}

#[cfg(test)]
mod tests {
    use super::*;
    use p3_field::TwoAdicField;
    use zkstrata_mle::eq_table;

    fn point(n: usize, seed: u64) -> Vec<E> {
        let mut x = E::from_u64(seed + 0x9e37_79b9_7f4a_7c15);
        (0..n)
            .map(|_| {
                x = x * x + E::from_u64(12_345);
                x
            })
            .collect()
    }

    #[test]
    fn powers_match_a_loop() {
        for n in 0..7usize {
            let q = point(n, 3);
            let table = eq_table(&q, 1 << n, E::ONE);
            for (log_order, k) in [(0, 0), (3, 5), (9, 77), (20, 12_345)] {
                let x = F::two_adic_generator(log_order).exp_u64(k);
                for first in 0..=1 << n {
                    for len in 0..=(1 << n) - first {
                        let expected: E = (0..len)
                            .map(|i| table[first + i] * x.exp_u64(i as u64))
                            .sum();
                        assert_eq!(powers(x, log_order, first, len, &q), expected);
                    }
                }
            }
        }
    }

    #[test]
    fn shifted_products_match_a_loop() {
        for m in 0..6usize {
            for v in 0..=m + 2 {
                let (z, q) = (point(v, 1), point(m, 2));
                let (of_z, of_q) = (eq_table(&z, 1 << v, E::ONE), eq_table(&q, 1 << m, E::ONE));
                for len in 0..=1usize << v.min(m) {
                    for first in 0..=(1 << m) - len {
                        let expected: E = (0..len).map(|y| of_z[y] * of_q[first + y]).sum();
                        assert_eq!(
                            shifted(&z, len, first, &q),
                            expected,
                            "{m} {v} {len} {first}"
                        );
                    }
                }
            }
        }
    }
}
