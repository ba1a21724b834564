//! The tape: the proof's bytes and the only sponge.
//!
//! A proof is a sequence of messages. Sending one absorbs its label, its length and its payload
//! and appends the payload to the tape; receiving one absorbs the same. The receiver knows every
//! length in advance, so lengths are not on the wire and nothing a prover sends sizes an
//! allocation. There is no other way to send, so no value can be used without being absorbed. The
//! one exception is the proof of a commitment scheme from a library ([`VerifierTape::blob`]): a
//! length-prefixed blob whose contents the library absorbs through the sponge lent to it.
//!
//! The sponge is a hash chain of BLAKE3 that starts from the statement's digest.

use crate::channel::Channel;
use p3_blake3::Blake3;
use p3_challenger::{
    CanObserve, CanSample, GrindingChallenger, HashChallenger, SerializingChallenger64,
};
use zkstrata_mle::{BasedVectorSpace, E, F, PrimeCharacteristicRing, PrimeField64};

/// The sponge, as p3's protocols know it.
pub(crate) type Sponge = SerializingChallenger64<F, HashChallenger<u8, Blake3, 32>>;

/// Bytes of one element of `E` on the tape: two canonical little-endian coefficients.
const SCALAR_BYTES: usize = 16;

/// Why a tape is rejected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TapeError {
    /// The proof ends inside a message.
    #[error("the proof ends inside message `{label}`")]
    Truncated {
        /// The message.
        label: &'static str,
    },
    /// A field element is not below the modulus.
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

fn new_sponge(statement: &[u8; 32]) -> Sponge {
    let mut sponge = Sponge::from_hasher(vec![], Blake3);
    sponge.inner_observe(b"zkstrata tape");
    sponge.inner_observe(statement);
    sponge
}

/// Byte-level absorption; p3's wrapper exposes field elements only.
trait ObserveBytes {
    fn inner_observe(&mut self, bytes: &[u8]);
}

impl ObserveBytes for Sponge {
    fn inner_observe(&mut self, bytes: &[u8]) {
        // Seven bytes a field element: injective together with the length that callers absorb.
        for chunk in bytes.chunks(7) {
            let mut word = [0u8; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.observe(F::from_u64(u64::from_le_bytes(word)));
        }
    }
}

fn absorb_header(sponge: &mut Sponge, label: &str, len: usize) {
    sponge.observe(F::from_u64(label.len() as u64));
    sponge.inner_observe(label.as_bytes());
    sponge.observe(F::from_u64(len as u64));
}

fn absorb_scalars(sponge: &mut Sponge, values: &[E]) {
    for value in values {
        for &c in value.as_basis_coefficients_slice() {
            let c: F = c;
            sponge.observe(c);
        }
    }
}

/// The prover's end.
#[cfg(feature = "prover")]
pub struct ProverTape {
    bytes: Vec<u8>,
    messages: Vec<Message>,
    sponge: Sponge,
}

#[cfg(feature = "prover")]
impl ProverTape {
    /// An empty tape about the statement with this digest.
    pub fn new(statement: &[u8; 32]) -> Self {
        Self {
            bytes: vec![],
            messages: vec![],
            sponge: new_sponge(statement),
        }
    }

    /// Sends scalars.
    pub fn send(&mut self, label: &'static str, values: &[E]) {
        let start = self.bytes.len();
        absorb_header(&mut self.sponge, label, values.len());
        absorb_scalars(&mut self.sponge, values);
        for value in values {
            for &c in value.as_basis_coefficients_slice() {
                let c: F = c;
                self.bytes
                    .extend_from_slice(&c.as_canonical_u64().to_le_bytes());
            }
        }
        self.record(label, start);
    }

    /// Sends bytes whose length the verifier knows.
    pub fn send_bytes(&mut self, label: &'static str, payload: &[u8]) {
        let start = self.bytes.len();
        absorb_header(&mut self.sponge, label, payload.len());
        self.sponge.inner_observe(payload);
        self.bytes.extend_from_slice(payload);
        self.record(label, start);
    }

