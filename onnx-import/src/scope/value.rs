//! What a name of the ONNX graph stands for while it is imported.

use std::rc::Rc;

use ndarray::ArrayD;
use zkstrata_model_ir::float::ValueId;

use crate::Error;
use crate::decode::tensor::{Cells, Tensor};

/// The value of an ONNX name.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    /// Known at import time.
    Constant(Constant),
    /// Depends on the model's inputs.
    Activation(ValueId),
}

/// A constant tensor and the name by which messages call it.
#[derive(Clone, Debug)]
pub(crate) struct Constant {
    /// The initializer, or the value that folding produced.
    pub(crate) name: Rc<str>,
    /// The tensor; shared by all its readers.
    pub(crate) tensor: Rc<Tensor>,
}

/// The kind of a tensor's elements; widths are not told apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Element {
    /// Real numbers.
    Float,
    /// Integers. They are not reduced modulo the width of their type.
    Int,
    /// Truth values: 1 and 0.
    Bool,
    /// Integers, carried as the real numbers that they stand for.
    Quantised(Quantum),
    /// Real numbers, some of which are masked.
    Masked(MaskId),
    /// Numbers in a unit that depends on the input.
    Dynamic(Dynamic),
}

/// A power of the scale of integers that are quantised by their own range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dynamic {
    /// Which quantisation.
    pub(crate) of: usize,
    /// -1 for steps, 1 for the scale.
    pub(crate) power: i8,
}

/// A mask of the import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MaskId(pub(crate) usize);

/// How an integer `q` stands for the real number `scale (q - zero)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Quantum {
    /// Positive.
    pub(crate) scale: f32,
    /// An integer.
    pub(crate) zero: f32,
}

impl Element {
    /// The cells of an empty tensor.
    pub(crate) fn no_cells(self) -> Cells {
        match self {
            Self::Float | Self::Masked(_) | Self::Dynamic(_) => Cells::Float(vec![]),
            Self::Int | Self::Quantised(_) => Cells::Int(vec![]),
            Self::Bool => Cells::Bool(vec![]),
        }
    }

    /// The kind, whether or not cells are masked.
    pub(crate) fn unmasked(self) -> Self {
        match self {
            Self::Masked(_) => Self::Float,
            other => other,
        }
    }

    /// The kind, for messages.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Float | Self::Masked(_) | Self::Dynamic(_) => "float",
            Self::Int => "integer",
            Self::Bool => "bool",
            Self::Quantised(_) => "quantised",
        }
    }
}

impl Cells {
    /// The kind of the elements.
    pub(crate) fn element(&self) -> Element {
        match self {
            Self::Float(_) => Element::Float,
            Self::Int(_) => Element::Int,
            Self::Bool(_) => Element::Bool,
        }
    }

    /// The element type, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        self.element().name()
    }
}

impl Constant {
    /// Names a tensor.
    pub(crate) fn new(name: &str, tensor: Tensor) -> Self {
        Self {
            name: name.into(),
            tensor: Rc::new(tensor),
        }
    }

    /// The tensor, copied only if it has other readers.
    pub(crate) fn into_tensor(self) -> Tensor {
        Rc::unwrap_or_clone(self.tensor)
    }

    /// The tensor as numbers of single precision: finite, and integers exact.
    pub(crate) fn into_weight(self) -> Result<ArrayD<f32>, Error> {
        let name = self.name.clone();
        match self.into_tensor().into_floats() {
            Ok(weight) => finite(&name, weight),
            Err(whole) => {
                let shape = whole.shape().to_vec();
                let cells = match whole.into_cells() {
                    Cells::Int(cells) => exact(&name, &cells)?,
                    Cells::Bool(cells) => cells.into_iter().map(f32::from).collect(),
                    Cells::Float(cells) => cells,
                };
                let array = ArrayD::from_shape_vec(shape, cells);
                Ok(array.expect("as many cells as before"))
            }
        }
    }
}

/// Integers as numbers of single precision, which has all up to 2^24.
fn exact(name: &str, cells: &[i64]) -> Result<Vec<f32>, Error> {
    match cells.iter().find(|n| n.unsigned_abs() > EXACT) {
        None => Ok(cells.iter().map(|&n| n as f32).collect()),
        Some(n) => Err(Error::BadTensor {
            tensor: name.into(),
            reason: format!(
                "the integer {n} takes part in arithmetic, which is exact up to {EXACT}: export \
                 the model with smaller integers"
            ),
        }),
    }
}

/// The largest integer below which single precision has all.
pub(crate) const EXACT: u64 = 1 << 24;

/// Checks that derived or stored weights are finite.
pub(crate) fn finite(name: &str, weight: ArrayD<f32>) -> Result<ArrayD<f32>, Error> {
    match weight.iter().enumerate().find(|(_, x)| !x.is_finite()) {
        None => Ok(weight),
        Some((index, &x)) => Err(Error::NonFinite {
            name: name.into(),
            index,
            value: x.into(),
            reader: None,
        }),
    }
}
