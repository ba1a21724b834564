//! Bounds that do not hold would let an accumulator wrap modulo the field's order: models that claim
//! them are refused at setup and when their key is read, and a float model whose integers may wrap
//! is not quantised.

use super::build::plan;
use super::field_run::run;
use crate::PortValue;
use crate::constants::Constants;
use crate::key::file_of;
use crate::proof::Proof;
use crate::{SetupError, SetupOptions, VerifyingKey, setup_scheme};
use ndarray::{ArrayD, IxDyn, arr0};
use zkstrata_model_ir::float::{Activation, GraphBuilder, Op as FloatOp, ValueId};
use zkstrata_model_ir::int::{
    Function, Graph, Interval, Model, Node, Op, Port, PortKind, Table, TableId, TensorId,
};
use zkstrata_model_ir::quantise::{Calibration, Options, quantise};
use zkstrata_pcs::joint::Joint;

const ZERO: Interval = Interval { lo: 0, hi: 0 };

fn port(tensor: usize) -> Port {
    Port {
        name: format!("port {tensor}"),
        tensor: TensorId(tensor),
        shape: vec![1],
        scale: 1.0,
        kind: PortKind::Real,
        features: None,
    }
}

/// `T[2^31 (x + 2^155 (x - x))]` for `|x| <= most`, with the intervals that 128-bit integers would
/// give if they saturated: the second term's form is empty, and so is that of the sum.
fn saturating(most: i64) -> Model {
    let x = Interval {
        lo: -most,
        hi: most,
    };
    let node = |op, inputs: &[usize], interval| Node {
        name: "node".into(),
        op,
        inputs: inputs.iter().copied().map(TensorId).collect(),
        axes: vec![],
        interval,
    };
    let mut nodes = vec![node(Op::Input, &[], x)];
    let mut sum = |terms: &[(i64, usize)], interval| {
        let (coefs, inputs): (Vec<i64>, Vec<usize>) = terms.iter().copied().unzip();
        nodes.push(node(Op::Sum { coefs }, &inputs, interval));
        nodes.len() - 1
    };
    let copy = sum(&[(1, 0)], x);
    let mut z = sum(&[(1, 0), (-1, copy)], ZERO);
    for _ in 0..5 {
        z = sum(&[(1 << 31, z)], ZERO);
    }
    // Truly x.
    let s = sum(&[(1, 0), (1, z)], ZERO);
    let m = sum(&[(1 << 31, s)], ZERO);
    let table = Op::Table {
        table: TableId(0),
        shift: 0,
        ranges: vec![],
        offset: 0,
    };
    nodes.push(node(table, &[m], Interval { lo: 10, hi: 14 }));
    let output = port(nodes.len() - 1);
    Model {
        graph: Graph {
            nodes,
            tables: vec![Table {
                function: Function::Values(vec![10, 11, 12, 13, 14]),
                start: -2,
                len: 5,
            }],
            biases: vec![],
            weights: 0,
            inputs: vec![port(0)],
            outputs: vec![output],
        },
        weights: vec![],
        biases: vec![],
    }
}

#[test]
fn a_sum_whose_coefficients_leave_128_bits_does_not_cancel() {
    let model = saturating(1 << 40);
    let error = setup_scheme::<Joint>(model.clone(), &SetupOptions::default());
    let error = error.map(|_| ()).expect_err("intervals that do not hold");
    assert!(matches!(error, SetupError::Model(_)), "{error}");
    assert!(error.to_string().contains("may leave"), "{error}");
    let key = file_of::<Joint>(model.graph, Constants::None, &SetupOptions::default(), 1);
    let error = VerifyingKey::<Joint>::from_bytes(&key).expect_err("the same");
    assert!(error.to_string().contains("may leave"), "{error}");
    // With an input that is 0 they hold.
    let harmless = saturating(0);
    setup_scheme::<Joint>(harmless, &SetupOptions::default()).expect("nothing wraps");
}

