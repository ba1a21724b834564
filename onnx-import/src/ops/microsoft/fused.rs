//! Operators that onnxruntime puts in place of several when it optimises or quantises a model: each
//! is imported as those.

use ndarray::{ArrayD, IxDyn};
use zkstrata_model_ir::float::Activation;

use crate::Error;
use crate::decode::tensor::{Cells, Tensor};
use crate::ops::inner::{all, float, inner, integer, number};
use crate::ops::one;
use crate::ops::quantised::{Parameters, real};
use crate::proto::AttributeProto;
use crate::scope::names::Meaning;
use crate::scope::node::Node;
use crate::scope::value::{Constant, Element, Value};
use crate::write::Writer;
use crate::write::formula::Formula;

/// The operator set whose forms these operators take.
const OPSET: i64 = 17;

/// The attributes of `list` whose names begin with `prefix`, without it.
fn part(list: &mut Vec<AttributeProto>, prefix: &str) -> Vec<AttributeProto> {
    let taken = list.extract_if(.., |a| a.name.starts_with(prefix));
    taken.collect()
}

/// `f(x)` for the function that the attributes name, with its parameters in order.
fn activated(
    node: &Node,
    writer: &mut Writer,
    x: Value,
    function: &str,
    parameters: &[f32],
) -> Result<Value, Error> {
    let names: &[&str] = match function {
        "Clip" => {
            let [lo, hi] = parameters else {
                return Err(node.bad_attribute("activation_params", "has not two bounds"));
            };
            let (lo, hi) = (*lo, *hi);
            let x = writer.lift(node, x)?;
            let y = Formula::new(node, writer).apply(Activation::Clip { lo, hi }, x)?;
            return Ok(Value::Activation(y));
        }
        "LeakyRelu" | "Elu" | "ThresholdedRelu" => &["alpha"],
        "HardSigmoid" => &["alpha", "beta"],
        "Relu" | "Sigmoid" | "Tanh" | "Softplus" | "Softsign" => &[],
        other => {
            return Err(node.unsupported(format!(
                "its activation `{other}` is not known: save the model with ORT_ENABLE_BASIC"
            )));
        }
    };
    let given = names.iter().zip(parameters);
    let given = given.map(|(name, &x)| number(name, x)).collect();
    let (y, _) = inner(node, writer, (function, OPSET), given, vec![float(x)])?;
    Ok(y)
}

/// The strings and numbers of activation attributes.
fn function(list: &[AttributeProto]) -> (Option<String>, Vec<f32>) {
    let of = |name: &str| list.iter().find(|a| a.name == name);
    let name = of("activation").map(|a| String::from_utf8_lossy(&a.s).into_owned());
    let listed = of("activation_params").map(|a| a.floats.clone());
    let single = ["activation_alpha", "activation_beta", "activation_gamma"];
    let single = || single.iter().filter_map(|name| Some(of(name)?.f)).collect();
    (name, listed.unwrap_or_else(single))
}

/// The operands that follow each other from `first` on, up to `last`.
fn operands(node: &mut Node, last: usize) -> Vec<Option<Meaning>> {
    (0..=last).map(|i| node.take(i).and_then(float)).collect()
}

/// `f(Conv(x, w, b) + z)`
pub(crate) fn fused_conv(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    node.at_most(4)?;
    let mut attributes = node.take_attributes();
    let (name, parameters) = function(&part(&mut attributes, "activation"));
    let (added, conv) = (node.take(3), operands(node, 2));
    let (mut y, _) = inner(node, writer, ("Conv", OPSET), attributes, conv)?;
    if let Some(added) = added {
        let x = writer.lift(node, y)?;
        y = Value::Activation(Formula::new(node, writer).plus(x, added)?);
    }
    match name {
        None => one(y),
        Some(name) => one(activated(node, writer, y, &name, &parameters)?),
    }
}

