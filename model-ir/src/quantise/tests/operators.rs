//! Operators between activations, alone and in the compositions that models are made of.

use super::common::{add, affine, apply, quantize_to, scalar};
use crate::float::random::Random;
use crate::float::{Activation, AxisMap, AxisMatrix, Contract, GraphBuilder, Op, ValueId};
use crate::quantise::*;
use ndarray::{ArrayD, IxDyn};

/// Inputs uniform in `[-3, 3)`, one per shape; the largest error over 20 samples relative to the
/// output's range.
fn worst(
    shapes: &[&[usize]],
    build: impl Fn(&mut GraphBuilder, &[ValueId]) -> ValueId,
    profile: Profile,
) -> f64 {
    let mut random = Random::new(3);
    let mut sample =
        || -> Vec<ArrayD<f32>> { shapes.iter().map(|s| random.array(s) * 3.0).collect() };
    let samples: Vec<_> = (0..20).map(|_| sample()).collect();
    worst_of(&samples, shapes, build, profile)
}

/// The same over these samples.
fn worst_of(
    samples: &[Vec<ArrayD<f32>>],
    shapes: &[&[usize]],
    build: impl Fn(&mut GraphBuilder, &[ValueId]) -> ValueId,
    profile: Profile,
) -> f64 {
    let mut b = GraphBuilder::new();
    let inputs: Vec<ValueId> = shapes
        .iter()
        .map(|shape| b.input("x", shape).expect("a shape"))
        .collect();
    let y = build(&mut b, &inputs);
    let graph = b.finish(vec![("y".into(), y)]).expect("valid");
    let calibration = Calibration::from_samples(samples.to_vec());
    let options = Options::new(profile);
    let quantised = quantise(&graph, &calibration, &options).expect("quantises");
    let mut range = (f32::INFINITY, f32::NEG_INFINITY);
    for sample in samples {
        let values = graph.run(sample).expect("runs");
        for &x in &values[graph.outputs()[0].1.0] {
            range = (range.0.min(x), range.1.max(x));
        }
    }
    let accuracy = Accuracy::measure(&graph, &quantised.model, samples).expect("runs");
    accuracy.outputs[0].max_error / f64::from(range.1 - range.0)
}

fn check(
    name: &str,
    shapes: &[&[usize]],
    build: impl Fn(&mut GraphBuilder, &[ValueId]) -> ValueId,
) {
    for (profile, limit) in [(Profile::Fast, 1e-2), (Profile::Accurate, 1e-3)] {
        let error = worst(shapes, &build, profile);
        assert!(error <= limit, "{name}, {profile:?}: {error}");
    }
}

/// A map of the last of two axes.
fn last(matrix: AxisMatrix) -> Op {
    Op::Map(vec![AxisMap::Keep, AxisMap::Matrix(matrix)])
}

fn spread(b: &mut GraphBuilder, x: ValueId, n: usize) -> ValueId {
    add(b, last(AxisMatrix::select(1, &vec![0; n])), &[x])
}

fn product(b: &mut GraphBuilder, x: ValueId, y: ValueId) -> ValueId {
    add(b, Op::Contract(Contract::elementwise(2)), &[x, y])
}

fn by_row(b: &mut GraphBuilder, x: ValueId, row: ValueId) -> ValueId {
    let rows = b.shape(row)[0];
    let row = add(b, Op::Reshape { shape: vec![rows] }, &[row]);
    let contract = Contract {
        left: vec![0, 1],
        right: vec![0],
        output: vec![0, 1],
    };
    add(b, Op::Contract(contract), &[x, row])
}

fn softmax(b: &mut GraphBuilder, x: ValueId) -> ValueId {
    let n = b.shape(x)[1];
    let most = add(b, Op::Maximum { axis: 1 }, &[x]);
    let most = spread(b, most, n);
    let d = add(b, Op::Sub, &[x, most]);
    let e = apply(b, Activation::Exp, d);
    let sum = add(b, last(AxisMatrix::sum(n, 1)), &[e]);
    let r = apply(b, Activation::Reciprocal, sum);
    by_row(b, e, r)
}

