//! The ends of ranges: bounds that saturate, arguments beyond their tables, what is left of a
//! difference.

use super::common::{
    PROFILES, add, affine, answers, apply, array, close, constant, errors, exact, first, product,
    scalar,
};
use crate::float::{Activation, AxisMap, AxisMatrix, GraphBuilder, Op, ValueId};
use crate::quantise::{Calibration, Options, quantise};

#[test]
fn bounds_beyond_all_integers_are_what_is_answered() {
    let (inf, none) = (f32::INFINITY, f32::NEG_INFINITY);
    for (lo, hi, y) in [(9.0, inf, 9.0), (none, -1.0, -1.0), (-3.0, -2.0, -2.0)] {
        let clip = Activation::Clip { lo, hi };
        exact("clip", true, (&[1.0, 0.0], &[y, y]), |b, x| {
            apply(b, clip, x)
        });
        let wide = (&[100_000.0, 0.0], &[y.max(lo), y]);
        if hi < inf {
            exact("clip", true, (wide.0, wide.1), |b, x| apply(b, clip, x));
        }
    }
    // Dequantised integers of a small scale, and a bound far above all of them.
    for (scale, bound) in [(0.005, 1.0), (5e-6, -1.0)] {
        let (lo, hi) = if bound > 0.0 {
            (bound, inf)
        } else {
            (none, bound)
        };
        let answers = answers(true, &[0.0], |b, x| {
            let y = affine(b, x, scale, -scale);
            vec![apply(b, Activation::Clip { lo, hi }, y)]
        });
        for answer in answers {
            assert!((answer[0][0] - bound).abs() < 1e-3, "{answer:?}");
        }
    }
}

#[test]
fn truth_values_are_rounded_whatever_reads_them() {
    for f in [Activation::Round, Activation::Ceil, Activation::Truncate] {
        let build = |b: &mut GraphBuilder, x| {
            let c = apply(b, Activation::IsZero, x);
            let y = apply(b, Activation::LeakyRelu { alpha: 0.01 }, c);
            let z = apply(b, f, c);
            vec![z, add(b, Op::Add, &[z, y])]
        };
        for answer in answers(false, &[0.0, 3.0], build) {
            assert_eq!(answer[0], [1.0, 0.0], "{f:?}");
            assert!((answer[1][0] - 2.0).abs() < 2e-3, "{f:?}: {answer:?}");
        }
    }
    // A clip between integers gives no integers, and leaves those that it reads what they are.
    exact("half", true, (&[1.0], &[1.0]), |b, x| {
        let half = apply(b, Activation::Clip { lo: -1.0, hi: 0.5 }, x);
        let zero = affine(b, half, 0.0, 0.0);
        let y = apply(b, Activation::Ceil, x);
        add(b, Op::Add, &[y, zero])
    });
}

/// Samples of one class say nothing of the other.
#[test]
fn probabilities_that_calibration_never_saw_are_reached() {
    let mut b = GraphBuilder::new();
    let x = b.input("x", &[1]).expect("a shape");
    let y = apply(&mut b, Activation::Sigmoid, x);
    let graph = b.finish(vec![("y".into(), y)]).expect("valid");
    let calibration = Calibration::from_samples(vec![vec![array(&[1], &[-12.0])]]);
    for profile in PROFILES {
        let model = quantise(&graph, &calibration, &Options::new(profile)).expect("quantises");
        let model = model.model;
        let sample = vec![array(&[1], &[12.0])];
        let inputs = model.graph.quantise_inputs(&[sample]).expect("fits");
        let trace = crate::int::run(&model, &inputs.cells).expect("runs");
        let y = model.graph.dequantise_outputs(&trace)[0][0][0];
        assert!((y - 1.0).abs() < 0.01, "{profile:?}: {y}");
    }
}

#[test]
fn functions_of_truth_values_have_exact_values() {
    close("one", &[2], &[0.0, 2.0], [1e-6, 1e-6], |b, x| {
        let c = apply(b, Activation::IsZero, x);
        vec![apply(b, Activation::Sqrt, c)]
    });
    close("two", &[2], &[0.0, 2.0], [1e-3, 1e-3], |b, x| {
        let c = apply(b, Activation::IsZero, x);
        vec![apply(b, Activation::Exp, c)]
    });
}

