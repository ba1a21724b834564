//! The shape rule of every float operator: the output's shape, or what is wrong with the inputs.

use super::op::{AxisMap, Missing, Op, PoolKind, Window};

/// Largest number of cells of a tensor: one more binary digit than a proof's lookups can have.
pub const MAX_CELLS: usize = 1 << 30;

impl Op {
    /// The output shape, or what is wrong with the inputs.
    ///
    /// Every axis of an accepted shape has at least one element and the whole tensor at most
    /// [`MAX_CELLS`].
    pub fn infer_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        for shape in inputs {
            check_shape(shape)?;
        }
        let shape = match self {
            Self::Input { .. } => {
                return Err("an input is declared with GraphBuilder::input".into());
            }
            Self::Dense { weight, bias } => {
                let bias = bias.as_ref().map(ndarray::ArrayBase::shape);
                dense(only(inputs)?, weight.shape(), bias)?
            }
            Self::Conv {
                weight,
                bias,
                groups,
                windows,
            } => {
                let bias = bias.as_ref().map(ndarray::ArrayBase::shape);
                conv(only(inputs)?, weight.shape(), bias, *groups, windows)?
            }
            Self::Affine { scale, shift } => {
                let x = only(inputs)?;
                check_broadcast("scale", scale.shape(), x)?;
                check_broadcast("shift", shift.shape(), x)?;
                x.to_vec()
            }
            Self::Activation(activation) => {
                activation.check()?;
                only(inputs)?.to_vec()
            }
            Self::Missing(Missing::Is) => only(inputs)?.to_vec(),
            Self::Missing(Missing::Replaced { by }) => {
                let x = only(inputs)?;
                check_broadcast("by", by.shape(), x)?;
                x.to_vec()
            }
            Self::Pool { kind, windows } => pool(only(inputs)?, *kind, windows)?,
            Self::Constant { value } => match inputs {
                [] => value.shape().to_vec(),
                _ => return Err(format!("got {} inputs, expected none", inputs.len())),
            },
            Self::Add | Self::Sub | Self::Max => {
                let [x, y] = inputs else {
                    return Err(format!("got {} inputs, expected 2", inputs.len()));
                };
                if x != y {
                    return Err(format!(
                        "operands have shapes {x:?} and {y:?}; two activations must have equal shapes"
                    ));
                }
                x.to_vec()
            }
            Self::Reshape { shape } => {
                check_shape(shape)?;
                let (x, n) = (only(inputs)?, cells(shape)?);
                if n != cells(x)? {
                    return Err(format!(
                        "cannot reshape {x:?} ({} cells) to {shape:?} ({n} cells)",
                        cells(x)?
                    ));
                }
                shape.clone()
            }
            Self::Transpose { perm } => transpose(only(inputs)?, perm)?,
            Self::Concat { axis } => concat(inputs, *axis)?,
            Self::Pad { pads, .. } => pad(only(inputs)?, pads)?,
            Self::Contract(contract) => match inputs {
                [a, b] => contract.output_shape(a, b)?,
                _ => return Err(format!("got {} inputs, expected 2", inputs.len())),
            },
            Self::Map(axes) => map(only(inputs)?, axes)?,
            Self::Take { indices, shape } => take(only(inputs)?, indices, shape)?,
            Self::Maximum { axis } => {
                let mut shape = only(inputs)?.to_vec();
                match shape.get_mut(*axis) {
                    Some(n) => *n = 1,
                    None => return Err(format!("axis {axis} of a tensor of shape {shape:?}")),
                }
                shape
            }
        };
        check_shape(&shape)?;
        Ok(shape)
    }
}

impl Window {
    /// Number of outputs on an axis of `input` elements, or why there are none.
    pub fn output(&self, input: usize) -> Result<usize, String> {
        let Self {
            kernel,
            stride,
            dilation,
            pad_begin,
            pad_end,
        } = *self;
        if kernel == 0 || stride == 0 || dilation == 0 {
            return Err(format!(
                "window has kernel {kernel}, stride {stride}, dilation {dilation}; all must be positive"
            ));
        }
        let extent = dilation
            .checked_mul(kernel - 1)
            .and_then(|n| n.checked_add(1))
            .filter(|&n| n <= MAX_CELLS)
            .ok_or_else(|| format!("kernel {kernel} with dilation {dilation} is too large"))?;
        let padded = input
            .checked_add(pad_begin)
            .and_then(|n| n.checked_add(pad_end))
            .filter(|&n| n <= MAX_CELLS)
            .ok_or_else(|| format!("padding {pad_begin} + {pad_end} is too large"))?;
        if extent > padded {
            return Err(format!(
                "kernel spans {extent} elements but the padded axis has only {padded}"
            ));
        }
        Ok((padded - extent) / stride + 1)
    }

