//! The operands of recurrent layers: weights, lengths and states.

use ndarray::{Array2, Array3, Ix2, Ix3};
use zkstrata_model_ir::float::{Op, ValueId};

use crate::Error;
use crate::import::Importer;
use crate::node::Node;
use crate::ops::formula::Formula;
use crate::value::Value;

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

/// Refuses sequences that end before the last step.
pub(super) fn check_lengths(node: &mut Node, steps: usize) -> Result<(), Error> {
    match node.optional_indices(4)? {
        Some(lengths) if lengths.iter().any(|&n| n != steps as i64) => {
            Err(node.unsupported(format!(
                "sequences have lengths {lengths:?}, not the {steps} steps of the input: cut \
                     the input to one length"
            )))
        }
        _ => Ok(()),
    }
}

/// The initial states of all directions; constant zeros are left out.
pub(super) fn initial(
    node: &mut Node,
    importer: &mut Importer,
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
            importer.add(node, Op::Constant { value: weight }, &[])?
        }
        Some(Value::Activation(state)) => state,
    };
    let state = match (importer.shape(state).len(), batch_first) {
        (3, true) => importer.transpose(node, state, vec![1, 0, 2])?,
        _ => state,
    };
    if importer.shape(state) != [sides, batch, hidden] {
        let got = importer.shape(state);
        return Err(node.shape_error(format!("an initial state of shape {got:?}")));
    }
    let mut f = Formula::new(node, importer);
    let part = |side| match sides {
        1 => Ok(Some(state)),
        _ => f.select(state, 0, &[side]).map(Some),
    };
    (0..sides).map(part).collect()
}
