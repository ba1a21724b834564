//! The operators as their formulas stand in the documentation, in 128-bit integers, one cell at
//! a time.

use zkstrata_model_ir::int::{Affine, Contract, Entry, Ints, Map, MapAxis, Model, Node, Op};

/// Cells and, for table nodes with a shift, the limbs of the remainders.
pub(crate) type Tensor = (Vec<i128>, Vec<Vec<i128>>);

/// Every tensor of a batch, dense `[batch, axes..]`.
pub(crate) fn run(model: &Model, inputs: &[Ints], batch: usize) -> Vec<Tensor> {
    let mut all: Vec<Tensor> = vec![(Vec::new(), Vec::new()); model.graph.nodes.len()];
    for b in 0..batch {
        let mut one: Vec<Vec<i128>> = Vec::new();
        for (i, node) in model.graph.nodes.iter().enumerate() {
            let cells = if node.op == Op::Input {
                let port = model.graph.inputs.iter().position(|p| p.tensor.0 == i);
                let input = &inputs[port.expect("a port")];
                let n = node.cells();
                (b * n..(b + 1) * n).map(|i| input.get(i).into()).collect()
            } else {
                cells(model, node, &one).expect("inside the domain")
            };
            all[i].0.extend(&cells);
            let limbs = remainders(model, node, &one);
            all[i].1.resize(limbs.len(), Vec::new());
            for (all, limb) in all[i].1.iter_mut().zip(limbs) {
                all.extend(limb);
            }
            one.push(cells);
        }
    }
    all
}

/// The cells of a node that is no input, from those of the nodes before it; `None` if an argument
/// leaves its table's domain.
pub(crate) fn cells(model: &Model, node: &Node, nodes: &[Vec<i128>]) -> Option<Vec<i128>> {
    let operand = |k: usize| &nodes[node.inputs[k].0];
    Some(match &node.op {
        Op::Input => return None,
        Op::Affine(op) => affine(model, op, operand(0)),
        Op::Map(op) => map(op, operand(0)),
        Op::Sum { coefs } => (0..operand(0).len())
            .map(|i| {
                let terms = coefs.iter().enumerate();
                terms.map(|(k, &c)| i128::from(c) * operand(k)[i]).sum()
            })
            .collect(),
        Op::Permute { axes, perm } => {
            let permuted: Vec<usize> = perm.iter().map(|&a| axes[a]).collect();
            indices(&permuted)
                .map(|i| {
                    let mut from = vec![0; axes.len()];
                    for (&a, &i) in perm.iter().zip(&i) {
                        from[a] = i;
                    }
                    operand(0)[ravel(&from, axes)]
                })
                .collect()
        }
        Op::Gather { map } => map.iter().map(|&i| operand(0)[i as usize]).collect(),
        Op::Table {
            table,
            shift,
            offset,
            ..
        } => {
            let table = &model.graph.tables[table.0];
            let hi = |x: i128| (x + i128::from(*offset)).div_euclid(1 << shift);
            let value = |&x: &i128| table.get(i64::try_from(hi(x)).ok()?).map(i128::from);
            return operand(0).iter().map(value).collect();
        }
        Op::Contract(op) => contract(op, operand(0), operand(1)),
        Op::Constant { bias } => {
            let cells = model.biases[bias.0].iter();
            cells.map(|&x| i128::from(x)).collect()
        }
    })
}

/// The limbs of the remainders of a table node with a shift.
fn remainders(model: &Model, node: &Node, nodes: &[Vec<i128>]) -> Vec<Vec<i128>> {
    let Op::Table {
        shift,
        ranges,
        offset,
        ..
    } = &node.op
    else {
        return Vec::new();
    };
    let argument = &nodes[node.inputs[0].0];
    let rest = |&x: &i128| (x + i128::from(*offset)).rem_euclid(1 << shift);
    let mut rest: Vec<i128> = argument.iter().map(rest).collect();
    let mut limbs = Vec::new();
    for range in ranges {
        let rows = model.graph.tables[range.0].len as i128;
        limbs.push(rest.iter().map(|rem| rem % rows).collect());
        rest = rest.iter().map(|rem| rem / rows).collect();
    }
    limbs
}

