//! Padded planes: a convolution as sums of shifted planes.
//!
//! Along one axis with stride `s`, tap `t` of output `i` reads position `s*i + o_t`. With
//! `o_t - min o = s*a_t + q_t` and the *phases* `X_q[j] = X[min o + q + s*j]` (0 outside `X`) it
//! reads `X_q[i + a_t]`: every tap is a phase shifted by a constant. Over several axes the same
//! holds with row-major indices, so that output column `j` (an index into the padded plane,
//! some of them no outputs) reads `plane[q_t][j + a_t]`, and 32 columns read 32 neighbours.

use super::cell::Cell;
use super::window::Window;

/// The padded planes of merged windows.
#[derive(Debug)]
pub(super) struct Grid {
    /// Cells of the input plane.
    pub(super) input: usize,
    /// Cells of the output plane.
    pub(super) output: usize,
    /// Cells of one phase.
    pub(super) plane: usize,
    pub(super) phases: usize,
    /// Phase and shift of each tap.
    pub(super) taps: Vec<(usize, usize)>,
    /// The outputs, in order.
    pub(super) runs: Vec<Run>,
    /// The input line of each line of each phase of all axes but the last.
    lines: Vec<Option<usize>>,
    /// The last axis.
    along: Axis,
    /// Length of the last axis in the input.
    length: usize,
}

/// `len` outputs from `output` on are the columns from `column` on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    pub(super) column: usize,
    pub(super) output: usize,
    pub(super) len: usize,
}

/// One axis.
#[derive(Debug)]
struct Axis {
    /// Length of a phase.
    len: usize,
    stride: usize,
    /// Phase (index into `starts`) and shift of each tap.
    taps: Vec<(usize, usize)>,
    /// The position of the first cell of each phase.
    starts: Vec<i64>,
}

impl Axis {
    fn new(window: &Window) -> Option<Self> {
        let stride = usize::try_from(window.stride).ok().filter(|&s| s > 0)?;
        let offsets = window.taps.iter().map(|tap| tap.offset);
        let first = offsets.clone().min()?;
        let split = |o: i64| {
            let o = (o - first) as usize;
            (o % stride, o / stride)
        };
        let mut used: Vec<usize> = offsets.clone().map(|o| split(o).0).collect();
        used.sort_unstable();
        used.dedup();
        let taps = offsets.map(|o| {
            let (q, shift) = split(o);
            (used.partition_point(|&u| u < q), shift)
        });
        let taps: Vec<(usize, usize)> = taps.collect();
        let most = taps.iter().map(|&(_, shift)| shift).max()?;
        Some(Self {
            len: window.output + most,
            stride,
            taps,
            starts: used.iter().map(|&q| first + q as i64).collect(),
        })
    }

    /// What cell `i` of phase `q` holds.
    fn source(&self, q: usize, i: usize, input: usize) -> Option<usize> {
        let x = self.starts[q] + (self.stride * i) as i64;
        usize::try_from(x).ok().filter(|&x| x < input)
    }
}

