//! Cells that are read and replaced by indices, constant and not.

use candle_onnx::onnx::tensor_proto::DataType;

use crate::build::{int, string};
use crate::case::{Case, Cells, cells, fill, indices, scalar, spread, vector};

const INDEX: DataType = DataType::Int64;

/// An index that may count from the end.
fn place(i: f64, n: usize) -> usize {
    (if i < 0.0 { i + n as f64 } else { i }) as usize
}

/// Indices of an axis of `n`, of both signs.
fn list(shape: &[usize], n: usize) -> Cells {
    let all = shape.iter().product::<usize>();
    let index = |i: usize| ((i * 7 + 3) % (2 * n)) as f64 - n as f64;
    cells(shape, &(0..all).map(index).collect::<Vec<_>>())
}

#[test]
fn slices_that_indices_choose() {
    for (shape, axis, chosen) in [
        (&[5][..], 0, &[][..]),
        (&[5], 0, &[3]),
        (&[4, 3], 0, &[2, 2]),
        (&[4, 3], 1, &[4]),
        (&[4, 3], -1, &[]),
        (&[2, 3, 4], 1, &[2, 1]),
        (&[2, 3, 4], -3, &[1]),
        (&[2, 1, 2], 1, &[3]),
    ] {
        let (x, own) = (
            spread(shape),
            i64::rem_euclid(axis, shape.len() as i64) as usize,
        );
        let index = list(chosen, shape[own]);
        let y = fill(&[&shape[..own], chosen, &shape[own + 1..]].concat(), |at| {
            let (inner, rest) = (&at[own..own + chosen.len()], &at[own + chosen.len()..]);
            x[&*[&at[..own], &[place(index[inner], shape[own])], rest].concat()]
        });
        for data_type in [INDEX, DataType::Int32] {
            let case = Case::new("Gather", 13).x(&x).of(data_type, &index);
            case.with(int("axis", axis)).is(&y);
        }
        if axis == 0 {
            Case::new("Gather", 7).x(&x).of(INDEX, &index).is(&y);
        }
    }
    let case = |index: &[i64]| Case::new("Gather", 13).x(&spread(&[3, 2])).list(index);
    case(&[3]).refused("Shape", "index 3 of an axis of length 3");
    case(&[-4]).refused("Shape", "index -4");
    case(&[0]).with(int("axis", 2)).refused("", "axis 2");
    let real = Case::new("Gather", 13).x(&spread(&[3])).w(&vector(&[1.0]));
    real.refused("", "integers");
    let whole = Case::new("Gather", 13)
        .of(INDEX, &vector(&[5.0, 7.0, 9.0]))
        .list(&[2, 0]);
    whole.is(&vector(&[9.0, 5.0]));
}

/// Indices of an axis so long that they are compared by digits, of a length that its base divides and of one
/// that it does not; the last position and the first.
#[test]
fn slices_of_a_long_axis() {
    for (shape, axis) in [
        (&[608, 2][..], 0),
        (&[601, 2], 0),
        (&[2, 601], 1),
        (&[2, 1100, 2], 1),
    ] {
        let n = shape[axis];
        let x = fill(shape, |at| {
            at.iter().fold(0.0, |x, &k| 17.0 * x + k as f64) / 1000.0
        });
        let some = [0, n - 1, 1, n - 2, 31, 32, 33];
        let some = some.map(|k| k as f64);
        let index = cells(&[2, 7], &[some, some.map(|k| k - n as f64)].concat());
        let (outer, inner) = (&shape[..axis], &shape[axis + 1..]);
        let y = fill(&[outer, &[2, 7], inner].concat(), |at| {
            let place = place(index[&at[axis..axis + 2]], n);
            x[&*[&at[..axis], &[place], &at[axis + 2..]].concat()]
        });
        let case = Case::new("Gather", 13).x(&x).of(INDEX, &index);
        case.with(int("axis", axis as i64)).is(&y);
    }
    // Short axes of many indices, too, whose digits are as many as their positions.
    for n in [1, 2, 3, 9, 70] {
        let x = spread(&[n, 2]);
        let index = list(&[9000 / n], n);
        let y = fill(&[9000 / n, 2], |at| x[[place(index[[at[0]]], n), at[1]]]);
        let case = Case::new("Gather", 13).x(&x).of(INDEX, &index);
        case.is(&y);
    }
    let x = fill(&[601, 2], |at| (2 * at[0] + at[1]) as f64 / 1000.0);
    let ends = [[0.0, 600.0], [-1.0, -601.0], [31.0, 32.0], [33.0, 2.0]];
    let rows: Vec<f64> = ends.into_iter().cycle().take(10).flatten().collect();
    let index = cells(&[10, 2], &rows);
    let y = fill(&[10, 2], |at| x[[place(index[at], 601), at[1]]]);
    let case = Case::new("GatherElements", 13).x(&x).of(INDEX, &index);
    case.with(int("axis", 0)).is(&y);
    let tuples = fill(&[10, 2], |at| {
        if at[1] == 0 {
            index[at]
        } else {
            (at[0] % 2) as f64
        }
    });
    let y = fill(&[10], |at| x[[place(tuples[[at[0], 0]], 601), at[0] % 2]]);
    let case = Case::new("GatherND", 13).x(&x).of(INDEX, &tuples);
    case.is(&y);
}

