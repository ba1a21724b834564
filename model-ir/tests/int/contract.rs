//! Contractions and constants: their faults, their intervals, and the executor's kernels on
//! matrices of all types.

use super::models::small;
use super::reference;
use zkstrata_model_ir::int::{
    BiasId, Contract, Executor, Graph, GraphError, Interval, Ints, Model, ModelError, Node,
    NodeFault, Op, Port, PortKind, TensorId, contract_bounds,
};

fn contract(lengths: &[usize], left: &[usize], right: &[usize], output: &[usize]) -> Contract {
    Contract {
        lengths: lengths.to_vec(),
        left: left.to_vec(),
        right: right.to_vec(),
        output: output.to_vec(),
    }
}

/// The small model with a product of its inputs `[2, 4]` and `[2, 3]`, and a constant.
fn model() -> Model {
    let mut model = small();
    let mut push = |name: &str, op, inputs: &[usize], axes: &[usize], most: i64| {
        model.graph.nodes.push(Node {
            name: name.into(),
            op,
            inputs: inputs.iter().copied().map(TensorId).collect(),
            axes: axes.to_vec(),
            interval: Interval {
                lo: -most,
                hi: most,
            },
        });
    };
    let op = contract(&[2, 4, 3], &[0, 1], &[0, 2], &[2, 1]);
    push("product", Op::Contract(op), &[0, 1], &[3, 4], 128);
    push("constant", Op::Constant { bias: BiasId(1) }, &[], &[5], 9);
    model.graph.biases.push(5);
    model.biases.push(vec![1, -9, 3, 9, 0]);
    model
}

const PRODUCT: usize = 8;
const CONSTANT: usize = 9;

fn fault(change: impl FnOnce(&mut Graph)) -> NodeFault {
    let mut graph = model().graph;
    change(&mut graph);
    match graph.validate().expect_err("malformed") {
        GraphError::Node { fault, .. } => fault,
        other => panic!("{other}"),
    }
}

#[test]
fn labels_have_a_length_and_two_places() {
    model().validate().expect("valid");
    let label = |label, op: Contract| {
        let got = fault(|g| g.nodes[PRODUCT].op = Op::Contract(op));
        assert_eq!(got, NodeFault::Label(label));
    };
    // Without a length.
    label(3, contract(&[2, 4, 3], &[0, 3], &[0, 2], &[2, 3]));
    label(
        usize::MAX,
        contract(&[2, 4, 3], &[0, 1], &[0, usize::MAX], &[1]),
    );
    // Twice in a list.
    label(0, contract(&[2, 4, 3], &[0, 0], &[0, 2], &[2, 1]));
    label(2, contract(&[2, 4, 3], &[0, 1], &[0, 2], &[2, 2]));
    // Only in an operand, only in the output, nowhere.
    label(1, contract(&[2, 4, 3], &[0, 1], &[0, 2], &[2]));
    label(3, contract(&[2, 4, 3, 5], &[0, 1], &[0, 2], &[2, 1, 3]));
    label(3, contract(&[2, 4, 3, 1], &[0, 1], &[0, 2], &[2, 1]));
}

#[test]
fn operands_and_axes() {
    use NodeFault as F;
    let arity = |got, expected| F::Arity { got, expected };
    let got = fault(|g| g.nodes[PRODUCT].inputs.truncate(1));
    assert_eq!(got, arity(1, 2));
    let got = fault(|g| g.nodes[CONSTANT].inputs.push(TensorId(0)));
    assert_eq!(got, arity(1, 0));
    for op in [
        contract(&[2, 5, 3], &[0, 1], &[0, 2], &[2, 1]),
        contract(&[2, 4, 2], &[0, 1], &[0, 2], &[2, 1]),
    ] {
        let got = fault(|g| g.nodes[PRODUCT].op = Op::Contract(op));
        assert!(matches!(got, F::InputAxes { .. }));
    }
    let got = fault(|g| g.nodes[PRODUCT].axes = vec![4, 3]);
    assert!(matches!(got, F::OutputAxes { .. }));
    // Axes of one cell may stand anywhere.
    let mut ones = model();
    let op = contract(&[2, 4, 3, 1], &[3, 0, 1], &[0, 2, 3], &[2, 3, 1]);
    ones.graph.nodes[PRODUCT].op = Op::Contract(op);
    ones.validate().expect("valid");
}

#[test]
fn constants() {
    use NodeFault as F;
    let constant = |bias| Op::Constant { bias: BiasId(bias) };
    for bias in [0, 2, usize::MAX] {
        let got = fault(|g| g.nodes[CONSTANT].op = constant(bias));
        assert_eq!(got, F::Bias(bias));
    }
    let length = F::BiasLength {
        got: 6,
        expected: 5,
    };
    assert_eq!(fault(|g| g.biases[1] = 6), length);
    let error = |change: fn(&mut Model)| {
        let mut model = model();
        change(&mut model);
        Executor::new(&model).expect_err("malformed")
    };
    assert!(matches!(
        error(|m| m.biases[1].truncate(4)),
        ModelError::ConstantLength { node, got: 4, expected: 5 } if node == "constant"
    ));
    for change in [
        |m: &mut Model| m.biases[1][2] = 10,
        |m: &mut Model| m.biases[1][2] = i64::MIN,
        |m: &mut Model| m.graph.nodes[CONSTANT].interval.lo = -8,
    ] {
        assert!(matches!(
            error(change),
            ModelError::Interval { node, .. } if node == "constant"
        ));
    }
    // The graph alone declares the interval.
    let mut graph = model().graph;
    graph.nodes[CONSTANT].interval.lo = 8;
    graph.validate_intervals().expect("declared");
}

