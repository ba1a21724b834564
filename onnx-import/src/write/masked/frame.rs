//! A frame of masked cells around numbers: padding before a pool by maximum.

use ndarray::{ArrayD, Axis, IxDyn};
use zkstrata_model_ir::float::ValueId;

use super::Operand;
use crate::Error;
use crate::decode::tensor::Cells;
use crate::scope::value::{Constant, Element, Value};
use crate::write::formula::Formula;
use crate::write::masked::beyond;

/// The numbers of open cells, and how far those are from the ends of each axis.
type Boxed = (ValueId, Vec<(usize, usize)>);

/// The numbers of the open cells and how far they are from the ends of each axis, if they are all
/// cells of a box, known at import.
pub(crate) fn open_box(
    f: &mut Formula,
    x: ValueId,
    element: Element,
) -> Result<Option<Boxed>, Error> {
    let Element::Masked(id) = element else {
        return Ok(None);
    };
    let mask = f.writer.mask(id).clone();
    let shape = f.shape(x);
    let operand = Operand::new(f.writer, Value::Activation(x), element);
    let ends = match f.spread(mask.open, &shape)? {
        Value::Constant(open) => box_of(&open, &shape),
        Value::Activation(_) => None,
    };
    match ends {
        Some(ends) => Ok(Some((operand.numbers(f, &shape)?, ends))),
        None if mask.exact => Ok(None),
        None => Err(f.node.unsupported(beyond(mask.closed.low()))),
    }
}

/// How far the ends of a box of ones in a tensor of zeros are from the ends of each axis.
fn box_of(open: &Constant, shape: &[usize]) -> Option<Vec<(usize, usize)>> {
    let Cells::Float(cells) = open.tensor.cells() else {
        return None;
    };
    let cells = ArrayD::from_shape_vec(IxDyn(shape), cells.clone()).ok()?;
    let mut ends = Vec::with_capacity(shape.len());
    for (axis, &n) in shape.iter().enumerate() {
        let any = |i: usize| cells.index_axis(Axis(axis), i).iter().any(|&o| o > 0.0);
        let first = (0..n).find(|&i| any(i))?;
        let last = (0..n).rev().find(|&i| any(i))?;
        ends.push((first, n - 1 - last));
    }
    let inside = shape.iter().zip(&ends).map(|(n, (a, b))| n - a - b);
    let ones = cells.iter().filter(|&&o| o > 0.0).count();
    (inside.product::<usize>() == ones).then_some(ends)
}
