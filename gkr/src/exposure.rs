//! Hidden inputs that a public output gives away, whatever the proof hides.

use crate::constants::Weights;
use crate::key::VerifyingKey;
use crate::options::Visibility;
use zkstrata_model_ir::int::{Graph, Op, Port};
use zkstrata_pcs::joint::RelationScheme;

impl<C: RelationScheme> VerifyingKey<C> {
    /// The hidden inputs and public outputs of which the output is a linear function of the input, or of it
    /// and others, with coefficients that whoever has the model knows: every cell of such an output is an
    /// equation on the input, and an output that copies cells shows them.
    pub fn exposed(&self) -> Vec<(&Port, &Port)> {
        let hidden_weights = matches!(self.weights(), Weights::Hidden(_));
        let mut exposed = vec![];
        for (index, input) in self.graph.inputs.iter().enumerate() {
            if self.inputs.of(index) == Visibility::Public {
                continue;
            }
            let linear = linear(&self.graph, input, hidden_weights);
            for (index, output) in self.graph.outputs.iter().enumerate() {
                let public = self.outputs.of(index) == Visibility::Public;
                if public && linear.get(output.tensor.0) == Some(&true) {
                    exposed.push((input, output));
                }
            }
        }
        exposed
    }
}

/// Of every tensor, whether it is a linear function of an input.
fn linear(graph: &Graph, input: &Port, hidden_weights: bool) -> Vec<bool> {
    let mut linear: Vec<bool> = Vec::with_capacity(graph.nodes.len());
    for (index, node) in graph.nodes.iter().enumerate() {
        let of = |x: usize| linear.get(x) == Some(&true);
        let operand = node.inputs.iter().any(|x| of(x.0));
        linear.push(match node.op {
            Op::Input => index == input.tensor.0,
            Op::Map(_) | Op::Permute { .. } | Op::Gather { .. } | Op::Sum { .. } => operand,
            Op::Affine(_) => operand && !hidden_weights,
            Op::Table { .. } | Op::Contract(_) | Op::Constant { .. } => false,
        });
    }
    linear
}
