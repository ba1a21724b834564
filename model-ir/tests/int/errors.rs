//! Every way in which a graph, a model or a run can be refused.

use super::models::{AFFINE, GATHER, MAP, PERMUTE, SUM, TABLE, small};
use zkstrata_model_ir::int::{
    BiasId, Entry, Executor, Features, Graph, GraphError, Interval, Ints, MAX_CELLS, MapAxis,
    Model, ModelError, NodeFault, Op, PortFault, PortKind, RunError, TableId, Tap, TensorId,
    WeightId, run,
};

/// The fault after `change`, which must be one of node `index`.
pub(crate) fn node_fault(index: usize, change: impl FnOnce(&mut Graph)) -> NodeFault {
    let mut graph = small().graph;
    let name = graph.nodes[index].name.clone();
    change(&mut graph);
    let error = graph.validate().expect_err("malformed");
    assert!(error.to_string().contains(&format!("`{name}`")), "{error}");
    match error {
        GraphError::Node {
            index: got, fault, ..
        } if got == index => fault,
        other => panic!("node {index}: {other}"),
    }
}

pub(crate) fn graph_error(change: impl FnOnce(&mut Graph)) -> GraphError {
    let mut graph = small().graph;
    change(&mut graph);
    graph.validate().expect_err("malformed")
}

fn affine(graph: &mut Graph) -> &mut zkstrata_model_ir::int::Affine {
    match &mut graph.nodes[AFFINE].op {
        Op::Affine(affine) => affine,
        other => panic!("{other:?}"),
    }
}

fn map(graph: &mut Graph) -> &mut zkstrata_model_ir::int::Map {
    match &mut graph.nodes[MAP].op {
        Op::Map(map) => map,
        other => panic!("{other:?}"),
    }
}

fn window(output: usize, taps: &[(i64, i64)], stride: i64, coefs: &[i64]) -> MapAxis {
    let taps = taps.iter().map(|&(offset, weight)| Tap { offset, weight });
    MapAxis::Window {
        input: 3,
        output,
        stride,
        taps: taps.collect(),
        coefs: coefs.to_vec(),
    }
}

#[test]
fn the_small_model_is_valid() {
    small().validate().expect("valid");
    assert_eq!(small().graph.partial_tables(), vec![TensorId(TABLE)]);
}

#[test]
fn operands_and_axes() {
    use NodeFault as F;
    assert_eq!(
        node_fault(AFFINE, |g| g.nodes[AFFINE].inputs[0] = TensorId(AFFINE)),
        F::Operand(AFFINE)
    );
    assert_eq!(
        node_fault(AFFINE, |g| g.nodes[AFFINE].inputs[0] = TensorId(usize::MAX)),
        F::Operand(usize::MAX)
    );
    let arity = |got, expected| F::Arity { got, expected };
    assert_eq!(
        node_fault(AFFINE, |g| g.nodes[AFFINE].inputs.clear()),
        arity(0, 1)
    );
    let fault = node_fault(1, |g| g.nodes[1].inputs.push(TensorId(0)));
    assert_eq!(fault, arity(1, 0));
    let fault = node_fault(SUM, |g| g.nodes[SUM].inputs.push(TensorId(0)));
    assert_eq!(fault, arity(3, 2));
}

