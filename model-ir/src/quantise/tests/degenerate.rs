//! Values that were always 0, that are far smaller than what is beside them, or of which only the
//! sign is asked.

use super::common::{
    add, affine, answers, apply, array, close, constant, exact, first, product, quantize_to, scalar,
};
use crate::float::{Activation, AxisMap, AxisMatrix, GraphBuilder, Op, Ties, ValueId};
use crate::quantise::{Calibration, Error, Options, Profile, quantise};
use ndarray::ArrayD;

/// `x` as a model of 8 bits rounds it.
fn rounded(b: &mut GraphBuilder, x: ValueId, scale: f32) -> ValueId {
    apply(b, quantize_to(scale, -128..=127, Ties::Even), x)
}

fn shifted(b: &mut GraphBuilder, x: ValueId, shift: ArrayD<f32>) -> ValueId {
    let scale = scalar(1.0);
    add(b, Op::Affine { scale, shift }, &[x])
}

#[test]
fn an_input_that_was_always_0_is_compared_with_thresholds_of_all_sizes() {
    let y = &[0.0, 1.0, 0.0, 1.0];
    exact("thresholds", false, (&[0.0; 4], y), |b, x| {
        let sums = shifted(b, x, array(&[4], &[-3.0, 200.0, -0.03, 0.003]));
        apply(b, Activation::Step, sums)
    });
}

#[test]
fn the_fourth_power_of_what_was_always_0_is_below_1() {
    exact("power", false, (&[0.0], &[0.0]), |b, x| {
        let square = product(b, x, x);
        let power = product(b, square, square);
        let less = affine(b, power, 1.0, -1.0);
        apply(b, Activation::Step, less)
    });
}

#[test]
fn integers_are_compared_with_fractions_beside_large_numbers() {
    let (x, y) = (&[0.0, 1.0, -1.0, 0.0], &[0.0, 1.0, 0.0, 1.0]);
    exact("fractions", true, (x, y), |b, x| {
        let sums = shifted(b, x, array(&[4], &[-0.03, -0.97, 0.03, 2e5]));
        apply(b, Activation::Step, sums)
    });
}

#[test]
fn thresholds_far_below_the_step_of_a_value_keep_their_sign() {
    let (x, y) = (&[0.0, 0.0, 1.0, -1.0], &[0.0, 1.0, 1.0, 0.0]);
    exact("thresholds", false, (x, y), |b, x| {
        let rounded = apply(b, Activation::Tanh, x);
        let sums = shifted(b, rounded, array(&[4], &[-1e-4, 1e-4, -0.5, 0.5]));
        apply(b, Activation::Step, sums)
    });
}

#[test]
fn a_function_of_signs_is_exact_at_the_larger() {
    close("sign", &[3], &[2.0, -3.0, 0.5], [1e-3, 1e-4], |b, x| {
        let negative = affine(b, x, -1.0, 0.0);
        let [up, down] = [x, negative].map(|x| apply(b, Activation::Step, x));
        let sign = add(b, Op::Sub, &[up, down]);
        let elu = Activation::Elu {
            alpha: 0.782_786_1,
            beta: 1.0,
            gamma: 1.0,
        };
        let elu = apply(b, elu, sign);
        let clip = Activation::Clip { lo: 1.0, hi: 2.0 };
        let clipped = apply(b, clip, elu);
        vec![apply(b, Activation::Acosh, clipped)]
    });
}

#[test]
fn a_maximum_of_products_is_added_to_itself_with_a_border() {
    close(
        "border",
        &[4],
        &[1.0, 1.0, 0.5, 0.25],
        [0.01, 1e-3],
        |b, x| {
            let squares = product(b, x, x);
            let most = add(b, Op::Maximum { axis: 0 }, &[squares]);
            let spread = add(b, first(1, 4), &[most]);
            let rest = add(b, Op::Sub, &[squares, spread]);
            let best = apply(b, Activation::Step, rest);
            let value = 0.0;
            let pads = vec![(0, 1)];
            let padded = add(b, Op::Pad { pads, value }, &[most]);
            let indices = vec![0];
            let shape = vec![1];
            let taken = add(b, Op::Take { indices, shape }, &[padded]);
            vec![best, add(b, Op::Add, &[most, taken])]
        },
    );
}

