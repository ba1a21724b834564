//! Integer models for tests, built node by node with computed intervals.

use crate::plan::Plan;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use zkstrata_model_ir::int::{
    Affine, BiasId, Contract, Entry, Function, Graph, Interval, Map, MapAxis, Model, Node, Op,
    Port, PortKind, Table, TableId, Tap, TensorId, ValidGraph, WeightId, affine_bounds,
    contract_bounds, map_bounds, sum_bounds,
};

/// `S` of the test models.
pub(super) const SHIFT: u32 = 4;

pub(super) struct Builder {
    graph: Graph,
    weights: Vec<Vec<i32>>,
    biases: Vec<Vec<i64>>,
    pub(super) rng: ChaCha8Rng,
}

/// A sliding window with unit taps.
pub(super) fn window(
    input: usize,
    kernel: usize,
    stride: usize,
    pad: usize,
    dilation: usize,
) -> MapAxis {
    let output = (input + 2 * pad - dilation * (kernel - 1) - 1) / stride + 1;
    let tap = |a: usize| Tap {
        offset: (a * dilation) as i64 - pad as i64,
        weight: 1,
    };
    MapAxis::Window {
        input,
        output,
        stride: stride as i64,
        taps: (0..kernel).map(tap).collect(),
        coefs: vec![],
    }
}

/// A window with weighted taps at the given offsets.
pub(super) fn taps(input: usize, output: usize, stride: i64, taps: &[(i64, i64)]) -> MapAxis {
    MapAxis::Window {
        input,
        output,
        stride,
        taps: taps
            .iter()
            .map(|&(offset, weight)| Tap { offset, weight })
            .collect(),
        coefs: vec![],
    }
}

/// A sparse matrix with entries `(to, from, weight)`.
pub(super) fn matrix(input: usize, output: usize, entries: &[(u32, u32, i64)]) -> MapAxis {
    let entry = |&(to, from, weight): &(u32, u32, i64)| Entry { to, from, weight };
    MapAxis::Matrix {
        input,
        output,
        entries: entries.iter().map(entry).collect(),
    }
}

impl Builder {
    pub(super) fn new(seed: u64) -> Self {
        Self {
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
            rng: ChaCha8Rng::seed_from_u64(seed),
        }
    }

    pub(super) fn below(&mut self, n: u64) -> u64 {
        self.rng.next_u64() % n
    }

    fn interval(&self, x: TensorId) -> Interval {
        self.graph.node(x).interval
    }

    fn push(
        &mut self,
        op: Op,
        inputs: &[TensorId],
        axes: &[usize],
        interval: Interval,
    ) -> TensorId {
        let id = TensorId(self.graph.nodes.len());
        self.graph.nodes.push(Node {
            name: format!("n{}", id.0),
            op,
            inputs: inputs.to_vec(),
            axes: axes.iter().copied().filter(|&n| n > 1).collect(),
            interval,
        });
        id
    }

    fn port(&self, name: &str, tensor: TensorId) -> Port {
        Port {
            name: name.into(),
            tensor,
            shape: [&[1], self.graph.node(tensor).axes.as_slice()].concat(),
            scale: 1.0,
            kind: PortKind::Real,
            features: None,
        }
    }

    pub(super) fn input(&mut self, axes: &[usize], lo: i64, hi: i64) -> TensorId {
        let id = self.push(Op::Input, &[], axes, Interval { lo, hi });
        let port = self.port(&format!("in{}", id.0), id);
        self.graph.inputs.push(port);
        id
    }

    pub(super) fn output(&mut self, x: TensorId) {
        let port = self.port(&format!("out{}", x.0), x);
        self.graph.outputs.push(port);
    }

    /// An affine layer with random weights; `weight` and `bias` ids in `layer` are ignored.
    pub(super) fn affine(&mut self, x: TensorId, mut layer: Affine, with_bias: bool) -> TensorId {
        layer.weight = WeightId(self.weights.len());
        let shape = layer.weight_shape();
        let weights: Vec<i32> = (0..shape.len())
            .map(|_| self.below(17) as i32 - 8)
            .collect();
        let rows = shape.groups.iter().chain(&shape.outputs).product();
        if with_bias {
            layer.bias = Some(BiasId(self.biases.len()));
            let bias: Vec<i64> = (0..rows).map(|_| self.below(41) as i64 - 20).collect();
            self.graph.biases.push(rows);
            self.biases.push(bias);
        }
        let bias = layer.bias.map(|b| self.biases[b.0].as_slice());
        let interval = affine_bounds(&layer, &weights, bias, self.interval(x))
            .expect("small bounds")
            .into_iter()
            .reduce(Interval::hull)
            .expect("a row");
        self.weights.push(weights);
        self.graph.weights += 1;
        let axes = layer.output_axes();
        self.push(Op::Affine(layer), &[x], &axes, interval)
    }

