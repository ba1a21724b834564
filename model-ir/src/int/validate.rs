//! What a well-formed graph is.
//!
//! [`Graph::validate`] decides it for any bytes that deserialise: it never panics, and its time
//! and memory are linear in the graph's size.

mod axes;

use super::fault::{GraphError, NodeFault, PortFault, TableFault};
use super::graph::{Features, Graph, Interval, Node, PortKind, TensorId};
use super::op::{Affine, BiasId, MAX_LIMBS, MapAxis, Op};
use super::table::{Function, Table, TableId};
use std::collections::{BTreeMap, BTreeSet};

/// Largest number of cells of one tensor of one inference.
pub const MAX_CELLS: usize = 1 << 30;
/// Largest number of cells of all tensors of one inference.
pub const MAX_TOTAL_CELLS: usize = 1 << 33;
/// Largest number of cells of a gather and of its operand: a key has its map, and the verifier
/// evaluates it in so many steps.
pub const MAX_GATHER: usize = 1 << 20;
/// Largest number of rows of a table.
pub const MAX_TABLE: usize = 1 << 20;
/// Largest shift of a table node.
pub const MAX_SHIFT: u32 = 48;
/// Largest magnitude of an offset, a stride, a tap's weight or a coefficient.
pub const MAX_FACTOR: i64 = 1 << 31;
/// Largest length of an axis that a window slides over, and of both axes of a matrix.
pub const MAX_WINDOW_INPUT: usize = 1 << 22;
/// Largest number of (output, tap) pairs of the windows of a graph, with the outputs and entries
/// of its matrices.
pub const MAX_WINDOW_WORK: usize = 1 << 28;
/// Largest number of axes of a view.
const MAX_AXES: usize = 32;

impl Graph {
    /// Checks everything that the verifier, the prover and the executor take for granted of a
    /// graph, except what depends on the weights: that each declared interval of a linear node
    /// holds its cells.
    pub fn validate(&self) -> Result<(), GraphError> {
        self.check_form()?;
        if self.outputs.is_empty() {
            return Err(GraphError::NoOutputs);
        }
        Ok(())
    }

    /// The same, but that there may be no outputs.
    pub(super) fn check_form(&self) -> Result<(), GraphError> {
        for (index, table) in self.tables.iter().enumerate() {
            table
                .check()
                .map_err(|fault| GraphError::Table { index, fault })?;
        }
        let mut seen = Seen {
            images: self.tables.iter().map(Table::image).collect(),
            ..Seen::default()
        };
        for port in &self.inputs {
            *seen.ports.entry(port.tensor.0).or_insert(0) += 1;
        }
        for (index, node) in self.nodes.iter().enumerate() {
            self.check_node(index, node, &mut seen)
                .map_err(|fault| GraphError::Node {
                    index,
                    name: node.name.clone(),
                    fault,
                })?;
        }
        let unused = |n: usize, used: &BTreeSet<usize>| {
            (used.len() < n).then(|| (0..n).find(|i| !used.contains(i)))
        };
        if let Some(Some(w)) = unused(self.weights, &seen.weights) {
            return Err(GraphError::UnusedWeight(w));
        }
        if let Some(Some(b)) = unused(self.biases.len(), &seen.biases) {
            return Err(GraphError::UnusedBias(b));
        }
        self.check_ports()
    }

    /// Table nodes whose argument may leave the table's domain: running or proving an input for
    /// which it does fails. For a validated graph.
    pub fn partial_tables(&self) -> Vec<TensorId> {
        let partial = |node: &Node| {
            let Op::Table {
                table,
                shift,
                offset,
                ..
            } = node.op
            else {
                return false;
            };
            let x = self.node(node.inputs[0]).interval;
            let argument = Interval {
                lo: (x.lo + offset) >> shift,
                hi: (x.hi + offset) >> shift,
            };
            !self.tables[table.0].domain().covers(argument)
        };
        let ids = (0..self.nodes.len()).filter(|&i| partial(&self.nodes[i]));
        ids.map(TensorId).collect()
    }

