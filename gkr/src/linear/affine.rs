//! Affine layers: dense, convolution, grouped and depthwise convolution, scaling.
//!
//! `Y[l,g,o,i] = sum_{c,t} W[g,o,c,t] X[l,g,c,x(i,t)] + b[g,o]`. A claim `y = Y(r_l,r_g,r_o,r_i)`
//! less its bias is
//!
//! ```text
//! y = sum_{g,c,t} eq(r_g,g) w(g,c,t) Z(g,c,t)
//! w(g,c,t) = sum_o eq(r_o,o) W[g,o,c,t]
//! Z(g,c,t) = sum_i eq(r_i,i) X(r_l,g,c,x(i,t))
//! ```
//!
//! One sumcheck over `(g,c,t)`, degree 3 in the variables of `g` and 2 in the others, ends in
//! `W_t(s_g,r_o,s_c)` for every tap column `t` (the verifier combines them with `eq(s_t,t)`) and
//! in `Z(s_g,s_c,s_t)`, a functional of `X` ([`super::functional`]). `W` is zero at padding, which
//! cuts the sums over `c` and `t`; `g` is a kept axis.

use super::fixed;
use super::functional::{Functional, Part, summed};
use zkstrata_mle::{E, Point, axis_vars, eq_eval, mask, tensor_eq, tensor_vars};
use zkstrata_model_ir::int::{Affine, MapAxis, TensorId, WeightShape};
use zkstrata_pcs::ColumnId;

/// A claim on an affine layer's output, cut into the coordinates of its axes.
#[derive(Clone, Debug)]
pub(crate) struct AffineInstance<'a> {
    /// The layer.
    pub(crate) layer: &'a Affine,
    /// Shape of its weights.
    pub(crate) weight: WeightShape,
    /// `X`.
    pub(crate) input: TensorId,
    /// Coordinates of the batch and the lead axes.
    pub(crate) lead: Vec<E>,
    /// `r_g`.
    pub(crate) groups: Vec<E>,
    /// `r_o`.
    pub(crate) outputs: Vec<E>,
    /// `r_i` of every window axis.
    pub(crate) windows: Vec<Vec<E>>,
    /// Mask of the batch, lead and window axes: the bias is public at no padding cell.
    pub(crate) kept_mask: E,
}

impl<'a> AffineInstance<'a> {
    /// The instance of a claim at `point`, or `None` if the point does not fit.
    pub(crate) fn new(
        layer: &'a Affine,
        batch: usize,
        input: TensorId,
        point: &Point,
    ) -> Option<Self> {
        let lead_axes = [&[batch], layer.lead.as_slice()].concat();
        let (lead, rest) = point.split_at_checked(tensor_vars(&lead_axes))?;
        let (groups, rest) = rest.split_at_checked(tensor_vars(&layer.groups))?;
        let (outputs, mut rest) = rest.split_at_checked(tensor_vars(&layer.outputs))?;
        let mut kept_mask = mask(&lead_axes, lead);
        let mut windows = Vec::with_capacity(layer.windows.len());
        for axis in &layer.windows {
            let (r, tail) = rest.split_at_checked(axis_vars(axis.output()))?;
            kept_mask *= mask(&[axis.output()], r);
            windows.push(r.to_vec());
            rest = tail;
        }
        rest.is_empty().then(|| Self {
            layer,
            weight: layer.weight_shape(),
            input,
            lead: lead.to_vec(),
            groups: groups.to_vec(),
            outputs: outputs.to_vec(),
            windows,
            kept_mask,
        })
    }

    /// Variables of `(g, c, t)`.
    pub(crate) fn vars(&self) -> usize {
        tensor_vars(&self.weight.groups)
            + tensor_vars(&self.weight.inputs)
            + tensor_vars(&self.weight.taps)
    }

    /// 3 if there are groups, else 2.
    pub(crate) fn degree(&self) -> usize {
        2 + usize::from(!self.groups.is_empty())
    }

    /// Number of weight columns.
    pub(crate) fn taps(&self) -> usize {
        self.weight.taps.iter().product()
    }

    /// The weight columns, one per tap.
    pub(crate) fn columns(&self) -> impl Iterator<Item = ColumnId> + use<> {
        let table = self.layer.weight.0;
        (0..self.taps()).map(move |column| ColumnId { table, column })
    }

    /// Cuts the sumcheck's point into `(s_g, s_c, s_t)`.
    pub(super) fn split<'s>(&self, s: &'s [E]) -> Option<(&'s [E], &'s [E], &'s [E])> {
        let (groups, rest) = s.split_at_checked(self.groups.len())?;
        let (inputs, taps) = rest.split_at_checked(tensor_vars(&self.weight.inputs))?;
        (taps.len() == tensor_vars(&self.weight.taps)).then_some((groups, inputs, taps))
    }

    /// `(eq(r_g, s_g), eq(s_t, t) for every tap t)`: the public factors at the sumcheck's end.
    pub(crate) fn coefficients_at(&self, s: &[E]) -> Option<(E, Vec<E>)> {
        let (groups, _, taps) = self.split(s)?;
        Some((
            eq_eval(&self.groups, groups),
            tensor_eq(&self.weight.taps, taps),
        ))
    }

    /// The point of the weight columns.
    pub(super) fn weight_point(&self, s_groups: &[E], s_inputs: &[E]) -> Vec<E> {
        [s_groups, &self.outputs, s_inputs].concat()
    }

    /// The point of the weight columns and the functional that `Z(s)` is.
    pub(crate) fn end(&self, s: &[E]) -> Option<(Point, Functional<'a>)> {
        let (s_groups, s_inputs, mut s_taps) = self.split(s)?;
        let weight = self.weight_point(s_groups, s_inputs);
        let mut parts = vec![fixed(&self.lead), fixed(s_groups), fixed(s_inputs)];
        for (axis, r) in self.layer.windows.iter().zip(&self.windows) {
            let (s_axis, tail) = s_taps.split_at_checked(axis_vars(axis.taps()))?;
            s_taps = tail;
            parts.push(match axis {
                MapAxis::Keep(_) => Part::Fixed(r.clone()),
                MapAxis::Window { .. } => summed(axis, Some(s_axis), r),
                MapAxis::Matrix { .. } => return None,
            });
        }
        let input = Functional {
            tensor: self.input,
            parts,
        };
        Some((Point::new(weight), input))
    }
}
