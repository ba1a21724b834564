//! Normalisations against means and sums in double precision.

use crate::build::{int, ints, number, string};
use crate::case::{Case, Cells, cells, combined, fill, indices, spread, vector};

/// What `f` makes of the cells that share an index outside of `axes`, for each cell.
fn over(x: &Cells, axes: &[usize], f: impl Fn(&[f64]) -> f64) -> Cells {
    let alike = |a: &[usize], b: &[usize]| {
        let others = (0..x.ndim()).filter(|axis| !axes.contains(axis));
        others.into_iter().all(|axis| a[axis] == b[axis])
    };
    fill(x.shape(), |at| {
        let all = indices(x.shape())
            .into_iter()
            .filter(|other| alike(at, other));
        f(&all.map(|at| x[&*at]).collect::<Vec<_>>())
    })
}

fn mean(cells: &[f64]) -> f64 {
    cells.iter().sum::<f64>() / cells.len() as f64
}

/// `(x - mean) / sqrt(variance + epsilon)` over `axes`.
fn normalised(x: &Cells, axes: &[usize], epsilon: f64) -> Cells {
    let means = over(x, axes, mean);
    let d = x - &means;
    let variances = over(&d.mapv(|d| d * d), axes, mean);
    d / variances.mapv(|v| (v + epsilon).sqrt())
}

/// A parameter of the channels, axis 1, as one that broadcasts.
fn channels(parameter: &Cells, rank: usize) -> Cells {
    let mut shape = vec![1; rank];
    shape[1] = parameter.len();
    parameter.to_shape(shape).expect("as many cells").to_owned()
}

const SHAPES: [&[usize]; 4] = [&[2, 3], &[2, 3, 4], &[1, 4, 3, 2], &[2, 1, 2, 1, 3]];

fn positive(shape: &[usize]) -> Cells {
    spread(shape).mapv(|x| x * x + 0.25)
}

#[test]
fn batches() {
    for shape in SHAPES {
        let x = spread(shape);
        let n = shape[1];
        let (scale, shift) = (spread(&[n]), spread(&[n]).mapv(|x| x - 1.0));
        let (mean, variance) = (spread(&[n]).mapv(|x| -2.0 * x), positive(&[n]));
        for (epsilon, attribute) in [(1e-5, None), (0.5, Some(number("epsilon", 0.5)))] {
            let of = |parameter: &Cells| channels(parameter, x.ndim());
            let deviation = of(&variance).mapv(|v| (v + epsilon).sqrt());
            let y = (&x - of(&mean)) / deviation * of(&scale) + of(&shift);
            for opset in [9, 14, 15] {
                let case = Case::new("BatchNormalization", opset)
                    .x(&x)
                    .x(&scale)
                    .x(&shift);
                let case = case.x(&mean).x(&variance).with(number("momentum", 0.5));
                case.all(attribute.as_slice()).within(1e-4).is(&y);
            }
        }
    }
    let case = |x: &[usize], n: usize| {
        let case = Case::new("BatchNormalization", 15)
            .x(&spread(x))
            .w(&spread(&[n]));
        case.w(&spread(&[n])).w(&spread(&[n])).w(&positive(&[n]))
    };
    case(&[2, 3, 4], 4).refused("Shape", "expected [3]");
    case(&[3], 3).refused("Shape", "no channels");
    case(&[2, 3], 3)
        .with(int("training_mode", 1))
        .refused("UnsupportedOperator", "inference");
    case(&[2, 3], 3)
        .outputs(3)
        .refused("UnsupportedOperator", "inference");
    case(&[2, 3], 3)
        .with(number("epsilon", -1.0))
        .refused("BadAttribute", "epsilon");
    case(&[2, 3], 3)
        .with(number("epsilon", f32::NAN))
        .refused("BadAttribute", "NaN");
    let negative = Case::new("BatchNormalization", 15)
        .x(&spread(&[2, 1]))
        .w(&vector(&[1.0]));
    let negative = negative
        .w(&vector(&[0.0]))
        .w(&vector(&[0.0]))
        .w(&vector(&[-1.0]));
    negative.refused("NonFinite", "NaN");
}

#[test]
fn instances() {
    for shape in &SHAPES[1..] {
        let x = spread(shape);
        let (scale, shift) = (spread(&[shape[1]]), spread(&[shape[1]]).mapv(|x| 1.0 - x));
        let axes: Vec<usize> = (2..x.ndim()).collect();
        for (epsilon, attribute) in [(1e-5, None), (0.25, Some(number("epsilon", 0.25)))] {
            let y = normalised(&x, &axes, epsilon);
            let y = y * channels(&scale, x.ndim()) + channels(&shift, x.ndim());
            let case = Case::new("InstanceNormalization", 6)
                .x(&x)
                .x(&scale)
                .x(&shift);
            case.all(attribute.as_slice()).within(1e-4).is(&y);
        }
    }
    let wrong = Case::new("InstanceNormalization", 6).x(&spread(&[1, 2, 3]));
    wrong
        .w(&spread(&[3]))
        .w(&spread(&[3]))
        .refused("Shape", "expected [2]");
}

