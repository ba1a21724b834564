//! Every error, and what is reported instead of an error.

use crate::float::random::Random;
use crate::float::{Activation, GraphBuilder, Op, PoolKind, ValueId, Window};
use crate::int::PortKind;
use crate::quantise::*;
use ndarray::{ArrayD, IxDyn};

type Samples = Vec<Vec<ArrayD<f32>>>;

fn filled(shape: &[usize], value: f32) -> ArrayD<f32> {
    ArrayD::from_elem(IxDyn(shape), value)
}

fn graph(shape: &[usize], ops: Vec<Op>) -> Graph {
    let mut builder = GraphBuilder::new();
    let x = builder.input("x", shape).expect("a shape");
    let add = |v: ValueId, (i, op)| {
        builder
            .add(&format!("op{i}"), op, &[v])
            .expect("shapes agree")
    };
    let y = ops.into_iter().enumerate().fold(x, add);
    builder.finish(vec![("y".into(), y)]).expect("valid")
}

fn dense(weight: &[f32], inputs: usize, bias: f32) -> Op {
    let outputs = weight.len() / inputs;
    let shape = IxDyn(&[inputs, outputs]);
    Op::Dense {
        weight: ArrayD::from_shape_vec(shape, weight.to_vec()).expect("a matrix"),
        bias: Some(filled(&[outputs], bias)),
    }
}

fn samples(shape: &[usize], n: usize) -> Samples {
    let mut random = Random::new(3);
    (0..n).map(|_| vec![random.array(shape)]).collect()
}

fn error(graph: &Graph, samples: Samples, options: &Options) -> Error {
    let calibration = Calibration::from_samples(samples);
    quantise(graph, &calibration, options).expect_err("refused")
}

const RELU: Op = Op::Activation(Activation::Relu);

#[test]
fn samples_must_fit() {
    let graph = graph(&[1, 2], vec![dense(&[1.0, 2.0], 2, 0.0)]);
    let options = Options::default();
    let wrong = vec![vec![filled(&[3], 1.0)]];
    assert!(matches!(error(&graph, wrong, &options), Error::Graph(_)));
    assert_eq!(error(&graph, vec![], &options), Error::NoSamples);
    let infinite = vec![vec![filled(&[1, 2], f32::INFINITY)]];
    let not_finite = error(&graph, infinite, &options);
    assert!(matches!(not_finite, Error::NotFinite { node } if node == "x"));
    for shift in [0, 17, u32::MAX] {
        let options = Options::default().with_shift(shift);
        let refused = error(&graph, samples(&[1, 2], 1), &options);
        assert_eq!(refused, Error::Shift(shift));
    }
    let stacked = [filled(&[5, 1, 2], 1.0)];
    let calibration = Calibration::from_stacked(&graph, &stacked).expect("five samples");
    assert_eq!(calibration.samples().len(), 5);
    assert_eq!(
        unstack(&graph, &[filled(&[5, 2], 1.0)]).expect("five")[4].len(),
        1
    );
    for bad in [vec![], vec![filled(&[5, 3], 1.0)], vec![filled(&[], 1.0)]] {
        let refused = Calibration::from_stacked(&graph, &bad).expect_err("does not fit");
        assert!(matches!(refused, Error::Samples { .. }));
    }
}

#[test]
fn impossible_numbers_are_refused() {
    let options = Options::default();
    // The output is a tiny difference of huge products.
    let cancels = graph(
        &[1, 2],
        vec![dense(&[1e7, -1e7], 2, 1.0), RELU, dense(&[1.0], 1, 0.0)],
    );
    let equal = vec![vec![filled(&[1, 2], 1.0)]];
    let refused = error(&cancels, equal, &options);
    assert!(matches!(refused, Error::Weight { .. }), "{refused}");
    // The bias dwarfs the weights.
    let bias = graph(&[1, 2], vec![dense(&[1.0, 1.0], 2, 1e30)]);
    let refused = error(&bias, samples(&[1, 2], 4), &options);
    assert!(matches!(refused, Error::Overflow { .. }), "{refused}");
    // Constant factors that no range reveals because every sample is 0.
    let mut builder = GraphBuilder::new();
    let mut x = builder.input("x", &[2]).expect("a shape");
    let mut outputs = vec![];
    for i in 0..3 {
        let (scale, shift) = (filled(&[], 1e38), filled(&[], 0.0));
        let scaled = builder.add("scale", Op::Affine { scale, shift }, &[x]);
        x = scaled.expect("shapes agree");
        outputs.push((format!("y{i}"), x));
    }
    let factors = builder.finish(outputs).expect("valid");
    let refused = error(&factors, vec![vec![filled(&[2], 0.0)]], &options);
    assert!(matches!(refused, Error::Scale { .. }), "{refused}");
}

