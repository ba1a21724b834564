//! Public functionals of a tensor: what maps, gathers and the inputs of affine layers come down to.
//!
//! The claim is `y = sum_x prod_a A_a(x_a) X(r, x)`: some axes of `X` are fixed at coordinates
//! `r`, the others are summed with public coefficient vectors `A_a`, which live on real indices
//! only (the padding rule). A sumcheck of degree 2 over the summed variables ends in the claim
//! `X(r, s)`; the verifier evaluates `A_a(s_a)` itself. Soundness error: `2 * vars / |E|`.
//!
//! The vectors are those of [`map`] and [`gather`]. A functional holds what they are made of; they
//! are made where they are needed, so that a dry run of the protocol makes none.

use super::{Cost, Instance, Sumcheck, gather, map, unfit};
#[cfg(feature = "prover")]
use super::{Factors, Run, affine::Contracted, product_table};
use crate::error::VerifyError;
use crate::linear::party::Party;
use crate::linear::walk::Walk;
#[cfg(feature = "prover")]
use crate::tensor::{Action, Cells, pad_axes};
use zkstrata_mle::{E, Point, PrimeCharacteristicRing, tensor_eq, tensor_vars};
use zkstrata_model_ir::int::{MapAxis, TensorId};
use zkstrata_pcs::Channel;

/// What happens to consecutive axes of the tensor.
#[derive(Clone, Debug)]
pub(crate) enum Part<'a> {
    /// They are fixed at these coordinates.
    Fixed(Vec<E>),
    /// They are summed with a dense coefficient tensor.
    Summed {
        /// Lengths of the axes.
        axes: Vec<usize>,
        /// Where the coefficients come from.
        coefs: Coefs<'a>,
    },
}

/// What a dense coefficient tensor is made of.
#[derive(Clone, Debug)]
pub(crate) enum Coefs<'a> {
    /// `A` of a window or a matrix.
    Axis {
        /// The window or matrix.
        axis: &'a MapAxis,
        /// Where the sumcheck over the taps ended, if there was one.
        taps: Option<Vec<E>>,
        /// The claim's coordinates of the outputs.
        r: Vec<E>,
    },
    /// `A[x] = sum_{i: map(i) = x} eq(r, i)`
    Gather {
        /// Where every output reads.
        map: &'a [u32],
        /// Axes of the outputs.
        outputs: &'a [usize],
        /// Number of cells that it reads from.
        inputs: usize,
        /// The claim's coordinates of the outputs.
        r: Vec<E>,
    },
}

impl Coefs<'_> {
    /// One coefficient per live cell.
    fn vector(&self) -> Option<Vec<E>> {
        match self {
            Self::Axis { axis, taps, r } => map::vector(axis, taps.as_deref(), r),
            Self::Gather {
                map,
                outputs,
                inputs,
                r,
            } => gather::vector(map, outputs, *inputs, r),
        }
    }
}

/// `X -> sum_x prod A(x) X(r, x)`
#[derive(Clone, Debug)]
pub(crate) struct Functional<'a> {
    /// `X`.
    pub(crate) tensor: TensorId,
    /// All axes of `X` in order, the batch first.
    pub(crate) parts: Vec<Part<'a>>,
}

/// Axes that are fixed at these coordinates.
pub(super) fn fixed<'a>(coordinates: &[E]) -> Part<'a> {
    Part::Fixed(coordinates.to_vec())
}

impl<'a> Functional<'a> {
    /// The fixed coordinates if nothing is summed.
    pub(crate) fn as_point(&self) -> Option<Point> {
        let mut coordinates = Vec::new();
        for part in &self.parts {
            match part {
                Part::Fixed(r) => coordinates.extend_from_slice(r),
                Part::Summed { .. } => return None,
            }
        }
        Some(Point::new(coordinates))
    }

