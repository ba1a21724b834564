//! Cells of inputs on their way to what computes with them: reshaped, taken, joined.

use crate::float::Graph;
use ndarray::{ArrayD, IxDyn};
use std::collections::BTreeMap;
use std::ops::Range;

/// The values that hold cells of some inputs, the sources, as they are: those and all that is moved
/// of them.
pub(super) struct Carried<'a> {
    pub(super) graph: &'a Graph,
    pub(super) sources: Vec<usize>,
    of: Vec<bool>,
}

impl<'a> Carried<'a> {
    /// What holds cells of these inputs.
    pub(super) fn new(graph: &'a Graph, sources: Vec<usize>) -> Self {
        let mut of: Vec<bool> = Vec::with_capacity(graph.nodes().len());
        for (v, node) in graph.nodes().iter().enumerate() {
            let any = node.op.carries() && node.inputs.iter().any(|u| of[u.0]);
            of.push(any || sources.contains(&v));
        }
        Self { graph, sources, of }
    }

    /// Whether `v` does.
    pub(super) fn has(&self, v: usize) -> bool {
        self.of[v]
    }

    /// The name of a source whose cells `v` has.
    pub(super) fn source(&self, mut v: usize) -> &'a str {
        let nodes = self.graph.nodes();
        while let Some(u) = nodes[v].inputs.iter().find(|u| self.of[u.0]) {
            v = u.0;
        }
        &nodes[v].name
    }

    /// The values from which `v` is moved, and `v`, in order; they begin with sources and with values
    /// that have no cells of sources.
    pub(super) fn path(&self, v: usize) -> Vec<usize> {
        let mut on = vec![false; v + 1];
        on[v] = true;
        for u in (0..=v).rev() {
            if on[u] && self.of[u] {
                for w in &self.graph.nodes()[u].inputs {
                    on[w.0] = true;
                }
            }
        }
        (0..=v).filter(|&u| on[u]).collect()
    }

    /// The cell of sources that each cell of `v` is, numbered from 1 on through all of them; 0 for
    /// others. Numbers are exact up to [`policy::COUNTED_CELLS`](super::policy::COUNTED_CELLS).
    pub(super) fn places(&self, v: usize) -> ArrayD<f32> {
        let mut places: BTreeMap<usize, ArrayD<f32>> = BTreeMap::new();
        for u in self.path(v) {
            let node = &self.graph.nodes()[u];
            let shape = IxDyn(&node.shape);
            let value = match self.first(u) {
                Some(first) => {
                    let cells = node.shape.iter().product::<usize>();
                    let cells = (first + 1..=first + cells).map(|i| i as f32).collect();
                    ArrayD::from_shape_vec(shape, cells).expect("as many as the shape has")
                }
                None if self.of[u] => {
                    let operands: Vec<_> = node.inputs.iter().map(|w| &places[&w.0]).collect();
                    node.evaluate(&operands)
                }
                None => ArrayD::zeros(shape),
            };
            places.insert(u, value);
        }
        places.remove(&v).expect("the last of its path")
    }

    /// The number of the cells of the sources before source `v`.
    fn first(&self, v: usize) -> Option<usize> {
        let place = self.sources.iter().position(|&s| s == v)?;
        self.of_sources().nth(place).map(|cells| cells.start)
    }

    /// The cells of each source among those of all, from 0 on.
    pub(super) fn of_sources(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        let cells = |&s: &usize| self.graph.nodes()[s].shape.iter().product::<usize>();
        self.sources.iter().map(cells).scan(0, |end, cells| {
            let start = *end;
            *end += cells;
            Some(start..*end)
        })
    }

    /// The number of cells of all sources.
    pub(super) fn cells(&self) -> usize {
        self.of_sources().last().map_or(0, |cells| cells.end)
    }
}
