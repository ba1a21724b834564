//! Cells of dense arrays and their digits.

// The arguments are registers: a call that is not inlined would store and load them.
#![allow(clippy::inline_always)]

use crate::field::{F, PrimeCharacteristicRing};

/// Bits of a digit.
pub(super) const DIGIT_BITS: u32 = 21;

/// Digits of the widest cells.
pub(super) const DIGITS: usize = 3;

mod sealed {
    pub trait Sealed {}
    impl Sealed for i8 {}
    impl Sealed for i16 {}
    impl Sealed for i32 {}
    impl Sealed for i64 {}
    impl Sealed for crate::field::F {}
}

/// What a dense array may hold: an integer, or an element of F.
pub trait Cell: sealed::Sealed + Copy + Default + Send + Sync + 'static {
    /// The integer that the cell stands for.
    fn integer(self) -> i64;

    /// The cell in F.
    fn embed(self) -> F {
        F::from_i64(self.integer())
    }

    /// How many digits all the cells have at most.
    fn digits(cells: &[Self]) -> usize {
        // The bitwise or of `x` or its complement has the bit length of the largest.
        let bits = cells.iter().fold(0, |bits, x| {
            let x = x.integer();
            bits | (x ^ (x >> 63))
        });
        match 64 - bits.leading_zeros() {
            0..=20 => 1,
            21..=40 => 2,
            _ => 3,
        }
    }
}

impl Cell for i8 {
    #[inline(always)]
    fn integer(self) -> i64 {
        i64::from(self)
    }

    fn digits(_: &[Self]) -> usize {
        1
    }
}

impl Cell for i16 {
    #[inline(always)]
    fn integer(self) -> i64 {
        i64::from(self)
    }

    fn digits(_: &[Self]) -> usize {
        1
    }
}

impl Cell for i32 {
    #[inline(always)]
    fn integer(self) -> i64 {
        i64::from(self)
    }
}

impl Cell for i64 {
    #[inline(always)]
    fn integer(self) -> i64 {
        self
    }
}

impl Cell for F {
    #[inline(always)]
    fn integer(self) -> i64 {
        super::balanced(self)
    }

    fn embed(self) -> F {
        self
    }
}

/// Which part of a cell is multiplied.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// The whole cell, which is one digit.
    Whole,
    /// Digit 0.
    Low,
    /// Digit 1.
    Middle,
    /// Digit 2.
    High,
}

impl Place {
    /// The places of cells with this many digits.
    pub(super) fn of(digits: usize) -> &'static [Self] {
        const PLACES: [Place; DIGITS] = [Place::Low, Place::Middle, Place::High];
        match digits {
            1 => &[Self::Whole],
            n => &PLACES[..n],
        }
    }
}

/// `floor((y + 2^20) / 2^21)`, without overflow.
#[inline(always)]
fn next(y: i64) -> i64 {
    (y >> DIGIT_BITS) + (y >> (DIGIT_BITS - 1) & 1)
}

/// `y - 2^21 next(y)`: the low 21 bits as a signed number.
#[inline(always)]
fn signed(y: i64) -> i32 {
    let shift = 32 - DIGIT_BITS;
    (y as i32) << shift >> shift
}

/// The digit of a cell at a place.
#[inline(always)]
pub(super) fn digit<T: Cell>(x: T, place: Place) -> i32 {
    let x = x.integer();
    match place {
        Place::Whole => x as i32,
        Place::Low => signed(x),
        Place::Middle => signed(next(x)),
        Place::High => next(next(x)) as i32,
    }
}
