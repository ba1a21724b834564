//! The import itself: resolves names, orders the nodes, and hands each one to its operator.

use std::collections::HashMap;

use ndarray::{ArrayD, arr0};
use zkstrata_model_ir::float::{self, Activation, AxisMap, Graph, GraphBuilder, Op, ValueId};

use crate::Error;
use crate::budget::Budget;
use crate::decode;
use crate::external::External;
use crate::inputs;
use crate::model::{Model, Opsets};
use crate::names::Names;
use crate::node::{self, Node};
use crate::ops::{self, quantised};
use crate::proto::{GraphProto, NodeProto, TensorProto};
use crate::tensor::Tensor;
use crate::value::{Constant, Element, Value};

/// The state of an import.
pub(crate) struct Importer {
    pub(crate) builder: GraphBuilder,
    pub(crate) budget: Budget,
    /// Whether a mask of negative infinity was replaced by a finite one.
    pub(crate) masks: bool,
    external: External,
    /// Initializers that no node has read yet.
    initializers: HashMap<String, TensorProto>,
    values: HashMap<String, (Value, Element)>,
    /// How many more times each name will be read; the last reader takes the value.
    readers: HashMap<String, usize>,
}

/// Imports a decoded model.
pub(crate) fn import(model: Model, external: External) -> Result<Graph, Error> {
    let Model { graph, opsets } = model;
    let names = Names::check(&graph)?;
    let order = names.order(&graph)?;
    let live = names.live(&graph, &order)?;

    let GraphProto {
        node: nodes,
        initializer,
        input,
        output: outputs,
        ..
    } = graph;
    let mut importer = Importer {
        builder: GraphBuilder::new(),
        budget: Budget::default(),
        masks: false,
        external,
        initializers: initializer
            .into_iter()
            .map(|t| (t.name.clone(), t))
            .collect(),
        values: HashMap::new(),
        readers: HashMap::new(),
    };
    for input in &input {
        if !importer.initializers.contains_key(&input.name) {
            let (value, element) = inputs::declare(input, &mut importer.builder)?;
            let value = Value::Activation(value);
            let name = input.name.clone();
            importer.values.insert(name, (value, element));
        }
    }
    let read = live.iter().flat_map(|&i| &nodes[i].input);
    for name in read.chain(outputs.iter().map(|o| &o.name)) {
        *importer.readers.entry(name.clone()).or_default() += 1;
    }
    for &i in &live {
        importer.node(&nodes[i], &opsets)?;
    }
    importer.finish(outputs.iter().map(|o| o.name.as_str()))
}

impl Importer {
    /// Imports one node whose operands are known.
    fn node(&mut self, proto: &NodeProto, opsets: &Opsets) -> Result<(), Error> {
        let opset = opsets.of(proto);
        let operator =
            ops::find(proto).ok_or_else(|| node::unsupported(proto, opset, ops::remedy(proto)))?;
        let operands = proto.input.iter().map(|input| match input.as_str() {
            "" => Ok(None),
            input => self.read(input, node::name(proto)).map(Some),
        });
        let mut operands = operands.collect::<Result<Vec<_>, _>>()?;
        quantised::restore(proto, self, &mut operands)?;
        let mut node = Node::new(proto, opset, operands)?;
        let produced = if node.is_constant() {
            self.folded(&mut node, operator.import)?
        } else {
            (operator.import)(&mut node, self)?
        };
        node.finish()?;
        let mut produced = produced.into_iter().enumerate();
        for output in &proto.output {
            let value = produced.next();
            match value {
                _ if output.is_empty() => {}
                Some((i, value)) if self.readers.contains_key(output) => {
                    let value = renamed(value, output);
                    let element = match &value {
                        Value::Constant(constant) => constant.tensor.cells().element(),
                        Value::Activation(_) => node.result(i),
                    };
                    self.values.insert(output.clone(), (value, element));
                }
                None if self.readers.contains_key(output) => {
                    let remedy =
                        format!("its output `{output}` is not computed: remove what reads it");
                    return Err(node::unsupported(proto, opset, remedy));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The value of `name` and the kind of its elements, moved out for its last reader.
    fn read(&mut self, name: &str, reader: &str) -> Result<(Value, Element), Error> {
        if let Some(proto) = self.initializers.remove(name) {
            let tensor = self.decode(&proto, name)?;
            let element = tensor.cells().element();
            let value = Value::Constant(Constant::new(name, tensor));
            self.values.insert(name.into(), (value, element));
        }
        let last = self.readers.get_mut(name).is_none_or(|n| {
            *n = n.saturating_sub(1);
            *n == 0
        });
        let value = if last {
            self.values.remove(name)
        } else {
            self.values.get(name).cloned()
        };
        value.ok_or_else(|| Error::MissingInitializer {
            node: reader.into(),
            name: name.into(),
        })
    }

    /// Decodes a stored tensor.
    pub(crate) fn decode(&mut self, proto: &TensorProto, name: &str) -> Result<Tensor, Error> {
        let cells = proto.dims.iter().fold(1_usize, |n, &d| {
            n.saturating_mul(usize::try_from(d).unwrap_or(0))
        });
        self.budget.stored(name, cells)?;
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

    /// Names the outputs; one that does not depend on any input is a constant of the graph.
    fn finish<'a>(mut self, names: impl Iterator<Item = &'a str>) -> Result<Graph, Error> {
        let mut outputs = Vec::new();
        for name in names {
            let value = match self.read(name, name)? {
                (Value::Activation(value), element) => self.restored(name, value, element)?,
                (Value::Constant(constant), _) => {
                    let value = constant.into_weight()?;
                    self.budget.placed(name, value.len())?;
                    self.builder.add(name, Op::Constant { value }, &[])?
                }
            };
            outputs.push((name.to_owned(), value));
        }
        Ok(self.builder.finish(outputs)?)
    }
}

/// The memory of an axis matrix, in cells of four bytes.
fn entries(axis: &AxisMap) -> usize {
    match axis {
        AxisMap::Keep => 0,
        AxisMap::Matrix(matrix) => matrix.entries.len().saturating_mul(4),
    }
}

/// Folded constants are called by the name of the value they define.
fn renamed(value: Value, name: &str) -> Value {
    match value {
        Value::Constant(constant) if constant.name.is_empty() => Value::Constant(Constant {
            name: name.into(),
            ..constant
        }),
        other => other,
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
