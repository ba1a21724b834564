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

use super::functional::{Functional, Part, fixed};
use super::map::{self, summed};
use super::{Cost, Instance, Sumcheck, unfit};
#[cfg(feature = "prover")]
use super::{Factors, Run};
use crate::claim::{Claim, TensorClaim};
use crate::error::VerifyError;
use crate::linear::party::{Party, Wanted};
use crate::linear::walk::{Walk, malformed};
#[cfg(feature = "prover")]
use crate::tensor::{Action, Cells, contract_ext, pad_axes};
#[cfg(feature = "prover")]
use std::collections::BTreeMap;
use zkstrata_mle::{
    E, Point, PrimeCharacteristicRing, axis_vars, eq_eval, mask, tensor_eq, tensor_vars,
};
#[cfg(feature = "prover")]
use zkstrata_mle::{contract_middle, eq_table};
#[cfg(feature = "prover")]
use zkstrata_model_ir::int::SmallSlice;
use zkstrata_model_ir::int::{Affine, MapAxis, Node, TensorId, WeightShape};
use zkstrata_pcs::Channel;
use zkstrata_pcs::ColumnId;
#[cfg(feature = "prover")]
use zkstrata_pcs::joint::Partial;

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
    fn end_at(&self, s: &[E]) -> Option<(Point, Functional<'a>)> {
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

/// Adds a claim on a layer's output to the stage, less its bias `b(r_g, r_o) * mask(kept axes)`.
pub(in crate::linear) fn step<'a, P: Party>(
    walk: &mut Walk<'a, P>,
    node: &Node,
    layer: &'a Affine,
    claim: TensorClaim<P::V>,
) -> Result<(), VerifyError> {
    let input = node.inputs.first().copied();
    let instance =
        input.and_then(|input| AffineInstance::new(layer, walk.plan.batch, input, &claim.point));
    let instance = instance.ok_or_else(|| malformed(node))?;
    let mut value = claim.value;
    if let Some(bias) = layer.bias {
        let low = [instance.groups.as_slice(), &instance.outputs].concat();
        let b = walk.party.value(Wanted::Bias(bias, &low))?;
        walk.end_bias(bias, &low, b.clone())?;
        value = value - b * instance.kept_mask;
    }
    walk.add(Instance::Affine(Box::new(instance)), value);
    Ok(())
}

/// Cells that a step visits.
pub(super) fn visits(layer: &Affine) -> usize {
    map::axes_visits(&layer.windows)
}

impl<'a> Sumcheck<'a> for AffineInstance<'a> {
    /// Variables of `(g, c, t)`.
    fn vars(&self) -> usize {
        tensor_vars(&self.weight.groups)
            + tensor_vars(&self.weight.inputs)
            + tensor_vars(&self.weight.taps)
    }

    /// 3 if there are groups, else 2.
    fn degree(&self) -> usize {
        2 + usize::from(!self.groups.is_empty())
    }

    /// Every tap column, then `Z`.
    fn sent(&self) -> usize {
        self.taps() + 1
    }

    /// `eq(r_g, s_g) (sum_t eq(s_t, t) W_t) Z`
    fn summand<C: Channel>(&self, s: &Point, values: &[C::S], channel: &mut C) -> Option<C::S> {
        let (eq_groups, eq_taps) = self.coefficients_at(s)?;
        let (z, columns) = values.split_last()?;
        if columns.len() != eq_taps.len() {
            return None;
        }
        let mut w = channel.constant(E::ZERO);
        for (column, &eq) in columns.iter().zip(&eq_taps) {
            w = w + column.clone() * eq;
        }
        Some(channel.mul(&w, z) * eq_groups)
    }

    /// Ends in the weight columns, at one point, and goes on with a functional of `X`.
    fn end<P: Party>(
        &self,
        s: &Point,
        values: Vec<P::V>,
        walk: &mut Walk<'a, P>,
    ) -> Result<(), VerifyError> {
        let (at, input) = self.end_at(s).ok_or_else(unfit)?;
        let mut values = values.into_iter();
        let tap = |column| Some((column, values.next()?));
        let columns = self.columns().map(tap).collect::<Option<_>>();
        let columns = columns.ok_or_else(unfit)?;
        walk.end_weights(Claim { at, columns });
        input.reduce(values.next().ok_or_else(unfit)?, walk);
        Ok(())
    }

    /// The groups' `eq` if there are some, `w` and `Z`, over padded `(g, c, t)`.
    #[cfg(feature = "prover")]
    fn factors<C: Cells>(&self, run: &Run<'_, C>) -> Factors {
        let shape = &self.weight;
        let product = |axes: &[usize]| axes.iter().product::<usize>();
        let axes = [shape.groups.as_slice(), &shape.inputs, &shape.taps].concat();
        let (outer, mid) = (product(&shape.groups), product(&shape.outputs));
        let inner = product(&shape.inputs) * product(&shape.taps);
        let eq = tensor_eq(&shape.outputs, &self.outputs);
        let w = match run.model.weights[self.layer.weight.0].as_slice() {
            SmallSlice::I8(x) => contract_middle(x, outer, mid, inner, &eq),
            SmallSlice::I16(x) => contract_middle(x, outer, mid, inner, &eq),
            SmallSlice::I32(x) => contract_middle(x, outer, mid, inner, &eq),
        };
        let z = self.gathered_input(run);
        let mut factors = Vec::with_capacity(3);
        if self.degree() == 3 {
            // The groups are a kept axis: its eq factor covers the padding, too.
            let eq = eq_table(&self.groups, 1 << self.groups.len(), E::ONE);
            let inner = 1 << tensor_vars(&[shape.inputs.as_slice(), &shape.taps].concat());
            factors.push(eq.iter().flat_map(|&e| vec![e; inner]).collect());
        }
        factors.push(pad_axes(&axes, &w));
        factors.push(z);
        Factors {
            tables: factors,
            weights: w,
        }
    }

    #[cfg(feature = "prover")]
    fn values(
        &self,
        factors: &[E],
        weights: &[E],
        s: &Point,
        contracted: &mut Contracted,
    ) -> Vec<E> {
        let z = factors.last().copied();
        let taps = contracted.tap_columns(self, weights, s);
        taps.into_iter().chain(z).collect()
    }

    /// The input is contracted once for each tap of the innermost window.
    fn cost(&self) -> Cost {
        let passes = self.layer.windows.last().map_or(1, MapAxis::taps);
        Cost {
            weights: self.weight.len(),
            tensors: vec![(self.input, passes)],
            points: 0,
        }
    }
}

