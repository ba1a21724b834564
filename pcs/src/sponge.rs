//! The sponge of the tape: a hash chain of BLAKE3, `state <- H(state || absorbed)` at the first challenge
//! after an absorption.
//!
//! Its proofs of work are the least that there are. If threads raced for them, two proofs of one statement
//! with the same secrets, as a machine makes that was restored from a snapshot, would answer different
//! challenges, and their differences show what the secrets hide.

use p3_blake3::Blake3;
use p3_challenger::{
    ByteGrindingChallenger, CanObserve, CanSample, HashChallenger, SerializingChallenger64,
};
use zkstrata_mle::F;

/// The sponge, as p3's protocols know it.
pub(crate) type Sponge = SerializingChallenger64<F, Chain>;

/// A sponge in this state.
pub(crate) fn starting_with(state: Vec<u8>) -> Sponge {
    Sponge::new(Chain(HashChallenger::new(state, Blake3)))
}

/// Candidates that threads share: a sixteenth of what the easiest proof of work takes that takes any
/// time, tens of microseconds.
const BLOCK: u64 = 1 << 11;

/// The chain, byte by byte.
#[derive(Clone, Debug)]
pub(crate) struct Chain(HashChallenger<u8, Blake3, 32>);

impl CanObserve<u8> for Chain {
    fn observe(&mut self, value: u8) {
        self.0.observe(value);
    }

    fn observe_slice(&mut self, values: &[u8]) {
        self.0.observe_slice(values);
    }
}

impl CanSample<u8> for Chain {
    fn sample(&mut self) -> u8 {
        self.0.sample()
    }
}

impl ByteGrindingChallenger for Chain {
    /// The least candidate that passes: in the first block that has one, what threads find is a bound for
    /// those that they look for next.
    fn find_witness<const W: usize, const S: usize>(
        &self,
        num_candidates: u64,
        encode: impl Fn(u64) -> [u8; W] + Sync,
        accepts: impl Fn([u8; S]) -> bool + Sync,
    ) -> Option<u64> {
        let mut first = 0;
        while first < num_candidates {
            let mut least = None;
            let mut below = BLOCK.min(num_candidates - first);
            while let Some(found) = self.0.find_witness(below, |i| encode(first + i), &accepts) {
                least = Some(first + found);
                below = found;
            }
            if least.is_some() {
                return least;
            }
            first += BLOCK;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proofs_of_work_are_the_least() {
        let easy = (0..40u8).flat_map(|state| [(state, 3), (state, 8)]);
        for (state, bits) in easy.chain([(1, 11), (2, 13), (3, 14)]) {
            let chain = Chain(HashChallenger::new(vec![state], Blake3));
            let accepts = |bytes: [u8; 8]| u64::from_le_bytes(bytes).trailing_zeros() >= bits;
            let passes = |i: &u64| {
                let mut chain = chain.clone();
                chain.observe_slice(&i.to_le_bytes());
                accepts(chain.sample_array())
            };
            let least = (0..1 << 24).find(passes);
            let found = chain.find_witness(u64::MAX, u64::to_le_bytes, accepts);
            assert_eq!(found, least, "{bits} bits");
            let before = least.expect("it was found");
            let none = chain.find_witness(before, u64::to_le_bytes, accepts);
            assert_eq!(none, None, "{bits} bits");
        }
    }
}
