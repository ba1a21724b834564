//! Tables of the equality polynomial `eq(r, i) = prod_k (r_k i_k + (1 - r_k)(1 - i_k))`.

use crate::field::{E, PackedFieldExtension, PrimeCharacteristicRing};
use crate::packed::{Factor, LANES, pack};
use crate::parallel;

/// Coordinates of the inner factor of a large table.
const INNER_VARS: usize = 8;

/// Elements of a product that are worth a task.
const GRAIN: usize = 1 << 12;

/// `scale * eq(r, i)` for every vertex `i < limit` of the cube, `limit <= 2^n`.
///
/// # Panics
/// If `limit` exceeds the cube.
pub fn eq_table(r: &[E], limit: usize, scale: E) -> Vec<E> {
    assert!(limit <= 1 << r.len(), "limit exceeds the cube");
    if r.len() <= INNER_VARS {
        return small_table(r, limit, scale);
    }
    let (outer, inner) = r.split_at(r.len() - INNER_VARS);
    let outer = eq_table(outer, limit.div_ceil(1 << INNER_VARS), scale);
    let inner = small_table(inner, 1 << INNER_VARS, E::ONE);
    let mut table = outer_product(&outer, &inner);
    table.truncate(limit);
    table
}

/// Builds the table one coordinate at a time. Subtrees beyond the limit are never built.
fn small_table(r: &[E], limit: usize, scale: E) -> Vec<E> {
    let mut table = Vec::with_capacity(limit.next_power_of_two());
    table.push(scale);
    for (k, &x) in r.iter().enumerate() {
        // After this step the table holds the prefixes of length k + 1 that start a live index.
        let live = limit.div_ceil(1 << (r.len() - k - 1));
        let parents = live.div_ceil(2);
        table.resize(2 * parents, E::ZERO);
        for i in (0..parents).rev() {
            let high = table[i] * x;
            table[2 * i + 1] = high;
            table[2 * i] = table[i] - high;
        }
        table.truncate(live);
    }
    table.truncate(limit);
    table
}

/// `out[i * b.len() + j] = a[i] b[j]`.
pub(crate) fn outer_product(a: &[E], b: &[E]) -> Vec<E> {
    let mut out = vec![E::ZERO; a.len() * b.len()];
    if out.is_empty() {
        return out;
    }
    let rows = GRAIN.div_ceil(b.len());
    let (registers, rest) = b.split_at(b.len() - b.len() % LANES);
    let registers = pack(registers);
    parallel::for_each_chunk(&mut out, rows * b.len(), |c, out| {
        for (&a, out) in a[c * rows..].iter().zip(out.chunks_exact_mut(b.len())) {
            let factor = Factor::broadcast(a);
            let (out, out_rest) = out.split_at_mut(b.len() - rest.len());
            for (out, &b) in out.chunks_exact_mut(LANES).zip(&registers) {
                factor.times(b).to_ext_slice(out);
            }
            for (out, &b) in out_rest.iter_mut().zip(rest) {
                *out = a * b;
            }
        }
    });
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::point::{Point, eq_eval};

    fn point(n: usize) -> Vec<E> {
        let mut x = E::from_u64(0x9e37_79b9_7f4a_7c15);
        (0..n)
            .map(|_| {
                x = x * x + E::from_u64(12_345);
                x
            })
            .collect()
    }

    #[test]
    fn tables_match_eq_eval() {
        for (n, limits) in [
            (0, &[0, 1][..]),
            (5, &[0, 1, 2, 7, 16, 31, 32]),
            (10, &[0, 1, 255, 256, 257, 700, 1024]),
            (14, &[16_000]),
        ] {
            let r = point(n);
            for &limit in limits {
                let table = eq_table(&r, limit, E::TWO);
                assert_eq!(table.len(), limit);
                for (i, &v) in table.iter().enumerate() {
                    assert_eq!(v, E::TWO * eq_eval(&r, &Point::vertex(i, n)));
                }
            }
        }
    }

    #[test]
    fn outer_products_of_any_lengths() {
        for (n, m) in [
            (0, 3),
            (3, 0),
            (1, 1),
            (7, 9),
            (3, 17),
            (100, 100),
            (5000, 2),
        ] {
            let (a, b) = (point(n), point(m));
            let out = outer_product(&a, &b);
            assert_eq!(out.len(), n * m);
            assert!((0..n * m).all(|k| out[k] == a[k / m] * b[k % m]));
        }
    }
}
