//! Linear layers: weights at scale `s_w = (s_out / s_in) * 2^-S`, bias at scale `s_in * s_w`.

use super::Error;
use super::forms::Form;
use super::lower::{Handle, Lowered};
use super::moves::{keep, window_axis};
use super::plan::Plan;
use super::policy;
use crate::exact::{exp2, log2_ceil, log2_floor};
use crate::float::{Node, Op};
use crate::int::{Affine, Interval, Op as IntOp, TensorId, WeightId, affine_bounds};
use ndarray::ArrayD;

/// A layer before its constants are quantised.
struct Layer {
    /// Logical axes; the constants' names are filled in later.
    affine: Affine,
    /// Row-major in the affine's weight shape.
    weights: Vec<f32>,
    bias: Option<Vec<f32>>,
}

impl Layer {
    /// The layer of a node whose operand has this shape.
    fn new(node: &Node, shape: &[usize]) -> Self {
        match &node.op {
            Op::Dense { weight, bias } => dense(weight, bias.as_ref(), shape),
            Op::Conv { weight, bias, .. } => conv(node, weight, bias.as_ref(), shape),
            Op::Affine { scale, shift } => affine(scale, shift, shape),
            Op::Input { .. }
            | Op::Constant { .. }
            | Op::Activation(_)
            | Op::Pool { .. }
            | Op::Add
            | Op::Sub
            | Op::Reshape { .. }
            | Op::Transpose { .. }
            | Op::Concat { .. }
            | Op::Pad { .. }
            | Op::Contract(_)
            | Op::Map(_)
            | Op::Take { .. }
            | Op::Missing(_)
            | Op::Max
            | Op::Maximum { .. } => unreachable!("asked of linear layers only"),
        }
    }
}

/// The dense, convolution or affine layer of value `v`.
pub(super) fn layer(lowered: &mut Lowered, v: usize) -> Result<Handle, Error> {
    let node = lowered.plan.node(v);
    let shape = &lowered.plan.node(node.inputs[0].0).shape;
    let x = lowered.feed(node.inputs[0])?;
    let layer = Layer::new(node, shape);
    emit(lowered, v, x.tensor, x.scale, layer)
}

fn emit(
    lowered: &mut Lowered,
    v: usize,
    x: TensorId,
    input_scale: f64,
    layer: Layer,
) -> Result<Handle, Error> {
    let plan = lowered.plan;
    let name = &plan.node(v).name;
    debug_assert_ne!(plan.forms.of(v), Form::Small);
    let shift = shift(plan, lowered.shift, v, input_scale, &layer.weights);
    let scale = plan.scales.of(v) * exp2(-(shift as i32));
    let quantised = |w: &f32| (f64::from(*w) * (input_scale / scale)).round();
    let sizes = layer.weights.iter().map(|w| quantised(w).abs());
    let largest = sizes.fold(0.0_f64, f64::max);
    let finest = plan.ties.fixed(v).is_some() || plan.facts.precise[v] || has_room(plan, v);
    let most = if finest {
        exp2(policy::FINEST_WEIGHT_BITS + 1)
    } else {
        exp2(policy::WEIGHT_BITS)
    };
    if largest > most {
        return Err(Error::Weight {
            node: name.clone(),
            largest,
        });
    }
    let weights: Vec<i32> = layer.weights.iter().map(|w| quantised(w) as i32).collect();
    // Saturates far outside (-2^62, 2^62), where the bounds refuse it.
    let bias = layer.bias.map(|bias| -> Vec<i64> {
        let scaled = bias.iter().map(|&b| (f64::from(b) / scale).round() as i64);
        scaled.collect()
    });
    let bias = bias.filter(|bias| bias.iter().any(|&b| b != 0));
    let tensor = lowered.layer(name, layer.affine, x, weights, bias)?;
    lowered.layers.push((name.clone(), largest as i64));
    Ok(Handle {
        tensor,
        shift,
        small: false,
        scale,
    })
}

/// Whether there is room for larger weights: every output of layer `v` has one, or they multiply
/// integers, which are few.
fn has_room(plan: &Plan, v: usize) -> bool {
    is_single(plan, v) || plan.ties.is_whole(plan.node(v).inputs[0].0)
}

/// Whether every output of layer `v` has one weight.
fn is_single(plan: &Plan, v: usize) -> bool {
    plan.node(v).op.affine().is_some()
}

