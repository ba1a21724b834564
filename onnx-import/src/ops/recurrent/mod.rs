//! Recurrent layers, unrolled: LSTM, GRU, RNN.
//!
//! `X W^T + b` is one dense layer for all steps `t = 1..T`; a step adds `H_{t-1} R^T`, a
//! contraction with the recurrence weights, which all steps share. A layer has one direction or
//! two, forward and reverse, whose results are stacked.

mod function;
mod gru;
mod lstm;
mod operands;
mod rnn;

use ndarray::{Array1, Array2, Array3, ArrayD, Axis, arr0};
use zkstrata_model_ir::float::{AxisMatrix, Op, ValueId};

use crate::Error;
use crate::scope::node::Node;
use crate::scope::value::Value;
use crate::write::Writer;
use crate::write::formula::Formula;

use self::function::Function;
use self::operands::{initial, lengths, matrices, optional_rows};
pub(crate) use self::{gru::gru, lstm::lstm, rnn::rnn};

/// Most steps times directions of a layer: each makes operators of its own.
const STEPS: usize = 4096;

/// What an operator's recurrence looks like.
struct Kind {
    /// Blocks of rows of the weights.
    gates: usize,
    /// The activation functions of one direction, by default.
    functions: &'static [&'static str],
    /// Whether there is a cell state beside the hidden one.
    cell: bool,
    /// Whether the recurrence's bias of the last gate is added inside of the step.
    separate: bool,
    /// Products per step: 1, or 2 if the last gate's recurrence has an operand of its own.
    parts: usize,
}

/// Recurrence weights of some gates.
enum Weight {
    /// Of a single step: `R^T`, a dense layer's weight.
    Once(ArrayD<f32>),
    /// The value `R`, which all steps read.
    Shared(ValueId),
}

/// The state between two steps, `[1, N, H]`; `None` is 0.
#[derive(Clone, Copy, Default)]
struct State {
    hidden: Option<ValueId>,
    cell: Option<ValueId>,
}

/// One direction of a layer.
struct Direction {
    reverse: bool,
    /// `X W^T + b`, of shape `[T, N, gates H]`.
    x: ValueId,
    /// The recurrence weights, those of the last gate apart if `Kind::parts` is 2.
    weights: Vec<Weight>,
    /// The recurrence's bias of the last gate, where it is separate.
    bias: Option<ArrayD<f32>>,
    /// The peephole weights `[3, H]`.
    peepholes: Option<Array2<f32>>,
    functions: Vec<Function>,
    initial: State,
}

/// A recurrent layer.
struct Layer {
    steps: usize,
    batch: usize,
    hidden: usize,
    /// Whether the batch axis comes first.
    batch_first: bool,
    /// Bound of the functions' arguments.
    clip: Option<f32>,
    /// The lengths of the sequences, where some end before the last step.
    lengths: Option<Vec<usize>>,
    directions: Vec<Direction>,
}

