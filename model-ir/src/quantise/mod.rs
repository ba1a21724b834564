//! From a float graph to the integer model that is proven.
//!
//! Symmetric and shift-only. Each tensor of `b`-bit activations has a real scale `s`; a linear
//! layer takes the weight scale `s_w = (s_out / s_in) * 2^-S`, so that requantisation is exactly
//! `out = T[(acc + 2^(S-1)) >> S]` with no multiplier, zero point or per-channel vector. The
//! passes, in order:
//!
//! 1. `missing`: inputs with missing cells become two, and `prepare`: rewritings of the float graph, and the ranges of its values;
//! 2. `facts`: what is known of every value;
//! 3. `ties`: the forms of values, and which of them have scales in fixed ratios;
//! 4. `bits`, `needs`, `scales`: of every value's small form;
//! 5. `lower`: integer nodes, one table node for a linear layer, its residual sums and its
//!    activation;
//! 6. `tables`: domains of tables, and `layout`: physical axes.
//!
//! Every pass up to lowering is a value that is made once, of those before it, and read by those
//! after it. `policy` has all numbers, and `rules` what passes ask of operators.
//!
//! The result is a function of the graph, the samples and the options: every float operation
//! on the way is deterministic IEEE arithmetic in a fixed order.

mod absorbed;
mod accuracy;
mod average;
mod balance;
mod bits;
mod calibration;
mod carried;
mod classes;
mod compact;
mod compared;
mod curves;
mod cuts;
mod deep;
mod extremes;
mod factors;
mod facts;
mod features;
mod forms;
mod function;
mod inputs;
mod joined;
mod layout;
mod lift;
mod linear;
mod lookup;
mod lower;
mod maximum;
mod missing;
mod moves;
mod needs;
mod origin;
mod plan;
mod policy;
mod ports;
mod prepare;
mod prescribed;
mod products;
mod raw;
mod rounding;
mod rules;
mod scales;
mod shares;
mod squares;
mod sums;
mod tables;
#[cfg(test)]
mod tests;
mod thresholds;
mod ties;
mod tying;
mod verdict;
mod waves;
mod whole;

pub use accuracy::{Accuracy, OutputAccuracy, TableUse, argmax};
pub use calibration::{Calibration, unstack};
pub use origin::Origin;
pub use policy::{MAX_ERROR, MAX_UNEXPLAINED, MIN_AGREEMENT, NEAR_TIE};
pub use ports::{InputError, Inputs};
pub use verdict::{Fault, Inaccurate};

use self::bits::Bits;
use self::facts::Facts;
use self::lower::Lowered;
use self::needs::Needs;
use self::plan::Plan;
use self::scales::Scales;
use crate::float::{self, Graph};
use crate::int::{self, Interval, SmallInts};

/// Bits of the activations and margin of their scales.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// 8 bits, 11 on the way to or from a product of activations, scales of 1.25 times the
    /// calibrated range.
    #[default]
    Fast,
    /// 12 bits, 14 on the way to or from a product of activations, scales of twice the calibrated
    /// range.
    Accurate,
}

impl Profile {
    /// Bits of an activation: `0 ..= 2^b - 1` for tensors that cannot be negative,
    /// `-(2^(b-1) - 1) ..= 2^(b-1) - 1` for the others.
    pub fn bits(self) -> u32 {
        self.numbers().bits
    }

    /// What the largest calibrated magnitude is multiplied by.
    pub fn margin(self) -> f64 {
        self.numbers().margin
    }
}

/// How to quantise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// Bits and margin.
    pub profile: Profile,
    /// `S`; by default 12, or 8 for fast models of few activations.
    pub shift: Option<u32>,
}

impl Options {
    /// The defaults of a profile.
    pub fn new(profile: Profile) -> Self {
        Self {
            profile,
            shift: None,
        }
    }

    /// With this shift instead of the automatic one.
    #[must_use]
    pub fn with_shift(mut self, shift: u32) -> Self {
        self.shift = Some(shift);
        self
    }
}

/// An integer model and how it was made.
#[derive(Clone, Debug, PartialEq)]
pub struct Quantised {
    /// The model.
    pub model: int::Model,
    /// Facts and warnings.
    pub report: Report,
}

