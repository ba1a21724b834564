//! Declared intervals that validation accepts hold, whatever the graph: random small graphs of extreme
//! coefficients, cancellations and constants against their runs in 128-bit integers over extreme
//! inputs.
//!
//! `ZKSTRATA_INTERVAL_GRAPHS=1000000` tries so many.

use crate::random::{Rng, port, push};
use crate::reference::cells;
use zkstrata_model_ir::int::{
    Affine, BiasId, Contract, Entry, Function, Graph, Interval, Known, Map, MapAxis, Model, Op,
    Steps, Table, TableId, Tap, TensorId, WeightId, affine_bounds, contract_bounds,
    dependent_sum_bounds, map_bounds,
};

/// Graphs without the variable.
const GRAPHS: u64 = 20_000;
/// Runs of each.
const RUNS: usize = 6;

#[test]
fn accepted_intervals_hold() {
    let count = std::env::var("ZKSTRATA_INTERVAL_GRAPHS");
    let count = count.map_or(GRAPHS, |n| n.parse().expect("a number of graphs"));
    let (mut narrowed, mut cells) = (0, 0);
    for seed in 0..count {
        let mut rng = Rng(seed.wrapping_mul(0x9e37_79b9));
        let mut model = graph(&mut rng);
        model.validate().expect("bounds are what validation finds");
        narrowed += usize::from(narrow(&mut model, &mut rng));
        for _ in 0..RUNS {
            cells += check(&model, &mut rng, seed);
        }
    }
    // The generator does reach what is narrower than the operands' intervals, and whole runs.
    assert!(narrowed > count as usize / 100, "{narrowed} of {count}");
    assert!(cells > 20 * count as usize, "{cells} cells of {count}");
}

/// Runs the graph on an extreme input until an argument leaves its domain; returns how many cells
/// were compared with their node's interval.
fn check(model: &Model, rng: &mut Rng, seed: u64) -> usize {
    let mut nodes: Vec<Vec<i128>> = vec![];
    for node in &model.graph.nodes {
        let Interval { lo, hi } = node.interval;
        let found = if node.op == Op::Input {
            let cells = (0..node.cells()).map(|_| rng.within(lo, hi).into());
            Some(cells.collect())
        } else {
            cells(model, node, &nodes)
        };
        let Some(found) = found else { break };
        for &x in &found {
            let inside = i128::from(lo) <= x && x <= i128::from(hi);
            assert!(inside, "seed {seed}: {x} is not in {lo}..={hi}: {model:#?}");
        }
        nodes.push(found);
    }
    nodes.iter().map(Vec::len).sum()
}

/// Declares a smaller interval for a node where validation lets that pass, as a hostile key would.
fn narrow(model: &mut Model, rng: &mut Rng) -> bool {
    let mut narrowed = false;
    for _ in 0..3 {
        let node = rng.below(model.graph.nodes.len());
        if model.graph.nodes[node].op == Op::Input {
            continue;
        }
        let honest = model.graph.nodes[node].interval;
        let Interval { lo, hi } = honest;
        let middle = lo + (hi - lo) / 2;
        let (a, b) = (rng.pick(&[lo, 0, middle]), rng.pick(&[hi, 0, middle]));
        model.graph.nodes[node].interval = Interval {
            lo: a.max(lo),
            hi: b.min(hi),
        };
        if model.validate().is_err() {
            model.graph.nodes[node].interval = honest;
        } else {
            narrowed |= model.graph.nodes[node].interval != honest;
        }
    }
    narrowed || model.graph.nodes.iter().any(|node| cancels(model, node))
}

/// Whether a sum is declared narrower than its operands' intervals say.
fn cancels(model: &Model, node: &zkstrata_model_ir::int::Node) -> bool {
    let Op::Sum { coefs } = &node.op else {
        return false;
    };
    let terms = coefs.iter().zip(&node.inputs).map(|(&c, &x)| {
        let Interval { lo, hi } = model.graph.node(x).interval;
        (i128::from(c) * i128::from(hi) - i128::from(c) * i128::from(lo)).abs()
    });
    let Interval { lo, hi } = node.interval;
    terms.sum::<i128>() > i128::from(hi) - i128::from(lo)
}