#[test]
fn what_is_far_below_a_unit_is_rounded_by_its_sign() {
    let x = [2e-11, -2e-11, 0.0, 3e-12];
    let (up, down) = (Activation::Ceil, Activation::Floor);
    exact("up", false, (&x, &[1.0, 0.0, 0.0, 1.0]), |b, x| {
        apply(b, up, x)
    });
    exact("down", false, (&x, &[0.0, -1.0, 0.0, 0.0]), |b, x| {
        apply(b, down, x)
    });
    let x = [-2e-4, 9e-4, 0.0, -7e-4];
    exact("square", false, (&x, &[1.0, 1.0, 0.0, 1.0]), |b, x| {
        let square = product(b, x, x);
        apply(b, up, square)
    });
}

/// Channels that are multiplied by nothing have their shift, however small the others.
#[test]
fn what_is_multiplied_by_nothing_is_its_shift() {
    close("shift", &[2], &[3.0, -500.0], [1e-3, 1e-3], |b, x| {
        let (scale, shift) = (array(&[2], &[0.0, 0.0]), array(&[2], &[0.01, -0.5]));
        vec![add(b, Op::Affine { scale, shift }, &[x])]
    });
    let answers = answers(false, &[3.0], |b, x| vec![affine(b, x, 0.0, 0.0)]);
    assert!(answers.iter().all(|answer| answer[0] == [0.0]));
}

#[test]
fn arguments_far_beyond_saturation() {
    for f in [Activation::Erf, Activation::Sigmoid, Activation::Tanh] {
        for x in [80_000.0, 3e7] {
            close("saturated", &[1], &[x], [1e-2, 1e-3], |b, x| {
                vec![apply(b, f, x)]
            });
            close("between", &[1], &[x], [1e-2, 1e-3], |b, x| {
                let f0 = Activation::Shrink {
                    lambda: 0.5,
                    bias: 0.0,
                };
                let x = apply(b, f0, x);
                vec![apply(b, f, x)]
            });
        }
    }
}

#[test]
fn small_arguments_of_functions() {
    // What was multiplied by little is no rounding of a difference.
    for (f, x) in [(Activation::Sinh, 2e-10), (Activation::Tanh, 1e-5)] {
        close("scaled", &[1], &[1.0], [0.02, 0.005], |b, one| {
            let shift = array(&[1], &[0.0]);
            let scale = array(&[1], &[x]);
            let y = add(b, Op::Affine { scale, shift }, &[one]);
            vec![apply(b, f, y)]
        });
    }
    close("constant", &[1], &[0.0], [0.02, 0.005], |b, x| {
        let (scale, shift) = (array(&[1], &[0.0]), array(&[1], &[-5.05e-4]));
        let y = add(b, Op::Affine { scale, shift }, &[x]);
        vec![apply(b, Activation::Tanh, y)]
    });
    close("quotient", &[1], &[1.0], [0.02, 0.005], |b, x| {
        let one = apply(b, Activation::Reciprocal, x);
        let little = constant(b, &[2.76e-4]);
        let y = product(b, little, one);
        vec![apply(b, Activation::Tanh, y)]
    });
    // The root of a cube is as large as what was cubed, not as the cube.
    close("root", &[1], &[-600.0], [0.02, 0.005], |b, x| {
        let size = apply(b, Activation::Abs, x);
        let square = product(b, x, x);
        let cube = product(b, square, size);
        let exponent = 1.0 / 3.0;
        let root = apply(b, Activation::Power { exponent }, cube);
        vec![apply(b, Activation::Abs, root)]
    });
}

#[test]
fn equal_cells_have_no_difference() {
    let build = |b: &mut GraphBuilder, x: ValueId| {
        let scale = array(&[3], &[0.999_995, 1.118_027, 1.195_22]);
        let shift = scalar(0.0);
        let y = add(b, Op::Affine { scale, shift }, &[x]);
        let cells = add(b, first(3, 3), &[y]);
        let shown = add(b, Op::Reshape { shape: vec![1, 3] }, &[cells]);
        let other = add(b, Op::Reshape { shape: vec![1, 3] }, &[cells]);
        let difference = add(b, Op::Sub, &[shown, other]);
        vec![apply(b, Activation::Step, difference), shown]
    };
    for answer in answers(false, &[-8.0, -10.0, -20.0], build) {
        assert_eq!(answer[0], [1.0; 3]);
    }
}

