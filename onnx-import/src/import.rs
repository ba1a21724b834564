//! The import itself: resolves names, orders the nodes, and hands each one to its operator.

use std::collections::HashMap;

use ndarray::ArrayD;
use zkstrata_model_ir::float::{self, Graph, GraphBuilder, Op, ValueId};

use crate::Error;
use crate::budget::Budget;
use crate::decode;
use crate::external::External;
use crate::inputs;
use crate::model::{Model, Opsets};
use crate::names::Names;
use crate::node::{self, Node};
use crate::ops::{self, readout};
use crate::proto::{GraphProto, NodeProto, TensorProto};
use crate::tensor::Tensor;
use crate::value::{Constant, Readout, ReadoutKind, Value};

/// The state of an import.
pub(crate) struct Importer {
    builder: GraphBuilder,
    budget: Budget,
    external: External,
    /// Initializers that no node has read yet.
    initializers: HashMap<String, TensorProto>,
    values: HashMap<String, Value>,
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
            let value = inputs::declare(input, &mut importer.builder)?;
            let value = Value::Activation(value);
            importer.values.insert(input.name.clone(), value);
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
        // What follows a readout is dropped, and its constants (class names, say) with it.
        let follows = |name: &String| matches!(self.values.get(name), Some(Value::Readout(_)));
        let produced = if proto.input.iter().any(follows) {
            let operands = proto.input.iter().map(|i| self.values.get(i).cloned());
            readout::forward(&Node::new(proto, opset, operands.collect())?)?
        } else {
            let import = ops::find(proto)
                .ok_or_else(|| node::unsupported(proto, opset, ops::remedy(proto)))?;
            let operands = proto.input.iter().map(|input| match input.as_str() {
                "" => Ok(None),
                input => self.read(input, node::name(proto)).map(Some),
            });
            let operands = operands.collect::<Result<Vec<_>, _>>()?;
            let mut node = Node::new(proto, opset, operands)?;
            let produced = import(&mut node, self)?;
            node.finish()?;
            produced
        };
        let mut produced = produced.into_iter();
        for output in &proto.output {
            let value = produced.next();
            match value {
                _ if output.is_empty() => {}
                Some(value) if self.readers.contains_key(output) => {
                    self.values.insert(output.clone(), renamed(value, output));
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

    /// The value of `name`, moved out for its last reader.
    fn read(&mut self, name: &str, reader: &str) -> Result<Value, Error> {
        if let Some(proto) = self.initializers.remove(name) {
            let tensor = self.decode(&proto, name)?;
            let value = Value::Constant(Constant::new(name, tensor));
            self.values.insert(name.into(), value);
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
            Value::Readout(readout) => self.shape(readout.logits),
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
            _ => 0,
        };
        self.budget.placed(node.name(), weights)?;
        Ok(self.builder.add(node.name(), op, inputs)?)
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

    /// Records a remark for the user.
    pub(crate) fn note(&mut self, text: String) {
        self.builder.note(text);
    }

    /// Names the outputs. A readout stands for its logits; readouts of logits that another output
    /// gives already are dropped, labels before scores.
    fn finish<'a>(mut self, names: impl Iterator<Item = &'a str>) -> Result<Graph, Error> {
        let outputs = names
            .map(|name| Ok((name, self.read(name, name)?)))
            .collect::<Result<Vec<_>, Error>>()?;
        let rank = |value: &Value| match value {
            Value::Constant(_) => None,
            Value::Activation(v) => Some((*v, 0)),
            Value::Readout(r) if r.kind == ReadoutKind::Scores => Some((r.logits, 1)),
            Value::Readout(r) => Some((r.logits, 2)),
        };
        let mut kept = Vec::new();
        for (i, (name, value)) in outputs.iter().enumerate() {
            let Some((logits, own)) = rank(value) else {
                return Err(Error::Shape {
                    node: (*name).into(),
                    reason: "this output does not depend on any input: remove it".into(),
                });
            };
            let Value::Readout(Readout { node, op, .. }) = value else {
                kept.push(((*name).to_owned(), logits));
                continue;
            };
            let better = outputs.iter().enumerate().find(|(j, (_, other))| {
                rank(other).is_some_and(|(v, rank)| v == logits && (rank, *j) < (own, i))
            });
            if let Some((_, (better, _))) = better {
                self.note(format!(
                    "output `{name}` ({op} `{node}`) is dropped: it follows from output `{better}`"
                ));
            } else {
                kept.push(((*name).to_owned(), logits));
                self.note(format!(
                    "output `{name}`: the final {op} `{node}` is dropped, the output is its input"
                ));
            }
        }
        Ok(self.builder.finish(kept)?)
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
