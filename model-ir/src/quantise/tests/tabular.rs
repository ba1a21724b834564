//! Tables of features: what a model begins with, the room that features have, forests, and labels.

use super::common::{PROFILES, add, apply, array, scalar};
use crate::float::{Activation, AxisMap, AxisMatrix, Graph, GraphBuilder, Missing, Op, ValueId};
use crate::int::{Model, Op as IntOp, run};
use crate::quantise::{Calibration, Options, Profile, quantise};
use ndarray::{ArrayD, IxDyn};

/// Three features around 2e3, 0 and 5e-3, five rows of each.
const ROWS: [[f32; 3]; 5] = [
    [2100.0, -0.5, 0.004],
    [1900.0, 0.75, 0.006],
    [2050.0, 0.25, 0.0055],
    [1950.0, -0.25, 0.005],
    [2000.0, 0.5, 0.0045],
];

fn rows(shape: &[usize], rows: &[[f32; 3]]) -> Vec<Vec<ArrayD<f32>>> {
    rows.iter().map(|row| vec![array(shape, row)]).collect()
}

/// Mean 0 and deviation 1, about.
fn standard(b: &mut GraphBuilder, x: ValueId) -> ValueId {
    let scale = array(&[3], &[0.0125, 2.0, 1250.0]);
    let shift = array(&[3], &[-25.0, -0.3, -6.25]);
    add(b, Op::Affine { scale, shift }, &[x])
}

fn dense(b: &mut GraphBuilder, x: ValueId) -> ValueId {
    let weight = array(&[3, 2], &[0.5, -0.25, 1.0, 0.75, -0.75, 0.5]);
    add(b, Op::Dense { weight, bias: None }, &[x])
}

fn graph(build: impl Fn(&mut GraphBuilder, ValueId) -> Vec<ValueId>) -> Graph {
    let mut b = GraphBuilder::new();
    let x = b.input("x", &[1, 3]).expect("a shape");
    let outputs = build(&mut b, x).into_iter().enumerate();
    let outputs = outputs.map(|(i, v)| (format!("y{i}"), v)).collect();
    b.finish(outputs).expect("valid")
}

fn model(graph: &Graph, samples: &[Vec<ArrayD<f32>>], profile: Profile) -> Model {
    let calibration = Calibration::from_samples(samples.to_vec());
    let quantised = quantise(graph, &calibration, &Options::new(profile));
    quantised.expect("quantises").model
}

/// The outputs for one sample, and how many cells were clamped.
fn answer(model: &Model, sample: &[ArrayD<f32>]) -> (Vec<ArrayD<f32>>, usize) {
    let inputs = model.quantise_inputs(&[sample.to_vec()]).expect("fits");
    let trace = run(model, &inputs.cells).expect("runs");
    let outputs = model.graph.dequantise_outputs(&trace).remove(0);
    (outputs, inputs.saturated)
}

/// The largest error of the first output, in parts of its range over the samples.
fn error(graph: &Graph, model: &Model, samples: &[Vec<ArrayD<f32>>]) -> f32 {
    let (mut most, mut hull) = (0.0_f32, (f32::INFINITY, f32::NEG_INFINITY));
    for sample in samples {
        let expected = &graph.run(sample).expect("runs")[graph.outputs()[0].1.0];
        let (outputs, clamped) = answer(model, sample);
        assert_eq!(clamped, 0);
        for (&y, &expected) in outputs[0].iter().zip(expected) {
            most = most.max((y - expected).abs());
            hull = (hull.0.min(expected), hull.1.max(expected));
        }
    }
    most / (hull.1 - hull.0)
}

/// What a model begins with is done by who reads the input, be the features joined, taken or
/// reshaped before; features of unlike sizes that a layer mixes are brought to one size.
#[test]
fn a_model_begins_with_its_first_layer() {
    type Build = fn(&mut GraphBuilder, ValueId) -> Vec<ValueId>;
    let builds: [(&str, Build); 4] = [
        ("scaled", |b, x| {
            let y = standard(b, x);
            let y = dense(b, y);
            vec![apply(b, Activation::Tanh, y)]
        }),
        ("mixed as they are", |b, x| {
            let weight = array(&[3, 2], &[0.006, -0.003, 2.0, 1.5, -900.0, 600.0]);
            let bias = Some(array(&[2], &[-7.0, 2.0]));
            let y = add(b, Op::Dense { weight, bias }, &[x]);
            vec![apply(b, Activation::Tanh, y)]
        }),
        ("moved", |b, x| {
            let indices = vec![2, 0, 1];
            let y = add(
                b,
                Op::Take {
                    indices,
                    shape: vec![1, 3],
                },
                &[x],
            );
            let scale = array(&[3], &[1250.0, 0.0125, 2.0]);
            let shift = array(&[3], &[-6.25, -25.0, -0.3]);
            let y = add(b, Op::Affine { scale, shift }, &[y]);
            vec![dense(b, y)]
        }),
        ("before a function", |b, x| {
            let y = standard(b, x);
            vec![apply(b, Activation::Tanh, y)]
        }),
    ];
    let samples = rows(&[1, 3], &ROWS);
    for (name, build) in builds {
        let graph = graph(build);
        for (profile, limit) in PROFILES.into_iter().zip([0.01, 1e-3]) {
            let model = model(&graph, &samples, profile);
            let features = &model.graph.inputs[0].features;
            assert!(features.is_some(), "{name}, {profile:?}");
            let layers = model.graph.nodes.iter();
            let layers = layers.filter(|node| matches!(node.op, IntOp::Affine(_)));
            let expected = usize::from(name != "before a function");
            assert_eq!(layers.count(), expected, "{name}, {profile:?}");
            let error = error(&graph, &model, &samples);
            assert!(error < limit, "{name}, {profile:?}: {error}");
        }
    }
}

