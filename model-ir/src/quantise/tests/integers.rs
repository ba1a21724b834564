//! Integers are exact, whatever was calibrated, and what the model quantises itself does not bind
//! the values beside it.

use super::common::{add, affine, apply, quantize_to};
use crate::float::random::Random;
use crate::float::{Activation, GraphBuilder, Op, PoolKind, Ties, ValueId, Window};
use crate::quantise::*;
use ndarray::{ArrayD, IxDyn};

const PROFILES: [Profile; 2] = [Profile::Fast, Profile::Accurate];

fn array(cells: &[f32]) -> ArrayD<f32> {
    ArrayD::from_shape_vec(IxDyn(&[cells.len()]), cells.to_vec()).expect("a list")
}

/// The outputs of the model on `inputs`, calibrated on `calibrated`.
fn outputs(
    graph: &Graph,
    calibrated: &[ArrayD<f32>],
    inputs: &[ArrayD<f32>],
    profile: Profile,
) -> Result<Vec<ArrayD<f32>>, Error> {
    let calibration = Calibration::from_samples(vec![calibrated.to_vec()]);
    let model = quantise(graph, &calibration, &Options::new(profile))?.model;
    let inputs = model.graph.quantise_inputs(&[inputs.to_vec()])?;
    let trace = int::run(&model, &inputs.cells)?;
    Ok(model.graph.dequantise_outputs(&trace).remove(0))
}

/// `f` of integers is exact on these, calibrated on the same.
fn exact(integers: &[f32], f: impl Fn(&mut GraphBuilder, ValueId) -> ValueId, name: &str) {
    let mut b = GraphBuilder::new();
    let x = b.integral_input("x", &[integers.len()]).expect("a shape");
    let y = f(&mut b, x);
    let graph = b.finish(vec![("y".into(), y)]).expect("valid");
    let x = [array(integers)];
    let expected = &graph.run(&x).expect("runs")[graph.outputs()[0].1.0];
    for profile in PROFILES {
        let found = outputs(&graph, &x, &x, profile).expect("runs");
        assert_eq!(found[0], *expected, "{name}, {profile:?}");
    }
}

#[test]
fn quotients_of_integers_are_exact() {
    for size in [20_i32, 5000, 70_000, 1_000_000, 16_000_000] {
        for divisor in [1_u32, 2, 3, 7, 10, 24, 100, 4096, 99_991] {
            let d = divisor as i32;
            let step = (size / 37).max(1);
            let near = (-37..37).flat_map(|k| (-1..=1).map(move |e| k * step / d * d + e));
            let mut integers: Vec<f32> = near.map(|n| n as f32).collect();
            integers.extend([-size, size, 0, 1, -1].map(|n| n as f32));
            let name = format!("{size} / {divisor}");
            exact(
                &integers,
                |b, x| apply(b, Activation::FloorDiv { divisor }, x),
                &name,
            );
        }
    }
}

#[test]
fn remainders_of_integers_are_exact() {
    let integers: Vec<f32> = (-300..300).map(|n| n as f32).collect();
    exact(
        &integers,
        |b, x| {
            let y = apply(b, Activation::FloorDiv { divisor: 10 }, x);
            let y = affine(b, y, -10.0, 0.0);
            add(b, Op::Add, &[x, y])
        },
        "mod 10",
    );
}

#[test]
fn real_numbers_are_rounded_down_up_and_towards_zero() {
    let functions = [
        Activation::Floor,
        Activation::Ceil,
        Activation::Truncate,
        Activation::Round,
    ];
    let steps = [0.03125, 3.125, 43.75];
    for (f, step) in functions
        .into_iter()
        .flat_map(|f| steps.map(|step| (f, step)))
    {
        let mut b = GraphBuilder::new();
        let cells: Vec<f32> = (-160..160).map(|k| k as f32 * step).collect();
        let x = b.input("x", &[cells.len()]).expect("a shape");
        let y = apply(&mut b, f, x);
        let graph = b.finish(vec![("y".into(), y)]).expect("valid");
        let x = [array(&cells)];
        let expected = &graph.run(&x).expect("runs")[1];
        for profile in PROFILES {
            let found = outputs(&graph, &x, &x, profile).expect("runs");
            assert_eq!(found[0], *expected, "{f:?} {step} {profile:?}");
        }
    }
}

