//! Values beside far larger ones, and what is compared with itself or with integers.

use super::common::{PROFILES, add, apply, array, close, constant, errors};
use crate::float::{Activation, AxisMap, AxisMatrix, Contract, GraphBuilder, Op, Ties, ValueId};
use ndarray::{ArrayD, IxDyn};

fn clip(b: &mut GraphBuilder, x: ValueId, lo: f32, hi: f32) -> ValueId {
    apply(b, Activation::Clip { lo, hi }, x)
}

fn affine(b: &mut GraphBuilder, x: ValueId, scale: f32, shift: f32) -> ValueId {
    let [scale, shift] = [scale, shift].map(|t| ArrayD::from_elem(IxDyn(&[]), t));
    add(b, Op::Affine { scale, shift }, &[x])
}

/// `[a >= b]`
fn at_least(b: &mut GraphBuilder, a: ValueId, other: ValueId) -> ValueId {
    let over = add(b, Op::Sub, &[a, other]);
    apply(b, Activation::Step, over)
}

#[test]
fn bounds_far_from_a_value_leave_it_its_bits() {
    let infinity = f32::INFINITY;
    close("above", &[2], &[-4e-4, 2e-4], [0.01, 1e-3], |b, x| {
        vec![clip(b, x, 1.0, infinity), apply(b, Activation::Relu, x)]
    });
    close("below", &[1], &[8e-4], [0.01, 1e-3], |b, x| {
        vec![clip(b, x, -infinity, -0.1), clip(b, x, 0.0, 3.177e-4)]
    });
    let leaky = Activation::LeakyRelu { alpha: 0.01 };
    close("of nothing", &[1], &[-0.2], [0.02, 2e-3], |b, x| {
        let rest = apply(b, Activation::Relu, x);
        let bounded = clip(b, rest, -1e-3, -4e-4);
        vec![apply(b, leaky, bounded)]
    });
}

#[test]
fn inputs_beside_far_larger_numbers_keep_their_signs() {
    let x = [0.2, -0.9, 0.7, -0.01, 0.01, 0.8];
    close("sign", &[6], &x, [0.02, 5e-3], |b, x| {
        let op = Op::Affine {
            scale: array(&[6], &[1.0, -50.0, 0.0, 1.0, -50.0, 0.0]),
            shift: ArrayD::zeros(IxDyn(&[])),
        };
        let large = add(b, op, &[x]);
        let small = affine(b, x, 0.09, 0.0);
        let joined = add(b, Op::Concat { axis: 0 }, &[small, large]);
        let minus = affine(b, x, -1.0, 0.0);
        let signs = [x, minus].map(|x| apply(b, Activation::Step, x));
        vec![joined, signs[0], signs[1]]
    });
}

#[test]
fn thresholds_far_from_a_value_leave_it_its_bits() {
    close("input", &[2], &[5e-4, 7e-4], [0.01, 1e-3], |b, x| {
        let one = constant(b, &[1.0, 1.0]);
        vec![at_least(b, one, x), add(b, Op::Add, &[x, x])]
    });
    close("zero", &[2], &[5e-4, 7e-4], [0.1, 2e-3], |b, x| {
        let zero = clip(b, x, 0.0, 0.0);
        let sigmoid = apply(b, Activation::Sigmoid, zero);
        let less = at_least(b, zero, sigmoid);
        let over = add(b, Op::Sub, &[zero, x]);
        let product = Op::Contract(Contract::elementwise(1));
        let chosen = add(b, product, &[less, over]);
        vec![add(b, Op::Add, &[chosen, x])]
    });
}

#[test]
fn a_layer_that_others_read_is_no_coarser_for_what_it_is_joined_to() {
    let layer = |b: &mut GraphBuilder, x| {
        let op = Op::Affine {
            scale: array(&[2], &[0.008, -0.009]),
            shift: array(&[2], &[0.0, 0.0]),
        };
        add(b, op, &[x])
    };
    let dense = || Op::Dense {
        weight: ArrayD::from_elem(IxDyn(&[2, 3]), 1.0),
        bias: None,
    };
    close("maximum", &[2], &[1.0, -1.0], [0.02, 2e-3], |b, x| {
        let x = layer(b, x);
        let bounds = constant(b, &[-1.0, 68.0]);
        let minus = affine(b, x, -1.0, 0.0);
        vec![add(b, Op::Max, &[minus, bounds]), add(b, dense(), &[x])]
    });
    close("difference", &[2], &[1.0, -1.0], [0.02, 2e-3], |b, x| {
        let x = layer(b, x);
        let tens = constant(b, &[10.0, -40.0]);
        let tens = apply(b, Activation::Relu, tens);
        vec![add(b, Op::Sub, &[tens, x]), add(b, dense(), &[x])]
    });
}

