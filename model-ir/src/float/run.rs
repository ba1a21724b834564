//! The float executor: the value of every node on one input.
//!
//! Reproducible to the bit on every machine (see [`gemm`](super::gemm); sigmoid and tanh are
//! `libm`'s in `f64`).

use super::gemm;
use super::graph::{Error, Graph, Node};
use super::op::{AxisMap, AxisMatrix, Missing, Op, PoolKind, Window};
use ndarray::{ArrayD, ArrayViewD, Axis, IxDyn};

impl Graph {
    /// Runs the graph on one array per input, in the order of [`Graph::inputs`]; the result has
    /// one tensor per node.
    pub fn run(&self, inputs: &[ArrayD<f32>]) -> Result<Vec<ArrayD<f32>>, Error> {
        self.check_inputs(inputs)?;
        let mut inputs = inputs.iter();
        let mut values: Vec<ArrayD<f32>> = Vec::with_capacity(self.nodes().len());
        for node in self.nodes() {
            let operands: Vec<&ArrayD<f32>> = node.inputs.iter().map(|v| &values[v.0]).collect();
            let value = if matches!(node.op, Op::Input { .. }) {
                let input = inputs.next().expect("one array per input was checked");
                input.as_standard_layout().into_owned()
            } else {
                node.evaluate(&operands)
            };
            debug_assert_eq!(value.shape(), node.shape, "shape rule of {}", node.name);
            values.push(value);
        }
        Ok(values)
    }

    /// Refuses arrays that are not the graph's inputs.
    pub(crate) fn check_inputs(&self, inputs: &[ArrayD<f32>]) -> Result<(), Error> {
        let expected = self.inputs().count();
        if inputs.len() != expected {
            return Err(Error {
                node: String::new(),
                reason: format!("got {} input arrays, expected {expected}", inputs.len()),
            });
        }
        for (input, id) in inputs.iter().zip(self.inputs()) {
            let node = &self.nodes()[id.0];
            if input.shape() != node.shape {
                return Err(Error {
                    node: node.name.clone(),
                    reason: format!(
                        "input has shape {:?}, expected {:?}",
                        input.shape(),
                        node.shape
                    ),
                });
            }
        }
        Ok(())
    }
}

impl Node {
    /// The value of a node on operands of the shapes that it was made for.
    pub(crate) fn evaluate(&self, inputs: &[&ArrayD<f32>]) -> ArrayD<f32> {
        let mut value = value(self, inputs);
        value.mapv_inplace(without_subnormals);
        value
    }
}

/// `x`, or 0 where it is too small to be a normal number: processors and libraries differ in what
/// they make of those.
fn without_subnormals(x: f32) -> f32 {
    if x.is_subnormal() { 0.0 } else { x }
}

fn value(node: &Node, inputs: &[&ArrayD<f32>]) -> ArrayD<f32> {
    if let Op::Constant { value } = &node.op {
        return value.as_standard_layout().into_owned();
    }
    let x = inputs[0];
    match &node.op {
        Op::Input { .. } | Op::Constant { .. } => unreachable!("without operands"),
        Op::Dense { weight, bias } => dense(x, weight, bias.as_ref(), &node.shape),
        Op::Conv {
            weight,
            bias,
            groups,
            windows,
        } => conv(x, weight, bias.as_ref(), *groups, windows, &node.shape),
        Op::Affine { scale, shift } => x * scale + shift,
        Op::Activation(activation) => x.mapv(|x| activation.apply(x)),
        Op::Missing(missing) => missing.of(x),
        Op::Pool { kind, windows } => pool(x, *kind, windows),
        Op::Add => x + inputs[1],
        Op::Sub => x - inputs[1],
        Op::Max => {
            let mut y = x.clone();
            y.zip_mut_with(inputs[1], |y, &x| *y = y.max(x));
            y
        }
        Op::Maximum { axis } => along_axis(x, *axis, 1, |_, slabs, out| {
            out.copy_from_slice(slabs.get(0).expect("no axis is empty"));
            for i in 1.. {
                let Some(cells) = slabs.get(i) else { break };
                let pairs = out.iter_mut().zip(cells);
                pairs.for_each(|(y, &x)| *y = y.max(x));
            }
        }),
        Op::Contract(contract) => contract.run(x, inputs[1], &node.shape),
        Op::Map(axes) => axes
            .iter()
            .enumerate()
            .fold(x.clone(), |x, (axis, map)| match map {
                AxisMap::Keep => x,
                AxisMap::Matrix(matrix) => multiply_axis(&x, axis, matrix),
            }),
        Op::Take { indices, shape } => {
            let x = cells(x);
            dense_array(shape, indices.iter().map(|&i| x[i as usize]).collect())
        }
        Op::Reshape { shape } => dense_array(shape, x.iter().copied().collect()),
        Op::Transpose { perm } => {
            let x = x.view().permuted_axes(IxDyn(perm));
            x.as_standard_layout().into_owned()
        }
        Op::Concat { axis } => {
            let views: Vec<ArrayViewD<f32>> = inputs.iter().map(|x| x.view()).collect();
            let joined = ndarray::concatenate(Axis(*axis), &views);
            let joined = joined.expect("the shape rule compared the operands");
            joined.as_standard_layout().into_owned()
        }
        Op::Pad { pads, value } => (0..pads.len()).fold(x.clone(), |x, axis| {
            let before = pads[axis].0;
            along_axis(&x, axis, node.shape[axis], |i, slabs, out| {
                let source = usize::try_from(i as i64 - before).ok();
                match source.and_then(|i| slabs.get(i)) {
                    Some(cells) => out.copy_from_slice(cells),
                    None => out.fill(*value),
                }
            })
        }),
    }
}

