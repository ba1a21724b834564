//! Missing cells: an input that may have some is two inputs of the planned graph.
//!
//! Let `x` be an input with missing cells in calibration. All that reads it, be it moved, is
//! [`Missing`]: whether a cell is missing, or the cell with a number in its place. Those are
//! functions of `m`, 1 where `x` is missing and 0 elsewhere, and of `v`, which is `x` where it is not
//! missing and a *filling* `c` where it is:
//!
//! ```text
//! [x is missing] = m        x, or b where it is missing = v + m (b - c)
//! ```
//!
//! Cell by cell, `c` is what the first node that replaces the cell puts there, so that the sum is
//! `v` alone but where nodes disagree. Moves are linear and act on `v` and on `m` alike. From here on
//! `v` and `m` are inputs like others, real numbers and integers; one integer of the model's input
//! stands for a missing cell, and lowering makes the two of it.
//!
//! Inputs without missing cells in calibration have none: every cell is itself.

use super::Error;
use super::calibration::Calibration;
use super::carried::Carried;
use super::facts::{consumers, outputs};
use super::policy;
use super::prepare::copied;
use crate::float::{self, Graph, GraphBuilder, Missing, Node, Op, ValueId};
use ndarray::{ArrayD, IxDyn};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// What an input of the planned graph is of an input of the model.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum View {
    /// All of it.
    Whole,
    /// Its cells, and these in place of those that are missing.
    Filled(ArrayD<f32>),
    /// 1 where a cell is missing, else 0; of the input before.
    Mask,
}

/// A graph and samples without missing cells.
pub(super) struct Split<'a> {
    pub(super) graph: Cow<'a, Graph>,
    pub(super) calibration: Cow<'a, Calibration>,
    /// One for each input of the graph.
    pub(super) views: Vec<View>,
}

/// Splits the inputs that have missing cells in calibration.
pub(super) fn split<'a>(
    graph: &'a Graph,
    calibration: &'a Calibration,
) -> Result<Split<'a>, Error> {
    let inputs: Vec<usize> = graph.inputs().map(|v| v.0).collect();
    let missing: Vec<bool> = (0..inputs.len())
        .map(|k| !graph.nodes()[inputs[k]].op.is_integral_input() && calibration.has_nan(k))
        .collect();
    let reads = |node: &Node| matches!(node.op, Op::Missing(_));
    if !missing.contains(&true) && !graph.nodes().iter().any(reads) {
        return Ok(Split {
            graph: Cow::Borrowed(graph),
            calibration: Cow::Borrowed(calibration),
            views: vec![View::Whole; inputs.len()],
        });
    }
    for sample in calibration.samples() {
        graph.check_inputs(sample)?;
    }
    let sources = inputs.iter().copied().zip(missing).filter(|s| s.1);
    let carried = carried(graph, sources.map(|s| s.0).collect())?;
    let fillings = fillings(&carried);
    let mut split = Splitting {
        carried,
        fillings,
        builder: GraphBuilder::new(),
        values: vec![],
        inputs: BTreeMap::new(),
    };
    for v in 0..graph.nodes().len() {
        let value = split.value(v)?;
        split.values.push(value);
    }
    let mut views = vec![];
    for v in inputs {
        match split.fillings.get(&v) {
            Some(filling) => views.extend([View::Filled(filling.clone()), View::Mask]),
            None => views.push(View::Whole),
        }
    }
    Ok(Split {
        graph: Cow::Owned(split.finish()?),
        calibration: Cow::Owned(calibration.viewed(&views)),
        views,
    })
}

/// The values that have missing cells: inputs, and inputs moved.
fn carried(graph: &Graph, sources: Vec<usize>) -> Result<Carried<'_>, Error> {
    let carried = Carried::new(graph, sources);
    let (consumers, outputs) = (consumers(graph), outputs(graph));
    for v in (0..graph.nodes().len()).filter(|&v| carried.has(v)) {
        let reads = |c: &&usize| {
            let op = &graph.nodes()[**c].op;
            !op.carries() && !matches!(op, Op::Missing(_))
        };
        let reader = consumers[v].iter().find(reads);
        let reader = reader.map(|&c| graph.nodes()[c].name.clone());
        let named = |(name, u): &(String, ValueId)| (u.0 == v).then(|| name.clone());
        let shown = || graph.outputs().iter().find_map(named);
        if let Some(node) = reader.or_else(|| shown().filter(|_| outputs[v])) {
            return Err(Error::Missing {
                input: carried.source(v).to_owned(),
                node,
            });
        }
    }
    Ok(carried)
}

