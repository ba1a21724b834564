//! Sums, extremes and orders along axes.

use super::elementwise::within;
use super::{Call, Results, axis, one, single};
use crate::random::tensor::{Tensor, Type, indices};
use std::cmp::Ordering;

pub(super) fn run(call: &Call<'_>) -> Results {
    if let Some(f) = reduction(&call.node.op) {
        return within(reduced(call, f)?);
    }
    match &*call.node.op {
        "ArgMax" | "ArgMin" => one(extreme(call)?),
        "CumSum" => within(running(call)?),
        "TopK" => Ok(Some(largest(call)?)),
        "Hardmax" => one(rows(call, -1, |row| {
            let first = first_largest(row);
            (0..row.len())
                .map(|i| f64::from(u8::from(i == first)))
                .collect()
        })?),
        "Softmax" => one(rows(call, -1, softmax)?),
        "LogSoftmax" => one(rows(call, -1, |row| {
            let most = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = row.iter().map(|x| (x - most).exp()).sum();
            row.iter().map(|x| x - most - sum.ln()).collect()
        })?),
        "LpNormalization" => {
            let p = call.node.int("p", 2);
            one(rows(call, -1, move |row| {
                let norm = if p == 1 {
                    row.iter().map(|x| x.abs()).sum::<f64>()
                } else {
                    // Squares are numbers of single precision.
                    single(row.iter().map(|x| x * x).sum()).sqrt()
                };
                let unit = |x: &f64| if norm == 0.0 { 0.0 } else { x / norm };
                row.iter().map(unit).collect()
            })?)
        }
        _ => Ok(None),
    }
}

pub(super) fn softmax(row: &[f64]) -> Vec<f64> {
    let most = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = row.iter().map(|x| (x - most).exp()).sum();
    row.iter().map(|x| (x - most).exp() / sum).collect()
}

fn first_largest(row: &[f64]) -> usize {
    (0..row.len()).fold(0, |best, i| if row[i] > row[best] { i } else { best })
}

type Reduction = fn(&[f64]) -> f64;

fn reduction(op: &str) -> Option<Reduction> {
    Some(match op {
        "ReduceL1" => |x| x.iter().map(|x| x.abs()).sum(),
        "ReduceL2" => |x| x.iter().map(|x| x * x).sum::<f64>().sqrt(),
        "ReduceLogSum" => |x| x.iter().sum::<f64>().ln(),
        "ReduceLogSumExp" => |x| {
            let most = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            most + x.iter().map(|x| (x - most).exp()).sum::<f64>().ln()
        },
        "ReduceMax" => |x| x.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        "ReduceMean" => |x| x.iter().sum::<f64>() / x.len() as f64,
        "ReduceMin" => |x| x.iter().copied().fold(f64::INFINITY, f64::min),
        "ReduceProd" => |x| x.iter().product(),
        "ReduceSum" => |x| x.iter().sum(),
        "ReduceSumSquare" => |x| x.iter().map(|x| x * x).sum(),
        _ => return None,
    })
}

fn reduced(call: &Call<'_>, f: Reduction) -> Result<Tensor, String> {
    let x = call.x(0)?;
    let listed = match call.maybe(1) {
        Some(axes) => axes.ints(),
        None => call.node.ints("axes").unwrap_or_default().to_vec(),
    };
    let mut over = vec![false; x.rank()];
    for a in &listed {
        over[axis(*a, x.rank())?] = true;
    }
    if listed.is_empty() {
        if call.node.int("noop_with_empty_axes", 0) == 1 {
            return Ok(match &*call.node.op {
                "ReduceSumSquare" => x.map(|x| x * x),
                "ReduceL1" | "ReduceL2" => x.map(f64::abs),
                "ReduceLogSum" => x.map(f64::ln),
                _ => x.clone(),
            });
        }
        over.fill(true);
    }
    let kept: Vec<usize> = (0..x.rank())
        .map(|a| if over[a] { 1 } else { x.shape[a] })
        .collect();
    let inner: Vec<usize> = (0..x.rank())
        .map(|a| if over[a] { x.shape[a] } else { 1 })
        .collect();
    let mut y = Tensor::build(x.kind, &kept, |at| {
        let cells = indices(&inner).map(|i| {
            let index: Vec<usize> = at.iter().zip(&i).map(|(a, b)| a + b).collect();
            x.at(&index)
        });
        f(&cells.collect::<Vec<_>>())
    });
    if call.node.int("keepdims", 1) == 0 {
        let shape = (0..x.rank()).filter(|&a| !over[a]).map(|a| x.shape[a]);
        y.shape = shape.collect();
    }
    Ok(y)
}

