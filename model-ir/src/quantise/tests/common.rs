//! Small graphs, and how far their integers are from float.

use crate::float::{
    Activation, AxisMap, AxisMatrix, Contract, Graph, GraphBuilder, Op, Ties, ValueId,
};
use crate::quantise::{Accuracy, Calibration, Options, Profile, quantise};
use ndarray::{ArrayD, IxDyn};
use std::ops::RangeInclusive;

pub(super) const PROFILES: [Profile; 2] = [Profile::Fast, Profile::Accurate];

pub(super) fn add(b: &mut GraphBuilder, op: Op, inputs: &[ValueId]) -> ValueId {
    b.add("node", op, inputs).expect("shapes agree")
}

pub(super) fn apply(b: &mut GraphBuilder, f: Activation, x: ValueId) -> ValueId {
    add(b, Op::Activation(f), &[x])
}

/// Rounding to these integers, as a model with integers of its own does it.
pub(super) fn quantize_to(scale: f32, range: RangeInclusive<i32>, ties: Ties) -> Activation {
    let (lo, hi) = range.into_inner();
    Activation::Quantize {
        scale,
        lo,
        hi,
        ties,
    }
}

pub(super) fn constant(b: &mut GraphBuilder, cells: &[f32]) -> ValueId {
    let value = array(&[cells.len()], cells);
    add(b, Op::Constant { value }, &[])
}

pub(super) fn array(shape: &[usize], cells: &[f32]) -> ArrayD<f32> {
    ArrayD::from_shape_vec(IxDyn(shape), cells.to_vec()).expect("as many cells")
}

/// The error of the outputs on the samples that calibrated them, in parts of each one's range.
pub(super) fn errors(graph: &Graph, samples: &[Vec<ArrayD<f32>>], profile: Profile) -> Vec<f64> {
    let calibration = Calibration::from_samples(samples.to_vec());
    let model = quantise(graph, &calibration, &Options::new(profile)).expect("quantises");
    let accuracy = Accuracy::measure(graph, &model.model, samples).expect("runs");
    let runs: Vec<_> = samples
        .iter()
        .map(|x| graph.run(x).expect("runs"))
        .collect();
    let error = |(i, (_, v)): (usize, &(String, ValueId))| {
        let cells = runs.iter().flat_map(|run| run[v.0].iter());
        let hull = cells.fold((0.0_f32, 0.0_f32), |(a, b), &x| (a.min(x), b.max(x)));
        accuracy.outputs[i].max_error / f64::from(hull.1 - hull.0)
    };
    graph.outputs().iter().enumerate().map(error).collect()
}

/// All outputs of a graph of one input are close to float.
pub(super) fn close(
    name: &str,
    shape: &[usize],
    x: &[f32],
    limits: [f64; 2],
    build: impl Fn(&mut GraphBuilder, ValueId) -> Vec<ValueId>,
) {
    let mut b = GraphBuilder::new();
    let input = b.input("x", shape).expect("a shape");
    let outputs = build(&mut b, input);
    let outputs = outputs.into_iter().enumerate();
    let outputs = outputs.map(|(i, v)| (format!("y{i}"), v)).collect();
    let graph = b.finish(outputs).expect("valid");
    for (profile, limit) in PROFILES.into_iter().zip(limits) {
        let errors = errors(&graph, &[vec![array(shape, x)]], profile);
        let most = errors.iter().copied().fold(0.0, f64::max);
        assert!(most <= limit, "{name}, {profile:?}: {errors:?}");
    }
}

pub(super) fn scalar(x: f32) -> ArrayD<f32> {
    ArrayD::from_elem(IxDyn(&[]), x)
}

/// `scale x + shift`
pub(super) fn affine(b: &mut GraphBuilder, x: ValueId, scale: f32, shift: f32) -> ValueId {
    let (scale, shift) = (scalar(scale), scalar(shift));
    add(b, Op::Affine { scale, shift }, &[x])
}

/// The outputs of the integer model of a graph of one input, integers or real numbers, on the
/// sample that calibrated it.
pub(super) fn answers(
    integral: bool,
    x: &[f32],
    build: impl Fn(&mut GraphBuilder, ValueId) -> Vec<ValueId>,
) -> Vec<Vec<Vec<f32>>> {
    let mut b = GraphBuilder::new();
    let shape = [x.len()];
    let input = if integral {
        b.integral_input("x", &shape)
    } else {
        b.input("x", &shape)
    };
    let outputs = build(&mut b, input.expect("a shape"))
        .into_iter()
        .enumerate();
    let outputs = outputs.map(|(i, v)| (format!("y{i}"), v)).collect();
    let graph = b.finish(outputs).expect("valid");
    let samples = vec![vec![array(&shape, x)]];
    let calibration = Calibration::from_samples(samples.clone());
    let answer = |profile| {
        let model = quantise(&graph, &calibration, &Options::new(profile)).expect("quantises");
        let inputs = model.model.graph.quantise_inputs(&samples).expect("fits");
        let trace = crate::int::run(&model.model, &inputs.cells).expect("runs");
        let outputs = model.model.graph.dequantise_outputs(&trace).remove(0);
        outputs
            .into_iter()
            .map(|y| y.into_iter().collect())
            .collect()
    };
    PROFILES.into_iter().map(answer).collect()
}

/// `answers` are exactly these.
pub(super) fn exact(
    name: &str,
    integral: bool,
    (x, y): (&[f32], &[f32]),
    build: impl Fn(&mut GraphBuilder, ValueId) -> ValueId,
) {
    for answer in answers(integral, x, |b, x| vec![build(b, x)]) {
        assert_eq!(answer[0], y, "{name}");
    }
}

pub(super) fn product(b: &mut GraphBuilder, x: ValueId, y: ValueId) -> ValueId {
    let rank = b.shape(x).len();
    add(b, Op::Contract(Contract::elementwise(rank)), &[x, y])
}

/// The first of `n` cells, so many times.
pub(super) fn first(n: usize, copies: usize) -> Op {
    Op::Map(vec![AxisMap::Matrix(AxisMatrix::select(
        n,
        &vec![0; copies],
    ))])
}
