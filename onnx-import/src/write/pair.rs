//! Elementwise operators of two constants, evaluated in their own type: integers exactly.

use crate::Error;
use crate::decode::tensor::{Cells, Tensor, count, range};
use crate::scope::node::Node;
use crate::scope::value::{Constant, Value};
use crate::write::Writer;
use crate::write::broadcast::{broadcast, folded};
use crate::write::index::broadcast_indices;
use crate::write::one;

/// Folds an operator of two constants of one type. What the type has no room for is refused.
pub(crate) fn fold(
    node: &Node,
    writer: &mut Writer,
    a: Constant,
    b: Constant,
    float: impl Fn(f32, f32) -> f32,
    int: impl Fn(i64, i64) -> Option<i64>,
) -> Result<Vec<Value>, Error> {
    let pair = Pair::new(node, writer, a, b)?;
    match (pair.a.tensor.cells(), pair.b.tensor.cells()) {
        (Cells::Float(a), Cells::Float(b)) => {
            let cells = pair.indices().map(|(i, j)| float(a[i], b[j])).collect();
            one(folded(Tensor::new(pair.shape, Cells::Float(cells))))
        }
        (Cells::Int(a), Cells::Int(b)) => {
            let known = [&pair.a, &pair.b].map(|c| c.tensor.data_type());
            let data_type = known[0].or(known[1]);
            let (lo, hi) = data_type.and_then(range).unwrap_or((i64::MIN, i64::MAX));
            let fits = |n: &i64| (lo..=hi).contains(n);
            let cells = pair.indices().map(|(i, j)| int(a[i], b[j]).filter(fits));
            let cells: Option<Vec<i64>> = cells.collect();
            let cells = cells
                .ok_or_else(|| node.shape_error(format!("{} of constants overflows", node.op())))?;
            let tensor = Tensor::new(pair.shape, Cells::Int(cells));
            one(folded(match data_type {
                None => tensor,
                Some(data_type) => tensor.of_type(data_type),
            }))
        }
        _ => Err(pair.mismatch(node)),
    }
}

/// Folds a comparison of two constants of one type.
pub(crate) fn compare(
    node: &Node,
    writer: &mut Writer,
    a: Constant,
    b: Constant,
    float: impl Fn(f32, f32) -> bool,
    int: impl Fn(i64, i64) -> bool,
) -> Result<Vec<Value>, Error> {
    let pair = Pair::new(node, writer, a, b)?;
    let cells = match (pair.a.tensor.cells(), pair.b.tensor.cells()) {
        (Cells::Float(a), Cells::Float(b)) => {
            pair.indices().map(|(i, j)| float(a[i], b[j])).collect()
        }
        (Cells::Int(a), Cells::Int(b)) => pair.indices().map(|(i, j)| int(a[i], b[j])).collect(),
        (Cells::Bool(a), Cells::Bool(b)) => pair
            .indices()
            .map(|(i, j)| int(a[i].into(), b[j].into()))
            .collect(),
        _ => return Err(pair.mismatch(node)),
    };
    one(folded(Tensor::new(pair.shape, Cells::Bool(cells))))
}

/// `C ? A : B` for constants.
pub(crate) fn select(
    node: &Node,
    writer: &mut Writer,
    condition: &Constant,
    a: Constant,
    b: Constant,
) -> Result<Value, Error> {
    let pair = Pair::new(node, writer, a, b)?;
    let Cells::Bool(choices) = condition.tensor.cells() else {
        return Err(pair.mismatch(node));
    };
    let shape = broadcast(node, condition.tensor.shape(), &pair.shape)?;
    writer.allow(node, count(&shape))?;
    let of = |constant: &Constant| broadcast_indices(constant.tensor.shape(), &shape);
    let both = of(&pair.a).zip(of(&pair.b));
    let chosen = of(condition)
        .zip(both)
        .map(|(c, (i, j))| (choices[c], i, j));
    let cells = match (pair.a.tensor.cells(), pair.b.tensor.cells()) {
        (Cells::Float(a), Cells::Float(b)) => Cells::Float(
            chosen
                .map(|(c, i, j)| if c { a[i] } else { b[j] })
                .collect(),
        ),
        (Cells::Int(a), Cells::Int(b)) => Cells::Int(
            chosen
                .map(|(c, i, j)| if c { a[i] } else { b[j] })
                .collect(),
        ),
        (Cells::Bool(a), Cells::Bool(b)) => Cells::Bool(
            chosen
                .map(|(c, i, j)| if c { a[i] } else { b[j] })
                .collect(),
        ),
        _ => return Err(pair.mismatch(node)),
    };
    Ok(folded(Tensor::new(shape, cells)))
}

/// Two constants and the shape to which they broadcast.
struct Pair {
    a: Constant,
    b: Constant,
    shape: Vec<usize>,
}

impl Pair {
    fn new(node: &Node, writer: &mut Writer, a: Constant, b: Constant) -> Result<Self, Error> {
        let shape = broadcast(node, a.tensor.shape(), b.tensor.shape())?;
        writer.allow(node, count(&shape))?;
        Ok(Self { a, b, shape })
    }

    /// The cells of the operands that make each cell of the result.
    fn indices(&self) -> impl Iterator<Item = (usize, usize)> {
        let a = broadcast_indices(self.a.tensor.shape(), &self.shape);
        a.zip(broadcast_indices(self.b.tensor.shape(), &self.shape))
    }

    fn mismatch(&self, node: &Node) -> Error {
        node.shape_error(format!(
            "{} of {} and {} constants is not supported",
            node.op(),
            self.a.tensor.cells().kind(),
            self.b.tensor.cells().kind()
        ))
    }
}
