//! Attention, and operators of the domains `ai.onnx.ml` and `com.microsoft`.

use super::reduce::{along, softmax};
use super::{Call, Results, elementwise, one};
use crate::random::tensor::Tensor;

pub(super) fn run(call: &Call<'_>) -> Results {
    match &*call.node.op {
        "BiasGelu" => {
            let sum = elementwise::joined(call.x(0)?.kind, call.x(0)?, call.x(1)?, |a, b| a + b)?;
            one(sum.map(elementwise::gelu))
        }
        "FastGelu" => {
            let x = call.x(0)?;
            let sum = match call.maybe(1) {
                Some(b) => elementwise::joined(x.kind, x, b, |a, b| a + b)?,
                None => x.clone(),
            };
            one(sum.map(elementwise::gelu_by_tanh))
        }
        "QuickGelu" => {
            let a = call.node.float("alpha", 1.702);
            one(call.x(0)?.map(|x| x * elementwise::sigmoid(a * x)))
        }
        "Scaler" => {
            let x = call.x(0)?;
            let list = |name: &str| call.node.floats(name).ok_or("no list");
            let (offset, scale) = (list("offset")?, list("scale")?);
            let of = |list: &[f32], i: &[usize]| {
                let k = if list.len() == 1 { 0 } else { i[i.len() - 1] };
                f64::from(list[k])
            };
            one(Tensor::build(x.kind, &x.shape, |i| {
                (x.at(i) - of(offset, i)) * of(scale, i)
            }))
        }
        "Normalizer" => {
            let x = call.x(0)?;
            let norm: fn(&[f64]) -> f64 = match call.node.text("norm") {
                Some("L1") => |x| x.iter().map(|x| x.abs()).sum(),
                Some("L2") => |x| x.iter().map(|x| x * x).sum::<f64>().sqrt(),
                _ => |x| x.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            };
            one(along(x, x.rank() - 1, |row| {
                let norm = norm(row);
                let unit = |x: &f64| if norm == 0.0 { *x } else { x / norm };
                row.iter().map(unit).collect()
            }))
        }
        "Binarizer" => {
            let t = call.node.float("threshold", 0.0);
            one(call.x(0)?.map(|x| f64::from(u8::from(x > t))))
        }
        "LinearRegressor" => {
            let (x, node) = (call.x(0)?, call.node);
            let weights = node.floats("coefficients").ok_or("no coefficients")?;
            let targets = node.int("targets", 1) as usize;
            let [n, c] = x.shape[..] else {
                return Err("rank".into());
            };
            one(Tensor::build(x.kind, &[n, targets], |i| {
                let term = |k: usize| x.at(&[i[0], k]) * f64::from(weights[i[1] * c + k]);
                let start = node
                    .floats("intercepts")
                    .map_or(0.0, |b| f64::from(b[i[1]]));
                start + (0..c).map(term).sum::<f64>()
            }))
        }
        "Attention" => one(attention(call)?),
        "RotaryEmbedding" => one(rotary(call)?),
        _ => Ok(None),
    }
}

/// `softmax(q k^T / sqrt(d)) v` of heads.
fn attention(call: &Call<'_>) -> Result<Tensor, String> {
    let (q, k, v) = (call.x(0)?, call.x(1)?, call.x(2)?);
    let ([b, h, n, d], [_, _, m, _]) = (four(q)?, four(k)?);
    let scale = call.node.float("scale", 1.0 / (d as f64).sqrt());
    let causal = call.node.int("is_causal", 0) == 1;
    let weights = Tensor::build(q.kind, &[b, h, n, m], |i| {
        if causal && i[3] > i[2] {
            return f64::NEG_INFINITY;
        }
        let term = |c: usize| q.at(&[i[0], i[1], i[2], c]) * k.at(&[i[0], i[1], i[3], c]);
        scale * (0..d).map(term).sum::<f64>()
    });
    let weights = along(&weights, 3, softmax);
    let [_, _, _, e] = four(v)?;
    Ok(Tensor::build(q.kind, &[b, h, n, e], |i| {
        let term = |k: usize| weights.at(&[i[0], i[1], i[2], k]) * v.at(&[i[0], i[1], k, i[3]]);
        (0..m).map(term).sum()
    }))
}

fn four(x: &Tensor) -> Result<[usize; 4], String> {
    <[usize; 4]>::try_from(&*x.shape).map_err(|_| "rank".into())
}

/// Pairs of cells turned by angles whose cosines and sines are given for every position.
fn rotary(call: &Call<'_>) -> Result<Tensor, String> {
    let (x, cosines, sines) = (call.x(0)?, call.x(1)?, call.x(2)?);
    let half = four(x)?[3] / 2;
    let interleaved = call.node.int("interleaved", 0) == 1;
    Ok(Tensor::build(x.kind, &x.shape, |i| {
        let (pair, second) = if interleaved {
            (i[3] / 2, i[3] % 2 == 1)
        } else {
            (i[3] % half, i[3] >= half)
        };
        let cell = |second: usize| {
            let at = if interleaved {
                2 * pair + second
            } else {
                pair + second * half
            };
            x.at(&[i[0], i[1], i[2], at])
        };
        let at = [i[0], i[2], pair];
        let (c, s) = (cosines.at(&at), sines.at(&at));
        if second {
            s * cell(0) + c * cell(1)
        } else {
            c * cell(0) - s * cell(1)
        }
    }))
}
