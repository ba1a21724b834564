//! Control flow whose course is known: If of a constant condition is its branch, of any other a
//! choice between the results of both; Loop and Scan are repeated as often as they run.

use crate::Error;
use crate::decode::model::domain;
use crate::decode::tensor::{Cells, Tensor};
use crate::import::Importer;
use crate::ops;
use crate::ops::truth::chosen;
use crate::ops::view::viewed;
use crate::proto::NodeProto;
use crate::scope::names::Meaning;
use crate::scope::node::Node;
use crate::scope::value::{Constant, Element, Value};
use crate::write::Writer;
use crate::write::index::select_axis;
use crate::write::layout::concatenated;
use crate::write::masked;

/// Imports the graphs inside of one node as often as they are needed, and gives its outputs.
pub(super) type Import = fn(&mut Node, &mut Importer) -> Result<Vec<Value>, Error>;

/// The operators with graphs inside, and what of them is refused.
const CONTROL: &[(&str, Import, &str)] = &[
    (
        "If",
        branch,
        "of a constant condition, or of branches with the same shapes",
    ),
    ("Loop", repeat, "of a constant number of steps"),
    ("Scan", scan, ""),
];

/// The function that imports a node with graphs inside.
pub(super) fn find(proto: &NodeProto) -> Option<Import> {
    let known = CONTROL.iter().filter(|_| domain(proto) == "ai.onnx");
    let mut known = known.filter(|(name, ..)| *name == proto.op_type);
    known.next().map(|(_, import, _)| *import)
}

/// The supported operators: domain, name, and what of it is refused (empty if nothing is).
pub fn operators() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    let control = CONTROL.iter();
    let control = control.map(|(name, _, limits)| ("ai.onnx", *name, *limits));
    let mut all: Vec<_> = ops::operators().chain(control).collect();
    all.sort_unstable();
    all.into_iter()
}

/// The outputs of `then_branch` or `else_branch`. The branch that a constant condition does not
/// take is not looked at.
fn branch(node: &mut Node, importer: &mut Importer) -> Result<Vec<Value>, Error> {
    node.at_most(1)?;
    let (then, otherwise) = (node.graph("then_branch")?, node.graph("else_branch")?);
    let condition = node.value(0)?;
    let cells = importer
        .writer
        .shape_of(&condition)
        .iter()
        .product::<usize>();
    if cells != 1 || node.element(0) != Element::Bool {
        return Err(node.shape_error("If needs one truth value"));
    }
    if let Value::Constant(condition) = &condition {
        let code = if truth(condition) { then } else { otherwise };
        let body = importer.body(node, code)?;
        let outputs = importer.call(node, &body, vec![])?;
        return Ok(means(node, outputs));
    }
    let bodies = [importer.body(node, then)?, importer.body(node, otherwise)?];
    let [then, otherwise] = [&bodies[0], &bodies[1]].map(|body| importer.call(node, body, vec![]));
    let (then, otherwise) = (then?, otherwise?);
    importer.writer.note(format!(
        "node `{}` depends on the input: both of its branches are computed",
        node.name()
    ));
    let condition = viewed(node, &mut importer.writer, condition, vec![])?;
    for (i, pair) in then.into_iter().zip(otherwise).enumerate() {
        let (Meaning::Tensor(a, of_a), Meaning::Tensor(b, of_b)) = pair else {
            return Err(differs(node, "sequences"));
        };
        let a = integers(node, &mut importer.writer, a, of_a)?;
        let b = integers(node, &mut importer.writer, b, of_b)?;
        let (left, right) = (
            importer.writer.shape_of(&a.0),
            importer.writer.shape_of(&b.0),
        );
        if left != right || a.1 != b.1 {
            let (l, r) = (a.1.name(), b.1.name());
            return Err(differs(node, &format!("{l} {left:?} and {r} {right:?}")));
        }
        let y = chosen(node, &mut importer.writer, condition.clone(), a.0, b.0)?;
        node.means(i, Meaning::Tensor(y, a.1));
    }
    Ok(vec![])
}

/// The error for branches that cannot be computed side by side.
fn differs(node: &Node, what: &str) -> Error {
    node.unsupported(format!(
        "its condition depends on the model's inputs and its branches give {what}: make an input \
         that decides it a constant (--constant NAME=VALUE), or export one branch alone"
    ))
}

