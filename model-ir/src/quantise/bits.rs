//! Bits: how many every class of tied values gets, and the integers that its members may have.
//!
//! A class has as many bits as its most demanding member. What a member demands follows from its
//! form and from who reads it: values that are rounded once and read by a layer have the profile's
//! bits, and what decides (outputs, operands of products, scores, comparisons) has more.

use super::compared;
use super::facts::Facts;
use super::forms::{Form, Forms};
use super::ties::Ties;
use super::{balance, policy};
use crate::exact::log2_ceil;
use crate::float::{Activation, Op};
use crate::int::Interval;

/// The bits of every value's small form, and its integers.
#[derive(Debug)]
pub(super) struct Bits {
    of: Vec<u32>,
    intervals: Vec<(i64, i64)>,
}

impl Bits {
    /// The bits of all values.
    pub(super) fn new(facts: &Facts, forms: &Forms, ties: &Ties) -> Self {
        let n = facts.len();
        let ordinary = ordinary(facts, ties);
        let demands = Demands::new(facts, forms, ties, &ordinary);
        let start = |root: usize| {
            if ties.is_whole(root) {
                0
            } else {
                ordinary[root]
            }
        };
        let mut roots: Vec<u32> = (0..n).map(start).collect();
        for v in 0..n {
            let root = ties.root(v).0;
            roots[root] = roots[root].max(demands.of(v));
        }
        let mut bits = Self {
            of: (0..n).map(|v| roots[ties.root(v).0]).collect(),
            intervals: vec![],
        };
        let interval = |v| bits.integers(facts, forms, ties, v);
        bits.intervals = (0..n).map(interval).collect();
        bits
    }

    /// Bits of the small form of `v`.
    pub(super) fn of(&self, v: usize) -> u32 {
        self.of[v]
    }

    /// Smallest and largest integer of the small form of `v`.
    pub(super) fn interval(&self, v: usize) -> (i64, i64) {
        self.intervals[v]
    }

    /// Largest integer of `v`'s bits, unsigned or symmetric.
    pub(super) fn most(&self, v: usize, unsigned: bool) -> i64 {
        let bits = self.of[v];
        (1 << if unsigned { bits } else { bits - 1 }) - 1
    }

    fn integers(&self, facts: &Facts, forms: &Forms, ties: &Ties, v: usize) -> (i64, i64) {
        if let Some(Interval { lo, hi }) = facts.integers[v].filter(|_| ties.is_whole(v)) {
            return (lo, hi);
        }
        if let Some(quantised) = ties.quantised(v) {
            return quantised;
        }
        // At a prescribed scale the integers are as large as they must be.
        let fixed = ties.fixed(v);
        let fixed = fixed.map(|scale| (forms.wanted(v) / scale).ceil().max(1.0) as i64);
        if facts.nonnegative[v] {
            return (0, fixed.unwrap_or_else(|| self.most(v, true)));
        }
        let most = fixed.unwrap_or_else(|| self.most(v, false));
        (-most, most)
    }
}

/// By root: bits of the activations but for what needs more.
fn ordinary(facts: &Facts, ties: &Ties) -> Vec<u32> {
    let bits = |precise: bool| {
        if precise {
            facts.profile.numbers().precise_bits
        } else {
            facts.profile.bits()
        }
    };
    ties.any(&facts.precise).into_iter().map(bits).collect()
}

/// What a class asks for because of the usual cells of its members.
#[derive(Clone, Copy, Debug)]
pub(super) struct Usual {
    /// Bits, if the largest cells are so much larger than the usual ones of a member that those would
    /// be lost in steps of ordinary bits; 0 if not.
    pub(super) bits: u32,
    /// The least usual magnitude of a member that is rounded, in units of the root; infinite if none
    /// is.
    pub(super) least: f64,
}

/// By root: bits for the usual cells beside the largest.
pub(super) fn usual(facts: &Facts, forms: &Forms, ties: &Ties) -> Vec<Usual> {
    let n = facts.len();
    let ordinary = ordinary(facts, ties);
    let (mut most, mut least) = (vec![0.0_f64; n], vec![f64::INFINITY; n]);
    let mut signed = vec![false; n];
    for v in 0..n {
        let (root, ratio) = ties.root(v);
        let rounded = is_rounded_small(facts, forms, v);
        if rounded || forms.of(v) != Form::Linear {
            most[root] = most[root].max(forms.wanted(v) / ratio);
        }
        if !rounded {
            continue;
        }
        // In steps of the usual magnitude, of which all of the value has more.
        let size = facts.ranges[v].size();
        let mut magnitude = facts.usual[v].magnitude().min(size / policy::SPREAD);
        if is_tested(facts, forms, v) {
            magnitude = magnitude.min(size * policy::TESTED);
        }
        if magnitude > 0.0 {
            least[root] = least[root].min(magnitude / ratio);
        }
        signed[root] |= !facts.nonnegative[v];
    }
    let bits = |root: usize| {
        let steps = most[root] / least[root] * facts.profile.numbers().usual_steps;
        let needed = log2_ceil(steps + 1.0) as u32 + u32::from(signed[root]);
        let more = !ties.is_whole(root) && needed > ordinary[root];
        if more { needed } else { 0 }
    };
    let of_root = |root: usize| Usual {
        bits: bits(root),
        least: least[root],
    };
    (0..n).map(of_root).collect()
}

