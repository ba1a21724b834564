//! The smallest graph that is wrong in the same way.
//!
//! Greedy: the first smaller graph that still shows a fault of the same kind takes the place of the
//! graph, until none does.

use super::graph::Case;
use super::judge::{Fault, Verdict};
use super::tensor::Tensor;

/// Most graphs that are judged.
const TRIES: usize = 1500;

/// Shrinks a graph that `judge` finds wrong; the smallest one and its fault.
pub(super) fn shrink(
    mut case: Case,
    mut fault: Fault,
    mut judge: impl FnMut(&Case) -> Verdict,
) -> (Case, Fault) {
    let mut tries = 0;
    loop {
        let mut found = false;
        for step in STEPS {
            let mut k = 0;
            while let Some(smaller) = step(&case, k) {
                k += 1;
                if smaller == case {
                    continue;
                }
                tries += 1;
                if tries > TRIES {
                    return (case, fault);
                }
                match judge(&smaller) {
                    Verdict::Wrong(new) if new.kind == fault.kind => {
                        (case, fault, found) = (smaller, new, true);
                        k = k.saturating_sub(1);
                    }
                    _ => {}
                }
            }
        }
        if !found {
            return (case, fault);
        }
    }
}

/// The `k`-th smaller graph of a kind; `None` past the last one. One that does not apply is the
/// graph itself.
type Step = fn(&Case, usize) -> Option<Case>;

const STEPS: &[Step] = &[
    earlier_output,
    one_output,
    node_as_input,
    node_as_constant,
    bypassed,
    fewer_samples,
    shorter_axis,
    input_as_constant,
    plain_constant,
    without_attribute,
    without_operand,
    plain_input,
];

fn pruned(mut case: Case) -> Case {
    case.prune();
    case
}

fn one_output(case: &Case, k: usize) -> Option<Case> {
    let name = case.outputs.get(k)?.clone();
    let mut smaller = case.clone();
    smaller.outputs = vec![name];
    Some(pruned(smaller))
}

/// The `k`-th value as the only output; the last ones last.
fn earlier_output(case: &Case, k: usize) -> Option<Case> {
    let mut names = case.nodes.iter().flat_map(|node| &node.outputs);
    let name = names.nth(k)?.clone();
    let mut smaller = case.clone();
    smaller.outputs = vec![name];
    Some(pruned(smaller))
}

/// What the `k`-th node, counted from the end, gives becomes an input.
fn node_as_input(case: &Case, k: usize) -> Option<Case> {
    let at = case.nodes.len().checked_sub(k + 1)?;
    let mut smaller = case.clone();
    let node = smaller.nodes.remove(at);
    for i in 0..case.samples.len() {
        let Ok(values) = case.run(i) else {
            return Some(case.clone());
        };
        for name in &node.outputs {
            smaller.samples[i].push(values[name].clone());
        }
    }
    smaller.inputs.extend(node.outputs);
    if smaller
        .outputs
        .iter()
        .any(|name| smaller.inputs.contains(name))
    {
        return Some(case.clone());
    }
    Some(pruned(smaller))
}

fn node_as_constant(case: &Case, k: usize) -> Option<Case> {
    let at = case.nodes.len().checked_sub(k + 1)?;
    let mut smaller = case.clone();
    let node = smaller.nodes.remove(at);
    let Ok(values) = case.run(0) else {
        return Some(case.clone());
    };
    if smaller
        .outputs
        .iter()
        .any(|name| node.outputs.contains(name))
    {
        return Some(case.clone());
    }
    for name in node.outputs {
        let value = values[&name].clone();
        smaller.constants.insert(name, value);
    }
    Some(pruned(smaller))
}

fn input_as_constant(case: &Case, k: usize) -> Option<Case> {
    let name = case.inputs.get(k)?.clone();
    if case.inputs.len() == 1 {
        return Some(case.clone());
    }
    let mut smaller = case.clone();
    smaller.inputs.remove(k);
    let value = smaller.samples[0][k].clone();
    smaller
        .samples
        .iter_mut()
        .for_each(|sample| drop(sample.remove(k)));
    smaller.constants.insert(name, value);
    Some(smaller)
}

/// A node left out: its first result is one of its operands.
fn bypassed(case: &Case, k: usize) -> Option<Case> {
    let pairs = case.nodes.iter().enumerate().flat_map(|(at, node)| {
        let operands = node.inputs.iter().filter(|name| !name.is_empty());
        operands.map(move |operand| (at, operand))
    });
    let (at, operand) = pairs.skip(k).map(|(at, o)| (at, o.clone())).next()?;
    let mut smaller = case.clone();
    let node = smaller.nodes.remove(at);
    let gone = &node.outputs[0];
    for later in &mut smaller.nodes {
        for name in &mut later.inputs {
            if name == gone {
                name.clone_from(&operand);
            }
        }
    }
    if smaller.outputs.contains(gone) {
        let computed = smaller.nodes.iter().any(|n| n.outputs.contains(&operand));
        if !computed {
            return Some(case.clone());
        }
        for name in &mut smaller.outputs {
            if name == gone {
                name.clone_from(&operand);
            }
        }
        smaller.outputs.sort();
        smaller.outputs.dedup();
    }
    Some(pruned(smaller))
}

