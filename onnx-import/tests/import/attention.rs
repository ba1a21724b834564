//! Attention and rotary embeddings against loops over heads, queries and keys.

use candle_onnx::onnx::tensor_proto::DataType;

use crate::build::{int, number};
use crate::case::{Case, Cells, cells, fill, spread, vector};

/// What an attention is asked for.
#[derive(Clone)]
struct Asked {
    heads: usize,
    groups: usize,
    queries: usize,
    keys: usize,
    past: usize,
    causal: bool,
    /// Added to the scores; minus infinity forbids a key.
    mask: Option<Cells>,
    scale: Option<f64>,
    softcap: f64,
    /// How many keys before and after its own position a query sees.
    window: [Option<usize>; 2],
    /// Keys of each image that are no padding.
    lengths: Option<[usize; 2]>,
}

const BATCH: usize = 2;
const WIDTH: usize = 4;
const VALUES: usize = 3;

impl Asked {
    fn new(heads: usize, groups: usize, queries: usize, keys: usize) -> Self {
        Self {
            heads,
            groups,
            queries,
            keys,
            past: 0,
            causal: false,
            mask: None,
            scale: None,
            softcap: 0.0,
            window: [None; 2],
            lengths: None,
        }
    }

    /// Queries, keys and values of four axes, and the past of the last two.
    fn operands(&self) -> [Cells; 5] {
        let small = |shape: &[usize], shift: f64| spread(shape).mapv(|x| (3.0 * x + shift).sin());
        [
            small(&[BATCH, self.heads, self.queries, WIDTH], 0.0),
            small(&[BATCH, self.groups, self.keys, WIDTH], 0.5),
            small(&[BATCH, self.groups, self.keys, VALUES], 1.5),
            small(&[BATCH, self.groups, self.past, WIDTH], 2.5),
            small(&[BATCH, self.groups, self.past, VALUES], 3.5),
        ]
    }

    /// The past and what follows it, along the axis of keys.
    fn present(&self, past: &Cells, x: &Cells) -> Cells {
        let mut shape = x.shape().to_vec();
        shape[2] += self.past;
        fill(&shape, |at| match at[2].checked_sub(self.past) {
            Some(i) => x[[at[0], at[1], i, at[3]]],
            None => past[at],
        })
    }

    fn allowed(&self, image: usize, query: usize, key: usize) -> bool {
        // The first query's position.
        let first = match self.lengths {
            Some(lengths) => lengths[image] as i64 - self.queries as i64,
            None => self.past as i64,
        };
        let ahead = key as i64 - (query as i64 + first);
        let [left, right] = self.window.map(|side| side.map(|n| n as i64));
        let padding = self.lengths.is_some_and(|lengths| key >= lengths[image]);
        let seen = left.is_none_or(|n| -ahead <= n) && right.is_none_or(|n| ahead <= n);
        seen && !padding && (!self.causal || ahead <= 0)
    }

    /// The capped scores, the weights, and the result.
    fn outputs(&self) -> [Cells; 3] {
        let [q, k, v, past_k, past_v] = self.operands();
        let (k, v) = (self.present(&past_k, &k), self.present(&past_v, &v));
        let all = self.keys + self.past;
        let group = |head: usize| head / (self.heads / self.groups);
        let scale = self.scale.unwrap_or(1.0 / (WIDTH as f64).sqrt());
        let scores = fill(&[BATCH, self.heads, self.queries, all], |at| {
            let [b, h, i, j] = [at[0], at[1], at[2], at[3]];
            let sum: f64 = (0..WIDTH)
                .map(|d| q[[b, h, i, d]] * k[[b, group(h), j, d]])
                .sum();
            let score = sum * scale;
            if self.softcap > 0.0 {
                self.softcap * (score / self.softcap).tanh()
            } else {
                score
            }
        });
        let biased = |at: &[usize]| {
            let mask = self.mask.as_ref().map_or(0.0, |mask| {
                let own = &at[4 - mask.ndim()..];
                let own = own.iter().zip(mask.shape());
                // Keys beyond the mask are forbidden.
                let last = mask.shape()[mask.ndim() - 1];
                if at[3] >= last && last > 1 {
                    return f64::NEG_INFINITY;
                }
                mask[&*own.map(|(&i, &n)| i.min(n - 1)).collect::<Vec<_>>()]
            });
            if self.allowed(at[0], at[2], at[3]) {
                scores[at] + mask
            } else {
                f64::NEG_INFINITY
            }
        };
        let weights = fill(scores.shape(), |at| {
            let row = (0..all).map(|j| biased(&[at[0], at[1], at[2], j]).exp());
            let sum: f64 = row.sum();
            if sum == 0.0 {
                0.0
            } else {
                biased(at).exp() / sum
            }
        });
        let y = fill(&[BATCH, self.heads, self.queries, VALUES], |at| {
            let [b, h, i, e] = [at[0], at[1], at[2], at[3]];
            (0..all)
                .map(|j| weights[[b, h, i, j]] * v[[b, group(h), j, e]])
                .sum()
        });
        [scores, weights, y]
    }

