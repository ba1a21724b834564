//! Ties: which values have scales in fixed ratios, and what follows from that.
//!
//! Scales are tied where integers are moved or added. A tie that contradicts others, or that would
//! take too much from a value, is given up: the value is rescaled, which changes forms and with
//! them ties. [`settled`] is that fixpoint, and the only place where forms and ties are made.

use super::classes::Classes;
use super::facts::Facts;
use super::forms::{Form, Forms};
use super::needs::Needs;
use super::{Error, bits, compared, extremes, policy, prescribed, tying};
use crate::float::{Op, ValueId};

/// Classes of tied values.
#[derive(Debug)]
pub(super) struct Ties {
    classes: Classes,
    /// By root: classes of raw values only.
    loose: Vec<bool>,
    /// By root: classes of integers, of scale 1.
    whole: Vec<bool>,
    /// Smallest and largest integer of values that the model quantises itself.
    quantised: Vec<Option<(i64, i64)>>,
}

/// The classes of a set of forms, or the value whose tie contradicts others.
pub(super) enum Tied {
    Consistent(Classes),
    Contradiction(usize),
}

/// Forms and ties that agree: each round rescales one more value, until none asks for it.
pub(super) fn settled(facts: &Facts) -> Result<(Forms, Ties), Error> {
    let untied = Forms::new(facts, [].into())?;
    let mut rescaled = prescribed::untied(facts, &untied);
    loop {
        let forms = Forms::new(facts, rescaled)?;
        let culprit = match tying::classes(facts, &forms)? {
            Tied::Contradiction(v) => v,
            Tied::Consistent(classes) => {
                let ties = Ties::new(facts, &forms, classes);
                match ties.leap(facts, &forms) {
                    Some(v) => v,
                    None => return Ok((forms, ties)),
                }
            }
        };
        rescaled = forms.into_rescaled();
        rescaled.insert(culprit);
    }
}

impl Ties {
    fn new(facts: &Facts, forms: &Forms, classes: Classes) -> Self {
        let n = facts.len();
        let (mut loose, mut whole) = (vec![true; n], vec![true; n]);
        for v in 0..n {
            let (root, ratio) = classes.root(v);
            loose[root] &= forms.of(v) == Form::Raw;
            whole[root] &= facts.is_integral(v) && (ratio - 1.0).abs() < f64::EPSILON;
        }
        Self {
            quantised: prescribed::quantised(facts, forms, &classes),
            classes,
            loose,
            whole,
        }
    }

    /// The root of `v`'s class and `scale(v) / scale(root)`.
    pub(super) fn root(&self, v: usize) -> (usize, f64) {
        self.classes.root(v)
    }

    /// The scale that the model prescribes for the class of `v`, as one of `v`.
    pub(super) fn fixed(&self, v: usize) -> Option<f64> {
        self.classes.fixed(v)
    }

    /// Whether `v` is raw and tied to raw values only: its small form may have any scale.
    pub(super) fn is_loose(&self, v: usize) -> bool {
        self.loose[self.root(v).0]
    }

    /// Whether the integers of `v` are its cells.
    pub(super) fn is_whole(&self, v: usize) -> bool {
        self.whole[self.root(v).0]
    }

    /// Smallest and largest integer of `v` if the model quantises it itself.
    pub(super) fn quantised(&self, v: usize) -> Option<(i64, i64)> {
        self.quantised[v]
    }

    /// By root: whether all values of a class are so.
    pub(super) fn all(&self, so: &[bool]) -> Vec<bool> {
        let mut classes = vec![true; so.len()];
        for (v, &so) in so.iter().enumerate() {
            classes[self.root(v).0] &= so;
        }
        classes
    }

    /// By root: whether any value of a class is so.
    pub(super) fn any(&self, so: &[bool]) -> Vec<bool> {
        let mut classes = vec![false; so.len()];
        for (v, &so) in so.iter().enumerate() {
            classes[self.root(v).0] |= so;
        }
        classes
    }

