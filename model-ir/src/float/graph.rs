//! The graph and its checked construction.

use super::op::Op;

/// The value that node `ValueId.0` produces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ValueId(pub usize);

/// One operator applied to earlier values.
#[derive(Clone, Debug)]
pub struct Node {
    /// The source model's name for the node, for messages.
    pub name: String,
    /// The operator.
    pub op: Op,
    /// Earlier values.
    pub inputs: Vec<ValueId>,
    /// Shape of the produced value.
    pub shape: Vec<usize>,
}

/// A float model in topological order. Made by [`GraphBuilder`].
#[derive(Clone, Debug)]
pub struct Graph {
    nodes: Vec<Node>,
    outputs: Vec<(String, ValueId)>,
    notes: Vec<String>,
}

/// Why a graph cannot be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("node `{node}`: {reason}")]
pub struct Error {
    /// The node's name.
    pub node: String,
    /// What is wrong and what would mend it.
    pub reason: String,
}

/// Builds a [`Graph`] node by node; every node's shape is inferred and checked as it is added.
#[derive(Clone, Debug, Default)]
pub struct GraphBuilder {
    nodes: Vec<Node>,
    notes: Vec<String>,
}

impl Graph {
    /// The nodes; node `i` produces `ValueId(i)`.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The outputs' names and values.
    pub fn outputs(&self) -> &[(String, ValueId)] {
        &self.outputs
    }

    /// The values of the inputs, in the order of the source model.
    pub fn inputs(&self) -> impl Iterator<Item = ValueId> + '_ {
        (0..self.nodes.len())
            .filter(|&i| matches!(self.nodes[i].op, Op::Input))
            .map(ValueId)
    }

    /// What the importer changed and the user should know (a dropped Softmax, a fixed batch axis).
    pub fn notes(&self) -> &[String] {
        &self.notes
    }
}

impl GraphBuilder {
    /// An empty graph.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a model input of static shape.
    pub fn input(&mut self, name: &str, shape: &[usize]) -> Result<ValueId, Error> {
        let node = Node {
            name: name.into(),
            op: Op::Input,
            inputs: vec![],
            shape: shape.to_vec(),
        };
        self.push(node)
    }

    /// Adds an operator; its output shape is inferred.
    pub fn add(&mut self, name: &str, op: Op, inputs: &[ValueId]) -> Result<ValueId, Error> {
        let shapes: Vec<&[usize]> = inputs.iter().map(|&v| self.shape(v)).collect();
        let shape = op.infer_shape(&shapes).map_err(|reason| Error {
            node: name.into(),
            reason,
        })?;
        let node = Node {
            name: name.into(),
            op,
            inputs: inputs.to_vec(),
            shape,
        };
        self.push(node)
    }

    /// Shape of an earlier value.
    pub fn shape(&self, value: ValueId) -> &[usize] {
        &self.nodes[value.0].shape
    }

    /// Records a remark for the user.
    pub fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }

    /// Names the outputs and ends the construction. Nodes that no output needs are dropped;
    /// unused inputs stay.
    pub fn finish(self, outputs: Vec<(String, ValueId)>) -> Result<Graph, Error> {
        let _ = outputs;
        unimplemented!("written with the shape rules")
    }

    fn push(&mut self, node: Node) -> Result<ValueId, Error> {
        self.nodes.push(node);
        Ok(ValueId(self.nodes.len() - 1))
    }
}

impl Op {
    /// The output shape, or what is wrong with the inputs.
    pub fn infer_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        let _ = inputs;
        unimplemented!("written with the shape rules")
    }
}