impl Layer {
    /// Reads operands and attributes, and multiplies the input of all steps by its weights.
    fn read(node: &mut Node, writer: &mut Writer, kind: &Kind) -> Result<Self, Error> {
        node.at_most(if kind.cell { 8 } else { 6 })?;
        let batch_first = node.opset() >= 14 && node.flag("layout")? == Some(true);
        let mut x = writer.activation(node, 0)?;
        if writer.shape(x).len() == 3 && batch_first {
            x = writer.transpose(node, x, vec![1, 0, 2])?;
        }
        let &[steps, batch, features] = writer.shape(x) else {
            return Err(node.shape_error(format!("{} needs an input of rank 3", node.op())));
        };
        let reverse: &[bool] = match node.string("direction")?.unwrap_or("forward") {
            "forward" => &[false],
            "reverse" => &[true],
            "bidirectional" => &[false, true],
            other => return Err(node.bad_attribute("direction", format!("is `{other}`"))),
        };
        let sides = reverse.len();
        if steps.saturating_mul(sides) > STEPS {
            return Err(node.unsupported(format!(
                "it has {steps} steps, more than {STEPS} in all directions: shorten the sequence"
            )));
        }
        let weight = matrices(node, 1)?;
        let (rows, hidden) = match weight.shape() {
            &[d, rows, inputs] if d == sides && inputs == features && rows % kind.gates == 0 => {
                (rows, rows / kind.gates)
            }
            other => {
                return Err(node.shape_error(format!(
                    "weights of shape {other:?} for {sides} directions of {} gates and \
                     {features} features",
                    kind.gates
                )));
            }
        };
        if hidden == 0 || node.int("hidden_size")?.is_some_and(|n| n != hidden as i64) {
            return Err(node.bad_attribute("hidden_size", format!("the weights have {hidden}")));
        }
        let recurrence = matrices(node, 2)?;
        if recurrence.shape() != [sides, rows, hidden] {
            let got = recurrence.shape();
            return Err(node.shape_error(format!("recurrence weights of shape {got:?}")));
        }
        let biases = optional_rows(node, 3, sides, 2 * rows)?;
        let lengths = lengths(node, steps, batch)?;
        let states = [(5, true), (6, kind.cell)];
        let states = states.map(|(index, given)| {
            if given {
                initial(node, writer, index, [sides, batch, hidden], batch_first)
            } else {
                Ok(vec![None; sides])
            }
        });
        let [hiddens, cells] = states;
        let (hiddens, cells) = (hiddens?, cells?);
        let peepholes = if kind.cell {
            optional_rows(node, 7, sides, 3 * hidden)?
        } else {
            None
        };
        let mut functions = function::read(node, sides, kind.functions)?.into_iter();
        let mut directions = Vec::with_capacity(sides);
        for (side, &reverse) in reverse.iter().enumerate() {
            let of = |a: &Array3<f32>| a.index_axis(Axis(0), side).to_owned();
            let row = |a: &Array2<f32>| a.row(side).to_owned();
            let weights = Weights {
                input: of(&weight),
                recurrence: of(&recurrence),
                bias: biases.as_ref().map(row),
            };
            let (input, bias) = weights.input(kind, hidden);
            directions.push(Direction {
                reverse,
                x: writer.add(node, input, &[x])?,
                weights: weights.recurrences(node, writer, kind, steps)?,
                bias,
                peepholes: peepholes.as_ref().map(|p| {
                    let row = row(p).into_shape_with_order((3, hidden));
                    row.expect("3 H cells")
                }),
                functions: functions.next().unwrap_or_default(),
                initial: State {
                    hidden: hiddens[side],
                    cell: cells[side],
                },
            });
        }
        let clip = node.float("clip")?;
        if clip.is_some_and(|clip| clip.is_nan() || clip <= 0.0) {
            return Err(node.bad_attribute("clip", format!("is {clip:?}")));
        }
        Ok(Self {
            steps,
            batch,
            hidden,
            batch_first,
            clip,
            lengths,
            directions,
        })
    }

    /// Unrolls the layer. `step` makes a state of `X_t W^T + b`, of shape `[1, N, gates H]`, and
    /// the state before. The results are all hidden states, the last hidden and the last cell
    /// states.
    fn unrolled(
        &self,
        f: &mut Formula,
        mut step: impl FnMut(&mut Formula, &Direction, ValueId, State) -> Result<State, Error>,
    ) -> Result<Vec<Value>, Error> {
        let (mut all, mut hiddens, mut cells) = (Vec::new(), Vec::new(), Vec::new());
        for direction in &self.directions {
            let mut state = direction.initial;
            let mut outputs = Vec::with_capacity(self.steps);
            for t in 0..self.steps {
                let t = if direction.reverse {
                    self.steps - 1 - t
                } else {
                    t
                };
                let x = match self.steps {
                    1 => direction.x,
                    _ => f.select(direction.x, 0, &[t])?,
                };
                let next = step(f, direction, x, state)?;
                let (held, shown) = self.held(f, t, state, next)?;
                state = held;
                outputs.extend(shown);
            }
            if direction.reverse {
                outputs.reverse();
            }
            let joined = joined(f, &outputs, 0)?;
            all.push(f.reshape(joined, vec![self.steps, 1, self.batch, self.hidden])?);
            hiddens.extend(state.hidden);
            cells.extend(state.cell);
        }
        let mut results = vec![joined(f, &all, 1)?, joined(f, &hiddens, 0)?];
        if !cells.is_empty() {
            results.push(joined(f, &cells, 0)?);
        }
        if self.batch_first {
            results[0] = f.transpose(results[0], vec![2, 0, 1, 3])?;
            for last in &mut results[1..] {
                *last = f.transpose(*last, vec![1, 0, 2])?;
            }
        }
        Ok(results.into_iter().map(Value::Activation).collect())
    }

    /// The state after step `t`, which is the one before where a sequence has ended, and the
    /// hidden state that is shown, which is 0 there.
    fn held(
        &self,
        f: &mut Formula,
        t: usize,
        before: State,
        after: State,
    ) -> Result<(State, Option<ValueId>), Error> {
        let Some(lengths) = self.lengths.as_ref().filter(|l| l.iter().any(|&n| n <= t)) else {
            return Ok((after, after.hidden));
        };
        let column = |cell: &dyn Fn(usize) -> bool| {
            let cells = lengths.iter().map(|&n| f32::from(cell(n)));
            let column = Array1::from_iter(cells).into_shape_with_order(vec![1, self.batch, 1]);
            column.expect("a length for each sequence")
        };
        let (runs, ended) = (column(&|n| t < n), column(&|n| t >= n));
        let mut hold = |new: Option<ValueId>, old: Option<ValueId>| {
            let Some(new) = new else { return Ok(None) };
            let new = f.affine_by(new, runs.clone(), arr0(0.0).into_dyn())?;
            let Some(old) = old else {
                return Ok(Some(new));
            };
            let old = f.affine_by(old, ended.clone(), arr0(0.0).into_dyn())?;
            f.add(new, old).map(Some)
        };
        let shown = hold(after.hidden, None)?;
        let held = State {
            hidden: hold(after.hidden, before.hidden)?,
            cell: hold(after.cell, before.cell)?,
        };
        Ok((held, shown))
    }

