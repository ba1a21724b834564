//! Where cells lie: Transpose, Concat.

use crate::Error;
use crate::ops::one;
use crate::scope::node::Node;
use crate::scope::value::{Element, Value};
use crate::write::formula::Formula;
use crate::write::layout::{concatenated, permuted};
use crate::write::{Writer, masked};

/// Output axis `i` is input axis `perm[i]`; by default the axes are reversed.
pub(crate) fn transpose(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    node.at_most(1)?;
    let x = node.value(0)?;
    let rank = writer.shape_of(&x).len();
    let perm: Vec<usize> = match node.ints("perm")? {
        None => (0..rank).rev().collect(),
        Some(perm) => {
            let valid = |&p: &i64| usize::try_from(p).ok().filter(|&p| p < rank);
            let axes: Option<Vec<usize>> = perm.iter().map(valid).collect();
            axes.filter(|axes| (0..rank).all(|i| axes.contains(&i)) && axes.len() == rank)
                .ok_or_else(|| {
                    node.bad_attribute("perm", format!("{perm:?} does not permute {rank} axes"))
                })?
        }
    };
    one(permuted(node, writer, x, &perm)?)
}

/// Concatenation along an axis, of activations or of constants.
pub(crate) fn concat(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    let parts = (0..node.input_count())
        .map(|i| node.value(i))
        .collect::<Result<Vec<_>, _>>()?;
    let Some(first) = parts.first() else {
        return Err(node.shape_error("Concat without inputs"));
    };
    let Some(axis) = node.int("axis")? else {
        return Err(node.bad_attribute("axis", "is missing"));
    };
    let axis = node.axis(axis, writer.shape_of(first).len())?;
    let masked = |i| matches!(node.element(i), Element::Masked(_));
    if (0..parts.len()).any(masked) {
        let parts = parts.into_iter().enumerate();
        let parts = parts.map(|(i, part)| (part, node.element(i))).collect();
        let (y, element) = masked::concatenated(&mut Formula::new(node, writer), parts, axis)?;
        node.gives(0, element);
        return one(y);
    }
    one(concatenated(node, writer, parts, axis)?)
}
