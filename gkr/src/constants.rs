//! What a verifying key knows of the model's weights and biases: a commitment to them, or the
//! numbers themselves.

use crate::claim::{self, Claim};
use crate::error::VerifyError;
use crate::plan::WeightPlan;
use serde::{Deserialize, Serialize};
use std::num::NonZeroU16;
use std::sync::Arc;
use zkstrata_mle::{
    E, Point, PrimeCharacteristicRing, contract_middle, eval_dense, selector, tensor_eq,
    tensor_vars,
};
#[cfg(feature = "prover")]
use zkstrata_model_ir::int::SmallInts;
use zkstrata_model_ir::int::{Graph, Model, Op, WeightBits, WeightShape};
use zkstrata_pcs::{Channel, ColumnId};

/// How the verifier knows a model's weights and biases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Weights {
    /// By a commitment in the verifying key, which every proof opens: the key stays small. It does **not**
    /// hide them: proofs show parts of them, and some dozens of proofs all.
    #[default]
    Compact,
    /// The verifying key holds them, and the verifier evaluates them itself: proofs are faster and
    /// smaller, the key is as large as the model, and verification takes a pass over it.
    Public,
    /// By a commitment in the verifying key that hides them, and proofs show nothing of them. They are
    /// proven about in sessions ([`ProvingKey::session`](crate::ProvingKey::session)), so many of them.
    Hidden(Uses),
}

/// How often hidden weights are opened at most: each time shows some rows of random cells that were
/// committed with them, and so each costs as many rows of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Uses {
    /// Sessions of the key, over all its life.
    pub sessions: NonZeroU16,
    /// Proofs of a session, of a batch each.
    pub proofs: NonZeroU16,
}

impl Default for Uses {
    /// Sixteen thousand proofs. Twice as many sessions would make the key of a small model, and twice as
    /// many proofs each of its proofs, half as large again.
    fn default() -> Self {
        let uses = |n| NonZeroU16::new(n).unwrap_or(NonZeroU16::MIN);
        Self {
            sessions: uses(256),
            proofs: uses(64),
        }
    }
}

/// The weights as a key holds them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Constants<C> {
    /// The model has none.
    None,
    /// A commitment to them.
    Committed(C),
    /// A commitment that hides them.
    Hidden(HiddenWeights<C>),
    /// The weights.
    Public(Arc<PublicWeights>),
}

/// A commitment that hides weights, and what is told of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct HiddenWeights<C> {
    /// The commitment.
    pub(crate) commitment: C,
    /// How often it is opened.
    pub(crate) uses: Uses,
    /// The sizes of weights and biases, which a certificate proves.
    pub(crate) bits: WeightBits,
}

/// A model's weights and biases: the integer model's, one after the other. A list of lists would
/// take a hostile file's bytes many times over in memory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct PublicWeights {
    weights: Vec<i32>,
    biases: Vec<i64>,
}

/// A key whose parts do not fit together; keys are checked when they are made or read.
fn malformed() -> VerifyError {
    VerifyError::Key("a claim does not fit the weights".into())
}

impl PublicWeights {
    /// The weights of a model.
    #[cfg(feature = "prover")]
    pub(crate) fn new(model: &Model) -> Self {
        Self {
            weights: model.weights.iter().flat_map(SmallInts::iter).collect(),
            biases: model.biases.concat(),
        }
    }

    /// Checks that the graph, which is valid, and the weights are a valid model: as many numbers
    /// as it calls for, and no cell outside its node's interval.
    pub(crate) fn check_model(&self, graph: &Graph, plan: &WeightPlan) -> Result<(), VerifyError> {
        let mut model = Model {
            graph: graph.clone(),
            weights: Vec::with_capacity(plan.nodes.len()),
            biases: Vec::with_capacity(plan.biases.len()),
        };
        let (mut weights, mut biases) = (self.weights.as_slice(), self.biases.as_slice());
        for table in 0..plan.nodes.len() {
            let length = shape(graph, plan, table)?.len();
            let (head, tail) = weights.split_at_checked(length).ok_or_else(malformed)?;
            model.weights.push(head.iter().copied().collect());
            weights = tail;
        }
        for block in &plan.biases {
            let length = block.axes.iter().product();
            let (head, tail) = biases.split_at_checked(length).ok_or_else(malformed)?;
            model.biases.push(head.to_vec());
            biases = tail;
        }
        if !(weights.is_empty() && biases.is_empty()) {
            return Err(malformed());
        }
        model
            .validate()
            .map_err(|error| VerifyError::Key(error.to_string()))
    }

    /// The values of the columns of the [`WeightPlan`] that claims are about, in the claims' order.
    pub(crate) fn values<S>(
        &self,
        graph: &Graph,
        plan: &WeightPlan,
        claims: &[Claim<S>],
    ) -> Result<Vec<E>, VerifyError> {
        let mut all = Vec::with_capacity(claim::count(claims));
        let mut rest = self.weights.as_slice();
        let mut tensors = Vec::with_capacity(plan.nodes.len());
        for table in 0..plan.nodes.len() {
            let shape = shape(graph, plan, table)?;
            let (weights, tail) = rest.split_at_checked(shape.len()).ok_or_else(malformed)?;
            tensors.push((shape, weights));
            rest = tail;
        }
        for Claim { at, columns } in claims {
            for columns in columns.chunk_by(|(a, _), (b, _)| a.table == b.table) {
                let Some((ColumnId { table, .. }, _)) = columns.first() else {
                    continue;
                };
                let values = if *table == plan.bias_column().table {
                    vec![self.biases_at(plan, at)?]
                } else {
                    let (shape, weights) = tensors.get(*table).ok_or_else(malformed)?;
                    taps_at(shape, weights, at)?
                };
                for (id, _) in columns {
                    all.push(*values.get(id.column).ok_or_else(malformed)?);
                }
            }
        }
        Ok(all)
    }

