//! Softmax and its logarithm by `exp(x - max x)`, which is at most 1.

use std::collections::BTreeSet;

use ndarray::{ArrayD, IxDyn};
use zkstrata_model_ir::float::{Activation, Op, ValueId};

use crate::Error;
use crate::write::formula::Formula;

/// `value` for every cell of `x` if each has all of its row to itself.
fn alone(
    f: &mut Formula,
    x: ValueId,
    axes: &BTreeSet<usize>,
    value: f32,
) -> Result<Option<ValueId>, Error> {
    let shape = f.shape(x);
    if axes.iter().any(|&axis| shape[axis] != 1) {
        return Ok(None);
    }
    let value = ArrayD::from_elem(IxDyn(&shape), value);
    f.put(Op::Constant { value }, &[]).map(Some)
}

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
    if let Some(all) = alone(f, x, axes, 1.0)? {
        return Ok(all);
    }
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
    if let Some(nothing) = alone(f, x, axes, 0.0)? {
        return Ok(nothing);
    }
    let (below, _, sum) = exponentials(f, x, axes)?;
    let log = f.apply(Activation::Log, sum)?;
    f.sub(below, log)
}
