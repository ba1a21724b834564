//! The only file that names the fields: F is Goldilocks, `p = 2^64 - 2^32 + 1`, and E its quadratic
//! extension, in which every challenge lives.

use p3_field::ExtensionField;
use p3_field::extension::{BinomialExtensionField, BinomiallyExtendable};
use p3_goldilocks::Goldilocks;

pub use p3_field::{
    Algebra, BasedVectorSpace, Field, PackedFieldExtension, PackedValue, PrimeCharacteristicRing,
    PrimeField64,
};

/// Degree of [`E`] over [`F`]. 128-bit security needs 3.
const DEGREE: usize = 2;

/// The base field: every committed cell.
pub type F = Goldilocks;

/// The extension field: every challenge and every message of the prover.
pub type E = BinomialExtensionField<F, DEGREE>;

/// A SIMD register of elements of F.
pub type PackedF = <F as Field>::Packing;

/// As many elements of E as [`PackedF`] has lanes, one register per coefficient.
pub type PackedE = <E as ExtensionField<F>>::ExtensionPacking;

/// A signed integer in [`E`]; exact for `|value| < p / 2`.
pub fn signed(value: i64) -> E {
    E::from(F::from_i64(value))
}

/// The square of the generator of E over F.
pub(crate) const GENERATOR_SQUARED: F = <F as BinomiallyExtendable<DEGREE>>::W;
