//! Convolutions: weights times shifted planes.
//!
//! For one group of one image, `Y[o, j] = sum_{c, t} W[o, c, t] X_c[q_t][j + a_t]` on the padded
//! planes of [`Grid`]: a product of the packed weights with a matrix that is never written down.
//! Small images are set side by side until they fill the kernel's tiles.

use super::affine::{Layer, Shape};
use super::cell::{Cell, each_type};
use super::grid::Grid;
use super::kernel::{Lane, Operands, ROWS, Tile};
use super::packed::{Exactness, Matrix, Pass};
use super::{GRAIN, tasks_for};
use crate::int::Ints;
use pulp::Arch;
use rayon::prelude::*;
use std::ops::Range;

/// Columns that images are put together for.
const WIDE: usize = 256;

/// A convolution made ready to run.
#[derive(Debug)]
pub(super) struct Conv<L> {
    shape: Shape,
    grid: Grid,
    /// Per group.
    weights: Vec<Vec<Pass<L>>>,
    bias: Vec<i64>,
}

/// Where the planes of a run lie.
struct Layout {
    /// Images side by side.
    images: usize,
    /// Cells of the planes of one channel pair of `images` images.
    pair: usize,
    /// Where each depth pair starts in the planes of a group.
    offsets: Vec<usize>,
}

/// A block of output rows of one group of the images side by side, some of their columns.
struct Task<'y, Y> {
    /// Index of (images, group).
    block: usize,
    rows: Range<usize>,
    columns: Range<usize>,
    /// `[image][row]`, from the first output of `columns` on.
    cells: Vec<&'y mut [Y]>,
}

impl<L: Lane> Conv<L> {
    pub(super) fn new(
        shape: Shape,
        grid: Grid,
        weights: &[i32],
        bias: &[i64],
        exact: Exactness,
    ) -> Option<Self> {
        let taps = grid.taps.len();
        let group = shape.outputs * shape.inputs * taps;
        let pack = |weights: &[i32]| {
            let matrix = Matrix {
                rows: shape.outputs,
                depth: shape.inputs.div_ceil(L::PAIR) * taps,
                most: weights.iter().map(|w| u64::from(w.unsigned_abs())).max()?,
                cell: |o: usize, d: usize, p: usize| {
                    let (c, t) = (d / taps * L::PAIR + p, d % taps);
                    if c < shape.inputs {
                        weights[(o * shape.inputs + c) * taps + t].into()
                    } else {
                        0
                    }
                },
            };
            matrix.passes(ROWS, exact)
        };
        let weights = weights.chunks(group).map(pack).collect::<Option<_>>()?;
        Some(Self {
            shape,
            grid,
            weights,
            bias: bias.to_vec(),
        })
    }

    fn layout(&self, images: usize) -> Layout {
        let images = (WIDE / self.grid.plane).clamp(1, images);
        let pitch = images * self.grid.plane;
        let pair = self.grid.phases * pitch * L::PAIR;
        let pairs = 0..self.shape.inputs.div_ceil(L::PAIR);
        let taps = &self.grid.taps;
        let offsets = pairs.flat_map(|c| {
            let offset = move |&(q, a): &(usize, usize)| c * pair + (q * pitch + a) * L::PAIR;
            taps.iter().map(offset)
        });
        Layout {
            images,
            pair,
            offsets: offsets.collect(),
        }
    }

    /// The padded planes `[images][group][channel pair][phase][image][plane][PAIR]`.
    fn planes<X: Cell>(&self, x: &[X], layout: &Layout) -> Vec<L> {
        let Shape { groups, inputs, .. } = self.shape;
        let pairs = inputs.div_ceil(L::PAIR);
        let images = x.len() / (groups * inputs * self.grid.input);
        let live = images.div_ceil(layout.images) * groups * pairs * layout.pair;
        // The last tile reads up to a tile's width beyond the last plane.
        let mut planes = vec![L::default(); live + L::COLS * L::PAIR];
        planes[..live]
            .par_chunks_mut(layout.pair)
            .with_min_len(GRAIN.div_ceil(layout.pair))
            .enumerate()
            .for_each(|(i, planes)| {
                let (block, c) = (i / pairs, i % pairs * L::PAIR);
                let (first, group) = (block / groups * layout.images, block % groups);
                for image in first..images.min(first + layout.images) {
                    let channel = |p: usize| {
                        let channel = (image * groups + group) * inputs + c + p;
                        &x[channel * self.grid.input..(channel + 1) * self.grid.input]
                    };
                    let to = &mut planes[(image - first) * self.grid.plane * L::PAIR..];
                    let pitch = layout.images * self.grid.plane;
                    if L::PAIR == 2 && c + 1 < inputs {
                        self.grid.spread([channel(0), channel(1)], to, pitch, 2);
                    } else {
                        self.grid.spread([channel(0)], to, pitch, L::PAIR);
                    }
                }
            });
        planes
    }

