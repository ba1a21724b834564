//! Cells replaced at indices: `ScatterElements`, `ScatterND`.
//!
//! With constant indices the result's cells are chosen from data and updates; updates of one cell
//! are combined round by round. Indices that depend on the model's inputs become vectors of truth
//! values `H`, and `Y = X + H^T (U - ..)`: the updates are added to the data, or to the data
//! without the cells that are replaced.

use zkstrata_model_ir::float::{AxisMap, AxisMatrix, Contract, Op, ValueId};

use super::formula::Formula;
use super::gather::{Places, check_elements, element_positions, one_hot};
use super::one;
use crate::Error;
use crate::import::Importer;
use crate::node::Node;
use crate::tensor::count;
use crate::value::Value;

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
pub(super) fn scatter_elements(
    node: &mut Node,
    importer: &mut Importer,
) -> Result<Vec<Value>, Error> {
    node.at_most(3)?;
    let (data, indices, updates) = (node.value(0)?, node.value(1)?, node.value(2)?);
    let reduction = Reduction::read(node)?;
    let shape = importer.shape_of(&data).to_vec();
    let axis = node.axis(node.int("axis")?.unwrap_or(0), shape.len())?;
    let given = importer.shape_of(&updates).to_vec();
    check_elements(node, &shape, &given, axis)?;
    if importer.shape_of(&indices) != given {
        return Err(node.shape_error("indices and updates differ in shape"));
    }
    let index = match indices {
        Value::Constant(indices) => {
            importer.allow(node, count(&given))?;
            let list = element_positions(node, &shape, &indices, axis)?;
            return one(replaced(node, importer, data, updates, &list, reduction)?);
        }
        Value::Activation(index) => index,
    };
    let (data, updates) = (importer.lift(node, data)?, importer.lift(node, updates)?);
    let hot = one_hot(node, importer, index, shape[axis])?;
    // Label `rank` is the position on the axis, `axis` the update.
    let rank = shape.len();
    let mut output: Vec<usize> = (0..rank).collect();
    output[axis] = rank;
    let labels = Contract {
        left: (0..=rank).collect(),
        right: (0..rank).collect(),
        output: output.clone(),
    };
    let added = importer.add(node, Op::Contract(labels), &[hot, updates])?;
    let mut cover = vec![AxisMap::Keep; rank + 1];
    cover[axis] = AxisMap::Matrix(AxisMatrix::sum(given[axis], 1));
    let covered = importer.add(node, Op::Map(cover), &[hot])?;
    let mut perm: Vec<usize> = output;
    perm.push(axis);
    let covered = importer.transpose(node, covered, perm)?;
    let covered = importer.reshape(node, covered, importer.shape(added).to_vec())?;
    let pads: Vec<(i64, i64)> = (0..rank)
        .map(|a| (0, shape[a] as i64 - importer.shape(added)[a] as i64))
        .collect();
    let mut widened = |x: ValueId| {
        if pads.iter().all(|&p| p == (0, 0)) {
            return Ok(x);
        }
        let (pads, value) = (pads.clone(), 0.0);
        importer.add(node, Op::Pad { pads, value }, &[x])
    };
    let (added, covered) = (widened(added)?, widened(covered)?);
    one(merged(node, importer, data, added, covered, reduction)?)
}

/// `Y = X`, but the slices that the tuples of indices on the last axis name are `U`'s
pub(super) fn scatter_nd(node: &mut Node, importer: &mut Importer) -> Result<Vec<Value>, Error> {
    node.at_most(3)?;
    let (data, indices, updates) = (node.value(0)?, node.value(1)?, node.value(2)?);
    let reduction = Reduction::read(node)?;
    let shape = importer.shape_of(&data).to_vec();
    let places = Places::new(node, &shape, importer.shape_of(&indices), 0)?;
    let given = [&places.chosen[..], &places.inner].concat();
    if importer.shape_of(&updates) != given {
        return Err(node.shape_error(format!(
            "updates of shape {:?}, expected {given:?}",
            importer.shape_of(&updates)
        )));
    }
    let index = match indices {
        Value::Constant(indices) => {
            importer.allow(node, count(&given))?;
            let list = places.positions(node, &indices)?;
            return one(replaced(node, importer, data, updates, &list, reduction)?);
        }
        Value::Activation(index) => index,
    };
    let (data, updates) = (importer.lift(node, data)?, importer.lift(node, updates)?);
    let (slices, cells) = (places.chosen.iter().product(), places.cells());
    let width = places.inner.iter().product();
    let hot = places.one_hot(node, importer, index)?;
    let hot = importer.reshape(node, hot, vec![slices, cells])?;
    let updates = importer.reshape(node, updates, vec![slices, width])?;
    let labels = Contract {
        left: vec![0, 1],
        right: vec![0, 2],
        output: vec![1, 2],
    };
    let added = importer.add(node, Op::Contract(labels), &[hot, updates])?;
    let added = importer.reshape(node, added, shape)?;
    let cover = AxisMap::Matrix(AxisMatrix::sum(slices, 1));
    let covered = importer.add(node, Op::Map(vec![cover, AxisMap::Keep]), &[hot])?;
    let repeat = AxisMap::Matrix(AxisMatrix::select(1, &vec![0; width]));
    let covered = importer.reshape(node, covered, vec![cells, 1])?;
    let covered = importer.add(node, Op::Map(vec![AxisMap::Keep, repeat]), &[covered])?;
    let covered = importer.reshape(node, covered, importer.shape(added).to_vec())?;
    one(merged(node, importer, data, added, covered, reduction)?)
}

