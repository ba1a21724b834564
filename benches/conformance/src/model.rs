//! What a model file says of its inputs, outputs and operators.

use prost::Message;
use std::collections::{BTreeSet, HashSet};
use zkstrata_onnx_import::proto::ModelProto;

/// Names in the order of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Names {
    /// Inputs that are no initializers.
    pub(crate) inputs: Vec<String>,
    pub(crate) outputs: Vec<String>,
    /// Every operator once, sorted.
    pub(crate) operators: Vec<String>,
}

impl Names {
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, String> {
        let model = ModelProto::decode(bytes).map_err(|error| error.to_string())?;
        let graph = model.graph.unwrap_or_default();
        let stored: HashSet<&str> = graph.initializer.iter().map(|t| &*t.name).collect();
        let inputs = graph.input.iter().map(|input| input.name.clone());
        let operators: BTreeSet<&String> = graph.node.iter().map(|node| &node.op_type).collect();
        Ok(Self {
            inputs: inputs.filter(|name| !stored.contains(&**name)).collect(),
            outputs: graph.output.iter().map(|o| o.name.clone()).collect(),
            operators: operators.into_iter().cloned().collect(),
        })
    }
}