#[test]
fn truth_values_beside_a_fraction_are_exact() {
    for answer in answers(false, &[2.0, -1.0], |b, x| {
        let truth = apply(b, Activation::Step, x);
        let (pads, value) = (vec![(1, 1)], -0.2);
        vec![truth, add(b, Op::Pad { pads, value }, &[truth])]
    }) {
        assert_eq!(answer[0], [1.0, 0.0]);
        let close = [-0.2, 1.0, 0.0, -0.2].iter().zip(&answer[1]);
        assert!(
            close.clone().all(|(x, y)| (x - y).abs() < 1e-3),
            "{answer:?}"
        );
    }
}

#[test]
fn terms_of_a_sum_that_is_quantised_keep_their_ratio() {
    for t in [0.1, 0.13, 0.17, 0.22, 0.31] {
        let x = &[std::f32::consts::FRAC_1_SQRT_2, t];
        let integers = answers(false, x, |b, x| {
            let part = |from| {
                let map = AxisMatrix::select(2, &[from]);
                Op::Map(vec![AxisMap::Matrix(map)])
            };
            let [x, t] = [0, 1].map(|from| add(b, part(from), &[x]));
            let square = product(b, x, x);
            let sum = add(b, Op::Add, &[square, t]);
            let quantised = rounded(b, sum, 0.01);
            vec![affine(b, quantised, 100.0, 0.0)]
        });
        for integer in integers {
            assert_eq!(
                integer[0][0].round() as i32,
                ((0.5 + t) * 100.0).round() as i32
            );
        }
    }
}

#[test]
fn what_is_equal_but_for_large_constants_elsewhere_is_equal() {
    let x = &[2e-5, -0.04, 7e-6, 6e-4];
    exact("equal", false, (x, &[1.0, 1.0, 0.0, 1.0]), |b, x| {
        let large = constant(b, &[1.0, -50.0]);
        let both = add(b, Op::Concat { axis: 0 }, &[large, x]);
        let (indices, shape) = (vec![2, 1, 0, 1], vec![4]);
        let taken = add(b, Op::Take { indices, shape }, &[both]);
        let larger = add(b, Op::Max, &[x, taken]);
        let rest = add(b, Op::Sub, &[x, larger]);
        let equal = apply(b, Activation::Step, rest);
        let most = add(b, Op::Maximum { axis: 0 }, &[larger]);
        let spread = add(b, first(1, 4), &[most]);
        let less = add(b, Op::Sub, &[larger, spread]);
        let best = apply(b, Activation::Step, less);
        let zero = affine(b, best, 0.0, 0.0);
        add(b, Op::Add, &[equal, zero])
    });
}

#[test]
fn the_sign_of_a_small_cell_beside_larger_numbers() {
    let x = &[-9e-4, 8e-4, 2e-5, -1e-6];
    exact("sign", false, (x, &[1.0, 0.0, 0.0, 1.0]), |b, x| {
        let negative = affine(b, x, -1.0, 0.0);
        let positive = apply(b, Activation::Step, negative);
        let large = constant(b, &[-0.9, 0.7, 0.5, 0.2]);
        let larger = add(b, Op::Max, &[negative, large]);
        let zero = affine(b, larger, 0.0, 0.0);
        add(b, Op::Add, &[positive, zero])
    });
}

#[test]
fn products_too_small_for_single_precision_are_0() {
    exact("underflow", false, (&[1e-3, 9e-4], &[1.0, 1.0]), |b, x| {
        let power = (0..4).fold(x, |x, _| product(b, x, x));
        let negative = affine(b, power, -1.0, 0.0);
        apply(b, Activation::Step, negative)
    });
}