fn affine(model: &Model, op: &Affine, x: &[i128]) -> Vec<i128> {
    let product = |axes: &[usize]| axes.iter().product::<usize>();
    let (groups, outputs) = (product(&op.groups), product(&op.outputs));
    let inputs = product(&op.inputs);
    let lengths = |f: fn(&MapAxis) -> usize| op.windows.iter().map(f).collect::<Vec<_>>();
    let (from, to) = (lengths(MapAxis::input), lengths(MapAxis::output));
    let taps = lengths(MapAxis::taps);
    let weights = model.weights[op.weight.0].widened();
    let mut y = Vec::new();
    for l in 0..product(&op.lead) {
        for g in 0..groups {
            for o in 0..outputs {
                let bias = op.bias.map_or(0, |b| model.biases[b.0][g * outputs + o]);
                for i in indices(&to) {
                    let mut sum = i128::from(bias);
                    for c in 0..inputs {
                        for t in indices(&taps) {
                            let row = (g * outputs + o) * inputs + c;
                            let w = weights[row * product(&taps) + ravel(&t, &taps)];
                            let channel = (l * groups + g) * inputs + c;
                            if let Some(p) = position(&op.windows, &i, &t) {
                                let cell = x[channel * product(&from) + ravel(&p, &from)];
                                sum += i128::from(w) * cell;
                            }
                        }
                    }
                    y.push(sum);
                }
            }
        }
    }
    y
}

fn map(op: &Map, x: &[i128]) -> Vec<i128> {
    let lengths = |f: fn(&MapAxis) -> usize| op.axes.iter().map(f).collect::<Vec<_>>();
    let taps = |axis: &MapAxis| match axis {
        // One per input, most of weight 0.
        MapAxis::Matrix { input, .. } => *input,
        axis => axis.taps(),
    };
    let (from, taps) = (lengths(MapAxis::input), lengths(taps));
    let mut y = Vec::new();
    for i in indices(&lengths(MapAxis::output)) {
        let mut sum = 0i128;
        for t in indices(&taps) {
            let mut factor = 1i128;
            for (axis, (&i, &t)) in op.axes.iter().zip(i.iter().zip(&t)) {
                match axis {
                    MapAxis::Keep(_) => {}
                    MapAxis::Window { taps, coefs, .. } => {
                        factor *= i128::from(taps[t].weight);
                        factor *= i128::from(coefs.get(i).copied().unwrap_or(1));
                    }
                    MapAxis::Matrix { entries, .. } => {
                        let at = |e: &&Entry| (e.to as usize, e.from as usize) == (i, t);
                        factor *= entries.iter().find(at).map_or(0, |e| i128::from(e.weight));
                    }
                }
            }
            sum += factor
                * match position(&op.axes, &i, &t) {
                    Some(p) => x[ravel(&p, &from)],
                    None => op.fill.into(),
                };
        }
        y.push(sum);
    }
    y
}

fn contract(op: &Contract, a: &[i128], b: &[i128]) -> Vec<i128> {
    let lengths = |labels: &[usize]| labels.iter().map(|&l| op.lengths[l]).collect::<Vec<_>>();
    let mut y = vec![0; lengths(&op.output).iter().product()];
    for i in indices(&op.lengths) {
        let at = |labels: &[usize]| {
            let index: Vec<usize> = labels.iter().map(|&l| i[l]).collect();
            ravel(&index, &lengths(labels))
        };
        y[at(&op.output)] += a[at(&op.left)] * b[at(&op.right)];
    }
    y
}

/// What taps `t` of output `i` read; `None` outside the input.
fn position(axes: &[MapAxis], i: &[usize], t: &[usize]) -> Option<Vec<usize>> {
    let read = |(axis, (&i, &t)): (&MapAxis, (&usize, &usize))| match axis {
        MapAxis::Keep(_) => Some(i),
        MapAxis::Window {
            input,
            stride,
            taps,
            ..
        } => {
            let x = *stride * i64::try_from(i).expect("small") + taps[t].offset;
            usize::try_from(x).ok().filter(|x| x < input)
        }
        MapAxis::Matrix { .. } => Some(t),
    };
    axes.iter().zip(i.iter().zip(t)).map(read).collect()
}

/// All indices of a row-major tensor, in order.
fn indices(axes: &[usize]) -> impl Iterator<Item = Vec<usize>> + use<> {
    let axes = axes.to_vec();
    (0..axes.iter().product()).map(move |mut i| {
        let mut index = vec![0; axes.len()];
        for (index, &n) in index.iter_mut().zip(&axes).rev() {
            *index = i % n;
            i /= n;
        }
        index
    })
}

fn ravel(index: &[usize], axes: &[usize]) -> usize {
    index.iter().zip(axes).fold(0, |sum, (&i, &n)| sum * n + i)
}
