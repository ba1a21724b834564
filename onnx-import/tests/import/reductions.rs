//! Reductions, positions, running sums and products of matrices against loops over indices.

use candle_onnx::onnx::AttributeProto;
use candle_onnx::onnx::tensor_proto::DataType;

use crate::build::{int, ints, number, string};
use crate::case::{Case, Cells, cells, combined, fill, indices, scalar, spread, vector};

/// An operator that reduces, and what it makes of a list of cells.
type Reduction = (&'static str, fn(&[f64]) -> f64);

const REDUCTIONS: [Reduction; 10] = [
    ("ReduceSum", |x| x.iter().sum()),
    ("ReduceMean", |x| x.iter().sum::<f64>() / x.len() as f64),
    ("ReduceMax", |x| x.iter().copied().fold(f64::MIN, f64::max)),
    ("ReduceMin", |x| x.iter().copied().fold(f64::MAX, f64::min)),
    ("ReduceProd", |x| x.iter().product()),
    ("ReduceL1", |x| x.iter().map(|x| x.abs()).sum()),
    ("ReduceL2", |x| x.iter().map(|x| x * x).sum::<f64>().sqrt()),
    ("ReduceSumSquare", |x| x.iter().map(|x| x * x).sum()),
    ("ReduceLogSumExp", |x| {
        x.iter().map(|x| x.exp()).sum::<f64>().ln()
    }),
    ("ReduceLogSum", |x| x.iter().sum::<f64>().ln()),
];

/// What `f` makes of the cells along `axes`.
fn reduced(x: &Cells, axes: &[usize], keep: bool, f: impl Fn(&[f64]) -> f64) -> Cells {
    let mut lists: Vec<Vec<f64>> = vec![];
    let mut shape = x.shape().to_vec();
    for &axis in axes {
        shape[axis] = 1;
    }
    for kept in indices(&shape) {
        let all = indices(x.shape()).into_iter();
        let alike = |at: &Vec<usize>| (0..x.ndim()).all(|a| axes.contains(&a) || at[a] == kept[a]);
        lists.push(all.filter(alike).map(|at| x[&*at]).collect());
    }
    if !keep {
        let axis = |(axis, n): (usize, &usize)| (!axes.contains(&axis)).then_some(*n);
        shape = shape.iter().enumerate().filter_map(axis).collect();
    }
    cells(
        &shape,
        &lists.iter().map(|list| f(list)).collect::<Vec<_>>(),
    )
}

/// Axes of a shape, as they are written.
fn choices() -> Vec<(Vec<usize>, Option<Vec<i64>>)> {
    vec![
        (vec![5], None),
        (vec![5], Some(vec![-1])),
        (vec![2, 3], None),
        (vec![2, 3], Some(vec![0])),
        (vec![2, 3, 2], Some(vec![1])),
        (vec![2, 3, 2], Some(vec![-1, 0])),
        (vec![2, 3, 2], Some(vec![2, 1, 0])),
        (vec![2, 1, 3], Some(vec![1])),
        (vec![1, 1], None),
        (vec![2, 1, 2, 2], Some(vec![-3, 3])),
    ]
}

/// The first opset in which the axes are an input.
fn axes_as_input(op: &str) -> i64 {
    if op == "ReduceSum" { 13 } else { 18 }
}

#[test]
fn axes_are_attributes_and_inputs() {
    for (shape, written) in choices() {
        let list = written
            .clone()
            .unwrap_or_else(|| (0..shape.len() as i64).collect());
        let rank = shape.len() as i64;
        let axes: Vec<usize> = list.iter().map(|a| a.rem_euclid(rank) as usize).collect();
        for (op, f) in REDUCTIONS {
            let mut x = spread(&shape);
            if op == "ReduceLogSum" {
                x.mapv_inplace(|x| x.abs() + 0.5);
            }
            for keep in [None, Some(0), Some(1)] {
                let y = reduced(&x, &axes, keep != Some(0), f);
                let keep: Vec<_> = keep.iter().map(|&keep| int("keepdims", keep)).collect();
                let before = axes_as_input(op) - 2;
                let case = Case::new(op, before).x(&x).all(&keep).within(1e-4);
                match &written {
                    Some(axes) => case.with(ints("axes", axes)).is(&y),
                    None => case.is(&y),
                }
                let case = Case::new(op, axes_as_input(op))
                    .x(&x)
                    .all(&keep)
                    .within(1e-4);
                match &written {
                    Some(axes) => case.list(axes).is(&y),
                    None => case.is(&y),
                }
            }
        }
    }
}

/// Without axes all are reduced, unless the attribute says that none is.
#[test]
fn no_axes() {
    let x = spread(&[2, 3]).mapv(|x| x.abs() + 0.25);
    for (op, f) in REDUCTIONS {
        let case = || Case::new(op, axes_as_input(op)).x(&x).within(1e-4);
        let all = reduced(&x, &[0, 1], true, f);
        case().list(&[]).is(&all);
        case().none().is(&all);
        case().with(int("noop_with_empty_axes", 0)).is(&all);
        let none = x.mapv(|x| f(&[x]));
        let plain = [
            "ReduceSum",
            "ReduceMean",
            "ReduceMax",
            "ReduceMin",
            "ReduceProd",
        ];
        // What the others make of single cells is disputed.
        if plain.contains(&op) {
            case()
                .list(&[])
                .with(int("noop_with_empty_axes", 1))
                .is(&none);
            case().with(int("noop_with_empty_axes", 1)).is(&none);
        }
        case().list(&[2]).refused("", "axis");
        case().list(&[-3]).refused("", "axis");
        case().list(&[0, -2]).refused("", "");
        case()
            .with(int("keepdims", 2))
            .refused("BadAttribute", "keepdims");
    }
}

/// Sums of exponentials that are beyond single precision have a logarithm.
#[test]
fn logarithms_of_large_sums() {
    let x = vector(&[120.0, 121.0, -500.0]);
    let y = 121.0 + (1.0 + (-1.0_f64).exp()).ln();
    let case = Case::new("ReduceLogSumExp", 18)
        .x(&x)
        .with(int("keepdims", 0));
    case.is(&scalar(y));
    let low = x.mapv(|x| x - 1000.0);
    let case = Case::new("ReduceLogSumExp", 18)
        .x(&low)
        .with(int("keepdims", 0));
    case.is(&scalar(y - 1000.0));
}

#[test]
fn integers_are_reduced() {
    let x = cells(&[2, 3], &[3.0, -4.0, 2.0, -1.0, 5.0, 2.0]);
    for (op, f) in REDUCTIONS {
        let exact = [
            "ReduceSum",
            "ReduceMax",
            "ReduceMin",
            "ReduceProd",
            "ReduceL1",
            "ReduceSumSquare",
        ];
        for data_type in [DataType::Int32, DataType::Int64] {
            let case = Case::new(op, axes_as_input(op))
                .input(data_type, &x)
                .list(&[1]);
            if exact.contains(&op) {
                case.within(0.0).is(&reduced(&x, &[1], true, f));
            } else {
                case.refused("UnsupportedOperator", "cast");
            }
        }
    }
}

#[test]
fn positions_of_the_extreme() {
    let x = spread(&[3, 4, 2]).mapv(|x| (x / 3.0).round());
    for axis in -3..3_i64 {
        let own = axis.rem_euclid(3) as usize;
        for (keep, last) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
            let position = |better: fn(f64, f64) -> bool| {
                reduced(&x, &[own], keep == 1, |list| {
                    let mut best = 0;
                    for (i, &x) in list.iter().enumerate() {
                        if better(x, list[best]) || last == 1 && x == list[best] {
                            best = i;
                        }
                    }
                    best as f64
                })
            };
            for opset in [12, 13] {
                let case = |op: &str| {
                    let case = Case::new(op, opset).x(&x).with(int("axis", axis));
                    case.with(int("keepdims", keep))
                        .with(int("select_last_index", last))
                };
                case("ArgMax").is(&position(|a, b| a > b));
                case("ArgMin").is(&position(|a, b| a < b));
            }
        }
    }
    // The defaults: the first axis, which is kept.
    let y = reduced(&x, &[0], true, |list| {
        let most = list.iter().copied().fold(f64::MIN, f64::max);
        list.iter()
            .position(|&x| x == most)
            .expect("one is the largest") as f64
    });
    Case::new("ArgMax", 13).x(&x).is(&y);
    let whole = Case::new("ArgMin", 13).of(DataType::Int32, &vector(&[4.0, -2.0, 7.0, -2.0]));
    whole.is(&vector(&[1.0]));
    for op in ["ArgMax", "ArgMin"] {
        let case = || Case::new(op, 13).x(&x);
        case().with(int("axis", 3)).refused("", "axis 3");
        case().with(int("axis", -4)).refused("", "axis -4");
        case()
            .with(int("select_last_index", 7))
            .refused("BadAttribute", "select_last_index");
    }
}

