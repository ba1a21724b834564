//! What kind of operator each float operator is: the questions that several passes ask.
//!
//! Every question is one exhaustive match, so that a new operator does not compile before each of
//! them has been answered for it. A rule that only one pass has stands in that pass, and is an
//! exhaustive match as well.

use crate::float::{Activation, AxisMap, Contract, Op, PoolKind};
use ndarray::ArrayD;

impl Op {
    /// The elementwise function.
    pub(super) fn activation(&self) -> Option<Activation> {
        let Self::Activation(f) = self else {
            return None;
        };
        Some(*f)
    }

    /// The factors and the shifts of an affine map.
    pub(super) fn affine(&self) -> Option<(&ArrayD<f32>, &ArrayD<f32>)> {
        let Self::Affine { scale, shift } = self else {
            return None;
        };
        Some((scale, shift))
    }

    /// The labels of a product of activations.
    pub(super) fn contract(&self) -> Option<&Contract> {
        let Self::Contract(labels) = self else {
            return None;
        };
        Some(labels)
    }

    /// What a linear map does to each axis.
    pub(super) fn map(&self) -> Option<&[AxisMap]> {
        let Self::Map(axes) = self else {
            return None;
        };
        Some(axes)
    }

    /// Whether the model quantises its operand itself.
    pub(super) fn quantises(&self) -> bool {
        self.activation().is_some_and(Activation::quantises)
    }

    /// The factor of an affine map that has one for all cells, other than 0.
    pub(super) fn uniform(&self) -> Option<f64> {
        let (scale, _) = self.affine()?;
        let first = *scale.iter().next()?;
        let same = scale.iter().all(|s| s.to_bits() == first.to_bits());
        (same && first != 0.0).then_some(f64::from(first))
    }

    /// The factor of an affine map that is nothing but that.
    pub(super) fn factor(&self) -> Option<f64> {
        let (_, shift) = self.affine()?;
        self.uniform()
            .filter(|_| shift.iter().all(|&shift| shift == 0.0))
    }

    /// The layer with other weights.
    pub(super) fn with_weights(&self, weight: ArrayD<f32>, bias: Option<ArrayD<f32>>) -> Self {
        match self {
            Self::Dense { .. } => Self::Dense { weight, bias },
            Self::Conv {
                groups, windows, ..
            } => Self::Conv {
                weight,
                bias,
                groups: *groups,
                windows: windows.clone(),
            },
            Self::Input { .. }
            | Self::Constant { .. }
            | Self::Affine { .. }
            | Self::Activation(_)
            | Self::Pool { .. }
            | Self::Add
            | Self::Sub
            | Self::Reshape { .. }
            | Self::Transpose { .. }
            | Self::Concat { .. }
            | Self::Pad { .. }
            | Self::Contract(_)
            | Self::Map(_)
            | Self::Take { .. }
            | Self::Missing(_)
            | Self::Max
            | Self::Maximum { .. } => unreachable!("asked of layers only"),
        }
    }

    /// Whether it is a model input.
    pub(super) fn is_input(&self) -> bool {
        match self {
            Self::Input { .. } => true,
            Self::Constant { .. }
            | Self::Dense { .. }
            | Self::Conv { .. }
            | Self::Affine { .. }
            | Self::Activation(_)
            | Self::Pool { .. }
            | Self::Add
            | Self::Sub
            | Self::Reshape { .. }
            | Self::Transpose { .. }
            | Self::Concat { .. }
            | Self::Pad { .. }
            | Self::Contract(_)
            | Self::Map(_)
            | Self::Take { .. }
            | Self::Missing(_)
            | Self::Max
            | Self::Maximum { .. } => false,
        }
    }

