//! The scales of a plan's classes.
//!
//! `scale(class) = max over members of wanted(v) / most(v) / ratio(v)`, rounded up to 11
//! significant bits; for free classes, what gives the largest weight 16 bits; 1 for classes of
//! integers.

use super::Error;
use super::plan::{Form, Plan};
use super::policy;
use crate::exact::{exp2, log2_ceil};
use crate::float::{Activation, Op};

impl Plan<'_> {
    /// Largest absolute value that the small form of `v` must hold.
    pub(super) fn wanted(&self, v: usize) -> f64 {
        let size = self.ranges[v].size();
        let with_margin = size * self.profile.margin();
        match self.node(v).op {
            // A nonnegative input is taken to be bounded (pixels, counts).
            Op::Input { .. } if self.nonnegative[v] => size,
            Op::Constant { .. } => size,
            Op::Activation(f @ (Activation::Sigmoid | Activation::Tanh)) => self.reached(v, f),
            Op::Activation(f) => f
                .bound()
                .map_or(with_margin, |bound| with_margin.min(bound)),
            _ => with_margin,
        }
    }

    /// The largest magnitude that a function which saturates at 1 reaches on what its operand holds.
    fn reached(&self, v: usize, f: Activation) -> f64 {
        let operand = self.node(v).inputs[0].0;
        let most = if self.is_integral(operand) {
            return 1.0;
        } else if self.forms[operand] == Form::Small {
            self.wanted(operand)
        } else {
            // As far as tables have room.
            policy::RANGE_ROOM * self.ranges[operand].size()
        };
        f.at(most).abs().max(f.at(-most).abs()).min(1.0)
    }

    /// Whether the operand of `v` had a largest cell of 0 in every way that calibration saw: it is
    /// what is left of a maximum.
    fn is_never_positive(&self, v: usize) -> bool {
        self.ranges[self.node(v).inputs[0].0].hi.abs().to_bits() == 0
    }

    /// Chooses every value's scale.
    pub(super) fn find_scales(&mut self) -> Result<(), Error> {
        let n = self.forms.len();
        let mut least = vec![0.0_f64; n];
        let mut dyadic = vec![false; n];
        let mut levels = vec![None; n];
        for v in 0..n {
            let (root, ratio) = self.classes.root(v);
            if self.is_source(v)
                || self.needs_small[v]
                || self.feeds_curve(v)
                || self.forms[v] == Form::Raw
            {
                let (_, most) = self.interval(v);
                least[root] = least[root].max(self.wanted(v) / most as f64 / ratio);
            }
            if self.feeds_table(v) {
                least[root] =
                    least[root].max(self.ranges[v].size() / policy::ARGUMENT_ROWS / ratio);
            }
            dyadic[root] |= self.is_rounded(v);
            if let Op::Activation(f) = self.node(v).op {
                // A softmax's exponentials reach 1.
                let one = || (f == Activation::Exp && self.is_never_positive(v)).then_some(1.0);
                let level = f.level().or_else(one);
                levels[root] = levels[root].or(level.map(|level| level / ratio));
            }
        }
        // What was always 0 is as fine as most.
        let mut positive: Vec<f64> = least.iter().copied().filter(|&x| x > 0.0).collect();
        positive.sort_by(f64::total_cmp);
        let usual = positive.get(positive.len() / 2).copied().unwrap_or(1.0);
        let scale_of = |(root, &least): (usize, &f64)| {
            if let Some(scale) = self.classes.fixed(root) {
                scale
            } else if self.whole[root] {
                1.0
            } else if least <= 0.0 {
                round_up(usual)
            } else if dyadic[root] {
                exp2(log2_ceil(least))
            } else {
                levelled(round_up(least), levels[root])
            }
        };
        let roots: Vec<f64> = least.iter().enumerate().map(scale_of).collect();
        let scale = |v: usize, roots: &[f64]| {
            let (root, ratio) = self.classes.root(v);
            roots[root] * ratio
        };
        // Integers are exact: a factor and its inverse leave them what they are.
        let exact = |v: usize| match scale(v, &roots) {
            scale if self.is_integral(v) && (scale - 1.0).abs() < policy::NEARLY_ONE => 1.0,
            scale => scale,
        };
        self.scales = (0..n).map(exact).collect();
        let mut chosen = vec![0.0_f64; n];
        for v in 0..n {
            let (root, ratio) = self.classes.root(v);
            if self.free[root]
                && self.forms[v] == Form::Linear
                && let Some(weight) = self.largest_weight(v)
            {
                let step = self.feed_scale(v) * weight / policy::FREE_WEIGHT;
                chosen[root] = chosen[root].max(step / ratio);
            }
        }
        for v in 0..n {
            let (root, ratio) = self.classes.root(v);
            if self.free[root] && chosen[root] > 0.0 {
                self.scales[v] = round_up(chosen[root]) * ratio;
            }
        }
        match (0..n).find(|&v| !policy::USABLE_SCALES.contains(&self.scales[v])) {
            Some(v) => Err(Error::Scale {
                node: self.node(v).name.clone(),
                scale: self.scales[v],
            }),
            None => Ok(()),
        }
    }

    /// Whether `v` is an accumulator that a table node reads.
    fn feeds_table(&self, v: usize) -> bool {
        let activation = |&c: &usize| matches!(self.node(c).op, Op::Activation(_));
        let read = self.needs_small[v] || self.consumers[v].iter().any(activation);
        self.forms[v] != Form::Small && read
    }

    /// Whether fractions of `v` decide over integers: binary fractions are kept exactly then.
    fn is_rounded(&self, v: usize) -> bool {
        let rounds = |&c: &usize| match &self.node(c).op {
            Op::Activation(f) => f.is_integral() || jumps(*f),
            Op::Sub | Op::Max | Op::Maximum { .. } => self.integral_consumer(c),
            _ => false,
        };
        self.consumers[v].iter().any(rounds)
    }

    fn integral_consumer(&self, v: usize) -> bool {
        let rounds = |&c: &usize| matches!(&self.node(c).op, Op::Activation(f) if f.is_integral());
        self.consumers[v].iter().any(rounds)
    }

    /// Largest absolute weight of the linear layer that produces `v`.
    fn largest_weight(&self, v: usize) -> Option<f64> {
        let weights = match &self.node(v).op {
            Op::Dense { weight, .. } | Op::Conv { weight, .. } => weight,
            Op::Affine { scale, .. } if self.pure_scale(v).is_none() => scale,
            _ => return None,
        };
        let largest = weights.iter().fold(0.0_f32, |m, w| m.max(w.abs()));
        // Without weights the bias alone decides.
        Some(match largest {
            0.0 => self.wanted(v).max(f64::MIN_POSITIVE) / self.feed_scale(v),
            largest => largest.into(),
        })
    }

    /// Scale of the integers that the linear layer of `v` reads.
    pub(super) fn feed_scale(&self, v: usize) -> f64 {
        let source = self.node(v).inputs[0].0;
        match self.forms[source] {
            Form::Exact(shift) if !self.needs_small[source] => {
                self.scales[source] * exp2(-(shift as i32))
            }
            _ => self.scales[source],
        }
    }
}

