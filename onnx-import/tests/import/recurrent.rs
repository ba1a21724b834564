//! Recurrent layers against their recurrences, step by step in double precision.

use candle_onnx::onnx::AttributeProto;
use candle_onnx::onnx::tensor_proto::DataType;

use crate::build::{int, number, numbers, string, strings};
use crate::case::{Case, Cells, cells, fill, spread};

type Function = fn(f64) -> f64;

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// What a layer's attributes and optional operands say.
#[derive(Clone)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "a layer's options are independent"
)]
struct Layer {
    op: &'static str,
    direction: &'static str,
    lengths: Option<Vec<usize>>,
    bias: bool,
    initial: bool,
    peepholes: bool,
    /// The bound of arguments.
    clip: f64,
    batch_first: bool,
    linear_before_reset: bool,
    input_forget: bool,
    /// The functions of one direction, or of each.
    functions: Vec<Function>,
    attributes: Vec<AttributeProto>,
}

const STEPS: usize = 4;
const BATCH: usize = 2;
const INPUTS: usize = 3;
const HIDDEN: usize = 2;

/// Cells of a size that does not saturate.
fn small(shape: &[usize], shift: f64) -> Cells {
    spread(shape).mapv(|x| ((x + shift) * 7.0).sin())
}

impl Layer {
    fn new(op: &'static str) -> Self {
        let functions: Vec<Function> = match op {
            "RNN" => vec![f64::tanh],
            "GRU" => vec![sigmoid, f64::tanh],
            _ => vec![sigmoid, f64::tanh, f64::tanh],
        };
        Self {
            op,
            direction: "forward",
            lengths: None,
            bias: false,
            initial: false,
            peepholes: false,
            clip: f64::INFINITY,
            batch_first: false,
            linear_before_reset: false,
            input_forget: false,
            functions,
            attributes: vec![],
        }
    }

    fn gates(&self) -> usize {
        match self.op {
            "RNN" => 1,
            "GRU" => 3,
            _ => 4,
        }
    }

    fn sides(&self) -> usize {
        if self.direction == "bidirectional" {
            2
        } else {
            1
        }
    }

    /// X `[T, N, I]`, W, R, B, the initial states and the peepholes.
    fn operands(&self) -> [Cells; 7] {
        let (d, rows) = (self.sides(), self.gates() * HIDDEN);
        let or_zero = |given: bool, x: Cells| if given { x } else { x * 0.0 };
        [
            small(&[STEPS, BATCH, INPUTS], 0.0),
            small(&[d, rows, INPUTS], 0.3),
            small(&[d, rows, HIDDEN], 0.7),
            or_zero(self.bias, small(&[d, 2 * rows], 1.1)),
            or_zero(self.initial, small(&[d, BATCH, HIDDEN], 0.2)),
            or_zero(self.initial, small(&[d, BATCH, HIDDEN], 1.9)),
            or_zero(self.peepholes, small(&[d, 3 * HIDDEN], 2.3)),
        ]
    }

    /// The states of one sequence after a step.
    fn step(&self, side: usize, x: &[f64], h: &[f64], c: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let [_, w, r, b, _, _, p] = &self.operands();
        let rows = self.gates() * HIDDEN;
        let of_x = |row: usize| {
            let sum: f64 = (0..INPUTS).map(|i| w[[side, row, i]] * x[i]).sum();
            sum + b[[side, row]]
        };
        let of_h =
            |row: usize, h: &[f64]| (0..HIDDEN).map(|i| r[[side, row, i]] * h[i]).sum::<f64>();
        let shift = |row: usize| b[[side, rows + row]];
        let own = side * (self.functions.len() / self.sides());
        let shared = self.functions.len() == Self::new(self.op).functions.len();
        let function = |f: usize| self.functions[if shared { f } else { own + f }];
        let apply = |f: usize, x: f64| function(f)(x.clamp(-self.clip, self.clip));
        let gate = |gate: usize, unit: usize| {
            let row = gate * HIDDEN + unit;
            of_x(row) + of_h(row, h) + shift(row)
        };
        let units = 0..HIDDEN;
        match self.op {
            "RNN" => (units.map(|u| apply(0, gate(0, u))).collect(), vec![]),
            "GRU" => {
                let reset: Vec<f64> = units.clone().map(|u| apply(0, gate(1, u))).collect();
                let held: Vec<f64> = reset.iter().zip(h).map(|(r, h)| r * h).collect();
                let next = |u: usize| {
                    let (z, row) = (apply(0, gate(0, u)), 2 * HIDDEN + u);
                    let argument = if self.linear_before_reset {
                        of_x(row) + reset[u] * (of_h(row, h) + shift(row))
                    } else {
                        of_x(row) + of_h(row, &held) + shift(row)
                    };
                    (1.0 - z) * apply(1, argument) + z * h[u]
                };
                (units.map(next).collect(), vec![])
            }
            _ => {
                let peep = |gate: usize, u: usize| p[[side, gate * HIDDEN + u]];
                let both = units.map(|u| {
                    let i = apply(0, gate(0, u) + peep(0, u) * c[u]);
                    let f = if self.input_forget {
                        1.0 - i
                    } else {
                        apply(0, gate(2, u) + peep(2, u) * c[u])
                    };
                    let cell = f * c[u] + i * apply(1, gate(3, u));
                    let o = apply(0, gate(1, u) + peep(1, u) * cell);
                    (o * function(2)(cell), cell)
                });
                both.unzip()
            }
        }
    }

