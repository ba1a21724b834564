//! Products, convolutions and pools.

use super::{Call, Results, one};
use crate::random::tensor::{Tensor, Type, broadcast, indices};

pub(super) fn run(call: &Call<'_>) -> Results {
    match &*call.node.op {
        "Gemm" => one(gemm(call)?),
        "MatMul" => one(matmul(call.x(0)?, call.x(1)?)?),
        "Einsum" => one(einsum(call)?),
        "Conv" => one(conv(call)?),
        "ConvTranspose" => one(conv_transpose(call)?),
        "AveragePool" | "MaxPool" | "LpPool" => one(pool(call)?),
        "GlobalAveragePool" | "GlobalMaxPool" | "GlobalLpPool" => one(global(call)?),
        _ => Ok(None),
    }
}

fn gemm(call: &Call<'_>) -> Result<Tensor, String> {
    let (a, b, node) = (call.x(0)?, call.x(1)?, call.node);
    let (ta, tb) = (node.int("transA", 0) == 1, node.int("transB", 0) == 1);
    let (alpha, beta) = (node.float("alpha", 1.0), node.float("beta", 1.0));
    let side = |x: &Tensor, t: bool| {
        if t {
            (x.shape[1], x.shape[0])
        } else {
            (x.shape[0], x.shape[1])
        }
    };
    let ((m, k), (_, n)) = (side(a, ta), side(b, tb));
    Ok(Tensor::build(a.kind, &[m, n], |i| {
        let left = |k: usize| {
            if ta {
                a.at(&[k, i[0]])
            } else {
                a.at(&[i[0], k])
            }
        };
        let right = |k: usize| {
            if tb {
                b.at(&[i[1], k])
            } else {
                b.at(&[k, i[1]])
            }
        };
        let sum: f64 = (0..k).map(|k| left(k) * right(k)).sum();
        alpha * sum + call.maybe(2).map_or(0.0, |c| beta * c.spread(i))
    }))
}

pub(super) fn matmul(a: &Tensor, b: &Tensor) -> Result<Tensor, String> {
    let (mut left, mut right) = (a.clone(), b.clone());
    if a.rank() == 1 {
        left.shape.insert(0, 1);
    }
    if b.rank() == 1 {
        right.shape.push(1);
    }
    let (p, q) = (left.rank() - 2, right.rank() - 2);
    let mut shape = broadcast(&[&left.shape[..p], &right.shape[..q]]).ok_or("shapes")?;
    let (m, k, n) = (left.shape[p], left.shape[p + 1], right.shape[q + 1]);
    if right.shape[q] != k {
        return Err("shapes".into());
    }
    shape.extend([m, n]);
    let mut y = Tensor::build(a.kind, &shape, |i| {
        let (lead, [row, column]) = i.split_at(i.len() - 2) else {
            return f64::NAN;
        };
        let cell = |x: &Tensor, last: [usize; 2]| {
            let own = lead[lead.len() + 2 - x.rank()..].iter().zip(&x.shape);
            let mut index: Vec<usize> = own.map(|(&i, &n)| if n == 1 { 0 } else { i }).collect();
            index.extend(last);
            x.at(&index)
        };
        (0..k)
            .map(|k| cell(&left, [*row, k]) * cell(&right, [k, *column]))
            .sum()
    });
    if b.rank() == 1 {
        y.shape.pop();
    }
    if a.rank() == 1 {
        let at = y.shape.len() - usize::from(b.rank() != 1) - 1;
        y.shape.remove(at);
    }
    Ok(y)
}

