//! Shape rules by counting, and every refusal with its reason.

use super::super::op::{AxisMap, AxisMatrix, Contract, Missing, Op, PoolKind, Window};
use super::super::random::{Random, random_graph};
use super::super::shape::{MAX_CELLS, cells, check_shape};
use super::super::{GraphBuilder, ValueId};
use ndarray::{ArrayD, IxDyn};

fn zeros(shape: &[usize]) -> ArrayD<f32> {
    ArrayD::zeros(IxDyn(shape))
}

fn window(kernel: usize) -> Window {
    Window {
        kernel,
        stride: 1,
        dilation: 1,
        pad_begin: 0,
        pad_end: 0,
    }
}

fn refuse(op: &Op, inputs: &[&[usize]], expected: &str) {
    let reason = op.infer_shape(inputs).expect_err(expected);
    assert!(reason.contains(expected), "{op:?} on {inputs:?}: {reason}");
}

/// Outputs and taps of every small window, by trying all positions.
#[test]
fn windows_count_what_fits() {
    let sizes = |least: usize| least..4;
    let mut empty = 0;
    for (kernel, stride) in sizes(1).flat_map(|k| sizes(1).map(move |s| (k, s))) {
        for (pad_begin, pad_end) in sizes(0).flat_map(|a| sizes(0).map(move |b| (a, b))) {
            for (dilation, n) in sizes(1).flat_map(|d| (1..8).map(move |n| (d, n))) {
                let window = Window {
                    kernel,
                    stride,
                    dilation,
                    pad_begin,
                    pad_end,
                };
                let position =
                    |i: usize, tap: usize| (stride * i + dilation * tap) as i64 - pad_begin as i64;
                let fits = |i: &usize| position(*i, kernel - 1) < (n + pad_end) as i64;
                let outputs = (0..30).take_while(fits).count();
                assert_eq!(window.output(n).unwrap_or(0), outputs, "{window:?} on {n}");
                for i in 0..outputs {
                    let inside = |t: &usize| (0..n as i64).contains(&position(i, *t));
                    let taps: Vec<usize> = (0..kernel).filter(inside).collect();
                    let got: Vec<usize> = window.inside(i, n).collect();
                    assert_eq!(got, taps, "{window:?}, output {i} of {n}");
                    empty += usize::from(taps.is_empty());
                }
            }
        }
    }
    assert!(empty > 0);
}

#[test]
fn sizes_of_tensors() {
    assert_eq!(cells(&[]), Ok(1));
    assert_eq!(cells(&[3, 1, 5]), Ok(15));
    assert_eq!(cells(&[MAX_CELLS]), Ok(MAX_CELLS));
    for shape in [
        vec![MAX_CELLS + 1],
        vec![1 << 16, 1 << 15],
        vec![usize::MAX, 4],
    ] {
        let reason = check_shape(&shape).expect_err("too large");
        assert!(reason.contains("more than"), "{reason}");
    }
    let reason = check_shape(&[2, 0]).expect_err("empty");
    assert!(reason.contains("length 0"), "{reason}");
    // What an operator makes is bounded as well.
    let half = MAX_CELLS / 2;
    let concat = Op::Concat { axis: 0 };
    assert_eq!(concat.infer_shape(&[&[half], &[half]]), Ok(vec![MAX_CELLS]));
    refuse(&concat, &[&[half], &[half], &[1]], "more than");
    let pads = vec![(1, 0), (0, 0)];
    refuse(
        &Op::Pad { pads, value: 0.0 },
        &[&[1, MAX_CELLS]],
        "more than",
    );
    let dense = |n| Op::Dense {
        weight: zeros(&[1, n]),
        bias: None,
    };
    assert_eq!(dense(2).infer_shape(&[&[half, 1]]), Ok(vec![half, 2]));
    refuse(&dense(3), &[&[half, 1]], "more than");
    let outer = Op::Contract(Contract {
        left: vec![0],
        right: vec![1],
        output: vec![1, 0],
    });
    assert_eq!(outer.infer_shape(&[&[5], &[7]]), Ok(vec![7, 5]));
    refuse(&outer, &[&[1 << 20], &[1 << 11]], "more than");
}

