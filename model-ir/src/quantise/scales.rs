//! Scales: the real value of the integer 1 of every small form.
//!
//! `scale(class) = max over members of wanted(v) / most(v) / ratio(v)`, rounded up to 11
//! significant bits; for free classes, what gives the largest weight 16 bits; 1 for classes of
//! integers.

use super::bits::Bits;
use super::facts::Facts;
use super::forms::{Form, Forms};
use super::linear::spread;
use super::needs::Needs;
use super::ties::Ties;
use super::{Error, policy};
use crate::exact::{exp2, log2_ceil};
use crate::float::{Activation, Op};
use crate::int::Interval;

/// The scale of every value.
#[derive(Debug)]
pub(super) struct Scales {
    of: Vec<f64>,
    dyadic: Vec<bool>,
}

impl Scales {
    /// The scales of all values.
    pub(super) fn new(
        facts: &Facts,
        forms: &Forms,
        ties: &Ties,
        bits: &Bits,
        needs: &Needs,
    ) -> Result<Self, Error> {
        let choice = Choice {
            facts,
            forms,
            ties,
            bits,
            needs,
        };
        let of = choice.free(choice.demanded());
        let rounded: Vec<bool> = (0..facts.len()).map(|v| choice.is_rounded(v)).collect();
        let roots = ties.any(&rounded);
        let dyadic = (0..facts.len()).map(|v| roots[ties.root(v).0]).collect();
        match of.iter().position(|s| !policy::USABLE_SCALES.contains(s)) {
            Some(v) => Err(Error::Scale {
                node: facts.node(v).name.clone(),
                scale: of[v],
            }),
            None => Ok(Self { of, dyadic }),
        }
    }

    /// Real value of the integer 1 of the small form of `v`; of the accumulator, if it is free.
    pub(super) fn of(&self, v: usize) -> f64 {
        self.of[v]
    }

    /// Whether the scale of `v` is to be a power of two, so that integers are on its grid.
    pub(super) fn is_dyadic(&self, v: usize) -> bool {
        self.dyadic[v]
    }
}

/// What members demand of their class's scale, as that of the root.
#[derive(Clone, Copy, Default)]
struct Demand {
    /// The least scale at which all members fit.
    least: f64,
    /// The largest integer of a member.
    most: i64,
    /// Whether it is a power of two.
    dyadic: bool,
    /// A magnitude at which most cells may lie.
    level: Option<f64>,
}

/// What scales follow from.
struct Choice<'a> {
    facts: &'a Facts<'a>,
    forms: &'a Forms,
    ties: &'a Ties,
    bits: &'a Bits,
    needs: &'a Needs,
}

