//! The three cell types and arithmetic modulo `2^bits`.
//!
//! Every linear operator is evaluated modulo `2^w` in the type of its *output*: additions and
//! multiplications wrap, intermediate values may be anything, and the result is exact because
//! the node's interval, which [`Model::validate`](crate::int::Model::validate) proves, fits the
//! type.

use std::fmt::Debug;

/// An integer type with wrapping arithmetic.
pub(super) trait Cell: Copy + Debug + Default + Ord + Send + Sync + 'static {
    /// `x` modulo `2^bits`.
    fn wrap(x: i64) -> Self;
    /// The nearest value of the type.
    fn saturate(x: i64) -> Self;
    fn widen(self) -> i64;
    fn plus(self, other: Self) -> Self;
    fn minus(self, other: Self) -> Self;
    fn times(self, other: Self) -> Self;
    /// Arithmetic shift: `floor(self / 2^s)`.
    fn shift_right(self, s: u32) -> Self;
    /// `self * 2^s` modulo `2^bits`.
    fn shift_left(self, s: u32) -> Self;

    /// `self` modulo `2^bits` of another type.
    fn cast<Y: Cell>(self) -> Y {
        Y::wrap(self.widen())
    }
}

macro_rules! cell {
    ($type:ty) => {
        impl Cell for $type {
            #[inline(always)]
            fn wrap(x: i64) -> Self {
                x as Self
            }
            #[inline(always)]
            fn saturate(x: i64) -> Self {
                x.clamp(Self::MIN.into(), Self::MAX.into()) as Self
            }
            #[inline(always)]
            fn widen(self) -> i64 {
                self.into()
            }
            #[inline(always)]
            fn plus(self, other: Self) -> Self {
                self.wrapping_add(other)
            }
            #[inline(always)]
            fn minus(self, other: Self) -> Self {
                self.wrapping_sub(other)
            }
            #[inline(always)]
            fn times(self, other: Self) -> Self {
                self.wrapping_mul(other)
            }
            #[inline(always)]
            fn shift_right(self, s: u32) -> Self {
                self >> s
            }
            #[inline(always)]
            fn shift_left(self, s: u32) -> Self {
                self.checked_shl(s).unwrap_or(0)
            }
        }
    };
}

cell!(i16);
cell!(i32);
cell!(i64);

/// Evaluates an expression with `$cells` bound to the vector inside an `Ints`.
macro_rules! each_type {
    ($ints:expr, $cells:ident => $body:expr) => {
        match $ints {
            $crate::int::Ints::I16($cells) => $body,
            $crate::int::Ints::I32($cells) => $body,
            $crate::int::Ints::I64($cells) => $body,
        }
    };
}
pub(super) use each_type;
