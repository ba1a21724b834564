//! Sliding windows made ready to run.

use crate::int::MapAxis;
use std::ops::Range;

/// One axis: output `i` reads input `stride * i + offset` through each tap whose range holds `i`.
#[derive(Clone, Debug)]
pub(super) struct Window {
    pub(super) input: usize,
    pub(super) output: usize,
    pub(super) stride: i64,
    pub(super) taps: Vec<Reach>,
}

/// A tap and the outputs for which it falls inside the input: those form one range, since the
/// position is monotone in the output.
#[derive(Clone, Debug)]
pub(super) struct Reach {
    pub(super) offset: i64,
    pub(super) weight: i64,
    pub(super) outputs: Range<usize>,
}

impl Window {
    pub(super) fn new(axis: &MapAxis) -> Self {
        match axis {
            MapAxis::Keep(n) => Self::identity(*n),
            MapAxis::Matrix { .. } => unreachable!("a matrix is no window"),
            MapAxis::Window {
                input,
                output,
                stride,
                taps,
                ..
            } => {
                let reach = |offset: i64| {
                    let inside = |&i: &usize| {
                        usize::try_from(stride * i as i64 + offset).is_ok_and(|x| x < *input)
                    };
                    let first = (0..*output).find(inside).unwrap_or(0);
                    first..(0..*output).rfind(inside).map_or(first, |last| last + 1)
                };
                let taps = taps.iter().map(|tap| Reach {
                    offset: tap.offset,
                    weight: tap.weight,
                    outputs: reach(tap.offset),
                });
                Self {
                    input: *input,
                    output: *output,
                    stride: *stride,
                    taps: taps.collect(),
                }
            }
        }
    }

    pub(super) fn identity(n: usize) -> Self {
        let tap = Reach {
            offset: 0,
            weight: 1,
            outputs: 0..n,
        };
        Self {
            input: n,
            output: n,
            stride: 1,
            taps: vec![tap],
        }
    }

    /// Whether the window passes its axis through.
    pub(super) fn is_identity(&self) -> bool {
        self.input == self.output
            && (self.stride == 1 || self.output == 1)
            && self.taps.len() == 1
            && self.taps[0].offset == 0
            && self.taps[0].weight == 1
    }

    /// The input that `tap` reads for output `i`, which must be in its range.
    #[inline]
    pub(super) fn source(&self, tap: &Reach, i: usize) -> usize {
        (self.stride * i as i64 + tap.offset) as usize
    }
}

/// Windows with neighbouring axes that are passed through made one and those of length 1 left
/// out.
pub(super) fn merged(axes: &[MapAxis]) -> Vec<Window> {
    let mut windows: Vec<Window> = Vec::new();
    for window in axes.iter().map(Window::new) {
        match windows.last_mut() {
            Some(last) if window.is_identity() && last.is_identity() => {
                *last = Window::identity(last.output * window.output);
            }
            _ if window.is_identity() && window.output == 1 => {}
            _ => windows.push(window),
        }
    }
    windows
}

/// The windows of an affine layer as maps of planes: a plane is `lines` lines of consecutive
/// cells. The last axis runs along the lines and all others choose the line.
#[derive(Clone, Debug)]
pub(super) struct Planes {
    pub(super) input_lines: usize,
    pub(super) output_lines: usize,
    /// Taps over all axes but the last.
    pub(super) line_taps: usize,
    /// `lines[i * line_taps + t]` is the input line of output line `i` and tap `t`.
    lines: Vec<Option<u32>>,
    /// The axis along the lines.
    pub(super) line: Window,
}

impl Planes {
    pub(super) fn new(windows: &[Window]) -> Self {
        let mut windows = windows.to_vec();
        let line = windows.pop().unwrap_or_else(|| Window::identity(1));
        let (mut input_lines, mut output_lines, mut line_taps) = (1, 1, 1);
        let mut lines = vec![Some(0u32)];
        for window in &windows {
            let mut next = Vec::with_capacity(lines.len() * window.output * window.taps.len());
            for outer in lines.chunks(line_taps) {
                for i in 0..window.output {
                    for &line in outer {
                        next.extend(window.taps.iter().map(|tap| {
                            let inside = tap.outputs.contains(&i);
                            let x = inside.then(|| window.source(tap, i) as u32)?;
                            Some(line? * window.input as u32 + x)
                        }));
                    }
                }
            }
            lines = next;
            input_lines *= window.input;
            output_lines *= window.output;
            line_taps *= window.taps.len();
        }
        Self {
            input_lines,
            output_lines,
            line_taps,
            lines,
            line,
        }
    }

    /// Cells of an input plane.
    pub(super) fn input(&self) -> usize {
        self.input_lines * self.line.input
    }

    /// Cells of an output plane.
    pub(super) fn output(&self) -> usize {
        self.output_lines * self.line.output
    }

    /// Taps of a window over all axes.
    pub(super) fn taps(&self) -> usize {
        self.line_taps * self.line.taps.len()
    }

    /// Position in the input plane of the line that line tap `t` of output line `i` reads.
    #[inline]
    pub(super) fn source_line(&self, i: usize, t: usize) -> Option<usize> {
        self.lines[i * self.line_taps + t].map(|line| line as usize * self.line.input)
    }
}
