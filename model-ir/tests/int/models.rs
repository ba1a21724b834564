//! A small model with every operator.

use zkstrata_model_ir::int::{
    Affine, BiasId, Function, Graph, Interval, Map, MapAxis, Model, Node, Op, Port, PortKind,
    Table, TableId, Tap, TensorId, WeightId,
};

pub(crate) const AFFINE: usize = 2;
pub(crate) const TABLE: usize = 3;
pub(crate) const MAP: usize = 4;
pub(crate) const SUM: usize = 5;
pub(crate) const PERMUTE: usize = 6;
pub(crate) const GATHER: usize = 7;

/// Inputs `x: [2, 4]` and `z: [2, 3]`, both in `[-8, 7]`;
/// `a = W x + b`, `t = clamp(a >> 1)`, `m = ` a moving sum of `t`, `s = m - z`, `p = s^T`, and a
/// gather of all cells of `p` backwards.
pub(crate) fn small() -> Model {
    let interval = |lo, hi| Interval { lo, hi };
    let node = |name: &str, op, inputs: &[usize], axes: &[usize], interval| Node {
        name: name.into(),
        op,
        inputs: inputs.iter().copied().map(TensorId).collect(),
        axes: axes.to_vec(),
        interval,
    };
    let affine = Affine {
        lead: vec![2],
        groups: vec![],
        outputs: vec![3],
        inputs: vec![1, 4],
        windows: vec![],
        weight: WeightId(0),
        bias: Some(BiasId(0)),
    };
    let tap = |offset| Tap { offset, weight: 1 };
    let window = MapAxis::Window {
        input: 3,
        output: 3,
        stride: 1,
        taps: vec![tap(-1), tap(0)],
        coefs: vec![],
    };
    let map = Map {
        axes: vec![MapAxis::Keep(2), window],
        fill: -1,
    };
    let table = Op::Table {
        table: TableId(0),
        shift: 1,
        ranges: vec![TableId(1)],
        offset: 1,
    };
    let permute = Op::Permute {
        axes: vec![2, 1, 3],
        perm: vec![2, 0, 1],
    };
    let gather = Op::Gather {
        map: vec![5, 4, 3, 2, 1, 0],
    };
    let sum = Op::Sum { coefs: vec![1, -1] };
    let port = |name: &str, tensor, shape: &[usize]| Port {
        name: name.into(),
        tensor: TensorId(tensor),
        shape: shape.to_vec(),
        scale: 0.5,
        kind: PortKind::Real,
        features: None,
    };
    Model {
        graph: Graph {
            nodes: vec![
                node("x", Op::Input, &[], &[2, 4], interval(-8, 7)),
                node("z", Op::Input, &[], &[2, 3], interval(-8, 7)),
                node("a", Op::Affine(affine), &[0], &[2, 3], interval(-100, 100)),
                node("t", table, &[2], &[2, 3], interval(0, 20)),
                node("m", Op::Map(map), &[3], &[2, 3], interval(-2, 40)),
                node("s", sum, &[4, 1], &[2, 3], interval(-9, 48)),
                node("p", permute, &[5], &[3, 2], interval(-9, 48)),
                node("g", gather, &[6], &[6], interval(-9, 48)),
            ],
            tables: vec![
                Table {
                    function: Function::Clamp { lo: 0, hi: 20 },
                    start: -30,
                    len: 61,
                },
                Table {
                    function: Function::Range,
                    start: 0,
                    len: 2,
                },
                Table {
                    function: Function::Values(vec![1, 2, 3]),
                    start: 0,
                    len: 3,
                },
            ],
            biases: vec![3],
            weights: 1,
            inputs: vec![port("x", 0, &[1, 2, 4]), port("z", 1, &[1, 6])],
            outputs: vec![port("g", 7, &[1, 6])],
        },
        weights: vec![vec![1, -2, 3, -1, 0, 4, 1, 1, -5, 2, 0, 1].into()],
        biases: vec![vec![10, -10, 0]],
    }
}
