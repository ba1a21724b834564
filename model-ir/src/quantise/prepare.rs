//! Rewritings of the float graph before anything is planned, and the ranges of what they leave.
//!
//! Most make values of unlike sizes, which one scale cannot serve, into values of like sizes. They
//! are exact in real numbers on all inputs that calibration stands for. Ranges are taken anew after
//! each that changed something.

use super::calibration::{Calibration, Ranges};
use super::{Error, Profile, absorbed, balance, joined, lift, shares, squares, thresholds, waves};
use crate::float::{self, Graph, GraphBuilder, Node, ValueId};
use crate::int::Features;

/// What the graph becomes, if there is something to do.
type Rewriting = fn(&Graph, &Ranges, Profile) -> Result<Option<Graph>, Error>;

/// The rewritings, in order: shares are taken of parts that reach 1, squares of weighed values, features
/// are brought to one size before they are mixed, masked scores are moved up, the arguments of sines
/// brought to one period, and what is joined quantised first.
const REWRITINGS: [Rewriting; 6] = [
    shares::scaled,
    squares::weighed,
    balance::balanced,
    lift::lifted,
    waves::shortened,
    joined::quantised,
];

/// A graph as it is planned.
pub(super) struct Prepared {
    pub(super) graph: Graph,
    /// Its ranges, which reach past the thresholds of comparisons.
    pub(super) seen: Ranges,
    /// What its inputs hold of those of the graph that it was made of; one for each.
    pub(super) features: Vec<Option<Features>>,
}

/// The graph as it is planned.
pub(super) fn prepared(
    graph: &Graph,
    calibration: &Calibration,
    profile: Profile,
) -> Result<Prepared, Error> {
    let ranges = |graph: &Graph| calibration.ranges(graph, &balance::channel_axes(graph));
    let mut graph = graph.simplified();
    let mut seen = ranges(&graph)?;
    for rewriting in REWRITINGS {
        if let Some(rewritten) = rewriting(&graph, &seen, profile)? {
            graph = rewritten;
            seen = ranges(&graph)?;
        }
    }
    let mut features = vec![None; graph.inputs().count()];
    if let Some(absorbed) = absorbed::absorbed(&graph, calibration)? {
        graph = absorbed.graph;
        features = absorbed.features;
        seen = absorbed
            .calibration
            .ranges(&graph, &balance::channel_axes(&graph))?;
    }
    thresholds::cover(&graph, &mut seen.values);
    Ok(Prepared {
        graph,
        seen,
        features,
    })
}

/// The same node of another graph.
pub(super) fn copied(
    b: &mut GraphBuilder,
    node: &Node,
    inputs: &[ValueId],
) -> Result<ValueId, float::Error> {
    if node.op.is_integral_input() {
        b.integral_input(&node.name, &node.shape)
    } else if node.op.is_input() {
        b.input(&node.name, &node.shape)
    } else {
        b.add(&node.name, node.op.clone(), inputs)
    }
}

/// The graph with other nodes: `node` adds what becomes of a value to a graph that has what became
/// of its operands.
pub(super) fn rewritten<F>(graph: &Graph, node: F) -> Result<Graph, Error>
where
    F: Fn(&mut GraphBuilder, usize, &[ValueId]) -> Result<ValueId, float::Error>,
{
    let mut b = GraphBuilder::new();
    let mut values: Vec<ValueId> = Vec::with_capacity(graph.nodes().len());
    for (v, source) in graph.nodes().iter().enumerate() {
        let inputs: Vec<ValueId> = source.inputs.iter().map(|v| values[v.0]).collect();
        values.push(node(&mut b, v, &inputs)?);
    }
    for note in graph.notes() {
        b.note(note.clone());
    }
    let outputs = graph.outputs().iter();
    let outputs = outputs.map(|(name, v)| (name.clone(), values[v.0]));
    Ok(b.finish(outputs.collect())?)
}
