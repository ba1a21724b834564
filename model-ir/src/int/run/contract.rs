//! Runs contractions.
//!
//! The operands are brought into the orders `[k, l, s]` and `[k, r, s]`, where `k` runs over the
//! inferences and the kept labels, `l` and `r` over those of one operand and `s` over the summed
//! ones, and `Y[k, l, r] = sum_s A[k, l, s] B[k, r, s]` is brought into the output's order.

use super::affine::{Shape, dense};
use super::cell::{Cell, each_type};
use super::rearrange::PermutePlan;
use super::{GRAIN, TASK};
use crate::int::{Contract, Interval, Ints, Node, Role};
use rayon::prelude::*;
use std::borrow::Cow;

/// Smallest number of rows, columns and terms for which packing the right operand pays.
const MATRIX: usize = 8;

/// A contraction made ready to run.
#[derive(Debug)]
pub(super) struct ContractPlan {
    /// With the inferences as the label behind all others.
    contract: Contract,
    /// Labels of each role; `right` is at least as long as `left`.
    kept: Vec<usize>,
    left: Vec<usize>,
    right: Vec<usize>,
    summed: Vec<usize>,
    /// Intervals of the operands and of the result.
    intervals: [Interval; 2],
    result: Interval,
    /// Whether the operands have changed places.
    swapped: bool,
}

/// Products of the lengths of the labels of each role.
#[derive(Clone, Copy, Debug)]
struct Lengths {
    kept: usize,
    left: usize,
    right: usize,
    summed: usize,
}

/// A tensor in some order of labels.
struct Ordered<'a> {
    cells: &'a Ints,
    labels: &'a [usize],
    interval: Interval,
}

impl ContractPlan {
    pub(super) fn new(contract: &Contract, intervals: [Interval; 2], node: &Node) -> Self {
        let mut contract = contract.clone();
        let batch = contract.lengths.len();
        for list in [
            &mut contract.left,
            &mut contract.right,
            &mut contract.output,
        ] {
            list.insert(0, batch);
        }
        contract.lengths.push(1);
        let cells = |role| -> usize { contract.view(&contract.labels(role)).iter().product() };
        let swapped = cells(Role::Left) > cells(Role::Right);
        let mut intervals = intervals;
        if swapped {
            std::mem::swap(&mut contract.left, &mut contract.right);
            intervals.reverse();
        }
        // In the order of an operand, which then often stays as it is.
        let of = |list: &[usize], role| -> Vec<usize> {
            let labels = list.iter().copied();
            labels.filter(|&l| contract.role(l) == Some(role)).collect()
        };
        Self {
            kept: of(&contract.left, Role::Kept),
            left: of(&contract.left, Role::Left),
            right: of(&contract.right, Role::Right),
            summed: of(&contract.left, Role::Summed),
            contract,
            intervals,
            result: node.interval,
            swapped,
        }
    }

    /// The contraction of two tensors of `batch` inferences.
    pub(super) fn run(&self, operands: [&Ints; 2], batch: usize) -> Ints {
        let mut contract = self.contract.clone();
        if let Some(length) = contract.lengths.last_mut() {
            *length = batch;
        }
        let [mut a, mut b] = operands;
        if self.swapped {
            std::mem::swap(&mut a, &mut b);
        }
        let a = Ordered {
            cells: a,
            labels: &contract.left,
            interval: self.intervals[0],
        };
        let b = Ordered {
            cells: b,
            labels: &contract.right,
            interval: self.intervals[1],
        };
        let product = |labels: &[usize]| contract.view(labels).iter().product();
        let lengths = Lengths {
            kept: product(&self.kept),
            left: product(&self.left),
            right: product(&self.right),
            summed: product(&self.summed),
        };
        let matrix = lengths.left.min(lengths.right).min(lengths.summed) >= MATRIX;
        if matrix && let Some(y) = self.matrix(&contract, &a, &b, lengths) {
            return y;
        }
        self.direct(&contract, &a, &b, lengths)
    }

    /// By the kernel of dense layers, with the right operand as weights: `Y[l, k, r]`.
    fn matrix(
        &self,
        contract: &Contract,
        a: &Ordered<'_>,
        b: &Ordered<'_>,
        lengths: Lengths,
    ) -> Option<Ints> {
        if matches!(b.cells, Ints::I64(_)) {
            return None;
        }
        let order = [&self.kept[..], &self.right, &self.summed].concat();
        let b = b.reordered(contract, &order, b.interval);
        let weights: Vec<i32> = each_type!(&*b, b => b.iter().map(|x| x.cast()).collect());
        let shape = Shape {
            groups: lengths.kept,
            outputs: lengths.right,
            inputs: lengths.summed,
        };
        let layer = dense(shape, &weights, a.interval, self.result)?;
        let order = [&self.left[..], &self.kept, &self.summed].concat();
        let a = a.reordered(contract, &order, a.interval);
        let mut y = Ints::zeros(self.result, lengths.left * lengths.kept * lengths.right);
        layer.run(&a, &mut y);
        Some(self.finish(
            contract,
            y,
            &[&self.left[..], &self.kept, &self.right].concat(),
        ))
    }