/// Quantised cells as integers.
fn integers(
    node: &Node,
    writer: &mut Writer,
    value: Value,
    element: Element,
) -> Result<(Value, Element), Error> {
    match (value, element) {
        (Value::Activation(x), Element::Quantised(_)) => {
            let x = writer.restored(node.name(), x, element)?;
            Ok((Value::Activation(x), Element::Int))
        }
        other => Ok(other),
    }
}

/// Whether a constant truth value is true.
fn truth(condition: &Constant) -> bool {
    matches!(condition.tensor.cells(), Cells::Bool(cells) if cells.first() == Some(&true))
}

/// Gives the results their meanings.
fn means(node: &mut Node, outputs: Vec<Meaning>) -> Vec<Value> {
    for (i, meaning) in outputs.into_iter().enumerate() {
        node.means(i, meaning);
    }
    vec![]
}

/// Repeats a graph that takes a counter, a condition and states, and gives the next condition,
/// the next states, and what each step adds to the other results.
fn repeat(node: &mut Node, importer: &mut Importer) -> Result<Vec<Value>, Error> {
    let code = node.graph("body")?;
    let most = match node.optional_constant(0)? {
        None => i64::MAX,
        Some(n) => match n.tensor.cells() {
            Cells::Int(cells) if cells.len() == 1 => cells[0],
            _ => return Err(node.shape_error("the number of steps of Loop must be an integer")),
        },
    };
    let mut goes_on = node.optional_constant(1)?.is_none_or(|c| truth(&c));
    let mut states = Vec::new();
    for i in 2..node.input_count() {
        states.push(node.meaning(i)?);
    }
    let body = importer.body(node, code)?;
    let mut collected: Vec<Vec<(Value, Element)>> = Vec::new();
    let mut step = 0;
    while goes_on && step < most {
        let flag = |b| Tensor::new(vec![], Cells::Bool(vec![b]));
        let mut inputs = vec![
            known(Tensor::new(vec![], Cells::Int(vec![step])), Element::Int),
            known(flag(true), Element::Bool),
        ];
        inputs.append(&mut states);
        let count = inputs.len() - 2;
        let mut outputs = importer.call(node, &body, inputs)?.into_iter();
        goes_on = match outputs.next() {
            Some(Meaning::Tensor(Value::Constant(c), Element::Bool)) => truth(&c),
            _ => {
                return Err(node.unsupported(
                    "whether it goes on depends on the model's inputs: export the loop with a \
                     fixed number of steps",
                ));
            }
        };
        states = outputs.by_ref().take(count).collect();
        collect(node, &importer.writer, &mut collected, outputs)?;
        step += 1;
    }
    if step == 0 && node.output_count() > states.len() {
        return Err(node.unsupported("it takes no step: remove it and what reads its results"));
    }
    finish(node, &mut importer.writer, states, collected, |_| {
        (0, false)
    })
}

/// A constant that a graph inside of a node takes.
fn known(tensor: Tensor, element: Element) -> Meaning {
    Meaning::Tensor(Value::Constant(Constant::new("", tensor)), element)
}

/// Adds what a step gives beside its states.
fn collect(
    node: &Node,
    writer: &Writer,
    collected: &mut Vec<Vec<(Value, Element)>>,
    outputs: impl Iterator<Item = Meaning>,
) -> Result<(), Error> {
    for (k, output) in outputs.enumerate() {
        let Meaning::Tensor(value, mut element) = output else {
            return Err(node.shape_error("a step gives a sequence beside its states"));
        };
        if let (Value::Activation(x), Element::Masked(_)) = (&value, element) {
            masked::exact(node, writer, *x, element)?;
            element = Element::Float;
        }
        if collected.len() == k {
            collected.push(vec![]);
        }
        collected[k].push((value, element));
    }
    Ok(())
}