fn graph(rng: &mut Rng) -> Model {
    let mut model = Model {
        graph: Graph {
            nodes: vec![],
            tables: vec![],
            biases: vec![],
            weights: 0,
            inputs: vec![],
            outputs: vec![],
        },
        weights: vec![],
        biases: vec![],
    };
    let axes = rng.pick(&[&[][..], &[2], &[3], &[2, 3]]).to_vec();
    for _ in 0..=rng.below(3) {
        let most = 1i64 << rng.pick(&[0, 1, 3, 8, 16, 31, 40, 55, 61]);
        let (lo, hi) = rng.pick(&[
            (-most, most),
            (0, most),
            (-most, 0),
            (most, most),
            (-1, most),
        ]);
        let id = push(
            &mut model,
            Op::Input,
            vec![],
            axes.clone(),
            Interval { lo, hi },
        );
        let port = port(&model, id);
        model.graph.inputs.push(port);
    }
    for _ in 0..rng.below(12) + 2 {
        let x = TensorId(rng.below(model.graph.nodes.len()));
        match rng.below(12) {
            0..=3 => random_sum(&mut model, x, rng),
            4 => amplify(&mut model, x, rng),
            5 => cancel(&mut model, x, rng),
            6 => map(&mut model, x, rng),
            7 => place(&mut model, x, rng),
            8 | 9 => table(&mut model, x, rng),
            10 => product(&mut model, x, rng),
            _ => constant(&mut model, x, rng),
        }
    }
    let last = TensorId(model.graph.nodes.len() - 1);
    let output = port(&model, last);
    model.graph.outputs.push(output);
    model
}

/// A sum with the interval that its bound gives, or nothing if that is too large.
fn sum(model: &mut Model, terms: &[(i64, TensorId)]) -> Option<TensorId> {
    let (coefs, inputs): (Vec<i64>, Vec<TensorId>) = terms.iter().copied().unzip();
    let axes = model.graph.node(inputs[0]).axes.clone();
    let tables = model.graph.tables.clone();
    let relu = |op: &Op| match op {
        Op::Table {
            table,
            shift: 0,
            offset: 0,
            ..
        } => tables[table.0].is_relu(),
        _ => false,
    };
    let step = |op: &Op| match op {
        Op::Table {
            table, offset: 0, ..
        } => tables[table.0].is_step(),
        _ => false,
    };
    let known = Known {
        relu: &relu,
        step: &step,
    };
    let steps = &mut Steps::of_sum();
    let interval = dependent_sum_bounds(&model.graph.nodes, known, &coefs, &inputs, steps)?;
    Some(push(model, Op::Sum { coefs }, inputs, axes, interval))
}

fn like(model: &Model, x: TensorId, rng: &mut Rng) -> TensorId {
    let axes = &model.graph.node(x).axes;
    let ids = (0..model.graph.nodes.len()).map(TensorId);
    let alike: Vec<TensorId> = ids.filter(|&y| &model.graph.node(y).axes == axes).collect();
    rng.pick(&alike)
}

fn random_sum(model: &mut Model, x: TensorId, rng: &mut Rng) {
    let coefs = [1, 1, -1, -1, 2, -7, 1 << 31, -(1 << 31), (1 << 31) - 1];
    let mut terms = vec![(rng.pick(&coefs), x)];
    for _ in 0..rng.below(4) {
        terms.push((rng.pick(&coefs), like(model, x, rng)));
    }
    sum(model, &terms);
}

/// `2^(31 k) x`: where the interval is [0, 0], as far as anybody likes.
fn amplify(model: &mut Model, mut x: TensorId, rng: &mut Rng) {
    for _ in 0..rng.below(7) {
        let coef = rng.pick(&[1 << 31, -(1 << 31), 1 << 31, 1 << 20]);
        match sum(model, &[(coef, x)]) {
            Some(y) => x = y,
            None => return,
        }
    }
}

