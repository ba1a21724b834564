//! What a tail establishes whose words are decoded as lists, and with which error.
//!
//! # What is used
//!
//! `rho` is the rate of a word, `n` its points, `eta = sqrt(rho) / 10`, `delta = 1 - sqrt(rho) - eta`.
//!
//! **Johnson.** At most `l = 1 / (2 eta sqrt(rho)) = 5 / rho` codewords agree with a word on a part
//! `1 - delta` of the points.
//!
//! **Correlated agreement up to there** (Ben-Sasson, Carmon, Haböck, Kopparty, Saraf, "On Proximity
//! Gaps for Reed-Solomon Codes", 2025/2055, theorem 4.2; that the two words agree with codewords
//! where their combination does: Haböck, "A note on mutual correlated agreement for Reed-Solomon
//! codes", 2025/2110). But for
//!
//! ```text
//! g = (2 (m + 1/2)^5 + 3 (m + 1/2) delta rho) n / (3 rho^(3/2)) + (m + 1/2) / sqrt(rho)
//! ```
//!
//! of the `z` in `E`, `m = sqrt(rho) / eta = 10`, the word `u_0 + z u_1` is not `delta`-close where `u_0`
//! and `u_1` are not. Newer bounds count fewer (the library's own parameters follow one); this
//! module does not use them.
//!
//! **WHIR** (2024/1586, theorem 5.2). If no codeword that is `delta`-close to the committed word has the
//! claimed values, the verifier accepts with probability at most the sum of, with `w` for a proof of
//! work in the same place,
//!
//! | term | error |
//! |---|---|
//! | batching of `c` claims, out-of-domain samples included | `l c / abs(E)` |
//! | `s` samples out of the domain of a word of `k` variables | `(l^2 / 2) (2^k / abs(E))^s` |
//! | a variable that is folded | `(g + 2 l) / abs(E) 2^-w` |
//! | `t` queries | `(sqrt(rho) + eta)^t 2^-w` |
//! | batching of `t` queries and `s` samples | `l (t + s) / abs(E) 2^-w` |
//! | a round of the last sumcheck | `2 / abs(E)` |
//!
//! # The mixed bound
//!
//! The words before the tail are decoded uniquely, the tail's are not, and its samples out of the
//! domain are drawn when it is opened: until then its root stands for any of at most `l` vectors, `l`
//! by the first word's rate. The theorem of `joint.rs` holds for each of them as it holds for one that
//! is sent: `h` is fixed before the positions of step 7, and so on. So what happens between root and
//! opening counts `l` times: the queries of the folded rows, which have `log2 l` more bits, their
//! batching and the last rounds. If none of the `l` vectors survives these steps with true claims,
//! WHIR's bound applies.

use super::super::soundness::{FIELD_BITS, real};
use super::{Config, LOG_INV_RATE};

/// `sqrt(rho) / eta`, and `m`.
const MULTIPLICITY: f64 = 10.0;

/// A sum of errors.
#[derive(Default)]
struct Sum(f64);

impl Sum {
    /// Adds an error of so many bits.
    fn bits(&mut self, bits: f64) {
        self.0 += (-bits).exp2();
    }

    /// Adds `count / |E|`, behind a proof of work.
    fn of_field(&mut self, count: f64, work: usize) {
        self.bits(FIELD_BITS - count.log2() + real(work));
    }
}

/// `rho`.
fn rate(log_inv_rate: usize) -> f64 {
    (-real(log_inv_rate)).exp2()
}

/// `l`: how many codewords are close to a word.
fn size(log_inv_rate: usize) -> f64 {
    MULTIPLICITY / (2.0 * rate(log_inv_rate))
}

/// How many vectors a root stands for.
pub(super) fn candidates() -> f64 {
    size(LOG_INV_RATE)
}

/// `g` of a word of `2^num_vars` coefficients.
fn exceptions(num_vars: usize, log_inv_rate: usize) -> f64 {
    let (rho, m) = (rate(log_inv_rate), MULTIPLICITY + 0.5);
    let n = real(num_vars + log_inv_rate).exp2();
    let delta = 1.0 - (1.0 + 1.0 / MULTIPLICITY) * rho.sqrt();
    (2.0 * m.powi(5) + 3.0 * m * delta * rho) * n / (3.0 * rho.powf(1.5)) + m / rho.sqrt()
}

/// `-log2` of the error of a query.
fn query_bits(log_inv_rate: usize) -> f64 {
    real(log_inv_rate) / 2.0 - (1.0 + 1.0 / MULTIPLICITY).log2()
}

/// Bits of the error of a proof of so many claims.
pub(super) fn bits(config: &Config, claims: usize) -> f64 {
    let mut sum = Sum::default();
    let mut rate = config.starting_log_inv_rate;
    let claims = claims.saturating_add(config.commitment_ood_samples());
    sum.of_field(size(rate) * real(claims), 0);
    let samples = |sum: &mut Sum, vars: usize, rate: usize, samples: usize| {
        let one = FIELD_BITS - real(vars);
        sum.bits(real(samples) * one - 2.0 * size(rate).log2() + 1.0);
    };
    let folds = |sum: &mut Sum, vars: usize, rate: usize, folds: usize, work: usize| {
        // As if every variable were the first.
        let count = exceptions(vars, rate) + 2.0 * size(rate);
        sum.of_field(real(folds) * count, work);
    };
    let schedule = config.folding_schedule();
    let fold = |round: usize| schedule.get(round).copied().unwrap_or(0);
    let vars = config.num_variables();
    samples(&mut sum, vars, rate, config.commitment_ood_samples());
    let work = config.starting_folding_pow_bits();
    folds(&mut sum, vars, rate, fold(0), work);
    for (round, next) in config.round_parameters().iter().enumerate() {
        let (queries, work) = (next.num_queries, next.pow_bits);
        sum.bits(real(queries) * query_bits(rate) + real(work));
        rate = next.log_inv_rate;
        let batched = queries.saturating_add(next.ood_samples);
        sum.of_field(size(rate) * real(batched), work);
        samples(&mut sum, next.num_variables, rate, next.ood_samples);
        let work = next.folding_pow_bits;
        folds(&mut sum, next.num_variables, rate, fold(round + 1), work);
    }
    let last = config.final_round_config();
    sum.bits(real(last.num_queries) * query_bits(rate) + real(last.pow_bits));
    sum.of_field(2.0 * real(config.final_sumcheck_rounds()), 0);
    -sum.0.log2()
}

#[cfg(test)]
mod tests {
    use super::super::{Decoding, config};
    use super::*;

    #[test]
    fn numbers_are_those_of_the_theorems() {
        assert!((candidates() - 40.0).abs() < 1e-9);
        // 2 10.5^5 2^18 / 3 2^4.5, and what adds less than a thousandth.
        let exact = 1.0 - 3_f64.log2() + 5.0 * 10.5_f64.log2() + 18.0 + 4.5;
        assert!((exceptions(15, 3).log2() - exact).abs() < 1e-3);
        assert!((query_bits(4) - 1.8625).abs() < 1e-3);
    }

    /// The library chooses by other bounds: these hold nevertheless, and nothing is left out that
    /// the library counts.
    #[test]
    fn every_size_reaches_the_level() {
        for num_vars in 8..=22 {
            let config = config(num_vars, Decoding::List).expect("parameters");
            let bits = bits(&config, 2);
            assert!(bits > 102.0 && bits < 106.0, "{num_vars}: {bits}");
        }
    }
}
