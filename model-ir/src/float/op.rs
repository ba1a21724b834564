//! The operators of the float graph, with their shape rules.

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

/// An elementwise nonlinearity.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Activation {
    /// `max(x, 0)`
    Relu,
    /// `x` if `x >= 0`, else `alpha * x`
    LeakyRelu {
        /// Slope on the negative side.
        alpha: f32,
    },
    /// `min(max(x, lo), hi)`; the bounds may be infinite.
    Clip {
        /// Lower bound.
        lo: f32,
        /// Upper bound.
        hi: f32,
    },
    /// `1 / (1 + exp(-x))`
    Sigmoid,
    /// `tanh(x)`
    Tanh,
}

/// An operator with its constants. Activations are its inputs, in order; weights are inside.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// A model input.
    Input,
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
}

impl Op {
    /// Every constant that must be finite.
    pub(crate) fn constants(&self) -> impl Iterator<Item = f32> + '_ {
        let (first, second, scalar) = match self {
            Self::Dense { weight, bias } | Self::Conv { weight, bias, .. } => {
                (Some(weight), bias.as_ref(), None)
            }
            Self::Affine { scale, shift } => (Some(scale), Some(shift), None),
            Self::Pad { value, .. } => (None, None, Some(*value)),
            _ => (None, None, None),
        };
        let arrays = first.into_iter().chain(second);
        arrays.flat_map(|a| a.iter().copied()).chain(scalar)
    }
}
