//! Normalisation: `(x - mean) / sqrt(variance + epsilon)` over some axes, scaled and shifted.

use std::collections::BTreeSet;

use ndarray::ArrayD;
use zkstrata_model_ir::float::{Activation, AxisMatrix, Op, ValueId};

use crate::Error;
use crate::decode::tensor::Tensor;
use crate::ops::one;
use crate::scope::node::Node;
use crate::scope::value::{Constant, Value, finite};
use crate::write::Writer;
use crate::write::formula::Formula;

/// `1 / sqrt(mean of d^2 over axes + epsilon)`, and `d` for each cell with it.
fn inverse_deviation(
    f: &mut Formula,
    d: ValueId,
    axes: &BTreeSet<usize>,
    epsilon: f32,
) -> Result<ValueId, Error> {
    let shape = f.shape(d);
    let count: usize = axes.iter().map(|&axis| shape[axis]).product();
    let squares = f.dot(d, d, axes)?;
    let variance = f.affine(squares, 1.0 / count as f32, epsilon)?;
    f.apply(Activation::Power { exponent: -0.5 }, variance)
}

/// The normalised values, the mean and the inverse standard deviation.
fn normalised(
    f: &mut Formula,
    x: ValueId,
    axes: &BTreeSet<usize>,
    epsilon: f32,
) -> Result<[ValueId; 3], Error> {
    let mean = f.mean(x, axes)?;
    let d = f.sub(x, mean)?;
    let factor = inverse_deviation(f, d, axes, epsilon)?;
    Ok([f.product(d, factor)?, mean, factor])
}

/// The attribute `epsilon`, finite and not negative.
fn epsilon(node: &Node, default: f32) -> Result<f32, Error> {
    let epsilon = node.float("epsilon")?.unwrap_or(default);
    if epsilon.is_finite() && epsilon >= 0.0 {
        return Ok(epsilon);
    }
    Err(node.bad_attribute("epsilon", format!("is {epsilon}")))
}

/// A parameter of shape `[channels]` as one that broadcasts along axis 1 of a tensor of `rank`
/// axes.
fn per_channel(
    f: &mut Formula,
    value: Value,
    channels: usize,
    rank: usize,
) -> Result<Value, Error> {
    let shape = f.writer.shape_of(&value);
    if shape != [channels] {
        return Err(f.node.shape_error(format!(
            "a parameter has shape {shape:?}, expected [{channels}]"
        )));
    }
    let mut target = vec![1; rank - 1];
    target[0] = channels;
    Ok(match value {
        Value::Activation(x) => Value::Activation(f.reshape(x, target)?),
        Value::Constant(c) => {
            let name = c.name.clone();
            let cells = c.into_tensor().into_cells();
            Value::Constant(Constant::new(&name, Tensor::new(target, cells)))
        }
    })
}

/// A parameter for each element of an image.
fn per_element(f: &Formula, value: Value, image: &[usize]) -> Result<Value, Error> {
    let shape = f.writer.shape_of(&value);
    if shape == image {
        return Ok(value);
    }
    Err(f.node.shape_error(format!(
        "a parameter has shape {shape:?}, expected {image:?}"
    )))
}

/// The channels, axis 1, of a tensor that has also a batch axis.
fn channels(node: &Node, shape: &[usize]) -> Result<usize, Error> {
    let channels = shape.get(1).copied();
    channels
        .ok_or_else(|| node.shape_error(format!("the input of shape {shape:?} has no channels")))
}

/// `Y = (X - mean) scale / sqrt(var + epsilon) + B` for each channel, axis 1, or each element
pub(crate) fn batch(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    node.at_most(5)?;
    let x = writer.activation(node, 0)?;
    let parameters = (1..5)
        .map(|i| node.value(i))
        .collect::<Result<Vec<_>, _>>()?;
    let epsilon = epsilon(node, 1e-5)?;
    // The running averages' inertia matters in training only.
    let _ = node.float("momentum")?;
    let training = if node.opset() < 14 {
        false
    } else {
        node.flag("training_mode")? == Some(true)
    };
    if training || (1..5).any(|i| node.has_output(i)) {
        return Err(node.unsupported("it is in training mode: export the model in inference mode"));
    }
    let each = node.opset() < 9 && node.flag("spatial")? == Some(false);
    let mut f = Formula::new(node, writer);
    let shape = f.shape(x);
    let channels = channels(node, &shape)?;
    let mut placed = Vec::new();
    for parameter in parameters {
        placed.push(if each {
            per_element(&f, parameter, &shape[1..])?
        } else {
            per_channel(&mut f, parameter, channels, shape.len())?
        });
    }
    let constant = |value: &Value| matches!(value, Value::Constant(_));
    let y = if placed.iter().all(constant) {
        let weights = placed.into_iter().map(|value| match value {
            Value::Constant(c) => c.into_weight(),
            Value::Activation(_) => unreachable!("all are constant"),
        });
        let weights = weights.collect::<Result<Vec<_>, _>>()?;
        let (scale, shift) = folded(node, &weights, epsilon.into())?;
        f.put(Op::Affine { scale, shift }, &[x])?
    } else {
        let mut placed = placed.into_iter();
        let mut next = || placed.next().expect("four parameters");
        let (scale, shift, mean, variance) = (next(), next(), next(), next());
        let (mean, variance) = (f.writer.lift(node, mean)?, f.writer.lift(node, variance)?);
        let variance = f.affine(variance, 1.0, epsilon)?;
        let factor = f.apply(Activation::Power { exponent: -0.5 }, variance)?;
        let factor = f.times(factor, scale)?;
        let d = f.sub(x, mean)?;
        let y = f.product(d, factor)?;
        f.plus(y, shift)?
    };
    one(Value::Activation(y))
}

