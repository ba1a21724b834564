//! One ONNX node while it is imported: its operands, its attributes, and errors that name it.
//!
//! An operator's function takes every operand and attribute that the operator has at the node's
//! opset; what is left untaken is unknown to it and refused by [`Node::finish`], so nothing that
//! could change the meaning is silently ignored.

mod attributes;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use ndarray::ArrayD;

use crate::Error;
use crate::decode::model::domain;
use crate::decode::tensor::Cells;
use crate::proto::NodeProto;
use crate::scope::code::Graphs;
use crate::scope::names::Meaning;
use crate::scope::value::{Constant, Element, Value};

/// A node with its operands resolved.
pub(crate) struct Node<'a> {
    proto: &'a NodeProto,
    /// Name for messages.
    name: &'a str,
    /// Version of the operator's domain.
    opset: i64,
    inputs: Vec<Option<Value>>,
    /// The kinds of the operands' elements; of omitted ones `Float`.
    elements: Vec<Element>,
    /// The operands that are sequences.
    sequences: BTreeMap<usize, Vec<(Value, Element)>>,
    /// The kinds of the results' elements where they are not those of the first operand.
    given: BTreeMap<usize, Element>,
    /// The results that are given with their meaning.
    meanings: BTreeMap<usize, Meaning>,
    /// The scope of the node's names, and the graphs inside of it.
    inside: Option<(usize, &'a Graphs)>,
    /// Attributes that nobody asked for yet.
    unread: RefCell<BTreeSet<&'a str>>,
}

impl<'a> Node<'a> {
    /// Pairs a node with its operands; an omitted optional operand is `None`.
    pub(crate) fn new(
        proto: &'a NodeProto,
        opset: i64,
        operands: Vec<Option<Meaning>>,
    ) -> Result<Self, Error> {
        let mut node = Self {
            proto,
            name: name(proto),
            opset,
            elements: Vec::with_capacity(operands.len()),
            inputs: Vec::with_capacity(operands.len()),
            sequences: BTreeMap::new(),
            given: BTreeMap::new(),
            meanings: BTreeMap::new(),
            inside: None,
            unread: RefCell::default(),
        };
        for (i, operand) in operands.into_iter().enumerate() {
            let (value, element) = match operand {
                Some(Meaning::Tensor(value, element)) => (Some(value), element),
                Some(Meaning::Sequence(list)) => {
                    node.sequences.insert(i, list);
                    (None, Element::Float)
                }
                None => (None, Element::Float),
            };
            node.inputs.push(value);
            node.elements.push(element);
        }
        for attribute in &proto.attribute {
            if !node.unread.borrow_mut().insert(&attribute.name) {
                return Err(node.bad_attribute(&attribute.name, "is given twice"));
            }
            if !attribute.ref_attr_name.is_empty() {
                return Err(node.bad_attribute(
                    &attribute.name,
                    "refers to a function's attribute: inline the model's functions",
                ));
            }
        }
        Ok(node)
    }

    /// The node in a scope, with the graphs inside of it.
    pub(crate) fn inside(mut self, scope: usize, graphs: &'a Graphs) -> Self {
        self.inside = Some((scope, graphs));
        self
    }

    /// The scope of the node's names.
    pub(crate) fn scope(&self) -> usize {
        self.inside.map_or(0, |(scope, _)| scope)
    }

