//! Inputs with missing cells: their integers, what is read of them, and what is refused.

use super::common::{PROFILES, add, affine, array, scalar};
use crate::float::{
    Activation, AxisMap, AxisMatrix, Contract, Graph, GraphBuilder, Missing, Op, ValueId,
};
use crate::int::{Executor, PortKind};
use crate::quantise::{Accuracy, Calibration, Error, InputError, Options, Profile, quantise};
use ndarray::ArrayD;

const NAN: f32 = f32::NAN;

fn is(b: &mut GraphBuilder, x: ValueId) -> ValueId {
    add(b, Op::Missing(Missing::Is), &[x])
}

fn replaced(b: &mut GraphBuilder, x: ValueId, by: &[f32]) -> ValueId {
    let by = array(&[by.len()], by);
    add(b, Op::Missing(Missing::Replaced { by }), &[x])
}

/// A graph of one input `x` of shape `[1, n]`.
fn graph(n: usize, build: impl Fn(&mut GraphBuilder, ValueId) -> Vec<ValueId>) -> Graph {
    let mut b = GraphBuilder::new();
    let x = b.input("x", &[1, n]).expect("a shape");
    let outputs = build(&mut b, x).into_iter().enumerate();
    let outputs = outputs.map(|(i, v)| (format!("y{i}"), v)).collect();
    b.finish(outputs).expect("valid")
}

fn samples(rows: &[&[f32]]) -> Vec<Vec<ArrayD<f32>>> {
    let sample = |row: &&[f32]| vec![array(&[1, row.len()], row)];
    rows.iter().map(sample).collect()
}

/// The largest error of each output, in parts of the largest magnitude of its values.
fn errors(graph: &Graph, samples: &[Vec<ArrayD<f32>>], profile: Profile) -> Vec<f64> {
    let calibration = Calibration::from_samples(samples.to_vec());
    let model = quantise(graph, &calibration, &Options::new(profile)).expect("quantises");
    let accuracy = Accuracy::measure(graph, &model.model, samples).expect("runs");
    assert_eq!(accuracy.saturated_inputs, 0);
    let size = |(_, v): &(String, ValueId)| {
        let runs = samples.iter().map(|x| graph.run(x).expect("runs"));
        let sizes = runs.map(|run| run[v.0].iter().fold(0.0_f32, |m, x| m.max(x.abs())));
        f64::from(sizes.fold(1e-9, f32::max))
    };
    let outputs = graph.outputs().iter().zip(&accuracy.outputs);
    outputs
        .map(|(v, output)| output.max_error / size(v))
        .collect()
}

/// Columns of unlike sizes, the last of which is always missing.
const ROWS: [&[f32]; 4] = [
    &[1990.5, NAN, -3.0, NAN],
    &[NAN, 0.001, 1e5, NAN],
    &[2020.0, -0.002, NAN, NAN],
    &[1950.25, 0.0015, 4e4, NAN],
];

#[test]
fn one_integer_stands_for_missing_cells() {
    let graph = graph(4, |b, x| {
        vec![is(b, x), replaced(b, x, &[1.0, 2.0, 3.0, 4.0])]
    });
    let calibration = Calibration::from_samples(samples(&ROWS));
    for profile in PROFILES {
        let model = quantise(&graph, &calibration, &Options::new(profile));
        let model = model.expect("quantises").model;
        let [port] = &model.graph.inputs[..] else {
            panic!("one input is one port");
        };
        assert_eq!((port.kind, &*port.name), (PortKind::RealOrMissing, "x"));
        let code = model.graph.node(port.tensor).interval.lo;
        let row = |cells: &[f32]| model.graph.quantise_inputs(&samples(&[cells]));
        let inputs = row(&[NAN, -1e30, 0.0, -NAN]).expect("they fit");
        assert_eq!(inputs.cells[0].to_vec(), [code, code + 1, 0, code]);
        // Of those, one was clamped.
        assert_eq!(inputs.saturated, 1);
        let executor = Executor::new(&model).expect("valid");
        let trace = executor.run(&inputs.cells).expect("runs");
        let answers = model.graph.dequantise_outputs(&trace);
        assert_eq!(answers[0][0].as_slice(), Some(&[1.0, 0.0, 0.0, 1.0][..]));
        let refused = row(&[f32::INFINITY, 0.0, 0.0, 0.0]).expect_err("infinite");
        assert!(matches!(refused, InputError::NotFinite { cell: 0, .. }));
    }
}

