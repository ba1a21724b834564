//! What can be chosen when keys are made.

use crate::constants::Weights;
use serde::{Deserialize, Serialize};
use zkstrata_model_ir::bounded;
use zkstrata_model_ir::int::MAX_PORTS;
use zkstrata_pcs::joint::{ProofProfile, Word};
#[cfg(feature = "prover")]
use {crate::error::SetupError, zkstrata_model_ir::int::Model};

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

/// Who sees an input of the model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Visibility {
    /// Everybody: its cells are part of the statement.
    #[default]
    Public,
    /// The prover alone. A proof says that there is an input in the interval of the port, and shows
    /// nothing of it but what the public parts of its statement tell; nor of any activation.
    Private,
}

/// Who sees each input of a model.
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
    /// Everybody sees all inputs.
    pub const PUBLIC: Self = Self(Choice::All(Visibility::Public));

    /// The same for all inputs.
    pub fn all(visibility: Visibility) -> Self {
        Self(Choice::All(visibility))
    }

    /// One for each input, in the order of the model's inputs; setup refuses another number.
    pub fn each(visibilities: impl IntoIterator<Item = Visibility>) -> Self {
        Self(Choice::Each(visibilities.into_iter().collect()))
    }

    /// That of the input at this position.
    pub fn of(&self, port: usize) -> Visibility {
        match &self.0 {
            Choice::All(visibility) => *visibility,
            Choice::Each(each) => each.get(port).copied().unwrap_or_default(),
        }
    }

    /// How many inputs it speaks of, if it is not all.
    #[cfg(feature = "prover")]
    pub(crate) fn count(&self) -> Option<usize> {
        match &self.0 {
            Choice::All(_) => None,
            Choice::Each(each) => Some(each.len()),
        }
    }

    /// Whether one of so many inputs is hidden.
    pub(crate) fn hide(&self, ports: usize) -> bool {
        (0..ports).any(|port| self.of(port) == Visibility::Private)
    }

    /// Those of a model with so many inputs, and no others.
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
}

impl SetupOptions {
    /// Whether proofs about a model with so many inputs hide something.
    pub(crate) fn hide(&self, inputs: usize) -> bool {
        self.inputs.hide(inputs) || matches!(self.weights, Weights::Hidden(_))
    }
}

#[cfg(feature = "prover")]
impl SetupOptions {
    /// Makes a model one for keys with these options, which are returned as they apply to it: private
    /// inputs have guards, and the graph tells the size of hidden weights by powers of two.
    pub(crate) fn fit(&self, model: &mut Model) -> Result<Self, SetupError> {
        let mut options = self.clone();
        if model.weights.is_empty() && model.biases.is_empty() {
            options.weights = Weights::Committed;
        }
        if let Weights::Hidden(_) = options.weights {
            model.coarsen().ok_or(SetupError::Wraps)?;
        }
        let graph = &mut model.graph;
        let inputs = graph.inputs.len();
        if let Some(found) = self.inputs.count().filter(|&found| found != inputs) {
            return Err(SetupError::Visibilities { found, inputs });
        }
        for port in 0..inputs {
            if self.inputs.of(port) == Visibility::Private {
                graph.add_guard(port)?;
            }
        }
        Ok(options)
    }
}
