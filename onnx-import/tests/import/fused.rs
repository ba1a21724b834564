//! What onnxruntime joins, against the sums and products that it stands for.

use candle_onnx::onnx::AttributeProto;
use candle_onnx::onnx::tensor_proto::DataType;

use crate::build::{int, ints, number, numbers, string};
use crate::case::{Case, Cells, cells, combined, fill, spread, vector};

/// Products of the last two axes, of equal batches.
fn product(a: &Cells, b: &Cells) -> Cells {
    let rank = a.ndim();
    let (m, k, n) = (
        a.shape()[rank - 2],
        a.shape()[rank - 1],
        b.shape()[rank - 1],
    );
    let outer = &a.shape()[..rank - 2];
    fill(&[outer, &[m, n]].concat(), |at| {
        let (outer, [i, j]) = at.split_last_chunk::<2>().expect("two axes");
        let cell = |x: &Cells, i: usize, j: usize| x[&*[outer, &[i, j]].concat()];
        (0..k).map(|l| cell(a, *i, l) * cell(b, l, *j)).sum()
    })
}

/// The last two axes exchanged.
fn turned(x: &Cells) -> Cells {
    let mut y = x.clone();
    y.swap_axes(x.ndim() - 2, x.ndim() - 1);
    y.as_standard_layout().to_owned()
}

/// A function's name and parameters, and its formula.
type Function = (&'static str, &'static [f32], fn(f64) -> f64);

const FUNCTIONS: [Function; 7] = [
    ("Relu", &[], |x| x.max(0.0)),
    ("Tanh", &[], f64::tanh),
    ("Sigmoid", &[], |x| 1.0 / (1.0 + (-x).exp())),
    ("LeakyRelu", &[0.25], |x| if x < 0.0 { 0.25 * x } else { x }),
    ("Clip", &[-0.5, 1.5], |x| x.clamp(-0.5, 1.5)),
    ("HardSigmoid", &[0.25, 0.125], |x| {
        (0.25 * x + 0.125).clamp(0.0, 1.0)
    }),
    (
        "Elu",
        &[0.5],
        |x| if x < 0.0 { 0.5 * x.exp_m1() } else { x },
    ),
];

#[test]
fn products_with_a_function() {
    let (a, b, c) = (
        spread(&[2, 3]),
        spread(&[3, 2]).mapv(|x| 0.25 * x),
        vector(&[0.5, -1.0]),
    );
    let sum = combined(&product(&a, &b), &c, |p, c| 0.5 * p + 2.0 * c);
    for (name, parameters, f) in FUNCTIONS {
        let case = Case::microsoft("FusedGemm").x(&a).x(&b).x(&c);
        let case = case.with(number("alpha", 0.5)).with(number("beta", 2.0));
        let case = case.with(string("activation", name));
        let singles = ["activation_alpha", "activation_beta"]
            .into_iter()
            .zip(parameters);
        let singles: Vec<AttributeProto> = singles.map(|(name, &x)| number(name, x)).collect();
        if name != "Clip" {
            case.clone().all(&singles).is(&sum.mapv(f));
        }
        case.with(numbers("activation_params", parameters))
            .is(&sum.mapv(f));
    }
    let (x, w, z) = (
        spread(&[1, 2, 4]),
        spread(&[3, 2, 2]).mapv(|x| 0.5 * x),
        spread(&[1, 3, 3]),
    );
    let conv = fill(&[1, 3, 3], |at| {
        let tap = |i: usize| x[[0, i / 2, at[2] + i % 2]] * w[[at[1], i / 2, i % 2]];
        (0..4).map(tap).sum()
    });
    let bias = [1.0, -0.5, 2.0];
    let biased = fill(&[1, 3, 3], |at| conv[at] + bias[at[1]]);
    for (name, parameters, f) in FUNCTIONS {
        let case = |case: Case| {
            let case = case.with(string("activation", name));
            case.with(numbers("activation_params", parameters))
        };
        let own = || Case::microsoft("FusedConv").x(&x).w(&w);
        case(own()).is(&conv.mapv(f));
        case(own().w(&vector(&bias))).is(&biased.mapv(f));
        case(own().w(&vector(&bias)).x(&z)).is(&(&biased + &z).mapv(f));
        case(own().none().x(&z)).is(&(&conv + &z).mapv(f));
    }
    let bounds = Case::microsoft("FusedConv")
        .x(&x)
        .w(&w)
        .with(string("activation", "Clip"));
    bounds.refused("BadAttribute", "activation_params");
}

