//! The layout pass: from operators on logical views to operators on physical axes.
//!
//! Before it, every operator views its operands as it likes (a reshape is no operator: producer
//! and consumer merely view one tensor differently) and [`Node::axes`] is one axis of all cells.
//! The pass chooses, for every tensor, axes that refine all its views, so that every reshape is
//! free. Where no common refinement exists, the consumer reads a copy in a layout of its own
//! ([`Op::Gather`] with the identity map).

use super::cuts::{Conflict, Cuts, Demand, Segment};
use crate::int::{Affine, Axes, Contract, MAX_GATHER, Map, MapAxis, Node, Op, Port, TensorId};

/// A tensor that no layout serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NoLayout {
    /// The consumer.
    pub(super) node: String,
    /// The tensor's cells.
    pub(super) cells: usize,
}

/// Chooses the axes of `nodes`; `outputs` and the operands are renamed when gathers are inserted.
pub(super) fn assign(nodes: Vec<Node>, outputs: &mut [Port]) -> Result<Vec<Node>, NoLayout> {
    let mut cuts = Cuts::default();
    let mut placed: Vec<Node> = Vec::new();
    let mut renamed: Vec<TensorId> = Vec::new();
    for mut node in nodes {
        node.inputs.iter_mut().for_each(|t| *t = renamed[t.0]);
        place(node, &mut cuts, &mut placed)?;
        renamed.push(TensorId(placed.len() - 1));
    }
    for port in outputs {
        port.tensor = renamed[port.tensor.0];
    }
    Ok(placed
        .iter()
        .enumerate()
        .map(|(i, node)| refine(node, i, &cuts))
        .collect())
}

/// Number of cells of a node before layouts are assigned.
fn cells(node: &Node) -> usize {
    node.axes.iter().product()
}

/// Appends `node`, reading copies of as few operands as possible.
fn place(node: Node, cuts: &mut Cuts, placed: &mut Vec<Node>) -> Result<(), NoLayout> {
    let n = node.inputs.len();
    let all: Vec<usize> = (0..n).collect();
    let choices = std::iter::once(vec![])
        .chain((0..n).map(|k| vec![k]))
        .chain([all]);
    let mut blamed = None;
    for copied in choices {
        let sizes = copied.iter().map(|&k| cells(&placed[node.inputs[k].0]));
        if let Some(size) = sizes.max().filter(|&size| size > MAX_GATHER) {
            blamed = Some(size);
            continue;
        }
        let mark = cuts.mark();
        let mut node = node.clone();
        let mut copies: Vec<Node> = Vec::new();
        for &k in &copied {
            // One copy of a tensor that is read twice: its product with itself stays a square.
            let known = copies
                .iter()
                .position(|copy| copy.inputs[0] == node.inputs[k]);
            if let Some(c) = known {
                node.inputs[k] = TensorId(placed.len() + c);
                continue;
            }
            let source = &placed[node.inputs[k].0];
            copies.push(Node {
                name: node.name.clone(),
                op: Op::Gather {
                    map: (0..cells(source) as u32).collect(),
                },
                inputs: vec![node.inputs[k]],
                axes: source.axes.clone(),
                interval: source.interval,
            });
            node.inputs[k] = TensorId(cuts.push(cells(source)));
        }
        let tensor = cuts.push(cells(&node));
        let mut demands = demands(&node, tensor).into_iter();
        if demands.try_for_each(|d| cuts.demand(d)) == Err(Conflict) {
            cuts.undo(mark);
            continue;
        }
        placed.extend(copies);
        placed.push(node);
        return Ok(());
    }
    Err(NoLayout {
        node: node.name,
        cells: blamed.unwrap_or(cells_of_inputs(&node.inputs, placed)),
    })
}

fn cells_of_inputs(inputs: &[TensorId], placed: &[Node]) -> usize {
    inputs
        .iter()
        .map(|t| cells(&placed[t.0]))
        .max()
        .unwrap_or(0)
}

/// The segments of consecutive axes, outermost first, of a tensor viewed with lengths `view`.
fn segments(tensor: usize, view: &[usize]) -> Vec<Segment> {
    let mut stride = view.iter().product();
    let segment = |&len: &usize| {
        stride /= len;
        Segment {
            tensor,
            stride,
            len,
        }
    };
    view.iter().map(segment).collect()
}

