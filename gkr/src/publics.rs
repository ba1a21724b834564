//! What a verification evaluates of what everybody knows: tables, inputs and outputs.
//!
//! A verifier evaluates it; a dry run does without; a prover who runs the verifier's code on its own
//! proof has had the values before ([`Recalled`]).

use crate::lookup::table::eval_all;
use crate::plan::Plan;
use crate::statement::{PortValue, Statement, eval_public};
use zkstrata_mle::{E, PrimeCharacteristicRing};

/// What is known of an input at a point.
pub(crate) enum InputAt {
    /// Its value.
    Public(E),
    /// Nothing: it is a committed column.
    Private,
}

/// Public numbers, asked for in the order of a verification.
pub(crate) trait Publics {
    /// The denominator of the tables' rows, `alpha - id - beta argument - beta^2 value`, at a point.
    fn denominator(&mut self, plan: &Plan, at: &[E], challenges: [E; 2]) -> Option<E>;

    /// An output at a point.
    fn output(&mut self, plan: &Plan, port: usize, at: &[E]) -> Option<E>;

    /// An input at a point.
    fn input(&mut self, plan: &Plan, port: usize, at: &[E]) -> Option<InputAt>;
}

/// The tables of the key, and the cells of the statement.
impl Publics for &Statement {
    fn denominator(&mut self, plan: &Plan, at: &[E], [alpha, beta]: [E; 2]) -> Option<E> {
        let row = eval_all(&plan.graph.tables, &plan.tables, at)?;
        Some(row.denominator(alpha, beta))
    }

    fn output(&mut self, plan: &Plan, port: usize, at: &[E]) -> Option<E> {
        let tensor = plan.graph.outputs.get(port)?.tensor;
        Some(eval_public(plan, tensor, self.outputs.get(port)?, at))
    }

    fn input(&mut self, plan: &Plan, port: usize, at: &[E]) -> Option<InputAt> {
        let tensor = plan.graph.inputs.get(port)?.tensor;
        Some(match self.inputs.get(port)? {
            PortValue::Public(cells) => InputAt::Public(eval_public(plan, tensor, cells, at)),
            PortValue::Private => InputAt::Private,
        })
    }
}

/// Numbers that do not matter: only what is private does.
pub(crate) struct Whatever<'a>(pub(crate) &'a crate::options::Visibilities);

impl Publics for Whatever<'_> {
    fn denominator(&mut self, _: &Plan, _: &[E], _: [E; 2]) -> Option<E> {
        Some(E::ZERO)
    }

    fn output(&mut self, _: &Plan, _: usize, _: &[E]) -> Option<E> {
        Some(E::ZERO)
    }

    fn input(&mut self, _: &Plan, port: usize, _: &[E]) -> Option<InputAt> {
        Some(match self.0.of(port) {
            crate::options::Visibility::Public => InputAt::Public(E::ZERO),
            crate::options::Visibility::Private => InputAt::Private,
        })
    }
}

/// What a prover has computed of them.
#[cfg(feature = "prover")]
pub(crate) struct Recalled<'a> {
    pub(crate) statement: &'a Statement,
    /// The denominator of the tables' rows, if there are lookups.
    pub(crate) denominator: Option<E>,
    /// Of every output, in order.
    pub(crate) outputs: Vec<E>,
    /// Of every claim on an input, in order.
    pub(crate) inputs: std::vec::IntoIter<E>,
}

#[cfg(feature = "prover")]
impl Publics for Recalled<'_> {
    fn denominator(&mut self, _: &Plan, _: &[E], _: [E; 2]) -> Option<E> {
        self.denominator
    }

    fn output(&mut self, _: &Plan, port: usize, _: &[E]) -> Option<E> {
        self.outputs.get(port).copied()
    }

    fn input(&mut self, _: &Plan, port: usize, _: &[E]) -> Option<InputAt> {
        let value = self.inputs.next()?;
        Some(match self.statement.inputs.get(port)? {
            PortValue::Public(_) => InputAt::Public(value),
            PortValue::Private => InputAt::Private,
        })
    }
}