/// Facts about a quantised model.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Report {
    /// `S`.
    pub shift: u32,
    /// Bits of the activations.
    pub bits: u32,
    /// Number of weights.
    pub parameters: usize,
    /// Multiplications of a weight and an activation in one inference.
    pub macs: usize,
    /// Cells of all table nodes in one inference.
    pub lookups: usize,
    /// Rows of all tables.
    pub rows: usize,
    /// Name and largest magnitude of a weight of every linear layer.
    pub layers: Vec<(String, i64)>,
    /// What may hurt accuracy or make an input impossible to prove.
    pub warnings: Vec<String>,
    /// The import's remarks.
    pub notes: Vec<String>,
}

/// Why a graph cannot be quantised.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A sample does not fit the graph.
    #[error(transparent)]
    Graph(#[from] float::Error),
    /// Inputs that the integer model does not take.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The integer model is malformed.
    #[error(transparent)]
    Model(#[from] int::ModelError),
    /// The integer model cannot be run on a sample.
    #[error(transparent)]
    Run(#[from] int::RunError),
    /// No calibration samples.
    #[error("calibration needs at least one sample")]
    NoSamples,
    /// Stacked samples that do not fit the model's inputs.
    #[error("stacked samples have shapes {got:?}, expected [samples, ..] of {expected:?}")]
    Samples {
        /// Given.
        got: Vec<Vec<usize>>,
        /// The model's inputs.
        expected: Vec<Vec<usize>>,
    },
    /// A calibration run produced NaN or an infinity.
    #[error(
        "node `{node}` is NaN or infinite on a calibration sample: calibrate with samples on which it \
         is finite; if values are missing, fill them in before the model"
    )]
    NotFinite {
        /// The node.
        node: String,
    },
    /// A calibration sample with missing cells that something computes with.
    #[error(
        "input `{input}` has missing values (NaN) in calibration, and `{node}` is computed with them: \
         fill them in before the model, or in it before that; IsNaN, Imputer, Where by IsNaN and \
         trees take missing values of inputs"
    )]
    Missing {
        /// The input.
        input: String,
        /// The node or output that has no value then.
        node: String,
    },
    /// Calibration samples with indices outside of the axis which they index.
    #[error(
        "input `{node}` has the integers {calibrated} in calibration, its axis the indices {allowed}"
    )]
    Indices {
        /// The input.
        node: String,
        /// The hull of its calibrated integers.
        calibrated: Interval,
        /// The indices that exist.
        allowed: Interval,
    },
    /// A shift outside `1 ..= 16`.
    #[error("shift {0} is not in 1 ..= 16")]
    Shift(u32),
    /// An operator without an integer form.
    #[error("node `{node}`: {reason}")]
    Unsupported {
        /// The node.
        node: String,
        /// Why, and what to do.
        reason: String,
    },
    /// A weight above `2^24`.
    #[error(
        "node `{node}`: the largest weight would be {largest:e}; its output is calibrated to be \
         far smaller than its input: calibrate with representative samples"
    )]
    Weight {
        /// The layer.
        node: String,
        /// Its largest quantised weight.
        largest: f64,
    },
    /// A scale that is zero, infinite or close to it.
    #[error(
        "node `{node}`: its scale would be {scale:e}; constant factors before it are extreme: scale \
         the inputs before the model instead"
    )]
    Scale {
        /// The node.
        node: String,
        /// The scale.
        scale: f64,
    },
    /// An accumulator may leave `(-2^62, 2^62)`.
    #[error(
        "node `{node}`: its integers may leave (-2^62, 2^62), since numbers of very unlike sizes meet \
         there: scale the inputs to like sizes before the model, or calibrate with smaller ones"
    )]
    Overflow {
        /// The node.
        node: String,
    },
    /// No axes make the reshapes before a node free.
    #[error(
        "node `{node}` views a tensor of {cells} cells in a way that no layout allows; split the \
         reshape or make the channel counts multiples of each other (up to {} cells are copied)",
        int::MAX_GATHER
    )]
    Layout {
        /// The node.
        node: String,
        /// The tensor's cells.
        cells: usize,
    },
    /// A table would need more rows than are allowed.
    #[error(
        "node `{node}`: its table would need {rows} rows, at most {limit} are allowed: calibrate with \
         samples on which its argument has a smaller range"
    )]
    Table {
        /// The node.
        node: String,
        /// Rows of the calibrated range.
        rows: u64,
        /// The limit.
        limit: u64,
    },
}

