//! Which input or output of a model something is about.

use zkstrata_model_ir::int::{Graph, Port};

/// An input or output of a model, in the order of the commitments in an opening.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum PortId {
    /// The input at a position.
    Input(usize),
    /// The output at a position.
    Output(usize),
}

impl PortId {
    /// Its port.
    pub(crate) fn of(self, graph: &Graph) -> Option<&Port> {
        match self {
            Self::Input(index) => graph.inputs.get(index),
            Self::Output(index) => graph.outputs.get(index),
        }
    }

    /// What messages call it.
    pub(crate) fn name(self, graph: &Graph) -> String {
        let kind = match self {
            Self::Input(_) => "input",
            Self::Output(_) => "output",
        };
        let name = self.of(graph).map_or("", |port| port.name.as_str());
        format!("{kind} `{name}`")
    }
}