#[test]
fn borders_beside_small_cells() {
    let x = [-9e-4, 1e-3, -6e-4];
    close("border", &[3], &x, [0.02, 0.002], |b, x| {
        let pads = vec![(0, 1)];
        let padded = add(b, Op::Pad { pads, value: 1.0 }, &[x]);
        let last = Op::Take {
            indices: vec![3, 1],
            shape: vec![2],
        };
        vec![x, add(b, last, &[padded])]
    });
}

/// A part of a larger input, 0 in calibration, beside a small one.
#[test]
fn small_inputs_keep_their_unit() {
    let mut b = GraphBuilder::new();
    let inputs = [2, 3].map(|n| b.input("x", &[n]).expect("a shape"));
    let last = Op::Map(vec![AxisMap::Matrix(AxisMatrix::select(3, &[2, 2]))]);
    let nothing = add(&mut b, last, &inputs[1..]);
    let sum = add(&mut b, Op::Add, &[inputs[0], nothing]);
    let first = add(&mut b, first(2, 1), &inputs[..1]);
    let outputs = vec![("sum".into(), sum), ("first".into(), first)];
    let graph = b.finish(outputs).expect("valid");
    let sample = vec![array(&[2], &[-5e-4, -1e-3]), array(&[3], &[-1.0, 8.0, 0.0])];
    for profile in PROFILES {
        let errors = errors(&graph, std::slice::from_ref(&sample), profile);
        assert!(errors.iter().all(|&e| e < 0.02), "{profile:?}: {errors:?}");
    }
}

#[test]
fn multipliers_have_room_beside_fine_products() {
    // Products of products in units of 2^-60, and constants of the size of 1 beside them.
    let x = [3e-4, 5e-4];
    close("fine", &[2], &x, [0.02, 0.002], |b, x| {
        let y = product(b, x, x);
        let other = constant(b, &[0.9, -0.8]);
        let most = add(b, Op::Max, &[y, other]);
        let third = constant(b, &[-0.4, 1.0]);
        vec![add(b, Op::Max, &[most, third])]
    });
}

#[test]
fn what_is_divided_by_nothing_is_nothing() {
    let inverse = |exponent| Activation::Inverse { exponent };
    for (exponent, x, y) in [(-0.5, 0.0, 0.0), (-0.5, 4.0, 0.5), (-1.0, -4.0, -0.25)] {
        assert!((inverse(exponent).at(x) - y).abs() < 1e-12, "{x}");
    }
    // Rows of one cell and of very unlike sizes: each is 1, -1 or 0, and none is refused.
    let x = [5e-14, 4e-13, -1e-12, 0.0, -3e-13];
    close("rows", &[5], &x, [1.01, 1.01], |b, x| {
        let size = apply(b, Activation::Abs, x);
        let factor = apply(b, inverse(-1.0), size);
        vec![product(b, x, factor)]
    });
    close(
        "rows",
        &[4],
        &[3.0, -2.0, 0.0, 2.5],
        [0.05, 0.005],
        |b, x| {
            let square = product(b, x, x);
            let factor = apply(b, inverse(-0.5), square);
            vec![product(b, x, factor)]
        },
    );
}

#[test]
fn no_sample_of_the_calibration_is_refused() {
    // Equal numbers but for the rounding of what they were made of, which is felt far beyond the
    // range of their difference.
    for x in [[0.9, 0.9, 0.03, 0.5], [0.7, 0.02, 0.02, 0.9]] {
        close("equal", &[2, 2], &x, [0.2, 0.02], |b, x| {
            let square = product(b, x, x);
            let factor = apply(b, Activation::Inverse { exponent: -0.5 }, square);
            let one = product(b, x, factor);
            let most = add(b, Op::Maximum { axis: 1 }, &[one]);
            let select = AxisMatrix::select(1, &[0, 0]);
            let most = add(
                b,
                Op::Map(vec![AxisMap::Keep, AxisMap::Matrix(select)]),
                &[most],
            );
            let below = add(b, Op::Sub, &[one, most]);
            vec![apply(b, Activation::Exp, below)]
        });
    }
}
