//! The numbers that the quantiser chose: every threshold, with its unit and its reason.
//!
//! Nothing here is needed for soundness: what an integer model may be is said by `int`'s limits, and
//! the passes take those from there. A change of any number here changes models, and so their keys.

use super::Profile;
use crate::int::{Interval, MAX_FACTOR};

// Profiles.

/// What a profile decides.
pub(super) struct Numbers {
    /// Bits of an activation.
    pub(super) bits: u32,
    /// What the largest calibrated magnitude is multiplied by.
    pub(super) margin: f64,
    /// Bits of activations on the way to or from a product of activations.
    pub(super) precise_bits: u32,
    /// Least bits of small values that are model outputs or operands of products, sums and
    /// comparisons: they cost no more than others, and rounding them is not averaged out as in a
    /// layer.
    pub(super) fine_bits: u32,
    /// Bits of an input of features of unlike sizes, with a sign and [`FEATURE_ROOM`]: all follows from
    /// those few cells.
    pub(super) feature_bits: u32,
    /// A layer of at most so many cells has inputs of fine bits: the longer remainders of its
    /// accumulators cost little.
    pub(super) few_cells: usize,
    /// Least steps in the mean magnitude of a value that has a few far larger cells.
    pub(super) usual_steps: f64,
    /// Steps across the calibrated range, twice over, that a curve may take.
    pub(super) curve_rows: f64,
    /// Least bits of the largest weight of a layer among precise values: their activations have
    /// more bits than others, and so their weights have fewer.
    pub(super) least_weight_bits: i32,
}

const FAST: Numbers = Numbers {
    bits: 8,
    margin: 1.25,
    precise_bits: 11,
    fine_bits: FAST_FINE_BITS,
    feature_bits: FAST_FINE_BITS + 4,
    few_cells: 0,
    usual_steps: 4.0,
    curve_rows: 8192.0,
    least_weight_bits: 9,
};

const ACCURATE: Numbers = Numbers {
    bits: 12,
    margin: 2.0,
    precise_bits: 14,
    fine_bits: 15,
    feature_bits: 22,
    few_cells: 1 << 6,
    usual_steps: 32.0,
    curve_rows: 32768.0,
    least_weight_bits: 12,
};

impl Profile {
    /// The profile's row of the table.
    pub(super) const fn numbers(self) -> &'static Numbers {
        match self {
            Self::Fast => &FAST,
            Self::Accurate => &ACCURATE,
        }
    }
}

// The model's shift `S`, in bits.

/// The usual shift.
pub(super) const SHIFT: u32 = 12;
/// The shift of [`Profile::Fast`] models whose lookups are fewer than [`FEW_LOOKUPS`]: a range
/// table of `2^12` rows would outweigh them.
///
/// Measured against `S = 12` on models of handwritten digits, a dense and a convolutional one:
/// root mean square error of the logits 0.8 and 1.2 % instead of 0.3 and 0.6 %, the same top-1
/// accuracy. With 12-bit activations the error would be tenfold that of `S = 12`.
pub(super) const SMALL_SHIFT: u32 = 8;
/// Cells of table nodes below which a model is small.
pub(super) const FEW_LOOKUPS: usize = 1 << 12;
/// A layer whose largest weight is below this loses too much (`S = 6`, with weights of about 10,
/// has logit errors of 4 %): the small shift is not used then.
pub(super) const COARSE_WEIGHT: i64 = 24;
/// Largest shift of a model and of an average: the range table has `2^S` rows.
pub(super) const MOST_SHIFT: u32 = 16;

// Calibration.

