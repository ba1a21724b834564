//! The prover's end of the linear part: values are evaluated and sent, factors are contracted from
//! small integers.

use super::affine::AffineInstance;
use super::contract::{Axis, ContractInstance, Operand, Shared};
use super::functional::{Functional, Part, window_vector};
use super::merge::MergeInstance;
use super::verify::{FACTORS, OPERAND};
use super::{Instance, InstanceEnd, Party, Wanted};
use crate::claim::Claim;
use crate::error::VerifyError;
use crate::tensor::{Action, Cells, Tensor, contract_ext, pad_axes, place_axes};
use rayon::prelude::*;
use std::collections::BTreeMap;
use zkstrata_mle::{
    E, Point, PrimeCharacteristicRing, contract_middle, eq_table, tensor_eq, tensor_vars,
};
use zkstrata_model_ir::int::{MapAxis, Model};
use zkstrata_pcs::joint::Partial;
use zkstrata_pcs::sumcheck::{self, Bound, Factor};
use zkstrata_pcs::{ColumnId, ProverTape};

/// Cells that one task adds.
const GRAIN: usize = 1 << 14;

/// Answers the walk from the trace and the model.
pub(crate) struct LinearProver<'a, C> {
    /// The model with its weights.
    pub(crate) model: &'a Model,
    /// Axes of each bias.
    pub(crate) bias_axes: Vec<&'a [usize]>,
    /// Every tensor of the run.
    pub(crate) tensors: &'a [Tensor<C>],
    /// The tape.
    pub(crate) tape: &'a mut ProverTape,
    /// What of the weights has been contracted, for the opening.
    pub(crate) contracted: &'a mut Contracted,
}

/// Weight columns at the coordinates of their groups and outputs, over their inputs: a claim on the
/// columns is at such a point, so the opening need not contract them again.
#[derive(Debug, Default)]
pub(crate) struct Contracted(BTreeMap<ColumnId, Vec<(Point, Partial)>>);

impl Contracted {
    /// `W_t(s_g, r_o, s_c)` for every tap at the end of an affine instance, from `w(g,c,t) = W(g, r_o,
    /// c, t)`. Keeps `W_t(s_g, r_o, c)`.
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

impl<C: Cells> Party for LinearProver<'_, C> {
    type V = E;

    fn constant(&mut self, value: E) -> E {
        value
    }

    fn computed(&mut self, value: impl FnOnce() -> Option<E>) -> Option<E> {
        value()
    }

    fn value(&mut self, wanted: Wanted<'_>) -> Result<E, VerifyError> {
        let value = self.evaluate(wanted);
        self.send_operand(value);
        Ok(value)
    }

    fn challenge(&mut self) -> E {
        self.tape.sample()
    }

    fn sumcheck(
        &mut self,
        instances: &[Instance<'_>],
        claims: &[E],
    ) -> Result<Vec<InstanceEnd<E>>, VerifyError> {
        let _span = tracing::debug_span!("linear stage", instances = instances.len()).entered();
        let (_, ends) = self.bind(instances, claims);
        self.send_factors(&ends);
        Ok(ends)
    }
}

impl<C: Cells> LinearProver<'_, C> {
    /// A value of the run.
    pub(crate) fn evaluate(&self, wanted: Wanted<'_>) -> E {
        match wanted {
            Wanted::Tensor(tensor, point) => self.tensors[tensor.0].eval(point),
            Wanted::Bias(bias, point) => {
                let axes = self.bias_axes[bias.0];
                zkstrata_mle::eval_dense(&self.model.biases[bias.0], axes, point)
            }
        }
    }

    /// Sends a value that the walk asked for.
    pub(crate) fn send_operand(&mut self, value: E) {
        self.tape.send(OPERAND, &[value]);
    }