#[test]
fn views_agree_with_operands() {
    use NodeFault as F;
    assert!(matches!(
        node_fault(AFFINE, |g| g.nodes[AFFINE].inputs[0] = TensorId(1)),
        F::InputAxes { got, expected } if got == [2, 3] && expected == [2, 4]
    ));
    assert!(matches!(
        node_fault(AFFINE, |g| g.nodes[AFFINE].axes = vec![3, 2]),
        F::OutputAxes { got, expected } if got == [3, 2] && expected == [2, 3]
    ));
    assert!(matches!(
        node_fault(SUM, |g| g.nodes[SUM].inputs[1] = TensorId(0)),
        F::InputAxes { .. }
    ));
    assert!(matches!(
        node_fault(TABLE, |g| g.nodes[TABLE].axes = vec![6]),
        F::InputAxes { .. }
    ));
    let cells = F::Cells {
        got: 12,
        expected: 6,
    };
    assert_eq!(
        node_fault(GATHER, |g| g.nodes[GATHER].axes = vec![12]),
        cells
    );
    for axes in [vec![2, 1, 4], vec![0], vec![usize::MAX, 2], vec![2; 33]] {
        let fault = node_fault(0, |g| g.nodes[0].axes.clone_from(&axes));
        assert_eq!(fault, F::Axes(axes));
    }
    let fault = node_fault(AFFINE, |g| affine(g).inputs = vec![0, 4]);
    assert_eq!(fault, F::TooLarge);
    let fault = node_fault(MAP, |g| map(g).axes.push(MapAxis::Keep(0)));
    assert_eq!(fault, F::Axes(vec![2, 3, 0]));
    assert!(matches!(
        node_fault(AFFINE, |g| affine(g).lead = vec![usize::MAX]),
        F::Axes(_)
    ));
}

#[test]
fn sizes_are_bounded() {
    use NodeFault as F;
    let fault = node_fault(AFFINE, |g| affine(g).outputs = vec![1 << 20, 1 << 20]);
    assert_eq!(fault, F::TooLarge);
    // Nine tensors of the largest size.
    let mut graph = small().graph;
    let mut input = graph.nodes[0].clone();
    input.axes = vec![MAX_CELLS];
    graph.nodes = vec![input; 9];
    graph.inputs = (0..9)
        .map(|t| {
            let mut port = graph.inputs[0].clone();
            port.tensor = TensorId(t);
            port
        })
        .collect();
    assert!(matches!(
        graph.validate(),
        Err(GraphError::Node {
            index: 8,
            fault: F::TooLarge,
            ..
        })
    ));
}

#[test]
fn intervals_and_factors() {
    use NodeFault as F;
    for (lo, hi) in [(1, 0), (0, 1 << 62), (-(1 << 62), 0), (i64::MIN, i64::MAX)] {
        let interval = Interval { lo, hi };
        let fault = node_fault(AFFINE, |g| g.nodes[AFFINE].interval = interval);
        assert_eq!(fault, F::Interval(interval));
    }
    for fill in [1 << 62, i64::MIN] {
        assert_eq!(node_fault(MAP, |g| map(g).fill = fill), F::Fill(fill));
    }
    for coefs in [vec![0, 1], vec![1, (1 << 31) + 1], vec![1, i64::MIN]] {
        let fault = node_fault(SUM, |g| g.nodes[SUM].op = Op::Sum { coefs });
        assert_eq!(fault, F::Coefficients);
    }
    let fault = node_fault(SUM, |g| {
        g.nodes[SUM].op = Op::Sum { coefs: vec![] };
        g.nodes[SUM].inputs.clear();
    });
    assert_eq!(fault, F::Coefficients);
}

#[test]
fn windows() {
    use NodeFault as F;
    let far = (1 << 31) + 1;
    let malformed = [
        window(3, &[], 1, &[]),
        window(3, &[(far, 1)], 1, &[]),
        window(3, &[(i64::MIN, 1)], 1, &[]),
        window(3, &[(0, far)], 1, &[]),
        window(3, &[(0, 1)], far, &[]),
        window(3, &[(0, 1)], 1, &[1, 1]),
        window(3, &[(0, 1)], 1, &[1, 1, far]),
    ];
    for axis in malformed {
        let fault = node_fault(MAP, |g| map(g).axes[1] = axis);
        assert_eq!(fault, F::Window { axis: 1 });
    }
    // An affine layer's taps have no factors of their own.
    for axis in [
        window(3, &[(0, 2)], 1, &[]),
        window(3, &[(0, 1)], 1, &[1; 3]),
    ] {
        let fault = node_fault(AFFINE, |g| affine(g).windows.push(axis));
        assert_eq!(fault, F::Window { axis: 0 });
    }
    let many = window(usize::MAX, &[(0, 1), (1, 1)], 1, &[]);
    assert_eq!(node_fault(MAP, |g| map(g).axes[1] = many), F::TooManyTaps);
}

