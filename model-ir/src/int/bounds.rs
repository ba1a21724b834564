//! Interval analysis of the linear operators and of contractions.
//!
//! If every cell of `X` lies in `[lo, hi]` and `Y = sum_j w_j X_j + b` with `P = sum max(w_j, 0)`
//! and `N = sum max(-w_j, 0)`, then `Y` lies in `[P lo - N hi + b, P hi - N lo + b]`, and both
//! ends are attained when the `X_j` are independent. Everything is computed in checked 128-bit
//! arithmetic; `None` means that a bound is not inside `(-2^62, 2^62)`.

use super::contract::Contract;
use super::graph::{Interval, TensorId};
use super::op::{Affine, Entry, Map, MapAxis};

/// Bounds of `Y[g, o]` over all other axes, one entry per row `(g, o)` of the weight tensor,
/// for an input in `input`.
///
/// # Panics
/// If `weights` or `bias` do not have the lengths that `affine` implies.
pub fn affine_bounds(
    affine: &Affine,
    weights: &[i32],
    bias: Option<&[i64]>,
    input: Interval,
) -> Option<Vec<Interval>> {
    let shape = affine.weight_shape();
    let rows = affine.rows();
    assert_eq!(weights.len(), shape.len(), "weights of {shape:?}");
    assert!(
        bias.is_none_or(|b| b.len() == rows),
        "one bias per output channel: got {:?}, expected {rows}",
        bias.map(<[i64]>::len)
    );
    let pads = affine.windows.iter().any(MapAxis::reads_outside);
    let input = if pads { input.with(0) } else { input };
    let row = weights.len() / rows.max(1);
    (0..rows)
        .map(|r| {
            let (mut positive, mut negative) = (0i128, 0i128);
            for &w in &weights[r * row..(r + 1) * row] {
                positive += i128::from(w.max(0));
                negative -= i128::from(w.min(0));
            }
            let bias = bias.map_or(0, |b| i128::from(b[r]));
            let (lo, hi) = (i128::from(input.lo), i128::from(input.hi));
            narrow(
                positive * lo - negative * hi + bias,
                positive * hi - negative * lo + bias,
            )
        })
        .collect()
}

/// Bounds of a map's output for an input in `input`.
pub fn map_bounds(map: &Map, input: Interval) -> Option<Interval> {
    // P and N of an output cell are those of the product over axes; each axis contributes the
    // smallest and the largest P and N over its outputs.
    let (mut p, mut n) = ((1i128, 1i128), (0i128, 0i128));
    let mut outside = false;
    for axis in &map.axes {
        outside |= axis.reads_outside();
        let (q, m) = axis_weights(axis)?;
        let combine =
            |a: i128, b: i128, c: i128, d: i128| a.checked_mul(b)?.checked_add(c.checked_mul(d)?);
        (p, n) = (
            (combine(p.0, q.0, n.0, m.0)?, combine(p.1, q.1, n.1, m.1)?),
            (combine(p.0, m.0, n.0, q.0)?, combine(p.1, m.1, n.1, q.1)?),
        );
    }
    let input = if outside { input.with(map.fill) } else { input };
    let (lo, hi) = (i128::from(input.lo), i128::from(input.hi));
    // P lo - N hi is linear in P and in N, so its extremes are at their ends.
    let ends = |x: i128, (a, b): (i128, i128)| Some((a.checked_mul(x)?, b.checked_mul(x)?));
    let (least, most) = (ends(lo, p)?, ends(-hi, n)?);
    let low = least.0.min(least.1).checked_add(most.0.min(most.1))?;
    let (least, most) = (ends(hi, p)?, ends(-lo, n)?);
    let high = least.0.max(least.1).checked_add(most.0.max(most.1))?;
    narrow(low, high)
}

/// Bounds of `sum_k coefs[k] * X_k` for independent `X_k` in `inputs[k]`.
///
/// # Panics
/// If the lengths differ.
pub fn sum_bounds(coefs: &[i64], inputs: &[Interval]) -> Option<Interval> {
    assert_eq!(coefs.len(), inputs.len(), "one coefficient per input");
    let (mut low, mut high) = (0i128, 0i128);
    for (&c, x) in coefs.iter().zip(inputs) {
        let (a, b) = (
            i128::from(c) * i128::from(x.lo),
            i128::from(c) * i128::from(x.hi),
        );
        low = low.checked_add(a.min(b))?;
        high = high.checked_add(a.max(b))?;
    }
    narrow(low, high)
}

