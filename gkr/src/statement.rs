//! What is proven: this model maps these inputs to these outputs.

use crate::error::StatementError;
use crate::options::{Visibilities, Visibility};
use crate::plan::Plan;
use serde::{Deserialize, Serialize};
use zkstrata_mle::{E, eval_dense};
use zkstrata_model_ir::int::{Graph, MAX_PORTS, Port, TensorId};
use zkstrata_model_ir::{Digest, bounded};

/// What a statement says of an input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PortValue {
    /// These are its cells.
    Public(Vec<i64>),
    /// There are some in the port's interval, which the prover knows.
    Private,
}

impl PortValue {
    /// The cells, if everybody may know them.
    pub fn public(&self) -> Option<&[i64]> {
        match self {
            Self::Public(cells) => Some(cells),
            Self::Private => None,
        }
    }
}

/// Inputs and outputs of a batch of inferences. Tensors are dense and row-major with the
/// batch as the first axis, in the order of the model's ports; `real = port scale * integer`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// The model: the digest of its verifying key.
    pub model: Digest,
    /// What the proof is made for: a nonce of the verifier, or the name of an audience. Nobody can
    /// show the proof with another one; zeros if it does not matter.
    pub context: [u8; 32],
    /// The session that has made the proof, if the weights are hidden.
    pub session: Option<Digest>,
    /// One integer tensor per model input, or that it is private.
    #[serde(deserialize_with = "bounded::<_, _, MAX_PORTS>")]
    pub inputs: Vec<PortValue>,
    /// One integer tensor per model output.
    #[serde(deserialize_with = "bounded::<_, _, MAX_PORTS>")]
    pub outputs: Vec<Vec<i64>>,
}

impl Statement {
    /// The outputs as real numbers: `[inference][output][cell]`, cells in row-major order of the
    /// output's shape. `graph` is that of the key that accepted the statement.
    #[allow(clippy::as_conversions)] // to the nearest real number
    pub fn real_outputs(&self, graph: &Graph) -> Vec<Vec<Vec<f64>>> {
        let batch = self.batch(graph);
        let output = |inference: usize, (port, cells): (&Port, &Vec<i64>)| {
            let one = cells.len() / batch;
            let cells = cells.iter().skip(inference * one).take(one);
            cells.map(|&x| x as f64 * port.scale).collect()
        };
        let ports = || graph.outputs.iter().zip(&self.outputs);
        (0..batch)
            .map(|inference| ports().map(|p| output(inference, p)).collect())
            .collect()
    }

    /// Number of inferences, from the length of the first output.
    pub fn batch(&self, graph: &Graph) -> usize {
        match (self.outputs.first(), graph.outputs.first()) {
            (Some(cells), Some(port)) => cells.len() / cells_of(graph, port).max(1),
            _ => 0,
        }
    }

    /// The digest that the tape starts from: the model, the batch size, inputs and outputs.
    pub(crate) fn digest(&self, batch: usize) -> Digest {
        Digest::of("zkstrata 2026 statement", &(batch, self))
    }

    /// Checks that every tensor is as visible as the key says, and has the length and every cell lies
    /// in the interval that the graph gives them.
    pub(crate) fn check(
        &self,
        graph: &Graph,
        inputs: &Visibilities,
        batch: usize,
    ) -> Result<(), StatementError> {
        for (index, (port, value)) in graph.inputs.iter().zip(&self.inputs).enumerate() {
            let found = match (value, inputs.of(index)) {
                (PortValue::Public(_), Visibility::Public)
                | (PortValue::Private, Visibility::Private) => continue,
                (PortValue::Public(_), Visibility::Private) => "public",
                (PortValue::Private, Visibility::Public) => "private",
            };
            return Err(StatementError::Visibility {
                port: port.name.clone(),
                found,
            });
        }
        let cells = self.inputs.iter().map(PortValue::public);
        check_ports(graph, "input", &graph.inputs, cells, batch)?;
        let cells = self.outputs.iter().map(|cells| Some(cells.as_slice()));
        check_ports(graph, "output", &graph.outputs, cells, batch)
    }
}

/// Cells of one inference.
fn cells_of(graph: &Graph, port: &Port) -> usize {
    graph.node(port.tensor).axes.iter().product()
}

fn check_ports<'a>(
    graph: &Graph,
    kind: &str,
    ports: &[Port],
    tensors: impl ExactSizeIterator<Item = Option<&'a [i64]>>,
    batch: usize,
) -> Result<(), StatementError> {
    if tensors.len() != ports.len() {
        return Err(StatementError::Length {
            what: format!("number of {kind}s"),
            found: tensors.len(),
            expected: ports.len(),
        });
    }
    for (port, cells) in ports.iter().zip(tensors) {
        let Some(cells) = cells else { continue };
        let expected = cells_of(graph, port).saturating_mul(batch);
        if cells.len() != expected {
            return Err(StatementError::Length {
                what: format!("cells of {kind} `{}`", port.name),
                found: cells.len(),
                expected,
            });
        }
        let interval = graph.node(port.tensor).interval;
        let outside = |&(_, &x): &(usize, &i64)| x < interval.lo || x > interval.hi;
        if let Some((cell, &value)) = cells.iter().enumerate().find(outside) {
            return Err(StatementError::Interval {
                port: format!("{kind} `{}`", port.name),
                cell,
                value,
                lo: interval.lo,
                hi: interval.hi,
            });
        }
    }
    Ok(())
}

/// The multilinear extension of a public tensor.
pub(crate) fn eval_public(plan: &Plan, tensor: TensorId, cells: &[i64], point: &[E]) -> E {
    eval_dense(cells, &plan.axes(tensor), point)
}
