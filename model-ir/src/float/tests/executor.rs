//! The float executor against loops over the cells of its operators' definitions, on random
//! operators.

use super::super::op::{AxisMap, AxisMatrix, Contract, Missing, Op, PoolKind, Window};
use super::super::random::Random;
use super::super::{Activation, GraphBuilder, ValueId};
use ndarray::{ArrayD, IxDyn};

/// Every index of a tensor, row-major.
fn indices(shape: &[usize]) -> Vec<Vec<usize>> {
    let mut all = vec![vec![]];
    for &n in shape {
        let longer = |index: &Vec<usize>| {
            let index = index.clone();
            (0..n).map(move |i| [&*index, &[i]].concat())
        };
        all = all.iter().flat_map(longer).collect();
    }
    all
}

/// The value of an operator on these operands.
fn run(op: &Op, operands: &[&ArrayD<f32>]) -> ArrayD<f32> {
    let mut b = GraphBuilder::new();
    let mut input = |x: &&ArrayD<f32>| b.input("x", x.shape()).expect("a shape");
    let inputs: Vec<ValueId> = operands.iter().map(&mut input).collect();
    let y = b.add("y", op.clone(), &inputs).expect("shapes agree");
    let graph = b.finish(vec![("y".into(), y)]).expect("valid");
    let operands: Vec<ArrayD<f32>> = operands.iter().map(|&x| x.clone()).collect();
    graph.run(&operands).expect("runs").swap_remove(y.0)
}

/// Every cell of the result is `expected` of its index.
fn check(op: &Op, operands: &[&ArrayD<f32>], expected: impl Fn(&[usize]) -> f64) {
    let y = run(op, operands);
    for index in indices(y.shape()) {
        let (y, e) = (f64::from(y[IxDyn(&index)]), expected(&index));
        assert!((y - e).abs() < 2e-5, "{op:?} at {index:?}: {y}, not {e}");
    }
}

/// The cell at an index, or `None` outside.
fn at(x: &ArrayD<f32>, index: &[i64]) -> Option<f64> {
    let index: Option<Vec<usize>> = index.iter().map(|&i| usize::try_from(i).ok()).collect();
    x.get(IxDyn(&index?)).map(|&x| x.into())
}

fn window(random: &mut Random, kernel: usize, padding: usize) -> Window {
    Window {
        kernel,
        stride: 1 + random.below(3),
        dilation: 1 + random.below(2),
        pad_begin: random.below(padding + 1),
        pad_end: random.below(padding + 1),
    }
}

/// What the taps of an output read, `None` for padding.
fn taps(
    x: &ArrayD<f32>,
    channels: [usize; 2],
    output: &[usize],
    windows: &[Window],
) -> Vec<Option<f64>> {
    let kernels: Vec<usize> = windows.iter().map(|w| w.kernel).collect();
    let read = |tap: Vec<usize>| {
        let mut index: Vec<i64> = channels.iter().map(|&i| i as i64).collect();
        for ((window, tap), i) in windows.iter().zip(tap).zip(output) {
            let position = window.stride * i + window.dilation * tap;
            index.push(position as i64 - window.pad_begin as i64);
        }
        at(x, &index)
    };
    indices(&kernels).into_iter().map(read).collect()
}

#[test]
fn convolutions() {
    let mut random = Random::new(11);
    for case in 0..60 {
        let axes = 1 + case % 2;
        let groups = 1 + random.below(3);
        let (per_group, outputs) = (1 + random.below(3), groups * (1 + random.below(3)));
        let kernels: Vec<usize> = (0..axes).map(|_| 1 + random.below(3)).collect();
        let windows: Vec<Window> = kernels.iter().map(|&k| window(&mut random, k, 2)).collect();
        let mut shape = vec![1 + random.below(2), groups * per_group];
        shape.extend((0..axes).map(|_| 5 + random.below(4)));
        let x = random.array(&shape);
        let weight = random.array(&[&[outputs, per_group], &*kernels].concat());
        let bias = (case % 3 > 0).then(|| random.array(&[outputs]));
        let op = Op::Conv {
            weight: weight.clone(),
            bias: bias.clone(),
            groups,
            windows: windows.clone(),
        };
        check(&op, &[&x], |index| {
            let o = index[1];
            let mut sum = bias.as_ref().map_or(0.0, |bias| f64::from(bias[[o]]));
            for c in 0..per_group {
                let channel = o / (outputs / groups) * per_group + c;
                let cells = taps(&x, [index[0], channel], &index[2..], &windows);
                for (tap, cell) in indices(&kernels).iter().zip(cells) {
                    let weight = weight[IxDyn(&[&[o, c], &**tap].concat())];
                    sum += f64::from(weight) * cell.unwrap_or(0.0);
                }
            }
            sum
        });
    }
}

