//! Hidden inputs that a public output gives away, whatever the proof hides.

use crate::constants::Weights;
use crate::key::VerifyingKey;
use crate::options::Visibility;
use zkstrata_model_ir::int::{Graph, Op, Port};
use zkstrata_pcs::joint::RelationScheme;

/// What whoever sees a proof knows of a tensor.
#[derive(Clone, Copy, PartialEq)]
enum Knowledge {
    /// All of it: it depends on nothing that is hidden.
    All,
    /// It is a linear function of hidden inputs, with known coefficients; whether one of them is the input
    /// in question.
    Linear(bool),
    /// It is neither.
    None,
}

impl Knowledge {
    /// That of a sum.
    fn sum(self, other: Self) -> Self {
        match (self, other) {
            (Self::None, _) | (_, Self::None) => Self::None,
            (Self::All, sum) | (sum, Self::All) => sum,
            (Self::Linear(a), Self::Linear(b)) => Self::Linear(a || b),
        }
    }

    /// That of a product.
    fn product(self, other: Self) -> Self {
        match (self, other) {
            (Self::All, factor) | (factor, Self::All) => factor,
            _ => Self::None,
        }
    }
}

impl<C: RelationScheme> VerifyingKey<C> {
    /// The hidden inputs and public outputs of which the output is a linear function of the input, or of it
    /// and other hidden ones, with coefficients that whoever has the statement and the model knows: every
    /// cell of such an output is an equation on the input, and an output that copies cells shows them.
    /// Other functions may give an input away as well.
    pub fn exposed(&self) -> Vec<(&Port, &Port)> {
        let mut exposed = vec![];
        for (index, input) in self.graph.inputs.iter().enumerate() {
            if self.inputs.of(index) == Visibility::Public {
                continue;
            }
            let known = self.knowledge(&self.graph, input);
            for (index, output) in self.graph.outputs.iter().enumerate() {
                let public = self.outputs.of(index) == Visibility::Public;
                if public && known.get(output.tensor.0) == Some(&Knowledge::Linear(true)) {
                    exposed.push((input, output));
                }
            }
        }
        exposed
    }

    /// What is known of every tensor.
    fn knowledge(&self, graph: &Graph, input: &Port) -> Vec<Knowledge> {
        let of_weights = match self.weights() {
            Weights::Hidden(_) => Knowledge::None,
            Weights::Compact | Weights::Public => Knowledge::All,
        };
        let mut known: Vec<Knowledge> = Vec::with_capacity(graph.nodes.len());
        for (index, node) in graph.nodes.iter().enumerate() {
            let of = |x: usize| known.get(x).copied().unwrap_or(Knowledge::None);
            let mut operands = node.inputs.iter().map(|x| of(x.0));
            let first = operands.next().unwrap_or(Knowledge::All);
            let here = match &node.op {
                Op::Input => {
                    let mut ports = graph.inputs.iter();
                    let port = ports.position(|port| port.tensor.0 == index);
                    match port.map(|port| self.inputs.of(port)) {
                        Some(Visibility::Public) => Knowledge::All,
                        _ => Knowledge::Linear(index == input.tensor.0),
                    }
                }
                Op::Constant { .. } => of_weights,
                Op::Map(_) | Op::Permute { .. } | Op::Gather { .. } => first,
                Op::Sum { .. } => operands.fold(first, Knowledge::sum),
                Op::Affine(_) => first.product(of_weights),
                Op::Contract(_) => first.product(operands.next().unwrap_or(first)),
                Op::Table {
                    table,
                    shift: 0,
                    offset: 0,
                    ..
                } if self.is_identity(node.inputs.first().map(|x| x.0), table.0) => first,
                Op::Table { .. } if first == Knowledge::All => first,
                Op::Table { .. } => Knowledge::None,
            };
            known.push(here);
        }
        known
    }

    /// Whether a table changes no cell of a tensor.
    fn is_identity(&self, tensor: Option<usize>, table: usize) -> bool {
        let node = tensor.and_then(|tensor| self.graph.nodes.get(tensor));
        let table = self.graph.tables.get(table);
        let (Some(node), Some(table)) = (node, table) else {
            return false;
        };
        table.is_identity_on(node.interval)
    }
}
