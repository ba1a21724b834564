//! A run over padded field elements: what an adversary's witness makes of every virtual tensor.
//!
//! Committed columns may hold anything, padding included; every virtual tensor is *defined* as the
//! polynomial its operator's formula gives on them. This evaluates those formulas cell by cell over
//! the padded cube, naively and independently of the prover's contractions.

use super::field_witness::{Faces, FieldWitness, Padded, padded_tensor};
use super::leaves::field_multiplicities;
use crate::PortValue;
use crate::plan::Plan;
use crate::statement::Statement;
use crate::tensor::{Tensor, for_each_live};
use zkstrata_mle::{F, PrimeCharacteristicRing, PrimeField64, axis_vars, live_cells, tensor_vars};
use zkstrata_model_ir::Digest;
use zkstrata_model_ir::int::{Affine, Contract, Entry, Map, MapAxis, Model, Op, Role, TensorId};

/// What an adversary does to a table node's committed columns after they were filled honestly from
/// the (possibly already falsified) argument: `(node, out, limbs, live)`, limbs the least significant
/// first.
pub(super) type Tamper<'a> = &'a mut dyn FnMut(usize, &mut [F], &mut [Vec<F>], &[bool]);

/// The centred representative.
pub(super) fn centred(x: F) -> i64 {
    let x = x.as_canonical_u64();
    if x > F::ORDER_U64 / 2 {
        -((F::ORDER_U64 - x) as i64)
    } else {
        x as i64
    }
}

/// Padded lengths and the index arithmetic of a view.
struct View {
    live: Vec<usize>,
    padded: Vec<usize>,
}

impl View {
    fn new(axes: &[usize]) -> Self {
        Self {
            live: axes.to_vec(),
            padded: axes.iter().map(|&n| 1 << axis_vars(n)).collect(),
        }
    }

    fn cells(&self) -> usize {
        self.padded.iter().product()
    }

    fn coordinates(&self, mut index: usize) -> Vec<usize> {
        let mut out = vec![0; self.padded.len()];
        for (o, &n) in out.iter_mut().zip(&self.padded).rev() {
            *o = index % n;
            index /= n;
        }
        out
    }

    fn index(&self, coordinates: &[usize]) -> usize {
        let fold = |i: usize, (&c, &n): (&usize, &usize)| i * n + c;
        coordinates.iter().zip(&self.padded).fold(0, fold)
    }

    fn is_live(&self, coordinates: &[usize]) -> bool {
        coordinates.iter().zip(&self.live).all(|(c, n)| c < n)
    }
}

/// The number of taps of an axis; a matrix has one per input, most of weight 0.
fn taps(axis: &MapAxis) -> usize {
    match axis {
        MapAxis::Matrix { input, .. } => *input,
        axis => axis.taps(),
    }
}

/// The factor of tap `t` of output `i`.
fn weight(axis: &MapAxis, t: usize, i: usize) -> i64 {
    match axis {
        MapAxis::Keep(_) => 1,
        MapAxis::Window { taps, coefs, .. } => taps[t].weight * coefs.get(i).copied().unwrap_or(1),
        MapAxis::Matrix { entries, .. } => {
            let at = |e: &&Entry| (e.to as usize, e.from as usize) == (i, t);
            entries.iter().filter(at).map(|e| e.weight).sum()
        }
    }
}

/// The input index that tap `t` of output `i` reads, if it is real.
fn reads(axis: &MapAxis, t: usize, i: usize) -> Option<usize> {
    match axis {
        MapAxis::Keep(_) => Some(i),
        MapAxis::Window {
            input,
            stride,
            taps,
            ..
        } => {
            let x = usize::try_from(i as i64 * stride + taps[t].offset).ok()?;
            (x < *input).then_some(x)
        }
        MapAxis::Matrix { .. } => Some(t),
    }
}