    /// The rounds of a stage's sumcheck, and its ends, which are still to be sent.
    pub(crate) fn bind(
        &mut self,
        instances: &[Instance<'_>],
        claims: &[E],
    ) -> (Bound, Vec<InstanceEnd<E>>) {
        let sources = Sources {
            model: self.model,
            tensors: self.tensors,
        };
        let (factors, columns): (Vec<_>, Vec<_>) = instances
            .par_iter()
            .map(|instance| {
                let (factors, w) = sources.factors(instance);
                let factors = factors.into_iter().map(Factor::Ext).collect();
                (sumcheck::Instance { factors }, w)
            })
            .unzip();
        let bound = sumcheck::prove(factors, claims, self.tape);
        let mut ends = Vec::with_capacity(instances.len());
        for ((instance, w), values) in instances.iter().zip(columns).zip(&bound.ends) {
            let point = bound.tail(instance.vars());
            let last = *values.last().expect("an instance has factors");
            let own = match instance {
                Instance::Functional(_) | Instance::Merge(_) => vec![last],
                Instance::Contract(c) => values[values.len() - c.operands.len()..].to_vec(),
                Instance::Affine(a) => {
                    let taps = self.contracted.tap_columns(a, &w, &point);
                    [taps, vec![last]].concat()
                }
            };
            ends.push((point, own));
        }
        (bound, ends)
    }

    /// Sends the values at a stage's ends.
    pub(crate) fn send_factors(&mut self, ends: &[InstanceEnd<E>]) {
        let message: Vec<E> = ends.iter().flat_map(|(_, own)| own).copied().collect();
        self.tape.send(FACTORS, &message);
    }
}

/// What factors are contracted from.
struct Sources<'a, C> {
    model: &'a Model,
    tensors: &'a [Tensor<C>],
}

