//! The tape: the proof's bytes and the only sponge.
//!
//! A proof is a sequence of messages. Sending one absorbs its kind, its label, its length and its
//! payload and appends the payload to the tape; receiving one absorbs the same. The receiver knows
//! every length in advance, so lengths are not on the wire and nothing a prover sends sizes an
//! allocation. There is no other way to send, so no value can be used without being absorbed. The
//! one exception is the proof of a commitment scheme from a library ([`VerifierTape::blob`]): a
//! length-prefixed blob whose contents the library absorbs through the sponge lent to it, and
//! whose bytes the tape absorbs afterwards.
//!
//! The sponge ([`crate::sponge`]) starts from the statement's digest. What is absorbed between two
//! challenges is a concatenation of messages
//!
//! ```text
//! kind (8 bytes) | label length (8) | label | length (8) | payload
//! ```
//!
//! where the payload is the canonical coefficients of scalars, 8 bytes each, or the BLAKE3 digest
//! of bytes. Every length is public or precedes what it measures, so the concatenation is
//! injective.

#[cfg(feature = "prover")]
mod prover;

#[cfg(feature = "prover")]
pub use prover::ProverTape;

use crate::cells::{Cells, Malformed};
use crate::channel::Channel;
#[cfg(any(test, feature = "frozen"))]
use crate::frozen::Challenges;
use crate::sponge::{self, Sponge};
use p3_challenger::{CanObserve, CanSample, CanSampleBits, GrindingChallenger};
use p3_symmetric::Hash;
use zkstrata_mle::{BasedVectorSpace, E, F, PrimeCharacteristicRing, PrimeField64};

/// Bytes of one element of `E` on the tape: two canonical little-endian coefficients.
const SCALAR_BYTES: usize = 16;

/// Bytes of one element of `F` on the tape.
const BASE_BYTES: usize = 8;

/// Why a tape is rejected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TapeError {
    /// The proof ends inside a message.
    #[error("the proof ends inside message `{label}`")]
    Truncated {
        /// The message.
        label: &'static str,
    },
    /// A field element is not in canonical form.
    #[error("message `{label}`: a field element is not in canonical form")]
    NonCanonical {
        /// The message.
        label: &'static str,
    },
    /// Bytes are left after the last message.
    #[error("{bytes} bytes are left after the last message")]
    TrailingBytes {
        /// How many.
        bytes: usize,
    },
    /// A check of the protocol does not hold.
    #[error("check `{check}` does not hold")]
    Rejected {
        /// Its name.
        check: &'static str,
    },
}

/// Where a message lies on a tape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its label.
    pub label: &'static str,
    /// Offset and length of its bytes.
    pub range: std::ops::Range<usize>,
}

/// What a message carries.
#[derive(Clone, Copy)]
enum Kind {
    Scalars = 1,
    Bytes = 2,
    Blob = 3,
    Work = 4,
    Public = 5,
}

fn new_sponge(statement: &[u8; 32]) -> Sponge {
    let mut state = b"zkstrata tape 1\0".to_vec();
    state.extend_from_slice(statement);
    sponge::starting_with(state)
}

fn absorb_number(sponge: &mut Sponge, n: usize) {
    // Lengths are far below the modulus, so the element is the number.
    sponge.observe(F::from_usize(n));
}

fn absorb_raw<const N: usize>(sponge: &mut Sponge, bytes: [u8; N]) {
    sponge.observe(Hash::<F, u8, N>::from(bytes));
}

fn absorb_header(sponge: &mut Sponge, kind: Kind, label: &str, len: usize) {
    #[allow(clippy::as_conversions)] // a field-less enum
    absorb_number(sponge, kind as usize);
    absorb_number(sponge, label.len());
    for &byte in label.as_bytes() {
        absorb_raw(sponge, [byte]);
    }
    absorb_number(sponge, len);
}

/// Absorbs the digest of the bytes: a 32-byte hash goes through the sponge several times faster
/// than a payload of any size.
fn absorb_bytes(sponge: &mut Sponge, kind: Kind, label: &str, bytes: &[u8]) {
    absorb_header(sponge, kind, label, bytes.len());
    absorb_raw::<32>(sponge, blake3::hash(bytes).into());
}

fn absorb_scalars(sponge: &mut Sponge, kind: Kind, label: &str, values: &[E]) {
    absorb_header(sponge, kind, label, values.len());
    for value in values {
        sponge.observe_slice(coefficients(value));
    }
}

