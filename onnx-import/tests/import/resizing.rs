//! Resize, Upsample and `GridSample` against weights of cells that are worked out per output.

use crate::build::{int, ints, number, numbers, string};
use crate::case::{Case, Cells, cells, fill, inside, spread};

/// How an axis is resized.
#[derive(Clone, Copy)]
struct Way<'a> {
    mode: &'a str,
    coordinates: &'a str,
    nearest: &'a str,
    cubic: f64,
    exclude: bool,
    antialias: bool,
}

const LINEAR: Way = Way {
    mode: "linear",
    coordinates: "half_pixel",
    nearest: "round_prefer_floor",
    cubic: -0.75,
    exclude: false,
    antialias: false,
};

/// The standard's coordinate of output `y` of `m`, for `n` inputs and a scale.
fn coordinate(mode: &str, y: f64, scale: f64, n: f64, m: f64) -> f64 {
    let length = scale * n;
    match mode {
        "half_pixel" => (y + 0.5) / scale - 0.5,
        "pytorch_half_pixel" if m > 1.0 => (y + 0.5) / scale - 0.5,
        "half_pixel_symmetric" => n / 2.0 * (1.0 - m / length) + (y + 0.5) / scale - 0.5,
        "align_corners" if (length - 1.0).abs() < 1e-9 => 0.0,
        "align_corners" => y * (n - 1.0) / (length - 1.0),
        "asymmetric" => y / scale,
        "tf_half_pixel_for_nn" => (y + 0.5) / scale,
        other => panic!("{other}"),
    }
}

fn cubic(a: f64, d: f64) -> f64 {
    match d.abs() {
        d if d <= 1.0 => (a + 2.0) * d.powi(3) - (a + 3.0) * d * d + 1.0,
        d if d < 2.0 => a * d.powi(3) - 5.0 * a * d * d + 8.0 * a * d - 4.0 * a,
        _ => 0.0,
    }
}

/// The weight of each of the `n` cells at a coordinate.
fn weights(way: Way, x: f64, scale: f64, n: usize) -> Vec<f64> {
    let mut weights = vec![0.0; n];
    let last = n as i64 - 1;
    if way.mode == "nearest" {
        let half = (x - x.floor() - 0.5).abs() < 1e-9;
        let i = match way.nearest {
            "round_prefer_floor" if half => x.floor(),
            "round_prefer_ceil" if half => x.ceil(),
            "floor" => (x + 1e-9).floor(),
            "ceil" => (x - 1e-9).ceil(),
            _ => x.round(),
        };
        weights[(i as i64).clamp(0, last) as usize] = 1.0;
        return weights;
    }
    let narrow = if way.antialias { scale.min(1.0) } else { 1.0 };
    for i in -40..n as i64 + 40 {
        let distance = (i as f64 - x) * narrow;
        let weight = match way.mode {
            "linear" => (1.0 - distance.abs()).max(0.0),
            _ => cubic(way.cubic, distance),
        };
        if !way.exclude || (0..=last).contains(&i) {
            weights[i.clamp(0, last) as usize] += weight;
        }
    }
    let sum: f64 = weights.iter().sum();
    weights.iter().map(|w| w / sum).collect()
}

/// Axes that are resized, each with its length afterwards and its scale.
fn resized(x: &Cells, way: Way, axes: &[(usize, usize, f64)]) -> Cells {
    let mut x = x.clone();
    for &(axis, m, scale) in axes {
        let n = x.shape()[axis];
        let mut shape = x.shape().to_vec();
        shape[axis] = m;
        let rows: Vec<Vec<f64>> = (0..m)
            .map(|y| {
                let at = coordinate(way.coordinates, y as f64, scale, n as f64, m as f64);
                weights(way, at, scale, n)
            })
            .collect();
        x = fill(&shape, |at| {
            let cell = |i: usize| {
                let mut from = at.to_vec();
                from[axis] = i;
                x[&*from] * rows[at[axis]][i]
            };
            (0..n).map(cell).sum()
        });
    }
    x
}

fn case(opset: i64, x: &Cells, way: Way) -> Case {
    let case = Case::new("Resize", opset)
        .x(x)
        .with(string("mode", way.mode));
    let case = case.with(string("coordinate_transformation_mode", way.coordinates));
    let case = match way.mode {
        "nearest" => case.with(string("nearest_mode", way.nearest)),
        "cubic" => case.with(number("cubic_coeff_a", way.cubic as f32)),
        _ => case,
    };
    let case = if way.exclude {
        case.with(int("exclude_outside", 1))
    } else {
        case
    };
    if way.antialias {
        case.with(int("antialias", 1))
    } else {
        case
    }
}

