//! A 32-byte BLAKE3 digest that names a model, a key or a statement.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A BLAKE3 digest.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// The digest of `value`'s postcard encoding under a domain-separating `context` string
    /// (BLAKE3's key-derivation mode).
    ///
    /// # Panics
    /// If `value` cannot be serialised, which holds for none of this workspace's types.
    pub fn of<T: Serialize>(context: &str, value: &T) -> Self {
        let bytes = postcard::to_allocvec(value).expect("plain data serialises");
        Self(blake3::derive_key(context, &bytes))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}
