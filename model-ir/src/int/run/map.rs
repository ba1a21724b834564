//! Runs maps: one pass per axis.
//!
//! With `X' = X - fill` outside taps read 0, the map is a product of linear maps of one axis
//! each, and `Y = map(X') + fill * prod_axes coef_i sum_t weight_t`, where the sum of a matrix' row
//! is that of its entries.

use super::GRAIN;
use super::cell::{Cell, each_type};
use super::matrix::Matrix;
use super::window::{Reach, Window};
use crate::int::{Interval, Ints, Map, MapAxis};
use rayon::prelude::*;

/// A map made ready to run.
#[derive(Debug)]
pub(super) struct MapPlan {
    passes: Vec<Pass>,
    /// Cells of the input and of the output of one inference.
    cells: (usize, usize),
    fill: i64,
    /// `coef_i * sum_t weight_t`, or the sum of row `i`, per axis and output, if `fill` is not 0.
    totals: Vec<Vec<i64>>,
}

/// `Y[o, i, n] = sum_x A[i, x] X[o, x, n]` on `[outer, axis, inner]`.
#[derive(Debug)]
struct Pass {
    outer: usize,
    inner: usize,
    axis: Axis,
}

/// The linear map of one axis.
#[derive(Debug)]
enum Axis {
    /// `Y[i] = coef_i sum_t weight_t X[x(i, t)]`
    Window { window: Window, coefs: Vec<i64> },
    /// `Y = M X`
    Matrix(Matrix),
}

impl Axis {
    fn new(axis: &MapAxis) -> Self {
        match axis {
            MapAxis::Keep(_) => Self::Window {
                window: Window::new(axis),
                coefs: vec![],
            },
            MapAxis::Window { coefs, .. } => Self::Window {
                window: Window::new(axis),
                coefs: coefs.clone(),
            },
            MapAxis::Matrix {
                input,
                output,
                entries,
            } => Self::Matrix(Matrix::new(*input, *output, entries)),
        }
    }

    fn input(&self) -> usize {
        match self {
            Self::Window { window, .. } => window.input,
            Self::Matrix(matrix) => matrix.input,
        }
    }

    fn output(&self) -> usize {
        match self {
            Self::Window { window, .. } => window.output,
            Self::Matrix(matrix) => matrix.output,
        }
    }

    /// Whether the axis is passed through.
    fn is_identity(&self) -> bool {
        match self {
            Self::Window { window, coefs } => window.is_identity() && coefs.is_empty(),
            Self::Matrix(_) => false,
        }
    }

    /// The sum of the weights of all taps, inside and outside, of every output.
    fn totals(&self) -> Vec<i64> {
        match self {
            Self::Window { window, coefs } => {
                let weights = window.taps.iter().map(|tap| tap.weight);
                let sum = weights.fold(0, i64::wrapping_add);
                let coefs = (0..window.output).map(|i| coefs.get(i).copied().unwrap_or(1));
                coefs.map(|coef| sum.wrapping_mul(coef)).collect()
            }
            Self::Matrix(matrix) => matrix.totals(),
        }
    }
}