    /// Straight from the formula, along the longest axis.
    fn direct(
        &self,
        contract: &Contract,
        a: &Ordered<'_>,
        b: &Ordered<'_>,
        lengths: Lengths,
    ) -> Ints {
        // One type for both operands.
        let both = a.interval.hull(b.interval);
        let order = [&self.kept[..], &self.left, &self.summed].concat();
        let a = a.reordered(contract, &order, both);
        let columns = lengths.right > lengths.summed;
        let order = if columns {
            [&self.kept[..], &self.summed, &self.right].concat()
        } else {
            [&self.kept[..], &self.right, &self.summed].concat()
        };
        let b = b.reordered(contract, &order, both);
        let mut y = Ints::zeros(self.result, lengths.kept * lengths.left * lengths.right);
        each_type!(&mut y, y => match (&*a, &*b) {
            (Ints::I16(a), Ints::I16(b)) => lengths.run(columns, a, b, y),
            (Ints::I32(a), Ints::I32(b)) => lengths.run(columns, a, b, y),
            (Ints::I64(a), Ints::I64(b)) => lengths.run(columns, a, b, y),
            _ => unreachable!("both operands have the type of both intervals"),
        });
        self.finish(
            contract,
            y,
            &[&self.kept[..], &self.left, &self.right].concat(),
        )
    }

    /// The result, whose labels are `order`, in the output's order.
    fn finish(&self, contract: &Contract, y: Ints, order: &[usize]) -> Ints {
        let ordered = Ordered {
            cells: &y,
            labels: order,
            interval: self.result,
        };
        match ordered.reordered(contract, &contract.output, self.result) {
            Cow::Owned(y) => y,
            Cow::Borrowed(_) => y,
        }
    }
}

impl<'a> Ordered<'a> {
    /// The cells with their labels in another order, in the type that holds `interval`.
    fn reordered(&self, contract: &Contract, order: &[usize], interval: Interval) -> Cow<'a, Ints> {
        let position = |label: &usize| {
            let place = self.labels.iter().position(|l| l == label);
            place.expect("the orders have the same labels")
        };
        let perm: Vec<usize> = order.iter().map(position).collect();
        let plan = PermutePlan::new(&contract.view(self.labels), &perm);
        let same = |x: &Ints| std::mem::discriminant(x) == std::mem::discriminant(self.cells);
        if plan.is_identity() && same(&Ints::zeros(interval, 0)) {
            return Cow::Borrowed(self.cells);
        }
        Cow::Owned(plan.run(self.cells, interval, 1))
    }
}

impl Lengths {
    /// `Y[k, l, r]`; `b` is `[k, s, r]` if `columns`, else `[k, r, s]`.
    fn run<X: Cell, Y: Cell>(self, columns: bool, a: &[X], b: &[X], y: &mut [Y]) {
        if self.right * self.summed == 1 {
            return products(a, b, y);
        }
        let row = self.right * self.summed;
        let rows = TASK.div_ceil(row).min(GRAIN.div_ceil(self.right)).max(1);
        y.par_chunks_mut(rows * self.right)
            .enumerate()
            .for_each(|(chunk, y)| {
                for (i, y) in y.chunks_mut(self.right).enumerate() {
                    let i = chunk * rows + i;
                    let a = &a[i * self.summed..(i + 1) * self.summed];
                    let b = &b[i / self.left * row..(i / self.left + 1) * row];
                    if columns {
                        for (&a, b) in a.iter().zip(b.chunks(self.right)) {
                            add_multiple(a, b, y);
                        }
                    } else {
                        for (y, b) in y.iter_mut().zip(b.chunks(self.summed)) {
                            *y = dot(a, b);
                        }
                    }
                }
            });
    }
}

/// `Y[k] = A[k] B[k]`.
fn products<X: Cell, Y: Cell>(a: &[X], b: &[X], y: &mut [Y]) {
    let a = a.par_chunks(GRAIN).zip(b.par_chunks(GRAIN));
    y.par_chunks_mut(GRAIN).zip(a).for_each(|(y, (a, b))| {
        for (y, (&a, &b)) in y.iter_mut().zip(a.iter().zip(b)) {
            *y = a.cast::<Y>().times(b.cast());
        }
    });
}

fn add_multiple<X: Cell, Y: Cell>(a: X, b: &[X], y: &mut [Y]) {
    let a: Y = a.cast();
    for (y, &b) in y.iter_mut().zip(b) {
        *y = y.plus(a.times(b.cast()));
    }
}

fn dot<X: Cell, Y: Cell>(a: &[X], b: &[X]) -> Y {
    let terms = a.iter().zip(b);
    terms.fold(Y::default(), |sum, (&a, &b)| {
        sum.plus(a.cast::<Y>().times(b.cast()))
    })
}
