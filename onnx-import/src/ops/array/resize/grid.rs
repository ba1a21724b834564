//! `GridSample` of a constant grid: every output reads fixed cells with fixed weights, so that it
//! is one matrix over the joined spatial axes.

use zkstrata_model_ir::float::{AxisMap, Op};

use super::axis::{Row, cubic, matrix};
use crate::Error;
use crate::decode::tensor::count;
use crate::ops::one;
use crate::scope::node::Node;
use crate::scope::value::Value;
use crate::write::Writer;
use crate::write::formula::Formula;
use crate::write::index::select_axis;
use crate::write::layout::concatenated;

/// What is read outside of the input.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Padding {
    Zeros,
    Border,
    Reflection,
}

/// Which cells are read around a coordinate.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Nearest,
    Linear,
    Cubic,
}

/// How coordinates are read.
#[derive(Clone, Copy)]
struct Sampling {
    mode: Mode,
    padding: Padding,
    align_corners: bool,
}

impl Sampling {
    fn read(node: &Node) -> Result<Self, Error> {
        let mode = match node.string("mode")?.unwrap_or("linear") {
            "nearest" => Mode::Nearest,
            "linear" | "bilinear" => Mode::Linear,
            "cubic" | "bicubic" => Mode::Cubic,
            other => return Err(node.bad_attribute("mode", format!("is `{other}`"))),
        };
        let padding = match node.string("padding_mode")?.unwrap_or("zeros") {
            "zeros" => Padding::Zeros,
            "border" => Padding::Border,
            "reflection" => Padding::Reflection,
            other => return Err(node.bad_attribute("padding_mode", format!("is `{other}`"))),
        };
        Ok(Self {
            mode,
            padding,
            align_corners: node.flag("align_corners")? == Some(true),
        })
    }

    /// The ends of an axis of `n` cells.
    fn ends(self, n: usize) -> (f64, f64) {
        let last = n as f64 - 1.0;
        if self.align_corners {
            (0.0, last)
        } else {
            (-0.5, last + 0.5)
        }
    }

    /// The cells of an axis of `n` and their weights at the coordinate `g`, from -1 to 1 inside.
    fn taps(self, g: f64, n: usize) -> Row {
        let (low, high) = self.ends(n);
        let mut at = low + f64::midpoint(g, 1.0) * (high - low);
        if self.mode == Mode::Nearest {
            at = at.round_ties_even();
        }
        if at < low || at > high {
            at = match self.padding {
                Padding::Zeros => at,
                // The cells that a cubic reads are moved inside one by one.
                Padding::Border if self.mode == Mode::Cubic => at,
                Padding::Border => at.clamp(0.0, n as f64 - 1.0),
                Padding::Reflection => reflected(at, low, high),
            };
        }
        // Beyond this nothing is inside.
        let at = at.clamp(-4.0, n as f64 + 4.0);
        let (first, weights) = match self.mode {
            Mode::Nearest => (at.round_ties_even(), vec![1.0]),
            Mode::Linear => {
                let part = at - at.floor();
                (at.floor(), vec![1.0 - part, part])
            }
            Mode::Cubic => {
                let part = at - at.floor();
                let distances = [1.0 + part, part, 1.0 - part, 2.0 - part];
                (
                    at.floor() - 1.0,
                    distances.map(|d| cubic(-0.75, d)).to_vec(),
                )
            }
        };
        let mut row = Row::new();
        for (i, weight) in weights.into_iter().enumerate() {
            if let Some(cell) = self
                .cell(first as i64 + i as i64, n)
                .filter(|_| weight != 0.0)
            {
                row.push((cell, weight));
            }
        }
        row
    }

    /// The cell that a position reads.
    fn cell(self, at: i64, n: usize) -> Option<usize> {
        if let Some(inside) = usize::try_from(at).ok().filter(|&at| at < n) {
            return Some(inside);
        }
        let (low, high) = self.ends(n);
        match self.padding {
            Padding::Zeros => None,
            Padding::Border => Some(at.clamp(0, n as i64 - 1) as usize),
            Padding::Reflection => {
                let at = reflected(at as f64, low, high).round();
                Some(at.clamp(0.0, n as f64 - 1.0) as usize)
            }
        }
    }
}

/// A coordinate mirrored at both ends as often as it takes.
fn reflected(at: f64, low: f64, high: f64) -> f64 {
    let span = high - low;
    if span <= 0.0 {
        return low;
    }
    let turned = (at - low).rem_euclid(2.0 * span);
    low + turned.min(2.0 * span - turned)
}

