//! Scales that the model prescribes: what it quantises itself.
//!
//! A value that is quantised next and is used for nothing else may be stored as the integers that
//! it becomes: what lies between, selections and maxima, commutes with rounding and clamping. Then
//! the layer that makes it rounds for both. Every other value keeps its own scale and range, and
//! the quantisation is a function of it like any other.

use super::classes::Classes;
use super::facts::Facts;
use super::forms::{Form, Forms};
use super::policy;
use crate::float::{Activation, Graph, Op, PoolKind};
use std::collections::BTreeSet;

/// Quantisations of values that must keep their own scale.
pub(super) fn untied(facts: &Facts, forms: &Forms) -> BTreeSet<usize> {
    let quantised = (0..facts.len()).filter(|&v| facts.op(v).quantises());
    let operand = |v: usize| facts.node(v).inputs[0].0;
    quantised
        .filter(|&v| !is_only_quantised(facts, forms, operand(v)))
        .collect()
}

/// Whether `u`, which is quantised next, and all that it selects from can be stored as what they
/// become.
fn is_only_quantised(facts: &Facts, forms: &Forms, u: usize) -> bool {
    let mut pending = vec![u];
    let mut seen = BTreeSet::new();
    while let Some(u) = pending.pop() {
        if !seen.insert(u) {
            continue;
        }
        if facts.outputs[u] || facts.consumers[u].len() != 1 {
            return false;
        }
        if selects(facts.op(u)) {
            pending.extend(facts.node(u).inputs.iter().map(|v| v.0));
        } else if !is_made(facts, forms, u) {
            return false;
        }
    }
    true
}

/// Whether the node of `u` rounds to whatever scale it is given.
fn is_made(facts: &Facts, forms: &Forms, u: usize) -> bool {
    match facts.op(u) {
        Op::Input { integral } => !integral,
        Op::Constant { .. } | Op::Dense { .. } | Op::Conv { .. } => true,
        Op::Affine { .. } => forms.pure_scale(u).is_none() && forms.of(u) == Form::Linear,
        Op::Activation(f) => !f.keeps_scale() && !f.is_integral(),
        Op::Pool { .. }
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
        | Op::Maximum { .. } => false,
    }
}

/// Whether every cell of the result is a cell of an operand, a maximum of cells, or a constant, so
/// that rounding and clamping the operands is rounding and clamping the result.
fn selects(op: &Op) -> bool {
    match op {
        Op::Pool { kind, .. } => *kind == PoolKind::Max,
        Op::Activation(f) => f.clamps().is_some(),
        Op::Concat { .. } | Op::Pad { .. } | Op::Max | Op::Maximum { .. } => true,
        Op::Reshape { .. } | Op::Transpose { .. } | Op::Take { .. } | Op::Map(_) => op.moves(),
        Op::Input { .. }
        | Op::Constant { .. }
        | Op::Dense { .. }
        | Op::Conv { .. }
        | Op::Affine { .. }
        | Op::Add
        | Op::Sub
        | Op::Contract(_)
        | Op::Missing(_) => false,
    }
}

/// By value: scale and zero point of an affine map of an integer input that is `scale (q - zero)`.
pub(super) fn dequantised(graph: &Graph) -> Vec<Option<(f64, i64)>> {
    let nodes = graph.nodes();
    let zero_point = |v: usize| {
        let (_, shift) = nodes[v].op.affine()?;
        let scale = nodes[v].op.uniform().filter(|&scale| scale > 0.0)?;
        let mut source = nodes[v].inputs[0].0;
        while nodes[source].op.moves() {
            source = nodes[source].inputs[0].0;
        }
        if !nodes[source].op.is_integral_input() {
            return None;
        }
        let first = *shift.iter().next()?;
        let same = shift.iter().all(|t| t.to_bits() == first.to_bits());
        let zero = -f64::from(first) / scale;
        let near = zero.round();
        let exact = (zero - near).abs() <= f64::from(f32::EPSILON) * near.abs();
        let fits = near != 0.0 && near.abs() < policy::ZERO_POINT;
        (same && exact && fits).then_some((scale, near as i64))
    };
    (0..nodes.len()).map(zero_point).collect()
}

/// By value: the integers of what the model quantises itself.
pub(super) fn quantised(
    facts: &Facts,
    forms: &Forms,
    classes: &Classes,
) -> Vec<Option<(i64, i64)>> {
    let mut bounds: Vec<Option<(i64, i64)>> = Vec::with_capacity(facts.len());
    for v in 0..facts.len() {
        let own = own_integers(facts, classes, &bounds, v);
        bounds.push(own);
    }
    // What is quantised next and was stored as that.
    for v in (0..facts.len()).rev() {
        let passes = facts.op(v).quantises() || selects(facts.op(v));
        let Some(own) = bounds[v].filter(|_| passes && !forms.is_rescaled(v)) else {
            continue;
        };
        for u in &facts.node(v).inputs {
            bounds[u.0] = bounds[u.0].or(Some(own));
        }
    }
    bounds
}

/// The integers of what `v` quantises or makes real, or of what it selects from those.
fn own_integers(
    facts: &Facts,
    classes: &Classes,
    bounds: &[Option<(i64, i64)>],
    v: usize,
) -> Option<(i64, i64)> {
    let node = facts.node(v);
    if let Some(Activation::Quantize { lo, hi, .. }) = node.op.activation() {
        return Some((i64::from(lo).min(0), i64::from(hi).max(0)));
    }
    if let Some((_, zero)) = facts.dequantised[v] {
        let integers = facts.integers[node.inputs[0].0];
        return integers.map(|q| (q.lo - zero, q.hi - zero));
    }
    if !selects(&node.op) {
        return None;
    }
    let scale = classes.fixed(v)?;
    let hull = |a: (i64, i64), b: (i64, i64)| (a.0.min(b.0), a.1.max(b.1));
    let parts = node.inputs.iter().map(|u| bounds[u.0]);
    let (lo, hi) = parts.reduce(|a, b| Some(hull(a?, b?)))??;
    let bound = |end: f32| (f64::from(end) / scale).round() as i64;
    if let Op::Pad { value, .. } = node.op {
        return Some(hull((lo, hi), (bound(value), bound(value))));
    }
    let Some((least, most)) = node.op.activation().and_then(Activation::clamps) else {
        return Some((lo, hi));
    };
    let reached = |x: i64| x.max(bound(least)).min(bound(most));
    Some((reached(lo), reached(hi)))
}