impl<C: Cells> Sources<'_, C> {
    /// The factor tables of an instance over its padded variables, the prover's own factor last;
    /// for an affine layer also `w(g,c,t)`, dense.
    fn factors(&self, instance: &Instance<'_>) -> (Vec<Vec<E>>, Vec<E>) {
        match instance {
            Instance::Functional(f) => (self.functional_factors(f), vec![]),
            Instance::Affine(a) => self.affine_factors(a),
            Instance::Contract(c) => (self.contract_factors(c), vec![]),
            Instance::Merge(m) => (self.merge_factors(m), vec![]),
        }
    }

    /// `sum_j gamma^j eq(r_j, x)` and `Y(x)`.
    fn merge_factors(&self, m: &MergeInstance) -> Vec<Vec<E>> {
        let cells = 1 << m.vars();
        let mut coefficients = vec![E::ZERO; cells];
        for (r, power) in &m.points {
            let eq = eq_table(r, cells, *power);
            let sums = coefficients.par_iter_mut().with_min_len(GRAIN);
            sums.zip(eq).for_each(|(sum, e)| *sum += e);
        }
        let tensor = &self.tensors[m.tensor.0];
        let (axes, values) = tensor.apply(&[Action::Keep(tensor.axes.clone())]);
        vec![coefficients, pad_axes(&axes, &values)]
    }

    fn functional_factors(&self, f: &Functional<'_>) -> Vec<Vec<E>> {
        let padded = f.parts.iter().filter_map(|part| match part {
            Part::Fixed(_) => None,
            Part::Summed { axes, coefs } => {
                let coefs = coefs.vector().expect("a window, matrix or gather");
                Some(pad_axes(axes, &coefs))
            }
        });
        let coefficient = product_table(padded);
        let actions: Vec<Action<'_>> = f
            .parts
            .iter()
            .map(|part| match part {
                Part::Fixed(r) => Action::Fix(r),
                Part::Summed { axes, .. } => Action::Keep(axes.clone()),
            })
            .collect();
        let (axes, values) = self.tensors[f.tensor.0].apply(&actions);
        vec![coefficient, pad_axes(&axes, &values)]
    }

    /// `C` unless it is 1, `A` and `B` over the padded shared labels.
    fn contract_factors(&self, c: &ContractInstance) -> Vec<Vec<E>> {
        let mut factors = Vec::with_capacity(3);
        if c.degree() == 3 {
            factors.push(product_table(c.shared.iter().map(
                |label| match &label.kept {
                    Some(r) => eq_table(r, 1 << r.len(), E::ONE),
                    None => pad_axes(&[label.length], &vec![E::ONE; label.length]),
                },
            )));
        }
        factors.extend(c.operands.iter().map(|operand| self.operand(c, operand)));
        if c.operands.len() == 1 {
            factors.extend(factors.last().cloned());
        }
        factors
    }

    /// An operand with its own labels fixed, its shared ones in their order.
    fn operand(&self, c: &ContractInstance, operand: &Operand) -> Vec<E> {
        let mut actions: Vec<Action<'_>> = Vec::with_capacity(operand.axes.len());
        let mut strides = Vec::with_capacity(operand.axes.len());
        for axis in &operand.axes {
            actions.push(match axis {
                Axis::Fixed(r) => Action::Fix(r),
                Axis::Shared(label) => {
                    let length = c.shared[*label].length;
                    if length > 1 {
                        let inner = c.shared[label + 1..].iter().map(Shared::vars);
                        strides.push(1 << inner.sum::<usize>());
                    }
                    Action::Keep(vec![length])
                }
            });
        }
        let (axes, values) = self.tensors[operand.tensor.0].apply(&actions);
        let axes: Vec<usize> = axes.into_iter().filter(|&n| n > 1).collect();
        place_axes(&axes, &strides, 1 << c.vars(), &values)
    }

    fn affine_factors(&self, a: &AffineInstance<'_>) -> (Vec<Vec<E>>, Vec<E>) {
        let shape = &a.weight;
        let product = |axes: &[usize]| axes.iter().product::<usize>();
        let axes = [shape.groups.as_slice(), &shape.inputs, &shape.taps].concat();
        let w = contract_middle(
            &self.model.weights[a.layer.weight.0],
            product(&shape.groups),
            product(&shape.outputs),
            product(&shape.inputs) * product(&shape.taps),
            &tensor_eq(&shape.outputs, &a.outputs),
        );
        let z = self.gathered_input(a);
        let mut factors = Vec::with_capacity(3);
        if a.degree() == 3 {
            // The groups are a kept axis: its eq factor covers the padding, too.
            let eq = eq_table(&a.groups, 1 << a.groups.len(), E::ONE);
            let inner = 1 << tensor_vars(&[shape.inputs.as_slice(), &shape.taps].concat());
            factors.push(eq.iter().flat_map(|&e| vec![e; inner]).collect());
        }
        factors.push(pad_axes(&axes, &w));
        factors.push(z);
        (factors, w)
    }

    /// `Z(g,c,t)` over padded `(g, c, t)`.
    fn gathered_input(&self, a: &AffineInstance<'_>) -> Vec<E> {
        let tensor = &self.tensors[a.input.0];
        let shape = &a.weight;
        let rows: Vec<Vec<Vec<E>>> = (0..a.windows.len()).map(|k| tap_vectors(a, k)).collect();
        let channels = [shape.groups.as_slice(), &shape.inputs].concat();
        let mut actions = vec![Action::Fix(&a.lead), Action::Keep(channels)];
        for ((window, r), rows) in a.layer.windows.iter().zip(&a.windows).zip(&rows) {
            actions.push(match window {
                MapAxis::Keep(_) => Action::Fix(r),
                MapAxis::Window { .. } => Action::Rows(rows),
                MapAxis::Matrix { .. } => unreachable!("an affine layer has no matrices"),
            });
        }
        let (axes, values) = tensor.apply(&actions);
        pad_axes(&axes, &values)
    }
}

/// The products of one entry of each table, the last varying fastest.
fn product_table(tables: impl Iterator<Item = Vec<E>>) -> Vec<E> {
    let product = |a: Vec<E>, b: Vec<E>| -> Vec<E> {
        let rows = a.iter().flat_map(|&a| b.iter().map(move |&b| a * b));
        rows.collect()
    };
    tables.reduce(product).unwrap_or_else(|| vec![E::ONE])
}

/// For a window axis, `V[t][x] = sum_{i: x(i,t) = x} eq(r, i)`, one row per tap; nothing for a
/// kept axis.
fn tap_vectors(a: &AffineInstance<'_>, axis: usize) -> Vec<Vec<E>> {
    let (window, r) = (&a.layer.windows[axis], &a.windows[axis]);
    let taps = match window {
        MapAxis::Keep(_) | MapAxis::Matrix { .. } => 0,
        MapAxis::Window { taps, .. } => taps.len(),
    };
    (0..taps)
        .map(|t| {
            let mut factors = vec![E::ZERO; taps];
            factors[t] = E::ONE;
            window_vector(window, &factors, r).expect("a window axis")
        })
        .collect()
}