#[test]
fn running_sums() {
    let x = spread(&[2, 3, 4]);
    for axis in -3..3_i64 {
        let own = axis.rem_euclid(3) as usize;
        for (exclusive, reverse) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
            let y = fill(x.shape(), |at| {
                let counts = |&j: &usize| {
                    let (i, j) = if reverse == 1 {
                        (j, at[own])
                    } else {
                        (at[own], j)
                    };
                    j < i || exclusive == 0 && j == i
                };
                let cell = |j: usize| {
                    let mut at = at.to_vec();
                    at[own] = j;
                    x[&*at]
                };
                (0..x.shape()[own]).filter(counts).map(cell).sum()
            });
            let case = |x: Case| {
                let axis = scalar(axis as f64);
                let x = x
                    .constant(DataType::Int32, &axis)
                    .with(int("exclusive", exclusive));
                x.with(int("reverse", reverse)).is(&y);
            };
            case(Case::new("CumSum", 14).x(&x));
        }
    }
    let whole = Case::new("CumSum", 11).of(DataType::Int64, &vector(&[1.0, -2.0, 4.0]));
    whole.list(&[0]).is(&vector(&[1.0, -1.0, 3.0]));
    Case::new("CumSum", 14).x(&x).list(&[3]).refused("", "axis");
    let moving = Case::new("CumSum", 14)
        .x(&x)
        .input(DataType::Int64, &scalar(0.0));
    moving.refused("", "constant");
    Case::new("CumSum", 14).x(&x).list(&[0, 1]).refused("", "");
}