/// Letters only, with `->`.
fn einsum(call: &Call<'_>) -> Result<Tensor, String> {
    let equation = call.node.text("equation").ok_or("equation")?;
    let (left, right) = equation.split_once("->").ok_or("equation")?;
    let terms: Vec<Vec<u8>> = left.split(',').map(|t| t.bytes().collect()).collect();
    let operands = call.all();
    let mut letters: Vec<u8> = right.bytes().collect();
    for &letter in terms.iter().flatten() {
        if !letters.contains(&letter) {
            letters.push(letter);
        }
    }
    let mut lengths = vec![1; letters.len()];
    let place = |letter: &u8| letters.iter().position(|l| l == letter).expect("listed");
    for (term, x) in terms.iter().zip(&operands) {
        for (letter, &n) in term.iter().zip(&x.shape) {
            let length = &mut lengths[place(letter)];
            *length = n.max(*length);
        }
    }
    let kept = right.len();
    Ok(Tensor::build(operands[0].kind, &lengths[..kept], |i| {
        indices(&lengths[kept..])
            .map(|rest| {
                let all = [i, &rest].concat();
                terms
                    .iter()
                    .zip(&operands)
                    .map(|(term, x)| {
                        // Axes of length 1 are read again.
                        let axes = term.iter().zip(&x.shape);
                        let index = axes.map(|(l, &n)| all[place(l)].min(n - 1));
                        x.at(&index.collect::<Vec<_>>())
                    })
                    .product::<f64>()
            })
            .sum()
    }))
}

/// Strides, dilations and padding of spatial axes.
struct Windows {
    kernel: Vec<usize>,
    strides: Vec<usize>,
    dilations: Vec<usize>,
    before: Vec<usize>,
    after: Vec<usize>,
}

impl Windows {
    fn of(call: &Call<'_>, kernel: &[usize]) -> Self {
        let n = kernel.len();
        let list = |name: &str, default: usize, len: usize| match call.node.ints(name) {
            Some(x) => x.iter().map(|&x| x as usize).collect(),
            None => vec![default; len],
        };
        let pads = list("pads", 0, 2 * n);
        Self {
            kernel: kernel.to_vec(),
            strides: list("strides", 1, n),
            dilations: list("dilations", 1, n),
            before: pads[..n].to_vec(),
            after: pads[n..].to_vec(),
        }
    }

    fn outputs(&self, shape: &[usize], ceil: bool) -> Result<Vec<usize>, String> {
        let axes = shape.iter().enumerate().map(|(a, &n)| {
            let reach = self.dilations[a] * (self.kernel[a] - 1) + 1;
            let free = (n + self.before[a] + self.after[a])
                .checked_sub(reach)
                .ok_or("kernel")?;
            let mut count = free / self.strides[a] + 1;
            if ceil && free % self.strides[a] != 0 {
                count += 1;
                // No window starts in the padding at the end.
                if (count - 1) * self.strides[a] >= n + self.before[a] {
                    count -= 1;
                }
            }
            Ok(count)
        });
        axes.collect()
    }

    /// The position of tap `t` of output `i`, if it is inside.
    fn place(&self, shape: &[usize], i: &[usize], t: &[usize]) -> Option<Vec<usize>> {
        let axes = shape.iter().enumerate().map(|(a, &n)| {
            let at = i[a] * self.strides[a] + t[a] * self.dilations[a];
            at.checked_sub(self.before[a]).filter(|&at| at < n)
        });
        axes.collect()
    }
}

pub(super) fn conv(call: &Call<'_>) -> Result<Tensor, String> {
    let (x, w) = (call.x(0)?, call.x(1)?);
    let groups = call.node.int("group", 1) as usize;
    let windows = Windows::of(call, &w.shape[2..]);
    let spatial = windows.outputs(&x.shape[2..], false)?;
    let (inputs, outputs) = (w.shape[1], w.shape[0] / groups);
    let shape = [&[x.shape[0], w.shape[0]][..], &spatial].concat();
    Ok(Tensor::build(x.kind, &shape, |i| {
        let mut sum = call.maybe(2).map_or(0.0, |b| b.cells[i[1]]);
        for c in 0..inputs {
            for t in indices(&w.shape[2..]) {
                if let Some(at) = windows.place(&x.shape[2..], &i[2..], &t) {
                    let channel = i[1] / outputs * inputs + c;
                    sum += x.at(&[&[i[0], channel][..], &at].concat())
                        * w.at(&[&[i[1], c][..], &t].concat());
                }
            }
        }
        sum
    }))
}