/// What else reads a cell reads it as it is.
#[test]
fn features_that_are_read_in_two_ways_stay_as_they_are() {
    let seen = ROWS.map(|[x, y, z]| [x / 20.0, y, z * 10.0]);
    let samples = rows(&[1, 3], &seen);
    let scaled = |b: &mut GraphBuilder, x, last: f32| {
        let scale = array(&[3], &[0.25, 2.0, last]);
        let shift = array(&[3], &[-25.0, -0.3, -6.25]);
        let y = add(b, Op::Affine { scale, shift }, &[x]);
        apply(b, Activation::Tanh, y)
    };
    let shown = graph(|b, x| {
        let y = scaled(b, x, 125.0);
        vec![dense(b, y), x]
    });
    let twice = graph(|b, x| {
        let (y, z) = (scaled(b, x, 125.0), scaled(b, x, 100.0));
        vec![dense(b, y), dense(b, z)]
    });
    let alike = graph(|b, x| {
        let (y, z) = (scaled(b, x, 125.0), scaled(b, x, 125.0));
        vec![dense(b, y), dense(b, z)]
    });
    for (name, graph, absorbed) in [
        ("shown", &shown, false),
        ("twice", &twice, false),
        ("alike", &alike, true),
    ] {
        for (profile, limit) in PROFILES.into_iter().zip([0.02, 2e-3]) {
            let model = model(graph, &samples, profile);
            let features = &model.graph.inputs[0].features;
            assert_eq!(features.is_some(), absorbed, "{name}, {profile:?}");
            let error = error(graph, &model, &samples);
            assert!(error < limit, "{name}, {profile:?}: {error}");
        }
    }
}

/// Maps that take features of one size from it stay layers: beside the large ones the small ones would
/// lose their digits.
#[test]
fn features_are_not_made_unlike() {
    let samples = rows(
        &[1, 3],
        &[[8.7e-4, -3.1e-4, 9.6e-4], [-8.5e-4, 6.6e-4, 9e-4]],
    );
    let graph = graph(|b, x| {
        let scale = array(&[3], &[1.0, 1.0, 316.0]);
        let shift = array(&[3], &[0.0; 3]);
        let y = add(b, Op::Affine { scale, shift }, &[x]);
        let first = Op::Take {
            indices: vec![0, 1],
            shape: vec![1, 2],
        };
        vec![add(b, first, &[y]), y]
    });
    for (profile, limit) in PROFILES.into_iter().zip([0.01, 1e-3]) {
        let model = model(&graph, &samples, profile);
        assert!(model.graph.inputs[0].features.is_none());
        let error = error(&graph, &model, &samples);
        assert!(error < limit, "{profile:?}: {error}");
    }
}

/// Features far beyond their calibrated range are taken as they are, and still farther ones clamped,
/// of either sign.
#[test]
fn features_have_room() {
    let graph = graph(|b, x| {
        let weight = array(&[3, 1], &[1e-3, 1.0, 100.0]);
        vec![add(b, Op::Dense { weight, bias: None }, &[x])]
    });
    let seen = [
        [1000.0, 0.5, 0.005],
        [900.0, 1.0, 0.01],
        [800.0, 0.75, 0.0075],
    ];
    for profile in PROFILES {
        let model = model(&graph, &rows(&[1, 3], &seen), profile);
        let clamped = |row: [f32; 3]| {
            let inputs = model.quantise_inputs(&rows(&[1, 3], &[row])).expect("fits");
            inputs.saturated
        };
        assert_eq!(clamped([1000.0, 7.0, 0.06]), 0, "{profile:?}");
        assert_eq!(clamped([850.0, -7.0, -0.06]), 0, "{profile:?}");
        assert_eq!(clamped([1000.0, 40.0, 0.01]), 1, "{profile:?}");
        assert_eq!(clamped([1000.0, 1.0, -1.0]), 1, "{profile:?}");
    }
}