/// `y = |x + 2^96 (t + 2^160 (t - t))|`, which is `x - t` modulo `p`, calibrated with `t = 0`.
#[test]
fn a_float_model_whose_accumulator_would_wrap_is_refused() {
    let mut b = GraphBuilder::new();
    let x = b.integral_input("x", &[1, 2]).expect("an input");
    let t = b.integral_input("t", &[1, 2]).expect("an input");
    let mut n = 0;
    let mut add = |b: &mut GraphBuilder, op: FloatOp, inputs: &[ValueId]| {
        n += 1;
        b.add(&format!("n{n}"), op, inputs).expect("a node")
    };
    let times = |s: f32| FloatOp::Affine {
        scale: arr0(s).into_dyn(),
        shift: arr0(0.0).into_dyn(),
    };
    let zero = add(&mut b, FloatOp::Sub, &[t, t]);
    let mut grow = |b: &mut GraphBuilder, mut z: ValueId, factor: f32, count: usize| {
        for _ in 0..count {
            let m = add(b, times(factor), &[z]);
            z = add(b, FloatOp::Add, &[m, zero]);
        }
        z
    };
    let z = grow(&mut b, zero, 1_048_576.0, 8);
    let m = b.add("m", times(1_048_576.0), &[z]).expect("a node");
    let u = b.add("u", FloatOp::Add, &[t, m]).expect("a node");
    let u = grow(&mut b, u, 65_536.0, 6);
    let s = b.add("s", FloatOp::Add, &[x, u]).expect("a node");
    let y = b.add("y", FloatOp::Activation(Activation::Abs), &[s]);
    let graph = b.finish(vec![("y".into(), y.expect("a node"))]);
    let graph = graph.expect("a graph");
    let array = |a: [f32; 2]| ArrayD::from_shape_vec(IxDyn(&[1, 2]), a.to_vec()).expect("2 cells");
    let samples = [[3.0, -7.0], [-2.0, 7.0]].map(|x| vec![array(x), array([0.0, 0.0])]);
    let calibration = Calibration::from_samples(samples.to_vec());
    let Ok(quantised) = quantise(&graph, &calibration, &Options::default()) else {
        return;
    };
    // If its integers are bounded after all, what is proven of t = [1, 2] is what the executor says.
    let model = quantised.model;
    let keys = setup_scheme::<Joint>(model.clone(), &SetupOptions::default());
    let (pk, vk) = keys.expect("a quantised model sets up");
    let inputs = vec![vec![3, 5], vec![1, 2]];
    let plan = plan(&model, 1);
    let (statement, witness) = run(&plan, &model, vk.digest(), &inputs, &mut |_, _, _, _| {});
    let proven = pk.prove_witness(&plan, &statement, &witness, None);
    let accepted = proven.is_ok_and(|(tape, _)| vk.verify(&statement, &Proof { tape }).is_ok());
    let executed = pk.prove_integers(&inputs).map(|(statement, _)| statement);
    assert!(!accepted || executed.is_ok_and(|honest| honest == statement));
}

/// A clamp whose bounds lie outside the type of its argument: executor and table agree.
#[test]
fn a_clamp_beyond_the_type_of_its_argument_is_what_the_table_says() {
    for (lo, hi) in [(40_000, 50_000), (1i64 << 40, 1 << 41), (-50_000, -40_000)] {
        let end = if lo > 0 { lo } else { hi };
        let node = |op, inputs: Vec<TensorId>, interval| Node {
            name: "node".into(),
            op,
            inputs,
            axes: vec![],
            interval,
        };
        let table = Op::Table {
            table: TableId(0),
            shift: 0,
            ranges: vec![],
            offset: 0,
        };
        let model = Model {
            graph: Graph {
                nodes: vec![
                    node(Op::Input, vec![], Interval { lo: 0, hi: 10 }),
                    node(table, vec![TensorId(0)], Interval { lo: end, hi: end }),
                ],
                tables: vec![Table {
                    function: Function::Clamp { lo, hi },
                    start: 0,
                    len: 11,
                }],
                biases: vec![],
                weights: 0,
                inputs: vec![port(0)],
                outputs: vec![port(1)],
            },
            weights: vec![],
            biases: vec![],
        };
        let (pk, vk) = setup_scheme::<Joint>(model, &SetupOptions::default()).expect("sets up");
        let (statement, proof) = pk.prove_integers(&[vec![5]]).expect("proves");
        assert_eq!(statement.outputs, [PortValue::Public(vec![end])]);
        vk.verify(&statement, &proof).expect("verifies");
    }
}