#[test]
fn matrices() {
    use NodeFault as F;
    let matrix = |input, output, entries: &[(u32, u32, i64)]| {
        let entry = |&(to, from, weight): &(u32, u32, i64)| Entry { to, from, weight };
        MapAxis::Matrix {
            input,
            output,
            entries: entries.iter().map(entry).collect(),
        }
    };
    let far = (1 << 31) + 1;
    let malformed = [
        matrix(3, 3, &[(3, 0, 1)]),
        matrix(3, 3, &[(0, 3, 1)]),
        matrix(3, 3, &[(u32::MAX, u32::MAX, 1)]),
        matrix(3, 3, &[(0, 1, 0)]),
        matrix(3, 3, &[(0, 1, far)]),
        matrix(3, 3, &[(0, 1, i64::MIN)]),
        matrix(3, 3, &[(0, 1, 1), (0, 1, 1)]),
        matrix(3, 3, &[(0, 1, 1), (0, 0, 1)]),
        matrix(3, 3, &[(1, 0, 1), (0, 1, 1)]),
        matrix(3, 0, &[(0, 0, 1)]),
        matrix((1 << 22) + 1, 3, &[]),
        matrix(3, usize::MAX, &[]),
    ];
    for axis in malformed {
        let fault = node_fault(MAP, |g| map(g).axes[1] = axis);
        assert_eq!(fault, F::Matrix { axis: 1 });
    }
    // Axes are the view's.
    let fault = node_fault(MAP, |g| map(g).axes[1] = matrix(3, 0, &[]));
    assert!(matches!(fault, F::Axes(axes) if axes == [2, 0]));
    let fault = node_fault(MAP, |g| map(g).axes[1] = matrix(4, 3, &[]));
    assert!(matches!(fault, F::InputAxes { .. }));
    let plain = matrix(1, 1, &[(0, 0, 1)]);
    let fault = node_fault(AFFINE, |g| affine(g).windows.push(plain));
    assert_eq!(fault, F::Window { axis: 0 });
    let many = vec![matrix(1, 1 << 22, &[]); 65];
    assert_eq!(node_fault(MAP, |g| map(g).axes = many), F::TooManyTaps);
}

#[test]
fn rearrangements() {
    use NodeFault as F;
    for perm in [vec![0, 1], vec![0, 0, 1], vec![0, 1, 3], vec![0, 1, 2, 2]] {
        let fault = node_fault(PERMUTE, |g| {
            g.nodes[PERMUTE].op = Op::Permute {
                axes: vec![2, 1, 3],
                perm: perm.clone(),
            }
        });
        assert_eq!(fault, F::Permutation(perm));
    }
    for map in [vec![], vec![6; 6], vec![0; (1 << 20) + 1]] {
        let fault = node_fault(GATHER, |g| g.nodes[GATHER].op = Op::Gather { map });
        assert_eq!(fault, F::Gather);
    }
}