#[test]
fn scales_that_no_number_has_are_refused_by_the_node() {
    let mut b = GraphBuilder::new();
    let x = b.input("x", &[2]).expect("a shape");
    let y = (0..4).fold(x, |x, _| product(&mut b, x, x));
    let graph = b.finish(vec![("y".into(), y)]).expect("valid");
    let calibration = Calibration::from_samples(vec![vec![array(&[2], &[1e-30, 1e-30])]]);
    for profile in [Profile::Fast, Profile::Accurate] {
        match quantise(&graph, &calibration, &Options::new(profile)) {
            Err(Error::Scale { node, .. }) => assert_eq!(node, "node"),
            Err(other) => panic!("{other}"),
            Ok(model) => {
                let tensor = model.model.graph.outputs[0].tensor;
                let interval = model.model.graph.nodes[tensor.0].interval;
                assert_eq!((interval.lo, interval.hi), (0, 0));
            }
        }
    }
}

#[test]
fn a_maximum_of_small_cells_beside_their_sum_with_1() {
    close("sum", &[1, 1, 2], &[6e-4, 2e-5], [0.1, 0.01], |b, x| {
        let sum = affine(b, x, 1.0, 1.0);
        let joined = add(b, Op::Concat { axis: 2 }, &[x, sum]);
        let most = add(b, Op::Maximum { axis: 2 }, &[x]);
        vec![most, joined]
    });
}

#[test]
fn what_is_no_larger_than_itself_is_equal_to_its_maximum_with_less() {
    for x in [[1.0, 1.0], [0.37, -0.83], [1.7, 0.02]] {
        exact("larger", false, (&x, &[1.0, 1.0]), |b, x| {
            let weight = array(&[2, 2], &[0.7, 0.1, 0.2, 0.9]);
            let (shape, bias) = (vec![1, 2], None);
            let row = add(b, Op::Reshape { shape }, &[x]);
            let layer = add(b, Op::Dense { weight, bias }, &[row]);
            let less = constant(b, &[-3.0, -2.0]);
            let shape = vec![1, 2];
            let less = add(b, Op::Reshape { shape }, &[less]);
            let larger = add(b, Op::Max, &[layer, less]);
            let rest = add(b, Op::Sub, &[layer, larger]);
            let equal = apply(b, Activation::Step, rest);
            let shape = vec![2];
            add(b, Op::Reshape { shape }, &[equal])
        });
    }
}

#[test]
fn biases_beside_large_ones_of_truth_values_are_kept() {
    close("bias", &[2], &[1.0, -1.0], [0.05, 5e-3], |b, x| {
        let truth = apply(b, Activation::Step, x);
        let truth = affine(b, truth, -1.0, 1.0);
        let scale = array(&[2], &[1.0, 0.0]);
        let shift = array(&[2], &[0.3, -19.0]);
        let sum = add(b, Op::Affine { scale, shift }, &[truth]);
        vec![apply(b, Activation::Gelu, sum)]
    });
}

#[test]
fn quantised_integers_are_rounded_down_as_they_are() {
    let scale = 0.073_039_49;
    let x: Vec<f32> = [47.0, 6.0, -1.0, 7.0, -73.0, 27.0]
        .map(|q| q * scale)
        .into();
    let y: Vec<f32> = x.iter().map(|x| x.floor()).collect();
    exact("floor", false, (&x, &y), |b, x| {
        let quantised = rounded(b, x, scale);
        apply(b, Activation::Floor, quantised)
    });
}

#[test]
fn a_bound_between_quantised_integers_is_answered() {
    close("bound", &[2], &[0.0, 0.05], [0.01, 1e-3], |b, x| {
        let quantised = rounded(b, x, 0.005_146);
        let (lo, hi) = (f32::NEG_INFINITY, -0.03);
        vec![apply(b, Activation::Clip { lo, hi }, quantised)]
    });
}

#[test]
fn a_product_of_many_zeros_leaves_room_for_1() {
    exact("zeros", false, (&[0.0; 2], &[1.0, 1.0]), |b, x| {
        let power = (0..5).fold(x, |x, _| product(b, x, x));
        let sum = affine(b, power, 1.0, 1.0);
        let more = affine(b, sum, 1.0, -0.5);
        apply(b, Activation::Step, more)
    });
}