/// What an affine map left above 0 in calibration is not bounded by 0; pixels are, in any unit.
#[test]
fn inputs_that_a_model_moves_have_either_sign() {
    for (shift, clamped) in [(-1.0, 0), (0.0, 3)] {
        let graph = graph(|b, x| {
            let (scale, shift) = (scalar(2.0), scalar(shift));
            let y = add(b, Op::Affine { scale, shift }, &[x]);
            vec![apply(b, Activation::Tanh, y)]
        });
        let seen = rows(&[1, 3], &[[0.6, 0.75, 1.0], [0.5, 1.0, 0.9]]);
        for profile in PROFILES {
            let model = model(&graph, &seen, profile);
            assert!(model.graph.inputs[0].features.is_some(), "{profile:?}");
            let sample = rows(
                &[1, 3],
                &[[0.4, 0.25, 0.1].map(|x| x * f32::from(shift < 0.0) - 0.05)],
            );
            let inputs = model.quantise_inputs(&sample).expect("fits");
            assert_eq!(inputs.saturated, clamped, "{profile:?}");
        }
    }
}

/// Missing features stay missing, and what stands in their place is brought to their size.
#[test]
fn missing_features_are_filled_before_they_are_scaled() {
    let graph = graph(|b, x| {
        let by = array(&[3], &[1980.0, 0.1, 0.0052]);
        let y = add(b, Op::Missing(Missing::Replaced { by }), &[x]);
        let y = standard(b, y);
        vec![dense(b, y)]
    });
    let mut seen = ROWS;
    seen[1][0] = f32::NAN;
    seen[3][2] = f32::NAN;
    let samples = rows(&[1, 3], &seen);
    for (profile, limit) in PROFILES.into_iter().zip([0.01, 1e-3]) {
        let model = model(&graph, &samples, profile);
        assert!(model.graph.inputs[0].features.is_some(), "{profile:?}");
        let error = error(&graph, &model, &samples);
        assert!(error < limit, "{profile:?}: {error}");
    }
}

/// More features than a key may hold stay a layer of the model.
#[test]
fn features_are_few() {
    for (cells, few) in [(4096, true), (5000, false)] {
        let mut b = GraphBuilder::new();
        let x = b.input("x", &[1, cells]).expect("a shape");
        let scale = ArrayD::from_shape_fn(IxDyn(&[cells]), |i| 1.0 + i[0] as f32 / 1000.0);
        let shift = scalar(0.0);
        let y = add(&mut b, Op::Affine { scale, shift }, &[x]);
        let graph = b.finish(vec![("y".into(), y)]).expect("valid");
        let sample = ArrayD::from_shape_fn(IxDyn(&[1, cells]), |i| (i[1] % 7) as f32 - 3.0);
        let model = model(&graph, &[vec![sample]], Profile::Fast);
        assert_eq!(model.graph.inputs[0].features.is_some(), few, "{cells}");
    }
}

/// The votes of a forest are as equal as they were: of ten trees of twenty for a class, it is not
/// chosen.
#[test]
fn votes_are_not_rounded() {
    const TREES: usize = 20;
    let mut b = GraphBuilder::new();
    let x = b.input("x", &[1, TREES]).expect("a shape");
    let trees = apply(&mut b, Activation::Step, x);
    let weight = ArrayD::from_elem(IxDyn(&[TREES, 1]), 0.05);
    let votes = add(&mut b, Op::Dense { weight, bias: None }, &[trees]);
    let (scale, shift) = (scalar(-1.0), scalar(0.5));
    let rest = add(&mut b, Op::Affine { scale, shift }, &[votes]);
    let other = apply(&mut b, Activation::Step, rest);
    let weight = array(&[1, 2], &[-1.0, 1.0]);
    let bias = Some(array(&[2], &[1.0, 0.0]));
    let shares = add(&mut b, Op::Dense { weight, bias }, &[votes]);
    let graph = b.finish(vec![("other".into(), other), ("shares".into(), shares)]);
    let graph = graph.expect("valid");
    let sample = |votes: usize| {
        let cell = |i: &IxDyn| if i[1] < votes { 1.0 } else { -1.0 };
        vec![ArrayD::from_shape_fn(IxDyn(&[1, TREES]), |i| cell(&i))]
    };
    let samples: Vec<_> = [0, 4, 11, 20].map(sample).to_vec();
    for profile in PROFILES {
        let model = model(&graph, &samples, profile);
        for votes in 0..=TREES {
            let (outputs, _) = answer(&model, &sample(votes));
            let other = outputs[0].iter().next().expect("one");
            assert_eq!(*other > 0.5, votes <= 10, "{profile:?}, {votes}");
            let share = votes as f32 / TREES as f32;
            assert!(
                (outputs[1][[0, 1]] - share).abs() < 1e-5,
                "{profile:?}, {votes}"
            );
        }
    }
}