/// What stands in the missing cells of every source: for each what the first node that replaces it
/// puts there, and 0 where none does.
fn fillings(carried: &Carried) -> BTreeMap<usize, ArrayD<f32>> {
    let graph = carried.graph;
    let shape = |v: usize| &*graph.nodes()[v].shape;
    let cells = |v: usize| shape(v).iter().product::<usize>();
    let total = carried.cells();
    let mut fillings: Vec<Option<f32>> = vec![None; total];
    for node in graph.nodes() {
        let Op::Missing(Missing::Replaced { by }) = &node.op else {
            continue;
        };
        // Beyond, positions are not exact; what is replaced is then a sum.
        if !carried.has(node.inputs[0].0) || total >= policy::COUNTED_CELLS {
            continue;
        }
        let places = carried.places(node.inputs[0].0);
        let by = by.broadcast(places.raw_dim());
        let by = by.expect("the shape rule compared them");
        for (&place, &by) in places.iter().zip(&by) {
            if let Some(cell) = (place as usize).checked_sub(1) {
                fillings[cell].get_or_insert(by);
            }
        }
    }
    let mut fillings = fillings.into_iter().map(Option::unwrap_or_default);
    let of_source = |&v: &usize| {
        let filling = fillings.by_ref().take(cells(v)).collect();
        let filling = ArrayD::from_shape_vec(IxDyn(shape(v)), filling);
        (v, filling.expect("as many as the shape has"))
    };
    carried.sources.iter().map(of_source).collect()
}

/// What becomes of a value.
#[derive(Clone)]
enum Value {
    Of(ValueId),
    /// It follows from nothing being missing.
    Known(ArrayD<f32>),
    /// It has missing cells, and all that reads it is made of the sources' inputs.
    Carried,
}

/// Which of a source's two inputs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Filled,
    Mask,
}

/// The graph that is written.
struct Splitting<'a> {
    carried: Carried<'a>,
    fillings: BTreeMap<usize, ArrayD<f32>>,
    builder: GraphBuilder,
    values: Vec<Value>,
    /// The inputs of every source.
    inputs: BTreeMap<(usize, Part), ValueId>,
}

