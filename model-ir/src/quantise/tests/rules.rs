//! Every question that passes ask of operators, of one operator of each kind.

use super::common::{array, scalar};
use crate::float::{
    Activation, AxisMap, AxisMatrix, Contract, Missing, Op, PoolKind, Ties, Window,
};
use ndarray::{ArrayD, IxDyn};

type Question = fn(&Op) -> bool;

const QUESTIONS: [(&str, Question); 18] = [
    ("quantises", Op::quantises),
    ("input", Op::is_input),
    ("integral input", Op::is_integral_input),
    ("given", Op::is_given),
    ("source", Op::is_source),
    ("layer", Op::is_layer),
    ("linear", Op::is_linear),
    ("adds", Op::adds),
    ("subtracts", Op::subtracts),
    ("joins", Op::joins),
    ("averages", Op::averages),
    ("multiplies", Op::multiplies),
    ("reduces", Op::reduces_to_maximum),
    ("larger", Op::takes_larger),
    ("pools", Op::pools),
    ("moves", Op::moves),
    ("selects", Op::selects),
    ("adds cells", Op::adds_cells),
];

fn matrix(output: usize, entries: &[(u32, u32, i64)], divisor: i64) -> Op {
    let matrix = AxisMatrix {
        input: 3,
        output,
        entries: entries.to_vec(),
        divisor,
    };
    Op::Map(vec![AxisMap::Keep, AxisMap::Matrix(matrix)])
}

fn pool(kind: PoolKind) -> Op {
    let window = Window {
        kernel: 2,
        stride: 1,
        dilation: 1,
        pad_begin: 0,
        pad_end: 0,
    };
    let windows = vec![window];
    Op::Pool { kind, windows }
}

fn conv() -> Op {
    Op::Conv {
        weight: ArrayD::ones(IxDyn(&[1, 1, 1])),
        bias: None,
        groups: 1,
        windows: vec![Window {
            kernel: 1,
            stride: 1,
            dilation: 1,
            pad_begin: 0,
            pad_end: 0,
        }],
    }
}

fn quantiser() -> Op {
    Op::Activation(Activation::Quantize {
        scale: 0.5,
        lo: -8,
        hi: 7,
        ties: Ties::Even,
    })
}

fn affine(scale: &[f32], shift: &[f32]) -> Op {
    Op::Affine {
        scale: array(&[scale.len()], scale),
        shift: array(&[shift.len()], shift),
    }
}

#[test]
fn every_question_of_every_operator() {
    let dense = Op::Dense {
        weight: array(&[1, 1], &[2.0]),
        bias: None,
    };
    let take = Op::Take {
        indices: vec![0],
        shape: vec![1],
    };
    let pad = Op::Pad {
        pads: vec![(0, 1)],
        value: 0.0,
    };
    let value = scalar(1.0);
    let moved: &[&str] = &["moves", "selects"];
    let table: Vec<(Op, &[&str])> = vec![
        (Op::Input { integral: false }, &["input", "given", "source"]),
        (
            Op::Input { integral: true },
            &["input", "integral input", "given", "source"],
        ),
        (Op::Constant { value }, &["given", "source"]),
        (dense, &["layer", "linear"]),
        (conv(), &["layer", "linear"]),
        (affine(&[2.0], &[1.0]), &["linear"]),
        (Op::Missing(Missing::Is), &[]),
        (Op::Activation(Activation::Relu), &["source"]),
        (quantiser(), &["quantises", "source"]),
        (pool(PoolKind::Max), &["pools"]),
        (pool(PoolKind::AverageInside), &["averages", "pools"]),
        (pool(PoolKind::AveragePadded), &["averages", "pools"]),
        (Op::Add, &["adds", "joins"]),
        (Op::Sub, &["adds", "subtracts", "joins"]),
        (Op::Reshape { shape: vec![1] }, moved),
        (Op::Transpose { perm: vec![0] }, moved),
        (take, moved),
        (Op::Concat { axis: 0 }, &["joins"]),
        (pad, &["source"]),
        (Op::Contract(Contract::elementwise(1)), &["multiplies"]),
        (Op::Max, &["joins", "larger"]),
        (Op::Maximum { axis: 0 }, &["reduces", "larger"]),
        (Op::Map(vec![AxisMap::Keep]), moved),
        // Rows with one entry, a row without one, a weight, and a sum.
        (matrix(2, &[(0, 2, 1), (1, 0, 1)], 1), moved),
        (matrix(2, &[(0, 2, 3), (1, 0, 3)], 3), moved),
        (matrix(3, &[(0, 2, 1), (2, 0, 1)], 1), &["moves"]),
        (matrix(2, &[(0, 2, 1)], 1), &["moves"]),
        (matrix(2, &[(0, 2, 2), (1, 0, 1)], 1), &["adds cells"]),
        (matrix(1, &[(0, 2, 1)], 2), &["adds cells"]),
        (matrix(1, &[(0, 1, 1), (0, 2, 1)], 1), &["adds cells"]),
        (matrix(1, &[(0, 1, -1)], 1), &["adds cells"]),
    ];
    for (op, expected) in table {
        let holds = QUESTIONS.iter().filter(|(_, question)| question(&op));
        let holds: Vec<&str> = holds.map(|(name, _)| *name).collect();
        assert_eq!(holds, expected, "{op:?}");
    }
}