/// The label is that of the largest score, however little larger it is.
#[test]
fn labels_do_not_depend_on_the_rounding_of_scores() {
    let mut b = GraphBuilder::new();
    let x = b.input("x", &[1, 2]).expect("a shape");
    let weight = array(&[2, 2], &[12.0, -12.0, 0.001, -0.001]);
    let scores = add(&mut b, Op::Dense { weight, bias: None }, &[x]);
    let most = add(&mut b, Op::Maximum { axis: 1 }, &[scores]);
    let both = AxisMap::Matrix(AxisMatrix::select(1, &[0, 0]));
    let most = add(&mut b, Op::Map(vec![AxisMap::Keep, both]), &[most]);
    let over = add(&mut b, Op::Sub, &[scores, most]);
    let largest = apply(&mut b, Activation::Step, over);
    let chances = apply(&mut b, Activation::Sigmoid, scores);
    let graph = b.finish(vec![("y".into(), largest), ("p".into(), chances)]);
    let graph = graph.expect("valid");
    let sample = |x: [f32; 2]| vec![array(&[1, 2], &x)];
    let samples = [[1.0, 1.0], [-1.0, -1.0], [0.5, -0.25]].map(sample);
    for profile in PROFILES {
        let model = model(&graph, &samples, profile);
        for x in [0.5_f32, -0.5] {
            let (outputs, _) = answer(&model, &sample([0.0, x]));
            let expected = [f32::from(x > 0.0), f32::from(x < 0.0)];
            assert_eq!(
                outputs[0].as_slice(),
                Some(&expected[..]),
                "{profile:?}, {x}"
            );
        }
    }
}

/// Values that a layer mixes with cancellation have more bits where lookups are few: in larger models
/// the rows would cost more than all else.
#[test]
fn a_head_costs_larger_models_nothing() {
    let hidden = |b: &mut GraphBuilder, x: ValueId, width: usize| {
        let weights: Vec<f32> = (0..3 * width).map(|i| 0.6 - (i % 5) as f32 / 4.0).collect();
        let weight = array(&[3, width], &weights);
        let layer = add(b, Op::Dense { weight, bias: None }, &[x]);
        apply(b, Activation::Relu, layer)
    };
    let table_rows = |others: usize, negative: f32, profile: Profile| {
        let graph = graph(|b, x| {
            let values = hidden(b, x, 20);
            let weights: Vec<f32> = [1.0, negative].repeat(10);
            let weight = array(&[20, 1], &weights);
            let head = add(b, Op::Dense { weight, bias: None }, &[values]);
            vec![head, hidden(b, x, others)]
        });
        let samples = rows(&[1, 3], &[[0.5, -0.25, 1.0], [-0.5, 0.75, 0.25]]);
        let calibration = Calibration::from_samples(samples);
        let quantised = quantise(&graph, &calibration, &Options::new(profile));
        quantised.expect("quantises").report.rows
    };
    for profile in PROFILES {
        assert!(table_rows(8, -0.9, profile) > table_rows(8, 0.9, profile));
        assert_eq!(
            table_rows(5000, -0.9, profile),
            table_rows(5000, 0.9, profile)
        );
    }
}

/// Functions that are only added up have steps for a large factor behind them.
#[test]
fn functions_before_large_factors() {
    let graph = graph(|b, x| {
        let power = |b: &mut GraphBuilder, k: u32, exponent: f32| {
            let part = add(
                b,
                Op::Take {
                    indices: vec![k],
                    shape: vec![1],
                },
                &[x],
            );
            apply(b, Activation::Power { exponent }, part)
        };
        let parts = [(0, 0.03), (1, 1.1), (2, 0.4)].map(|(k, e)| power(b, k, e));
        let all = add(b, Op::Concat { axis: 0 }, &parts);
        let all = add(b, Op::Reshape { shape: vec![1, 3] }, &[all]);
        let scale = array(&[3], &[300.0, 1.0, 4.0]);
        let shift = array(&[3], &[-310.0, 0.0, -4.0]);
        let y = add(b, Op::Affine { scale, shift }, &[all]);
        vec![dense(b, y)]
    });
    let seen = [
        [4.0, 2.0, 1.0],
        [4.5, 1.0, 1.5],
        [5.0, 1.5, 2.0],
        [3.5, 0.5, 0.5],
    ];
    let samples = rows(&[1, 3], &seen);
    for (profile, limit) in PROFILES.into_iter().zip([0.01, 3e-3]) {
        let model = model(&graph, &samples, profile);
        let error = error(&graph, &model, &samples);
        assert!(error < limit, "{profile:?}: {error}");
    }
}