#[test]
fn indices_are_those_of_their_axis_and_not_of_the_samples() {
    let mut b = GraphBuilder::new();
    let x = b.integral_input("ids", &[4]).expect("a shape");
    let y = apply(&mut b, Activation::Index { length: 50_257 }, x);
    let graph = b.finish(vec![("y".into(), y)]).expect("valid");
    let calibrated = [array(&[0.0, 1.0, 2.0, 3.0])];
    for profile in PROFILES {
        let run = |ids: &[f32]| outputs(&graph, &calibrated, &[array(ids)], profile);
        let found = run(&[50_256.0, -1.0, -50_257.0, 7.0]).expect("indices of the axis");
        assert_eq!(found[0], array(&[50_256.0, 50_256.0, 0.0, 7.0]));
        for wrong in [50_257.0, -50_258.0] {
            let error = run(&[0.0, wrong, 1.0, 2.0]).expect_err("no index of the axis");
            let outside = matches!(
                error,
                Error::Input(InputError::OutOfRange {
                    cell: 1,
                    lo: -50_257,
                    hi: 50_256,
                    ..
                })
            );
            assert!(outside, "{wrong}");
        }
        let error = run(&[0.0, 1.0, 2.5, 2.0]).expect_err("no integer");
        assert!(matches!(
            error,
            Error::Input(InputError::NotInteger { cell: 2, .. })
        ));
        let wrong = [array(&[0.0, 60_000.0, 1.0, 2.0])];
        let error = outputs(&graph, &wrong, &calibrated, profile).expect_err("calibrated outside");
        assert!(matches!(error, Error::Indices { node, .. } if node == "ids"));
    }
}

#[test]
fn computed_indices_outside_of_their_axis_cannot_be_run() {
    let mut b = GraphBuilder::new();
    let x = b.integral_input("x", &[3]).expect("a shape");
    let y = affine(&mut b, x, 2.0, 1.0);
    let y = apply(&mut b, Activation::Index { length: 10 }, y);
    let graph = b.finish(vec![("y".into(), y)]).expect("valid");
    let calibrated = [array(&[0.0, 4.0, -5.0])];
    for profile in PROFILES {
        let run = |x: &[f32]| outputs(&graph, &calibrated, &[array(x)], profile);
        let found = run(&[3.0, 4.0, -5.0]).expect("indices");
        assert_eq!(found[0], array(&[7.0, 9.0, 1.0]));
        assert!(matches!(run(&[0.0, 5.0, 1.0]), Err(Error::Run(_))));
    }
}

#[test]
fn integers_beyond_the_calibrated_ones_are_refused() {
    let mut b = GraphBuilder::new();
    let x = b.integral_input("x", &[2]).expect("a shape");
    let y = affine(&mut b, x, 3.0, 1.0);
    let graph = b.finish(vec![("y".into(), y)]).expect("valid");
    let calibrated = [array(&[0.0, 100.0])];
    for profile in PROFILES {
        let run = |x: &[f32]| outputs(&graph, &calibrated, &[array(x)], profile);
        assert_eq!(run(&[200.0, 7.0]).expect("room")[0], array(&[601.0, 22.0]));
        for wrong in [300.0, -1.0] {
            let error = run(&[0.0, wrong]).expect_err("outside");
            assert!(matches!(error, Error::Input(InputError::OutOfRange { .. })));
        }
    }
}

fn quantised(b: &mut GraphBuilder, x: ValueId, scale: f32, zero: i32, ties: Ties) -> ValueId {
    apply(b, quantize_to(scale, -zero..=255 - zero, ties), x)
}

/// Values beside a quantisation and before it keep what they are.
#[test]
fn values_beside_a_quantisation_are_not_clamped_to_its_range() {
    let mut b = GraphBuilder::new();
    let mut random = Random::new(5);
    let x = b.input("x", &[1, 3, 6, 6]).expect("a shape");
    let window = |kernel| Window {
        kernel,
        stride: 1,
        dilation: 1,
        pad_begin: 0,
        pad_end: 0,
    };
    let conv = Op::Conv {
        weight: random.array(&[4, 3, 3, 3]),
        bias: None,
        groups: 1,
        windows: vec![window(3); 2],
    };
    let y = add(&mut b, conv, &[x]);
    let relu = apply(&mut b, Activation::Relu, y);
    let average = Op::Pool {
        kind: PoolKind::AverageInside,
        windows: vec![window(4); 2],
    };
    let pooled = add(&mut b, average, &[relu]);
    let outputs = [
        ("input", quantised(&mut b, x, 0.01, 128, Ties::Even)),
        ("quantised", quantised(&mut b, y, 0.01, 128, Ties::Even)),
        ("pool", quantised(&mut b, pooled, 0.03, 0, Ties::Even)),
        ("beside", relu),
        ("all of the input", affine(&mut b, x, 2.0, 0.0)),
    ];
    let outputs = outputs.map(|(name, v)| (name.to_owned(), v));
    let graph = b.finish(outputs.to_vec()).expect("valid");
    let sample = |random: &mut Random| vec![random.array(&[1, 3, 6, 6]) * 3.0];
    let samples: Vec<_> = (0..8).map(|_| sample(&mut random)).collect();
    let calibration = Calibration::from_samples(samples.clone());
    for (profile, limit) in [(Profile::Fast, 0.02), (Profile::Accurate, 0.003)] {
        let model = quantise(&graph, &calibration, &Options::new(profile));
        let model = model.expect("quantises").model;
        let accuracy = Accuracy::measure(&graph, &model, &samples).expect("runs");
        for output in accuracy.outputs {
            let step = if output.name == "beside" { 0.0 } else { 0.031 };
            let error = output.max_error;
            let allowed = limit * 16.0 + step;
            assert!(error <= allowed, "{profile:?} {}: {error}", output.name);
        }
    }
}