/// Number of synthetic samples.
pub(super) const SYNTHETIC_SAMPLES: usize = 32;
/// Cells of a value whose positions are counted in single precision, which is exact below.
pub(super) const COUNTED_CELLS: usize = 1 << 24;
/// How far past a threshold the range of an input reaches, in parts of the largest magnitude.
pub(super) const PAST_THRESHOLD: f64 = 1.0 / 64.0;
/// A threshold of more times the calibrated magnitude would cost too much precision.
pub(super) const FARTHEST_THRESHOLD: f64 = 64.0;
/// The same, of a value that more is asked of than on which side of it it lies.
pub(super) const FARTHEST_BESIDE: f64 = 4.0;
/// Largest magnitude of the argument of a sine that is read as it is: about five periods each way.
pub(super) const LONGEST_WAVE: f64 = 32.0;
/// Periods beyond which single precision says little of where in its period an argument is.
pub(super) const MOST_PERIODS: f64 = (1 << 14) as f64;

// Rewritings of the float graph.

/// Rounding may move a layer's result by so many steps of its own; what moves it further is balanced.
pub(super) const FELT_STEPS: f64 = 4.0;
/// The same, of a few values that may have more bits, in a model of few lookups. What does not cancel
/// moves the result by a sixth.
pub(super) const MIXED_STEPS: f64 = 0.5;
/// And only what balancing makes better by this factor.
pub(super) const BALANCE_WORTH: f64 = 4.0;
/// A channel is centred if it lies farther from 0 than so many times its width.
pub(super) const OFF_CENTRE: f64 = 2.0;
/// Times the calibrated size of features of unlike sizes beyond which they are clamped: few samples say
/// little of how far a feature reaches, and the room costs nothing but bits of the input.
pub(super) const FEATURE_ROOM: f64 = 8.0;
/// Maps that make the sizes of features so many times more unlike than they are stay layers: the small
/// ones would have three bits less than the profile's.
pub(super) const MADE_UNLIKE: f64 = 8.0;
/// Features of an input whose scales differ by this factor have unlike sizes.
pub(super) const UNLIKE_FEATURES: f32 = 2.0;
/// Powers of two between which the size of a balanced channel is kept.
pub(super) const BALANCED_POWERS: std::ops::RangeInclusive<i32> = -100..=100;
/// How far below the least maximum scores are clipped: `exp(-32)` is 0 in every table.
pub(super) const FAR_BELOW: f64 = 32.0;
/// Room for maxima unlike those of calibration, in lengths of their range.
pub(super) const LIFT_ROOM: f64 = 2.0;
/// Clipping must make the range of scores shorter by this factor to be worth a lookup.
pub(super) const LIFT_WORTH: f64 = 4.0;

// Integers.

/// Constants below this are exact in single precision, and so are sums with them.
pub(super) const EXACT_INTEGER: f32 = (1 << 24) as f32;
/// Room for what rounds real numbers: so many times their calibrated magnitude.
pub(super) const ROUNDED_ROOM: f64 = 4.0;
/// Zero points of quantised tensors are smaller: they are integers of 16 bits.
pub(super) const ZERO_POINT: f64 = (1 << 16) as f64;
/// Scales of integers that differ from 1 by less do so by rounding in single precision.
pub(super) const NEARLY_ONE: f64 = 1e-5;

// Forms and ties.

/// Terms of a sum whose sizes differ by more than this factor have units of their own.
pub(super) const UNLIKE: f64 = 8.0;
/// Relative difference of ratios of scales that counts as rounding in double precision.
pub(super) const RATIO_SLACK: f64 = 1e-9;
/// A sum is no longer tied to a term that differs from it by this factor, if their class needs more
/// bits than a table has.
pub(super) const LEAP: f64 = 4.0;
/// How much more than its usual magnitude the size of a value is at least taken to be: one whose
/// cells are all alike is to have as many steps as others have.
pub(super) const SPREAD: f64 = 4.0;

/// Part of the size of an input of which the sign is asked that is to be a few steps: what is beside
/// far larger numbers in one unit would have the sign of nothing.
pub(super) const TESTED: f64 = 1.0 / 4096.0;

// Bits of small values.

