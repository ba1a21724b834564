//! Affine maps folded into their neighbours.
//!
//! After a layer, `s (W x + b) + t = (s W) x + (s b + t)`; before one, `W (s x + t) + b =
//! (W s) x + (b + W t)`; and `s' (s x + t) + t' = (s' s) x + (s' t + t')`. Each function gives
//! `None` when the factors do not vary along the one axis that allows it or a constant would
//! overflow.

use super::graph::Node;
use super::op::Op;
use ndarray::{ArrayD, Axis, Ix2};

/// `layer`, then `scale` and `shift`.
pub(super) fn affine_after(layer: &Node, scale: &ArrayD<f32>, shift: &ArrayD<f32>) -> Option<Op> {
    let mut op = layer.op.clone();
    let (axis, outputs, weight, bias) = match &mut op {
        Op::Dense { weight, bias } => (layer.shape.len() - 1, Axis(1), weight, bias),
        Op::Conv { weight, bias, .. } => (1, Axis(0), weight, bias),
        _ => return None,
    };
    let scale = along(scale, &layer.shape, axis)?;
    let shift = along(shift, &layer.shape, axis)?;
    for (mut row, &s) in weight.axis_iter_mut(outputs).zip(&scale) {
        row.mapv_inplace(|w| w * s);
    }
    let old = bias.take().map(|b| b.into_iter().collect::<Vec<f32>>());
    let old = old.unwrap_or_else(|| vec![0.0; scale.len()]);
    let new = old
        .iter()
        .zip(&scale)
        .zip(&shift)
        .map(|((b, s), t)| b * s + t);
    *bias = Some(ndarray::Array1::from_iter(new).into_dyn());
    finite(op)
}

/// `scale` and `shift` on a tensor of shape `input`, then `layer`.
pub(super) fn affine_before(
    layer: &Node,
    input: &[usize],
    scale: &ArrayD<f32>,
    shift: &ArrayD<f32>,
) -> Option<Op> {
    let mut op = layer.op.clone();
    let constant = shift.iter().any(|&t| t != 0.0);
    match &mut op {
        Op::Dense { weight, bias } => {
            let scale = along(scale, input, input.len() - 1)?;
            let shift = along(shift, input, input.len() - 1)?;
            let mut sums = take_bias(bias.take(), weight.shape()[1]);
            for ((mut row, s), t) in weight.axis_iter_mut(Axis(0)).zip(scale).zip(shift) {
                sums.iter_mut()
                    .zip(&row)
                    .for_each(|(b, &w)| *b += f64::from(w * t));
                row.mapv_inplace(|w| w * s);
            }
            *bias = Some(
                sums.into_iter()
                    .map(|b| b as f32)
                    .collect::<ndarray::Array1<_>>()
                    .into_dyn(),
            );
        }
        Op::Conv {
            weight,
            bias,
            groups,
            windows,
        } => {
            if constant && windows.iter().any(|w| w.pad_begin + w.pad_end > 0) {
                return None;
            }
            let scale = along(scale, input, 1)?;
            let shift = along(shift, input, 1)?;
            let (outputs, inputs) = (weight.shape()[0], weight.shape()[1]);
            let mut sums = take_bias(bias.take(), outputs);
            for (o, mut kernels) in weight.axis_iter_mut(Axis(0)).enumerate() {
                let first = o / (outputs / *groups) * inputs;
                for (c, mut kernel) in kernels.axis_iter_mut(Axis(0)).enumerate() {
                    let sum: f64 = kernel.iter().map(|&w| f64::from(w)).sum();
                    sums[o] += sum * f64::from(shift[first + c]);
                    kernel.mapv_inplace(|w| w * scale[first + c]);
                }
            }
            *bias = Some(
                sums.into_iter()
                    .map(|b| b as f32)
                    .collect::<ndarray::Array1<_>>()
                    .into_dyn(),
            );
        }
        _ => return None,
    }
    finite(op)
}

/// The affine map `first`, then the affine map `second`.
pub(super) fn affines(first: &Op, second: &Op) -> Option<Op> {
    let (Op::Affine { scale: s, shift: t }, Op::Affine { scale: r, shift: u }) = (first, second)
    else {
        return None;
    };
    finite(Op::Affine {
        scale: r * s,
        shift: r * t + u,
    })
}

/// Two dense layers in one.
pub(super) fn layers(first: &Op, second: &Op) -> Option<Op> {
    let (
        Op::Dense { weight, bias },
        Op::Dense {
            weight: outer,
            bias: last,
        },
    ) = (first, second)
    else {
        return None;
    };
    let matrix = |w: &ArrayD<f32>| w.mapv(f64::from).into_dimensionality::<Ix2>().ok();
    let outer = matrix(outer)?;
    let product = matrix(weight)?.dot(&outer);
    let outputs = outer.ncols();
    let mut sums = ndarray::Array1::from_vec(take_bias(last.clone(), outputs));
    let inner = take_bias(bias.clone(), outer.nrows());
    sums += &ndarray::Array1::from_vec(inner).dot(&outer);
    finite(Op::Dense {
        weight: product.mapv(|w| w as f32).into_dyn(),
        bias: Some(sums.mapv(|b| b as f32).into_dyn()),
    })
}

/// The values of a broadcast `factor` along `axis` of a tensor of `shape`, if it is constant along
/// the other axes.
pub(crate) fn along(factor: &ArrayD<f32>, shape: &[usize], axis: usize) -> Option<Vec<f32>> {
    let first = shape.len() - factor.ndim();
    let varies = |i: usize| i >= first && factor.shape()[i - first] > 1;
    if (0..shape.len()).any(|i| i != axis && varies(i)) {
        return None;
    }
    let values = factor.iter().copied().cycle();
    Some(values.take(shape[axis]).collect())
}

fn take_bias(bias: Option<ArrayD<f32>>, outputs: usize) -> Vec<f64> {
    match bias {
        Some(bias) => bias.iter().map(|&b| b.into()).collect(),
        None => vec![0.0; outputs],
    }
}

fn finite(op: Op) -> Option<Op> {
    let finite = op.constants().all(f32::is_finite);
    finite.then_some(op)
}