impl Missing {
    /// What is read of `x`.
    pub(crate) fn of(&self, x: &ArrayD<f32>) -> ArrayD<f32> {
        match self {
            Self::Is => x.mapv(|x| f32::from(u8::from(x.is_nan()))),
            Self::Replaced { by } => {
                let by = by
                    .broadcast(x.raw_dim())
                    .expect("the shape rule compared them");
                let mut y = x.clone();
                y.zip_mut_with(&by, |y, &by| {
                    if y.is_nan() {
                        *y = by;
                    }
                });
                y
            }
        }
    }
}

fn dense_array(shape: &[usize], cells: Vec<f32>) -> ArrayD<f32> {
    ArrayD::from_shape_vec(IxDyn(shape), cells).expect("the shape rule fixed the length")
}

fn cells(x: &ArrayD<f32>) -> std::borrow::Cow<'_, [f32]> {
    match x.as_slice() {
        Some(cells) => cells.into(),
        None => x.iter().copied().collect(),
    }
}

fn dense(
    x: &ArrayD<f32>,
    weight: &ArrayD<f32>,
    bias: Option<&ArrayD<f32>>,
    shape: &[usize],
) -> ArrayD<f32> {
    let (k, n) = (weight.shape()[0], weight.shape()[1]);
    let mut y = vec![0.0; x.len() / k * n];
    if let Some(bias) = bias {
        let bias = cells(bias);
        y.chunks_exact_mut(n).for_each(|y| y.copy_from_slice(&bias));
    }
    gemm::accumulate(&cells(x), &cells(weight), &mut y, k);
    dense_array(shape, y)
}

/// Convolution: per image and group, the taps of every output position as the columns of a
/// matrix, multiplied by the kernel. One spatial axis is two with a first of length 1.
fn conv(
    x: &ArrayD<f32>,
    weight: &ArrayD<f32>,
    bias: Option<&ArrayD<f32>>,
    groups: usize,
    windows: &[Window],
    shape: &[usize],
) -> ArrayD<f32> {
    let single = Window {
        kernel: 1,
        stride: 1,
        dilation: 1,
        pad_begin: 0,
        pad_end: 0,
    };
    let (rows, columns, h, w, oh, ow) = match (windows, &x.shape()[2..], &shape[2..]) {
        ([a], &[w], &[ow]) => (&single, a, 1, w, 1, ow),
        ([a, b], &[h, w], &[oh, ow]) => (a, b, h, w, oh, ow),
        _ => unreachable!("the shape rule allows one or two spatial axes"),
    };
    let (inputs, outputs) = (weight.shape()[1], shape[1] / groups);
    let k = inputs * rows.kernel * columns.kernel;
    let (x, weight, bias) = (cells(x), cells(weight), bias.map(cells));
    let mut y = vec![0.0; shape.iter().product()];
    let mut patches = vec![0.0; k * oh * ow];
    let slices = x.chunks_exact(inputs * h * w);
    for (i, (x, y)) in slices
        .zip(y.chunks_exact_mut(outputs * oh * ow))
        .enumerate()
    {
        let first = i % groups * outputs;
        if let Some(bias) = &bias {
            let bias = &bias[first..first + outputs];
            y.chunks_exact_mut(oh * ow)
                .zip(bias)
                .for_each(|(y, &b)| y.fill(b));
        }
        let mut patch_rows = patches.chunks_exact_mut(oh * ow);
        for x in x.chunks_exact(h * w) {
            for a in 0..rows.kernel {
                for b in 0..columns.kernel {
                    let patch = patch_rows.next().expect("k rows");
                    gather_tap(x, (h, w), (rows, columns), (a, b), patch, ow);
                }
            }
        }
        let weight = &weight[first * k..(first + outputs) * k];
        gemm::accumulate(weight, &patches, y, k);
    }
    dense_array(shape, y)
}