/// The last states, and the collected tensors stacked along a new axis, from the last step to the
/// first where that is said.
fn finish(
    node: &mut Node,
    writer: &mut Writer,
    states: Vec<Meaning>,
    collected: Vec<Vec<(Value, Element)>>,
    place: impl Fn(usize) -> (i64, bool),
) -> Result<Vec<Value>, Error> {
    let first = states.len();
    means(node, states);
    for (k, mut steps) in collected.into_iter().enumerate() {
        let (axis, backwards) = place(k);
        if backwards {
            steps.reverse();
        }
        let element = steps.first().map_or(Element::Float, |s| s.1);
        if steps.iter().any(|s| s.1 != element) {
            return Err(node.shape_error("its steps give different kinds of elements"));
        }
        let mut parts = Vec::with_capacity(steps.len());
        let mut at = 0;
        for (value, _) in steps {
            let mut shape = writer.shape_of(&value).to_vec();
            at = node.axis(axis, shape.len() + 1)?;
            shape.insert(at, 1);
            parts.push(viewed(node, writer, value, shape)?);
        }
        let y = concatenated(node, writer, parts, at)?;
        node.means(first + k, Meaning::Tensor(y, element));
    }
    Ok(vec![])
}

/// Runs a graph over the positions of an axis of its last operands; it takes states and one slice
/// of each, and gives the next states and one slice of each other result.
fn scan(node: &mut Node, importer: &mut Importer) -> Result<Vec<Value>, Error> {
    if node.opset() < 9 {
        return Err(node.unsupported("its form at opset 8 has a batch axis: convert to opset 9"));
    }
    let code = node.graph("body")?;
    let scanned = node.int("num_scan_inputs")?.unwrap_or(0);
    let scanned = usize::try_from(scanned).ok();
    let scanned = scanned.filter(|n| (1..=node.input_count()).contains(n));
    let scanned = scanned.ok_or_else(|| node.bad_attribute("num_scan_inputs", "does not fit"))?;
    let states = node.input_count() - scanned;
    let results = node.output_count().saturating_sub(states);
    let mut inputs = (0..states)
        .map(|i| node.meaning(i))
        .collect::<Result<Vec<_>, _>>()?;
    let axes = list(node, "scan_input_axes", scanned)?;
    let backwards = list(node, "scan_input_directions", scanned)?;
    let (to, reversed) = (
        list(node, "scan_output_axes", results)?,
        list(node, "scan_output_directions", results)?,
    );
    let mut operands = Vec::with_capacity(scanned);
    let mut steps = None;
    for (k, &axis) in axes.iter().enumerate() {
        let element = node.element(states + k);
        let x = node.value(states + k)?;
        let shape = importer.writer.shape_of(&x);
        let axis = node.axis(axis, shape.len())?;
        if steps.replace(shape[axis]).is_some_and(|n| n != shape[axis]) {
            return Err(node.shape_error("its scanned operands differ in length"));
        }
        operands.push((x, element, axis));
    }
    let steps = steps.unwrap_or(0);
    if steps == 0 {
        return Err(node.unsupported("it takes no step: remove it and what reads its results"));
    }
    let body = importer.body(node, code)?;
    let mut collected = Vec::new();
    for step in 0..steps {
        for (k, (x, element, axis)) in operands.iter().enumerate() {
            let at = if backwards[k] == 0 {
                step
            } else {
                steps - 1 - step
            };
            let slice = select_axis(node, &mut importer.writer, x.clone(), *axis, vec![at])?;
            let mut shape = importer.writer.shape_of(&slice).to_vec();
            shape.remove(*axis);
            let slice = viewed(node, &mut importer.writer, slice, shape)?;
            inputs.push(Meaning::Tensor(slice, *element));
        }
        let mut outputs = importer.call(node, &body, inputs)?.into_iter();
        inputs = outputs.by_ref().take(states).collect();
        collect(node, &importer.writer, &mut collected, outputs)?;
    }
    let place = |k: usize| {
        let axis = to.get(k).copied().unwrap_or(0);
        (axis, reversed.get(k).is_some_and(|&r| r != 0))
    };
    finish(node, &mut importer.writer, inputs, collected, place)
}

/// A list of `length` integers, by default 0.
fn list(node: &Node, name: &str, length: usize) -> Result<Vec<i64>, Error> {
    match node.ints(name)? {
        None => Ok(vec![0; length]),
        Some(list) if list.len() == length => Ok(list.to_vec()),
        Some(list) => Err(node.bad_attribute(name, format!("is {list:?}, expected {length}"))),
    }
}