    pub(super) fn dense(&mut self, x: TensorId, inputs: &[usize], outputs: &[usize]) -> TensorId {
        let layer = Affine {
            lead: vec![],
            groups: vec![],
            outputs: outputs.to_vec(),
            inputs: inputs.to_vec(),
            windows: vec![],
            weight: WeightId(0),
            bias: None,
        };
        self.affine(x, layer, true)
    }

    pub(super) fn conv(
        &mut self,
        x: TensorId,
        groups: &[usize],
        inputs: &[usize],
        outputs: &[usize],
        windows: Vec<MapAxis>,
    ) -> TensorId {
        let layer = Affine {
            lead: vec![],
            groups: groups.to_vec(),
            outputs: outputs.to_vec(),
            inputs: inputs.to_vec(),
            windows,
            weight: WeightId(0),
            bias: None,
        };
        self.affine(x, layer, true)
    }

    pub(super) fn map(&mut self, x: TensorId, axes: Vec<MapAxis>, fill: i64) -> TensorId {
        let map = Map { axes, fill };
        let interval = map_bounds(&map, self.interval(x)).expect("small bounds");
        let axes: Vec<usize> = map.axes.iter().map(MapAxis::output).collect();
        self.push(Op::Map(map), &[x], &axes, interval)
    }

    pub(super) fn sum(&mut self, terms: &[(i64, TensorId)]) -> TensorId {
        let coefs: Vec<i64> = terms.iter().map(|&(c, _)| c).collect();
        let inputs: Vec<TensorId> = terms.iter().map(|&(_, x)| x).collect();
        let intervals: Vec<Interval> = inputs.iter().map(|&x| self.interval(x)).collect();
        let interval = sum_bounds(&coefs, &intervals).expect("small bounds");
        let axes = self.graph.node(inputs[0]).axes.clone();
        self.push(Op::Sum { coefs }, &inputs, &axes, interval)
    }

    pub(super) fn permute(&mut self, x: TensorId, axes: &[usize], perm: &[usize]) -> TensorId {
        let out: Vec<usize> = perm.iter().map(|&p| axes[p]).collect();
        let op = Op::Permute {
            axes: axes.to_vec(),
            perm: perm.to_vec(),
        };
        self.push(op, &[x], &out, self.interval(x))
    }

    pub(super) fn gather(&mut self, x: TensorId, axes: &[usize], map: Vec<u32>) -> TensorId {
        self.push(Op::Gather { map }, &[x], axes, self.interval(x))
    }

    /// A contraction with labels as letters: `"ik,kj->ij"`.
    pub(super) fn contract(&mut self, einsum: &str, x: TensorId, y: TensorId) -> TensorId {
        let (operands, output) = einsum.split_once("->").expect("an arrow");
        let (left, right) = operands.split_once(',').expect("two operands");
        let letters: Vec<char> = ('a'..='z').filter(|&c| einsum.contains(c)).collect();
        let labels = |list: &str| -> Vec<usize> {
            let label = |c| letters.iter().position(|&l| l == c).expect("a letter");
            list.chars().map(label).collect()
        };
        let mut lengths = vec![0; letters.len()];
        for (list, t) in [(left, x), (right, y)] {
            for (label, &n) in labels(list).into_iter().zip(&self.graph.node(t).axes) {
                lengths[label] = n;
            }
        }
        self.contract_labels(
            Contract {
                lengths,
                left: labels(left),
                right: labels(right),
                output: labels(output),
            },
            x,
            y,
        )
    }

    pub(super) fn contract_labels(&mut self, op: Contract, x: TensorId, y: TensorId) -> TensorId {
        let operands = [x, y].map(|t| (t, self.interval(t)));
        let interval = contract_bounds(&op, operands).expect("small bounds");
        let axes = op.view(&op.output);
        self.push(Op::Contract(op), &[x, y], &axes, interval)
    }

    /// A constant tensor of random cells.
    pub(super) fn constant(&mut self, axes: &[usize]) -> TensorId {
        let cells: Vec<i64> = (0..axes.iter().product::<usize>())
            .map(|_| self.below(41) as i64 - 20)
            .collect();
        let interval = cells.iter().map(|&x| Interval { lo: x, hi: x });
        let interval = interval.reduce(Interval::hull).expect("a cell");
        let bias = BiasId(self.biases.len());
        self.graph.biases.push(cells.len());
        self.biases.push(cells);
        self.push(Op::Constant { bias }, &[], axes, interval)
    }

    fn add_table(&mut self, table: Table) -> TableId {
        if let Some(t) = self.graph.tables.iter().position(|t| *t == table) {
            TableId(t)
        } else {
            self.graph.tables.push(table);
            TableId(self.graph.tables.len() - 1)
        }
    }

