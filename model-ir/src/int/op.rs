//! The operators of the integer model.
//!
//! Everything linear is one of [`Affine`] (weights), [`Map`] (public separable index maps),
//! sums, permutations, gathers and constants; products of activations are a [`Contract`];
//! everything else is a table.

use super::contract::Contract;
use super::table::TableId;
use crate::bounded;
use serde::{Deserialize, Serialize};

/// Most axes of an operator's view of a tensor that is read from a file.
pub(super) const MAX_AXES: usize = 64;

/// Most limbs of a remainder.
pub const MAX_LIMBS: usize = 4;

/// Most entries of a [`MapAxis::Matrix`].
pub const MAX_ENTRIES: usize = 1 << 22;

/// Lengths of consecutive axes, outermost first. Axes of length 1 are allowed and have no
/// variables.
pub type Axes = Vec<usize>;

/// Index of a weight tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct WeightId(pub usize);

/// Index of a bias vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct BiasId(pub usize);

/// An operator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Op {
    /// A public model input. The node's interval is checked by the verifier.
    Input,
    /// Dense layer, convolution or elementwise scaling by committed weights. One input.
    Affine(Affine),
    /// A linear index map with public coefficients, separable over the axes. One input.
    Map(Map),
    /// `Y = sum_k coefs[k] * X_k`, all of equal axes.
    Sum {
        /// One nonzero coefficient per input.
        coefs: Vec<i64>,
    },
    /// The axes of the input (`axes`) in another order: output axis `i` is input axis `perm[i]`.
    Permute {
        /// Axes of the input.
        axes: Axes,
        /// A permutation of `0..axes.len()`.
        perm: Vec<usize>,
    },
    /// `Y[i] = X[map[i]]` on dense row-major indices of one inference. The last resort when no
    /// layout makes a reshape free; at most 2^20 cells.
    Gather {
        /// One input index per output cell.
        #[serde(with = "super::differences")]
        map: Vec<u32>,
    },
    /// `Y = T[hi]`, `hi = (X + offset) >> S`, with the remainder `X + offset - 2^S hi` in
    /// `0 .. 2^S` range-checked. The only operator whose output is committed. One input.
    ///
    /// The remainder is `sum_j 2^(k_0 + .. + k_(j-1)) limb_j` with limbs in `0 .. 2^k_j`, so that
    /// `S` may exceed the size of any table.
    Table {
        /// The function.
        table: TableId,
        /// `S`, the sum of all `k_j`.
        shift: u32,
        /// The range tables `0 .. 2^k_j` of the limbs, the least significant first; none exactly
        /// when `S = 0`.
        #[serde(deserialize_with = "bounded::<_, _, MAX_LIMBS>")]
        ranges: Vec<TableId>,
        /// What is added before the shift: `2^(S-1)` rounds half up, 0 rounds down.
        offset: i64,
    },
    /// A product of two activations, summed over some of their axes. Two inputs, `A` and `B`.
    Contract(Contract),
    /// The bias, row-major over the node's axes, the same for every inference. No inputs.
    Constant {
        /// One entry per cell.
        bias: BiasId,
    },
}

/// `Y[l, g, o, i..] = sum_{c, t..} W[g, o, c, t..] X[l, g, c, x(i, t)..] + b[g, o]`
///
/// with `l` over `lead`, `g` over `groups`, `o` over `outputs`, `c` over `inputs` and one
/// trailing axis pair `(i, x)` per entry of `windows`. Views: the input is
/// `[lead.., groups.., inputs.., windows.input..]`, the output
/// `[lead.., groups.., outputs.., windows.output..]`. A dense layer has only `inputs` and
/// `outputs`; a depthwise convolution has only `groups`; a scale per channel is a depthwise
/// layer with [`MapAxis::Keep`] windows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Affine {
    /// Outer axes that are passed through.
    pub lead: Axes,
    /// Channel groups.
    pub groups: Axes,
    /// Output channels of one group.
    pub outputs: Axes,
    /// Input channels of one group: the summed axes.
    pub inputs: Axes,
    /// Spatial axes. A [`MapAxis::Window`]'s taps have weight 1 here: tap `t` is an axis of
    /// the weight tensor.
    #[serde(deserialize_with = "bounded::<_, _, MAX_AXES>")]
    pub windows: Vec<MapAxis>,
    /// The weight tensor `[groups.., outputs.., inputs.., taps..]`.
    pub weight: WeightId,
    /// The bias `[groups.., outputs..]`, if any.
    pub bias: Option<BiasId>,
}