/// The shift of the accumulator of layer `v` in a model of this usual shift.
fn shift(plan: &Plan, usual: u32, v: usize, input_scale: f64, weights: &[f32]) -> u32 {
    let source = plan.node(v).inputs[0].0;
    let exact = plan.ties.is_whole(source);
    if plan.needs.is_free(v) || exact && plan.ties.is_whole(v) {
        return 0;
    }
    let largest = weights.iter().fold(0.0_f32, |m, w| m.max(w.abs()));
    let size = f64::from(largest) * input_scale / plan.scales.of(v);
    let most_bits = if is_single(plan, v) {
        policy::FINEST_WEIGHT_BITS
    } else {
        policy::WEIGHT_BITS
    };
    let room = most_bits - log2_ceil(size);
    let least = usual as i32;
    let shift = if size > 0.0 {
        let wanted = wanted_shift(plan, usual, v, input_scale, weights, size, room);
        wanted.clamp(least, policy::MOST_LAYER_SHIFT)
    } else {
        least
    };
    // Integers are exact, however coarse beside the result: their weights need no more than fits.
    if exact && (0..shift).contains(&room) {
        room as u32
    } else {
        shift as u32
    }
}

/// The shift at which the weights are fine enough: the largest is `size` beside the steps of the
/// result, and there is room for so many bits of it.
fn wanted_shift(
    plan: &Plan,
    usual: u32,
    v: usize,
    input_scale: f64,
    weights: &[f32],
    size: f64,
    room: i32,
) -> i32 {
    if plan.ties.fixed(v).is_some() {
        // As fine as the weights' type allows: the rounding is that of the model itself.
        policy::FINEST_WEIGHT_BITS - log2_ceil(size)
    } else if plan.facts.deep[v] {
        policy::DEEP_WEIGHT_BITS - log2_floor(size)
    } else if plan.facts.precise[v] {
        let least = plan.facts.profile.numbers().least_weight_bits - log2_floor(size);
        // The smallest weight counts where it is an output's only one.
        let spread = if is_single(plan, v) {
            spread(weights)
        } else {
            0
        };
        let finer = finer(plan, v, weights, input_scale, least);
        (least + spread.max(finer)).min(room.max(least))
    } else {
        // An input of more bits than usual would take them from the weights.
        let bits = plan.bits.of(plan.node(v).inputs[0].0);
        let further = bits.saturating_sub(plan.facts.profile.bits());
        let finer = finer(plan, v, weights, input_scale, usual as i32);
        (usual as i32 + (further as i32).max(finer)).min(room)
    }
}

/// Binary digits between the largest and the smallest weight that is not 0.
pub(super) fn spread(weights: &[f32]) -> i32 {
    let sizes = weights
        .iter()
        .map(|w| f64::from(w.abs()))
        .filter(|&w| w > 0.0);
    let (least, most) = sizes.fold((f64::INFINITY, 0.0_f64), |(a, b), w| (a.min(w), b.max(w)));
    if most > 0.0 {
        log2_ceil(most / least)
    } else {
        0
    }
}

/// Binary digits by which the weights of layer `v` with this shift are too coarse: see
/// [`policy::COARSER`].
fn finer(plan: &Plan, v: usize, weights: &[f32], input_scale: f64, shift: i32) -> i32 {
    let squares: f64 = weights.iter().map(|&w| f64::from(w) * f64::from(w)).sum();
    let rms = (squares / weights.len().max(1) as f64).sqrt();
    let step = plan.scales.of(v) * exp2(-shift) / input_scale;
    let input = plan.node(v).inputs[0].0;
    let excess = step / rms * plan.facts.usual[input].rms() / (policy::COARSER * input_scale);
    if excess.is_finite() && excess > 1.0 {
        log2_ceil(excess)
    } else {
        0
    }
}

/// The linear layer of value `v` of an accumulator that is not made small: the weights have as many
/// bits as it takes to be exact, or else [`policy::RAW_WEIGHT_BITS`], or as many as the sums leave
/// room for.
pub(super) fn raw(lowered: &mut Lowered, v: usize) -> Result<Handle, Error> {
    let node = lowered.plan.node(v);
    let shape = &lowered.plan.node(node.inputs[0].0).shape;
    let x = lowered.operand(node.inputs[0], policy::DIRECT_SUM)?;
    let layer = Layer::new(node, shape);
    let whole = |bits: &i32| {
        let integer = |w: &f32| (f64::from(*w) * exp2(*bits)).fract() == 0.0;
        layer.weights.iter().all(integer)
    };
    let largest = layer.weights.iter().fold(0.0_f32, |m, w| m.max(w.abs()));
    let most = policy::RAW_WEIGHT_BITS - log2_ceil(largest.max(f32::MIN_POSITIVE).into());
    let rows = layer.affine.rows().max(1);
    let row = |row: &[f32]| row.iter().map(|w| f64::from(w.abs())).sum::<f64>();
    let rows = layer.weights.chunks((layer.weights.len() / rows).max(1));
    let gain = rows.map(row).fold(0.0, f64::max);
    let size = gain.max(f64::MIN_POSITIVE) * lowered.interval(x.tensor).max_abs().max(1) as f64;
    let most = most.min(policy::RAW_SUM_BITS - log2_ceil(size));
    let bits = (0..most).find(whole).unwrap_or(most);
    let shifts: Vec<f64> = layer.bias.iter().flatten().map(|&b| b.into()).collect();
    let bits = lowered
        .split_for(v, &shifts, x.scale)
        .clamp(bits, most.max(bits));
    let scale = x.scale * exp2(-bits);
    let quantised = |w: &f32| (f64::from(*w) * exp2(bits)).round() as i32;
    let weights = layer.weights.iter().map(quantised).collect();
    let bias = layer.bias.into_iter().flatten();
    let bias: Vec<i64> = bias
        .map(|b| (f64::from(b) / scale).round() as i64)
        .collect();
    let bias = Some(bias).filter(|bias| bias.iter().any(|&b| b != 0));
    let tensor = lowered.layer(&node.name, layer.affine, x.tensor, weights, bias)?;
    Ok(Handle {
        tensor,
        shift: 0,
        small: false,
        scale,
    })
}