/// Whether a function of real values jumps at its threshold.
fn jumps(f: Activation) -> bool {
    matches!(
        f,
        Activation::ThresholdedRelu { .. } | Activation::Shrink { .. }
    )
}

/// The least scale from `scale` on that divides the level at which most cells may lie: an error there
/// would be the same in all of them, and add up.
fn levelled(scale: f64, level: Option<f64>) -> f64 {
    match level.map(|level| (level, (level / scale).floor())) {
        Some((level, steps)) if steps >= 1.0 => level / steps,
        _ => scale,
    }
}

/// The least number of 11 significant bits that is at least `x > 0`: scales do not depend on the
/// last bits of a calibration run.
fn round_up(x: f64) -> f64 {
    let mask = (1_u64 << 42) - 1;
    f64::from_bits((x.to_bits() + mask) & !mask)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_up_keeps_eleven_bits() {
        assert_eq!(round_up(1.0).to_bits(), 1.0_f64.to_bits());
        assert_eq!(
            round_up(1.000_000_1).to_bits(),
            (1.0 + 1.0 / 1024.0_f64).to_bits()
        );
        for x in [0.1, 3.7, 1e-9, 12345.678] {
            assert!(x <= round_up(x) && round_up(x) < x * (1.0 + 1.0 / 1023.0));
        }
    }
}
