//! Products of activations, and linear maps of accumulators.
//!
//! Both are raw: the scale of a product is the product of its operands' scales, and a map that adds
//! cells has its operand's, divided. Operands are accumulators as they are where sums leave room for
//! them, or small.

use super::Error;
use super::lower::{Handle, Lowered};
use super::moves::keep;
use super::policy;
use crate::float::{AxisMap, Contract as FloatContract};
use crate::int::{Contract, Entry, Map, MapAxis, Op, TensorId, contract_bounds};

impl Lowered<'_> {
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
