//! What can be chosen when keys are made.

use crate::constants::Weights;
use serde::{Deserialize, Serialize};
use zkstrata_model_ir::bounded;
use zkstrata_model_ir::int::MAX_PORTS;
#[cfg(feature = "prover")]
use zkstrata_model_ir::int::{Graph, GuardError};
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Visibilities(#[serde(deserialize_with = "bounded::<_, _, MAX_PORTS>")] Vec<Visibility>);

impl Visibilities {
    /// Everybody sees all inputs.
    pub const PUBLIC: Self = Self(Vec::new());

    /// The same for all inputs.
    pub fn all(visibility: Visibility) -> Self {
        Self(vec![visibility; MAX_PORTS])
    }

    /// One for each input; those that are left out are public.
    pub fn each(visibilities: impl IntoIterator<Item = Visibility>) -> Self {
        Self(visibilities.into_iter().collect())
    }

    /// That of the input at this position.
    pub fn of(&self, port: usize) -> Visibility {
        self.0.get(port).copied().unwrap_or_default()
    }

    /// Whether one of so many inputs is hidden.
    pub(crate) fn hide(&self, ports: usize) -> bool {
        (0..ports).any(|port| self.of(port) == Visibility::Private)
    }

    /// Those of a model with so many inputs, and no others.
    pub(crate) fn cut(&self, ports: usize) -> Self {
        Self((0..ports).map(|port| self.of(port)).collect())
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

#[cfg(feature = "prover")]
impl SetupOptions {
    /// Gives private inputs their guards.
    pub(crate) fn guard(&self, graph: &mut Graph) -> Result<(), GuardError> {
        let mut ports = 0..graph.inputs.len();
        ports.try_for_each(|port| match self.inputs.of(port) {
            Visibility::Public => Ok(()),
            Visibility::Private => graph.add_guard(port),
        })
    }
}
