//! Calibration: the range of every float tensor over sample inputs.

use super::missing::View;
use super::policy;
use super::{Error, factors, whole};
use crate::float::Graph;
use crate::int::Features;
use ndarray::{ArrayD, Axis, IxDyn};
use rayon::prelude::*;

/// Sample inputs. Each sample has one array per model input, in the order of
/// [`Graph::inputs`].
#[derive(Clone, Debug)]
pub struct Calibration {
    samples: Vec<Vec<ArrayD<f32>>>,
    synthetic: bool,
}

/// Smallest and largest value of a tensor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Range {
    pub(super) lo: f64,
    pub(super) hi: f64,
}

/// How large the cells of a value usually are.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Usual {
    sum: f64,
    squares: f64,
    nonzero: u64,
    cells: u64,
}

impl Usual {
    pub(super) fn of<'a>(cells: impl Iterator<Item = &'a f32>) -> Self {
        cells.fold(Self::default(), |usual, &x| {
            let x = f64::from(x);
            Self {
                sum: usual.sum + x.abs(),
                squares: usual.squares + x * x,
                nonzero: usual.nonzero + u64::from(x != 0.0),
                cells: usual.cells + 1,
            }
        })
    }

    fn with(self, other: Self) -> Self {
        Self {
            sum: self.sum + other.sum,
            squares: self.squares + other.squares,
            nonzero: self.nonzero + other.nonzero,
            cells: self.cells + other.cells,
        }
    }

    /// Mean magnitude of the cells that are not 0.
    pub(super) fn magnitude(self) -> f64 {
        self.sum / self.nonzero.max(1) as f64
    }

    /// Root of the mean square of the cells.
    pub(super) fn rms(self) -> f64 {
        (self.squares / self.cells.max(1) as f64).sqrt()
    }
}

/// What was seen of every value.
pub(super) struct Ranges {
    pub(super) values: Vec<Range>,
    pub(super) usual: Vec<Usual>,
    /// By channel, for values whose channels are of interest.
    pub(super) channels: Vec<Option<Vec<Range>>>,
}

impl Ranges {
    fn union(mut self, other: &Self) -> Self {
        let join = |a: &mut Range, b: &Range| *a = a.hull(*b);
        self.values
            .iter_mut()
            .zip(&other.values)
            .for_each(|(a, b)| join(a, b));
        let usual = self.usual.iter_mut().zip(&other.usual);
        usual.for_each(|(a, b)| *a = a.with(*b));
        for (a, b) in self.channels.iter_mut().zip(&other.channels) {
            let pairs = a.iter_mut().flatten().zip(b.iter().flatten());
            pairs.for_each(|(a, b)| join(a, b));
        }
        self
    }
}

impl Range {
    fn hull(self, other: Self) -> Self {
        Self {
            lo: self.lo.min(other.lo),
            hi: self.hi.max(other.hi),
        }
    }

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
        let integral = |v: usize| graph.nodes()[v].op.is_integral_input();
        let mut cell = |v: usize| match (integral(v), indexed[v]) {
            (true, Some(indices)) => (random.next() % (indices.hi.unsigned_abs() + 1)) as f32,
            (true, None) => random.draw().abs().floor(),
            (false, _) => random.draw(),
        };
        let mut sample = || {
            let inputs = graph.inputs().map(|v| (v.0, &graph.nodes()[v.0].shape));
            let array = |(v, shape): (usize, &Vec<usize>)| {
                ArrayD::from_shape_simple_fn(IxDyn(shape), || cell(v))
            };
            inputs.map(array).collect()
        };
        Self {
            samples: (0..policy::SYNTHETIC_SAMPLES).map(|_| sample()).collect(),
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

    /// Whether a cell of input `k` is NaN.
    pub(super) fn has_nan(&self, k: usize) -> bool {
        let inputs = self.samples.iter().filter_map(|sample| sample.get(k));
        inputs.flatten().any(|x| x.is_nan())
    }

    /// The samples, which fit their graph, of one whose inputs are these views, a [`View::Mask`] of the
    /// input before it.
    pub(super) fn viewed(&self, views: &[View]) -> Self {
        let sample = |sample: &Vec<ArrayD<f32>>| {
            let mut inputs = sample.iter();
            let mut last = None;
            let view = |view: &View| {
                if *view != View::Mask {
                    last = inputs.next();
                }
                last.map(|x| view.of(x))
            };
            views.iter().filter_map(view).collect()
        };
        Self {
            samples: self.samples.iter().map(sample).collect(),
            synthetic: self.synthetic,
        }
    }

    /// The samples, which fit their graph, of one whose inputs have these features.
    pub(super) fn featured(&self, features: &[Option<Features>]) -> Self {
        let input = |(x, features): (&ArrayD<f32>, &Option<Features>)| match features {
            Some(features) => features.of_all(x),
            None => x.clone(),
        };
        let sample = |sample: &Vec<ArrayD<f32>>| sample.iter().zip(features).map(input).collect();
        Self {
            samples: self.samples.iter().map(sample).collect(),
            synthetic: self.synthetic,
        }
    }

    /// Whether the samples were made up.
    pub fn is_synthetic(&self) -> bool {
        self.synthetic
    }

    /// The range of every value of `graph`, and of its channels along the axis that `axes` names.
    pub(super) fn ranges(&self, graph: &Graph, axes: &[Option<usize>]) -> Result<Ranges, Error> {
        let factors = factors::find(graph);
        let of_sample = |sample: &Vec<ArrayD<f32>>| -> Result<Ranges, Error> {
            let values = graph.run(sample)?;
            let of_channels = |(value, axis): (&ArrayD<f32>, &Option<usize>)| {
                let channels = value.axis_iter((*axis).map(Axis)?);
                channels.map(|channel| range(channel.iter())).collect()
            };
            let channels = values.iter().zip(axes).map(of_channels).collect();
            let ranges = values.iter().zip(graph.nodes()).map(|(value, node)| {
                range(value.iter()).ok_or_else(|| Error::NotFinite {
                    node: node.name.clone(),
                })
            });
            let usual = values.iter().map(|value| Usual::of(value.iter()));
            let mut usual: Vec<Usual> = usual.collect();
            let mut ranges = ranges.collect::<Result<Vec<_>, _>>()?;
            for factor in &factors {
                factor.restrict(graph, &values, &mut ranges, &mut usual);
            }
            Ok(Ranges {
                usual,
                values: ranges,
                channels,
            })
        };
        let ranges = self.samples.par_iter().map(of_sample);
        let ranges: Vec<Ranges> = ranges.collect::<Result<_, _>>()?;
        ranges
            .into_iter()
            .reduce(|a, b| a.union(&b))
            .ok_or(Error::NoSamples)
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

/// The hull of finite cells.
pub(super) fn range<'a>(cells: impl Iterator<Item = &'a f32>) -> Option<Range> {
    let mut range = (f32::INFINITY, f32::NEG_INFINITY);
    for &x in cells {
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
