//! Chooses how an affine layer runs.

use super::conv::Conv;
use super::dense::Dense;
use super::depthwise::{Depthwise, Scale};
use super::direct::Direct;
use super::grid::Grid;
use super::kernel::Lane;
use super::packed::Exactness;
use super::window::{Planes, Window, merged};
use crate::int::{Affine, Interval, Ints};
use std::fmt;

/// An affine layer made ready to run.
pub(super) trait Layer: fmt::Debug + Send + Sync {
    /// Overwrites `y`, for inputs `x` of any number of inferences.
    fn run(&self, x: &Ints, y: &mut Ints);
}

/// Products of the axes of an [`Affine`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) groups: usize,
    /// Per group.
    pub(super) outputs: usize,
    /// Per group.
    pub(super) inputs: usize,
}

/// The layer for inputs in `input` and outputs in `output`.
pub(super) fn layer(
    affine: &Affine,
    weights: &[i32],
    bias: Option<&[i64]>,
    input: Interval,
    output: Interval,
) -> Box<dyn Layer> {
    let shape = Shape {
        groups: affine.groups.iter().product(),
        outputs: affine.outputs.iter().product(),
        inputs: affine.inputs.iter().product(),
    };
    let bias = bias.map_or_else(|| vec![0; affine.rows()], <[i64]>::to_vec);
    let windows = merged(&affine.windows);
    let scalar = shape.outputs == 1 && shape.inputs == 1;
    if scalar && windows.iter().all(Window::is_identity) {
        return Box::new(Scale {
            shape,
            plane: windows.iter().map(|w| w.output).product(),
            weights: weights.to_vec(),
            bias,
        });
    }
    let exact = exactness(input, output);
    let product = if scalar {
        Grid::new(&windows).map(|grid| {
            Box::new(Depthwise {
                grid,
                weights: weights.to_vec(),
                bias: bias.clone(),
            }) as Box<dyn Layer>
        })
    } else {
        product_of(bits(input), shape, &windows, weights, &bias, exact)
    };
    product.unwrap_or_else(|| Box::new(Direct::new(shape, Planes::new(&windows), weights, bias)))
}

/// A dense layer without bias, if a kernel takes it.
pub(super) fn dense(
    shape: Shape,
    weights: &[i32],
    input: Interval,
    output: Interval,
) -> Option<Box<dyn Layer>> {
    let bias = vec![0; shape.groups * shape.outputs];
    let exact = exactness(input, output);
    product_of(bits(input), shape, &[], weights, &bias, exact)
}

fn exactness(input: Interval, output: Interval) -> Exactness {
    Exactness {
        input: input.max_abs(),
        bits: bits(output),
    }
}

/// The product of inputs with cells of `bits` bits in the narrowest lanes that serve.
fn product_of(
    bits: u32,
    shape: Shape,
    windows: &[Window],
    weights: &[i32],
    bias: &[i64],
    exact: Exactness,
) -> Option<Box<dyn Layer>> {
    match bits {
        16 => product::<i16>(shape, windows, weights, bias, exact)
            .or_else(|| product::<i32>(shape, windows, weights, bias, exact)),
        32 => product::<i32>(shape, windows, weights, bias, exact),
        _ => product::<i64>(shape, windows, weights, bias, exact),
    }
}

fn product<L: Lane>(
    shape: Shape,
    windows: &[Window],
    weights: &[i32],
    bias: &[i64],
    exact: Exactness,
) -> Option<Box<dyn Layer>> {
    if windows.is_empty() {
        let dense = Dense::<L>::new(shape, weights, bias, exact)?;
        return Some(Box::new(dense));
    }
    let conv = Conv::<L>::new(shape, Grid::new(windows)?, weights, bias, exact)?;
    Some(Box::new(conv))
}

/// Bits of a cell of a tensor with this interval.
fn bits(interval: Interval) -> u32 {
    match Ints::zeros(interval, 0) {
        Ints::I16(_) => 16,
        Ints::I32(_) => 32,
        Ints::I64(_) => 64,
    }
}
