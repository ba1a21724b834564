//! Parts of tensors and cells around them, against the index that the standard says is read.

use candle_onnx::onnx::tensor_proto::DataType;

use crate::build::{int, ints, number, string};
use crate::case::{Case, fill, scalar, spread, vector};

#[test]
fn parts_of_an_axis() {
    let x = spread(&[2, 7, 3]);
    let part = |axis: usize, from: usize, n: usize| {
        let mut shape = x.shape().to_vec();
        shape[axis] = n;
        fill(&shape, |at| {
            let mut at = at.to_vec();
            at[axis] += from;
            x[&*at]
        })
    };
    let all = |axis: usize, lengths: &[usize]| {
        let mut from = 0;
        let part = |&n: &usize| {
            from += n;
            part(axis, from - n, n)
        };
        lengths.iter().map(part).collect::<Vec<_>>()
    };
    for (axis, written, lengths) in [
        (1, 1, &[2, 4, 1][..]),
        (1, -2, &[7]),
        (2, -1, &[1, 2]),
        (0, 0, &[1, 1]),
    ] {
        let list: Vec<i64> = lengths.iter().map(|&n| n as i64).collect();
        let case = |opset| {
            Case::new("Split", opset)
                .x(&x)
                .with(int("axis", written))
                .outputs(lengths.len())
        };
        case(11)
            .with(ints("split", &list))
            .gives(&all(axis, lengths));
        case(13).list(&list).gives(&all(axis, lengths));
        case(18).list(&list).gives(&all(axis, lengths));
    }
    // Equal parts; since opset 18 the last one may be shorter.
    Case::new("Split", 13)
        .x(&x)
        .outputs(2)
        .gives(&all(0, &[1, 1]));
    let thirds = Case::new("Split", 11).x(&x).outputs(3).with(int("axis", 2));
    thirds.gives(&all(2, &[1, 1, 1]));
    for (count, lengths) in [
        (2, &[4, 3][..]),
        (3, &[3, 3, 1]),
        (4, &[2, 2, 2, 1]),
        (7, &[1; 7]),
    ] {
        let case = Case::new("Split", 18)
            .x(&x)
            .with(int("axis", 1))
            .outputs(count);
        case.with(int("num_outputs", count as i64))
            .gives(&all(1, lengths));
    }
    let case = |opset| {
        Case::new("Split", opset)
            .x(&x)
            .with(int("axis", 1))
            .outputs(2)
    };
    case(13).refused("", "");
    case(13).list(&[3, 3]).refused("", "");
    case(13).list(&[9, -2]).refused("", "");
    case(13).list(&[3, 2, 2]).refused("", "");
    case(18)
        .with(int("num_outputs", 3))
        .refused("Shape", "3 parts for 2 outputs");
}

/// The positions that a slice reads, by the standard's clamping.
fn positions(start: i64, end: i64, step: i64, n: i64) -> Vec<usize> {
    let from_end = |i: i64| if i < 0 { i + n } else { i };
    let (lo, hi) = if step > 0 { (0, n) } else { (-1, n - 1) };
    let first = if step > 0 { 0 } else { 0.min(n - 1) };
    let (mut at, end) = (
        from_end(start).clamp(first.min(lo.max(0)), hi),
        from_end(end).clamp(lo, n),
    );
    let mut list = vec![];
    while (step > 0 && at < end) || (step < 0 && at > end) {
        list.push(at as usize);
        at += step;
    }
    list
}

#[test]
fn slices() {
    let x = spread(&[6, 3]);
    let (max, min) = (i64::MAX, i64::MIN);
    for (start, end, step) in [
        (0, 6, 1),
        (1, 4, 1),
        (-3, -1, 1),
        (-9, 2, 1),
        (2, max, 1),
        (0, 100, 4),
        (1, 6, 2),
        (5, 0, -1),
        (-1, min, -1),
        (max, min, -2),
        (4, 1, -2),
        (-2, -6, -3),
        (0, 1, max),
        (5, -100, -5),
        (3, 2 - 6, -1),
    ] {
        let list = positions(start, end, step, 6);
        let y = fill(&[list.len(), 3], |at| x[[list[at[0]], at[1]]]);
        assert!(
            !list.is_empty() || (start, end) == (3, -4),
            "{start} {end} {step}"
        );
        let case = |axis: i64| {
            let case = Case::new("Slice", 13).x(&x).list(&[start]).list(&[end]);
            case.list(&[axis]).list(&[step])
        };
        if list.is_empty() {
            continue;
        }
        case(0).is(&y);
        case(-2).is(&y);
        if step == 1 {
            let case = Case::new("Slice", 9).x(&x).with(ints("starts", &[start]));
            let case = case.with(ints("ends", &[end]));
            case.clone().is(&y);
            case.with(ints("axes", &[0])).is(&y);
            let case = Case::new("Slice", 10).x(&x).list(&[start]).list(&[end]);
            case.clone().is(&y);
            case.none().list(&[1]).is(&y);
        }
    }
    // Several axes, in any order.
    let x = spread(&[3, 4, 5]);
    let case = Case::new("Slice", 13)
        .x(&x)
        .list(&[1, -2, 4])
        .list(&[4, 9, 0]);
    let y = fill(&[2, 3, 2], |at| x[[at[0] + 1, at[1] + 1, 4 - 2 * at[2]]]);
    case.list(&[1, 0, -1]).list(&[1, 1, -2]).is(&y);
    let case = |axes: &[i64], steps: &[i64]| {
        let case = Case::new("Slice", 13).x(&x).list(&[0, 0]).list(&[1, 1]);
        case.list(axes).list(steps)
    };
    case(&[0, 0], &[1, 1]).refused("", "");
    case(&[0, 3], &[1, 1]).refused("", "axis");
    case(&[0], &[1, 1]).refused("", "");
    case(&[0, 1], &[1, 0]).refused("", "step");
    let moving = Case::new("Slice", 13)
        .x(&x)
        .input(DataType::Int64, &vector(&[0.0]))
        .list(&[2]);
    moving.refused("", "constant");
}