/// The input at the coordinates of a constant grid, whose last axis has the last coordinate first.
pub(crate) fn grid_sample(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    node.at_most(2)?;
    let x = node.value(0)?;
    let grid = match node.value(1)? {
        Value::Constant(grid) => grid.into_weight()?,
        Value::Activation(_) => {
            return Err(node.unsupported(
                "its grid depends on the model's inputs, and with it the cells that it reads: \
                 sample outside of the model",
            ));
        }
    };
    let sampling = Sampling::read(node)?;
    let shape = writer.shape_of(&x).to_vec();
    let [images, channels, spatial @ ..] = &shape[..] else {
        return Err(node.shape_error(format!("GridSample of shape {shape:?}")));
    };
    let rank = spatial.len();
    let [of_images, outputs @ .., coordinates] = grid.shape() else {
        return Err(node.shape_error("GridSample needs a grid of coordinates"));
    };
    if rank == 0 || outputs.len() != rank || *coordinates != rank || of_images != images {
        let grid = grid.shape();
        return Err(node.shape_error(format!("a grid of shape {grid:?} for {shape:?}")));
    }
    let width = match sampling.mode {
        Mode::Nearest => 1_usize,
        Mode::Linear => 2,
        Mode::Cubic => 4,
    };
    let cells = outputs.iter().product::<usize>();
    let entries = (0..rank).try_fold(cells, |n, _| n.checked_mul(width));
    // An entry takes as much memory as several cells.
    writer.allow(node, entries.and_then(|n| n.checked_mul(8 * *images)))?;
    let plane = count(spatial).unwrap_or(0);
    let mut parts = Vec::with_capacity(*images);
    for image in 0..*images {
        let grid = grid.index_axis(ndarray::Axis(0), image);
        let grid: Vec<f32> = grid.iter().copied().collect();
        let rows = grid.chunks(rank).map(|at| row(sampling, at, spatial));
        let rows: Vec<Row> = rows.collect();
        let one_image = match images {
            1 => x.clone(),
            _ => select_axis(node, writer, x.clone(), 0, vec![image])?,
        };
        let mut f = Formula::new(node, writer);
        let one_image = f.writer.lift(node, one_image)?;
        let flat = f.reshape(one_image, vec![1, *channels, plane])?;
        let map = AxisMap::Matrix(matrix(plane, &rows));
        let y = f.put(Op::Map(vec![AxisMap::Keep, AxisMap::Keep, map]), &[flat])?;
        let shape = [&[1, *channels], outputs].concat();
        parts.push(Value::Activation(f.reshape(y, shape)?));
    }
    one(concatenated(node, writer, parts, 0)?)
}

/// The cells of a plane, row-major, and their weights at one point of the grid.
fn row(sampling: Sampling, at: &[f32], spatial: &[usize]) -> Row {
    let mut row: Row = vec![(0, 1.0)];
    for (&n, &g) in spatial.iter().zip(at.iter().rev()) {
        let taps = sampling.taps(g.into(), n);
        let joined = row.iter().flat_map(|&(cell, weight)| {
            let taps = taps.iter();
            taps.map(move |&(tap, w)| (cell * n + tap, weight * w))
        });
        row = joined.collect();
    }
    row.sort_by_key(|&(cell, _)| cell);
    let mut merged = Row::new();
    for (cell, weight) in row {
        match merged.last_mut() {
            Some((last, sum)) if *last == cell => *sum += weight,
            _ => merged.push((cell, weight)),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sampling(mode: Mode, padding: Padding) -> Sampling {
        Sampling {
            mode,
            padding,
            align_corners: false,
        }
    }

    #[test]
    fn taps_of_an_axis() {
        let linear = sampling(Mode::Linear, Padding::Zeros);
        assert_eq!(linear.taps(0.0, 4), [(1, 0.5), (2, 0.5)]);
        assert_eq!(linear.taps(-1.0, 4), [(0, 0.5)]);
        assert_eq!(linear.taps(9.0, 4), []);
        let border = sampling(Mode::Linear, Padding::Border);
        assert_eq!(border.taps(-9.0, 4), [(0, 1.0)]);
        let mirrored = sampling(Mode::Nearest, Padding::Reflection);
        assert_eq!(mirrored.taps(1.5, 4), [(3, 1.0)]);
        assert_eq!(mirrored.taps(-2.0, 4), [(1, 1.0)]);
        let cubic = sampling(Mode::Cubic, Padding::Border).taps(0.1, 4);
        assert!((cubic.iter().map(|(_, w)| w).sum::<f64>() - 1.0).abs() < 1e-12);
    }
}
