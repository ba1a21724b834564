//! Pad: cells before and after each axis, constant or read from the input; negative amounts crop.

use zkstrata_model_ir::float::Op;

use crate::Error;
use crate::decode::tensor::Cells;
use crate::ops::one;
use crate::scope::node::Node;
use crate::scope::value::Value;
use crate::write::Writer;
use crate::write::formula::Formula;
use crate::write::index::{self, select};
use crate::write::masked::{self, LOW};

/// Largest amount of padding of an axis.
const MAX: i64 = 1 << 30;

/// Where the cells outside of the input come from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Constant,
    /// Mirrored at the first and the last cell, which are not repeated.
    Reflect,
    /// The first and the last cell.
    Edge,
    /// The other end.
    Wrap,
}

impl Mode {
    /// The position that position `i` of the unpadded axis of `n` reads.
    fn source(self, i: i64, n: i64) -> i64 {
        match self {
            Self::Constant | Self::Edge => i.clamp(0, n - 1),
            Self::Wrap => i.rem_euclid(n),
            Self::Reflect if n == 1 => 0,
            Self::Reflect => {
                let i = i.rem_euclid(2 * (n - 1));
                i.min(2 * (n - 1) - i)
            }
        }
    }
}

/// The cells around the input. Amounts are attributes before opset 11 and inputs since, and
/// concern all axes unless opset 18's `axes` names some.
pub(crate) fn pad(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    let mode = match node.string("mode")?.unwrap_or("constant") {
        "constant" => Mode::Constant,
        "reflect" => Mode::Reflect,
        "edge" => Mode::Edge,
        "wrap" if node.opset() >= 19 => Mode::Wrap,
        other => return Err(node.bad_attribute("mode", format!("is `{other}`"))),
    };
    let x = node.value(0)?;
    let shape = writer.shape_of(&x).to_vec();
    let (pads, value) = amounts(node, shape.len())?;
    if mode == Mode::Constant {
        if value.is_nan() || value == f32::INFINITY {
            return Err(Error::NonFinite {
                name: node.name().into(),
                index: 0,
                value: value.into(),
                reader: None,
            });
        }
        let x = writer.lift(node, x)?;
        if value <= LOW && pads.iter().any(|&(before, after)| before > 0 || after > 0) {
            let (y, element) = masked::padded(&mut Formula::new(node, writer), x, pads, value)?;
            node.gives(0, element);
            return one(y);
        }
        let y = writer.add(node, Op::Pad { pads, value }, &[x])?;
        return one(Value::Activation(y));
    }
    let mut axes: Vec<index::Axis> = Vec::with_capacity(shape.len());
    for (&n, &(before, after)) in shape.iter().zip(&pads) {
        let n = n as i64;
        let length = usize::try_from(n + before + after).ok().filter(|_| n > 0);
        let Some(length) = length else {
            return Err(node.shape_error(format!("pads ({before}, {after}) of an axis of {n}")));
        };
        let length = writer.allow(node, Some(length))? as i64;
        let list = (0..length).map(|i| mode.source(i - before, n) as usize);
        axes.push(Some(list.collect()));
    }
    one(select(node, writer, x, axes)?)
}

/// The cells to add before and after each axis, and the padding's value.
fn amounts(node: &mut Node, rank: usize) -> Result<(Vec<(i64, i64)>, f32), Error> {
    let mut axes: Vec<usize> = (0..rank).collect();
    let (amounts, value) = if node.opset() < 11 {
        node.at_most(1)?;
        let pads = node.ints("pads")?;
        (pads.map(<[i64]>::to_vec), node.float("value")?)
    } else {
        node.at_most(if node.opset() < 18 { 3 } else { 4 })?;
        let amounts = node.optional_indices(1)?;
        let value = node.optional_constant(2)?;
        let value = value.map(|c| match c.tensor.cells() {
            Cells::Float(cells) if cells.len() == 1 => Ok(cells[0]),
            Cells::Int(cells) if cells.len() == 1 => Ok(cells[0] as f32),
            Cells::Bool(cells) if cells.len() == 1 => Ok(cells[0].into()),
            _ => Err(node.shape_error("the padding's value must be one number")),
        });
        let value = value.transpose()?;
        if let Some(list) = node.optional_indices(3)? {
            node.axes(&list, rank)?;
            let axis = |&axis| node.axis(axis, rank);
            axes = list.iter().map(axis).collect::<Result<_, _>>()?;
        }
        (amounts, value)
    };
    let fits = |list: &Vec<i64>| {
        list.len() == 2 * axes.len() && list.iter().all(|n| (-MAX..=MAX).contains(n))
    };
    let Some(amounts) = amounts.filter(fits) else {
        return Err(node.shape_error(format!("Pad needs two amounts for each of {axes:?}")));
    };
    let mut pads = vec![(0, 0); rank];
    for (i, &axis) in axes.iter().enumerate() {
        pads[axis] = (amounts[i], amounts[axes.len() + i]);
    }
    Ok((pads, value.unwrap_or(0.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources() {
        let read = |mode: Mode, n| (-4..n + 4).map(|i| mode.source(i, n)).collect::<Vec<_>>();
        assert_eq!(read(Mode::Edge, 2), [0, 0, 0, 0, 0, 1, 1, 1, 1, 1]);
        assert_eq!(read(Mode::Wrap, 3), [2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0]);
        assert_eq!(read(Mode::Reflect, 3), [0, 1, 2, 1, 0, 1, 2, 1, 0, 1, 2]);
        assert_eq!(read(Mode::Reflect, 1), [0; 9]);
    }
}