impl Splitting<'_> {
    fn node(&self, v: usize) -> &'_ Node {
        &self.carried.graph.nodes()[v]
    }

    /// What becomes of `v`.
    fn value(&mut self, v: usize) -> Result<Value, Error> {
        let node = self.node(v).clone();
        if self.fillings.contains_key(&v) {
            let filled = self.builder.input(&node.name, &node.shape)?;
            let mask = self.builder.integral_input(&node.name, &node.shape)?;
            self.inputs.insert((v, Part::Filled), filled);
            self.inputs.insert((v, Part::Mask), mask);
            return Ok(Value::Carried);
        }
        if self.carried.has(v) {
            return Ok(Value::Carried);
        }
        match &node.op {
            Op::Missing(missing) => self.read(v, missing),
            _ => self.computed(&node),
        }
    }

    /// What `missing` reads of the operand of `v`.
    fn read(&mut self, v: usize, missing: &Missing) -> Result<Value, Error> {
        let (name, operand) = (self.node(v).name.clone(), self.node(v).inputs[0].0);
        let present = !self.carried.has(operand);
        Ok(match missing {
            Missing::Is if present => Value::Known(ArrayD::zeros(IxDyn(&self.node(v).shape))),
            Missing::Replaced { .. } if present => self.values[operand].clone(),
            Missing::Is => Value::Of(self.moved(operand, Part::Mask)?),
            Missing::Replaced { by } => {
                let filled = self.moved(operand, Part::Filled)?;
                let beside = by - &self.filling(operand);
                if beside.iter().all(|&x| x == 0.0) {
                    return Ok(Value::Of(filled));
                }
                let mask = self.moved(operand, Part::Mask)?;
                let shift = ArrayD::zeros(IxDyn(&[]));
                let scale = beside;
                let beside = self
                    .builder
                    .add(&name, Op::Affine { scale, shift }, &[mask])?;
                Value::Of(self.builder.add(&name, Op::Add, &[filled, beside])?)
            }
        })
    }

    /// What stands in the missing cells of `v`.
    fn filling(&self, v: usize) -> ArrayD<f32> {
        let mut fillings: BTreeMap<usize, ArrayD<f32>> = BTreeMap::new();
        for u in self.carried.path(v) {
            let node = self.node(u);
            let value = match self.fillings.get(&u) {
                Some(filling) => filling.clone(),
                None if self.carried.has(u) => {
                    let operands: Vec<_> = node.inputs.iter().map(|w| &fillings[&w.0]).collect();
                    node.evaluate(&operands)
                }
                None => ArrayD::zeros(IxDyn(&node.shape)),
            };
            fillings.insert(u, value);
        }
        fillings.remove(&v).expect("the last of its path")
    }

    /// One of the two parts of `v`, moved as `v` is.
    fn moved(&mut self, v: usize, part: Part) -> Result<ValueId, Error> {
        for u in self.carried.path(v) {
            if self.inputs.contains_key(&(u, part)) {
                continue;
            }
            let node = self.node(u).clone();
            let value = if self.carried.has(u) {
                let operands: Vec<_> = node
                    .inputs
                    .iter()
                    .map(|w| self.inputs[&(w.0, part)])
                    .collect();
                self.builder.add(&node.name, node.op, &operands)?
            } else if part == Part::Mask {
                let value = ArrayD::zeros(IxDyn(&node.shape));
                self.builder.add(&node.name, Op::Constant { value }, &[])?
            } else {
                let value = self.values[u].clone();
                self.written(&node.name, value)?
            };
            self.inputs.insert((u, part), value);
        }
        Ok(self.inputs[&(v, part)])
    }

    /// The value in the graph.
    fn written(&mut self, name: &str, value: Value) -> Result<ValueId, float::Error> {
        match value {
            Value::Of(value) => Ok(value),
            Value::Known(value) => self.builder.add(name, Op::Constant { value }, &[]),
            Value::Carried => unreachable!("what reads it was asked for before"),
        }
    }

    /// The node on what became of its operands, evaluated where nothing but what is known is left.
    fn computed(&mut self, node: &Node) -> Result<Value, Error> {
        let operands: Vec<Value> = node
            .inputs
            .iter()
            .map(|u| self.values[u.0].clone())
            .collect();
        let known: Vec<Option<&ArrayD<f32>>> = operands.iter().map(Value::known).collect();
        let zero = |k: usize| known[k].is_some_and(|x| x.iter().all(|&x| x == 0.0));
        if !known.is_empty() && known.iter().all(Option::is_some) {
            let known: Vec<_> = known.into_iter().flatten().collect();
            return Ok(Value::Known(node.evaluate(&known)));
        }
        match &node.op {
            op if op.adds() && zero(1) => return Ok(operands[0].clone()),
            op if op.adds() && !op.subtracts() && zero(0) => return Ok(operands[1].clone()),
            op if op.multiplies() && (zero(0) || zero(1)) => {
                return Ok(Value::Known(ArrayD::zeros(IxDyn(&node.shape))));
            }
            _ => {}
        }
        let mut inputs = Vec::with_capacity(operands.len());
        for value in operands {
            inputs.push(self.written(&node.name, value)?);
        }
        Ok(Value::Of(copied(&mut self.builder, node, &inputs)?))
    }

    fn finish(mut self) -> Result<Graph, Error> {
        let graph = self.carried.graph;
        let mut outputs = Vec::with_capacity(graph.outputs().len());
        for (name, v) in graph.outputs() {
            let value = self.values[v.0].clone();
            outputs.push((name.clone(), self.written(name, value)?));
        }
        for note in graph.notes() {
            self.builder.note(note.clone());
        }
        Ok(self.builder.finish(outputs)?)
    }
}

impl Value {
    fn known(&self) -> Option<&ArrayD<f32>> {
        match self {
            Self::Known(value) => Some(value),
            Self::Of(_) | Self::Carried => None,
        }
    }
}

impl View {
    /// What it shows of an input's cells.
    pub(super) fn of(&self, x: &ArrayD<f32>) -> ArrayD<f32> {
        match self {
            Self::Whole => x.clone(),
            Self::Filled(filling) => Missing::Replaced {
                by: filling.clone(),
            }
            .of(x),
            Self::Mask => Missing::Is.of(x),
        }
    }
}