const COORDINATES: [&str; 5] = [
    "half_pixel",
    "pytorch_half_pixel",
    "half_pixel_symmetric",
    "align_corners",
    "asymmetric",
];

/// By sizes and by scales, up and down, whole and fractional.
#[test]
fn lines_of_any_length() {
    for coordinates in COORDINATES {
        for (n, m) in [
            (4, 8),
            (4, 6),
            (6, 3),
            (7, 4),
            (5, 5),
            (8, 2),
            (3, 10),
            (1, 3),
        ] {
            let x = spread(&[2, n]);
            let scale = m as f64 / n as f64;
            let y = |way: Way| resized(&x, way, &[(1, m, scale)]);
            let mut ways: Vec<Way> = ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"]
                .map(|nearest| Way {
                    mode: "nearest",
                    coordinates,
                    nearest,
                    ..LINEAR
                })
                .to_vec();
            ways.push(Way {
                coordinates,
                ..LINEAR
            });
            ways.push(Way {
                mode: "cubic",
                coordinates,
                ..LINEAR
            });
            ways.push(Way {
                mode: "cubic",
                coordinates,
                cubic: -0.5,
                ..LINEAR
            });
            ways.push(Way {
                mode: "cubic",
                coordinates,
                exclude: true,
                ..LINEAR
            });
            for way in ways {
                let by_sizes = case(19, &x, way).none().none().list(&[2, m as i64]);
                by_sizes.within(4e-3).is(&y(way));
                if (scale as f32 as f64 - scale).abs() < 1e-12 {
                    let scales = cells(&[2], &[1.0, scale]);
                    let by_scales = case(19, &x, way).none().w(&scales);
                    by_scales.within(4e-3).is(&y(way));
                }
            }
        }
    }
}

/// Scales that do not make whole lengths: the length is rounded down, the scale stays.
#[test]
fn scales_are_not_rounded() {
    for (n, scale) in [(5, 1.5), (5, 0.5), (7, 0.75), (3, 2.75), (9, 0.3125)] {
        let x = spread(&[n]);
        let m = (n as f64 * scale).floor() as usize;
        for coordinates in ["half_pixel", "half_pixel_symmetric", "asymmetric"] {
            for mode in ["linear", "cubic"] {
                let way = Way {
                    mode,
                    coordinates,
                    ..LINEAR
                };
                if coordinates == "half_pixel_symmetric" {
                    let case = case(19, &x, way).none().w(&cells(&[1], &[scale]));
                    case.within(4e-3).is(&resized(&x, way, &[(0, m, scale)]));
                } else {
                    let case = case(13, &x, way).none().w(&cells(&[1], &[scale]));
                    case.within(4e-3).is(&resized(&x, way, &[(0, m, scale)]));
                }
            }
        }
    }
}

#[test]
fn widened_kernels() {
    for (n, m) in [(8, 4), (9, 3), (7, 3), (4, 8), (10, 2)] {
        let x = spread(&[2, n]);
        for mode in ["linear", "cubic"] {
            for exclude in [false, true] {
                let way = Way {
                    mode,
                    antialias: true,
                    exclude,
                    ..LINEAR
                };
                let y = resized(&x, way, &[(1, m, m as f64 / n as f64)]);
                let case = case(18, &x, way).none().none().list(&[2, m as i64]);
                case.within(4e-3).is(&y);
            }
        }
    }
}

