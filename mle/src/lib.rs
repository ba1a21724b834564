//! Multilinear extensions over Goldilocks: the field aliases, evaluation points, equality
//! polynomials and the contraction kernels of the prover. No protocol lives here.
//!
//! **Order.** Points are most-significant-coordinate first: coordinate 0 of a point belongs to the
//! highest bit of an index.

mod bind;
mod contract;
mod eq;
mod field;
pub mod packed;
mod parallel;
mod point;
mod tensor;

pub use bind::bind;
pub use contract::{Cell, add_rows, contract_cols, contract_middle, contract_rows, dot};
pub use eq::eq_table;
pub use field::{
    Algebra, BasedVectorSpace, E, F, Field, PackedE, PackedF, PackedFieldExtension, PackedValue,
    PrimeCharacteristicRing, PrimeField64, signed,
};
pub use point::{Point, eq_eval, less_than, less_than_weighted, selector};
pub use tensor::{axis_vars, eval_dense, live_cells, mask, split_axes, tensor_eq, tensor_vars};