#[test]
fn unsupported_windows_are_refused() {
    for kind in [PoolKind::Max, PoolKind::AveragePadded] {
        let window = Window {
            kernel: 300,
            stride: 1,
            dilation: 1,
            pad_begin: 0,
            pad_end: 0,
        };
        let windows = vec![window; 2];
        let graph = graph(&[1, 1, 300, 300], vec![Op::Pool { kind, windows }]);
        let refused = error(&graph, samples(&[1, 1, 300, 300], 1), &Options::default());
        assert!(matches!(refused, Error::Unsupported { .. }), "{refused}");
    }
}

#[test]
fn synthetic_and_partial_models_warn() {
    let n = 3000;
    let weight: Vec<f32> = (0..n)
        .map(|i| if i % 2 == 0 { 1.0 } else { -1.0 })
        .collect();
    let wide = graph(
        &[1, n],
        vec![dense(&weight, n, 0.0), RELU, dense(&[1.0], 1, 0.0)],
    );
    let options = Options::new(Profile::Accurate);
    let calibration = Calibration::synthetic(&wide, 1);
    assert!(calibration.is_synthetic());
    let quantised = quantise(&wide, &calibration, &options).expect("quantises");
    let warnings = &quantised.report.warnings;
    assert!(warnings[0].contains("synthetic"));
    assert!(warnings[1].contains("cannot be proven"), "{warnings:?}");
    let table = &quantised.model.graph.tables[0];
    assert!(table.len.is_power_of_two());
    assert_eq!(quantised.model.graph.partial_tables().len(), 1);
    // An input far from the samples: every positive weight sees the largest input.
    let far = weight.iter().map(|&w| w * 100.0).collect();
    let far = ArrayD::from_shape_vec(IxDyn(&[1, n]), far).expect("a vector");
    let refused = Accuracy::measure(&wide, &quantised.model, &[vec![far]]);
    let refused = refused.expect_err("outside the table");
    assert!(matches!(refused, Error::Run(_)), "{refused}");
    let other = quantise(&wide, &Calibration::synthetic(&wide, 2), &options);
    assert_ne!(
        other.expect("quantises").model.digest(),
        quantised.model.digest()
    );
}

#[test]
fn malformed_models_are_not_measured() {
    let graph = graph(&[1, 2], vec![dense(&[1.0, 2.0], 2, 0.5)]);
    let inputs = samples(&[1, 2], 4);
    let calibration = Calibration::from_samples(inputs.clone());
    let mut model = quantise(&graph, &calibration, &Options::default())
        .expect("quantises")
        .model;
    let nan = vec![filled(&[1, 2], f32::NAN)];
    let refused = Accuracy::measure(&graph, &model, &[nan]).expect_err("NaN");
    assert!(
        matches!(refused, Error::Input(InputError::NotFinite { .. })),
        "{refused}"
    );
    model.graph.weights = 9;
    let refused = Accuracy::measure(&graph, &model, &inputs).expect_err("malformed");
    assert!(matches!(refused, Error::Model(_)), "{refused}");
}

