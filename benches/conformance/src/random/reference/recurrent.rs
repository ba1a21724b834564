//! Recurrent layers with their default functions, one direction after the other.

use super::{Call, Results};
use crate::random::tensor::Tensor;

pub(super) fn run(call: &Call<'_>) -> Results {
    let gates = match &*call.node.op {
        "LSTM" => 4,
        "GRU" => 3,
        "RNN" => 1,
        _ => return Ok(None),
    };
    let (x, w, r) = (call.x(0)?, call.x(1)?, call.x(2)?);
    let [time, batch, inputs] = x.shape[..] else {
        return Err("rank".into());
    };
    let (directions, hidden) = (w.shape[0], r.shape[2]);
    let way = call.node.text("direction").unwrap_or("forward");
    let shape = [time, directions, batch, hidden];
    let (mut y, mut last, mut cell) = (
        Tensor::build(x.kind, &shape, |_| 0.0),
        Tensor::build(x.kind, &shape[1..], |_| 0.0),
        Tensor::build(x.kind, &shape[1..], |_| 0.0),
    );
    for d in 0..directions {
        let backward = way == "reverse" || d == 1;
        for n in 0..batch {
            let start = |k: usize| -> Vec<f64> {
                let cells = (0..hidden).map(|j| call.maybe(k).map_or(0.0, |t| t.at(&[d, n, j])));
                cells.collect()
            };
            let (mut h, mut c) = (start(5), start(6));
            for step in 0..time {
                let t = if backward { time - 1 - step } else { step };
                let row = |gate: usize, j: usize, h: &[f64], bias: usize| {
                    let at = gate * hidden + j;
                    let from_x: f64 = (0..inputs)
                        .map(|k| x.at(&[t, n, k]) * w.at(&[d, at, k]))
                        .sum();
                    let from_h: f64 = (0..hidden).map(|k| h[k] * r.at(&[d, at, k])).sum();
                    let b = |k: usize| {
                        call.maybe(3)
                            .map_or(0.0, |b| b.at(&[d, k * gates * hidden + at]))
                    };
                    match bias {
                        0 => from_x + from_h + b(0) + b(1),
                        1 => from_x + b(0),
                        _ => from_h + b(1),
                    }
                };
                let old = h.clone();
                for j in 0..hidden {
                    match gates {
                        4 => {
                            let [i, o, f, g] = [0, 1, 2, 3].map(|gate| row(gate, j, &old, 0));
                            c[j] = sigmoid(f) * c[j] + sigmoid(i) * g.tanh();
                            h[j] = sigmoid(o) * c[j].tanh();
                        }
                        3 => {
                            let z = sigmoid(row(0, j, &old, 0));
                            let fresh = if call.node.int("linear_before_reset", 0) == 1 {
                                let reset = sigmoid(row(1, j, &old, 0));
                                (row(2, j, &old, 1) + reset * row(2, j, &old, 2)).tanh()
                            } else {
                                let reset: Vec<f64> = (0..hidden)
                                    .map(|k| sigmoid(row(1, k, &old, 0)) * old[k])
                                    .collect();
                                row(2, j, &reset, 0).tanh()
                            };
                            h[j] = (1.0 - z) * fresh + z * old[j];
                        }
                        _ => h[j] = row(0, j, &old, 0).tanh(),
                    }
                }
                for j in 0..hidden {
                    let at = crate::random::tensor::offset(&shape, &[t, d, n, j]);
                    y.cells[at] = h[j];
                }
            }
            for j in 0..hidden {
                let at = crate::random::tensor::offset(&shape[1..], &[d, n, j]);
                (last.cells[at], cell.cells[at]) = (h[j], c[j]);
            }
        }
    }
    Ok(Some(if gates == 4 {
        vec![y, last, cell]
    } else {
        vec![y, last]
    }))
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}
