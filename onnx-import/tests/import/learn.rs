//! Operators of `ai.onnx.ml` that are no trees against what their attributes say, in double precision.

use candle_onnx::onnx::tensor_proto::DataType;

use crate::build::{int, ints, number, numbers, string};
use crate::case::{Case, Cells, cells, combined, fill, row, spread, vector};

#[test]
fn linear_models() {
    let x = spread(&[4, 3]);
    let (weights, shift) = (spread(&[2, 3]), [0.5, -1.5]);
    let dot = |n: usize, k: usize| (0..3).map(|i| x[[n, i]] * weights[[k, i]]).sum::<f64>();
    let list: Vec<f32> = weights.iter().map(|&w| w as f32).collect();
    let case = Case::learned("LinearRegressor").input(DataType::Float, &x);
    let two = case
        .clone()
        .with(numbers("coefficients", &list))
        .with(int("targets", 2));
    two.clone().is(&fill(&[4, 2], |at| dot(at[0], at[1])));
    let two = two.with(numbers("intercepts", &[0.5, -1.5]));
    two.is(&fill(&[4, 2], |at| dot(at[0], at[1]) + shift[at[1]]));
    let one = case
        .clone()
        .with(numbers("coefficients", &list[..3]))
        .with(numbers("intercepts", &[0.25]));
    one.is(&fill(&[4, 1], |at| dot(at[0], 0) + 0.25));
    case.clone()
        .with(numbers("coefficients", &list[..2]))
        .refused("", "");
    case.clone()
        .with(numbers("coefficients", &list))
        .with(int("targets", 4))
        .refused("BadAttribute", "4 rows");
    case.with(numbers("coefficients", &list[..3]))
        .with(string("post_transform", "LOGISTIC"))
        .refused("BadAttribute", "LOGISTIC");

    // Three classes, and two classes between which one score decides.
    let weights = spread(&[3, 3]);
    let list: Vec<f32> = weights.iter().map(|&w| w as f32).collect();
    let score = |n: usize, k: usize| {
        let sum: f64 = (0..3).map(|i| x[[n, i]] * weights[[k, i]]).sum();
        sum + [0.5, -0.5, 1.0][k]
    };
    let case = Case::learned("LinearClassifier")
        .input(DataType::Float, &x)
        .outputs(2);
    let most = fill(&[4], |at| {
        let row: Vec<f64> = (0..3).map(|k| score(at[0], k)).collect();
        let most = row.iter().copied().fold(f64::MIN, f64::max);
        [7.0, 8.0, 5.0][row.iter().position(|&s| s == most).expect("a class")]
    });
    let three = case
        .clone()
        .with(numbers("coefficients", &list))
        .with(numbers("intercepts", &[0.5, -0.5, 1.0]));
    let three = three
        .with(ints("classlabels_ints", &[7, 8, 5]))
        .with(int("multi_class", 1));
    three
        .clone()
        .gives(&[most.clone(), fill(&[4, 3], |at| score(at[0], at[1]))]);
    let logistic = |x: f64| 1.0 / (1.0 + (-x).exp());
    let three = three.with(string("post_transform", "LOGISTIC"));
    three.gives(&[most, fill(&[4, 3], |at| logistic(score(at[0], at[1])))]);
    let two = case
        .clone()
        .with(numbers("coefficients", &list[..3]))
        .with(numbers("intercepts", &[0.5]));
    let two = two
        .with(ints("classlabels_ints", &[4, 9]))
        .with(string("post_transform", "LOGISTIC"));
    let label = fill(&[4], |at| if score(at[0], 0) > 0.0 { 9.0 } else { 4.0 });
    let both = fill(&[4, 2], |at| logistic(score(at[0], 0) * [-1.0, 1.0][at[1]]));
    two.gives(&[label, both]);
    let wrong = case
        .with(numbers("coefficients", &list[..6]))
        .with(numbers("intercepts", &[0.5, 1.0]));
    wrong
        .with(ints("classlabels_ints", &[4, 9, 1]))
        .refused("Shape", "2 rows of coefficients for 3");
}