/// `f(Gemm(a, b, c))`
pub(crate) fn fused_gemm(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    node.at_most(3)?;
    let mut attributes = node.take_attributes();
    let (name, parameters) = function(&part(&mut attributes, "activation"));
    let gemm = operands(node, 2);
    let (y, _) = inner(node, writer, ("Gemm", OPSET), attributes, gemm)?;
    match name {
        None => one(y),
        Some(name) => one(activated(node, writer, y, &name, &parameters)?),
    }
}

/// `alpha A' B'`, the last two axes exchanged where that is said.
pub(crate) fn fused_matmul(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    node.at_most(2)?;
    let flags = ["transBatchA", "transBatchB"].map(|name| node.flag(name));
    for flag in flags {
        if flag? == Some(true) {
            return Err(
                node.unsupported("it moves its batch axes: save the model with ORT_ENABLE_BASIC")
            );
        }
    }
    let alpha = node.float("alpha")?.unwrap_or(1.0);
    let transposed = [node.flag("transA")?, node.flag("transB")?];
    let mut factors = Vec::with_capacity(2);
    for (i, transposed) in transposed.into_iter().enumerate() {
        let mut x = node.value(i)?;
        let rank = writer.shape_of(&x).len();
        if transposed == Some(true) && rank >= 2 {
            let mut perm: Vec<usize> = (0..rank).collect();
            perm.swap(rank - 2, rank - 1);
            x = crate::write::layout::permuted(node, writer, x, &perm)?;
        }
        factors.push(float(x));
    }
    let (y, _) = inner(node, writer, ("MatMul", OPSET), vec![], factors)?;
    let scale = Value::Constant(Constant::new(
        "",
        Tensor::new(vec![], Cells::Float(vec![alpha])),
    ));
    let (y, _) = inner(
        node,
        writer,
        ("Mul", OPSET),
        vec![],
        vec![float(y), float(scale)],
    )?;
    one(y)
}

/// `x` plus the bias that operand 1 may be.
fn biased(node: &mut Node, writer: &mut Writer) -> Result<Value, Error> {
    let x = node.value(0)?;
    match node.take(1) {
        None => Ok(x),
        Some(bias) => {
            let terms = vec![float(x), float(bias)];
            Ok(inner(node, writer, ("Add", OPSET), vec![], terms)?.0)
        }
    }
}

fn curve(
    node: &mut Node,
    writer: &mut Writer,
    activation: Activation,
) -> Result<Vec<Value>, Error> {
    node.at_most(2)?;
    let x = biased(node, writer)?;
    let x = writer.lift(node, x)?;
    let y = Formula::new(node, writer).apply(activation, x)?;
    one(Value::Activation(y))
}

/// `Gelu(x + b)`
pub(crate) fn bias_gelu(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    curve(node, writer, Activation::Gelu)
}

/// `Gelu(x + b)`, approximated by tanh.
pub(crate) fn fast_gelu(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    curve(node, writer, Activation::GeluTanh)
}

/// `x sigmoid(alpha x)`
pub(crate) fn quick_gelu(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    let alpha = node.float("alpha")?.unwrap_or(1.702);
    curve(node, writer, Activation::Swish { alpha })
}

/// A constant weight of integers as numbers; lists of scales lie along its last axis.
fn weight(
    node: &mut Node,
    writer: &mut Writer,
    [value, scale, zero]: [usize; 3],
) -> Result<Value, Error> {
    let parameters = Parameters::at(node, scale, zero)?;
    let w = node.value(value)?;
    let element = node.element(value);
    let parameters = parameters.along(node, writer.shape_of(&w), -1)?;
    real(node, writer, w, element, &parameters)
}

/// Tells the user that products of 8 bits are imported as those of the numbers.
fn note(node: &Node, writer: &mut Writer) {
    writer.note(format!(
        "node `{}` rounds its operand to 8 bits by the range of each input: imported without that \
         rounding",
        node.name()
    ));
}

