//! Seeded numbers and small random graphs for tests.

use super::activation::Activation;
use super::graph::{Graph, GraphBuilder, ValueId};
use super::op::{Op, PoolKind, Window};
use ndarray::{ArrayD, IxDyn};

/// `SplitMix64`.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    /// Uniform in `[-1, 1)`.
    pub(crate) fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    pub(crate) fn array(&mut self, shape: &[usize]) -> ArrayD<f32> {
        ArrayD::from_shape_simple_fn(IxDyn(shape), || self.unit())
    }

    fn window(&mut self, kernel: usize, padding: usize) -> Window {
        Window {
            kernel,
            stride: 1 + self.below(2),
            dilation: 1 + self.below(2),
            pad_begin: self.below(padding + 1),
            pad_end: self.below(padding + 1),
        }
    }
}

/// A chain of up to twelve random operators on `[1, C, H, W]` with occasional skips, and a dense
/// layer at the end. Operators whose shape rule refuses are left out.
pub(crate) fn random_graph(random: &mut Random) -> Graph {
    let mut builder = GraphBuilder::new();
    let shape = [
        1,
        1 + random.below(4),
        4 + random.below(5),
        4 + random.below(5),
    ];
    let mut x = builder.input("x", &shape).expect("a shape");
    let mut values = vec![x];
    for i in 0..4 + random.below(9) {
        let op = random_op(random, builder.shape(x));
        let same = |v: &&ValueId| builder.shape(**v) == builder.shape(x);
        let skip = values.iter().rev().skip(1).find(same).copied();
        let added = match (op, skip) {
            (None, Some(skip)) => builder.add(&format!("add{i}"), Op::Add, &[x, skip]),
            (None, None) => continue,
            (Some(op), _) => builder.add(&format!("op{i}"), op, &[x]),
        };
        if let Ok(value) = added {
            x = value;
            values.push(x);
        }
    }
    let features = builder.shape(x).iter().product();
    let shape = vec![1, features];
    let flat = builder
        .add("flat", Op::Reshape { shape }, &[x])
        .expect("same size");
    let dense = Op::Dense {
        weight: random.array(&[features, 3]),
        bias: Some(random.array(&[3])),
    };
    let y = builder.add("dense", dense, &[flat]).expect("shapes");
    builder.finish(vec![("y".into(), y)]).expect("valid")
}

/// A random operator for a tensor of `shape`, or `None` for a sum with an earlier value.
fn random_op(random: &mut Random, shape: &[usize]) -> Option<Op> {
    let channels = shape[1];
    let op = match random.below(12) {
        0..=2 => {
            let kernel = [1 + random.below(3), 1 + random.below(3)];
            let (groups, outputs) = match random.below(3) {
                0 => (channels, channels),
                _ => (1, 1 + random.below(5)),
            };
            Op::Conv {
                weight: random.array(&[outputs, channels / groups, kernel[0], kernel[1]]),
                bias: (random.below(2) == 0).then(|| random.array(&[outputs])),
                groups,
                windows: kernel.map(|k| random.window(k, k)).to_vec(),
            }
        }
        3 | 4 => Op::Affine {
            scale: random.array(&[channels, 1, 1]),
            shift: match random.below(2) {
                0 => random.array(&[1, channels, 1, 1]),
                _ => ArrayD::zeros(IxDyn(&[])),
            },
        },
        5 => Op::Activation(Activation::Relu),
        6 => Op::Activation(match random.below(5) {
            0 => Activation::LeakyRelu { alpha: 0.1 },
            1 => Activation::Clip { lo: -0.5, hi: 1.5 },
            2 => Activation::Sigmoid,
            3 => Activation::Tanh,
            _ => Activation::Clip {
                lo: f32::NEG_INFINITY,
                hi: f32::INFINITY,
            },
        }),
        7 | 8 => {
            let kernel = 1 + random.below(3);
            Op::Pool {
                kind: match random.below(4) {
                    0 => PoolKind::AverageInside,
                    1 => PoolKind::AveragePadded,
                    _ => PoolKind::Max,
                },
                windows: vec![random.window(kernel, kernel - 1); 2],
            }
        }
        9 => Op::Pad {
            pads: vec![(0, 0), (0, 0), (1, random.below(2) as i64), (-1, 1)],
            value: 0.0,
        },
        10 => Op::Transpose {
            perm: if random.below(2) == 0 {
                vec![0, 1, 3, 2]
            } else {
                vec![0, 1, 2, 3]
            },
        },
        _ => return None,
    };
    Some(op)
}
