//! When an integer model is too far from its float graph to stand for it.
//!
//! An output is judged over all samples that were compared:
//!
//! * it must not be constant where float's is not;
//! * the root of its mean square error is at most [`MAX_ERROR`] of the range of float's output. The
//!   largest error is no measure of a model: of many cells, good 8-bit models miss some by more;
//! * that error is also at most [`MAX_UNEXPLAINED`] of the standard deviation of float's output, so
//!   that an output of mostly one value, such as the probabilities of a thousand classes, is not
//!   good for being mostly that value;
//! * its largest cell is float's in [`MIN_AGREEMENT`] of the samples, if it has several cells. Float
//!   decides nothing where two cells are within [`NEAR_TIE`](super::NEAR_TIE) of its range: either will do;
//! * integers, as labels and truth values are, are judged by that error alone, and only if fewer than
//!   [`MIN_AGREEMENT`] of them are float's: the distance of labels means nothing, but where integers
//!   are pixels, one of them that is off by one does not matter.

use super::accuracy::{Accuracy, OutputAccuracy};
use super::origin::Origin;
use super::policy::{MAX_ERROR, MAX_UNEXPLAINED, MIN_AGREEMENT};
use crate::int::PortKind;
use std::fmt;

/// What is wrong with an output.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Fault {
    /// It is constant where float's is not.
    Constant,
    /// Its root mean square error, as a share of the range of float's output.
    Error(f64),
    /// The same, as a share of the standard deviation of float's output.
    Unexplained(f64),
    /// The share of samples whose largest cell is float's, or nearly so.
    Largest(f64),
    /// The share of integers that are float's.
    Integers(f64),
}

/// Why an integer model does not stand for its float graph.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Inaccurate {
    /// Name of the output.
    pub output: String,
    /// What is wrong with it.
    pub fault: Fault,
    /// Where the error arises, if that is known.
    pub origin: Option<Origin>,
}

impl std::error::Error for Inaccurate {}

impl Accuracy {
    /// Whether the integer model stands for the float graph on the samples that were compared.
    ///
    /// # Errors
    /// The first output that is too far off.
    pub fn verdict(&self) -> Result<(), Inaccurate> {
        let faults = self.outputs.iter().filter_map(|output| {
            Some(Inaccurate {
                output: output.name.clone(),
                fault: output.fault()?,
                origin: output.origin.clone(),
            })
        });
        faults.into_iter().next().map_or(Ok(()), Err)
    }
}

impl OutputAccuracy {
    /// What is wrong with this output.
    pub fn fault(&self) -> Option<Fault> {
        // Errors that are no numbers are no small ones.
        let beyond = |share: f64, most: f64| share.is_nan() || share > most;
        let (error, unexplained) = (self.range_error(), self.rms_error / self.deviation);
        if self.kind == PortKind::Integer {
            let unlike = self.equal_cells < MIN_AGREEMENT && beyond(error, MAX_ERROR);
            unlike.then_some(Fault::Integers(self.equal_cells))
        } else if self.constant {
            Some(Fault::Constant)
        } else if beyond(error, MAX_ERROR) {
            Some(Fault::Error(error))
        } else if self.deviation > 0.0 && beyond(unexplained, MAX_UNEXPLAINED) {
            Some(Fault::Unexplained(unexplained))
        } else if self.cells > 1 && self.near_agreement < MIN_AGREEMENT {
            Some(Fault::Largest(self.near_agreement))
        } else {
            None
        }
    }

    /// The root mean square error as a share of the range.
    pub fn range_error(&self) -> f64 {
        if self.rms_error == 0.0 {
            return 0.0;
        }
        self.rms_error / self.range
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |share: &f64| 100.0 * share;
        match self {
            Self::Constant => write!(f, "is constant, float's is not"),
            Self::Error(share) => write!(
                f,
                "is off by {:.1} % of its range (root mean square), at most {:.0} % is accurate",
                percent(share),
                percent(&MAX_ERROR)
            ),
            Self::Unexplained(share) => write!(
                f,
                "is off by {:.0} % of its standard deviation, at most {:.0} % is accurate",
                percent(share),
                percent(&MAX_UNEXPLAINED)
            ),
            Self::Largest(share) => write!(
                f,
                "has its largest cell where float has it in only {:.1} % of the samples, accurate \
                 is {:.0} %",
                percent(share),
                percent(&MIN_AGREEMENT)
            ),
            Self::Integers(share) => write!(
                f,
                "has only {:.1} % of float's integers, accurate is {:.0} %",
                percent(share),
                percent(&MIN_AGREEMENT)
            ),
        }
    }
}

