//! Calibration: the range of every float tensor over sample inputs.

use super::{Error, whole};
use crate::float::{Graph, Op};
use ndarray::{ArrayD, Axis, IxDyn};
use rayon::prelude::*;

/// Sample inputs. Each sample has one array per model input, in the order of
/// [`Graph::inputs`].
#[derive(Clone, Debug)]
pub struct Calibration {
    samples: Vec<Vec<ArrayD<f32>>>,
    synthetic: bool,
}

/// Number of synthetic samples.
const SYNTHETIC: usize = 32;

/// Smallest and largest value of a tensor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Range {
    pub(super) lo: f64,
    pub(super) hi: f64,
}

impl Range {
    /// Largest absolute value.
    pub(super) fn size(self) -> f64 {
        self.hi.max(-self.lo)
    }
}

impl Calibration {
    /// Representative inputs; a few hundred suffice.
    pub fn from_samples(samples: Vec<Vec<ArrayD<f32>>>) -> Self {
        Self {
            samples,
            synthetic: false,
        }
    }

    /// One array per model input, each with a leading axis that numbers the samples. The model's
    /// inputs must agree on the number of samples; `[samples, rest..]` becomes samples of the
    /// model's shape if it has the same number of cells (a batch axis of 1 may be missing).
    pub fn from_stacked(graph: &Graph, inputs: &[ArrayD<f32>]) -> Result<Self, Error> {
        Ok(Self::from_samples(unstack(graph, inputs)?))
    }

    /// Standard normal inputs from a seed, their magnitudes rounded down for inputs of integers,
    /// and any index for inputs that index an axis. Real data is always better: the report of a
    /// model that is calibrated this way carries a warning.
    pub fn synthetic(graph: &Graph, seed: u64) -> Self {
        let mut random = Normal(seed);
        let indexed = whole::indexed(graph);
        let mut cell = |v: usize| match (&graph.nodes()[v].op, indexed[v]) {
            (Op::Input { integral: true }, Some(indices)) => {
                (random.next() % (indices.hi.unsigned_abs() + 1)) as f32
            }
            (Op::Input { integral: true }, None) => random.draw().abs().floor(),
            _ => random.draw(),
        };
        let mut sample = || {
            let inputs = graph.inputs().map(|v| (v.0, &graph.nodes()[v.0].shape));
            let array = |(v, shape): (usize, &Vec<usize>)| {
                ArrayD::from_shape_simple_fn(IxDyn(shape), || cell(v))
            };
            inputs.map(array).collect()
        };
        Self {
            samples: (0..SYNTHETIC).map(|_| sample()).collect(),
            synthetic: true,
        }
    }

    /// The first `count` samples only. One is enough to know the shapes and, about, the tables of a
    /// model.
    #[must_use]
    pub fn truncated(mut self, count: usize) -> Self {
        self.samples.truncate(count);
        self
    }

    /// The samples.
    pub fn samples(&self) -> &[Vec<ArrayD<f32>>] {
        &self.samples
    }

    /// Whether the samples were made up.
    pub fn is_synthetic(&self) -> bool {
        self.synthetic
    }

    /// The range of every value of `graph`.
    pub(super) fn ranges(&self, graph: &Graph) -> Result<Vec<Range>, Error> {
        let of_sample = |sample: &Vec<ArrayD<f32>>| -> Result<Vec<Range>, Error> {
            let values = graph.run(sample)?;
            let ranges = values.iter().zip(graph.nodes()).map(|(value, node)| {
                range(value).ok_or_else(|| Error::NotFinite {
                    node: node.name.clone(),
                })
            });
            ranges.collect()
        };
        let ranges = self.samples.par_iter().map(of_sample);
        let ranges: Vec<Vec<Range>> = ranges.collect::<Result<_, _>>()?;
        let union = |a: Vec<Range>, b: Vec<Range>| {
            let pairs = a.iter().zip(&b);
            let joined = pairs.map(|(a, b)| Range {
                lo: a.lo.min(b.lo),
                hi: a.hi.max(b.hi),
            });
            joined.collect()
        };
        ranges.into_iter().reduce(union).ok_or(Error::NoSamples)
    }
}

/// Splits stacked inputs into samples; see [`Calibration::from_stacked`].
pub fn unstack(graph: &Graph, inputs: &[ArrayD<f32>]) -> Result<Vec<Vec<ArrayD<f32>>>, Error> {
    let shapes: Vec<&[usize]> = graph.inputs().map(|v| &*graph.nodes()[v.0].shape).collect();
    let samples = inputs.first().and_then(|x| x.shape().first().copied());
    let fits = |(x, shape): (&ArrayD<f32>, &&[usize])| {
        let rest: usize = x.shape().iter().skip(1).product();
        x.shape().first().copied() == samples && rest == shape.iter().product()
    };
    let agree = inputs.len() == shapes.len() && inputs.iter().zip(&shapes).all(fits);
    let (true, Some(samples)) = (agree, samples) else {
        return Err(Error::Samples {
            got: inputs.iter().map(|x| x.shape().to_vec()).collect(),
            expected: shapes.iter().map(|shape| shape.to_vec()).collect(),
        });
    };
    let sample = |i| {
        let pairs = inputs.iter().zip(&shapes);
        let arrays = pairs.map(|(x, shape)| {
            let cells = x.index_axis(Axis(0), i).iter().copied().collect();
            ArrayD::from_shape_vec(IxDyn(shape), cells).expect("the number of cells was compared")
        });
        arrays.collect()
    };
    Ok((0..samples).map(sample).collect())
}

fn range(value: &ArrayD<f32>) -> Option<Range> {
    let mut range = (f32::INFINITY, f32::NEG_INFINITY);
    for &x in value {
        if !x.is_finite() {
            return None;
        }
        range = (range.0.min(x), range.1.max(x));
    }
    Some(Range {
        lo: range.0.into(),
        hi: range.1.into(),
    })
}

/// Standard normal variables: the sum of twelve uniform ones less 6, from `SplitMix64`.
struct Normal(u64);

impl Normal {
    fn draw(&mut self) -> f32 {
        let sum: u64 = (0..12).map(|_| self.next() >> 40).sum();
        (sum as f64 / f64::from(1 << 24) - 6.0) as f32
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
