//! Operators that move cells, against the index that the standard says is read.

use candle_onnx::onnx::tensor_proto::DataType;

use crate::build::{int, ints, string};
use crate::case::{Case, Cells, fill, scalar, spread};

/// The cells in another shape.
fn viewed(x: &Cells, shape: &[usize]) -> Cells {
    x.to_shape(shape).expect("as many cells").to_owned()
}

#[test]
fn shapes_are_given_by_lists() {
    for (from, list, to) in [
        (&[2, 3, 4][..], &[4, 6][..], &[4, 6][..]),
        (&[2, 3, 4], &[-1], &[24]),
        (&[2, 3, 4], &[0, -1], &[2, 12]),
        (&[2, 3, 4], &[3, 0, 0, -1], &[3, 3, 4, 1]),
        (&[2, 3, 4], &[0, 0, 2, 2], &[2, 3, 2, 2]),
        (&[1], &[], &[]),
        (&[], &[1, -1, 1], &[1, 1, 1]),
        (&[6], &[2, 3, 1], &[2, 3, 1]),
    ] {
        let x = spread(from);
        if to.iter().product::<usize>() == x.len() && !list.starts_with(&[3, 0]) {
            for opset in [5, 13, 14].into_iter().filter(|&opset| opset > 6) {
                Case::new("Reshape", opset)
                    .x(&x)
                    .list(list)
                    .is(&viewed(&x, to));
            }
        } else {
            Case::new("Reshape", 13)
                .x(&x)
                .list(list)
                .refused("Shape", "");
        }
    }
    let case = |list: &[i64]| Case::new("Reshape", 14).x(&spread(&[2, 3])).list(list);
    case(&[4, 2]).refused("Shape", "");
    case(&[-1, -1]).refused("Shape", "");
    case(&[-1, 4]).refused("Shape", "");
    case(&[-2, 3]).refused("Shape", "");
    case(&[2, 3, 0]).refused("Shape", "");
    // A zero is a length itself with the attribute.
    case(&[0, 3]).with(int("allowzero", 1)).refused("Shape", "");
    case(&[3, 2])
        .with(int("allowzero", 1))
        .is(&viewed(&spread(&[2, 3]), &[3, 2]));
}

#[test]
fn matrices_of_tensors() {
    let x = spread(&[2, 3, 4, 5]);
    for (axis, shape) in [
        (0, [1, 120]),
        (1, [2, 60]),
        (2, [6, 20]),
        (3, [24, 5]),
        (4, [120, 1]),
        (-1, [24, 5]),
        (-4, [1, 120]),
    ] {
        let case = Case::new("Flatten", 13).x(&x).with(int("axis", axis));
        case.is(&viewed(&x, &shape));
    }
    Case::new("Flatten", 9).x(&x).is(&viewed(&x, &[2, 60]));
    Case::new("Flatten", 13)
        .x(&spread(&[3]))
        .is(&viewed(&spread(&[3]), &[3, 1]));
    let scalar = Case::new("Flatten", 13)
        .x(&spread(&[]))
        .with(int("axis", 0));
    scalar.is(&viewed(&spread(&[]), &[1, 1]));
    for axis in [5, -5] {
        Case::new("Flatten", 13)
            .x(&x)
            .with(int("axis", axis))
            .refused("", "axis");
    }
}

#[test]
fn axes_of_length_one() {
    for (from, axes, to) in [
        (&[1, 3, 1][..], Some(&[0][..]), &[3, 1][..]),
        (&[1, 3, 1], Some(&[-1]), &[1, 3]),
        (&[1, 3, 1], Some(&[2, 0]), &[3]),
        (&[1, 3, 1, 1], Some(&[-2]), &[1, 3, 1]),
        (&[1, 3, 1], None, &[3]),
        (&[1, 1], None, &[]),
        (&[3], None, &[3]),
    ] {
        let x = spread(from);
        let y = viewed(&x, to);
        if let Some(axes) = axes {
            let listed = ints("axes", axes);
            Case::new("Squeeze", 11).x(&x).with(listed.clone()).is(&y);
            Case::new("Squeeze", 13).x(&x).list(axes).is(&y);
            Case::new("Unsqueeze", 21).x(&y).list(axes).is(&x);
            Case::new("Unsqueeze", 11).x(&y).with(listed).is(&x);
        } else {
            Case::new("Squeeze", 11).x(&x).is(&y);
            Case::new("Squeeze", 13).x(&x).is(&y);
        }
    }
    let x = spread(&[1, 3]);
    Case::new("Squeeze", 13)
        .x(&x)
        .list(&[1])
        .refused("Shape", "");
    Case::new("Squeeze", 13)
        .x(&x)
        .list(&[2])
        .refused("", "axis");
    Case::new("Unsqueeze", 13)
        .x(&x)
        .list(&[3])
        .refused("", "axis");
    Case::new("Unsqueeze", 13)
        .x(&x)
        .list(&[0, 0])
        .refused("", "");
    Case::new("Unsqueeze", 13)
        .x(&x)
        .list(&[0, -4])
        .refused("", "");
    Case::new("Unsqueeze", 13).x(&x).refused("", "");
}

