//! The container of proofs, `magic, version, body`, and of keys, `magic, version, checksum, body`.
//!
//! The body is postcard's, and that of a verifying key is packed ([`crate::packed`]); the checksum is the
//! BLAKE3 hash of what follows. It finds damage, not malice: whoever makes a key makes its checksum. A proof
//! needs none, as verification is its check.
//!
//! Decoding is strict: the length is bounded, the version must match, and encoding what was decoded must give
//! the same body back, so that trailing bytes and non-minimal integers are errors. How it is packed is not
//! unique.

use crate::error::FileError;
use crate::packed::{pack, unpack};
use serde::{Serialize, de::DeserializeOwned};
use std::borrow::Cow;
use zkstrata_pcs::joint::RelationScheme;

/// Version of every file format and of the protocol.
pub const FORMAT_VERSION: u32 = 13;

/// A kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    /// What error messages call it.
    pub(crate) name: &'static str,
    /// Its first bytes.
    pub(crate) magic: [u8; 8],
    /// Its largest length.
    pub(crate) limit: usize,
    /// Whether its body is packed.
    packed: bool,
}

/// Bytes of the largest proving key, which every build can tell from the other kinds.
pub(crate) const PROVING_KEY_LIMIT: usize = 16 << 30;

/// A proving key.
#[cfg(feature = "prover")]
pub(crate) const PROVING_KEY: Kind = Kind {
    name: "proving key (.zkpk)",
    magic: *b"zkstr-pk",
    limit: PROVING_KEY_LIMIT,
    packed: false,
};

/// A verifying key.
pub(crate) const VERIFYING_KEY: Kind = Kind {
    name: "verifying key (.zkvk)",
    magic: *b"zkstr-vk",
    limit: 1 << 30,
    packed: true,
};

/// A statement with its proof.
pub(crate) const PROOF: Kind = Kind {
    name: "proof (.zkp)",
    magic: *b"zkstr-pf",
    limit: 256 << 20,
    packed: false,
};

/// The certificate of a key.
pub(crate) const CERTIFICATE: Kind = Kind {
    name: "certificate (.zkct)",
    magic: *b"zkstr-ct",
    limit: 64 << 20,
    packed: false,
};

/// The certificate of a session.
pub(crate) const SESSION_CERTIFICATE: Kind = Kind {
    name: "certificate of a session (.zksc)",
    magic: *b"zkstr-sc",
    limit: CERTIFICATE.limit,
    packed: false,
};

/// Bytes of the largest session file, which every build can tell from the other kinds.
pub(crate) const SESSION_LIMIT: usize = 1 << 10;

/// A session: a secret.
#[cfg(feature = "prover")]
pub(crate) const SESSION: Kind = Kind {
    name: "session (.zkses)",
    magic: *b"zkstr-se",
    limit: SESSION_LIMIT,
    packed: false,
};

/// How many sessions a key has had.
#[cfg(feature = "prover")]
pub(crate) const SESSIONS: Kind = Kind {
    name: "count of sessions (.zkuse)",
    magic: *b"zkstr-us",
    limit: SESSION_LIMIT,
    packed: false,
};

/// A commitment to a tensor.
pub(crate) const COMMITMENT: Kind = Kind {
    name: "commitment (.zkc)",
    magic: *b"zkstr-tc",
    limit: 4 << 20,
    packed: false,
};

/// Bytes of the largest opening of a commitment, which every build can tell from the other kinds.
pub(crate) const SECRET_LIMIT: usize = 16 << 30;

/// The opening of a commitment to a tensor.
#[cfg(feature = "prover")]
pub(crate) const SECRET: Kind = Kind {
    name: "opening of a commitment (.zko)",
    magic: *b"zkstr-to",
    limit: SECRET_LIMIT,
    packed: false,
};

/// Bytes of a checksum.
const CHECKSUM: usize = blake3::OUT_LEN;

/// Encodes a proof or a certificate.
pub(crate) fn encode<T: Serialize>(kind: Kind, body: &T) -> Vec<u8> {
    container(kind, &[], &to_body(body))
}