/// `X + added`, or `X - X covered + added`.
fn merged(
    node: &Node,
    importer: &mut Importer,
    x: ValueId,
    added: ValueId,
    covered: ValueId,
    reduction: Reduction,
) -> Result<Value, Error> {
    let kept = match reduction {
        Reduction::Add => x,
        Reduction::Replace => {
            let labels = Contract::elementwise(importer.shape(x).len());
            let lost = importer.add(node, Op::Contract(labels), &[x, covered])?;
            importer.add(node, Op::Sub, &[x, lost])?
        }
        _ => {
            return Err(node.unsupported(
                "its indices depend on the model's inputs: only reductions `none` and `add` are \
                 supported then",
            ));
        }
    };
    Ok(Value::Activation(importer.add(
        node,
        Op::Add,
        &[kept, added],
    )?))
}

/// Data and updates with constant targets, the row-major position of each update.
fn replaced(
    node: &Node,
    importer: &mut Importer,
    data: Value,
    updates: Value,
    targets: &[usize],
    reduction: Reduction,
) -> Result<Value, Error> {
    let shape = importer.shape_of(&data).to_vec();
    if targets.is_empty() {
        return Ok(data);
    }
    let cells: usize = shape.iter().product();
    importer.allow(node, Some(cells))?;
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
            importer.allow(node, Some(cells))?;
            rounds.push(vec![None; cells]);
        }
        rounds[round][target] = Some(update);
        seen[target] += 1;
    }
    let (data, updates) = (importer.lift(node, data)?, importer.lift(node, updates)?);
    let mut y = data;
    for round in rounds {
        y = combined(node, importer, y, updates, &round, reduction)?;
    }
    Ok(Value::Activation(y))
}

/// `x` and for each cell that has one an update.
fn combined(
    node: &Node,
    importer: &mut Importer,
    x: ValueId,
    updates: ValueId,
    round: &[Option<usize>],
    reduction: Reduction,
) -> Result<ValueId, Error> {
    let shape = importer.shape(x).to_vec();
    let given: usize = importer.shape(updates).iter().product();
    let flat = importer.reshape(node, updates, vec![given])?;
    // Cells without an update read themselves, or the neutral element.
    let neutral = match reduction {
        Reduction::Add => Some(0.0),
        Reduction::Mul => Some(1.0),
        _ => None,
    };
    let source = if let Some(value) = neutral {
        let pads = vec![(0, 1)];
        importer.add(node, Op::Pad { pads, value }, &[flat])?
    } else {
        let x = importer.reshape(node, x, vec![round.len()])?;
        importer.add(node, Op::Concat { axis: 0 }, &[flat, x])?
    };
    let own = |cell: usize| given + if neutral.is_some() { 0 } else { cell };
    let cells = round.iter().enumerate();
    let indices = cells.map(|(cell, update)| update.unwrap_or_else(|| own(cell)) as u32);
    let op = Op::Take {
        indices: indices.collect(),
        shape: shape.clone(),
    };
    let y = importer.add(node, op, &[source])?;
    match reduction {
        Reduction::Replace => Ok(y),
        Reduction::Add => importer.add(node, Op::Add, &[x, y]),
        Reduction::Mul => {
            let labels = Contract::elementwise(shape.len());
            importer.add(node, Op::Contract(labels), &[x, y])
        }
        Reduction::Max => importer.add(node, Op::Max, &[x, y]),
        Reduction::Min => Formula::new(node, importer).min(x, y),
    }
}