#[test]
fn constants() {
    use NodeFault as F;
    let fault = node_fault(AFFINE, |g| affine(g).weight = WeightId(1));
    assert_eq!(fault, F::Weight(1));
    let fault = node_fault(AFFINE, |g| affine(g).bias = Some(BiasId(1)));
    assert_eq!(fault, F::Bias(1));
    let length = F::BiasLength {
        got: 4,
        expected: 3,
    };
    assert_eq!(node_fault(AFFINE, |g| g.biases[0] = 4), length);
    let twice = |change: fn(&mut zkstrata_model_ir::int::Affine)| {
        node_fault(GATHER, |g| {
            let mut node = g.nodes[AFFINE].clone();
            node.name = "g".into();
            g.weights = 2;
            g.biases.push(3);
            g.nodes[GATHER] = node;
            match &mut g.nodes[GATHER].op {
                Op::Affine(affine) => change(affine),
                other => panic!("{other:?}"),
            }
        })
    };
    assert_eq!(twice(|_| ()), F::Weight(0));
    assert_eq!(twice(|a| a.weight = WeightId(1)), F::Bias(0));
    assert_eq!(graph_error(|g| g.weights = 2), GraphError::UnusedWeight(1));
    assert_eq!(
        graph_error(|g| g.weights = usize::MAX),
        GraphError::UnusedWeight(1)
    );
    assert_eq!(graph_error(|g| g.biases.push(1)), GraphError::UnusedBias(1));
}

#[test]
fn ports() {
    use PortFault as F;
    let fault = |change: &dyn Fn(&mut Graph)| match graph_error(change) {
        GraphError::Port { fault, .. } => fault,
        other => panic!("{other}"),
    };
    assert_eq!(fault(&|g| g.outputs[0].tensor = TensorId(8)), F::Tensor(8));
    assert_eq!(
        fault(&|g| g.inputs.push(g.outputs[0].clone())),
        F::NotInput(GATHER)
    );
    for shape in [vec![1, 7], vec![usize::MAX, 2], vec![6, 0]] {
        let expected = F::Shape {
            shape: shape.clone(),
            cells: 6,
        };
        assert_eq!(fault(&|g| g.outputs[0].shape.clone_from(&shape)), expected);
    }
    for scale in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert_eq!(fault(&|g| g.inputs[0].scale = scale), F::Scale);
    }
    let features = |scale: &[f32], shift: &[f32], inner| {
        Some(Features {
            scale: scale.to_vec(),
            shift: shift.to_vec(),
            inner,
        })
    };
    let nan = f32::NAN;
    let graph = small().graph;
    let cells = graph.node(graph.inputs[0].tensor).cells();
    for wrong in [
        features(&[], &[], 1),
        features(&[1.0], &[0.0], 0),
        features(&[1.0], &[0.0], cells + 1),
        features(&[1.0, 2.0], &[0.0], 1),
        features(&[1.0, 0.0], &[0.0, 0.0], 1),
        features(&[1.0, nan], &[0.0, 0.0], 1),
        features(&[1.0, 2.0], &[0.0, f32::INFINITY], 1),
        features(&[1.0, 2.0], &[0.0, 0.0], usize::MAX),
    ] {
        let fault = fault(&|g| g.inputs[0].features.clone_from(&wrong));
        assert_eq!(fault, F::Features { cells }, "{wrong:?}");
    }
    let right = features(&[1.0], &[0.0], 1);
    let integers = fault(&|g| {
        g.inputs[0].kind = PortKind::Integer;
        g.inputs[0].features.clone_from(&right);
    });
    assert!(matches!(integers, F::Features { .. }));
    let output = fault(&|g| g.outputs[0].features.clone_from(&right));
    assert!(matches!(output, F::Features { .. }));
    assert_eq!(node_fault(1, |g| drop(g.inputs.pop())), NodeFault::Ports(0));
    let two = node_fault(0, |g| g.inputs.push(g.inputs[0].clone()));
    assert_eq!(two, NodeFault::Ports(2));
    assert_eq!(graph_error(|g| g.outputs.clear()), GraphError::NoOutputs);
    let empty = graph_error(|g| {
        g.nodes.clear();
        g.inputs.clear();
        g.weights = 0;
        g.biases.clear();
    });
    assert_eq!(empty, GraphError::NoInputs);
}