    /// Whether it is a model input of integers.
    pub(super) fn is_integral_input(&self) -> bool {
        match self {
            Self::Input { integral } => *integral,
            Self::Constant { .. }
            | Self::Dense { .. }
            | Self::Conv { .. }
            | Self::Affine { .. }
            | Self::Activation(_)
            | Self::Pool { .. }
            | Self::Add
            | Self::Sub
            | Self::Reshape { .. }
            | Self::Transpose { .. }
            | Self::Concat { .. }
            | Self::Pad { .. }
            | Self::Contract(_)
            | Self::Map(_)
            | Self::Take { .. }
            | Self::Missing(_)
            | Self::Max
            | Self::Maximum { .. } => false,
        }
    }

    /// Whether its cells are given and not computed.
    pub(super) fn is_given(&self) -> bool {
        match self {
            Self::Input { .. } | Self::Constant { .. } => true,
            Self::Dense { .. }
            | Self::Conv { .. }
            | Self::Affine { .. }
            | Self::Activation(_)
            | Self::Pool { .. }
            | Self::Add
            | Self::Sub
            | Self::Reshape { .. }
            | Self::Transpose { .. }
            | Self::Concat { .. }
            | Self::Pad { .. }
            | Self::Contract(_)
            | Self::Map(_)
            | Self::Take { .. }
            | Self::Missing(_)
            | Self::Max
            | Self::Maximum { .. } => false,
        }
    }

    /// Whether its result is made small where it is produced.
    pub(super) fn is_source(&self) -> bool {
        match self {
            Self::Input { .. } | Self::Constant { .. } | Self::Activation(_) | Self::Pad { .. } => {
                true
            }
            Self::Dense { .. }
            | Self::Conv { .. }
            | Self::Affine { .. }
            | Self::Pool { .. }
            | Self::Add
            | Self::Sub
            | Self::Reshape { .. }
            | Self::Transpose { .. }
            | Self::Concat { .. }
            | Self::Contract(_)
            | Self::Map(_)
            | Self::Take { .. }
            | Self::Missing(_)
            | Self::Max
            | Self::Maximum { .. } => false,
        }
    }

    /// Whether each cell is a sum over cells of the operand with weights.
    pub(super) fn is_layer(&self) -> bool {
        match self {
            Self::Dense { .. } | Self::Conv { .. } => true,
            Self::Input { .. }
            | Self::Constant { .. }
            | Self::Affine { .. }
            | Self::Activation(_)
            | Self::Pool { .. }
            | Self::Add
            | Self::Sub
            | Self::Reshape { .. }
            | Self::Transpose { .. }
            | Self::Concat { .. }
            | Self::Pad { .. }
            | Self::Contract(_)
            | Self::Map(_)
            | Self::Take { .. }
            | Self::Missing(_)
            | Self::Max
            | Self::Maximum { .. } => false,
        }
    }

    /// Whether it has weights: a layer, or a factor and a shift.
    pub(super) fn is_linear(&self) -> bool {
        match self {
            Self::Dense { .. } | Self::Conv { .. } | Self::Affine { .. } => true,
            Self::Input { .. }
            | Self::Constant { .. }
            | Self::Activation(_)
            | Self::Pool { .. }
            | Self::Add
            | Self::Sub
            | Self::Reshape { .. }
            | Self::Transpose { .. }
            | Self::Concat { .. }
            | Self::Pad { .. }
            | Self::Contract(_)
            | Self::Map(_)
            | Self::Take { .. }
            | Self::Missing(_)
            | Self::Max
            | Self::Maximum { .. } => false,
        }
    }

    /// Whether it is the sum or the difference of two values.
    pub(super) fn adds(&self) -> bool {
        match self {
            Self::Add | Self::Sub => true,
            Self::Input { .. }
            | Self::Constant { .. }
            | Self::Dense { .. }
            | Self::Conv { .. }
            | Self::Affine { .. }
            | Self::Activation(_)
            | Self::Pool { .. }
            | Self::Reshape { .. }
            | Self::Transpose { .. }
            | Self::Concat { .. }
            | Self::Pad { .. }
            | Self::Contract(_)
            | Self::Map(_)
            | Self::Take { .. }
            | Self::Missing(_)
            | Self::Max
            | Self::Maximum { .. } => false,
        }
    }