/// Intercepts that are left out are 0.
#[test]
fn linear_models_without_intercepts() {
    let x = spread(&[3, 2]);
    let score = |n: usize| x[[n, 0]] - 2.0 * x[[n, 1]];
    let case = Case::learned("LinearClassifier")
        .input(DataType::Float, &x)
        .outputs(2);
    let case = case
        .with(numbers("coefficients", &[1.0, -2.0]))
        .with(ints("classlabels_ints", &[0, 1]));
    let case = case.with(string("post_transform", "LOGISTIC"));
    let label = fill(&[3], |at| f64::from(score(at[0]) > 0.0));
    let both = fill(&[3, 2], |at| {
        1.0 / (1.0 + (-score(at[0]) * [-1.0, 1.0][at[1]]).exp())
    });
    case.gives(&[label, both]);
}

/// A kernel's value of two vectors.
fn kernel(kind: &str, a: &[f64], b: &[f64]) -> f64 {
    let dot: f64 = a.iter().zip(b).map(|(a, b)| a * b).sum();
    let distance: f64 = a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum();
    match kind {
        "LINEAR" => dot,
        "POLY" => (0.25 * dot + 0.5).powi(3),
        "RBF" => (-0.25 * distance).exp(),
        _ => (0.25 * dot + 0.5).tanh(),
    }
}

const KERNELS: [&str; 4] = ["LINEAR", "POLY", "RBF", "SIGMOID"];

#[test]
fn support_vectors() {
    let x = spread(&[5, 2]).mapv(|x| x / 2.0);
    let vectors = spread(&[6, 2]).mapv(|x| 0.5 - x / 2.0);
    let listed = |x: &Cells| x.iter().map(|&x| x as f32).collect::<Vec<f32>>();
    for kind in KERNELS {
        let value = |n: usize, s: usize| kernel(kind, &row(&x, n), &row(&vectors, s));
        let parameters = [
            string("kernel_type", kind),
            numbers("kernel_params", &[0.25, 0.5, 3.0]),
            numbers("support_vectors", &listed(&vectors)),
        ];
        let coefficients = spread(&[6]);
        let case = Case::learned("SVMRegressor")
            .input(DataType::Float, &x)
            .all(&parameters)
            .within(1e-4);
        let case = case.with(numbers("coefficients", &listed(&coefficients)));
        let case = case
            .with(numbers("rho", &[0.75]))
            .with(int("n_supports", 6));
        let y = fill(&[5, 1], |at| {
            (0..6)
                .map(|s| coefficients[s] * value(at[0], s))
                .sum::<f64>()
                + 0.75
        });
        case.is(&y);
        let outlier = case.with(int("one_class", 1));
        outlier.is(&y.mapv(|y| if y > 0.0 { 1.0 } else { -1.0 }));

        // Three classes of 1, 2 and 3 vectors: each pair of classes is compared.
        let (owner, pairs) = ([0, 1, 1, 2, 2, 2], [(0, 1), (0, 2), (1, 2)]);
        let (coefficients, rho) = (spread(&[2, 6]), [0.5, -0.25, 0.125]);
        let margin = |n: usize, p: usize| {
            let (i, j) = pairs[p];
            let of = |s: usize| match owner[s] {
                class if class == i => coefficients[[j - 1, s]],
                class if class == j => coefficients[[i, s]],
                _ => 0.0,
            };
            (0..6).map(|s| of(s) * value(n, s)).sum::<f64>() + rho[p]
        };
        let label = fill(&[5], |at| {
            let mut votes = [0; 3];
            for (p, &(i, j)) in pairs.iter().enumerate() {
                votes[if margin(at[0], p) > 0.0 { i } else { j }] += 1;
            }
            let most = votes.iter().max().expect("three classes");
            [6.0, 3.0, 4.0][votes.iter().position(|v| v == most).expect("a class")]
        });
        let case = Case::learned("SVMClassifier")
            .input(DataType::Float, &x)
            .all(&parameters)
            .within(1e-4);
        let case = case
            .with(numbers("coefficients", &listed(&coefficients)))
            .outputs(2);
        let case = case
            .with(numbers("rho", &[0.5, -0.25, 0.125]))
            .with(ints("vectors_per_class", &[1, 2, 3]));
        let case = case.with(ints("classlabels_ints", &[6, 3, 4]));
        case.gives(&[label, fill(&[5, 3], |at| margin(at[0], at[1]))]);
    }
    let case = || {
        Case::learned("SVMRegressor")
            .input(DataType::Float, &x)
            .with(numbers("coefficients", &[1.0, 2.0]))
            .with(numbers("rho", &[1.0]))
    };
    case().is(&fill(&[5, 1], |at| {
        x[[at[0], 0]] + 2.0 * x[[at[0], 1]] + 1.0
    }));
    case()
        .with(string("kernel_type", "COSINE"))
        .refused("BadAttribute", "COSINE");
    case()
        .with(numbers("kernel_params", &[1.0]))
        .refused("BadAttribute", "three numbers");
    case()
        .with(int("n_supports", 3))
        .refused("BadAttribute", "there are 0 vectors");
    case()
        .with(numbers("support_vectors", &[1.0; 3]))
        .refused("BadAttribute", "rows of 2");
    case()
        .with(string("post_transform", "LOGISTIC"))
        .refused("BadAttribute", "NONE");
}

