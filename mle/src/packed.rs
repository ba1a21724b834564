//! Elements of E in SIMD registers.
//!
//! With `E = F[X] / (X^2 - w)`, `(a_0 + a_1 X)(b_0 + b_1 X) = (a_0 b_0 + w a_1 b_1) + (a_0 b_1 +
//! a_1 b_0) X`. Each coefficient is a dot product over F that is reduced once, also for a sum of
//! two products; and a factor that is used often keeps `w b_1` at hand.

// The arguments are registers: a call that is not inlined would store and load them.
#![allow(clippy::inline_always)]

use crate::field::{
    BasedVectorSpace, E, F, GENERATOR_SQUARED, PackedE, PackedF, PackedFieldExtension, PackedValue,
    PrimeCharacteristicRing,
};

/// Lanes of a [`PackedE`], a power of two.
pub const LANES: usize = PackedF::WIDTH;

/// A packed factor of many products.
#[derive(Clone, Copy, Debug)]
pub struct Factor {
    c0: PackedF,
    c1: PackedF,
    wc1: PackedF,
}

#[inline(always)]
fn coefficients(x: &PackedE) -> [PackedF; 2] {
    let x = x.as_basis_coefficients_slice();
    [x[0], x[1]]
}

#[inline(always)]
fn packed(c: [PackedF; 2]) -> PackedE {
    PackedE::from_basis_coefficients_fn(|k| c[k])
}

impl Factor {
    /// The factor `x`.
    #[inline(always)]
    pub fn new(x: PackedE) -> Self {
        let [c0, c1] = coefficients(&x);
        Self {
            c0,
            c1,
            wc1: c1 * GENERATOR_SQUARED,
        }
    }

    /// The same factor in all lanes.
    #[inline(always)]
    pub fn broadcast(x: E) -> Self {
        Self::new(PackedE::from(x))
    }

    /// The factor itself.
    #[inline(always)]
    pub fn get(&self) -> PackedE {
        packed([self.c0, self.c1])
    }

    /// The product with `x`.
    #[inline(always)]
    pub fn times(&self, x: PackedE) -> PackedE {
        let [x0, x1] = coefficients(&x);
        packed([
            PackedF::dot_product(&[self.c0, self.wc1], &[x0, x1]),
            PackedF::dot_product(&[self.c0, self.c1], &[x1, x0]),
        ])
    }
}

/// `factors_0 x + factors_1 y`, reduced once.
#[inline(always)]
pub fn times_both([f, g]: &[Factor; 2], x: PackedE, y: PackedE) -> PackedE {
    let ([x0, x1], [y0, y1]) = (coefficients(&x), coefficients(&y));
    packed([
        PackedF::dot_product(&[f.c0, f.wc1, g.c0, g.wc1], &[x0, x1, y0, y1]),
        PackedF::dot_product(&[f.c0, f.c1, g.c0, g.c1], &[x1, x0, y1, y0]),
    ])
}

/// `a b + c d`.
#[inline(always)]
pub fn mul_add(a: PackedE, b: PackedE, c: PackedE, d: PackedE) -> PackedE {
    let ([a0, a1], [b0, b1]) = (coefficients(&a), coefficients(&b));
    let ([c0, c1], [d0, d1]) = (coefficients(&c), coefficients(&d));
    let (wb1, wd1) = (b1 * GENERATOR_SQUARED, d1 * GENERATOR_SQUARED);
    packed([
        PackedF::dot_product(&[a0, a1, c0, c1], &[b0, wb1, d0, wd1]),
        PackedF::dot_product(&[a0, a1, c0, c1], &[b1, b0, d1, d0]),
    ])
}

/// The even and the odd elements of the sequence `a, b`.
#[inline(always)]
pub fn deinterleave(a: PackedE, b: PackedE) -> [PackedE; 2] {
    let ([a0, a1], [b0, b1]) = (coefficients(&a), coefficients(&b));
    let (even0, odd0) = deinterleave_base(a0, b0);
    let (even1, odd1) = deinterleave_base(a1, b1);
    [packed([even0, even1]), packed([odd0, odd1])]
}

#[inline(always)]
fn deinterleave_base(a: PackedF, b: PackedF) -> (PackedF, PackedF) {
    let (a, b) = (a.as_slice(), b.as_slice());
    let (mut even, mut odd) = (PackedF::ZERO, PackedF::ZERO);
    for (i, (even, odd)) in even
        .as_slice_mut()
        .iter_mut()
        .zip(odd.as_slice_mut())
        .enumerate()
    {
        let (from, at) = if 2 * i < LANES {
            (a, 2 * i)
        } else {
            (b, 2 * i - LANES)
        };
        // A single lane is its own even part, and then `b` holds the odd one.
        *even = from[at];
        *odd = if LANES == 1 { b[0] } else { from[at + 1] };
    }
    (even, odd)
}

/// The elements, one per lane, in order. The length is a multiple of [`LANES`].
pub fn pack(values: &[E]) -> Vec<PackedE> {
    assert!(values.len().is_multiple_of(LANES), "whole registers");
    values
        .chunks_exact(LANES)
        .map(PackedE::from_ext_slice)
        .collect()
}

/// The elements in the lanes, in order.
pub fn unpack(values: &[PackedE]) -> Vec<E> {
    values
        .iter()
        .flat_map(|v| (0..LANES).map(|lane| v.extract(lane)))
        .collect()
}

/// The sum over the lanes.
pub fn sum_lanes(value: PackedE) -> E {
    (0..LANES).map(|lane| value.extract(lane)).sum()
}

/// The base-field elements, one per lane; missing lanes are zero.
pub fn pack_base(values: &[F]) -> PackedF {
    PackedF::from_fn(|lane| values.get(lane).copied().unwrap_or(F::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elements(n: usize) -> Vec<E> {
        let mut x = E::from_basis_coefficients_fn(|k| F::NEG_ONE - F::from_usize(k));
        (0..n)
            .map(|_| {
                let out = x;
                x = x * x + E::from_basis_coefficients_fn(|k| F::from_usize(5 * k + 3));
                out
            })
            .collect()
    }

    #[test]
    fn products_match_the_scalar_field() {
        let x = elements(4 * LANES);
        let [a, b, c, d] = [0, 1, 2, 3].map(|i| pack(&x[i * LANES..(i + 1) * LANES])[0]);
        let ab = unpack(&[Factor::new(a).times(b)]);
        let sum = unpack(&[mul_add(a, b, c, d)]);
        for lane in 0..LANES {
            let [a, b, c, d] = [0, 1, 2, 3].map(|i| x[i * LANES + lane]);
            assert_eq!(ab[lane], a * b);
            assert_eq!(sum[lane], a * b + c * d);
        }
        let both = unpack(&[times_both(&[Factor::new(a), Factor::new(c)], b, d)]);
        assert_eq!(both, sum);
        assert_eq!(sum_lanes(a), x[..LANES].iter().copied().sum());
        assert_eq!(Factor::new(a).get(), a);
    }

    #[test]
    fn deinterleaving_takes_every_other_element() {
        let x = elements(2 * LANES);
        let packed = pack(&x);
        let [even, odd] = deinterleave(packed[0], packed[1]);
        let (even, odd) = (unpack(&[even]), unpack(&[odd]));
        for i in 0..LANES {
            assert_eq!((even[i], odd[i]), (x[2 * i], x[2 * i + 1]));
        }
    }
}