impl Error {
    fn overflow(node: &str) -> Self {
        Self::Overflow { node: node.into() }
    }
}

/// Quantises `graph` with the ranges of `calibration`.
///
/// The model's inputs and outputs keep their names and shapes; [`int::Port::scale`] says what
/// their integers mean.
pub fn quantise(
    graph: &Graph,
    calibration: &Calibration,
    options: &Options,
) -> Result<Quantised, Error> {
    if let Some(shift) = options
        .shift
        .filter(|s| !(1..=policy::MOST_SHIFT).contains(s))
    {
        return Err(Error::Shift(shift));
    }
    let profile = options.profile;
    let split = missing::split(graph, calibration)?;
    let prepared = prepare::prepared(&split.graph, &split.calibration, profile)?;
    let facts = Facts::new(&prepared, profile)?;
    let (forms, ties) = ties::settled(&facts)?;
    let bits = Bits::new(&facts, &forms, &ties);
    let needs = Needs::new(&facts, &forms, &ties);
    let scales = Scales::new(&facts, &forms, &ties, &bits, &needs)?;
    let plan = Plan {
        facts,
        forms,
        ties,
        bits,
        needs,
        scales,
        views: split.views,
    };
    let lowered = lowered(&plan, options)?;
    let mut report = Report::of(&lowered, &plan);
    if calibration.is_synthetic() {
        let warning =
            "calibrated with synthetic samples: the ranges may not fit real inputs".to_owned();
        report.warnings.push(warning);
    }
    let (mut model, mut domains) = tables::finish(lowered)?;
    // What has no bounds is refused by the validation.
    let _ = model.widen();
    model.validate()?;
    domains.cover(&mut model, calibration)?;
    report.warnings.extend(domains.warnings());
    report.count(&model);
    Ok(Quantised { model, report })
}

/// The integer nodes, with the shift that is asked for or fits best.
fn lowered<'a>(plan: &'a Plan<'a>, options: &Options) -> Result<Lowered<'a>, Error> {
    if let Some(shift) = options.shift {
        return lower::lower(plan, shift);
    }
    let usual = lower::lower(plan, policy::SHIFT)?;
    let small = options.profile == Profile::Fast
        && usual.lookup_cells() < policy::FEW_LOOKUPS
        && !plan.facts.precise.contains(&true);
    if !small {
        return Ok(usual);
    }
    let coarser = lower::lower(plan, policy::SMALL_SHIFT)?;
    let mut weights = coarser.layers.iter().map(|&(_, w)| w);
    if weights.all(|w| w >= policy::COARSE_WEIGHT) {
        Ok(coarser)
    } else {
        Ok(usual)
    }
}

impl Report {
    /// What is known before there are tables.
    fn of(lowered: &Lowered, plan: &Plan) -> Self {
        Self {
            shift: lowered.shift,
            bits: plan.facts.profile.bits(),
            parameters: 0,
            macs: 0,
            lookups: lowered.lookup_cells(),
            rows: 0,
            layers: lowered.layers.clone(),
            warnings: vec![],
            notes: plan.facts.graph.notes().to_vec(),
        }
    }

    /// Counts what the finished model has.
    fn count(&mut self, model: &int::Model) {
        self.parameters = model.weights.iter().map(SmallInts::len).sum();
        self.macs = model.graph.nodes.iter().map(macs).sum();
        self.rows = model.graph.tables.iter().map(|t| t.len).sum();
    }
}

/// Multiplications by weights of one node.
fn macs(node: &int::Node) -> usize {
    match &node.op {
        int::Op::Affine(affine) => {
            let outputs: usize = node.axes.iter().product();
            let inputs: usize = affine.inputs.iter().product();
            let taps: usize = affine.windows.iter().map(int::MapAxis::taps).product();
            outputs * inputs * taps
        }
        _ => 0,
    }
}
