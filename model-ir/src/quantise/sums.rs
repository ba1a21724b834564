//! Sums of values of different scales: a common unit.
//!
//! A sum of accumulators of scales `r_k` is one of scale `u` with the coefficients `r_k / u`, exact
//! if `u` divides all `r_k`.

use super::forms::Form;
use super::lower::{Handle, Lowered};
use super::{Error, extremes, policy};
use crate::exact::{exp2, log2_ceil, log2_round};
use crate::int::{Entry, Map, MapAxis, TensorId};
use ndarray::ArrayD;

impl Lowered<'_> {
    /// `a + sign * b` of values whose scales have no simple ratio.
    pub(super) fn raw_sum(&mut self, v: usize, signs: [i64; 2]) -> Result<Handle, Error> {
        let node = self.plan.node(v);
        let [left, right] =
            [0, 1].map(|k| extremes::origin(self.plan.facts.graph, node.inputs[k].0));
        let [wide, direct] = [policy::EXTREME_SUM, policy::DIRECT_SUM];
        let limit = if [left, right].iter().any(|&u| self.plan.facts.extremes[u]) {
            wide
        } else {
            direct
        };
        let mut terms = vec![];
        for (&value, sign) in node.inputs.iter().zip(signs) {
            terms.push((sign, self.operand(value, limit)?));
        }
        // What is far finer than the other term need not be, but for a maximum of the latter.
        let extreme = [left, right].iter().any(|&u| self.plan.facts.extremes[u]);
        for k in 0..2 {
            if !extreme && terms[k].1.scale * policy::FINER < terms[1 - k].1.scale {
                terms[k].1 = self.small(node.inputs[k])?;
            }
        }
        // Nor must a term be so fine that there is no room for the sum; cells of one value are
        // rounded alike.
        let finer = usize::from(terms[1].1.scale < terms[0].1.scale);
        for k in [finer, 1 - finer] {
            let alike = left == right && terms[1 - k].1.small;
            if !terms[k].1.small && (alike || !self.has_room(v, &terms)) {
                terms[k].1 = self.small(node.inputs[k])?;
            }
        }
        let (unit, terms) = self.aligned(v, &terms)?;
        let sum = self.weighted_sum(&node.name, &terms)?;
        Ok(Self::raw(sum, unit))
    }

    /// Whether the sum of signed terms in a common unit is bounded.
    fn has_room(&self, v: usize, terms: &[(i64, Handle)]) -> bool {
        let unit = self.common_unit(v, terms);
        let weighted = |&(sign, x): &(i64, Handle)| {
            let [first, second] = factors(x.scale / unit)?;
            let bounded = self.sum_bounds(&[(first, x.tensor)]).is_some();
            bounded.then_some((sign * first * second, x.tensor))
        };
        let terms: Option<Vec<(i64, TensorId)>> = terms.iter().map(weighted).collect();
        terms.is_some_and(|terms| self.sum_bounds(&terms).is_some())
    }

    /// A common unit of value `v`'s operands, and their coefficients in it.
    pub(super) fn aligned(
        &mut self,
        v: usize,
        terms: &[(i64, Handle)],
    ) -> Result<(f64, Vec<(i64, TensorId)>), Error> {
        let unit = self.common_unit(v, terms);
        let name = &self.plan.node(v).name;
        let mut weighted = vec![];
        for &(sign, x) in terms {
            let [first, second] = factors(x.scale / unit).ok_or_else(|| Error::Scale {
                node: name.clone(),
                scale: x.scale / least_scale(terms),
            })?;
            let x = match first {
                1 => x.tensor,
                _ => self.weighted_sum(name, &[(first, x.tensor)])?,
            };
            weighted.push((sign * second, x));
        }
        Ok((unit, weighted))
    }

    /// A unit in which the scales of value `v`'s operands are integers, or nearly. What is rounded is
    /// a constant, which is rounded anyway: of what it is compared with the unit is a part, so that
    /// maxima of a value are equal to it. Integers are exact as well.
    fn common_unit(&self, v: usize, terms: &[(i64, Handle)]) -> f64 {
        let unit = self.near_unit(v, terms);
        let facts = &self.plan.facts;
        let constant = |u: usize| {
            let origin = extremes::origin(facts.graph, u);
            facts.op(origin).constant().is_some()
        };
        let scales = facts.node(v).inputs.iter().zip(terms);
        let computed: Vec<_> = scales.filter(|(u, _)| !constant(u.0)).collect();
        let whole = computed.iter().find(|(u, _)| self.plan.ties.is_whole(u.0));
        let exact = match (whole, computed.as_slice()) {
            (Some(one), _) | (None, [one]) => one.1.1.scale,
            (None, _) => return unit,
        };
        factors(exact / unit).map_or(unit, |[a, b]| exact / (a * b).max(1) as f64)
    }

    /// A unit in which the scales of value `v`'s operands are nearly integers.
    fn near_unit(&self, v: usize, terms: &[(i64, Handle)]) -> f64 {
        let least = least_scale(terms);
        let fits = |unit: f64, tolerance: f64| {
            terms.iter().all(|(_, x)| {
                let ratio = x.scale / unit;
                (ratio - ratio.round()).abs() <= tolerance * ratio
            })
        };
        let part = |split: i32| least * exp2(-split);
        let exact = |split: &i32| fits(part(*split), f64::from(f32::EPSILON));
        match (
            self.quantised_next(v),
            (0..=policy::SIMPLE_RATIO).find(exact),
        ) {
            // Ties are rounded as the model does only in a unit that has them.
            (Some(_), Some(split)) => part(split),
            (Some(scale), None) => {
                let unit = |more: i32| (scale * exp2(-policy::QUANTISED_BITS - more)).min(least);
                let tolerance = exp2(-self.multiplier_bits() - 1);
                let enough = |&more: &i32| fits(unit(more), tolerance);
                let most = self.multiplier_bits();
                unit((0..=most).find(enough).unwrap_or(most))
            }
            (None, _) => {
                // As exact as the bits ask for: a unit that was found so is its own, so that values
                // keep their coefficients in a sum of sums.
                let enough = |split: &i32| fits(part(*split), exp2(-self.multiplier_bits() - 1));
                let most = self.multiplier_bits() + 1;
                part((0..=most).find(enough).unwrap_or(most))
            }
        }
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

    /// `factor X + shift`
    pub(super) fn raw_affine(
        &mut self,
        v: usize,
        factor: f64,
        shift: &ArrayD<f32>,
    ) -> Result<Handle, Error> {
        let node = self.plan.node(v);
        let x = self.operand(node.inputs[0], policy::DIRECT_SUM)?;
        let whole = self.plan.facts.is_integral(v) || self.plan.facts.is_sign_of_integers(v);
        if whole && x.scale.to_bits() == 1.0_f64.to_bits() {
            let integers = shift.iter().map(|&t| t.floor() as i64).collect();
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
        let shifts: Vec<f64> = shift.iter().map(|&t| f64::from(t)).collect();
        let split = self.split_for(v, &shifts, scale);
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

    /// The split of `scale` in which numbers that are added to value `v` are integers, nearly.
    pub(super) fn split_for(&self, v: usize, numbers: &[f64], scale: f64) -> i32 {
        let steps = |x: f64, split: i32| x.abs() / scale * exp2(split);
        let largest = numbers.iter().fold(0.0_f64, |most, x| most.max(x.abs()));
        // What decides must not be lost.
        let decides = self.plan.facts.decides(v);
        let lost = |x: f64, split| decides && x != 0.0 && steps(x, split).round() == 0.0;
        let exact = |x: f64, split| steps(x, split).fract() == 0.0;
        let enough = |split: &i32| {
            numbers.iter().all(|&x| exact(x, *split))
                || steps(largest, *split) >= policy::AFFINE_STEPS
                    && !numbers.iter().any(|&x| lost(x, *split))
        };
        let most = self.multiplier_bits();
        (0..most).find(enough).unwrap_or(most)
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
        let skip = shape.len().saturating_sub(from.len());
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
}

fn least_scale(terms: &[(i64, Handle)]) -> f64 {
    let scales = terms.iter().map(|(_, x)| x.scale);
    scales.fold(f64::INFINITY, f64::min)
}

/// Two coefficients whose product is about `ratio`, the first 1 if one is enough; none if two are
/// not.
fn factors(ratio: f64) -> Option<[i64; 2]> {
    if ratio.round() <= policy::MOST_COEFFICIENT {
        return Some([1, ratio.round() as i64]);
    }
    // A power of two, so that multiples of what was multiplied are exact.
    let first = exp2(log2_ceil(ratio / policy::MOST_COEFFICIENT));
    let second = (ratio / first).round();
    (first <= policy::MOST_COEFFICIENT).then_some([first as i64, second as i64])
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
