//! Values of unlike sizes: small ones beside large ones, constants of calibration, steep functions.

use super::common::{PROFILES, add, apply, array, close, constant, errors};
use crate::float::random::Random;
use crate::float::{Activation, AxisMap, AxisMatrix, Contract, GraphBuilder, Op, Steep, Window};
use crate::quantise::*;
use ndarray::{ArrayD, IxDyn};

#[test]
fn small_results_of_bounded_functions_are_kept() {
    for f in [
        Activation::Tanh,
        Activation::HardSwish,
        Activation::Gelu,
        Activation::Mish,
        Activation::Sin,
        Activation::Erf,
        Activation::Softsign,
    ] {
        for x in [8e-5, -2e-4, 5e-4, 0.03] {
            let name = format!("{f:?} of {x}");
            close(&name, &[1], &[x], [0.02, 0.005], |b, x| {
                vec![apply(b, f, x)]
            });
        }
    }
}

#[test]
fn small_values_beside_large_ones_are_kept() {
    let concat = |b: &mut GraphBuilder, x| {
        let other = constant(b, &[-200.0]);
        vec![add(b, Op::Concat { axis: 0 }, &[x, other]), x]
    };
    close("concatenation", &[2], &[0.02, 0.03], [0.02, 0.002], concat);
    let most = |b: &mut GraphBuilder, x| {
        let other = constant(b, &[-20.0]);
        let most = add(b, Op::Max, &[x, other]);
        vec![most, x]
    };
    close("maximum", &[1], &[-9e-4], [0.02, 0.002], most);
}

#[test]
fn integers_beside_fractions_are_kept() {
    for f in [Activation::Round, Activation::Floor, Activation::Ceil] {
        let joined = |b: &mut GraphBuilder, x| {
            let x = apply(b, f, x);
            let x = apply(b, f, x);
            let other = constant(b, &[1.419_754_4]);
            vec![add(b, Op::Concat { axis: 0 }, &[x, other])]
        };
        close("concatenation", &[1], &[1.0], [0.01, 0.001], joined);
        let padded = |b: &mut GraphBuilder, x| {
            let x = apply(b, f, x);
            let x = apply(b, f, x);
            let (pads, value) = (vec![(1, 1)], 0.7);
            vec![add(b, Op::Pad { pads, value }, &[x])]
        };
        close("padding", &[1], &[1.0], [0.01, 0.001], padded);
    }
}

/// What is the same in all samples has no range; its rounding must fit the tables all the same.
#[test]
fn constants_of_calibration_are_proven() {
    let mean = |b: &mut GraphBuilder, x| {
        let mean = add(
            b,
            Op::Map(vec![AxisMap::Matrix(AxisMatrix::sum(6, 6))]),
            &[x],
        );
        vec![apply(b, Activation::Softsign, mean)]
    };
    let cells = [4.0, 3.0, -2.0, -4.0, -2.0, 1.0];
    for (profile, limit) in [(Profile::Fast, 0.01), (Profile::Accurate, 0.001)] {
        let mut b = GraphBuilder::new();
        let x = b.input("x", &[6]).expect("a shape");
        let y = mean(&mut b, x)[0];
        let graph = b.finish(vec![("y".into(), y)]).expect("valid");
        let samples = vec![vec![array(&[6], &cells)]];
        let calibration = Calibration::from_samples(samples.clone());
        let model = quantise(&graph, &calibration, &Options::new(profile)).expect("quantises");
        let accuracy = Accuracy::measure(&graph, &model.model, &samples).expect("runs");
        let error = accuracy.outputs[0].max_error;
        assert!(error < limit, "{profile:?}: {error}");
    }
    // A product that was always 0, beside a 1.
    let product = |b: &mut GraphBuilder, x| {
        let zero = add(b, Op::Contract(Contract::elementwise(1)), &[x, x]);
        let other = constant(b, &[1.0]);
        let joined = add(b, Op::Concat { axis: 0 }, &[zero, other]);
        vec![apply(b, Activation::Exp, joined)]
    };
    close("product", &[1], &[0.0], [0.01, 0.001], product);
}