    fn tasks<'y, Y: Cell>(&self, y: &'y mut [Y], layout: &Layout) -> Vec<Task<'y, Y>> {
        let Shape {
            groups, outputs, ..
        } = self.shape;
        let images = y.len() / (groups * outputs * self.grid.output);
        let blocks = images.div_ceil(layout.images) * groups;
        let columns = |images: usize| (images - 1) * self.grid.plane + self.grid.columns();
        let work = y.len() * layout.offsets.len() * L::PAIR;
        let wanted = tasks_for(work).div_ceil(blocks);
        // Whole images stay together.
        let splits = if layout.images == 1 { wanted } else { 1 };
        let width = columns(layout.images)
            .div_ceil(splits)
            .next_multiple_of(L::COLS);
        let splits = columns(layout.images).div_ceil(width);
        let height = outputs
            .div_ceil(wanted.div_ceil(splits))
            .next_multiple_of(ROWS);
        let heights = outputs.div_ceil(height);

        let task = |i: usize| {
            let (block, row, column) = (
                i / splits / heights,
                i / splits % heights * height,
                i % splits * width,
            );
            let images = layout.images.min(images - block / groups * layout.images);
            Task {
                block,
                rows: row..outputs.min(row + height),
                columns: column..columns(images).min(column + width),
                cells: Vec::new(),
            }
        };
        let mut tasks: Vec<Task<'y, Y>> = (0..blocks * heights * splits).map(task).collect();
        for (i, row) in y.chunks_mut(self.grid.output).enumerate() {
            let (image, group, o) = (i / outputs / groups, i / outputs % groups, i % outputs);
            let block = image / layout.images * groups + group;
            let mut rest = row;
            for split in 0..splits {
                let task = &mut tasks[(block * heights + o / height) * splits + split];
                let take = if split + 1 == splits {
                    rest.len()
                } else {
                    let Range { start, end } = task.columns;
                    self.grid.outputs_before(end) - self.grid.outputs_before(start)
                };
                let (cells, after) = rest.split_at_mut(take);
                task.cells.push(cells);
                rest = after;
            }
        }
        tasks
    }

    fn run_typed<X: Cell, Y: Cell>(&self, x: &[X], y: &mut [Y]) {
        let images = x.len() / (self.shape.groups * self.shape.inputs * self.grid.input);
        let layout = self.layout(images);
        let planes = self.planes(x, &layout);
        let arch = Arch::new();
        let tasks = self.tasks(y, &layout);
        tasks
            .into_par_iter()
            .for_each(|task| self.run_task(arch, task, &planes, &layout));
    }

    fn run_task<Y: Cell>(&self, arch: Arch, mut task: Task<Y>, planes: &[L], layout: &Layout) {
        let Shape {
            groups,
            outputs,
            inputs,
            ..
        } = self.shape;
        let group = task.block % groups;
        let height = task.rows.len();
        for (i, cells) in task.cells.iter_mut().enumerate() {
            let row = task.rows.start + i % height;
            cells.fill(Y::wrap(self.bias[group * outputs + row]));
        }
        let planes = &planes[task.block * inputs.div_ceil(L::PAIR) * layout.pair..];
        let mut tile = L::tile();
        for column in task.columns.clone().step_by(L::COLS) {
            for first in task.rows.clone().step_by(ROWS) {
                let rows = ROWS.min(task.rows.end - first);
                for pass in &self.weights[group] {
                    let operands = Operands {
                        a: pass.panel(first / ROWS),
                        b: &planes[column * L::PAIR..],
                        offsets: &layout.offsets[pass.depth.clone()],
                    };
                    L::product(arch, rows, operands, &mut tile);
                    self.add::<Y>(&mut task, &tile, (first, rows), column, pass.shift);
                }
            }
        }
    }

    /// Adds the outputs among a tile's columns, times `2^shift`.
    fn add<Y: Cell>(
        &self,
        task: &mut Task<Y>,
        tile: &Tile<L>,
        (first, rows): (usize, usize),
        column: usize,
        shift: u32,
    ) {
        let grid = &self.grid;
        let height = task.rows.len();
        let skipped = grid.outputs_before(task.columns.start);
        let end = (column + L::COLS).min(task.columns.end);
        let mut image = column / grid.plane;
        // The first run that ends after `column`.
        let within = column - image * grid.plane;
        let mut run = grid
            .runs
            .partition_point(|run| run.column + run.len <= within);
        loop {
            if run == grid.runs.len() {
                (image, run) = (image + 1, 0);
            }
            let (base, runs) = (image * grid.plane, grid.runs[run]);
            let start = (base + runs.column).max(column);
            let stop = (base + runs.column + runs.len).min(end);
            if start >= stop {
                return;
            }
            let output = runs.output + (start - base - runs.column) - skipped;
            let cells = &mut task.cells[image * height + first - task.rows.start..][..rows];
            for (m, cells) in cells.iter_mut().enumerate() {
                let sums = &tile[m * L::COLS..][start - column..stop - column];
                for (y, sum) in cells[output..].iter_mut().zip(sums) {
                    *y = y.plus(sum.cast::<Y>().shift_left(shift));
                }
            }
            run += 1;
        }
    }
}

impl<L: Lane> Layer for Conv<L> {
    fn run(&self, x: &Ints, y: &mut Ints) {
        each_type!(x, x => each_type!(y, y => self.run_typed(x, y)));
    }
}