impl Grid {
    /// `None` if the padded planes are much larger than the input and the output, or for
    /// windows that do not move forwards.
    pub(super) fn new(windows: &[Window]) -> Option<Self> {
        let identity = [Window::identity(1)];
        let windows = if windows.is_empty() {
            &identity
        } else {
            windows
        };
        let axes: Vec<Axis> = windows.iter().map(Axis::new).collect::<Option<_>>()?;
        let input = windows.iter().map(|w| w.input).product::<usize>();
        let output = windows.iter().map(|w| w.output).product::<usize>();
        let cells = axes.iter().try_fold(1usize, |cells, axis| {
            cells.checked_mul(axis.len)?.checked_mul(axis.starts.len())
        });
        cells.filter(|&n| n <= 4 * (input + output) + 1024)?;

        let (mut taps, mut columns) = (vec![(0, 0)], vec![0]);
        let mut lines = vec![Some(0)];
        let (mut phases, mut plane) = (1, 1);
        for axis in &axes {
            let step = |&(q, a): &(usize, usize)| {
                let tap =
                    move |&(r, b): &(usize, usize)| (q * axis.starts.len() + r, a * axis.len + b);
                axis.taps.iter().map(tap).collect::<Vec<_>>()
            };
            taps = taps.iter().flat_map(step).collect();
        }
        let (along, outer) = axes.split_last()?;
        for (axis, window) in outer.iter().zip(windows) {
            let mut next = Vec::new();
            for outer in lines.chunks(plane) {
                for q in 0..axis.starts.len() {
                    for line in outer {
                        next.extend((0..axis.len).map(|i| {
                            let x = axis.source(q, i, window.input)?;
                            Some((*line)? * window.input + x)
                        }));
                    }
                }
            }
            lines = next;
            columns = columns
                .iter()
                .flat_map(|c| (0..window.output).map(move |i| c * axis.len + i))
                .collect();
            plane *= axis.len;
            phases *= axis.starts.len();
        }
        let last = windows.last()?;
        let run = |(i, line): (usize, &usize)| Run {
            column: line * along.len,
            output: i * last.output,
            len: last.output,
        };
        Some(Self {
            input,
            output,
            plane: plane * along.len,
            phases: phases * along.starts.len(),
            taps,
            runs: columns.iter().enumerate().map(run).collect(),
            lines,
            length: last.input,
            along: axes.into_iter().next_back()?,
        })
    }

    /// Number of columns up to the last output.
    pub(super) fn columns(&self) -> usize {
        self.runs.last().map_or(0, |run| run.column + run.len)
    }

    /// Number of outputs before `column`.
    pub(super) fn outputs_before(&self, column: usize) -> usize {
        let next = self.runs.partition_point(|run| run.column < column);
        match next.checked_sub(1).map(|i| self.runs[i]) {
            Some(run) => run.output + run.len.min(column - run.column),
            None => 0,
        }
    }

    /// Writes the phases of `P` input planes side by side: cell `j` of phase `q` of plane `p` goes
    /// to `to[(q * pitch + j) * step + p]`; what lies outside the input is left alone.
    pub(super) fn spread<X: Cell, Y: Cell, const P: usize>(
        &self,
        x: [&[X]; P],
        to: &mut [Y],
        pitch: usize,
        step: usize,
    ) {
        let (axis, starts) = (&self.along, &self.along.starts);
        let outer = self.plane / axis.len;
        for (phase, lines) in self.lines.chunks(outer).enumerate() {
            for (q, &start) in starts.iter().enumerate() {
                // The cells inside the line, and the position that the first of them holds.
                let first = ((-start).max(0) as usize).div_ceil(axis.stride);
                let from = start + (first * axis.stride) as i64;
                let from = usize::try_from(from).expect("not before the line");
                let count = self.length.saturating_sub(from).div_ceil(axis.stride);
                let cells = first..(first + count).min(axis.len);
                if cells.is_empty() {
                    continue;
                }
                let to = &mut to[(phase * starts.len() + q) * pitch * step..];
                for (line, to) in lines.iter().zip(to.chunks_mut(axis.len * step)) {
                    let Some(line) = line else { continue };
                    let x = x.map(|x| &x[line * self.length + from..(line + 1) * self.length]);
                    let to = &mut to[cells.start * step..cells.end * step];
                    match axis.stride {
                        1 => copy(x, to, step, |i| i),
                        2 => copy(x, to, step, |i| 2 * i),
                        stride => copy(x, to, step, |i| stride * i),
                    }
                }
            }
        }
    }
}

/// `to[i * step + p] = x[p][source(i)]`.
#[inline]
fn copy<X: Cell, Y: Cell, const P: usize>(
    x: [&[X]; P],
    to: &mut [Y],
    step: usize,
    source: impl Fn(usize) -> usize,
) {
    if step == P {
        let count = to.len() / P;
        let x = x.map(|x| &x[..=source(count - 1)]);
        for (i, to) in to.as_chunks_mut::<P>().0.iter_mut().enumerate() {
            for (to, x) in to.iter_mut().zip(x) {
                *to = x[source(i)].cast();
            }
        }
    } else {
        for (i, to) in to.chunks_mut(step).enumerate() {
            for (to, x) in to.iter_mut().zip(x) {
                *to = x[source(i)].cast();
            }
        }
    }
}