#[test]
fn intervals() {
    let interval = |lo, hi| Interval { lo, hi };
    let op = contract(&[2, 4, 3], &[0, 1], &[0, 2], &[2, 1]);
    let (x, y) = (TensorId(0), TensorId(1));
    let bounds = |a, b| contract_bounds(&op, [(x, a), (y, b)]);
    assert_eq!(
        bounds(interval(-8, 7), interval(-2, 5)),
        Some(interval(-80, 70))
    );
    assert_eq!(
        bounds(interval(3, 7), interval(2, 5)),
        Some(interval(12, 70))
    );
    let large = interval(-(1 << 31), 1 << 30);
    assert_eq!(
        bounds(large, interval(0, (1 << 30) - 1)).map(|b| b.hi),
        Some((1 << 61) - (1 << 31))
    );
    assert_eq!(bounds(large, interval(0, 1 << 30)), None);
    let most = interval(i64::MIN, i64::MAX);
    assert_eq!(bounds(most, most), None);
    // A tensor with itself: squares if label by label, else not.
    let [same, other] = [&[0, 1], &[1, 0]].map(|right| {
        contract_bounds(
            &contract(&[3, 3], &[0, 1], right, &[0]),
            [(x, interval(-8, 7)); 2],
        )
    });
    assert_eq!(same, Some(interval(0, 192)));
    assert_eq!(other, Some(interval(-168, 192)));
    let far = contract_bounds(&contract(&[3], &[0], &[0], &[]), [(x, interval(-8, -2)); 2]);
    assert_eq!(far, Some(interval(12, 192)));
    // A declared interval that is too small.
    let mut narrow = model();
    narrow.graph.nodes[PRODUCT].interval.hi = 127;
    let error = narrow.validate().expect_err("too small");
    assert!(matches!(error, ModelError::Interval { node, .. } if node == "product"));
}

/// Products of matrices and vectors of all sizes and types, whose extremes fill them.
#[test]
fn kernels() {
    let shapes = [
        [20, 33, 70],
        [70, 8, 9],
        [1, 40, 64],
        [64, 1, 40],
        [9, 40, 2],
        [3, 1, 1],
    ];
    for bits in [
        [4, 4],
        [8, 8],
        [15, 15],
        [16, 24],
        [40, 8],
        [8, 40],
        [27, 27],
    ] {
        for [rows, columns, depth] in shapes {
            for output in [&[0, 1, 2][..], &[2, 0, 1]] {
                let lengths = [3, rows, columns, depth];
                let op = contract(&lengths, &[0, 1, 3], &[2, 3, 0], output);
                let (left, right) = (op.view(&op.left), op.view(&op.right));
                check(op, &[left, right], bits);
            }
        }
    }
}

fn check(op: Contract, operands: &[Vec<usize>; 2], bits: [u32; 2]) {
    let intervals = bits.map(|bits| Interval {
        lo: -(1i64 << bits),
        hi: (1i64 << bits) - 1,
    });
    let node = |name: &str, op, axes: &[usize], interval| Node {
        name: name.into(),
        op,
        inputs: vec![],
        axes: axes.iter().copied().filter(|&n| n > 1).collect(),
        interval,
    };
    let both = [0, 1].map(|t| (TensorId(t), intervals[t]));
    let result = contract_bounds(&op, both).expect("small");
    let axes = op.view(&op.output);
    let mut nodes: Vec<Node> = operands
        .iter()
        .zip(intervals)
        .map(|(axes, interval)| node("input", Op::Input, axes, interval))
        .collect();
    nodes.push(node("product", Op::Contract(op), &axes, result));
    nodes[2].inputs = vec![TensorId(0), TensorId(1)];
    let port = |t: usize| Port {
        name: format!("port {t}"),
        tensor: TensorId(t),
        shape: nodes[t].axes.clone(),
        scale: 1.0,
        kind: PortKind::Real,
        features: None,
    };
    let (inputs, outputs) = (vec![port(0), port(1)], vec![port(2)]);
    let model = Model {
        graph: Graph {
            nodes,
            tables: vec![],
            biases: vec![],
            weights: 0,
            inputs,
            outputs,
        },
        weights: vec![],
        biases: vec![],
    };
    let batch = 2;
    let inputs: Vec<Ints> = operands
        .iter()
        .zip(intervals)
        .map(|(axes, interval)| {
            let cells = batch * axes.iter().product::<usize>();
            let cell = |i: usize| match i * 7 % 5 {
                0 => interval.lo,
                1 => interval.hi,
                _ => (i as i64 * 7919) % interval.hi - interval.hi / 2,
            };
            Ints::I64((0..cells).map(cell).collect())
        })
        .collect();
    let executor = Executor::new(&model).expect("valid");
    let trace = executor.run(&inputs).expect("runs");
    let expected = reference::run(&model, &inputs, batch);
    let got: Vec<i128> = super::values(&trace.tensors[2]);
    assert!(
        got == expected[2].0,
        "{bits:?} bits: {:?}",
        model.graph.nodes[2]
    );
}