impl MapPlan {
    pub(super) fn new(map: &Map) -> Self {
        let mut lengths: Vec<usize> = map.axes.iter().map(MapAxis::input).collect();
        let input = lengths.iter().product();
        let axes: Vec<Axis> = map.axes.iter().map(Axis::new).collect();
        let totals = if map.fill == 0 {
            Vec::new()
        } else {
            axes.iter().map(Axis::totals).collect()
        };
        let mut order: Vec<(usize, Axis)> = axes
            .into_iter()
            .enumerate()
            .filter(|(_, axis)| !axis.is_identity())
            .collect();
        // Axes that shrink the tensor most come first.
        order.sort_by(|(_, a), (_, b)| (a.output() * b.input()).cmp(&(b.output() * a.input())));
        let mut passes = Vec::new();
        for (a, axis) in order {
            let output = axis.output();
            passes.push(Pass {
                outer: lengths[..a].iter().product(),
                inner: lengths[a + 1..].iter().product(),
                axis,
            });
            lengths[a] = output;
        }
        Self {
            passes,
            cells: (input, lengths.iter().product()),
            fill: map.fill,
            totals,
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
        batch * self.outer * self.axis.output() * self.inner
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
        let (inner, input, output) = (self.inner, self.axis.input(), self.axis.output());
        let rows = GRAIN.div_ceil(inner);
        y.par_chunks_mut(rows * inner)
            .enumerate()
            .for_each(|(chunk, y)| {
                for (r, y) in y.chunks_mut(inner).enumerate() {
                    let (o, i) = ((chunk * rows + r) / output, (chunk * rows + r) % output);
                    let x = &x[o * input * inner..(o + 1) * input * inner];
                    match &self.axis {
                        Axis::Window { window, coefs } => {
                            let coef = Y::wrap(coefs.get(i).copied().unwrap_or(1));
                            let taps = window.taps.iter().filter(|tap| tap.outputs.contains(&i));
                            let term = |tap: &Reach| {
                                (window.source(tap, i), coef.times(Y::wrap(tap.weight)))
                            };
                            combine(y, x, taps.map(term), &load);
                        }
                        Axis::Matrix(matrix) => {
                            let terms = matrix.row(i).iter();
                            let term = |&(from, weight): &(usize, i64)| (from, Y::wrap(weight));
                            combine(y, x, terms.map(term), &load);
                        }
                    }
                }
            });
    }

    /// `inner = 1`: the axis is the last one.
    fn run_lines<X: Cell, Y: Cell>(&self, x: &[X], y: &mut [Y], load: impl Fn(X) -> Y + Sync) {
        let (input, output) = (self.axis.input(), self.axis.output());
        let lines = GRAIN.div_ceil(input.max(output));
        y.par_chunks_mut(lines * output)
            .zip(x.par_chunks(lines * input))
            .for_each(|(y, x)| {
                for (y, x) in y.chunks_mut(output).zip(x.chunks(input)) {
                    match &self.axis {
                        Axis::Window { window, coefs } => run_window(window, coefs, x, y, &load),
                        Axis::Matrix(matrix) => matrix.run_line(x, y, &load),
                    }
                }
            });
    }
}

/// `y = sum factor * x_row` over `(row, factor)`, where `x` has rows as long as `y`.
fn combine<X: Cell, Y: Cell>(
    y: &mut [Y],
    x: &[X],
    terms: impl Iterator<Item = (usize, Y)>,
    load: impl Fn(X) -> Y,
) {
    let inner = y.len();
    let mut first = true;
    for (row, factor) in terms {
        let x = &x[row * inner..(row + 1) * inner];
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

/// A window over consecutive cells.
fn run_window<X: Cell, Y: Cell>(
    window: &Window,
    coefs: &[i64],
    x: &[X],
    y: &mut [Y],
    load: impl Fn(X) -> Y,
) {
    y.fill(Y::default());
    for tap in &window.taps {
        if tap.outputs.is_empty() {
            continue;
        }
        let weight = Y::wrap(tap.weight);
        let add = |y: Y, x: X| y.plus(load(x).times(weight));
        let y = &mut y[tap.outputs.clone()];
        let first = window.source(tap, tap.outputs.start);
        match usize::try_from(window.stride) {
            Ok(1) => accumulate(y, &x[first..first + y.len()], add),
            Ok(stride) if stride > 0 => {
                for (y, &x) in y.iter_mut().zip(x[first..].iter().step_by(stride)) {
                    *y = add(*y, x);
                }
            }
            _ => {
                for (i, y) in tap.outputs.clone().zip(y) {
                    *y = add(*y, x[window.source(tap, i)]);
                }
            }
        }
    }
    for (y, &coef) in y.iter_mut().zip(coefs) {
        *y = y.times(Y::wrap(coef));
    }
}

fn accumulate<X: Cell, Y: Cell>(y: &mut [Y], x: &[X], add: impl Fn(Y, X) -> Y) {
    for (y, &x) in y.iter_mut().zip(x) {
        *y = add(*y, x);
    }
}