#[test]
fn functions_of_integers_onto_integers_are_exact() {
    let cells = [3025.0, -225.0, 36.0, -7921.0, 30_000.0, 100_000.0];
    for f in [Activation::Abs, Activation::Relu] {
        for profile in PROFILES {
            let mut b = GraphBuilder::new();
            let x = b.integral_input("x", &[6]).expect("a shape");
            let y = apply(&mut b, f, x);
            let square = add(&mut b, Op::Contract(Contract::elementwise(1)), &[x, x]);
            let z = apply(&mut b, f, square);
            let graph = b
                .finish(vec![("y".into(), y), ("z".into(), z)])
                .expect("valid");
            let samples = vec![vec![array(&[6], &cells)]];
            let calibration = Calibration::from_samples(samples.clone());
            let model = quantise(&graph, &calibration, &Options::new(profile)).expect("quantises");
            let accuracy = Accuracy::measure(&graph, &model.model, &samples).expect("runs");
            assert!(accuracy.outputs[0].max_error == 0.0, "{f:?} {profile:?}");
        }
    }
}

/// A logarithm near the floor of a clip, and beside far larger cells.
#[test]
fn logarithms_of_clips_are_functions_of_what_is_clipped() {
    let (lo, hi) = (1e-7, 1e9);
    let cells = [0.0, 1e-9, 1.1e-7, 1e-6, 1e-4, 0.01, 0.5, 1.0];
    let log = |b: &mut GraphBuilder, x| {
        let x = apply(b, Activation::Clip { lo, hi }, x);
        vec![apply(b, Activation::Log, x)]
    };
    close("logarithm", &[8], &cells, [0.03, 0.03], log);
    let within = Activation::Within {
        function: Steep::Log,
        lo,
        hi,
    };
    assert!((within.at(1e-9) - f64::from(lo).ln()).abs() < 1e-12);
}

/// The logarithm of a filtered power spectrum, over ten decades.
#[test]
fn logarithms_of_powers_keep_their_quiet_cells() {
    let (n, k) = (32, 16);
    let mut random = Random::new(7);
    let window = Window {
        kernel: k,
        stride: 8,
        dilation: 1,
        pad_begin: 0,
        pad_end: 0,
    };
    let mut b = GraphBuilder::new();
    let x = b.input("x", &[1, 1, 8 * n]).expect("a shape");
    let weight = random.array(&[8, 1, k]);
    let conv = Op::Conv {
        weight,
        bias: None,
        groups: 1,
        windows: vec![window],
    };
    let y = add(&mut b, conv, &[x]);
    let power = add(&mut b, Op::Contract(Contract::elementwise(3)), &[y, y]);
    let power = add(
        &mut b,
        Op::Transpose {
            perm: vec![0, 2, 1],
        },
        &[power],
    );
    let weight = random.array(&[8, 4]).mapv(f32::abs);
    let mel = add(&mut b, Op::Dense { weight, bias: None }, &[power]);
    let (lo, hi) = (1e-8, f32::INFINITY);
    let mel = apply(&mut b, Activation::Clip { lo, hi }, mel);
    let z = apply(&mut b, Activation::Log, mel);
    let graph = b.finish(vec![("z".into(), z)]).expect("valid");
    // Loud at the beginning, and then ever quieter.
    let mut sample = || {
        let mut x = random.array(&[1, 1, 8 * n]);
        for (i, x) in x.iter_mut().enumerate() {
            *x *= 10.0_f32.powf(-3.5 * i as f32 / (8 * n) as f32);
        }
        vec![x]
    };
    let samples: Vec<_> = (0..4).map(|_| sample()).collect();
    for (profile, limit) in [(Profile::Fast, 0.03), (Profile::Accurate, 0.02)] {
        let error = errors(&graph, &samples, profile)[0];
        assert!(error < limit, "{profile:?}: {error}");
    }
}