#[test]
fn what_is_compared_with_a_part_of_itself_keeps_its_range() {
    close("twice", &[1], &[-2.0], [0.02, 1e-3], |b, x| {
        let sum = add(b, Op::Add, &[x, x]);
        let part = apply(b, Activation::Relu, sum);
        let whole = add(b, Op::Add, &[part, sum]);
        vec![whole, apply(b, Activation::Step, whole)]
    });
}

#[test]
fn a_value_reaches_its_maxima_with_constants() {
    let sevenths: Vec<f32> = (1..=20).map(|i| i as f32 / 7.0).collect();
    close("input", &[20], &sevenths, [0.0, 0.0], |b, x| {
        let small = constant(b, &[0.0037; 20]);
        let large: Vec<f32> = (0..20)
            .map(|i| if i % 2 == 0 { 20.0 } else { -7.0 })
            .collect();
        let large = constant(b, &large);
        let most = add(b, Op::Max, &[x, small]);
        let most = add(b, Op::Max, &[most, large]);
        vec![at_least(b, x, most)]
    });
    for c in [-3.6917, -1e-3, 0.7] {
        close(
            "layer",
            &[1, 3],
            &[70.0, -80.0, -90.0],
            [0.0, 0.0],
            |b, x| {
                let weight = array(&[3, 1], &[6.0, -30.0, -100.0]);
                let x = add(b, Op::Dense { weight, bias: None }, &[x]);
                let x = add(b, Op::Reshape { shape: vec![1] }, &[x]);
                let [zero, other] = [0.0, c].map(|c| constant(b, &[c]));
                let most = add(b, Op::Max, &[x, zero]);
                let most = add(b, Op::Max, &[most, other]);
                vec![at_least(b, x, most)]
            },
        );
    }
}

#[test]
fn integers_beside_real_numbers_are_exact() {
    let x = [1.0, 3.0, 2.0, 0.0, 3.0];
    let slopes = [0.294_655, 0.041_582, -0.028_562, -0.184_544, 0.77];
    for k in 0..24 {
        let mut b = GraphBuilder::new();
        let input = b.integral_input("x", &[5]).expect("a shape");
        let minus = affine(&mut b, input, -1.0, 0.0);
        let [above, below] = [input, minus].map(|x| apply(&mut b, Activation::Relu, x));
        let op = Op::Affine {
            scale: array(&[5], &slopes.map(|s| -s - k as f32 * 0.0173)),
            shift: array(&[5], &[0.0; 5]),
        };
        let below = add(&mut b, op, &[below]);
        let sum = add(&mut b, Op::Add, &[above, below]);
        let whole = apply(&mut b, Activation::Truncate, sum);
        let graph = b.finish(vec![("y".into(), whole)]).expect("valid");
        for profile in PROFILES {
            let errors = errors(&graph, &[vec![array(&[5], &x)]], profile);
            assert!(errors[0] <= 0.0, "{k}, {profile:?}: {errors:?}");
        }
    }
}

#[test]
fn sums_of_integers_are_compared_with_integers_as_in_float() {
    for largest in [50.0, 70.0, 31.0, 23.0] {
        let mut b = GraphBuilder::new();
        let input = b.integral_input("x", &[1, 4]).expect("a shape");
        let weight = array(&[4, 1], &[1.0, -largest, 0.01, 1.0]);
        let sum = add(&mut b, Op::Dense { weight, bias: None }, &[input]);
        let axes = vec![
            AxisMap::Keep,
            AxisMap::Matrix(AxisMatrix::select(1, &[0; 4])),
        ];
        let sum = add(&mut b, Op::Map(axes), &[sum]);
        let [above, below] = [(input, sum), (sum, input)].map(|(x, y)| at_least(&mut b, x, y));
        let outputs = vec![("a".into(), above), ("b".into(), below)];
        let graph = b.finish(outputs).expect("valid");
        let x = array(&[1, 4], &[0.0, 0.0, 0.0, 1.0]);
        for profile in PROFILES {
            let errors = errors(&graph, &[vec![x.clone()]], profile);
            assert!(errors.iter().all(|&e| e <= 0.0), "{profile:?}: {errors:?}");
        }
    }
}

