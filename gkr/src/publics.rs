//! The public numbers of a verification: what it evaluates of tables, inputs and outputs.
//!
//! A verifier evaluates them; a dry run does without; a prover who runs the verifier's code on its own
//! proof has had the values before.

use crate::plan::Plan;
use zkstrata_mle::E;

/// What is known of an input at a point.
pub(crate) enum InputAt {
    /// Its value.
    Public(E),
    /// Nothing: it is a column of the witness.
    Private,
    /// Nothing: it is the column of its commitment.
    Committed,
}

/// What is known of an output at a point.
pub(crate) enum OutputAt {
    /// Its value.
    Public(E),
    /// Nothing: it is the column of its commitment.
    Committed,
}

/// Public numbers, asked for in the order of a verification.
pub(crate) trait Publics {
    /// The denominator of the tables' rows, `alpha - id - beta argument - beta^2 value`, at a point.
    fn denominator(&mut self, plan: &Plan, at: &[E], challenges: [E; 2]) -> Option<E>;

    /// An output at a point.
    fn output(&mut self, plan: &Plan, port: usize, at: &[E]) -> Option<OutputAt>;

    /// An input at a point.
    fn input(&mut self, plan: &Plan, port: usize, at: &[E]) -> Option<InputAt>;
}