#[cfg(feature = "prover")]
impl AffineInstance<'_> {
    /// `Z(g,c,t)` over padded `(g, c, t)`.
    fn gathered_input<C: Cells>(&self, run: &Run<'_, C>) -> Vec<E> {
        let tensor = &run.tensors[self.input.0];
        let shape = &self.weight;
        let rows: Vec<Vec<Vec<E>>> = (0..self.windows.len())
            .map(|k| self.tap_vectors(k))
            .collect();
        let channels = [shape.groups.as_slice(), &shape.inputs].concat();
        let mut actions = vec![Action::Fix(&self.lead), Action::Keep(channels)];
        for ((window, r), rows) in self.layer.windows.iter().zip(&self.windows).zip(&rows) {
            actions.push(match window {
                MapAxis::Keep(_) => Action::Fix(r),
                MapAxis::Window { .. } => Action::Rows(rows),
                MapAxis::Matrix { .. } => unreachable!("an affine layer has no matrices"),
            });
        }
        let (axes, values) = tensor.apply(&actions);
        pad_axes(&axes, &values)
    }

    /// For a window axis, `V[t][x] = sum_{i: x(i,t) = x} eq(r, i)`, one row per tap; nothing for a
    /// kept axis.
    fn tap_vectors(&self, axis: usize) -> Vec<Vec<E>> {
        let (window, r) = (&self.layer.windows[axis], &self.windows[axis]);
        let taps = match window {
            MapAxis::Keep(_) | MapAxis::Matrix { .. } => 0,
            MapAxis::Window { taps, .. } => taps.len(),
        };
        (0..taps)
            .map(|t| {
                let mut factors = vec![E::ZERO; taps];
                factors[t] = E::ONE;
                map::window_vector(window, &factors, r).expect("a window axis")
            })
            .collect()
    }
}

/// Weight columns at the coordinates of their groups and outputs, over their inputs: a claim on the
/// columns is at such a point, so the opening need not contract them again.
#[cfg(feature = "prover")]
#[derive(Debug, Default)]
pub(crate) struct Contracted(BTreeMap<ColumnId, Vec<(Point, Partial)>>);

#[cfg(feature = "prover")]
impl Contracted {
    /// `W_t(s_g, r_o, s_c)` for every tap at the end of an affine instance, from
    /// `w(g,c,t) = W(g, r_o, c, t)`. Keeps `W_t(s_g, r_o, c)`.
    fn tap_columns(&mut self, a: &AffineInstance<'_>, w: &[E], s: &[E]) -> Vec<E> {
        let (shape, taps) = (&a.weight, a.taps());
        let (groups, inputs, _) = a.split(s).expect("a point of the instance");
        let eq = tensor_eq(&shape.groups, groups);
        let of_groups = contract_ext(w, 1, eq.len(), w.len() / eq.len(), &eq);
        let num_vars = inputs.len();
        let at = Point::new(a.weight_point(groups, inputs));
        for (t, column) in a.columns().enumerate().filter(|_| num_vars > 0) {
            let values: Vec<E> = of_groups[t..].iter().step_by(taps).copied().collect();
            let values = pad_axes(&shape.inputs, &values);
            let noted = self.0.entry(column).or_default();
            noted.push((at.clone(), Partial { num_vars, values }));
        }
        let eq = tensor_eq(&shape.inputs, inputs);
        contract_ext(&of_groups, 1, eq.len(), taps, &eq)
    }

    /// What is known of each column of a claim.
    pub(crate) fn take<V>(&mut self, claim: &Claim<V>) -> Vec<Option<Partial>> {
        let columns = claim.columns.iter();
        let mut take = |column| {
            let noted = self.0.get_mut(column)?;
            let at = noted.iter().position(|(point, _)| *point == claim.at)?;
            Some(noted.swap_remove(at).1)
        };
        columns.map(|(column, _)| take(column)).collect()
    }
}