fn all_taps(axes: &[MapAxis]) -> Vec<Vec<usize>> {
    let mut out = vec![vec![]];
    for axis in axes {
        out = out
            .iter()
            .flat_map(|p| (0..taps(axis)).map(move |t| [p.as_slice(), &[t]].concat()))
            .collect();
    }
    out
}

fn affine(model: &Model, layer: &Affine, batch: usize, x: &[F]) -> Vec<F> {
    let lead = [&[batch], layer.lead.as_slice()].concat();
    let outputs: Vec<usize> = layer.windows.iter().map(MapAxis::output).collect();
    let inputs: Vec<usize> = layer.windows.iter().map(MapAxis::input).collect();
    let y = View::new(&[lead.as_slice(), &layer.groups, &layer.outputs, &outputs].concat());
    let x_view = View::new(&[lead.as_slice(), &layer.groups, &layer.inputs, &inputs].concat());
    let c_view = View::new(&layer.inputs);
    let shape = layer.weight_shape();
    let w_live = [
        shape.groups.as_slice(),
        &shape.outputs,
        &shape.inputs,
        &shape.taps,
    ]
    .concat();
    let weights = &model.weights[layer.weight.0];
    let dense = |axes: &[usize], at: &[usize]| axes.iter().zip(at).fold(0, |i, (&n, &c)| i * n + c);
    let (l, g, o) = (lead.len(), layer.groups.len(), layer.outputs.len());
    let mut out = vec![F::ZERO; y.cells()];
    for (index, cell) in out.iter_mut().enumerate() {
        let at = y.coordinates(index);
        let (lead_at, rest) = at.split_at(l);
        let (g_at, rest) = rest.split_at(g);
        let (o_at, i_at) = rest.split_at(o);
        // Weights and biases are zero at padding channels.
        let live = |at: &[usize], axes: &[usize]| at.iter().zip(axes).all(|(c, n)| c < n);
        if !live(g_at, &layer.groups) || !live(o_at, &layer.outputs) {
            continue;
        }
        let kept_live = live(lead_at, &lead) && live(i_at, &outputs);
        for c in 0..c_view.cells() {
            let c_at = c_view.coordinates(c);
            if !c_view.is_live(&c_at) {
                continue;
            }
            for t in all_taps(&layer.windows) {
                let mut source = [lead_at, g_at, &c_at].concat();
                let mut real = true;
                for ((axis, &t), &i) in layer.windows.iter().zip(&t).zip(i_at) {
                    let windowed = matches!(axis, MapAxis::Window { .. });
                    match reads(axis, t, i) {
                        Some(x) if !windowed || i < axis.output() => source.push(x),
                        _ => real = false,
                    }
                }
                if real {
                    let w = weights.get(dense(&w_live, &[g_at, o_at, &c_at, &t].concat()));
                    *cell += F::from_i32(w) * x[x_view.index(&source)];
                }
            }
        }
        if let (Some(bias), true) = (layer.bias, kept_live) {
            let axes = [layer.groups.as_slice(), &layer.outputs].concat();
            *cell += F::from_i64(model.biases[bias.0][dense(&axes, &[g_at, o_at].concat())]);
        }
    }
    out
}

fn map(layer: &Map, batch: usize, x: &[F]) -> Vec<F> {
    let axes = |f: fn(&MapAxis) -> usize| -> Vec<usize> {
        std::iter::once(batch)
            .chain(layer.axes.iter().map(f))
            .collect()
    };
    let y = View::new(&axes(MapAxis::output));
    let x_view = View::new(&axes(MapAxis::input));
    let mut out = vec![F::ZERO; y.cells()];
    for (index, cell) in out.iter_mut().enumerate() {
        let at = y.coordinates(index);
        let live = y.is_live(&at);
        let windows_live = layer
            .axes
            .iter()
            .zip(&at[1..])
            .all(|(axis, &i)| matches!(axis, MapAxis::Keep(_)) || i < axis.output());
        if !windows_live {
            continue;
        }
        for t in all_taps(&layer.axes) {
            let mut factor = F::ONE;
            let mut source = Some(vec![at[0]]);
            for ((axis, &t), &i) in layer.axes.iter().zip(&t).zip(&at[1..]) {
                factor *= F::from_i64(weight(axis, t, i));
                source = match (source, reads(axis, t, i)) {
                    (Some(s), Some(x)) => Some([s.as_slice(), &[x]].concat()),
                    _ => None,
                };
            }
            match source {
                Some(source) => *cell += factor * x[x_view.index(&source)],
                None if live => *cell += factor * F::from_i64(layer.fill),
                None => {}
            }
        }
    }
    out
}