/// `x w + b`, computed with `x` in 8 bits of its own range.
pub(crate) fn dynamic_matmul(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    node.at_most(5)?;
    note(node, writer);
    let (x, bias) = (node.value(0)?, node.take(4));
    let w = weight(node, writer, [1, 2, 3])?;
    product(node, writer, x, w, bias)
}

/// `x w + b`
fn product(
    node: &Node,
    writer: &mut Writer,
    x: Value,
    w: Value,
    bias: Option<Value>,
) -> Result<Vec<Value>, Error> {
    let (mut y, _) = inner(
        node,
        writer,
        ("MatMul", OPSET),
        vec![],
        vec![float(x), float(w)],
    )?;
    if let Some(bias) = bias {
        y = inner(
            node,
            writer,
            ("Add", OPSET),
            vec![],
            vec![float(y), float(bias)],
        )?
        .0;
    }
    one(y)
}

/// The product of integers `a` and `b`, scaled back, plus a bias.
pub(crate) fn matmul_to_float(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    node.at_most(7)?;
    let bias = node.take(6);
    let x = weight(node, writer, [0, 2, 4])?;
    let w = weight(node, writer, [1, 3, 5])?;
    node.gives(0, Element::Float);
    product(node, writer, x, w, bias)
}

/// LSTM with weights of 8 bits, `[directions, features, 4 hidden]`, with a scale for each direction
/// or each column.
pub(crate) fn dynamic_lstm(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    node.at_most(12)?;
    note(node, writer);
    let mut lstm: Vec<Option<Meaning>> = Vec::with_capacity(8);
    lstm.push(float(node.value(0)?));
    for [index, scale, zero] in [[1, 8, 9], [2, 10, 11]] {
        let stored = node.constant(index)?;
        writer.allow(node, Some(stored.tensor.len()))?;
        let (stored, scale) = (stored.into_weight()?, node.weight(scale)?);
        if stored.ndim() != 3 {
            return Err(node.shape_error(format!("input {index} must have three axes")));
        }
        let zero = node
            .optional_weight(zero)?
            .unwrap_or_else(|| ArrayD::zeros(scale.shape()));
        let spread = |a: ArrayD<f32>| {
            let shape = match *a.shape() {
                [directions] => vec![directions, 1, 1],
                [directions, columns] => vec![directions, 1, columns],
                _ => return None,
            };
            let a = a.into_shape_with_order(shape).ok()?;
            a.broadcast(IxDyn(stored.shape())).map(|a| a.to_owned())
        };
        let (Some(scale), Some(zero)) = (spread(scale), spread(zero)) else {
            return Err(node.shape_error("its scales do not fit its weights"));
        };
        let w = ((stored - zero) * scale).permuted_axes(IxDyn(&[0, 2, 1]));
        let shape = w.shape().to_vec();
        let cells = Cells::Float(w.iter().copied().collect());
        let w = Value::Constant(Constant::new(node.name(), Tensor::new(shape, cells)));
        lstm.push(float(w));
    }
    for index in 3..8 {
        let element = node.element(index);
        lstm.push(
            node.take(index)
                .map(|value| Meaning::Tensor(value, element)),
        );
    }
    let attributes = node.take_attributes();
    let results = all(node, writer, ("LSTM", 14), attributes, lstm, 3)?;
    for (i, meaning) in results.into_iter().enumerate() {
        if let Some(meaning) = meaning {
            node.means(i, meaning);
        }
    }
    Ok(vec![])
}

/// The attribute `epsilon`, if it is given.
pub(crate) fn epsilon(node: &Node, default: f32) -> Result<AttributeProto, Error> {
    Ok(number("epsilon", node.float("epsilon")?.unwrap_or(default)))
}

/// The attribute `axis` that names the last axis.
pub(crate) fn last_axis() -> AttributeProto {
    integer("axis", -1)
}
