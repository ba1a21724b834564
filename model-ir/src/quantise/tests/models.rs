//! Models from end to end: float against integer.

use crate::float::random::{Random, random_graph};
use crate::float::{Activation, GraphBuilder, Op, PoolKind, ValueId, Window};
use crate::int::Op as IntOp;
use crate::quantise::*;
use ndarray::{ArrayD, IxDyn};

fn samples(graph: &Graph, random: &mut Random, n: usize) -> Vec<Vec<ArrayD<f32>>> {
    let mut sample = || {
        let inputs = graph.inputs().map(|v| &graph.nodes()[v.0].shape);
        inputs.map(|shape| random.array(shape)).collect()
    };
    (0..n).map(|_| sample()).collect()
}

/// Builds a graph, quantises it on 40 samples and measures it on them.
fn measured(
    build: impl FnOnce(&mut GraphBuilder, &mut Random) -> ValueId,
    options: &Options,
) -> (Quantised, Accuracy) {
    let mut random = Random::new(7);
    let mut builder = GraphBuilder::new();
    let y = build(&mut builder, &mut random);
    let graph = builder.finish(vec![("y".into(), y)]).expect("valid");
    let inputs = samples(&graph, &mut random, 40);
    let calibration = Calibration::from_samples(inputs.clone());
    let quantised = quantise(&graph, &calibration, options).expect("quantises");
    let accuracy = Accuracy::measure(&graph, &quantised.model, &inputs).expect("runs");
    (quantised, accuracy)
}

fn relative(accuracy: &Accuracy) -> f64 {
    accuracy.outputs[0].rms_error / accuracy.outputs[0].rms
}

fn count(model: &int::Model, is: impl Fn(&IntOp) -> bool) -> usize {
    model.graph.nodes.iter().filter(|n| is(&n.op)).count()
}

fn is_table(op: &IntOp) -> bool {
    matches!(op, IntOp::Table { .. })
}

fn window(kernel: usize, stride: usize, pad: usize) -> Window {
    Window {
        kernel,
        stride,
        dilation: 1,
        pad_begin: pad,
        pad_end: pad,
    }
}

fn conv(random: &mut Random, outputs: usize, inputs: usize, groups: usize) -> Op {
    Op::Conv {
        weight: random.array(&[outputs, inputs / groups, 3, 3]),
        bias: Some(random.array(&[outputs])),
        groups,
        windows: vec![window(3, 1, 1); 2],
    }
}

fn dense(random: &mut Random, inputs: usize, outputs: usize) -> Op {
    Op::Dense {
        weight: random.array(&[inputs, outputs]),
        bias: Some(random.array(&[outputs])),
    }
}

const RELU: Op = Op::Activation(Activation::Relu);

fn add(b: &mut GraphBuilder, op: Op, inputs: &[ValueId]) -> ValueId {
    b.add("node", op, inputs).expect("shapes agree")
}

fn input(b: &mut GraphBuilder, shape: &[usize]) -> ValueId {
    b.input("x", shape).expect("a shape")
}

#[test]
fn random_graphs_stay_close_to_float() {
    let profiles = [(Profile::Accurate, 0.003, 0.05), (Profile::Fast, 0.05, 0.6)];
    for (profile, typical, worst) in profiles {
        let mut errors = vec![];
        for seed in 0..200 {
            let mut random = Random::new(seed);
            let graph = random_graph(&mut random);
            let inputs = samples(&graph, &mut random, 20);
            let calibration = Calibration::from_samples(inputs.clone());
            let options = Options::new(profile);
            let quantised = quantise(&graph, &calibration, &options).expect("quantises");
            let again = quantise(&graph, &calibration, &options).expect("quantises");
            assert_eq!(quantised.model.digest(), again.model.digest());
            let accuracy = Accuracy::measure(&graph, &quantised.model, &inputs);
            let accuracy = accuracy.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
            errors.push(relative(&accuracy));
        }
        errors.sort_by(f64::total_cmp);
        let (median, most) = (errors[100], errors[199]);
        assert!(
            median < typical && most < worst,
            "{profile:?} {median} {most}"
        );
    }
}

