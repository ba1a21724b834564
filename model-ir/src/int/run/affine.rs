//! Runs affine layers plane by plane, directly from the formula.

use super::cell::{Cell, each_type};
use super::window::Planes;
use crate::int::{Affine, Interval, Ints};
use rayon::prelude::*;

/// An affine layer made ready to run.
#[derive(Debug)]
pub(super) struct AffinePlan {
    lead: usize,
    groups: usize,
    outputs: usize,
    inputs: usize,
    planes: Planes,
    weights: Vec<i32>,
    bias: Vec<i64>,
}

impl AffinePlan {
    pub(super) fn new(affine: &Affine, weights: &[i32], bias: Option<&[i64]>) -> Self {
        Self {
            lead: affine.lead.iter().product(),
            groups: affine.groups.iter().product(),
            outputs: affine.outputs.iter().product(),
            inputs: affine.inputs.iter().product(),
            planes: Planes::new(&affine.windows),
            weights: weights.to_vec(),
            bias: bias.map_or_else(|| vec![0; affine.rows()], <[i64]>::to_vec),
        }
    }

    pub(super) fn run(&self, x: &Ints, interval: Interval, batch: usize) -> Ints {
        let cells = self.lead * self.groups * self.outputs * self.planes.output();
        let mut y = Ints::zeros(interval, batch * cells);
        each_type!(x, x => each_type!(&mut y, y => self.run_typed(x, y)));
        y
    }

    fn run_typed<X: Cell, Y: Cell>(&self, x: &[X], y: &mut [Y]) {
        let plane = self.planes.input();
        let weights = self.inputs * self.planes.taps();
        y.par_chunks_mut(self.planes.output())
            .enumerate()
            .for_each(|(p, y)| {
                let row = p % (self.groups * self.outputs);
                let group = p / self.outputs;
                y.fill(Y::wrap(self.bias[row]));
                let w = &self.weights[row * weights..(row + 1) * weights];
                let x = &x[group * self.inputs * plane..(group + 1) * self.inputs * plane];
                if self.planes.is_point() {
                    let terms = x
                        .iter()
                        .zip(w)
                        .map(|(&x, &w)| x.cast::<Y>().times(w.cast()));
                    y[0] = terms.fold(y[0], Y::plus);
                    return;
                }
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
