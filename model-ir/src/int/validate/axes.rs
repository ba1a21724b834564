//! What well-formed axes of maps and affine layers are.

use super::{MAX_FACTOR, MAX_WINDOW_INPUT, MAX_WINDOW_WORK, Seen, axes_product};
use crate::int::fault::NodeFault;
use crate::int::graph::Interval;
use crate::int::op::{Affine, Entry, MAX_ENTRIES, Map, MapAxis, Tap};

fn is_factor(x: i64) -> bool {
    x.unsigned_abs() <= MAX_FACTOR.unsigned_abs()
}

/// Whether entries lie inside a matrix, in order, none twice, and are factors but 0.
fn is_matrix(input: usize, output: usize, entries: &[Entry]) -> bool {
    let inside = |e: &Entry| (e.to as usize) < output && (e.from as usize) < input;
    let fits = |e: &Entry| inside(e) && e.weight != 0 && is_factor(e.weight);
    let place = |e: &Entry| (e.to, e.from);
    input <= MAX_WINDOW_INPUT
        && output <= MAX_WINDOW_INPUT
        && entries.len() <= MAX_ENTRIES
        && entries.iter().all(fits)
        && entries.windows(2).all(|e| place(&e[0]) < place(&e[1]))
}

impl MapAxis {
    pub(super) fn check(&self, axis: usize, seen: &mut Seen) -> Result<(), NodeFault> {
        let work = match self {
            Self::Keep(_) => 0,
            Self::Window {
                input,
                output,
                stride,
                taps,
                coefs,
            } => {
                check_window(axis, (*input, *output), *stride, taps, coefs)?;
                output.saturating_mul(taps.len())
            }
            Self::Matrix {
                input,
                output,
                entries,
            } => {
                if !is_matrix(*input, *output, entries) {
                    return Err(NodeFault::Matrix { axis });
                }
                output.saturating_add(entries.len())
            }
        };
        seen.window_work = seen.window_work.saturating_add(work);
        if seen.window_work > MAX_WINDOW_WORK {
            return Err(NodeFault::TooManyTaps);
        }
        Ok(())
    }
}

fn check_window(
    axis: usize,
    (input, output): (usize, usize),
    stride: i64,
    taps: &[Tap],
    coefs: &[i64],
) -> Result<(), NodeFault> {
    let taps_fit = |tap: &Tap| is_factor(tap.offset) && is_factor(tap.weight);
    let coefs_fit = coefs.is_empty() || coefs.len() == output;
    if taps.is_empty()
        || input > MAX_WINDOW_INPUT
        || !taps.iter().all(taps_fit)
        || !coefs_fit
        || !coefs.iter().all(|&c| is_factor(c))
        || !is_factor(stride)
    {
        return Err(NodeFault::Window { axis });
    }
    Ok(())
}

impl Affine {
    pub(super) fn check(&self, seen: &mut Seen) -> Result<(), NodeFault> {
        for (axis, window) in self.windows.iter().enumerate() {
            window.check(axis, seen)?;
            let plain = match window {
                MapAxis::Keep(_) => true,
                MapAxis::Window { taps, coefs, .. } => {
                    coefs.is_empty() && taps.iter().all(|tap| tap.weight == 1)
                }
                MapAxis::Matrix { .. } => false,
            };
            if !plain {
                return Err(NodeFault::Window { axis });
            }
        }
        let shape = self.weight_shape();
        let parts = [&shape.groups, &shape.outputs, &shape.inputs, &shape.taps];
        let weights: Vec<usize> = parts.into_iter().flatten().copied().collect();
        // The taps of all outputs of all windows together: the executor tabulates them.
        let lines = self.windows.iter().map(MapAxis::output);
        let lines: Vec<usize> = lines.chain(shape.taps.iter().copied()).collect();
        match (axes_product(&weights), axes_product(&lines)) {
            (Some(_), Some(_)) => Ok(()),
            _ => Err(NodeFault::TooLarge),
        }
    }
}

impl Map {
    pub(super) fn check(&self, seen: &mut Seen) -> Result<(), NodeFault> {
        if self.fill.unsigned_abs() >= Interval::LIMIT.unsigned_abs() {
            return Err(NodeFault::Fill(self.fill));
        }
        let mut axes = self.axes.iter().enumerate();
        axes.try_for_each(|(i, axis)| axis.check(i, seen))
    }
}