#[test]
fn pools() {
    let mut random = Random::new(12);
    for case in 0..60 {
        let axes = 1 + case % 3;
        let kernels: Vec<usize> = (0..axes).map(|_| 1 + random.below(3)).collect();
        // No window may lie in the padding entirely.
        let windows: Vec<Window> = kernels
            .iter()
            .map(|&k| window(&mut random, k, k - 1))
            .collect();
        let mut shape = vec![1 + random.below(2), 1 + random.below(3)];
        shape.extend((0..axes).map(|_| 5 + random.below(3)));
        let x = random.array(&shape);
        let size: usize = kernels.iter().product();
        for kind in [
            PoolKind::Max,
            PoolKind::AverageInside,
            PoolKind::AveragePadded,
        ] {
            let op = Op::Pool {
                kind,
                windows: windows.clone(),
            };
            check(&op, &[&x], |index| {
                let cells = taps(&x, [index[0], index[1]], &index[2..], &windows);
                let inside: Vec<f64> = cells.into_iter().flatten().collect();
                let sum: f64 = inside.iter().sum();
                match kind {
                    PoolKind::Max => inside.iter().copied().fold(f64::NEG_INFINITY, f64::max),
                    PoolKind::AverageInside => sum / inside.len() as f64,
                    PoolKind::AveragePadded => sum / size as f64,
                }
            });
        }
    }
}

#[test]
fn dense_layers_and_affine_maps() {
    let mut random = Random::new(13);
    for lead in [&[][..], &[1], &[3], &[2, 5], &[2, 1, 3]] {
        let (k, n) = (1 + random.below(9), 1 + random.below(20));
        let x = random.array(&[lead, &[k]].concat());
        let weight = random.array(&[k, n]);
        for bias in [None, Some(random.array(&[n]))] {
            let op = Op::Dense {
                weight: weight.clone(),
                bias: bias.clone(),
            };
            check(&op, &[&x], |index| {
                let (&column, row) = index.split_last().expect("an axis");
                let products = (0..k).map(|i| {
                    let x = x[IxDyn(&[row, &[i]].concat())];
                    f64::from(x) * f64::from(weight[[i, column]])
                });
                let bias = bias.as_ref().map_or(0.0, |bias| bias[[column]]);
                f64::from(bias) + products.sum::<f64>()
            });
        }
    }
    let x = random.array(&[2, 3, 4]);
    let shapes: [&[usize]; 7] = [&[], &[1], &[4], &[3, 1], &[2, 1, 1], &[1, 3, 4], &[2, 3, 4]];
    for scale in shapes {
        for shift in shapes {
            let (scale, shift) = (random.array(scale), random.array(shift));
            let broadcast = |factor: &ArrayD<f32>, index: &[usize]| {
                let skipped = index.len() - factor.ndim();
                let own = factor.shape().iter().zip(&index[skipped..]);
                let own: Vec<usize> = own.map(|(&n, &i)| i.min(n - 1)).collect();
                f64::from(factor[IxDyn(&own)])
            };
            let op = Op::Affine {
                scale: scale.clone(),
                shift: shift.clone(),
            };
            check(&op, &[&x], |index| {
                let x = f64::from(x[IxDyn(index)]);
                x * broadcast(&scale, index) + broadcast(&shift, index)
            });
        }
    }
}

/// The rows of a matrix, and what they are divided by.
type Rational = (Vec<Vec<i64>>, i64);