    /// A table node that rounds half up, with remainders of one limb.
    pub(super) fn table(
        &mut self,
        x: TensorId,
        shift: u32,
        function: impl Fn(i64) -> Option<i32>,
        clamp: (i64, i64),
    ) -> TensorId {
        let limbs = [shift];
        let limbs = if shift > 0 { &limbs[..] } else { &[] };
        self.table_of(x, (limbs, (1 << shift) >> 1), function, clamp)
    }

    /// A table node whose domain is exactly its argument's interval; remainders have limbs of the
    /// given bits, the least significant first.
    pub(super) fn table_of(
        &mut self,
        x: TensorId,
        (limbs, offset): (&[u32], i64),
        function: impl Fn(i64) -> Option<i32>,
        clamp: (i64, i64),
    ) -> TensorId {
        let shift = limbs.iter().sum();
        let round = |v: i64| (v + offset) >> shift;
        let argument = self.interval(x);
        let (start, end) = (round(argument.lo), round(argument.hi));
        let len = (end - start + 1) as usize;
        let values: Option<Vec<i32>> = (start..=end).map(function).collect();
        let function = match values {
            Some(values) => Function::Values(values),
            None => Function::Clamp {
                lo: clamp.0,
                hi: clamp.1,
            },
        };
        let table = Table {
            function,
            start,
            len,
        };
        let values = (start..=end).map(|v| table.get(v).expect("in the domain"));
        let interval = values
            .map(|v| Interval { lo: v, hi: v })
            .reduce(Interval::hull)
            .expect("a row");
        let range = |bits: &u32| {
            self.add_table(Table {
                function: Function::Range,
                start: 0,
                len: 1 << bits,
            })
        };
        let ranges = limbs.iter().map(range).collect();
        let table = self.add_table(table);
        let axes = self.graph.node(x).axes.clone();
        let op = Op::Table {
            table,
            shift,
            ranges,
            offset,
        };
        self.push(op, &[x], &axes, interval)
    }

    /// `ReLU` with saturation at 15 after requantisation.
    pub(super) fn relu(&mut self, x: TensorId) -> TensorId {
        self.table(x, SHIFT, |_| None, (0, 15))
    }

    /// `max(0, x)` without requantisation.
    pub(super) fn plain_relu(&mut self, x: TensorId) -> TensorId {
        self.table(x, 0, |_| None, (0, i64::from(i32::MAX)))
    }

    /// Max-pool of 2x2 windows with stride 2 over the last two of `axes`.
    pub(super) fn max_pool(&mut self, x: TensorId, axes: &[usize]) -> TensorId {
        let mut x = x;
        let mut axes = axes.to_vec();
        for axis in [axes.len() - 2, axes.len() - 1] {
            let n = axes[axis];
            let along = |t: &[(i64, i64)]| -> Vec<MapAxis> {
                let keep = |(k, &n): (usize, &usize)| {
                    if k == axis {
                        taps(n, n.div_ceil(2), 2, t)
                    } else {
                        MapAxis::Keep(n)
                    }
                };
                axes.iter().enumerate().map(keep).collect()
            };
            let (difference, second) = (along(&[(0, 1), (1, -1)]), along(&[(1, 1)]));
            let fill = self.interval(x).lo;
            let difference = self.map(x, difference, fill);
            let relu = self.plain_relu(difference);
            let second = self.map(x, second, fill);
            x = self.sum(&[(1, second), (1, relu)]);
            axes[axis] = n.div_ceil(2);
        }
        x
    }

    pub(super) fn finish(self) -> Model {
        let model = Model {
            graph: self.graph,
            weights: self.weights.into_iter().map(Into::into).collect(),
            biases: self.biases,
        };
        model.validate().expect("a well-formed test model");
        model
    }
}

/// Seeded inputs of a batch, within their intervals.
pub(super) fn inputs(model: &Model, batch: usize, seed: u64) -> Vec<Vec<i64>> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut tensor = |port: &Port| {
        let node = model.graph.node(port.tensor);
        let cells = batch * node.axes.iter().product::<usize>();
        let width = (node.interval.hi - node.interval.lo + 1) as u64;
        (0..cells)
            .map(|_| node.interval.lo + (rng.next_u64() % width) as i64)
            .collect()
    };
    model.graph.inputs.iter().map(&mut tensor).collect()
}

/// The plan of a batch.
pub(super) fn plan(model: &Model, batch: usize) -> Plan {
    plan_of(&model.graph, batch)
}

/// The plan of a batch of a graph.
pub(super) fn plan_of(graph: &Graph, batch: usize) -> Plan {
    Plan::new(valid(graph), batch).expect("a plan")
}

/// The graph, which is valid.
pub(super) fn valid(graph: &Graph) -> ValidGraph {
    ValidGraph::new(graph.clone()).expect("a valid graph")
}
