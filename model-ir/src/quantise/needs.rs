//! What is known of values beyond their ranges, what their consumers need, and how many bits they
//! get.

use super::balance;
use super::curves::further_bits;
use super::plan::{Form, Plan};
use super::policy;
use crate::exact::log2_ceil;
use crate::float::{Activation, Op, ValueId};

impl Plan<'_> {
    /// Which values cannot be negative.
    pub(super) fn find_nonnegative(&self) -> Vec<bool> {
        let mut known: Vec<bool> = Vec::new();
        for (v, node) in self.graph.nodes().iter().enumerate() {
            let all = || node.inputs.iter().all(|i| known[i.0]);
            if let Some(integers) = self.integers[v] {
                known.push(integers.lo >= 0);
                continue;
            }
            known.push(match &node.op {
                Op::Input { .. } | Op::Constant { .. } => self.ranges[v].lo >= 0.0,
                Op::Activation(f) => f.is_nonnegative(),
                Op::Affine { .. } => self.factor(v).is_some_and(|f| f > 0.0) && all(),
                Op::Pad { value, .. } => *value >= 0.0 && all(),
                Op::Contract(c) => {
                    let square = node.inputs[0] == node.inputs[1] && c.left == c.right;
                    square || all()
                }
                Op::Map(axes) => all() && axes.iter().all(crate::float::AxisMap::is_nonnegative),
                Op::Dense { .. } | Op::Conv { .. } | Op::Sub => false,
                _ => all(),
            });
        }
        known
    }

    /// Which classes hold raw values only, and which integers only.
    pub(super) fn find_classes(&mut self) {
        let n = self.forms.len();
        (self.loose, self.whole) = (vec![true; n], vec![true; n]);
        for v in 0..n {
            let (root, ratio) = self.classes.root(v);
            self.loose[root] &= self.forms[v] == Form::Raw;
            self.whole[root] &= self.is_integral(v) && (ratio - 1.0).abs() < f64::EPSILON;
        }
    }

    /// Bits of every class, by root.
    pub(super) fn find_bits(&self) -> Vec<u32> {
        let n = self.forms.len();
        let usual = self.ordinary_bits();
        let start = |root: usize| if self.whole[root] { 0 } else { usual };
        let mut bits: Vec<u32> = (0..n).map(start).collect();
        let compared = self.find_compared();
        // Inputs of layers are rounded finely in models of layers only and in those of products:
        // errors of a recurrence add up.
        let products = self.has_products();
        let linear =
            (0..n).all(|v| !matches!(self.node(v).op, Op::Activation(_) | Op::Pool { .. }));
        let given = balance::given(self.graph);
        let all_given = self.classes_of(&given);
        // Few numbers, so that tables of like values are shared.
        let larger = |(root, bits): (usize, u32)| match (bits, all_given[root]) {
            (0, _) => 0,
            (bits, true) => bits.min(policy::MOST_BITS),
            (bits, false) => bits.clamp(policy::FAST_FINE_BITS, policy::GIVEN_BITS),
        };
        let large: Vec<u32> = self
            .usual_bits()
            .into_iter()
            .enumerate()
            .map(larger)
            .collect();
        for v in 0..n {
            let root = self.classes.root(v).0;
            let least = if self.is_whole(v) {
                let (lo, hi) = self.interval(v);
                let most = lo.unsigned_abs().max(hi.unsigned_abs()).max(1);
                most.ilog2() + 1 + u32::from(lo < 0)
            } else if compared[root] {
                let unlike = balance::unlikeness(self.channels[v].as_ref());
                let further = if matches!(self.node(v).op, Op::Input { .. }) {
                    log2_ceil(unlike) as u32
                } else {
                    0
                };
                (policy::COMPARED_BITS + further).min(policy::MOST_BITS)
            } else if all_given[root] && self.scales_up(v) > 0 {
                (policy::GIVEN_BITS + self.scales_up(v)).min(policy::MOST_BITS)
            } else if self.is_balanced(v, &given) {
                self.profile.numbers().fine_bits
            } else if self.is_fine(v, linear || products) {
                let layer =
                    |&c: &usize| matches!(self.node(c).op, Op::Dense { .. } | Op::Conv { .. });
                let given = matches!(self.node(v).op, Op::Input { .. });
                // Masked scores: what matters is far smaller than the mask.
                let row = |&c: &usize| matches!(self.node(c).op, Op::Maximum { .. });
                let scores = self.forms[v] == Form::Raw && self.consumers[v].iter().any(row);
                if scores {
                    policy::GIVEN_BITS.max(self.profile.numbers().fine_bits + 1)
                } else if given && !self.consumers[v].iter().any(layer) {
                    let further = |&c: &usize| match self.node(c).op {
                        Op::Activation(f) => further_bits(f),
                        _ => 0,
                    };
                    policy::GIVEN_BITS + self.consumers[v].iter().map(further).max().unwrap_or(0)
                } else {
                    // Scales of raw values are rounded up to a power of two times their own.
                    self.profile.numbers().fine_bits + u32::from(self.forms[v] == Form::Raw)
                }
            } else {
                0
            };
            let least = least.max(large[root]).max(self.deep_bits(v));
            bits[root] = bits[root].max(least);
        }
        bits
    }

    /// Bits of the activations but for what needs more.
    fn ordinary_bits(&self) -> u32 {
        if self.has_products() {
            self.profile.numbers().precise_bits
        } else {
            self.profile.bits()
        }
    }

    /// By root: bits of classes whose largest cells are so much larger than the usual ones of a
    /// member that those would be lost in steps of ordinary bits.
    fn usual_bits(&self) -> Vec<u32> {
        let n = self.forms.len();
        let (mut most, mut least) = (vec![0.0_f64; n], vec![f64::INFINITY; n]);
        let mut signed = vec![false; n];
        for v in (0..n).filter(|&v| self.is_rounded_small(v)) {
            let (root, ratio) = self.classes.root(v);
            most[root] = most[root].max(self.wanted(v) / ratio);
            // In steps of the usual magnitude, of which all of the value has more.
            let magnitude = self.usual[v]
                .magnitude()
                .min(self.ranges[v].size() / policy::SPREAD);
            if magnitude > 0.0 {
                least[root] = least[root].min(magnitude / ratio);
            }
            signed[root] |= !self.nonnegative[v];
        }
        let bits = |root: usize| {
            let steps = most[root] / least[root] * self.profile.numbers().usual_steps;
            let needed = log2_ceil(steps + 1.0) as u32 + u32::from(signed[root]);
            let more = !self.whole[root] && needed > self.ordinary_bits();
            if more { needed } else { 0 }
        };
        (0..n).map(bits).collect()
    }

    /// Where a class of values leaps most, if it has values of too unlike sizes for one scale: a
    /// stream to which a layer adds far larger numbers, or what is put beside others, goes on in a
    /// unit of its own.
    pub(super) fn leap(&self) -> Option<usize> {
        let bits = self.usual_bits();
        // Integers of inputs have as many bits as it takes.
        let given = self.classes_of(&balance::given(self.graph));
        let leap = |v: usize| {
            let node = self.node(v);
            let border = match node.op {
                Op::Add | Op::Sub | Op::Concat { .. } | Op::Max => 0.0,
                Op::Pad { value, .. } if value != 0.0 => f64::from(value.abs()),
                _ => return None,
            };
            if self.forms[v] == Form::Raw
                || given[self.classes.root(v).0]
                || bits[self.classes.root(v).0] <= policy::GIVEN_BITS
            {
                return None;
            }
            let size = self.ranges[v].size();
            let ratio = |u: &ValueId| {
                let part = self.ranges[u.0].size();
                let whole = self.whole_size(u.0);
                (part / size)
                    .max(size / part)
                    .max(whole / size)
                    .max(border / whole)
            };
            let tied = node
                .inputs
                .iter()
                .filter(|u| self.forms[u.0] != Form::Linear);
            let leap = tied
                .map(ratio)
                .filter(|r| r.is_finite())
                .fold(0.0, f64::max);
            (policy::LEAP..f64::INFINITY)
                .contains(&leap)
                .then_some((v, leap))
        };
        let leaps = (0..self.forms.len()).filter_map(leap);
        leaps.max_by(|a, b| a.1.total_cmp(&b.1)).map(|(v, _)| v)
    }

    /// The size of what `v` is a rearranged part of.
    fn whole_size(&self, mut v: usize) -> f64 {
        while self.moves(v) && !self.is_rescaled(v) {
            v = self.node(v).inputs[0].0;
        }
        self.ranges[v].size()
    }

    /// Whether the cells of `v` are rounded to the steps of its class, and more than one function
    /// of them is taken.
    fn is_rounded_small(&self, v: usize) -> bool {
        let curve = |&c: &usize| matches!(self.node(c).op, Op::Activation(_));
        match self.forms[v] {
            Form::Small => self.is_source(v),
            Form::Linear | Form::Exact(_) => !self.consumers[v].iter().all(curve),
            Form::Raw => false,
        }
    }

    /// By root: whether all values of a class are so.
    fn classes_of(&self, so: &[bool]) -> Vec<bool> {
        let mut classes = vec![true; so.len()];
        for (v, &so) in so.iter().enumerate() {
            classes[self.classes.root(v).0] &= so;
        }
        classes
    }

    /// Whether `v` has the features of inputs, brought to one size: few cells that all others
    /// follow from.
    fn is_balanced(&self, v: usize, given: &[bool]) -> bool {
        let node = self.node(v);
        let scales = matches!(node.op, Op::Affine { .. }) && self.forms[v] == Form::Linear;
        scales && given[node.inputs[0].0] && self.scales_up(node.inputs[0].0) > 0
    }

    /// Binary digits by which a map of the channels of `v` makes small ones larger, beside the
    /// largest.
    fn scales_up(&self, v: usize) -> u32 {
        let gain = |&c: &usize| match &self.node(c).op {
            Op::Affine { scale, .. } if self.uniform(c).is_none() => {
                let most = scale.iter().fold(0.0_f32, |m, s| m.max(s.abs()));
                let gain = f64::from(most) * self.ranges[v].size() / self.ranges[c].size();
                if gain.is_finite() { gain.max(1.0) } else { 1.0 }
            }
            _ => 1.0,
        };
        let most = self.consumers[v].iter().map(gain).fold(1.0, f64::max);
        log2_ceil(most) as u32
    }

    /// By root: classes of inputs and constants that are compared, and that nothing makes small.
    fn find_compared(&self) -> Vec<bool> {
        let n = self.forms.len();
        let (mut wide, mut compared) = (vec![true; n], vec![false; n]);
        let quantises =
            |&c: &usize| matches!(self.node(c).op, Op::Activation(Activation::Quantize { .. }));
        for v in (0..n).rev() {
            for &c in &self.consumers[v] {
                let op = &self.node(c).op;
                let follows = match op {
                    Op::Sub
                    | Op::Add
                    | Op::Max
                    | Op::Maximum { .. }
                    | Op::Map(_)
                    | Op::Take { .. }
                    | Op::Reshape { .. }
                    | Op::Concat { .. }
                    | Op::Transpose { .. } => self.forms[c] != Form::Linear,
                    Op::Affine { .. } => {
                        self.forms[c] != Form::Linear || self.consumers[c].iter().all(quantises)
                    }
                    _ => false,
                };
                let ends = match op {
                    Op::Activation(f) => !f.keeps_scale() || quantises(&c),
                    Op::Contract(_) => true,
                    _ => false,
                };
                wide[v] &= ends || follows && wide[c];
                compared[v] |= match op {
                    Op::Activation(f) => f.is_integral() || quantises(&c),
                    Op::Max | Op::Maximum { .. } => true,
                    _ => follows && compared[c],
                };
            }
        }
        let mut classes = vec![true; n];
        let mut wanted = vec![false; n];
        for v in 0..n {
            let root = self.classes.root(v).0;
            let given = matches!(self.node(v).op, Op::Input { .. } | Op::Constant { .. });
            let made = matches!(
                self.node(v).op,
                Op::Max
                    | Op::Maximum { .. }
                    | Op::Reshape { .. }
                    | Op::Concat { .. }
                    | Op::Transpose { .. }
                    | Op::Map(_)
                    | Op::Take { .. }
            );
            classes[root] &= wide[v] && (given || made || self.forms[v] != Form::Small);
            wanted[root] |= given && compared[v];
        }
        classes.iter().zip(wanted).map(|(&c, w)| c && w).collect()
    }

    /// Whether the model multiplies activations, as recurrent layers and attention do: errors add
    /// up, and nothing is gained by small tables.
    pub(super) fn has_products(&self) -> bool {
        let nodes = self.graph.nodes();
        nodes.iter().any(|node| matches!(node.op, Op::Contract(_)))
    }

    /// Whether rounding `v` to the profile's bits would be felt.
    fn is_fine(&self, v: usize, precise: bool) -> bool {
        // Scores that are compared decide, and are few.
        let maximised = |&c: &usize| matches!(self.node(c).op, Op::Maximum { .. });
        if !matches!(self.forms[v], Form::Small | Form::Raw) {
            return self.consumers[v].iter().any(maximised);
        }
        let given = matches!(self.node(v).op, Op::Input { .. } | Op::Constant { .. });
        let fine = |&c: &usize| match &self.node(c).op {
            Op::Contract(_) | Op::Max | Op::Maximum { .. } => true,
            Op::Map(_) => given || self.adds_cells(c),
            Op::Activation(f) => given || !f.keeps_scale() || self.is_rescaled(c),
            Op::Add | Op::Sub | Op::Affine { .. } => given || self.forms[c] == Form::Raw,
            Op::Dense { .. } | Op::Conv { .. } => given && precise,
            Op::Pool { .. } => false,
            _ => given && self.forms[c] != Form::Small && self.consumers[c].is_empty(),
        };
        let output = self.outputs[v] && self.forms[v] == Form::Small;
        output || self.consumers[v].iter().any(fine)
    }

    /// Which accumulators must be made small, and which classes are free.
    pub(super) fn find_needs(&mut self) {
        let n = self.forms.len();
        let is_layer = |v: usize| {
            let node = self.node(v);
            matches!(
                node.op,
                Op::Dense { .. } | Op::Conv { .. } | Op::Affine { .. }
            ) && self.forms[v] == Form::Linear
                && self.pure_scale(v).is_none()
        };
        let mut needs = vec![false; n];
        for v in (0..n).filter(|&v| self.forms[v] != Form::Small) {
            needs[v] = self.consumers[v].iter().any(|&c| match &self.node(c).op {
                Op::Activation(_) | Op::Reshape { .. } | Op::Transpose { .. } | Op::Take { .. } => {
                    false
                }
                Op::Map(_) => self.adds_cells(c) && self.forms[v] == Form::Linear,
                Op::Contract(_) => self.forms[v] == Form::Linear,
                Op::Add | Op::Sub if self.forms[c] == Form::Raw => false,
                Op::Max | Op::Maximum { .. } if self.forms[c] == Form::Raw => {
                    self.forms[v] == Form::Linear
                }
                Op::Add | Op::Sub => !self.adds_directly(c, v),
                Op::Affine { .. } if !is_layer(c) => false,
                Op::Dense { .. } | Op::Conv { .. } | Op::Affine { .. } => {
                    !matches!(self.forms[v], Form::Exact(_))
                }
                _ => true,
            });
        }
        let mut free = vec![true; n];
        for (v, &needed) in needs.iter().enumerate() {
            if needed || self.is_source(v) || self.feeds_curve(v) || self.is_whole(v) {
                free[self.classes.root(v).0] = false;
            }
        }
        for (v, needed) in needs.iter_mut().enumerate() {
            let Form::Exact(shift) = self.forms[v] else {
                continue;
            };
            let coarse = |&c: &usize| {
                let free = free[self.classes.root(c).0];
                is_layer(c) && !free && shift > policy::DIRECT_SHIFT
            };
            *needed |= self.consumers[v].iter().any(coarse);
        }
        (self.needs_small, self.free) = (needs, free);
    }

    /// Whether `v` is made small where it is produced.
    pub(super) fn is_source(&self, v: usize) -> bool {
        matches!(
            self.node(v).op,
            Op::Input { .. } | Op::Constant { .. } | Op::Activation(_) | Op::Pad { .. }
        )
    }

    /// Whether `v` is an accumulator that a curve takes.
    pub(super) fn feeds_curve(&self, v: usize) -> bool {
        let curve = |&c: &usize| matches!(&self.node(c).op, Op::Activation(f) if !f.keeps_scale());
        self.forms[v] != Form::Small && self.consumers[v].iter().any(curve)
    }
}