impl Choice<'_> {
    /// The scales that members demand.
    fn demanded(&self) -> Vec<f64> {
        let n = self.facts.len();
        let demands = self.demands();
        // What was always 0 is as large as most.
        let read =
            |v: &usize| !self.facts.consumers[*v].is_empty() || !self.facts.op(*v).is_given();
        let real = (0..n).filter(|&v| !self.ties.is_whole(v) && self.is_made_small(v));
        let real = real.filter(read);
        let mut sizes: Vec<f64> = real.map(|v| self.forms.wanted(v)).collect();
        sizes.retain(|&x| x > 0.0);
        sizes.sort_by(f64::total_cmp);
        let usual = sizes.get(sizes.len() / 2).copied().unwrap_or(1.0);
        let of_root = |root: usize| {
            let demand = demands[root];
            if let Some(scale) = self.ties.fixed(root) {
                scale
            } else if self.ties.is_whole(root) {
                1.0
            } else if demand.least <= 0.0 {
                round_up(usual / demand.most.max(1) as f64)
            } else if demand.dyadic {
                exp2(log2_ceil(demand.least))
            } else {
                levelled(round_up(demand.least), demand.level)
            }
        };
        let roots: Vec<f64> = (0..n).map(of_root).collect();
        // Integers are exact: a factor and its inverse leave them what they are.
        let exact = |v: usize| {
            let (root, ratio) = self.ties.root(v);
            match roots[root] * ratio {
                scale if self.facts.is_integral(v) && (scale - 1.0).abs() < policy::NEARLY_ONE => {
                    1.0
                }
                scale => scale,
            }
        };
        (0..n).map(exact).collect()
    }

    /// By root: what the members demand.
    fn demands(&self) -> Vec<Demand> {
        let mut demands = vec![Demand::default(); self.facts.len()];
        for v in 0..self.facts.len() {
            let (root, ratio) = self.ties.root(v);
            let demand = &mut demands[root];
            if self.is_made_small(v) {
                let (_, most) = self.bits.interval(v);
                demand.most = demand.most.max(most);
                let least = self.forms.wanted(v) / most as f64 / ratio;
                demand.least = demand.least.max(least);
            }
            if self.needs.feeds_table(self.facts, self.forms, v) {
                let least = self.facts.ranges[v].size() / policy::ARGUMENT_ROWS / ratio;
                demand.least = demand.least.max(least);
            }
            demand.dyadic |= self.is_rounded(v);
            let level = self.level(v).map(|level| level / ratio);
            demand.level = demand.level.or(level);
        }
        demands
    }

    fn is_made_small(&self, v: usize) -> bool {
        self.facts.op(v).is_source()
            || self.needs.small(v)
            || self.forms.feeds_curve(v)
            || self.forms.of(v) == Form::Raw
    }

    /// The magnitude at which most cells of a function's values may lie.
    fn level(&self, v: usize) -> Option<f64> {
        let f = self.facts.op(v).activation()?;
        // A softmax's exponentials reach 1.
        let one = || (f == Activation::Exp && self.is_never_positive(v)).then_some(1.0);
        let few = self.of_few(v, f);
        few.or_else(|| f.level()).or_else(one)
    }

    /// The largest value of a function of truth values or signs, which has two or three.
    fn of_few(&self, v: usize, f: Activation) -> Option<f64> {
        let sign = Interval { lo: -1, hi: 1 };
        let operand = self.facts.node(v).inputs[0].0;
        let Interval { lo, hi } = self.facts.integers[operand].filter(|&x| sign.covers(x))?;
        let level = (lo..=hi).map(|x| f.at(x as f64).abs()).fold(0.0, f64::max);
        (level > 0.0 && level.is_finite()).then_some(level)
    }

    /// Whether the operand of `v` had a largest cell of 0 in every way that calibration saw: it is
    /// what is left of a maximum.
    fn is_never_positive(&self, v: usize) -> bool {
        let operand = self.facts.node(v).inputs[0].0;
        self.facts.ranges[operand].hi.abs().to_bits() == 0
    }

    /// The scales, with those of free classes.
    fn free(&self, mut scales: Vec<f64>) -> Vec<f64> {
        let n = scales.len();
        // The coarsest and the finest step that a layer of each class asks for, and the finest that
        // its largest weights allow.
        let mut chosen = vec![0.0_f64; n];
        let mut finest = vec![(f64::INFINITY, 0.0_f64); n];
        let rounded: Vec<bool> = (0..n).map(|v| self.is_rounded(v)).collect();
        let dyadic = self.ties.any(&rounded);
        for v in (0..n).filter(|&v| self.needs.is_free(v)) {
            let (root, ratio) = self.ties.root(v);
            if self.forms.of(v) == Form::Linear
                && let Some(weight) = self.largest_weight(v, &scales)
            {
                let size = self.feed_scale(v, &scales) * weight / ratio;
                let step = size / self.free_weight(v);
                chosen[root] = chosen[root].max(step);
                let (least, allowed) = finest[root];
                let integers = self.ties.is_whole(self.facts.node(v).inputs[0].0);
                let most = exp2(if integers {
                    policy::FINEST_WEIGHT_BITS - 1
                } else {
                    policy::WEIGHT_BITS - 1
                });
                finest[root] = (least.min(step), allowed.max(size / most));
            }
        }
        for (chosen, (least, allowed)) in chosen.iter_mut().zip(finest) {
            *chosen = chosen.min((policy::FREE_SPREAD * least).max(allowed));
        }
        for v in (0..n).filter(|&v| self.needs.is_free(v)) {
            let (root, ratio) = self.ties.root(v);
            if chosen[root] > 0.0 {
                // Multiples of the largest weight of integers, such as the leaves of a forest, are
                // kept: votes are as equal as they were.
                let integers = self.ties.is_whole(self.facts.node(v).inputs[0].0);
                let scale = if dyadic[root] {
                    exp2(log2_ceil(chosen[root]))
                } else if integers {
                    chosen[root]
                } else {
                    round_up(chosen[root])
                };
                scales[v] = scale * ratio;
            }
        }
        scales
    }

    /// The integer of the largest weight of layer `v`, whose scale is free. Of weights of unlike
    /// sizes, each of them a cell's only one, the smallest are to have as many bits, if there is room
    /// for those of the largest.
    fn free_weight(&self, v: usize) -> f64 {
        let Some((weights, _)) = self.facts.op(v).affine() else {
            return policy::FREE_WEIGHT;
        };
        let weights: Vec<f32> = weights.iter().copied().collect();
        let further = spread(&weights);
        let bits = self.bits.of(self.facts.node(v).inputs[0].0) as i32;
        let most = policy::FINEST_WEIGHT_BITS.min(policy::RAW_SUM_BITS - bits);
        let room = most - log2_ceil(policy::FREE_WEIGHT);
        policy::FREE_WEIGHT * exp2(further.min(room).max(0))
    }

    /// Whether fractions of `v` decide over integers, or 1 is where a function of it ends: binary
    /// fractions are kept exactly then.
    fn is_rounded(&self, v: usize) -> bool {
        let rounds = |&c: &usize| match self.facts.op(c) {
            Op::Activation(f) => f.is_integral() || f.jumps() || f.has_edges(),
            Op::Sub | Op::Max | Op::Maximum { .. } => self.facts.is_read_by(c, ends),
            Op::Input { .. }
            | Op::Constant { .. }
            | Op::Dense { .. }
            | Op::Conv { .. }
            | Op::Affine { .. }
            | Op::Pool { .. }
            | Op::Add
            | Op::Reshape { .. }
            | Op::Transpose { .. }
            | Op::Concat { .. }
            | Op::Pad { .. }
            | Op::Contract(_)
            | Op::Map(_)
            | Op::Take { .. }
            | Op::Missing(_) => false,
        };
        self.facts.consumers[v].iter().any(rounds)
    }

    /// Largest absolute weight of the linear layer that produces `v`.
    fn largest_weight(&self, v: usize, scales: &[f64]) -> Option<f64> {
        let weights = match self.facts.op(v) {
            Op::Dense { weight, .. } | Op::Conv { weight, .. } => weight,
            Op::Affine { scale, .. } if self.forms.pure_scale(v).is_none() => scale,
            Op::Input { .. }
            | Op::Constant { .. }
            | Op::Affine { .. }
            | Op::Activation(_)
            | Op::Pool { .. }
            | Op::Add
            | Op::Sub
            | Op::Reshape { .. }
            | Op::Transpose { .. }
            | Op::Concat { .. }
            | Op::Pad { .. }
            | Op::Contract(_)
            | Op::Map(_)
            | Op::Take { .. }
            | Op::Missing(_)
            | Op::Max
            | Op::Maximum { .. } => return None,
        };
        let largest = weights.iter().fold(0.0_f32, |m, w| m.max(w.abs()));
        // Without weights the bias alone decides, if there is one.
        Some(match (largest, self.forms.wanted(v)) {
            (0.0, wanted) if wanted > 0.0 => wanted / self.feed_scale(v, scales),
            (0.0, _) => 1.0,
            (largest, _) => largest.into(),
        })
    }

    /// Scale of the integers that the linear layer of `v` reads.
    fn feed_scale(&self, v: usize, scales: &[f64]) -> f64 {
        let source = self.facts.node(v).inputs[0].0;
        match self.forms.of(source) {
            Form::Exact(shift) if !self.needs.small(source) => {
                scales[source] * exp2(-(shift as i32))
            }
            Form::Exact(_) | Form::Small | Form::Linear | Form::Raw => scales[source],
        }
    }
}

/// Whether it rounds to integers, or ends at 1.
fn ends(op: &Op) -> bool {
    let ends = |f: Activation| f.is_integral() || f.has_edges();
    op.activation().is_some_and(ends)
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
