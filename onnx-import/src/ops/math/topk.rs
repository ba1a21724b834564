//! The `k` largest or smallest cells of an axis, in order.
//!
//! Every pair of positions `i < j` is compared once, `g = [x_i >= x_j]`: of equal cells the first
//! precedes. The rank of `j` is the number of cells that precede it, the sum of `g` over the pairs
//! in which it is the second and of `1 - g` over those in which it is the first. The cell of rank
//! `r` is selected by `P[r, i] = [rank_i = r]`.

use ndarray::arr0;
use std::collections::BTreeSet;
use zkstrata_model_ir::float::{Activation, AxisMatrix, ValueId};

use crate::Error;
use crate::ops::math::extreme::{Tie, along, position};
use crate::scope::node::Node;
use crate::scope::value::{Element, Value};
use crate::write::Writer;
use crate::write::formula::Formula;

/// Longest axis.
const LONGEST: usize = 512;

/// `Values` and `Indices`; `k` is an attribute before opset 10 and an input since.
pub(crate) fn top_k(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    let x = writer.activation(node, 0)?;
    let k = if node.opset() < 10 {
        node.at_most(1)?;
        node.int("k")?
    } else {
        node.at_most(2)?;
        match node.indices(1)?[..] {
            [k] => Some(k),
            _ => None,
        }
    };
    let rank = writer.shape(x).len();
    let axis = node.axis(node.int("axis")?.unwrap_or(-1), rank)?;
    let largest = node.opset() < 11 || node.flag("largest")? != Some(false);
    if node.opset() >= 11 {
        // In order they are in any order, too.
        let _ = node.flag("sorted")?;
    }
    let n = writer.shape(x)[axis];
    let k = k
        .and_then(|k| usize::try_from(k).ok())
        .filter(|k| (1..=n).contains(k));
    let k = k.ok_or_else(|| node.shape_error(format!("k must be a number from 1 to {n}")))?;
    node.gives(1, Element::Int);
    let mut f = Formula::new(node, writer);
    let signed = if largest { x } else { f.negated(x)? };
    let [values, indices] = if k == 1 {
        let most = f.maximum(signed, &BTreeSet::from([axis]))?;
        let values = if largest { most } else { f.negated(most)? };
        [values, position(&mut f, signed, axis, Tie::First)?]
    } else {
        if n > LONGEST {
            return Err(node.unsupported(format!(
                "it orders an axis of length {n}: up to {LONGEST}, or k = 1, are supported"
            )));
        }
        selected(&mut f, x, signed, axis, k)?
    };
    Ok(vec![Value::Activation(values), Value::Activation(indices)])
}

/// The cells of `x` at the `k` largest cells of `key`, and their positions.
fn selected(
    f: &mut Formula,
    x: ValueId,
    key: ValueId,
    axis: usize,
    k: usize,
) -> Result<[ValueId; 2], Error> {
    let shape = f.shape(x);
    let (rank, n) = (shape.len(), shape[axis]);
    // The axis comes last while cells are compared.
    let mut perm: Vec<usize> = (0..rank).filter(|&a| a != axis).collect();
    perm.push(axis);
    let x = f.transpose(x, perm.clone())?;
    let key = f.transpose(key, perm.clone())?;
    let ranks = ranks(f, key)?;
    let mut outer = f.shape(x);
    outer.pop();
    let rows: usize = outer.iter().product();
    let x = f.reshape(x, vec![rows, n])?;
    let ranks = f.reshape(ranks, vec![rows, 1, n])?;
    let places = along(3, 1, k, |r| -(r as f32));
    let distance = f.affine_by(ranks, arr0(1.0).into_dyn(), places)?;
    let chosen = f.apply(Activation::IsZero, distance)?;
    let values = f.contract((chosen, &[0, 1, 2]), (x, &[0, 2]), &[0, 1])?;
    let indices = f.affine_by(chosen, along(3, 2, n, |i| i as f32), arr0(0.0).into_dyn())?;
    let indices = f.sum(indices, &BTreeSet::from([2]))?;
    let mut back: Vec<usize> = (0..rank - 1).collect();
    back.insert(axis, rank - 1);
    outer.push(k);
    let mut restored = |y: ValueId| {
        let y = f.reshape(y, outer.clone())?;
        f.transpose(y, back.clone())
    };
    Ok([restored(values)?, restored(indices)?])
}

/// How many cells of the last axis precede each.
fn ranks(f: &mut Formula, key: ValueId) -> Result<ValueId, Error> {
    let shape = f.shape(key);
    let (axis, n) = (shape.len() - 1, shape[shape.len() - 1]);
    let pairs = || (0..n as u32).flat_map(|i| (i + 1..n as u32).map(move |j| (i, j)));
    let count = n * (n - 1) / 2;
    f.reserve(count.saturating_mul(4))?;
    let differences = AxisMatrix {
        input: n,
        output: count,
        entries: (0..)
            .zip(pairs())
            .flat_map(|(p, (i, j))| [(p, i, 1), (p, j, -1)])
            .collect(),
        divisor: 1,
    };
    let mut preceding: Vec<(u32, u32, i64)> = (0..)
        .zip(pairs())
        .flat_map(|(p, (i, j))| [(i, p, -1), (j, p, 1)])
        .collect();
    preceding.sort_unstable();
    let sums = AxisMatrix {
        input: count,
        output: n,
        entries: preceding,
        divisor: 1,
    };
    let d = f.map(key, axis, differences)?;
    let g = f.apply(Activation::Step, d)?;
    let sums = f.map(g, axis, sums)?;
    // Of `1 - g`, the 1: position i is the first of n - 1 - i pairs.
    let firsts = along(shape.len(), axis, n, |i| (n - 1 - i) as f32);
    f.affine_by(sums, arr0(1.0).into_dyn(), firsts)
}