#[test]
fn images_and_some_of_their_axes() {
    let x = spread(&[1, 2, 4, 6]);
    let y = resized(&x, LINEAR, &[(2, 8, 2.0), (3, 3, 0.5)]);
    let sizes = case(13, &x, LINEAR).none().none();
    sizes.list(&[1, 2, 8, 3]).within(1e-3).is(&y);
    let scales = case(11, &x, LINEAR).w(&cells(&[0], &[]));
    scales
        .w(&cells(&[4], &[1.0, 1.0, 2.0, 0.5]))
        .within(1e-3)
        .is(&y);
    // The list of sizes belongs to the axes in the order in which they are given.
    for axes in [[2, 3], [-2, -1]] {
        let some = case(18, &x, LINEAR).none().none().list(&[8, 3]);
        some.with(ints("axes", &axes)).within(1e-3).is(&y);
    }
    let turned = case(18, &x, LINEAR).none().none().list(&[3, 8]);
    turned.with(ints("axes", &[3, 2])).within(1e-3).is(&y);
    // The smaller or the larger scale holds for both axes.
    for (policy, scale) in [("not_larger", 0.5), ("not_smaller", 2.0)] {
        let (h, w) = ((4.0 * scale) as usize, (6.0 * scale) as usize);
        let y = resized(&x, LINEAR, &[(2, h, scale), (3, w, scale)]);
        let kept = case(18, &x, LINEAR)
            .none()
            .none()
            .list(&[8, 3])
            .with(ints("axes", &[2, 3]));
        kept.with(string("keep_aspect_ratio_policy", policy))
            .within(1e-3)
            .is(&y);
    }
    let case = |opset| case(opset, &x, LINEAR);
    case(13).refused("Shape", "either scales or sizes");
    let both = case(13)
        .none()
        .w(&cells(&[4], &[1.0; 4]))
        .list(&[1, 2, 4, 6]);
    both.refused("Shape", "either scales or sizes");
    case(13)
        .none()
        .none()
        .list(&[8, 3])
        .refused("Shape", "2 scales or sizes for 4");
    case(13)
        .none()
        .none()
        .list(&[1, 2, 0, 3])
        .refused("Shape", "empty axis");
    case(13)
        .none()
        .w(&cells(&[4], &[1.0, 1.0, 0.0, 1.0]))
        .refused("Shape", "a scale of 0");
    case(13)
        .none()
        .w(&cells(&[4], &[1.0, 1.0, -1.0, 1.0]))
        .refused("Shape", "a scale of -1");
    case(13)
        .none()
        .w(&cells(&[4], &[1.0, 1.0, 0.1, 1.0]))
        .refused("Shape", "a scale of 0.1");
    case(18)
        .none()
        .none()
        .list(&[8])
        .with(ints("axes", &[4]))
        .refused("", "axis");
    case(18)
        .none()
        .none()
        .list(&[8, 8])
        .with(ints("axes", &[1, 1]))
        .refused("", "");
    for (name, value) in [
        ("nearest_mode", "nearby"),
        ("keep_aspect_ratio_policy", "keep"),
        ("mode", "best"),
    ] {
        let case = Case::new("Resize", 18)
            .x(&x)
            .none()
            .none()
            .list(&[1, 2, 8, 3]);
        let case = if name == "mode" {
            case
        } else {
            case.with(string("mode", "linear"))
        };
        case.with(string(name, value))
            .refused("BadAttribute", value);
    }
}

/// Regions of the input, and a value outside of it.
#[test]
fn regions() {
    let x = spread(&[1, 6]);
    for (a, b, m) in [
        (0.0, 1.0, 6),
        (0.25, 0.75, 4),
        (0.5, 1.5, 5),
        (-0.5, 0.5, 3),
        (1.0, 0.0, 6),
        (0.25, 0.5, 1),
    ] {
        let y = fill(&[1, m], |at| {
            let step = (b - a) * 5.0;
            let from = if m == 1 {
                step / 2.0
            } else {
                at[1] as f64 * step / (m as f64 - 1.0)
            };
            let at = a * 5.0 + from;
            if !(0.0..=5.0).contains(&at) {
                return 10.0;
            }
            let all = weights(LINEAR, at, 1.0, 6);
            all.iter().zip(&x).map(|(w, x)| w * x).sum()
        });
        let way = Way {
            coordinates: "tf_crop_and_resize",
            ..LINEAR
        };
        let case = case(13, &x, way).w(&cells(&[4], &[0.0, a, 1.0, b])).none();
        let case = case
            .list(&[1, m as i64])
            .with(number("extrapolation_value", 10.0));
        case.within(4e-3).is(&y);
    }
    let way = Way {
        coordinates: "tf_crop_and_resize",
        ..LINEAR
    };
    let without = case(13, &x, way).none().none().list(&[1, 3]);
    without.refused("Shape", "region");
    let infinite = case(13, &x, LINEAR).none().none().list(&[1, 3]);
    infinite
        .with(number("extrapolation_value", f32::INFINITY))
        .refused("BadAttribute", "inf");
}

/// Before opset 11: the scaled position's cell, or its two neighbours.
#[test]
fn scales_of_old_opsets() {
    let x = spread(&[1, 2, 3, 4]);
    for mode in ["nearest", "linear"] {
        let way = Way {
            mode,
            coordinates: "asymmetric",
            nearest: "floor",
            ..LINEAR
        };
        let y = resized(&x, way, &[(2, 6, 2.0), (3, 12, 3.0)]);
        let scales = cells(&[4], &[1.0, 1.0, 2.0, 3.0]);
        let old = Case::new("Upsample", 8).x(&x).with(string("mode", mode));
        old.with(numbers("scales", &[1.0, 1.0, 2.0, 3.0]))
            .within(1e-3)
            .is(&y);
        let case = |op: &str, opset| Case::new(op, opset).x(&x).with(string("mode", mode));
        case("Upsample", 9).w(&scales).within(1e-3).is(&y);
        case("Resize", 10).w(&scales).within(1e-3).is(&y);
    }
    Case::new("Upsample", 9).x(&x).refused("", "scales");
    let few = Case::new("Upsample", 9).x(&x).w(&cells(&[2], &[2.0, 2.0]));
    few.refused("Shape", "2 scales");
}