    /// Sends a library's proof, which the library absorbs itself through the sponge lent to it.
    #[allow(dead_code)] // used by schemes that wrap a library
    pub(crate) fn blob(&mut self, label: &'static str, make: impl FnOnce(&mut Sponge) -> Vec<u8>) {
        let start = self.bytes.len();
        absorb_header(&mut self.sponge, label, 0);
        let payload = make(&mut self.sponge);
        let len = u32::try_from(payload.len()).expect("a library's proof is below 4 GiB");
        self.bytes.extend_from_slice(&len.to_le_bytes());
        self.bytes.extend_from_slice(&payload);
        self.record(label, start);
    }

    /// A challenge that depends on everything sent so far.
    pub fn sample(&mut self) -> E {
        self.sponge.sample()
    }

    /// `n` challenges.
    pub fn sample_vec(&mut self, n: usize) -> Vec<E> {
        (0..n).map(|_| self.sample()).collect()
    }

    /// Does and sends a proof of work of `bits` bits.
    pub fn work(&mut self, label: &'static str, bits: usize) {
        let start = self.bytes.len();
        absorb_header(&mut self.sponge, label, bits);
        let witness = self.sponge.grind(bits);
        self.bytes
            .extend_from_slice(&witness.as_canonical_u64().to_le_bytes());
        self.record(label, start);
    }

    /// The messages sent so far.
    pub fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// The proof's bytes.
    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }

    fn record(&mut self, label: &'static str, start: usize) {
        self.messages.push(Message {
            label,
            range: start..self.bytes.len(),
        });
    }
}

/// The verifier's end: the channel in the clear.
pub struct VerifierTape<'a> {
    rest: &'a [u8],
    sponge: Sponge,
}

impl<'a> VerifierTape<'a> {
    /// The tape `bytes` about the statement with this digest.
    pub fn new(statement: &[u8; 32], bytes: &'a [u8]) -> Self {
        Self {
            rest: bytes,
            sponge: new_sponge(statement),
        }
    }

    /// Ends the reading; bytes that are left are an error.
    pub fn finish(self) -> Result<(), TapeError> {
        match self.rest.len() {
            0 => Ok(()),
            bytes => Err(TapeError::TrailingBytes { bytes }),
        }
    }

    /// Reads a library's proof and lends the sponge to the library's verifier, which must absorb
    /// all of it.
    #[allow(dead_code)] // used by schemes that wrap a library
    pub(crate) fn blob(
        &mut self,
        label: &'static str,
    ) -> Result<(&'a [u8], &mut Sponge), TapeError> {
        let prefix: [u8; 4] = self
            .take(label, 4)?
            .try_into()
            .map_err(|_| TapeError::Truncated { label })?;
        let len = u32::from_le_bytes(prefix) as usize;
        let payload = self.take(label, len)?;
        absorb_header(&mut self.sponge, label, 0);
        Ok((payload, &mut self.sponge))
    }

    fn take(&mut self, label: &'static str, len: usize) -> Result<&'a [u8], TapeError> {
        let (head, rest) = self
            .rest
            .split_at_checked(len)
            .ok_or(TapeError::Truncated { label })?;
        self.rest = rest;
        Ok(head)
    }

    fn take_element(&mut self, label: &'static str) -> Result<F, TapeError> {
        let bytes: [u8; 8] = self
            .take(label, 8)?
            .try_into()
            .map_err(|_| TapeError::Truncated { label })?;
        let value = u64::from_le_bytes(bytes);
        if value >= F::ORDER_U64 {
            return Err(TapeError::NonCanonical { label });
        }
        Ok(F::from_u64(value))
    }
}

impl Channel for VerifierTape<'_> {
    type S = E;

    fn recv(&mut self, label: &'static str, n: usize) -> Result<Vec<E>, TapeError> {
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
        absorb_header(&mut self.sponge, label, n);
        absorb_scalars(&mut self.sponge, &values);
        Ok(values)
    }

    fn recv_bytes(&mut self, label: &'static str, len: usize) -> Result<Vec<u8>, TapeError> {
        let payload = self.take(label, len)?;
        absorb_header(&mut self.sponge, label, len);
        self.sponge.inner_observe(payload);
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
        self.sponge.sample()
    }

    fn check_work(&mut self, label: &'static str, bits: usize) -> Result<(), TapeError> {
        let witness = self.take_element(label)?;
        absorb_header(&mut self.sponge, label, bits);
        if self.sponge.check_witness(bits, witness) {
            Ok(())
        } else {
            Err(TapeError::Rejected { check: label })
        }
    }
}
