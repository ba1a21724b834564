//! Models that are quantised already.
//!
//! A quantised activation is carried as the real number `s (q - z)` that its integer `q` stands
//! for; its kind of element remembers scale `s` and zero point `z`. Dequantising it is then
//! nothing, and moving its cells needs no integers. Where the integers themselves are read, they
//! are restored by `q = x / s + z`.

mod operators;

use ndarray::{ArrayD, arr0};
use zkstrata_model_ir::float::{Activation, Op, Ties, ValueId};

use super::arithmetic::{broadcast, folded};
use super::one;
use crate::Error;
use crate::import::Importer;
use crate::node::{self, Node};
use crate::proto::{DataType, NodeProto};
use crate::tensor::{Cells, Tensor};
use crate::value::{Constant, Element, Quantum, Value, finite};

pub(super) use operators::{conv_integer, matmul_integer, quantised};

/// Operators that move or select cells of their first operand, or compare them.
const MOVES: &[&str] = &[
    "Compress",
    "DepthToSpace",
    "Dropout",
    "Expand",
    "Flatten",
    "Gather",
    "GatherElements",
    "GatherND",
    "GlobalMaxPool",
    "Identity",
    "MaxPool",
    "Reshape",
    "ReverseSequence",
    "Shape",
    "Size",
    "Slice",
    "SpaceToDepth",
    "Split",
    "Squeeze",
    "Tile",
    "Transpose",
    "Unsqueeze",
];

/// The operands as an operator reads them: quantised ones become integers, unless the operator
/// only moves their cells or asks for their scale.
pub(crate) fn restore(
    proto: &NodeProto,
    importer: &mut Importer,
    operands: &mut [Option<(Value, Element)>],
) -> Result<(), Error> {
    let op = proto.op_type.as_str();
    let first = operands.first().and_then(|o| o.as_ref().map(|o| o.1));
    let alike = || operands.iter().flatten().all(|o| Some(o.1) == first);
    let kept = match op {
        "DequantizeLinear" | "QGemm" => operands.len(),
        "Concat" if alike() => operands.len(),
        op if op.starts_with("QLinear") => operands.len(),
        op if MOVES.contains(&op) => 1,
        _ => 0,
    };
    for (value, element) in operands.iter_mut().skip(kept).flatten() {
        if let (Value::Activation(x), Element::Quantised(_)) = (&*value, *element) {
            *value = Value::Activation(importer.restored(node::name(proto), *x, *element)?);
            *element = Element::Int;
        }
    }
    Ok(())
}

/// Scales and zero points, of a tensor or of the positions of one axis.
struct Parameters {
    scale: ArrayD<f32>,
    /// As many as scales; 0 if none are given.
    zero: ArrayD<f32>,
    /// The type of the integers, where zero points tell it.
    integers: Option<DataType>,
}

impl Parameters {
    /// Takes scales and zero points, the operands from `index` on.
    fn read(node: &mut Node, index: usize) -> Result<Self, Error> {
        let scale = node.weight(index)?;
        let zero = node.optional_constant(index + 1)?;
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
    fn along(self, node: &Node, shape: &[usize], axis: i64) -> Result<Self, Error> {
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
pub(super) fn quantize(node: &mut Node, importer: &mut Importer) -> Result<Vec<Value>, Error> {
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
    let shape = importer.shape_of(&x).to_vec();
    let parameters = parameters.along(node, &shape, axis)?;
    let (lo, hi) = parameters.bounds(node)?;
    match x {
        Value::Constant(x) => {
            importer.allow(node, Some(x.tensor.len()))?;
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
            importer,
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
    importer: &mut Importer,
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
        return importer.add(node, Op::Activation(activation), &[x]);
    }
    Err(node.unsupported(
        "it quantises an activation with one scale per channel: quantise activations per tensor, \
         weights per channel",
    ))
}

/// `x = s (q - z)`
pub(super) fn dequantize(node: &mut Node, importer: &mut Importer) -> Result<Vec<Value>, Error> {
    node.at_most(3)?;
    let element = node.element(0);
    let x = node.value(0)?;
    let parameters = Parameters::read(node, 1)?;
    attributes(node)?;
    let _ = node.int("output_dtype")?;
    let axis = node.int("axis")?.unwrap_or(1);
    let parameters = parameters.along(node, importer.shape_of(&x), axis)?;
    let y = real(node, importer, x, element, &parameters)?;
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
fn real(
    node: &Node,
    importer: &mut Importer,
    q: Value,
    element: Element,
    parameters: &Parameters,
) -> Result<Value, Error> {
    let shift = -&parameters.zero * &parameters.scale;
    let scale = parameters.scale.clone();
    match q {
        Value::Constant(q) => {
            broadcast(node, q.tensor.shape(), scale.shape())?;
            importer.allow(node, Some(q.tensor.len()))?;
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
            let x = importer.restored(node.name(), x, element)?;
            let y = importer.add(node, Op::Affine { scale, shift }, &[x])?;
            Ok(Value::Activation(y))
        }
    }
}