/// `a x - a x`, `a` large or not, the second `x` a copy or not, and something beside it.
fn cancel(model: &mut Model, x: TensorId, rng: &mut Rng) {
    let copy = if rng.one_in(2) {
        sum(model, &[(1, x)]).expect("as large as before")
    } else {
        x
    };
    let a = rng.pick(&[1, 1, 3, 1 << 31]);
    let other = like(model, x, rng);
    let mut terms = vec![(a, x), (-a, copy)];
    if rng.one_in(2) {
        terms.push((rng.pick(&[1, -1, 1 << 31]), other));
    }
    sum(model, &terms);
}

fn map(model: &mut Model, x: TensorId, rng: &mut Rng) {
    let node = model.graph.node(x).clone();
    let weights = [1, 1, 1, -1, 2, 0, 1 << 31, -(1 << 31)];
    let axis = |&n: &usize, rng: &mut Rng| match rng.below(4) {
        0 => MapAxis::Keep(n),
        1 => MapAxis::Matrix {
            input: n,
            output: n,
            entries: (0..n as u32)
                .filter_map(|to| {
                    let (from, weight) = (rng.below(n) as u32, rng.pick(&weights));
                    (weight != 0).then_some(Entry { to, from, weight })
                })
                .collect(),
        },
        _ => MapAxis::Window {
            input: n,
            output: n,
            stride: rng.pick(&[1, 1, 1, 0, -1, 2]),
            taps: (0..=rng.below(3))
                .map(|_| Tap {
                    offset: rng.within(-3, 3),
                    weight: rng.pick(&weights),
                })
                .collect(),
            coefs: if rng.one_in(4) {
                (0..n).map(|_| rng.pick(&weights)).collect()
            } else {
                vec![]
            },
        },
    };
    let map = Map {
        axes: node.axes.iter().map(|n| axis(n, rng)).collect(),
        fill: rng.pick(&[0, 0, node.interval.lo, -77, (1 << 62) - 1, -(1 << 61)]),
    };
    if let Some(bounds) = map_bounds(&map, node.interval) {
        push(model, Op::Map(map), vec![x], node.axes, bounds);
    }
}

/// Tensors placed beside or over each other, and their sum.
fn place(model: &mut Model, x: TensorId, rng: &mut Rng) {
    let &[n] = model.graph.node(x).axes.as_slice() else {
        return;
    };
    let mut terms = vec![];
    for k in 0..=rng.below(3) {
        let y = like(model, x, rng);
        let at = (k * n) as i64 - i64::from(rng.one_in(4));
        let map = Map {
            axes: vec![MapAxis::Window {
                input: n,
                output: 3 * n,
                stride: 1,
                taps: vec![Tap {
                    offset: -at,
                    weight: rng.pick(&[1, 1, 1, 1, 2]),
                }],
                coefs: vec![],
            }],
            fill: rng.pick(&[0, 0, 0, 5]),
        };
        let Some(bounds) = map_bounds(&map, model.graph.node(y).interval) else {
            return;
        };
        terms.push((1, push(model, Op::Map(map), vec![y], vec![3 * n], bounds)));
    }
    sum(model, &terms);
}

