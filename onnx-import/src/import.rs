//! The import itself: resolves names, and hands each node to its operator.
//!
//! The nodes that an output needs are imported in their order. What only a graph inside of a node
//! reads, the branch of an If, is imported when it is read, so that a branch that is never taken
//! need not be importable.

use std::rc::Rc;

use ndarray::{ArrayD, arr0};
use zkstrata_model_ir::float::{self, Activation, AxisMap, Graph, GraphBuilder, Op, ValueId};

use crate::Error;
use crate::budget::Budget;
use crate::code::{Code, Graphs};
use crate::decode;
use crate::external::External;
use crate::inputs::Inputs;
use crate::masks::{self, Mask};
use crate::model::{Model, Opsets};
use crate::node::{self, Node};
use crate::ops::{self, Operator, quantised};
use crate::options::Options;
use crate::proto::{NodeProto, TensorProto};
use crate::scope::{Meaning, Scope};
use crate::tensor::Tensor;
use crate::value::{Constant, Element, Value};

/// Most graphs that may be inside of each other.
const DEPTH: usize = 64;

/// The state of an import.
pub(crate) struct Importer {
    pub(crate) builder: GraphBuilder,
    pub(crate) budget: Budget,
    /// The masks of values.
    pub(crate) masks: Vec<Mask>,
    /// How many tensors are quantised by their own range.
    pub(crate) dynamic: usize,
    external: External,
    opsets: Opsets,
    /// The names of the model's graph, and of those inside of nodes that are being imported.
    scopes: Vec<Scope>,
}

/// A node to import, without its operands.
pub(crate) struct Step<'a> {
    proto: &'a NodeProto,
    opset: i64,
    pub(crate) operator: &'static Operator,
    inside: (usize, &'a Graphs),
}

impl<'a> Step<'a> {
    /// The node with operands.
    pub(crate) fn node(&self, operands: Vec<Option<Meaning>>) -> Result<Node<'a>, Error> {
        let (scope, graphs) = self.inside;
        Ok(Node::new(self.proto, self.opset, operands)?.inside(scope, graphs))
    }

    /// The operator, or this use of it, cannot be imported.
    pub(crate) fn unsupported(&self, remedy: impl Into<String>) -> Error {
        node::unsupported(self.proto, self.opset, remedy)
    }
}

/// A graph inside of a node that may be imported several times.
pub(crate) struct Body {
    code: Rc<Code>,
    constants: Vec<Constant>,
}

/// Imports a decoded model.
pub(crate) fn import(model: Model, external: External, options: &Options) -> Result<Graph, Error> {
    let Model { graph, opsets } = model;
    let mut code = Code::new(graph)?;
    if let Some(name) = code.captures.first() {
        return Err(Error::MissingInitializer {
            node: code.reader(name).into(),
            name: name.clone(),
        });
    }
    let initializers = std::mem::take(&mut code.initializers);
    let code = Rc::new(code);
    let mut importer = Importer {
        builder: GraphBuilder::new(),
        budget: Budget::default(),
        masks: vec![],
        dynamic: 0,
        external,
        opsets,
        scopes: vec![Scope::new(Rc::clone(&code), initializers, None)],
    };
    let declared = code.inputs.iter();
    let free = declared.filter(|input| !importer.scopes[0].stores(&input.name));
    let inputs = Inputs::new(free, options)?;
    for (name, value, element) in inputs.declare(&mut importer.builder, &mut importer.budget)? {
        importer.scopes[0].define(&name, Meaning::Tensor(value, element));
    }
    importer.finish()
}

impl Importer {
    /// Imports node `i` of a scope, unless that has been done.
    fn node(&mut self, scope: usize, i: usize) -> Result<(), Error> {
        if !self.scopes[scope].begin(i) {
            return Ok(());
        }
        let code = Rc::clone(&self.scopes[scope].code);
        let proto = &code.nodes[i];
        let opset = self.opsets.of(proto);
        let operator =
            ops::find(proto).ok_or_else(|| node::unsupported(proto, opset, ops::remedy(proto)))?;
        let step = Step {
            proto,
            opset,
            operator,
            inside: (scope, &code.graphs[i]),
        };
        let operands = proto.input.iter().map(|input| match input.as_str() {
            "" => Ok(None),
            input => self.read(scope, input, node::name(proto)).map(Some),
        });
        let mut operands = operands.collect::<Result<Vec<_>, _>>()?;
        quantised::restore(node::name(proto), operator.reads, self, &mut operands)?;
        let meanings = self.in_units(&step, operands);
        let meanings =
            meanings.map_err(|error| error.used_by(node::name(proto), &proto.op_type))?;
        for (i, meaning) in meanings.into_iter().enumerate() {
            let Some(output) = proto.output.get(i).filter(|o| self.scopes[scope].reads(o)) else {
                continue;
            };
            let Some(meaning) = meaning else {
                let remedy = format!("its output `{output}` is not computed: remove what reads it");
                return Err(node::unsupported(proto, opset, remedy));
            };
            self.scopes[scope].define(output, named(meaning, output));
        }
        Ok(())
    }

    /// The results of an operator on its operands.
    pub(crate) fn run(
        &mut self,
        step: &Step,
        operands: Vec<Option<Meaning>>,
    ) -> Result<Vec<Option<Meaning>>, Error> {
        let mut node = step.node(operands)?;
        let import = step.operator.import;
        let produced = if node.is_constant() {
            self.folded(&mut node, import)?
        } else {
            import(&mut node, self)?
        };
        node.finish()?;
        Ok(node.meanings(produced))
    }

