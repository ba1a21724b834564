//! Affine layers straight from the formula, for windows that no other kernel takes: those that
//! do not move forwards, or with taps far apart.

use super::affine::{Layer, Shape};
use super::cell::{Cell, each_type};
use super::window::Planes;
use crate::int::Ints;
use rayon::prelude::*;

/// An affine layer as it stands.
#[derive(Debug)]
pub(super) struct Direct {
    shape: Shape,
    planes: Planes,
    weights: Vec<i32>,
    bias: Vec<i64>,
}

impl Direct {
    pub(super) fn new(shape: Shape, planes: Planes, weights: &[i32], bias: Vec<i64>) -> Self {
        Self {
            shape,
            planes,
            weights: weights.to_vec(),
            bias,
        }
    }

    fn run_typed<X: Cell, Y: Cell>(&self, x: &[X], y: &mut [Y]) {
        let plane = self.planes.input();
        let weights = self.shape.inputs * self.planes.taps();
        y.par_chunks_mut(self.planes.output())
            .enumerate()
            .for_each(|(p, y)| {
                let row = p % (self.shape.groups * self.shape.outputs);
                let group = p / self.shape.outputs;
                y.fill(Y::wrap(self.bias[row]));
                let w = &self.weights[row * weights..(row + 1) * weights];
                let x =
                    &x[group * self.shape.inputs * plane..(group + 1) * self.shape.inputs * plane];
                for (w, x) in w.chunks(self.planes.taps()).zip(x.chunks(plane)) {
                    self.add_plane(w, x, y);
                }
            });
    }

    /// Adds one input channel's share to an output plane.
    fn add_plane<X: Cell, Y: Cell>(&self, w: &[i32], x: &[X], y: &mut [Y]) {
        let line = &self.planes.line;
        for (i, y) in y.chunks_mut(line.output).enumerate() {
            for (t, w) in w.chunks(line.taps.len()).enumerate() {
                let Some(start) = self.planes.source_line(i, t) else {
                    continue;
                };
                let x = &x[start..start + line.input];
                for (tap, &w) in line.taps.iter().zip(w) {
                    if tap.outputs.is_empty() {
                        continue;
                    }
                    let w: Y = w.cast();
                    let y = &mut y[tap.outputs.clone()];
                    let first = line.source(tap, tap.outputs.start);
                    if line.stride == 1 {
                        for (y, &x) in y.iter_mut().zip(&x[first..]) {
                            *y = y.plus(w.times(x.cast()));
                        }
                    } else {
                        for (y, i) in y.iter_mut().zip(tap.outputs.clone()) {
                            *y = y.plus(w.times(x[line.source(tap, i)].cast()));
                        }
                    }
                }
            }
        }
    }
}

impl Layer for Direct {
    fn run(&self, x: &Ints, y: &mut Ints) {
        each_type!(x, x => each_type!(y, y => self.run_typed(x, y)));
    }
}
