//! Graphs that have been checked, as a type: whatever is made of a graph takes one of these and need not ask
//! again.

use super::graph::Graph;
use super::intervals::ModelError;
use serde::Serialize;
use std::ops::Deref;
use std::sync::Arc;

#[cfg(feature = "executor")]
use super::model::Model;

/// A graph that [`Graph::validate_intervals`] accepts, but that it may have no outputs if whoever made it says so.
/// Clones share it, and nothing changes it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub struct ValidGraph(Arc<Graph>);

impl ValidGraph {
    /// The graph, if it is valid.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(graph: impl Into<Arc<Graph>>) -> Result<Self, ModelError> {
        let graph = graph.into();
        graph.validate_intervals()?;
        Ok(Self(graph))
    }

    /// The same of a graph without outputs, of which lookups in its inputs are proven.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn of_lookups(graph: Graph) -> Result<Self, ModelError> {
        graph.check_form()?;
        graph.check_intervals()?;
        Ok(Self(Arc::new(graph)))
    }

    /// The graph of a model that is valid as a whole, which says more than that its graph is.
    #[cfg(feature = "executor")]
    pub(super) fn of_model(model: &Model) -> Result<Self, ModelError> {
        model.validate()?;
        Ok(Self(Arc::new(model.graph.clone())))
    }

    /// What clones share.
    pub fn shared(&self) -> &Arc<Graph> {
        &self.0
    }
}

impl Deref for ValidGraph {
    type Target = Graph;

    fn deref(&self) -> &Graph {
        &self.0
    }
}