    /// What `name` stands for in a scope or one around it, moved out for its last reader.
    fn read(&mut self, scope: usize, name: &str, reader: &str) -> Result<Meaning, Error> {
        let mut around = Some(scope);
        while let Some(scope) = around {
            let code = Rc::clone(&self.scopes[scope].code);
            if !code.defines(name) {
                around = self.scopes[scope].parent;
                continue;
            }
            for i in self.scopes[scope].waiting(name) {
                self.node(scope, i)?;
            }
            if let Some(proto) = self.scopes[scope].stored(name) {
                let tensor = self.decode(&proto, name)?;
                let element = tensor.cells().element();
                let value = Value::Constant(Constant::new(name, tensor));
                self.scopes[scope].define(name, Meaning::Tensor(value, element));
            }
            if let Some(meaning) = self.scopes[scope].take(name) {
                return Ok(meaning);
            }
            break;
        }
        Err(Error::MissingInitializer {
            node: reader.into(),
            name: name.into(),
        })
    }

    /// The outputs of a scope's graph, whose inputs are defined.
    fn outputs(&mut self, scope: usize) -> Result<Vec<Meaning>, Error> {
        let code = Rc::clone(&self.scopes[scope].code);
        for i in code.needed(code.outputs.iter().map(String::as_str)) {
            self.node(scope, i)?;
        }
        let outputs = code.outputs.iter();
        outputs.map(|name| self.read(scope, name, name)).collect()
    }

    /// Prepares a graph inside of a node for being imported.
    pub(crate) fn body(&mut self, node: &Node, code: Rc<Code>) -> Result<Body, Error> {
        let mut constants = Vec::with_capacity(code.initializers.len());
        for proto in &code.initializers {
            self.allow(node, Some(cells(proto)))?;
            let tensor = decode::decode(proto, &proto.name, &self.external)?;
            constants.push(Constant::new(&proto.name, tensor));
        }
        Ok(Body { code, constants })
    }

    /// The outputs of a graph inside of a node, given its inputs.
    pub(crate) fn call(
        &mut self,
        node: &Node,
        body: &Body,
        inputs: Vec<Meaning>,
    ) -> Result<Vec<Meaning>, Error> {
        if self.scopes.len() > DEPTH {
            return Err(node.unsupported(format!(
                "more than {DEPTH} graphs are inside of each other: export the model without \
                 control flow"
            )));
        }
        if inputs.len() != body.code.inputs.len() {
            let (takes, got) = (body.code.inputs.len(), inputs.len());
            return Err(
                node.shape_error(format!("its graph takes {takes} inputs and is given {got}"))
            );
        }
        let size = body.code.nodes.len() + body.constants.len() + inputs.len();
        self.budget.imported(node.name(), size)?;
        let mut scope = Scope::new(Rc::clone(&body.code), vec![], Some(node.scope()));
        for constant in &body.constants {
            let element = constant.tensor.cells().element();
            let value = Value::Constant(constant.clone());
            scope.define(&constant.name, Meaning::Tensor(value, element));
        }
        for (input, meaning) in body.code.inputs.iter().zip(inputs) {
            scope.define(&input.name, meaning);
        }
        self.scopes.push(scope);
        let outputs = self.outputs(self.scopes.len() - 1);
        self.scopes.pop();
        outputs
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

    /// Imports what the outputs need and names them; one that does not depend on any input is a
    /// constant of the graph.
    fn finish(mut self) -> Result<Graph, Error> {
        let code = Rc::clone(&self.scopes[0].code);
        let mut outputs = Vec::new();
        for (name, meaning) in code.outputs.iter().zip(self.outputs(0)?) {
            let value = match meaning {
                Meaning::Tensor(_, Element::Masked(id)) if !self.mask(id).exact => {
                    return Err(Error::Shape {
                        node: name.clone(),
                        reason: format!("this output: {}", masks::beyond(self.mask(id).fill)),
                    });
                }
                Meaning::Tensor(_, Element::Dynamic(_)) => {
                    return Err(Error::Shape {
                        node: name.clone(),
                        reason: "this output is quantised with a scale that depends on the input: \
                                 make the float number that it stands for the output"
                            .into(),
                    });
                }
                Meaning::Tensor(Value::Activation(value), element) => {
                    self.restored(name, value, element)?
                }
                Meaning::Tensor(Value::Constant(constant), _) => {
                    let value = constant.into_weight()?;
                    self.budget.placed(name, value.len())?;
                    self.builder.add(name, Op::Constant { value }, &[])?
                }
                Meaning::Sequence(_) => {
                    return Err(Error::Shape {
                        node: name.clone(),
                        reason: "this output is a sequence of tensors: export each tensor as an \
                                 output of its own"
                            .into(),
                    });
                }
            };
            outputs.push((name.clone(), value));
        }
        Ok(self.builder.finish(outputs)?)
    }
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

/// Folded constants are called by the name of the value that they define.
fn named(meaning: Meaning, name: &str) -> Meaning {
    match meaning {
        Meaning::Tensor(Value::Constant(constant), element) if constant.name.is_empty() => {
            let name = name.into();
            Meaning::Tensor(Value::Constant(Constant { name, ..constant }), element)
        }
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
