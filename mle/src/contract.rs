//! Contractions of dense integer arrays with vectors over E.
//!
//! The primitive is the contraction of the middle index of a row-major array `x[a][m][i]`:
//! `out[a][i] = sum_m e[m] x[a][m][i]`.

use crate::field::{E, F, PrimeCharacteristicRing};

mod sealed {
    pub trait Sealed {}
    impl Sealed for i16 {}
    impl Sealed for i32 {}
    impl Sealed for i64 {}
    impl Sealed for crate::field::F {}
}

/// What a dense array may hold: an integer, or an element of F.
pub trait Cell: sealed::Sealed + Copy + Send + Sync {
    /// The cell in F.
    fn embed(self) -> F;
}

impl Cell for i16 {
    fn embed(self) -> F {
        F::from_i16(self)
    }
}

impl Cell for i32 {
    fn embed(self) -> F {
        F::from_i32(self)
    }
}

impl Cell for i64 {
    fn embed(self) -> F {
        F::from_i64(self)
    }
}

impl Cell for F {
    fn embed(self) -> F {
        self
    }
}

/// `out[a * inner + i] = sum_m e[m] * x[(a * mid + m) * inner + i]`.
pub fn contract_middle<T: Cell>(
    x: &[T],
    outer: usize,
    mid: usize,
    inner: usize,
    e: &[E],
) -> Vec<E> {
    assert_eq!(x.len(), outer * mid * inner, "cells of the array");
    assert_eq!(e.len(), mid, "weights of the contracted index");
    let mut out = vec![E::ZERO; outer * inner];
    for a in 0..outer {
        for m in 0..mid {
            for i in 0..inner {
                out[a * inner + i] += e[m] * x[(a * mid + m) * inner + i].embed();
            }
        }
    }
    out
}

/// `out[j] = sum_i e[i] * x[i * cols + j]`.
pub fn contract_rows<T: Cell>(x: &[T], rows: usize, cols: usize, e: &[E]) -> Vec<E> {
    contract_middle(x, 1, rows, cols, e)
}

/// `out[i] = sum_j x[i * cols + j] * e[j]`.
pub fn contract_cols<T: Cell>(x: &[T], rows: usize, cols: usize, e: &[E]) -> Vec<E> {
    contract_middle(x, rows, cols, 1, e)
}

/// `sum_i x[i] * e[i]`.
pub fn dot<T: Cell>(x: &[T], e: &[E]) -> E {
    assert_eq!(x.len(), e.len(), "a dot product needs equal lengths");
    contract_middle(x, 1, x.len(), 1, e)[0]
}
