//! Max pools: `max(a, b) = b + relu(a - b)`, where `relu(a - b)` is a table node of shift 0.
//!
//! Separable over the axes. On one axis the maximum over taps `A` followed by taps `B` is
//! `m_A - m_B` under relu, added to `m_B`; every `m` is the value of its last tap plus table
//! outputs, so that differences of taps are one map of `X` with weights `+1` and `-1`. Taps
//! outside the tensor read its least value.

use super::Error;
use super::average::{offset, outputs};
use super::function::Curve;
use super::lookup::Rounding;
use super::lower::Lowered;
use super::moves::{keep, shifted};
use super::policy;
use crate::float::Window;
use crate::int::{Interval, Map, MapAxis, Tap, TensorId};

/// `X[tap] + sum of tables`
#[derive(Clone, Debug)]
struct Maximum {
    tap: usize,
    tables: Vec<TensorId>,
}

/// The max pool of value `v` over the small tensor `x`; its result is small too.
pub(super) fn pool(
    lowered: &mut Lowered,
    v: usize,
    x: TensorId,
    windows: &[Window],
) -> Result<TensorId, Error> {
    let node = lowered.plan.node(v);
    let mut shape = lowered.plan.node(node.inputs[0].0).shape.clone();
    let mut x = x;
    for axis in cheapest_order(windows, &shape[2..]) {
        let window = &windows[axis];
        if window.kernel > policy::MOST_TAPS {
            return Err(Error::Unsupported {
                node: node.name.clone(),
                reason: format!(
                    "a maximum over {} taps of an axis; split it into pools of at most {}",
                    window.kernel,
                    policy::MOST_TAPS
                ),
            });
        }
        x = along(lowered, v, x, &shape, axis + 2, window)?;
        shape[axis + 2] = outputs(window, shape[axis + 2]);
    }
    Ok(x)
}

/// The order of the axes that commits the fewest cells: axis by axis, the one that leaves the
/// smallest product of cells and taps first.
fn cheapest_order(windows: &[Window], sizes: &[usize]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..windows.len()).collect();
    let cost = |&i: &usize| {
        let after = outputs(&windows[i], sizes[i]) as f64;
        // (k - 1) * out / n before the others, weighed against what it saves them.
        (windows[i].kernel - 1) as f64 * after / (sizes[i] as f64 - after).max(0.5)
    };
    order.sort_by(|a, b| cost(a).total_cmp(&cost(b)));
    order
}

fn along(
    lowered: &mut Lowered,
    v: usize,
    x: TensorId,
    shape: &[usize],
    axis: usize,
    window: &Window,
) -> Result<TensorId, Error> {
    let tapped = |taps: Vec<(usize, i64)>| {
        let taps = taps.into_iter().map(|(a, weight)| Tap {
            offset: offset(window, a),
            weight,
        });
        let mut axes = keep(shape);
        axes[axis] = MapAxis::Window {
            input: shape[axis],
            output: outputs(window, shape[axis]),
            stride: window.stride as i64,
            taps: taps.collect(),
            coefs: vec![],
        };
        axes
    };
    let fill = lowered.interval(x).lo;
    let name = &lowered.plan.node(v).name;
    if window.kernel == 1 && window.stride == 1 {
        return Ok(x);
    }
    let map = |lowered: &mut Lowered, taps| {
        let axes = tapped(taps);
        lowered.map(name, x, Map { axes, fill })
    };
    let width = {
        let Interval { lo, hi } = lowered.interval(x);
        // One table for all differences and for the activations of as many bits.
        (hi - lo).max(lowered.plan.bits.most(v, true))
    };
    let relu = Curve::Clamp { lo: 0, hi: width };
    let combine = |lowered: &mut Lowered, a: &Maximum, b: &Maximum| -> Result<Maximum, Error> {
        let taps = map(lowered, vec![(a.tap, 1), (b.tap, -1)])?;
        let signed =
            |m: &Maximum, sign| m.tables.iter().map(move |&t| (sign, t)).collect::<Vec<_>>();
        let terms = [vec![(1, taps)], signed(a, 1), signed(b, -1)].concat();
        let difference = match terms.as_slice() {
            [_] => taps,
            _ => lowered.weighted_sum(name, &terms)?,
        };
        let mut tables = b.tables.clone();
        let nearest = Rounding::Nearest;
        tables.push(lowered.lookup(name, difference, relu, 0, nearest, None)?);
        Ok(Maximum { tap: b.tap, tables })
    };
    let best = tree(lowered, 0..window.kernel, &combine)?;
    let last = map(lowered, vec![(best.tap, 1)])?;
    let terms = best.tables.iter().map(|&t| (1, t));
    let terms: Vec<(i64, TensorId)> = std::iter::once((1, last)).chain(terms).collect();
    if best.tables.is_empty() {
        return Ok(last);
    }
    lowered.weighted_sum(name, &terms)
}