impl Lowered<'_> {
    /// A linear layer with its constants.
    fn layer(
        &mut self,
        name: &str,
        mut affine: Affine,
        x: TensorId,
        weights: Vec<i32>,
        bias: Option<Vec<i64>>,
    ) -> Result<TensorId, Error> {
        let bounds = affine_bounds(&affine, &weights, bias.as_deref(), self.interval(x));
        let interval = bounds.and_then(|rows| rows.into_iter().reduce(Interval::hull));
        let interval = interval.ok_or_else(|| Error::overflow(name))?;
        affine.weight = WeightId(self.weights.len());
        affine.bias = bias.map(|bias| self.bias(bias));
        self.weights.push(weights.into());
        let cells = affine.output_axes().iter().product();
        Ok(self.push(name, IntOp::Affine(affine), vec![x], cells, interval))
    }
}

fn blank(
    lead: Vec<usize>,
    groups: Vec<usize>,
    outputs: Vec<usize>,
    inputs: Vec<usize>,
    windows: Vec<crate::int::MapAxis>,
) -> Affine {
    Affine {
        lead,
        groups,
        outputs,
        inputs,
        windows,
        weight: WeightId(0),
        bias: None,
    }
}

fn values(array: &ArrayD<f32>) -> Vec<f32> {
    array.iter().copied().collect()
}

fn dense(weight: &ArrayD<f32>, bias: Option<&ArrayD<f32>>, shape: &[usize]) -> Layer {
    let (inputs, outputs) = (weight.shape()[0], weight.shape()[1]);
    let lead = shape[..shape.len() - 1].to_vec();
    Layer {
        affine: blank(lead, vec![], vec![outputs], vec![inputs], vec![]),
        weights: weight.t().iter().copied().collect(),
        bias: bias.map(values),
    }
}

fn conv(node: &Node, weight: &ArrayD<f32>, bias: Option<&ArrayD<f32>>, shape: &[usize]) -> Layer {
    let Op::Conv {
        groups, windows, ..
    } = &node.op
    else {
        unreachable!("called for convolutions only");
    };
    let windows = windows.iter().zip(&shape[2..]);
    let windows = windows.map(|(window, &n)| window_axis(window, n)).collect();
    let outputs = vec![weight.shape()[0] / groups];
    let inputs = vec![weight.shape()[1]];
    Layer {
        affine: blank(vec![shape[0]], vec![*groups], outputs, inputs, windows),
        weights: values(weight),
        bias: bias.map(values),
    }
}

/// A factor and a shift that vary over the axes from the first to the last on which either does.
fn affine(scale: &ArrayD<f32>, shift: &ArrayD<f32>, shape: &[usize]) -> Layer {
    let varies = |factor: &ArrayD<f32>, axis: usize| {
        let skip = shape.len() - factor.ndim();
        axis >= skip && factor.shape()[axis - skip] > 1
    };
    let varying = (0..shape.len()).filter(|&i| varies(scale, i) || varies(shift, i));
    let (first, end) = varying.fold((shape.len(), 0), |(a, b), i| (a.min(i), b.max(i + 1)));
    let end = end.max(first);
    let groups = shape[first..end].to_vec();
    let spread = |factor: &ArrayD<f32>| -> Vec<f32> {
        // Constant outside the groups: keep the axes of the groups, broadcast over those.
        let skip = shape.len() - factor.ndim();
        let view = (first..end).map(|axis| {
            let axis = axis.checked_sub(skip);
            axis.map_or(1, |axis| factor.shape()[axis])
        });
        let view: Vec<usize> = view.collect();
        let cells: Vec<f32> = factor.iter().copied().collect();
        let view = ArrayD::from_shape_vec(ndarray::IxDyn(&view), cells);
        let view = view.expect("the other axes have length 1");
        let spread = view.broadcast(groups.as_slice());
        spread
            .expect("the shape rule allowed it")
            .iter()
            .copied()
            .collect()
    };
    Layer {
        weights: spread(scale),
        bias: Some(spread(shift)),
        affine: blank(
            shape[..first].to_vec(),
            groups.clone(),
            vec![],
            vec![],
            keep(&shape[end..]),
        ),
    }
}
