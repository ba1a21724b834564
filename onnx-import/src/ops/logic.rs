//! Truth values, 1 and 0, as polynomials: `a and b = a b`, `a or b = a + b - a b`,
//! `a xor b = a + b - 2 a b`, `not a = 1 - a`; and comparisons by the sign of a difference.

use zkstrata_model_ir::float::{Activation, ValueId};

use super::formula::Formula;
use crate::Error;

/// `1 - x`
pub(super) fn not(f: &mut Formula, x: ValueId) -> Result<ValueId, Error> {
    f.affine(x, -1.0, 1.0)
}

/// `[x = 0] = [x >= 0] + [-x >= 0] - 1`, whatever the range of `x`
pub(super) fn is_zero(f: &mut Formula, x: ValueId) -> Result<ValueId, Error> {
    let minus = f.negated(x)?;
    let (above, below) = (
        f.apply(Activation::Step, x)?,
        f.apply(Activation::Step, minus)?,
    );
    let both = f.add(above, below)?;
    f.affine(both, 1.0, -1.0)
}