/// Bounds of a contraction of two tensors in these intervals: those of a product times the number
/// of terms. Every term of a tensor contracted with itself, label by label, is a square.
///
/// # Panics
/// If a label has no length.
pub fn contract_bounds(
    contract: &Contract,
    [(a, x), (b, y)]: [(TensorId, Interval); 2],
) -> Option<Interval> {
    let terms = i128::try_from(contract.terms()).ok()?;
    let [x_lo, x_hi, y_lo, y_hi] = [x.lo, x.hi, y.lo, y.hi].map(i128::from);
    // Below 2^126 each.
    let ends = [x_lo * y_lo, x_lo * y_hi, x_hi * y_lo, x_hi * y_hi];
    let (mut lo, hi) = ends
        .iter()
        .fold((ends[0], ends[0]), |(lo, hi), &z| (lo.min(z), hi.max(z)));
    if a == b && contract.left == contract.right {
        lo = lo.max(0);
    }
    narrow(lo.checked_mul(terms)?, hi.checked_mul(terms)?)
}

type Extremes = (i128, i128);

/// Smallest and largest `P` and `N` over the outputs of one axis.
fn axis_weights(axis: &MapAxis) -> Option<(Extremes, Extremes)> {
    let (taps, coefs) = match axis {
        MapAxis::Keep(_) => return Some(((1, 1), (0, 0))),
        MapAxis::Window { taps, coefs, .. } => (taps, coefs),
        MapAxis::Matrix {
            output, entries, ..
        } => return Some(matrix_weights(*output, entries)),
    };
    let (mut positive, mut negative) = (0i128, 0i128);
    for tap in taps {
        positive += i128::from(tap.weight.max(0));
        negative -= i128::from(tap.weight.min(0));
    }
    if coefs.is_empty() {
        return Some(((positive, positive), (negative, negative)));
    }
    let (mut p, mut n) = ((i128::MAX, 0), (i128::MAX, 0));
    for &c in coefs {
        let c = i128::from(c);
        let (a, b) = (
            positive.checked_mul(c.abs())?,
            negative.checked_mul(c.abs())?,
        );
        let (a, b) = if c < 0 { (b, a) } else { (a, b) };
        p = (p.0.min(a), p.1.max(a));
        n = (n.0.min(b), n.1.max(b));
    }
    Some((p, n))
}

/// Smallest and largest `P` and `N` over the rows of a matrix, its entries sorted by row.
fn matrix_weights(output: usize, entries: &[Entry]) -> (Extremes, Extremes) {
    let rows = entries.chunk_by(|a, b| a.to == b.to).map(|row| {
        row.iter().fold((0i128, 0i128), |(p, n), e| {
            let weight = i128::from(e.weight);
            (p + weight.max(0), n - weight.min(0))
        })
    });
    let with = |(lo, hi): Extremes, x: i128| (lo.min(x), hi.max(x));
    let (mut count, mut p, mut n) = (0, (i128::MAX, 0), (i128::MAX, 0));
    for (positive, negative) in rows {
        (p, n) = (with(p, positive), with(n, negative));
        count += 1;
    }
    if count < output {
        // A row without entries.
        (p, n) = (with(p, 0), with(n, 0));
    }
    (p, n)
}

fn narrow(lo: i128, hi: i128) -> Option<Interval> {
    let interval = Interval {
        lo: i64::try_from(lo).ok()?,
        hi: i64::try_from(hi).ok()?,
    };
    interval.is_bounded().then_some(interval)
}

#[cfg(test)]
mod tests {
    use super::super::op::{Tap, WeightId};
    use super::*;

    fn affine(windows: Vec<MapAxis>) -> Affine {
        Affine {
            lead: vec![],
            groups: vec![],
            outputs: vec![2],
            inputs: vec![2],
            windows,
            weight: WeightId(0),
            bias: None,
        }
    }

    fn window(offset: i64, weights: &[i64], coefs: &[i64]) -> MapAxis {
        let taps = weights.iter().zip(offset..);
        MapAxis::Window {
            input: 4,
            output: 4,
            stride: 1,
            taps: taps
                .map(|(&weight, offset)| Tap { offset, weight })
                .collect(),
            coefs: coefs.to_vec(),
        }
    }

