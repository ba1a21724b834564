//! Runs maps: one pass per axis.
//!
//! With `X' = X - fill` outside taps read 0, the map is a product of linear maps of one axis
//! each, and `Y = map(X') + fill * prod_axes coef_i sum_t weight_t`.

use super::GRAIN;
use super::cell::{Cell, each_type};
use super::window::Window;
use crate::int::{Interval, Ints, Map, MapAxis};
use rayon::prelude::*;

/// A map made ready to run.
#[derive(Debug)]
pub(super) struct MapPlan {
    passes: Vec<Pass>,
    /// Cells of the input and of the output of one inference.
    cells: (usize, usize),
    fill: i64,
    /// `coef_i * sum_t weight_t` per axis and output, if `fill` is not 0.
    totals: Vec<Vec<i64>>,
}

/// `Y[o, i, n] = coef_i sum_t weight_t X[o, x(i, t), n]` on `[outer, axis, inner]`.
#[derive(Debug)]
struct Pass {
    outer: usize,
    inner: usize,
    window: Window,
    coefs: Vec<i64>,
}

impl MapPlan {
    pub(super) fn new(map: &Map) -> Self {
        let mut lengths: Vec<usize> = map.axes.iter().map(MapAxis::input).collect();
        let input = lengths.iter().product();
        let windows: Vec<(Window, &[i64])> = map
            .axes
            .iter()
            .map(|axis| match axis {
                MapAxis::Keep(_) => (Window::new(axis), [].as_slice()),
                MapAxis::Window { coefs, .. } => (Window::new(axis), coefs.as_slice()),
            })
            .collect();
        let mut order: Vec<usize> = (0..windows.len())
            .filter(|&a| !windows[a].0.is_identity() || !windows[a].1.is_empty())
            .collect();
        // Axes that shrink the tensor most come first.
        order.sort_by(|&a, &b| {
            let (a, b) = (&windows[a].0, &windows[b].0);
            (a.output * b.input).cmp(&(b.output * a.input))
        });
        let mut passes = Vec::new();
        for a in order {
            let (window, coefs) = &windows[a];
            passes.push(Pass {
                outer: lengths[..a].iter().product(),
                inner: lengths[a + 1..].iter().product(),
                window: window.clone(),
                coefs: coefs.to_vec(),
            });
            lengths[a] = window.output;
        }
        let totals = |(window, coefs): &(Window, &[i64])| {
            let weights = window.taps.iter().map(|tap| tap.weight);
            let sum = weights.fold(0, i64::wrapping_add);
            let coef = |i| coefs.get(i).copied().unwrap_or(1);
            (0..window.output)
                .map(|i| sum.wrapping_mul(coef(i)))
                .collect()
        };
        Self {
            passes,
            cells: (input, lengths.iter().product()),
            fill: map.fill,
            totals: if map.fill == 0 {
                Vec::new()
            } else {
                windows.iter().map(totals).collect()
            },
        }
    }

    pub(super) fn run(&self, x: &Ints, interval: Interval, batch: usize) -> Ints {
        let mut y = Ints::zeros(interval, batch * self.cells.1);
        each_type!(x, x => each_type!(&mut y, y => self.run_typed(x, y, batch)));
        y
    }

    fn run_typed<X: Cell, Y: Cell>(&self, x: &[X], y: &mut [Y], batch: usize) {
        debug_assert_eq!(x.len(), batch * self.cells.0);
        let shift = |x: X| Y::wrap(x.widen().wrapping_sub(self.fill));
        match self.passes.as_slice() {
            [] => y
                .par_chunks_mut(GRAIN)
                .zip(x.par_chunks(GRAIN))
                .for_each(|(y, x)| y.iter_mut().zip(x).for_each(|(y, &x)| *y = shift(x))),
            [only] => only.run(x, y, shift),
            [first, middle @ .., last] => {
                let mut from = vec![Y::default(); first.output(batch)];
                first.run(x, &mut from, shift);
                for pass in middle {
                    let mut to = vec![Y::default(); pass.output(batch)];
                    pass.run(&from, &mut to, |x| x);
                    from = to;
                }
                last.run(&from, y, |x| x);
            }
        }
        if self.fill != 0 {
            y.par_chunks_mut(self.cells.1)
                .for_each(|y| add_products(y, &self.totals, self.fill));
        }
    }
}

