//! Multilinear extensions of compact tensors.
//!
//! A tensor has axes of lengths `n_1, ..., n_d` and is stored row-major without padding. Its
//! multilinear extension has `v_a = ceil(log2 n_a)` variables for axis `a`, axis 1 first, and is
//! that of the tensor padded with zeros to `2^v_a` along every axis:
//! `X(r_1, ..., r_d) = sum_{i_a < n_a} x[i_1, ..., i_d] prod_a eq(r_a, i_a)`.

use crate::contract::{Cell, contract_middle};
use crate::field::{E, PrimeCharacteristicRing};
use crate::point::eq_table;

/// Number of variables of an axis of length `n >= 1`: `ceil(log2 n)`.
pub fn axis_vars(n: usize) -> usize {
    assert!(n > 0, "an axis has at least one element");
    n.next_power_of_two().trailing_zeros() as usize
}

/// Number of variables of a tensor with these axes.
pub fn tensor_vars(axes: &[usize]) -> usize {
    axes.iter().map(|&n| axis_vars(n)).sum()
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
    let mut table = vec![E::ONE];
    for (&n, r) in axes.iter().zip(split_axes(axes, point)) {
        let axis = eq_table(r, n, E::ONE);
        table = table
            .iter()
            .flat_map(|&t| axis.iter().map(move |&a| t * a))
            .collect();
    }
    table
}

/// The extension of the tensor `x` at `point`.
pub fn eval_dense<T: Cell>(x: &[T], axes: &[usize], point: &[E]) -> E {
    let weights = tensor_eq(axes, point);
    contract_middle(x, 1, x.len(), 1, &weights)[0]
}