    /// The taps of output `i` that lie inside an axis of `input` elements.
    pub fn inside(&self, i: usize, input: usize) -> std::ops::Range<usize> {
        let start = self.stride * i;
        let first = self.pad_begin.saturating_sub(start).div_ceil(self.dilation);
        let end = (input + self.pad_begin).saturating_sub(start);
        let end = end.div_ceil(self.dilation).min(self.kernel);
        first.min(end)..end
    }
}

/// Number of cells of `shape`.
pub(crate) fn cells(shape: &[usize]) -> Result<usize, String> {
    shape
        .iter()
        .try_fold(1_usize, |n, &d| n.checked_mul(d))
        .filter(|&n| n <= MAX_CELLS)
        .ok_or_else(|| format!("shape {shape:?} has more than {MAX_CELLS} cells"))
}

/// Refuses empty axes and more than [`MAX_CELLS`] cells.
pub(crate) fn check_shape(shape: &[usize]) -> Result<(), String> {
    if shape.contains(&0) {
        return Err(format!(
            "shape {shape:?} has an axis of length 0; give the model static, nonempty shapes"
        ));
    }
    cells(shape).map(|_| ())
}

fn only<'a>(inputs: &[&'a [usize]]) -> Result<&'a [usize], String> {
    match inputs {
        [x] => Ok(x),
        _ => Err(format!("got {} inputs, expected 1", inputs.len())),
    }
}

fn check_bias(bias: Option<&[usize]>, outputs: usize) -> Result<(), String> {
    match bias {
        Some(shape) if shape != [outputs] => {
            Err(format!("bias has shape {shape:?}, expected [{outputs}]"))
        }
        _ => Ok(()),
    }
}

fn check_broadcast(what: &str, shape: &[usize], x: &[usize]) -> Result<(), String> {
    let skip = x.len().checked_sub(shape.len());
    let fits = skip.is_some_and(|skip| {
        shape
            .iter()
            .zip(&x[skip..])
            .all(|(&s, &n)| s == 1 || s == n)
    });
    if fits {
        return Ok(());
    }
    Err(format!(
        "{what} of shape {shape:?} does not broadcast to the activation's shape {x:?}"
    ))
}

fn dense(x: &[usize], weight: &[usize], bias: Option<&[usize]>) -> Result<Vec<usize>, String> {
    let &[k, n] = weight else {
        return Err(format!("weight has shape {weight:?}, expected [K, N]"));
    };
    check_shape(weight)?;
    check_bias(bias, n)?;
    let Some((&last, outer)) = x.split_last() else {
        return Err("a dense layer's input needs at least one axis".into());
    };
    if last != k {
        return Err(format!(
            "input {x:?} has {last} features but the weight {weight:?} takes {k}"
        ));
    }
    let mut shape = outer.to_vec();
    shape.push(n);
    Ok(shape)
}

fn conv(
    x: &[usize],
    weight: &[usize],
    bias: Option<&[usize]>,
    groups: usize,
    windows: &[Window],
) -> Result<Vec<usize>, String> {
    if !matches!(windows.len(), 1 | 2) {
        return Err(format!(
            "convolution over {} spatial axes; 1 and 2 are supported",
            windows.len()
        ));
    }
    if x.len() != windows.len() + 2 || weight.len() != x.len() {
        return Err(format!(
            "input {x:?} and weight {weight:?} must both have rank {}",
            windows.len() + 2
        ));
    }
    check_shape(weight)?;
    let (outputs, per_group) = (weight[0], weight[1]);
    check_bias(bias, outputs)?;
    if groups == 0 || outputs % groups != 0 || per_group.checked_mul(groups) != Some(x[1]) {
        return Err(format!(
            "{groups} groups do not split {} input channels and {outputs} outputs with weight {weight:?}",
            x[1]
        ));
    }
    let mut shape = vec![x[0], outputs];
    for ((window, &n), &kernel) in windows.iter().zip(&x[2..]).zip(&weight[2..]) {
        if window.kernel != kernel {
            return Err(format!(
                "window of {} taps does not match the weight {weight:?}",
                window.kernel
            ));
        }
        shape.push(window.output(n)?);
    }
    Ok(shape)
}