#[test]
fn axes_in_another_order() {
    for (shape, perm) in [
        (&[2, 3][..], &[1, 0][..]),
        (&[2, 3, 4], &[2, 0, 1]),
        (&[2, 3, 4], &[0, 2, 1]),
        (&[2, 1, 3, 2], &[3, 1, 0, 2]),
        (&[3], &[0]),
    ] {
        let x = spread(shape);
        let to: Vec<usize> = perm.iter().map(|&a| shape[a as usize]).collect();
        let y = fill(&to, |at| {
            let mut from = vec![0; at.len()];
            perm.iter()
                .zip(at)
                .for_each(|(&axis, &i)| from[axis as usize] = i);
            x[&*from]
        });
        Case::new("Transpose", 13)
            .x(&x)
            .with(ints("perm", perm))
            .is(&y);
    }
    let x = spread(&[2, 3, 4]);
    let reversed = fill(&[4, 3, 2], |at| x[[at[2], at[1], at[0]]]);
    Case::new("Transpose", 13).x(&x).is(&reversed);
    Case::new("Transpose", 13).x(&scalar(2.5)).is(&scalar(2.5));
    for perm in [&[0, 1][..], &[0, 1, 1], &[0, 1, 3], &[0, 1, -1]] {
        Case::new("Transpose", 13)
            .x(&x)
            .with(ints("perm", perm))
            .refused("", "");
    }
}

#[test]
fn tensors_side_by_side() {
    for (shapes, axis) in [
        (&[[2, 3], [4, 3]][..], 0),
        (&[[2, 3], [2, 1], [2, 2]], 1),
        (&[[2, 1], [2, 3]], -1),
        (&[[1, 3], [2, 3]], -2),
        (&[[2, 2]], 1),
    ] {
        let parts: Vec<Cells> = shapes
            .iter()
            .map(|s| spread(s).mapv(|x| x + s[1] as f64))
            .collect();
        let own = usize::from(axis == 1 || axis == -1);
        let mut shape = shapes[0];
        shape[own] = shapes.iter().map(|s| s[own]).sum();
        let y = fill(&shape, |at| {
            let mut at = [at[0], at[1]];
            let mut parts = parts.iter();
            loop {
                let part = parts.next().expect("one of the parts");
                let Some(behind) = at[own].checked_sub(part.shape()[own]) else {
                    return part[at];
                };
                at[own] = behind;
            }
        });
        let case = parts.iter().fold(Case::new("Concat", 13), Case::x);
        case.with(int("axis", axis)).is(&y);
    }
    let case = |b: &[usize]| Case::new("Concat", 13).x(&spread(&[2, 3])).x(&spread(b));
    case(&[2, 3]).refused("BadAttribute", "axis");
    case(&[3, 2]).with(int("axis", 1)).refused("Shape", "");
    case(&[2, 3, 1]).with(int("axis", 1)).refused("Shape", "");
    case(&[2, 3]).with(int("axis", 2)).refused("", "axis");
    Case::new("Concat", 13).with(int("axis", 0)).refused("", "");
}

#[test]
fn repeated_cells() {
    for (shape, repeats) in [
        (&[2, 3][..], &[1, 1][..]),
        (&[2, 3], &[2, 1]),
        (&[2, 3], &[3, 2]),
        (&[1, 2, 1], &[2, 1, 3]),
        (&[3], &[4]),
    ] {
        let x = spread(shape);
        let to: Vec<usize> = shape
            .iter()
            .zip(repeats)
            .map(|(n, &r)| n * r as usize)
            .collect();
        let y = fill(&to, |at| {
            x[&*at.iter().zip(shape).map(|(i, n)| i % n).collect::<Vec<_>>()]
        });
        Case::new("Tile", 13).x(&x).list(repeats).is(&y);
    }
    let case = |list: &[i64]| Case::new("Tile", 13).x(&spread(&[2, 3])).list(list);
    case(&[2]).refused("", "");
    case(&[2, -1]).refused("", "");
    for (shape, wanted, to) in [
        (&[2, 1][..], &[2, 3][..], &[2, 3][..]),
        (&[3], &[2, 3], &[2, 3]),
        (&[2, 3], &[1], &[2, 3]),
        (&[2, 1, 3], &[4, 1], &[2, 4, 3]),
        (&[], &[2, 2], &[2, 2]),
        (&[1], &[], &[1]),
        (&[1, 4], &[3, 1, 1], &[3, 1, 4]),
    ] {
        let x = spread(shape);
        let y = crate::case::combined(&x, &Cells::zeros(to), |x, _| x);
        Case::new("Expand", 13).x(&x).list(wanted).is(&y);
    }
    let case = |list: &[i64]| Case::new("Expand", 13).x(&spread(&[2, 3])).list(list);
    case(&[4, 3]).refused("Shape", "");
    case(&[2, -1]).refused("Shape", "");
}