/// Scale and shift are per group at opset 18 and per channel since opset 21.
#[test]
fn groups() {
    for (shape, n) in [
        (&[2, 4][..], 2),
        (&[1, 4, 3], 4),
        (&[2, 6, 2, 2], 3),
        (&[1, 4, 3], 1),
    ] {
        let x = spread(shape);
        let rows: usize = shape.iter().product::<usize>() / shape[0] / n;
        let grouped = x
            .to_shape(vec![shape[0], n, rows])
            .expect("as many cells")
            .to_owned();
        let grouped = normalised(&grouped, &[2], 1e-5);
        for opset in [18, 21] {
            let count = if opset == 18 { n } else { shape[1] };
            let (scale, shift) = (spread(&[count]), spread(&[count]).mapv(|x| x * x));
            let y = grouped.to_shape(shape).expect("as many cells");
            let y = fill(shape, |at| {
                let parameter = if opset == 18 {
                    at[1] / (shape[1] / n)
                } else {
                    at[1]
                };
                y[at] * scale[parameter] + shift[parameter]
            });
            let case = Case::new("GroupNormalization", opset)
                .x(&x)
                .x(&scale)
                .x(&shift);
            case.with(int("num_groups", n as i64)).within(1e-4).is(&y);
        }
    }
    let case = || {
        let case = Case::new("GroupNormalization", 21).x(&spread(&[1, 4, 2]));
        case.w(&spread(&[4])).w(&spread(&[4]))
    };
    case().refused("BadAttribute", "num_groups");
    case()
        .with(int("num_groups", 3))
        .refused("BadAttribute", "does not divide 4");
    case()
        .with(int("num_groups", 0))
        .refused("BadAttribute", "num_groups");
    case()
        .with(int("num_groups", -2))
        .refused("BadAttribute", "num_groups");
}

/// The axes from `axis` on of a shape.
fn last(axis: i64, rank: usize) -> Vec<usize> {
    let first = axis.rem_euclid(rank as i64) as usize;
    (first..rank).collect()
}

#[test]
fn layers() {
    for (shape, axis) in [
        (&[4][..], -1),
        (&[2, 3, 4], -1),
        (&[2, 3, 4], 1),
        (&[2, 3, 4], -3),
        (&[3, 1], 1),
    ] {
        let x = spread(shape);
        let axes = last(axis, shape.len());
        let (scale, shift) = (
            spread(&shape[axes[0]..]),
            spread(&shape[axes[0]..]).mapv(|x| x + 0.5),
        );
        let first = |x: &Cells| {
            let mut of = shape.to_vec();
            for &axis in &axes {
                of[axis] = 1;
            }
            fill(&of, |at| x[at])
        };
        let means = over(&x, &axes, mean);
        let variances = over(&(&x - &means).mapv(|d| d * d), &axes, mean);
        for epsilon in [1e-5, 0.125] {
            let plain = normalised(&x, &axes, epsilon) * &scale;
            let inverse = variances.mapv(|v| (v + epsilon).sqrt().recip());
            let case = Case::new("LayerNormalization", 17)
                .x(&x)
                .x(&scale)
                .within(2e-4);
            let case = case
                .with(int("axis", axis))
                .with(number("epsilon", epsilon as f32));
            case.is(&plain);
            let case = case.x(&shift).outputs(3);
            case.gives(&[&plain + &shift, first(&means), first(&inverse)]);
        }
    }
    let x = spread(&[2, 3, 4]);
    let case = |scale: &[usize]| Case::new("LayerNormalization", 17).x(&x).w(&spread(scale));
    case(&[1])
        .within(1e-4)
        .is(&(normalised(&x, &[2], 1e-5) * spread(&[1])));
    case(&[3, 1])
        .within(1e-4)
        .is(&(normalised(&x, &[2], 1e-5) * spread(&[3, 1])));
    case(&[3]).refused("", "");
    case(&[5, 2, 3, 4]).refused("Shape", "broadcast");
    case(&[4]).with(int("axis", 3)).refused("", "axis");
    case(&[4]).with(int("axis", -4)).refused("", "axis");
    case(&[4])
        .with(number("epsilon", f32::INFINITY))
        .refused("BadAttribute", "epsilon");
}