#[test]
fn cells_that_indices_choose() {
    for (shape, axis, chosen) in [
        (&[5][..], 0, &[3][..]),
        (&[4, 3], 0, &[6, 3]),
        (&[4, 3], 1, &[4, 2]),
        (&[4, 3], 0, &[2, 2]),
        (&[2, 3, 4], -2, &[2, 5, 3]),
        (&[2, 3, 4], 2, &[1, 3, 4]),
    ] {
        let (x, own) = (
            spread(shape),
            i64::rem_euclid(axis, shape.len() as i64) as usize,
        );
        let index = list(chosen, shape[own]);
        let y = fill(chosen, |at| {
            let mut from = at.to_vec();
            from[own] = place(index[at], shape[own]);
            x[&*from]
        });
        let case = Case::new("GatherElements", 13).x(&x).of(INDEX, &index);
        case.with(int("axis", axis)).is(&y);
    }
    let case = |index: &[usize]| {
        Case::new("GatherElements", 13)
            .x(&spread(&[3, 2]))
            .constant(INDEX, &Cells::zeros(index))
    };
    case(&[3]).refused("Shape", "indices of shape");
    case(&[3, 3]).refused("Shape", "indices of shape");
    let far = Case::new("GatherElements", 13).x(&spread(&[3])).list(&[3]);
    far.refused("Shape", "index 3");
}

#[test]
fn slices_that_tuples_choose() {
    for (shape, tuples, batch) in [
        (&[4][..], &[3, 1][..], 0),
        (&[2, 3], &[2], 0),
        (&[2, 3], &[4, 2], 0),
        (&[2, 3], &[2, 1], 0),
        (&[2, 3, 4], &[2, 2, 2], 0),
        (&[2, 3, 4], &[2, 1], 1),
        (&[2, 3, 4], &[2, 3, 1], 2),
        (&[2, 3, 3], &[2, 4, 2], 1),
        (&[3, 3, 2], &[5, 2], 0),
    ] {
        let (x, k) = (spread(shape), tuples[tuples.len() - 1]);
        let outer = &tuples[..tuples.len() - 1];
        let index = fill(tuples, |at| {
            let n = shape[batch + at[at.len() - 1]];
            let i = at.iter().fold(1, |h, &a| 5 * h + a);
            (i % (2 * n)) as f64 - n as f64
        });
        let y = fill(&[outer, &shape[batch + k..]].concat(), |at| {
            let (row, rest) = at.split_at(outer.len());
            let tuple = (0..k).map(|i| {
                let i_at = [row, &[i]].concat();
                place(index[&*i_at], shape[batch + i])
            });
            let tuple: Vec<usize> = tuple.collect();
            x[&*[&row[..batch], &tuple, rest].concat()]
        });
        let case = Case::new("GatherND", 13).x(&x).of(INDEX, &index);
        let case = if batch == 0 {
            case
        } else {
            case.with(int("batch_dims", batch as i64))
        };
        case.is(&y);
    }
    let case = |tuples: &[usize]| {
        Case::new("GatherND", 13)
            .x(&spread(&[2, 3]))
            .constant(INDEX, &Cells::zeros(tuples))
    };
    case(&[2, 3]).refused("Shape", "indices of shape");
    case(&[2, 0]).refused("Shape", "indices of shape");
    case(&[3, 1])
        .with(int("batch_dims", 1))
        .refused("Shape", "1 batch axes");
    case(&[2, 1])
        .with(int("batch_dims", -1))
        .refused("BadAttribute", "negative");
    let far = Case::new("GatherND", 13)
        .x(&spread(&[2, 3]))
        .constant(INDEX, &cells(&[1, 2], &[1.0, 3.0]));
    far.refused("Shape", "index 3");
}