    /// Y `[T, D, N, H]`, the last hidden and cell states `[D, N, H]`.
    fn outputs(&self) -> Vec<Cells> {
        let [x, _, _, _, h0, c0, _] = self.operands();
        let d = self.sides();
        let mut y = Cells::zeros(vec![STEPS, d, BATCH, HIDDEN]);
        let mut last = [
            Cells::zeros(vec![d, BATCH, HIDDEN]),
            Cells::zeros(vec![d, BATCH, HIDDEN]),
        ];
        for side in 0..d {
            let reverse = self.direction == "reverse" || side == 1;
            for n in 0..BATCH {
                let length = self.lengths.as_ref().map_or(STEPS, |lengths| lengths[n]);
                let row = |x: &Cells| (0..HIDDEN).map(|u| x[[side, n, u]]).collect::<Vec<f64>>();
                let (mut h, mut c) = (row(&h0), row(&c0));
                for i in 0..length {
                    let t = if reverse { length - 1 - i } else { i };
                    let read: Vec<f64> = (0..INPUTS).map(|i| x[[t, n, i]]).collect();
                    (h, c) = self.step(side, &read, &h, &c);
                    for u in 0..HIDDEN {
                        y[[t, side, n, u]] = h[u];
                    }
                }
                for u in 0..HIDDEN {
                    last[0][[side, n, u]] = h[u];
                    last[1][[side, n, u]] = c.get(u).copied().unwrap_or(0.0);
                }
            }
        }
        let [hidden, cell] = last;
        let mut all = vec![y, hidden];
        if self.op == "LSTM" {
            all.push(cell);
        }
        all
    }

    fn check(&self) {
        let turned = |x: &Cells, order: &[usize]| {
            if !self.batch_first {
                return x.clone();
            }
            x.clone()
                .permuted_axes(order)
                .as_standard_layout()
                .to_owned()
        };
        let [x, w, r, b, h, c, p] = self.operands();
        let case = Case::new(self.op, if self.batch_first { 14 } else { 7 });
        let case = case.x(&turned(&x, &[1, 0, 2])).w(&w).w(&r);
        let case = if self.bias { case.w(&b) } else { case.none() };
        let case = match &self.lengths {
            None => case.none(),
            Some(lengths) => {
                let list: Vec<f64> = lengths.iter().map(|&n| n as f64).collect();
                case.constant(DataType::Int32, &cells(&[BATCH], &list))
            }
        };
        let state = |case: Case, x: &Cells| {
            if self.initial {
                case.x(&turned(x, &[1, 0, 2]))
            } else {
                case.none()
            }
        };
        let mut case = state(case, &h);
        if self.op == "LSTM" {
            case = state(case, &c);
            case = if self.peepholes { case.w(&p) } else { case };
        }
        let case = case
            .with(int("hidden_size", HIDDEN as i64))
            .all(&self.attributes);
        let case = if self.direction == "forward" {
            case
        } else {
            case.with(string("direction", self.direction))
        };
        let case = if self.clip < 100.0 {
            case.with(number("clip", self.clip as f32))
        } else {
            case
        };
        let case = if self.batch_first {
            case.with(int("layout", 1))
        } else {
            case
        };
        let case = if self.linear_before_reset {
            case.with(int("linear_before_reset", 1))
        } else {
            case
        };
        let case = if self.input_forget {
            case.with(int("input_forget", 1))
        } else {
            case
        };
        let mut expected = self.outputs();
        expected[0] = turned(&expected[0], &[2, 0, 1, 3]);
        expected[1..]
            .iter_mut()
            .for_each(|x| *x = turned(x, &[1, 0, 2]));
        case.outputs(expected.len()).gives(&expected);
    }
}