#[test]
fn features_scaled_and_compared() {
    let x = spread(&[3, 2]);
    let case = || Case::learned("Scaler").x(&x);
    case().is(&x);
    case()
        .with(numbers("scale", &[2.0]))
        .with(numbers("offset", &[0.5]))
        .is(&x.mapv(|x| (x - 0.5) * 2.0));
    let each = case()
        .with(numbers("scale", &[2.0, -0.5]))
        .with(numbers("offset", &[0.5, 1.0]));
    each.is(&fill(&[3, 2], |at| {
        (x[at] - [0.5, 1.0][at[1]]) * [2.0, -0.5][at[1]]
    }));
    let mixed = case()
        .with(numbers("scale", &[2.0]))
        .with(numbers("offset", &[0.5, 1.0]));
    mixed.is(&fill(&[3, 2], |at| (x[at] - [0.5, 1.0][at[1]]) * 2.0));
    let whole = Case::learned("Scaler").of(DataType::Int64, &vector(&[1.0, 3.0]));
    whole
        .with(numbers("offset", &[2.0, 2.0]))
        .with(numbers("scale", &[0.5, 0.5]))
        .is(&vector(&[-0.5, 0.5]));
    case().with(numbers("scale", &[1.0; 3])).refused("", "");
    case()
        .with(numbers("scale", &[1.0; 2]))
        .with(numbers("offset", &[1.0; 3]))
        .refused("BadAttribute", "offset");
    case()
        .with(numbers("scale", &[f32::NAN]))
        .refused("NonFinite", "NaN");
    for threshold in [0.0, 0.4375, -3.0] {
        let case = Case::learned("Binarizer")
            .x(&x)
            .with(number("threshold", threshold));
        case.is(&x.mapv(|x| f64::from(x > f64::from(threshold))));
    }
    Case::learned("Binarizer")
        .x(&x)
        .is(&x.mapv(|x| f64::from(x > 0.0)));
    let nan = Case::learned("Binarizer")
        .x(&x)
        .with(number("threshold", f32::NAN));
    nan.refused("BadAttribute", "NaN");
}

#[test]
fn missing_numbers_are_replaced() {
    let x = cells(&[3, 2], &[0.0, 1.0, -1.0, 0.0, 2.5, -1.0]);
    let case = |values: &[f32]| {
        Case::learned("Imputer")
            .x(&x)
            .with(numbers("imputed_value_floats", values))
    };
    let replaced = |missing: f64, values: [f64; 2]| {
        fill(&[3, 2], |at| {
            if x[at] == missing {
                values[at[1]]
            } else {
                x[at]
            }
        })
    };
    case(&[9.0]).is(&replaced(0.0, [9.0, 9.0]));
    case(&[9.0, 7.5])
        .with(number("replaced_value_float", -1.0))
        .is(&replaced(-1.0, [9.0, 7.5]));
    let whole = cells(&[2, 2], &[0.0, 4.0, 5.0, 0.0]);
    let integers = Case::learned("Imputer")
        .of(DataType::Int64, &whole)
        .with(ints("imputed_value_int64s", &[8, 3]));
    integers.clone().is(&cells(&[2, 2], &[8.0, 4.0, 5.0, 3.0]));
    integers
        .with(int("replaced_value_int64", 5))
        .is(&cells(&[2, 2], &[0.0, 4.0, 8.0, 0.0]));
    // No input is NaN.
    case(&[9.0])
        .with(number("replaced_value_float", f32::NAN))
        .is(&x);
    case(&[1.0, 2.0, 3.0]).refused("", "");
    Case::learned("Imputer")
        .x(&x)
        .refused("", "imputed_value_floats");
}

