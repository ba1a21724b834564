//! Models that are quantised already.
//!
//! A quantised activation is carried as the real number `s (q - z)` that its integer `q` stands
//! for; its kind of element remembers scale `s` and zero point `z`. Dequantising it is then
//! nothing, and moving its cells needs no integers. Where the integers themselves are read, they
//! are restored by `q = x / s + z`.

mod operators;

use ndarray::{ArrayD, arr0};
use zkstrata_model_ir::float::{Activation, Op, Ties, ValueId};

use crate::Error;
use crate::decode::tensor::{Cells, Tensor};
use crate::ops::{Reads, one};
use crate::proto::DataType;
use crate::scope::names::Meaning;
use crate::scope::node::Node;
use crate::scope::value::{Constant, Dynamic, Element, Quantum, Value, finite};
use crate::write::Writer;
use crate::write::broadcast::{broadcast, folded};

pub(crate) use operators::{conv_integer, matmul_integer, quantised};

/// The operands as an operator reads them: quantised ones become integers, unless the operator
/// only moves their cells or asks for their scale.
pub(crate) fn restore(
    name: &str,
    reads: Reads,
    writer: &mut Writer,
    operands: &mut [Option<Meaning>],
) -> Result<(), Error> {
    let element = |operand: &Option<Meaning>| match operand {
        Some(Meaning::Tensor(_, element)) => Some(*element),
        _ => None,
    };
    let first = operands.first().and_then(element);
    let alike = || {
        operands
            .iter()
            .filter_map(element)
            .all(|e| Some(e) == first)
    };
    let kept = match reads {
        Reads::Quantised => operands.len(),
        Reads::Alike if alike() => operands.len(),
        Reads::Moves | Reads::Largest => 1,
        _ => 0,
    };
    for operand in operands.iter_mut().skip(kept).flatten() {
        if let Meaning::Tensor(Value::Activation(x), element @ Element::Quantised(_)) = *operand {
            let x = writer.restored(name, x, element)?;
            *operand = Meaning::Tensor(Value::Activation(x), Element::Int);
        }
    }
    Ok(())
}

/// Integers by the range of the input itself, their scale and their zero point. They are carried as
/// the real numbers that they stand for, and the scale as 1.
pub(crate) fn dynamic(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    node.at_most(1)?;
    let x = node.value(0)?;
    writer.note(format!(
        "node `{}` rounds to 8 bits by the range of each input: imported as the numbers that it \
         rounds",
        node.name()
    ));
    writer.dynamic += 1;
    let of = writer.dynamic;
    let one = Tensor::new(vec![], Cells::Float(vec![1.0]));
    let zero = Tensor::new(vec![], Cells::Int(vec![0])).of_type(DataType::Uint8);
    let results = [(x, -1), (folded(one), 1), (folded(zero), 0)];
    for (i, (value, power)) in results.into_iter().enumerate() {
        let element = Element::Dynamic(Dynamic { of, power });
        node.means(i, Meaning::Tensor(value, element));
    }
    Ok(vec![])
}

/// Scales and zero points, of a tensor or of the positions of one axis.
pub(crate) struct Parameters {
    scale: ArrayD<f32>,
    /// As many as scales; 0 if none are given.
    zero: ArrayD<f32>,
    /// The type of the integers, where zero points tell it.
    integers: Option<DataType>,
}

impl Parameters {
    /// Takes scales and zero points, the operands from `index` on.
    pub(crate) fn read(node: &mut Node, index: usize) -> Result<Self, Error> {
        Self::at(node, index, index + 1)
    }

    /// Takes scales and zero points from two operands.
    pub(crate) fn at(node: &mut Node, scale: usize, zero: usize) -> Result<Self, Error> {
        let scale = node.weight(scale)?;
        let zero = node.optional_constant(zero)?;
        let integers = match &zero {
            None => None,
            Some(zero) => match zero.tensor.data_type() {
                Some(data_type) => Some(data_type),
                None => return Err(node.unsupported("the type of its zero point is unknown")),
            },
        };
        let zero = match zero {
            None => ArrayD::zeros(scale.shape()),
            Some(zero) => zero.into_weight()?,
        };
        // One number may be a scalar or a list of one.
        let (scale, zero) = (single(scale), single(zero));
        if scale.iter().any(|&s| s <= 0.0 || !s.recip().is_finite())
            || scale.shape() != zero.shape()
        {
            return Err(node.shape_error(format!(
                "scales of shape {:?}, which must be positive, and zero points of shape {:?}",
                scale.shape(),
                zero.shape()
            )));
        }
        Ok(Self {
            scale,
            zero,
            integers,
        })
    }

    /// Scale and zero point of the whole tensor, if there is one.
    fn quantum(&self) -> Option<Quantum> {
        match (self.scale.ndim(), self.scale.first(), self.zero.first()) {
            (0, Some(&scale), Some(&zero)) => Some(Quantum { scale, zero }),
            _ => None,
        }
    }

    /// Smallest and largest integer, by default of 8 bits without sign.
    fn bounds(&self, node: &Node) -> Result<(i32, i32), Error> {
        Ok(match self.integers.unwrap_or(DataType::Uint8) {
            DataType::Uint8 => (0, u8::MAX.into()),
            DataType::Int8 => (i8::MIN.into(), i8::MAX.into()),
            DataType::Uint16 => (0, u16::MAX.into()),
            DataType::Int16 => (i16::MIN.into(), i16::MAX.into()),
            other => {
                return Err(node.unsupported(format!(
                    "it quantises to {}: use integers of 8 or 16 bits",
                    other.as_str_name()
                )));
            }
        })
    }

