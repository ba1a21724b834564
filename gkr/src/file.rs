//! The container of keys and proofs: `magic, version, postcard body`.
//!
//! Decoding is strict: the length is bounded, the version must match, and encoding what was decoded
//! must give the same bytes back, so that trailing bytes and non-minimal integers are errors.

use crate::error::FileError;
use serde::{Serialize, de::DeserializeOwned};
use zkstrata_pcs::CommitmentScheme;

/// Version of every file format and of the protocol.
pub const FORMAT_VERSION: u32 = 4;

/// A kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    /// What error messages call it.
    pub(crate) name: &'static str,
    /// Its first bytes.
    pub(crate) magic: [u8; 8],
    /// Its largest length.
    pub(crate) limit: usize,
}

/// A proving key.
#[cfg(feature = "prover")]
pub(crate) const PROVING_KEY: Kind = Kind {
    name: "proving key (.zkpk)",
    magic: *b"zkstr-pk",
    limit: 16 << 30,
};

/// A verifying key.
pub(crate) const VERIFYING_KEY: Kind = Kind {
    name: "verifying key (.zkvk)",
    magic: *b"zkstr-vk",
    limit: 1 << 30,
};

/// A statement with its proof.
pub(crate) const PROOF: Kind = Kind {
    name: "proof (.zkp)",
    magic: *b"zkstr-pf",
    limit: 256 << 20,
};

/// Encodes a file.
pub(crate) fn encode<T: Serialize>(kind: Kind, body: &T) -> Vec<u8> {
    let mut bytes = kind.magic.to_vec();
    bytes.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
    let body = postcard::to_allocvec(body).unwrap_or_default();
    bytes.extend_from_slice(&body);
    bytes
}

/// The body of a file of this kind and version.
fn body(kind: Kind, bytes: &[u8]) -> Result<&[u8], FileError> {
    if bytes.len() > kind.limit {
        return Err(FileError::TooLarge {
            found: bytes.len(),
            limit: kind.limit,
        });
    }
    let wrong = FileError::Magic {
        expected: kind.name,
    };
    let rest = bytes.strip_prefix(&kind.magic).ok_or(wrong)?;
    let (version, body) = rest
        .split_first_chunk::<4>()
        .ok_or_else(|| FileError::Malformed("no version".into()))?;
    let found = u32::from_le_bytes(*version);
    if found != FORMAT_VERSION {
        return Err(FileError::Version {
            found,
            expected: FORMAT_VERSION,
        });
    }
    Ok(body)
}

/// Decodes a file.
pub(crate) fn decode<T: Serialize + DeserializeOwned>(
    kind: Kind,
    bytes: &[u8],
) -> Result<T, FileError> {
    let body = body(kind, bytes)?;
    let value: T = postcard::from_bytes(body).map_err(|e| FileError::Malformed(e.to_string()))?;
    match postcard::to_allocvec(&value) {
        Ok(canonical) if canonical == body => Ok(value),
        _ => Err(FileError::NotCanonical),
    }
}

/// Decodes a key whose first field names the commitment scheme `C`.
pub(crate) fn decode_key<C: CommitmentScheme, T: Serialize + DeserializeOwned>(
    kind: Kind,
    bytes: &[u8],
) -> Result<T, FileError> {
    let (scheme, _): (&str, _) = postcard::take_from_bytes(body(kind, bytes)?)
        .map_err(|e| FileError::Malformed(e.to_string()))?;
    if scheme != C::NAME {
        return Err(FileError::Scheme {
            found: scheme.chars().take(32).collect(),
            expected: C::NAME,
        });
    }
    decode(kind, bytes)
}

/// Whether bytes start like a file of this kind.
pub(crate) fn is(kind: Kind, bytes: &[u8]) -> bool {
    bytes.starts_with(&kind.magic)
}
