//! Random models: short chains over every operator, with lengths around the sizes of the
//! executor's kernels.

use zkstrata_model_ir::int::{
    Affine, BiasId, Contract, Entry, Function, Graph, Interval, Ints, Map, MapAxis, Model, Node,
    Op, Port, PortKind, Table, TableId, Tap, TensorId, WeightId, affine_bounds, contract_bounds,
    map_bounds, sum_bounds,
};

/// `SplitMix64`.
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    pub(crate) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub(crate) fn pick<T: Copy>(&mut self, options: &[T]) -> T {
        options[self.below(options.len())]
    }

    /// Uniform in `lo ..= hi`, but often an end.
    pub(crate) fn within(&mut self, lo: i64, hi: i64) -> i64 {
        match self.below(4) {
            0 => lo,
            1 => hi,
            _ => {
                let width = hi.wrapping_sub(lo) as u64;
                let step = width
                    .checked_add(1)
                    .map_or(self.next(), |n| self.next() % n);
                lo.wrapping_add(step as i64)
            }
        }
    }

    fn axes(&mut self, most: usize) -> Vec<usize> {
        let lengths = [1, 2, 2, 3, 4, 5, 7, 8, 9, 16, 17, 31, 33, 70];
        let mut axes: Vec<usize> = (0..self.below(most + 1))
            .map(|_| self.pick(&lengths))
            .collect();
        while axes.iter().product::<usize>() > 800 {
            axes.pop();
        }
        axes
    }
}

pub(crate) fn inputs(graph: &Graph, batch: usize, rng: &mut Rng) -> Vec<Ints> {
    let input = |port: &Port| {
        let node = graph.node(port.tensor);
        let Interval { lo, hi } = node.interval;
        let cells = (0..batch * node.cells()).map(|_| rng.within(lo, hi));
        Ints::I64(cells.collect())
    };
    graph.inputs.iter().map(input).collect()
}

pub(crate) fn model(rng: &mut Rng) -> Model {
    let mut model = Model {
        graph: Graph {
            nodes: Vec::new(),
            tables: Vec::new(),
            biases: Vec::new(),
            weights: 0,
            inputs: Vec::new(),
            outputs: Vec::new(),
        },
        weights: Vec::new(),
        biases: Vec::new(),
    };
    let axes = rng.axes(4);
    let axes: Vec<usize> = axes.into_iter().filter(|&n| n > 1).collect();
    for _ in 0..=rng.below(2) {
        let bits = rng.pick(&[1, 4, 8, 12, 15, 16, 20, 31, 33, 40]);
        let interval = match rng.below(3) {
            0 => (0, (1i64 << bits) - 1),
            1 => (-(1i64 << (bits - 1)), (1i64 << (bits - 1)) - 1),
            _ => (3, 3 + (1i64 << bits)),
        };
        let (lo, hi) = interval;
        let id = push(
            &mut model,
            Op::Input,
            vec![],
            axes.clone(),
            Interval { lo, hi },
        );
        model.graph.inputs.push(port(&model, id));
    }
    for _ in 0..=rng.below(4) {
        let x = TensorId(rng.below(model.graph.nodes.len()));
        match rng.below(11) {
            0..=2 => affine(&mut model, x, rng),
            3 => map(&mut model, x, rng),
            4 => sum(&mut model, x, rng),
            5 => rearrange(&mut model, x, rng),
            6 | 7 => contract(&mut model, x, rng),
            8 => constant(&mut model, x, rng),
            _ => table(&mut model, x, rng),
        }
    }
    let last = TensorId(model.graph.nodes.len() - 1);
    let output = port(&model, last);
    model.graph.outputs.push(output);
    model
}

pub(crate) fn port(model: &Model, tensor: TensorId) -> Port {
    Port {
        name: format!("port {}", tensor.0),
        tensor,
        shape: model.graph.node(tensor).axes.clone(),
        scale: 1.0,
        kind: PortKind::Real,
        features: None,
    }
}