#[test]
fn what_is_compared_with_zero_has_more_bits() {
    let elu = Activation::Elu {
        alpha: 1.0,
        beta: 1.0,
        gamma: 1.0,
    };
    let x = [0.05, 3e-4, -3e-4, 0.0, -0.03, 9e-4];
    close("sum", &[6], &x, [0.0, 0.0], |b, x| {
        let x = apply(b, elu, x);
        let sum = add(b, Op::Add, &[x, x]);
        vec![apply(b, Activation::IsZero, sum)]
    });
}

#[test]
fn multiples_of_what_leaves_the_model_are_as_fine_as_it() {
    close("sigmoid", &[1], &[-10.0], [0.01, 0.01], |b, x| {
        let x = apply(b, Activation::Sigmoid, x);
        vec![affine(b, x, 10.0, 0.0)]
    });
}

#[test]
fn curves_are_not_bent_at_a_pole() {
    let mut b = GraphBuilder::new();
    let x = b.input("x", &[2]).expect("a shape");
    let map = |matrix| Op::Map(vec![AxisMap::Matrix(matrix)]);
    let mean = add(&mut b, map(AxisMatrix::sum(2, 2)), &[x]);
    let mean = add(&mut b, map(AxisMatrix::select(1, &[0, 0])), &[mean]);
    let x = add(&mut b, Op::Sub, &[x, mean]);
    let dot = Contract {
        left: vec![0],
        right: vec![0],
        output: vec![],
    };
    let squares = add(&mut b, Op::Contract(dot), &[x, x]);
    let variance = affine(&mut b, squares, 0.5, 1e-5);
    let factor = apply(&mut b, Activation::Power { exponent: -0.5 }, variance);
    let scaled = Contract {
        left: vec![0],
        right: vec![],
        output: vec![0],
    };
    let y = add(&mut b, Op::Contract(scaled), &[x, factor]);
    let graph = b.finish(vec![("y".into(), y)]).expect("valid");
    let samples = [[1070.0, 2049.0], [0.0, 0.0], [3051.0, 1669.0]];
    let samples = samples.map(|x| vec![array(&[2], &x)]);
    for profile in PROFILES {
        let errors = errors(&graph, &samples, profile);
        // In steps for the row of zeros the factors of others may be 0, but no more than they are.
        assert!(errors[0] < 0.6, "{profile:?}: {errors:?}");
    }
}

#[test]
fn a_sum_is_no_coarser_for_being_compared() {
    let mut b = GraphBuilder::new();
    let [x, y] = ["x", "y"].map(|name| b.input(name, &[1]).expect("a shape"));
    let sum = add(&mut b, Op::Add, &[x, x]);
    let most = add(&mut b, Op::Max, &[sum, y]);
    let atanh = apply(&mut b, Activation::Atanh, y);
    let outputs = [most, atanh].map(|v| (format!("{v:?}"), v)).to_vec();
    let graph = b.finish(outputs).expect("valid");
    let samples = [vec![array(&[1], &[1.0]), array(&[1], &[-6e-4])]];
    for profile in PROFILES {
        let errors = errors(&graph, &samples, profile);
        assert!(errors.iter().all(|&e| e < 0.01), "{profile:?}: {errors:?}");
    }
}

#[test]
fn slopes_leave_integers_whose_scale_is_prescribed() {
    let quantize = Activation::Quantize {
        scale: 0.01,
        lo: -128,
        hi: 127,
        ties: Ties::Even,
    };
    close("leaky", &[2], &[-1.1, 0.7], [0.02, 2e-3], |b, x| {
        let x = apply(b, quantize, x);
        let x = clip(b, x, -1.28, 0.0);
        vec![apply(b, Activation::LeakyRelu { alpha: 0.01 }, x)]
    });
}

#[test]
fn weights_of_unlike_sizes_beside_integers_are_kept() {
    let mut b = GraphBuilder::new();
    let x = b.integral_input("x", &[2]).expect("a shape");
    let part = apply(&mut b, Activation::Relu, x);
    let minus = affine(&mut b, x, -1.0, 0.0);
    let op = Op::Affine {
        scale: array(&[2], &[-0.009, -0.002]),
        shift: array(&[2], &[0.0; 2]),
    };
    let rest = apply(&mut b, Activation::Relu, minus);
    let rest = add(&mut b, op, &[rest]);
    let sum = add(&mut b, Op::Add, &[part, rest]);
    let graph = b.finish(vec![("y".into(), sum)]).expect("valid");
    for profile in PROFILES {
        let errors = errors(&graph, &[vec![array(&[2], &[-1.0, -1.0])]], profile);
        assert!(errors[0] < 1e-3, "{profile:?}: {errors:?}");
    }
}