#[test]
fn maps() {
    let mut random = Random::new(14);
    for _ in 0..30 {
        let shape: Vec<usize> = (0..3).map(|_| 1 + random.below(5)).collect();
        let x = random.array(&shape);
        let mut dense: Vec<Option<Rational>> = vec![];
        for &n in &shape {
            let rows = 1 + random.below(4);
            // Small weights, half of them 0.
            let mut weight = || [0, 0, 0, 1, -2, 3][random.below(6)];
            let matrix = (0..rows).map(|_| (0..n).map(|_| weight()).collect());
            let matrix = matrix.collect();
            let divisor = 1 + random.below(4) as i64;
            dense.push((random.below(4) > 0).then_some((matrix, divisor)));
        }
        let map = |(axis, &n): (&Option<Rational>, &usize)| match axis {
            None => AxisMap::Keep,
            Some((rows, divisor)) => {
                let cells = rows.iter().zip(0..).flat_map(|(row, i)| {
                    let cells = row.iter().zip(0..);
                    cells.map(move |(&weight, j)| (i, j, weight))
                });
                AxisMap::Matrix(AxisMatrix {
                    input: n,
                    output: rows.len(),
                    entries: cells.filter(|&(_, _, weight)| weight != 0).collect(),
                    divisor: *divisor,
                })
            }
        };
        let op = Op::Map(dense.iter().zip(&shape).map(map).collect());
        let coefficient = |axis: usize, to: usize, from: usize| match &dense[axis] {
            None => f64::from(u8::from(to == from)),
            Some((rows, divisor)) => rows[to][from] as f64 / *divisor as f64,
        };
        check(&op, &[&x], |index| {
            let term = |from: Vec<usize>| {
                let factors = (0..3).map(|axis| coefficient(axis, index[axis], from[axis]));
                factors.product::<f64>() * f64::from(x[IxDyn(&from)])
            };
            indices(&shape).into_iter().map(term).sum()
        });
    }
}

#[test]
fn rearrangements() {
    let mut random = Random::new(15);
    let shape = [2, 3, 1, 4];
    let x = random.array(&shape);
    for perm in [[0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2], [2, 0, 3, 1]] {
        let op = Op::Transpose {
            perm: perm.to_vec(),
        };
        check(&op, &[&x], |index| {
            let mut source = [0; 4];
            perm.iter().zip(index).for_each(|(&p, &i)| source[p] = i);
            x[IxDyn(&source)].into()
        });
    }
    let pads = [
        [(0, 0), (1, 2), (0, 0), (-1, -2)],
        [(-1, 0), (0, -1), (2, 1), (3, -3)],
        [(1, -1), (-2, 2), (-1, 1), (0, 5)],
    ];
    for pads in pads {
        let value = random.unit();
        let op = Op::Pad {
            pads: pads.to_vec(),
            value,
        };
        check(&op, &[&x], |index| {
            let source = index.iter().zip(&pads).map(|(&i, pad)| i as i64 - pad.0);
            at(&x, &source.collect::<Vec<_>>()).unwrap_or(value.into())
        });
    }
    for axis in 0..4 {
        let mut others = [shape, shape];
        (others[0][axis], others[1][axis]) = (1, 5);
        let [y, z] = others.map(|shape| random.array(&shape));
        check(&Op::Concat { axis }, &[&y, &x, &z, &x], |index| {
            let mut index = index.to_vec();
            for part in [&y, &x, &z, &x] {
                match index[axis].checked_sub(part.shape()[axis]) {
                    Some(rest) => index[axis] = rest,
                    None => return part[IxDyn(&index)].into(),
                }
            }
            unreachable!("inside one of the parts")
        });
        check(&Op::Maximum { axis }, &[&x], |index| {
            let mut index = index.to_vec();
            let cells = (0..shape[axis]).map(|i| {
                index[axis] = i;
                f64::from(x[IxDyn(&index)])
            });
            cells.fold(f64::NEG_INFINITY, f64::max)
        });
    }
    let cells: Vec<f32> = x.iter().copied().collect();
    let taken: Vec<u32> = (0..30).map(|_| random.below(24) as u32).collect();
    let op = Op::Take {
        indices: taken.clone(),
        shape: vec![5, 6],
    };
    check(&op, &[&x], |index| {
        cells[taken[index[0] * 6 + index[1]] as usize].into()
    });
    let shape = vec![4, 6];
    check(&Op::Reshape { shape }, &[&x], |index| {
        cells[index[0] * 6 + index[1]].into()
    });
}

