//! Pools against loops over outputs and taps.

use candle_onnx::onnx::AttributeProto;
use candle_onnx::onnx::tensor_proto::DataType;

use crate::build::{int, ints, string};
use crate::case::{Case, Cells, cells, fill, indices, inside, spread};

/// How windows move along the spatial axes.
#[derive(Clone)]
pub(crate) struct Windows {
    pub(crate) kernel: Vec<i64>,
    pub(crate) strides: Vec<i64>,
    pub(crate) dilations: Vec<i64>,
    pub(crate) before: Vec<i64>,
    pub(crate) after: Vec<i64>,
    ceil: bool,
}

impl Windows {
    pub(crate) fn new(kernel: &[i64]) -> Self {
        let n = kernel.len();
        Self {
            kernel: kernel.to_vec(),
            strides: vec![1; n],
            dilations: vec![1; n],
            before: vec![0; n],
            after: vec![0; n],
            ceil: false,
        }
    }

    pub(crate) fn strides(mut self, strides: &[i64]) -> Self {
        self.strides = strides.to_vec();
        self
    }

    pub(crate) fn dilations(mut self, dilations: &[i64]) -> Self {
        self.dilations = dilations.to_vec();
        self
    }

    /// The pads before all axes, then those after.
    pub(crate) fn pads(mut self, pads: &[i64]) -> Self {
        let (before, after) = pads.split_at(self.kernel.len());
        (self.before, self.after) = (before.to_vec(), after.to_vec());
        self
    }

    fn ceil(mut self) -> Self {
        self.ceil = true;
        self
    }

    /// The pads of `auto_pad` SAME: as many outputs as strides begin inside of the input.
    pub(crate) fn same(mut self, x: &Cells, upper: bool) -> Self {
        for axis in 0..self.kernel.len() {
            let n = x.shape()[axis + 2] as i64;
            let outputs = (n + self.strides[axis] - 1) / self.strides[axis];
            let covered = (outputs - 1) * self.strides[axis] + self.extent(axis);
            let total = (covered - n).max(0);
            self.before[axis] = i64::midpoint(total, i64::from(!upper));
            self.after[axis] = total - self.before[axis];
        }
        self
    }

    pub(crate) fn extent(&self, axis: usize) -> i64 {
        self.dilations[axis] * (self.kernel[axis] - 1) + 1
    }

    pub(crate) fn outputs(&self, axis: usize, n: usize) -> usize {
        let n = n as i64;
        let room = n + self.before[axis] + self.after[axis] - self.extent(axis);
        let stride = self.strides[axis];
        if !self.ceil {
            return (room / stride + 1) as usize;
        }
        let outputs = (room + stride - 1) / stride + 1;
        // A window that would begin in the padding behind the input is left out.
        let begins = (outputs - 1) * stride;
        (outputs - i64::from(begins >= n + self.before[axis])) as usize
    }

    /// The position that a tap of an output reads.
    pub(crate) fn position(&self, output: &[usize], tap: &[usize]) -> Vec<i64> {
        let axes = 0..self.kernel.len();
        let position = axes.map(|a| {
            let at = output[a] as i64 * self.strides[a] + tap[a] as i64 * self.dilations[a];
            at - self.before[a]
        });
        position.collect()
    }

    pub(crate) fn taps(&self) -> Vec<Vec<usize>> {
        let kernel: Vec<usize> = self.kernel.iter().map(|&k| k as usize).collect();
        indices(&kernel)
    }