/// Scale and shift of constant statistics.
fn folded(
    node: &Node,
    parameters: &[ArrayD<f32>],
    epsilon: f64,
) -> Result<(ArrayD<f32>, ArrayD<f32>), Error> {
    let [factor, offset, mean, variance] = parameters else {
        return Err(node.shape_error("BatchNormalization takes four parameters"));
    };
    let mut scale = factor.clone();
    let mut shift = offset.clone();
    let statistics = mean.iter().zip(variance);
    for ((scale, shift), (&mean, &variance)) in scale.iter_mut().zip(&mut shift).zip(statistics) {
        let s = f64::from(*scale) / (f64::from(variance) + epsilon).sqrt();
        *shift = (f64::from(*shift) - f64::from(mean) * s) as f32;
        *scale = s as f32;
    }
    Ok((finite(node.name(), scale)?, finite(node.name(), shift)?))
}

/// Each channel of each image normalised.
pub(crate) fn instance(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    node.at_most(3)?;
    let x = writer.activation(node, 0)?;
    let (scale, shift) = (node.value(1)?, node.value(2)?);
    let epsilon = epsilon(node, 1e-5)?;
    let mut f = Formula::new(node, writer);
    let shape = f.shape(x);
    let channels = channels(node, &shape)?;
    let axes = (2..shape.len()).collect();
    let [y, _, _] = normalised(&mut f, x, &axes, epsilon)?;
    let scale = per_channel(&mut f, scale, channels, shape.len())?;
    let shift = per_channel(&mut f, shift, channels, shape.len())?;
    let y = f.times(y, scale)?;
    one(Value::Activation(f.plus(y, shift)?))
}

/// Groups of channels normalised. Scale and shift are per group before opset 21, per channel since.
pub(crate) fn group(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    node.at_most(3)?;
    let x = writer.activation(node, 0)?;
    let (scale, shift) = (node.value(1)?, node.value(2)?);
    let epsilon = epsilon(node, 1e-5)?;
    if node.opset() >= 21 {
        // The precision of intermediate results.
        let _ = node.int("stash_type")?;
    }
    let shape = writer.shape(x).to_vec();
    let channels = channels(node, &shape)?;
    let groups = node
        .int("num_groups")?
        .and_then(|n| usize::try_from(n).ok());
    let groups = groups
        .filter(|&n| n > 0 && channels.is_multiple_of(n))
        .ok_or_else(|| {
            node.bad_attribute("num_groups", format!("does not divide {channels} channels"))
        })?;
    let mut f = Formula::new(node, writer);
    let rows = f.reshape(
        x,
        vec![
            shape[0],
            groups,
            shape.iter().product::<usize>() / shape[0] / groups,
        ],
    )?;
    let [mut y, _, _] = normalised(&mut f, rows, &BTreeSet::from([2]), epsilon)?;
    let parameters = if node.opset() < 21 { groups } else { channels };
    if parameters == channels {
        y = f.reshape(y, shape.clone())?;
    }
    let rank = f.shape(y).len();
    let scale = per_channel(&mut f, scale, parameters, rank)?;
    let shift = per_channel(&mut f, shift, parameters, rank)?;
    y = f.times(y, scale)?;
    y = f.plus(y, shift)?;
    one(Value::Activation(f.reshape(y, shape)?))
}

/// The axes from `axis` on, by default the last.
fn last_axes(node: &Node, rank: usize) -> Result<BTreeSet<usize>, Error> {
    let axis = node.axis(node.int("axis")?.unwrap_or(-1), rank)?;
    Ok((axis..rank).collect())
}

