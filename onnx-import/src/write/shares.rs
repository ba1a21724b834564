//! Softmax and its logarithm by `exp(x - max x)`, which is at most 1.

use std::collections::BTreeSet;

use zkstrata_model_ir::float::{Activation, ValueId};

use crate::Error;
use crate::write::formula::Formula;

/// `x - max x`, `exp` of it, and the sum of that over `axes`.
fn exponentials(
    f: &mut Formula,
    x: ValueId,
    axes: &BTreeSet<usize>,
) -> Result<(ValueId, ValueId, ValueId), Error> {
    let most = f.maximum(x, axes)?;
    let below = f.sub(x, most)?;
    let powers = f.apply(Activation::Exp, below)?;
    let sum = f.sum(powers, axes)?;
    Ok((below, powers, sum))
}

/// `exp(x) / sum exp(x)` over `axes`
pub(crate) fn shares(
    f: &mut Formula,
    x: ValueId,
    axes: &BTreeSet<usize>,
) -> Result<ValueId, Error> {
    let (_, powers, sum) = exponentials(f, x, axes)?;
    let factor = f.apply(Activation::Reciprocal, sum)?;
    f.product(powers, factor)
}

/// `x - log(sum exp(x))` over `axes`
pub(crate) fn log_shares(
    f: &mut Formula,
    x: ValueId,
    axes: &BTreeSet<usize>,
) -> Result<ValueId, Error> {
    let (below, _, sum) = exponentials(f, x, axes)?;
    let log = f.apply(Activation::Log, sum)?;
    f.sub(below, log)
}
