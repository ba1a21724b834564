//! Needs: which accumulators must be made small, and which classes have a free scale.
//!
//! A class without demands holds only accumulators that leave the model, and its scale is free.

use super::facts::Facts;
use super::forms::{Form, Forms};
use super::policy;
use super::ties::Ties;
use crate::float::{Activation, Op};

/// What the consumers of values need of them.
#[derive(Debug)]
pub(super) struct Needs {
    small: Vec<bool>,
    free: Vec<bool>,
}

impl Needs {
    /// The needs of all values.
    pub(super) fn new(facts: &Facts, forms: &Forms, ties: &Ties) -> Self {
        let n = facts.len();
        let reads_small = |v: usize| {
            let consumers = facts.consumers[v].iter();
            let read = || consumers.clone().any(|&c| reads_small(facts, forms, v, c));
            // What is compared with its own maximum is made small where it is made.
            let extreme = facts.extremes[v] && !facts.scores[v];
            forms.of(v) != Form::Small && (extreme || read())
        };
        let mut small: Vec<bool> = (0..n).map(reads_small).collect();
        let mut free = vec![true; n];
        for v in 0..n {
            let source = facts.op(v).is_source();
            if small[v] || source || forms.feeds_curve(v) || ties.is_whole(v) {
                free[ties.root(v).0] = false;
            }
        }
        let free: Vec<bool> = (0..n).map(|v| free[ties.root(v).0]).collect();
        for (v, small) in small.iter_mut().enumerate() {
            let coarse = match forms.of(v) {
                Form::Exact(shift) => shift > policy::DIRECT_SHIFT,
                Form::Small | Form::Linear | Form::Raw => false,
            };
            let read = |&c: &usize| has_weights(facts, forms, c) && !free[c];
            *small |= coarse && facts.consumers[v].iter().any(read);
        }
        Self { small, free }
    }

    /// Whether a consumer of `v` takes its small form, when it is an accumulator.
    pub(super) fn small(&self, v: usize) -> bool {
        self.small[v]
    }

    /// Whether `v` is an accumulator whose integers are rows of a table. The sign is that of the
    /// integers rounded down, however many they are.
    pub(super) fn feeds_table(&self, facts: &Facts, forms: &Forms, v: usize) -> bool {
        let whole = |op: &Op| op.activation().is_some_and(|f| f != Activation::Step);
        forms.of(v) != Form::Small && (self.small[v] || facts.is_read_by(v, whole))
    }

    /// Whether the scale of `v`'s accumulator is free.
    pub(super) fn is_free(&self, v: usize) -> bool {
        self.free[v]
    }
}

/// Whether consumer `c` of the accumulator `v` reads its small form, whatever its shift.
fn reads_small(facts: &Facts, forms: &Forms, v: usize, c: usize) -> bool {
    let op = facts.op(c);
    let linear = forms.of(v) == Form::Linear;
    match op {
        Op::Activation(_)
        | Op::Reshape { .. }
        | Op::Transpose { .. }
        | Op::Take { .. }
        | Op::Missing(_) => false,
        Op::Map(_) => op.adds_cells() && linear,
        Op::Contract(_) => linear,
        Op::Add | Op::Sub => forms.of(c) != Form::Raw && !facts.adds_directly(c, v),
        Op::Max | Op::Maximum { .. } => forms.of(c) != Form::Raw || linear,
        Op::Affine { .. } if !has_weights(facts, forms, c) => false,
        Op::Dense { .. } | Op::Conv { .. } | Op::Affine { .. } => {
            !matches!(forms.of(v), Form::Exact(_))
        }
        Op::Input { .. }
        | Op::Constant { .. }
        | Op::Pool { .. }
        | Op::Concat { .. }
        | Op::Pad { .. } => true,
    }
}

/// Whether `v` is the accumulator of a layer with weights of its own.
fn has_weights(facts: &Facts, forms: &Forms, v: usize) -> bool {
    let layer = facts.op(v).is_linear() && forms.of(v) == Form::Linear;
    layer && forms.pure_scale(v).is_none()
}