/// An input of integers is neither rounded nor clamped, whatever its scale.
#[test]
fn integers_are_taken_as_they_are() {
    for factor in [1.0, 0.3] {
        let mut b = GraphBuilder::new();
        let ids = b.integral_input("ids", &[1, 2]).expect("a shape");
        let real = b.input("x", &[1, 2]).expect("a shape");
        let scaled = Op::Affine {
            scale: filled(&[1, 2], factor),
            shift: filled(&[1, 2], 0.0),
        };
        let scaled = b.add("scaled", scaled, &[ids]).expect("shapes");
        let sum = b.add("sum", Op::Add, &[scaled, real]).expect("shapes");
        let graph = b.finish(vec![("y".into(), sum)]).expect("valid");
        let sample = |id: f32| vec![filled(&[1, 2], id), filled(&[1, 2], 0.5)];
        let calibration = Calibration::from_samples(vec![sample(0.0), sample(9.0)]);
        let model = quantise(&graph, &calibration, &Options::default());
        let model = model.expect("quantises").model;
        let kinds: Vec<PortKind> = model.graph.inputs.iter().map(|port| port.kind).collect();
        assert_eq!(kinds, [PortKind::Integer, PortKind::Real]);
        for id in [0.0, 1.0, 9.0] {
            let inputs = model.graph.quantise_inputs(&[sample(id)]);
            assert_eq!(inputs.expect("an integer").saturated, 0);
        }
        let refused = |id: f32| model.graph.quantise_inputs(&[sample(1.0), sample(id)]);
        let fraction = refused(1.5).expect_err("a fraction").to_string();
        assert!(fraction.contains("inference 1, input `ids`: cell 0 is 1.5"));
        for id in [-1.0, 1e9] {
            let error = refused(id).expect_err("beyond");
            let InputError::OutOfRange { lo: 0, hi, .. } = error else {
                panic!("{error}");
            };
            let text = error.to_string();
            assert!(
                text.contains(&format!("input `ids`: cell 0 is {id}, ")),
                "{text}"
            );
            assert!(refused(hi as f32).is_ok() && refused(hi as f32 + 1.0).is_err());
        }
        // Made-up samples of integers are integers.
        let made_up = Calibration::synthetic(&graph, 1);
        let whole = |k: usize| {
            let mut cells = made_up.samples().iter().flat_map(|sample| &sample[k]);
            cells.all(|x| x.fract() == 0.0)
        };
        assert!(whole(0) && !whole(1));
    }
}

#[test]
fn inputs_are_checked_and_saturate() {
    let graph = graph(&[1, 2], vec![dense(&[1.0, 2.0], 2, 0.5)]);
    let calibration = Calibration::from_samples(vec![vec![filled(&[1, 2], 0.5)]]);
    let quantised = quantise(&graph, &calibration, &Options::default()).expect("quantises");
    let model = quantised.model.graph;
    let inputs = model.quantise_inputs(&[vec![filled(&[1, 2], 0.25)], vec![filled(&[1, 2], 7.0)]]);
    let inputs = inputs.expect("two inferences");
    assert_eq!(inputs.saturated, 2);
    let cells: Vec<i64> = (0..4).map(|i| inputs.cells[0].get(i)).collect();
    // A nonnegative input of a linear model spans 0 ..= 4095 without a margin.
    assert_eq!(cells, [2046, 2046, 4095, 4095]);
    let refused = |batch: &[Vec<ArrayD<f32>>]| model.quantise_inputs(batch).expect_err("refused");
    assert_eq!(refused(&[]), InputError::EmptyBatch);
    assert!(matches!(
        refused(&[vec![]]),
        InputError::Count { got: 0, .. }
    ));
    assert!(matches!(
        refused(&[vec![filled(&[2], 0.0)]]),
        InputError::Shape { .. }
    ));
    let nan = refused(&[vec![filled(&[1, 2], f32::NAN)]]);
    assert!(matches!(nan, InputError::NotFinite { cell: 0, .. }));
}

#[test]
fn the_same_integers_everywhere() {
    // A change of these bytes changes the digest of every key: it must be deliberate.
    let mut random = Random::new(11);
    let weight = |random: &mut Random, shape: &[usize]| random.array(shape);
    let window = Window {
        kernel: 3,
        stride: 1,
        dilation: 1,
        pad_begin: 1,
        pad_end: 1,
    };
    let ops = vec![
        Op::Conv {
            weight: weight(&mut random, &[4, 1, 3, 3]),
            bias: Some(weight(&mut random, &[4])),
            groups: 1,
            windows: vec![window; 2],
        },
        Op::Activation(Activation::Tanh),
        Op::Reshape {
            shape: vec![1, 144],
        },
        Op::Dense {
            weight: weight(&mut random, &[144, 5]),
            bias: None,
        },
        Op::Activation(Activation::Sigmoid),
    ];
    let graph = graph(&[1, 1, 6, 6], ops);
    let calibration = Calibration::synthetic(&graph, 5);
    let quantised = quantise(&graph, &calibration, &Options::default()).expect("quantises");
    let int::Model {
        graph: integer,
        weights,
        biases,
    } = quantised.model;
    let tables: Vec<_> = integer
        .tables
        .iter()
        .map(|t| (format!("{:?}", t.function), t.start, t.len))
        .collect();
    let digest = crate::Digest::of("test", &(weights, biases, tables));
    assert_eq!(
        digest.to_string(),
        "2c3bd78b10bcacfcc470677ea5c7d0d925719b966da42c957cd59f4c354ecbce"
    );
}
