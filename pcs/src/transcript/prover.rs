//! The prover's end: what it sends, in the clear or under pads, is absorbed and kept.

use super::{
    Kind, Message, Reader, absorb_bytes, absorb_header, absorb_scalars, coefficients,
    draw_positions, new_sponge,
};
use crate::cells::Cells;
#[cfg(any(test, feature = "frozen"))]
use crate::frozen::Challenges;
use crate::seal::{self, Pads, Recorded, SealError};
use crate::sponge::Sponge;
use p3_challenger::{CanSample, GrindingChallenger};
use std::sync::Arc;
use zkstrata_mle::{E, F, PrimeCharacteristicRing, PrimeField64};

/// The prover's end of a tape.
pub struct ProverTape {
    bytes: Vec<u8>,
    messages: Vec<Message>,
    sponge: Sponge,
    sealing: Option<Sealing>,
    #[cfg(any(test, feature = "frozen"))]
    frozen: Option<Challenges>,
}

/// What a tape does while it is sealed.
struct Sealing {
    pads: Arc<Pads>,
    /// How many pads have been used, or would have been.
    used: usize,
    /// How many bytes had been sent before.
    start: usize,
    /// The challenges drawn since.
    challenges: Vec<E>,
}

impl ProverTape {
    /// An empty tape about the statement with this digest.
    pub fn new(statement: &[u8; 32]) -> Self {
        Self {
            bytes: vec![],
            messages: vec![],
            sponge: new_sponge(statement),
            sealing: None,
            #[cfg(any(test, feature = "frozen"))]
            frozen: Challenges::of_thread(),
        }
    }

    /// From now on every scalar is sent plus the next pad (see [`crate::seal`]), whoever sends it.
    ///
    /// # Panics
    /// If the tape is sealed.
    pub fn seal(&mut self, pads: Pads) {
        assert!(self.sealing.is_none(), "a sealed tape is sealed once");
        self.sealing = Some(Sealing {
            pads: Arc::new(pads),
            used: 0,
            start: self.bytes.len(),
            challenges: vec![],
        });
    }

    /// Sends scalars in the clear again. Returns the challenges drawn in the meantime.
    ///
    /// # Errors
    /// If not every pad of a message has been used once.
    ///
    /// # Panics
    /// If the tape is not sealed.
    pub(crate) fn unseal(&mut self) -> Result<Vec<E>, SealError> {
        let sealing = self.sealing.take().expect("the tape is sealed");
        seal::expect("pads", sealing.pads.plan().sent(), sealing.used)?;
        Ok(sealing.challenges)
    }

    /// The pads of a sealed tape, and what a verifier reads and draws of what it holds since.
    ///
    /// # Panics
    /// If the tape is not sealed.
    pub(crate) fn sealed(&self) -> (Arc<Pads>, Recorded<'_>) {
        let sealing = self.sealing.as_ref().expect("the tape is sealed");
        let recorded = self.since(sealing.start, &sealing.challenges);
        (Arc::clone(&sealing.pads), recorded)
    }

    /// How many bytes the tape has, and how many challenges were drawn since it was sealed.
    pub(crate) fn position(&self) -> (usize, usize) {
        let drawn = self.sealing.as_ref().map_or(0, |s| s.challenges.len());
        (self.bytes.len(), drawn)
    }

    /// What a verifier reads who starts at this byte and draws these challenges.
    pub(crate) fn since<'a>(&'a self, start: usize, challenges: &'a [E]) -> Recorded<'a> {
        Recorded::new(Reader::new(&self.bytes[start..]), challenges)
    }

    /// Sends scalars.
    pub fn send(&mut self, label: &'static str, values: &[E]) {
        let Some(sealing) = &mut self.sealing else {
            return self.send_clear(label, values);
        };
        let pads = sealing.used..sealing.used + values.len();
        sealing.used = pads.end;
        // Without a pad nothing of the value is sent; that there was none is an error of `unseal`.
        let pad = |(i, &value): (usize, &E)| sealing.pads.sent(i).map_or(E::ZERO, |p| value + p);
        let padded: Vec<E> = pads.zip(values).map(pad).collect();
        self.send_clear(label, &padded);
    }

    fn send_clear(&mut self, label: &'static str, values: &[E]) {
        let start = self.bytes.len();
        absorb_scalars(&mut self.sponge, Kind::Scalars, label, values);
        for coefficient in values.iter().flat_map(coefficients) {
            self.bytes
                .extend_from_slice(&coefficient.as_canonical_u64().to_le_bytes());
        }
        self.record(label, start);
    }

    /// Sends bytes whose length the verifier knows.
    pub fn send_bytes(&mut self, label: &'static str, payload: &[u8]) {
        let start = self.bytes.len();
        absorb_bytes(&mut self.sponge, Kind::Bytes, label, payload);
        self.bytes.extend_from_slice(payload);
        self.record(label, start);
    }

    /// Sends cells whose number the verifier knows.
    ///
    /// # Panics
    /// If the tape is sealed: cells have no pads.
    pub(crate) fn send_cells(&mut self, label: &'static str, cells: &Cells) {
        assert!(self.sealing.is_none(), "no cells on a sealed tape");
        self.send_bytes(label, &cells.to_bytes());
    }