fn coefficients(value: &E) -> &[F] {
    value.as_basis_coefficients_slice()
}

/// `n` independent positions below `2^bits`, in increasing order and each once.
fn draw_positions(sponge: &mut Sponge, bits: usize, n: usize) -> Vec<usize> {
    let mut positions: Vec<usize> = (0..n).map(|_| sponge.sample_bits(bits)).collect();
    positions.sort_unstable();
    positions.dedup();
    positions
}

/// What is left of a tape's bytes. It takes values off them and absorbs nothing.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Ends the reading; bytes that are left are an error.
    pub(crate) fn finish(self) -> Result<(), TapeError> {
        match self.rest.len() {
            0 => Ok(()),
            bytes => Err(TapeError::TrailingBytes { bytes }),
        }
    }

    pub(crate) fn take(&mut self, label: &'static str, len: usize) -> Result<&'a [u8], TapeError> {
        let (head, rest) = self
            .rest
            .split_at_checked(len)
            .ok_or(TapeError::Truncated { label })?;
        self.rest = rest;
        Ok(head)
    }

    fn take_array<const N: usize>(&mut self, label: &'static str) -> Result<[u8; N], TapeError> {
        let (head, rest) = self
            .rest
            .split_first_chunk()
            .ok_or(TapeError::Truncated { label })?;
        self.rest = rest;
        Ok(*head)
    }

    pub(crate) fn take_element(&mut self, label: &'static str) -> Result<F, TapeError> {
        let value = u64::from_le_bytes(self.take_array(label)?);
        if value >= F::ORDER_U64 {
            return Err(TapeError::NonCanonical { label });
        }
        Ok(F::from_u64(value))
    }

    pub(crate) fn take_scalars(
        &mut self,
        label: &'static str,
        n: usize,
    ) -> Result<Vec<E>, TapeError> {
        // Checked before anything is allocated: `n` is the verifier's, the bytes are not.
        if self.rest.len() / SCALAR_BYTES < n {
            return Err(TapeError::Truncated { label });
        }
        let mut values = Vec::with_capacity(n);
        for _ in 0..n {
            let (c0, c1) = (self.take_element(label)?, self.take_element(label)?);
            values.push(E::from_basis_coefficients_fn(
                |k| if k == 0 { c0 } else { c1 },
            ));
        }
        Ok(values)
    }
}

/// The verifier's end: the channel in the clear.
pub struct VerifierTape<'a> {
    reader: Reader<'a>,
    sponge: Sponge,
    #[cfg(any(test, feature = "frozen"))]
    frozen: Option<Challenges>,
}

impl<'a> VerifierTape<'a> {
    /// The tape `bytes` about the statement with this digest.
    pub fn new(statement: &[u8; 32], bytes: &'a [u8]) -> Self {
        Self {
            reader: Reader::new(bytes),
            sponge: new_sponge(statement),
            #[cfg(any(test, feature = "frozen"))]
            frozen: Challenges::of_thread(),
        }
    }

    /// Ends the reading; bytes that are left are an error.
    pub fn finish(self) -> Result<(), TapeError> {
        self.reader.finish()
    }

    /// Reads `n` cells.
    pub(crate) fn recv_cells(&mut self, label: &'static str, n: usize) -> Result<Cells, TapeError> {
        let (cells, rest) =
            Cells::split_from(self.reader.rest, n).map_err(|error| match error {
                Malformed::Truncated => TapeError::Truncated { label },
                Malformed::NonCanonical => TapeError::NonCanonical { label },
            })?;
        let payload = self
            .reader
            .take(label, self.reader.rest.len() - rest.len())?;
        absorb_bytes(&mut self.sponge, Kind::Bytes, label, payload);
        Ok(cells)
    }

    /// Reads a message of `N` bytes.
    pub(crate) fn recv_array<const N: usize>(
        &mut self,
        label: &'static str,
    ) -> Result<[u8; N], TapeError> {
        let payload = self.reader.take_array(label)?;
        absorb_bytes(&mut self.sponge, Kind::Bytes, label, &payload);
        Ok(payload)
    }

    /// `n` random positions below `2^bits`, in increasing order and each once.
    pub(crate) fn positions(&mut self, bits: usize, n: usize) -> Vec<usize> {
        #[cfg(any(test, feature = "frozen"))]
        if let Some(frozen) = &mut self.frozen {
            return frozen.positions(bits, n);
        }
        draw_positions(&mut self.sponge, bits, n)
    }