/// A clamp, a step or values, of the whole argument or a part of it, and a sum that such a table
/// is meant for: a maximum or a choice.
fn table(model: &mut Model, x: TensorId, rng: &mut Rng) {
    let other = like(model, x, rng);
    let d = if rng.one_in(3) {
        x
    } else {
        match sum(model, &[(1, x), (-1, other)]) {
            Some(d) => d,
            None => return,
        }
    };
    let argument = model.graph.node(d).interval;
    let start = argument.lo.max(-(1 << 12));
    let len = (argument.hi.clamp(start, start + (1 << 13)) - start) as usize + 1;
    let threshold = rng.pick(&[0, 0, 0, 1, -1]);
    let step = |x: i64| i32::from(x >= threshold);
    let function = match rng.below(4) {
        0 => Function::Values((start..start + len as i64).map(step).collect()),
        1 => Function::Range,
        _ => Function::Clamp {
            lo: rng.pick(&[0, 0, 0, -5]),
            hi: rng.pick(&[7, 1 << 20, 1 << 61]),
        },
    };
    let table = Table {
        function,
        start,
        len,
    };
    let (axes, image) = (model.graph.node(d).axes.clone(), table.image());
    let op = Op::Table {
        table: TableId(model.graph.tables.len()),
        shift: 0,
        ranges: vec![],
        offset: rng.pick(&[0, 0, 0, 3]),
    };
    model.graph.tables.push(table);
    let r = push(model, op, vec![d], axes, image);
    if model.graph.validate().is_err() {
        model.graph.nodes.pop();
        model.graph.tables.pop();
        return;
    }
    let c = rng.pick(&[1, 1, -1, 2]);
    if rng.one_in(3)
        && let Some(product) = multiply(model, r, d)
    {
        sum(model, &[(c, product), (1, other)]);
    } else {
        sum(model, &[(c, r), (1, other)]);
    }
}

/// The product of two tensors, cell by cell.
fn multiply(model: &mut Model, x: TensorId, y: TensorId) -> Option<TensorId> {
    let lengths = model.graph.node(x).axes.clone();
    let labels: Vec<usize> = (0..lengths.len()).collect();
    let contract = Contract {
        left: labels.clone(),
        right: labels.clone(),
        output: labels,
        lengths: lengths.clone(),
    };
    let operands = [x, y].map(|t| (t, model.graph.node(t).interval));
    let bounds = contract_bounds(&contract, operands)?;
    Some(push(
        model,
        Op::Contract(contract),
        vec![x, y],
        lengths,
        bounds,
    ))
}

/// A product of cells, a dot product or a dense layer.
fn product(model: &mut Model, x: TensorId, rng: &mut Rng) {
    let y = if rng.one_in(3) {
        x
    } else {
        like(model, x, rng)
    };
    if rng.one_in(2) {
        multiply(model, x, y);
        return;
    }
    let inputs = model.graph.node(x).axes.clone();
    let bias = rng.one_in(2).then_some(BiasId(model.biases.len()));
    let layer = Affine {
        lead: vec![],
        groups: vec![],
        outputs: vec![3],
        inputs,
        windows: vec![],
        weight: WeightId(model.weights.len()),
        bias,
    };
    let most = rng.pick(&[3, 1 << 20, i32::MAX]);
    let weights = 0..layer.weight_shape().len();
    let weights: Vec<i32> = weights
        .map(|_| rng.within(-i64::from(most), most.into()) as i32)
        .collect();
    let cells: Option<Vec<i64>> =
        bias.map(|_| (0..3).map(|_| rng.within(-(1 << 61), 1 << 61)).collect());
    let input = model.graph.node(x).interval;
    let Some(rows) = affine_bounds(&layer, &weights, cells.as_deref(), input) else {
        return;
    };
    let bounds = rows.into_iter().reduce(Interval::hull).expect("three rows");
    model.graph.weights += 1;
    model.weights.push(weights.into());
    if let Some(cells) = cells {
        model.graph.biases.push(cells.len());
        model.biases.push(cells);
    }
    push(model, Op::Affine(layer), vec![x], vec![3], bounds);
}

fn constant(model: &mut Model, x: TensorId, rng: &mut Rng) {
    let axes = model.graph.node(x).axes.clone();
    let most = rng.pick(&[0, 1, 1 << 20, (1 << 62) - 1]);
    let cells = 0..axes.iter().product();
    let cells: Vec<i64> = cells.map(|_| rng.within(-most, most)).collect();
    let hull = cells.iter().map(|&x| Interval { lo: x, hi: x });
    let hull = hull.reduce(Interval::hull).expect("a cell");
    let bias = BiasId(model.biases.len());
    model.graph.biases.push(cells.len());
    model.biases.push(cells);
    push(model, Op::Constant { bias }, vec![], axes, hull);
}