    /// Puts the list on `axis` of a tensor of `rank` axes.
    pub(crate) fn along(self, node: &Node, shape: &[usize], axis: i64) -> Result<Self, Error> {
        if self.scale.ndim() == 0 {
            return Ok(self);
        }
        if self.scale.ndim() > 1 {
            return Err(node.unsupported("it is quantised in blocks: quantise per channel"));
        }
        let axis = node.axis(axis, shape.len())?;
        let n = self.scale.len();
        if n != shape[axis] {
            return Err(node.shape_error(format!("{n} scales on axis {axis} of {shape:?}")));
        }
        let mut list = vec![1; shape.len()];
        list[axis] = n;
        let spread = |a: ArrayD<f32>| {
            a.into_shape_with_order(list.clone())
                .expect("as many cells")
        };
        Ok(Self {
            scale: spread(self.scale),
            zero: spread(self.zero),
            integers: self.integers,
        })
    }
}

fn single(a: ArrayD<f32>) -> ArrayD<f32> {
    match (a.len(), a.first()) {
        (1, Some(&x)) => arr0(x).into_dyn(),
        _ => a,
    }
}

/// `q = clamp(round(x / s) + z)`
pub(crate) fn quantize(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    node.at_most(3)?;
    let x = node.value(0)?;
    let mut parameters = Parameters::read(node, 1)?;
    attributes(node)?;
    if let Some(to) = node.int("output_dtype")?.filter(|&to| to != 0) {
        let to = i32::try_from(to)
            .ok()
            .and_then(|to| DataType::try_from(to).ok());
        if parameters.integers.is_some_and(|own| Some(own) != to) {
            return Err(node.bad_attribute("output_dtype", "is not the zero point's type"));
        }
        parameters.integers = to;
    }
    let axis = node.int("axis")?.unwrap_or(1);
    let shape = writer.shape_of(&x).to_vec();
    let parameters = parameters.along(node, &shape, axis)?;
    let (lo, hi) = parameters.bounds(node)?;
    match x {
        Value::Constant(x) => {
            writer.allow(node, Some(x.tensor.len()))?;
            let x = x.into_weight()?;
            let q = (x / &parameters.scale).mapv(f32::round_ties_even) + &parameters.zero;
            let cells = q.iter().map(|&q| (q as i64).clamp(lo.into(), hi.into()));
            let tensor = Tensor::new(shape, Cells::Int(cells.collect()));
            let to = parameters.integers.unwrap_or(DataType::Uint8);
            node.gives(0, Element::Int);
            one(folded(tensor.of_type(to)))
        }
        Value::Activation(x) => one(Value::Activation(rounded(
            node,
            writer,
            x,
            &parameters,
            Rounded::First,
        )?)),
    }
}

/// Whether an operator rounds before or after it adds the zero point, which decides between two
/// nearest integers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rounded {
    First,
    Last,
}

/// The real numbers of the integers that stand for `x`.
fn rounded(
    node: &mut Node,
    writer: &mut Writer,
    x: ValueId,
    parameters: &Parameters,
    order: Rounded,
) -> Result<ValueId, Error> {
    let (lo, hi) = parameters.bounds(node)?;
    if let Some(quantum) = parameters.quantum() {
        let zero = quantum.zero as i32;
        let activation = Activation::Quantize {
            scale: quantum.scale,
            lo: lo - zero,
            hi: hi - zero,
            ties: match order {
                Rounded::Last if zero % 2 != 0 => Ties::Odd,
                _ => Ties::Even,
            },
        };
        node.gives(0, Element::Quantised(quantum));
        return writer.add(node, Op::Activation(activation), &[x]);
    }
    Err(node.unsupported(
        "it quantises an activation with one scale per channel: quantise activations per tensor, \
         weights per channel",
    ))
}

/// `x = s (q - z)`
pub(crate) fn dequantize(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    node.at_most(3)?;
    let element = node.element(0);
    let x = node.value(0)?;
    let parameters = Parameters::read(node, 1)?;
    attributes(node)?;
    let _ = node.int("output_dtype")?;
    let axis = node.int("axis")?.unwrap_or(1);
    let parameters = parameters.along(node, writer.shape_of(&x), axis)?;
    let y = real(node, writer, x, element, &parameters)?;
    node.gives(0, Element::Float);
    one(y)
}

/// Reads the attributes that are the same for quantising and dequantising.
fn attributes(node: &Node) -> Result<(), Error> {
    // Concerns 8-bit floats only.
    let _ = node.int("saturate")?;
    let _ = node.int("precision")?;
    if node.int("block_size")?.is_some_and(|n| n != 0) {
        return Err(node.unsupported("it is quantised in blocks: quantise per channel"));
    }
    Ok(())
}

/// The real numbers that integers stand for.
pub(crate) fn real(
    node: &Node,
    writer: &mut Writer,
    q: Value,
    element: Element,
    parameters: &Parameters,
) -> Result<Value, Error> {
    let shift = -&parameters.zero * &parameters.scale;
    let scale = parameters.scale.clone();
    match q {
        Value::Constant(q) => {
            broadcast(node, q.tensor.shape(), scale.shape())?;
            writer.allow(node, Some(q.tensor.len()))?;
            let name = q.name.clone();
            let q = q.into_weight()?;
            let x = finite(&name, (q - &parameters.zero) * &scale)?;
            let tensor = Tensor::new(
                x.shape().to_vec(),
                Cells::Float(x.iter().copied().collect()),
            );
            Ok(Value::Constant(Constant::new(&name, tensor)))
        }
        Value::Activation(x) => {
            let same = parameters
                .quantum()
                .is_some_and(|q| element == Element::Quantised(q));
            if same {
                return Ok(Value::Activation(x));
            }
            let x = writer.restored(node.name(), x, element)?;
            let y = writer.add(node, Op::Affine { scale, shift }, &[x])?;
            Ok(Value::Activation(y))
        }
    }
}
