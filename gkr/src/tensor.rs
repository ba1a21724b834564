//! The prover's tensors: dense small integers, contracted with challenges.
//!
//! A tensor is stored over its live cells only, row-major over axes of length greater than 1; its
//! multilinear extension is that of the tensor padded with zeros. Contractions use `eq` tables cut
//! to the live lengths, so padding is never touched. A tensor of other [`Cells`] than integers is
//! contracted by the same code.

use rayon::prelude::*;
use zkstrata_mle::{
    E, PrimeCharacteristicRing, axis_vars, contract_middle, eval_dense, live_cells, tensor_eq,
    tensor_vars,
};
use zkstrata_model_ir::int::Ints;
use zkstrata_pcs::joint::Column;

/// Cells below which embedding runs on one thread.
const PARALLEL_CELLS: usize = 1 << 14;

/// The cells of a tensor, row-major over its axes.
pub(crate) trait Cells: Sync {
    /// The multilinear extension at `point`.
    fn eval(&self, axes: &[usize], point: &[E]) -> E;

    /// `out[a][i] = sum_m e[m] x[a][m][i]`
    fn contract_middle(&self, outer: usize, mid: usize, inner: usize, e: &[E]) -> Vec<E>;

    /// The padded column that is committed, up to its last live cell, of which there are `live`.
    fn column(&self, axes: &[usize], live: usize) -> Column;
}

impl Cells for Ints {
    fn eval(&self, axes: &[usize], point: &[E]) -> E {
        match self {
            Self::I16(x) => eval_dense(x, axes, point),
            Self::I32(x) => eval_dense(x, axes, point),
            Self::I64(x) => eval_dense(x, axes, point),
        }
    }

    fn contract_middle(&self, outer: usize, mid: usize, inner: usize, e: &[E]) -> Vec<E> {
        match self {
            Self::I16(x) => contract_middle(x, outer, mid, inner, e),
            Self::I32(x) => contract_middle(x, outer, mid, inner, e),
            Self::I64(x) => contract_middle(x, outer, mid, inner, e),
        }
    }

    fn column(&self, axes: &[usize], _: usize) -> Column {
        match self {
            Self::I16(x) => Column::I16(padded(axes, x)),
            Self::I32(x) => Column::I32(padded(axes, x)),
            Self::I64(x) => Column::I64(padded(axes, x)),
        }
    }
}

/// A tensor of a batch.
#[derive(Clone, Debug)]
pub(crate) struct Tensor<C = Ints> {
    /// Axes of length greater than 1, the batch first.
    pub(crate) axes: Vec<usize>,
    /// Row-major cells.
    pub(crate) cells: C,
}

