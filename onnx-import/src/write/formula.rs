//! Formulas of activations, written into the graph operator by operator.
//!
//! Operands of different shapes are broadcast by ONNX's rules. Products leave out the axes along
//! which an operand is repeated; sums, differences and maxima repeat it.

use std::collections::{BTreeMap, BTreeSet};

use ndarray::{ArrayD, arr0};
use zkstrata_model_ir::float::{Activation, AxisMap, AxisMatrix, Contract, Op, ValueId};

use crate::Error;
use crate::decode::tensor::{Tensor, count};
use crate::scope::node::Node;
use crate::scope::value::Value;
use crate::write::Writer;
use crate::write::broadcast::{broadcast, folded};
use crate::write::index::broadcast_indices;

/// Writes the operators of one node.
pub(crate) struct Formula<'a, 'n> {
    /// The node whose formula it is.
    pub(crate) node: &'a Node<'n>,
    /// The import that it belongs to.
    pub(crate) writer: &'a mut Writer,
}

impl<'a, 'n> Formula<'a, 'n> {
    /// An empty formula.
    pub(crate) fn new(node: &'a Node<'n>, writer: &'a mut Writer) -> Self {
        Self { node, writer }
    }

    /// Shape of a value.
    pub(crate) fn shape(&self, x: ValueId) -> Vec<usize> {
        self.writer.shape(x).to_vec()
    }

    /// An operator.
    pub(crate) fn put(&mut self, op: Op, inputs: &[ValueId]) -> Result<ValueId, Error> {
        self.writer.add(self.node, op, inputs)
    }

    /// Refuses to make axis matrices of so many entries if they are more than is allowed.
    pub(crate) fn reserve(&mut self, entries: usize) -> Result<(), Error> {
        let cells = entries.saturating_mul(4);
        self.writer.budget.placed(self.node.name(), cells)
    }

    /// `f(x)`
    pub(crate) fn apply(&mut self, f: Activation, x: ValueId) -> Result<ValueId, Error> {
        self.put(Op::Activation(f), &[x])
    }

    /// `scale x + shift`
    pub(crate) fn affine(&mut self, x: ValueId, scale: f32, shift: f32) -> Result<ValueId, Error> {
        let (scale, shift) = (arr0(scale).into_dyn(), arr0(shift).into_dyn());
        self.put(Op::Affine { scale, shift }, &[x])
    }

    /// `scale x + shift` cell by cell. The result has the shape to which all three broadcast.
    pub(crate) fn affine_by(
        &mut self,
        x: ValueId,
        scale: ArrayD<f32>,
        shift: ArrayD<f32>,
    ) -> Result<ValueId, Error> {
        let constants = broadcast(self.node, scale.shape(), shift.shape())?;
        let shape = broadcast(self.node, self.writer.shape(x), &constants)?;
        let x = self.broadcast_to(x, &shape)?;
        self.put(Op::Affine { scale, shift }, &[x])
    }

    /// `x` repeated along new axes and along axes of length 1.
    pub(crate) fn broadcast_to(&mut self, x: ValueId, shape: &[usize]) -> Result<ValueId, Error> {
        let from = self.shape(x);
        if from == shape {
            return Ok(x);
        }
        if broadcast(self.node, &from, shape)? != shape {
            return Err(self.node.shape_error(format!(
                "a tensor of shape {from:?} does not broadcast to {shape:?}"
            )));
        }
        let mut padded = vec![1; shape.len() - from.len()];
        padded.extend(&from);
        let x = self.reshape(x, padded.clone())?;
        let axis = |(&n, &m): (&usize, &usize)| {
            if n == m {
                return AxisMap::Keep;
            }
            AxisMap::Matrix(AxisMatrix::select(1, &vec![0; m]))
        };
        // The matrices are made only after their size is known to be allowed.
        let entries = shape.iter().zip(&padded).filter(|(m, n)| m != n);
        let entries = entries.fold(0_usize, |sum, (m, _)| sum.saturating_add(*m));
        self.reserve(entries)?;
        let axes: Vec<AxisMap> = padded.iter().zip(shape).map(axis).collect();
        if axes.iter().all(|axis| *axis == AxisMap::Keep) {
            return Ok(x);
        }
        self.put(Op::Map(axes), &[x])
    }