#[test]
fn categories_and_labels() {
    let x = vector(&[3.0, 5.0, 1.0, 4.0]);
    let one_hot = fill(&[4, 3], |at| f64::from(x[at[0]] == [1.0, 5.0, 3.0][at[1]]));
    let case = |x: Case| x.with(ints("cats_int64s", &[1, 5, 3]));
    case(Case::learned("OneHotEncoder").of(DataType::Int64, &x)).is(&one_hot);
    case(Case::learned("OneHotEncoder").x(&x)).is(&one_hot);
    let pairs = cells(&[2, 2], &[3.0, 5.0, 1.0, 4.0]);
    let cube = one_hot
        .to_shape(vec![2, 2, 3])
        .expect("as many cells")
        .to_owned();
    case(Case::learned("OneHotEncoder").of(DataType::Int64, &pairs)).is(&cube);
    let twice = Case::learned("OneHotEncoder")
        .of(DataType::Int64, &x)
        .with(ints("cats_int64s", &[1, 1]));
    twice.refused("UnsupportedOperator", "different integers");

    let case = || {
        Case::learned("LabelEncoder")
            .of(DataType::Int64, &x)
            .with(ints("keys_int64s", &[5, 3]))
    };
    let label = |five: f64, three: f64, other: f64| vector(&[three, five, other, other]);
    case()
        .with(numbers("values_floats", &[0.5, -2.0]))
        .is(&label(0.5, -2.0, 0.0));
    let other = case()
        .with(numbers("values_floats", &[0.5, -2.0]))
        .with(number("default_float", 9.5));
    other.is(&label(0.5, -2.0, 9.5));
    case()
        .with(ints("values_int64s", &[10, 20]))
        .is(&label(10.0, 20.0, -1.0));
    case()
        .with(ints("values_int64s", &[10, 20]))
        .with(int("default_int64", 7))
        .is(&label(10.0, 20.0, 7.0));
    case().refused("UnsupportedOperator", "not numbers");
    case()
        .with(ints("values_int64s", &[10]))
        .refused("BadAttribute", "differs in length");
    let real = Case::learned("LabelEncoder")
        .x(&x)
        .with(ints("keys_int64s", &[5]))
        .with(ints("values_int64s", &[1]));
    real.refused("UnsupportedOperator", "not integers");
}

#[test]
fn columns_of_features() {
    let (a, b, c) = (
        spread(&[2, 3]),
        spread(&[2, 1]),
        spread(&[2, 2]).mapv(|x| x * x),
    );
    let y = fill(&[2, 6], |at| match at[1] {
        i @ 0..3 => a[[at[0], i]],
        3 => b[[at[0], 0]],
        i => c[[at[0], i - 4]],
    });
    let case = || Case::learned("FeatureVectorizer").x(&a).x(&b).x(&c);
    case().is(&y);
    case().with(ints("inputdimensions", &[3, 1, 2])).is(&y);
    case()
        .with(ints("inputdimensions", &[3, 2, 1]))
        .refused("BadAttribute", "input 1 has 1");
    let picked = Case::learned("ArrayFeatureExtractor").x(&a).list(&[2, 0]);
    picked.is(&fill(&[2, 2], |at| a[[at[0], [2, 0][at[1]]]]));
    let line = Case::learned("ArrayFeatureExtractor")
        .x(&vector(&[4.0, 5.0, 6.0]))
        .list(&[1]);
    line.is(&cells(&[1, 1], &[5.0]));
    let index = vector(&[1.0, 2.0]);
    let moving = Case::learned("ArrayFeatureExtractor")
        .input(DataType::Float, &a)
        .input(DataType::Int64, &index);
    moving.is(&fill(&[2, 2], |at| a[[at[0], 1 + at[1]]]));
    Case::learned("ArrayFeatureExtractor")
        .x(&a)
        .list(&[3])
        .refused("", "index 3");
    let map = Case::learned("ZipMap")
        .x(&a)
        .with(ints("classlabels_int64s", &[4, 5, 6]));
    map.is(&a);
    let sizes = combined(&a, &cells(&[2, 1], &[0.0, 0.0]), |a, _| a.abs());
    let largest = fill(&[2, 1], |at| (0..3).map(|j| sizes[[at[0], j]]).sum());
    let shares = combined(&a, &largest, |a, sum| a / sum);
    Case::learned("Normalizer")
        .x(&a)
        .with(string("norm", "L1"))
        .is(&shares);
    Case::learned("Normalizer")
        .x(&a)
        .with(string("norm", "L3"))
        .refused("BadAttribute", "L3");
}
