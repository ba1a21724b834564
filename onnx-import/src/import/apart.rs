//! Operators that know nothing of masks, on an operand some of whose cells are masked: what moves
//! cells moves the mask with them, and an elementwise function has its value at the low number
//! where the mask is closed.

use zkstrata_model_ir::float::ValueId;

use crate::Error;
use crate::decode::tensor::{Cells, Tensor};
use crate::import::{Importer, Step};
use crate::ops::Reads;
use crate::scope::names::Meaning;
use crate::scope::value::{Constant, Element, MaskId, Value};
use crate::write::formula::Formula;
use crate::write::masked::{BEYOND, LOW, Mask, beyond, blend};

/// What an operator on masked operands gives.
type Meanings = Vec<Option<Meaning>>;

impl Importer {
    /// The results of an operator some of whose operands may be masked.
    pub(crate) fn apart(
        &mut self,
        step: &Step,
        mut operands: Vec<Option<Meaning>>,
    ) -> Result<Meanings, Error> {
        let reads = step.reads;
        if matches!(reads, Reads::Masks | Reads::Alike | Reads::Largest) {
            return self.run(step, operands);
        }
        let masked = operands
            .iter()
            .position(|operand| mask_of(operand.as_ref()).is_some());
        let Some(index) = masked else {
            return self.run(step, operands);
        };
        let known = match (&operands[index], reads) {
            (Some(Meaning::Tensor(Value::Activation(x), Element::Masked(id))), Reads::Moves)
                if index == 0 =>
            {
                let (x, mask) = (*x, self.writer.mask(*id).clone());
                Some(self.moved(step, &operands, x, &mask)?)
            }
            (Some(Meaning::Tensor(Value::Activation(_), Element::Masked(id))), Reads::Each)
                if alone(&operands, index) =>
            {
                let mask = self.writer.mask(*id).clone();
                self.each(step, &operands, index, &mask)?
            }
            _ => None,
        };
        if let Some(known) = known {
            return Ok(known);
        }
        for operand in operands.iter_mut().flatten() {
            let Meaning::Tensor(_, element) = operand else {
                continue;
            };
            if let Element::Masked(id) = *element {
                let mask = self.writer.mask(id);
                if !mask.exact {
                    return Err(step.unsupported(beyond(mask.closed.low())));
                }
                *element = Element::Float;
            }
        }
        self.run(step, operands)
    }

    /// An operator that moves the cells of its first operand `x`.
    fn moved(
        &mut self,
        step: &Step,
        operands: &[Option<Meaning>],
        x: ValueId,
        mask: &Mask,
    ) -> Result<Meanings, Error> {
        let shape = self.writer.shape(x).to_vec();
        let node = step.node(vec![])?;
        let mut f = Formula::new(&node, &mut self.writer);
        let open = f.spread(mask.open.clone(), &shape)?;
        let finite = mask.finite.map(|x| f.broadcast_to(x, &shape)).transpose()?;
        let open = self.on(step, operands, 0, (open, Element::Float))?;
        let finite =
            finite.map(|x| self.on(step, operands, 0, (Value::Activation(x), Element::Float)));
        let finite = finite.transpose()?;
        let plain = match (mask.exact, &finite) {
            (false, Some(finite)) => finite.clone(),
            _ => self.on(step, operands, 0, (Value::Activation(x), Element::Float))?,
        };
        let mut results = Vec::with_capacity(plain.len());
        for (i, plain) in plain.into_iter().enumerate() {
            let Some(Meaning::Tensor(Value::Activation(plain), Element::Float)) = plain else {
                results.push(plain);
                continue;
            };
            let open = match &open[i] {
                Some(Meaning::Tensor(open, _)) => open.clone(),
                _ => return Err(step.unsupported(beyond(mask.closed.low()))),
            };
            let finite = finite.as_ref().and_then(|finite| match finite[i] {
                Some(Meaning::Tensor(Value::Activation(x), _)) => Some(x),
                _ => None,
            });
            let mask = Mask {
                finite,
                open,
                most_of: None,
                ..*mask
            };
            let element = Element::Masked(self.writer.add_mask(mask));
            results.push(Some(Meaning::Tensor(Value::Activation(plain), element)));
        }
        Ok(results)
    }