fn fewer_samples(case: &Case, k: usize) -> Option<Case> {
    if k >= case.samples.len() {
        return None;
    }
    let mut smaller = case.clone();
    if case.samples.len() == 2 {
        // One sample for both.
        smaller.samples[1 - k].clone_from(&case.samples[k]);
    } else {
        smaller.samples.remove(k);
    }
    Some(smaller)
}

/// The first cells of an axis of an input, and of constants of its length.
fn shorter_axis(case: &Case, k: usize) -> Option<Case> {
    let mut places = Vec::new();
    for (input, first) in case.samples[0].iter().enumerate() {
        for (axis, &n) in first.shape.iter().enumerate() {
            for to in [1, n / 2, n - 1] {
                if (1..n).contains(&to) {
                    places.push((input, axis, n, to));
                }
            }
        }
    }
    let &(input, axis, from, to) = places.get(k / 3)?;
    let mut smaller = case.clone();
    for sample in &mut smaller.samples {
        sample[input] = cut(&sample[input], axis, to);
    }
    match k % 3 {
        0 => {}
        // Of the axis at the same distance from the end.
        1 => {
            let back = case.samples[0][input].rank() - axis;
            for tensor in smaller.constants.values_mut().filter(|t| t.rank() >= back) {
                let at = tensor.rank() - back;
                if tensor.shape[at] == from {
                    *tensor = cut(tensor, at, to);
                }
            }
        }
        _ => {
            let every = smaller.constants.values_mut();
            for tensor in every.chain(smaller.samples.iter_mut().flatten()) {
                for at in 0..tensor.rank() {
                    if tensor.shape[at] == from {
                        *tensor = cut(tensor, at, to);
                    }
                }
            }
        }
    }
    Some(smaller)
}

fn cut(x: &Tensor, axis: usize, to: usize) -> Tensor {
    let mut shape = x.shape.clone();
    shape[axis] = to;
    Tensor::build(x.kind, &shape, |index| x.at(index))
}

/// Other cells for a tensor: all 0, all 1, whole, or of one digit.
fn plain(x: &Tensor, way: usize) -> Tensor {
    match way {
        0 => x.map(|_| 0.0),
        1 => x.map(|_| 1.0),
        2 => x.map(f64::round),
        _ => x.map(|x| {
            if x == 0.0 || !x.is_finite() {
                return x;
            }
            let unit = 10_f64.powf(x.abs().log10().floor());
            f64::from(((x / unit).round() * unit) as f32)
        }),
    }
}

const WAYS: usize = 4;

fn plain_constant(case: &Case, k: usize) -> Option<Case> {
    let name = case.constants.keys().nth(k / WAYS)?;
    let mut smaller = case.clone();
    let constant = smaller.constants.get_mut(name)?;
    if is_plain(constant) {
        return Some(case.clone());
    }
    *constant = plain(constant, k % WAYS);
    Some(smaller)
}

/// Whether nothing is gained by other cells.
fn is_plain(x: &Tensor) -> bool {
    x.cells.iter().all(|&c| c == 0.0) || x.cells.iter().all(|&c| c == 1.0)
}

fn plain_input(case: &Case, k: usize) -> Option<Case> {
    let (input, way) = (k / WAYS, k % WAYS);
    if input >= case.inputs.len() {
        return None;
    }
    if case.samples.iter().all(|s| is_plain(&s[input])) {
        return Some(case.clone());
    }
    let mut smaller = case.clone();
    for sample in &mut smaller.samples {
        sample[input] = plain(&sample[input], way);
    }
    Some(smaller)
}

fn without_attribute(case: &Case, k: usize) -> Option<Case> {
    let places = case.nodes.iter().enumerate();
    let mut places = places.flat_map(|(n, node)| (0..node.attributes.len()).map(move |a| (n, a)));
    let (node, attribute) = places.nth(k)?;
    let mut smaller = case.clone();
    smaller.nodes[node].attributes.remove(attribute);
    Some(smaller)
}

/// Without the last operand of a node, or one that may be left out.
fn without_operand(case: &Case, k: usize) -> Option<Case> {
    let node = case.nodes.get(k)?;
    if node.inputs.len() < 2 {
        return Some(case.clone());
    }
    let mut smaller = case.clone();
    smaller.nodes[k].inputs.pop();
    while smaller.nodes[k].inputs.last().is_some_and(String::is_empty) {
        smaller.nodes[k].inputs.pop();
    }
    Some(pruned(smaller))
}
