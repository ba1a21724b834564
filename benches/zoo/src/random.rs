//! Seeded numbers that are the same on every machine.
//!
//! `Z = U1 + U2 + U3 + U4 - 2 (2^16 - 1)` with independent `Ui` uniform on `[0, 2^16)` is an
//! integer of mean 0 and variance `(2^32 - 1) / 3`, close to normal within its 3.5 deviations.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// The standard deviation of [`Random::draw`].
pub(crate) const DEVIATION: f32 = 37_837.227;

pub(crate) struct Random(ChaCha8Rng);

impl Random {
    /// The numbers of a name of at most 32 bytes; different streams are independent.
    pub(crate) fn new(name: &str, stream: u64) -> Self {
        let mut seed = [0; 32];
        seed[..name.len()].copy_from_slice(name.as_bytes());
        let mut rng = ChaCha8Rng::from_seed(seed);
        rng.set_stream(stream);
        Self(rng)
    }

    /// The integer `Z` above.
    pub(crate) fn draw(&mut self) -> i32 {
        let bits = self.0.next_u64();
        let sum: i32 = [0, 16, 32, 48]
            .map(|shift| i32::from((bits >> shift) as u16))
            .iter()
            .sum();
        sum - 2 * 0xffff
    }

    /// Mean 0, variance 1.
    pub(crate) fn normal(&mut self) -> f32 {
        self.draw() as f32 / DEVIATION
    }

    /// Uniform on `[centre - radius, centre + radius)`.
    pub(crate) fn around(&mut self, centre: f32, radius: f32) -> f32 {
        let unit = (self.0.next_u32() >> 8) as f32 / (1 << 23) as f32 - 1.0;
        centre + radius * unit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments() {
        let mut random = Random::new("moments", 0);
        let cells: Vec<f64> = (0..1 << 16).map(|_| random.normal() as f64).collect();
        let mean = |f: fn(f64) -> f64| cells.iter().map(|&x| f(x)).sum::<f64>() / 65_536.0;
        assert!(mean(|x| x).abs() < 0.02);
        assert!((mean(|x| x * x) - 1.0).abs() < 0.02);
    }
}