/// Whether `v` is an input or a constant of which the sign is asked, moved or in another unit.
fn is_tested(facts: &Facts, forms: &Forms, v: usize) -> bool {
    facts.op(v).is_given() && is_asked_for_sign(facts, forms, v)
}

/// Whether the sign of `v` is asked, moved or in another unit.
fn is_asked_for_sign(facts: &Facts, forms: &Forms, v: usize) -> bool {
    let asks = |&c: &usize| {
        let op = facts.op(c);
        let same = op.moves() || forms.pure_scale(c).is_some();
        let tests = op.activation().is_some_and(Activation::compares_with_zero);
        tests || same && is_asked_for_sign(facts, forms, c)
    };
    facts.consumers[v].iter().any(asks)
}

/// Cells of which functions are taken.
fn lookups(facts: &Facts) -> usize {
    let looked_up = |&v: &usize| facts.op(v).activation().is_some();
    let cells = (0..facts.len()).filter(looked_up).map(|v| facts.cells(v));
    cells.sum()
}

/// Whether the cells of `v` are rounded to the steps of its class, and more than one function of
/// them is taken.
fn is_rounded_small(facts: &Facts, forms: &Forms, v: usize) -> bool {
    match forms.of(v) {
        Form::Small => facts.op(v).is_source(),
        Form::Linear | Form::Exact(_) => facts.is_read_by(v, |op| op.activation().is_none()),
        Form::Raw => false,
    }
}

/// What members demand of their classes.
struct Demands<'a> {
    facts: &'a Facts<'a>,
    forms: &'a Forms,
    ties: &'a Ties,
    /// By root: bits of the activations but for what needs more.
    ordinary: &'a [u32],
    /// By root: classes of inputs and constants that are compared, and that nothing makes small.
    compared: Vec<bool>,
    /// By root: classes of values whose integers are those of inputs.
    given: Vec<bool>,
    /// By root: bits for the usual cells beside the largest.
    large: Vec<u32>,
    /// Values whose cells leave the model, moved or in another unit, and that nothing else reads.
    shown: Vec<bool>,
    /// Values whose cells are compared with 0, moved or in another unit.
    tested: Vec<bool>,
    /// Values of which nothing becomes but sums of a unit of their own, moved or in another unit.
    added: Vec<bool>,
    /// Binary digits by which maps of the channels of values, moved at most, make small ones larger,
    /// beside the largest.
    scaled_up: Vec<u32>,
    /// Values that no layer follows from, but for one of integers, such as the label's name.
    last: Vec<bool>,
    /// Whether the model has few lookups: more rows cost little there.
    small: bool,
    /// Whether the model has layers only, whose inputs are rounded finely. So are those that a
    /// product follows from: errors of a recurrence add up.
    linear: bool,
}

impl<'a> Demands<'a> {
    fn new(facts: &'a Facts<'a>, forms: &'a Forms, ties: &'a Ties, ordinary: &'a [u32]) -> Self {
        let given = ties.all(&facts.given);
        // Few numbers, so that tables of like values are shared.
        let larger = |(root, usual): (usize, Usual)| match (usual.bits, given[root]) {
            (0, _) => 0,
            (bits, true) => bits.min(policy::MOST_BITS),
            (bits, false) => bits.clamp(policy::FAST_FINE_BITS, policy::GIVEN_BITS),
        };
        let usual = usual(facts, forms, ties).into_iter().enumerate();
        let ops = || facts.graph.nodes().iter().map(|node| &node.op);
        let nonlinear = ops().any(|op| op.activation().is_some() || op.pools());
        let (mut shown, mut tested) = (vec![true; facts.len()], vec![false; facts.len()]);
        let mut last = vec![true; facts.len()];
        let mut added = vec![true; facts.len()];
        for v in (0..facts.len()).rev() {
            for &c in &facts.consumers[v] {
                let op = facts.op(c);
                let same = op.moves() || forms.pure_scale(c).is_some();
                let tests = op.activation().is_some_and(Activation::compares_with_zero);
                shown[v] &= same && shown[c];
                tested[v] |= tests || same && tested[c];
                let own = matches!(forms.of(c), Form::Raw | Form::Linear);
                let sums = own && (op.adds() || op.affine().is_some() && !same);
                added[v] &= sums || (same || op.carries()) && added[c];
                last[v] &= last[c] && (!op.is_layer() || ties.is_whole(v));
            }
            added[v] &= !facts.outputs[v] && !facts.consumers[v].is_empty();
        }
        Self {
            facts,
            forms,
            ties,
            ordinary,
            compared: compared::classes(facts, forms, ties),
            large: usual.map(larger).collect(),
            shown,
            tested,
            added,
            scaled_up: scaled_up(facts),
            last,
            given,
            small: lookups(facts) < policy::FEW_LOOKUPS,
            linear: !nonlinear,
        }
    }