/// The maximum along `axis` of the small tensor `x`: of the first and the last half, which overlap
/// by a cell when the length is odd, until one cell is left.
pub(super) fn reduce(
    lowered: &mut Lowered,
    v: usize,
    x: TensorId,
    axis: usize,
) -> Result<TensorId, Error> {
    let node = lowered.plan.node(v);
    let mut shape = lowered.plan.node(node.inputs[0].0).shape.clone();
    let mut x = x;
    let most = if shape[axis] > policy::SHALLOW {
        policy::WIDE_ON_LONG_AXES
    } else {
        policy::WIDE
    };
    while shape[axis] > 1 {
        let n = shape[axis];
        let half = n.div_ceil(2);
        let part = |lowered: &mut Lowered, first: usize| {
            let mut axes = keep(&shape);
            axes[axis] = shifted(n, half, first as i64);
            lowered.map(&node.name, x, Map { axes, fill: 0 })
        };
        let a = part(lowered, 0)?;
        let b = part(lowered, n - half)?;
        x = lowered.greater_of(v, a, b, most)?;
        shape[axis] = half;
    }
    Ok(x)
}

impl Lowered<'_> {
    /// `max(a, b) = b + relu(a - b)` of small tensors of one scale; with wide cells,
    /// `b + [a >= b] (a - b)`, which needs no table of all differences.
    pub(super) fn maximum_of(
        &mut self,
        v: usize,
        a: TensorId,
        b: TensorId,
    ) -> Result<TensorId, Error> {
        self.greater_of(v, a, b, policy::WIDE)
    }

    /// The same with a table of differences up to `most`.
    fn greater_of(
        &mut self,
        v: usize,
        a: TensorId,
        b: TensorId,
        most: i64,
    ) -> Result<TensorId, Error> {
        let name = &self.plan.node(v).name;
        let difference = self.weighted_sum(name, &[(1, a), (-1, b)])?;
        let (x, y) = (self.interval(a), self.interval(b));
        let width = (x.hi - y.lo).max(self.plan.bits.most(v, true)).max(0);
        let excess = if width.max(self.interval(difference).max_abs() as i64) > most {
            let c = self.step_of(name, difference)?;
            self.cellwise_product(name, c, difference)?
        } else {
            let relu = Curve::Clamp { lo: 0, hi: width };
            self.lookup(name, difference, relu, 0, Rounding::Nearest, None)?
        };
        self.weighted_sum(name, &[(1, b), (1, excess)])
    }
}

type Combine<'a> = dyn Fn(&mut Lowered, &Maximum, &Maximum) -> Result<Maximum, Error> + 'a;

/// The maximum over a range of taps, halved.
fn tree(
    lowered: &mut Lowered,
    taps: std::ops::Range<usize>,
    combine: &Combine,
) -> Result<Maximum, Error> {
    if taps.len() == 1 {
        return Ok(Maximum {
            tap: taps.start,
            tables: vec![],
        });
    }
    let middle = taps.start + taps.len().div_ceil(2);
    let a = tree(lowered, taps.start..middle, combine)?;
    let b = tree(lowered, middle..taps.end, combine)?;
    combine(lowered, &a, &b)
}