#[test]
fn models() {
    let error = |change: &dyn Fn(&mut Model)| {
        let mut model = small();
        change(&mut model);
        Executor::new(&model).expect_err("malformed")
    };
    assert!(matches!(
        error(&|m| m.graph.outputs.clear()),
        ModelError::Graph(GraphError::NoOutputs)
    ));
    assert_eq!(
        error(&|m| m.weights.push(vec![].into())),
        ModelError::ConstantCount {
            got: 2,
            expected: 1
        }
    );
    assert_eq!(
        error(&|m| m.biases.clear()),
        ModelError::ConstantCount {
            got: 0,
            expected: 1
        }
    );
    for change in [
        |m: &mut Model| m.weights[0].update(Vec::clear),
        |m: &mut Model| m.biases[0].clear(),
    ] {
        assert!(matches!(
            error(&change),
            ModelError::ConstantLength { node, got: 0, .. } if node == "a"
        ));
    }
    for index in [AFFINE, MAP, SUM, PERMUTE, GATHER] {
        let declared = Interval { lo: 0, hi: 1 };
        let error = error(&|m| {
            for node in &mut m.graph.nodes[index..] {
                node.interval = declared;
            }
            if index < TABLE {
                m.graph.nodes[TABLE].interval.hi = 20;
            }
        });
        let name = small().graph.nodes[index].name.clone();
        assert!(matches!(error, ModelError::Interval { node, .. } if node == name));
    }
    let wide = Interval {
        lo: 0,
        hi: (1 << 62) - 1,
    };
    assert!(matches!(
        error(&|m| m.graph.nodes[0].interval = wide),
        ModelError::Interval { found: None, .. }
    ));
}

#[test]
fn runs() {
    let (x, z) = (Ints::I16(vec![1; 8]), Ints::I64(vec![2; 6]));
    let trace = run(&small(), &[x.clone(), z.clone()]).expect("runs");
    assert_eq!(trace.batch, 1);
    let error = |inputs: &[Ints]| run(&small(), inputs).expect_err("refused");
    let count = RunError::InputCount {
        got: 1,
        expected: 2,
    };
    assert_eq!(error(std::slice::from_ref(&x)), count);
    for got in [0, 7] {
        let length = RunError::InputLength {
            input: "x".into(),
            got,
            cells: 8,
        };
        assert_eq!(error(&[Ints::I32(vec![0; got]), z.clone()]), length);
    }
    let batch = RunError::BatchSize {
        input: "z".into(),
        got: 2,
        expected: 1,
    };
    assert_eq!(error(&[x.clone(), Ints::I16(vec![0; 12])]), batch);
    let cell = RunError::InputCell {
        input: "z".into(),
        index: 3,
        value: 8,
        interval: Interval { lo: -8, hi: 7 },
    };
    assert_eq!(error(&[x, Ints::I16(vec![0, 1, 2, 8, 9, 0])]), cell);
    // Row 0 of the weights is (1, -2, 3, -1) with bias 10: 7 + 16 + 21 + 8 + 10 = 62.
    let extreme = Ints::I16(vec![7, -8, 7, -8, 0, 0, 0, 0]);
    let outside = error(&[extreme, z]);
    assert_eq!(
        outside,
        RunError::OutsideDomain {
            node: "t".into(),
            table: TableId(0),
            value: 31,
            domain: Interval { lo: -30, hi: 30 },
        }
    );
    assert!(outside.to_string().contains("calibration"));
    let mut model = small();
    model.weights.clear();
    assert!(matches!(run(&model, &[]), Err(RunError::Model(_))));
}

#[test]
fn the_digest_of_the_small_model_is_fixed() {
    let golden = "66ea6249c094f8fd04d831c1de341f1c8bf2070a3118ed1898b78fdac00b3bb1";
    assert_eq!(small().digest().to_string(), golden);
    let mut other = small();
    other.weights[0].update(|w| w[0] += 1);
    assert_ne!(other.digest(), small().digest());
    let mut other = small();
    other.graph.nodes[0].name.push('x');
    assert_ne!(other.digest(), small().digest());
}
