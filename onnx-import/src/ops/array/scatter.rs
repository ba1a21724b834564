//! Cells replaced at indices: `ScatterElements`, `ScatterND`.
//!
//! With constant indices the result's cells are chosen from data and updates; updates of one cell
//! are combined round by round. Indices that depend on the model's inputs become vectors of truth
//! values `H`, and `Y = X + H^T (U - ..)`: the updates are added to the data, or to the data
//! without the cells that are replaced.

use zkstrata_model_ir::float::{AxisMap, AxisMatrix, Contract, Op, ValueId};

use crate::Error;
use crate::decode::tensor::count;
use crate::ops::array::gather::{Places, check_elements, element_positions, one_hot};
use crate::ops::one;
use crate::scope::node::Node;
use crate::scope::value::Value;
use crate::write::Writer;
use crate::write::formula::Formula;

/// Most updates of one cell that are combined.
const ROUNDS: usize = 64;

/// What becomes of a cell and its updates.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reduction {
    /// The last update.
    Replace,
    Add,
    Mul,
    Max,
    Min,
}

impl Reduction {
    /// Reads the attribute; `ScatterElements` and `ScatterND` have it since opset 16.
    fn read(node: &Node) -> Result<Self, Error> {
        let name = match node.opset() {
            ..16 => None,
            _ => node.string("reduction")?,
        };
        match name.unwrap_or("none") {
            "none" => Ok(Self::Replace),
            "add" => Ok(Self::Add),
            "mul" => Ok(Self::Mul),
            "max" if node.opset() >= 18 => Ok(Self::Max),
            "min" if node.opset() >= 18 => Ok(Self::Min),
            other => Err(node.bad_attribute("reduction", format!("is `{other}`"))),
        }
    }
}

/// `Y = X`, but `Y[i, indices[i, j, ..], ..] = U[i, j, ..]` with the index on `axis`
pub(crate) fn scatter_elements(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    node.at_most(3)?;
    let (data, indices, updates) = (node.value(0)?, node.value(1)?, node.value(2)?);
    let reduction = Reduction::read(node)?;
    let shape = writer.shape_of(&data).to_vec();
    let axis = node.axis(node.int("axis")?.unwrap_or(0), shape.len())?;
    let given = writer.shape_of(&updates).to_vec();
    check_elements(node, &shape, &given, axis)?;
    if writer.shape_of(&indices) != given {
        return Err(node.shape_error("indices and updates differ in shape"));
    }
    let index = match indices {
        Value::Constant(indices) => {
            writer.allow(node, count(&given))?;
            let list = element_positions(node, &shape, &indices, axis)?;
            return one(replaced(node, writer, data, updates, &list, reduction)?);
        }
        Value::Activation(index) => index,
    };
    let (data, updates) = (writer.lift(node, data)?, writer.lift(node, updates)?);
    let hot = one_hot(node, writer, index, shape[axis])?;
    // Label `rank` is the position on the axis, `axis` the update.
    let rank = shape.len();
    let mut output: Vec<usize> = (0..rank).collect();
    output[axis] = rank;
    let labels = Contract {
        left: (0..=rank).collect(),
        right: (0..rank).collect(),
        output: output.clone(),
    };
    let added = writer.add(node, Op::Contract(labels), &[hot, updates])?;
    let mut cover = vec![AxisMap::Keep; rank + 1];
    cover[axis] = AxisMap::Matrix(AxisMatrix::sum(given[axis], 1));
    let covered = writer.add(node, Op::Map(cover), &[hot])?;
    let mut perm: Vec<usize> = output;
    perm.push(axis);
    let covered = writer.transpose(node, covered, perm)?;
    let covered = writer.reshape(node, covered, writer.shape(added).to_vec())?;
    let pads: Vec<(i64, i64)> = (0..rank)
        .map(|a| (0, shape[a] as i64 - writer.shape(added)[a] as i64))
        .collect();
    let mut widened = |x: ValueId| {
        if pads.iter().all(|&p| p == (0, 0)) {
            return Ok(x);
        }
        let (pads, value) = (pads.clone(), 0.0);
        writer.add(node, Op::Pad { pads, value }, &[x])
    };
    let (added, covered) = (widened(added)?, widened(covered)?);
    one(merged(node, writer, data, added, covered, reduction)?)
}

