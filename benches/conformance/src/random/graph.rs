//! A graph of the search: operators, constants, inputs with the samples that calibrate them, and
//! one more input that it is checked on.

use super::reference;
use super::tensor::{Tensor, Type};
use prost::Message;
use std::collections::{BTreeMap, BTreeSet};
use zkstrata_onnx_import::proto::attribute_proto::AttributeType;
use zkstrata_onnx_import::proto::tensor_shape_proto::{Dimension, dimension};
use zkstrata_onnx_import::proto::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorShapeProto,
    TypeProto, ValueInfoProto, type_proto,
};

/// The opset of every model.
pub(crate) const OPSET: i64 = 23;

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Attribute {
    Int(i64),
    Float(f32),
    Text(String),
    Ints(Vec<i64>),
    Floats(Vec<f32>),
    Tensor(Tensor),
}

/// An operator applied to values by name; an operand without a name is left out.
#[derive(Clone, Debug, PartialEq, Default)]
pub(crate) struct Node {
    pub(crate) op: String,
    pub(crate) domain: String,
    pub(crate) inputs: Vec<String>,
    pub(crate) outputs: Vec<String>,
    pub(crate) attributes: Vec<(String, Attribute)>,
}

/// A graph and what it is run on.
#[derive(Clone, Debug, PartialEq, Default)]
pub(crate) struct Case {
    pub(crate) nodes: Vec<Node>,
    pub(crate) constants: BTreeMap<String, Tensor>,
    /// Names of the inputs.
    pub(crate) inputs: Vec<String>,
    pub(crate) outputs: Vec<String>,
    /// `samples[i][k]` is input `k` of sample `i`; the last sample is for checking only.
    pub(crate) samples: Vec<Vec<Tensor>>,
}

/// Every value of a run by name.
pub(crate) type Values = BTreeMap<String, Tensor>;

impl Node {
    pub(crate) fn new(op: &str, inputs: &[&str], output: &str) -> Self {
        Self {
            op: op.into(),
            inputs: inputs.iter().map(|&x| x.into()).collect(),
            outputs: vec![output.into()],
            ..Self::default()
        }
    }

    pub(crate) fn with(mut self, name: &str, value: Attribute) -> Self {
        self.attributes.push((name.into(), value));
        self
    }

    /// The node in another domain than ONNX's own.
    pub(crate) fn of(mut self, domain: &str) -> Self {
        self.domain = domain.into();
        self
    }

    pub(crate) fn attribute(&self, name: &str) -> Option<&Attribute> {
        let mut found = self.attributes.iter().filter(|(n, _)| n == name);
        found.next().map(|(_, value)| value)
    }

    pub(crate) fn int(&self, name: &str, default: i64) -> i64 {
        match self.attribute(name) {
            Some(Attribute::Int(x)) => *x,
            _ => default,
        }
    }

    pub(crate) fn float(&self, name: &str, default: f64) -> f64 {
        match self.attribute(name) {
            Some(Attribute::Float(x)) => f64::from(*x),
            _ => default,
        }
    }

    pub(crate) fn ints(&self, name: &str) -> Option<&[i64]> {
        match self.attribute(name) {
            Some(Attribute::Ints(x)) => Some(x),
            _ => None,
        }
    }

    pub(crate) fn floats(&self, name: &str) -> Option<&[f32]> {
        match self.attribute(name) {
            Some(Attribute::Floats(x)) => Some(x),
            _ => None,
        }
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        match self.attribute(name) {
            Some(Attribute::Text(x)) => Some(x),
            _ => None,
        }
    }

    fn message(&self) -> NodeProto {
        NodeProto {
            name: self.outputs[0].clone(),
            op_type: self.op.clone(),
            domain: self.domain.clone(),
            input: self.inputs.clone(),
            output: self.outputs.clone(),
            attribute: self.attributes.iter().map(|(n, v)| v.message(n)).collect(),
            ..NodeProto::default()
        }
    }
}

impl Attribute {
    fn message(&self, name: &str) -> AttributeProto {
        let mut message = AttributeProto {
            name: name.into(),
            ..AttributeProto::default()
        };
        let kind = match self {
            Self::Int(x) => {
                message.i = *x;
                AttributeType::Int
            }
            Self::Float(x) => {
                message.f = *x;
                AttributeType::Float
            }
            Self::Text(x) => {
                message.s = x.clone().into();
                AttributeType::String
            }
            Self::Ints(x) => {
                message.ints.clone_from(x);
                AttributeType::Ints
            }
            Self::Floats(x) => {
                message.floats.clone_from(x);
                AttributeType::Floats
            }
            Self::Tensor(x) => {
                message.t = Some(x.message(""));
                AttributeType::Tensor
            }
        };
        message.r#type = kind as i32;
        message
    }
}

impl Case {
    /// Every value of the reference on sample `i`.
    pub(crate) fn run(&self, i: usize) -> Result<Values, String> {
        self.run_with(i, &mut |_, _, _| {})
    }