/// The scale of an accumulator that others read as well may be fine, and that of what the model makes of it
/// coarse: the quotient has fewer digits than there are bits to shift by.
#[test]
fn fine_accumulators_are_quantised_beside_other_readers() {
    let mut random = Random::new(11);
    for length in [1, 4, 16, 64, 300] {
        for reader in [Activation::Relu, Activation::Sigmoid] {
            let weight = random.array(&[length, 8]);
            let samples: Vec<_> = (0..16).map(|_| vec![random.array(&[1, length])]).collect();
            let mut b = GraphBuilder::new();
            let x = b.input("x", &[1, length]).expect("a shape");
            let layer = Op::Dense { weight, bias: None };
            let y = add(&mut b, layer, &[x]);
            let step = 0.01 * (length as f32).sqrt();
            let q = quantised(&mut b, y, step, 128, Ties::Even);
            let read = apply(&mut b, reader, y);
            let outputs = [("quantised", q), ("beside", read)];
            let outputs = outputs.map(|(name, v)| (name.to_owned(), v));
            let graph = b.finish(outputs.to_vec()).expect("valid");
            let calibration = Calibration::from_samples(samples.clone());
            for profile in PROFILES {
                let model = quantise(&graph, &calibration, &Options::new(profile));
                let model = model.expect("quantises").model;
                let accuracy = Accuracy::measure(&graph, &model, &samples).expect("runs");
                let name = format!("{length} {reader:?} {profile:?}");
                let [quantised, beside] = &accuracy.outputs[..] else {
                    panic!("two outputs")
                };
                // A step where a sum that is nearly between two is rounded the other way.
                assert!(quantised.max_error <= 1.01 * f64::from(step), "{name}");
                assert!(quantised.rms_error <= 0.5 * f64::from(step), "{name}");
                assert!(beside.rms_error <= 0.01 * beside.rms, "{name}");
            }
        }
    }
}

#[test]
fn halves_are_rounded_to_the_integer_that_the_model_prefers() {
    for ties in [Ties::Even, Ties::Odd] {
        exact(
            &(0..200).map(|n| n as f32).collect::<Vec<_>>(),
            |b, x| {
                let x = affine(b, x, 0.5, -30.0);
                quantised(b, x, 1.0, 77, ties)
            },
            "half",
        );
    }
}

#[test]
fn averages_of_quantised_values_are_rounded_as_the_model_does() {
    let mut b = GraphBuilder::new();
    let x = b.integral_input("x", &[1, 2, 4, 4]).expect("a shape");
    let y = affine(&mut b, x, 0.5, -60.0);
    let y = apply(&mut b, Activation::Relu, y);
    let window = Window {
        kernel: 2,
        stride: 2,
        dilation: 1,
        pad_begin: 0,
        pad_end: 0,
    };
    let average = Op::Pool {
        kind: PoolKind::AverageInside,
        windows: vec![window; 2],
    };
    let y = add(&mut b, average, &[y]);
    let y = quantised(&mut b, y, 0.25, 10, Ties::Even);
    let graph = b.finish(vec![("y".into(), y)]).expect("valid");
    let mut random = Random::new(8);
    let cells = ArrayD::from_shape_simple_fn(IxDyn(&[1, 2, 4, 4]), || random.below(256) as f32);
    let x = [cells];
    let expected = graph.run(&x).expect("runs");
    for profile in PROFILES {
        let found = outputs(&graph, &x, &x, profile).expect("runs");
        assert_eq!(found[0], expected[graph.outputs()[0].1.0], "{profile:?}");
    }
}

#[test]
fn joined_values_are_quantised_from_scales_of_their_own() {
    let mut b = GraphBuilder::new();
    let x: Vec<ValueId> = ["a", "b"]
        .map(|n| b.input(n, &[1, 40]).expect("a shape"))
        .into();
    let joined = add(&mut b, Op::Concat { axis: 1 }, &x);
    let y = quantised(&mut b, joined, 0.02, 128, Ties::Even);
    let graph = b.finish(vec![("y".into(), y)]).expect("valid");
    let mut random = Random::new(2);
    let x = [random.array(&[1, 40]) * 2.5, random.array(&[1, 40]) * 0.1];
    let expected = graph.run(&x).expect("runs");
    for profile in PROFILES {
        let found = outputs(&graph, &x, &x, profile).expect("runs");
        let off = found[0]
            .iter()
            .zip(&expected[3])
            .filter(|(x, y)| (*x - *y).abs() > 1e-3);
        assert_eq!(off.count(), 0, "{profile:?}");
    }
}