    /// The point of `X` when the sumcheck ended at `s`.
    pub(crate) fn end_point(&self, s: &[E]) -> Option<Point> {
        let mut coordinates = Vec::new();
        let mut rest = s;
        for part in &self.parts {
            match part {
                Part::Fixed(r) => coordinates.extend_from_slice(r),
                Part::Summed { axes, .. } => {
                    let (head, tail) = rest.split_at_checked(tensor_vars(axes))?;
                    coordinates.extend_from_slice(head);
                    rest = tail;
                }
            }
        }
        rest.is_empty().then(|| Point::new(coordinates))
    }

    /// `prod_a A_a(s_a)`
    pub(crate) fn coefficient_at(&self, s: &[E]) -> Option<E> {
        let mut product = E::ONE;
        let mut rest = s;
        for part in &self.parts {
            if let Part::Summed { axes, coefs } = part {
                let (head, tail) = rest.split_at_checked(tensor_vars(axes))?;
                let (eq, coefs) = (tensor_eq(axes, head), coefs.vector()?);
                product *= eq.iter().zip(coefs).map(|(&e, c)| e * c).sum::<E>();
                rest = tail;
            }
        }
        rest.is_empty().then_some(product)
    }

    /// Adds a claim on the functional to the stage, or moves it if nothing is summed.
    pub(super) fn reduce<P: Party>(self, value: P::V, walk: &mut Walk<'a, P>) {
        match self.as_point() {
            Some(point) => walk.queue(self.tensor, point, value),
            None => walk.add(Instance::Functional(self), value),
        }
    }
}

impl<'a> Sumcheck<'a> for Functional<'a> {
    /// Number of summed variables.
    fn vars(&self) -> usize {
        let summed = |part: &Part<'_>| match part {
            Part::Fixed(_) => 0,
            Part::Summed { axes, .. } => tensor_vars(axes),
        };
        self.parts.iter().map(summed).sum()
    }

    fn degree(&self) -> usize {
        2
    }

    /// `X`
    fn sent(&self) -> usize {
        1
    }

    /// `prod_a A_a(s_a) X`
    fn summand<C: Channel>(&self, s: &Point, values: &[C::S], _: &mut C) -> Option<C::S> {
        Some(values.first()?.clone() * self.coefficient_at(s)?)
    }

    fn end<P: Party>(
        &self,
        s: &Point,
        values: Vec<P::V>,
        walk: &mut Walk<'a, P>,
    ) -> Result<(), VerifyError> {
        let point = self.end_point(s).ok_or_else(unfit)?;
        let value = values.into_iter().next().ok_or_else(unfit)?;
        walk.queue(self.tensor, point, value);
        Ok(())
    }

    /// `prod_a A_a(x_a)` and `X(r, x)`.
    #[cfg(feature = "prover")]
    fn factors<C: Cells>(&self, run: &Run<'_, C>) -> Factors {
        let padded = self.parts.iter().filter_map(|part| match part {
            Part::Fixed(_) => None,
            Part::Summed { axes, coefs } => {
                let coefs = coefs.vector().expect("a window, matrix or gather");
                Some(pad_axes(axes, &coefs))
            }
        });
        let coefficient = product_table(padded);
        let actions = self.parts.iter().map(|part| match part {
            Part::Fixed(r) => Action::Fix(r),
            Part::Summed { axes, .. } => Action::Keep(axes.clone()),
        });
        let actions: Vec<Action<'_>> = actions.collect();
        let (axes, values) = run.tensors[self.tensor.0].apply(&actions);
        Factors::of(vec![coefficient, pad_axes(&axes, &values)])
    }

    #[cfg(feature = "prover")]
    fn values(&self, factors: &[E], _: &[E], _: &Point, _: &mut Contracted) -> Vec<E> {
        factors.last().copied().into_iter().collect()
    }

    fn cost(&self) -> Cost {
        Cost {
            weights: 0,
            tensors: vec![(self.tensor, 1)],
            points: 0,
        }
    }
}
