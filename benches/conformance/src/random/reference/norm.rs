//! Normalisations.

use super::{Call, Results, one};
use crate::random::tensor::{Tensor, indices};

pub(super) fn run(call: &Call<'_>) -> Results {
    match &*call.node.op {
        "BatchNormalization" => {
            let (x, e) = (call.x(0)?, call.node.float("epsilon", 1e-5));
            let of = |k: usize, c: usize| call.x(k).map(|t| t.cells[c]);
            of(4, 0)?;
            one(Tensor::build(x.kind, &x.shape, |i| {
                let c = i.get(1).copied().unwrap_or(0);
                let of = |k| of(k, c).unwrap_or(f64::NAN);
                (x.at(i) - of(3)) / (of(4) + e).sqrt() * of(1) + of(2)
            }))
        }
        "InstanceNormalization" => {
            let (x, e) = (call.x(0)?, call.node.float("epsilon", 1e-5));
            let (s, b) = (call.x(1)?, call.x(2)?);
            one(standardised(x, 2, e, true, |i, v| {
                v * s.cells[i[1]] + b.cells[i[1]]
            }))
        }
        "LayerNormalization" => {
            let (x, e) = (call.x(0)?, call.node.float("epsilon", 1e-5));
            let axis = call.axis(-1, x.rank())?;
            let s = call.x(1)?;
            one(standardised(x, axis, e, true, |i, v| {
                v * s.spread(i) + call.maybe(2).map_or(0.0, |b| b.spread(i))
            }))
        }
        "RMSNormalization" => {
            let (x, e) = (call.x(0)?, call.node.float("epsilon", 1e-5));
            let axis = call.axis(-1, x.rank())?;
            let s = call.x(1)?;
            one(standardised(x, axis, e, false, |i, v| v * s.spread(i)))
        }
        "MeanVarianceNormalization" => {
            let x = call.x(0)?;
            let axes = call.node.ints("axes").unwrap_or(&[0, 2, 3]).to_vec();
            let over = |a: usize| {
                axes.contains(&(a as i64)) || axes.contains(&(a as i64 - x.rank() as i64))
            };
            one(Tensor::build(x.kind, &x.shape, |i| {
                let inner: Vec<usize> = (0..x.rank())
                    .map(|a| if over(a) { x.shape[a] } else { 1 })
                    .collect();
                let cells: Vec<f64> = indices(&inner)
                    .map(|k| {
                        let at: Vec<usize> = (0..x.rank())
                            .map(|a| if over(a) { k[a] } else { i[a] })
                            .collect();
                        x.at(&at)
                    })
                    .collect();
                let (mean, variance) = moments(&cells);
                // The 1e-9 that the standard adds is below single precision, and so are variances
                // that are 0 in it.
                let deviation = match f64::from(variance as f32) {
                    0.0 => 1.0,
                    variance => variance.sqrt(),
                };
                (x.at(i) - mean) / deviation
            }))
        }
        "GroupNormalization" => {
            let (x, e) = (call.x(0)?, call.node.float("epsilon", 1e-5));
            let (s, b) = (call.x(1)?, call.x(2)?);
            let groups = call.node.int("num_groups", 1) as usize;
            let mut view = x.clone();
            view.shape = vec![x.shape[0], groups, x.len() / x.shape[0] / groups];
            let y = standardised(&view, 2, e, true, |_, v| v);
            one(Tensor::build(x.kind, &x.shape, |i| {
                y.cells[crate::random::tensor::offset(&x.shape, i)] * s.cells[i[1]] + b.cells[i[1]]
            }))
        }
        "LRN" => {
            let (x, node) = (call.x(0)?, call.node);
            let (alpha, beta, bias) = (
                node.float("alpha", 1e-4),
                node.float("beta", 0.75),
                node.float("bias", 1.0),
            );
            let size = node.int("size", 1) as usize;
            one(Tensor::build(x.kind, &x.shape, |i| {
                let c = i[1];
                let first = c.saturating_sub((size - 1) / 2);
                let last = (c + (size - 1).div_ceil(2)).min(x.shape[1] - 1);
                let sum: f64 = (first..=last)
                    .map(|k| {
                        let mut at = i.to_vec();
                        at[1] = k;
                        x.at(&at).powi(2)
                    })
                    .sum();
                x.at(i) / (bias + alpha / size as f64 * sum).powf(beta)
            }))
        }
        _ => Ok(None),
    }
}

fn moments(cells: &[f64]) -> (f64, f64) {
    let mean = cells.iter().sum::<f64>() / cells.len() as f64;
    let variance = cells.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / cells.len() as f64;
    (mean, variance)
}

/// Standardised over all axes from `axis` on, then changed by `f`.
fn standardised(
    x: &Tensor,
    axis: usize,
    epsilon: f64,
    centred: bool,
    f: impl Fn(&[usize], f64) -> f64,
) -> Tensor {
    Tensor::build(x.kind, &x.shape, |i| {
        let cells = indices(&x.shape[axis..]).map(|k| x.at(&[&i[..axis], &k].concat()));
        let cells: Vec<f64> = cells.collect();
        let (mean, variance) = if centred {
            moments(&cells)
        } else {
            (
                0.0,
                cells.iter().map(|x| x * x).sum::<f64>() / cells.len() as f64,
            )
        };
        f(i, (x.at(i) - mean) / (variance + epsilon).sqrt())
    })
}
