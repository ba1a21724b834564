//! Integers: which values have integer cells on every input, and between which bounds.
//!
//! Integers are exact: none is clamped or rounded on its way through the model, so that their
//! bounds must hold for every input that the model takes. A model input's own bounds follow from
//! the axes that it indexes, and otherwise from its calibrated range with room for as many
//! integers again; they are declared, and what lies outside of them is refused.

use super::Error;
use super::calibration::Range;
use super::policy;
use crate::float::{Activation, AxisMap, Contract, Graph, Node, Op, PoolKind, ValueId, Window};
use crate::int::Interval;
use ndarray::ArrayD;

/// The integers of every value, if it has integers only.
pub(super) fn find(graph: &Graph, ranges: &[Range]) -> Vec<Option<Interval>> {
    let indexed = indexed(graph);
    let mut known: Vec<Option<Interval>> = Vec::with_capacity(graph.nodes().len());
    for (v, node) in graph.nodes().iter().enumerate() {
        let of = |k: usize| known[node.inputs[k].0];
        let interval = match &node.op {
            Op::Input { integral } => integral.then(|| declared(ranges[v], indexed[v])),
            Op::Constant { value } => hull(value),
            Op::Dense { weight, bias } => of(0).and_then(|x| dense(weight, bias.as_ref(), x)),
            Op::Conv {
                weight,
                bias,
                windows,
                ..
            } => of(0).and_then(|x| conv(weight, bias.as_ref(), windows, x)),
            Op::Affine { scale, shift } => of(0).and_then(|x| affine(scale, shift, node, x)),
            Op::Activation(f) => activation(*f, of(0), ranges[node.inputs[0].0]),
            Op::Pool { kind, .. } => of(0).filter(|_| *kind == PoolKind::Max),
            Op::Add => of(0).zip(of(1)).map(|(x, y)| sum(x, y)),
            Op::Sub => of(0).zip(of(1)).map(|(x, y)| sum(x, times(y, -1))),
            Op::Max => of(0).zip(of(1)).map(|(x, y)| Interval {
                lo: x.lo.max(y.lo),
                hi: x.hi.max(y.hi),
            }),
            Op::Reshape { .. } | Op::Transpose { .. } | Op::Take { .. } | Op::Maximum { .. } => {
                of(0)
            }
            Op::Concat { .. } => joined(&node.inputs, &known),
            Op::Pad { value, .. } => of(0).zip(whole(*value)).map(|(x, value)| x.with(value)),
            Op::Contract(labels) => {
                let operands = of(0).zip(of(1));
                operands.map(|(x, y)| contract(labels, graph, node, x, y))
            }
            Op::Map(axes) => of(0).and_then(|x| axes.iter().try_fold(x, mapped)),
            Op::Missing(_) => None,
        };
        known.push(interval.map(within_limits));
    }
    known
}

/// Refuses calibrated integers that are no indices of the axes which they index.
pub(super) fn check(
    graph: &Graph,
    ranges: &[Range],
    integers: &[Option<Interval>],
) -> Result<(), Error> {
    for (v, node) in graph.nodes().iter().enumerate() {
        let Some(allowed) = integers[v].filter(|_| node.op.is_input()) else {
            continue;
        };
        let Range { lo, hi } = ranges[v];
        let calibrated = Interval {
            lo: lo as i64,
            hi: hi as i64,
        };
        if !allowed.covers(calibrated) {
            return Err(Error::Indices {
                node: node.name.clone(),
                calibrated,
                allowed,
            });
        }
    }
    Ok(())
}

/// The integers that an input takes.
fn declared(range: Range, indexed: Option<Interval>) -> Interval {
    indexed.unwrap_or_else(|| {
        let size = range.size().clamp(1.0, f64::from(policy::EXACT_INTEGER)) as u64;
        let most = (2 * size + 1).next_power_of_two() as i64 - 1;
        let lo = if range.lo < 0.0 { -most } else { 0 };
        Interval { lo, hi: most }
    })
}

/// By value: the indices that all axes have which it indexes.
pub(super) fn indexed(graph: &Graph) -> Vec<Option<Interval>> {
    let mut known: Vec<Option<Interval>> = vec![None; graph.nodes().len()];
    for (v, node) in graph.nodes().iter().enumerate().rev() {
        let own = match &node.op {
            Op::Activation(f) => index(*f),
            Op::Reshape { .. } | Op::Transpose { .. } => known[v],
            Op::Map(axes) => known[v].filter(|_| axes.iter().all(keeps_all)),
            Op::Input { .. }
            | Op::Constant { .. }
            | Op::Dense { .. }
            | Op::Conv { .. }
            | Op::Affine { .. }
            | Op::Pool { .. }
            | Op::Add
            | Op::Sub
            | Op::Concat { .. }
            | Op::Pad { .. }
            | Op::Contract(_)
            | Op::Take { .. }
            | Op::Missing(_)
            | Op::Max
            | Op::Maximum { .. } => None,
        };
        let Some(own) = own else { continue };
        let operand = &mut known[node.inputs[0].0];
        let least = operand.map_or(own, |other| Interval {
            lo: own.lo.max(other.lo),
            hi: own.hi.min(other.hi),
        });
        *operand = Some(least);
    }
    known
}