#[test]
fn a_residual_block_has_one_table_node_per_activation() {
    // Every layer keeps the size of what it reads.
    let conv = |random: &mut Random, o, c, groups| {
        let mut op = conv(random, o, c, groups);
        if let Op::Conv { weight, .. } = &mut op {
            let taps = weight.len() / o;
            weight.mapv_inplace(|w| w / (taps as f32).sqrt());
        }
        op
    };
    let build = |b: &mut GraphBuilder, random: &mut Random| {
        let x = input(b, &[1, 4, 12, 12]);
        let stem = add(b, conv(random, 8, 4, 1), &[x]);
        let stem = add(b, RELU, &[stem]);
        let body = add(b, conv(random, 8, 8, 1), &[stem]);
        let body = add(b, RELU, &[body]);
        let body = add(b, conv(random, 8, 8, 1), &[body]);
        let sum = add(b, Op::Add, &[body, stem]);
        let joined = add(b, RELU, &[sum]);
        // A projected skip: both operands of the sum are accumulators.
        let left = add(b, conv(random, 4, 8, 1), &[joined]);
        let right = add(b, conv(random, 4, 8, 4), &[joined]);
        let sum = add(b, Op::Sub, &[left, right]);
        let last = add(b, RELU, &[sum]);
        let kind = PoolKind::AverageInside;
        let windows = vec![window(12, 1, 0); 2];
        let pooled = add(b, Op::Pool { kind, windows }, &[last]);
        let flat = add(b, Op::Reshape { shape: vec![1, 4] }, &[pooled]);
        add(b, dense(random, 4, 3), &[flat])
    };
    let options = Options::new(Profile::Accurate);
    let (quantised, accuracy) = measured(build, &options);
    let model = &quantised.model;
    assert_eq!(count(model, is_table), 4);
    // The pool feeds the last layer directly: its scale is free.
    assert_eq!(count(model, |op| matches!(op, IntOp::Map(_))), 1);
    let sums: Vec<&Vec<i64>> = model
        .graph
        .nodes
        .iter()
        .filter_map(|n| match &n.op {
            IntOp::Sum { coefs } => Some(coefs),
            _ => None,
        })
        .collect();
    assert_eq!(sums, [&vec![1, 1 << 12], &vec![1, -1]]);
    // One function, one table, and the range table.
    assert_eq!(model.graph.tables.len(), 2);
    assert!(relative(&accuracy) < 0.01, "{accuracy:?}");
    assert_eq!(
        quantised.report.parameters,
        8 * 4 * 9 + 2 * 64 * 9 + 32 * 9 + 8 * 9 + 12
    );
    let macs = 144 * (288 + 2 * 576 + 288 + 72) + 12;
    assert_eq!(quantised.report.macs, macs);
}

#[test]
fn pools_are_exact_on_integers() {
    let build = |b: &mut GraphBuilder, _: &mut Random| {
        let x = input(b, &[1, 3, 9, 7]);
        let kind = PoolKind::Max;
        let windows = vec![window(3, 2, 1), window(2, 2, 0)];
        add(b, Op::Pool { kind, windows }, &[x])
    };
    let (quantised, accuracy) = measured(build, &Options::new(Profile::Accurate));
    // The only error is that of rounding the input.
    let step = quantised.model.graph.inputs[0].scale;
    assert!(
        accuracy.outputs[0].max_error <= step * 0.501,
        "{accuracy:?}"
    );
    assert_eq!(count(&quantised.model, is_table), 3);
    let output = quantised.model.graph.outputs[0].tensor;
    let most = quantised.model.graph.node(output).interval;
    assert_eq!((most.lo, most.hi), (-16383, 16383));
}