#[test]
fn roots_of_mean_squares() {
    for (shape, axis) in [
        (&[4][..], -1),
        (&[2, 3, 4], -1),
        (&[2, 3, 4], 1),
        (&[2, 2], -2),
    ] {
        let x = spread(shape);
        let axes = last(axis, shape.len());
        let scale = spread(&shape[axes[0]..]);
        for epsilon in [1e-5, 0.125] {
            let squares = over(&x.mapv(|x| x * x), &axes, mean);
            let y = &x / squares.mapv(|s| (s + epsilon).sqrt()) * &scale;
            let of = |case: Case| {
                let case = case
                    .with(int("axis", axis))
                    .with(number("epsilon", epsilon as f32));
                case.x(&x).x(&scale).within(1e-4).is(&y);
            };
            of(Case::new("RMSNormalization", 23));
            of(Case::new("SimplifiedLayerNormalization", 17));
            of(Case::microsoft("SimplifiedLayerNormalization"));
        }
    }
}

#[test]
fn neighbouring_channels() {
    let x = spread(&[2, 5, 3]);
    for (size, alpha, beta, bias) in [
        (3, 1e-4, 0.75, 1.0),
        (2, 0.5, 1.0, 2.0),
        (5, 1.0, 0.5, 0.25),
        (9, 0.3, 2.0, 1.0),
        (1, 1.0, 0.75, 1.0),
    ] {
        let y = fill(x.shape(), |at| {
            let (before, after) = ((size - 1) / 2, size / 2);
            let from = at[1].saturating_sub(before as usize);
            let to = (at[1] + after as usize).min(4);
            let squares: f64 = (from..=to).map(|c| x[[at[0], c, at[2]]].powi(2)).sum();
            x[at] / (bias + alpha / size as f64 * squares).powf(beta)
        });
        let case = Case::new("LRN", 13)
            .x(&x)
            .with(int("size", size))
            .within(1e-4);
        let case = if beta == 0.75 {
            case
        } else {
            case.with(number("beta", beta as f32))
        };
        let case = if alpha == 1e-4 {
            case
        } else {
            case.with(number("alpha", alpha as f32))
        };
        case.with(number("bias", bias as f32)).is(&y);
    }
    Case::new("LRN", 13).x(&x).refused("BadAttribute", "size");
    Case::new("LRN", 13)
        .x(&x)
        .with(int("size", 0))
        .refused("BadAttribute", "positive");
    let line = Case::new("LRN", 13).x(&spread(&[3]));
    line.with(int("size", 3)).refused("Shape", "channels");
}

#[test]
fn vectors_of_length_one() {
    for shape in [&[4][..], &[2, 3], &[2, 3, 2]] {
        let x = spread(shape);
        for axis in -(shape.len() as i64)..shape.len() as i64 {
            let axes = [axis.rem_euclid(shape.len() as i64) as usize];
            let sizes = over(&x, &axes, |cells| cells.iter().map(|x| x.abs()).sum());
            let lengths = over(&x, &axes, |cells| {
                cells.iter().map(|x| x * x).sum::<f64>().sqrt()
            });
            let case = || {
                Case::new("LpNormalization", 22)
                    .x(&x)
                    .with(int("axis", axis))
                    .within(1e-4)
            };
            case().with(int("p", 1)).is(&(&x / sizes));
            case().with(int("p", 2)).is(&(&x / &lengths));
            case().is(&(&x / &lengths));
        }
    }
    let case = Case::new("LpNormalization", 1).x(&spread(&[2, 2]));
    case.with(int("p", 3))
        .refused("BadAttribute", "expected 1 or 2");
}

#[test]
fn means_and_variances() {
    let x = spread(&[2, 3, 2, 2]);
    let case = |x: &Cells| Case::new("MeanVarianceNormalization", 13).x(x).within(1e-4);
    case(&x).is(&normalised(&x, &[0, 2, 3], 0.0));
    for (list, axes) in [
        (&[1][..], &[1][..]),
        (&[-1, 0], &[0, 3]),
        (&[0, 1, 2, 3], &[0, 1, 2, 3]),
    ] {
        case(&x)
            .with(ints("axes", list))
            .is(&normalised(&x, axes, 0.0));
    }
    case(&spread(&[2, 3])).refused("", "ax");
    let line = spread(&[5]);
    case(&line)
        .with(ints("axes", &[0]))
        .is(&normalised(&line, &[0], 0.0));
}

fn shares(x: &Cells, axes: &[usize]) -> Cells {
    let most = over(x, axes, |cells| {
        cells.iter().copied().fold(f64::MIN, f64::max)
    });
    let powers = (x - &most).mapv(f64::exp);
    let sums = over(&powers, axes, |cells| cells.iter().sum());
    powers / sums
}