    fn attributes(&self, case: Case) -> Case {
        let mut case = if self.causal {
            case.with(int("is_causal", 1))
        } else {
            case
        };
        if let Some(scale) = self.scale {
            case = case.with(number("scale", scale as f32));
        }
        if self.softcap > 0.0 {
            case = case.with(number("softcap", self.softcap as f32));
        }
        for (side, name) in self
            .window
            .iter()
            .zip(["left_window_size", "right_window_size"])
        {
            if let Some(n) = side {
                case = case.with(int(name, *n as i64));
            }
        }
        case
    }

    fn masked(&self, case: Case) -> Case {
        match &self.mask {
            None => case.none(),
            // A mask of two values is one of truth values.
            Some(mask) if mask.iter().all(|&m| m == 0.0 || m < -1e9) => {
                let truth = mask.mapv(|m| f64::from(m == 0.0));
                case.of(DataType::Bool, &truth)
            }
            Some(mask) if mask.iter().all(|m| m.is_finite()) => case.x(mask),
            Some(mask) => case.w(mask),
        }
    }

    /// Checks operands of four and of three axes.
    fn check(&self) {
        let [q, k, v, past_k, past_v] = self.operands();
        let [_, _, y] = self.outputs();
        let opset = if self.lengths.is_some() || self.window.iter().any(Option::is_some) {
            25
        } else {
            23
        };
        let case = self.masked(Case::new("Attention", opset).x(&q).x(&k).x(&v));
        let mut case = self.attributes(case);
        if self.past > 0 {
            case = case.x(&past_k).x(&past_v).outputs(3).within(2e-5);
            let present = [self.present(&past_k, &k), self.present(&past_v, &v)];
            let [k, v] = present;
            case.gives(&[y, k, v]);
            return;
        }
        if let Some(lengths) = self.lengths {
            let list = vector(&lengths.map(|n| n as f64));
            case = case.none().none().of(DataType::Int64, &list);
        }
        case.is(&y);
        let joined = |x: &Cells| {
            let [b, h, s, d] = [0, 1, 2, 3].map(|axis| x.shape()[axis]);
            fill(&[b, s, h * d], |at| x[[at[0], at[2] / d, at[1], at[2] % d]])
        };
        let case = Case::new("Attention", opset)
            .x(&joined(&q))
            .x(&joined(&k))
            .x(&joined(&v));
        let mut case = self.attributes(self.masked(case));
        if let Some(lengths) = self.lengths {
            let list = vector(&lengths.map(|n| n as f64));
            case = case.none().none().constant(DataType::Int64, &list);
        }
        let case = case.with(int("q_num_heads", self.heads as i64));
        case.with(int("kv_num_heads", self.groups as i64))
            .is(&joined(&y));
    }
}

#[test]
fn heads_and_groups_of_them() {
    for (heads, groups) in [(1, 1), (2, 2), (4, 2), (3, 1)] {
        for (queries, keys) in [(3, 3), (2, 4), (3, 2), (1, 3)] {
            for causal in [false, true] {
                Asked {
                    causal,
                    ..Asked::new(heads, groups, queries, keys)
                }
                .check();
            }
        }
    }
}

#[test]
fn scales_and_caps() {
    for scale in [Some(0.25), Some(1.0), None] {
        for softcap in [0.0, 0.5, 2.0] {
            Asked {
                scale,
                softcap,
                causal: true,
                ..Asked::new(2, 1, 3, 3)
            }
            .check();
        }
    }
}

