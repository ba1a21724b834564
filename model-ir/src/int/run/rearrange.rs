//! Runs sums, permutations and gathers.

use super::GRAIN;
use super::cell::{Cell, each_type};
use crate::int::{Interval, Ints};
use rayon::prelude::*;

/// `Y = sum_k coefs[k] X_k`.
pub(super) fn sum(coefs: &[i64], inputs: &[&Ints], interval: Interval, cells: usize) -> Ints {
    let mut y = Ints::zeros(interval, cells);
    each_type!(&mut y, y => y.par_chunks_mut(GRAIN).enumerate().for_each(|(chunk, y)| {
        for (&coef, x) in coefs.iter().zip(inputs) {
            each_type!(x, x => add_multiple(y, &x[chunk * GRAIN..], coef));
        }
    }));
    y
}

fn add_multiple<X: Cell, Y: Cell>(y: &mut [Y], x: &[X], coef: i64) {
    let factor = Y::wrap(coef);
    for (y, &x) in y.iter_mut().zip(x) {
        *y = y.plus(factor.times(x.cast()));
    }
}

/// `Y[i] = X[map[i]]` for every inference.
pub(super) fn gather(map: &[u32], x: &Ints, interval: Interval, batch: usize) -> Ints {
    let mut y = Ints::zeros(interval, batch * map.len());
    each_type!(x, x => each_type!(&mut y, y => gather_typed(map, x, y, batch)));
    y
}

fn gather_typed<X: Cell, Y: Cell>(map: &[u32], x: &[X], y: &mut [Y], batch: usize) {
    y.par_chunks_mut(map.len())
        .zip(x.par_chunks(x.len() / batch))
        .for_each(|(y, x)| {
            for (y, &i) in y.iter_mut().zip(map) {
                *y = x[i as usize].cast();
            }
        });
}

/// `cells` in the type of `interval`, for every inference.
pub(super) fn constant(cells: &[i64], interval: Interval, batch: usize) -> Ints {
    let mut y = Ints::zeros(interval, batch * cells.len());
    each_type!(&mut y, y => y.par_chunks_mut(cells.len()).for_each(|y| {
        for (y, &x) in y.iter_mut().zip(cells) {
            *y = x.cast();
        }
    }));
    y
}

/// A permutation of axes made ready to run: axes of length 1 are gone and axes that stay
/// neighbours are one.
#[derive(Debug)]
pub(super) struct PermutePlan {
    /// Length and stride in the input of each output axis, outermost first; never empty.
    axes: Vec<(usize, usize)>,
    cells: usize,
}

impl PermutePlan {
    pub(super) fn new(axes: &[usize], perm: &[usize]) -> Self {
        let stride = |a: usize| axes[a + 1..].iter().product::<usize>();
        let mut merged: Vec<(usize, usize)> = Vec::new();
        for &a in perm.iter().filter(|&&a| axes[a] > 1) {
            match merged.last_mut() {
                Some((n, s)) if *s == axes[a] * stride(a) => (*n, *s) = (*n * axes[a], stride(a)),
                _ => merged.push((axes[a], stride(a))),
            }
        }
        if merged.is_empty() {
            merged.push((1, 1));
        }
        Self {
            axes: merged,
            cells: axes.iter().product(),
        }
    }

    /// Whether all axes stay where they are.
    pub(super) fn is_identity(&self) -> bool {
        self.axes.len() == 1 && self.axes[0].1 == 1
    }

    pub(super) fn run(&self, x: &Ints, interval: Interval, batch: usize) -> Ints {
        let mut y = Ints::zeros(interval, batch * self.cells);
        each_type!(x, x => each_type!(&mut y, y => self.run_typed(x, y)));
        y
    }

    fn run_typed<X: Cell, Y: Cell>(&self, x: &[X], y: &mut [Y]) {
        let (&(length, stride), outer) = self.axes.split_last().expect("never empty");
        let rows = GRAIN.div_ceil(length);
        y.par_chunks_mut(rows * length)
            .enumerate()
            .for_each(|(chunk, y)| {
                for (r, y) in y.chunks_mut(length).enumerate() {
                    let (mut row, mut from) = (chunk * rows + r, 0);
                    for &(n, s) in outer.iter().rev() {
                        from += row % n * s;
                        row /= n;
                    }
                    let x = &x[row * self.cells + from..];
                    for (y, &x) in y.iter_mut().zip(x.iter().step_by(stride)) {
                        *y = x.cast();
                    }
                }
            });
    }
}