/// How many operands every operator takes.
#[test]
fn arities() {
    let one: Vec<(Op, Vec<usize>)> = vec![
        (
            Op::Dense {
                weight: zeros(&[4, 2]),
                bias: None,
            },
            vec![3, 2],
        ),
        (
            Op::Affine {
                scale: zeros(&[]),
                shift: zeros(&[4]),
            },
            vec![3, 4],
        ),
        (Op::Reshape { shape: vec![2, 6] }, vec![2, 6]),
        (Op::Transpose { perm: vec![1, 0] }, vec![4, 3]),
        (
            Op::Pad {
                pads: vec![(0, 1), (-2, 0)],
                value: 1.0,
            },
            vec![4, 2],
        ),
        (Op::Map(vec![AxisMap::Keep, AxisMap::Keep]), vec![3, 4]),
        (
            Op::Take {
                indices: vec![11, 0, 11],
                shape: vec![3],
            },
            vec![3],
        ),
        (Op::Maximum { axis: 0 }, vec![1, 4]),
        (Op::Missing(Missing::Is), vec![3, 4]),
        (
            Op::Missing(Missing::Replaced { by: zeros(&[3, 1]) }),
            vec![3, 4],
        ),
    ];
    let x: &[usize] = &[3, 4];
    for (op, expected) in one {
        assert_eq!(op.infer_shape(&[x]), Ok(expected), "{op:?}");
        refuse(&op, &[], "got 0 inputs, expected 1");
        refuse(&op, &[x, x], "got 2 inputs, expected 1");
        refuse(&op, &[&[3, 0]], "length 0");
    }
    let by = zeros(&[3]);
    refuse(&Op::Missing(Missing::Replaced { by }), &[x], "by");
    let spatial: &[usize] = &[2, 3, 4];
    let conv = Op::Conv {
        weight: zeros(&[5, 3, 2]),
        bias: Some(zeros(&[5])),
        groups: 1,
        windows: vec![window(2)],
    };
    let pool = Op::Pool {
        kind: PoolKind::AverageInside,
        windows: vec![window(3)],
    };
    for (op, expected) in [(conv, vec![2, 5, 3]), (pool, vec![2, 3, 2])] {
        assert_eq!(op.infer_shape(&[spatial]), Ok(expected), "{op:?}");
        refuse(&op, &[], "got 0 inputs");
        refuse(&op, &[spatial, spatial], "got 2 inputs");
    }
    let product = Op::Contract(Contract::elementwise(2));
    for op in [Op::Add, Op::Sub, Op::Max, product] {
        assert_eq!(op.infer_shape(&[x, x]), Ok(x.to_vec()), "{op:?}");
        refuse(&op, &[x], "got 1 inputs, expected 2");
        refuse(&op, &[x, x, x], "got 3 inputs, expected 2");
        let other = op.infer_shape(&[x, &[4, 3]]);
        assert!(other.is_err(), "{op:?}");
    }
    let value = zeros(&[2, 2]);
    let constant = Op::Constant { value };
    assert_eq!(constant.infer_shape(&[]), Ok(vec![2, 2]));
    refuse(&constant, &[x], "got 1 inputs, expected none");
    let empty = Op::Constant { value: zeros(&[0]) };
    refuse(&empty, &[], "length 0");
    refuse(&Op::Input { integral: true }, &[], "GraphBuilder::input");
}

