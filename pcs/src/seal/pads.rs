//! The pads of one proof, as the prover knows them.

use super::SealPlan;
use crate::random::{Purpose, Seed};
use zeroize::Zeroizing;
use zkstrata_mle::{BasedVectorSpace, E, F, PrimeCharacteristicRing, PrimeField64};

/// The pads of one proof: secret, for they and the proof tell what was sealed. They are
/// overwritten when dropped, and cannot be printed or copied.
pub struct Pads {
    plan: SealPlan,
    /// The coefficients of each.
    pub(super) words: Zeroizing<Vec<[u64; 2]>>,
}

impl Pads {
    /// Draws the pads of a plan. `draw` gives independent and uniform elements; the last pad is
    /// the product of the two before it.
    pub fn new(plan: SealPlan, mut draw: impl FnMut() -> E) -> Self {
        let mut words = Zeroizing::new(Vec::with_capacity(plan.pads()));
        let mut last = [E::ONE; 2];
        for _ in 1..plan.pads() {
            last = [last[1], draw()];
            words.push(to_words(last[1]));
        }
        words.push(to_words(last[0] * last[1]));
        Self { plan, words }
    }

    /// The pads of a proof whose secrets come from this seed.
    pub fn drawn(plan: SealPlan, seed: &Seed) -> Self {
        #[cfg(any(test, feature = "frozen"))]
        return crate::frozen::pads(plan, || Self::from_seed(plan, seed));
        #[cfg(not(any(test, feature = "frozen")))]
        Self::from_seed(plan, seed)
    }

    fn from_seed(plan: SealPlan, seed: &Seed) -> Self {
        let elements = seed.elements(Purpose::Pads, 2 * (plan.pads() - 1));
        let mut pairs = elements.as_chunks::<2>().0.iter();
        Self::new(plan, || {
            let &[c0, c1] = pairs.next().expect("as many as are drawn");
            E::from_basis_coefficients_fn(|k| [c0, c1][k])
        })
    }

    /// The plan.
    pub fn plan(&self) -> &SealPlan {
        &self.plan
    }

    /// The cells that the prover commits to, two for each pad.
    pub fn cells(&self) -> Vec<F> {
        let words = self.words.iter().flatten();
        words.map(|&word| F::from_u64(word)).collect()
    }

    /// Pad `i`.
    pub(super) fn get(&self, i: usize) -> E {
        from_words(self.words[i])
    }

    /// Pad `i` if it is for something that is sent.
    pub(crate) fn sent(&self, i: usize) -> Option<E> {
        (i < self.plan.sent()).then(|| self.get(i))
    }
}

fn to_words(value: E) -> [u64; 2] {
    let coefficients: &[F] = value.as_basis_coefficients_slice();
    [0, 1].map(|k| coefficients[k].as_canonical_u64())
}

fn from_words(words: [u64; 2]) -> E {
    E::from_basis_coefficients_fn(|k| F::from_u64(words[k]))
}
