//! The operands of recurrent layers: weights, lengths and states.

use ndarray::{Array2, Array3, Ix2, Ix3};
use zkstrata_model_ir::float::{Op, ValueId};

use crate::Error;
use crate::scope::node::Node;
use crate::scope::value::Value;
use crate::write::Writer;
use crate::write::formula::Formula;

/// A constant weight of three axes.
pub(super) fn matrices(node: &mut Node, index: usize) -> Result<Array3<f32>, Error> {
    let weight = node.weight(index)?.into_dimensionality::<Ix3>();
    weight.map_err(|_| node.shape_error(format!("input {index} must have three axes")))
}

/// An optional constant weight with a row for each direction.
pub(super) fn optional_rows(
    node: &mut Node,
    index: usize,
    rows: usize,
    columns: usize,
) -> Result<Option<Array2<f32>>, Error> {
    let Some(weight) = node.optional_weight(index)? else {
        return Ok(None);
    };
    if weight.shape() != [rows, columns] {
        let got = weight.shape();
        return Err(node.shape_error(format!(
            "input {index} has shape {got:?}, expected [{rows}, {columns}]"
        )));
    }
    Ok(weight.into_dimensionality::<Ix2>().ok())
}

/// The lengths of the sequences; `None` if all have all steps.
pub(super) fn lengths(
    node: &mut Node,
    steps: usize,
    batch: usize,
) -> Result<Option<Vec<usize>>, Error> {
    let Some(listed) = node.optional_indices(4)? else {
        return Ok(None);
    };
    let lengths = listed.iter().map(|&n| usize::try_from(n).ok());
    let lengths = lengths.collect::<Option<Vec<usize>>>();
    let fits = |list: &Vec<usize>| list.len() == batch && list.iter().all(|&n| n <= steps);
    let lengths = lengths.filter(fits).ok_or_else(|| {
        node.shape_error(format!(
            "lengths {listed:?} for {batch} sequences of {steps} steps"
        ))
    })?;
    Ok(Some(lengths).filter(|list| list.iter().any(|&n| n < steps)))
}

/// The initial states of all directions; constant zeros are left out.
pub(super) fn initial(
    node: &mut Node,
    writer: &mut Writer,
    index: usize,
    [sides, batch, hidden]: [usize; 3],
    batch_first: bool,
) -> Result<Vec<Option<ValueId>>, Error> {
    let state = match node.take(index) {
        None => return Ok(vec![None; sides]),
        Some(Value::Constant(c)) => {
            let weight = c.into_weight()?;
            if weight.iter().all(|&x| x == 0.0) {
                return Ok(vec![None; sides]);
            }
            writer.add(node, Op::Constant { value: weight }, &[])?
        }
        Some(Value::Activation(state)) => state,
    };
    let state = match (writer.shape(state).len(), batch_first) {
        (3, true) => writer.transpose(node, state, vec![1, 0, 2])?,
        _ => state,
    };
    if writer.shape(state) != [sides, batch, hidden] {
        let got = writer.shape(state);
        return Err(node.shape_error(format!("an initial state of shape {got:?}")));
    }
    let mut f = Formula::new(node, writer);
    let part = |side| match sides {
        1 => Ok(Some(state)),
        _ => f.select(state, 0, &[side]).map(Some),
    };
    (0..sides).map(part).collect()
}