fn permute(axes: &[usize], perm: &[usize], batch: usize, x: &[F]) -> Vec<F> {
    let x_view = View::new(&[&[batch], axes].concat());
    let out: Vec<usize> = std::iter::once(batch)
        .chain(perm.iter().map(|&p| axes[p]))
        .collect();
    let y = View::new(&out);
    (0..y.cells())
        .map(|index| {
            let at = y.coordinates(index);
            let mut source = vec![0; at.len()];
            source[0] = at[0];
            for (i, &p) in perm.iter().enumerate() {
                source[p + 1] = at[i + 1];
            }
            x[x_view.index(&source)]
        })
        .collect()
}

fn gather(map: &[u32], batch: usize, (from, to): (&[usize], &[usize]), x: &[F]) -> Vec<F> {
    let (x_cells, y_cells) = (1 << tensor_vars(from), 1 << tensor_vars(to));
    let mut sources = vec![];
    for_each_live(from, |_, at| sources.push(at));
    let mut out = vec![F::ZERO; y_cells << axis_vars(batch)];
    for b in 0..1 << axis_vars(batch) {
        for_each_live(to, |dense, at| {
            out[b * y_cells + at] = x[b * x_cells + sources[map[dense] as usize]];
        });
    }
    out
}

fn contract(op: &Contract, batch: usize, a: &[F], b: &[F]) -> Vec<F> {
    // All labels, the batch first.
    let all = View::new(&[&[batch], op.lengths.as_slice()].concat());
    let view = |labels: &[usize]| View::new(&[&[batch], op.view(labels).as_slice()].concat());
    let views = [&op.left, &op.right, &op.output].map(|labels| (labels, view(labels)));
    let summed = op.labels(Role::Summed);
    let mut out = vec![F::ZERO; views[2].1.cells()];
    for index in 0..all.cells() {
        let at = all.coordinates(index);
        if summed
            .iter()
            .any(|&label| at[label + 1] >= op.lengths[label])
        {
            continue;
        }
        let [a_at, b_at, y_at] = views.each_ref().map(|(labels, view)| {
            let labels = labels.iter().map(|&label| at[label + 1]);
            view.index(&std::iter::once(at[0]).chain(labels).collect::<Vec<_>>())
        });
        out[y_at] += a[a_at] * b[b_at];
    }
    out
}

/// Fills a table node's columns honestly from its argument; `None` values stay zero.
fn table(model: &Model, node: &Op, argument: &[F], live: &[bool]) -> (Vec<F>, Vec<Vec<F>>) {
    let Op::Table {
        table,
        shift,
        ranges,
        offset,
    } = node
    else {
        unreachable!("a table node");
    };
    let mut out = vec![F::ZERO; argument.len()];
    let mut limbs = vec![vec![F::ZERO; argument.len()]; ranges.len()];
    for (i, &acc) in argument.iter().enumerate() {
        if live[i] {
            let sum = i128::from(centred(acc)) + i128::from(*offset);
            let hi = (sum >> shift) as i64;
            let mut rem = sum - (i128::from(hi) << shift);
            for (limb, range) in limbs.iter_mut().zip(ranges) {
                let rows = model.graph.tables[range.0].len as i128;
                limb[i] = F::from_i64((rem % rows) as i64);
                rem /= rows;
            }
            out[i] = F::from_i64(model.graph.tables[table.0].get(hi).unwrap_or(0));
        }
    }
    (out, limbs)
}

