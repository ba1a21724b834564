//! How fast this machine is.

use std::hint::black_box;
use std::time::Instant;
use zkstrata_mle::{E, PrimeCharacteristicRing, dot, eq_table};

/// Seconds of one [`mix`] on one core of the reference machine.
const REFERENCE_S: f64 = 3.56e-3;

/// Runs of the mix; the fastest counts.
const RUNS: usize = 10;

/// Speed of one core of this machine as a multiple of the reference machine's. Takes some 40 ms.
pub(super) fn speed() -> f64 {
    let seconds = (0..RUNS).map(|_| {
        let start = Instant::now();
        mix();
        start.elapsed().as_secs_f64()
    });
    REFERENCE_S / seconds.fold(f64::INFINITY, f64::min)
}

/// What proving consists of, in pieces that fit the cache and run on one thread: multiplications
/// in the extension field, sums of small integers with weights, hashing.
fn mix() {
    let point: Vec<E> = (2..14).map(E::from_u64).collect();
    let cells: Vec<i16> = (0..1 << 12).collect();
    let bytes = vec![7; 1 << 16];
    for _ in 0..256 {
        let weights = eq_table(black_box(&point), 1 << 12, E::ONE);
        let _ = black_box(dot(black_box(&cells), &weights));
        black_box(blake3::hash(black_box(&bytes)));
    }
}
