//! Raw accumulators: products, weighted sums and sums of values of different scales, and their
//! small forms.
//!
//! A raw accumulator's scale is what its operands' scales make it. A sum of accumulators of scales
//! `r_k` is one of scale `u` with the coefficients `r_k / u`, exact if `u` divides all `r_k`. The
//! small form at scale `t` of a raw accumulator `X` of scale `r` is `(m X + 2^(S-1)) >> S` with
//! `m = r / t 2^S` rounded.

use super::Error;
use super::calibration::Range;
use super::forms::Form;
use super::function::Curve;
use super::lower::{Handle, Lowered};
use super::moves::keep;
use super::policy;
use crate::exact::{exp2, log2_ceil, log2_floor, log2_round};
use crate::float::{AxisMap, Contract as FloatContract, ValueId};
use crate::int::{
    Contract, Entry, Interval, MAX_GATHER, Map, MapAxis, Op, TensorId, contract_bounds,
};
use ndarray::ArrayD;

impl Lowered<'_> {
    /// Bits that a multiplier must have for its rounding not to be felt.
    fn multiplier_bits(&self) -> i32 {
        self.plan.facts.profile.bits() as i32 + policy::MULTIPLIER_BITS
    }

    /// A raw accumulator.
    fn raw(tensor: TensorId, scale: f64) -> Handle {
        Handle {
            tensor,
            shift: 0,
            small: false,
            scale,
        }
    }

    /// The operand as it is if its magnitude is at most `limit`, or small.
    pub(super) fn operand(&mut self, value: ValueId, limit: u64) -> Result<Handle, Error> {
        let handle = self.values[value.0];
        let fits = self.interval(handle.tensor).max_abs() <= limit;
        let linear = self.plan.forms.of(value.0) == Form::Linear;
        // A sum that is read often is committed: each reader makes a claim on all its terms.
        let sum = self.plan.node(value.0).op.adds() && self.plan.forms.of(value.0) == Form::Raw;
        let fits = fits && !(sum && self.plan.facts.consumers[value.0].len() >= policy::READERS);
        if fits && !(linear && self.plan.needs.small(value.0)) {
            return Ok(handle);
        }
        self.small(value)
    }

    /// The product of value `v`'s operands.
    pub(super) fn contract(&mut self, v: usize, labels: &FloatContract) -> Result<Handle, Error> {
        let node = self.plan.node(v);
        let shape = |k: usize| &self.plan.node(node.inputs[k].0).shape;
        let op = contract(labels, shape(0), shape(1));
        let (mut a, mut b) = (
            self.operand(node.inputs[0], u64::MAX)?,
            self.operand(node.inputs[1], u64::MAX)?,
        );
        let room = self.room(v);
        let fits = |lowered: &Self, a: Handle, b: Handle| {
            let operands = [a, b].map(|x| (x.tensor, lowered.interval(x.tensor)));
            let least = operands.iter().map(|(_, x)| x.max_abs()).min();
            let most = match least {
                Some(0..=policy::MASK) => policy::DIRECT_MASKED,
                _ => policy::DIRECT_PRODUCT,
            };
            let most = most.min(room);
            contract_bounds(&op, operands).is_some_and(|i| i.max_abs() <= most)
        };
        // The larger operand is made small first.
        let first =
            usize::from(self.interval(b.tensor).max_abs() > self.interval(a.tensor).max_abs());
        for k in [first, 1 - first] {
            if !fits(self, a, b) {
                let small = self.small(node.inputs[k])?;
                *[&mut a, &mut b][k] = small;
            }
        }
        let operands = [a, b].map(|x| (x.tensor, self.interval(x.tensor)));
        let interval = contract_bounds(&op, operands);
        let interval = interval.ok_or_else(|| Error::overflow(&node.name))?;
        let cells = node.shape.iter().product();
        let inputs = vec![a.tensor, b.tensor];
        let tensor = self.push(&node.name, Op::Contract(op), inputs, cells, interval);
        Ok(Self::raw(tensor, a.scale * b.scale))
    }

    /// The product of two tensors, cell by cell.
    pub(super) fn cellwise_product(
        &mut self,
        name: &str,
        a: TensorId,
        b: TensorId,
    ) -> Result<TensorId, Error> {
        let cells = self.cells(a);
        let op = Contract {
            lengths: vec![cells],
            left: vec![0],
            right: vec![0],
            output: vec![0],
        };
        let operands = [a, b].map(|x| (x, self.interval(x)));
        let interval = contract_bounds(&op, operands).ok_or_else(|| Error::overflow(name))?;
        Ok(self.push(name, Op::Contract(op), vec![a, b], cells, interval))
    }

    /// Largest magnitude of the cells of `v` whose sums, where they are added up next, are bounded.
    fn room(&self, v: usize) -> u64 {
        let next = self.plan.facts.consumers[v].iter();
        let gains = next.filter_map(|&c| {
            let op = &self.plan.node(c).op;
            op.map().filter(|_| op.adds_cells()).map(gain)
        });
        policy::SUMS / gains.max().unwrap_or(1)
    }

    /// The linear map of value `v`: of its operand's accumulator, if cells are only moved.
    pub(super) fn linear_map(&mut self, v: usize, axes: &[AxisMap]) -> Result<Handle, Error> {
        let node = self.plan.node(v);
        let adds = self.plan.node(v).op.adds_cells();
        let x = if adds {
            self.operand(
                node.inputs[0],
                policy::DIRECT_SUM.min(policy::SUMS / gain(axes)),
            )?
        } else {
            self.values[node.inputs[0].0]
        };
        let shape = &self.plan.node(node.inputs[0].0).shape;
        let mut divisor = 1.0;
        let axes = keep(shape).into_iter().zip(axes);
        let axes = axes.map(|(kept, axis)| match axis {
            AxisMap::Keep => kept,
            AxisMap::Matrix(m) => {
                let unit = if adds { 1 } else { m.divisor };
                divisor *= (m.divisor / unit) as f64;
                let entry = |&(to, from, weight): &(u32, u32, i64)| Entry {
                    to,
                    from,
                    weight: weight / unit,
                };
                MapAxis::Matrix {
                    input: m.input,
                    output: m.output,
                    entries: m.entries.iter().map(entry).collect(),
                }
            }
        });
        let axes = axes.collect();
        let tensor = self.map(&node.name, x.tensor, Map { axes, fill: 0 })?;
        if adds {
            return Ok(Self::raw(tensor, x.scale / divisor));
        }
        Ok(Handle { tensor, ..x })
    }

    /// The average pool of value `v`, whose scale is not tied to its operand's.
    pub(super) fn raw_average(&mut self, v: usize) -> Result<Handle, Error> {
        let x = self.operand(self.plan.node(v).inputs[0], policy::DIRECT_POOLED)?;
        let (sum, divisor) = self.pool_sum(v, x)?;
        Ok(Self::raw(sum.tensor, sum.scale / divisor as f64))
    }

    /// `factor X + shift`
    pub(super) fn raw_affine(
        &mut self,
        v: usize,
        factor: f64,
        shift: &ArrayD<f32>,
    ) -> Result<Handle, Error> {
        let node = self.plan.node(v);
        let x = self.operand(node.inputs[0], policy::DIRECT_SUM)?;
        if self.plan.facts.is_integral(v) && x.scale.to_bits() == 1.0_f64.to_bits() {
            let integers = shift.iter().map(|&t| t as i64).collect();
            let constant =
                self.broadcast_constant(&node.name, integers, shift.shape(), &node.shape)?;
            let terms = [(factor as i64, x.tensor), (1, constant)];
            let tensor = self.weighted_sum(&node.name, &terms)?;
            return Ok(Self::raw(tensor, x.scale));
        }
        let scale = snapped(x.scale * factor.abs());
        let sign = if factor < 0.0 { -1 } else { 1 };
        if shift.iter().all(|&t| t == 0.0) {
            let tensor = match sign {
                1 => x.tensor,
                _ => self.weighted_sum(&node.name, &[(-1, x.tensor)])?,
            };
            return Ok(Self::raw(tensor, scale));
        }
        // A unit in which the shifts are integers, nearly.
        let largest = shift
            .iter()
            .fold(0.0_f64, |m, &t| m.max(f64::from(t).abs()));
        let mut split = 0;
        while split < self.multiplier_bits() && largest / scale * exp2(split) < policy::AFFINE_STEPS
        {
            let exact = |&t: &f32| (f64::from(t) / scale * exp2(split)).fract() == 0.0;
            if shift.iter().all(exact) {
                break;
            }
            split += 1;
        }
        let unit = scale * exp2(-split);
        let shape = &node.shape;
        let integers: Vec<i64> = shift
            .iter()
            .map(|&t| (f64::from(t) / unit).round() as i64)
            .collect();
        let constant = self.broadcast_constant(&node.name, integers, shift.shape(), shape)?;
        let tensor = self.weighted_sum(&node.name, &[(sign << split, x.tensor), (1, constant)])?;
        Ok(Self::raw(tensor, unit))
    }

    /// A constant of shape `from` broadcast to `shape`.
    pub(super) fn broadcast_constant(
        &mut self,
        name: &str,
        integers: Vec<i64>,
        from: &[usize],
        shape: &[usize],
    ) -> Result<TensorId, Error> {
        let x = self.constant(name, integers)?;
        let skip = shape.len() - from.len();
        let axes: Vec<MapAxis> = shape
            .iter()
            .enumerate()
            .map(|(i, &n)| {
                let own = i.checked_sub(skip).map_or(1, |i| from[i]);
                if own == n {
                    return MapAxis::Keep(n);
                }
                let entry = |to| Entry {
                    to,
                    from: 0,
                    weight: 1,
                };
                MapAxis::Matrix {
                    input: 1,
                    output: n,
                    entries: (0..n as u32).map(entry).collect(),
                }
            })
            .collect();
        if axes.iter().all(|axis| matches!(axis, MapAxis::Keep(_))) {
            return Ok(x);
        }
        self.map(name, x, Map { axes, fill: 0 })
    }

    /// `a + sign * b` of values whose scales have no simple ratio.
    pub(super) fn raw_sum(&mut self, v: usize, signs: [i64; 2]) -> Result<Handle, Error> {
        let node = self.plan.node(v);
        let mut terms = vec![];
        for (&value, sign) in node.inputs.iter().zip(signs) {
            terms.push((sign, self.operand(value, policy::DIRECT_SUM)?));
        }
        // What is far finer than the other term need not be.
        for k in 0..2 {
            if terms[k].1.scale * policy::FINER < terms[1 - k].1.scale {
                terms[k].1 = self.small(node.inputs[k])?;
            }
        }
        // Nor must a term be so fine that there is no room for the sum.
        let finer = usize::from(terms[1].1.scale < terms[0].1.scale);
        let mut sum = self.sum_of(v, &terms);
        for k in [finer, 1 - finer] {
            if sum.is_err() && !terms[k].1.small {
                terms[k].1 = self.small(node.inputs[k])?;
                sum = self.sum_of(v, &terms);
            }
        }
        sum
    }

    /// The sum of signed terms in a common unit.
    fn sum_of(&mut self, v: usize, terms: &[(i64, Handle)]) -> Result<Handle, Error> {
        let (unit, terms) = self.aligned(v, terms)?;
        let sum = self.weighted_sum(&self.plan.node(v).name, &terms)?;
        Ok(Self::raw(sum, unit))
    }

    /// A common unit of value `v`'s operands, and their coefficients in it.
    pub(super) fn aligned(
        &mut self,
        v: usize,
        terms: &[(i64, Handle)],
    ) -> Result<(f64, Vec<(i64, TensorId)>), Error> {
        let least = terms
            .iter()
            .map(|(_, x)| x.scale)
            .fold(f64::INFINITY, f64::min);
        let node = self.plan.node(v);
        let fits = |&split: &i32| {
            // Exact at once, or as exact as the bits ask for.
            let tolerance = match split {
                0 => policy::EXACT_RATIO,
                _ => exp2(-self.multiplier_bits() - 1),
            };
            terms.iter().all(|(_, x)| {
                let ratio = x.scale / least * exp2(split);
                (ratio - ratio.round()).abs() <= tolerance * ratio
            })
        };
        let exact = |&split: &i32| {
            terms.iter().all(|(_, x)| {
                let ratio = x.scale / least * exp2(split);
                (ratio - ratio.round()).abs() <= f64::from(f32::EPSILON) * ratio
            })
        };
        let part = |split: i32| least * exp2(-split);
        let unit = match (
            self.quantised_next(v),
            (0..=policy::SIMPLE_RATIO).find(exact),
        ) {
            // Ties are rounded as the model does only in a unit that has them.
            (Some(_), Some(split)) => part(split),
            (Some(scale), None) => (scale * exp2(-policy::QUANTISED_BITS)).min(least),
            (None, _) => {
                let most = self.multiplier_bits() + 1;
                part((0..=most).find(fits).unwrap_or(most))
            }
        };
        let mut weighted = vec![];
        for &(sign, x) in terms {
            let ratio = (x.scale / unit).round();
            if ratio <= policy::MOST_COEFFICIENT {
                weighted.push((sign * ratio as i64, x.tensor));
                continue;
            }
            // In two factors.
            let first = (x.scale / unit / policy::MOST_COEFFICIENT).ceil();
            let second = (x.scale / unit / first).round();
            if first > policy::MOST_COEFFICIENT {
                return Err(Error::Scale {
                    node: node.name.clone(),
                    scale: x.scale / least,
                });
            }
            let larger = self.weighted_sum(&node.name, &[(first as i64, x.tensor)])?;
            weighted.push((sign * second as i64, larger));
        }
        Ok((unit, weighted))
    }

    /// The scale with which the model quantises value `v` next, if it does nothing else with it.
    fn quantised_next(&self, v: usize) -> Option<f64> {
        if self.plan.forms.of(v) != Form::Raw {
            return None;
        }
        let &[consumer] = self.plan.facts.consumers[v].as_slice() else {
            return None;
        };
        let quantises = self.plan.node(consumer).op.quantises();
        quantises.then(|| self.plan.scales.of(consumer))
    }

    /// `m X` and `S` with `m 2^-S` the ratio of its scale to `unit`, `m` of `bits` bits; for value
    /// `v`.
    pub(super) fn multiplied(
        &mut self,
        v: usize,
        x: Handle,
        unit: f64,
        bits: i32,
    ) -> Result<(TensorId, u32), Error> {
        let name = &self.plan.node(v).name;
        let x = self.roomy(v, x, unit, bits)?;
        let ratio = x.scale / unit;
        let power = -log2_round(ratio);
        if (ratio * exp2(power) - 1.0).abs() < policy::NEARLY_POWER && power >= 0 {
            return Ok((x.tensor, power as u32));
        }
        // As many bits as there is room for.
        let room = self.multiples(x.tensor);
        let bits = bits.min(room.max(1));
        let shift = (bits - log2_floor(ratio)).max(1);
        let shift = if bits < room {
            shift.max(self.shift as i32)
        } else {
            shift
        };
        let multiplier = (ratio * exp2(shift)).round();
        if multiplier > policy::MOST_COEFFICIENT {
            return Err(Error::Scale {
                node: name.clone(),
                scale: ratio,
            });
        }
        let tensor = self.weighted_sum(name, &[(multiplier as i64, x.tensor)])?;
        Ok((tensor, shift as u32))
    }

    /// The accumulator `x` without the lowest digits that are no part of a `unit`, if they leave too
    /// little room for a multiplier.
    fn roomy(&mut self, v: usize, x: Handle, unit: f64, bits: i32) -> Result<Handle, Error> {
        let enough = policy::ENOUGH_MULTIPLIER_BITS;
        let lacking = bits.min(enough) - self.multiples(x.tensor);
        let spare = log2_floor(unit / x.scale) - enough;
        let digits = lacking.min(spare);
        if digits <= 0 || x.shift > 0 {
            return Ok(x);
        }
        let tensor = self.digits(v, x.tensor, digits as u32)?;
        let scale = x.scale * exp2(digits);
        Ok(Handle { tensor, scale, ..x })
    }

    /// Bits of the largest multiplier of a tensor.
    fn multiples(&self, x: TensorId) -> i32 {
        self.interval(x).max_abs().leading_zeros() as i32 - 4
    }

    /// The factor by which [`multiplied`](Self::multiplied) made `product` of `x`.
    pub(super) fn coefficient(&self, product: TensorId, x: TensorId) -> i64 {
        match &self.nodes[product.0].op {
            Op::Sum { coefs } if product != x => coefs[0],
            _ => 1,
        }
    }

    /// The small form of a raw accumulator of value `v`.
    pub(super) fn requantised(&mut self, v: usize, mut x: Handle) -> Result<Handle, Error> {
        let name = &self.plan.node(v).name;
        let (lo, hi) = self.plan.bits.interval(v);
        let bounds = self.interval(x.tensor);
        let loose = self.plan.ties.is_loose(v) && !self.plan.ties.is_whole(v);
        // What was always 0 and is tied to nothing has the scale at which all of it fits.
        let wanted = if loose && self.plan.facts.ranges[v].size() <= 0.0 {
            x.scale * (bounds.max_abs() as f64 / hi.max(1) as f64).max(1.0)
        } else {
            self.plan.scales.of(v)
        };
        let shift = log2_ceil(wanted / x.scale);
        let (scale, shift) = if loose {
            let shift = shift.max(0);
            (x.scale * exp2(shift), shift)
        } else {
            let (tensor, shift) = self.multiplied(v, x, wanted, self.multiplier_bits())?;
            x.tensor = tensor;
            (wanted, shift as i32)
        };
        let within = Interval { lo, hi }.covers(bounds);
        let small = |tensor| Handle {
            tensor,
            shift: 0,
            small: true,
            scale,
        };
        if shift == 0 && within {
            return Ok(small(x.tensor));
        }
        let tensor = x.tensor;
        let Range {
            lo: least,
            hi: most,
        } = self.plan.facts.ranges[v];
        let range = Range {
            lo: least / scale,
            hi: most / scale,
        };
        let shift = u32::try_from(shift).map_err(|_| Error::overflow(name))?;
        let curve = Curve::Clamp { lo, hi };
        Ok(small(self.lookup_seen(v, tensor, curve, shift, range)?))
    }

    /// The elementwise maximum, of small values or in a common unit.
    pub(super) fn max(&mut self, v: usize) -> Result<Handle, Error> {
        let node = self.plan.node(v);
        let raw = self.plan.forms.of(v) == Form::Raw;
        let mut terms = vec![];
        for &value in &node.inputs {
            let x = if raw {
                self.operand(value, policy::DIRECT_SUM)?
            } else {
                self.small(value)?
            };
            terms.push((1, x));
        }
        let (scale, terms) = self.aligned(v, &terms)?;
        let mut operands = vec![];
        for (coefficient, x) in terms {
            operands.push(match coefficient {
                1 => x,
                _ => self.weighted_sum(&node.name, &[(coefficient, x)])?,
            });
        }
        let tensor = self.maximum_of(v, operands[0], operands[1])?;
        Ok(Handle {
            tensor,
            shift: 0,
            small: !raw,
            scale,
        })
    }

    /// Cells taken at constant positions.
    pub(super) fn take(&mut self, v: usize, indices: &[u32]) -> Result<Handle, Error> {
        let node = self.plan.node(v);
        let x = self.values[node.inputs[0].0];
        let map = indices.to_vec();
        let cells = map.len();
        if cells.max(self.cells(x.tensor)) > MAX_GATHER {
            return Err(Error::Unsupported {
                node: node.name.clone(),
                reason: format!(
                    "it gathers {cells} of {} cells in no regular way; at most {} are supported",
                    self.cells(x.tensor),
                    MAX_GATHER
                ),
            });
        }
        let interval = self.interval(x.tensor);
        let tensor = self.push(
            &node.name,
            Op::Gather { map },
            vec![x.tensor],
            cells,
            interval,
        );
        Ok(Handle { tensor, ..x })
    }
}

