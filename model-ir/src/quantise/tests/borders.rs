//! Where a function jumps or ends: whole numbers, and what is compared with its own parts.

use super::common::{add, affine, answers, apply, array, close, constant, exact, product};
use crate::float::{Activation, AxisMap, AxisMatrix, GraphBuilder, Op, ValueId};

/// `[a >= b]`
fn at_least(b: &mut GraphBuilder, a: ValueId, other: ValueId) -> ValueId {
    let over = add(b, Op::Sub, &[a, other]);
    apply(b, Activation::Step, over)
}

/// `x / sqrt(mean x^2)`, as normalisations have it: a product that is rounded.
fn normalised(b: &mut GraphBuilder, x: ValueId) -> ValueId {
    let square = product(b, x, x);
    let root = apply(b, Activation::Power { exponent: -0.5 }, square);
    product(b, x, root)
}

#[test]
fn functions_that_end_at_one_are_exact_there() {
    exact("acos", false, (&[0.2, 0.7], &[0.0, 0.0]), |b, x| {
        let one = constant(b, &[1.0, 1.0]);
        let most = add(b, Op::Max, &[x, one]);
        apply(b, Activation::Acos, most)
    });
    exact("acosh", false, (&[0.3], &[0.0]), |b, x| {
        let less = at_least(b, x, x);
        let none = affine(b, less, -1.0, 1.0);
        let one = apply(b, Activation::Exp, none);
        apply(b, Activation::Acosh, one)
    });
}

#[test]
fn nothing_is_less_than_the_integer_below_it() {
    // What is multiplied and scaled lies just below and above whole numbers.
    let cells: Vec<f32> = (1..60).map(|i| i as f32 * 0.37 - 9.0).collect();
    let ones = vec![1.0; cells.len()];
    exact("floor", false, (&cells, &ones), |b, x| {
        let unit = normalised(b, x);
        let scales: Vec<f32> = (1..60).map(|i| i as f32 * 0.9999 - 20.0).collect();
        let op = Op::Affine {
            scale: array(&[59], &scales),
            shift: array(&[1], &[0.0]),
        };
        let y = add(b, op, &[unit]);
        let below = apply(b, Activation::Floor, y);
        at_least(b, y, below)
    });
}

#[test]
fn what_is_above_an_integer_by_little_has_the_next_one_above() {
    exact("ceil", false, (&[0.0, 0.0], &[1.0, 1.0]), |b, x| {
        let mut normalised = |x: ValueId| {
            let square = product(b, x, x);
            let square = affine(b, square, 0.5, 1e-5);
            let root = apply(b, Activation::Power { exponent: -0.5 }, square);
            product(b, x, root)
        };
        let once = normalised(x);
        let twice = normalised(once);
        let op = Op::Affine {
            scale: array(&[2], &[1.0; 2]),
            shift: array(&[2], &[0.02, 0.04]),
        };
        let small = add(b, op, &[twice]);
        apply(b, Activation::Ceil, small)
    });
}

#[test]
fn a_maximum_of_unlike_sizes_is_one_of_its_operands() {
    let part = |from: usize, to: usize| {
        let cells: Vec<usize> = (from..to).cycle().take(5).collect();
        Op::Map(vec![AxisMap::Matrix(AxisMatrix::select(6, &cells))])
    };
    let shifts = Op::Affine {
        scale: array(&[5], &[1.0; 5]),
        shift: array(&[5], &[0.0, 0.0, 0.0, -100.0, 80.0]),
    };
    let cells = [0.0, 2.111_099_5, -0.43, 0.9, 0.902_052, 2.0];
    let largest = [0.0, 1.0, 0.0, 0.0, 1.0];
    exact("max", false, (&cells, &largest), |b, x| {
        let [y, two] = [(0, 5), (5, 6)].map(|(from, to)| add(b, part(from, to), &[x]));
        let y = add(b, shifts.clone(), &[y]);
        let most = add(b, Op::Max, &[y, two]);
        at_least(b, y, most)
    });
}

#[test]
fn remainders_of_layers_beside_products_stay_below_the_divisor() {
    close("mod", &[2], &[-0.0004, 0.0003], [0.05, 0.01], |b, x| {
        let op = Op::Affine {
            scale: array(&[2], &[-1.897_366_6, 0.003_535_525]),
            shift: array(&[2], &[2.897_366_5, 0.996_464_5]),
        };
        let y = add(b, op, &[x]);
        let quotient = affine(b, y, 1.0 / 0.7, 0.0);
        let whole = apply(b, Activation::Floor, quotient);
        let whole = affine(b, whole, 0.7, 0.0);
        vec![add(b, Op::Sub, &[y, whole]), product(b, y, y), y]
    });
}

#[test]
fn functions_of_rounded_numbers_reach_the_next_integer() {
    // Of 1.000008 neither profile need know that it is above 1, but both that `x / x` is 1.
    for answer in answers(false, &[0.004], |b, x| {
        let above = apply(b, Activation::Cosh, x);
        let above = apply(b, Activation::Ceil, above);
        let inverse = apply(b, Activation::Reciprocal, above);
        vec![product(b, above, inverse)]
    }) {
        assert!((answer[0][0] - 1.0).abs() < 0.01, "{answer:?}");
    }
}

#[test]
fn constants_that_leave_the_model_say_nothing_of_others() {
    for answer in answers(false, &[0.0; 3], |b, x| {
        let large = constant(b, &[1.2e11]);
        let some = apply(b, Activation::ThresholdedRelu { alpha: 1.0 }, x);
        let over = affine(b, some, 1.0, -1.0);
        vec![apply(b, Activation::Step, over), some, large]
    }) {
        assert_eq!(answer[0], [0.0; 3]);
    }
}

