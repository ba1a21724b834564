//! The operators, one a file: the relation, the step of the walk, what the verifier makes of the
//! values at the end of the sumcheck, the prover's factors, and what they cost.

pub(crate) mod affine;
pub(super) mod constant;
pub(crate) mod contract;
pub(crate) mod functional;
pub(super) mod gather;
pub(super) mod map;
pub(crate) mod merge;
pub(super) mod permute;
pub(super) mod sum;

use super::party::Party;
use super::walk::Walk;
use crate::error::VerifyError;
#[cfg(feature = "prover")]
use crate::tensor::{Cells, Tensor};
use affine::AffineInstance;
#[cfg(feature = "prover")]
use affine::Contracted;
use contract::ContractInstance;
use functional::Functional;
use merge::MergeInstance;
use zkstrata_mle::Point;
#[cfg(feature = "prover")]
use zkstrata_mle::{E, PrimeCharacteristicRing};
#[cfg(feature = "prover")]
use zkstrata_model_ir::int::Model;
use zkstrata_model_ir::int::{Graph, Node, Op, TensorId};
use zkstrata_pcs::Channel;
use zkstrata_pcs::sumcheck::InstanceShape;

/// A sumcheck that an operator adds to a stage, `value = sum_x prod_k factor_k(x)`.
pub(super) trait Sumcheck<'a> {
    /// Number of variables.
    fn vars(&self) -> usize;

    /// Degree of the round polynomials.
    fn degree(&self) -> usize;

    /// Number of values that the prover sends at the end.
    fn sent(&self) -> usize;

    /// The summand at `s`, from the values that the prover sent for its factors.
    fn summand<C: Channel>(&self, s: &Point, values: &[C::S], channel: &mut C) -> Option<C::S>;

    /// Hands the values at `s` on as claims.
    fn end<P: Party>(
        &self,
        s: &Point,
        values: Vec<P::V>,
        walk: &mut Walk<'a, P>,
    ) -> Result<(), VerifyError>;

    /// The tables of the factors, the prover's own last.
    #[cfg(feature = "prover")]
    fn factors<C: Cells>(&self, run: &Run<'_, C>) -> Factors;

    /// The values to send, from those of the factors at `s`.
    #[cfg(feature = "prover")]
    fn values(
        &self,
        factors: &[E],
        weights: &[E],
        s: &Point,
        contracted: &mut Contracted,
    ) -> Vec<E>;

    /// What the sumcheck costs.
    fn cost(&self) -> Cost;
}

/// What a sumcheck costs besides its rounds.
#[cfg_attr(not(feature = "prover"), allow(dead_code))] // only an estimate counts tensors
pub(crate) struct Cost {
    /// Weights that are contracted.
    pub(crate) weights: usize,
    /// Tensors that the prover contracts, and how often.
    pub(crate) tensors: Vec<(TensorId, usize)>,
    /// Points whose claims become one.
    pub(crate) points: usize,
}

/// What factors are made of.
#[cfg(feature = "prover")]
pub(super) struct Run<'a, C> {
    pub(super) model: &'a Model,
    pub(super) tensors: &'a [Tensor<C>],
}

/// The tables of an instance's factors over its padded variables.
#[cfg(feature = "prover")]
pub(super) struct Factors {
    pub(super) tables: Vec<Vec<E>>,
    /// `w(g,c,t)` of an affine layer, dense.
    pub(super) weights: Vec<E>,
}

#[cfg(feature = "prover")]
impl Factors {
    /// Factors without weights.
    fn of(tables: Vec<Vec<E>>) -> Self {
        Self {
            tables,
            weights: vec![],
        }
    }
}