/// What `node`, producing `tensor`, asks of its operands' and its own layout.
fn demands(node: &Node, tensor: usize) -> Vec<Demand> {
    let input = |view: &[usize]| segments(node.inputs[0].0, view);
    match &node.op {
        Op::Input | Op::Gather { .. } | Op::Constant { .. } => vec![],
        Op::Table { .. } | Op::Sum { .. } => {
            let whole = |tensor| Segment {
                tensor,
                stride: 1,
                len: cells(node),
            };
            let tie = |t: &TensorId| Demand::Tie(whole(t.0), whole(tensor));
            node.inputs.iter().map(tie).collect()
        }
        Op::Permute { axes, perm } => {
            let from = input(axes);
            let view: Axes = perm.iter().map(|&p| axes[p]).collect();
            let ties = perm.iter().zip(segments(tensor, &view));
            ties.flat_map(|(&p, to)| tied(from[p], to)).collect()
        }
        Op::Map(map) => {
            let (from, to) = views(&map.axes);
            let pairs = input(&from).into_iter().zip(segments(tensor, &to));
            let pairs = pairs.zip(&map.axes);
            pairs
                .flat_map(|((a, b), axis)| passed(a, b, axis))
                .collect()
        }
        Op::Affine(affine) => {
            let from = input(&affine.input_axes());
            let to = segments(tensor, &affine.output_axes());
            let kept = affine.lead.len() + affine.groups.len();
            let mut demands: Vec<Demand> = (0..kept).flat_map(|i| tied(from[i], to[i])).collect();
            let windows = affine.windows.len();
            let (summed, from) = from[kept..].split_at(affine.inputs.len());
            let (made, to) = to[kept..].split_at(affine.outputs.len());
            debug_assert!(from.len() == windows && to.len() == windows);
            demands.extend(summed.iter().chain(made).copied().map(Demand::Axis));
            for ((&a, &b), axis) in from.iter().zip(to).zip(&affine.windows) {
                demands.extend(passed(a, b, axis));
            }
            demands
        }
        Op::Contract(contract) => {
            let labelled = labelled(contract, node, tensor);
            let places = |label: usize| -> Vec<Segment> {
                let of_label = labelled.iter().filter(|(l, _)| *l == label);
                of_label.map(|&(_, segment)| segment).collect()
            };
            let labels = (0..contract.lengths.len()).map(places);
            let ties = |places: Vec<Segment>| {
                let pairs = places.windows(2).map(|pair| tied(pair[0], pair[1]));
                pairs.collect::<Vec<_>>().concat()
            };
            labels.flat_map(ties).collect()
        }
    }
}

/// Every label of a contraction with its segment in each tensor where it occurs.
fn labelled(contract: &Contract, node: &Node, tensor: usize) -> Vec<(usize, Segment)> {
    let tensors = [node.inputs[0].0, node.inputs[1].0, tensor];
    let lists = [&contract.left, &contract.right, &contract.output];
    let lists = tensors.into_iter().zip(lists).map(|(tensor, labels)| {
        let segments = segments(tensor, &contract.view(labels));
        labels.iter().copied().zip(segments).collect::<Vec<_>>()
    });
    lists.flatten().collect()
}

fn tied(a: Segment, b: Segment) -> [Demand; 3] {
    [Demand::Axis(a), Demand::Axis(b), Demand::Tie(a, b)]
}

/// The demands of one mapped axis.
fn passed(a: Segment, b: Segment, axis: &MapAxis) -> Vec<Demand> {
    match axis {
        MapAxis::Keep(_) => tied(a, b).to_vec(),
        MapAxis::Window { .. } | MapAxis::Matrix { .. } => {
            let both = [a, b];
            let axes = both.map(Demand::Axis);
            axes.into_iter().chain(both.map(Demand::Solid)).collect()
        }
    }
}

fn views(axes: &[MapAxis]) -> (Axes, Axes) {
    let from = axes.iter().map(MapAxis::input).collect();
    (from, axes.iter().map(MapAxis::output).collect())
}

/// Node `i` with its axes and its operator's views refined to the layouts.
fn refine(node: &Node, i: usize, cuts: &Cuts) -> Node {
    let split =
        |segments: &[Segment]| -> Axes { segments.iter().flat_map(|&s| cuts.axes(s)).collect() };
    let op = match &node.op {
        Op::Permute { axes, perm } => permute(&segments(node.inputs[0].0, axes), perm, cuts),
        Op::Map(map) => {
            let (from, _) = views(&map.axes);
            Op::Map(Map {
                axes: mapped(&map.axes, &segments(node.inputs[0].0, &from), cuts),
                fill: map.fill,
            })
        }
        Op::Affine(affine) => {
            let from = segments(node.inputs[0].0, &affine.input_axes());
            let to = segments(i, &affine.output_axes());
            let (lead, rest) = from.split_at(affine.lead.len());
            let (groups, rest) = rest.split_at(affine.groups.len());
            let (inputs, windows) = rest.split_at(affine.inputs.len());
            let first = affine.lead.len() + affine.groups.len();
            Op::Affine(Affine {
                lead: split(lead),
                groups: split(groups),
                outputs: split(&to[first..first + affine.outputs.len()]),
                inputs: split(inputs),
                windows: mapped(&affine.windows, windows, cuts),
                ..affine.clone()
            })
        }
        Op::Contract(contract) => Op::Contract(contracted(contract, node, i, cuts)),
        op => op.clone(),
    };
    Node {
        op,
        axes: cuts.axes(cuts.whole(i)),
        ..node.clone()
    }
}