    /// A value repeated along new axes and along axes of length 1.
    pub(crate) fn spread(&mut self, x: Value, shape: &[usize]) -> Result<Value, Error> {
        match x {
            Value::Activation(x) => Ok(Value::Activation(self.broadcast_to(x, shape)?)),
            Value::Constant(c) if c.tensor.shape() == shape => Ok(Value::Constant(c)),
            Value::Constant(c) => {
                self.writer.allow(self.node, count(shape))?;
                let from = c.tensor.shape();
                if broadcast(self.node, from, shape)? != shape {
                    return Err(self.node.shape_error(format!(
                        "a constant of shape {from:?} does not broadcast to {shape:?}"
                    )));
                }
                let cells = c.tensor.cells().pick(broadcast_indices(from, shape));
                Ok(folded(Tensor::new(shape.to_vec(), cells)))
            }
        }
    }

    /// Two operands repeated to their common shape.
    fn paired(&mut self, x: ValueId, y: ValueId) -> Result<[ValueId; 2], Error> {
        let shape = broadcast(self.node, self.writer.shape(x), self.writer.shape(y))?;
        Ok([self.broadcast_to(x, &shape)?, self.broadcast_to(y, &shape)?])
    }

    /// `x + y`
    pub(crate) fn add(&mut self, x: ValueId, y: ValueId) -> Result<ValueId, Error> {
        let pair = self.paired(x, y)?;
        self.put(Op::Add, &pair)
    }

    /// `x - y`
    pub(crate) fn sub(&mut self, x: ValueId, y: ValueId) -> Result<ValueId, Error> {
        let pair = self.paired(x, y)?;
        self.put(Op::Sub, &pair)
    }

    /// `max(x, y)`
    pub(crate) fn max(&mut self, x: ValueId, y: ValueId) -> Result<ValueId, Error> {
        let pair = self.paired(x, y)?;
        self.put(Op::Max, &pair)
    }

    /// `min(x, y)`
    pub(crate) fn min(&mut self, x: ValueId, y: ValueId) -> Result<ValueId, Error> {
        let (x, y) = (self.negated(x)?, self.negated(y)?);
        let z = self.max(x, y)?;
        self.negated(z)
    }

    /// `-x`
    pub(crate) fn negated(&mut self, x: ValueId) -> Result<ValueId, Error> {
        self.affine(x, -1.0, 0.0)
    }

    /// `x y`
    pub(crate) fn product(&mut self, x: ValueId, y: ValueId) -> Result<ValueId, Error> {
        let shape = broadcast(self.node, self.writer.shape(x), self.writer.shape(y))?;
        let all: Vec<usize> = (0..shape.len()).collect();
        let labels = |of: &[usize]| all[all.len() - of.len()..].to_vec();
        let left = labels(self.writer.shape(x));
        let right = labels(self.writer.shape(y));
        self.contract((x, &left), (y, &right), &all)
    }

    /// `sum x y` over `axes`, which stay with length 1; `x` and `y` have the same shape.
    pub(crate) fn dot(
        &mut self,
        x: ValueId,
        y: ValueId,
        axes: &BTreeSet<usize>,
    ) -> Result<ValueId, Error> {
        let shape = self.shape(x);
        let all: Vec<usize> = (0..shape.len()).collect();
        let output = all.iter().copied().filter(|axis| !axes.contains(axis));
        let contract = Contract {
            left: all.clone(),
            right: all.clone(),
            output: output.collect(),
        };
        let y = self.put(Op::Contract(contract), &[x, y])?;
        self.reshape(y, without(&shape, axes))
    }

    /// The sum of products over the labels that are not in `output`, a [`Contract`] whose operands
    /// may have the length 1 on an axis of the result that is longer. Labels that are summed have
    /// the same length in both operands.
    pub(crate) fn contract(
        &mut self,
        (x, left): (ValueId, &[usize]),
        (y, right): (ValueId, &[usize]),
        output: &[usize],
    ) -> Result<ValueId, Error> {
        let mut lengths = BTreeMap::new();
        for (value, labels) in [(x, left), (y, right)] {
            for (&label, &n) in labels.iter().zip(self.writer.shape(value)) {
                let length = lengths.entry(label).or_insert(n);
                *length = n.max(*length);
            }
        }
        let (x, left) = self.trimmed(x, left)?;
        let (y, right) = self.trimmed(y, right)?;
        let kept = output.iter().copied();
        let contract = Contract {
            output: kept.filter(|l| lengths[l] != 1).collect(),
            left,
            right,
        };
        let z = self.put(Op::Contract(contract), &[x, y])?;
        self.reshape(z, output.iter().map(|l| lengths[l]).collect())
    }

