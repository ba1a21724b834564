//! The inputs and outputs of a model, and how arrays divide into samples of them.

use ndarray::{ArrayD, IxDyn};
use zkstrata::model_ir::float;
use zkstrata::model_ir::int::{self, PortKind};
use zkstrata::ndarray;
use zkstrata_conformance::npy::Kind;

/// From here on not every integer is a double.
const INEXACT: f64 = 9_007_199_254_740_992.0;

/// Name, shape and cells of a model input or output.
#[derive(Clone, Debug)]
pub(crate) struct Port {
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
    pub(crate) kind: PortKind,
}

/// How an array divides into samples of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) samples: usize,
    /// Cells of a sample, never 0.
    pub(super) cells: usize,
}

impl Port {
    /// The inputs of a float graph.
    pub(crate) fn inputs(graph: &float::Graph) -> Vec<Self> {
        let node = |v: float::ValueId| &graph.nodes()[v.0];
        let inputs = graph.inputs().map(node);
        inputs
            .map(|node| Self {
                name: node.name.clone(),
                shape: node.shape.clone(),
                kind: match node.op {
                    float::Op::Input { integral: true } => PortKind::Integer,
                    _ => PortKind::Real,
                },
            })
            .collect()
    }

    /// The outputs of a float graph.
    pub(crate) fn outputs(graph: &float::Graph) -> Vec<Self> {
        let outputs = graph.outputs().iter();
        outputs
            .map(|(name, v)| Self {
                name: name.clone(),
                shape: graph.nodes()[v.0].shape.clone(),
                kind: PortKind::Real,
            })
            .collect()
    }

    /// The ports of an integer graph.
    pub(crate) fn of(ports: &[int::Port]) -> Vec<Self> {
        let port = |port: &int::Port| Self {
            name: port.name.clone(),
            shape: port.shape.clone(),
            kind: port.kind,
        };
        ports.iter().map(port).collect()
    }

    /// A sample of as many cells as the port has. Integers must be exact, as another integer is
    /// another input; reals are rounded to the nearest of single precision.
    pub(super) fn sample(
        &self,
        kind: Kind,
        sample: usize,
        cells: &[f64],
    ) -> Result<ArrayD<f32>, String> {
        let exact = kind != Kind::Float || self.kind == PortKind::Integer;
        let single = |(cell, &x): (usize, &f64)| {
            let rounded = x as f32;
            let changed = f64::from(rounded).to_bits() != x.to_bits() || x.abs() >= INEXACT;
            if exact && changed && x.fract() == 0.0 {
                return Err(format!(
                    "sample {sample}, cell {cell}: the integer {x} is not exact in single \
                     precision; scale it down, or save a float32 array if rounding does no harm"
                ));
            }
            Ok(rounded)
        };
        let cells: Vec<f32> = cells
            .iter()
            .enumerate()
            .map(single)
            .collect::<Result<_, _>>()?;
        let array = ArrayD::from_shape_vec(IxDyn(&self.shape), cells);
        array.map_err(|error| error.to_string())
    }
}

impl Layout {
    pub(super) fn new(shape: &[usize], port: &Port) -> Result<Self, String> {
        let cells: usize = port.shape.iter().product();
        let product = |shape: &[usize]| shape.iter().try_fold(1_usize, |n, &m| n.checked_mul(m));
        let is_sample = |shape: &[usize]| {
            product(shape) == Some(cells)
                && (shape.len() <= 1 || squeezed(shape) == squeezed(&port.shape))
        };
        let samples = match shape {
            _ if cells == 0 => return Err("the model's own shape is empty".into()),
            shape if is_sample(shape) => 1,
            [0, ..] => return Err("the array is empty".into()),
            [samples, rest @ ..] if is_sample(rest) => *samples,
            _ => {
                return Err(format!(
                    "it has shape {shape:?}, expected {:?} or [samples, {}]",
                    port.shape,
                    inner(&port.shape)
                ));
            }
        };
        Ok(Self { samples, cells })
    }
}

fn squeezed(shape: &[usize]) -> Vec<usize> {
    shape.iter().copied().filter(|&n| n != 1).collect()
}

/// A shape without the brackets and a leading axis of 1.
fn inner(shape: &[usize]) -> String {
    let shape = shape.strip_prefix(&[1]).unwrap_or(shape);
    let shape: Vec<String> = shape.iter().map(ToString::to_string).collect();
    shape.join(", ")
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::input) fn port(shape: &[usize]) -> Port {
        Port {
            name: "a".into(),
            shape: shape.to_vec(),
            kind: PortKind::Real,
        }
    }

    #[test]
    fn a_leading_axis_is_a_batch() {
        let count = |array: &[usize], shape: &[usize]| {
            let layout = Layout::new(array, &port(shape)).ok()?;
            assert_eq!(layout.cells, shape.iter().product::<usize>());
            Some(layout.samples)
        };
        assert_eq!(count(&[1, 8, 8], &[1, 8, 8]), Some(1));
        assert_eq!(count(&[8, 8], &[1, 1, 8, 8]), Some(1));
        assert_eq!(count(&[64], &[1, 1, 8, 8]), Some(1));
        assert_eq!(count(&[5, 1, 8, 8], &[1, 1, 8, 8]), Some(5));
        assert_eq!(count(&[5, 64], &[1, 1, 8, 8]), Some(5));
        assert_eq!(count(&[10, 10], &[10]), Some(10));
        assert_eq!(count(&[3], &[1]), Some(3));
        assert_eq!(count(&[], &[1]), Some(1));
        // Channels last is not channels first.
        assert_eq!(count(&[8, 8, 3], &[3, 8, 8]), None);
        assert_eq!(count(&[128], &[64]), None);
        assert_eq!(count(&[0, 64], &[64]), None);
        assert_eq!(count(&[0], &[0]), None);
        assert_eq!(count(&[usize::MAX, 2, 32], &[64]), None);
        assert_eq!(count(&[usize::MAX, 64], &[64]), Some(usize::MAX));
    }

    #[test]
    fn integers_stay_what_they_are() {
        let id = Port {
            kind: PortKind::Integer,
            ..port(&[1])
        };
        let real = port(&[1]);
        let large = f64::from((1 << 24) + 1);
        for (port, kind, x, exact) in [
            (&real, Kind::Float, large, true),
            (&real, Kind::Integer, large, false),
            (&id, Kind::Float, large, false),
            (&id, Kind::Integer, large - 1.0, true),
            (&id, Kind::Integer, -0.0, true),
            (&id, Kind::Integer, INEXACT, false),
            (&id, Kind::Float, f64::INFINITY, true),
            // Refused where it is quantised, for what it is.
            (&id, Kind::Float, 0.1, true),
            (&id, Kind::Float, f64::NAN, true),
        ] {
            let sample = port.sample(kind, 0, &[x]);
            assert_eq!(sample.is_ok(), exact, "{x} of {kind:?} for {port:?}");
        }
    }
}
