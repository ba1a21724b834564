//! Average pools as integer sums.
//!
//! `mean_i = (1 / D) sum_t c_i x_t` with one `D` for the whole tensor: the division is a matter of
//! scale. On an axis whose windows all have `n` taps inside, `D = n` and `c = 1`; where border
//! windows have fewer taps, `D` is a common multiple of the counts and `c_i = D / n_i`.

use super::Error;
use super::policy;
use crate::exact::exp2;
use crate::float::{PoolKind, Window};
use crate::int::{MapAxis, Tap};

/// An average pool's sums and divisor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Average {
    /// One entry per spatial axis.
    pub(super) axes: Vec<MapAxis>,
    /// `D`, the product over the axes.
    pub(super) divisor: usize,
}

impl Average {
    /// The sums of a pool of an input of shape `[N, C, spatial..]`.
    pub(super) fn new(
        kind: PoolKind,
        windows: &[Window],
        input: &[usize],
        node: &str,
    ) -> Result<Self, Error> {
        let mut average = Self {
            axes: vec![],
            divisor: 1,
        };
        for (window, &n) in windows.iter().zip(&input[2..]) {
            let (divisor, coefs) = division(kind, window, n);
            average.divisor = average.divisor.saturating_mul(divisor);
            let taps = (0..window.kernel).map(|a| Tap {
                offset: offset(window, a),
                weight: 1,
            });
            average.axes.push(MapAxis::Window {
                input: n,
                output: outputs(window, n),
                stride: window.stride as i64,
                taps: taps.collect(),
                coefs,
            });
        }
        if average.divisor > 1 << policy::MOST_SHIFT {
            return Err(Error::Unsupported {
                node: node.into(),
                reason: format!(
                    "an average over windows of {} cells; split it into pools of at most 2^{}",
                    average.divisor,
                    policy::MOST_SHIFT
                ),
            });
        }
        Ok(average)
    }

    /// `k` with `2^(k-1) < D <= 2^k`.
    pub(super) fn shift(&self) -> u32 {
        self.divisor.next_power_of_two().trailing_zeros()
    }

    /// Scale of the result after the shift, relative to the input's: `2^k / D`.
    pub(super) fn ratio(&self) -> f64 {
        exp2(self.shift() as i32) / self.divisor as f64
    }
}

/// Position of tap `a` relative to `stride * i`.
pub(super) fn offset(window: &Window, a: usize) -> i64 {
    (window.dilation * a) as i64 - window.pad_begin as i64
}

/// Number of outputs of a window that the shape rule accepted.
pub(super) fn outputs(window: &Window, n: usize) -> usize {
    window
        .output(n)
        .expect("the shape rule accepted the window")
}

/// The divisor of one axis and the factors of its outputs (none when all are 1).
fn division(kind: PoolKind, window: &Window, n: usize) -> (usize, Vec<i64>) {
    if kind == PoolKind::AveragePadded {
        return (window.kernel, vec![]);
    }
    let counts: Vec<usize> = (0..outputs(window, n))
        .map(|i| window.inside(i, n).len())
        .collect();
    if counts.iter().all(|&c| c == counts[0]) {
        return (counts[0], vec![]);
    }
    let multiple = counts.iter().try_fold(1, |m, &c| {
        Some(m / gcd(m, c) * c).filter(|&m| m <= policy::MOST_MULTIPLE)
    });
    let divisor = multiple
        .unwrap_or_else(|| (policy::APPROXIMATE_MULTIPLE / window.kernel).max(1) * window.kernel);
    let factor = |&c: &usize| ((2 * divisor + c) / (2 * c)) as i64;
    (divisor, counts.iter().map(factor).collect())
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(kernel: usize, pad: usize) -> Window {
        Window {
            kernel,
            stride: 1,
            dilation: 1,
            pad_begin: pad,
            pad_end: pad,
        }
    }

    #[test]
    fn divisors() {
        let inside = PoolKind::AverageInside;
        assert_eq!(
            division(PoolKind::AveragePadded, &window(3, 1), 5),
            (3, vec![])
        );
        assert_eq!(division(inside, &window(3, 0), 5), (3, vec![]));
        assert_eq!(division(inside, &window(3, 1), 4), (6, vec![3, 2, 2, 3]));
        let (divisor, coefs) = division(inside, &window(7, 3), 8);
        assert_eq!((divisor, coefs[0], coefs[3]), (252, 63, 36));
        let average = Average::new(inside, &[window(3, 1); 2], &[1, 2, 4, 4], "pool");
        let average = average.expect("36 cells");
        assert_eq!((average.divisor, average.shift()), (36, 6));
        let huge = Average::new(inside, &[window(300, 0); 2], &[1, 1, 300, 300], "pool");
        assert!(matches!(huge, Err(Error::Unsupported { .. })));
    }
}
