//! From a planned float graph to integer nodes on logical views.
//!
//! Operators see their operands through the float graph's shapes; the layout pass refines them
//! afterwards, and tables get their domains last, when every argument's interval is known.

use super::calibration::Range;
use super::forms::Form;
use super::function::Curve;
use super::lookup::Lookup;
use super::moves::keep;
use super::plan::Plan;
use super::policy;
use super::{Error, linear, maximum};
use crate::exact::{exp2, log2_ceil};
use crate::float::{Op as FloatOp, PoolKind, ValueId};
use crate::int::{
    BiasId, Interval, Known, MAX_FACTOR, Map, MapAxis, Node, Op, Port, SmallInts, Steps, TensorId,
    dependent_sum_bounds, map_bounds,
};
use ndarray::ArrayD;

/// A value of the float graph as an integer tensor; with a shift, an accumulator.
#[derive(Clone, Copy, Debug)]
pub(super) struct Handle {
    pub(super) tensor: TensorId,
    pub(super) shift: u32,
    pub(super) small: bool,
    /// Real value of the integer 1.
    pub(super) scale: f64,
}

/// The integer model under construction; [`Node::axes`] is one axis of all cells.
#[derive(Debug)]
pub(super) struct Lowered<'a> {
    pub(super) plan: &'a Plan<'a>,
    /// The model's `S`.
    pub(super) shift: u32,
    pub(super) nodes: Vec<Node>,
    pub(super) weights: Vec<SmallInts>,
    pub(super) biases: Vec<Vec<i64>>,
    pub(super) curves: Vec<Curve>,
    pub(super) lookups: Vec<Lookup>,
    pub(super) inputs: Vec<Port>,
    pub(super) outputs: Vec<Port>,
    /// Largest weight of each linear layer, for the report.
    pub(super) layers: Vec<(String, i64)>,
    pub(super) values: Vec<Handle>,
    /// Small forms of raw values.
    requantised: std::collections::BTreeMap<usize, Handle>,
}

/// Lowers the whole graph.
pub(super) fn lower<'a>(plan: &'a Plan<'a>, shift: u32) -> Result<Lowered<'a>, Error> {
    let mut lowered = Lowered {
        plan,
        shift,
        nodes: vec![],
        weights: vec![],
        biases: vec![],
        curves: vec![],
        lookups: vec![],
        inputs: vec![],
        outputs: vec![],
        layers: vec![],
        values: vec![],
        requantised: std::collections::BTreeMap::new(),
    };
    for v in 0..plan.facts.graph.nodes().len() {
        let handle = lowered.value(v)?;
        let handle = lowered.without_underflow(v, handle)?;
        if !policy::USABLE_SCALES.contains(&handle.scale) {
            return Err(Error::Scale {
                node: plan.node(v).name.clone(),
                scale: handle.scale,
            });
        }
        debug_assert!(
            !handle.small
                || plan.ties.is_loose(v)
                || (handle.scale / plan.scales.of(v) - 1.0).abs() < policy::RATIO_SLACK,
            "the small form of {} has a scale of its own",
            plan.node(v).name
        );
        lowered.values.push(handle);
        if plan.facts.extremes[v] && !plan.facts.scores[v] {
            lowered.values[v] = lowered.small(ValueId(v))?;
        }
    }
    for (name, value) in plan.facts.graph.outputs() {
        let handle = lowered.values[value.0];
        lowered.outputs.push(Port {
            name: name.clone(),
            tensor: handle.tensor,
            shape: plan.node(value.0).shape.clone(),
            scale: handle.scale,
            kind: plan.facts.kind(value.0),
            features: None,
        });
    }
    Ok(lowered)
}