fn pool(x: &[usize], kind: PoolKind, windows: &[Window]) -> Result<Vec<usize>, String> {
    if windows.is_empty() || x.len() != windows.len() + 2 {
        return Err(format!(
            "pooling over {} spatial axes needs an input of rank {}, got {x:?}",
            windows.len(),
            windows.len() + 2
        ));
    }
    let mut shape = x[..2].to_vec();
    for (axis, (window, &n)) in windows.iter().zip(&x[2..]).enumerate() {
        let outputs = window.output(n)?;
        shape.push(outputs);
        cells(&shape)?;
        if let Some(i) = (0..outputs).find(|&i| window.inside(i, n).is_empty()) {
            return Err(format!(
                "{kind:?} pool: window {i} of spatial axis {axis} lies entirely in the padding"
            ));
        }
    }
    Ok(shape)
}

fn transpose(x: &[usize], perm: &[usize]) -> Result<Vec<usize>, String> {
    let mut seen = vec![false; x.len()];
    let valid = perm.len() == x.len()
        && perm
            .iter()
            .all(|&p| seen.get_mut(p).is_some_and(|s| !std::mem::replace(s, true)));
    if !valid {
        return Err(format!(
            "{perm:?} is not a permutation of the axes of {x:?}"
        ));
    }
    Ok(perm.iter().map(|&p| x[p]).collect())
}

fn concat(inputs: &[&[usize]], axis: usize) -> Result<Vec<usize>, String> {
    let Some(first) = inputs.first() else {
        return Err("got 0 inputs, expected at least 1".into());
    };
    let mut shape = first.to_vec();
    if axis >= shape.len() {
        return Err(format!("axis {axis} of a tensor of shape {first:?}"));
    }
    for x in &inputs[1..] {
        let agree = x.len() == first.len() && (0..x.len()).all(|i| i == axis || x[i] == first[i]);
        if !agree {
            return Err(format!(
                "{first:?} and {x:?} differ on axes other than {axis}"
            ));
        }
        shape[axis] = shape[axis].saturating_add(x[axis]);
    }
    Ok(shape)
}

fn pad(x: &[usize], pads: &[(i64, i64)]) -> Result<Vec<usize>, String> {
    if pads.len() != x.len() {
        return Err(format!(
            "got {} pads for a tensor of shape {x:?}",
            pads.len()
        ));
    }
    let axis = |(&n, &(before, after)): (&usize, &(i64, i64))| {
        i64::try_from(n)
            .ok()
            .and_then(|n| n.checked_add(before)?.checked_add(after))
            .and_then(|n| usize::try_from(n).ok())
            .filter(|&n| {
                n > 0 && before.unsigned_abs().max(after.unsigned_abs()) <= MAX_CELLS as u64
            })
            .ok_or_else(|| format!("pads ({before}, {after}) of an axis of length {n}"))
    };
    x.iter().zip(pads).map(axis).collect()
}

fn map(x: &[usize], axes: &[AxisMap]) -> Result<Vec<usize>, String> {
    if axes.len() != x.len() {
        return Err(format!(
            "got {} axis maps for a tensor of shape {x:?}",
            axes.len()
        ));
    }
    let axis = |(&n, axis): (&usize, &AxisMap)| match axis {
        AxisMap::Keep => Ok(n),
        AxisMap::Matrix(matrix) => {
            let inside = |&(i, x, w): &(u32, u32, i64)| {
                (i as usize) < matrix.output && (x as usize) < n && w != 0
            };
            let ascending =
                |pair: &[(u32, u32, i64)]| (pair[0].0, pair[0].1) < (pair[1].0, pair[1].1);
            let valid = matrix.input == n
                && matrix.divisor > 0
                && matrix.entries.iter().all(inside)
                && matrix.entries.windows(2).all(ascending);
            if valid {
                Ok(matrix.output)
            } else {
                Err(format!(
                    "a matrix of {} by {} does not fit an axis of length {n} or is not sorted",
                    matrix.output, matrix.input
                ))
            }
        }
    };
    x.iter().zip(axes).map(axis).collect()
}

fn take(x: &[usize], indices: &[u32], shape: &[usize]) -> Result<Vec<usize>, String> {
    let n = cells(x)?;
    check_shape(shape)?;
    if let Some(bad) = indices.iter().find(|&&i| i as usize >= n) {
        return Err(format!("position {bad} of a tensor of shape {x:?}"));
    }
    if cells(shape)? != indices.len() {
        return Err(format!(
            "{} positions do not make a tensor of shape {shape:?}",
            indices.len()
        ));
    }
    Ok(shape.to_vec())
}

