//! Facts: what is known of every value before anything is decided.
//!
//! They follow from the graph, its calibrated ranges and the profile, and never change. Every pass
//! after this one reads them; none may add to them.

use super::average::Average;
use super::calibration::{Range, Usual};
use super::prepare::Prepared;
use super::{Error, Profile, balance, deep, extremes, prescribed, whole};
use crate::float::{Activation, Graph, Node, Op};
use crate::int::{Features, Interval, PortKind};

/// What is known of every value.
#[derive(Debug)]
pub(super) struct Facts<'a> {
    pub(super) graph: &'a Graph,
    pub(super) profile: Profile,
    /// Calibrated.
    pub(super) ranges: &'a [Range],
    pub(super) usual: &'a [Usual],
    /// By channel, of values whose channels are of interest.
    pub(super) channels: &'a [Option<Vec<Range>>],
    /// What inputs hold of the model's numbers; one for each.
    features: &'a [Option<Features>],
    /// The nodes that read a value, once for every operand.
    pub(super) consumers: Vec<Vec<usize>>,
    /// Whether a value is a model output.
    pub(super) outputs: Vec<bool>,
    /// The integers of values whose cells are integers.
    pub(super) integers: Vec<Option<Interval>>,
    /// Values that cannot be negative.
    pub(super) nonnegative: Vec<bool>,
    /// Inputs that bring features of unlike sizes to one size, for layers.
    pub(super) unlike: Vec<bool>,
    /// Values whose integers are those of inputs and constants, moved.
    pub(super) given: Vec<bool>,
    /// Scale and zero point of integer inputs that the model makes real.
    pub(super) dequantised: Vec<Option<(f64, i64)>>,
    /// Values that are compared with their own maximum.
    pub(super) extremes: Vec<bool>,
    /// Results of layers that are compared with their own maximum as they are, not rounded.
    pub(super) scores: Vec<bool>,
    /// Values whose small cells decide.
    pub(super) deep: Vec<bool>,
    /// Values on the way to or from a product of activations, as recurrent layers and attention
    /// have them: errors add up there, and nothing is gained by small tables.
    pub(super) precise: Vec<bool>,
}

impl<'a> Facts<'a> {
    /// The facts about a graph.
    pub(super) fn new(prepared: &'a Prepared, profile: Profile) -> Result<Self, Error> {
        let Prepared {
            graph,
            seen,
            features,
        } = prepared;
        let ranges = &seen.values;
        let consumers = consumers(graph);
        let integers = whole::find(graph, ranges);
        whole::check(graph, ranges, &integers)?;
        let unlike = unlike(graph, features, &consumers);
        let extremes = extremes::find(graph, &consumers);
        let scores = (0..extremes.len()).map(|v| extremes[v] && extremes::is_score(graph, v));
        let mut nonnegative = nonnegative(graph, ranges, &integers);
        // What an affine map made of numbers is not bounded by 0 because calibration saw none below.
        for (v, features) in graph.inputs().zip(features) {
            let least = ranges[v.0].lo;
            let keeps = features.as_ref().is_none_or(|f| f.are_nonnegative(least));
            nonnegative[v.0] &= keeps && !unlike[v.0];
        }
        Ok(Self {
            graph,
            profile,
            ranges,
            usual: &seen.usual,
            channels: &seen.channels,
            features,
            outputs: outputs(graph),
            nonnegative,
            unlike,
            given: balance::given(graph),
            dequantised: prescribed::dequantised(graph),
            scores: scores.collect(),
            extremes,
            deep: deep::find(graph, ranges),
            precise: precise(graph),
            consumers,
            integers,
        })
    }

    /// Number of values.
    pub(super) fn len(&self) -> usize {
        self.graph.nodes().len()
    }

