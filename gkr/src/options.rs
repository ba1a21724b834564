//! What can be chosen when keys are made.

use crate::commitment::DEFAULT_USES;
use crate::constants::Weights;
#[cfg(feature = "prover")]
use crate::error::SetupError;
use crate::port::PortId;
use serde::{Deserialize, Serialize};
use std::num::NonZeroU16;
use zkstrata_model_ir::bounded;
#[cfg(feature = "prover")]
use zkstrata_model_ir::int::Model;
use zkstrata_model_ir::int::{Graph, MAX_PORTS, Port};
use zkstrata_pcs::joint::{ProofProfile, Word};

/// Why verifiers believe that what a key commits to are weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Trust {
    /// They trust whoever made the key, or have made it anew themselves.
    #[default]
    Maker,
    /// They have verified the key's certificate ([`VerifyingKey::certify`](crate::VerifyingKey::certify)):
    /// proofs open a few rows more, and a maker who commits to anything but weights is found out.
    Certificate,
}

impl Trust {
    /// What is known of the word of a key.
    pub(crate) fn word(self) -> Word {
        match self {
            Self::Maker => Word::Codeword,
            Self::Certificate => Word::Certified,
        }
    }
}

/// Who sees an input or an output of the model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Visibility {
    /// Everybody: its cells are part of the statement.
    #[default]
    Public,
    /// The prover alone. A proof says that there is an input in the interval of the port, and shows
    /// nothing of it but what the public parts of its statement tell; nor of any activation. For inputs
    /// only.
    Private,
    /// Whoever committed to it: the statement holds a [commitment](crate::TensorCommitment), and proofs
    /// with the same one are about the same tensor.
    Committed {
        /// How many proofs the commitment stays hidden in. An output that is to be an input of another
        /// model has the same number in both keys.
        uses: NonZeroU16,
    },
}

impl Visibility {
    /// [`Committed`](Self::Committed), for the number of uses that suits most.
    pub const COMMITTED: Self = Self::Committed { uses: DEFAULT_USES };
}

/// Who sees each input, or each output, of a model.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Visibilities(Choice);

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
enum Choice {
    All(Visibility),
    Each(#[serde(deserialize_with = "bounded::<_, _, MAX_PORTS>")] Vec<Visibility>),
}

impl Default for Visibilities {
    fn default() -> Self {
        Self::PUBLIC
    }
}

impl Visibilities {
    /// Everybody sees all of them.
    pub const PUBLIC: Self = Self(Choice::All(Visibility::Public));

    /// The same for all of them.
    pub fn all(visibility: Visibility) -> Self {
        Self(Choice::All(visibility))
    }

    /// One for each, in the order of the model's ports; setup refuses another number.
    pub fn each(visibilities: impl IntoIterator<Item = Visibility>) -> Self {
        Self(Choice::Each(visibilities.into_iter().collect()))
    }

    /// That of the port at this position.
    pub fn of(&self, port: usize) -> Visibility {
        match &self.0 {
            Choice::All(visibility) => *visibility,
            Choice::Each(each) => each.get(port).copied().unwrap_or_default(),
        }
    }

    /// How many ports it speaks of, if it is not all.
    #[cfg(feature = "prover")]
    pub(crate) fn count(&self) -> Option<usize> {
        match &self.0 {
            Choice::All(_) => None,
            Choice::Each(each) => Some(each.len()),
        }
    }

    /// Whether one of so many ports is hidden.
    pub(crate) fn hide(&self, ports: usize) -> bool {
        (0..ports).any(|port| self.of(port) != Visibility::Public)
    }

    /// The committed ones of so many ports, with their uses.
    pub(crate) fn committed(&self, ports: usize) -> impl Iterator<Item = (usize, NonZeroU16)> {
        (0..ports).filter_map(|port| match self.of(port) {
            Visibility::Committed { uses } => Some((port, uses)),
            Visibility::Public | Visibility::Private => None,
        })
    }

    /// Those of a model with so many ports, and no others.
    pub(crate) fn cut(&self, ports: usize) -> Self {
        Self::each((0..ports).map(|port| self.of(port)))
    }
}

/// What can be chosen when keys are made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SetupOptions {
    /// How the verifier knows the weights.
    pub weights: Weights,
    /// Whether proofs are made fast or small.
    pub proof: ProofProfile,
    /// Why it believes that committed weights are some. Public ones and none need no reason.
    pub trust: Trust,
    /// Who sees the inputs.
    pub inputs: Visibilities,
    /// Who sees the outputs. None is private: a proof of nothing says nothing.
    pub outputs: Visibilities,
}

impl SetupOptions {
    /// Whether proofs about a model hide something.
    pub(crate) fn hide(&self, graph: &Graph) -> bool {
        let ports = self.inputs.hide(graph.inputs.len()) || self.outputs.hide(graph.outputs.len());
        ports || matches!(self.weights, Weights::Hidden(_))
    }

    /// The committed ports of a model, inputs first, with their uses.
    pub(crate) fn committed(&self, graph: &Graph) -> impl Iterator<Item = (PortId, NonZeroU16)> {
        let inputs = self.inputs.committed(graph.inputs.len());
        let inputs = inputs.map(|(port, uses)| (PortId::Input(port), uses));
        let outputs = self.outputs.committed(graph.outputs.len());
        inputs.chain(outputs.map(|(port, uses)| (PortId::Output(port), uses)))
    }

    /// The first output that is said to be private.
    pub(crate) fn private_output<'a>(&self, graph: &'a Graph) -> Option<&'a Port> {
        let mut outputs = graph.outputs.iter().enumerate();
        let private = |(port, _): &(usize, &Port)| self.outputs.of(*port) == Visibility::Private;
        outputs.find(private).map(|(_, port)| port)
    }
}

#[cfg(feature = "prover")]
impl SetupOptions {
    /// Makes a model one for keys with these options, which are returned as they apply to it: private
    /// inputs have guards, and the graph tells the size of hidden weights by powers of two.
    pub(crate) fn fit(&self, model: &mut Model) -> Result<Self, SetupError> {
        let mut options = self.clone();
        if model.weights.is_empty() && model.biases.is_empty() {
            options.weights = Weights::Compact;
        }
        if let Weights::Hidden(_) = options.weights {
            model.coarsen().ok_or(SetupError::Wraps)?;
        }
        let graph = &mut model.graph;
        let inputs = graph.inputs.len();
        for (kind, of, ports) in [
            ("inputs", &self.inputs, inputs),
            ("outputs", &self.outputs, graph.outputs.len()),
        ] {
            if let Some(found) = of.count().filter(|&found| found != ports) {
                return Err(SetupError::Visibilities { kind, found, ports });
            }
        }
        if let Some(port) = self.private_output(graph) {
            return Err(SetupError::PrivateOutput {
                port: port.name.clone(),
            });
        }
        for port in 0..inputs {
            if self.inputs.of(port) != Visibility::Public {
                graph.add_guard(port)?;
            }
        }
        Ok(options)
    }
}