pub(crate) fn push(
    model: &mut Model,
    op: Op,
    inputs: Vec<TensorId>,
    view: Vec<usize>,
    interval: Interval,
) -> TensorId {
    let id = TensorId(model.graph.nodes.len());
    model.graph.nodes.push(Node {
        name: format!("node {}", id.0),
        op,
        inputs,
        axes: view.into_iter().filter(|&n| n > 1).collect(),
        interval,
    });
    id
}

/// The axes of `x` with a few axes of length 1.
fn view(model: &Model, x: TensorId, rng: &mut Rng) -> Vec<usize> {
    let mut view = model.graph.node(x).axes.clone();
    while rng.one_in(3) {
        view.insert(rng.below(view.len() + 1), 1);
    }
    view
}

fn window(input: usize, weights: &[i64], coefs: bool, rng: &mut Rng) -> MapAxis {
    if rng.one_in(3) {
        return MapAxis::Keep(input);
    }
    let stride = rng.pick(&[1, 1, 1, 1, 2, 2, 3, 0, -1]);
    let taps = rng.below(5) + 1;
    let dilation = rng.pick(&[1, 1, 2, 5]);
    let padding = rng.pick(&[0, 0, 1, 2, 9]);
    let output = if rng.one_in(4) {
        rng.below(20) + 1
    } else {
        input
    };
    let taps = (0..taps as i64).map(|t| Tap {
        offset: t * dilation - padding,
        weight: rng.pick(weights),
    });
    MapAxis::Window {
        input,
        output,
        stride,
        taps: taps.collect(),
        coefs: if coefs && rng.one_in(3) {
            (0..output).map(|_| rng.within(-3, 5)).collect()
        } else {
            Vec::new()
        },
    }
}

/// A sparse matrix with up to three entries a row.
fn matrix(input: usize, weights: &[i64], rng: &mut Rng) -> MapAxis {
    let output = rng.pick(&[1, 2, input, 2 * input, 19]);
    let mut entries = Vec::new();
    for to in 0..output as u32 {
        let mut row: Vec<u32> = (0..rng.below(4)).map(|_| rng.below(input) as u32).collect();
        row.sort_unstable();
        row.dedup();
        for from in row {
            let weight = rng.pick(weights);
            entries.extend((weight != 0).then_some(Entry { to, from, weight }));
        }
    }
    MapAxis::Matrix {
        input,
        output,
        entries,
    }
}

fn loosen(interval: Interval, rng: &mut Rng) -> Interval {
    let slack = rng.pick(&[0, 0, 0, 1, 40_000, 1 << 33]);
    let loose = Interval {
        lo: interval.lo - slack,
        hi: interval.hi + slack,
    };
    if loose.is_bounded() { loose } else { interval }
}

fn affine(model: &mut Model, x: TensorId, rng: &mut Rng) {
    let mut rest = view(model, x, rng);
    let mut take = |most: usize| {
        let n = rng.below(most.min(rest.len()) + 1);
        rest.drain(..n).collect::<Vec<usize>>()
    };
    let (lead, groups, inputs) = (take(1), take(1), take(2));
    let windows: Vec<MapAxis> = rest.iter().map(|&n| window(n, &[1], false, rng)).collect();
    let affine = Affine {
        lead,
        groups,
        outputs: rng.axes(2),
        inputs,
        windows,
        weight: WeightId(model.weights.len()),
        bias: rng.one_in(2).then_some(BiasId(model.biases.len())),
    };
    let weights = affine.weight_shape().len();
    let cells: usize = affine.output_axes().iter().product();
    if cells * weights / affine.rows() > 300_000 {
        return;
    }
    let bits = rng.pick(&[1, 4, 7, 11, 14, 15, 17, 20, 31]);
    let most = (1i64 << bits) - 1;
    let weights: Vec<i32> = (0..weights)
        .map(|_| rng.within(-most - 1, most) as i32)
        .collect();
    let bias = affine.bias.map(|_| {
        let most = 1i64 << rng.pick(&[3, 20, 40]);
        (0..affine.rows())
            .map(|_| rng.within(-most, most))
            .collect::<Vec<i64>>()
    });
    let input = model.graph.node(x).interval;
    let Some(rows) = affine_bounds(&affine, &weights, bias.as_deref(), input) else {
        return;
    };
    let bounds = rows.into_iter().reduce(Interval::hull).expect("a row");
    model.graph.weights += 1;
    model.weights.push(weights.into());
    if let Some(bias) = bias {
        model.graph.biases.push(bias.len());
        model.biases.push(bias);
    }
    let axes = affine.output_axes();
    push(
        model,
        Op::Affine(affine),
        vec![x],
        axes,
        loosen(bounds, rng),
    );
}