#[test]
fn products_of_turned_factors() {
    for shapes in [[&[2, 3][..], &[3, 2][..]], [&[2, 2, 3], &[2, 3, 4]]] {
        let [a, b] = shapes.map(spread);
        for (left, right) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
            let of = |x: &Cells, flag: i64| if flag == 1 { turned(x) } else { x.clone() };
            let case = Case::microsoft("FusedMatMul")
                .x(&of(&a, left))
                .x(&of(&b, right));
            let case = case.with(int("transA", left)).with(int("transB", right));
            case.clone().is(&product(&a, &b));
            case.with(number("alpha", -0.5))
                .is(&(product(&a, &b) * -0.5));
        }
    }
    let batches = Case::microsoft("FusedMatMul")
        .x(&spread(&[2, 2]))
        .x(&spread(&[2, 2]));
    batches
        .with(int("transBatchA", 1))
        .refused("UnsupportedOperator", "ORT_ENABLE_BASIC");
}

/// Rows of a matrix with mean 0 and variance 1, scaled and shifted.
fn normalised(x: &Cells, gamma: &Cells, beta: &Cells, epsilon: f64) -> Cells {
    let n = x.shape()[2];
    fill(x.shape(), |at| {
        let row: Vec<f64> = (0..n).map(|i| x[[at[0], at[1], i]]).collect();
        let mean = row.iter().sum::<f64>() / n as f64;
        let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n as f64;
        (x[at] - mean) / (variance + epsilon).sqrt() * gamma[at[2]] + beta[at[2]]
    })
}

/// Embeddings of words, positions and segments; positions are counted unless they are given.
#[test]
fn embeddings() {
    let (words, places, parts) = (
        spread(&[5, 4]),
        spread(&[6, 4]).mapv(|x| x * x),
        spread(&[2, 4]).mapv(|x| 1.0 - x),
    );
    let (gamma, beta) = (
        vector(&[1.0, -0.5, 2.0, 0.25]),
        vector(&[0.0, 1.0, -1.0, 0.5]),
    );
    let ids = cells(&[2, 3], &[4.0, 0.0, 2.0, 1.0, 1.0, 3.0]);
    let segments = cells(&[2, 3], &[0.0, 1.0, 1.0, 0.0, 0.0, 1.0]);
    let listed = cells(&[2, 3], &[5.0, 3.0, 1.0, 0.0, 2.0, 4.0]);
    for (segmented, given) in [(false, false), (true, false), (true, true), (false, true)] {
        let sum = fill(&[2, 3, 4], |at| {
            let (row, i) = ([at[0], at[1]], at[2]);
            let place = if given { listed[row] as usize } else { at[1] };
            let part = if segmented {
                parts[[segments[row] as usize, i]]
            } else {
                0.0
            };
            words[[ids[row] as usize, i]] + places[[place, i]] + part
        });
        let index = DataType::Int32;
        let case = Case::microsoft("EmbedLayerNormalization").of(index, &ids);
        let case = if segmented {
            case.of(index, &segments)
        } else {
            case.none()
        };
        let case = case.w(&words).w(&places);
        let case = if segmented {
            case.w(&parts)
        } else {
            case.none()
        };
        let case = case.w(&gamma).w(&beta).none();
        let case = if given {
            case.constant(index, &listed)
        } else {
            case
        };
        let case = case.with(number("epsilon", 1e-3)).within(1e-4);
        case.is(&normalised(&sum, &gamma, &beta, 1e-3));
    }
    let flat = Case::microsoft("EmbedLayerNormalization").of(DataType::Int32, &vector(&[1.0]));
    flat.none()
        .w(&words)
        .w(&places)
        .none()
        .w(&gamma)
        .w(&beta)
        .refused("Shape", "ids of shape [1]");
}

/// What a query of one head makes of the keys that count.
fn attended(
    qkv: [&Cells; 3],
    heads: usize,
    counts: impl Fn(&[usize; 4]) -> f64,
    scale: Option<f64>,
) -> Cells {
    let [q, k, v] = qkv;
    let (width, width_v, keys) = (q.shape()[2] / heads, v.shape()[2] / heads, k.shape()[1]);
    let scale = scale.unwrap_or(1.0 / (width as f64).sqrt());
    fill(&[q.shape()[0], q.shape()[1], v.shape()[2]], |at| {
        let (b, i, h) = (at[0], at[1], at[2] / width_v);
        let weight = |j: usize| {
            let dot = (0..width).map(|d| q[[b, i, h * width + d]] * k[[b, j, h * width + d]]);
            (dot.sum::<f64>() * scale + counts(&[b, h, i, j])).exp()
        };
        let sum: f64 = (0..keys).map(weight).sum();
        (0..keys).map(|j| weight(j) / sum * v[[b, j, at[2]]]).sum()
    })
}