/// The first of equal cells comes first.
#[test]
fn largest_cells_in_order() {
    let x = spread(&[2, 6, 3]).mapv(|x| (x / 2.0).round() + 0.0);
    for axis in -3..3_i64 {
        let own = axis.rem_euclid(3) as usize;
        for (k, largest) in [
            (1, 1),
            (2, 1),
            (2, 0),
            (1, 0),
            (x.shape()[own], 1),
            (x.shape()[own], 0),
        ] {
            let mut shape = x.shape().to_vec();
            shape[own] = k;
            let place = |at: &[usize]| {
                let cell = |j: usize| {
                    let mut at = at.to_vec();
                    at[own] = j;
                    x[&*at]
                };
                let sign = if largest == 1 { -1.0 } else { 1.0 };
                let mut order: Vec<usize> = (0..x.shape()[own]).collect();
                order.sort_by(|&a, &b| {
                    (sign * cell(a))
                        .partial_cmp(&(sign * cell(b)))
                        .expect("numbers")
                });
                (cell(order[at[own]]), order[at[own]] as f64)
            };
            let (values, places) = (
                fill(&shape, |at| place(at).0),
                fill(&shape, |at| place(at).1),
            );
            let case = Case::new("TopK", 11).x(&x).list(&[k as i64]).outputs(2);
            let case = case.with(int("axis", axis)).with(int("largest", largest));
            case.gives(&[values.clone(), places.clone()]);
            if largest == 1 {
                let case = Case::new("TopK", 10).x(&x).list(&[k as i64]).outputs(2);
                case.with(int("axis", axis))
                    .gives(&[values.clone(), places.clone()]);
                let case = Case::new("TopK", 9)
                    .x(&x)
                    .with(int("k", k as i64))
                    .outputs(2);
                case.with(int("axis", axis)).gives(&[values, places]);
            }
        }
    }
    let case = || Case::new("TopK", 11).x(&spread(&[2, 3])).outputs(2);
    case().list(&[4]).refused("Shape", "1 to 3");
    case().list(&[0]).refused("Shape", "1 to 3");
    case().list(&[-1]).refused("Shape", "1 to 3");
    case().list(&[1]).with(int("axis", 2)).refused("", "axis");
    case()
        .input(DataType::Int64, &vector(&[1.0]))
        .refused("", "constant");
}