/// Nearly all cells are -1, and a few 200 times as large.
#[test]
fn floors_beside_large_cells_are_kept() {
    let mut random = Random::new(3);
    let mut b = GraphBuilder::new();
    let x = b.input("x", &[1, 400]).expect("a shape");
    let elu = Activation::Elu {
        alpha: 1.0,
        beta: 1.0,
        gamma: 1.0,
    };
    let y = apply(&mut b, elu, x);
    let weight = random.array(&[400, 4]).mapv(|w| w.abs() / 20.0);
    let z = add(&mut b, Op::Dense { weight, bias: None }, &[y]);
    let graph = b.finish(vec![("z".into(), z)]).expect("valid");
    let mut x = random.array(&[1, 400]).mapv(|x| -20.0 - x.abs());
    x[[0, 7]] = 200.0;
    for (profile, limit) in [(Profile::Fast, 0.02), (Profile::Accurate, 0.002)] {
        let error = errors(&graph, &[vec![x.clone()]], profile)[0];
        assert!(error < limit, "{profile:?}: {error}");
    }
}

/// `accurate` is what it says where a few weights are far larger than the others.
#[test]
fn weights_are_as_fine_as_what_they_multiply() {
    let mut random = Random::new(5);
    let mut b = GraphBuilder::new();
    let x = b.input("x", &[1, 256]).expect("a shape");
    let weight = random.array(&[256, 16]).mapv(|w| 0.01 * w.powi(5));
    let y = add(&mut b, Op::Dense { weight, bias: None }, &[x]);
    let y = apply(&mut b, Activation::Relu, y);
    let weight = random.array(&[16, 4]);
    let y = add(&mut b, Op::Dense { weight, bias: None }, &[y]);
    let graph = b.finish(vec![("y".into(), y)]).expect("valid");
    let samples: Vec<_> = (0..8).map(|_| vec![random.array(&[1, 256])]).collect();
    let [fast, accurate] = PROFILES.map(|profile| errors(&graph, &samples, profile)[0]);
    assert!(accurate < fast / 4.0, "{fast} {accurate}");
}

/// Roundings of products, which have more binary digits than there is room for.
#[test]
fn products_are_rounded() {
    for f in [
        Activation::Floor,
        Activation::Round,
        Activation::Truncate,
        Activation::Ceil,
    ] {
        let square = |b: &mut GraphBuilder, x| {
            let y = add(b, Op::Contract(Contract::elementwise(1)), &[x, x]);
            let z = add(b, Op::Contract(Contract::elementwise(1)), &[y, x]);
            vec![apply(b, f, y), apply(b, f, z), y]
        };
        let cells = [1.3, -2.4, 0.2, 7.7, -0.9];
        close(&format!("{f:?}"), &[5], &cells, [0.002, 0.001], square);
    }
}

/// Integers beside real numbers, their parts and their averages, and a quantised output.
#[test]
fn integers_are_exact_whatever_reads_them() {
    let cells = [3025.0, 225.0, 36.0, 7921.0];
    for profile in PROFILES {
        let mut b = GraphBuilder::new();
        let x = b.integral_input("x", &[4]).expect("a shape");
        let affine = |scale: f32, shift: f32| Op::Affine {
            scale: ArrayD::from_elem(IxDyn(&[]), scale),
            shift: ArrayD::from_elem(IxDyn(&[]), shift),
        };
        let half = add(&mut b, affine(0.37, 0.0), &[x]);
        let other = constant(&mut b, &[0.123]);
        let beside = add(&mut b, Op::Concat { axis: 0 }, &[x, other]);
        let less = add(&mut b, affine(1.0, -1.0), &[x]);
        let square = add(&mut b, Op::Contract(Contract::elementwise(1)), &[x, x]);
        let (lo, hi) = (0.0, 1_000_000.0);
        let clipped = apply(&mut b, Activation::Clip { lo, hi }, square);
        let outputs = [x, less, clipped, half, beside];
        let outputs = outputs.into_iter().enumerate();
        let outputs = outputs.map(|(i, v)| (format!("y{i}"), v)).collect();
        let graph = b.finish(outputs).expect("valid");
        let samples = vec![vec![array(&[4], &cells)]];
        let calibration = Calibration::from_samples(samples.clone());
        let model = quantise(&graph, &calibration, &Options::new(profile)).expect("quantises");
        let accuracy = Accuracy::measure(&graph, &model.model, &samples).expect("runs");
        for output in &accuracy.outputs[..3] {
            assert!(output.max_error == 0.0, "{profile:?}: {output:?}");
        }
    }
    let quantised = |b: &mut GraphBuilder, x| {
        let f = |scale: f32| Activation::Quantize {
            scale,
            lo: 0,
            hi: 255,
            ties: crate::float::Ties::Even,
        };
        let affine = |scale: f32| Op::Affine {
            scale: ArrayD::from_elem(IxDyn(&[]), scale),
            shift: ArrayD::from_elem(IxDyn(&[]), 0.0),
        };
        let q = apply(b, f(0.02), x);
        let q = add(b, affine(50.0), &[q]);
        let q = apply(b, Activation::Round, q);
        let up = apply(b, Activation::Ceil, x);
        vec![q, apply(b, f(1.0), up)]
    };
    close("quantised", &[2], &[0.9, 5.7], [1e-6, 1e-6], quantised);
}