/// `Y = X`, but the slices that the tuples of indices on the last axis name are `U`'s
pub(crate) fn scatter_nd(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    node.at_most(3)?;
    let (data, indices, updates) = (node.value(0)?, node.value(1)?, node.value(2)?);
    let reduction = Reduction::read(node)?;
    let shape = writer.shape_of(&data).to_vec();
    let places = Places::new(node, &shape, writer.shape_of(&indices), 0)?;
    let given = [&places.chosen[..], &places.inner].concat();
    if writer.shape_of(&updates) != given {
        return Err(node.shape_error(format!(
            "updates of shape {:?}, expected {given:?}",
            writer.shape_of(&updates)
        )));
    }
    let index = match indices {
        Value::Constant(indices) => {
            writer.allow(node, count(&given))?;
            let list = places.positions(node, &indices)?;
            return one(replaced(node, writer, data, updates, &list, reduction)?);
        }
        Value::Activation(index) => index,
    };
    let (data, updates) = (writer.lift(node, data)?, writer.lift(node, updates)?);
    let (slices, cells) = (places.chosen.iter().product(), places.cells());
    let width = places.inner.iter().product();
    let hot = places.one_hot(node, writer, index)?;
    let hot = writer.reshape(node, hot, vec![slices, cells])?;
    let updates = writer.reshape(node, updates, vec![slices, width])?;
    let labels = Contract {
        left: vec![0, 1],
        right: vec![0, 2],
        output: vec![1, 2],
    };
    let added = writer.add(node, Op::Contract(labels), &[hot, updates])?;
    let added = writer.reshape(node, added, shape)?;
    let cover = AxisMap::Matrix(AxisMatrix::sum(slices, 1));
    let covered = writer.add(node, Op::Map(vec![cover, AxisMap::Keep]), &[hot])?;
    let repeat = AxisMap::Matrix(AxisMatrix::select(1, &vec![0; width]));
    let covered = writer.reshape(node, covered, vec![cells, 1])?;
    let covered = writer.add(node, Op::Map(vec![AxisMap::Keep, repeat]), &[covered])?;
    let covered = writer.reshape(node, covered, writer.shape(added).to_vec())?;
    one(merged(node, writer, data, added, covered, reduction)?)
}

/// `X + added`, or `X - X covered + added`.
fn merged(
    node: &Node,
    writer: &mut Writer,
    x: ValueId,
    added: ValueId,
    covered: ValueId,
    reduction: Reduction,
) -> Result<Value, Error> {
    let kept = match reduction {
        Reduction::Add => x,
        Reduction::Replace => {
            let labels = Contract::elementwise(writer.shape(x).len());
            let lost = writer.add(node, Op::Contract(labels), &[x, covered])?;
            writer.add(node, Op::Sub, &[x, lost])?
        }
        _ => {
            return Err(node.unsupported(
                "its indices depend on the model's inputs: only reductions `none` and `add` are \
                 supported then",
            ));
        }
    };
    Ok(Value::Activation(writer.add(
        node,
        Op::Add,
        &[kept, added],
    )?))
}

/// Data and updates with constant targets, the row-major position of each update.
fn replaced(
    node: &Node,
    writer: &mut Writer,
    data: Value,
    updates: Value,
    targets: &[usize],
    reduction: Reduction,
) -> Result<Value, Error> {
    let shape = writer.shape_of(&data).to_vec();
    if targets.is_empty() {
        return Ok(data);
    }
    let cells: usize = shape.iter().product();
    writer.allow(node, Some(cells))?;
    // Round r: the r-th update of each cell, as a position in the updates.
    let mut rounds: Vec<Vec<Option<usize>>> = Vec::new();
    let mut seen = vec![0; cells];
    for (update, &target) in targets.iter().enumerate() {
        let round = match reduction {
            Reduction::Replace => 0,
            _ => seen[target],
        };
        if round == rounds.len() {
            if round == ROUNDS {
                return Err(node.unsupported(format!(
                    "it updates a cell more than {ROUNDS} times: sum the updates before"
                )));
            }
            writer.allow(node, Some(cells))?;
            rounds.push(vec![None; cells]);
        }
        rounds[round][target] = Some(update);
        seen[target] += 1;
    }
    let (data, updates) = (writer.lift(node, data)?, writer.lift(node, updates)?);
    let mut y = data;
    for round in rounds {
        y = combined(node, writer, y, updates, &round, reduction)?;
    }
    Ok(Value::Activation(y))
}

/// `x` and for each cell that has one an update.
fn combined(
    node: &Node,
    writer: &mut Writer,
    x: ValueId,
    updates: ValueId,
    round: &[Option<usize>],
    reduction: Reduction,
) -> Result<ValueId, Error> {
    let shape = writer.shape(x).to_vec();
    let given: usize = writer.shape(updates).iter().product();
    let flat = writer.reshape(node, updates, vec![given])?;
    // Cells without an update read themselves, or the neutral element.
    let neutral = match reduction {
        Reduction::Add => Some(0.0),
        Reduction::Mul => Some(1.0),
        _ => None,
    };
    let source = if let Some(value) = neutral {
        let pads = vec![(0, 1)];
        writer.add(node, Op::Pad { pads, value }, &[flat])?
    } else {
        let x = writer.reshape(node, x, vec![round.len()])?;
        writer.add(node, Op::Concat { axis: 0 }, &[flat, x])?
    };
    let own = |cell: usize| given + if neutral.is_some() { 0 } else { cell };
    let cells = round.iter().enumerate();
    let indices = cells.map(|(cell, update)| update.unwrap_or_else(|| own(cell)) as u32);
    let op = Op::Take {
        indices: indices.collect(),
        shape: shape.clone(),
    };
    let y = writer.add(node, op, &[source])?;
    match reduction {
        Reduction::Replace => Ok(y),
        Reduction::Add => writer.add(node, Op::Add, &[x, y]),
        Reduction::Mul => {
            let labels = Contract::elementwise(shape.len());
            writer.add(node, Op::Contract(labels), &[x, y])
        }
        Reduction::Max => writer.add(node, Op::Max, &[x, y]),
        Reduction::Min => Formula::new(node, writer).min(x, y),
    }
}