    /// The node that produces value `v`.
    pub(super) fn node(&self, v: usize) -> &'a Node {
        &self.graph.nodes()[v]
    }

    /// The operator that produces value `v`.
    pub(super) fn op(&self, v: usize) -> &'a Op {
        &self.node(v).op
    }

    /// Number of cells of `v`.
    pub(super) fn cells(&self, v: usize) -> usize {
        self.node(v).shape.iter().product()
    }

    /// What input `v` holds of the model's numbers.
    pub(super) fn features(&self, v: usize) -> Option<&'a Features> {
        self.features[self.graph.inputs().take_while(|u| u.0 < v).count()].as_ref()
    }

    /// Whether an operator that reads `v` is so.
    pub(super) fn is_read_by(&self, v: usize, so: impl Fn(&Op) -> bool) -> bool {
        self.consumers[v].iter().any(|&c| so(self.op(c)))
    }

    /// Whether the cells of `v` are integers.
    pub(super) fn is_integral(&self, v: usize) -> bool {
        self.integers[v].is_some()
    }

    /// Whether `v` is an integer plus a constant of which nothing is asked but whether it is negative:
    /// the constant's fraction says nothing.
    pub(super) fn is_sign_of_integers(&self, v: usize) -> bool {
        let unit = self
            .op(v)
            .uniform()
            .is_some_and(|factor| factor.abs().to_bits() == 1.0_f64.to_bits());
        unit && self.is_integral(self.node(v).inputs[0].0) && self.decides(v)
    }

    /// Whether nothing is asked of `v` but whether it is negative.
    pub(super) fn decides(&self, v: usize) -> bool {
        let steps = |&c: &usize| self.op(c).activation() == Some(Activation::Step);
        !self.outputs[v] && self.consumers[v].iter().all(steps)
    }

    /// What a port that shows `v` says of its values.
    pub(super) fn kind(&self, v: usize) -> PortKind {
        if self.is_integral(v) {
            PortKind::Integer
        } else {
            PortKind::Real
        }
    }

    /// Whether the sum `v` takes its operand `u` as an accumulator. Cells of one value are taken
    /// alike, so that equal ones have a difference of 0.
    pub(super) fn adds_directly(&self, v: usize, u: usize) -> bool {
        let alone = |u: usize| self.consumers[u].len() == 1 && !self.outputs[u];
        let inputs = &self.node(v).inputs;
        let origin = |u: usize| extremes::origin(self.graph, u);
        let alike = inputs.iter().filter(|w| origin(w.0) == origin(u));
        alike.map(|w| w.0).all(alone)
    }

    /// Largest magnitude of what `v` adds up, which may be far larger than the sum; 0 if it is no
    /// sum.
    pub(super) fn largest_part(&self, v: usize) -> f64 {
        let node = self.node(v);
        let sizes = node.inputs.iter().map(|u| self.ranges[u.0].size());
        match &node.op {
            Op::Add | Op::Sub => sizes.fold(0.0, f64::max),
            Op::Map(_) if node.op.adds_cells() => sizes.fold(0.0, f64::max),
            Op::Affine { shift, .. } => {
                let most = shift.iter().fold(0.0_f32, |most, t| most.max(t.abs()));
                f64::from(most)
            }
            Op::Map(_)
            | Op::Dense { .. }
            | Op::Conv { .. }
            | Op::Input { .. }
            | Op::Constant { .. }
            | Op::Activation(_)
            | Op::Pool { .. }
            | Op::Max
            | Op::Maximum { .. }
            | Op::Reshape { .. }
            | Op::Transpose { .. }
            | Op::Take { .. }
            | Op::Missing(_)
            | Op::Concat { .. }
            | Op::Pad { .. }
            | Op::Contract(_) => 0.0,
        }
    }

    /// The division of average pool `v`.
    pub(super) fn average(&self, v: usize) -> Result<Average, Error> {
        let node = self.node(v);
        let Op::Pool { kind, windows } = &node.op else {
            unreachable!("asked of pools only");
        };
        let input = &self.node(node.inputs[0].0).shape;
        Average::new(*kind, windows, input, &node.name)
    }
}

/// Inputs with features of unlike sizes that layers read, moved, and nothing else.
fn unlike(graph: &Graph, features: &[Option<Features>], consumers: &[Vec<usize>]) -> Vec<bool> {
    let nodes = graph.nodes();
    let outputs = outputs(graph);
    let mut mixed = vec![false; nodes.len()];
    for v in (0..nodes.len()).rev() {
        let mixes = |&c: &usize| nodes[c].op.is_layer() || nodes[c].op.carries() && mixed[c];
        mixed[v] = !outputs[v] && !consumers[v].is_empty() && consumers[v].iter().all(mixes);
    }
    let mut unlike = vec![false; nodes.len()];
    for (v, features) in graph.inputs().zip(features) {
        unlike[v.0] = mixed[v.0] && features.as_ref().is_some_and(Features::are_unlike);
    }
    unlike
}