#[test]
fn borders_of_averages_divide_by_their_taps() {
    for kernel in [3, 7] {
        let build = |b: &mut GraphBuilder, _: &mut Random| {
            let x = input(b, &[1, 2, 8, 8]);
            let kind = PoolKind::AverageInside;
            let windows = vec![window(kernel, 1, kernel / 2); 2];
            add(b, Op::Pool { kind, windows }, &[x])
        };
        let (quantised, accuracy) = measured(build, &Options::new(Profile::Accurate));
        assert_eq!(count(&quantised.model, is_table), 0);
        assert!(relative(&accuracy) < 0.02, "{kernel}: {accuracy:?}");
    }
}

#[test]
fn branches_of_different_scales_are_joined() {
    // Inception: the average's scale is a fixed multiple of the input's, which contradicts the
    // concatenation; so does the constant factor.
    let build = |b: &mut GraphBuilder, random: &mut Random| {
        let x = input(b, &[1, 2, 8, 8]);
        let x = add(b, RELU, &[x]);
        let kind = PoolKind::AveragePadded;
        let windows = vec![window(3, 1, 1); 2];
        let average = add(
            b,
            Op::Pool {
                kind,
                windows: windows.clone(),
            },
            &[x],
        );
        let kind = PoolKind::Max;
        let most = add(b, Op::Pool { kind, windows }, &[x]);
        let scaled = Op::Affine {
            scale: ArrayD::from_elem(IxDyn(&[]), -0.3),
            shift: ArrayD::zeros(IxDyn(&[1])),
        };
        let scaled = add(b, scaled, &[x]);
        let convolved = add(b, conv(random, 3, 2, 1), &[x]);
        let all = [average, most, scaled, convolved, x];
        let joined = add(b, Op::Concat { axis: 1 }, &all);
        add(b, conv(random, 2, 11, 1), &[joined])
    };
    let (quantised, accuracy) = measured(build, &Options::new(Profile::Accurate));
    assert!(relative(&accuracy) < 0.01, "{accuracy:?}");
    let affines = count(&quantised.model, |op| matches!(op, IntOp::Affine(_)));
    assert_eq!(affines, 2, "two convolutions");
}

#[test]
fn nonlinear_outputs_have_twelve_bits() {
    for activation in [
        Activation::Sigmoid,
        Activation::Tanh,
        Activation::Relu,
        Activation::LeakyRelu { alpha: 0.2 },
        Activation::Clip { lo: -0.5, hi: 6.0 },
    ] {
        let build = |b: &mut GraphBuilder, random: &mut Random| {
            let x = input(b, &[1, 10]);
            let hidden = add(b, dense(random, 10, 12), &[x]);
            let hidden = add(b, Op::Activation(activation), &[hidden]);
            let y = add(b, dense(random, 12, 8), &[hidden]);
            add(b, Op::Activation(activation), &[y])
        };
        let (quantised, accuracy) = measured(build, &Options::new(Profile::Fast));
        let port = &quantised.model.graph.outputs[0];
        let bits = quantised.model.graph.node(port.tensor).interval;
        assert!(bits.hi - bits.lo > 1000, "{activation:?}: {bits}");
        assert!(relative(&accuracy) < 0.03, "{activation:?}: {accuracy:?}");
        let (accurate, accuracy) = measured(build, &Options::new(Profile::Accurate));
        assert_eq!((accurate.report.bits, accurate.report.shift), (12, 12));
        assert!(relative(&accuracy) < 0.003, "{activation:?}: {accuracy:?}");
    }
}