#[test]
fn refusals_of_layers() {
    let conv = |weight: &[usize], groups, kernels: &[usize]| Op::Conv {
        weight: zeros(weight),
        bias: None,
        groups,
        windows: kernels.iter().map(|&k| window(k)).collect(),
    };
    let x: &[usize] = &[1, 6, 5, 5];
    let good = conv(&[4, 3, 2, 2], 2, &[2, 2]);
    assert_eq!(good.infer_shape(&[x]), Ok(vec![1, 4, 4, 4]));
    refuse(&conv(&[3, 3, 2, 2], 2, &[2, 2]), &[x], "do not split");
    refuse(&conv(&[4, 3, 2, 2], 3, &[2, 2]), &[x], "do not split");
    refuse(
        &conv(&[4, 3, 2, 2], usize::MAX, &[2, 2]),
        &[x],
        "do not split",
    );
    refuse(&conv(&[4, 3, 2, 3], 2, &[2, 2]), &[x], "2 taps");
    refuse(&conv(&[4, 3, 2], 2, &[2, 2]), &[x], "rank 4");
    refuse(&conv(&[4, 3, 2, 2], 2, &[2, 2]), &[&[1, 6, 5]], "rank 4");
    refuse(
        &conv(&[4, 3, 2, 2, 2], 2, &[2; 3]),
        &[&[1, 6, 5, 5, 5]],
        "3 spatial",
    );
    refuse(&conv(&[4, 0, 2, 2], 2, &[2, 2]), &[x], "length 0");
    refuse(&conv(&[4, 3, 6, 2], 2, &[6, 2]), &[x], "spans 6 elements");
    let bias = Some(zeros(&[1, 4]));
    let Op::Conv {
        weight,
        groups,
        windows,
        ..
    } = good
    else {
        unreachable!("a convolution");
    };
    let op = Op::Conv {
        weight,
        bias,
        groups,
        windows,
    };
    refuse(&op, &[x], "bias has shape [1, 4], expected [4]");
    let bad = [(0, 1, 1), (1, 0, 1), (1, 1, 0)];
    for (kernel, stride, dilation) in bad {
        let mut w = window(kernel);
        (w.stride, w.dilation) = (stride, dilation);
        let reason = w.output(9).expect_err("zero");
        assert!(reason.contains("all must be positive"), "{reason}");
    }
    let wide = Window {
        pad_begin: MAX_CELLS,
        ..window(1)
    };
    assert!(wide.output(1).expect_err("wide").contains("padding"));
    let sparse = Window {
        dilation: MAX_CELLS,
        ..window(2)
    };
    assert!(sparse.output(1).expect_err("wide").contains("too large"));
    let kind = PoolKind::AveragePadded;
    let pool = |windows| Op::Pool { kind, windows };
    refuse(&pool(vec![window(2)]), &[x], "rank 3");
    let mut outside = window(1);
    outside.pad_end = 1;
    refuse(
        &pool(vec![window(2), outside]),
        &[x],
        "window 5 of spatial axis 1",
    );
    let dense = |weight: &[usize]| Op::Dense {
        weight: zeros(weight),
        bias: None,
    };
    refuse(&dense(&[2, 2, 2]), &[&[2, 2]], "expected [K, N]");
    refuse(&dense(&[3, 0]), &[&[2, 3]], "length 0");
    refuse(&dense(&[3, 1]), &[&[3, 2]], "2 features");
}

/// Row, column and weight.
type Entry = (u32, u32, i64);

#[test]
fn refusals_of_rearrangements() {
    let x: &[usize] = &[2, 3];
    refuse(&Op::Reshape { shape: vec![6, 0] }, &[x], "length 0");
    refuse(
        &Op::Reshape { shape: vec![] },
        &[x],
        "(6 cells) to [] (1 cells)",
    );
    for perm in [vec![0], vec![0, 2], vec![1, 1], vec![0, 1, 2]] {
        refuse(&Op::Transpose { perm }, &[x], "permutation");
    }
    refuse(&Op::Concat { axis: 1 }, &[x, &[2, 3, 1]], "differ");
    refuse(&Op::Concat { axis: 0 }, &[x, x, &[2, 4]], "differ");
    let take = |indices: Vec<u32>, shape: Vec<usize>| Op::Take { indices, shape };
    refuse(&take(vec![], vec![0]), &[x], "length 0");
    refuse(&take(vec![u32::MAX], vec![1]), &[x], "position 4294967295");
    refuse(&take(vec![1, 2], vec![3]), &[x], "2 positions");
    let pad = |pads| Op::Pad { pads, value: 0.0 };
    refuse(&pad(vec![(0, 0), (-3, 0)]), &[x], "pads (-3, 0)");
    refuse(&pad(vec![(0, 0), (i64::MIN, 0)]), &[x], "pads");
    let far = MAX_CELLS as i64 + 1;
    refuse(&pad(vec![(0, 0), (far, -far)]), &[x], "pads");
    refuse(&pad(vec![(0, 0); 3]), &[x], "got 3 pads");
    let matrix = |entries: &[(u32, u32, i64)], divisor, input| {
        let matrix = AxisMatrix {
            input,
            output: 2,
            entries: entries.to_vec(),
            divisor,
        };
        Op::Map(vec![AxisMap::Keep, AxisMap::Matrix(matrix)])
    };
    let good = [(0, 0, 1), (0, 2, -1), (1, 1, 2)];
    assert_eq!(matrix(&good, 3, 3).infer_shape(&[x]), Ok(vec![2, 2]));
    assert_eq!(matrix(&[], 3, 3).infer_shape(&[x]), Ok(vec![2, 2]));
    let bad: [(&[Entry], i64, usize); 8] = [
        (&good, 0, 3),
        (&good, -1, 3),
        (&good, 1, 4),
        (&[(2, 0, 1)], 1, 3),
        (&[(0, 3, 1)], 1, 3),
        (&[(0, 0, 0)], 1, 3),
        (&[(0, 0, 1), (0, 0, 1)], 1, 3),
        (&[(1, 0, 1), (0, 0, 1)], 1, 3),
    ];
    for (entries, divisor, input) in bad {
        refuse(&matrix(entries, divisor, input), &[x], "does not fit");
    }
    let contract = |left: &[usize], right: &[usize], output: &[usize]| {
        let [left, right, output] = [left, right, output].map(<[usize]>::to_vec);
        Op::Contract(Contract {
            left,
            right,
            output,
        })
    };
    refuse(&contract(&[0], &[0, 1], &[0, 1]), &[x, x], "do not fit");
    refuse(&contract(&[0, 0], &[0, 1], &[0, 1]), &[x, x], "twice");
    refuse(
        &contract(&[0, 1], &[0, 2], &[0, 2]),
        &[x, x],
        "label 1 occurs in one list",
    );
    refuse(
        &contract(&[0, 1], &[1, 0], &[0, 1]),
        &[x, x],
        "another length",
    );
    let long: &[usize] = &[1 << 16, 1 << 14];
    let sum = contract(&[0, 1], &[0, 1], &[]);
    assert_eq!(sum.infer_shape(&[long, long]), Ok(vec![]));
}