    #[test]
    fn a_dense_layers_bounds_are_attained_row_by_row() {
        let x = Interval { lo: -3, hi: 5 };
        let rows = affine_bounds(&affine(vec![]), &[2, -1, 0, 4], Some(&[10, 0]), x);
        let expected = [Interval { lo: -1, hi: 23 }, Interval { lo: -12, hi: 20 }];
        assert_eq!(rows.expect("bounded"), expected);
    }

    #[test]
    fn padding_of_a_convolution_reads_zero() {
        let x = Interval { lo: 3, hi: 5 };
        let rows = affine_bounds(&affine(vec![window(0, &[1], &[])]), &[1; 4], None, x);
        assert_eq!(rows.expect("bounded")[0], Interval { lo: 6, hi: 10 });
        let rows = affine_bounds(&affine(vec![window(-1, &[1], &[])]), &[1; 4], None, x);
        assert_eq!(rows.expect("bounded")[0], Interval { lo: 0, hi: 10 });
    }

    #[test]
    fn a_bound_of_two_to_the_62_is_refused() {
        let x = Interval { lo: 0, hi: 1 << 60 };
        let one = |w| affine_bounds(&affine(vec![]), &[w, 0, 0, 0], None, x);
        assert!(one(3).is_some());
        assert!(one(4).is_none());
        assert!(sum_bounds(&[3], &[x]).is_some());
        assert!(sum_bounds(&[1, i64::MAX], &[x, x]).is_none());
        let axes = vec![window(0, &[i64::MAX], &[]); 4];
        assert!(map_bounds(&Map { axes, fill: 0 }, x).is_none());
    }

    #[test]
    fn signs_multiply_over_the_axes_of_a_map() {
        let axes = vec![window(0, &[1, -2], &[]), window(0, &[3], &[1, -1, 1, 2])];
        let x = Interval { lo: -1, hi: 10 };
        let bounds = map_bounds(&Map { axes, fill: 0 }, x).expect("bounded");
        // P and N of the first axis are 1 and 2; the second multiplies by 3, -3 or 6.
        assert!(bounds.contains(6 * 10 + 12) && bounds.contains(-12 * 10 - 6));
        let mean = vec![window(0, &[1, 1], &[]); 2];
        let bounds = map_bounds(
            &Map {
                axes: mean,
                fill: -7,
            },
            x,
        )
        .expect("bounded");
        assert_eq!(bounds, Interval { lo: -28, hi: 40 });
    }

    #[test]
    fn a_matrix_is_bounded_row_by_row() {
        let matrix = |output, entries: &[(u32, u32, i64)]| MapAxis::Matrix {
            input: 3,
            output,
            entries: entries
                .iter()
                .map(|&(to, from, weight)| Entry { to, from, weight })
                .collect(),
        };
        let bounds = |axes: Vec<MapAxis>, fill, (lo, hi)| {
            let bounds = map_bounds(&Map { axes, fill }, Interval { lo, hi }).expect("bounded");
            (bounds.lo, bounds.hi)
        };
        let rows = matrix(2, &[(0, 0, 2), (0, 2, -1), (1, 1, 4)]);
        assert_eq!(bounds(vec![rows.clone()], 0, (-1, 10)), (-14, 41));
        // Every row adds 2 to 3 cells of at least 5; a row of none is 0.
        let cells = [(0, 0, 1), (0, 1, 1), (1, 0, 1), (1, 1, 1), (1, 2, 1)];
        assert_eq!(bounds(vec![matrix(2, &cells)], 0, (5, 6)), (10, 18));
        assert_eq!(bounds(vec![matrix(3, &cells)], 0, (5, 6)), (0, 18));
        assert_eq!(bounds(vec![matrix(3, &[])], -9, (5, 6)), (0, 0));
        // The fill enters by a window beside it.
        let axes = vec![matrix(2, &cells), window(-1, &[1], &[])];
        assert_eq!(bounds(axes, -9, (5, 6)), (-27, 18));
        assert!(
            map_bounds(
                &Map {
                    axes: vec![matrix(1, &[(0, 0, 1 << 31)]); 4],
                    fill: 0
                },
                Interval { lo: 0, hi: 1 }
            )
            .is_none()
        );
    }

    #[test]
    fn a_sum_takes_each_end_by_the_sign_of_its_coefficient() {
        let x = Interval { lo: -1, hi: 10 };
        let y = Interval { lo: 2, hi: 3 };
        let bounds = sum_bounds(&[2, -5], &[x, y]).expect("bounded");
        assert_eq!(bounds, Interval { lo: -17, hi: 10 });
    }
}