#[test]
fn functions_of_inputs() {
    let functions = [
        Activation::Exp,
        Activation::Erf,
        Activation::Gelu,
        Activation::GeluTanh,
        Activation::Softplus,
        Activation::Softsign,
        Activation::Mish,
        Activation::Swish { alpha: 1.0 },
        Activation::HardSwish,
        Activation::HardSigmoid {
            alpha: 0.2,
            beta: 0.5,
        },
        Activation::Elu {
            alpha: 1.0,
            beta: 1.0,
            gamma: 1.0,
        },
        Activation::Sin,
        Activation::Cos,
        Activation::Abs,
        Activation::Tanh,
        Activation::Sigmoid,
        Activation::Sinh,
        Activation::Atan,
        Activation::Power { exponent: 3.0 },
        Activation::Relu,
        Activation::LeakyRelu { alpha: 0.1 },
        Activation::Clip { lo: -1.0, hi: 1.5 },
        Activation::Floor,
        Activation::Ceil,
    ];
    for f in functions {
        check(&format!("{f:?}"), &[&[3, 5]], |b, x| apply(b, f, x[0]));
    }
    check("log", &[&[3, 5]], |b, x| {
        let x = affine(b, x[0], 1.0, 4.0);
        apply(b, Activation::Log, x)
    });
}

#[test]
fn a_curve_near_its_poles() {
    let samples = [vec![Random::new(3).array(&[10, 10]) * 1.53]];
    let tan = |b: &mut GraphBuilder, x: &[ValueId]| apply(b, Activation::Tan, x[0]);
    for (profile, limit) in [(Profile::Fast, 1e-2), (Profile::Accurate, 1e-3)] {
        let error = worst_of(&samples, &[&[10, 10]], tan, profile);
        assert!(error <= limit, "{profile:?}: {error}");
    }
}

#[test]
fn functions_that_are_constant_at_an_end_of_a_positive_range() {
    // max(x^2 / 3 + 0.99, 1), and the same below 0.
    check("clip above 0", &[&[3, 5]], |b, x| {
        let y = product(b, x[0], x[0]);
        let y = affine(b, y, 1.0 / 3.0, 0.99);
        let (lo, hi) = (1.0, f32::INFINITY);
        apply(b, Activation::Clip { lo, hi }, y)
    });
    check("clip below 0", &[&[3, 5]], |b, x| {
        let y = product(b, x[0], x[0]);
        let y = affine(b, y, -1.0 / 3.0, -0.99);
        let (lo, hi) = (f32::NEG_INFINITY, -1.0);
        apply(b, Activation::Clip { lo, hi }, y)
    });
}

#[test]
fn roots_of_small_sums_are_bent() {
    // The norms of pairs, of exponents 2 and 4.
    for (exponent, squares) in [(0.5, 1), (0.25, 2)] {
        check("root", &[&[40, 2]], |b, x| {
            let mut y = x[0];
            for _ in 0..squares {
                y = product(b, y, y);
            }
            let sum = add(b, last(AxisMatrix::sum(2, 1)), &[y]);
            let f = match squares {
                1 => Activation::Sqrt,
                _ => Activation::Power { exponent },
            };
            apply(b, f, sum)
        });
    }
    check("inverse", &[&[40, 2]], |b, x| {
        let y = product(b, x[0], x[0]);
        let y = affine(b, y, 1.0, 0.01);
        apply(b, Activation::Power { exponent: -0.5 }, y)
    });
}

#[test]
fn multiples_of_integers_are_integers() {
    // x - 7 floor(x / 7 + 1 / 14) for x of 0, 1, 2, ...
    let mut b = GraphBuilder::new();
    let x = b.integral_input("x", &[30]).expect("a shape");
    let y = affine(&mut b, x, 1.0 / 7.0, 0.5 / 7.0);
    let y = apply(&mut b, Activation::Floor, y);
    let y = affine(&mut b, y, 7.0, 0.0);
    let y = add(&mut b, Op::Sub, &[x, y]);
    let graph = b.finish(vec![("y".into(), y)]).expect("valid");
    let samples = vec![vec![ArrayD::from_shape_fn(IxDyn(&[30]), |i| i[0] as f32)]];
    let calibration = Calibration::from_samples(samples.clone());
    for profile in [Profile::Fast, Profile::Accurate] {
        let quantised = quantise(&graph, &calibration, &Options::new(profile));
        let model = quantised.expect("quantises").model;
        let accuracy = Accuracy::measure(&graph, &model, &samples).expect("runs");
        let error = accuracy.outputs[0].max_error;
        assert!(error < 1e-9, "{profile:?}: {error}");
    }
}