const LAYERS: [&str; 3] = ["RNN", "GRU", "LSTM"];

#[test]
fn directions_with_and_without_what_is_optional() {
    for op in LAYERS {
        for direction in ["forward", "reverse", "bidirectional"] {
            for given in 0..4 {
                let (bias, initial) = (given & 1 == 1, given & 2 == 2);
                let layer = Layer {
                    direction,
                    bias,
                    initial,
                    ..Layer::new(op)
                };
                layer.check();
            }
        }
    }
}

#[test]
fn sequences_that_end() {
    for op in LAYERS {
        for direction in ["forward", "reverse", "bidirectional"] {
            for lengths in [vec![4, 4], vec![2, 4], vec![3, 1]] {
                let (bias, lengths) = (true, Some(lengths));
                let layer = Layer {
                    direction,
                    lengths,
                    bias,
                    ..Layer::new(op)
                };
                layer.check();
                Layer {
                    initial: true,
                    ..layer
                }
                .check();
            }
        }
    }
}

#[test]
fn batches_that_come_first() {
    for op in LAYERS {
        for direction in ["forward", "bidirectional"] {
            let (batch_first, initial, bias) = (true, true, true);
            Layer {
                direction,
                bias,
                initial,
                batch_first,
                ..Layer::new(op)
            }
            .check();
        }
    }
}

#[test]
fn arguments_that_are_cut() {
    for op in LAYERS {
        for clip in [0.25, 1.0] {
            Layer {
                clip,
                bias: true,
                initial: true,
                ..Layer::new(op)
            }
            .check();
        }
    }
}

#[test]
fn forms_of_the_gates() {
    for bias in [false, true] {
        for initial in [false, true] {
            let linear_before_reset = true;
            Layer {
                bias,
                initial,
                linear_before_reset,
                ..Layer::new("GRU")
            }
            .check();
            let peepholes = true;
            let layer = Layer {
                bias,
                initial,
                peepholes,
                ..Layer::new("LSTM")
            };
            layer.check();
            Layer {
                direction: "bidirectional",
                ..layer.clone()
            }
            .check();
            Layer { clip: 0.5, ..layer }.check();
            let input_forget = true;
            Layer {
                bias,
                initial,
                input_forget,
                ..Layer::new("LSTM")
            }
            .check();
        }
    }
}

#[test]
fn functions_of_the_gates() {
    let functions: [(&str, Function); 9] = [
        ("Relu", |x| x.max(0.0)),
        ("Tanh", f64::tanh),
        ("Sigmoid", sigmoid),
        ("Softsign", |x| x / (1.0 + x.abs())),
        ("Softplus", |x| x.exp().ln_1p()),
        ("Affine", |x| 0.5 * x + 0.25),
        ("LeakyRelu", |x| if x < 0.0 { 0.5 * x } else { x }),
        ("ThresholdedRelu", |x| if x > 0.5 { x } else { 0.0 }),
        ("Elu", |x| if x < 0.0 { 0.5 * x.exp_m1() } else { x }),
    ];
    for (name, f) in functions {
        let mut attributes = vec![strings("activations", &[name])];
        if ["Affine", "LeakyRelu", "ThresholdedRelu", "Elu"].contains(&name) {
            attributes.push(numbers("activation_alpha", &[0.5]));
        }
        if name == "Affine" {
            attributes.push(numbers("activation_beta", &[0.25]));
        }
        Layer {
            functions: vec![f],
            attributes,
            bias: true,
            ..Layer::new("RNN")
        }
        .check();
    }
    let two: [(&str, Function); 2] = [
        ("ScaledTanh", |x| 0.5 * (0.25 * x).tanh()),
        ("HardSigmoid", |x| (0.5 * x + 0.25).clamp(0.0, 1.0)),
    ];
    for (name, f) in two {
        let attributes = vec![
            strings("activations", &[name]),
            numbers("activation_alpha", &[0.5]),
            numbers("activation_beta", &[0.25]),
        ];
        Layer {
            functions: vec![f],
            attributes,
            ..Layer::new("RNN")
        }
        .check();
    }
    let attributes = vec![strings("activations", &["Relu", "Sigmoid", "Softsign"])];
    let functions: Vec<Function> = vec![|x| x.max(0.0), sigmoid, |x| x / (1.0 + x.abs())];
    Layer {
        functions,
        attributes,
        initial: true,
        ..Layer::new("LSTM")
    }
    .check();
    let attributes = vec![strings("activations", &["HardSigmoid", "Relu"])];
    let functions: Vec<Function> = vec![|x| (0.2 * x + 0.5).clamp(0.0, 1.0), |x| x.max(0.0)];
    Layer {
        functions,
        attributes,
        initial: true,
        ..Layer::new("GRU")
    }
    .check();
}