/// The position that a padded axis reads, step by step; `None` is the constant.
fn source(mode: &str, i: i64, n: i64) -> Option<i64> {
    let mut at = i;
    while at < 0 || at >= n {
        at = match mode {
            "constant" => return None,
            "edge" => at.clamp(0, n - 1),
            "wrap" if at < 0 => at + n,
            "wrap" => at - n,
            _ if at < 0 => -at,
            _ => 2 * (n - 1) - at,
        };
    }
    Some(at)
}

#[test]
fn padding() {
    for (shape, pads) in [
        (&[5][..], &[2, 1][..]),
        (&[5], &[-1, 2]),
        (&[3, 4], &[1, 2, 0, 3]),
        (&[3, 4], &[0, -2, 2, 1]),
        (&[2, 2, 3], &[0, 1, 2, 0, 0, 1]),
        (&[3], &[7, 5]),
        (&[1, 3], &[0, -1, 0, -1]),
    ] {
        let (x, rank) = (spread(shape), shape.len());
        let to: Vec<usize> = (0..rank)
            .map(|a| (shape[a] as i64 + pads[a] + pads[a + rank]) as usize)
            .collect();
        for mode in ["constant", "reflect", "edge", "wrap"] {
            let y = |value: f64| {
                fill(&to, |at| {
                    let read =
                        (0..rank).map(|a| source(mode, at[a] as i64 - pads[a], shape[a] as i64));
                    let read = read.map(|i| i.map(|i| i as usize));
                    read.collect::<Option<Vec<_>>>().map_or(value, |at| x[&*at])
                })
            };
            let case = |opset| Case::new("Pad", opset).x(&x).with(string("mode", mode));
            case(19).list(pads).is(&y(0.0));
            if mode != "wrap" {
                case(7).with(ints("pads", pads)).is(&y(0.0));
                case(11).list(pads).is(&y(0.0));
            }
            if mode == "constant" {
                case(7)
                    .with(ints("pads", pads))
                    .with(number("value", 2.5))
                    .is(&y(2.5));
                case(13).list(pads).w(&scalar(-1.5)).is(&y(-1.5));
                case(13).list(pads).w(&vector(&[-1.5])).is(&y(-1.5));
            }
        }
    }
    // Only some axes, in any order.
    let x = spread(&[2, 3, 4]);
    let y = fill(&[2, 3, 7], |at| {
        if (1..5).contains(&at[2]) {
            x[[at[0], at[1], at[2] - 1]]
        } else {
            0.0
        }
    });
    Case::new("Pad", 18)
        .x(&x)
        .list(&[1, 2])
        .none()
        .list(&[-1])
        .is(&y);
    let y = fill(&[4, 3, 5], |at| {
        if at[0] > 1 && at[2] > 0 {
            x[[at[0] - 2, at[1], at[2] - 1]]
        } else {
            9.0
        }
    });
    Case::new("Pad", 18)
        .x(&x)
        .list(&[1, 2, 0, 0])
        .w(&scalar(9.0))
        .list(&[2, 0])
        .is(&y);
    let whole = Case::new("Pad", 13)
        .of(DataType::Int64, &vector(&[1.0, 2.0]))
        .list(&[1, 0]);
    whole
        .constant(DataType::Int64, &scalar(7.0))
        .is(&vector(&[7.0, 1.0, 2.0]));
    let case = |pads: &[i64]| Case::new("Pad", 18).x(&spread(&[2, 3])).list(pads);
    case(&[1, 1]).refused("", "two amounts");
    case(&[0, 0, 0, -4]).refused("", "");
    case(&[0, 0, 0, 1])
        .with(string("mode", "circular"))
        .refused("BadAttribute", "circular");
    case(&[0, 0, 0, 1])
        .with(string("mode", "wrap"))
        .refused("BadAttribute", "wrap");
    case(&[0, 0, 0, 1])
        .w(&scalar(f64::NAN))
        .refused("NonFinite", "NaN");
    case(&[0, 1]).none().list(&[2]).refused("", "axis");
    case(&[0, 0, 1, 1]).none().list(&[1, 1]).refused("", "");
}

#[test]
fn cells_that_a_condition_keeps() {
    let x = spread(&[2, 3]);
    let case = |list: &[f64]| {
        Case::new("Compress", 11)
            .x(&x)
            .constant(DataType::Bool, &vector(list))
    };
    let y = fill(&[2, 2], |at| x[[at[0], 2 * at[1]]]);
    case(&[1.0, 0.0, 1.0]).with(int("axis", 1)).is(&y);
    case(&[1.0, 0.0, 1.0]).with(int("axis", -1)).is(&y);
    case(&[0.0, 1.0])
        .with(int("axis", 0))
        .is(&fill(&[1, 3], |at| x[[1, at[1]]]));
    case(&[0.0, 1.0])
        .with(int("axis", 1))
        .is(&fill(&[2, 1], |at| x[[at[0], 1]]));
    let flat = vector(&[x[[0, 1]], x[[1, 0]], x[[1, 1]]]);
    case(&[0.0, 1.0, 0.0, 1.0, 1.0]).is(&flat);
    case(&[1.0, 0.0, 1.0])
        .with(int("axis", 2))
        .refused("", "axis");
    case(&[1.0; 3]).with(int("axis", 0)).refused("", "");
    let moving = Case::new("Compress", 11)
        .x(&x)
        .input(DataType::Bool, &vector(&[1.0, 0.0]));
    moving.refused("", "constant");
}