type Cells = &'static [f32];

/// Affine maps with one factor, and with nothing but that.
#[test]
fn factors() {
    let table: [(Cells, Cells, Option<f64>, Option<f64>); 9] = [
        (&[2.0], &[0.0], Some(2.0), Some(2.0)),
        (&[-0.5], &[0.0, 0.0], Some(-0.5), Some(-0.5)),
        (&[2.0], &[-0.0], Some(2.0), Some(2.0)),
        (&[2.0], &[1.0], Some(2.0), None),
        (&[2.0, 2.0], &[0.0], Some(2.0), Some(2.0)),
        (&[2.0, 2.0], &[0.0, 1e-30], Some(2.0), None),
        (&[2.0, 3.0], &[0.0], None, None),
        (&[0.0], &[0.0], None, None),
        (&[0.0, -0.0], &[1.0], None, None),
    ];
    for (scale, shift, uniform, factor) in table {
        let op = affine(scale, shift);
        assert_eq!(op.uniform(), uniform, "{op:?}");
        assert_eq!(op.factor(), factor, "{op:?}");
    }
    for op in [Op::Add, conv(), Op::Activation(Activation::Relu)] {
        assert!(op.uniform().is_none() && op.factor().is_none(), "{op:?}");
    }
}

/// Each accessor answers for its own operator only.
#[test]
fn parts() {
    let value = scalar(3.0);
    let constant = Op::Constant {
        value: value.clone(),
    };
    let map = matrix(1, &[(0, 0, 1)], 1);
    let product = Op::Contract(Contract::elementwise(2));
    let ops = [
        quantiser(),
        affine(&[1.0], &[2.0]),
        product,
        map,
        constant,
        conv(),
    ];
    for (i, op) in ops.iter().enumerate() {
        let answers = [
            op.activation().is_some(),
            op.affine().is_some(),
            op.contract().is_some(),
            op.map().is_some(),
            op.constant().is_some(),
        ];
        let expected: [bool; 5] = std::array::from_fn(|k| k == i);
        assert_eq!(answers, expected, "{op:?}");
    }
    assert_eq!(ops[4].constant(), Some(&value));
    let Some((scale, shift)) = ops[1].affine() else {
        unreachable!("an affine map");
    };
    assert_eq!((scale.sum(), shift.sum()), (1.0, 2.0));
    let (weight, bias) = (
        ArrayD::zeros(IxDyn(&[2, 1, 1])),
        Some(array(&[2], &[1.0; 2])),
    );
    let changed = ops[5].with_weights(weight.clone(), bias.clone());
    match (changed, conv()) {
        (
            Op::Conv {
                weight: w,
                bias: b,
                groups,
                windows,
            },
            Op::Conv {
                groups: old_groups,
                windows: old_windows,
                ..
            },
        ) => {
            assert_eq!((w, b), (weight, bias));
            assert_eq!((groups, windows), (old_groups, old_windows));
        }
        other => panic!("{other:?}"),
    }
}