/// Before opset 13, the axes from `axis`, by default the first after the batch, are one.
#[test]
fn shares_of_one() {
    let large = cells(&[2, 3], &[500.0, -500.0, 499.0, -900.0, -901.0, -1000.0]);
    for x in [spread(&[3]), spread(&[2, 3, 2]), spread(&[2, 1]), large] {
        let rank = x.ndim();
        for axis in -(rank as i64)..rank as i64 {
            let own = [axis.rem_euclid(rank as i64) as usize];
            for (opset, axes) in [(13, own.to_vec()), (11, last(axis, rank))] {
                let case = |op: &str| Case::new(op, opset).x(&x).with(int("axis", axis));
                let y = shares(&x, &axes);
                case("Softmax").is(&y);
                let logarithms = over(&x, &axes, |cells| {
                    let most = cells.iter().copied().fold(f64::MIN, f64::max);
                    most + cells.iter().map(|x| (x - most).exp()).sum::<f64>().ln()
                });
                case("LogSoftmax").is(&(&x - logarithms));
            }
        }
    }
    let x = spread(&[2, 3, 4]);
    Case::new("Softmax", 13).x(&x).is(&shares(&x, &[2]));
    Case::new("Softmax", 11).x(&x).is(&shares(&x, &[1, 2]));
    let wrong = Case::new("Softmax", 13).x(&x).with(int("axis", 3));
    wrong.refused("", "axis");
}

/// The first of the largest cells is 1.
#[test]
fn hard_shares() {
    let x = spread(&[2, 3, 2]).mapv(|x| (x / 2.0).round());
    for (opset, axis, axes) in [
        (13, -1, &[2][..]),
        (13, 0, &[0]),
        (13, 1, &[1]),
        (11, 1, &[1, 2]),
        (11, 0, &[0, 1, 2]),
    ] {
        let mut y = Cells::zeros(x.shape());
        let most = over(&x, axes, |cells| {
            cells.iter().copied().fold(f64::MIN, f64::max)
        });
        let outside = |at: &[usize]| {
            let at = at
                .iter()
                .enumerate()
                .filter(|(axis, _)| !axes.contains(axis));
            at.map(|(_, &i)| i).collect::<Vec<_>>()
        };
        let mut found = std::collections::BTreeSet::new();
        for at in indices(x.shape()) {
            if x[&*at] == most[&*at] && found.insert(outside(&at)) {
                y[&*at] = 1.0;
            }
        }
        Case::new("Hardmax", opset)
            .x(&x)
            .with(int("axis", axis))
            .is(&y);
    }
}

/// Residual sums, as onnxruntime joins them with their normalisation.
#[test]
fn normalised_sums() {
    let (x, skip) = (spread(&[2, 3, 4]), spread(&[2, 3, 4]).mapv(|x| 0.5 * x * x));
    let (gamma, beta, bias) = (
        spread(&[4]),
        vector(&[1.0, -1.0, 0.5, 2.0]),
        vector(&[0.5, 0.25, -3.0, 1.0]),
    );
    let sum = combined(&(&x + &skip), &bias, |a, b| a + b);
    let y = normalised(&sum, &[2], 1e-3) * &gamma + &beta;
    let case = Case::microsoft("SkipLayerNormalization")
        .x(&x)
        .x(&skip)
        .w(&gamma)
        .w(&beta);
    case.w(&bias)
        .with(number("epsilon", 1e-3))
        .within(1e-4)
        .is(&y);
    let squares = over(&sum.mapv(|x| x * x), &[2], mean);
    let y = &sum / squares.mapv(|s| (s + 1e-3).sqrt()) * &gamma;
    let case = Case::microsoft("SkipSimplifiedLayerNormalization")
        .x(&x)
        .x(&skip)
        .w(&gamma);
    case.w(&bias)
        .with(number("epsilon", 1e-3))
        .within(1e-4)
        .is(&y);
    // A skip that is the same for all images.
    let shared = spread(&[1, 3, 4]);
    let y = normalised(&(&x + &shared), &[2], 1e-12) * &gamma;
    let case = Case::microsoft("SkipLayerNormalization")
        .x(&x)
        .x(&shared)
        .w(&gamma);
    case.with(number("epsilon", 1e-12)).within(1e-4).is(&y);
    let unknown = Case::microsoft("SkipLayerNormalization")
        .x(&x)
        .x(&skip)
        .w(&gamma);
    unknown
        .with(string("mode", "fast"))
        .refused("BadAttribute", "mode");
}
