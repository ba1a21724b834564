//! What can be chosen when keys are made.

use crate::constants::Weights;
use serde::{Deserialize, Serialize};
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

/// What can be chosen when keys are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SetupOptions {
    /// How the verifier knows the weights.
    pub weights: Weights,
    /// Whether proofs are made fast or small.
    pub proof: ProofProfile,
    /// Why it believes that committed weights are some. Public ones and none need no reason.
    pub trust: Trust,
}