    /// Reads `n` elements of the base field.
    pub(crate) fn recv_base(&mut self, label: &'static str, n: usize) -> Result<Vec<F>, TapeError> {
        let truncated = TapeError::Truncated { label };
        let payload = self
            .reader
            .take(label, n.checked_mul(BASE_BYTES).ok_or(truncated)?)?;
        absorb_bytes(&mut self.sponge, Kind::Bytes, label, payload);
        let (elements, _) = payload.as_chunks::<BASE_BYTES>();
        let element = |bytes: &[u8; BASE_BYTES]| {
            let value = u64::from_le_bytes(*bytes);
            (value < F::ORDER_U64).then(|| F::from_u64(value))
        };
        let values: Option<Vec<F>> = elements.iter().map(element).collect();
        values.ok_or(TapeError::NonCanonical { label })
    }

    /// Absorbs bytes that both sides know.
    pub(crate) fn bind_bytes(&mut self, label: &'static str, bytes: &[u8]) {
        absorb_bytes(&mut self.sponge, Kind::Public, label, bytes);
    }

    /// Absorbs values that both sides compute.
    pub(crate) fn bind(&mut self, label: &'static str, values: &[E]) {
        absorb_scalars(&mut self.sponge, Kind::Public, label, values);
    }

    /// Reads a library's proof and lends the sponge to the library's verifier, which must absorb
    /// whatever its own challenges depend on.
    pub(crate) fn blob<T, Error: From<TapeError>>(
        &mut self,
        label: &'static str,
        verify: impl FnOnce(&'a [u8], &mut Sponge) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let prefix = self.reader.take_array(label)?;
        let len = usize::try_from(u32::from_le_bytes(prefix))
            .map_err(|_| TapeError::Truncated { label })?;
        let payload = self.reader.take(label, len)?;
        absorb_header(&mut self.sponge, Kind::Blob, label, 0);
        let result = verify(payload, &mut self.sponge)?;
        absorb_bytes(&mut self.sponge, Kind::Blob, label, payload);
        Ok(result)
    }
}

impl Channel for VerifierTape<'_> {
    type S = E;

    fn recv(&mut self, label: &'static str, n: usize) -> Result<Vec<E>, TapeError> {
        let values = self.reader.take_scalars(label, n)?;
        absorb_scalars(&mut self.sponge, Kind::Scalars, label, &values);
        Ok(values)
    }

    fn recv_bytes(&mut self, label: &'static str, len: usize) -> Result<Vec<u8>, TapeError> {
        let payload = self.reader.take(label, len)?;
        absorb_bytes(&mut self.sponge, Kind::Bytes, label, payload);
        Ok(payload.to_vec())
    }

    fn constant(&mut self, value: E) -> E {
        value
    }

    fn mul(&mut self, a: &E, b: &E) -> E {
        *a * *b
    }

    fn assert_zero(&mut self, value: E, what: &'static str) -> Result<(), TapeError> {
        if value == E::ZERO {
            Ok(())
        } else {
            Err(TapeError::Rejected { check: what })
        }
    }

    fn assert_nonzero(&mut self, value: E, what: &'static str) -> Result<(), TapeError> {
        if value == E::ZERO {
            Err(TapeError::Rejected { check: what })
        } else {
            Ok(())
        }
    }

    fn sample(&mut self) -> E {
        #[cfg(any(test, feature = "frozen"))]
        if let Some(frozen) = &mut self.frozen {
            return frozen.next();
        }
        self.sponge.sample()
    }

    fn check_work(&mut self, label: &'static str, bits: usize) -> Result<(), TapeError> {
        if bits == 0 {
            return Ok(());
        }
        let witness = self.reader.take_element(label)?;
        absorb_header(&mut self.sponge, Kind::Work, label, bits);
        #[cfg(any(test, feature = "frozen"))]
        if self.frozen.is_some() {
            return Ok(());
        }
        if self.sponge.check_witness(bits, witness) {
            Ok(())
        } else {
            Err(TapeError::Rejected { check: label })
        }
    }
}

/// What tests fix.
#[cfg(test)]
impl VerifierTape<'_> {
    /// Draws these challenges, whatever is received.
    pub(crate) fn freeze(&mut self, challenges: Vec<E>) {
        self.frozen = Some(Challenges::chosen(challenges));
    }
}