#[test]
fn blocks_of_images() {
    let x = spread(&[2, 12, 2, 3]);
    let (b, c) = (2, 3);
    let depth = |column_first: bool| {
        fill(&[2, 3, 4, 6], |at| {
            let (h, dh, w, dw) = (at[2] / b, at[2] % b, at[3] / b, at[3] % b);
            let channel = if column_first {
                at[1] * b * b + dh * b + dw
            } else {
                (dh * b + dw) * c + at[1]
            };
            x[[at[0], channel, h, w]]
        })
    };
    let case = |op: &str, x: &Cells| Case::new(op, 13).x(x).with(int("blocksize", 2));
    case("DepthToSpace", &x).is(&depth(false));
    case("DepthToSpace", &x)
        .with(string("mode", "DCR"))
        .is(&depth(false));
    case("DepthToSpace", &x)
        .with(string("mode", "CRD"))
        .is(&depth(true));
    case("SpaceToDepth", &depth(false)).is(&x);
    let narrow = spread(&[1, 9, 1, 2]);
    let y = fill(&[1, 1, 3, 6], |at| {
        narrow[[0, at[2] * 3 + at[3] % 3, 0, at[3] / 3]]
    });
    let three = Case::new("DepthToSpace", 11)
        .x(&narrow)
        .with(int("blocksize", 3));
    three.is(&y);
    case("DepthToSpace", &spread(&[1, 6, 2, 2])).refused("", "");
    case("SpaceToDepth", &spread(&[1, 1, 3, 2])).refused("", "");
    case("DepthToSpace", &spread(&[4, 2, 2])).refused("", "");
    case("DepthToSpace", &x)
        .with(string("mode", "RCD"))
        .refused("BadAttribute", "mode");
    for size in [0, -2] {
        let case = Case::new("SpaceToDepth", 13)
            .x(&x)
            .with(int("blocksize", size));
        case.refused("BadAttribute", "blocksize");
    }
}

#[test]
fn sequences_in_reverse() {
    let x = spread(&[4, 3, 2]);
    let lengths = [3, 1, 4];
    let y = fill(x.shape(), |at| {
        let n = lengths[at[1]] as usize;
        let t = if at[0] < n { n - 1 - at[0] } else { at[0] };
        x[[t, at[1], at[2]]]
    });
    let case = |x: &Cells| Case::new("ReverseSequence", 10).x(x);
    case(&x).list(&lengths).is(&y);
    let turned = |x: &Cells| fill(&[3, 4, 2], |at| x[[at[1], at[0], at[2]]]);
    let batch = case(&turned(&x)).list(&lengths);
    batch
        .with(int("batch_axis", 0))
        .with(int("time_axis", 1))
        .is(&turned(&y));
    case(&x).list(&[3, 1]).refused("", "lengths");
    case(&x).list(&[3, 1, 5]).refused("", "");
    case(&x).list(&[3, -1, 2]).refused("", "");
    case(&x)
        .list(&lengths)
        .with(int("time_axis", 1))
        .refused("", "");
}

#[test]
fn triangles_and_diagonals() {
    for (shape, k) in [
        (&[3, 4][..], None),
        (&[3, 4], Some(1)),
        (&[3, 4], Some(-2)),
        (&[2, 3, 3], Some(0)),
        (&[2, 3, 3], Some(7)),
        (&[1, 3], Some(-9)),
    ] {
        let x = spread(shape);
        for upper in [0, 1] {
            let rank = shape.len();
            let y = fill(shape, |at| {
                let above = at[rank - 1] as i64 - at[rank - 2] as i64 - k.unwrap_or(0);
                let kept = if upper == 1 { above >= 0 } else { above <= 0 };
                if kept { x[at] } else { 0.0 }
            });
            let case = Case::new("Trilu", 14).x(&x).with(int("upper", upper));
            match k {
                Some(k) => case.constant(DataType::Int64, &scalar(k as f64)).is(&y),
                None => case.is(&y),
            }
        }
        let [rows, columns] = *shape else { continue };
        let k = k.unwrap_or(0);
        let eye = fill(&[rows, columns], |at| {
            f64::from(at[1] as i64 - at[0] as i64 == k)
        });
        Case::new("EyeLike", 9).x(&x).with(int("k", k)).is(&eye);
        Case::new("EyeLike", 9)
            .x(&x)
            .with(int("k", k))
            .with(int("dtype", 7))
            .is(&eye);
    }
    let case = Case::new("Trilu", 14).x(&spread(&[3]));
    case.refused("Shape", "");
    Case::new("EyeLike", 9)
        .x(&spread(&[3]))
        .refused("Shape", "");
}