type Join = (&'static str, i64, fn(f64, f64) -> f64);

const JOINS: [Join; 5] = [
    ("none", 16, |_, u| u),
    ("add", 16, |x, u| x + u),
    ("mul", 16, |x, u| x * u),
    ("max", 18, f64::max),
    ("min", 18, f64::min),
];

/// Updates one after the other; several of one cell are joined.
#[test]
fn cells_that_are_replaced() {
    for (shape, axis, given) in [
        (&[5][..], 0, &[3][..]),
        (&[4, 3], 0, &[2, 3]),
        (&[4, 3], 1, &[4, 3]),
        (&[4, 3], -1, &[2, 2]),
        (&[2, 3, 4], 1, &[2, 2, 3]),
    ] {
        let (x, own) = (
            spread(shape),
            i64::rem_euclid(axis, shape.len() as i64) as usize,
        );
        let updates = spread(given).mapv(|x| 0.5 - x);
        // Different cells, and cells of which one is named by several updates.
        let apart = fill(given, |at| {
            ((at[own] * 2 + at[0]) % shape[own]) as f64
                - if at[own] == 0 { 0.0 } else { shape[own] as f64 }
        });
        for index in [apart, Cells::zeros(given)] {
            for (name, opset, join) in JOINS {
                let mut y = x.clone();
                let mut named = std::collections::BTreeSet::new();
                let mut twice = false;
                for at in indices(given) {
                    let mut to = at.clone();
                    to[own] = place(index[&*at], shape[own]);
                    twice |= !named.insert(to.clone());
                    y[&*to] = join(y[&*to], updates[&*at]);
                }
                let case =
                    |case: Case| case.with(int("axis", axis)).with(string("reduction", name));
                case(
                    Case::new("ScatterElements", opset)
                        .x(&x)
                        .constant(INDEX, &index)
                        .x(&updates),
                )
                .is(&y);
                if name == "add" || name == "none" && !twice {
                    case(
                        Case::new("ScatterElements", opset)
                            .x(&x)
                            .of(INDEX, &index)
                            .x(&updates),
                    )
                    .is(&y);
                }
                if name == "mul" || name == "max" {
                    let moving = Case::new("ScatterElements", opset)
                        .x(&x)
                        .input(INDEX, &index)
                        .x(&updates);
                    case(moving).refused("UnsupportedOperator", "`none` and `add`");
                }
                if name == "none" {
                    let old = Case::new("Scatter", 9)
                        .x(&x)
                        .constant(INDEX, &index)
                        .x(&updates);
                    old.with(int("axis", axis)).is(&y);
                    let old = Case::new("ScatterElements", 11)
                        .x(&x)
                        .constant(INDEX, &index)
                        .x(&updates);
                    old.with(int("axis", axis)).is(&y);
                }
            }
        }
    }
    let case = |index: &[usize], updates: &[usize]| {
        let case = Case::new("ScatterElements", 18).x(&spread(&[3, 2]));
        case.constant(INDEX, &Cells::zeros(index))
            .x(&spread(updates))
    };
    case(&[2, 2], &[2, 1]).refused("Shape", "differ in shape");
    case(&[2, 3], &[2, 3]).refused("Shape", "indices of shape");
    case(&[2, 2], &[2, 2])
        .with(string("reduction", "mean"))
        .refused("BadAttribute", "mean");
    case(&[2, 2], &[2, 2])
        .with(int("axis", -3))
        .refused("", "axis -3");
    let far = Case::new("ScatterElements", 18)
        .x(&spread(&[3]))
        .list(&[-4])
        .x(&vector(&[1.0]));
    far.refused("Shape", "index -4");
}

#[test]
fn slices_that_are_replaced() {
    for (shape, tuples) in [
        (&[5][..], &[3, 1][..]),
        (&[4, 3], &[2, 1]),
        (&[4, 3], &[3, 2]),
        (&[2, 3, 4], &[2, 2, 2]),
        (&[2, 3, 4], &[1]),
        (&[3, 3], &[2, 2]),
    ] {
        let (x, k) = (spread(shape), tuples[tuples.len() - 1]);
        let outer = &tuples[..tuples.len() - 1];
        let updates = spread(&[outer, &shape[k..]].concat()).mapv(|x| x * 0.5 + 1.0);
        for step in [3, 0] {
            let index = fill(tuples, |at| {
                let (last, row) = at.split_last().expect("an axis");
                let row = row.iter().fold(0, |h, &a| 2 * h + a);
                ((row * step.min(1) + last) % shape[*last]) as f64
                    - if step == 0 { 0.0 } else { shape[*last] as f64 }
            });
            for (name, opset, join) in JOINS {
                let mut y = x.clone();
                let mut named = std::collections::BTreeSet::new();
                let mut twice = false;
                for at in indices(updates.shape()) {
                    let (row, rest) = at.split_at(outer.len());
                    let tuple = (0..k).map(|i| place(index[&*[row, &[i]].concat()], shape[i]));
                    let to = [&tuple.collect::<Vec<_>>(), rest].concat();
                    twice |= !named.insert(to.clone());
                    y[&*to] = join(y[&*to], updates[&*at]);
                }
                let case = |case: Case| case.with(string("reduction", name));
                case(
                    Case::new("ScatterND", opset)
                        .x(&x)
                        .constant(INDEX, &index)
                        .x(&updates),
                )
                .is(&y);
                if name == "add" || name == "none" && !twice {
                    case(
                        Case::new("ScatterND", opset)
                            .x(&x)
                            .of(INDEX, &index)
                            .x(&updates),
                    )
                    .is(&y);
                }
            }
        }
    }
    let case = |tuples: &[usize], updates: &[usize]| {
        let case = Case::new("ScatterND", 18).x(&spread(&[3, 2]));
        case.constant(INDEX, &Cells::zeros(tuples))
            .x(&spread(updates))
    };
    case(&[2, 1], &[2, 3]).refused("Shape", "expected [2, 2]");
    case(&[2, 3], &[2]).refused("Shape", "indices of shape");
}

#[test]
fn truth_at_an_index() {
    for (shape, depth, axis) in [
        (&[3][..], 4, -1),
        (&[3], 4, 0),
        (&[2, 2], 3, 1),
        (&[2, 2], 3, -2),
        (&[], 3, -1),
        (&[2], 1, -1),
    ] {
        let index = fill(shape, |at| {
            ((at.iter().fold(1, |h, &a| 3 * h + a)) % (2 * depth + 2)) as f64 - depth as f64 - 1.0
        });
        let rank = shape.len() as i64 + 1;
        let own = i64::rem_euclid(axis, rank) as usize;
        let mut to = shape.to_vec();
        to.insert(own, depth);
        let y = |off: f64, on: f64| {
            fill(&to, |at| {
                let mut from = at.to_vec();
                let i = from.remove(own) as f64;
                let wanted = index[&*from];
                // What is outside of the range has no truth anywhere.
                if wanted == i || wanted + depth as f64 == i {
                    on
                } else {
                    off
                }
            })
        };
        let case = |case: Case| case.constant(INDEX, &scalar(depth as f64));
        let values = case(Case::new("OneHot", 11).of(INDEX, &index)).w(&vector(&[-1.0, 2.5]));
        values.with(int("axis", axis)).is(&y(-1.0, 2.5));
        let whole = case(Case::new("OneHot", 11).of(DataType::Int32, &index)).list(&[0, 1]);
        whole.with(int("axis", axis)).is(&y(0.0, 1.0));
    }
    let truth = Case::new("OneHot", 11).of(INDEX, &vector(&[1.0, 0.0]));
    let truth = truth
        .list(&[2])
        .constant(DataType::Bool, &vector(&[1.0, 0.0]));
    truth.is(&cells(&[2, 2], &[1.0, 0.0, 0.0, 1.0]));
    let case = || Case::new("OneHot", 11).of(INDEX, &vector(&[1.0, 0.0]));
    case().list(&[0]).list(&[0, 1]).refused("", "depth");
    case().list(&[3]).list(&[0, 1, 2]).refused("", "values");
    case()
        .list(&[3])
        .list(&[0, 1])
        .with(int("axis", 2))
        .refused("", "axis");
    let moving = case().input(INDEX, &vector(&[3.0])).list(&[0, 1]);
    moving.refused("", "constant");
}

#[test]
fn positions_of_what_is_not_zero() {
    let x = cells(&[2, 3], &[0.0, 1.5, 0.0, -2.0, 0.0, 3.0]);
    let y = cells(&[2, 3], &[0.0, 1.0, 1.0, 1.0, 0.0, 2.0]);
    Case::new("NonZero", 13).w(&x).is(&y);
    Case::new("NonZero", 13)
        .constant(INDEX, &x.mapv(f64::trunc))
        .is(&y);
    let truth = Case::new("NonZero", 13).constant(DataType::Bool, &vector(&[1.0, 0.0, 1.0]));
    truth.is(&cells(&[1, 2], &[0.0, 2.0]));
    Case::new("NonZero", 13)
        .input(DataType::Float, &x)
        .refused("UnsupportedOperator", "");
}