fn map(model: &mut Model, x: TensorId, rng: &mut Rng) {
    let weights = rng.pick(&[[1, 1, 1], [1, 1, -1], [1, 2, -3], [0, 1, 1 << 20]]);
    let input = model.graph.node(x).interval;
    let view = view(model, x, rng);
    let map = Map {
        axes: view
            .iter()
            .map(|&n| match rng.below(3) {
                0 => matrix(n, &weights, rng),
                _ => window(n, &weights, true, rng),
            })
            .collect(),
        fill: rng.pick(&[0, 0, input.lo, -77]),
    };
    let axes: Vec<usize> = map.axes.iter().map(MapAxis::output).collect();
    let taps = |axis: &MapAxis| match axis {
        MapAxis::Matrix { input, .. } => *input,
        axis => axis.taps(),
    };
    let taps: usize = map.axes.iter().map(taps).product();
    let Some(bounds) = map_bounds(&map, input) else {
        return;
    };
    if axes.iter().product::<usize>() * taps < 300_000 {
        push(model, Op::Map(map), vec![x], axes, loosen(bounds, rng));
    }
}

fn sum(model: &mut Model, x: TensorId, rng: &mut Rng) {
    let axes = model.graph.node(x).axes.clone();
    let alike: Vec<TensorId> = (0..model.graph.nodes.len())
        .map(TensorId)
        .filter(|&id| model.graph.node(id).axes == axes)
        .collect();
    let inputs: Vec<TensorId> = (0..=rng.below(3)).map(|_| rng.pick(&alike)).collect();
    let coefs: Vec<i64> = inputs
        .iter()
        .map(|_| rng.pick(&[1, 1, -1, 4096, -7]))
        .collect();
    let intervals: Vec<Interval> = inputs
        .iter()
        .map(|&id| model.graph.node(id).interval)
        .collect();
    if let Some(bounds) = sum_bounds(&coefs, &intervals) {
        push(model, Op::Sum { coefs }, inputs, axes, loosen(bounds, rng));
    }
}

/// A contraction of `x` with some tensor: equal lengths get equal labels at random.
fn contract(model: &mut Model, x: TensorId, rng: &mut Rng) {
    let y = TensorId(rng.below(model.graph.nodes.len()));
    let (left, mut right) = (view(model, x, rng), view(model, y, rng));
    let mut op = Contract {
        left: (0..left.len()).collect(),
        lengths: left,
        right: vec![],
        output: vec![],
    };
    let same = rng.one_in(3);
    for (place, n) in right.drain(..).enumerate() {
        let known = if same && place < op.left.len() {
            Some(place)
        } else {
            (0..op.left.len())
                .find(|l| !op.right.contains(l) && op.lengths[*l] == n && !rng.one_in(4))
        };
        op.right.push(
            known
                .filter(|&l| op.lengths[l] == n)
                .unwrap_or(op.lengths.len()),
        );
        if op.right[place] == op.lengths.len() {
            op.lengths.push(n);
        }
    }
    for label in 0..op.lengths.len() {
        let shared = op.left.contains(&label) && op.right.contains(&label);
        if !shared || rng.one_in(2) {
            op.output.insert(rng.below(op.output.len() + 1), label);
        }
    }
    let operands = [x, y].map(|t| (t, model.graph.node(t).interval));
    let products: usize = op.lengths.iter().product();
    if products > 300_000 {
        return;
    }
    if let Some(bounds) = contract_bounds(&op, operands) {
        let axes = op.view(&op.output);
        let bounds = loosen(bounds, rng);
        push(model, Op::Contract(op), vec![x, y], axes, bounds);
    }
}