/// `patch[i, j] = x[position of tap (a, b) of output (i, j)]`, 0 outside.
fn gather_tap(
    x: &[f32],
    (h, w): (usize, usize),
    (rows, columns): (&Window, &Window),
    (a, b): (usize, usize),
    patch: &mut [f32],
    ow: usize,
) {
    for (i, patch) in patch.chunks_exact_mut(ow).enumerate() {
        let row = (rows.stride * i + rows.dilation * a).checked_sub(rows.pad_begin);
        let Some(row) = row.filter(|&row| row < h) else {
            patch.fill(0.0);
            continue;
        };
        let x = &x[row * w..(row + 1) * w];
        for (j, cell) in patch.iter_mut().enumerate() {
            let column =
                (columns.stride * j + columns.dilation * b).wrapping_sub(columns.pad_begin);
            *cell = x.get(column).copied().unwrap_or(0.0);
        }
    }
}

/// Pooling, one spatial axis after the other.
fn pool(x: &ArrayD<f32>, kind: PoolKind, windows: &[Window]) -> ArrayD<f32> {
    let mut y = x.clone();
    for (axis, window) in windows.iter().enumerate() {
        let n = y.shape()[axis + 2];
        let outputs = window.output(n).expect("the shape rule accepted it");
        y = along_axis(&y, axis + 2, outputs, |i, slabs, out| {
            let taps = window.inside(i, n);
            let divisor = match kind {
                PoolKind::AveragePadded => window.kernel,
                PoolKind::Max | PoolKind::AverageInside => taps.len(),
            };
            for (t, tap) in taps.enumerate() {
                let position = window.stride * i + window.dilation * tap - window.pad_begin;
                let cells = slabs.get(position).expect("the tap is inside");
                let pairs = out.iter_mut().zip(cells);
                match kind {
                    _ if t == 0 => out.copy_from_slice(cells),
                    PoolKind::Max => pairs.for_each(|(y, &x)| *y = y.max(x)),
                    _ => pairs.for_each(|(y, &x)| *y += x),
                }
            }
            if kind != PoolKind::Max {
                for y in out.iter_mut() {
                    *y /= divisor as f32;
                }
            }
        });
    }
    y
}

/// The matrix times the tensor along one axis; sums in double precision.
fn multiply_axis(x: &ArrayD<f32>, axis: usize, matrix: &AxisMatrix) -> ArrayD<f32> {
    let mut rows = vec![0; matrix.output + 1];
    for &(i, _, _) in &matrix.entries {
        rows[i as usize + 1] += 1;
    }
    for i in 0..matrix.output {
        rows[i + 1] += rows[i];
    }
    let mut sums: Vec<f64> = vec![];
    along_axis(x, axis, matrix.output, |i, slabs, out| {
        sums.clear();
        sums.resize(out.len(), 0.0);
        for &(_, position, weight) in &matrix.entries[rows[i]..rows[i + 1]] {
            let cells = slabs
                .get(position as usize)
                .expect("checked by the shape rule");
            let pairs = sums.iter_mut().zip(cells);
            pairs.for_each(|(sum, &x)| *sum += weight as f64 * f64::from(x));
        }
        let pairs = out.iter_mut().zip(&sums);
        pairs.for_each(|(y, sum)| *y = (sum / matrix.divisor as f64) as f32);
    })
}

/// A tensor's cells by position on one axis, for one position on the axes before it.
#[derive(Clone, Copy)]
struct Slabs<'a> {
    cells: &'a [f32],
    inner: usize,
}

