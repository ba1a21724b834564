//! What a well-formed model is: a well-formed graph whose constants have its lengths and keep
//! every tensor inside its declared interval.

use super::bounds::{affine_bounds, contract_bounds, map_bounds, sum_bounds};
use super::fault::GraphError;
use super::graph::{Graph, Interval, Node};
use super::model::Model;
use super::op::{BiasId, Op};
use super::sums::{Known, Steps, dependent_sum_bounds};
use super::table::Table;

/// Why a model is malformed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// The graph itself is malformed.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// The wrong number of weight tensors or bias vectors.
    #[error("got {got} weight tensors or bias vectors, the graph names {expected}")]
    ConstantCount {
        /// In the model.
        got: usize,
        /// In the graph.
        expected: usize,
    },
    /// A weight tensor or bias vector of the wrong length.
    #[error("node `{node}`: a constant has {got} entries, expected {expected}")]
    ConstantLength {
        /// The node that uses it.
        node: String,
        /// In the model.
        got: usize,
        /// By the graph.
        expected: usize,
    },
    /// Cells of a node may leave the interval that it declares, or `(-2^62, 2^62)`.
    #[error("node `{node}`: cells may leave the declared interval {declared}: {found:?}")]
    Interval {
        /// The node.
        node: String,
        /// What it declares.
        declared: Interval,
        /// What its operands allow; `None` outside `(-2^62, 2^62)`.
        found: Option<Interval>,
    },
}

impl Model {
    /// Checks the graph, the lengths of the constants, and by interval analysis that every cell
    /// of every tensor lies in its node's interval whenever the inputs lie in theirs.
    pub fn validate(&self) -> Result<(), ModelError> {
        self.graph.validate()?;
        let graph = &self.graph;
        let counts = [
            (self.weights.len(), graph.weights),
            (self.biases.len(), graph.biases.len()),
        ];
        for (got, expected) in counts {
            if got != expected {
                return Err(ModelError::ConstantCount { got, expected });
            }
        }
        let mut analysis = Analysis::new(graph);
        for node in &graph.nodes {
            self.check_constants(node)?;
            check_interval(node, self.bounds(node, &mut analysis))?;
        }
        Ok(())
    }

    fn check_constants(&self, node: &Node) -> Result<(), ModelError> {
        let bias = |b: BiasId, expected| (self.biases[b.0].len(), expected);
        let lengths = match &node.op {
            Op::Affine(affine) => {
                let weights = self.weights[affine.weight.0].len();
                let rows = affine.bias.map(|b| bias(b, affine.rows()));
                [Some((weights, affine.weight_shape().len())), rows]
            }
            Op::Constant { bias: b } => [Some(bias(*b, node.cells())), None],
            _ => return Ok(()),
        };
        for (got, expected) in lengths.into_iter().flatten() {
            if got != expected {
                return Err(ModelError::ConstantLength {
                    node: node.name.clone(),
                    got,
                    expected,
                });
            }
        }
        Ok(())
    }

    /// The interval of a node's cells, given its operands' intervals.
    fn bounds(&self, node: &Node, analysis: &mut Analysis) -> Option<Interval> {
        match &node.op {
            Op::Affine(affine) => {
                let weights = self.weights[affine.weight.0].widened();
                let bias = affine.bias.map(|b| self.biases[b.0].as_slice());
                let input = self.graph.node(node.inputs[0]).interval;
                let rows = affine_bounds(affine, &weights, bias, input)?;
                rows.into_iter().reduce(Interval::hull)
            }
            Op::Constant { bias } => {
                let cells = self.biases[bias.0].iter();
                let cells = cells.map(|&x| Interval { lo: x, hi: x });
                cells.reduce(Interval::hull).filter(|x| x.is_bounded())
            }
            _ => analysis.bounds(&self.graph, node),
        }
    }
}

#[cfg(feature = "executor")]
impl Model {
    /// Widens the intervals of nodes that do not hold all that their operands allow: a layout may
    /// hide that terms of a sum cancel. `None` if one of them has no bounds.
    pub(crate) fn widen(&mut self) -> Option<()> {
        let mut analysis = Analysis::new(&self.graph);
        for index in 0..self.graph.nodes.len() {
            let found = self.bounds(&self.graph.nodes[index], &mut analysis)?;
            let node = &mut self.graph.nodes[index];
            node.interval = node.interval.hull(found);
        }
        Some(())
    }
}