    /// What `f` makes of each window: the cells inside of the input, and how many taps are inside
    /// of the input or the declared padding.
    fn over(&self, x: &Cells, f: impl Fn(&[f64], usize) -> f64) -> Cells {
        let spatial = &x.shape()[2..];
        let mut shape = x.shape()[..2].to_vec();
        shape.extend((0..spatial.len()).map(|a| self.outputs(a, spatial[a])));
        fill(&shape, |at| {
            let (mut read, mut declared) = (vec![], 0);
            for tap in self.taps() {
                let place = self.position(&at[2..], &tap);
                let full = [&[at[0] as i64, at[1] as i64], &place[..]].concat();
                read.extend(inside(x, &full));
                let within = |a: usize| {
                    place[a] >= -self.before[a] && place[a] < spatial[a] as i64 + self.after[a]
                };
                declared += usize::from((0..place.len()).all(within));
            }
            f(&read, declared)
        })
    }

    pub(crate) fn attributes(&self) -> Vec<AttributeProto> {
        let pads = [&self.before[..], &self.after].concat();
        let mut list = vec![ints("kernel_shape", &self.kernel), ints("pads", &pads)];
        if self.strides.iter().any(|&s| s != 1) {
            list.push(ints("strides", &self.strides));
        }
        if self.dilations.iter().any(|&d| d != 1) {
            list.push(ints("dilations", &self.dilations));
        }
        if self.ceil {
            list.push(int("ceil_mode", 1));
        }
        list
    }
}

fn most(read: &[f64], _: usize) -> f64 {
    read.iter().copied().fold(f64::NEG_INFINITY, f64::max)
}

fn mean(read: &[f64], _: usize) -> f64 {
    read.iter().sum::<f64>() / read.len() as f64
}

fn padded_mean(read: &[f64], declared: usize) -> f64 {
    read.iter().sum::<f64>() / declared as f64
}

fn norm(p: i32) -> impl Fn(&[f64], usize) -> f64 {
    move |read, _| {
        let sum = read.iter().map(|x| x.abs().powi(p)).sum::<f64>();
        sum.powf(1.0 / f64::from(p))
    }
}

/// Inputs and windows on one, two and three axes.
fn moves() -> Vec<(Cells, Windows)> {
    let (line, image) = (spread(&[2, 2, 7]), spread(&[1, 2, 5, 6]));
    let solid = spread(&[1, 1, 4, 3, 5]);
    let two = || Windows::new(&[2, 3]);
    vec![
        (line.clone(), Windows::new(&[1])),
        (line.clone(), Windows::new(&[3]).strides(&[2])),
        (line.clone(), Windows::new(&[7])),
        (line.clone(), Windows::new(&[2]).strides(&[5]).ceil()),
        (line.clone(), Windows::new(&[3]).pads(&[2, 1])),
        (line.clone(), Windows::new(&[3]).pads(&[0, 2]).strides(&[3])),
        (line, Windows::new(&[3]).pads(&[1, 1]).strides(&[4]).ceil()),
        (image.clone(), two()),
        (image.clone(), two().strides(&[3, 2])),
        (image.clone(), two().pads(&[1, 0, 0, 2])),
        (image.clone(), two().strides(&[2, 3]).ceil()),
        (image, two().strides(&[2, 2]).pads(&[1, 2, 1, 1]).ceil()),
        (solid.clone(), Windows::new(&[2, 1, 3])),
        (
            solid,
            Windows::new(&[2, 2, 2])
                .pads(&[1, 0, 1, 0, 1, 0])
                .strides(&[2, 1, 3]),
        ),
    ]
}

#[test]
fn maxima_means_and_norms() {
    for (x, windows) in moves() {
        let case = |op: &str| Case::new(op, 22).x(&x).all(&windows.attributes());
        case("MaxPool").is(&windows.over(&x, most));
        case("AveragePool").is(&windows.over(&x, mean));
        let include = int("count_include_pad", 1);
        case("AveragePool")
            .with(include)
            .is(&windows.over(&x, padded_mean));
        case("LpPool").is(&windows.over(&x, norm(2)));
        for p in [1, 3, 4] {
            let case = case("LpPool").with(int("p", p)).within(1e-4);
            case.is(&windows.over(&x, norm(p as i32)));
        }
    }
}