/// Fine bits of fast models, and the least of classes that need more than usual.
pub(super) const FAST_FINE_BITS: u32 = 12;
/// Bits of inputs that no layer takes and of scores whose maximum is taken: as many as a 16-bit
/// integer has.
pub(super) const GIVEN_BITS: u32 = 15;
/// Bits of a function's values that leave the model and nothing else reads: they cost no rows.
pub(super) const SHOWN_BITS: u32 = 24;
/// Bits of a function's values that are only added up, where they are few.
pub(super) const ADDED_BITS: u32 = 18;
/// Bits of an input that is compared: nearly those of single precision.
pub(super) const COMPARED_BITS: u32 = 24;
/// Most bits of an input of features of unlike sizes: it is read as an integer of 64 bits, and its
/// multiples have room.
pub(super) const MOST_BITS: u32 = 40;
/// Further bits of an input whose logarithm or quotient is taken: what is near 0 decides there.
pub(super) const STEEP_BITS: u32 = 9;
/// Further bits of the argument of a curve with poles in its domain, where it is steeper than all
/// others.
pub(super) const POLE_BITS: u32 = 2;

// Deep values.

/// A steep function of values whose ratio is beyond this needs more than one table's steps.
pub(super) const STEEP_RATIO: f64 = 1024.0;
/// Bits of a layer's result that is squared, signed, and of inputs before it: squares of numbers of
/// half as many bits are known to one part in `2^6`, and sums of squares times weights fit.
pub(super) const DEEP_BITS: u32 = 20;
/// Bits of an input from which deep values follow.
pub(super) const DEEP_GIVEN_BITS: u32 = 24;
/// Bits of the largest weight of a layer whose quiet results decide: its rounding lets loud cells
/// leak into them.
pub(super) const DEEP_WEIGHT_BITS: i32 = 18;

// Scales.

/// An exact accumulator of at most this shift feeds a linear layer as it is.
pub(super) const DIRECT_SHIFT: u32 = 2;
/// Largest weight of a layer whose scale is free: 16 bits.
pub(super) const FREE_WEIGHT: f64 = 32_767.0;
/// By this factor, the weights of one layer may be coarser than that for the sake of another's.
pub(super) const FREE_SPREAD: f64 = 16.0;
/// Largest calibrated magnitude of a table's argument: the table's rows are limited, and inputs
/// beyond the calibration samples need some to spare.
pub(super) const ARGUMENT_ROWS: f64 = 32_000.0;
/// Scales outside are a sign of ranges that no arithmetic of doubles can serve.
pub(super) const USABLE_SCALES: std::ops::Range<f64> = 1e-60..1e60;

// Linear layers.

/// Bits of the largest magnitude of a weight. Beyond it the input's scale is so much coarser than
/// the output's that the calibrated ranges must be wrong.
pub(super) const WEIGHT_BITS: i32 = 24;
/// The same of a layer whose output the model quantises itself, has one weight for every cell, or
/// reads integers.
pub(super) const FINEST_WEIGHT_BITS: i32 = 28;
/// Largest shift of a layer's accumulator, in bits.
pub(super) const MOST_LAYER_SHIFT: i32 = 36;
/// How much coarser, beside their root mean square, weights may be than what they multiply is
/// beside its own: both are rounded, and the coarser of the two is felt.
pub(super) const COARSER: f64 = 4.0;
/// Bits of the weights of an affine map of an accumulator.
pub(super) const RAW_WEIGHT_BITS: i32 = 14;
/// Bits of the largest sums that such a map may have, with room for a shift and its rounding.
pub(super) const RAW_SUM_BITS: i32 = 60;

// Raw accumulators.