/// What is read of missing cells is as fine as the features are, however they are moved.
#[test]
fn missing_cells_are_read_as_float_reads_them() {
    let select = |columns: &[usize]| {
        let matrix = AxisMatrix::select(4, columns);
        Op::Map(vec![AxisMap::Keep, AxisMap::Matrix(matrix)])
    };
    let graph = graph(4, |b, x| {
        let filled = replaced(b, x, &[2000.0, 0.001, 5e4, 7.0]);
        let moved = add(b, select(&[3, 1, 1, 0]), &[x]);
        let mask = is(b, moved);
        let constant = add(
            b,
            Op::Constant {
                value: array(&[1, 1], &[5.0]),
            },
            &[],
        );
        let joined = add(b, Op::Concat { axis: 1 }, &[moved, constant]);
        let joined = is(b, joined);
        // At the threshold, beside it, and a number in place of what is missing.
        let picked = add(b, select(&[1]), &[x]);
        let picked = replaced(b, picked, &[0.001]);
        let above = affine(b, picked, 1.0, -0.001_25);
        let above = add(b, Op::Activation(Activation::Step), &[above]);
        vec![filled, mask, joined, above]
    });
    for (profile, limit) in PROFILES.into_iter().zip([1e-3, 1e-4]) {
        let errors = errors(&graph, &samples(&ROWS), profile);
        assert!(
            errors.iter().all(|&e| e <= limit),
            "{profile:?}: {errors:?}"
        );
        assert!(
            errors[1] + errors[2] + errors[3] <= 0.0,
            "{profile:?}: {errors:?}"
        );
    }
}

/// Nodes that put other numbers in one place, one of which reads a cell twice.
#[test]
fn a_cell_is_filled_in_several_ways() {
    let graph = graph(3, |b, x| {
        let filled = replaced(b, x, &[1.0, 2.0, 3.0]);
        let perm = AxisMatrix::select(3, &[2, 0, 0]);
        let moved = Op::Map(vec![AxisMap::Keep, AxisMap::Matrix(perm)]);
        let moved = add(b, moved, &[x]);
        let constant = array(&[1, 1], &[5.0]);
        let constant = add(b, Op::Constant { value: constant }, &[]);
        let joined = add(b, Op::Concat { axis: 1 }, &[constant, moved]);
        vec![filled, replaced(b, joined, &[9.0, -3.0, 1.0, 4.0])]
    });
    let samples = samples(&[&[NAN, 1.5, NAN], &[4.0, NAN, -2.0]]);
    for (profile, limit) in PROFILES.into_iter().zip([0.01, 0.001]) {
        let errors = errors(&graph, &samples, profile);
        assert!(
            errors.iter().all(|&e| e <= limit),
            "{profile:?}: {errors:?}"
        );
    }
}

/// A value with a mask of its own: the model of an indicator beside what is filled in.
#[test]
fn without_missing_cells_nothing_is_read_of_them() {
    let masked = graph(3, |b, x| {
        let filled = replaced(b, x, &[1.0, 2.0, 3.0]);
        let mask = is(b, x);
        let mask = add(b, Op::Contract(Contract::elementwise(2)), &[mask, filled]);
        let mask = affine(b, mask, 3.0, 0.0);
        let sum = add(b, Op::Add, &[filled, mask]);
        vec![add(b, Op::Activation(Activation::Tanh), &[sum])]
    });
    let plain = graph(3, |b, x| {
        vec![add(b, Op::Activation(Activation::Tanh), &[x])]
    });
    let calibration = Calibration::from_samples(samples(&[&[0.5, -1.0, 0.25], &[1.0, 0.0, 2.0]]));
    for profile in PROFILES {
        let options = Options::new(profile);
        let [masked, plain] = [&masked, &plain].map(|graph| {
            let model = quantise(graph, &calibration, &options);
            model.expect("quantises").model
        });
        assert_eq!(masked.digest(), plain.digest());
        let refused = masked.graph.quantise_inputs(&samples(&[&[0.5, NAN, 0.0]]));
        let refused = refused.expect_err("none was missing in calibration");
        assert!(matches!(refused, InputError::NotFinite { cell: 1, .. }));
        assert!(
            refused.to_string().contains("calibration samples"),
            "{refused}"
        );
    }
}

