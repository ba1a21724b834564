//! Convolutions and their transposes against loops over outputs and taps.

use crate::build::{int, ints, number, string};
use crate::case::{Case, Cells, fill, indices, inside, spread, vector};
use crate::windows::Windows;

/// `Y[n, m] = sum over channels and taps of X W + B`, in groups.
fn convolved(x: &Cells, w: &Cells, b: Option<&Cells>, groups: usize, windows: &Windows) -> Cells {
    let (channels, made) = (w.shape()[1], w.shape()[0]);
    let spatial = &x.shape()[2..];
    let mut shape = vec![x.shape()[0], made];
    shape.extend((0..spatial.len()).map(|a| windows.outputs(a, spatial[a])));
    fill(&shape, |at| {
        let first = at[1] / (made / groups) * channels;
        let mut sum = b.map_or(0.0, |b| b[at[1]]);
        for (tap, c) in windows
            .taps()
            .iter()
            .flat_map(|t| (0..channels).map(move |c| (t, c)))
        {
            let place = windows.position(&at[2..], tap);
            let read = [&[at[0] as i64, (first + c) as i64], &place[..]].concat();
            let weight = w[&*[&[at[1], c], &tap[..]].concat()];
            sum += inside(x, &read).unwrap_or(0.0) * weight;
        }
        sum
    })
}

#[test]
fn convolutions() {
    let two = || Windows::new(&[2, 3]);
    for (x, w, groups, windows) in [
        (
            &[2, 3, 8][..],
            &[2, 3, 3][..],
            1,
            Windows::new(&[3]).strides(&[2]),
        ),
        (
            &[1, 4, 8],
            &[6, 2, 2],
            2,
            Windows::new(&[2]).pads(&[1, 0]).dilations(&[3]),
        ),
        (&[1, 3, 5], &[3, 1, 1], 3, Windows::new(&[1])),
        (&[1, 2, 5, 6], &[3, 2, 2, 3], 1, two()),
        (
            &[2, 2, 5, 6],
            &[4, 1, 2, 3],
            2,
            two().strides(&[2, 1]).pads(&[1, 2, 0, 1]),
        ),
        (
            &[1, 2, 6, 7],
            &[2, 2, 2, 3],
            1,
            two().dilations(&[2, 3]).pads(&[2, 0, 2, 1]),
        ),
        (
            &[1, 1, 3, 4, 3],
            &[2, 1, 2, 2, 3],
            1,
            Windows::new(&[2, 2, 3]).pads(&[0, 1, 0, 1, 0, 1]),
        ),
    ] {
        let (x, w) = (spread(x), spread(w));
        let b = spread(&[w.shape()[0]]);
        let case = Case::new("Conv", 11)
            .x(&x)
            .w(&w)
            .with(int("group", groups as i64));
        let without = case.clone().all(&windows.attributes());
        without.is(&convolved(&x, &w, None, groups, &windows));
        let with = case.w(&b).all(&windows.attributes()[1..]);
        with.is(&convolved(&x, &w, Some(&b), groups, &windows));
    }
    // A bias may depend on the input; so may not a weight.
    let (x, w, b) = (
        spread(&[1, 2, 4]),
        spread(&[3, 2, 2]),
        vector(&[1.0, -2.0, 0.5]),
    );
    let case = Case::new("Conv", 11).x(&x);
    let y = convolved(&x, &w, Some(&b), 1, &Windows::new(&[2]));
    case.clone().w(&w).w(&b).is(&y);
    case.x(&w).refused("UnsupportedOperator", "constant");
}

#[test]
fn convolutions_that_pad_by_themselves() {
    for (x, w, strides, dilations) in [
        (&[1, 2, 7][..], &[2, 2, 4][..], &[1][..], &[1][..]),
        (&[1, 2, 7], &[2, 2, 3], &[2], &[2]),
        (&[1, 1, 5, 6], &[1, 1, 2, 3], &[2, 3], &[1, 1]),
        (&[1, 1, 4, 4], &[1, 1, 1, 1], &[3, 2], &[1, 1]),
    ] {
        let (x, w) = (spread(x), spread(w));
        let kernel: Vec<i64> = w.shape()[2..].iter().map(|&k| k as i64).collect();
        let windows = Windows::new(&kernel).strides(strides).dilations(dilations);
        for (mode, windows) in [
            ("SAME_UPPER", windows.clone().same(&x, true)),
            ("SAME_LOWER", windows.clone().same(&x, false)),
            ("VALID", windows.clone()),
            ("NOTSET", windows.clone()),
        ] {
            let case = Case::new("Conv", 11)
                .x(&x)
                .w(&w)
                .with(string("auto_pad", mode));
            let case = case
                .with(ints("strides", strides))
                .with(ints("dilations", dilations));
            case.is(&convolved(&x, &w, None, 1, &windows));
        }
    }
}

