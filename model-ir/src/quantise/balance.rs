//! Features of unlike sizes are brought to one size before a layer mixes them.
//!
//! A tensor has one scale, so that its largest channel decides how finely the others are rounded,
//! and a layer whose weights make up for the sizes of its channels multiplies those errors. Where
//! the integers are those of model inputs, which may have as many bits as it takes, the layer
//! `W x + b` becomes `W D (D^-1 (x - c)) + (b + W c)` with a power of two on `D`'s diagonal and a
//! centre `c` for each channel: the inner map is a layer of its own, whose result has channels of
//! like sizes. Layers that lose nothing stay as they are.

use super::calibration::{Range, Ranges};
use super::facts::Facts;
use super::policy;
use super::prepare::{copied, rewritten};
use super::{Error, Profile};
use crate::exact::{exp2, log2_ceil};
use crate::float::{Graph, Node, Op, Window};
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
            | Op::Missing(_)
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
        let layer = Layer::of(&node.op)?;
        let columns = layer.columns(channels.len())?;
        let before = noise(&columns, |_| ranges[source].size());
        let after = noise(&columns, |j| half_width(channels[j]).max(f64::MIN_POSITIVE));
        let own = ranges[v].size() * profile.margin() * step;
        let felt = before * step > policy::FELT_STEPS * own;
        (felt && before > policy::BALANCE_WORTH * after)
            .then(|| Balance::new(node, &layer, channels))
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

/// By how many steps of the profile's bits the rounding of `v` moves the result `c` of a layer that
/// mixes its channels.
pub(super) fn felt(facts: &Facts, v: usize, c: usize) -> Option<f64> {
    let layer = Layer::of(facts.op(c))?;
    let columns = layer.columns(facts.channels[v].as_ref()?.len())?;
    let size = |v: usize| facts.ranges[v].size();
    let own = size(c) * facts.profile.margin();
    (own > 0.0).then(|| noise(&columns, |_| size(v)) / own)
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
            | Op::Maximum { .. }
            | Op::Missing(_) => false,
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

/// A layer that mixes channels.
struct Layer<'a> {
    weight: &'a ArrayD<f32>,
    bias: Option<&'a ArrayD<f32>>,
    windows: &'a [Window],
    /// Axes of the weights: that of the channels, and that of the outputs.
    channels: usize,
    outputs: usize,
}

impl<'a> Layer<'a> {
    /// The layer of an operator, if it is one that mixes all channels.
    fn of(op: &'a Op) -> Option<Self> {
        match op {
            Op::Dense { weight, bias } => Some(Self {
                weight,
                bias: bias.as_ref(),
                windows: &[],
                channels: 0,
                outputs: 1,
            }),
            Op::Conv {
                weight,
                bias,
                groups,
                windows,
            } => (*groups == 1).then_some(Self {
                weight,
                bias: bias.as_ref(),
                windows,
                channels: 1,
                outputs: 0,
            }),
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
            | Op::Missing(_)
            | Op::Max
            | Op::Maximum { .. } => None,
        }
    }

    /// The squares of the weights that read channel `j`, added up for every output; `None` if the
    /// channels are others.
    fn columns(&self, channels: usize) -> Option<Vec<Vec<f64>>> {
        let column = |j: usize| -> Vec<f64> {
            let rows = self.weight.index_axis(Axis(self.channels), j);
            // All taps of an output.
            let taps = rows.len() / self.weight.shape()[self.outputs].max(1);
            let cells: Vec<f64> = rows.iter().map(|&w| f64::from(w)).collect();
            let size = |tap: &[f64]| tap.iter().map(|w| w * w).sum::<f64>();
            cells.chunks(taps.max(1)).map(size).collect()
        };
        let fits = self.weight.shape()[self.channels] == channels;
        fits.then(|| (0..channels).map(column).collect())
    }

    /// `W D` and `b + W c`
    fn balanced(&self, sizes: &[f32], centres: &[f32]) -> (ArrayD<f32>, Option<ArrayD<f32>>) {
        let mut weight = self.weight.clone();
        let mut sums: Vec<f64> = match self.bias {
            Some(bias) => bias.iter().map(|&b| b.into()).collect(),
            None => vec![0.0; weight.shape()[self.outputs]],
        };
        for (j, (&size, &centre)) in sizes.iter().zip(centres).enumerate() {
            let mut column = weight.index_axis_mut(Axis(self.channels), j);
            for (k, sum) in sums.iter_mut().enumerate() {
                // The other axes have the outputs first.
                let taps = column.index_axis(Axis(0), k);
                let products = taps.iter().map(|&w| f64::from(w) * f64::from(centre));
                *sum += products.sum::<f64>();
            }
            column.mapv_inplace(|w| w * size);
        }
        let changed = self.bias.is_some() || centres.iter().any(|&c| c != 0.0);
        let sums: Vec<f32> = sums.into_iter().map(|b| b as f32).collect();
        let bias = changed.then(|| ndarray::Array1::from_vec(sums).into_dyn());
        (weight, bias)
    }
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
    fn new(node: &Node, layer: &Layer, channels: &[Range]) -> Self {
        let windows = layer.windows;
        let padded = windows.iter().any(|w| w.pad_begin + w.pad_end > 0);
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
        let (weight, bias) = layer.balanced(&sizes, &centres);
        let shape = [&[sizes.len()][..], &vec![1; windows.len()]].concat();
        let array = |cells: Vec<f32>| {
            ArrayD::from_shape_vec(IxDyn(&shape), cells).expect("one cell a channel")
        };
        let shift = centres.iter().zip(&sizes).map(|(c, size)| -c / size);
        Self {
            shift: array(shift.collect()),
            scale: array(sizes.iter().map(|size| size.recip()).collect()),
            layer: node.op.with_weights(weight, bias),
        }
    }
}
