//! The import itself: resolves names, and hands each node to its operator.
//!
//! The nodes that an output needs are imported in their order. What only a graph inside of a node
//! reads, the branch of an If, is imported when it is read, so that a branch that is never taken
//! need not be importable.

mod apart;
mod control;
mod units;

use std::rc::Rc;

use zkstrata_model_ir::float::{Graph, Op};

use crate::Error;
use crate::decode::external::External;
use crate::decode::model::{Model, Opsets};
use crate::ops::{self, Reads, quantised};
use crate::options::Options;
use crate::proto::NodeProto;
use crate::scope::code::{Code, Graphs};
use crate::scope::inputs::Inputs;
use crate::scope::names::{Meaning, Scope};
use crate::scope::node::{self, Node};
use crate::scope::value::{Constant, Element, Value};
use crate::write::masked;
use crate::write::{Import, Writer};

pub use self::control::operators;

/// Most graphs that may be inside of each other.
const DEPTH: usize = 64;

/// The state of an import.
pub(crate) struct Importer {
    pub(crate) writer: Writer,
    opsets: Opsets,
    /// The names of the model's graph, and of those inside of nodes that are being imported.
    scopes: Vec<Scope>,
}

/// A node to import, without its operands.
pub(crate) struct Step<'a> {
    proto: &'a NodeProto,
    opset: i64,
    /// How the operator reads operands that are more than numbers.
    pub(crate) reads: Reads,
    /// Whether it multiplies its operands.
    pub(crate) multiplies: bool,
    import: Kind,
    inside: (usize, &'a Graphs),
}

/// What a node is imported by.
#[derive(Clone, Copy)]
enum Kind {
    /// A formula of its operands.
    Formula(Import),
    /// A function that imports the graphs inside of the node.
    Control(control::Import),
}

impl<'a> Step<'a> {
    /// The node of a scope.
    fn new(proto: &'a NodeProto, opset: i64, inside: (usize, &'a Graphs)) -> Result<Self, Error> {
        if let Some(import) = control::find(proto) {
            return Ok(Self {
                proto,
                opset,
                reads: Reads::Numbers,
                multiplies: false,
                import: Kind::Control(import),
                inside,
            });
        }
        let operator =
            ops::find(proto).ok_or_else(|| node::unsupported(proto, opset, ops::remedy(proto)))?;
        Ok(Self {
            proto,
            opset,
            reads: operator.reads,
            multiplies: operator.multiplies,
            import: Kind::Formula(operator.import),
            inside,
        })
    }

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
        writer: Writer::new(external),
        opsets,
        scopes: vec![Scope::new(Rc::clone(&code), initializers, None)],
    };
    let declared = code.inputs.iter();
    let free = declared.filter(|input| !importer.scopes[0].stores(&input.name));
    let inputs = Inputs::new(free, options)?;
    for (name, value, element) in
        inputs.declare(&mut importer.writer.builder, &mut importer.writer.budget)?
    {
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
        let step = Step::new(proto, opset, (scope, &code.graphs[i]))?;
        let operands = proto.input.iter().map(|input| match input.as_str() {
            "" => Ok(None),
            input => self.read(scope, input, node::name(proto)).map(Some),
        });
        let mut operands = operands.collect::<Result<Vec<_>, _>>()?;
        quantised::restore(
            node::name(proto),
            step.reads,
            &mut self.writer,
            &mut operands,
        )?;
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
        let produced = match step.import {
            Kind::Control(import) => import(&mut node, self)?,
            Kind::Formula(import) if node.is_constant() => self.writer.folded(&mut node, import)?,
            Kind::Formula(import) => import(&mut node, &mut self.writer)?,
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
                let tensor = self.writer.decode(&proto, name)?;
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
            let tensor = self.writer.decode_again(node, proto)?;
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
        self.writer.budget.imported(node.name(), size)?;
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

    /// Imports what the outputs need and names them; one that does not depend on any input is a
    /// constant of the graph.
    fn finish(mut self) -> Result<Graph, Error> {
        let code = Rc::clone(&self.scopes[0].code);
        let mut outputs = Vec::new();
        for (name, meaning) in code.outputs.iter().zip(self.outputs(0)?) {
            let value = match meaning {
                Meaning::Tensor(_, Element::Masked(id)) if !self.writer.mask(id).exact => {
                    return Err(Error::Shape {
                        node: name.clone(),
                        reason: format!(
                            "this output: {}",
                            masked::beyond(self.writer.mask(id).closed.low())
                        ),
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
                    self.writer.restored(name, value, element)?
                }
                Meaning::Tensor(Value::Constant(constant), _) => {
                    let value = constant.into_weight()?;
                    self.writer.budget.placed(name, value.len())?;
                    self.writer.builder.add(name, Op::Constant { value }, &[])?
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
        Ok(self.writer.builder.finish(outputs)?)
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
