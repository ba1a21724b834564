//! The long short-term memory.

use ndarray::Axis;
use zkstrata_model_ir::float::ValueId;

use super::{Direction, Kind, Layer, State};
use crate::Error;
use crate::scope::node::Node;
use crate::scope::value::Value;
use crate::write::Writer;
use crate::write::formula::Formula;

/// With `i, f = f(X W^T + H R^T + P C_{t-1} + b)`, `c = g(X W^T + H R^T + b)`,
/// `C_t = f C_{t-1} + i c` and `o = f(X W^T + H R^T + P C_t + b)`: `H_t = o h(C_t)`.
///
/// The blocks of the weights are in the order i, o, f, c. With `input_forget`, `f = 1 - i`.
pub(crate) fn lstm(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    let coupled = node.flag("input_forget")? == Some(true);
    let kind = Kind {
        gates: 4,
        functions: &["Sigmoid", "Tanh", "Tanh"],
        cell: true,
        separate: false,
        parts: 1,
    };
    let layer = Layer::read(node, writer, &kind)?;
    let mut f = Formula::new(node, writer);
    layer.unrolled(&mut f, |f, direction, x, before| {
        let x = direction.with_recurrence(f, x, before.hidden)?;
        let candidate = layer.blocks(f, x, 3..4)?;
        let candidate = layer.apply(f, direction.functions[1], candidate)?;
        if direction.peepholes.is_some() {
            return peephole_step(f, &layer, direction, x, candidate, before.cell, coupled);
        }
        let gates = layer.blocks(f, x, 0..3)?;
        let gates = layer.apply(f, direction.functions[0], gates)?;
        let input = layer.blocks(f, gates, 0..1)?;
        let output = layer.blocks(f, gates, 1..2)?;
        let forget = match (before.cell, coupled) {
            (None, _) => None,
            (_, true) => Some(f.affine(input, -1.0, 1.0)?),
            (_, false) => Some(layer.blocks(f, gates, 2..3)?),
        };
        let cell = memory(f, input, candidate, forget.zip(before.cell))?;
        emitted(f, direction, output, cell)
    })
}

/// `f C_{t-1} + i c`
fn memory(
    f: &mut Formula,
    input: ValueId,
    candidate: ValueId,
    kept: Option<(ValueId, ValueId)>,
) -> Result<ValueId, Error> {
    let new = f.product(input, candidate)?;
    match kept {
        None => Ok(new),
        Some((forget, cell)) => {
            let old = f.product(forget, cell)?;
            f.add(old, new)
        }
    }
}

/// `o h(C_t)` and `C_t`
fn emitted(
    f: &mut Formula,
    direction: &Direction,
    output: ValueId,
    cell: ValueId,
) -> Result<State, Error> {
    let seen = direction.functions[2].apply(f, cell)?;
    Ok(State {
        hidden: Some(f.product(output, seen)?),
        cell: Some(cell),
    })
}

/// A step whose gates see the cell state.
fn peephole_step(
    f: &mut Formula,
    layer: &Layer,
    direction: &Direction,
    x: ValueId,
    candidate: ValueId,
    before: Option<ValueId>,
    coupled: bool,
) -> Result<State, Error> {
    let gate = |f: &mut Formula, block: usize, cell: Option<ValueId>| {
        let mut z = layer.blocks(f, x, block..block + 1)?;
        if let (Some(cell), Some(weights)) = (cell, &direction.peepholes) {
            let weights = weights.index_axis(Axis(0), block).to_owned().into_dyn();
            let seen = f.affine_by(cell, weights, ndarray::arr0(0.0).into_dyn())?;
            z = f.add(z, seen)?;
        }
        layer.apply(f, direction.functions[0], z)
    };
    let input = gate(f, 0, before)?;
    let forget = match before {
        None => None,
        Some(_) if coupled => Some(f.affine(input, -1.0, 1.0)?),
        Some(_) => Some(gate(f, 2, before)?),
    };
    let cell = memory(f, input, candidate, forget.zip(before))?;
    let output = gate(f, 1, Some(cell))?;
    emitted(f, direction, output, cell)
}
