//! Layers of one input and one output channel per group: depthwise convolutions and scalings.

use super::GRAIN;
use super::affine::{Layer, Shape};
use super::cell::{Cell, each_type};
use super::grid::Grid;
use crate::int::Ints;
use rayon::prelude::*;

/// Columns whose sums stay in registers.
const BLOCK: usize = 32;

/// A depthwise convolution: `Y[g, j] = sum_t W[g, t] X_g[q_t][j + a_t]` on padded planes.
#[derive(Debug)]
pub(super) struct Depthwise {
    pub(super) grid: Grid,
    pub(super) weights: Vec<i32>,
    pub(super) bias: Vec<i64>,
}

impl Depthwise {
    fn run_typed<X: Cell, Y: Cell>(&self, x: &[X], y: &mut [Y]) {
        let grid = &self.grid;
        let work = grid.plane * (grid.taps.len() + 2);
        // The last block reads beyond the last plane.
        let scratch = || vec![Y::default(); grid.phases * grid.plane + BLOCK];
        y.par_chunks_mut(grid.output)
            .zip(x.par_chunks(grid.input))
            .with_min_len((4 * GRAIN).div_ceil(work))
            .enumerate()
            .for_each_init(scratch, |planes, (channel, (y, x))| {
                // Cells outside the input stay zero from one channel to the next.
                grid.spread([x], planes, grid.plane, 1);
                self.run_channel(channel % self.bias.len(), planes, y);
            });
    }

    fn run_channel<Y: Cell>(&self, group: usize, planes: &[Y], y: &mut [Y]) {
        let grid = &self.grid;
        let weights = &self.weights[group * grid.taps.len()..(group + 1) * grid.taps.len()];
        let mut run = 0;
        for start in (0..grid.columns()).step_by(BLOCK) {
            let mut sums = [Y::wrap(self.bias[group]); BLOCK];
            for (&w, &(q, a)) in weights.iter().zip(&grid.taps) {
                let x = planes[q * grid.plane + start + a..].first_chunk::<BLOCK>();
                let (w, x) = (w.cast::<Y>(), x.expect("the planes have room for a block"));
                for (sum, &x) in sums.iter_mut().zip(x) {
                    *sum = sum.plus(w.times(x));
                }
            }
            let end = start + BLOCK;
            while let Some(r) = grid.runs.get(run).filter(|r| r.column < end) {
                let (from, to) = (r.column.max(start), (r.column + r.len).min(end));
                let output = r.output + (from - r.column);
                y[output..output + (to - from)].copy_from_slice(&sums[from - start..to - start]);
                if r.column + r.len > end {
                    break;
                }
                run += 1;
            }
        }
    }
}

impl Layer for Depthwise {
    fn run(&self, x: &Ints, y: &mut Ints) {
        each_type!(x, x => each_type!(y, y => self.run_typed(x, y)));
    }
}

/// A scaling: `Y[l, g, i] = W[g] X[l, g, i] + b[g]`.
#[derive(Debug)]
pub(super) struct Scale {
    pub(super) shape: Shape,
    /// Cells per group.
    pub(super) plane: usize,
    pub(super) weights: Vec<i32>,
    pub(super) bias: Vec<i64>,
}

impl Scale {
    fn run_typed<X: Cell, Y: Cell>(&self, x: &[X], y: &mut [Y]) {
        let image = self.shape.groups * self.plane;
        let images = GRAIN.div_ceil(image);
        let factors = || {
            self.weights
                .iter()
                .zip(&self.bias)
                .map(|(&w, &b)| (w.cast(), Y::wrap(b)))
        };
        y.par_chunks_mut(images * image)
            .zip(x.par_chunks(images * image))
            .for_each(|(y, x)| {
                for (y, x) in y.chunks_mut(image).zip(x.chunks(image)) {
                    if self.plane == 1 {
                        for ((y, x), (w, b)) in y.iter_mut().zip(x).zip(factors()) {
                            *y = b.plus(x.cast::<Y>().times(w));
                        }
                        continue;
                    }
                    let planes = y.chunks_mut(self.plane).zip(x.chunks(self.plane));
                    for ((y, x), (w, b)) in planes.zip(factors()) {
                        for (y, x) in y.iter_mut().zip(x) {
                            *y = b.plus(x.cast::<Y>().times(w));
                        }
                    }
                }
            });
    }
}

impl Layer for Scale {
    fn run(&self, x: &Ints, y: &mut Ints) {
        each_type!(x, x => each_type!(y, y => self.run_typed(x, y)));
    }
}