#[test]
fn two_operands() {
    let mut random = Random::new(16);
    let [x, y] = [0, 1].map(|_| random.array(&[2, 3, 2]));
    let cell = |x: &ArrayD<f32>, index: &[usize]| f64::from(x[IxDyn(index)]);
    check(&Op::Add, &[&x, &y], |i| cell(&x, i) + cell(&y, i));
    check(&Op::Sub, &[&x, &y], |i| cell(&x, i) - cell(&y, i));
    check(&Op::Max, &[&x, &y], |i| cell(&x, i).max(cell(&y, i)));
    let product = Op::Contract(Contract::elementwise(3));
    check(&product, &[&x, &y], |i| cell(&x, i) * cell(&y, i));
    // Attention: a label of both that stays, one that is summed, one of each operand.
    let [q, k] = [[2, 3, 5], [2, 5, 4]].map(|shape| random.array(&shape));
    let scores = Op::Contract(Contract {
        left: vec![7, 1, 4],
        right: vec![7, 4, 0],
        output: vec![0, 7, 1],
    });
    check(&scores, &[&q, &k], |i| {
        let (column, batch, row) = (i[0], i[1], i[2]);
        let terms = (0..5).map(|s| cell(&q, &[batch, row, s]) * cell(&k, &[batch, s, column]));
        terms.sum()
    });
    // One value as both operands.
    check(&Op::Sub, &[&x, &x], |_| 0.0);
}

/// Missing cells are told apart and replaced, and stay missing where they are moved.
#[test]
fn missing_cells() {
    let mut random = Random::new(18);
    let (mut x, by) = (random.array(&[3, 4]), random.array(&[4]));
    for cell in [[0, 1], [2, 1], [1, 3]] {
        x[cell] = f32::NAN;
    }
    let missing = |i: &[usize]| x[IxDyn(i)].is_nan();
    let is = Op::Missing(Missing::Is);
    check(&is, &[&x], |i| f64::from(u8::from(missing(i))));
    let replaced = Op::Missing(Missing::Replaced { by: by.clone() });
    check(&replaced, &[&x], |i| {
        if missing(i) {
            by[i[1]].into()
        } else {
            x[IxDyn(i)].into()
        }
    });
    let matrix = AxisMatrix {
        input: 4,
        output: 3,
        entries: vec![(0, 1, 2), (2, 0, 2)],
        divisor: 2,
    };
    let moves = Op::Map(vec![AxisMap::Keep, AxisMap::Matrix(matrix)]);
    assert!(moves.carries());
    let mut b = GraphBuilder::new();
    let input = b.input("x", &[3, 4]).expect("a shape");
    let moved = b.add("moved", moves, &[input]).expect("shapes agree");
    let graph = b.finish(vec![("y".into(), moved)]).expect("valid");
    let values = graph.run(std::slice::from_ref(&x)).expect("runs");
    for (i, y) in values[moved.0].indexed_iter() {
        let source = [Some(1), None, Some(0)][i[1]];
        let expected = source.map_or(0.0, |column| x[[i[0], column]]);
        assert_eq!(y.to_bits(), expected.to_bits(), "{i:?}");
    }
}

/// An input that is no dense array in row-major order is read by its indices.
#[test]
fn inputs_of_another_layout() {
    let mut random = Random::new(17);
    let turned = random.array(&[4, 3]).reversed_axes();
    assert!(!turned.is_standard_layout());
    let weight = random.array(&[4, 2]);
    let op = Op::Dense {
        weight: weight.clone(),
        bias: None,
    };
    check(&op, &[&turned], |index| {
        let terms = (0..4).map(|i| f64::from(turned[[index[0], i]] * weight[[i, index[1]]]));
        terms.sum()
    });
    let op = Op::Reshape { shape: vec![12] };
    check(&op, &[&turned], |i| turned[[i[0] / 4, i[0] % 4]].into());
    let value = random.array(&[4, 3]).reversed_axes();
    let op = Op::Constant {
        value: value.clone(),
    };
    check(&op, &[], |i| value[IxDyn(i)].into());
    let op = Op::Activation(Activation::Abs);
    check(&op, &[&turned], |i| turned[IxDyn(i)].abs().into());
}