    fn check_node(&self, index: usize, node: &Node, seen: &mut Seen) -> Result<(), NodeFault> {
        use NodeFault as Fault;
        let mut operands = Vec::new();
        for id in &node.inputs {
            let earlier = self.nodes.get(..index).and_then(|nodes| nodes.get(id.0));
            operands.push(earlier.ok_or(Fault::Operand(id.0))?);
        }
        let cells = axes_product(&node.axes).filter(|_| node.axes.iter().all(|&n| n > 1));
        let cells = cells.ok_or_else(|| Fault::Axes(node.axes.clone()))?;
        seen.cells = seen.cells.saturating_add(cells);
        if cells > MAX_CELLS || seen.cells > MAX_TOTAL_CELLS {
            return Err(Fault::TooLarge);
        }
        if !node.interval.is_bounded() {
            return Err(Fault::Interval(node.interval));
        }
        let arity = match &node.op {
            Op::Input | Op::Constant { .. } => 0,
            Op::Contract(_) => 2,
            Op::Sum { coefs } => coefs.len(),
            _ => 1,
        };
        if operands.len() != arity {
            return Err(Fault::Arity {
                got: operands.len(),
                expected: arity,
            });
        }
        let operand = operands.first().copied();
        match (&node.op, operand) {
            (Op::Input, _) => match seen.ports.get(&index).copied().unwrap_or(0) {
                1 => Ok(()),
                n => Err(Fault::Ports(n)),
            },
            (Op::Affine(affine), Some(x)) => {
                affine.check(seen)?;
                check_view(&affine.input_axes(), x)?;
                check_result(&affine.output_axes(), node)?;
                self.check_constants(affine, seen)
            }
            (Op::Map(map), Some(x)) => {
                map.check(seen)?;
                check_view(&map.axes.iter().map(MapAxis::input).collect::<Vec<_>>(), x)?;
                check_result(
                    &map.axes.iter().map(MapAxis::output).collect::<Vec<_>>(),
                    node,
                )
            }
            (Op::Sum { coefs }, Some(_)) => {
                let valid = |&c: &i64| c != 0 && c.unsigned_abs() <= MAX_FACTOR.unsigned_abs();
                if !coefs.iter().all(valid) {
                    return Err(Fault::Coefficients);
                }
                operands.iter().try_for_each(|x| check_view(&node.axes, x))
            }
            (Op::Permute { axes, perm }, Some(x)) => {
                check_view(axes, x)?;
                let distinct: BTreeSet<usize> = perm.iter().copied().collect();
                let permuted: Option<Vec<usize>> =
                    perm.iter().map(|&a| axes.get(a).copied()).collect();
                match permuted {
                    Some(permuted) if perm.len() == axes.len() && distinct.len() == axes.len() => {
                        check_result(&permuted, node)
                    }
                    _ => Err(Fault::Permutation(perm.clone())),
                }
            }
            (Op::Gather { map }, Some(x)) => {
                let inside = |&i: &u32| (i as usize) < x.cells();
                let large = map.len() > MAX_GATHER || x.cells() > MAX_GATHER;
                if map.is_empty() || large || !map.iter().all(inside) {
                    return Err(Fault::Gather);
                }
                if map.len() != cells {
                    return Err(Fault::Cells {
                        got: cells,
                        expected: map.len(),
                    });
                }
                Ok(())
            }
            (Op::Table { .. }, Some(x)) => {
                check_view(&node.axes, x)?;
                self.check_lookup(node, x, seen)
            }
            (Op::Contract(contract), Some(a)) => {
                contract.check()?;
                let b = operands.last().copied().unwrap_or(a);
                check_view(&contract.view(&contract.left), a)?;
                check_view(&contract.view(&contract.right), b)?;
                check_result(&contract.view(&contract.output), node)
            }
            (Op::Constant { bias }, _) => self.check_bias(*bias, cells, seen),
            // A sum of nothing.
            (_, None) => Err(Fault::Coefficients),
        }
    }

    fn check_constants(&self, affine: &Affine, seen: &mut Seen) -> Result<(), NodeFault> {
        let weight = affine.weight.0;
        if weight >= self.weights || !seen.weights.insert(weight) {
            return Err(NodeFault::Weight(weight));
        }
        match affine.bias {
            Some(bias) => self.check_bias(bias, affine.rows(), seen),
            None => Ok(()),
        }
    }

    fn check_bias(&self, bias: BiasId, expected: usize, seen: &mut Seen) -> Result<(), NodeFault> {
        let length = self.biases.get(bias.0).copied();
        let length = length.filter(|_| seen.biases.insert(bias.0));
        let got = length.ok_or(NodeFault::Bias(bias.0))?;
        if got != expected {
            return Err(NodeFault::BiasLength { got, expected });
        }
        Ok(())
    }

    fn check_lookup(&self, node: &Node, x: &Node, seen: &Seen) -> Result<(), NodeFault> {
        let Op::Table {
            table,
            shift,
            ranges,
            offset,
        } = &node.op
        else {
            return Ok(());
        };
        let function = self.table(*table)?;
        if *shift > MAX_SHIFT {
            return Err(NodeFault::Shift(*shift));
        }
        if offset.unsigned_abs() >= Interval::LIMIT.unsigned_abs() {
            return Err(NodeFault::Offset(*offset));
        }
        if ranges.len() > MAX_LIMBS {
            return Err(NodeFault::Range);
        }
        let mut bits = 0;
        for &range in ranges {
            let limb = self.table(range)?.limb_bits();
            bits += limb.filter(|&k| k > 0).ok_or(NodeFault::Range)?;
        }
        if bits != *shift {
            return Err(NodeFault::Range);
        }
        if function.wraps(*shift, *offset, x.interval) {
            return Err(NodeFault::Wraps);
        }
        let image = seen.images[table.0];
        if !node.interval.covers(image) {
            return Err(NodeFault::Image {
                image,
                interval: node.interval,
            });
        }
        Ok(())
    }