fn constant(model: &mut Model, x: TensorId, rng: &mut Rng) {
    let axes = model.graph.node(x).axes.clone();
    let most = 1i64 << rng.pick(&[1, 12, 20, 40]);
    let cells: usize = axes.iter().product();
    let cells: Vec<i64> = (0..cells).map(|_| rng.within(-most, most)).collect();
    let bounds = cells.iter().map(|&x| Interval { lo: x, hi: x });
    let bounds = loosen(bounds.reduce(Interval::hull).expect("a cell"), rng);
    let bias = BiasId(model.biases.len());
    model.graph.biases.push(cells.len());
    model.biases.push(cells);
    push(model, Op::Constant { bias }, vec![], axes, bounds);
}

fn rearrange(model: &mut Model, x: TensorId, rng: &mut Rng) {
    let interval = loosen(model.graph.node(x).interval, rng);
    if rng.one_in(3) {
        let cells = model.graph.node(x).cells();
        let view = rng.axes(3);
        let map = (0..view.iter().product())
            .map(|_| rng.below(cells) as u32)
            .collect();
        push(model, Op::Gather { map }, vec![x], view, interval);
        return;
    }
    let axes = view(model, x, rng);
    let mut perm: Vec<usize> = (0..axes.len()).collect();
    for i in (1..perm.len()).rev() {
        perm.swap(i, rng.below(i + 1));
    }
    let permuted = perm.iter().map(|&a| axes[a]).collect();
    push(
        model,
        Op::Permute { axes, perm },
        vec![x],
        permuted,
        interval,
    );
}

fn table(model: &mut Model, x: TensorId, rng: &mut Rng) {
    let limbs: &[u32] = rng.pick(&[
        &[][..],
        &[],
        &[1],
        &[8],
        &[12],
        &[20],
        &[1, 3],
        &[8, 16],
        &[20, 5, 1],
        &[7, 7, 7, 7],
        &[20, 20, 8],
    ]);
    let shift: u32 = limbs.iter().sum();
    let input = model.graph.node(x).interval;
    let half = (1i64 << shift) >> 1;
    let offset = match rng.below(4) {
        0 => 0,
        1 => rng.within(-100, 100),
        2 => rng.within(-(1 << 33), 1 << 33),
        _ => half,
    };
    let (first, last) = ((input.lo + offset) >> shift, (input.hi + offset) >> shift);
    let start = first - rng.pick(&[0, 0, 5]);
    let len = (last - start) as usize + 1 + rng.pick(&[0, 0, 9]);
    let ends = first.abs().max(last.abs()) + 20;
    if len > 1 << 16 || ends >= 1 << (62 - shift) {
        return;
    }
    let function = match rng.below(4) {
        0 => Function::Range,
        1 => Function::Clamp { lo: 0, hi: 255 },
        2 => Function::Clamp {
            lo: -300,
            hi: 1 << 40,
        },
        _ => {
            let most = rng.pick(&[100, 40_000, i64::from(i32::MAX)]);
            Function::Values((0..len).map(|_| rng.within(-most, most) as i32).collect())
        }
    };
    let table = Table {
        function,
        start,
        len,
    };
    let bounds = loosen(table.image(), rng);
    let id = TableId(model.graph.tables.len());
    model.graph.tables.push(table);
    let ranges = (0..limbs.len()).map(|j| TableId(id.0 + 1 + j)).collect();
    model.graph.tables.extend(limbs.iter().map(|k| Table {
        function: Function::Range,
        start: 0,
        len: 1 << k,
    }));
    let axes = model.graph.node(x).axes.clone();
    let op = Op::Table {
        table: id,
        shift,
        ranges,
        offset,
    };
    push(model, op, vec![x], axes, bounds);
}