/// Encodes a key, or what else has a checksum.
pub(crate) fn encode_key<T: Serialize>(kind: Kind, body: &T) -> Vec<u8> {
    let mut body = to_body(body);
    if kind.packed {
        body = pack(&body);
    }
    container(kind, blake3::hash(&body).as_bytes(), &body)
}

fn to_body<T: Serialize>(body: &T) -> Vec<u8> {
    postcard::to_allocvec(body).unwrap_or_default()
}

fn container(kind: Kind, checksum: &[u8], body: &[u8]) -> Vec<u8> {
    let version = FORMAT_VERSION.to_le_bytes();
    [kind.magic.as_slice(), &version, checksum, body].concat()
}

/// What follows the version of a file of this kind.
fn contents(kind: Kind, bytes: &[u8]) -> Result<&[u8], FileError> {
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
    let (version, contents) = rest
        .split_first_chunk::<4>()
        .ok_or_else(|| FileError::Malformed("no version".into()))?;
    let found = u32::from_le_bytes(*version);
    if found != FORMAT_VERSION {
        return Err(FileError::Version {
            found,
            expected: FORMAT_VERSION,
        });
    }
    Ok(contents)
}

/// Decodes a proof or a certificate.
pub(crate) fn decode<T: Serialize + DeserializeOwned>(
    kind: Kind,
    bytes: &[u8],
) -> Result<T, FileError> {
    from_body(contents(kind, bytes)?)
}

fn from_body<T: Serialize + DeserializeOwned>(body: &[u8]) -> Result<T, FileError> {
    let value: T = postcard::from_bytes(body).map_err(|e| FileError::Malformed(e.to_string()))?;
    match postcard::to_allocvec(&value) {
        Ok(canonical) if canonical == body => Ok(value),
        _ => Err(FileError::NotCanonical),
    }
}

/// What follows the checksum of a file of this kind, if it is that of what follows.
fn checked(kind: Kind, bytes: &[u8]) -> Result<Cow<'_, [u8]>, FileError> {
    let (checksum, body) = contents(kind, bytes)?
        .split_first_chunk::<CHECKSUM>()
        .ok_or_else(|| FileError::Malformed("no checksum".into()))?;
    if blake3::hash(body) != *checksum {
        return Err(FileError::Damaged);
    }
    if kind.packed {
        unpack(body)
    } else {
        Ok(Cow::Borrowed(body))
    }
}

/// Decodes what has a checksum and names no scheme.
#[cfg(feature = "prover")]
pub(crate) fn decode_checked<T: Serialize + DeserializeOwned>(
    kind: Kind,
    bytes: &[u8],
) -> Result<T, FileError> {
    from_body(&checked(kind, bytes)?)
}

/// Decodes a key whose first field names the commitment scheme `C`.
pub(crate) fn decode_key<C: RelationScheme, T: Serialize + DeserializeOwned>(
    kind: Kind,
    bytes: &[u8],
) -> Result<T, FileError> {
    let body = checked(kind, bytes)?;
    let (scheme, _): (&str, _) =
        postcard::take_from_bytes(&body).map_err(|e| FileError::Malformed(e.to_string()))?;
    if scheme != C::NAME {
        return Err(FileError::Scheme {
            found: scheme.chars().take(32).collect(),
            expected: C::NAME,
        });
    }
    from_body(&body)
}

/// A key whose body is another, with a checksum that fits.
#[cfg(test)]
pub(crate) fn edited(kind: Kind, bytes: &[u8], edit: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut body = checked(kind, bytes).expect("a key").into_owned();
    edit(&mut body);
    let body = if kind.packed { pack(&body) } else { body };
    container(kind, blake3::hash(&body).as_bytes(), &body)
}

/// Whether bytes start like a file of this kind.
pub(crate) fn is(kind: Kind, bytes: &[u8]) -> bool {
    bytes.starts_with(&kind.magic)
}