    /// The name for messages: the node's own, or its first output.
    pub(crate) fn name(&self) -> &'a str {
        self.name
    }

    /// The domain of the operator.
    pub(crate) fn domain(&self) -> &'a str {
        domain(self.proto)
    }

    /// The operator.
    pub(crate) fn op(&self) -> &'a str {
        &self.proto.op_type
    }

    /// Version of the operator set of the node's domain.
    pub(crate) fn opset(&self) -> i64 {
        self.opset
    }

    /// Whether output `index` has a name.
    pub(crate) fn has_output(&self, index: usize) -> bool {
        self.proto.output.get(index).is_some_and(|o| !o.is_empty())
    }

    /// Whether no operand depends on the model's inputs, and the operands are all that counts.
    pub(crate) fn is_constant(&self) -> bool {
        let constant = |value: &Value| matches!(value, Value::Constant(_));
        let alone = self.inside.is_none_or(|(_, graphs)| graphs.is_empty());
        alone && self.sequences.is_empty() && self.inputs.iter().flatten().all(constant)
    }

    /// Whether operand `index` is given and not yet taken.
    pub(crate) fn has(&self, index: usize) -> bool {
        self.inputs.get(index).is_some_and(Option::is_some)
    }

    /// The kind of the elements of operand `index`, taken or not.
    pub(crate) fn element(&self, index: usize) -> Element {
        self.elements.get(index).copied().unwrap_or(Element::Float)
    }

    /// Says of which kind the elements of result `index` are, if not those of operand 0.
    pub(crate) fn gives(&mut self, index: usize, element: Element) {
        self.given.insert(index, element);
    }

    /// The kind of the elements of result `index`.
    pub(crate) fn result(&self, index: usize) -> Element {
        let given = self.given.get(&index).copied();
        given.unwrap_or_else(|| self.element(0))
    }

    /// Says what result `index` means, a sequence perhaps.
    pub(crate) fn means(&mut self, index: usize, meaning: Meaning) {
        self.meanings.insert(index, meaning);
    }

    /// What each named result means, given the values that were produced; `None` if it was not.
    pub(crate) fn meanings(&mut self, produced: Vec<Value>) -> Vec<Option<Meaning>> {
        let mut produced = produced.into_iter();
        let mut meanings = Vec::with_capacity(self.proto.output.len());
        for i in 0..self.proto.output.len() {
            let tensor = produced.next().map(|value| {
                let element = match &value {
                    Value::Constant(constant) => constant.tensor.cells().element(),
                    Value::Activation(_) => self.result(i),
                };
                Meaning::Tensor(value, element)
            });
            meanings.push(self.meanings.remove(&i).or(tensor));
        }
        meanings
    }

    /// Number of outputs, omitted ones included.
    pub(crate) fn output_count(&self) -> usize {
        self.proto.output.len()
    }

    /// Number of operands, omitted ones included.
    pub(crate) fn input_count(&self) -> usize {
        self.inputs.len()
    }

    /// Refuses the node unless it has at most `most` operands.
    pub(crate) fn at_most(&self, most: usize) -> Result<(), Error> {
        if self.inputs.len() > most {
            let got = self.inputs.len();
            let op = self.op();
            return Err(self.shape_error(format!("{op} takes at most {most} inputs, got {got}")));
        }
        Ok(())
    }

    /// Takes an optional operand.
    pub(crate) fn take(&mut self, index: usize) -> Option<Value> {
        self.inputs.get_mut(index).and_then(Option::take)
    }

    /// Takes a required operand.
    pub(crate) fn value(&mut self, index: usize) -> Result<Value, Error> {
        self.take(index).ok_or_else(|| self.missing(index))
    }

    /// Takes a required operand that is a sequence.
    pub(crate) fn sequence(&mut self, index: usize) -> Result<Vec<(Value, Element)>, Error> {
        let sequence = self.sequences.remove(&index);
        sequence.ok_or_else(|| {
            let op = self.op();
            self.shape_error(format!(
                "input {index} of {op} must be a sequence of tensors"
            ))
        })
    }

    /// A required operand, with the kind of its elements, or a sequence.
    pub(crate) fn meaning(&mut self, index: usize) -> Result<Meaning, Error> {
        if let Some(list) = self.sequences.remove(&index) {
            return Ok(Meaning::Sequence(list));
        }
        let element = self.element(index);
        Ok(Meaning::Tensor(self.value(index)?, element))
    }

    /// The error for a required operand that is not there.
    fn missing(&self, index: usize) -> Error {
        let op = self.op();
        if self.sequences.contains_key(&index) {
            return self.unsupported(format!(
                "input {index} is a sequence of tensors, which this operator is not imported for: \
                 take its tensors out by SequenceAt or ConcatFromSequence"
            ));
        }
        self.shape_error(format!("input {index} of {op} is missing"))
    }

    /// Takes an optional operand that must be constant.
    pub(crate) fn optional_constant(&mut self, index: usize) -> Result<Option<Constant>, Error> {
        match self.take(index) {
            None => Ok(None),
            Some(Value::Constant(constant)) => Ok(Some(constant)),
            Some(_) => Err(self.unsupported(format!(
                "input {index} depends on the model's inputs: it must be a constant"
            ))),
        }
    }

    /// Takes a required operand that must be constant.
    pub(crate) fn constant(&mut self, index: usize) -> Result<Constant, Error> {
        self.optional_constant(index)?
            .ok_or_else(|| self.missing(index))
    }

    /// Takes a required weight.
    pub(crate) fn weight(&mut self, index: usize) -> Result<ArrayD<f32>, Error> {
        self.constant(index)?.into_weight()
    }

    /// Takes an optional weight.
    pub(crate) fn optional_weight(&mut self, index: usize) -> Result<Option<ArrayD<f32>>, Error> {
        self.optional_constant(index)?
            .map(Constant::into_weight)
            .transpose()
    }

    /// Takes an optional constant list of integers.
    pub(crate) fn optional_indices(&mut self, index: usize) -> Result<Option<Vec<i64>>, Error> {
        let Some(constant) = self.optional_constant(index)? else {
            return Ok(None);
        };
        match constant.tensor.cells() {
            Cells::Int(list) if constant.tensor.shape().len() <= 1 => Ok(Some(list.clone())),
            other => Err(self.shape_error(format!(
                "input {index} of {} must be a list of integers, got {} of shape {:?}",
                self.op(),
                other.kind(),
                constant.tensor.shape()
            ))),
        }
    }

    /// Takes a required constant list of integers.
    pub(crate) fn indices(&mut self, index: usize) -> Result<Vec<i64>, Error> {
        self.optional_indices(index)?
            .ok_or_else(|| self.missing(index))
    }

    /// Refuses attributes that the operator's function has not taken.
    pub(crate) fn finish(&self) -> Result<(), Error> {
        match self.unread.borrow().first() {
            None => Ok(()),
            Some(name) => Err(self.bad_attribute(
                name,
                format!(
                    "is not an attribute of the operator at opset {}",
                    self.opset
                ),
            )),
        }
    }

    /// The operator, or this use of it, cannot be imported.
    pub(crate) fn unsupported(&self, remedy: impl Into<String>) -> Error {
        unsupported(self.proto, self.opset, remedy)
    }

    /// An attribute is wrong.
    pub(crate) fn bad_attribute(&self, attribute: &str, reason: impl Into<String>) -> Error {
        Error::BadAttribute {
            node: self.name.into(),
            op: self.op().into(),
            attribute: attribute.into(),
            reason: reason.into(),
        }
    }

    /// The operands do not fit.
    pub(crate) fn shape_error(&self, reason: impl Into<String>) -> Error {
        Error::Shape {
            node: self.name.into(),
            reason: reason.into(),
        }
    }

    /// The axis `axis` of a tensor of `rank` axes, counted from the end if negative.
    pub(crate) fn axis(&self, axis: i64, rank: usize) -> Result<usize, Error> {
        let signed = rank as i64;
        if (-signed..signed).contains(&axis) {
            return Ok(axis.rem_euclid(signed) as usize);
        }
        Err(self.shape_error(format!("axis {axis} of a tensor of {rank} axes")))
    }

    /// Several distinct axes of a tensor of `rank` axes.
    pub(crate) fn axes(&self, axes: &[i64], rank: usize) -> Result<BTreeSet<usize>, Error> {
        let mut set = BTreeSet::new();
        for &axis in axes {
            if !set.insert(self.axis(axis, rank)?) {
                return Err(self.shape_error(format!("axis {axis} is named twice in {axes:?}")));
            }
        }
        Ok(set)
    }
}

/// A node's name for messages.
pub(crate) fn name(proto: &NodeProto) -> &str {
    if proto.name.is_empty() {
        proto
            .output
            .iter()
            .find(|o| !o.is_empty())
            .map_or("", |o| o)
    } else {
        &proto.name
    }
}

/// The error for an operator that cannot be imported.
pub(crate) fn unsupported(proto: &NodeProto, opset: i64, remedy: impl Into<String>) -> Error {
    Error::UnsupportedOperator {
        node: name(proto).into(),
        op: proto.op_type.clone(),
        domain: domain(proto).into(),
        opset,
        remedy: remedy.into(),
    }
}
