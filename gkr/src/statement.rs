//! What is proven: this model maps these inputs to these outputs.

use crate::commitment::TensorCommitment;
use crate::error::StatementError;
use crate::form::{Form, PortForm};
use crate::options::{SetupOptions, Visibility};
use crate::plan::Plan;
use crate::port::PortId;
use serde::{Deserialize, Serialize};
use zkstrata_mle::{E, eval_dense};
use zkstrata_model_ir::int::{Graph, MAX_PORTS, Port, TensorId};
use zkstrata_model_ir::{Digest, bounded};
use zkstrata_pcs::joint::RelationScheme;

/// What a statement says of an input or an output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PortValue {
    /// These are its cells.
    Public(Vec<i64>),
    /// There are some in the port's interval, which the prover knows. Inputs only.
    Private,
    /// They are those that this is a commitment to.
    Committed(TensorCommitment),
}

impl PortValue {
    /// The cells, if everybody may know them.
    pub fn public(&self) -> Option<&[i64]> {
        match self {
            Self::Public(cells) => Some(cells),
            Self::Private | Self::Committed(_) => None,
        }
    }

    /// The same, to be changed.
    pub fn public_mut(&mut self) -> Option<&mut Vec<i64>> {
        match self {
            Self::Public(cells) => Some(cells),
            Self::Private | Self::Committed(_) => None,
        }
    }

    /// The commitment, if there is one.
    pub fn commitment(&self) -> Option<&TensorCommitment> {
        match self {
            Self::Committed(commitment) => Some(commitment),
            Self::Public(_) | Self::Private => None,
        }
    }

    fn is_as(&self, visibility: Visibility) -> bool {
        matches!(
            (self, visibility),
            (Self::Public(_), Visibility::Public)
                | (Self::Private, Visibility::Private)
                | (Self::Committed(_), Visibility::Committed { .. })
        )
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Public(_) => "public",
            Self::Private => "private",
            Self::Committed(_) => "committed",
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
    /// One integer tensor per model input, or that it is private, or a commitment to it.
    #[serde(deserialize_with = "bounded::<_, _, MAX_PORTS>")]
    pub inputs: Vec<PortValue>,
    /// One integer tensor per model output, or a commitment to it.
    #[serde(deserialize_with = "bounded::<_, _, MAX_PORTS>")]
    pub outputs: Vec<PortValue>,
}

impl Statement {
    /// The outputs as real numbers: `[inference][output][cell]`, cells in row-major order of the
    /// output's shape, none of an output that is not public. `graph` is that of the key that accepted the
    /// statement.
    #[allow(clippy::as_conversions)] // to the nearest real number
    pub fn real_outputs(&self, graph: &Graph) -> Vec<Vec<Vec<f64>>> {
        let batch = self.batch(graph);
        let output = |inference: usize, (port, value): (&Port, &PortValue)| {
            let cells = value.public().unwrap_or_default();
            let one = cells.len() / batch;
            let cells = cells.iter().skip(inference * one).take(one);
            cells.map(|&x| x as f64 * port.scale).collect()
        };
        let ports = || graph.outputs.iter().zip(&self.outputs);
        (0..batch)
            .map(|inference| ports().map(|p| output(inference, p)).collect())
            .collect()
    }

    /// Number of inferences, from the first output: the number of its cells, or its commitment.
    pub fn batch(&self, graph: &Graph) -> usize {
        match (self.outputs.first(), graph.outputs.first()) {
            (Some(PortValue::Public(cells)), Some(port)) => {
                cells.len() / cells_of(graph, port).max(1)
            }
            (Some(PortValue::Committed(commitment)), _) => commitment.batch(),
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
        options: &SetupOptions,
        batch: usize,
    ) -> Result<(), StatementError> {
        let inputs = (0..graph.inputs.len()).map(|k| (PortId::Input(k), options.inputs.of(k)));
        let outputs = (0..graph.outputs.len()).map(|k| (PortId::Output(k), options.outputs.of(k)));
        for (id, visibility) in inputs.chain(outputs) {
            let value = self.value(id).filter(|value| !value.is_as(visibility));
            if let Some(value) = value {
                return Err(StatementError::Visibility {
                    port: id.name(graph),
                    found: value.name(),
                });
            }
        }
        let cells = self.inputs.iter().map(PortValue::public);
        check_ports(graph, "input", &graph.inputs, cells, batch)?;
        let cells = self.outputs.iter().map(PortValue::public);
        check_ports(graph, "output", &graph.outputs, cells, batch)
    }

    /// What is said of an input or an output.
    fn value(&self, id: PortId) -> Option<&PortValue> {
        match id {
            PortId::Input(index) => self.inputs.get(index),
            PortId::Output(index) => self.outputs.get(index),
        }
    }

    /// The commitments to ports, in the order of their opening; they must be to tensors of this form.
    pub(crate) fn commitments<C: RelationScheme>(
        &self,
        form: &Form,
    ) -> Result<Vec<C::Commitment>, StatementError> {
        let commitment = |port: &PortForm| {
            let refused = |reason: String| StatementError::Commitment {
                port: port.id.name(&form.plan.graph),
                reason,
            };
            let found = self.value(port.id).and_then(PortValue::commitment);
            let found = found.ok_or_else(|| refused("it has no commitment".into()))?;
            found.check(&port.form).map_err(refused)?;
            let decoded = found.decode::<C>(&port.layout);
            decoded.ok_or_else(|| refused("its commitment is malformed".into()))
        };
        form.ports.iter().map(commitment).collect()
    }
}

/// Cells of one inference.
pub(crate) fn cells_of(graph: &Graph, port: &Port) -> usize {
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
        if let Some(cells) = cells {
            check_cells(graph, (kind, port), cells, batch)?;
        }
    }
    Ok(())
}

/// Checks that a tensor has the length, and every cell lies in the interval, that the graph gives it.
pub(crate) fn check_cells(
    graph: &Graph,
    (kind, port): (&str, &Port),
    cells: &[i64],
    batch: usize,
) -> Result<(), StatementError> {
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
    Ok(())
}

/// The multilinear extension of a public tensor.
pub(crate) fn eval_public(plan: &Plan, tensor: TensorId, cells: &[i64], point: &[E]) -> E {
    eval_dense(cells, &plan.axes(tensor), point)
}
