//! The operators of the float graph, with their shape rules.

use super::activation::Activation;
use ndarray::ArrayD;

/// A sliding window along one spatial axis: tap `a` of output `i` reads input
/// `stride * i + dilation * a - pad_begin`; outside `0..input` it reads padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Number of taps.
    pub kernel: usize,
    /// Step between outputs.
    pub stride: usize,
    /// Step between taps.
    pub dilation: usize,
    /// Padding before the first element.
    pub pad_begin: usize,
    /// Padding after the last element (already raised for `ceil_mode`).
    pub pad_end: usize,
}

/// The aggregate of a pooling window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolKind {
    /// The maximum over the taps inside the input.
    Max,
    /// The mean over the taps inside the input.
    AverageInside,
    /// The sum over the taps inside the input divided by the window's size, taps in the explicit
    /// padding included.
    AveragePadded,
}

/// A bilinear operator of two tensors, an einsum: axes are named by labels, and
/// `Y[output] = sum over the labels that are not in the output of A[left] B[right]`.
///
/// No label occurs twice in a list, and each occurs in at least two of the three.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contract {
    /// Labels of the first operand's axes.
    pub left: Vec<usize>,
    /// Labels of the second operand's axes.
    pub right: Vec<usize>,
    /// Labels of the result's axes.
    pub output: Vec<usize>,
}

/// What a linear map does to one axis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AxisMap {
    /// The axis is passed through.
    Keep,
    /// The axis is multiplied by a matrix.
    Matrix(AxisMatrix),
}

/// A sparse matrix of rational numbers with one denominator:
/// `Y[i] = 1 / divisor * sum over the entries (i, x, w) of w X[x]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AxisMatrix {
    /// Length of the operand's axis.
    pub input: usize,
    /// Length of the result's axis.
    pub output: usize,
    /// `(output index, input index, weight)`, ascending; no pair of indices occurs twice and no
    /// weight is 0.
    pub entries: Vec<(u32, u32, i64)>,
    /// The denominator, positive.
    pub divisor: i64,
}

/// What is read of cells of which some may be missing: those are NaN.
#[derive(Clone, Debug, PartialEq)]
pub enum Missing {
    /// 1 where the cell is missing, else 0.
    Is,
    /// The cell, or a number in place of one that is missing.
    Replaced {
        /// Broadcastable to the shape of `X`.
        by: ArrayD<f32>,
    },
}

/// An operator with its constants. Activations are its inputs, in order; weights are inside.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// A model input.
    Input {
        /// Whether its cells are integers (indices, truth values) and not real numbers.
        integral: bool,
    },
    /// A tensor that does not depend on the inputs. No operands.
    Constant {
        /// Its cells.
        value: ArrayD<f32>,
    },
    /// `Y[.., n] = sum_k X[.., k] W[k, n] + b[n]` along the last axis.
    Dense {
        /// Shape `[K, N]`.
        weight: ArrayD<f32>,
        /// Shape `[N]`.
        bias: Option<ArrayD<f32>>,
    },
    /// ONNX convolution of `X[N, C, spatial..]`, one or two spatial axes.
    Conv {
        /// Shape `[O, C / groups, kernel..]`.
        weight: ArrayD<f32>,
        /// Shape `[O]`.
        bias: Option<ArrayD<f32>>,
        /// Number of channel groups.
        groups: usize,
        /// One window per spatial axis.
        windows: Vec<Window>,
    },
    /// `Y = X * scale + shift`, both broadcast to the shape of `X` by ONNX's rules (this is also
    /// `BatchNormalization` and arithmetic with a constant). The result has the shape of `X`.
    Affine {
        /// Broadcastable to the shape of `X`.
        scale: ArrayD<f32>,
        /// Broadcastable to the shape of `X`.
        shift: ArrayD<f32>,
    },
    /// An elementwise nonlinearity.
    Activation(Activation),
    /// Pooling over the spatial axes of `X[N, C, spatial..]`. Global pooling is a window of the
    /// input's size.
    Pool {
        /// The aggregate.
        kind: PoolKind,
        /// One window per spatial axis.
        windows: Vec<Window>,
    },
    /// `X + Y`, two activations of equal shape.
    Add,
    /// `X - Y`, two activations of equal shape.
    Sub,
    /// The same elements in row-major order under another shape (also Flatten, Squeeze,
    /// Unsqueeze).
    Reshape {
        /// The new shape.
        shape: Vec<usize>,
    },
    /// Output axis `i` is input axis `perm[i]`.
    Transpose {
        /// A permutation of the axes.
        perm: Vec<usize>,
    },
    /// Concatenation of any number of inputs.
    Concat {
        /// The axis.
        axis: usize,
    },
    /// Constant padding; negative amounts crop.
    Pad {
        /// Elements added before and after, per axis.
        pads: Vec<(i64, i64)>,
        /// The padding's value.
        value: f32,
    },
    /// A bilinear operator of two tensors; see [`Contract`].
    Contract(Contract),
    /// A linear map with constant rational coefficients, separable over the axes: one entry per
    /// axis.
    Map(Vec<AxisMap>),
    /// `Y[i] = X[indices[i]]` on row-major positions.
    Take {
        /// One position of the operand per cell.
        indices: Vec<u32>,
        /// The result's shape.
        shape: Vec<usize>,
    },
    /// `max(X, Y)`, elementwise, of equal shapes.
    Max,
    /// The maximum along an axis, which stays with length 1.
    Maximum {
        /// The axis.
        axis: usize,
    },
    /// What is known of cells that may be missing. Nothing else may read them but what
    /// [carries](Op::carries) them here.
    Missing(Missing),
}