/// The cells along `axis` at `index`.
pub(super) fn line(x: &Tensor, axis: usize, index: &[usize]) -> Vec<f64> {
    let mut index = index.to_vec();
    let cells = (0..x.shape[axis]).map(|i| {
        index[axis] = i;
        x.at(&index)
    });
    cells.collect()
}

/// Every line along an axis replaced by a function of it.
pub(super) fn rows(
    call: &Call<'_>,
    default: i64,
    f: impl Fn(&[f64]) -> Vec<f64>,
) -> Result<Tensor, String> {
    let x = call.x(0)?;
    let axis = call.axis(default, x.rank())?;
    Ok(along(x, axis, f))
}

pub(super) fn along(x: &Tensor, axis: usize, f: impl Fn(&[f64]) -> Vec<f64>) -> Tensor {
    Tensor::build(x.kind, &x.shape, |index| {
        f(&line(x, axis, index))[index[axis]]
    })
}

fn extreme(call: &Call<'_>) -> Result<Tensor, String> {
    let x = call.x(0)?;
    let axis = call.axis(0, x.rank())?;
    let sign = if call.node.op == "ArgMax" { 1.0 } else { -1.0 };
    let last = call.node.int("select_last_index", 0) == 1;
    let mut shape = x.shape.clone();
    shape[axis] = 1;
    let mut y = Tensor::build(Type::Int64, &shape, |index| {
        let row = line(x, axis, index);
        let best = (0..row.len()).fold(0, |best, i| {
            let (a, b) = (sign * row[i], sign * row[best]);
            if a > b || (last && a >= b) { i } else { best }
        });
        best as f64
    });
    if call.node.int("keepdims", 1) == 0 {
        y.shape.remove(axis);
    }
    Ok(y)
}

fn running(call: &Call<'_>) -> Result<Tensor, String> {
    let x = call.x(0)?;
    let along_axis = axis(call.x(1)?.ints()[0], x.rank())?;
    let exclusive = call.node.int("exclusive", 0) == 1;
    let reverse = call.node.int("reverse", 0) == 1;
    Ok(Tensor::build(x.kind, &x.shape, |index| {
        let row = line(x, along_axis, index);
        let i = index[along_axis];
        let sum: f64 = match (reverse, exclusive) {
            (false, false) => row[..=i].iter().sum(),
            (false, true) => row[..i].iter().sum(),
            (true, false) => row[i..].iter().sum(),
            (true, true) => row[i + 1..].iter().sum(),
        };
        sum
    }))
}

fn largest(call: &Call<'_>) -> Result<Vec<Tensor>, String> {
    let x = call.x(0)?;
    let k = call.x(1)?.ints()[0] as usize;
    let axis = call.axis(-1, x.rank())?;
    let sign = if call.node.int("largest", 1) == 1 {
        1.0
    } else {
        -1.0
    };
    let mut shape = x.shape.clone();
    shape[axis] = k;
    let order = |index: &[usize]| {
        let mut at = index.to_vec();
        at[axis] = 0;
        let row = line(x, axis, &at);
        let mut order: Vec<usize> = (0..row.len()).collect();
        order.sort_by(|&a, &b| {
            let (x, y) = (sign * row[a], sign * row[b]);
            y.partial_cmp(&x).unwrap_or(Ordering::Equal).then(a.cmp(&b))
        });
        let place = order[index[axis]];
        (row[place], place as f64)
    };
    Ok(vec![
        Tensor::build(x.kind, &shape, |i| order(i).0),
        Tensor::build(Type::Int64, &shape, |i| order(i).1),
    ])
}