#[test]
fn attention_of_packed_projections() {
    let x = spread(&[2, 3, 4]).mapv(|x| 0.25 * x);
    let never = f64::NEG_INFINITY;
    let mask = cells(&[2, 3], &[1.0, 1.0, 0.0, 1.0, 0.0, 1.0]);
    for sizes in [[4, 4, 4], [4, 4, 6]] {
        let width = sizes.iter().sum::<usize>();
        let (w, bias) = (spread(&[4, width]).mapv(|x| 0.25 * x), spread(&[width]));
        let all = fill(&[2, 3, width], |at| {
            (0..4)
                .map(|l| x[[at[0], at[1], l]] * w[[l, at[2]]])
                .sum::<f64>()
                + bias[at[2]]
        });
        let part = |from: usize, n: usize| fill(&[2, 3, n], |at| all[[at[0], at[1], from + at[2]]]);
        let [q, k, v] = [part(0, sizes[0]), part(4, sizes[1]), part(8, sizes[2])];
        let case = || {
            let case = Case::microsoft("Attention")
                .x(&x)
                .w(&w)
                .w(&bias)
                .within(1e-4);
            let case = case.with(int("num_heads", 2));
            if sizes[2] == 4 {
                case
            } else {
                case.with(ints("qkv_hidden_sizes", &[4, 4, 6]))
            }
        };
        case().is(&attended([&q, &k, &v], 2, |_| 0.0, None));
        let causal = attended(
            [&q, &k, &v],
            2,
            |at| if at[3] > at[2] { never } else { 0.0 },
            None,
        );
        case().with(int("unidirectional", 1)).is(&causal);
        let masked = |at: &[usize; 4]| {
            if mask[[at[0], at[3]]] == 0.0 {
                never
            } else {
                0.0
            }
        };
        case()
            .of(DataType::Int32, &mask)
            .is(&attended([&q, &k, &v], 2, masked, None));
        let scaled = case().with(number("scale", 0.25));
        scaled.is(&attended([&q, &k, &v], 2, |_| 0.0, Some(0.25)));
        let added = spread(&[2, 2, 3, 3]).mapv(|x| 0.5 * x);
        let biased = case().none().none().x(&added);
        biased.is(&attended([&q, &k, &v], 2, |at| added[*at], None));
        case()
            .of(DataType::Int32, &mask)
            .none()
            .x(&added)
            .refused("UnsupportedOperator", "both a mask");
    }
    let case = Case::microsoft("Attention").x(&x).w(&spread(&[4, 12]));
    case.clone().refused("BadAttribute", "num_heads");
    case.clone()
        .with(int("num_heads", 0))
        .refused("BadAttribute", "positive");
    case.with(int("num_heads", 3))
        .refused("BadAttribute", "does not divide");
}

#[test]
fn attention_of_several_heads() {
    let small = |shape: &[usize], shift: f64| spread(shape).mapv(|x| (x + shift).sin());
    let (q, k, v) = (
        small(&[2, 3, 4], 0.0),
        small(&[2, 4, 4], 1.0),
        small(&[2, 4, 6], 2.0),
    );
    let case = || {
        Case::microsoft("MultiHeadAttention")
            .x(&q)
            .x(&k)
            .x(&v)
            .with(int("num_heads", 2))
            .within(1e-4)
    };
    case().is(&attended([&q, &k, &v], 2, |_| 0.0, None));
    let bias = spread(&[14]).mapv(|x| 0.5 * x);
    let plus = |x: &Cells, from: usize| fill(x.shape(), |at| x[at] + bias[from + at[2]]);
    let biased = case().w(&bias);
    biased.is(&attended(
        [&plus(&q, 0), &plus(&k, 4), &plus(&v, 8)],
        2,
        |_| 0.0,
        None,
    ));
    let never = f64::NEG_INFINITY;
    let mask = cells(&[2, 4], &[1.0, 1.0, 0.0, 1.0, 0.0, 1.0, 1.0, 1.0]);
    let masked = case().none().of(DataType::Int32, &mask);
    masked.is(&attended(
        [&q, &k, &v],
        2,
        |at| {
            if mask[[at[0], at[3]]] == 0.0 {
                never
            } else {
                0.0
            }
        },
        None,
    ));
    for shape in [[2, 2, 3, 4], [1, 2, 3, 4], [2, 1, 3, 4], [1, 1, 3, 4]] {
        let added = spread(&shape);
        let term = |at: &[usize; 4]| {
            let at: Vec<usize> = at.iter().zip(shape).map(|(&i, n)| i.min(n - 1)).collect();
            added[&*at]
        };
        case()
            .none()
            .none()
            .x(&added)
            .is(&attended([&q, &k, &v], 2, term, None));
    }
    let past = case().none().none().none().x(&spread(&[2, 2, 1, 2]));
    past.refused("UnsupportedOperator", "without a cache");
}