    /// The operand without its axes of length 1, and the labels of the others.
    fn trimmed(&mut self, x: ValueId, labels: &[usize]) -> Result<(ValueId, Vec<usize>), Error> {
        let axes = labels.iter().zip(self.writer.shape(x));
        let longer = axes.filter(|(_, n)| **n != 1);
        let (labels, lengths) = longer.map(|(&label, &n)| (label, n)).unzip();
        Ok((self.reshape(x, lengths)?, labels))
    }

    /// `x^2`
    pub(crate) fn square(&mut self, x: ValueId) -> Result<ValueId, Error> {
        self.product(x, x)
    }

    /// `x` times a constant or another activation.
    pub(crate) fn times(&mut self, x: ValueId, factor: Value) -> Result<ValueId, Error> {
        match factor {
            Value::Activation(y) => self.product(x, y),
            Value::Constant(c) => {
                let scale = c.into_weight()?;
                self.affine_by(x, scale, arr0(0.0).into_dyn())
            }
        }
    }

    /// `x` plus a constant or another activation.
    pub(crate) fn plus(&mut self, x: ValueId, term: Value) -> Result<ValueId, Error> {
        match term {
            Value::Activation(y) => self.add(x, y),
            Value::Constant(c) => {
                let shift = c.into_weight()?;
                self.affine_by(x, arr0(1.0).into_dyn(), shift)
            }
        }
    }

    /// The same cells in another shape.
    pub(crate) fn reshape(&mut self, x: ValueId, shape: Vec<usize>) -> Result<ValueId, Error> {
        self.writer.reshape(self.node, x, shape)
    }

    /// The axes in another order.
    pub(crate) fn transpose(&mut self, x: ValueId, perm: Vec<usize>) -> Result<ValueId, Error> {
        self.writer.transpose(self.node, x, perm)
    }

    /// One axis multiplied by a matrix.
    pub(crate) fn map(
        &mut self,
        x: ValueId,
        axis: usize,
        matrix: AxisMatrix,
    ) -> Result<ValueId, Error> {
        let mut axes = vec![AxisMap::Keep; self.writer.shape(x).len()];
        axes[axis] = AxisMap::Matrix(matrix);
        self.put(Op::Map(axes), &[x])
    }

    /// The cells at `positions` of an axis.
    pub(crate) fn select(
        &mut self,
        x: ValueId,
        axis: usize,
        positions: &[usize],
    ) -> Result<ValueId, Error> {
        let n = self.writer.shape(x)[axis];
        self.map(x, axis, AxisMatrix::select(n, positions))
    }

    /// The sum over `axes`, divided by `divisor`; the axes stay with length 1.
    fn sum_over(
        &mut self,
        x: ValueId,
        axes: &BTreeSet<usize>,
        divisor: impl Fn(usize) -> i64,
    ) -> Result<ValueId, Error> {
        let shape = self.shape(x);
        // The matrices are made only after their size is known to be allowed.
        let summed = axes.iter().map(|&axis| shape[axis]);
        self.reserve(summed.fold(0, usize::saturating_add))?;
        let map = |(axis, &n): (usize, &usize)| {
            if n == 1 || !axes.contains(&axis) {
                return AxisMap::Keep;
            }
            AxisMap::Matrix(AxisMatrix::sum(n, divisor(n)))
        };
        let maps: Vec<AxisMap> = shape.iter().enumerate().map(map).collect();
        if maps.iter().all(|map| *map == AxisMap::Keep) {
            return Ok(x);
        }
        self.put(Op::Map(maps), &[x])
    }

    /// The sum over `axes`, which stay with length 1.
    pub(crate) fn sum(&mut self, x: ValueId, axes: &BTreeSet<usize>) -> Result<ValueId, Error> {
        self.sum_over(x, axes, |_| 1)
    }

    /// The mean over `axes`, which stay with length 1.
    pub(crate) fn mean(&mut self, x: ValueId, axes: &BTreeSet<usize>) -> Result<ValueId, Error> {
        self.sum_over(x, axes, |n| n as i64)
    }

    /// The maximum over `axes`, which stay with length 1.
    pub(crate) fn maximum(&mut self, x: ValueId, axes: &BTreeSet<usize>) -> Result<ValueId, Error> {
        let mut x = x;
        for &axis in axes {
            if self.writer.shape(x)[axis] > 1 {
                x = self.put(Op::Maximum { axis }, &[x])?;
            }
        }
        Ok(x)
    }
}

/// The shape with the length 1 on `axes`.
pub(crate) fn without(shape: &[usize], axes: &BTreeSet<usize>) -> Vec<usize> {
    let length = |(axis, &n)| if axes.contains(&axis) { 1 } else { n };
    shape.iter().enumerate().map(length).collect()
}