/// A difference that a layout makes unrecognisable, of an input that was always 0.
#[test]
fn models_of_zeros_are_valid() {
    let pool = |b: &mut GraphBuilder, x| {
        let window = Window {
            kernel: 2,
            stride: 1,
            dilation: 1,
            pad_begin: 0,
            pad_end: 0,
        };
        let y = add(
            b,
            Op::Pool {
                kind: crate::float::PoolKind::Max,
                windows: vec![window; 2],
            },
            &[x],
        );
        vec![y, x]
    };
    for profile in PROFILES {
        let mut b = GraphBuilder::new();
        let x = b.input("x", &[1, 1, 3, 3]).expect("a shape");
        let outputs = pool(&mut b, x).into_iter().enumerate();
        let outputs = outputs.map(|(i, v)| (format!("y{i}"), v)).collect();
        let graph = b.finish(outputs).expect("valid");
        let zeros = vec![vec![ArrayD::zeros(IxDyn(&[1, 1, 3, 3]))]];
        let calibration = Calibration::from_samples(zeros);
        quantise(&graph, &calibration, &Options::new(profile)).expect("quantises");
    }
}

/// A layer of features of unlike sizes in a model with products, whose weights have few bits.
#[test]
fn unlike_features_are_kept_before_a_softmax() {
    let mut random = Random::new(11);
    let mut b = GraphBuilder::new();
    let sizes = [1500.0, 0.3, 20.0, 1.0, 100.0];
    let x = b.input("x", &[1, 5]).expect("a shape");
    let weight = ArrayD::from_shape_fn(IxDyn(&[5, 3]), |i| {
        random.array(&[1])[0] * 3.0 / sizes[i[0]]
    });
    let y = add(&mut b, Op::Dense { weight, bias: None }, &[x]);
    let e = apply(&mut b, Activation::Exp, y);
    let along = |m| Op::Map(vec![AxisMap::Keep, AxisMap::Matrix(m)]);
    let sum = add(&mut b, along(AxisMatrix::sum(3, 1)), &[e]);
    let factor = apply(&mut b, Activation::Reciprocal, sum);
    let factor = add(&mut b, along(AxisMatrix::select(1, &[0; 3])), &[factor]);
    let y = add(&mut b, Op::Contract(Contract::elementwise(2)), &[e, factor]);
    let graph = b.finish(vec![("y".into(), y)]).expect("valid");
    let mut sample = || {
        let mut x = random.array(&[1, 5]);
        x.iter_mut()
            .zip(sizes)
            .for_each(|(x, size)| *x *= size / 2.0);
        vec![x]
    };
    let samples: Vec<_> = (0..16).map(|_| sample()).collect();
    for (profile, limit) in [(Profile::Fast, 0.03), (Profile::Accurate, 0.005)] {
        let error = errors(&graph, &samples, profile)[0];
        assert!(error < limit, "{profile:?}: {error}");
    }
}

#[test]
fn features_of_unlike_sizes_are_brought_to_one_size_and_leave() {
    let x = [1.4e-4, 0.13, 640.0, -9e-4, 1.1, -310.0];
    close("features", &[2, 3], &x, [0.01, 0.01], |b, x| {
        let scale = array(&[3], &[1100.0, 0.9, 0.001_3]);
        let shift = array(&[3], &[0.2, -0.1, 0.4]);
        vec![add(b, Op::Affine { scale, shift }, &[x])]
    });
}
