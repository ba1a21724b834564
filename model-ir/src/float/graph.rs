//! The graph and its checked construction.

use super::op::Op;
use super::shape::check_shape;

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
            .filter(|&i| matches!(self.nodes[i].op, Op::Input { .. }))
            .map(ValueId)
    }

    /// What the importer changed and the user should know (a dropped rounding, a fixed batch axis).
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
        self.declare(name, shape, false)
    }

    /// Adds a model input of static shape whose cells are integers: indices, truth values.
    pub fn integral_input(&mut self, name: &str, shape: &[usize]) -> Result<ValueId, Error> {
        self.declare(name, shape, true)
    }

    fn declare(&mut self, name: &str, shape: &[usize], integral: bool) -> Result<ValueId, Error> {
        let node = Node {
            name: name.into(),
            op: Op::Input { integral },
            inputs: vec![],
            shape: shape.to_vec(),
        };
        self.push(node)
    }

    /// Adds an operator; its output shape is inferred.
    pub fn add(&mut self, name: &str, op: Op, inputs: &[ValueId]) -> Result<ValueId, Error> {
        if let Some(bad) = inputs.iter().find(|v| v.0 >= self.nodes.len()) {
            return Err(Error {
                node: name.into(),
                reason: format!("input is value {} of {}", bad.0, self.nodes.len()),
            });
        }
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

    /// The operators so far; operator `i` produces `ValueId(i)`.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Records a remark for the user.
    pub fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }

    /// Names the outputs and ends the construction. Nodes that no output needs are dropped;
    /// unused inputs stay.
    ///
    /// # Errors
    /// An output that names no node, a graph without outputs, a constant that is NaN or infinite.
    pub fn finish(self, outputs: Vec<(String, ValueId)>) -> Result<Graph, Error> {
        let fail = |node: &str, reason: String| Error {
            node: node.into(),
            reason,
        };
        if outputs.is_empty() {
            return Err(fail("", "the graph has no outputs".into()));
        }
        for (name, value) in &outputs {
            if value.0 >= self.nodes.len() {
                let reason = format!("output is value {} of {}", value.0, self.nodes.len());
                return Err(fail(name, reason));
            }
        }
        for node in &self.nodes {
            if let Some(bad) = node.op.constants().find(|x| !x.is_finite()) {
                let reason = format!("a constant is {bad}; weights must be finite");
                return Err(fail(&node.name, reason));
            }
        }
        Ok(Graph::pruned(self.nodes, outputs, self.notes))
    }

    fn push(&mut self, node: Node) -> Result<ValueId, Error> {
        check_shape(&node.shape).map_err(|reason| Error {
            node: node.name.clone(),
            reason,
        })?;
        self.nodes.push(node);
        Ok(ValueId(self.nodes.len() - 1))
    }
}

impl Graph {
    /// Keeps the inputs and what the outputs need of `nodes`, in their order.
    pub(super) fn pruned(
        nodes: Vec<Node>,
        mut outputs: Vec<(String, ValueId)>,
        notes: Vec<String>,
    ) -> Self {
        let mut live = vec![false; nodes.len()];
        for (_, value) in &outputs {
            live[value.0] = true;
        }
        for i in (0..nodes.len()).rev() {
            live[i] |= matches!(nodes[i].op, Op::Input { .. });
            if live[i] {
                nodes[i].inputs.iter().for_each(|v| live[v.0] = true);
            }
        }
        let mut renamed = vec![ValueId(usize::MAX); nodes.len()];
        let mut kept = Vec::new();
        for (i, mut node) in nodes.into_iter().enumerate().filter(|(i, _)| live[*i]) {
            node.inputs.iter_mut().for_each(|v| *v = renamed[v.0]);
            renamed[i] = ValueId(kept.len());
            kept.push(node);
        }
        for (_, v) in &mut outputs {
            *v = renamed[v.0];
        }
        Self {
            nodes: kept,
            outputs,
            notes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::activation::Activation;
    use super::*;

    #[test]
    fn finish_checks_and_prunes() {
        let mut builder = GraphBuilder::new();
        let x = builder.input("x", &[2]).expect("a vector");
        let unused = builder.input("u", &[1]).expect("a vector");
        let relu = Op::Activation(Activation::Relu);
        builder.add("dead", relu.clone(), &[x]).expect("relu");
        let y = builder.add("y", relu.clone(), &[x]).expect("relu");
        assert!(builder.clone().finish(vec![]).is_err());
        assert!(
            builder
                .clone()
                .finish(vec![("z".into(), ValueId(9))])
                .is_err()
        );
        assert!(builder.add("z", relu, &[ValueId(9)]).is_err());
        assert!(builder.input("empty", &[0]).is_err());
        let graph = builder
            .clone()
            .finish(vec![("y".into(), y)])
            .expect("valid");
        assert_eq!(graph.nodes().len(), 3);
        assert_eq!(graph.inputs().collect::<Vec<_>>(), [x, unused]);
        assert_eq!(graph.outputs()[0].1, ValueId(2));
        let pad = Op::Pad {
            pads: vec![(0, 1)],
            value: f32::INFINITY,
        };
        let bad = builder.add("bad", pad, &[y]).expect("shapes are fine");
        let error = builder
            .finish(vec![("bad".into(), bad)])
            .expect_err("infinite");
        assert_eq!(error.node, "bad");
    }
}