fn product(a: &Cells, b: &Cells) -> Cells {
    let lift = |x: &Cells, first: bool| match (x.ndim(), first) {
        (1, true) => x.to_shape(vec![1, x.len()]).expect("a row").to_owned(),
        (1, false) => x.to_shape(vec![x.len(), 1]).expect("a column").to_owned(),
        _ => x.clone(),
    };
    let (left, right) = (lift(a, true), lift(b, false));
    let (m, k, n) = (
        left.shape()[left.ndim() - 2],
        a.shape()[a.ndim() - 1],
        right.shape()[right.ndim() - 1],
    );
    // Both factors as stacks of matrices, which broadcast.
    let stack = |x: &Cells| fill(&x.shape()[..x.ndim() - 2], |_| 0.0);
    let stacks = combined(&stack(&left), &stack(&right), |a, b| a + b);
    let at = |x: &Cells, outer: &[usize], i: usize, j: usize| {
        let own = x.ndim() - 2;
        let outer = &outer[outer.len() - own..];
        let outer = outer.iter().zip(x.shape()).map(|(&i, &n)| i.min(n - 1));
        x[&*outer.chain([i, j]).collect::<Vec<_>>()]
    };
    let y = fill(&[stacks.shape(), &[m, n]].concat(), |index| {
        let (outer, [i, j]) = index.split_last_chunk::<2>().expect("two axes");
        (0..k)
            .map(|l| at(&left, outer, *i, l) * at(&right, outer, l, *j))
            .sum()
    });
    let mut shape = y.shape().to_vec();
    if b.ndim() == 1 {
        shape.pop();
    }
    if a.ndim() == 1 {
        shape.remove(stacks.ndim());
    }
    y.to_shape(shape).expect("as many cells").to_owned()
}

#[test]
fn products_of_matrices() {
    for (a, b) in [
        (&[3][..], &[3][..]),
        (&[3], &[3, 2]),
        (&[2, 3], &[3]),
        (&[2, 3], &[3, 4]),
        (&[1, 1], &[1, 1]),
        (&[2, 2, 3], &[3, 2]),
        (&[2, 3], &[4, 3, 2]),
        (&[2, 1, 2, 3], &[3, 3, 1]),
        (&[2, 2, 3], &[2, 3, 2]),
        (&[3], &[2, 3, 2]),
        (&[2, 2, 3], &[3]),
        (&[1, 2, 3], &[4, 3, 1]),
    ] {
        let (a, b) = (spread(a), spread(b).mapv(|x| x - 1.0));
        Case::new("MatMul", 13).x(&a).x(&b).is(&product(&a, &b));
    }
    let refused = |a: &[usize], b: &[usize]| {
        Case::new("MatMul", 13)
            .x(&spread(a))
            .x(&spread(b))
            .refused("Shape", "");
    };
    refused(&[2, 3], &[2, 3]);
    refused(&[2, 2, 3], &[3, 3, 2]);
    refused(&[3], &[2]);
    refused(&[], &[2]);
}

#[test]
fn general_products() {
    let turned = |x: &Cells, flag: i64| {
        if flag == 1 {
            x.t().as_standard_layout().to_owned()
        } else {
            x.clone()
        }
    };
    for (left, right) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
        let (a, b) = (spread(&[2, 3]), spread(&[3, 4]));
        let ab = product(&a, &b);
        for (alpha, beta) in [(1.0, 1.0), (0.5, -2.0), (0.0, 1.0), (1.0, 0.0)] {
            let attributes: [AttributeProto; 4] = [
                int("transA", left),
                int("transB", right),
                number("alpha", alpha as f32),
                number("beta", beta as f32),
            ];
            let case = || {
                let case = Case::new("Gemm", 13)
                    .x(&turned(&a, left))
                    .x(&turned(&b, right));
                case.all(&attributes)
            };
            case().is(&(&ab * alpha));
            for c in [&[][..], &[1], &[4], &[2, 1], &[1, 4], &[2, 4]] {
                let c = spread(c);
                case()
                    .x(&c)
                    .is(&combined(&(&ab * alpha), &c, |y, c| y + beta * c));
            }
        }
    }
    let case = |a: &[usize], b: &[usize]| Case::new("Gemm", 13).x(&spread(a)).x(&spread(b));
    case(&[2, 3], &[2, 3]).refused("Shape", "");
    case(&[2, 3, 1], &[3, 2]).refused("Shape", "");
    case(&[2, 3], &[3, 2]).x(&spread(&[3])).refused("Shape", "");
    case(&[2, 3], &[3, 2])
        .x(&spread(&[1, 2, 2]))
        .refused("Shape", "");
    case(&[2, 3], &[3, 2])
        .with(int("transA", 2))
        .refused("BadAttribute", "transA");
}