/// A run with tampered commitments, and the statement with its live outputs.
pub(super) fn run(
    plan: &Plan,
    model: &Model,
    key: Digest,
    inputs: &[Vec<i64>],
    tamper: Tamper<'_>,
) -> (Statement, FieldWitness) {
    let batch = plan.batch;
    let mut tensors: Vec<Vec<F>> = Vec::new();
    let mut remainders: Vec<Vec<Vec<F>>> = Vec::new();
    for (index, node) in model.graph.nodes.iter().enumerate() {
        let axes = plan.axes(TensorId(index));
        let x = |k: usize| tensors[node.inputs[k].0].as_slice();
        let mut live = vec![false; 1 << tensor_vars(&axes)];
        for_each_live(&axes, |_, at| live[at] = true);
        let mut limbs = vec![];
        let value = match &node.op {
            Op::Input => {
                let ports = &model.graph.inputs;
                let port = ports.iter().position(|p| p.tensor == TensorId(index));
                let cells = &inputs[port.expect("a port")];
                let mut out = vec![F::ZERO; live.len()];
                for_each_live(&axes, |dense, at| out[at] = F::from_i64(cells[dense]));
                out
            }
            Op::Affine(layer) => affine(model, layer, batch, x(0)),
            Op::Map(layer) => map(layer, batch, x(0)),
            Op::Sum { coefs } => (0..live.len())
                .map(|i| {
                    let term = |(k, &c): (usize, &i64)| F::from_i64(c) * x(k)[i];
                    coefs.iter().enumerate().map(term).sum()
                })
                .collect(),
            Op::Permute { axes, perm } => permute(axes, perm, batch, x(0)),
            Op::Gather { map } => {
                let from = &model.graph.node(node.inputs[0]).axes;
                gather(map, batch, (from, &node.axes), x(0))
            }
            Op::Contract(op) => contract(op, batch, x(0), x(1)),
            Op::Constant { bias } => {
                let cells = &model.biases[bias.0];
                let mut out = vec![F::ZERO; live.len()];
                for_each_live(&axes, |dense, at| {
                    out[at] = F::from_i64(cells[dense % cells.len()]);
                });
                out
            }
            Op::Table { .. } => {
                let (mut out, mut remainder) = table(model, &node.op, x(0), &live);
                tamper(index, &mut out, &mut remainder, &live);
                // Nothing can be committed behind the last live cell.
                for column in std::iter::once(&mut out).chain(&mut remainder) {
                    column[live_cells(&axes)..].fill(F::ZERO);
                }
                limbs = remainder;
                out
            }
        };
        tensors.push(value);
        remainders.push(limbs);
    }
    let outputs = model
        .graph
        .outputs
        .iter()
        .map(|port| {
            let mut cells = vec![];
            let x = &tensors[port.tensor.0];
            for_each_live(&plan.axes(port.tensor), |_, at| cells.push(centred(x[at])));
            PortValue::Public(cells)
        })
        .collect();
    let statement = Statement {
        model: key,
        context: [0; 32],
        session: None,
        inputs: inputs.iter().cloned().map(PortValue::Public).collect(),
        outputs,
    };
    let padded = |(node, x)| padded_tensor(plan, node, x);
    let tensors: Vec<Tensor<Padded>> = tensors.into_iter().enumerate().map(padded).collect();
    let remainders: Vec<Vec<Tensor<Padded>>> = remainders
        .into_iter()
        .enumerate()
        .map(|(node, limbs)| limbs.into_iter().map(|x| padded((node, x))).collect())
        .collect();
    let multiplicities = if plan.blocks.is_empty() {
        vec![]
    } else {
        field_multiplicities(plan, &tensors, &remainders)
    };
    let witness = FieldWitness {
        tensors,
        remainders,
        multiplicities,
        faces: Faces::default(),
    };
    (statement, witness)
}