/// The nodes that read each value, once for every operand.
pub(super) fn consumers(graph: &Graph) -> Vec<Vec<usize>> {
    let mut consumers = vec![vec![]; graph.nodes().len()];
    for (i, node) in graph.nodes().iter().enumerate() {
        node.inputs.iter().for_each(|v| consumers[v.0].push(i));
    }
    consumers
}

/// Whether each value is a model output.
pub(super) fn outputs(graph: &Graph) -> Vec<bool> {
    let mut outputs = vec![false; graph.nodes().len()];
    for (_, value) in graph.outputs() {
        outputs[value.0] = true;
    }
    outputs
}

/// Which values a product of activations follows from, or follow from one.
fn precise(graph: &Graph) -> Vec<bool> {
    let nodes = graph.nodes();
    let (mut before, mut after) = (vec![false; nodes.len()], vec![false; nodes.len()]);
    for (v, node) in nodes.iter().enumerate() {
        after[v] = node.op.multiplies() || node.inputs.iter().any(|u| after[u.0]);
    }
    for (v, node) in nodes.iter().enumerate().rev() {
        before[v] |= node.op.multiplies();
        for u in &node.inputs {
            before[u.0] |= before[v];
        }
    }
    before.iter().zip(after).map(|(&b, a)| a || b).collect()
}

/// Which values cannot be negative.
fn nonnegative(graph: &Graph, ranges: &[Range], integers: &[Option<Interval>]) -> Vec<bool> {
    let mut known: Vec<bool> = Vec::with_capacity(graph.nodes().len());
    for (v, node) in graph.nodes().iter().enumerate() {
        let all = || node.inputs.iter().all(|i| known[i.0]);
        if let Some(integers) = integers[v] {
            known.push(integers.lo >= 0);
            continue;
        }
        known.push(match &node.op {
            Op::Input { .. } | Op::Constant { .. } => ranges[v].lo >= 0.0,
            Op::Activation(f) => f.is_nonnegative(),
            Op::Affine { .. } => node.op.factor().is_some_and(|f| f > 0.0) && all(),
            Op::Pad { value, .. } => *value >= 0.0 && all(),
            Op::Contract(c) => {
                let square = node.inputs[0] == node.inputs[1] && c.left == c.right;
                square || all()
            }
            Op::Map(axes) => all() && axes.iter().all(crate::float::AxisMap::is_nonnegative),
            Op::Dense { .. } | Op::Conv { .. } | Op::Sub => false,
            Op::Pool { .. }
            | Op::Add
            | Op::Reshape { .. }
            | Op::Transpose { .. }
            | Op::Concat { .. }
            | Op::Take { .. }
            | Op::Missing(_)
            | Op::Max
            | Op::Maximum { .. } => all(),
        });
    }
    known
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::float::{Contract, GraphBuilder};

    #[test]
    fn what_no_product_has_to_do_with_is_not_precise() {
        let mut b = GraphBuilder::new();
        let [x, y] = ["x", "y"].map(|name| b.input(name, &[4]).expect("a shape"));
        let mut add = |op: Op, inputs: &[_]| b.add("node", op, inputs).expect("shapes agree");
        let alone = add(Op::Activation(Activation::Relu), &[x]);
        let before = add(Op::Activation(Activation::Tanh), &[y]);
        let product = add(Op::Contract(Contract::elementwise(1)), &[before, y]);
        let after = add(Op::Activation(Activation::Exp), &[product]);
        let beside = add(Op::Activation(Activation::Abs), &[before]);
        let outputs = [alone, after, beside].map(|v| ("out".into(), v));
        let graph = b.finish(outputs.to_vec()).expect("valid");
        let precise = precise(&graph);
        let is = |v: crate::float::ValueId| precise[v.0];
        assert!([y, before, product, after].into_iter().all(is));
        assert!(![x, alone, beside].into_iter().any(is));
    }
}