#[test]
fn dilated_pools() {
    let x = spread(&[1, 2, 6, 7]);
    let dilated = || Windows::new(&[2, 3]).dilations(&[3, 2]);
    for windows in [
        dilated(),
        dilated().strides(&[2, 1]),
        dilated().pads(&[1, 1, 0, 1]),
        dilated().pads(&[0, 1, 1, 1]).strides(&[2, 2]).ceil(),
    ] {
        let case = |op: &str| Case::new(op, 19).x(&x).all(&windows.attributes());
        case("MaxPool").is(&windows.over(&x, most));
        case("AveragePool").is(&windows.over(&x, mean));
        case("LpPool").is(&windows.over(&x, norm(2)));
    }
}

#[test]
fn pads_that_follow_from_the_stride() {
    for (shape, kernel, strides) in [
        (&[1, 1, 6][..], &[3][..], &[1][..]),
        (&[1, 1, 6], &[4], &[1]),
        (&[2, 1, 7], &[2], &[3]),
        (&[1, 2, 5, 6], &[2, 3], &[2, 2]),
        (&[1, 2, 5, 6], &[4, 2], &[1, 3]),
    ] {
        let x = spread(shape);
        for (mode, upper) in [("SAME_UPPER", true), ("SAME_LOWER", false)] {
            let windows = Windows::new(kernel).strides(strides).same(&x, upper);
            let case = |op: &str| {
                let case = Case::new(op, 13).x(&x).with(string("auto_pad", mode));
                case.with(ints("kernel_shape", kernel))
                    .with(ints("strides", strides))
            };
            case("MaxPool").is(&windows.over(&x, most));
            case("AveragePool").is(&windows.over(&x, mean));
            let include = int("count_include_pad", 1);
            case("AveragePool")
                .with(include)
                .is(&windows.over(&x, padded_mean));
        }
        let plain = Windows::new(kernel).strides(strides);
        let valid = |op: &str| {
            let case = Case::new(op, 13).x(&x).with(string("auto_pad", "VALID"));
            case.with(ints("kernel_shape", kernel))
                .with(ints("strides", strides))
        };
        valid("MaxPool").is(&plain.over(&x, most));
        valid("LpPool").is(&plain.over(&x, norm(2)));
    }
}

#[test]
fn pools_of_everything() {
    for shape in [
        &[2, 3, 5][..],
        &[1, 2, 4, 3],
        &[1, 2, 2, 1, 3],
        &[1, 1, 1, 1],
    ] {
        let x = spread(shape);
        let kernel: Vec<i64> = shape[2..].iter().map(|&n| n as i64).collect();
        let windows = Windows::new(&kernel);
        Case::new("GlobalMaxPool", 1)
            .x(&x)
            .is(&windows.over(&x, most));
        Case::new("GlobalAveragePool", 1)
            .x(&x)
            .is(&windows.over(&x, mean));
        for p in [1, 2, 3] {
            let case = Case::new("GlobalLpPool", 2)
                .x(&x)
                .with(int("p", p))
                .within(1e-4);
            case.is(&windows.over(&x, norm(p as i32)));
        }
    }
}

/// The flat positions of maxima; of equal ones the first.
#[test]
fn positions_of_maxima() {
    for columns in [0, 1] {
        // Which of equal cells counts is left open where the first axis varies fastest.
        let equal = |x: f64| if columns == 0 { (x / 2.0).floor() } else { x };
        let x = spread(&[2, 2, 4, 5]).mapv(equal);
        let windows = Windows::new(&[2, 3]).strides(&[1, 2]).pads(&[1, 1, 0, 1]);
        let y = windows.over(&x, most);
        let places = fill(y.shape(), |at| {
            let taps = windows.taps().into_iter().map(|tap| {
                let place = windows.position(&at[2..], &tap);
                ([at[0] as i64, at[1] as i64, place[0], place[1]], y[at])
            });
            let mut equal = taps.filter(|(at, most)| inside(&x, at) == Some(*most));
            let [n, c, h, w] = equal.next().expect("a maximum").0;
            let flat = if columns == 1 { w * 4 + h } else { h * 5 + w };
            ((n * 2 + c) * 20 + flat) as f64
        });
        let case = Case::new("MaxPool", 12).x(&x).all(&windows.attributes());
        let case = case.with(int("storage_order", columns)).outputs(2);
        case.gives(&[y, places]);
    }
}