/// Bits beyond the profile's that a multiplier must have for its rounding not to be felt.
pub(super) const MULTIPLIER_BITS: i32 = 2;
/// Bits of a multiplier that is as good as any.
pub(super) const ENOUGH_MULTIPLIER_BITS: i32 = 14;
/// Largest magnitude of a product of accumulators as they are.
pub(super) const DIRECT_PRODUCT: u64 = 1 << 54;
/// The same for products with truth values and what is as small, and the largest of those.
pub(super) const DIRECT_MASKED: u64 = 1 << 60;
/// Largest magnitude of what counts as a truth value.
pub(super) const MASK: u64 = 3;
/// Largest magnitude of an accumulator that is added up as it is.
pub(super) const DIRECT_SUM: u64 = 1 << 54;
/// The same of a value that is compared with its own maximum, beside which it must not be rounded.
pub(super) const EXTREME_SUM: u64 = 1 << 60;
/// Largest magnitude of sums of accumulators.
pub(super) const SUMS: u64 = 1 << 60;
/// Largest magnitude of an accumulator whose averages are taken as it is.
pub(super) const DIRECT_POOLED: u64 = 1 << 40;
/// How much finer than the other term a raw term of a sum may be.
pub(super) const FINER: f64 = (1 << 24) as f64;
/// Readers for which a raw sum is made small: each makes a claim on all its terms.
pub(super) const READERS: usize = 3;
/// Binary digits of ratios of scales that count as simple: 3 to 2, 5 to 16.
pub(super) const SIMPLE_RATIO: i32 = 6;
/// Relative difference of a ratio from a power of two for which no multiplier is worth its node.
pub(super) const NEARLY_POWER: f64 = 1e-12;
/// Largest coefficient that brings an operand of a sum to the unit of the others.
pub(super) const MOST_COEFFICIENT: f64 = MAX_FACTOR as f64;
/// Least integers of the largest shift of an affine map of an accumulator.
pub(super) const AFFINE_STEPS: f64 = 1024.0;
/// Bits of the multipliers of values that the model quantises itself: as many as single precision
/// has.
pub(super) const QUANTISED_BITS: i32 = 24;

// Averages.

/// Common multiples of the taps of border windows above this are replaced by a multiple of the
/// kernel's size of about [`APPROXIMATE_MULTIPLE`], exact for interior windows and within one
/// percent at the borders.
pub(super) const MOST_MULTIPLE: usize = 64;
/// About the divisor of such windows.
pub(super) const APPROXIMATE_MULTIPLE: usize = 256;

// Curves.

/// Points at which a curve's slope is sampled.
pub(super) const SLOPE_SAMPLES: i32 = 256;
/// Steps of a curve's argument, whatever its slope.
pub(super) const LEAST_STEPS: f64 = 256.0;
/// The slope of what looks constant.
pub(super) const LEAST_SLOPE: f64 = 1e-9;
/// Part of the calibrated size beyond the range in which slopes are sampled: it may be a single
/// value.
pub(super) const SLOPE_BEYOND: f64 = 1.0 / 8.0;
/// Part of a unit within which a function counts as constant in its tails.
pub(super) const TAIL_TOLERANCE: f64 = 1.0 / 4.0;
/// Tails longer than so many times the rest are cut off.
pub(super) const TAIL_WORTH: f64 = 8.0;
/// Powers of two at which a tail may begin.
pub(super) const TAIL_POWERS: std::ops::Range<i32> = -4..60;
/// Powers of two below the end of a range at which a curve may be bent.
pub(super) const BENDS: std::ops::RangeInclusive<i32> = 1..=10;
/// Rows of a table that quantises an accumulator without a multiplier.
pub(super) const QUANTISED_ROWS: u64 = 1 << 14;
/// Binary digits of a comparison's table.
pub(super) const STEP_BITS: u32 = 12;
/// Points, in powers of two, at which a curve that looks constant is evaluated.
pub(super) const CONSTANT_POINTS: u32 = 40;

// Maxima.

/// Axes up to this length have maxima of any values; along longer ones every level of products
/// would multiply the claims on the operand by three.
pub(super) const SHALLOW: usize = 8;
/// Differences beyond this are multiplied by their sign along long axes.
pub(super) const WIDE_ON_LONG_AXES: i64 = 1 << 17;
/// Differences beyond this are multiplied by their sign instead of being looked up.
pub(super) const WIDE: i64 = 1 << 13;
/// Largest window of an axis: every tap but one is a table node.
pub(super) const MOST_TAPS: usize = 64;

// Rounding to integers.