#[test]
fn a_fine_term_leaves_room_for_the_sum() {
    // x^3 + 1e-6 x^2 y
    check("cubes", &[&[3, 5], &[3, 5]], |b, x| {
        let square = product(b, x[0], x[0]);
        let cube = product(b, square, x[0]);
        let other = product(b, square, x[1]);
        let other = affine(b, other, 1e-6, 0.0);
        add(b, Op::Add, &[cube, other])
    });
}

#[test]
fn factors_of_an_input_keep_their_bits() {
    // exp(x) - c x for x of [0, 1)
    let loss = |b: &mut GraphBuilder, x: &[ValueId]| {
        let scale = ArrayD::from_shape_fn(IxDyn(&[10, 10]), |i| {
            ((3 * i[0] + 7 * i[1]) % 13) as f32 / 3.0 - 2.0
        });
        let shift = scalar(0.0);
        let product = add(b, Op::Affine { scale, shift }, &[x[0]]);
        let exp = apply(b, Activation::Exp, x[0]);
        add(b, Op::Sub, &[exp, product])
    };
    let x = Random::new(3).array(&[10, 10]).mapv(f32::abs);
    let samples = [vec![x]];
    for (profile, limit) in [(Profile::Fast, 1e-2), (Profile::Accurate, 1e-3)] {
        let error = worst_of(&samples, &[&[10, 10]], loss, profile);
        assert!(error <= limit, "{profile:?}: {error}");
    }
}

#[test]
fn multiples_of_real_numbers_are_taken_away() {
    // x - c trunc(x / c), away from the multiples of c
    let remainder = |b: &mut GraphBuilder, x: &[ValueId]| {
        let divisors = |f: fn(f32) -> f32| {
            ArrayD::from_shape_fn(IxDyn(&[4]), |i| f([2.1, -3.4, 0.8, -0.7][i[0]]))
        };
        let (scale, shift) = (divisors(f32::recip), scalar(0.0));
        let y = add(b, Op::Affine { scale, shift }, &[x[0]]);
        let y = apply(b, Activation::Truncate, y);
        let (scale, shift) = (divisors(|c| c), scalar(0.0));
        let y = add(b, Op::Affine { scale, shift }, &[y]);
        add(b, Op::Sub, &[x[0], y])
    };
    let x = |i: ndarray::IxDyn| [-4.3, 7.2, 5.0, 4.3][i[0]];
    let samples = [vec![ArrayD::from_shape_fn(IxDyn(&[4]), x)]];
    for (profile, limit) in [(Profile::Fast, 1e-2), (Profile::Accurate, 1e-3)] {
        let error = worst_of(&samples, &[&[4]], remainder, profile);
        assert!(error <= limit, "{profile:?}: {error}");
    }
}

#[test]
fn sums_products_and_maps() {
    check("add", &[&[3, 5], &[3, 5]], |b, x| add(b, Op::Add, x));
    check("mul", &[&[3, 5], &[3, 5]], |b, x| product(b, x[0], x[1]));
    check("square", &[&[3, 5]], |b, x| product(b, x[0], x[0]));
    check("max", &[&[3, 5], &[3, 5]], |b, x| add(b, Op::Max, x));
    for n in [2, 5, 8, 13] {
        check("row maximum", &[&[3, n]], |b, x| {
            add(b, Op::Maximum { axis: 1 }, &[x[0]])
        });
    }
    check("mean", &[&[3, 5]], |b, x| {
        add(b, last(AxisMatrix::sum(5, 5)), &[x[0]])
    });
    check("interpolation", &[&[3, 2]], |b, x| {
        let matrix = AxisMatrix {
            input: 2,
            output: 4,
            entries: vec![
                (0, 0, 4),
                (1, 0, 3),
                (1, 1, 1),
                (2, 0, 1),
                (2, 1, 3),
                (3, 1, 4),
            ],
            divisor: 4,
        };
        add(b, last(matrix), &[x[0]])
    });
    check("matmul", &[&[3, 5], &[5, 4]], |b, x| {
        let contract = Contract {
            left: vec![0, 1],
            right: vec![1, 2],
            output: vec![0, 2],
        };
        add(b, Op::Contract(contract), &[x[0], x[1]])
    });
    check("take", &[&[3, 2]], |b, x| {
        let (indices, shape) = (vec![5, 0, 0, 2], vec![2, 2]);
        add(b, Op::Take { indices, shape }, &[x[0]])
    });
    check("constant", &[&[2, 2]], |b, x| {
        let value = ArrayD::from_shape_vec(IxDyn(&[2, 2]), vec![1.0, -2.0, 0.3, 4.0]);
        let value = value.expect("four cells");
        let c = add(b, Op::Constant { value }, &[]);
        let y = add(b, Op::Add, &[x[0], c]);
        product(b, y, c)
    });
    check("quotient", &[&[3, 5], &[3, 5]], |b, x| {
        let y = product(b, x[1], x[1]);
        let y = affine(b, y, 1.0, 1.0);
        let r = apply(b, Activation::Reciprocal, y);
        product(b, x[0], r)
    });
}

