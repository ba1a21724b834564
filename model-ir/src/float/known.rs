//! What is known of values whatever the inputs of the graph are: cells that no input changes, sums to
//! which nothing is added, numbers that are never negative.

use super::activation::Activation;
use super::graph::{Node, ValueId};
use super::op::{AxisMap, Op};
use ndarray::ArrayD;
use std::borrow::Cow;

/// The cells of a node that has them whatever the inputs of the graph are: it multiplies its operand
/// by 0 throughout, as a layer without weights does, subtracts it from itself, or reads constants that
/// are no smaller, as they are or arranged otherwise.
pub(super) fn fixed(nodes: &[Node], node: &Node) -> Option<ArrayD<f32>> {
    if let Op::Affine { scale, shift } = &node.op
        && scale.iter().all(|&scale| scale == 0.0)
    {
        return Some(shift.broadcast(&*node.shape)?.to_owned());
    }
    if matches!(node.op, Op::Sub) && node.inputs[0] == node.inputs[1] {
        return Some(ArrayD::zeros(&*node.shape));
    }
    if let Op::Dense { weight, .. } | Op::Conv { weight, .. } = &node.op
        && weight.iter().all(|&w| w == 0.0)
    {
        let nothing = ArrayD::zeros(&*nodes[node.inputs[0].0].shape);
        return Some(node.evaluate(&[&nothing]));
    }
    let source = |v: &ValueId| source(nodes, v.0).map(ArrayD::len);
    let sizes: Option<Vec<usize>> = node.inputs.iter().map(source).collect();
    let largest = sizes?.into_iter().max()?;
    if node.shape.iter().product::<usize>() > largest {
        return None;
    }
    let cells = evaluated(nodes, node)?;
    cells.iter().all(|x| x.is_finite()).then_some(cells)
}

/// The constant of which value `v` has the cells, perhaps several times.
fn source(nodes: &[Node], v: usize) -> Option<&ArrayD<f32>> {
    match &nodes[v].op {
        Op::Constant { value } => Some(value),
        Op::Map(_) | Op::Reshape { .. } => source(nodes, nodes[v].inputs[0].0),
        _ => None,
    }
}

/// What a node of such values makes of them.
fn evaluated(nodes: &[Node], node: &Node) -> Option<ArrayD<f32>> {
    let cells = |v: &ValueId| match &nodes[v.0].op {
        Op::Constant { value } => Some(Cow::Borrowed(value)),
        Op::Map(_) | Op::Reshape { .. } => evaluated(nodes, &nodes[v.0]).map(Cow::Owned),
        _ => None,
    };
    let operands: Option<Vec<Cow<'_, ArrayD<f32>>>> = node.inputs.iter().map(cells).collect();
    let operands = operands?;
    let operands: Vec<&ArrayD<f32>> = operands.iter().map(AsRef::as_ref).collect();
    Some(node.evaluate(&operands))
}

/// The operand to which a sum adds nothing: 0, however it is arranged.
pub(super) fn unchanged(nodes: &[Node], node: &Node) -> Option<ValueId> {
    let &[a, b] = node.inputs.as_slice() else {
        return None;
    };
    let mut pairs = [(a, b), (b, a)].into_iter().filter(|_| node.op == Op::Add);
    let (value, _) = pairs.find(|&(_, other)| is_nothing(nodes, other.0))?;
    (nodes[value.0].shape == node.shape).then_some(value)
}

fn is_nothing(nodes: &[Node], v: usize) -> bool {
    match &nodes[v].op {
        Op::Constant { value } => value.iter().all(|&x| x == 0.0),
        Op::Map(_) | Op::Reshape { .. } => is_nothing(nodes, nodes[v].inputs[0].0),
        _ => false,
    }
}

/// The truth values of a node that asks whether a sum is at least 0 that always is, or never: of
/// numbers above 0, as those that are made shares of.
pub(super) fn decided(nodes: &[Node], i: usize) -> Option<ArrayD<f32>> {
    let node = &nodes[i];
    let Op::Activation(Activation::Step) = node.op else {
        return None;
    };
    let operand = node.inputs[0].0;
    let (sign, truth) = match &nodes[operand].op {
        Op::Affine { scale, shift } => {
            let below = scale.iter().all(|&s| s < 0.0) && shift.iter().all(|&t| t <= 0.0);
            (
                nodes[operand].inputs[0].0,
                if below { 0.0 } else { return None },
            )
        }
        _ => (operand, 1.0),
    };
    let sums = matches!(nodes[sign].op, Op::Map(_));
    (sums && is_positive(nodes, sign)).then(|| ArrayD::from_elem(&*node.shape, truth))
}

/// Whether value `v` is above 0 whatever the inputs of the graph are, in real numbers.
fn is_positive(nodes: &[Node], v: usize) -> bool {
    let node = &nodes[v];
    let operand = || is_positive(nodes, node.inputs[0].0);
    match &node.op {
        Op::Activation(Activation::Exp | Activation::Sigmoid | Activation::Softplus) => true,
        Op::Activation(Activation::Reciprocal) | Op::Reshape { .. } | Op::Transpose { .. } => {
            operand()
        }
        Op::Affine { scale, shift } => {
            scale.iter().all(|&s| s > 0.0) && shift.iter().all(|&t| t >= 0.0) && operand()
        }
        Op::Map(axes) => {
            let covers = |axis: &AxisMap| match axis {
                AxisMap::Keep => true,
                AxisMap::Matrix(m) => {
                    let above = m.entries.iter().all(|&(_, _, weight)| weight > 0);
                    above && (0..m.output as u32).all(|to| m.entries.iter().any(|e| e.0 == to))
                }
            };
            axes.iter().all(covers) && operand()
        }
        _ => false,
    }
}