    /// Whether it is the difference of two values.
    pub(super) fn subtracts(&self) -> bool {
        match self {
            Self::Sub => true,
            Self::Input { .. }
            | Self::Constant { .. }
            | Self::Dense { .. }
            | Self::Conv { .. }
            | Self::Affine { .. }
            | Self::Activation(_)
            | Self::Pool { .. }
            | Self::Add
            | Self::Reshape { .. }
            | Self::Transpose { .. }
            | Self::Concat { .. }
            | Self::Pad { .. }
            | Self::Contract(_)
            | Self::Map(_)
            | Self::Take { .. }
            | Self::Missing(_)
            | Self::Max
            | Self::Maximum { .. } => false,
        }
    }

    /// Whether it brings cells of several values together in one scale.
    pub(super) fn joins(&self) -> bool {
        match self {
            Self::Add | Self::Sub | Self::Concat { .. } | Self::Max => true,
            Self::Input { .. }
            | Self::Constant { .. }
            | Self::Dense { .. }
            | Self::Conv { .. }
            | Self::Affine { .. }
            | Self::Activation(_)
            | Self::Pool { .. }
            | Self::Reshape { .. }
            | Self::Transpose { .. }
            | Self::Pad { .. }
            | Self::Contract(_)
            | Self::Map(_)
            | Self::Take { .. }
            | Self::Missing(_)
            | Self::Maximum { .. } => false,
        }
    }

    /// Whether it takes means, whose steps are finer than those of the operand.
    pub(super) fn averages(&self) -> bool {
        match self {
            Self::Pool { kind, .. } => match kind {
                PoolKind::AverageInside | PoolKind::AveragePadded => true,
                PoolKind::Max => false,
            },
            Self::Input { .. }
            | Self::Constant { .. }
            | Self::Dense { .. }
            | Self::Conv { .. }
            | Self::Affine { .. }
            | Self::Activation(_)
            | Self::Add
            | Self::Sub
            | Self::Reshape { .. }
            | Self::Transpose { .. }
            | Self::Concat { .. }
            | Self::Pad { .. }
            | Self::Contract(_)
            | Self::Map(_)
            | Self::Take { .. }
            | Self::Missing(_)
            | Self::Max
            | Self::Maximum { .. } => false,
        }
    }

    /// Whether it multiplies activations.
    pub(super) fn multiplies(&self) -> bool {
        match self {
            Self::Contract(_) => true,
            Self::Input { .. }
            | Self::Constant { .. }
            | Self::Dense { .. }
            | Self::Conv { .. }
            | Self::Affine { .. }
            | Self::Activation(_)
            | Self::Pool { .. }
            | Self::Add
            | Self::Sub
            | Self::Reshape { .. }
            | Self::Transpose { .. }
            | Self::Concat { .. }
            | Self::Pad { .. }
            | Self::Map(_)
            | Self::Take { .. }
            | Self::Missing(_)
            | Self::Max
            | Self::Maximum { .. } => false,
        }
    }

    /// Whether it compares the cells of its operand with each other along an axis.
    pub(super) fn reduces_to_maximum(&self) -> bool {
        match self {
            Self::Maximum { .. } => true,
            Self::Input { .. }
            | Self::Constant { .. }
            | Self::Dense { .. }
            | Self::Conv { .. }
            | Self::Affine { .. }
            | Self::Activation(_)
            | Self::Pool { .. }
            | Self::Add
            | Self::Sub
            | Self::Reshape { .. }
            | Self::Transpose { .. }
            | Self::Concat { .. }
            | Self::Pad { .. }
            | Self::Contract(_)
            | Self::Map(_)
            | Self::Take { .. }
            | Self::Missing(_)
            | Self::Max => false,
        }
    }

