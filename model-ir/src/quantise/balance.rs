//! Features of unlike sizes are brought to one size before a layer mixes them.
//!
//! A tensor has one scale, so that its largest channel decides how finely the others are rounded,
//! and a layer whose weights make up for the sizes of its channels multiplies those errors. Where
//! the integers are those of model inputs, which may have as many bits as it takes, the layer
//! `W x + b` becomes `W D (D^-1 (x - c)) + (b + W c)` with a power of two on `D`'s diagonal and a
//! centre `c` for each channel: the inner map is a layer of its own, whose result has channels of
//! like sizes. Layers that lose nothing stay as they are.

use super::calibration::{Range, Ranges};
use super::policy;
use super::prepare::{copied, rewritten};
use super::{Error, Profile};
use crate::exact::{exp2, log2_ceil};
use crate::float::{Graph, Node, Op};
use ndarray::{ArrayD, Axis, IxDyn};

/// The axis of a value along which a layer, or what compares features, mixes its cells.
pub(super) fn channel_axes(graph: &Graph) -> Vec<Option<usize>> {
    let nodes = graph.nodes();
    let last = |v: usize| nodes[v].shape.len().checked_sub(1);
    let given = |v: usize| nodes[v].op.is_input();
    let mut axes: Vec<Option<usize>> = (0..nodes.len())
        .map(|v| last(v).filter(|_| given(v)))
        .collect();
    for node in nodes {
        let axis = match node.op {
            Op::Dense { .. } => last(node.inputs[0].0),
            Op::Conv { .. } => Some(1),
            Op::Input { .. }
            | Op::Constant { .. }
            | Op::Affine { .. }
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
            | Op::Max
            | Op::Maximum { .. } => None,
        };
        if axis.is_some() {
            axes[node.inputs[0].0] = axis;
        }
    }
    axes
}

/// Largest and smallest size of the channels that are not always 0, as a ratio.
pub(super) fn unlikeness(channels: Option<&Vec<Range>>) -> f64 {
    let sizes = channels.into_iter().flatten().map(|range| range.size());
    let sizes = sizes.filter(|&size| size > 0.0);
    let (least, most) = sizes.fold((f64::INFINITY, 0.0_f64), |(a, b), x| (a.min(x), b.max(x)));
    if most > 0.0 { most / least } else { 1.0 }
}

/// The graph with balanced layers, if there are any to balance; `seen` has the ranges along
/// [`channel_axes`].
pub(super) fn balanced(
    graph: &Graph,
    seen: &Ranges,
    profile: Profile,
) -> Result<Option<Graph>, Error> {
    let (ranges, given) = (&seen.values, given(graph));
    let step = exp2(1 - profile.bits() as i32);
    let plan = |(v, node): (usize, &Node)| {
        let source = node.inputs.first()?.0;
        let channels = seen.channels[source].as_ref().filter(|_| given[source])?;
        let columns = columns(&node.op, channels.len())?;
        let before = noise(&columns, |_| ranges[source].size());
        let after = noise(&columns, |j| half_width(channels[j]).max(f64::MIN_POSITIVE));
        let own = ranges[v].size() * profile.margin() * step;
        let felt = before * step > policy::FELT_STEPS * own;
        (felt && before > policy::BALANCE_WORTH * after).then(|| Balance::new(node, channels))
    };
    let balances: Vec<Option<Balance>> = graph.nodes().iter().enumerate().map(plan).collect();
    if balances.iter().all(Option::is_none) {
        return Ok(None);
    }
    rewritten(graph, |b, v, inputs| {
        let node = &graph.nodes()[v];
        let Some(balance) = &balances[v] else {
            return copied(b, node, inputs);
        };
        let (scale, shift) = (balance.scale.clone(), balance.shift.clone());
        let inner = b.add(&node.name, Op::Affine { scale, shift }, inputs)?;
        b.add(&node.name, balance.layer.clone(), &[inner])
    })
    .map(Some)
}

/// Values whose integers are those of inputs and constants, moved.
pub(super) fn given(graph: &Graph) -> Vec<bool> {
    let mut given: Vec<bool> = Vec::with_capacity(graph.nodes().len());
    for node in graph.nodes() {
        let all = || node.inputs.iter().all(|v| given[v.0]);
        given.push(match &node.op {
            Op::Input { integral } => !integral,
            Op::Constant { .. } => true,
            op @ (Op::Reshape { .. } | Op::Transpose { .. } | Op::Take { .. } | Op::Map(_)) => {
                op.selects() && all()
            }
            Op::Concat { .. } => all(),
            Op::Dense { .. }
            | Op::Conv { .. }
            | Op::Affine { .. }
            | Op::Activation(_)
            | Op::Pool { .. }
            | Op::Add
            | Op::Sub
            | Op::Pad { .. }
            | Op::Contract(_)
            | Op::Max
            | Op::Maximum { .. } => false,
        });
    }
    given
}

/// Half the length of the range of what is centred, or the largest magnitude.
fn half_width(range: Range) -> f64 {
    let width = (range.hi - range.lo) / 2.0;
    if off_centre(range) {
        width
    } else {
        range.size()
    }
}