    /// `f(x)` of the argument cut to the clipping bound.
    fn apply(&self, f: &mut Formula, function: Function, x: ValueId) -> Result<ValueId, Error> {
        let x = match self.clip {
            None => x,
            Some(clip) => function::clipped(f, x, clip)?,
        };
        function.apply(f, x)
    }

    /// The blocks `gates` of `x`, each of the width of the hidden state.
    fn blocks(
        &self,
        f: &mut Formula,
        x: ValueId,
        gates: std::ops::Range<usize>,
    ) -> Result<ValueId, Error> {
        let columns = gates.start * self.hidden..gates.end * self.hidden;
        let n = f.shape(x)[2];
        if columns == (0..n) {
            return Ok(x);
        }
        f.map(x, 2, AxisMatrix::select(n, &columns.collect::<Vec<_>>()))
    }
}

/// The constants of one direction.
struct Weights {
    /// Shape `[gates H, I]`.
    input: Array2<f32>,
    /// Shape `[gates H, H]`.
    recurrence: Array2<f32>,
    /// Those of the input, then those of the recurrence: `[2 gates H]`.
    bias: Option<Array1<f32>>,
}

impl Weights {
    /// The dense layer of all steps, and the recurrence's bias of the last gate where it stays
    /// apart.
    fn input(&self, kind: &Kind, hidden: usize) -> (Op, Option<ArrayD<f32>>) {
        let rows = self.input.nrows();
        let weight = self.input.t().as_standard_layout().into_owned().into_dyn();
        let Some(both) = &self.bias else {
            return (Op::Dense { weight, bias: None }, None);
        };
        let merged = if kind.separate { rows - hidden } else { rows };
        let (of_x, of_h) = both.view().split_at(Axis(0), rows);
        let (added, apart) = of_h.split_at(Axis(0), merged);
        let mut bias = of_x.to_owned();
        let mut part = bias.slice_axis_mut(Axis(0), (..merged).into());
        part += &added;
        let bias = Some(bias.into_dyn());
        let apart = kind.separate.then(|| apart.to_owned().into_dyn());
        (Op::Dense { weight, bias }, apart)
    }

    /// The recurrence weights of each part.
    fn recurrences(
        &self,
        node: &Node,
        writer: &mut Writer,
        kind: &Kind,
        steps: usize,
    ) -> Result<Vec<Weight>, Error> {
        let (rows, hidden) = self.recurrence.dim();
        let cut = if kind.parts == 1 { rows } else { rows - hidden };
        let part = |range: std::ops::Range<usize>| {
            let part = self.recurrence.slice_axis(Axis(0), range.into());
            if steps == 1 {
                let weight = part.t().as_standard_layout().into_owned();
                return Ok(Weight::Once(weight.into_dyn()));
            }
            let value = part.to_owned().into_dyn();
            let value = writer.add(node, Op::Constant { value }, &[])?;
            Ok(Weight::Shared(value))
        };
        [0..cut, cut..rows]
            .into_iter()
            .take(kind.parts)
            .map(part)
            .collect()
    }
}

impl Direction {
    /// `X + H R^T` for the gates of the first part; `X` where there is no `H` yet.
    fn with_recurrence(
        &self,
        f: &mut Formula,
        x: ValueId,
        hidden: Option<ValueId>,
    ) -> Result<ValueId, Error> {
        let Some(hidden) = hidden else { return Ok(x) };
        let h = self.recurrence(f, 0, hidden)?;
        f.add(x, h)
    }

    /// `H R^T` for the gates of a part.
    fn recurrence(&self, f: &mut Formula, part: usize, h: ValueId) -> Result<ValueId, Error> {
        match &self.weights[part] {
            Weight::Once(weight) => {
                let (weight, bias) = (weight.clone(), None);
                f.writer.add(f.node, Op::Dense { weight, bias }, &[h])
            }
            Weight::Shared(weight) => f.contract((h, &[0, 1, 2]), (*weight, &[3, 2]), &[0, 1, 3]),
        }
    }
}

/// The operands one behind the other.
fn joined(f: &mut Formula, parts: &[ValueId], axis: usize) -> Result<ValueId, Error> {
    match parts {
        [x] => Ok(*x),
        parts => f.writer.add(f.node, Op::Concat { axis }, parts),
    }
}
