//! Transposed convolution: `Y[m, s i + d a - p] += W[c, m, a] X[c, i]`.
//!
//! The input with `s - 1` zeros between its cells is convolved with the kernel read backwards,
//! padded by `d (k - 1) - p`.

use ndarray::{ArrayD, Axis};
use zkstrata_model_ir::float::{AxisMap, AxisMatrix, Op, Window};

use crate::Error;
use crate::ops::nn::conv::{check_weight, convolution, groups};
use crate::ops::one;
use crate::scope::node::Node;
use crate::scope::value::Value;
use crate::write::{Writer, window};

/// The transposed convolution, of a constant weight `[C, M / groups, kernel..]`.
pub(crate) fn conv_transpose(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    node.at_most(3)?;
    let x = node.value(0)?;
    let x = writer.lift(node, x)?;
    let weight = node.weight(1)?;
    let bias = node.optional_weight(2)?;
    let shape = writer.shape(x).to_vec();
    let kernel = check_weight(node, &shape, &weight)?;
    let groups = groups(node)?;
    if weight.shape()[0] != shape[1] || !shape[1].is_multiple_of(groups) {
        return Err(node.shape_error(format!(
            "{groups} groups of a weight of shape {:?} for {} channels",
            weight.shape(),
            shape[1]
        )));
    }
    let places = places(node, &shape[2..], &kernel)?;
    let mut maps = vec![AxisMap::Keep; 2];
    let mut windows = Vec::with_capacity(kernel.len());
    for (place, &n) in places.iter().zip(&shape[2..]) {
        let (matrix, window) = place.spread(n);
        writer.allow(node, Some(matrix.entries.len()))?;
        let same = matrix.output == n && matrix.entries.len() == n;
        maps.push(if same {
            AxisMap::Keep
        } else {
            AxisMap::Matrix(matrix)
        });
        windows.push(window);
    }
    let x = if maps.iter().all(|map| *map == AxisMap::Keep) {
        x
    } else {
        writer.add(node, Op::Map(maps), &[x])?
    };
    let weight = backwards(node, weight, groups)?;
    let y = convolution(node, writer, x, weight, bias, groups, windows)?;
    one(Value::Activation(y))
}

/// The kernel `[M, C / groups, kernel..]` of the convolution.
fn backwards(node: &Node, weight: ArrayD<f32>, groups: usize) -> Result<ArrayD<f32>, Error> {
    let shape = weight.shape().to_vec();
    let (inputs, outputs) = (shape[0] / groups, shape[1]);
    let fail = |e| node.shape_error(format!("the weight: {e}"));
    let grouped = [&[groups, inputs], &shape[1..]].concat();
    let mut weight = weight.into_shape_with_order(grouped).map_err(fail)?;
    weight.swap_axes(1, 2);
    for axis in 3..weight.ndim() {
        weight.invert_axis(Axis(axis));
    }
    let merged = [&[groups * outputs, inputs], &shape[2..]].concat();
    let weight = weight.as_standard_layout().into_owned();
    weight.into_shape_with_order(merged).map_err(fail)
}

/// How one spatial axis is spread: `Y[s i + d a - p] += W[a] X[i]`, of `output` cells.
struct Place {
    kernel: usize,
    stride: usize,
    dilation: usize,
    /// Cells cut off before the first; negative for zeros.
    begin: i64,
    output: usize,
}