#[test]
fn standalone_affines_move_and_reshape() {
    // Normalisation of the input, a shared BatchNorm, a transpose, a border and a channel
    // shuffle.
    let build = |b: &mut GraphBuilder, random: &mut Random| {
        let x = input(b, &[1, 4, 5, 6]);
        let affine = |random: &mut Random, shape: &[usize]| Op::Affine {
            scale: random.array(shape),
            shift: random.array(&[1]),
        };
        let normal = add(b, affine(random, &[4, 1, 1]), &[x]);
        let turned = add(
            b,
            Op::Transpose {
                perm: vec![0, 1, 3, 2],
            },
            &[normal],
        );
        let pads = vec![(0, 0), (0, 0), (1, 0), (-1, 2)];
        let padded = add(b, Op::Pad { pads, value: 0.5 }, &[turned]);
        let scaled = add(b, affine(random, &[5, 1]), &[normal]);
        let split = add(
            b,
            Op::Reshape {
                shape: vec![1, 2, 2, 5, 6],
            },
            &[scaled],
        );
        let shuffled = add(
            b,
            Op::Transpose {
                perm: vec![0, 2, 1, 3, 4],
            },
            &[split],
        );
        let shuffled = add(
            b,
            Op::Reshape {
                shape: vec![1, 4, 5, 6],
            },
            &[shuffled],
        );
        let convolved = add(b, conv(random, 6, 4, 2), &[shuffled]);
        let flat = add(
            b,
            Op::Reshape {
                shape: vec![1, 180],
            },
            &[convolved],
        );
        let other = add(
            b,
            Op::Reshape {
                shape: vec![1, 168],
            },
            &[padded],
        );
        let joined = add(b, Op::Concat { axis: 1 }, &[flat, other]);
        add(b, dense(random, 348, 3), &[joined])
    };
    let (quantised, accuracy) = measured(build, &Options::new(Profile::Accurate));
    assert!(relative(&accuracy) < 0.01, "{accuracy:?}");
    // The operands of the concatenation are flattened: its axis cannot be split.
    let gathers = count(&quantised.model, |op| matches!(op, IntOp::Gather { .. }));
    assert_eq!(gathers, 2);
    assert_eq!(
        count(&quantised.model, |op| matches!(op, IntOp::Permute { .. })),
        2
    );
}

#[test]
fn reshapes_without_a_common_layout_are_copied() {
    let build = |rows: usize| {
        move |b: &mut GraphBuilder, random: &mut Random| {
            let x = input(b, &[1, 1, rows, 6]);
            let y = add(b, conv(random, 1, 1, 1), &[x]);
            let shape = vec![1, 1, rows * 2, 3];
            let y = add(b, Op::Reshape { shape }, &[y]);
            add(b, conv(random, 1, 1, 1), &[y])
        }
    };
    let (quantised, accuracy) = measured(build(4), &Options::new(Profile::Accurate));
    assert!(relative(&accuracy) < 0.01, "{accuracy:?}");
    assert_eq!(
        count(&quantised.model, |op| matches!(op, IntOp::Gather { .. })),
        1
    );

    let mut builder = GraphBuilder::new();
    let y = build(200_000)(&mut builder, &mut Random::new(0));
    let graph = builder.finish(vec![("y".into(), y)]).expect("valid");
    let calibration = Calibration::synthetic(&graph, 0);
    let error = quantise(&graph, &calibration, &Options::default()).expect_err("too large");
    assert!(
        matches!(
            error,
            Error::Layout {
                cells: 1_200_000,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn the_shift_follows_the_size_of_the_model() {
    let mlp = |b: &mut GraphBuilder, random: &mut Random| {
        let x = input(b, &[1, 10]);
        let hidden = add(b, dense(random, 10, 12), &[x]);
        let hidden = add(b, RELU, &[hidden]);
        add(b, dense(random, 12, 8), &[hidden])
    };
    assert_eq!(measured(mlp, &Options::default()).0.report.shift, 8);
    let options = Options::new(Profile::Accurate);
    assert_eq!(measured(mlp, &options).0.report.shift, 12);
    let options = Options::default().with_shift(10);
    assert_eq!(measured(mlp, &options).0.report.shift, 10);
    let large = |b: &mut GraphBuilder, random: &mut Random| {
        let x = input(b, &[1, 1, 20, 20]);
        let hidden = add(b, conv(random, 16, 1, 1), &[x]);
        let hidden = add(b, RELU, &[hidden]);
        add(b, conv(random, 1, 16, 1), &[hidden])
    };
    assert_eq!(measured(large, &Options::default()).0.report.shift, 12);
}