    /// Absorbs bytes that the verifier knows.
    pub(crate) fn bind_bytes(&mut self, label: &'static str, bytes: &[u8]) {
        absorb_bytes(&mut self.sponge, Kind::Public, label, bytes);
    }

    /// Absorbs values that the verifier computes itself.
    pub(crate) fn bind(&mut self, label: &'static str, values: &[E]) {
        absorb_scalars(&mut self.sponge, Kind::Public, label, values);
    }

    /// Sends a library's proof, which the library absorbs itself through the sponge lent to it.
    pub(crate) fn blob<Error>(
        &mut self,
        label: &'static str,
        make: impl FnOnce(&mut Sponge) -> Result<Vec<u8>, Error>,
    ) -> Result<(), Error> {
        let start = self.bytes.len();
        absorb_header(&mut self.sponge, Kind::Blob, label, 0);
        let payload = make(&mut self.sponge)?;
        absorb_bytes(&mut self.sponge, Kind::Blob, label, &payload);
        let len = u32::try_from(payload.len()).expect("a library's proof is below 4 GiB");
        self.bytes.extend_from_slice(&len.to_le_bytes());
        self.bytes.extend_from_slice(&payload);
        self.record(label, start);
        Ok(())
    }

    /// A challenge that depends on everything sent so far.
    pub fn sample(&mut self) -> E {
        let challenge = self.draw();
        if let Some(sealing) = &mut self.sealing {
            sealing.challenges.push(challenge);
        }
        challenge
    }

    fn draw(&mut self) -> E {
        #[cfg(any(test, feature = "frozen"))]
        if let Some(frozen) = &mut self.frozen {
            return frozen.next();
        }
        self.sponge.sample()
    }

    /// `n` challenges.
    pub fn sample_vec(&mut self, n: usize) -> Vec<E> {
        (0..n).map(|_| self.sample()).collect()
    }

    /// What the next challenges depend on, without drawing one.
    pub(crate) fn fingerprint(&self) -> [u8; 32] {
        let mut sponge = self.sponge.clone();
        let words: [u64; 4] = std::array::from_fn(|_| {
            let element: F = sponge.sample();
            element.as_canonical_u64()
        });
        let mut bytes = [0; 32];
        let (chunks, _) = bytes.as_chunks_mut::<8>();
        let pairs = chunks.iter_mut().zip(words);
        pairs.for_each(|(chunk, word)| *chunk = word.to_le_bytes());
        bytes
    }

    /// `n` random positions below `2^bits`, in increasing order and each once.
    pub(crate) fn positions(&mut self, bits: usize, n: usize) -> Vec<usize> {
        #[cfg(any(test, feature = "frozen"))]
        if let Some(frozen) = &mut self.frozen {
            return frozen.positions(bits, n);
        }
        draw_positions(&mut self.sponge, bits, n)
    }

    /// Sends elements of the base field whose number the verifier knows.
    ///
    /// # Panics
    /// If the tape is sealed: elements of the base field have no pads.
    pub(crate) fn send_base(&mut self, label: &'static str, values: &[F]) {
        assert!(self.sealing.is_none(), "no base elements on a sealed tape");
        let bytes = values.iter().map(PrimeField64::as_canonical_u64);
        let bytes: Vec<u8> = bytes.flat_map(u64::to_le_bytes).collect();
        self.send_bytes(label, &bytes);
    }

    /// Does and sends a proof of work of `bits` bits; nothing for 0 bits.
    ///
    /// # Panics
    /// If `bits` is 64 or more.
    pub fn work(&mut self, label: &'static str, bits: usize) {
        if bits == 0 {
            return;
        }
        let start = self.bytes.len();
        absorb_header(&mut self.sponge, Kind::Work, label, bits);
        let witness = self.grind(bits);
        self.bytes
            .extend_from_slice(&witness.as_canonical_u64().to_le_bytes());
        self.record(label, start);
    }

    fn grind(&mut self, bits: usize) -> F {
        #[cfg(any(test, feature = "frozen"))]
        if self.frozen.is_some() {
            return F::ZERO;
        }
        self.sponge.grind(bits)
    }

    /// The messages sent so far.
    pub fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// The proof's bytes.
    ///
    /// # Panics
    /// If the tape is sealed.
    pub fn finish(self) -> Vec<u8> {
        assert!(self.sealing.is_none(), "a sealed tape is not a proof yet");
        self.bytes
    }

    fn record(&mut self, label: &'static str, start: usize) {
        self.messages.push(Message {
            label,
            range: start..self.bytes.len(),
        });
    }
}

/// What tests fix and read.
#[cfg(any(test, feature = "frozen"))]
impl ProverTape {
    /// Draws these challenges, whatever is sent.
    #[cfg(test)]
    pub(crate) fn freeze(&mut self, challenges: Vec<E>) {
        self.frozen = Some(Challenges::chosen(challenges));
    }

    /// The challenges that are to come, if they are fixed.
    pub(crate) fn frozen(&self) -> Option<&Challenges> {
        self.frozen.as_ref()
    }

    /// What has been sent, by labels.
    pub(crate) fn sent(&self) -> Vec<(&'static str, Vec<u8>)> {
        let messages = self.messages.iter();
        let bytes = messages.map(|m| (m.label, self.bytes[m.range.clone()].to_vec()));
        bytes.collect()
    }
}