#[cfg(feature = "executor")]
impl Model {
    /// Widens the intervals of all nodes with weights or a constant to powers of two, and with them those
    /// of others: a graph whose weights are hidden tells their size by them. `None` if a node has no
    /// bounds then.
    pub fn coarsen(&mut self) -> Option<()> {
        // What is wider makes what follows wider, which is then rounded as well.
        loop {
            let mut rounded = false;
            for node in &mut self.graph.nodes {
                if matches!(node.op, Op::Affine(_) | Op::Constant { .. }) {
                    let wide = Self::round(node.interval)?;
                    rounded |= wide != node.interval;
                    node.interval = wide;
                }
            }
            if !rounded {
                return Some(());
            }
            self.widen()?;
        }
    }

    /// The least interval from minus to plus a power of two, or 0, that holds one.
    fn round(Interval { lo, hi }: Interval) -> Option<Interval> {
        let reach = match lo.unsigned_abs().max(hi.unsigned_abs()) {
            0 => 0,
            reach => i64::try_from(reach.checked_next_power_of_two()?).ok()?,
        };
        let wide = Interval {
            lo: -reach,
            hi: reach,
        };
        wide.is_bounded().then_some(wide)
    }
}

fn check_interval(node: &Node, found: Option<Interval>) -> Result<(), ModelError> {
    if found.is_some_and(|found| node.interval.covers(found)) {
        return Ok(());
    }
    Err(ModelError::Interval {
        node: node.name.clone(),
        declared: node.interval,
        found,
    })
}

impl Graph {
    /// [`Graph::validate`], and that the cells of every node lie in its interval whenever those
    /// of its operands do, except for the nodes with weights or a constant, for which that depends
    /// on those.
    pub fn validate_intervals(&self) -> Result<(), ModelError> {
        self.validate()?;
        self.check_intervals()
    }

    /// That much of a graph of valid form.
    pub(super) fn check_intervals(&self) -> Result<(), ModelError> {
        let mut analysis = Analysis::new(self);
        let mut nodes = self.nodes.iter();
        nodes.try_for_each(|node| check_interval(node, analysis.bounds(self, node)))
    }
}

/// The intervals of a graph's nodes, one after the other.
pub(super) struct Analysis {
    /// What is known of every table, so that a long one is read once and not at every node.
    tables: Vec<TableFacts>,
    steps: Steps,
}

struct TableFacts {
    image: Interval,
    is_relu: bool,
    is_step: bool,
}

impl Analysis {
    /// For a valid graph.
    pub(super) fn new(graph: &Graph) -> Self {
        let facts = |table: &Table| TableFacts {
            image: table.image(),
            is_relu: table.is_relu(),
            is_step: table.is_step(),
        };
        Self {
            tables: graph.tables.iter().map(facts).collect(),
            steps: Steps::of_graph(graph),
        }
    }

    /// The interval of a node's cells, given its operands' intervals; for a node with weights or a
    /// constant, what it declares.
    pub(super) fn bounds(&mut self, graph: &Graph, node: &Node) -> Option<Interval> {
        let operand = |k: usize| graph.node(node.inputs[k]).interval;
        match &node.op {
            Op::Input | Op::Affine(_) | Op::Constant { .. } => Some(node.interval),
            Op::Map(map) => map_bounds(map, operand(0)),
            Op::Sum { coefs } => self.sum(graph, node, coefs),
            Op::Permute { .. } | Op::Gather { .. } => Some(operand(0)),
            Op::Table { table, .. } => Some(self.tables[table.0].image),
            Op::Contract(contract) => {
                let operands = [0, 1].map(|k| (node.inputs[k], operand(k)));
                contract_bounds(contract, operands)
            }
        }
    }

    /// Terms that cancel are looked for only where the operands' intervals do not suffice.
    fn sum(&mut self, graph: &Graph, node: &Node, coefs: &[i64]) -> Option<Interval> {
        let intervals = node.inputs.iter().map(|&x| graph.node(x).interval);
        let plain = sum_bounds(coefs, &intervals.collect::<Vec<_>>())?;
        if node.interval.covers(plain) {
            return Some(plain);
        }
        let tables = &self.tables;
        let relu = |op: &Op| match op {
            Op::Table {
                table,
                shift: 0,
                offset: 0,
                ..
            } => tables[table.0].is_relu,
            _ => false,
        };
        let step = |op: &Op| match op {
            Op::Table {
                table, offset: 0, ..
            } => tables[table.0].is_step,
            _ => false,
        };
        let known = Known {
            relu: &relu,
            step: &step,
        };
        dependent_sum_bounds(&graph.nodes, known, coefs, &node.inputs, &mut self.steps)
    }
}