    /// The least bits of `v`.
    fn of(&self, v: usize) -> u32 {
        let root = self.ties.root(v).0;
        let least = self.by_use(v, root);
        least.max(self.large[root]).max(self.forms.deep_bits(v))
    }

    fn by_use(&self, v: usize, root: usize) -> u32 {
        if self.ties.is_whole(v) {
            return self.facts.integers[v].map_or(0, integer_bits);
        }
        if self.compared[root] {
            let further = if self.facts.op(v).is_input() {
                log2_ceil(balance::unlikeness(self.facts.channels[v].as_ref())) as u32
            } else {
                0
            };
            return (policy::COMPARED_BITS + further).min(policy::MOST_BITS);
        }
        let further = self.scaled_up[v];
        if self.given[root] && further > 0 {
            (policy::GIVEN_BITS + further).min(policy::MOST_BITS)
        } else if self.facts.unlike[v] {
            self.facts.profile.numbers().feature_bits
        } else if self.is_balanced(v) {
            self.facts.profile.numbers().fine_bits
        } else {
            let fine = if self.is_fine(v) {
                self.fine_bits(v)
            } else {
                0
            };
            fine.max(self.added_bits(v)).max(self.mixed_bits(v, root))
        }
    }

    /// Bits of a function's values that are only added up: they cost no rows.
    fn added_bits(&self, v: usize) -> u32 {
        let function = self.facts.op(v).activation();
        let real = function.is_some_and(|f| !f.keeps_scale() && !f.is_integral());
        if real && self.added[v] && self.facts.cells(v) < policy::FEW_LOOKUPS {
            policy::ADDED_BITS
        } else {
            0
        }
    }

    /// Bits of a few values that a layer mixes, in whose result the rounding of as many as usual
    /// would be felt.
    fn mixed_bits(&self, v: usize, root: usize) -> u32 {
        let few = |v: usize| self.facts.cells(v) < policy::FEW_LOOKUPS;
        if self.facts.given[v] || !few(v) {
            return 0;
        }
        let layers = self.facts.consumers[v].iter().filter(|&&c| few(c));
        let felt = layers.filter_map(|&c| balance::felt(self.facts, v, c));
        let allowed = if self.small {
            policy::MIXED_STEPS
        } else {
            policy::FELT_STEPS
        };
        match log2_ceil(felt.fold(allowed, f64::max) / allowed) {
            0 => 0,
            further => (self.ordinary[root] + further as u32).min(policy::GIVEN_BITS),
        }
    }

    /// Bits of a value whose rounding would be felt.
    fn fine_bits(&self, v: usize) -> u32 {
        let fine = self.facts.profile.numbers().fine_bits;
        let raw = self.forms.of(v) == Form::Raw;
        if self.is_quantised_behind(v) {
            return policy::COMPARED_BITS;
        }
        // Masked scores: what matters is far smaller than the mask.
        if raw && self.facts.is_read_by(v, Op::reduces_to_maximum) {
            return policy::GIVEN_BITS.max(fine + 1);
        }
        if self.facts.op(v).is_input() && !self.facts.is_read_by(v, Op::is_layer) {
            let functions = self.facts.consumers[v].iter();
            let functions = functions.filter_map(|&c| self.facts.op(c).activation());
            return policy::GIVEN_BITS + functions.map(further_bits).max().unwrap_or(0);
        }
        let function = self.facts.op(v).activation();
        if function.is_some_and(|f| !f.keeps_scale()) && self.shown[v] {
            return policy::SHOWN_BITS;
        }
        // Scales of raw values are rounded up to a power of two times their own.
        fine + u32::from(raw)
    }