impl<'a> Slabs<'a> {
    /// The cells at position `i`, or `None` outside.
    fn get(self, i: usize) -> Option<&'a [f32]> {
        let start = i.checked_mul(self.inner)?;
        self.cells.get(start..start.checked_add(self.inner)?)
    }
}

/// Replaces `axis` by one of length `outputs`. `write(i, slabs, out)` fills the cells at position
/// `i` of the new axis from those at positions of the old one.
fn along_axis(
    x: &ArrayD<f32>,
    axis: usize,
    outputs: usize,
    mut write: impl FnMut(usize, Slabs, &mut [f32]),
) -> ArrayD<f32> {
    let mut shape = x.shape().to_vec();
    let n = std::mem::replace(&mut shape[axis], outputs);
    let inner: usize = shape[axis + 1..].iter().product();
    let x = cells(x);
    let mut y = vec![0.0; shape.iter().product()];
    for (x, y) in x
        .chunks_exact(n * inner)
        .zip(y.chunks_exact_mut(outputs * inner))
    {
        let slabs = Slabs { cells: x, inner };
        for (i, out) in y.chunks_exact_mut(inner).enumerate() {
            write(i, slabs, out);
        }
    }
    dense_array(&shape, y)
}

#[cfg(test)]
mod tests {
    use super::super::{Activation, GraphBuilder, ValueId};
    use super::*;

    fn array(shape: &[usize], seed: usize) -> ArrayD<f32> {
        let cells = (0..shape.iter().product::<usize>())
            .map(|i| (((i + seed) * 2_654_435_761) % 1000) as f32 / 500.0 - 1.0);
        dense_array(shape, cells.collect())
    }

    fn run_one(op: Op, x: &ArrayD<f32>) -> ArrayD<f32> {
        let mut builder = GraphBuilder::new();
        let input = builder.input("x", x.shape()).expect("a shape");
        let y = builder.add("y", op, &[input]).expect("shapes agree");
        let graph = builder.finish(vec![("y".into(), y)]).expect("valid");
        let mut values = graph.run(std::slice::from_ref(x)).expect("runs");
        values.pop().expect("two values")
    }

    #[test]
    fn convolution_is_its_definition() {
        let window = |kernel, stride, dilation, pad_begin, pad_end| Window {
            kernel,
            stride,
            dilation,
            pad_begin,
            pad_end,
        };
        let windows = vec![window(3, 2, 1, 1, 0), window(2, 1, 3, 2, 1)];
        let (x, weight, bias) = (
            array(&[2, 4, 7, 6], 0),
            array(&[6, 2, 3, 2], 9),
            array(&[6], 3),
        );
        let y = run_one(
            Op::Conv {
                weight: weight.clone(),
                bias: Some(bias.clone()),
                groups: 2,
                windows: windows.clone(),
            },
            &x,
        );
        for (index, &y) in y.indexed_iter() {
            let mut expected = bias[[index[1]]];
            for c in 0..2 {
                for a in 0..3 {
                    for b in 0..2 {
                        let h = (2 * index[2] + a).wrapping_sub(1);
                        let w = (index[3] + 3 * b).wrapping_sub(2);
                        let cell = x.get([index[0], index[1] / 3 * 2 + c, h, w]);
                        expected += weight[[index[1], c, a, b]] * cell.copied().unwrap_or(0.0);
                    }
                }
            }
            assert!((y - expected).abs() < 1e-5, "{index:?}");
        }
    }

    #[test]
    fn pools_divide_as_declared() {
        let x = dense_array(&[1, 1, 3], vec![-1.0, 2.0, 6.0]);
        let windows = vec![Window {
            kernel: 2,
            stride: 2,
            dilation: 1,
            pad_begin: 1,
            pad_end: 0,
        }];
        let pool = |kind| {
            let windows = windows.clone();
            run_one(Op::Pool { kind, windows }, &x)
                .into_raw_vec_and_offset()
                .0
        };
        assert_eq!(pool(PoolKind::Max), [-1.0, 6.0]);
        assert_eq!(pool(PoolKind::AverageInside), [-1.0, 4.0]);
        assert_eq!(pool(PoolKind::AveragePadded), [-0.5, 4.0]);
    }