#[test]
fn softmax_and_normalisations() {
    for n in [3, 10, 64] {
        check("softmax", &[&[2, n]], |b, x| softmax(b, x[0]));
        check("layer normalisation", &[&[2, n]], |b, x| {
            let mean = add(b, last(AxisMatrix::sum(n, n as i64)), &[x[0]]);
            let mean = spread(b, mean, n);
            let d = add(b, Op::Sub, &[x[0], mean]);
            let contract = Contract {
                left: vec![0, 1],
                right: vec![0, 1],
                output: vec![0],
            };
            let var = add(b, Op::Contract(contract), &[d, d]);
            let var = affine(b, var, 1.0 / n as f32, 1e-5);
            let r = apply(b, Activation::Power { exponent: -0.5 }, var);
            let r = add(b, Op::Reshape { shape: vec![2, 1] }, &[r]);
            by_row(b, d, r)
        });
    }
    check("log-sum-exp", &[&[2, 9]], |b, x| {
        let most = add(b, Op::Maximum { axis: 1 }, &[x[0]]);
        let wide = spread(b, most, 9);
        let d = add(b, Op::Sub, &[x[0], wide]);
        let e = apply(b, Activation::Exp, d);
        let sum = add(b, last(AxisMatrix::sum(9, 1)), &[e]);
        let log = apply(b, Activation::Log, sum);
        add(b, Op::Add, &[log, most])
    });
}

#[test]
fn comparisons_select_exactly() {
    // where(x >= y, x, z)
    check("select", &[&[3, 5], &[3, 5], &[3, 5]], |b, x| {
        let d = add(b, Op::Sub, &[x[0], x[1]]);
        let c = apply(b, Activation::Step, d);
        let d = add(b, Op::Sub, &[x[0], x[2]]);
        let d = product(b, c, d);
        add(b, Op::Add, &[x[2], d])
    });
    // not (x >= 0 and y >= 0)
    check("logic", &[&[3, 5], &[3, 5]], |b, x| {
        let c = apply(b, Activation::Step, x[0]);
        let d = apply(b, Activation::Step, x[1]);
        let both = product(b, c, d);
        affine(b, both, -1.0, 1.0)
    });
    // The index of the first largest cell of a row.
    check("argmax", &[&[4, 7]], |b, x| {
        let most = add(b, Op::Maximum { axis: 1 }, &[x[0]]);
        let most = spread(b, most, 7);
        let d = add(b, Op::Sub, &[x[0], most]);
        let e = apply(b, Activation::Step, d);
        let entries = (0..7_u32).flat_map(|i| (0..i).map(move |x| (i, x, 1)));
        let earlier = AxisMatrix {
            input: 7,
            output: 7,
            entries: entries.collect(),
            divisor: 1,
        };
        let seen = add(b, last(earlier), &[e]);
        let seen = affine(b, seen, 1.0, -1.0);
        let seen = apply(b, Activation::Step, seen);
        let new = affine(b, seen, -1.0, 1.0);
        let first = product(b, e, new);
        let index = AxisMatrix {
            input: 7,
            output: 1,
            entries: (1..7).map(|x| (0, x, x.into())).collect(),
            divisor: 1,
        };
        add(b, last(index), &[first])
    });
}

/// A tensor of multiples of `unit` up to 127.
fn quantised_weights(random: &mut Random, shape: &[usize], unit: f32) -> ArrayD<f32> {
    random.array(shape).mapv(|x| (x * 127.0).round() * unit)
}