/// A sumcheck of any operator.
#[derive(Clone, Debug)]
pub(crate) enum Instance<'a> {
    /// Weights times gathered inputs.
    Affine(Box<AffineInstance<'a>>),
    /// A public functional of a tensor.
    Functional(Functional<'a>),
    /// A public factor times two tensors.
    Contract(ContractInstance),
    /// Several claims on a tensor.
    Merge(MergeInstance),
}

impl<'a> Instance<'a> {
    /// Number of variables.
    pub(crate) fn vars(&self) -> usize {
        match self {
            Self::Affine(a) => a.vars(),
            Self::Functional(f) => f.vars(),
            Self::Contract(c) => c.vars(),
            Self::Merge(m) => m.vars(),
        }
    }

    /// Degree of the round polynomials.
    pub(crate) fn degree(&self) -> usize {
        match self {
            Self::Affine(a) => a.degree(),
            Self::Functional(f) => f.degree(),
            Self::Contract(c) => c.degree(),
            Self::Merge(m) => m.degree(),
        }
    }

    /// What the batched sumcheck knows.
    pub(super) fn shape(&self) -> InstanceShape {
        InstanceShape {
            num_vars: self.vars(),
            degree: self.degree(),
        }
    }

    /// Number of values that the prover sends at the end.
    pub(super) fn sent(&self) -> usize {
        match self {
            Self::Affine(a) => a.sent(),
            Self::Functional(f) => f.sent(),
            Self::Contract(c) => c.sent(),
            Self::Merge(m) => m.sent(),
        }
    }

    /// The summand at `s`, from the values that the prover sent for its factors.
    pub(super) fn summand<C: Channel>(
        &self,
        s: &Point,
        values: &[C::S],
        channel: &mut C,
    ) -> Result<C::S, VerifyError> {
        let summand = match self {
            Self::Affine(a) => a.summand(s, values, channel),
            Self::Functional(f) => f.summand(s, values, channel),
            Self::Contract(c) => c.summand(s, values, channel),
            Self::Merge(m) => m.summand(s, values, channel),
        };
        summand.ok_or_else(unfit)
    }

    /// Hands the values at `s` on as claims.
    pub(super) fn end<P: Party>(
        &self,
        s: &Point,
        values: Vec<P::V>,
        walk: &mut Walk<'a, P>,
    ) -> Result<(), VerifyError> {
        match self {
            Self::Affine(a) => a.end(s, values, walk),
            Self::Functional(f) => f.end(s, values, walk),
            Self::Contract(c) => c.end(s, values, walk),
            Self::Merge(m) => m.end(s, values, walk),
        }
    }

    /// The tables of the factors.
    #[cfg(feature = "prover")]
    pub(super) fn factors<C: Cells>(&self, run: &Run<'_, C>) -> Factors {
        match self {
            Self::Affine(a) => a.factors(run),
            Self::Functional(f) => f.factors(run),
            Self::Contract(c) => c.factors(run),
            Self::Merge(m) => m.factors(run),
        }
    }

    /// The values to send, from those of the factors at `s`.
    #[cfg(feature = "prover")]
    pub(super) fn values(
        &self,
        factors: &[E],
        weights: &[E],
        s: &Point,
        contracted: &mut Contracted,
    ) -> Vec<E> {
        match self {
            Self::Affine(a) => a.values(factors, weights, s, contracted),
            Self::Functional(f) => f.values(factors, weights, s, contracted),
            Self::Contract(c) => c.values(factors, weights, s, contracted),
            Self::Merge(m) => m.values(factors, weights, s, contracted),
        }
    }

    /// What the sumcheck costs.
    pub(crate) fn cost(&self) -> Cost {
        match self {
            Self::Affine(a) => a.cost(),
            Self::Functional(f) => f.cost(),
            Self::Contract(c) => c.cost(),
            Self::Merge(m) => m.cost(),
        }
    }
}

/// A key whose parts do not fit together; keys are validated, so this is not reached.
fn unfit() -> VerifyError {
    VerifyError::Key("a sumcheck's end does not fit its factors".into())
}

/// Cells that one step's public vectors and the loops over windows and entries visit, with one for
/// the step itself.
pub(super) fn visits(graph: &Graph, node: &Node) -> usize {
    let cells = match &node.op {
        // The verifier evaluates the input; the batch is counted where it is known.
        Op::Input => node.cells(),
        Op::Table { .. } | Op::Permute { .. } | Op::Contract(_) | Op::Constant { .. } => 0,
        Op::Sum { coefs } => sum::visits(coefs),
        Op::Map(map) => map::visits(map),
        Op::Affine(layer) => affine::visits(layer),
        Op::Gather { map } => gather::visits(graph, node, map),
    };
    cells.saturating_add(1)
}

/// The products of one entry of each table, the last varying fastest.
#[cfg(feature = "prover")]
fn product_table(tables: impl Iterator<Item = Vec<E>>) -> Vec<E> {
    let product = |a: Vec<E>, b: Vec<E>| -> Vec<E> {
        let rows = a.iter().flat_map(|&a| b.iter().map(move |&b| a * b));
        rows.collect()
    };
    tables.reduce(product).unwrap_or_else(|| vec![E::ONE])
}