impl Place {
    /// The matrix that puts zeros between the cells of an axis of `n`, and the convolution's
    /// window. Padding that is negative is cut off by the matrix.
    fn spread(&self, n: usize) -> (AxisMatrix, Window) {
        let reach = (self.dilation * (self.kernel - 1)) as i64;
        let before = reach - self.begin;
        let length = (self.stride * (n - 1) + 1) as i64;
        let after = self.output as i64 + reach - before - length;
        let cut = before.min(0);
        let kept = length + cut + after.min(0);
        let position = |i: usize| {
            let at = (i * self.stride) as i64 + cut;
            ((0..kept).contains(&at)).then_some((at as u32, i as u32, 1))
        };
        let matrix = AxisMatrix {
            input: n,
            output: kept.max(0) as usize,
            entries: (0..n).filter_map(position).collect(),
            divisor: 1,
        };
        let window = Window {
            kernel: self.kernel,
            stride: 1,
            dilation: self.dilation,
            pad_begin: before.max(0) as usize,
            pad_end: after.max(0) as usize,
        };
        (matrix, window)
    }
}

/// Reads the attributes that place the kernel on each axis of `spatial`.
fn places(node: &Node, spatial: &[usize], kernel: &[usize]) -> Result<Vec<Place>, Error> {
    let rank = spatial.len();
    let strides = window::list(node, "strides", rank, 1, 1)?;
    let dilations = window::list(node, "dilations", rank, 1, 1)?;
    let pads = window::list(node, "pads", 2 * rank, 0, 0)?;
    let extra = window::list(node, "output_padding", rank, 0, 0)?;
    let wanted = match node.ints("output_shape")? {
        None => None,
        // Some exporters list all axes.
        Some(list) if list.len() == rank + 2 => Some(list[2..].to_vec()),
        Some(list) => Some(list.to_vec()),
    };
    let fits =
        |list: &Vec<i64>| list.len() == rank && list.iter().all(|n| (1..=window::MAX).contains(n));
    if wanted.as_ref().is_some_and(|list| !fits(list)) {
        return Err(node.bad_attribute("output_shape", format!("is {wanted:?}")));
    }
    let auto_pad = node.string("auto_pad")?.unwrap_or("NOTSET");
    let (same, upper) = match auto_pad {
        "NOTSET" | "VALID" => (false, false),
        "SAME_UPPER" => (true, true),
        "SAME_LOWER" => (true, false),
        other => return Err(node.bad_attribute("auto_pad", format!("is `{other}`"))),
    };
    let place = |i: usize| {
        let full = strides[i] * (spatial[i] - 1) + dilations[i] * (kernel[i] - 1) + 1 + extra[i];
        let full = full as i64;
        let target = match &wanted {
            Some(list) => Some(list[i]),
            None if same => Some((spatial[i] * strides[i]) as i64),
            None => None,
        };
        let (begin, output) = match target {
            Some(target) => {
                let total = (full - target).max(0);
                let begin = if upper { total / 2 } else { total - total / 2 };
                (begin, target)
            }
            None => (pads[i] as i64, full - (pads[i] + pads[rank + i]) as i64),
        };
        let output = usize::try_from(output).ok().filter(|&n| n > 0);
        let output = output.ok_or_else(|| {
            node.shape_error(format!("the pads leave nothing of spatial axis {i}"))
        })?;
        Ok(Place {
            kernel: kernel[i],
            stride: strides[i],
            dilation: dilations[i],
            begin,
            output,
        })
    };
    (0..rank).map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spreading() {
        let place = |stride, begin, output| Place {
            kernel: 3,
            stride,
            dilation: 1,
            begin,
            output,
        };
        let (matrix, window) = place(2, 1, 5).spread(3);
        assert_eq!(matrix.entries, [(0, 0, 1), (2, 1, 1), (4, 2, 1)]);
        assert_eq!((matrix.output, window.pad_begin, window.pad_end), (5, 1, 1));
        // More is cut off than the kernel reaches beyond the input.
        let (matrix, window) = place(2, 3, 2).spread(3);
        assert_eq!(matrix.entries, [(1, 1, 1), (3, 2, 1)]);
        assert_eq!((matrix.output, window.pad_begin, window.pad_end), (4, 0, 0));
        let (_, window) = place(1, 0, 6).spread(3);
        assert_eq!((window.pad_begin, window.pad_end), (2, 3));
    }
}