    fn table(&self, id: TableId) -> Result<&Table, NodeFault> {
        self.tables.get(id.0).ok_or(NodeFault::NoTable(id.0))
    }

    fn check_ports(&self) -> Result<(), GraphError> {
        if self.inputs.is_empty() {
            return Err(GraphError::NoInputs);
        }
        let inputs = self.inputs.iter().map(|port| (port, true));
        let outputs = self.outputs.iter().map(|port| (port, false));
        for (port, is_input) in inputs.chain(outputs) {
            let fault = |fault| GraphError::Port {
                name: port.name.clone(),
                fault,
            };
            let node = self.nodes.get(port.tensor.0);
            let node = node.ok_or_else(|| fault(PortFault::Tensor(port.tensor.0)))?;
            if is_input && node.op != Op::Input {
                return Err(fault(PortFault::NotInput(port.tensor.0)));
            }
            if axes_product(&port.shape) != Some(node.cells()) {
                return Err(fault(PortFault::Shape {
                    shape: port.shape.clone(),
                    cells: node.cells(),
                }));
            }
            if !(port.scale.is_finite() && port.scale > 0.0) {
                return Err(fault(PortFault::Scale));
            }
            let cells = node.cells();
            let real = is_input && port.kind != PortKind::Integer;
            let fit = |features: &Features| real && features.fit(cells);
            if !port.features.as_ref().is_none_or(fit) {
                return Err(fault(PortFault::Features { cells }));
            }
        }
        Ok(())
    }
}

/// What the nodes checked so far have used up.
#[derive(Default)]
struct Seen {
    /// Of every table.
    images: Vec<Interval>,
    cells: usize,
    window_work: usize,
    weights: BTreeSet<usize>,
    biases: BTreeSet<usize>,
    /// Number of input ports of a tensor.
    ports: BTreeMap<usize, usize>,
}

/// The product of at most 32 positive lengths, at most [`MAX_CELLS`].
fn axes_product(axes: &[usize]) -> Option<usize> {
    if axes.len() > MAX_AXES || axes.contains(&0) {
        return None;
    }
    let product = axes.iter().try_fold(1usize, |p, &n| p.checked_mul(n))?;
    (product <= MAX_CELLS).then_some(product)
}

fn without_ones(view: &[usize]) -> Result<Vec<usize>, NodeFault> {
    match axes_product(view) {
        Some(_) => Ok(view.iter().copied().filter(|&n| n > 1).collect()),
        None => Err(NodeFault::Axes(view.to_vec())),
    }
}

fn check_view(view: &[usize], operand: &Node) -> Result<(), NodeFault> {
    let expected = without_ones(view)?;
    if operand.axes != expected {
        return Err(NodeFault::InputAxes {
            got: operand.axes.clone(),
            expected,
        });
    }
    Ok(())
}

fn check_result(view: &[usize], node: &Node) -> Result<(), NodeFault> {
    let expected = without_ones(view)?;
    if node.axes != expected {
        return Err(NodeFault::OutputAxes {
            got: node.axes.clone(),
            expected,
        });
    }
    Ok(())
}

impl Table {
    /// Whether a lookup of arguments in an interval may take one for another, as both are the same in the
    /// field; with a shift and an offset that are valid.
    pub(super) fn wraps(&self, shift: u32, offset: i64, argument: Interval) -> bool {
        // Each term is at most 2^110, so nothing wraps in 128 bits.
        let (step, domain) = (1i128 << shift, i128::from(self.domain().max_abs()));
        let ends = i128::from(argument.max_abs()) + i128::from(offset.unsigned_abs());
        ends + step * (domain + 1) >= 1 << 63
    }

    fn check(&self) -> Result<(), TableFault> {
        if self.len == 0 || self.len > MAX_TABLE {
            return Err(TableFault::Length(self.len));
        }
        let clamp_fits = match &self.function {
            Function::Values(values) if values.len() != self.len => {
                return Err(TableFault::Values {
                    got: values.len(),
                    expected: self.len,
                });
            }
            Function::Range | Function::Values(_) => true,
            Function::Clamp { lo, hi } => Interval { lo: *lo, hi: *hi }.is_bounded(),
        };
        if !clamp_fits || !self.domain().is_bounded() {
            return Err(TableFault::Bounds);
        }
        Ok(())
    }
}
