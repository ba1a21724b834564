//! Contractions against sums over E.

use super::{Cell, contract_cols, contract_middle, contract_rows, dot};
use crate::field::{BasedVectorSpace, E, F, PrimeCharacteristicRing, PrimeField64};
use proptest::prelude::*;

fn naive<T: Cell>(x: &[T], outer: usize, mid: usize, inner: usize, e: &[E]) -> Vec<E> {
    let mut out = vec![E::ZERO; outer * inner];
    for a in 0..outer {
        for m in 0..mid {
            for i in 0..inner {
                let cell = F::from_i64(x[(a * mid + m) * inner + i].integer());
                out[a * inner + i] += e[m] * cell;
            }
        }
    }
    out
}

/// A sequence that visits the extremes of its type often.
fn noise(seed: u64, extremes: &[i64]) -> impl FnMut() -> i64 + use<'_> {
    let mut state = seed;
    move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let pick = (state >> 33) as usize % (2 * extremes.len());
        extremes.get(pick).copied().unwrap_or((state >> 1) as i64)
    }
}

fn weights(n: usize, seed: u64) -> Vec<E> {
    let order = F::ORDER_U64;
    let ends = [
        0,
        1,
        order - 1,
        order / 2,
        order / 2 - 1,
        order / 2 + 1,
        0x7fff_ffff_7fff_ffff,
    ];
    let ends = ends.map(|c| c as i64);
    let mut next = noise(seed, &ends);
    let mut coefficient = || F::from_u64(next() as u64 % order);
    (0..n)
        .map(|_| E::from_basis_coefficients_fn(|_| coefficient()))
        .collect()
}

fn check<T: Cell>(
    [outer, mid, inner]: [usize; 3],
    seed: u64,
    cell: impl Fn(i64) -> T,
    ends: &[i64],
) {
    let mut next = noise(seed, ends);
    let x: Vec<T> = (0..outer * mid * inner).map(|_| cell(next())).collect();
    let e = weights(mid, seed ^ 1);
    let shape = (outer, mid, inner);
    assert_eq!(
        contract_middle(&x, outer, mid, inner, &e),
        naive(&x, outer, mid, inner, &e),
        "{shape:?}"
    );
}

fn check_all(shape: [usize; 3], seed: u64) {
    check(
        shape,
        seed,
        |x| x as i16,
        &[0, 1, -1, i64::from(i16::MIN), i64::from(i16::MAX)],
    );
    check(
        shape,
        seed,
        |x| x as i32,
        &[
            0,
            1 << 20,
            -(1 << 20),
            i64::from(i32::MIN),
            i64::from(i32::MAX),
        ],
    );
    check(
        shape,
        seed,
        |x| (x % (1 << 20)) as i32,
        &[(1 << 20) - 1, 1 - (1 << 20)],
    );
    check(
        shape,
        seed,
        |x| x,
        &[
            1 << 62,
            -(1 << 62),
            i64::MIN,
            i64::MAX,
            1 << 41,
            -(1 << 41),
            1 << 20,
        ],
    );
    check(
        shape,
        seed,
        |x| x % (1 << 41),
        &[(1 << 41) - 1, 1 - (1 << 41), 1 << 40],
    );
    check(
        shape,
        seed,
        |x| F::from_u64(x as u64),
        &[-1, F::ORDER_U64 as i64 - 1, 0, (F::ORDER_U64 / 2) as i64],
    );
}

#[test]
fn odd_shapes() {
    for shape in [
        [0, 3, 1],
        [3, 0, 1],
        [3, 0, 2],
        [1, 1, 1],
        [2, 1, 7],
        [5, 3, 1],
        [9, 17, 1],
        [3, 7, 16],
        [2, 33, 17],
        [1, 5, 1100],
        [1, 1, 33],
        [7, 8, 1],
        [4, 9, 3],
    ] {
        check_all(shape, 11);
    }
}

#[test]
fn accumulators_at_their_bound() {
    // More than a block of equal extreme products, contracted along either index.
    let worst = E::from_basis_coefficients_fn(|k| {
        F::from_u64([0x7fff_ffff_7fff_ffff, F::ORDER_U64 / 2][k])
    });
    let n = 9001;
    for cell in [i64::MIN, i64::MAX, -(1 << 62), (1 << 20) - 1, -(1 << 41)] {
        let (x, e) = (vec![cell; n], vec![worst; n]);
        let expected = worst * F::from_i64(cell) * F::from_usize(n);
        assert_eq!(dot(&x, &e), expected);
        let x = vec![cell; n * 2];
        assert_eq!(contract_rows(&x, n, 2, &e), [expected; 2]);
        assert_eq!(contract_cols(&x, 2, n, &e), [expected; 2]);
    }
}

#[test]
fn large_arrays_are_split() {
    check_all([3, 300, 100], 5);
    check_all([200, 1030, 1], 6);
    check_all([1, 2100, 100], 7);
    check_all([1, 200_001, 1], 8);
    check_all([1, 70, 2051], 9);
}

proptest! {
    #[test]
    fn random_shapes(outer in 0usize..6, mid in 0usize..40, inner in 1usize..40, seed: u64) {
        check_all([outer, mid, inner], seed);
    }
}