#[cfg(test)]
mod tests {
    use super::super::activation::Activation;
    use super::super::op::{AxisMatrix, Contract};
    use super::*;
    use ndarray::ArrayD;

    fn zeros(shape: &[usize]) -> ArrayD<f32> {
        ArrayD::zeros(shape)
    }

    fn window(kernel: usize, stride: usize, dilation: usize, pad: usize) -> Window {
        Window {
            kernel,
            stride,
            dilation,
            pad_begin: pad,
            pad_end: pad,
        }
    }

    fn conv_op(weight: &[usize], groups: usize, windows: Vec<Window>) -> Op {
        Op::Conv {
            weight: zeros(weight),
            bias: None,
            groups,
            windows,
        }
    }

    #[test]
    fn shapes_follow_onnx() {
        let dense = Op::Dense {
            weight: zeros(&[3, 5]),
            bias: Some(zeros(&[5])),
        };
        assert_eq!(dense.infer_shape(&[&[2, 3]]), Ok(vec![2, 5]));
        let conv = conv_op(
            &[4, 1, 3, 3],
            2,
            vec![window(3, 2, 1, 1), window(3, 1, 2, 0)],
        );
        assert_eq!(conv.infer_shape(&[&[1, 2, 7, 7]]), Ok(vec![1, 4, 4, 3]));
        let pool = Op::Pool {
            kind: PoolKind::Max,
            windows: vec![window(2, 2, 1, 0); 2],
        };
        assert_eq!(pool.infer_shape(&[&[1, 2, 5, 4]]), Ok(vec![1, 2, 2, 2]));
        let concat = Op::Concat { axis: 1 };
        assert_eq!(concat.infer_shape(&[&[1, 2], &[1, 3]]), Ok(vec![1, 5]));
        let pad = Op::Pad {
            pads: vec![(1, -2), (0, 3)],
            value: 0.0,
        };
        assert_eq!(pad.infer_shape(&[&[4, 1]]), Ok(vec![3, 4]));
        let transpose = Op::Transpose {
            perm: vec![2, 0, 1],
        };
        assert_eq!(transpose.infer_shape(&[&[2, 3, 4]]), Ok(vec![4, 2, 3]));
        let affine = Op::Affine {
            scale: zeros(&[3, 1]),
            shift: zeros(&[]),
        };
        assert_eq!(affine.infer_shape(&[&[2, 3, 4]]), Ok(vec![2, 3, 4]));
    }

    fn refuse(op: &Op, inputs: &[&[usize]], expected: &str) {
        let message = op.infer_shape(inputs).expect_err(expected);
        assert!(message.contains(expected), "{op:?}: {message}");
    }

    #[test]
    fn hostile_operands_are_refused() {
        let relu = Op::Activation(Activation::Relu);
        refuse(&Op::Input { integral: false }, &[], "declared");
        refuse(&Op::Add, &[&[2], &[3]], "equal shapes");
        refuse(&Op::Add, &[&[2]], "got 1 inputs");
        refuse(&relu, &[], "got 0 inputs");
        refuse(&relu, &[&[0]], "length 0");
        refuse(&relu, &[&[usize::MAX, 3]], "cells");
        let leaky = Activation::LeakyRelu { alpha: f32::NAN };
        refuse(&Op::Activation(leaky), &[&[1]], "finite");
        let clip = Activation::Clip { lo: 1.0, hi: 0.0 };
        refuse(&Op::Activation(clip), &[&[1]], "interval");
        let reshape = |shape| Op::Reshape { shape };
        refuse(&reshape(vec![5]), &[&[2, 3]], "cannot reshape");
        refuse(&reshape(vec![usize::MAX, 2]), &[&[2, 3]], "cells");
        let transpose = Op::Transpose { perm: vec![0, 0] };
        refuse(&transpose, &[&[2, 3]], "permutation");
        let concat = |axis| Op::Concat { axis };
        refuse(&concat(2), &[&[2, 3]], "axis 2");
        refuse(&concat(0), &[], "at least 1");
        refuse(&concat(0), &[&[2, 3], &[2, 4]], "differ");
        let pad = |pads| Op::Pad { pads, value: 0.0 };
        refuse(&pad(vec![(-2, -2)]), &[&[4]], "pads (-2, -2)");
        refuse(&pad(vec![(i64::MAX, i64::MAX)]), &[&[4]], "pads");
        refuse(&pad(vec![]), &[&[4]], "got 0 pads");
        let affine = |scale: &[usize], shift: &[usize]| Op::Affine {
            scale: zeros(scale),
            shift: zeros(shift),
        };
        refuse(&affine(&[2], &[]), &[&[4]], "broadcast");
        refuse(&affine(&[], &[1, 4]), &[&[4]], "broadcast");
    }

