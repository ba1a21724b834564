//! The Fourier transforms of the process, whose twiddles are remembered and shared by all proofs. A
//! verifier asks them for evaluation points only and computes no twiddles.

use p3_dft::Radix2DFTSmallBatch;
use std::sync::LazyLock;
use zkstrata_mle::F;

/// Transforms on subgroups of `F`, of many columns at once.
pub(super) type Dft = Radix2DFTSmallBatch<F>;

static DFT: LazyLock<Dft> = LazyLock::new(Dft::default);

/// The transforms; copies share their twiddles.
pub(super) fn dft() -> Dft {
    DFT.clone()
}