#[test]
fn thresholds_far_from_an_input_leave_its_layers_their_bits() {
    let cells = [-0.41, 0.99, 0.0019, -0.0021];
    let thresholds = array(&[4], &[50.0, -50.0, 0.0, 0.0]);
    let op = Op::Affine {
        scale: array(&[4], &[1.0; 4]),
        shift: thresholds,
    };
    close("layer", &[4], &cells, [0.02, 2e-3], |b, x| {
        let over = add(b, op.clone(), &[x]);
        let weight = array(&[4, 2], &[0.8, -0.1, 0.1, 0.1, -1.8, -0.9, 1.9, -1.3]);
        let dense = add(b, Op::Dense { weight, bias: None }, &[x]);
        vec![apply(b, Activation::Step, over), dense]
    });
}

#[test]
fn layers_that_are_added_have_weights_fine_enough_each() {
    // One reads integers, the other small steps.
    close("sum", &[4], &[1.0, 1.0, 0.0, 0.0], [0.02, 2e-3], |b, x| {
        let part = |from: usize| {
            let cells = [from, from + 1];
            Op::Map(vec![AxisMap::Matrix(AxisMatrix::select(4, &cells))])
        };
        let row = |b: &mut GraphBuilder, x: ValueId| {
            let shape = vec![1, 2];
            add(b, Op::Reshape { shape }, &[x])
        };
        let [left, right] = [0, 2].map(|from| add(b, part(from), &[x]));
        let (left, right) = (row(b, left), row(b, right));
        let weight = array(&[2, 2], &[1.0, 1.0, 1.0, 1.0]);
        let left = add(b, Op::Dense { weight, bias: None }, &[left]);
        let right = apply(b, Activation::Ceil, right);
        let weight = array(&[2, 2], &[-0.3, -0.2, 0.7, 0.2]);
        let right = add(b, Op::Dense { weight, bias: None }, &[right]);
        vec![add(b, Op::Sub, &[right, left])]
    });
}

#[test]
fn integers_that_are_shrunk_are_integers() {
    let cells = [70.0, -3.0, 1.0, 0.0];
    let shrink = Activation::Shrink {
        lambda: 1.5,
        bias: 2.0,
    };
    exact("shrink", true, (&cells, &[68.0, -1.0, 0.0, 0.0]), |b, x| {
        let y = apply(b, shrink, x);
        apply(b, Activation::Truncate, y)
    });
    let threshold = Activation::ThresholdedRelu { alpha: 1.0 };
    exact(
        "threshold",
        true,
        (&cells, &[70.0, 0.0, 0.0, 0.0]),
        |b, x| {
            let y = apply(b, threshold, x);
            let sum = add(b, Op::Add, &[y, x]);
            let rest = add(b, Op::Sub, &[sum, x]);
            apply(b, Activation::Truncate, rest)
        },
    );
}

#[test]
fn the_largest_constant_is_where_it_is() {
    let scores = [-9.838_146, -19.328_136, -1.176_832_6];
    exact("position", false, (&[0.0; 3], &[0.0, 0.0, 1.0]), |b, x| {
        let constants = constant(b, &scores);
        let square = add(b, Op::Reshape { shape: vec![1, 3] }, &[constants]);
        let most = add(b, Op::Maximum { axis: 1 }, &[square]);
        let all = AxisMap::Matrix(AxisMatrix::select(1, &[0; 3]));
        let most = add(b, Op::Map(vec![AxisMap::Keep, all]), &[most]);
        let largest = at_least(b, square, most);
        let largest = add(b, Op::Reshape { shape: vec![3] }, &[largest]);
        let none = affine(b, x, 0.0, 0.0);
        add(b, Op::Add, &[largest, none])
    });
}

#[test]
fn a_value_is_no_more_than_the_larger_of_it_and_its_square() {
    exact("square", false, (&[8e-4, 5e-4], &[1.0, 1.0]), |b, x| {
        let square = product(b, x, x);
        let most = add(b, Op::Max, &[x, square]);
        at_least(b, most, x)
    });
}

#[test]
fn slopes_above_one_are_not_cut_off() {
    let slopes = Op::Affine {
        scale: array(&[2], &[20.0, -5.0]),
        shift: array(&[1], &[0.0]),
    };
    close("slope", &[2], &[0.0, -1.0], [0.02, 2e-3], |b, x| {
        let above = apply(b, Activation::Relu, x);
        let below = affine(b, x, -1.0, 0.0);
        let below = apply(b, Activation::Relu, below);
        let below = add(b, slopes.clone(), &[below]);
        let y = add(b, Op::Add, &[above, below]);
        // Where a condition chooses between equal values.
        let never = product(b, above, above);
        let never = product(b, never, below);
        vec![add(b, Op::Add, &[never, y])]
    });
}

#[test]
fn layers_of_fine_inputs_and_of_integers_are_added_in_a_unit_of_their_own() {
    let cells = [4.0, 3.0, 4.0, 3.0, 2.0, 4.0, 2.0];
    close("sum", &[1, 7], &cells, [0.02, 2e-3], |b, x| {
        let small = array(
            &[7, 1],
            &[-0.005, -0.006, -0.005, -0.002, -0.007, -0.007, -0.008],
        );
        let small = Op::Dense {
            weight: small,
            bias: None,
        };
        let left = add(b, small, &[x]);
        let inverse = apply(b, Activation::Reciprocal, x);
        let whole = apply(b, Activation::Ceil, inverse);
        let weight = array(&[7, 1], &[-0.3, 0.7, 0.08, -0.2, -0.6, -0.6, -0.5]);
        let right = add(b, Op::Dense { weight, bias: None }, &[whole]);
        let larger = add(b, Op::Max, &[x, inverse]);
        vec![add(b, Op::Sub, &[right, left]), at_least(b, larger, x)]
    });
}