    /// Where a class of values leaps most, if it has values of too unlike sizes for one scale: a
    /// stream to which a layer adds far larger numbers, or what is put beside others, goes on in a
    /// unit of its own.
    fn leap(&self, facts: &Facts, forms: &Forms) -> Option<usize> {
        let usual = bits::usual(facts, forms, self);
        // Integers of inputs have as many bits as it takes.
        let given = self.all(&facts.given);
        let compared = compared::classes(facts, forms, self);
        // Integers that are rows of a table are no finer for being compared.
        let needs = Needs::new(facts, forms, self);
        let tabled = (0..facts.len()).map(|v| needs.feeds_table(facts, forms, v));
        let tabled = self.any(&tabled.collect::<Vec<_>>());
        let origin = |v: usize| extremes::origin(facts.graph, v);
        let mut small = vec![false; facts.len()];
        for v in (0..facts.len()).filter(|&v| needs.small(v)) {
            small[origin(v)] = true;
        }
        let leap = |v: usize| {
            let root = self.root(v).0;
            let border = border(facts.op(v))?;
            let most = if compared[root] && !tabled[root] {
                policy::COMPARED_BITS
            } else {
                policy::GIVEN_BITS
            };
            let untied = forms.of(v) == Form::Raw || forms.is_rescaled(v);
            if untied || given[root] || usual[root].bits <= most {
                return None;
            }
            let size = facts.ranges[v].size();
            let least = usual[root].least * self.root(v).1;
            let ratios = |u: &ValueId| {
                let part = facts.ranges[u.0].size();
                let whole = whole_size(facts, forms, u.0);
                // What was always 0 says nothing of its own size: it is tied to all of the class.
                let part = if whole > 0.0 { part } else { least };
                let others = [whole / size, size / whole, border / whole];
                [part / size, size / part].into_iter().chain(others)
            };
            // A layer's accumulator is added as it is, if nothing rounds it for others.
            let exact = |u: &ValueId| {
                forms.of(u.0) == Form::Linear && facts.op(v).adds() && !small[origin(u.0)]
            };
            let inputs = facts.node(v).inputs.iter();
            let leap = inputs
                .filter(|u| !exact(u))
                .flat_map(ratios)
                .filter(|r| r.is_finite())
                .fold(0.0, f64::max);
            (policy::LEAP..f64::INFINITY)
                .contains(&leap)
                .then_some((v, leap))
        };
        let leaps = (0..facts.len()).filter_map(leap);
        let leaps = leaps.max_by(|a, b| a.1.total_cmp(&b.1)).map(|(v, _)| v);
        leaps.or_else(|| (0..facts.len()).find(|&v| self.adds_unlike_layers(facts, forms, v)))
    }

    /// Whether `v` adds the result of a layer of integers to that of a layer of a real input, which may
    /// be so fine that the weights of the first have no room in the unit of the second.
    fn adds_unlike_layers(&self, facts: &Facts, forms: &Forms, v: usize) -> bool {
        if !facts.op(v).adds() || forms.of(v) != Form::Linear {
            return false;
        }
        let layer = |u: &ValueId| facts.node(extremes::origin(facts.graph, u.0));
        let layers = facts.node(v).inputs.iter().map(layer);
        let fed: Vec<usize> = layers
            .filter(|node| node.op.is_layer())
            .map(|node| node.inputs[0].0)
            .collect();
        let whole = |&u: &usize| self.is_whole(u);
        fed.iter().any(whole) && fed.iter().any(|&u| facts.given[u] && !self.is_whole(u))
    }
}

/// The magnitude of what an operator puts beside its operands, if it brings values together in one
/// scale.
fn border(op: &Op) -> Option<f64> {
    match op {
        Op::Add | Op::Sub | Op::Concat { .. } | Op::Max => Some(0.0),
        // What a bound or a slope leaves of a value.
        Op::Activation(f) => (f.keeps_scale() && !f.quantises()).then_some(0.0),
        Op::Pad { value, .. } => (*value != 0.0).then_some(f64::from(value.abs())),
        Op::Input { .. }
        | Op::Constant { .. }
        | Op::Dense { .. }
        | Op::Conv { .. }
        | Op::Affine { .. }
        | Op::Pool { .. }
        | Op::Reshape { .. }
        | Op::Transpose { .. }
        | Op::Contract(_)
        | Op::Map(_)
        | Op::Take { .. }
        | Op::Missing(_)
        | Op::Maximum { .. } => None,
    }
}

/// The size of what `v` is a part of: rearranged, or what bounds leave of it.
fn whole_size(facts: &Facts, forms: &Forms, mut v: usize) -> f64 {
    let cut = |op: &Op| {
        op.activation()
            .is_some_and(|f| f.keeps_scale() && !f.quantises())
    };
    while (facts.op(v).moves() || cut(facts.op(v))) && !forms.is_rescaled(v) {
        v = facts.node(v).inputs[0].0;
    }
    facts.ranges[v].size()
}