fn conv_transpose(call: &Call<'_>) -> Result<Tensor, String> {
    let (x, w) = (call.x(0)?, call.x(1)?);
    let groups = call.node.int("group", 1) as usize;
    let windows = Windows::of(call, &w.shape[2..]);
    let extra = call.node.ints("output_padding").map(<[i64]>::to_vec);
    let extra = extra.unwrap_or_else(|| vec![0; w.rank() - 2]);
    let (inputs, outputs) = (x.shape[1] / groups, w.shape[1]);
    let spatial: Vec<usize> = (0..w.rank() - 2)
        .map(|a| {
            windows.strides[a] * (x.shape[a + 2] - 1)
                + extra[a] as usize
                + (w.shape[a + 2] - 1) * windows.dilations[a]
                + 1
                - windows.before[a]
                - windows.after[a]
        })
        .collect();
    let shape = [&[x.shape[0], outputs * groups][..], &spatial].concat();
    let mut y = Tensor::build(x.kind, &shape, |i| {
        call.maybe(2).map_or(0.0, |b| b.cells[i[1]])
    });
    for i in indices(&x.shape) {
        for o in 0..outputs {
            for t in indices(&w.shape[2..]) {
                let Some(at) = windows.place(&spatial, &i[2..], &t) else {
                    continue;
                };
                let channel = i[1] / inputs * outputs + o;
                let place = [&[i[0], channel][..], &at].concat();
                let term = x.at(&i) * w.at(&[&[i[1], o][..], &t].concat());
                y.cells[crate::random::tensor::offset(&shape, &place)] += term;
            }
        }
    }
    Ok(y)
}

fn pool(call: &Call<'_>) -> Result<Tensor, String> {
    let (x, node) = (call.x(0)?, call.node);
    let kernel = node.ints("kernel_shape").ok_or("kernel")?;
    let kernel: Vec<usize> = kernel.iter().map(|&n| n as usize).collect();
    let windows = Windows::of(call, &kernel);
    let ceil = node.int("ceil_mode", 0) == 1;
    let spatial = windows.outputs(&x.shape[2..], ceil)?;
    let padded = node.int("count_include_pad", 0) == 1;
    let p = node.int("p", 2) as i32;
    let shape = [&x.shape[..2], &spatial].concat();
    Ok(Tensor::build(x.kind, &shape, |i| {
        let mut cells = Vec::new();
        let mut count = 0;
        for t in indices(&kernel) {
            if let Some(at) = windows.place(&x.shape[2..], &i[2..], &t) {
                cells.push(x.at(&[&i[..2], &at].concat()));
            }
            // What ceil_mode adds beyond the padding is not counted.
            let inside = (0..kernel.len()).all(|a| {
                i[a + 2] * windows.strides[a] + t[a] * windows.dilations[a]
                    < x.shape[a + 2] + windows.before[a] + windows.after[a]
            });
            count += usize::from(inside);
        }
        aggregate(
            &node.op,
            &cells,
            if padded { count } else { cells.len() },
            p,
        )
    }))
}

fn aggregate(op: &str, cells: &[f64], count: usize, p: i32) -> f64 {
    if op.ends_with("MaxPool") {
        cells.iter().copied().fold(f64::NEG_INFINITY, f64::max)
    } else if op.ends_with("AveragePool") {
        cells.iter().sum::<f64>() / count as f64
    } else {
        cells
            .iter()
            .map(|x| x.abs().powi(p))
            .sum::<f64>()
            .powf(1.0 / f64::from(p))
    }
}

fn global(call: &Call<'_>) -> Result<Tensor, String> {
    let x = call.x(0)?;
    let p = call.node.int("p", 2) as i32;
    let ones = vec![1; x.rank() - 2];
    let shape = [&x.shape[..2], &ones].concat();
    Ok(Tensor::build(Type::Float, &shape, |i| {
        let cells = indices(&x.shape[2..]).map(|at| x.at(&[&i[..2], &at].concat()));
        let cells: Vec<f64> = cells.collect();
        aggregate(&call.node.op, &cells, cells.len(), p)
    }))
}