    /// The column of all biases.
    fn biases_at(&self, plan: &WeightPlan, point: &Point) -> Result<E, VerifyError> {
        let mut value = E::ZERO;
        let mut rest = self.biases.as_slice();
        for block in &plan.biases {
            let length = block.axes.iter().product();
            let (bias, tail) = rest.split_at_checked(length).ok_or_else(malformed)?;
            rest = tail;
            let high = plan.bias_vars.saturating_sub(block.vars());
            let (high, low) = point.split_at_checked(high).ok_or_else(malformed)?;
            let selector = selector(high, block.offset >> block.vars());
            // A claim is about one block, and its first coordinates name it.
            if selector != E::ZERO {
                value += selector * eval_dense(bias, &block.axes, low);
            }
        }
        Ok(value)
    }
}

/// Asserts that claims on weights have these values.
///
/// # Soundness
/// Without error, if the values are those of [`PublicWeights::values`].
pub(crate) fn assert_values<C: Channel>(
    claims: &[Claim<C::S>],
    values: &[E],
    channel: &mut C,
) -> Result<(), VerifyError> {
    let claimed = claims.iter().flat_map(|claim| &claim.columns);
    if claim::count(claims) != values.len() {
        return Err(malformed());
    }
    for ((_, claimed), &value) in claimed.zip(values) {
        let value = channel.constant(value);
        channel.assert_zero(claimed.clone() - value, "public weights")?;
    }
    Ok(())
}

/// `W_t(s_g, r_o, s_c)` of every tap `t`.
fn taps_at(shape: &WeightShape, weights: &[i32], point: &Point) -> Result<Vec<E>, VerifyError> {
    let [groups, outputs, inputs, taps] =
        [&shape.groups, &shape.outputs, &shape.inputs, &shape.taps]
            .map(|axes| axes.iter().product::<usize>());
    let split = point.split_at_checked(tensor_vars(&shape.groups));
    let (s_g, rest) = split.ok_or_else(malformed)?;
    let split = rest.split_at_checked(tensor_vars(&shape.outputs));
    let (r_o, s_c) = split.ok_or_else(malformed)?;
    let eq_outputs = tensor_eq(&shape.outputs, r_o);
    let rows = contract_middle(weights, groups, outputs, inputs * taps, &eq_outputs);
    let channels = [shape.groups.as_slice(), &shape.inputs].concat();
    let eq_channels = tensor_eq(&channels, &[s_g, s_c].concat());
    let mut values = vec![E::ZERO; taps];
    for (row, &eq) in rows.chunks_exact(taps.max(1)).zip(&eq_channels) {
        for (value, &cell) in values.iter_mut().zip(row) {
            *value += cell * eq;
        }
    }
    Ok(values)
}

/// The shape of a weight tensor.
fn shape(graph: &Graph, plan: &WeightPlan, table: usize) -> Result<WeightShape, VerifyError> {
    let node = plan
        .nodes
        .get(table)
        .and_then(|&node| graph.nodes.get(node));
    match node.map(|node| &node.op) {
        Some(Op::Affine(layer)) => Ok(layer.weight_shape()),
        _ => Err(malformed()),
    }
}

#[cfg(all(test, feature = "prover"))]
mod tests {
    use super::*;
    use crate::tests::leaves::in_field;
    use crate::tests::suite::models;
    use crate::weights;
    use zkstrata_pcs::VerifierTape;

    /// What `check` says of one claim of every column with the value of the committed column, and
    /// of the same claims with one value changed.
    #[test]
    fn the_values_are_those_of_the_committed_columns() {
        for (name, model) in models() {
            let plan = WeightPlan::new(&model.graph);
            if plan.shape.is_empty() {
                continue;
            }
            let public = PublicWeights::new(&model);
            public.check_model(&model.graph, &plan).expect(name);
            let mut claims = vec![];
            let mut columns = weights::columns(&model, &plan).into_iter();
            for (table, shape) in plan.shape.iter().enumerate() {
                let vars = shape.num_vars;
                let point = Point::new((0..vars).map(|k| E::from_usize(k * k + 7)).collect());
                let columns = columns.by_ref().take(shape.width).enumerate();
                let value = |(column, cells)| {
                    let cells = in_field(cells, vars);
                    let value: E = eval_dense(&cells, &[cells.len()], &point);
                    (ColumnId { table, column }, value)
                };
                claims.push(Claim {
                    columns: columns.map(value).collect(),
                    at: point.clone(),
                });
            }
            let check = |claims: &[Claim<E>]| {
                let mut tape = VerifierTape::new(&[0; 32], &[]);
                let values = public.values(&model.graph, &plan, claims)?;
                assert_values(claims, &values, &mut tape)
            };
            check(&claims).expect(name);
            for k in 0..claims.len() {
                for column in 0..claims[k].columns.len() {
                    let mut claims = claims.clone();
                    claims[k].columns[column].1 += E::ONE;
                    assert!(
                        check(&claims).is_err(),
                        "{name}: claim {k}, column {column}"
                    );
                }
            }
        }
    }
}