/// How many times the largest cell of its operand a linear map may have, at least 1.
fn gain(axes: &[AxisMap]) -> u64 {
    let of_axis = |axis: &AxisMap| match axis {
        AxisMap::Keep => 1,
        AxisMap::Matrix(m) => {
            let mut rows = vec![0_u64; m.output];
            for &(to, _, weight) in &m.entries {
                let row = &mut rows[to as usize];
                *row = row.saturating_add(weight.unsigned_abs());
            }
            rows.into_iter().max().unwrap_or(1).max(1)
        }
    };
    axes.iter().map(of_axis).fold(1, u64::saturating_mul)
}

/// A power of two if `x` is one but for the rounding of single precision.
fn snapped(x: f64) -> f64 {
    let power = exp2(log2_round(x));
    if (x / power - 1.0).abs() < f64::from(f32::EPSILON) {
        power
    } else {
        x
    }
}

/// The integer operator of an einsum of operands of these shapes.
fn contract(labels: &FloatContract, a: &[usize], b: &[usize]) -> Contract {
    let count = [&labels.left, &labels.right, &labels.output];
    let count = count.into_iter().flatten().max().map_or(0, |&l| l + 1);
    let mut number = vec![usize::MAX; count];
    let mut lengths = vec![];
    let pairs = labels.left.iter().zip(a).chain(labels.right.iter().zip(b));
    for (&label, &n) in pairs {
        if number[label] == usize::MAX {
            number[label] = lengths.len();
            lengths.push(n);
        }
    }
    let named = |list: &[usize]| list.iter().map(|&l| number[l]).collect();
    Contract {
        lengths,
        left: named(&labels.left),
        right: named(&labels.right),
        output: named(&labels.output),
    }
}
