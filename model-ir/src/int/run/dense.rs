//! Dense layers: rows of activations times packed weights.
//!
//! `Y[r, g, o] = sum_c W[g, o, c] X[r, g, c] + b[g, o]`, with the outputs along the kernel's
//! vectors. A single row streams the weights once, two bytes a weight.

use super::affine::{Layer, Shape};
use super::cell::{Cell, each_type};
use super::kernel::{Lane, Operands, ROWS};
use super::packed::{Exactness, Matrix, Pass};
use super::tasks_for;
use crate::int::Ints;
use pulp::Arch;
use rayon::prelude::*;
use std::ops::Range;

/// Rows of a task: their packed activations stay in the second-level cache.
const HEIGHT: usize = 64;

/// A dense layer made ready to run.
#[derive(Debug)]
pub(super) struct Dense<L> {
    shape: Shape,
    /// Per group.
    weights: Vec<Vec<Pass<L>>>,
    /// Where each depth pair starts in a panel of weights.
    offsets: Vec<usize>,
    bias: Vec<i64>,
}

/// Some rows of some outputs of one group.
struct Task<'y, Y> {
    row: usize,
    group: usize,
    outputs: Range<usize>,
    /// One slice per row.
    cells: Vec<&'y mut [Y]>,
}

impl<L: Lane> Dense<L> {
    pub(super) fn new(
        shape: Shape,
        weights: &[i32],
        bias: &[i64],
        exact: Exactness,
    ) -> Option<Self> {
        let depth = shape.inputs.div_ceil(L::PAIR);
        let pack = |weights: &[i32]| {
            let matrix = Matrix {
                rows: shape.outputs,
                depth,
                most: weights.iter().map(|w| u64::from(w.unsigned_abs())).max()?,
                cell: |o: usize, d: usize, p: usize| {
                    let c = d * L::PAIR + p;
                    if c < shape.inputs {
                        weights[o * shape.inputs + c].into()
                    } else {
                        0
                    }
                },
            };
            matrix.passes(L::COLS, exact)
        };
        let groups = weights.chunks(shape.outputs * shape.inputs);
        Some(Self {
            shape,
            weights: groups.map(pack).collect::<Option<_>>()?,
            offsets: (0..depth).map(|d| d * L::COLS * L::PAIR).collect(),
            bias: bias.to_vec(),
        })
    }

    fn tasks<'y, Y: Cell>(&self, y: &'y mut [Y]) -> Vec<Task<'y, Y>> {
        let Shape {
            groups, outputs, ..
        } = self.shape;
        let rows = y.len() / (groups * outputs);
        let wanted = tasks_for(y.len() * self.shape.inputs).div_ceil(groups);
        let height = rows.div_ceil(wanted).next_multiple_of(ROWS).min(HEIGHT);
        let heights = rows.div_ceil(height);
        let width = outputs
            .div_ceil(wanted.div_ceil(heights))
            .next_multiple_of(L::COLS);
        let widths = outputs.div_ceil(width);
        let task = |i: usize| Task {
            row: i / widths / groups * height,
            group: i / widths % groups,
            outputs: i % widths * width..outputs.min((i % widths + 1) * width),
            cells: Vec::new(),
        };
        let mut tasks: Vec<Task<'y, Y>> = (0..heights * groups * widths).map(task).collect();
        for (i, cells) in y.chunks_mut(outputs).enumerate() {
            let (row, group) = (i / groups, i % groups);
            for (w, cells) in cells.chunks_mut(width).enumerate() {
                tasks[(row / height * groups + group) * widths + w]
                    .cells
                    .push(cells);
            }
        }
        tasks
    }

    fn run_typed<X: Cell, Y: Cell>(&self, x: &[X], y: &mut [Y]) {
        let arch = Arch::new();
        let tasks = self.tasks(y);
        tasks
            .into_par_iter()
            .for_each(|task| self.run_task(arch, task, x));
    }

    fn run_task<X: Cell, Y: Cell>(&self, arch: Arch, mut task: Task<Y>, x: &[X]) {
        let Shape {
            groups, outputs, ..
        } = self.shape;
        let bias = &self.bias[task.group * outputs..][task.outputs.clone()];
        for cells in &mut task.cells {
            for (y, &b) in cells.iter_mut().zip(bias) {
                *y = Y::wrap(b);
            }
        }
        let panel = self.offsets.len() * ROWS * L::PAIR;
        let mut a = vec![L::default(); task.cells.len().div_ceil(ROWS) * panel];
        let inputs = self.shape.inputs;
        let row = |r: usize| &x[((task.row + r) * groups + task.group) * inputs..][..inputs];
        for (i, a) in a.chunks_mut(panel).enumerate() {
            let rows = i * ROWS..task.cells.len().min((i + 1) * ROWS);
            if rows.len() == ROWS && L::PAIR == 2 {
                interleave(std::array::from_fn(|m| row(i * ROWS + m)), a);
                continue;
            }
            for (m, r) in rows.enumerate() {
                for (c, x) in row(r).iter().enumerate() {
                    a[(c / L::PAIR * ROWS + m) * L::PAIR + c % L::PAIR] = x.cast();
                }
            }
        }
        let mut tile = L::tile();
        for output in task.outputs.clone().step_by(L::COLS) {
            let columns = output - task.outputs.start..task.outputs.end - task.outputs.start;
            let columns = columns.start..columns.end.min(columns.start + L::COLS);
            for (a, cells) in a.chunks(panel).zip(task.cells.chunks_mut(ROWS)) {
                for pass in &self.weights[task.group] {
                    let operands = Operands {
                        a: &a[pass.depth.start * ROWS * L::PAIR..pass.depth.end * ROWS * L::PAIR],
                        b: pass.panel(output / L::COLS),
                        offsets: &self.offsets[..pass.depth.len()],
                    };
                    L::product(arch, cells.len(), operands, &mut tile);
                    for (cells, sums) in cells.iter_mut().zip(tile.chunks(L::COLS)) {
                        for (y, sum) in cells[columns.clone()].iter_mut().zip(sums) {
                            *y = y.plus(sum.cast::<Y>().shift_left(pass.shift));
                        }
                    }
                }
            }
        }
    }
}

/// `to[d, m, p] = rows[m][2 d + p]`.
fn interleave<X: Cell, L: Cell>(rows: [&[X]; ROWS], to: &mut [L]) {
    let rows = rows.map(<[X]>::as_chunks::<2>);
    let (to, _) = to.as_chunks_mut::<{ 2 * ROWS }>();
    let whole = rows[0].0.len();
    for (d, to) in to[..whole].iter_mut().enumerate() {
        for (m, (pairs, _)) in rows.iter().enumerate() {
            let pair = pairs[d];
            (to[2 * m], to[2 * m + 1]) = (pair[0].cast(), pair[1].cast());
        }
    }
    if let Some(to) = to.get_mut(whole) {
        for (m, (_, rest)) in rows.iter().enumerate() {
            to[2 * m] = rest[0].cast();
        }
    }
}

impl<L: Lane> Layer for Dense<L> {
    fn run(&self, x: &Ints, y: &mut Ints) {
        each_type!(x, x => each_type!(y, y => self.run_typed(x, y)));
    }
}
