//! The graph that is written: operators, constants, what they may cost, and remarks. Operators are
//! formulas on it.

pub(crate) mod broadcast;
pub(crate) mod fold;
pub(crate) mod formula;
pub(crate) mod index;
pub(crate) mod layout;
pub(crate) mod mask;
pub(crate) mod masked;
pub(crate) mod missing;
pub(crate) mod pair;
pub(crate) mod shares;
pub(crate) mod undefined;
pub(crate) mod window;

use ndarray::{ArrayD, arr0};
use zkstrata_model_ir::float::{self, Activation, AxisMap, GraphBuilder, Missing, Op, ValueId};

use self::masked::Mask;
use crate::Error;
use crate::decode::external::External;
use crate::decode::stored as decode;
use crate::decode::tensor::Tensor;
use crate::proto::TensorProto;
use crate::scope::budget::Budget;
use crate::scope::node::Node;
use crate::scope::value::{Element, Value};

/// Adds the operators of one ONNX node to the graph and gives its outputs; outputs beyond those
/// given may not be read. Results that are activations are folded if all operands are constant.
pub(crate) type Import = fn(&mut Node, &mut Writer) -> Result<Vec<Value>, Error>;

/// The graph while it is written.
pub(crate) struct Writer {
    pub(crate) builder: GraphBuilder,
    pub(crate) budget: Budget,
    /// The masks of values.
    pub(crate) masks: Vec<Mask>,
    /// How many tensors are quantised by their own range.
    pub(crate) dynamic: usize,
    external: External,
}

impl Writer {
    /// An empty graph, for a model whose external data lie somewhere.
    pub(crate) fn new(external: External) -> Self {
        Self {
            builder: GraphBuilder::new(),
            budget: Budget::default(),
            masks: vec![],
            dynamic: 0,
            external,
        }
    }

    /// Decodes a stored tensor.
    pub(crate) fn decode(&mut self, proto: &TensorProto, name: &str) -> Result<Tensor, Error> {
        self.budget.stored(name, cells(proto))?;
        decode::decode(proto, name, &self.external)
    }

    /// Shape of an activation.
    pub(crate) fn shape(&self, value: ValueId) -> &[usize] {
        self.builder.shape(value)
    }

    /// Shape of a constant or an activation.
    pub(crate) fn shape_of<'a>(&'a self, value: &'a Value) -> &'a [usize] {
        match value {
            Value::Constant(constant) => constant.tensor.shape(),
            Value::Activation(v) => self.shape(*v),
        }
    }

    /// Allows a constant evaluation to produce `cells` cells; call before allocating.
    pub(crate) fn allow(&mut self, node: &Node, cells: Option<usize>) -> Result<usize, Error> {
        self.budget.folded(node.name(), cells)
    }

    /// Adds an operator to the graph.
    pub(crate) fn add(
        &mut self,
        node: &Node,
        op: Op,
        inputs: &[ValueId],
    ) -> Result<ValueId, Error> {
        let len = |a: &ArrayD<f32>| a.len();
        let weights = match &op {
            Op::Dense { weight, bias } | Op::Conv { weight, bias, .. } => {
                weight.len() + bias.as_ref().map_or(0, len)
            }
            Op::Affine { scale, shift } => scale.len() + shift.len(),
            Op::Constant { value } => value.len(),
            Op::Take { indices, .. } => indices.len(),
            Op::Missing(Missing::Replaced { by }) => by.len(),
            Op::Map(axes) => axes.iter().map(entries).fold(0, usize::saturating_add),
            _ => 0,
        };
        self.budget.placed(node.name(), weights)?;
        Ok(self.builder.add(node.name(), op, inputs)?)
    }

    /// Takes a required operand as a value of the graph; a constant becomes one.
    pub(crate) fn activation(&mut self, node: &mut Node, index: usize) -> Result<ValueId, Error> {
        let value = node.value(index)?;
        self.lift(node, value)
    }

    /// The value as one of the graph; a constant becomes an operator without operands.
    pub(crate) fn lift(&mut self, node: &Node, value: Value) -> Result<ValueId, Error> {
        match value {
            Value::Activation(value) => Ok(value),
            Value::Constant(constant) => {
                let value = constant.into_weight()?;
                self.add(node, Op::Constant { value }, &[])
            }
        }
    }

    /// Gives an activation another shape of as many cells.
    pub(crate) fn reshape(
        &mut self,
        node: &Node,
        value: ValueId,
        shape: Vec<usize>,
    ) -> Result<ValueId, Error> {
        if self.shape(value) == shape {
            return Ok(value);
        }
        self.add(node, Op::Reshape { shape }, &[value])
    }

    /// Permutes the axes of an activation.
    pub(crate) fn transpose(
        &mut self,
        node: &Node,
        value: ValueId,
        perm: Vec<usize>,
    ) -> Result<ValueId, Error> {
        if perm.iter().enumerate().all(|(i, &p)| i == p) && perm.len() == self.shape(value).len() {
            return Ok(value);
        }
        self.add(node, Op::Transpose { perm }, &[value])
    }

    /// The integers of a quantised value; other values as they are.
    pub(crate) fn restored(
        &mut self,
        name: &str,
        value: ValueId,
        element: Element,
    ) -> Result<ValueId, Error> {
        let Element::Quantised(quantum) = element else {
            return Ok(value);
        };
        let op = Op::Affine {
            scale: arr0(quantum.scale.recip()).into_dyn(),
            shift: arr0(quantum.zero).into_dyn(),
        };
        let value = self.builder.add(name, op, &[value])?;
        let round = Op::Activation(Activation::Round);
        Ok(self.builder.add(name, round, &[value])?)
    }

    /// Records a remark for the user.
    pub(crate) fn note(&mut self, text: String) {
        self.builder.note(text);
    }

    /// Decodes a tensor that a graph inside of `node` stores, perhaps again.
    pub(crate) fn decode_again(
        &mut self,
        node: &Node,
        proto: &TensorProto,
    ) -> Result<Tensor, Error> {
        self.allow(node, Some(cells(proto)))?;
        decode::decode(proto, &proto.name, &self.external)
    }
}

/// The single output that most operators have.
#[allow(clippy::unnecessary_wraps, reason = "ends an import function")]
pub(crate) fn one(value: Value) -> Result<Vec<Value>, Error> {
    Ok(vec![value])
}

/// The number of cells that a stored tensor declares.
fn cells(proto: &TensorProto) -> usize {
    proto.dims.iter().fold(1_usize, |n, &d| {
        n.saturating_mul(usize::try_from(d).unwrap_or(0))
    })
}

/// The memory of an axis matrix, in cells of four bytes.
fn entries(axis: &AxisMap) -> usize {
    match axis {
        AxisMap::Keep => 0,
        AxisMap::Matrix(matrix) => matrix.entries.len().saturating_mul(4),
    }
}

impl From<float::Error> for Error {
    fn from(error: float::Error) -> Self {
        Self::Shape {
            node: error.node,
            reason: error.reason,
        }
    }
}