    #[test]
    fn the_other_operators() {
        let x = dense_array(&[2, 2], vec![1.0, -2.0, 3.0, -4.0]);
        let run = |op| run_one(op, &x).iter().copied().collect::<Vec<f32>>();
        let scale = dense_array(&[2, 1], vec![2.0, 10.0]);
        let shift = dense_array(&[], vec![1.0]);
        assert_eq!(run(Op::Affine { scale, shift }), [3.0, -3.0, 31.0, -39.0]);
        assert_eq!(
            run(Op::Transpose { perm: vec![1, 0] }),
            [1.0, 3.0, -2.0, -4.0]
        );
        let pads = vec![(-1, 1), (1, 0)];
        let value = 9.0;
        assert_eq!(
            run(Op::Pad { pads, value }),
            [9.0, 3.0, -4.0, 9.0, 9.0, 9.0]
        );
        let activation = |a| run(Op::Activation(a));
        assert_eq!(activation(Activation::Relu), [1.0, 0.0, 3.0, 0.0]);
        let leaky = Activation::LeakyRelu { alpha: 0.5 };
        assert_eq!(activation(leaky), [1.0, -1.0, 3.0, -2.0]);
        let clip = Activation::Clip { lo: -3.0, hi: 2.0 };
        assert_eq!(activation(clip), [1.0, -2.0, 2.0, -3.0]);
        assert!((activation(Activation::Tanh)[0] - 0.761_594_2).abs() < 1e-6);
        assert!((activation(Activation::Sigmoid)[1] - 0.119_202_92).abs() < 1e-6);
        let weight = dense_array(&[2, 1], vec![1.0, 2.0]);
        let bias = Some(dense_array(&[1], vec![0.5]));
        assert_eq!(run(Op::Dense { weight, bias }), [-2.5, -4.5]);
    }

    #[test]
    fn maps_and_maxima() {
        let x = dense_array(&[2, 3], vec![1.0, -2.0, 3.0, -4.0, 5.0, 7.0]);
        let run = |op| run_one(op, &x).iter().copied().collect::<Vec<f32>>();
        let mean = AxisMap::Matrix(AxisMatrix::sum(2, 2));
        let flip = AxisMap::Matrix(AxisMatrix::select(3, &[2, 1, 0]));
        assert_eq!(run(Op::Map(vec![mean, flip])), [5.0, 1.5, -1.5]);
        let sparse = AxisMap::Matrix(AxisMatrix {
            input: 3,
            output: 3,
            entries: vec![(0, 0, 1), (0, 2, -2), (2, 1, 4)],
            divisor: 4,
        });
        let y = run(Op::Map(vec![AxisMap::Keep, sparse]));
        assert_eq!(y, [-1.25, 0.0, -2.0, -4.5, 0.0, 5.0]);
        assert_eq!(run(Op::Maximum { axis: 0 }), [1.0, 5.0, 7.0]);
        assert_eq!(run(Op::Maximum { axis: 1 }), [3.0, 7.0]);
        let indices = vec![5, 0, 0, 2];
        let shape = vec![2, 2];
        assert_eq!(run(Op::Take { indices, shape }), [7.0, 1.0, 1.0, 3.0]);
    }

    #[test]
    fn two_operands() {
        let mut builder = GraphBuilder::new();
        let a = builder.input("a", &[1, 2]).expect("a shape");
        let b = builder.input("b", &[1, 2]).expect("a shape");
        let sum = builder.add("sum", Op::Add, &[a, b]).expect("add");
        let difference = builder.add("difference", Op::Sub, &[sum, a]).expect("sub");
        let joined = builder.add("joined", Op::Concat { axis: 0 }, &[sum, difference]);
        let joined = joined.expect("concat");
        let graph = builder.finish(vec![("y".into(), joined)]).expect("valid");
        let inputs = [
            dense_array(&[1, 2], vec![1.0, 2.0]),
            dense_array(&[1, 2], vec![10.0, 20.0]),
        ];
        let values = graph.run(&inputs).expect("runs");
        assert_eq!(
            values[joined.0].as_slice(),
            Some(&[11.0, 22.0, 10.0, 20.0][..])
        );
        assert_eq!(joined, ValueId(4));
        assert!(graph.run(&inputs[..1]).is_err());
        let wrong = [inputs[0].clone(), dense_array(&[2], vec![0.0; 2])];
        assert_eq!(graph.run(&wrong).expect_err("shape").node, "b");
    }
}