#[test]
fn what_computes_with_missing_cells_is_refused() {
    let calibration = Calibration::from_samples(samples(&[&[0.5, NAN]]));
    let filled = |b: &mut GraphBuilder, x| replaced(b, x, &[0.0]);
    let relu = Op::Activation(Activation::Relu);
    let named = |b: &mut GraphBuilder, op: Op, inputs: &[ValueId]| {
        b.add("reader", op, inputs).expect("shapes agree")
    };
    let graphs = [
        graph(2, |b, x| vec![named(b, relu.clone(), &[x])]),
        graph(2, |b, x| vec![filled(b, x), named(b, relu.clone(), &[x])]),
        graph(2, |b, x| {
            let zero = Op::Affine {
                scale: scalar(0.0),
                shift: scalar(1.0),
            };
            vec![named(b, zero, &[x])]
        }),
        graph(2, |b, x| {
            let moved = add(b, Op::Transpose { perm: vec![1, 0] }, &[x]);
            vec![is(b, moved), named(b, Op::Max, &[moved, moved])]
        }),
    ];
    for graph in graphs {
        let refused = quantise(&graph, &calibration, &Options::default());
        let refused = refused.expect_err("it computes with NaN");
        let Error::Missing { input, node } = &refused else {
            panic!("{refused}");
        };
        assert_eq!((&**input, &**node), ("x", "reader"));
    }
    let fitting = graph(3, |b, x| vec![filled(b, x)]);
    let refused = quantise(&fitting, &calibration, &Options::default()).expect_err("two cells");
    assert!(matches!(refused, Error::Graph(_)), "{refused}");
    let shown = graph(2, |b, x| vec![filled(b, x), x]);
    let refused = quantise(&shown, &calibration, &Options::default()).expect_err("an output");
    assert!(matches!(refused, Error::Missing { node, .. } if node == "y1"));
    let infinite = Calibration::from_samples(samples(&[&[NAN, f32::INFINITY]]));
    let filled = graph(2, |b, x| vec![filled(b, x)]);
    let refused = quantise(&filled, &infinite, &Options::default()).expect_err("infinite");
    assert!(matches!(refused, Error::NotFinite { node } if node == "x"));
}

/// Two inputs, one of which has missing cells and none of which is read by more than one node.
#[test]
fn every_input_is_a_port() {
    let mut b = GraphBuilder::new();
    let inputs = ["a", "b", "c"].map(|name| b.input(name, &[2]).expect("a shape"));
    let joined = add(&mut b, Op::Concat { axis: 0 }, &inputs[..2]);
    let filled = replaced(&mut b, joined, &[1.0, 2.0, 3.0, 4.0]);
    let graph = b.finish(vec![("y".into(), filled)]).expect("valid");
    let sample = [[NAN, 1.0], [2.0, 4.0], [NAN, NAN]].map(|x| array(&[2], &x));
    let calibration = Calibration::from_samples(vec![sample.to_vec()]);
    for profile in PROFILES {
        let model = quantise(&graph, &calibration, &Options::new(profile));
        let model = model.expect("quantises").model;
        let kinds: Vec<_> = model
            .graph
            .inputs
            .iter()
            .map(|port| (&*port.name, port.kind))
            .collect();
        let expected = [
            ("a", PortKind::RealOrMissing),
            ("b", PortKind::Real),
            ("c", PortKind::RealOrMissing),
        ];
        assert_eq!(kinds, expected);
        let accuracy = Accuracy::measure(&graph, &model, &[sample.to_vec()]).expect("runs");
        assert!(accuracy.outputs[0].max_error < 0.02, "{accuracy:?}");
    }
}