/// Adds `factor * prod_a totals[a][i_a]` to the cells of `y`.
fn add_products<Y: Cell>(y: &mut [Y], totals: &[Vec<i64>], factor: i64) {
    match totals {
        [] => y[0] = y[0].plus(Y::wrap(factor)),
        [last] => {
            for (y, &t) in y.iter_mut().zip(last) {
                *y = y.plus(Y::wrap(factor).times(Y::wrap(t)));
            }
        }
        [first, rest @ ..] => {
            let row = y.len() / first.len();
            for (y, &t) in y.chunks_mut(row).zip(first) {
                add_products(y, rest, factor.wrapping_mul(t));
            }
        }
    }
}

impl Pass {
    fn output(&self, batch: usize) -> usize {
        batch * self.outer * self.window.output * self.inner
    }

    /// The factor of tap weight `weight` at output `i`.
    fn factor<Y: Cell>(&self, i: usize, weight: i64) -> Y {
        let coef = self.coefs.get(i).copied().unwrap_or(1);
        Y::wrap(coef).times(Y::wrap(weight))
    }

    fn run<X: Cell, Y: Cell>(&self, x: &[X], y: &mut [Y], load: impl Fn(X) -> Y + Sync) {
        if self.inner == 1 {
            self.run_lines(x, y, load);
        } else {
            self.run_rows(x, y, load);
        }
    }

    /// `inner > 1`: every output row is a combination of input rows.
    fn run_rows<X: Cell, Y: Cell>(&self, x: &[X], y: &mut [Y], load: impl Fn(X) -> Y + Sync) {
        let (inner, output) = (self.inner, self.window.output);
        let rows = GRAIN.div_ceil(inner);
        y.par_chunks_mut(rows * inner)
            .enumerate()
            .for_each(|(chunk, y)| {
                for (r, y) in y.chunks_mut(inner).enumerate() {
                    let (o, i) = ((chunk * rows + r) / output, (chunk * rows + r) % output);
                    let mut first = true;
                    for tap in &self.window.taps {
                        if !tap.outputs.contains(&i) {
                            continue;
                        }
                        let row = o * self.window.input + self.window.source(tap, i);
                        let x = &x[row * inner..(row + 1) * inner];
                        let factor: Y = self.factor(i, tap.weight);
                        if first {
                            accumulate(y, x, |_, x| load(x).times(factor));
                        } else if factor == Y::wrap(1) {
                            accumulate(y, x, |y, x| y.plus(load(x)));
                        } else {
                            accumulate(y, x, |y, x| y.plus(load(x).times(factor)));
                        }
                        first = false;
                    }
                    if first {
                        y.fill(Y::default());
                    }
                }
            });
    }

    /// `inner = 1`: the axis is the last one.
    fn run_lines<X: Cell, Y: Cell>(&self, x: &[X], y: &mut [Y], load: impl Fn(X) -> Y + Sync) {
        let (input, output) = (self.window.input, self.window.output);
        let lines = GRAIN.div_ceil(input.max(output));
        y.par_chunks_mut(lines * output)
            .zip(x.par_chunks(lines * input))
            .for_each(|(y, x)| {
                for (y, x) in y.chunks_mut(output).zip(x.chunks(input)) {
                    self.run_line(x, y, &load);
                }
            });
    }

    fn run_line<X: Cell, Y: Cell>(&self, x: &[X], y: &mut [Y], load: impl Fn(X) -> Y) {
        y.fill(Y::default());
        for tap in &self.window.taps {
            if tap.outputs.is_empty() {
                continue;
            }
            let weight = Y::wrap(tap.weight);
            let add = |y: Y, x: X| y.plus(load(x).times(weight));
            let y = &mut y[tap.outputs.clone()];
            let first = self.window.source(tap, tap.outputs.start);
            match usize::try_from(self.window.stride) {
                Ok(1) => accumulate(y, &x[first..first + y.len()], add),
                Ok(stride) if stride > 0 => {
                    for (y, &x) in y.iter_mut().zip(x[first..].iter().step_by(stride)) {
                        *y = add(*y, x);
                    }
                }
                _ => {
                    for (i, y) in tap.outputs.clone().zip(y) {
                        *y = add(*y, x[self.window.source(tap, i)]);
                    }
                }
            }
        }
        for (y, &coef) in y.iter_mut().zip(&self.coefs) {
            *y = y.times(Y::wrap(coef));
        }
    }
}

fn accumulate<X: Cell, Y: Cell>(y: &mut [Y], x: &[X], add: impl Fn(Y, X) -> Y) {
    for (y, &x) in y.iter_mut().zip(x) {
        *y = add(*y, x);
    }
}