    /// An elementwise function of operand `index`; `None` if it is to be computed as ONNX has it.
    fn each(
        &mut self,
        step: &Step,
        operands: &[Option<Meaning>],
        index: usize,
        mask: &Mask,
    ) -> Result<Option<Meanings>, Error> {
        let Some(g) = self.at(step, operands, index, mask.closed.low()) else {
            return Ok(None);
        };
        let plain = |importer: &mut Self| {
            let Some(Meaning::Tensor(value, _)) = &operands[index] else {
                return Err(step.unsupported(beyond(mask.closed.low())));
            };
            importer.on(step, operands, index, (value.clone(), Element::Float))
        };
        let finite = match mask.finite {
            Some(x) => Value::Activation(x),
            None => number(0.0),
        };
        if g <= LOW {
            let result = self.on(step, operands, index, (finite, Element::Float))?;
            let (finite, _) = first(step, &result)?;
            let finite = match finite {
                Value::Activation(x) => Some(x),
                Value::Constant(c) if holds(&c) == Some(0.0) => None,
                constant @ Value::Constant(_) => {
                    Some(self.writer.lift(&step.node(vec![])?, constant)?)
                }
            };
            let results = match (mask.exact, finite) {
                (true, _) | (_, None) => plain(self)?,
                (false, Some(_)) => result,
            };
            let (value, _) = first(step, &results)?;
            let half = self.at(step, operands, index, 0.5 * f32::MIN);
            let low = match mask.closed.low() {
                // What follows a number without bound is infinite where that is.
                f32::NEG_INFINITY if half != Some(g) => f32::NEG_INFINITY,
                _ => g,
            };
            let mask = Mask {
                finite,
                open: mask.open.clone(),
                closed: mask.closed.with(low),
                exact: mask.exact && g > BEYOND,
                most_of: None,
            };
            let element = Element::Masked(self.writer.add_mask(mask));
            return Ok(Some(vec![Some(Meaning::Tensor(value, element))]));
        }
        let near = [0.5, 2.0].map(|k| self.at(step, operands, index, k * mask.closed.low()));
        let saturates = near
            .iter()
            .all(|y| y.is_some_and(|y| y.total_cmp(&g).is_eq()));
        if mask.exact && !saturates || !g.is_finite() || g >= -BEYOND {
            return Ok(None);
        }
        let node = step.node(vec![])?;
        let inner = match finite {
            Value::Constant(zero) => Value::Constant(zero),
            Value::Activation(x) => Value::Activation(
                Formula::new(&node, &mut self.writer).times(x, mask.open.clone())?,
            ),
        };
        let (y, element) = first(
            step,
            &self.on(step, operands, index, (inner, Element::Float))?,
        )?;
        let mut f = Formula::new(&node, &mut self.writer);
        let y = f.writer.lift(&node, y)?;
        let y = Value::Activation(blend(&mut f, &mask.open, y, g)?);
        Ok(Some(vec![Some(Meaning::Tensor(y, element))]))
    }

    /// The operator with operand `index` replaced.
    fn on(
        &mut self,
        step: &Step,
        operands: &[Option<Meaning>],
        index: usize,
        (value, element): (Value, Element),
    ) -> Result<Meanings, Error> {
        let mut operands = operands.to_vec();
        operands[index] = Some(Meaning::Tensor(value, element));
        self.run(step, operands)
    }

    /// The function of operand `index` at a low number.
    fn at(
        &mut self,
        step: &Step,
        operands: &[Option<Meaning>],
        index: usize,
        x: f32,
    ) -> Option<f32> {
        let low = number(x.max(f32::MIN));
        let results = self.on(step, operands, index, (low, Element::Float)).ok()?;
        match first(step, &results).ok()? {
            (Value::Constant(c), _) => holds(&c),
            _ => None,
        }
    }
}

/// The mask of an operand.
fn mask_of(operand: Option<&Meaning>) -> Option<MaskId> {
    match operand {
        Some(Meaning::Tensor(_, Element::Masked(id))) => Some(*id),
        _ => None,
    }
}

/// Whether all operands but one are constants of one cell.
fn alone(operands: &[Option<Meaning>], index: usize) -> bool {
    let others = operands.iter().enumerate().filter(|(i, _)| *i != index);
    others.into_iter().all(|(_, operand)| match operand {
        Some(Meaning::Tensor(Value::Constant(c), _)) => c.tensor.len() == 1,
        Some(_) => false,
        None => true,
    })
}

/// The first result.
fn first(step: &Step, results: &Meanings) -> Result<(Value, Element), Error> {
    match results.first() {
        Some(Some(Meaning::Tensor(value, element))) => Ok((value.clone(), *element)),
        _ => Err(step.unsupported("its first result is no tensor")),
    }
}

fn number(x: f32) -> Value {
    Value::Constant(Constant::new(
        "",
        Tensor::new(vec![], Cells::Float(vec![x])),
    ))
}

/// The number that all cells of a constant hold.
fn holds(c: &Constant) -> Option<f32> {
    let cells: Vec<f32> = match c.tensor.cells() {
        Cells::Float(cells) => cells.clone(),
        Cells::Int(cells) => cells.iter().map(|&n| n as f32).collect(),
        Cells::Bool(cells) => cells.iter().map(|&b| f32::from(b)).collect(),
    };
    let first = *cells.first()?;
    cells
        .iter()
        .all(|x| x.total_cmp(&first).is_eq())
        .then_some(first)
}