/// Each cell of the input adds its multiple of the kernel to the output.
fn transposed(x: &Cells, w: &Cells, groups: usize, windows: &Windows, spatial: &[usize]) -> Cells {
    let (channels, made) = (w.shape()[0] / groups, w.shape()[1]);
    let mut y = Cells::zeros([&[x.shape()[0], made * groups], spatial].concat());
    for at in indices(x.shape()) {
        let group = at[1] / channels;
        for (tap, m) in windows
            .taps()
            .iter()
            .flat_map(|t| (0..made).map(move |m| (t, m)))
        {
            let place = windows.position(&at[2..], tap);
            let place = [&[at[0] as i64, (group * made + m) as i64], &place[..]].concat();
            let place = place
                .iter()
                .map(|&i| usize::try_from(i).unwrap_or(usize::MAX));
            if let Some(cell) = y.get_mut(&*place.collect::<Vec<_>>()) {
                *cell += x[&*at] * w[&*[&[at[1], m], &tap[..]].concat()];
            }
        }
    }
    y
}

#[test]
fn transposed_convolutions() {
    for (x, w, groups, windows, more) in [
        (
            &[1, 2, 4][..],
            &[2, 3, 3][..],
            1,
            Windows::new(&[3]),
            &[0][..],
        ),
        (
            &[2, 2, 4],
            &[2, 1, 2],
            2,
            Windows::new(&[2]).strides(&[3]),
            &[2],
        ),
        (
            &[1, 1, 3, 4],
            &[1, 2, 2, 3],
            1,
            Windows::new(&[2, 3]).strides(&[2, 1]),
            &[1, 0],
        ),
        (
            &[1, 2, 3, 3],
            &[2, 1, 3, 2],
            1,
            Windows::new(&[3, 2]).pads(&[1, 0, 2, 1]),
            &[0, 0],
        ),
        (
            &[1, 4, 3, 3],
            &[4, 2, 2, 2],
            2,
            Windows::new(&[2, 2]).dilations(&[2, 3]),
            &[0, 0],
        ),
        (
            &[1, 1, 2, 2, 2],
            &[1, 1, 2, 1, 2],
            1,
            Windows::new(&[2, 1, 2]).strides(&[2, 2, 1]),
            &[0; 3],
        ),
    ] {
        let (x, w) = (spread(x), spread(w));
        let length = |a: usize| {
            let reach = windows.strides[a] * (x.shape()[a + 2] as i64 - 1) + windows.extent(a);
            (reach + more[a] - windows.before[a] - windows.after[a]) as usize
        };
        let spatial: Vec<usize> = (0..windows.kernel.len()).map(length).collect();
        let mut y = transposed(&x, &w, groups, &windows, &spatial);
        let case = Case::new("ConvTranspose", 11).x(&x).w(&w);
        let case = case
            .with(int("group", groups as i64))
            .all(&windows.attributes());
        let case = case.with(ints("output_padding", more));
        case.is(&y);
        let b = spread(&[w.shape()[1] * groups]);
        for (at, cell) in indices(y.shape()).iter().zip(&mut y) {
            *cell += b[at[1]];
        }
        case.w(&b).is(&y);
    }
}

/// The output's length decides about the pads, of which the larger is at the end for `SAME_UPPER`,
/// else at the beginning.
#[test]
fn transposed_convolutions_of_a_given_length() {
    let (x, w) = (spread(&[1, 1, 4]), spread(&[1, 2, 3]));
    let case = || {
        let case = Case::new("ConvTranspose", 11).x(&x).w(&w);
        case.with(ints("strides", &[2]))
    };
    let expected = |n: usize, before: i64| {
        let windows = Windows::new(&[3]).strides(&[2]).pads(&[before, 0]);
        transposed(&x, &w, 1, &windows, &[n])
    };
    let shape = |n: i64| ints("output_shape", &[n]);
    let mode = |mode: &str| string("auto_pad", mode);
    for (n, upper, other) in [(9, 0, 0), (8, 0, 1), (7, 1, 1), (6, 1, 2)] {
        case().with(shape(n)).is(&expected(n as usize, other));
        let same = case().with(mode("SAME_UPPER")).with(shape(n));
        same.is(&expected(n as usize, upper));
        let same = case().with(mode("SAME_LOWER")).with(shape(n));
        same.is(&expected(n as usize, other));
    }
    case().with(mode("SAME_UPPER")).is(&expected(8, 0));
    case().with(mode("SAME_LOWER")).is(&expected(8, 1));
    case().with(mode("VALID")).is(&expected(9, 0));
}

#[test]
fn convolutions_that_are_refused() {
    let x = spread(&[1, 2, 5, 5]);
    let conv = |w: &[usize]| Case::new("Conv", 11).x(&x).w(&spread(w));
    conv(&[2, 3, 2, 2]).refused("", "");
    conv(&[2, 2, 2]).refused("", "");
    conv(&[3, 1, 2, 2]).with(int("group", 2)).refused("", "");
    conv(&[2, 2, 2, 2])
        .with(int("group", 0))
        .refused("", "group");
    conv(&[2, 2, 2, 2])
        .with(ints("kernel_shape", &[3, 2]))
        .refused("", "");
    conv(&[2, 2, 2, 2]).w(&spread(&[3])).refused("", "");
    let far = conv(&[2, 2, 2, 2]).with(number("alpha", 1.0));
    far.refused("BadAttribute", "alpha");
}