#[test]
fn keys_of_the_past() {
    for past in [1, 3] {
        for causal in [false, true] {
            for (queries, keys) in [(1, 1), (2, 2), (3, 2)] {
                Asked {
                    past,
                    causal,
                    ..Asked::new(4, 2, queries, keys)
                }
                .check();
            }
        }
    }
}

#[test]
fn masks() {
    let never = f64::NEG_INFINITY;
    let forbid = |shape: &[usize]| spread(shape).mapv(|x| if x > 1.0 { never } else { 0.0 });
    for shape in [
        &[3, 4][..],
        &[1, 4],
        &[2, 3, 4],
        &[1, 1, 3, 4],
        &[2, 1, 3, 4],
        &[2, 2, 3, 4],
    ] {
        for mask in [forbid(shape), spread(shape)] {
            let mask = Some(mask);
            let asked = Asked {
                mask,
                ..Asked::new(2, 2, 3, 4)
            };
            asked.check();
            Asked {
                causal: true,
                ..asked
            }
            .check();
        }
    }
    // A query that may see nothing gives 0; a mask of too few keys forbids the others.
    let blind = fill(&[3, 4], |at| if at[0] == 1 { never } else { 0.0 });
    Asked {
        mask: Some(blind),
        ..Asked::new(1, 1, 3, 4)
    }
    .check();
    let short = Some(spread(&[3, 2]));
    Asked {
        mask: short,
        ..Asked::new(1, 1, 3, 4)
    }
    .check();
}

#[test]
fn windows_of_keys() {
    for window in [
        [Some(1), None],
        [None, Some(0)],
        [Some(0), Some(1)],
        [Some(2), Some(2)],
    ] {
        for causal in [false, true] {
            Asked {
                causal,
                window,
                ..Asked::new(2, 1, 4, 4)
            }
            .check();
        }
        Asked {
            window,
            past: 2,
            ..Asked::new(1, 1, 3, 3)
        }
        .check();
    }
}

#[test]
fn keys_that_are_padding() {
    for lengths in [[4, 4], [3, 1], [2, 4]] {
        for causal in [false, true] {
            let lengths = Some(lengths);
            Asked {
                causal,
                lengths,
                ..Asked::new(2, 1, 2, 4)
            }
            .check();
        }
    }
}

/// The fourth output: scores as they are, capped, or the weights.
#[test]
fn shown_scores() {
    let asked = Asked {
        softcap: 0.75,
        causal: true,
        ..Asked::new(2, 2, 3, 3)
    };
    let [q, k, v, ..] = asked.operands();
    let raw = Asked {
        softcap: 0.0,
        ..asked.clone()
    }
    .outputs();
    let [capped, weights, y] = asked.outputs();
    for (mode, shown) in [(0, &raw[0]), (1, &capped), (3, &weights)] {
        let case = asked.attributes(Case::new("Attention", 23).x(&q).x(&k).x(&v));
        let case = case.with(int("qk_matmul_output_mode", mode)).outputs(4);
        case.gives(&[y.clone(), k.clone(), v.clone(), shown.clone()]);
    }
    let case = asked.attributes(Case::new("Attention", 23).x(&q).x(&k).x(&v));
    let case = case.with(int("qk_matmul_output_mode", 2)).outputs(4);
    case.refused("UnsupportedOperator", "qk_matmul_output_mode 0, 1 or 3");
}

#[test]
fn attention_that_is_refused() {
    let [q, k, v, past_k, _] = Asked {
        past: 1,
        ..Asked::new(2, 2, 3, 3)
    }
    .operands();
    let case = || Case::new("Attention", 23).x(&q).x(&k).x(&v);
    case()
        .none()
        .x(&past_k)
        .refused("Shape", "both past_key and past_value");
    case().w(&spread(&[4, 3])).refused("", "");
    case().w(&spread(&[3, 5])).refused("", "mask");
    case()
        .with(int("is_causal", 3))
        .refused("BadAttribute", "is_causal");
    Case::new("Attention", 23)
        .x(&q)
        .x(&v)
        .x(&k)
        .refused("Shape", "do not fit");
    let three = Case::new("Attention", 23)
        .x(&spread(&[1, 2, 6]))
        .x(&spread(&[1, 2, 6]));
    three
        .x(&spread(&[1, 2, 6]))
        .refused("BadAttribute", "q_num_heads");
    let groups = Asked::new(2, 2, 3, 3).operands();
    let wide = Case::new("Attention", 23)
        .x(&spread(&[2, 3, 3, 4]))
        .x(&groups[1])
        .x(&groups[2]);
    wide.refused("Shape", "do not fit");
}