    #[test]
    fn hostile_layers_are_refused() {
        let dense = |weight: &[usize], bias: usize| Op::Dense {
            weight: zeros(weight),
            bias: Some(zeros(&[bias])),
        };
        refuse(&dense(&[3, 5], 5), &[&[2, 4]], "4 features");
        refuse(&dense(&[3, 5], 4), &[&[2, 3]], "bias");
        refuse(&dense(&[3, 5], 5), &[&[]], "at least one axis");
        refuse(&dense(&[3], 1), &[&[3]], "[K, N]");
        let w = |kernel, stride| vec![window(kernel, stride, 1, 0)];
        refuse(&conv_op(&[4, 2, 3], 2, w(3, 1)), &[&[1, 2, 7]], "2 groups");
        refuse(&conv_op(&[4, 2, 3], 0, w(3, 1)), &[&[1, 2, 7]], "0 groups");
        refuse(&conv_op(&[4, 2, 3], 1, w(3, 1)), &[&[1, 2, 2]], "padded");
        refuse(&conv_op(&[4, 2, 3], 1, w(3, 0)), &[&[1, 2, 5]], "positive");
        refuse(&conv_op(&[4, 2, 3], 1, w(2, 1)), &[&[1, 2, 5]], "2 taps");
        refuse(&conv_op(&[4, 2, 3], 1, w(3, 1)), &[&[2, 5]], "rank");
        refuse(&conv_op(&[4, 2], 1, vec![]), &[&[2, 5]], "0 spatial");
        let kind = PoolKind::Max;
        let pool = |windows| Op::Pool { kind, windows };
        let most = usize::MAX;
        let x: &[&[usize]] = &[&[1, 1, 4]];
        refuse(&pool(vec![window(most, 1, most, most)]), x, "too large");
        refuse(&pool(vec![window(2, 1, 1, most)]), x, "too large");
        refuse(&pool(vec![window(2, 1, 1, 2)]), x, "in the padding");
        refuse(&pool(vec![window(2, 1, 9, 5)]), x, "in the padding");
        refuse(&pool(vec![]), &[&[1, 1]], "0 spatial axes");
    }

    #[test]
    fn maps_and_contractions() {
        let matrix = AxisMatrix::select(3, &[2, 0, 2, 1]);
        let map = Op::Map(vec![AxisMap::Keep, AxisMap::Matrix(matrix.clone())]);
        assert_eq!(map.infer_shape(&[&[5, 3]]), Ok(vec![5, 4]));
        refuse(&map, &[&[5, 4]], "does not fit");
        refuse(&map, &[&[5]], "2 axis maps");
        let mut unsorted = matrix;
        unsorted.entries.swap(0, 1);
        refuse(&Op::Map(vec![AxisMap::Matrix(unsorted)]), &[&[3]], "sorted");
        let matmul = |output: &[usize]| {
            Op::Contract(Contract {
                left: vec![0, 1, 2],
                right: vec![0, 2, 3],
                output: output.to_vec(),
            })
        };
        let operands: &[&[usize]] = &[&[4, 2, 3], &[4, 3, 7]];
        assert_eq!(matmul(&[0, 1, 3]).infer_shape(operands), Ok(vec![4, 2, 7]));
        refuse(&matmul(&[0, 1, 3]), &[&[4, 2, 3], &[4, 2, 7]], "length");
        refuse(&matmul(&[0, 3]), operands, "label 1");
        refuse(&matmul(&[0, 1, 3, 9]), operands, "label 9");
        refuse(&matmul(&[0, 1, 3, 3]), operands, "twice");
        let take = |indices: &[u32]| Op::Take {
            indices: indices.to_vec(),
            shape: vec![2],
        };
        assert_eq!(take(&[5, 0]).infer_shape(&[&[2, 3]]), Ok(vec![2]));
        refuse(&take(&[6, 0]), &[&[2, 3]], "position 6");
        refuse(&take(&[0]), &[&[2, 3]], "do not make");
        let maximum = |axis| Op::Maximum { axis };
        assert_eq!(maximum(1).infer_shape(&[&[2, 3]]), Ok(vec![2, 1]));
        refuse(&maximum(2), &[&[2, 3]], "axis 2");
        refuse(&Op::Max, &[&[2], &[3]], "equal shapes");
    }
}