#[test]
fn maxima_put_back() {
    let (y, places) = (
        cells(&[1, 1, 2, 2], &[1.0, 2.0, 3.0, 4.0]),
        [5.0, 7.0, 13.0, 15.0],
    );
    let case = |places: &[f64]| {
        let case = Case::new("MaxUnpool", 11).input(DataType::Float, &y);
        let case = case.constant(DataType::Int64, &cells(&[1, 1, 2, 2], places));
        case.with(ints("kernel_shape", &[2, 2]))
            .with(ints("strides", &[2, 2]))
    };
    let put = |n: usize, places: &[f64]| {
        fill(&[1, 1, n, n], |at| {
            let flat = (at[2] * n + at[3]) as f64;
            let found = places.iter().position(|&p| p == flat);
            found.map_or(0.0, |i| y.as_slice().expect("in order")[i])
        })
    };
    case(&places).is(&put(4, &places));
    // The output's shape may be larger; positions are of the larger one.
    let larger = [6.0, 8.0, 16.0, 18.0];
    case(&larger).list(&[1, 1, 5, 5]).is(&put(5, &larger));
    case(&[5.0, 7.0, 13.0, 16.0]).refused("", "16");
    // Windows that overlap have the same maximum, which is put back once.
    let y = cells(&[1, 1, 2, 2], &[9.0, 9.0, 4.0, 9.0]);
    let places = cells(&[1, 1, 2, 2], &[4.0, 4.0, 6.0, 4.0]);
    let case = Case::new("MaxUnpool", 11)
        .x(&y)
        .of(DataType::Int64, &places);
    let put = cells(
        &[1, 1, 3, 3],
        &[0.0, 0.0, 0.0, 0.0, 9.0, 0.0, 4.0, 0.0, 0.0],
    );
    case.with(ints("kernel_shape", &[2, 2])).is(&put);
}

#[test]
fn windows_that_are_refused() {
    let x = spread(&[1, 2, 5, 5]);
    let pool = |op: &str| Case::new(op, 22).x(&x);
    let kernel = || ints("kernel_shape", &[2, 2]);
    for op in ["MaxPool", "AveragePool", "LpPool"] {
        pool(op).refused("BadAttribute", "kernel_shape");
        pool(op).with(ints("kernel_shape", &[2])).refused("", "");
        pool(op).with(ints("kernel_shape", &[0, 2])).refused("", "");
        pool(op).with(ints("kernel_shape", &[9, 2])).refused("", "");
        pool(op)
            .with(kernel())
            .with(ints("strides", &[0, 1]))
            .refused("", "stride");
        pool(op)
            .with(kernel())
            .with(ints("pads", &[0, 0]))
            .refused("", "pads");
        pool(op)
            .with(kernel())
            .with(string("auto_pad", "SAME"))
            .refused("", "SAME");
        pool(op)
            .with(kernel())
            .with(int("colour", 1))
            .refused("", "colour");
        let flat = Case::new(op, 22).x(&spread(&[3, 4]));
        flat.with(ints("kernel_shape", &[]))
            .refused("Shape", "rank 3");
        let same = pool(op)
            .with(kernel())
            .with(string("auto_pad", "SAME_UPPER"));
        same.with(ints("dilations", &[2, 2]))
            .refused("UnsupportedOperator", "give the pads");
    }
    for p in [0, 5] {
        let case = Case::new("GlobalLpPool", 2).x(&x).with(int("p", p));
        case.refused("BadAttribute", "use MaxPool");
    }
}