/// What a contraction does to consecutive axes.
pub(crate) enum Action<'a> {
    /// They stay.
    Keep(Vec<usize>),
    /// They are fixed at coordinates.
    Fix(&'a [E]),
    /// The axis is replaced by one index per row; rows may be shorter than the axis.
    Rows(&'a [Vec<E>]),
}

/// A contraction with lengths resolved.
enum Step {
    Keep,
    Fix(Vec<E>),
    Rows(Vec<Vec<E>>),
}

impl<C: Cells> Tensor<C> {
    /// The tensor with these axes, of which those of length 1 are dropped.
    pub(crate) fn new(axes: &[usize], cells: C) -> Self {
        let axes = axes.iter().copied().filter(|&n| n > 1).collect();
        Self { axes, cells }
    }

    /// The multilinear extension at `point`.
    pub(crate) fn eval(&self, point: &[E]) -> E {
        self.cells.eval(&self.axes, point)
    }

    /// Contracts the axes as `actions` say, in order. Returns the lengths that are left and the
    /// dense result.
    pub(crate) fn apply(&self, actions: &[Action<'_>]) -> (Vec<usize>, Vec<E>) {
        let (mut dims, mut steps) = self.resolve(actions);
        let mut values: Option<Vec<E>> = None;
        // The largest fixed block shrinks the integers most; rows multiply them least when inner.
        let first = (0..steps.len())
            .filter(|&k| matches!(steps[k], Step::Fix(_)))
            .max_by_key(|&k| dims[k]);
        let rows = (0..steps.len())
            .rev()
            .filter(|&k| matches!(steps[k], Step::Rows(_)));
        let order: Vec<usize> = first
            .into_iter()
            .chain(
                (0..steps.len()).filter(|&k| matches!(steps[k], Step::Fix(_)) && Some(k) != first),
            )
            .chain(rows)
            .collect();
        for k in order {
            let (outer, inner) = (
                dims[..k].iter().product::<usize>(),
                dims[k + 1..].iter().product::<usize>(),
            );
            let contract = |e: &[E]| match &values {
                None => self.cells.contract_middle(outer, dims[k], inner, e),
                Some(x) => contract_ext(x, outer, dims[k], inner, e),
            };
            let (next, length) = match &steps[k] {
                Step::Keep => continue,
                Step::Fix(e) => (contract(e), 1),
                Step::Rows(rows) => {
                    let parts: Vec<Vec<E>> = rows.iter().map(|row| contract(row)).collect();
                    (interleave(&parts, outer, inner), rows.len())
                }
            };
            values = Some(next);
            dims[k] = length;
            steps[k] = Step::Keep;
        }
        let all = || dims.iter().product();
        let values = values.unwrap_or_else(|| self.cells.contract_middle(1, 1, all(), &[E::ONE]));
        (dims, values)
    }

    /// One (length, step) per merged block of axes, kept blocks axis by axis.
    fn resolve(&self, actions: &[Action<'_>]) -> (Vec<usize>, Vec<Step>) {
        let (mut dims, mut steps) = (Vec::new(), Vec::new());
        let mut axes = self.axes.iter().copied();
        let mut fixed: (Vec<usize>, Vec<E>) = (vec![], vec![]);
        let flush = |fixed: &mut (Vec<usize>, Vec<E>), dims: &mut Vec<_>, steps: &mut Vec<_>| {
            if !fixed.0.is_empty() {
                dims.push(fixed.0.iter().product());
                steps.push(Step::Fix(tensor_eq(&fixed.0, &fixed.1)));
                *fixed = (vec![], vec![]);
            }
        };
        for action in actions {
            match action {
                Action::Fix(r) => {
                    let mut vars = 0;
                    while vars < r.len() {
                        let n = axes.next().expect("an axis for every coordinate");
                        vars += axis_vars(n);
                        fixed.0.push(n);
                    }
                    assert_eq!(vars, r.len(), "coordinates fill whole axes");
                    fixed.1.extend_from_slice(r);
                }
                Action::Keep(view) => {
                    flush(&mut fixed, &mut dims, &mut steps);
                    for _ in view.iter().filter(|&&n| n > 1) {
                        dims.push(axes.next().expect("an axis for every kept one"));
                        steps.push(Step::Keep);
                    }
                }
                Action::Rows(rows) => {
                    flush(&mut fixed, &mut dims, &mut steps);
                    let live = rows[0].len();
                    let n = if live > 1 {
                        axes.next().expect("an axis for the window")
                    } else {
                        1
                    };
                    let extend = |row: &Vec<E>| {
                        let mut row = row.clone();
                        row.resize(n, E::ZERO);
                        row
                    };
                    dims.push(n);
                    steps.push(Step::Rows(rows.iter().map(extend).collect()));
                }
            }
        }
        flush(&mut fixed, &mut dims, &mut steps);
        assert!(axes.next().is_none(), "an action for every axis");
        (dims, steps)
    }

    /// The padded column that is committed, up to its last live cell, of which there are `live`.
    pub(crate) fn column(&self, live: usize) -> Column {
        self.cells.column(&self.axes, live)
    }
}

/// A dense tensor in its padded place, up to its last live cell.
pub(crate) fn padded<T: Copy + Default + Send + Sync>(axes: &[usize], x: &[T]) -> Vec<T> {
    // Only the first axis may have another length than its padded one: nothing to place.
    let Some(first) = axes.iter().skip(1).rposition(|n| !n.is_power_of_two()) else {
        return x.to_vec();
    };
    let (outer, inner) = axes.split_at(first + 2);
    let mut out = vec![T::default(); live_cells(axes)];
    embed(outer, x, inner.iter().product(), &mut out);
    out
}

/// Copies a dense tensor into its padded place; `inner` cells belong together.
fn embed<T: Copy + Send + Sync>(axes: &[usize], x: &[T], inner: usize, out: &mut [T]) {
    match axes {
        [] | [_] => out[..x.len()].copy_from_slice(x),
        [n, rest @ ..] => {
            let (stride, padded) = (x.len() / n, inner << tensor_vars(rest));
            if x.len() >= PARALLEL_CELLS {
                out.par_chunks_mut(padded)
                    .zip(x.par_chunks(stride))
                    .for_each(|(out, x)| embed(rest, x, inner, out));
            } else {
                out.chunks_mut(padded)
                    .zip(x.chunks(stride))
                    .for_each(|(out, x)| embed(rest, x, inner, out));
            }
        }
    }
}

/// Calls `f(dense index, padded index)` for every live cell, in order.
pub(crate) fn for_each_live(axes: &[usize], mut f: impl FnMut(usize, usize)) {
    let Some((&last, outer)) = axes.split_last() else {
        return f(0, 0);
    };
    let row_bits = axis_vars(last);
    for row in 0..outer.iter().product() {
        let (mut rest, mut padded, mut shift) = (row, 0, row_bits);
        for &n in outer.iter().rev() {
            padded |= (rest % n) << shift;
            rest /= n;
            shift += axis_vars(n);
        }
        for j in 0..last {
            f(row * last + j, padded + j);
        }
    }
}

/// A dense table over `axes`, padded with zeros along every axis.
pub(crate) fn pad_axes(axes: &[usize], values: &[E]) -> Vec<E> {
    let mut out = vec![E::ZERO; 1 << tensor_vars(axes)];
    for_each_live(axes, |dense, at| out[at] = values[dense]);
    out
}

/// A dense table over `axes` of which index `i_a` of axis `a` counts `strides[a]`, in a table of
/// `cells` zeros.
pub(crate) fn place_axes(axes: &[usize], strides: &[usize], cells: usize, values: &[E]) -> Vec<E> {
    assert_eq!(axes.len(), strides.len(), "one stride an axis");
    let mut out = vec![E::ZERO; cells];
    let (&last, outer) = axes.split_last().unwrap_or((&1, &[]));
    let step = strides.last().copied().unwrap_or(1);
    for (mut row, values) in values.chunks(last).enumerate() {
        let mut first = 0;
        for (&n, &stride) in outer.iter().zip(strides).rev() {
            first += row % n * stride;
            row /= n;
        }
        for (out, &value) in out[first..].iter_mut().step_by(step).zip(values) {
            *out = value;
        }
    }
    out
}

/// `out[a][i] = sum_m e[m] x[a][m][i]` for values in E.
pub(crate) fn contract_ext(x: &[E], outer: usize, mid: usize, inner: usize, e: &[E]) -> Vec<E> {
    assert_eq!(x.len(), outer * mid * inner, "cells of the array");
    let mut out = vec![E::ZERO; outer * inner];
    let block = |(out, x): (&mut [E], &[E])| {
        for (row, &e) in x.chunks_exact(inner).zip(e) {
            for (o, &v) in out.iter_mut().zip(row) {
                *o += v * e;
            }
        }
    };
    if x.len() >= PARALLEL_CELLS && outer > 1 {
        out.par_chunks_mut(inner)
            .zip(x.par_chunks(mid * inner))
            .for_each(block);
    } else {
        out.chunks_mut(inner)
            .zip(x.chunks(mid * inner))
            .for_each(block);
    }
    out
}

/// `out[a][t][i] = parts[t][a][i]`
fn interleave(parts: &[Vec<E>], outer: usize, inner: usize) -> Vec<E> {
    let mut out = Vec::with_capacity(parts.len() * outer * inner);
    for a in 0..outer {
        for part in parts {
            out.extend_from_slice(&part[a * inner..(a + 1) * inner]);
        }
    }
    out
}