impl Lowered<'_> {
    fn value(&mut self, v: usize) -> Result<Handle, Error> {
        let node = self.plan.node(v);
        let raw = self.plan.forms.of(v) == Form::Raw;
        let scale = self.plan.scales.of(v);
        let small = |tensor| Handle {
            tensor,
            shift: 0,
            small: true,
            scale,
        };
        match &node.op {
            FloatOp::Input { .. } => self.input(v),
            FloatOp::Constant { value } => {
                let integers = value.iter().map(|&x| (f64::from(x) / scale).round() as i64);
                let integers = integers.collect();
                self.constant(&node.name, integers).map(small)
            }
            FloatOp::Dense { .. } | FloatOp::Conv { .. } if raw => linear::raw(self, v),
            FloatOp::Dense { .. } | FloatOp::Conv { .. } => linear::layer(self, v),
            FloatOp::Affine { shift, .. } => self.affine(v, shift),
            FloatOp::Activation(f) => self.activation(v, *f),
            FloatOp::Pool { kind, windows } => match kind {
                PoolKind::Max => {
                    let x = self.small(node.inputs[0])?.tensor;
                    maximum::pool(self, v, x, windows).map(small)
                }
                PoolKind::AverageInside | PoolKind::AveragePadded if raw => self.raw_average(v),
                PoolKind::AverageInside | PoolKind::AveragePadded => self.average_pool(v),
            },
            FloatOp::Add if raw => self.raw_sum(v, [1, 1]),
            FloatOp::Sub if raw => self.raw_sum(v, [1, -1]),
            FloatOp::Add => self.sum(v, [1, 1]),
            FloatOp::Sub => self.sum(v, [1, -1]),
            FloatOp::Reshape { .. } => Ok(self.values[node.inputs[0].0]),
            FloatOp::Transpose { perm } => {
                let handle = self.values[node.inputs[0].0];
                let tensor = self.transpose(v, handle.tensor, perm);
                Ok(Handle { tensor, ..handle })
            }
            FloatOp::Concat { axis } => self.concat(v, *axis),
            FloatOp::Pad { pads, value } => self.pad(v, pads, *value),
            FloatOp::Contract(labels) => self.contract(v, labels),
            FloatOp::Map(axes) => self.linear_map(v, axes),
            FloatOp::Take { indices, .. } => self.take(v, indices),
            FloatOp::Missing(_) => unreachable!("inputs were split"),
            FloatOp::Max => self.max(v),
            FloatOp::Maximum { axis } => {
                let n = self.plan.node(node.inputs[0].0).shape[*axis];
                let x = if raw && n <= policy::SHALLOW {
                    self.operand(node.inputs[0], policy::DIRECT_SUM)?
                } else {
                    self.small(node.inputs[0])?
                };
                let tensor = maximum::reduce(self, v, x.tensor, *axis)?;
                Ok(Handle { tensor, ..x })
            }
        }
    }

    /// What is too small for a normal number of single precision is 0.
    fn without_underflow(&mut self, v: usize, x: Handle) -> Result<Handle, Error> {
        let most = self.interval(x.tensor).max_abs() as f64 * x.scale;
        let normal = most == 0.0 || most >= f64::from(f32::MIN_POSITIVE);
        if normal || self.plan.forms.of(v) != Form::Raw {
            return Ok(x);
        }
        let zeros = vec![0; self.cells(x.tensor)];
        let tensor = self.constant(&self.plan.node(v).name, zeros)?;
        Ok(Self::raw(tensor, self.plan.scales.of(v)))
    }

    /// The affine map of value `v`.
    fn affine(&mut self, v: usize, shift: &ArrayD<f32>) -> Result<Handle, Error> {
        if let Some((_, zero)) = self.plan.facts.dequantised[v] {
            self.dequantised(v, zero)
        } else if let Some(factor) = self.plan.forms.pure_scale(v) {
            self.rescale(v, factor)
        } else if self.plan.forms.of(v) != Form::Raw {
            linear::layer(self, v)
        } else if let Some(factor) = self.plan.node(v).op.uniform() {
            self.raw_affine(v, factor, shift)
        } else {
            linear::raw(self, v)
        }
    }

    /// A constant tensor.
    pub(super) fn constant(&mut self, name: &str, cells: Vec<i64>) -> Result<TensorId, Error> {
        let hull = |a: Option<Interval>, &x: &i64| {
            Some(a.map_or(Interval { lo: x, hi: x }, |a| a.with(x)))
        };
        let interval = cells.iter().fold(None, hull).filter(|i| i.is_bounded());
        let interval = interval.ok_or_else(|| Error::overflow(name))?;
        let len = cells.len();
        let bias = self.bias(cells);
        Ok(self.push(name, Op::Constant { bias }, vec![], len, interval))
    }

    /// Appends a node of the size of value `v`'s source shape or any other `cells`.
    pub(super) fn push(
        &mut self,
        name: &str,
        op: Op,
        inputs: Vec<TensorId>,
        cells: usize,
        interval: Interval,
    ) -> TensorId {
        self.nodes.push(Node {
            name: name.into(),
            op,
            inputs,
            axes: vec![cells],
            interval,
        });
        TensorId(self.nodes.len() - 1)
    }

    /// Number of cells of a tensor.
    pub(super) fn cells(&self, tensor: TensorId) -> usize {
        self.nodes[tensor.0].axes[0]
    }

    /// Static interval of a tensor.
    pub(super) fn interval(&self, tensor: TensorId) -> Interval {
        self.nodes[tensor.0].interval
    }

    /// A map node.
    pub(super) fn map(&mut self, name: &str, x: TensorId, map: Map) -> Result<TensorId, Error> {
        let cells = map.axes.iter().map(MapAxis::output).product();
        let interval = map_bounds(&map, self.interval(x)).ok_or_else(|| Error::overflow(name))?;
        Ok(self.push(name, Op::Map(map), vec![x], cells, interval))
    }

    /// The interval of a sum, if it is bounded.
    pub(super) fn sum_bounds(&self, terms: &[(i64, TensorId)]) -> Option<Interval> {
        let (coefs, inputs): (Vec<i64>, Vec<TensorId>) = terms.iter().copied().unzip();
        // A table node names its curve until tables exist.
        let relu = |op: &Op| match op {
            Op::Table {
                table, shift: 0, ..
            } => matches!(self.curves[table.0], Curve::Clamp { lo: 0, .. }),
            _ => false,
        };
        let step = |op: &Op| match op {
            Op::Table {
                table, offset: 0, ..
            } => self.curves[table.0] == Curve::STEP,
            _ => false,
        };
        let known = Known {
            relu: &relu,
            step: &step,
        };
        let steps = &mut Steps::of_sum();
        dependent_sum_bounds(&self.nodes, known, &coefs, &inputs, steps)
    }

    /// A sum node.
    pub(super) fn weighted_sum(
        &mut self,
        name: &str,
        terms: &[(i64, TensorId)],
    ) -> Result<TensorId, Error> {
        let fits =
            |&(c, _): &(i64, TensorId)| c != 0 && c.unsigned_abs() <= MAX_FACTOR.unsigned_abs();
        let interval = self.sum_bounds(terms).filter(|_| terms.iter().all(fits));
        let (coefs, inputs): (Vec<i64>, Vec<TensorId>) = terms.iter().copied().unzip();
        let cells = self.cells(inputs[0]);
        let interval = interval.ok_or_else(|| Error::overflow(name))?;
        Ok(self.push(name, Op::Sum { coefs }, inputs, cells, interval))
    }

    /// The small form of a value.
    pub(super) fn small(&mut self, value: ValueId) -> Result<Handle, Error> {
        let handle = self.values[value.0];
        // Integers are exact: they are small enough as they are, or nothing is.
        let exact = self.plan.ties.is_whole(value.0) && handle.shift == 0;
        if handle.small || exact {
            let small = true;
            return Ok(Handle { small, ..handle });
        }
        if let Some(&known) = self.requantised.get(&value.0) {
            return Ok(known);
        }
        let small = if self.plan.forms.of(value.0) == Form::Raw {
            self.requantised(value.0, handle)?
        } else if self.plan.forms.deep_bits(value.0) > 0 {
            Handle {
                tensor: self.digits(value.0, handle.tensor, handle.shift)?,
                shift: 0,
                small: true,
                scale: self.plan.scales.of(value.0),
            }
        } else if self.plan.needs.is_free(value.0) {
            self.without_excess(value.0, handle)?
        } else {
            let (lo, hi) = self.plan.bits.interval(value.0);
            let curve = Curve::Clamp { lo, hi };
            // A value that was not to be made small is coarser where its class has too little room.
            let scale = self.plan.scales.of(value.0);
            let lacking = self.plan.forms.wanted(value.0) / (scale * lo.abs().max(hi) as f64);
            let further = if lacking > 1.0 + policy::RATIO_SLACK {
                log2_ceil(lacking)
            } else {
                0
            };
            let scale = scale * exp2(further);
            let range = self.range_in(value.0, scale);
            let shift = handle.shift + further as u32;
            Handle {
                tensor: self.lookup_seen(value.0, handle.tensor, curve, shift, range)?,
                shift: 0,
                small: true,
                scale,
            }
        };
        self.requantised.insert(value.0, small);
        Ok(small)
    }

    /// The accumulator `x` of value `v`, whose scale is free: its own, and as fine as there is room
    /// for. Digits that no comparison tells are dropped.
    fn without_excess(&mut self, v: usize, x: Handle) -> Result<Handle, Error> {
        let bits = u64::BITS - self.interval(x.tensor).max_abs().leading_zeros();
        let shift = x.shift + bits.saturating_sub(policy::COMPARED_BITS);
        let tensor = match shift {
            0 => x.tensor,
            _ => self.digits(v, x.tensor, shift)?,
        };
        Ok(Handle {
            tensor,
            shift: 0,
            small: true,
            scale: x.scale * exp2(shift as i32),
        })
    }

    /// What a linear layer reads: a small value, or an accumulator that feeds it directly.
    pub(super) fn feed(&mut self, value: ValueId) -> Result<Handle, Error> {
        let raw = self.plan.forms.of(value.0) == Form::Raw;
        if raw || self.plan.needs.small(value.0) || self.values[value.0].small {
            return self.small(value);
        }
        Ok(self.values[value.0])
    }

    /// The calibrated range of value `v` in units of `step`.
    pub(super) fn range_in(&self, v: usize, step: f64) -> Range {
        let Range { lo, hi } = self.plan.facts.ranges[v];
        Range {
            lo: lo / step,
            hi: hi / step,
        }
    }

    /// A change of scale: nothing but perhaps a sign.
    fn rescale(&mut self, v: usize, factor: f64) -> Result<Handle, Error> {
        let node = self.plan.node(v);
        let handle = self.values[node.inputs[0].0];
        let scale = handle.scale * factor.abs();
        if factor > 0.0 {
            return Ok(Handle { scale, ..handle });
        }
        let tensor = self.weighted_sum(&node.name, &[(-1, handle.tensor)])?;
        Ok(Handle {
            tensor,
            scale,
            ..handle
        })
    }

    /// `a + sign * b`, on accumulators where the plan allows it.
    fn sum(&mut self, v: usize, signs: [i64; 2]) -> Result<Handle, Error> {
        let node = self.plan.node(v);
        let mut terms = Vec::new();
        for (&value, sign) in node.inputs.iter().zip(signs) {
            let handle = self.values[value.0];
            if self.plan.facts.adds_directly(v, value.0) || handle.small {
                terms.push((sign, handle.tensor, handle.shift));
            } else {
                terms.push((sign, self.small(value)?.tensor, 0));
            }
        }
        let shift = terms.iter().map(|t| t.2).max().expect("two terms");
        let scaled = |&(sign, tensor, k): &(i64, TensorId, u32)| (sign << (shift - k), tensor);
        let terms: Vec<(i64, TensorId)> = terms.iter().map(scaled).collect();
        Ok(Handle {
            tensor: self.weighted_sum(&node.name, &terms)?,
            shift,
            small: false,
            scale: self.plan.scales.of(v) * exp2(-(shift as i32)),
        })
    }

    /// `q - zero` for the integers of the operand.
    fn dequantised(&mut self, v: usize, zero: i64) -> Result<Handle, Error> {
        let node = self.plan.node(v);
        let x = self.small(node.inputs[0])?;
        let constant = self.broadcast_constant(&node.name, vec![-zero], &[1], &node.shape)?;
        let tensor = self.weighted_sum(&node.name, &[(1, x.tensor), (1, constant)])?;
        let scale = self.plan.scales.of(v);
        Ok(Handle { tensor, scale, ..x })
    }

    fn average_pool(&mut self, v: usize) -> Result<Handle, Error> {
        let x = self.small(self.plan.node(v).inputs[0])?;
        let (Handle { tensor, .. }, _) = self.pool_sum(v, x)?;
        let Form::Exact(shift) = self.plan.forms.of(v) else {
            unreachable!("the others are raw");
        };
        Ok(Handle {
            tensor,
            shift,
            small: false,
            scale: self.plan.scales.of(v) * exp2(-(shift as i32)),
        })
    }

    /// The sums of an average pool of `x` at its scale, and what they are divided by.
    pub(super) fn pool_sum(&mut self, v: usize, x: Handle) -> Result<(Handle, usize), Error> {
        let node = self.plan.node(v);
        let average = self.plan.facts.average(v)?;
        let mut axes = keep(&node.shape[..2]);
        axes.extend(average.axes.iter().cloned());
        let tensor = self.map(&node.name, x.tensor, Map { axes, fill: 0 })?;
        Ok((Handle { tensor, ..x }, average.divisor))
    }

    /// Registers a bias vector.
    pub(super) fn bias(&mut self, bias: Vec<i64>) -> BiasId {
        self.biases.push(bias);
        BiasId(self.biases.len() - 1)
    }
}