impl fmt::Display for Inaccurate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "output `{}` {}", self.output, self.fault)?;
        match &self.origin {
            Some(origin) => write!(f, "; the error arises at node `{}`", origin.node),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Calibration, Options, quantise};
    use super::*;
    use crate::float::{Activation, Graph, GraphBuilder, Op};
    use ndarray::{ArrayD, IxDyn, arr0, arr2};

    fn vector(cells: &[f32]) -> ArrayD<f32> {
        ArrayD::from_shape_vec(IxDyn(&[cells.len()]), cells.to_vec()).expect("a vector")
    }

    /// How far the first output is from float's, on samples that also calibrate.
    fn measured(graph: &Graph, samples: &[Vec<ArrayD<f32>>]) -> Accuracy {
        let calibration = Calibration::from_samples(samples.to_vec());
        let quantised = quantise(graph, &calibration, &Options::default()).expect("quantises");
        Accuracy::measure(graph, &quantised.model, samples).expect("runs")
    }

    /// `y = f(scale tanh x) W`, and its samples.
    fn network(scale: f32, function: Activation) -> (Graph, Vec<Vec<ArrayD<f32>>>) {
        let mut b = GraphBuilder::new();
        let x = b.input("x", &[2]).expect("a vector");
        let (scale, shift) = (arr0(scale).into_dyn(), arr0(0.0).into_dyn());
        let rounded = b.add("tanh", Op::Activation(Activation::Tanh), &[x]);
        let rounded = rounded.expect("a node");
        let large = b.add("large", Op::Affine { scale, shift }, &[rounded]);
        let wave = b.add("wave", Op::Activation(function), &[large.expect("a node")]);
        let weight = arr2(&[[0.5, -1.0, 0.25], [1.0, 0.75, -0.5]]).into_dyn();
        let dense = Op::Dense { weight, bias: None };
        let y = b
            .add("dense", dense, &[wave.expect("a node")])
            .expect("a node");
        let graph = b.finish(vec![("y".into(), y)]).expect("a graph");
        let cell = |i: i32, k: i32| ((i * 37 + k * 11) % 41 - 20) as f32 / 20.0;
        let sample = |i| vec![vector(&[cell(i, 0), cell(i, 5)])];
        (graph, (0..40).map(sample).collect())
    }

    #[test]
    fn what_is_close_stands_for_float() {
        let (graph, samples) = network(2.0, Activation::Relu);
        let accuracy = measured(&graph, &samples);
        assert_eq!(accuracy.verdict(), Ok(()));
        assert_eq!(accuracy.outputs[0].origin, None);
    }

    #[test]
    fn noise_is_refused_and_its_source_is_named() {
        let (graph, samples) = network(1e6, Activation::Sin);
        let refused = measured(&graph, &samples).verdict().expect_err("noise");
        assert_eq!(refused.output, "y");
        let Fault::Error(share) = refused.fault else {
            panic!("{refused}")
        };
        assert!(share > 2.0 * MAX_ERROR, "{refused}");
        let origin = refused.origin.as_ref().expect("a node");
        assert_eq!(origin.node, "wave");
        assert!(
            refused.to_string().contains("output `y` is off by"),
            "{refused}"
        );
    }

    /// An output with figures that are all in order.
    fn fine() -> OutputAccuracy {
        let (graph, samples) = network(2.0, Activation::Relu);
        measured(&graph, &samples).outputs.swap_remove(0)
    }

    #[test]
    fn every_figure_has_its_limit() {
        let fault = |change: &dyn Fn(&mut OutputAccuracy)| {
            let mut output = fine();
            (output.range, output.deviation, output.rms_error) = (10.0, 2.0, 0.1);
            change(&mut output);
            output.fault()
        };
        assert_eq!(fault(&|_| ()), None);
        assert_eq!(fault(&|o| o.rms_error = 0.5), None);
        assert_eq!(fault(&|o| o.rms_error = 0.6), Some(Fault::Error(0.06)));
        assert!(matches!(
            fault(&|o| o.rms_error = f64::NAN),
            Some(Fault::Error(_))
        ));
        assert_eq!(fault(&|o| o.deviation = 0.1), Some(Fault::Unexplained(1.0)));
        assert_eq!(fault(&|o| o.deviation = 0.0), None);
        assert_eq!(fault(&|o| o.constant = true), Some(Fault::Constant));
        assert_eq!(
            fault(&|o| o.near_agreement = 0.89),
            Some(Fault::Largest(0.89))
        );
        let single = |o: &mut OutputAccuracy| (o.near_agreement, o.cells) = (0.0, 1);
        assert_eq!(fault(&single), None);
        // Integers that are mostly float's, or hardly off.
        let integers = |equal: f64, rms: f64| {
            fault(&|o| (o.kind, o.equal_cells, o.rms_error) = (PortKind::Integer, equal, rms))
        };
        assert_eq!(integers(0.95, 3.0), None);
        assert_eq!(integers(0.5, 0.1), None);
        assert_eq!(integers(0.5, 3.0), Some(Fault::Integers(0.5)));
    }

    /// Outputs from elsewhere are compared by the same rule.
    #[test]
    fn expected_outputs_are_references_too() {
        let (graph, samples) = network(2.0, Activation::Relu);
        let calibration = Calibration::from_samples(samples.clone());
        let model = quantise(&graph, &calibration, &Options::default());
        let model = model.expect("quantises").model;
        let against = |expected: &[Vec<ArrayD<f32>>]| {
            Accuracy::against(&model, &samples, expected)
                .expect("runs")
                .verdict()
        };
        let value = graph.outputs()[0].1;
        let float = |x: &Vec<ArrayD<f32>>| vec![graph.run(x).expect("runs").swap_remove(value.0)];
        let expected: Vec<_> = samples.iter().map(float).collect();
        assert_eq!(against(&expected), Ok(()));
        let other: Vec<_> = expected.iter().map(|y| vec![-&y[0]]).collect();
        assert!(against(&other).is_err());
    }
}
