//! Operators all of whose operands are constant: what their import function does not evaluate by
//! itself is built as a graph of its own, run, and its results are constants.

use ndarray::ArrayD;
use zkstrata_model_ir::float::{Contract, Graph, Op, ValueId};

use crate::Error;
use crate::decode::tensor::{Cells, Tensor};
use crate::scope::node::Node;
use crate::scope::value::{Constant, EXACT, Element, Value};
use crate::write::{Import, Writer, masked};

/// Most multiplications and copies that one constant may take.
const WORK: usize = 1 << 33;

impl Writer {
    /// The results of `import` on the constant operands of `node`.
    pub(crate) fn folded(&mut self, node: &mut Node, import: Import) -> Result<Vec<Value>, Error> {
        let outer = std::mem::take(&mut self.builder);
        let produced = import(node, self);
        let inner = std::mem::replace(&mut self.builder, outer);
        let mut produced = produced?;
        for i in 0..produced.len() {
            if let Element::Masked(id) = node.result(i) {
                let mask = self.mask(id);
                if !mask.exact {
                    return Err(node.unsupported(masked::beyond(mask.closed.low())));
                }
            }
        }
        let made = produced
            .iter()
            .enumerate()
            .filter_map(|(i, value)| match value {
                Value::Activation(value) => Some((i.to_string(), *value)),
                Value::Constant(_) => None,
            });
        let made: Vec<(String, ValueId)> = made.collect();
        if made.is_empty() {
            return Ok(produced);
        }
        let positions: Vec<usize> = (0..produced.len())
            .filter(|&i| matches!(produced[i], Value::Activation(_)))
            .collect();
        let graph = inner.finish(made)?;
        self.check_work(node, &graph)?;
        let values = graph.run(&[])?;
        for (i, (_, value)) in positions.into_iter().zip(graph.outputs()) {
            let tensor = typed(node, &values[value.0], node.result(i))?;
            produced[i] = Value::Constant(Constant::new("", tensor));
        }
        Ok(produced)
    }

    /// Refuses a graph whose values take too much memory, or too long to compute.
    fn check_work(&mut self, node: &Node, graph: &Graph) -> Result<(), Error> {
        let (mut memory, mut work) = (0_usize, 0_usize);
        for made in graph.nodes() {
            let cells: usize = made.shape.iter().product();
            let first = made.inputs.first().map(|v| &graph.nodes()[v.0].shape);
            let terms = match (&made.op, first) {
                (Op::Contract(contract), Some(first)) => terms(contract, first),
                (Op::Dense { weight, .. }, _) => weight.shape()[0],
                (Op::Conv { weight, .. }, _) => weight.shape()[1..].iter().product(),
                (Op::Pool { windows, .. }, _) => windows.iter().map(|w| w.kernel).product(),
                (Op::Maximum { axis }, Some(first)) => first[*axis],
                _ => 1,
            };
            memory = memory.saturating_add(cells);
            work = work.saturating_add(cells.saturating_mul(terms));
        }
        self.allow(node, Some(memory))?;
        if work > WORK {
            return Err(Error::TooLarge {
                what: format!(
                    "operations that the constant of node `{}` takes",
                    node.name()
                ),
                size: work,
                limit: WORK,
            });
        }
        Ok(())
    }
}

/// Number of products in each cell of a contraction whose first operand has the given shape.
fn terms(contract: &Contract, first: &[usize]) -> usize {
    let axes = contract.left.iter().zip(first);
    let summed = axes.filter(|(label, _)| !contract.output.contains(label));
    summed.map(|(_, &n)| n).product()
}

/// The cells of a computed value as a tensor of the given kind of elements.
fn typed(node: &Node, value: &ArrayD<f32>, element: Element) -> Result<Tensor, Error> {
    let shape = value.shape().to_vec();
    let cells = match element {
        Element::Float | Element::Masked(_) | Element::Dynamic(_) => {
            Cells::Float(value.iter().copied().collect())
        }
        Element::Quantised(q) => {
            let integer = |&x: &f32| (x / q.scale).round_ties_even() as i64 + q.zero as i64;
            Cells::Int(value.iter().map(integer).collect())
        }
        Element::Bool => Cells::Bool(value.iter().map(|&x| x != 0.0).collect()),
        Element::Int => {
            let whole =
                |&x: &f32| (x.fract() == 0.0 && x.abs() <= EXACT as f32).then_some(x as i64);
            let cells = value.iter().map(whole).collect::<Option<_>>();
            Cells::Int(cells.ok_or_else(|| {
                node.shape_error(format!(
                    "{} of constants gives integers beyond {EXACT}: export the model with its \
                     constants folded",
                    node.op()
                ))
            })?)
        }
    };
    Ok(Tensor::new(shape, cells))
}