/// The indices of an axis that a function takes.
fn index(f: Activation) -> Option<Interval> {
    let Activation::Index { length } = f else {
        return None;
    };
    Some(indices(length))
}

/// Whether every cell of the operand is one of the result, so that each must be an index.
fn keeps_all(axis: &AxisMap) -> bool {
    match axis {
        AxisMap::Keep => true,
        AxisMap::Matrix(m) => {
            let read = |x: usize| m.entries.iter().any(|&(_, from, _)| from as usize == x);
            m.selects() && (m.input == 1 || (0..m.input).all(read))
        }
    }
}

/// The indices of an axis; negative ones count from its end.
pub(super) fn indices(length: u32) -> Interval {
    Interval {
        lo: -i64::from(length),
        hi: i64::from(length) - 1,
    }
}

fn whole(x: f32) -> Option<i64> {
    (x.fract() == 0.0 && x.abs() < policy::EXACT_INTEGER).then_some(x as i64)
}

/// The hull of cells that are all integers.
fn hull(cells: &ArrayD<f32>) -> Option<Interval> {
    let mut cells = cells.iter().map(|&x| whole(x));
    let first = cells.next()??;
    let first = Interval {
        lo: first,
        hi: first,
    };
    cells.try_fold(first, |hull, x| Some(hull.with(x?)))
}

fn joined(inputs: &[ValueId], known: &[Option<Interval>]) -> Option<Interval> {
    let mut parts = inputs.iter().map(|v| known[v.0]);
    let first = parts.next()??;
    parts.try_fold(first, |hull, x| Some(hull.hull(x?)))
}

fn sum(x: Interval, y: Interval) -> Interval {
    Interval {
        lo: x.lo.saturating_add(y.lo),
        hi: x.hi.saturating_add(y.hi),
    }
}

fn times(x: Interval, factor: i64) -> Interval {
    let ends = [x.lo.saturating_mul(factor), x.hi.saturating_mul(factor)];
    Interval {
        lo: ends[0].min(ends[1]),
        hi: ends[0].max(ends[1]),
    }
}

/// Beyond the limits of the integer model nothing need be known: it refuses such integers.
fn within_limits(x: Interval) -> Interval {
    let limit = Interval::LIMIT;
    Interval {
        lo: x.lo.clamp(-limit, limit),
        hi: x.hi.clamp(-limit, limit),
    }
}

/// `sum_k w_k x_k + b` for every row, `x_k` in `x`.
fn rows<'a>(
    rows: impl Iterator<Item = Vec<&'a f32>>,
    bias: Option<&ArrayD<f32>>,
    x: Interval,
) -> Option<Interval> {
    let bias: Option<Vec<i64>> = match bias {
        Some(bias) => Some(bias.iter().map(|&b| whole(b)).collect::<Option<_>>()?),
        None => None,
    };
    let row = |(i, row): (usize, Vec<&f32>)| {
        let b = bias.as_ref().map_or(0, |bias| bias[i]);
        row.into_iter()
            .try_fold(Interval { lo: b, hi: b }, |acc, &w| {
                Some(sum(acc, times(x, whole(w)?)))
            })
    };
    let mut rows = rows.enumerate().map(row);
    let first = rows.next()??;
    rows.try_fold(first, |hull, row| Some(hull.hull(row?)))
}

fn dense(weight: &ArrayD<f32>, bias: Option<&ArrayD<f32>>, x: Interval) -> Option<Interval> {
    rows(
        weight
            .columns()
            .into_iter()
            .map(|c| c.into_iter().collect()),
        bias,
        x,
    )
}

fn conv(
    weight: &ArrayD<f32>,
    bias: Option<&ArrayD<f32>>,
    windows: &[Window],
    x: Interval,
) -> Option<Interval> {
    let padded = windows.iter().any(|w| w.pad_begin + w.pad_end > 0);
    let x = if padded { x.with(0) } else { x };
    let kernels = weight.outer_iter().map(|kernel| {
        let cells: Vec<f32> = kernel.iter().copied().collect();
        cells
    });
    let kernels: Vec<Vec<f32>> = kernels.collect();
    rows(kernels.iter().map(|k| k.iter().collect()), bias, x)
}

fn affine(scale: &ArrayD<f32>, shift: &ArrayD<f32>, node: &Node, x: Interval) -> Option<Interval> {
    if let (1, 1) = (scale.len(), shift.len()) {
        let (s, t) = (whole(*scale.first()?)?, whole(*shift.first()?)?);
        return Some(sum(times(x, s), Interval { lo: t, hi: t }));
    }
    let (scale, shift) = (
        scale.broadcast(&*node.shape)?,
        shift.broadcast(&*node.shape)?,
    );
    let mut pairs = scale.iter().zip(shift).map(|(&s, &t)| {
        let t = whole(t)?;
        Some(sum(times(x, whole(s)?), Interval { lo: t, hi: t }))
    });
    let first = pairs.next()??;
    pairs.try_fold(first, |hull, cell| Some(hull.hull(cell?)))
}