fn mapped(axes: &[MapAxis], segments: &[Segment], cuts: &Cuts) -> Vec<MapAxis> {
    let refined = axes
        .iter()
        .zip(segments)
        .map(|(axis, &segment)| match axis {
            MapAxis::Keep(_) => cuts.axes(segment).into_iter().map(MapAxis::Keep).collect(),
            MapAxis::Window { .. } | MapAxis::Matrix { .. } => vec![axis.clone()],
        });
    refined.collect::<Vec<_>>().concat()
}

/// A label that is cut into several axes becomes as many labels, in order.
fn contracted(contract: &Contract, node: &Node, i: usize, cuts: &Cuts) -> Contract {
    let labelled = labelled(contract, node, i);
    let mut lengths = Axes::new();
    let mut parts = Vec::with_capacity(contract.lengths.len());
    for label in 0..contract.lengths.len() {
        let first = lengths.len();
        // The axes are the same wherever the label occurs, since its places are tied.
        if let Some(&(_, segment)) = labelled.iter().find(|(l, _)| *l == label) {
            lengths.extend(cuts.axes(segment));
        }
        parts.push(first..lengths.len());
    }
    let refined = |labels: &[usize]| labels.iter().flat_map(|&l| parts[l].clone()).collect();
    Contract {
        left: refined(&contract.left),
        right: refined(&contract.right),
        output: refined(&contract.output),
        lengths,
    }
}

fn permute(segments: &[Segment], perm: &[usize], cuts: &Cuts) -> Op {
    let parts: Vec<Axes> = segments.iter().map(|&s| cuts.axes(s)).collect();
    let mut first = Vec::with_capacity(parts.len());
    let mut axes = Axes::new();
    for part in &parts {
        first.push(axes.len());
        axes.extend(part);
    }
    let perm = perm
        .iter()
        .flat_map(|&p| first[p]..first[p] + parts[p].len());
    Op::Permute {
        perm: perm.collect(),
        axes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::int::{BiasId, Interval, Tap};

    fn node(op: Op, inputs: &[usize], cells: usize) -> Node {
        Node {
            name: "n".into(),
            op,
            inputs: inputs.iter().copied().map(TensorId).collect(),
            axes: vec![cells],
            interval: Interval { lo: 0, hi: 1 },
        }
    }

    fn contract(lengths: &[usize], left: &[usize], right: &[usize], output: &[usize]) -> Op {
        Op::Contract(Contract {
            lengths: lengths.to_vec(),
            left: left.to_vec(),
            right: right.to_vec(),
            output: output.to_vec(),
        })
    }

    /// A map that slides over the whole tensor: no cut may be inside it.
    fn solid(cells: usize) -> Op {
        Op::Map(Map {
            axes: vec![MapAxis::Window {
                input: cells,
                output: cells,
                stride: 1,
                taps: vec![Tap {
                    offset: 0,
                    weight: 1,
                }],
                coefs: vec![],
            }],
            fill: 0,
        })
    }

    #[test]
    fn a_label_is_cut_wherever_it_occurs() {
        let (axes, perm) = (vec![2, 2, 6], vec![2, 0, 1]);
        let nodes = vec![
            node(Op::Input, &[], 24),
            node(Op::Input, &[], 30),
            node(contract(&[4, 6, 5], &[0, 1], &[2, 1], &[2, 0]), &[0, 1], 20),
            // Cuts label 0 into two.
            node(Op::Permute { axes, perm }, &[0], 24),
        ];
        let nodes = assign(nodes, &mut []).expect("a layout");
        let axes: Vec<&[usize]> = nodes.iter().map(|n| n.axes.as_slice()).collect();
        assert_eq!(axes, [&[2, 2, 6][..], &[5, 6], &[5, 2, 2], &[6, 2, 2]]);
        let refined = contract(&[2, 2, 6, 5], &[0, 1, 2], &[3, 2], &[3, 0, 1]);
        assert_eq!(nodes[2].op, refined);
    }

    #[test]
    fn a_copied_tensor_times_itself_stays_a_square() {
        let nodes = vec![
            node(Op::Input, &[], 24),
            node(solid(24), &[0], 24),
            node(contract(&[4, 6], &[0, 1], &[0, 1], &[0]), &[0, 0], 4),
            node(Op::Constant { bias: BiasId(0) }, &[], 4),
            node(contract(&[4], &[0], &[0], &[]), &[2, 3], 1),
        ];
        let nodes = assign(nodes, &mut []).expect("a layout");
        assert!(matches!(nodes[2].op, Op::Gather { .. }));
        assert_eq!(nodes[2].axes, [4, 6]);
        assert_eq!(nodes[3].inputs, [TensorId(2); 2]);
        assert_eq!(nodes[4].axes, [4]);
        assert_eq!(nodes[5].inputs, [3, 4].map(TensorId));
    }
}
