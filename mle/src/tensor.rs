//! Multilinear extensions of compact tensors.
//!
//! A tensor has axes of lengths `n_1, ..., n_d` and is stored row-major without padding. Its
//! multilinear extension has `v_a = ceil(log2 n_a)` variables for axis `a`, axis 1 first, and is
//! that of the tensor padded with zeros to `2^v_a` along every axis:
//! `X(r_1, ..., r_d) = sum_{i_a < n_a} x[i_1, ..., i_d] prod_a eq(r_a, i_a)`.

use crate::contract::{Cell, contract_rows, dot};
use crate::eq::{eq_table, outer_product};
use crate::field::{E, PrimeCharacteristicRing};
use crate::point::less_than;

/// Number of variables of an axis of length `n >= 1`: `ceil(log2 n)`.
pub fn axis_vars(n: usize) -> usize {
    assert!(n > 0, "an axis has at least one element");
    n.next_power_of_two().trailing_zeros() as usize
}

/// Number of variables of a tensor with these axes.
pub fn tensor_vars(axes: &[usize]) -> usize {
    axes.iter().map(|&n| axis_vars(n)).sum()
}

/// One more than the place of the last cell of a tensor of these axes, padded.
pub fn live_cells(axes: &[usize]) -> usize {
    let last = axes.iter().fold(0usize, |last, &n| {
        let padded = n.checked_next_power_of_two().unwrap_or(usize::MAX);
        last.saturating_mul(padded)
            .saturating_add(n.saturating_sub(1))
    });
    last.saturating_add(1)
}

/// `prod_a LT_{n_a}(r_a)`: the multilinear extension of "every index is below its axis' length".
///
/// # Panics
/// If `point` has fewer coordinates than `axes` have variables.
pub fn mask(axes: &[usize], point: &[E]) -> E {
    let mut rest = point;
    let mut product = E::ONE;
    for &n in axes {
        let (axis, tail) = rest.split_at(axis_vars(n));
        if !n.is_power_of_two() {
            product *= less_than(n, axis);
        }
        rest = tail;
    }
    product
}

/// Cuts a point of a tensor's extension into one slice of coordinates per axis.
pub fn split_axes<'a>(axes: &[usize], point: &'a [E]) -> Vec<&'a [E]> {
    assert_eq!(point.len(), tensor_vars(axes), "coordinates of the tensor");
    let mut rest = point;
    axes.iter()
        .map(|&n| {
            let (head, tail) = rest.split_at(axis_vars(n));
            rest = tail;
            head
        })
        .collect()
}

/// The weights of the live cells: `prod_a eq(r_a, i_a)` for `i_a < n_a`, row-major.
pub fn tensor_eq(axes: &[usize], point: &[E]) -> Vec<E> {
    axes.iter()
        .zip(split_axes(axes, point))
        .rev()
        .map(|(&n, r)| eq_table(r, n, E::ONE))
        .reduce(|table, axis| outer_product(&axis, &table))
        .unwrap_or_else(|| vec![E::ONE])
}

/// The extension of the tensor `x` at `point`.
///
/// The leading axes are contracted first: that is the cheaper order, and the weights of the two
/// groups of axes are fewer than those of the cells.
pub fn eval_dense<T: Cell>(x: &[T], axes: &[usize], point: &[E]) -> E {
    assert_eq!(x.len(), axes.iter().product(), "cells of the tensor");
    let split = (0..axes.len())
        .min_by_key(|&k| axes[..k].iter().product::<usize>() + axes[k..].iter().product::<usize>())
        .unwrap_or(0);
    let (leading, trailing) = axes.split_at(split);
    let (r, s) = point.split_at(tensor_vars(leading));
    let weights = tensor_eq(trailing, s);
    if leading.is_empty() {
        return dot(x, &weights);
    }
    let e = tensor_eq(leading, r);
    let rows = contract_rows(x, e.len(), weights.len(), &e);
    rows.into_iter().zip(weights).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::point::{Point, eq_eval};

    fn check(axes: &[usize]) {
        let cells: usize = axes.iter().product();
        let x: Vec<i16> = (0..cells).map(|i| (i * i * 31) as i16).collect();
        let point: Vec<E> = (0..tensor_vars(axes))
            .map(|k| E::from_usize(k * k + 5).exp_u64(0x1234_5678_9abc))
            .collect();
        let r = split_axes(axes, &point);
        let weights: Vec<E> = (0..cells)
            .map(|mut i| {
                let mut weight = E::ONE;
                for (&n, r) in axes.iter().zip(&r).rev() {
                    weight *= eq_eval(r, &Point::vertex(i % n, r.len()));
                    i /= n;
                }
                weight
            })
            .collect();
        assert_eq!(tensor_eq(axes, &point), weights, "{axes:?}");
        let live = weights.iter().copied().sum::<E>();
        assert_eq!(mask(axes, &point), live, "{axes:?}");
        let expected = weights
            .iter()
            .zip(&x)
            .map(|(&w, &x)| w * E::from_i16(x))
            .sum();
        assert_eq!(eval_dense(&x, axes, &point), expected, "{axes:?}");
    }

    #[test]
    fn extensions_of_compact_tensors() {
        for axes in [
            &[][..],
            &[1],
            &[7],
            &[300],
            &[3, 5],
            &[1, 1, 9],
            &[4, 28, 28],
            &[10, 1, 3, 7],
        ] {
            check(axes);
        }
    }
}