/// Shape of a weight tensor `[groups, outputs, inputs, taps]`, dense and row-major.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WeightShape {
    /// Physical axes of the groups.
    pub groups: Axes,
    /// Physical axes of the outputs of one group.
    pub outputs: Axes,
    /// Physical axes of the inputs of one group.
    pub inputs: Axes,
    /// Taps per window axis (1 for [`MapAxis::Keep`]).
    pub taps: Axes,
}

/// `Y[i..] = sum_{t..} (prod weight_t) * (prod coef_i) * X~[x(i, t)..]`, the product over axes,
/// where `X~` is `X` extended by `fill` outside its axes. A [`MapAxis::Matrix`] has the entries of
/// row `i` for taps: they lie inside its axis, and a row without entries gives 0.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Map {
    /// One entry per axis of the input.
    #[serde(deserialize_with = "bounded::<_, _, MAX_AXES>")]
    pub axes: Vec<MapAxis>,
    /// What taps outside the input read.
    pub fill: i64,
}

/// What a map does to one axis.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum MapAxis {
    /// The axis of this length is passed through.
    Keep(usize),
    /// A sliding window: tap `t` of output `i` reads input `stride * i + offset_t`.
    Window {
        /// Length of the input's axis.
        input: usize,
        /// Length of the output's axis.
        output: usize,
        /// Step between outputs.
        stride: i64,
        /// The taps, at least one.
        taps: Vec<Tap>,
        /// One factor per output, or empty for all ones.
        coefs: Vec<i64>,
    },
    /// A public sparse matrix: `Y[i] = sum over entries with to = i of weight * X[from]`. Only in
    /// a [`Map`].
    Matrix {
        /// Length of the input's axis.
        input: usize,
        /// Length of the output's axis.
        output: usize,
        /// The entries, sorted by `(to, from)`, none twice.
        #[serde(deserialize_with = "bounded::<_, _, MAX_ENTRIES>")]
        entries: Vec<Entry>,
    },
}

/// One entry of a sparse matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Entry {
    /// Output.
    pub to: u32,
    /// Input.
    pub from: u32,
    /// Factor, not 0.
    pub weight: i64,
}

/// One tap of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Tap {
    /// Position relative to `stride * i`.
    pub offset: i64,
    /// Factor.
    pub weight: i64,
}

impl MapAxis {
    /// Length of the input's axis.
    pub fn input(&self) -> usize {
        match self {
            Self::Keep(n) => *n,
            Self::Window { input, .. } | Self::Matrix { input, .. } => *input,
        }
    }

    /// Length of the output's axis.
    pub fn output(&self) -> usize {
        match self {
            Self::Keep(n) => *n,
            Self::Window { output, .. } | Self::Matrix { output, .. } => *output,
        }
    }

    /// Number of taps of a window; 1 for all others.
    pub fn taps(&self) -> usize {
        match self {
            Self::Keep(_) | Self::Matrix { .. } => 1,
            Self::Window { taps, .. } => taps.len(),
        }
    }

    /// Whether some tap of some output falls outside the input.
    pub fn reads_outside(&self) -> bool {
        let Self::Window {
            input,
            output,
            stride,
            taps,
            ..
        } = self
        else {
            return false;
        };
        let inside = 0..*input as i128;
        let last = i128::from(*stride) * (*output as i128 - 1);
        taps.iter().any(|tap| {
            let first = i128::from(tap.offset);
            !inside.contains(&first) || !inside.contains(&(first + last))
        })
    }
}

impl Affine {
    /// View of the input.
    pub fn input_axes(&self) -> Axes {
        let windows = self.windows.iter().map(MapAxis::input);
        let channels = self.lead.iter().chain(&self.groups).chain(&self.inputs);
        channels.copied().chain(windows).collect()
    }

    /// View of the output.
    pub fn output_axes(&self) -> Axes {
        let windows = self.windows.iter().map(MapAxis::output);
        let channels = self.lead.iter().chain(&self.groups).chain(&self.outputs);
        channels.copied().chain(windows).collect()
    }

    /// Number of rows `(g, o)` of the weight tensor: groups times outputs.
    pub fn rows(&self) -> usize {
        self.groups.iter().chain(&self.outputs).product()
    }

    /// Shape of the weight tensor.
    pub fn weight_shape(&self) -> WeightShape {
        WeightShape {
            groups: self.groups.clone(),
            outputs: self.outputs.clone(),
            inputs: self.inputs.clone(),
            taps: self.windows.iter().map(MapAxis::taps).collect(),
        }
    }
}

impl WeightShape {
    /// Number of weights.
    pub fn len(&self) -> usize {
        [&self.groups, &self.outputs, &self.inputs, &self.taps]
            .into_iter()
            .flatten()
            .product()
    }

    /// Whether there are no weights.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