    /// Whether `v` has the features of inputs, brought to one size: few cells that all others
    /// follow from.
    fn is_balanced(&self, v: usize) -> bool {
        let node = self.facts.node(v);
        if node.op.affine().is_none() || self.forms.of(v) != Form::Linear {
            return false;
        }
        let source = node.inputs[0].0;
        self.facts.given[source] && self.scaled_up[source] > 0
    }

    /// Whether rounding `v` to the profile's bits would be felt.
    fn is_fine(&self, v: usize) -> bool {
        let form = self.forms.of(v);
        // Scores that are compared decide, and are few.
        if !matches!(form, Form::Small | Form::Raw) {
            return self.facts.is_read_by(v, Op::reduces_to_maximum)
                || self.is_shown_by_functions(v);
        }
        let output = self.facts.outputs[v] || self.shown[v];
        output && form == Form::Small || self.facts.consumers[v].iter().any(|&c| self.is_felt(v, c))
    }

    /// Whether nothing becomes of `v` but functions that no layer reads, such as probabilities.
    fn is_shown_by_functions(&self, v: usize) -> bool {
        let consumers = &self.facts.consumers[v];
        let shows = |&c: &usize| {
            let function = self.facts.op(c).activation();
            function.is_some_and(|f| !f.keeps_scale() && !f.is_integral()) && self.last[c]
        };
        !consumers.is_empty() && consumers.iter().all(shows)
    }

    /// Whether `v` is an input of a layer whose result the model rounds itself, and is to round to the
    /// same integers.
    fn is_quantised_behind(&self, v: usize) -> bool {
        let quantised =
            |&c: &usize| self.facts.op(c).is_layer() && self.facts.is_read_by(c, Op::quantises);
        self.facts.op(v).is_given() && self.facts.consumers[v].iter().any(quantised)
    }

    /// Whether consumer `c` feels the rounding of `v`.
    fn is_felt(&self, v: usize, c: usize) -> bool {
        let op = self.facts.op(c);
        let given = self.facts.op(v).is_given();
        match op {
            Op::Contract(_) | Op::Max | Op::Maximum { .. } => true,
            Op::Map(_) => given || op.adds_cells(),
            Op::Activation(f) => given || !f.keeps_scale() || self.forms.is_rescaled(c),
            Op::Add | Op::Sub | Op::Affine { .. } => {
                given || self.forms.of(c) == Form::Raw || self.tested[c]
            }
            Op::Dense { .. } | Op::Conv { .. } => {
                let finely = self.linear || self.facts.precise[v] || self.is_quantised_behind(v);
                given && (finely || self.facts.cells(c) <= self.facts.profile.numbers().few_cells)
            }
            Op::Pool { .. } | Op::Missing(_) => false,
            Op::Input { .. }
            | Op::Constant { .. }
            | Op::Reshape { .. }
            | Op::Transpose { .. }
            | Op::Concat { .. }
            | Op::Pad { .. }
            | Op::Take { .. } => {
                given && self.forms.of(c) != Form::Small && self.facts.consumers[c].is_empty()
            }
        }
    }
}

/// By value: [`Demands::scaled_up`].
fn scaled_up(facts: &Facts) -> Vec<u32> {
    let mut digits = vec![0; facts.len()];
    for v in (0..facts.len()).rev() {
        for &c in &facts.consumers[v] {
            let op = facts.op(c);
            let further = match op.affine().filter(|_| op.uniform().is_none()) {
                Some((scale, _)) => {
                    let most = scale.iter().fold(0.0_f32, |m, s| m.max(s.abs()));
                    let size = |v: usize| facts.ranges[v].size();
                    let gain = f64::from(most) * size(v) / size(c);
                    let gain = if gain.is_finite() { gain } else { 1.0 };
                    log2_ceil(gain.max(1.0)) as u32
                }
                None if op.carries() => digits[c],
                None => 0,
            };
            digits[v] = digits[v].max(further);
        }
    }
    digits
}

/// Bits of integers of an interval.
fn integer_bits(Interval { lo, hi }: Interval) -> u32 {
    let most = lo.unsigned_abs().max(hi.unsigned_abs()).max(1);
    most.ilog2() + 1 + u32::from(lo < 0)
}

/// Further bits of an input of which a function is taken.
fn further_bits(f: Activation) -> u32 {
    match f.steep() {
        Some(_) => policy::STEEP_BITS,
        None => pole_bits(f),
    }
}

/// Further bits of the argument of a curve with poles in its domain.
pub(super) fn pole_bits(f: Activation) -> u32 {
    if f.has_poles() { policy::POLE_BITS } else { 0 }
}