/// The rule says what the executor makes, of every operator of random graphs.
#[test]
fn the_executor_makes_these_shapes() {
    for seed in 0..60 {
        let mut random = Random::new(seed);
        let graph = random_graph(&mut random);
        let x = random.array(&graph.nodes()[0].shape);
        let values = graph.run(&[x]).expect("runs");
        for (node, value) in graph.nodes().iter().zip(&values) {
            assert_eq!(node.shape, value.shape(), "{node:?}");
            let operand = |v: &ValueId| &*graph.nodes()[v.0].shape;
            let operands: Vec<&[usize]> = node.inputs.iter().map(operand).collect();
            if let Ok(shape) = node.op.infer_shape(&operands) {
                assert_eq!(shape, node.shape);
            }
        }
    }
}

/// A graph tells which node is wrong, and why.
#[test]
fn the_builder_names_the_node() {
    let mut b = GraphBuilder::new();
    let x = b.input("x", &[2, 3]).expect("a shape");
    let error = b.add("sum", Op::Add, &[x]).expect_err("one operand");
    assert_eq!(error.node, "sum");
    assert!(error.to_string().contains("node `sum`: got 1 inputs"));
    let error = b.integral_input("big", &[MAX_CELLS, 2]).expect_err("large");
    assert_eq!(error.node, "big");
    let error = b.add("far", Op::Add, &[x, ValueId(7)]).expect_err("none");
    assert_eq!(error.reason, "input is value 7 of 1");
    for bad in [f32::NAN, f32::INFINITY] {
        let mut value = zeros(&[2]);
        value[1] = bad;
        let ops = [
            Op::Constant {
                value: value.clone(),
            },
            Op::Affine {
                scale: zeros(&[]),
                shift: zeros(&[2, 1]) + bad,
            },
            Op::Missing(Missing::Replaced {
                by: zeros(&[3]) + bad,
            }),
            Op::Dense {
                weight: zeros(&[3, 2]),
                bias: Some(value),
            },
        ];
        for op in ops {
            let mut b = b.clone();
            let inputs: &[ValueId] = match op {
                Op::Constant { .. } => &[],
                _ => &[x],
            };
            let y = b.add("layer", op, inputs).expect("shapes agree");
            let error = b.finish(vec![("y".into(), y)]).expect_err("not finite");
            assert_eq!(error.node, "layer");
            assert!(error.reason.contains("must be finite"), "{error}");
        }
    }
}