    /// Whether its cells are the larger ones of several.
    pub(super) fn takes_larger(&self) -> bool {
        match self {
            Self::Max | Self::Maximum { .. } => true,
            Self::Input { .. }
            | Self::Constant { .. }
            | Self::Dense { .. }
            | Self::Conv { .. }
            | Self::Affine { .. }
            | Self::Activation(_)
            | Self::Pool { .. }
            | Self::Add
            | Self::Sub
            | Self::Reshape { .. }
            | Self::Transpose { .. }
            | Self::Concat { .. }
            | Self::Pad { .. }
            | Self::Contract(_)
            | Self::Map(_)
            | Self::Take { .. }
            | Self::Missing(_) => false,
        }
    }

    /// Whether windows slide over its operand without weights.
    pub(super) fn pools(&self) -> bool {
        match self {
            Self::Pool { .. } => true,
            Self::Input { .. }
            | Self::Constant { .. }
            | Self::Dense { .. }
            | Self::Conv { .. }
            | Self::Affine { .. }
            | Self::Activation(_)
            | Self::Add
            | Self::Sub
            | Self::Reshape { .. }
            | Self::Transpose { .. }
            | Self::Concat { .. }
            | Self::Pad { .. }
            | Self::Contract(_)
            | Self::Map(_)
            | Self::Take { .. }
            | Self::Missing(_)
            | Self::Max
            | Self::Maximum { .. } => false,
        }
    }

    /// Whether every cell of the result is one of its only operand, or 0: they are rearranged, or some
    /// of them taken.
    pub(super) fn moves(&self) -> bool {
        match self {
            Self::Map(axes) => axes.iter().all(AxisMap::moves),
            Self::Reshape { .. } | Self::Transpose { .. } | Self::Take { .. } => true,
            Self::Input { .. }
            | Self::Constant { .. }
            | Self::Dense { .. }
            | Self::Conv { .. }
            | Self::Affine { .. }
            | Self::Activation(_)
            | Self::Pool { .. }
            | Self::Add
            | Self::Sub
            | Self::Concat { .. }
            | Self::Pad { .. }
            | Self::Contract(_)
            | Self::Max
            | Self::Maximum { .. }
            | Self::Missing(_) => false,
        }
    }

    /// The same, where none is 0.
    pub(super) fn selects(&self) -> bool {
        match self {
            Self::Map(axes) => axes.iter().all(AxisMap::selects),
            Self::Reshape { .. } | Self::Transpose { .. } | Self::Take { .. } => true,
            Self::Input { .. }
            | Self::Constant { .. }
            | Self::Dense { .. }
            | Self::Conv { .. }
            | Self::Affine { .. }
            | Self::Activation(_)
            | Self::Pool { .. }
            | Self::Add
            | Self::Sub
            | Self::Concat { .. }
            | Self::Pad { .. }
            | Self::Contract(_)
            | Self::Max
            | Self::Maximum { .. }
            | Self::Missing(_) => false,
        }
    }

    /// Whether it is a linear map that adds cells; the others only move them.
    pub(super) fn adds_cells(&self) -> bool {
        match self {
            Self::Map(axes) => !axes.iter().all(AxisMap::moves),
            Self::Input { .. }
            | Self::Constant { .. }
            | Self::Dense { .. }
            | Self::Conv { .. }
            | Self::Affine { .. }
            | Self::Activation(_)
            | Self::Pool { .. }
            | Self::Add
            | Self::Sub
            | Self::Reshape { .. }
            | Self::Transpose { .. }
            | Self::Concat { .. }
            | Self::Pad { .. }
            | Self::Contract(_)
            | Self::Take { .. }
            | Self::Missing(_)
            | Self::Max
            | Self::Maximum { .. } => false,
        }
    }
}

impl AxisMap {
    /// Whether every cell of the result is one of the operand.
    fn selects(&self) -> bool {
        match self {
            Self::Keep => true,
            Self::Matrix(m) => m.selects(),
        }
    }
}