    /// [`Case::run`] with every result of an operator changed by `touch`.
    pub(crate) fn run_with(
        &self,
        i: usize,
        touch: &mut impl FnMut(Option<&Node>, &[&Tensor], &mut Tensor),
    ) -> Result<Values, String> {
        let mut values = self.constants.clone();
        for (name, tensor) in self.inputs.iter().zip(&self.samples[i]) {
            let mut tensor = tensor.clone();
            touch(None, &[], &mut tensor);
            values.insert(name.clone(), tensor);
        }
        for node in &self.nodes {
            let mut results = reference::run(node, &values)?;
            let operands: Vec<&Tensor> = node.inputs.iter().filter_map(|x| values.get(x)).collect();
            for tensor in &mut results {
                touch(Some(node), &operands, tensor);
            }
            values.extend(node.outputs.iter().cloned().zip(results));
        }
        Ok(values)
    }

    /// Drops nodes, constants and inputs that no output needs; one input stays.
    pub(crate) fn prune(&mut self) {
        let mut live: BTreeSet<String> = self.outputs.iter().cloned().collect();
        let mut nodes = Vec::new();
        for node in self.nodes.drain(..).rev() {
            if node.outputs.iter().any(|name| live.contains(name)) {
                live.extend(node.inputs.iter().cloned());
                nodes.push(node);
            }
        }
        nodes.reverse();
        self.nodes = nodes;
        self.constants.retain(|name, _| live.contains(name));
        let mut keep: Vec<bool> = self.inputs.iter().map(|name| live.contains(name)).collect();
        if !keep.contains(&true) {
            keep[0] = true;
        }
        let keep = &keep;
        for sample in &mut self.samples {
            let mut k = 0;
            sample.retain(|_| (keep[k], k += 1).0);
        }
        let mut k = 0;
        self.inputs.retain(|_| (keep[k], k += 1).0);
    }

    /// The model as the bytes of an ONNX file. `values` are those of a run.
    pub(crate) fn encode(&self, values: &Values) -> Vec<u8> {
        let declare = |name: &String| {
            let tensor = &values[name];
            declared(name, tensor.kind, &tensor.shape)
        };
        let graph = GraphProto {
            name: "random".into(),
            node: self.nodes.iter().map(Node::message).collect(),
            input: self.inputs.iter().map(declare).collect(),
            output: self.outputs.iter().map(declare).collect(),
            initializer: self.constants.iter().map(|(n, t)| t.message(n)).collect(),
            ..GraphProto::default()
        };
        let mut domains: BTreeSet<&str> = self.nodes.iter().map(|n| &*n.domain).collect();
        domains.insert("");
        let version = |domain: &str| match domain {
            "" => OPSET,
            "ai.onnx.ml" => 3,
            _ => 1,
        };
        let imports = domains.into_iter().map(|domain| OperatorSetIdProto {
            domain: domain.into(),
            version: version(domain),
        });
        let model = ModelProto {
            ir_version: 10,
            opset_import: imports.collect(),
            graph: Some(graph),
            ..ModelProto::default()
        };
        model.encode_to_vec()
    }
}

fn declared(name: &str, kind: Type, shape: &[usize]) -> ValueInfoProto {
    let dim = |&n: &usize| Dimension {
        value: Some(dimension::Value::DimValue(n as i64)),
        ..Dimension::default()
    };
    let tensor = type_proto::Tensor {
        elem_type: kind.code(),
        shape: Some(TensorShapeProto {
            dim: shape.iter().map(dim).collect(),
        }),
    };
    ValueInfoProto {
        name: name.into(),
        r#type: Some(TypeProto {
            value: Some(type_proto::Value::TensorType(tensor)),
            ..TypeProto::default()
        }),
        ..ValueInfoProto::default()
    }
}

impl Case {
    /// The same graph by other names.
    pub(crate) fn renamed(&self, random: &mut super::number::Random) -> Self {
        let mut names: BTreeMap<String, String> = BTreeMap::new();
        let mut rename = |name: &String| {
            if name.is_empty() {
                return String::new();
            }
            let fresh = format!("{:x}_{}", random.next() >> 40, names.len());
            names.entry(name.clone()).or_insert(fresh).clone()
        };
        let mut other = self.clone();
        // Inputs keep theirs, which are part of what a model is.
        let inputs: BTreeSet<&String> = self.inputs.iter().collect();
        let mut named = |name: &String| {
            if inputs.contains(name) {
                name.clone()
            } else {
                rename(name)
            }
        };
        for node in &mut other.nodes {
            node.inputs = node.inputs.iter().map(&mut named).collect();
            node.outputs = node.outputs.iter().map(&mut named).collect();
        }
        other.outputs = other.outputs.iter().map(&mut named).collect();
        let constants = std::mem::take(&mut other.constants);
        other.constants = constants.into_iter().map(|(n, t)| (named(&n), t)).collect();
        other
    }

    /// The same graph, its nodes in another order that is also topological.
    pub(crate) fn reordered(&self, random: &mut super::number::Random) -> Self {
        let mut other = self.clone();
        let mut left = std::mem::take(&mut other.nodes);
        let mut known: BTreeSet<String> = other.constants.keys().cloned().collect();
        known.extend(other.inputs.iter().cloned());
        known.insert(String::new());
        while !left.is_empty() {
            let ready: Vec<usize> = (0..left.len())
                .filter(|&k| left[k].inputs.iter().all(|name| known.contains(name)))
                .collect();
            let node = left.remove(random.pick(&ready));
            known.extend(node.outputs.iter().cloned());
            other.nodes.push(node);
        }
        other
    }
}