impl Op {
    /// The cells of a constant.
    pub(crate) fn constant(&self) -> Option<&ArrayD<f32>> {
        let Self::Constant { value } = self else {
            return None;
        };
        Some(value)
    }

    /// Every constant that must be finite.
    pub(crate) fn constants(&self) -> impl Iterator<Item = f32> + '_ {
        let (first, second, scalar) = match self {
            Self::Dense { weight, bias } | Self::Conv { weight, bias, .. } => {
                (Some(weight), bias.as_ref(), None)
            }
            Self::Affine { scale, shift } => (Some(scale), Some(shift), None),
            Self::Constant { value } => (Some(value), None, None),
            Self::Pad { value, .. } => (None, None, Some(*value)),
            Self::Missing(Missing::Replaced { by }) => (Some(by), None, None),
            _ => (None, None, None),
        };
        let arrays = first.into_iter().chain(second);
        arrays.flat_map(|a| a.iter().copied()).chain(scalar)
    }

    /// Whether every cell of the result follows from one cell of every operand, and is no number if
    /// one of those is none.
    pub fn is_cellwise(&self) -> bool {
        match self {
            Self::Map(_)
            | Self::Reshape { .. }
            | Self::Transpose { .. }
            | Self::Take { .. }
            | Self::Concat { .. } => self.carries(),
            Self::Affine { .. } | Self::Activation(_) | Self::Add | Self::Sub => true,
            Self::Contract(Contract {
                left,
                right,
                output,
            }) => left == output && right == output,
            Self::Input { .. }
            | Self::Constant { .. }
            | Self::Dense { .. }
            | Self::Conv { .. }
            | Self::Pool { .. }
            | Self::Pad { .. }
            | Self::Max
            | Self::Maximum { .. }
            | Self::Missing(_) => false,
        }
    }

    /// Whether every cell of the result is one of an operand, as it is, or 0: a missing cell stays
    /// one.
    pub fn carries(&self) -> bool {
        match self {
            Self::Map(axes) => axes.iter().all(AxisMap::moves),
            Self::Reshape { .. }
            | Self::Transpose { .. }
            | Self::Take { .. }
            | Self::Concat { .. } => true,
            Self::Input { .. }
            | Self::Constant { .. }
            | Self::Dense { .. }
            | Self::Conv { .. }
            | Self::Affine { .. }
            | Self::Activation(_)
            | Self::Pool { .. }
            | Self::Add
            | Self::Sub
            | Self::Pad { .. }
            | Self::Contract(_)
            | Self::Max
            | Self::Maximum { .. }
            | Self::Missing(_) => false,
        }
    }
}

impl AxisMatrix {
    /// `Y[i] = X[sources[i]]`
    pub fn select(input: usize, sources: &[usize]) -> Self {
        let entries = sources.iter().enumerate();
        Self {
            input,
            output: sources.len(),
            entries: entries.map(|(i, &x)| (i as u32, x as u32, 1)).collect(),
            divisor: 1,
        }
    }

    /// `Y[0] = sum_x X[x]`, divided by `divisor`
    pub fn sum(input: usize, divisor: i64) -> Self {
        Self {
            input,
            output: 1,
            entries: (0..input as u32).map(|x| (0, x, 1)).collect(),
            divisor,
        }
    }

    /// Whether every cell of the result is one of the operand.
    pub fn selects(&self) -> bool {
        let ones = self.entries.iter().all(|&(_, _, w)| w == self.divisor);
        let rows = self.entries.iter().map(|&(i, _, _)| i as usize);
        ones && rows.eq(0..self.output)
    }
}

impl AxisMap {
    /// Whether every cell of the result is one of the operand, or 0.
    pub(crate) fn moves(&self) -> bool {
        match self {
            Self::Keep => true,
            Self::Matrix(m) => {
                let ones = m.entries.iter().all(|&(_, _, w)| w == m.divisor);
                ones && m.entries.windows(2).all(|pair| pair[0].0 != pair[1].0)
            }
        }
    }

    /// Whether no coefficient is negative.
    pub(crate) fn is_nonnegative(&self) -> bool {
        match self {
            Self::Keep => true,
            Self::Matrix(m) => m.entries.iter().all(|&(_, _, w)| w >= 0),
        }
    }
}