/// What a function that leaves 0 or `x` less an integer makes of integers, of which a table of its own
/// has a row each.
fn shrunk(bias: f32, x: Interval) -> Option<Interval> {
    let few = x.hi.abs_diff(x.lo) < policy::DIVIDENDS && bias.abs() < policy::DIVIDENDS as f32;
    let by = bias.abs() as i64;
    (few && bias.fract() == 0.0).then(|| Interval {
        lo: (x.lo - by).min(0),
        hi: (x.hi + by).max(0),
    })
}

fn activation(f: Activation, x: Option<Interval>, range: Range) -> Option<Interval> {
    match f {
        Activation::Step | Activation::IsZero => Some(Interval { lo: 0, hi: 1 }),
        Activation::Index { length } => Some(Interval {
            lo: 0,
            hi: i64::from(length) - 1,
        }),
        Activation::Relu => x.map(|x| Interval {
            lo: x.lo.max(0),
            hi: x.hi.max(0),
        }),
        Activation::Abs => x.map(|x| Interval {
            lo: x.lo.max(-x.hi).max(0),
            hi: x.hi.max(-x.lo),
        }),
        Activation::Clip { lo, hi } => clip(lo, hi, x?),
        Activation::FloorDiv { divisor } => Some(x.map_or(rounded(range), |x| Interval {
            lo: x.lo.div_euclid(divisor.into()),
            hi: x.hi.div_euclid(divisor.into()),
        })),
        Activation::Floor | Activation::Ceil | Activation::Round | Activation::Truncate => {
            Some(x.unwrap_or(rounded(range)))
        }
        Activation::ThresholdedRelu { .. } => shrunk(0.0, x?),
        Activation::Shrink { bias, .. } => shrunk(bias, x?),
        Activation::LeakyRelu { .. }
        | Activation::Sigmoid
        | Activation::Tanh
        | Activation::Elu { .. }
        | Activation::HardSigmoid { .. }
        | Activation::HardSwish
        | Activation::Softplus
        | Activation::Softsign
        | Activation::Mish
        | Activation::Gelu
        | Activation::GeluTanh
        | Activation::Swish { .. }
        | Activation::Exp
        | Activation::Log
        | Activation::Sqrt
        | Activation::Reciprocal
        | Activation::Power { .. }
        | Activation::Inverse { .. }
        | Activation::Within { .. }
        | Activation::Erf
        | Activation::Sin
        | Activation::Cos
        | Activation::Tan
        | Activation::Asin
        | Activation::Acos
        | Activation::Atan
        | Activation::Sinh
        | Activation::Cosh
        | Activation::Asinh
        | Activation::Acosh
        | Activation::Atanh
        | Activation::Quantize { .. } => None,
    }
}

/// Integers between bounds that are integers or infinite.
fn clip(lo: f32, hi: f32, x: Interval) -> Option<Interval> {
    let bound = |end: f32| match end {
        f32::NEG_INFINITY => Some(-Interval::LIMIT),
        f32::INFINITY => Some(Interval::LIMIT),
        _ => whole(end),
    };
    let (lo, hi) = (bound(lo)?, bound(hi)?);
    Some(Interval {
        lo: x.lo.clamp(lo, hi),
        hi: x.hi.clamp(lo, hi),
    })
}

/// The integers to which real numbers of this calibrated range are rounded.
fn rounded(range: Range) -> Interval {
    let most = (policy::ROUNDED_ROOM * range.size()).ceil() as i64 + 1;
    Interval {
        lo: -most,
        hi: most,
    }
}

fn contract(labels: &Contract, graph: &Graph, node: &Node, x: Interval, y: Interval) -> Interval {
    let square = node.inputs[0] == node.inputs[1] && labels.left == labels.right;
    let product = times(x, y.lo).hull(times(x, y.hi));
    let product = Interval {
        lo: if square {
            product.lo.max(0)
        } else {
            product.lo
        },
        ..product
    };
    let shape = &graph.nodes()[node.inputs[0].0].shape;
    let summed = labels.left.iter().zip(shape);
    let summed = summed.filter(|(label, _)| !labels.output.contains(label));
    let count: usize = summed.map(|(_, &n)| n).product();
    times(product, count as i64)
}

/// One axis of a map with integer coefficients.
fn mapped(x: Interval, axis: &AxisMap) -> Option<Interval> {
    let AxisMap::Matrix(m) = axis else {
        return Some(x);
    };
    let zero = Interval { lo: 0, hi: 0 };
    let mut rows = vec![zero; m.output];
    for &(to, _, weight) in &m.entries {
        let row = &mut rows[to as usize];
        let whole = weight % m.divisor == 0;
        *row = sum(*row, times(x, whole.then_some(weight / m.divisor)?));
    }
    rows.into_iter().reduce(Interval::hull)
}