fn fake(b: &mut GraphBuilder, x: ValueId, scale: f32, lo: i32, hi: i32) -> ValueId {
    apply(b, quantize_to(scale, lo..=hi, crate::float::Ties::Even), x)
}

/// Models that are quantised already keep their integers: the outputs are the same multiples of
/// the last scale as in float.
fn same_integers(
    shape: &[usize],
    build: impl Fn(&mut GraphBuilder, &mut Random, ValueId) -> ValueId,
) {
    for profile in [Profile::Fast, Profile::Accurate] {
        let mut b = GraphBuilder::new();
        let mut random = Random::new(11);
        let x = b.input("x", shape).expect("a shape");
        let y = build(&mut b, &mut random, x);
        let graph = b.finish(vec![("y".into(), y)]).expect("valid");
        let samples: Vec<_> = (0..20).map(|_| vec![random.array(shape)]).collect();
        let calibration = Calibration::from_samples(samples.clone());
        let quantised = quantise(&graph, &calibration, &Options::new(profile));
        let model = quantised.expect("quantises").model;
        let unit = model.graph.outputs[0].scale;
        let inputs = model.graph.quantise_inputs(&samples).expect("inputs");
        let trace = int::run(&model, &inputs.cells).expect("runs");
        let outputs = model.graph.dequantise_outputs(&trace);
        let mut distinct = std::collections::BTreeSet::new();
        for (sample, outputs) in samples.iter().zip(outputs) {
            let values = graph.run(sample).expect("runs");
            for (&float, &y) in values[graph.outputs()[0].1.0].iter().zip(&outputs[0]) {
                let integer = |x: f32| (f64::from(x) / unit).round() as i64;
                assert_eq!(integer(float), integer(y), "{profile:?}");
                distinct.insert(integer(y));
            }
        }
        assert!(distinct.len() > 30, "the outputs vary: {distinct:?}");
    }
}

#[test]
fn quantised_models_keep_their_integers() {
    same_integers(&[1, 16], |b, random, x| {
        let x = fake(b, x, 1.0 / 127.0, -128, 127);
        let weight = quantised_weights(random, &[16, 20], 0.013);
        let bias = Some(quantised_weights(random, &[20], 0.013 / 127.0));
        let x = add(b, Op::Dense { weight, bias }, &[x]);
        let x = apply(b, Activation::Relu, x);
        let x = fake(b, x, 0.037, -3, 252);
        // Per-channel scales.
        let units = ArrayD::from_shape_fn(IxDyn(&[20, 12]), |i| 0.003 + 0.001 * i[1] as f32);
        let weight = quantised_weights(random, &[20, 12], 1.0) * units;
        let x = add(b, Op::Dense { weight, bias: None }, &[x]);
        fake(b, x, 0.31, -100, 155)
    });
}

#[test]
fn quantised_sums_and_pools_keep_their_integers() {
    same_integers(&[1, 4, 8, 8], |b, random, x| {
        let window = |kernel, stride, pad| crate::float::Window {
            kernel,
            stride,
            dilation: 1,
            pad_begin: pad,
            pad_end: pad,
        };
        let x = fake(b, x, 1.0 / 127.0, -128, 127);
        let conv = Op::Conv {
            weight: quantised_weights(random, &[4, 4, 3, 3], 0.011),
            bias: None,
            groups: 1,
            windows: vec![window(3, 1, 1); 2],
        };
        let y = add(b, conv, &[x]);
        let y = fake(b, y, 0.06, -128, 127);
        let sum = add(b, Op::Add, &[x, y]);
        let sum = fake(b, sum, 0.07, -128, 127);
        let joined = add(b, Op::Concat { axis: 1 }, &[sum, y]);
        let joined = fake(b, joined, 0.065, -120, 135);
        let kind = crate::float::PoolKind::Max;
        let windows = vec![window(2, 2, 0); 2];
        let pooled = add(b, Op::Pool { kind, windows }, &[joined]);
        let kind = crate::float::PoolKind::AverageInside;
        let windows = vec![window(2, 1, 0); 2];
        let pooled = add(b, Op::Pool { kind, windows }, &[pooled]);
        fake(b, pooled, 0.0213, -128, 127)
    });
}