/// A coordinate mirrored step by step until it is inside.
fn mirrored(mut at: f64, low: f64, high: f64) -> f64 {
    while high > low && (at < low || at > high) {
        at = if at < low {
            2.0 * low - at
        } else {
            2.0 * high - at
        };
    }
    at
}

/// The value of an image at a point of a grid.
fn sampled(x: &Cells, image: [usize; 2], point: [f64; 2], way: (&str, &str, bool)) -> f64 {
    let (mode, padding, corners) = way;
    let sizes = [x.shape()[2], x.shape()[3]];
    let ends = |n: usize| {
        if corners {
            (0.0, n as f64 - 1.0)
        } else {
            (-0.5, n as f64 - 0.5)
        }
    };
    let mut at = [0.0; 2];
    for axis in 0..2 {
        let (n, g) = (sizes[axis], point[1 - axis]);
        let (low, high) = ends(n);
        at[axis] = if corners {
            f64::midpoint(g, 1.0) * (n as f64 - 1.0)
        } else {
            ((g + 1.0) * n as f64 - 1.0) / 2.0
        };
        if mode == "nearest" {
            at[axis] = at[axis].round_ties_even();
        }
        if mode != "cubic" && (at[axis] < low || at[axis] > high) {
            at[axis] = match padding {
                "border" => at[axis].clamp(0.0, n as f64 - 1.0),
                "reflection" => mirrored(at[axis], low, high),
                _ => at[axis],
            };
        }
    }
    let cell = |place: [i64; 2]| {
        let mut read = [image[0] as i64, image[1] as i64, place[0], place[1]];
        for axis in 0..2 {
            let n = sizes[axis] as i64;
            let (low, high) = ends(sizes[axis]);
            read[axis + 2] = match padding {
                "border" => place[axis].clamp(0, n - 1),
                "reflection" => (mirrored(place[axis] as f64, low, high) as i64).clamp(0, n - 1),
                _ => place[axis],
            };
        }
        inside(x, &read).unwrap_or(0.0)
    };
    if mode == "nearest" {
        return cell(at.map(|a| a.round_ties_even() as i64));
    }
    let kernel = |d: f64| {
        if mode == "linear" {
            (1.0 - d.abs()).max(0.0)
        } else {
            cubic(-0.75, d)
        }
    };
    let mut sum = 0.0;
    for h in at[0].floor() as i64 - 2..=at[0].floor() as i64 + 3 {
        for w in at[1].floor() as i64 - 2..=at[1].floor() as i64 + 3 {
            let weight = kernel(h as f64 - at[0]) * kernel(w as f64 - at[1]);
            sum += if weight == 0.0 {
                0.0
            } else {
                weight * cell([h, w])
            };
        }
    }
    sum
}

#[test]
fn points_of_a_grid() {
    let x = spread(&[2, 2, 3, 4]);
    let grid = fill(&[2, 2, 5, 2], |at| {
        let i = at[0] * 20 + at[1] * 10 + at[2] * 2 + at[3];
        ((i * 13 + 5) % 37) as f64 / 12.0 - 1.5
    });
    for padding in ["zeros", "border", "reflection"] {
        for mode in ["nearest", "linear", "cubic"] {
            for corners in [false, true] {
                let y = fill(&[2, 2, 2, 5], |at| {
                    let point = [0, 1].map(|i| f64::from(grid[[at[0], at[2], at[3], i]] as f32));
                    sampled(&x, [at[0], at[1]], point, (mode, padding, corners))
                });
                let case = |opset, mode: &str| {
                    let case = Case::new("GridSample", opset).x(&x).w(&grid).within(8e-3);
                    let case = case
                        .with(string("mode", mode))
                        .with(string("padding_mode", padding));
                    case.with(int("align_corners", i64::from(corners)))
                };
                case(20, mode).is(&y);
                let old = match mode {
                    "linear" => "bilinear",
                    "cubic" => "bicubic",
                    other => other,
                };
                case(16, old).is(&y);
            }
        }
    }
    let case = |grid: &[usize]| Case::new("GridSample", 20).x(&x).w(&spread(grid));
    case(&[1, 2, 2, 2]).refused("Shape", "grid");
    case(&[2, 2, 2, 3]).refused("Shape", "grid");
    case(&[2, 2, 2]).refused("Shape", "grid");
    case(&[2, 1, 1, 2])
        .with(string("mode", "area"))
        .refused("BadAttribute", "area");
    case(&[2, 1, 1, 2])
        .with(string("padding_mode", "ones"))
        .refused("BadAttribute", "ones");
}
