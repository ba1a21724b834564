//! The randomness that hides what a proof is about.
//!
//! Whatever hides is drawn from a [`Seed`] of 32 bytes, in streams that are named by what they are for:
//! the output of BLAKE3, keyed with the seed, of the name, read as numbers of 64 bits of which those
//! below the field's order are taken (the others are one in `2^32`). To whoever does not know the
//! seed, streams are uniform and independent as far as BLAKE3 is a pseudorandom function.
//!
//! A seed is *hedged*: it is the keyed hash, with randomness of the system, of what is proven and of all
//! cells. If the system gives the same bytes again, from the snapshot of a machine or by a fault,
//! another statement or another witness has another seed nevertheless, and the same of both has the
//! same proof, which shows nothing new.

use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};
use zkstrata_mle::{F, PrimeCharacteristicRing, PrimeField64};

/// Bytes that are read at once.
const BLOCK: usize = 1 << 13;

/// What the randomness of a seed is for. No two uses have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Rows that hide a source, and what else is committed with it.
    Source,
    /// The same for the word of folded rows.
    Folded,
    /// What the messages of a proof are sealed with.
    Pads,
}

impl Purpose {
    fn name(self) -> &'static [u8] {
        match self {
            Self::Source => b"zkstrata source 1",
            Self::Folded => b"zkstrata folded rows 1",
            Self::Pads => b"zkstrata pads 1",
        }
    }
}

/// What a proof's randomness is drawn from. A secret: it is wiped when it is dropped, and not shown.
/// It is serialised as it is, so what it is written to is a secret, too.
#[derive(Clone, Zeroize, ZeroizeOnDrop, Serialize, Deserialize)]
pub struct Seed([u8; 32]);

impl std::fmt::Debug for Seed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seed")
    }
}

impl Seed {
    /// The seed of these bytes. Whoever knows them can undo what it hides.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes, to be kept as secret as what they hide.
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0)
    }

    /// Fresh randomness of the system.
    ///
    /// # Errors
    /// The system has none to give.
    pub fn from_system() -> Result<Self, getrandom::Error> {
        #[cfg(any(test, feature = "frozen"))]
        if let Some(seed) = crate::frozen::system() {
            return Ok(seed);
        }
        let mut seed = Self([0; 32]);
        getrandom::fill(&mut seed.0)?;
        Ok(seed)
    }

    /// A seed for what is proven: of this one and of everything that `absorb` hashes.
    #[must_use]
    pub fn hedged(&self, absorb: impl FnOnce(&mut blake3::Hasher)) -> Self {
        let mut hasher = Zeroizing::new(blake3::Hasher::new_keyed(&self.0));
        hasher.update(b"zkstrata proof seed 1");
        absorb(&mut hasher);
        Self(hasher.finalize().into())
    }

    /// `n` uniform field elements.
    pub(crate) fn elements(&self, purpose: Purpose, n: usize) -> Vec<F> {
        let mut hasher = Zeroizing::new(blake3::Hasher::new_keyed(&self.0));
        hasher.update(purpose.name());
        let mut stream = Zeroizing::new(hasher.finalize_xof());
        let mut block = Zeroizing::new([0; BLOCK]);
        let mut elements = Vec::with_capacity(n);
        while elements.len() < n {
            stream.fill(&mut *block);
            let (words, _) = block.as_chunks::<8>();
            let numbers = words.iter().map(|&word| u64::from_le_bytes(word));
            let below = numbers.filter(|&number| number < F::ORDER_U64);
            elements.extend(below.take(n - elements.len()).map(F::from_u64));
        }
        elements
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Streams of different seeds and purposes share no element, a longer one begins with the shorter,
    /// and no bit of them is preferred.
    #[test]
    fn streams_are_independent_and_uniform() {
        const N: usize = 3000;
        let purposes = [Purpose::Source, Purpose::Folded, Purpose::Pads];
        let mut all = BTreeSet::new();
        for seed in 0..4u8 {
            let seed = Seed::new([seed; 32]);
            for purpose in purposes {
                let stream = seed.elements(purpose, N);
                assert_eq!(stream[..100], seed.elements(purpose, 100));
                for bit in 0..63 {
                    let ones = stream.iter().map(|x| x.as_canonical_u64() >> bit & 1);
                    let ones: u64 = ones.sum();
                    // Six standard deviations of sqrt(N) / 2.
                    assert!(ones.abs_diff(N as u64 / 2) < 165, "bit {bit}: {ones}");
                }
                all.extend(stream.iter().map(PrimeField64::as_canonical_u64));
            }
        }
        assert_eq!(all.len(), 4 * purposes.len() * N);
    }

    #[test]
    fn seeds_are_hedged_and_not_shown() {
        let bytes = |seed: &Seed| seed.0;
        let system = Seed::new([7; 32]);
        let of = |text: &[u8]| system.hedged(|hasher| _ = hasher.update(text));
        assert_eq!(bytes(&of(b"a")), bytes(&of(b"a")));
        assert_ne!(bytes(&of(b"a")), bytes(&of(b"b")));
        assert_ne!(bytes(&of(b"")), bytes(&system));
        let other = Seed::new([8; 32]).hedged(|hasher| _ = hasher.update(b"a"));
        assert_ne!(bytes(&of(b"a")), bytes(&other));
        assert_eq!(format!("{system:?}"), "Seed");
        let [a, b] = [(); 2].map(|()| Seed::from_system().expect("randomness"));
        assert_ne!(bytes(&a), bytes(&b));
    }
}