fn off_centre(range: Range) -> bool {
    let width = range.hi - range.lo;
    width > 0.0 && f64::midpoint(range.lo, range.hi).abs() > policy::OFF_CENTRE * width
}

/// The weights that read channel `j`: the row `j` of all outputs. `None` for what is no layer.
fn columns(op: &Op, channels: usize) -> Option<Vec<Vec<f64>>> {
    let (weight, axis) = match op {
        Op::Dense { weight, .. } => (weight, 0),
        Op::Conv {
            weight, groups: 1, ..
        } => (weight, 1),
        _ => return None,
    };
    let column = |j: usize| -> Vec<f64> {
        let rows = weight.index_axis(Axis(axis), j);
        // All taps of an output.
        let outputs = if axis == 0 {
            rows.len()
        } else {
            weight.shape()[0]
        };
        let taps = rows.len() / outputs.max(1);
        let cells: Vec<f64> = rows.iter().map(|&w| f64::from(w)).collect();
        let size = |tap: &[f64]| tap.iter().map(|w| w * w).sum::<f64>();
        cells.chunks(taps.max(1)).map(size).collect()
    };
    (weight.shape()[axis] == channels).then(|| (0..channels).map(column).collect())
}

/// The rounding of channels of these sizes, each in parts of its size, at the output where it is
/// largest: the root of a sum of squares.
fn noise(columns: &[Vec<f64>], size: impl Fn(usize) -> f64) -> f64 {
    let outputs = columns.first().map_or(0, Vec::len);
    let output = |k: usize| -> f64 {
        let terms = columns.iter().enumerate();
        terms.map(|(j, column)| column[k] * size(j) * size(j)).sum()
    };
    let most = (0..outputs).map(output).fold(0.0, f64::max);
    // A uniform error of a step has this standard deviation.
    (most / 12.0).sqrt()
}

/// A layer in two: the inner affine map, and the layer of its result.
struct Balance {
    scale: ArrayD<f32>,
    shift: ArrayD<f32>,
    layer: Op,
}

impl Balance {
    fn new(node: &Node, channels: &[Range]) -> Self {
        let padded = match &node.op {
            Op::Conv { windows, .. } => windows.iter().any(|w| w.pad_begin + w.pad_end > 0),
            _ => false,
        };
        let centre = |range: &Range| {
            if off_centre(*range) && !padded {
                f64::midpoint(range.lo, range.hi) as f32
            } else {
                0.0
            }
        };
        let centres: Vec<f32> = channels.iter().map(centre).collect();
        let exponent = |(range, &centre): (&Range, &f32)| {
            let centre = f64::from(centre);
            let size = (range.hi - centre).abs().max((range.lo - centre).abs());
            if size > 0.0 { log2_ceil(size) } else { 0 }
        };
        let exponents = channels.iter().zip(&centres).map(exponent);
        let sizes: Vec<f32> = exponents
            .map(|k| {
                exp2(k.clamp(
                    *policy::BALANCED_POWERS.start(),
                    *policy::BALANCED_POWERS.end(),
                )) as f32
            })
            .collect();
        let layer = layer(&node.op, &sizes, &centres);
        let spatial = match &node.op {
            Op::Conv { windows, .. } => windows.len(),
            _ => 0,
        };
        let shape = [&[sizes.len()][..], &vec![1; spatial]].concat();
        let array = |cells: Vec<f32>| {
            ArrayD::from_shape_vec(IxDyn(&shape), cells).expect("one cell a channel")
        };
        let shift = centres.iter().zip(&sizes).map(|(c, size)| -c / size);
        Self {
            shift: array(shift.collect()),
            scale: array(sizes.iter().map(|size| size.recip()).collect()),
            layer,
        }
    }
}

/// `W D` and `b + W c`
fn layer(op: &Op, sizes: &[f32], centres: &[f32]) -> Op {
    let mut op = op.clone();
    let (weight, bias, axis, outputs) = match &mut op {
        Op::Dense { weight, bias } => (weight, bias, 0, 1),
        Op::Conv { weight, bias, .. } => (weight, bias, 1, 0),
        other => return other.clone(),
    };
    let count = weight.shape()[outputs];
    let mut sums: Vec<f64> = match &bias {
        Some(bias) => bias.iter().map(|&b| b.into()).collect(),
        None => vec![0.0; count],
    };
    for (j, (&size, &centre)) in sizes.iter().zip(centres).enumerate() {
        for (k, sum) in sums.iter_mut().enumerate() {
            let column = weight.index_axis(Axis(axis), j);
            // The other axes have the outputs first.
            let taps = column.index_axis(Axis(0), k);
            *sum += taps
                .iter()
                .map(|&w| f64::from(w) * f64::from(centre))
                .sum::<f64>();
        }
        let mut column = weight.index_axis_mut(Axis(axis), j);
        column.mapv_inplace(|w| w * size);
    }
    if bias.is_some() || centres.iter().any(|&c| c != 0.0) {
        let sums = sums.into_iter().map(|b| b as f32).collect::<Vec<f32>>();
        *bias = Some(ndarray::Array1::from_vec(sums).into_dyn());
    }
    op
}
