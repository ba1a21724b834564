//! The decoded model: its graph, the versions of its operator sets, and a summary for the user.

use std::collections::BTreeMap;

use prost::Message;

use crate::Error;
use crate::decode::scan;
use crate::proto::{GraphProto, ModelProto, NodeProto};

/// What a model file says about itself, supported or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The exporter and its version.
    pub producer: String,
    /// Version of the file format.
    pub ir_version: i64,
    /// Version of each operator set, by domain (`ai.onnx` is the default one).
    pub opsets: BTreeMap<String, i64>,
    /// Elements of all initializers.
    pub parameters: u64,
    /// How often each operator occurs.
    pub operators: BTreeMap<String, usize>,
}

/// A decoded model.
pub(crate) struct Model {
    pub(crate) graph: GraphProto,
    pub(crate) opsets: Opsets,
}

/// The version of each domain's operator set.
pub(crate) struct Opsets(BTreeMap<String, i64>);

/// The supported versions of each domain.
const SUPPORTED: [(&str, i64, i64); 2] = [("ai.onnx", 7, 28), ("ai.onnx.ml", 1, 5)];

impl Opsets {
    /// The version of the domain of `node`; 0 for a domain that the model does not import.
    pub(crate) fn of(&self, node: &NodeProto) -> i64 {
        self.0.get(domain(node)).copied().unwrap_or(0)
    }
}

impl Model {
    /// Decodes a model and checks its operator sets.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let model = decode(bytes)?;
        let opsets = opsets(&model)?;
        for (domain, first, last) in SUPPORTED {
            match opsets.get(domain) {
                Some(&version) if !(first..=last).contains(&version) => {
                    return Err(Error::UnsupportedOpset {
                        domain: domain.into(),
                        version,
                        first,
                        last,
                    });
                }
                _ => {}
            }
        }
        if opsets.is_empty() {
            return Err(Error::Incomplete {
                reason: "it names no operator set".into(),
            });
        }
        let graph = model.graph.ok_or_else(no_graph)?;
        Ok(Self {
            graph,
            opsets: Opsets(opsets),
        })
    }
}

/// Summarises a model without importing it, so that it works for unsupported models too.
///
/// # Errors
/// Bytes that are not an ONNX model.
pub fn summary(model: &[u8]) -> Result<Summary, Error> {
    let model = decode(model)?;
    let opsets = opsets(&model)?;
    let graph = model.graph.ok_or_else(no_graph)?;
    let mut operators = BTreeMap::new();
    for node in &graph.node {
        *operators.entry(node.op_type.clone()).or_default() += 1;
    }
    let cells = |dims: &[i64]| {
        dims.iter()
            .try_fold(1_u64, |n, &d| n.checked_mul(u64::try_from(d).ok()?))
    };
    let parameters = graph
        .initializer
        .iter()
        .map(|t| cells(&t.dims).unwrap_or(0));
    Ok(Summary {
        producer: [model.producer_name, model.producer_version]
            .join(" ")
            .trim()
            .into(),
        ir_version: model.ir_version,
        opsets,
        parameters: parameters.fold(0, u64::saturating_add),
        operators,
    })
}

/// The domain by its full name.
pub(crate) fn domain(proto: &NodeProto) -> &str {
    if proto.domain.is_empty() {
        "ai.onnx"
    } else {
        &proto.domain
    }
}

fn no_graph() -> Error {
    Error::Incomplete {
        reason: "it has no graph".into(),
    }
}

fn decode(bytes: &[u8]) -> Result<ModelProto, Error> {
    scan::check(bytes)?;
    Ok(ModelProto::decode(bytes)?)
}

/// The operator sets by domain. Some exporters name a domain twice; the versions must agree.
fn opsets(model: &ModelProto) -> Result<BTreeMap<String, i64>, Error> {
    let mut opsets = BTreeMap::new();
    for set in &model.opset_import {
        let domain = match set.domain.as_str() {
            "" => "ai.onnx",
            domain => domain,
        };
        let former = opsets.insert(domain.to_owned(), set.version);
        if former.is_some_and(|version| version != set.version) {
            return Err(Error::DuplicateName {
                name: format!("opset of domain {domain}"),
            });
        }
    }
    Ok(opsets)
}