/// The last axes normalised together.
pub(crate) fn layer(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    node.at_most(3)?;
    let x = writer.activation(node, 0)?;
    let (scale, shift) = (node.value(1)?, node.take(2));
    let epsilon = epsilon(node, 1e-5)?;
    let _ = node.int("stash_type")?;
    let axes = last_axes(node, writer.shape(x).len())?;
    let mut f = Formula::new(node, writer);
    let [y, mean, factor] = normalised(&mut f, x, &axes, epsilon)?;
    let mut y = f.times(y, scale)?;
    if let Some(shift) = shift {
        y = f.plus(y, shift)?;
    }
    same_shape(&f, x, y)?;
    Ok(vec![y, mean, factor]
        .into_iter()
        .map(Value::Activation)
        .collect())
}

/// Refuses parameters that would repeat the input.
fn same_shape(f: &Formula, x: ValueId, y: ValueId) -> Result<(), Error> {
    if f.shape(x) == f.shape(y) {
        return Ok(());
    }
    Err(f
        .node
        .shape_error("its parameters do not broadcast to its input"))
}

/// `x scale / sqrt(mean of x^2 + epsilon)` over the last axes
pub(crate) fn root_mean_square(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    node.at_most(2)?;
    let x = writer.activation(node, 0)?;
    let scale = node.value(1)?;
    let epsilon = epsilon(node, 1e-5)?;
    let _ = node.int("stash_type")?;
    let axes = last_axes(node, writer.shape(x).len())?;
    let mut f = Formula::new(node, writer);
    let factor = inverse_deviation(&mut f, x, &axes, epsilon)?;
    let y = f.product(x, factor)?;
    let y = f.times(y, scale)?;
    same_shape(&f, x, y)?;
    one(Value::Activation(y))
}

/// `(x - mean) / sqrt(variance)` over `axes`, by default all but the channels of an image
pub(crate) fn mean_variance(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    node.at_most(1)?;
    let x = writer.activation(node, 0)?;
    let axes = node.ints("axes")?.unwrap_or(&[0, 2, 3]);
    let axes = node.axes(axes, writer.shape(x).len())?;
    let mut f = Formula::new(node, writer);
    let count: usize = axes.iter().map(|&axis| f.shape(x)[axis]).product();
    let mean = f.mean(x, &axes)?;
    let d = f.sub(x, mean)?;
    let squares = f.dot(d, d, &axes)?;
    let variance = f.affine(squares, 1.0 / count as f32, 0.0)?;
    let factor = f.apply(Activation::Inverse { exponent: -0.5 }, variance)?;
    one(Value::Activation(f.product(d, factor)?))
}

/// Cells along an axis divided by the sum of their magnitudes, or by the root of that of their
/// squares.
pub(crate) fn length(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    node.at_most(1)?;
    let x = writer.activation(node, 0)?;
    let axis = node.axis(node.int("axis")?.unwrap_or(-1), writer.shape(x).len())?;
    let axes = BTreeSet::from([axis]);
    let p = node.int("p")?.unwrap_or(2);
    let mut f = Formula::new(node, writer);
    let factor = match p {
        1 => {
            let size = f.apply(Activation::Abs, x)?;
            let size = f.sum(size, &axes)?;
            f.apply(Activation::Inverse { exponent: -1.0 }, size)?
        }
        2 => {
            let squares = f.dot(x, x, &axes)?;
            f.apply(Activation::Inverse { exponent: -0.5 }, squares)?
        }
        other => return Err(node.bad_attribute("p", format!("is {other}, expected 1 or 2"))),
    };
    one(Value::Activation(f.product(x, factor)?))
}

/// `x (bias + alpha / size * sum of x^2 over the neighbouring channels)^-beta`
pub(crate) fn local_response(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    node.at_most(1)?;
    let x = writer.activation(node, 0)?;
    let alpha = node.float("alpha")?.unwrap_or(1e-4);
    let exponent = -node.float("beta")?.unwrap_or(0.75);
    let bias = node.float("bias")?.unwrap_or(1.0);
    let channels = channels(node, writer.shape(x))?;
    let size = node.int("size")?.and_then(|n| usize::try_from(n).ok());
    let size = size.filter(|&n| n > 0);
    let size = size.ok_or_else(|| node.bad_attribute("size", "must be a positive number"))?;
    let (before, after) = ((size - 1) / 2, size - 1 - (size - 1) / 2);
    let window = |c: usize| {
        c.saturating_sub(before)..c.saturating_add(after).saturating_add(1).min(channels)
    };
    let entries = (0..channels).map(|c| window(c).len()).sum::<usize>();
    Formula::new(node, writer).reserve(entries)?;
    let row = |c: usize| window(c).map(move |d| (c as u32, d as u32, 1));
    let matrix = AxisMatrix {
        input: channels,
        output: channels,
        entries: (0..channels).flat_map(row).collect(),
        divisor: 1,
    };
    let mut f = Formula::new(node, writer);
    let squares = f.square(x)?;
    let sums = f.map(squares, 1, matrix)?;
    let base = f.affine(sums, alpha / size as f32, bias)?;
    let factor = f.apply(Activation::Power { exponent }, base)?;
    one(Value::Activation(f.product(x, factor)?))
}