/// Bits of the multiplier that brings a value to units: those of single precision.
pub(super) const UNIT_BITS: i32 = 24;
/// Largest shift of a value that is rounded, below which quarters have room.
pub(super) const ROUNDED_SHIFT: i32 = 46;
/// Binary digits beyond those of single precision that do no harm.
pub(super) const SPARE_DIGITS: i32 = 6;
/// By so much, in binary digits of a unit, a multiple that is an integer may seem less than it.
pub(super) const UNSURE_DIGITS: u32 = 5;
/// Binary digits that a product of single precision has.
pub(super) const SINGLE_DIGITS: u32 = 23;
/// Rows of a table that holds a quotient for every dividend.
pub(super) const DIVIDENDS: u64 = 1 << 13;
/// Values of a quotient that one table holds.
pub(super) const QUOTIENTS: u64 = 1 << 15;
/// Binary digits of the lower part of a quotient.
pub(super) const QUOTIENT_DIGITS: u32 = 12;

// Tables.

/// Most rows of a table.
pub(super) const MOST_ROWS: u64 = 1 << 16;
/// Cells of table nodes from which on a model may have larger tables, where they are needed for room beyond
/// what was calibrated, or are read as often as they have rows.
pub(super) const MANY_LOOKUPS: usize = 1 << 20;
/// Most rows of those.
pub(super) const MANY_ROWS: u64 = 1 << 18;
/// How many times the calibrated range a table has, the most that fit.
pub(super) const RANGE_FACTORS: [f64; 3] = [RANGE_ROOM, 2.0, 1.0];
/// Times the calibrated range that leave room enough for inputs unlike the samples.
pub(super) const RANGE_ROOM: f64 = 4.0;
/// Arguments that calibration saw within so many steps were always the same but for their rounding,
/// of which the samples then say nothing.
pub(super) const CONSTANT_STEPS: f64 = 2.0;
/// The least room of those on either side of 0, in steps.
pub(super) const CONSTANT_ROOM: f64 = 2048.0;
/// Cells of a lookup whose argument is cut to fewer times the range: doing that costs two more
/// lookups and a product for each, no more than the table's rows.
pub(super) const SATURATED_CELLS: usize = 1 << 9;
/// Most bits of a limb of a remainder: its range table has as many rows as a large table.
pub(super) const LIMB_BITS: u32 = 18;
/// Largest multiple of `2^shift` that an argument stands for, with room for its rounding.
pub(super) const MOST_ARGUMENT: i64 = Interval::LIMIT >> 2;

// Layout.

/// Cells of a commitment that a gather must save to be worth its sumcheck.
pub(super) const GATHER_WORTH: usize = 1 << 14;
/// Largest tensor that is copied to save cells: a key has the map of every copy.
pub(super) const MOST_COPIED: usize = 1 << 16;

// Accuracy.

/// Samples that run at once.
pub(super) const BATCH: usize = 16;
/// Cells of all tensors of samples that run at once, unless there are more threads than samples: a run
/// keeps them all.
pub(super) const BATCH_CELLS: usize = 1 << 22;
/// Fewer cells than these do not show the range of an output.
pub(super) const FEW_CELLS: usize = 10;
/// Values that differ by this share of their size are one constant, rounded.
pub(super) const ROUNDING: f64 = 1e-5;
/// Samples that are compared node by node.
pub(super) const ORIGIN_SAMPLES: usize = 16;
/// A value with a larger relative error is wrong.
pub(super) const WRONG: f64 = 0.2;
/// Largest root mean square error, as a share of the range of float's output.
pub const MAX_ERROR: f64 = 0.05;
/// Largest root mean square error, as a share of the standard deviation of float's output.
pub const MAX_UNEXPLAINED: f64 = 0.5;
/// Smallest share of samples whose largest cell is float's, and of integers that are float's.
pub const MIN_AGREEMENT: f64 = 0.9;
/// Cells that differ by this share of the range are both the largest.
pub const NEAR_TIE: f64 = 0.01;