/// The two directions have functions of their own, whose parameters are listed one after the other.
#[test]
fn functions_of_each_direction() {
    let direction = "bidirectional";
    let attributes = vec![
        strings("activations", &["LeakyRelu", "Affine"]),
        numbers("activation_alpha", &[0.25, 0.5]),
        numbers("activation_beta", &[-0.125]),
    ];
    let functions: Vec<Function> =
        vec![|x| if x < 0.0 { 0.25 * x } else { x }, |x| 0.5 * x - 0.125];
    Layer {
        direction,
        functions,
        attributes,
        bias: true,
        ..Layer::new("RNN")
    }
    .check();
    let names = ["Sigmoid", "Relu", "HardSigmoid", "Tanh"];
    let attributes = vec![strings("activations", &names)];
    let functions: Vec<Function> = vec![
        sigmoid,
        |x| x.max(0.0),
        |x| (0.2 * x + 0.5).clamp(0.0, 1.0),
        f64::tanh,
    ];
    Layer {
        direction,
        functions,
        attributes,
        initial: true,
        ..Layer::new("GRU")
    }
    .check();
}

/// One step reads its weights otherwise than several do.
#[test]
fn single_steps() {
    for op in LAYERS {
        let layer = Layer {
            bias: true,
            initial: true,
            ..Layer::new(op)
        };
        let [x, w, r, b, h, c, _] = layer.operands();
        let first = fill(&[1, BATCH, INPUTS], |at| x[at]);
        let case = Case::new(op, 14).x(&first).w(&w).w(&r).w(&b).none().x(&h);
        let case = if op == "LSTM" { case.x(&c) } else { case };
        let state = |n: usize| {
            let row = |x: &Cells| (0..HIDDEN).map(|u| x[[0, n, u]]).collect::<Vec<f64>>();
            let read: Vec<f64> = (0..INPUTS).map(|i| x[[0, n, i]]).collect();
            layer.step(0, &read, &row(&h), &row(&c))
        };
        let y = fill(&[1, 1, BATCH, HIDDEN], |at| state(at[2]).0[at[3]]);
        let hidden = fill(&[1, BATCH, HIDDEN], |at| state(at[1]).0[at[2]]);
        case.outputs(2).gives(&[y, hidden]);
    }
}

#[test]
fn layers_that_are_refused() {
    for op in LAYERS {
        let [x, w, r, ..] = Layer::new(op).operands();
        let case = || Case::new(op, 14).x(&x).w(&w).w(&r);
        case()
            .with(string("direction", "both"))
            .refused("BadAttribute", "both");
        case()
            .with(string("direction", "bidirectional"))
            .refused("Shape", "2 directions");
        case()
            .with(int("hidden_size", 3))
            .refused("BadAttribute", "hidden_size");
        case()
            .with(number("clip", -1.0))
            .refused("BadAttribute", "clip");
        case()
            .with(strings("activations", &["Tanh"; 5]))
            .refused("BadAttribute", "expected");
        let count = Layer::new(op).functions.len();
        let unknown = case().with(strings("activations", &["Sine", "Sine", "Sine"][..count]));
        unknown.refused("BadAttribute", "sine");
        case().w(&small(&[1, 3], 0.0)).refused("Shape", "");
        case().none().list(&[5, 1]).refused("", "lengths");
        case().none().list(&[1]).refused("", "lengths");
        case()
            .none()
            .none()
            .w(&small(&[1, 1, HIDDEN], 0.0))
            .refused("Shape", "");
        Case::new(op, 14)
            .x(&x)
            .x(&w)
            .w(&r)
            .refused("UnsupportedOperator", "constant");
        Case::new(op, 14)
            .x(&x)
            .w(&w)
            .w(&w)
            .refused("Shape", "recurrence");
        Case::new(op, 14)
            .x(&small(&[2, 3], 0.0))
            .w(&w)
            .w(&r)
            .refused("Shape", "rank 3");
        case()
            .with(int("layout", 2))
            .refused("BadAttribute", "layout");
    }
}