/// The sum over all letters that the result lacks.
fn einsum(equation: &str, lengths: &[(char, usize)], operands: &[&Cells]) -> Cells {
    let (terms, result) = equation.split_once("->").expect("a result");
    let place = |letter: char| {
        lengths
            .iter()
            .position(|l| l.0 == letter)
            .expect("a length")
    };
    let all: Vec<usize> = lengths.iter().map(|l| l.1).collect();
    let shape: Vec<usize> = result.chars().map(|c| all[place(c)]).collect();
    let mut y = Cells::zeros(shape);
    for at in indices(&all) {
        let index = |term: &str| term.chars().map(|c| at[place(c)]).collect::<Vec<_>>();
        let factors = terms.split(',').zip(operands);
        let cell: f64 = factors.map(|(term, x)| x[&*index(term)]).product();
        y[&*index(result)] += cell;
    }
    y
}

#[test]
fn sums_of_products() {
    for (equation, lengths) in [
        ("i->i", &[('i', 3)][..]),
        ("i->", &[('i', 3)]),
        ("ij->ji", &[('i', 3), ('j', 2)]),
        ("ij->j", &[('i', 3), ('j', 2)]),
        ("ii->i", &[('i', 3)]),
        ("iij->j", &[('i', 3), ('j', 2)]),
        ("i,j->ij", &[('i', 3), ('j', 2)]),
        ("i,i->", &[('i', 3)]),
        ("ij,jk->ik", &[('i', 2), ('j', 3), ('k', 4)]),
        ("bij,bkj->bik", &[('b', 2), ('i', 2), ('j', 3), ('k', 1)]),
        (
            "bhid,bhjd->bhij",
            &[('b', 1), ('h', 2), ('i', 2), ('j', 3), ('d', 2)],
        ),
        ("ij,i->j", &[('i', 2), ('j', 3)]),
        ("ij,kl->", &[('i', 2), ('j', 3), ('k', 2), ('l', 2)]),
        ("ii,ij->ij", &[('i', 2), ('j', 3)]),
        ("i,ij,j->", &[('i', 2), ('j', 3)]),
        ("ab,bc,cd->ad", &[('a', 2), ('b', 1), ('c', 3), ('d', 2)]),
    ] {
        let terms = equation.split_once("->").expect("a result").0.split(',');
        let shape = |term: &str| {
            let length = |c: char| lengths.iter().find(|l| l.0 == c).expect("a length").1;
            term.chars().map(length).collect::<Vec<_>>()
        };
        let operands: Vec<Cells> = terms.map(|term| spread(&shape(term))).collect();
        let case = operands.iter().fold(Case::new("Einsum", 12), Case::x);
        let y = einsum(equation, lengths, &operands.iter().collect::<Vec<_>>());
        case.with(string("equation", equation)).is(&y);
    }
    let (a, b) = (spread(&[2, 1, 3]), spread(&[4, 3, 2]));
    let batch = Case::new("Einsum", 12)
        .x(&a)
        .x(&b)
        .with(string("equation", "...ij,...jk"));
    batch.refused("", "");
    let a = spread(&[4, 1, 3]);
    let batch = Case::new("Einsum", 12)
        .x(&a)
        .x(&b)
        .with(string("equation", "...ij,...jk"));
    batch.is(&product(&a, &b));
    Case::new("Einsum", 12)
        .x(&a)
        .refused("BadAttribute", "equation");
}