/// Feature `d` of a head at position `p`, turned with its partner.
fn turned(
    x: &Cells,
    at: [usize; 4],
    (cosine, sine): (&Cells, &Cells),
    row: [usize; 2],
    pairs: usize,
    interleaved: bool,
) -> f64 {
    let [b, h, p, d] = at;
    if d >= 2 * pairs {
        return x[[b, h, p, d]];
    }
    let (pair, second) = if interleaved {
        (d / 2, d % 2 == 1)
    } else {
        (d % pairs, d >= pairs)
    };
    let (first, other) = if interleaved {
        (2 * pair, 2 * pair + 1)
    } else {
        (pair, pair + pairs)
    };
    let angle = |cache: &Cells| match cache.ndim() {
        2 => cache[[row[0], pair]],
        _ => cache[[row[1].min(cache.shape()[0] - 1), p, pair]],
    };
    let (c, s) = (angle(cosine), angle(sine));
    let (a, z) = (x[[b, h, p, first]], x[[b, h, p, other]]);
    if second { s * a + c * z } else { c * a - s * z }
}

#[test]
fn rotations() {
    let x = spread(&[2, 2, 3, 6]);
    for (interleaved, pairs) in [(false, 3), (true, 3), (false, 2), (true, 1)] {
        let angles = |shape: &[usize]| spread(shape).mapv(|x| 0.7 * x);
        let table = (
            angles(&[5, pairs]).mapv(f64::cos),
            angles(&[5, pairs]).mapv(f64::sin),
        );
        let positions = cells(&[2, 3], &[0.0, 2.0, 4.0, 3.0, 3.0, 1.0]);
        let y = fill(x.shape(), |at| {
            let row = positions[[at[0], at[2]]] as usize;
            turned(
                &x,
                [at[0], at[1], at[2], at[3]],
                (&table.0, &table.1),
                [row, 0],
                pairs,
                interleaved,
            )
        });
        let case = |x: &Cells| {
            let case = Case::new("RotaryEmbedding", 23)
                .x(x)
                .with(int("interleaved", i64::from(interleaved)));
            if pairs == 3 {
                case
            } else {
                case.with(int("rotary_embedding_dim", 2 * pairs as i64))
            }
        };
        case(&x)
            .x(&table.0)
            .x(&table.1)
            .of(DataType::Int64, &positions)
            .is(&y);
        let joined = |x: &Cells| fill(&[2, 3, 12], |at| x[[at[0], at[2] / 6, at[1], at[2] % 6]]);
        let three = case(&joined(&x))
            .w(&table.0)
            .w(&table.1)
            .constant(DataType::Int64, &positions);
        three.with(int("num_heads", 2)).is(&joined(&y));
        let each = (
            angles(&[2, 3, pairs]).mapv(f64::cos),
            angles(&[2, 3, pairs]).mapv(f64::sin),
        );
        let y = fill(x.shape(), |at| {
            let at = [at[0], at[1], at[2], at[3]];
            turned(&x, at, (&each.0, &each.1), [0, at[0]], pairs, interleaved)
        });
        case(&x).x(&each.0).x(&each.1).is(&y);
    }
    let case = |pairs: usize| {
        Case::new("RotaryEmbedding", 23)
            .x(&x)
            .w(&spread(&[2, 3, pairs]))
            .w(&spread(&[2, 3, pairs]))
    };
    case(2).refused("Shape", "cache");
    case(3)
        .with(int("rotary_embedding_dim", 8))
        .refused("BadAttribute", "8 of 6");
    case(3)
        .with(int("rotary_embedding_dim", 3))
        .refused("BadAttribute", "even");
    let flat = Case::new("RotaryEmbedding", 23)
        .x(&spread(&[2, 3, 6]))
        .w(&spread(&[2, 3, 3]));
    flat.w(&spread(&[2, 3, 3]))
        .refused("BadAttribute", "num_heads");
    let far = cells(&[2, 3], &[0.0, 2.0, 5.0, 0.0, 0.0, 0.0]);
    let far = Case::new("RotaryEmbedding", 23)
        .x(&x)
        .w(&spread(&[5, 3]))
        .w(&spread(&[5, 3]))
        .constant(DataType::Int64, &far);
    far.refused("", "5");
}
